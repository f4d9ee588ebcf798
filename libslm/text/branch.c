#include "text/trie.h"

/* Letters and marks by themselves, but for capitals (A to F and the others), digits (0 and the
 * others), tabs with carriage returns, controls, and marks that grammars seldom name. */
const uint8_t slm_kinds[128] = {
    33, 33, 33, 33, 33, 33, 33, 33, 33, 32, 31, 33, 33, 32, 33, 33, 33, 33, 33, 33, 33, 33,
    33, 33, 33, 33, 33, 33, 33, 33, 33, 33, 30, 35, 36, 37, 34, 34, 38, 39, 40, 41, 42, 43,
    44, 45, 46, 47, 28, 29, 29, 29, 29, 29, 29, 29, 29, 29, 48, 49, 50, 51, 52, 53, 34, 26,
    26, 26, 26, 26, 26, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27,
    27, 27, 27, 54, 55, 56, 34, 57, 34, 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
    13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 58, 59, 60, 34, 33,
};

/* Within UTF-8: how many bytes of a character are to come, and the range of the next of them. */
typedef struct place {
    uint8_t left, lo, hi;
} place;

static place after_lead(uint8_t byte) {
    if (byte < 0xc2 || byte > 0xf4)
        return (place){0, 0, 0};
    return (place){
        .left = byte < 0xe0   ? 1
                : byte < 0xf0 ? 2
                              : 3,
        .lo = byte == 0xe0   ? 0xa0
              : byte == 0xf0 ? 0x90
                             : 0x80,
        .hi = byte == 0xed   ? 0x9f
              : byte == 0xf4 ? 0x8f
                             : 0xbf,
    };
}

/* The kind of a byte; *at is moved behind it. What breaks a character off may begin another. */
static uint64_t read_byte(place *at, uint8_t byte) {
    int goes_on = at->left > 0 && byte >= at->lo && byte <= at->hi;
    int breaks_off = at->left > 0 && !goes_on;
    *at = goes_on ? (place){(uint8_t)(at->left - 1), 0x80, 0xbf} : after_lead(byte);
    if (byte < 0x80)
        return (uint64_t)1 << slm_kinds[byte] | (breaks_off ? SLM_KIND_BROKEN : 0);
    return (goes_on || at->left > 0) && !breaks_off ? SLM_KIND_WIDE : SLM_KIND_BROKEN;
}

/* The kind of each node, and whether it ends within a character: then the bytes below it cannot be
 * understood without it, which counts as broken. */
static void find_kinds(const slm_trie *t, place *path, uint64_t *kinds, uint8_t *inside) {
    path[0] = (place){0, 0, 0};
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        uint32_t depth = t->nodes[i].depth;
        path[depth] = path[depth - 1];
        kinds[i] = read_byte(&path[depth], t->nodes[i].byte);
        inside[i] = path[depth].left > 0;
    }
}

/* What a walk backward has met on one level since the last node of the level above. */
typedef struct below {
    uint64_t kinds;
    uint32_t n_ids, height;
} below;

static void fill_branches(slm_trie *t, const uint64_t *kinds, const uint8_t *inside, below *path) {
    uint32_t first = t->n_ids, at = t->n_branches;
    for (uint32_t i = t->n_nodes; i-- > 0;) {
        const slm_trie_node *node = &t->nodes[i];
        below *up = &path[node->depth], b = path[node->depth + 1u];
        path[node->depth + 1u] = (below){0};
        if (slm_trie_is_branch(node, i))
            t->branches[--at] =
                (slm_trie_branch){.kinds = b.kinds | (inside[i] ? SLM_KIND_BROKEN : 0),
                                  .node = i,
                                  .first = first,
                                  .n_ids = b.n_ids,
                                  .height = b.height};
        if (node->token >= 0)
            t->ids[--first] = node->token;
        up->n_ids += b.n_ids + (node->token >= 0);
        up->kinds |= kinds[i] | b.kinds;
        up->height = b.height >= up->height ? b.height + 1 : up->height;
    }
}

slm_status slm_trie_find_branches(slm_trie *t, slm_error *error) {
    slm_host *host = t->host;
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        t->n_ids += t->nodes[i].token >= 0;
        t->n_branches += slm_trie_is_branch(&t->nodes[i], i) != 0;
    }
    t->ids = slm_alloc(host, t->n_ids * sizeof *t->ids);
    t->branches = slm_alloc(host, t->n_branches * sizeof *t->branches);
    uint64_t *kinds = slm_alloc(host, t->n_nodes * sizeof *kinds);
    uint8_t *inside = slm_alloc(host, t->n_nodes);
    place *places = slm_alloc(host, (t->max_depth + 1u) * sizeof *places);
    below *path = slm_calloc(host, t->max_depth + 2u, sizeof *path);
    slm_status status = SLM_OK;
    if (t->ids == NULL || t->branches == NULL || kinds == NULL || inside == NULL ||
        places == NULL || path == NULL) {
        status = slm_fail_nomem(error, t->n_nodes * sizeof *kinds, "the tokens by their bytes");
    } else {
        find_kinds(t, places, kinds, inside);
        fill_branches(t, kinds, inside, path);
    }
    slm_free(host, kinds);
    slm_free(host, inside);
    slm_free(host, places);
    slm_free(host, path);
    return status;
}
