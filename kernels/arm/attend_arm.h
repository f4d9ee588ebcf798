/* The floats of attend.h on Arm: four in a vector, one operand of a product a lane. */
#ifndef SLM_ARM_ATTEND_ARM_H
#define SLM_ARM_ATTEND_ARM_H

#include "level_arm.h"
#include "ref/ref.h"

#include <arm_neon.h>

#define SLM_UNROLL _Pragma("GCC unroll 16")

#define VW     4
#define TILE   5
#define TILE_V 4
#define WIDTH(n) 4
#define LANES  4

typedef float32x4_t vf;
typedef float32x4_t vx;

SLM_INLINE vf vf_zero(void) { return vdupq_n_f32(0); }
SLM_INLINE vf vf_set(float x) { return vdupq_n_f32(x); }
SLM_INLINE vf vf_load(const float *p) { return vld1q_f32(p); }
SLM_INLINE void vf_store(float *p, vf v) { vst1q_f32(p, v); }
SLM_INLINE vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
SLM_INLINE vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
SLM_INLINE vf vf_max(vf a, vf b) { return vmaxnmq_f32(a, b); }
SLM_INLINE vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
SLM_INLINE vf vf_halves(const uint8_t *p) {
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}
SLM_INLINE vf vf_halves_of(const uint8_t *p, size_t v) {
    const float16x8_t h = vreinterpretq_f16_u8(vld1q_u8(p + v / 2 * 16));
    return v % 2 ? vcvt_high_f32_f16(h) : vcvt_f32_f16(vget_low_f16(h));
}
SLM_INLINE vf vf_bytes_of(const uint8_t *p, size_t v) {
    const int8x16_t b = vreinterpretq_s8_u8(vld1q_u8(p));
    const int16x8_t w = v / 2 ? vmovl_high_s8(b) : vmovl_s8(vget_low_s8(b));
    return vcvtq_f32_s32(v % 2 ? vmovl_high_s16(w) : vmovl_s16(vget_low_s16(w)));
}
SLM_INLINE float vf_largest(vf v) { return vmaxnmvq_f32(v); }
SLM_INLINE vf vf_mask(vf v, size_t from, size_t to, float x) {
    static const uint32_t lanes[4] = {0, 1, 2, 3};
    const uint32x4_t lane = vld1q_u32(lanes);
    const uint32x4_t low = vcgeq_u32(lane, vdupq_n_u32((uint32_t)from));
    return vbslq_f32(vandq_u32(low, vcltq_u32(lane, vdupq_n_u32((uint32_t)to))), v, vdupq_n_f32(x));
}

SLM_INLINE vx vx_load(const float *p) { return vld1q_f32(p); }
SLM_INLINE vx vx_mul(vx a, vx b) { return vmulq_f32(a, b); }
SLM_INLINE vx vx_scales(const uint8_t *p, size_t bytes) {
    uint16_t h[4];
    for (int i = 0; i < 4; i++)
        memcpy(&h[i], p + (size_t)i * bytes, 2);
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(h)));
}
SLM_INLINE vx vx_set(float x) { return vdupq_n_f32(x); }
SLM_INLINE vf vx_fma(vx x, size_t lane, vf b, vf c) {
    switch (lane) {
    case 0:
        return vfmaq_laneq_f32(c, b, x, 0);
    case 1:
        return vfmaq_laneq_f32(c, b, x, 1);
    case 2:
        return vfmaq_laneq_f32(c, b, x, 2);
    default:
        return vfmaq_laneq_f32(c, b, x, 3);
    }
}

/* The operations of slm_expf in ref/exp.h but for fused multiply-adds, for what is not above 0. */
SLM_INLINE vf vf_exp(vf x) {
    const vf magic = vdupq_n_f32(12582912.0f);
    x = vmaxq_f32(x, vdupq_n_f32(-105.0f)); /* NaN stays */
    const vf t = vfmaq_f32(magic, x, vdupq_n_f32(0x1.715476p+0f));
    const vf n = vsubq_f32(t, magic);
    vf r = vfmsq_f32(x, n, vdupq_n_f32(0x1.62e4p-1f));
    r = vfmsq_f32(r, n, vdupq_n_f32(0x1.7f7d1cp-20f));
    vf p = vfmaq_f32(vdupq_n_f32(0x1.1239e2p-7f), r, vdupq_n_f32(0x1.6a2434p-10f));
    p = vfmaq_f32(vdupq_n_f32(0x1.5558f2p-5f), p, r);
    p = vfmaq_f32(vdupq_n_f32(0x1.555492p-3f), p, r);
    p = vfmaq_f32(vdupq_n_f32(0x1.fffffcp-2f), p, r);
    p = vfmaq_f32(r, vmulq_f32(p, r), r);
    const int32x4_t e = vsubq_s32(vreinterpretq_s32_f32(t), vreinterpretq_s32_f32(magic));
    const int32x4_t half = vshrq_n_s32(e, 1), one = vdupq_n_s32(127);
    const vf s0 = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, one), 23));
    const vf s1 = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vsubq_s32(e, half), one), 23));
    return vmulq_f32(vfmaq_f32(s0, p, s0), s1);
}

#endif
