/* Matrix products: exact where everything is an integer, within sum_bound elsewhere; every weight
 * position by itself; THE RULE OF ORDER; NaN. */
#include "check.h"

typedef struct problem {
    size_t n_w, n_a, k, w_bytes, a_bytes, y_stride;
    uint8_t *w, *a;
    float *y;
    double *exact, *bound; /* [n_a][n_w] */
} problem;

static const uint32_t canary = 0x7fa5a5a5; /* a NaN that no kernel makes */

static size_t y_size(const problem *p) {
    return (p->n_a - 1) * p->y_stride + p->n_w;
}

static void set_shape(check *c, problem *p, size_t n_w, size_t n_a, size_t k) {
    size_t row = k / c->type->block * c->type->bytes;
    memset(p, 0, sizeof *p);
    p->n_w = n_w;
    p->n_a = n_a;
    p->k = k;
    p->w_bytes = row + random_below(c, 3) * random_below(c, 40);
    p->a_bytes = slm_act_row_bytes(c->act, k) + 64 * random_below(c, 2);
    p->y_stride = n_w + random_below(c, 4);
    p->w = guard_alloc((n_w - 1) * p->w_bytes + row);
    /* A multiple of 64 bytes that ends at a page: every row is aligned as it must be. */
    p->a = guard_alloc((n_a - 1) * p->a_bytes + slm_act_row_bytes(c->act, k));
    p->y = guard_alloc(y_size(p) * sizeof(float));
    for (size_t i = 0; i < y_size(p); i++)
        memcpy(&p->y[i], &canary, 4);
}

static void set_weights(check *c, problem *p, int kind) {
    for (size_t i = 0; i < p->n_w; i++)
        random_weights(c, c->type, kind, p->w + i * p->w_bytes, p->k);
    guard_freeze(p->w);
}

static void set_activation(check *c, problem *p, size_t j, const float *x) {
    c->ref->quantize[c->act](p->a + j * p->a_bytes, x, p->k);
}

static void run(check *c, problem *p) {
    guard_freeze(p->a);
    c->k->matmul[c->type->type][c->act](p->y, p->y_stride, p->w, p->w_bytes, p->n_w, p->a,
                                        p->a_bytes, p->n_a, p->k);
    for (size_t j = 0; j < p->n_a; j++)
        for (size_t i = p->n_w; i < p->y_stride && j + 1 < p->n_a; i++)
            if (float_bits(p->y[j * p->y_stride + i]) != canary) {
                fail(c, "wrote y between rows %zu and %zu", j, j + 1);
                return;
            }
}

/* The activation row as the weights meet it. */
static void activation_values(const check *c, const uint8_t *a, size_t k, double *x) {
    for (size_t i = 0; i < k; i++) {
        if (c->act == SLM_ACT_F32) {
            x[i] = (double)((const float *)(const void *)a)[i];
        } else if (c->act == SLM_ACT_Q8_0) {
            const slm_act_q8_0 *b = (const slm_act_q8_0 *)(const void *)a + i / 32;
            x[i] = (double)b->d * b->q[i % 32];
        } else if (c->act == SLM_ACT_Q8_K) {
            const slm_act_q8_k *b = (const slm_act_q8_k *)(const void *)a + i / 256;
            x[i] = (double)b->d * b->q[i % 256];
        } else {
            const slm_act_i8_header *h = (const void *)a;
            x[i] = (double)h->inv * ((const int8_t *)(h + 1))[i];
        }
    }
}

static double *doubles(size_t n) {
    double *x = malloc(n * sizeof *x);
    if (x == NULL)
        exit(2);
    return x;
}

