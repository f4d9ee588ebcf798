/* Products of packed weights (packed.h) at the AVX2 level and, where SLM_DPBUSD names the
 * instruction for it, at the AVX-VNNI level. A vector of the layout is two registers: rows 0-7 and
 * 8-15 of the panel, which share the broadcast of four activations. One or two columns (of some
 * types up to four) take the weights as they come from memory; more share a block of the panel,
 * unpacked on the stack. The float operations are those of the portable level, in its order. */
#ifndef SLM_X86_PACKED_AVX2_H
#define SLM_X86_PACKED_AVX2_H

#include "packed.h"
#include "x86/avx2.h"

/* clang-format off */
enum {
    SLM_PREFETCH_AHEAD = 4096,
    SLM_GROUP = 4 /* columns that are multiplied at once */
};

/* Weights of a panel as bytes, and their factors. The last index is the half of the rows. */
typedef struct slm_unpacked {
    __m256i q[64][2];     /* weights 4i .. 4i+3 */
    __m256i scale[16][2]; /* of each sub-block: 16 bits, twice in each lane; with VNNI 32 bits */
    __m256i pair[8][2];   /* minima, or scales where there are none, of two sub-blocks, 16 bits */
    __m256 d[8][2], m[2]; /* of each block */
} slm_unpacked;
/* clang-format on */

SLM_INLINE __m256i slm_vec(const uint8_t *p, size_t i, size_t h) {
    return _mm256_load_si256((const __m256i *)(const void *)(p + 64 * i + 32 * h));
}

SLM_INLINE __m256i slm_masked(__m256i v, int mask) {
    return _mm256_and_si256(v, _mm256_set1_epi8((char)mask));
}

SLM_INLINE __m256i slm_right(__m256i v, int n) {
    return n == 0 ? v : n > 0 ? _mm256_srli_epi32(v, n) : _mm256_slli_epi32(v, -n);
}

SLM_INLINE __m256i slm_bcast(uint32_t v) {
    return _mm256_set1_epi32((int32_t)v);
}

SLM_INLINE __m256 slm_halves(const uint8_t *p) {
    return _mm256_cvtph_ps(_mm_load_si128((const __m128i *)(const void *)p));
}

/* All of a body, for columns that are busy with one block when they need the next. */
SLM_INLINE void slm_prefetch_body(uint32_t type, const uint8_t *body) {
    for (size_t i = 0; i < slm_body_vectors(type); i++)
        _mm_prefetch((const char *)((uintptr_t)body + SLM_PREFETCH_AHEAD + 64 * i), _MM_HINT_T0);
}

/* For columns that read faster than memory gives. A hint now and then keeps the processor's own
 * prefetchers running, where on Zen 4 a request for each vector takes the place of a load (up to
 * 29 %). On Intel they stay too close: asking for all is worth 5 to 60 % (packed_avx512.h), and with three
 * or four columns of Q8_0 still 4 to 12 %. */
SLM_INLINE void slm_prefetch_stream(uint32_t type, const uint8_t *body) {
    const uintptr_t at = (uintptr_t)body + SLM_PREFETCH_AHEAD / 2;
    if (__builtin_cpu_is("intel")) {
        for (size_t i = 0; i < slm_body_vectors(type); i++) {
            _mm_prefetch((const char *)(at + 64 * i), _MM_HINT_T0);
            if (type == SLM_DTYPE_Q8_0) /* and of the second level, further ahead: 13 % */
                _mm_prefetch((const char *)(at + 2560 + 64 * i), _MM_HINT_T1);
        }
    } else {
        for (size_t i = 0; i < slm_body_vectors(type); i += 4)
            _mm_prefetch((const char *)(at + 64 * i), _MM_HINT_T1);
    }
}

/* What is in *u, to be read from there: compilers otherwise keep the factors of a block in the
 * registers that its products need. */
