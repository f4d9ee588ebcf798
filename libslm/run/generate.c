#include "run/generate.h"

#include "guide/guide.h"
#include "run/fpenv.h"
#include "run/sampler.h"
#include "run/speculate.h"
#include "text/detok.h"

#include <string.h>

#define SLM_MAX_STOP 65536u /* bytes of one stop text */
#define MAX_FORCED   64u

struct slm_generator {
    slm_cache *cache;
    slm_session *session;      /* NULL: none yet, taken from it, or closed */
    slm_model *model;          /* kept alive: memory comes from its host */
    slm_sampler *sampler;
    slm_stopper *stopper;      /* NULL: no stop texts */
    slm_matcher *matcher;      /* NULL: no guide */
    uint32_t begin;            /* tokens that the session held before the answer */
    int32_t forced[MAX_FORCED];/* tokens that the guide leaves no choice about, from next_forced on */
    size_t n_forced, next_forced;
    uint64_t n_spared; /* forced tokens of the answer so far */
    int32_t likely[SLM_DRAFT_MAX]; /* of forced bytes, tokens that what follows may still change     */
    uint32_t n_likely;
    slm_drafts drafts;
    uint32_t row;              /* of the cache's logits, to choose from; SLM_NO_LOGITS: the session's */
    uint64_t n_steps;          /* evaluations that the answer waited for                             */
    int32_t spelled[SLM_MARKERS_MAX]; /* control tokens that are part of the text */
    size_t n_spelled;
    slm_utf8_stream utf8;
    char *token_bytes;         /* [max_token_bytes] */
    char *text;                /* [text_cap] whole characters of this event */
    size_t text_cap;
    uint64_t max_tokens;
    uint64_t n_tokens;
    uint64_t n_reevaluated;    /* of the session when the evaluation was asked for */
    uint8_t is_driven;         /* somebody else evaluates */
    uint8_t waits;             /* for that, or for its own */
    uint32_t flags;
    uint32_t detokenize_flags;
    slm_end_reason ended;
};

static slm_status check_options(const slm_generate_options *o, const slm_cache *cache,
                                slm_error *error) {
    uint32_t max_draft = cache->is_batch ? SLM_DRAFT_MAX : cache->options.max_logits;
    if (o->flags & ~(uint32_t)(SLM_GENERATE_SPECIAL | SLM_GENERATE_IGNORE_END))
        return slm_fail(error, SLM_ERR_ARG, "flags", SLM_NO_OFFSET,
                        "slm_generate_options.flags: got 0x%x, which has unknown bits", o->flags);
    if (o->n_draft > SLM_DRAFT_MAX || o->n_draft > max_draft)
        return slm_fail(error, SLM_ERR_RANGE, "n_draft", SLM_NO_OFFSET,
                        "slm_generate_options.n_draft: got %u, wanted at most %u and the cache's "
                        "max_logits = %u", o->n_draft, SLM_DRAFT_MAX, max_draft);
    if (o->n_top > SLM_SAMPLER_MAX_TOP)
        return slm_fail(error, SLM_ERR_RANGE, "n_top", SLM_NO_OFFSET,
                        "slm_generate_options.n_top: got %u, wanted at most %u", o->n_top,
                        SLM_SAMPLER_MAX_TOP);
    if (o->n_stop > 0 && o->stop == NULL)
        return slm_fail(error, SLM_ERR_ARG, "stop", SLM_NO_OFFSET,
                        "slm_generate_options.stop: got NULL with n_stop = %zu", o->n_stop);
    return SLM_OK;
}

