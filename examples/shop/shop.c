/* The shop: a small web server for the demo, the tests and the accuracy measurements.
 *
 * One thread does everything. libmicrohttpd runs in epoll mode without threads of its own; the main
 * loop waits in ppoll for its epoll descriptor or for the next delay to end, with a timeout in
 * nanoseconds and the thread's timer slack at its least. A delayed answer is a suspended connection
 * and an entry in a heap: thousands of them cost memory, never a thread. On SIGTERM or SIGINT what
 * still waits is answered at once and the program ends with status 0. */
#include "request.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "delay.h"

#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define CONNECTIONS_MAX 60000
#define BACKLOG         4096
#define PEM_BYTES_MAX   (1u << 20)

typedef struct options {
    const char *host, *port;
    const char *tls_cert, *tls_key; /* paths; both or neither */
    uint64_t seed;
} options;

static volatile sig_atomic_t stopping;

static void on_signal(int signal_number) {
    (void)signal_number;
    stopping = 1;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_n, void **conn_cls) {
    request *r = *conn_cls;
    (void)version;
    if (!r) { /* the headers are here; the answer has to wait for the next call */
        r = *conn_cls = request_new(cls, conn, method, path);
        return r ? MHD_YES : MHD_NO;
    }
    if (*upload_n > 0) {
        enum MHD_Result rc = request_feed(r, upload, *upload_n);
        *upload_n = 0;
        return rc;
    }
    if (r->received_at == 0) r->received_at = gr_clock_ns();
    return r->route->answer(r);
}

static void on_request_end(void *cls, struct MHD_Connection *conn, void **conn_cls,
                           enum MHD_RequestTerminationCode code) {
    (void)cls, (void)conn, (void)code;
    request_free(*conn_cls);
    *conn_cls = NULL;
}

static void on_connection(void *cls, struct MHD_Connection *conn, void **socket_context,
                          enum MHD_ConnectionNotificationCode code) {
    shop *s = cls;
    (void)conn, (void)socket_context;
    s->accepted += code == MHD_CONNECTION_NOTIFY_STARTED;
}

static int usage(const char *problem) {
    if (problem) fprintf(stderr, "shop: %s\n", problem);
    fprintf(problem ? stderr : stdout,
            "usage: shop [--host ADDRESS] [--port N] [--seed N] [--tls-cert FILE --tls-key FILE]\n"
            "Port 0, the default, is any that is free; the address is printed on stdout.\n");
    return problem ? 2 : 0;
}

/* 0 to go on, otherwise the exit status plus one (so that 0 stays free). */
static int options_parse(int argc, char **argv, options *o) {
    static const struct option names[] = {
        {"host", required_argument, NULL, 'h'},
        {"port", required_argument, NULL, 'p'},
        {"seed", required_argument, NULL, 's'},
        {"tls-cert", required_argument, NULL, 'c'},
        {"tls-key", required_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'H'},
        {NULL, 0, NULL, 0},
    };
    uint64_t port;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (c) {
        case 'h': o->host = optarg; break;
        case 'p': o->port = optarg; break;
        case 'c': o->tls_cert = optarg; break;
        case 'k': o->tls_key = optarg; break;
        case 's':
            if (!gr_str_u64(gr_str_c(optarg), &o->seed)) return 1 + usage("--seed is a number");
            break;
        case 'H': return 1 + usage(NULL);
        default: return 1 + usage("unknown option, or its value is missing");
        }
    }
    if (optind < argc) return 1 + usage("no arguments are expected");
    if (!gr_str_u64(gr_str_c(o->port), &port) || port > 65535)
        return 1 + usage("--port is a number from 0 to 65535");
    if (!o->tls_cert != !o->tls_key) return 1 + usage("--tls-cert and --tls-key go together");
    return 0;
}

/* The file's text with a NUL behind it, or NULL and a line on stderr. */
static char *pem_read(const char *path) {
    char *text = gr_calloc(1, PEM_BYTES_MAX + 1);
    FILE *f = text ? fopen(path, "rb") : NULL;
    if (f && fread(text, 1, PEM_BYTES_MAX, f) > 0) {
        fclose(f);
        return text;
    }
    fprintf(stderr, "shop: cannot read %s: %s\n", path, strerror(errno));
    if (f) fclose(f);
    gr_free(text);
    return NULL;
}

static struct MHD_Daemon *daemon_start(shop *s, const struct addrinfo *address, const char *cert,
                                       const char *key) {
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, NULL},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
    if (address->ai_family == AF_INET6) flags |= MHD_USE_IPv6;
    if (cert) {
        flags |= MHD_USE_TLS;
        tls[0].ptr_value = (void *)(uintptr_t)cert; /* only read, whatever the type says */
        tls[1].ptr_value = (void *)(uintptr_t)key;
    } else {
        tls[0].option = MHD_OPTION_END;
    }
    return MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, s, MHD_OPTION_SOCK_ADDR, address->ai_addr,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_LISTEN_BACKLOG_SIZE,
        (unsigned)BACKLOG, MHD_OPTION_NOTIFY_COMPLETED, on_request_end, NULL,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

