/* The best of a row of logits against the sampler's own selection, and what the sampler chooses from
 * it against what it chooses from the whole row. */
#include "base/rng.h"
#include "cuda/slm_cuda.h"
#include "fake_cuda.h"
#include "run/sampler.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_CTX 64u

static slm_host host;
static slm_kernels kernels;
static slm_cuda_stream stream;

static int setup(void **state) {
    (void)state;
    assert_int_equal(fake_cuda_reset(FAKE_CUDA_ORIN_NX_16), 0);
    return slm_cuda_stream_open(&stream, 0, 0);
}

static int teardown(void **state) {
    (void)state;
    slm_cuda_stream_close(&stream);
    return fake_cuda_reset(FAKE_CUDA_ORIN_NX_16) == 0 ? 0 : -1;
}

/* ---------------------------------------------------------------- rows ------------------------- */

static float uniform(slm_rng *rng, float lo, float hi) {
    return lo + (hi - lo) * (float)slm_rng_double(rng);
}
static uint32_t below(slm_rng *rng, uint32_t n) { return (uint32_t)(slm_rng_next(rng) >> 33) % n; }

/* Like a model's: a few stand out of a bell. */
static float bell(slm_rng *rng) {
    float sum = 0;
    for (int i = 0; i < 6; i++)
        sum += uniform(rng, -2, 2);
    return sum + (below(rng, 200) == 0 ? uniform(rng, 2, 9) : 0);
}

enum { BELL, TIES, EQUAL, ZEROS, ASCENDING, DESCENDING, EXTREME, NEAR, MASKED, N_KINDS };

static void fill(float *x, uint32_t n, int kind, slm_rng *rng) {
    for (uint32_t i = 0; i < n; i++)
        switch (kind) {
        case TIES:
            x[i] = (float)(int)below(rng, 7) - 3.0f;
            break;
        case EQUAL:
            x[i] = -1.5f;
            break;
        case ZEROS:
            x[i] = below(rng, 2) ? 0.0f : -0.0f;
            break;
        case ASCENDING:
            x[i] = (float)i * 1e-3f - 50;
            break;
        case DESCENDING:
            x[i] = -(float)i;
            break;
        case EXTREME:
            x[i] = ldexpf(uniform(rng, -1, 1), (int)below(rng, 260) - 140);
            break;
        case NEAR: /* different, but not all of them after a division */
            x[i] = i == 0 ? 0 : -1.75f - (float)below(rng, 60) * 0x1p-23f;
            break;
        case MASKED:
            x[i] = below(rng, 10) ? -INFINITY : bell(rng);
            break;
        default:
            x[i] = bell(rng);
        }
    if (kind == MASKED)
        x[below(rng, n)] = 1; /* one at least is not */
}

