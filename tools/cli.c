#include "tools/cli.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utf8proc.h>

#include "tools/plan_print.h"

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig) { interrupted = sig; }

void cli_catch_interrupt(void) {
    struct sigaction sa = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND}; /* a second one ends the program */
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}

bool cli_interrupted(void *unused) { return interrupted; }

void cli_keep_interrupts(void) {
    struct sigaction sa = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}

int cli_take_interrupt(void) {
    int sig = interrupted;
    interrupted = 0;
    return sig;
}

int cli_fail(const struct err *e) {
    fprintf(stderr, "hy: %s\n", e->text);
    return e->code == ERR_CANCELLED ? EXIT_INTERRUPTED : EXIT_FAILED;
}

int cli_usage_error(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fputs("hy: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputs("\n", stderr);
    va_end(ap);
    return EXIT_USAGE;
}

static const char *type_problem(const struct opt *o) {
    switch (o->type) {
    case OPT_SIZE: return "a size such as 800M or 20G";
    case OPT_MEMORY: return "a size such as 20G, a share of memory such as 0.8, or auto";
    case OPT_F32: return "a number";
    default: return "a whole number";
    }
}

/* "20G", "1.5g", "4096": bytes; K, M, G, T are powers of 1024. */
static bool parse_size(const char *s, uint64_t *out) {
    char *end;
    errno = 0;
    double v = strtod(s, &end);
    static const char units[] = "KMGT";
    const char *u = *end ? strchr(units, *end & ~0x20) : NULL;
    if (*end && !u) return false;
    if (u) {
        v *= pow(1024, (double)(u - units + 1));
        end++;
        if (*end == 'i' || *end == 'I') end++;
        if (*end == 'b' || *end == 'B') end++;
    }
    if (end == s || *end || !(v >= 1 && v < 1e18)) return false;
    *out = (uint64_t)v;
    return true;
}

/* "auto"; a size; a bare number with a point: a share of memory, at most 1. */
static bool parse_memory(const char *s, struct budget_request *out) {
    bool share = strspn(s, "0123456789.") == strlen(s) && strchr(s, '.');
    out->kind = share ? BUDGET_FRACTION : strcmp(s, "auto") == 0 ? BUDGET_AUTO : BUDGET_BYTES;
    if (out->kind == BUDGET_BYTES) return parse_size(s, &out->bytes);
    if (out->kind == BUDGET_AUTO) return true;
    char *end;
    out->fraction = strtod(s, &end);
    return !*end && out->fraction > 0 && out->fraction <= 1;
}

static bool in_range(const struct opt *o, double v) { return (o->lo == 0 && o->hi == 0) || (v >= o->lo && v <= o->hi); }

static bool parse_whole(const struct opt *o, const char *s) {
    char *end;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (end == s || *end || errno) return false;
    if (o->type == OPT_I32 ? v < INT32_MIN || v > INT32_MAX : v < 0) return false;
    if ((o->type == OPT_U32 && v > UINT32_MAX) || !in_range(o, (double)v)) return false;
    if (o->type == OPT_I32) *(int32_t *)o->out = (int32_t)v;
    else if (o->type == OPT_U32) *(uint32_t *)o->out = (uint32_t)v;
    else *(uint64_t *)o->out = (uint64_t)v;
    return true;
}

static bool parse_float(const struct opt *o, const char *s) {
    char *end;
    float v = strtof(s, &end);
    if (end == s || *end || !isfinite(v) || !in_range(o, (double)v)) return false;
    *(float *)o->out = v;
    return true;
}

static bool parse_value(const struct opt *o, const char *s) {
    switch (o->type) {
    case OPT_STR: *(const char **)o->out = s; return true;
    case OPT_SIZE: return parse_size(s, o->out);
    case OPT_MEMORY: return parse_memory(s, o->out);
    case OPT_F32: return parse_float(o, s);
    default: return parse_whole(o, s);
    }
}

bool cli_set(const struct opt *o, const char *value) {
    if (parse_value(o, value)) return true;
    if (o->lo == 0 && o->hi == 0) cli_usage_error("%s takes %s, not '%s'", o->name, type_problem(o), value);
    else cli_usage_error("%s takes %s from %.10g to %.10g, not '%s'", o->name, type_problem(o), o->lo, o->hi, value);
    return false;
}

static void print_opts(const struct opt *opts, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s %s", opts[i].name, opts[i].arg ? opts[i].arg : "");
        printf("  %-26s %s\n", left, opts[i].help);
    }
}

