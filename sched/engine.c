/* Opening and closing a model, and the step: validate, lay out the inputs, run the program. */
#include "sched/engine.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/matmul_id.h"
#include "kernels/topk.h"
#include "models/transformer.h"
#include "runtime/clock.h"
#include "runtime/machine.h"
#include "sched/memory.h"

#define N_READER 4u
#define WARM_UP_TOKENS 16u /* enough for the matrix forms of the kernels */
#define CALLS_PER_OP 4u /* an op encodes at most this many device calls */

static int check_options(const struct hy_options *opt, const struct hparams *h, struct err *e) {
    if (opt->n_ctx > h->n_ctx_train)
        return err_set(e, ERR_LIMIT, "a context of %u tokens is beyond the %u that this model was made for; use -c %u or less", opt->n_ctx,
                       h->n_ctx_train, h->n_ctx_train);
    if (opt->kv == HY_KV_Q8_0 && h->head_dim_k % 32)
        return err_set(e, ERR_UNSUPPORTED, "heads of %u dimensions cannot be kept as Q8_0; use --kv f16", h->head_dim_k);
    if (opt->n_seq > 4096) return err_set(e, ERR_ARG, "%u sequences are more than the 4096 that hy runs", opt->n_seq);
    if ((uint64_t)opt->n_seq * opt->n_ctx > INT32_MAX)
        return err_set(e, ERR_LIMIT, "%u sequences of %u tokens are more than hy can number; use a shorter context (-c)", opt->n_seq,
                       opt->n_ctx);
    if (opt->n_kv_block > INT32_MAX / KV_BLOCK_TOK)
        return err_set(e, ERR_LIMIT, "a KV cache of %u blocks is more than hy can number", opt->n_kv_block);
    return ERR_OK;
}

static int load_weights(struct hy_engine *en, const struct hy_options *opt, struct err *e) {
    int rc = ERR_OK;
    for (uint32_t i = 0; i < en->place.n_buf; i++) {
        rc = buf_new(en->dev, en->place.buf_bytes[i], "the weights", &en->weights[i], e);
        if (rc) return rc;
        place_bind(&en->place, i, en->weights[i].host);
    }
    /* A model that is small beside the free memory may stay in the page cache for the next run. */
    bool direct = en->place.size_bytes > machine_memory_available() / 2 || fit_streams(&en->fit);
    struct load_options lo = {.n_reader = N_READER, .direct = direct, .progress = opt->progress, .ctx = opt->progress_ctx};
    uint64_t t0 = clock_ns();
    rc = load_ranges(en->place.ranges, en->place.n_range, &lo, e);
    if (!rc) rc = model_file_check_unchanged(en->mf, e); /* since the header was read */
    en->info.load_s = (double)(clock_ns() - t0) / 1e9;
    return rc;
}

static int map_files(struct hy_engine *en, struct err *e) {
    en->mapped = arena_array(&en->arena, en->mf->n_file, sizeof *en->mapped);
    if (!en->mapped) return err_set(e, ERR_NOMEM, "no memory to map the model");
    for (uint32_t i = 0; i < en->mf->n_file; i++) {
        if (en->mf->files[i].embedded)
            return err_set(e, ERR_UNSUPPORTED, "'%s' is part of the program and cannot be mapped; run it without the page cache's tier", en->mf->files[i].path);
        int rc = buf_map(en->dev, en->mf->files[i].fd, en->mf->files[i].size_bytes, en->mf->files[i].path, &en->mapped[i], e);
        if (rc) return rc;
    }
    return ERR_OK;
}

/* Where each tensor is that stays where it is. */
static int place_tensors(struct hy_engine *en, struct err *e) {
    const struct gguf *g = &en->mf->gguf;
    en->tensor_at = arena_array(&en->arena, g->n_tensor, sizeof *en->tensor_at);
    if (!en->tensor_at) return err_set(e, ERR_NOMEM, "no memory for %llu tensors", (unsigned long long)g->n_tensor);
    int rc = en->fit.mapped_bytes ? map_files(en, e) : ERR_OK;
    for (uint64_t t = 0; t < g->n_tensor && !rc; t++) {
        if (en->fit.where[t] == FIT_RESIDENT) en->tensor_at[t] = (struct ref){&en->weights[en->place.tensor_buf[t]], en->place.tensor_off[t]};
        if (en->fit.where[t] == FIT_MAPPED) en->tensor_at[t] = (struct ref){&en->mapped[g->tensors[t].file], g->tensors[t].offset};
    }
    return rc;
}

