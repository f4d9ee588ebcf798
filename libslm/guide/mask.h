/* Which tokens of a vocabulary may come next, as a bitmap: bit id % 64 of word id / 64.
 *
 * Most of the work belongs to a frame and not to the stack below it: the tokens that stay in the
 * frame and in what it calls, and the tails of those in which the frame ends. Both are found once for
 * a frame by a walk over the trie on an unknown stack; for a config the tokens of its frames are
 * joined, and only the tails are tried on its stack. The frames of JSON strings differ only in how many
 * characters may still come: there one walk serves all, and so it does for other counted rules of one
 * class of characters (mask_class.c).
 *
 * A walk passes over what it need not look at: below a node whose characters are all of kinds that the
 * frame takes alike (kinds.h), all tokens may come; and tails are kept only of tokens that go on with a
 * byte that may follow the frame's rule anywhere in the grammar (follow.h).
 *
 * What a mask costs has an end: a walk that has looked at too much is given up for one over the whole
 * vocabulary (flat.h), of the frame if it is the only one that is not known yet, or else of the config
 * on its stack. A frame that ends in the middle of very many tokens is not kept at all: its configs
 * are walked from on their stacks. */
#ifndef SLM_GUIDE_MASK_H
#define SLM_GUIDE_MASK_H

#include "guide/automaton.h"
#include "guide/flat.h"
#include "guide/follow.h"
#include "guide/kinds.h"
#include "guide/tails.h"

#define SLM_MASK_RECENT 16u /* masks of configs that are kept */

typedef struct slm_frame_mask {
    uint64_t *bits;   /* the tokens, or NULL where they are few: then */
    int32_t *ids;     /* [n_ids]                                      */
    uint32_t n_ids;
    slm_tails tails;
    uint8_t ends;     /* it may end before any byte                   */
    uint8_t is_open;  /* it ends within too many tokens: the rest is not known */
} slm_frame_mask;

/* Of the characters of JSON strings; the trie owns it. */
typedef struct slm_string_mask {
    slm_trie_extra extra;
    uint64_t *bits;      /* tokens that are characters, whole or begun at their end              */
    int32_t *ids;        /* [n_ids] the same                                                     */
    uint16_t *need;      /* [n_ids] characters that each has begun, ascending                    */
    int32_t *closing;    /* [n_closing] tokens that end in the quote                             */
    uint16_t *before;    /* [n_closing] characters before it                                     */
    uint32_t n_ids, n_closing;
    slm_tails tails;     /* behind the quote                                                     */
} slm_string_mask;

/* Of the characters of a class that counted rules repeat. */
typedef struct slm_class_mask {
    uint64_t *bits;  /* tokens that are such characters, whole or begun at their end             */
    slm_tails tails; /* behind one or more of them                                               */
    uint8_t is_open; /* the tails are of too many tokens                                         */
} slm_class_mask;

/* How many characters tokens have begun, in one spelling. */
#define SLM_LENGTHS 32u
typedef struct slm_token_lengths {
    uint64_t *up_to;   /* [SLM_LENGTHS][n_words] tokens of at most so many                       */
    int32_t *longer;   /* [n_longer] those of more                                               */
    uint16_t *need;    /* [n_longer] how many they have                                          */
    uint32_t n_longer;
} slm_token_lengths;

/* Where a walk has got to: a config, which is expanded, and its table. */
typedef struct slm_walk_level {
    uint32_t config;
    const uint32_t *dense;
} slm_walk_level;

typedef struct slm_masker {
    slm_host *host;
    slm_automaton *automaton;
    slm_trie *trie;
    uint32_t n_words;        /* of a bitmap */
    slm_frame_mask **frames; /* [cap_frames] by frame */
    uint32_t cap_frames;
    slm_call_sites sites;
    slm_class_mask *classes[SLM_MAX_CLASSES];
    slm_token_lengths *lengths[2]; /* by spelling */
    uint32_t free_string;    /* the counted rule without limits, plus 1; 0: there is none */
    uint32_t *path;          /* [max_depth + 1] configs along a walk                              */
    uint64_t *scratch;       /* [n_words + 1], all but the last 0 between calls */
    slm_walk_level *levels;  /* [max_depth + 1] of the walk in hand                               */
    slm_kinds_runs *kinds;   /* of the walk in hand                                               */
    slm_flat flat;
    uint64_t n_visited;      /* nodes in all walks */
    uint64_t n_before;       /* ... before the mask in hand */
    uint32_t n_flat;         /* walks that were given up for one over all nodes */
    uint8_t *given_up;       /* [n_rules + 1] by rule plus 1: how many of the last walks          */
    int is_warm;             /* warm-up is over */
    int is_one_by_one;       /* frames are not walked from together */
    uint32_t *escapes;       /* of the walk in hand: nodes at which the frame ends                */
    uint32_t n_escapes, cap_escapes;
    slm_item *items;
    uint32_t cap_items;
    uint64_t *recent[SLM_MASK_RECENT];
    uint32_t recent_config[SLM_MASK_RECENT];
    uint32_t next_recent;
} slm_masker;

/* free_string: the counted rule of any string, plus 1, or 0. */
slm_status slm_masker_open(slm_host *host, slm_automaton *a, slm_trie *trie,
                           uint32_t free_string, slm_masker *m, slm_error *error);
void slm_masker_close(slm_masker *m);
/* Finds out beforehand what no mask should wait for: about JSON strings, once for a vocabulary, and
 * about frames, from the root's on, for a few milliseconds and while less than most_bytes are held.
 * What a grammar is refused for is not found here, but where a text gets there. To be called after
 * slm_automaton_begin. */
slm_status slm_masker_warm_up(slm_masker *m, uint64_t most_bytes, slm_error *error);

/* The tokens that may come after a config, end tokens where the text may end. *bits is valid until
 * the next call. To be called after slm_automaton_begin. */
slm_status slm_masker_find(slm_masker *m, uint32_t config, const uint64_t **bits, slm_error *error);
/* Frees what is kept of frames and configs: after slm_automaton_forget their numbers mean others. */
void slm_masker_shrink(slm_masker *m);

#endif
