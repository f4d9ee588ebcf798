/* Attention over a block (kernels.h) for vectors of VW floats. The including file defines, for its
 * level:
 *   SLM_UNROLL              before a loop of constant length that must disappear
 *   VW, TILE, TILE_V        lanes; most queries, at least 4, and vectors of a tile
 *   WIDTH(n), KEY_WIDTH(n)  vectors of a tile of n queries whose sums fit the registers; and of one
 *                           of scores of bytes, which has two kinds of sums
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
 *   KEY_TILE                queries of a tile of scores of bytes, where they are fewer */
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
#define QUADS    1
#define KEY_TILE TILE
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

/* Memory is asked for before it is needed, since no processor guesses where the next plane of a
 * page begins: as keys are read, the values of the same tokens; as values are, the keys of the next
 * block. All of these are groups of the same size. They go to the second level: in the first there
 * is no room for them, and too few reads can be under way from there. */
SLM_INLINE void ask(const uint8_t *p, size_t bytes) {
    SLM_UNROLL
    for (size_t i = 0; i < bytes; i += 64)
        __builtin_prefetch(p + i, 0, 2);
}

/* Groups that `vectors` vectors reach into. */
#define GROUPS(vectors) (((vectors)*VW + SLM_KV_GROUP - 1) / SLM_KV_GROUP)

/* Where vector v of the block begins in keys whose elements take `bytes`. */
SLM_INLINE const uint8_t *key_vector(const void *const k[4], size_t v, size_t bytes) {
    const size_t in_group = SLM_KV_GROUP / VW;
    return (const uint8_t *)k[v / in_group] + v % in_group * VW * bytes;
}

SLM_INLINE vf vf_floats_of(const uint8_t *p, size_t v) {
    return vf_load((const float *)(const void *)p + VW * v);
}

/* s[j][t] = query j . key t, for `vectors` vectors of the block from v0 on; next: the values of
 * their groups, or NULL where nothing is to be asked for. n and vectors are constants. */
