/* Generations on the device that see the best of their logits: the tokens of whole rows, with few
 * bytes copied and one wait for each; whole rows when somebody asks; calls that fail. */
#include "backend_test.h"
#include "cuda/slm_cuda.h"
#include "run/sampler.h"
#include "run/session.h"

#include <inttypes.h>
#include <math.h>

#define N_VOCAB 4200u
#ifdef SLM_SLOW /* a step takes a third of a second: what the device sees once is enough */
#define N_MADE  6u
#define FAILING 4
#define IS_SLOW 1
#else
#define N_MADE  12u
#define FAILING 6
#define IS_SLOW 0
#endif

/* Norms of 4: the best are nine tenths of the probability in some rows. */
static const tiny_tweak wide = {.n_vocab = N_VOCAB, .name = "output_norm.weight", .fill = 4};

static int setup_wide(void **state) {
    int failed = setup(state);
    make_file(&wide);
    return failed;
}

static slm_sampling sampling_init(void) {
    slm_sampling o = {.struct_size = sizeof o};
    OK(slm_sampling_init(&o));
    return o;
}

static slm_generator *begin(slm_session *s, const slm_sampling *sampling, uint32_t n_top) {
    slm_generate_options o = {.struct_size = sizeof o, .flags = SLM_GENERATE_IGNORE_END,
                              .sampling = sampling, .n_top = n_top};
    slm_generator *g = NULL;
    OK(slm_generate_begin(s, &o, &g, &golden_err));
    return g;
}

static slm_event next(slm_generator *g) {
    slm_event ev = {.struct_size = sizeof ev};
    OK(slm_generate_next(g, &ev, &golden_err));
    assert_int_equal(ev.type, SLM_EVENT_TEXT);
    return ev;
}

/* The same by hand: whole rows, and a sampler of its own. */
static void by_hand(slm_cache *c, const slm_sampling *sampling, size_t n_prompt, int32_t *made,
                    size_t n) {
    size_t bytes = slm_sampler_scratch_bytes(N_VOCAB, TINY_CTX);
    void *scratch = aligned_alloc(64, bytes);
    slm_session *s = open_session(c);
    slm_sampler *sampler = NULL;
    assert_non_null(scratch);
    memset(scratch, 0, bytes);
    OK(slm_sampler_open(c->host, sampling, N_VOCAB, TINY_CTX, 0, NULL, &c->model->kernels, scratch,
                        &sampler, &golden_err));
    OK(slm_session_eval(s, ids, n_prompt, SLM_LOGITS_LAST, &golden_err));
    for (size_t i = 0; i < n; i++) {
        const float *row;
        const int32_t *held_ids;
        size_t n_held;
        OK(slm_session_get_logits(s, 0, &row, &golden_err));
        OK(slm_session_get_tokens(s, &held_ids, &n_held, &golden_err));
        OK(slm_sampler_choose(sampler, row, held_ids, n_held, &made[i], NULL, NULL, NULL,
                              &golden_err));
        OK(slm_session_eval(s, &made[i], 1, SLM_LOGITS_LAST, &golden_err));
    }
    slm_sampler_close(sampler);
    slm_session_close(&s);
    free(scratch);
}

/* ---------------------------------------------------------------- generations ------------------ */

static const slm_logit_bias bias[] = {{300, 2}, {4199, 4}, {17, -3}, {3000, -INFINITY}, {40, 6}};

typedef struct setting {
    const char *name;
    void (*set)(slm_sampling *o);
    int always;  /* 1: the best always decide; 0: in some rows; -1: rows come with their steps */
    int is_like; /* the one before it, for the device */
} setting;

static void set_nothing(slm_sampling *o) { o->seed = 5; }
static void set_greedy(slm_sampling *o) { o->temperature = 0; }
static void set_greedy_penalties(slm_sampling *o) {
    o->temperature = 0;
    o->repeat_penalty = 1.5f;
    o->frequency_penalty = 0.3f;
    o->penalty_last_n = -1;
}
static void set_penalties(slm_sampling *o) {
    o->repeat_penalty = 1.1f;
    o->presence_penalty = 0.4f;
}
static void set_bias(slm_sampling *o) {
    o->logit_bias = bias;
    o->n_logit_bias = 5;
}
static void set_dry(slm_sampling *o) {
    o->temperature = 0.1f;
    o->dry_multiplier = 2;
    o->dry_allowed_length = 1;
}
static void set_min_p(slm_sampling *o) {
    o->top_k = 0;
    o->top_p = 1;
    o->min_p = 0.2f;
}
static void set_top_p(slm_sampling *o) {
    o->top_k = 0;
    o->min_p = 0;
    o->top_p = 0.9f;
}
static void set_typical(slm_sampling *o) {
    o->top_k = 0;
    o->typical_p = 0.8f;
}
static void set_temperature(slm_sampling *o) {
    o->top_k = 0;
    o->top_p = 1;
    o->min_p = 0;
    o->temperature = 1;
}
static void set_rewards(slm_sampling *o) { o->presence_penalty = -1; }

