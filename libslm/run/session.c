#include "run/state.h"

#include "base/file.h"
#include "base/threads.h"

#include <string.h>

static slm_seq *seq_of(const slm_session *s) { return &s->cache->seqs[s->slot]; }

/* Whatever a step that failed has left of its state goes, too, even where it was the first. */
void slm_session_give_up(slm_session *s) {
    slm_state_truncate(s, 0);
    if (s->cache->model->n_scans > 0)
        slm_cache_copy_state(s->cache, seq_of(s)->recurrent, NULL);
}

void slm_cache_give_up(slm_cache *c) {
    for (uint32_t i = 0; i < c->options.max_sessions; i++)
        slm_session_give_up(&c->sessions[i]);
}

/* Makes what is valid agree with a length of n_total tokens: the LongRoPE factors that this length
 * calls for, and the keys of the window. Returns why anything was given up. */
static slm_reuse_stop settle(slm_session *s, uint32_t n_total) {
    const slm_model *m = s->cache->model;
    slm_seq *seq = seq_of(s);
    if (m->inv_freq[1] != NULL && s->rope_auto) {
        uint8_t rope_long = n_total > m->config.n_ctx_original;
        if (rope_long != seq->rope_long) {
            uint32_t had = s->n_valid;
            slm_session_give_up(s);
            seq->rope_long = rope_long;
            if (had > 0)
                return SLM_REUSE_ROPE;
        }
    }
    if (s->n_valid > 0 && !slm_state_is_whole(s)) {
        slm_session_give_up(s);
        return SLM_REUSE_WINDOW;
    }
    return SLM_REUSE_ALL;
}

/* Takes tokens back; keeps the logits flag as it is. */
static void roll_back(slm_session *s, uint32_t n) {
    s->n_tokens = n;
    if (s->n_seen > n)
        s->n_seen = n;
    slm_state_truncate(s, s->n_valid < n ? s->n_valid : n);
}

/* None of the session's logits are at hand any more. */
static void forget_logits(slm_session *s) {
    s->has_last = 0;
    s->n_all_logits = 0;
    s->rows_lost = 0;
}

void slm_session_cut(slm_session *s, uint32_t n) {
    if (n < s->n_tokens)
        forget_logits(s);
    roll_back(s, n);
}

void slm_session_append(slm_session *s, const int32_t *ids, uint32_t n) {
    memcpy(s->tokens + s->n_tokens, ids, n * sizeof *ids);
    s->n_tokens += n;
    forget_logits(s);
}

void slm_session_push(slm_session *s, int32_t id) { slm_session_append(s, &id, 1); }

/* ---------------------------------------------------------------- evaluation ----------------- */

/* Beside SLM_LOGITS_...: of the last token before the item's, and of all of these. */
#define LOGITS_AHEAD 3

static int takes_shared_rows(const slm_eval_item *item) {
    return item->logits == SLM_LOGITS_ALL || item->logits == LOGITS_AHEAD;
}

static slm_status check_items(slm_cache *c, const slm_eval_item *items, size_t n_items,
                              slm_error *error) {
    uint32_t n_vocab = c->model->config.n_vocab;
    size_t n_all = 0;
    for (size_t i = 0; i < n_items; i++) {
        const slm_eval_item *it = &items[i];
        const slm_session *s = it->session;
        for (size_t j = 0; j < i; j++)
            if (items[j].session == s)
                return slm_fail(error, SLM_ERR_ARG, "session", SLM_NO_OFFSET,
                                "items %zu and %zu are the same session, wanted each once", j, i);
        if (it->n > c->options.n_ctx - s->n_tokens)
            return slm_fail(error, SLM_ERR_CTX, "n_ctx", SLM_NO_OFFSET,
                            "the context of %u tokens is full: it holds %u and got %zu more",
                            c->options.n_ctx, s->n_tokens, it->n);
        for (size_t j = 0; j < it->n; j++)
            if (it->ids[j] < 0 || (uint32_t)it->ids[j] >= n_vocab)
                return slm_fail(error, SLM_ERR_RANGE, "ids", SLM_NO_OFFSET,
                                "token %zu: got id %d, wanted 0 to %u", j, it->ids[j], n_vocab - 1);
        if (takes_shared_rows(it))
            n_all += it->n;
    }
    if (n_all > c->options.max_logits)
        return slm_fail(error, SLM_ERR_RANGE, "max_logits", SLM_NO_OFFSET,
                        "got %zu rows that want logits, wanted at most max_logits = %u", n_all,
                        c->options.max_logits);
    return SLM_OK;
}

