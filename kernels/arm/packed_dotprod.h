/* Products of packed weights with the dot product instructions: sdot by lane multiplies a quad by
 * four activations of one column. */
#ifndef SLM_ARM_PACKED_DOTPROD_H
#define SLM_ARM_PACKED_DOTPROD_H

#include "packed_arm.h"

#define SLM_SUM_BYTES 8
#if defined(__ARM_FEATURE_MATMUL_INT8)
#define SLM_SUM_UNSIGNED         1
#define SLM_DOT(sum, w, a, lane) vusdotq_laneq_s32(sum, w, a, lane)
#else
#define SLM_SUM_UNSIGNED         0
#define SLM_DOT(sum, w, a, lane) vdotq_laneq_s32(sum, vreinterpretq_s8_u8(w), a, lane)
#endif

typedef int32x4_t slm_sum;

SLM_INLINE slm_sum slm_sum_of(int32x4_t bias) {
    return bias;
}

SLM_INLINE slm_sum slm_sum_dot(slm_sum sum, uint8x16_t w, int8x16_t a, int lane) {
    switch (lane) {
    case 0:
        return SLM_DOT(sum, w, a, 0);
    case 1:
        return SLM_DOT(sum, w, a, 1);
    case 2:
        return SLM_DOT(sum, w, a, 2);
    default:
        return SLM_DOT(sum, w, a, 3);
    }
}

SLM_INLINE int32x4_t slm_sum_end(slm_sum sum, int32x4_t bias, int tight) {
    (void)bias;
    (void)tight;
    return sum;
}

#include "packed_lanes.h"

#define SLM_PACKED_DOTPROD(panel_fn, choose, TYPE, name, block, quads)                             \
    SLM_ONE_COLUMN(TYPE, name##_only, panel_fn, SLM_DTYPE_##TYPE, 1, 4, 1)                         \
    SLM_ONE_COLUMN(TYPE, name##_1, panel_fn, SLM_DTYPE_##TYPE, 1, 4, 0)                            \
    SLM_COLUMNS(name##_2, panel_fn, SLM_DTYPE_##TYPE, 2, 4, 0)                                     \
    SLM_COLUMNS(name##_3, panel_fn, SLM_DTYPE_##TYPE, 3, quads, 0)                                 \
    SLM_COLUMNS(name##_4, panel_fn, SLM_DTYPE_##TYPE, 4, quads, 0)                                 \
    SLM_TILE_MATMUL(name) {                                                                        \
        static const slm_columns_fn fns[SLM_COLUMNS_FNS] = {                                       \
            name##_only, name##_1, name##_2, name##_3, name##_4, NULL, NULL, name##_of_full};      \
        slm_walk_tiles(fns, choose, k / (block), y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a);   \
    }
#define SLM_PACKED_DOTPROD_K(TYPE, name)                                                           \
    SLM_COLUMNS_OF_FULL(name##_of_full, slm_tile_k, SLM_DTYPE_##TYPE, 2)                           \
    SLM_PACKED_DOTPROD(slm_panel_k, slm_choose_tile, TYPE, name, 256, 2)
#define SLM_PACKED_DOTPROD_0(TYPE, name)                                                           \
    SLM_COLUMNS_OF_FULL(name##_of_full, slm_panel_0, SLM_DTYPE_##TYPE, 4, 4, 0)                    \
    SLM_PACKED_DOTPROD(slm_panel_0, slm_choose_lanes, TYPE, name, 32, 4)

#endif
