#include "guide/flat.h"

#include <string.h>

/* Classes are stretches of bytes between those at which the range of an edge begins or has ended.
 */
static void find_classes(const slm_grammar *g, slm_flat *f) {
    uint8_t begins[257] = {[0] = 1};
    begins['"'] = begins['"' + 1] = 1; /* what ends a counted rule */
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (uint32_t e = g->first_edge[i]; e != 0; e = g->edges[e].next)
            if (g->edges[e].callee == SLM_EDGE_BYTES)
                begins[g->edges[e].lo] = begins[g->edges[e].hi + 1] = 1;
    for (uint32_t b = 0; b < 256; b++) {
        if (begins[b])
            f->n_classes++;
        f->class_of[b] = (uint8_t)(f->n_classes - 1);
    }
    while ((1u << f->shift) < f->n_classes)
        f->shift++;
}

void slm_flat_open(slm_host *host, const slm_grammar *g, const slm_trie *trie, slm_flat *f) {
    *f = (slm_flat){.host = host, .trie = trie};
    find_classes(g, f);
}

void slm_flat_drop(slm_flat *f) {
    slm_free(f->host, f->states);
    slm_free(f->host, f->rows);
    slm_free(f->host, f->met);
    slm_free(f->host, f->number);
    slm_free(f->host, f->at);
    f->states = NULL;
    f->rows = NULL;
    f->met = NULL;
    f->number = NULL;
    f->at = NULL;
    f->cap_states = f->cap_numbers = 0;
}

static int grow(slm_flat *f, void *array, size_t size) {
    void **p = array, *larger = slm_realloc(f->host, *p, size);
    if (larger != NULL)
        *p = larger;
    return larger != NULL;
}

/* Numbers for all configs that there are. */
static int number_room(slm_flat *f, uint32_t n_configs) {
    if (n_configs <= f->cap_numbers)
        return 1;
    uint32_t cap = n_configs * 2;
    if (!grow(f, &f->number, cap * sizeof *f->number))
        return 0;
    memset(f->number + f->cap_numbers, 0, (cap - f->cap_numbers) * sizeof *f->number);
    f->cap_numbers = cap;
    return 1;
}

static int state_room(slm_flat *f) {
    if (f->n_states < f->cap_states)
        return 1;
    uint32_t cap = f->cap_states == 0 ? 64 : f->cap_states * 2;
    if (cap > SLM_FLAT_MAX_STATES || !grow(f, &f->states, cap * sizeof *f->states) ||
        !grow(f, &f->rows, ((size_t)cap << f->shift) * sizeof *f->rows) || !grow(f, &f->met, cap))
        return 0;
    f->cap_states = cap;
    return 1;
}

/* The number of a config, a new one at first; 0: there is none left. */
static uint16_t number_of(slm_flat *f, uint32_t config) {
    if (config < f->cap_numbers && f->number[config] != 0)
        return f->number[config];
    if (!number_room(f, config + 1) || !state_room(f))
        return 0;
    f->states[f->n_states] = (slm_flat_state){config, 0, 0};
    f->met[f->n_states] = 0;
    f->number[config] = (uint16_t)f->n_states;
    return (uint16_t)f->n_states++;
}

static int fill_row(slm_flat *f, slm_automaton *a, uint32_t state) {
    uint32_t config = f->states[state].config;
    if (!a->configs[config].expanded && !slm_automaton_expand(a, config))
        return 0;
    const slm_guide_config *c = &a->configs[config];
    memset(f->rows + ((size_t)state << f->shift), 0, sizeof *f->rows << f->shift);
    for (uint32_t e = 0; e < c->n_edges; e++) {
        uint16_t to = number_of(f, c->edges[e].frame);
        if (to == 0)
            return 0;
        uint16_t *row = f->rows + ((size_t)state << f->shift); /* which may have moved */
        for (uint32_t k = f->class_of[c->edges[e].lo]; k <= f->class_of[c->edges[e].hi]; k++)
            row[k] = to;
    }
    f->states[state].is_known = 1;
    f->states[state].escapes = c->escapes;
    return 1;
}