/* Where the session's rows of a step end at most: recurrent state that is evaluated again stops where
 * the new tokens begin, so that it need not be from there. */
static uint32_t end_of_rows(const slm_session *s) {
    const slm_cache *c = s->cache;
    uint32_t before = c->n_before[s->slot];
    return c->model->n_scans > 0 && s->n_valid < before ? before : s->n_tokens;
}

/* Rows of one step: what is pending, in the order of the items, as many as may be at a time. */
static uint32_t gather(slm_cache *c, const slm_eval_item *items, size_t n_items,
                       uint32_t *n_logits) {
    uint32_t n = 0, all_row = c->options.max_sessions, most = slm_pace_rows(&c->pace);
    if (most < n_items) /* one of each session costs hardly more than one */
        most = n_items < c->options.max_rows ? (uint32_t)n_items : c->options.max_rows;
    *n_logits = 0;
    for (size_t i = 0; i < n_items; i++) {
        const slm_session *s = items[i].session;
        uint32_t before = c->n_before[s->slot];
        for (uint32_t p = s->n_valid; p < end_of_rows(s) && n < most; p++, n++) {
            slm_row *row = &c->rows[n];
            *row = (slm_row){s->tokens[p], s->slot, p, SLM_NO_LOGITS};
            if (takes_shared_rows(&items[i]) && p >= before)
                row->logits_row = all_row + (p - before);
            else if ((items[i].logits == SLM_LOGITS_LAST && p + 1 == s->n_tokens) ||
                     (items[i].logits == LOGITS_AHEAD && p + 1 == before))
                row->logits_row = s->slot;
            *n_logits += row->logits_row != SLM_NO_LOGITS;
        }
        if (takes_shared_rows(&items[i]))
            all_row += (uint32_t)items[i].n;
    }
    return n;
}

static slm_status take_pages(slm_cache *c, uint32_t n_rows, slm_error *error) {
    for (uint32_t i = 0, j; i < n_rows; i = j) {
        uint32_t slot = c->rows[i].slot, first = c->rows[i].position;
        for (j = i; j < n_rows && c->rows[j].slot == slot; j++)
            ;
        SLM_TRY(slm_state_make_room(&c->sessions[slot], first + (j - i), error));
    }
    return SLM_OK;
}

/* Pages for the gathered rows, [first, last) of each session being one run of rows. What drafts of
 * others hold is given up for them: these are evaluated again, should they have been right. */
static slm_status make_room(slm_cache *c, uint32_t n_rows, slm_error *error) {
    slm_error why = SLM_ERROR_INIT;
    if (take_pages(c, n_rows, &why) == SLM_OK)
        return SLM_OK;
    c->rows_stamp++;
    for (uint32_t i = 0; i < c->options.max_sessions; i++)
        if (c->sessions[i].is_open)
            slm_state_truncate(&c->sessions[i], c->sessions[i].n_valid);
    return take_pages(c, n_rows, error);
}

static void finish_step(slm_cache *c, uint32_t n_rows) {
    for (uint32_t i = 0, j; i < n_rows; i = j) {
        uint32_t slot = c->rows[i].slot, first = c->rows[i].position;
        slm_session *s = &c->sessions[slot];
        for (j = i; j < n_rows && c->rows[j].slot == slot; j++)
            s->n_reevaluated += c->rows[j].position < s->n_seen;
        s->n_evaluated += j - i;
        s->n_valid = first + (j - i);
        if (s->n_seen < s->n_valid)
            s->n_seen = s->n_valid;
        slm_state_advance(s, first);
        if (s->n_valid == c->n_before[slot] && s->n_valid < s->n_tokens)
            slm_state_mark(s);
    }
}

