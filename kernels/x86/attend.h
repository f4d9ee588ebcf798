/* Attention over a block (kernels.h) for vectors of VW floats. The including file defines, for its
 * level:
 *   VW, TILE, TILE_V        lanes; queries and vectors of a tile whose sums fit the registers
 *   vf, vi                  a vector of floats, of 32-bit integers
 *   vf_zero() vf_set(x) vf_load(p) vf_store(p, v) vf_add vf_mul vf_max vf_fma(a, b, c) vf_exp(v)
 *   vf_halves(p), vf_bytes(p)   VW halves, VW signed bytes as floats
 *   vf_from(i)              integers as floats
 *   vf_largest(v)           of the lanes
 *   vf_mask(v, from, to, x) lanes [from, to) of v, x elsewhere
 *   vi_load(p), vi_start(x), vi_dot(sum, keys, four)   a sum of products of bytes of keys, each 128
 *                           too large, and four activations; vi_start makes good for that
 *   ATTEND(type)            the name at this level */
#ifndef SLM_X86_ATTEND_H
#define SLM_X86_ATTEND_H

#define BLOCK_V (SLM_KV_BLOCK / VW)

/* Where vector v of the block begins in keys whose elements take `bytes`. */
SLM_INLINE const uint8_t *key_vector(const void *const k[4], size_t v, size_t bytes) {
    const size_t in_group = SLM_KV_GROUP / VW;
    return (const uint8_t *)k[v / in_group] + v % in_group * VW * bytes;
}

SLM_INLINE vf floats_at(const uint8_t *p) { return vf_load((const float *)(const void *)p); }

/* s[j][t] = query j . key t, for `vectors` vectors of the block from v0 on. n and vectors are
 * constants. */
typedef void (*scores_fn)(float *s, const slm_attention *a, size_t query, size_t n,
                          const void *const k[4], size_t v0, size_t vectors);

SLM_INLINE void scores_floats(vf (*load)(const uint8_t *p), size_t bytes, float *s,
                              const slm_attention *a, size_t query, size_t n,
                              const void *const k[4], size_t v0, size_t vectors) {
    const float *q = a->q + query * a->stride;
    const uint8_t *key[TILE_V];
    vf acc[TILE][TILE_V];
    SLM_UNROLL
    for (size_t v = 0; v < vectors; v++) {
        key[v] = key_vector(k, v0 + v, bytes);
        SLM_UNROLL
        for (size_t j = 0; j < n; j++)
            acc[j][v] = vf_zero();
    }
    for (size_t i = 0; i < a->d; i++) {
        vf w[TILE];
        SLM_UNROLL
        for (size_t j = 0; j < n; j++)
            w[j] = vf_set(q[j * a->stride + i]);
        SLM_UNROLL
        for (size_t v = 0; v < vectors; v++) {
            const vf x = load(key[v] + i * SLM_KV_GROUP * bytes);
            SLM_UNROLL
            for (size_t j = 0; j < n; j++)
                acc[j][v] = vf_fma(w[j], x, acc[j][v]);
        }
    }
    SLM_UNROLL
    for (size_t j = 0; j < n; j++) {
        SLM_UNROLL
        for (size_t v = 0; v < vectors; v++)
            vf_store(s + j * SLM_KV_BLOCK + (v0 + v) * VW, acc[j][v]);
    }
}

SLM_INLINE void scores_f16(float *s, const slm_attention *a, size_t query, size_t n,
                           const void *const k[4], size_t v0, size_t vectors) {
    scores_floats(vf_halves, 2, s, a, query, n, k, v0, vectors);
}

SLM_INLINE void scores_f32(float *s, const slm_attention *a, size_t query, size_t n,
                           const void *const k[4], size_t v0, size_t vectors) {
    scores_floats(floats_at, 4, s, a, query, n, k, v0, vectors);
}

