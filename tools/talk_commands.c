/* The commands of a conversation. What they say goes to stderr. */
#include <string.h>

#include "runtime/size_text.h"
#include "tools/cli.h"
#include "tools/plan_print.h"
#include "tools/run.h"
#include "tools/talk_impl.h"

struct talk_help {
    const char *name, *args, *about;
    void (*run)(struct talk *t, const char *args); /* NULL: ends the conversation */
};

static void say(int rc, const struct err *e) {
    if (rc) fprintf(stderr, "hy: %s\n", e->text);
}

void talk_print_stats(const struct talk *t) {
    const struct hy_info *i = hy_info(t->en);
    const char *const lines[] = {"prompt", "generation"};
    const uint32_t n[] = {t->last.n_prompt - t->last.n_kept, t->last.n_new};
    const double s[] = {t->last.prompt_s, t->last.gen_s};
    for (int k = 0; k < 2; k++) {
        fprintf(stderr, "%-11s %6u tokens %10.2f tok/s", lines[k], n[k], n[k] && s[k] > 0 ? n[k] / s[k] : 0.0);
        fprintf(stderr, k == 0 ? "  %u more were there already\n" : "\n", t->last.n_kept);
    }
    fprintf(stderr, "context     %6u of %u tokens, %u turn%s\n", hy_seq_len(t->en, t->seq), i->n_ctx, conversation_n_turn(t->conv),
            conversation_n_turn(t->conv) == 1 ? "" : "s");
    fprintf(stderr, "memory plan %s, %s\n", size_text(i->weights_bytes + i->kv_bytes + i->work_bytes).s, i->device);
    plan_say_stream(t->en);
}

static void do_stats(struct talk *t, const char *args) { talk_print_stats(t); }

static void do_clear(struct talk *t, const char *args) {
    conversation_clear(t->conv);
    fputs("The conversation is forgotten.\n", stderr);
}

static void do_save(struct talk *t, const char *path) {
    struct err e;
    int rc = *path ? conversation_save(t->conv, path, &e) : err_set(&e, ERR_ARG, "give a file: /save FILE");
    say(rc, &e);
    if (!rc) fprintf(stderr, "%zu messages are in '%s'.\n", json_array_size(t->conv->messages), path);
}

static void do_load(struct talk *t, const char *path) {
    struct err e;
    int rc = *path ? conversation_load(t->conv, path, &e) : err_set(&e, ERR_ARG, "give a file: /load FILE");
    say(rc, &e);
    if (!rc) fprintf(stderr, "%zu messages from '%s'.\n", json_array_size(t->conv->messages), path);
}

static void do_system(struct talk *t, const char *text) {
    struct err e;
    if (*text) {
        say(conversation_set_system(t->conv, strcmp(text, "\"\"") == 0 ? "" : text, &e), &e);
        return;
    }
    const char *now = conversation_system(t->conv);
    fprintf(stderr, "%s\n", now ? now : "There is no system text.");
}

/* /set */

static void print_value(const struct opt *o) {
    fprintf(stderr, "  %-18s ", o->name);
    if (o->type == OPT_F32) fprintf(stderr, "%g\n", (double)*(const float *)o->out);
    else if (o->type == OPT_U64) fprintf(stderr, "%llu\n", (unsigned long long)*(const uint64_t *)o->out);
    else fprintf(stderr, "%u\n", *(const uint32_t *)o->out);
}

/* "--top-k" as "top_k". */
static void plain_name(const char *option, char out[32]) {
    snprintf(out, 32, "%s", option + strspn(option, "-"));
    for (char *p = out; *p; p++)
        if (*p == '-') *p = '_';
}

/* What may be set, under the names of the command line's options. */
#define N_SETTINGS (RUN_N_SAMPLING + 1)
static void settings_of(struct sampler_params *s, uint32_t *n_most, struct opt out[N_SETTINGS], char names[N_SETTINGS][32]) {
    run_sampling_opts(s, out);
    out[N_SETTINGS - 1] = (struct opt){"-n", OPT_U32, n_most, "N", "tokens of an answer; 0: until the model ends", 0, 0};
    for (uint32_t i = 0; i < N_SETTINGS; i++) {
        plain_name(out[i].name, names[i]);
        out[i].name = names[i];
    }
}

