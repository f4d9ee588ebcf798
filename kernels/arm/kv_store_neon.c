/* Cache rows of halves, with the bytes of ref/attention.c. */
#include "level_arm.h"

#include <arm_neon.h>
#include <string.h>

static inline __attribute__((always_inline)) uint16x4_t halves(float32x4_t x) {
    return vreinterpret_u16_f16(vcvt_f16_f32(x));
}

void slm_kv_store_f16_neon(void *row, const float *x, size_t d) {
    uint8_t *p = row;
    size_t i = 0;
    for (; i + 8 <= d; i += 8) {
        const uint16x8_t h = vcombine_u16(halves(vld1q_f32(x + i)), halves(vld1q_f32(x + i + 4)));
        vst1q_u8(p + 2 * i, vreinterpretq_u8_u16(h));
    }
    for (; i < d; i++) {
        const uint16_t h = vget_lane_u16(halves(vdupq_n_f32(x[i])), 0);
        memcpy(p + 2 * i, &h, sizeof h);
    }
}
