/* What opening a model refuses beyond the container: metadata and tensors that make no model. The
 * numbers of the tests are those of the catalogue in docs/TESTING.md. */
#include "slm.h"
#include "support/fail_alloc.h"
#include "support/tiny_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char warnings[4096];
static void keep_warning(void *user, slm_log_level level, const char *line) {
    (void)user;
    if (level == SLM_LOG_WARNING)
        snprintf(warnings + strlen(warnings), sizeof warnings - strlen(warnings), "%s\n", line);
}

/* Opens the file; on success evaluates a little and gives the status of that. Nothing may leak. */
static slm_status try_model(const tiny_tweak *tweak, uint32_t flags, slm_error *error) {
    gb *b = tiny_model(tweak);
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator allocator = fail_alloc_start(&fa);
    slm_model_options o = {.struct_size = sizeof o, .flags = flags, .allocator = &allocator,
                           .log = keep_warning};
    slm_model *m = NULL;
    slm_session *s = NULL;
    static const int32_t ids[] = {1, 260, 261};
    warnings[0] = 0;
    slm_cache_options co = {.struct_size = sizeof co, .n_ctx = 16};
    slm_status status = slm_model_open_memory(bytes, size, &o, &m, error);
    assert_true((status == SLM_OK) == (m != NULL));
    if (status == SLM_OK)
        status = slm_session_open(m, &co, &s, error);
    if (status == SLM_OK)
        status = slm_session_eval(s, ids, 3, SLM_LOGITS_LAST, error);
    slm_session_close(&s);
    slm_model_close(&m);
    assert_int_equal(fa.outstanding, 0);
    gb_free(b);
    return status;
}

static void expect(int line, const tiny_tweak *tweak, uint32_t flags, slm_status wanted,
                   const char *const *parts) {
    slm_error error = SLM_ERROR_INIT;
    slm_status got = try_model(tweak, flags, &error);
    if (got != wanted)
        fail_msg("line %d: got %s (%s), wanted %s", line, slm_status_name(got), error.message,
                 slm_status_name(wanted));
    if (got != SLM_OK)
        assert_int_equal(error.status, got);
    for (; *parts != NULL; parts++)
        if (strstr(error.message, *parts) == NULL)
            fail_msg("line %d: \"%s\" is not in \"%s\"", line, *parts, error.message);
}

#define PARTS(...) (const char *const[]) { __VA_ARGS__, NULL }
#define NO_PARTS (const char *const[]) { NULL }

/* A key or tensor replaced by the statements. */
#define REPLACED(fn, ...)                 \
    static void fn(gb *b) { __VA_ARGS__; }
REPLACED(nothing, (void)b)

static void refuse(const char *name, void (*emit)(gb *), slm_status wanted,
                   const char *const *parts) {
    tiny_tweak t = {.name = name, .emit = emit};
    expect(__LINE__, &t, 0, wanted, parts);
}

static void add(void (*extra)(gb *), slm_status wanted, const char *const *parts) {
    tiny_tweak t = {.extra = extra};
    expect(__LINE__, &t, 0, wanted, parts);
}

static void the_model_itself(void **state) {
    (void)state;
    expect(__LINE__, NULL, 0, SLM_OK, NO_PARTS);
    expect(__LINE__, NULL, SLM_MODEL_STRICT | SLM_MODEL_CHECK_TENSORS, SLM_OK, NO_PARTS);
}

/* 28: architecture missing, not a string, unknown, 10 MB long */
REPLACED(arch_u32, gb_kv_u32(b, "general.architecture", 3))
REPLACED(arch_unknown, gb_kv_str(b, "general.architecture", "mamba\n2"))
static void arch_long(gb *b) {
    size_t n = 10u << 20;
    char *text = malloc(n);
    assert_non_null(text);
    memset(text, 'x', n);
    gb_kv_str_n(b, "general.architecture", text, n);
    free(text);
}
static void line_28(void **state) {
    (void)state;
    const char *k = "general.architecture";
    refuse(k, nothing, SLM_ERR_MISSING, PARTS(k));
    refuse(k, arch_u32, SLM_ERR_TYPE, PARTS(k, "u32", "string"));
    refuse(k, arch_unknown, SLM_ERR_UNSUP, PARTS(k, "mamba\\x0a2", "llama", "phi3", "bitnet-b1.58"));
    refuse(k, arch_long, SLM_ERR_LIMIT, PARTS(k, "10485760", "64"));
}