SLM_INLINE const slm_unpacked *slm_in_memory(const slm_unpacked *u) {
    __asm__("" : "+r"(u) : : "memory");
    return u;
}

SLM_INLINE int slm_is_wide(uint32_t type) { /* sub-blocks of 32 */
    return type == SLM_DTYPE_Q4_K || type == SLM_DTYPE_Q5_K;
}

/* Whether blocks of 32 are unpacked as sizes and signs. */
SLM_INLINE int slm_splits(uint32_t type) {
#if defined(SLM_DPBUSD)
    (void)type;
    return 0;
#else
    return type == SLM_DTYPE_Q8_0;
#endif
}

/* Weights 4i .. 4i+3 (i < 8) of group p, unsigned, of Q8_0 signed or with VNNI 128 more. */
SLM_INLINE __m256i slm_weights(uint32_t type, const uint8_t *body, size_t h, size_t p, int i) {
    const size_t j = (size_t)i % 4, half = (size_t)i / 4;
    __m256i low, high;
    switch (type) {
    case SLM_DTYPE_Q4_K:
        return slm_masked(slm_right(slm_vec(body, slm_nibbles_at(type, p, j), h), 4 * (int)half),
                          15);
    case SLM_DTYPE_Q5_K:
        low =
            slm_masked(slm_right(slm_vec(body, slm_nibbles_at(type, p, j), h), 4 * (int)half), 15);
        high = slm_masked(slm_right(slm_vec(body, slm_bits_at(type, p), h), i - 4), 16);
        return _mm256_or_si256(low, high);
    case SLM_DTYPE_Q6_K:
        low =
            slm_masked(slm_right(slm_vec(body, slm_nibbles_at(type, p, j), h), 4 * (int)half), 15);
        high = slm_masked(slm_right(slm_vec(body, slm_pairs_at(type, p, half), h), 2 * (int)j - 4),
                          48);
        return _mm256_or_si256(low, high);
    case SLM_DTYPE_Q3_K:
        low = slm_masked(slm_right(slm_vec(body, slm_pairs_at(type, p, half), h), i % 2 * 2), 0x33);
        high = slm_masked(
            slm_right(slm_vec(body, slm_bits_at(type, p), h), slm_bit_of(type, i) % 4 - 2), 0x44);
        return slm_masked(slm_right(_mm256_or_si256(low, high), (int)j / 2 * 4), 7);
    case SLM_DTYPE_Q2_K:
        return slm_masked(slm_right(slm_vec(body, slm_pairs_at(type, p, half), h), 2 * (int)j), 3);
    case SLM_DTYPE_Q4_0:
        return slm_masked(slm_right(slm_vec(body, j, h), 4 * (int)half), 15);
    default: /* Q8_0 */
#if defined(SLM_DPBUSD)
        return slm_vec(body, (size_t)i, h);
#else
        return _mm256_xor_si256(slm_vec(body, (size_t)i, h), _mm256_set1_epi8(-128));
#endif
    }
}

/* The same from the body (direct) or from what slm_unpack made of it. */
SLM_INLINE __m256i slm_weights_of(uint32_t type, int direct, const uint8_t *body,
                                  const slm_unpacked *u, size_t h, size_t p, int i) {
    return direct ? slm_weights(type, body, h, p, i) : u->q[8 * p + (size_t)i][h];
}

SLM_INLINE __m256i slm_spread(__m256i v, int b, int is_signed) {
#if defined(SLM_DPBUSD)
    return is_signed ? _mm256_srai_epi32(slm_shuffle4(v, 0x00808080u, (uint32_t)b), 24)
                     : slm_shuffle4(v, 0x80808000u, (uint32_t)b);
#else
    return is_signed ? slm_spread_i8(v, (uint32_t)b) : slm_spread_u8(v, (uint32_t)b);
#endif
}

