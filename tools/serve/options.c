#include "tools/serve/options.h"

#include <math.h>
#include <string.h>

#include "runtime/clock.h"

struct options options_default(void) {
    return (struct options){.num_predict = -1,
                            .num_keep = 4,
                            .seed = -1,
                            .temperature = 0.8,
                            .top_p = 0.9,
                            .typical_p = 1,
                            .repeat_penalty = 1,
                            .top_k = 40,
                            .repeat_last_n = 64};
}

enum type { INTEGER, FLOAT, BOOLEAN };
static const char *const type_names[] = {"integer", "float32", "boolean"};

#define NOWHERE SIZE_MAX /* checked, then ignored */
#define AT(field) offsetof(struct options, field)
static const struct {
    const char *name;
    enum type type;
    size_t at; /* int64_t or double in struct options */
} known[] = {
    {"num_ctx", INTEGER, AT(num_ctx)},
    {"num_predict", INTEGER, AT(num_predict)},
    {"num_keep", INTEGER, AT(num_keep)},
    {"seed", INTEGER, AT(seed)},
    {"temperature", FLOAT, AT(temperature)},
    {"top_k", INTEGER, AT(top_k)},
    {"top_p", FLOAT, AT(top_p)},
    {"min_p", FLOAT, AT(min_p)},
    {"typical_p", FLOAT, AT(typical_p)},
    {"repeat_penalty", FLOAT, AT(repeat_penalty)},
    {"repeat_last_n", INTEGER, AT(repeat_last_n)},
    {"presence_penalty", FLOAT, AT(presence_penalty)},
    {"frequency_penalty", FLOAT, AT(frequency_penalty)},
    {"num_batch", INTEGER, NOWHERE},
    {"num_gpu", INTEGER, NOWHERE},
    {"main_gpu", INTEGER, NOWHERE},
    {"num_thread", INTEGER, NOWHERE},
    {"draft_num_predict", INTEGER, NOWHERE},
    {"use_mmap", BOOLEAN, NOWHERE},
};

static bool store(struct options *o, size_t i, const json_t *v) {
    void *at = known[i].at == NOWHERE ? NULL : (char *)o + known[i].at;
    int64_t n;
    switch (known[i].type) {
    case BOOLEAN: return json_is_boolean(v);
    case FLOAT:
        if (json_is_number(v) && at) *(double *)at = json_number_value(v);
        return json_is_number(v);
    default:
        if (!fields_whole(v, &n)) return false;
        if (at) *(int64_t *)at = n;
        return true;
    }
}

int options_stop(struct options *o, const json_t *v, struct err *e) {
    uint32_t n = 0;
    bool one = json_is_string(v);
    if (!one && !json_is_array(v)) return err_set(e, ERR_ARG, "option \"stop\" must be of type array");
    for (size_t i = 0; i < (one ? 1 : json_array_size(v)); i++) {
        const json_t *s = one ? v : json_array_get(v, i);
        if (!json_is_string(s)) return err_set(e, ERR_ARG, "option \"stop\" must be of type array of strings");
        if (!json_string_length(s)) continue;
        if (n == OPTIONS_MAX_STOP) return err_set(e, ERR_ARG, "option \"stop\" has more than %d strings", OPTIONS_MAX_STOP);
        o->stop[n++] = (struct stop_text){json_string_value(s), json_string_length(s)};
    }
    o->n_stop = n;
    return ERR_OK;
}

int options_read(struct options *o, const json_t *obj, struct err *e) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const json_t *v = json_object_get(obj, known[i].name);
        if (v && !json_is_null(v) && !store(o, i, v))
            return err_set(e, ERR_ARG, "option \"%s\" must be of type %s", known[i].name, type_names[known[i].type]);
    }
    const json_t *stop = json_object_get(obj, "stop");
    return stop && !json_is_null(stop) ? options_stop(o, stop, e) : ERR_OK;
}

static float within(double v, double lo, double hi) { return (float)(v < lo ? lo : v > hi ? hi : v); }

static uint32_t recent(const struct options *o, uint32_t n_ctx) {
    int64_t n = o->repeat_last_n < 0 ? n_ctx : o->repeat_last_n;
    return n > SAMPLER_LAST_N_MAX ? SAMPLER_LAST_N_MAX : (uint32_t)n;
}

struct sampler_params options_sampling(const struct options *o, uint32_t n_ctx) {
    return (struct sampler_params){
        .temperature = within(o->temperature, 0, 100),
        .top_k = o->top_k <= 0 ? 0 : o->top_k > UINT32_MAX ? UINT32_MAX : (uint32_t)o->top_k,
        .top_p = within(o->top_p, 0, 1),
        .min_p = within(o->min_p, 0, 1),
        .typical_p = within(o->typical_p, 0, 1),
        .repeat_penalty = within(o->repeat_penalty, 0.01, 100),
        .repeat_last_n = recent(o, n_ctx),
        .presence_penalty = within(o->presence_penalty, -100, 100),
        .frequency_penalty = within(o->frequency_penalty, -100, 100),
        .seed = o->seed < 0 ? clock_ns() * 0x9e3779b97f4a7c15u : (uint64_t)o->seed,
    };
}
