#include "batch/batch.h"

#include <string.h>

#define MAX_RUNNING     256u
#define MAX_REQUESTS    65536u
#define MAX_PREFIXES    1024u
#define DEFAULT_RUNNING 8u
#define DEFAULT_STALL   200u /* ms */
#define DEFAULT_CHUNK   400u /* ms */
#define DEFAULT_ROWS    256u

/* ---- options ---------------------------------------------------------------------------------- */

static slm_status check_u32(const char *name, uint32_t value, uint32_t most, slm_error *error) {
    if (value >= 1 && value <= most)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_RANGE, name, SLM_NO_OFFSET,
                    "slm_batch_options.%s: got %u, wanted 1 to %u", name, value, most);
}

static slm_status check_cache(const slm_cache_options *c, slm_error *error) {
    const char *name = c->max_sessions != 0 ? "max_sessions"
                       : c->max_logits != 0 ? "max_logits"
                       : c->yield != NULL   ? "yield"
                                            : NULL;
    if (name == NULL)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_ARG, name, SLM_NO_OFFSET,
                    "slm_batch_options.cache: %s is set, which is the batch's own", name);
}

/* What the cache is to be like, n_cells by the context that it comes out with. */
static slm_status fill_cache(const slm_model *m, const slm_batch_options *o, slm_cache_options *c,
                             slm_error *error) {
    static const slm_cache_options defaults = {.struct_size = sizeof defaults};
    slm_cache_options filled;
    slm_plan plan;
    SLM_TRY(slm_copy_options(c, sizeof *c, &defaults, o->cache, "slm_cache_options", error));
    SLM_TRY(check_cache(c, error));
    uint32_t least = o->max_running + SLM_PACE_LEAST;
    if (c->chunk_ms == 0)
        c->chunk_ms = o->step_rows > 0 ? SLM_CHUNK_WHOLE : DEFAULT_CHUNK;
    if (c->max_rows == 0)
        c->max_rows = least > DEFAULT_ROWS ? least : DEFAULT_ROWS;
    c->max_sessions = o->max_running + o->n_prefixes;
    SLM_TRY(slm_cache_make_plan(m, c, &filled, &plan, error));
    uint64_t cells = (uint64_t)filled.n_ctx * o->max_running;
    if (c->n_cells == 0 && cells < UINT32_MAX)
        c->n_cells = (uint32_t)cells;
    uint32_t max_rows = c->n_cells > 0 && c->n_cells < c->max_rows ? c->n_cells : c->max_rows;
    if (max_rows < least)
        return slm_fail(error, SLM_ERR_RANGE, "max_rows", SLM_NO_OFFSET,
                        "slm_batch_options.cache: max_rows and n_cells allow %u rows in a step, "
                        "wanted max_running + %u = %u", max_rows, SLM_PACE_LEAST, least);
    return SLM_OK;
}

slm_status slm_batch_fill_options(const slm_model *m, const slm_batch_options *options,
                                  slm_batch_options *o, slm_cache_options *cache,
                                  slm_error *error) {
    static const slm_batch_options defaults = {.struct_size = sizeof defaults};
    SLM_TRY(slm_copy_options(o, sizeof *o, &defaults, options, "slm_batch_options", error));
    if (o->max_running == 0)
        o->max_running = DEFAULT_RUNNING;
    SLM_TRY(check_u32("max_running", o->max_running, MAX_RUNNING, error));
    if (o->max_requests == 0)
        o->max_requests = 8 * o->max_running;
    if (o->n_prefixes == 0)
        o->n_prefixes = o->max_running;
    if (o->stall_ms == 0)
        o->stall_ms = DEFAULT_STALL;
    SLM_TRY(check_u32("max_requests", o->max_requests, MAX_REQUESTS, error));
    SLM_TRY(check_u32("stall_ms", o->stall_ms, 60000, error));
    if (o->n_prefixes == SLM_BATCH_NO_PREFIXES)
        o->n_prefixes = 0;
    else
        SLM_TRY(check_u32("n_prefixes", o->n_prefixes, MAX_PREFIXES, error));
    return fill_cache(m, o, cache, error);
}

