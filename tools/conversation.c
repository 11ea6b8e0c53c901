#include "tools/conversation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sched/model_file.h"
#include "tools/cli.h"
#include "tools/output.h"

static int open_chat(struct conversation *c, const char *model, bool make_up, struct err *e) {
    struct model_file *mf;
    int rc = model_file_open(model, &mf, e);
    if (rc) return rc;
    if (make_up || gguf_find(&mf->gguf, "tokenizer.chat_template")) rc = chat_open(&mf->gguf, &c->chat, e);
    model_file_close(mf);
    return rc;
}

int conversation_init(struct conversation *c, const char *model, const struct tokenizer *tok, bool make_up, struct err *e) {
    *c = (struct conversation){.model = model, .tok = tok, .messages = json_array()};
    int rc = c->messages ? open_chat(c, model, make_up, e) : err_set(e, ERR_NOMEM, "no memory for a conversation");
    if (rc) {
        conversation_deinit(c);
        return rc;
    }
    if (c->chat && (chat_info(c->chat)->caps & CHAT_THINKING)) c->think = CHAT_THINK_ON;
    return ERR_OK;
}

void conversation_deinit(struct conversation *c) {
    json_decref(c->messages);
    chat_free(c->chat);
    *c = (struct conversation){0};
}

int conversation_set_think(struct conversation *c, const char *how, struct err *e) {
    static const char *const names[] = {[CHAT_THINK_OFF] = "off", [CHAT_THINK_ON] = "on", [CHAT_THINK_LOW] = "low",
                                        [CHAT_THINK_MEDIUM] = "medium", [CHAT_THINK_HIGH] = "high"};
    if (!c->chat || !(chat_info(c->chat)->caps & CHAT_THINKING))
        return err_set(e, ERR_UNSUPPORTED, "the chat template of this model knows no thinking");
    for (int i = CHAT_THINK_OFF; i <= CHAT_THINK_HIGH; i++) {
        if (strcmp(names[i], how) != 0) continue;
        c->think = (enum chat_think)i;
        return ERR_OK;
    }
    return err_set(e, ERR_ARG, "thinking is on, off, low, medium or high, not '%.40s'", how);
}

/* Messages. */

static bool has_role(const json_t *message, const char *role) {
    const char *r = json_string_value(json_object_get(message, "role"));
    return r && strcmp(r, role) == 0;
}

static bool begins_with_system(const struct conversation *c) { return has_role(json_array_get(c->messages, 0), "system"); }

/* NULL and e filled: the text is not UTF-8. */
static json_t *make_message(const char *role, const char *text, size_t len, struct err *e) {
    json_t *m = json_pack("{s:s, s:s%}", "role", role, "content", text, len);
    if (!m) err_set(e, ERR_ARG, "the text is not valid UTF-8; hy run --raw takes a prompt as it is");
    return m;
}

static int append(struct conversation *c, json_t *message, struct err *e) {
    return json_array_append_new(c->messages, message) ? err_set(e, ERR_NOMEM, "no memory for a message") : ERR_OK;
}

int conversation_set_system(struct conversation *c, const char *text, struct err *e) {
    json_t *m = *text ? make_message("system", text, strlen(text), e) : NULL;
    if (*text && !m) return e->code;
    if (begins_with_system(c)) json_array_remove(c->messages, 0);
    if (m && json_array_insert_new(c->messages, 0, m)) return err_set(e, ERR_NOMEM, "no memory for a message");
    return ERR_OK;
}

const char *conversation_system(const struct conversation *c) {
    return begins_with_system(c) ? json_string_value(json_object_get(json_array_get(c->messages, 0), "content")) : NULL;
}

int conversation_add_user(struct conversation *c, const char *text, size_t len, struct err *e) {
    json_t *m = make_message("user", text, len, e);
    return m ? append(c, m, e) : e->code;
}

int conversation_add_answer(struct conversation *c, const char *text, size_t len, const char *thinking, size_t n_thinking,
                            struct err *e) {
    json_t *m = make_message("assistant", text, len, e);
    if (!m) return e->code;
    if (n_thinking) json_object_set_new(m, "thinking", json_stringn(thinking, n_thinking));
    return append(c, m, e);
}

void conversation_take_back(struct conversation *c) { json_array_remove(c->messages, json_array_size(c->messages) - 1); }

void conversation_clear(struct conversation *c) {
    while (json_array_size(c->messages) > begins_with_system(c)) conversation_take_back(c);
}