typedef void (*scores_fn)(float *s, const slm_attention *a, size_t query, size_t n,
                          const void *const k[4], const void *const *next, size_t v0,
                          size_t vectors);

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
                              const void *const k[4], const void *const *next, size_t v0,
                              size_t vectors) {
    const size_t groups = next == NULL ? 1 : GROUPS(vectors);
    const size_t ask_bytes = groups * SLM_KV_GROUP * bytes * LANES;
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
    /* one of the next groups after the other, which takes one address instead of all */
    size_t i = 0;
    for (size_t g = 1; g <= groups; g++) {
        const uint8_t *ahead = next == NULL ? NULL : next[g - 1];
        for (; i < g * a->d / groups; i += LANES) {
            vx w[TILE];
            SLM_UNROLL
            for (size_t j = 0; j < n; j++)
                w[j] = vx_load(q + j * a->stride + i);
            if (next != NULL) {
                ask(ahead, ask_bytes);
                ahead += ask_bytes;
            }
            EACH_LANE(LANES, add_element(load, bytes, acc, w, lane, key, i + lane, n, vectors));
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
                           const void *const k[4], const void *const *next, size_t v0,
                           size_t vectors) {
    scores_floats(vf_halves_of, 2, s, a, query, n, k, next, v0, vectors);
}

SLM_INLINE void scores_f32(float *s, const slm_attention *a, size_t query, size_t n,
                           const void *const k[4], const void *const *next, size_t v0,
                           size_t vectors) {
    scores_floats(vf_floats_of, 4, s, a, query, n, k, next, v0, vectors);
}

/* Keys that were F16 and are floats in the cache. */
SLM_INLINE void scores_wide(float *s, const slm_attention *a, size_t query, size_t n,
                            const void *const k[4], const void *const *next, size_t v0,
                            size_t vectors) {
    (void)next;
    scores_floats(vf_floats_of, 4, s, a, query, n, k, NULL, v0, vectors);
}

SLM_INLINE void scores_bytes(float *s, const slm_attention *a, size_t query, size_t n,
                             const void *const k[4], const void *const *next, size_t v0,
                             size_t vectors) {
    const size_t block_bytes = SLM_KV_GROUP * sizeof(slm_block_q8_0);
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
            for (size_t g = 0; g < GROUPS(vectors); g++)
                ask((const uint8_t *)next[g] + b * block_bytes + i * 72, QUADS * 72);
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
                            const void *const k[4], const void *const *next, size_t v0,
                            size_t vectors) {
    const size_t part = n > KEY_TILE ? (n + 1) / 2 : n;
    const size_t wide = vectors < KEY_WIDTH(part) ? vectors : KEY_WIDTH(part);
    for (size_t v = v0; v < v0 + vectors; v += wide) {
        const void *const *at = next + (v - v0) * VW / SLM_KV_GROUP;
        scores_bytes(s, a, query, part, k, at, v, wide);
        if (part < n)
            scores_bytes(s + part * SLM_KV_BLOCK, a, query + part, n - part, k, at, v, wide);
    }
}

/* Vector c of the tile at column i of a row of values. The scale of Q8_0 comes with the weight. */
typedef vf (*value_fn)(const uint8_t *row, size_t i, size_t c);

SLM_INLINE vf value_f16(const uint8_t *row, size_t i, size_t c) {
    return vf_halves_of(row + 2 * i, c);
}
SLM_INLINE vf value_f32(const uint8_t *row, size_t i, size_t c) {
    return vf_floats_of(row + 4 * i, c);
}
/* F16 before. */
SLM_INLINE vf value_wide(const uint8_t *row, size_t i, size_t c) {
    return value_f32(row, i, c);
}
SLM_INLINE vf value_q8_0(const uint8_t *row, size_t i, size_t c) {
    const size_t at = BY_GROUPS ? i : i + c * VW;
    return vf_bytes_of(row + at / 32 * sizeof(slm_block_q8_0) + 2 + at % 32, BY_GROUPS ? c : 0);
}

SLM_INLINE void scale_weights(vx w[TILE], const uint8_t *scales, size_t bytes, size_t n) {
    const vx d = vx_scales(scales, bytes);
    SLM_UNROLL
    for (size_t j = 0; j < n; j++)
        w[j] = vx_mul(w[j], d);
}

/* Blocks of a row of Q8_0 that a tile of values reaches into, each with weights of its own. */
#define BLOCKS (!BY_GROUPS && TILE_V * VW > 32 ? TILE_V * VW / 32 : 1)

/* Weights of tokens [t0, t1) times the scales of the block of 32 columns at byte `at` of each row. */
SLM_INLINE void scale_block(float *to, const float *p, size_t n, const void *const v[4],
                            size_t v_bytes, size_t at, size_t t0, size_t t1) {
    uint16_t scales[SLM_KV_BLOCK] = {0};
    for (size_t t = t0, end; t < t1; t = end) {
        const uint8_t *row = (const uint8_t *)v[t / SLM_KV_GROUP] + t % SLM_KV_GROUP * v_bytes + at;
        end = t / SLM_KV_GROUP * SLM_KV_GROUP + SLM_KV_GROUP;
        end = end < t1 ? end : t1;
        for (; t < end; t++, row += v_bytes)
            memcpy(&scales[t], row, 2);
    }
    for (size_t t = t0 / VW * VW; t < t1; t += VW) {
        const vf d = vf_halves((const uint8_t *)&scales[t]);
        SLM_UNROLL
        for (size_t j = 0; j < n; j++)
            vf_store(to + j * SLM_KV_BLOCK + t, vf_mul(vf_load(p + j * SLM_KV_BLOCK + t), d));
    }
}

/* A row of values, by a lane of the weights w, of which each block has its own. */
SLM_INLINE void add_row(value_fn load, vf acc[TILE][TILE_V], vx w[BLOCKS][TILE], size_t lane,
                        const uint8_t *row, size_t i, size_t n, size_t vectors) {
    SLM_UNROLL
    for (size_t c = 0; c < vectors; c++) {
        const size_t b = load == value_q8_0 && BLOCKS > 1 ? c * VW / 32 : 0;
        const vf x = load(row, i, c);
        SLM_UNROLL
        for (size_t j = 0; j < n; j++)
            acc[j][c] = vx_fma(w[b][j], lane, x, acc[j][c]);
    }
}

/* o += p v for `count` tokens of a group, of which the first is at row: LANES of them, or one. */
SLM_INLINE void add_values(value_fn load, vf acc[TILE][TILE_V], const float *p, size_t count,
                           const uint8_t *row, size_t v_bytes, size_t i, size_t n,
                           size_t vectors) {
    const size_t n_blocks = load == value_q8_0 && vectors * VW > 32 ? BLOCKS : 1;
    vx w[BLOCKS][TILE];
    SLM_UNROLL
    for (size_t b = 0; b < n_blocks; b++) {
        SLM_UNROLL
        for (size_t j = 0; j < n; j++) {
            const float *at = p + (b * TILE + j) * SLM_KV_BLOCK;
            w[b][j] = count == 1 ? vx_set(*at) : vx_load(at);
        }
    }
    if (BY_GROUPS && load == value_q8_0)
        scale_weights(w[0], row + i / 32 * sizeof(slm_block_q8_0), count == 1 ? 0 : v_bytes, n);
    EACH_LANE(count, add_row(load, acc, w, lane, row + lane * v_bytes, i, n, vectors));
}

/* What `columns` columns of a row of values take. */
SLM_INLINE size_t column_bytes(value_fn load, size_t columns) {
    return load == value_f32 || load == value_wide ? 4 * columns
           : load == value_f16 ? 2 * columns
                               : columns / 32 * sizeof(slm_block_q8_0) + columns % 32;
}

/* What to ask for while values of group g are read from column i on: the share of the next keys that
 * these columns have of the values, which take as many bytes. */
SLM_INLINE const uint8_t *next_keys(value_fn load, const slm_attention *a, size_t g,
                                    const void *const v[4], size_t v_bytes, size_t i) {
    size_t at = column_bytes(load, i) * SLM_KV_GROUP, half = v_bytes * SLM_KV_GROUP / 2;
    if (a->second != NULL && at >= half) {
        a = a->second;
        at -= half;
    }
    return (const uint8_t *)(a->next_k == NULL || a->next_k[g] == NULL ? v[g] : a->next_k[g]) + at;
}

/* The groups of a block of values as one softmax finds them, what it asks for as it reads keys, and
 * the tokens that the call takes. */
typedef struct block_values {
    const void *v[4], *next[4];
    size_t v_bytes, t0, t1;
    const uint8_t (*range)[2];
} block_values;

/* Tokens [t0, t1) that queries of a tile take, and those [all0, all1) that all of them take. */
typedef struct tile_tokens {
    size_t t0, t1, all0, all1;
} tile_tokens;

SLM_INLINE tile_tokens tokens_of(const block_values *b, size_t query, size_t n) {
    tile_tokens t = {b->t0, b->t1, b->t0, b->t1};
    if (b->range == NULL)
        return t;
    t = (tile_tokens){SLM_KV_BLOCK, 0, 0, SLM_KV_BLOCK};
    for (size_t j = query; j < query + n; j++) {
        const size_t from = b->range[j][0], to = b->range[j][1];
        t.all0 = from > t.all0 ? from : t.all0;
        t.all1 = to < t.all1 ? to : t.all1;
        t.t0 = from < to && from < t.t0 ? from : t.t0;
        t.t1 = from < to && to > t.t1 ? to : t.t1;
    }
    return t;
}

/* o = o times scale plus p v, for n queries and `vectors` vectors of columns from column i on. Of the
 * queries the first `own` are a's, and the others those of its second softmax. scale: NULL, or one
 * for each query. */
SLM_INLINE void values(value_fn load, const float *p, const float *scale, const slm_attention *a,
                       size_t query, size_t n, size_t own, const block_values *b,
                       size_t t0, size_t t1, size_t i, size_t vectors) {
    const size_t chunk = column_bytes(load, vectors * VW);
    const size_t n_blocks = vectors * VW > 32 ? BLOCKS : 1, v_bytes = b->v_bytes;
    float scaled[BLOCKS * TILE * SLM_KV_BLOCK] __attribute__((aligned(64)));
    float *o[TILE];
    vf acc[TILE][TILE_V];
    if (!BY_GROUPS && load == value_q8_0) {
        for (size_t u = 0; u < n_blocks; u++)
            scale_block(scaled + u * TILE * SLM_KV_BLOCK, p, n, b->v, v_bytes,
                        (i / 32 + u) * sizeof(slm_block_q8_0), t0, t1);
        p = scaled;
    }
    SLM_UNROLL
    for (size_t j = 0; j < n; j++) {
        o[j] = j < own ? a->o + (query + j) * a->o_stride + i
                       : a->second->o + (query + j - own) * a->o_stride + i;
        SLM_UNROLL
        for (size_t c = 0; c < vectors; c++)
            acc[j][c] = vf_load(o[j] + c * VW);
    }
    if (scale != NULL) {
        SLM_UNROLL
        for (size_t j = 0; j < n; j++) {
            const vf by = vf_set(scale[j]);
            SLM_UNROLL
            for (size_t c = 0; c < vectors; c++)
                acc[j][c] = vf_mul(acc[j][c], by);
        }
    }
    for (size_t g = t0 / SLM_KV_GROUP; g * SLM_KV_GROUP < t1; g++) {
        const size_t begin = g * SLM_KV_GROUP, first = t0 > begin ? t0 - begin : 0;
        const size_t end = t1 - begin < SLM_KV_GROUP ? t1 - begin : SLM_KV_GROUP;
        const uint8_t *row = (const uint8_t *)b->v[g] + first * v_bytes;
        const uint8_t *next =
            load == value_wide ? NULL : next_keys(load, a, g, b->v, v_bytes, i);
        for (size_t t = first, count; t < end; t += count) {
            const float *weights = p + begin + t;
            count = t % LANES == 0 && t + LANES <= end ? LANES : 1;
            if (count == LANES) {
                if (next != NULL)
                    ask(next, chunk * LANES);
                add_values(load, acc, weights, LANES, row, v_bytes, i, n, vectors);
            } else {
                if (next != NULL)
                    ask(next, chunk);
                add_values(load, acc, weights, 1, row, v_bytes, i, n, vectors);
            }
            row += count * v_bytes;
            if (next != NULL)
                next += count * chunk;
        }
    }
    SLM_UNROLL
    for (size_t j = 0; j < n; j++) {
        SLM_UNROLL
        for (size_t c = 0; c < vectors; c++)
            vf_store(o[j] + c * VW, acc[j][c]);
    }
}

/* Lanes of vector v that hold tokens of [t0, t1); x in the others. */
SLM_INLINE vf mask_vector(vf p, size_t v, size_t t0, size_t t1, float x) {
    if (t0 <= v * VW && t1 >= (v + 1) * VW)
        return p;
    const size_t from = t0 > v * VW ? t0 - v * VW : 0, to = t1 > v * VW ? t1 - v * VW : 0;
    return vf_mask(p, from < VW ? from : VW, to < VW ? to : VW, x);
}

/* Queries of a tile in whole vectors. */
#define MOST ((TILE + VW - 1) / VW * VW)

/* Vectors of a group. */
#define GROUP_V (SLM_KV_GROUP / VW)

/* The largest score of a query, whose tokens are [t0, t1). Scores of other tokens in the same groups
 * become -infinity. */
SLM_INLINE float largest_score(float *s, size_t t0, size_t t1) {
    const float lowest = -__builtin_inff();
    vf most[GROUP_V];
    SLM_UNROLL
    for (size_t u = 0; u < GROUP_V; u++)
        most[u] = vf_set(lowest);
    SLM_UNROLL
    for (size_t g = t0 / SLM_KV_GROUP; g < (t1 + SLM_KV_GROUP - 1) / SLM_KV_GROUP; g++) {
        const int whole = t0 <= g * SLM_KV_GROUP && t1 >= (g + 1) * SLM_KV_GROUP;
        SLM_UNROLL
        for (size_t u = 0; u < GROUP_V; u++) {
            const size_t v = g * GROUP_V + u;
            vf x = vf_load(s + v * VW);
            if (!whole) {
                x = mask_vector(x, v, t0, t1, lowest);
                vf_store(s + v * VW, x);
            }
            most[u] = vf_max(x, most[u]); /* NaN, the first operand, is passed over */
        }
    }
    SLM_UNROLL
    for (size_t u = 1; u < GROUP_V; u++)
        most[0] = vf_max(most[u], most[0]);
    return vf_largest(most[0]);
}

/* Scores of tokens [t0, t1) to weights, whose sums are l times scale before. Those of other tokens in
 * the same groups become 0, but not as exponentials, since one that underflows takes a processor as
 * long as thirty others. */
SLM_INLINE void weigh(float *s, float *l, float m, float scale, size_t t0, size_t t1) {
    vf sum[GROUP_V];
    SLM_UNROLL
    for (size_t u = 0; u < GROUP_V; u++)
        sum[u] = vf_mul(vf_load(l + u * VW), vf_set(scale));
    SLM_UNROLL
    for (size_t g = t0 / SLM_KV_GROUP; g < (t1 + SLM_KV_GROUP - 1) / SLM_KV_GROUP; g++) {
        const int whole = t0 <= g * SLM_KV_GROUP && t1 >= (g + 1) * SLM_KV_GROUP;
        SLM_UNROLL
        for (size_t u = 0; u < GROUP_V; u++) {
            const size_t v = g * GROUP_V + u;
            const vf x = vf_add(vf_load(s + v * VW), vf_set(-m));
            const vf p = whole ? vf_exp(x)
                               : mask_vector(vf_exp(mask_vector(x, v, t0, t1, 0)), v, t0, t1, 0);
            sum[u] = vf_add(sum[u], p);
            vf_store(s + v * VW, p);
        }
    }
    SLM_UNROLL
    for (size_t u = 0; u < GROUP_V; u++)
        vf_store(l + u * VW, sum[u]);
}

/* Largest scores to the new ones of queries, and what sums are to be multiplied by: 1 where nothing
 * was seen before. */
SLM_INLINE void raise_largest(float *m, float *scale, const float *largest, size_t n) {
    float less[MOST] __attribute__((aligned(64))) = {0};
    for (size_t j = 0; j < n; j++) {
        const float old = m[j], now = largest[j] > old ? largest[j] : old;
        less[j] = old == -__builtin_inff() ? 0 : old - now;
        m[j] = now;
    }
    SLM_UNROLL
    for (size_t j = 0; j < MOST; j += VW)
        vf_store(scale + j, vf_exp(vf_load(less + j)));
}

/* Scores of a tile to weights. scale gets what its sums of values are to be multiplied by. By itself,
 * so that what it holds in registers does not crowd those of products. Nothing branches on a score:
 * in short prompts, where the largest often changes, no branch would be guessed. */
SLM_INLINE void weigh_queries(float *s, float *scale, const slm_attention *a, size_t query,
                              size_t n, const block_values *b, int whole) {
    float largest[MOST] __attribute__((aligned(64))) = {0};
    for (size_t j = 0; j < n; j++) {
        const tile_tokens t = tokens_of(b, query + j, 1);
        largest[j] = largest_score(s + j * SLM_KV_BLOCK, whole ? 0 : t.t0,
                                   whole ? SLM_KV_BLOCK : t.t1);
    }
    raise_largest(a->m + query, scale, largest, n);
    for (size_t j = 0; j < n; j++) {
        const tile_tokens t = tokens_of(b, query + j, 1);
        weigh(s + j * SLM_KV_BLOCK, a->l + (query + j) * 16, a->m[query + j], scale[j],
              whole ? 0 : t.t0, whole ? SLM_KV_BLOCK : t.t1);
    }
}

static __attribute__((noinline)) void weigh_tile(float *s, float *scale, const slm_attention *a,
                                                 size_t query, size_t n, const block_values *b) {
    if (b->range == NULL && b->t0 == 0 && b->t1 == SLM_KV_BLOCK)
        weigh_queries(s, scale, a, query, n, b, 1);
    else
        weigh_queries(s, scale, a, query, n, b, 0);
}

/* Whole groups are computed, since weigh_tile takes them. */
SLM_INLINE void score_tile(scores_fn scores, float *s, const slm_attention *a, size_t query,
                           size_t n, const void *const k[4], const block_values *b) {
    const tile_tokens t = tokens_of(b, query, n);
    const size_t last = (t.t1 + SLM_KV_GROUP - 1) / SLM_KV_GROUP * GROUP_V;
    size_t at = t.t0 / SLM_KV_GROUP * GROUP_V;
    for (; at + WIDTH(n) <= last; at += WIDTH(n))
        scores(s, a, query, n, k, b->next + at * VW / SLM_KV_GROUP, at, WIDTH(n));
    for (; WIDTH(n) > 2 * GROUP_V && at + 2 * GROUP_V <= last; at += 2 * GROUP_V)
        scores(s, a, query, n, k, b->next + at * VW / SLM_KV_GROUP, at, 2 * GROUP_V);
    for (; WIDTH(n) > GROUP_V && at < last; at += GROUP_V)
        scores(s, a, query, n, k, b->next + at * VW / SLM_KV_GROUP, at, GROUP_V);
}

/* Tokens [t0, t1), which all queries of the tile take. */
SLM_INLINE void value_tokens(value_fn load, const float *s, const float *scale,
                             const slm_attention *a, size_t query, size_t n, size_t own,
                             const block_values *b, size_t t0, size_t t1) {
    size_t i = 0;
    for (; i + WIDTH(n) * VW <= a->d_v; i += WIDTH(n) * VW)
        values(load, s, scale, a, query, n, own, b, t0, t1, i, WIDTH(n));
    for (; !BY_GROUPS && i < a->d_v; i += VW)
        values(load, s, scale, a, query, n, own, b, t0, t1, i, 1);
}

/* Of tokens [t0, t1) those that a query takes, for one query after the other: few. */
SLM_INLINE void value_some(value_fn load, const float *s, const slm_attention *a, size_t query,
                           size_t n, size_t own, const block_values *b, size_t t0, size_t t1) {
    for (size_t j = 0; j < n; j++) {
        const size_t at = query + (j < own ? j : j - own);
        const size_t from = b->range[at][0] > t0 ? b->range[at][0] : t0;
        const size_t to = b->range[at][1] < t1 ? b->range[at][1] : t1;
        if (from < to)
            value_tokens(load, s + j * SLM_KV_BLOCK, NULL, j < own ? a : a->second, at, 1, 1, b,
                         from, to);
    }
}

SLM_INLINE void scale_sums(const slm_attention *a, size_t query, size_t n, const float *scale) {
    for (size_t j = 0; j < n; j++) {
        float *o = a->o + (query + j) * a->o_stride;
        for (size_t i = 0; i < a->o_stride; i += VW)
            vf_store(o + i, vf_mul(vf_load(o + i), vf_set(scale[j])));
    }
}

/* Defines value_tile for values of a type: the tokens that only some of the queries take come before
 * and after those that all take. */
#define DEFINE_SOME(type)                                                                          \
    static __attribute__((noinline)) void some_##type(                                             \
        const float *s, const slm_attention *a, size_t query, size_t n, size_t own,                \
        const block_values *b, size_t t0, size_t t1) {                                             \
        value_some(value_##type, s, a, query, n, own, b, t0, t1);                                  \
    }                                                                                              \
    SLM_INLINE void value_tile_##type(const float *s, const float *scale, const slm_attention *a,  \
                                      size_t query, size_t n, size_t own, const block_values *b) { \
        const tile_tokens t = tokens_of(b, query, own);                                            \
        const int shared = t.all0 < t.all1;                                                        \
        const size_t end = shared ? t.all0 : t.t1;                                                 \
        if (t.t0 < end) {                                                                          \
            scale_sums(a, query, own, scale);                                                      \
            if (own < n)                                                                           \
                scale_sums(a->second, query, n - own, scale + own);                                \
            scale = NULL;                                                                          \
            some_##type(s, a, query, n, own, b, t.t0, end);                                        \
        }                                                                                          \
        if (shared)                                                                                \
            value_tokens(value_##type, s, scale, a, query, n, own, b, t.all0, t.all1);             \
        if (shared && t.all1 < t.t1)                                                               \
            some_##type(s, a, query, n, own, b, t.all1, t.t1);                                     \
    }

/* The values that the keys of the first softmax of a pair ask for, or those of the second. */
SLM_INLINE void share_values(block_values *b, int second) {
    for (size_t g = 0; g < 4; g++)
        b->next[g] = second && b->v[g] != NULL
                         ? (const uint8_t *)b->v[g] + b->v_bytes * SLM_KV_GROUP / 2 : b->v[g];
}

/* A tile of n queries, `name` being n. Scores and weights are functions of their own, so that what
 * one holds in registers does not crowd the next. */
#define DEFINE_PARTS(type, name, n)                                                                \
    static __attribute__((noinline)) void score_##type##_##name(                                   \
        float *s, const slm_attention *a, size_t query, const void *const k[4],                    \
        const block_values *b) {                                                                   \
        score_tile(scores_##type, s, a, query, n, k, b);                                           \
    }                                                                                              \
    static __attribute__((noinline)) void value_##type##_##name(                                   \
        float *s, const slm_attention *a, size_t query, const block_values *b) {                   \
        float scale[MOST] __attribute__((aligned(64)));                                            \
        weigh_tile(s, scale, a, query, n, b);                                                      \
        value_tile_##type(s, scale, a, query, n, n, b);                                            \
    }

#define DEFINE_TILE(type, name, n)                                                                 \
    DEFINE_PARTS(type, name, n)                                                                    \
    static void attend_##type##_##name(const slm_attention *a, size_t query,                       \
                                       const void *const k[4], const block_values *b) {            \
        float s[(n)*SLM_KV_BLOCK] __attribute__((aligned(64)));                                    \
        score_##type##_##name(s, a, query, k, b);                                                  \
        value_##type##_##name(s, a, query, b);                                                     \
    }

