/* Damage without aim to whole models: every prefix and changed bytes of small ones, opened from
 * memory. Whatever comes of it, it is a status with a message, nothing leaks, and it costs little.
 */
#define _XOPEN_SOURCE 700
#include "slm.h"
#include "base/file.h"
#include "base/rng.h"
#include "support/fail_alloc.h"
#include "support/gguf_builder.h"
#include "support/message_flaw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { WIDTH = 8, FF = 8, HEAD = 4, TOKENS = 8 };

static void u32(gb *b, const char *arch, const char *suffix, uint32_t value) {
    char key[64];
    snprintf(key, sizeof key, "%s.%s", arch, suffix);
    gb_kv_u32(b, key, value);
}

static void f32(gb *b, const char *arch, const char *suffix, float value) {
    char key[64];
    snprintf(key, sizeof key, "%s.%s", arch, suffix);
    gb_kv_f32(b, key, value);
}

static void vector(gb *b, const char *name, uint64_t n) {
    gb_tensor_random(b, name, 1, &n, 1, n);
}

static void matrix(gb *b, const char *name, uint64_t n_in, uint64_t n_out) {
    gb_tensor_random(b, name, 2, (uint64_t[]){n_in, n_out}, 0.2f, n_out);
}

static void sentence_piece(gb *b) {
    static const char *const tokens[TOKENS] = {"<unk>", "<s>", "</s>",         "a",
                                               "b",     "ab",  "\xe2\x96\x81", "<|user|>"};
    static const int32_t types[TOKENS] = {2, 3, 3, 1, 1, 1, 1, 4};
    static const float scores[TOKENS] = {0, 0, 0, -3, -4, -1, -2, 0};
    gb_kv_str(b, "tokenizer.ggml.model", "llama");
    gb_kv_arr_str(b, "tokenizer.ggml.tokens", tokens, TOKENS);
    gb_kv_arr_f32(b, "tokenizer.ggml.scores", scores, TOKENS);
    gb_kv_arr_i32(b, "tokenizer.ggml.token_type", types, TOKENS);
    gb_kv_u32(b, "tokenizer.ggml.eos_token_id", 2);
    gb_kv_bool(b, "tokenizer.ggml.add_bos_token", 1);
}

static void byte_level(gb *b) {
    static const char *const tokens[TOKENS] = {"?",  "a",   "b",       "ab",
                                               "ba", "aba", "<|bos|>", "<|im_end|>"};
    static const int32_t types[TOKENS] = {2, 1, 1, 1, 1, 1, 3, 3};
    static const char *const merges[] = {"a b", "b a", "ab a"};
    gb_kv_str(b, "tokenizer.ggml.model", "gpt2");
    gb_kv_str(b, "tokenizer.ggml.pre", "qwen2");
    gb_kv_arr_str(b, "tokenizer.ggml.tokens", tokens, TOKENS);
    gb_kv_arr_i32(b, "tokenizer.ggml.token_type", types, TOKENS);
    gb_kv_arr_str(b, "tokenizer.ggml.merges", merges, 3);
    gb_kv_u32(b, "tokenizer.ggml.bos_token_id", 6);
    gb_kv_u32(b, "tokenizer.ggml.unknown_token_id", 0);
}

