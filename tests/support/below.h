/* Numbers that look random and are the same in every run: rng is set where a round begins. */
#ifndef TESTS_SUPPORT_BELOW_H
#define TESTS_SUPPORT_BELOW_H

#include <stdint.h>

static uint64_t rng;
static uint32_t below(uint32_t n) {
    rng = rng * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(rng >> 33) % n;
}

#endif
