/* What the commands share: options, messages, interruption.
 *
 * A command is `int cmd_x(int argc, char **argv)` (argv[0] is its name); it returns the exit code: 0, 1 for a
 * failure, 2 for wrong usage, 130 after Ctrl-C. Text that was asked for goes to stdout, everything else to stderr. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sched/budget.h"
#include "sched/hy.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

int cmd_run(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_tokenize(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_kernels_test(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_template(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_profile(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_optimize(int argc, char **argv);

enum opt_type { OPT_FLAG, OPT_U32, OPT_I32, OPT_U64, OPT_F32, OPT_STR, OPT_SIZE, OPT_MEMORY };

struct opt {
    const char *name;   /* "--threads" or "-n" */
    enum opt_type type;
    void *out;          /* bool, uint32_t, int32_t, uint64_t, float, const char *, uint64_t (bytes), struct budget_request (kind, bytes, fraction) */
    const char *arg;    /* what to call the value in the help, "N" */
    const char *help;
    double lo, hi;      /* allowed numbers; both 0: any that the type holds */
};

struct command {
    const char *name, *usage, *about; /* usage: what follows the name */
    const struct opt *opts;
    uint32_t n_opt;
    bool model_options;       /* takes those of struct model_options too */
    const char **positional;  /* filled in order */
    uint32_t n_positional;    /* at most */
};

struct model_options {
    const char *device, *kv, *isa, *io, *ram_tier, *sidecar;
    uint32_t n_thread, n_ctx, n_reader, n_ring_slot, n_expert_slot;
    bool no_guesses;
    struct budget_request memory; /* --memory and --simulate-memory */
};

/* True: go on. False: return *exit_code (--help was printed, or the usage was wrong and said so). */
bool cli_parse(const struct command *c, int argc, char **argv, struct model_options *m, int *exit_code);

/* What an option's value says goes to where its out points. False: it is wrong, and that was said. */
bool cli_set(const struct opt *o, const char *value);

/* "hy: sentence" on stderr; returns EXIT_FAILED (EXIT_INTERRUPTED when e says cancelled). */
int cli_fail(const struct err *e);
/* The same for wrong usage; returns EXIT_USAGE. */
int cli_usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* What --device names; auto (or NULL) is metal on a Mac and the CPU elsewhere. */
enum device_kind cli_device(const char *name);

/* What the engine is to be opened with; base holds what the command itself wants. */
struct hy_options cli_hy_options(const char *path, const struct model_options *m, const struct hy_options *base);

/* Opens the model with a progress bar (when stderr is a terminal). base holds what the command itself wants.
 * On failure prints and returns the exit code, else 0. */
int cli_open(const char *path, const struct model_options *m, const struct hy_options *base, struct hy_engine **en);
/* One line when the sidecar beside the model is not used. */
void cli_say_sidecar(const struct hy_engine *en);
/* What to say when no model was named. */
int cli_no_model(void);

/* Ctrl-C: the first asks to stop (cli_interrupted becomes true), the second ends the program. */
void cli_catch_interrupt(void);
bool cli_interrupted(void *unused);
/* From now on none ends the program, and none restarts a read. */
void cli_keep_interrupts(void);
/* The signal that asked (SIGINT or SIGTERM), or 0; forgets it. */
int cli_take_interrupt(void);

/* stdout: false when its reader is gone or the disk is full; then says so once. */
bool cli_write(const char *p, size_t len);
bool cli_flush(void);

/* The whole of a file or of stdin (path NULL), NUL-terminated; the caller frees. */
int cli_read_all(const char *path, char **text, size_t *len, struct err *e);
/* A text as a JSON string, with its quotes. Escapes what a page could take for markup, too;
 * bytes that are not UTF-8 become U+FFFD. */
void cli_json_str(FILE *f, const char *s, size_t len);
