/* Choosing from the best of a row of logits, where the row itself is on a device.
 *
 * The chain runs on what is known, while slm_rest says what can be said of the tokens that are not:
 * that none has a logit above the least of the best, and what they weigh together. Stages that lower
 * tokens leave that true. A filter decides if it keeps only candidates that come before all others,
 * greedy choice if the largest does. Then the candidates are what the whole row would have left, bit
 * for bit, and so is the token. Where that cannot be said, nothing is chosen.
 *
 *   TOP_K        keeps the k largest of the candidates
 *   MIN_P        depends on the largest only
 *   TOP_P        takes the mass of all from the sum over the row; where what rounding can add to it
 *                or take away would keep other tokens, it is not decided
 *   TYPICAL      looks at every token, so that it has to come after one of these
 *   TEMPERATURE  keeps the order, but may make different logits equal */
#include "run/sampler_chain.h"

#include <math.h>

/* By a filter that leaves no more than the best, with nothing before it that may raise others, or by
 * taking the largest. */
int slm_chain_may_take_best(const slm_sampling *o, const uint8_t *stages) {
    int heated = 0;
    for (; *stages != SLM_SAMPLER_END; stages++)
        switch (*stages) {
        case SLM_SAMPLER_PENALTIES:
            if (o->repeat_penalty < 1 || o->presence_penalty < 0 || o->frequency_penalty < 0)
                return 0;
            break;
        case SLM_SAMPLER_TOP_K:
            return o->top_k <= (int32_t)SLM_SAMPLER_BEST;
        case SLM_SAMPLER_TYPICAL:
            return 0;
        case SLM_SAMPLER_TOP_P: /* of what mass, one knows only before */
            return !heated;
        case SLM_SAMPLER_MIN_P:
            return 1;
        case SLM_SAMPLER_TEMPERATURE:
            heated = 1;
            break;
        default:
            break;
        }
    return o->temperature == 0;
}

/* What a bias raises may be chosen though it is not among the best. */
void slm_name_raised(slm_sampler *s) {
    for (size_t i = 0; i < s->n_bias; i++) {
        if (!(s->bias[i].bias > 0))
            continue;
        if (s->n_names == SLM_SAMPLER_NAMED) { /* too many */
            s->takes_best = 0;
            s->n_names = 0;
            return;
        }
        s->names[s->n_names++] = (uint32_t)s->bias[i].id;
    }
}

/* The candidates are the best of a row, and what else is named. Masked ones are left out. */
static void take_best(slm_sampler *s, const slm_best *best) {
    slm_rest *rest = &s->rest;
    size_t n_named = best->named != NULL ? s->n_names : 0, m = 0;
    *rest = (slm_rest){.any = best->n < s->n_vocab, .bound = INFINITY, .bound_id = -1};
    for (size_t i = 0, j = 0; i < best->n || j < n_named;) { /* both ascend */
        int is_best = j == n_named || (i < best->n && best->id[i] <= s->names[j]);
        uint32_t id = is_best ? best->id[i] : s->names[j];
        float l = is_best ? best->logit[i] : best->named[j];
        if (is_best && l <= rest->bound) {
            rest->bound = l;
            rest->bound_id = (int32_t)id;
        }
        j += j < n_named && s->names[j] == id;
        i += (size_t)is_best;
        if (!(l > -INFINITY)) {
            rest->any = 1;
            continue;
        }
        s->logit[m] = l;
        s->id[m++] = (int32_t)id;
    }
    s->x = s->logit;
    s->n = m;
    s->dense = 0;
}

int slm_before_rest(const slm_sampler *s, float logit, int32_t id) {
    const slm_rest *rest = &s->rest;
    return !rest->any || logit > rest->bound || (logit == rest->bound && id <= rest->bound_id);
}

void slm_rest_change(slm_sampler *s, int lowers) {
    slm_rest *rest = &s->rest;
    if (!rest->any)
        return;
    rest->is_undecided |= !lowers;
    rest->lowered += exp((double)rest->bound - (double)rest->row_max);
}

/* ---- choosing --------------------------------------------------------------------------------- */

int slm_sampler_takes_best(const slm_sampler *s) { return s->takes_best; }

const uint32_t *slm_sampler_names(const slm_sampler *s, uint32_t *n) {
    *n = s->n_names;
    return s->names;
}

/* The logit of a token as the row has it; it is one of those that are known. */
static float logit_of(const slm_sampler *s, const slm_best *best, uint32_t id) {
    size_t lo = 0, hi = best->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (best->id[mid] < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < best->n && best->id[lo] == id)
        return best->logit[lo];
    for (lo = 0; s->names[lo] != id; lo++)
        ;
    return best->named[lo];
}

slm_status slm_sampler_choose_best(slm_sampler *s, const slm_best *best, const int32_t *history,
                                   size_t n_history, int *is_chosen, int32_t *token,
                                   float *logprob, const slm_token_prob **top, size_t *n_top,
                                   slm_error *error) {
    float max;
    size_t index;
    int finite;
    *is_chosen = 0;
    if (!s->takes_best || s->allowed != NULL) /* few of what is allowed may be among the best */
        return SLM_OK;
    take_best(s, best);
    if (s->n == 0)
        return SLM_OK;
    float row_max = s->kernels->max_index(s->x, s->n, &index, &finite);
    double known = s->kernels->sum_exp(s->x, s->n, row_max), log_sum = log((double)best->sum);
    s->rest.row_max = row_max;
    s->rest.mass = (double)best->sum > known ? (double)best->sum - known : 0;
    SLM_TRY(slm_run_stages(s, history, n_history, &max, &index, error));
    if (s->rest.is_undecided)
        return SLM_OK;
    if (s->rest.any && (s->sampling.temperature != 0 || !slm_before_rest(s, max, s->id[index])))
        return SLM_OK;
    *is_chosen = 1;
    if (s->sampling.temperature != 0)
        index = slm_draw(s);
    *token = s->id[index];
    if (logprob != NULL)
        *logprob = (float)((double)logit_of(s, best, (uint32_t)*token) - (double)row_max - log_sum);
    slm_top_begin(s);
    for (size_t i = 0; i < best->n; i++)
        if (best->logit[i] > s->top_threshold)
            slm_top_insert(s, (int32_t)best->id[i], best->logit[i]);
    slm_top_finish(s, row_max, log_sum);
    if (top != NULL) {
        *top = s->top;
        *n_top = s->n_top_found;
    }
    return SLM_OK;
}