/* ---- life ------------------------------------------------------------------------------------- */

static slm_status allocate(slm_batch *b, slm_error *error) {
    slm_host *host = b->cache->host;
    b->places = slm_calloc(host, b->n_places, sizeof *b->places);
    b->parts = slm_calloc(host, b->options.max_running, sizeof *b->parts);
    b->session_parts = slm_calloc(host, b->options.max_running, sizeof *b->session_parts);
    if (b->places == NULL || b->parts == NULL || b->session_parts == NULL)
        return slm_fail_nomem(error, b->n_places * sizeof *b->places, "the batch");
    for (uint32_t i = 0; i < b->n_places; i++)
        SLM_TRY(slm_session_create(b->cache, SLM_ROPE_AUTO, &b->places[i].session, error));
    return SLM_OK;
}

slm_status slm_batch_create(slm_model *m, const slm_batch_options *options, slm_batch **out,
                            slm_error *error) {
    slm_batch_options o;
    slm_cache_options cache_options;
    slm_cache *cache;
    SLM_TRY(slm_batch_fill_options(m, options, &o, &cache_options, error));
    SLM_TRY(slm_cache_create(m, &cache_options, &cache, error));
    cache->is_batch = 1;
    slm_batch *b = slm_calloc(&m->host, 1, sizeof *b);
    if (b == NULL) {
        slm_cache_drop(cache);
        return slm_fail_nomem(error, sizeof *b, "the batch");
    }
    b->cache = cache;
    b->options = o;
    b->n_places = cache_options.max_sessions;
    b->pace.max_rows = cache->options.max_rows;
    slm_status status = allocate(b, error);
    if (status != SLM_OK) {
        slm_batch_destroy(b);
        return status;
    }
    *out = b;
    return SLM_OK;
}

static void destroy_all(slm_request_queue *q) {
    while (q->first != NULL)
        slm_request_destroy(q->first);
}

void slm_batch_destroy(slm_batch *b) {
    slm_cache *cache = b->cache;
    slm_model *m = cache->model;
    slm_model_retain(m); /* the host's memory outlives the cache */
    destroy_all(&b->waiting);
    destroy_all(&b->active);
    destroy_all(&b->over);
    for (uint32_t i = 0; b->places != NULL && i < b->n_places; i++)
        if (b->places[i].session != NULL)
            slm_session_destroy(b->places[i].session);
    slm_cache_drop(cache);
    slm_free(&m->host, b->places);
    slm_free(&m->host, b->parts);
    slm_free(&m->host, b->session_parts);
    slm_free(&m->host, b);
    slm_model_release(m);
}

/* ---- lists ------------------------------------------------------------------------------------ */

static slm_request_queue *queue_of(slm_batch *b, slm_request_list list) {
    return list == SLM_IN_WAITING ? &b->waiting : list == SLM_IN_ACTIVE ? &b->active : &b->over;
}

static void unlink_request(slm_request *r) {
    slm_request_queue *q = queue_of(r->batch, r->list);
    if (r->batch->cursor == r)
        r->batch->cursor = r->after;
    *(r->before != NULL ? &r->before->after : &q->first) = r->after;
    *(r->after != NULL ? &r->after->before : &q->last) = r->before;
    q->n--;
}

/* Those that wait are in order; elsewhere the newest is last. */
static void link_request(slm_request *r, slm_request_list list) {
    slm_request_queue *q = queue_of(r->batch, list);
    slm_request *before = q->last;
    while (list == SLM_IN_WAITING && before != NULL && slm_request_precedes(r, before))
        before = before->before;
    r->list = list;
    r->before = before;
    r->after = before != NULL ? before->after : q->first;
    *(before != NULL ? &before->after : &q->first) = r;
    *(r->after != NULL ? &r->after->before : &q->last) = r;
    q->n++;
}

void slm_request_move(slm_request *r, slm_request_list list) {
    unlink_request(r);
    link_request(r, list);
}

/* ---- requests --------------------------------------------------------------------------------- */

