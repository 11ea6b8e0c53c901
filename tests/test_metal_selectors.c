/* Every message that hy sends to Metal, and every one that soft Metal answers, against Apple's interfaces:
 * selector, types, ownership, version. tests/metal_selectors.tsv is the project's extract of them; where the
 * full tables are (HY_METAL_TABLES, else ../shared/metal), the extract is compared with those too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/mtl.h"
#ifdef __linux__
#include "runtime/soft/classes.h"
#include "runtime/soft/gnu_objc.h"
#endif

#define MAX_ROW 256
#define N_FIELD 8

struct row {
    char *field[N_FIELD];
    char line[512];
};
static struct row rows[MAX_ROW];
static int n_row;

struct message {
    const char *function, *class_name, *selector, *types; /* result, then arguments, each behind a semicolon */
    char kind;
};

#undef MSG0
#undef MSG1
#undef MSG2
#undef MSG3
#undef MSG4
#undef MSG5
#define MSG0(R, fn, kind, cls, sel) {#fn, #cls, sel, #R, #kind[0]},
#define MSG1(R, fn, kind, cls, sel, A, a) {#fn, #cls, sel, #R ";" #A, #kind[0]},
#define MSG2(R, fn, kind, cls, sel, A, a, B, b) {#fn, #cls, sel, #R ";" #A ";" #B, #kind[0]},
#define MSG3(R, fn, kind, cls, sel, A, a, B, b, C, c) {#fn, #cls, sel, #R ";" #A ";" #B ";" #C, #kind[0]},
#define MSG4(R, fn, kind, cls, sel, A, a, B, b, C, c, D, d)                                                        \
    {#fn, #cls, sel, #R ";" #A ";" #B ";" #C ";" #D, #kind[0]},
#define MSG5(R, fn, kind, cls, sel, A, a, B, b, C, c, D, d, E, e)                                                  \
    {#fn, #cls, sel, #R ";" #A ";" #B ";" #C ";" #D ";" #E, #kind[0]},
static const struct message messages[] = {
#include "runtime/mtl_capture.def"
#include "runtime/mtl_messages.def"
#include "runtime/oc_messages.def"
};
#define N_MESSAGE (sizeof messages / sizeof *messages)

static const struct {
    const char *name;
    long value;
} constants[] = {
#define MTL_ENUM(name, value) {#name, name},
#include "runtime/mtl_enums.def"
    {"NSUTF8StringEncoding", NS_UTF8},
};

static int split(char *line, char **field, int max) {
    int n = 0;
    line[strcspn(line, "\n")] = 0;
    for (char *p = line; p && n < max;) field[n++] = strsep(&p, "\t");
    return n;
}

static int load(void **state) {
    FILE *f = fopen("tests/metal_selectors.tsv", "r");
    if (!f) fail_msg("tests/metal_selectors.tsv is missing; run from the repository's root");
    for (; n_row < MAX_ROW && fgets(rows[n_row].line, sizeof rows->line, f);)
        if (rows[n_row].line[0] != '#') split(rows[n_row].line, rows[n_row].field, N_FIELD), n_row++;
    fclose(f);
    return 0;
}

static const struct row *find_method(const char *class_name, const char *selector, char kind) {
    for (int i = 0; i < n_row; i++) {
        char **f = rows[i].field;
        if (strcmp(f[0], "method") == 0 && strcmp(f[1], class_name) == 0 && strcmp(f[2], selector) == 0 &&
            f[5][0] == (kind == 'C' ? '+' : '-'))
            return &rows[i];
    }
    return NULL;
}

/* How the table spells our type: without const, which does not reach the ABI. */
static void apple_type(const char *type, size_t len, char out[64]) {
    static const char *const other[][2] = {{"bool", "BOOL"},
                                           {"void *", "void*"},
                                           {"const void *", "void*"},
                                           {"const char *", "char*"},
                                           {"id *", "id*"},
                                           {"const id *", "id*"},
                                           {"oc_block", "block"},
                                           {"MTLSize", "struct:MTLSize"},
                                           {"NSRange", "struct:NSRange"}};
    snprintf(out, 64, "%.*s", (int)len, type);
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (strcmp(out, other[i][0]) == 0) snprintf(out, 64, "%s", other[i][1]);
}

/* The next type of the table's list, without its detail but for structs; where the list goes on. */
static const char *table_type(const char *list, char out[64]) {
    size_t len = 0;
    for (int depth = 0; list[len] && (list[len] != ',' || depth); len++)
        depth += (list[len] == '(') - (list[len] == ')');
    snprintf(out, 64, "%.*s", (int)len, list);
    if (strncmp(out, "struct:", 7) != 0) out[strcspn(out, ":")] = 0;
    if (strncmp(out, "const ", 6) == 0) memmove(out, out + 6, strlen(out + 6) + 1);
    return list + len + (list[len] == ',');
}

static void check_types(const struct message *m, const struct row *r) {
    char ours[64], theirs[64];
    const char *p = m->types, *list = r->field[4];
    size_t len = strcspn(p, ";");
    apple_type(p, len, ours);
    table_type(r->field[3], theirs);
    if (strcmp(ours, theirs) != 0)
        fail_msg("%s returns %s; -[%s %s] returns %s", m->function, ours, m->class_name, m->selector, theirs);
    for (p += len; *p; p += len) {
        p++;
        len = strcspn(p, ";");
        apple_type(p, len, ours);
        list = table_type(list, theirs);
        if (strcmp(ours, theirs) != 0)
            fail_msg("%s takes %s where -[%s %s] takes %s", m->function, ours, m->class_name, m->selector, theirs);
    }
    if (*list && strcmp(list, "-") != 0)
        fail_msg("%s takes fewer arguments than -[%s %s]", m->function, m->class_name, m->selector);
}

static void test_messages(void **state) {
    for (size_t i = 0; i < N_MESSAGE; i++) {
        const struct message *m = &messages[i];
        const struct row *r = find_method(m->class_name, m->selector, m->kind);
        if (!r) fail_msg("%s: %s has no %s", m->function, m->class_name, m->selector);
        check_types(m, r);
    }
    for (int i = 0; i < n_row; i++) {
        size_t k = 0;
        if (strcmp(rows[i].field[0], "method") != 0) continue;
        while (k < N_MESSAGE &&
               find_method(messages[k].class_name, messages[k].selector, messages[k].kind) != &rows[i])
            k++;
        if (k == N_MESSAGE) fail_msg("nobody sends -[%s %s] any more", rows[i].field[1], rows[i].field[2]);
    }
}

/* A name with _new_ in it owns its result; init... passes on what alloc owned. */
static void test_ownership(void **state) {
    for (size_t i = 0; i < N_MESSAGE; i++) {
        const struct message *m = &messages[i];
        const struct row *r = find_method(m->class_name, m->selector, m->kind);
        assert_non_null(r);
        bool owned = strcmp(r->field[6], "+1") == 0,
             says = strstr(m->function, "_new_") || strncmp(m->selector, "init", 4) == 0;
        if (owned != says)
            fail_msg("%s: the caller %s what -[%s %s] returns", m->function, owned ? "owns" : "does not own",
                     m->class_name, m->selector);
    }
}

/* hy runs on macOS 14: what is newer is asked for first, or belongs to an object that only exists there. */
static void test_versions(void **state) {
    static const char *const asked[] = {
        "newResidencySetWithDescriptor:error:", "addResidencySet:", "removeResidencySet:", "setMathMode:"};
    for (int i = 0; i < n_row; i++) {
        char **f = rows[i].field;
        if (strcmp(f[0], "method") != 0 || strtod(f[7], NULL) <= 14 || strncmp(f[1], "MTLResidencySet", 15) == 0)
            continue;
        size_t k = 0;
        while (k < 4 && strcmp(asked[k], f[2]) != 0) k++;
        if (k == 4) fail_msg("-[%s %s] came with macOS %s and nothing asks whether it is there", f[1], f[2], f[7]);
    }
}

static void test_constants(void **state) {
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        int k = 0;
        while (k < n_row &&
               (strcmp(rows[k].field[0], "enum") != 0 || strcmp(rows[k].field[2], constants[i].name) != 0))
            k++;
        if (k == n_row) fail_msg("%s is not in the table", constants[i].name);
        if (strtol(rows[k].field[3], NULL, 10) != constants[i].value)
            fail_msg("%s is %s, not %ld", constants[i].name, rows[k].field[3], constants[i].value);
    }
    assert_int_equal(sizeof(MTLSize), 24);
    assert_int_equal(sizeof(NSRange), 16);
    assert_int_equal(sizeof(NSUInteger), 8);
}

#ifdef __linux__
/* Objective-C's code for a type of the table. */
static const char *type_code(const char *type) {
    static const char *const codes[][2] = {{"void", "v"},
                                           {"id", "@"},
                                           {"SEL", ":"},
                                           {"BOOL", "B"},
                                           {"NSUInteger", "L"},
                                           {"NSInteger", "l"},
                                           {"uint64_t", "Q"},
                                           {"uint8_t", "C"},
                                           {"double", "d"},
                                           {"void*", "^v"},
                                           {"char*", "*"},
                                           {"id*", "^@"},
                                           {"block", "@?"},
                                           {"struct:MTLSize", "{MTLSize=LLL}"},
                                           {"struct:NSRange", "{NSRange=LL}"}};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i][0], type) == 0) return codes[i][1];
    fail_msg("no code for %s", type);
    return "";
}

