/* The sampling chain against the definitions of sampler_ref.h, and what it refuses. */
#include "base/rng.h"
#include "run/sampler.h"
#include "sampler_ref.h"

#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define BIG_VOCAB 128256u

static slm_host host;
static slm_kernels kernels;

static slm_sampling none(void) { /* every stage off */
    slm_sampling o = slm_sampling_defaults;
    o.temperature = 1;
    o.top_k = 0;
    o.top_p = 1;
    o.min_p = 0;
    return o;
}

/* One for all samplers, as in a cache. */
static _Alignas(64) uint8_t scratch_memory[8 << 20];

static void *scratch_for(uint32_t n_vocab, uint32_t n_ctx) {
    size_t bytes = slm_sampler_scratch_bytes(n_vocab, n_ctx);
    assert_in_range(bytes, 1, sizeof scratch_memory);
    memset(scratch_memory, 0, bytes);
    return scratch_memory;
}

static slm_sampler *open_with(const slm_sampling *o, uint32_t n_vocab, uint32_t n_ctx,
                              const uint8_t *breaker) {
    slm_error error = SLM_ERROR_INIT;
    slm_sampler *s = NULL;
    if (slm_sampler_open(&host, o, n_vocab, n_ctx, 0, breaker, &kernels,
                         scratch_for(n_vocab, n_ctx), &s, &error) != SLM_OK)
        fail_msg("%s", error.message);
    return s;
}

/* ---- comparing with the definitions ----------------------------------------------------------- */

/* Decisions nearer than this to falling the other way may differ: the sampler's probabilities are
 * floats. Each is off by a few 1e-7 of itself, and so are their sums. */
#define MARGIN 1e-5
/* Candidates that are as good as impossible may be dropped or kept. */
#define NOTHING 1e-30

static size_t n_compared, n_unsure;

static void compare_lists(const slm_candidates *c, const ref_list *r, const char *what) {
    double max = -INFINITY, sum = 0;
    size_t j = 0;
    for (size_t i = 0; i < c->n; i++)
        max = (double)c->logit[i] > max ? (double)c->logit[i] : max;
    for (size_t i = 0; i < c->n; i++)
        sum += exp((double)c->logit[i] - max);
    for (size_t i = 0; i < c->n; i++) {
        int32_t id = c->id != NULL ? c->id[i] : (int32_t)i;
        double p = exp((double)c->logit[i] - max) / sum;
        if (p < NOTHING)
            continue;
        while (j < r->n && r->v[j].p < NOTHING)
            j++;
        if (j == r->n || r->v[j].id != id)
            fail_msg("%s: candidate %d is not in the definition's list (next there: %d)", what, id,
                     j < r->n ? r->v[j].id : -1);
        if (fabs(p - r->v[j].p) > 1e-4 * r->v[j].p + 1e-7)
            fail_msg("%s: p of %d is %.9g, wanted %.9g", what, id, p, r->v[j].p);
        j++;
    }
    while (j < r->n && r->v[j].p < NOTHING)
        j++;
    if (j != r->n)
        fail_msg("%s: candidate %d is missing", what, r->v[j].id);
}

/* Where the definition's last decisions were close, only a few candidates may differ. */
static void compare_roughly(const slm_candidates *c, const ref_list *r, const char *what) {
    size_t i = 0, j = 0, common = 0;
    while (i < c->n && j < r->n) {
        int32_t id = c->id != NULL ? c->id[i] : (int32_t)i;
        common += id == r->v[j].id;
        i += id <= r->v[j].id;
        j += r->v[j].id <= id;
    }
    if (common + 2 + r->n / 1000 < r->n || common + 2 + r->n / 1000 < c->n)
        fail_msg("%s: %zu candidates of %zu, %zu wanted", what, common, c->n, r->n);
}

static void compare(const slm_sampling *o, const float *logits, uint32_t n_vocab,
                    const int32_t *history, size_t n_history, const uint8_t *breaker,
                    const char *what) {
    slm_error error = SLM_ERROR_INIT;
    slm_candidates c;
    ref_list r;
    slm_sampler *s = open_with(o, n_vocab, (uint32_t)n_history + 1, breaker);
    float *copy = malloc(n_vocab * sizeof *copy);
    memcpy(copy, logits, n_vocab * sizeof *copy);
    if (slm_sampler_filter(s, logits, history, n_history, &c, &error) != SLM_OK)
        fail_msg("%s: %s", what, error.message);
    assert_memory_equal(copy, logits, n_vocab * sizeof *copy);
    free(copy);
    ref_init(&r, logits, n_vocab);
    ref_chain(&r, o, history, n_history, breaker);
    assert_true(c.n > 0);
    if (r.margin > MARGIN) {
        compare_lists(&c, &r, what);
        n_compared++;
    } else {
        compare_roughly(&c, &r, what);
        n_unsure++;
    }
    ref_free(&r);
    slm_sampler_close(s);
}

enum { NORMAL, TIES, MASKED, EQUAL, EXTREME, ASCENDING, DESCENDING, N_KINDS };

static float uniform(slm_rng *rng, float lo, float hi) {
    return lo + (hi - lo) * (float)slm_rng_double(rng);
}
static uint32_t below(slm_rng *rng, uint32_t n) { return (uint32_t)(slm_rng_next(rng) >> 33) % n; }

static void make_logits(float *x, size_t n, int kind, slm_rng *rng) {
    static const float odd[] = {1e30f,  -1e30f,   FLT_MAX, -FLT_MAX, 0.0f,
                                -0.0f,  1e-45f,   FLT_MIN, 88.7f,    -103.9f,
                                1e-20f, -1e-45f, -INFINITY};
    float scale = uniform(rng, 0.2f, 3.0f);
    for (size_t i = 0; i < n; i++) {
        float g = 0;
        for (int k = 0; k < 12; k++)
            g += uniform(rng, -0.5f, 0.5f);
        x[i] = scale * g;
        if (kind == TIES)
            x[i] = rintf(x[i]);
        else if (kind == MASKED && below(rng, 3) == 0)
            x[i] = -INFINITY;
        else if (kind == EQUAL)
            x[i] = scale;
        else if (kind == EXTREME && below(rng, 2) == 0)
            x[i] = odd[below(rng, sizeof odd / sizeof *odd)];
        else if (kind == ASCENDING)
            x[i] = 20.0f * (float)i / (float)n;
        else if (kind == DESCENDING)
            x[i] = -20.0f * (float)i / (float)n;
    }
    size_t i = below(rng, (uint32_t)n);
    if (!isfinite(x[i])) /* at least one */
        x[i] = 1;
}

