/* What opening a model refuses beyond the container: metadata that make no model. */
#include "model/load_expect.h"

#define KEY(name) "llama." name

static void the_model_itself(void **state) {
    (void)state;
    EXPECT(NULL, 0, SLM_OK);
    EXPECT(NULL, SLM_MODEL_STRICT | SLM_MODEL_CHECK_TENSORS, SLM_OK);
}

static void a_file_with_nothing_in_it(void **state) {
    (void)state;
    size_t size;
    gb *b = gb_begin();
    const uint8_t *bytes = gb_finish(b, &size);
    for (uint32_t flags = 0; flags <= SLM_MODEL_VOCAB_ONLY; flags++) {
        slm_error e = SLM_ERROR_INIT;
        slm_status status = try_bytes(bytes, size, flags, &e);
        check(__LINE__, status, &e, SLM_ERR_MISSING,
              (const char *const[]){"memory: key 'general.architecture' is missing", NULL});
    }
    gb_free(b);
}

static void bytes_after_the_last_tensor(void **state) {
    (void)state;
    size_t size;
    gb *b = tiny_model(NULL);
    gb_add_tail(b, 3);
    const uint8_t *bytes = gb_finish(b, &size);
    slm_error e = SLM_ERROR_INIT;
    assert_int_equal(try_bytes(bytes, size, 0, &e), SLM_OK);
    assert_non_null(strstr(warnings, "memory: 3 bytes follow the last tensor at byte "));
    assert_ptr_equal(strchr(warnings, '\n'), warnings + strlen(warnings) - 1); /* one line */
    check(__LINE__, try_bytes(bytes, size, SLM_MODEL_STRICT, &e), &e, SLM_ERR_FORMAT,
          (const char *const[]){"3 bytes follow the last tensor, wanted none", NULL});
    gb_free(b);
}

#define ARCH "general.architecture"
WRITES(nothing, (void)b)
WRITES(arch_u32, gb_kv_u32(b, ARCH, 3))
WRITES(arch_empty, gb_kv_str(b, ARCH, ""))
WRITES(arch_unknown, gb_kv_str(b, ARCH, "mamba\n2"))
static void arch_long(gb *b) {
    size_t n = 10u << 20;
    char *text = malloc(n);
    assert_non_null(text);
    memset(text, 'x', n);
    gb_kv_str_n(b, ARCH, text, n);
    free(text);
}

static void the_architecture(void **state) {
    (void)state;
    REFUSE(ARCH, nothing, SLM_ERR_MISSING, "memory: key 'general.architecture' is missing");
    REFUSE(ARCH, arch_u32, SLM_ERR_TYPE, "'general.architecture' is of type u32, wanted string");
    REFUSE(ARCH, arch_unknown, SLM_ERR_UNSUP, "general.architecture: got \"mamba\\x0a2\"",
           "wanted one of llama, phi3, qwen2, qwen3, bitnet-b1.58");
    REFUSE(ARCH, arch_empty, SLM_ERR_UNSUP, "general.architecture: got \"\", wanted one of");
    REFUSE(ARCH, arch_long, SLM_ERR_LIMIT,
           "general.architecture: got a name of 10485760 bytes, wanted at most 64");
    /* Its vocabulary is as good as another's. */
    EXPECT((&(tiny_tweak){.name = ARCH, .emit = arch_long}), SLM_MODEL_VOCAB_ONLY, SLM_OK);
}

#define BLOCKS KEY("block_count")
WRITES(blocks_0, gb_kv_u32(b, BLOCKS, 0))
WRITES(blocks_3, gb_kv_u32(b, BLOCKS, 3))
WRITES(blocks_1024, gb_kv_u32(b, BLOCKS, 1024))
WRITES(blocks_1025, gb_kv_u32(b, BLOCKS, 1025))
WRITES(blocks_100000, gb_kv_u32(b, BLOCKS, 100000))
WRITES(blocks_max, gb_kv_u32(b, BLOCKS, UINT32_MAX))
WRITES(blocks_text, gb_kv_str(b, BLOCKS, "2"))
WRITES(blocks_float, gb_kv_f32(b, BLOCKS, 2.0f))
WRITES(blocks_bool, gb_kv_bool(b, BLOCKS, 1))
WRITES(blocks_u8, gb_kv_u8(b, BLOCKS, 2))
WRITES(blocks_i64, gb_kv_i64(b, BLOCKS, 2))
WRITES(blocks_u64, gb_kv_u64(b, BLOCKS, 2))
WRITES(blocks_u64_big, gb_kv_u64(b, BLOCKS, (1ull << 32) + 2))
WRITES(blocks_negative, gb_kv_i32(b, BLOCKS, -1))