#define N_MODEL_OPTS 14
static void model_opts(struct model_options *m, struct opt out[N_MODEL_OPTS]) {
    const struct opt opts[N_MODEL_OPTS] = {
        {"--device", OPT_STR, &m->device, "auto|cpu|metal", "where to compute (auto)", 0, 0},
        {"--threads", OPT_U32, &m->n_thread, "N", "CPU threads (one per physical core)", 1, 256},
        {"--memory", OPT_MEMORY, &m->memory, "SIZE|SHARE|auto", "use at most 20G (G is 2^30), or 0.8 of the memory (auto: what is free)", 0, 0},
        {"--simulate-memory", OPT_SIZE, &m->memory.simulate_bytes, "SIZE", "as on a machine with so little memory, e.g. 16G", 0, 0},
        {"-c", OPT_U32, &m->n_ctx, "N", "context in tokens (the model's own, at most 4096)", 1, 1u << 28},
        {"--kv", OPT_STR, &m->kv, "f16|q8_0", "how keys and values are kept (f16, or q8_0 when only that fits)", 0, 0},
        {"--io", OPT_STR, &m->io, "direct|cached", "how weights that stream are read: past the page cache (direct), or through it", 0, 0},
        {"--ram-tier", OPT_STR, &m->ram_tier, "stream|mmap", "weights that do not fit: stream, or stay in the page cache", 0, 0},
        {"--sidecar", OPT_STR, &m->sidecar, "FILE|off", "where hy optimize wrote the weights that stream (beside the model)", 0, 0},
        {"--readers", OPT_U32, &m->n_reader, "N", "threads that read weights that stream (4)", 1, 16},
        {"--ring", OPT_U32, &m->n_ring_slot, "N", "stream dense weights through at most N slots, also when they fit", 3, 4096},
        {"--no-guesses", OPT_FLAG, &m->no_guesses, NULL, "read no expert before its router chose it", 0, 0},
        {"--slots", OPT_U32, &m->n_expert_slot, "N", "keep at most N experts in memory, also when more fit", 1, 1u << 20},
        {"--isa", OPT_STR, &m->isa, "NAME", "CPU kernels: scalar, avx2, avx512, neon, neon_i8mm (the best)", 0, 0},
    };
    memcpy(out, opts, sizeof opts);
}

static void print_help(const struct command *c) {
    printf("hy %s %s\n\n%s\n\n", c->name, c->usage, c->about);
    print_opts(c->opts, c->n_opt);
    if (c->model_options) {
        struct model_options m;
        struct opt opts[N_MODEL_OPTS];
        model_opts(&m, opts);
        print_opts(opts, N_MODEL_OPTS);
    }
    printf("  %-26s %s\n", "--help", "this text");
}

static const struct opt *find_opt(const struct opt *opts, uint32_t n, const char *name, size_t len) {
    for (uint32_t i = 0; i < n; i++)
        if (strlen(opts[i].name) == len && memcmp(opts[i].name, name, len) == 0) return &opts[i];
    return NULL;
}

