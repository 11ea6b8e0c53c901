/* Chat templates: the template language against Jinja2's own answers (jinja_cases.h), errors with their places, hostile
 * templates, and what the chat front end makes of real and awkward conversations. Real models' templates
 * are compared with another implementation by test_templates.sh. */
#include "tests/support.h"

#include <pthread.h>
#include <time.h>

#include "models/chat/chat.h"
#include "models/chat/jinja.h"
#include "tests/jinja_cases.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif
#define NOW 1700000000 /* 2023-11-14 in every time zone but the last */

static json_t *parsed(const char *text) {
    json_error_t at;
    json_t *j = json_loads(text, 0, &at);
    if (!j) fail_msg("%s in: %s", at.text, text);
    return j;
}

/* Rendered text, or NULL with the error in support_err. The caller frees. */
static char *rendered(const char *source, size_t len, const json_t *vars) {
    struct jinja *t;
    char *text = NULL;
    size_t n = 0;
    support_err = (struct err){0};
    if (jinja_new(source, len, &t, &support_err)) return NULL;
    int rc = jinja_render(t, vars, NOW, &text, &n, &support_err);
    assert_int_equal(rc, support_err.code);
    assert_true(rc ? !text : strlen(text) == n || memchr(text, 0, n));
    jinja_free(t);
    return text;
}

static void test_cases(void **state) {
    json_t *vars = parsed(jinja_vars);
    uint32_t bad = 0;
    for (size_t i = 0; i < LEN(jinja_cases); i++) {
        const struct jinja_case *c = &jinja_cases[i];
        char *got = rendered(c->source, strlen(c->source), vars);
        bool same = got && c->want ? strcmp(got, c->want) == 0 : !got && !c->want;
        if (!same) print_message("%s\n want %s\n got  %s\n", c->source, c->want, got ? got : support_err.text);
        bad += !same;
        free(got);
    }
    json_decref(vars);
    assert_int_equal(bad, 0);
}

/* A template that renders to this, without variables. */
static void gives(const char *source, const char *want, int line) {
    json_t *none = json_object();
    char *got = rendered(source, strlen(source), none);
    if (!got || strcmp(got, want) != 0) fail_msg("line %d: '%s', not '%s'", line, got ? got : support_err.text, want);
    free(got);
    json_decref(none);
}
#define GIVES(source, want) gives(source, want, __LINE__)

static void fails(const char *source, int code, const char *words, int line) {
    json_t *none = json_object();
    char *got = rendered(source, strlen(source), none);
    if (got) fail_msg("line %d: gave '%s'", line, got);
    if (support_err.code != code || !strstr(support_err.text, words))
        fail_msg("line %d: %s: %s", line, err_name(support_err.code), support_err.text);
    json_decref(none);
}
#define FAILS(source, code, words) fails(source, code, words, __LINE__)

static void test_line_ends(void **state) {
    GIVES("a\r\nb\rc\n", "a\nb\nc"); /* one newline at the end is the file's, not the template's */
    GIVES("a\n\n", "a\n");
    GIVES("{% if 1 %}\r\nx\r\n{% endif %}\r\n", "x\n");
    GIVES("", "");
}

static void test_error_places(void **state) {
    FAILS("ab\n  {{ 1 + }}", ERR_FORMAT, "line 2, column 10: '}}' where an expression is expected");
    FAILS("{{ x.y }}", ERR_FORMAT, "line 1, column 5: 'x' is undefined");
    FAILS("{% set d = {} %}\n\xc3\xa4{{ d.a.b }}", ERR_FORMAT, "line 2, column 8: 'dict' has no attribute 'a'");
    FAILS("{% if 1 %}x", ERR_FORMAT, "needs {% endif %}");
    FAILS("{% for x in [1] %}{% endif %}", ERR_FORMAT, "'endif' is not a tag that can stand here");
    FAILS("{% include 'x' %}", ERR_FORMAT, "'include' is not a tag");
    FAILS("{{ raise_exception('no ' ~ 5) }}", ERR_UNSUPPORTED, "no 5");
    FAILS("\xff", ERR_FORMAT, "not valid UTF-8");
    FAILS("{{ 'a'|nope }}", ERR_FORMAT, "there is no filter 'nope'");
    FAILS("{{ [].append(1) }}", ERR_FORMAT, "not allowed in a template");
    FAILS("{{ {}.__class__.__mro__ }}", ERR_FORMAT, "not allowed in a template");
}

