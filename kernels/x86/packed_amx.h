/* Products of packed weights (packed.h) by the tiles of AMX, for many columns.
 *
 * A tile of weights is sixteen vectors of a panel, unpacked; a tile of activations is sixteen
 * columns, 64 bytes of k each, and activations of so many columns are put in that order to begin
 * with (slm_put_row_amx). For K types the weights are multiplied with the scales of their
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
 * column more. Multiplications and conversions of 512 bits have one port beside tiles, additions
 * two. Blocks of 32 of Q4_0 and Q8_0 have two of each for 16 products of a column: 32 cycles of
 * 8,192 multiply-accumulates, for which tiles work 16; loads take 36, and 52 were reached when all
 * lay in the first-level cache.
 */
#ifndef SLM_X86_PACKED_AMX_H
#define SLM_X86_PACKED_AMX_H

#include "x86/packed_avx512.h"
#include "x86/tile_amx.h"

/* Columns from which on tiles are used. They pad to sixteen: for those of one tile of packed.h that
 * costs as much as it saves. */
enum { SLM_AMX_LEAST = SLM_TILE_ROWS + 1 };

enum {
    SLM_AMX_TILE = 1024,
    SLM_AMX_MOST = 16,            /* groups of columns that share one unpacking                   */
    SLM_AMX_BYTES = 11 << 17      /* of activations that stay in the second-level cache           */
};

/* Activations of 16 columns and 256 of k, 64 bytes of each column in turn: a tile where it lies.
 * Groups of a call lie block by block. */
typedef struct slm_amx_k {
    int8_t q[4][16][64];
    float d[16];
    int32_t sums32[4][16]; /* of two sub-blocks, 16 bits each         */
    int32_t sums16[8][16];
    int32_t bias[2][16];   /* the sum of q times 32, and times -124   */
} slm_amx_k;

typedef struct slm_amx_0 {
    int8_t q[4][16][64];
    float d[8][16];
} slm_amx_0;

/* Blocks of a type in 256 of k. */
SLM_INLINE size_t slm_amx_step(uint32_t type) {
    return type == SLM_DTYPE_Q4_0 || type == SLM_DTYPE_Q8_0 ? 8 : 1;
}

/* All that a call keeps while it runs, on the stack of its thread: 53 KB. */
typedef struct slm_amx_work {
    uint8_t w[2][2 * 4 * SLM_AMX_TILE] __attribute__((aligned(64))); /* of two panels */
    int32_t c[4 * SLM_AMX_TILE / 4] __attribute__((aligned(64)));
    int32_t ones[SLM_AMX_TILE / 4] __attribute__((aligned(64)));
    float sums[2][16 * SLM_AMX_MOST][SLM_PANEL_ROWS] __attribute__((aligned(64)));
} slm_amx_work;

/* Parts of the products of a K type. */
SLM_INLINE size_t slm_amx_parts(uint32_t type) {
    return type == SLM_DTYPE_Q2_K || type == SLM_DTYPE_Q3_K ? 1 : 2;
}

/* Whether panels go in pairs, which read activations from the second-level cache once: it limits
 * types without minima, and vectors the others. */
SLM_INLINE int slm_amx_pairs(uint32_t type) {
    return !slm_body_has_min(type);
}

/* Tiles 0 to 3 are sums, 4 and 5 activations, 6 and 7 weights; k: bytes of a tile's row of k. */
SLM_INLINE void slm_amx_begin(size_t k) {
    slm_tile_config config __attribute__((aligned(64))) = {.palette = 1};
    for (size_t t = 0; t < 8; t++) {
        config.row_bytes[t] = (uint16_t)(t == 4 || t == 5 ? k : 64);
        config.rows[t] = (uint8_t)(t >= 6 ? k / 4 : 16);
    }
    SLM_TILE_CONFIG(&config);
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

/* The same for n_blocks of 32, as signed bytes; what lacks of eight is zeros. */
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
    if (n_blocks < 8)
        memset(to, 0, (8 - n_blocks) * SLM_AMX_TILE / 2);
}

/* ---------------------------------------------------------------- products ------------------- */

/* An integer of less than 2^22 either way, added to these bits, makes the float that is larger than
 * it by SLM_AMX_ONES: where sums begin with them, a subtraction turns sums into floats, exactly.
 * Beside tiles it costs half of a conversion (docs/PERFORMANCE.md). Sums of a block of 32 are below
 * 2^19, those of minima below 2^21. */