/* What the kernels say of a row. */
static slm_cuda_best *best_of(const float *x, uint32_t n, const uint32_t *named) {
    static const uint32_t row, none[SLM_CUDA_NAMED];
    slm_cuda_best *best = malloc(sizeof *best);
    assert_non_null(best);
    const struct {
        const void *from;
        size_t bytes;
    } parts[5] = {{x, n * sizeof *x}, {&row, sizeof row}, {named ? named : none, sizeof none},
                  {NULL, sizeof *best}, {NULL, slm_cuda_best_bytes(n, 1)}};
    void *on_device[5];
    for (int i = 0; i < 5; i++) {
        assert_int_equal(slm_cuda_alloc(0, &on_device[i], parts[i].bytes), 0);
        if (parts[i].from != NULL)
            assert_int_equal(slm_cuda_to_device(&stream, on_device[i], parts[i].from,
                                                parts[i].bytes), 0);
    }
    slm_cuda_choice choice = {.logits = on_device[0], .n = n, .rows = on_device[1], .n_slots = 1,
                              .named = on_device[2], .best = on_device[3],
                              .partial = on_device[4]};
    assert_int_equal(slm_cuda_best_of(&stream, &choice, 1), 0);
    assert_int_equal(slm_cuda_from_device(&stream, best, on_device[3], sizeof *best), 0);
    assert_int_equal(slm_cuda_wait(&stream), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(slm_cuda_free(0, on_device[i]), 0);
    return best;
}

/* ---------------------------------------------------------------- selection -------------------- */

static const float *sorted_row;

static int by_value(const void *a, const void *b) {
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    if (sorted_row[i] != sorted_row[j])
        return sorted_row[i] > sorted_row[j] ? -1 : 1;
    return i < j ? -1 : 1;
}

static int by_index(const void *a, const void *b) {
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    return i < j ? -1 : i > j;
}

/* The same by a plain sort. */
static slm_cuda_best *sorted_best(const float *x, uint32_t n, const uint32_t *named) {
    uint32_t *index = malloc(n * sizeof *index);
    slm_cuda_best *best = malloc(sizeof *best);
    double sum = 0;
    assert_true(index != NULL && best != NULL);
    for (uint32_t i = 0; i < n; i++)
        index[i] = i;
    sorted_row = x;
    qsort(index, n, sizeof *index, by_value);
    float max = x[index[0]];
    best->n = n < SLM_CUDA_BEST ? n : SLM_CUDA_BEST;
    best->is_finite = 1;
    qsort(index, best->n, sizeof *index, by_index);
    for (uint32_t i = 0; i < n; i++) {
        sum += exp((double)x[i] - (double)max);
        best->is_finite &= isfinite(x[i]) != 0;
    }
    best->sum = (float)sum;
    for (uint32_t i = 0; i < best->n; i++) {
        best->index[i] = index[i];
        best->value[i] = x[index[i]];
    }
    for (uint32_t i = 0; named != NULL && i < SLM_CUDA_NAMED; i++)
        best->named[i] = x[named[i]];
    free(index);
    return best;
}

/* The sampler's own selection of as many. */
static void check_top_k(const slm_cuda_best *best, const float *x, uint32_t n, void *scratch) {
    slm_sampling o = slm_sampling_defaults;
    slm_error error = SLM_ERROR_INIT;
    slm_sampler *s = NULL;
    slm_candidates c;
    o.temperature = 1;
    o.top_k = (int32_t)SLM_SAMPLER_BEST;
    o.top_p = 1;
    o.min_p = 0;
    memset(scratch, 0, slm_sampler_scratch_bytes(n, 1));
    assert_int_equal(slm_sampler_open(&host, &o, n, 1, 0, NULL, &kernels, scratch, &s, &error),
                     SLM_OK);
    assert_int_equal(slm_sampler_filter(s, x, NULL, 0, &c, &error), SLM_OK);
    size_t j = 0;
    for (size_t i = 0; i < c.n; i++) {
        while (j < best->n && best->value[j] == -INFINITY && best->value[j] != c.logit[i])
            j++;
        assert_in_range(j, 0, best->n - 1);
        assert_int_equal(best->index[j], c.id != NULL ? (uint32_t)c.id[i] : i);
        assert_memory_equal(&best->value[j], &c.logit[i], sizeof *x);
        j++;
    }
    slm_sampler_close(s);
}

static void selections_of_the_sampler(void **state) {
    (void)state;
    static const uint32_t sizes[] = {1, 256, 257, 4097, 9000, 32000, 128256, 200064};
    slm_rng rng;
    slm_rng_seed(&rng, 1);
    float *x = malloc(200064 * sizeof *x);
    void *scratch = aligned_alloc(64, slm_sampler_scratch_bytes(200064, 1));
    assert_true(x != NULL && scratch != NULL);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int kind = 0; kind < N_KINDS; kind++) {
            fill(x, sizes[i], kind, &rng);
            slm_cuda_best *best = best_of(x, sizes[i], NULL);
            check_top_k(best, x, sizes[i], scratch);
            free(best);
        }
    free(x);
    free(scratch);
}

/* ---------------------------------------------------------------- the sampler ------------------ */

/* Chains, and how many of a hundred choices from a model's logits the best must decide at least. */
typedef struct chain {
    const char *name;
    slm_sampling o;
    int decided;
} chain;

static const slm_logit_bias up[] = {{7, 3.5f}, {4000, 12}, {4001, -2}, {4002, -INFINITY}, {9, 30}};

/* What is 0 is off, but for the temperature. */
#define CHAIN(least, heat, ...)                                                                    \
    { #heat ", " #__VA_ARGS__,                                                                     \
      {.struct_size = sizeof(slm_sampling), .temperature = heat, __VA_ARGS__}, least }

