#include "sched/sidecar_write.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define BATCH_BYTES ((uint64_t)256 << 20)
#define AHEAD_BYTES ((uint64_t)64 << 20) /* of records being read while others are written */
#define MAX_AHEAD 16u


struct write_slot {
    struct read_job job;
    unsigned char *bytes;
};

struct writer {
    const struct model_file *mf;
    const struct sidecar_layout *l;
    struct sidecar_write *o;
    int fd;
    uint64_t *hashes;
    struct sidecar_head head;    /* n_done: as the file says */
    struct readers *readers;
    struct write_slot slot[MAX_AHEAD];
    uint32_t n_slot, next;       /* next: the record to be written next */
    uint64_t part_off[3], slot_bytes;
    unsigned char *record;       /* as it will be on the disk */
    uint64_t record_bytes;
};

/* The file */

static int failed(const struct writer *w, const char *what, struct err *e) {
    return err_set(e, ERR_IO, "'%s' cannot be %s: %s%s", w->o->path, what, strerror(errno),
                   errno == ENOSPC ? "; what is written stays: make room, and run the same again" : "");
}

static int write_at(const struct writer *w, uint64_t offset, const void *bytes, uint64_t n, struct err *e) {
    const unsigned char *p = bytes;
    while (n) {
        ssize_t k = pwrite(w->fd, p, n < BATCH_BYTES ? n : BATCH_BYTES, (off_t)offset);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return failed(w, "written", e);
        p += k;
        offset += (uint64_t)k;
        n -= (uint64_t)k;
    }
    return ERR_OK;
}

/* On the disk, and out of the page cache, which others need more. */
static int sync_file(const struct writer *w, struct err *e) {
#ifdef __APPLE__
    int rc = fcntl(w->fd, F_FULLFSYNC);
    if (rc != 0) rc = fsync(w->fd);
#else
    int rc = fdatasync(w->fd);
    if (rc == 0) posix_fadvise(w->fd, 0, 0, POSIX_FADV_DONTNEED);
#endif
    return rc == 0 ? ERR_OK : failed(w, "written", e);
}

static int check_model(const struct writer *w, struct err *e) {
    int rc = ERR_OK;
    for (uint32_t i = 0; i < w->mf->n_file && !rc; i++) rc = file_check_unchanged(&w->mf->files[i], e);
    return rc;
}

/* Counts the records before w->next as done, once they and their hashes are on the disk. */
static int commit(struct writer *w, struct err *e) {
    unsigned char head[SIDECAR_HEAD_BYTES];
    uint64_t from = sidecar_hashes_done(w->l, w->head.n_done), to = sidecar_hashes_done(w->l, w->next);
    int rc = check_model(w, e);
    if (!rc) rc = write_at(w, SIDECAR_HEAD_BYTES + 8 * from, w->hashes + from, 8 * (to - from), e);
    if (!rc) rc = sync_file(w, e);
    w->head.n_done = w->next;
    sidecar_pack(w->l, &w->head, w->hashes, head);
    if (!rc) rc = write_at(w, 0, head, sizeof head, e);
    return rc ? rc : sync_file(w, e);
}

static const struct sidecar_group *group_of(const struct sidecar_layout *l, uint32_t record) {
    const struct sidecar_group *g = l->groups;
    while (record >= g->first_record + g->n_record) g++;
    return g;
}

static uint64_t record_at(const struct sidecar_layout *l, uint32_t record) {
    if (record == l->n_record) return l->file_bytes;
    const struct sidecar_group *g = group_of(l, record);
    return g->offset + (record - g->first_record) * g->stride;
}

/* What is there already, if anything: goes on behind it when it was begun for this model. */
static int resume(struct writer *w, uint64_t size, struct err *e) {
    uint64_t n = sidecar_first_record(w->l), sample = w->head.sample_hash, got = 0;
    unsigned char *bytes = malloc(n);
    if (!bytes) return err_set(e, ERR_NOMEM, "no memory for the table of '%s'", w->o->path);
    ssize_t k = pread(w->fd, bytes, n, 0);
    if (k >= 0) got = (uint64_t)k;
    int rc = sidecar_parse(w->l, bytes, got, w->hashes, &w->head, e);
    free(bytes);
    if (rc == ERR_FORMAT)
        return err_set(e, ERR_FORMAT, "'%s' is no sidecar of hy and is left as it is; name another file with -o",
                       w->o->path);
    if (!rc && w->head.sample_hash != sample) rc = err_set(e, ERR_UNSUPPORTED, "it was made from other weights");
    if (!rc && size < record_at(w->l, w->head.n_done))
        rc = err_set(e, ERR_SHORT, "it was cut off after it was written");
    if (rc) {
        err_prefix(e, "'%s' is there already", w->o->path);
        size_t at = strlen(e->text);
        snprintf(e->text + at, sizeof e->text - at, "; --force writes it anew");
        return rc;
    }
    w->next = w->head.n_done;
    return ERR_OK;
}