#define SLM_AMX_ONES_BITS 0x4b400000
#define SLM_AMX_ONES      12582912.0f

SLM_INLINE __m512 slm_amx_float(__m512 with_ones) {
    return _mm512_add_ps(with_ones, _mm512_set1_ps(-SLM_AMX_ONES));
}

SLM_INLINE void slm_amx_store(int32_t *c, size_t tile) {
    switch (tile) {
    case 0:
        SLM_TILE_STORE(0, c, 64);
        break;
    case 1:
        SLM_TILE_STORE(1, c, 64);
        break;
    case 2:
        SLM_TILE_STORE(2, c, 64);
        break;
    default:
        SLM_TILE_STORE(3, c, 64);
    }
}

/* Asks for part i of n of the next weights, 256 of each row; of a panel more where they are apart.
 */
SLM_INLINE void slm_amx_ask(uint32_t type, const uint8_t *next, size_t apart, size_t i, size_t n) {
    const size_t step = slm_amx_step(type),
                 vectors = step * slm_body_vectors(type) + (step + 1) / 2;
    const size_t each = (vectors + n - 1) / n, end = (i + 1) * each;
    for (size_t v = i * each; v < end && v < vectors; v++) {
        _mm_prefetch((const char *)next + 64 * v, _MM_HINT_T0);
        if (apart > 0)
            _mm_prefetch((const char *)next + apart + 64 * v, _MM_HINT_T0);
    }
}

/* Column i of a group, whose sums in the tiles are at c (and a tile later), added to acc. */
SLM_INLINE void slm_amx_finish_k(uint32_t type, float *acc, const int32_t *c,
                                 const slm_amx_rest *rest, const slm_amx_k *a, size_t i) {
    const int wide = type == SLM_DTYPE_Q4_K || type == SLM_DTYPE_Q5_K;
    const size_t n_min = wide ? 4 : 8;
    const int32_t(*sums)[16] = wide ? a->sums32 : a->sums16;
    const __m512 da = _mm512_set1_ps(a->d[i]);
    __m512i total = _mm512_load_si512((const void *)c);
    if (wide || type == SLM_DTYPE_Q6_K) {
        const __m512i high = _mm512_load_si512((const void *)(c + SLM_AMX_TILE / 4));
        total = _mm512_add_epi32(total, _mm512_slli_epi32(high, wide ? 3 : 8));
    }
    if (type == SLM_DTYPE_Q6_K || type == SLM_DTYPE_Q3_K)
        total = _mm512_add_epi32(total, _mm512_set1_epi32(a->bias[type == SLM_DTYPE_Q3_K][i]));
    __m512 sum = _mm512_add_ps(
        _mm512_load_ps(acc), _mm512_mul_ps(_mm512_mul_ps(rest->d, da), _mm512_cvtepi32_ps(total)));
    if (wide || type == SLM_DTYPE_Q2_K) {
        __m512i low = _mm512_set1_epi32(SLM_AMX_ONES_BITS);
        SLM_UNROLL
        for (size_t s = 0; s < n_min; s++)
            low = _mm512_dpwssd_epi32(low, rest->min[s], _mm512_set1_epi32(sums[s][i]));
        sum = _mm512_sub_ps(sum, _mm512_mul_ps(_mm512_mul_ps(rest->dmin, da),
                                               slm_amx_float(_mm512_castsi512_ps(low))));
    }
    _mm512_store_ps(acc, sum);
}

/* Step s, one of four, of a job: the products of a group with both parts of w, or of two groups x
 * and x + two with one; its sums are tiles c0 and c1. */
#define SLM_AMX_STEP_K(type, w, x, two, s, c0, c1)                                                 \
    do {                                                                                           \
        SLM_TILE_LOAD(6, (w) + (s)*SLM_AMX_TILE, 64);                                              \
        SLM_TILE_LOAD(4, (x)->q[s], 64);                                                           \
        SLM_TILE_SU(c0, 4, 6);                                                                     \
        if (slm_amx_parts(type) == 2) {                                                            \
            SLM_TILE_LOAD(7, (w) + (4 + (s)) * SLM_AMX_TILE, 64);                                  \
            if ((type) == SLM_DTYPE_Q6_K)                                                          \
                SLM_TILE_SS(c1, 4, 7);                                                             \
            else                                                                                   \
                SLM_TILE_SU(c1, 4, 7);                                                             \
        } else {                                                                                   \
            SLM_TILE_LOAD(5, (x)[two].q[s], 64);                                                   \
            SLM_TILE_SU(c1, 5, 6);                                                                 \
        }                                                                                          \
    } while (0)

