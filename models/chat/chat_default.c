/* Templates for models that bring none. */
#include <string.h>

#include "models/chat/chat_impl.h"

static const struct chat_default defaults[] = {
    {"chatml", "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
               "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"},
    {"llama3",
     "{{ bos_token }}{% for m in messages %}"
     "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}{% endfor %}"
     "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"},
    {"llama2", "{% set ns = namespace(system='') %}{% for m in messages %}"
               "{% if m.role == 'system' %}{% set ns.system = '<<SYS>>\\n' + m.content + '\\n<</SYS>>\\n\\n' %}"
               "{% elif m.role == 'assistant' %}{{ ' ' + m.content + ' ' + eos_token }}"
               "{% else %}{{ bos_token + '[INST] ' + ns.system + m.content + ' [/INST]' }}{% set ns.system = '' %}"
               "{% endif %}{% endfor %}"},
    {"mistral", "{{ bos_token }}{% set ns = namespace(system='') %}{% for m in messages %}"
                "{% if m.role == 'system' %}{% set ns.system = m.content + '\\n\\n' %}"
                "{% elif m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}"
                "{% else %}{{ '[INST] ' + ns.system + m.content + ' [/INST]' }}{% set ns.system = '' %}"
                "{% endif %}{% endfor %}"},
    {"gemma",
     "{{ bos_token }}{% for m in messages if m.role != 'system' %}"
     "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n' }}"
     "{{ m.content | trim + '<end_of_turn>\\n' }}"
     "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"},
    {"phi3", "{% for m in messages %}{{ '<|' + m.role + '|>\\n' + m.content + '<|end|>\\n' }}{% endfor %}"
             "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"},
    {"deepseek", "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}"
                 "{% elif m.role == 'assistant' %}{{ '<｜Assistant｜>' + m.content + eos_token }}"
                 "{% else %}{{ '<｜User｜>' + m.content }}{% endif %}{% endfor %}"
                 "{% if add_generation_prompt %}{{ '<｜Assistant｜>' }}{% endif %}"},
};

static const struct {
    const char *token, *name;
} by_token[] = { /* the token that only such models have */
    {"<|im_start|>", "chatml"}, {"<|start_header_id|>", "llama3"}, {"<start_of_turn>", "gemma"},
    {"<｜User｜>", "deepseek"}, {"<|assistant|>", "phi3"},        {"[INST]", "mistral"},
};

static const struct {
    const char *arch, *name;
} by_arch[] = {
    {"gemma", "gemma"}, {"gemma2", "gemma"}, {"gemma3", "gemma"}, {"phi3", "phi3"}, {"phi3moe", "phi3"},
    {"deepseek", "deepseek"}, {"deepseek2", "deepseek"},
};

#define LEN(a) (sizeof(a) / sizeof *(a))

static bool is(struct gguf_str s, const char *text) { return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0; }

static const struct chat_default *named(const char *name) {
    for (size_t i = 0; i < LEN(defaults); i++)
        if (is((struct gguf_str){name, strlen(name)}, defaults[i].name)) return &defaults[i];
    return &defaults[0];
}

static bool mentions(const struct gguf *g, const char *key, const char *word) {
    struct gguf_str s;
    return gguf_get_str(g, key, &s) && memmem(s.p, s.len, word, strlen(word));
}

const struct chat_default *chat_default_for(const struct gguf *g) {
    struct gguf_arr tokens;
    struct gguf_str s, arch = {"", 0};
    size_t best = LEN(by_token);
    uint64_t pos = 0;
    if (gguf_get_arr(g, "tokenizer.ggml.tokens", GGUF_STR, &tokens))
        while (gguf_arr_next_str(&tokens, &pos, &s))
            for (size_t i = 0; i < best; i++)
                if (is(s, by_token[i].token)) best = i;
    if (best < LEN(by_token)) return named(by_token[best].name);
    gguf_get_str(g, "general.architecture", &arch);
    for (size_t i = 0; i < LEN(by_arch); i++)
        if (is(arch, by_arch[i].arch)) return named(by_arch[i].name);
    if (!is(arch, "llama") || !mentions(g, "tokenizer.ggml.model", "llama")) return named("chatml");
    bool mistral = mentions(g, "general.name", "istral") || mentions(g, "general.name", "ixtral");
    return named(mistral ? "mistral" : "llama2");
}