static void the_number_of_layers(void **state) {
    (void)state;
    REFUSE(BLOCKS, nothing, SLM_ERR_MISSING, "key 'llama.block_count' is missing");
    REFUSE(BLOCKS, blocks_0, SLM_ERR_RANGE, "key 'llama.block_count' is 0, wanted 1 to 1024");
    REFUSE(BLOCKS, blocks_3, SLM_ERR_MISSING, "tensor blk.2.attn_norm.weight is missing");
    REFUSE(BLOCKS, blocks_1024, SLM_ERR_MISSING, "tensor blk.2.attn_norm.weight is missing");
    REFUSE(BLOCKS, blocks_1025, SLM_ERR_RANGE, "'llama.block_count' is 1025, wanted 1 to 1024");
    REFUSE(BLOCKS, blocks_100000, SLM_ERR_RANGE, "'llama.block_count' is 100000, wanted 1 to");
    REFUSE(BLOCKS, blocks_max, SLM_ERR_RANGE, "'llama.block_count' is 4294967295, wanted 1 to");
    REFUSE(BLOCKS, blocks_negative, SLM_ERR_RANGE, "'llama.block_count' is -1, wanted 1 to");
    REFUSE(BLOCKS, blocks_text, SLM_ERR_TYPE, "is of type string, wanted an integer");
    REFUSE(BLOCKS, blocks_bool, SLM_ERR_TYPE, "is of type bool, wanted an integer");
    REFUSE(BLOCKS, blocks_float, SLM_ERR_TYPE, "is of type f32, wanted an integer");
    /* Any integer type whose value fits will do. */
    REFUSE(BLOCKS, blocks_u8, SLM_OK);
    REFUSE(BLOCKS, blocks_i64, SLM_OK);
    REFUSE(BLOCKS, blocks_u64, SLM_OK);
    REFUSE(BLOCKS, blocks_u64_big, SLM_ERR_RANGE, "is 4294967298, wanted 1 to 1024");
}

#define KV_HEADS KEY("attention.head_count_kv")
#define WIDTH KEY("embedding_length")
#define FF KEY("feed_forward_length")
WRITES(kv_array, gb_kv_arr_u32(b, KV_HEADS, (const uint32_t[]){1, 1}, 2))
WRITES(kv_array_1, gb_kv_arr_u32(b, KV_HEADS, (const uint32_t[]){1}, 1))
WRITES(kv_array_3, gb_kv_arr_u32(b, KV_HEADS, (const uint32_t[]){1, 1, 1}, 3))
WRITES(kv_array_none, gb_kv_arr_u32(b, KV_HEADS, NULL, 0))
WRITES(kv_array_zeros, gb_kv_arr_u32(b, KV_HEADS, (const uint32_t[]){0, 0}, 2))
WRITES(kv_array_mixed, gb_kv_arr_u32(b, KV_HEADS, (const uint32_t[]){1, 2}, 2))
WRITES(kv_array_floats, gb_kv_arr_f32(b, KV_HEADS, (const float[]){1, 1}, 2))
WRITES(ff_array, gb_kv_arr_i32(b, FF, (const int32_t[]){64, 64}, 2))
WRITES(ff_array_3, gb_kv_arr_i32(b, FF, (const int32_t[]){64, 64, 64}, 3))
WRITES(ff_array_negative, gb_kv_arr_i32(b, FF, (const int32_t[]){-1, -1}, 2))

