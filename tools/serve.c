/* hy serve: models for Ollama's and OpenAI's clients. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "runtime/clock.h"
#include "runtime/size_text.h"
#include "tools/box.h"
#include "tools/cli.h"
#include "tools/serve/api.h"
#include "tools/serve/duration.h"
#include "tools/serve/listen.h"

#define MAX_MODELS 64
#define DEFAULT_PORT 8080
#define DEFAULT_QUEUE 512
#define DEFAULT_KEEP_NS (300ll * 1000000000)
#define WANTED_FILES 4096 /* descriptors: connections, and the files of models */

struct serve {
    const char *spec[MAX_MODELS]; /* "PATH" or "NAME=PATH" */
    const char *host, *api_key, *origins;
    uint32_t port, n_parallel, n_queue;
    int64_t keep_alive_ns;
    struct listen_socket socket;
    struct guard guard;
    struct api api;
};

static volatile sig_atomic_t n_signal;

/* The first lets what runs come to its end, the second cancels it, the third ends the program at once. */
static void on_signal(int sig) {
    if (++n_signal < 3) return;
    signal(sig, SIG_DFL);
    raise(sig);
}

static void catch_signals(void) {
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}

static void nap(void) { nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL); }

static void say(const char *text) { fprintf(stderr, "hy: %s\n", text); }

/* The environment. */

static int env_u32(const char *name, uint32_t *out, uint32_t least, struct err *e) {
    const char *s = getenv(name);
    if (!s || !*s) return ERR_OK;
    char *end;
    unsigned long v = strtoul(s, &end, 10);
    if (*end || *s == '-' || v < least || v > 65536)
        return err_set(e, ERR_ARG, "%s is '%s'; it must be a whole number from %u to 65536", name, s, least);
    *out = (uint32_t)v;
    return ERR_OK;
}

static int env_keep_alive(int64_t *out, struct err *e) {
    const char *s = getenv("OLLAMA_KEEP_ALIVE");
    if (!s || !*s) return ERR_OK;
    char *end;
    double seconds = strtod(s, &end);
    if (!*end) *out = seconds < 0 || seconds >= 9e9 ? DURATION_FOREVER : (int64_t)(seconds * 1e9);
    else if (!duration_parse(s, out))
        return err_set(e, ERR_ARG, "OLLAMA_KEEP_ALIVE is '%s'; it must be seconds or a duration such as 10m", s);
    return ERR_OK;
}

/* Options win over the environment, the environment over what is usual. */
static int settle(struct serve *s, struct listen_at *at, struct err *e) {
    *at = (struct listen_at){.host = "127.0.0.1", .port = DEFAULT_PORT};
    const char *host = getenv("OLLAMA_HOST");
    uint32_t n_parallel = 1;
    s->n_queue = DEFAULT_QUEUE;
    s->keep_alive_ns = DEFAULT_KEEP_NS;
    s->origins = getenv("OLLAMA_ORIGINS");
    int rc = host && *host ? listen_parse(host, at, e) : ERR_OK;
    if (!rc && s->host) rc = listen_parse(s->host, at, e);
    if (!rc) rc = env_u32("OLLAMA_NUM_PARALLEL", &n_parallel, 0, e);
    if (!rc) rc = env_u32("OLLAMA_MAX_QUEUE", &s->n_queue, 0, e);
    if (!rc) rc = env_keep_alive(&s->keep_alive_ns, e);
    if (s->port != UINT32_MAX) at->port = s->port;
    if (!s->n_parallel) s->n_parallel = n_parallel ? n_parallel : 1;
    return rc;
}

static void raise_file_limit(void) {
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_cur >= WANTED_FILES) return;
    l.rlim_cur = l.rlim_max < WANTED_FILES ? l.rlim_max : WANTED_FILES;
    setrlimit(RLIMIT_NOFILE, &l);
}

/* Starting. */

static int open_models(struct serve *s, const struct model_options *m, struct err *e) {
    struct models_options mo = {
        .engine = cli_hy_options(NULL, m, &(struct hy_options){.n_seq = s->n_parallel, .n_logits = s->n_parallel}),
        .n_queue = s->n_queue, .keep_alive_ns = s->keep_alive_ns, .say = say};
    int rc = models_new(&mo, &s->api.models, e);
    for (int i = 0; i < MAX_MODELS && s->spec[i] && !rc; i++) {
        rc = models_add(s->api.models, s->spec[i], e);
        if (rc) break;
        const struct model *model = models_at(s->api.models, (uint32_t)i);
        const char *warnings[] = {chat_info(model->chat)->warning, tokenizer_info(model->tokenizer)->warning};
        for (int k = 0; k < 2; k++)
            if (warnings[k]) fprintf(stderr, "hy: %s: %s\n", model->shown, warnings[k]);
    }
    return rc;
}

static bool interrupted(void *ctx) { return n_signal > 0; }

/* The first model is loaded at once: what is wrong with it is told now, and the first request does not wait. */
static int load_first(struct serve *s, struct err *e) {
    uint64_t load_ns;
    struct model *m = models_at(s->api.models, 0);
    int rc = models_acquire(s->api.models, m, -1, interrupted, NULL, &load_ns, e);
    if (!rc) models_release(s->api.models, m);
    return rc;
}

