/* The walks over a vocabulary that masks are made by. */
#ifndef SLM_GUIDE_MASK_WALK_H
#define SLM_GUIDE_MASK_WALK_H

#include "guide/mask.h"

#define SLM_MANY_TAILS  2048u  /* tokens: a frame that ends within more is open */
#define SLM_MANY_BEFORE 16384u /* the same during warm-up                       */
#define SLM_FLAT_NODES  8u     /* nodes of a flat walk take the time of one of the other walk */

static inline void set_bit(uint64_t *bits, int32_t id) {
    uint32_t at = (uint32_t)id;
    bits[at / 64] |= (uint64_t)1 << (at % 64);
}

static inline void clear_bit(uint64_t *bits, int32_t id) {
    uint32_t at = (uint32_t)id;
    bits[at / 64] &= ~((uint64_t)1 << (at % 64));
}

/* Over the trie from a config, which is expanded, of a frame on the stack FRAME if something may
 * follow it: sets the bits of what it takes in scratch, and notes in escapes the nodes where the
 * frame ends with more to come that may follow it. *done is 0 for a walk that was given up because
 * it came to too many nodes, which depends on how earlier ones for the rule (plus 1; 0: none) went.
 */
slm_status slm_mask_walk(slm_masker *m, uint32_t config, const slm_byte_set *follow, uint32_t rule,
                         int *done, slm_error *error);
/* The same to its end, by looking at all nodes. */
slm_status slm_mask_walk_flat(slm_masker *m, uint32_t config, const slm_byte_set *follow,
                              slm_error *error);
/* mask.c: adds the tokens whose tails may follow a config, of those with a count from least to
 * most. */
slm_status slm_mask_apply_tails(slm_masker *m, const slm_tails *t, uint32_t config, uint32_t least,
                                uint32_t most, uint64_t *bits);
/* The config to which the rule that ends on a stack goes back. */
uint32_t slm_mask_below(slm_automaton *a, uint32_t stack);
slm_status slm_mask_find_strings(slm_masker *m, const slm_string_mask **out, slm_error *error);

/* mask_class.c: finds out about a class of characters, if it is not known. */
slm_status slm_mask_warm_class(slm_masker *m, uint32_t class_of, slm_error *error);
/* Adds the tokens of an item between two characters of a class; *is_open: but for the tails, which
 * are not known. */
slm_status slm_mask_apply_class(slm_masker *m, slm_item item, uint64_t *bits, int *is_open,
                                slm_error *error);
void slm_mask_free_classes(slm_masker *m);

#endif
