/* The parts of hy serve that need no server: names, durations, who may speak, options, stop strings, requests. */
#include <arpa/inet.h>
#include <jansson.h>
#include <math.h>
#include <netinet/in.h>

#include "tests/support.h"
#include "tools/serve/base64.h"
#include "tools/serve/duration.h"
#include "tools/serve/guard.h"
#include "tools/serve/listen.h"
#include "tools/serve/names.h"
#include "tools/serve/request.h"
#include "tools/serve/stop.h"

static void names_that_are_one(void **state) {
    static const char *const same[] = {"tiny", "tiny:latest", "TINY", "library/tiny", "registry.ollama.ai/library/tiny:latest"};
    struct name a, b;
    assert_true(names_parse(same[0], &a));
    for (size_t i = 0; i < LEN(same); i++) assert_true(names_parse(same[i], &b) && names_equal(&a, &b));
    static const char *const others[] = {"tiny:8b", "me/tiny", "host:80/library/tiny", "tin"};
    for (size_t i = 0; i < LEN(others); i++) assert_true(names_parse(others[i], &b) && !names_equal(&a, &b));
    char text[NAMES_SHORT_BYTES];
    names_short(&a, text);
    assert_string_equal(text, "tiny:latest");
    names_parse("host:80/me/Tiny:8b", &a);
    names_short(&a, text);
    assert_string_equal(text, "host:80/me/Tiny:8b");
}

static void names_that_are_none(void **state) {
    static const char *const bad[] = {"", " ", "a b", ":x", "a:", "a/", "/a", "-a", ".a", "a:b:c", "n.s/a", "a/b/c/d", "\xc3\xa4", "a:b/c:d/e"};
    struct name n;
    for (size_t i = 0; i < LEN(bad); i++)
        if (names_parse(bad[i], &n)) fail_msg("'%s' was taken for a name", bad[i]);
    char longest[90];
    memset(longest, 'a', 80);
    longest[80] = 0;
    assert_true(names_parse(longest, &n));
    strcpy(longest + 80, "a");
    assert_false(names_parse(longest, &n));
}

static void names_of_files(void **state) {
    static const char *const cases[][2] = {{"/m/Qwen3-8B-Q4_K_M.gguf", "Qwen3-8B-Q4_K_M"}, {"a b(1).GGUF", "a-b-1-"}, {"x-00001-of-00003.gguf", "x"}, {".gguf", "model"}, {"plain", "plain"}, {"-a.gguf", "_a"}};
    for (size_t i = 0; i < LEN(cases); i++) {
        struct name n, again;
        names_of_file(cases[i][0], &n);
        assert_string_equal(n.model, cases[i][1]);
        assert_true(names_parse(n.model, &again));
    }
}

static void durations(void **state) {
    static const struct { const char *text; int64_t ns; } good[] = {
        {"10m", 600000000000}, {"1h30m", 5400000000000}, {"300ms", 300000000}, {"0", 0}, {"1.5s", 1500000000}, {"2us", 2000}, {"-1s", DURATION_FOREVER}, {"999999h999999h999999h", DURATION_FOREVER}};
    int64_t ns;
    for (size_t i = 0; i < LEN(good); i++) {
        assert_true(duration_parse(good[i].text, &ns));
        assert_int_equal(ns, good[i].ns);
    }
    static const char *const bad[] = {"", "5", "soon", "1x", "m", "1m2", "-", "1.", ".s", "1 m"};
    for (size_t i = 0; i < LEN(bad); i++)
        if (duration_parse(bad[i], &ns)) fail_msg("'%s' was taken for a duration", bad[i]);
}

static struct guard guard_at(const char *address, const char *origins, const char *key) {
    struct sockaddr_in a = {.sin_family = AF_INET};
    struct guard g;
    assert_int_equal(inet_pton(AF_INET, address, &a.sin_addr), 1);
    assert_true(guard_init(&g, (struct sockaddr *)&a, origins, key));
    return g;
}

static void hosts(void **state) {
    static const char *const good[] = {"localhost", "LOCALHOST:1", "127.0.0.1:8080", "127.9.9.9", "10.1.2.3", "172.16.0.1", "172.31.0.1:5", "192.168.1.1", "0.0.0.0", "[::1]", "[::1]:80", "::1",
                                       "[fd00::1]:80", "[::ffff:127.0.0.1]", "box.local", "a.internal:80", "x.localhost", ""};
    static const char *const bad[] = {"evil.com", "8.8.8.8", "172.32.0.1", "192.169.0.1", "localhost.evil.com", "local", ".local", "[2001:db8::1]:80", "127.0.0.1.evil.com", "evil.com:127"};
    struct guard g = guard_at("127.0.0.1", NULL, NULL), open = guard_at("0.0.0.0", NULL, NULL);
    for (size_t i = 0; i < LEN(good); i++)
        if (!guard_host(&g, good[i])) fail_msg("'%s' was refused", good[i]);
    for (size_t i = 0; i < LEN(bad); i++) {
        if (guard_host(&g, bad[i])) fail_msg("'%s' was let in", bad[i]);
        assert_true(guard_host(&open, bad[i]));
    }
    assert_true(guard_host(&g, NULL));
    guard_deinit(&g);
    guard_deinit(&open);
}

