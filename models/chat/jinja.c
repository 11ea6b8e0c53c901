#include "models/chat/jinja.h"

#include <stdlib.h>
#include <string.h>

#include "models/chat/eval.h"
#include "models/chat/parse.h"
#include "models/chat/text.h"

#define MAX_TEMPLATE_BYTES ((size_t)256 << 20) /* of memory for a parsed template */
#define MAX_STEPS 5000000                      /* about a quarter of a second */
#define MIN_RENDER_BYTES ((size_t)64 << 20)    /* of memory for a rendering: this, and */
#define RENDER_BYTES_PER_BYTE 12               /* that for each byte of its variables */

struct jinja {
    struct arena arena;
    struct ast ast;
};

int jinja_new(const char *source, size_t len, struct jinja **out, struct err *e) {
    struct jinja *t = calloc(1, sizeof *t);
    *out = NULL;
    if (!t) return err_set(e, ERR_NOMEM, "no memory for the template");
    arena_init(&t->arena, MAX_TEMPLATE_BYTES);
    int rc = parse_template(&t->arena, source, len, &t->ast, e);
    if (rc) jinja_free(t);
    else *out = t;
    return rc;
}

void jinja_free(struct jinja *t) {
    if (!t) return;
    arena_deinit(&t->arena);
    free(t);
}

/* Bytes of a JSON value, roughly; how much memory its rendering may take follows from it. */
static size_t weigh(const json_t *j, uint32_t depth) {
    size_t sum = 64, i;
    const char *key;
    json_t *kid;
    if (json_is_string(j)) return sum + json_string_length(j);
    if (depth == 0) return sum;
    json_array_foreach(j, i, kid) sum += weigh(kid, depth - 1);
    json_object_foreach((json_t *)j, key, kid) sum += strlen(key) + weigh(kid, depth - 1);
    return sum;
}

static struct value from_json(struct eval *ev, const json_t *j);

static struct value from_string(struct eval *ev, const char *s, size_t len) {
    if (len > UINT32_MAX / 4) eval_fail(ev, ERR_LIMIT, "a string of more than a gigabyte");
    if (!text_valid(s, len)) eval_fail(ev, ERR_FORMAT, "a string that is not valid UTF-8");
    return value_str(s, len);
}

static struct value from_array(struct eval *ev, const json_t *j) {
    struct value l = value_list_new(ev, VALUE_LIST, (uint32_t)json_array_size(j));
    size_t i;
    json_t *kid;
    json_array_foreach(j, i, kid) value_push(ev, l, from_json(ev, kid));
    return l;
}

static struct value from_object(struct eval *ev, const json_t *j) {
    struct value d = value_dict_new(ev, VALUE_DICT);
    for (void *it = json_object_iter((json_t *)j); it; it = json_object_iter_next((json_t *)j, it)) {
        const char *key = json_object_iter_key(it);
        value_put(ev, d.dict, from_string(ev, key, strlen(key)), from_json(ev, json_object_iter_value(it)));
    }
    return d;
}

/* Borrows the strings. */
static struct value from_json(struct eval *ev, const json_t *j) {
    struct value v = value_none();
    eval_enter(ev);
    switch (json_typeof(j)) {
    case JSON_OBJECT: v = from_object(ev, j); break;
    case JSON_ARRAY: v = from_array(ev, j); break;
    case JSON_STRING: v = from_string(ev, json_string_value(j), json_string_length(j)); break;
    case JSON_INTEGER: v = value_int(json_integer_value(j)); break;
    case JSON_REAL: v = value_float(json_real_value(j)); break;
    case JSON_TRUE: case JSON_FALSE: v = value_bool(json_is_true(j)); break;
    case JSON_NULL: break;
    }
    ev->depth--;
    return v;
}

/* The variables that the template names: those given, then what is ready-made. */
static int set_root(struct eval *ev, const json_t *vars) {
    if (setjmp(ev->fail)) return ev->e->code;
    const struct ast *t = ev->ast;
    ev->root = eval_alloc(ev, t->n_name * sizeof *ev->root);
    for (uint32_t i = 0; i < t->n_name; i++) {
        const struct builtin *f = builtin_global(t->name[i]);
        const char *name = arena_strndup(ev->arena, t->name[i].s, t->name[i].len);
        const json_t *j = name ? json_object_get(vars, name) : NULL;
        if (f) ev->root[i] = (struct value){.type = VALUE_FUNC, .func = f};
        if (j) ev->root[i] = from_json(ev, j);
    }
    return ERR_OK;
}

static int render(struct eval *ev, const json_t *vars, char **text, size_t *len) {
    struct eval_out out = {0};
    int rc = set_root(ev, vars);
    if (!rc) rc = eval_run(ev, &out);
    if (rc) return rc;
    *text = malloc(out.n + 1);
    if (!*text) return err_set(ev->e, ERR_NOMEM, "no memory for %zu bytes of rendered text", out.n);
    if (out.n) memcpy(*text, out.p, out.n);
    (*text)[out.n] = 0;
    *len = out.n;
    return ERR_OK;
}

int jinja_render(const struct jinja *t, const json_t *vars, int64_t now_s, char **text, size_t *len, struct err *e) {
    struct err unread;
    struct arena arena;
    size_t input = weigh(vars, 900);
    arena_init(&arena, MIN_RENDER_BYTES + input * RENDER_BYTES_PER_BYTE);
    struct eval *ev = calloc(1, sizeof *ev);
    *text = NULL;
    if (!ev) return err_set(e, ERR_NOMEM, "no memory to render the template");
    ev->ast = &t->ast;
    ev->arena = &arena;
    ev->e = e ? e : &unread;
    ev->now_s = now_s;
    ev->steps_left = MAX_STEPS + input / 8;
    int rc = render(ev, vars, text, len);
    arena_deinit(&arena);
    free(ev);
    return rc;
}
