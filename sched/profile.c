#include "sched/profile.h"

#include <jansson.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#ifndef __APPLE__
#include <sys/statvfs.h>
#endif

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "runtime/machine.h"
#include "sched/cache_dir.h"

#define VERSION 1
#define MAX_FILE_BYTES ((size_t)256 << 10)
#define MAX_RATE 1e14 /* no memory of our time is near */

const uint32_t profile_block_bytes[PROFILE_N_BLOCK] = {256u << 10, 1u << 20, 2u << 20, 4u << 20, 8u << 20};
const uint32_t profile_readers[PROFILE_N_READERS] = {1, 2, 4, 8, 9};

uint64_t profile_disk_id(const struct file *f) {
#ifndef __APPLE__
    struct statvfs v;
    if (fstatvfs(f->fd, &v) == 0 && v.f_fsid) return v.f_fsid;
#endif
    struct stat st;
    return fstat(f->fd, &st) == 0 ? (uint64_t)st.st_dev : 0;
}

const struct profile_disk *profile_disk_find(const struct profile *p, uint64_t id) {
    for (uint32_t i = 0; i < p->n_disk; i++)
        if (p->disks[i].id == id) return &p->disks[i];
    return NULL;
}

double profile_disk_rate(const struct profile *p, uint64_t id) {
    const struct profile_disk *d = profile_disk_find(p, id);
    return d ? d->best_rate : 0;
}

bool profile_disk_complete(const struct profile_disk *d) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < PROFILE_N_BLOCK * PROFILE_N_READERS; i++) n += d->rate[i / PROFILE_N_READERS][i % PROFILE_N_READERS] > 0;
    return n > 1;
}

void profile_put_disk(struct profile *p, const struct profile_disk *d) {
    uint32_t at = 0;
    while (at < p->n_disk && p->disks[at].id != d->id) at++;
    if (at == PROFILE_MAX_DISKS) {
        at = 0;
        for (uint32_t i = 1; i < p->n_disk; i++)
            if (p->disks[i].when < p->disks[at].when) at = i;
    }
    if (at == p->n_disk) p->n_disk++;
    p->disks[at] = *d;
}

/* Text from outside (a path, a chip's name) may be no UTF-8, which JSON has no words for. */
static json_t *json_text(const char *s) {
    json_t *j = json_string(s);
    return j ? j : json_string("(a name that is not UTF-8)");
}

static json_t *json_rate(double rate) { return json_integer((json_int_t)rate); }

static json_t *cells_json(const struct profile_disk *d) {
    json_t *cells = json_array();
    for (uint32_t b = 0; b < PROFILE_N_BLOCK; b++)
        for (uint32_t r = 0; r < PROFILE_N_READERS; r++)
            if (d->rate[b][r] > 0)
                json_array_append_new(cells, json_pack("{s:I, s:I, s:o}", "block_bytes", (json_int_t)profile_block_bytes[b], "readers",
                                                       (json_int_t)profile_readers[r], "bytes_per_s", json_rate(d->rate[b][r])));
    return cells;
}

static json_t *disk_json(const struct profile_disk *d) {
    char id[24];
    snprintf(id, sizeof id, "%016llx", (unsigned long long)d->id);
    return json_pack("{s:s, s:o, s:I, s:I, s:I, s:{s:I, s:I, s:o}, s:o}", "id", id, "file", json_text(d->file), "file_bytes",
                     (json_int_t)d->file_bytes, "read_bytes", (json_int_t)d->read_bytes, "when", (json_int_t)d->when, "best", "readers",
                     (json_int_t)d->best_n_reader, "block_bytes", (json_int_t)d->best_block_bytes, "bytes_per_s", json_rate(d->best_rate),
                     "cells", cells_json(d));
}

char *profile_json(const struct profile *p) {
    json_t *disks = json_array();
    for (uint32_t i = 0; i < p->n_disk; i++)
        if (!p->disks[i].passing) json_array_append_new(disks, disk_json(&p->disks[i]));
    json_t *j = json_pack("{s:i, s:o, s:I, s:I, s:o, s:I, s:o}", "version", VERSION, "machine", json_text(p->machine), "cores",
                          (json_int_t)p->n_core, "ram_bytes", (json_int_t)p->ram_bytes, "memory_bytes_per_s", json_rate(p->memory_rate),
                          "when", (json_int_t)p->when, "disks", disks);
    if (j && *p->gpu)
        json_object_set_new(j, "gpu", json_pack("{s:o, s:I, s:I}", "name", json_text(p->gpu), "working_set_bytes",
                                                (json_int_t)p->gpu_working_set_bytes, "max_buffer_bytes", (json_int_t)p->gpu_max_buffer_bytes));
    char *text = j ? json_dumps(j, JSON_INDENT(2)) : NULL;
    json_decref(j);
    return text;
}

/* Reading back: *ok becomes false when a member is missing or out of range. */
static uint64_t take_number(const json_t *o, const char *key, double most, bool *ok) {
    const json_t *j = json_object_get(o, key);
    json_int_t v = json_integer_value(j);
    if (json_is_integer(j) && v >= 0 && (double)v <= most) return (uint64_t)v;
    *ok = false;
    return 0;
}

static void take_text(const json_t *o, const char *key, char *out, size_t cap, bool *ok) {
    const char *s = json_string_value(json_object_get(o, key));
    if (s && strlen(s) < cap) memcpy(out, s, strlen(s) + 1);
    else *ok = false;
}

