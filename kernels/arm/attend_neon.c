/* Attention with the base instructions of Armv8. Bytes are multiplied to 16 bits; two products of
 * bytes fit there, keys and activations being 127 at most. */
#include "attend_arm.h"

#define QUADS      2
#define KEY_TILE   4
#define KEY_WIDTH(n) 2

typedef struct vi {
    int32x4_t low, high; /* two sums of each of two tokens */
} vi;
typedef struct vk {
    int8x16_t quad[2];
} vk;
typedef struct va {
    int8x16_t four[2]; /* four times the same */
} va;

SLM_INLINE vf vf_from(vi v) { return vcvtq_f32_s32(vpaddq_s32(v.low, v.high)); }
SLM_INLINE vk vk_load(const uint8_t *p) {
    const uint8x16_t sign = vdupq_n_u8(0x80);
    const uint8x16_t k0 = veorq_u8(vld1q_u8(p), sign);
    const uint8x16_t k1 = veorq_u8(vld1q_u8(p + 4 * SLM_KV_GROUP), sign);
    return (vk){{vreinterpretq_s8_u8(k0), vreinterpretq_s8_u8(k1)}};
}
SLM_INLINE va va_load(const int8_t *p) {
    const int32_t *four = (const int32_t *)(const void *)p;
    return (va){{vreinterpretq_s8_s32(vld1q_dup_s32(four)),
                 vreinterpretq_s8_s32(vld1q_dup_s32(four + 1))}};
}
SLM_INLINE vi vi_start(const slm_act_q8_0 *x) {
    (void)x;
    return (vi){vdupq_n_s32(0), vdupq_n_s32(0)};
}
SLM_INLINE vi vi_dot(vi sum, vk keys, va x) {
    int16x8_t low = vmull_s8(vget_low_s8(keys.quad[0]), vget_low_s8(x.four[0]));
    int16x8_t high = vmull_high_s8(keys.quad[0], x.four[0]);
    low = vmlal_s8(low, vget_low_s8(keys.quad[1]), vget_low_s8(x.four[1]));
    high = vmlal_high_s8(high, keys.quad[1], x.four[1]);
    return (vi){vpadalq_s16(sum.low, low), vpadalq_s16(sum.high, high)};
}

#define ATTEND(type) slm_attend_##type##_neon
#define SLM_ATTEND   SLM_ARM_ATTEND
#include "attend.h"