static uint64_t take(uint64_t *at, uint64_t bytes) {
    uint64_t off = *at;
    *at = (off + bytes + 63) / 64 * 64;
    return off;
}

/* Between steps only: no command is in flight. */
static void copy_kv_block(void *ctx, uint32_t to, uint32_t from) {
    struct hy_engine *en = ctx;
    uint64_t bytes = en->plan.kv_layer_bytes / en->kv.n_block;
    for (uint32_t i = 0; i < 2 * en->h.n_layer; i++) { /* keys and values of each layer */
        unsigned char *pool = en->kv_pool.host + i * en->plan.kv_layer_bytes;
        memcpy(pool + to * bytes, pool + from * bytes, bytes);
    }
}

static int make_inputs(struct hy_engine *en, struct err *e) {
    const struct plan *pl = &en->plan;
    uint64_t at = 0, row = (uint64_t)pl->n_step * 4;
    uint64_t token = take(&at, row), pos = take(&at, row), seq = take(&at, row), slot = take(&at, row), number = take(&at, row);
    uint64_t out = take(&at, (uint64_t)pl->n_logits * 4), table = take(&at, (uint64_t)pl->n_seq * kv_stride(pl->n_ctx) * 4);
    struct step_inputs *in = &en->in;
    int rc = buf_new(en->dev, at, "the step inputs", &in->buf, e);
    if (rc) return rc;
    struct ref base = {&in->buf, 0};
    in->token = ref_at(base, token);
    in->pos = ref_at(base, pos);
    in->seq = ref_at(base, seq);
    in->slot = ref_at(base, slot);
    in->row = ref_at(base, number);
    for (uint32_t i = 0; i < pl->n_step; i++) ((int32_t *)ref_host(in->row))[i] = (int32_t)i;
    in->out_rows = ref_at(base, out);
    in->table = ref_at(base, table);
    en->feed.seq = arena_array(&en->arena, pl->n_step, sizeof *en->feed.seq);
    en->feed.pos = arena_array(&en->arena, pl->n_step, sizeof *en->feed.pos);
    en->feed.want = arena_array(&en->arena, pl->n_step, sizeof *en->feed.want);
    if (!en->feed.seq || !en->feed.pos || !en->feed.want) return err_set(e, ERR_NOMEM, "no memory for the step inputs");
    rc = kv_init(&en->kv, pl->n_seq, pl->n_ctx, pl->n_kv_block, ref_host(in->table), &en->arena, e);
    en->kv.copy = copy_kv_block;
    en->kv.copy_ctx = en;
    return rc;
}

/* What hy_best gives; the last step's, for up to n_logits rows. */
static int make_best(struct hy_engine *en, struct err *e) {
    uint32_t n_row = en->plan.n_logits, k = en->h.n_vocab < HY_MAX_BEST ? en->h.n_vocab : HY_MAX_BEST;
    uint64_t bytes = (uint64_t)n_row * k * 4, work = topk_work_bytes(&(struct topk_args){.n_row = n_row, .n = en->h.n_vocab, .k = k});
    int rc = buf_new(en->dev, bytes, "the best tokens", &en->best.ids, e);
    if (!rc) rc = buf_new(en->dev, bytes, "the best tokens", &en->best.values, e);
    if (!rc && work) rc = buf_new(en->dev, work, "the best tokens", &en->best.work, e);
    return rc;
}

