#include "check.h"

const type_info types[] = {
    {"f32", SLM_DTYPE_F32, 1, 4, -1, -1},
    {"f16", SLM_DTYPE_F16, 1, 2, -1, -1},
    {"bf16", SLM_DTYPE_BF16, 1, 2, -1, -1},
    {"q4_0", SLM_DTYPE_Q4_0, 32, sizeof(slm_block_q4_0), 0, -1},
    {"q4_1", SLM_DTYPE_Q4_1, 32, sizeof(slm_block_q4_1), 0, 2},
    {"q5_0", SLM_DTYPE_Q5_0, 32, sizeof(slm_block_q5_0), 0, -1},
    {"q5_1", SLM_DTYPE_Q5_1, 32, sizeof(slm_block_q5_1), 0, 2},
    {"q8_0", SLM_DTYPE_Q8_0, 32, sizeof(slm_block_q8_0), 0, -1},
    {"iq4_nl", SLM_DTYPE_IQ4_NL, 32, sizeof(slm_block_iq4_nl), 0, -1},
    {"q2_k", SLM_DTYPE_Q2_K, 256, sizeof(slm_block_q2_k), 80, 82},
    {"q3_k", SLM_DTYPE_Q3_K, 256, sizeof(slm_block_q3_k), 108, -1},
    {"q4_k", SLM_DTYPE_Q4_K, 256, sizeof(slm_block_q4_k), 0, 2},
    {"q5_k", SLM_DTYPE_Q5_K, 256, sizeof(slm_block_q5_k), 0, 2},
    {"q6_k", SLM_DTYPE_Q6_K, 256, sizeof(slm_block_q6_k), 208, -1},
    {"iq4_xs", SLM_DTYPE_IQ4_XS, 256, sizeof(slm_block_iq4_xs), 0, -1},
    {"tq1_0", SLM_DTYPE_TQ1_0, 256, sizeof(slm_block_tq1_0), 52, -1},
    {"tq2_0", SLM_DTYPE_TQ2_0, 256, sizeof(slm_block_tq2_0), 64, -1},
    {"i2_s", SLM_DTYPE_I2_S, 128, sizeof(slm_block_i2_s), -1, -1},
};
const size_t n_types = sizeof types / sizeof types[0];

uint64_t random_below(check *c, uint64_t n) {
    return slm_rng_next(&c->rng) % n;
}
double random_unit(check *c) {
    return slm_rng_double(&c->rng);
}

float random_normal(check *c) { /* Box and Muller 1958 */
    double r = sqrt(-2.0 * log(1.0 - random_unit(c)));
    return (float)(r * cos(6.283185307179586 * random_unit(c)));
}

void random_floats(check *c, float *x, size_t n, float scale) {
    for (size_t i = 0; i < n; i++)
        x[i] = random_normal(c) * scale;
}

int bits_differ(const void *a, const void *b, size_t size) {
    return memcmp(a, b, size) != 0;
}

uint32_t float_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

const char *act_name(slm_act act) {
    static const char *const names[SLM_ACT_LIMIT] = {"f32",    "q8_0",      "q8_k",
                                                     "i8_row", "q8_0_tile", "q8_k_tile"};
    return names[act];
}

double sum_bound(size_t n, double sum_abs) {
    return 1.01 * ((double)n / 8 + 32) * U * sum_abs + ((double)n + 32) * 0x1p-120;
}

static void put_half(uint8_t *p, float f) {
    uint16_t h = slm_f32_to_f16(f);
    p[0] = (uint8_t)h;
    p[1] = (uint8_t)(h >> 8);
}

/* Bytes that hold no code beyond the three the ternary formats define. */
static uint8_t ternary_byte(check *c, const type_info *t, size_t at, int kind) {
    unsigned digits[5], v = 0;
    for (int i = 0; i < 5; i++)
        digits[i] = kind == BLOCK_LOW ? 0 : kind == BLOCK_HIGH ? 2 : (unsigned)random_below(c, 3);
    if (t->type != SLM_DTYPE_TQ1_0)
        return (uint8_t)(digits[0] | digits[1] << 2 | digits[2] << 4 | digits[3] << 6);
    for (int i = 0; i < 5; i++)
        v = 3 * v + (i == 4 && at >= 48 ? 0 : digits[i]);
    return (uint8_t)((v * 256 + 242) / 243);
}

