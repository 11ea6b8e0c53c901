/* Pre-tokenizers: the table of regular expressions that cut text into words before BPE.
 *
 * Names are those that converters write into tokenizer.ggml.pre. The expressions of a row apply one after
 * another, each to every piece that the ones before have left; what lies between two matches is a piece as well.
 * No expression may backtrack more than linearly: they run over hostile text. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "models/tokenizer/impl.h"

#define MAX_REGEX 6
#define MATCH_LIMIT 100000000u /* steps of one match: about a second */
#define HEAP_LIMIT_KIB (256u << 10)

#define CONTRACTION "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define WORD "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(tail) \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" tail "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" tail
#define CJK "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+"
#define CJK_HANGUL "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"

#define RE_GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define RE_LLAMA3 CONTRACTION "|" WORD "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES
#define RE_QWEN2 CONTRACTION "|" WORD "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES
#define RE_PORO " ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c})]+"
/* Letters with case, as DeepSeek's tokenizer lists them. */
#define RE_DEEPSEEK_LETTERS                                                                                        \
    "\\s?[A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}\\x{1c4}-\\x{293}"           \
    "\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}\\x{37f}\\x{386}\\x{388}-\\x{38a}\\x{38c}" \
    "\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}"     \
    "\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}\\x{1d00}-\\x{1d2b}"              \
    "\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}"              \
    "\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}\\x{1f59}\\x{1f5b}\\x{1f5d}\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}"      \
    "\\x{1fb6}-\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}"     \
    "\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}"      \
    "\\x{2119}-\\x{211d}\\x{2124}\\x{2126}\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}"                \
    "\\x{213c}-\\x{213f}\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}"      \
    "\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}"               \
    "\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}"              \
    "\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}"        \
    "\\x{10c80}-\\x{10cb2}\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}]+"
#define RE_DEEPSEEK_V3                                                                                          \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"         \
    "| ?[\\p{P}\\p{S}]+[\\r\\n]*|" SPACES

#define ROW_FLAGS(...) .flags = {__VA_ARGS__}

