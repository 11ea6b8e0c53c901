/* hy tokenize: the bytes of standard input to token ids, or back. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#include "models/tokenizer/detok.h"
#include "sched/model_file.h"
#include "tools/box.h"
#include "tools/cli.h"

static bool separates(char c) { return c == ',' || isspace((unsigned char)c); }

/* The next id of the text, checked. *p moves behind it. */
static int next_id(const char **p, uint32_t n_vocab, int32_t *id, struct err *e) {
    const char *s = *p;
    uint64_t v = 0;
    bool number = true;
    for (; *s && !separates(*s); s++) {
        number = number && *s >= '0' && *s <= '9';
        if (number && v <= UINT32_MAX) v = v * 10 + (uint64_t)(*s - '0');
    }
    int n = s - *p > 40 ? 40 : (int)(s - *p);
    if (!number)
        return err_set(e, ERR_ARG, "'%.*s' is not a token id; ids are whole numbers between spaces or commas", n, *p);
    if (v >= n_vocab)
        return err_set(e, ERR_ARG, "token id %.*s is outside the vocabulary, which ends at %" PRIu32, n, *p,
                       n_vocab - 1);
    *id = (int32_t)v;
    *p = s;
    return ERR_OK;
}

/* All ids are checked before any text is written. */
static int parse_ids(const char *text, size_t len, uint32_t n_vocab, struct tokens *out, struct err *e) {
    for (const char *p = text, *end = text + len; p < end;) {
        if (separates(*p)) {
            p++;
            continue;
        }
        if (!*p) return err_set(e, ERR_ARG, "the ids hold a zero byte; ids are whole numbers between spaces or commas");
        int32_t id = 0;
        int rc = next_id(&p, n_vocab, &id, e);
        if (rc) return rc;
        if (!tokens_push(out, id)) return err_set(e, ERR_NOMEM, "no memory for the tokens");
    }
    return ERR_OK;
}

static int decode(const struct tokenizer *t, const char *text, size_t len, bool special, struct err *e) {
    struct tokens ids = {0};
    struct detok *d = NULL;
    int rc = parse_ids(text, len, tokenizer_info(t)->n_vocab, &ids, e);
    if (!rc) rc = detok_new(t, (struct detok_options){.special = special, .at_start = true, .raw = true}, &d, e);
    int code = rc ? cli_fail(e) : EXIT_OK;
    for (size_t i = 0; i < ids.n && !code; i++) {
        struct token_bytes b = detok_push(d, ids.id[i]);
        if (!cli_write(b.p, b.len)) code = EXIT_FAILED;
    }
    detok_free(d);
    tokens_deinit(&ids);
    return code;
}

static int encode(const struct tokenizer *t, const char *text, size_t len, bool special, struct err *e) {
    struct tokens ids = {0};
    int code = tokenizer_encode(t, text, len, special, special, &ids, e) ? cli_fail(e) : EXIT_OK;
    for (size_t i = 0; i < ids.n && !code; i++) {
        char number[16];
        int n = snprintf(number, sizeof number, i ? " %" PRId32 : "%" PRId32, ids.id[i]);
        if (!cli_write(number, (size_t)n)) code = EXIT_FAILED;
    }
    if (!code && !cli_write("\n", 1)) code = EXIT_FAILED;
    tokens_deinit(&ids);
    return code;
}

static int open_tokenizer(const char *path, struct tokenizer **t, struct err *e) {
    struct model_file *m;
    int rc = model_file_open(path, &m, e);
    if (rc) return rc;
    rc = tokenizer_new(&m->gguf, t, e);
    if (rc) err_prefix(e, "'%s'", path);
    model_file_close(m);
    return rc;
}

int cmd_tokenize(int argc, char **argv) {
    bool special = false, back = false;
    const char *model = NULL;
    const struct opt opts[] = {
        {"--special", OPT_FLAG, &special, NULL,
         "add BOS and EOS where the model wants them; read and write special tokens as text", 0, 0},
        {"--decode", OPT_FLAG, &back, NULL, "the way back: ids, between spaces or commas, to text", 0, 0},
    };
    const struct command c = {
        .name = "tokenize", .usage = "[MODEL] [options] < TEXT",
        .about = "The bytes of standard input as token ids on one line, or back.",
        .opts = opts, .n_opt = sizeof opts / sizeof opts[0], .positional = &model, .n_positional = 1,
    };
    struct err e;
    struct tokenizer *t;
    char *text;
    size_t len;
    int code;
    if (!cli_parse(&c, argc, argv, NULL, &code)) return code;
    if (!model) model = BOX_MODEL;
    if (open_tokenizer(model, &t, &e)) return cli_fail(&e);
    if (tokenizer_info(t)->warning) fprintf(stderr, "hy: %s\n", tokenizer_info(t)->warning);
    code = cli_read_all(NULL, &text, &len, &e) ? cli_fail(&e) : EXIT_OK;
    if (!code) {
        code = back ? decode(t, text, len, special, &e) : encode(t, text, len, special, &e);
        free(text);
    }
    tokenizer_free(t);
    return code ? code : cli_flush() ? EXIT_OK : EXIT_FAILED;
}
