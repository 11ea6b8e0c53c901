#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/fault.h"

#define MAX_READ_BYTES ((uint64_t)1 << 30) /* one system call reads at most 2 GB */

static int64_t mtime_ns(const struct stat *st) {
#ifdef __APPLE__
    const struct timespec *t = &st->st_mtimespec;
#else
    const struct timespec *t = &st->st_mtim;
#endif
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static int open_nocache(const char *path) {
#ifdef __APPLE__
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && (fcntl(fd, F_NOCACHE, 1) != 0 || fcntl(fd, F_RDAHEAD, 0) != 0)) {
        close(fd);
        return -1;
    }
    return fd;
#else
    return open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
#endif
}

/* The same file once more, for direct reads; -1 where a first read shows that there are none, or where the path leads
 * to another file by now. */
static int open_direct(const struct file *f) {
    alignas(IO_PAGE) unsigned char page[IO_PAGE];
    struct stat st;
    int fd = file_fault_no_direct() ? -1 : open_nocache(f->path);
    if (fd < 0) return -1;
    if (fstat(fd, &st) == 0 && (uint64_t)st.st_dev == f->device && (uint64_t)st.st_ino == f->inode && pread(fd, page, IO_PAGE, 0) > 0)
        return fd;
    close(fd);
    return -1;
}

static int open_failed(const char *path, struct err *e) {
    switch (errno) {
    case ENOENT: return err_set(e, ERR_NOT_FOUND, "there is no file '%s'", path);
    case EACCES:
    case EPERM: return err_set(e, ERR_IO, "'%s' may not be read by this user; check its permissions", path);
    default: return err_set(e, ERR_IO, "'%s' cannot be opened: %s", path, strerror(errno));
    }
}

static struct {
    const char *name;
    const unsigned char *bytes;
    uint64_t n_bytes;
} embedded;

void file_embed(const char *name, const void *bytes, uint64_t n_bytes) {
    embedded.name = name;
    embedded.bytes = bytes;
    embedded.n_bytes = n_bytes;
}

static int open_embedded(struct file *f, struct err *e) {
    f->path = strdup(embedded.name);
    if (!f->path) return err_set(e, ERR_NOMEM, "no memory to open '%s'", embedded.name);
    f->embedded = embedded.bytes;
    f->size_bytes = embedded.n_bytes;
    return ERR_OK;
}

