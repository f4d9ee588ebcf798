/* Small vocabularies made in memory: for wrong files, for failing allocations and for the fuzzer. A
 * test changes the tables before making the file. */
#ifndef TESTS_UNIT_MINI_VOCAB_H
#define TESTS_UNIT_MINI_VOCAB_H

#include "gguf/gguf.h"
#include "support/gguf_builder.h"
#include "text/unicode.h"
#include "text/vocab.h"
#include "text/vocab_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MINI_MAX_TOKENS = 400, MINI_MAX_MERGES = 64 };
/* Keys that mini_file leaves out. */
enum { MINI_NO_TOKENS = 1, MINI_NO_TYPES = 2, MINI_NO_SCORES = 4, MINI_NO_MERGES = 8 };

typedef struct mini_vocab {
    const char *model, *pre; /* NULL: no such key                                                   */
    const char *tokens[MINI_MAX_TOKENS];
    int32_t types[MINI_MAX_TOKENS];
    float scores[MINI_MAX_TOKENS];
    size_t n;
    const char *merges[MINI_MAX_MERGES];
    size_t n_merges;
    int without; /* MINI_NO_...                                                                     */
    char byte_text[256][8];
} mini_vocab;

static inline size_t mini_add(mini_vocab *m, const char *text, int32_t type, float score) {
    m->tokens[m->n] = text;
    m->types[m->n] = type;
    m->scores[m->n] = score;
    return m->n++;
}

static inline size_t mini_find(const mini_vocab *m, const char *text) {
    size_t i = 0;
    while (i < m->n && strcmp(m->tokens[i], text) != 0)
        i++;
    return i;
}

/* Byte-level BPE: 256 bytes, the results of the merges, a token that no merge makes ("xyz"), and
 * special tokens. "\xC4\xA0" is the printable form of a blank, "\xC4\x8A" of a newline. */
static inline void mini_bpe(mini_vocab *m, const char *pre) {
    static const char *const MERGES[] = {
        "a a",          "aa aa",       "a b",       "b a",          "aa b",
        "ab ab",        "b b",         "t h",       "h e",          "th e",
        "\xC4\xA0 t",
        "\xC4\xA0t he", "\xC4\xA0 \xC4\xA0", "\xC4\xA0\xC4\xA0 \xC4\xA0\xC4\xA0",
        "\xC4\x8A \xC4\x8A", "- -",    "-- --",     "1 2",          "12 3",
        "2 3",          "' s",         "\xC3\x83 \xC2\xA9", "\xC3\xA4 \xC2\xB8", "\xC4\xA0 a",
        "A B",          "B A",         "< |",       "| >",          "e \xC3\x8C",
    };
    memset(m, 0, sizeof *m);
    m->model = "gpt2";
    m->pre = pre;
    for (int b = 0; b < 256; b++) {
        m->byte_text[b][slm_utf8_encode(slm_byte_to_cp((uint8_t)b), m->byte_text[b])] = 0;
        mini_add(m, m->byte_text[b], SLM_TYPE_NORMAL, 0);
    }
    static char results[sizeof MERGES / sizeof *MERGES][24];
    for (size_t i = 0; i < sizeof MERGES / sizeof *MERGES; i++) {
        const char *space = strchr(MERGES[i] + 1, ' ');
        snprintf(results[i], sizeof results[i], "%.*s%s", (int)(space - MERGES[i]), MERGES[i],
                 space + 1);
        m->merges[m->n_merges++] = MERGES[i];
        mini_add(m, results[i], SLM_TYPE_NORMAL, 0);
    }
    mini_add(m, "xyz", SLM_TYPE_NORMAL, 0);
    mini_add(m, "<|bos|>", SLM_TYPE_CONTROL, 0);
    mini_add(m, "<|im_end|>", SLM_TYPE_CONTROL, 0);
    mini_add(m, "<|im_end|>more", SLM_TYPE_CONTROL, 0);
    mini_add(m, "<tool>", SLM_TYPE_USER_DEFINED, 0);
    mini_add(m, "[PAD1]", SLM_TYPE_UNUSED, 0);
}

