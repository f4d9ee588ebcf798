/* Weight types of 256 by Q8_K activations. Within a block everything is an exact integer: the
 * levels times their sub-block scales fit 16 bits, and the sum of their products 32. For each
 * block, in ascending order, one float accumulator takes (d_w * d_a) * (integer sum), then, for
 * types with minima, minus (dmin_w * d_a) * (integer sum of minimum times activation sum). */
#include "packed.h"
#include "ref.h"

typedef struct unpacked {
    float d, dmin;
    int16_t q[256];  /* level * scale of its sub-block                                            */
    int16_t min[16]; /* for 16 values each                                                        */
} unpacked;

typedef void (*unpack_fn)(unpacked *u, const void *block);

SLM_INLINE void matmul(unpack_fn unpack, size_t block_bytes, int has_min, float *y, size_t y_stride,
                       const void *w, size_t w_bytes, size_t n_w, const void *a, size_t a_bytes,
                       size_t n_a, size_t k) {
    for (size_t i = 0; i < n_w; i++) {
        const uint8_t *row = (const uint8_t *)w + i * w_bytes;
        for (size_t j0 = 0; j0 < n_a; j0 += SLM_REF_TILE) {
            size_t tile = n_a - j0 < SLM_REF_TILE ? n_a - j0 : SLM_REF_TILE;
            float sums[SLM_REF_TILE] = {0};
            for (size_t b = 0; b < k / 256; b++) {
                unpacked u;
                unpack(&u, row + b * block_bytes);
                for (size_t j = 0; j < tile; j++) {
                    const uint8_t *act = (const uint8_t *)a + (j0 + j) * a_bytes;
                    const slm_act_q8_k *x = (const slm_act_q8_k *)act + b;
                    int32_t dot = 0;
                    for (int l = 0; l < 256; l++)
                        dot += u.q[l] * (int16_t)x->q[l];
                    sums[j] += u.d * x->d * (float)dot;
                    if (has_min) {
                        int32_t low = 0;
                        for (int l = 0; l < 16; l++)
                            low += u.min[l] * x->bsums[l];
                        sums[j] -= u.dmin * x->d * (float)low;
                    }
                }
            }
            for (size_t j = 0; j < tile; j++)
                y[(j0 + j) * y_stride + i] = sums[j];
        }
    }
}

/* The same for packed weights by tiles. */
SLM_INLINE void matmul_tiles(unpack_fn unpack, uint32_t type, int has_min, float *y,
                             size_t y_stride, const void *w, size_t w_bytes, size_t n_w,
                             const void *a, size_t a_bytes, size_t n_a, size_t k) {
    for (size_t i = 0; i < n_w; i++) {
        const uint8_t *panel = (const uint8_t *)w + i / SLM_PANEL_ROWS * w_bytes;
        for (size_t j = 0; j < n_a; j++)
            y[j * y_stride + i] = 0;
        for (size_t b = 0; b < k / 256; b++) {
            uint8_t block[sizeof(slm_block_q6_k)];
            unpacked u;
            slm_unpack_block(type, block, panel, b, i % SLM_PANEL_ROWS);
            unpack(&u, block);
            for (size_t j = 0; j < n_a; j++) {
                size_t first = j / SLM_TILE_ROWS * SLM_TILE_ROWS;
                size_t width = n_a - first < SLM_TILE_ROWS ? n_a - first : SLM_TILE_ROWS;
                const uint32_t *x =
                    (const uint32_t *)(const void *)((const uint8_t *)a + first * a_bytes) +
                    b * SLM_TILE_K_WORDS * width + (j - first);
                int32_t dot = 0, low = 0;
                for (size_t l = 0; l < 256; l++) {
                    uint32_t four = x[(SLM_TILE_K_Q + l / 4) * width];
                    dot += u.q[l] * (int8_t)(four >> (8 * (l % 4)));
                }
                float d = slm_bits_float(x[SLM_TILE_K_D * width]), *sum = &y[j * y_stride + i];
                *sum += u.d * d * (float)dot;
                if (!has_min)
                    continue;
                for (size_t l = 0; l < 16; l++) {
                    uint32_t two = x[(SLM_TILE_K_SUM16 + l / 2) * width];
                    low += u.min[l] * (int16_t)(two >> (16 * (l % 2)));
                }
                *sum -= u.dmin * d * (float)low;
            }
        }
    }
}

/* The scales of two neighbouring sub-blocks of 16, spread over their 32 values. */
SLM_INLINE void spread(int16_t scale[32], int first, int second) {
    for (int i = 0; i < 16; i++) {
        scale[i] = (int16_t)first;
        scale[i + 16] = (int16_t)second;
    }
}

SLM_INLINE void unpack_q2_k(unpacked *u, const void *block) {
    const slm_block_q2_k *b = block;
    u->d = slm_load_half(b->d);
    u->dmin = slm_load_half(b->dmin);
    for (int s = 0; s < 16; s++)
        u->min[s] = b->scales[s] >> 4;
    for (int g = 0; g < 8; g++) {
        const uint8_t *q = b->qs + 32 * (g / 4);
        int16_t scale[32];
        int shift = 2 * (g % 4);
        spread(scale, b->scales[2 * g] & 15, b->scales[2 * g + 1] & 15);
        for (int i = 0; i < 32; i++)
            u->q[32 * g + i] = (int16_t)(scale[i] * (int16_t)(q[i] >> shift & 3));
    }
}