/* Fills exact and bound; returns the largest sum of absolute terms. */
static double expect(check *c, problem *p) {
    double *part = doubles(p->k), *low = doubles(p->k), *x = doubles(p->k * p->n_a), most = 0;
    p->exact = doubles(p->n_w * p->n_a);
    p->bound = doubles(p->n_w * p->n_a);
    for (size_t j = 0; j < p->n_a; j++)
        activation_values(c, p->a + j * p->a_bytes, p->k, x + j * p->k);
    for (size_t i = 0; i < p->n_w; i++) {
        weight_parts(c->ref, c->type, p->w + i * p->w_bytes, p->k, part, low);
        for (size_t j = 0; j < p->n_a; j++) {
            double sum = 0, sum_abs = 0;
            for (size_t l = 0; l < p->k; l++) {
                double v = x[j * p->k + l];
                sum += (part[l] - low[l]) * v;
                sum_abs += (fabs(part[l]) + fabs(low[l])) * fabs(v);
            }
            p->exact[j * p->n_w + i] = sum;
            p->bound[j * p->n_w + i] = sum_bound(p->k, sum_abs);
            most = sum_abs > most ? sum_abs : most;
        }
    }
    free(part);
    free(low);
    free(x);
    return most;
}

static void finish(check *c, problem *p) {
    free(p->exact);
    free(p->bound);
    guard_release(c);
}

static void compare(check *c, problem *p, int exactly, const char *what) {
    for (size_t j = 0; j < p->n_a; j++)
        for (size_t i = 0; i < p->n_w; i++) {
            double got = (double)p->y[j * p->y_stride + i], want = p->exact[j * p->n_w + i];
            double limit = exactly ? 0 : p->bound[j * p->n_w + i];
            if (!(fabs(got - want) <= limit)) {
                fail(c, "%s n_w %zu n_a %zu k %zu: y[%zu][%zu] = %.9g, exact %.9g, limit %.3g",
                     what, p->n_w, p->n_a, p->k, j, i, got, want, limit);
                return;
            }
        }
}

static size_t granule(const check *c) {
    size_t block = c->type->block;
    return c->act == SLM_ACT_Q8_K ? 256 : c->act == SLM_ACT_Q8_0 && block < 32 ? 32 : block;
}

/* One value at a time, so that a weight read from the wrong place cannot hide. */
static void one_hot(check *c) {
    size_t k = granule(c) < 256 ? 256 + granule(c) : 512;
    for (size_t first = 0; first < k; first += 32) {
        problem p;
        float *x = calloc(k, sizeof *x);
        size_t n_a = k - first < 32 ? k - first : 32;
        if (x == NULL)
            exit(2);
        set_shape(c, &p, 3, n_a, k);
        set_weights(c, &p, BLOCK_UNIT);
        for (size_t j = 0; j < n_a; j++) {
            x[first + j] = j % 2 ? -127.0f : 127.0f;
            set_activation(c, &p, j, x);
            x[first + j] = 0;
        }
        free(x);
        expect(c, &p);
        run(c, &p);
        compare(c, &p, 1, "one value");
        finish(c, &p);
    }
}

/* All products and sums are integers below 2^24, so that any order must give the exact result. */
static void integers(check *c) {
    for (unsigned r = 0; r < 8 * c->rounds; r++) {
        size_t unit = granule(c), k = unit * (1 + random_below(c, unit < 256 ? 20 : 3));
        float *x = calloc(k, sizeof *x);
        double most;
        if (x == NULL)
            exit(2);
        problem p;
        unsigned one_in = 1;
        do {
            set_shape(c, &p, 1 + random_below(c, 9), 1 + random_below(c, 9), k);
            set_weights(c, &p, BLOCK_UNIT);
            for (size_t j = 0; j < p.n_a; j++) {
                for (size_t i = 0; i < k; i++)
                    x[i] = random_below(c, one_in) == 0 ? (float)((int)random_below(c, 255) - 127)
                                                        : 0.0f;
                /* 127 in each block makes its scale 1 */
                for (size_t i = 0; i < k && c->act != SLM_ACT_F32; i += 32)
                    if (c->act == SLM_ACT_Q8_0 || i % 256 == 0)
                        x[i + random_below(c, 32 < k - i ? 32 : k - i)] =
                            random_below(c, 2) ? 127.0f : -127.0f;
                set_activation(c, &p, j, x);
            }
            most = expect(c, &p);
            if (most >= 0x1p22)
                finish(c, &p);
            one_in *= 2;
        } while (most >= 0x1p22);
        run(c, &p);
        compare(c, &p, 1, "integers");
        finish(c, &p);
        free(x);
    }
}

