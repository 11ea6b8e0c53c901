/* Answers told apart into content, thinking and calls: each answer in one piece, byte by byte and in random pieces. */
#include <time.h>

#include "models/chat/tool_parse.h"
#include "tests/support.h"

#define TOOLS                                                                                                          \
    "[{\"type\":\"function\",\"function\":{\"name\":\"add\",\"parameters\":{\"type\":\"object\",\"properties\":{"       \
    "\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"number\"},\"s\":{\"type\":\"string\"},\"t\":{\"type\":[\"string\",\"null\"]}," \
    "\"l\":{\"type\":\"array\"},\"f\":{\"type\":\"boolean\"}}}}},{\"type\":\"function\",\"function\":{\"name\":\"get_time\"}}]"
#define SEP "<\xef\xbd\x9ctool\xe2\x96\x81sep\xef\xbd\x9c>"
#define CALL(x) "<\xef\xbd\x9ctool\xe2\x96\x81" "call\xe2\x96\x81" x "\xef\xbd\x9c>"
#define CALLS(x) "<\xef\xbd\x9ctool\xe2\x96\x81" "calls\xe2\x96\x81" x "\xef\xbd\x9c>"

enum { NO_TOOLS = 1, OPEN = 2, NO_THINK = 4, CUT = 8 };

