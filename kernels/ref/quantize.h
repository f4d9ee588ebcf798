/* The file quantisers, one row each call. importance may be NULL. */
#ifndef SLM_QUANTIZE_H
#define SLM_QUANTIZE_H

#include "quantize_search.h"

#define SLM_QUANTIZE(type)                                                                         \
    void slm_quantize_##type(void *blocks, const float *x, const float *importance, size_t k)
SLM_QUANTIZE(f32);
SLM_QUANTIZE(f16);
SLM_QUANTIZE(bf16);
SLM_QUANTIZE(q4_0);
SLM_QUANTIZE(q4_1);
SLM_QUANTIZE(q5_0);
SLM_QUANTIZE(q5_1);
SLM_QUANTIZE(q8_0);
SLM_QUANTIZE(q2_k);
SLM_QUANTIZE(q3_k);
SLM_QUANTIZE(q4_k);
SLM_QUANTIZE(q5_k);
SLM_QUANTIZE(q6_k);
SLM_QUANTIZE(iq4_nl);
SLM_QUANTIZE(iq4_xs);
SLM_QUANTIZE(tq1_0);
SLM_QUANTIZE(tq2_0);

#endif
