/* LayerNorm, and the selective scan with its convolution: against double precision, against the
 * portable level bit for bit, and in pieces. */
#include "check.h"

#define G SLM_SCAN_GROUP

static void layer_norm(check *c) {
    static const size_t lengths[] = {1, 2, 7, 8, 9, 64, 100, 257, 2560};
    static const float scales[] = {1.0f, 1e-3f, 0.0f, 1e10f}, shifts[] = {0.0f, 3.0f, -1000.0f};
    for (unsigned r = 0; r < 12 * c->rounds; r++)
        for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
            size_t n = lengths[l];
            float *x = guard_alloc(n * sizeof *x), *w = guard_alloc(n * sizeof *w);
            float *b = guard_alloc(n * sizeof *b), *y = guard_alloc(n * sizeof *y);
            double mean = 0, variance = 0;
            random_floats(c, x, n, scales[r % 4]);
            random_floats(c, w, n, 1.0f);
            random_floats(c, b, n, 1.0f);
            for (size_t i = 0; i < n; i++)
                mean += (double)(x[i] += shifts[r % 3]);
            mean /= (double)n;
            for (size_t i = 0; i < n; i++)
                variance += ((double)x[i] - mean) * ((double)x[i] - mean);
            double scale = 1 / sqrt(variance / (double)n + 1e-5);
            guard_freeze(w);
            guard_freeze(b);
            c->k->layer_norm(y, x, w, b, n, 1e-5f);
            for (size_t i = 0; i < n; i++) {
                double want = ((double)x[i] - mean) * scale * (double)w[i] + (double)b[i];
                double limit = 5 * U * (fabs((double)x[i]) + fabs(mean)) * fabs((double)w[i]) * scale +
                               U * fabs(want) + 0x1p-140;
                if (!(fabs((double)y[i] - want) <= limit)) {
                    fail(c, "layer_norm n %zu: y[%zu] = %.9g, exact %.9g", n, i, (double)y[i], want);
                    break;
                }
            }
            c->k->layer_norm(x, x, w, b, n, 1e-5f);
            if (bits_differ(x, y, n * sizeof *y))
                fail(c, "layer_norm n %zu: in place and elsewhere differ", n);
            guard_release(c);
        }
}

/* Rows of channels of one run, with room behind each row that must stay as it is. */
typedef struct rows {
    size_t n_tokens, n_channels, stride;
    float *x;
} rows;

static rows make_rows(check *c, size_t n_tokens, size_t n_channels, float scale) {
    rows m = {n_tokens, n_channels, n_channels + random_below(c, 20), NULL};
    m.x = guard_alloc(n_tokens * m.stride * sizeof *m.x);
    random_floats(c, m.x, n_tokens * m.stride, scale);
    return m;
}

static int rows_differ(const rows *a, const rows *b) {
    for (size_t t = 0; t < a->n_tokens; t++)
        if (bits_differ(a->x + t * a->stride, b->x + t * b->stride,
                        a->n_channels * sizeof(float)))
            return 1;
    return 0;
}

