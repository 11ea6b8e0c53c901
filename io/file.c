#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_READ_BYTES ((uint64_t)1 << 30) /* one system call reads at most 2 GB */

static int open_direct(const char *path) {
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

static int open_failed(const char *path, struct err *e) {
    switch (errno) {
    case ENOENT: return err_set(e, ERR_NOT_FOUND, "there is no file '%s'", path);
    case EACCES:
    case EPERM: return err_set(e, ERR_IO, "'%s' may not be read by this user; check its permissions", path);
    default: return err_set(e, ERR_IO, "'%s' cannot be opened: %s", path, strerror(errno));
    }
}

int file_open(const char *path, struct file *f, struct err *e) {
    *f = (struct file){.fd = -1, .fd_direct = -1};
    struct stat st;
    /* O_NONBLOCK: opening a pipe must not hang before we can see that it is one. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return open_failed(path, e);
    int rc = ERR_OK;
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
    f->fd_direct = open_direct(path);
    f->size_bytes = (uint64_t)st.st_size;
    return ERR_OK;
}

void file_close(struct file *f) {
    if (f->fd >= 0) close(f->fd);
    if (f->fd_direct >= 0) close(f->fd_direct);
    free(f->path);
    *f = (struct file){.fd = -1, .fd_direct = -1};
}

/* Reads until len bytes are there; *done counts them also when it fails. Returns 0 or an errno; 0 with *done < len: end of file. */
static int read_full(int fd, uint64_t offset, unsigned char *dst, uint64_t len, uint64_t *done) {
    while (*done < len) {
        uint64_t want = len - *done < MAX_READ_BYTES ? len - *done : MAX_READ_BYTES;
        ssize_t n = pread(fd, dst + *done, want, (off_t)(offset + *done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        if (n == 0) return 0;
        *done += (uint64_t)n;
    }
    return 0;
}

/* The aligned middle of a request, directly. What it could not read is left to the caller. */
static uint64_t read_direct(const struct file *f, uint64_t offset, unsigned char *dst, uint64_t len) {
    uint64_t whole = len / IO_PAGE * IO_PAGE, done = 0;
    read_full(f->fd_direct, offset, dst, whole, &done);
    return done;
}

int file_read(const struct file *f, uint64_t offset, void *dst, uint64_t len, bool direct, struct err *e) {
    unsigned char *p = dst;
    uint64_t done = 0;
    if (direct && f->fd_direct >= 0 && offset % IO_PAGE == (uintptr_t)p % IO_PAGE) {
        uint64_t head = (IO_PAGE - offset % IO_PAGE) % IO_PAGE; /* up to the first page boundary */
        if (head < len) {
            uint64_t middle = read_direct(f, offset + head, p + head, len - head);
            if (middle) { /* what is left: the head and the tail, through the page cache */
                uint64_t n = 0;
                int err = read_full(f->fd, offset, p, head, &n);
                if (err == 0 && n == head) done = head + middle;
            }
        }
    }
    int err = read_full(f->fd, offset, p, len, &done);
    if (err) return err_set(e, ERR_IO, "reading '%s' at byte %llu failed: %s", f->path, (unsigned long long)(offset + done), strerror(err));
    if (done < len)
        return err_set(e, ERR_IO, "'%s' ended at byte %llu while it was being read; was it changed or truncated?", f->path,
                       (unsigned long long)(offset + done));
    return ERR_OK;
}
