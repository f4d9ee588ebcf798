/* Products of packed weights with the matrix instructions of bytes: usmmla multiplies eight weights
 * of two rows by eight activations of two columns. Eight weights of a row are two steps of a panel,
 * which are interleaved before they are unpacked wherever the steps share a vector's bytes. One
 * column is left to the dot product. */
#ifndef SLM_ARM_PACKED_I8MM_H
#define SLM_ARM_PACKED_I8MM_H

#include "packed_dotprod.h"

/* The same 32 bits of each row or column of a and of b side by side: [0] for the first two. */
typedef struct slm_zipped {
    uint8x16_t v[2];
} slm_zipped;

SLM_INLINE slm_zipped slm_zip(uint8x16_t a, uint8x16_t b) {
    const uint32x4_t u = vreinterpretq_u32_u8(a), v = vreinterpretq_u32_u8(b);
    return (slm_zipped){
        {vreinterpretq_u8_u32(vzip1q_u32(u, v)), vreinterpretq_u8_u32(vzip2q_u32(u, v))}};
}

/* A plane whose bytes hold neighbouring steps `bits` apart, beside itself. */
SLM_INLINE slm_zipped slm_zip_steps(uint8x16_t v, int bits) {
    return slm_zip(v, v >> bits);
}

/* Weights of steps 2t and 2t+1 (t < 4) of group p: rows 0 and 1 of quad r, then rows 2 and 3. */
SLM_INLINE slm_zipped slm_weights_zipped(uint32_t type, const uint8_t *body, size_t p, int t,
                                         size_t r) {
    const int h = t / 2, j = t % 2 * 2;
    const size_t sj = (size_t)j, sh = (size_t)h;
    slm_zipped w;
    switch (type) {
    case SLM_DTYPE_Q4_K:
        w = slm_zip(slm_quad(body, slm_nibbles_at(type, p, sj), r),
                    slm_quad(body, slm_nibbles_at(type, p, 1 + sj), r));
        break;
    case SLM_DTYPE_Q5_K:
        w = slm_zip(slm_quad(body, slm_nibbles_at(type, p, sj), r),
                    slm_quad(body, slm_nibbles_at(type, p, 1 + sj), r));
        break;
    case SLM_DTYPE_Q6_K:
        w = slm_zip(slm_quad(body, slm_nibbles_at(type, p, sj), r),
                    slm_quad(body, slm_nibbles_at(type, p, 1 + sj), r));
        break;
    case SLM_DTYPE_Q3_K:
        w = slm_zip_steps(slm_quad(body, slm_pairs_at(type, p, sh), r), 2);
        break;
    case SLM_DTYPE_Q2_K:
        w = slm_zip_steps(slm_quad(body, slm_pairs_at(type, p, sh), r), 2);
        break;
    case SLM_DTYPE_Q4_0:
        w = slm_zip(slm_quad(body, sj, r), slm_quad(body, 1 + sj, r));
        break;
    default: /* Q8_0 */
        return slm_zip(slm_quad(body, 2 * (size_t)t, r), slm_quad(body, 2 * (size_t)t + 1, r));
    }
    slm_zipped high = w;
    if (type == SLM_DTYPE_Q5_K)
        high = slm_zip_steps(slm_quad(body, slm_bits_at(type, p), r), 1);
    else if (type == SLM_DTYPE_Q6_K)
        high = slm_zip_steps(slm_quad(body, slm_pairs_at(type, p, sh), r), 2);
    else if (type == SLM_DTYPE_Q3_K)
        high = slm_zip_steps(slm_quad(body, slm_bits_at(type, p), r), 1);
    SLM_UNROLL
    for (int e = 0; e < 2; e++) {
        if (type == SLM_DTYPE_Q3_K) {
            w.v[e] = slm_select(0x44, slm_right(high.v[e], 2 * h - 2), w.v[e]);
            w.v[e] = vandq_u8(slm_right(w.v[e], 2 * j), vdupq_n_u8(7));
            continue;
        }
        if (type == SLM_DTYPE_Q2_K)
            w.v[e] = slm_pair(w.v[e], 2 * j);
        else
            w.v[e] = slm_nibble(w.v[e], h);
        if (type == SLM_DTYPE_Q5_K)
            w.v[e] = slm_select(0x10, slm_right(high.v[e], 2 * t - 4), w.v[e]);
        else if (type == SLM_DTYPE_Q6_K)
            w.v[e] = slm_select(0x30, slm_right(high.v[e], 2 * j - 4), w.v[e]);
    }
    return w;
}

