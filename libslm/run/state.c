#include "run/state.h"

#include <string.h>

static slm_seq *seq_of(const slm_session *s) { return &s->cache->seqs[s->slot]; }

/* ---------------------------------------------------------------- checkpoints ---------------- */

static void release(slm_session *s, uint32_t i) {
    slm_cache *c = s->cache;
    slm_checkpoint *p = slm_state_checkpoint(s, i);
    if (--p->n_refs == 0)
        for (uint32_t g = 0; g < c->model->n_groups; g++)
            if (c->model->groups[g].window != 0)
                slm_kv_truncate(&c->pools[g], &c->layout, &p->tables[g], 0);
    s->n_checkpoints--;
    memmove(&s->checkpoints[i], &s->checkpoints[i + 1],
            (s->n_checkpoints - i) * sizeof *s->checkpoints);
}

/* Which of the session's checkpoints, all in use, is missed least, of those that nobody asked for.
 * Without the i-th, going back to a place between its neighbours costs up to the distance of these. That
 * is compared with how far back the first of them is, so that the rest ends up close together at the
 * end and far apart before. */
static uint32_t least_missed(const slm_session *s) {
    uint64_t least_gap = 1, least_back = 0; /* more than any */
    uint32_t least = 0;
    for (uint32_t i = 0; i < s->n_checkpoints; i++) {
        if (s->checkpoints[i] & SLM_CHECKPOINT_KEPT)
            continue;
        uint32_t from = i == 0 ? 0 : slm_state_checkpoint(s, i - 1)->n;
        uint32_t to = i + 1 < s->n_checkpoints ? slm_state_checkpoint(s, i + 1)->n : s->n_valid;
        uint64_t gap = to - from, back = s->n_valid - from;
        if (gap * least_back < least_gap * back) {
            least_gap = gap;
            least_back = back;
            least = i;
        }
    }
    return least;
}

void slm_state_mark(slm_session *s) {
    slm_cache *c = s->cache;
    const slm_model *m = c->model;
    if (m->n_scans == 0 || s->n_valid == 0 ||
        (s->n_checkpoints > 0 && slm_state_checkpoint(s, s->n_checkpoints - 1)->n == s->n_valid))
        return;
    if (s->n_checkpoints == c->options.n_checkpoints)
        release(s, least_missed(s));
    uint32_t i = 0;
    while (c->checkpoints[i].n_refs > 0)
        i++;
    slm_checkpoint *p = &c->checkpoints[i];
    p->n = s->n_valid;
    p->n_refs = 1;
    slm_cache_copy_state(c, p->recurrent, seq_of(s)->recurrent);
    for (uint32_t g = 0; g < m->n_groups; g++)
        if (m->groups[g].window != 0)
            slm_kv_share(&c->pools[g], &seq_of(s)->tables[g], &p->tables[g]);
    s->checkpoints[s->n_checkpoints++] = i;
}

/* Of those that were asked for the oldest becomes like the others when there are too many. */
void slm_state_keep(slm_session *s) {
    uint32_t n_kept = 0, most = s->cache->options.n_checkpoints / 2;
    slm_state_mark(s);
    if (s->n_checkpoints == 0 || most == 0)
        return;
    s->checkpoints[s->n_checkpoints - 1] |= SLM_CHECKPOINT_KEPT;
    for (uint32_t i = s->n_checkpoints; i-- > 0;)
        if (s->checkpoints[i] & SLM_CHECKPOINT_KEPT && ++n_kept > most)
            s->checkpoints[i] &= ~SLM_CHECKPOINT_KEPT;
}

/* Recurrent state and window pages of the last checkpoint at or before n, or of the beginning. Returns
 * how many tokens that is. */