SLM_INLINE void unpack_q3_k(unpacked *u, const void *block) {
    const slm_block_q3_k *b = block;
    int8_t scales[16];
    u->d = slm_load_half(b->d);
    slm_unpack_scales_q3_k(b->scales, scales);
    for (int g = 0; g < 8; g++) {
        const uint8_t *q = b->qs + 32 * (g / 4), *h = b->hmask;
        int16_t scale[32];
        int shift = 2 * (g % 4);
        spread(scale, scales[2 * g], scales[2 * g + 1]);
        for (int i = 0; i < 32; i++) {
            int16_t level = (int16_t)((q[i] >> shift & 3) + 4 * (h[i] >> g & 1) - 4);
            u->q[32 * g + i] = (int16_t)(scale[i] * level);
        }
    }
}

SLM_INLINE void unpack_q4_k(unpacked *u, const void *block) {
    const slm_block_q4_k *b = block;
    uint8_t scales[8], mins[8];
    u->d = slm_load_half(b->d);
    u->dmin = slm_load_half(b->dmin);
    slm_unpack_scales_k4(b->scales, scales, mins);
    for (int s = 0; s < 8; s++) {
        int scale = scales[s], shift = 4 * (s % 2);
        const uint8_t *q = b->qs + 32 * (s / 2);
        u->min[2 * s] = u->min[2 * s + 1] = mins[s];
        for (int i = 0; i < 32; i++)
            u->q[32 * s + i] = (int16_t)(scale * (q[i] >> shift & 15));
    }
}

SLM_INLINE void unpack_q5_k(unpacked *u, const void *block) {
    const slm_block_q5_k *b = block;
    uint8_t scales[8], mins[8];
    u->d = slm_load_half(b->d);
    u->dmin = slm_load_half(b->dmin);
    slm_unpack_scales_k4(b->scales, scales, mins);
    for (int s = 0; s < 8; s++) {
        int scale = scales[s], shift = 4 * (s % 2);
        const uint8_t *q = b->qs + 32 * (s / 2);
        u->min[2 * s] = u->min[2 * s + 1] = mins[s];
        for (int i = 0; i < 32; i++) {
            int level = (q[i] >> shift & 15) + 16 * (b->qh[i] >> s & 1);
            u->q[32 * s + i] = (int16_t)(scale * level);
        }
    }
}

SLM_INLINE void unpack_q6_k(unpacked *u, const void *block) {
    const slm_block_q6_k *b = block;
    u->d = slm_load_half(b->d);
    for (int g = 0; g < 8; g++) {
        const uint8_t *low = b->ql + 64 * (g / 4) + 32 * (g % 2), *high = b->qh + 32 * (g / 4);
        int low_shift = 4 * (g % 4 / 2), high_shift = 2 * (g % 4);
        int16_t scale[32];
        spread(scale, b->scales[2 * g], b->scales[2 * g + 1]);
        for (int i = 0; i < 32; i++) {
            int16_t level =
                (int16_t)((low[i] >> low_shift & 15) + 16 * (high[i] >> high_shift & 3) - 32);
            u->q[32 * g + i] = (int16_t)(scale[i] * level);
        }
    }
}

SLM_INLINE void unpack_iq4_xs(unpacked *u, const void *block) {
    const slm_block_iq4_xs *b = block;
    unsigned high = slm_load_u16(b->scales_h);
    u->d = slm_load_half(b->d);
    for (int s = 0; s < 8; s++) {
        int low = b->scales_l[s / 2] >> (4 * (s % 2)) & 15;
        int scale = (low | (int)(high >> (2 * s) & 3) << 4) - 32;
        for (int i = 0; i < 16; i++) {
            uint8_t q = b->qs[16 * s + i];
            u->q[32 * s + i] = (int16_t)(scale * slm_iq4_values[q & 15]);
            u->q[32 * s + i + 16] = (int16_t)(scale * slm_iq4_values[q >> 4]);
        }
    }
}

SLM_INLINE void unpack_tq1_0(unpacked *u, const void *block) {
    u->d = slm_load_half(((const slm_block_tq1_0 *)block)->d);
    slm_unpack_tq1_0(u->q, block);
}

SLM_INLINE void unpack_tq2_0(unpacked *u, const void *block) {
    u->d = slm_load_half(((const slm_block_tq2_0 *)block)->d);
    slm_unpack_tq2_0(u->q, block);
}

#define DEFINE(type, has_min)                                                                      \
    SLM_REF_MATMUL(slm_matmul_##type##_q8_k_ref) {                                                 \
        matmul(unpack_##type, sizeof(slm_block_##type), has_min, y, y_stride, w, w_bytes, n_w, a,  \
               a_bytes, n_a, k);                                                                   \
    }
DEFINE(q2_k, 1)
DEFINE(q3_k, 0)
DEFINE(q4_k, 1)
DEFINE(q5_k, 1)
DEFINE(q6_k, 0)
DEFINE(iq4_xs, 0)
DEFINE(tq1_0, 0)
DEFINE(tq2_0, 0)

#define DEFINE_PACKED(TYPE, type, has_min)                                                         \
    SLM_REF_MATMUL(slm_matmul_##type##_q8_k_tile_ref) {                                            \
        matmul_tiles(unpack_##type, SLM_DTYPE_##TYPE, has_min, y, y_stride, w, w_bytes, n_w, a,    \
                     a_bytes, n_a, k);                                                             \
    }
DEFINE_PACKED(Q2_K, q2_k, 1)
DEFINE_PACKED(Q3_K, q3_k, 0)
DEFINE_PACKED(Q4_K, q4_k, 1)
DEFINE_PACKED(Q5_K, q5_k, 1)
DEFINE_PACKED(Q6_K, q6_k, 0)
