/* Activation rows: every byte, against the definition in kernels.h spelt out here. */
#include "check.h"

static float largest(const float *x, size_t n, int *finite) {
    float m = 0;
    *finite = 1;
    for (size_t i = 0; i < n; i++) {
        *finite &= isfinite(x[i]) != 0;
        m = fabsf(x[i]) > m ? fabsf(x[i]) : m;
    }
    return m;
}

static float quiet_nan(void) {
    const uint32_t bits = 0x7fc00000;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static float define_block(int8_t *q, const float *x, size_t n) {
    int finite;
    float m = largest(x, n, &finite);
    for (size_t i = 0; i < n; i++)
        q[i] = finite && m >= 0x1p-100f ? (int8_t)lrintf(x[i] * (127.0f / m)) : 0;
    return !finite ? quiet_nan() : m >= 0x1p-100f ? m / 127.0f : 0.0f;
}

static void define_row(slm_act act, uint8_t *a, const float *x, size_t k) {
    memset(a, 0, slm_act_row_bytes(act, k));
    if (act == SLM_ACT_F32) {
        memcpy(a, x, k * sizeof *x);
    } else if (act == SLM_ACT_Q8_0) {
        slm_act_q8_0 *b = (void *)a;
        for (size_t i = 0; i < k; i += 32, b++) {
            int sum = 0;
            b->d = define_block(b->q, x + i, k - i < 32 ? k - i : 32);
            for (int j = 0; j < 32; j++)
                sum += b->q[j];
            b->sum = isnan(b->d) ? b->d : b->d * (float)sum;
        }
    } else if (act == SLM_ACT_Q8_K) {
        slm_act_q8_k *b = (void *)a;
        for (size_t i = 0; i < k; i += 256, b++) {
            b->d = define_block(b->q, x + i, k - i < 256 ? k - i : 256);
            for (int j = 0; j < 256; j++)
                b->bsums[j / 16] = (int16_t)(b->bsums[j / 16] + b->q[j]);
        }
    } else {
        slm_act_i8_header *h = (void *)a;
        int8_t *q = (int8_t *)(h + 1);
        int finite;
        float m = largest(x, k, &finite), s = 127.0f / (m > 1e-5f ? m : 1e-5f);
        h->inv = finite ? 1.0f / s : quiet_nan();
        for (size_t i = 0; i < k && finite; i++) {
            q[i] = (int8_t)lrintf(x[i] * s);
            h->sum += q[i];
        }
    }
}

static void fill(check *c, int kind, float *x, size_t k) {
    static const float special[] = {0.0f,      -0.0f,   0x1p-149f, -0x1p-126f, 0x1p-100f,
                                    0x1p-101f, 1e-5f,   -1e-6f,    3.4e38f,    -3.4e38f,
                                    127.0f,    -127.0f, 0.5f,      63.5f,      -1.5f};
    size_t n_special = sizeof special / sizeof special[0];
    float scale = (float)ldexp(1.0, (int)random_below(c, 60) - 40);
    for (size_t i = 0; i < k; i++)
        switch (kind) {
        case 0: /* common */
            x[i] = random_normal(c) * scale;
            break;
        case 1: /* exactly halfway between levels: max is 127 */
            x[i] = i % 256 == 0 || i % 32 == 7 ? 127.0f
                                               : (float)((int)random_below(c, 254) - 127) + 0.5f;
            break;
        case 2:
            x[i] = special[random_below(c, n_special)];
            break;
        case 3: /* blocks of one special value */
            x[i] = special[i / 32 % n_special] * (random_below(c, 2) ? 1.0f : -1.0f);
            break;
        default: /* every bit pattern, NaN and infinity among them */
        {
            uint32_t u = (uint32_t)slm_rng_next(&c->rng);
            if (i % 64 > 40)
                u &= 0x3fffffffu;
            memcpy(&x[i], &u, 4);
        }
        }
}

static void quantize(check *c, slm_act act) {
    static const size_t sizes[] = {1, 2, 31, 32, 33, 64, 96, 255, 256, 257, 512, 896, 1024, 4864};
    for (unsigned r = 0; r < 5 * c->rounds; r++)
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            size_t k = sizes[s], bytes = slm_act_row_bytes(act, k);
            float *x = guard_alloc(k * sizeof *x);
            uint8_t *got = guard_alloc(bytes), *want = guard_alloc(bytes);
            fill(c, (int)(r % 5), x, k);
            guard_freeze(x);
            define_row(act, want, x, k);
            c->k->quantize[act](got, x, k);
            for (size_t i = 0; i < bytes; i++)
                if (got[i] != want[i]) {
                    fail(c, "%s k %zu kind %u: byte %zu is %d, want %d", act_name(act), k, r % 5, i,
                         got[i], want[i]);
                    break;
                }
            guard_release(c);
        }
}

static void quantize_f32(check *c) {
    quantize(c, SLM_ACT_F32);
}
static void quantize_q8_0(check *c) {
    quantize(c, SLM_ACT_Q8_0);
}
static void quantize_q8_k(check *c) {
    quantize(c, SLM_ACT_Q8_K);
}
static void quantize_i8_row(check *c) {
    quantize(c, SLM_ACT_I8_ROW);
}

const check_test tests_quantize[] = {
    {"quantize_f32", quantize_f32, 0, 0},
    {"quantize_q8_0", quantize_q8_0, 0, 0},
    {"quantize_q8_k", quantize_q8_k, 0, 0},
    {"quantize_i8_row", quantize_i8_row, 0, 0},
    {NULL, NULL, 0, 0},
};
