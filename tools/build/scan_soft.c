/* C++ that clang compiles with runtime/soft/msl.h, and the tables of its kernels. */
#include "tools/build/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool keyword_before(int i) { return is(i, "return") || is(i, "case") || is(i, "else") || is(i, "do"); }

/* Is the type at i called, as in float4(a, b)? */
static bool constructs(int i) {
    if (!is(i + 1, "(")) return false;
    if (is(i + 2, "*") || is(i + 2, "&")) /* T (*f)(...) */
        if (is_name(i + 3) && is(i + 4, ")") && is(i + 5, "(")) return false;
    if (is_name(i - 1)) return keyword_before(i - 1);
    if (is(i - 1, "::") && is(i - 2, "metal")) return true;
    return !is(i - 1, ".") && !is(i - 1, "->") && !is(i - 1, "::") && !is(i - 1, "~") && !is(i - 1, ">");
}

/* Is "(" at i with the type behind it a cast? */
static bool casts(int i) {
    if (!is_type(i + 1) || !is(i + 2, ")") || tok[i]->now || tok[i + 1]->now) return false;
    if ((is_name(i - 1) && !keyword_before(i - 1)) || is(i - 1, ")") || is(i - 1, "]") || is(i - 1, ">")) return false;
    int next = i + 3;
    if (next >= n_tok) return false;
    return tok[next]->kind == NAME || tok[next]->kind == NUMBER || is(next, "(") || is(next, "-") || is(next, "+") || is(next, "*") ||
           is(next, "&") || is(next, "~") || is(next, "!") || is(next, "::");
}

static void replace(int i, const char *before, const char *after) {
    struct text t = {0};
    addf(&t, "%s%s%s", before, word(i), after);
    tok[i]->now = t.p;
}

static void rewrite_expressions(void) {
    for (int i = 0; i < n_tok; i++) {
        if (tok[i]->now) continue;
        if (is_type(i) && constructs(i)) {
            replace(i, "soft::make<", ">");
            if (is(i - 1, "::")) blank(i - 2, i - 1);
        } else if (is(i, "vec") && is(i + 1, "<") && is(angle_end(i + 1) + 1, "(") && !is_name(i - 1)) {
            tok[i]->now = "soft::make<vec";
            tok[angle_end(i + 1)]->now = ">>";
        } else if (is(i, "static_cast") && is(i + 1, "<") && is_type(i + 2) && is(i + 3, ">")) {
            tok[i]->now = "soft::make";
        } else if (is(i, "(") && casts(i)) {
            tok[i]->now = "soft::caster<";
            tok[i + 2]->now = ">()->*";
        }
    }
}

/* 0.5 is a float, 0.5h a half. */
static void rewrite_numbers(void) {
    for (int i = 0; i < n_tok; i++) {
        if (tok[i]->kind != NUMBER || (tok[i]->p[0] == '0' && (tok[i]->p[1] == 'x' || tok[i]->p[1] == 'X'))) continue;
        char *s = word(i);
        size_t n = strlen(s), digits = strspn(s, "0123456789.eE+-");
        bool is_float = strpbrk(s, ".eE") != NULL;
        struct text t = {0};
        if (!strcmp(s + digits, "h") || !strcmp(s + digits, "H")) addf(&t, "((half)%.*s%sf)", (int)digits, s, is_float ? "" : ".0");
        else if (!strcmp(s + digits, "bf") || !strcmp(s + digits, "BF")) addf(&t, "((bfloat)%.*s%sf)", (int)digits, s, is_float ? "" : ".0");
        else if (is_float && digits == n) addf(&t, "%sf", s);
        else continue;
        tok[i]->now = t.p;
    }
}

static void write_kernels(struct text *out, const char *stem) {
    for (int i = 0; i < n_instance; i++) {
        const struct instance *k = &instances[i];
        addf(out, "typedef soft::params<decltype(&%s)> soft_params_%d;\n", k->function, i);
        addf(out, "static_assert(soft_params_%d::n == %d, \"%s: arguments and attributes differ in number\");\n", i, k->of->n_binding, k->host_name);
        addf(out, "static void soft_entry_%d(const soft_lane *l) {\n    %s(", i, k->function);
        for (int j = 0; j < k->of->n_binding; j++) {
            const struct binding *b = &k->of->binding[j];
            const char *fn = !strcmp(b->attribute, "threadgroup") ? "threadgroup_argument" : b->attribute;
            addf(out, "%ssoft::%s<soft_params_%d::at<%d>>(l%s%s)", j ? ", " : "", fn, i, j, b->index[0] ? ", " : "", b->index);
        }
        addf(out, ");\n}\nstatic const soft_slot soft_slots_%d[] = {\n", i);
        int n = 0;
        for (int j = 0; j < k->of->n_binding; j++) {
            const struct binding *b = &k->of->binding[j];
            if (b->index[0]) addf(out, "    soft::slot<soft_params_%d::at<%d>>(%s, \"%s\"),\n", i, j, b->index, b->name), n++;
        }
        addf(out, "    {}};\n#define SOFT_N_SLOT_%d %d\n", i, n);
        addf(out, "static uint32_t soft_bytes_%d() { return soft::declared<decltype(&%s), &%s>::get(); }\n", i, k->function, k->function);
    }
    addf(out, "} // namespace\nextern \"C\" const soft_file soft_file_%s;\nextern \"C\" const soft_kernel soft_kernels_%s[] = {\n", stem, stem);
    for (int i = 0; i < n_instance; i++) {
        const struct instance *k = &instances[i];
        addf(out, "    {\"%s\", \"%s\", &soft_file_%s, %u, %s, soft_kernels_of_%s::soft_slots_%d, SOFT_N_SLOT_%d,\n", k->host_name, k->function, stem,
             k->line, k->of->max_threads ? k->of->max_threads : "SOFT_MAX_THREADS", stem, i, i);
        addf(out, "     soft_kernels_of_%s::soft_entry_%d, soft_kernels_of_%s::soft_bytes_%d},\n", stem, i, stem, i);
    }
    addf(out, "    {}};\n");
}