/* Before a step writes rows of logits: whoever had them has them no more, come what may. */
static void release_rows(slm_cache *c, uint32_t n_rows) {
    int shared = 0;
    for (uint32_t i = 0; i < n_rows; i++) {
        uint32_t row = c->rows[i].logits_row;
        if (row == c->rows[i].slot)
            c->sessions[row].has_last = 0;
        else if (row != SLM_NO_LOGITS && row != SLM_HIDDEN)
            shared = 1;
    }
    c->rows_stamp += (uint64_t)shared;
    for (uint32_t i = 0; shared && i < c->options.max_sessions; i++) {
        slm_session *s = &c->sessions[i];
        s->rows_lost |= s->n_all_logits > 0;
        s->n_all_logits = 0;
    }
}

static int is_finite_row(const slm_cache *c, const slm_row *row) {
    size_t n_vocab = c->model->config.n_vocab;
    slm_best best;
    if (row->logits_row == SLM_NO_LOGITS || row->logits_row == SLM_HIDDEN)
        return 1;
    if (row->logits_row == row->slot && slm_cache_best(c, row->slot, &best))
        return best.is_finite;
    const float *x = c->logits + row->logits_row * n_vocab;
    uint32_t odd = 0; /* an exponent of all ones: infinity or NaN */
    for (size_t j = 0; j < n_vocab; j++) {
        uint32_t bits;
        memcpy(&bits, &x[j], sizeof bits);
        odd |= (bits & 0x7f800000u) + 0x00800000u;
    }
    return !(odd & 0x80000000u);
}

static int all_finite(const slm_cache *c, uint32_t n_rows) {
    for (uint32_t i = 0; i < n_rows; i++)
        if (!is_finite_row(c, &c->rows[i]))
            return 0;
    return 1;
}

slm_status slm_cache_yield(const slm_cache *c, uint64_t done, uint64_t total, slm_error *error) {
    const slm_cache_options *o = &c->options;
    if (o->yield == NULL || done == 0 || o->yield(o->yield_user, done, total) == 0)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_CANCEL, NULL, SLM_NO_OFFSET,
                    "the evaluation was stopped at %llu of %llu tokens", (unsigned long long)done,
                    (unsigned long long)total);
}

slm_status slm_session_check_cancelled(slm_session *s, slm_error *error) {
    if (!atomic_exchange(&s->cancelled, 0))
        return SLM_OK;
    return slm_fail(error, SLM_ERR_CANCEL, NULL, SLM_NO_OFFSET, "the evaluation was cancelled");
}

static slm_status run_steps(slm_cache *c, const slm_eval_item *items, size_t n_items,
                            slm_error *error) {
    slm_step step = {c->rows, 0, 0, 0};
    uint64_t done = 0, total = 0;
    for (size_t i = 0; i < n_items; i++)
        total += items[i].session->n_tokens - items[i].session->n_valid;
    while ((step.n_rows = gather(c, items, n_items, &step.n_logits)) > 0) {
        SLM_TRY(slm_cache_yield(c, done, total, error));
        for (size_t i = 0; i < n_items; i++)
            SLM_TRY(slm_session_check_cancelled(items[i].session, error));
        SLM_TRY(make_room(c, step.n_rows, error));
        release_rows(c, step.n_rows);
        uint64_t began = slm_now_ns();
        slm_status status = slm_cache_step(c, &step, error);
        if (status != SLM_OK) {
            slm_cache_give_up(c);
            return status;
        }
        slm_pace_learn(&c->pace, step.n_rows, slm_now_ns() - began);
        finish_step(c, step.n_rows);
        done += step.n_rows;
        if (!all_finite(c, step.n_rows))
            return slm_fail(error, SLM_ERR_NUMERIC, NULL, SLM_NO_OFFSET,
                            "the model gave logits that are not finite numbers");
    }
    return SLM_OK;
}

