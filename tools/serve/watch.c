/* For those who watch: Prometheus' text, and what the page at /hy polls. */
#include <string.h>

#include "runtime/clock.h"
#include "tools/serve/api.h"
#include "tools/serve/json_out.h"
#include "tools/serve/page.h"

#define MAX_VIEWS 1024u

static void metric(struct strbuf *t, const char *name, const char *type, const char *help, double value) {
    strbuf_fmt(t, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type, name, value);
}

/* Sums over the loaded models. */
static struct batcher_stats sum_stats(struct api *a, uint32_t *n_loaded, uint64_t *memory_bytes) {
    struct batcher_stats sum = {0};
    *n_loaded = 0;
    *memory_bytes = 0;
    for (uint32_t i = 0; i < models_count(a->models); i++) {
        struct models_state s;
        if (!models_state(a->models, models_at(a->models, i), &s)) continue;
        ++*n_loaded;
        *memory_bytes += s.memory_bytes;
        sum.n_running += s.stats.n_running;
        sum.n_waiting += s.stats.n_waiting;
        sum.n_refused += s.stats.n_refused;
        sum.n_cancelled += s.stats.n_cancelled;
        sum.n_failed += s.stats.n_failed;
        sum.n_done += s.stats.n_done;
        sum.n_prompt_tok += s.stats.n_prompt_tok;
        sum.n_cached_tok += s.stats.n_cached_tok;
        sum.n_eval_tok += s.stats.n_eval_tok;
        sum.n_preempted += s.stats.n_preempted;
        sum.n_step += s.stats.n_step;
        sum.step_ns += s.stats.step_ns;
        sum.kv_block += s.stats.kv_block;
        sum.kv_used += s.stats.kv_used;
        sum.kv_cached += s.stats.kv_cached;
        sum.kv_reused += s.stats.kv_reused;
    }
    return sum;
}

/* Tokens generated per second since the last look. */
static double token_rate(struct api *a, uint64_t n_tok) {
    pthread_mutex_lock(&a->rate_lock);
    uint64_t now = clock_ns(), since = a->rate_ns ? a->rate_ns : a->started_ns;
    double rate = n_tok >= a->rate_tok && now > since ? (double)(n_tok - a->rate_tok) * 1e9 / (double)(now - since) : 0;
    a->rate_ns = now;
    a->rate_tok = n_tok;
    pthread_mutex_unlock(&a->rate_lock);
    return rate;
}

static void http_metrics(struct api *a, struct strbuf *t) {
    struct http_stats h;
    http_stats(a->http, &h);
    metric(t, "hy_http_requests_total", "counter", "Requests that came.", (double)h.n_request);
    metric(t, "hy_http_client_errors_total", "counter", "Answers with a status of 400 to 499.", (double)h.n_4xx);
    metric(t, "hy_http_server_errors_total", "counter", "Answers with a status from 500 on.", (double)h.n_5xx);
    metric(t, "hy_http_sent_bytes_total", "counter", "Bytes of answers.", (double)h.sent_bytes);
    metric(t, "hy_http_connections", "gauge", "Open connections.", h.n_connection);
    metric(t, "hy_generations_total", "counter", "Generations that were begun.", (double)atomic_load(&a->n_generate));
    metric(t, "hy_embeddings_total", "counter", "Texts that were embedded.", (double)atomic_load(&a->n_embed));
}