static void write_cpp(struct text *out, const char *stem) {
    addf(out, "#include \"runtime/soft/msl.h\"\nnamespace soft_kernels_of_%s {\n", stem);
    for (int i = 0; i < n_all; i++) {
        const struct token *t = &all[i];
        if (t->now) add(out, t->now, strlen(t->now));
        else add(out, t->p, t->n);
    }
    addf(out, "\n#line 1 \"tables of %s\"\n", stem);
    write_kernels(out, stem);
}

struct data_type {
    const char *name, *c;
    int metal;
};

static const struct data_type *data_type(const struct constant *c) {
    static const struct data_type known[] = {{"float", "float", 3}, {"half", "uint16_t", 16}, {"int", "int32_t", 29},
        {"uint", "uint32_t", 33}, {"short", "int16_t", 37}, {"ushort", "uint16_t", 41}, {"char", "int8_t", 45}, {"uchar", "uint8_t", 49},
        {"int32_t", "int32_t", 29}, {"uint32_t", "uint32_t", 33}, {"bool", "_Bool", 53}};
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, c->type)) return &known[i];
    fprintf(stderr, "scan_kernels: function constant %s: type %s is not supported\n", c->name, c->type);
    exit(1);
}

static void write_table(struct text *out, const char *path, const char *stem, size_t text_bytes) {
    addf(out, "#include <stdint.h>\n#include <string.h>\n\n#include \"runtime/soft/exec.h\"\n\n");
    for (int i = 0; i < n_constant; i++) {
        const struct constant *c = &constants[i];
        const char *t = data_type(c)->c;
        addf(out, "__thread %s soft_fc_%s_%s __attribute__((tls_model(\"initial-exec\")));\n", t, stem, c->name);
        addf(out, "__thread _Bool soft_fd_%s_%s __attribute__((tls_model(\"initial-exec\")));\n", stem, c->name);
        addf(out, "static void set_%s(const void *value) {\n", c->name);
        addf(out, "    soft_fd_%s_%s = value != NULL;\n", stem, c->name);
        addf(out, "    if (value) memcpy(&soft_fc_%s_%s, value, sizeof soft_fc_%s_%s);\n", stem, c->name, stem, c->name);
        addf(out, "    else memset(&soft_fc_%s_%s, %s, sizeof soft_fc_%s_%s);\n}\n", stem, c->name, !strcmp(t, "_Bool") ? "1" : "0x7f", stem, c->name);
    }
    addf(out, "static const struct soft_const consts[] = {\n");
    for (int i = 0; i < n_constant; i++)
        addf(out, "    {\"%s\", %s, %d, sizeof(%s), set_%s},\n", constants[i].name, constants[i].index, data_type(&constants[i])->metal,
             data_type(&constants[i])->c, constants[i].name);
    addf(out, "    {0}};\nextern const char kernel_text_%s[];\nextern const struct soft_kernel soft_kernels_%s[];\n", stem, stem);
    addf(out, "extern const struct soft_file soft_file_%s;\n", stem);
    addf(out, "const struct soft_file soft_file_%s = {\"%s\", kernel_text_%s, %zu, soft_kernels_%s, %d, consts, %d};\n", stem, path, stem,
         text_bytes, stem, n_instance, n_constant);
}

int command_soft(char **v) {
    const char *path = v[0], *stem = stem_of(path);
    struct text source = read_file(v[2]), cpp = {0}, table = {0};
    scan(v[1], stem);
    for (int i = 0; i < n_tok; i++) /* attributes nobody asked about */
        if (!tok[i]->now && attribute_end(i) > 0) blank(i, attribute_end(i));
    rewrite_expressions();
    rewrite_numbers();
    write_cpp(&cpp, stem);
    write_table(&table, path, stem, source.n);
    write_file(v[3], &cpp);
    write_file(v[4], &table);
    return 0;
}
