/* Half precision and bfloat16. IEEE 754; round to nearest even; NaNs stay NaNs and become quiet. */
#include "ref.h"

float slm_f16_to_f32(uint16_t h) {
    return slm_half_to_float(h);
}

uint16_t slm_f32_to_f16(float f) {
    uint32_t u = slm_float_bits(f);
    uint32_t sign = u >> 16 & 0x8000u, a = u & 0x7fffffffu;
    if (a > 0x7f800000u) /* NaN: quiet, top of the payload kept */
        return (uint16_t)(sign | 0x7e00u | (a >> 13 & 0x03ffu));
    if (a >= 0x47800000u) /* 2^16 and above, infinity included */
        return (uint16_t)(sign | 0x7c00u);
    if (a < 0x38800000u) { /* below 2^-14: adding 2^-1 lines the half's last place up with bit 0 */
        uint32_t t = slm_float_bits(slm_bits_float(a) + 0.5f);
        return (uint16_t)(sign | (t - 0x3f000000u));
    }
    /* Rounding up may carry into the exponent, and from 65520 on into infinity: both as it should.
     */
    uint32_t t = a - 0x38000000u;
    return (uint16_t)(sign | (t + 0x0fffu + (t >> 13 & 1u)) >> 13);
}

uint16_t slm_f32_to_bf16(float f) {
    uint32_t u = slm_float_bits(f);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(u >> 16 | 0x40u);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}