/* SentencePiece: unknown, BOS, EOS, 256 bytes, characters and pieces. */
static inline void mini_spm(mini_vocab *m) {
    static const struct {
        const char *text;
        float score;
    } PIECES[] = {
        {"a", -50},  {"b", -51},   {"c", -52},       {"t", -53},     {"h", -54},
        {"e", -55},  {"\xE2\x96\x81", -56}, {"ab", -3}, {"aa", -4},  {"ba", -4},
        {"aab", -2}, {"abab", -1}, {"th", -5},       {"the", -6},    {"\xE2\x96\x81the", -7},
        {"\xE2\x96\x81t", -5.5f}, {"\xE2\x96\x81\xE2\x96\x81", -8}, {"\xE2\x96\x81" "a", -9},
        {"\xC3\xA9", -57}, {"e\xC3\xA9", -10}, {"\xE4\xB8\x80", -58},
        {"xyz", -1}, /* its parts are no tokens */
    };
    memset(m, 0, sizeof *m);
    m->model = "llama";
    m->pre = "default";
    m->without = MINI_NO_MERGES;
    mini_add(m, "<unk>", SLM_TYPE_UNKNOWN, 0);
    mini_add(m, "<s>", SLM_TYPE_CONTROL, 0);
    mini_add(m, "</s>", SLM_TYPE_CONTROL, 0);
    for (unsigned b = 0; b < 256; b++) {
        snprintf(m->byte_text[b], sizeof m->byte_text[b], "<0x%02X>", b);
        mini_add(m, m->byte_text[b], SLM_TYPE_BYTE, 0);
    }
    for (size_t i = 0; i < sizeof PIECES / sizeof *PIECES; i++)
        mini_add(m, PIECES[i].text, SLM_TYPE_NORMAL, PIECES[i].score);
    mini_add(m, "<|user|>", SLM_TYPE_CONTROL, 0);
    mini_add(m, "<tool>", SLM_TYPE_USER_DEFINED, 0);
}

/* The file; a test may add keys before gb_finish. */
static inline gb *mini_file(const mini_vocab *m) {
    gb *b = gb_begin();
    gb_kv_str(b, "general.architecture", "llama");
    if (m->model)
        gb_kv_str(b, "tokenizer.ggml.model", m->model);
    if (m->pre)
        gb_kv_str(b, "tokenizer.ggml.pre", m->pre);
    if (!(m->without & MINI_NO_TOKENS))
        gb_kv_arr_str(b, "tokenizer.ggml.tokens", m->tokens, m->n);
    if (!(m->without & MINI_NO_TYPES))
        gb_kv_arr_i32(b, "tokenizer.ggml.token_type", m->types, m->n);
    if (!(m->without & MINI_NO_SCORES))
        gb_kv_arr_f32(b, "tokenizer.ggml.scores", m->scores, m->n);
    if (!(m->without & MINI_NO_MERGES))
        gb_kv_arr_str(b, "tokenizer.ggml.merges", m->merges, m->n_merges);
    return b;
}

typedef struct mini_open {
    slm_host host;
    slm_gguf *g;
    slm_vocab *v;
    slm_status status;
    slm_error error;
    int warnings;
    char warning[300];
} mini_open;

static inline void mini_on_log(void *user, slm_log_level level, const char *line) {
    mini_open *o = user;
    o->warnings += level == SLM_LOG_WARNING;
    snprintf(o->warning, sizeof o->warning, "%s", line);
}

/* Opens what the builder holds, which is freed. The file itself must be well-formed. */
static inline void mini_try(mini_open *o, gb *b, const slm_allocator *allocator) {
    slm_error fresh = SLM_ERROR_INIT;
    memset(o, 0, sizeof *o);
    o->error = fresh;
    slm_host_init(&o->host, allocator, mini_on_log, o, SLM_LOG_WARNING);
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    slm_file *file = NULL;
    o->status = slm_file_open_memory(&o->host, bytes, size, SLM_LOAD_READ, &file, &o->error);
    if (o->status == SLM_OK)
        o->status = slm_gguf_open_file(&o->host, file, SLM_GGUF_NO_TENSORS, &o->g, &o->error);
    slm_str architecture = {"", 0};
    if (o->status == SLM_OK) {
        (void)slm_gguf_get_str(o->g, "general.architecture", 0, &architecture, NULL);
        o->status = slm_vocab_open(&o->host, o->g, architecture, &o->v, &o->error);
    }
    gb_free(b);
}

static inline void mini_close(mini_open *o) {
    slm_vocab_close(o->v);
    slm_gguf_close(o->g);
}

#endif
