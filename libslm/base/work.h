/* The items of an op, handed out to the lanes of a parallel region while they run. Each lane has a
 * contiguous share and goes through it from its beginning; a lane that is done takes from the ends
 * of the others' shares. A lane that loses its processor so holds up what it took and not its share.
 * Who computes an item depends on the moment: what is computed must not depend on who does it. */
#ifndef SLM_BASE_WORK_H
#define SLM_BASE_WORK_H

#include <stdatomic.h>
#include <stdint.h>

typedef struct slm_work_lane {
    _Alignas(64) _Atomic uint64_t left; /* of the share: op, first chunk, end; all lanes write it */
    _Alignas(64) uint32_t op; /* ops begun; from here on only the lane itself             */
    uint32_t n_items, chunk, n_chunks, most, give;
    uint32_t n_emptied; /* shares known to be empty, from the lane's own on         */
    uint32_t taken, n_taken; /* chunks that it has taken and not yet given          */
} slm_work_lane;

typedef struct slm_work {
    slm_work_lane *lanes; /* the caller's memory, 64-aligned: one for each lane there can be */
    uint32_t n_lanes;     /* that the running region has                                     */
} slm_work;

/* Before the first op of a region, by one lane while no other is in an op: a barrier follows. */
void slm_work_start(slm_work *w, uint32_t n_lanes);

/* The lane enters its next op of n_items items, to be taken in chunks of `chunk` (at least 1; more
 * where there would be over 16 million chunks, always a multiple). Every lane enters the same ops
 * in the same order and goes through each to its end. No barrier is needed between two ops that
 * may run at the same time. */
void slm_work_begin(slm_work *w, uint32_t lane, uint32_t n_items, uint32_t chunk);
/* The same, but of its own share a lane takes up to `most` (at least 1) chunks at a time, never more
 * than half of what is left, and is given up to `give` (at least 1) of them at a time: long runs
 * while there is much to do, short ones where lanes end. What a lane has taken nobody takes from it. */
void slm_work_begin_runs(slm_work *w, uint32_t lane, uint32_t n_items, uint32_t chunk,
                         uint32_t most, uint32_t give);

/* Gives the lane items [*first, *last), or returns 0 when none are left. */
int slm_work_next(slm_work *w, uint32_t lane, uint32_t *first, uint32_t *last);

/* The share that a lane of n_lanes begins with: what it touches first lies near it. */
void slm_work_share(uint32_t n_items, uint32_t chunk, uint32_t n_lanes, uint32_t lane,
                    uint32_t *first, uint32_t *last);

#endif
