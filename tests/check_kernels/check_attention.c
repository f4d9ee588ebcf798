/* Cache rows: stored bytes, and attention over them. */
#include "check.h"

static const char *const kv_names[] = {"f16", "q8_0", "f32"};
static const size_t head_sizes[] = {1, 8, 31, 32, 33, 48, 64, 80, 96, 100, 128, 256, 300};
#define N_HEAD_SIZES (sizeof head_sizes / sizeof head_sizes[0])

/* A stored row as doubles. */
static void row_values(slm_kv kv, const uint8_t *row, size_t d, double *x) {
    for (size_t i = 0; i < d; i++) {
        if (kv == SLM_KVT_F32) {
            float f;
            memcpy(&f, row + 4 * i, 4);
            x[i] = (double)f;
        } else if (kv == SLM_KVT_F16) {
            uint16_t h;
            memcpy(&h, row + 2 * i, 2);
            x[i] = (double)slm_f16_to_f32(h);
        } else {
            const slm_block_q8_0 *b = (const slm_block_q8_0 *)row + i / 32;
            x[i] = (double)slm_f16_to_f32((uint16_t)(b->d[0] | b->d[1] << 8)) * b->qs[i % 32];
        }
    }
}

static void store(check *c) {
    for (int kv = 0; kv < SLM_KVT_LIMIT; kv++)
        for (size_t s = 0; s < N_HEAD_SIZES; s++)
            for (unsigned r = 0; r < 6 * c->rounds; r++) {
                size_t d = head_sizes[s], bytes = slm_kv_row_bytes((slm_kv)kv, d);
                float *x = guard_alloc(d * sizeof *x);
                uint8_t *got = guard_alloc(bytes), *want = guard_alloc(bytes);
                double v[300], most = 0;
                random_floats(c, x, d, r == 1 ? 1e4f : r == 2 ? 1e-6f : 2.0f);
                for (size_t i = 0; i < d; i++) {
                    uint32_t u = (uint32_t)slm_rng_next(&c->rng);
                    if (r == 3)
                        memcpy(&x[i], &u, 4); /* any bits */
                    else if (r == 4)
                        x[i] = 0;
                    most = fmax(most, fabs((double)x[i]));
                }
                guard_freeze(x);
                c->ref->kv_store[kv](want, x, d);
                c->k->kv_store[kv](got, x, d);
                if (bits_differ(got, want, bytes))
                    fail(c, "%s d %zu: stored bytes differ from portable", kv_names[kv], d);
                row_values((slm_kv)kv, want, d, v);
                double unit = kv == SLM_KVT_F32 ? 0 : kv == SLM_KVT_F16 ? 0x1p-11 : 0.0045;
                for (size_t i = 0; i < d && r < 3; i++) {
                    double size = kv == SLM_KVT_Q8_0 ? most : fabs((double)x[i]);
                    double off = fabs(v[i] - (double)x[i]);
                    if (!(off <= unit * size + (kv == SLM_KVT_F32 ? 0 : 4e-6))) {
                        fail(c, "%s d %zu: %g stored as %g", kv_names[kv], d, (double)x[i], v[i]);
                        break;
                    }
                }
                for (size_t i = d; kv == SLM_KVT_Q8_0 && i < (d + 31) / 32 * 32; i++)
                    if (((const slm_block_q8_0 *)(const void *)got)[i / 32].qs[i % 32] != 0)
                        fail(c, "q8_0 d %zu: no zero at %zu", d, i);
                guard_release(c);
            }
}

/* Queries over a few blocks of a session's tokens. */
typedef struct cache {
    size_t d, d_v, stride, o_stride, n_q, n_tokens, row_bytes, v_bytes, q8_bytes;
    float *q, *o, *m, *l, *wide;
    uint8_t *q8, *keys, *values; /* groups one behind the other */
    double *x, *k, *v;           /* queries as they are multiplied, keys, values: [n][d or d_v] */
} cache;

static double *doubles(size_t n) {
    double *x = malloc(n * sizeof *x);
    if (x == NULL)
        exit(2);
    return x;
}

