/* Products of packed weights (packed.h) by the tiles of AMX, for many columns.
 *
 * A tile of weights is sixteen vectors of a panel, unpacked; a tile of activations is sixteen
 * columns, 64 bytes of k each. For K types the weights are multiplied with the scales of their
 * sub-blocks while they are unpacked, so that a block of 256 is added up in the tiles alone. The
 * products do not fit a byte; they are two parts (here q is a weight, s a scale):
 *
 *   Q4_K, Q5_K  s = 8 * t + u:  q * t and q * u, at most 31 * 7
 *   Q6_K        (q - 32) * s - 32 = 256 * high + low
 *   Q3_K        (q - 4) * (s - 32) + 124, at most 252: one part
 *   Q2_K        q * s, at most 45: one part
 *
 * What is too much or too little in each product of Q6_K and Q3_K is a multiple of the sum of the
 * activations. All of this is exact, and the float operations are those of the portable level in
 * its order: the bits are the same.
 *
 * By count: of 65,536 multiply-accumulates, a block by sixteen columns, tiles do 16 * 256 in 16
 * cycles; in parts as above that is 128 cycles (one part: 64) and 7 vector instructions a column
 * (with minima 15 or 19). Were sub-blocks of 32 (16) added with their scales outside of the tiles,
 * it would be 128 (256) cycles, as many for stores of sums, and 24 (48) vector instructions a
 * column more. */
#ifndef SLM_X86_PACKED_AMX_H
#define SLM_X86_PACKED_AMX_H

#include "x86/packed_avx512.h"
#include "x86/tile_amx.h"

/* Columns from which on tiles are used. They pad to sixteen, and activations are put in order for
 * them: for those of one tile of packed.h that costs as much as it saves. */
enum { SLM_AMX_LEAST = SLM_TILE_ROWS + 1 };

enum {
    SLM_AMX_COLUMNS = 96, /* that share one unpacking: whole tiles of packed.h, whole of ours */
    SLM_AMX_SUMS = 1536,  /* vectors of sums: panels, that share activations, times columns   */
    SLM_AMX_TILE = 1024
};

/* A block of 256 of the activations. */
typedef struct slm_amx_acts {
    int8_t q[SLM_AMX_COLUMNS * 256]; /* [columns / 16][4][16][64]     */
    float d[8][SLM_AMX_COLUMNS];     /* for K types the first only    */
    int32_t bias[SLM_AMX_COLUMNS];
    int32_t sums[8][SLM_AMX_COLUMNS]; /* of two sub-blocks, 16 bits each */
} slm_amx_acts;

/* All that a call keeps while it runs, on the stack of its thread: 144 KB. */
typedef struct slm_amx_work {
    slm_amx_acts acts __attribute__((aligned(64)));
    uint8_t w[2 * 4 * SLM_AMX_TILE] __attribute__((aligned(64)));
    int32_t c[8 * SLM_AMX_TILE / 4] __attribute__((aligned(64)));
    float sums[SLM_AMX_SUMS][SLM_PANEL_ROWS] __attribute__((aligned(64)));
} slm_amx_work;

/* Tiles 0 to 3 are sums, 4 and 5 activations, 6 and 7 weights; k: bytes of a tile's row of k. */
SLM_INLINE void slm_amx_begin(size_t k) {
    slm_tile_config config __attribute__((aligned(64))) = {.palette = 1};
    for (size_t t = 0; t < 8; t++) {
        config.row_bytes[t] = (uint16_t)(t == 4 || t == 5 ? k : 64);
        config.rows[t] = (uint8_t)(t >= 6 ? k / 4 : 16);
    }
    SLM_TILE_CONFIG(&config);
}

/* ---------------------------------------------------------------- activations ---------------- */

/* Four columns of a tile of packed.h, from which `left` are there: 32 bytes of k from each of lo
 * and hi, to four rows of 64 bytes. */