/* Where experts are that stay. */
static int make_expert_tables(struct hy_engine *en, struct err *e) {
    const struct hparams *h = &en->h;
    if (!h->n_expert) return ERR_OK;
    int rc = buf_new(en->dev, (uint64_t)h->n_layer * 3 * h->n_expert * sizeof(uint64_t), "the expert tables", &en->expert_tables, e);
    for (uint32_t il = 0; il < h->n_layer && !rc; il++) {
        const struct layer_weights *l = &en->w.layers[il];
        const struct weight *w[3] = {&l->gate_experts, &l->up_experts, &l->down_experts};
        for (uint32_t which = 0; which < 3; which++) {
            struct ref table = expert_table(en, il, which);
            uint64_t *t = ref_host(table);
            buf_mark(en->dev, table.buf, table.off, h->n_expert * sizeof *t, "expert addresses");
            uint64_t bytes = dtype_bytes(w[which]->type, (uint64_t)w[which]->n_in * w[which]->n_out);
            struct ref at = en->tensor_at[w[which]->tensor]; /* pooled ones get their addresses as they come */
            for (uint32_t x = 0; x < h->n_expert && at.buf; x++) t[x] = buf_address(en->dev, at.buf) + at.off + w[which]->offset_bytes + x * bytes;
        }
    }
    struct matmul_id_args a = {.n_tok = en->plan.n_batch, .n_expert = h->n_expert, .n_used = h->n_expert_used};
    uint64_t lists = matmul_id_lists_bytes(en->dev, &a);
    return rc || !lists ? rc : buf_new(en->dev, lists, "the expert lists", &en->expert_lists, e);
}

static void fill_info(struct hy_engine *en) {
    const struct plan *pl = &en->plan;
    struct gguf_str name = {0};
    gguf_get_str(&en->mf->gguf, "general.name", &name);
    snprintf(en->name, sizeof en->name, "%.*s", (int)(name.len < 100 ? name.len : 100), name.len ? name.p : "");
    uint64_t n_param = 0;
    for (uint64_t i = 0; i < en->mf->gguf.n_tensor; i++) {
        const uint64_t *d = en->mf->gguf.tensors[i].dims;
        n_param += d[0] * d[1] * d[2] * d[3];
    }
    double load_s = en->info.load_s;
    en->info = (struct hy_info){
        .arch = en->h.arch->name, .name = en->name, .device = device_describe(en->dev), .n_vocab = en->h.n_vocab, .n_ctx = pl->n_ctx,
        .n_ctx_train = en->h.n_ctx_train, .n_layer = en->h.n_layer, .n_embd = en->h.n_embd, .n_expert = en->h.n_expert,
        .n_expert_used = en->h.n_expert_used, .n_batch = pl->n_step,
        .n_logits = pl->n_logits, .n_seq = pl->n_seq, .n_kv_block = pl->n_kv_block, .n_param = n_param, .weights_bytes = en->place.size_bytes + en->fit.ring_bytes + en->fit.pool_bytes, .kv_bytes = pl->kv_bytes,
        .work_bytes = pl->work_bytes, .step_weights_bytes = en->planned.step_bytes, .load_s = load_s};
    const struct sidecar *sc = &en->stream.sidecar;
    if (sc->open) en->info.sidecar = sc->file.path;
    if (*sc->note) en->info.sidecar_note = sc->note;
}

/* Metal compiles kernels when they are first used: a short and a long step make every one that later steps need, and
 * a kernel that does not compile is told at load and not in the middle of an answer. */
static int warm_up(struct hy_engine *en, struct err *e) {
    int32_t tokens[WARM_UP_TOKENS] = {0};
    uint32_t n = en->plan.n_batch < WARM_UP_TOKENS ? en->plan.n_batch : WARM_UP_TOKENS, seq;
    struct trace *trace = en->trace;
    struct routes_writer *routes = en->routes;
    int rc = hy_seq_new(en, &seq, e);
    if (rc) return rc;
    en->trace = NULL; /* these steps are nobody's */
    en->routes = NULL;
    rc = hy_feed(en, seq, tokens, n, 1, NULL, NULL, NULL, e);
    kv_truncate(&en->kv, seq, 0);
    if (!rc) rc = hy_feed(en, seq, tokens, 1, 1, NULL, NULL, NULL, e);
    hy_seq_free(en, seq);
    en->trace = trace;
    en->routes = routes;
    en->stream.step = en->stream.experts.step = 0;
    return rc;
}

