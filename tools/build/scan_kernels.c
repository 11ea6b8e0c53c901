/* Build helper: from .metal files to the C text that hands them to Metal, and to C++ that soft Metal runs.
 *
 *   scan_kernels text FILE.metal STEM.msl              includes resolved: what newLibraryWithSource gets; STEM.msl.d for make
 *   clang -E ... STEM.msl > STEM.mi                    macros expanded, for the scan only
 *   scan_kernels embed FILE.metal=STEM.msl=STEM.mi ... > sources.c   texts and kernel names (runtime/kernel_source.h)
 *   scan_kernels soft FILE.metal STEM.mi STEM.msl STEM.cpp STEM_table.c   C++ for clang-19, tables for the C compiler
 *   scan_kernels list STEM ... > files.c               the list of all tables
 *
 * The scan knows tokens and brackets, not the language. It needs: kernels return void; every argument has an attribute with its
 * index; threadgroup variables stand in the kernel's own body. What it does not understand reaches the compiler unchanged and fails there.
 * Line numbers stay those of the .metal file. Exits with 1 and file:line on errors: it is a build step. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "tools/build/scan.h"

static int command_embed(int n, char **v) {
    struct text out = {0}, list = {0};
    addf(&out, "#include \"runtime/kernel_source.h\"\n\n");
    addf(&list, "const struct kernel_source kernel_sources[] = {\n");
    for (int i = 0; i < n; i++) {
        const char *path = strtok(v[i], "="), *text = strtok(NULL, "="), *expanded = strtok(NULL, "="), *stem = stem_of(path);
        if (!expanded) {
            fprintf(stderr, "scan_kernels: embed takes FILE.metal=STEM.msl=STEM.mi\n");
            return 1;
        }
        struct text t = read_file(text);
        scan(expanded, stem);
        addf(&out, "const char kernel_text_%s[] =\n", stem);
        c_string(&out, t.p, t.n);
        addf(&out, ";\nstatic const char *const names_%s[] = {\n", stem);
        for (int k = 0; k < n_instance; k++) addf(&out, "    \"%s\",\n", instances[k].host_name);
        addf(&out, "    0};\n");
        addf(&list, "    {\"%s\", \"%s\", kernel_text_%s, sizeof kernel_text_%s - 1, names_%s, %d},\n", stem, path, stem, stem, stem,
             n_instance);
    }
    addf(&list, "    {0, 0, 0, 0, 0, 0}};\nconst uint32_t kernel_n_source = %d;\n", n);
    return fwrite(out.p, 1, out.n, stdout) == out.n && fwrite(list.p, 1, list.n, stdout) == list.n ? 0 : 1;
}

static int command_list(int n, char **v) {
    printf("#include \"runtime/soft/exec.h\"\n\n");
    for (int i = 0; i < n; i++) printf("extern const struct soft_file soft_file_%s;\n", stem_of(v[i]));
    printf("const struct soft_file *const soft_files[] = {\n");
    for (int i = 0; i < n; i++) printf("    &soft_file_%s,\n", stem_of(v[i]));
    printf("    0};\nconst uint32_t soft_n_file = %d;\n", n);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 4 && !strcmp(argv[1], "text")) return command_text(argv[2], argv[3]);
    if (argc >= 2 && !strcmp(argv[1], "embed")) return command_embed(argc - 2, argv + 2);
    if (argc == 7 && !strcmp(argv[1], "soft")) return command_soft(argv + 2);
    if (argc >= 2 && !strcmp(argv[1], "list")) return command_list(argc - 2, argv + 2);
    fprintf(stderr, "usage: scan_kernels text|embed|soft|list ... (see the top of tools/build/scan_kernels.c)\n");
    return 1;
}