static slm_status check_request(const slm_batch *b, const slm_request_options *o,
                                slm_error *error) {
    const slm_cache *c = b->cache;
    int is_embedding = o->kind == SLM_REQUEST_EMBED;
    uint32_t more = is_embedding ? 0 : 1; /* tokens beyond the prompt */
    slm_want want;
    if (o->kind < SLM_REQUEST_ANSWER || o->kind > SLM_REQUEST_EMBED)
        return slm_fail(error, SLM_ERR_RANGE, "kind", SLM_NO_OFFSET,
                        "slm_request_options.kind: got %d, wanted %d to %d", o->kind,
                        SLM_REQUEST_ANSWER, SLM_REQUEST_EMBED);
    if (o->flags & ~(uint32_t)(SLM_REQUEST_TOKENS | SLM_REQUEST_FORGET))
        return slm_fail(error, SLM_ERR_ARG, "flags", SLM_NO_OFFSET,
                        "slm_request_options.flags: got 0x%x, which has unknown bits", o->flags);
    if ((o->answer != NULL && o->kind != SLM_REQUEST_ANSWER) ||
        (o->generate != NULL && o->kind != SLM_REQUEST_TEXT))
        return slm_fail(error, SLM_ERR_ARG, "kind", SLM_NO_OFFSET,
                        "slm_request_options: %s is set, which requests of kind %d do not have",
                        o->generate != NULL ? "generate" : "answer", o->kind);
    SLM_TRY(slm_pool_want(o->pooling, &want, error));
    if (is_embedding)
        SLM_TRY(slm_pool_check(c->model, error));
    if (b->waiting.n + b->active.n + b->over.n >= b->options.max_requests)
        return slm_fail(error, SLM_ERR_BUSY, "max_requests", SLM_NO_OFFSET,
                        "the batch has %u requests open, as many as max_requests allows",
                        b->options.max_requests);
    SLM_TRY(slm_session_check_prompt(c, o->ids, o->n_ids, error));
    if (o->n_ids + more > c->options.n_ctx)
        return slm_fail(error, SLM_ERR_CTX, "n_ctx", SLM_NO_OFFSET,
                        "got a prompt of %zu tokens, wanted less than the context of %u, so that "
                        "there is room for an answer", o->n_ids, c->options.n_ctx);
    if (!slm_places_can_hold(b, (uint32_t)o->n_ids + more))
        return slm_fail(error, SLM_ERR_LIMIT, "n_cells", SLM_NO_OFFSET,
                        "got a prompt of %zu tokens, wanted at most what the cache holds, %u",
                        o->n_ids, c->options.n_cells);
    return SLM_OK;
}

static slm_status open_answer(slm_request *r, const slm_request_options *options,
                              slm_error *error) {
    static const slm_answer_options defaults = {.struct_size = sizeof defaults};
    slm_answer_options o;
    SLM_TRY(slm_copy_options(&o, sizeof o, &defaults, options->answer, "slm_answer_options",
                             error));
    SLM_TRY(slm_answer_new(r->batch->cache, r->ids, r->n_ids, &o, &r->answer, error));
    slm_answer_report(r->answer, slm_request_token, r);
    slm_generator_drive(slm_answer_generator(r->answer));
    return SLM_OK;
}

static slm_status open_embedding(slm_request *r, slm_error *error) {
    size_t d = r->batch->cache->model->config.d_model;
    r->sums = slm_calloc(r->batch->cache->host, d, sizeof *r->sums);
    r->embedding = slm_calloc(r->batch->cache->host, d, sizeof *r->embedding);
    return r->sums != NULL && r->embedding != NULL
               ? SLM_OK
               : slm_fail_nomem(error, d * (sizeof *r->sums + sizeof *r->embedding), "an embedding");
}