static void each_filter(uint32_t n_vocab, int rounds) {
    static const int32_t ks[] = {1, 2, 3, 40, 49, 50, 51, 300, 1000, 50000, 128255, 200000};
    static const float ps[] = {0, 1e-6f, 0.05f, 0.5f, 0.9f, 0.95f, 0.99f, 0.9999f};
    static const float ts[] = {1e-30f, 0.05f, 0.8f, 1.5f, 1000};
    float *x = malloc(n_vocab * sizeof *x);
    slm_rng rng;
    slm_rng_seed(&rng, 7 + n_vocab);
    n_compared = n_unsure = 0;
    for (int round = 0; round < rounds; round++) {
        int kind = round % N_KINDS;
        char what[64];
        make_logits(x, n_vocab, kind, &rng);
        for (int stage = SLM_SAMPLER_TOP_K; stage <= SLM_SAMPLER_TEMPERATURE; stage++) {
            slm_sampling o = none();
            if (stage == SLM_SAMPLER_TOP_K)
                o.top_k = ks[below(&rng, sizeof ks / sizeof *ks)];
            else if (stage == SLM_SAMPLER_TYPICAL)
                o.typical_p = ps[below(&rng, sizeof ps / sizeof *ps)];
            else if (stage == SLM_SAMPLER_TOP_P)
                o.top_p = ps[below(&rng, sizeof ps / sizeof *ps)];
            else if (stage == SLM_SAMPLER_MIN_P)
                o.min_p = ps[1 + below(&rng, sizeof ps / sizeof *ps - 1)];
            else
                o.temperature = ts[below(&rng, sizeof ts / sizeof *ts)];
            snprintf(what, sizeof what, "n %u, round %d, kind %d, stage %d", n_vocab, round, kind,
                     stage);
            compare(&o, x, n_vocab, NULL, 0, NULL, what);
        }
    }
    free(x);
    /* The more candidates, the closer the decisions. */
    assert_true(n_compared >= (n_vocab < 2000 ? 10 : 1) * n_unsure);
}

static void test_filters(void **state) {
    (void)state;
    each_filter(1, 14);
    each_filter(2, 70);
    each_filter(50, 210);
    each_filter(1000, 70);
    each_filter(BIG_VOCAB, 14);
}

/* Random chains: every stage, any order, with a history. */
static void random_chains(uint32_t n_vocab, int rounds, uint64_t seed) {
    float *x = malloc(n_vocab * sizeof *x);
    uint8_t *breaker = calloc((n_vocab + 7) / 8, 1);
    int32_t history[80];
    slm_logit_bias bias[6];
    slm_rng rng;
    slm_rng_seed(&rng, seed);
    n_compared = n_unsure = 0;
    for (int round = 0; round < rounds; round++) {
        char what[64];
        slm_sampling o = none();
        uint8_t order[8] = {1, 2, 3, 4, 5, 6, 7, 8};
        size_t n_history = below(&rng, 81);
        uint32_t few = n_vocab < 6 ? n_vocab : 6;
        make_logits(x, n_vocab, round % 3, &rng);
        for (size_t i = 0; i < n_history; i++)
            history[i] = (int32_t)below(&rng, few);
        for (size_t i = 0; i < 6; i++)
            bias[i] = (slm_logit_bias){(int32_t)below(&rng, n_vocab), uniform(&rng, -4, 4)};
        if (below(&rng, 4) == 0 && n_vocab > 6)
            bias[5].bias = -INFINITY;
        memset(breaker, 0, (n_vocab + 7) / 8);
        if (below(&rng, 2) == 0)
            breaker[0] = (uint8_t)(1u << below(&rng, few));
        for (size_t i = 7; i > 0; i--) {
            size_t j = below(&rng, (uint32_t)i + 1);
            uint8_t t = order[i];
            order[i] = order[j];
            order[j] = t;
        }
        if (round % 2) /* else the usual order */
            memcpy(o.order, order, 1 + below(&rng, 8));
        o.logit_bias = bias;
        o.n_logit_bias = below(&rng, n_vocab < 6 ? n_vocab + 1 : 7);
        o.temperature = uniform(&rng, 0.3f, 1.7f);
        o.repeat_penalty = below(&rng, 2) ? uniform(&rng, 0.5f, 2.0f) : 1;
        o.presence_penalty = below(&rng, 2) ? uniform(&rng, -1, 1) : 0;
        o.frequency_penalty = below(&rng, 2) ? uniform(&rng, -1, 1) : 0;
        o.penalty_last_n = (int32_t)below(&rng, 90) - 1;
        o.dry_multiplier = below(&rng, 2) ? uniform(&rng, 0, 2) : 0;
        o.dry_base = uniform(&rng, 1, 2);
        o.dry_allowed_length = (int32_t)below(&rng, 5);
        o.dry_last_n = (int32_t)below(&rng, 90) - 1;
        o.top_k = (int32_t)below(&rng, 2 * n_vocab < 200 ? 2 * n_vocab : 200);
        o.typical_p = below(&rng, 2) ? uniform(&rng, 0.3f, 1) : 1;
        o.top_p = below(&rng, 2) ? uniform(&rng, 0.3f, 1) : 1;
        o.min_p = below(&rng, 2) ? uniform(&rng, 0, 0.3f) : 0;
        snprintf(what, sizeof what, "n %u, seed %llu, round %d", n_vocab,
                 (unsigned long long)seed, round);
        compare(&o, x, n_vocab, history, n_history, breaker, what);
    }
    free(x);
    free(breaker);
    assert_true(n_compared >= (n_vocab < 5000 ? 10 : 1) * n_unsure);
}

static void test_chains(void **state) {
    (void)state;
    random_chains(1, 30, 1);
    random_chains(2, 100, 2);
    random_chains(50, 600, 3);
    random_chains(3000, 60, 4);
    random_chains(BIG_VOCAB, 8, 5);
}