SLM_INLINE void slm_amx_quad(int8_t *to, const uint32_t *lo, const uint32_t *hi, size_t width,
                             size_t left) {
    const __mmask8 mask = left >= 4 ? 15 : (__mmask8)((1u << left) - 1);
    __m512i r[4];
    SLM_UNROLL
    for (size_t i = 0; i < 4; i++) {
        const uint32_t *p[4] = {lo + i * width, lo + (4 + i) * width, hi + i * width,
                                hi + (4 + i) * width};
        r[i] = _mm512_castsi128_si512(_mm_maskz_loadu_epi32(mask, p[0]));
        r[i] = _mm512_inserti32x4(r[i], _mm_maskz_loadu_epi32(mask, p[1]), 1);
        r[i] = _mm512_inserti32x4(r[i], _mm_maskz_loadu_epi32(mask, p[2]), 2);
        r[i] = _mm512_inserti32x4(r[i], _mm_maskz_loadu_epi32(mask, p[3]), 3);
    }
    const __m512i a = _mm512_unpacklo_epi32(r[0], r[1]), b = _mm512_unpackhi_epi32(r[0], r[1]);
    const __m512i c = _mm512_unpacklo_epi32(r[2], r[3]), d = _mm512_unpackhi_epi32(r[2], r[3]);
    _mm512_store_si512((void *)to, _mm512_unpacklo_epi64(a, c));
    _mm512_store_si512((void *)(to + 64), _mm512_unpackhi_epi64(a, c));
    _mm512_store_si512((void *)(to + 128), _mm512_unpacklo_epi64(b, d));
    _mm512_store_si512((void *)(to + 192), _mm512_unpackhi_epi64(b, d));
}

/* A step of 64 of k of a tile of packed.h whose first column is the j-th. */
SLM_INLINE void slm_amx_columns(slm_amx_acts *to, size_t j, size_t step, const uint32_t *lo,
                                const uint32_t *hi, size_t width) {
    for (size_t c = 0; c < width; c += 4) {
        int8_t *at =
            to->q + (j + c) / 16 * (4 * SLM_AMX_TILE) + step * SLM_AMX_TILE + (j + c) % 16 * 64;
        slm_amx_quad(at, lo + c, hi + c, width, width == SLM_TILE_ROWS ? 4 : width - c);
    }
}

/* Block b of n columns; factor: of the sums of activations that products need. */
SLM_INLINE void slm_amx_take_k(slm_amx_acts *to, const uint32_t *x, size_t tile_words, size_t b,
                               size_t n, size_t sums, size_t n_sums, int factor) {
    for (size_t j = 0; j < n; j += SLM_TILE_ROWS, x += tile_words) {
        const size_t width = n - j < SLM_TILE_ROWS ? n - j : SLM_TILE_ROWS;
        const uint32_t *block = x + b * SLM_TILE_K_WORDS * width;
        for (size_t s = 0; s < 4; s++)
            slm_amx_columns(to, j, s, block + 16 * s * width, block + (16 * s + 8) * width, width);
        const __mmask16 mask = (__mmask16)((1u << width) - 1);
        _mm512_mask_storeu_ps(to->d[0] + j, mask,
                              _mm512_maskz_loadu_ps(mask, block + SLM_TILE_K_D * width));
        for (size_t s = 0; s < n_sums; s++)
            _mm512_mask_storeu_epi32(to->sums[s] + j, mask,
                                     _mm512_maskz_loadu_epi32(mask, block + (sums + s) * width));
        if (factor == 0)
            continue;
        __m512i bias = _mm512_setzero_si512();
        SLM_UNROLL
        for (size_t s = 0; s < 4; s++)
            bias = _mm512_dpwssd_epi32(
                bias, _mm512_maskz_loadu_epi32(mask, block + (SLM_TILE_K_SUM32 + s) * width),
                _mm512_set1_epi16((short)factor));
        _mm512_mask_storeu_epi32(to->bias + j, mask, bias);
    }
}

/* Blocks [b, b + n_blocks), at most 8, of n columns. */
SLM_INLINE void slm_amx_take_0(slm_amx_acts *to, const uint32_t *x, size_t tile_words, size_t b,
                               size_t n_blocks, size_t n) {
    for (size_t j = 0; j < n; j += SLM_TILE_ROWS, x += tile_words) {
        const size_t width = n - j < SLM_TILE_ROWS ? n - j : SLM_TILE_ROWS;
        const size_t words = SLM_TILE_0_WORDS * width;
        const __mmask16 mask = (__mmask16)((1u << width) - 1);
        for (size_t s = 0; s < n_blocks; s++) {
            const uint32_t *block = x + (b + s) * words;
            if (s % 2 == 0)
                slm_amx_columns(to, j, s / 2, block, s + 1 < n_blocks ? block + words : block,
                                width);
            _mm512_mask_storeu_ps(to->d[s] + j, mask,
                                  _mm512_maskz_loadu_ps(mask, block + SLM_TILE_0_D * width));
        }
    }
}

/* ---------------------------------------------------------------- weights -------------------- */

