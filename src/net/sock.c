/* See sock.h. The descriptor is ours, polled by uv_poll_t, read by recvmsg and written by sendmsg.
 *
 * Why not uv_tcp_t: recvmsg with SO_TIMESTAMPNS tells when the kernel received the last TCP segment
 * that it returns. A response's arrival is thereby known exactly even if this thread was busy (user
 * code in Python easily holds it for milliseconds), and no delay of our own is counted as the
 * server's. Reading the clock after the system call, as a uv_tcp_t callback must, is late by all
 * that the turn did before: 100 connections back to back against nginx on two cores, the mean from
 * arrival to our looking was 0.2 to 0.4 ms at a service time of 0.65 ms. It also saves libuv's
 * write requests: one exchange is one send and one recvmsg.
 *
 * States go forward only: NEW, RESOLVING, CONNECTING (address after address), HANDSHAKE (TLS),
 * OPEN, ENDED, CLOSED; any may be left out. `poll_state` says whether the uv handle exists: memory is
 * released after uv_close has called back. An idle stream stays polled for reading, so that the
 * peer's close is noticed when it happens. */
#include "net/sock.h"

#include "base/clock.h"
#include "base/err.h"
#include "net/loop_int.h"
#include "net/tls_int.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/* Reads of one stream in one turn, at most a quarter of a megabyte: others' responses must not wait
 * behind a large download. */
#define READ_ROUNDS_MAX (GR_HOSTILE ? 1 : 4)

enum { POLL_NONE, POLL_OPEN, POLL_CLOSING };

static void connect_next(gr_sock *s);
static void on_poll(uv_poll_t *poll, int status, int events);

/* ---- interest ---- */

static void apply_interest(gr_sock *s) {
    int events = (s->paused ? 0 : UV_READABLE) | (s->want_write ? UV_WRITABLE : 0);
    if (s->state == GR_SOCK_CONNECTING) events = UV_WRITABLE;
    if (s->state == GR_SOCK_ENDED || s->hung_up) events = 0;
    if (events == s->events || s->poll_state != POLL_OPEN) return;
    s->events = (uint8_t)events;
    if (events)
        GR_CHECK(uv_poll_start(&s->poll, events, on_poll) == 0);
    else
        uv_poll_stop(&s->poll);
}

static void set_want_write(gr_sock *s, bool want) {
    s->want_write = want;
    apply_interest(s);
}

/* ---- ends ---- */

static void fail_open(gr_sock *s, int rc, const char *why) {
    s->state = GR_SOCK_ENDED;
    gr_addrs_unref(s->addrs);
    s->addrs = NULL;
    apply_interest(s);
    s->ops->opened(s, rc, why);
}

static void end(gr_sock *s, int rc, const char *why) {
    s->state = GR_SOCK_ENDED;
    apply_interest(s);
    s->ops->ended(s, rc, why && why[0] ? why : NULL);
}

/* ---- connecting ---- */

