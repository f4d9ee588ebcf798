#include "text/trie.h"

#include <stdlib.h>
#include <string.h>

static int compare_entries(const void *a, const void *b) {
    const slm_trie_entry *x = a, *y = b;
    int order = memcmp(x->bytes, y->bytes, x->len < y->len ? x->len : y->len);
    if (order != 0)
        return order;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return x->token < y->token ? -1 : x->token > y->token;
}

/* An entry by the first eight bytes of its text, zeros behind a shorter one. */
typedef struct ranked {
    uint64_t key;
    uint32_t entry;
} ranked;

static uint64_t key_of(const slm_trie_entry *e) {
    uint64_t key = 0;
    for (uint32_t i = 0; i < 8; i++)
        key = key << 8 | (i < e->len ? (uint8_t)e->bytes[i] : 0);
    return key;
}

/* By counting (radix sort), from the last byte of the keys to the first; in an even number of
 * moves, so that the result is where it began. */
static void sort_keys(ranked *r, ranked *other, uint32_t n) {
    for (unsigned shift = 0; shift < 64; shift += 8) {
        uint32_t at[257] = {0};
        for (uint32_t i = 0; i < n; i++)
            at[(r[i].key >> shift & 255) + 1]++;
        for (uint32_t b = 0; b < 256; b++)
            at[b + 1] += at[b];
        for (uint32_t i = 0; i < n; i++)
            other[at[r[i].key >> shift & 255]++] = r[i];
        ranked *sorted = other;
        other = r;
        r = sorted;
    }
}

/* Few differ behind their first eight bytes: those are compared. */
slm_status slm_trie_sort(slm_host *host, slm_trie_entry *entries, uint32_t n, slm_error *error) {
    ranked *ranks = slm_alloc(host, n * sizeof *ranks);
    ranked *other = slm_alloc(host, n * sizeof *other);
    slm_trie_entry *copy = slm_alloc(host, n * sizeof *copy);
    slm_status status = SLM_OK;
    if (ranks == NULL || other == NULL || copy == NULL) {
        status = slm_fail_nomem(error, n * sizeof *copy, "the tokens by their bytes");
    } else {
        memcpy(copy, entries, n * sizeof *copy);
        for (uint32_t i = 0; i < n; i++)
            ranks[i] = (ranked){key_of(&entries[i]), i};
        sort_keys(ranks, other, n);
        for (uint32_t i = 0, j; i < n; i = j) {
            int same = 1;
            for (j = i; j < n && ranks[j].key == ranks[i].key; j++) {
                entries[j] = copy[ranks[j].entry];
                same &= entries[j].len == entries[i].len && entries[j].len <= 8;
            }
            if (!same)
                qsort(entries + i, j - i, sizeof *entries, compare_entries);
        }
    }
    slm_free(host, ranks);
    slm_free(host, other);
    slm_free(host, copy);
    return status;
}

/* The tokens with bytes, which *pool holds. The others go into t. */
static slm_status collect(slm_trie *t, slm_trie_entry *entries, uint32_t *n, char **pool,
                          slm_error *error) {
    static const uint32_t barred = SLM_TOKEN_CONTROL | SLM_TOKEN_UNKNOWN | SLM_TOKEN_UNUSED;
    size_t used = 0, cap = 1u << 16, most = slm_vocab_max_token_bytes(t->vocab);
    char *buf = slm_alloc(t->host, most);
    *pool = slm_alloc(t->host, cap);
    slm_status status = SLM_OK;
    if (buf == NULL || *pool == NULL)
        status = slm_fail_nomem(error, cap, "the tokens by their bytes");
    *n = 0;
    for (int32_t id = 0; status == SLM_OK && (uint32_t)id < t->n_vocab; id++) {
        uint32_t flags = slm_vocab_flags(t->vocab, id);
        slm_str bytes = {"", 0};
        if (slm_vocab_is_end(t->vocab, id)) {
            t->ends[t->n_ends++] = id;
            continue;
        }
        if (!(flags & barred))
            bytes = slm_vocab_token_bytes(t->vocab, id, 0, buf);
        if (bytes.len == 0 || bytes.len > UINT16_MAX) {
            t->outside[id / 64] |= (uint64_t)1 << (id % 64);
            continue;
        }
        if (used + bytes.len > cap) {
            cap = (used + bytes.len) * 2;
            char *larger = slm_realloc(t->host, *pool, cap);
            if (larger == NULL)
                status = slm_fail_nomem(error, cap, "the tokens by their bytes");
            else
                *pool = larger;
        }
        if (status != SLM_OK)
            break;
        memcpy(*pool + used, bytes.ptr, bytes.len);
        entries[(*n)++] = (slm_trie_entry){NULL, (uint32_t)bytes.len, id};
        used += bytes.len;
    }
    used = 0;
    for (uint32_t i = 0; status == SLM_OK && i < *n; used += entries[i++].len)
        entries[i].bytes = *pool + used;
    slm_free(t->host, buf);
    return status;
}

static uint32_t common(const slm_trie_entry *a, const slm_trie_entry *b) {
    uint32_t n = a->len < b->len ? a->len : b->len, i = 0;
    while (i < n && a->bytes[i] == b->bytes[i])
        i++;
    return i;
}

/* Each entry adds the nodes behind what it shares with the one before it; path holds the nodes of
 * the entry before, whose skip is known when they are left. Returns how many nodes there are. */
