/* Stages that look at the history: penalties over a window, and DRY.
 *
 * DRY ("don't repeat yourself", p-e-w, text-generation-webui pull request 5677): let h be the last
 * dry_last_n tokens, the last of them h[n-1]. For every earlier place i < n-1 with h[i] = h[n-1],
 * the length m of the match is the number of tokens, going back from i and from n-1 together, that
 * are equal and no breakers. Choosing h[i+1], unless that is a breaker, would go on repeating:
 * with the longest m of all places where it follows, m >= dry_allowed_length, its logit is lowered
 * by multiplier * base^(m - allowed_length). Nothing is done when h[n-1] is a breaker. */
#include "run/sampler_chain.h"

#include <math.h>
#include <string.h>

static slm_status fail_history(slm_error *error, int32_t id, uint32_t n_vocab) {
    return slm_fail(error, SLM_ERR_RANGE, "history", SLM_NO_OFFSET,
                    "sampling: token %d in the history, wanted 0 to %u", id, n_vocab - 1);
}

/* ---- penalties -------------------------------------------------------------------------------- */

void slm_window_reset(slm_window *w, uint32_t n_vocab) {
    if (w->count != NULL)
        memset(w->count, 0, n_vocab * sizeof *w->count);
    w->n_distinct = 0;
    w->begin = w->end = 0;
}

static void window_add(slm_window *w, int32_t id, uint64_t at) {
    w->tokens[at % w->cap] = id;
    if (w->count[id]++ == 0) {
        w->slot[id] = w->n_distinct;
        w->distinct[w->n_distinct++] = id;
    }
}

static void window_remove(slm_window *w, uint64_t at) {
    int32_t id = w->tokens[at % w->cap];
    if (--w->count[id] == 0) {
        int32_t last = w->distinct[--w->n_distinct];
        w->distinct[w->slot[id]] = last;
        w->slot[last] = w->slot[id];
    }
}

static slm_status window_move(slm_sampler *s, const int32_t *history, uint64_t n_history,
                              uint64_t length, slm_error *error) {
    slm_window *w = &s->window;
    uint64_t begin = n_history > length ? n_history - length : 0;
    if (n_history < w->end || begin > w->end || begin < w->begin) {
        slm_window_reset(w, s->n_vocab);
        w->begin = w->end = begin;
    }
    for (; w->begin < begin; w->begin++)
        window_remove(w, w->begin);
    for (; w->end < n_history; w->end++) {
        int32_t id = history[w->end];
        if (id < 0 || (uint32_t)id >= s->n_vocab)
            return fail_history(error, id, s->n_vocab);
        window_add(w, id, w->end);
    }
    return SLM_OK;
}

slm_status slm_stage_penalties(slm_sampler *s, const int32_t *history, size_t n_history,
                               slm_error *error) {
    const slm_sampling *o = &s->sampling;
    uint64_t length = s->window.cap;
    if (o->penalty_last_n >= 0 && (uint64_t)o->penalty_last_n < length)
        length = (uint64_t)o->penalty_last_n;
    SLM_TRY(window_move(s, history, n_history, length, error));
    if (s->window.n_distinct > 0)
        slm_candidates_own(s);
    for (uint32_t i = 0; i < s->window.n_distinct; i++) {
        int32_t id = s->window.distinct[i];
        float *l = slm_candidate_find(s, id);
        if (l == NULL) {
            slm_rest_change(s, 1); /* a chain that may raise them asks for whole rows */
            continue;
        }
        double repeat = (double)o->repeat_penalty, x = (double)*l;
        x = x > 0 ? x / repeat : x * repeat;
        x -= (double)o->presence_penalty + s->window.count[id] * (double)o->frequency_penalty;
        *l = slm_logit_saturate(x);
    }
    return SLM_OK;
}

/* ---- DRY -------------------------------------------------------------------------------------- */

static int is_breaker(const slm_sampler *s, int32_t id) {
    return s->breaker[(uint32_t)id / 8] >> ((uint32_t)id % 8) & 1;
}

/* z[k]: how many elements from r[k] on are those of r from its start (the Z-algorithm: linear,
 * Gusfield 1997, section 1.4). */
static void z_lengths(int32_t *z, const int32_t *r, size_t n) {
    size_t left = 0, right = 0; /* the match found that reaches furthest                         */
    z[0] = (int32_t)n;
    for (size_t k = 1; k < n; k++) {
        size_t len = 0;
        if (k < right) {
            len = (size_t)z[k - left];
            if (len > right - k)
                len = right - k;
        }
        while (k + len < n && r[len] == r[k + len])
            len++;
        if (k + len > right) {
            left = k;
            right = k + len;
        }
        z[k] = (int32_t)len;
    }
}

