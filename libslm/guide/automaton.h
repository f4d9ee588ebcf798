/* A grammar as a pushdown automaton over bytes that is made deterministic as it is used.
 *
 *   frame   a set of nodes of one rule: where its text may have got to. Frames are the states of
 *           deterministic automata, one for each rule (Rabin and Scott 1959, for each rule).
 *   stack   the frames to go back to when rules end, as a linked list of which equal ones exist once.
 *   config  a set of pairs of a frame and a stack: all that a text may have got to. Equal ones exist
 *           once, so that a step is a look into a table after the first time.
 *
 * Of two items, one may cover the other: all that may follow the second may follow the first. Then the
 * second is forgotten, and so are nodes of a frame. That is known of counted characters (of which fewer
 * have come, but enough) and of copies of an expression (guide/grammar.h).
 *
 * Two stacks are special: below TEXT there is nothing, and a rule that ends there ends the text;
 * below FRAME lies what is not known, which is how the tokens of a frame are found once for all the
 * stacks that it will ever stand on.
 *
 * Every frame is of a trimmed grammar, so from every config some text leads to an end. One thread at
 * a time. */
#ifndef SLM_GUIDE_AUTOMATON_H
#define SLM_GUIDE_AUTOMATON_H

#include "base/arena.h"
#include "guide/grammar.h"

enum {
    SLM_STACK_TEXT = 0,
    SLM_STACK_FRAME = 1,
    SLM_CONFIG_MAX_ITEMS = 4096,
    SLM_AUTOMATON_MAX_WORK = 1 << 26 /* of one call from outside, a few operations each: < 1 s */
};

typedef struct slm_frame_edge {
    uint32_t frame;
    uint8_t lo, hi;
} slm_frame_edge;

typedef struct slm_frame_call {
    uint32_t start, back; /* frames: of the rule called, and where to go on after it */
} slm_frame_call;

typedef struct slm_frame {
    const uint32_t *nodes;       /* ascending; of a counted rule, within one character      */
    const slm_frame_edge *edges; /* ascending, once expanded                                */
    const slm_frame_call *calls;
    uint32_t n_nodes, n_edges, n_calls;
    uint32_t counted;            /* the rule that counts, plus 1; else 0                    */
    uint32_t count;              /* whole characters so far                                 */
    uint8_t accepts;             /* the rule may end here                                   */
    uint8_t final;               /* ... and can do nothing else                             */
    uint8_t expanded;
    uint8_t varies;              /* others may have its shape                               */
    uint32_t shape;              /* equal where one may cover the other                     */
    uint64_t sum;                /* ... which then has the smaller one                      */
} slm_frame;

typedef struct slm_stack {
    uint32_t back, below; /* a frame, and a stack                         */
    uint32_t shape;       /* of its frames together; 0: none of them varies */
    uint64_t sum;
} slm_stack;

typedef struct slm_item {
    uint32_t frame, stack;
} slm_item;

/* An item that varies, and its place among those of its config; shape and sum are of its frame and
 * its stack together. */
typedef struct slm_varied_item {
    uint64_t sum;
    uint32_t shape, at;
    slm_item item;
} slm_varied_item;

/* A slot of the table of items reached: whose it is counts if the epoch is the present one. */
typedef struct slm_seen {
    uint32_t epoch, index;
} slm_seen;

typedef struct slm_guide_config {
    const slm_item *items;       /* ascending */
    const uint32_t *dense;       /* [256] configs by byte; NULL: see edges                  */
    const slm_frame_edge *edges; /* to configs                                              */
    uint32_t n_items, n_edges;
    uint64_t even;               /* kinds that lead to one config (guide/kinds.h)           */
    uint32_t even_to;            /* ... which is this                                       */
    uint8_t even_known;          /* ... 0: nothing of that is known yet                     */
    uint8_t accepts;             /* the text may end here                                   */
    uint8_t escapes;             /* the frame at the bottom may end here                    */
    uint8_t expanded;
} slm_guide_config;