/* Columns i to i + 3 of a job of which group g is the first. */
SLM_INLINE void slm_amx_four_k(uint32_t type, float (*sums)[SLM_PANEL_ROWS], const int32_t *c,
                               const slm_amx_rest *rest, const slm_amx_k *a, size_t g, size_t i) {
    SLM_UNROLL
    for (size_t e = i; e < i + 4; e++)
        slm_amx_finish_k(type, sums[16 * g + e], c + 16 * e, rest, &a[g + e / 16], e % 16);
}

/* Job j: its products, the sums of the job before to memory, and those of the one before that to
 * their columns. Jobs of two panels take turns, those of one go on; sums of even jobs are tiles 0
 * and 1. `before`: how many jobs there were before, 2 for more. */
SLM_INLINE void slm_amx_job_k(uint32_t type, slm_amx_work *u, int pair, const slm_amx_rest *rest,
                              const slm_amx_k *a, size_t n, size_t j, int odd, int before) {
    const size_t per = 3 - slm_amx_parts(type), p = pair && odd, at = per * (pair ? j / 2 : j);
    const size_t two = at + 1 < n, done = at - per * (pair ? 1 : 2);
    const slm_amx_k *x = a + at;
    int32_t *own = u->c + odd * SLM_AMX_TILE / 2, *other = u->c + !odd * SLM_AMX_TILE / 2;
    if (odd) {
        SLM_TILE_ZERO(2);
        SLM_TILE_ZERO(3);
    } else {
        SLM_TILE_ZERO(0);
        SLM_TILE_ZERO(1);
    }
    SLM_UNROLL
    for (size_t s = 0; s < 4; s++) {
        if (odd)
            SLM_AMX_STEP_K(type, u->w[p], x, two, s, 2, 3);
        else
            SLM_AMX_STEP_K(type, u->w[p], x, two, s, 0, 1);
        if (s == 2 && before > 0)
            slm_amx_store(other, odd ? 0 : 2);
        if (s == 3 && before > 0)
            slm_amx_store(other + SLM_AMX_TILE / 4, odd ? 1 : 3);
        SLM_UNROLL
        for (size_t i = 0; before > 1 && i < per; i++)
            slm_amx_four_k(type, u->sums[p], own, &rest[p], a, done, 4 * (per * s + i));
    }
}

/* What is left of job j of panel p: groups from `at` on, whose sums are in memory. */
SLM_INLINE void slm_amx_rest_k(uint32_t type, slm_amx_work *u, size_t p, const slm_amx_rest *rest,
                               const slm_amx_k *a, size_t n, size_t at, size_t j) {
    const size_t per = 3 - slm_amx_parts(type);
    for (size_t i = 0; i < 16 * per && at + i / 16 < n; i += 4)
        slm_amx_four_k(type, u->sums[p], u->c + j % 2 * SLM_AMX_TILE / 2, &rest[p], a, at, i);
}

/* The same of job j, the last, and of the one before it. */
SLM_INLINE void slm_amx_last_k(uint32_t type, slm_amx_work *u, int pair, const slm_amx_rest *rest,
                               const slm_amx_k *a, size_t n, size_t j) {
    const size_t per = 3 - slm_amx_parts(type);
    int32_t *own = u->c + j % 2 * SLM_AMX_TILE / 2;
    slm_amx_store(own, j % 2 * 2);
    slm_amx_store(own + SLM_AMX_TILE / 4, j % 2 * 2 + 1);
    if (pair) {
        slm_amx_rest_k(type, u, 0, rest, a, n, per * (j / 2), j - 1);
        slm_amx_rest_k(type, u, 1, rest, a, n, per * (j / 2), j);
    } else {
        if (j > 0)
            slm_amx_rest_k(type, u, 0, rest, a, n, per * (j - 1), j - 1);
        slm_amx_rest_k(type, u, 0, rest, a, n, per * j, j);
    }
}