/* One layer of the family. */
static gb *small(const char *arch) {
    int phi3 = strcmp(arch, "phi3") == 0, qwen3 = strcmp(arch, "qwen3") == 0;
    gb *b = gb_begin();
    gb_kv_str(b, "general.architecture", arch);
    u32(b, arch, "block_count", 1);
    u32(b, arch, "context_length", 64);
    u32(b, arch, "embedding_length", WIDTH);
    u32(b, arch, "feed_forward_length", FF);
    u32(b, arch, "attention.head_count", 2);
    u32(b, arch, "attention.head_count_kv", 1);
    u32(b, arch, "attention.key_length", HEAD);
    f32(b, arch, "attention.layer_norm_rms_epsilon", 1e-5f);
    f32(b, arch, "rope.freq_base", 10000);
    if (phi3) {
        u32(b, arch, "rope.scaling.original_context_length", 32);
        u32(b, arch, "attention.sliding_window", 5);
        gb_kv_str(b, "tokenizer.chat_template", "{{ '<|user|>' + content + '<|end|>' }}");
    }
    if (qwen3)
        byte_level(b);
    else
        sentence_piece(b);
    matrix(b, "token_embd.weight", WIDTH, TOKENS);
    vector(b, "blk.0.attn_norm.weight", WIDTH);
    if (phi3) {
        matrix(b, "blk.0.attn_qkv.weight", WIDTH, 4 * HEAD);
        matrix(b, "blk.0.ffn_up.weight", WIDTH, 2 * FF);
        gb_tensor(b, "rope_factors_short.weight", SLM_DTYPE_F32, 1, (uint64_t[]){HEAD / 2},
                  (float[]){1, 2});
        gb_tensor(b, "rope_factors_long.weight", SLM_DTYPE_F32, 1, (uint64_t[]){HEAD / 2},
                  (float[]){3, 4});
    } else {
        matrix(b, "blk.0.attn_q.weight", WIDTH, 2 * HEAD);
        matrix(b, "blk.0.attn_k.weight", WIDTH, HEAD);
        matrix(b, "blk.0.attn_v.weight", WIDTH, HEAD);
        matrix(b, "blk.0.ffn_gate.weight", WIDTH, FF);
        matrix(b, "blk.0.ffn_up.weight", WIDTH, FF);
    }
    if (qwen3) {
        vector(b, "blk.0.attn_q_norm.weight", HEAD);
        vector(b, "blk.0.attn_k_norm.weight", HEAD);
    }
    matrix(b, "blk.0.attn_output.weight", 2 * HEAD, WIDTH);
    vector(b, "blk.0.ffn_norm.weight", WIDTH);
    matrix(b, "blk.0.ffn_down.weight", FF, WIDTH);
    vector(b, "output_norm.weight", WIDTH);
    return b;
}

/* Uses what the vocabulary offers. */
static void use_text(const slm_model *m) {
    static const char text[] = "abba<|im_end|> \xff<|user|>\xc3\xa9";
    slm_span spans[] = {{text, sizeof text - 1, 1}, {text, sizeof text - 1, 0}};
    int32_t ids[128];
    char back[1024];
    size_t n = 0, len = 0;
    slm_error e = SLM_ERROR_INIT;
    slm_status status = slm_tokenize(m, spans, 2, SLM_BOS_DEFAULT, ids, 128, &n, &e);
    if (status != SLM_OK)
        fail_msg("%s", e.message);
    assert_in_range(n, 1, 128);
    status = slm_detokenize(m, ids, n, SLM_DETOKENIZE_SPECIAL, back, sizeof back, &len, &e);
    if (status != SLM_OK && status != SLM_ERR_LIMIT)
        fail_msg("%s", e.message);
}

static void use_weights(slm_model *m) {
    static const int32_t ids[] = {1, 3, 0, 4, 2, 5, 3, 3};
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = 16, .n_threads = 1};
    slm_model_info info = {.struct_size = sizeof info};
    slm_session *s = NULL;
    slm_error e = SLM_ERROR_INIT;
    assert_int_equal(slm_model_get_info(m, &info, &e), SLM_OK);
    if (info.n_ctx_train < 16)
        o.n_ctx = info.n_ctx_train;
    slm_status status = slm_session_open(m, &o, &s, &e);
    if (status == SLM_OK)
        status = slm_session_eval(s, ids, o.n_ctx < 8 ? o.n_ctx : 8, SLM_LOGITS_LAST, &e);
    if (status != SLM_OK && status != SLM_ERR_NUMERIC)
        fail_msg("%s", e.message);
    slm_session_close(&s);
}

static int is_outcome(slm_status s) {
    return s == SLM_OK || s == SLM_ERR_FORMAT || s == SLM_ERR_TRUNC || s == SLM_ERR_LIMIT ||
           s == SLM_ERR_TYPE || s == SLM_ERR_RANGE || s == SLM_ERR_SHAPE || s == SLM_ERR_MISSING ||
           s == SLM_ERR_DUP || s == SLM_ERR_UNSUP || s == SLM_ERR_NUMERIC;
}

/* The most that one opening and what is done afterwards may hold at a time, and take. */
#define MOST_BYTES ((int64_t)3 << 20)
#define MOST_NS    10000000000u

