/* Sets of code points, as classes of patterns and grammars spell them. */
#ifndef SLM_GUIDE_RANGES_H
#define SLM_GUIDE_RANGES_H

#include "guide/grammar.h"

typedef struct slm_ranges {
    slm_host *host;
    slm_cp_range *at;
    size_t n, cap;
} slm_ranges;

slm_status slm_ranges_add(slm_ranges *r, uint32_t lo, uint32_t hi, slm_error *error);
/* Ascending, neither overlapping nor touching; the complement where negate is set. */
slm_status slm_ranges_finish(slm_ranges *r, int negate, slm_error *error);
void slm_ranges_free(slm_ranges *r);

#endif
