/* Products of packed weights where one instruction multiplies a quad by four activations of one
 * column, which come out of a lane. The level says what a sum is, before this is included:
 *   slm_sum        four sums of products, one of each row
 *   slm_sum_of     a new one; bias is added to it here or at its end
 *   slm_sum_dot    plus the products of a quad by a lane
 *   slm_sum_end    the four numbers; tight: they may not be added before they are widened
 *   SLM_SUM_BYTES  how many steps of signed bytes a sum can take
 *   SLM_SUM_UNSIGNED  whether it takes weights of 128 and more as such
 * Weights are unpacked in registers for up to four columns, or stored unpacked for a full tile. The
 * float operations are those of the portable level, in its order. */
#ifndef SLM_ARM_PACKED_LANES_H
#define SLM_ARM_PACKED_LANES_H

#include "packed_arm.h"

/* Quad r of weights 4i .. 4i+3 (i < 8) of group p. */
SLM_INLINE uint8x16_t slm_weights(uint32_t type, const uint8_t *body, size_t p, int i, size_t r) {
    const int j = i % 4, h = i / 4;
    const size_t sj = (size_t)j, sh = (size_t)h;
    uint8x16_t two;
    switch (type) {
    case SLM_DTYPE_Q4_K:
        return slm_nibble(slm_quad(body, slm_nibbles_at(type, p, sj), r), h);
    case SLM_DTYPE_Q5_K:
        return slm_select(0x10, slm_right(slm_quad(body, slm_bits_at(type, p), r), i - 4),
                          slm_nibble(slm_quad(body, slm_nibbles_at(type, p, sj), r), h));
    case SLM_DTYPE_Q6_K:
        return slm_select(0x30, slm_right(slm_quad(body, slm_pairs_at(type, p, sh), r), 2 * j - 4),
                          slm_nibble(slm_quad(body, slm_nibbles_at(type, p, sj), r), h));
    case SLM_DTYPE_Q3_K:
        two = slm_select(
            0x44, slm_right(slm_quad(body, slm_bits_at(type, p), r), slm_bit_of(type, i) % 4 - 2),
            slm_right(slm_quad(body, slm_pairs_at(type, p, sh), r), j % 2 * 2));
        return vandq_u8(slm_right(two, j / 2 * 4), vdupq_n_u8(7));
    case SLM_DTYPE_Q2_K:
        return slm_pair(slm_quad(body, slm_pairs_at(type, p, sh), r), 2 * j);
    case SLM_DTYPE_Q4_0:
        return slm_nibble(slm_quad(body, sj, r), h);
    default: { /* Q8_0 */
        const uint8x16_t v = slm_quad(body, (size_t)i, r);
        return SLM_SUM_UNSIGNED ? v : veorq_u8(v, vdupq_n_u8(128));
    }
    }
}

/* Four activations of n columns (constant; n <= 4): those of step i, each column in a lane. In a
 * tile of one column a vector has four steps. */
SLM_INLINE int8x16_t slm_activations(const uint32_t *q, int i, size_t width, int solo) {
    return slm_load_words(solo ? q + i / 4 * 4 : q + (size_t)i * width);
}

/* What the sums of each column begin with: its word, or zero. The first word is in lane `lane` of
 * x. */
SLM_INLINE void slm_bias(int32x4_t to[4], size_t n, int has_bias, const uint32_t *x, int lane) {
    const int32x4_t words = has_bias ? vreinterpretq_s32_s8(slm_load_words(x)) : vdupq_n_s32(0);
    SLM_UNROLL
    for (size_t c = 0; c < n; c++)
        to[c] = has_bias ? slm_repeat_lane(words, lane + (int)c) : words;
}

/* Adds one block of sixteen rows by n (constant) columns to their sums, `quads` quads at a time.
 * weights: the body, or all of its weights unpacked, eight vectors a group; factors: the scales of
 * each sub-block and row, or NULL, where they come from `scales`. */
