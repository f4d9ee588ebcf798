/* What stands in files: conversions, dequantisers and file quantisers, against reference data. */
#include "check.h"

#define N_GOLDEN 1024

/* Values and hashes of ggml d99724f2: sha256 of the blocks that ggml_quantize_chunk makes of
 * values x_i = ((i * 2654435761 mod 2^32) >> 8) / 2^24 - 1/2, without importance and with
 * importance ((i * 2246822519 mod 2^32) >> 8) / 2^24, and of the values decoded from the former. */
static const struct {
    const char *name, *plain, *weighted, *decoded;
} golden[] = {
    {"q4_0", "d0b27fb88b656fa6", "6d0c03db8b433404", "7419490ba972c590"},
    {"q4_1", "73ed80dea87d31ed", "5d504fdce33451ea", "0068855ad2f99897"},
    {"q5_0", "40618d8489d0139a", "10550510ead78ca5", "bfeb37aa8e47397a"},
    {"q5_1", "055102f15d4ce670", "dada7bcf02ee6489", "879ce6d819d97d2d"},
    {"q8_0", "5c984acb3916922a", "5c984acb3916922a", "941e074d0e9d6908"},
    {"q2_k", "667c0f4dae084e7a", "d319007032063919", "70fe1df81c3119ef"},
    {"q3_k", "82183f31dbe0d590", "d2a3f016bd463966", "291a750527d005e5"},
    {"q4_k", "d9f5777444b72d9e", "881cbb30faaa7279", "ff022e68733d1399"},
    {"q5_k", "ecc15f240a6f2d3b", "21dc53f178b826b3", "09b2940d7fb5b8fe"},
    {"q6_k", "e75de0e96202aa6c", "01fa1868732348ca", "9c0314f772895e39"},
    {"iq4_nl", "c3e15a496aa9f50a", "410e75add8ea9b84", NULL},
    {"iq4_xs", "e47c8eb21898dfb0", "27b829c6ef7c77e1", "480dc79e44df8702"},
    {"tq1_0", "96c71d0e14dca2bc", "96c71d0e14dca2bc", "a682cc3626d7c061"},
    {"tq2_0", "b0c946f0cf521473", "b0c946f0cf521473", "a682cc3626d7c061"},
};

