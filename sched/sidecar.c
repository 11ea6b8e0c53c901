#include "sched/sidecar.h"

#include <limits.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "runtime/bytes.h"

#define VERSION 1u
#define SAMPLE_BYTES 4096u

_Static_assert(READ_PIECE_BYTES % SIDECAR_BLOCK_BYTES == 0 && READ_GUESS_BYTES % SIDECAR_BLOCK_BYTES == 0,
               "a piece is whole blocks");
_Static_assert(SIDECAR_PAGE % IO_PAGE == 0, "records are read directly");
_Static_assert(SIDECAR_BLOCK_BYTES % SIDECAR_PAGE == 0, "a piece begins on a page");

static const char magic[8] = {'h', 'y', 'R', 'E', 'C', 'O', 'R', 'D'};

int sidecar_path(const char *model_path, char *out, size_t cap, struct err *e) {
    static const char end[] = ".gguf";
    size_t n = strlen(model_path), cut = sizeof end - 1;
    if (n > cut && strcmp(model_path + n - cut, end) == 0) n -= cut;
    int len = snprintf(out, cap, "%.*s.hyx", (int)n, model_path);
    return len > 0 && (size_t)len < cap ? ERR_OK
                                        : err_set(e, ERR_ARG, "the path of the model is too long: '%s'", model_path);
}

/* Layout */

static uint64_t round_up(uint64_t v, uint64_t to) { return (v + to - 1) / to * to; }
static uint64_t group_end(const struct sidecar_group *g) { return g->rel[g->n_part - 1] + g->bytes[g->n_part - 1]; }
static uint64_t group_n_unit(const struct sidecar_group *g) { return g->joined ? 1 : g->n_part; }
static uint64_t unit_bytes(const struct sidecar_group *g, uint64_t unit) {
    return g->joined ? group_end(g) : g->bytes[unit];
}

static void add_part(struct sidecar_group *g, const struct gguf *gguf, const struct weight *w, uint64_t from,
                     uint64_t bytes) {
    g->tensor[g->n_part] = w->tensor;
    g->from[g->n_part] = gguf->tensors[w->tensor].offset + from;
    g->bytes[g->n_part++] = bytes;
}

static void place_group(struct sidecar_layout *l, struct sidecar_group *g) {
    uint64_t sum = 0;
    for (uint32_t p = 0; p < g->n_part; p++) sum += round_up(g->bytes[p], SIDECAR_ALIGN);
    g->joined = g->experts && sum <= SIDECAR_JOIN_BYTES;
    uint64_t align = g->joined ? SIDECAR_ALIGN : SIDECAR_PAGE;
    for (uint32_t p = 1; p < g->n_part; p++) g->rel[p] = round_up(g->rel[p - 1] + g->bytes[p - 1], align);
    for (uint64_t u = 0; u < group_n_unit(g); u++) {
        g->part_hash[u] = g->n_hash;
        g->n_hash += unit_bytes(g, u) / SIDECAR_BLOCK_BYTES + 2; /* wherever its ends lie in a block */
    }
    g->stride = round_up(group_end(g), SIDECAR_PAGE);
    g->first_record = l->n_record;
    g->first_hash = l->n_hash;
    g->offset = l->file_bytes; /* for now from the first record */
    l->n_record += g->n_record;
    l->n_hash += g->n_hash * g->n_record;
    l->file_bytes += g->stride * g->n_record;
    l->n_group++;
}

static void add_dense(struct sidecar_layout *l, const struct gguf *gguf, uint32_t layer,
                      const struct layer_weights *w) {
    const struct weight *parts[] = {&w->ffn_gate, &w->ffn_up, &w->ffn_down};
    struct sidecar_group *g = &l->groups[l->n_group];
    *g = (struct sidecar_group){.layer = layer, .n_record = 1};
    for (int p = 0; p < 3; p++) {
        if (!weight_present(parts[p]) || (g->n_part && g->tensor[g->n_part - 1] == parts[p]->tensor))
            continue; /* fused: one tensor */
        add_part(g, gguf, parts[p], 0, gguf->tensors[parts[p]->tensor].size_bytes);
    }
    if (g->n_part) place_group(l, g);
}

