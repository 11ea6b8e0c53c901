/* hy optimize: writes the sidecar of a model. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/size_text.h"
#include "sched/sidecar_write.h"
#include "tools/cli.h"

struct optimize {
    struct model_file *mf;
    struct arena arena;
    struct sidecar_layout layout;
    struct sidecar_write write;
    uint64_t need_bytes, free_bytes;
    uint64_t t0_ns, from_bytes, shown_ns; /* of the bar: where this run began, when it was drawn last */
};

static void say_time(double s, char out[16]) {
    uint64_t t = (uint64_t)(s + 0.5);
    if (t >= 3600)
        snprintf(out, 16, "%u:%02u:%02u", (unsigned)(t / 3600 % 1000), (unsigned)(t / 60 % 60), (unsigned)(t % 60));
    else snprintf(out, 16, "%u:%02u", (unsigned)(t / 60), (unsigned)(t % 60));
}

static bool show_progress(void *ctx, uint64_t done, uint64_t total) {
    enum { WIDTH = 30 };
    struct optimize *o = ctx;
    uint64_t now = clock_ns();
    if (!o->t0_ns) {
        o->t0_ns = now;
        o->from_bytes = done;
    }
    if (isatty(2) && total && now - o->shown_ns > 100000000) {
        char bar[WIDTH + 1], left[16] = "";
        uint32_t n = (uint32_t)(done * WIDTH / total);
        double rate = now > o->t0_ns ? (double)(done - o->from_bytes) / ((double)(now - o->t0_ns) / 1e9) : 0;
        memset(bar, ' ', WIDTH);
        memset(bar, '=', n);
        bar[WIDTH] = 0;
        if (rate > 0) say_time((double)(total - done) / rate, left);
        fprintf(stderr, "\rwriting [%s] %3u %%  %s of %s  %.2f GB/s  %s left \033[K", bar, (unsigned)(done * 100 / total),
                size_text(done).s, size_text(total).s, rate / 1e9, left);
        o->shown_ns = now;
    }
    return !cli_interrupted(NULL);
}

static int read_model(struct optimize *o, const char *model, struct err *e) {
    struct hparams h;
    struct weights w;
    int rc = model_file_open(model, &o->mf, e);
    if (rc) return rc;
    rc = hparams_read(&o->mf->gguf, &h, e);
    if (!rc) rc = weights_bind(&o->mf->gguf, &h, &o->arena, &w, e);
    if (rc) return err_prefix(e, "%s", model);
    return sidecar_layout_make(o->mf, &h, &w, &o->arena, &o->layout, e);
}

static int make_room_known(struct optimize *o, bool json, struct err *e) {
    int rc = sidecar_space(&o->layout, &o->write, &o->need_bytes, &o->free_bytes, e);
    if (rc) return rc;
    if (o->need_bytes > o->free_bytes)
        return err_set(e, ERR_IO,
                       "'%s' takes %s more, and its disk has %s free; make room, or name a file on another "
                       "disk with -o FILE (and use it with --sidecar FILE)",
                       o->write.path, size_needed(o->need_bytes).s, size_there(o->free_bytes).s);
    if (json) return ERR_OK;
    printf("%s: %s, %s of it to be written; %s are free there\n", o->write.path, size_text(o->layout.file_bytes).s,
           size_text(o->need_bytes).s, size_text(o->free_bytes).s);
    fflush(stdout);
    return ERR_OK;
}

static void count_records(const struct sidecar_layout *l, uint32_t *n_expert, uint32_t *n_dense) {
    *n_expert = *n_dense = 0;
    for (uint32_t i = 0; i < l->n_group; i++) *(l->groups[i].experts ? n_expert : n_dense) += l->groups[i].n_record;
}

static void print_done(const struct optimize *o, double s, bool json) {
    uint32_t n_expert, n_dense;
    count_records(&o->layout, &n_expert, &n_dense);
    uint64_t bytes = o->layout.file_bytes - sidecar_first_record(&o->layout) - o->write.kept_bytes;
    if (json) {
        printf("{\"file\": ");
        cli_json_str(stdout, o->write.path, strlen(o->write.path));
        printf(", \"bytes\": %llu, \"written_bytes\": %llu, \"kept_bytes\": %llu, \"expert_records\": %u, "
               "\"dense_records\": %u, \"s\": %.3f}\n",
               (unsigned long long)o->layout.file_bytes, (unsigned long long)bytes,
               (unsigned long long)o->write.kept_bytes, n_expert, n_dense, s);
        return;
    }
    if (bytes == 0) {
        printf("it was complete already; --force writes it anew\n");
        return;
    }
    printf("%u expert and %u dense records", n_expert, n_dense);
    if (o->write.kept_bytes) printf(", %s kept from before", size_text(o->write.kept_bytes).s);
    printf(", %s in %.1f s (%.2f GB/s)\n", size_text(bytes).s, s, (double)bytes / 1e9 / s);
}

static int optimize(struct optimize *o, const char *model, const char *out, bool json, struct err *e) {
    char path[PATH_MAX];
    int rc = read_model(o, model, e);
    if (!rc && !out) rc = sidecar_path(model, path, sizeof path, e);
    if (rc) return rc;
    o->write.path = out ? out : path;
    o->write.progress = show_progress;
    o->write.ctx = o;
    rc = make_room_known(o, json, e);
    if (rc) return rc;
    uint64_t t0 = clock_ns();
    rc = sidecar_write(o->mf, &o->layout, &o->write, e);
    if (isatty(2)) fputs("\r\033[K", stderr);
    if (!rc) print_done(o, (double)(clock_ns() - t0) / 1e9, json);
    return rc;
}

int cmd_optimize(int argc, char **argv) {
    const char *model = NULL, *out = NULL;
    bool force = false, json = false;
    const struct opt opts[] = {
        {"-o", OPT_STR, &out, "FILE", "the file to write (the model's path with .hyx for .gguf)", 0, 0},
        {"--force", OPT_FLAG, &force, NULL, "write it anew, whatever is there of it", 0, 0},
        {"--json", OPT_FLAG, &json, NULL, "the result as JSON", 0, 0},
    };
    const struct command c = {
        .name = "optimize",
        .usage = "MODEL [-o FILE.hyx] [--force] [--json]",
        .about =
            "Writes the weights that may stream (experts, dense FFNs) once more, as they are read: each expert in one\n"
            "piece, checked by xxHash. Lying beside the model it is used by itself when the model streams. The model\n"
            "file is not changed. What was interrupted goes on where it stopped.",
        .opts = opts,
        .n_opt = sizeof opts / sizeof opts[0],
        .positional = &model,
        .n_positional = 1};
    int code;
    struct err e;
    if (!cli_parse(&c, argc, argv, NULL, &code)) return code;
    if (!model) return cli_no_model();
    cli_catch_interrupt();
    struct optimize o = {.write.force = force};
    arena_init(&o.arena, 0);
    int rc = optimize(&o, model, out, json, &e);
    model_file_close(o.mf);
    arena_deinit(&o.arena);
    if (rc) return cli_fail(&e);
    return cli_flush() ? EXIT_OK : EXIT_FAILED;
}
