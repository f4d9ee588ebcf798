#include "dotprod.h"

SLM_INLINE slm_unpacked unpack_q4_0(const void *block) {
    const slm_block_q4_0 *b = block;
    uint8x16_t v = vld1q_u8(b->qs);
    slm_unpacked u = {slm_load_half(b->d), 0, vsubq_s8(slm_low_nibbles(v), vdupq_n_s8(8)),
                      vsubq_s8(slm_high_nibbles(v), vdupq_n_s8(8))};
    return u;
}

SLM_DEFINE_Q8_0(q4_0, 0)
