#include "run/sampler.h"

#include "base/checked.h"
#include "run/sampler_chain.h"

#include <float.h>
#include <math.h>
#include <string.h>

const slm_sampling slm_sampling_defaults = {
    .struct_size = sizeof(slm_sampling),
    .temperature = 0.8f,
    .top_k = 40,
    .top_p = 0.95f,
    .min_p = 0.05f,
    .typical_p = 1.0f,
    .repeat_penalty = 1.0f,
    .penalty_last_n = 64,
    .dry_base = 1.75f,
    .dry_allowed_length = 2,
    .dry_last_n = -1,
};

/* Seed 0 stands for this one (the digits of pi). */
#define DEFAULT_SEED 0x243f6a8885a308d3u

/* ---- checking --------------------------------------------------------------------------------- */

/* open: lo itself is not allowed. */
static slm_status check_float(const char *name, float value, float lo, float hi, int open,
                              slm_error *error) {
    if (value <= hi && (open ? value > lo : value >= lo)) /* false for NaN */
        return SLM_OK;
    return slm_fail(error, SLM_ERR_RANGE, name, SLM_NO_OFFSET,
                    "sampling: %s is %g, wanted %s%g to %g", name, (double)value,
                    open ? "more than " : "", (double)lo, (double)hi);
}

static slm_status check_int(const char *name, int32_t value, int32_t lo, slm_error *error) {
    if (value >= lo)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_RANGE, name, SLM_NO_OFFSET,
                    "sampling: %s is %d, wanted %d or more", name, value, lo);
}

static slm_status check_order(const uint8_t *order, slm_error *error) {
    uint32_t seen = 0;
    size_t n = 0;
    for (; n < SLM_SAMPLER_MAX_STAGES && order[n] != SLM_SAMPLER_END; n++) {
        if (order[n] > SLM_SAMPLER_TEMPERATURE)
            return slm_fail(error, SLM_ERR_RANGE, "order", SLM_NO_OFFSET,
                            "sampling: order[%zu] is %u, wanted a stage from %d to %d", n, order[n],
                            SLM_SAMPLER_BIAS, SLM_SAMPLER_TEMPERATURE);
        if (seen >> order[n] & 1)
            return slm_fail(error, SLM_ERR_RANGE, "order", SLM_NO_OFFSET,
                            "sampling: order[%zu] is %u for the second time, wanted each stage once",
                            n, order[n]);
        seen |= 1u << order[n];
    }
    for (size_t i = n; i < SLM_SAMPLER_MAX_STAGES; i++)
        if (order[i] != SLM_SAMPLER_END)
            return slm_fail(error, SLM_ERR_RANGE, "order", SLM_NO_OFFSET,
                            "sampling: order[%zu] is %u after the end at order[%zu], wanted 0", i,
                            order[i], n);
    return SLM_OK;
}

static slm_status check_bias(const slm_sampling *o, uint32_t n_vocab, slm_error *error) {
    if (o->n_logit_bias > n_vocab)
        return slm_fail(error, SLM_ERR_LIMIT, "logit_bias", SLM_NO_OFFSET,
                        "sampling: %zu entries in logit_bias, at most %u, one for each token",
                        o->n_logit_bias, n_vocab);
    if (o->n_logit_bias > 0 && o->logit_bias == NULL)
        return slm_fail(error, SLM_ERR_ARG, "logit_bias", SLM_NO_OFFSET,
                        "sampling: logit_bias is NULL, n_logit_bias is %zu", o->n_logit_bias);
    for (size_t i = 0; i < o->n_logit_bias; i++) {
        int32_t id = o->logit_bias[i].id;
        float bias = o->logit_bias[i].bias;
        if (id < 0 || (uint32_t)id >= n_vocab)
            return slm_fail(error, SLM_ERR_RANGE, "logit_bias", SLM_NO_OFFSET,
                            "sampling: logit_bias[%zu].id is %d, wanted 0 to %u", i, id,
                            n_vocab - 1);
        if (!(bias >= -1e6f && bias <= 1e6f) && bias != -INFINITY)
            return slm_fail(error, SLM_ERR_RANGE, "logit_bias", SLM_NO_OFFSET,
                            "sampling: logit_bias[%zu].bias is %g, wanted -1e6 to 1e6 or -infinity",
                            i, (double)bias);
    }
    return SLM_OK;
}