static slm_status set_up(slm_request *r, const slm_request_options *o, slm_error *error) {
    slm_cache *c = r->batch->cache;
    size_t max_bytes = slm_vocab_max_token_bytes(c->model->vocab);
    r->ids = slm_alloc(c->host, o->n_ids * sizeof *r->ids);
    if (o->flags & SLM_REQUEST_TOKENS)
        r->token_text = slm_alloc(c->host, max_bytes);
    if (r->ids == NULL || (o->flags & SLM_REQUEST_TOKENS && r->token_text == NULL))
        return slm_fail_nomem(error, o->n_ids * sizeof *r->ids + max_bytes, "a request");
    memcpy(r->ids, o->ids, o->n_ids * sizeof *r->ids);
    if (r->kind == SLM_REQUEST_ANSWER)
        return open_answer(r, o, error);
    if (r->kind == SLM_REQUEST_EMBED)
        return open_embedding(r, error);
    SLM_TRY(slm_generator_new(c, r->n_ids, o->generate, &r->generator, error));
    slm_generator_drive(r->generator);
    return SLM_OK;
}

/* All but the request's place in a list. */
static void free_request(slm_request *r) {
    slm_host *host = r->batch->cache->host;
    slm_answer_destroy(r->answer);
    if (r->generator != NULL)
        slm_generator_destroy(r->generator);
    slm_free(host, r->ids);
    slm_free(host, r->token_text);
    slm_free(host, r->sums);
    slm_free(host, r->embedding);
    slm_free(host, r);
}

slm_status slm_request_create(slm_batch *b, const slm_request_options *o, slm_request **out,
                              slm_error *error) {
    SLM_TRY(check_request(b, o, error));
    slm_request *r = slm_calloc(b->cache->host, 1, sizeof *r);
    if (r == NULL)
        return slm_fail_nomem(error, sizeof *r, "a request");
    r->batch = b;
    r->kind = o->kind;
    r->pooling = o->pooling;
    r->flags = o->flags;
    r->priority = o->priority;
    r->user = o->user;
    r->n_ids = r->n_prompt = (uint32_t)o->n_ids;
    r->number = slm_batch_tick(b);
    r->waits = 1;
    slm_status status = set_up(r, o, error);
    if (status != SLM_OK) {
        free_request(r);
        return status;
    }
    link_request(r, SLM_IN_WAITING);
    *out = r;
    return SLM_OK;
}

void slm_request_destroy(slm_request *r) {
    slm_request_leave(r, 1);
    unlink_request(r);
    free_request(r);
}

void slm_request_leave(slm_request *r, int keeps) {
    slm_batch *b = r->batch;
    slm_place *p = r->place;
    if (p == NULL)
        return;
    slm_generator_detach(slm_request_generator(r));
    p->request = NULL;
    r->place = NULL;
    b->n_running--;
    if (!keeps || !slm_request_shares(r) || b->options.n_prefixes == 0) {
        slm_place_clear(p);
        return;
    }
    slm_session_cut(p->session, p->session->n_valid);
    p->used = slm_batch_tick(b);
}

int slm_request_park(slm_request *r, int keeps) {
    const slm_session *s = slm_request_session(r);
    int32_t *ids = slm_realloc(r->batch->cache->host, r->ids, s->n_tokens * sizeof *ids);
    if (ids == NULL)
        return 0;
    memcpy(ids, s->tokens, s->n_tokens * sizeof *ids);
    r->ids = ids;
    r->n_ids = s->n_tokens;
    if (r->sums != NULL) /* all over again */
        memset(r->sums, 0, r->batch->cache->model->config.d_model * sizeof *r->sums);
    slm_request_leave(r, keeps);
    slm_request_move(r, SLM_IN_WAITING);
    r->batch->info.n_preempted++;
    return 1;
}

void slm_request_fail(slm_request *r, const slm_error *error, int keeps) {
    slm_request_leave(r, keeps);
    if (r->list == SLM_IN_WAITING)
        slm_request_move(r, SLM_IN_ACTIVE);
    r->error = *error;
    r->has_ended = 1;
    r->n_events = r->next_event = 0;
    slm_batch_event *e = slm_request_event(r, SLM_BATCH_FAILED);
    e->status = error->status;
    e->text = r->error.message;
    e->text_len = strlen(r->error.message);
}

void slm_request_check_cancelled(slm_request *r) {
    slm_error error = SLM_ERROR_INIT;
    if (r->has_ended || !atomic_load(&r->cancelled))
        return;
    slm_fail(&error, SLM_ERR_CANCEL, NULL, SLM_NO_OFFSET, "the request was cancelled");
    slm_request_fail(r, &error, 1);
}