static const chain chains[] = {
    CHAIN(100, 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f), /* the defaults */
    CHAIN(100, 0.0f, .seed = 1),
    CHAIN(100, 0.0f, .repeat_penalty = 1.3f, .frequency_penalty = 0.2f),
    CHAIN(100, 0.0f, .logit_bias = up, .n_logit_bias = 5),
    CHAIN(100, 0.0f, .top_k = 40, .typical_p = 0.5f),
    CHAIN(100, 0.8f, .top_k = 1),
    CHAIN(100, 0.8f, .top_k = 256),
    CHAIN(100, 1.4f, .top_k = 100, .typical_p = 0.9f),
    CHAIN(100, 0.8f, .top_k = 60, .repeat_penalty = 1.2f, .presence_penalty = 0.5f,
          .frequency_penalty = 0.1f),
    CHAIN(100, 0.8f, .top_k = 50, .dry_multiplier = 0.8f, .top_p = 0.9f),
    CHAIN(100, 0.8f, .top_k = 40, .logit_bias = up, .n_logit_bias = 5, .min_p = 0.02f),
    CHAIN(60, 0.8f, .top_p = 0.5f),
    CHAIN(60, 0.8f, .top_p = 0.5f, .repeat_penalty = 1.1f, .logit_bias = up, .n_logit_bias = 5),
    CHAIN(0, 0.8f, .top_p = 0.97f),
    CHAIN(100, 0.8f, .top_p = 1e-9f),
    CHAIN(95, 0.8f, .min_p = 0.05f),
    CHAIN(95, 1.5f, .min_p = 0.05f,
          .order = {SLM_SAMPLER_TEMPERATURE, SLM_SAMPLER_MIN_P}),
    CHAIN(100, 2.5f, .top_k = 40, .repeat_penalty = 1.3f,
          .order = {SLM_SAMPLER_TEMPERATURE, SLM_SAMPLER_PENALTIES, SLM_SAMPLER_TOP_K}),
    CHAIN(0, 1.7f, .top_k = 256, .order = {SLM_SAMPLER_TEMPERATURE, SLM_SAMPLER_TOP_K}),
    CHAIN(0, 0.8f, .top_k = 240, .repeat_penalty = 8, .presence_penalty = 5), /* below the rest */
    CHAIN(0, 0.8f, .top_k = 256, .presence_penalty = 1), /* as low as the rest */
    CHAIN(100, 0.8f, .top_k = 30, .top_p = 0.9f, .presence_penalty = 0.7f,
          .order = {SLM_SAMPLER_TOP_K, SLM_SAMPLER_PENALTIES, SLM_SAMPLER_TOP_P,
                    SLM_SAMPLER_TEMPERATURE}),
    CHAIN(-1, 1.0f, .seed = 1), /* never */
    CHAIN(-1, 0.8f, .typical_p = 0.9f, .top_k = 40,
          .order = {SLM_SAMPLER_TYPICAL, SLM_SAMPLER_TOP_K}),
    CHAIN(-1, 0.8f, .top_k = 257),
    CHAIN(-1, 0.8f, .top_k = 40, .presence_penalty = -0.5f),
    CHAIN(-1, 0.8f, .top_p = 0.5f, .order = {SLM_SAMPLER_TEMPERATURE, SLM_SAMPLER_TOP_P}),
};
#define N_CHAINS (sizeof chains / sizeof *chains)

static slm_sampling filled(slm_sampling o) {
    o.top_p = o.top_p > 0 ? o.top_p : 1;
    o.typical_p = o.typical_p > 0 ? o.typical_p : 1;
    o.repeat_penalty = o.repeat_penalty > 0 ? o.repeat_penalty : 1;
    o.penalty_last_n = 64;
    o.dry_base = 1.75f;
    o.dry_allowed_length = 2;
    o.dry_last_n = -1;
    return o;
}

static slm_sampler *open_chain(const slm_sampling *o, uint32_t n, uint32_t n_top, void *scratch) {
    slm_error error = SLM_ERROR_INIT;
    slm_sampler *s = NULL;
    if (slm_sampler_open(&host, o, n, N_CTX, n_top, NULL, &kernels, scratch, &s, &error) != SLM_OK)
        fail_msg("%s", error.message);
    return s;
}