static void origins(void **state) {
    struct guard g = guard_at("127.0.0.1", " https://*.example.com ,chrome-extension://*", NULL), any = guard_at("127.0.0.1", "*", NULL);
    assert_int_equal(guard_origin(&g, NULL, "x"), ORIGIN_SAME);
    assert_int_equal(guard_origin(&g, "http://box:80", "box:80"), ORIGIN_SAME);
    static const char *const good[] = {"http://localhost", "https://127.0.0.1:5", "http://0.0.0.0:1", "app://x", "file://", "tauri://localhost", "vscode-file://a", "https://a.example.com", "chrome-extension://abc"};
    static const char *const bad[] = {"http://evil.com", "null", "", "http://localhost.evil.com", "http://example.com", "https://example.com", "http://a.example.com"};
    for (size_t i = 0; i < LEN(good); i++) assert_int_equal(guard_origin(&g, good[i], "box"), ORIGIN_ALLOWED);
    for (size_t i = 0; i < LEN(bad); i++) {
        assert_int_equal(guard_origin(&g, bad[i], "box"), ORIGIN_FOREIGN);
        assert_int_equal(guard_origin(&any, bad[i], "box"), ORIGIN_ALLOWED);
    }
    assert_true(any.any_origin && !g.any_origin);
    guard_deinit(&g);
    guard_deinit(&any);
}

static void keys(void **state) {
    struct guard g = guard_at("127.0.0.1", NULL, "k3y"), none = guard_at("127.0.0.1", NULL, NULL);
    assert_true(guard_key(&none, NULL));
    assert_true(guard_key(&g, "Bearer k3y") && guard_key(&g, "bearer k3y") && guard_key(&g, "Basic YTprM3k="));
    static const char *const bad[] = {NULL, "", "k3y", "Bearer ", "Bearer k3", "Bearer k3y ", "Bearer k3yk3y", "Basic YTprM3kx", "Basic k3y", "Basic !!!="};
    for (size_t i = 0; i < LEN(bad); i++) assert_false(guard_key(&g, bad[i]));
    guard_deinit(&g);
    guard_deinit(&none);
}

static void addresses(void **state) {
    static const struct { const char *spec, *host; uint32_t port; } good[] = {
        {"0.0.0.0", "0.0.0.0", 8080}, {"box:99", "box", 99}, {":99", "127.0.0.1", 99}, {"http://box", "box", 80}, {"https://box:1/x", "box", 1}, {"[::1]:5", "::1", 5}, {"::1", "::1", 8080}, {"[::]", "::", 8080}};
    for (size_t i = 0; i < LEN(good); i++) {
        struct listen_at at = {"127.0.0.1", 8080};
        OK(listen_parse(good[i].spec, &at, &support_err));
        assert_string_equal(at.host, good[i].host);
        assert_int_equal(at.port, good[i].port);
    }
    struct listen_at at;
    REFUSED(listen_parse("box:x", &at, &support_err), ERR_ARG, "box:x");
    REFUSED(listen_parse("box:70000", &at, &support_err), ERR_ARG, "70000");
}

static void base64(void **state) {
    unsigned char bytes[40];
    for (size_t n = 0; n < sizeof bytes; n++) {
        struct strbuf t = {0};
        unsigned char *back;
        size_t n_back;
        for (size_t i = 0; i < n; i++) bytes[i] = (unsigned char)support_random(256);
        base64_encode(bytes, n, &t);
        assert_true(base64_decode(strbuf_of(&t), t.n, &back, &n_back));
        assert_int_equal(n_back, n);
        assert_memory_equal(back, bytes, n);
        free(back);
        strbuf_deinit(&t);
    }
    unsigned char *out;
    size_t n;
    static const char *const bad[] = {"a", "ab", "abc", "ab=c", "====", "a===", "ab\nd", "data:image/png;base64,aaaa"};
    for (size_t i = 0; i < LEN(bad); i++)
        if (base64_decode(bad[i], strlen(bad[i]), &out, &n)) fail_msg("'%s' was taken for base64", bad[i]);
}

/* Texts over two characters, one of them NUL, cut at random: always what lies before the first stop string. */
static void stop_strings(void **state) {
    static const struct stop_text strings[] = {{"a\0a\0", 4}, {"\0\0", 2}, {"aaaa\0", 5}};
    for (int round = 0; round < 2000; round++) {
        char text[32];
        size_t len = support_random(31), want = len;
        for (size_t i = 0; i < len; i++) text[i] = support_random(2) ? 'a' : 0;
        for (size_t i = 0; i < LEN(strings); i++) {
            const char *hit = memmem(text, len, strings[i].p, strings[i].len);
            if (hit && (size_t)(hit - text) < want) want = (size_t)(hit - text);
        }
        struct stop s;
        struct strbuf out = {0};
        stop_init(&s, strings, LEN(strings));
        for (size_t at = 0; at < len;) {
            size_t n = 1 + support_random(4);
            if (n > len - at) n = len - at;
            stop_feed(&s, text + at, n, &out);
            at += n;
        }
        stop_flush(&s, &out);
        assert_int_equal(s.matched, want < len);
        assert_int_equal(out.n, want);
        assert_memory_equal(strbuf_of(&out), text, want);
        strbuf_deinit(&out);
        stop_deinit(&s);
    }
}