/* As far as a plan needs: nothing is loaded. */
static int open_header(struct hy_engine *en, const struct hy_options *opt, struct err *e) {
    int rc = model_file_open(opt->model_path, &en->mf, e);
    if (!rc) rc = hparams_read(&en->mf->gguf, &en->h, e);
    if (!rc) rc = weights_bind(&en->mf->gguf, &en->h, &en->arena, &en->w, e);
    if (rc) {
        if (e && !strstr(e->text, opt->model_path)) err_prefix(e, "%s", opt->model_path);
        return rc;
    }
    rc = check_options(opt, &en->h, e);
    if (!rc) rc = device_open(&(struct device_options){.kind = opt->device, .n_thread = opt->n_thread, .cpu_isa = opt->cpu_isa}, &en->dev, e);
    return rc ? rc : memory_plan(en, opt, e);
}

/* A sidecar that was named must be there and this model's, also when nothing streams. Where something does, the plan says whether
 * one will be read. */
static int check_sidecar(struct hy_engine *en, const struct hy_options *opt, struct err *e) {
    struct sidecar s = {0};
    bool streams = fit_streams(&en->fit);
    int rc = ERR_OK;
    if (streams || opt->sidecar) rc = sidecar_open(opt->sidecar, opt->model_path, en->mf, &en->h, &en->w, &en->arena, &s, e);
    if (!rc && streams)
        snprintf(en->planned.sidecar, sizeof en->planned.sidecar, s.open ? "weights stream from '%s'" : "%s", s.open ? s.file.path : s.note);
    sidecar_close(&s);
    return rc;
}

static int open_engine(struct hy_engine *en, const struct hy_options *opt, struct err *e) {
    int rc = open_header(en, opt, e);
    if (!rc && !fit_streams(&en->fit)) rc = check_sidecar(en, opt, e);
    if (rc) return rc;
    memory_describe(en, opt, true);
    rc = load_weights(en, opt, e);
    if (!rc) rc = place_tensors(en, e);
    if (!rc) rc = buf_new(en->dev, en->plan.kv_bytes, "the KV cache", &en->kv_pool, e);
    if (!rc) rc = buf_new(en->dev, en->plan.acts_bytes, "activations", &en->acts, e);
    if (!rc && en->plan.attn_work_bytes) rc = buf_new(en->dev, en->plan.attn_work_bytes, "attention", &en->attn_work, e);
    if (!rc) rc = make_inputs(en, e);
    if (!rc) rc = make_expert_tables(en, e);
    if (!rc) rc = make_best(en, e);
    en->trace = opt->trace;
    en->routes = en->h.n_expert ? opt->routes : NULL;
    if (!rc && (fit_streams(&en->fit) || en->trace || en->routes)) rc = stream_open(en, opt, e);
    if (!rc) rc = device_reserve(en->dev, en->p.n_op * CALLS_PER_OP, e);
    if (!rc && opt->device == DEVICE_METAL) rc = warm_up(en, e);
    if (!rc) fill_info(en);
    return rc;
}

int hy_open(const struct hy_options *opt, struct hy_engine **out, struct err *e) {
    struct hy_engine *en = calloc(1, sizeof *en);
    if (!en) return err_set(e, ERR_NOMEM, "no memory to open '%s'", opt->model_path);
    arena_init(&en->arena, 0);
    int rc = open_engine(en, opt, e);
    if (rc) {
        hy_close(en);
        return rc;
    }
    *out = en;
    return ERR_OK;
}

int hy_plan(const struct hy_options *opt, struct hy_plan *out, struct err *e) {
    struct hy_engine *en = calloc(1, sizeof *en);
    if (!en) return err_set(e, ERR_NOMEM, "no memory to open '%s'", opt->model_path);
    arena_init(&en->arena, 0);
    struct hy_options o = *opt;
    o.memory.plan_only = true;
    int rc = open_header(en, &o, e);
    if (!rc) memory_describe(en, &o, false);
    if (!rc) rc = check_sidecar(en, &o, e);
    *out = en->planned;
    hy_close(en);
    return rc;
}

const struct hy_plan *hy_planned(const struct hy_engine *en) { return &en->planned; }