static void test_whole_numbers_end_at_64_bits(void **state) {
    FAILS("{{ 9223372036854775807 + 1 }}", ERR_LIMIT, "64 bits");
    FAILS("{{ 2 ** 63 }}", ERR_LIMIT, "64 bits");
    FAILS("{{ 9223372036854775808 }}", ERR_FORMAT, "64 bits");
    FAILS("{{ (-9223372036854775807 - 1) // -1 }}", ERR_LIMIT, "64 bits");
    GIVES("{{ -9223372036854775807 - 1 }} {{ (-9223372036854775807 - 1) % -1 }}", "-9223372036854775808 0");
}

static void test_time(void **state) {
    GIVES("{{ strftime_now('%Y') }}", "2023");
}

/* Each ends with an error, soon, and with bounded memory. */
static const char *const bombs[] = {
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro a(n) %}{% for x in [1, 2] %}{{ a(n + 1) }}{% endfor %}{% endmacro %}{{ a(0) }}",
    "{% macro a() %}{{ caller() }}{% endmacro %}{% macro b() %}{% call a() %}{{ b() }}{% endcall %}{%"
    " endmacro %}{{ b() }}",
    "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
    "{% for i in range(99999999999) %}x{% endfor %}",
    "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
    "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
    "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = [ns.s, ns.s]|join(ns.s) %}{% endfor %}",
    "{% set ns = namespace(s='aa') %}{% for i in range(100) %}{% set ns.s = ns.s|replace('a', 'aaaa') %}{% endfor %}",
    "{{ 'x' * 99999999999 }}",
    "{% for i in range(100000) %}{{ 'x' * 100000 }}{% endfor %}",
    "{% set ns = namespace(s=[]) %}{% for i in range(99999) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s }}",
    "{% set ns = namespace(s=[]) %}{% for i in range(50) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s|tojson }}",
    "{% set ns = namespace(a=[], b=[]) %}{% for i in range(50) %}{% set ns.a = [ns.a, ns.a] %}{% set ns.b"
    " = [ns.b, ns.b] %}"
    "{% endfor %}{{ ns.a == ns.b }}",
    "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "{{ '%99999999d' % 3 }}",
    "{{ '{:99999999}'.format(3) }}",
    "{{ 'a'.center(999999999) }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ [1]|batch(999999999, 'x')|list }}",
    "{{ [1]|slice(999999999)|list }}",
    "{{ ('\\n' * 1000000)|indent(10000, blank=true)|length }}",
    "{% set a = 'ab' * 500000 %}{% for i in range(99999) %}{{ a.strip(a) }}{% endfor %}",
    "{% set a = 'a' * 1000000 %}{% for i in range(99999) %}{{ a.rfind('b' + 'a' * 10000) }}{% endfor %}",
    "{% set a = 'a' * 9999999 %}{% for i in range(99999) %}{% if a|length and a.islower() and a[5] %}{%"
    " endif %}{% endfor %}",
    "{% set a = 'a' * 9999999 %}{% for i in range(99999) %}{% if 'b' in a or a.startswith(a + 'b') %}{%"
    " endif %}{% endfor %}",
    "{% set a = 'a' * 9999999 %}{% set d = {a: 1} %}{% for i in range(99999) %}{% if a in d %}{% endif %}{% endfor %}",
    "{% set a = 'a ' * 1000000 %}{% for i in range(99999) %}{{ a.split()|length }}{{ a.rsplit()|length }}{% endfor %}",
    "{% for i in range(99999) %}{{ range(99999)|sort(reverse=true)|length }}{% endfor %}",
};

static double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void test_bombs(void **state) {
    json_t *none = json_object();
    for (size_t i = 0; i < LEN(bombs); i++) {
        double from = seconds_now();
        char *text = rendered(bombs[i], strlen(bombs[i]), none);
        double took = seconds_now() - from;
        if (text) fail_msg("it ended: %s", bombs[i]);
        if (support_err.code != ERR_LIMIT && support_err.code != ERR_FORMAT)
            fail_msg("%s: %s", bombs[i], support_err.text);
        if (took > (SANITIZED ? 15 : 1)) fail_msg("%.1f s: %s", took, bombs[i]);
    }
    json_decref(none);
}

