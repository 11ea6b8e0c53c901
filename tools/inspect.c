/* hy inspect: what a model file is, from its header alone. */
#include <string.h>

#include "models/weights.h"
#include "runtime/size_text.h"
#include "sched/model_file.h"
#include "tools/box.h"
#include "tools/cli.h"
#include "tools/plan_print.h"

struct summary {
    const struct model_file *mf;
    struct hparams h;
    uint64_t n_param, bytes;
    struct { uint64_t n_tensor, n_param, bytes; } role[N_ROLES], type[DT_MAX];
    char unsupported[ERR_TEXT_BYTES]; /* why hy cannot run it; empty when it can */
};

static uint64_t n_elements(const struct gguf_tensor *t) { return t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3]; }

static void summarize(struct summary *s) {
    for (uint64_t i = 0; i < s->mf->gguf.n_tensor; i++) {
        const struct gguf_tensor *t = &s->mf->gguf.tensors[i];
        enum tensor_role r = tensor_role(t->name);
        uint64_t n = n_elements(t);
        s->n_param += n;
        s->bytes += t->size_bytes;
        s->role[r].n_tensor++;
        s->role[r].n_param += n;
        s->role[r].bytes += t->size_bytes;
        if ((uint32_t)t->type >= DT_MAX) continue;
        s->type[t->type].n_tensor++;
        s->type[t->type].n_param += n;
        s->type[t->type].bytes += t->size_bytes;
    }
    struct arena a;
    struct weights w;
    struct err e;
    arena_init(&a, 0);
    if (hparams_read(&s->mf->gguf, &s->h, &e) || weights_bind(&s->mf->gguf, &s->h, &a, &w, &e))
        snprintf(s->unsupported, sizeof s->unsupported, "%s", e.text);
    arena_deinit(&a);
}

/* The type that holds most of the bytes. */
static const char *main_type(const struct summary *s) {
    uint32_t best = 0;
    for (uint32_t t = 1; t < DT_MAX; t++)
        if (s->type[t].bytes > s->type[best].bytes) best = t;
    return dtype_info(best)->name;
}

/* Bytes from the file that are safe to print: control characters become '?'. */
static void print_safe(struct gguf_str s, uint64_t most) {
    for (uint64_t i = 0; i < s.len && i < most; i++) {
        unsigned char c = (unsigned char)s.p[i];
        putchar(c < 0x20 || c == 0x7f ? '?' : c);
    }
}

static void print_line(const char *label, const char *key, const struct gguf *g) {
    struct gguf_str s;
    if (!gguf_get_str(g, key, &s)) return;
    printf("%-14s", label);
    print_safe(s, 200);
    putchar('\n');
}

static void print_text(const struct summary *s) {
    const struct gguf *g = &s->mf->gguf;
    const struct hparams *h = &s->h;
    print_line("name", "general.name", g);
    print_line("architecture", "general.architecture", g);
    print_line("tokenizer", "tokenizer.ggml.model", g);
    bool small = s->n_param < 100000000;
    printf("%-14s%.2f %s, %.2f bits each, mostly %s\n", "parameters", (double)s->n_param / (small ? 1e6 : 1e9), small ? "M" : "B",
           s->n_param ? 8 * (double)s->bytes / (double)s->n_param : 0.0, main_type(s));
    printf("%-14sGGUF version %u, %u part%s, %s, %llu tensors\n", "file", g->version, s->mf->n_file, s->mf->n_file == 1 ? "" : "s",
           size_text(s->mf->size_bytes).s, (unsigned long long)g->n_tensor);
    if (h->arch) {
        printf("%-14s%u tokens\n", "context", h->n_ctx_train);
        printf("%-14s%u layers, %u wide, %u heads of %u (%u for keys and values)\n", "shape", h->n_layer, h->n_embd, h->n_head,
               h->head_dim_k, h->n_head_kv);
        if (h->n_expert) printf("%-14s%u of %u per token\n", "experts", h->n_expert_used, h->n_expert);
        if (h->n_window) printf("%-14s%u tokens in windowed layers\n", "window", h->n_window);
    }
    printf("\n%-12s %8s %14s %10s %7s\n", "role", "tensors", "parameters", "size", "share");
    for (int r = 0; r < N_ROLES; r++)
        if (s->role[r].n_tensor)
            printf("%-12s %8llu %14llu %10s %6.1f%%\n", tensor_role_name((enum tensor_role)r), (unsigned long long)s->role[r].n_tensor,
                   (unsigned long long)s->role[r].n_param, size_text(s->role[r].bytes).s, 100 * (double)s->role[r].bytes / (double)s->bytes);
    if (s->unsupported[0]) printf("\nhy cannot run this file: %s\n", s->unsupported);
}

static void print_tensors(const struct gguf *g) {
    printf("\n%-40s %-8s %-28s %14s\n", "tensor", "type", "shape", "bytes");
    for (uint64_t i = 0; i < g->n_tensor; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        char shape[100];
        size_t n = 0;
        for (uint32_t d = 0; d < t->n_dims && n < sizeof shape; d++)
            n += (size_t)snprintf(shape + n, sizeof shape - n, "%s%llu", d ? " x " : "", (unsigned long long)t->dims[d]);
        print_safe((struct gguf_str){t->name, strlen(t->name)}, 200);
        printf("%*s %-8s %-28s %14llu\n", strlen(t->name) < 40 ? (int)(40 - strlen(t->name)) : 0, "", dtype_info((uint32_t)t->type)->name,
               n ? shape : "scalar", (unsigned long long)t->size_bytes);
    }
}

