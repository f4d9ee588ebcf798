/* The mixes: the bytes of all tensors of real models, as published files have them, and single
 * rules by name. */
#include "../../tools/quantize_mix.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

typedef struct shape {
    uint64_t d, layers, heads, kv_heads, d_head, ff, vocab, extra; /* extra: other F32 elements */
    int tied, fused, bias, qk_norm, sub_norm;
} shape;

/* clang-format off */
static const shape llama_1b = {2048, 16, 32, 8, 64, 8192, 128256, 32, 1, 0, 0, 0, 0};
static const shape llama_3b = {3072, 28, 24, 8, 128, 8192, 128256, 64, 1, 0, 0, 0, 0};
static const shape llama_8b = {4096, 32, 32, 8, 128, 14336, 128256, 64, 0, 0, 0, 0, 0};
static const shape phi_3 = {3072, 32, 32, 32, 96, 8192, 32064, 0, 0, 1, 0, 0, 0};
static const shape phi_4 = {3072, 32, 24, 8, 128, 8192, 200064, 96, 1, 1, 0, 0, 0};
static const shape qwen2_half = {896, 24, 14, 2, 64, 4864, 151936, 0, 1, 0, 1, 0, 0};
static const shape qwen2_7b = {3584, 28, 28, 4, 128, 18944, 152064, 0, 0, 0, 1, 0, 0};
static const shape qwen3 = {1024, 28, 16, 8, 128, 3072, 151936, 0, 1, 0, 0, 1, 0};
static const shape qwen3_4b = {2560, 36, 32, 8, 128, 9728, 151936, 0, 1, 0, 0, 1, 0};
static const shape bitnet = {2560, 30, 20, 5, 128, 6912, 128256, 0, 1, 0, 0, 0, 1};
static const shape smol_135m = {576, 30, 9, 3, 64, 1536, 49152, 0, 1, 0, 0, 0, 0};
static const shape smol_2b = {2048, 24, 32, 32, 64, 8192, 49152, 0, 1, 0, 0, 0, 0};
/* clang-format on */

static uint32_t type_of(const slm_mix *mix, const shape *s, int old_qkv, const char *name,
                        uint64_t columns) {
    slm_mix_model m = {(uint32_t)s->layers, (uint32_t)s->heads, (uint32_t)s->kv_heads, s->tied,
                       old_qkv};
    return slm_mix_type(mix, &m, (slm_str){name, strlen(name)}, 2, columns);
}

static uint64_t matrix(const slm_mix *mix, const shape *s, int old_qkv, const char *name,
                       uint64_t columns, uint64_t rows) {
    const slm_dtype_info *info = slm_dtype_get(type_of(mix, s, old_qkv, name, columns));
    assert_int_equal(columns % info->block, 0);
    return columns * rows / info->block * info->bytes;
}

static uint64_t total(const char *type, const shape *s, int old_qkv) {
    const slm_mix *mix = slm_mix_find(type);
    uint64_t q = s->heads * s->d_head, kv = s->kv_heads * s->d_head, bytes, f32;
    f32 = s->d + s->extra + s->layers * 2 * s->d;
    f32 += s->layers * ((s->bias ? q + 2 * kv : 0) + (s->qk_norm ? 2 * s->d_head : 0) +
                        (s->sub_norm ? s->d + s->ff : 0));
    bytes = 4 * f32 + matrix(mix, s, old_qkv, "token_embd.weight", s->d, s->vocab);
    if (!s->tied)
        bytes += matrix(mix, s, old_qkv, "output.weight", s->d, s->vocab);
    for (unsigned i = 0; i < s->layers; i++) {
        const struct {
            const char *name;
            uint64_t columns, rows;
        } split[] = {{"attn_q", s->d, q},         {"attn_k", s->d, kv},
                     {"attn_v", s->d, kv},        {"ffn_gate", s->d, s->ff},
                     {"ffn_up", s->d, s->ff},     {"attn_output", q, s->d},
                     {"ffn_down", s->ff, s->d}},
          fused[] = {{"attn_qkv", s->d, q + 2 * kv}, {"ffn_up", s->d, 2 * s->ff},
                     {"attn_output", q, s->d},       {"ffn_down", s->ff, s->d}};
        for (size_t k = 0; k < (s->fused ? 4 : 7); k++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%u.%s.weight", i,
                     s->fused ? fused[k].name : split[k].name);
            bytes += matrix(mix, s, old_qkv, name, s->fused ? fused[k].columns : split[k].columns,
                            s->fused ? fused[k].rows : split[k].rows);
        }
    }
    return bytes;
}