static int open_fd(const gr_addr *addr) {
    int one = 1;
    int fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    /* Neither is vital: without them requests are a little later, times a little coarser. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
#ifdef SO_TIMESTAMPNS
    (void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
#endif
    return fd;
}

static int connect_start(gr_sock *s, gr_addr addr) {
    int rc, fd = open_fd(&addr);
    socklen_t n = addr.sa.sa_family == AF_INET ? sizeof addr.in : sizeof addr.in6;
    if (fd < 0) return fd;
    if (addr.sa.sa_family == AF_INET)
        addr.in.sin_port = htons(s->port);
    else
        addr.in6.sin6_port = htons(s->port);
    if (connect(fd, &addr.sa, n) < 0 && errno != EINPROGRESS) {
        rc = -errno;
        goto undo_fd;
    }
    if ((rc = uv_poll_init(&s->lp->uv, &s->poll, fd)) < 0) goto undo_fd;
    s->fd = fd;
    s->poll_state = POLL_OPEN;
    s->events = 0;
    s->state = GR_SOCK_CONNECTING;
    apply_interest(s);
    return 0;
undo_fd:
    close(fd);
    return rc;
}

static void on_poll_closed(uv_handle_t *handle) {
    gr_sock *s = GR_CONTAINER(handle, gr_sock, poll);
    s->poll_state = POLL_NONE;
    s->lp->work++;
    if (s->state == GR_SOCK_CLOSED)
        s->ops->released(s);
    else
        connect_next(s);
}

static void close_poll(gr_sock *s) {
    s->poll_state = POLL_CLOSING;
    uv_close((uv_handle_t *)&s->poll, on_poll_closed);
    close(s->fd);
    s->fd = -1;
}

/* Only ever called from the loop, so failing may call back. */
static void connect_next(gr_sock *s) {
    while (s->addr_i < s->addrs->n) {
        int rc = connect_start(s, s->addrs->at[s->addr_i++]);
        if (rc == 0) return;
        s->rc = rc;
    }
    fail_open(s, s->rc, NULL);
}

static void handshake_step(gr_sock *s) {
    char why[GR_TLS_WHY_BYTES] = "";
    int rc = gr__tls_handshake(s->tls, why);
    if (rc < 0) {
        fail_open(s, rc, why[0] ? why : NULL);
        return;
    }
    if (rc == 1) s->state = GR_SOCK_OPEN;
    set_want_write(s, gr__tls_blocked(s->tls));
    if (rc == 1) s->ops->opened(s, 0, NULL);
}

static void connect_finish(gr_sock *s) {
    int error = 0;
    socklen_t n = sizeof error;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0) error = errno;
    if (!error && s->hung_up) error = ECONNRESET; /* libuv has given it up */
    gr__loop_tick(s->lp, gr_clock_ns());
    if (error) {
        s->rc = -error;
        s->hung_up = false;
        close_poll(s);
        return;
    }
    gr_addrs_unref(s->addrs);
    s->addrs = NULL;
    s->state = s->tls ? GR_SOCK_HANDSHAKE : GR_SOCK_OPEN;
    apply_interest(s);
    if (s->tls)
        handshake_step(s);
    else
        s->ops->opened(s, 0, NULL);
}

static void on_addrs(gr_dns_query *q, int rc, gr_addrs *addrs, const char *why) {
    gr_sock *s = GR_CONTAINER(q, gr_sock, query);
    s->addrs = addrs;
    if (rc < 0)
        fail_open(s, rc, why);
    else
        connect_next(s);
}

/* send is a little cheaper than sendmsg, and most requests are one piece. */
static ptrdiff_t send_now(gr_sock *s, const struct iovec *pieces, int n) {
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)pieces, .msg_iovlen = (size_t)n};
    ptrdiff_t sent;
    do
        sent = n == 1 ? send(s->fd, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL)
                      : sendmsg(s->fd, &msg, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0) return sent;
    return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
}

static ptrdiff_t tls_send(void *ctx, gr_str bytes) {
    struct iovec piece = {(char *)(uintptr_t)bytes.p, bytes.n};
    return send_now(ctx, &piece, 1);
}

/* Runs what open found out at once, reads on after a pause without libuv, or releases. */
static void on_task(gr_task *t);

void gr_sock_init(gr_sock *s, gr_loop *lp, const gr_sock_ops *ops) {
    memset(s, 0, sizeof *s);
    s->lp = lp;
    s->ops = ops;
    s->fd = -1;
    gr_dns_query_init(&s->query, on_addrs);
    gr_task_init(&s->task, on_task);
}

void gr_sock_open(gr_sock *s, gr_str host, uint16_t port, gr_tls_conf *tls) {
    GR_DCHECK(s->state == GR_SOCK_NEW);
    int rc = 0;
    s->state = GR_SOCK_RESOLVING;
    s->port = port;
    if (tls && (rc = gr__loop_tls_buffers(s->lp)) == 0)
        rc = gr__tls_new(&s->tls, tls, host, gr_addr_is_literal(host), tls_send, s);
    if (rc == 0) rc = gr_dns_lookup(s->lp, &s->query, host, &s->addrs);
    if (rc == 0) return;
    s->rc = rc < 0 ? rc : 0;
    gr_loop_defer(s->lp, &s->task);
}

void gr_sock_close(gr_sock *s) {
    GR_CHECK(s->state != GR_SOCK_CLOSED);
    if (s->state == GR_SOCK_OPEN && s->tls && !gr__tls_blocked(s->tls)) gr__tls_goodbye(s->tls);
    s->state = GR_SOCK_CLOSED;
    gr__tls_free(s->tls);
    s->tls = NULL;
    gr_dns_cancel(&s->query);
    gr_task_cancel(&s->task);
    gr_addrs_unref(s->addrs);
    s->addrs = NULL;
    switch (s->poll_state) {
    case POLL_NONE: gr_loop_defer(s->lp, &s->task); break;
    case POLL_OPEN: close_poll(s); break;
    case POLL_CLOSING: break;
    }
}

