#include "tools/serve/guard.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "tools/serve/base64.h"

static const char *const always[] = {
    "http://localhost", "https://localhost", "http://localhost:*", "https://localhost:*",
    "http://127.0.0.1", "https://127.0.0.1", "http://127.0.0.1:*", "https://127.0.0.1:*",
    "http://0.0.0.0",   "https://0.0.0.0",   "http://0.0.0.0:*",   "https://0.0.0.0:*",
    "app://*", "file://*", "tauri://*", "vscode-webview://*", "vscode-file://*",
};

static bool loopback(const struct sockaddr *a) {
    if (a->sa_family == AF_INET) return ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24 == 127;
    return a->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
}

static bool add_pattern(struct guard *g, const char *p, size_t n) {
    while (n && *p == ' ') p++, n--;
    while (n && p[n - 1] == ' ') n--;
    if (n == 0) return true;
    if (n == 1 && *p == '*') g->any_origin = true;
    char **grown = realloc(g->pattern, (g->n_pattern + 1) * sizeof *grown);
    if (!grown) return false;
    g->pattern = grown;
    g->pattern[g->n_pattern] = strndup(p, n);
    return g->pattern[g->n_pattern] && ++g->n_pattern;
}

bool guard_init(struct guard *g, const struct sockaddr *bound, const char *origins, const char *api_key) {
    *g = (struct guard){.check_host = loopback(bound), .api_key = api_key};
    if (gethostname(g->hostname, sizeof g->hostname - 1)) g->hostname[0] = 0;
    bool ok = true;
    for (size_t i = 0; i < sizeof always / sizeof *always; i++) ok = ok && add_pattern(g, always[i], strlen(always[i]));
    while (origins && *origins) {
        size_t n = strcspn(origins, ",");
        ok = ok && add_pattern(g, origins, n);
        origins += n + (origins[n] == ',');
    }
    return ok;
}

void guard_deinit(struct guard *g) {
    for (size_t i = 0; i < g->n_pattern; i++) free(g->pattern[i]);
    free(g->pattern);
}

/* Whether one of this machine's interfaces has the address. */
static bool own_address(int family, const void *addr, size_t n) {
    struct ifaddrs *all;
    if (getifaddrs(&all)) return false;
    bool found = false;
    for (struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != family) continue;
        const void *have = family == AF_INET ? (const void *)&((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr
                                             : (const void *)&((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr;
        found = memcmp(have, addr, n) == 0;
    }
    freeifaddrs(all);
    return found;
}

static bool near_v4(uint32_t a) { /* loopback, private or unspecified */
    return a == 0 || a >> 24 == 127 || a >> 24 == 10 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8;
}

static bool near_v6(const struct in6_addr *a) {
    if (IN6_IS_ADDR_V4MAPPED(a))
        return near_v4((uint32_t)a->s6_addr[12] << 24 | (uint32_t)a->s6_addr[13] << 16 | (uint32_t)a->s6_addr[14] << 8 |
                       a->s6_addr[15]);
    return IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_UNSPECIFIED(a) || (a->s6_addr[0] & 0xfe) == 0xfc;
}

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n > m && strcasecmp(s + n - m, end) == 0;
}

/* "[::1]:80", "::1", "localhost:80": the host alone. */
static bool host_part(const char *host, char out[256]) {
    const char *colon = strchr(host, ':'), *bracket = *host == '[' ? strchr(host, ']') : NULL;
    size_t n = bracket ? (size_t)(bracket - ++host) : colon && !strchr(colon + 1, ':') ? (size_t)(colon - host) : strlen(host);
    if (n >= 256 || (bracket && bracket[1] && bracket[1] != ':')) return false;
    memcpy(out, host, n);
    out[n] = 0;
    return true;
}

bool guard_host(const struct guard *g, const char *header) {
    char host[256];
    if (!g->check_host || !header || !*header) return true;
    if (!host_part(header, host)) return false;
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1) return near_v4(ntohl(v4.s_addr)) || own_address(AF_INET, &v4, sizeof v4);
    if (inet_pton(AF_INET6, host, &v6) == 1) return near_v6(&v6) || own_address(AF_INET6, &v6, sizeof v6);
    if (strchr(host, ':')) return false;
    return strcasecmp(host, "localhost") == 0 || (g->hostname[0] && strcasecmp(host, g->hostname) == 0) ||
           ends_with(host, ".localhost") || ends_with(host, ".local") || ends_with(host, ".internal");
}

static bool matches(const char *pattern, const char *s) {
    const char *star = strchr(pattern, '*');
    if (!star) return strcasecmp(pattern, s) == 0;
    size_t head = (size_t)(star - pattern), tail = strlen(star + 1), n = strlen(s);
    return n >= head + tail && strncasecmp(pattern, s, head) == 0 && strcasecmp(star + 1, s + n - tail) == 0;
}

enum guard_origin guard_origin(const struct guard *g, const char *origin, const char *host) {
    if (!origin) return ORIGIN_SAME;
    const char *rest = strncasecmp(origin, "http://", 7) == 0    ? origin + 7
                       : strncasecmp(origin, "https://", 8) == 0 ? origin + 8
                                                                 : NULL;
    if (rest && host && strcasecmp(rest, host) == 0) return ORIGIN_SAME;
    for (size_t i = 0; i < g->n_pattern; i++)
        if (matches(g->pattern[i], origin)) return ORIGIN_ALLOWED;
    return ORIGIN_FOREIGN;
}

/* In a time that does not tell where they differ. */
static bool same_key(const char *a, size_t n, const char *key) {
    size_t m = strlen(key);
    unsigned differ = n != m;
    for (size_t i = 0; i < n; i++) differ |= (unsigned char)a[i] ^ (unsigned char)key[m ? i % m : 0];
    return differ == 0;
}

bool guard_key(const struct guard *g, const char *authorization) {
    if (!g->api_key) return true;
    if (!authorization) return false;
    if (strncasecmp(authorization, "Bearer ", 7) == 0) return same_key(authorization + 7, strlen(authorization + 7), g->api_key);
    if (strncasecmp(authorization, "Basic ", 6) != 0) return false;
    unsigned char *plain;
    size_t n;
    if (!base64_decode(authorization + 6, strlen(authorization + 6), &plain, &n)) return false;
    const unsigned char *colon = memchr(plain, ':', n);
    bool ok = colon && same_key((const char *)colon + 1, n - (size_t)(colon + 1 - plain), g->api_key);
    free(plain);
    return ok;
}
