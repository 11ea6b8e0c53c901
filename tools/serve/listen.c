#include "tools/serve/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define BACKLOG 512

static int wrong(const char *spec, struct err *e) {
    return err_set(e, ERR_ARG, "'%s' is not an address to listen at; use HOST, HOST:PORT or :PORT", spec);
}

int listen_parse(const char *spec, struct listen_at *at, struct err *e) {
    const char *s = spec;
    bool http = strncasecmp(s, "http://", 7) == 0, https = strncasecmp(s, "https://", 8) == 0;
    if (http || https) {
        s += http ? 7 : 8;
        at->port = http ? 80 : 443;
    }
    size_t n = strcspn(s, "/");
    const char *bracket = *s == '[' ? memchr(s, ']', n) : NULL, *colon = bracket ? bracket + 1 : memchr(s, ':', n);
    bool bare6 = !bracket && colon && memchr(colon + 1, ':', n - (size_t)(colon + 1 - s)); /* "::1" */
    if (bare6 || (bracket && (bracket + 1 == s + n || *colon != ':'))) colon = NULL;
    const char *host = bracket ? s + 1 : s, *end = bracket ? bracket : colon ? colon : s + n;
    if (end > host) {
        if ((size_t)(end - host) >= sizeof at->host) return wrong(spec, e);
        memcpy(at->host, host, (size_t)(end - host));
        at->host[end - host] = 0;
    }
    if (!colon || colon + 1 == s + n) return ERR_OK;
    char *stop;
    unsigned long port = strtoul(colon + 1, &stop, 10);
    if (stop != s + n || port > 65535) return wrong(spec, e);
    at->port = (uint32_t)port;
    return ERR_OK;
}

static int bind_one(const struct addrinfo *a) {
    int fd = socket(a->ai_family, SOCK_STREAM, 0), on = 1;
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static void describe(struct listen_socket *s) {
    socklen_t n = sizeof s->bound;
    char host[200], port[16];
    bool v6 = getsockname(s->fd, (struct sockaddr *)&s->bound, &n) == 0 && s->bound.ss_family == AF_INET6;
    if (getnameinfo((struct sockaddr *)&s->bound, n, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV))
        host[0] = port[0] = 0;
    snprintf(s->host, sizeof s->host, v6 ? "[%s]" : "%s", host);
    s->port = (uint32_t)strtoul(port, NULL, 10);
}

int listen_open(const struct listen_at *at, struct listen_socket *out, struct err *e) {
    char port[16];
    struct addrinfo *all, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    snprintf(port, sizeof port, "%u", at->port);
    int rc = getaddrinfo(at->host, port, &hints, &all);
    if (rc) return err_set(e, ERR_ARG, "'%s' is no address of this machine (%s); use --host 127.0.0.1", at->host, gai_strerror(rc));
    *out = (struct listen_socket){.fd = -1};
    for (int family = 0; family < 2 && out->fd < 0; family++) /* "localhost" is 127.0.0.1 before it is ::1 */
        for (struct addrinfo *a = all; a && out->fd < 0; a = a->ai_next)
            if ((a->ai_family == AF_INET) == (family == 0)) out->fd = bind_one(a);
    int error = errno;
    freeaddrinfo(all);
    if (out->fd < 0) {
        const char *help =
            error == EADDRINUSE ? "another program listens there; stop it, or use --port" : "use another --host or --port";
        return err_set(e, ERR_IO, "cannot listen at %s port %u: %s; %s", at->host, at->port, strerror(error), help);
    }
    describe(out);
    return ERR_OK;
}