/* begin, many times middle, end. */
static void nested(const char *begin, const char *middle, const char *end) {
    enum { N = 100000 };
    size_t n = strlen(middle);
    char *source = malloc(strlen(begin) + N * n + strlen(end) + 1), *p = stpcpy(source, begin);
    for (int i = 0; i < N; i++) p = (char *)memcpy(p, middle, n) + n;
    strcpy(p, end);
    json_t *none = json_object();
    double from = seconds_now();
    char *text = rendered(source, strlen(source), none);
    if (text) fail_msg("%s was rendered", middle);
    if (seconds_now() - from > (SANITIZED ? 15 : 1)) fail_msg("%s takes %.1f s", middle, seconds_now() - from);
    json_decref(none);
    free(source);
}

static void test_deep_templates(void **state) {
    nested("{{ ", "(", "");
    nested("{{ ", "[", "");
    nested("{{ ", "{1:", "");
    nested("{{ ", "not ", "1 }}");
    nested("{{ ", "-", "1 }}");
    nested("{{ 1 ", "+ 1 ", "}}");
    nested("{{ 1 ", "and 1 ", "}}");
    nested("{{ x", "|upper", " }}");
    nested("{{ x", ".a", " }}");
    nested("{{ x", "()", " }}");
    nested("{{ 1 ", "if 1 else 1 ", "}}");
    nested("", "{% if 1 %}", "");
    nested("", "{% for x in [1] %}", "");
    nested("", "{#", "");
    nested("{% raw %}", "{% endra %}", "");
}

/* The deepest rendering that is allowed, on the small stack that threads have on macOS. */
static void *deepest(void *unused) {
    json_t *none = json_object();
    const char *source =
        "{% macro m() %}{% for x in [1] %}{% if x %}{{ (('a' ~ m()) | upper)[0:5] }}{% endif %}{% endfor %}"
        "{% endmacro %}{{ m() }}";
    char *text = rendered(source, strlen(source), none);
    json_decref(none);
    return text;
}

static void test_small_stack(void **state) {
    pthread_attr_t a;
    pthread_t t;
    void *text = &a;
    if (SANITIZED) skip(); /* whose frames are larger */
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, (size_t)512 << 10);
    assert_int_equal(pthread_create(&t, &a, deepest, NULL), 0);
    pthread_join(t, &text);
    assert_null(text);
    assert_int_equal(support_err.code, ERR_LIMIT);
    pthread_attr_destroy(&a);
}

static void test_deep_json(void **state) {
    json_t *deep = json_array();
    for (int i = 0; i < 2000; i++) deep = json_pack("[o]", deep);
    json_t *vars = json_pack("{s:o}", "x", deep);
    assert_null(rendered("{{ x }}", 7, vars));
    assert_int_equal(support_err.code, ERR_LIMIT);
    char *text = rendered("{{ y }}ok", 9, vars); /* what is not named is not looked at */
    assert_string_equal(text, "ok");
    free(text);
    json_decref(vars);
}

static void test_long_chat(void **state) {
    json_t *messages = json_array();
    char *content = calloc(1, 100001);
    memset(content, 'x', 100000);
    for (int i = 0; i < 300; i++)
        json_array_append_new(messages,
                              json_pack("{s:s, s:s}", "role", i % 2 ? "assistant" : "user", "content", content));
    json_t *vars = json_pack("{s:o}", "messages", messages);
    const char *source =
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content|trim + '<|im_end|>' + '\n'"
        " }}{% endfor %}";
    char *text = rendered(source, strlen(source), vars);
    if (!text) fail_msg("%s", support_err.text);
    assert_int_equal(strlen(text), 150 * (2 * (100000 + 12 + 1 + 10 + 1) + 4 + 9));
    free(text);
    free(content);
    json_decref(vars);
}

/* ---- the chat front end */

static struct chat *chat_of(const char *source) {
    struct chat *c;
    OK(chat_open_text(source, strlen(source), "<s>", "</s>", &c, &support_err));
    return c;
}

static void chat_gives(const char *source, const char *request, enum chat_think think, const char *want, int line) {
    struct chat *c = chat_of(source);
    json_t *j = parsed(request);
    struct chat_request r = {.messages = json_object_get(j, "messages"), .tools = json_object_get(j, "tools"),
                             .add_generation_prompt = true, .think = think, .now_s = NOW};
    char *text = NULL, *before = json_dumps(j, 0);
    size_t len;
    if (chat_render(c, &r, &text, &len, &support_err)) fail_msg("line %d: %s", line, support_err.text);
    if (strcmp(text, want) != 0) fail_msg("line %d: '%s', not '%s'", line, text, want);
    char *after = json_dumps(j, 0);
    assert_string_equal(before, after); /* borrowed, not changed */
    free(text);
    free(before);
    free(after);
    json_decref(j);
    chat_free(c);
}
#define CHAT_GIVES(...) chat_gives(__VA_ARGS__, __LINE__)