/* What is left of a K block once its weights and scales are in tiles. */
typedef struct slm_amx_rest {
    __m512 d, dmin;
    __m512i min[8];
} slm_amx_rest;

/* Bytes first .. first+3 of `pattern` from each lane, in its four. */
SLM_INLINE __m512i slm_amx_spread(__m512i v, int pattern) {
    const __m512i lanes =
        _mm512_broadcast_i32x4(_mm_set_epi8(12, 12, 12, 12, 8, 8, 8, 8, 4, 4, 4, 4, 0, 0, 0, 0));
    return _mm512_shuffle_epi8(v, _mm512_add_epi8(lanes, _mm512_set1_epi32(pattern)));
}

/* The tiles of a block: 64 vectors of each part. */
SLM_INLINE void slm_amx_unpack_k(uint32_t type, uint8_t *to, const uint8_t *body,
                                 const uint8_t *halves, slm_amx_rest *rest) {
    const int wide = type == SLM_DTYPE_Q4_K || type == SLM_DTYPE_Q5_K;
    const size_t n_min = wide ? 4 : 8;
    const __m512i even = _mm512_set1_epi16(0xff);
    slm_factors f;
    slm_factors_of(type, body, &f);
    rest->d = slm_halves(halves);
    if (wide || type == SLM_DTYPE_Q2_K) {
        rest->dmin = slm_halves(halves + 32);
        SLM_UNROLL
        for (size_t s = 0; s < n_min; s++)
            rest->min[s] = f.min[s];
    }
    for (size_t p = 0; p < 8; p++) {
        __m512i s = even, t = even;
        SLM_UNROLL
        for (int i = 0; i < 8; i++, to += 64) {
            const __m512i w = slm_weights(type, body, p, i);
            __m512i low, high = w;
            if (i == 0 || (!wide && i == 4)) {
                s = f.scale[wide ? p : 2 * p + (size_t)i / 4];
                if (type == SLM_DTYPE_Q6_K) { /* s and its complement: -s - 1 */
                    s = slm_amx_spread(s, 0);
                    t = _mm512_xor_si512(s, even);
                    s = _mm512_xor_si512(t, _mm512_set1_epi8(-1));
                } else {
                    s = slm_amx_spread(s, 0x01000100);
                    if (type == SLM_DTYPE_Q3_K)
                        s = _mm512_srai_epi16(s, 8);
                    t = _mm512_srli_epi16(s, 3);
                    if (wide)
                        s = _mm512_and_si512(s, _mm512_set1_epi16(7));
                    else if (type == SLM_DTYPE_Q3_K)
                        t = _mm512_sub_epi16(_mm512_set1_epi16(124 * 257),
                                             _mm512_mullo_epi16(s, _mm512_set1_epi16(4 * 257)));
                }
            }
            if (type == SLM_DTYPE_Q6_K) { /* the other byte of a pair is 32 */
                const __m512i c32 = slm_bytes(32);
                const __m512i e = _mm512_maddubs_epi16(slm_select(even, w, c32), s);
                const __m512i o = _mm512_maddubs_epi16(slm_select(even, c32, w), t);
                low = slm_select(even, e, _mm512_slli_epi16(o, 8));
                high = slm_select(even, _mm512_srli_epi16(e, 8), o);
            } else {
                low = _mm512_mullo_epi16(w, s);
                if (wide)
                    high = _mm512_mullo_epi16(w, t);
                else if (type == SLM_DTYPE_Q3_K)
                    low = _mm512_add_epi16(low, t);
            }
            _mm512_store_si512((void *)to, low);
            if (wide || type == SLM_DTYPE_Q6_K)
                _mm512_store_si512((void *)(to + 4 * SLM_AMX_TILE), high);
        }
    }
}

/* The same for n_blocks of 32, as signed bytes. */
SLM_INLINE void slm_amx_unpack_0(uint32_t type, uint8_t *to, const uint8_t *panel, size_t first,
                                 size_t n_blocks) {
    for (size_t b = first; b < first + n_blocks; b++) {
        const uint8_t *body = panel + slm_body_at(type, b);
        SLM_UNROLL
        for (size_t i = 0; i < 8; i++, to += 64) {
            __m512i w;
            if (type == SLM_DTYPE_Q8_0) {
                w = _mm512_xor_si512(slm_vec(body, i), slm_bytes(128));
            } else {
                w = slm_right(slm_vec(body, i % 4), (int)(i / 4 * 4));
                w = _mm512_sub_epi8(_mm512_and_si512(w, slm_bytes(15)), slm_bytes(8));
            }
            _mm512_store_si512((void *)to, w);
        }
    }
}