static slm_status check(const slm_sampling *o, uint32_t n_vocab, uint32_t n_top,
                        slm_error *error) {
    if (n_vocab == 0 || n_vocab > INT32_MAX)
        return slm_fail(error, SLM_ERR_ARG, "n_vocab", SLM_NO_OFFSET,
                        "sampling: n_vocab is %u, wanted 1 to %d", n_vocab, INT32_MAX);
    if (n_top > SLM_SAMPLER_MAX_TOP)
        return slm_fail(error, SLM_ERR_RANGE, "n_top", SLM_NO_OFFSET,
                        "sampling: n_top is %u, wanted 0 to %u", n_top, SLM_SAMPLER_MAX_TOP);
    SLM_TRY(check_float("temperature", o->temperature, 0, 1000, 0, error));
    SLM_TRY(check_int("top_k", o->top_k, 0, error));
    SLM_TRY(check_float("top_p", o->top_p, 0, 1, 0, error));
    SLM_TRY(check_float("min_p", o->min_p, 0, 1, 0, error));
    SLM_TRY(check_float("typical_p", o->typical_p, 0, 1, 0, error));
    SLM_TRY(check_float("repeat_penalty", o->repeat_penalty, 0, 1000, 1, error));
    SLM_TRY(check_float("presence_penalty", o->presence_penalty, -1000, 1000, 0, error));
    SLM_TRY(check_float("frequency_penalty", o->frequency_penalty, -1000, 1000, 0, error));
    SLM_TRY(check_int("penalty_last_n", o->penalty_last_n, -1, error));
    SLM_TRY(check_float("dry_multiplier", o->dry_multiplier, 0, 1000, 0, error));
    SLM_TRY(check_float("dry_base", o->dry_base, 1, 100, 0, error));
    SLM_TRY(check_int("dry_allowed_length", o->dry_allowed_length, 0, error));
    SLM_TRY(check_int("dry_last_n", o->dry_last_n, -1, error));
    SLM_TRY(check_bias(o, n_vocab, error));
    return check_order(o->order, error);
}

/* ---- opening ---------------------------------------------------------------------------------- */

static int stage_active(const slm_sampling *o, uint8_t stage) {
    switch (stage) {
    case SLM_SAMPLER_BIAS:
        return o->n_logit_bias > 0;
    case SLM_SAMPLER_PENALTIES:
        return o->penalty_last_n != 0 &&
               (o->repeat_penalty != 1 || o->presence_penalty != 0 || o->frequency_penalty != 0);
    case SLM_SAMPLER_DRY:
        return o->dry_multiplier != 0 && o->dry_last_n != 0;
    case SLM_SAMPLER_TOP_K:
        return o->top_k > 0;
    case SLM_SAMPLER_TYPICAL:
        return o->typical_p < 1;
    case SLM_SAMPLER_TOP_P:
        return o->top_p < 1;
    case SLM_SAMPLER_MIN_P:
        return o->min_p > 0;
    default:
        return o->temperature > 0 && o->temperature != 1;
    }
}

static int keeps_largest(uint8_t stage) {
    return stage == SLM_SAMPLER_TOP_K || stage == SLM_SAMPLER_TOP_P || stage == SLM_SAMPLER_MIN_P;
}