static json_t *parsed(const char *text) {
    struct strbuf b = {0};
    json_t *v;
    strbuf_str(&b, text);
    OK(fields_parse(&b, &v, &support_err));
    strbuf_deinit(&b);
    return v;
}

static void bodies(void **state) {
    json_t *v = parsed(" {\"a\":\"x\\ud83dy\",\"b\":\"\\ud83d\\ude00\",\"c\":\"\\\\ud83d\",\"d\":\"q\xff\",\"e\":\"\\udc00\"}");
    assert_string_equal(json_string_value(json_object_get(v, "a")), "x\xef\xbf\xbdy");
    assert_string_equal(json_string_value(json_object_get(v, "b")), "\xf0\x9f\x98\x80");
    assert_string_equal(json_string_value(json_object_get(v, "c")), "\\ud83d");
    assert_string_equal(json_string_value(json_object_get(v, "d")), "q\xef\xbf\xbd");
    assert_string_equal(json_string_value(json_object_get(v, "e")), "\xef\xbf\xbd");
    json_decref(v);
    static const char *const bad[] = {"", " \n", "{", "[]", "3", "{\"a\":\"\\ud83d}", "{} x"};
    for (size_t i = 0; i < LEN(bad); i++) {
        struct strbuf b = {0};
        strbuf_str(&b, bad[i]);
        assert_int_equal(fields_parse(&b, &v, &support_err), ERR_ARG);
        strbuf_deinit(&b);
    }
}

static void options_in_range(void **state) {
    json_t *v = parsed("{\"temperature\":1e9,\"top_p\":-3,\"top_k\":-1,\"repeat_last_n\":-1,\"seed\":7.0,\"num_predict\":5,\"stop\":\"x\",\"odd\":{}}");
    struct options o = options_default();
    OK(options_read(&o, v, &support_err));
    struct sampler_params p = options_sampling(&o, 4096);
    assert_true(p.temperature <= 100.0f && p.top_p >= 0.0f && p.top_k == 0 && p.repeat_last_n == 4096 && p.seed == 7);
    struct sampler *s;
    OK(sampler_new(&p, 100, &s, &support_err));
    sampler_free(s);
    assert_int_equal(o.n_stop, 1);
    json_decref(v);
    static const char *const bad[][2] = {{"{\"temperature\":\"hot\"}", "float32"}, {"{\"top_k\":1.5}", "integer"}, {"{\"use_mmap\":1}", "boolean"}, {"{\"stop\":3}", "array"}};
    for (size_t i = 0; i < LEN(bad); i++) {
        v = parsed(bad[i][0]);
        REFUSED(options_read(&o, v, &support_err), ERR_ARG, bad[i][1]);
        json_decref(v);
    }
}

static void requests_in_both_forms(void **state) {
    struct request r;
    OK(request_openai_chat(parsed("{\"model\":\"m\",\"messages\":[{\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]},"
                                  "{\"role\":\"assistant\",\"content\":null,\"reasoning\":\"r\",\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}}]}],"
                                  "\"tools\":[{}],\"tool_choice\":\"none\",\"max_tokens\":9,\"reasoning_effort\":\"xhigh\",\"response_format\":{\"type\":\"json_object\"}}"), &r, &support_err));
    char *text = json_dumps(r.messages, JSON_COMPACT);
    assert_string_equal(text, "[{\"role\":\"system\",\"content\":\"ab\"},{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"r\",\"tool_calls\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1}},\"id\":\"c\"}]}]");
    free(text);
    assert_true(!r.tools && !r.stream && r.options.num_predict == 9 && r.think == THINK_HIGH && r.format == FORMAT_JSON && r.options.top_p == 1);
    request_deinit(&r);
    OK(request_chat(parsed("{\"model\":\"m\",\"tools\":[],\"think\":\"low\",\"format\":{\"type\":\"object\"},\"keep_alive\":2}"), &r, &support_err));
    assert_true(r.stream && !r.tools && r.think == THINK_LOW && r.format == FORMAT_SCHEMA && r.keep_alive_ns == 2000000000 && request_loads_only(&r));
    request_deinit(&r);
    assert_int_equal(request_openai_chat(parsed("{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}]}"), &r, &support_err), ERR_ARG);
    assert_string_equal(support_err.text, "invalid tool call arguments");
    request_deinit(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_are_one), cmocka_unit_test(names_that_are_none), cmocka_unit_test(names_of_files), cmocka_unit_test(durations),
        cmocka_unit_test(hosts), cmocka_unit_test(origins), cmocka_unit_test(keys), cmocka_unit_test(addresses), cmocka_unit_test(base64),
        cmocka_unit_test(stop_strings), cmocka_unit_test(bodies), cmocka_unit_test(options_in_range), cmocka_unit_test(requests_in_both_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