SLM_INLINE void scores_q8_0(float *s, const slm_attention *a, size_t query, size_t n,
                            const void *const k[4], size_t v0, size_t vectors) {
    const size_t n_blocks = (a->d + 31) / 32;
    const uint8_t *key[TILE_V], *scale[TILE_V];
    const slm_act_q8_0 *q[TILE];
    vf acc[TILE][TILE_V];
    SLM_UNROLL
    for (size_t j = 0; j < n; j++)
        q[j] = (const slm_act_q8_0 *)(const void *)(a->q8 + (query + j) * a->q8_bytes);
    SLM_UNROLL
    for (size_t v = 0; v < vectors; v++) {
        key[v] = key_vector(k, v0 + v, 4);
        scale[v] = key_vector(k, v0 + v, 2) + 32 * n_blocks * SLM_KV_GROUP;
        SLM_UNROLL
        for (size_t j = 0; j < n; j++)
            acc[j][v] = vf_zero();
    }
    for (size_t b = 0; b < n_blocks; b++) {
        vi sum[TILE][TILE_V];
        SLM_UNROLL
        for (size_t j = 0; j < n; j++) {
            const vi start = vi_start(&q[j][b]);
            SLM_UNROLL
            for (size_t v = 0; v < vectors; v++)
                sum[j][v] = start;
        }
        for (size_t i = 0; i < 8; i++) {
            SLM_UNROLL
            for (size_t v = 0; v < vectors; v++) {
                const vi bytes = vi_load(key[v] + (8 * b + i) * SLM_KV_GROUP * 4);
                SLM_UNROLL
                for (size_t j = 0; j < n; j++)
                    sum[j][v] = vi_dot(sum[j][v], bytes, q[j][b].q + 4 * i);
            }
        }
        SLM_UNROLL
        for (size_t v = 0; v < vectors; v++) {
            const vf d = vf_halves(scale[v] + 2 * SLM_KV_GROUP * b);
            SLM_UNROLL
            for (size_t j = 0; j < n; j++)
                acc[j][v] =
                    vf_fma(vf_mul(vf_set(q[j][b].d), d), vf_from(sum[j][v]), acc[j][v]);
        }
    }
    SLM_UNROLL
    for (size_t j = 0; j < n; j++) {
        SLM_UNROLL
        for (size_t v = 0; v < vectors; v++)
            vf_store(s + j * SLM_KV_BLOCK + (v0 + v) * VW, acc[j][v]);
    }
}

/* Elements i .. i + VW - 1 of a row of values. */
typedef vf (*value_fn)(const uint8_t *row, size_t i);

SLM_INLINE vf value_f16(const uint8_t *row, size_t i) { return vf_halves(row + 2 * i); }
SLM_INLINE vf value_f32(const uint8_t *row, size_t i) { return floats_at(row + 4 * i); }
SLM_INLINE vf value_q8_0(const uint8_t *row, size_t i) {
    const uint8_t *b = row + i / 32 * sizeof(slm_block_q8_0);
    uint16_t h;
    memcpy(&h, b, 2);
    return vf_mul(vf_set(vf_half(h)), vf_bytes(b + 2 + i % 32));
}

/* o += p v, for n queries and `vectors` vectors of columns from column i on. */
SLM_INLINE void values(value_fn load, const float *p, const slm_attention *a, size_t query,
                       size_t n, const void *const v[4], size_t v_bytes, size_t t0, size_t t1,
                       size_t i, size_t vectors) {
    float *o = a->o + query * a->stride + i;
    vf acc[TILE][TILE_V];
    SLM_UNROLL
    for (size_t j = 0; j < n; j++) {
        SLM_UNROLL
        for (size_t c = 0; c < vectors; c++)
            acc[j][c] = vf_load(o + j * a->stride + c * VW);
    }
    for (size_t t = t0; t < t1; t++) {
        const uint8_t *row = (const uint8_t *)v[t / SLM_KV_GROUP] + t % SLM_KV_GROUP * v_bytes;
        vf w[TILE];
        SLM_UNROLL
        for (size_t j = 0; j < n; j++)
            w[j] = vf_set(p[j * SLM_KV_BLOCK + t]);
        SLM_UNROLL
        for (size_t c = 0; c < vectors; c++) {
            const vf x = load(row, i + c * VW);
            SLM_UNROLL
            for (size_t j = 0; j < n; j++)
                acc[j][c] = vf_fma(w[j], x, acc[j][c]);
        }
    }
    SLM_UNROLL
    for (size_t j = 0; j < n; j++) {
        SLM_UNROLL
        for (size_t c = 0; c < vectors; c++)
            vf_store(o + j * a->stride + c * VW, acc[j][c]);
    }
}

