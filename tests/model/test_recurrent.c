/* Sessions with recurrent state: checkpoints and what going back to them costs, the memory planned for
 * them, the second half of a model that prompts leave out, and files that are refused. That results
 * are the same bits whatever a session has been through is for test_equivalence.c and for the random
 * walks here. */
#include "golden.h"

#include "support/fail_alloc.h"

#define DIR      "golden-sambay/phi4flash-like:"
#define GGUF     "phi4flash-like-f32.gguf"
#define N_TOKENS 512u
#define END(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

static slm_model *model;
static size_t n_vocab;
static int32_t ids[N_TOKENS];

static int open_model(void **state) {
    (void)state;
    slm_model_info info = {.struct_size = sizeof info};
    model = golden_open(DIR, GGUF, 0);
    OK(slm_model_get_info(model, &info, &golden_err));
    n_vocab = info.n_vocab;
    uint32_t x = 4711;
    for (size_t i = 0; i < N_TOKENS; i++) {
        x = x * 1664525u + 1013904223u;
        ids[i] = (int32_t)((x >> 8) % n_vocab);
    }
    return 0;
}

static int close_model(void **state) {
    (void)state;
    slm_model_close(&model);
    return 0;
}

static slm_cache_options options(uint32_t n_checkpoints) {
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = N_TOKENS, .n_threads = 1,
                           .page_tokens = 16, .max_rows = 32, .n_checkpoints = n_checkpoints,
                           .max_sessions = 3, .kv_type = SLM_KV_F32};
    return o;
}

static uint64_t reevaluated(const slm_session *s) {
    slm_session_info info = {.struct_size = sizeof info};
    OK(slm_session_get_info(s, &info, &golden_err));
    return info.n_reevaluated;
}

static void eval(slm_session *s, const int32_t *tokens, size_t n) {
    OK(slm_session_eval(s, tokens, n, SLM_LOGITS_NONE, &golden_err));
}

/* Logits behind `tokens` of a session that has seen nothing else. */
static float *fresh_logits(const int32_t *tokens, size_t n) {
    slm_cache_options o = options(1);
    slm_session *s = NULL;
    const float *row;
    float *out = malloc(n_vocab * sizeof *out);
    assert_non_null(out);
    o.max_sessions = 1;
    OK(slm_session_open(model, &o, &s, &golden_err));
    OK(slm_session_eval(s, tokens, n, SLM_LOGITS_LAST, &golden_err));
    OK(slm_session_get_logits(s, 0, &row, &golden_err));
    memcpy(out, row, n_vocab * sizeof *out);
    slm_session_close(&s);
    return out;
}

/* ---------------------------------------------------------------- checkpoints ---------------- */

/* Where an evaluation of several tokens begins or ends, going back costs nothing. */
static void turns_are_boundaries(void **state) {
    (void)state;
    slm_cache_options o = options(0);
    slm_session *s = NULL;
    OK(slm_session_open(model, &o, &s, &golden_err));
    eval(s, ids, 100);
    for (size_t i = 100; i < 110; i++)
        eval(s, ids + i, 1); /* an answer */
    eval(s, ids + 300, 20);  /* the next turn, too early */
    OK(slm_session_truncate(s, 110, &golden_err));
    eval(s, ids + 110, 1);
    assert_int_equal(reevaluated(s), 0);
    OK(slm_session_truncate(s, 100, &golden_err));
    eval(s, ids + 100, 1);
    assert_int_equal(reevaluated(s), 0);
    OK(slm_session_truncate(s, 99, &golden_err));
    eval(s, ids + 99, 1);
    assert_int_equal(reevaluated(s), 99 - 64); /* the last checkpoint before */
    slm_session_close(&s);
}

/* A prompt that keeps its beginning and changes the rest: from the second change on, all of the
 * beginning is used again. */
