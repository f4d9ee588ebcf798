/* Norm, softmax and its relatives, activations, rotary embedding: against double precision. */
#include "base/crc32c.h"
#include "check.h"

static const size_t lengths[] = {1,  2,  3,  7,   8,   9,   15,   16,  17,
                                 31, 33, 64, 100, 127, 257, 1000, 3072};
#define N_LENGTHS (sizeof lengths / sizeof lengths[0])

/* A copy at an address that differs by shift floats. */
static float *shifted_copy(const float *x, size_t n, size_t shift) {
    float *p = guard_alloc((n + shift) * sizeof *p);
    memcpy(p, x, n * sizeof *p);
    return p;
}

/* y = x * s * w with s = 1 / sqrt(mean + eps). A sum of squares has the relative error that
 * sum_bound gives (all terms are positive), its root half of it; 8 more roundings are generous. */
static void rms_norm(check *c) {
    static const float scales[] = {1.0f, 1e-3f, 1e-12f, 1e15f, 0.0f};
    for (unsigned r = 0; r < 5 * c->rounds; r++)
        for (size_t l = 0; l < N_LENGTHS; l++) {
            size_t n = lengths[l];
            float eps = r % 2 ? 1e-5f : 1e-6f;
            float *x = guard_alloc(n * sizeof *x), *w = guard_alloc(n * sizeof *w);
            float *y = guard_alloc(n * sizeof *y), *plain = guard_alloc(n * sizeof *plain);
            random_floats(c, x, n, scales[r % 5]);
            random_floats(c, w, n, 1.0f);
            float *in_place = shifted_copy(x, n, 1 + random_below(c, 15));
            guard_freeze(x);
            guard_freeze(w);
            c->k->rms_norm(y, x, w, n, eps);
            c->k->rms_norm(plain, x, NULL, n, eps);
            c->k->rms_norm(in_place, in_place, w, n, eps);
            double sum = 0;
            for (size_t i = 0; i < n; i++)
                sum += (double)x[i] * (double)x[i];
            double scale = 1 / sqrt(sum / (double)n + (double)eps);
            double relative = 1.01 * ((double)n / 16 + 16 + 8) * U;
            for (size_t i = 0; i < n; i++) {
                double p = (double)x[i] * scale, v = p * (double)w[i];
                if (!(fabs((double)y[i] - v) <= relative * fabs(v) + 0x1p-148) ||
                    !(fabs((double)plain[i] - p) <= relative * fabs(p) + 0x1p-148)) {
                    fail(c, "n %zu: y[%zu] = %.9g, exact %.9g; without weights %.9g, exact %.9g", n,
                         i, (double)y[i], v, (double)plain[i], p);
                    break;
                }
            }
            if (bits_differ(in_place, y, n * sizeof *y))
                fail(c, "n %zu: in place and elsewhere differ", n);
            guard_release(c);
        }
}

/* The exponent s - max is rounded: relative error u |s - max|. exp 2u, the sum (n/8 + 32) u, the
 * quotient 3u. Exponentials below the least normal number may be zero. */
static double exp_bound(size_t n, double exponent) {
    return 1.01 * (fabs(exponent) + (double)n / 8 + 32 + 8) * U;
}

static void softmax(check *c) {
    for (unsigned r = 0; r < 6 * c->rounds; r++)
        for (size_t l = 0; l < N_LENGTHS; l++) {
            size_t n = lengths[l];
            float *s = guard_alloc(n * sizeof *s);
            double sum = 0, max = -INFINITY;
            random_floats(c, s, n, r % 3 == 0 ? 1.0f : r % 3 == 1 ? 30.0f : 0.0f);
            for (size_t i = 0; i < n; i++) {
                if (r == 4 && i > 0 && random_below(c, 3) == 0)
                    s[i] = -INFINITY;
                max = fmax(max, (double)s[i]);
            }
            for (size_t i = 0; i < n; i++)
                sum += exp((double)s[i] - max);
            float *in = shifted_copy(s, n, 0), *other = shifted_copy(s, n, 1 + random_below(c, 15));
            c->k->softmax(s, n);
            c->k->softmax(other, n);
            for (size_t i = 0; i < n; i++) {
                double want = exp((double)in[i] - max) / sum, got = (double)s[i];
                double limit =
                    isinf(in[i]) ? 0 : want * exp_bound(n, (double)in[i] - max) + 0x1p-126;
                if (!(fabs(got - want) <= limit)) {
                    fail(c, "n %zu: p[%zu] = %.9g, exact %.9g, limit %.3g", n, i, got, want, limit);
                    break;
                }
            }
            if (bits_differ(s, other, n * sizeof *s))
                fail(c, "n %zu: another address, other bits", n);
            guard_release(c);
        }
}