void hy_close(struct hy_engine *en) {
    if (!en) return;
    struct buf *bufs[] = {&en->kv_pool, &en->acts, &en->attn_work, &en->expert_tables, &en->expert_lists, &en->in.buf,
                          &en->best.ids, &en->best.values, &en->best.work};
    stream_close(en);
    for (uint32_t i = 0; en->dev && i < en->place.n_buf; i++) buf_free(en->dev, &en->weights[i]);
    for (uint32_t i = 0; en->mapped && i < en->mf->n_file; i++) buf_free(en->dev, &en->mapped[i]);
    for (size_t i = 0; en->dev && i < sizeof bufs / sizeof bufs[0]; i++) buf_free(en->dev, bufs[i]);
    device_close(en->dev);
    tokenizer_free(en->tokenizer);
    model_file_close(en->mf);
    arena_deinit(&en->arena);
    free(en);
}

const struct hy_info *hy_info(const struct hy_engine *en) { return &en->info; }

int hy_tokenizer(struct hy_engine *en, const struct tokenizer **out, struct err *e) {
    int rc = en->tokenizer ? ERR_OK : tokenizer_new(&en->mf->gguf, &en->tokenizer, e);
    *out = en->tokenizer;
    return rc;
}

int hy_seq_new(struct hy_engine *en, uint32_t *seq, struct err *e) { return kv_seq_new(&en->kv, seq, e); }
void hy_seq_free(struct hy_engine *en, uint32_t seq) { kv_seq_free(&en->kv, seq); }
uint32_t hy_seq_len(const struct hy_engine *en, uint32_t seq) {
    CHECK(seq < en->kv.n_seq);
    return en->kv.len[seq];
}
void hy_seq_truncate(struct hy_engine *en, uint32_t seq, uint32_t n) { kv_truncate(&en->kv, seq, n); }
uint32_t hy_seq_attach(struct hy_engine *en, uint32_t seq, const int32_t *token, uint32_t n) {
    return kv_attach(&en->kv, seq, token, n ? n - 1 : 0);
}
struct hy_kv_use hy_kv_use(const struct hy_engine *en) {
    const struct kv *kv = &en->kv;
    return (struct hy_kv_use){kv->n_block, kv->n_free, kv->n_cached, kv->n_reused};
}

static int check_token(const struct hy_engine *en, const struct hy_batch *b, uint32_t i, struct err *e) {
    if (b->token[i] < 0 || (uint32_t)b->token[i] >= en->h.n_vocab)
        return err_set(e, ERR_ARG, "token %d is outside the vocabulary of %u", b->token[i], en->h.n_vocab);
    if (b->seq[i] >= en->kv.n_seq || !en->kv.used[b->seq[i]]) return err_set(e, ERR_ARG, "sequence %u does not exist", b->seq[i]);
    if (b->pos[i] != en->kv.len[b->seq[i]])
        return err_set(e, ERR_ARG, "position %u does not follow the %u tokens of sequence %u", b->pos[i], en->kv.len[b->seq[i]], b->seq[i]);
    return ERR_OK;
}

/* Takes KV blocks for each token and writes the step's inputs. s->n_tok tokens have blocks when it fails. */
static int lay_out(struct hy_engine *en, const struct hy_batch *b, struct step_shape *s, struct err *e) {
    struct step_inputs *in = &en->in;
    int32_t *token = ref_host(in->token), *pos = ref_host(in->pos), *out_rows = ref_host(in->out_rows);
    uint32_t *seq = ref_host(in->seq), *slot = ref_host(in->slot);
    for (uint32_t i = 0; i < b->n_tok; i++) {
        int rc = check_token(en, b, i, e);
        if (!rc) rc = kv_push(&en->kv, b->seq[i], b->token[i], e);
        if (rc) return rc;
        s->n_tok++;
        uint32_t chunk = i / en->plan.n_batch;
        if (i % en->plan.n_batch == 0) s->n_pos[chunk] = 0;
        s->n_chunk = chunk + 1;
        s->out_end[chunk] = s->n_out;
        if (b->pos[i] >= s->n_pos[chunk]) s->n_pos[chunk] = b->pos[i] + 1;
        token[i] = b->token[i];
        pos[i] = (int32_t)b->pos[i];
        seq[i] = b->seq[i];
        slot[i] = kv_slot(&en->kv, b->seq[i], b->pos[i]);
        if (b->want_logits ? !b->want_logits[i] : i + 1 < b->n_tok) continue;
        if (s->n_out == en->plan.n_logits) return err_set(e, ERR_LIMIT, "more than %u rows of logits in one step", en->plan.n_logits);
        out_rows[s->n_out++] = (int32_t)(i % en->plan.n_batch);
        s->out_end[chunk] = s->n_out;
    }
    return ERR_OK;
}

