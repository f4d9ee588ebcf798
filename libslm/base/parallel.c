#include "base/parallel.h"

#include "base/lanes.h"

uint32_t slm_parallel(uint32_t n_lanes, slm_lane_fn body, void *context) {
    slm_lanes lanes;
    slm_lanes_open(&lanes, n_lanes);
    uint32_t n = lanes.n;
    slm_lanes_run(&lanes, body, context);
    slm_lanes_close(&lanes);
    return n;
}