static void sum_exp(check *c) {
    for (unsigned r = 0; r < 6 * c->rounds; r++)
        for (size_t l = 0; l < N_LENGTHS; l++) {
            size_t n = lengths[l];
            float *x = guard_alloc(n * sizeof *x), max = -INFINITY;
            double sum = 0, error = 0;
            random_floats(c, x, n, r % 2 ? 1.0f : 20.0f);
            for (size_t i = 0; i < n; i++) {
                if (r == 4 && i > 0 && random_below(c, 3) == 0)
                    x[i] = -INFINITY;
                max = x[i] > max ? x[i] : max;
            }
            guard_freeze(x);
            for (size_t i = 0; i < n; i++) {
                double e = exp((double)x[i] - (double)max);
                sum += e;
                error += isinf(x[i]) ? 0 : e * exp_bound(n, (double)x[i] - (double)max) + 0x1p-126;
            }
            double got = c->k->sum_exp(x, n, max);
            float *other = shifted_copy(x, n, 1 + random_below(c, 15));
            double again = c->k->sum_exp(other, n, max);
            if (!(fabs(got - sum) <= error))
                fail(c, "n %zu: %.17g, exact %.17g, limit %.3g", n, got, sum, error);
            if (bits_differ(&got, &again, sizeof got))
                fail(c, "n %zu: another address, other bits", n);
            guard_release(c);
        }
}

/* The exponential by itself, seen through a sum of one. */
static void exp_accuracy(check *c) {
    double limit = c->k->sum_exp == c->ref->sum_exp ? 1.0 : 2.0, worst = 0;
    float at = 0;
    for (uint32_t i = 0; i < 1000000; i++) {
        float x = i % 2 ? -(float)i * (104.0f / 1e6f)
                        : -(float)ldexp(1 + i / 1e6, -(int)(i % 40) / 2 + 6);
        double got = c->k->sum_exp(&x, 1, 0.0f), want = exp((double)x);
        int exponent;
        frexp(want, &exponent);
        double off = fabs(got - want) / ldexp(1.0, exponent < -125 ? -149 : exponent - 24);
        if (exponent < -125 && got == 0.0)
            off = 0; /* below the least normal number 0 is right too */
        if (!(off <= worst)) {
            worst = off;
            at = x;
        }
    }
    if (!(worst <= limit))
        fail(c, "exp(%.9g) is off by %.3f ulp, limit %.1f", (double)at, worst, limit);
    static const float edges[] = {-104.0f, -1000.0f, -INFINITY, 0.0f, -0.0f, 89.0f, NAN};
    static const double results[] = {0, 0, 0, 1, 1, INFINITY, NAN};
    for (int i = 0; i < 7; i++) {
        double got = c->k->sum_exp(&edges[i], 1, 0.0f);
        if (isnan(results[i]) ? !isnan(got) : got != results[i])
            fail(c, "exp(%g) = %g", (double)edges[i], got);
    }
}