static void random_plain(check *c, const type_info *t, int kind, uint8_t *w) {
    float f = random_normal(c) * 0.05f;
    if (kind == BLOCK_UNIT)
        f = (float)((int)random_below(c, 17) - 8);
    else if (kind == BLOCK_LOW || kind == BLOCK_HIGH)
        f = kind == BLOCK_LOW ? -1024.0f : 1024.0f;
    else if (kind == BLOCK_ZERO)
        f = random_below(c, 2) ? 0.0f : -0.0f;
    else if (kind == BLOCK_TINY)
        f *= t->type == SLM_DTYPE_F16 ? 0x1p-16f : 0x1p-126f;
    if (t->type == SLM_DTYPE_F32) {
        memcpy(w, &f, 4);
    } else if (t->type == SLM_DTYPE_F16) {
        put_half(w, f);
    } else {
        uint16_t h = slm_f32_to_bf16(f);
        memcpy(w, &h, 2);
    }
}

void random_weights(check *c, const type_info *t, int kind, uint8_t *w, size_t k) {
    int ternary =
        t->type == SLM_DTYPE_TQ1_0 || t->type == SLM_DTYPE_TQ2_0 || t->type == SLM_DTYPE_I2_S;
    for (size_t b = 0; b < k / t->block; b++, w += t->bytes) {
        if (t->block == 1) {
            random_plain(c, t, kind, w);
            continue;
        }
        for (size_t i = 0; i < t->bytes; i++)
            w[i] = ternary              ? ternary_byte(c, t, i, kind)
                   : kind == BLOCK_LOW  ? 0
                   : kind == BLOCK_HIGH ? 255
                                        : (uint8_t)random_below(c, 256);
        if (kind == BLOCK_LOW || kind == BLOCK_HIGH) { /* fields that are signed bytes */
            int extreme = kind == BLOCK_LOW ? 0x80 : 0x7f;
            if (t->type == SLM_DTYPE_Q8_0)
                memset(w + offsetof(slm_block_q8_0, qs), extreme, 32);
            else if (t->type == SLM_DTYPE_Q6_K)
                memset(w + offsetof(slm_block_q6_k, scales), extreme, 16);
        }
        for (int which = 0; which < 2; which++) {
            int at = which ? t->m_at : t->d_at;
            float f = (float)ldexp(0.5 + random_unit(c), -(int)random_below(c, 12));
            if (random_below(c, 4) == 0)
                f = -f;
            if (kind == BLOCK_UNIT)
                f = 1.0f;
            else if (kind == BLOCK_ZERO)
                f = random_below(c, 2) ? 0.0f : -0.0f;
            else if (kind == BLOCK_TINY)
                f = (float)ldexp(f, -14);
            else if ((kind == BLOCK_LOW || kind == BLOCK_HIGH) && random_below(c, 2))
                f = random_below(c, 2) ? 65504.0f : -65504.0f;
            if (at >= 0)
                put_half(w + at, f);
        }
    }
}

void weight_parts(const slm_kernels *ref, const type_info *t, const uint8_t *w, size_t k,
                  double *part, double *low) {
    float x[256];
    uint8_t block[256];
    size_t step = t->block;
    for (size_t i = 0; i < k; i += step, w += t->bytes) { /* a block at a time */
        memcpy(block, w, t->bytes);
        if (t->m_at >= 0)
            put_half(block + t->m_at, 0.0f);
        ref->dequantize[t->type](x, block, step);
        for (size_t j = 0; j < step; j++)
            part[i + j] = (double)x[j];
        memset(low + i, 0, step * sizeof *low);
        if (t->m_at < 0)
            continue;
        memcpy(block, w, t->bytes);
        put_half(block + t->d_at, 0.0f);
        ref->dequantize[t->type](x, block, step);
        for (size_t j = 0; j < step; j++)
            low[i + j] = -(double)x[j];
    }
}
