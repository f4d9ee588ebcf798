/* The walks over a vocabulary that masks are made by. */
#ifndef SLM_GUIDE_MASK_WALK_H
#define SLM_GUIDE_MASK_WALK_H

#include "guide/mask.h"

#define SLM_FLAT_NODES 8u /* nodes of a flat walk take the time of one of the other walk */

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

#endif