typedef struct slm_table {
    uint32_t *slots; /* numbers plus 1; 0: free */
    uint32_t n_slots;
} slm_table;

typedef struct slm_arc {
    uint32_t to, stack;
    uint8_t lo, hi;
} slm_arc;

typedef struct slm_automaton {
    slm_host *host;
    const slm_grammar *grammar;
    slm_arena arena;
    slm_frame *frames;
    slm_stack *stacks;
    slm_guide_config *configs; /* [0] is dead */
    uint32_t n_frames, n_stacks, n_configs, cap_frames, cap_stacks, cap_configs;
    slm_table frame_table, stack_table, config_table;
    uint32_t *start_frame; /* [n_rules] plus 1; 0: not made yet */
    uint8_t *is_end;       /* [n_nodes]                         */
    slm_grammar_place *places; /* [n_nodes], or NULL: no node is a copy of another */
    /* of use during a call */
    uint32_t *mark, epoch; /* [n_nodes] the epoch in which a node was seen */
    uint32_t *set;         /* [n_nodes] */
    uint32_t *last_like;   /* [n_nodes] by first of a place: the last node of the frame in hand ... */
    uint32_t *like_before; /* ... and the one before it, plus 1; 0: none. Both NULL without places  */
    uint32_t *like_mark, like_epoch;
    slm_arc *arcs;
    slm_item *items, *reached;
    slm_varied_item *varied;
    uint32_t cap_arcs, cap_items, cap_reached, cap_varied;
    slm_seen *seen;
    uint32_t seen_epoch;
    uint64_t work;
    slm_status status;     /* of the first failure since slm_automaton_begin */
    slm_error *error;
} slm_automaton;

slm_status slm_automaton_open(slm_host *host, const slm_grammar *g, slm_automaton *a,
                              slm_error *error);
void slm_automaton_close(slm_automaton *a);

/* Begins a call from outside: clears the failure and the work. Failures go into error. */
void slm_automaton_begin(slm_automaton *a, slm_error *error);

/* Work is counted while a call lasts, for what is not done here as well; 0 when it has become too
 * much. */
int slm_automaton_spend(slm_automaton *a, uint64_t work);

/* These give 0 for a failure too, which is then in a->status. */
uint32_t slm_automaton_start_frame(slm_automaton *a, uint32_t rule);
uint32_t slm_automaton_frame_at(slm_automaton *a, uint32_t node); /* of no counted rule */
uint32_t slm_automaton_config(slm_automaton *a, slm_item item);
/* A stack with a frame to go back to on top. */
uint32_t slm_automaton_push(slm_automaton *a, uint32_t back, uint32_t below);
int slm_automaton_expand(slm_automaton *a, uint32_t config);
/* No node counts as seen any more. */
void slm_automaton_unmark(slm_automaton *a);

/* Drops all frames, stacks and configs but what the configs at kept[0..n) stand for, which receive new
 * numbers. After a failure all is as it was. */
slm_status slm_automaton_forget(slm_automaton *a, uint32_t **kept, size_t n, slm_error *error);

/* The config after one that is expanded. */
static inline uint32_t slm_config_after(const slm_guide_config *c, uint8_t byte) {
    if (c->dense != NULL)
        return c->dense[byte];
    for (uint32_t i = 0; i < c->n_edges && c->edges[i].lo <= byte; i++)
        if (byte <= c->edges[i].hi)
            return c->edges[i].frame;
    return 0;
}

/* The config after a byte; 0: no text of the grammar goes on like this. */
static inline uint32_t slm_automaton_step(slm_automaton *a, uint32_t config, uint8_t byte) {
    if (!a->configs[config].expanded && !slm_automaton_expand(a, config))
        return 0;
    return slm_config_after(&a->configs[config], byte);
}

#endif
