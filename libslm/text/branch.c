#include "text/trie.h"

/* Nodes that a branch has, itself included, and one that is an only child. */
enum { LEAST_BRANCH = 4, LEAST_ONLY = 16 };

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

/* Where a node lies in its characters. */
enum { BEGUN_ABOVE = 1, GOES_ON = 2 };

static void find_kinds(const slm_trie *t, place *path, uint64_t *kinds, uint8_t *within) {
    path[0] = (place){0, 0, 0};
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        uint32_t depth = t->nodes[i].depth;
        path[depth] = path[depth - 1];
        within[i] = path[depth].left > 0 ? BEGUN_ABOVE : 0;
        kinds[i] = read_byte(&path[depth], t->nodes[i].byte);
        within[i] |= path[depth].left > 0 ? GOES_ON : 0;
    }
}

/* What a walk backward has met on one level since the last node of the level above. */
typedef struct below {
    uint64_t kinds[3]; /* of the characters that begin there, as in slm_trie_branch      */
    uint64_t going_on; /* of the bytes that go on with the one that has begun above      */
    uint32_t n_ids, n_branches, height;
} below;

static void add_below(below *up, const below *b, uint64_t kind, uint8_t within) {
    uint32_t height = b->height;
    if (within & BEGUN_ABOVE) {
        up->going_on |= kind | b->going_on;
        for (int i = 0; i < 3; i++)
            up->kinds[i] |= b->kinds[i];
    } else {
        up->kinds[0] |= kind | b->going_on;
        up->kinds[1] |= b->kinds[0];
        up->kinds[2] |= b->kinds[1] | b->kinds[2];
        height++;
    }
    up->n_ids += b->n_ids;
    up->n_branches += b->n_branches;
    up->height = height > up->height ? height : up->height;
}

static slm_trie_branch branch_at(const below *b, uint64_t kind, uint8_t within) {
    below whole = {{0}, 0, 0, 0, 0};
    if (!(within & GOES_ON))
        return (slm_trie_branch){.kinds = {b->kinds[0], b->kinds[1], b->kinds[2]},
                                 .height = (uint16_t)b->height};
    add_below(&whole, b, kind | (within & BEGUN_ABOVE ? SLM_KIND_BROKEN : 0), 0);
    return (slm_trie_branch){.kinds = {whole.kinds[0], whole.kinds[1], whole.kinds[2]},
                             .height = (uint16_t)whole.height,
                             .partial = 1};
}

static void fill_branches(slm_trie *t, const uint64_t *kinds, const uint8_t *within, below *path) {
    uint32_t first = t->n_ids, at = t->n_branches;
    for (uint32_t i = t->n_nodes; i-- > 0;) {
        const slm_trie_node *node = &t->nodes[i];
        below b = path[node->depth + 1u];
        path[node->depth + 1u] = (below){{0}, 0, 0, 0, 0};
        if (node->token >= 0) {
            t->ids[--first] = node->token;
            t->inside[node->token / 64] |= (uint64_t)1 << (node->token % 64);
            b.n_ids++;
        }
        if (node->is_branch) {
            slm_trie_branch branch = branch_at(&b, kinds[i], within[i]);
            branch.first = first;
            branch.end = first + b.n_ids;
            branch.skip = at + b.n_branches;
            b.n_branches++;
            t->branches[--at] = branch;
        }
        add_below(&path[node->depth], &b, kinds[i], within[i]);
    }
}

/* What has a branch below it is one, so that passing over what is none passes over no branch. */
static void choose_branches(slm_trie *t) {
    uint32_t last = t->n_nodes;
    for (uint32_t i = t->n_nodes; i-- > 0;) {
        slm_trie_node *node = &t->nodes[i];
        uint32_t n = node->skip - i;
        int is_only =
            node->depth > 1 && node[-1].depth < node->depth && node[-1].skip == node->skip;
        node->is_branch = last < node->skip || n >= (is_only ? LEAST_ONLY : LEAST_BRANCH);
        if (node->is_branch)
            last = i;
        t->n_ids += node->token >= 0;
        t->n_branches += node->is_branch;
    }
}

slm_status slm_trie_find_branches(slm_trie *t, slm_error *error) {
    slm_host *host = t->host;
    choose_branches(t);
    t->ids = slm_alloc(host, t->n_ids * sizeof *t->ids);
    t->inside = slm_calloc(host, (t->n_vocab + 63) / 64, sizeof *t->inside);
    t->branches = slm_alloc(host, t->n_branches * sizeof *t->branches);
    uint64_t *kinds = slm_alloc(host, t->n_nodes * sizeof *kinds);
    uint8_t *within = slm_alloc(host, t->n_nodes);
    place *places = slm_alloc(host, (t->max_depth + 1u) * sizeof *places);
    below *path = slm_calloc(host, t->max_depth + 2u, sizeof *path);
    slm_status status = SLM_OK;
    if (t->ids == NULL || t->inside == NULL || t->branches == NULL || kinds == NULL ||
        within == NULL || places == NULL || path == NULL) {
        status = slm_fail_nomem(error, t->n_nodes * sizeof *kinds, "the tokens by their bytes");
    } else {
        find_kinds(t, places, kinds, within);
        fill_branches(t, kinds, within, path);
    }
    slm_free(host, kinds);
    slm_free(host, within);
    slm_free(host, places);
    slm_free(host, path);
    return status;
}