static const type_info *type_named(const char *name) {
    for (size_t i = 0; i < n_types; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

static void quantize_files(check *c) {
    float x[N_GOLDEN], importance[N_GOLDEN], decoded[N_GOLDEN];
    for (uint32_t i = 0; i < N_GOLDEN; i++) {
        x[i] = (float)(i * 2654435761u >> 8) * 0x1p-24f - 0.5f;
        importance[i] = (float)(i * 2246822519u >> 8) * 0x1p-24f;
    }
    char hash[17];
    sha256_prefix(hash, x, sizeof x);
    if (strcmp(hash, "02ef281c0790b988") != 0)
        fail(c, "the input's hash is %s", hash);
    for (size_t g = 0; g < sizeof golden / sizeof golden[0]; g++) {
        const type_info *t = type_named(golden[g].name);
        size_t bytes = N_GOLDEN / t->block * t->bytes;
        for (int weighted = 0; weighted < 2; weighted++) {
            uint8_t *blocks = guard_alloc(bytes);
            const char *want = weighted ? golden[g].weighted : golden[g].plain;
            if (!slm_quantize_weights(t->type, blocks, x, weighted ? importance : NULL, N_GOLDEN))
                fail(c, "%s: no quantiser", t->name);
            sha256_prefix(hash, blocks, bytes);
            if (strcmp(hash, want) != 0)
                fail(c, "%s%s: blocks hash to %s, want %s", t->name,
                     weighted ? " with importance" : "", hash, want);
            c->k->dequantize[t->type](decoded, blocks, N_GOLDEN);
            sha256_prefix(hash, decoded, sizeof decoded);
            if (!weighted && golden[g].decoded != NULL && strcmp(hash, golden[g].decoded) != 0)
                fail(c, "%s: values hash to %s, want %s", t->name, hash, golden[g].decoded);
            guard_release(c);
        }
    }
    if (slm_quantize_weights(SLM_DTYPE_I2_S, decoded, x, NULL, N_GOLDEN) ||
        slm_quantize_weights(4, decoded, x, NULL, N_GOLDEN) ||
        slm_quantize_weights(UINT32_MAX, decoded, x, NULL, N_GOLDEN))
        fail(c, "quantised to a type that has no quantiser");
}

/* Quantisers must bear any floats: no fault, no undefined behaviour, blocks that decode. */
static void quantize_hostile(check *c) {
    float x[512], importance[512], decoded[512];
    for (unsigned r = 0; r < 20 * c->rounds; r++)
        for (size_t i = 0; i < n_types; i++) {
            size_t bytes = 512 / types[i].block * types[i].bytes;
            uint8_t *blocks = guard_alloc(bytes);
            for (int j = 0; j < 512; j++) {
                uint32_t u = (uint32_t)slm_rng_next(&c->rng);
                if (r % 4 == 0)
                    u = u % 3 ? 0 : u & 0x807fffffu; /* zeros and subnormals */
                else if (r % 4 == 1)
                    u &= 0xbfffffffu; /* below 2 */
                memcpy(&x[j], &u, 4);
                importance[j] = r % 3 == 0 ? 0.0f : (float)random_unit(c);
            }
            slm_quantize_weights(types[i].type, blocks, x, r % 2 ? importance : NULL, 512);
            c->k->dequantize[types[i].type](decoded, blocks, 512);
            guard_release(c);
        }
}

/* Root mean square error of values spread evenly over -1..1, plain and with all importances equal.
 * The limits are 15 % above what ggml's quantisers leave of such values. */
static void quantize_error(check *c) {
    static const struct {
        const char *name;
        double limit;
    } limits[] = {{"f16", 0.00018}, {"bf16", 0.0015}, {"q8_0", 0.0026},  {"q6_k", 0.0096},
                  {"q5_k", 0.020},  {"q5_1", 0.021},  {"q5_0", 0.022},   {"q4_k", 0.041},
                  {"q4_1", 0.042},  {"q4_0", 0.045},  {"iq4_nl", 0.048}, {"iq4_xs", 0.048},
                  {"q3_k", 0.092},  {"q2_k", 0.17},   {"tq2_0", 0.34},   {"tq1_0", 0.34}};
    enum { N = 4096 };
    static float x[N], decoded[N], importance[N];
    static uint8_t blocks[4 * N];
    for (size_t l = 0; l < 2 * sizeof limits / sizeof limits[0]; l++) {
        const type_info *t = type_named(limits[l / 2].name);
        double sum = 0;
        for (int i = 0; i < N; i++) {
            x[i] = (float)(2 * random_unit(c) - 1);
            importance[i] = 1;
        }
        slm_quantize_weights(t->type, blocks, x, l % 2 ? importance : NULL, N);
        c->k->dequantize[t->type](decoded, blocks, N);
        for (int i = 0; i < N; i++)
            sum += ((double)x[i] - (double)decoded[i]) * ((double)x[i] - (double)decoded[i]);
        double rms = sqrt(sum / N);
        if (!(rms <= limits[l / 2].limit))
            fail(c, "%s%s: error %.5f, limit %.5f", t->name, l % 2 ? " with importance" : "", rms,
                 limits[l / 2].limit);
    }
}

static void dequantize_golden(check *c) {
    static const char *const names[] = {"Q4_0",  "Q4_1",  "Q5_0", "Q5_1", "Q8_0",   "Q2_K",
                                        "Q3_K",  "Q4_K",  "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS",
                                        "TQ1_0", "TQ2_0", "BF16", "I2_S"};
    static const char *const own[] = {"q4_0",  "q4_1",  "q5_0", "q5_1", "q8_0",   "q2_k",
                                      "q3_k",  "q4_k",  "q5_k", "q6_k", "iq4_nl", "iq4_xs",
                                      "tq1_0", "tq2_0", "bf16", "i2_s"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[64];
        const type_info *t = type_named(own[i]);
        size_t n_bytes, n_value_bytes;
        snprintf(path, sizeof path, "golden/dequant/%s.bin", names[i]);
        uint8_t *blocks = read_shared(c, path, &n_bytes);
        if (blocks == NULL)
            return;
        snprintf(path, sizeof path, "golden/dequant/%s.f32", names[i]);
        float *want = read_shared(c, path, &n_value_bytes);
        if (want == NULL) {
            free(blocks);
            return;
        }
        size_t n = n_value_bytes / 4, tail = t->type == SLM_DTYPE_I2_S ? 32 : 0;
        if (n == 0 || n / t->block * t->bytes + tail != n_bytes) {
            fail(c, "%s: %zu bytes for %zu values", names[i], n_bytes, n);
        } else {
            uint8_t *in = guard_alloc(n_bytes - tail);
            float *got = guard_alloc(n * sizeof *got), scale = 1.0f;
            memcpy(in, blocks, n_bytes - tail);
            guard_freeze(in);
            c->k->dequantize[t->type](got, in, n);
            if (tail != 0)
                memcpy(&scale, blocks + n_bytes - tail, 4);
            for (size_t j = 0; j < n; j++) {
                float v = tail != 0 ? got[j] * scale : got[j];
                if (float_bits(v) != float_bits(want[j])) {
                    fail(c, "%s: value %zu is %.9g, want %.9g", names[i], j, (double)v,
                         (double)want[j]);
                    break;
                }
            }
            guard_release(c);
        }
        free(blocks);
        free(want);
    }
}

/* Every level decodes to the bits of the portable one, in pieces of any number of blocks. */
static void dequantize_random(check *c) {
    for (unsigned r = 0; r < 12 * c->rounds; r++) {
        const type_info *t = c->type;
        size_t k = t->block * (1 + random_below(c, 1 + 600 / t->block));
        size_t bytes = k / t->block * t->bytes;
        uint8_t *w = guard_alloc(bytes);
        float *got = guard_alloc(k * sizeof *got), *want = guard_alloc(k * sizeof *want);
        random_weights(c, t, (int)(r % BLOCK_KINDS), w, k);
        guard_freeze(w);
        c->ref->dequantize[t->type](want, w, k);
        c->k->dequantize[t->type](got, w, k);
        if (bits_differ(got, want, k * sizeof *got))
            fail(c, "k %zu, kind %u differs from portable", k, r % BLOCK_KINDS);
        guard_release(c);
    }
}

static double half_value(uint16_t h) {
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    double v = exponent == 31  ? (mantissa != 0 ? NAN : INFINITY)
               : exponent == 0 ? ldexp(mantissa, -24)
                               : ldexp(1024 + mantissa, exponent - 25);
    return h & 0x8000 ? -v : v;
}

/* The nearest of all halves, the even one of two, by looking at the neighbours. */
static void convert_f16(check *c) {
    for (uint32_t h = 0; h < 65536; h++) {
        float f = slm_f16_to_f32((uint16_t)h);
        double want = half_value((uint16_t)h);
        if (isnan(want) ? !isnan(f) : (double)f != want || (signbit(f) != 0) != (h >> 15 != 0))
            fail(c, "half %04x is %g, want %g", (unsigned)h, (double)f, want);
        uint16_t back = slm_f32_to_f16(f);
        uint16_t quiet = isnan(want) ? (uint16_t)(h | 0x200) : (uint16_t)h;
        if (back != quiet)
            fail(c, "half %04x comes back as %04x", (unsigned)h, back);
    }
    for (uint64_t i = 0; i < 4000000; i++) {
        uint32_t u = (uint32_t)(i < 2000000 ? i * 2147 : slm_rng_next(&c->rng));
        if (i % 8 == 0) /* exactly between two halves */
            u = (u & ~0x1fffu) | 0x1000u;
        float f;
        memcpy(&f, &u, 4);
        if (isnan(f))
            continue;
        uint16_t h = slm_f32_to_f16(f), magnitude = h & 0x7fff;
        double v = fabs((double)f), own = half_value(magnitude);
        double limit = magnitude == 0x7c00 ? 65536.0 : own; /* infinity stands for 2^16 */
        double above = magnitude >= 0x7bff ? 65536.0 : half_value((uint16_t)(magnitude + 1));
        double below = magnitude == 0 ? 0.0 : half_value((uint16_t)(magnitude - 1));
        double off = fabs(v - limit), even = magnitude % 2 == 0;
        int ok = (signbit(f) != 0) == (h >> 15 != 0);
        if (magnitude == 0x7c00)
            ok = ok && v >= 65520.0;
        else
            ok = ok && (off < fabs(above - v) || (off == fabs(above - v) && even)) &&
                 (magnitude == 0 || off < fabs(v - below) || (off == fabs(v - below) && even));
        if (!ok) {
            fail(c, "%.9g (%08x) becomes half %04x", (double)f, (unsigned)u, h);
            return;
        }
    }
}

static void convert_bf16(check *c) {
    for (uint64_t i = 0; i < 1000000; i++) {
        uint32_t u = (uint32_t)(i * 4295 + (i % 4 == 0 ? 0x8000 - i * 4295 % 65536 : 0));
        float f, low, high;
        memcpy(&f, &u, 4);
        uint16_t h = slm_f32_to_bf16(f);
        if (isnan(f)) {
            if ((h & 0x7f80) != 0x7f80 || (h & 0x7f) == 0 || h >> 15 != u >> 31)
                fail(c, "NaN %08x becomes %04x", (unsigned)u, h);
            continue;
        }
        uint32_t a = u & 0xffff0000u, b = a + 0x10000u, rest = u & 0xffffu;
        memcpy(&low, &a, 4);
        memcpy(&high, &b, 4);
        uint32_t want = rest > 0x8000u || (rest == 0x8000u && (a >> 16 & 1)) ? b : a;
        if (h != want >> 16)
            fail(c, "%08x becomes %04x, between %g and %g", (unsigned)u, h, (double)low,
                 (double)high);
    }
}

const check_test tests_files[] = {
    {"convert_f16", convert_f16, 1, 0},
    {"convert_bf16", convert_bf16, 1, 0},
    {"dequantize_golden", dequantize_golden, 0, 0},
    {"dequantize_random", dequantize_random, 0, 1},
    {"quantize_files", quantize_files, 0, 0},
    {"quantize_hostile", quantize_hostile, 0, 0},
    {"quantize_error", quantize_error, 1, 0},
    {NULL, NULL, 0, 0},
};