/* want: content as it is, [T:...] thinking, [name {...}] a call. */
static const struct answer {
    enum tool_form form;
    int flags;
    const char *text, *want;
} answers[] = {
    {TOOL_NONE, 0, "Hello.", "Hello."},
    {TOOL_NONE, 0, "<think>\nhm, 1 < 2 \n</think>\n\nYes.", "[T:hm, 1 < 2]Yes."},
    {TOOL_NONE, 0, "\n<think></think>\nYes. <think>no</think>", "Yes. <think>no</think>"},
    {TOOL_NONE, OPEN, "so\n\nthen</think> Yes", "[T:so\n\nthen]Yes"},
    {TOOL_NONE, OPEN, "so</thin", "[T:so</thin]"},
    {TOOL_NONE, OPEN, " \n ", ""},
    {TOOL_NONE, 0, "<thi", "<thi"},
    {TOOL_NONE, 0, " <thing>", " <thing>"},
    {TOOL_NONE, 0, "<think>a</think>  ", "[T:a]"},
    {TOOL_NONE, 0, "<think>a</think>\n<think>b</think>c", "[T:ab]c"},
    {TOOL_NONE, NO_THINK, "<think>a</think>", "<think>a</think>"},
    {TOOL_HERMES, NO_TOOLS, "<tool_call>\n{\"name\": \"add\", \"arguments\": {}}\n</tool_call>", "<tool_call>\n{\"name\": \"add\", \"arguments\": {}}\n</tool_call>"},
    {TOOL_HERMES, 0, "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": 2.0}}\n</tool_call>", "[add {\"a\":1,\"b\":2.0}]"},
    {TOOL_HERMES, 0, "<think>x</think>\n\nSure: a < b.\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"s\": \"</tool_call>\\\"}\"}}\n</tool_call>\n<tool_call>{\"name\":\"get_time\"}</tool_call>\n",
     "[T:x]Sure: a < b.[add {\"s\":\"</tool_call>\\\"}\"}][get_time {}]"},
    {TOOL_HERMES, 0, "<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": 1}}", "[add {\"a\":1}]"},
    {TOOL_HERMES, 0, "<tool_call>{\"name\": \"add\", \"arguments\": \"{\\\"a\\\":1}\"}</tool_call> done", "[add {\"a\":1}]done"},
    {TOOL_HERMES, 0, "<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": 99999999999999999999}}</tool_call>", "[add {\"a\":1e20}]"},
    {TOOL_HERMES, 0, "<tool_call>{\"name\": \"other\", \"arguments\": {}}</tool_call>x", "<tool_call>{\"name\": \"other\", \"arguments\": {}}</tool_call>x"},
    {TOOL_HERMES, 0, "a <tool_call>{\"name\": \"add\", \"arguments\": [1]}</tool_call>", "a <tool_call>{\"name\": \"add\", \"arguments\": [1]}</tool_call>"},
    {TOOL_HERMES, 0, "a <tool_call>oops</tool_call> b", "a <tool_call>oops</tool_call> b"},
    {TOOL_HERMES, 0, "<tool_call>{\"name\": \"add\", \"argum", "<tool_call>{\"name\": \"add\", \"argum"},
    {TOOL_HERMES, CUT, "x\n<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": 1}}", "x\n<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": 1}}"},
    {TOOL_HERMES, 0, "{\"name\": \"add\", \"arguments\": {\"a\": 1}}", "[add {\"a\":1}]"},
    {TOOL_HERMES, 0, "[{\"name\": \"add\", \"arguments\": {\"a\": 1}}]", "[add {\"a\":1}]"},
    {TOOL_HERMES, 0, "{\"answer\": [1, 2]} \n", "{\"answer\": [1, 2]} \n"},
    {TOOL_HERMES, 0, "See {\"name\": \"add\", \"arguments\": {}}", "See {\"name\": \"add\", \"arguments\": {}}"},
    {TOOL_HERMES, 0, "5 < 6 and <tool", "5 < 6 and <tool"},
    {TOOL_QWEN_XML, 0, "Ok.\n\n<tool_call>\n<function=add>\n<parameter=a>\n5\n</parameter>\n<parameter=s>\n5\nline <b>\n</parameter>\n<parameter=f>\nTrue\n</parameter>\n<parameter=l>\n[1, {\"x\": null}]\n</parameter>\n<parameter=t>\n7\n</parameter>\n<parameter=other>\n9\n</parameter>\n</function>\n</tool_call>",
     "Ok.[add {\"a\":5,\"s\":\"5\\nline <b>\",\"f\":true,\"l\":[1,{\"x\":null}],\"t\":\"7\",\"other\":\"9\"}]"},
    {TOOL_QWEN_XML, 0, "<function=get_time>\n</function>\n<tool_call><function=add><parameter=t>null</parameter></function></tool_call>", "[get_time {}][add {\"t\":null}]"},
    {TOOL_QWEN_XML, 0, "<tool_call>\n<function=nope>\n</function>\n</tool_call>!", "<tool_call>\n<function=nope>\n</function>\n</tool_call>!"},
    {TOOL_LLAMA, 0, "{\"name\": \"add\", \"parameters\": {\"a\": 1, \"s\": \"}\"}}", "[add {\"a\":1,\"s\":\"}\"}]"},
    {TOOL_LLAMA, 0, "{\"type\": \"function\", \"name\": \"add\", \"parameters\": {}}; {\"name\": \"get_time\", \"parameters\": {}}", "[add {}][get_time {}]"},
    {TOOL_LLAMA, 0, "\n[{\"name\": \"add\", \"parameters\": {\"a\": 1}}, {\"name\": \"get_time\"}]", "[add {\"a\":1}][get_time {}]"},
    {TOOL_LLAMA, 0, "<|python_tag|>{\"name\": \"add\", \"parameters\": {\"b\": 0.5}}", "[add {\"b\":0.5}]"},
    {TOOL_LLAMA, 0, "<|python_tag|>add.call(s=\"x, y\", t=\"z\")", "[add {\"s\":\"x, y\",\"t\":\"z\"}]"},
    {TOOL_LLAMA, 0, "<function=add>{\"a\": 2}</function>", "[add {\"a\":2}]"},
    {TOOL_LLAMA, 0, "<|python_tag|>print(1)", "<|python_tag|>print(1)"},
    {TOOL_LLAMA, 0, "{\"name\": \"Bob\", \"parameters\": 3}", "{\"name\": \"Bob\", \"parameters\": 3}"},
    {TOOL_LLAMA, CUT, "{\"name\": \"add\", \"parameters\": {\"a\"", "{\"name\": \"add\", \"parameters\": {\"a\""},
    {TOOL_MISTRAL, 0, "[TOOL_CALLS][{\"name\": \"add\", \"arguments\": {\"a\": 1}}, {\"name\": \"get_time\", \"arguments\": {}, \"id\": \"abcdefghi\"}]", "[add {\"a\":1}][get_time {}]"},
    {TOOL_MISTRAL, 0, "Hm. [TOOL_CALLS]add[ARGS]{\"a\": 1}[TOOL_CALLS]get_time[CALL_ID]123456789[ARGS]{}", "Hm.[add {\"a\":1}][get_time {}]"},
    {TOOL_MISTRAL, 0, "[TOOL_CALLS]add{\"a\": 1}", "[add {\"a\":1}]"},
    {TOOL_MISTRAL, 0, " [{\"name\": \"add\", \"arguments\": {\"a\": 1}}]", "[add {\"a\":1}]"},
    {TOOL_MISTRAL, 0, "[TOOLS]", "[TOOLS]"},
    {TOOL_MISTRAL, 0, "[TOOL_CALLS]nothing here", "[TOOL_CALLS]nothing here"},
    {TOOL_MISTRAL, 0, "[TOO bad]", "[TOO bad]"},
    {TOOL_DEEPSEEK, 0, "Ok." CALLS("begin") CALL("begin") "function" SEP "add\n```json\n{\"a\": 1}\n```" CALL("end") "\n" CALL("begin") "function" SEP "get_time\n```json\n{}\n```" CALL("end") CALLS("end"),
     "Ok.[add {\"a\":1}][get_time {}]"},
    {TOOL_DEEPSEEK, OPEN, "t</think>" CALLS("begin") CALL("begin") "add" SEP "{\"a\": 1}" CALL("end") CALL("begin") "get_time" SEP "{}" CALL("end") CALLS("end"), "[T:t][add {\"a\":1}][get_time {}]"},
    {TOOL_DEEPSEEK, 0, CALLS("begin") CALL("begin") "nope" SEP "{}" CALL("end") CALLS("end"), CALL("begin") "nope" SEP "{}" CALL("end")},
    {TOOL_HARMONY, 0, "<|channel|>analysis<|message|>Need sum.<|end|><|start|>assistant<|channel|>final<|message|>It is 3 < 4.<|return|>", "[T:Need sum.]It is 3 < 4."},
    {TOOL_HARMONY, 0, "<|channel|>analysis<|message|>x<|end|><|start|>assistant<|channel|>commentary to=functions.add <|constrain|>json<|message|>{\"a\":1}<|call|>", "[T:x][add {\"a\":1}]"},
    {TOOL_HARMONY, 0, " to=functions.add<|channel|>commentary json<|message|>{\"a\": 1}", "[add {\"a\":1}]"},
    {TOOL_HARMONY, 0, "<|channel|>commentary<|message|>I will add.<|end|><|start|>assistant to=functions.get_time<|channel|>commentary <|constrain|>json<|message|>{}<|call|>", "I will add.[get_time {}]"},
    {TOOL_HARMONY, 0, "<|channel|>commentary to=functions.nope<|message|>{\"a\": 1}<|call|>", "{\"a\": 1}"},
    {TOOL_HARMONY, CUT, "<|channel|>commentary to=functions.add<|message|>{\"a\": 1}", "{\"a\": 1}"},
    {TOOL_HARMONY, 0, "Plain text.", "Plain text."},
    {TOOL_HARMONY, CUT, "<|channel|>analysis<|message|>thin", "[T:thin]"},
    {TOOL_HARMONY, CUT, "<|channel|>ana", ""},
    {TOOL_GLM, 0, "\n<think>t</think>\nLet me.\n<tool_call>add\n<arg_key>a</arg_key>\n<arg_value>12</arg_value>\n<arg_key>s</arg_key>\n<arg_value>12</arg_value>\n</tool_call>\n<tool_call>get_time\n</tool_call>",
     "[T:t]Let me.[add {\"a\":12,\"s\":\"12\"}][get_time {}]"},
    {TOOL_GLM, 0, "<tool_call>what\n</tool_call>", "<tool_call>what\n</tool_call>"},
    {TOOL_KIMI, 0, "So:<|tool_calls_section_begin|><|tool_call_begin|>functions.add:0<|tool_call_argument_begin|>{\"a\": 1}<|tool_call_end|><|tool_call_begin|>functions.get_time:1<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
     "So:[add {\"a\":1}][get_time {}]"},
};