/* The stages that do something. Returns them as a mask. */
static uint32_t plan_stages(slm_sampler *s) {
    static const uint8_t usual[] = {SLM_SAMPLER_BIAS,  SLM_SAMPLER_PENALTIES,
                                    SLM_SAMPLER_DRY,   SLM_SAMPLER_TOP_K,
                                    SLM_SAMPLER_TYPICAL, SLM_SAMPLER_TOP_P,
                                    SLM_SAMPLER_MIN_P, SLM_SAMPLER_TEMPERATURE,
                                    SLM_SAMPLER_END};
    const slm_sampling *o = &s->sampling;
    const uint8_t *order = o->order[0] != SLM_SAMPLER_END ? o->order : usual;
    size_t n = 0;
    uint32_t mask = 0;
    int heated = 0;
    for (size_t i = 0; i < SLM_SAMPLER_MAX_STAGES && order[i] != SLM_SAMPLER_END; i++) {
        if (!stage_active(o, order[i]))
            continue;
        heated |= order[i] == SLM_SAMPLER_TEMPERATURE;
        s->absolute |= heated && order[i] == SLM_SAMPLER_PENALTIES && o->repeat_penalty != 1;
        s->stages[n++] = order[i];
    }
    /* The largest survives these, and greedy looks at nothing else. */
    while (o->temperature == 0 && n > 0 && keeps_largest(s->stages[n - 1]))
        n--;
    s->stages[n] = SLM_SAMPLER_END;
    s->takes_best = (uint8_t)slm_chain_may_take_best(o, s->stages);
    for (size_t i = 0; i < n; i++)
        mask |= 1u << s->stages[i];
    return mask;
}

/* Carves aligned pieces out of one block; with base NULL it only adds up. */
typedef struct carver {
    uint8_t *base;
    size_t used;
    int overflow;
} carver;

static void *carve(carver *c, size_t count, size_t size) {
    size_t bytes, at = slm_round_up(c->used, 64);
    if (!slm_mul_size(count, size, &bytes) || !slm_add_size(at, bytes, &c->used))
        c->overflow = 1;
    return c->base != NULL ? c->base + at : NULL;
}

/* penalty_last_n may be -1, and a window never needs more than the context. */
static uint32_t window_cap(const slm_sampling *o, uint32_t n_ctx) {
    uint32_t cap = n_ctx;
    if (o->penalty_last_n >= 0 && (uint32_t)o->penalty_last_n < cap)
        cap = (uint32_t)o->penalty_last_n;
    return cap > 0 ? cap : 1;
}

/* What is of use during a call only. */
static void lay_out_scratch(slm_sampler *s, carver *c) {
    size_t n_vocab = s->n_vocab, n_ctx = s->n_ctx;
    s->logit = carve(c, n_vocab, sizeof *s->logit);
    s->id = carve(c, n_vocab, sizeof *s->id);
    s->weight = carve(c, n_vocab, sizeof *s->weight);
    s->key = carve(c, n_vocab, sizeof *s->key);
    s->bins = carve(c, SLM_BINS, sizeof *s->bins);
    s->block_max = carve(c, (n_vocab + SLM_BLOCK - 1) / SLM_BLOCK, sizeof *s->block_max);
    s->picked_key = carve(c, SLM_PICKED, sizeof *s->picked_key);
    s->picked_weight = carve(c, SLM_PICKED, sizeof *s->picked_weight);
    s->dry_reversed = carve(c, n_ctx, sizeof *s->dry_reversed);
    s->dry_z = carve(c, n_ctx, sizeof *s->dry_z);
    s->dry_touched = carve(c, n_ctx, sizeof *s->dry_touched);
    s->dry_best = carve(c, n_vocab, sizeof *s->dry_best);
}

static void lay_out_state(slm_sampler *s, uint32_t mask, carver *c) {
    size_t n_vocab = s->n_vocab;
    (void)carve(c, 1, sizeof *s);
    if (mask >> SLM_SAMPLER_BIAS & 1) {
        s->bias = carve(c, s->sampling.n_logit_bias, sizeof *s->bias);
        s->names = carve(c, SLM_SAMPLER_NAMED, sizeof *s->names);
    }
    if (mask >> SLM_SAMPLER_PENALTIES & 1) {
        slm_window *w = &s->window;
        w->cap = window_cap(&s->sampling, s->n_ctx);
        w->count = carve(c, n_vocab, sizeof *w->count);
        w->slot = carve(c, n_vocab, sizeof *w->slot);
        w->distinct = carve(c, w->cap, sizeof *w->distinct);
        w->tokens = carve(c, w->cap, sizeof *w->tokens);
    }
    if (mask >> SLM_SAMPLER_DRY & 1)
        s->breaker = carve(c, (n_vocab + 7) / 8, 1);
}

