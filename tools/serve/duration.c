#include "tools/serve/duration.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const struct { const char *name; double ns; } units[] = {
    {"ns", 1}, {"us", 1e3}, {"\xc2\xb5s", 1e3}, {"\xce\xbcs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9},
};

static int64_t of_double(double ns) { return ns < 0 || ns >= 9e18 ? DURATION_FOREVER : (int64_t)ns; }

/* "1.5h" at *s: adds it and goes on behind it. */
static bool take(const char **s, double *sum) {
    const char *p = *s;
    double value = 0, place = 1;
    size_t n_digit = 0;
    for (; isdigit((unsigned char)*p); p++, n_digit++) value = value * 10 + (*p - '0');
    if (*p == '.')
        for (p++; isdigit((unsigned char)*p); p++, n_digit++) value += (*p - '0') * (place /= 10);
    size_t n = 0;
    while (p[n] && p[n] != '.' && !isdigit((unsigned char)p[n])) n++;
    for (size_t i = 0; i < sizeof units / sizeof *units && n_digit; i++) {
        if (strlen(units[i].name) != n || memcmp(p, units[i].name, n) != 0) continue;
        *sum += value * units[i].ns;
        *s = p + n;
        return true;
    }
    return false;
}

bool duration_parse(const char *s, int64_t *ns) {
    double sum = 0;
    bool minus = *s == '-';
    if (*s == '-' || *s == '+') s++;
    if (!*s) return false;
    if (strcmp(s, "0") == 0) {
        *ns = 0;
        return true;
    }
    while (*s)
        if (!take(&s, &sum)) return false;
    *ns = of_double(minus ? -sum : sum);
    return true;
}

bool duration_of_json(const json_t *v, int64_t *ns) {
    if (json_is_number(v)) *ns = of_double(json_number_value(v) * 1e9);
    return json_is_number(v) || (json_is_string(v) && duration_parse(json_string_value(v), ns));
}
