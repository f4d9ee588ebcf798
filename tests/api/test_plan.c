/* The plan of memory against what is asked of the allocator, on a tiny model with a vocabulary of
 * full size, where the rows of logits are most of it. */
#include "api/tiny_open.h"
#include "support/fail_alloc.h"

#define N_TOKENS 200000u
#define SLACK (2 << 20)

/* The file at an address that may be used in place. */
static uint8_t *file;
static size_t file_size;

static int make_file(void **state) {
    (void)state;
    static char text[N_TOKENS][12];
    static const char *names[N_TOKENS];
    static float scores[N_TOKENS];
    static int32_t types[N_TOKENS];
    for (uint32_t i = 0; i < N_TOKENS; i++) {
        names[i] = text[i];
        scores[i] = -(float)i;
        types[i] = i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1;
        if (i < 3 || i > 258)
            snprintf(text[i], sizeof text[i], i < 3 ? "<%u>" : "w%x", i);
        else
            snprintf(text[i], sizeof text[i], "<0x%02X>", i - 3);
    }
    gb *b = gb_begin();
    gb_kv_str(b, "general.architecture", "llama");
    gb_kv_u32(b, "llama.block_count", 1);
    gb_kv_u32(b, "llama.context_length", 4096);
    gb_kv_u32(b, "llama.embedding_length", 32);
    gb_kv_u32(b, "llama.feed_forward_length", 64);
    gb_kv_u32(b, "llama.attention.head_count", 2);
    gb_kv_u32(b, "llama.attention.head_count_kv", 1);
    gb_kv_f32(b, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    gb_kv_str(b, "tokenizer.ggml.model", "llama");
    gb_kv_arr_str(b, "tokenizer.ggml.tokens", names, N_TOKENS);
    gb_kv_arr_f32(b, "tokenizer.ggml.scores", scores, N_TOKENS);
    gb_kv_arr_i32(b, "tokenizer.ggml.token_type", types, N_TOKENS);
    static const struct {
        const char *name;
        uint32_t n_dims;
        uint64_t ne[2];
    } tensors[] = {
        {"token_embd.weight", 2, {32, N_TOKENS}},   {"blk.0.attn_norm.weight", 1, {32, 1}},
        {"blk.0.attn_q.weight", 2, {32, 32}},       {"blk.0.attn_k.weight", 2, {32, 16}},
        {"blk.0.attn_v.weight", 2, {32, 16}},       {"blk.0.attn_output.weight", 2, {32, 32}},
        {"blk.0.ffn_norm.weight", 1, {32, 1}},      {"blk.0.ffn_gate.weight", 2, {32, 64}},
        {"blk.0.ffn_up.weight", 2, {32, 64}},       {"blk.0.ffn_down.weight", 2, {64, 32}},
        {"output_norm.weight", 1, {32, 1}}};
    for (size_t i = 0; i < sizeof tensors / sizeof tensors[0]; i++)
        gb_tensor_random(b, tensors[i].name, tensors[i].n_dims, tensors[i].ne, 0.3f, i);
    const uint8_t *bytes = gb_finish(b, &file_size);
    file = aligned_alloc(64, (file_size + 63) / 64 * 64);
    assert_non_null(file);
    memcpy(file, bytes, file_size);
    gb_free(b);
    return 0;
}

static int drop_file(void **state) {
    (void)state;
    free(file);
    return 0;
}

/* Opens everything with these options and compares. */
static void compare(slm_load load, const slm_cache_options *co, const slm_sampling *sampling,
                    int64_t more) {
    static const int32_t ids[] = {1, 300, 70000, 199999};
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator allocator = fail_alloc_start(&fa);
    slm_model_options mo = {.struct_size = sizeof mo, .load = load, .allocator = &allocator};
    slm_generate_options go = {.struct_size = sizeof go, .sampling = sampling, .max_tokens = 2};
    slm_plan plan = {.struct_size = sizeof plan}, done = {.struct_size = sizeof done};
    slm_model *m = NULL;
    slm_cache *c = NULL;
    slm_session *s = NULL;
    slm_generator *g = NULL;
    slm_event ev = {.struct_size = sizeof ev};
    OK(slm_model_open_memory(file, file_size, &mo, &m, &golden_err));
    OK(slm_cache_plan(m, co, &plan, &golden_err));
    OK(slm_cache_open(m, co, &c, &golden_err));
    OK(slm_cache_get_plan(c, &done, &golden_err));
    assert_memory_equal(&plan, &done, END(slm_plan, n_threads));
    assert_true(plan.total_bytes == plan.weights_mapped + plan.weights_allocated +
                                        plan.model_bytes + plan.kv_bytes + plan.scratch_bytes);
    assert_int_equal(load == SLM_LOAD_READ ? plan.weights_allocated : plan.weights_mapped,
                     file_size);
    int64_t planned = (int64_t)(plan.total_bytes - plan.weights_mapped);
    assert_int_equal(fa.bytes, planned); /* to the byte, as long as nothing generates */
    OK(slm_session_open_on(c, NULL, &s, &golden_err));
    OK(slm_session_eval(s, ids, 4, SLM_LOGITS_LAST, &golden_err));
    assert_int_equal(fa.bytes, planned);
    assert_true(fa.peak - planned < SLACK);
    OK(slm_generate_begin(s, &go, &g, &golden_err));
    assert_in_range(fa.bytes - planned, 1, (uint64_t)more);
    do
        OK(slm_generate_next(g, &ev, &golden_err));
    while (ev.type != SLM_EVENT_END);
    assert_in_range(fa.bytes - planned, 1, (uint64_t)more);
    assert_true(fa.peak - planned < SLACK);
    slm_generate_end(&g);
    assert_int_equal(fa.bytes, planned);
    slm_session_close(&s);
    slm_cache_close(&c);
    slm_model_close(&m);
    assert_int_equal(fa.outstanding, 0);
}

static void bytes_are_those_planned(void **state) {
    (void)state;
    static const int64_t kilobytes = 64 << 10, all_tokens = 8 * N_TOKENS + (64 << 10);
    slm_cache_options co = {.struct_size = sizeof co, .n_threads = 1};
    compare(SLM_LOAD_MAP, NULL, NULL, kilobytes);
    compare(SLM_LOAD_READ, &co, NULL, kilobytes);
    co.max_sessions = 4;
    co.max_logits = 8;
    co.kv_type = SLM_KV_F32;
    compare(SLM_LOAD_MAP, &co, NULL, kilobytes);
    slm_sampling penalties = {.struct_size = sizeof penalties};
    OK(slm_sampling_init(&penalties));
    penalties.repeat_penalty = 1.1f;
    penalties.dry_multiplier = 0.8f;
    penalties.penalty_last_n = -1;
    compare(SLM_LOAD_MAP, &co, &penalties, all_tokens);
}

/* A refusal names the bytes that the plan names, and what it leaves fits a smaller cache. */
static void limits(void **state) {
    (void)state;
    slm_model_options mo = {.struct_size = sizeof mo};
    slm_cache_options co = {.struct_size = sizeof co, .n_threads = 1};
    slm_plan plan = {.struct_size = sizeof plan};
    slm_model *m = NULL;
    slm_cache *c = NULL;
    OK(slm_model_open_memory(file, file_size, NULL, &m, &golden_err));
    OK(slm_cache_plan(m, &co, &plan, &golden_err));
    slm_model_close(&m);
    for (int short_by = 0; short_by < 2; short_by++) { /* just enough, and a byte less */
        mo.memory_limit = plan.total_bytes - (uint64_t)short_by;
        OK(slm_model_open_memory(file, file_size, &mo, &m, &golden_err));
        if (short_by == 0) {
            OK(slm_cache_open(m, &co, &c, &golden_err));
        } else {
            char needed[32];
            snprintf(needed, sizeof needed, "%llu bytes",
                     (unsigned long long)(plan.kv_bytes + plan.scratch_bytes));
            REFUSED(slm_cache_open(m, &co, &c, &golden_err), SLM_ERR_NOMEM, "memory_limit");
            assert_non_null(strstr(golden_err.message, needed));
            assert_null(c);
            slm_cache_options less = co;
            less.n_ctx = 1024;
            OK(slm_cache_open(m, &less, &c, &golden_err));
        }
        slm_cache_close(&c);
        slm_model_close(&m);
    }
    mo.memory_limit = file_size; /* and nothing for what is made of it */
    REFUSED(slm_model_open_memory(file, file_size, &mo, &m, &golden_err), SLM_ERR_NOMEM);
    assert_null(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_those_planned),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, make_file, drop_file);
}