static void prompts_share_their_beginning(void **state) {
    (void)state;
    slm_cache_options o = options(0);
    slm_session *s = NULL;
    slm_prompt_report report = {.struct_size = sizeof report};
    int32_t prompt[150];
    OK(slm_session_open(model, &o, &s, &golden_err));
    for (int turn = 0; turn < 4; turn++) {
        memcpy(prompt, ids, sizeof prompt);
        prompt[90] = ids[90] + (turn % 2 ? 1 : -1);
        OK(slm_session_prompt(s, prompt, 150, &report, &golden_err));
        assert_int_equal(report.n_reused, turn == 0 ? 0 : turn == 1 ? 64 : 90);
        assert_int_equal(report.n_evaluated, 150 - report.n_reused);
        assert_int_equal(report.reuse_stop, turn == 0 ? SLM_REUSE_ALL : SLM_REUSE_TOKEN);
        float *want = fresh_logits(prompt, 150);
        const float *row;
        OK(slm_session_get_logits(s, 0, &row, &golden_err));
        assert_memory_equal(row, want, n_vocab * sizeof *row);
        free(want);
    }
    slm_session_close(&s);
}

/* However few checkpoints are kept of a long answer, going back d tokens evaluates not many more than
 * d again, or the distance of two checkpoints. */
static void going_back_costs_in_proportion(void **state) {
    (void)state;
    slm_plan plan = {.struct_size = sizeof plan};
    slm_cache_options o = options(4);
    slm_session *s = NULL, *f = NULL;
    OK(slm_cache_plan(model, &o, &plan, &golden_err));
    assert_int_equal(plan.checkpoint_tokens, 64);
    slm_cache *cache = NULL;
    OK(slm_cache_open(model, &o, &cache, &golden_err));
    OK(slm_session_open_on(cache, NULL, &s, &golden_err));
    for (size_t i = 0; i < 500; i++)
        eval(s, ids + i, 1);
    for (size_t back = 1; back < 500; back += 7) {
        OK(slm_session_fork(s, &f, &golden_err));
        OK(slm_session_truncate(f, 500 - back, &golden_err));
        eval(f, ids, 1);
        assert_in_range(reevaluated(f), 0, plan.checkpoint_tokens + 2 * back);
        slm_session_close(&f);
    }
    assert_int_equal(reevaluated(s), 0);
    slm_session_close(&s);
    slm_cache_close(&cache);
}

/* Logits that were not kept cost the way from the last checkpoint, and are the same. */
static void logits_once_more(void **state) {
    (void)state;
    slm_cache_options o = options(0);
    slm_session *s = NULL;
    const float *row;
    OK(slm_session_open(model, &o, &s, &golden_err));
    eval(s, ids, 70);
    OK(slm_session_eval(s, NULL, 0, SLM_LOGITS_LAST, &golden_err));
    OK(slm_session_get_logits(s, 0, &row, &golden_err));
    float *want = fresh_logits(ids, 70);
    assert_memory_equal(row, want, n_vocab * sizeof *row);
    assert_int_equal(reevaluated(s), 70 - 64);
    free(want);
    slm_session_close(&s);
}

/* ---------------------------------------------------------------- on request ----------------- */

/* Takes a copy of the session back to n tokens; returns how many were evaluated again for the next. */
static uint64_t cost_of_going_to(slm_session *s, size_t n) {
    slm_session *f = NULL;
    OK(slm_session_fork(s, &f, &golden_err));
    OK(slm_session_truncate(f, n, &golden_err));
    uint64_t before = reevaluated(f);
    eval(f, ids + n, 1);
    uint64_t cost = reevaluated(f) - before;
    slm_session_close(&f);
    return cost;
}

static slm_session *open_in(slm_cache **cache, const slm_cache_options *o) {
    slm_session *s = NULL;
    OK(slm_cache_open(model, o, cache, &golden_err));
    OK(slm_session_open_on(*cache, NULL, &s, &golden_err));
    return s;
}

/* However long an answer becomes, the latest places that were asked for stay: half of four. The first
 * is then thinned like the others, and elsewhere going back still costs in proportion. */
static void places_asked_for_stay(void **state) {
    (void)state;
    static const size_t places[] = {21, 37, 150};
    slm_cache_options o = options(4);
    slm_cache *cache = NULL;
    slm_session *s = open_in(&cache, &o);
    for (size_t i = 0, p = 0; i < 500; i++) {
        if (p < 3 && i == places[p]) {
            OK(slm_session_checkpoint(s, &golden_err));
            OK(slm_session_checkpoint(s, &golden_err)); /* once more is no other */
            p++;
        }
        eval(s, ids + i, 1);
    }
    assert_int_equal(cost_of_going_to(s, 37), 0);
    assert_int_equal(cost_of_going_to(s, 150), 0);
    assert_int_equal(cost_of_going_to(s, 21), 21); /* from the beginning */
    for (size_t back = 1; back < 340; back += 13)
        assert_in_range(cost_of_going_to(s, 500 - back), 0, 128 + 4 * back);
    slm_session_close(&s);
    slm_cache_close(&cache);
}

