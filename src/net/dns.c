/* See dns.h. The cache is a list of names, each either being resolved (with the queries that wait
 * for it) or resolved less than CACHE_TIME ago; names outlive their cancelled queries. A load test
 * talks to few hosts, so a list is searched; expired names are dropped on each search, which bounds
 * it by the names that one second can ask for. */
#include "net/dns.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "net/loop_int.h"

#include <arpa/inet.h>
#include <netdb.h>

/* Long enough that a ramp-up of thousands of users asks once, short enough that DNS-based load
 * balancing and failover show within a test. */
#define CACHE_TIME     GR_S(1)
#define ADDRS_MAX      16u
#define HOST_BYTES_MAX 255u

typedef struct name {
    gr_list link;
    gr_list queries;
    gr_dns_cache *dns;
    gr_addrs *addrs; /* NULL while being resolved */
    gr_ns resolved_at;
    uv_getaddrinfo_t req;
    size_t host_n;
    char host[];
} name;

struct gr_dns_cache {
    gr_loop *lp;
    gr_list names;
};

static gr_addrs *addrs_new(uint32_t n) {
    gr_addrs *addrs = gr_calloc(1, sizeof *addrs + n * sizeof addrs->at[0]);
    if (addrs) addrs->refs = 1;
    return addrs;
}

static gr_addrs *addrs_ref(gr_addrs *addrs) {
    addrs->refs++;
    return addrs;
}

void gr_addrs_unref(gr_addrs *addrs) {
    if (addrs && --addrs->refs == 0) gr_free(addrs);
}

static bool parse_literal(gr_str host, gr_addr *addr) {
    char text[INET6_ADDRSTRLEN + 1];
    if (host.n == 0 || host.n >= sizeof text) return false;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    memset(addr, 0, sizeof *addr);
    if (inet_pton(AF_INET, text, &addr->in.sin_addr) == 1) {
        addr->in.sin_family = AF_INET;
        return true;
    }
    if (inet_pton(AF_INET6, text, &addr->in6.sin6_addr) != 1) return false;
    addr->in6.sin6_family = AF_INET6;
    return true;
}

bool gr_addr_is_literal(gr_str host) {
    gr_addr addr;
    return parse_literal(host, &addr);
}

static int literal_addrs(const gr_addr *addr, gr_addrs **out) {
    gr_addrs *addrs = addrs_new(1);
    if (!addrs) return GR_E_NOMEM;
    addrs->at[addrs->n++] = *addr;
    *out = addrs;
    return 1;
}

static gr_addrs *addrs_from(const struct addrinfo *list) {
    gr_addrs *addrs = addrs_new(ADDRS_MAX);
    for (const struct addrinfo *ai = list; addrs && ai && addrs->n < ADDRS_MAX; ai = ai->ai_next) {
        if (ai->ai_family != AF_INET && ai->ai_family != AF_INET6) continue;
        gr_addr *addr = &addrs->at[addrs->n];
        if (ai->ai_addrlen > sizeof *addr) continue;
        memcpy(addr, ai->ai_addr, ai->ai_addrlen);
        addrs->n++;
    }
    return addrs;
}

/* libuv numbers the resolver's errors anew; users know the system's sentences. */
static const char *resolver_text(int status) {
    static const struct {
        int uv, system;
    } codes[] = {{UV_EAI_AGAIN, EAI_AGAIN},   {UV_EAI_FAIL, EAI_FAIL},
                 {UV_EAI_FAMILY, EAI_FAMILY}, {UV_EAI_NODATA, EAI_NODATA},
                 {UV_EAI_NONAME, EAI_NONAME}, {UV_EAI_ADDRFAMILY, EAI_ADDRFAMILY}};
    for (size_t i = 0; i < GR_LEN(codes); i++)
        if (codes[i].uv == status) return gai_strerror(codes[i].system);
    return uv_strerror(status);
}

static void name_free(name *nm) {
    gr_list_remove(&nm->link);
    gr_addrs_unref(nm->addrs);
    gr_free(nm);
}

