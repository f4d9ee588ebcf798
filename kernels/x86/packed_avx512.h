/* Products of packed weights (packed.h) at the AVX-512 VNNI level. A vector is four weights of each
 * of the sixteen rows of a panel; vpdpbusd multiplies it with four activations that one broadcast
 * brings to all lanes. Weights are unpacked in registers and used for `n` columns of a tile at
 * once. The float operations are those of the portable level, in its order. */
#ifndef SLM_X86_PACKED_AVX512_H
#define SLM_X86_PACKED_AVX512_H

#include "kernels.h"
#include "packed.h"
#include "x86/unroll.h"

#include <immintrin.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-reassoc")
#endif

/* Asks for a group of n vectors before it is needed. With many columns a block takes so long that
 * no load of the next is under way when it ends: all of it is asked for. Few columns, one or two on Zen 4
 * and up to eight on Intel, read the stream as fast as memory gives it, and what helps is the processor's own
 * affair:
 *
 *   Zen 4   its prefetchers follow by themselves, and every request takes the place of a load (T0
 *           for all vectors: 8 to 25 % slower than none); one a group, which keeps them running
 *           into the next page, is worth 2 to 5 %, but for Q8_0, which has nothing else to do.
 *   Xeon with AMX: they stay too close. Asking for all was worth 21 % (Q8_0), 24 % (Q4_K) and 30 %
 *           (Q4_0), with 0.5 to 2 KB ahead alike. The first level alone has too few requests under
 *           way: asking the second level further ahead as well is worth 8, 8 and 17 % more. Three to
 *           eight columns gain 12 to 17 % (Q8_0), 5 to 13 % (Q4_K) and 8 to 13 % (Q4_0) of both.
 *
 * Addresses past the end of the weights are harmless. */
SLM_INLINE void slm_prefetch(uint32_t type, size_t columns, const uint8_t *p, size_t n) {
    const uintptr_t at = (uintptr_t)p;
    if (columns > 8 || (columns > 2 && !__builtin_cpu_is("intel"))) {
        SLM_UNROLL
        for (size_t i = 0; i < n; i++)
            _mm_prefetch((const char *)(at + 4096 + 64 * i), _MM_HINT_T0);
    } else if (__builtin_cpu_is("intel")) {
        SLM_UNROLL
        for (size_t i = 0; i < n; i++) {
            _mm_prefetch((const char *)(at + 512 + 64 * i), _MM_HINT_T0);
            _mm_prefetch((const char *)(at + 3072 + 64 * i), _MM_HINT_T1);
        }
    } else if (type != SLM_DTYPE_Q8_0) {
        _mm_prefetch((const char *)(at + 2048), _MM_HINT_T1);
    }
}

SLM_INLINE __m512i slm_vec(const uint8_t *p, size_t i) {
    return _mm512_load_si512((const void *)(p + 64 * i));
}

SLM_INLINE __m512i slm_bytes(int b) {
    return _mm512_set1_epi8((char)b);
}

/* Bits of a where the mask has them, else of b. */
SLM_INLINE __m512i slm_select(__m512i mask, __m512i a, __m512i b) {
    return _mm512_ternarylogic_epi32(mask, a, b, 0xca);
}

SLM_INLINE __m512i slm_right(__m512i v, int n) {
    return n >= 0 ? _mm512_srli_epi32(v, (unsigned)n) : _mm512_slli_epi32(v, (unsigned)-n);
}

SLM_INLINE __m512i slm_bcast(uint32_t v) {
    return _mm512_set1_epi32((int)v);
}

SLM_INLINE __m512 slm_bcast_float(uint32_t bits) {
    return _mm512_castsi512_ps(_mm512_set1_epi32((int)bits));
}

