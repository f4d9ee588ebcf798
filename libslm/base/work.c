#include "base/work.h"

/* A share in one word: the low 16 bits of the op's number, its first chunk, its end. */
#define CHUNK_BITS 24
#define MAX_CHUNKS ((UINT32_C(1) << CHUNK_BITS) - 1)

static uint64_t pack(uint16_t op, uint32_t first, uint32_t end) {
    return (uint64_t)op << 2 * CHUNK_BITS | (uint64_t)first << CHUNK_BITS | end;
}

static uint32_t count_chunks(uint32_t n_items, uint32_t *chunk) {
    while (n_items / *chunk >= MAX_CHUNKS)
        *chunk *= 2;
    return n_items / *chunk + (n_items % *chunk != 0);
}

/* The first chunk of a lane's share; that of the next lane is its end. */
static uint32_t share_begin(uint32_t n_chunks, uint32_t n_lanes, uint32_t lane) {
    return (uint32_t)((uint64_t)n_chunks * lane / n_lanes);
}

static uint32_t item_of(uint32_t chunk_index, uint32_t chunk, uint32_t n_items) {
    uint64_t item = (uint64_t)chunk_index * chunk;
    return item < n_items ? (uint32_t)item : n_items;
}

void slm_work_share(uint32_t n_items, uint32_t chunk, uint32_t n_lanes, uint32_t lane,
                    uint32_t *first, uint32_t *last) {
    uint32_t n_chunks = count_chunks(n_items, &chunk);
    *first = item_of(share_begin(n_chunks, n_lanes, lane), chunk, n_items);
    *last = item_of(share_begin(n_chunks, n_lanes, lane + 1), chunk, n_items);
}

void slm_work_start(slm_work *w, uint32_t n_lanes) {
    w->n_lanes = n_lanes;
    for (uint32_t i = 0; i < n_lanes; i++) {
        atomic_store_explicit(&w->lanes[i].left, pack(0, 0, 0), memory_order_relaxed);
        w->lanes[i].op = 0;
    }
}

void slm_work_begin(slm_work *w, uint32_t lane, uint32_t n_items, uint32_t chunk) {
    slm_work_begin_runs(w, lane, n_items, chunk, 1, 1);
}

void slm_work_begin_runs(slm_work *w, uint32_t lane, uint32_t n_items, uint32_t chunk,
                         uint32_t most, uint32_t give) {
    slm_work_lane *l = &w->lanes[lane];
    l->op++;
    l->n_items = n_items;
    l->chunk = chunk;
    l->most = most;
    l->give = give;
    l->n_chunks = count_chunks(n_items, &l->chunk);
    l->n_emptied = 0;
    l->n_taken = 0;
}

/* What is left of the share of lane `from` in the op of lane l; 0 when `word` says nothing about
 * it any more. Whoever comes first to a share in an op sets it up: its owner may not have begun. A
 * share that is in a later op was empty in this one. Lanes are never 32,768 ops apart, since to
 * leave an op is to have seen every share in it. */
static int read_share(const slm_work *w, const slm_work_lane *l, uint32_t from, uint64_t word,
                      uint32_t *first, uint32_t *end) {
    int16_t ahead = (int16_t)(uint16_t)(l->op - (uint32_t)(word >> 2 * CHUNK_BITS));
    if (ahead > 0) {
        *first = share_begin(l->n_chunks, w->n_lanes, from);
        *end = share_begin(l->n_chunks, w->n_lanes, from + 1);
        return 1;
    }
    *first = (uint32_t)(word >> CHUNK_BITS) & MAX_CHUNKS;
    *end = (uint32_t)word & MAX_CHUNKS;
    return ahead == 0 && *first != *end;
}

/* Takes chunks of the share of lane `from`, and returns how many: its own lane from the beginning,
 * another one chunk from the end. Nothing is published by these words: barriers stand between ops of
 * which one needs the other. */
static uint32_t take(slm_work *w, const slm_work_lane *l, uint32_t from, int is_own,
                     uint32_t *index) {
    _Atomic uint64_t *left = &w->lanes[from].left;
    uint64_t old = atomic_load_explicit(left, memory_order_relaxed), taken;
    uint32_t first, end, n;
    do {
        if (!read_share(w, l, from, old, &first, &end))
            return 0;
        n = (end - first + 1) / 2;
        if (n > (is_own ? l->most : 1))
            n = is_own ? l->most : 1;
        *index = is_own ? first : end - n;
        taken = pack((uint16_t)l->op, first + (is_own ? n : 0), end - (is_own ? 0 : n));
    } while (!atomic_compare_exchange_weak_explicit(left, &old, taken, memory_order_relaxed,
                                                    memory_order_relaxed));
    return n;
}

int slm_work_next(slm_work *w, uint32_t lane, uint32_t *first, uint32_t *last) {
    slm_work_lane *l = &w->lanes[lane];
    while (l->n_taken == 0) {
        if (l->n_emptied == w->n_lanes)
            return 0;
        uint32_t from = (lane + l->n_emptied) % w->n_lanes;
        l->n_taken = take(w, l, from, l->n_emptied == 0, &l->taken);
        l->n_emptied += l->n_taken == 0;
    }
    uint32_t n = l->n_taken < l->give ? l->n_taken : l->give;
    *first = item_of(l->taken, l->chunk, l->n_items);
    *last = item_of(l->taken + n, l->chunk, l->n_items);
    l->taken += n;
    l->n_taken -= n;
    return 1;
}
