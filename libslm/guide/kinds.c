#include "guide/kinds.h"

/* What a config knows of its even kinds. */
enum { OF_ASCII = 1, OF_ALL };

/* Characters of several bytes by their bytes (The Unicode Standard, table 3-7). */
typedef struct byte_range {
    uint8_t lo, hi;
} byte_range;

static const struct {
    uint32_t n;
    byte_range bytes[4];
} WIDE[] = {
    {2, {{0xc2, 0xdf}, {0x80, 0xbf}}},
    {3, {{0xe0, 0xe0}, {0xa0, 0xbf}, {0x80, 0xbf}}},
    {3, {{0xe1, 0xec}, {0x80, 0xbf}, {0x80, 0xbf}}},
    {3, {{0xed, 0xed}, {0x80, 0x9f}, {0x80, 0xbf}}},
    {3, {{0xee, 0xef}, {0x80, 0xbf}, {0x80, 0xbf}}},
    {4, {{0xf0, 0xf0}, {0x90, 0xbf}, {0x80, 0xbf}, {0x80, 0xbf}}},
    {4, {{0xf1, 0xf3}, {0x80, 0xbf}, {0x80, 0xbf}, {0x80, 0xbf}}},
    {4, {{0xf4, 0xf4}, {0x80, 0x8f}, {0x80, 0xbf}, {0x80, 0xbf}}},
};

/* The one config that all texts of n bytes, each in its range, lead to; 0: there is none. No frame
 * ends within a character, but for those of triggers, which nothing follows. */
static uint32_t common_target(slm_automaton *a, uint32_t config, const byte_range *bytes,
                              uint32_t n) {
    if (!a->configs[config].expanded && !slm_automaton_expand(a, config))
        return 0;
    const slm_frame_edge *edges = a->configs[config].edges;
    uint32_t n_edges = a->configs[config].n_edges, b = bytes[0].lo, last = 0, target = 0;
    for (uint32_t i = 0; i < n_edges && b <= bytes[0].hi; i++) {
        if (edges[i].hi < b)
            continue;
        if (edges[i].lo > b)
            return 0;
        b = edges[i].hi + 1u;
        if (edges[i].frame == last)
            continue;
        last = edges[i].frame;
        uint32_t next = n > 1 ? common_target(a, last, bytes + 1, n - 1) : last;
        if (next == 0 || (target != 0 && next != target))
            return 0;
        target = next;
    }
    return b > bytes[0].hi ? target : 0;
}

static int takes_wide(slm_automaton *a, uint32_t config, uint32_t to) {
    for (size_t i = 0; i < sizeof WIDE / sizeof *WIDE; i++)
        if (common_target(a, config, WIDE[i].bytes, WIDE[i].n) != to)
            return 0;
    return 1;
}

/* Of the kinds of ASCII that lead to one config each, those that lead to the same as most. */
static void find_even(slm_automaton *a, uint32_t config) {
    static const byte_range not_ascii = {0x80, 0xff};
    uint32_t to[SLM_N_KINDS] = {0}, best = 0;
    uint64_t seen = 0, mixed = 0, most = 0;
    if (!a->configs[config].expanded && !slm_automaton_expand(a, config))
        return;
    slm_guide_config *c = &a->configs[config];
    for (uint32_t b = 0; b < 128; b++) {
        uint32_t kind = slm_kinds[b], next = slm_config_after(c, (uint8_t)b);
        mixed |= (seen >> kind & 1 & (to[kind] != next)) << kind;
        seen |= (uint64_t)1 << kind;
        to[kind] = next;
    }
    for (uint64_t left = seen & ~mixed; left != 0;) {
        uint32_t target = to[__builtin_ctzll(left)];
        uint64_t same = 0;
        for (uint64_t bits = left; bits != 0; bits &= bits - 1)
            if (to[__builtin_ctzll(bits)] == target)
                same |= bits & (0 - bits);
        left &= ~same;
        if (target != 0 && __builtin_popcountll(same) > __builtin_popcountll(most)) {
            most = same;
            best = target;
        }
    }
    if (best == config && common_target(a, config, &not_ascii, 1) == config)
        most |= SLM_KIND_BROKEN;
    c = &a->configs[config]; /* which may have moved */
    c->even = most;
    c->even_to = best;
    c->even_known = OF_ASCII;
}

static uint64_t even_kinds(slm_automaton *a, uint32_t config, int with_wide) {
    if (a->configs[config].even_known == 0)
        find_even(a, config);
    if (a->status == SLM_OK && with_wide && a->configs[config].even_known != OF_ALL) {
        uint32_t to = a->configs[config].even_to;
        int wide = to != 0 && takes_wide(a, config, to);
        a->configs[config].even |= wide ? SLM_KIND_WIDE : 0;
        a->configs[config].even_known = OF_ALL;
    }
    return a->status == SLM_OK ? a->configs[config].even : 0;
}

void slm_kinds_begin(slm_kinds_runs *r, slm_automaton *a, const slm_byte_set *follow) {
    r->automaton = a;
    r->follow = 0;
    for (uint32_t b = 0; b < 256; b++)
        if (slm_byte_set_has(follow, (uint8_t)b))
            r->follow |= b < 128 ? (uint64_t)1 << slm_kinds[b] : SLM_KIND_WIDE | SLM_KIND_BROKEN;
    for (uint32_t i = 0; i < SLM_KINDS_RUNS; i++)
        r->at[i].config = 0;
}

/* One character more. */
static void extend(slm_kinds_runs *r, slm_kinds_run *run) {
    slm_automaton *a = r->automaton;
    uint64_t kinds = even_kinds(a, run->last, run->has_wide);
    const slm_guide_config *c = &a->configs[run->last];
    if (run->n > 0 && c->escapes)
        kinds &= ~r->follow;
    if (run->n > 2)
        kinds &= run->kinds[run->n - 1];
    run->kinds[run->n++] = kinds;
    run->endless = c->even_to == run->last && run->n > 3;
    run->last = c->even_to;
}

int slm_kinds_take_longer(slm_kinds_runs *r, uint32_t config, const slm_trie_branch *b) {
    slm_kinds_run *run = &r->at[config % SLM_KINDS_RUNS];
    int has_wide = ((b->kinds[0] | b->kinds[1] | b->kinds[2]) & SLM_KIND_WIDE) != 0;
    if (run->config != config || has_wide > run->has_wide) {
        run->config = run->last = config;
        run->n = run->endless = 0;
        run->has_wide = (uint8_t)has_wide;
        for (int i = 0; i < 3; i++)
            run->kinds[i] = UINT64_MAX;
    }
    while (run->n < b->height && run->n < SLM_KINDS_HEIGHT && !run->endless &&
           slm_kinds_barred(run, b) == 0)
        extend(r, run);
    return (run->n >= b->height || run->endless) && slm_kinds_barred(run, b) == 0;
}