#define PLAIN "{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}"
/* Gemma's manner: no system role, roles in turn. */
#define STRICT \
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" \
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{" \
    " raise_exception('order') }}{% endif %}" \
    "{{ m.role }}:{{ m.content }};{% endfor %}"

static void test_contents(void **state) {
    CHAT_GIVES(PLAIN, "{\"messages\":[{\"role\":\"User\",\"content\":\"a\"},{\"role\":\"assistant\"}]}", 0,
               "user:a;assistant:;");
    CHAT_GIVES(PLAIN,
               "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"text\":\"b\"}]}]}",
               0, "user:a\nb;");
    CHAT_GIVES(
        "{% for m in messages %}{% for p in m.content %}{{ p.text + '|' }}{% endfor %}{% endfor %}",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":["
        "{\"type\":\"text\",\"text\":\"b\"}]}]}",
        0, "a|b|");
    CHAT_GIVES(PLAIN, "{\"messages\":[]}", 0, "");
    struct chat *c = chat_of(PLAIN);
    json_t *bad[] = {parsed("{\"a\":1}"), parsed("[5]"), parsed("[{\"content\":\"x\"}]"), parsed("[{\"role\":5}]"),
                     NULL};
    for (size_t i = 0; i < LEN(bad); i++) {
        struct chat_request r = {.messages = bad[i]};
        char *text;
        size_t len;
        REFUSED(chat_render(c, &r, &text, &len, &support_err), ERR_ARG, "messages", "role");
        assert_null(text);
        json_decref(bad[i]);
    }
    chat_free(c);
}

static void test_rearranged(void **state) {
    const char *system =
        "{\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"a\"}]}";
    CHAT_GIVES(PLAIN, system, 0, "system:S;user:a;");
    CHAT_GIVES(STRICT, system, 0, "user:S\n\na;");
    CHAT_GIVES(STRICT, "{\"messages\":[{\"role\":\"system\",\"content\":\"S\"}]}", 0, "user:S;");
    CHAT_GIVES(STRICT, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"}]}",
               0, "user:a\n\nb;");
    CHAT_GIVES(STRICT,
               "{\"messages\":[{\"role\":\"assistant\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"}]}", 0,
               "user:;assistant:a;user:b;");
    CHAT_GIVES(
        STRICT,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"\""
        ",\"tool_calls\":[{\"function\":"
        "{\"name\":\"f\",\"arguments\":{\"x\":1}}}]},{\"role\":\"tool\",\"content\":\"7\"}]}",
        0, "user:a;assistant:{\"name\":\"f\",\"arguments\":{\"x\":1}};user:7;");
}

#define CALLS(args)                                                                                                    \
    "{% for m in messages %}{% for c in m.tool_calls %}[{{ c.id }} {{ c.function.name }} {{ " args " }}]"              \
    "{% endfor %}{% if m.role == 'tool' %}<{{ m.name }} {{ m.tool_call_id }} {{ m.content }}>{% endif %}{% endfor %}"
#define CALLED(args) \
    "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"call_1\",\"function\":" \
    "{\"name\":\"f\",\"arguments\":" args \
    "}},{\"function\":{\"name\":\"g\"}}]},{\"role\":\"tool\",\"tool_name\":\"g\",\"content\":\"2\"}," \
    "{\"role\":\"tool\",\"tool_call_id\":\"call_1\",\"content\":\"1\"}]}"

static void test_calls(void **state) {
    const char *want = "[call_1 f {\"x\": 1}][call_0_1 g {}]<g call_0_1 2><f call_1 1>";
    CHAT_GIVES(CALLS("c.function.arguments | tojson"), CALLED("{\"x\":1}"), 0, want);
    CHAT_GIVES(CALLS("c.function.arguments | tojson"), CALLED("\"{\\\"x\\\":1}\""), 0, want);
    CHAT_GIVES(CALLS("'' + c.function.arguments"), CALLED("{\"x\":1}"), 0, want);
    CHAT_GIVES(CALLS("c.function.arguments"), CALLED("{\"x\":1}"), 0, want);
    struct chat *c =
        chat_of("{% for m in messages %}{% for c in m.tool_calls %}{% if c.id|length != 9 %}{{ raise_exception('9') }}"
                "{% endif %}{{ c.id }} {{ c.function|tojson }}{% endfor %}{{ m.tool_call_id }}{% endfor %}");
    json_t *j = parsed(CALLED("{}"));
    struct chat_request r = {.messages = json_object_get(j, "messages")};
    char *text;
    size_t len;
    OK(chat_render(c, &r, &text, &len, &support_err));
    assert_memory_equal(text, text + len - 9, 9); /* the second result answers the first call */
    free(text);
    json_decref(j);
    chat_free(c);
}