static void add_experts(struct sidecar_layout *l, const struct gguf *gguf, uint32_t layer,
                        const struct layer_weights *w) {
    const struct weight *parts[] = {&w->gate_experts, &w->up_experts, &w->down_experts};
    struct sidecar_group *g = &l->groups[l->n_group];
    if (!weight_present(&w->route)) return;
    *g = (struct sidecar_group){.layer = layer, .n_record = parts[0]->n_expert, .experts = true};
    for (int p = 0; p < 3; p++)
        add_part(g, gguf, parts[p], parts[p]->offset_bytes,
                 dtype_bytes(parts[p]->type, (uint64_t)parts[p]->n_in * parts[p]->n_out));
    place_group(l, g);
}

static uint64_t fold(uint64_t hash, const uint64_t *v, size_t n) {
    return XXH3_64bits_withSeed(v, n * sizeof *v, hash);
}

/* Over all that says which bytes of which files are where, and what they are. */
static uint64_t hash_layout(const struct sidecar_layout *l, const struct model_file *mf) {
    uint64_t hash = fold(VERSION, (const uint64_t[]){SIDECAR_PAGE, SIDECAR_ALIGN, SIDECAR_BLOCK_BYTES, mf->n_file}, 4);
    for (uint32_t i = 0; i < mf->n_file; i++) hash = fold(hash, &mf->files[i].size_bytes, 1);
    for (const struct sidecar_group *g = l->groups; g < l->groups + l->n_group; g++) {
        hash = fold(
            hash, (const uint64_t[]){g->layer, g->n_record, g->n_part, g->experts, g->joined, g->offset, g->stride}, 7);
        for (uint32_t p = 0; p < g->n_part; p++) {
            const struct gguf_tensor *t = &mf->gguf.tensors[g->tensor[p]];
            hash = fold(hash, (const uint64_t[]){t->file, g->from[p], g->bytes[p], g->rel[p], t->type}, 5);
            hash = fold(hash, t->dims, GGUF_MAX_DIMS);
        }
    }
    return hash;
}

int sidecar_layout_make(const struct model_file *mf, const struct hparams *h, const struct weights *w, struct arena *a,
                        struct sidecar_layout *l, struct err *e) {
    *l = (struct sidecar_layout){.groups = arena_array(a, h->n_layer, 2 * sizeof *l->groups)};
    if (!l->groups) return err_set(e, ERR_NOMEM, "no memory for the layout of a sidecar");
    for (uint32_t il = 0; il < h->n_layer; il++) {
        add_dense(l, &mf->gguf, il, &w->layers[il]);
        add_experts(l, &mf->gguf, il, &w->layers[il]);
    }
    uint64_t first = sidecar_first_record(l);
    for (uint32_t i = 0; i < l->n_group; i++) l->groups[i].offset += first;
    l->file_bytes += first;
    l->model_hash = XXH3_64bits(mf->heads[0], mf->gguf.data_offset);
    l->layout_hash = hash_layout(l, mf);
    return ERR_OK;
}

uint64_t sidecar_first_record(const struct sidecar_layout *l) {
    return round_up(SIDECAR_HEAD_BYTES + 8 * l->n_hash, SIDECAR_PAGE);
}

uint64_t sidecar_hashes_done(const struct sidecar_layout *l, uint32_t n_record) {
    uint64_t n = 0;
    for (const struct sidecar_group *g = l->groups; g < l->groups + l->n_group && g->first_record < n_record; g++) {
        uint32_t more = n_record - g->first_record;
        n += g->n_hash * (more < g->n_record ? more : g->n_record);
    }
    return n;
}

