/* The public entry points of batches and of embeddings. */
#include "api.h"

#include "batch/batch.h"

slm_status slm_batch_plan(const slm_model *model, const slm_batch_options *options, slm_plan *plan,
                          slm_error *error) {
    REQUIRE(model);
    REQUIRE(plan);
    slm_batch_options o;
    slm_cache_options cache, filled;
    slm_plan p;
    SLM_TRY(slm_batch_fill_options(model, options, &o, &cache, error));
    SLM_TRY(slm_cache_make_plan(model, &cache, &filled, &p, error));
    return slm_copy_info(plan, &p, sizeof p, "slm_plan", error);
}

slm_status slm_batch_open(slm_model *model, const slm_batch_options *options, slm_batch **out,
                          slm_error *error) {
    REQUIRE(out);
    *out = NULL;
    REQUIRE(model);
    return slm_batch_create(model, options, out, error);
}

void slm_batch_close(slm_batch **batch) {
    if (batch == NULL || *batch == NULL)
        return;
    slm_batch_destroy(*batch);
    *batch = NULL;
}

slm_status slm_batch_add(slm_batch *batch, const slm_request_options *options, slm_request **out,
                         slm_error *error) {
    static const slm_request_options defaults = {.struct_size = sizeof defaults};
    REQUIRE(out);
    *out = NULL;
    REQUIRE(batch);
    REQUIRE(options);
    slm_request_options o;
    SLM_TRY(slm_copy_options(&o, sizeof o, &defaults, options, "slm_request_options", error));
    if (o.ids == NULL || o.n_ids == 0)
        return slm_fail(error, SLM_ERR_ARG, "ids", SLM_NO_OFFSET,
                        "slm_batch_add: got no tokens, wanted at least one");
    return slm_request_create(batch, &o, out, error);
}

void slm_request_cancel(slm_request *request) {
    if (request != NULL)
        atomic_store(&request->cancelled, 1);
}

void slm_request_end(slm_request **request) {
    if (request == NULL || *request == NULL)
        return;
    slm_request_destroy(*request);
    *request = NULL;
}

slm_status slm_request_get_answer(const slm_request *request, slm_answer **answer,
                                  slm_error *error) {
    REQUIRE(answer);
    *answer = NULL;
    REQUIRE(request);
    if (request->answer == NULL)
        return slm_fail(error, SLM_ERR_ARG, "request", SLM_NO_OFFSET,
                        "slm_request_get_answer: got a request of kind %d, wanted %d",
                        request->kind, SLM_REQUEST_ANSWER);
    *answer = request->answer;
    return SLM_OK;
}

slm_status slm_batch_step(slm_batch *batch, slm_batch_report *report, slm_error *error) {
    REQUIRE(batch);
    if (report != NULL)
        SLM_TRY(slm_check_info(report, "slm_batch_report", error));
    slm_batch_report r = {.struct_size = sizeof r};
    SLM_TRY(slm_batch_run(batch, &r, error));
    return report == NULL ? SLM_OK
                          : slm_copy_info(report, &r, sizeof r, "slm_batch_report", error);
}

slm_status slm_batch_next(slm_batch *batch, slm_batch_event *event, slm_error *error) {
    REQUIRE(batch);
    REQUIRE(event);
    SLM_TRY(slm_check_info(event, "slm_batch_event", error));
    slm_batch_event e;
    slm_batch_pull(batch, &e);
    return slm_copy_info(event, &e, sizeof e, "slm_batch_event", error);
}

slm_status slm_batch_get_info(const slm_batch *batch, slm_batch_info *info, slm_error *error) {
    REQUIRE(batch);
    REQUIRE(info);
    slm_batch_info i = batch->info;
    i.struct_size = sizeof i;
    i.n_waiting = batch->waiting.n;
    i.n_running = batch->n_running;
    slm_places_count(batch, &i);
    return slm_copy_info(info, &i, sizeof i, "slm_batch_info", error);
}

slm_status slm_embed(slm_session *session, const int32_t *ids, size_t n, slm_pooling pooling,
                     float *embedding, size_t cap, slm_error *error) {
    REQUIRE(session);
    REQUIRE(ids);
    REQUIRE(embedding);
    if (n == 0)
        return slm_fail(error, SLM_ERR_ARG, "n", SLM_NO_OFFSET,
                        "slm_embed: got no tokens, wanted at least one");
    size_t d = session->cache->model->config.d_model;
    if (cap < d)
        return slm_fail(error, SLM_ERR_LIMIT, "embedding", SLM_NO_OFFSET,
                        "slm_embed: got room for %zu floats, wanted d_model = %zu", cap, d);
    SLM_TRY(slm_session_check_free(session, error));
    return slm_session_embed(session, ids, n, pooling, embedding, error);
}