bool conversation_forget_turn(struct conversation *c) {
    size_t first = 0, next;
    while (has_role(json_array_get(c->messages, first), "system")) first++;
    for (next = first + 1; next < json_array_size(c->messages); next++)
        if (has_role(json_array_get(c->messages, next), "user")) break;
    if (next >= json_array_size(c->messages)) return false;
    while (next-- > first) json_array_remove(c->messages, first);
    return true;
}

uint32_t conversation_n_turn(const struct conversation *c) {
    uint32_t n = 0;
    size_t i;
    json_t *m;
    json_array_foreach(c->messages, i, m) n += has_role(m, "user");
    return n;
}

/* The prompt. */

int conversation_prompt(const struct conversation *c, struct tokens *out, bool *in_thought, struct err *e) {
    const struct tokenizer_info *ti = tokenizer_info(c->tok);
    struct chat_request r = {.messages = c->messages, .add_generation_prompt = true, .think = c->think, .now_s = time(NULL)};
    char *text;
    size_t len;
    int rc = chat_render(c->chat, &r, &text, &len, e);
    if (rc) return rc;
    out->n = 0;
    if (ti->add_bos && ti->bos >= 0 && !chat_info(c->chat)->writes_bos && !tokens_push(out, ti->bos))
        rc = err_set(e, ERR_NOMEM, "no memory for the prompt");
    if (!rc) rc = tokenizer_encode(c->tok, text, len, false, true, out, e);
    *in_thought = chat_opens_thinking(c->chat, text, len);
    free(text);
    return rc;
}

/* Files. */

int conversation_save(const struct conversation *c, const char *path, struct err *e) {
    int rc = output_check(path, &(struct output_inputs){.model = c->model}, e);
    if (rc) return rc;
    json_t *all = json_pack("{s:O}", "messages", c->messages);
    char *text = all ? json_dumps(all, JSON_INDENT(2)) : NULL;
    json_decref(all);
    if (!text) return err_set(e, ERR_NOMEM, "no memory to save the conversation");
    FILE *f = fopen(path, "w");
    bool bad = !f || fprintf(f, "%s\n", text) < 0;
    int why = errno;
    if (f && fclose(f) != 0) bad = true, why = errno;
    free(text);
    return bad ? err_set(e, ERR_IO, "'%s' cannot be written: %s", path, strerror(why)) : ERR_OK;
}

static int check_messages(const json_t *messages, const char *path, struct err *e) {
    size_t i;
    json_t *m;
    if (!json_is_array(messages)) return err_set(e, ERR_FORMAT, "'%s' holds no {\"messages\": [...]}", path);
    json_array_foreach(messages, i, m) {
        if (!json_is_string(json_object_get(m, "role")))
            return err_set(e, ERR_FORMAT, "'%s': message %zu has no role", path, i + 1);
        const json_t *content = json_object_get(m, "content");
        if (content && !json_is_string(content) && !json_is_array(content) && !json_is_null(content))
            return err_set(e, ERR_FORMAT, "'%s': the content of message %zu is no text", path, i + 1);
    }
    return ERR_OK;
}

/* Messages that the template can do nothing with are refused now rather than at the next question. */
static int replace_messages(struct conversation *c, json_t *messages, const char *path, struct err *e) {
    struct tokens ts = {0};
    bool in_thought;
    json_t *old = c->messages;
    c->messages = json_incref(messages);
    int rc = json_array_size(messages) ? conversation_prompt(c, &ts, &in_thought, e) : ERR_OK;
    tokens_deinit(&ts);
    if (rc) {
        json_decref(c->messages);
        c->messages = old;
        return err_prefix(e, "'%s'", path);
    }
    json_decref(old);
    return ERR_OK;
}

int conversation_load(struct conversation *c, const char *path, struct err *e) {
    char *text;
    size_t len;
    json_error_t at;
    int rc = cli_read_all(path, &text, &len, e);
    if (rc) return rc;
    json_t *all = json_loadb(text, len, JSON_ALLOW_NUL, &at), *messages = json_object_get(all, "messages");
    free(text);
    if (!all) rc = err_set(e, ERR_FORMAT, "'%s' is not JSON: line %d, column %d: %s", path, at.line, at.column, at.text);
    if (!rc) rc = check_messages(messages, path, e);
    if (!rc) rc = replace_messages(c, messages, path, e);
    json_decref(all);
    return rc;
}
