/* Attention over bytes with the dot product instructions. */
#include "attend_arm.h"

#define QUADS      4
#define KEY_TILE   4
#define KEY_WIDTH(n) 2

typedef int32x4_t vi;
typedef struct vk {
    int8x16_t quad[4];
} vk;
typedef int8x16_t va;

SLM_INLINE vf vf_from(vi v) { return vcvtq_f32_s32(v); }
SLM_INLINE vk vk_load(const uint8_t *p) {
    vk keys;
    SLM_UNROLL
    for (size_t i = 0; i < 4; i++) {
        const uint8x16_t quad = vld1q_u8(p + i * 4 * SLM_KV_GROUP);
        keys.quad[i] = vreinterpretq_s8_u8(veorq_u8(quad, vdupq_n_u8(0x80)));
    }
    return keys;
}
SLM_INLINE va va_load(const int8_t *p) { return vld1q_s8(p); }
SLM_INLINE vi vi_start(const slm_act_q8_0 *x) {
    (void)x;
    return vdupq_n_s32(0);
}
SLM_INLINE vi vi_dot(vi sum, vk keys, va x) {
    sum = vdotq_laneq_s32(sum, keys.quad[0], x, 0);
    sum = vdotq_laneq_s32(sum, keys.quad[1], x, 1);
    sum = vdotq_laneq_s32(sum, keys.quad[2], x, 2);
    return vdotq_laneq_s32(sum, keys.quad[3], x, 3);
}

#define ATTEND_BYTES_ONLY
#define ATTEND(type) slm_attend_##type##_dotprod
#define SLM_ATTEND   SLM_ARM_ATTEND
#include "attend.h"
