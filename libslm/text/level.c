#include "text/trie.h"

/* Of each level, the nodes with others below them come first. */
static void count_levels(const slm_trie *t, slm_trie_levels *v) {
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        uint32_t depth = t->nodes[i].depth;
        v->first[depth + 1u]++;
        v->leaves[depth] += t->nodes[i].skip > i + 1;
    }
    for (uint32_t depth = 1; depth <= t->max_depth; depth++) {
        v->first[depth + 1] += v->first[depth];
        v->leaves[depth] += v->first[depth];
    }
}

/* path: where the nodes above lie; at: where the next node of a level goes, one with others below
 * it and one without. */
static void place_nodes(const slm_trie *t, slm_trie_levels *v, uint32_t *path, uint32_t (*at)[2]) {
    for (uint32_t depth = 1; depth <= t->max_depth; depth++) {
        at[depth][0] = v->first[depth];
        at[depth][1] = v->leaves[depth];
    }
    path[0] = 0;
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        const slm_trie_node *node = &t->nodes[i];
        uint32_t place = at[node->depth][node->skip == i + 1]++;
        v->parent[place] = path[node->depth - 1];
        v->byte[place] = node->byte;
        v->node[place] = i;
        path[node->depth] = place;
        if (node->token >= 0)
            v->of_token[node->token] = place;
    }
}

slm_status slm_trie_find_levels(slm_trie *t, slm_error *error) {
    slm_host *host = t->host;
    slm_trie_levels *v = &t->levels;
    v->n = t->n_nodes + 1;
    v->first = slm_calloc(host, t->max_depth + 2u, sizeof *v->first);
    v->leaves = slm_calloc(host, t->max_depth + 1u, sizeof *v->leaves);
    v->parent = slm_calloc(host, v->n, sizeof *v->parent);
    v->byte = slm_calloc(host, v->n, 1);
    v->node = slm_calloc(host, v->n, sizeof *v->node);
    v->of_token = slm_alloc(host, t->n_vocab * sizeof *v->of_token);
    uint32_t *path = slm_alloc(host, (t->max_depth + 1u) * sizeof *path);
    uint32_t(*at)[2] = slm_alloc(host, (t->max_depth + 1u) * sizeof *at);
    slm_status status = SLM_OK;
    if (v->first == NULL || v->leaves == NULL || v->parent == NULL || v->byte == NULL ||
        v->node == NULL || v->of_token == NULL || path == NULL || at == NULL) {
        status = slm_fail_nomem(error, v->n * 9u + t->n_vocab * 4u, "the tokens by their bytes");
    } else {
        v->first[1] = 1; /* behind the root */
        for (uint32_t id = 0; id < t->n_vocab; id++)
            v->of_token[id] = v->n;
        count_levels(t, v);
        place_nodes(t, v, path, at);
    }
    slm_free(host, path);
    slm_free(host, at);
    return status;
}

void slm_trie_free_levels(slm_trie *t) {
    slm_free(t->host, t->levels.first);
    slm_free(t->host, t->levels.leaves);
    slm_free(t->host, t->levels.parent);
    slm_free(t->host, t->levels.byte);
    slm_free(t->host, t->levels.node);
    slm_free(t->host, t->levels.of_token);
}