static void choose_sizes(check *c, slm_kv kv, cache *m) {
    static const size_t sizes[] = {16, 32, 64, 80, 96, 112, 128, 256, 8, 33, 100};
    m->d = sizes[random_below(c, sizeof sizes / sizeof sizes[0])];
    m->d_v = m->d % 32 == 0 && m->d <= 128 && random_below(c, 2) ? 2 * m->d : m->d;
    m->stride = (m->d + 15) / 16 * 16;
    m->o_stride = (m->d_v + 15) / 16 * 16;
    m->n_q = 1 + random_below(c, random_below(c, 3) == 0 ? 33 : 9);
    m->n_tokens = 1 + random_below(c, 200);
    m->row_bytes = slm_kv_row_bytes(kv, m->d);
    m->v_bytes = slm_kv_row_bytes(kv, m->d_v);
    m->q8_bytes = slm_act_row_bytes(SLM_ACT_Q8_0, m->d);
}

/* With `first`, one of the same sizes that has its values. */
static void make_cache(check *c, slm_kv kv, cache *m, const cache *first) {
    if (first != NULL)
        *m = *first;
    else
        choose_sizes(c, kv, m);
    size_t n_groups = (m->n_tokens + SLM_KV_GROUP - 1) / SLM_KV_GROUP;
    size_t bytes = n_groups * SLM_KV_GROUP * m->row_bytes;
    size_t values_bytes = n_groups * SLM_KV_GROUP * m->v_bytes;
    m->q = guard_alloc(m->n_q * m->stride * sizeof(float));
    m->o = guard_alloc(m->n_q * m->o_stride * sizeof(float));
    m->m = guard_alloc(m->n_q * sizeof(float));
    m->l = guard_alloc(m->n_q * 16 * sizeof(float));
    m->wide = random_below(c, 4) == 0
                  ? NULL
                  : guard_alloc(SLM_ATTEND_WIDE(m->n_q, m->d_v) * sizeof(float));
    m->q8 = guard_alloc(m->n_q * m->q8_bytes);
    m->keys = guard_alloc(bytes);
    if (first == NULL)
        m->values = guard_alloc(values_bytes);
    m->x = doubles(m->n_q * m->d);
    m->k = doubles(m->n_tokens * m->d);
    m->v = doubles(m->n_tokens * m->d_v);
    memset(m->q, 0, m->n_q * m->stride * sizeof(float));
    for (size_t j = 0; j < m->n_q; j++) {
        float *q = m->q + j * m->stride;
        random_floats(c, q, m->d, 0.3f);
        c->ref->quantize[SLM_ACT_Q8_0](m->q8 + j * m->q8_bytes, q, m->d);
        const slm_act_q8_0 *b = (const void *)(m->q8 + j * m->q8_bytes);
        for (size_t i = 0; i < m->d; i++)
            m->x[j * m->d + i] =
                kv == SLM_KVT_Q8_0 ? (double)b[i / 32].d * b[i / 32].q[i % 32] : (double)q[i];
    }
    memset(m->keys, 0xff, bytes); /* NaN where no token is */
    if (first == NULL)
        memset(m->values, 0xff, values_bytes);
    for (size_t t = 0; t < m->n_tokens; t++) {
        float row[300];
        uint8_t stored[1200];
        random_floats(c, row, m->d, t % 7 == 3 ? 4.0f : 1.0f);
        c->ref->kv_store[kv](stored, row, m->d);
        row_values(kv, stored, m->d, m->k + t * m->d);
        slm_kv_put_key(kv, m->keys + t / SLM_KV_GROUP * SLM_KV_GROUP * m->row_bytes,
                       t % SLM_KV_GROUP, stored, m->d);
        random_floats(c, row, m->d_v, 1.0f);
        if (first == NULL)
            c->ref->kv_store[kv](m->values + t * m->v_bytes, row, m->d_v);
        row_values(kv, m->values + t * m->v_bytes, m->d_v, m->v + t * m->d_v);
    }
    guard_freeze(m->q);
    guard_freeze(m->q8);
    guard_freeze(m->keys);
    if (first == NULL)
        guard_freeze(m->values);
}

static void free_cache(cache *m) {
    free(m->x);
    free(m->k);
    free(m->v);
}

/* Its queries [first, first + n), which have seen nothing. */
static slm_attention begin_attention(cache *m, size_t first, size_t n) {
    for (size_t j = first; j < first + n; j++) {
        memset(m->o + j * m->o_stride, 0, m->o_stride * sizeof *m->o);
        memset(m->l + j * 16, 0, 16 * sizeof *m->l);
        m->m[j] = -INFINITY;
    }
    return (slm_attention){.d = m->d, .d_v = m->d_v, .stride = m->stride, .o_stride = m->o_stride,
                           .q = m->q, .q8 = m->q8, .q8_bytes = m->q8_bytes, .o = m->o, .m = m->m,
                           .l = m->l, .wide = m->wide};
}

