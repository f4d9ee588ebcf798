/* The rule of SLM_LOAD_AUTO, as slm.h states it: packed weights are worth their memory where they leave
 * a quarter of their size and 256 MiB of what is available. */
#ifndef SLM_BASE_LOAD_RULE_H
#define SLM_BASE_LOAD_RULE_H

#include <stdint.h>

static inline int slm_load_packs(uint64_t weight_bytes, uint64_t available) {
    const uint64_t leave = (uint64_t)256 << 20;
    return available > leave && weight_bytes <= available - leave &&
           weight_bytes / 4 <= available - leave - weight_bytes;
}

#endif