size_t slm_sampler_scratch_bytes(uint32_t n_vocab, uint32_t n_ctx) {
    slm_sampler plan;
    carver c = {NULL, 0, 0};
    memset(&plan, 0, sizeof plan);
    plan.n_vocab = n_vocab;
    plan.n_ctx = n_ctx;
    lay_out_scratch(&plan, &c);
    return c.overflow ? SIZE_MAX : slm_round_up(c.used, 64);
}

/* Sorts by id (heap sort: in place, n log n for any order) and adds up those of one id. */
static void sift(slm_bias_entry *b, size_t root, size_t n) {
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= n)
            return;
        if (child + 1 < n && b[child + 1].id > b[child].id)
            child++;
        if (b[root].id >= b[child].id)
            return;
        slm_bias_entry t = b[root];
        b[root] = b[child];
        b[child] = t;
        root = child;
    }
}

static size_t merge_bias(slm_bias_entry *b, size_t n) {
    for (size_t i = n / 2; i-- > 0;)
        sift(b, i, n);
    for (size_t i = n; i-- > 1;) {
        slm_bias_entry t = b[0];
        b[0] = b[i];
        b[i] = t;
        sift(b, 0, i);
    }
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        if (m > 0 && b[m - 1].id == b[i].id)
            b[m - 1].bias += b[i].bias;
        else
            b[m++] = b[i];
    }
    return m;
}

slm_status slm_sampler_open(slm_host *host, const slm_sampling *sampling, uint32_t n_vocab,
                            uint32_t n_ctx, uint32_t n_top, const uint8_t *breaker_bitmap,
                            const slm_kernels *kernels, void *scratch, slm_sampler **out,
                            slm_error *error) {
    slm_sampler plan;
    *out = NULL;
    memset(&plan, 0, sizeof plan);
    SLM_TRY(slm_copy_options(&plan.sampling, sizeof plan.sampling, &slm_sampling_defaults, sampling,
                             "sampling", error));
    SLM_TRY(check(&plan.sampling, n_vocab, n_top, error));
    plan.host = host;
    plan.kernels = kernels;
    plan.n_vocab = n_vocab;
    plan.n_ctx = n_ctx;
    plan.n_top = n_top;
    uint32_t mask = plan_stages(&plan);

    carver c = {NULL, 0, 0};
    lay_out_state(&plan, mask, &c);
    size_t bytes = c.overflow ? SIZE_MAX : c.used;
    c = (carver){c.overflow ? NULL : slm_alloc(host, bytes), 0, 0};
    if (c.base == NULL)
        return slm_fail_nomem(error, bytes, "the sampler");
    lay_out_state(&plan, mask, &c);
    carver sc = {scratch, 0, 0};
    lay_out_scratch(&plan, &sc);
    slm_sampler *s = (slm_sampler *)(void *)c.base;
    *s = plan;

    const slm_sampling *o = &s->sampling;
    if (s->bias != NULL) {
        for (size_t i = 0; i < o->n_logit_bias; i++)
            s->bias[i] = (slm_bias_entry){o->logit_bias[i].id, o->logit_bias[i].bias};
        s->n_bias = merge_bias(s->bias, o->n_logit_bias);
        slm_name_raised(s);
    }
    if (s->breaker != NULL) {
        if (breaker_bitmap != NULL)
            memcpy(s->breaker, breaker_bitmap, ((size_t)n_vocab + 7) / 8);
        else
            memset(s->breaker, 0, ((size_t)n_vocab + 7) / 8);
    }
    s->sampling.logit_bias = NULL;
    s->sampling.dry_breakers = NULL;
    slm_sampler_reset(s);
    *out = s;
    return SLM_OK;
}

void slm_sampler_close(slm_sampler *s) {
    if (s != NULL)
        slm_free(s->host, s);
}