static uint32_t restore(slm_session *s, uint32_t n) {
    slm_cache *c = s->cache;
    const slm_model *m = c->model;
    while (s->n_checkpoints > 0 && slm_state_checkpoint(s, s->n_checkpoints - 1)->n > n)
        release(s, s->n_checkpoints - 1);
    const slm_checkpoint *p =
        s->n_checkpoints > 0 ? slm_state_checkpoint(s, s->n_checkpoints - 1) : NULL;
    for (uint32_t g = 0; g < m->n_groups; g++)
        if (m->groups[g].window != 0) {
            slm_kv_truncate(&c->pools[g], &c->layout, &seq_of(s)->tables[g], 0);
            if (p != NULL)
                slm_kv_share(&c->pools[g], &p->tables[g], &seq_of(s)->tables[g]);
        }
    slm_cache_copy_state(c, seq_of(s)->recurrent, p != NULL ? p->recurrent : NULL);
    return p != NULL ? p->n : 0;
}

/* ---------------------------------------------------------------- both ----------------------- */

slm_status slm_state_make_room(slm_session *s, uint32_t last, slm_error *error) {
    slm_cache *c = s->cache;
    for (uint32_t g = 0; g < c->model->n_groups; g++)
        if (!slm_kv_prepare(&c->pools[g], &c->layout, &seq_of(s)->tables[g], s->n_valid, last))
            return slm_fail(error, SLM_ERR_LIMIT, "n_cells", SLM_NO_OFFSET,
                            "all %u pages of the cache are in use; it was opened for %u tokens",
                            c->pools[g].n_pages, c->options.n_cells);
    return SLM_OK;
}

void slm_state_advance(slm_session *s, uint32_t before) {
    slm_cache *c = s->cache;
    for (uint32_t g = 0; g < c->model->n_groups; g++) {
        uint32_t keep = c->model->groups[g].window + slm_state_slack(c->model);
        if (c->model->groups[g].window != 0 && s->n_valid > keep)
            slm_kv_drop_before(&c->pools[g], &c->layout, &seq_of(s)->tables[g],
                               s->n_valid - keep);
    }
    if (before / SLM_CHECKPOINT_TOKENS != s->n_valid / SLM_CHECKPOINT_TOKENS)
        slm_state_mark(s);
}

void slm_state_truncate(slm_session *s, uint32_t n) {
    slm_cache *c = s->cache;
    if (n < s->n_valid && c->model->n_scans > 0)
        n = restore(s, n);
    for (uint32_t g = 0; g < c->model->n_groups; g++)
        slm_kv_truncate(&c->pools[g], &c->layout, &seq_of(s)->tables[g], n);
    s->n_valid = n;
}

/* Whether a row at position n finds all the keys it may look at. */
static int is_whole_at(const slm_session *s, uint32_t n) {
    const slm_cache *c = s->cache;
    for (uint32_t g = 0; g < c->model->n_groups; g++) {
        uint32_t window = c->model->groups[g].window;
        uint32_t first = window != 0 && n >= window ? n + 1 - window : 0;
        const slm_kv_table *table = &seq_of(s)->tables[g];
        if (n > first &&
            (table->begin == table->end || table->begin > first >> c->layout.page_shift))
            return 0;
    }
    return 1;
}

int slm_state_is_whole(const slm_session *s) { return is_whole_at(s, s->n_valid); }

uint32_t slm_state_reach(const slm_session *s, uint32_t n) {
    if (n >= s->n_valid)
        n = s->n_valid;
    else if (s->cache->model->n_scans > 0) {
        uint32_t i = s->n_checkpoints;
        while (i > 0 && slm_state_checkpoint(s, i - 1)->n > n)
            i--;
        return i > 0 ? slm_state_checkpoint(s, i - 1)->n : 0; /* which has its windows */
    }
    return is_whole_at(s, n) ? n : 0;
}

void slm_state_fork(const slm_session *from, slm_session *to) {
    slm_cache *c = from->cache;
    to->n_valid = from->n_valid;
    for (uint32_t g = 0; g < c->model->n_groups; g++)
        slm_kv_share(&c->pools[g], &seq_of(from)->tables[g], &seq_of(to)->tables[g]);
    if (c->model->n_scans == 0)
        return;
    slm_cache_copy_state(c, seq_of(to)->recurrent, seq_of(from)->recurrent);
    to->n_checkpoints = from->n_checkpoints;
    for (uint32_t i = 0; i < from->n_checkpoints; i++) {
        to->checkpoints[i] = from->checkpoints[i];
        slm_state_checkpoint(to, i)->n_refs++;
    }
}
