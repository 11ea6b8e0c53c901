#include "tools/serve/json_out.h"

#include <string.h>
#include <time.h>

static int append(const char *p, size_t n, void *ctx) {
    struct strbuf *t = ctx;
    strbuf_add(t, p, n);
    return t->failed ? -1 : 0;
}

void json_out_add(struct strbuf *t, json_t *v) {
    if (!v || json_dump_callback(v, append, t, JSON_COMPACT | JSON_ENCODE_ANY)) t->failed = true;
    json_decref(v);
}

/* The length of the well-formed UTF-8 character at s, or 0. */
static size_t utf8_len(const unsigned char *s, size_t n) {
    if (s[0] < 0x80) return 1;
    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || len > n) return 0;
    for (size_t i = 1; i < len; i++)
        if (s[i] >> 6 != 2) return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

json_t *json_out_str(const char *p, size_t n) {
    json_t *s = json_stringn(p, n);
    if (s) return s;
    struct strbuf t = {0};
    for (size_t i = 0; i < n;) {
        size_t len = utf8_len((const unsigned char *)p + i, n - i);
        strbuf_add(&t, len ? p + i : "\xef\xbf\xbd", len ? len : 3);
        i += len ? len : 1;
    }
    s = strbuf_ok(&t) ? json_stringn(strbuf_of(&t), t.n) : NULL;
    strbuf_deinit(&t);
    return s;
}

static const char *error_type(int status) {
    return status == 400 ? "invalid_request_error" : status == 404 ? "not_found_error" : "api_error";
}

json_t *json_out_error(bool openai, int status, const char *message) {
    json_t *text = json_out_str(message, strlen(message));
    if (!openai) return json_pack("{s:o}", "error", text);
    return json_pack("{s:{s:o,s:s,s:n,s:n}}", "error", "message", text, "type", error_type(status), "param", "code");
}

int64_t json_out_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

json_t *json_out_time(int64_t unix_ns) {
    time_t s = (time_t)(unix_ns / 1000000000);
    struct tm tm;
    char text[64];
    gmtime_r(&s, &tm);
    size_t n = strftime(text, sizeof text - 16, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(text + n, 16, ".%09dZ", (int)(unix_ns % 1000000000));
    return json_stringn(text, n);
}