/* A block of one panel or a pair of them, w_bytes apart, by n groups of columns. Two tiles of sums
 * make a job: two parts of a group, or two groups of one part. While tiles work on a job, vectors
 * finish another. */
SLM_INLINE void slm_amx_block_k(uint32_t type, slm_amx_work *u, int pair, const uint8_t *panel,
                                size_t w_bytes, size_t b, const uint8_t *next, const slm_amx_k *a,
                                size_t n) {
    const size_t per = 3 - slm_amx_parts(type), n_panels = pair ? 2 : 1;
    const size_t n_jobs = n_panels * ((n + per - 1) / per);
    slm_amx_rest rest[2];
    SLM_UNROLL
    for (size_t p = 0; p < n_panels; p++)
        slm_amx_unpack_k(type, u->w[p], panel + p * w_bytes + slm_body_at(type, b),
                         panel + p * w_bytes + slm_halves_at(type, b), &rest[p]);
    slm_amx_job_k(type, u, pair, rest, a, n, 0, 0, 0);
    if (n_jobs > 1)
        slm_amx_job_k(type, u, pair, rest, a, n, 1, 1, 1);
    for (size_t j = 2; j < n_jobs; j += 2) {
        slm_amx_ask(type, next, pair ? w_bytes : 0, j / 2 - 1, (n_jobs - 1) / 2);
        slm_amx_job_k(type, u, pair, rest, a, n, j, 0, 2);
        if (!pair && j + 1 == n_jobs)
            break;
        slm_amx_job_k(type, u, pair, rest, a, n, j + 1, 1, 2);
    }
    slm_amx_last_k(type, u, pair, rest, a, n, n_jobs - 1);
}

/* Begins block s of 32 of a group by the weights of panel p: its sums are tile c. */
#define SLM_AMX_BEGIN_0(u, p, x, s, c, ta, tw)                                                     \
    do {                                                                                           \
        SLM_TILE_LOAD(tw, (u)->w[p] + (s) * (SLM_AMX_TILE / 2), 64);                               \
        SLM_TILE_LOAD(ta, (x)->q[(s) / 2][0] + (s) % 2 * 32, 64);                                  \
        SLM_TILE_LOAD(c, (u)->ones, 64);                                                           \
        SLM_TILE_SS(c, ta, tw);                                                                    \
    } while (0)

/* Adds half of the columns, from `first` on, of block s. */
#define SLM_AMX_ADD_0(u, x, s, first)                                                              \
    do {                                                                                           \
        SLM_UNROLL                                                                                 \
        for (size_t i = first; i < (first) + 8; i++) {                                             \
            const __m512 da = _mm512_set1_ps((x)->d[s][i]);                                        \
            const float *c = (const float *)((u)->c + (s) % 4 * (SLM_AMX_TILE / 4)) + 16 * i;      \
            const __m512 v = slm_amx_float(_mm512_load_ps(c));                                     \
            sum[i] = _mm512_add_ps(sum[i], _mm512_mul_ps(_mm512_mul_ps(d[s], da), v));             \
        }                                                                                          \
    } while (0)

/* Block s is added, the sums of the next are stored, and the one after it, of group y and panel q,
 * begins. */
#define SLM_AMX_STEP_0(u, x, s, q, y, c1, c2, ta, tw)                                              \
    do {                                                                                           \
        SLM_AMX_BEGIN_0(u, q, y, ((s) + 2) % 8, c2, ta, tw);                                       \
        SLM_AMX_ADD_0(u, x, s, 0);                                                                 \
        SLM_TILE_STORE(c1, (u)->c + ((s) + 1) % 4 * (SLM_AMX_TILE / 4), 64);                       \
        SLM_AMX_ADD_0(u, x, s, 8);                                                                 \
    } while (0)