int sidecar_sample(const struct model_file *mf, const struct sidecar_layout *l, uint64_t *hash, struct err *e) {
    alignas(IO_PAGE) unsigned char room[2 * IO_PAGE];
    *hash = 0;
    for (const struct sidecar_group *g = l->groups; g < l->groups + l->n_group; g++)
        for (uint32_t p = 0; p < g->n_part; p++) {
            const struct file *f = &mf->files[mf->gguf.tensors[g->tensor[p]].file];
            uint64_t n = g->bytes[p] < SAMPLE_BYTES ? g->bytes[p] : SAMPLE_BYTES;
            unsigned char *at = room + g->from[p] % IO_PAGE;
            int rc = file_read_pages(f, g->from[p], at, n, true, e);
            if (rc) return rc;
            *hash = XXH3_64bits_withSeed(at, n, *hash);
        }
    return ERR_OK;
}

/* Head and table */

/* Of the hashes as the file has them, little-endian. */
static uint64_t hash_table(const uint64_t *hashes, uint64_t n) { return XXH3_64bits(hashes, n * sizeof *hashes); }

void sidecar_pack(const struct sidecar_layout *l, const struct sidecar_head *head, const uint64_t *hashes,
                  unsigned char out[SIDECAR_HEAD_BYTES]) {
    unsigned char *to = out;
    memset(out, 0, SIDECAR_HEAD_BYTES);
    memcpy(to, magic, sizeof magic);
    to += sizeof magic;
    bytes_store(&to, VERSION, 4);
    bytes_store(&to, l->n_record, 4);
    bytes_store(&to, l->model_hash, 8);
    bytes_store(&to, l->layout_hash, 8);
    bytes_store(&to, head->sample_hash, 8);
    bytes_store(&to, l->file_bytes, 8);
    bytes_store(&to, head->n_done, 8);
    bytes_store(&to, hash_table(hashes, sidecar_hashes_done(l, head->n_done)), 8);
    to = out + SIDECAR_HEAD_BYTES - 8;
    bytes_store(&to, XXH3_64bits(out, SIDECAR_HEAD_BYTES - 8), 8);
}

int sidecar_parse(const struct sidecar_layout *l, const unsigned char *bytes, uint64_t n, uint64_t *hashes,
                  struct sidecar_head *head, struct err *e) {
    *head = (struct sidecar_head){0};
    if (n < sizeof magic || memcmp(bytes, magic, sizeof magic) != 0)
        return err_set(e, ERR_FORMAT, "it is no sidecar of hy");
    if (n < SIDECAR_HEAD_BYTES) return err_set(e, ERR_SHORT, "its head is cut off");
    const unsigned char *at = bytes + sizeof magic, *end = bytes + SIDECAR_HEAD_BYTES - 8;
    if (bytes_load(&at, 4) != VERSION) return err_set(e, ERR_UNSUPPORTED, "it is of another version of hy");
    if (bytes_load(&end, 8) != XXH3_64bits(bytes, SIDECAR_HEAD_BYTES - 8))
        return err_set(e, ERR_SHORT, "its head is damaged");
    uint64_t n_record = bytes_load(&at, 4);
    if (bytes_load(&at, 8) != l->model_hash) return err_set(e, ERR_UNSUPPORTED, "it was made from another model");
    bool same = bytes_load(&at, 8) == l->layout_hash && n_record == l->n_record;
    head->sample_hash = bytes_load(&at, 8);
    same &= bytes_load(&at, 8) == l->file_bytes;
    uint64_t n_done = bytes_load(&at, 8);
    if (!same || n_done > l->n_record)
        return err_set(e, ERR_UNSUPPORTED, "it was made from a model of other sizes or types");
    uint64_t n_hash = sidecar_hashes_done(l, (uint32_t)n_done), table = bytes_load(&at, 8);
    if (n < SIDECAR_HEAD_BYTES + 8 * n_hash) return err_set(e, ERR_SHORT, "its table is cut off");
    at = bytes + SIDECAR_HEAD_BYTES;
    for (uint64_t i = 0; i < n_hash; i++) hashes[i] = bytes_load(&at, 8);
    if (hash_table(hashes, n_hash) != table) return err_set(e, ERR_SHORT, "its table is damaged");
    head->n_done = (uint32_t)n_done;
    return ERR_OK;
}

