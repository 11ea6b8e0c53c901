/* Where the server listens. */
#pragma once
#include <stdint.h>
#include <sys/socket.h>

#include "runtime/err.h"

struct listen_at {
    char host[256];
    uint32_t port;
};

/* "host", "host:port", ":port", "[::1]:port", "http://host[:port]": what is given replaces what is there. */
int listen_parse(const char *spec, struct listen_at *at, struct err *e);

struct listen_socket {
    int fd;
    struct sockaddr_storage bound;
    char host[256]; /* the address as text, in brackets when it is IPv6 */
    uint32_t port;
};
int listen_open(const struct listen_at *at, struct listen_socket *out, struct err *e);
