#include "run/sampler_chain.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Rows are scanned in pieces of this many logits; most hold nothing above the threshold, which
 * compilers test several at a time. */
#define PIECE 32u

float slm_logit_saturate(double l) {
    if (l > (double)FLT_MAX)
        return FLT_MAX;
    if (l < (double)-FLT_MAX && l > (double)-INFINITY)
        return -FLT_MAX;
    return (float)l;
}

void slm_candidates_own(slm_sampler *s) {
    if (s->x != s->logit)
        memcpy(s->logit, s->x, s->n * sizeof *s->logit);
    s->x = s->logit;
}

float *slm_candidate_find(slm_sampler *s, int32_t id) {
    if (s->dense)
        return s->logit + id;
    size_t lo = 0, hi = s->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->id[mid] < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < s->n && s->id[lo] == id ? s->logit + lo : NULL;
}

/* ---- selection -------------------------------------------------------------------------------- */

/* Maps floats to integers of the same order; both zeros give the same number. */
static uint32_t key_code(float key) {
    uint32_t u;
    key += 0.0f;
    memcpy(&u, &key, sizeof u);
    return u & 0x80000000u ? ~u : u | 0x80000000u;
}

static float code_key(uint32_t code) {
    float key;
    uint32_t u = code & 0x80000000u ? code & 0x7fffffffu : ~code;
    memcpy(&key, &u, sizeof key);
    return key;
}

/* Where a selection by descending key ends that stops when the weights taken reach target: the
 * code of the last key needed, and in *room how much is still wanted when all larger keys are
 * taken. A radix selection: linear in n for any input. weight NULL: 1 each. Returns 0 when the sum
 * of all weights is below target. */
static int select_code(slm_sampler *s, const float *key, const float *weight, size_t n,
                       double target, uint32_t *code, double *room) {
    static const unsigned shifts[] = {32 - SLM_RADIX_BITS, 32 - 2 * SLM_RADIX_BITS, 0};
    uint32_t prefix = 0, mask = 0;
    double above = 0;
    for (size_t level = 0; level < 3; level++) {
        unsigned shift = shifts[level];
        uint32_t digits = level == 2 ? (1u << shifts[1]) - 1 : SLM_RADIX_SIZE - 1;
        memset(s->radix, 0, SLM_RADIX_SIZE * sizeof *s->radix);
        for (size_t i = 0; i < n; i++) {
            uint32_t c = key_code(key[i]);
            if ((c & mask) == prefix)
                s->radix[(c >> shift) & digits] += weight ? (double)weight[i] : 1.0;
        }
        uint32_t d = digits;
        while (above + s->radix[d] < target) {
            above += s->radix[d];
            if (d == 0)
                return 0;
            d--;
        }
        prefix |= d << shift;
        mask |= digits << shift;
    }
    *code = prefix;
    *room = target - above;
    return 1;
}

/* Keeps, in order, the candidates with a larger code, and of those with this code as many of the
 * first as it takes to fill room. */
static size_t keep_code(slm_sampler *s, const float *key, const float *weight, size_t n,
                        uint32_t code, double room) {
    double got = 0;
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t c = key_code(key[i]);
        if (c < code)
            continue;
        if (c == code) {
            if (got >= room)
                continue;
            got += weight ? (double)weight[i] : 1.0;
        }
        s->logit[m] = s->logit[i];
        s->id[m] = s->id[i];
        m++;
    }
    return m;
}

static void now_sparse(slm_sampler *s, size_t n) {
    s->x = s->logit;
    s->n = n;
    s->dense = 0;
}

static int any_above(const float *x, size_t n, float threshold) {
    int any = 0;
    if (n == PIECE) {
        for (size_t i = 0; i < PIECE; i++)
            any |= x[i] > threshold;
        return any;
    }
    for (size_t i = 0; i < n; i++)
        any |= x[i] > threshold;
    return any;
}

/* ---- filters ---------------------------------------------------------------------------------- */

/* Collects what exceeds the k-th largest seen so far, and finds that one anew when the buffer, the
 * front of our own arrays, is full. Masked logits never enter. */
void slm_stage_top_k(slm_sampler *s) {
    size_t k = (size_t)s->sampling.top_k, m = 0;
    if (k >= s->n)
        return;
    size_t cap = k < 256 ? 1024 : 4 * k;
    float threshold = -INFINITY;
    uint32_t code;
    double room;
    for (size_t i = 0; i < s->n; i += PIECE) {
        size_t n = s->n - i < PIECE ? s->n - i : PIECE;
        if (!any_above(s->x + i, n, threshold))
            continue;
        for (size_t j = i; j < i + n; j++) {
            float l = s->x[j];
            if (!(l > threshold))
                continue;
            s->logit[m] = l;
            s->id[m] = s->dense ? (int32_t)j : s->id[j];
            if (++m < cap)
                continue;
            if (select_code(s, s->logit, NULL, m, (double)k, &code, &room)) {
                m = keep_code(s, s->logit, NULL, m, code, room);
                threshold = code_key(code);
            }
        }
    }
    if (m > k && select_code(s, s->logit, NULL, m, (double)k, &code, &room))
        m = keep_code(s, s->logit, NULL, m, code, room);
    now_sparse(s, m);
}