static void conv_silu(check *c) {
    for (unsigned r = 0; r < 30 * c->rounds; r++) {
        size_t n = 1 + random_below(c, 40), n_conv = 1 + random_below(c, 6);
        size_t n_groups = 1 + random_below(c, 4), channels = n_groups * G;
        size_t n_past = (n_conv - 1) * channels, cut = random_below(c, n + 1);
        rows x = make_rows(c, n, channels, 2.0f), y = make_rows(c, n, channels, 1.0f);
        rows pieces = make_rows(c, n, channels, 1.0f);
        float *w = guard_alloc(n_conv * channels * sizeof *w);
        float *bias = guard_alloc(channels * sizeof *bias);
        float *past = guard_alloc(n_past * sizeof *past + 4), *start = malloc(n_past * 4 + 4);
        float *other = guard_alloc(n_past * sizeof *past + 4);
        if (start == NULL)
            exit(2);
        random_floats(c, w, n_conv * channels, 1.0f);
        random_floats(c, bias, channels, 1.0f);
        random_floats(c, past, n_past, 2.0f);
        memcpy(start, past, n_past * sizeof *past);
        memcpy(other, past, n_past * sizeof *past);
        guard_freeze(x.x);
        guard_freeze(w);
        guard_freeze(bias);
        c->k->conv_silu(y.x, y.stride, x.x, x.stride, n, past, w, bias, n_conv, n_groups);
        for (size_t t = 0; t < n; t++)
            for (size_t e = 0; e < channels; e++) {
                size_t g = e / G, i = e % G;
                double sum = (double)bias[e], sum_abs = fabs(sum);
                for (size_t j = 0; j < n_conv; j++) {
                    size_t at = t + j; /* in the past, then x */
                    double v = at < n_conv - 1
                                   ? (double)start[(g * (n_conv - 1) + at) * G + i]
                                   : (double)x.x[(at - (n_conv - 1)) * x.stride + e];
                    double term = v * (double)w[(g * n_conv + j) * G + i];
                    sum += term;
                    sum_abs += fabs(term);
                }
                double want = sum / (1 + exp(-sum)), got = (double)y.x[t * y.stride + e];
                /* SiLU is nowhere steeper than 1.1 */
                double limit = 1.1 * (double)(n_conv + 2) * U * sum_abs + 4 * U * fabs(want) +
                               0x1p-126;
                if (!(fabs(got - want) <= limit)) {
                    fail(c, "conv_silu: token %zu of %zu, channel %zu: %.9g, exact %.9g", t, n, e,
                         got, want);
                    t = n - 1;
                    break;
                }
            }
        c->k->conv_silu(pieces.x, pieces.stride, x.x, x.stride, cut, other, w, bias, n_conv,
                        n_groups);
        c->k->conv_silu(pieces.x + cut * pieces.stride, pieces.stride, x.x + cut * x.stride,
                        x.stride, n - cut, other, w, bias, n_conv, n_groups);
        if (rows_differ(&y, &pieces) || bits_differ(past, other, n_past * sizeof *past))
            fail(c, "conv_silu: %zu tokens differ from %zu and the rest", n, cut);
        c->ref->conv_silu(pieces.x, pieces.stride, x.x, x.stride, n, start, w, bias, n_conv,
                          n_groups);
        if (rows_differ(&y, &pieces))
            fail(c, "conv_silu: not the bits of the portable level");
        free(start);
        guard_release(c);
    }
}

/* One channel in double precision, with a bound of the error of each state. */
static int scan_channel(check *c, const slm_scan *s, const float *start, const float *state,
                        size_t e, size_t n) {
    size_t g = e / G, i = e % G, n_state = s->n_state;
    double h[64], off[64];
    for (size_t k = 0; k < n_state; k++) {
        h[k] = (double)start[(g * n_state + k) * G + i];
        off[k] = 0;
    }
    for (size_t t = 0; t < n; t++) {
        double x = (double)s->x[t * s->x_stride + e], sum = 0, sum_abs = 0, sum_off = 0;
        double z = (double)s->dt[t * s->dt_stride + e] + (double)s->dt_bias[e];
        double dt = z > 0 ? z + log1p(exp(-z)) : log1p(exp(z));
        /* the rounding of z moves dt by at most that much, and by less than z where exp(z) is small */
        double dt_off = dt * (6 + fmin(fabs(z), 40)) * U;
        for (size_t k = 0; k < n_state; k++) {
            double a = (double)s->a[(g * n_state + k) * G + i], decay = exp(dt * a);
            double in = dt * x * (double)s->bc[t * s->bc_stride + k];
            double decay_off = decay * (expm1(dt_off * fabs(a)) + (fabs(dt * a) + 3) * U) + 0x1p-126;
            off[k] = decay * off[k] + decay_off * (fabs(h[k]) + off[k]) +
                     fabs(in) * dt_off / (dt + 0x1p-140);
            h[k] = decay * h[k] + in;
            off[k] += 3 * U * (fabs(h[k]) + fabs(in) + off[k]) + 0x1p-126;
            double v = (double)s->bc[t * s->bc_stride + n_state + k];
            sum += h[k] * v;
            sum_abs += fabs(h[k] * v);
            sum_off += off[k] * fabs(v);
        }
        double skip = (double)s->skip[e] * x, want = sum + skip;
        double got = (double)s->y[t * s->y_stride + e];
        double limit = sum_off + (double)(n_state + 3) * U * (sum_abs + sum_off + fabs(skip)) +
                       0x1p-120;
        if (!(fabs(got - want) <= limit)) {
            fail(c, "scan: token %zu of %zu, channel %zu: %.9g, exact %.9g, limit %.3g", t, n, e,
                 got, want, limit);
            return 0;
        }
    }
    for (size_t k = 0; k < n_state; k++)
        if (!(fabs((double)state[(g * n_state + k) * G + i] - h[k]) <= off[k])) {
            fail(c, "scan: state %zu of channel %zu: %.9g, exact %.9g", k, e,
                 (double)state[(g * n_state + k) * G + i], h[k]);
            return 0;
        }
    return 1;
}