slm_status slm_session_run(slm_cache *c, const slm_eval_item *items, size_t n_items,
                           slm_error *error) {
    SLM_TRY(check_items(c, items, n_items, error));
    for (size_t i = 0; i < n_items; i++) {
        slm_session *s = items[i].session;
        c->n_before[s->slot] = s->n_tokens;
        if (items[i].n > 1 && s->n_valid == s->n_tokens)
            slm_state_mark(s); /* a turn begins */
        if (items[i].n > 0)
            memcpy(s->tokens + s->n_tokens, items[i].ids, items[i].n * sizeof *s->tokens);
        s->n_tokens += (uint32_t)items[i].n;
        if (items[i].logits == SLM_LOGITS_LAST && items[i].n == 0 && !s->has_last &&
            s->n_valid > 0 && s->n_valid == s->n_tokens)
            slm_state_truncate(s, s->n_valid - 1); /* its logits were not kept: once more */
        s->gave_up = (uint8_t)settle(s, s->n_tokens);
    }
    slm_status status = run_steps(c, items, n_items, error);
    if (status != SLM_OK) {
        for (size_t i = 0; i < n_items; i++)
            roll_back(items[i].session, c->n_before[items[i].session->slot]);
        return status;
    }
    uint32_t all_row = c->options.max_sessions;
    for (size_t i = 0; i < n_items; i++) {
        slm_session *s = items[i].session;
        if (items[i].n > 1)
            slm_state_mark(s);
        if (items[i].n > 0)
            forget_logits(s);
        if (items[i].logits == SLM_LOGITS_LAST) {
            s->n_all_logits = 0;
            s->rows_lost = 0;
            s->has_last = s->n_tokens > 0;
        } else if (items[i].logits == SLM_LOGITS_ALL && items[i].n > 0) {
            s->n_all_logits = (uint32_t)items[i].n;
            s->first_all_logits = all_row;
            all_row += s->n_all_logits;
            slm_cache_copy_row(c, s->slot, all_row - 1);
            s->has_last = 1;
        }
    }
    return SLM_OK;
}

slm_status slm_session_run_ahead(slm_session *s, const int32_t *ids, uint32_t n, uint32_t *row,
                                 slm_error *error) {
    uint32_t n_tokens = s->n_tokens, n_valid = s->n_valid, n_seen = s->n_seen;
    slm_eval_item item = {sizeof item, LOGITS_AHEAD, s, ids, n};
    slm_status status = slm_session_run(s->cache, &item, 1, error);
    if (status != SLM_OK) { /* as if it had not been tried */
        slm_state_truncate(s, s->n_valid < n_valid ? s->n_valid : n_valid);
        s->n_seen = s->n_seen < n_seen ? s->n_seen : n_seen;
        return status;
    }
    s->n_tokens = s->n_valid = n_tokens;
    s->n_seen = n_seen > n_tokens ? n_seen : n_tokens;
    s->has_last = 1;
    *row = s->cache->options.max_sessions;
    return SLM_OK;
}

void slm_session_confirm(slm_session *s) {
    if (s->n_seen < ++s->n_valid)
        s->n_seen = s->n_valid;
}

slm_status slm_session_keep(slm_session *s, slm_error *error) {
    if (s->cache->model->n_scans == 0)
        return SLM_OK;
    slm_eval_item item = {sizeof item, SLM_LOGITS_NONE, s, NULL, 0};
    if (s->n_valid < s->n_tokens)
        SLM_TRY(slm_session_run(s->cache, &item, 1, error));
    slm_state_keep(s);
    return SLM_OK;
}

/* ---------------------------------------------------------------- steps of others ----------- */

uint32_t slm_session_pending(slm_session *s) {
    slm_reuse_stop stop = settle(s, s->n_tokens);
    if (stop != SLM_REUSE_ALL)
        s->gave_up = (uint8_t)stop;
    return s->n_tokens - s->n_valid;
}

/* What a row of a part gives. */
static uint32_t give_of(const slm_part *part, uint32_t position) {
    const slm_session *s = part->session;
    if (part->want == SLM_WANT_ALL_HIDDEN)
        return SLM_HIDDEN;
    if (position + 1 < s->n_tokens)
        return SLM_NO_LOGITS;
    return part->want == SLM_WANT_HIDDEN ? SLM_HIDDEN : s->slot;
}

