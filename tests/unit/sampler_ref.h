/* The sampling stages once more, from their definitions in libslm/run/sampler.h: in double, by
 * sorting everything, with no regard to speed. The tests compare the sampler with these. */
#ifndef SLM_TESTS_SAMPLER_REF_H
#define SLM_TESTS_SAMPLER_REF_H

#include "slm.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Candidates, in any order. Masked ones (-INFINITY) stay in the list. */
typedef struct ref_item {
    int32_t id;
    double l, p, key;
} ref_item;
typedef struct ref_list {
    ref_item *v;
    size_t n;
    double margin; /* how near the nearest decision was to falling the other way */
} ref_list;

static inline void ref_init(ref_list *r, const float *logits, size_t n) {
    r->v = malloc(n * sizeof *r->v);
    r->n = n;
    r->margin = 1;
    for (size_t i = 0; i < n; i++)
        r->v[i] = (ref_item){(int32_t)i, (double)logits[i], 0, 0};
}
static inline void ref_free(ref_list *r) { free(r->v); }

/* Descending key, ascending id. */
static inline int ref_order(const void *a, const void *b) {
    const ref_item *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? 1 : -1;
    return x->id < y->id ? -1 : x->id > y->id;
}
static inline int ref_id_order(const void *a, const void *b) {
    const ref_item *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static inline void ref_softmax(ref_list *r) {
    double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < r->n; i++)
        max = r->v[i].l > max ? r->v[i].l : max;
    for (size_t i = 0; i < r->n; i++)
        sum += r->v[i].p = exp(r->v[i].l - max);
    for (size_t i = 0; i < r->n; i++)
        r->v[i].p /= sum;
}

static inline void ref_near(ref_list *r, double distance) {
    if (fabs(distance) < r->margin)
        r->margin = fabs(distance);
}

static inline void ref_top_k(ref_list *r, size_t k) {
    for (size_t i = 0; i < r->n; i++)
        r->v[i].key = r->v[i].l;
    qsort(r->v, r->n, sizeof *r->v, ref_order);
    r->n = r->n < k ? r->n : k;
}

/* Sorted by key: the smallest set of at least this mass. */
static inline void ref_mass(ref_list *r, double mass) {
    double sum = 0;
    size_t m = 0;
    qsort(r->v, r->n, sizeof *r->v, ref_order);
    while (m < r->n && (m == 0 || sum < mass)) {
        sum += r->v[m++].p;
        ref_near(r, sum - mass);
    }
    r->n = m;
}
static inline void ref_top_p(ref_list *r, double p) {
    ref_softmax(r);
    for (size_t i = 0; i < r->n; i++)
        r->v[i].key = r->v[i].l;
    ref_mass(r, p);
}
static inline void ref_typical(ref_list *r, double p) {
    double entropy = 0;
    ref_softmax(r);
    for (size_t i = 0; i < r->n; i++)
        if (r->v[i].p > 0)
            entropy -= r->v[i].p * log(r->v[i].p);
    for (size_t i = 0; i < r->n; i++)
        r->v[i].key = -fabs(-log(r->v[i].p) - entropy);
    size_t all = r->n;
    ref_mass(r, p);
    /* Keys are differences of floats: their order at the end of the set is not sure when they are
     * close. */
    for (size_t i = r->n > 2 ? r->n - 2 : 1; i < all && i <= r->n; i++)
        if (r->v[i - 1].key != r->v[i].key && isfinite(r->v[i].key))
            ref_near(r, r->v[i - 1].key - r->v[i].key);
}
static inline void ref_min_p(ref_list *r, double p) {
    double max = 0;
    size_t m = 0;
    ref_softmax(r);
    for (size_t i = 0; i < r->n; i++)
        max = r->v[i].p > max ? r->v[i].p : max;
    for (size_t i = 0; i < r->n; i++) {
        if (r->v[i].p < max) /* the largest itself stays in any case */
            ref_near(r, r->v[i].p / max - p);
        if (r->v[i].p >= p * max)
            r->v[m++] = r->v[i];
    }
    r->n = m;
}
static inline void ref_temperature(ref_list *r, double t) {
    for (size_t i = 0; i < r->n && t > 0; i++)
        r->v[i].l /= t;
}
static inline void ref_bias(ref_list *r, const slm_logit_bias *bias, size_t n) {
    for (size_t i = 0; i < r->n; i++)
        for (size_t j = 0; j < n; j++)
            if (bias[j].id == r->v[i].id)
                r->v[i].l += (double)bias[j].bias;
}
static inline void ref_penalties(ref_list *r, const slm_sampling *o, const int32_t *history,
                                 size_t n) {
    size_t begin = o->penalty_last_n >= 0 && n > (size_t)o->penalty_last_n
                       ? n - (size_t)o->penalty_last_n
                       : 0;
    for (size_t i = 0; i < r->n; i++) {
        double *l = &r->v[i].l;
        size_t count = 0;
        for (size_t t = begin; t < n; t++)
            count += history[t] == r->v[i].id;
        if (count == 0)
            continue;
        *l = *l > 0 ? *l / (double)o->repeat_penalty : *l * (double)o->repeat_penalty;
        *l -= (double)o->presence_penalty + (double)count * (double)o->frequency_penalty;
    }
}
static inline void ref_dry(ref_list *r, const slm_sampling *o, const int32_t *history, size_t n,
                           const uint8_t *breaker /* bitmap, may be NULL */) {
#define REF_BREAKS(id) (breaker != NULL && (breaker[(id) / 8] >> ((id) % 8) & 1))
    const int32_t *h = history;
    if (o->dry_last_n >= 0 && n > (size_t)o->dry_last_n) {
        h += n - (size_t)o->dry_last_n;
        n = (size_t)o->dry_last_n;
    }
    for (size_t c = 0; c < r->n; c++) {
        size_t best = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            if (h[i + 1] != r->v[c].id || REF_BREAKS(h[i + 1]))
                continue;
            size_t len = 0;
            while (len <= i && h[i - len] == h[n - 1 - len] && !REF_BREAKS(h[i - len]))
                len++;
            best = len > best ? len : best;
        }
        if (best > 0 && best >= (size_t)o->dry_allowed_length)
            r->v[c].l -= (double)o->dry_multiplier *
                         pow((double)o->dry_base, (double)best - o->dry_allowed_length);
    }
