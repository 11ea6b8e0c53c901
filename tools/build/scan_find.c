/* What the scan finds: types, function constants, kernels and their arguments. */
#include "tools/build/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct function functions[1024];
struct instance instances[8192];
struct constant constants[64];
int n_instance, n_constant;
static int n_function;
static char *types[4096]; /* names that may be vectors: vector types, template parameters, aliases */
static int n_type;

static void type_add(char *name) {
    for (int i = 0; i < n_type; i++)
        if (!strcmp(types[i], name)) return;
    if (n_type == 4096) fail(0, "too many types");
    types[n_type++] = name;
}

bool is_type(int i) {
    for (int j = 0; j < n_type && is_name(i); j++)
        if (is(i, types[j])) return true;
    return false;
}

static void find_types(void) {
    static const char *const scalars[] = {"char", "uchar", "short", "ushort", "int", "uint", "long", "ulong", "half", "bfloat", "float"};
    struct text t = {0};
    for (unsigned s = 0; s < sizeof scalars / sizeof *scalars; s++)
        for (int n = 2; n <= 4; n++) {
            t.n = 0;
            addf(&t, "packed_%s%d", scalars[s], n);
            type_add(copy(t.p + 7, t.n - 7));
            type_add(copy(t.p, t.n));
        }
    for (int i = 0; i < n_tok; i++) {
        if (is(i, "using") && is_name(i + 1) && is(i + 2, "=")) type_add(word(i + 1));
        if ((is(i, "typename") || is(i, "class")) && is_name(i + 1) && (is(i - 1, "<") || is(i - 1, ","))) type_add(word(i + 1));
        if (!is(i, "typedef")) continue;
        int j = i;
        while (j < n_tok && !is(j, ";")) j = is(j, "(") || is(j, "{") || is(j, "[") ? tok[j]->pair + 1 : j + 1;
        if (is_name(j - 1)) type_add(word(j - 1));
    }
}

/* The template header that ends right before i: "f" becomes "f<T, N>". */
static char *self_name(int i, const char *name, bool *is_template) {
    struct text t = {0};
    addf(&t, "%s", name);
    *is_template = is(i - 1, ">");
    if (!*is_template) return t.p;
    int open = i - 1, depth = 0;
    for (; open >= 0; open--) {
        if (is(open, ")")) open = tok[open]->pair;
        else if (is(open, ">")) depth++;
        else if (is(open, "<") && --depth == 0) break;
    }
    if (!is(open - 1, "template")) fail(i, "kernel %s: no template header before it", name);
    const char *sep = "<";
    for (int j = open + 1, last = -1; j < i; j++) {
        if (is(j, "(") && (is(j + 1, "*") || is(j + 1, "&")) && is_name(j + 2)) last = j + 2; /* a function parameter */
        bool ends = is(j, ",") || j == i - 1 || is(j, "=");
        if (ends) {
            addf(&t, "%s%s", sep, word(last));
            sep = ", ";
            while (j < i - 1 && !is(j, ",")) j = is(j, "<") ? angle_end(j) + 1 : is(j, "(") ? tok[j]->pair + 1 : j + 1;
            last = -1;
        } else if (is(j, "(")) {
            j = tok[j]->pair;
        } else if (is(j, "<")) {
            j = angle_end(j);
        } else if (is_name(j) && !(last >= 0 && is(last - 1, "*") && is(last - 2, "("))) {
            last = j;
        }
    }
    addf(&t, ">");
    return t.p;
}

static void parameter(struct function *f, int from, int to) {
    for (int i = from; i < to; i++) {
        int end = attribute_end(i);
        if (end < 0) continue;
        if (f->n_binding == 64) fail(i, "kernel %s: too many arguments", f->name);
        struct binding *b = &f->binding[f->n_binding++];
        b->name = word(i - 1);
        b->attribute = word(i + 2);
        b->index = attribute(i, b->attribute);
        bool indexed = is(i + 2, "buffer") || is(i + 2, "threadgroup");
        if (indexed != (b->index[0] != 0)) fail(i, "kernel %s, argument %s: what is [[%s]]?", f->name, b->name, b->attribute);
        blank(i, end);
        return;
    }
    fail(from, "kernel %s: each argument needs its attribute, [[buffer(i)]] and so on", f->name);
}

