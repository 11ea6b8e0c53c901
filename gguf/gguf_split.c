/* Models in several files: part 0 holds the metadata, every part its own tensor directory and data. */
#include "gguf/gguf_impl.h"

int gguf_split_count(const struct gguf *g, const char *name, uint32_t *n, struct err *e) {
    uint32_t no = 0;
    *n = 1;
    if (!gguf_find(g, "split.count")) return 0;
    if (!gguf_get_u32(g, "split.count", n) || *n > GGUF_MAX_FILES)
        return err_set(e, ERR_FORMAT, "%.200s has a split.count that is not a number up to %d", name, GGUF_MAX_FILES);
    if (*n <= 1) {
        *n = 1;
        return 0;
    }
    if (!gguf_get_u32(g, "split.no", &no) || no >= *n)
        return err_set(e, ERR_FORMAT, "%.200s is part of a split model but has no valid split.no", name);
    if (no != 0)
        return err_set(e, ERR_ARG, "%.200s is part %u of %u of a split model; open its first part, named -00001-of-%05u",
                       name, no + 1, *n, *n);
    return 0;
}

int gguf_split_path(const char *path, uint32_t index, uint32_t n, char *out, size_t out_bytes, struct err *e) {
    char suffix[40];
    snprintf(suffix, sizeof suffix, "-00001-of-%05u.gguf", n);
    size_t len = strlen(path), suffix_len = strlen(suffix);
    if (len < suffix_len || strcmp(path + len - suffix_len, suffix) != 0)
        return err_set(e, ERR_ARG, "%.200s is the first of %u parts, but its name does not end in %s", path, n, suffix);
    int written = snprintf(out, out_bytes, "%.*s-%05u-of-%05u.gguf", (int)(len - suffix_len), path, index + 1, n);
    if (written < 0 || (size_t)written >= out_bytes) return err_set(e, ERR_ARG, "%.200s is too long a path", path);
    return 0;
}

static int check_part(const struct gguf *g, const struct gguf *part, uint32_t index, const char *name, struct err *e) {
    uint32_t no, count, whole;
    if (!gguf_get_u32(part, "split.no", &no) || !gguf_get_u32(part, "split.count", &count))
        return err_set(e, ERR_FORMAT, "%.200s should be a part of a split model but has no split.no and split.count",
                       name);
    if (no != index)
        return err_set(e, ERR_FORMAT, "%.200s should be part %u of the model but says it is part %u", name, index + 1,
                       no + 1);
    if (!gguf_get_u32(g, "split.count", &whole) || count != whole)
        return err_set(e, ERR_FORMAT, "%.200s says the model has %u parts, the first part says otherwise", name, count);
    return 0;
}

static int check_total(const struct gguf *g, uint32_t index, const char *name, struct err *e) {
    uint32_t count = 0;
    uint64_t total;
    gguf_get_u32(g, "split.count", &count);
    if (index + 1 != count || !gguf_get_u64(g, "split.tensors.count", &total) || total == g->n_tensor) return 0;
    return err_set(e, ERR_FORMAT, "%.200s completes a split model of %llu tensors, but its parts hold %llu", name,
                   (unsigned long long)total, (unsigned long long)g->n_tensor);
}

/* Room for n_more tensors; grows by doubling, so that many parts stay linear. */
static bool reserve(struct gguf *g, uint64_t n_more, struct arena *a) {
    uint64_t n = g->n_tensor + n_more;
    if (n <= g->tensors_cap) return true;
    uint64_t cap = n * 2;
    struct gguf_tensor *grown = arena_array(a, cap, sizeof *grown);
    struct gguf_index index;
    if (!grown || !gguf_index_init(&index, cap, a)) return false;
    if (g->n_tensor) memcpy(grown, g->tensors, g->n_tensor * sizeof *grown);
    g->tensors = grown;
    g->tensors_cap = cap;
    for (uint32_t i = 0; i < g->n_tensor; i++) gguf_index_add(&index, g, gguf_tensor_name, i);
    g->tensor_index = index;
    return true;
}

int gguf_split_add(struct gguf *g, const struct gguf *part, uint32_t index, const char *name, struct arena *a,
                   struct err *e) {
    int code = check_part(g, part, index, name, e);
    if (code) return code;
    if (!reserve(g, part->n_tensor, a)) return err_set(e, ERR_NOMEM, "%.200s has too many tensors for memory", name);
    for (uint64_t i = 0; i < part->n_tensor; i++) {
        struct gguf_tensor *t = &g->tensors[g->n_tensor];
        *t = part->tensors[i];
        t->file = index;
        t->name = arena_strndup(a, t->name, strlen(t->name));
        if (!t->name) return err_set(e, ERR_NOMEM, "%.200s has too many tensors for memory", name);
        if (!gguf_index_add(&g->tensor_index, g, gguf_tensor_name, (uint32_t)g->n_tensor))
            return err_set(e, ERR_FORMAT, "%.200s has the tensor %s, which another part has too", name,
                           gguf_show_c(t->name).text);
        g->n_tensor++;
    }
    g->n_file++;
    return check_total(g, index, name, e);
}
