#include "tools/talk_line.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utf8proc.h>

#include "sched/cache_dir.h"
#include "tools/cli.h"
#include "tools/serve/strbuf.h"

#define HISTORY_FILE "talk_history"
#define HISTORY_LINES 1000
#define QUOTES "\"\"\""

struct talk_line {
    EditLine *el; /* NULL: lines are read as they are */
    History *history;
    bool was_empty, continued;
    bool has_ahead;
    unsigned char ahead; /* a byte that did not belong to the character before it */
    char *line;   /* of getline */
    size_t line_cap;
    struct strbuf text;
};

/* libedit needs a locale with UTF-8 to know what was typed; the rest of the program is written for "C". */
static void enter_locale(void) {
    static const char *const names[] = {"", "C.UTF-8", "UTF-8", "en_US.UTF-8"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (setlocale(LC_CTYPE, names[i]) && MB_CUR_MAX > 1) return;
}
static void leave_locale(void) { setlocale(LC_CTYPE, "C"); }

/* The whole of a file's history path where there is a folder for it. */
static bool history_path(char path[PATH_MAX]) {
    struct stat st;
    if (cache_path(HISTORY_FILE, path, PATH_MAX, NULL)) return false;
    char *slash = strrchr(path, '/');
    *slash = 0;
    bool there = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    *slash = '/';
    return there;
}

static void load_history(struct talk_line *l) {
    char path[PATH_MAX];
    HistEvent ev;
    l->history = history_init();
    if (!l->history) return;
    history(l->history, &ev, H_SETSIZE, HISTORY_LINES);
    history(l->history, &ev, H_SETUNIQUE, 1);
    if (history_path(path)) history(l->history, &ev, H_LOAD, path);
    el_set(l->el, EL_HIST, history, l->history);
}

static void save_history(struct talk_line *l) {
    char path[PATH_MAX];
    HistEvent ev;
    if (!l->history || !history_path(path)) return;
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600); /* libedit would make it with more rights first */
    if (fd < 0) return;
    fchmod(fd, 0600);
    close(fd);
    history(l->history, &ev, H_SAVE, path);
}

static uint32_t char_bytes(unsigned char first) {
    if (first < 0xc2 || first > 0xf4) return 1;
    return first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
}

static ssize_t read_byte(struct talk_line *l, unsigned char *out) {
    ssize_t k;
    if (l->has_ahead) {
        l->has_ahead = false;
        *out = l->ahead;
        return 1;
    }
    do k = read(0, out, 1);
    while (k < 0 && errno == EINTR && !cli_interrupted(NULL));
    return k;
}

/* libedit's own would start its read again after Ctrl-C. What is no UTF-8 becomes U+FFFD, as soon as the next byte tells. */
static int get_char(EditLine *el, wchar_t *out) {
    unsigned char b[4];
    utf8proc_int32_t code = 0;
    struct talk_line *l;
    el_get(el, EL_CLIENTDATA, &l);
    uint32_t n = 0;
    while (n == 0 || n < char_bytes(b[0])) {
        ssize_t k = read_byte(l, b + n);
        if (k <= 0) {
            const LineInfo *typed = el_line(el);
            l->was_empty = typed->lastchar == typed->buffer && !l->continued;
            return (int)k;
        }
        if (n && b[n] >> 6 != 2) {
            l->ahead = b[n];
            l->has_ahead = true;
            break;
        }
        n++;
    }
    *out = utf8proc_iterate(b, n, &code) == (utf8proc_ssize_t)n ? (wchar_t)code : 0xfffd;
    return 1;
}

static char *prompt(EditLine *el) {
    static char first[] = "> ", more[] = ". ";
    struct talk_line *l;
    el_get(el, EL_CLIENTDATA, &l);
    return l->continued ? more : first;
}

static int open_editor(struct talk_line *l, struct err *e) {
    enter_locale();
    l->el = el_init("hy", stdin, stdout, stderr);
    if (l->el) {
        el_set(l->el, EL_CLIENTDATA, l);
        el_set(l->el, EL_PROMPT, prompt);
        el_set(l->el, EL_GETCFN, get_char);
        el_set(l->el, EL_EDITOR, "emacs");
        load_history(l);
        el_source(l->el, NULL); /* ~/.editrc */
    }
    leave_locale();
    return l->el ? ERR_OK : err_set(e, ERR_NOMEM, "the terminal cannot be edited on; pipe the messages in");
}

int talk_line_open(struct talk_line **out, struct err *e) {
    struct talk_line *l = *out = calloc(1, sizeof *l);
    int rc = l ? ERR_OK : err_set(e, ERR_NOMEM, "no memory to read messages");
    if (!rc && isatty(0) && isatty(1)) rc = open_editor(l, e);
    if (rc) {
        free(l);
        *out = NULL;
    }
    return rc;
}