static const char *of_ollama(const char *name) {
    return strcmp(name, "temperature") == 0 ? "temp" : strcmp(name, "num_predict") == 0 ? "n" : name;
}

static void set_number(struct talk *t, const char *name, const char *value) {
    struct sampler_params p = t->sampling;
    uint32_t n_most = t->n_most;
    struct opt opts[N_SETTINGS];
    char names[N_SETTINGS][32];
    struct err e;
    settings_of(&p, &n_most, opts, names);
    for (uint32_t i = 0; i < N_SETTINGS; i++) {
        if (strcmp(opts[i].name, of_ollama(name)) != 0) continue;
        if (!cli_set(&opts[i], value)) return;
        t->n_most = n_most;
        say(talk_use_sampling(t, &p, &e), &e);
        return;
    }
    fprintf(stderr, "hy: '%s' cannot be set; /set tells what can\n", name);
}

static void print_settings(struct talk *t) {
    struct opt opts[N_SETTINGS];
    char names[N_SETTINGS][32];
    settings_of(&t->sampling, &t->n_most, opts, names);
    for (uint32_t i = 0; i < N_SETTINGS; i++) print_value(&opts[i]);
    if (t->conv->think) fprintf(stderr, "  %-18s %s\n", "think", t->conv->think == CHAT_THINK_OFF ? "off" : "on");
}

static void do_set(struct talk *t, const char *args) {
    char name[32] = "";
    int at = 0;
    struct err e;
    sscanf(args, "%31s %n", name, &at);
    if (!*name) print_settings(t);
    else if (!args[at]) fprintf(stderr, "hy: give a value: /set %s VALUE\n", name);
    else if (strcmp(name, "think") == 0) say(conversation_set_think(t->conv, args + at, &e), &e);
    else if (strcmp(name, "num_ctx") == 0) fputs("hy: the context is made when the model is opened; start again with -c N\n", stderr);
    else set_number(t, name, args + at);
}

static void do_help(struct talk *t, const char *args);

static const struct talk_help commands[] = {
    {"/help", "", "this text", do_help},
    {"/clear", "", "forget the conversation; the system text stays", do_clear},
    {"/save", "FILE", "the conversation as JSON, which /load and hy template read", do_save},
    {"/load", "FILE", "a conversation in place of this one", do_load},
    {"/system", "TEXT", "how the model is to behave; \"\" for nothing; no TEXT shows it", do_system},
    {"/set", "NAME VALUE", "temp 0.7, top_k 40, seed 1, n 200, think off ...; without NAME shows all", do_set},
    {"/stats", "", "speed, context and memory", do_stats},
    {"/bye", "", "leave; so does Ctrl-D", NULL},
};
#define N_COMMANDS (sizeof commands / sizeof commands[0])

static void do_help(struct talk *t, const char *args) {
    for (size_t i = 0; i < N_COMMANDS; i++) {
        char left[32];
        snprintf(left, sizeof left, "%s %s", commands[i].name, commands[i].args);
        fprintf(stderr, "  %-18s %s\n", left, commands[i].about);
    }
    fputs("Several lines: between \"\"\" and \"\"\", or with a \\ at each line's end. Ctrl-C stops an answer.\n"
          "A message that is to begin with / needs a blank before it.\n", stderr);
}

bool talk_command(struct talk *t, const char *line) {
    size_t len = strcspn(line, " \t\n");
    const char *args = line + len + strspn(line + len, " \t\n");
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strlen(commands[i].name) != len || memcmp(commands[i].name, line, len) != 0) continue;
        if (!commands[i].run) return false;
        commands[i].run(t, args);
        return true;
    }
    if (len == 5 && (memcmp(line, "/exit", 5) == 0 || memcmp(line, "/quit", 5) == 0)) return false;
    fprintf(stderr, "hy: '%.*s' is no command; /help tells them\n", (int)(len < 40 ? len : 40), line);
    return true;
}
