/* For those who watch: Prometheus' text, and what the page at /hy polls. */
#include <stdlib.h>

#include "runtime/clock.h"
#include "tools/serve/api.h"
#include "tools/serve/json_out.h"
#include "tools/serve/page.h"

#define MAX_VIEWS 1024u

static void metric(struct strbuf *t, const char *name, const char *type, const char *help, double value) {
    strbuf_fmt(t, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type, name, value);
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

static void stream_metrics(const struct hy_stream_stats *s, struct strbuf *t) {
    double asked = (double)(s->n_hit + s->n_miss);
    metric(t, "hy_read_bytes_total", "counter", "Bytes of weights read from disk.", (double)s->read_bytes);
    metric(t, "hy_stall_seconds_total", "counter", "Time that steps stood still for reads.", (double)s->wait_ns / 1e9);
    metric(t, "hy_disk_busy_seconds_total", "counter", "Time while at least one reader read.", (double)s->disk_ns / 1e9);
    metric(t, "hy_expert_hits_total", "counter", "Experts that were in memory when they were needed.", (double)s->n_hit);
    metric(t, "hy_expert_misses_total", "counter", "Experts that had to be read.", (double)s->n_miss);
    metric(t, "hy_expert_hit_ratio", "gauge", "Share of experts that were in memory.", asked > 0 ? (double)s->n_hit / asked : 0);
}

void api_metrics(struct http_exchange *x, void *ctx) {
    struct api *a = ctx;
    struct strbuf t = {0};
    struct models_totals totals;
    models_totals(a->models, &totals);
    const struct batcher_stats s = totals.stats;
    double n_cached = (double)s.n_cached_tok, n_prompt = (double)s.n_prompt_tok + n_cached;
    http_metrics(a, &t);
    metric(&t, "hy_models_loaded", "gauge", "Models in memory.", totals.n_loaded);
    metric(&t, "hy_memory_planned_bytes", "gauge", "Memory that the plans of the loaded models come to.", (double)totals.memory_bytes);
    metric(&t, "hy_requests_running", "gauge", "Requests in the steps.", s.n_running);
    metric(&t, "hy_requests_waiting", "gauge", "Requests in the queue.", s.n_waiting);
    metric(&t, "hy_requests_done_total", "counter", "Requests that came to their end.", (double)s.n_done);
    metric(&t, "hy_requests_refused_total", "counter", "Requests that found the queue full.", (double)s.n_refused);
    metric(&t, "hy_requests_cancelled_total", "counter", "Requests whose client went.", (double)s.n_cancelled);
    metric(&t, "hy_requests_failed_total", "counter", "Requests that failed.", (double)s.n_failed);
    metric(&t, "hy_requests_preempted_total", "counter", "Times that a request made room for others.", (double)s.n_preempted);
    metric(&t, "hy_prompt_tokens_total", "counter", "Tokens of prompts, cached ones included.", n_prompt);
    metric(&t, "hy_prompt_cached_tokens_total", "counter", "Tokens of prompts that were found in the KV cache.",
           n_cached);
    metric(&t, "hy_prefix_hit_ratio", "gauge", "Share of prompt tokens found in the KV cache.",
           n_prompt > 0 ? n_cached / n_prompt : 0);
    metric(&t, "hy_generated_tokens_total", "counter", "Tokens generated.", (double)s.n_eval_tok);
    metric(&t, "hy_tokens_per_second", "gauge", "Tokens generated per second since the last look at this page.",
           token_rate(a, s.n_eval_tok));
    metric(&t, "hy_steps_total", "counter", "Steps of the engines.", (double)s.n_step);
    metric(&t, "hy_step_seconds_total", "counter", "Time spent in steps.", (double)s.step_ns / 1e9);
    metric(&t, "hy_kv_blocks", "gauge", "Blocks of keys and values.", s.kv_block);
    metric(&t, "hy_kv_blocks_used", "gauge", "Blocks of running requests.", s.kv_used);
    metric(&t, "hy_kv_blocks_cached", "gauge", "Blocks kept for later requests.", s.kv_cached);
    metric(&t, "hy_kv_blocks_reused_total", "counter", "Cached blocks that made room.", (double)s.kv_reused);
    stream_metrics(&s.stream, &t);
    http_reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", &t);
}

static void put(json_t *o, const char *key, uint64_t n) { json_object_set_new(o, key, json_integer((json_int_t)n)); }
static void put_seconds(json_t *o, const char *key, uint64_t ns) { json_object_set_new(o, key, json_real((double)ns / 1e9)); }

static json_t *view_of(const struct batch_view *v) {
    json_t *o = json_object();
    json_object_set_new(o, "running", json_boolean(v->running));
    put(o, "id", v->id);
    put(o, "prompt", v->n_prompt);
    put(o, "cached", v->n_cached);
    put(o, "prompt_done", v->n_prompt_done);
    put(o, "generated", v->n_eval);
    put_seconds(o, "seconds", v->age_ns);
    return o;
}

static json_t *views_of(struct api *a, struct model *m) {
    json_t *out = json_array();
    struct batch_view *views = malloc(MAX_VIEWS * sizeof *views);
    uint32_t n = views ? models_list(a->models, m, views, MAX_VIEWS) : 0;
    for (uint32_t i = 0; i < n && i < MAX_VIEWS; i++) json_array_append_new(out, view_of(&views[i]));
    free(views);
    return out;
}

static json_t *plan_of(const struct hy_plan *p) {
    json_t *o = json_object();
    put(o, "budget", p->budget_bytes);
    put(o, "total", p->total_bytes);
    put(o, "weights", p->resident_bytes);
    put(o, "ring", p->ring_bytes);
    put(o, "experts", p->pool_bytes);
    put(o, "keys_and_values", p->kv_bytes);
    put(o, "work", p->acts_bytes + p->other_bytes);
    put(o, "on_disk", p->file_bytes);
    return o;
}

static void put_stats(json_t *o, const struct batcher_stats *b) {
    put(o, "running", b->n_running);
    put(o, "waiting", b->n_waiting);
    put(o, "prompt_tokens", b->n_prompt_tok);
    put(o, "cached_tokens", b->n_cached_tok);
    put(o, "generated_tokens", b->n_eval_tok);
    put(o, "steps", b->n_step);
    put_seconds(o, "step_seconds", b->step_ns);
    put(o, "kv_blocks", b->kv_block);
    put(o, "kv_used", b->kv_used);
    put(o, "kv_cached", b->kv_cached);
    put(o, "read_bytes", b->stream.read_bytes);
    put_seconds(o, "stall_seconds", b->stream.wait_ns);
    put(o, "expert_hits", b->stream.n_hit);
    put(o, "expert_misses", b->stream.n_miss);
}

static json_t *state_of(struct api *a, struct model *m) {
    struct models_state s;
    json_t *o = json_pack("{s:s}", "name", m->shown);
    bool loaded = models_state(a->models, m, &s);
    json_object_set_new(o, "loaded", json_boolean(loaded));
    if (!loaded) return o;
    json_object_set_new(o, "device", json_string(s.device));
    json_object_set_new(o, "mode", json_string(hy_mode_name(s.plan.mode)));
    put(o, "context", s.plan.n_ctx);
    put(o, "parallel", s.plan.n_seq);
    json_object_set_new(o, "plan", plan_of(&s.plan));
    put_stats(o, &s.stats);
    json_object_set_new(o, "requests", views_of(a, m));
    return o;
}

void api_state(struct http_exchange *x, void *ctx) {
    struct api *a = ctx;
    json_t *models = json_array();
    for (uint32_t i = 0; i < models_count(a->models); i++) json_array_append_new(models, state_of(a, models_at(a->models, i)));
    struct http_stats h;
    http_stats(a->http, &h);
    json_t *o = json_pack("{s:o}", "models", models);
    put_seconds(o, "seconds", clock_ns() - a->started_ns);
    put(o, "http_requests", h.n_request);
    put(o, "connections", h.n_connection);
    api_reply_json(x, o);
}

void api_page(struct http_exchange *x, void *ctx) { http_reply_str(x, 200, "text/html; charset=utf-8", page_html); }
