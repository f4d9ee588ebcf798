/* Embeddings: hidden states behind the model's last norm, pooled, and divided by their length. */
#ifndef SLM_RUN_EMBED_H
#define SLM_RUN_EMBED_H

#include "run/session.h"

/* Adds n rows of d floats to sums. Row by row, so that it does not matter which of them come together. */
void slm_pool_add(double *sums, const float *hidden, uint32_t n, size_t d);
/* The sum over its length: a mean has the same direction. SLM_ERR_NUMERIC where there is no length. */
slm_status slm_pool_finish(const double *sums, size_t d, float *embedding, slm_error *error);

/* The part of a request for hidden states that a pooling calls for; SLM_ERR_RANGE for another number. */
slm_status slm_pool_want(slm_pooling pooling, slm_want *want, slm_error *error);
/* SLM_ERR_UNSUP where the weights are on a device. */
slm_status slm_pool_check(const slm_model *model, slm_error *error);

/* Makes the session hold the ids, and writes d_model floats. */
slm_status slm_session_embed(slm_session *session, const int32_t *ids, size_t n,
                             slm_pooling pooling, float *embedding, slm_error *error);

#endif
