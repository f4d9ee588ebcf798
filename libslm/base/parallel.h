/* Work on several threads at once, outside of steps. */
#ifndef SLM_BASE_PARALLEL_H
#define SLM_BASE_PARALLEL_H

#include <stdint.h>

/* lane: 0 is the calling thread. */
typedef void (*slm_lane_fn)(void *context, uint32_t lane);

/* Calls body once on each of up to n_lanes threads, the caller's among them, and waits for them.
 * There may be fewer than asked for, so bodies share work among those that come. Returns how many
 * there were. */
uint32_t slm_parallel(uint32_t n_lanes, slm_lane_fn body, void *context);

#endif
