#include "tools/serve/http.h"

#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "tools/serve/json_out.h"

#define MIB ((uint64_t)1 << 20)
#define BODY_MAX (64 * MIB)        /* of one request */
#define BODIES_MAX (512 * MIB)     /* of all that are held at a time */
#define SWALLOW_MAX (256 * MIB)    /* of a body that is too large: read, so that the client hears why */
#define CONNECTIONS_MAX 1024u
#define HEADER_BYTES ((size_t)64 << 10)
#define STACK_BYTES ((size_t)4 << 20) /* parsers recurse */
#define CHUNK_BYTES 16384u
#define IDLE_NS (120 * NS_PER_S)    /* until a request begins */
#define TRANSFER_NS (30 * NS_PER_S) /* for its head, its body or a piece of an answer, besides a second per SLOW_BYTES */
#define SLOW_BYTES 65536u
#define NS_PER_S 1000000000ull

enum conn_state { CONN_IDLE, CONN_RECEIVING, CONN_ANSWERING, CONN_SENDING };

/* A connection, for the watcher. */
struct conn {
    struct conn *next, **link;
    int fd;
    enum conn_state state;
    uint64_t since_ns, n_byte; /* of the state */
};

struct http_server {
    struct MHD_Daemon *daemon;
    struct http_options opt;
    pthread_mutex_t lock; /* conns and what is in them */
    pthread_cond_t wake;
    struct conn *conns;
    uint32_t n_conn;
    bool ends;
    pthread_t watcher;
    atomic_bool draining, stopping;
    atomic_uint n_active;
    atomic_ullong body_bytes, n_request, n_4xx, n_5xx, sent_bytes;
};

struct http_exchange {
    struct http_server *s;
    struct MHD_Connection *c;
    struct conn *conn;
    const struct http_route *route;
    char *path;
    unsigned method;
    struct strbuf body;
    uint64_t body_seen, body_counted;
    int verdict;            /* the status of a refusal; 0: none */
    const char *verdict_text, *allow_origin;
    bool preflight, active, replied, ended;
    struct strbuf out; /* what of a stream MHD has not taken yet, from out_at on */
    size_t out_at;
    bool (*more)(void *ctx, struct strbuf *out);
    void (*done)(void *ctx);
    void *stream_ctx;
};

/* Connections. */

static void conn_enter(struct http_server *s, struct conn *c, enum conn_state state, uint64_t n_byte) {
    pthread_mutex_lock(&s->lock);
    c->state = state;
    c->since_ns = clock_ns();
    c->n_byte = n_byte;
    pthread_mutex_unlock(&s->lock);
}

static void conn_add(struct http_server *s, struct conn *c) {
    pthread_mutex_lock(&s->lock);
    c->next = s->conns;
    c->link = &s->conns;
    if (c->next) c->next->link = &c->next;
    s->conns = c;
    s->n_conn++;
    pthread_mutex_unlock(&s->lock);
}

static void conn_remove(struct http_server *s, struct conn *c) {
    pthread_mutex_lock(&s->lock);
    *c->link = c->next;
    if (c->next) c->next->link = c->link;
    s->n_conn--;
    pthread_mutex_unlock(&s->lock);
}

static void on_connection(void *cls, struct MHD_Connection *mc, void **socket_ctx, enum MHD_ConnectionNotificationCode code) {
    struct http_server *s = cls;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (!*socket_ctx) return;
        conn_remove(s, *socket_ctx);
        free(*socket_ctx);
        return;
    }
    struct conn *c = calloc(1, sizeof *c); /* without one, the request is refused later */
    *socket_ctx = c;
    if (!c) return;
    c->fd = MHD_get_connection_info(mc, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    c->since_ns = clock_ns();
    conn_add(s, c);
}

