/* A grammar over bytes, as both GBNF and JSON Schema become it: rules, each a nondeterministic
 * automaton whose edges take a byte, take nothing, or call another rule (a recursive transition
 * network, Woods 1970). Text is UTF-8. */
#ifndef SLM_GUIDE_GRAMMAR_H
#define SLM_GUIDE_GRAMMAR_H

#include "base/host.h"

#define SLM_MAX_CODE_POINT 0x10ffffu

enum {
    SLM_GRAMMAR_MAX_NODES = 1 << 20,
    SLM_GRAMMAR_MAX_EDGES = 1 << 22,
    SLM_GRAMMAR_MAX_RULES = 1 << 16
};

/* Edges that are no call. */
#define SLM_EDGE_BYTES UINT32_MAX
#define SLM_EDGE_EMPTY (UINT32_MAX - 1)

typedef struct slm_grammar_edge {
    uint32_t to;
    uint32_t callee; /* a rule, SLM_EDGE_BYTES or SLM_EDGE_EMPTY */
    uint32_t next;   /* of the same node; 0: none                */
    uint8_t lo, hi;
} slm_grammar_edge;

/* A counted rule is min to max characters (max SLM_NO_MAXIMUM: any number). It has no nodes of its own
 * for each number: the automaton counts. The rest of a JSON string has the closing quote besides; the
 * characters of the others are of one class, and min is not 0. */
#define SLM_NO_MAXIMUM UINT32_MAX
enum { SLM_COUNTED_STRING = 1, SLM_COUNTED_CLASS };
typedef struct slm_grammar_rule {
    uint32_t start, end; /* nodes; the end has no edges                        */
    uint32_t min, max;   /* of a counted rule: start to end is one character   */
    uint8_t counted;     /* 0: it is none                                      */
    uint8_t class_of;    /* SLM_COUNTED_CLASS: a number in classes             */
} slm_grammar_rule;

typedef struct slm_cp_range {
    uint32_t lo, hi; /* code points, both included */
} slm_cp_range;

/* How a character stands in the text: as it is, or inside a JSON string. There, what JSON demands is
 * escaped and nothing else, except that the class of all characters has every spelling. */
typedef enum slm_spelling { SLM_SPELL_RAW, SLM_SPELL_JSON } slm_spelling;

/* A class of characters that counted rules repeat. */
typedef struct slm_counted_class {
    slm_cp_range *ranges; /* [n]                                                            */
    size_t n;
    slm_spelling spelling;
    uint32_t any;         /* the rule of any number of them, which nothing calls: for masks */
} slm_counted_class;

enum { SLM_MAX_CLASSES = 64 };

/* Nodes [base, base + size * n) are n copies of one expression, behind each of which it may be over.
 * So all that may follow a place in one copy may follow the same place in each copy before it. */
typedef struct slm_grammar_copies {
    uint32_t base, size, n;
} slm_grammar_copies;

/* Where a node stands in the copies around it, one of copies of copies in several. first is the same
 * node in the first of all of them. rank has a field for each: the number of the copy, and above it a
 * bit that is 0, which guard has as 1. */
typedef struct slm_grammar_place {
    uint64_t rank, guard; /* guard 0: in none */
    uint32_t first, bits; /* bits: of all fields */
} slm_grammar_place;

typedef struct slm_grammar {
    slm_host *host;
    slm_grammar_edge *edges; /* [0] is not used                       */
    uint32_t *first_edge;    /* [n_nodes]; 0: none                    */
    slm_grammar_rule *rules;
    uint32_t n_edges, n_nodes, n_rules;
    uint32_t cap_edges, cap_nodes, cap_rules;
    uint32_t root;
    slm_counted_class *classes; /* [SLM_MAX_CLASSES], or NULL           */
    uint32_t n_classes;
    uint32_t n_written;         /* rules whose nodes have been made, if they are counted classes */
    slm_grammar_copies *copies; /* those within others come first      */
    uint32_t n_copies, cap_copies;
    slm_status status;       /* of the first thing that did not fit; everything after it does nothing */
} slm_grammar;

void slm_grammar_init(slm_grammar *g, slm_host *host);
void slm_grammar_free(slm_grammar *g);
/* Fails with g->status, if that is a failure. */
slm_status slm_grammar_check(const slm_grammar *g, slm_error *error);

/* Building. After a failure the numbers returned mean nothing and do no harm. */
uint32_t slm_grammar_node(slm_grammar *g);
uint32_t slm_grammar_rule_new(slm_grammar *g); /* with a start and an end */
uint32_t slm_grammar_counted(slm_grammar *g, uint32_t min, uint32_t max); /* of a JSON string */
void slm_grammar_bytes(slm_grammar *g, uint32_t from, uint8_t lo, uint8_t hi, uint32_t to);
void slm_grammar_empty(slm_grammar *g, uint32_t from, uint32_t to);
void slm_grammar_call(slm_grammar *g, uint32_t from, uint32_t rule, uint32_t to);
void slm_grammar_text(slm_grammar *g, uint32_t from, const char *text, size_t len, uint32_t to);
/* One character of the ranges, which ascend and do not touch; surrogates in them count for nothing. */
void slm_grammar_class(slm_grammar *g, uint32_t from, const slm_cp_range *ranges, size_t n,
                       slm_spelling spelling, uint32_t to);
/* A counted rule of min to max of them, plus 1; where min is 0, of 1 to max. 0: there is none, because
 * they are too few for that, or the grammar has too many classes; they are to be written out. Its nodes
 * are made by slm_grammar_write_classes, which must come before anything that looks at them. */
uint32_t slm_grammar_counted_class(slm_grammar *g, const slm_cp_range *ranges, size_t n,
                                   slm_spelling spelling, uint32_t min, uint32_t max);
void slm_grammar_write_classes(slm_grammar *g);
/* min to max of them by such a rule, with its nodes. 0: nothing was added. */
int slm_grammar_repeat(slm_grammar *g, uint32_t from, const slm_cp_range *ranges, size_t n,
                       slm_spelling spelling, uint32_t min, uint32_t max, uint32_t to);
/* Says that nodes [base, base + size * n) are copies; see slm_grammar_copies. */
void slm_grammar_are_copies(slm_grammar *g, uint32_t base, uint32_t size, uint32_t n);
/* Where all n_nodes stand. */
void slm_grammar_find_places(const slm_grammar *g, slm_grammar_place *places);
/* Whether, by their places, all that may follow y may follow x. */
static inline int slm_place_covers(const slm_grammar_place *x, const slm_grammar_place *y) {
    return x->first == y->first && (((y->rank | y->guard) - x->rank) & y->guard) == y->guard;
}

/* The first rule, in order, that calls itself before it takes a byte; n_rules when there is none. */
slm_status slm_grammar_left_recursion(slm_grammar *g, uint32_t *rule, slm_error *error);
/* Takes away every edge that leads to no end, so that from every node that is left some text
 * completes the rule. productive[rule] says whether any text matches it; may be NULL. */
slm_status slm_grammar_trim(slm_grammar *g, uint8_t *productive, slm_error *error);

#endif