/* Group x by panel p, whose first two blocks have begun; those of group y by panel q begin. */
SLM_INLINE void slm_amx_group_0(slm_amx_work *u, const __m512 d[8], float (*sums)[SLM_PANEL_ROWS],
                                size_t p, const slm_amx_0 *x, size_t q, const slm_amx_0 *y) {
    __m512 sum[16];
    SLM_UNROLL
    for (size_t i = 0; i < 16; i++)
        sum[i] = _mm512_load_ps(sums[i]);
    SLM_AMX_STEP_0(u, x, 0, p, x, 1, 2, 4, 6);
    SLM_AMX_STEP_0(u, x, 1, p, x, 2, 3, 5, 7);
    SLM_AMX_STEP_0(u, x, 2, p, x, 3, 0, 4, 6);
    SLM_AMX_STEP_0(u, x, 3, p, x, 0, 1, 5, 7);
    SLM_AMX_STEP_0(u, x, 4, p, x, 1, 2, 4, 6);
    SLM_AMX_STEP_0(u, x, 5, p, x, 2, 3, 5, 7);
    SLM_AMX_STEP_0(u, x, 6, q, y, 3, 0, 4, 6);
    SLM_AMX_STEP_0(u, x, 7, q, y, 0, 1, 5, 7);
    SLM_UNROLL
    for (size_t i = 0; i < 16; i++)
        _mm512_store_ps(sums[i], sum[i]);
}

/* Blocks [b, b + n_blocks), at most 8, of one panel or a pair by n groups of columns; those that
 * lack are zeros on both sides. */
SLM_INLINE void slm_amx_block_0(uint32_t type, slm_amx_work *u, int pair, const uint8_t *panel,
                                size_t w_bytes, size_t b, size_t n_blocks, const uint8_t *next,
                                const slm_amx_0 *a, size_t n) {
    __m512 d[2][8];
    for (size_t p = 0; p < (pair ? 2 : 1); p++, panel += w_bytes) {
        slm_amx_unpack_0(type, u->w[p], panel, b, n_blocks);
        for (size_t s = 0; s < 8; s++)
            d[p][s] =
                s < n_blocks ? slm_halves(panel + slm_halves_at(type, b + s)) : _mm512_setzero_ps();
    }
    SLM_AMX_BEGIN_0(u, 0, a, 0, 0, 4, 6);
    SLM_AMX_BEGIN_0(u, 0, a, 1, 1, 5, 7);
    SLM_TILE_STORE(0, u->c, 64);
    for (size_t g = 0; g < n; g++) {
        const slm_amx_0 *x = a + g, *y = g + 1 < n ? x + 1 : x;
        slm_amx_ask(type, next, pair ? w_bytes : 0, g, n);
        if (pair) {
            slm_amx_group_0(u, d[0], u->sums[0] + 16 * g, 0, x, 1, x);
            slm_amx_group_0(u, d[1], u->sums[1] + 16 * g, 1, x, 0, y);
        } else {
            slm_amx_group_0(u, d[0], u->sums[0] + 16 * g, 0, x, 0, y);
        }
    }
}

/* ---------------------------------------------------------------- the walk ------------------- */

/* Blocks [b, end) of one panel or a pair by n groups of columns from group `first` of all_groups.
 * After them come those from b on of the panels at `after`. */
SLM_INLINE void slm_amx_panels(uint32_t type, slm_amx_work *u, int pair, const uint8_t *panel,
                               size_t w_bytes, const uint8_t *after, size_t b, size_t end,
                               const void *a, size_t all_groups, size_t first, size_t n) {
    const size_t step = slm_amx_step(type), begin = b;
    for (; b < end; b += step) {
        const size_t at = b / step * all_groups + first;
        const uint8_t *next = b + step < end ? panel + slm_halves_at(type, b + step)
                                             : after + slm_halves_at(type, begin);
        if (step == 1)
            slm_amx_block_k(type, u, pair, panel, w_bytes, b, next, (const slm_amx_k *)a + at, n);
        else
            slm_amx_block_0(type, u, pair, panel, w_bytes, b, end - b < step ? end - b : step, next,
                            (const slm_amx_0 *)a + at, n);
    }
}

/* Rows of y that a panel has. */
SLM_INLINE __mmask16 slm_amx_mask(size_t rows) {
    return rows >= SLM_PANEL_ROWS ? 0xffff : (__mmask16)((1u << rows) - 1);
}

/* The sums of n columns of a panel, in y or new ones, and those of up to `all`, which nobody has.
 * Each column is a line of y, which is written when the panel is done. */
SLM_INLINE void slm_amx_take(float (*sums)[SLM_PANEL_ROWS], const float *y, size_t y_stride,
                             __mmask16 mask, int is_new, size_t n, size_t all) {
    for (size_t c = 0; c < n; c++) {
        __builtin_prefetch(y + c * y_stride, 1);
        _mm512_store_ps(sums[c], is_new ? _mm512_setzero_ps()
                                        : _mm512_maskz_loadu_ps(mask, y + c * y_stride));
    }
    for (size_t c = n; c < all; c++)
        _mm512_store_ps(sums[c], _mm512_setzero_ps());
}