static void test_published_sizes(void **state) {
    (void)state;
    assert_int_equal(total("Q4_K_M", &llama_1b, 0), 799862912);
    assert_int_equal(total("Q4_K_M", &llama_3b, 0), 2011539712);
    assert_int_equal(total("Q4_K_M", &llama_8b, 0), 4912898304);
    assert_int_equal(total("Q4_K_M", &phi_3, 1), 2392493568);
    assert_int_equal(total("Q4_K_M", &phi_3, 0), 2396032512);
    assert_int_equal(total("Q4_K_M", &phi_4, 1), 2483623296);
    assert_int_equal(total("Q4_K_M", &phi_4, 0), 2485589376);
    assert_int_equal(total("Q4_K_M", &qwen2_half, 0), 391859712);
    assert_int_equal(total("Q4_K_M", &qwen2_7b, 0), 4677120000);
    assert_int_equal(total("Q4_K_M", &qwen3, 0), 390753280);
    assert_int_equal(total("Q4_K_M", &qwen3_4b, 0), 2491323904);
    assert_int_equal(total("Q4_K_M", &smol_135m, 0), 103668480);
    assert_int_equal(total("Q4_K_M", &smol_2b, 0), 1053827072);
    assert_int_equal(total("TQ2_0", &bitnet, 0), 808391680);
    assert_int_equal(total("TQ1_0", &bitnet, 0), 710702080);
}

static void check_type(const char *type, const shape *s, const char *name, uint64_t columns,
                       uint32_t wanted) {
    uint32_t got = type_of(slm_mix_find(type), s, 0, name, columns);
    if (got != wanted)
        fail_msg("%s of %s is %s, wanted %s", name, type, slm_dtype_get(got)->name,
                 slm_dtype_get(wanted)->name);
}

static void test_rules(void **state) {
    static const shape grouped = {4096, 32, 32, 8, 128, 14336, 1000, 0, 0, 0, 0, 0, 0};
    static const shape full = {4096, 32, 32, 32, 128, 14336, 1000, 0, 0, 0, 0, 0, 0};
    (void)state;
    const struct {
        const char *type, *name;
        uint32_t grouped, full;
    } rules[] = {
        {"Q2_K", "blk.9.attn_v.weight", SLM_DTYPE_Q4_K, SLM_DTYPE_Q3_K},
        {"Q2_K", "blk.9.attn_output.weight", SLM_DTYPE_Q3_K, SLM_DTYPE_Q3_K},
        {"Q2_K", "blk.9.ffn_down.weight", SLM_DTYPE_Q3_K, SLM_DTYPE_Q3_K},
        {"Q2_K", "blk.9.ffn_up.weight", SLM_DTYPE_Q2_K, SLM_DTYPE_Q2_K},
        {"Q3_K_S", "blk.0.attn_v.weight", SLM_DTYPE_Q3_K, SLM_DTYPE_Q3_K},
        {"Q3_K_M", "blk.1.attn_v.weight", SLM_DTYPE_Q5_K, SLM_DTYPE_Q5_K},
        {"Q3_K_M", "blk.2.attn_v.weight", SLM_DTYPE_Q4_K, SLM_DTYPE_Q4_K},
        {"Q3_K_M", "blk.1.ffn_down.weight", SLM_DTYPE_Q5_K, SLM_DTYPE_Q5_K},
        {"Q3_K_M", "blk.2.ffn_down.weight", SLM_DTYPE_Q4_K, SLM_DTYPE_Q4_K},
        {"Q3_K_M", "blk.2.attn_output.weight", SLM_DTYPE_Q4_K, SLM_DTYPE_Q4_K},
        {"Q3_K_L", "blk.30.ffn_down.weight", SLM_DTYPE_Q5_K, SLM_DTYPE_Q5_K},
        {"Q3_K", "blk.2.attn_v.weight", SLM_DTYPE_Q4_K, SLM_DTYPE_Q4_K},
        {"Q4_K_S", "blk.3.attn_v.weight", SLM_DTYPE_Q5_K, SLM_DTYPE_Q5_K},
        {"Q4_K_S", "blk.4.attn_v.weight", SLM_DTYPE_Q4_K, SLM_DTYPE_Q4_K},
        {"Q4_K_S", "blk.3.ffn_down.weight", SLM_DTYPE_Q5_K, SLM_DTYPE_Q5_K},
        {"Q4_K_S", "blk.4.ffn_down.weight", SLM_DTYPE_Q4_K, SLM_DTYPE_Q4_K},
        {"q4_k_m", "blk.6.ffn_down.weight", SLM_DTYPE_Q6_K, SLM_DTYPE_Q6_K},
        {"Q4_K_M", "blk.7.ffn_down.weight", SLM_DTYPE_Q4_K, SLM_DTYPE_Q4_K},
        {"Q4_K_M", "blk.28.attn_v.weight", SLM_DTYPE_Q6_K, SLM_DTYPE_Q6_K},
        {"Q5_K_M", "blk.0.attn_v.weight", SLM_DTYPE_Q6_K, SLM_DTYPE_Q6_K},
        {"Q5_K_S", "blk.0.attn_v.weight", SLM_DTYPE_Q5_K, SLM_DTYPE_Q5_K},
        {"IQ4_XS", "blk.9.attn_v.weight", SLM_DTYPE_Q5_K, SLM_DTYPE_IQ4_XS},
        {"IQ4_NL", "blk.3.ffn_down.weight", SLM_DTYPE_Q5_K, SLM_DTYPE_Q5_K},
        {"IQ4_NL", "blk.4.ffn_down.weight", SLM_DTYPE_IQ4_NL, SLM_DTYPE_IQ4_NL},
        {"TQ2_0", "token_embd.weight", SLM_DTYPE_Q4_K, SLM_DTYPE_Q4_K},
        {"Q4_0", "output.weight", SLM_DTYPE_Q6_K, SLM_DTYPE_Q6_K},
        {"Q8_0", "output.weight", SLM_DTYPE_Q8_0, SLM_DTYPE_Q8_0},
        {"Q4_K_M", "token_embd.weight", SLM_DTYPE_Q4_K, SLM_DTYPE_Q4_K},
        {"BF16", "output.weight", SLM_DTYPE_BF16, SLM_DTYPE_BF16},
        {"Q4_0", "blk.0.ffn_gate_inp.weight", SLM_DTYPE_LIMIT, SLM_DTYPE_LIMIT},
        {"Q4_0", "blk.0.attn_q_norm.weight", SLM_DTYPE_LIMIT, SLM_DTYPE_LIMIT},
        {"F16", "blk.0.attn_q.bias", SLM_DTYPE_LIMIT, SLM_DTYPE_LIMIT},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        check_type(rules[i].type, &grouped, rules[i].name, 4096, rules[i].grouped);
        check_type(rules[i].type, &full, rules[i].name, 4096, rules[i].full);
    }
}

