/* Who takes part in a step.
 *
 * Every answer that runs has its next token in every step. What rows the step can have beyond that, by
 * time or by number, are of prompts: those of the highest priority first, and among equals one half for
 * the oldest, so that it ends, the other for the one with the fewest tokens left, so that short prompts
 * are not kept up by long ones. */
#include "batch/batch.h"

#include "base/file.h"
#include "run/state.h"

/* More pending tokens than a guide forces at a time are evaluated like a prompt. */
#define MAX_BURST 64u

/* ---- who has a place -------------------------------------------------------------------------- */

/* Of those with a place, the one that comes last in order, but for one. */
static slm_request *last_running(const slm_batch *b, const slm_request *but) {
    slm_request *last = NULL;
    for (slm_request *r = b->active.first; r != NULL; r = r->after)
        if (r->place != NULL && r != but && (last == NULL || slm_request_precedes(last, r)))
            last = r;
    return last;
}

/* One of lower priority makes way. 0: there is none. */
static int make_way(slm_batch *b, const slm_request *r, int keeps) {
    slm_request *last = last_running(b, NULL);
    return last != NULL && last->priority < r->priority && slm_request_park(last, keeps);
}

static void admit(slm_batch *b) {
    for (slm_request *r = b->waiting.first, *after; r != NULL; r = after) {
        if (b->n_running == b->options.max_running && !make_way(b, r, 1))
            return;
        slm_taken taken = slm_places_take(b, r);
        while (taken == SLM_NO_PAGES && make_way(b, r, 0))
            taken = slm_places_take(b, r);
        after = r->after; /* who made way may be next */
        if (taken == SLM_NO_PAGES)
            return;
        if (taken == SLM_TAKEN)
            slm_request_move(r, SLM_IN_ACTIVE);
    }
}

/* ---- who has how many rows -------------------------------------------------------------------- */

static int is_decoding(const slm_batch_part *part) {
    return part->request->is_decoding && part->pending <= MAX_BURST;
}

/* Those that wait for a step, with what is pending. */
static uint32_t collect(slm_batch *b) {
    uint32_t n = 0;
    for (slm_request *r = b->active.first; r != NULL; r = r->after)
        if (r->place != NULL && r->waits)
            b->parts[n++] = (slm_batch_part){r, slm_session_pending(slm_request_session(r)), 0};
    return n;
}

/* Gives every running answer a row, and those that have more to go on with as many as there are up to
 * most. Returns how many they have. */
static uint32_t share_decoding(slm_batch *b, uint32_t n_parts, uint32_t most) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_parts; i++)
        if (is_decoding(&b->parts[i]))
            n += b->parts[i].n_rows = 1;
    for (uint32_t i = 0; i < n_parts; i++) {
        slm_batch_part *part = &b->parts[i];
        if (!is_decoding(part))
            continue;
        uint32_t more = part->pending - 1 < most - n ? part->pending - 1 : most - n;
        part->n_rows += more;
        n += more;
    }
    return n;
}

/* Of the prompts that have not all of their rows yet, the first of the highest priority by age or by
 * what is left. */
static slm_batch_part *next_prompt(slm_batch *b, uint32_t n_parts, int by_age) {
    slm_batch_part *best = NULL;
    for (uint32_t i = 0; i < n_parts; i++) {
        slm_batch_part *part = &b->parts[i];
        if (is_decoding(part) || part->n_rows == part->pending)
            continue;
        const slm_request *r = part->request;
        int is_better = best == NULL || r->priority > best->request->priority;
        if (!is_better && r->priority == best->request->priority)
            is_better = by_age ? r->number < best->request->number : part->pending < best->pending;
        if (is_better)
            best = part;
    }
    return best;
}

static uint32_t give(slm_batch_part *part, uint32_t most) {
    uint32_t n = part->pending - part->n_rows < most ? part->pending - part->n_rows : most;
    part->n_rows += n;
    return n;
}

static void share_prompts(slm_batch *b, uint32_t n_parts, uint32_t n_rows) {
    for (slm_batch_part *part; n_rows > 0; ) {
        if ((part = next_prompt(b, n_parts, 1)) == NULL)
            return;
        int32_t level = part->request->priority;
        n_rows -= give(part, (n_rows + 1) / 2);
        while (n_rows > 0 && (part = next_prompt(b, n_parts, 0)) != NULL &&
               part->request->priority == level)
            n_rows -= give(part, n_rows);
    }
}

/* Rows of prompts beside n_decode rows of answers. */
static uint32_t prompt_rows(slm_batch *b, uint32_t n_decode) {
    const slm_batch_options *o = &b->options;
    const slm_cache_options *c = &b->cache->options;
    uint32_t room = c->max_rows - n_decode, n = room;
    uint32_t ms = n_decode > 0 ? o->stall_ms : c->chunk_ms;
    b->pace.limit_ns = ms == SLM_CHUNK_WHOLE || o->step_rows > 0 ? 0 : ms * 1e6;
    if (n_decode > 0 && o->step_rows > 0) {
        n = o->step_rows;
    } else if (b->pace.limit_ns > 0) {
        n = slm_pace_rows(&b->pace);
        n = n > n_decode + SLM_PACE_LEAST ? n - n_decode : SLM_PACE_LEAST;
    }
    return n < room ? n : room;
}

/* ---- pages ------------------------------------------------------------------------------------ */