struct log {
    char text[4096];
    size_t n;
    enum tool_event_kind last;
    bool any;
};

static void put(struct log *l, const char *text, size_t n) {
    assert_true(l->n + n < sizeof l->text);
    memcpy(l->text + l->n, text, n);
    l->n += n;
    l->text[l->n] = 0;
}

static void close_thought(struct log *l) {
    if (l->any && l->last == TOOL_THINKING) put(l, "]", 1);
}

static void on_event(void *ctx, const struct tool_event *ev) {
    struct log *l = ctx;
    if (!l->any || l->last != ev->kind) {
        close_thought(l);
        if (ev->kind == TOOL_THINKING) put(l, "[T:", 3);
    }
    l->any = true;
    l->last = ev->kind;
    if (ev->kind != TOOL_CALL) {
        assert_true(ev->len > 0);
        put(l, ev->text, ev->len);
        return;
    }
    char *args = json_dumps(ev->arguments, JSON_COMPACT);
    char call[1024];
    snprintf(call, sizeof call, "[%s %s]", ev->name, args);
    put(l, call, strlen(call));
    free(args);
}

static struct tool_parse *parser(const struct answer *a, const json_t *tools, struct log *l) {
    struct tool_parse *p;
    struct tool_options opt = {.form = a->form, .in_thought = a->flags & OPEN, .tools = a->flags & NO_TOOLS ? NULL : tools};
    if (!(a->flags & NO_THINK)) opt.think = (struct think_tags){"<think>", "</think>"};
    *l = (struct log){0};
    OK(tool_parse_new(&opt, on_event, l, &p, &support_err));
    return p;
}

