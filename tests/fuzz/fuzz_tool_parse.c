/* The first byte picks a form, the second how the rest is cut into pieces. However it is cut, the events are the same,
 * and no call names a tool that is not offered. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "models/chat/tool_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct log {
    char *text;
    size_t n, cap;
    int last;
};

static void put(struct log *l, const char *text, size_t n) {
    if (l->n + n > l->cap) {
        l->cap = 2 * (l->n + n) + 64;
        l->text = realloc(l->text, l->cap);
    }
    memcpy(l->text + l->n, text, n);
    l->n += n;
}

static void on_event(void *ctx, const struct tool_event *ev) {
    struct log *l = ctx;
    char kind = (char)('0' + ev->kind);
    if (l->last != (int)ev->kind || ev->kind == TOOL_CALL) put(l, &kind, 1);
    l->last = (int)ev->kind;
    if (ev->kind != TOOL_CALL) {
        CHECK(ev->len > 0);
        put(l, ev->text, ev->len);
        return;
    }
    CHECK(!strcmp(ev->name, "add") || !strcmp(ev->name, "f"));
    CHECK(json_is_object(ev->arguments));
    char *args = json_dumps(ev->arguments, JSON_COMPACT);
    put(l, ev->name, strlen(ev->name));
    if (args) put(l, args, strlen(args));
    free(args);
}

static struct log run(const uint8_t *data, size_t size, const json_t *tools, bool whole) {
    struct log l = {.last = -1};
    struct tool_parse *p;
    struct tool_options opt = {.form = data[0] % 9, .tools = tools, .in_thought = data[0] & 128};
    if (data[0] & 64) opt.think = think_detect("</think>", 8);
    CHECK(!tool_parse_new(&opt, on_event, &l, &p, NULL));
    for (size_t at = 2, n; at < size; at += n) {
        n = whole ? size : 1 + (size_t)(data[1] * at) % 7;
        if (n > size - at) n = size - at;
        CHECK(!tool_parse_feed(p, (const char *)data + at, n, NULL));
    }
    CHECK(!tool_parse_end(p, data[0] & 32, NULL));
    tool_parse_free(p);
    return l;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static json_t *tools;
    if (!tools)
        tools = json_loads("[{\"function\":{\"name\":\"add\",\"parameters\":{\"properties\":{\"a\":{\"type\":"
                           "\"integer\"}}}}},{\"name\":\"f\"}]",
                           0, NULL);
    if (size < 3) return 0;
    struct log a = run(data, size, tools, true), b = run(data, size, tools, false);
    CHECK(a.n == b.n && !(a.n && memcmp(a.text, b.text, a.n)));
    free(a.text);
    free(b.text);
    return 0;
}