SLM_INLINE void slm_amx_give(float *y, size_t y_stride, float (*sums)[SLM_PANEL_ROWS],
                             __mmask16 mask, size_t n) {
    for (size_t c = 0; c < n; c++)
        _mm512_mask_storeu_ps(y + c * y_stride, mask, _mm512_load_ps(sums[c]));
}

/* Panels go in pairs where that helps, columns in up to SLM_AMX_MOST groups, and k in pieces of
 * which the second-level cache holds the activations; between two pieces sums are in y. */
SLM_INLINE void slm_amx_walk(uint32_t type, float *y, size_t y_stride, const uint8_t *w,
                             size_t w_bytes, size_t n_w, const void *a, size_t n_a,
                             size_t n_blocks) {
    const size_t step = slm_amx_step(type), all = (n_a + 15) / 16;
    const size_t most = all < SLM_AMX_MOST ? all : SLM_AMX_MOST;
    const size_t fit = SLM_AMX_BYTES / most / (step == 1 ? sizeof(slm_amx_k) : sizeof(slm_amx_0));
    const size_t n_256 = (n_blocks + step - 1) / step, n_pieces = (n_256 + fit - 1) / fit;
    const size_t piece = (n_256 + n_pieces - 1) / n_pieces * step;
    slm_amx_work u;
    for (size_t i = 0; i < SLM_AMX_TILE / 4; i++)
        u.ones[i] = SLM_AMX_ONES_BITS;
    slm_amx_begin(step == 1 ? 64 : 32);
    for (size_t g = 0; g < all; g += most) {
        const size_t n_groups = all - g < most ? all - g : most;
        const size_t n = n_a - 16 * g < 16 * n_groups ? n_a - 16 * g : 16 * n_groups;
        for (size_t b = 0; b < n_blocks; b += piece) {
            const size_t end = n_blocks - b < piece ? n_blocks : b + piece;
            for (size_t row = 0, step_rows; row < n_w; row += step_rows) {
                const size_t rows = n_w - row, pair = slm_amx_pairs(type) && rows > SLM_PANEL_ROWS;
                const uint8_t *panel = w + row / SLM_PANEL_ROWS * w_bytes, *after = panel;
                step_rows = (pair + 1) * SLM_PANEL_ROWS;
                if (rows > step_rows)
                    after += (pair + 1) * w_bytes;
                float *to = y + 16 * g * y_stride + row;
                for (size_t p = 0; p <= pair; p++)
                    slm_amx_take(u.sums[p], to + p * SLM_PANEL_ROWS, y_stride,
                                 slm_amx_mask(rows - p * SLM_PANEL_ROWS), b == 0, n, 16 * n_groups);
                if (pair)
                    slm_amx_panels(type, &u, 1, panel, w_bytes, after, b, end, a, all, g, n_groups);
                else
                    slm_amx_panels(type, &u, 0, panel, w_bytes, after, b, end, a, all, g, n_groups);
                for (size_t p = 0; p <= pair; p++)
                    slm_amx_give(to + p * SLM_PANEL_ROWS, y_stride, u.sums[p],
                                 slm_amx_mask(rows - p * SLM_PANEL_ROWS), n);
            }
        }
    }
    SLM_TILE_RELEASE();
}

/* Defines the product of one type; name_avx512 is that of few columns. */
#define SLM_PACKED_AMX(TYPE, name, block, name_avx512)                                             \
    static __attribute__((noinline)) void name##_tiles(float *y, size_t y_stride, const void *w,   \
                                                       size_t w_bytes, size_t n_w, const void *a,  \
                                                       size_t n_a, size_t k) {                     \
        slm_amx_walk(SLM_DTYPE_##TYPE, y, y_stride, w, w_bytes, n_w, a, n_a, k / (block));         \
    }                                                                                              \
    SLM_AMX_MATMUL(name) {                                                                         \
        if (n_a < SLM_AMX_LEAST)                                                                   \
            name_avx512(y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a, k);                         \
        else                                                                                       \
            name##_tiles(y, y_stride, w, w_bytes, n_w, a, n_a, k);                                 \
    }

#endif
