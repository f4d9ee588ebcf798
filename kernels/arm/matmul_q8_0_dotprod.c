#include "dotprod.h"

SLM_INLINE slm_unpacked unpack_q8_0(const void *block) {
    const slm_block_q8_0 *b = block;
    slm_unpacked u = {slm_load_half(b->d), 0, vld1q_s8(b->qs), vld1q_s8(b->qs + 16)};
    return u;
}

SLM_DEFINE_Q8_0(q8_0, 0)
