#include "tools/output.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "sched/sidecar.h"

static bool is_at(const struct stat *st, const char *path) {
    struct stat there;
    return path && stat(path, &there) == 0 && there.st_dev == st->st_dev && there.st_ino == st->st_ino;
}

/* One of the model's files, by whatever name. */
static int find_part(const struct stat *st, const char *model, bool *found, struct err *e) {
    struct model_file *mf;
    int rc = model_file_open(model, &mf, e);
    if (rc) return rc;
    for (const struct file *f = mf->files; f < mf->files + mf->n_file; f++)
        *found |= !f->embedded && f->device == (uint64_t)st->st_dev && f->inode == (uint64_t)st->st_ino;
    model_file_close(mf);
    return ERR_OK;
}

/* What of all that is read this is; NULL: none of it. */
static int find_input(const struct stat *st, const struct output_inputs *in, const char **what, struct err *e) {
    char beside[PATH_MAX];
    bool part = false;
    int rc = in->model ? find_part(st, in->model, &part, e) : ERR_OK;
    *what = NULL;
    if (is_at(st, in->text)) *what = "the text that is read";
    if (is_at(st, in->sidecar)) *what = "the model's sidecar";
    if (in->model && !sidecar_path(in->model, beside, sizeof beside, NULL) && is_at(st, beside)) *what = "the model's sidecar";
    if (part) *what = "a file of the model";
    return rc;
}

int output_check(const char *path, const struct output_inputs *in, struct err *e) {
    struct stat st;
    const char *what;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) return ERR_OK;
    int rc = find_input(&st, in, &what, e);
    if (rc || !what) return rc;
    return err_set(e, ERR_ARG, "'%s' is %s and is not written over; name another file", path, what);
}

int output_open(struct output *o, const struct output_inputs *in, struct err *e) {
    if (!o->path) return ERR_OK;
    int rc = output_check(o->path, in, e);
    if (rc) return rc;
    o->f = fopen(o->path, "wb");
    return o->f ? ERR_OK : err_set(e, ERR_IO, "'%s' cannot be written: %s", o->path, strerror(errno));
}

int output_close(struct output *o, struct err *e) {
    if (!o->f) return ERR_OK;
    bool bad = ferror(o->f);
    bad = fclose(o->f) || bad;
    o->f = NULL;
    return bad ? err_set(e, ERR_IO, "'%s' cannot be written (is the disk full?)", o->path) : ERR_OK;
}