/* 29: block_count */
#define BLOCKS "llama.block_count"
REPLACED(blocks_0, gb_kv_u32(b, BLOCKS, 0))
REPLACED(blocks_1025, gb_kv_u32(b, BLOCKS, 1025))
REPLACED(blocks_100000, gb_kv_u32(b, BLOCKS, 100000))
REPLACED(blocks_max, gb_kv_u32(b, BLOCKS, UINT32_MAX))
REPLACED(blocks_text, gb_kv_str(b, BLOCKS, "2"))
REPLACED(blocks_float, gb_kv_f32(b, BLOCKS, 2.0f))
REPLACED(blocks_u64, gb_kv_u64(b, BLOCKS, 2))
REPLACED(blocks_u64_big, gb_kv_u64(b, BLOCKS, (1ull << 32) + 2))
REPLACED(blocks_negative, gb_kv_i32(b, BLOCKS, -1))
static void line_29_and_42(void **state) {
    (void)state;
    refuse(BLOCKS, nothing, SLM_ERR_MISSING, PARTS(BLOCKS));
    refuse(BLOCKS, blocks_0, SLM_ERR_RANGE, PARTS(BLOCKS, "0", "1 to 1024"));
    refuse(BLOCKS, blocks_1025, SLM_ERR_RANGE, PARTS(BLOCKS, "1025"));
    refuse(BLOCKS, blocks_100000, SLM_ERR_RANGE, PARTS(BLOCKS, "100000"));
    refuse(BLOCKS, blocks_max, SLM_ERR_RANGE, PARTS(BLOCKS, "4294967295"));
    refuse(BLOCKS, blocks_negative, SLM_ERR_RANGE, PARTS(BLOCKS, "-1"));
    refuse(BLOCKS, blocks_text, SLM_ERR_TYPE, PARTS(BLOCKS, "string"));
    refuse(BLOCKS, blocks_float, SLM_ERR_TYPE, PARTS(BLOCKS, "f32"));
    refuse(BLOCKS, blocks_u64, SLM_OK, NO_PARTS);
    refuse(BLOCKS, blocks_u64_big, SLM_ERR_RANGE, PARTS(BLOCKS, "4294967298"));
}

/* 30: per-layer arrays */
#define KV_HEADS "llama.attention.head_count_kv"
REPLACED(kv_array, gb_kv_arr_u32(b, KV_HEADS, (const uint32_t[]){1, 1}, 2))
REPLACED(kv_array_3, gb_kv_arr_u32(b, KV_HEADS, (const uint32_t[]){1, 1, 1}, 3))
REPLACED(kv_array_mixed, gb_kv_arr_u32(b, KV_HEADS, (const uint32_t[]){1, 2}, 2))
REPLACED(kv_array_floats, gb_kv_arr_f32(b, KV_HEADS, (const float[]){1, 1}, 2))
static void line_30(void **state) {
    (void)state;
    refuse(KV_HEADS, kv_array, SLM_OK, NO_PARTS);
    refuse(KV_HEADS, kv_array_3, SLM_ERR_SHAPE, PARTS(KV_HEADS, "3", "2 layers"));
    refuse(KV_HEADS, kv_array_mixed, SLM_ERR_UNSUP, PARTS(KV_HEADS, "differ"));
    refuse(KV_HEADS, kv_array_floats, SLM_ERR_TYPE, PARTS(KV_HEADS, "f32"));
}

/* 31: widths */
#define WIDTH "llama.embedding_length"
#define FF "llama.feed_forward_length"
REPLACED(width_0, gb_kv_u32(b, WIDTH, 0))
REPLACED(width_big, gb_kv_u32(b, WIDTH, 1u << 31))
REPLACED(ff_0, gb_kv_u32(b, FF, 0))
REPLACED(ff_big, gb_kv_u32(b, FF, 1u << 31))
static void line_31(void **state) {
    (void)state;
    refuse(WIDTH, width_0, SLM_ERR_RANGE, PARTS(WIDTH, "0"));
    refuse(WIDTH, width_big, SLM_ERR_RANGE, PARTS(WIDTH, "2147483648"));
    refuse(FF, ff_0, SLM_ERR_RANGE, PARTS(FF, "0"));
    refuse(FF, ff_big, SLM_ERR_RANGE, PARTS(FF, "2147483648"));
}

