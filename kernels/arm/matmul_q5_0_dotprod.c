#include "fifth_bits.h"

SLM_INLINE slm_unpacked unpack_q5_0(const void *block) {
    const slm_block_q5_0 *b = block;
    uint8x16_t v = vld1q_u8(b->qs);
    int8x16_t q0 = slm_with_fifth_bits(slm_low_nibbles(v), b->qh);
    int8x16_t q1 = slm_with_fifth_bits(slm_high_nibbles(v), b->qh + 2);
    slm_unpacked u = {slm_load_half(b->d), 0, vsubq_s8(q0, vdupq_n_s8(16)),
                      vsubq_s8(q1, vdupq_n_s8(16))};
    return u;
}

SLM_DEFINE_Q8_0(q5_0, 0)