/* Which tokens end a repeat for DRY; needed only while the generator is being made. */
static slm_status open_sampler(slm_generator *g, const slm_sampling *sampling, uint32_t n_top,
                               slm_error *error) {
    slm_cache *c = g->cache;
    const slm_model *m = c->model;
    uint32_t n_vocab = m->config.n_vocab;
    uint8_t *breakers = slm_calloc(c->host, (n_vocab + 7) / 8, 1);
    if (breakers == NULL)
        return slm_fail_nomem(error, (n_vocab + 7) / 8, "the sampler");
    slm_status status = slm_sampler_breakers(sampling, m->vocab, n_vocab, g->token_bytes, breakers,
                                             error);
    if (status == SLM_OK)
        status = slm_sampler_open(c->host, sampling, n_vocab, c->options.n_ctx, n_top, breakers,
                                  &m->kernels, c->sampler_scratch, &g->sampler, error);
    slm_free(c->host, breakers);
    return status;
}

static int is_spelled(const slm_generator *g, int32_t token) {
    for (size_t i = 0; i < g->n_spelled; i++)
        if (g->spelled[i] == token)
            return 1;
    return 0;
}

void slm_generator_spell(slm_generator *g, const int32_t *ids, size_t n) {
    for (size_t i = 0; i < n && g->n_spelled < SLM_MARKERS_MAX; i++)
        if (!is_spelled(g, ids[i]))
            g->spelled[g->n_spelled++] = ids[i];
}

/* Finds the tokens of the bytes that the guide forces: those that tokenizing gives for the end of the
 * answer with these bytes behind it, when that begins with the tokens that the answer has, and as far as
 * nothing that may follow would change them. Before the first token no session is wanted. Tokens spell no more than the guide allows, as all their
 * bytes are forced. The tokens behind these, which something may still change, are likely all the
 * same: drafts.
 *
 * To find none is never wrong: the mask then leaves the same bytes, and they cost steps of their own. So a
 * failure, refused memory included, is no failure of the generation. It leaves matcher, session and answer as
 * they were, since tokens are only read here; what the guide has learnt besides is kept or not. */
static void find_forced(slm_generator *g) {
    enum { WINDOW = 32, TEXT = 4096, IDS = 256 };
    const slm_session *s = g->session;
    const slm_vocab *v = g->model->vocab;
    const char *forced;
    char text[TEXT];
    int32_t ids[IDS];
    size_t n_forced, len = 0, n = 0;
    uint32_t n_window = g->n_tokens < WINDOW ? (uint32_t)g->n_tokens : WINDOW;
    const int32_t *window = n_window > 0 ? s->tokens + (s->n_tokens - n_window) : ids;
    g->n_forced = g->next_forced = g->n_likely = 0;
    if (slm_vocab_get_kind(v) != SLM_VOCAB_BPE || slm_matcher_sleeps(g->matcher))
        return;
    if (slm_matcher_find_forced(g->matcher, &forced, &n_forced, NULL) != SLM_OK || n_forced == 0)
        return; /* what is wrong with the guide itself comes back with the next mask */
    if (slm_vocab_detokenize(v, window, n_window, 0, text, sizeof text - n_forced, &len, NULL) !=
        SLM_OK)
        return; /* too long to be worth it */
    memcpy(text + len, forced, n_forced);
    slm_span span = {text, len + n_forced, 0};
    if (slm_vocab_tokenize(v, &span, 1, SLM_BOS_NONE, ids, IDS, &n, NULL) != SLM_OK ||
        n < n_window || memcmp(ids, window, n_window * sizeof *ids) != 0)
        return;
    size_t settled = slm_vocab_settled(v, text, span.len);
    for (size_t i = n_window; i < n && g->n_forced < MAX_FORCED; i++) {
        len += slm_vocab_token_bytes(v, ids[i], 0, g->token_bytes).len;
        if (len > settled || !slm_matcher_knows(g->matcher, ids[i])) {
            for (; i < n && g->n_likely < SLM_DRAFT_MAX; i++)
                g->likely[g->n_likely++] = ids[i];
            break;
        }
        g->forced[g->n_forced++] = ids[i];
    }
}

slm_status slm_generator_lead(slm_generator *g, const char *text, size_t len, slm_error *error) {
    if (g->matcher == NULL)
        return SLM_OK;
    SLM_TRY(slm_matcher_take_bytes(g->matcher, text, len, error));
    find_forced(g);
    return SLM_OK;
}