/* 32 to 35: heads */
#define HEADS "llama.attention.head_count"
REPLACED(heads_0, gb_kv_u32(b, HEADS, 0))
REPLACED(heads_max, gb_kv_u32(b, HEADS, UINT32_MAX))
REPLACED(heads_3, gb_kv_u32(b, HEADS, 3))
REPLACED(kv_0, gb_kv_u32(b, KV_HEADS, 0))
REPLACED(kv_4, gb_kv_u32(b, KV_HEADS, 4))
REPLACED(heads_4, gb_kv_u32(b, HEADS, 4))
REPLACED(kv_3, gb_kv_u32(b, KV_HEADS, 3))
REPLACED(key_0, gb_kv_u32(b, "llama.attention.key_length", 0))
REPLACED(key_big, gb_kv_u32(b, "llama.attention.key_length", 5000))
REPLACED(key_odd, gb_kv_u32(b, "llama.attention.key_length", 15))
REPLACED(value_other, gb_kv_u32(b, "llama.attention.value_length", 8))
static void line_32_to_35(void **state) {
    (void)state;
    refuse(HEADS, heads_0, SLM_ERR_RANGE, PARTS(HEADS, "0"));
    refuse(HEADS, heads_max, SLM_ERR_RANGE, PARTS(HEADS, "4294967295"));
    refuse(HEADS, heads_3, SLM_ERR_SHAPE, PARTS("embedding_length", "32", "head_count 3"));
    refuse(KV_HEADS, kv_0, SLM_ERR_RANGE, PARTS(KV_HEADS, "0"));
    refuse(KV_HEADS, kv_4, SLM_ERR_RANGE, PARTS(KV_HEADS, "4"));
    tiny_tweak three_of_four = {.name = HEADS, .emit = heads_4, .name2 = KV_HEADS, .emit2 = kv_3};
    expect(__LINE__, &three_of_four, 0, SLM_ERR_RANGE, PARTS(KV_HEADS, "3", "divisor", "4"));
    add(key_0, SLM_ERR_RANGE, PARTS("key_length", "0"));
    add(key_big, SLM_ERR_RANGE, PARTS("key_length", "5000", "1024"));
    add(key_odd, SLM_ERR_RANGE, PARTS("15"));
    add(value_other, SLM_ERR_RANGE, PARTS("value_length", "8", "16"));
}

/* 36, 37: RoPE */
#define ROT "llama.rope.dimension_count"
#define BASE "llama.rope.freq_base"
REPLACED(rot_0, gb_kv_u32(b, ROT, 0))
REPLACED(rot_odd, gb_kv_u32(b, ROT, 7))
REPLACED(rot_big, gb_kv_u32(b, ROT, 18))
REPLACED(rot_8, gb_kv_u32(b, ROT, 8))
REPLACED(base_0, gb_kv_f32(b, BASE, 0.0f))
REPLACED(base_negative, gb_kv_f32(b, BASE, -1.0f))
REPLACED(base_nan, gb_kv_f32(b, BASE, NAN))
REPLACED(base_inf, gb_kv_f32(b, BASE, INFINITY))
REPLACED(scale_0, gb_kv_f32(b, "llama.rope.scaling.factor", 0.0f))
REPLACED(scaling_odd, gb_kv_str(b, "llama.rope.scaling.type", "su"))
static void line_36_and_37(void **state) {
    (void)state;
    add(rot_0, SLM_ERR_RANGE, PARTS(ROT, "0"));
    add(rot_odd, SLM_ERR_RANGE, PARTS(ROT, "7", "even"));
    add(rot_big, SLM_ERR_RANGE, PARTS(ROT, "18", "16"));
    add(rot_8, SLM_OK, NO_PARTS);
    add(base_0, SLM_ERR_RANGE, PARTS(BASE, "0"));
    add(base_negative, SLM_ERR_RANGE, PARTS(BASE, "-1"));
    add(base_nan, SLM_ERR_RANGE, PARTS(BASE, "nan"));
    add(base_inf, SLM_ERR_RANGE, PARTS(BASE, "inf"));
    add(scale_0, SLM_ERR_RANGE, PARTS("rope.scaling.factor", "0"));
    add(scaling_odd, SLM_ERR_UNSUP, PARTS("rope.scaling.type", "su", "yarn"));
}

