/* Products of packed weights with the base instructions of Armv8: bytes are multiplied to 16 bits,
 * and products of one row added there for as long as they fit. A lane is repeated first. */
#ifndef SLM_ARM_PACKED_NEON_H
#define SLM_ARM_PACKED_NEON_H

#include "packed_arm.h"

#define SLM_SUM_UNSIGNED 0
#define SLM_SUM_BYTES    2 /* 2 * 128 * 127 < 2^15, as are 4 * 63 * 127 and 8 * 31 * 127 */

typedef struct slm_sum {
    int16x8_t low, high; /* four of each of two rows */
} slm_sum;

SLM_INLINE slm_sum slm_sum_of(int32x4_t bias) {
    (void)bias;
    return (slm_sum){vdupq_n_s16(0), vdupq_n_s16(0)};
}

SLM_INLINE slm_sum slm_sum_dot(slm_sum sum, uint8x16_t w, int8x16_t a, int lane) {
    const int8x16_t v = vreinterpretq_s8_u8(w);
    const int8x16_t x = vreinterpretq_s8_s32(slm_repeat_lane(vreinterpretq_s32_s8(a), lane));
    sum.low = vmlal_s8(sum.low, vget_low_s8(v), vget_low_s8(x));
    sum.high = vmlal_high_s8(sum.high, v, x);
    return sum;
}

SLM_INLINE int32x4_t slm_sum_end(slm_sum sum, int32x4_t bias, int tight) {
    if (tight)
        return bias + vpaddq_s32(vpaddlq_s16(sum.low), vpaddlq_s16(sum.high));
    return vpadalq_s16(bias, vpaddq_s16(sum.low, sum.high));
}

#include "packed_lanes.h"

#define SLM_PACKED_NEON(panel_fn, choose, TYPE, name, block, quads)                                \
    SLM_ONE_COLUMN(TYPE, name##_only, panel_fn, SLM_DTYPE_##TYPE, 1, 4, 1)                         \
    SLM_ONE_COLUMN(TYPE, name##_1, panel_fn, SLM_DTYPE_##TYPE, 1, 4, 0)                            \
    SLM_COLUMNS(name##_2, panel_fn, SLM_DTYPE_##TYPE, 2, 2, 0)                                     \
    SLM_COLUMNS(name##_3, panel_fn, SLM_DTYPE_##TYPE, 3, quads, 0)                                 \
    SLM_COLUMNS(name##_4, panel_fn, SLM_DTYPE_##TYPE, 4, quads, 0)                                 \
    SLM_TILE_MATMUL(name) {                                                                        \
        static const slm_columns_fn fns[SLM_COLUMNS_FNS] = {                                       \
            name##_only, name##_1, name##_2, name##_3, name##_4, NULL, NULL, name##_of_full};      \
        slm_walk_tiles(fns, choose, k / (block), y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a);   \
    }
#define SLM_PACKED_NEON_K(TYPE, name)                                                              \
    SLM_COLUMNS_OF_FULL(name##_of_full, slm_tile_k, SLM_DTYPE_##TYPE, 2)                           \
    SLM_PACKED_NEON(slm_panel_k, slm_choose_tile, TYPE, name, 256, 2)
#define SLM_PACKED_NEON_0(TYPE, name)                                                              \
    SLM_COLUMNS_OF_FULL(name##_of_full, slm_panel_0, SLM_DTYPE_##TYPE, 4, 2, 0)                    \
    SLM_PACKED_NEON(slm_panel_0, slm_choose_lanes, TYPE, name, 32, 2)

#endif