SLM_INLINE void slm_block_k(uint32_t type, size_t n, size_t quads, int solo, int unpacked,
                            float32x4_t acc[][4], const uint8_t *weights, const uint8_t *halves,
                            const slm_scales *scales, const int32_t *factors, const uint32_t *x,
                            size_t width) {
    const int wide = slm_is_wide(type), tight = type == SLM_DTYPE_Q5_K || type == SLM_DTYPE_Q6_K;
    const size_t bias_at = type == SLM_DTYPE_Q6_K ? SLM_TILE_K_NEG32 : SLM_TILE_K_NEG4;
    const size_t n_mins = wide ? 2 : 4, sums_at = wide ? SLM_TILE_K_SUM32 : SLM_TILE_K_SUM16;
    /* Halves of a group whose sums are formed side by side. */
    const int halves_at_once = wide || (n == 1 && type != SLM_DTYPE_Q2_K) ? 2 : 1;
    const int n_sums = wide ? 1 : halves_at_once;
    for (size_t r0 = 0; r0 < 4; r0 += quads) {
        const uint8_t *rows = weights + 16 * r0;
        const uint32_t *q = x;
        int32x4_t total[4][4];
        SLM_UNROLL
        for (size_t c = 0; c < n; c++) {
            SLM_UNROLL
            for (size_t r = 0; r < quads; r++)
                total[c][r] = vdupq_n_s32(0);
        }
        for (size_t p = 0; p < 8; p++, q += 8 * width) {
            SLM_UNROLL
            for (int h0 = 0; h0 < 2; h0 += halves_at_once) {
                slm_sum sum[2][4][4];
                int32x4_t bias[2][4];
                SLM_UNROLL
                for (int h = h0; h < h0 + halves_at_once; h++)
                    slm_bias(bias[h - h0], n, !slm_body_has_min(type),
                             x + (bias_at + 2 * p + (size_t)h) * width, 0);
                SLM_UNROLL
                for (int s = 0; s < 4 * halves_at_once; s++) {
                    const int h = h0 + s % halves_at_once, j = s / halves_at_once;
                    const int i = 4 * h + j, set = wide ? 0 : h - h0;
                    const int first = j == 0 && (!wide || h == 0);
                    const int8x16_t a = slm_activations(q, i, width, solo);
                    SLM_UNROLL
                    for (size_t r = 0; r < quads; r++) {
                        const uint8x16_t w = unpacked ? slm_quad(rows, 8 * p + (size_t)i, r)
                                                      : slm_weights(type, rows, p, i, r);
                        SLM_UNROLL
                        for (size_t c = 0; c < n; c++) {
                            if (first)
                                sum[set][c][r] = slm_sum_of(bias[h - h0][c]);
                            sum[set][c][r] = slm_sum_dot(sum[set][c][r], w, a, solo ? j : (int)c);
                        }
                    }
                }
                SLM_UNROLL
                for (int h = h0; h < h0 + n_sums; h++) {
                    const size_t sub_block = wide ? p : 2 * p + (size_t)h;
                    SLM_UNROLL
                    for (size_t r = 0; r < quads; r++) {
                        const int32x4_t scale =
                            factors != NULL
                                ? vld1q_s32(factors + 16 * sub_block + 4 * (r0 + r))
                                : slm_scale(type, scales, sub_block, r0 + r, SLM_ROWS_0123);
                        SLM_UNROLL
                        for (size_t c = 0; c < n; c++) {
                            const int32x4_t v =
                                slm_sum_end(sum[h - h0][c][r], bias[h - h0][c], tight);
                            total[c][r] = vmlaq_s32(total[c][r], v, scale);
                        }
                    }
                }
            }
        }
        SLM_UNROLL
        for (size_t c = 0; c < n; c++) {
            const float da = slm_word_float(x + SLM_TILE_K_D * width + c);
            SLM_UNROLL
            for (size_t r = 0; r < quads; r++) {
                const float32x4_t d = vmulq_n_f32(slm_half_quad(halves, r0 + r), da);
                acc[c][r0 + r] =
                    vaddq_f32(acc[c][r0 + r], vmulq_f32(d, vcvtq_f32_s32(total[c][r])));
            }
        }
        if (!slm_body_has_min(type))
            continue;
        slm_split sums[4];
        SLM_UNROLL
        for (size_t i = 0; i < n_mins; i++) {
            const uint32_t *at = x + (sums_at + 2 * i) * width;
            if (!solo)
                sums[i] = slm_split_columns(at, width);
            else if (i % 4 == 0) {
                const int32x4_t v = vreinterpretq_s32_u32(vld1q_u32(at));
                sums[0] = slm_split_sums(v, wide ? v : vreinterpretq_s32_u32(vld1q_u32(at + 4)));
            }
        }
        SLM_UNROLL
        for (size_t c = 0; c < n; c++) {
            const float da = slm_word_float(x + SLM_TILE_K_D * width + c);
            SLM_UNROLL
            for (size_t r = 0; r < quads; r++) {
                const int32x4_t zero = vdupq_n_s32(0);
                slm_sum low = slm_sum_of(zero), high = slm_sum_of(zero);
                SLM_UNROLL
                for (size_t i = 0; i < n_mins; i++) {
                    const slm_split a = sums[solo ? 0 : i];
                    const int lane = solo ? (int)i : (int)c;
                    const uint8x16_t m = slm_quad(scales->min, i, r0 + r);
                    low = slm_sum_dot(low, m, a.low, lane);
                    high = slm_sum_dot(high, m, a.high, lane);
                }
                const int32x4_t all = slm_sum_end(low, zero, 0) + (slm_sum_end(high, zero, 0) << 8);
                const float32x4_t d = vmulq_n_f32(slm_half_quad(halves + 32, r0 + r), da);
                acc[c][r0 + r] = vsubq_f32(acc[c][r0 + r], vmulq_f32(d, vcvtq_f32_s32(all)));
            }
        }
    }
}

