#include "fifth_bits.h"

SLM_INLINE slm_unpacked unpack_q5_1(const void *block) {
    const slm_block_q5_1 *b = block;
    uint8x16_t v = vld1q_u8(b->qs);
    slm_unpacked u = {slm_load_half(b->d), slm_load_half(b->m),
                      slm_with_fifth_bits(slm_low_nibbles(v), b->qh),
                      slm_with_fifth_bits(slm_high_nibbles(v), b->qh + 2)};
    return u;
}

SLM_DEFINE_Q8_0(q5_1, 1)
