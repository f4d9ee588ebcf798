/* Deterministic automata over code points: what patterns, formats, ranges of numbers and names of
 * members become, since they can be intersected and found empty. */
#ifndef SLM_GUIDE_DFA_H
#define SLM_GUIDE_DFA_H

#include "base/arena.h"
#include "base/str.h"
#include "guide/grammar.h"

enum {
    SLM_DFA_MAX_CELLS = 1 << 21, /* states times classes of one automaton                          */
    SLM_DFA_MAX_WORK = 1 << 25   /* elementary steps of all together, less than a tenth of a second */
};

typedef struct slm_dfa {
    uint32_t n_states;      /* 0 is dead, 1 the start                                            */
    uint32_t n_classes;     /* of code points that are treated alike                             */
    const uint32_t *first;  /* [n_classes] first code point of each, ascending from 0            */
    uint32_t *next;         /* [n_states * n_classes]                                            */
    uint8_t *accepts;       /* [n_states]                                                        */
} slm_dfa;

/* A nondeterministic automaton over code points, to be made into one of these. */
typedef struct slm_nfa_edge {
    uint32_t to, next;
    slm_cp_range range; /* of an SLM_NFA_RANGE */
    uint8_t kind;
} slm_nfa_edge;
enum { SLM_NFA_RANGE, SLM_NFA_EMPTY, SLM_NFA_BEGIN /* ^ */, SLM_NFA_END /* $ */ };

enum { SLM_NFA_MAX_EDGES = 1 << 17 };

typedef struct slm_nfa {
    slm_host *host;
    slm_nfa_edge *edges; /* [0] is not used */
    uint32_t *first_edge;
    uint32_t n_edges, n_nodes, cap_edges, cap_nodes;
    slm_status status; /* of the first thing that did not fit; everything after it does nothing */
} slm_nfa;

void slm_nfa_init(slm_nfa *n, slm_host *host);
void slm_nfa_free(slm_nfa *n);
uint32_t slm_nfa_node(slm_nfa *n);
void slm_nfa_edge_add(slm_nfa *n, uint32_t from, int kind, slm_cp_range range, uint32_t to);

/* Characters of some categories of Unicode, as slm_cp_class names them; ascending. */
typedef struct slm_category {
    const slm_cp_range *ranges; /* NULL: not found out yet */
    size_t n;
    uint32_t mask;
} slm_category;

/* Where automata live, and the work that has gone into those of one schema, which is bounded. */
typedef struct slm_dfa_space {
    slm_arena *arena;
    uint64_t work;
    slm_category categories[4]; /* those that patterns have named */
} slm_dfa_space;

slm_status slm_dfa_spend(slm_dfa_space *space, uint64_t work, slm_error *error);

/* SLM_ERR_LIMIT for what becomes too large. */

/* The texts that lead from start to end. BEGIN holds before the first character, END after the
 * last. */
slm_status slm_dfa_from_nfa(slm_dfa_space *space, const slm_nfa *nfa, uint32_t start, uint32_t end,
                            const slm_dfa **out, slm_error *error);
/* The texts of a that b accepts as well, or (without != 0) does not. */
slm_status slm_dfa_product(slm_dfa_space *space, const slm_dfa *a, const slm_dfa *b, int without,
                           const slm_dfa **out, slm_error *error);
/* Exactly these words, which are UTF-8. */
slm_status slm_dfa_words(slm_dfa_space *space, const slm_str *words, size_t n, const slm_dfa **out,
                         slm_error *error);
/* Texts of min to max characters; SLM_NO_MAXIMUM: any number. */
slm_status slm_dfa_length(slm_dfa_space *space, uint32_t min, uint32_t max, const slm_dfa **out,
                          slm_error *error);
/* A DFA over the classes that begin at first, every transition leading to the dead state. */
slm_status slm_dfa_make(slm_dfa_space *space, uint32_t n_states, const uint32_t *first,
                        uint32_t n_classes, slm_dfa **out, slm_error *error);
/* Transitions that lead to no accepting state lead to the dead one afterwards. */
slm_status slm_dfa_trim(slm_host *host, slm_dfa *d, slm_error *error);

int slm_dfa_is_empty(const slm_dfa *d);
int slm_dfa_accepts(const slm_dfa *d, slm_str text);
/* Whether every text is accepted from this state on. */
int slm_dfa_is_universal(const slm_dfa *d, uint32_t state);

/* Adds the automaton to a grammar. In JSON spelling, what follows from a state that accepts anything
 * is the rule any_tail, closing quote included, and elsewhere the quote leads to the node to. */
slm_status slm_dfa_emit(slm_host *host, slm_grammar *g, const slm_dfa *d, uint32_t from,
                        slm_spelling spelling, uint32_t any_tail, uint32_t to, slm_error *error);

/* regex.c: a pattern of ECMA 262 (with the u flag), found anywhere in a text. SLM_ERR_GRAMMAR for
 * what is no pattern, SLM_ERR_UNSUP for look-around, back references and the like, with the byte of
 * the pattern in error->offset. */
slm_status slm_regex_compile(slm_dfa_space *space, slm_str pattern, const slm_dfa **out,
                             slm_error *error);

#endif