/* The tokens of a block that each query takes of those `seen` says, or no ranges. */
static const uint8_t (*ranges(const size_t (*seen)[2], size_t base, size_t n_q, size_t *t0,
                              size_t *t1, uint8_t (*range)[2]))[2] {
    if (seen == NULL)
        return NULL;
    *t0 = SLM_KV_BLOCK, *t1 = 0;
    for (size_t j = 0; j < n_q; j++) {
        size_t from = seen[j][0] > base ? seen[j][0] - base : 0;
        size_t to = seen[j][1] > base ? seen[j][1] - base : 0;
        range[j][0] = (uint8_t)(from < SLM_KV_BLOCK ? from : SLM_KV_BLOCK);
        range[j][1] = (uint8_t)(to < SLM_KV_BLOCK ? to : SLM_KV_BLOCK);
        if (range[j][0] < range[j][1]) {
            *t0 = range[j][0] < *t0 ? range[j][0] : *t0;
            *t1 = range[j][1] > *t1 ? range[j][1] : *t1;
        }
    }
    return (const uint8_t(*)[2])range;
}

/* Tokens [begin, end) by the blocks that hold them, for queries [first, first + n) and, where there
 * is a second cache over the same values, for those of that one. seen: NULL, or what each takes. */
static void go_by(check *c, slm_kv kv, cache *m, cache *second, size_t first, size_t n,
                  size_t begin, size_t end, const size_t (*seen)[2]) {
    slm_attention a[2] = {begin_attention(m, first, n), {0}};
    if (second != NULL) {
        a[1] = begin_attention(second, first, n);
        a[0].second = &a[1];
    }
    for (size_t base = begin / SLM_KV_BLOCK * SLM_KV_BLOCK; base < end; base += SLM_KV_BLOCK) {
        const void *k[8] = {NULL}, *v[4] = {NULL}, *next_k[8] = {NULL};
        size_t t0 = begin > base ? begin - base : 0;
        size_t t1 = end - base < SLM_KV_BLOCK ? end - base : SLM_KV_BLOCK;
        uint8_t range[40][2];
        a[0].range = ranges(seen, base, m->n_q, &t0, &t1, range);
        if (t0 >= t1)
            continue;
        for (size_t g = t0 / SLM_KV_GROUP; g * SLM_KV_GROUP < t1; g++) {
            size_t at = base + g * SLM_KV_GROUP, next = at + SLM_KV_BLOCK;
            v[g] = m->values + at * m->v_bytes;
            for (size_t p = 0; p < (second != NULL ? 2 : 1); p++) {
                const uint8_t *keys = p == 0 ? m->keys : second->keys;
                k[4 * p + g] = keys + at * m->row_bytes;
                if (next < end)
                    next_k[4 * p + g] = keys + next * m->row_bytes;
            }
        }
        int asks = base % (2 * SLM_KV_BLOCK) == 0;
        a[0].next_k = asks ? next_k : NULL;
        a[1].next_k = asks ? next_k + 4 : NULL;
        c->k->attend[kv](a, first, n, k, v, m->v_bytes, t0, t1);
    }
}

static void go(check *c, slm_kv kv, cache *m, cache *second, size_t first, size_t n, size_t begin,
               size_t end) {
    go_by(c, kv, m, second, first, n, begin, end, NULL);
}

/* The result, with the bound of its error. A score s has error e_s <= sum_bound(d) of its terms; a
 * weight exp(s - max) then has the relative error e^(2 e_s) - 1, and that of the exponential and of
 * the changes of the maximum, below 8 u each block; the mean of values v with weights that are off
 * by a factor of 1 +- r is off by at most 2 r max|v|, and its own sums add n u. */