/* Lanes of up to six columns, from two vectors of four columns each, as pairs of columns. */
SLM_INLINE void slm_zip_columns(int8x16_t to[3], size_t n_pairs, const int8x16_t a[2],
                                const int8x16_t b[2]) {
    SLM_UNROLL
    for (size_t m = 0; m < n_pairs; m++)
        to[m] = vreinterpretq_s8_u8(
            slm_zip(vreinterpretq_u8_s8(a[m / 2]), vreinterpretq_u8_s8(b[m / 2])).v[m % 2]);
}

/* Steps 2t and 2t+1 of the columns, in pairs. */
SLM_INLINE void slm_activations_zipped(int8x16_t to[3], size_t n_pairs, const uint32_t *q, int t,
                                       size_t width) {
    const uint32_t *x = q + (size_t)t * 2 * width;
    int8x16_t a[2], b[2];
    SLM_UNROLL
    for (size_t g = 0; 2 * g < n_pairs; g++) {
        a[g] = slm_load_words(x + 4 * g);
        b[g] = slm_load_words(x + width + 4 * g);
    }
    slm_zip_columns(to, n_pairs, a, b);
}

/* A word of each column of pair m: c, c+1, c, c+1; where n ends with c, that one. */
SLM_INLINE uint32x4_t slm_pair_words(const uint32_t *x, size_t m, size_t n) {
    const uint32x2_t v = 2 * m + 1 < n ? vld1_u32(x + 2 * m) : vld1_dup_u32(x + 2 * m);
    return vcombine_u32(v, v);
}

/* The results of a quad by a pair of columns, rows 0 and 1 and rows 2 and 3, added to the sums of
 * the panel after a factor of rows and one of columns. */
SLM_INLINE float32x4_t slm_scaled(float32x4_t d, const uint32_t *da, size_t m, size_t n,
                                  int32x4_t v) {
    const float32x4_t both = vmulq_f32(d, vreinterpretq_f32_u32(slm_pair_words(da, m, n)));
    return vmulq_f32(both, vcvtq_f32_s32(v));
}

SLM_INLINE void slm_store_pairs(float *y, size_t y_stride, size_t n_w, size_t n,
                                float32x4_t acc[][4][2]) {
    SLM_UNROLL
    for (size_t c = 0; c < n; c++) {
        float32x4_t rows[4];
        SLM_UNROLL
        for (size_t r = 0; r < 4; r++)
            rows[r] = c % 2 ? vuzp2q_f32(acc[c / 2][r][0], acc[c / 2][r][1])
                            : vuzp1q_f32(acc[c / 2][r][0], acc[c / 2][r][1]);
        slm_store_rows(y + c * y_stride, rows, n_w);
    }
}

/* Weights that slm_store_zipped stored: steps 2i and 2i+1, quad r. */
SLM_INLINE slm_zipped slm_load_zipped(const uint8_t *room, size_t i, size_t r) {
    const uint8_t *p = room + 128 * i + 32 * r;
    return (slm_zipped){{vld1q_u8(p), vld1q_u8(p + 16)}};
}

SLM_INLINE void slm_store_zipped(uint8_t *room, size_t i, size_t r, slm_zipped w) {
    uint8_t *p = room + 128 * i + 32 * r;
    vst1q_u8(p, w.v[0]);
    vst1q_u8(p + 16, w.v[1]);
}

/* Adds one block of sixteen rows by n (constant; 2 to 6) columns to their sums, `quads` quads at a
 * time. weights: the body, or all of its weights unpacked; factors: the scales of each sub-block
 * and pair of rows, or NULL, where they come from `scales`. */