void talk_line_close(struct talk_line *l) {
    if (!l) return;
    if (l->el) {
        enter_locale();
        save_history(l);
        el_end(l->el);
        if (l->history) history_end(l->history);
        leave_locale();
    }
    free(l->line);
    strbuf_deinit(&l->text);
    free(l);
}

bool talk_line_edits(const struct talk_line *l) { return l->el; }
bool talk_line_was_empty(const struct talk_line *l) { return l->was_empty; }

/* One line. */

static enum talk_line_end edited(struct talk_line *l, const char **line, size_t *len) {
    HistEvent ev;
    int n = 0;
    enter_locale();
    el_resize(l->el);
    const char *p = el_gets(l->el, &n);
    if (p && n > 1 && l->history) history(l->history, &ev, H_ENTER, p);
    leave_locale();
    *line = p;
    *len = p && n > 0 ? (size_t)n : 0;
    if (cli_interrupted(NULL)) return TALK_LINE_INTERRUPTED;
    return p && n > 0 ? TALK_LINE_TEXT : TALK_LINE_OVER;
}

static enum talk_line_end read_plain(struct talk_line *l, const char **line, size_t *len, struct err *e) {
    errno = 0;
    ssize_t n = getline(&l->line, &l->line_cap, stdin);
    *line = l->line;
    *len = n > 0 ? (size_t)n : 0;
    if (n > 0) return TALK_LINE_TEXT;
    l->was_empty = true;
    if (cli_interrupted(NULL)) return (clearerr(stdin), TALK_LINE_INTERRUPTED);
    if (feof(stdin)) return TALK_LINE_OVER;
    err_set(e, ERR_IO, "standard input cannot be read: %s", strerror(errno));
    return TALK_LINE_FAILED;
}

/* Without what ends it. */
static enum talk_line_end read_line(struct talk_line *l, const char **line, size_t *len, struct err *e) {
    enum talk_line_end end = l->el ? edited(l, line, len) : read_plain(l, line, len, e);
    if (end != TALK_LINE_TEXT) return end;
    if (*len && (*line)[*len - 1] == '\n') --*len;
    if (*len && (*line)[*len - 1] == '\r') --*len;
    return end;
}

/* Several. */

static bool ends_with(const char *p, size_t n, const char *end) {
    size_t k = strlen(end);
    return n >= k && memcmp(p + n - k, end, k) == 0;
}

/* Up to the quotes at a line's end; what is typed behind the first ones counts. The end of the file ends them too. */
static enum talk_line_end read_quoted(struct talk_line *l, const char *line, size_t len, struct err *e) {
    enum talk_line_end end = TALK_LINE_TEXT;
    while (end == TALK_LINE_TEXT && !ends_with(line, len, QUOTES)) {
        strbuf_add(&l->text, line, len);
        if (l->text.n) strbuf_add(&l->text, "\n", 1);
        end = read_line(l, &line, &len, e);
    }
    if (end == TALK_LINE_TEXT) strbuf_add(&l->text, line, len - strlen(QUOTES));
    if (ends_with(strbuf_of(&l->text), l->text.n, "\n")) l->text.p[--l->text.n] = 0;
    return end == TALK_LINE_OVER ? TALK_LINE_TEXT : end;
}

static enum talk_line_end read_continued(struct talk_line *l, const char *line, size_t len, struct err *e) {
    enum talk_line_end end = TALK_LINE_TEXT;
    while (end == TALK_LINE_TEXT && ends_with(line, len, "\\")) {
        strbuf_add(&l->text, line, len - 1);
        strbuf_add(&l->text, "\n", 1);
        end = read_line(l, &line, &len, e);
    }
    if (end == TALK_LINE_TEXT) strbuf_add(&l->text, line, len);
    return end == TALK_LINE_OVER ? TALK_LINE_TEXT : end;
}

enum talk_line_end talk_line_read(struct talk_line *l, const char **text, size_t *len, struct err *e) {
    const char *line;
    size_t n, quotes = strlen(QUOTES);
    strbuf_clear(&l->text);
    l->continued = false;
    enum talk_line_end end = read_line(l, &line, &n, e);
    if (end != TALK_LINE_TEXT) return end;
    l->continued = true;
    bool quoted = n >= quotes && memcmp(line, QUOTES, quotes) == 0;
    end = quoted ? read_quoted(l, line + quotes, n - quotes, e) : read_continued(l, line, n, e);
    *text = strbuf_of(&l->text);
    *len = l->text.n;
    if (strbuf_ok(&l->text)) return end;
    err_set(e, ERR_NOMEM, "no memory for the message");
    return TALK_LINE_FAILED;
}
