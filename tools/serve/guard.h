/* Who may speak to the server: the Host header (against DNS rebinding), the Origin (CORS), the key.
 * Immutable after guard_init; any number of threads. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct guard {
    bool check_host;     /* bound to a loopback address */
    const char *api_key; /* borrowed; NULL: none is asked for */
    char **pattern;      /* allowed origins, each with at most one '*' */
    size_t n_pattern;
    bool any_origin;
    char hostname[256];
};

/* origins: comma-separated patterns beyond the built-in ones, may be NULL. False: out of memory. */
bool guard_init(struct guard *g, const struct sockaddr *bound, const char *origins, const char *api_key);
void guard_deinit(struct guard *g);

/* Whether a request with this Host header (NULL: none) may be answered. */
bool guard_host(const struct guard *g, const char *host);

enum guard_origin { ORIGIN_SAME, ORIGIN_ALLOWED, ORIGIN_FOREIGN };
enum guard_origin guard_origin(const struct guard *g, const char *origin, const char *host);

/* Authorization is "Bearer KEY" or, for browsers, "Basic" with KEY as the password. */
bool guard_key(const struct guard *g, const char *authorization);
