/* The inside of slm_vocab, for the files of this folder. */
#ifndef SLM_TEXT_VOCAB_IMPL_H
#define SLM_TEXT_VOCAB_IMPL_H

#include "text/pretok.h"
#include "text/vocab.h"

/* Limits. A file beyond them is refused with SLM_ERR_LIMIT. */
enum {
    SLM_VOCAB_MAX_TOKENS = 1 << 20,
    SLM_VOCAB_MAX_MERGES = 1 << 22,
    SLM_VOCAB_MAX_TOKEN_BYTES = 4096,   /* spelling of a token                                      */
    SLM_VOCAB_MAX_SPECIAL_BYTES = 256,  /* spelling of a control or user-defined token              */
    SLM_VOCAB_MAX_PROBES = 1024         /* slots looked at for one entry of a hash table: a few dozen
                                           at most unless somebody chose the texts for it           */
};

/* tokenizer.ggml.token_type */
enum {
    SLM_TYPE_NORMAL = 1,
    SLM_TYPE_UNKNOWN = 2,
    SLM_TYPE_CONTROL = 3,
    SLM_TYPE_USER_DEFINED = 4,
    SLM_TYPE_UNUSED = 5,
    SLM_TYPE_BYTE = 6,
    SLM_TYPE_MASK = 7,
    SLM_TYPE_END = 8,  /* flag: ends a generation                                                   */
    SLM_TYPE_STRIP = 16 /* flag: swallows the white space that follows it                           */
};

#define SLM_NO_ID UINT32_MAX
#define SLM_NO_KEY UINT32_MAX

typedef struct slm_token_ref {
    uint32_t offset; /* of its spelling from the first byte of the array */
    uint32_t len;
} slm_token_ref;

typedef struct slm_text_slot {
    uint32_t hash;
    uint32_t id; /* SLM_NO_ID: free */
} slm_text_slot;

typedef struct slm_pair_slot {
    uint32_t left, right; /* ids; left SLM_NO_ID: free */
    uint32_t rank, merged;
} slm_pair_slot;

/* Spellings that are cut out of text before anything else, sorted; those that start with byte b
 * are first[b] to first[b + 1]. */
typedef struct slm_special_set {
    uint32_t *ids;
    uint32_t n;
    uint32_t first[257];
} slm_special_set;

struct slm_vocab {
    slm_host *host;
    slm_vocab_kind kind;
    slm_pretok pretok;
    const char *pre_name;
    uint32_t n;
    int32_t bos, eos, eot, eom, unk;
    int add_bos, add_eos, add_space_prefix;
    int ignore_merges; /* a piece that is a token is not merged                                     */
    int nfc;           /* text is brought into NFC first                                            */
    int split_words;   /* SentencePiece: no token has its U+2581 after another character            */
    const slm_gguf_kv *tokens;
    const slm_gguf_kv *scores; /* NULL for BPE                                                      */
    slm_token_ref *refs;       /* [n]                                                               */
    uint8_t *types;            /* [n]                                                               */
    slm_text_slot *texts;      /* [text_mask + 1]; of equal texts the first id                      */
    uint32_t text_mask;
    int has_duplicates;
    slm_pair_slot *pairs; /* [pair_mask + 1]; BPE                                                   */
    uint32_t pair_mask;
    uint32_t max_text;    /* bytes of the longest spelling                                          */
    uint32_t max_normal;  /* the same among normal tokens                                           */
    uint32_t byte_id[256]; /* the unknown token where a byte has none                              */
    int has_bytes;        /* every byte has a token of its own                                      */
    uint8_t byte_form[256][2]; /* UTF-8 of the printable form; a 0 where it is one byte */
    uint32_t ascii_id[128];    /* of the spelling that is one such byte; SLM_NO_ID: none */
    uint8_t stops[256]; /* SentencePiece: where a word may end: at what may start a blank, and at a
                           character of ASCII that is in no normal token and so never merges */
    slm_special_set special[2]; /* [1] for trusted text, [0] for the rest                           */
    uint64_t heap_bytes; /* as the host counts them */
};

static inline const char *slm_token_ptr(const slm_vocab *v, uint32_t id) {
    return (const char *)v->tokens->data + v->refs[id].offset;
}
static inline uint32_t slm_token_type(const slm_vocab *v, uint32_t id) {
    return v->types[id] & SLM_TYPE_MASK;
}

/* GPT-2's printable form of a byte (encoder.py): a code point from U+0021 to U+0143. */
uint32_t slm_byte_to_cp(uint8_t byte);
/* The byte that a code point of that form stands for; -1 for others. */
int slm_cp_to_byte(uint32_t cp);
/* The byte that "<0xHH>" names; -1 for any other text. */
int slm_parse_byte_token(const char *text, size_t len);

/* FNV-1a in pieces: start from SLM_HASH_START, fold at the end (Fowler, Noll and Vo). */
#define SLM_HASH_START 0xcbf29ce484222325u
static inline uint64_t slm_hash_byte(uint64_t h, uint8_t byte) {
    return (h ^ byte) * 0x100000001b3u;
}
static inline uint64_t slm_hash_bytes(uint64_t h, const char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        h = slm_hash_byte(h, (uint8_t)p[i]);
    return h;
}
static inline uint32_t slm_hash_fold(uint64_t h) {
    h ^= h >> 32;
    h *= 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32);
}

/* ---- tables.c ---- */

/* Builds texts from refs. */
slm_status slm_vocab_build_texts(slm_vocab *v, slm_error *error);
/* Ids of exact spellings, SLM_NO_ID when there is none. raw: of a normal token whose printable form
 * stands for these bytes. */
uint32_t slm_texts_find(const slm_vocab *v, const char *text, size_t len);
uint32_t slm_texts_find_raw(const slm_vocab *v, const char *bytes, size_t len);
/* Reads tokenizer.ggml.merges into pairs. */
slm_status slm_vocab_build_merges(slm_vocab *v, const slm_gguf *g, slm_error *error);
/* The merge of two adjacent tokens; NULL when there is none. */
const slm_pair_slot *slm_pairs_find(const slm_vocab *v, uint32_t left, uint32_t right);

/* ---- special.c ---- */

slm_status slm_vocab_build_specials(slm_vocab *v, slm_error *error);
/* The first spelling of the set in text[pos..n), the longest of those that start there. Returns
 * its position and sets *id; n when there is none. */
size_t slm_special_find(const slm_vocab *v, int trusted, const char *text, size_t n, size_t pos,
                        uint32_t *id);

#endif