static slm_best view_of(const slm_cuda_best *b, const slm_sampler *s) {
    uint32_t n;
    (void)slm_sampler_names(s, &n);
    return (slm_best){.id = b->index, .logit = b->value, .n = b->n, .sum = b->sum,
                      .named = n > 0 ? b->named : NULL, .is_finite = 1};
}

typedef struct choice {
    int32_t token;
    float logprob;
    const slm_token_prob *top;
    size_t n_top;
} choice;

static void same_choice(const choice *a, const choice *b, const char *what) {
    if (a->token != b->token)
        fail_msg("%s: got token %d from the best, wanted %d", what, a->token, b->token);
    assert_float_equal(a->logprob, b->logprob, 1e-5 * (1 + fabsf(b->logprob)));
    assert_int_equal(a->n_top, b->n_top);
    for (size_t i = 0; i < b->n_top; i++) {
        assert_int_equal(a->top[i].id, b->top[i].id);
        assert_float_equal(a->top[i].logprob, b->top[i].logprob,
                           1e-5 * (1 + fabsf(b->top[i].logprob)));
    }
}

/* Two samplers of one seed, one of which sees the best and only where that does not do the row. How
 * many of n_turns choices were made from the best. */
static int choose_twice(const chain *ch, uint32_t n, int kind, int n_turns, uint32_t n_top) {
    slm_rng rng;
    slm_rng_seed(&rng, n + (uint64_t)kind);
    size_t bytes = slm_sampler_scratch_bytes(n, N_CTX);
    void *scratch = aligned_alloc(64, bytes);
    float *x = malloc(n * sizeof *x);
    int32_t history[N_CTX];
    int n_decided = 0;
    assert_true(scratch != NULL && x != NULL);
    memset(scratch, 0, bytes);
    slm_sampling o = filled(ch->o);
    if (n <= 4002)
        o.n_logit_bias = 0;
    slm_sampler *by_best = open_chain(&o, n, n_top, scratch);
    slm_sampler *by_row = open_chain(&o, n, n_top, scratch);
    uint32_t named[SLM_CUDA_NAMED] = {0}, n_named;
    const uint32_t *names = slm_sampler_names(by_best, &n_named);
    if (n_named > 0)
        memcpy(named, names, n_named * sizeof *names);
    fill(x, n, kind, &rng);
    slm_cuda_best *likely = sorted_best(x, n, NULL);
    for (uint32_t i = 0; i < N_CTX; i++) /* of likely tokens, others, and such as were there */
        history[i] = (int32_t)(i % 3 == 0             ? likely->index[below(&rng, likely->n)]
                               : i < 12 || i % 5 == 0 ? below(&rng, n)
                                                      : (uint32_t)history[i - 12]);
    free(likely);
    for (int t = 0; t < n_turns; t++) {
        size_t n_history = (size_t)t % N_CTX;
        if (n_history == 0) {
            slm_sampler_reset(by_best);
            slm_sampler_reset(by_row);
        }
        for (uint32_t i = 0; i < n / 50 + 1; i++) { /* some of them change */
            float was = x[below(&rng, n)];
            x[below(&rng, n)] = was;
        }
        choice a = {0}, b = {0};
        slm_error error = SLM_ERROR_INIT;
        int is_chosen;
        slm_cuda_best *best = t % 10 == 0 ? best_of(x, n, named) : sorted_best(x, n, named);
        slm_best view = view_of(best, by_best);
        assert_int_equal(slm_sampler_choose_best(by_best, &view, history, n_history, &is_chosen,
                                                 &a.token, &a.logprob, &a.top, &a.n_top, &error),
                         SLM_OK);
        n_decided += is_chosen;
        if (!is_chosen)
            assert_int_equal(slm_sampler_choose(by_best, x, history, n_history, &a.token,
                                                &a.logprob, &a.top, &a.n_top, &error), SLM_OK);
        slm_token_prob top[SLM_SAMPLER_MAX_TOP];
        memcpy(top, a.top, a.n_top * sizeof *top);
        a.top = top;
        assert_int_equal(slm_sampler_choose(by_row, x, history, n_history, &b.token, &b.logprob,
                                            &b.top, &b.n_top, &error), SLM_OK);
        same_choice(&a, &b, ch->name);
        free(best);
    }
    assert_int_equal(slm_sampler_takes_best(by_best), ch->decided >= 0);
    slm_sampler_close(by_best);
    slm_sampler_close(by_row);
    free(scratch);
    free(x);
    return n_decided;
}