static int compare(check *c, slm_kv kv, const cache *m, size_t j, size_t begin, size_t end) {
    size_t n = end - begin;
    double *s = doubles(n), max = -INFINITY, total = 0, most_v = 0, off = 0;
    for (size_t t = 0; t < n; t++) {
        double sum_abs = 0;
        s[t] = 0;
        for (size_t i = 0; i < m->d; i++) {
            double term = m->x[j * m->d + i] * m->k[(begin + t) * m->d + i];
            s[t] += term;
            sum_abs += fabs(term);
        }
        for (size_t i = 0; i < m->d_v; i++)
            most_v = fmax(most_v, fabs(m->v[(begin + t) * m->d_v + i]));
        /* one chain of d sums */
        off = fmax(off, 1.01 * ((double)m->d + 8) * U * sum_abs);
        max = fmax(max, s[t]);
    }
    for (size_t t = 0; t < n; t++)
        total += s[t] = exp(s[t] - max);
    double relative = expm1(2 * off) + (8.0 * (double)(n / SLM_KV_BLOCK + 2) + (double)n) * U;
    double limit = 2.02 * relative * most_v, sum_l = 0;
    for (int i = 0; i < 16; i++)
        sum_l += (double)m->l[j * 16 + (size_t)i];
    for (size_t i = 0; i < m->d_v; i++) {
        double want = 0, got = (double)m->o[j * m->o_stride + i] / sum_l;
        for (size_t t = 0; t < n; t++)
            want += s[t] * m->v[(begin + t) * m->d_v + i];
        want /= total;
        if (!(fabs(got - want) <= limit)) {
            fail(c, "%s d %zu n_q %zu tokens %zu to %zu: o[%zu][%zu] = %.9g, exact %.9g, limit %.3g",
                 kv_names[kv], m->d, m->n_q, begin, end, j, i, got, want, limit);
            free(s);
            return 0;
        }
    }
    for (size_t i = m->d_v; i < m->o_stride; i++)
        if (m->o[j * m->o_stride + i] != 0)
            fail(c, "%s d %zu: wrote behind the end of a query", kv_names[kv], m->d);
    free(s);
    return 1;
}

/* THE RULE OF ORDER: a query alone gives the same bits. */
static void compare_alone(check *c, slm_kv kv, cache *m, size_t begin, size_t end,
                          const size_t (*seen)[2]) {
    for (size_t j = 0; j < m->n_q; j++) {
        float o[256], l[16], most = m->m[j];
        memcpy(o, m->o + j * m->o_stride, m->d_v * sizeof *o);
        memcpy(l, m->l + j * 16, sizeof l);
        go(c, kv, m, NULL, j, 1, seen == NULL ? begin : seen[j][0],
           seen == NULL ? end : seen[j][1]);
        if (bits_differ(o, m->o + j * m->o_stride, m->d_v * sizeof *o) ||
            bits_differ(l, m->l + j * 16, sizeof l) || most != m->m[j]) {
            fail(c, "%s d %zu n_q %zu: query %zu alone differs", kv_names[kv], m->d, m->n_q, j);
            return;
        }
    }
}

static void attend(check *c) {
    for (unsigned r = 0; r < 40 * c->rounds; r++)
        for (int kv = 0; kv < SLM_KVT_LIMIT; kv++) {
            cache m[2];
            make_cache(c, (slm_kv)kv, &m[0], NULL);
            size_t n = m[0].d_v == 2 * m[0].d && random_below(c, 3) > 0 ? 2 : 1;
            if (n == 2)
                make_cache(c, (slm_kv)kv, &m[1], &m[0]);
            size_t begin = r % 2 ? random_below(c, m[0].n_tokens) : 0;
            size_t end = begin + 1 + random_below(c, m[0].n_tokens - begin);
            go(c, (slm_kv)kv, &m[0], n == 2 ? &m[1] : NULL, 0, m[0].n_q, begin, end);
            for (size_t p = 0; p < n; p++) {
                for (size_t j = 0; j < m[p].n_q && compare(c, (slm_kv)kv, &m[p], j, begin, end);
                     j++)
                    ;
                compare_alone(c, (slm_kv)kv, &m[p], begin, end, NULL);
                free_cache(&m[p]);
            }
            guard_release(c);
        }
}

/* The tokens that queries take: those of a prompt with a few heads, with and without a window, or
 * any. */
static void choose_tokens(check *c, const cache *m, size_t (*seen)[2]) {
    size_t heads = 1 + random_below(c, 5), window = 1 + random_below(c, m->n_tokens);
    size_t rows = (m->n_q + heads - 1) / heads, kind = random_below(c, 3);
    size_t first = m->n_tokens > rows ? random_below(c, m->n_tokens - rows + 1) : 0;
    for (size_t j = 0; j < m->n_q; j++) {
        size_t end = first + j / heads + 1;
        end = kind == 2 ? 1 + random_below(c, m->n_tokens) : end < m->n_tokens ? end : m->n_tokens;
        seen[j][0] = kind == 2                   ? random_below(c, end)
                     : kind == 1 && end > window ? end - window
                                                 : 0;
        seen[j][1] = end;
    }
}