/* Scales and minima of a K block. */
SLM_INLINE void slm_factors(uint32_t type, const uint8_t *body, slm_unpacked *u) {
    const int is_signed = type == SLM_DTYPE_Q3_K || type == SLM_DTYPE_Q6_K;
    const int n = slm_is_wide(type) ? 2 : 4;
    SLM_UNROLL
    for (size_t h = 0; h < 2; h++) {
        __m256i s[4], m[4];
        if (slm_is_wide(type)) {
            const __m256i w0 = slm_vec(body, 1, h), w1 = slm_vec(body, 2, h);
            const __m256i w2 = slm_vec(body, 3, h);
            s[0] = slm_masked(w0, 63);
            m[0] = slm_masked(w1, 63);
            s[1] = _mm256_or_si256(slm_masked(slm_right(w0, 2), 48), slm_masked(w2, 15));
            m[1] =
                _mm256_or_si256(slm_masked(slm_right(w1, 2), 48), slm_masked(slm_right(w2, 4), 15));
        } else if (type == SLM_DTYPE_Q2_K) {
            SLM_UNROLL
            for (size_t i = 0; i < 4; i++) {
                s[i] = slm_masked(slm_vec(body, 1 + i, h), 15);
                m[i] = slm_masked(slm_right(slm_vec(body, 1 + i, h), 4), 15);
            }
        } else if (type == SLM_DTYPE_Q3_K) {
            SLM_UNROLL
            for (int i = 0; i < 4; i++) {
                const __m256i low = slm_right(slm_vec(body, (size_t)i % 2, h), i / 2 * 4);
                const __m256i high = slm_right(slm_vec(body, 2, h), 2 * i - 4);
                s[i] = _mm256_or_si256(slm_masked(low, 15), slm_masked(high, 48));
                s[i] = m[i] = _mm256_sub_epi8(s[i], _mm256_set1_epi8(32));
            }
        } else {
            SLM_UNROLL
            for (size_t i = 0; i < 4; i++)
                s[i] = m[i] = slm_vec(body, i, h);
        }
        SLM_UNROLL
        for (int i = 0; i < n; i++) {
            SLM_UNROLL
            for (int b = 0; b < 4; b++)
                u->scale[4 * i + b][h] = slm_spread(s[i], b, is_signed);
            SLM_UNROLL
            for (int b = 0; b < 2; b++)
                u->pair[2 * i + b][h] = is_signed ? slm_widen_i8(m[i], 2 * (uint32_t)b)
                                                  : slm_widen_u8(m[i], 2 * (uint32_t)b);
        }
    }
}

#if defined(SLM_DPBUSD)

/* total[c] += the products of weights 4*first .. 4*first + 4*steps of group p with the activations
 * at q times their scale. */
SLM_INLINE void slm_sub_block(uint32_t type, int direct, size_t n, __m256i total[][2],
                              const uint8_t *body, const slm_unpacked *u, size_t p, int first,
                              int steps, const __m256i scale[2], const uint32_t *q, size_t width) {
    __m256i sum[SLM_GROUP][2];
    SLM_UNROLL
    for (int i = first; i < first + steps; i++, q += width) {
        const __m256i w0 = slm_weights_of(type, direct, body, u, 0, p, i);
        const __m256i w1 = slm_weights_of(type, direct, body, u, 1, p, i);
        SLM_UNROLL
        for (size_t c = 0; c < n; c++) {
            const __m256i x = slm_bcast(q[c]), zero = _mm256_setzero_si256();
            sum[c][0] = SLM_DPBUSD(i == first ? zero : sum[c][0], w0, x);
            sum[c][1] = SLM_DPBUSD(i == first ? zero : sum[c][1], w1, x);
        }
    }
    SLM_UNROLL
    for (size_t c = 0; c < n; c++) {
        SLM_UNROLL
        for (size_t h = 0; h < 2; h++)
            total[c][h] = _mm256_add_epi32(total[c][h], _mm256_mullo_epi32(sum[c][h], scale[h]));
    }
}