static const struct pretok_row {
    const char *names; /* separated and surrounded by single spaces */
    const char *regex[MAX_REGEX];
    struct pretok_flags flags;
} rows[] = {
    {" default ", {"[\\p{P}$+<=>^~|]+", RE_GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
    {" llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 ", {RE_LLAMA3},
     ROW_FLAGS(.ignore_merges = true, .add_bos = true)},
    {" dbrx smaug-bpe ", {RE_LLAMA3}},
    {" chatglm-bpe glm4 ", {RE_LLAMA3}},
    {" qwen2 deepseek-r1-qwen stablelm2 megrez hunyuan kormo grok-2 solar-open ", {RE_QWEN2}},
    {" qwen35 ",
     {CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES}},
    {" gpt-2 phi-2 mpt olmo jais exaone4 gigachat a.x-4.0 mellum trillion granite-docling ", {RE_GPT2}},
    {" starcoder refact command-r smollm codeshell exaone minerva-7b mellum2 ", {"\\p{N}", RE_GPT2}},
    {" falcon ", {"[\\p{P}$+<=>^~|`]+", RE_GPT2, "[0-9][0-9][0-9]"}},
    {" deepseek-llm ",
     {"[\\r\\n]", RE_DEEPSEEK_LETTERS,
      "\\s?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+", "\\s+$", CJK_HANGUL,
      "\\p{N}+"}},
    {" deepseek-coder ", {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK_HANGUL, "\\p{N}"}},
    {" deepseek-v3 hunyuan-dense joyai-llm ", {"\\p{N}{1,3}", CJK, RE_DEEPSEEK_V3}},
    {" tekken ", {CASED("") "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES},
     ROW_FLAGS(.ignore_merges = true, .add_bos = true)},
    {" gpt-4o llama4 kanana2 minimax-m2 ",
     {CASED(CONTRACTION "?") "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES}},
    {" bailingmoe bailingmoe2 llada-moe ",
     {"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|" WORD
      "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}},
    {" seed-coder ", {CONTRACTION "|" WORD "|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" SPACES}},
    {" poro-chat bloom gpt3-finnish ", {RE_PORO}},
    {" viking ", {RE_PORO, "\\p{N}"}},
};

struct pretok {
    pcre2_code *regex[MAX_REGEX];
    uint32_t n_regex;
    pcre2_match_context *limits;
};

static const struct pretok_row *find_row(const char *name, size_t len) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows && len && !memchr(name, ' ', len); i++)
        for (const char *p = rows[i].names; (p = memmem(p, strlen(p), name, len)); p++)
            if (p[-1] == ' ' && p[len] == ' ') return &rows[i];
    return NULL;
}

static int compile_row(struct pretok *p, const struct pretok_row *row, struct err *e) {
    p->limits = pcre2_match_context_create(NULL);
    if (!p->limits) return err_set(e, ERR_NOMEM, "no memory for the pre-tokenizer");
    pcre2_set_match_limit(p->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(p->limits, HEAP_LIMIT_KIB);
    for (; p->n_regex < MAX_REGEX && row->regex[p->n_regex]; p->n_regex++) {
        int code;
        PCRE2_SIZE at;
        pcre2_code *re = pcre2_compile((PCRE2_SPTR)row->regex[p->n_regex], PCRE2_ZERO_TERMINATED,
                                       PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &code, &at, NULL);
        if (!re)
            return err_set(e, ERR_UNSUPPORTED, "PCRE2 refuses regular expression %u of pre-tokenizer%s(error %d at %zu)",
                           p->n_regex, row->names, code, (size_t)at);
        pcre2_jit_compile(re, PCRE2_JIT_COMPLETE); /* without a JIT the interpreter does the same, slower */
        p->regex[p->n_regex] = re;
    }
    return ERR_OK;
}

int pretok_new(const char *name, size_t len, struct pretok **out, struct pretok_flags *flags, struct err *e) {
    *out = NULL;
    const struct pretok_row *row = find_row(name, len);
    if (!row)
        return err_set(e, ERR_UNSUPPORTED, "pre-tokenizer '%.*s' (tokenizer.ggml.pre) is unknown, and guessing would cut "
                       "text wrongly", len > 64 ? 64 : (int)len, name);
    struct pretok *p = calloc(1, sizeof *p);
    if (!p) return err_set(e, ERR_NOMEM, "no memory for the pre-tokenizer");
    int rc = compile_row(p, row, e);
    if (rc) {
        pretok_free(p);
        return rc;
    }
    *flags = row->flags;
    *out = p;
    return ERR_OK;
}

void pretok_free(struct pretok *p) {
    if (!p) return;
    for (uint32_t i = 0; i < p->n_regex; i++) pcre2_code_free(p->regex[i]);
    pcre2_match_context_free(p->limits);
    free(p);
}

void pretok_scratch_free(struct scratch *sc) { pcre2_match_data_free(sc->match); }

static bool add_piece(struct scratch *sc, int w, size_t len, bool raw) {
    if (!len) return true;
    if (!SCRATCH_GROW(sc->piece[w], sc->piece_cap[w], sc->n_piece[w] + 1)) return false;
    sc->piece[w][sc->n_piece[w]++] = (struct piece){(uint32_t)len & 0x7fffffffu, raw};
    return true;
}

/* Runs of valid and of invalid UTF-8. */
static bool split_valid(const char *text, size_t len, struct scratch *sc) {
    sc->n_piece[0] = 0;
    size_t start = 0, at = 0;
    bool raw = false;
    while (at < len) {
        uint32_t n = bytes_utf8(text + at, len - at);
        if (raw != !n) {
            if (!add_piece(sc, 0, at - start, raw)) return false;
            start = at;
            raw = !n;
        }
        at += n ? n : 1;
    }
    return add_piece(sc, 0, at - start, raw);
}

static int match_at(const struct pretok *p, uint32_t re, const char *text, size_t len, size_t at, struct scratch *sc) {
    uint32_t flags = PCRE2_NO_UTF_CHECK;
    int rc = pcre2_match(p->regex[re], (PCRE2_SPTR)text, len, at, flags, sc->match, p->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(p->regex[re], (PCRE2_SPTR)text, len, at, flags | PCRE2_NO_JIT, sc->match, p->limits);
    return rc;
}

/* Cuts one piece of valid text with one expression. */
static int split_piece(const struct pretok *p, uint32_t re, const char *text, size_t len, struct scratch *sc, int to,
                       struct err *e) {
    size_t at = 0;
    bool ok = true;
    while (at < len && ok) {
        int rc = match_at(p, re, text, len, at, sc);
        if (rc == PCRE2_ERROR_NOMATCH) break;
        if (rc < 0)
            return err_set(e, ERR_LIMIT, "cutting the text into words takes too much (PCRE2 error %d, expression %u); "
                           "put spaces or line ends into it", rc, re);
        PCRE2_SIZE *span = pcre2_get_ovector_pointer(sc->match);
        if (span[1] <= at) break;
        ok = add_piece(sc, to, span[0] - at, false) && add_piece(sc, to, span[1] - span[0], false);
        at = span[1];
    }
    if (!ok || !add_piece(sc, to, len - at, false)) return err_set(e, ERR_NOMEM, "no memory to encode %zu bytes", len);
    return ERR_OK;
}

int pretok_split(const struct pretok *p, const char *text, size_t len, struct scratch *sc, int *which, struct err *e) {
    if (!sc->match) sc->match = pcre2_match_data_create(1, NULL);
    if (!sc->match || !split_valid(text, len, sc)) return err_set(e, ERR_NOMEM, "no memory to encode %zu bytes", len);
    int from = 0;
    for (uint32_t re = 0; re < p->n_regex; re++, from = !from) {
        size_t at = 0;
        sc->n_piece[!from] = 0;
        for (size_t i = 0; i < sc->n_piece[from]; i++) {
            struct piece pc = sc->piece[from][i];
            int rc = ERR_OK;
            if (!pc.raw)
                rc = split_piece(p, re, text + at, pc.len, sc, !from, e);
            else if (!add_piece(sc, !from, pc.len, true))
                rc = err_set(e, ERR_NOMEM, "no memory to encode %zu bytes", len);
            if (rc) return rc;
            at += pc.len;
        }
    }
    *which = from;
    return ERR_OK;
}