SLM_INLINE void slm_pairs_block_k(uint32_t type, size_t n, size_t quads, int unpacked,
                                  float32x4_t acc[][4][2], const uint8_t *weights,
                                  const uint8_t *halves, const slm_scales *scales,
                                  const int32_t *factors, const uint32_t *x, size_t width) {
    const int wide = slm_is_wide(type), has_min = slm_body_has_min(type);
    const int n_halves = wide ? 1 : 2, n_steps = 4 / n_halves;
    const size_t bias_at = type == SLM_DTYPE_Q6_K ? SLM_TILE_K_NEG32 : SLM_TILE_K_NEG4;
    const size_t n_mins = wide ? 2 : 4, sums_at = wide ? SLM_TILE_K_SUM32 : SLM_TILE_K_SUM16;
    const size_t n_pairs = (n + 1) / 2;
    const uint32_t *da = x + SLM_TILE_K_D * width;
    for (size_t r0 = 0; r0 < 4; r0 += quads) {
        const uint8_t *rows = weights + 16 * r0;
        const uint32_t *q = x;
        int32x4_t total[3][8];
        SLM_UNROLL
        for (size_t m = 0; m < n_pairs; m++) {
            SLM_UNROLL
            for (size_t e = 0; e < 2 * quads; e++)
                total[m][e] = vdupq_n_s32(0);
        }
        for (size_t p = 0; p < 8; p++, q += 8 * width) {
            SLM_UNROLL
            for (int h = 0; h < n_halves; h++) {
                const size_t sub_block = wide ? p : 2 * p + (size_t)h;
                int32x4_t sum[3][8];
                SLM_UNROLL
                for (size_t m = 0; m < n_pairs; m++) {
                    const uint32x4_t bias =
                        has_min ? vdupq_n_u32(0)
                                : slm_pair_words(x + (bias_at + sub_block) * width, m, n);
                    SLM_UNROLL
                    for (size_t e = 0; e < 2 * quads; e++)
                        sum[m][e] = vreinterpretq_s32_u32(bias);
                }
                SLM_UNROLL
                for (int s = 0; s < n_steps; s++) {
                    const int t = wide ? s / 2 + s % 2 * 2 : 2 * h + s;
                    int8x16_t a[3];
                    slm_activations_zipped(a, n_pairs, q, t, width);
                    SLM_UNROLL
                    for (size_t r = 0; r < quads; r++) {
                        const slm_zipped w =
                            unpacked ? slm_load_zipped(weights, 4 * p + (size_t)t, r0 + r)
                                     : slm_weights_zipped(type, rows, p, t, r);
                        SLM_UNROLL
                        for (size_t m = 0; m < n_pairs; m++) {
                            sum[m][2 * r] = vusmmlaq_s32(sum[m][2 * r], w.v[0], a[m]);
                            sum[m][2 * r + 1] = vusmmlaq_s32(sum[m][2 * r + 1], w.v[1], a[m]);
                        }
                    }
                }
                SLM_UNROLL
                for (size_t e = 0; e < 2 * quads; e++) {
                    const int32x4_t scale =
                        factors != NULL ? vld1q_s32(factors + 32 * sub_block + 8 * r0 + 4 * e)
                                        : slm_scale(type, scales, sub_block, r0 + e / 2,
                                                    e % 2 ? SLM_ROWS_2233 : SLM_ROWS_0011);
                    SLM_UNROLL
                    for (size_t m = 0; m < n_pairs; m++)
                        total[m][e] = vmlaq_s32(total[m][e], sum[m][e], scale);
                }
            }
        }
        SLM_UNROLL
        for (size_t r = 0; r < quads; r++) {
            const float32x4_t d = slm_half_quad(halves, r0 + r);
            const float32x4_t d0 = vzip1q_f32(d, d), d1 = vzip2q_f32(d, d);
            SLM_UNROLL
            for (size_t m = 0; m < n_pairs; m++) {
                float32x4_t *to = acc[m][r0 + r];
                to[0] = vaddq_f32(to[0], slm_scaled(d0, da, m, n, total[m][2 * r]));
                to[1] = vaddq_f32(to[1], slm_scaled(d1, da, m, n, total[m][2 * r + 1]));
            }
        }
        if (!has_min)
            continue;
        int8x16_t low[2][3], high[2][3];
        SLM_UNROLL
        for (size_t i = 0; i < n_mins / 2; i++) {
            int8x16_t lows[2][2], highs[2][2];
            SLM_UNROLL
            for (size_t s = 0; s < 2; s++) {
                SLM_UNROLL
                for (size_t g = 0; 2 * g < n_pairs; g++) {
                    const slm_split v =
                        slm_split_columns(x + (sums_at + 4 * i + 2 * s) * width + 4 * g, width);
                    lows[s][g] = v.low;
                    highs[s][g] = v.high;
                }
            }
            slm_zip_columns(low[i], n_pairs, lows[0], lows[1]);
            slm_zip_columns(high[i], n_pairs, highs[0], highs[1]);
        }
        SLM_UNROLL
        for (size_t r = 0; r < quads; r++) {
            const float32x4_t d = slm_half_quad(halves + 32, r0 + r);
            const float32x4_t ds[2] = {vzip1q_f32(d, d), vzip2q_f32(d, d)};
            slm_zipped mins[2];
            SLM_UNROLL
            for (size_t i = 0; i < n_mins / 2; i++)
                mins[i] = slm_zip(slm_quad(scales->min, 2 * i, r0 + r),
                                  slm_quad(scales->min, 2 * i + 1, r0 + r));
            SLM_UNROLL
            for (size_t m = 0; m < n_pairs; m++) {
                SLM_UNROLL
                for (size_t e = 0; e < 2; e++) {
                    int32x4_t all = vdupq_n_s32(0);
                    SLM_UNROLL
                    for (size_t i = 0; i < n_mins / 2; i++)
                        all = vusmmlaq_s32(all, mins[i].v[e], high[i][m]);
                    all = all << 8;
                    SLM_UNROLL
                    for (size_t i = 0; i < n_mins / 2; i++)
                        all = vusmmlaq_s32(all, mins[i].v[e], low[i][m]);
                    acc[m][r0 + r][e] =
                        vsubq_f32(acc[m][r0 + r][e], slm_scaled(ds[e], da, m, n, all));
                }
            }
        }
    }
}