/* A single one follows the text, asked for or not; and behind a cut what is missing is evaluated
 * first, with the bits that it would have had. */
static void asked_for_where_little_is_kept(void **state) {
    (void)state;
    const float *row;
    slm_cache_options o = options(1);
    slm_cache *cache = NULL;
    slm_session *s = open_in(&cache, &o);
    OK(slm_session_checkpoint(s, &golden_err)); /* of nothing there is none */
    for (size_t i = 0; i < 100; i++)
        eval(s, ids + i, 1);
    OK(slm_session_truncate(s, 90, &golden_err));
    OK(slm_session_checkpoint(s, &golden_err));
    assert_int_equal(reevaluated(s), 90 - 64);
    assert_int_equal(cost_of_going_to(s, 90), 0);
    for (size_t i = 90; i < 130; i++)
        eval(s, ids + i, 1);
    assert_int_equal(cost_of_going_to(s, 128), 0); /* the one at 90 has given way */
    assert_int_equal(cost_of_going_to(s, 91), 91);
    OK(slm_session_eval(s, NULL, 0, SLM_LOGITS_LAST, &golden_err));
    OK(slm_session_checkpoint(s, &golden_err));
    OK(slm_session_get_logits(s, 0, &row, &golden_err)); /* they stay */
    float *want = fresh_logits(ids, 130);
    assert_memory_equal(row, want, n_vocab * sizeof *row);
    free(want);
    slm_session_close(&s);
    slm_cache_close(&cache);
}

/* ---------------------------------------------------------------- random walks --------------- */

typedef struct walker {
    slm_session *session;
    int32_t tokens[N_TOKENS];
    size_t n;
} walker;