static void choices_are_those_of_whole_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < N_CHAINS; i++) {
        int n = choose_twice(&chains[i], 6000, BELL, 100, i % 3 == 0 ? 5 : 0);
        if (chains[i].decided < 0 ? n != 0 : n < chains[i].decided)
            fail_msg("%s: %d choices of 100 were made from the best, wanted %d", chains[i].name, n,
                     chains[i].decided);
        (void)choose_twice(&chains[i], 31999, BELL, 10, 64);
        for (int kind = 0; kind < N_KINDS; kind++)
            if (kind != MASKED) { /* steps refuse rows that are not finite */
                (void)choose_twice(&chains[i], 700, kind, 20, 3);
                (void)choose_twice(&chains[i], 200, kind, 5, 3);
            }
    }
}

/* A choice that is not made changes nothing, however often it is asked for. */
static void no_choice_without_knowing(void **state) {
    (void)state;
    enum { N = 3000 };
    static const slm_logit_bias one[] = {{2999, 5}};
    static slm_logit_bias many[SLM_SAMPLER_NAMED + 1], away[SLM_SAMPLER_BEST];
    static float x[N];
    slm_error error = SLM_ERROR_INIT;
    void *scratch = aligned_alloc(64, slm_sampler_scratch_bytes(N, N_CTX));
    assert_non_null(scratch);
    memset(scratch, 0, slm_sampler_scratch_bytes(N, N_CTX));
    for (int i = 0; i < N; i++)
        x[i] = -0.01f * (float)i;
    for (int i = 0; i <= (int)SLM_SAMPLER_NAMED; i++)
        many[i] = (slm_logit_bias){10 * i, 1};
    for (int i = 0; i < (int)SLM_SAMPLER_BEST; i++)
        away[i] = (slm_logit_bias){i, -INFINITY};
    slm_sampling o = slm_sampling_defaults;
    slm_cuda_best *best = best_of(x, N, NULL);
    const struct {
        const slm_logit_bias *bias;
        size_t n;
        int takes_best;
    } cases[] = {{one, 1, 1}, {many, SLM_SAMPLER_NAMED + 1, 0}, {away, SLM_SAMPLER_BEST, 1}};
    for (size_t i = 0; i < 3; i++)
        for (int greedy = 0; greedy < 2; greedy++) {
            int is_chosen;
            int32_t token = -1, want;
            o.logit_bias = cases[i].bias;
            o.n_logit_bias = cases[i].n;
            o.temperature = greedy ? 0 : 0.8f;
            slm_sampler *s = open_chain(&o, N, 0, scratch), *twin = open_chain(&o, N, 0, scratch);
            assert_int_equal(slm_sampler_takes_best(s), cases[i].takes_best);
            slm_best view = view_of(best, s);
            view.named = NULL; /* made before the sampler was there */
            for (int j = 0; j < 3; j++) {
                assert_int_equal(slm_sampler_choose_best(s, &view, NULL, 0, &is_chosen, &token,
                                                         NULL, NULL, NULL, &error), SLM_OK);
                assert_int_equal(is_chosen, 0);
                assert_int_equal(token, -1);
            }
            assert_int_equal(slm_sampler_choose(s, x, NULL, 0, &token, NULL, NULL, NULL, &error),
                             SLM_OK);
            assert_int_equal(slm_sampler_choose(twin, x, NULL, 0, &want, NULL, NULL, NULL, &error),
                             SLM_OK);
            assert_int_equal(token, want);
            slm_sampler_close(s);
            slm_sampler_close(twin);
        }
    free(best);
    free(scratch);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(selections_of_the_sampler),
        TEST(choices_are_those_of_whole_rows),
        TEST(no_choice_without_knowing),
    };
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    slm_kernels_init(&kernels, UINT32_MAX);
    return cmocka_run_group_tests_name("sample", tests, NULL, NULL);
}