/* ---------------------------------------------------------------- products ------------------- */

/* Column j of the block, whose sums in the tiles are at c (and a tile later), added to acc. */
SLM_INLINE void slm_amx_finish_k(uint32_t type, float *acc, const int32_t *c,
                                 const slm_amx_rest *rest, const slm_amx_acts *a, size_t j) {
    const int wide = type == SLM_DTYPE_Q4_K || type == SLM_DTYPE_Q5_K;
    const size_t n_min = wide ? 4 : 8;
    const __m512 da = _mm512_set1_ps(a->d[0][j]);
    __m512i total = _mm512_load_si512((const void *)c);
    if (wide || type == SLM_DTYPE_Q6_K) {
        const __m512i high = _mm512_load_si512((const void *)(c + SLM_AMX_TILE / 4));
        total = _mm512_add_epi32(total, _mm512_slli_epi32(high, wide ? 3 : 8));
    }
    if (type == SLM_DTYPE_Q6_K || type == SLM_DTYPE_Q3_K)
        total = _mm512_add_epi32(total, _mm512_set1_epi32(a->bias[j]));
    __m512 sum = _mm512_add_ps(
        _mm512_load_ps(acc), _mm512_mul_ps(_mm512_mul_ps(rest->d, da), _mm512_cvtepi32_ps(total)));
    if (wide || type == SLM_DTYPE_Q2_K) {
        __m512i low = _mm512_madd_epi16(rest->min[0], _mm512_set1_epi32(a->sums[0][j]));
        SLM_UNROLL
        for (size_t s = 1; s < n_min; s++)
            low = _mm512_dpwssd_epi32(low, rest->min[s], _mm512_set1_epi32(a->sums[s][j]));
        sum = _mm512_sub_ps(sum,
                            _mm512_mul_ps(_mm512_mul_ps(rest->dmin, da), _mm512_cvtepi32_ps(low)));
    }
    _mm512_store_ps(acc, sum);
}

/* A block of a panel by n columns. Four tiles of sums make a step: two parts of 32 columns, or one
 * of 64. While tiles work on a step, vectors finish the one before. */
SLM_INLINE void slm_amx_block_k(uint32_t type, slm_amx_work *u, float (*acc)[SLM_PANEL_ROWS],
                                const uint8_t *body, const uint8_t *halves, size_t n) {
    const int two = type != SLM_DTYPE_Q2_K && type != SLM_DTYPE_Q3_K;
    const size_t most = two ? 2 : 4, n_tiles = (n + 15) / 16;
    const uint8_t *low = u->w, *high = u->w + 4 * SLM_AMX_TILE;
    slm_amx_rest rest;
    slm_amx_unpack_k(type, u->w, body, halves, &rest);
    for (size_t first = 0, done = 0; first < n_tiles || done > 0; first += most) {
        const size_t left = first < n_tiles ? n_tiles - first : 0;
        const size_t now = left < most ? left : most;
        const int8_t *a = u->acts.q + first * 4 * SLM_AMX_TILE;
        if (now > 0) {
            SLM_TILE_ZERO(0);
            SLM_TILE_ZERO(1);
            SLM_TILE_ZERO(2);
            SLM_TILE_ZERO(3);
        }
        for (size_t s = 0; s < 4; s++, a += SLM_AMX_TILE) {
            if (now > 0) {
                SLM_TILE_LOAD(6, low + s * SLM_AMX_TILE, 64);
                SLM_TILE_LOAD(4, a, 64);
                SLM_TILE_SU(0, 4, 6);
                if (two) {
                    SLM_TILE_LOAD(7, high + s * SLM_AMX_TILE, 64);
                    if (type == SLM_DTYPE_Q6_K)
                        SLM_TILE_SS(1, 4, 7);
                    else
                        SLM_TILE_SU(1, 4, 7);
                }
            }
            if (now > 1) {
                SLM_TILE_LOAD(5, a + 4 * SLM_AMX_TILE, 64);
                if (type == SLM_DTYPE_Q6_K)
                    SLM_TILE_SS(3, 5, 7);
                else if (two)
                    SLM_TILE_SU(3, 5, 7);
                if (two)
                    SLM_TILE_SU(2, 5, 6);
                else
                    SLM_TILE_SU(1, 5, 6);
            }
            if (now > 2) {
                SLM_TILE_LOAD(4, a + 8 * SLM_AMX_TILE, 64);
                SLM_TILE_SU(2, 4, 6);
            }
            if (now > 3) {
                SLM_TILE_LOAD(5, a + 12 * SLM_AMX_TILE, 64);
                SLM_TILE_SU(3, 5, 6);
            }
            for (size_t t = 0; t < done; t++) {
                const size_t j = (first - most + t) * 16 + 4 * s;
                const int32_t *c = u->c + t * (two ? 2 : 1) * SLM_AMX_TILE / 4 + 4 * s * 16;
                SLM_UNROLL
                for (size_t i = 0; i < 4; i++)
                    slm_amx_finish_k(type, acc[j + i], c + 16 * i, &rest, &u->acts, j + i);
            }
        }
        if (now > 0) {
            SLM_TILE_STORE(0, u->c, 64);
            SLM_TILE_STORE(1, u->c + 1 * SLM_AMX_TILE / 4, 64);
            SLM_TILE_STORE(2, u->c + 2 * SLM_AMX_TILE / 4, 64);
            SLM_TILE_STORE(3, u->c + 3 * SLM_AMX_TILE / 4, 64);
        }
        done = now;
    }
}