void api_metrics(struct http_exchange *x, void *ctx) {
    struct api *a = ctx;
    struct strbuf t = {0};
    uint32_t n_loaded;
    uint64_t memory_bytes;
    struct batcher_stats s = sum_stats(a, &n_loaded, &memory_bytes);
    double n_prompt = (double)s.n_prompt_tok;
    http_metrics(a, &t);
    metric(&t, "hy_models_loaded", "gauge", "Models in memory.", n_loaded);
    metric(&t, "hy_memory_planned_bytes", "gauge", "Memory that the plans of the loaded models come to.", (double)memory_bytes);
    metric(&t, "hy_requests_running", "gauge", "Requests in the steps.", s.n_running);
    metric(&t, "hy_requests_waiting", "gauge", "Requests in the queue.", s.n_waiting);
    metric(&t, "hy_requests_done_total", "counter", "Requests of the loaded models that came to their end.", (double)s.n_done);
    metric(&t, "hy_requests_refused_total", "counter", "Requests that found the queue full.", (double)s.n_refused);
    metric(&t, "hy_requests_cancelled_total", "counter", "Requests whose client went.", (double)s.n_cancelled);
    metric(&t, "hy_requests_failed_total", "counter", "Requests that failed.", (double)s.n_failed);
    metric(&t, "hy_requests_preempted_total", "counter", "Times that a request made room for others.", (double)s.n_preempted);
    metric(&t, "hy_prompt_tokens_total", "counter", "Tokens of prompts, cached ones included.", n_prompt);
    metric(&t, "hy_prompt_cached_tokens_total", "counter", "Tokens of prompts that were found in the KV cache.", (double)s.n_cached_tok);
    metric(&t, "hy_prefix_hit_ratio", "gauge", "Share of prompt tokens found in the KV cache.", n_prompt > 0 ? (double)s.n_cached_tok / n_prompt : 0);
    metric(&t, "hy_generated_tokens_total", "counter", "Tokens generated.", (double)s.n_eval_tok);
    metric(&t, "hy_tokens_per_second", "gauge", "Tokens generated per second since the last look at this page.", token_rate(a, s.n_eval_tok));
    metric(&t, "hy_steps_total", "counter", "Steps of the engines.", (double)s.n_step);
    metric(&t, "hy_step_seconds_total", "counter", "Time spent in steps.", (double)s.step_ns / 1e9);
    metric(&t, "hy_kv_blocks", "gauge", "Blocks of keys and values.", s.kv_block);
    metric(&t, "hy_kv_blocks_used", "gauge", "Blocks of running requests.", s.kv_used);
    metric(&t, "hy_kv_blocks_cached", "gauge", "Blocks kept for later requests.", s.kv_cached);
    metric(&t, "hy_kv_blocks_reused_total", "counter", "Cached blocks that made room.", (double)s.kv_reused);
    http_reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", &t);
}

static json_t *views_of(struct api *a, struct model *m) {
    static _Thread_local struct batch_view views[MAX_VIEWS];
    uint32_t n = models_list(a->models, m, views, MAX_VIEWS);
    json_t *out = json_array();
    for (uint32_t i = 0; i < n && i < MAX_VIEWS; i++) {
        const struct batch_view *v = &views[i];
        json_array_append_new(out, json_pack("{s:I,s:b,s:i,s:i,s:i,s:i,s:f}", "id", (json_int_t)v->id, "running", v->running, "prompt", v->n_prompt, "cached",
                                             v->n_cached, "prompt_done", v->n_prompt_done, "generated", v->n_eval, "seconds", (double)v->age_ns / 1e9));
    }
    return out;
}

static json_t *state_of(struct api *a, struct model *m) {
    struct models_state s;
    if (!models_state(a->models, m, &s)) return json_pack("{s:s,s:b}", "name", m->shown, "loaded", 0);
    json_t *o = json_pack("{s:s,s:b,s:s,s:I,s:I,s:I,s:I,s:I}", "name", m->shown, "loaded", 1, "device", s.device, "context", (json_int_t)s.n_ctx, "parallel",
                          (json_int_t)s.n_seq, "weights_bytes", (json_int_t)s.weights_bytes, "kv_bytes", (json_int_t)s.kv_bytes, "work_bytes", (json_int_t)s.work_bytes);
    const struct batcher_stats *b = &s.stats;
    json_object_update_new(o, json_pack("{s:i,s:i,s:I,s:I,s:I,s:I,s:f,s:i,s:i,s:i}", "running", b->n_running, "waiting", b->n_waiting, "prompt_tokens",
                                        (json_int_t)b->n_prompt_tok, "cached_tokens", (json_int_t)b->n_cached_tok, "generated_tokens", (json_int_t)b->n_eval_tok,
                                        "steps", (json_int_t)b->n_step, "step_seconds", (double)b->step_ns / 1e9, "kv_blocks", b->kv_block, "kv_used", b->kv_used,
                                        "kv_cached", b->kv_cached));
    json_object_set_new(o, "requests", views_of(a, m));
    return o;
}

void api_state(struct http_exchange *x, void *ctx) {
    struct api *a = ctx;
    json_t *models = json_array();
    for (uint32_t i = 0; i < models_count(a->models); i++) json_array_append_new(models, state_of(a, models_at(a->models, i)));
    struct http_stats h;
    http_stats(a->http, &h);
    api_reply_json(x, json_pack("{s:f,s:I,s:I,s:o}", "seconds", (double)(clock_ns() - a->started_ns) / 1e9, "http_requests", (json_int_t)h.n_request,
                                "connections", (json_int_t)h.n_connection, "models", models));
}

void api_page(struct http_exchange *x, void *ctx) { http_reply_str(x, 200, "text/html; charset=utf-8", page_html); }