/* pieces: 0: one, 1: of one byte, otherwise of random lengths up to it. */
static void expect(const struct answer *a, const json_t *tools, uint32_t pieces) {
    struct log l;
    struct tool_parse *p = parser(a, tools, &l);
    size_t len = strlen(a->text);
    for (size_t at = 0; at < len;) {
        size_t n = !pieces ? len : pieces == 1 ? 1 : 1 + support_random(pieces);
        if (n > len - at) n = len - at;
        OK(tool_parse_feed(p, a->text + at, n, &support_err));
        at += n;
    }
    OK(tool_parse_end(p, a->flags & CUT, &support_err));
    close_thought(&l);
    tool_parse_free(p);
    if (strcmp(l.text, a->want)) fail_msg("%s, pieces %u: %s\n gave %s\n not  %s", tool_form_name(a->form), pieces, a->text, l.text, a->want);
}

static void all_answers(void **state) {
    json_t *tools = json_loads(TOOLS, 0, NULL);
    for (size_t i = 0; i < LEN(answers); i++)
        for (uint32_t k = 0; k < 30; k++) expect(&answers[i], tools, k < 2 ? k : k - 1);
    json_decref(tools);
}

/* Behind a marker that should begin a header, but begins an endless text. */
static void headers_without_end(void **state) {
    static char text[2000], want[2000];
    static const char *const cases[][2] = {
        {"Hi<|end|><|start|>", "Hi"}, {"Hi<|end|>\n<|channel|>", "Hi"}, {"<|start|>assistant<|channel|>", "assistant"}};
    json_t *tools = json_loads(TOOLS, 0, NULL);
    for (size_t i = 0; i < LEN(cases); i++) {
        char x[1100];
        memset(x, 'x', sizeof x);
        snprintf(text, sizeof text, "%s%.*s<|end|>", cases[i][0], (int)sizeof x, x);
        snprintf(want, sizeof want, "%s%.*s", cases[i][1], (int)sizeof x, x);
        struct answer a = {TOOL_HARMONY, 0, text, want};
        for (uint32_t k = 0; k < 9; k++) expect(&a, tools, k);
    }
    json_decref(tools);
}