static void print_plan(const struct models_state *st) {
    const struct hy_plan *p = &st->plan;
    printf("plan      %s: weights %s, ", size_text(p->total_bytes).s, size_text(p->resident_bytes).s);
    if (p->ring_bytes + p->pool_bytes) printf("room for streamed ones %s, ", size_text(p->ring_bytes + p->pool_bytes).s);
    printf("keys and values %s, work %s; context %u, %u at a time, %s\n", size_text(p->kv_bytes).s,
           size_text(p->acts_bytes + p->other_bytes).s, p->n_ctx, p->n_seq, st->device);
    if (p->file_bytes) printf("          %s of weights stay on disk (%s)\n", size_text(p->file_bytes).s, hy_mode_name(p->mode));
    if (p->tok_s > 0) printf("          about %.1f tok/s for one request\n", p->tok_s);
}

static void print_start(struct serve *s) {
    struct models_state st;
    const char *name = models_at(s->api.models, 0)->shown;
    for (uint32_t i = 0; i < models_count(s->api.models); i++) {
        struct model *m = models_at(s->api.models, i);
        printf("model     %s  (%s)\n", m->shown, m->path);
        if (!models_state(s->api.models, m, &st)) continue;
        print_plan(&st);
    }
    const char *host = s->guard.check_host ? s->socket.host : "<this machine>";
    printf("endpoint  http://%s:%u%s\n\n", s->socket.host, s->socket.port, s->api_key ? "  (with the key)" : "");
    printf("Ollama's clients:   OLLAMA_HOST=http://%s:%u ollama run %s\n", host, s->socket.port, name);
    printf("OpenAI's clients:   OPENAI_BASE_URL=http://%s:%u/v1 OPENAI_API_KEY=%s, model \"%s\"\n", host, s->socket.port,
           s->api_key ? "<the key>" : "hy", name);
    printf("in a browser:       http://%s:%u/hy\n", host, s->socket.port);
    cli_flush();
}

static int start(struct serve *s, const struct model_options *m, struct err *e) {
    struct listen_at at;
    int rc = settle(s, &at, e);
    if (!rc) rc = listen_open(&at, &s->socket, e);
    if (rc) return rc;
    if (!guard_init(&s->guard, (struct sockaddr *)&s->socket.bound, s->origins, s->api_key))
        return err_set(e, ERR_NOMEM, "no memory to start");
    rc = open_models(s, m, e);
    if (!rc) rc = load_first(s, e);
    if (rc) return rc;
    s->api.started_ns = clock_ns();
    struct http_options ho = {
        .listen_fd = s->socket.fd, .routes = api_routes, .n_route = api_n_route, .ctx = &s->api, .guard = &s->guard};
    return http_new(&ho, &s->api.http, e);
}

static void run(struct serve *s) {
    print_start(s);
    while (!n_signal) nap();
    uint32_t n = http_drain(s->api.http);
    if (n) fprintf(stderr, "hy: %u request%s to be answered yet; another signal cancels\n", n, n == 1 ? "" : "s");
    while (n_signal < 2 && http_drain(s->api.http)) nap();
}

int cmd_serve(int argc, char **argv) {
    struct serve s = {.port = UINT32_MAX};
    const struct opt opts[] = {
        {"--host", OPT_STR, &s.host, "HOST", "the address to listen at (127.0.0.1: this machine only; or OLLAMA_HOST)", 0, 0},
        {"--port", OPT_U32, &s.port, "N", "the port (8080); 0: any that is free", 0, 65535},
        {"--parallel", OPT_U32, &s.n_parallel, "N", "requests that are answered at a time (1; or OLLAMA_NUM_PARALLEL)", 1, 1024},
        {"--api-key", OPT_STR, &s.api_key, "KEY", "answer only those who send \"Authorization: Bearer KEY\"", 0, 0},
    };
    const struct command c = {.name = "serve",
                              .usage = "[[NAME=]MODEL...] [options]",
                              .about = "Serves models over HTTP to the clients of Ollama and OpenAI.",
                              .opts = opts,
                              .n_opt = sizeof opts / sizeof opts[0],
                              .model_options = true,
                              .positional = s.spec,
                              .n_positional = MAX_MODELS};
    struct model_options m;
    int code;
    if (!cli_parse(&c, argc, argv, &m, &code)) return code;
    if (!s.spec[0]) s.spec[0] = "stories=" BOX_MODEL;
    if (s.api_key && !*s.api_key) return cli_usage_error("--api-key needs a key that is not empty");
#ifdef __GLIBC__
    mallopt(M_ARENA_MAX, 2); /* a thread per connection must not mean a heap per connection */
#endif
    json_object_seed(0);
    raise_file_limit();
    catch_signals();
    pthread_mutex_init(&s.api.rate_lock, NULL);
    struct err e;
    int rc = start(&s, &m, &e);
    if (!rc) run(&s);
    http_free(s.api.http);
    models_free(s.api.models);
    guard_deinit(&s.guard);
    pthread_mutex_destroy(&s.api.rate_lock);
    return rc ? cli_fail(&e) : EXIT_OK;
}