/* n queries of each softmax of a pair, which take the values together. */
#define DEFINE_PAIR(type, name, n)                                                                 \
    static __attribute__((noinline)) void attend_##type##_pair_##name(                             \
        const slm_attention *a, size_t query, const void *const k[8], block_values *b) {           \
        float s[2 * (n)*SLM_KV_BLOCK] __attribute__((aligned(64)));                                \
        float scale[2 * MOST] __attribute__((aligned(64)));                                        \
        float more[MOST] __attribute__((aligned(64)));                                             \
        score_##type##_##name(s, a, query, k, b);                                                  \
        share_values(b, 1);                                                                        \
        score_##type##_##name(s + (n)*SLM_KV_BLOCK, a->second, query, k + 4, b);                   \
        weigh_tile(s, scale, a, query, n, b);                                                      \
        weigh_tile(s + (n)*SLM_KV_BLOCK, more, a->second, query, n, b);                            \
        memcpy(scale + (n), more, (n) * sizeof *more);                                             \
        value_tile_##type(s, scale, a, query, 2 * (n), n, b);                                      \
    }

/* Queries of the next tile of `left`. A tile of one or two behind full ones would convert keys and
 * values for too little. */
SLM_INLINE size_t next_tile(size_t left) {
    return left == TILE || left > TILE + 2 ? TILE
           : TILE > 4 && left >= 4         ? 4
           : left >= 3                     ? 3
                                           : left;
}

