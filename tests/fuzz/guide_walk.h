/* Texts of a guide, made by choosing bytes at random, for the fuzz targets of grammars and schemas.
 */
#ifndef TESTS_FUZZ_GUIDE_WALK_H
#define TESTS_FUZZ_GUIDE_WALK_H

#include "base/rng.h"
#include "guide/guide.h"

#include <stdlib.h>

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

/* What a hostile grammar may fail with while a text is followed through it. */
static inline int is_limit(slm_status status) {
    return status == SLM_ERR_LIMIT || status == SLM_ERR_NOMEM;
}

/* Follows up to cap bytes into text. Returns how many, or SIZE_MAX when a limit was hit; *ended
 * says whether the text is complete. From every place it must be possible to go on or to end. */
static inline size_t guide_walk(slm_guide *g, slm_rng *rng, char *text, size_t cap, int *ended) {
    slm_matcher *m;
    size_t n = 0;
    *ended = 0;
    slm_status status = slm_matcher_open(g, &m, NULL);
    if (status != SLM_OK) {
        CHECK(is_limit(status));
        return SIZE_MAX;
    }
    for (; status == SLM_OK && n < cap; n++) {
        int can_end, must_end, any = 0;
        status = slm_matcher_state(m, &can_end, &must_end, NULL);
        if (status != SLM_OK)
            break;
        if (must_end || (can_end && slm_rng_next(rng) % 8 == 0)) {
            CHECK(can_end);
            *ended = 1;
            break;
        }
        unsigned from = (unsigned)(slm_rng_next(rng) % 256);
        for (unsigned i = 0; i < 256 && !any; i++) {
            text[n] = (char)((from + i) % 256);
            status = slm_matcher_accept_bytes(m, text + n, 1, NULL);
            any = status == SLM_OK;
            if (status != SLM_ERR_RANGE)
                break;
        }
        CHECK(any || is_limit(status));
    }
    slm_matcher_close(&m);
    CHECK(status == SLM_OK || is_limit(status));
    return status == SLM_OK ? n : SIZE_MAX;
}

#endif
