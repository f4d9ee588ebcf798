/* The levels of Q5_0 and Q5_1. */
#ifndef SLM_FIFTH_BITS_H
#define SLM_FIFTH_BITS_H

#include "dotprod.h"

/* Bits 0..15 of two bytes of qh become bit 4 of 16 levels. */
SLM_INLINE int8x16_t slm_with_fifth_bits(int8x16_t nibbles, const uint8_t qh[2]) {
    static const uint8_t masks[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t bytes = vcombine_u8(vdup_n_u8(qh[0]), vdup_n_u8(qh[1]));
    uint8x16_t set = vtstq_u8(bytes, vld1q_u8(masks));
    return vorrq_s8(nibbles, vreinterpretq_s8_u8(vandq_u8(set, vdupq_n_u8(16))));
}

#endif