/* One option at argv[*i], with its value in the same word ("--n=3") or the next. */
static bool take_option(const struct command *c, const struct opt *own, uint32_t n_own, int argc, char **argv, int *i) {
    const char *word = argv[*i], *eq = strchr(word, '=');
    size_t len = eq && word[1] == '-' ? (size_t)(eq - word) : strlen(word);
    const struct opt *o = find_opt(c->opts, c->n_opt, word, len);
    if (!o) o = find_opt(own, n_own, word, len);
    if (!o) {
        cli_usage_error("'%s' is not an option of hy %s; see hy %s --help", word, c->name, c->name);
        return false;
    }
    if (o->type == OPT_FLAG && len < strlen(word)) {
        cli_usage_error("%s takes no value, so not '%s'", o->name, word);
        return false;
    }
    if (o->type == OPT_FLAG) {
        *(bool *)o->out = true;
        return true;
    }
    const char *value = len < strlen(word) ? word + len + 1 : *i + 1 < argc ? argv[++*i] : NULL;
    if (!value) {
        cli_usage_error("%s needs a value (%s)", o->name, o->arg);
        return false;
    }
    return cli_set(o, value);
}

static bool one_of(const char *opt, const char *v, const char *a, const char *b, const char *c) {
    if (!v || strcmp(v, a) == 0 || strcmp(v, b) == 0 || (c && strcmp(v, c) == 0)) return true;
    cli_usage_error("%s takes %s%s%s%s%s, not '%s'", opt, a, c ? ", " : " or ", b, c ? " or " : "", c ? c : "", v);
    return false;
}

bool cli_parse(const struct command *c, int argc, char **argv, struct model_options *m, int *exit_code) {
    struct opt own[N_MODEL_OPTS];
    uint32_t n_own = c->model_options ? N_MODEL_OPTS : 0, n_pos = 0;
    if (n_own) {
        *m = (struct model_options){0};
        model_opts(m, own);
    }
    bool options = true;
    *exit_code = EXIT_USAGE;
    for (int i = 1; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            print_help(c);
            *exit_code = cli_flush() ? EXIT_OK : EXIT_FAILED;
            return false;
        } else if (options && argv[i][0] == '-' && argv[i][1]) {
            if (!take_option(c, own, n_own, argc, argv, &i)) return false;
        } else if (n_pos < c->n_positional) {
            c->positional[n_pos++] = argv[i];
        } else {
            cli_usage_error("'%s' is one argument too many; see hy %s --help", argv[i], c->name);
            return false;
        }
    }
    return !n_own || (one_of("--device", m->device, "auto", "cpu", "metal") && one_of("--kv", m->kv, "f16", "q8_0", NULL) &&
                      one_of("--io", m->io, "direct", "cached", NULL) && one_of("--ram-tier", m->ram_tier, "stream", "mmap", NULL));
}

static bool show_progress(void *ctx, uint64_t done, uint64_t total) {
    enum { WIDTH = 40 };
    if (isatty(2) && total) {
        char bar[WIDTH + 1];
        uint32_t n = (uint32_t)(done * WIDTH / total);
        memset(bar, ' ', WIDTH);
        memset(bar, '=', n);
        bar[WIDTH] = 0;
        fprintf(stderr, "\rloading [%s] %3u %%", bar, (unsigned)(done * 100 / total));
    }
    return !interrupted;
}

enum device_kind cli_device(const char *name) {
    if (name && strcmp(name, "auto") != 0) return strcmp(name, "metal") == 0 ? DEVICE_METAL : DEVICE_CPU;
#ifdef __APPLE__
    return DEVICE_METAL;
#else
    return DEVICE_CPU;
#endif
}

/* A page of a mapped file that is gone can be told only so: the kernel reads where the program touches. */
static void on_lost_page(int sig) {
    static const char text[] = "hy: the model file was cut, or its disk failed, while --ram-tier mmap was using it; start again when it is whole\n";
    (void)!write(2, text, sizeof text - 1); /* nothing is left to do when it fails */
    _exit(EXIT_FAILED);
}