static uint32_t add_nodes(const slm_trie_entry *entries, uint32_t n, slm_trie_node *nodes,
                          uint32_t *path) {
    uint32_t depth = 0, n_nodes = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t shared = i > 0 ? common(&entries[i - 1], &entries[i]) : 0;
        while (depth > shared)
            nodes[path[--depth]].skip = n_nodes;
        for (; depth < entries[i].len; depth++) {
            path[depth] = n_nodes;
            nodes[n_nodes++] =
                (slm_trie_node){0, -1, (uint16_t)(depth + 1), (uint8_t)entries[i].bytes[depth], 0};
        }
        nodes[path[depth - 1]].token = entries[i].token;
    }
    while (depth > 0)
        nodes[path[--depth]].skip = n_nodes;
    return n_nodes;
}

slm_status slm_trie_build(slm_host *host, const slm_trie_entry *entries, uint32_t n,
                          slm_trie_node **nodes, uint32_t *n_nodes, uint32_t *max_depth,
                          slm_error *error) {
    uint32_t most = 0, longest = 0;
    for (uint32_t i = 0; i < n; i++) {
        most += entries[i].len - (i > 0 ? common(&entries[i - 1], &entries[i]) : 0);
        longest = entries[i].len > longest ? entries[i].len : longest;
    }
    uint32_t *path = slm_calloc(host, longest, sizeof *path);
    *nodes = slm_calloc(host, most, sizeof **nodes);
    slm_status status = SLM_OK;
    if (path == NULL || *nodes == NULL)
        status = slm_fail_nomem(error, most * sizeof **nodes, "the tokens by their bytes");
    else
        *n_nodes = add_nodes(entries, n, *nodes, path);
    *max_depth = longest;
    slm_free(host, path);
    return status;
}

/* Of equal ones the first stays; returns how many are left. */
static uint32_t drop_twins(slm_trie *t, slm_trie_entry *entries, uint32_t n) {
    uint32_t m = 0;
    for (uint32_t i = 0; i < n; i++) {
        const slm_trie_entry *last = m > 0 ? &entries[m - 1] : NULL;
        if (last != NULL && last->len == entries[i].len &&
            memcmp(last->bytes, entries[i].bytes, last->len) == 0) {
            t->twins[t->n_twins][0] = entries[i].token;
            t->twins[t->n_twins++][1] = last->token;
        } else {
            entries[m++] = entries[i];
        }
    }
    return m;
}

static slm_status fill(slm_trie *t, slm_error *error) {
    slm_host *host = t->host;
    uint32_t n = 0;
    char *pool = NULL;
    slm_trie_entry *entries = slm_calloc(host, t->n_vocab, sizeof *entries);
    t->ends = slm_calloc(host, t->n_vocab, sizeof *t->ends);
    t->twins = slm_calloc(host, t->n_vocab, sizeof *t->twins);
    t->outside = slm_calloc(host, (t->n_vocab + 63) / 64, sizeof *t->outside);
    slm_status status = SLM_OK;
    if (entries == NULL || t->ends == NULL || t->twins == NULL || t->outside == NULL)
        status = slm_fail_nomem(error, t->n_vocab * sizeof *entries, "the tokens by their bytes");
    if (status == SLM_OK)
        status = collect(t, entries, &n, &pool, error);
    if (status == SLM_OK)
        status = slm_trie_sort(host, entries, n, error);
    if (status == SLM_OK) {
        n = drop_twins(t, entries, n);
        status = slm_trie_build(host, entries, n, &t->nodes, &t->n_nodes, &t->max_depth, error);
    }
    if (status == SLM_OK)
        status = slm_trie_find_branches(t, error);
    if (status == SLM_OK)
        status = slm_trie_find_levels(t, error);
    if (status == SLM_OK) {
        void *twins = slm_realloc(host, t->twins, t->n_twins * sizeof *t->twins);
        void *ends = slm_realloc(host, t->ends, t->n_ends * sizeof *t->ends);
        t->twins = twins != NULL ? twins : t->twins;
        t->ends = ends != NULL ? ends : t->ends;
    }
    slm_free(host, pool);
    slm_free(host, entries);
    return status;
}

slm_status slm_trie_open(slm_host *host, const slm_vocab *vocab, slm_trie **out, slm_error *error) {
    *out = NULL;
    slm_trie *t = slm_calloc(host, 1, sizeof *t);
    if (t == NULL)
        return slm_fail_nomem(error, sizeof *t, "the tokens by their bytes");
    t->host = host;
    t->vocab = vocab;
    t->n_vocab = slm_vocab_size(vocab);
    slm_status status = fill(t, error);
    if (status != SLM_OK) {
        slm_trie_close(t);
        return status;
    }
    *out = t;
    return SLM_OK;
}

void slm_trie_close(slm_trie *t) {
    if (t == NULL)
        return;
    slm_host *host = t->host;
    slm_trie_extra *extra = atomic_load(&t->extra);
    if (extra != NULL)
        extra->destroy(host, extra);
    slm_trie_free_levels(t);
    slm_free(host, t->nodes);
    slm_free(host, t->branches);
    slm_free(host, t->ids);
    slm_free(host, t->twins);
    slm_free(host, t->ends);
    slm_free(host, t->inside);
    slm_free(host, t->outside);
    slm_free(host, t);
}
