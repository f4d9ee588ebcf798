#include "dotprod.h"

SLM_INLINE slm_unpacked unpack_iq4_nl(const void *block) {
    const slm_block_iq4_nl *b = block;
    uint8x16_t v = vld1q_u8(b->qs);
    slm_unpacked u = {slm_load_half(b->d), 0,
                      vqtbl1q_s8(slm_iq4_table(), vandq_u8(v, vdupq_n_u8(15))),
                      vqtbl1q_s8(slm_iq4_table(), vshrq_n_u8(v, 4))};
    return u;
}

SLM_DEFINE_Q8_0(iq4_nl, 0)