/* total[c] = the sums of a block of 32, the p-th of what is unpacked. */
SLM_INLINE void slm_sums_0(uint32_t type, int direct, size_t n, __m256i total[][2],
                           const uint8_t *body, const slm_unpacked *u, size_t p, const uint32_t *x,
                           size_t width) {
    SLM_UNROLL
    for (size_t c = 0; c < n; c++)
        total[c][0] = total[c][1] = slm_bcast(x[slm_tile_0_bias(type) * width + c]);
    const uint32_t *q = x;
    SLM_UNROLL
    for (int i = 0; i < 8; i++, q += width) {
        const __m256i w0 = slm_weights_of(type, direct, body, u, 0, p, i);
        const __m256i w1 = slm_weights_of(type, direct, body, u, 1, p, i);
        SLM_UNROLL
        for (size_t c = 0; c < n; c++) {
            const __m256i a = slm_bcast(q[c]);
            total[c][0] = SLM_DPBUSD(total[c][0], w0, a);
            total[c][1] = SLM_DPBUSD(total[c][1], w1, a);
        }
    }
}

#else

/* sum[c] = products with `steps` vectors of weights, which together fit 16 bits. */
SLM_INLINE void slm_chain(uint32_t type, int direct, size_t n, __m256i sum[][2],
                          const uint8_t *body, const slm_unpacked *u, size_t p, int first,
                          int steps, const uint32_t *q, size_t width) {
    SLM_UNROLL
    for (int i = first; i < first + steps; i++, q += width) {
        const __m256i w0 = slm_weights_of(type, direct, body, u, 0, p, i);
        const __m256i w1 = slm_weights_of(type, direct, body, u, 1, p, i);
        SLM_UNROLL
        for (size_t c = 0; c < n; c++) {
            const __m256i x = slm_bcast(q[c]);
            const __m256i p0 = _mm256_maddubs_epi16(w0, x), p1 = _mm256_maddubs_epi16(w1, x);
            sum[c][0] = i == first ? p0 : _mm256_add_epi16(sum[c][0], p0);
            sum[c][1] = i == first ? p1 : _mm256_add_epi16(sum[c][1], p1);
        }
    }
}

/* total[c] += the products of weights 4*first .. 4*first + 4*steps of group p with the activations
 * at q times their scale. With the largest weight w, a lane of 16 bits takes
 * up to 2 * 127 * w each vector: 8 of Q4_K, 4 of Q5_K, Q3_K and Q2_K, 2 of Q6_K. */
SLM_INLINE void slm_sub_block(uint32_t type, int direct, size_t n, __m256i total[][2],
                              const uint8_t *body, const slm_unpacked *u, size_t p, int first,
                              int steps, const __m256i scale[2], const uint32_t *q, size_t width) {
    const int chain = type == SLM_DTYPE_Q4_K ? 8 : type == SLM_DTYPE_Q6_K ? 2 : 4;
    SLM_UNROLL
    for (int i = first; i < first + steps; i += chain) {
        __m256i sum[SLM_GROUP][2];
        slm_chain(type, direct, n, sum, body, u, p, i, chain, q, width);
        q += (size_t)chain * width;
        SLM_UNROLL
        for (size_t c = 0; c < n; c++) {
            total[c][0] = slm_add_madd(total[c][0], sum[c][0], scale[0]);
            total[c][1] = slm_add_madd(total[c][1], sum[c][1], scale[1]);
        }
    }
}

