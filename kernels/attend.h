/* Attention over a block (kernels.h) for vectors of VW floats. The including file defines, for its
 * level:
 *   SLM_UNROLL              before a loop of constant length that must disappear
 *   VW, TILE, TILE_V        lanes; queries and vectors of a tile whose sums fit the registers
 *   vf, vi                  a vector of floats, of 32-bit integers
 *   vf_zero() vf_set(x) vf_load(p) vf_store(p, v) vf_add vf_mul vf_max vf_fma(a, b, c) vf_exp(v)
 *   vf_halves(p), vf_bytes(p)   VW halves, VW signed bytes as floats
 *   vf_from(i)              integers as floats
 *   vf_largest(v)           of the lanes
 *   vf_mask(v, from, to, x) lanes [from, to) of v, x elsewhere
 *   vi_load(p), vi_start(x), vi_dot(sum, keys, four)   a sum of products of bytes of keys, each 128
 *                           too large, and four activations; vi_start makes good for that
 *   ATTEND(type)            the name at this level
 *   ATTEND_BYTES_ONLY       defined where only that of Q8_0 differs from a lower level's
 * and where products by a lane of a vector are cheap:
 *   LANES                   floats of one operand of which each is multiplied by vectors
 *   vx, vx_load(p), vx_set(x), vx_fma(x, lane, b, c)
 *   vx_mul(a, b), vx_scales(p, bytes)  LANES halves as floats, `bytes` apart
 *   vf_halves_of(p, v), vf_bytes_of(p, v)  vector v of a tile's at p
 *   QUADS                   groups of four elements that vi_dot takes at once
 *   vk, vk_load(p)          the bytes of keys of so many groups, vi_dot's second operand
 *   va, va_load(p)          so many times four activations, its third
 *   KEY_TILE, KEY_TILE_V    the tile of scores of bytes, where it is smaller */
#ifndef SLM_ATTEND_H
#define SLM_ATTEND_H

/* A tile is as wide as a group: groups are taken as a whole, and a tile has one scale of Q8_0. */
#define BY_GROUPS (TILE_V * VW == SLM_KV_GROUP)

#ifndef LANES
#define LANES 1
typedef vf vx;
SLM_INLINE vx vx_mul(vx a, vx b) { return vf_mul(a, b); }
SLM_INLINE vx vx_scales(const uint8_t *p, size_t bytes) {
    (void)bytes;
    uint16_t h;
    memcpy(&h, p, 2);
    return vf_set(vf_half(h));
}
SLM_INLINE vf vf_halves_of(const uint8_t *p, size_t v) { return vf_halves(p + 2 * VW * v); }
SLM_INLINE vf vf_bytes_of(const uint8_t *p, size_t v) { return vf_bytes(p + VW * v); }
SLM_INLINE vx vx_load(const float *p) { return vf_set(*p); }
SLM_INLINE vx vx_set(float x) { return vf_set(x); }
SLM_INLINE vf vx_fma(vx x, size_t lane, vf b, vf c) {
    (void)lane;
    return vf_fma(x, b, c);
}
#endif

#ifndef QUADS
#define QUADS      1
#define KEY_TILE   TILE
#define KEY_TILE_V TILE_V
typedef vi vk;
typedef const int8_t *va;
SLM_INLINE vk vk_load(const uint8_t *p) { return vi_load(p); }
SLM_INLINE va va_load(const int8_t *p) { return p; }
#endif

/* For lanes [0, count), one being no loop. */
#define EACH_LANE(count, call)                                                                     \
    do {                                                                                           \
        if ((count) == 1) {                                                                        \
            const size_t lane = 0;                                                                 \
            call;                                                                                  \
        } else {                                                                                   \
            SLM_UNROLL                                                                             \
            for (size_t lane = 0; lane < (count); lane++)                                          \
                call;                                                                              \
        }                                                                                          \
    } while (0)

/* Where vector v of the block begins in keys whose elements take `bytes`. */
SLM_INLINE const uint8_t *key_vector(const void *const k[4], size_t v, size_t bytes) {
    const size_t in_group = SLM_KV_GROUP / VW;
    return (const uint8_t *)k[v / in_group] + v % in_group * VW * bytes;
}

SLM_INLINE vf vf_floats_of(const uint8_t *p, size_t v) {
    return vf_load((const float *)(const void *)p + VW * v);
}

/* s[j][t] = query j . key t, for `vectors` vectors of the block from v0 on. n and vectors are
 * constants. */
typedef void (*scores_fn)(float *s, const slm_attention *a, size_t query, size_t n,
                          const void *const k[4], size_t v0, size_t vectors);