/* Scores of a query to weights, with what that does to its sums. */
SLM_INLINE void weigh(float *s, const slm_attention *a, size_t query, size_t t0, size_t t1) {
    const float lowest = -__builtin_inff();
    const size_t first = t0 / VW, last = (t1 + VW - 1) / VW;
    vf most = vf_set(lowest);
    for (size_t v = first; v < last; v++) {
        vf x = vf_load(s + v * VW);
        if (t0 > v * VW || t1 < (v + 1) * VW) {
            const size_t from = t0 > v * VW ? t0 - v * VW : 0;
            const size_t to = t1 < (v + 1) * VW ? t1 - v * VW : VW;
            x = vf_mask(x, from, to, lowest);
            vf_store(s + v * VW, x);
        }
        most = vf_max(x, most); /* NaN, the first operand, is passed over */
    }
    float *l = a->l + query * 16, m = vf_largest(most);
    m = m > a->m[query] ? m : a->m[query];
    if (m != a->m[query]) {
        const vf scale = vf_exp(vf_set(a->m[query] - m));
        float *o = a->o + query * a->stride;
        for (size_t i = 0; i < a->stride; i += VW)
            vf_store(o + i, vf_mul(vf_load(o + i), scale));
        for (size_t i = 0; i < 16; i += VW)
            vf_store(l + i, vf_mul(vf_load(l + i), scale));
        a->m[query] = m;
    }
    for (size_t v = first; v < last; v++) {
        vf p = vf_exp(vf_add(vf_load(s + v * VW), vf_set(-m)));
        if (t0 > v * VW || t1 < (v + 1) * VW) {
            const size_t from = t0 > v * VW ? t0 - v * VW : 0;
            const size_t to = t1 < (v + 1) * VW ? t1 - v * VW : VW;
            p = vf_mask(p, from, to, 0.0f);
        }
        vf_store(s + v * VW, p);
        const size_t lane = v * VW % 16;
        vf_store(l + lane, vf_add(vf_load(l + lane), p));
    }
}

SLM_INLINE void attend_tile(scores_fn scores, value_fn load, const slm_attention *a, size_t query,
                            size_t n, const void *const k[4], const void *const v[4],
                            size_t v_bytes, size_t t0, size_t t1) {
    float s[TILE * SLM_KV_BLOCK] __attribute__((aligned(64)));
    const size_t last = (t1 + VW - 1) / VW;
    size_t at = t0 / VW, i = 0;
    for (; at + TILE_V <= last; at += TILE_V)
        scores(s, a, query, n, k, at, TILE_V);
    for (; at < last; at++)
        scores(s, a, query, n, k, at, 1);
    for (size_t j = 0; j < n; j++)
        weigh(s + j * SLM_KV_BLOCK, a, query + j, t0, t1);
    for (; i + TILE_V * VW <= a->d; i += TILE_V * VW)
        values(load, s, a, query, n, v, v_bytes, t0, t1, i, TILE_V);
    for (; i < a->d; i += VW)
        values(load, s, a, query, n, v, v_bytes, t0, t1, i, 1);
}

/* Heads whose size is no multiple of 16 are rare and left to the portable level. */
#define DEFINE_ATTEND(type, portable)                                                              \
    static __attribute__((noinline)) void attend_##type##_all(                                     \
        const slm_attention *a, size_t first, size_t n, const void *const k[4],                    \
        const void *const v[4], size_t v_bytes, size_t t0, size_t t1) {                            \
        size_t j = first, end = first + n;                                                         \
        for (; j + TILE <= end; j += TILE)                                                         \
            attend_tile(scores_##type, value_##type, a, j, TILE, k, v, v_bytes, t0, t1);           \
        if (TILE > 4 && j + 4 <= end) {                                                            \
            attend_tile(scores_##type, value_##type, a, j, 4, k, v, v_bytes, t0, t1);              \
            j += 4;                                                                                \
        }                                                                                          \
        if (j + 3 <= end) {                                                                        \
            attend_tile(scores_##type, value_##type, a, j, 3, k, v, v_bytes, t0, t1);              \
            j += 3;                                                                                \
        }                                                                                          \
        if (j + 2 <= end) {                                                                        \
            attend_tile(scores_##type, value_##type, a, j, 2, k, v, v_bytes, t0, t1);              \
            j += 2;                                                                                \
        }                                                                                          \
        if (j < end)                                                                               \
            attend_tile(scores_##type, value_##type, a, j, 1, k, v, v_bytes, t0, t1);              \
    }                                                                                              \
    SLM_ATTEND(ATTEND(type)) {                                                                     \
        if (a->d % 16 != 0)                                                                        \
            portable(a, first, n, k, v, v_bytes, t0, t1);                                          \
        else                                                                                       \
            attend_##type##_all(a, first, n, k, v, v_bytes, t0, t1);                               \
    }

DEFINE_ATTEND(f16, slm_attend_f16_ref)
DEFINE_ATTEND(f32, slm_attend_f32_ref)
DEFINE_ATTEND(q8_0, slm_attend_q8_0_ref)

#endif