static void check_ids(const slm_sampling *o, const float *x, uint32_t n, const int32_t *ids,
                      size_t n_ids) {
    slm_candidates c;
    slm_sampler *s = open_with(o, n, 8, NULL);
    assert_int_equal(slm_sampler_filter(s, x, NULL, 0, &c, NULL), SLM_OK);
    assert_int_equal(c.n, n_ids);
    for (size_t i = 0; i < n_ids; i++)
        assert_int_equal(c.id != NULL ? c.id[i] : (int32_t)i, ids[i]);
    slm_sampler_close(s);
}

static void test_ties_go_to_the_lowest_ids(void **state) {
    static const float x[] = {1, 3, 3, 3, 2, -0.0f, 0.0f};
    static const float equal[] = {5, 5, 5, 5};
    (void)state;
    slm_sampling o = none();
    o.top_k = 2;
    check_ids(&o, x, 7, (int32_t[]){1, 2}, 2);
    o.top_k = 6; /* both zeros are equal */
    check_ids(&o, x, 7, (int32_t[]){0, 1, 2, 3, 4, 5}, 6);
    o = none();
    o.top_p = 0;
    check_ids(&o, x, 7, (int32_t[]){1}, 1);
    o.top_p = 0.5f; /* 2 of 4, exactly */
    check_ids(&o, equal, 4, (int32_t[]){0, 1}, 2);
    o.top_p = 0.51f;
    check_ids(&o, equal, 4, (int32_t[]){0, 1, 2}, 3);
    o = none();
    o.typical_p = 0.5f;
    check_ids(&o, equal, 4, (int32_t[]){0, 1}, 2);
    o = none();
    o.min_p = 1;
    check_ids(&o, x, 7, (int32_t[]){1, 2, 3}, 3);
}

/* A row that is not a distribution of a model, but adds up: p = 1/2, 1/4, 1/8, 1/8. */
static void test_worked_example(void **state) {
    float x[4];
    (void)state;
    for (int i = 0; i < 4; i++)
        x[i] = logf((float[]){0.125f, 0.5f, 0.25f, 0.125f}[i]);
    slm_sampling o = none();
    o.top_p = 0.7f;
    check_ids(&o, x, 4, (int32_t[]){1, 2}, 2);
    o.top_p = 0.8f; /* of the two eighths, the one with the lower id */
    check_ids(&o, x, 4, (int32_t[]){0, 1, 2}, 3);
    o = none();
    o.min_p = 0.3f;
    check_ids(&o, x, 4, (int32_t[]){1, 2}, 2);
    /* H = 1.75 ln 2; |-ln p - H| / ln 2 is 0.25 for the quarter, 0.75 for the half, 1.25 for the
     * eighths. */
    o = none();
    o.typical_p = 0.2f;
    check_ids(&o, x, 4, (int32_t[]){2}, 1);
    o.typical_p = 0.6f;
    check_ids(&o, x, 4, (int32_t[]){1, 2}, 2);
    /* TOP_P after TOP_K sees probabilities of what is left: 2/3 and 1/3. */
    o = none();
    o.top_k = 2;
    o.top_p = 0.6f;
    check_ids(&o, x, 4, (int32_t[]){1}, 1);
    memcpy(o.order, (uint8_t[]){SLM_SAMPLER_TOP_P, SLM_SAMPLER_TOP_K}, 2);
    check_ids(&o, x, 4, (int32_t[]){1, 2}, 2);
    /* A temperature of 2 before MIN_P makes ratios their square roots. */
    o = none();
    o.min_p = 0.45f;
    o.temperature = 2;
    check_ids(&o, x, 4, (int32_t[]){1, 2}, 2);
    memcpy(o.order, (uint8_t[]){SLM_SAMPLER_TEMPERATURE, SLM_SAMPLER_MIN_P}, 2);
    check_ids(&o, x, 4, (int32_t[]){0, 1, 2, 3}, 4);
}

/* ---- history ---------------------------------------------------------------------------------- */

/* The window moves with the history: grown by one or by many, cut back, begun anew. */
static void test_window_follows_history(void **state) {
    static const int32_t windows[] = {1, 5, 64, -1};
    enum { VOCAB = 20, CTX = 100 };
    float x[VOCAB];
    int32_t history[400];
    slm_rng rng;
    (void)state;
    slm_rng_seed(&rng, 11);
    make_logits(x, VOCAB, NORMAL, &rng);
    for (size_t w = 0; w < sizeof windows / sizeof *windows; w++) {
        slm_sampling o = none();
        o.penalty_last_n = windows[w];
        o.repeat_penalty = 1.3f;
        o.presence_penalty = 0.2f;
        o.frequency_penalty = 0.1f;
        slm_sampler *s = open_with(&o, VOCAB, CTX, NULL);
        slm_sampling wanted = o; /* no more than the context is looked at */
        if (o.penalty_last_n < 0)
            wanted.penalty_last_n = CTX;
        size_t n = 0;
        for (int step = 0; step < 300; step++) {
            slm_candidates c;
            ref_list r;
            size_t grow = step % 50 == 49 ? 90 : below(&rng, 3);
            if (step % 40 == 39) {
                n -= below(&rng, (uint32_t)n + 1);
                grow = 0;
            }
            if (step % 70 == 69) {
                n = 0;
                slm_sampler_reset(s);
            }
            for (; grow > 0 && n < 400; grow--)
                history[n++] = (int32_t)below(&rng, VOCAB);
            assert_int_equal(slm_sampler_filter(s, x, history, n, &c, NULL), SLM_OK);
            ref_init(&r, x, VOCAB);
            ref_chain(&r, &wanted, history, n, NULL);
            compare_lists(&c, &r, "window");
            ref_free(&r);
        }
        slm_sampler_close(s);
    }
}

