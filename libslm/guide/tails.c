#include "guide/tails.h"

#include <stdlib.h>
#include <string.h>

/* The tokens below the places: how many, and how many bytes their tails have. */
static void measure(const slm_trie *t, const uint32_t *places, uint32_t n, uint32_t *n_ids,
                    size_t *n_bytes) {
    *n_ids = 0;
    *n_bytes = 0;
    for (uint32_t p = 0; p < n; p++) {
        const slm_trie_node *place = &t->nodes[places[p]];
        for (uint32_t i = places[p] + 1; i < place->skip; i++)
            if (t->nodes[i].token >= 0) {
                ++*n_ids;
                *n_bytes += (size_t)(t->nodes[i].depth - place->depth);
            }
    }
}

/* An entry for each, its token being a number of its own: ids[number] and before[number] tell of
 * it. */
static void collect(const slm_trie *t, const uint32_t *places, const uint16_t *before, uint32_t n,
                    char *path, char *pool, slm_trie_entry *entries, int32_t *ids,
                    uint16_t *counts) {
    uint32_t m = 0;
    for (uint32_t p = 0; p < n; p++) {
        const slm_trie_node *place = &t->nodes[places[p]];
        for (uint32_t i = places[p] + 1; i < place->skip; i++) {
            uint32_t len = (uint32_t)(t->nodes[i].depth - place->depth);
            path[len - 1] = (char)t->nodes[i].byte;
            if (t->nodes[i].token < 0)
                continue;
            memcpy(pool, path, len);
            entries[m] = (slm_trie_entry){pool, len, (int32_t)m};
            ids[m] = t->nodes[i].token;
            if (before != NULL)
                counts[m] = before[p];
            pool += len;
            m++;
        }
    }
}

/* Puts the tokens of one tail side by side and leaves one entry for them, named by its group. */
static uint32_t group(slm_tails *out, slm_trie_entry *entries, uint32_t n, const int32_t *ids,
                      const uint16_t *counts) {
    uint32_t groups = 0;
    for (uint32_t i = 0; i < n; i++) {
        slm_trie_entry e = entries[i];
        const slm_trie_entry *last = groups > 0 ? &entries[groups - 1] : NULL;
        out->ids[i] = ids[e.token];
        if (out->before != NULL)
            out->before[i] = counts[e.token];
        if (last != NULL && last->len == e.len && memcmp(last->bytes, e.bytes, e.len) == 0)
            continue;
        out->first[groups] = i;
        e.token = (int32_t)groups;
        entries[groups++] = e;
    }
    out->first[groups] = n;
    return groups;
}

slm_status slm_tails_make(slm_host *host, const slm_trie *t, const uint32_t *places,
                          const uint16_t *before, uint32_t n, slm_tails *out, slm_error *error) {
    uint32_t n_ids;
    size_t n_bytes;
    *out = (slm_tails){0};
    measure(t, places, n, &n_ids, &n_bytes);
    if (n_ids == 0)
        return SLM_OK;
    slm_trie_entry *entries = slm_alloc(host, n_ids * sizeof *entries);
    char *pool = slm_alloc(host, n_bytes), *path = slm_alloc(host, t->max_depth);
    int32_t *ids = slm_alloc(host, n_ids * sizeof *ids);
    uint16_t *counts = slm_alloc(host, n_ids * sizeof *counts);
    out->first = slm_alloc(host, (n_ids + 1u) * sizeof *out->first);
    out->ids = slm_alloc(host, n_ids * sizeof *out->ids);
    out->before = before != NULL ? slm_alloc(host, n_ids * sizeof *out->before) : NULL;
    slm_status status = SLM_OK;
    if (entries == NULL || pool == NULL || path == NULL || ids == NULL || counts == NULL ||
        out->first == NULL || out->ids == NULL || (before != NULL && out->before == NULL))
        status = slm_fail_nomem(error, n_ids * sizeof *entries + n_bytes, "the tails of tokens");
    if (status == SLM_OK) {
        collect(t, places, before, n, path, pool, entries, ids, counts);
        qsort(entries, n_ids, sizeof *entries, slm_trie_compare);
        status = slm_trie_build(host, entries, group(out, entries, n_ids, ids, counts), &out->nodes,
                                &out->n_nodes, &out->max_depth, error);
    }
    slm_free(host, entries);
    slm_free(host, pool);
    slm_free(host, path);
    slm_free(host, ids);
    slm_free(host, counts);
    if (status != SLM_OK)
        slm_tails_free(host, out);
    return status;
}

void slm_tails_free(slm_host *host, slm_tails *tails) {
    slm_free(host, tails->nodes);
    slm_free(host, tails->first);
    slm_free(host, tails->ids);
    slm_free(host, tails->before);
    *tails = (slm_tails){0};
}
