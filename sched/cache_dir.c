#include "sched/cache_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __APPLE__
#define HOME_CACHES "Library/Caches"
#else
#define HOME_CACHES ".cache"
#endif

static const char *variable(const char *name) {
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

/* The folder without a trailing slash; ERR_NOT_FOUND when no variable says where it could be. */
static int find_dir(char out[PATH_MAX], struct err *e) {
    const char *own = variable("HY_CACHE_DIR"), *xdg = variable("XDG_CACHE_HOME"), *home = variable("HOME");
    int n = -1;
    if (own) n = snprintf(out, PATH_MAX, "%s", own);
    else if (xdg && *xdg == '/') n = snprintf(out, PATH_MAX, "%s/hy", xdg);
    else if (home && *home == '/') n = snprintf(out, PATH_MAX, "%s/" HOME_CACHES "/hy", home);
    if (n >= 0 && n < PATH_MAX) return ERR_OK;
    return err_set(e, ERR_NOT_FOUND, "there is no cache folder; set HOME or HY_CACHE_DIR to have one");
}

int cache_path(const char *name, char *out, size_t cap, struct err *e) {
    char dir[PATH_MAX];
    int rc = find_dir(dir, e), n = rc ? 0 : snprintf(out, cap, "%s/%s", dir, name);
    if (!rc && (n < 0 || (size_t)n >= cap)) rc = err_set(e, ERR_NOT_FOUND, "the path of the cache folder is too long: %s", dir);
    return rc;
}

int cache_read(const char *name, size_t most, char **bytes, size_t *n, struct err *e) {
    char path[PATH_MAX];
    int rc = cache_path(name, path, sizeof path, e);
    if (rc) return rc;
    FILE *f = fopen(path, "rb");
    if (!f) return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "'%s' cannot be opened: %s", path, strerror(errno));
    char *p = malloc(most + 2);
    size_t got = p ? fread(p, 1, most + 1, f) : 0;
    if (!p) rc = err_set(e, ERR_NOMEM, "no memory to read '%s'", path);
    else if (ferror(f)) rc = err_set(e, ERR_IO, "'%s' cannot be read: %s", path, strerror(errno));
    else if (got > most) rc = err_set(e, ERR_LIMIT, "'%s' is larger than a cache file of hy (%zu bytes); remove it", path, most);
    fclose(f);
    if (rc) {
        free(p);
        return rc;
    }
    p[got] = 0;
    *bytes = p;
    *n = got;
    return ERR_OK;
}

/* Makes the folder of a file and those above it. */
static void make_dirs(const char *path) {
    char part[PATH_MAX];
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(part, 0700);
        *slash = '/';
    }
}

static int write_all(int fd, const unsigned char *p, size_t n) {
    while (n) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return errno;
        p += k;
        n -= (size_t)k;
    }
    return 0;
}

int cache_write(const char *name, const void *bytes, size_t n, struct err *e) {
    char path[PATH_MAX], temp[PATH_MAX];
    int rc = cache_path(name, path, sizeof path - 8, e);
    if (rc) return rc;
    make_dirs(path);
    snprintf(temp, sizeof temp, "%.*s.XXXXXX", PATH_MAX - 8, path);
    int fd = mkstemp(temp), failed = fd < 0 ? errno : write_all(fd, bytes, n);
    if (fd >= 0 && close(fd) != 0 && !failed) failed = errno;
    if (!failed && rename(temp, path) != 0) failed = errno;
    if (!failed) return ERR_OK;
    if (fd >= 0) unlink(temp);
    return err_set(e, ERR_IO, "'%s' cannot be written: %s", path, strerror(failed));
}