static void test_dry_worked_example(void **state) {
    /* ... 1 2 3 4 ... 1 2 3: going on with 4 makes a repeat of three tokens longer. */
    static const int32_t history[] = {9, 1, 2, 3, 4, 8, 1, 2, 3};
    float x[10] = {0};
    slm_candidates c;
    (void)state;
    slm_sampling o = none();
    o.dry_multiplier = 0.5f;
    o.dry_base = 2;
    o.dry_allowed_length = 1;
    slm_sampler *s = open_with(&o, 10, 64, NULL);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(slm_sampler_filter(s, x, history, 9, &c, NULL), SLM_OK);
        for (int i = 0; i < 10; i++)
            assert_float_equal(c.logit[i], i == 4 ? -0.5f * 4 : 0.0f, 1e-6f);
    }
    slm_sampler_close(s);
    o.dry_allowed_length = 4; /* free up to here */
    s = open_with(&o, 10, 64, NULL);
    assert_int_equal(slm_sampler_filter(s, x, history, 9, &c, NULL), SLM_OK);
    for (int i = 0; i < 10; i++)
        assert_float_equal(c.logit[i], 0, 0);
    slm_sampler_close(s);
    o.dry_allowed_length = 1; /* with 2 a breaker, the match is 3 alone */
    s = open_with(&o, 10, 64, (uint8_t[]){1u << 2, 0});
    assert_int_equal(slm_sampler_filter(s, x, history, 9, &c, NULL), SLM_OK);
    assert_float_equal(c.logit[4], -0.5f, 1e-6f);
    slm_sampler_close(s);
}

/* One token over and over, as long as a context: linear time, and a penalty that cannot overflow. */
static void test_dry_long_repeat(void **state) {
    enum { N = 100000 };
    int32_t *history = calloc(N, sizeof *history);
    float x[3] = {1, 0, FLT_MAX};
    slm_candidates c;
    (void)state;
    slm_sampling o = none();
    o.dry_multiplier = 1000;
    o.dry_base = 100;
    slm_sampler *s = open_with(&o, 3, N, NULL);
    assert_int_equal(slm_sampler_filter(s, x, history, N, &c, NULL), SLM_OK);
    assert_true(c.logit[0] == -FLT_MAX);
    assert_true(c.logit[1] == 0 && c.logit[2] == FLT_MAX);
    slm_sampler_close(s);
    free(history);
}

static void test_history_outside_vocabulary(void **state) {
    static const int32_t bad[][3] = {{0, 5, 1}, {0, -1, 1}};
    float x[5] = {0, 1, 2, 3, 4};
    (void)state;
    for (int dry = 0; dry < 2; dry++)
        for (int i = 0; i < 2; i++) {
            slm_error error = SLM_ERROR_INIT;
            slm_candidates c;
            slm_sampling o = none();
            o.presence_penalty = dry ? 0 : 1;
            o.dry_multiplier = dry ? 1 : 0;
            slm_sampler *s = open_with(&o, 5, 8, NULL);
            assert_int_equal(slm_sampler_filter(s, x, bad[i], 3, &c, &error), SLM_ERR_RANGE);
            assert_string_equal(error.message,
                                i == 0 ? "sampling: token 5 in the history, wanted 0 to 4"
                                       : "sampling: token -1 in the history, wanted 0 to 4");
            slm_sampler_reset(s);
            assert_int_equal(slm_sampler_filter(s, x, (int32_t[]){1}, 1, &c, NULL), SLM_OK);
            slm_sampler_close(s);
        }
}

/* ---- choosing --------------------------------------------------------------------------------- */

static int32_t choose(slm_sampler *s, const float *x) {
    int32_t token = -1;
    assert_int_equal(slm_sampler_choose(s, x, NULL, 0, &token, NULL, NULL, NULL, NULL), SLM_OK);
    return token;
}

static void test_greedy(void **state) {
    float x[6] = {1, 4, 2, 4, -INFINITY, 3};
    slm_logit_bias bias[] = {{1, -3}, {5, 1.5f}};
    (void)state;
    slm_sampling o = slm_sampling_defaults;
    o.temperature = 0;
    slm_sampler *s = open_with(&o, 6, 8, NULL);
    assert_int_equal(choose(s, x), 1); /* the lowest of equals */
    slm_sampler_close(s);
    o.logit_bias = bias; /* stages before still count */
    o.n_logit_bias = 2;
    s = open_with(&o, 6, 8, NULL);
    assert_int_equal(choose(s, x), 5);
    slm_sampler_close(s);
    /* and stages after filters too: of the two best, one is then lowered */
    o.top_k = 2;
    memcpy(o.order, (uint8_t[]){SLM_SAMPLER_TEMPERATURE, SLM_SAMPLER_TOP_K, SLM_SAMPLER_BIAS}, 3);
    s = open_with(&o, 6, 8, NULL);
    assert_int_equal(choose(s, x), 3);
    slm_sampler_close(s);
    /* without TEMPERATURE in the order it is greedy all the same */
    memcpy(o.order, (uint8_t[]){SLM_SAMPLER_BIAS, SLM_SAMPLER_END, SLM_SAMPLER_END}, 3);
    s = open_with(&o, 6, 8, NULL);
    for (int i = 0; i < 20; i++)
        assert_int_equal(choose(s, x), 5);
    slm_sampler_close(s);
}

/* The lowest of equals, wherever in a long row they lie, and also when it is the last of all. */
static void test_greedy_in_long_rows(void **state) {
    enum { N = 5000 };
    static float x[N];
    slm_rng rng;
    (void)state;
    slm_sampling o = slm_sampling_defaults;
    o.temperature = 0;
    slm_sampler *s = open_with(&o, N, 8, NULL);
    slm_rng_seed(&rng, 41);
    for (int round = 0; round < 2000; round++) {
        uint32_t n_equal = round % 4, best = round % 5 ? below(&rng, N) : N - 1;
        for (size_t i = 0; i < N; i++)
            x[i] = uniform(&rng, -9, -1);
        x[best] = round % 3 ? 0.0f : -0.0f;
        for (uint32_t i = 0; i < n_equal; i++) {
            uint32_t at = below(&rng, N);
            x[at] = 0.0f;
            best = at < best ? at : best;
        }
        assert_int_equal(choose(s, x), (int32_t)best);
    }
    slm_sampler_close(s);
}