struct hy_options cli_hy_options(const char *path, const struct model_options *m, const struct hy_options *base) {
    struct hy_options o = *base;
    o.model_path = path;
    o.device = cli_device(m->device);
    o.n_thread = m->n_thread;
    o.cpu_isa = m->isa;
    o.memory = m->memory;
    o.n_ctx = m->n_ctx;
    o.kv = !m->kv ? HY_KV_AUTO : strcmp(m->kv, "q8_0") == 0 ? HY_KV_Q8_0 : HY_KV_F16;
    o.io = m->io && strcmp(m->io, "cached") == 0 ? HY_IO_CACHED : HY_IO_DIRECT;
    o.tier = m->ram_tier && strcmp(m->ram_tier, "mmap") == 0 ? HY_TIER_MMAP : HY_TIER_STREAM;
    if (o.tier == HY_TIER_MMAP) signal(SIGBUS, on_lost_page);
    o.no_guesses = m->no_guesses;
    o.n_reader = m->n_reader;
    o.sidecar = m->sidecar;
    o.n_ring_slot = m->n_ring_slot;
    o.n_expert_slot = m->n_expert_slot;
    return o;
}

int cli_open(const char *path, const struct model_options *m, const struct hy_options *base, struct hy_engine **en) {
    struct hy_options o = cli_hy_options(path, m, base);
    struct err e;
    o.progress = show_progress;
    int rc = hy_open(&o, en, &e);
    if (isatty(2)) fputs("\r\033[K", stderr);
    if (rc) return cli_fail(&e);
    plan_say(hy_planned(*en));
    cli_say_sidecar(*en);
    return EXIT_OK;
}

void cli_say_sidecar(const struct hy_engine *en) {
    const char *note = hy_info(en)->sidecar_note;
    if (note) fprintf(stderr, "hy: %s\n", note);
}

int cli_no_model(void) {
    fputs("hy: no model was named.\n\n"
          "hy runs GGUF files, for example\n"
          "    hy run qwen3-8b-q4_k_m.gguf -p \"Why is the sky blue?\"\n"
          "GGUF files are published at huggingface.co: search for the name of a model and \"GGUF\", and take a file\n"
          "such as *-Q4_K_M.gguf of the architectures that hy runs (llama, qwen2, qwen3, qwen3moe, phi3, gemma2, gemma3).\n"
          "The small model that is part of hy needs no file:\n"
          "    hy run -p \"Tell me a story about a fox\"\n", stderr);
    return EXIT_USAGE;
}

bool cli_write(const char *p, size_t len) {
    static bool said;
    if (fwrite(p, 1, len, stdout) == len && !ferror(stdout)) return true;
    if (!said) fprintf(stderr, "hy: the output cannot be written: %s\n", errno == EPIPE ? "its reader has gone" : strerror(errno));
    said = true;
    return false;
}

bool cli_flush(void) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return true;
    cli_write("", 0);
    return false;
}

int cli_read_all(const char *path, char **text, size_t *len, struct err *e) {
    const char *name = path ? path : "standard input";
    FILE *f = path ? fopen(path, "rb") : stdin;
    if (!f) return err_set(e, ERR_IO, "'%s' cannot be opened: %s", path, strerror(errno));
    size_t cap = 65536, n = 0;
    char *p = malloc(cap + 1);
    while (p) {
        n += fread(p + n, 1, cap - n, f);
        if (n < cap) break;
        char *q = realloc(p, (cap *= 2) + 1);
        if (!q) free(p);
        p = q;
    }
    int rc = ERR_OK;
    if (!p) rc = err_set(e, ERR_NOMEM, "no memory to read %s", name);
    else if (ferror(f)) rc = err_set(e, ERR_IO, "%s cannot be read: %s", name, strerror(errno));
    if (path) fclose(f);
    if (rc) {
        free(p);
        return rc;
    }
    p[n] = 0;
    *text = p;
    *len = n;
    return ERR_OK;
}

void cli_json_str(FILE *f, const char *s, size_t len) {
    fputc('"', f);
    for (size_t i = 0; i < len;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s + i, (utf8proc_ssize_t)(len - i), &c);
        if (n <= 0) fputs("\\ufffd", f);
        else if (c < 0x20 || strchr("\"\\<>&'", (int)c) || c == 0x7f || c == 0x2028 || c == 0x2029) fprintf(f, "\\u%04x", (unsigned)c);
        else fwrite(s + i, 1, (size_t)n, f);
        i += n <= 0 ? 1 : (size_t)n;
    }
    fputc('"', f);
}