static void max_index(check *c) {
    for (unsigned r = 0; r < 40 * c->rounds; r++)
        for (size_t l = 0; l < N_LENGTHS; l++) {
            size_t n = lengths[l], got_index = n, want_index = 0;
            int finite = 2, want_finite = 1;
            float *x = guard_alloc(n * sizeof *x);
            for (size_t i = 0; i < n; i++) {
                x[i] = r % 5 == 0 ? (float)((int)random_below(c, 5) - 4) * (i % 2 ? 1.0f : -0.0f)
                                  : random_normal(c);
                if (r % 5 == 1 && random_below(c, 2))
                    x[i] = -INFINITY;
                if (r % 5 == 2)
                    x[i] = -INFINITY;
            }
            if (r % 5 == 3)
                x[random_below(c, n)] = random_below(c, 2) ? NAN : INFINITY;
            guard_freeze(x);
            for (size_t i = 0; i < n; i++) {
                want_finite &= x[i] < INFINITY;
                want_index = x[i] > x[want_index] ? i : want_index;
            }
            float max = c->k->max_index(x, n, &got_index, &finite);
            if (finite != want_finite || got_index >= n)
                fail(c, "n %zu: finite %d, want %d; index %zu", n, finite, want_finite, got_index);
            else if (finite &&
                     (got_index != want_index || float_bits(max) != float_bits(x[want_index])))
                fail(c, "n %zu: %g at %zu, want %g at %zu", n, (double)max, got_index,
                     (double)x[want_index], want_index);
            guard_release(c);
        }
}

typedef double (*exact_fn)(double g);
static double exact_silu(double g) {
    return g / (1 + exp(-g));
}
static double twice_gelu_argument(double g) {
    return 2 * 0.79788456080286535588 * (g + 0.044715 * g * g * g);
}
static double exact_gelu(double g) {
    return g / (1 + exp(-twice_gelu_argument(g)));
}
static double exact_relu2(double g) {
    return g > 0 ? g * g : 0;
}

static void activation(check *c, void (*run)(float *, const float *, const float *, size_t),
                       exact_fn exact, int gelu) {
    for (unsigned r = 0; r < 6 * c->rounds; r++)
        for (size_t l = 0; l < N_LENGTHS; l++) {
            size_t n = lengths[l];
            float *g = guard_alloc(n * sizeof *g), *up = guard_alloc(n * sizeof *up);
            float *h = guard_alloc(n * sizeof *h);
            random_floats(c, g, n, r % 3 == 0 ? 1.0f : r % 3 == 1 ? 10.0f : 60.0f);
            random_floats(c, up, n, 1.0f);
            if (n > 3) {
                g[n / 2] = r % 2 ? 0.0f : -200.0f;
                g[n / 3] = r % 2 ? 100.0f : -1e-30f;
            }
            guard_freeze(g);
            guard_freeze(up);
            run(h, g, up, n);
            for (size_t i = 0; i < n; i++) {
                double gate = (double)g[i], want = exact(gate) * (double)up[i];
                /* exp 2u, its argument's error (GELU: 5 roundings), sum, quotient, product */
                double exponent = gelu ? 5 * fabs(twice_gelu_argument(gate)) : 0;
                double limit = 1.01 * (8 + exponent) * U * fabs(want) +
                               0x1p-120 * (1 + fabs(gate)) * (1 + fabs((double)up[i]));
                if (!(fabs((double)h[i] - want) <= limit)) {
                    fail(c, "n %zu: gate %.9g up %.9g gives %.9g, exact %.9g, limit %.3g", n, gate,
                         (double)up[i], (double)h[i], want, limit);
                    break;
                }
            }
            size_t i = random_below(c, n);
            float alone;
            run(&alone, g + i, up + i, 1);
            if (float_bits(alone) != float_bits(h[i]))
                fail(c, "n %zu: element %zu is %.9g, alone %.9g", n, i, (double)h[i],
                     (double)alone);
            guard_release(c);
        }
    for (size_t at = 0; at < 40; at++) {
        float g[40], up[40], h[40];
        random_floats(c, g, 40, 1.0f);
        random_floats(c, up, 40, 1.0f);
        (at % 2 ? g : up)[at] = NAN;
        run(h, g, up, 40);
        for (size_t i = 0; i < 40; i++)
            if (isnan(h[i]) != (i == at))
                fail(c, "NaN at %zu: result %zu is %g", at, i, (double)h[i]);
    }
}

static void silu(check *c) {
    activation(c, c->k->silu_mul, exact_silu, 0);
}
static void gelu(check *c) {
    activation(c, c->k->gelu_mul, exact_gelu, 1);
}
static void relu2(check *c) {
    activation(c, c->k->relu2_mul, exact_relu2, 0);
}