static void test_thinking(void **state) {
    const char *user = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}";
    const char *with_switch =
        "{{ messages[0].content }}{% if enable_thinking is defined and not enable_thinking"
        " %}<think></think>{% endif %}";
    CHAT_GIVES(with_switch, user, CHAT_THINK_DEFAULT, "a");
    CHAT_GIVES(with_switch, user, CHAT_THINK_ON, "a");
    CHAT_GIVES(with_switch, user, CHAT_THINK_OFF, "a<think></think>");
    CHAT_GIVES("{{ messages[0].content }}<think>\n", user, CHAT_THINK_OFF, "a<think>\n\n</think>\n\n");
    CHAT_GIVES("{{ messages[0].content }}{{ '' if 1 else '</think>' }}", user, CHAT_THINK_OFF,
               "a<think>\n\n</think>\n\n");
    CHAT_GIVES("{{ messages[0].content }}{{ reasoning_effort|default('none') }}<|channel|>", user, CHAT_THINK_HIGH,
               "ahigh<|channel|>");
    CHAT_GIVES("{% for m in messages %}{{ m.reasoning_content }}{{ m.thinking }}{% endfor %}",
               "{\"messages\":[{\"role\":\"assistant\",\"thinking\":\"t\"}]}", 0, "tt");
    struct chat *c = chat_of("{{ messages[0].content }}<think>\n");
    assert_true(chat_opens_thinking(c, "abc<think>\n", 11));
    assert_false(chat_opens_thinking(c, "abc<think>x", 11));
    assert_false(chat_opens_thinking(c, "", 0));
    chat_free(c);
}

static uint32_t caps_of(const char *file) {
    const char *data = getenv("HY_DATA");
    char path[512], *text;
    struct chat *c;
    snprintf(path, sizeof path, "%s/templates/%s.jinja", data ? data : "../shared/data", file);
    FILE *f = fopen(path, "rb");
    if (!f) skip();
    text = calloc(1, 1 << 20);
    size_t n = fread(text, 1, 1 << 20, f);
    fclose(f);
    OK(chat_open_text(text, n, "<s>", "</s>", &c, &support_err));
    uint32_t caps = chat_info(c)->caps;
    free(text);
    chat_free(c);
    return caps;
}

static void test_capabilities(void **state) {
    enum { T = CHAT_TOOLS, R = CHAT_THINKING, S = CHAT_SYSTEM, C = CHAT_TOOL_CALLS };
    assert_int_equal(caps_of("Qwen-Qwen3-0.6B"), T | R | S | C);
    assert_int_equal(caps_of("Qwen-Qwen2.5-7B-Instruct"), T | S | C);
    assert_int_equal(caps_of("openai-gpt-oss-120b"), T | R | S | C | CHAT_LEVELS);
    assert_int_equal(caps_of("GLM-4.6"), T | R | S | C);
    assert_int_equal(caps_of("google-gemma-2-2b-it"), 0);
    assert_int_equal(caps_of("meta-llama-Llama-3.1-8B-Instruct"), T | S | C);
    assert_int_equal(caps_of("microsoft-Phi-3.5-mini-instruct"), S);
    assert_int_equal(caps_of("mistralai-Mistral-Nemo-Instruct-2407"), T | S | C);
    assert_int_equal(caps_of("moonshotai-Kimi-K2"), T | S | C);
    assert_int_equal(caps_of("deepseek-ai-DeepSeek-V3.1"), R | S | C);
    assert_int_equal(caps_of("NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use") & T, T);
}

