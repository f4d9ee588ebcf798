/* Prompts in steps sized by time: the same bits, and the program's turn between them. */
#include "api/tiny_group.h"

#define N 100u
static int32_t ids[N];

static int setup(void **state) {
    for (uint32_t i = 0; i < N; i++)
        ids[i] = (int32_t)((i * 2654435761u >> 16) % TINY_VOCAB);
    return open_model(state);
}

/* What the hook saw and what it answers. */
typedef struct turns {
    uint64_t done[N], total;
    uint32_t n, stop_at; /* the turn to stop at, from 1; 0: none */
    slm_session *cancel; /* at the first turn */
} turns;

static int32_t take_turn(void *user, uint64_t done, uint64_t total) {
    turns *t = user;
    assert_true(t->n < N);
    t->done[t->n++] = done;
    t->total = total;
    slm_session_cancel(t->cancel);
    return t->n == t->stop_at ? -7 : 0;
}

static slm_session *open_with(uint32_t chunk_ms, uint32_t max_rows, turns *t) {
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = 128, .max_rows = max_rows,
                           .max_logits = N, .n_threads = 1, .chunk_ms = chunk_ms,
                           .yield = t != NULL ? take_turn : NULL, .yield_user = t};
    slm_session *s = NULL;
    OK(slm_session_open(model, &o, &s, &golden_err));
    return s;
}

static void eval_all(slm_session *s, float (*out)[TINY_VOCAB]) {
    OK(slm_session_eval(s, ids, N, SLM_LOGITS_ALL, &golden_err));
    for (size_t i = 0; i < N; i++) {
        const float *row;
        OK(slm_session_get_logits(s, i, &row, &golden_err));
        memcpy(out[i], row, sizeof out[i]);
    }
    slm_session_close(&s);
}