void slm_generator_force(slm_generator *g, const int32_t *ids, size_t n) {
    g->n_forced = n < MAX_FORCED ? n : MAX_FORCED;
    g->next_forced = g->n_likely = 0;
    memcpy(g->forced, ids, g->n_forced * sizeof *ids);
}

static int any_bit(const uint64_t *bits, size_t n_words) {
    for (size_t w = 0; w < n_words; w++)
        if (bits[w] != 0)
            return 1;
    return 0;
}

/* The first mask is made here, so that what no token can begin fails before anything is generated. */
static slm_status open_matcher(slm_generator *g, slm_guide *guide, slm_error *error) {
    const uint64_t *bits;
    size_t n_words;
    if (guide->trie == NULL || guide->trie->vocab != g->model->vocab)
        return slm_fail(error, SLM_ERR_ARG, "guide", SLM_NO_OFFSET,
                        "slm_generate_options.guide: it was compiled for another model or for none");
    slm_generator_spell(g, guide->spelled, guide->n_spelled);
    SLM_TRY(slm_matcher_create(guide, &g->matcher, error));
    SLM_TRY(slm_matcher_find(g->matcher, &bits, &n_words, error));
    if (!any_bit(bits, n_words))
        return slm_fail(error, SLM_ERR_GRAMMAR, "guide", SLM_NO_OFFSET,
                        "slm_generate_options.guide: no token of the model begins a text of it");
    find_forced(g);
    return SLM_OK;
}

static slm_status set_up(slm_generator *g, const slm_generate_options *o, slm_error *error) {
    slm_cache *c = g->cache;
    const slm_vocab *vocab = c->model->vocab;
    size_t max_bytes = slm_vocab_max_token_bytes(vocab);
    g->max_tokens = o->max_tokens == 0 ? UINT64_MAX : o->max_tokens;
    g->flags = o->flags;
    g->detokenize_flags = o->flags & SLM_GENERATE_SPECIAL ? SLM_DETOKENIZE_SPECIAL : 0;
    g->text_cap = 3 * (max_bytes + 4) + 12; /* of one token; at the end also what a stop text held back */
    for (size_t i = 0; i < o->n_stop; i++) {
        size_t len = o->stop[i].len == SLM_NTS && o->stop[i].text != NULL ? strlen(o->stop[i].text)
                                                                          : o->stop[i].len;
        if (len > SLM_MAX_STOP)
            return slm_fail(error, SLM_ERR_LIMIT, "stop", SLM_NO_OFFSET,
                            "slm_generate_options.stop[%zu]: got %zu bytes, wanted at most %u", i,
                            len, SLM_MAX_STOP);
        if (len + 12 > g->text_cap)
            g->text_cap = len + 12;
    }
    g->token_bytes = slm_alloc(c->host, max_bytes);
    g->text = slm_alloc(c->host, g->text_cap);
    if (g->token_bytes == NULL || g->text == NULL)
        return slm_fail_nomem(error, max_bytes + g->text_cap, "the generator");
    SLM_TRY(open_sampler(g, o->sampling, o->n_top, error));
    if (o->n_stop > 0)
        SLM_TRY(slm_stopper_open(c->host, o->stop, o->n_stop, g->text_cap, &g->stopper, error));
    return o->guide != NULL ? open_matcher(g, o->guide, error) : SLM_OK;
}

/* What steps bring home of the session's logits; sampler NULL: as without one. */
static void want_logits(const slm_session *s, const slm_sampler *sampler, int is_guided) {
    slm_seq *seq = &s->cache->seqs[s->slot];
    seq->wants_row = sampler != NULL && (is_guided || !slm_sampler_takes_best(sampler));
    seq->n_named = 0;
    if (sampler != NULL)
        seq->named = slm_sampler_names(sampler, &seq->n_named);
}

