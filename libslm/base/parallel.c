#include "base/parallel.h"

#include "base/threads.h"

#include <omp.h>

uint32_t slm_parallel(uint32_t n_lanes, slm_lane_fn body, void *context) {
    /* A limit that was met leaves no room for anything else that starts a thread: not to the end. */
    uint32_t n = slm_threads_probe(n_lanes), spare = n < n_lanes ? 2 : 0, used = 1;
    n = n > spare ? n - spare : 1;
#pragma omp parallel num_threads((int)n)
    {
        uint32_t lane = (uint32_t)omp_get_thread_num();
        if (lane == 0)
            used = (uint32_t)omp_get_num_threads();
        body(context, lane);
    }
    return used;
}