/* total[c] = the sums of a block of 32, the p-th of what is unpacked. */
SLM_INLINE void slm_sums_0(uint32_t type, int direct, size_t n, __m256i total[][2],
                           const uint8_t *body, const slm_unpacked *u, size_t p, const uint32_t *x,
                           size_t width) {
    const __m256i one = _mm256_set1_epi16(1);
    if (type == SLM_DTYPE_Q4_0) {
        __m256i sum[SLM_GROUP][2];
        slm_chain(type, direct, n, sum, body, u, p, 0, 8, x, width);
        SLM_UNROLL
        for (size_t c = 0; c < n; c++) {
            const __m256i bias = slm_bcast(x[SLM_TILE_0_NEG8 * width + c]);
            total[c][0] = slm_add_madd(bias, sum[c][0], one);
            total[c][1] = slm_add_madd(bias, sum[c][1], one);
        }
        return;
    }
    const uint32_t *q = x;
    SLM_UNROLL
    for (size_t i = 0; i < 8; i++, q += width) {
        __m256i size[2], sign[2];
        SLM_UNROLL
        for (size_t h = 0; h < 2; h++) {
            sign[h] = direct ? slm_weights(type, body, h, p, (int)i) : u->q[16 * p + 8 + i][h];
            size[h] = direct ? _mm256_abs_epi8(sign[h]) : u->q[16 * p + i][h];
        }
        SLM_UNROLL
        for (size_t c = 0; c < n; c++) {
            const __m256i a = slm_bcast(q[c]);
            SLM_UNROLL
            for (size_t h = 0; h < 2; h++) {
                const __m256i b =
                    direct ? _mm256_sign_epi8(a, sign[h]) : _mm256_xor_si256(a, sign[h]);
                const __m256i sum = _mm256_madd_epi16(_mm256_maddubs_epi16(size[h], b), one);
                if (i > 0)
                    total[c][h] = _mm256_add_epi32(total[c][h], sum);
                else
                    total[c][h] = direct ? sum : _mm256_add_epi32(u->scale[p][h], sum);
            }
        }
    }
}

#endif

/* acc[c] += one K block times n (constant) columns of a tile. */
SLM_INLINE void slm_block_k(uint32_t type, int direct, size_t n, __m256 acc[][2],
                            const uint8_t *body, const slm_unpacked *u, const uint32_t *x,
                            size_t width) {
    const int wide = slm_is_wide(type);
    const size_t sums = wide ? SLM_TILE_K_SUM32 : SLM_TILE_K_SUM16, n_pairs = wide ? 4 : 8;
    __m256i total[SLM_GROUP][2];
    SLM_UNROLL
    for (size_t c = 0; c < n; c++)
        total[c][0] = total[c][1] = _mm256_setzero_si256();
    const uint32_t *q = x;
    for (size_t p = 0; p < 8; p++, q += 8 * width) {
        if (wide) {
            slm_sub_block(type, direct, n, total, body, u, p, 0, 8, u->scale[p], q, width);
        } else {
            slm_sub_block(type, direct, n, total, body, u, p, 0, 4, u->scale[2 * p], q, width);
            slm_sub_block(type, direct, n, total, body, u, p, 4, 4, u->scale[2 * p + 1],
                          q + 4 * width, width);
        }
    }
    SLM_UNROLL
    for (size_t c = 0; c < n; c++) {
        const __m256 da = _mm256_castsi256_ps(slm_bcast(x[SLM_TILE_K_D * width + c]));
        __m256i low[2];
        SLM_UNROLL
        for (size_t s = 0; s < n_pairs; s++) {
            const __m256i sum = slm_bcast(x[(sums + s) * width + c]);
            SLM_UNROLL
            for (size_t h = 0; h < 2; h++)
                low[h] = s == 0 ? _mm256_madd_epi16(u->pair[s][h], sum)
                                : slm_add_madd(low[h], u->pair[s][h], sum);
        }
        SLM_UNROLL
        for (size_t h = 0; h < 2; h++) {
            __m256i t = total[c][h];
            if (!slm_body_has_min(type)) /* what was added to make weights unsigned */
                t = _mm256_sub_epi32(t, _mm256_slli_epi32(low[h], type == SLM_DTYPE_Q6_K ? 5 : 2));
            acc[c][h] = slm_add_scaled(acc[c][h], u->d[0][h], da, t);
            if (slm_body_has_min(type))
                acc[c][h] = slm_sub_scaled(acc[c][h], u->m[h], da, low[h]);
        }
    }
}