static bool is_sidecar(const struct writer *w) {
    unsigned char head[SIDECAR_HEAD_BYTES];
    struct sidecar_head ignored;
    ssize_t n = pread(w->fd, head, sizeof head, 0);
    return n > 0 && sidecar_parse(w->l, head, (uint64_t)n, w->hashes, &ignored, NULL) != ERR_FORMAT;
}

static int open_failed(const struct writer *w, struct err *e) {
    bool denied = errno == EROFS || errno == EACCES || errno == EPERM;
    return err_set(e, ERR_IO, "'%s' cannot be written: %s%s", w->o->path, strerror(errno),
                   denied ? "; give a file elsewhere with -o FILE, and use it with --sidecar FILE" : "");
}

static int open_file(struct writer *w, struct err *e) {
    struct stat st;
    for (bool anew = w->o->force;; anew = false) {
        w->fd = open(w->o->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (w->fd < 0) return open_failed(w, e);
        if (flock(w->fd, LOCK_EX | LOCK_NB) != 0)
            return err_set(e, ERR_BUSY, "another hy optimize is writing '%s'", w->o->path);
        if (fstat(w->fd, &st) != 0 || !S_ISREG(st.st_mode))
            return err_set(e, ERR_ARG, "'%s' is not a regular file", w->o->path);
        if (!anew || st.st_size == 0 || !is_sidecar(w)) break;
        close(w->fd); /* those who read the old one keep it */
        w->fd = -1;
        if (unlink(w->o->path) != 0) return open_failed(w, e);
    }
    return st.st_size ? resume(w, (uint64_t)st.st_size, e) : commit(w, e);
}

int sidecar_space(const struct sidecar_layout *l, const struct sidecar_write *o, uint64_t *need_bytes,
                  uint64_t *free_bytes, struct err *e) {
    char dir[PATH_MAX];
    struct stat st;
    struct statvfs vfs;
    snprintf(dir, sizeof dir, "%s", o->path);
    char *slash = strrchr(dir, '/');
    if (slash) slash[slash == dir] = 0;
    else strcpy(dir, ".");
    if (statvfs(dir, &vfs) != 0)
        return err_set(e, ERR_IO, "the folder '%s' cannot be examined: %s", dir, strerror(errno));
    uint64_t there = stat(o->path, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
    *need_bytes = l->file_bytes > there ? l->file_bytes - there : 0;
    *free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    return ERR_OK;
}

/* Records */

static void submit(struct writer *w, uint32_t record) {
    const struct sidecar_group *g = group_of(w->l, record);
    struct write_slot *s = &w->slot[record % w->n_slot];
    s->job = (struct read_job){.n_part = g->n_part, .tag = record};
    for (uint32_t p = 0; p < g->n_part; p++) {
        const struct file *f = &w->mf->files[w->mf->gguf.tensors[g->tensor[p]].file];
        uint64_t offset = g->from[p] + (record - g->first_record) * g->bytes[p];
        s->job.part[p] = (struct read_part){f, offset, g->bytes[p], s->bytes + w->part_off[p] + offset % IO_PAGE};
    }
    readers_submit(w->readers, &s->job, READ_SCHEDULE);
}

static int write_record(struct writer *w, struct err *e) {
    const struct sidecar_group *g = group_of(w->l, w->next);
    struct write_slot *s = &w->slot[w->next % w->n_slot];
    uint64_t offset = record_at(w->l, w->next);
    uint64_t *hash = w->hashes + g->first_hash + (w->next - g->first_record) * g->n_hash;
    int rc = readers_wait(w->readers, &s->job, g->n_part, e);
    if (rc) return rc;
    memset(w->record, 0, g->stride);
    for (uint32_t p = 0; p < g->n_part; p++) memcpy(w->record + g->rel[p], s->job.part[p].dst, g->bytes[p]);
    if (g->joined) sidecar_hash(offset, w->record, g->rel[g->n_part - 1] + g->bytes[g->n_part - 1], hash);
    for (uint32_t p = 0; p < g->n_part && !g->joined; p++)
        sidecar_hash(offset + g->rel[p], w->record + g->rel[p], g->bytes[p], hash + g->part_hash[p]);
    rc = write_at(w, offset, w->record, g->stride, e);
    w->next += !rc;
    return rc;
}

static bool go_on(const struct writer *w) {
    uint64_t first = sidecar_first_record(w->l), at = record_at(w->l, w->next);
    return !w->o->progress || w->o->progress(w->o->ctx, at - first, w->l->file_bytes - first);
}

static int write_records(struct writer *w, struct err *e) {
    int rc = ERR_OK;
    bool stopped = false;
    uint32_t submitted = w->next;
    while (w->next < w->l->n_record && !rc && !stopped) {
        while (submitted < w->l->n_record && submitted - w->next < w->n_slot) submit(w, submitted++);
        rc = write_record(w, e);
        stopped = !go_on(w);
        bool full = record_at(w->l, w->next) - record_at(w->l, w->head.n_done) >= BATCH_BYTES;
        if (!rc && (full || stopped || w->next == w->l->n_record)) rc = commit(w, e);
    }
    if (rc || !stopped || w->next == w->l->n_record) return rc;
    return err_set(e, ERR_CANCELLED,
                   "stopped; '%s' keeps the %u of %u records that are written, and the same command goes on from there",
                   w->o->path, w->next, w->l->n_record);
}

static int make_room(struct writer *w, struct err *e) {
    uint64_t part[3] = {0};
    for (const struct sidecar_group *g = w->l->groups; g < w->l->groups + w->l->n_group; g++) {
        if (g->stride > w->record_bytes) w->record_bytes = g->stride;
        for (uint32_t p = 0; p < g->n_part; p++)
            if (g->bytes[p] > part[p]) part[p] = g->bytes[p];
    }
    for (int p = 0; p < 3; p++) {
        w->part_off[p] = w->slot_bytes;
        w->slot_bytes += (part[p] + IO_PAGE - 1) / IO_PAGE * IO_PAGE + IO_PAGE;
    }
    uint64_t n = AHEAD_BYTES / w->slot_bytes;
    n = n < 2 ? 2 : n > MAX_AHEAD ? MAX_AHEAD : n;
    w->record = malloc(w->record_bytes);
    for (; w->record && w->n_slot < n; w->n_slot++)
        if (posix_memalign((void **)&w->slot[w->n_slot].bytes, IO_PAGE, w->slot_bytes) != 0) break;
    return w->n_slot == n ? ERR_OK
                          : err_set(e, ERR_NOMEM, "no memory for %llu records of %.1f MB", (unsigned long long)n,
                                    (double)w->record_bytes / 1e6);
}

int sidecar_write(const struct model_file *mf, const struct sidecar_layout *l, struct sidecar_write *o, struct err *e) {
    struct writer *w = calloc(1, sizeof *w);
    if (!w) return err_set(e, ERR_NOMEM, "no memory to write '%s'", o->path);
    *w = (struct writer){.mf = mf, .l = l, .o = o, .fd = -1};
    w->hashes = calloc(l->n_hash, sizeof *w->hashes);
    int rc = w->hashes ? make_room(w, e) : err_set(e, ERR_NOMEM, "no memory for the table of '%s'", o->path);
    if (!rc) rc = sidecar_sample(mf, l, &w->head.sample_hash, e);
    if (!rc) rc = open_file(w, e);
    o->kept_bytes = w->next ? record_at(l, w->next) - sidecar_first_record(l) : 0;
    if (!rc) rc = readers_open(&(struct readers_options){.direct = true}, &w->readers, e);
    if (!rc) rc = write_records(w, e);
    readers_close(w->readers); /* before what they write to is freed */
    if (w->fd >= 0) close(w->fd);
    for (uint32_t i = 0; i < w->n_slot; i++) free(w->slot[i].bytes);
    free(w->record);
    free(w->hashes);
    free(w);
    return rc;
}
