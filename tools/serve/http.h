/* HTTP: the transport under the API, over libmicrohttpd.
 *
 * Each connection has a thread of its own, so that a handler may block until its answer is there. A handler is called with the
 * whole body read; it answers once, with http_reply or http_stream. Who may ask (Host, Origin, key), the route, the method
 * and the size of the body are settled before.
 * A watcher closes connections whose client sends or reads too slowly; how long an answer takes is not limited.
 *
 * Threads: a handler and its exchange belong to one thread; http_stats and http_drain may be called from any. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "runtime/err.h"
#include "tools/serve/guard.h"
#include "tools/serve/strbuf.h"

enum { HTTP_GET = 1, HTTP_HEAD = 2, HTTP_POST = 4, HTTP_DELETE = 8 };

#define HTTP_TEXT "text/plain; charset=utf-8"
#define HTTP_JSON "application/json; charset=utf-8"
#define HTTP_NDJSON "application/x-ndjson"
#define HTTP_SSE "text/event-stream"

struct http_exchange;

struct http_route {
    const char *path; /* ends with '/': all paths that begin so, and are longer */
    unsigned methods;
    void (*run)(struct http_exchange *x, void *ctx);
};

struct http_options {
    int listen_fd; /* bound and listening; the server closes it */
    const struct http_route *routes;
    size_t n_route;
    void *ctx; /* of the handlers */
    const struct guard *guard;
};

struct http_server;
int http_new(const struct http_options *opt, struct http_server **out, struct err *e);
/* No new connections; requests on old ones get 503. Returns the number of exchanges that are still being answered. */
uint32_t http_drain(struct http_server *s);
/* Ends what is being answered (http_gone becomes true) and waits for it. NULL is fine. */
void http_free(struct http_server *s);

struct http_stats {
    uint64_t n_request, n_4xx, n_5xx, sent_bytes;
    uint32_t n_connection, n_active;
};
void http_stats(struct http_server *s, struct http_stats *out);

/* The request. */
const char *http_path(const struct http_exchange *x); /* decoded, without the query */
bool http_is(const struct http_exchange *x, unsigned method);
const struct strbuf *http_body(const struct http_exchange *x);
const char *http_header(const struct http_exchange *x, const char *name); /* NULL when absent */
/* The client has closed its side, or the server ends: nobody will read the answer. */
bool http_gone(const struct http_exchange *x);

/* The answer. body is emptied. */
void http_reply(struct http_exchange *x, int status, const char *type, struct strbuf *body);
void http_reply_str(struct http_exchange *x, int status, const char *type, const char *body);
/* In the form of the path's API: {"error":"..."} or, under /v1, an object. */
void http_error(struct http_exchange *x, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A 200 whose body comes piece by piece: more appends what there is (it may wait), false is the end. done is
 * called in any case, also when the client goes. */
void http_stream(struct http_exchange *x, const char *type, bool (*more)(void *ctx, struct strbuf *out),
                 void (*done)(void *ctx), void *ctx);
