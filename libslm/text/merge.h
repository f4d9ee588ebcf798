/* Merging the symbols of one piece of text, the inner loop of both tokenizers. */
#ifndef SLM_TEXT_MERGE_H
#define SLM_TEXT_MERGE_H

#include "base/buffer.h"
#include "text/vocab_impl.h"
#include "text/words.h"

typedef struct slm_symbol {
    uint32_t id;         /* SLM_NO_ID: no token, only text (SentencePiece)                          */
    uint32_t start;      /* first byte in the piece                                                 */
    uint32_t next, prev; /* neighbours; the number of symbols past either end                       */
    uint32_t key;        /* of the merge with the next symbol, lowest first; SLM_NO_KEY: none       */
    uint32_t merged;     /* what that merge makes                                                   */
} slm_symbol;

/* What one call of the tokenizer works with. */
typedef struct slm_tokenizer {
    const slm_vocab *v;
    slm_buffer ids;      /* int32_t: the result                                                     */
    slm_buffer symbols;  /* slm_symbol                                                              */
    slm_buffer heap;     /* uint64_t                                                                */
    slm_buffer normal;   /* text in NFC, or with U+2581 for blanks                                  */
    slm_buffer joined;   /* neighbouring spans of equal trust                                       */
    slm_words words;     /* pieces of before                                                        */
    int prefix_due;      /* the next text gets SentencePiece's leading blank                        */
    int strip_due;       /* white space is swallowed                                                */
} slm_tokenizer;

/* Appends the ids of one piece, byte-level BPE: bytes, then the pair that comes first in the list
 * of merges, leftmost of equals, until there is none (Sennrich et al. 2016). */
slm_status slm_merge_bpe(slm_tokenizer *t, const char *piece, size_t n, slm_error *error);
/* The same for SentencePiece's kind: characters, then the pair that makes the token of the highest
 * score, leftmost of equals (Kudo and Richardson 2018). What is no token becomes its bytes. */
slm_status slm_merge_spm(slm_tokenizer *t, const char *piece, size_t n, slm_error *error);

static inline slm_status slm_push_id(slm_tokenizer *t, uint32_t id, slm_error *error) {
    int32_t value = (int32_t)id;
    if (sizeof value > t->ids.cap - t->ids.len)
        SLM_TRY(slm_buffer_reserve(&t->ids, sizeof value, error));
    memcpy(t->ids.ptr + t->ids.len, &value, sizeof value);
    t->ids.len += sizeof value;
    return SLM_OK;
}

/* The ids of a word of before. All of its places are copied, which takes a few instructions. */
static inline slm_status slm_push_word(slm_tokenizer *t, const slm_word *word, slm_error *error) {
    if (sizeof word->ids > t->ids.cap - t->ids.len)
        SLM_TRY(slm_buffer_reserve(&t->ids, sizeof word->ids, error));
    memcpy(t->ids.ptr + t->ids.len, word->ids, sizeof word->ids);
    t->ids.len += word->n_ids * sizeof *word->ids;
    return SLM_OK;
}

/* Keeps a word whose ids are those from byte ids_at on. */
static inline void slm_keep_word(const slm_tokenizer *t, slm_word *word, const slm_word_key *key,
                                 size_t ids_at) {
    slm_word_set(word, key, (const int32_t *)(const void *)(t->ids.ptr + ids_at),
                 (t->ids.len - ids_at) / sizeof(int32_t));
}

#endif
