#include "tools/model_find.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "sched/profile.h"

#define MAX_ENTRIES 50000 /* of all folders together: a look that takes a moment, whatever lies there */

struct place {
    const char *path;
    bool in_home, any_name; /* Ollama's files are named after their digest */
    int depth;
};
static const struct place places[] = {
    {".", false, false, 0},          {"models", false, false, 3},         {"models", true, false, 3},
    {".cache/huggingface", true, false, 8}, {".cache/llama.cpp", true, false, 2}, {"Library/Caches/llama.cpp", true, false, 2},
    {".ollama/models", true, true, 2},      {".lmstudio", true, false, 6},        {".cache/lm-studio", true, false, 6},
};

struct search {
    struct model_find *out;
    uint64_t size_bytes; /* of the best so far */
    int64_t now;
    int n_entry;
    bool any_name;
};

static bool is_gguf(const char *name) {
    size_t n = strlen(name);
    return n > 5 && strcmp(name + n - 5, ".gguf") == 0;
}

static void take_file(struct search *s, const char *path) {
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size < PROFILE_MIN_BYTES) return;
    int64_t changed = st.st_mtime > st.st_ctime ? st.st_mtime : st.st_ctime;
    if (s->now - changed < PROFILE_MIN_AGE_S) {
        s->out->only_new = true;
    } else if ((uint64_t)st.st_size > s->size_bytes) {
        s->size_bytes = (uint64_t)st.st_size;
        snprintf(s->out->path, sizeof s->out->path, "%s", path);
    }
}

/* Links to files are followed, links to folders are not. */
static void search_dir(struct search *s, const char *dir, int depth) {
    DIR *d = opendir(dir);
    if (!d) return;
    for (struct dirent *entry; s->n_entry < MAX_ENTRIES && (entry = readdir(d)); s->n_entry++) {
        char path[PATH_MAX];
        struct stat st;
        int n = snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || n < 0 || (size_t)n >= sizeof path) continue;
        if (s->any_name || is_gguf(entry->d_name)) take_file(s, path);
        if (depth > 0 && lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) search_dir(s, path, depth - 1);
    }
    closedir(d);
}

void model_find(struct model_find *out) {
    struct search s = {.out = out, .now = (int64_t)time(NULL)};
    const char *home = getenv("HOME");
    *out = (struct model_find){0};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char path[PATH_MAX];
        if (places[i].in_home && (!home || !*home)) continue;
        int n = snprintf(path, sizeof path, "%s%s%s", places[i].in_home ? home : "", places[i].in_home ? "/" : "", places[i].path);
        s.any_name = places[i].any_name;
        if (n > 0 && (size_t)n < sizeof path) search_dir(&s, path, places[i].depth);
    }
    out->only_new = out->only_new && !*out->path;
}
