/* The hy program: finds the command and runs it. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "tools/box.h"
#include "tools/cli.h"

#define HY_VERSION "0.1.0"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *about;
} commands[] = {
    {"serve", cmd_serve, "answer Ollama's and OpenAI's clients over HTTP"},
    {"run", cmd_run, "write text from a prompt"},
    {"eval", cmd_eval, "perplexity and logits of a text"},
    {"tokenize", cmd_tokenize, "text to token ids and back"},
    {"template", cmd_template, "a chat template rendered by hand"},
    {"inspect", cmd_inspect, "what a model file holds"},
    {"kernels-test", cmd_kernels_test, "check every kernel against exact arithmetic"},
    {"bench", cmd_bench, "measure prompt and generation speed"},
    {"profile", cmd_profile, "measure this machine's memory and disk"},
    {"optimize", cmd_optimize, "lay out a model's weights for streaming"},
    {"trace", cmd_trace, "run a prompt and show where the time goes"},
};
#define N_COMMANDS (sizeof commands / sizeof commands[0])

static void print_usage(FILE *f) {
    fputs("hy runs GGUF language models.\n\nusage: hy COMMAND [options]\n\n", f);
    for (size_t i = 0; i < N_COMMANDS; i++) fprintf(f, "  %-14s %s\n", commands[i].name, commands[i].about);
    fputs("\nhy COMMAND --help tells more. To begin: hy run MODEL.gguf -p \"Once upon a time\"\n"
          "Where MODEL is left out, the small model that is part of hy is taken.\n", f);
}

/* A standard stream that was closed must not become the next file that is opened: a model would be read as the prompt. */
static void hold_streams(void) {
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) < 0) return; /* its use fails, as that of a closed one */
}

int main(int argc, char **argv) {
    hold_streams();
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write, which the commands report, */
    signal(SIGXFSZ, SIG_IGN); /* and so is a file that may not become larger */
    box_init();
    if (argc < 2) {
        print_usage(stderr);
        fputs("\n", stderr);
        return cli_no_model();
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return cli_flush() ? EXIT_OK : EXIT_FAILED;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("hy " HY_VERSION);
        return cli_flush() ? EXIT_OK : EXIT_FAILED;
    }
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
    return cli_usage_error("'%s' is not a command of hy; see hy --help", argv[1]);
}
