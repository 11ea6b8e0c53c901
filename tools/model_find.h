/* Where people keep models: looks for a large file to measure a disk with. */
#pragma once
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* The folders that are looked at, for messages. */
#define MODEL_FIND_PLACES "this folder, ./models, ~/models and the folders of Hugging Face, llama.cpp, Ollama and LM Studio"

struct model_find {
    char path[PATH_MAX];  /* the largest file that profile_measure_disk would take; "" when there is none */
    bool only_new;        /* there are large ones, but written just now */
};
void model_find(struct model_find *out);
