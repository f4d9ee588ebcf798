/* Prompts on the device in steps sized by time, and what its ops take. */
#include "backend_test.h"
#include "base/file.h"

/* Turns that a program got between steps. */
typedef struct turns {
    uint64_t done[N_IDS];
    uint32_t n, stop_at;
    slm_session *cancel;
} turns;

static int32_t take_turn(void *user, uint64_t done, uint64_t total) {
    turns *t = user;
    assert_true(t->n < N_IDS);
    assert_int_equal(total, N_IDS);
    t->done[t->n++] = done;
    slm_session_cancel(t->cancel);
    return t->n == t->stop_at;
}

static slm_cache_options options(turns *t) {
    return (slm_cache_options){.struct_size = sizeof(slm_cache_options), .n_ctx = TINY_CTX,
                               .max_logits = N_IDS, .n_threads = 1,
                               .yield = t != NULL ? take_turn : NULL, .yield_user = t};
}

static slm_session *open_own(slm_model *m, const slm_cache_options *o) {
    slm_session *s = NULL;
    OK(slm_session_open(m, o, &s, &golden_err));
    return s;
}

/* However many rows a step has, the bits are the same. */
static void any_chunk_gives_the_same_bits(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    logits_row *want = logits_alone(m, N_IDS), *got = calloc(N_IDS, sizeof *got);
    static const uint32_t sizes[][2] = {{0, 0}, {1, 0}, {5, 0}, {SLM_CHUNK_WHOLE, 33},
                                        {SLM_CHUNK_WHOLE, 64}, {200, 50}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        slm_cache_options o = options(NULL);
        o.chunk_ms = sizes[i][0];
        o.max_rows = sizes[i][1];
        slm_session *s = open_own(m, &o);
        feed(s, 0, N_IDS, N_IDS, got);
        assert_memory_equal(got, want, N_IDS * sizeof *got);
        slm_session_close(&s);
    }
    free(got);
    free(want);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* Where nothing is said, 40 ms. The first step is predicted, which for a tiny model on an Orin are as
 * many rows as there are; then it shows that this one is emulated. */
static void the_default_is_a_time(void **state) {
    (void)state;
    turns t = {.n = 0};
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    slm_cache_options o = options(&t);
    o.max_rows = 40;
    slm_session *s = open_own(m, &o);
    OK(slm_session_eval(s, ids, N_IDS, SLM_LOGITS_LAST, &golden_err));
    assert_true(t.n >= 2);
    assert_int_equal(t.done[0], 40);
    slm_session_close(&s);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

static void a_turn_may_stop(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    logits_row *want = logits_alone(m, N_IDS);
    for (int cancels = 0; cancels < 2; cancels++) {
        turns t = {.stop_at = 2};
        slm_cache_options o = options(&t);
        o.chunk_ms = SLM_CHUNK_WHOLE;
        o.max_rows = 30;
        slm_session *s = open_own(m, &o);
        t.cancel = cancels ? s : NULL;
        REFUSED(slm_session_eval(s, ids, N_IDS, SLM_LOGITS_LAST, &golden_err), SLM_ERR_CANCEL);
        assert_int_equal(t.n, cancels ? 1 : 2);
        assert_int_equal(held(s), 0);
        t = (turns){.n = 0};
        OK(slm_session_eval(s, ids, N_IDS, SLM_LOGITS_LAST, &golden_err));
        assert_int_equal(t.n, 3);
        same_last(s, want[N_IDS - 1]);
        slm_session_close(&s);
    }
    free(want);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* ---------------------------------------------------------------- ops -------------------------- */

static slm_op_info op_of(const slm_session *s, slm_op op) {
    slm_op_info info = {.struct_size = sizeof info};
    OK(slm_session_get_op(s, op, &info, &golden_err));
    return info;
}

/* What is counted is what the processor counts; the times are there, and add up to less than passed. */
static void ops_are_timed(void **state) {
    (void)state;
    slm_model *m[2] = {open_on(SLM_DEVICE_CUDA), open_on(SLM_DEVICE_CPU)};
    slm_session *s[2];
    logits_row *want = logits_alone(m[0], 30), got[30];
    uint64_t ns = 0;
    slm_cache_options o = options(NULL);
    o.flags = SLM_CACHE_TIME_OPS;
    o.chunk_ms = SLM_CHUNK_WHOLE;
    for (int i = 0; i < 2; i++)
        s[i] = open_own(m[i], &o);
    uint64_t began = slm_now_ns();
    feed(s[0], 0, 20, 20, got);
    feed(s[0], 20, 30, 1, got);
    uint64_t passed = slm_now_ns() - began;
    assert_memory_equal(got, want, sizeof got);
    feed(s[1], 0, 20, 20, got);
    feed(s[1], 20, 30, 1, got);
    for (slm_op op = 0; op < SLM_OP_COUNT; op++) {
        slm_op_info a = op_of(s[0], op), b = op_of(s[1], op);
        assert_int_equal(a.calls, b.calls);
        assert_int_equal(a.bytes, b.bytes);
        assert_int_equal(a.macs, b.macs);
        assert_string_equal(a.name, b.name);
        assert_int_equal(a.ns > 0, a.calls > 0);
        ns += a.ns;
    }
    assert_in_range(ns, passed / 10, passed);
    slm_session_close(&s[0]);
    slm_session_close(&s[1]);
    o.flags = 0;
    s[0] = open_own(m[0], &o);
    feed(s[0], 0, 30, 30, got);
    for (slm_op op = 0; op < SLM_OP_COUNT; op++)
        assert_int_equal(op_of(s[0], op).calls + op_of(s[0], op).ns, 0);
    slm_session_close(&s[0]);
    free(want);
    slm_model_close(&m[0]);
    slm_model_close(&m[1]);
    NOTHING_ON_DEVICE();
}

/* Each event has its own op, in steps with logits and without. */
static void steps_without_logits(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    slm_cache_options o = options(NULL);
    o.flags = SLM_CACHE_TIME_OPS;
    slm_session *s = open_own(m, &o);
    OK(slm_session_eval(s, ids, 5, SLM_LOGITS_NONE, &golden_err));
    assert_int_equal(op_of(s, SLM_OP_EMBED).calls, 1);
    assert_int_equal(op_of(s, SLM_OP_HEAD).calls, 0);
    assert_int_equal(op_of(s, SLM_OP_HEAD).ns, 0);
    fake_cuda_fail_sync(1); /* a step that fails adds no time, and the next one does */
    uint64_t before = op_of(s, SLM_OP_QKV).ns;
    REFUSED(slm_session_eval(s, ids, 1, SLM_LOGITS_LAST, &golden_err), SLM_ERR_DEVICE);
    assert_int_equal(op_of(s, SLM_OP_QKV).ns, before);
    OK(slm_session_eval(s, ids, 1, SLM_LOGITS_LAST, &golden_err));
    assert_true(op_of(s, SLM_OP_QKV).ns > before);
    assert_true(op_of(s, SLM_OP_HEAD).ns > 0);
    slm_session_close(&s);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* The plan knows what timing takes of the host. */
static void timing_is_planned(void **state) {
    (void)state;
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator a = fail_alloc_start(&fa);
    slm_model_options mo = {.struct_size = sizeof mo, .device = SLM_DEVICE_CUDA, .allocator = &a};
    slm_model *m = NULL;
    slm_cache *c = NULL;
    slm_cache_options o = options(NULL);
    o.flags = SLM_CACHE_TIME_OPS;
    OK(slm_model_open_memory(file, file_size, &mo, &m, &golden_err));
    slm_plan plan = {.struct_size = sizeof plan};
    OK(slm_cache_plan(m, &o, &plan, &golden_err));
    int64_t held_before = fa.bytes;
    OK(slm_cache_open(m, &o, &c, &golden_err));
    fake_cuda_stats now = stats_now();
    assert_int_equal((uint64_t)fa.bytes + now.device_bytes + now.pinned_bytes,
                     plan.total_bytes - plan.weights_mapped);
    slm_cache_close(&c);
    assert_int_equal(fa.bytes, held_before);
    for (fa.fail_at = 1;; fa.fail_at++) { /* each allocation fails once */
        fa.calls = 0;
        if (slm_cache_open(m, &o, &c, &golden_err) == SLM_OK)
            break;
        assert_int_equal(fa.bytes, held_before);
    }
    assert_true(fa.fail_at > 3);
    slm_cache_close(&c);
    slm_model_close(&m);
    assert_int_equal(fa.outstanding, 0);
    NOTHING_ON_DEVICE();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(any_chunk_gives_the_same_bits),
        TEST(the_default_is_a_time),
        TEST(a_turn_may_stop),
        TEST(ops_are_timed),
        TEST(steps_without_logits),
        TEST(timing_is_planned),
    };
    return cmocka_run_group_tests_name("chunks", tests, NULL, NULL);
}