SLM_INLINE void slm_clear_pairs(float32x4_t acc[][4][2], size_t n_pairs) {
    SLM_UNROLL
    for (size_t m = 0; m < n_pairs; m++) {
        SLM_UNROLL
        for (size_t e = 0; e < 8; e++)
            acc[m][e / 2][e % 2] = vdupq_n_f32(0);
    }
}

/* Sixteen rows by n (constant; 2 to 6) columns. */
SLM_INLINE void slm_pairs_k(uint32_t type, size_t n, size_t quads, float *y, size_t y_stride,
                            size_t n_w, const uint8_t *panel, const uint32_t *x, size_t width,
                            size_t n_blocks) {
    float32x4_t acc[3][4][2];
    slm_clear_pairs(acc, (n + 1) / 2);
    for (size_t b = 0; b < n_blocks; b++, x += SLM_TILE_K_WORDS * width) {
        const uint8_t *body = panel + slm_body_at(type, b);
        slm_scales scales;
        slm_scales_of(type, body, &scales);
        slm_pairs_block_k(type, n, quads, 0, acc, body, panel + slm_halves_at(type, b), &scales,
                          NULL, x, width);
    }
    slm_store_pairs(y, y_stride, n_w, n, acc);
}

/* Sixteen rows by a full tile, six columns at a time: a block is unpacked once for all of them. */
SLM_INLINE void slm_pairs_tile_k(uint32_t type, size_t quads, float *y, size_t y_stride, size_t n_w,
                                 const uint8_t *panel, const uint32_t *x, size_t width,
                                 size_t n_blocks) {
    const int once = slm_unpack_once(type);
    const size_t n_sub_blocks = slm_is_wide(type) ? 8 : 16;
    uint8_t room[32 * 128];
    int32_t factors[16 * 32];
    float32x4_t acc[SLM_TILE_ROWS / 2][4][2];
    slm_clear_pairs(acc, SLM_TILE_ROWS / 2);
    for (size_t b = 0; b < n_blocks; b++, x += SLM_TILE_K_WORDS * width) {
        const uint8_t *body = panel + slm_body_at(type, b);
        slm_scales scales;
        slm_scales_of(type, body, &scales);
        for (size_t i = 0; i < n_sub_blocks; i += 4) {
            SLM_UNROLL
            for (size_t j = i; j < i + 4; j++) {
                SLM_UNROLL
                for (size_t e = 0; e < 8; e++)
                    vst1q_s32(
                        factors + 32 * j + 4 * e,
                        slm_scale(type, &scales, j, e / 2, e % 2 ? SLM_ROWS_2233 : SLM_ROWS_0011));
            }
        }
        for (size_t p = 0; once && p < 8; p++) {
            SLM_UNROLL
            for (int t = 0; t < 4; t++) {
                SLM_UNROLL
                for (size_t r = 0; r < 4; r++)
                    slm_store_zipped(room, 4 * p + (size_t)t, r,
                                     slm_weights_zipped(type, body, p, t, r));
            }
        }
        for (size_t c = 0; c < SLM_TILE_ROWS; c += 6)
            slm_pairs_block_k(type, 6, quads, once, acc + c / 2, once ? room : body,
                              panel + slm_halves_at(type, b), &scales, factors, x + c, width);
    }
    for (size_t c = 0; c < SLM_TILE_ROWS; c += 6)
        slm_store_pairs(y + c * y_stride, y_stride, n_w, 6, acc + c / 2);
}