/* A call for the next tile of a run of queries. */
#define EACH_TILE(size, prefix, ...)                                                               \
    switch (size) {                                                                                \
    case 1: prefix##_1(__VA_ARGS__); break;                                                        \
    case 2: prefix##_2(__VA_ARGS__); break;                                                        \
    case 3: prefix##_3(__VA_ARGS__); break;                                                        \
    case TILE: prefix##_full(__VA_ARGS__); break;                                                  \
    default: prefix##_4(__VA_ARGS__); break;                                                       \
    }

/* Heads whose size is no multiple of 16 are rare and left to the portable level. Many queries of a
 * pair fill tiles by themselves, and share keys that way. */
#define DEFINE_ATTEND(type, portable, run)                                                         \
    DEFINE_SOME(type)                                                                              \
    DEFINE_TILE(type, full, TILE)                                                                  \
    DEFINE_TILE(type, 4, 4)                                                                        \
    DEFINE_TILE(type, 3, 3)                                                                        \
    DEFINE_TILE(type, 2, 2)                                                                        \
    DEFINE_TILE(type, 1, 1)                                                                        \
    DEFINE_PAIR(type, 2, 2)                                                                        \
    DEFINE_PAIR(type, 1, 1)                                                                        \
    static void attend_##type##_one(const slm_attention *a, size_t j, size_t end,                  \
                                    const void *const k[4], const block_values *b) {               \
        for (size_t n; j < end; j += n) {                                                          \
            n = next_tile(end - j);                                                                \
            EACH_TILE(n, attend_##type, a, j, k, b)                                                \
        }                                                                                          \
    }                                                                                              \
    SLM_ATTEND(ATTEND(type)) {                                                                     \
        block_values b = {{v[0], v[1], v[2], v[3]}, {NULL}, v_bytes, t0, t1, a->range};            \
        share_values(&b, 0);                                                                       \
        if (a->d % 16 != 0) {                                                                      \
            portable(a, first, n, k, v, v_bytes, t0, t1);                                          \
        } else if (a->second != NULL && n == 2) {                                                  \
            attend_##type##_pair_2(a, first, k, &b);                                               \
        } else if (a->second != NULL && n == 1) {                                                  \
            attend_##type##_pair_1(a, first, k, &b);                                               \
        } else {                                                                                   \
            run(a, first, first + n, k, &b);                                                       \
            share_values(&b, 1);                                                                   \
            if (a->second != NULL)                                                                 \
                run(a->second, first, first + n, k + 4, &b);                                       \
        }                                                                                          \
    }

#ifndef ATTEND_BYTES_ONLY
/* From here on widening keys and values once for all tiles takes less time than once a tile. */
#define WIDE_FROM (2 * TILE + 1)

/* n halves, a multiple of 16, as floats. The same number are asked for. */
SLM_INLINE void widen(float *to, const uint8_t *p, size_t n, const uint8_t *ahead) {
    for (size_t i = 0; i < n; i += 16) {
        if (i % 32 == 0)
            ask(ahead + 2 * i, 1);
        SLM_UNROLL
        for (size_t u = 0; u < 16; u += VW)
            vf_store(to + i + u, vf_halves(p + 2 * (i + u)));
    }
}

SLM_INLINE void widen_keys(const void *wide[4], float *to, const slm_attention *a,
                           const void *const k[4], const block_values *b) {
    const size_t n = SLM_KV_GROUP * a->d;
    for (size_t g = b->t0 / SLM_KV_GROUP; g * SLM_KV_GROUP < b->t1; g++) {
        widen(to + g * n, k[g], n, b->next[g]);
        wide[g] = to + g * n;
    }
}

/* Asks for the keys of the next block. */
SLM_INLINE void widen_values(block_values *wide, float *to, const slm_attention *a,
                             const block_values *b) {
    wide->v_bytes = a->d_v * sizeof(float);
    for (size_t g = 0; g < 4; g++)
        wide->v[g] = to + g * SLM_KV_GROUP * a->d_v;
    for (size_t t = b->t0; t < b->t1; t++) {
        const size_t g = t / SLM_KV_GROUP, at = t % SLM_KV_GROUP * b->v_bytes;
        const uint8_t *row = (const uint8_t *)b->v[g] + at;
        widen(to + t * a->d_v, row, a->d_v,
              next_keys(value_f16, a, g, b->v, b->v_bytes, 0) + at);
    }
}

DEFINE_SOME(wide)
DEFINE_PARTS(wide, full, TILE)
DEFINE_PARTS(wide, 4, 4)
DEFINE_PARTS(wide, 3, 3)
DEFINE_PARTS(wide, 2, 2)
DEFINE_PARTS(wide, 1, 1)

/* Keys of a block are made floats once for all tiles, and after all scores, its values, in the same
 * place. That is 16 KB for heads of 64, which the first-level cache holds, and 32 KB for those of 128. */
static void attend_wide(const slm_attention *a, size_t first, size_t end, const void *const k[4],
                        const block_values *b) {
    float *s = a->wide, *room = a->wide + (end - first) * SLM_KV_BLOCK;
    const void *keys[4] = {NULL};
    block_values wide = *b;
    widen_keys(keys, room, a, k, b);
    for (size_t j = first, n; j < end; j += n) {
        n = next_tile(end - j);
        EACH_TILE(n, score_wide, s + (j - first) * SLM_KV_BLOCK, a, j, keys, &wide)
    }
    widen_values(&wide, room, a, b);
    for (size_t j = first, n; j < end; j += n) {
        n = next_tile(end - j);
        EACH_TILE(n, value_wide, s + (j - first) * SLM_KV_BLOCK, a, j, &wide)
    }
}

static void attend_f16_one(const slm_attention *a, size_t j, size_t end, const void *const k[4],
                           const block_values *b);

static void attend_f16_run(const slm_attention *a, size_t j, size_t end, const void *const k[4],
                           const block_values *b) {
    if (a->wide != NULL && end - j >= WIDE_FROM)
        attend_wide(a, j, end, k, b);
    else
        attend_f16_one(a, j, end, k, b);
}

DEFINE_ATTEND(f16, slm_attend_f16_ref, attend_f16_run)
DEFINE_ATTEND(f32, slm_attend_f32_ref, attend_f32_one)
#endif
DEFINE_ATTEND(q8_0, slm_attend_q8_0_ref, attend_q8_0_one)

#endif
