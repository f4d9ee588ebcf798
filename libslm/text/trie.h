/* The tokens of a vocabulary that add bytes to a text, as a trie in one array: what shares a prefix
 * is tried once, and what a prefix rules out is passed over in one step. Immutable but for what it
 * keeps for others; any thread. */
#ifndef SLM_TEXT_TRIE_H
#define SLM_TEXT_TRIE_H

#include "text/vocab.h"

#include <stdatomic.h>

/* The nodes in depth first order, children by ascending byte; the root is none of them. */
typedef struct slm_trie_node {
    uint32_t skip;  /* the first node behind this one and all below it */
    int32_t token;  /* that ends here; -1: none                        */
    uint16_t depth; /* bytes up to here, its own included              */
    uint8_t byte;
    uint8_t is_branch; /* has an slm_trie_branch                       */
} slm_trie_node;

/* A text for a trie, and the number that its last node gets. */
typedef struct slm_trie_entry {
    const char *bytes;
    uint32_t len; /* 1 to UINT16_MAX */
    int32_t token;
} slm_trie_entry;

/* Sorts entries with ascending tokens by their bytes; equal ones keep their order. */
slm_status slm_trie_sort(slm_host *host, slm_trie_entry *entries, uint32_t n, slm_error *error);
/* Nodes of n texts that ascend and differ; *nodes is to be freed. */
slm_status slm_trie_build(slm_host *host, const slm_trie_entry *entries, uint32_t n,
                          slm_trie_node **nodes, uint32_t *n_nodes, uint32_t *max_depth,
                          slm_error *error);

/* Kinds of characters, as bits of a set: what lies below a node is known by its kinds. Characters that
 * grammars tell apart from others have kinds of their own. */
#define SLM_N_KINDS 64u
#define SLM_KIND_WIDE   ((uint64_t)1 << 62) /* UTF-8 of several bytes, or the beginning of it */
#define SLM_KIND_BROKEN ((uint64_t)1 << 63) /* bytes that are none of these                   */
extern const uint8_t slm_kinds[128];        /* the kinds of ASCII, as numbers of bits         */

/* A node with several others below it: what decides whether all of that may come. (An only child with
 * few below it has none: it would seldom decide otherwise than its parent's.) */
typedef struct slm_trie_branch {
    uint64_t kinds[3];   /* of the first character below the node, the second, and all behind     */
    uint32_t first, end; /* of the trie's ids: the tokens, the node's own included                */
    uint32_t skip;       /* the first branch behind this one and those below it                   */
    uint16_t height;     /* characters of the longest text below                                  */
    uint8_t partial;     /* the node ends within a character, which counts as the first below it;
                            it is broken if it has begun above                                    */
} slm_trie_branch;

/* The same nodes, level by level behind the root, for a walk that looks at all of them and decides
 * nothing on its way. Of each level, those with others below them come first, each kind in the order
 * of the nodes, and so of their parents. */
typedef struct slm_trie_levels {
    uint32_t n;         /* places: the root, 0, and the nodes                            */
    uint32_t *first;    /* [max_depth + 2] of each level; the last is n                  */
    uint32_t *leaves;   /* [max_depth + 1] the first without others below it             */
    uint32_t *parent;   /* [n] places                                                    */
    uint8_t *byte;      /* [n]                                                           */
    uint32_t *node;     /* [n] numbers of the nodes                                      */
    uint32_t *of_token; /* [n_vocab] places; n for tokens that are not in the trie       */
} slm_trie_levels;

/* What others keep with a trie begins with this. */
typedef struct slm_trie_extra slm_trie_extra;
struct slm_trie_extra {
    void (*destroy)(slm_host *host, slm_trie_extra *self);
};

typedef struct slm_trie {
    slm_host *host;
    const slm_vocab *vocab;
    slm_trie_node *nodes;
    uint32_t n_nodes;
    uint32_t max_depth;
    slm_trie_branch *branches; /* in the order of their nodes                                     */
    uint32_t n_branches;
    slm_trie_levels levels;
    int32_t *ids;        /* [n_ids] the tokens in the order of their nodes                        */
    uint32_t n_ids;
    uint64_t *inside;    /* bitmap of them                                                        */
    uint32_t n_vocab;    /* entries of the vocabulary                                             */
    int32_t (*twins)[2]; /* tokens with the bytes of one that is in the trie: {token, that one}   */
    uint32_t n_twins;
    int32_t *ends;       /* tokens that end a generation                                          */
    uint32_t n_ends;
    _Atomic(slm_trie_extra *) extra; /* what guide/mask.c finds out once for all guides; or NULL  */
    uint64_t *outside;   /* bitmap of those that are neither in the trie nor twins nor ends:
                            control tokens and what has no bytes                                  */
} slm_trie;

/* Finds the branches; the nodes are there. */
slm_status slm_trie_find_branches(slm_trie *t, slm_error *error);
/* Fills in the levels, and frees them. */
slm_status slm_trie_find_levels(slm_trie *t, slm_error *error);
void slm_trie_free_levels(slm_trie *t);

slm_status slm_trie_open(slm_host *host, const slm_vocab *vocab, slm_trie **out, slm_error *error);
void slm_trie_close(slm_trie *t); /* NULL is fine */

#endif