/* The same for Q4_0 and Q8_0: blocks of 32, all of them for some quads and then for the others, so
 * that their sums stay in registers. */
SLM_INLINE void slm_pairs_0(uint32_t type, size_t n, size_t quads, float *y, size_t y_stride,
                            size_t n_w, const uint8_t *panel, const uint32_t *x0, size_t width,
                            size_t n_blocks) {
    const int bytes = type == SLM_DTYPE_Q8_0;
    const size_t n_pairs = (n + 1) / 2;
    float32x4_t acc[3][4][2];
    for (size_t r0 = 0; r0 < 4; r0 += quads) {
        const uint32_t *x = x0;
        float32x4_t part[3][8];
        SLM_UNROLL
        for (size_t m = 0; m < n_pairs; m++) {
            SLM_UNROLL
            for (size_t e = 0; e < 2 * quads; e++)
                part[m][e] = vdupq_n_f32(0);
        }
        slm_place place = slm_place_of(type, panel);
        for (size_t b = 0; b < n_blocks; b++) {
            const uint8_t *rows = place.body + 16 * r0, *halves = place.halves + 8 * r0;
            const uint32_t *da = x + SLM_TILE_0_D * width;
            int32x4_t sum[3][8];
            SLM_UNROLL
            for (size_t m = 0; m < n_pairs; m++) {
                const uint32x4_t bias = slm_pair_words(x + slm_tile_0_bias(type) * width, m, n);
                SLM_UNROLL
                for (size_t e = 0; e < 2 * quads; e++)
                    sum[m][e] = vreinterpretq_s32_u32(bias);
            }
            SLM_UNROLL
            for (int s = 0; s < 4; s++) {
                const int t = bytes ? s : s / 2 + s % 2 * 2;
                int8x16_t a[3];
                slm_activations_zipped(a, n_pairs, x, t, width);
                SLM_UNROLL
                for (size_t r = 0; r < quads; r++) {
                    const slm_zipped w = slm_weights_zipped(type, rows, 0, t, r);
                    SLM_UNROLL
                    for (size_t m = 0; m < n_pairs; m++) {
                        sum[m][2 * r] = vusmmlaq_s32(sum[m][2 * r], w.v[0], a[m]);
                        sum[m][2 * r + 1] = vusmmlaq_s32(sum[m][2 * r + 1], w.v[1], a[m]);
                    }
                }
            }
            SLM_UNROLL
            for (size_t r = 0; r < quads; r++) {
                const float32x4_t d = slm_half_quad(halves, r);
                const float32x4_t d0 = vzip1q_f32(d, d), d1 = vzip2q_f32(d, d);
                SLM_UNROLL
                for (size_t m = 0; m < n_pairs; m++) {
                    float32x4_t *to = part[m] + 2 * r;
                    to[0] = vaddq_f32(to[0], slm_scaled(d0, da, m, n, sum[m][2 * r]));
                    to[1] = vaddq_f32(to[1], slm_scaled(d1, da, m, n, sum[m][2 * r + 1]));
                }
            }
            x += SLM_TILE_0_WORDS * width;
            slm_next_place(type, &place);
        }
        SLM_UNROLL
        for (size_t m = 0; m < n_pairs; m++) {
            SLM_UNROLL
            for (size_t e = 0; e < 2 * quads; e++)
                acc[m][r0 + e / 2][e % 2] = part[m][e];
        }
    }
    slm_store_pairs(y, y_stride, n_w, n, acc);
}

