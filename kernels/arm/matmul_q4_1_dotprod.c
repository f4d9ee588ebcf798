#include "dotprod.h"

SLM_INLINE slm_unpacked unpack_q4_1(const void *block) {
    const slm_block_q4_1 *b = block;
    uint8x16_t v = vld1q_u8(b->qs);
    slm_unpacked u = {slm_load_half(b->d), slm_load_half(b->m), slm_low_nibbles(v),
                      slm_high_nibbles(v)};
    return u;
}

SLM_DEFINE_Q8_0(q4_1, 1)