/* The same for a block of 32. */
SLM_INLINE void slm_block_0(uint32_t type, int direct, size_t n, __m256 acc[][2],
                            const uint8_t *body, const slm_unpacked *u, size_t p, const uint32_t *x,
                            size_t width) {
    __m256i total[SLM_GROUP][2];
    slm_sums_0(type, direct, n, total, body, u, p, x, width);
    SLM_UNROLL
    for (size_t c = 0; c < n; c++) {
        const __m256 da = _mm256_castsi256_ps(slm_bcast(x[SLM_TILE_0_D * width + c]));
        SLM_UNROLL
        for (size_t h = 0; h < 2; h++)
            acc[c][h] = slm_add_scaled(acc[c][h], u->d[p][h], da, total[c][h]);
    }
}

SLM_INLINE void slm_unpack_k(uint32_t type, slm_unpacked *u, const uint8_t *body) {
    slm_factors(type, body, u);
    for (size_t p = 0; p < 8; p++) {
        SLM_UNROLL
        for (int i = 0; i < 8; i++) {
            u->q[8 * p + (size_t)i][0] = slm_weights(type, body, 0, p, i);
            u->q[8 * p + (size_t)i][1] = slm_weights(type, body, 1, p, i);
        }
    }
}

/* A block of 32, the p-th of what is unpacked. Of Q8_0 without VNNI the sizes of the weights, and
 * masks of those below 0, whose activations take part as -1 - x; to make up, scale is their sum. */
SLM_INLINE void slm_unpack_0(uint32_t type, slm_unpacked *u, size_t p, const uint8_t *body) {
    const int split = slm_splits(type);
    SLM_UNROLL
    for (size_t h = 0; h < 2; h++) {
        __m256i below = _mm256_setzero_si256();
        SLM_UNROLL
        for (size_t i = 0; i < 8; i++) {
            const __m256i w = slm_weights(type, body, h, 0, (int)i);
            if (split) {
                const __m256i size = _mm256_abs_epi8(w);
                const __m256i mask = _mm256_cmpgt_epi8(_mm256_setzero_si256(), w);
                const __m256i part = _mm256_and_si256(size, mask);
                u->q[16 * p + i][h] = size;
                u->q[16 * p + 8 + i][h] = mask;
                below = _mm256_add_epi16(below, _mm256_maddubs_epi16(part, _mm256_set1_epi8(1)));
            } else {
                u->q[8 * p + i][h] = w;
            }
        }
        if (split)
            u->scale[p][h] = _mm256_madd_epi16(below, _mm256_set1_epi16(1));
    }
}

/* d, and dmin of types that have it, of block b. */
SLM_INLINE void slm_unpack_d(uint32_t type, slm_unpacked *u, size_t at, const uint8_t *halves) {
    u->d[at][0] = slm_halves(halves);
    u->d[at][1] = slm_halves(halves + 16);
    if (slm_body_has_min(type)) {
        u->m[0] = slm_halves(halves + 32);
        u->m[1] = slm_halves(halves + 48);
    }
}

SLM_INLINE void slm_store_rows(float *y, size_t n_w, const __m256 acc[2]) {
    slm_store_lanes(y, acc[0], n_w);
    if (n_w > 8)
        slm_store_lanes(y + 8, acc[1], n_w - 8);
}