static void parameters(struct function *f, int open) {
    int end = tok[open]->pair, from = open + 1;
    for (int j = from; j <= end && end > open + 1; j++) {
        if (j < end && (is(j, "(") || is(j, "["))) j = tok[j]->pair;
        else if (j < end && is(j, "<")) j = angle_end(j);
        else if (j == end || is(j, ",")) {
            parameter(f, from, j);
            from = j + 1;
        }
    }
}

/* threadgroup T a[n], b; in a kernel: references into the threadgroup's memory. */
static void threadgroup_variable(struct function *f, int i) {
    int j = i + 1;
    while (is(j + 1, "::")) j += 2;
    int type_end = is(j + 1, "<") ? angle_end(j + 1) : j;
    if (!is_name(type_end + 1)) return; /* a pointer */
    struct text type = {0}, out = {0};
    for (j = i + 1; j <= type_end; j++) addf(&type, "%s ", word(j));
    do {
        char *name = word(j++);
        struct text dims = {0};
        addf(&dims, "%s", "");
        while (is(j, "[")) {
            for (int end = tok[j]->pair; j <= end; j++) addf(&dims, "%s ", word(j));
        }
        if (is(j, "=")) fail(j, "threadgroup variable %s: it takes no initializer", name);
        addf(&out, "threadgroup auto &%s = soft::variable<%s%s, %d, decltype(&%s), &%s>();", name, type.p, dims.p, f->n_variable++,
             f->self, f->self);
    } while (is(j++, ","));
    if (!is(j - 1, ";")) fail(i, "this threadgroup variable is not understood");
    blank(i, j - 1);
    tok[i]->now = out.p;
}

static void kernel_definition(int i, int attribute_start) {
    int j = i + 1;
    while (j < n_tok && !is(j, "(")) j++;
    if (!is(j - 2, "void")) fail(i, "a kernel returns void and has a name");
    if (n_function == 1024) fail(i, "too many kernels");
    struct function *f = &functions[n_function++];
    *f = (struct function){0};
    f->name = word(j - 1);
    f->line = tok[i]->line;
    f->self = self_name(attribute_start, f->name, &f->is_template);
    for (int a = attribute_start; a < i; a++)
        if (attribute_end(a) > 0 && !f->max_threads) f->max_threads = attribute(a, "max_total_threads_per_threadgroup");
    blank(attribute_start, i);
    parameters(f, j);
    int body = tok[j]->pair + 1;
    if (is(body, ";")) fail(i, "kernel %s: declare it where it is defined", f->name);
    for (int k = body; k < tok[body]->pair; k++)
        if (is(k, "threadgroup") && (is(k - 1, ";") || is(k - 1, "{") || is(k - 1, "}") || is(k - 1, ")"))) threadgroup_variable(f, k);
    if (f->is_template) return;
    if (n_instance == 8192) fail(i, "too many kernels");
    instances[n_instance++] = (struct instance){f->name, f->name, f, f->line};
}

/* template [[host_name("x")]] kernel void f<half>(...); */
static void kernel_instance(int i, int kernel, char *host_name) {
    int end = kernel;
    while (end < n_tok && !is(end, ";")) end = is(end, "(") ? tok[end]->pair + 1 : end + 1;
    int last = is(end - 1, ")") ? tok[end - 1]->pair - 1 : end - 1, first = last;
    for (int depth = 0; is(last, ">"); first--) {
        if (is(first, ")")) first = tok[first]->pair;
        depth += is(first, ">") - is(first, "<");
        if (depth == 0) break;
    }
    if (is(last, ">")) first--;
    struct text name = {0};
    for (int j = first; j <= last; j++) addf(&name, "%s ", word(j));
    if (!host_name) fail(i, "this instantiation needs [[host_name(\"...\")]]");
    struct function *f = NULL;
    for (int j = 0; j < n_function; j++)
        if (is(first, functions[j].name)) f = &functions[j];
    if (!f) fail(i, "%s: no kernel of this name above", word(first));
    for (int j = kernel; j < end; j++) /* the attributes of its parameters */
        if (attribute_end(j) > 0) blank(j, attribute_end(j));
    if (n_instance == 8192) fail(i, "too many kernels");
    instances[n_instance++] = (struct instance){host_name, name.p, f, tok[i]->line};
}