static void test_seed(void **state) {
    enum { VOCAB = 300, DRAWS = 200 };
    float x[VOCAB];
    int32_t first[DRAWS];
    slm_rng rng;
    (void)state;
    slm_rng_seed(&rng, 5);
    make_logits(x, VOCAB, NORMAL, &rng);
    slm_sampling o = slm_sampling_defaults;
    o.temperature = 1.5f;
    for (uint64_t seed = 0; seed < 3; seed++) {
        o.seed = seed;
        slm_sampler *s = open_with(&o, VOCAB, 8, NULL);
        slm_sampler *t = open_with(&o, VOCAB, 800, NULL);
        size_t same = 0;
        for (int i = 0; i < DRAWS; i++) {
            int32_t token = choose(s, x);
            same += seed > 0 && token == first[i];
            first[i] = token;
            assert_int_equal(choose(t, x), token);
        }
        assert_true(same < DRAWS / 2); /* another seed is another sequence */
        slm_sampler_reset(s);
        for (int i = 0; i < DRAWS; i++)
            assert_int_equal(choose(s, x), first[i]);
        slm_sampler_close(s);
        slm_sampler_close(t);
    }
}

/* Frequencies of draws against the definition's probabilities: Pearson's chi-square, as a standard
 * normal deviate (Wilson and Hilferty 1931). |z| < 3.9 leaves 1e-4 on both sides together, for a
 * seed chosen beforehand. */
static void check_frequencies(const slm_sampling *o, const float *x, uint32_t n, size_t draws) {
    slm_sampler *s = open_with(o, n, 8, NULL);
    uint32_t *count = calloc(n, sizeof *count);
    ref_list r;
    double chi2 = 0, rest = (double)draws, rest_count = (double)draws, cells = 0;
    for (size_t i = 0; i < draws; i++)
        count[choose(s, x)]++;
    ref_init(&r, x, n);
    ref_chain(&r, o, NULL, 0, NULL);
    for (size_t i = 0; i < r.n; i++) {
        double expected = r.v[i].p * (double)draws;
        if (expected < 10)
            continue;
        chi2 += pow(count[r.v[i].id] - expected, 2) / expected;
        rest -= expected;
        rest_count -= count[r.v[i].id];
        cells++;
    }
    if (rest >= 10) {
        chi2 += pow(rest_count - rest, 2) / rest;
        cells++;
    }
    size_t drawn = 0;
    for (size_t i = 0; i < r.n; i++)
        drawn += count[r.v[i].id];
    assert_int_equal(drawn, draws); /* nothing that the stages removed */
    double df = cells - 1;
    assert_true(df >= 3);
    double z = (cbrt(chi2 / df) - (1 - 2 / (9 * df))) / sqrt(2 / (9 * df));
    if (!(fabs(z) < 3.9))
        fail_msg("chi-square %.1f with %.0f degrees of freedom, z %.2f", chi2, df, z);
    ref_free(&r);
    free(count);
    slm_sampler_close(s);
}

static void test_frequencies(void **state) {
    static float x[BIG_VOCAB];
    slm_rng rng;
    (void)state;
    slm_rng_seed(&rng, 21);
    make_logits(x, 50, NORMAL, &rng);
    slm_sampling o = slm_sampling_defaults;
    o.seed = 1234;
    check_frequencies(&o, x, 50, 100000);
    o = none();
    o.temperature = 1.2f;
    o.seed = 99;
    check_frequencies(&o, x, 50, 100000);
    o = none(); /* several blocks of the draw, some of them masked throughout */
    make_logits(x, 3000, NORMAL, &rng);
    for (size_t i = 1000; i < 2900; i++)
        x[i] = -INFINITY;
    check_frequencies(&o, x, 3000, 40000);
    o = none();
    o.typical_p = 0.7f;
    make_logits(x, 1000, TIES, &rng);
    check_frequencies(&o, x, 1000, 50000);
    o = slm_sampling_defaults;
    make_logits(x, BIG_VOCAB, NORMAL, &rng);
    check_frequencies(&o, x, BIG_VOCAB, 1000);
}

/* The best lie at, before and behind multiples of a power of two, with stretches between them that
 * hold nothing of interest. */
static void test_top_at_borders(void **state) {
    enum { N = 40000, STEP = 1024, HIGH = 30, TOP = 10 };
    static float x[N];
    slm_error error = SLM_ERROR_INIT;
    slm_sampler *s = NULL;
    slm_rng rng;
    (void)state;
    slm_rng_seed(&rng, 43);
    assert_int_equal(slm_sampler_open(&host, NULL, N, 8, TOP, NULL, &kernels, scratch_for(N, 8), &s,
                                      &error), SLM_OK);
    for (int offset = -1; offset <= 1; offset++) {
        const slm_token_prob *top;
        size_t n_top;
        int32_t token;
        for (size_t i = 0; i < N; i++)
            x[i] = uniform(&rng, -9, -1);
        for (int i = 1; i <= HIGH; i++) /* the best last */
            x[i * STEP + offset] = (float)i;
        assert_int_equal(slm_sampler_choose(s, x, NULL, 0, &token, NULL, &top, &n_top, &error),
                         SLM_OK);
        assert_int_equal(n_top, TOP);
        for (int i = 0; i < TOP; i++)
            assert_int_equal(top[i].id, (HIGH - i) * STEP + offset);
    }
    slm_sampler_close(s);
}