static bool too_slow(const struct conn *c, uint64_t now) {
    uint64_t allowed = TRANSFER_NS + c->n_byte / SLOW_BYTES * NS_PER_S;
    return c->state != CONN_ANSWERING && now - c->since_ns > (c->state == CONN_IDLE ? IDLE_NS : allowed);
}

/* The thread of a connection sleeps in poll; shutting its socket down wakes and ends it. */
static void *watch(void *arg) {
    struct http_server *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->ends) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        t.tv_sec++;
        pthread_cond_timedwait(&s->wake, &s->lock, &t);
        uint64_t now = clock_ns();
        for (struct conn *c = s->conns; c; c = c->next)
            if (too_slow(c, now)) shutdown(c->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Requests. */

static unsigned method_of(const char *m) {
    static const struct {
        const char *name;
        unsigned bit;
    } all[] = {{"GET", HTTP_GET}, {"HEAD", HTTP_HEAD}, {"POST", HTTP_POST}, {"DELETE", HTTP_DELETE}};
    for (size_t i = 0; i < 4; i++)
        if (strcmp(m, all[i].name) == 0) return all[i].bit;
    return 0;
}

static const struct http_route *find_route(const struct http_server *s, const char *path) {
    for (size_t i = 0; i < s->opt.n_route; i++) {
        const struct http_route *r = &s->opt.routes[i];
        size_t n = strlen(r->path);
        bool prefix = n > 1 && r->path[n - 1] == '/';
        if (prefix ? strncmp(path, r->path, n) == 0 && path[n] : strcmp(path, r->path) == 0) return r;
    }
    return NULL;
}

static int refuse(struct http_exchange *x, int status, const char *text) {
    x->verdict = status;
    x->verdict_text = text;
    return status;
}

/* Everything that can be refused before the body is read. Returns the status of the refusal, or 0. */
static int judge(struct http_exchange *x, const char *method) {
    const struct guard *g = x->s->opt.guard;
    const char *host = http_header(x, "Host"), *origin = http_header(x, "Origin");
    if (!guard_host(g, host)) return refuse(x, 403, NULL);
    enum guard_origin o = guard_origin(g, origin, host);
    if (o == ORIGIN_FOREIGN) return refuse(x, 403, NULL);
    if (o == ORIGIN_ALLOWED) x->allow_origin = g->any_origin ? "*" : origin;
    x->preflight = o == ORIGIN_ALLOWED && strcmp(method, "OPTIONS") == 0;
    if (x->preflight) return refuse(x, 204, NULL);
    if (strcmp(x->path, "/") != 0 && !guard_key(g, http_header(x, "Authorization"))) return refuse(x, 401, "unauthorized");
    x->route = find_route(x->s, x->path);
    if (!x->route) return refuse(x, 404, "404 page not found");
    if (!(x->route->methods & x->method)) return refuse(x, 405, "405 method not allowed");
    if (atomic_load(&x->s->draining)) return refuse(x, 503, "the server is ending");
    return 0;
}

static uint64_t announced_bytes(const struct http_exchange *x) {
    const char *n = http_header(x, "Content-Length");
    return n ? strtoull(n, NULL, 10) : 0;
}

/* The first line of a request has come. */
static void *on_line(void *cls, const char *line, struct MHD_Connection *mc) {
    struct conn *conn = MHD_get_connection_info(mc, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    if (conn) conn_enter(cls, conn, CONN_RECEIVING, 0);
    return NULL;
}

static int hex(char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* %-escapes in place, but for that of NUL, which would end the path early. */
static size_t unescape(void *cls, struct MHD_Connection *mc, char *s) {
    char *to = s;
    for (const char *p = s; *p; p++) {
        int high = *p == '%' ? hex(p[1]) : -1, low = high < 0 ? -1 : hex(p[2]);
        bool escape = low >= 0 && high * 16 + low != 0;
        *to++ = escape ? (char)(high * 16 + low) : *p;
        if (escape) p += 2;
    }
    *to = 0;
    return (size_t)(to - s);
}

static struct http_exchange *begin(struct http_server *s, struct MHD_Connection *mc, const char *url, const char *method) {
    struct conn *conn = MHD_get_connection_info(mc, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    struct http_exchange *x = conn ? calloc(1, sizeof *x) : NULL;
    if (!x) return NULL;
    *x = (struct http_exchange){.s = s, .c = mc, .conn = conn, .path = strdup(url), .method = method_of(method)};
    if (!x->path) {
        free(x);
        return NULL;
    }
    atomic_fetch_add(&s->n_request, 1);
    judge(x, method);
    conn_enter(s, conn, CONN_RECEIVING, 0);
    return x;
}

/* One piece of the body. False: the connection is closed. */
static bool receive(struct http_exchange *x, const char *p, size_t n) {
    struct http_server *s = x->s;
    x->body_seen += n;
    pthread_mutex_lock(&s->lock);
    x->conn->n_byte += n;
    pthread_mutex_unlock(&s->lock);
    if (x->body_seen > SWALLOW_MAX) return false;
    if (x->verdict) return true;
    uint64_t all = atomic_fetch_add(&s->body_bytes, n) + n;
    x->body_counted += n;
    strbuf_add(&x->body, p, n);
    if (x->body_seen > BODY_MAX) refuse(x, 413, "the request is larger than 64 MiB");
    else if (all > BODIES_MAX || !strbuf_ok(&x->body)) refuse(x, 503, "no memory for the request now, please try again");
    if (x->verdict) {
        atomic_fetch_sub(&s->body_bytes, x->body_counted);
        x->body_counted = 0;
        strbuf_deinit(&x->body);
    }
    return true;
}

static void allow_header(unsigned methods, char out[32]) {
    snprintf(out, 32, "%s%s%s%s", methods & HTTP_GET ? ", GET" : "", methods & HTTP_HEAD ? ", HEAD" : "",
             methods & HTTP_POST ? ", POST" : "", methods & HTTP_DELETE ? ", DELETE" : "");
}

static void add_headers(struct http_exchange *x, struct MHD_Response *r, int status, const char *type) {
    char allow[32];
    if (type) MHD_add_response_header(r, "Content-Type", type);
    if (x->allow_origin) {
        MHD_add_response_header(r, "Access-Control-Allow-Origin", x->allow_origin);
        MHD_add_response_header(r, "Vary", "Origin");
    }
    if (x->preflight) {
        const char *asked = http_header(x, "Access-Control-Request-Headers");
        MHD_add_response_header(r, "Access-Control-Allow-Methods", "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS");
        MHD_add_response_header(r, "Access-Control-Allow-Headers",
                                asked ? asked : "Authorization,Content-Type,User-Agent,Accept,X-Requested-With");
        MHD_add_response_header(r, "Access-Control-Max-Age", "43200");
    }
    if (status == 405 && x->route) {
        allow_header(x->route->methods, allow);
        MHD_add_response_header(r, "Allow", allow + 2);
    }
    if (status == 401) MHD_add_response_header(r, "WWW-Authenticate", "Basic realm=\"hy\"");
    if (status == 413 || status == 503) MHD_add_response_header(r, "Connection", "close");
}

static void queue(struct http_exchange *x, int status, const char *type, struct MHD_Response *r, uint64_t n_byte) {
    x->replied = true;
    if (!r) return;
    if (status >= 500) atomic_fetch_add(&x->s->n_5xx, 1);
    else if (status >= 400) atomic_fetch_add(&x->s->n_4xx, 1);
    atomic_fetch_add(&x->s->sent_bytes, n_byte);
    conn_enter(x->s, x->conn, CONN_SENDING, n_byte);
    add_headers(x, r, status, type);
    MHD_queue_response(x->c, (unsigned)status, r);
    MHD_destroy_response(r);
}

static void reply_verdict(struct http_exchange *x) {
    int status = x->verdict;
    if (status == 404 || status == 405) http_reply_str(x, status, HTTP_TEXT, x->verdict_text);
    else if (x->verdict_text) http_error(x, status, "%s", x->verdict_text);
    else http_reply_str(x, status, NULL, "");
}

static void answer(struct http_exchange *x) {
    atomic_fetch_add(&x->s->n_active, 1);
    x->active = true;
    conn_enter(x->s, x->conn, CONN_ANSWERING, 0);
    if (x->verdict) reply_verdict(x);
    else x->route->run(x, x->s->opt.ctx);
    if (!x->replied) http_error(x, 500, "no answer was made");
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mc, const char *url, const char *method, const char *version,
                                  const char *upload, size_t *n_upload, void **ctx) {
    struct http_exchange *x = *ctx;
    if (!x) {
        *ctx = x = begin(cls, mc, url, method);
        if (!x) return MHD_NO;
        uint64_t announced = announced_bytes(x);
        if (!x->verdict && announced > BODY_MAX) refuse(x, 413, "the request is larger than 64 MiB");
        bool asks = http_header(x, "Expect") != NULL; /* and has not sent the body yet */
        if (x->verdict && (asks || announced > SWALLOW_MAX)) reply_verdict(x);
        return MHD_YES;
    }
    if (*n_upload) {
        bool ok = receive(x, upload, *n_upload);
        *n_upload = 0;
        return ok ? MHD_YES : MHD_NO;
    }
    if (!x->replied) answer(x);
    return MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *mc, void **ctx, enum MHD_RequestTerminationCode code) {
    struct http_exchange *x = *ctx;
    if (!x) return;
    if (x->done) x->done(x->stream_ctx);
    if (x->active) atomic_fetch_sub(&x->s->n_active, 1);
    atomic_fetch_sub(&x->s->body_bytes, x->body_counted);
    conn_enter(x->s, x->conn, CONN_IDLE, 0);
    strbuf_deinit(&x->body);
    strbuf_deinit(&x->out);
    free(x->path);
    free(x);
    *ctx = NULL;
}

const char *http_path(const struct http_exchange *x) { return x->path; }
bool http_is(const struct http_exchange *x, unsigned method) { return x->method == method; }
const struct strbuf *http_body(const struct http_exchange *x) { return &x->body; }
const char *http_header(const struct http_exchange *x, const char *name) {
    return MHD_lookup_connection_value(x->c, MHD_HEADER_KIND, name);
}

bool http_gone(const struct http_exchange *x) {
    if (atomic_load(&x->s->stopping)) return true;
    struct pollfd p = {.fd = x->conn->fd, .events = POLLIN};
#ifdef POLLRDHUP
    p.events |= POLLRDHUP;
    if (poll(&p, 1, 0) > 0 && p.revents & (POLLRDHUP | POLLHUP | POLLERR)) return true;
#else
    char byte;
    if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR) || recv(p.fd, &byte, 1, MSG_PEEK) == 0)) return true;
#endif
    return false;
}

/* Answers. */

void http_reply(struct http_exchange *x, int status, const char *type, struct strbuf *body) {
    if (!strbuf_ok(body)) {
        strbuf_deinit(body);
        http_error(x, 500, "out of memory");
        return;
    }
    size_t n = body->n;
    struct MHD_Response *r = MHD_create_response_from_buffer(n, body->p, body->p ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!r) strbuf_deinit(body);
    *body = (struct strbuf){0};
    queue(x, status, type, r, n);
}

void http_reply_str(struct http_exchange *x, int status, const char *type, const char *body) {
    size_t n = strlen(body);
    queue(x, status, type, MHD_create_response_from_buffer(n, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY), n);
}

void http_error(struct http_exchange *x, int status, const char *fmt, ...) {
    char message[ERR_TEXT_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    struct strbuf t = {0};
    json_out_add(&t, json_out_error(strncmp(x->path, "/v1/", 4) == 0, status, message));
    if (strbuf_ok(&t)) http_reply(x, status, HTTP_JSON, &t);
    else http_reply_str(x, status, HTTP_JSON, "{\"error\":\"out of memory\"}");
    strbuf_deinit(&t);
}

static ssize_t on_more(void *cls, uint64_t pos, char *buf, size_t max) {
    struct http_exchange *x = cls;
    if (x->out_at == x->out.n) {
        strbuf_clear(&x->out);
        x->out_at = 0;
        conn_enter(x->s, x->conn, CONN_ANSWERING, 0);
        while (!x->out.n && !x->ended) x->ended = !x->more(x->stream_ctx, &x->out);
        if (!strbuf_ok(&x->out) || (x->ended && http_gone(x))) return MHD_CONTENT_READER_END_WITH_ERROR;
        conn_enter(x->s, x->conn, CONN_SENDING, x->out.n);
        atomic_fetch_add(&x->s->sent_bytes, x->out.n);
        if (!x->out.n) return MHD_CONTENT_READER_END_OF_STREAM;
    }
    size_t n = x->out.n - x->out_at < max ? x->out.n - x->out_at : max;
    memcpy(buf, x->out.p + x->out_at, n);
    x->out_at += n;
    return (ssize_t)n;
}

void http_stream(struct http_exchange *x, const char *type, bool (*more)(void *ctx, struct strbuf *out),
                 void (*done)(void *ctx), void *ctx) {
    x->more = more;
    x->done = done;
    x->stream_ctx = ctx;
    queue(x, 200, type, MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, CHUNK_BYTES, on_more, x, NULL), 0);
}

/* The server. */

static void no_log(void *cls, const char *fmt, va_list ap) {}

static void start(struct http_server *s) {
    const struct MHD_OptionItem options[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)no_log, NULL},
        {MHD_OPTION_LISTEN_SOCKET, s->opt.listen_fd, NULL},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, s},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_line, s},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)unescape, NULL},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, s},
        {MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, HEADER_BYTES, NULL},
        {MHD_OPTION_THREAD_STACK_SIZE, STACK_BYTES, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags =
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    s->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, s, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

int http_new(const struct http_options *opt, struct http_server **out, struct err *e) {
    struct http_server *s = calloc(1, sizeof *s);
    if (!s) return err_set(e, ERR_NOMEM, "no memory for the server");
    s->opt = *opt;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
    if (pthread_create(&s->watcher, NULL, watch, s)) {
        free(s);
        return err_set(e, ERR_NOMEM, "no thread for the server");
    }
    *out = s; /* those who connected before are answered at once, and may ask for it */
    start(s);
    if (s->daemon) return ERR_OK;
    *out = NULL;
    http_free(s);
    return err_set(e, ERR_IO, "the HTTP server does not start");
}

uint32_t http_drain(struct http_server *s) {
    if (!atomic_exchange(&s->draining, true)) MHD_quiesce_daemon(s->daemon);
    return atomic_load(&s->n_active);
}

void http_free(struct http_server *s) {
    if (!s) return;
    atomic_store(&s->stopping, true);
    if (s->daemon) MHD_stop_daemon(s->daemon);
    pthread_mutex_lock(&s->lock);
    s->ends = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->watcher, NULL);
    if (atomic_load(&s->draining)) close(s->opt.listen_fd);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void http_stats(struct http_server *s, struct http_stats *out) {
    *out = (struct http_stats){.n_request = atomic_load(&s->n_request),
                               .n_4xx = atomic_load(&s->n_4xx),
                               .n_5xx = atomic_load(&s->n_5xx),
                               .sent_bytes = atomic_load(&s->sent_bytes),
                               .n_active = atomic_load(&s->n_active)};
    pthread_mutex_lock(&s->lock);
    out->n_connection = s->n_conn;
    pthread_mutex_unlock(&s->lock);
}