slm_status slm_generator_new(slm_cache *c, uint32_t n_prompt, const slm_generate_options *options,
                             slm_generator **out, slm_error *error) {
    static const slm_generate_options defaults = {.struct_size = sizeof(slm_generate_options)};
    slm_generate_options o;
    SLM_TRY(slm_copy_options(&o, sizeof o, &defaults, options, "slm_generate_options", error));
    SLM_TRY(check_options(&o, c, error));
    slm_generator *g = slm_calloc(c->host, 1, sizeof *g);
    if (g == NULL)
        return slm_fail_nomem(error, sizeof *g, "the generator");
    g->cache = c;
    g->model = c->model;
    g->begin = n_prompt;
    g->row = SLM_NO_LOGITS;
    slm_drafts_init(&g->drafts, o.n_draft);
    slm_model_retain(g->model);
    slm_status status = set_up(g, &o, error);
    if (status != SLM_OK) {
        slm_generator_destroy(g);
        return status;
    }
    *out = g;
    return SLM_OK;
}

void slm_generator_attach(slm_generator *g, slm_session *s) {
    g->session = s;
    g->n_reevaluated = s->n_reevaluated;
    s->gave_up = SLM_REUSE_ALL;
    s->generator = g;
    want_logits(s, g->sampler, g->matcher != NULL);
}

slm_status slm_generator_check(const slm_session *s, slm_error *error) {
    SLM_TRY(slm_session_check_free(s, error));
    if (s->n_tokens > 0)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_ARG, "session", SLM_NO_OFFSET,
                    "the session holds no tokens: evaluate a prompt first");
}

slm_status slm_generator_create(slm_session *s, const slm_generate_options *options,
                                slm_generator **out, slm_error *error) {
    SLM_TRY(slm_generator_check(s, error));
    SLM_TRY(slm_generator_new(s->cache, s->n_tokens, options, out, error));
    slm_generator_attach(*out, s);
    return SLM_OK;
}

void slm_generator_drive(slm_generator *g) { g->is_driven = 1; }

int slm_generator_waits(const slm_generator *g) { return g->waits; }

void slm_generator_detach(slm_generator *g) {
    if (g == NULL || g->session == NULL)
        return;
    want_logits(g->session, NULL, 0);
    slm_drafts_forget(&g->drafts, g->session);
    g->session->generator = NULL;
    g->session = NULL;
}

void slm_generator_destroy(slm_generator *g) {
    slm_model *model = g->model;
    slm_host *host = &model->host;
    slm_generator_detach(g);
    slm_sampler_close(g->sampler);
    slm_stopper_close(g->stopper);
    slm_matcher_destroy(g->matcher);
    slm_free(host, g->token_bytes);
    slm_free(host, g->text);
    slm_free(host, g);
    slm_model_release(model);
}

/* What the answer has come to. */
static void tell_counts(const slm_generator *g, slm_event *ev) {
    ev->count = g->n_tokens;
    ev->forced = g->n_spared;
    ev->steps = g->n_steps;
    ev->drafted = g->drafts.n_made;
}

/* The end: whatever was held back comes out. Logits that a draft gave become the session's, as those of
 * a step of its own are. */
static void end(slm_generator *g, slm_end_reason reason, slm_event *ev) {
    slm_drafts_keep(&g->drafts, g->session);
    size_t n = slm_utf8_finish(&g->utf8, g->text);
    ev->type = SLM_EVENT_END;
    ev->reason = g->ended = reason;
    tell_counts(g, ev);
    ev->text = g->text;
    ev->text_len = n;
    if (g->stopper == NULL)
        return;
    /* n is 0 or one replacement character, which may complete or precede what the stopper holds */
    const char *first;
    size_t n_first;
    if (slm_stopper_feed(g->stopper, g->text, n, &first, &n_first)) {
        ev->text = first;
        ev->text_len = n_first;
        ev->reason = g->ended = SLM_END_STOP;
        return;
    }
    memmove(g->text, first, n_first);
    const char *rest;
    size_t n_rest;
    slm_stopper_finish(g->stopper, &rest, &n_rest);
    memcpy(g->text + n_first, rest, n_rest);
    ev->text_len = n_first + n_rest;
}