/* 38: epsilon */
#define EPS "llama.attention.layer_norm_rms_epsilon"
REPLACED(eps_nan, gb_kv_f32(b, EPS, NAN))
REPLACED(eps_inf, gb_kv_f32(b, EPS, INFINITY))
REPLACED(eps_negative, gb_kv_f32(b, EPS, -1e-5f))
REPLACED(eps_0, gb_kv_f32(b, EPS, 0.0f))
REPLACED(eps_big, gb_kv_f32(b, EPS, 1e30f))
static void line_38(void **state) {
    (void)state;
    refuse(EPS, nothing, SLM_ERR_MISSING, PARTS(EPS));
    refuse(EPS, eps_nan, SLM_ERR_RANGE, PARTS(EPS, "nan"));
    refuse(EPS, eps_inf, SLM_ERR_RANGE, PARTS(EPS, "inf"));
    refuse(EPS, eps_negative, SLM_ERR_RANGE, PARTS(EPS, "-1e-05"));
    refuse(EPS, eps_0, SLM_ERR_RANGE, PARTS(EPS, "0"));
    refuse(EPS, eps_big, SLM_ERR_RANGE, PARTS(EPS, "1e+30"));
}

/* 39: context */
#define CTX "llama.context_length"
REPLACED(ctx_0, gb_kv_u32(b, CTX, 0))
REPLACED(ctx_32, gb_kv_u64(b, CTX, 1ull << 32))
REPLACED(ctx_63, gb_kv_u64(b, CTX, 1ull << 63))
static void line_39(void **state) {
    (void)state;
    refuse(CTX, ctx_0, SLM_ERR_RANGE, PARTS(CTX, "0"));
    refuse(CTX, ctx_32, SLM_OK, NO_PARTS);
    refuse(CTX, ctx_63, SLM_OK, NO_PARTS);
    tiny_tweak t = {.name = CTX, .emit = ctx_63};
    gb *b = tiny_model(&t);
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    slm_model *m = NULL;
    slm_session *s = NULL;
    slm_error e = SLM_ERROR_INIT;
    assert_int_equal(slm_model_open_memory(bytes, size, NULL, &m, &e), SLM_OK);
    slm_cache_options o = {.struct_size = sizeof o}; /* the default stays small */
    slm_plan plan = {.struct_size = sizeof plan};
    assert_int_equal(slm_cache_plan(m, &o, &plan, &e), SLM_OK);
    assert_true(plan.total_bytes < 64u << 20);
    o.n_ctx = INT32_MAX; /* and an absurd one is refused with the bytes needed */
    assert_int_equal(slm_session_open(m, &o, &s, &e), SLM_ERR_NOMEM);
    assert_non_null(strstr(e.message, "bytes"));
    slm_model_close(&m);
    gb_free(b);
}

/* 40: experts */
REPLACED(experts_used, gb_kv_u32(b, "llama.expert_used_count", 2))
REPLACED(experts_8, gb_kv_u32(b, "llama.expert_count", 8))
REPLACED(experts_big, gb_kv_u32(b, "llama.expert_count", 1u << 31))
/* 41: window */
REPLACED(pattern_0, gb_kv_u32(b, "llama.attention.sliding_window_pattern", 0))
static void line_40_and_41(void **state) {
    (void)state;
    add(experts_used, SLM_ERR_RANGE, PARTS("expert_used_count", "2"));
    add(experts_8, SLM_ERR_UNSUP, PARTS("expert_count", "8"));
    add(experts_big, SLM_ERR_RANGE, PARTS("expert_count", "2147483648"));
    add(pattern_0, SLM_ERR_RANGE, PARTS("sliding_window_pattern", "0"));
}

/* 61: each required tensor removed in turn; 63: each of another shape */
static const char *const tensors[] = {
    "token_embd.weight", "blk.0.attn_norm.weight", "blk.0.attn_q.weight", "blk.1.attn_k.weight",
    "blk.1.attn_v.weight", "blk.0.attn_output.weight", "blk.1.ffn_norm.weight",
    "blk.0.ffn_gate.weight", "blk.1.ffn_up.weight", "blk.0.ffn_down.weight", "output_norm.weight",
};
static const uint64_t shapes[][2] = {{32, 264}, {32, 1}, {32, 32}, {32, 16}, {32, 16}, {32, 32},
                                     {32, 1},   {32, 64}, {32, 64}, {64, 32}, {32, 1}};
