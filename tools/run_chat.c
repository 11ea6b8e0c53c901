#include "tools/run_chat.h"

#include <stdlib.h>
#include <time.h>

#include "models/chat/chat.h"
#include "sched/model_file.h"

static int render(const struct chat *c, char **text, size_t *len, struct err *e) {
    json_t *messages = json_pack("[{s:s, s:s%}]", "role", "user", "content", *text, *len);
    if (!messages) return err_set(e, ERR_ARG, "the prompt is not valid UTF-8 text; with --raw it is taken as it is");
    struct chat_request r = {.messages = messages, .add_generation_prompt = true, .now_s = time(NULL)};
    char *rendered;
    size_t n;
    int rc = chat_render(c, &r, &rendered, &n, e);
    json_decref(messages);
    if (rc) return rc;
    free(*text);
    *text = rendered;
    *len = n;
    return ERR_OK;
}

int run_chat(const char *model, char **text, size_t *len, bool *has_bos, struct err *e) {
    struct model_file *mf;
    struct chat *c = NULL;
    *has_bos = false;
    int rc = model_file_open(model, &mf, e);
    if (rc) return rc;
    if (gguf_find(&mf->gguf, "tokenizer.chat_template")) rc = chat_open(&mf->gguf, &c, e);
    if (!rc && c) rc = render(c, text, len, e);
    if (!rc && c) *has_bos = chat_info(c)->writes_bos;
    chat_free(c);
    model_file_close(mf);
    return rc;
}
