#include "guide/follow.h"

#include <string.h>

const slm_byte_set slm_all_bytes = {{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}};

#define MAX_VISITED 65536u /* edges: less time than a walk over a vocabulary */

/* Nodes are of one rule each: those that its start leads to. */
static void find_rules(const slm_grammar *g, uint32_t *rule_of, uint32_t *queue) {
    for (uint32_t r = 0; r < g->n_rules; r++) {
        uint32_t n = 0;
        queue[n++] = g->rules[r].start;
        rule_of[g->rules[r].start] = r + 1;
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t e = g->first_edge[queue[i]]; e != 0; e = g->edges[e].next)
                if (rule_of[g->edges[e].to] == 0) {
                    rule_of[g->edges[e].to] = r + 1;
                    queue[n++] = g->edges[e].to;
                }
    }
}

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
    s->rule_of = slm_calloc(host, g->n_nodes, sizeof *s->rule_of);
    s->follow = slm_calloc(host, g->n_rules, sizeof *s->follow);
    s->is_known = slm_calloc(host, g->n_rules, 1);
    uint32_t *queue = slm_alloc(host, g->n_nodes * sizeof *queue);
    if (s->first == NULL || s->back == NULL || s->end_of == NULL || s->rule_of == NULL ||
        s->follow == NULL || s->is_known == NULL || queue == NULL) {
        slm_free(host, queue);
        return slm_fail_nomem(error, (uint64_t)(n + g->n_nodes) * 4u, "the masks of a grammar");
    }
    find_rules(g, s->rule_of, queue);
    slm_free(host, queue);
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
    slm_free(host, s->rule_of);
    slm_free(host, s->follow);
    slm_free(host, s->is_known);
    *s = (slm_call_sites){0};
}

static void add(slm_automaton *a, uint32_t *n, uint32_t node) {
    if (a->mark[node] != a->epoch) {
        a->mark[node] = a->epoch;
        a->set[(*n)++] = node;
    }
}

static void add_range(slm_byte_set *s, uint8_t lo, uint8_t hi) {
    for (uint32_t b = lo; b <= hi; b++)
        s->bits[b / 64] |= (uint64_t)1 << (b % 64);
}

/* All bytes where there is too much to look at. */
static slm_byte_set find_follow(slm_automaton *a, slm_call_sites *s, uint32_t rule) {
    const slm_grammar *g = a->grammar;
    slm_byte_set set = {{0}};
    uint32_t n = 0, visited = 0;
    slm_automaton_unmark(a);
    add(a, &n, g->rules[rule].end);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t node = a->set[i], ended = s->end_of[node];
        for (uint32_t c = ended ? s->first[ended - 1] : 0; ended && c < s->first[ended]; c++)
            if (visited++ < MAX_VISITED)
                add(a, &n, s->back[c]);
        for (uint32_t e = g->first_edge[node]; e != 0 && visited < MAX_VISITED;
             e = g->edges[e].next, visited++) {
            const slm_grammar_edge *edge = &g->edges[e];
            if (edge->callee == SLM_EDGE_BYTES) {
                add_range(&set, edge->lo, edge->hi);
            } else if (edge->callee == SLM_EDGE_EMPTY) {
                add(a, &n, edge->to);
            } else {
                add(a, &n, g->rules[edge->callee].start);
                if (g->rules[edge->callee].counted == SLM_COUNTED_STRING)
                    add_range(&set, '"', '"');
            }
        }
        if (visited >= MAX_VISITED) {
            (void)slm_automaton_spend(a, visited);
            s->n_visited += visited;
            return slm_all_bytes;
        }
    }
    s->n_visited += visited;
    return set;
}

uint32_t slm_rule_of(const slm_automaton *a, const slm_call_sites *s, uint32_t frame) {
    const slm_frame *f = &a->frames[frame];
    return f->n_nodes > 0 ? s->rule_of[f->nodes[0]] : 0;
}

static slm_byte_set follow_of(slm_automaton *a, slm_call_sites *s, uint32_t rule) {
    if (!s->is_known[rule]) {
        s->follow[rule] = find_follow(a, s, rule);
        s->is_known[rule] = 1;
    }
    return s->follow[rule];
}

slm_byte_set slm_follow(slm_automaton *a, slm_call_sites *s, uint32_t frame) {
    uint32_t rule = slm_rule_of(a, s, frame);
    return rule == 0 ? slm_all_bytes : follow_of(a, s, rule - 1);
}

slm_byte_set slm_follow_class(slm_automaton *a, slm_call_sites *s, uint32_t class_of) {
    const slm_grammar *g = a->grammar;
    slm_byte_set set = {{0}};
    uint64_t most = s->n_visited + MAX_VISITED;
    for (uint32_t r = 0; r < g->n_rules; r++) {
        if (g->rules[r].counted != SLM_COUNTED_CLASS || g->rules[r].class_of != class_of)
            continue;
        slm_byte_set one = s->n_visited < most ? follow_of(a, s, r) : slm_all_bytes;
        for (int i = 0; i < 4; i++)
            set.bits[i] |= one.bits[i];
    }
    return set;
}
