#include "batch/batch.h"

#include <string.h>

slm_batch_event *slm_request_event(slm_request *r, slm_batch_event_type type) {
    slm_batch_event *e = &r->events[r->n_events++];
    *e = (slm_batch_event){.struct_size = sizeof *e, .type = type, .request = r, .user = r->user,
                           .text = "", .token = -1};
    return e;
}

void slm_request_token(void *request, const slm_event *g) {
    slm_request *r = request;
    r->batch->info.n_generated++;
    if (!(r->flags & SLM_REQUEST_TOKENS))
        return;
    slm_batch_event *e = slm_request_event(r, SLM_BATCH_TOKEN);
    slm_str text = slm_vocab_token_bytes(r->batch->cache->model->vocab, g->token,
                                         SLM_DETOKENIZE_SPECIAL, r->token_text);
    e->text = text.ptr;
    e->text_len = text.len;
    e->token = g->token;
    e->logprob = g->logprob;
    e->count = g->count;
    if (g->n_top > 0)
        memcpy(r->top, g->top, g->n_top * sizeof *r->top);
    e->top = r->top;
    e->n_top = g->n_top;
}

/* ---- of each kind ----------------------------------------------------------------------------- */

static slm_status pull_answer(slm_request *r, slm_error *error) {
    slm_answer_event a;
    SLM_TRY(slm_answer_step(r->answer, &a, error));
    if (a.type == SLM_ANSWER_NONE) {
        r->waits = (uint8_t)slm_generator_waits(slm_answer_generator(r->answer));
        return SLM_OK;
    }
    slm_batch_event *e = slm_request_event(r, a.type); /* of the same number */
    e->text = a.text;
    e->text_len = a.text_len;
    e->call = a.call;
    e->thinking = a.thinking;
    e->begin = a.begin;
    e->end = a.end;
    e->count = a.count;
    e->reason = a.reason;
    return SLM_OK;
}

static slm_status pull_text(slm_request *r, slm_error *error) {
    slm_event g;
    SLM_TRY(slm_generator_next(r->generator, &g, error));
    if (g.type == SLM_EVENT_NONE) {
        r->waits = 1;
        return SLM_OK;
    }
    if (g.token >= 0)
        slm_request_token(r, &g);
    if (g.text_len > 0) {
        slm_batch_event *e = slm_request_event(r, SLM_BATCH_TEXT);
        e->text = g.text;
        e->text_len = g.text_len;
        e->count = g.count;
    }
    if (g.type == SLM_EVENT_REEVALUATED)
        slm_request_event(r, SLM_BATCH_REEVALUATED)->count = g.count;
    if (g.type == SLM_EVENT_END) {
        slm_batch_event *e = slm_request_event(r, SLM_BATCH_END);
        e->count = g.count;
        e->reason = g.reason;
    }
    return SLM_OK;
}

static slm_status pull_embedding(slm_request *r, slm_error *error) {
    const slm_cache *c = r->batch->cache;
    size_t d = c->model->config.d_model;
    SLM_TRY(slm_pool_finish(r->sums, d, r->embedding, error));
    slm_batch_event *e = slm_request_event(r, SLM_BATCH_EMBEDDING);
    e->embedding = r->embedding;
    e->n_embedding = d;
    slm_request_event(r, SLM_BATCH_END);
    return SLM_OK;
}

/* Asks the request until it has events or waits for a step. */
static void pull(slm_request *r) {
    slm_error error = SLM_ERROR_INIT;
    r->n_events = r->next_event = 0;
    while (!r->waits && r->n_events == 0) {
        slm_status status = r->kind == SLM_REQUEST_ANSWER ? pull_answer(r, &error)
                            : r->kind == SLM_REQUEST_TEXT ? pull_text(r, &error)
                                                          : pull_embedding(r, &error);
        if (status != SLM_OK) {
            slm_request_fail(r, &error, status != SLM_ERR_NUMERIC);
            return;
        }
    }
    if (r->n_events > 0 && r->events[r->n_events - 1].type == SLM_BATCH_END)
        r->has_ended = 1;
}

/* ---- all together ----------------------------------------------------------------------------- */

/* The request's next event; 0 where it has none. */
static int take_event(slm_request *r, slm_batch_event *event) {
    slm_request_check_cancelled(r);
    if (!r->has_begun && r->place != NULL) {
        r->has_begun = 1;
        r->batch->info.n_prompt += r->n_prompt;
        r->batch->info.n_reused += r->n_reused;
        *event = (slm_batch_event){.struct_size = sizeof *event, .type = SLM_BATCH_BEGIN,
                                   .request = r, .user = r->user, .text = "", .token = -1,
                                   .count = r->n_prompt, .n_reused = r->n_reused};
        return 1;
    }
    if (r->next_event == r->n_events && !r->has_ended)
        pull(r);
    if (r->next_event == r->n_events)
        return 0;
    *event = r->events[r->next_event++];
    if (r->has_ended && r->next_event == r->n_events) {
        slm_request_leave(r, 1);
        slm_request_move(r, SLM_IN_OVER);
    }
    return 1;
}

void slm_batch_pull(slm_batch *b, slm_batch_event *event) {
    for (uint32_t left = b->active.n; left > 0; left--) {
        slm_request *r = b->cursor != NULL ? b->cursor : b->active.first;
        slm_request *after = r->after;
        b->cursor = r;
        if (take_event(r, event))
            return;
        b->cursor = after;
    }
    *event = (slm_batch_event){.struct_size = sizeof *event, .text = "", .token = -1};
}
