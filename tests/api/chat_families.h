/* A tiny model of every family, and chat templates in the manner of each. */
#ifndef TESTS_API_CHAT_FAMILIES_H
#define TESTS_API_CHAT_FAMILIES_H

#include <stdio.h>

typedef struct chat_family {
    const char *dir, *gguf;
    const char *open, *close, *end; /* what the template writes around roles and contents */
} chat_family;

enum { N_FAMILIES = 10 };

static const chat_family chat_families[N_FAMILIES] = {
    {"llama-1b-like", "llama-1b-like-q4_k_m.gguf", "<|start_header_id|>", "<|end_header_id|>",
     "<|eot_id|>"},
    {"llama2-like", "llama2-like-f32.gguf", "<s>", "\n", "</s>"},
    {"phi3-mini-4k-like", "phi3-mini-4k-like-f32.gguf", "<|", "|>\n", "<|end|>\n"},
    {"phi3-128k-like", "phi3-128k-like-f32.gguf", "<|", "|>\n", "<|end|>\n"},
    {"phi4-mini-like-256", "phi4-mini-like-256-q3_k_m.gguf", "<|", "|>", "<|end|>"},
    {"qwen2-like-256", "qwen2-like-256-mix.gguf", "<|im_start|>", "\n", "<|im_end|>\n"},
    {"qwen3-like", "qwen3-like-bf16.gguf", "<|im_start|>", "\n", "<|im_end|>\n"},
    {"bitnet-like", "bitnet-like-i2_s.gguf", "", ": ", "<|eot_id|>"},
    {"golden-sambay/phi4flash-like:", "phi4flash-like-f32.gguf", "<|", "|>", "<|end|>"},
    {"golden-sambay/phi4flash-like-256:", "phi4flash-like-256-q4_k-q8_0.gguf", "<|", "|>",
     "<|end|>"},
};

/* Thinking of earlier turns (up to a full stop) and blanks around contents are taken out, as real
 * templates do. Valid until the next call. */
static inline const char *chat_family_template(const chat_family *f) {
    static char text[1024];
    snprintf(text, sizeof text,
             "{%% if tools %%}%ssystem%s{{ tools | tojson }}%s{%% endif %%}"
             "{%% for m in messages %%}%s{{ m.role }}%s"
             "{%% if m.role == 'assistant' and not loop.last and '.' in m.content %%}"
             "{{ m.content.split('.')[-1] }}{%% elif m.role == 'tool' %%}{{ m.content | tojson }}"
             "{%% else %%}{{ m.content | trim }}{%% endif %%}%s{%% endfor %%}"
             "{%% if add_generation_prompt %%}%sassistant%s{%% endif %%}",
             f->open, f->close, f->end, f->open, f->close, f->end, f->open, f->close);
    return text;
}

#endif