static const setting settings[] = {
    {"the defaults", set_nothing, 1, 0},
    {"greedy", set_greedy, 1, 1},
    {"greedy with penalties", set_greedy_penalties, 1, 1},
    {"penalties", set_penalties, 1, 1},
    {"a bias", set_bias, 1, 0},
    {"DRY", set_dry, 1, 1},
    {"min-p", set_min_p, 1, 1},
    {"top-p", set_top_p, 0, 0},
    {"typical", set_typical, -1, 0},
    {"temperature alone", set_temperature, -1, 1},
    {"rewards", set_rewards, -1, 1},
};
#define N_SETTINGS (sizeof settings / sizeof *settings)

/* After the first token, whose step was put before there was a generator, each of the others takes
 * one wait and brings home the best of one row, or all of it; where the best did not do, a second
 * wait and a row. What goes there is a block of parameters. */
static void check_figures(const setting *set, fake_cuda_stats before, fake_cuda_stats after) {
    uint64_t n = N_MADE - 1, row = N_VOCAB * sizeof(float), best = sizeof(slm_cuda_best);
    uint64_t from = after.bytes_from_device - before.bytes_from_device;
    uint64_t to = after.bytes_to_device - before.bytes_to_device;
    uint64_t waits = after.n_waits - before.n_waits, n_asked = waits - n;
    uint64_t wanted = set->always < 0 ? n * row : n * best + n_asked * row;
    if (from != wanted || to > n * 2048 ||
        (set->always ? n_asked != 0 : n_asked == 0 || n_asked == n))
        fail_msg("%s: %" PRIu64 " tokens took %" PRIu64 " waits, %" PRIu64 " bytes from the device "
                 "and %" PRIu64 " to it", set->name, n, waits, from, to);
    assert_int_equal(after.n_pageable, before.n_pageable);
}

static void tokens_are_those_of_whole_rows(void **state) {
    (void)state;
    assert_true(sizeof(slm_cuda_best) < 3 * 1024);
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    slm_cache *c = open_cache(m, 2, 32);
    for (size_t i = 0; i < N_SETTINGS; i++) {
        if (IS_SLOW && settings[i].is_like)
            continue;
        slm_sampling o = sampling_init();
        int32_t want[N_MADE];
        settings[i].set(&o);
        by_hand(c, &o, 20, want, N_MADE);
        slm_session *s = open_session(c);
        fake_cuda_stats before = {0};
        OK(slm_session_prompt(s, ids, 20, NULL, &golden_err));
        slm_generator *g = begin(s, &o, i % 2 ? 4 : 0);
        for (size_t t = 0; t < N_MADE; t++) {
            slm_event ev = next(g);
            if (ev.token != want[t])
                fail_msg("%s: token %zu is %d, wanted %d", settings[i].name, t, ev.token, want[t]);
            assert_int_equal(ev.n_top, i % 2 ? 4 : 0);
            if (t == 0)
                before = stats_now();
        }
        check_figures(&settings[i], before, stats_now());
        slm_generate_end(&g);
        slm_session_close(&s);
    }
    slm_cache_close(&c);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* Sessions in turns, each with a chain of its own, others ending and beginning in between. */
static void sessions_with_chains_of_their_own(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    slm_cache *c = open_cache(m, 4, 32);
    static const size_t at[] = {4, 9, 7, 4}; /* a bias, typical, top-p, a bias */
    int32_t want[4][N_MADE], n_made[4] = {0};
    slm_sampling o[4];
    slm_session *s[4];
    slm_generator *g[4];
    for (int i = 0; i < 4; i++) {
        o[i] = sampling_init();
        settings[at[i]].set(&o[i]);
        o[i].seed = (uint64_t)i + 1;
        by_hand(c, &o[i], 10 + (size_t)i, want[i], N_MADE);
    }
    static const slm_logit_bias other[] = {{4000, 5}, {2, 1}};
    o[3].logit_bias = other; /* names of its own, in the place of those of the first */
    o[3].n_logit_bias = 2;
    by_hand(c, &o[3], 13, want[3], N_MADE);
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < 4; i++) {
            int j = turn ? 3 - i : i; /* in other slots */
            s[j] = open_session(c);
            OK(slm_session_prompt(s[j], ids, 10 + (size_t)j, NULL, &golden_err));
            g[j] = begin(s[j], &o[j], 0);
            n_made[j] = 0;
        }
        for (size_t t = 0; t < 4 * N_MADE; t++) {
            int i = (int)(t * 2654435761u >> 7) % 4;
            if (n_made[i] < (int)N_MADE)
                assert_int_equal(next(g[i]).token, want[i][n_made[i]++]);
        }
        for (int i = 0; i < 4; i++) {
            slm_generate_end(&g[i]);
            slm_session_close(&s[i]);
        }
    }
    slm_cache_close(&c);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* ---------------------------------------------------------------- whole rows ------------------- */