static void gather_parts(slm_cache *c, const slm_part *parts, size_t n_parts, slm_step *step) {
    for (size_t i = 0; i < n_parts; i++) {
        const slm_session *s = parts[i].session;
        c->n_before[s->slot] = s->n_tokens;
        for (uint32_t p = s->n_valid; p < s->n_valid + parts[i].n_rows; p++) {
            uint32_t give = give_of(&parts[i], p);
            c->rows[step->n_rows++] = (slm_row){s->tokens[p], s->slot, p, give};
            step->n_logits += give != SLM_NO_LOGITS;
            step->n_hidden += give == SLM_HIDDEN;
        }
    }
}

slm_status slm_session_advance(slm_cache *c, slm_part *parts, size_t n_parts, slm_error *error) {
    slm_step step = {c->rows, 0, 0, 0};
    gather_parts(c, parts, n_parts, &step);
    release_rows(c, step.n_rows);
    slm_status status = slm_cache_step(c, &step, error);
    if (status != SLM_OK) {
        slm_cache_give_up(c);
        return status;
    }
    finish_step(c, step.n_rows);
    uint32_t at = 0, hidden = step.n_logits - step.n_hidden;
    for (size_t i = 0; i < n_parts; i++) {
        slm_part *part = &parts[i];
        slm_session *s = part->session;
        int is_done = s->n_valid == s->n_tokens;
        at += part->n_rows;
        part->status = is_finite_row(c, &c->rows[at - 1]) ? SLM_OK : SLM_ERR_NUMERIC;
        part->n_hidden = part->want == SLM_WANT_ALL_HIDDEN ? part->n_rows
                         : part->want == SLM_WANT_HIDDEN   ? (uint32_t)is_done
                                                           : 0;
        part->hidden = part->n_hidden == 0 ? NULL
                                           : c->cpu.x + (size_t)hidden * c->model->config.d_model;
        hidden += part->n_hidden;
        s->has_last = is_done && part->want == SLM_WANT_LOGITS && part->status == SLM_OK;
        if (is_done && part->n_rows > 1)
            slm_state_mark(s); /* a prompt ends */
    }
    return SLM_OK;
}

slm_status slm_session_check_prompt(const slm_cache *c, const int32_t *ids, size_t n,
                                    slm_error *error) {
    if (n > c->options.n_ctx)
        return slm_fail(error, SLM_ERR_CTX, "n_ctx", SLM_NO_OFFSET,
                        "got a prompt of %zu tokens, wanted at most the context of %u", n,
                        c->options.n_ctx);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= c->model->config.n_vocab)
            return slm_fail(error, SLM_ERR_RANGE, "ids", SLM_NO_OFFSET,
                            "token %zu: got id %d, wanted 0 to %u", i, ids[i],
                            c->model->config.n_vocab - 1);
    return SLM_OK;
}

slm_status slm_session_set_prompt(slm_session *s, const int32_t *ids, size_t n,
                                  slm_prompt_report *report, slm_error *error) {
    slm_cache *c = s->cache;
    SLM_TRY(slm_session_check_prompt(c, ids, n, error)); /* before anything is given up */
    uint32_t n_ids = (uint32_t)n, common = 0;
    while (common < n_ids && common < s->n_tokens && s->tokens[common] == ids[common])
        common++;
    report->reuse_stop = common < s->n_tokens && common < n_ids ? SLM_REUSE_TOKEN : SLM_REUSE_ALL;
    if (common == n_ids && s->n_tokens == n_ids && s->n_valid == n_ids && s->has_last) {
        report->n_reused = n_ids;
        report->n_evaluated = 0;
        return SLM_OK;
    }
    uint32_t keep = common < n_ids ? common : n_ids - 1; /* the last one must give logits */
    slm_session_cut(s, keep);
    slm_reuse_stop stop = settle(s, n_ids);
    if (stop != SLM_REUSE_ALL)
        report->reuse_stop = stop;
    report->n_reused = s->n_valid;
    report->n_evaluated = n_ids - s->n_valid;
    slm_eval_item item = {sizeof item, SLM_LOGITS_LAST, s, ids + keep, n_ids - keep};
    return slm_session_run(c, &item, 1, error);
}

static slm_status fetch_row(slm_cache *c, uint32_t row, slm_error *error) {
    slm_status status = slm_cache_fetch(c, row, error);
    if (status != SLM_OK)
        slm_cache_give_up(c);
    return status;
}