/* Blocks of 32: one tile of sums each, in turn, while the vectors take that of the sixteen columns
 * before. */
#define SLM_AMX_BLOCK_0(t, ta, tw, s)                                                              \
    do {                                                                                           \
        SLM_TILE_ZERO(t);                                                                          \
        SLM_TILE_LOAD(ta, a + (s) / 2 * SLM_AMX_TILE + (s) % 2 * 32, 64);                          \
        SLM_TILE_LOAD(tw, u->w + (s) * (SLM_AMX_TILE / 2), 64);                                    \
        SLM_TILE_SS(t, ta, tw);                                                                    \
        SLM_TILE_STORE(t, u->c + (s) * (SLM_AMX_TILE / 4), 64);                                    \
    } while (0)

/* Blocks [b, b + n_blocks), at most 8, of a panel by n columns. */
SLM_INLINE void slm_amx_block_0(uint32_t type, slm_amx_work *u, float (*acc)[SLM_PANEL_ROWS],
                                const uint8_t *panel, size_t b, size_t n_blocks, size_t n) {
    __m512 d[8], sum[16];
    slm_amx_unpack_0(type, u->w, panel, b, n_blocks);
    for (size_t s = 0; s < n_blocks; s++)
        d[s] = slm_halves(panel + slm_halves_at(type, b + s));
    const size_t n_tiles = (n + 15) / 16;
    for (size_t first = 0; first <= n_tiles; first++) {
        const int8_t *a = u->acts.q + first * 4 * SLM_AMX_TILE;
        const size_t j = first > 0 ? (first - 1) * 16 : 0;
        SLM_UNROLL
        for (size_t i = 0; i < 16; i++)
            sum[i] = _mm512_load_ps(acc[j + i]);
        for (size_t s = 0; s < n_blocks; s++) {
            const int32_t *c = u->c + s * SLM_AMX_TILE / 4;
            if (first > 0) {
                SLM_UNROLL
                for (size_t i = 0; i < 16; i++) {
                    const __m512 da = _mm512_set1_ps(u->acts.d[s][j + i]);
                    const __m512i v = _mm512_load_si512((const void *)(c + 16 * i));
                    sum[i] = _mm512_add_ps(
                        sum[i], _mm512_mul_ps(_mm512_mul_ps(d[s], da), _mm512_cvtepi32_ps(v)));
                }
            }
            if (first == n_tiles)
                continue;
            if (s % 4 == 0)
                SLM_AMX_BLOCK_0(0, 4, 6, s);
            else if (s % 4 == 1)
                SLM_AMX_BLOCK_0(1, 5, 7, s);
            else if (s % 4 == 2)
                SLM_AMX_BLOCK_0(2, 4, 6, s);
            else
                SLM_AMX_BLOCK_0(3, 5, 7, s);
        }
        SLM_UNROLL
        for (size_t i = 0; i < 16; i++)
            _mm512_store_ps(acc[j + i], sum[i]);
    }
}

/* ---------------------------------------------------------------- the walk ------------------- */