static void counts_per_layer(void **state) {
    (void)state;
    REFUSE(KV_HEADS, kv_array, SLM_OK);
    REFUSE(KV_HEADS, kv_array_1, SLM_ERR_SHAPE, KV_HEADS ": got an array of 1, wanted one entry "
                                                         "for each of 2 layers");
    REFUSE(KV_HEADS, kv_array_3, SLM_ERR_SHAPE, KV_HEADS ": got an array of 3, wanted");
    REFUSE(KV_HEADS, kv_array_none, SLM_ERR_SHAPE, KV_HEADS ": got an array of 0, wanted");
    REFUSE(KV_HEADS, kv_array_zeros, SLM_ERR_RANGE, KV_HEADS ": got 0, wanted 1 to 2");
    REFUSE(KV_HEADS, kv_array_mixed, SLM_ERR_UNSUP, KV_HEADS ": layers differ (1 in layer 0, 2 in");
    REFUSE(KV_HEADS, kv_array_floats, SLM_ERR_TYPE,
           KV_HEADS ": got an array of f32, wanted u32 or i32");
    REFUSE(FF, ff_array, SLM_OK);
    REFUSE(FF, ff_array_3, SLM_ERR_SHAPE, FF ": got an array of 3, wanted one entry");
    REFUSE(FF, ff_array_negative, SLM_ERR_RANGE, FF ": got 4294967295, wanted 1 to 1048576");
}

WRITES(width_0, gb_kv_u32(b, WIDTH, 0))
WRITES(width_big, gb_kv_u32(b, WIDTH, 1u << 31))
WRITES(width_over, gb_kv_u32(b, WIDTH, (1u << 20) + 1))
WRITES(width_most, gb_kv_u32(b, WIDTH, 1u << 20))
WRITES(ff_0, gb_kv_u32(b, FF, 0))
WRITES(ff_big, gb_kv_u32(b, FF, 1u << 31))
WRITES(ff_most, gb_kv_u32(b, FF, 1u << 20))

static void the_widths(void **state) {
    (void)state;
    REFUSE(WIDTH, width_0, SLM_ERR_RANGE, "'llama.embedding_length' is 0, wanted 1 to 1048576");
    REFUSE(WIDTH, width_over, SLM_ERR_RANGE, "is 1048577, wanted 1 to 1048576");
    REFUSE(WIDTH, width_big, SLM_ERR_RANGE, "'llama.embedding_length' is 2147483648, wanted 1 to");
    REFUSE(WIDTH, width_most, SLM_ERR_SHAPE,
           "llama.embedding_length: got 1048576 with head_count 2",
           "wanted a multiple with heads of at most 1024");
    REFUSE(FF, ff_0, SLM_ERR_RANGE, "'llama.feed_forward_length' is 0, wanted 1 to 1048576");
    REFUSE(FF, ff_big, SLM_ERR_RANGE, "'llama.feed_forward_length' is 2147483648, wanted 1 to");
    REFUSE(FF, ff_most, SLM_ERR_SHAPE, "tensor blk.0.ffn_gate.weight: got shape [32, 64], wanted "
                                       "[32, 1048576]");
}

#define HEADS KEY("attention.head_count")
#define KEY_LENGTH KEY("attention.key_length")
#define VALUE_LENGTH KEY("attention.value_length")
WRITES(heads_0, gb_kv_u32(b, HEADS, 0))
WRITES(heads_max, gb_kv_u32(b, HEADS, UINT32_MAX))
WRITES(heads_3, gb_kv_u32(b, HEADS, 3))
WRITES(heads_32, gb_kv_u32(b, HEADS, 32))
WRITES(heads_4096, gb_kv_u32(b, HEADS, 4096))
WRITES(kv_0, gb_kv_u32(b, KV_HEADS, 0))
WRITES(kv_7, gb_kv_u32(b, KV_HEADS, 7))
WRITES(kv_64, gb_kv_u32(b, KV_HEADS, 64))
WRITES(key_0, gb_kv_u32(b, KEY_LENGTH, 0))
WRITES(key_big, gb_kv_u32(b, KEY_LENGTH, 1025))
WRITES(key_1024, gb_kv_u32(b, KEY_LENGTH, 1024))
WRITES(key_odd, gb_kv_u32(b, KEY_LENGTH, 15))
WRITES(key_16, gb_kv_u32(b, KEY_LENGTH, 16))
WRITES(value_0, gb_kv_u32(b, VALUE_LENGTH, 0))
WRITES(value_big, gb_kv_u32(b, VALUE_LENGTH, 1025))
WRITES(value_8, gb_kv_u32(b, VALUE_LENGTH, 8))
WRITES(value_16, gb_kv_u32(b, VALUE_LENGTH, 16))