static size_t current;
static int variant;
static void other_shape(gb *b) {
    uint64_t ne[3] = {shapes[current][0], shapes[current][1], 2};
    uint32_t n_dims = ne[1] == 1 ? 1 : 2;
    switch (variant) {
    case 0: ne[0] -= 1; break;
    case 1: ne[0] += 1; break;
    case 2: ne[1] += 1; n_dims = 2; break;
    case 3: n_dims = 3; break;
    default: { uint64_t t = ne[0]; ne[0] = ne[1]; ne[1] = t; n_dims = 2; break; }
    }
    gb_tensor(b, tensors[current], 0, n_dims, ne, NULL);
}
static void line_61_and_63(void **state) {
    (void)state;
    for (current = 0; current < sizeof tensors / sizeof tensors[0]; current++) {
        refuse(tensors[current], nothing, SLM_ERR_MISSING, PARTS(tensors[current], "llama"));
        for (variant = 0; variant < 5; variant++) {
            if (variant == 4 && shapes[current][0] == shapes[current][1])
                continue; /* a square matrix transposed is the same shape */
            refuse(tensors[current], other_shape, SLM_ERR_SHAPE,
                   PARTS(tensors[current], "got shape [", "wanted ["));
        }
    }
}

/* 62: a tensor that no family knows */
static void extra_tensor(gb *b) {
    gb_tensor_random(b, "token_embd.weight", 2, (const uint64_t[]){32, 264}, 0.2f, 9);
    gb_tensor_random(b, "blk.0.surprise.weight", 1, (const uint64_t[]){5}, 0.2f, 9);
    gb_tensor_random(b, "blk.1.surprise.weight", 1, (const uint64_t[]){5}, 0.2f, 9);
}
static void line_62(void **state) {
    (void)state;
    tiny_tweak t = {.name = "token_embd.weight", .emit = extra_tensor};
    expect(__LINE__, &t, 0, SLM_OK, NO_PARTS);
    assert_non_null(strstr(warnings, "blk.0.surprise.weight"));
    assert_ptr_equal(strchr(warnings, '\n'), warnings + strlen(warnings) - 1); /* one line */
    expect(__LINE__, &t, SLM_MODEL_STRICT, SLM_ERR_UNSUP, PARTS("blk.0.surprise.weight", "llama"));
}

/* 64: rows of the embedding and vocabulary */
REPLACED(embd_263, gb_tensor(b, "token_embd.weight", 0, 2, (const uint64_t[]){32, 263}, NULL))
REPLACED(embd_265, gb_tensor(b, "token_embd.weight", 0, 2, (const uint64_t[]){32, 265}, NULL))
REPLACED(vocab_size_wrong, gb_kv_u32(b, "llama.vocab_size", 263))
/* 65: an output matrix of its own, and of the wrong shape */
static void untied(gb *b) {
    gb_tensor_random(b, "output_norm.weight", 1, (const uint64_t[]){32}, 1.0f, 5);
    gb_tensor_random(b, "output.weight", 2, (const uint64_t[]){32, 264}, 0.2f, 5);
}
static void untied_wrong(gb *b) {
    gb_tensor_random(b, "output_norm.weight", 1, (const uint64_t[]){32}, 1.0f, 5);
    gb_tensor_random(b, "output.weight", 2, (const uint64_t[]){32, 260}, 0.2f, 5);
}
static void line_64_and_65(void **state) {
    (void)state;
    refuse("token_embd.weight", embd_263, SLM_ERR_SHAPE, PARTS("token_embd.weight", "263", "264"));
    refuse("token_embd.weight", embd_265, SLM_ERR_SHAPE, PARTS("token_embd.weight", "265", "264"));
    add(vocab_size_wrong, SLM_ERR_SHAPE, PARTS("vocab_size", "263", "264"));
    refuse("output_norm.weight", untied, SLM_OK, NO_PARTS);
    refuse("output_norm.weight", untied_wrong, SLM_ERR_SHAPE, PARTS("output.weight", "260", "264"));
}

