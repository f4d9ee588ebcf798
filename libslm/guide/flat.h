/* A walk over the whole of a vocabulary, for configs of which a walk that passes over what it need
 * not look at would pass over little: that one waits for branches that nobody can foretell, here
 * there are none. The configs met are numbered, their steps stand in rows, and each level of the
 * trie is looked up from the one above it. */
#ifndef SLM_GUIDE_FLAT_H
#define SLM_GUIDE_FLAT_H

#include "guide/automaton.h"
#include "text/trie.h"

enum { SLM_FLAT_MAX_STATES = 8192 };

typedef struct slm_flat_state {
    uint32_t config;
    uint8_t is_known; /* its row is filled           */
    uint8_t escapes;  /* as its config does          */
} slm_flat_state;

typedef struct slm_flat {
    slm_host *host;
    const slm_trie *trie;
    slm_flat_state *states; /* [cap]; 0 is dead                                             */
    uint16_t *rows;         /* [cap][1 << shift] states by class of bytes                   */
    uint8_t class_of[256];  /* of bytes that no edge of the grammar tells apart             */
    uint32_t n_classes, shift;
    uint8_t *met;           /* [cap] whether a node with others below it has come there     */
    uint32_t n_states, cap_states;
    uint64_t last_work;     /* of the automaton, at which a walk is given up                */
    uint16_t *number;       /* [cap_numbers] of configs; 0: none yet, and all between walks */
    uint32_t cap_numbers;
    uint16_t *at;           /* [levels.n + 1] states of the places; the last is dead        */
} slm_flat;

void slm_flat_open(slm_host *host, const slm_grammar *g, const slm_trie *trie, slm_flat *f);
/* Frees what walks work with; the next one begins anew. */
void slm_flat_drop(slm_flat *f);

/* Follows all tokens from a config. 0: there is not enough memory, too many configs are met, they
 * take more work than that, or the automaton failed, as its status says; then nothing is kept. */
int slm_flat_walk(slm_flat *f, slm_automaton *a, uint32_t config, uint64_t most_work);
/* After a walk: adds the tokens that may come to a bitmap. */
void slm_flat_add(const slm_flat *f, uint64_t *bits);
/* After a walk: the nodes with others below them at which the frame at the bottom may end. Returns
 * how many there are, of which up to cap are in nodes. */
uint32_t slm_flat_escapes(const slm_flat *f, uint32_t *nodes, uint32_t cap);

#endif