void slm_stage_min_p(slm_sampler *s) {
    size_t index, m = 0;
    int finite;
    float max = s->kernels->max_index(s->x, s->n, &index, &finite);
    float least = (float)((double)max + log((double)s->sampling.min_p));
    float below = nextafterf(least, -INFINITY);
    for (size_t i = 0; i < s->n; i += PIECE) {
        size_t n = s->n - i < PIECE ? s->n - i : PIECE;
        if (!any_above(s->x + i, n, below))
            continue;
        for (size_t j = i; j < i + n; j++) {
            float l = s->x[j];
            if (!(l > below))
                continue;
            s->logit[m] = l;
            s->id[m] = s->dense ? (int32_t)j : s->id[j];
            m++;
        }
    }
    now_sparse(s, m);
}

/* Makes weight the softmax of the candidates and drops those below least. */
static void weigh(slm_sampler *s, float least) {
    size_t m = 0;
    memcpy(s->weight, s->x, s->n * sizeof *s->weight);
    s->kernels->softmax(s->weight, s->n);
    for (size_t i = 0; i < s->n; i += PIECE) {
        size_t n = s->n - i < PIECE ? s->n - i : PIECE;
        if (!any_above(s->weight + i, n, least))
            continue;
        for (size_t j = i; j < i + n; j++) {
            if (!(s->weight[j] > least))
                continue;
            s->logit[m] = s->x[j];
            s->id[m] = s->dense ? (int32_t)j : s->id[j];
            s->weight[m] = s->weight[j];
            m++;
        }
    }
    now_sparse(s, m);
}

/* The least mass that a selection stops at: one candidate always stays. */
static double mass_target(float p) { return p > 0 ? (double)p : DBL_MIN; }

void slm_stage_top_p(slm_sampler *s) {
    double p = (double)s->sampling.top_p, room;
    uint32_t code;
    /* Candidates this small weigh less than (1 - p) / 2 together, so the nucleus has none. */
    weigh(s, (float)((1 - p) / 2 / (double)s->n));
    if (select_code(s, s->logit, s->weight, s->n, mass_target(s->sampling.top_p), &code, &room))
        s->n = keep_code(s, s->logit, s->weight, s->n, code, room);
}

void slm_stage_typical(slm_sampler *s) {
    size_t index;
    int finite;
    uint32_t code;
    double room, entropy = 0;
    float max = s->kernels->max_index(s->x, s->n, &index, &finite);
    double log_sum = log(s->kernels->sum_exp(s->x, s->n, max));
    weigh(s, 0);
    for (size_t i = 0; i < s->n; i++)
        entropy -= (double)s->weight[i] * ((double)s->logit[i] - (double)max - log_sum);
    for (size_t i = 0; i < s->n; i++) {
        double surprise = log_sum - ((double)s->logit[i] - (double)max);
        s->key[i] = -(float)fabs(surprise - entropy);
    }
    if (select_code(s, s->key, s->weight, s->n, mass_target(s->sampling.typical_p), &code, &room))
        s->n = keep_code(s, s->key, s->weight, s->n, code, room);
}

/* ---- changes ---------------------------------------------------------------------------------- */

void slm_stage_temperature(slm_sampler *s) {
    float temperature = s->sampling.temperature;
    slm_candidates_own(s);
    if (s->absolute) {
        for (size_t i = 0; i < s->n; i++)
            s->logit[i] = slm_logit_saturate((double)s->logit[i] / (double)temperature);
        return;
    }
    /* Nothing after this depends on more than differences, and those of the largest are exact. */
    size_t index;
    int finite;
    float max = s->kernels->max_index(s->logit, s->n, &index, &finite);
    for (size_t i = 0; i < s->n; i++)
        s->logit[i] = (s->logit[i] - max) / temperature;
}

void slm_stage_bias(slm_sampler *s) {
    slm_candidates_own(s);
    for (size_t i = 0; i < s->n_bias; i++) {
        float *l = slm_candidate_find(s, s->bias[i].id);
        if (l != NULL)
            *l = slm_logit_saturate((double)*l + (double)s->bias[i].bias);
    }
}