static void random_case(check *c, int kind, float scale, size_t n_w, size_t n_a, size_t k) {
    problem p;
    float *x = malloc(k * sizeof *x);
    if (x == NULL)
        exit(2);
    set_shape(c, &p, n_w, n_a, k);
    set_weights(c, &p, kind);
    for (size_t j = 0; j < n_a; j++) {
        random_floats(c, x, k, scale);
        if (kind != BLOCK_RANDOM)
            for (size_t i = 0; i < k; i++)
                x[i] = (j % 3 == 0 ? x[i] < 0 : j % 3 == 1) ? -scale : scale;
        set_activation(c, &p, j, x);
    }
    free(x);
    expect(c, &p);
    run(c, &p);
    compare(c, &p, 0, kind == BLOCK_RANDOM ? "random" : "extreme");
    finish(c, &p);
}

static void random_shapes(check *c) {
    static const size_t counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 33};
    size_t unit = granule(c), most = 2048 / unit;
    for (unsigned r = 0; r < c->rounds; r++)
        for (size_t i = 0; i < 20; i++) {
            size_t n_w = counts[i % 10], n_a = counts[i < 10 ? 9 - i : random_below(c, 10)];
            size_t k = unit * (i == 0 ? 1 : i == 1 ? most : 1 + random_below(c, most));
            random_case(c, BLOCK_RANDOM, 1.5f, n_w, n_a, k);
        }
}

static void extremes(check *c) {
    static const float scales[] = {1.0f, 3e4f, 1e-20f, 0x1p-101f, 0.0f};
    for (int kind = BLOCK_LOW; kind < BLOCK_KINDS; kind++)
        for (size_t s = 0; s < sizeof scales / sizeof scales[0]; s++)
            random_case(c, kind, scales[s], 5, 4, 2 * granule(c));
}

/* A row's result is the same bits alone, in any part of the matrix, and at any address. */
static void order(check *c) {
    for (unsigned r = 0; r < c->rounds; r++) {
        problem p;
        size_t k = granule(c) * (1 + random_below(c, 1024 / granule(c)));
        float x[1024 + 256], *y;
        set_shape(c, &p, 33, 9, k);
        set_weights(c, &p, BLOCK_RANDOM);
        for (size_t j = 0; j < p.n_a; j++) {
            random_floats(c, x, k, 1.0f);
            set_activation(c, &p, j, x);
        }
        run(c, &p);
        slm_matmul_fn matmul = c->k->matmul[c->type->type][c->act];
        size_t row = k / c->type->block * c->type->bytes;
        uint8_t *copy = guard_alloc(row), *shifted = guard_alloc(row + 64);
        y = guard_alloc(33 * 9 * sizeof *y);
        for (size_t i = 0; i < p.n_w; i++)
            for (size_t j = 0; j < p.n_a; j++) {
                size_t shift = random_below(c, 64);
                memcpy(copy, p.w + i * p.w_bytes, row);
                memcpy(shifted + shift, copy, row);
                matmul(y, 1, copy, row, 1, p.a + j * p.a_bytes, p.a_bytes, 1, k);
                matmul(y + 1, 1, shifted + shift, row, 1, p.a + j * p.a_bytes, p.a_bytes, 1, k);
                uint32_t want = float_bits(p.y[j * p.y_stride + i]);
                if (float_bits(y[0]) != want || float_bits(y[1]) != want) {
                    fail(c,
                         "k %zu: row %zu by row %zu alone gives %.9g, shifted %.9g, among "
                         "others %.9g",
                         k, i, j, (double)y[0], (double)y[1], (double)p.y[j * p.y_stride + i]);
                    goto done;
                }
            }
        for (int split = 0; split < 60; split++) {
            size_t i0 = random_below(c, p.n_w), j0 = random_below(c, p.n_a);
            size_t n_w = 1 + random_below(c, p.n_w - i0), n_a = 1 + random_below(c, p.n_a - j0);
            matmul(y, n_w, p.w + i0 * p.w_bytes, p.w_bytes, n_w, p.a + j0 * p.a_bytes, p.a_bytes,
                   n_a, k);
            for (size_t j = 0; j < n_a; j++)
                if (bits_differ(y + j * n_w, p.y + (j0 + j) * p.y_stride + i0, n_w * sizeof *y)) {
                    fail(c, "k %zu: part of %zu by %zu rows at %zu, %zu differs from the whole", k,
                         n_w, n_a, i0, j0);
                    goto done;
                }
        }
    done:
        finish(c, &p);
    }
}