static uint32_t index_of(const uint32_t *list, uint32_t n, uint64_t v) {
    uint32_t i = 0;
    while (i < n && list[i] != v) i++;
    return i;
}

static uint32_t take_block(const json_t *o, bool *ok) {
    uint32_t b = index_of(profile_block_bytes, PROFILE_N_BLOCK, take_number(o, "block_bytes", UINT32_MAX, ok));
    if (b < PROFILE_N_BLOCK) return b;
    *ok = false;
    return 0;
}

static uint32_t take_readers(const json_t *o, bool *ok) {
    uint32_t r = index_of(profile_readers, PROFILE_N_READERS, take_number(o, "readers", UINT32_MAX, ok));
    if (r < PROFILE_N_READERS) return r;
    *ok = false;
    return 0;
}

static bool take_cells(const json_t *cells, struct profile_disk *d) {
    bool ok = json_is_array(cells);
    for (size_t i = 0; i < json_array_size(cells) && ok; i++) {
        const json_t *c = json_array_get(cells, i);
        uint32_t b = take_block(c, &ok), r = take_readers(c, &ok);
        d->rate[b][r] = (double)take_number(c, "bytes_per_s", MAX_RATE, &ok);
    }
    return ok;
}

static bool take_disk(const json_t *j, struct profile_disk *d) {
    bool ok = true;
    char id[24] = "", *end;
    const json_t *best = json_object_get(j, "best");
    take_text(j, "id", id, sizeof id, &ok);
    d->id = strtoull(id, &end, 16);
    take_text(j, "file", d->file, sizeof d->file, &ok);
    d->file_bytes = take_number(j, "file_bytes", 9e18, &ok);
    d->read_bytes = take_number(j, "read_bytes", 9e18, &ok);
    d->when = (int64_t)take_number(j, "when", 9e15, &ok);
    d->best_n_reader = profile_readers[take_readers(best, &ok)];
    d->best_block_bytes = profile_block_bytes[take_block(best, &ok)];
    d->best_rate = (double)take_number(best, "bytes_per_s", MAX_RATE, &ok);
    return ok && *id && !*end && d->best_rate > 0 && take_cells(json_object_get(j, "cells"), d);
}

static bool take_profile(const json_t *j, struct profile *p) {
    bool ok = true;
    const json_t *gpu = json_object_get(j, "gpu"), *disks = json_object_get(j, "disks");
    if (take_number(j, "version", 1e9, &ok) != VERSION) return false;
    take_text(j, "machine", p->machine, sizeof p->machine, &ok);
    p->n_core = (uint32_t)take_number(j, "cores", 1e6, &ok);
    p->ram_bytes = take_number(j, "ram_bytes", 9e18, &ok);
    p->memory_rate = (double)take_number(j, "memory_bytes_per_s", MAX_RATE, &ok);
    p->when = (int64_t)take_number(j, "when", 9e15, &ok);
    if (gpu) {
        take_text(gpu, "name", p->gpu, sizeof p->gpu, &ok);
        p->gpu_working_set_bytes = take_number(gpu, "working_set_bytes", 9e18, &ok);
        p->gpu_max_buffer_bytes = take_number(gpu, "max_buffer_bytes", 9e18, &ok);
    }
    if (!json_is_array(disks) || json_array_size(disks) > PROFILE_MAX_DISKS) return false;
    for (; p->n_disk < json_array_size(disks) && ok; p->n_disk++) ok = take_disk(json_array_get(disks, p->n_disk), &p->disks[p->n_disk]);
    return ok;
}

int profile_parse(const char *text, size_t n, struct profile *p, struct err *e) {
    *p = (struct profile){0};
    json_error_t where;
    json_t *j = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
    int rc = ERR_OK;
    if (!j) rc = err_set(e, ERR_FORMAT, "the profile is no JSON: %s", where.text);
    else if (!take_profile(j, p)) rc = err_set(e, ERR_FORMAT, "the profile lacks members or has numbers that cannot be");
    json_decref(j);
    return rc;
}

static void cache_name(const char *machine, char out[40]) {
    snprintf(out, 40, "profile-%016llx.json", (unsigned long long)XXH3_64bits(machine, strlen(machine)));
}

bool profile_load(struct profile *p) {
    struct machine_memory m;
    struct profile found;
    char name[40], *text;
    size_t n;
    *p = (struct profile){.n_core = machine_n_core()};
    machine_memory(&m);
    machine_identity(p->machine, sizeof p->machine);
    p->ram_bytes = m.ram_bytes;
    cache_name(p->machine, name);
    if (cache_read(name, MAX_FILE_BYTES, &text, &n, NULL)) return false;
    bool ok = profile_parse(text, n, &found, NULL) == ERR_OK && strcmp(found.machine, p->machine) == 0;
    free(text);
    if (!ok) return false;
    found.n_core = p->n_core;
    found.ram_bytes = p->ram_bytes;
    *p = found;
    return true;
}

int profile_save(const struct profile *p, struct err *e) {
    char name[40], *text = profile_json(p);
    if (!text) return err_set(e, ERR_NOMEM, "no memory to write the profile");
    cache_name(p->machine, name);
    int rc = cache_write(name, text, strlen(text), e);
    free(text);
    return rc;
}