void slm_sampler_reset(slm_sampler *s) {
    slm_rng_seed(&s->rng, s->sampling.seed != 0 ? s->sampling.seed : DEFAULT_SEED);
    slm_window_reset(&s->window, s->n_vocab);
}

/* ---- choosing --------------------------------------------------------------------------------- */

static slm_status fail_empty(slm_error *error) {
    return slm_fail(error, SLM_ERR_NUMERIC, "logits", SLM_NO_OFFSET,
                    "sampling: every token is masked, wanted at least one to choose from");
}

static slm_status check_logits(slm_sampler *s, const float *logits, float *max, size_t *index,
                               slm_error *error) {
    int finite = 0;
    *max = slm_block_maxima(s, logits, index, &finite);
    s->blocks_of = logits;
    if (finite)
        return *max > -INFINITY ? SLM_OK : fail_empty(error);
    size_t i = 0;
    while (i + 1 < s->n_vocab && logits[i] < INFINITY)
        i++;
    return slm_fail(error, SLM_ERR_NUMERIC, "logits", SLM_NO_OFFSET,
                    "sampling: the logit of token %zu is %s, wanted a finite number or -infinity", i,
                    logits[i] > 0 ? "infinite" : "not a number");
}

/* Makes the row the candidates, those that are allowed; *max and *index are theirs afterwards. */
static slm_status take_row(slm_sampler *s, const float *logits, float *max, size_t *index,
                           slm_error *error) {
    int finite;
    s->x = logits;
    s->n = s->n_vocab;
    s->dense = 1;
    s->rest = (slm_rest){0};
    if (s->allowed == NULL)
        return SLM_OK;
    slm_keep_allowed(s);
    if (s->n == 0)
        return fail_empty(error);
    *max = s->kernels->max_index(s->x, s->n, index, &finite);
    return *max > -INFINITY ? SLM_OK : fail_empty(error);
}

slm_status slm_run_stages(slm_sampler *s, const int32_t *history, size_t n_history, float *max,
                          size_t *index, slm_error *error) {
    const float *row = s->x;
    int finite;
    for (const uint8_t *stage = s->stages; *stage != SLM_SAMPLER_END; stage++) {
        int masks = 0;
        switch (*stage) {
        case SLM_SAMPLER_BIAS:
            slm_stage_bias(s);
            masks = 1;
            break;
        case SLM_SAMPLER_PENALTIES:
            SLM_TRY(slm_stage_penalties(s, history, n_history, error));
            break;
        case SLM_SAMPLER_DRY:
            SLM_TRY(slm_stage_dry(s, history, n_history, error));
            break;
        case SLM_SAMPLER_TOP_K:
            slm_stage_top_k(s);
            break;
        case SLM_SAMPLER_TYPICAL:
            slm_stage_typical(s);
            break;
        case SLM_SAMPLER_TOP_P:
            slm_stage_top_p(s);
            break;
        case SLM_SAMPLER_MIN_P:
            slm_stage_min_p(s);
            break;
        default:
            slm_stage_temperature(s);
            break;
        }
        if (s->rest.is_undecided)
            return SLM_OK;
        if (masks && s->kernels->max_index(s->x, s->n, index, &finite) == -INFINITY) {
            s->rest.is_undecided = s->rest.any;
            return s->rest.any ? SLM_OK : fail_empty(error);
        }
    }
    if (s->x != row || !s->dense)
        *max = s->kernels->max_index(s->x, s->n, index, &finite);
    return SLM_OK;
}

void slm_top_begin(slm_sampler *s) {
    s->n_top_found = 0;
    s->top_threshold = s->n_top > 0 ? -INFINITY : INFINITY;
}

void slm_top_insert(slm_sampler *s, int32_t id, float l) {
    size_t at = s->n_top_found < s->n_top ? s->n_top_found++ : s->n_top - 1;
    for (; at > 0 && s->top[at - 1].logprob < l; at--)
        s->top[at] = s->top[at - 1];
    s->top[at] = (slm_token_prob){id, l};
    if (s->n_top_found == s->n_top)
        s->top_threshold = s->top[s->n_top - 1].logprob;
}