/* I2_S by I8_ROW is one integer and one product: the same bits everywhere. */
static void i2_s_bits(check *c) {
    for (unsigned r = 0; r < 10 * c->rounds; r++) {
        size_t k = 128 * (1 + random_below(c, 54)), row = k / 4, n_w = 1 + random_below(c, 9);
        size_t bytes = slm_act_row_bytes(SLM_ACT_I8_ROW, k);
        const type_info *t = &types[n_types - 1];
        uint8_t *w = guard_alloc(n_w * row), *a = guard_alloc(bytes);
        float *x = malloc(k * sizeof *x), *y = guard_alloc(n_w * sizeof *y);
        float *codes = malloc(k * sizeof *codes);
        if (x == NULL || codes == NULL)
            exit(2);
        for (size_t i = 0; i < n_w; i++)
            random_weights(c, t, r % 3 == 0 ? BLOCK_HIGH : BLOCK_RANDOM, w + i * row, k);
        for (size_t i = 0; i < k; i++)
            x[i] = r % 3 == 0 ? 127.0f : random_normal(c);
        c->ref->quantize[SLM_ACT_I8_ROW](a, x, k);
        guard_freeze(w);
        guard_freeze(a);
        c->k->matmul[t->type][SLM_ACT_I8_ROW](y, n_w, w, row, n_w, a, bytes, 1, k);
        const slm_act_i8_header *h = (const void *)a;
        const int8_t *q = (const int8_t *)(h + 1);
        for (size_t i = 0; i < n_w; i++) {
            int32_t sum = 0;
            c->ref->dequantize[t->type](codes, w + i * row, k);
            for (size_t l = 0; l < k; l++)
                sum += (int32_t)codes[l] * q[l];
            float want = h->inv * (float)sum;
            if (float_bits(y[i]) != float_bits(want))
                fail(c, "k %zu: %.9g, want %.9g", k, (double)y[i], (double)want);
        }
        free(x);
        free(codes);
        guard_release(c);
    }
}

/* NaN or infinity in one activation row shows in all of its results, and only there. */
static void not_finite(check *c) {
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    size_t k = 2 * granule(c);
    for (int b = 0; b < 3; b++) {
        problem p;
        float x[512];
        set_shape(c, &p, 1 + random_below(c, 9), 3, k);
        set_weights(c, &p, BLOCK_RANDOM);
        for (size_t j = 0; j < 3; j++) {
            random_floats(c, x, k, 1.0f);
            if (j == 1)
                x[random_below(c, k)] = bad[b];
            set_activation(c, &p, j, x);
        }
        run(c, &p);
        for (size_t i = 0; i < p.n_w; i++) {
            int shown = !isfinite(p.y[p.y_stride + i]);
            if (!shown || !isfinite(p.y[i]) || !isfinite(p.y[2 * p.y_stride + i])) {
                fail(c, "%g in the middle row: results %g %g %g", (double)bad[b], (double)p.y[i],
                     (double)p.y[p.y_stride + i], (double)p.y[2 * p.y_stride + i]);
                break;
            }
        }
        finish(c, &p);
    }
}

const check_test tests_matmul[] = {
    {"matmul_one_hot", one_hot, 0, 1},      {"matmul_integers", integers, 0, 1},
    {"matmul_random", random_shapes, 0, 1}, {"matmul_extreme", extremes, 0, 1},
    {"matmul_order", order, 0, 1},          {"matmul_not_finite", not_finite, 0, 1},
    {"matmul_i2_s_bits", i2_s_bits, 0, 0},  {NULL, NULL, 0, 0},
};
