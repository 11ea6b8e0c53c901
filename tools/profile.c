/* hy profile: what memory and disk of this machine deliver, measured or from the cache. */
#include "sched/profile.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sched/cache_dir.h"
#include "tools/cli.h"
#include "tools/model_find.h"

struct session {
    struct profile p;
    bool cached;             /* p.memory_rate is from the cache */
    bool disk_cached;
    bool fresh;              /* something was measured now, */
    bool kept;               /* and saved */
    char note[ERR_TEXT_BYTES]; /* why no disk was measured */
};

static void date(int64_t when, char out[32]) {
    time_t t = (time_t)when;
    struct tm tm;
    if (!localtime_r(&t, &tm) || !strftime(out, 32, "%Y-%m-%d %H:%M", &tm)) strcpy(out, "?");
}

static void print_disk(const struct profile_disk *d) {
    char when[32];
    date(d->when, when);
    printf("\ndisk       direct reads at random offsets, GB/s; measured %s\n           with %s (%.2f GB, %.2f GB of it read)\n\n", when, d->file,
           (double)d->file_bytes / 1e9, (double)d->read_bytes / 1e9);
    printf("  %-12s", "block");
    for (uint32_t r = 0; r < PROFILE_N_READERS; r++) printf(" %2u reader%s", profile_readers[r], r ? "s" : " ");
    putchar('\n');
    for (uint32_t b = 0; b < PROFILE_N_BLOCK; b++) {
        printf("  %5u KB    ", profile_block_bytes[b] >> 10);
        for (uint32_t r = 0; r < PROFILE_N_READERS; r++)
            if (d->rate[b][r] > 0) printf(" %10.2f", d->rate[b][r] / 1e9);
            else printf(" %10s", "-");
        putchar('\n');
    }
    printf("  best: %.2f GB/s with %u reader%s and blocks of %u KB\n", d->best_rate / 1e9, d->best_n_reader, d->best_n_reader == 1 ? "" : "s",
           d->best_block_bytes >> 10);
}

static void print_memory(const struct profile *p) {
    struct budget b;
    printf("memory     %.2f GB", (double)p->ram_bytes / 1e9);
    if (budget_make(&(struct budget_request){.gpu_hint_bytes = p->gpu_working_set_bytes}, &b, NULL) == ERR_OK && b.bytes)
        printf("; hy may use %.2f GB of it now (--memory auto)", (double)b.bytes / 1e9);
    printf("\nbandwidth  %.1f GB/s, plain reading by %u thread%s\n", p->memory_rate / 1e9, p->n_core, p->n_core == 1 ? "" : "s");
    if (*p->gpu)
        printf("GPU        %s, working set %.2f GB, largest buffer %.2f GB\n", p->gpu, (double)p->gpu_working_set_bytes / 1e9,
               (double)p->gpu_max_buffer_bytes / 1e9);
}

static void print_text(const struct session *s) {
    char when[32], path[1024];
    printf("machine    %s\n", s->p.machine);
    print_memory(&s->p);
    for (uint32_t i = 0; i < s->p.n_disk; i++) print_disk(&s->p.disks[i]);
    if (*s->note) printf("\ndisk       not measured: %s\n", s->note);
    date(s->p.when, when);
    if (!s->fresh) printf("\nfrom the cache, measured %s; --force measures again\n", when);
    else if (s->kept && cache_path("", path, sizeof path, NULL) == ERR_OK) printf("\nkept in %s\n", path);
}

/* The file to read from: the one named, or a model that lies about. NULL: none, and s->note says what to give. */
static const char *choose_file(struct session *s, const char *named, struct model_find *found) {
    if (named) return named;
    model_find(found);
    if (*found->path) return found->path;
    snprintf(s->note, sizeof s->note, "%s in " MODEL_FIND_PLACES "; name a file of %.2f GB or more that lies on the disk: hy profile FILE",
             found->only_new ? "only files written in the last minutes were found" : "no large model was found", (double)PROFILE_MIN_BYTES / 1e9);
    return NULL;
}

/* Sets s->disk_cached when the file's disk is known already. */
static int measure_disk(struct session *s, const char *path, bool force, struct err *e) {
    struct file f;
    struct profile_disk d;
    int rc = file_open(path, &f, e);
    if (rc) return rc;
    uint64_t id = profile_disk_id(&f);
    file_close(&f);
    const struct profile_disk *known = profile_disk_find(&s->p, id);
    s->disk_cached = !force && known && profile_disk_complete(known);
    if (s->disk_cached) return ERR_OK;
    rc = profile_measure_disk(path, &(struct profile_options){.stop = cli_interrupted}, &d, e);
    if (!rc) profile_put_disk(&s->p, &d);
    return rc;
}

static int measure(struct session *s, const char *named, bool force, struct err *e) {
    struct model_find found;
    const char *path = choose_file(s, named, &found);
    int rc = ERR_OK;
    s->cached = profile_load(&s->p) && s->p.memory_rate > 0 && !force;
    if (isatty(2) && !s->cached) fputs("measuring, about 6 s ...\n", stderr);
    if (path) rc = measure_disk(s, path, force, e);
    else s->disk_cached = s->cached;
    if (rc == ERR_UNSUPPORTED && !named) {
        snprintf(s->note, sizeof s->note, "%s", e->text);
        rc = ERR_OK;
    }
    if (!rc && !s->cached) rc = profile_measure_machine(&s->p, e);
    if (!rc && cli_interrupted(NULL)) rc = err_set(e, ERR_CANCELLED, "interrupted; nothing was kept");
    return rc;
}

static int print(const struct session *s, bool json) {
    if (!json) {
        print_text(s);
        return cli_flush() ? EXIT_OK : EXIT_FAILED;
    }
    char *text = profile_json(&s->p);
    if (*s->note) fprintf(stderr, "hy: no disk was measured: %s\n", s->note);
    if (text) puts(text);
    free(text);
    return text && cli_flush() ? EXIT_OK : EXIT_FAILED;
}

int cmd_profile(int argc, char **argv) {
    const char *file = NULL;
    bool force = false, json = false;
    const struct opt opts[] = {
        {"--force", OPT_FLAG, &force, NULL, "measure again, whatever the cache holds", 0, 0},
        {"--json", OPT_FLAG, &json, NULL, "the result as JSON", 0, 0},
    };
    const struct command c = {.name = "profile", .usage = "[FILE] [--force] [--json]",
                              .about = "What this machine delivers: memory bandwidth, and how fast its disk is read directly, by block size and\n"
                                       "number of readers. FILE: any large file on the disk in question; without one, a model is looked for\n"
                                       "in the usual places. It is only read. The result is kept in the cache folder and used by later runs.",
                              .opts = opts, .n_opt = sizeof opts / sizeof opts[0], .positional = &file, .n_positional = 1};
    int code;
    if (!cli_parse(&c, argc, argv, NULL, &code)) return code;
    cli_catch_interrupt();
    struct session *s = calloc(1, sizeof *s);
    struct err e;
    if (!s) return cli_fail((err_set(&e, ERR_NOMEM, "no memory for a profile"), &e));
    int rc = measure(s, file, force, &e);
    s->fresh = !s->cached || !(s->disk_cached || *s->note);
    s->kept = !rc && s->fresh && profile_save(&s->p, &e) == ERR_OK;
    if (!rc && s->fresh && !s->kept && e.code != ERR_NOT_FOUND) fprintf(stderr, "hy: %s\n", e.text);
    code = rc ? cli_fail(&e) : print(s, json);
    free(s);
    return code;
}
