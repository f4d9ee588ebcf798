#include "run/embed.h"

#include "run/state.h"

#include <math.h>

void slm_pool_add(double *sums, const float *hidden, uint32_t n, size_t d) {
    for (uint32_t r = 0; r < n; r++)
        for (size_t i = 0; i < d; i++)
            sums[i] += (double)hidden[r * d + i];
}

slm_status slm_pool_finish(const double *sums, size_t d, float *embedding, slm_error *error) {
    double square = 0;
    for (size_t i = 0; i < d; i++)
        square += sums[i] * sums[i];
    if (!(square > 0) || !isfinite(square))
        return slm_fail(error, SLM_ERR_NUMERIC, "embedding", SLM_NO_OFFSET,
                        "the model gave hidden states that are all 0 or not finite numbers");
    double factor = 1 / sqrt(square);
    for (size_t i = 0; i < d; i++)
        embedding[i] = (float)(sums[i] * factor);
    return SLM_OK;
}

slm_status slm_pool_want(slm_pooling pooling, slm_want *want, slm_error *error) {
    if (pooling != SLM_POOLING_MEAN && pooling != SLM_POOLING_LAST)
        return slm_fail(error, SLM_ERR_RANGE, "pooling", SLM_NO_OFFSET,
                        "pooling: got %d, wanted %d or %d", pooling, SLM_POOLING_MEAN,
                        SLM_POOLING_LAST);
    *want = pooling == SLM_POOLING_MEAN ? SLM_WANT_ALL_HIDDEN : SLM_WANT_HIDDEN;
    return SLM_OK;
}

slm_status slm_pool_check(const slm_model *m, slm_error *error) {
    if (m->device == NULL)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_UNSUP, "device", SLM_NO_OFFSET,
                    "embeddings: the model is on a device, wanted one on the processor");
}

/* Steps until nothing is pending. */
static slm_status run(slm_part *part, double *sums, slm_error *error) {
    slm_session *s = part->session;
    slm_cache *c = s->cache;
    for (uint32_t pending; (pending = slm_session_pending(s)) > 0;) {
        uint32_t most = slm_pace_rows(&c->pace);
        part->n_rows = pending < most ? pending : most;
        SLM_TRY(slm_cache_yield(c, s->n_valid, s->n_tokens, error));
        SLM_TRY(slm_session_check_cancelled(s, error));
        SLM_TRY(slm_state_make_room(s, s->n_valid + part->n_rows, error));
        SLM_TRY(slm_session_advance(c, part, 1, error));
        slm_pool_add(sums, part->hidden, part->n_hidden, c->model->config.d_model);
    }
    return SLM_OK;
}

slm_status slm_session_embed(slm_session *s, const int32_t *ids, size_t n, slm_pooling pooling,
                             float *embedding, slm_error *error) {
    slm_cache *c = s->cache;
    size_t d = c->model->config.d_model;
    slm_part part = {.session = s};
    SLM_TRY(slm_pool_want(pooling, &part.want, error));
    SLM_TRY(slm_pool_check(c->model, error));
    SLM_TRY(slm_session_check_prompt(c, ids, n, error));
    double *sums = slm_calloc(c->host, d, sizeof *sums);
    if (sums == NULL)
        return slm_fail_nomem(error, d * sizeof *sums, "an embedding");
    slm_session_cut(s, 0);
    slm_session_append(s, ids, (uint32_t)n);
    slm_status status = run(&part, sums, error);
    if (status == SLM_OK)
        status = slm_pool_finish(sums, d, embedding, error);
    else
        slm_session_cut(s, 0);
    slm_free(c->host, sums);
    return status;
}