SLM_INLINE __m512 slm_halves(const uint8_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

/* Weights 4i .. 4i+3 (i < 8) of group p as unsigned bytes. */
SLM_INLINE __m512i slm_weights(uint32_t type, const uint8_t *body, size_t p, int i) {
    const size_t j = (size_t)i % 4, h = (size_t)i / 4;
    switch (type) {
    case SLM_DTYPE_Q4_K:
        return _mm512_and_si512(slm_right(slm_vec(body, slm_nibbles_at(type, p, j)), 4 * (int)h),
                                slm_bytes(15));
    case SLM_DTYPE_Q5_K: {
        const __m512i low = slm_right(slm_vec(body, slm_nibbles_at(type, p, j)), 4 * (int)h);
        const __m512i high = slm_right(slm_vec(body, slm_bits_at(type, p)), i - 4);
        return _mm512_and_si512(slm_select(slm_bytes(15), low, high), slm_bytes(31));
    }
    case SLM_DTYPE_Q6_K: {
        const __m512i low = slm_right(slm_vec(body, slm_nibbles_at(type, p, j)), 4 * (int)h);
        const __m512i high = slm_right(slm_vec(body, slm_pairs_at(type, p, h)), 2 * (int)j - 4);
        return _mm512_and_si512(slm_select(slm_bytes(15), low, high), slm_bytes(63));
    }
    case SLM_DTYPE_Q3_K: {
        const int bit = slm_bit_of(type, i) % 4;
        const __m512i low = slm_right(slm_vec(body, slm_pairs_at(type, p, h)), i % 2 * 2);
        const __m512i high = slm_right(slm_vec(body, slm_bits_at(type, p)), bit - 2);
        const __m512i two = slm_select(slm_bytes(0x33), low, high);
        return _mm512_and_si512(slm_right(two, (int)j / 2 * 4), slm_bytes(7));
    }
    case SLM_DTYPE_Q2_K:
        return _mm512_and_si512(slm_right(slm_vec(body, slm_pairs_at(type, p, h)), 2 * (int)j),
                                slm_bytes(3));
    default:
        return _mm512_setzero_si512();
    }
}

/* What a K block multiplies its sums with. */
typedef struct slm_factors {
    __m512i scale[16]; /* of each sub-block, 32 bits                                              */
    __m512i min[8];    /* of two sub-blocks each, 16 bits                                         */
} slm_factors;

/* Byte b of each lane as a 32-bit number. */
SLM_INLINE __m512i slm_byte(__m512i v, int b, int is_signed) {
    if (is_signed)
        return _mm512_srai_epi32(_mm512_slli_epi32(v, (unsigned)(24 - 8 * b)), 24);
    if (b == 3)
        return _mm512_srli_epi32(v, 24);
    return _mm512_and_si512(slm_right(v, 8 * b), _mm512_set1_epi32(255));
}

/* The bytes of each lane that `order` names; 0x80 is a zero. */
SLM_INLINE __m512i slm_bytes_of(__m512i v, uint32_t order) {
    const __m512i lanes = _mm512_broadcast_i32x4(_mm_set_epi32(12, 8, 4, 0));
    const __m512i base = _mm512_shuffle_epi8(
        lanes,
        _mm512_broadcast_i32x4(_mm_set_epi8(12, 12, 12, 12, 8, 8, 8, 8, 4, 4, 4, 4, 0, 0, 0, 0)));
    return _mm512_shuffle_epi8(v, _mm512_add_epi8(_mm512_set1_epi32((int)order), base));
}

/* Bytes 2h and 2h+1 of each lane as two 16-bit numbers. */
SLM_INLINE __m512i slm_byte_pair(__m512i v, int h) {
    return slm_bytes_of(v, h ? 0x80038002u : 0x80018000u);
}

/* 256 times byte b of each lane, signed, in the lower half of it. */
SLM_INLINE __m512i slm_byte_up(__m512i v, int b) {
    return slm_bytes_of(v, 0x80800080u | (uint32_t)b << 8);
}

SLM_INLINE int slm_is_wide(uint32_t type) { /* sub-blocks of 32 */
    return type == SLM_DTYPE_Q4_K || type == SLM_DTYPE_Q5_K;
}

/* Of Q4_K and Q5_K: the scales of sub-blocks 4i .. 4i+3 as bytes, and their minima. */
SLM_INLINE __m512i slm_scale_bytes(const uint8_t *body, size_t i) {
    const __m512i w = slm_vec(body, 1);
    if (i == 0)
        return _mm512_and_si512(w, slm_bytes(63));
    return slm_select(slm_bytes(0x30), slm_right(w, 2),
                      _mm512_and_si512(slm_vec(body, 3), slm_bytes(15)));
}

SLM_INLINE __m512i slm_min_bytes(const uint8_t *body, size_t i) {
    const __m512i w = slm_vec(body, 2);
    if (i == 0)
        return _mm512_and_si512(w, slm_bytes(63));
    return slm_select(slm_bytes(0x30), slm_right(w, 2),
                      _mm512_and_si512(slm_right(slm_vec(body, 3), 4), slm_bytes(15)));
}

SLM_INLINE void slm_factors_of(uint32_t type, const uint8_t *body, slm_factors *f) {
    const __m512i b0f = slm_bytes(0x0f), b03 = slm_bytes(0x03);
    __m512i s[4], m[4];
    int n = 4, is_signed = 0;
    switch (type) {
    case SLM_DTYPE_Q4_K:
    case SLM_DTYPE_Q5_K:
        for (size_t i = 0; i < 2; i++) {
            s[i] = slm_scale_bytes(body, i);
            m[i] = slm_min_bytes(body, i);
        }
        n = 2;
        break;
    case SLM_DTYPE_Q2_K:
        for (size_t i = 0; i < 4; i++) {
            s[i] = _mm512_and_si512(slm_vec(body, 1 + i), b0f);
            m[i] = _mm512_and_si512(slm_right(slm_vec(body, 1 + i), 4), b0f);
        }
        break;
    case SLM_DTYPE_Q3_K: {
        const __m512i w0 = slm_vec(body, 0), w1 = slm_vec(body, 1), w2 = slm_vec(body, 2);
        SLM_UNROLL
        for (int i = 0; i < 4; i++) {
            const __m512i low = _mm512_and_si512(slm_right(i % 2 ? w1 : w0, i / 2 * 4), b0f);
            const __m512i high = _mm512_and_si512(slm_right(w2, 2 * i), b03);
            s[i] = _mm512_sub_epi8(_mm512_or_si512(low, slm_right(high, -4)), slm_bytes(32));
        }
        break;
    }
    default: /* Q6_K */
        for (size_t i = 0; i < 4; i++)
            s[i] = slm_vec(body, i);
        is_signed = 1;
        break;
    }
    SLM_UNROLL
    for (int i = 0; i < n; i++) {
        SLM_UNROLL
        for (int b = 0; b < 4; b++) {
            f->scale[4 * i + b] =
                type == SLM_DTYPE_Q3_K ? slm_byte_up(s[i], b) : slm_byte(s[i], b, is_signed);
        }
        if (type == SLM_DTYPE_Q4_K || type == SLM_DTYPE_Q5_K || type == SLM_DTYPE_Q2_K) {
            f->min[2 * i] = slm_byte_pair(m[i], 0);
            f->min[2 * i + 1] = slm_byte_pair(m[i], 1);
        }
    }
}

/* A block unpacked: weights 4i .. 4i+3 of each row as bytes. */
typedef struct slm_unpacked {
    __m512i w[64];
    slm_factors f;
} slm_unpacked;

SLM_INLINE void slm_unpack_k(uint32_t type, const uint8_t *body, slm_unpacked *u) {
    slm_factors_of(type, body, &u->f);
    for (size_t p = 0; p < 8; p++) {
        SLM_UNROLL
        for (int i = 0; i < 8; i++)
            u->w[8 * p + (size_t)i] = slm_weights(type, body, p, i);
    }
}

/* total + sum * scale. Sums of Q2_K and Q3_K fit 16 bits, and their scales stand in the lower half;
 * those of Q3_K are 256 times too large, which leaves a block's total below 2^31. */
SLM_INLINE __m512i slm_add_scaled(uint32_t type, int by16, __m512i total, __m512i sum,
                                  __m512i scale) {
    if (by16 || type == SLM_DTYPE_Q2_K || type == SLM_DTYPE_Q3_K)
        return _mm512_dpwssd_epi32(total, sum, scale);
    return _mm512_add_epi32(total, _mm512_mullo_epi32(sum, scale));
}

/* total[c] += group p times n (constant) columns of a tile. q: the group's activations of the first
 * column, bias: what makes up for unsigned weights.
 *
 * by16: sums are of 16 weights where sub-blocks are of 32. Those of Q4_K fit 16 bits then, and two
 * vpdpwssd add them where vpmulld and an addition add one of 32. On Intel's processors vpmulld
 * takes the place of two products and the addition of one, 3 against 2; on Zen 4 vpmulld takes one
 * and the addition none. */
SLM_INLINE void slm_group_k(uint32_t type, int by16, size_t n, __m512i *total, const uint8_t *body,
                            const slm_unpacked *u, int is_unpacked, size_t p, const __m512i *scale,
                            const uint32_t *q, const uint32_t *bias, size_t width) {
    const int wide = slm_is_wide(type), steps = wide && !by16 ? 8 : 4;
    const size_t vectors = (slm_body_vectors(type) + 7) / 8;
    __m512i sum[SLM_TILE_ROWS];
    if (!is_unpacked)
        slm_prefetch(type, n, body + p * vectors * 64, vectors);
    SLM_UNROLL
    for (int i = 0; i < 8; i++, q += width) {
        const __m512i w = is_unpacked ? u->w[8 * p + (size_t)i] : slm_weights(type, body, p, i);
        if (i % steps == 0) {
            SLM_UNROLL
            for (size_t c = 0; c < n; c++)
                sum[c] = slm_body_has_min(type) ? _mm512_setzero_si512()
                                                : slm_bcast(bias[(size_t)(i / steps) * width + c]);
        }
        SLM_UNROLL
        for (size_t c = 0; c < n; c++)
            sum[c] = _mm512_dpbusd_epi32(sum[c], w, slm_bcast(q[c]));
        if (i % steps == steps - 1) {
            SLM_UNROLL
            for (size_t c = 0; c < n; c++)
                total[c] =
                    slm_add_scaled(type, by16, total[c], sum[c], scale[wide ? 0 : i / steps]);
        }
    }
}

/* One block of sixteen rows by n (constant) columns of a tile, added to acc. The weights are those
 * of the body or, if u has them already, of u->w; the factors those of u->f. From a body of Q4_K or
 * Q5_K each scale is made when its turn comes: to store a vector keeps products waiting longer than
 * to make one. x: the first column's place in the block. */
SLM_INLINE void slm_block_k(uint32_t type, int by16, size_t n, __m512 *acc, const uint8_t *body,
                            const uint8_t *halves, const slm_unpacked *u, int is_unpacked,
                            const uint32_t *x, size_t width) {
    const int wide = slm_is_wide(type), has_min = slm_body_has_min(type);
    const size_t sums = wide ? SLM_TILE_K_SUM32 : SLM_TILE_K_SUM16, n_min = wide ? 4 : 8;
    const uint32_t *q = x;
    const uint32_t *bias =
        x + (type == SLM_DTYPE_Q6_K ? SLM_TILE_K_NEG32 : SLM_TILE_K_NEG4) * width;
    __m512i total[SLM_TILE_ROWS];
    SLM_UNROLL
    for (size_t c = 0; c < n; c++)
        total[c] = _mm512_setzero_si512();
    if (wide && !is_unpacked) {
        SLM_UNROLL
        for (size_t half = 0; half < 2; half++) {
            __m512i scales = slm_scale_bytes(body, half);
            for (size_t p = 4 * half; p < 4 * half + 4; p++, q += 8 * width) {
                const __m512i scale = _mm512_and_si512(scales, _mm512_set1_epi32(255));
                slm_group_k(type, by16, n, total, body, u, 0, p, &scale, q, bias, width);
                scales = slm_right(scales, 8);
            }
        }
    } else {
        for (size_t p = 0; p < 8; p++, q += 8 * width, bias += 2 * width)
            slm_group_k(type, by16, n, total, body, u, is_unpacked, p,
                        u->f.scale + (wide ? p : 2 * p), q, bias, width);
    }
    const __m512 d = slm_halves(halves), dmin = slm_halves(halves + 32);
    __m512i min[8];
    SLM_UNROLL
    for (size_t s = 0; has_min && s < n_min; s++)
        min[s] =
            wide && !is_unpacked ? slm_byte_pair(slm_min_bytes(body, s / 2), s % 2) : u->f.min[s];
    SLM_UNROLL
    for (size_t c = 0; c < n; c++) {
        const __m512 da = slm_bcast_float(x[SLM_TILE_K_D * width + c]);
        if (type == SLM_DTYPE_Q3_K)
            total[c] = _mm512_srai_epi32(total[c], 8);
        __m512 y = _mm512_add_ps(acc[c],
                                 _mm512_mul_ps(_mm512_mul_ps(d, da), _mm512_cvtepi32_ps(total[c])));
        if (has_min) {
            __m512i low = _mm512_setzero_si512();
            SLM_UNROLL
            for (size_t s = 0; s < n_min; s++)
                low = _mm512_dpwssd_epi32(low, min[s], slm_bcast(x[(sums + s) * width + c]));
            y = _mm512_sub_ps(y, _mm512_mul_ps(_mm512_mul_ps(dmin, da), _mm512_cvtepi32_ps(low)));
        }
        acc[c] = y;
    }
}

SLM_INLINE void slm_store_columns(size_t n, float *y, size_t y_stride, size_t n_w,
                                  const __m512 *acc) {
    const __mmask16 mask = n_w >= 16 ? 0xffff : (__mmask16)((1u << n_w) - 1);
    SLM_UNROLL
    for (size_t c = 0; c < n; c++)
        _mm512_mask_storeu_ps(y + c * y_stride, mask, acc[c]);
}

/* Sixteen rows by n (constant) columns of a tile. x: the first column's place in its first block.
 */
SLM_INLINE void slm_panel_by(uint32_t type, int by16, size_t n, float *y, size_t y_stride,
                             size_t n_w, const uint8_t *panel, const uint32_t *x, size_t width,
                             size_t n_blocks) {
    __m512 acc[SLM_TILE_ROWS];
    SLM_UNROLL
    for (size_t c = 0; c < n; c++)
        acc[c] = _mm512_setzero_ps();
    for (size_t b = 0; b < n_blocks; b++, x += SLM_TILE_K_WORDS * width) {
        const uint8_t *body = panel + slm_body_at(type, b);
        const uint8_t *halves = panel + slm_halves_at(type, b);
        slm_unpacked u;
        if (!slm_is_wide(type))
            slm_factors_of(type, body, &u.f);
        slm_block_k(type, by16, n, acc, body, halves, &u, 0, x, width);
    }
    slm_store_columns(n, y, y_stride, n_w, acc);
}

/* The forms of SLM_PACKED_COLUMNS: by sums of sub-blocks, and of 16. */
SLM_INLINE void slm_panel_k(uint32_t type, size_t n, float *y, size_t y_stride, size_t n_w,
                            const uint8_t *panel, const uint32_t *x, size_t width,
                            size_t n_blocks) {
    slm_panel_by(type, 0, n, y, y_stride, n_w, panel, x, width, n_blocks);
}

SLM_INLINE void slm_panel_k16(uint32_t type, size_t n, float *y, size_t y_stride, size_t n_w,
                              const uint8_t *panel, const uint32_t *x, size_t width,
                              size_t n_blocks) {
    slm_panel_by(type, 1, n, y, y_stride, n_w, panel, x, width, n_blocks);
}

enum { SLM_PASS_TILES = 4 }; /* whole tiles that share one unpacking */

/* Sixteen rows by n_tiles whole tiles, tile_words apart. */
SLM_INLINE void slm_pass_k(uint32_t type, size_t n_tiles, float *y, size_t y_stride, size_t n_w,
                           const uint8_t *panel, const uint32_t *x, size_t tile_words,
                           size_t n_blocks) {
    __m512 acc[SLM_PASS_TILES][SLM_TILE_ROWS];
    for (size_t t = 0; t < n_tiles; t++) {
        SLM_UNROLL
        for (size_t c = 0; c < SLM_TILE_ROWS; c++)
            acc[t][c] = _mm512_setzero_ps();
    }
    for (size_t b = 0; b < n_blocks; b++, x += SLM_TILE_K_WORDS * SLM_TILE_ROWS) {
        const uint8_t *body = panel + slm_body_at(type, b);
        const uint8_t *halves = panel + slm_halves_at(type, b);
        slm_unpacked u;
        slm_unpack_k(type, body, &u);
        for (size_t t = 0; t < n_tiles; t++)
            slm_block_k(type, 0, SLM_TILE_ROWS, acc[t], body, halves, &u, 1, x + t * tile_words,
                        SLM_TILE_ROWS);
    }
    for (size_t t = 0; t < n_tiles; t++)
        slm_store_columns(SLM_TILE_ROWS, y + t * SLM_TILE_ROWS * y_stride, y_stride, n_w, acc[t]);
}

/* The same for Q4_0 and Q8_0: blocks of 32. */
SLM_INLINE void slm_panel_0(uint32_t type, size_t n, float *y, size_t y_stride, size_t n_w,
                            const uint8_t *panel, const uint32_t *x, size_t width,
                            size_t n_blocks) {
    __m512 acc[SLM_TILE_ROWS];
    SLM_UNROLL
    for (size_t c = 0; c < n; c++)
        acc[c] = _mm512_setzero_ps();
    for (size_t b = 0; b < n_blocks; b++, x += SLM_TILE_0_WORDS * width) {
        const uint8_t *body = panel + slm_body_at(type, b);
        __m512i sum[SLM_TILE_ROWS];
        slm_prefetch(type, n, body, slm_body_vectors(type));
        SLM_UNROLL
        for (size_t c = 0; c < n; c++)
            sum[c] = slm_bcast(x[slm_tile_0_bias(type) * width + c]);
        SLM_UNROLL
        for (size_t i = 0; i < 8; i++) {
            __m512i w;
            if (type == SLM_DTYPE_Q8_0)
                w = slm_vec(body, i);
            else
                w = _mm512_and_si512(slm_right(slm_vec(body, i % 4), (int)(i / 4 * 4)),
                                     slm_bytes(15));
            SLM_UNROLL
            for (size_t c = 0; c < n; c++)
                sum[c] = _mm512_dpbusd_epi32(sum[c], w, slm_bcast(x[i * width + c]));
        }
        const __m512 d = slm_halves(panel + slm_halves_at(type, b));
        SLM_UNROLL
        for (size_t c = 0; c < n; c++) {
            const __m512 da = slm_bcast_float(x[SLM_TILE_0_D * width + c]);
            acc[c] = _mm512_add_ps(acc[c],
                                   _mm512_mul_ps(_mm512_mul_ps(d, da), _mm512_cvtepi32_ps(sum[c])));
        }
    }
    slm_store_columns(n, y, y_stride, n_w, acc);
}

/* Defines the product of one type: a function for each number of columns and, for types that are
 * costly to unpack, one for several whole tiles; and the walk over tiles, panels and columns. Where
 * one function has all columns it goes over the panels itself, with all that it needs in registers:
 * a branch that waits for a load, where the first-level cache is full of weights, holds up a stream
 * (docs/PERFORMANCE.md). */
#define SLM_PACKED_COLUMNS(form, TYPE, name, n)                                                    \
    static __attribute__((noinline)) void name##_##n(                                              \
        float *y, size_t y_stride, size_t n_w, const uint8_t *panel, size_t w_bytes,               \
        const uint32_t *x, size_t width, size_t n_blocks) {                                        \
        if (n == SLM_TILE_ROWS)                                                                    \
            width = n; /* a constant: addresses are numbers */                                     \
        for (size_t i = 0; i < n_w; i += SLM_PANEL_ROWS, panel += w_bytes)                         \
            slm_panel_##form(SLM_DTYPE_##TYPE, n, y + i, y_stride, n_w - i, panel, x, width,       \
                             n_blocks);                                                            \
    }

