/* The short words that one call of the tokenizer has seen, each with its ids. A word lies at one
 * place only, by its hash, and goes when another comes there: a text made to collide costs no more
 * than one in which no word comes twice. Where words hardly come twice, looking rests for a
 * while. */
#ifndef SLM_TEXT_WORDS_H
#define SLM_TEXT_WORDS_H

#include "base/host.h"

#include <string.h>

enum {
    SLM_WORD_MIN = 2,  /* bytes */
    SLM_WORD_MAX = 24,
    SLM_WORD_IDS = 9,
    SLM_WORDS_CREDIT = 4096, /* a word not found takes 1, a word found gives 4 */
    SLM_WORDS_REST = 16384   /* words that are not looked for when there is none left */
};

typedef struct slm_word_key {
    uint64_t part[3]; /* with the length, all bytes of the word */
    uint32_t len;
} slm_word_key;

/* 64 bytes. */
typedef struct slm_word {
    uint64_t part[3];
    uint16_t len; /* 0: free */
    uint16_t n_ids;
    int32_t ids[SLM_WORD_IDS];
} slm_word;

typedef struct slm_words {
    slm_word *slots; /* NULL: none are kept */
    unsigned shift;  /* a hash shifted right by this is a place */
    int32_t credit, rest;
} slm_words;

/* For a text of this many bytes; a short one is not worth it. */
slm_status slm_words_open(slm_words *words, slm_host *host, size_t text_bytes, slm_error *error);
void slm_words_close(slm_words *words, slm_host *host);

static inline uint64_t slm_word_load8(const char *p) {
    uint64_t bytes;
    memcpy(&bytes, p, sizeof bytes);
    return bytes;
}
static inline uint64_t slm_word_load4(const char *p) {
    uint32_t bytes;
    memcpy(&bytes, p, sizeof bytes);
    return bytes;
}

/* The place of a word, and its key; NULL where it is not to be kept. */
static inline slm_word *slm_words_at(slm_words *words, const char *p, size_t n,
                                     slm_word_key *key) {
    if (!words->slots || n < SLM_WORD_MIN || n > SLM_WORD_MAX)
        return NULL;
    if (words->rest > 0) {
        words->rest--;
        return NULL;
    }
    uint64_t a, b = 0, c = 0;
    /* Loads of fixed sizes that overlap. */
    if (n >= 8) {
        a = slm_word_load8(p);
        b = slm_word_load8(p + n - 8);
        if (n > 16)
            c = slm_word_load8(p + 8);
    } else if (n >= 4) {
        a = slm_word_load4(p) | slm_word_load4(p + n - 4) << 32;
    } else {
        a = (uint64_t)(uint8_t)p[0] << 16 | (uint64_t)(uint8_t)p[1] << 8 | (uint8_t)p[n - 1];
    }
    *key = (slm_word_key){{a, b, c}, (uint32_t)n};
    uint64_t h = (a + n) * 0x9e3779b97f4a7c15u;
    h ^= h >> 32;
    h = (h ^ b) * 0xbf58476d1ce4e5b9u;
    h ^= h >> 32;
    h = (h ^ c) * 0x94d049bb133111ebu;
    return &words->slots[h >> words->shift];
}

/* Whether the word of this key is there. */
static inline int slm_words_hit(slm_words *words, const slm_word *word, const slm_word_key *key) {
    if (word->len == key->len && word->part[0] == key->part[0] &&
        word->part[1] == key->part[1] && word->part[2] == key->part[2]) {
        words->credit += words->credit < SLM_WORDS_CREDIT ? 4 : 0;
        return 1;
    }
    if (--words->credit == 0) {
        words->credit = SLM_WORDS_CREDIT / 4;
        words->rest = SLM_WORDS_REST;
    }
    return 0;
}

/* Keeps a word with its ids where these are few. */
static inline void slm_word_set(slm_word *word, const slm_word_key *key, const int32_t *ids,
                                size_t n_ids) {
    if (n_ids > SLM_WORD_IDS)
        return;
    memcpy(word->part, key->part, sizeof word->part);
    word->len = (uint16_t)key->len;
    word->n_ids = (uint16_t)n_ids;
    memcpy(word->ids, ids, n_ids * sizeof *ids);
}

#endif