slm_status slm_session_last_logits(const slm_session *s, const float **logits, slm_error *error) {
    slm_cache *c = s->cache;
    SLM_TRY(fetch_row(c, s->slot, error));
    *logits = c->logits + (size_t)s->slot * c->model->config.n_vocab;
    return SLM_OK;
}

slm_status slm_session_logits_row(const slm_session *s, size_t row, const float **logits,
                                  slm_error *error) {
    const slm_cache *c = s->cache;
    if (s->n_all_logits == 0 && !s->rows_lost && row == 0 && s->has_last)
        return slm_session_last_logits(s, logits, error);
    if (row >= s->n_all_logits)
        return slm_fail(error, SLM_ERR_RANGE, "row", SLM_NO_OFFSET,
                        "slm_session_get_logits: got row %zu, but the session holds %u rows of "
                        "logits", row, s->n_all_logits > 0 ? s->n_all_logits : s->has_last);
    *logits = c->logits + (s->first_all_logits + row) * c->model->config.n_vocab;
    return SLM_OK;
}

/* ---------------------------------------------------------------- life ----------------------- */

static slm_status take_slot(slm_cache *c, slm_session **out, slm_error *error) {
    for (uint32_t i = 0; i < c->options.max_sessions; i++) {
        slm_session *s = &c->sessions[i];
        if (s->is_open)
            continue;
        int32_t *tokens = s->tokens;
        uint32_t *checkpoints = s->checkpoints;
        memset(s, 0, sizeof *s);
        s->cache = c;
        s->slot = i;
        s->tokens = tokens;
        s->checkpoints = checkpoints;
        s->is_open = 1;
        c->n_open++;
        *out = s;
        return SLM_OK;
    }
    return slm_fail(error, SLM_ERR_LIMIT, "max_sessions", SLM_NO_OFFSET,
                    "the cache has %u sessions open, as many as max_sessions allows",
                    c->options.max_sessions);
}

slm_status slm_session_create(slm_cache *c, slm_rope_factors rope, slm_session **out,
                              slm_error *error) {
    if (rope == SLM_ROPE_AUTO)
        rope = c->options.rope_factors;
    SLM_TRY(take_slot(c, out, error));
    (*out)->rope_auto = rope == SLM_ROPE_AUTO;
    seq_of(*out)->rope_long = rope == SLM_ROPE_LONG && c->model->inv_freq[1] != NULL;
    return SLM_OK;
}

slm_status slm_session_copy(slm_session *s, slm_session **out, slm_error *error) {
    slm_cache *c = s->cache;
    slm_session *f = NULL;
    if (s->has_last)
        SLM_TRY(fetch_row(c, s->slot, error));
    SLM_TRY(take_slot(c, &f, error));
    f->rope_auto = s->rope_auto;
    f->n_tokens = s->n_tokens;
    f->n_seen = s->n_seen;
    f->has_last = s->has_last;
    memcpy(f->tokens, s->tokens, s->n_tokens * sizeof *s->tokens);
    seq_of(f)->rope_long = seq_of(s)->rope_long;
    slm_state_fork(s, f);
    if (s->has_last)
        slm_cache_copy_row(c, f->slot, s->slot);
    *out = f;
    return SLM_OK;
}

void slm_session_share(const slm_session *from, slm_session *to, uint32_t n) {
    to->rope_auto = from->rope_auto;
    to->n_tokens = to->n_seen = from->n_tokens;
    memcpy(to->tokens, from->tokens, from->n_tokens * sizeof *from->tokens);
    seq_of(to)->rope_long = seq_of(from)->rope_long;
    slm_state_fork(from, to);
    slm_session_cut(to, n);
}

void slm_session_destroy(slm_session *s) {
    slm_cache *c = s->cache;
    roll_back(s, 0);
    s->is_open = 0;
    c->n_open--;
    if (c->is_closed && c->n_open == 0)
        slm_cache_drop(c);
}

slm_status slm_session_check_free(const slm_session *s, slm_error *error) {
    if (s->generator == NULL)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_BUSY, "session", SLM_NO_OFFSET,
                    "the session has a generator open: end it first");
}