/* Sixteen rows by n (constant) <= SLM_GROUP columns of a tile. */
SLM_INLINE void slm_direct(uint32_t type, size_t n, float *y, size_t y_stride, size_t n_w,
                           const uint8_t *panel, const uint32_t *x, size_t width, size_t n_blocks) {
    const int is_k = type != SLM_DTYPE_Q4_0 && type != SLM_DTYPE_Q8_0;
    slm_unpacked u;
    __m256 acc[SLM_GROUP][2];
    SLM_UNROLL
    for (size_t c = 0; c < n; c++)
        acc[c][0] = acc[c][1] = _mm256_setzero_ps();
    for (size_t b = 0; b < n_blocks; b++) {
        const uint8_t *body = panel + slm_body_at(type, b);
        if (n <= 2 || (n <= 4 && __builtin_cpu_is("intel")))
            slm_prefetch_stream(type, body);
        else
            slm_prefetch_body(type, body);
        slm_unpack_d(type, &u, 0, panel + slm_halves_at(type, b));
        if (is_k) {
            slm_factors(type, body, &u);
            slm_block_k(type, 1, n, acc, body, slm_in_memory(&u), x, width);
            x += SLM_TILE_K_WORDS * width;
        } else {
            slm_block_0(type, 1, n, acc, body, &u, 0, x, width);
            x += SLM_TILE_0_WORDS * width;
        }
    }
    SLM_UNROLL
    for (size_t c = 0; c < n; c++)
        slm_store_rows(y + c * y_stride, n_w, acc[c]);
}

/* One unpacked K block, or n_blocks of 32, times n (constant) <= SLM_GROUP columns of a tile. */
SLM_INLINE void slm_multiply(uint32_t type, size_t n, __m256 acc[][2], const slm_unpacked *u,
                             const uint32_t *x, size_t width, size_t n_blocks) {
    __m256 sum[SLM_GROUP][2];
    u = slm_in_memory(u);
    SLM_UNROLL
    for (size_t c = 0; c < n; c++)
        sum[c][0] = acc[c][0], sum[c][1] = acc[c][1];
    if (type == SLM_DTYPE_Q4_0 || type == SLM_DTYPE_Q8_0)
        for (size_t p = 0; p < n_blocks; p++)
            slm_block_0(type, 0, n, sum, NULL, u, p, x + p * SLM_TILE_0_WORDS * width, width);
    else
        slm_block_k(type, 0, n, sum, NULL, u, x, width);
    SLM_UNROLL
    for (size_t c = 0; c < n; c++)
        acc[c][0] = sum[c][0], acc[c][1] = sum[c][1];
}

/* Sixteen rows by all columns of a tile. */
SLM_INLINE void slm_unpacking(uint32_t type, float *y, size_t y_stride, size_t n_w,
                              const uint8_t *panel, const uint32_t *x, size_t width,
                              size_t n_blocks) {
    const int is_k = type != SLM_DTYPE_Q4_0 && type != SLM_DTYPE_Q8_0;
    const size_t chunk = is_k ? 1 : slm_splits(type) ? 4 : 8; /* blocks that fit *u */
    const size_t words = is_k ? SLM_TILE_K_WORDS : SLM_TILE_0_WORDS;
    slm_unpacked u;
    __m256 acc[SLM_TILE_ROWS][2];
    for (size_t c = 0; c < width; c++)
        acc[c][0] = acc[c][1] = _mm256_setzero_ps();
    for (size_t b = 0; b < n_blocks; b += chunk) {
        const size_t n = n_blocks - b < chunk ? n_blocks - b : chunk;
        for (size_t p = 0; p < n; p++) {
            const uint8_t *body = panel + slm_body_at(type, b + p);
            slm_prefetch_body(type, body);
            slm_unpack_d(type, &u, p, panel + slm_halves_at(type, b + p));
            if (is_k)
                slm_unpack_k(type, &u, body);
            else
                slm_unpack_0(type, &u, p, body);
        }
        size_t c = 0;
        for (; c + SLM_GROUP <= width; c += SLM_GROUP)
            slm_multiply(type, SLM_GROUP, acc + c, &u, x + c, width, n);
        if (width - c == 3)
            slm_multiply(type, 3, acc + c, &u, x + c, width, n);
        else if (width - c == 2)
            slm_multiply(type, 2, acc + c, &u, x + c, width, n);
        else if (width - c == 1)
            slm_multiply(type, 1, acc + c, &u, x + c, width, n);
        x += n * words * width;
    }
    for (size_t c = 0; c < width; c++)
        slm_store_rows(y + c * y_stride, n_w, acc[c]);
}