/* Queries that take different tokens, and have the bits that each has alone. What one does not take
 * may be anything: NaN that lies there shows in no result. */
static void attend_ranges(check *c) {
    for (unsigned r = 0; r < 40 * c->rounds; r++)
        for (int kv = 0; kv < SLM_KVT_LIMIT; kv++) {
            cache m[2];
            size_t seen[40][2], begin = SIZE_MAX, end = 0;
            make_cache(c, (slm_kv)kv, &m[0], NULL);
            size_t n = m[0].d_v == 2 * m[0].d && random_below(c, 3) > 0 ? 2 : 1;
            if (n == 2)
                make_cache(c, (slm_kv)kv, &m[1], &m[0]);
            choose_tokens(c, &m[0], seen);
            if (n == 2 && m[0].n_q > 1 && r % 4 == 0) /* the rows of a pair begin apart */
                for (size_t j = 0; j < m[0].n_q; j++)
                    seen[j][0] = j % 2 ? seen[j][1] - 1 : 0;
            for (size_t j = 0; j < m[0].n_q; j++) {
                begin = seen[j][0] < begin ? seen[j][0] : begin;
                end = seen[j][1] > end ? seen[j][1] : end;
            }
            if (r % 2) {
                guard_thaw(m[0].values);
                for (size_t t = 0; t < m[0].n_tokens; t++)
                    if (t < seen[0][0] || t >= seen[0][1])
                        memset(m[0].values + t * m[0].v_bytes, 0xff, m[0].v_bytes);
                guard_freeze(m[0].values);
            }
            go_by(c, (slm_kv)kv, &m[0], n == 2 ? &m[1] : NULL, 0, m[0].n_q, begin, end,
                  (const size_t(*)[2])seen);
            for (size_t p = 0; p < n; p++) {
                for (size_t j = 0; j < (r % 2 ? 1 : m[p].n_q); j++)
                    if (!compare(c, (slm_kv)kv, &m[p], j, seen[j][0], seen[j][1]))
                        break;
                compare_alone(c, (slm_kv)kv, &m[p], begin, end, (const size_t(*)[2])seen);
                free_cache(&m[p]);
            }
            guard_release(c);
        }
}

/* A NaN in a query, a key or a value shows in the results of the queries that see it. */
static void not_finite(check *c) {
    for (int kv = 0; kv < SLM_KVT_LIMIT; kv++)
        for (int where = 0; where < 3; where++) {
            cache m;
            make_cache(c, (slm_kv)kv, &m, NULL);
            size_t begin = 0, end = m.n_tokens, bad = random_below(c, m.n_tokens);
            float row[300];
            uint8_t stored[1200];
            size_t length = where == 2 ? m.d_v : m.d;
            random_floats(c, row, length, 1.0f);
            row[random_below(c, length)] = NAN;
            c->ref->kv_store[kv](stored, row, length);
            guard_thaw(where == 0 ? (void *)m.q : where == 1 ? m.keys : m.values);
            if (where == 0) {
                guard_thaw(m.q8);
                m.q[random_below(c, m.d)] = NAN;
                c->ref->quantize[SLM_ACT_Q8_0](m.q8, m.q, m.d);
            } else if (where == 1) {
                slm_kv_put_key((slm_kv)kv, m.keys + bad / SLM_KV_GROUP * SLM_KV_GROUP * m.row_bytes,
                               bad % SLM_KV_GROUP, stored, m.d);
            } else {
                memcpy(m.values + bad * m.v_bytes, stored, m.v_bytes);
            }
            go(c, (slm_kv)kv, &m, NULL, 0, m.n_q, begin, end);
            int shown = 0;
            for (size_t i = 0; i < m.d_v; i++)
                shown += isnan(m.o[i]);
            if (!shown)
                fail(c, "%s d %zu: NaN in a %s does not show", kv_names[kv], m.d,
                     where == 0 ? "query" : where == 1 ? "key" : "value");
            free_cache(&m);
            guard_release(c);
        }
}

const check_test tests_attention[] = {
    {"kv_store", store, 0, 0},
    {"attend", attend, 0, 0},
    {"attend_ranges", attend_ranges, 0, 0},
    {"attend_not_finite", not_finite, 0, 0},
    {NULL, NULL, 0, 0},
};