static uint32_t random_state = 1;
static size_t below(size_t n) {
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

static void walk(slm_cache *cache, walker *all, size_t n_walkers) {
    walker *w = &all[below(n_walkers)];
    if (w->session == NULL) { /* as a fork, or from the beginning */
        const walker *from = &all[below(n_walkers)];
        if (from->session == NULL) {
            OK(slm_session_open_on(cache, NULL, &w->session, &golden_err));
            w->n = 0;
        } else {
            OK(slm_session_fork(from->session, &w->session, &golden_err));
            memcpy(w->tokens, from->tokens, sizeof w->tokens);
            w->n = from->n;
        }
        return;
    }
    size_t what = below(10), n = 1 + below(what < 6 ? 24 : 3);
    if (below(8) == 0)
        OK(slm_session_checkpoint(w->session, &golden_err));
    if (what == 9 && below(4) == 0) {
        slm_session_close(&w->session);
    } else if (what >= 8) {
        w->n = below(3) == 0 ? below(w->n + 1) : w->n - below(w->n < 20 ? w->n + 1 : 20);
        OK(slm_session_truncate(w->session, w->n, &golden_err));
    } else if (w->n + n <= N_TOKENS) {
        for (size_t i = 0; i < n; i++)
            w->tokens[w->n + i] = (int32_t)below(n_vocab);
        eval(w->session, w->tokens + w->n, n);
        w->n += n;
    }
}

/* Whatever sessions of one cache went through, each is what its tokens say; and the pages that were
 * planned are enough. */
static void random_walks(void **state) {
    (void)state;
    for (uint32_t n_checkpoints = 1; n_checkpoints <= 9; n_checkpoints += 4) {
        slm_cache_options o = options(n_checkpoints);
        slm_cache *cache = NULL;
        static walker all[3];
        memset(all, 0, sizeof all);
        OK(slm_cache_open(model, &o, &cache, &golden_err));
        for (int i = 0; i < 400; i++)
            walk(cache, all, 3);
        for (size_t i = 0; i < 3; i++) {
            const float *row;
            if (all[i].session == NULL || all[i].n == 0)
                continue;
            OK(slm_session_eval(all[i].session, NULL, 0, SLM_LOGITS_LAST, &golden_err));
            OK(slm_session_get_logits(all[i].session, 0, &row, &golden_err));
            float *want = fresh_logits(all[i].tokens, all[i].n);
            assert_memory_equal(row, want, n_vocab * sizeof *row);
            free(want);
            slm_session_close(&all[i].session);
        }
        for (size_t i = 0; i < 3; i++)
            slm_session_close(&all[i].session);
        slm_cache_close(&cache);
    }
}

/* A window that is full of pages which others hold: the most that a session can ask for. */
static void pages_are_enough(void **state) {
    (void)state;
    slm_cache_options o = options(8);
    o.max_rows = 7;
    o.max_sessions = 2;
    slm_cache *cache = NULL;
    slm_session *a = NULL, *b = NULL;
    OK(slm_cache_open(model, &o, &cache, &golden_err));
    OK(slm_session_open_on(cache, NULL, &a, &golden_err));
    eval(a, ids, 5);
    OK(slm_session_fork(a, &b, &golden_err));
    for (size_t i = 5; i + 3 <= N_TOKENS; i += 3) {
        eval(a, ids + i, 3);
        eval(b, ids + i, 3);
        if (i % 4 == 0) {
            OK(slm_session_truncate(b, i + 1, &golden_err));
            eval(b, ids + i + 1, 2);
        }
    }
    slm_session_close(&a);
    slm_session_close(&b);
    slm_cache_close(&cache);
}

/* ---------------------------------------------------------------- memory --------------------- */

static uint8_t *find(uint8_t *file, size_t size, const char *name) {
    size_t n = strlen(name);
    for (size_t i = 0; i + n <= size; i++)
        if (memcmp(file + i, name, n) == 0)
            return file + i;
    fail_msg("%s is not in the file", name);
    return NULL;
}

/* At the length of the published model, too: the tiny one is told to have it. */
static void plan_is_exact(void **state) {
    (void)state;
    size_t size;
    uint8_t *bytes = golden_read(DIR, GGUF, &size), *file = aligned_alloc(64, (size + 63) / 64 * 64);
    assert_non_null(file);
    memcpy(file, bytes, size);
    free(bytes);
    const char *key = "phi4flash.context_length";
    const uint32_t whole = 65536;
    memcpy(find(file, size, key) + strlen(key) + 4, &whole, sizeof whole);
    uint64_t before = 0;
    for (uint32_t n_checkpoints = 1; n_checkpoints <= 7; n_checkpoints += 2) {
        fail_alloc fa = FAIL_ALLOC_INIT;
        slm_allocator allocator = fail_alloc_start(&fa);
        slm_model_options mo = {.struct_size = sizeof mo, .load = SLM_LOAD_MAP,
                                .allocator = &allocator};
        slm_cache_options o = options(n_checkpoints);
        slm_plan plan = {.struct_size = sizeof plan};
        slm_model *m = NULL;
        slm_cache *c = NULL;
        slm_session *s = NULL;
        o.n_ctx = n_checkpoints == 7 ? whole : N_TOKENS;
        OK(slm_model_open_memory(file, size, &mo, &m, &golden_err));
        OK(slm_cache_plan(m, &o, &plan, &golden_err));
        OK(slm_cache_open(m, &o, &c, &golden_err));
        assert_int_equal(fa.bytes, plan.total_bytes - plan.weights_mapped);
        OK(slm_session_open_on(c, NULL, &s, &golden_err));
        eval(s, ids, 200);
        OK(slm_session_truncate(s, 150, &golden_err));
        eval(s, ids, 10);
        assert_int_equal(fa.bytes, plan.total_bytes - plan.weights_mapped);
        /* three scans of 256 channels, each with 3 inputs and 16 states */
        uint64_t one = 3 * 256 * (3 + 16) * sizeof(float);
        assert_in_range(plan.recurrent_bytes, 3 * (1 + n_checkpoints) * one,
                        3 * (1 + n_checkpoints) * one + 256);
        assert_true(plan.total_bytes > before); /* checkpoints cost pages as well */
        before = plan.total_bytes;
        slm_session_close(&s);
        slm_cache_close(&c);
        slm_model_close(&m);
        assert_int_equal(fa.outstanding, 0);
    }
    free(file);
}

static void options_are_checked(void **state) {
    (void)state;
    slm_cache_options o = options(257);
    slm_plan plan = {.struct_size = sizeof plan};
    assert_int_equal(slm_cache_plan(model, &o, &plan, &golden_err), SLM_ERR_RANGE);
    assert_non_null(strstr(golden_err.message, "n_checkpoints: got 257, wanted 1 to 256"));
}

/* ---------------------------------------------------------------- the second half ------------ */

static slm_op_info op_of(const slm_session *s, slm_op op) {
    slm_op_info info = {.struct_size = sizeof info};
    OK(slm_session_get_op(s, op, &info, &golden_err));
    return info;
}

/* What no state depends on is evaluated for the rows that give logits, and not at all without. */
static void prompts_leave_out_the_second_half(void **state) {
    (void)state;
    static const int32_t wanted[] = {SLM_LOGITS_NONE, SLM_LOGITS_LAST, SLM_LOGITS_ALL};
    enum { N = 20, WHOLE = 5, HALF = 3 }; /* layers that see all tokens */
    const uint64_t up_macs = 2 * 128 * 40, gate_macs = 128 * 256;
    for (size_t i = 0; i < 3; i++) {
        slm_cache_options o = options(0);
        slm_session *s = NULL;
        o.max_logits = N;
        OK(slm_session_open(model, &o, &s, &golden_err));
        OK(slm_session_eval(s, ids, N, wanted[i], &golden_err));
        uint64_t n = i == 0 ? 0 : i == 1 ? 1 : N;
        assert_int_equal(op_of(s, SLM_OP_GATE_UP).macs, up_macs * (WHOLE * N + HALF * n));
        assert_int_equal(op_of(s, SLM_OP_GATE_MEMORY).macs, gate_macs * n);
        assert_int_equal(op_of(s, SLM_OP_SCAN).calls, 3);
        slm_session_close(&s);
    }
}

/* A token behind 100 others: two layers of attention see 24 of them, that of the middle and the one
 * that reads its keys and values all. */
static void predictions_count_keys_as_often_as_they_are_read(void **state) {
    (void)state;
    slm_device_profile p = {.struct_size = sizeof p};
    slm_predict_options o = {.struct_size = sizeof o, .kv_type = SLM_KV_F32};
    slm_prediction empty = {.struct_size = sizeof empty}, deep = empty;
    OK(slm_device_profile_find("orin-nx-16", &p, &golden_err));
    OK(slm_predict(model, &p, &o, &empty, &golden_err));
    o.depth = 100;
    OK(slm_predict(model, &p, &o, &deep, &golden_err));
    uint64_t of_key = 2 * 2 * 32 * sizeof(float), keys = 2 * 24 + 2 * 100;
    assert_int_equal(deep.bytes_per_token - empty.bytes_per_token, keys * of_key);
}

/* ---------------------------------------------------------------- files ---------------------- */

static void refused_files(void **state) {
    (void)state;
    static const struct {
        const char *name;    /* of a key or a tensor                                            */
        const char *renamed; /* of the same length; or NULL: its value, or its item, changes    */
        size_t item;         /* bytes from the beginning of the value                           */
        uint32_t value;
        slm_status status;
        const char *message;
    } cases[] = {
        {"phi4flash.layer_types", NULL, 12 + 4 * 3, 2, SLM_ERR_UNSUP,
         "phi4flash.layer_types: got 2 for layer 3 of 8, wanted 1"},
        {"phi4flash.layer_types", "phi4flash.layer_typez", 0, 0, SLM_ERR_MISSING,
         "phi4flash.layer_types"},
        {"phi4flash.vocab_size", "phi4flash.ssm_d_conv", 0, 0, SLM_ERR_UNSUP,
         "phi4flash.ssm_d_conv: a file with this key has its rows in another order"},
        {"phi4flash.block_count", NULL, 0, 6, SLM_ERR_UNSUP, "phi4flash.block_count: got 6"},
        {"phi4flash.attention.head_count_kv", NULL, 0, 1, SLM_ERR_RANGE,
         "head_count_kv: got 1, wanted an even number"},
        {"phi4flash.attention.head_count\4", NULL, 0, 8, SLM_ERR_UNSUP,
         "got heads of 16 elements, wanted a multiple of 32"},
        {"phi4flash.ssm.inner_size", NULL, 0, 40, SLM_ERR_UNSUP,
         "ssm.inner_size: got 40, wanted a multiple of 16"},
        {"phi4flash.ssm.inner_size", NULL, 0, 512, SLM_ERR_SHAPE, "blk.0.ssm_in.weight"},
        {"phi4flash.ssm.state_size", NULL, 0, 1u << 30, SLM_ERR_RANGE, "ssm.state_size"},
        {"phi4flash.ssm.conv_kernel", NULL, 0, 5, SLM_ERR_SHAPE, "blk.0.ssm_conv1d.weight"},
        {"phi4flash.ssm.conv_kernel", NULL, 0, 0, SLM_ERR_RANGE, "ssm.conv_kernel"},
        {"phi4flash.ssm.time_step_rank", NULL, 0, 9, SLM_ERR_SHAPE, "blk.0.ssm_x.weight"},
        {"phi4flash.ssm.time_step_rank", NULL, 0, 65536, SLM_ERR_RANGE, "ssm.time_step_rank"},
        {"phi4flash.ssm.time_step_rank", "phi4flash.ssm.time_step_runk", 0, 0, SLM_ERR_MISSING,
         "ssm.time_step_rank"},
        {"phi4flash.attention.layer_norm_epsilon", "phi4flash.attention.layer_norm_epsilom", 0, 0,
         SLM_ERR_MISSING, "layer_norm_epsilon"},
        {"blk.0.ssm_a", "blk.0.ssm_b", 0, 0, SLM_ERR_MISSING, "tensor blk.0.ssm_a is missing"},
        {"blk.0.attn_norm.bias", "blk.0.attn_norm.bios", 0, 0, SLM_ERR_MISSING,
         "tensor blk.0.attn_norm.bias is missing"},
        {"blk.7.attn_qkv.bias", "blk.7.attn_qkv.bios", 0, 0, SLM_ERR_MISSING,
         "tensor blk.7.attn_qkv.bias is missing"},
        {"blk.6.gmu_in.weight", "blk.6.gmu_an.weight", 0, 0, SLM_ERR_MISSING,
         "tensor blk.6.gmu_in.weight is missing"},
        {"blk.5.attn_subln.weight", "blk.5.attn_sublm.weight", 0, 0, SLM_ERR_MISSING,
         "tensor blk.5.attn_subln.weight is missing"},
    };
    size_t size;
    uint8_t *file = golden_read(DIR, GGUF, &size), *copy = malloc(size);
    assert_non_null(copy);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        slm_model *m = NULL;
        memcpy(copy, file, size);
        uint8_t *at = find(copy, size, cases[i].name);
        size_t n = strcspn(cases[i].name, "\4"); /* \4: the type that follows, to end the name */
        if (cases[i].renamed != NULL)
            memcpy(at, cases[i].renamed, n);
        else
            memcpy(at + n + 4 + cases[i].item, &cases[i].value, sizeof cases[i].value);
        slm_status status = slm_model_open_memory(copy, size, NULL, &m, &golden_err);
        if (status != cases[i].status || strstr(golden_err.message, cases[i].message) == NULL)
            fail_msg("case %zu: got %s: %s", i, slm_status_name(status), golden_err.message);
        assert_null(m);
    }
    free(copy);
    free(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_are_boundaries),
        cmocka_unit_test(prompts_share_their_beginning),
        cmocka_unit_test(going_back_costs_in_proportion),
        cmocka_unit_test(logits_once_more),
        cmocka_unit_test(places_asked_for_stay),
        cmocka_unit_test(asked_for_where_little_is_kept),
        cmocka_unit_test(random_walks),
        cmocka_unit_test(pages_are_enough),
        cmocka_unit_test(plan_is_exact),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(prompts_leave_out_the_second_half),
        cmocka_unit_test(predictions_count_keys_as_often_as_they_are_read),
        cmocka_unit_test(refused_files),
    };
    golden_need_data();
    return cmocka_run_group_tests(tests, open_model, close_model);
}