/* host_name("a" "b") of the list at i: ab. */
static char *host_name_of(int i) {
    struct text t = {0};
    for (int j = i; j < tok[i]->pair; j++)
        if (is(j, "host_name") && is(j + 1, "("))
            for (int k = j + 2; k < tok[j + 1]->pair; k++)
                if (tok[k]->kind == STRING && tok[k]->n > 2) add(&t, tok[k]->p + 1, tok[k]->n - 2);
    return t.p;
}

/* Attributes and the word kernel, from i on; where the declaration goes on. */
static int skip_attributes(int i, char **host_name, int *kernel) {
    for (;; i++) {
        int end = attribute_end(i);
        if (is(i, "kernel")) *kernel = i;
        else if (end < 0) return i;
        else {
            if (host_name_of(i)) *host_name = host_name_of(i);
            if (attribute(i, "kernel")) *kernel = end;
            i = end;
        }
    }
}

static void find_kernels(void) {
    for (int i = 0; i < n_tok; i++) {
        bool instance = is(i, "template") && !is(i + 1, "<");
        if (!instance && !is(i, "kernel") && attribute_end(i) < 0) continue;
        char *host_name = NULL;
        int kernel = -1, next = skip_attributes(i + instance, &host_name, &kernel);
        if (kernel < 0 && !host_name) continue;
        if (instance) {
            blank(i + 1, next - 1);
            kernel_instance(i, next, host_name);
        } else if (kernel >= 0) {
            if (host_name) fail(i, "host_name is for instantiations");
            kernel_definition(next - 1, i);
        }
        i = next - 1;
    }
}

/* constant T NAME [[function_constant(i)]]; */
static void find_constants(const char *stem) {
    for (int i = 0; i < n_tok; i++) {
        char *index = attribute_end(i) > 0 ? attribute(i, "function_constant") : NULL;
        int end = attribute_end(i);
        if (!index || tok[i]->now) continue;
        if (!is(end + 1, ";") || !is_name(i - 1) || !is_name(i - 2)) fail(i, "a function constant reads: constant T NAME [[function_constant(i)]];");
        if (n_constant == 64) fail(i, "too many function constants");
        struct constant *c = &constants[n_constant++];
        *c = (struct constant){word(i - 2), word(i - 1), index};
        int start = i - 2;
        while (is(start - 1, "constant") || is(start - 1, "static") || is(start - 1, "const")) start--;
        struct text t = {0};
        addf(&t, "extern __thread const %s %s __asm__(\"soft_fc_%s_%s\"); extern __thread const bool %s__defined "
             "__asm__(\"soft_fd_%s_%s\")", c->type, c->name, stem, c->name, c->name, stem, c->name);
        blank(start, end);
        tok[start]->now = t.p;
    }
    for (int i = 0; i < n_tok; i++)
        if (is(i, "is_function_constant_defined") && is(i + 1, "(") && is_name(i + 2) && is(i + 3, ")")) {
            struct text t = {0};
            addf(&t, "%s__defined", word(i + 2));
            blank(i, i + 3);
            tok[i]->now = t.p;
        }
}

static void check_names(void) {
    for (int i = 0; i < n_instance; i++)
        for (int j = 0; j < i; j++)
            if (!strcmp(instances[i].host_name, instances[j].host_name)) {
                fprintf(stderr, "scan_kernels: host name %s is used at lines %u and %u\n", instances[i].host_name, instances[j].line, instances[i].line);
                exit(1);
            }
}

void scan(const char *expanded, const char *stem) {
    n_all = n_tok = n_function = n_instance = n_constant = n_type = 0;
    all = NULL;
    tokenize(read_file(expanded).p);
    match_brackets();
    find_types();
    find_constants(stem);
    find_kernels();
    check_names();
}
