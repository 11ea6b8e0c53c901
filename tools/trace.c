/* hy trace: runs a prompt and shows what happened when. */
#include <stdlib.h>

#include "sched/routes.h"
#include "tools/replay.h"
#include "tools/run.h"
#include "tools/trace_view.h"

#define N_EVENTS (1u << 20) /* 40 MB; a token of a large mixture model makes about 3000 */
#define N_MOST 32           /* tokens */

struct tracing {
    struct output json, html, routes;
    const char *replay;
    bool sums_json;
    uint32_t n_last, n_events;
    float disk_gb_s;
    struct trace trace;
    struct routes_writer routes_writer;
    struct trace_view view;
};

static bool only_replay(void *ctx, int *code) {
    struct tracing *t = ctx;
    struct err e;
    if (!t->replay) return false;
    *code = replay_print(t->replay, t->sums_json, &e) ? cli_fail(&e) : cli_flush() ? EXIT_OK : EXIT_FAILED;
    return true;
}

static int begin(void *ctx, const struct output_inputs *in, struct hy_options *base, struct err *e) {
    struct tracing *t = ctx;
    int rc = output_open(&t->json, in, e);
    if (!rc) rc = output_open(&t->html, in, e);
    if (!rc) rc = output_open(&t->routes, in, e);
    if (!rc) rc = trace_init(&t->trace, t->n_events, e);
    base->trace = &t->trace;
    base->routes = t->routes.f ? &t->routes_writer : NULL;
    return rc;
}

static int model_opened(void *ctx, struct hy_engine *en, const char *path, struct err *e) {
    struct tracing *t = ctx;
    const struct hy_info *i = hy_info(en);
    t->view.disk_given = t->disk_gb_s > 0;
    t->view.disk_rate = 1e9 * (double)t->disk_gb_s;
    trace_view_describe(&t->view, en, path);
    if (!t->routes.f) return ERR_OK;
    if (!i->n_expert) return err_set(e, ERR_ARG, "'%s' has no experts, so that there are no routings to save; leave --routes out", path);
    return routes_begin(&t->routes_writer, t->routes.f, (struct routes_shape){i->n_layer, i->n_expert, i->n_expert_used}, e);
}

/* The table is what was asked for; the text is by the way. */
static bool text_aside(void *ctx, const char *p, size_t len) {
    fwrite(p, 1, len, stderr);
    return true;
}

static int show(struct tracing *t, struct err *e) {
    int rc = trace_view_make(&t->view, &t->trace, t->n_last, e);
    if (rc) return rc;
    if (t->json.f) trace_json_events(t->json.f, &t->view);
    if (t->html.f) trace_html(t->html.f, &t->view);
    if (t->sums_json) trace_json_sums(stdout, &t->view);
    else trace_text(stdout, &t->view);
    return ERR_OK;
}

/* What a run that was interrupted or failed did until then is shown too. */
static int finish(struct tracing *t, int code) {
    struct err e = {0};
    int rc = atomic_load(&t->trace.n) ? show(t, &e) : ERR_OK;
    if (rc) cli_fail(&e);
    struct output *outputs[] = {&t->json, &t->html, &t->routes};
    for (int i = 0; i < 3; i++) {
        int closed = output_close(outputs[i], &e);
        if (closed && !rc) cli_fail(&e);
        if (!rc) rc = closed;
    }
    if (!cli_flush()) rc = ERR_IO;
    trace_view_free(&t->view);
    trace_deinit(&t->trace);
    return code ? code : rc ? EXIT_FAILED : EXIT_OK;
}

int cmd_trace(int argc, char **argv) {
    struct tracing t = {.n_events = N_EVENTS};
    const struct opt opts[] = {
        {"-o", OPT_STR, &t.json.path, "FILE", "all events as JSON, for https://ui.perfetto.dev or chrome://tracing", 0, 0},
        {"--html", OPT_STR, &t.html.path, "FILE", "a page that shows them, which needs nothing but a browser", 0, 0},
        {"--last", OPT_U32, &t.n_last, "N", "of the last N steps alone (all)", 1, UINT32_MAX},
        {"--json", OPT_FLAG, &t.sums_json, NULL, "the summary as JSON", 0, 0},
        {"--disk-rate", OPT_F32, &t.disk_gb_s, "GB/S", "what the disk can do (as measured)", 0.001, 1000},
        {"--events", OPT_U32, &t.n_events, "N", "keep the last N events (1048576)", 16, 1u << 26},
        {"--routes", OPT_STR, &t.routes.path, "FILE", "save which experts every token chose", 0, 0},
        {"--replay", OPT_STR, &t.replay, "FILE", "no run: hit rates of cache policies on saved routings, by cache size", 0, 0},
    };
    const struct run_hooks hooks = {
        .name = "trace", .usage = "[MODEL] [-p TEXT | -f FILE | stdin] [-o FILE] [--html FILE] [options]\n"
                                   "       hy trace --replay FILE [--json]",
        .about = "Runs a prompt as hy run does and shows where the time went: reads, waits, compute and expert cache, layer by layer.",
        .opts = opts, .n_opt = sizeof opts / sizeof opts[0], .n_most = N_MOST, .ctx = &t,
        .instead = only_replay, .open = begin, .opened = model_opened, .text = text_aside};
    int code = run_prompt(argc, argv, &hooks);
    return finish(&t, code);
}