/* The text that a token adds; returns 1 when a stop text appeared. */
static int add_text(slm_generator *g, int32_t token, slm_event *ev) {
    uint32_t flags = is_spelled(g, token) ? (uint32_t)SLM_DETOKENIZE_SPECIAL : g->detokenize_flags;
    slm_str bytes = slm_vocab_token_bytes(g->model->vocab, token, flags, g->token_bytes);
    size_t n = slm_utf8_feed(&g->utf8, bytes.ptr, bytes.len, g->text);
    ev->text = g->text;
    ev->text_len = n;
    return g->stopper != NULL && slm_stopper_feed(g->stopper, g->text, n, &ev->text, &ev->text_len);
}

/* From the best of the logits where they decide, else from all of them. */
static slm_status choose(slm_generator *g, slm_event *ev, slm_error *error) {
    const slm_session *s = g->session;
    const float *logits;
    slm_best best;
    int is_chosen = 0;
    if (g->row != SLM_NO_LOGITS) {
        logits = s->cache->logits + (size_t)g->row * s->cache->model->config.n_vocab;
        g->row = SLM_NO_LOGITS;
        return slm_sampler_choose(g->sampler, logits, s->tokens, s->n_tokens, &ev->token,
                                  &ev->logprob, &ev->top, &ev->n_top, error);
    }
    if (g->matcher == NULL && slm_cache_best(s->cache, s->slot, &best))
        SLM_TRY(slm_sampler_choose_best(g->sampler, &best, s->tokens, s->n_tokens, &is_chosen,
                                        &ev->token, &ev->logprob, &ev->top, &ev->n_top, error));
    if (is_chosen)
        return SLM_OK;
    SLM_TRY(slm_session_last_logits(s, &logits, error));
    return slm_sampler_choose(g->sampler, logits, s->tokens, s->n_tokens, &ev->token, &ev->logprob,
                              &ev->top, &ev->n_top, error);
}

/* Holds the next choice to the guide; *reason says when there is none to make. Without is_next the
 * choice is not yet to be made, and only the end is looked for. */
static slm_status follow_guide(slm_generator *g, int is_next, slm_end_reason *reason,
                               slm_error *error) {
    const uint64_t *bits;
    size_t n_words;
    int can_end, must_end;
    SLM_TRY(slm_matcher_state(g->matcher, &can_end, &must_end, error));
    if (must_end) {
        *reason = SLM_END_GUIDE;
        return SLM_OK;
    }
    if (!is_next)
        return SLM_OK;
    SLM_TRY(slm_matcher_find(g->matcher, &bits, &n_words, error));
    if (!any_bit(bits, n_words))
        *reason = can_end ? SLM_END_GUIDE : SLM_END_STUCK;
    slm_sampler_allow(g->sampler, bits, n_words);
    return SLM_OK;
}

/* Adds the event's token to the answer. */
static slm_status accept(slm_generator *g, slm_event *ev, slm_error *error) {
    slm_session *s = g->session;
    int is_end = slm_vocab_is_end(g->model->vocab, ev->token); /* chosen, but not to stop for it */
    if (g->matcher != NULL && !is_end)
        SLM_TRY(slm_matcher_take(g->matcher, ev->token, error));
    slm_session_push(s, ev->token);
    g->n_tokens++;
    tell_counts(g, ev);
    if (g->matcher != NULL && g->next_forced == g->n_forced)
        find_forced(g);
    ev->type = SLM_EVENT_TEXT;
    if (add_text(g, ev->token, ev)) {
        ev->type = SLM_EVENT_END;
        ev->reason = g->ended = SLM_END_STOP;
    }
    return SLM_OK;
}

