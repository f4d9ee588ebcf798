#include "guide/tails.h"

#include <string.h>

/* The next child of a place that goes on with one of the bytes, from node i on; the place's skip
 * when there is none. */
static uint32_t next_child(const slm_trie *t, const slm_byte_set *follow, uint32_t i,
                           uint32_t end) {
    while (i < end && !slm_byte_set_has(follow, t->nodes[i].byte))
        i = t->nodes[i].skip;
    return i;
}

/* The tokens below the places: how many, and how many bytes their tails have; of more than most,
 * some. */
static void measure(const slm_trie *t, const uint32_t *places, uint32_t n,
                    const slm_byte_set *follow, uint32_t most, uint32_t *n_ids, size_t *n_bytes) {
    *n_ids = 0;
    *n_bytes = 0;
    for (uint32_t p = 0; p < n && *n_ids <= most; p++) {
        const slm_trie_node *place = &t->nodes[places[p]];
        uint32_t i = places[p] + 1;
        while ((i = next_child(t, follow, i, place->skip)) < place->skip)
            for (uint32_t end = t->nodes[i].skip; i < end; i++)
                if (t->nodes[i].token >= 0) {
                    ++*n_ids;
                    *n_bytes += (size_t)(t->nodes[i].depth - place->depth);
                }
    }
}

int slm_tails_exceed(const slm_trie *t, const uint32_t *places, uint32_t n,
                     const slm_byte_set *follow, uint32_t most) {
    uint32_t n_ids;
    size_t n_bytes;
    measure(t, places, n, follow, most, &n_ids, &n_bytes);
    return n_ids > most;
}

/* What is collected of the tokens: an entry for each, its token being a number of its own, of which
 * ids and before tell. */
typedef struct collected {
    slm_trie_entry *entries;
    char *pool, *path;
    int32_t *ids;
    uint16_t *before;
    uint32_t n;
} collected;

static void collect(const slm_trie *t, uint32_t at, const uint16_t *before,
                    const slm_byte_set *follow, collected *c) {
    const slm_trie_node *place = &t->nodes[at];
    uint32_t i = at + 1;
    while ((i = next_child(t, follow, i, place->skip)) < place->skip)
        for (uint32_t end = t->nodes[i].skip; i < end; i++) {
            uint32_t len = (uint32_t)(t->nodes[i].depth - place->depth);
            c->path[len - 1] = (char)t->nodes[i].byte;
            if (t->nodes[i].token < 0)
                continue;
            memcpy(c->pool, c->path, len);
            c->entries[c->n] = (slm_trie_entry){c->pool, len, (int32_t)c->n};
            c->ids[c->n] = t->nodes[i].token;
            if (before != NULL)
                c->before[c->n] = *before;
            c->pool += len;
            c->n++;
        }
}

/* Puts the tokens of one tail side by side and leaves one entry for them, named by its group. */
static uint32_t group(slm_tails *out, collected *c) {
    uint32_t groups = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        slm_trie_entry e = c->entries[i];
        const slm_trie_entry *last = groups > 0 ? &c->entries[groups - 1] : NULL;
        out->ids[i] = c->ids[e.token];
        if (out->before != NULL)
            out->before[i] = c->before[e.token];
        if (last != NULL && last->len == e.len && memcmp(last->bytes, e.bytes, e.len) == 0)
            continue;
        out->first[groups] = i;
        e.token = (int32_t)groups;
        c->entries[groups++] = e;
    }
    out->first[groups] = c->n;
    return groups;
}

slm_status slm_tails_make(slm_host *host, const slm_trie *t, const uint32_t *places,
                          const uint16_t *before, uint32_t n, const slm_byte_set *follow,
                          slm_tails *out, slm_error *error) {
    uint32_t n_ids;
    size_t n_bytes;
    *out = (slm_tails){0};
    measure(t, places, n, follow, UINT32_MAX, &n_ids, &n_bytes);
    if (n_ids == 0)
        return SLM_OK;
    char *pool = slm_alloc(host, n_bytes);
    collected c = {
        .entries = slm_alloc(host, n_ids * sizeof *c.entries),
        .pool = pool,
        .path = slm_alloc(host, t->max_depth),
        .ids = slm_alloc(host, n_ids * sizeof *c.ids),
        .before = slm_alloc(host, n_ids * sizeof *c.before),
    };
    out->first = slm_alloc(host, (n_ids + 1u) * sizeof *out->first);
    out->ids = slm_alloc(host, n_ids * sizeof *out->ids);
    out->before = before != NULL ? slm_alloc(host, n_ids * sizeof *out->before) : NULL;
    slm_status status = SLM_OK;
    if (c.entries == NULL || pool == NULL || c.path == NULL || c.ids == NULL || c.before == NULL ||
        out->first == NULL || out->ids == NULL || (before != NULL && out->before == NULL))
        status = slm_fail_nomem(error, n_ids * sizeof *c.entries + n_bytes, "the tails of tokens");
    if (status == SLM_OK) {
        for (uint32_t p = 0; p < n; p++)
            collect(t, places[p], before != NULL ? &before[p] : NULL, follow, &c);
        status = slm_trie_sort(host, c.entries, n_ids, error);
    }
    if (status == SLM_OK)
        out->n_groups = group(out, &c);
    if (status == SLM_OK)
        status = slm_trie_build(host, c.entries, out->n_groups, &out->nodes, &out->n_nodes,
                                &out->max_depth, error);
    slm_free(host, c.entries);
    slm_free(host, pool);
    slm_free(host, c.path);
    slm_free(host, c.ids);
    slm_free(host, c.before);
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
