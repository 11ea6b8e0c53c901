#include "tools/serve/names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct name defaults = {"registry.ollama.ai", "library", "", "latest"};

static bool part_char(char c, const char *extra) { return isalnum((unsigned char)c) || (c && strchr(extra, c)); }

/* Copies a part and checks it; extra: what it may hold besides letters and digits. */
static bool take(char out[NAMES_PART_BYTES], const char *p, size_t n, const char *extra) {
    if (n == 0 || n >= NAMES_PART_BYTES || !part_char(p[0], "_")) return false;
    for (size_t i = 0; i < n; i++)
        if (!part_char(p[i], extra)) return false;
    memcpy(out, p, n);
    out[n] = 0;
    return true;
}

bool names_parse(const char *text, struct name *out) {
    *out = defaults;
    const char *last = strrchr(text, '/'), *model = last ? last + 1 : text, *colon = strchr(model, ':');
    size_t n = colon ? (size_t)(colon - model) : strlen(model);
    if (!take(out->model, model, n, "_-.")) return false;
    if (colon && !take(out->tag, colon + 1, strlen(colon + 1), "_-.")) return false;
    if (!last) return true;
    const char *space = last;
    while (space > text && space[-1] != '/') space--;
    if (!take(out->space, space, (size_t)(last - space), "_-")) return false;
    return space == text || take(out->host, text, (size_t)(space - 1 - text), "_-.:");
}

bool names_equal(const struct name *a, const struct name *b) {
    return !strcasecmp(a->host, b->host) && !strcasecmp(a->space, b->space) && !strcasecmp(a->model, b->model) &&
           !strcasecmp(a->tag, b->tag);
}

void names_short(const struct name *n, char out[NAMES_SHORT_BYTES]) {
    bool host = strcasecmp(n->host, defaults.host) != 0, space = host || strcasecmp(n->space, defaults.space) != 0;
    snprintf(out, NAMES_SHORT_BYTES, "%s%s%s%s%s:%s", host ? n->host : "", host ? "/" : "", space ? n->space : "", space ? "/" : "",
             n->model, n->tag);
}

/* The length of "-00001-of-00003" at the end, or 0. */
static size_t split_suffix(const char *s, size_t n) {
    static const char form[] = "-#####-of-#####";
    size_t len = sizeof form - 1;
    if (n <= len) return 0;
    for (size_t i = 0; i < len; i++) {
        char c = s[n - len + i];
        if (form[i] == '#' ? !isdigit((unsigned char)c) : c != form[i]) return 0;
    }
    return len;
}

void names_of_file(const char *path, struct name *out) {
    *out = defaults;
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    size_t n = strlen(base);
    if (n >= 5 && strcasecmp(base + n - 5, ".gguf") == 0) n -= 5;
    n -= split_suffix(base, n);
    if (n >= NAMES_PART_BYTES) n = NAMES_PART_BYTES - 1;
    for (size_t i = 0; i < n; i++) out->model[i] = part_char(base[i], i ? "_-." : "_") ? base[i] : i ? '-' : '_';
    if (n == 0) strcpy(out->model, "model");
}