/* ---- sending ---- */

static size_t gather(char *into, size_t room, const struct iovec *pieces, int n, size_t skip) {
    size_t got = 0;
    for (int i = 0; i < n && got < room; i++) {
        size_t from = GR_MIN(skip, pieces[i].iov_len);
        size_t take = GR_MIN(pieces[i].iov_len - from, room - got);
        skip -= from;
        if (take) memcpy(into + got, (const char *)pieces[i].iov_base + from, take);
        got += take;
    }
    return got;
}

/* Head and body go into one record where they fit: a record is also a segment on the wire. */
static ptrdiff_t send_tls(gr_sock *s, const struct iovec *pieces, int n) {
    char *buf = s->lp->gather_buf;
    size_t done = 0, got;
    while (!gr__tls_blocked(s->tls) && (got = gather(buf, GR__RECORD_BYTES, pieces, n, done))) {
        int rc = gr__tls_write(s->tls, (gr_str){buf, got});
        if (rc < 0) return rc;
        done += got;
    }
    return (ptrdiff_t)done;
}

ptrdiff_t gr_sock_send(gr_sock *s, const struct iovec *pieces, int n) {
    GR_DCHECK(s->state == GR_SOCK_OPEN);
    size_t offered = 0;
    for (int i = 0; i < n; i++)
        offered += pieces[i].iov_len;
    ptrdiff_t sent = s->tls ? send_tls(s, pieces, n) : send_now(s, pieces, n);
    if (sent < 0) return sent;
    if ((size_t)sent < offered || gr_sock_blocked(s)) set_want_write(s, true);
    return sent;
}

void gr_sock_want_writable(gr_sock *s) {
    GR_DCHECK(s->state == GR_SOCK_OPEN);
    set_want_write(s, true);
}

bool gr_sock_blocked(const gr_sock *s) {
    return s->tls && gr__tls_blocked(s->tls);
}

static void on_writable(gr_sock *s) {
    /* An error of sending shows on the reading side as well, with what the peer had to say. */
    if (s->tls && gr__tls_flush(s->tls) == 0 && gr__tls_blocked(s->tls)) return;
    set_want_write(s, false);
    if (s->state == GR_SOCK_OPEN) s->ops->writable(s);
}

/* ---- receiving ---- */

#ifdef SO_TIMESTAMPNS
/* The kernel's stamp is wall-clock time: carried over to the monotonic clock by its age. A stamp
 * from the future, or from before this machine was started, means that the wall clock was set in
 * between. */
static gr_ns stamp_of(struct msghdr *msg, gr_wall_ns wall, gr_ns now) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS) continue;
        struct timespec t;
        memcpy(&t, CMSG_DATA(c), sizeof t);
        gr_wall_ns age = wall - ((gr_wall_ns)t.tv_sec * 1000000000 + t.tv_nsec);
        return age < 0 || (gr_ns)age > now ? now : now - (gr_ns)age;
    }
    return now;
}
#else
static gr_ns stamp_of(struct msghdr *msg, gr_wall_ns wall, gr_ns now) {
    (void)msg, (void)wall;
    return now;
}
#endif

/* Bytes read, 0 at the end, -errno. */
static ptrdiff_t receive(gr_sock *s, gr_ns *arrived_at) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(64)];
    } control;
    struct iovec piece = {s->lp->read_buf, GR__READ_BYTES};
    struct msghdr msg = {.msg_iov = &piece,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};
    ptrdiff_t got;
    do
        got = recvmsg(s->fd, &msg, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0) return -errno;
    gr_wall_ns wall =
        gr_clock_wall_ns();    /* first: losing the CPU between the two makes the bytes */
    gr_ns now = gr_clock_ns(); /* come late, never too early */
    gr__loop_tick(s->lp, now);
    *arrived_at = got ? stamp_of(&msg, wall, now) : now;
    return got;
}