SLM_INLINE void slm_clear_rows(float32x4_t acc[][4], size_t n) {
    SLM_UNROLL
    for (size_t c = 0; c < n; c++) {
        SLM_UNROLL
        for (size_t r = 0; r < 4; r++)
            acc[c][r] = vdupq_n_f32(0);
    }
}

/* Sixteen rows by n (constant) columns. */
SLM_INLINE void slm_panel_k(uint32_t type, size_t n, size_t quads, int solo, float *y,
                            size_t y_stride, size_t n_w, const uint8_t *panel, const uint32_t *x,
                            size_t width, size_t n_blocks) {
    float32x4_t acc[4][4];
    slm_clear_rows(acc, n);
    for (size_t b = 0; b < n_blocks; b++, x += SLM_TILE_K_WORDS * width) {
        const uint8_t *body = panel + slm_body_at(type, b);
        slm_scales scales;
        slm_scales_of(type, body, &scales);
        slm_block_k(type, n, quads, solo, 0, acc, body, panel + slm_halves_at(type, b), &scales,
                    NULL, x, width);
    }
    SLM_UNROLL
    for (size_t c = 0; c < n; c++)
        slm_store_rows(y + c * y_stride, acc[c], n_w);
}

/* Sixteen rows by a full tile, four columns at a time: a block is unpacked once for all of them. */
SLM_INLINE void slm_tile_k(uint32_t type, size_t quads, float *y, size_t y_stride, size_t n_w,
                           const uint8_t *panel, const uint32_t *x, size_t width, size_t n_blocks) {
    const int once = slm_unpack_once(type);
    const size_t n_sub_blocks = slm_is_wide(type) ? 8 : 16;
    uint8_t room[64 * 64];
    int32_t factors[16 * 16];
    float32x4_t acc[SLM_TILE_ROWS][4];
    slm_clear_rows(acc, SLM_TILE_ROWS);
    for (size_t b = 0; b < n_blocks; b++, x += SLM_TILE_K_WORDS * width) {
        const uint8_t *body = panel + slm_body_at(type, b);
        slm_scales scales;
        slm_scales_of(type, body, &scales);
        for (size_t i = 0; i < n_sub_blocks; i += 4) {
            SLM_UNROLL
            for (size_t j = i; j < i + 4; j++) {
                SLM_UNROLL
                for (size_t r = 0; r < 4; r++)
                    vst1q_s32(factors + 16 * j + 4 * r,
                              slm_scale(type, &scales, j, r, SLM_ROWS_0123));
            }
        }
        for (size_t p = 0; once && p < 8; p++) {
            SLM_UNROLL
            for (int i = 0; i < 8; i++) {
                SLM_UNROLL
                for (size_t r = 0; r < 4; r++)
                    vst1q_u8(room + 64 * (8 * p + (size_t)i) + 16 * r,
                             slm_weights(type, body, p, i, r));
            }
        }
        for (size_t c = 0; c < SLM_TILE_ROWS; c += 4)
            slm_block_k(type, 4, quads, 0, once, acc + c, once ? room : body,
                        panel + slm_halves_at(type, b), &scales, factors, x + c, width);
    }
    for (size_t c = 0; c < SLM_TILE_ROWS; c++)
        slm_store_rows(y + c * y_stride, acc[c], n_w);
}

