#include <string.h>

#include "models/chat/tool_impl.h"

#define DS(name) "<\xef\xbd\x9ctool\xe2\x96\x81" name "\xef\xbd\x9c>" /* DeepSeek's bars and blanks are not ASCII's */

struct form {
    const char *name;
    const char *begins[4], *silent[4], *inner[8];
};

static const struct form forms[] = {
    [TOOL_NONE] = {"none", {0}, {0}, {0}},
    [TOOL_HERMES] = {"hermes", {"<tool_call>"}, {0}, {"</tool_call>"}},
    [TOOL_QWEN_XML] = {"qwen-xml", {"<tool_call>", "<function="}, {0}, {"</tool_call>"}},
    [TOOL_LLAMA] = {"llama", {"<|python_tag|>", "<function="}, {0}, {0}},
    [TOOL_MISTRAL] = {"mistral", {"[TOOL_CALLS]"}, {0}, {"[ARGS]", "[CALL_ID]"}},
    [TOOL_DEEPSEEK] = {"deepseek",
                       {DS("call\xe2\x96\x81"
                           "begin")},
                       {DS("calls\xe2\x96\x81"
                           "begin"),
                        DS("calls\xe2\x96\x81"
                           "end")},
                       {DS("sep"), DS("call\xe2\x96\x81"
                                      "end")}},
    [TOOL_HARMONY] = {"harmony",
                      {0},
                      {0},
                      {"<|start|>", "<|channel|>", "<|message|>", "<|constrain|>", "<|end|>", "<|return|>",
                       "<|call|>"}},
    [TOOL_GLM] = {"glm",
                  {"<tool_call>"},
                  {0},
                  {"</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"}},
    [TOOL_KIMI] = {"kimi",
                   {"<|tool_call_begin|>"},
                   {"<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"},
                   {"<|tool_call_argument_begin|>", "<|tool_call_end|>"}},
};

const char *tool_form_name(enum tool_form form) { return forms[form].name; }
const char *const *tool_form_begins(enum tool_form form) { return forms[form].begins; }
const char *const *tool_form_silent(enum tool_form form) { return forms[form].silent; }
const char *const *tool_form_inner(enum tool_form form) { return forms[form].inner; }

enum tool_form tool_form_detect(const char *source, size_t len) {
    static const struct {
        const char *text, *and;
        enum tool_form form;
    } signs[] = {
        {"<|channel|>", "<|message|>", TOOL_HARMONY},
        {DS("calls\xe2\x96\x81" "begin"), "", TOOL_DEEPSEEK},
        {"<|tool_calls_section_begin|>", "", TOOL_KIMI},
        {"[TOOL_CALLS]", "", TOOL_MISTRAL},
        {"<arg_key>", "", TOOL_GLM},
        {"<function=", "<parameter=", TOOL_QWEN_XML},
        {"<|python_tag|>", "", TOOL_LLAMA},
        {"<tool_call>", "", TOOL_HERMES},
        {"\"parameters\": dictionary", "", TOOL_LLAMA},
        {"tools", "", TOOL_HERMES},
    };
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (memmem(source, len, signs[i].text, strlen(signs[i].text)) &&
            memmem(source, len, signs[i].and, strlen(signs[i].and)))
            return signs[i].form;
    return TOOL_NONE;
}
