/* hy template: a chat template rendered by hand, with the variables of a request on standard input. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "models/chat/chat.h"
#include "sched/model_file.h"
#include "tools/box.h"
#include "tools/cli.h"

static int open_model(const char *path, struct chat **c, struct err *e) {
    struct model_file *m;
    int rc = model_file_open(path, &m, e);
    if (rc) return rc;
    rc = chat_open(&m->gguf, c, e);
    if (rc) err_prefix(e, "'%s'", path);
    model_file_close(m);
    return rc;
}

/* A model by its first bytes, else the text of a template. */
static int open_either(const char *path, struct chat **c, struct err *e) {
    char magic[4] = {0}, *text;
    size_t len;
    FILE *f = fopen(path, "rb");
    bool model = f && fread(magic, 1, sizeof magic, f) == sizeof magic && memcmp(magic, "GGUF", sizeof magic) == 0;
    if (f) fclose(f);
    if (model || strcmp(path, BOX_MODEL) == 0) return open_model(path, c, e);
    int rc = cli_read_all(path, &text, &len, e);
    if (rc) return rc;
    rc = chat_open_text(text, len, NULL, NULL, c, e);
    free(text);
    return rc ? err_prefix(e, "'%s'", path) : ERR_OK;
}

static int read_request(json_t **request, struct err *e) {
    char *text;
    size_t len;
    json_error_t at;
    int rc = cli_read_all(NULL, &text, &len, e);
    if (rc) return rc;
    *request = json_loadb(text, len, JSON_ALLOW_NUL, &at);
    free(text);
    if (!*request)
        return err_set(e, ERR_FORMAT, "standard input is not JSON: line %d, column %d: %s", at.line, at.column,
                       at.text);
    if (json_is_object(*request)) return ERR_OK;
    json_decref(*request);
    return err_set(e, ERR_FORMAT, "standard input must be a JSON object, such as {\"messages\": [...]}");
}

/* "now", taken out of the request: seconds since 1970, or a local date: "2026-05-04" or "2026-05-04T10:11:12". */
static int take_now(json_t *request, int64_t *now_s, struct err *e) {
    json_t *now = json_object_get(request, "now");
    struct tm tm = {.tm_isdst = -1};
    int end = 0;
    *now_s = now ? (int64_t)json_number_value(now) : (int64_t)time(NULL);
    if (json_is_string(now)) {
        const char *s = json_string_value(now);
        int n = sscanf(s, "%d-%d-%d%n%*1[T ]%d:%d:%d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &end, &tm.tm_hour,
                       &tm.tm_min, &tm.tm_sec, &end);
        if ((n != 3 && n != 6) || s[end])
            return err_set(e, ERR_ARG, "now is '%.40s', not a date such as 2026-05-04T10:11:12", s);
        tm.tm_year -= 1900;
        tm.tm_mon--;
        *now_s = (int64_t)mktime(&tm);
    } else if (now && !json_is_number(now)) {
        return err_set(e, ERR_ARG, "now must be seconds since 1970 or a date such as 2026-05-04T10:11:12");
    }
    json_object_del(request, "now");
    return ERR_OK;
}

/* What Hugging Face defines for every template, also when it was not asked for. */
static void set_absent(json_t *vars) {
    static const char *const names[] = {"tools", "documents"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!json_object_get(vars, names[i])) json_object_set_new(vars, names[i], json_null());
    if (!json_object_get(vars, "add_generation_prompt"))
        json_object_set_new(vars, "add_generation_prompt", json_false());
}

static int render_exact(const struct chat *c, json_t *vars, int64_t now_s, char **text, size_t *len, struct err *e) {
    bool tools = json_array_size(json_object_get(vars, "tools")) > 0;
    set_absent(vars);
    return chat_render_vars(c, vars, tools, now_s, text, len, e);
}

static int render_fitted(const struct chat *c, json_t *vars, int64_t now_s, char **text, size_t *len, struct err *e) {
    json_t *messages = json_incref(json_object_get(vars, "messages")),
           *tools = json_incref(json_object_get(vars, "tools"));
    struct chat_request r = {.messages = messages, .tools = tools, .vars = vars, .now_s = now_s,
                             .add_generation_prompt = json_is_true(json_object_get(vars, "add_generation_prompt"))};
    json_object_del(vars, "messages"); /* what the request says of them comes fitted */
    json_object_del(vars, "tools");
    int rc = chat_render(c, &r, text, len, e);
    json_decref(messages);
    json_decref(tools);
    return rc;
}

int cmd_template(int argc, char **argv) {
    bool fit = false;
    const char *path = NULL;
    const struct opt opts[] = {
        {"--fit", OPT_FLAG, &fit, NULL, "as hy serve does: fit the messages to what the template expects", 0, 0},
    };
    const struct command cmd = {
        .name = "template", .usage = "[MODEL|FILE.jinja] [options] < REQUEST.json",
        .about = "The prompt that a chat template makes of a request: a JSON object with messages, tools,\n"
                 "add_generation_prompt, bos_token, eos_token, now, and any other variable of the template.",
        .opts = opts, .n_opt = sizeof opts / sizeof opts[0], .positional = &path, .n_positional = 1,
    };
    struct err e;
    struct chat *c = NULL;
    json_t *request = NULL;
    int code;
    if (!cli_parse(&cmd, argc, argv, NULL, &code)) return code;
    if (!path) path = BOX_MODEL;
    int64_t now_s = 0;
    size_t len = 0;
    char *text = NULL;
    int rc = open_either(path, &c, &e);
    if (!rc) rc = read_request(&request, &e);
    if (!rc && chat_info(c)->warning) fprintf(stderr, "hy: %s\n", chat_info(c)->warning);
    if (!rc) rc = take_now(request, &now_s, &e);
    if (!rc) rc = (fit ? render_fitted : render_exact)(c, request, now_s, &text, &len, &e);
    if (rc) code = cli_fail(&e);
    else code = cli_write(text, len) && cli_flush() ? EXIT_OK : EXIT_FAILED;
    free(text);
    json_decref(request);
    chat_free(c);
    return code;
}