static void the_heads(void **state) {
    (void)state;
    REFUSE(HEADS, nothing, SLM_ERR_MISSING, "key 'llama.attention.head_count' is missing");
    REFUSE(HEADS, heads_0, SLM_ERR_RANGE, "'llama.attention.head_count' is 0, wanted 1 to 4096");
    REFUSE(HEADS, heads_max, SLM_ERR_RANGE, "head_count' is 4294967295, wanted 1 to 4096");
    REFUSE(HEADS, heads_3, SLM_ERR_SHAPE,
           "llama.embedding_length: got 32 with head_count 3 and no key_length");
    REFUSE(KV_HEADS, kv_0, SLM_ERR_RANGE, "head_count_kv' is 0, wanted 1 to 2");
    REFUSE(KV_HEADS, kv_64, SLM_ERR_RANGE, "head_count_kv' is 64, wanted 1 to 2");
    tiny_tweak t = {.name = HEADS, .emit = heads_32, .name2 = KV_HEADS, .emit2 = kv_7};
    EXPECT(&t, 0, SLM_ERR_RANGE, KV_HEADS ": got 7, wanted a divisor of head_count = 32");
    t.emit2 = kv_64;
    EXPECT(&t, 0, SLM_ERR_RANGE, "head_count_kv' is 64, wanted 1 to 32");
    t.emit2 = kv_0;
    EXPECT(&t, 0, SLM_ERR_RANGE, "head_count_kv' is 0, wanted 1 to 32");
    ADD(key_16, SLM_OK);
    ADD(key_0, SLM_ERR_RANGE, "'llama.attention.key_length' is 0, wanted 1 to 1024");
    ADD(key_big, SLM_ERR_RANGE, "'llama.attention.key_length' is 1025, wanted 1 to 1024");
    ADD(key_odd, SLM_ERR_RANGE, KEY("rope.dimension_count") ": got 15, wanted an even number");
    ADD(value_16, SLM_OK);
    ADD(value_0, SLM_ERR_RANGE, "'llama.attention.value_length' is 0, wanted 1 to 1024");
    ADD(value_big, SLM_ERR_RANGE, "'llama.attention.value_length' is 1025, wanted 1 to 1024");
    ADD(value_8, SLM_ERR_RANGE, VALUE_LENGTH ": got 8, wanted key_length = 16");
    tiny_tweak wide = {.name = HEADS, .emit = heads_4096, .extra = key_1024};
    EXPECT(&wide, 0, SLM_ERR_RANGE, HEADS ": got 4096 heads of 1024, wanted at most 1048576");
}

#define ROT KEY("rope.dimension_count")
#define SECTIONS KEY("rope.dimension_sections")
WRITES(rot_0, gb_kv_u32(b, ROT, 0))
WRITES(rot_odd, gb_kv_u32(b, ROT, 7))
WRITES(rot_big, gb_kv_u32(b, ROT, 18))
WRITES(rot_8, gb_kv_u32(b, ROT, 8))
WRITES(sections_half, gb_kv_arr_i32(b, SECTIONS, (const int32_t[]){2, 3, 3, 0}, 4))
WRITES(sections_over, gb_kv_arr_i32(b, SECTIONS, (const int32_t[]){2, 3, 4, 0}, 4))
WRITES(sections_negative, gb_kv_arr_i32(b, SECTIONS, (const int32_t[]){2, -1, 3, 0}, 4))
WRITES(sections_huge, gb_kv_arr_i32(b, SECTIONS, (const int32_t[]){INT32_MAX, INT32_MAX}, 2))
WRITES(sections_5, gb_kv_arr_i32(b, SECTIONS, (const int32_t[]){1, 1, 1, 1, 1}, 5))
WRITES(sections_text, gb_kv_str(b, SECTIONS, "2"))

static void the_rope_dimensions(void **state) {
    (void)state;
    ADD(rot_0, SLM_ERR_RANGE, "'llama.rope.dimension_count' is 0, wanted 2 to 16");
    ADD(rot_odd, SLM_ERR_RANGE, ROT ": got 7, wanted an even number up to 16");
    ADD(rot_big, SLM_ERR_RANGE, "'llama.rope.dimension_count' is 18, wanted 2 to 16");
    ADD(rot_8, SLM_OK);
    ADD(sections_half, SLM_OK);
    ADD(sections_over, SLM_ERR_RANGE, SECTIONS ": got 4 as section 2, wanted", "a sum up to 8");
    ADD(sections_negative, SLM_ERR_RANGE, SECTIONS ": got -1 as section 1, wanted 0 or more");
    ADD(sections_huge, SLM_ERR_RANGE, SECTIONS ": got 2147483647 as section 0");
    ADD(sections_5, SLM_ERR_SHAPE, SECTIONS ": got 5 sections, wanted at most 4");
    ADD(sections_text, SLM_ERR_TYPE, "is of type string, wanted array of i32");
}