static int need_row(slm_flat *f, slm_automaton *a, uint32_t state) {
    return f->states[state].is_known || (a->work <= f->last_work && fill_row(f, a, state));
}

/* The rows of the states that the next level will be looked up from: those met, found through the
 * states or through the nodes of the level above, whichever are fewer. */
static int fill_rows(slm_flat *f, slm_automaton *a, uint32_t depth) {
    const slm_trie_levels *v = &f->trie->levels;
    uint32_t first = depth == 0 ? 0 : v->first[depth], end = depth == 0 ? 1 : v->leaves[depth];
    if (end - first < f->n_states) {
        for (uint32_t i = first; i < end; i++)
            if (!need_row(f, a, f->at[i]))
                return 0;
        return 1;
    }
    for (uint32_t s = 1, n = f->n_states; s < n; s++)
        if (f->met[s] && !need_row(f, a, s))
            return 0;
    return 1;
}

static int walk_levels(slm_flat *f, slm_automaton *a) {
    const slm_trie_levels *v = &f->trie->levels;
    const uint32_t *parent = v->parent;
    const uint8_t *byte = v->byte, *class_of = f->class_of;
    uint16_t *at = f->at;
    uint32_t shift = f->shift;
    for (uint32_t depth = 1; depth <= f->trie->max_depth; depth++) {
        if (!fill_rows(f, a, depth - 1u))
            return 0;
        const uint16_t *rows = f->rows;
        uint8_t *met = f->met;
        uint32_t i = v->first[depth];
        for (; i < v->leaves[depth]; i++) {
            at[i] = rows[((size_t)at[parent[i]] << shift) + class_of[byte[i]]];
            met[at[i]] = 1;
        }
        for (; i < v->first[depth + 1]; i++)
            at[i] = rows[((size_t)at[parent[i]] << shift) + class_of[byte[i]]];
    }
    return 1;
}

static int begin_walk(slm_flat *f, uint32_t config) {
    uint32_t n = f->trie->levels.n;
    if (f->at == NULL && !grow(f, &f->at, (n + 1u) * sizeof *f->at))
        return 0;
    f->n_states = 0;
    if (!state_room(f))
        return 0;
    f->states[0] = (slm_flat_state){0, 1, 0};
    memset(f->rows, 0, sizeof *f->rows << f->shift);
    f->met[0] = 0;
    f->n_states = 1;
    f->at[n] = 0;
    f->at[0] = number_of(f, config);
    return f->at[0] != 0;
}

int slm_flat_walk(slm_flat *f, slm_automaton *a, uint32_t config, uint64_t most_work) {
    f->last_work = a->work + most_work;
    if (!begin_walk(f, config) || !walk_levels(f, a)) {
        slm_flat_drop(f); /* it has grown large, or memory is short */
        return 0;
    }
    for (uint32_t s = 1; s < f->n_states; s++)
        f->number[f->states[s].config] = 0;
    return slm_automaton_spend(a, f->trie->levels.n);
}

void slm_flat_add(const slm_flat *f, uint64_t *bits) {
    const uint32_t *of_token = f->trie->levels.of_token;
    uint32_t n = f->trie->n_vocab;
    for (uint32_t id = 0; id < n; id += 64) {
        uint64_t word = 0;
        uint32_t most = n - id < 64 ? n - id : 64;
        for (uint32_t i = 0; i < most; i++)
            word |= (uint64_t)(f->at[of_token[id + i]] != 0) << i;
        bits[id / 64] |= word;
    }
}

uint32_t slm_flat_escapes(const slm_flat *f, uint32_t *nodes, uint32_t cap) {
    const slm_trie_levels *v = &f->trie->levels;
    uint32_t n = 0;
    int any = 0;
    for (uint32_t s = 1; s < f->n_states; s++)
        any |= f->states[s].escapes;
    for (uint32_t depth = 1; any && depth <= f->trie->max_depth; depth++)
        for (uint32_t i = v->first[depth]; i < v->leaves[depth]; i++)
            if (f->states[f->at[i]].escapes) {
                if (n < cap)
                    nodes[n] = v->node[i];
                n++;
            }
    return n;
}