/* 0, or -1 and a line on stderr. */
static int shop_listen(shop *s, const options *o) {
    char *cert = NULL, *key = NULL;
    struct addrinfo *address = NULL;
    struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    int rc = getaddrinfo(o->host, o->port, &hints, &address);
    if (rc != 0) {
        fprintf(stderr, "shop: %s: %s\n", o->host, gai_strerror(rc));
        return -1;
    }
    if (o->tls_cert && (!(cert = pem_read(o->tls_cert)) || !(key = pem_read(o->tls_key))))
        goto done;
    if (cert && MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES) {
        fprintf(stderr, "shop: this libmicrohttpd was built without TLS\n");
        goto done;
    }
    s->daemon = daemon_start(s, address, cert, key);
    if (!s->daemon)
        fprintf(stderr, "shop: cannot listen on %s port %s%s\n", o->host, o->port,
                cert ? " (is the certificate valid and the port free?)" : " (is the port free?)");
done:
    freeaddrinfo(address);
    gr_free(cert);
    gr_free(key);
    return s->daemon ? 0 : -1;
}

static void shop_announce(const shop *s, const options *o) {
    bool v6 = strchr(o->host, ':') != NULL;
    const union MHD_DaemonInfo *bound = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
    printf("listening on %s://%s%s%s:%u\n", o->tls_cert ? "https" : "http", v6 ? "[" : "", o->host,
           v6 ? "]" : "", bound->port);
    fflush(stdout);
}

/* How long ppoll may block: until the library or the earliest delay wants to go on. */
static bool time_left(shop *s, struct timespec *left) {
    MHD_UNSIGNED_LONG_LONG library_ms;
    gr_ns ns = UINT64_MAX, due_at;
    if (MHD_get_timeout(s->daemon, &library_ms) == MHD_YES) ns = GR_MS(library_ms);
    if (timers_next(&s->waiting, &due_at)) {
        gr_ns now = gr_clock_ns();
        ns = GR_MIN(ns, due_at > now ? due_at - now : 0);
    }
    *left = (struct timespec){(time_t)(ns / GR_S(1)), (long)(ns % GR_S(1))};
    return ns != UINT64_MAX;
}

static void wake_due(shop *s, gr_ns now) {
    for (request *r; (r = timers_pop(&s->waiting, now));)
        request_wake(r);
}

static void shop_serve(shop *s, const sigset_t *while_waiting) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct pollfd daemon_fd = {.fd = info->epoll_fd, .events = POLLIN};
    while (!stopping) {
        struct timespec left;
        bool bounded = time_left(s, &left);
        ppoll(&daemon_fd, 1, bounded ? &left : NULL, while_waiting);
        wake_due(s, gr_clock_ns());
        MHD_run(s->daemon);
    }
    s->closing = true; /* the library must not be stopped with suspended connections */
    wake_due(s, UINT64_MAX);
    MHD_run(s->daemon);
}

/* Thousands of clients at once, and delays that end on time. Neither is worth failing for.
 * The stop signals arrive only inside ppoll, with the mask handed out here, so that none can slip in
 * between the check and the wait. */
static void process_prepare(sigset_t *while_waiting) {
    struct rlimit files;
    struct sigaction action = {.sa_handler = on_signal};
    static const int stop_signals[] = {SIGTERM, SIGINT};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    signal(SIGPIPE, SIG_IGN);

    sigset_t blocked;
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    *while_waiting = blocked;
    for (size_t i = 0; i < GR_LEN(stop_signals); i++) {
        sigaddset(&blocked, stop_signals[i]);
        sigdelset(while_waiting, stop_signals[i]);
        sigaction(stop_signals[i], &action, NULL);
    }
    sigprocmask(SIG_SETMASK, &blocked, NULL);
}

static int shop_init(shop *s, uint64_t seed) {
    gr_rand_seed(&s->rand, seed);
    s->session_key = gr_rand_next(&s->rand);
    s->counts = gr_calloc(shop_routes_n, sizeof *s->counts);
    return s->counts ? shop_pages_init(s) : GR_E_NOMEM;
}

static void shop_deinit(shop *s) {
    timers_deinit(&s->waiting);
    shop_pages_deinit(s);
    gr_free(s->counts);
}

int main(int argc, char **argv) {
    options o = {.host = "127.0.0.1", .port = "0", .seed = 1};
    sigset_t while_waiting;
    int rc = options_parse(argc, argv, &o);
    if (rc != 0) return rc - 1;

    rc = 1;
    shop *s = gr_calloc(1, sizeof *s);
    if (!s) return rc;
    process_prepare(&while_waiting);
    if (shop_init(s, o.seed) == 0 && shop_listen(s, &o) == 0) {
        shop_announce(s, &o);
        shop_serve(s, &while_waiting);
        MHD_stop_daemon(s->daemon);
        rc = 0;
    }
    shop_deinit(s);
    gr_free(s);
    return rc;
}