uint64_t sidecar_hash(uint64_t offset, const unsigned char *bytes, uint64_t len, uint64_t *out) {
    uint64_t n = 0;
    for (uint64_t done = 0, part; done < len; done += part) {
        part = SIDECAR_BLOCK_BYTES - (offset + done) % SIDECAR_BLOCK_BYTES;
        if (part > len - done) part = len - done;
        out[n++] = XXH3_64bits(bytes + done, part);
    }
    return n;
}

/* Use */

static int read_head(struct sidecar *s, struct sidecar_head *head, struct err *e) {
    uint64_t n = sidecar_first_record(&s->layout);
    if (n > s->file.size_bytes) n = s->file.size_bytes;
    unsigned char *bytes = malloc(n);
    if (!bytes) return err_set(e, ERR_NOMEM, "no memory for its table");
    int rc = file_read(&s->file, 0, bytes, n, false, e);
    if (!rc) rc = sidecar_parse(&s->layout, bytes, n, s->hashes, head, e);
    free(bytes);
    return rc;
}

/* Whether the file, which is open, is whole and this model's. */
static int examine(struct sidecar *s, const struct model_file *mf, struct err *e) {
    struct sidecar_head head;
    uint64_t sample;
    int rc = read_head(s, &head, e);
    if (rc) return rc;
    if (head.n_done < s->layout.n_record)
        return err_set(e, ERR_SHORT,
                       "it is not complete (%u of %u records); run hy optimize again, which goes on from there",
                       head.n_done, s->layout.n_record);
    if (s->file.size_bytes != s->layout.file_bytes)
        return err_set(e, ERR_SHORT, "it has %llu bytes and not the %llu that were written; run hy optimize --force again",
                       (unsigned long long)s->file.size_bytes, (unsigned long long)s->layout.file_bytes);
    rc = sidecar_sample(mf, &s->layout, &sample, e);
    if (rc || sample == head.sample_hash) return rc;
    return err_set(e, ERR_UNSUPPORTED, "the model has other weights than the one that it was made from");
}

static int open_at(const char *path, const struct model_file *mf, const struct hparams *h, const struct weights *w,
                   struct arena *a, struct sidecar *s, struct err *e) {
    int rc = file_open(path, &s->file, e);
    if (rc) {
        err_prefix(e, "the sidecar '%s' is not used", path);
        return rc;
    }
    rc = sidecar_layout_make(mf, h, w, a, &s->layout, e);
    if (!rc) {
        s->hashes = arena_array(a, s->layout.n_hash, sizeof *s->hashes);
        s->checked = arena_array(a, s->layout.n_hash, sizeof *s->checked);
        if (!s->hashes || !s->checked) rc = err_set(e, ERR_NOMEM, "no memory for its table");
    }
    if (!rc) rc = examine(s, mf, e);
    if (rc) {
        file_close(&s->file);
        return err_prefix(e, "the sidecar '%s' is not used", path);
    }
    s->open = true;
    return ERR_OK;
}

/* One that was named. */
static int open_asked(const char *path, const struct model_file *mf, const struct hparams *h, const struct weights *w,
                      struct arena *a, struct sidecar *s, struct err *e) {
    int rc = open_at(path, mf, h, w, a, s, e);
    if (e && (rc == ERR_NOT_FOUND || rc == ERR_FORMAT || rc == ERR_UNSUPPORTED)) {
        size_t n = strlen(e->text);
        snprintf(e->text + n, sizeof e->text - n, "; name the file that hy optimize wrote for this model, or go without (--sidecar off)");
    }
    return rc;
}