/* What a stream has shown when so much of the text has come. */
static void streams_early(void **state) {
    static const struct {
        struct answer a;
        const char *shown;
    } cases[] = {
        {{TOOL_HERMES, 0, "Let me see <b>bold</b>, then", ""}, "Let me see <b>bold</b>, then"},
        {{TOOL_HERMES, 0, "Let me <tool_", ""}, "Let me"},
        {{TOOL_HERMES, 0, "Let me <tool_call>{\"name", ""}, "Let me"},
        {{TOOL_HERMES, 0, "{\"result\": 1", ""}, "{\"result\": 1"},
        {{TOOL_NONE, 0, "<think>I thi", ""}, "[T:I thi"},
        {{TOOL_NONE, 0, "<think>I think </th", ""}, "[T:I think"},
        {{TOOL_NONE, NO_TOOLS, "<think>a</think>\nTo", ""}, "[T:a]To"},
        {{TOOL_HARMONY, 0, "<|channel|>analysis<|message|>We ne", ""}, "[T:We ne"},
        {{TOOL_HARMONY, 0, "<|channel|>final<|message|>We <|", ""}, "We "},
        {{TOOL_LLAMA, 0, "{\"name\": \"add\", \"parameters\": {}}", ""}, "[add {}]"},
        {{TOOL_MISTRAL, 0, "I [TOOL_CALLS]add[ARGS]{\"a\":1}", ""}, "I[add {\"a\":1}]"},
    };
    json_t *tools = json_loads(TOOLS, 0, NULL);
    for (size_t i = 0; i < LEN(cases); i++) {
        struct log l;
        struct tool_parse *p = parser(&cases[i].a, tools, &l);
        for (const char *t = cases[i].a.text; *t; t++) OK(tool_parse_feed(p, t, 1, &support_err));
        assert_string_equal(l.text, cases[i].shown);
        tool_parse_free(p);
    }
    json_decref(tools);
}

static void where_a_grammar_begins(void **state) {
    static const struct {
        struct answer a;
        bool in_answer;
    } cases[] = {
        {{TOOL_NONE, 0, "", ""}, true},
        {{TOOL_NONE, OPEN, "x", ""}, false},
        {{TOOL_NONE, OPEN, "x</think>", ""}, true},
        {{TOOL_NONE, 0, "<think>", ""}, false},
        {{TOOL_NONE, 0, "<think>x</think>\n", ""}, true},
        {{TOOL_HARMONY, 0, "", ""}, false},
        {{TOOL_HARMONY, 0, "<|channel|>analysis<|message|>x", ""}, false},
        {{TOOL_HARMONY, 0, "<|channel|>final", ""}, false},
        {{TOOL_HARMONY, 0, "<|channel|>final<|message|>", ""}, true},
        {{TOOL_HARMONY, 0, "<|channel|>commentary to=functions.add<|message|>", ""}, false},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        struct log l;
        struct tool_parse *p = parser(&cases[i].a, NULL, &l);
        OK(tool_parse_feed(p, cases[i].a.text, strlen(cases[i].a.text), &support_err));
        if (tool_parse_in_answer(p) != cases[i].in_answer) fail_msg("%s", cases[i].a.text);
        tool_parse_free(p);
    }
}

static void markers(void **state) {
    json_t *tools = json_loads(TOOLS, 0, NULL);
    struct log l;
    struct answer hermes = {TOOL_HERMES, 0, "", ""}, none = {TOOL_HERMES, NO_TOOLS | NO_THINK, "", ""}, harmony = {TOOL_HARMONY, NO_TOOLS, "", ""};
    struct tool_parse *p = parser(&hermes, tools, &l), *q = parser(&none, tools, &l), *r = parser(&harmony, tools, &l);
    assert_true(tool_parse_marker(p, "<tool_call>", 11));
    assert_true(tool_parse_marker(p, "</tool_call>", 12));
    assert_true(tool_parse_marker(p, "</think>", 8));
    assert_false(tool_parse_marker(p, "<|im_end|>", 10));
    assert_false(tool_parse_marker(p, "<tool_call>", 10));
    assert_false(tool_parse_marker(q, "<tool_call>", 11));
    assert_false(tool_parse_marker(q, "</think>", 8));
    assert_true(tool_parse_marker(r, "<|call|>", 8));
    tool_parse_free(p);
    tool_parse_free(q);
    tool_parse_free(r);
    json_decref(tools);
}

