/* What is left of tokens behind the places where a frame ends in the middle of them. Many tokens have
 * the same tail ('",' or '"}'), so tails are kept as a trie of their own: it is walked once for all. */
#ifndef SLM_GUIDE_TAILS_H
#define SLM_GUIDE_TAILS_H

#include "guide/follow.h"
#include "text/trie.h"

typedef struct slm_tails {
    slm_trie_node *nodes; /* token: the group of a tail                                              */
    uint32_t *first;      /* [n_groups + 1] of each group, in ids                                    */
    int32_t *ids;         /* tokens                                                                  */
    uint16_t *before;     /* of each, characters before the place; NULL where none are counted       */
    uint32_t n_nodes, n_groups;
    uint32_t max_depth;
} slm_tails;

/* Of the tokens below these n nodes of a trie that go on with one of these bytes; before: of each
 * node, or NULL. */
slm_status slm_tails_make(slm_host *host, const slm_trie *t, const uint32_t *places,
                          const uint16_t *before, uint32_t n, const slm_byte_set *follow,
                          slm_tails *out, slm_error *error);
/* Whether they would be of more than so many tokens, counted once for each node above. */
int slm_tails_exceed(const slm_trie *t, const uint32_t *places, uint32_t n,
                     const slm_byte_set *follow, uint32_t most);
void slm_tails_free(slm_host *host, slm_tails *tails);

#endif