#undef REF_BREAKS
}

static inline void ref_stage(ref_list *r, uint8_t stage, const slm_sampling *o,
                             const int32_t *history, size_t n, const uint8_t *breaker) {
    switch (stage) {
    case SLM_SAMPLER_BIAS:
        ref_bias(r, o->logit_bias, o->n_logit_bias);
        break;
    case SLM_SAMPLER_PENALTIES:
        ref_penalties(r, o, history, n);
        break;
    case SLM_SAMPLER_DRY:
        if (o->dry_multiplier != 0)
            ref_dry(r, o, history, n, breaker);
        break;
    case SLM_SAMPLER_TOP_K:
        if (o->top_k > 0)
            ref_top_k(r, (size_t)o->top_k);
        break;
    case SLM_SAMPLER_TYPICAL:
        if (o->typical_p < 1)
            ref_typical(r, (double)o->typical_p);
        break;
    case SLM_SAMPLER_TOP_P:
        if (o->top_p < 1)
            ref_top_p(r, (double)o->top_p);
        break;
    case SLM_SAMPLER_MIN_P:
        if (o->min_p > 0)
            ref_min_p(r, (double)o->min_p);
        break;
    default:
        ref_temperature(r, (double)o->temperature);
        break;
    }
}

/* Runs the chain; afterwards the candidates ascend by id, without the masked ones, and p is their
 * softmax. */
static inline void ref_chain(ref_list *r, const slm_sampling *o, const int32_t *history, size_t n,
                             const uint8_t *breaker) {
    uint8_t order[SLM_SAMPLER_MAX_STAGES] = {1, 2, 3, 4, 5, 6, 7, 8};
    size_t m = 0;
    if (o->order[0] != SLM_SAMPLER_END)
        memcpy(order, o->order, sizeof order);
    for (size_t i = 0; order[i] != SLM_SAMPLER_END; i++)
        ref_stage(r, order[i], o, history, n, breaker);
    ref_softmax(r);
    qsort(r->v, r->n, sizeof *r->v, ref_id_order);
    for (size_t i = 0; i < r->n; i++)
        if (r->v[i].l > -INFINITY)
            r->v[m++] = r->v[i];
    r->n = m;
}

#endif