static slm_batch_part *part_of(slm_batch *b, uint32_t n_parts, const slm_request *r) {
    for (uint32_t i = 0; i < n_parts; i++)
        if (b->parts[i].request == r)
            return &b->parts[i];
    return NULL;
}

/* Pages for a part. Where there are none left, whoever is last in order gives his; the last one himself
 * stands still, and alone he cannot go on. */
static void make_room(slm_batch *b, uint32_t n_parts, slm_batch_part *part) {
    slm_request *r = part->request;
    while (!slm_places_make_room(b, r, part->n_rows)) {
        slm_request *last = last_running(b, r);
        slm_batch_part *of_last = last != NULL ? part_of(b, n_parts, last) : NULL;
        if (last != NULL && slm_request_precedes(r, last) && slm_request_park(last, 0)) {
            if (of_last != NULL)
                of_last->n_rows = 0;
            continue;
        }
        part->n_rows = 0;
        if (last == NULL) {
            slm_error error = SLM_ERROR_INIT;
            slm_fail(&error, SLM_ERR_LIMIT, "n_cells", SLM_NO_OFFSET,
                     "the cache of %u tokens has no pages left for the request, which holds %u",
                     b->cache->options.n_cells, slm_request_session(r)->n_tokens);
            slm_request_fail(r, &error, 0);
        }
        return;
    }
}

/* In order, so that the first ones get what there is. */
static void make_all_room(slm_batch *b, uint32_t n_parts) {
    const slm_request *before = NULL;
    for (;;) {
        slm_batch_part *next = NULL;
        for (uint32_t i = 0; i < n_parts; i++) {
            slm_batch_part *part = &b->parts[i];
            if (part->n_rows > 0 &&
                (before == NULL || slm_request_precedes(before, part->request)) &&
                (next == NULL || slm_request_precedes(part->request, next->request)))
                next = part;
        }
        if (next == NULL)
            return;
        before = next->request;
        make_room(b, n_parts, next);
    }
}

/* ---- the step --------------------------------------------------------------------------------- */

/* Those that want hidden states come last. */
static uint32_t line_up(slm_batch *b, uint32_t n_parts) {
    uint32_t n = 0;
    for (int hidden = 0; hidden <= 1; hidden++)
        for (uint32_t i = 0; i < n_parts; i++) {
            const slm_request *r = b->parts[i].request;
            if (b->parts[i].n_rows == 0 || (r->kind == SLM_REQUEST_EMBED) != hidden)
                continue;
            slm_want want = SLM_WANT_LOGITS;
            if (hidden)
                slm_pool_want(r->pooling, &want, NULL);
            b->session_parts[n++] = (slm_part){.session = slm_request_session(r),
                                               .n_rows = b->parts[i].n_rows, .want = want};
        }
    return n;
}

/* What came of a request's part. */
static void take_part(slm_batch *b, const slm_part *part) {
    slm_session *s = part->session;
    slm_request *r = b->places[s->slot].request;
    if (part->status != SLM_OK) {
        slm_error error = SLM_ERROR_INIT;
        slm_fail(&error, SLM_ERR_NUMERIC, NULL, SLM_NO_OFFSET,
                 "the model gave logits that are not finite numbers");
        slm_request_fail(r, &error, 0);
        return;
    }
    if (r->sums != NULL)
        slm_pool_add(r->sums, part->hidden, part->n_hidden, b->cache->model->config.d_model);
    if (s->n_valid == s->n_tokens) {
        r->waits = 0;
        r->is_decoding = 1;
    }
}

static slm_status run_step(slm_batch *b, uint32_t n_parts, slm_batch_report *report,
                           slm_error *error) {
    uint64_t began = slm_now_ns();
    SLM_TRY(slm_session_advance(b->cache, b->session_parts, n_parts, error));
    report->ns = slm_now_ns() - began;
    for (uint32_t i = 0; i < n_parts; i++)
        report->n_rows += b->session_parts[i].n_rows;
    slm_pace_learn(&b->pace, report->n_rows, report->ns);
    b->info.n_steps++;
    b->info.n_evaluated += report->n_rows;
    b->info.step_ns += report->ns;
    if (report->n_decode > 0 && report->ns > b->info.longest_ns)
        b->info.longest_ns = report->ns;
    for (uint32_t i = 0; i < n_parts; i++)
        take_part(b, &b->session_parts[i]);
    return SLM_OK;
}

static void check_all_cancelled(slm_request_queue *q) {
    for (slm_request *r = q->first, *after; r != NULL; r = after) {
        after = r->after;
        slm_request_check_cancelled(r);
    }
}

slm_status slm_batch_run(slm_batch *b, slm_batch_report *report, slm_error *error) {
    slm_status status = SLM_OK;
    check_all_cancelled(&b->active);
    check_all_cancelled(&b->waiting);
    admit(b);
    uint32_t n = collect(b), n_decode = share_decoding(b, n, b->cache->options.max_rows -
                                                                 SLM_PACE_LEAST);
    share_prompts(b, n, prompt_rows(b, n_decode));
    make_all_room(b, n);
    for (uint32_t i = 0; i < n; i++)
        report->n_decode += is_decoding(&b->parts[i]) ? b->parts[i].n_rows : 0;
    if ((n = line_up(b, n)) > 0)
        status = run_step(b, n, report, error);
    report->n_open = b->waiting.n + b->active.n;
    report->n_running = b->n_running;
    return status;
}