static void expected_codes(const struct row *r, char out[128]) {
    char type[64];
    table_type(r->field[3], type);
    int n = snprintf(out, 128, "%s@:", type_code(type));
    for (const char *p = r->field[4]; *p && strcmp(r->field[4], "-") != 0;) {
        p = table_type(p, type);
        n += snprintf(out + n, 128 - (size_t)n, "%s", type_code(type));
    }
}

static void without_const(const char *codes, char out[128]) {
    size_t n = 0;
    for (; *codes && n < 127; codes++)
        if (*codes != 'r') out[n++] = *codes;
    out[n] = 0;
}

static unsigned check_class(Class c, const char *name, char kind) {
    unsigned n;
    Method *list = class_copyMethodList(c, &n);
    for (unsigned i = 0; i < n; i++) {
        const char *selector = sel_getName(method_getName(list[i]));
        const struct row *r = find_method(name, selector, kind);
        if (!r) fail_msg("soft Metal's %s answers %s, which Apple's does not", name, selector);
        char want[128], got[128];
        expected_codes(r, want);
        without_const(method_getTypeEncoding(list[i]), got);
        if (strcmp(want, got) != 0)
            fail_msg("soft Metal's -[%s %s] has types %s, Apple's %s", name, selector, got, want);
    }
    free(list);
    return n;
}