/* Element i of the keys, by a lane of the queries' vectors w. */
SLM_INLINE void add_element(vf (*load)(const uint8_t *p, size_t v), size_t bytes,
                            vf acc[TILE][TILE_V], const vx w[TILE], size_t lane,
                            const uint8_t *const key[TILE_V], size_t i, size_t n, size_t vectors) {
    SLM_UNROLL
    for (size_t v = 0; v < vectors; v++) {
        const size_t of = BY_GROUPS ? v : 0;
        const vf x = load(key[v - of] + i * SLM_KV_GROUP * bytes, of);
        SLM_UNROLL
        for (size_t j = 0; j < n; j++)
            acc[j][v] = vx_fma(w[j], lane, x, acc[j][v]);
    }
}

SLM_INLINE void scores_floats(vf (*load)(const uint8_t *p, size_t v), size_t bytes, float *s,
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
    for (size_t i = 0; i < a->d; i += LANES) {
        vx w[TILE];
        SLM_UNROLL
        for (size_t j = 0; j < n; j++)
            w[j] = vx_load(q + j * a->stride + i);
        EACH_LANE(LANES, add_element(load, bytes, acc, w, lane, key, i + lane, n, vectors));
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
    scores_floats(vf_halves_of, 2, s, a, query, n, k, v0, vectors);
}

SLM_INLINE void scores_f32(float *s, const slm_attention *a, size_t query, size_t n,
                           const void *const k[4], size_t v0, size_t vectors) {
    scores_floats(vf_floats_of, 4, s, a, query, n, k, v0, vectors);
}

SLM_INLINE void scores_bytes(float *s, const slm_attention *a, size_t query, size_t n,
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
        for (size_t i = 0; i < 8; i += QUADS) {
            va x[TILE];
            SLM_UNROLL
            for (size_t j = 0; j < n; j++)
                x[j] = va_load(q[j][b].q + 4 * i);
            SLM_UNROLL
            for (size_t v = 0; v < vectors; v++) {
                const vk bytes = vk_load(key[v] + (8 * b + i) * SLM_KV_GROUP * 4);
                SLM_UNROLL
                for (size_t j = 0; j < n; j++)
                    sum[j][v] = vi_dot(sum[j][v], bytes, x[j]);
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

SLM_INLINE void scores_q8_0(float *s, const slm_attention *a, size_t query, size_t n,
                            const void *const k[4], size_t v0, size_t vectors) {
    const size_t part = n > KEY_TILE ? (n + 1) / 2 : n;
    const size_t wide = vectors < KEY_TILE_V ? vectors : KEY_TILE_V;
    for (size_t v = v0; v < v0 + vectors; v += wide) {
        scores_bytes(s, a, query, part, k, v, wide);
        if (part < n)
            scores_bytes(s + part * SLM_KV_BLOCK, a, query + part, n - part, k, v, wide);
    }
}

/* Vector c of the tile at column i of a row of values. By groups, the scale of Q8_0 comes with the
 * weight. */
typedef vf (*value_fn)(const uint8_t *row, size_t i, size_t c);

SLM_INLINE vf value_f16(const uint8_t *row, size_t i, size_t c) {
    return vf_halves_of(row + 2 * i, c);
}
SLM_INLINE vf value_f32(const uint8_t *row, size_t i, size_t c) {
    return vf_floats_of(row + 4 * i, c);
}
SLM_INLINE vf value_q8_0(const uint8_t *row, size_t i, size_t c) {
    const size_t at = BY_GROUPS ? i : i + c * VW;
    const uint8_t *b = row + at / 32 * sizeof(slm_block_q8_0), *q = b + 2 + at % 32;
    return BY_GROUPS ? vf_bytes_of(q, c) : vf_mul(vx_scales(b, 0), vf_bytes_of(q, 0));
}

SLM_INLINE void scale_weights(vx w[TILE], const uint8_t *scales, size_t bytes, size_t n) {
    const vx d = vx_scales(scales, bytes);
    SLM_UNROLL
    for (size_t j = 0; j < n; j++)
        w[j] = vx_mul(w[j], d);
}

/* A row of values, by a lane of the weights w. */
SLM_INLINE void add_row(value_fn load, vf acc[TILE][TILE_V], const vx w[TILE], size_t lane,
                        const uint8_t *row, size_t i, size_t n, size_t vectors) {
    SLM_UNROLL
    for (size_t c = 0; c < vectors; c++) {
        const vf x = load(row, i, c);
        SLM_UNROLL
        for (size_t j = 0; j < n; j++)
            acc[j][c] = vx_fma(w[j], lane, x, acc[j][c]);
    }
}

/* o += p v for `count` tokens of a group from t on: LANES of them, or one. */
SLM_INLINE void add_values(value_fn load, vf acc[TILE][TILE_V], const float *p, size_t count,
                           const void *const v[4], size_t v_bytes, size_t t, size_t i, size_t n,
                           size_t vectors) {
    const uint8_t *row = (const uint8_t *)v[t / SLM_KV_GROUP] + t % SLM_KV_GROUP * v_bytes;
    vx w[TILE];
    SLM_UNROLL
    for (size_t j = 0; j < n; j++)
        w[j] = count == 1 ? vx_set(p[j * SLM_KV_BLOCK + t]) : vx_load(p + j * SLM_KV_BLOCK + t);
    if (BY_GROUPS && load == value_q8_0)
        scale_weights(w, row + i / 32 * sizeof(slm_block_q8_0), count == 1 ? 0 : v_bytes, n);
    EACH_LANE(count, add_row(load, acc, w, lane, row + lane * v_bytes, i, n, vectors));
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
    size_t t = t0;
    if (LANES > 1) {
        for (; t % LANES != 0 && t < t1; t++)
            add_values(load, acc, p, 1, v, v_bytes, t, i, n, vectors);
        for (; t + LANES <= t1; t += LANES)
            add_values(load, acc, p, LANES, v, v_bytes, t, i, n, vectors);
    }
    for (; t < t1; t++)
        add_values(load, acc, p, 1, v, v_bytes, t, i, n, vectors);
    SLM_UNROLL
    for (size_t j = 0; j < n; j++) {
        SLM_UNROLL
        for (size_t c = 0; c < vectors; c++)
            vf_store(o + j * a->stride + c * VW, acc[j][c]);
    }
}

/* Lanes of vector v that hold tokens of [t0, t1); x in the others. */
SLM_INLINE vf mask_vector(vf p, size_t v, size_t t0, size_t t1, float x) {
    if (t0 <= v * VW && t1 >= (v + 1) * VW)
        return p;
    const size_t from = t0 > v * VW ? t0 - v * VW : 0;
    return vf_mask(p, from, t1 < (v + 1) * VW ? t1 - v * VW : VW, x);
}

/* Scores of a query to weights, with what that does to its sums. `whole`, a constant, says that the
 * tokens are whole groups. */
SLM_INLINE void weigh(float *s, const slm_attention *a, size_t query, size_t t0, size_t t1,
                      int whole) {
    const float lowest = -__builtin_inff();
    const size_t first = t0 / VW, last = (t1 + VW - 1) / VW, step = whole ? SLM_KV_GROUP / VW : 1;
    vf most[SLM_KV_GROUP / VW];
    SLM_UNROLL
    for (size_t u = 0; u < step; u++)
        most[u] = vf_set(lowest);
    for (size_t v = first; v < last; v += step) {
        SLM_UNROLL
        for (size_t u = 0; u < step; u++) {
            vf x = vf_load(s + (v + u) * VW);
            if (!whole) {
                x = mask_vector(x, v, t0, t1, lowest);
                vf_store(s + v * VW, x);
            }
            most[u] = vf_max(x, most[u]); /* NaN, the first operand, is passed over */
        }
    }
    SLM_UNROLL
    for (size_t u = 1; u < step; u++)
        most[0] = vf_max(most[u], most[0]);
    float *l = a->l + query * 16, m = vf_largest(most[0]);
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
    vf sum[SLM_KV_GROUP / VW];
    if (whole) {
        SLM_UNROLL
        for (size_t u = 0; u < step; u++)
            sum[u] = vf_load(l + u * VW);
    }
    for (size_t v = first; v < last; v += step) {
        SLM_UNROLL
        for (size_t u = 0; u < step; u++) {
            vf p = vf_exp(vf_add(vf_load(s + (v + u) * VW), vf_set(-m)));
            if (whole) {
                sum[u] = vf_add(sum[u], p);
            } else {
                const size_t lane = v * VW % 16;
                p = mask_vector(p, v, t0, t1, 0.0f);
                vf_store(l + lane, vf_add(vf_load(l + lane), p));
            }
            vf_store(s + (v + u) * VW, p);
        }
    }
    if (whole) {
        SLM_UNROLL
        for (size_t u = 0; u < step; u++)
            vf_store(l + u * VW, sum[u]);
    }
}

/* By itself, so that what it holds in registers does not crowd those of products. */
static __attribute__((noinline)) void weigh_tile(float *s, const slm_attention *a, size_t query,
                                                 size_t n, size_t t0, size_t t1) {
    if ((t0 | t1) % SLM_KV_GROUP == 0)
        for (size_t j = 0; j < n; j++)
            weigh(s + j * SLM_KV_BLOCK, a, query + j, t0, t1, 1);
    else
        for (size_t j = 0; j < n; j++)
            weigh(s + j * SLM_KV_BLOCK, a, query + j, t0, t1, 0);
}

SLM_INLINE void score_tile(scores_fn scores, float *s, const slm_attention *a, size_t query,
                           size_t n, const void *const k[4], size_t t0, size_t t1) {
    const size_t unit = BY_GROUPS ? SLM_KV_GROUP : VW, last = (t1 + unit - 1) / unit * (unit / VW);
    size_t at = t0 / unit * (unit / VW);
    for (; at + TILE_V <= last; at += TILE_V)
        scores(s, a, query, n, k, at, TILE_V);
    for (; !BY_GROUPS && at < last; at++)
        scores(s, a, query, n, k, at, 1);
}

SLM_INLINE void value_tile(value_fn load, const float *s, const slm_attention *a, size_t query,
                           size_t n, const void *const v[4], size_t v_bytes, size_t t0, size_t t1) {
    size_t i = 0;
    for (; i + TILE_V * VW <= a->d; i += TILE_V * VW)
        values(load, s, a, query, n, v, v_bytes, t0, t1, i, TILE_V);
    for (; !BY_GROUPS && i < a->d; i += VW)
        values(load, s, a, query, n, v, v_bytes, t0, t1, i, 1);
}

/* A tile of n queries, `name` being n. Scores and weights are functions of their own, so that what
 * one holds in registers does not crowd the next. */
#define DEFINE_TILE(type, name, n)                                                                 \
    static __attribute__((noinline)) void score_##type##_##name(                                   \
        float *s, const slm_attention *a, size_t query, const void *const k[4], size_t t0,         \
        size_t t1) {                                                                               \
        score_tile(scores_##type, s, a, query, n, k, t0, t1);                                      \
    }                                                                                              \
    static __attribute__((noinline)) void attend_##type##_##name(                                  \
        const slm_attention *a, size_t query, const void *const k[4], const void *const v[4],      \
        size_t v_bytes, size_t t0, size_t t1) {                                                    \
        float s[(n)*SLM_KV_BLOCK] __attribute__((aligned(64)));                                    \
        score_##type##_##name(s, a, query, k, t0, t1);                                             \
        weigh_tile(s, a, query, n, t0, t1);                                                        \
        value_tile(value_##type, s, a, query, n, v, v_bytes, t0, t1);                              \
    }

#define UP_TO(n) (TILE < (n) ? TILE : (n))

/* Heads whose size is no multiple of 16 are rare and left to the portable level. */
#define DEFINE_ATTEND(type, portable)                                                              \
    DEFINE_TILE(type, full, TILE)                                                                  \
    DEFINE_TILE(type, 4, UP_TO(4))                                                                 \
    DEFINE_TILE(type, 3, UP_TO(3))                                                                 \
    DEFINE_TILE(type, 2, UP_TO(2))                                                                 \
    DEFINE_TILE(type, 1, 1)                                                                        \
    SLM_ATTEND(ATTEND(type)) {                                                                     \
        size_t j = first, end = first + n;                                                         \
        if (a->d % 16 != 0) {                                                                      \
            portable(a, first, n, k, v, v_bytes, t0, t1);                                          \
            return;                                                                                \
        }                                                                                          \
        for (; j + TILE <= end; j += TILE)                                                         \
            attend_##type##_full(a, j, k, v, v_bytes, t0, t1);                                     \
        if (TILE > 4 && j + 4 <= end) {                                                            \
            attend_##type##_4(a, j, k, v, v_bytes, t0, t1);                                        \
            j += 4;                                                                                \
        }                                                                                          \
        if (TILE > 3 && j + 3 <= end) {                                                            \
            attend_##type##_3(a, j, k, v, v_bytes, t0, t1);                                        \
            j += 3;                                                                                \
        }                                                                                          \
        if (j + 2 <= end) {                                                                        \
            attend_##type##_2(a, j, k, v, v_bytes, t0, t1);                                        \
            j += 2;                                                                                \
        }                                                                                          \
        if (j < end)                                                                               \
            attend_##type##_1(a, j, k, v, v_bytes, t0, t1);                                        \
    }

#ifndef ATTEND_BYTES_ONLY
DEFINE_ATTEND(f16, slm_attend_f16_ref)
DEFINE_ATTEND(f32, slm_attend_f32_ref)
#endif
DEFINE_ATTEND(q8_0, slm_attend_q8_0_ref)

#endif