/* A model of these metadata. */
static struct chat *chat_of_model(const char *const *strings, const char *const *tokens, uint64_t n_token) {
    struct gguf_writer w;
    struct gguf_str token[8];
    struct gguf g;
    struct arena a;
    struct chat *c;
    gguf_writer_init(&w);
    arena_init(&a, 0);
    for (; strings[0]; strings += 2) gguf_put_str(&w, strings[0], strings[1]);
    for (uint64_t i = 0; i < n_token; i++) token[i] = (struct gguf_str){tokens[i], strlen(tokens[i])};
    gguf_put_arr_str(&w, "tokenizer.ggml.tokens", token, n_token);
    gguf_put_u32(&w, "tokenizer.ggml.bos_token_id", 1);
    gguf_put_u32(&w, "tokenizer.ggml.eos_token_id", 99);
    uint8_t *file = calloc(1, 24 + w.kv.n);
    memcpy(file, (uint8_t[]){'G', 'G', 'U', 'F', 3}, 5);
    memcpy(file + 16, &w.n_kv, 8);
    memcpy(file + 24, w.kv.p, w.kv.n);
    OK(gguf_parse(file, 24 + w.kv.n, 24 + w.kv.n, "test", &a, &g, NULL, &support_err));
    OK(chat_open(&g, &c, &support_err));
    arena_deinit(&a);
    free(file);
    gguf_writer_deinit(&w);
    return c;
}

static void is_default(const char *arch, const char *token, const char *want) {
    struct chat *c =
        chat_of_model((const char *const[]){"general.architecture", arch, "tokenizer.ggml.model", "llama", NULL},
                      (const char *const[]){"a", "<s>", token}, 3);
    assert_string_equal(chat_info(c)->name, want);
    assert_true(chat_info(c)->built_in);
    assert_non_null(strstr(chat_info(c)->warning, want));
    assert_string_equal(chat_info(c)->bos, "<s>");
    assert_string_equal(chat_info(c)->eos, "");
    json_t *m = parsed(
        "[{\"role\":\"system\",\"content\":\"S1\"},{\"role\":\"user\",\"content\":\"U1\"},"
        "{\"role\":\"assistant\",\"content\":\"A1\"}]");
    struct chat_request r = {.messages = m};
    char *text;
    size_t len;
    OK(chat_render(c, &r, &text, &len, &support_err));
    const char *s = strstr(text, "S1"), *u = strstr(text, "U1"), *answer = strstr(text, "A1");
    assert_true(s && s < u && u < answer);
    free(text);
    json_decref(m);
    chat_free(c);
}

static void test_models_without_template(void **state) {
    is_default("llama", "x", "llama2");
    is_default("llama", "<|im_start|>", "chatml");
    is_default("llama", "<|start_header_id|>", "llama3");
    is_default("llama", "[INST]", "mistral");
    is_default("gemma2", "x", "gemma");
    is_default("phi3", "x", "phi3");
    is_default("qwen3", "x", "chatml");
    is_default("deepseek2", "x", "deepseek");
    is_default("unheard-of", "x", "chatml");
}

static void test_models_with_templates(void **state) {
    const char *const tokens[] = {"a", "<s>"};
    struct chat *c =
        chat_of_model((const char *const[]){"tokenizer.chat_template", "{{ bos_token }}plain {{ messages[0].content }}",
                                            "tokenizer.chat_template.tool_use", "{{ tools[0].name }}", NULL},
                      tokens, 2);
    json_t *j = parsed("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"tools\":[{\"name\":\"f\"}]}");
    struct chat_request r = {.messages = json_object_get(j, "messages")};
    char *text;
    size_t len;
    assert_null(chat_info(c)->warning);
    assert_true(chat_info(c)->writes_bos);
    OK(chat_render(c, &r, &text, &len, &support_err));
    assert_string_equal(text, "<s>plain a");
    free(text);
    r.tools = json_object_get(j, "tools");
    OK(chat_render(c, &r, &text, &len, &support_err));
    assert_string_equal(text, "f");
    free(text);
    chat_free(c);
    c = chat_of_model((const char *const[]){"tokenizer.chat_template", "{% if %}", NULL}, tokens, 2);
    assert_non_null(strstr(chat_info(c)->warning, "cannot be used"));
    assert_string_equal(chat_info(c)->name, "chatml");
    chat_free(c);
    json_decref(j);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases), cmocka_unit_test(test_line_ends), cmocka_unit_test(test_error_places),
        cmocka_unit_test(test_whole_numbers_end_at_64_bits), cmocka_unit_test(test_time), cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_deep_templates), cmocka_unit_test(test_small_stack), cmocka_unit_test(test_deep_json),
        cmocka_unit_test(test_long_chat), cmocka_unit_test(test_contents), cmocka_unit_test(test_rearranged),
        cmocka_unit_test(test_calls), cmocka_unit_test(test_thinking), cmocka_unit_test(test_capabilities),
        cmocka_unit_test(test_models_without_template), cmocka_unit_test(test_models_with_templates),
    };
    setenv("TZ", "UTC", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
