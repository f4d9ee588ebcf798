#include "guide/kinds.h"

#define MAX_HEIGHT 64u /* longer texts are few, and looked at */

/* Where each first byte of a character of several leads to, by what may come second. */
typedef struct lead {
    uint8_t first, last, lo, hi, left; /* left: bytes behind the first */
} lead;

static const lead LEADS[] = {
    {0xc2, 0xdf, 0x80, 0xbf, 1}, {0xe0, 0xe0, 0xa0, 0xbf, 2}, {0xe1, 0xec, 0x80, 0xbf, 2},
    {0xed, 0xed, 0x80, 0x9f, 2}, {0xee, 0xef, 0x80, 0xbf, 2}, {0xf0, 0xf0, 0x90, 0xbf, 3},
    {0xf1, 0xf3, 0x80, 0xbf, 3}, {0xf4, 0xf4, 0x80, 0x8f, 3},
};

/* Whether bytes lo to hi, and left bytes of continuation behind each, lead from a config to one
 * other. Equal neighbours are tried once. No frame ends within a character, but for those of triggers,
 * which nothing follows. */
static int all_lead_to(slm_automaton *a, uint32_t config, uint8_t lo, uint8_t hi, uint32_t left,
                       uint32_t to) {
    uint32_t last = 0;
    for (uint32_t b = lo; b <= hi; b++) {
        uint32_t next = slm_automaton_step(a, config, (uint8_t)b);
        if (next == 0)
            return 0;
        if (next != last &&
            (left == 0 ? next != to : !all_lead_to(a, next, 0x80, 0xbf, left - 1, to)))
            return 0;
        last = next;
    }
    return 1;
}

static int takes_wide(slm_automaton *a, uint32_t config, uint32_t to) {
    for (size_t i = 0; i < sizeof LEADS / sizeof *LEADS; i++)
        for (uint32_t b = LEADS[i].first; b <= LEADS[i].last; b++) {
            uint32_t next = slm_automaton_step(a, config, (uint8_t)b);
            if (next == 0 ||
                !all_lead_to(a, next, LEADS[i].lo, LEADS[i].hi, LEADS[i].left - 1u, to))
                return 0;
        }
    return 1;
}

/* Of the kinds that lead to one config each, those that lead to the same as most. */
static void find_even(slm_automaton *a, uint32_t config) {
    uint32_t to[SLM_N_KINDS] = {0}, best = 0;
    uint64_t seen = 0, mixed = 0, most = 0;
    for (uint32_t b = 0; b < 128; b++) {
        uint32_t kind = slm_kinds[b], next = slm_automaton_step(a, config, (uint8_t)b);
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
    if (most != 0 && takes_wide(a, config, best))
        most |= SLM_KIND_WIDE;
    if (best == config && all_lead_to(a, config, 0x80, 0xff, 0, config))
        most |= SLM_KIND_BROKEN;
    if (a->status != SLM_OK)
        return;
    a->configs[config].even = most;
    a->configs[config].even_to = best;
    a->configs[config].even_known = 1;
}

int slm_takes_kinds(slm_automaton *a, uint32_t config, uint64_t kinds, uint32_t height, int whole) {
    if (height > MAX_HEIGHT)
        return 0;
    for (uint32_t i = 0; i < height; i++) {
        if (!a->configs[config].even_known)
            find_even(a, config);
        const slm_guide_config *c = &a->configs[config];
        if (a->status != SLM_OK || kinds & ~c->even)
            return 0;
        uint32_t next = c->even_to;
        if (!a->configs[next].expanded && !slm_automaton_expand(a, next))
            return 0;
        if (whole && a->configs[next].escapes)
            return 0;
        if (next == config)
            return 1;
        config = next;
    }
    return 1;
}