static void scan(check *c) {
    for (unsigned r = 0; r < 30 * c->rounds; r++) {
        size_t n = 1 + random_below(c, 60), n_state = 1 + random_below(c, 33);
        size_t n_groups = 1 + random_below(c, 4), channels = n_groups * G;
        size_t n_floats = channels * n_state, cut = random_below(c, n + 1);
        rows x = make_rows(c, n, channels, 1.0f), y = make_rows(c, n, channels, 1.0f);
        rows dt = make_rows(c, n, channels, r % 5 == 4 ? 30.0f : 2.0f);
        rows bc = make_rows(c, n, 2 * n_state, 1.0f), pieces = make_rows(c, n, channels, 1.0f);
        float *a = guard_alloc(n_floats * sizeof *a), *h = guard_alloc(n_floats * sizeof *h);
        float *other = guard_alloc(n_floats * sizeof *h), *start = guard_alloc(n_floats * sizeof *h);
        float *skip = guard_alloc(channels * sizeof *skip);
        float *bias = guard_alloc(channels * sizeof *bias);
        random_floats(c, a, n_floats, r % 7 == 6 ? 100.0f : 3.0f); /* exp underflows to 0 */
        for (size_t i = 0; i < n_floats; i++)
            a[i] = -fabsf(a[i]);
        random_floats(c, start, n_floats, 1.0f);
        random_floats(c, skip, channels, 1.0f);
        random_floats(c, bias, channels, 2.0f);
        memcpy(h, start, n_floats * sizeof *h);
        memcpy(other, start, n_floats * sizeof *h);
        guard_freeze(x.x);
        guard_freeze(dt.x);
        guard_freeze(bc.x);
        guard_freeze(a);
        guard_freeze(start);
        slm_scan s = {.n_state = n_state, .a = a, .skip = skip, .dt_bias = bias, .x = x.x,
                      .x_stride = x.stride, .dt = dt.x, .dt_stride = dt.stride, .bc = bc.x,
                      .bc_stride = bc.stride, .y = y.x, .y_stride = y.stride};
        c->k->scan(&s, h, 0, n_groups, n);
        for (size_t e = 0; e < channels && scan_channel(c, &s, start, h, e, n); e++)
            ;
        /* in two pieces, and each of them group by group from the last on */
        slm_scan piece = s;
        piece.y = pieces.x;
        piece.y_stride = pieces.stride;
        for (size_t g = n_groups; g-- > 0;)
            c->k->scan(&piece, other, g, 1, cut);
        piece.x += cut * x.stride;
        piece.dt += cut * dt.stride;
        piece.bc += cut * bc.stride;
        piece.y += cut * pieces.stride;
        for (size_t g = n_groups; g-- > 0;)
            c->k->scan(&piece, other, g, 1, n - cut);
        if (rows_differ(&y, &pieces) || bits_differ(h, other, n_floats * sizeof *h))
            fail(c, "scan: %zu tokens differ from %zu and the rest", n, cut);
        guard_thaw(start);
        piece = s;
        piece.y = pieces.x;
        piece.y_stride = pieces.stride;
        c->ref->scan(&piece, start, 0, n_groups, n);
        if (rows_differ(&y, &pieces) || bits_differ(h, start, n_floats * sizeof *h))
            fail(c, "scan: not the bits of the portable level");
        guard_release(c);
    }
}

/* NaN goes into what depends on it, and into nothing else. */
static void scan_not_finite(check *c) {
    float a[2 * G], h[2 * G] = {0}, x[G], dt[G], y[G], skip[G], bias[G] = {0}, bc[4];
    random_floats(c, x, G, 1.0f);
    random_floats(c, dt, G, 1.0f);
    random_floats(c, skip, G, 1.0f);
    random_floats(c, bc, 4, 1.0f);
    for (size_t i = 0; i < 2 * G; i++)
        a[i] = -1.0f;
    x[3] = NAN;
    dt[5] = NAN;
    slm_scan s = {.n_state = 2, .a = a, .skip = skip, .dt_bias = bias, .x = x, .dt = dt, .bc = bc,
                  .y = y};
    c->k->scan(&s, h, 0, 1, 1);
    for (size_t i = 0; i < G; i++)
        if (isnan(y[i]) != (i == 3 || i == 5))
            fail(c, "scan: channel %zu is %g, NaN is in channels 3 and 5", i, (double)y[i]);
}

const check_test tests_scan[] = {
    {"layer_norm", layer_norm, 0, 0},
    {"conv_silu", conv_silu, 0, 0},
    {"scan", scan, 0, 0},
    {"scan_not_finite", scan_not_finite, 0, 0},
    {NULL, NULL, 0, 0},
};
