/* Which bytes may come right behind a rule, anywhere in a grammar (its FOLLOW set, of bytes). */
#ifndef SLM_GUIDE_FOLLOW_H
#define SLM_GUIDE_FOLLOW_H

#include "guide/automaton.h"

typedef struct slm_byte_set {
    uint64_t bits[4];
} slm_byte_set;

extern const slm_byte_set slm_all_bytes;

static inline int slm_byte_set_has(const slm_byte_set *s, uint8_t byte) {
    return (int)(s->bits[byte / 64] >> (byte % 64) & 1);
}

/* Where rules are called from, and what is known of what follows them. */
typedef struct slm_call_sites {
    uint32_t *first;      /* [n_rules + 1] of each rule, in back                         */
    uint32_t *back;       /* nodes to go back to                                         */
    uint32_t *end_of;     /* [n_nodes] the rule that ends there, plus 1; 0: none         */
    uint32_t *rule_of;    /* [n_nodes] the rule that the node is of, plus 1; 0: of none  */
    slm_byte_set *follow; /* [n_rules] once it is known                                  */
    uint8_t *is_known;    /* [n_rules]                                                   */
    uint64_t n_visited;   /* edges looked at so far                                      */
} slm_call_sites;

slm_status slm_call_sites_open(slm_host *host, const slm_grammar *g, slm_call_sites *s,
                               slm_error *error);
void slm_call_sites_close(slm_host *host, slm_call_sites *s);

/* The rule that a frame belongs to, plus 1; 0: to none. */
uint32_t slm_rule_of(const slm_automaton *a, const slm_call_sites *s, uint32_t frame);
/* What may come behind the rule that a frame belongs to. All bytes where finding out would take too
 * long. */
slm_byte_set slm_follow(slm_automaton *a, slm_call_sites *s, uint32_t frame);
/* What may come behind any of the counted rules of a class. */
slm_byte_set slm_follow_class(slm_automaton *a, slm_call_sites *s, uint32_t class_of);

#endif