/* What is pending, and drafts with it. */
static slm_status evaluate(slm_generator *g, slm_error *error) {
    slm_session *s = g->session;
    uint64_t left = g->max_tokens - g->n_tokens - 1; /* behind the token that this step is for */
    uint32_t room = slm_drafts_room(&g->drafts, s), n;
    int is_done = 0;
    if (room > left)
        room = (uint32_t)left;
    if (room > 0 && s->n_valid < s->n_tokens) {
        n = g->n_likely < room ? g->n_likely : room;
        memcpy(s->tokens + s->n_tokens, g->likely, n * sizeof *g->likely);
        SLM_TRY(slm_drafts_run(&g->drafts, s, n, room, &is_done, error));
    }
    if (is_done)
        return SLM_OK;
    slm_eval_item item = {sizeof item, SLM_LOGITS_LAST, s, NULL, 0};
    return slm_session_run(s->cache, &item, 1, error);
}

slm_status slm_generator_next(slm_generator *g, slm_event *ev, slm_error *error) {
    slm_session *s = g->session;
    if (s == NULL)
        return slm_fail(error, SLM_ERR_ARG, "generator", SLM_NO_OFFSET,
                        "the generator's session was closed");
    slm_cache *c = s->cache;
    memset(ev, 0, sizeof *ev);
    ev->struct_size = sizeof *ev;
    ev->token = -1;
    ev->text = "";
    if (g->ended) {
        ev->type = SLM_EVENT_END;
        ev->reason = g->ended;
        tell_counts(g, ev);
        return SLM_OK;
    }
    if (g->n_tokens >= g->max_tokens) {
        end(g, SLM_END_LENGTH, ev);
        return SLM_OK;
    }
    if (s->n_tokens >= c->options.n_ctx) {
        end(g, SLM_END_CONTEXT, ev);
        return SLM_OK;
    }
    if (atomic_exchange(&s->cancelled, 0))
        return slm_fail(error, SLM_ERR_CANCEL, NULL, SLM_NO_OFFSET, "the generation was cancelled");
    if (g->next_forced < g->n_forced) {
        slm_error why = SLM_ERROR_INIT;
        ev->token = g->forced[g->next_forced++];
        slm_status status = accept(g, ev, &why);
        if (status == SLM_OK) {
            ev->forced = ++g->n_spared;
            return SLM_OK;
        }
        if (status != SLM_ERR_RANGE)
            return slm_fail(error, status, why.subject, why.offset, "%s", why.message);
        g->n_forced = g->next_forced = 0; /* the guide has no place for it */
        ev->token = -1;
    }
    g->row = SLM_NO_LOGITS;
    int is_ready = (s->has_last && s->n_valid == s->n_tokens) ||
                   slm_drafts_confirm(&g->drafts, s, &g->row);
    if (g->matcher != NULL) {
        slm_end_reason reason = SLM_END_NONE;
        SLM_TRY(follow_guide(g, is_ready || !g->is_driven, &reason, error));
        if (reason != SLM_END_NONE) {
            end(g, reason, ev);
            return SLM_OK;
        }
    }
    if (!is_ready && !(g->is_driven && g->waits)) {
        g->waits = 1;
        g->n_reevaluated = s->n_reevaluated;
        s->gave_up = SLM_REUSE_ALL;
    }
    if (!is_ready && g->is_driven)
        return SLM_OK;
    if (!is_ready)
        SLM_TRY(evaluate(g, error));
    if (g->waits) {
        g->waits = 0;
        g->n_steps++;
        if (s->gave_up != SLM_REUSE_ALL) {
            ev->type = SLM_EVENT_REEVALUATED;
            tell_counts(g, ev);
            ev->count = s->n_reevaluated - g->n_reevaluated;
            return SLM_OK;
        }
    }

    slm_fpenv saved = slm_fpenv_enter();
    slm_status status = choose(g, ev, error);
    slm_fpenv_leave(saved);
    SLM_TRY(status);
    if (slm_vocab_is_end(c->model->vocab, ev->token) && !(g->flags & SLM_GENERATE_IGNORE_END)) {
        end(g, SLM_END_TOKEN, ev);
        return SLM_OK;
    }
    return accept(g, ev, error);
}