static void templates_show_their_form(void **state) {
    static const struct {
        const char *file;
        enum tool_form form;
        const char *think;
    } cases[] = {
        {"GLM-4.6", TOOL_GLM, "<think>"},
        {"NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use", TOOL_HERMES, NULL},
        {"Qwen-Qwen2.5-7B-Instruct", TOOL_HERMES, NULL},
        {"Qwen-Qwen3-0.6B", TOOL_HERMES, "<think>"},
        {"deepseek-ai-DeepSeek-V3.1", TOOL_DEEPSEEK, "<think>"},
        {"google-gemma-2-2b-it", TOOL_NONE, NULL},
        {"meta-llama-Llama-3.1-8B-Instruct", TOOL_LLAMA, NULL},
        {"microsoft-Phi-3.5-mini-instruct", TOOL_NONE, NULL},
        {"mistralai-Mistral-Nemo-Instruct-2407", TOOL_MISTRAL, NULL},
        {"moonshotai-Kimi-K2", TOOL_KIMI, NULL},
        {"openai-gpt-oss-120b", TOOL_HARMONY, NULL},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        static char text[1 << 16];
        char path[400];
        const char *dir = getenv("HY_DATA");
        snprintf(path, sizeof path, "%s/templates/%s.jinja", dir ? dir : "../shared/data", cases[i].file);
        FILE *f = fopen(path, "rb");
        if (!f) skip();
        size_t n = fread(text, 1, sizeof text, f);
        fclose(f);
        if (tool_form_detect(text, n) != cases[i].form) fail_msg("%s: %s", path, tool_form_name(tool_form_detect(text, n)));
        struct think_tags tags = think_detect(text, n);
        if (!tags.open != !cases[i].think || (tags.open && strcmp(tags.open, cases[i].think))) fail_msg("%s: %s", path, tags.open);
    }
}

static void tags_of_thoughts(void **state) {
    assert_string_equal(think_detect("{{ '</think>' }}", 16).open, "<think>");
    assert_null(think_detect("plain", 5).open);
}

/* Long arguments arrive in small pieces: work grows with the text, not with its square. */
static void long_calls_take_linear_time(void **state) {
    static const struct answer forms[] = {
        {TOOL_HERMES, 0, "<tool_call>{\"name\": \"add\", \"arguments\": {\"s\": \"", "\"}}</tool_call>"},
        {TOOL_QWEN_XML, 0, "<tool_call><function=add><parameter=s>", "</parameter></function></tool_call>"},
        {TOOL_HARMONY, 0, "<|channel|>commentary to=functions.add<|message|>{\"s\": \"", "\"}<|call|>"},
        {TOOL_NONE, OPEN, "", "</think>"},
    };
    json_t *tools = json_loads(TOOLS, 0, NULL);
    for (size_t i = 0; i < LEN(forms); i++) {
        static struct log l; /* not read: the texts are longer */
        struct tool_parse *p = parser(&forms[i], tools, &l);
        clock_t from = clock();
        OK(tool_parse_feed(p, forms[i].text, strlen(forms[i].text), &support_err));
        for (int k = 0; k < 200000 && forms[i].form != TOOL_NONE; k++) OK(tool_parse_feed(p, "abc ", 4, &support_err));
        if ((double)(clock() - from) / CLOCKS_PER_SEC > 20) fail_msg("%s: slow", tool_form_name(forms[i].form));
        tool_parse_free(p);
    }
    json_decref(tools);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_answers),
        cmocka_unit_test(headers_without_end),
        cmocka_unit_test(streams_early),
        cmocka_unit_test(where_a_grammar_begins),
        cmocka_unit_test(markers),
        cmocka_unit_test(templates_show_their_form),
        cmocka_unit_test(tags_of_thoughts),
        cmocka_unit_test(long_calls_take_linear_time),
    };
    return cmocka_run_group_tests_name("tool_parse", tests, NULL, NULL);
}