static void any_chunk_gives_the_same_bits(void **state) {
    (void)state;
    static float want[N][TINY_VOCAB], got[N][TINY_VOCAB];
    eval_all(open_with(SLM_CHUNK_WHOLE, 256, NULL), want);
    static const uint32_t sizes[][2] = {{1, 256},    {1, 3},       {40, 256}, {60000, 7},
                                        {0, 64},     {0, 0},       {1, 8},    {1, 9},
                                        {UINT32_MAX, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        eval_all(open_with(sizes[i][0], sizes[i][1], NULL), got);
        assert_memory_equal(got, want, sizeof want);
    }
}

/* Tokens one by one, whose logits are put down in runs, and all in one step. */
static void logits_of_many_tokens(void **state) {
    (void)state;
    enum { VOCAB = 9001, ROWS = 20 };
    static float want[ROWS][VOCAB];
    slm_model *m = tiny_open(&(tiny_tweak){.n_vocab = VOCAB}, NULL);
    const float *row;
    for (uint32_t threads = 0; threads <= 5; threads++) {
        slm_cache_options o = {.struct_size = sizeof o, .n_ctx = 64, .max_rows = threads > 0 ? 1 : 32,
                               .max_logits = ROWS, .n_threads = threads > 0 ? threads : 1};
        slm_session *s = NULL;
        OK(slm_session_open(m, &o, &s, &golden_err));
        if (threads == 0) {
            OK(slm_session_eval(s, ids, ROWS, SLM_LOGITS_ALL, &golden_err));
            for (size_t i = 0; i < ROWS; i++) {
                OK(slm_session_get_logits(s, i, &row, &golden_err));
                memcpy(want[i], row, sizeof want[i]);
            }
        }
        for (size_t i = 0; threads > 0 && i < ROWS; i++) {
            OK(slm_session_eval(s, ids + i, 1, SLM_LOGITS_LAST, &golden_err));
            OK(slm_session_get_logits(s, 0, &row, &golden_err));
            assert_memory_equal(row, want[i], sizeof want[i]);
        }
        slm_session_close(&s);
    }
    slm_model_close(&m);
}

/* A limit of time begins carefully and grows; done says how far it is. */
static void turns_between_steps(void **state) {
    (void)state;
    turns t = {.n = 0};
    slm_session *s = open_with(1, 256, &t);
    OK(slm_session_eval(s, ids, N, SLM_LOGITS_LAST, &golden_err));
    assert_in_range(t.n, 1, N / 8);
    assert_int_equal(t.done[0], 8);
    assert_int_equal(t.total, N);
    for (uint32_t i = 1; i < t.n; i++)
        assert_in_range(t.done[i], t.done[i - 1] + 8, N - 1);
    t.n = 0;
    OK(slm_session_eval(s, ids, 1, SLM_LOGITS_LAST, &golden_err)); /* one step: nothing between */
    assert_int_equal(t.n, 0);
    slm_session_close(&s);

    s = open_with(SLM_CHUNK_WHOLE, 30, &t); /* no limit of time: max_rows */
    OK(slm_session_prompt(s, ids, N, NULL, &golden_err));
    assert_int_equal(t.n, 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(t.done[i], 30 * (i + 1));
    assert_int_equal(t.total, N);
    OK(slm_session_truncate(s, 90, &golden_err));
    t.n = 0;
    OK(slm_session_prompt(s, ids, 91, NULL, &golden_err)); /* what is kept does not count */
    assert_int_equal(t.n, 0);
    slm_session_close(&s);
}

static void held_is(slm_session *s, size_t n) {
    const int32_t *tokens;
    size_t got;
    OK(slm_session_get_tokens(s, &tokens, &got, &golden_err));
    assert_int_equal(got, n);
    assert_memory_equal(tokens, ids, n * sizeof *tokens);
}

/* Stopped or cancelled at any turn the session holds what it held, and goes on as if nothing had been. */
static void a_turn_may_stop(void **state) {
    (void)state;
    static float want[N][TINY_VOCAB];
    eval_all(open_with(SLM_CHUNK_WHOLE, 256, NULL), want);
    for (uint32_t stop_at = 1; stop_at <= 4; stop_at++)
        for (int cancels = 0; cancels < 2; cancels++) {
            turns t = {.n = 0};
            slm_session *s = open_with(SLM_CHUNK_WHOLE, 20, &t);
            OK(slm_session_eval(s, ids, 10, SLM_LOGITS_LAST, &golden_err));
            t.stop_at = cancels ? 0 : stop_at;
            t.cancel = cancels ? s : NULL;
            REFUSED(slm_session_eval(s, ids + 10, N - 10, SLM_LOGITS_LAST, &golden_err),
                    SLM_ERR_CANCEL, cancels ? "cancelled" : "of 90 tokens");
            assert_int_equal(t.n, cancels ? 1 : stop_at);
            held_is(s, 10);
            t = (turns){.n = 0};
            OK(slm_session_eval(s, ids + 10, N - 10, SLM_LOGITS_LAST, &golden_err));
            assert_int_equal(t.n, 4);
            const float *row;
            OK(slm_session_get_logits(s, 0, &row, &golden_err));
            assert_memory_equal(row, want[N - 1], sizeof want[0]);
            slm_session_close(&s);
        }
}

/* Several sessions get a row each, however short the time; tokens of all of them count. */
static void sessions_together(void **state) {
    (void)state;
    turns t = {.n = 0};
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = 32, .max_sessions = 20,
                           .max_rows = 32, .n_threads = 1, .chunk_ms = 1,
                           .yield = take_turn, .yield_user = &t};
    slm_cache *c = NULL;
    slm_session *s[20];
    slm_eval_item items[20];
    OK(slm_cache_open(model, &o, &c, &golden_err));
    for (size_t i = 0; i < 20; i++) {
        OK(slm_session_open_on(c, NULL, &s[i], &golden_err));
        items[i] = (slm_eval_item){sizeof *items, SLM_LOGITS_LAST, s[i], ids + i, 1};
    }
    OK(slm_cache_eval(c, items, 20, &golden_err));
    assert_int_equal(t.n, 0);
    for (size_t i = 0; i < 20; i++)
        items[i].n = i == 0 ? 25 : 2;
    OK(slm_cache_eval(c, items, 20, &golden_err));
    assert_true(t.n > 0);
    assert_int_equal(t.total, 25 + 19 * 2);
    for (size_t i = 0; i < 20; i++)
        slm_session_close(&s[i]);
    slm_cache_close(&c);
}

static void bad_values(void **state) {
    (void)state;
    slm_session *s = NULL;
    slm_cache_options o = {.struct_size = sizeof o, .chunk_ms = 60001};
    REFUSED(slm_session_open(model, &o, &s, &golden_err), SLM_ERR_RANGE, "chunk_ms", "60001");
    o = (slm_cache_options){.struct_size = sizeof o, .flags = 1u << 31};
    REFUSED(slm_session_open(model, &o, &s, &golden_err), SLM_ERR_ARG, "flags", "unknown bits");
    assert_null(s);
}

/* A struct of an older or newer caller: each field counts from the size that covers it. */
static void other_sizes(void **state) {
    (void)state;
    static const size_t ends[] = {END(slm_cache_options, rope_factors), END(slm_cache_options, chunk_ms),
                                  END(slm_cache_options, flags), END(slm_cache_options, yield),
                                  END(slm_cache_options, yield_user)};
    turns t = {.n = 0}, *none = NULL;
    slm_cache_options full = {.n_ctx = 128, .max_rows = 64, .n_threads = 1, .chunk_ms = 1,
                              .flags = SLM_CACHE_TIME_OPS, .yield = take_turn, .yield_user = &t};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        slot o;
        uint32_t size = (uint32_t)ends[i];
        slm_session *s = NULL;
        memset(o.bytes, 0xff, sizeof o.bytes); /* as a field: refused, or a call into nowhere */
        memcpy(o.bytes, &full, size);
        memcpy(o.bytes, &size, sizeof size);
        if (size == END(slm_cache_options, yield)) /* it would be called with no user */
            memcpy(o.bytes + offsetof(slm_cache_options, yield), &none, sizeof none);
        t.n = 0;
        OK(slm_session_open(model, (slm_cache_options *)&o, &s, &golden_err));
        OK(slm_session_eval(s, ids, N, SLM_LOGITS_LAST, &golden_err));
        assert_int_equal(t.n > 0, size == END(slm_cache_options, yield_user));
        assert_true(t.n == 0 || t.done[0] == 8);
        slm_session_close(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_chunk_gives_the_same_bits),
        cmocka_unit_test(logits_of_many_tokens),
        cmocka_unit_test(turns_between_steps),
        cmocka_unit_test(a_turn_may_stop),
        cmocka_unit_test(sessions_together),
        cmocka_unit_test(bad_values),
        cmocka_unit_test(other_sizes),
    };
    return cmocka_run_group_tests_name("chunks", tests, setup, close_model);
}