/* A float under a key that may stand besides the others, and what is said of it. */
static const char *float_key;
static float float_value;
WRITES(a_float, gb_kv_f32(b, float_key, float_value))
WRITES(a_double, gb_kv_f64(b, float_key, (double)float_value))

static void refuse_floats(const char *key, int replaces, const char *wanted) {
    static const struct {
        float value;
        const char *text;
    } bad[] = {{0, "0"},      {-1, "-1"},          {NAN, "nan"},    {INFINITY, "inf"},
               {1e30f, "1e+30"}, {-INFINITY, "-inf"}, {-1e-5f, "-1e-05"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *text = say("memory: key '%s' is %s, wanted %s", key, bad[i].text, wanted);
        float_key = key;
        float_value = bad[i].value;
        for (int wide = 0; wide < 2; wide++) {
            void (*write)(gb *) = wide ? a_double : a_float;
            tiny_tweak t = {.extra = write};
            if (replaces)
                t = (tiny_tweak){.name = key, .emit = write};
            EXPECT(&t, 0, SLM_ERR_RANGE, text);
        }
    }
}

WRITES(base_int, gb_kv_u32(b, KEY("rope.freq_base"), 10000))
WRITES(scaling_odd, gb_kv_str(b, KEY("rope.scaling.type"), "su"))
WRITES(scaling_u32, gb_kv_u32(b, KEY("rope.scaling.type"), 1))
WRITES(original_0, gb_kv_u32(b, KEY("rope.scaling.original_context_length"), 0))

static void the_rope_scaling(void **state) {
    (void)state;
    refuse_floats(KEY("rope.freq_base"), 0, "0.001 to 1e+12");
    refuse_floats(KEY("rope.scaling.factor"), 0, "0.001 to 1e+06");
    refuse_floats(KEY("rope.scaling.attn_factor"), 0, "0.001 to 1000");
    ADD(base_int, SLM_ERR_TYPE, "is of type u32, wanted f32 or f64");
    ADD(scaling_odd, SLM_ERR_UNSUP, KEY("rope.scaling.type") ": got \"su\", wanted none, linear, "
                                                             "yarn or longrope");
    ADD(scaling_u32, SLM_ERR_TYPE, "is of type u32, wanted string");
    ADD(original_0, SLM_ERR_RANGE, "original_context_length' is 0, wanted 1 to 4294967295");
}

static void the_epsilon(void **state) {
    (void)state;
    const char *key = KEY("attention.layer_norm_rms_epsilon");
    REFUSE(key, nothing, SLM_ERR_MISSING, key, "is missing");
    refuse_floats(key, 1, "1e-12 to 0.1");
}

#define CTX KEY("context_length")
WRITES(ctx_0, gb_kv_u32(b, CTX, 0))
WRITES(ctx_32, gb_kv_u64(b, CTX, 1ull << 32))
WRITES(ctx_63, gb_kv_u64(b, CTX, 1ull << 63))
WRITES(ctx_max, gb_kv_u64(b, CTX, UINT64_MAX))
WRITES(ctx_text, gb_kv_str(b, CTX, "128"))

/* An absurd context loads, and costs nothing until somebody asks for it. */
static void plan_of_a_long_context(void (*write)(gb *)) {
    tiny_tweak t = {.name = CTX, .emit = write};
    gb *b = tiny_model(&t);
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    slm_model *m = NULL;
    slm_session *s = NULL;
    slm_error e = SLM_ERROR_INIT;
    assert_int_equal(slm_model_open_memory(bytes, size, NULL, &m, &e), SLM_OK);
    slm_cache_options o = {.struct_size = sizeof o};
    slm_plan plan = {.struct_size = sizeof plan};
    assert_int_equal(slm_cache_plan(m, &o, &plan, &e), SLM_OK);
    assert_true(plan.total_bytes < 64u << 20);
    o.n_ctx = INT32_MAX;
    assert_int_equal(slm_session_open(m, &o, &s, &e), SLM_ERR_NOMEM);
    assert_null(s);
    assert_null(message_flaw(&e));
    assert_non_null(strstr(e.message, "bytes"));
    o.n_ctx++;
    assert_int_equal(slm_session_open(m, &o, &s, &e), SLM_ERR_LIMIT);
    assert_null(s);
    assert_string_equal(e.message, "slm_cache_options.n_ctx: got 2147483648, wanted at most the "
                                   "model's 2147483647");
    slm_model_close(&m);
    gb_free(b);
}

static void the_context(void **state) {
    (void)state;
    REFUSE(CTX, nothing, SLM_ERR_MISSING, "key 'llama.context_length' is missing");
    REFUSE(CTX, ctx_text, SLM_ERR_TYPE, "is of type string, wanted an integer");
    REFUSE(CTX, ctx_0, SLM_ERR_RANGE, "'llama.context_length' is 0, wanted 1 to");
    REFUSE(CTX, ctx_32, SLM_OK);
    REFUSE(CTX, ctx_63, SLM_OK);
    plan_of_a_long_context(ctx_32);
    plan_of_a_long_context(ctx_63);
    plan_of_a_long_context(ctx_max);
}

#define EXPERTS KEY("expert_count")
#define USED KEY("expert_used_count")
WRITES(experts_0, gb_kv_u32(b, EXPERTS, 0); gb_kv_u32(b, USED, 0))
WRITES(experts_used, gb_kv_u32(b, USED, 2))
WRITES(experts_9_of_8, gb_kv_u32(b, EXPERTS, 8); gb_kv_u32(b, USED, 9))
WRITES(experts_8, gb_kv_u32(b, EXPERTS, 8); gb_kv_u32(b, USED, 2))
WRITES(experts_big, gb_kv_u32(b, EXPERTS, 1u << 31))
WRITES(experts_used_big, gb_kv_u32(b, USED, 1u << 31))
WRITES(experts_float, gb_kv_f32(b, EXPERTS, 8))

static void experts(void **state) {
    (void)state;
    ADD(experts_0, SLM_OK);
    ADD(experts_used, SLM_ERR_RANGE, USED ": got 2, wanted at most expert_count = 0");
    ADD(experts_9_of_8, SLM_ERR_RANGE, USED ": got 9, wanted at most expert_count = 8");
    ADD(experts_8, SLM_ERR_UNSUP, EXPERTS ": got 8, but mixtures of experts are not supported");
    ADD(experts_big, SLM_ERR_RANGE, "'llama.expert_count' is 2147483648, wanted 0 to 65536");
    ADD(experts_used_big, SLM_ERR_RANGE, "'llama.expert_used_count' is 2147483648, wanted 0 to");
    ADD(experts_float, SLM_ERR_TYPE, "is of type f32, wanted an integer");
}

WRITES(pattern_0, gb_kv_u32(b, KEY("attention.sliding_window_pattern"), 0))
WRITES(pattern_1, gb_kv_u32(b, KEY("attention.sliding_window_pattern"), 1))
WRITES(window_0, gb_kv_u32(b, "phi3.attention.sliding_window", 0))
WRITES(window_1, gb_kv_u32(b, "phi3.attention.sliding_window", 1))
WRITES(window_128, gb_kv_u32(b, "phi3.attention.sliding_window", 128))
WRITES(window_max, gb_kv_u32(b, "phi3.attention.sliding_window", UINT32_MAX))
WRITES(window_u64, gb_kv_u64(b, "phi3.attention.sliding_window", 1ull << 32))
WRITES(window_negative, gb_kv_i32(b, "phi3.attention.sliding_window", -1))
WRITES(window_float, gb_kv_f32(b, "phi3.attention.sliding_window", 4))

static void window_of(void (*write)(gb *), uint32_t wanted) {
    tiny_tweak t = {.arch = "phi3", .extra = write};
    gb *b = tiny_model(&t);
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    slm_model *m = NULL;
    slm_model_info info = {.struct_size = sizeof info};
    assert_int_equal(slm_model_open_memory(bytes, size, NULL, &m, NULL), SLM_OK);
    assert_int_equal(slm_model_get_info(m, &info, NULL), SLM_OK);
    assert_int_equal(info.sliding_window, wanted);
    slm_model_close(&m);
    gb_free(b);
    EXPECT(&t, 0, SLM_OK);
}

/* Files that are in use say 0 where there is no window, and a window beyond the context. */
static void windows(void **state) {
    (void)state;
    ADD(pattern_0, SLM_ERR_RANGE, "sliding_window_pattern' is 0, wanted 1 to 65536");
    ADD(pattern_1, SLM_OK);
    window_of(window_0, 0);
    window_of(window_1, 1);
    window_of(window_128, 0);
    window_of(window_max, 0);
    tiny_tweak t = {.arch = "phi3", .extra = window_u64};
    EXPECT(&t, 0, SLM_ERR_RANGE, "'phi3.attention.sliding_window' is 4294967296, wanted 0 to");
    t.extra = window_negative;
    EXPECT(&t, 0, SLM_ERR_RANGE, "'phi3.attention.sliding_window' is -1, wanted 0 to");
    t.extra = window_float;
    EXPECT(&t, 0, SLM_ERR_TYPE, "is of type f32, wanted an integer");
}

WRITES(vocab_size_263, gb_kv_u32(b, KEY("vocab_size"), 263))
WRITES(vocab_size_264, gb_kv_u32(b, KEY("vocab_size"), 264))
WRITES(vocab_size_0, gb_kv_u32(b, KEY("vocab_size"), 0))

static void the_size_of_the_vocabulary(void **state) {
    (void)state;
    ADD(vocab_size_264, SLM_OK);
    ADD(vocab_size_263, SLM_ERR_SHAPE, KEY("vocab_size") ": got 263, wanted 264, the number of");
    ADD(vocab_size_0, SLM_ERR_RANGE, "'llama.vocab_size' is 0, wanted 1 to");
}

WRITES(two_tokens, gb_kv_arr_str(b, "tokenizer.ggml.tokens", (const char *const[]){"a", "b"}, 2))
WRITES(model_bert, gb_kv_str(b, "tokenizer.ggml.model", "bert"))
WRITES(bos_264, gb_kv_u32(b, "tokenizer.ggml.bos_token_id", 264))

/* That a model with a vocabulary that is none is refused like the vocabulary alone. */
static void the_vocabulary(void **state) {
    (void)state;
    const char *tokens = "tokenizer.ggml.tokens";
    REFUSE(tokens, nothing, SLM_ERR_MISSING, "key 'tokenizer.ggml.tokens' is missing");
    REFUSE(tokens, two_tokens, SLM_ERR_SHAPE, "token_type' has 264 elements, wanted 2");
    REFUSE("tokenizer.ggml.model", model_bert, SLM_ERR_UNSUP,
           "tokenizer.ggml.model: got \"bert\", wanted gpt2 or llama");
    ADD(bos_264, SLM_ERR_RANGE, "'tokenizer.ggml.bos_token_id' is 264, wanted 0 to 263");
}

static void an_adapter_is_no_model(void **state) {
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
    slm_error e = SLM_ERROR_INIT;
    check(__LINE__, try_bytes(bytes, size, 0, &e), &e, SLM_ERR_UNSUP,
          (const char *const[]){"general.type: got \"adapter\", wanted a file that holds a model",
                                NULL});
    gb_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_model_itself),
        cmocka_unit_test(a_file_with_nothing_in_it),
        cmocka_unit_test(bytes_after_the_last_tensor),
        cmocka_unit_test(the_architecture),
        cmocka_unit_test(the_number_of_layers),
        cmocka_unit_test(counts_per_layer),
        cmocka_unit_test(the_widths),
        cmocka_unit_test(the_heads),
        cmocka_unit_test(the_rope_dimensions),
        cmocka_unit_test(the_rope_scaling),
        cmocka_unit_test(the_epsilon),
        cmocka_unit_test(the_context),
        cmocka_unit_test(experts),
        cmocka_unit_test(windows),
        cmocka_unit_test(the_size_of_the_vocabulary),
        cmocka_unit_test(the_vocabulary),
        cmocka_unit_test(an_adapter_is_no_model),
    };
    return cmocka_run_group_tests_name("load_bad", tests, NULL, NULL);
}