static void test_logprob_and_top(void **state) {
    static const uint32_t sizes[] = {1, 2, 50, BIG_VOCAB};
    static const uint32_t tops[] = {0, 1, 5, 64};
    float *x = malloc(BIG_VOCAB * sizeof *x);
    slm_rng rng;
    (void)state;
    slm_rng_seed(&rng, 31);
    for (size_t a = 0; a < 4; a++)
        for (size_t b = 0; b < 4; b++)
            for (int kind = 0; kind < N_KINDS; kind++) {
                uint32_t n = sizes[a];
                slm_error error = SLM_ERROR_INIT;
                slm_sampler *s = NULL;
                slm_logit_bias bias = {0, 3}; /* must not show in the log-probabilities */
                slm_sampling o = slm_sampling_defaults;
                o.logit_bias = &bias;
                o.n_logit_bias = 1;
                make_logits(x, n, kind, &rng);
                assert_int_equal(
                    slm_sampler_open(&host, &o, n, 8, tops[b], NULL, &kernels, scratch_for(n, 8),
                                     &s, &error), SLM_OK);
                int32_t token;
                float logprob;
                const slm_token_prob *top;
                size_t n_top;
                assert_int_equal(slm_sampler_choose(s, x, NULL, 0, &token, &logprob, &top, &n_top,
                                                    &error),
                                 SLM_OK);
                ref_list r;
                ref_init(&r, x, n);
                ref_top_k(&r, n);
                ref_softmax(&r);
                double log_sum = 0, max = r.v[0].l;
                for (size_t i = 0; i < n; i++)
                    log_sum += exp(r.v[i].l - max);
                log_sum = log(log_sum);
                size_t unmasked = 0;
                while (unmasked < n && r.v[unmasked].l > -INFINITY)
                    unmasked++;
                assert_int_equal(n_top, tops[b] < unmasked ? tops[b] : unmasked);
                for (size_t i = 0; i < n_top; i++) {
                    double wanted = r.v[i].l - max - log_sum;
                    assert_int_equal(top[i].id, r.v[i].id);
                    if (wanted > -1e6)
                        assert_true(fabs((double)top[i].logprob - wanted) <= 2e-5);
                }
                double wanted = (double)x[token] - max - log_sum;
                if (wanted > -1e6)
                    assert_true(fabs((double)logprob - wanted) <= 2e-5);
                ref_free(&r);
                slm_sampler_close(s);
            }
    free(x);
}

static void test_bad_logits(void **state) {
    slm_sampler *s = open_with(NULL, 6, 8, NULL);
    slm_logit_bias all[] = {{0, -INFINITY}, {1, -INFINITY}, {2, -INFINITY}};
    float x[6];
    int32_t token = 77;
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        slm_error error = SLM_ERROR_INIT;
        for (int i = 0; i < 6; i++)
            x[i] = kind == 2 ? -INFINITY : (float)i;
        if (kind < 2)
            x[3] = kind ? INFINITY : NAN;
        assert_int_equal(slm_sampler_choose(s, x, NULL, 0, &token, NULL, NULL, NULL, &error),
                         SLM_ERR_NUMERIC);
        assert_string_equal(
            error.message,
            kind == 0   ? "sampling: the logit of token 3 is not a number, wanted a finite number "
                          "or -infinity"
            : kind == 1 ? "sampling: the logit of token 3 is infinite, wanted a finite number or "
                          "-infinity"
                        : "sampling: every token is masked, wanted at least one to choose from");
        assert_int_equal(token, 77);
    }
    for (int i = 0; i < 6; i++)
        x[i] = (float)i;
    assert_in_range(choose(s, x), 0, 5); /* and it goes on */
    slm_sampler_close(s);
    slm_sampling o = none();
    o.logit_bias = all;
    o.n_logit_bias = 3;
    s = open_with(&o, 3, 8, NULL);
    slm_error error = SLM_ERROR_INIT;
    assert_int_equal(slm_sampler_choose(s, x, NULL, 0, &token, NULL, NULL, NULL, &error),
                     SLM_ERR_NUMERIC);
    assert_string_equal(error.message,
                        "sampling: every token is masked, wanted at least one to choose from");
    slm_sampler_close(s);
}

static void test_bias(void **state) {
    slm_logit_bias bias[] = {{4, 1}, {2, -INFINITY}, {0, 2}, {4, 0.5f}, {2, 5}};
    float x[5] = {0, 0, 50, 0, FLT_MAX};
    slm_candidates c;
    (void)state;
    slm_sampling o = none();
    o.logit_bias = bias;
    o.n_logit_bias = 5;
    slm_sampler *s = open_with(&o, 5, 8, NULL);
    memset(bias, 0, sizeof bias); /* copied */
    assert_int_equal(slm_sampler_filter(s, x, NULL, 0, &c, NULL), SLM_OK);
    assert_true(c.logit[0] == 2 && c.logit[1] == 0 && c.logit[2] == -INFINITY && c.logit[3] == 0);
    assert_true(c.logit[4] == FLT_MAX);
    slm_sampler_close(s);
}

/* ---- opening ---------------------------------------------------------------------------------- */

static void refuse(const slm_sampling *o, uint32_t n_vocab, uint32_t n_top, slm_status status,
                   const char *message) {
    slm_error error = SLM_ERROR_INIT;
    slm_sampler *s = (slm_sampler *)&error;
    assert_int_equal(slm_sampler_open(&host, o, n_vocab, 8, n_top, NULL, &kernels, scratch_memory, &s,
                                      &error),
                     status);
    assert_null(s);
    assert_int_equal(error.status, status);
    assert_string_equal(error.message, message);
}

#define REFUSE(change, status, message)          \
    do {                                         \
        slm_sampling o = slm_sampling_defaults;  \
        change;                                  \
        refuse(&o, 100, 0, status, message);     \
    } while (0)
#define REFUSE_RANGE(change, message) REFUSE(change, SLM_ERR_RANGE, "sampling: " message)