static int run_resident(struct hy_engine *en, const struct step_shape *s, struct err *e) {
    int rc = en->mapped ? model_file_check_unchanged(en->mf, e) : ERR_OK; /* one that was cut must not even be touched */
    if (!rc) rc = exec_run(en, s, e);
    return !rc && en->mapped ? model_file_check_unchanged(en->mf, e) : rc;
}

int hy_step(struct hy_engine *en, const struct hy_batch *b, float **logits, struct err *e) {
    if (b->n_tok == 0 || b->n_tok > en->plan.n_step)
        return err_set(e, ERR_LIMIT, "a step of %u tokens; it must have 1 to %u", b->n_tok, en->plan.n_step);
    struct step_shape s = {.n_best = b->n_best, .stop = b->stop, .ctx = b->ctx};
    if (b->n_best > HY_MAX_BEST || b->n_best > en->h.n_vocab)
        return err_set(e, ERR_ARG, "the %u best of %u tokens; at most %u can be asked for", b->n_best, en->h.n_vocab, HY_MAX_BEST);
    int rc = lay_out(en, b, &s, e);
    if (!rc) rc = en->stream.on ? stream_run(en, &s, e) : run_resident(en, &s, e);
    if (rc) {
        for (uint32_t i = s.n_tok; i > 0; i--) kv_truncate(&en->kv, b->seq[i - 1], b->pos[i - 1]);
        return rc;
    }
    for (uint32_t i = 0; i < b->n_tok; i++) kv_commit(&en->kv, b->seq[i]);
    en->best.n = b->n_best;
    if (logits) *logits = (float *)(en->acts.host + en->plan.act_off[en->p.logits]);
    return ERR_OK;
}

const float *hy_hidden(const struct hy_engine *en) { return (const float *)(en->acts.host + en->plan.act_off[en->p.hidden]); }

void hy_best(const struct hy_engine *en, uint32_t row, const int32_t **ids, const float **logits) {
    CHECK(en->best.n && row < en->plan.n_logits);
    *ids = (const int32_t *)en->best.ids.host + (uint64_t)row * en->best.n;
    *logits = (const float *)en->best.values.host + (uint64_t)row * en->best.n;
}

int hy_feed(struct hy_engine *en, uint32_t seq, const int32_t *token, uint32_t n, uint32_t n_best, float **logits,
            bool (*stop)(void *ctx), void *ctx, struct err *e) {
    uint32_t *seqs = en->feed.seq, *pos = en->feed.pos, most = en->plan.n_step;
    bool *want = en->feed.want;
    if (seq >= en->kv.n_seq || !en->kv.used[seq]) return err_set(e, ERR_ARG, "sequence %u does not exist", seq);
    if (n > en->plan.n_ctx - hy_seq_len(en, seq))
        return err_set(e, ERR_LIMIT, "%u tokens after %u do not fit the context of %u; give a larger -c or a shorter text", n,
                       hy_seq_len(en, seq), en->plan.n_ctx);
    for (uint32_t done = 0; done < n;) {
        uint32_t k = n - done < most ? n - done : most;
        for (uint32_t i = 0; i < k; i++) {
            seqs[i] = seq;
            pos[i] = hy_seq_len(en, seq) + i;
            want[i] = false;
        }
        want[k - 1] = done + k == n;
        struct hy_batch b = {k, token + done, seqs, pos, want, want[k - 1] ? n_best : 0, stop, ctx};
        int rc = stop && stop(ctx) ? err_set(e, ERR_CANCELLED, "interrupted") : hy_step(en, &b, logits, e);
        if (rc) return rc;
        done += k;
    }
    return ERR_OK;
}