/* Gives on what the window of ciphertext decrypts to. False: the stream ended meanwhile. */
static bool decrypt_all(gr_sock *s, gr_ns arrived_at) {
    char why[GR_TLS_WHY_BYTES] = "";
    while (s->state == GR_SOCK_OPEN) {
        ptrdiff_t got = gr__tls_read(s->tls, s->lp->plain_buf, GR__RECORD_BYTES, why);
        if (got == 0) break;
        if (got < 0)
            end(s, got == GR_E_CLOSED ? 0 : (int)got, why);
        else
            s->ops->data(s, (gr_str){s->lp->plain_buf, (size_t)got}, arrived_at);
    }
    return s->state == GR_SOCK_OPEN;
}

static bool deliver(gr_sock *s, gr_str bytes, gr_ns arrived_at) {
    if (!s->tls) {
        s->ops->data(s, bytes, arrived_at);
        return s->state == GR_SOCK_OPEN;
    }
    gr__tls_feed(s->tls, bytes);
    if (s->state == GR_SOCK_HANDSHAKE) handshake_step(s);
    return s->state == GR_SOCK_HANDSHAKE ||
           (s->state == GR_SOCK_OPEN && decrypt_all(s, arrived_at));
}

static void end_of_input(gr_sock *s, int rc) {
    if (s->state == GR_SOCK_HANDSHAKE)
        fail_open(s, rc ? rc : GR_E_CLOSED, rc ? NULL : "connection closed during TLS handshake");
    else
        end(s, rc == 0 && s->tls ? GR_E_TRUNCATED : rc, NULL);
}

static void on_readable(gr_sock *s) {
    for (int round = 0; round < READ_ROUNDS_MAX && !s->paused; round++) {
        gr_ns arrived_at = 0;
        ptrdiff_t got = receive(s, &arrived_at);
        if (got == -EAGAIN || got == -EWOULDBLOCK) {
            if (!s->hung_up) return;
            got = -ECONNRESET; /* a send has taken the error already; nothing would wake us again */
        }
        if (got <= 0) {
            end_of_input(s, (int)got);
            return;
        }
        if (!deliver(s, (gr_str){s->lp->read_buf, (size_t)got}, arrived_at)) return;
        /* A short read emptied the socket; libuv polls by level: an end behind it shows again. */
        if ((size_t)got < GR__READ_BYTES && !s->hung_up) return;
    }
    if (s->hung_up && !s->paused) gr_loop_defer(s->lp, &s->task);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    gr_sock *s = GR_CONTAINER(poll, gr_sock, poll);
    s->lp->work++;
    if (status < 0) { /* an error or reset is pending: the system calls below will tell which */
        s->hung_up = true;
        s->events = 0;
        events = UV_READABLE;
    }
    if (s->state == GR_SOCK_CONNECTING) {
        connect_finish(s);
        return;
    }
    if (events & UV_READABLE) on_readable(s);
    if ((events & UV_WRITABLE) && s->want_write && s->poll_state == POLL_OPEN &&
        (s->state == GR_SOCK_OPEN || s->state == GR_SOCK_HANDSHAKE))
        on_writable(s);
}

void gr_sock_pause(gr_sock *s, bool paused) {
    if (s->paused == paused) return;
    s->paused = paused;
    apply_interest(s);
    if (!paused && s->hung_up && s->state == GR_SOCK_OPEN) gr_loop_defer(s->lp, &s->task);
}

bool gr_sock_settled(const gr_sock *s) {
    return s->state == GR_SOCK_OPEN && !s->hung_up && !(s->tls && gr__tls_pending(s->tls));
}

bool gr_sock_idle_ok(const gr_sock *s) {
    char byte;
    if (s->state != GR_SOCK_OPEN || s->hung_up) return false;
    ptrdiff_t got = recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    return got > 0 && s->tls; /* TLS peers may send tickets at any time */
}

static void on_task(gr_task *t) {
    gr_sock *s = GR_CONTAINER(t, gr_sock, task);
    switch ((gr_sock_state)s->state) {
    case GR_SOCK_RESOLVING: on_addrs(&s->query, s->rc, s->addrs, NULL); break;
    case GR_SOCK_HANDSHAKE:
    case GR_SOCK_OPEN: on_readable(s); break;
    case GR_SOCK_CLOSED: s->ops->released(s); break;
    case GR_SOCK_NEW:
    case GR_SOCK_CONNECTING:
    case GR_SOCK_ENDED: break;
    }
}