/* n columns of n_panels panels, whose sums fit. */
SLM_INLINE void slm_amx_panels(uint32_t type, slm_amx_work *u, const uint8_t *w, size_t w_bytes,
                               size_t n_panels, const uint32_t *x, size_t tile_words, size_t n,
                               size_t n_blocks) {
    const int is_k = type != SLM_DTYPE_Q4_0 && type != SLM_DTYPE_Q8_0;
    const int wide = type == SLM_DTYPE_Q4_K || type == SLM_DTYPE_Q5_K;
    const size_t padded = (n + 15) / 16 * 16, step = is_k ? 1 : 8;
    memset(u->sums, 0, n_panels * padded * sizeof u->sums[0]);
    for (size_t b = 0; b < n_blocks; b += step) {
        const size_t some = n_blocks - b < step ? n_blocks - b : step;
        if (is_k)
            slm_amx_take_k(&u->acts, x, tile_words, b, n,
                           wide ? SLM_TILE_K_SUM32 : SLM_TILE_K_SUM16,
                           wide                     ? 4
                           : type == SLM_DTYPE_Q2_K ? 8
                                                    : 0,
                           type == SLM_DTYPE_Q6_K   ? 32
                           : type == SLM_DTYPE_Q3_K ? -124
                                                    : 0);
        else
            slm_amx_take_0(&u->acts, x, tile_words, b, some, n);
        for (size_t i = 0; i < n_panels; i++) {
            const uint8_t *panel = w + i * w_bytes, *body = panel + slm_body_at(type, b);
            const uint8_t *next =
                i + 1 < n_panels ? body + w_bytes : w + slm_body_at(type, b + step);
            for (size_t v = 0; v < slm_body_vectors(type) * step; v++)
                _mm_prefetch((const char *)next + 64 * v, _MM_HINT_T0);
            if (is_k)
                slm_amx_block_k(type, u, u->sums + i * padded, body, panel + slm_halves_at(type, b),
                                n);
            else
                slm_amx_block_0(type, u, u->sums + i * padded, panel, b, some, n);
        }
    }
}

SLM_INLINE void slm_amx_walk(uint32_t type, float *y, size_t y_stride, const uint8_t *w,
                             size_t w_bytes, size_t n_w, const uint8_t *a, size_t a_bytes,
                             size_t n_a, size_t n_blocks) {
    const int is_k = type != SLM_DTYPE_Q4_0 && type != SLM_DTYPE_Q8_0;
    slm_amx_work u;
    memset(&u.acts, 0, sizeof u.acts); /* columns that nobody has are multiplied too */
    slm_amx_begin(is_k ? 64 : 32);
    for (size_t j = 0; j < n_a; j += SLM_AMX_COLUMNS) {
        const size_t n = n_a - j < SLM_AMX_COLUMNS ? n_a - j : SLM_AMX_COLUMNS;
        const size_t padded = (n + 15) / 16 * 16, most = SLM_AMX_SUMS / padded;
        const uint32_t *x = (const uint32_t *)(const void *)(a + j * a_bytes);
        for (size_t i = 0; i < n_w; i += most * SLM_PANEL_ROWS) {
            const size_t left = (n_w - i + SLM_PANEL_ROWS - 1) / SLM_PANEL_ROWS;
            const size_t n_panels = left < most ? left : most;
            slm_amx_panels(type, &u, w + i / SLM_PANEL_ROWS * w_bytes, w_bytes, n_panels, x,
                           SLM_TILE_ROWS * a_bytes / sizeof *x, n, n_blocks);
            for (size_t p = 0; p < n_panels; p++) {
                const size_t row = i + p * SLM_PANEL_ROWS, rows = n_w - row;
                const __mmask16 mask = rows >= 16 ? 0xffff : (__mmask16)((1u << rows) - 1);
                for (size_t c = 0; c < n; c++)
                    _mm512_mask_storeu_ps(y + (j + c) * y_stride + row, mask,
                                          _mm512_load_ps(u.sums[p * padded + c]));
            }
        }
    }
    SLM_TILE_RELEASE();
}

/* Defines the product of one type; name_avx512 is that of few columns. */
#define SLM_PACKED_AMX(TYPE, name, block, name_avx512)                                             \
    static __attribute__((noinline)) SLM_AMX_MATMUL(name##_tiles) {                                \
        slm_amx_walk(SLM_DTYPE_##TYPE, y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a,              \
                     k / (block));                                                                 \
    }                                                                                              \
    SLM_AMX_MATMUL(name) {                                                                         \
        if (n_a < SLM_AMX_LEAST)                                                                   \
            name_avx512(y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a, k);                         \
        else                                                                                       \
            name##_tiles(y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a, k);                        \
    }

#endif