/* 66: a norm in a block type */
REPLACED(norm_q8, gb_tensor(b, "output_norm.weight", SLM_DTYPE_Q8_0, 1, (const uint64_t[]){32}, NULL))
static void line_66(void **state) {
    (void)state;
    refuse("output_norm.weight", norm_q8, SLM_ERR_TYPE, PARTS("output_norm.weight", "Q8_0", "F32"));
}

/* 67: scales that are not numbers in the first, a middle and the last block */
static int bad_block;
static uint16_t bad_scale;
static void q8_with_bad_scale(gb *b) {
    uint8_t data[64][34];
    memset(data, 1, sizeof data);
    for (int i = 0; i < 64; i++)
        memcpy(data[i], &(uint16_t){0x2000}, 2);
    memcpy(data[bad_block], &bad_scale, 2);
    gb_tensor(b, "blk.0.ffn_up.weight", SLM_DTYPE_Q8_0, 2, (const uint64_t[]){32, 64}, data);
}
static void line_67(void **state) {
    (void)state;
    static const uint16_t scales[] = {0x7e00, 0x7c00, 0xfc00}; /* NaN, +inf, -inf */
    for (size_t i = 0; i < 3; i++)
        for (bad_block = 0; bad_block < 64; bad_block += bad_block == 0 ? 31 : 32) {
            char row[32];
            bad_scale = scales[i];
            snprintf(row, sizeof row, "row %d ", bad_block);
            tiny_tweak t = {.name = "blk.0.ffn_up.weight", .emit = q8_with_bad_scale};
            expect(__LINE__, &t, SLM_MODEL_CHECK_TENSORS, SLM_ERR_NUMERIC,
                   PARTS("blk.0.ffn_up.weight", row));
            if (scales[i] == 0x7e00) /* unchecked at opening, it is noticed when it shows */
                expect(__LINE__, &t, 0, SLM_ERR_NUMERIC, PARTS("not finite"));
        }
    tiny_tweak norm = {.name = "blk.1.attn_norm.weight", .fill = NAN};
    expect(__LINE__, &norm, 0, SLM_ERR_NUMERIC, PARTS("blk.1.attn_norm.weight", "element 0"));
}

/* 68: all zero, and as large as floats go */
static void line_68(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof tensors / sizeof tensors[0]; i++) {
        tiny_tweak zero = {.name = tensors[i], .fill = 0.0f};
        tiny_tweak huge = {.name = tensors[i], .fill = 3.4028234e38f};
        slm_error e = SLM_ERROR_INIT;
        assert_int_equal(try_model(&zero, 0, &e), SLM_OK);
        slm_status status = try_model(&huge, 0, &e);
        assert_true(status == SLM_OK || status == SLM_ERR_NUMERIC);
    }
}

/* 72: an adapter where a model is wanted */
static void line_72(void **state) {
    (void)state;
    gb *b = gb_begin();
    gb_kv_str(b, "general.type", "adapter");
    gb_kv_str(b, "general.architecture", "llama");
    gb_kv_str(b, "adapter.type", "lora");
    gb_kv_f32(b, "adapter.lora.alpha", 16.0f);
    gb_tensor_random(b, "blk.0.attn_q.weight.lora_a", 2, (const uint64_t[]){32, 4}, 0.1f, 1);
    gb_tensor_random(b, "blk.0.attn_q.weight.lora_b", 2, (const uint64_t[]){4, 32}, 0.1f, 2);
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    slm_model *m = NULL;
    slm_error e = SLM_ERROR_INIT;
    assert_int_equal(slm_model_open_memory(bytes, size, NULL, &m, &e), SLM_ERR_UNSUP);
    assert_non_null(strstr(e.message, "adapter"));
    assert_null(m);
    gb_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_model_itself), cmocka_unit_test(line_28),
        cmocka_unit_test(line_29_and_42),   cmocka_unit_test(line_30),
        cmocka_unit_test(line_31),          cmocka_unit_test(line_32_to_35),
        cmocka_unit_test(line_36_and_37),
        cmocka_unit_test(line_38),          cmocka_unit_test(line_39),
        cmocka_unit_test(line_40_and_41),   cmocka_unit_test(line_61_and_63),
        cmocka_unit_test(line_62),          cmocka_unit_test(line_64_and_65),
        cmocka_unit_test(line_66),          cmocka_unit_test(line_67),
        cmocka_unit_test(line_68),          cmocka_unit_test(line_72),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