/* Defines the product of one type: functions for numbers of columns of a tile, which go over the
 * panels, and the walk over tiles. What is kept in registers from panel to panel need not be loaded
 * again: a load that finds the first-level cache full of weights holds up a stream. */
typedef void (*slm_columns_fn)(float *y, size_t y_stride, size_t n_w, const uint8_t *panel,
                               size_t w_bytes, const uint32_t *x, size_t width, size_t n_blocks);

#define SLM_PACKED_DIRECT(TYPE, fn, n)                                                             \
    static __attribute__((noinline)) void fn(float *y, size_t y_stride, size_t n_w,                \
                                             const uint8_t *panel, size_t w_bytes,                 \
                                             const uint32_t *x, size_t width, size_t n_blocks) {   \
        (void)width;                                                                               \
        for (size_t i = 0; i < n_w; i += SLM_PANEL_ROWS, panel += w_bytes)                         \
            slm_direct(SLM_DTYPE_##TYPE, n, y + i, y_stride, n_w - i, panel, x, n, n_blocks);      \
    }

#define SLM_PACKED_UNPACKED(TYPE, fn, n)                                                           \
    static __attribute__((noinline)) void fn(float *y, size_t y_stride, size_t n_w,                \
                                             const uint8_t *panel, size_t w_bytes,                 \
                                             const uint32_t *x, size_t width, size_t n_blocks) {   \
        (void)width;                                                                               \
        for (size_t i = 0; i < n_w; i += SLM_PANEL_ROWS, panel += w_bytes)                         \
            slm_unpacking(SLM_DTYPE_##TYPE, y + i, y_stride, n_w - i, panel, x, n, n_blocks);      \
    }

/* clang-format off */
/* few: how three and four columns go, SLM_PACKED_DIRECT or SLM_PACKED_UNPACKED. */
#define SLM_PACKED_MATMUL(TYPE, name, block, few)                                                  \
    SLM_PACKED_DIRECT(TYPE, name##_1, 1)                                                           \
    SLM_PACKED_DIRECT(TYPE, name##_2, 2)                                                           \
    few(TYPE, name##_3, 3)                                                                         \
    few(TYPE, name##_4, 4)                                                                         \
    SLM_PACKED_UNPACKED(TYPE, name##_12, SLM_TILE_ROWS)                                            \
    SLM_PACKED_UNPACKED(TYPE, name##_any, width)                                                   \
    void name(float *y, size_t y_stride, const void *w, size_t w_bytes, size_t n_w, const void *a, \
              size_t a_bytes, size_t n_a, size_t k) {                                              \
        static const slm_columns_fn fns[] = {name##_1, name##_2, name##_3, name##_4};              \
        const size_t n_blocks = k / (block);                                                       \
        for (size_t j = 0; j < n_a; j += SLM_TILE_ROWS) {                                          \
            const size_t width = n_a - j < SLM_TILE_ROWS ? n_a - j : SLM_TILE_ROWS;                \
            const slm_columns_fn fn = width <= SLM_GROUP       ? fns[width - 1]                    \
                                      : width == SLM_TILE_ROWS ? name##_12                         \
                                                               : name##_any;                       \
            const uint32_t *x =                                                                    \
                (const uint32_t *)(const void *)((const uint8_t *)a + j * a_bytes);                \
            fn(y + j * y_stride, y_stride, n_w, w, w_bytes, x, width, n_blocks);                   \
        }                                                                                          \
    }
/* clang-format on */

#endif