#define SLM_PACKED_TILES(TYPE, name)                                                               \
    static __attribute__((noinline)) void name##_tiles(                                            \
        float *y, size_t y_stride, size_t n_w, const uint8_t *panel, const uint32_t *x,            \
        size_t tile_words, size_t n_tiles, size_t n_blocks) {                                      \
        slm_pass_k(SLM_DTYPE_##TYPE, n_tiles, y, y_stride, n_w, panel, x, tile_words, n_blocks);   \
    }

/* tiles: name##_tiles or NULL */
#define SLM_PACKED_MATMUL(form, TYPE, name, block, tiles)                                          \
    SLM_PACKED_COLUMNS(form, TYPE, name, 1)                                                        \
    SLM_PACKED_COLUMNS(form, TYPE, name, 2)                                                        \
    SLM_PACKED_COLUMNS(form, TYPE, name, 3)                                                        \
    SLM_PACKED_COLUMNS(form, TYPE, name, 4)                                                        \
    SLM_PACKED_COLUMNS(form, TYPE, name, 5)                                                        \
    SLM_PACKED_COLUMNS(form, TYPE, name, 6)                                                        \
    SLM_PACKED_COLUMNS(form, TYPE, name, 8)                                                        \
    SLM_PACKED_COLUMNS(form, TYPE, name, 12)                                                       \
    SLM_AVX512_MATMUL(name) {                                                                      \
        static const slm_columns_fn columns[] = {name##_1, name##_2, name##_3, name##_4,           \
                                                 name##_5, name##_6, name##_8, name##_12};         \
        slm_walk_packed(columns, tiles, k / (block), y, y_stride, w, w_bytes, n_w, a, a_bytes,     \
                        n_a);                                                                      \
    }

typedef void (*slm_columns_fn)(float *y, size_t y_stride, size_t n_w, const uint8_t *panel,
                               size_t w_bytes, const uint32_t *x, size_t width, size_t n_blocks);
typedef void (*slm_tiles_fn)(float *y, size_t y_stride, size_t n_w, const uint8_t *panel,
                             const uint32_t *x, size_t tile_words, size_t n_tiles, size_t n_blocks);

/* columns: for 1, 2, 3, 4, 5, 6, 8 and 12 */
SLM_INLINE void slm_walk_packed(const slm_columns_fn *columns, slm_tiles_fn tiles, size_t n_blocks,
                                float *y, size_t y_stride, const void *w, size_t w_bytes,
                                size_t n_w, const void *a, size_t a_bytes, size_t n_a) {
    static const uint8_t width_of[8] = {1, 2, 3, 4, 5, 6, 8, 12};
    for (size_t j = 0; j < n_a;) {
        const uint32_t *x = (const uint32_t *)(const void *)((const uint8_t *)a + j * a_bytes);
        const size_t left = n_a - j, width = left < SLM_TILE_ROWS ? left : SLM_TILE_ROWS;
        size_t n_tiles = left / SLM_TILE_ROWS;
        if (n_tiles > SLM_PASS_TILES)
            n_tiles = SLM_PASS_TILES;
        if (tiles == NULL || n_tiles < 2)
            n_tiles = 0;
        size_t most = 7;
        while (width_of[most] > width)
            most--;
        if (n_tiles == 0 && width_of[most] == width) {
            columns[most](y + j * y_stride, y_stride, n_w, w, w_bytes, x, width, n_blocks);
            j += width;
            continue;
        }
        for (size_t i = 0; i < n_w; i += SLM_PANEL_ROWS) {
            const uint8_t *panel = (const uint8_t *)w + i / SLM_PANEL_ROWS * w_bytes;
            const size_t rows = n_w - i < SLM_PANEL_ROWS ? n_w - i : SLM_PANEL_ROWS;
            float *to = y + j * y_stride + i;
            if (n_tiles > 0) {
                tiles(to, y_stride, rows, panel, x, SLM_TILE_ROWS * a_bytes / sizeof *x, n_tiles,
                      n_blocks);
                continue;
            }
            for (size_t c = 0, g = most; c < width; c += width_of[g]) {
                while (width_of[g] > width - c)
                    g--;
                columns[g](to + c * y_stride, y_stride, rows, panel, w_bytes, x + c, width,
                           n_blocks);
            }
        }
        j += n_tiles > 0 ? n_tiles * SLM_TILE_ROWS : width;
    }
}

#endif