static void json_key_str(const char *field, const char *key, const struct gguf *g) {
    struct gguf_str s = {"", 0};
    gguf_get_str(g, key, &s);
    printf("\"%s\": ", field);
    cli_json_str(stdout, s.p, s.len);
    printf(", ");
}

static void json_groups(const struct summary *s) {
    printf("\"roles\": {");
    const char *comma = "";
    for (int r = 0; r < N_ROLES; r++)
        if (s->role[r].n_tensor) {
            printf("%s\"%s\": {\"tensors\": %llu, \"parameters\": %llu, \"bytes\": %llu}", comma, tensor_role_name((enum tensor_role)r),
                   (unsigned long long)s->role[r].n_tensor, (unsigned long long)s->role[r].n_param, (unsigned long long)s->role[r].bytes);
            comma = ", ";
        }
    printf("}, \"types\": {");
    comma = "";
    for (uint32_t t = 0; t < DT_MAX; t++)
        if (s->type[t].n_tensor) {
            printf("%s\"%s\": {\"tensors\": %llu, \"bytes\": %llu}", comma, dtype_info(t)->name, (unsigned long long)s->type[t].n_tensor,
                   (unsigned long long)s->type[t].bytes);
            comma = ", ";
        }
    printf("}");
}

static void json_tensors(const struct gguf *g) {
    printf(", \"tensors\": [");
    for (uint64_t i = 0; i < g->n_tensor; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        printf("%s{\"name\": ", i ? ", " : "");
        cli_json_str(stdout, t->name, strlen(t->name));
        printf(", \"type\": \"%s\", \"shape\": [", dtype_info((uint32_t)t->type)->name);
        for (uint32_t d = 0; d < t->n_dims; d++) printf("%s%llu", d ? ", " : "", (unsigned long long)t->dims[d]);
        printf("], \"bytes\": %llu, \"file\": %u, \"offset\": %llu}", (unsigned long long)t->size_bytes, t->file, (unsigned long long)t->offset);
    }
    printf("]");
}

static void print_json(const struct summary *s, bool tensors) {
    const struct gguf *g = &s->mf->gguf;
    printf("{");
    json_key_str("name", "general.name", g);
    json_key_str("architecture", "general.architecture", g);
    json_key_str("tokenizer", "tokenizer.ggml.model", g);
    printf("\"version\": %u, \"parts\": %u, \"file_bytes\": %llu, \"parameters\": %llu, \"weights_bytes\": %llu, \"type\": \"%s\", ", g->version,
           s->mf->n_file, (unsigned long long)s->mf->size_bytes, (unsigned long long)s->n_param, (unsigned long long)s->bytes, main_type(s));
    if (s->h.arch)
        printf("\"context_length\": %u, \"layers\": %u, \"embedding_length\": %u, \"heads\": %u, \"heads_kv\": %u, \"head_dim\": %u, "
               "\"vocabulary\": %u, \"experts\": %u, \"experts_used\": %u, ",
               s->h.n_ctx_train, s->h.n_layer, s->h.n_embd, s->h.n_head, s->h.n_head_kv, s->h.head_dim_k, s->h.n_vocab, s->h.n_expert, s->h.n_expert_used);
    printf("\"runs\": %s, \"reason\": ", s->unsupported[0] ? "false" : "true");
    cli_json_str(stdout, s->unsupported, strlen(s->unsupported));
    printf(", ");
    json_groups(s);
    if (tensors) json_tensors(g);
    printf("}\n");
}

static int inspect_plan(const char *model, const struct model_options *m, bool json) {
    struct hy_options o = cli_hy_options(model, m, &(struct hy_options){0});
    struct hy_plan p;
    struct err e;
    if (hy_plan(&o, &p, &e)) return cli_fail(&e);
    if (json) plan_print_json(&p);
    else plan_print(&p);
    return cli_flush() ? EXIT_OK : EXIT_FAILED;
}

int cmd_inspect(int argc, char **argv) {
    const char *model = NULL;
    bool tensors = false, plan = false, json = false;
    const struct opt opts[] = {
        {"--tensors", OPT_FLAG, &tensors, NULL, "list every tensor", 0, 0},
        {"--plan", OPT_FLAG, &plan, NULL, "where everything would lie in memory (with the options below), and the speed to expect", 0, 0},
        {"--json", OPT_FLAG, &json, NULL, "the result as JSON", 0, 0},
    };
    const struct command c = {.name = "inspect", .usage = "[MODEL] [--tensors | --plan] [--json]", .about = "What a model file holds; only its header is read.",
                              .opts = opts, .n_opt = sizeof opts / sizeof opts[0], .model_options = true, .positional = &model, .n_positional = 1};
    int code;
    struct model_options m;
    if (!cli_parse(&c, argc, argv, &m, &code)) return code;
    if (!model) model = BOX_MODEL;
    if (plan) return inspect_plan(model, &m, json);
    struct model_file *mf;
    struct err e;
    if (model_file_open(model, &mf, &e)) return cli_fail(&e);
    struct summary s = {.mf = mf};
    summarize(&s);
    if (json) print_json(&s, tensors);
    else print_text(&s);
    if (tensors && !json) print_tensors(&mf->gguf);
    model_file_close(mf);
    return cli_flush() ? EXIT_OK : EXIT_FAILED;
}