static void test_rows_that_do_not_fit(void **state) {
    (void)state;
    const struct {
        const char *type;
        uint32_t at_32, at_8; /* rows of a multiple of 32 and of 8 weights */
    } rules[] = {{"Q2_K", SLM_DTYPE_Q4_0, SLM_DTYPE_F16},   {"Q3_K_S", SLM_DTYPE_Q4_0, SLM_DTYPE_F16},
                 {"TQ1_0", SLM_DTYPE_Q4_0, SLM_DTYPE_F16},  {"TQ2_0", SLM_DTYPE_Q4_0, SLM_DTYPE_F16},
                 {"Q4_K_S", SLM_DTYPE_Q5_0, SLM_DTYPE_F16}, {"Q5_K_S", SLM_DTYPE_Q5_1, SLM_DTYPE_F16},
                 {"Q6_K", SLM_DTYPE_Q8_0, SLM_DTYPE_F16},   {"IQ4_XS", SLM_DTYPE_IQ4_NL, SLM_DTYPE_F16},
                 {"Q4_0", SLM_DTYPE_Q4_0, SLM_DTYPE_F16},   {"Q8_0", SLM_DTYPE_Q8_0, SLM_DTYPE_F16},
                 {"F32", SLM_DTYPE_F32, SLM_DTYPE_F32}};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        check_type(rules[i].type, &llama_8b, "blk.9.ffn_up.weight", 896, rules[i].at_32);
        check_type(rules[i].type, &llama_8b, "blk.9.ffn_up.weight", 200, rules[i].at_8);
    }
}

static void test_names(void **state) {
    (void)state;
    for (size_t i = 0; i < N_MIXES; i++)
        assert_ptr_equal(slm_mix_find(slm_mix_at(i)->name), slm_mix_at(i));
    assert_null(slm_mix_at(N_MIXES));
    assert_null(slm_mix_find("Q4_K_X"));
    assert_null(slm_mix_find(""));
    assert_string_equal(slm_mix_find("q5_k")->name, "Q5_K_M");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_sizes),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_rows_that_do_not_fit),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