void slm_top_finish(slm_sampler *s, float max, double log_sum) {
    for (size_t i = 0; i < s->n_top_found; i++)
        s->top[i].logprob = (float)((double)s->top[i].logprob - (double)max - log_sum);
}

/* Of a whole row, of which the block maxima are there. */
static void find_top(slm_sampler *s, const float *logits) {
    for (size_t i = 0; i < s->n_vocab; i++)
        if (i % SLM_BLOCK == 0 && !(s->block_max[i / SLM_BLOCK] > s->top_threshold))
            i += SLM_BLOCK - 1;
        else if (logits[i] > s->top_threshold)
            slm_top_insert(s, (int32_t)i, logits[i]);
}

/* Sums of long rows are taken in blocks, in an order of their own that does not depend on the
 * processor. */
#define DRAW_BLOCK 512u

static double block_sum(const float *w, size_t n) {
    double lane[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t j = 0; j < 8; j++)
            lane[j] += (double)w[i + j];
    for (size_t j = 0; i < n; i++, j++)
        lane[j] += (double)w[i];
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) +
           ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

size_t slm_draw(slm_sampler *s) {
    double total = 0, seen = 0;
    size_t i, n = s->n;
    if (n == 1) {
        (void)slm_rng_next(&s->rng);
        return 0;
    }
    memcpy(s->weight, s->x, n * sizeof *s->weight);
    s->kernels->softmax(s->weight, n);
    for (i = 0; i < n; i += DRAW_BLOCK)
        total += block_sum(s->weight + i, n - i < DRAW_BLOCK ? n - i : DRAW_BLOCK);
    double r = slm_rng_double(&s->rng) * total;
    for (i = 0; i + DRAW_BLOCK < n; i += DRAW_BLOCK) {
        double sum = block_sum(s->weight + i, DRAW_BLOCK);
        if (seen + sum > r)
            break;
        seen += sum;
    }
    for (; i < n; i++) {
        seen += (double)s->weight[i];
        if (s->weight[i] > 0 && seen > r)
            return i;
    }
    do /* rounding: r lay within the last one that has a weight */
        i--;
    while (i > 0 && !(s->weight[i] > 0));
    return i;
}

slm_status slm_sampler_filter(slm_sampler *s, const float *logits, const int32_t *history,
                              size_t n_history, slm_candidates *candidates, slm_error *error) {
    float max;
    size_t index;
    SLM_TRY(check_logits(s, logits, &max, &index, error));
    SLM_TRY(take_row(s, logits, &max, &index, error));
    SLM_TRY(slm_run_stages(s, history, n_history, &max, &index, error));
    *candidates = (slm_candidates){s->x, s->dense ? NULL : s->id, s->n};
    return SLM_OK;
}

slm_status slm_sampler_choose(slm_sampler *s, const float *logits, const int32_t *history,
                              size_t n_history, int32_t *token, float *logprob,
                              const slm_token_prob **top, size_t *n_top, slm_error *error) {
    float max;
    size_t index;
    SLM_TRY(check_logits(s, logits, &max, &index, error));
    double log_sum = 0;
    if (logprob != NULL || s->n_top > 0)
        log_sum = log(s->kernels->sum_exp(logits, s->n_vocab, max));
    float row_max = max;
    slm_top_begin(s);
    find_top(s, logits);
    slm_top_finish(s, row_max, log_sum);
    SLM_TRY(take_row(s, logits, &max, &index, error));
    SLM_TRY(slm_run_stages(s, history, n_history, &max, &index, error));
    if (s->sampling.temperature != 0)
        index = slm_draw(s);
    *token = s->dense ? (int32_t)index : s->id[index];
    if (logprob != NULL)
        *logprob = (float)((double)logits[*token] - (double)row_max - log_sum);
    if (top != NULL) {
        *top = s->top;
        *n_top = s->n_top_found;
    }
    return SLM_OK;
}