slm_status slm_stage_dry(slm_sampler *s, const int32_t *history, size_t n_history,
                         slm_error *error) {
    const slm_sampling *o = &s->sampling;
    int32_t *r = s->dry_reversed;
    size_t n = n_history < s->n_ctx ? n_history : s->n_ctx, limit = 0, n_touched = 0;
    if (o->dry_last_n >= 0 && (size_t)o->dry_last_n < n)
        n = (size_t)o->dry_last_n;
    for (size_t i = 0; i < n; i++) {
        r[i] = history[n_history - 1 - i];
        if (r[i] < 0 || (uint32_t)r[i] >= s->n_vocab)
            return fail_history(error, r[i], s->n_vocab);
    }
    while (limit < n && !is_breaker(s, r[limit]))
        limit++;
    if (n < 2 || limit == 0)
        return SLM_OK;
    z_lengths(s->dry_z, r, n);
    int32_t least = o->dry_allowed_length > 1 ? o->dry_allowed_length : 1;
    for (size_t k = 1; k < n; k++) {
        int32_t next = r[k - 1], len = s->dry_z[k];
        if ((size_t)len > limit)
            len = (int32_t)limit;
        if (len < least || is_breaker(s, next))
            continue;
        if (s->dry_best[next] == 0)
            s->dry_touched[n_touched++] = next;
        if (s->dry_best[next] < len)
            s->dry_best[next] = len;
    }
    if (n_touched > 0)
        slm_candidates_own(s);
    for (size_t i = 0; i < n_touched; i++) {
        int32_t id = s->dry_touched[i];
        float *l = slm_candidate_find(s, id);
        if (l != NULL) {
            double excess = (double)(s->dry_best[id] - o->dry_allowed_length);
            double penalty = (double)o->dry_multiplier * pow((double)o->dry_base, excess);
            /* An infinite penalty is a large one, not a mask. */
            *l = slm_logit_saturate((double)*l - (penalty < 1e300 ? penalty : 1e300));
        } else {
            slm_rest_change(s, 1);
        }
        s->dry_best[id] = 0;
    }
    return SLM_OK;
}

/* ---- breakers --------------------------------------------------------------------------------- */

static int contains(slm_str text, const char *part, size_t len) {
    if (text.len < len)
        return 0;
    const char *p = text.ptr, *last = text.ptr + (text.len - len);
    while (p <= last && (p = memchr(p, part[0], (size_t)(last - p) + 1)) != NULL) {
        if (memcmp(p, part, len) == 0)
            return 1;
        p++;
    }
    return 0;
}

slm_status slm_sampler_breakers(const slm_sampling *sampling, const slm_vocab *v, uint32_t n_vocab,
                                char *buf, uint8_t *bitmap, slm_error *error) {
    static const slm_span usual[] = {{"\n", 1, 0}, {":", 1, 0}, {"\"", 1, 0}, {"*", 1, 0}};
    slm_sampling o;
    slm_span parts[SLM_SAMPLER_MAX_BREAKERS];
    SLM_TRY(slm_copy_options(&o, sizeof o, &slm_sampling_defaults, sampling, "sampling", error));
    const slm_span *given = o.dry_breakers != NULL ? o.dry_breakers : usual;
    size_t n = o.dry_breakers != NULL ? o.n_dry_breakers : sizeof usual / sizeof *usual;
    if (n > SLM_SAMPLER_MAX_BREAKERS)
        return slm_fail(error, SLM_ERR_LIMIT, "dry_breakers", SLM_NO_OFFSET,
                        "sampling: %zu texts in dry_breakers, at most %u", n,
                        SLM_SAMPLER_MAX_BREAKERS);
    for (size_t i = 0; i < n; i++) {
        parts[i] = given[i];
        if (parts[i].text == NULL)
            return slm_fail(error, SLM_ERR_ARG, "dry_breakers", SLM_NO_OFFSET,
                            "sampling: text %zu of dry_breakers is NULL", i);
        if (parts[i].len == SLM_NTS)
            parts[i].len = strlen(parts[i].text);
        if (parts[i].len == 0)
            return slm_fail(error, SLM_ERR_RANGE, "dry_breakers", SLM_NO_OFFSET,
                            "sampling: text %zu of dry_breakers is empty", i);
    }
    memset(bitmap, 0, ((size_t)n_vocab + 7) / 8);
    uint32_t size = slm_vocab_size(v);
    for (uint32_t id = 0; id < n_vocab && id < size; id++) {
        slm_str text = slm_vocab_token_bytes(v, (int32_t)id, 0, buf);
        for (size_t i = 0; i < n; i++)
            if (contains(text, parts[i].text, parts[i].len)) {
                bitmap[id / 8] |= (uint8_t)(1u << (id % 8));
                break;
            }
    }
    return SLM_OK;
}
