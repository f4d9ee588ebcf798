#include "batch/batch.h"
#include "run/state.h"

#include <string.h>

void slm_place_clear(slm_place *p) {
    slm_session_cut(p->session, 0);
    p->used = 0;
}

/* ---- prefixes --------------------------------------------------------------------------------- */

/* Tokens from the beginning on that a request and a session have in common. At least one of the request
 * is left, since its last token has to be evaluated. */
static uint32_t common(const slm_request *r, const slm_session *s) {
    uint32_t most = r->n_ids - 1 < s->n_tokens ? r->n_ids - 1 : s->n_tokens, n = 0;
    while (n < most && r->ids[n] == s->tokens[n])
        n++;
    return n;
}

/* The rotations of its keys are those that the request will have. */
static int fits_rope(const slm_batch *b, const slm_request *r, const slm_session *s) {
    const slm_model *m = b->cache->model;
    if (m->inv_freq[1] == NULL || !s->rope_auto)
        return 1;
    return b->cache->seqs[s->slot].rope_long == (r->n_ids > m->config.n_ctx_original);
}

/* The place whose session has the longest prefix of the request evaluated, and how long it is; *coming:
 * how long the longest is that one ahead of the request is about to have. */
static slm_place *find_prefix(const slm_batch *b, const slm_request *r, uint32_t *n,
                              uint32_t *coming) {
    slm_place *best = NULL;
    *n = *coming = 0;
    if (r->kind == SLM_REQUEST_EMBED && r->pooling == SLM_POOLING_MEAN)
        return NULL; /* all tokens are wanted */
    for (uint32_t i = 0; i < b->n_places; i++) {
        slm_place *p = &b->places[i];
        const slm_request *owner = p->request;
        if (p->session->n_tokens == 0 || !fits_rope(b, r, p->session) ||
            (owner != NULL && !slm_request_shares(owner)))
            continue;
        uint32_t same = common(r, p->session), there = slm_state_reach(p->session, same);
        if (there > *n) {
            *n = there;
            best = p;
        }
        if (owner != NULL && same > p->session->n_valid && same > *coming &&
            owner->priority >= r->priority)
            *coming = same;
    }
    return best;
}

/* ---- pages ------------------------------------------------------------------------------------ */

static uint32_t pages_of(const slm_cache *c, uint32_t n_tokens) {
    return (n_tokens + c->layout.page_tokens - 1) >> c->layout.page_shift;
}

/* Pages of a group that a session of n tokens has at most. */
static uint32_t group_pages(const slm_cache *c, uint32_t g, uint32_t n_tokens) {
    uint32_t n = pages_of(c, n_tokens), window = c->model->groups[g].window;
    if (window == 0)
        return n;
    uint32_t most = pages_of(c, window + slm_state_slack(c->model) + c->options.max_rows) + 1;
    return n < most ? n : most;
}

int slm_places_can_hold(const slm_batch *b, uint32_t n) {
    for (uint32_t g = 0; g < b->cache->model->n_groups; g++)
        if (group_pages(b->cache, g, n) > b->cache->pools[g].n_pages)
            return 0;
    return 1;
}

/* The kept prefix that was of use longest ago, but for one; NULL: there is none. */
static slm_place *least_used(const slm_batch *b, const slm_place *but) {
    slm_place *least = NULL;
    for (uint32_t i = 0; i < b->n_places; i++) {
        slm_place *p = &b->places[i];
        if (p->request == NULL && p->session->n_tokens > 0 && p != but &&
            (least == NULL || p->used < least->used))
            least = p;
    }
    return least;
}

static int evict(slm_batch *b, const slm_place *but) {
    slm_place *p = least_used(b, but);
    if (p == NULL)
        return 0;
    slm_place_clear(p);
    b->info.n_evicted++;
    return 1;
}

/* Pages for the request behind n tokens that it shares, and one for each that runs to go on with. */
static int has_pages(const slm_batch *b, const slm_request *r, uint32_t n) {
    const slm_cache *c = b->cache;
    for (uint32_t g = 0; g < c->model->n_groups; g++) {
        uint32_t need = group_pages(c, g, r->n_ids + 1), shared = n >> c->layout.page_shift;
        need = need > shared ? need - shared : 0;
        if (c->pools[g].n_free < need + b->n_running)
            return 0;
    }
    return 1;
}

int slm_places_make_room(slm_batch *b, const slm_request *r, uint32_t n_rows) {
    slm_session *s = slm_request_session(r);
    while (slm_state_make_room(s, s->n_valid + n_rows, NULL) != SLM_OK) {
        slm_state_truncate(s, s->n_valid); /* what it got */
        if (!evict(b, NULL))
            return 0;
    }
    return 1;
}

/* ---- places ----------------------------------------------------------------------------------- */

static slm_place *empty_place(const slm_batch *b) {
    for (uint32_t i = 0; i < b->n_places; i++)
        if (b->places[i].request == NULL && b->places[i].session->n_tokens == 0)
            return &b->places[i];
    return NULL;
}

/* Where the request goes: what is kept of its own beginning goes on in place; of others a part is
 * shared. */
static slm_place *choose_place(slm_batch *b, slm_place *source, uint32_t n) {
    if (source != NULL && source->request == NULL && n == source->session->n_tokens)
        return source;
    slm_place *p = empty_place(b);
    if (p == NULL) {
        p = least_used(b, source);
        if (p == NULL)
            return source; /* the only one that is not in use: it is cut */
        slm_place_clear(p);
        b->info.n_evicted++;
    }
    return p;
}

slm_taken slm_places_take(slm_batch *b, slm_request *r) {
    uint32_t n, coming;
    slm_place *source = find_prefix(b, r, &n, &coming);
    if (coming >= n + b->cache->layout.page_tokens)
        return SLM_TAKE_LATER;
    while (!has_pages(b, r, n))
        if (!evict(b, source)) {
            if (b->n_running > 0)
                return SLM_NO_PAGES;
            break; /* alone it has all there is */
        }
    slm_place *p = choose_place(b, source, n);
    slm_session *s = p->session;
    if (source != NULL && source != p) {
        source->used = slm_batch_tick(b);
        slm_session_share(source->session, s, n);
    } else {
        slm_session_cut(s, n);
    }
    slm_session_append(s, r->ids + s->n_tokens, r->n_ids - s->n_tokens);
    slm_session_pending(s); /* settles before the answer begins, so that it is not told */
    if (!r->has_begun)
        r->n_reused = s->n_valid;
    p->request = r;
    r->place = p;
    b->n_running++;
    if (slm_request_generator(r) != NULL)
        slm_generator_attach(slm_request_generator(r), s);
    return SLM_TAKEN;
}

/* ---- watching --------------------------------------------------------------------------------- */

void slm_places_count(const slm_batch *b, slm_batch_info *info) {
    const slm_cache *c = b->cache;
    for (uint32_t g = 0; g < c->model->n_groups; g++) {
        info->n_pages += c->pools[g].n_pages;
        info->n_pages_free += c->pools[g].n_free;
    }
    for (uint32_t i = 0; i < b->n_places; i++) {
        const slm_place *p = &b->places[i];
        if (p->request != NULL || p->session->n_tokens == 0)
            continue;
        info->n_prefixes++;
        for (uint32_t g = 0; g < c->model->n_groups; g++) {
            const slm_kv_table *table = &c->seqs[p->session->slot].tables[g];
            info->n_pages_kept += table->end - table->begin;
        }
    }
}
