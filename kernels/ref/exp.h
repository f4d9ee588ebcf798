/* exp in single precision, the same bits on every machine, written so that loops over it become
 * vector code. */
#ifndef SLM_REF_EXP_H
#define SLM_REF_EXP_H

#include "ref.h"

/* Error below 1 ulp (tests/check_kernels measures it); 0 below -103.98, infinity above 88.73, NaN
 * for NaN. x = n ln 2 + r with ln 2 in two parts (Cody and Waite 1980); exp(r) = 1 + r + r^2 P(r)
 * with P of degree 4 and least relative error of the whole (Remez) on [-ln2/2, ln2/2], 3.1e-9;
 * 2^n in two factors, so that results down to the smallest subnormal come out. */
SLM_INLINE float slm_expf(float x) {
    x = x < -105.0f ? -105.0f : x;
    x = x > 89.0f ? 89.0f : x;
    float t = x * 0x1.715476p+0f + 12582912.0f;
    float n = t - 12582912.0f;
    float r = x - n * 0x1.62e4p-1f; /* 15 bits: the product is exact */
    r = r - n * 0x1.7f7d1cp-20f;
    float p = 0x1.6a2434p-10f;
    p = p * r + 0x1.1239e2p-7f;
    p = p * r + 0x1.5558f2p-5f;
    p = p * r + 0x1.555492p-3f;
    p = p * r + 0x1.fffffcp-2f;
    p = p * r * r + r; /* exp(r) - 1 */
    int32_t e = (int32_t)(slm_float_bits(t) - 0x4b400000u);
    int32_t half = e >> 1;
    float s0 = slm_bits_float((uint32_t)(half + 127) << 23);
    float s1 = slm_bits_float((uint32_t)(e - half + 127) << 23);
    return (p * s0 + s0) * s1;
}

#endif