static void test_refused(void **state) {
    slm_logit_bias bias[101];
    (void)state;
    REFUSE_RANGE(o.temperature = NAN, "temperature is nan, wanted 0 to 1000");
    REFUSE_RANGE(o.temperature = -1, "temperature is -1, wanted 0 to 1000");
    REFUSE_RANGE(o.temperature = 1e38f, "temperature is 1e+38, wanted 0 to 1000");
    REFUSE_RANGE(o.top_k = -1, "top_k is -1, wanted 0 or more");
    REFUSE_RANGE(o.top_k = INT32_MIN, "top_k is -2147483648, wanted 0 or more");
    REFUSE_RANGE(o.top_p = NAN, "top_p is nan, wanted 0 to 1");
    REFUSE_RANGE(o.top_p = 1.5f, "top_p is 1.5, wanted 0 to 1");
    REFUSE_RANGE(o.top_p = -0.5f, "top_p is -0.5, wanted 0 to 1");
    REFUSE_RANGE(o.min_p = NAN, "min_p is nan, wanted 0 to 1");
    REFUSE_RANGE(o.min_p = 2, "min_p is 2, wanted 0 to 1");
    REFUSE_RANGE(o.typical_p = NAN, "typical_p is nan, wanted 0 to 1");
    REFUSE_RANGE(o.typical_p = -1e38f, "typical_p is -1e+38, wanted 0 to 1");
    REFUSE_RANGE(o.repeat_penalty = NAN, "repeat_penalty is nan, wanted more than 0 to 1000");
    REFUSE_RANGE(o.repeat_penalty = 0, "repeat_penalty is 0, wanted more than 0 to 1000");
    REFUSE_RANGE(o.repeat_penalty = 1e38f, "repeat_penalty is 1e+38, wanted more than 0 to 1000");
    REFUSE_RANGE(o.presence_penalty = INFINITY, "presence_penalty is inf, wanted -1000 to 1000");
    REFUSE_RANGE(o.frequency_penalty = NAN, "frequency_penalty is nan, wanted -1000 to 1000");
    REFUSE_RANGE(o.penalty_last_n = -2, "penalty_last_n is -2, wanted -1 or more");
    REFUSE_RANGE(o.dry_multiplier = -1, "dry_multiplier is -1, wanted 0 to 1000");
    REFUSE_RANGE(o.dry_base = 0.5f, "dry_base is 0.5, wanted 1 to 100");
    REFUSE_RANGE(o.dry_base = NAN, "dry_base is nan, wanted 1 to 100");
    REFUSE_RANGE(o.dry_allowed_length = -1, "dry_allowed_length is -1, wanted 0 or more");
    REFUSE_RANGE(o.dry_last_n = -7, "dry_last_n is -7, wanted -1 or more");
    REFUSE_RANGE(o.order[0] = 9, "order[0] is 9, wanted a stage from 1 to 8");
    REFUSE_RANGE(memcpy(o.order, "\1\4\1", 3),
                 "order[2] is 1 for the second time, wanted each stage once");
    REFUSE_RANGE(memcpy(o.order, "\1\0\4", 3), "order[2] is 4 after the end at order[1], wanted 0");
    REFUSE_RANGE(o.order[1] = 4, "order[1] is 4 after the end at order[0], wanted 0");
    REFUSE(o.n_logit_bias = 1, SLM_ERR_ARG, "sampling: logit_bias is NULL, n_logit_bias is 1");
    memset(bias, 0, sizeof bias);
    REFUSE((o.logit_bias = bias, o.n_logit_bias = 101), SLM_ERR_LIMIT,
           "sampling: 101 entries in logit_bias, at most 100, one for each token");
    bias[1].id = 100;
    REFUSE_RANGE((o.logit_bias = bias, o.n_logit_bias = 2),
                 "logit_bias[1].id is 100, wanted 0 to 99");
    bias[1].id = -1;
    REFUSE_RANGE((o.logit_bias = bias, o.n_logit_bias = 2),
                 "logit_bias[1].id is -1, wanted 0 to 99");
    bias[1] = (slm_logit_bias){3, NAN};
    REFUSE_RANGE((o.logit_bias = bias, o.n_logit_bias = 2),
                 "logit_bias[1].bias is nan, wanted -1e6 to 1e6 or -infinity");
    bias[1].bias = 1e38f;
    REFUSE_RANGE((o.logit_bias = bias, o.n_logit_bias = 2),
                 "logit_bias[1].bias is 1e+38, wanted -1e6 to 1e6 or -infinity");
    bias[1].bias = INFINITY;
    REFUSE_RANGE((o.logit_bias = bias, o.n_logit_bias = 2),
                 "logit_bias[1].bias is inf, wanted -1e6 to 1e6 or -infinity");
    slm_sampling o = slm_sampling_defaults;
    refuse(&o, 0, 0, SLM_ERR_ARG, "sampling: n_vocab is 0, wanted 1 to 2147483647");
    refuse(&o, 1u << 31, 0, SLM_ERR_ARG,
           "sampling: n_vocab is 2147483648, wanted 1 to 2147483647");
    refuse(&o, 100, 65, SLM_ERR_RANGE, "sampling: n_top is 65, wanted 0 to 64");
}

static void test_edges_accepted(void **state) {
    static const float values[] = {0, -0.0f, 1e-45f, 0.5f, 1};
    float x[3] = {1, 2, 3};
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        slm_sampling o = slm_sampling_defaults;
        o.temperature = o.top_p = o.min_p = o.typical_p = values[i];
        o.repeat_penalty = values[i] > 0 ? values[i] : 1000;
        o.presence_penalty = -1000;
        o.frequency_penalty = 1000;
        o.top_k = INT32_MAX;
        o.penalty_last_n = INT32_MAX;
        o.dry_multiplier = 1000;
        o.dry_base = 100;
        o.dry_last_n = INT32_MAX;
        o.dry_allowed_length = INT32_MAX;
        o.seed = UINT64_MAX;
        memcpy(o.order, "\10\7\6\5\4\3\2\1", 8);
        slm_sampler *s = open_with(&o, 3, 4, NULL);
        int32_t token = -1;
        static const int32_t history[] = {0, 1, 2, 0, 1, 2, 0};
        assert_int_equal(slm_sampler_choose(s, x, history, 7, &token, NULL, NULL, NULL, NULL),
                         SLM_OK);
        assert_in_range(token, 0, 2);
        slm_sampler_close(s);
    }
}

/* A caller that knows only the first fields gets defaults for the rest. */
static void test_older_struct(void **state) {
    slm_sampling old, now = slm_sampling_defaults;
    float x[300];
    slm_rng rng;
    (void)state;
    slm_rng_seed(&rng, 3);
    make_logits(x, 300, NORMAL, &rng);
    memset(&old, 0xee, sizeof old);
    old.struct_size = (uint32_t)offsetof(slm_sampling, top_p);
    old.temperature = now.temperature = 1.25f;
    old.top_k = now.top_k = 17;
    slm_sampler *s = open_with(&old, 300, 8, NULL), *t = open_with(&now, 300, 8, NULL);
    for (int i = 0; i < 100; i++)
        assert_int_equal(choose(s, x), choose(t, x));
    slm_sampler_close(s);
    slm_sampler_close(t);
}

