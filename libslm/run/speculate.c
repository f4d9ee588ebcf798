#include "run/speculate.h"

#include "run/state.h"

#include <string.h>

void slm_drafts_init(slm_drafts *d, uint32_t most) {
    memset(d, 0, sizeof *d);
    d->most = d->bound = most;
    d->match = 1;
}

/* How many of the tokens before `at` are those before n, at most SLM_DRAFT_MATCH. */
static uint32_t agreement(const int32_t *tokens, uint32_t n, uint32_t at) {
    uint32_t k = 0;
    while (k < SLM_DRAFT_MATCH && k < at && tokens[at - 1 - k] == tokens[n - 1 - k])
        k++;
    return k;
}

uint32_t slm_drafts_look_up(int32_t *tokens, uint32_t n, uint32_t match, uint32_t most) {
    uint32_t best = 0, from = 0;
    for (uint32_t at = n; --at > 0 && best < SLM_DRAFT_MATCH;) {
        if (tokens[at - 1] != tokens[n - 1])
            continue;
        uint32_t k = agreement(tokens, n, at);
        if (k > best) {
            best = k;
            from = at;
        }
    }
    if (best == 0 || best < match)
        return 0;
    for (uint32_t i = 0; i < most; i++) /* a short period goes on over its own copies */
        tokens[n + i] = tokens[from + i];
    return most;
}

uint32_t slm_drafts_room(const slm_drafts *d, const slm_session *s) {
    const slm_cache *c = s->cache;
    const slm_config *config = &c->model->config;
    uint32_t room = c->options.n_ctx - s->n_tokens;
    /* Recurrent state cannot go back. */
    if (c->model->n_scans > 0)
        return 0;
    /* Keys that have to be computed again are, without drafts. */
    if (!slm_state_is_whole(s))
        return 0;
    if (c->model->inv_freq[1] != NULL && s->rope_auto) {
        int is_long = s->n_tokens > config->n_ctx_original;
        if (is_long != c->seqs[s->slot].rope_long)
            return 0;
        /* The factors of LongRoPE follow the length that the session has without drafts. */
        if (!is_long && config->n_ctx_original - s->n_tokens < room)
            room = config->n_ctx_original - s->n_tokens;
    }
    /* One step for all: between two there would be turns of others, and the pending ones' logits
     * could be lost. */
    uint32_t pending = s->n_tokens - s->n_valid, rows = slm_pace_rows(&c->pace);
    if (pending >= rows)
        return 0;
    room = rows - pending < room ? rows - pending : room;
    return d->most < room ? d->most : room;
}

/* Drafts end before a token that ends the answer: nothing comes behind it. */
static uint32_t before_end(const slm_session *s, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (slm_vocab_is_end(s->cache->model->vocab, s->tokens[s->n_tokens + i]))
            return i;
    return n;
}

slm_status slm_drafts_run(slm_drafts *d, slm_session *s, uint32_t n_given, uint32_t room,
                          int *evaluated, slm_error *error) {
    uint32_t bound = d->bound < room ? d->bound : room, n = n_given;
    slm_error why = SLM_ERROR_INIT;
    *evaluated = 0;
    if (n < bound)
        n += slm_drafts_look_up(s->tokens, s->n_tokens + n, d->match, bound - n);
    n = before_end(s, n);
    if (n == 0)
        return SLM_OK;
    memcpy(d->ids, s->tokens + s->n_tokens, n * sizeof *d->ids);
    slm_status status = slm_session_run_ahead(s, d->ids, n, &d->row, &why);
    if (status == SLM_ERR_LIMIT || status == SLM_ERR_NUMERIC)
        return SLM_OK; /* it may be the drafts': without them it shows */
    if (status != SLM_OK)
        return slm_fail(error, status, why.subject, why.offset, "%s", why.message);
    d->n = n;
    d->n_used = 0;
    d->n_made += n;
    d->rows_stamp = s->cache->rows_stamp;
    *evaluated = 1;
    return SLM_OK;
}

/* One right draft is worth more than a wrong one costs, but where all of them are wrong, longer
 * agreement is wanted before the next is made. */
static void learn(slm_drafts *d) {
    if (d->n_used == 0) {
        d->match += d->match < SLM_DRAFT_MATCH / 2;
        d->bound = d->bound > 3 ? d->bound / 2 : d->bound;
    } else {
        d->match -= d->match > 1;
        if (d->n_used == d->n)
            d->bound = 2 * d->bound < d->most ? 2 * d->bound : d->most;
    }
}

void slm_drafts_forget(slm_drafts *d, slm_session *s) {
    if (d->n == 0)
        return;
    learn(d);
    d->n = d->n_used = 0;
    slm_state_truncate(s, s->n_valid);
}

int slm_drafts_confirm(slm_drafts *d, slm_session *s, uint32_t *row) {
    if (d->n == 0)
        return 0;
    /* Somebody else's logits lie there now, or a device failed and nothing is valid. */
    int is_there = d->rows_stamp == s->cache->rows_stamp && s->n_valid > 0;
    while (is_there && s->n_valid < s->n_tokens && d->n_used < d->n &&
           s->tokens[s->n_valid] == d->ids[d->n_used]) {
        slm_session_confirm(s);
        d->n_used++;
    }
    if (is_there && s->n_valid == s->n_tokens && d->n_used > 0) {
        *row = d->row + d->n_used - 1;
        return 1;
    }
    slm_drafts_forget(d, s);
    return 0;
}

void slm_drafts_keep(slm_drafts *d, slm_session *s) {
    uint32_t row;
    if (s->n_valid == s->n_tokens && slm_drafts_confirm(d, s, &row)) { /* nothing is pending */
        slm_cache_copy_row(s->cache, s->slot, row);
        s->has_last = 1;
    }
    slm_drafts_forget(d, s);
}