/* A callback may start the same lookup anew, cancel others, or destroy its query. */
static void answer(name *nm, int rc, gr_addrs *addrs, const char *why) {
    gr_list queries, *first;
    gr_list_init(&queries);
    while ((first = gr_list_first(&nm->queries))) {
        gr_list_remove(first);
        gr_list_add_tail(&queries, first);
    }
    while ((first = gr_list_first(&queries))) {
        gr_dns_query *q = GR_CONTAINER(first, gr_dns_query, link);
        gr_list_remove(first);
        q->cb(q, rc, addrs ? addrs_ref(addrs) : NULL, why);
    }
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list) {
    name *nm = GR_CONTAINER(req, name, req);
    gr__loop_tick(nm->dns->lp, gr_clock_ns());
    gr_addrs *addrs = status == 0 ? addrs_from(list) : NULL;
    uv_freeaddrinfo(list);
    if (addrs && addrs->n > 0) {
        nm->addrs = addrs_ref(addrs);
        nm->resolved_at = gr_loop_now(nm->dns->lp);
        answer(nm, 0, addrs, NULL);
    } else { /* failures are not kept: the next user asks again */
        gr_list_remove(&nm->link);
        bool no_memory = status == UV_EAI_MEMORY || (status == 0 && !addrs);
        const char *why = resolver_text(status == 0 ? UV_EAI_NODATA : status);
        answer(nm, no_memory ? GR_E_NOMEM : GR_E_DNS, NULL, no_memory ? NULL : why);
        name_free(nm);
    }
    gr_addrs_unref(addrs);
}

static name *name_find(gr_dns_cache *dns, gr_str host) {
    gr_ns now = gr_loop_now(dns->lp);
    name *found = NULL;
    for (gr_list *l = dns->names.next, *next; l != &dns->names; l = next) {
        next = l->next;
        name *nm = GR_CONTAINER(l, name, link);
        if (nm->addrs && now - nm->resolved_at > CACHE_TIME)
            name_free(nm);
        else if (gr_str_ieq((gr_str){nm->host, nm->host_n}, host))
            found = nm;
    }
    return found;
}

static int name_new(gr_dns_cache *dns, gr_str host, name **out) {
    name *nm = gr_calloc(1, sizeof *nm + host.n + 1);
    if (!nm) return GR_E_NOMEM;
    nm->dns = dns;
    nm->host_n = host.n;
    memcpy(nm->host, host.p, host.n);
    gr_list_init(&nm->link);
    gr_list_init(&nm->queries);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int rc = uv_getaddrinfo(&dns->lp->uv, &nm->req, on_resolved, nm->host, NULL, &hints);
    if (rc < 0) {
        gr_free(nm);
        return rc == UV_ENOMEM ? GR_E_NOMEM : GR_E_DNS;
    }
    gr_list_add_tail(&dns->names, &nm->link);
    *out = nm;
    return 0;
}

static gr_dns_cache *cache_of(gr_loop *lp) {
    if (!lp->dns && (lp->dns = gr_calloc(1, sizeof *lp->dns))) {
        lp->dns->lp = lp;
        gr_list_init(&lp->dns->names);
    }
    return lp->dns;
}

int gr_dns_lookup(gr_loop *lp, gr_dns_query *q, gr_str host, gr_addrs **addrs) {
    gr_addr literal;
    if (parse_literal(host, &literal)) return literal_addrs(&literal, addrs);
    if (host.n == 0 || host.n > HOST_BYTES_MAX || memchr(host.p, 0, host.n)) return GR_E_DNS;
    gr_dns_cache *dns = cache_of(lp);
    if (!dns) return GR_E_NOMEM;
    name *nm = name_find(dns, host);
    if (nm && nm->addrs) {
        *addrs = addrs_ref(nm->addrs);
        return 1;
    }
    int rc = nm ? 0 : name_new(dns, host, &nm);
    if (rc == 0) gr_list_add_tail(&nm->queries, &q->link);
    return rc;
}

void gr__dns_cancel_all(gr_dns_cache *dns) {
    for (gr_list *l = dns->names.next; l != &dns->names; l = l->next) {
        name *nm = GR_CONTAINER(l, name, link);
        if (!nm->addrs)
            uv_cancel((uv_req_t *)&nm->req); /* fails when it runs already: waited for */
    }
}

void gr__dns_cache_free(gr_dns_cache *dns) {
    gr_list *first;
    if (!dns) return;
    while ((first = gr_list_first(&dns->names)))
        name_free(GR_CONTAINER(first, name, link));
    gr_free(dns);
}
