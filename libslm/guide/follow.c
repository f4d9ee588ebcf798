#include "guide/follow.h"

#include <string.h>

const slm_byte_set slm_all_bytes = {{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}};

#define MAX_VISITED 65536u /* nodes: less time than a walk over a vocabulary */

slm_status slm_call_sites_open(slm_host *host, const slm_grammar *g, slm_call_sites *s,
                               slm_error *error) {
    uint32_t n = 0;
    *s = (slm_call_sites){0};
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (uint32_t e = g->first_edge[i]; e != 0; e = g->edges[e].next)
            n += g->edges[e].callee < SLM_EDGE_EMPTY;
    s->first = slm_calloc(host, g->n_rules + 2u, sizeof *s->first);
    s->back = slm_alloc(host, n * sizeof *s->back);
    s->end_of = slm_calloc(host, g->n_nodes, sizeof *s->end_of);
    if (s->first == NULL || s->back == NULL || s->end_of == NULL)
        return slm_fail_nomem(error, (uint64_t)(n + g->n_nodes) * 4u, "the masks of a grammar");
    for (uint32_t r = 0; r < g->n_rules; r++)
        s->end_of[g->rules[r].end] = r + 1;
    uint32_t *at = s->first + 1; /* where the next site of a rule goes: one further in the end */
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (uint32_t e = g->first_edge[i]; e != 0; e = g->edges[e].next)
            if (g->edges[e].callee < SLM_EDGE_EMPTY)
                at[g->edges[e].callee + 1]++;
    for (uint32_t r = 0; r < g->n_rules; r++)
        at[r + 1] += at[r];
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (uint32_t e = g->first_edge[i]; e != 0; e = g->edges[e].next)
            if (g->edges[e].callee < SLM_EDGE_EMPTY)
                s->back[at[g->edges[e].callee]++] = g->edges[e].to;
    return SLM_OK;
}

void slm_call_sites_close(slm_host *host, slm_call_sites *s) {
    slm_free(host, s->first);
    slm_free(host, s->back);
    slm_free(host, s->end_of);
    *s = (slm_call_sites){0};
}

static void add(slm_automaton *a, uint32_t *n, uint32_t node) {
    if (a->mark[node] != a->epoch) {
        a->mark[node] = a->epoch;
        a->set[(*n)++] = node;
    }
}

/* The rule whose end the text of a frame leads to, plus 1; 0: it was not found in time. */
static uint32_t find_rule(slm_automaton *a, const slm_call_sites *s, const slm_frame *f) {
    const slm_grammar *g = a->grammar;
    uint32_t n = 0;
    slm_automaton_unmark(a);
    for (uint32_t i = 0; i < f->n_nodes; i++)
        add(a, &n, f->nodes[i]);
    for (uint32_t i = 0; i < n && i < MAX_VISITED; i++) {
        if (s->end_of[a->set[i]] != 0)
            return s->end_of[a->set[i]];
        for (uint32_t e = g->first_edge[a->set[i]]; e != 0; e = g->edges[e].next)
            add(a, &n, g->edges[e].to);
    }
    return 0;
}

static void add_range(slm_byte_set *s, uint8_t lo, uint8_t hi) {
    for (uint32_t b = lo; b <= hi; b++)
        s->bits[b / 64] |= (uint64_t)1 << (b % 64);
}

slm_byte_set slm_follow(slm_automaton *a, const slm_call_sites *s, uint32_t frame) {
    const slm_grammar *g = a->grammar;
    slm_byte_set set = {{0}};
    uint32_t n = 0, rule = find_rule(a, s, &a->frames[frame]);
    if (rule == 0)
        return slm_all_bytes;
    slm_automaton_unmark(a);
    add(a, &n, g->rules[rule - 1].end);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t node = a->set[i], ended = s->end_of[node];
        if (i == MAX_VISITED)
            return slm_all_bytes;
        for (uint32_t c = ended ? s->first[ended - 1] : 0; ended && c < s->first[ended]; c++)
            add(a, &n, s->back[c]);
        for (uint32_t e = g->first_edge[node]; e != 0; e = g->edges[e].next) {
            const slm_grammar_edge *edge = &g->edges[e];
            if (edge->callee == SLM_EDGE_BYTES) {
                add_range(&set, edge->lo, edge->hi);
            } else if (edge->callee == SLM_EDGE_EMPTY) {
                add(a, &n, edge->to);
            } else {
                add(a, &n, g->rules[edge->callee].start);
                if (g->rules[edge->callee].counted)
                    add_range(&set, '"', '"');
            }
        }
    }
    return set;
}