/* What libobjc itself knows of the classes. */
static void test_soft_answers(void **state) {
    unsigned n = 0;
    for (int k = 0; k < SOFT_N_KIND; k++) {
        Class c = (Class)(void *)objc_getClass(soft_classes[k].name);
        n += check_class(c, soft_classes[k].name, 'I') +
             check_class(object_getClass((id)(void *)c), soft_classes[k].name, 'C');
    }
    assert_int_equal(n, soft_n_message);
}
#endif

/* Rows of the full table, compared column by column; field `first` of ours is its first. */
static void compare(const char *kind, const char *file, int first, int key, int n_column) {
    char path[512], line[2048];
    const char *dir = getenv("HY_METAL_TABLES");
    snprintf(path, sizeof path, "%s/%s", dir ? dir : "../shared/metal", file);
    FILE *f = fopen(path, "r");
    if (!f) {
        fprintf(stderr, "SKIPPED: %s is not here, so the extract is not compared with it\n", path);
        skip();
    }
    int want = 0, found = 0;
    for (int i = 0; i < n_row; i++) want += strcmp(rows[i].field[0], kind) == 0;
    while (fgets(line, sizeof line, f)) {
        char *theirs[16] = {NULL};
        int n = split(line, theirs, 16);
        for (int i = 0; i < n_row && n >= n_column; i++) {
            bool same = strcmp(rows[i].field[0], kind) == 0 && strcmp(rows[i].field[first + key], theirs[key]) == 0;
            for (int c = 0; same && c < n_column; c++) same = strcmp(rows[i].field[first + c], theirs[c]) == 0;
            found += same;
        }
    }
    fclose(f);
    assert_int_equal(found, want);
}

static void test_full_methods(void **state) { compare("method", "selectors.tsv", 1, 1, 7); }
static void test_full_enums(void **state) { compare("enum", "enums.tsv", 1, 1, 3); }
static void test_full_structs(void **state) { compare("struct", "structs.tsv", 1, 0, 3); }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),     cmocka_unit_test(test_ownership),  cmocka_unit_test(test_versions),
        cmocka_unit_test(test_constants),
#ifdef __linux__
        cmocka_unit_test(test_soft_answers),
#endif
        cmocka_unit_test(test_full_methods), cmocka_unit_test(test_full_enums), cmocka_unit_test(test_full_structs),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