static void rope(check *c) {
    for (unsigned r = 0; r < 50 * c->rounds; r++) {
        size_t half = 1 + random_below(c, 64), n_rot = 2 * half, d = n_rot + random_below(c, 40);
        double frequencies[64];
        float cosine[64], sine[64], attn = r % 2 ? 1.0f : 1.1902f;
        uint64_t position = r == 0 ? 0 : random_below(c, r % 3 ? 4096 : 1u << 20);
        for (size_t i = 0; i < half; i++)
            frequencies[i] = pow(500000.0, -(double)i / (double)half);
        slm_rope_angles(cosine, sine, frequencies, half, position, attn);
        float *x = guard_alloc(d * sizeof *x), *pairs = guard_alloc(d * sizeof *pairs);
        float *in = guard_alloc(d * sizeof *in), *y = guard_alloc(d * sizeof *y);
        random_floats(c, in, d, 2.0f);
        guard_freeze(in);
        memcpy(x, in, d * sizeof *x);
        memcpy(pairs, in, d * sizeof *x);
        for (size_t i = 0; i < half; i++) {
            pairs[2 * i] = in[i];
            pairs[2 * i + 1] = in[i + half];
        }
        guard_freeze(pairs);
        slm_rope_half(x, cosine, sine, n_rot);
        slm_rope_interleaved(y, pairs, cosine, sine, n_rot, d);
        if (bits_differ(x, y, d * sizeof *x))
            fail(c, "d %zu n_rot %zu: half and interleaved differ", d, n_rot);
        for (size_t i = 0; i < half; i++) {
            double angle = (double)position * frequencies[i], scale = (double)attn;
            double a = (double)in[i], b = (double)in[i + half];
            double first = scale * (a * cos(angle) - b * sin(angle));
            double second = scale * (b * cos(angle) + a * sin(angle));
            double limit = 4 * U * scale * (fabs(a) + fabs(b));
            if (!(fabs((double)x[i] - first) <= limit) ||
                !(fabs((double)x[i + half] - second) <= limit))
                fail(c, "position %llu pair %zu: %g %g, want %g %g", (unsigned long long)position,
                     i, (double)x[i], (double)x[i + half], first, second);
        }
        if (bits_differ(x + n_rot, in + n_rot, (d - n_rot) * sizeof *x))
            fail(c, "d %zu n_rot %zu: changed what lies beyond", d, n_rot);
        guard_release(c);
    }
}

/* Cut anywhere, at any address; the table's way is what tests/unit/test_crc32c.c checks. */
static void crc32c(check *c) {
    static const size_t most[] = {9, 300, 5000, 300000, 60000000};
    slm_crc32c_table table;
    if (c->k->crc32c == NULL)
        return;
    slm_crc32c_init(&table, NULL);
    for (unsigned r = 0; r < 40 * c->rounds; r++) {
        size_t n = random_below(c, most[r % 40 == 0 ? 4 : r % 4]), cut = random_below(c, n + 1);
        uint8_t *p = guard_alloc(n + 1);
        for (size_t i = 0; i < n; i++)
            p[i] = (uint8_t)(i * 197 + i / 7 + (i >> 9) * 31 + r);
        guard_freeze(p);
        uint32_t want = slm_crc32c(&table, p, n, r), first = c->k->crc32c(p, cut, r);
        if (c->k->crc32c(p + cut, n - cut, first) != want || c->k->crc32c(p, n, r) != want)
            fail(c, "n %zu, cut at %zu: another checksum than by the table", n, cut);
        guard_release(c);
    }
}

const check_test tests_math[] = {
    {"rms_norm", rms_norm, 0, 0},
    {"softmax", softmax, 0, 0},
    {"sum_exp", sum_exp, 0, 0},
    {"exp_accuracy", exp_accuracy, 0, 0},
    {"max_index", max_index, 0, 0},
    {"silu_mul", silu, 0, 0},
    {"gelu_mul", gelu, 0, 0},
    {"relu2_mul", relu2, 0, 0},
    {"rope", rope, 1, 0},
    {"crc32c", crc32c, 0, 0},
    {NULL, NULL, 0, 0},
};
