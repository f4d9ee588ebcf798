/* Cutting text into the pieces within which byte-level BPE merges. */
#ifndef SLM_TEXT_PRETOK_H
#define SLM_TEXT_PRETOK_H

#include <stddef.h>

typedef enum slm_pretok {
    SLM_PRETOK_NONE = 0, /* SentencePiece: no pieces */
    SLM_PRETOK_LLAMA3 = 1,
    SLM_PRETOK_QWEN2 = 2,
    SLM_PRETOK_GPT4O = 3,
    SLM_PRETOK_GPT2 = 4
} slm_pretok;

/* The end of the piece that starts at text[pos], pos < n. Every piece has at least one byte; the
 * pieces of a text take time linear in it. */
size_t slm_pretok_next(slm_pretok kind, const char *text, size_t n, size_t pos);

#endif