/* They are copied when they are first asked for, those of every token with their steps. */
static void rows_when_they_are_asked_for(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    slm_cache *c = open_cache(m, 3, 32);
    slm_session *a = open_session(c), *b = open_session(c), *f = NULL;
    const float *row, *again, *of_fork;
    fake_cuda_stats began = stats_now();
    OK(slm_session_eval(a, ids, 12, SLM_LOGITS_ALL, &golden_err));
    fake_cuda_stats all = stats_now();
    assert_int_equal(all.bytes_from_device - began.bytes_from_device, 12 * N_VOCAB * sizeof(float));
    OK(slm_session_get_logits(a, 11, &row, &golden_err));
    float *want = malloc(N_VOCAB * sizeof *want);
    assert_non_null(want);
    memcpy(want, row, N_VOCAB * sizeof *want);
    assert_int_equal(stats_now().n_waits, all.n_waits);

    OK(slm_session_eval(b, ids, 12, SLM_LOGITS_LAST, &golden_err));
    fake_cuda_stats last = stats_now();
    assert_int_equal(last.bytes_from_device - all.bytes_from_device, sizeof(slm_cuda_best));
    OK(slm_session_get_logits(b, 0, &row, &golden_err));
    assert_memory_equal(row, want, N_VOCAB * sizeof *want);
    fake_cuda_stats asked = stats_now();
    assert_int_equal(asked.bytes_from_device - last.bytes_from_device, N_VOCAB * sizeof(float));
    assert_int_equal(asked.n_waits - last.n_waits, 1);
    OK(slm_session_get_logits(b, 0, &again, &golden_err));
    assert_ptr_equal(again, row);
    OK(slm_session_fork(b, &f, &golden_err));
    OK(slm_session_get_logits(f, 0, &of_fork, &golden_err));
    assert_memory_equal(of_fork, want, N_VOCAB * sizeof *want);
    assert_int_equal(stats_now().n_waits, asked.n_waits);
    assert_int_equal(stats_now().bytes_from_device, asked.bytes_from_device);

    /* a fork of what was not asked for, and both go on from there */
    slm_session_close(&f);
    OK(slm_session_eval(a, NULL, 0, SLM_LOGITS_LAST, &golden_err));
    OK(slm_session_eval(b, ids + 12, 1, SLM_LOGITS_LAST, &golden_err));
    OK(slm_session_fork(b, &f, &golden_err));
    OK(slm_session_get_logits(b, 0, &row, &golden_err));
    OK(slm_session_get_logits(f, 0, &of_fork, &golden_err));
    assert_ptr_not_equal(of_fork, row);
    assert_memory_equal(of_fork, row, N_VOCAB * sizeof *want);
    slm_generator *g[2] = {begin(b, NULL, 0), begin(f, NULL, 0)};
    for (int i = 0; i < 8; i++) {
        int32_t token = next(g[0]).token;
        assert_int_equal(next(g[1]).token, token);
    }
    slm_generate_end(&g[0]);
    slm_generate_end(&g[1]);
    OK(slm_session_get_logits(a, 0, &row, &golden_err));
    assert_memory_equal(row, want, N_VOCAB * sizeof *want);
    REFUSED(slm_session_get_logits(a, 1, &row, &golden_err), SLM_ERR_RANGE, "row 1");
    free(want);
    slm_session_close(&a);
    slm_session_close(&b);
    slm_session_close(&f);
    slm_cache_close(&c);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* ---------------------------------------------------------------- failures --------------------- */

/* The copy of a row fails: a status, and afterwards the session is as it was. */
static void failures_of_rows(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    slm_cache *c = open_cache(m, 3, 32);
    slm_session *s = open_session(c), *f = NULL;
    const float *row;
    OK(slm_session_eval(s, ids, 9, SLM_LOGITS_LAST, &golden_err));
    fake_cuda_fail_sync(1);
    REFUSED(slm_session_get_logits(s, 0, &row, &golden_err), SLM_ERR_DEVICE, "logits");
    assert_null(row);
    fake_cuda_fail_sync(1);
    REFUSED(slm_session_fork(s, &f, &golden_err), SLM_ERR_DEVICE, "logits");
    assert_null(f);
    assert_int_equal(held(s), 9);
    OK(slm_session_get_logits(s, 0, &row, &golden_err));
    logits_row want; /* of the first tokens */
    memcpy(want, row, sizeof want);
    OK(slm_session_fork(s, &f, &golden_err));
    OK(slm_session_truncate(f, 0, &golden_err));
    OK(slm_session_eval(f, ids, 9, SLM_LOGITS_LAST, &golden_err));
    same_last(f, want);
    slm_session_close(&f);
    slm_session_close(&s);
    slm_cache_close(&c);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* Each wait of a generation fails once: that call says so, and the generator goes on with the token
 * that it would have made. The chain is one that asks for rows now and then. */
static void failures_of_generations(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    slm_cache *c = open_cache(m, 2, 32);
    slm_sampling o = sampling_init();
    int32_t want[FAILING];
    set_top_p(&o);
    by_hand(c, &o, 15, want, FAILING);
    int n_waits = 0, n_failed = 0;
    for (int fail_at = 0; fail_at <= n_waits; fail_at++) { /* 0: none */
        slm_session *s = open_session(c);
        OK(slm_session_prompt(s, ids, 15, NULL, &golden_err));
        slm_generator *g = begin(s, &o, 0);
        uint64_t before = stats_now().n_waits;
        fake_cuda_fail_sync(fail_at);
        for (size_t t = 0; t < FAILING;) {
            slm_event ev = {.struct_size = sizeof ev};
            golden_err = (slm_error)SLM_ERROR_INIT;
            slm_status status = slm_generate_next(g, &ev, &golden_err);
            if (status != SLM_OK) {
                assert_int_equal(status, SLM_ERR_DEVICE);
                assert_null(message_flaw(&golden_err));
                assert_int_equal(held(s), 15 + t);
                n_failed++;
                continue;
            }
            assert_int_equal(ev.type, SLM_EVENT_TEXT);
            assert_int_equal(ev.token, want[t++]);
        }
        if (fail_at == 0)
            n_waits = (int)(stats_now().n_waits - before);
        slm_generate_end(&g);
        slm_session_close(&s);
    }
    assert_true(n_waits > FAILING); /* rows were asked for */
    assert_int_equal(n_failed, n_waits);
    slm_cache_close(&c);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* Logits that are no numbers are found on the device. */
static void logits_that_are_not_finite(void **state) {
    (void)state;
    static const tiny_tweak odd = {.n_vocab = N_VOCAB, .name = "output_norm.weight", .fill = 3e38f};
    make_file(&odd);
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    slm_cache *c = open_cache(m, 1, 32);
    slm_session *s = open_session(c);
    REFUSED(slm_session_eval(s, ids, 9, SLM_LOGITS_LAST, &golden_err), SLM_ERR_NUMERIC, "finite");
    assert_int_equal(held(s), 0);
    OK(slm_session_eval(s, ids, 9, SLM_LOGITS_NONE, &golden_err));
    REFUSED(slm_session_eval(s, ids + 9, 2, SLM_LOGITS_ALL, &golden_err), SLM_ERR_NUMERIC, "finite");
    assert_int_equal(held(s), 9);
    slm_session_close(&s);
    slm_cache_close(&c);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_wide, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(tokens_are_those_of_whole_rows),
        TEST(sessions_with_chains_of_their_own),
        TEST(rows_when_they_are_asked_for),
        TEST(failures_of_rows),
        TEST(failures_of_generations),
        TEST(logits_that_are_not_finite),
    };
    return cmocka_run_group_tests_name("sample steps", tests, NULL, NULL);
}