/* The same for Q4_0 and Q8_0: blocks of 32, all of them for some quads and then for the others, so
 * that their sums stay in registers. */
SLM_INLINE void slm_panel_0(uint32_t type, size_t n, size_t quads, int solo, float *y,
                            size_t y_stride, size_t n_w, const uint8_t *panel, const uint32_t *x0,
                            size_t width, size_t n_blocks) {
    const int bytes = type == SLM_DTYPE_Q8_0, steps = bytes ? SLM_SUM_BYTES : 8;
    float32x4_t acc[4][4];
    for (size_t r0 = 0; r0 < 4; r0 += quads) {
        const uint32_t *x = x0;
        float32x4_t part[4][4];
        SLM_UNROLL
        for (size_t c = 0; c < n; c++) {
            SLM_UNROLL
            for (size_t r = 0; r < quads; r++)
                part[c][r] = vdupq_n_f32(0);
        }
        slm_place place = slm_place_of(type, panel);
        for (size_t b = 0; b < n_blocks; b++) {
            const uint8_t *rows = place.body + 16 * r0, *halves = place.halves + 8 * r0;
            slm_sum sum[4][4];
            int32x4_t total[4][4], bias[4];
            /* A tile of one column ends with d, which four words may end with. */
            slm_bias(bias, n, !bytes || SLM_SUM_UNSIGNED,
                     solo ? x + SLM_TILE_0_D - 3 : x + slm_tile_0_bias(type) * width,
                     solo ? (int)slm_tile_0_bias(type) - (SLM_TILE_0_D - 3) : 0);
            SLM_UNROLL
            for (int s = 0; s < 8; s++) {
                const int i = bytes ? s : s / 2 + s % 2 * 4;
                const int8x16_t a = slm_activations(x, i, width, solo);
                uint8x16_t w[4];
                SLM_UNROLL
                for (size_t r = 0; r < quads; r++)
                    w[r] = slm_weights(type, rows, 0, i, r);
                if (bytes)
                    slm_together(w, quads);
                SLM_UNROLL
                for (size_t r = 0; r < quads; r++) {
                    SLM_UNROLL
                    for (size_t c = 0; c < n; c++) {
                        if (s % steps == 0)
                            sum[c][r] = slm_sum_of(bias[c]);
                        sum[c][r] = slm_sum_dot(sum[c][r], w[r], a, solo ? i % 4 : (int)c);
                        if (s % steps == steps - 1) {
                            const int32x4_t v = slm_sum_end(sum[c][r], bias[c], bytes);
                            total[c][r] = s < steps ? v : total[c][r] + v;
                        }
                    }
                }
            }
            SLM_UNROLL
            for (size_t c = 0; c < n; c++) {
                const float da = slm_word_float(x + SLM_TILE_0_D * width + c);
                SLM_UNROLL
                for (size_t r = 0; r < quads; r++) {
                    const float32x4_t d = vmulq_n_f32(slm_half_quad(halves, r), da);
                    part[c][r] = vaddq_f32(part[c][r], vmulq_f32(d, vcvtq_f32_s32(total[c][r])));
                }
            }
            x += SLM_TILE_0_WORDS * width;
            slm_next_place(type, &place);
        }
        SLM_UNROLL
        for (size_t c = 0; c < n; c++) {
            SLM_UNROLL
            for (size_t r = 0; r < quads; r++)
                acc[c][r0 + r] = part[c][r];
        }
    }
    SLM_UNROLL
    for (size_t c = 0; c < n; c++)
        slm_store_rows(y + c * y_stride, acc[c], n_w);
}

/* As many columns as there are, up to four; a full tile at once, or by fours. */
SLM_INLINE slm_choice slm_choose_by(size_t left, size_t width, size_t of_full) {
    const size_t n = left < 4 ? left : 4;
    if (width == SLM_TILE_ROWS)
        return (slm_choice){SLM_OF_FULL, of_full};
    return (slm_choice){width == 1 ? 0 : n, n};
}

SLM_INLINE slm_choice slm_choose_tile(size_t left, size_t width) {
    return slm_choose_by(left, width, SLM_TILE_ROWS);
}

SLM_INLINE slm_choice slm_choose_lanes(size_t left, size_t width) {
    return slm_choose_by(left, width, 4);
}

#endif
