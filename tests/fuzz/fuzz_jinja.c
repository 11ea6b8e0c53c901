/* A template, and behind the first zero byte its variables as JSON. Whatever it is, rendering ends, with text or an
 * error that names a place; the chat front end makes a prompt of a conversation or an error. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "models/chat/chat.h"
#include "models/chat/jinja.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char conversation[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \"be brief\"}, {\"role\": \"user\", \"content\":"
    " \"hi <b>\\u00e9\"},"
    "{\"role\": \"assistant\", \"content\": \"\", \"thinking\": \"hm\", \"tool_calls\": [{\"id\": \"c1\","
    " \"function\": {\"name\": \"f\","
    "\"arguments\": {\"a\": [1, 2.5, null, true]}}}]}, {\"role\": \"tool\", \"content\": \"7\"}],"
    "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {\"type\": \"object\"}}}]}";

static int render(const struct jinja *t, const json_t *vars) {
    struct err e = {0};
    char *text;
    size_t len;
    int rc = jinja_render(t, vars, 1700000000, &text, &len, &e);
    if (rc ? text || !*e.text || rc != e.code : text[len] != 0) abort();
    free(text);
    return rc;
}

static void chat(const char *source, size_t len, const json_t *j) {
    struct chat *c;
    struct err e = {0};
    if (chat_open_text(source, len, "<s>", "</s>", &c, &e)) abort(); /* it parsed before */
    for (int think = CHAT_THINK_DEFAULT; think <= CHAT_THINK_ON; think++) {
        struct chat_request r = {.messages = json_object_get(j, "messages"), .tools = json_object_get(j, "tools"),
                                 .add_generation_prompt = true, .think = (enum chat_think)think};
        char *text;
        size_t n;
        int rc = chat_render(c, &r, &text, &n, &e);
        if (rc ? text || !*e.text : text[n] != 0) abort();
        if (!rc) chat_opens_thinking(c, text, n);
        free(text);
    }
    chat_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *source = (const char *)data;
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t len = zero ? (size_t)(zero - data) : size;
    struct err e = {0};
    struct jinja *t;
    if (jinja_new(source, len, &t, &e)) {
        if (t || !*e.text) abort();
        return 0;
    }
    json_t *fixed = json_loads(conversation, 0, NULL);
    json_t *vars = zero ? json_loadb(source + len + 1, size - len - 1, JSON_ALLOW_NUL, NULL) : NULL;
    int rc = vars ? render(t, vars) : ERR_OK;
    if (rc != ERR_LIMIT) rc = render(t, fixed);
    if (rc != ERR_LIMIT) chat(source, len, fixed);
    json_decref(vars);
    json_decref(fixed);
    jinja_free(t);
    return 0;
}
