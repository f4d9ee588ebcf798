/* Cache rows: stored bytes, scores, values. */
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

typedef struct cache {
    size_t d, n_q, n_k, q_stride, row_bytes, s_stride;
    float *q, *s;
    uint8_t *rows;
    double *x; /* [n_k][d] */
} cache;

static void make_cache(check *c, slm_kv kv, cache *m) {
    m->d = head_sizes[random_below(c, N_HEAD_SIZES)];
    m->n_q = 1 + random_below(c, random_below(c, 4) == 0 ? 33 : 9);
    m->n_k = 1 + random_below(c, 70);
    m->q_stride = m->d + random_below(c, 5);
    m->s_stride = m->n_k + random_below(c, 5);
    m->row_bytes = slm_kv_row_bytes(kv, m->d) + 4 * random_below(c, 4);
    m->q = guard_alloc(((m->n_q - 1) * m->q_stride + m->d) * sizeof(float));
    m->s = guard_alloc(((m->n_q - 1) * m->s_stride + m->n_k) * sizeof(float));
    m->rows = guard_alloc((m->n_k - 1) * m->row_bytes + slm_kv_row_bytes(kv, m->d));
    m->x = malloc(m->n_k * m->d * sizeof(double));
    if (m->x == NULL)
        exit(2);
    random_floats(c, m->q, (m->n_q - 1) * m->q_stride + m->d, 1.0f);
    for (size_t t = 0; t < m->n_k; t++) {
        float row[300];
        random_floats(c, row, m->d, t % 7 == 3 ? 1e-4f : 1.0f);
        c->ref->kv_store[kv](m->rows + t * m->row_bytes, row, m->d);
        row_values(kv, m->rows + t * m->row_bytes, m->d, m->x + t * m->d);
    }
    guard_freeze(m->rows);
}

static void scores(check *c) {
    const float scale = 0.125f;
    for (unsigned r = 0; r < 40 * c->rounds; r++)
        for (int kv = 0; kv < SLM_KVT_LIMIT; kv++) {
            cache m;
            make_cache(c, (slm_kv)kv, &m);
            guard_freeze(m.q);
            c->k->kv_scores[kv](m.s, m.s_stride, m.q, m.q_stride, m.n_q, m.rows, m.row_bytes, m.n_k,
                                m.d, scale);
            for (size_t h = 0; h < m.n_q; h++)
                for (size_t t = 0; t < m.n_k; t++) {
                    double sum = 0, sum_abs = 0;
                    float got = m.s[h * m.s_stride + t], alone;
                    for (size_t i = 0; i < m.d; i++) {
                        double term =
                            (double)scale * (double)m.q[h * m.q_stride + i] * m.x[t * m.d + i];
                        sum += term;
                        sum_abs += fabs(term);
                    }
                    if (!(fabs((double)got - sum) <= sum_bound(m.d, sum_abs))) {
                        fail(c,
                             "%s d %zu n_q %zu n_k %zu: s[%zu][%zu] = %.9g, exact %.9g, limit "
                             "%.3g",
                             kv_names[kv], m.d, m.n_q, m.n_k, h, t, (double)got, sum,
                             sum_bound(m.d, sum_abs));
                        goto next;
                    }
                    c->k->kv_scores[kv](&alone, 1, m.q + h * m.q_stride, m.q_stride, 1,
                                        m.rows + t * m.row_bytes, m.row_bytes, 1, m.d, scale);
                    if (float_bits(alone) != float_bits(got)) {
                        fail(c, "%s d %zu n_q %zu n_k %zu: s[%zu][%zu] = %.9g, alone %.9g",
                             kv_names[kv], m.d, m.n_q, m.n_k, h, t, (double)got, (double)alone);
                        goto next;
                    }
                }
        next:
            free(m.x);
            guard_release(c);
        }
}

static void values(check *c) {
    for (unsigned r = 0; r < 40 * c->rounds; r++)
        for (int kv = 0; kv < SLM_KVT_LIMIT; kv++) {
            cache m;
            make_cache(c, (slm_kv)kv, &m);
            size_t stride = m.d + random_below(c, 5), n = (m.n_q - 1) * stride + m.d;
            float *o = guard_alloc(n * sizeof *o), *parts = guard_alloc(n * sizeof *parts);
            float *start = guard_alloc(n * sizeof *start);
            for (size_t i = 0; i < (m.n_q - 1) * m.s_stride + m.n_k; i++)
                m.s[i] = (float)random_unit(c);
            random_floats(c, start, n, r % 2 ? 1.0f : 0.0f);
            guard_freeze(m.s);
            memcpy(o, start, n * sizeof *o);
            memcpy(parts, start, n * sizeof *o);
            c->k->kv_values[kv](o, stride, m.s, m.s_stride, m.n_q, m.rows, m.row_bytes, m.n_k, m.d);
            for (size_t h = 0; h < m.n_q; h++)
                for (size_t i = 0; i < stride && h * stride + i < n; i++) {
                    double sum = (double)start[h * stride + i], sum_abs = fabs(sum);
                    float got = o[h * stride + i];
                    for (size_t t = 0; t < m.n_k && i < m.d; t++) {
                        double term = (double)m.s[h * m.s_stride + t] * m.x[t * m.d + i];
                        sum += term;
                        sum_abs += fabs(term);
                    }
                    /* one chain of n_k sums; between rows of o nothing may change */
                    double limit = i < m.d ? 1.01 * ((double)m.n_k + 4) * U * sum_abs : 0;
                    if (!(fabs((double)got - sum) <= limit)) {
                        fail(c,
                             "%s d %zu n_q %zu n_k %zu: o[%zu][%zu] = %.9g, exact %.9g, limit "
                             "%.3g",
                             kv_names[kv], m.d, m.n_q, m.n_k, h, i, (double)got, sum, limit);
                        goto next;
                    }
                }
            /* heads one by one, and keys in two runs: the same bits */
            for (size_t h = 0; h < m.n_q; h++) {
                size_t cut = random_below(c, m.n_k + 1);
                c->k->kv_values[kv](parts + h * stride, stride, m.s + h * m.s_stride, m.s_stride, 1,
                                    m.rows, m.row_bytes, cut, m.d);
                if (cut < m.n_k)
                    c->k->kv_values[kv](parts + h * stride, stride, m.s + h * m.s_stride + cut,
                                        m.s_stride, 1, m.rows + cut * m.row_bytes, m.row_bytes,
                                        m.n_k - cut, m.d);
            }
            if (bits_differ(o, parts, n * sizeof *o))
                fail(c, "%s d %zu n_q %zu n_k %zu: parts differ from the whole", kv_names[kv], m.d,
                     m.n_q, m.n_k);
        next:
            free(m.x);
            guard_release(c);
        }
}

const check_test tests_attention[] = {
    {"kv_store", store, 0, 0},
    {"kv_scores", scores, 0, 0},
    {"kv_values", values, 0, 0},
    {NULL, NULL, 0, 0},
};