static slm_status open_and_use(const uint8_t *bytes, size_t size, uint32_t flags, slm_load load,
                               int evaluate) {
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator allocator = fail_alloc_start(&fa);
    slm_model_options o = {
        .struct_size = sizeof o, .flags = flags, .load = load, .allocator = &allocator};
    slm_model *m = (slm_model *)&fa;
    slm_error e = SLM_ERROR_INIT;
    uint64_t start = slm_now_ns();
    slm_status status = slm_model_open_memory(bytes, size, &o, &m, &e);
    if (!is_outcome(status) || (status != SLM_OK && (e.status != status || message_flaw(&e))))
        fail_msg("%s: %s", slm_status_name(status), e.message);
    assert_true((status == SLM_OK) == (m != NULL));
    if (m)
        use_text(m);
    if (m && evaluate && !(flags & SLM_MODEL_VOCAB_ONLY))
        use_weights(m);
    slm_model_close(&m);
    assert_true(fa.peak < MOST_BYTES);
    assert_true(slm_now_ns() - start < MOST_NS);
    assert_int_equal(fa.outstanding, 0);
    return status;
}

/* A copy as long as it is, so that a sanitizer sees each byte read beyond. */
static uint8_t *exact_copy(const uint8_t *bytes, size_t size) {
    void *copy = NULL;
    assert_int_equal(posix_memalign(&copy, 64, size > 0 ? size : 1), 0);
    memcpy(copy, bytes, size);
    return copy;
}

static void all_prefixes(const char *arch) {
    gb *b = small(arch);
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    for (uint32_t flags = 0; flags < 8; flags++) {
        uint8_t *whole = exact_copy(bytes, size);
        slm_status status = open_and_use(whole, size, flags, SLM_LOAD_AUTO, 1);
        assert_int_equal(status, SLM_OK);
        free(whole);
    }
    size_t n_ok = 0;
    for (size_t n = 0; n < size; n++) {
        uint8_t *part = exact_copy(bytes, n);
        assert_int_equal(open_and_use(part, n, 0, n & 1 ? SLM_LOAD_READ : SLM_LOAD_MAP, 0),
                         SLM_ERR_TRUNC);
        /* The vocabulary is whole before the tensors' data begin. */
        slm_status status = open_and_use(part, n, SLM_MODEL_VOCAB_ONLY, SLM_LOAD_AUTO, 0);
        assert_true(status == SLM_ERR_TRUNC || (status == SLM_OK && n > 1000));
        assert_true(status == SLM_OK || n_ok == 0);
        n_ok += status == SLM_OK;
        free(part);
    }
    assert_true(n_ok > 500);
    gb_free(b);
}

static void changed_bytes(const char *arch, int n_changes, uint64_t seed) {
    static const uint32_t flags[] = {0, SLM_MODEL_STRICT, SLM_MODEL_CHECK_TENSORS,
                                     SLM_MODEL_VOCAB_ONLY};
    gb *b = small(arch);
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    uint8_t *copy = exact_copy(bytes, size);
    uint64_t counts[64] = {0};
    slm_rng rng;
    slm_rng_seed(&rng, seed);
    for (int i = 0; i < n_changes; i++) {
        uint64_t random = slm_rng_next(&rng);
        size_t at = (size_t)((random >> 16) % size);
        copy[at] = (uint8_t)(bytes[at] ^ (1 + random % 255));
        counts[open_and_use(copy, size, flags[random >> 62], SLM_LOAD_AUTO, i % 64 == 0)]++;
        copy[at] = bytes[at];
    }
    assert_memory_equal(copy, bytes, size);
    /* Some of each, or the changes did not reach where they should. */
    static const slm_status all[] = {SLM_OK,          SLM_ERR_FORMAT, SLM_ERR_TRUNC, SLM_ERR_LIMIT,
                                     SLM_ERR_TYPE,    SLM_ERR_RANGE,  SLM_ERR_SHAPE, SLM_ERR_UNSUP,
                                     SLM_ERR_MISSING, SLM_ERR_NUMERIC};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (counts[all[i]] == 0)
            fail_msg("no change made %s", slm_status_name(all[i]));
    free(copy);
    gb_free(b);
}

static void prefixes(void **state) {
    (void)state;
    all_prefixes("llama");
    all_prefixes("phi3");
    all_prefixes("qwen3");
}

static void changes_to_a_sentence_piece_model(void **state) {
    (void)state;
    changed_bytes("llama", 100000, 1);
}

static void changes_to_a_model_of_long_rope(void **state) {
    (void)state;
    changed_bytes("phi3", 10000, 2);
}

static void changes_to_a_byte_level_model(void **state) {
    (void)state;
    changed_bytes("qwen3", 10000, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes),
        cmocka_unit_test(changes_to_a_sentence_piece_model),
        cmocka_unit_test(changes_to_a_model_of_long_rope),
        cmocka_unit_test(changes_to_a_byte_level_model),
    };
    return cmocka_run_group_tests_name("load_fault", tests, NULL, NULL);
}