int sidecar_open(const char *asked, const char *model_path, const struct model_file *mf, const struct hparams *h,
                 const struct weights *w, struct arena *a, struct sidecar *s, struct err *e) {
    char path[PATH_MAX];
    struct err why;
    *s = (struct sidecar){0};
    if (asked) return strcmp(asked, "off") == 0 ? ERR_OK : open_asked(asked, mf, h, w, a, s, e);
    int rc = sidecar_path(model_path, path, sizeof path, &why);
    if (!rc) rc = open_at(path, mf, h, w, a, s, &why);
    if (rc && rc != ERR_NOT_FOUND) snprintf(s->note, sizeof s->note, "%s", why.text);
    return ERR_OK;
}

void sidecar_close(struct sidecar *s) {
    if (s->open) file_close(&s->file);
    s->open = false;
}

void sidecar_tensor(const struct sidecar *s, uint32_t tensor, struct source *out) {
    for (uint32_t i = 0; s->open && i < s->layout.n_group; i++) {
        const struct sidecar_group *g = &s->layout.groups[i];
        for (uint32_t p = 0; p < g->n_part && !g->experts; p++)
            if (g->tensor[p] == tensor) *out = (struct source){&s->file, g->offset + g->rel[p], g->bytes[p]};
    }
}

void sidecar_experts(const struct sidecar *s, uint32_t layer, struct expert_layer *out) {
    for (uint32_t i = 0; s->open && i < s->layout.n_group; i++) {
        const struct sidecar_group *g = &s->layout.groups[i];
        if (g->layer != layer || !g->experts) continue;
        out->joined = g->joined;
        for (uint32_t p = 0; p < 3; p++) {
            out->part[p] = (struct source){&s->file, g->offset + g->rel[p], g->bytes[p]};
            out->rel[p] = g->rel[p];
            out->stride[p] = g->stride;
        }
        if (g->joined) out->part[0].len = group_end(g);
    }
}

static int damaged(const struct sidecar *s, const struct sidecar_group *g, uint64_t record, struct err *e) {
    char what[64];
    if (g->experts) snprintf(what, sizeof what, "expert %llu of layer %u", (unsigned long long)record, g->layer);
    else snprintf(what, sizeof what, "the FFN of layer %u", g->layer);
    return err_set(e, ERR_IO,
                   "the record of %s in '%s' is damaged: its xxHash differs; run hy optimize --force again, or go "
                   "without (--sidecar off)",
                   what, s->file.path);
}

int sidecar_check(const struct sidecar *s, const struct read_part *piece, struct err *e) {
    if (!s->open || piece->file != &s->file) return ERR_OK;
    const struct sidecar_group *g = s->layout.groups;
    while (piece->offset >= g->offset + g->stride * g->n_record) g++;
    uint64_t record = (piece->offset - g->offset) / g->stride, in_record = (piece->offset - g->offset) % g->stride;
    uint64_t unit = 0, stop = piece->offset + piece->len;
    while (unit + 1 < group_n_unit(g) && in_record >= g->rel[unit + 1]) unit++;
    uint64_t begin = g->offset + record * g->stride + g->rel[unit], end = begin + unit_bytes(g, unit);
    CHECK(piece->offset == begin || piece->offset % SIDECAR_BLOCK_BYTES == 0);
    CHECK(stop == end || stop % SIDECAR_BLOCK_BYTES == 0);
    uint64_t k = g->first_hash + record * g->n_hash + g->part_hash[unit] + piece->offset / SIDECAR_BLOCK_BYTES -
                 begin / SIDECAR_BLOCK_BYTES;
    for (uint64_t at = piece->offset, next; at < stop; at = next, k++) {
        next = (at / SIDECAR_BLOCK_BYTES + 1) * SIDECAR_BLOCK_BYTES;
        if (next > stop) next = stop;
        if (atomic_load_explicit(&s->checked[k], memory_order_relaxed)) continue;
        if (XXH3_64bits(piece->dst + (at - piece->offset), next - at) != s->hashes[k]) return damaged(s, g, record, e);
        atomic_store_explicit(&s->checked[k], true, memory_order_relaxed);
    }
    return ERR_OK;
}