typedef struct counting {
    size_t calls, fail_at;
} counting;
static void *counting_alloc(void *user, size_t size, size_t align) {
    counting *c = user;
    if (c->calls++ == c->fail_at)
        return NULL;
    return aligned_alloc(align, (size + align - 1) / align * align);
}
static void counting_free(void *user, void *ptr, size_t size, size_t align) {
    (void)user, (void)size, (void)align;
    free(ptr);
}

static void test_memory(void **state) {
    counting c = {0, SIZE_MAX};
    slm_allocator allocator = {counting_alloc, counting_free, &c};
    slm_host own;
    slm_error error = SLM_ERROR_INIT;
    slm_sampler *s = NULL;
    slm_logit_bias bias = {1, 1};
    float x[1000];
    int32_t history[50] = {0}, token;
    (void)state;
    slm_host_init(&own, &allocator, NULL, NULL, SLM_LOG_NONE);
    slm_sampling o = slm_sampling_defaults; /* everything on */
    o.typical_p = 0.9f;
    o.presence_penalty = 0.1f;
    o.dry_multiplier = 1;
    o.logit_bias = &bias;
    o.n_logit_bias = 1;
    slm_rng rng;
    slm_rng_seed(&rng, 8);
    make_logits(x, 1000, NORMAL, &rng);
    for (c.fail_at = 0;; c.fail_at++) {
        c.calls = 0;
        slm_status status = slm_sampler_open(&own, &o, 1000, 64, 5, NULL, &kernels,
                                             scratch_for(1000, 64), &s, &error);
        if (status == SLM_OK)
            break;
        assert_int_equal(status, SLM_ERR_NOMEM);
        assert_null(s);
        assert_int_equal(own.bytes, 0);
    }
    assert_true(c.fail_at > 0);
    size_t calls = c.calls;
    assert_in_range(own.bytes, 1, 8 * 1000 + 3000); /* counts and slots of the penalties */
    for (size_t n = 0; n < 50; n++)
        assert_int_equal(slm_sampler_choose(s, x, history, n, &token, NULL, NULL, NULL, NULL),
                         SLM_OK);
    assert_int_equal(c.calls, calls); /* nothing while tokens flow */
    slm_sampler_close(s);
    assert_int_equal(own.bytes, 0);
    slm_sampler_close(NULL);
}

/* ---- breakers --------------------------------------------------------------------------------- */

static void check_breakers(const slm_vocab *v, const slm_sampling *o, const char *const *texts,
                           size_t n_texts) {
    uint32_t n = slm_vocab_size(v) + 3; /* rows of padding break nothing */
    uint8_t *bitmap = malloc((n + 7) / 8);
    char *buf = malloc(slm_vocab_max_token_bytes(v));
    size_t found = 0;
    assert_int_equal(slm_sampler_breakers(o, v, n, buf, bitmap, NULL), SLM_OK);
    for (uint32_t id = 0; id < n; id++) {
        int wanted = 0;
        if (id < slm_vocab_size(v)) {
            slm_str t = slm_vocab_token_bytes(v, (int32_t)id, 0, buf);
            for (size_t i = 0; i < n_texts; i++)
                for (size_t at = 0; at + strlen(texts[i]) <= t.len; at++)
                    wanted |= memcmp(t.ptr + at, texts[i], strlen(texts[i])) == 0;
        }
        assert_int_equal(bitmap[id / 8] >> (id % 8) & 1, wanted);
        found += (size_t)wanted;
    }
    assert_true(found > 0 && found < n / 2);
    free(bitmap);
    free(buf);
}

static void test_breakers(void **state) {
    slm_error error = SLM_ERROR_INIT;
    slm_gguf *g = NULL;
    slm_vocab *v = NULL;
    slm_str architecture = {"llama", 5};
    (void)state;
    if (slm_gguf_open(&host, SLM_SHARED_DIR "/vocab/llama3.gguf", SLM_LOAD_AUTO,
                      SLM_GGUF_NO_TENSORS, NULL, NULL, &g, &error) != SLM_OK) {
        if (getenv("CI") != NULL && strcmp(getenv("CI"), "true") == 0)
            fail_msg("%s", error.message);
        print_message("skipped: %s\n", error.message);
        skip();
    }
    assert_int_equal(slm_vocab_open(&host, g, architecture, &v, &error), SLM_OK);
    check_breakers(v, NULL, (const char *const[]){"\n", ":", "\"", "*"}, 4);
    slm_sampling o = slm_sampling_defaults;
    slm_span spans[] = {{"ing", SLM_NTS, 0}, {". They", 2, 0}};
    o.dry_breakers = spans;
    o.n_dry_breakers = 2;
    check_breakers(v, &o, (const char *const[]){"ing", ". "}, 2);

    char buf[1024];
    uint8_t bitmap[16];
    assert_true(slm_vocab_max_token_bytes(v) <= sizeof buf);
    spans[1].len = 0;
    assert_int_equal(slm_sampler_breakers(&o, v, 100, buf, bitmap, &error), SLM_ERR_RANGE);
    assert_string_equal(error.message, "sampling: text 1 of dry_breakers is empty");
    spans[0].text = NULL;
    assert_int_equal(slm_sampler_breakers(&o, v, 100, buf, bitmap, &error), SLM_ERR_ARG);
    o.n_dry_breakers = 257;
    assert_int_equal(slm_sampler_breakers(&o, v, 100, buf, bitmap, &error), SLM_ERR_LIMIT);
    slm_vocab_close(v);
    slm_gguf_close(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_ties_go_to_the_lowest_ids),
        cmocka_unit_test(test_worked_example),
        cmocka_unit_test(test_window_follows_history),
        cmocka_unit_test(test_dry_worked_example),
        cmocka_unit_test(test_dry_long_repeat),
        cmocka_unit_test(test_history_outside_vocabulary),
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_greedy_in_long_rows),
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_frequencies),
        cmocka_unit_test(test_top_at_borders),
        cmocka_unit_test(test_logprob_and_top),
        cmocka_unit_test(test_bad_logits),
        cmocka_unit_test(test_bias),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_edges_accepted),
        cmocka_unit_test(test_older_struct),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_breakers),
    };
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    slm_kernels_init(&kernels, UINT32_MAX);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