int file_open(const char *path, struct file *f, struct err *e) {
    *f = (struct file){.fd = -1, .fd_direct = -1};
    if (embedded.name && strcmp(path, embedded.name) == 0) return open_embedded(f, e);
    struct stat st;
    int rc = file_fault_from_env(e);
    if (rc) return rc;
    /* O_NONBLOCK: opening a pipe must not hang before we can see that it is one. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return open_failed(path, e);
    if (fstat(fd, &st) != 0) rc = err_set(e, ERR_IO, "'%s' cannot be examined: %s", path, strerror(errno));
    else if (S_ISDIR(st.st_mode)) rc = err_set(e, ERR_FORMAT, "'%s' is a directory; give the path of a GGUF file", path);
    else if (!S_ISREG(st.st_mode)) rc = err_set(e, ERR_FORMAT, "'%s' is not a regular file", path);
    else if (st.st_size == 0) rc = err_set(e, ERR_FORMAT, "'%s' is empty; a download may have failed", path);
    else if (!(f->path = strdup(path))) rc = err_set(e, ERR_NOMEM, "no memory to open '%s'", path);
    if (rc) {
        close(fd);
        return rc;
    }
    f->fd = fd;
    f->size_bytes = (uint64_t)st.st_size;
    f->mtime_ns = mtime_ns(&st);
    f->device = (uint64_t)st.st_dev;
    f->inode = (uint64_t)st.st_ino;
    f->fd_direct = open_direct(f);
    return ERR_OK;
}

void file_close(struct file *f) {
    if (f->fd >= 0) close(f->fd);
    if (f->fd_direct >= 0) close(f->fd_direct);
    free(f->path);
    *f = (struct file){.fd = -1, .fd_direct = -1};
}

int file_check_unchanged(const struct file *f, struct err *e) {
    struct stat st;
    if (f->embedded) return ERR_OK;
    if (fstat(f->fd, &st) != 0) return err_set(e, ERR_IO, "'%s' cannot be examined any more: %s", f->path, strerror(errno));
    if ((uint64_t)st.st_size != f->size_bytes)
        return err_set(e, ERR_IO, "'%s' had %llu bytes when it was opened and has %llu now; start again when it is whole", f->path,
                       (unsigned long long)f->size_bytes, (unsigned long long)st.st_size);
    if (mtime_ns(&st) != f->mtime_ns || (uint64_t)st.st_ino != f->inode)
        return err_set(e, ERR_IO, "'%s' was written to while it was in use; start again when it stays as it is", f->path);
    return ERR_OK;
}

/* pread, but for signals and faults. */
static ssize_t read_some(int fd, void *dst, uint64_t len, uint64_t offset) {
    size_t want = len < MAX_READ_BYTES ? len : MAX_READ_BYTES;
    ssize_t n;
    do {
        if (__builtin_expect(atomic_load_explicit(&file_fault_on, memory_order_relaxed), 0))
            n = file_fault_pread(fd, dst, want, (off_t)offset);
        else n = pread(fd, dst, want, (off_t)offset);
    } while (n < 0 && errno == EINTR);
    return n;
}

/* Reads until len bytes are there; *done counts them also when it fails. Returns 0 or an errno; 0 with *done < len: end of file. */
static int read_cached(const struct file *f, uint64_t offset, unsigned char *dst, uint64_t len, uint64_t *done) {
    while (*done < len) {
        ssize_t n = read_some(f->fd, dst + *done, len - *done, offset + *done);
        if (n < 0) return errno;
        if (n == 0) return 0;
        *done += (uint64_t)n;
    }
    return 0;
}

/* Whole pages, directly, until the first need bytes are there: the last page may lie across the end of the file. A read
 * that stops inside a page leaves the rest to the page cache; so does a file system that does not want it. */
static int read_direct(const struct file *f, uint64_t offset, unsigned char *dst, uint64_t need, uint64_t *done) {
    uint64_t whole = (need + IO_PAGE - 1) / IO_PAGE * IO_PAGE;
    while (*done < need) {
        ssize_t n = read_some(f->fd_direct, dst + *done, whole - *done, offset + *done);
        if (n < 0) return errno == EINVAL || errno == ENOTSUP ? 0 : errno;
        *done += (uint64_t)n;
        if (n == 0 || n % IO_PAGE) return 0;
    }
    return 0;
}

static int read_failed(const struct file *f, uint64_t at, int err, struct err *e) {
    bool changed = file_check_unchanged(f, NULL) != ERR_OK;
    if (err)
        return err_set(e, ERR_IO, "reading '%s' at byte %llu failed: %s%s", f->path, (unsigned long long)at, strerror(err),
                       changed ? "; it was changed while it was in use" : "");
    return err_set(e, ERR_IO, "'%s' ended at byte %llu while it was being read; %s", f->path, (unsigned long long)at,
                   changed ? "it was changed or truncated while it was in use" : "is it whole?");
}

static bool can_be_direct(const struct file *f, uint64_t offset, const void *dst) {
    return f->fd_direct >= 0 && offset % IO_PAGE == (uintptr_t)dst % IO_PAGE;
}

static int read_embedded(const struct file *f, uint64_t offset, void *dst, uint64_t len, struct err *e) {
    if (offset > f->size_bytes || len > f->size_bytes - offset) return read_failed(f, f->size_bytes, 0, e);
    memcpy(dst, f->embedded + offset, len);
    return ERR_OK;
}

int file_read_pages(const struct file *f, uint64_t offset, void *dst, uint64_t len, bool direct, struct err *e) {
    if (f->embedded) return read_embedded(f, offset, dst, len, e);
    unsigned char *p = dst;
    uint64_t done = 0;
    int err = 0;
    if (len && direct && can_be_direct(f, offset, dst)) {
        uint64_t head = offset % IO_PAGE, got = 0;
        err = read_direct(f, offset - head, p - head, head + len, &got);
        if (got > head) done = got - head;
    }
    if (!err && done < len) err = read_cached(f, offset, p, len, &done);
    return err || done < len ? read_failed(f, offset + done, err, e) : ERR_OK;
}

/* Bytes within one page, by way of a page of our own. */
static int read_end(const struct file *f, uint64_t offset, unsigned char *dst, uint64_t len, struct err *e) {
    alignas(IO_PAGE) unsigned char page[IO_PAGE];
    if (len == 0) return ERR_OK;
    int rc = file_read_pages(f, offset, page + offset % IO_PAGE, len, true, e);
    if (!rc) memcpy(dst, page + offset % IO_PAGE, len);
    return rc;
}

int file_read(const struct file *f, uint64_t offset, void *dst, uint64_t len, bool direct, struct err *e) {
    unsigned char *p = dst;
    if (!direct || !can_be_direct(f, offset, dst)) return file_read_pages(f, offset, dst, len, false, e);
    uint64_t head = (IO_PAGE - offset % IO_PAGE) % IO_PAGE; /* up to the first page boundary */
    if (head > len) head = len;
    uint64_t tail = (len - head) % IO_PAGE;
    int rc = read_end(f, offset, p, head, e);
    if (!rc) rc = file_read_pages(f, offset + head, p + head, len - head - tail, true, e);
    return rc ? rc : read_end(f, offset + len - tail, p + len - tail, tail, e);
}