/* A full tile at once, or by sixes; of what is left over, parts that are even. */
SLM_INLINE slm_choice slm_choose_pairs_by(size_t left, size_t width, size_t of_full) {
    static const slm_choice by_left[] = {{0, 0}, {1, 1}, {2, 2}, {3, 3}, {4, 4},
                                         {3, 3}, {6, 6}, {4, 4}, {4, 4}};
    if (width == SLM_TILE_ROWS)
        return (slm_choice){SLM_OF_FULL, of_full};
    if (width == 1)
        return (slm_choice){0, 1};
    return by_left[left > 8 ? 6 : left];
}

SLM_INLINE slm_choice slm_choose_pairs_tile(size_t left, size_t width) {
    return slm_choose_pairs_by(left, width, SLM_TILE_ROWS);
}

SLM_INLINE slm_choice slm_choose_pairs(size_t left, size_t width) {
    return slm_choose_pairs_by(left, width, 6);
}

#define SLM_PACKED_I8MM(one_fn, pairs_fn, choose, TYPE, name, block)                               \
    SLM_ONE_COLUMN(TYPE, name##_only, one_fn, SLM_DTYPE_##TYPE, 1, 4, 1)                           \
    SLM_ONE_COLUMN(TYPE, name##_1, one_fn, SLM_DTYPE_##TYPE, 1, 4, 0)                              \
    SLM_COLUMNS(name##_2, pairs_fn, SLM_DTYPE_##TYPE, 2, 4)                                        \
    SLM_COLUMNS(name##_3, pairs_fn, SLM_DTYPE_##TYPE, 3, 2)                                        \
    SLM_COLUMNS(name##_4, pairs_fn, SLM_DTYPE_##TYPE, 4, 2)                                        \
    SLM_COLUMNS(name##_6, pairs_fn, SLM_DTYPE_##TYPE, 6, 2)                                        \
    SLM_TILE_MATMUL(name) {                                                                        \
        static const slm_columns_fn fns[SLM_COLUMNS_FNS] = {                                       \
            name##_only, name##_1, name##_2, name##_3, name##_4, NULL, name##_6, name##_of_full};  \
        slm_walk_tiles(fns, choose, k / (block), y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a);   \
    }
#define SLM_PACKED_I8MM_K(TYPE, name)                                                              \
    SLM_COLUMNS_OF_FULL(name##_of_full, slm_pairs_tile_k, SLM_DTYPE_##TYPE, 2)                     \
    SLM_PACKED_I8MM(slm_panel_k, slm_pairs_k, slm_choose_pairs_tile, TYPE, name, 256)
#define SLM_PACKED_I8MM_0(TYPE, name)                                                              \
    SLM_COLUMNS_OF_FULL(name##_of_full, slm_pairs_0, SLM_DTYPE_##TYPE, 6, 2)                       \
    SLM_PACKED_I8MM(slm_panel_0, slm_pairs_0, slm_choose_pairs, TYPE, name, 32)

#endif
