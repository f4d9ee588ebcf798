/* Running requests in a batch and alone, and comparing what they got. */
#ifndef TESTS_API_BATCH_GROUP_H
#define TESTS_API_BATCH_GROUP_H

#include "api/tiny_open.h"

enum { OUT_TOKENS = 256, OUT_TEXT = 1 << 16 };

/* All that a request was told. */
typedef struct outcome {
    int32_t tokens[OUT_TOKENS];
    float logprobs[OUT_TOKENS];
    slm_token_prob top[OUT_TOKENS][2];
    size_t n_tokens;
    char text[OUT_TEXT]; /* each piece with the number of its event before it */
    size_t text_len;
    float embedding[512];
    size_t n_embedding;
    slm_end_reason reason;
    slm_status status; /* of FAILED */
    uint64_t n_reused, n_prompt;
    uint32_t n_begin, n_last; /* events of these kinds */
} outcome;

static inline void out_text(outcome *o, int32_t type, const char *text, size_t len) {
    if (len == 0)
        return;
    assert_true(o->text_len + len + 1 <= OUT_TEXT);
    int is_new = 1; /* pieces of the same kind may be cut anywhere */
    for (size_t i = o->text_len; i > 0 && is_new; i--)
        if ((unsigned char)o->text[i - 1] < 32 && o->text[i - 1] != '\n' && o->text[i - 1] != '\t') {
            is_new = o->text[i - 1] != (char)type;
            break;
        }
    if (is_new)
        o->text[o->text_len++] = (char)type;
    memcpy(o->text + o->text_len, text, len);
    o->text_len += len;
}

static inline void out_token(outcome *o, int32_t token, float logprob, const slm_token_prob *top,
                             size_t n_top) {
    assert_true(o->n_tokens < OUT_TOKENS);
    o->tokens[o->n_tokens] = token;
    o->logprobs[o->n_tokens] = logprob;
    memset(o->top[o->n_tokens], 0, sizeof o->top[0]);
    if (n_top > 0)
        memcpy(o->top[o->n_tokens], top, (n_top < 2 ? n_top : 2) * sizeof *top);
    o->n_tokens++;
}

static inline void out_event(outcome *o, const slm_batch_event *e) {
    assert_int_equal(o->n_last, 0); /* nothing comes behind the last one */
    switch (e->type) {
    case SLM_BATCH_BEGIN:
        o->n_begin++;
        o->n_prompt = e->count;
        o->n_reused = e->n_reused;
        break;
    case SLM_BATCH_TOKEN:
        out_token(o, e->token, e->logprob, e->top, e->n_top);
        break;
    case SLM_BATCH_EMBEDDING:
        assert_true(e->n_embedding <= sizeof o->embedding / sizeof *o->embedding);
        memcpy(o->embedding, e->embedding, e->n_embedding * sizeof *e->embedding);
        o->n_embedding = e->n_embedding;
        break;
    case SLM_BATCH_END:
        o->reason = e->reason;
        o->n_last++;
        break;
    case SLM_BATCH_FAILED:
        o->status = e->status;
        o->n_last++;
        break;
    default:
        out_text(o, e->type, e->text, e->text_len);
    }
}

/* The same prompt with the same options in a session of its own. */
static inline void run_alone(slm_model *model, const slm_cache_options *cache,
                             const slm_request_options *r, outcome *o) {
    slm_cache_options co = *cache;
    slm_session *s = NULL;
    co.n_cells = 0; /* all there is for one */
    memset(o, 0, sizeof *o);
    OK(slm_session_open(model, &co, &s, &golden_err));
    if (r->kind == SLM_REQUEST_EMBED) {
        slm_model_info info = {.struct_size = sizeof info};
        OK(slm_model_get_info(model, &info, &golden_err));
        OK(slm_embed(s, r->ids, r->n_ids, r->pooling, o->embedding, info.d_model, &golden_err));
        o->n_embedding = info.d_model;
        slm_session_close(&s);
        return;
    }
    OK(slm_session_prompt(s, r->ids, r->n_ids, NULL, &golden_err));
    if (r->kind == SLM_REQUEST_ANSWER) {
        slm_answer *a = NULL;
        slm_answer_event e = {.struct_size = sizeof e};
        OK(slm_answer_begin(s, r->answer, &a, &golden_err));
        do {
            OK(slm_answer_next(a, &e, &golden_err));
            if (e.type != SLM_ANSWER_END)
                out_text(o, e.type, e.text, e.text_len);
        } while (e.type != SLM_ANSWER_END);
        o->reason = e.reason;
        slm_answer_end(&a);
    } else {
        slm_generator *g = NULL;
        slm_event e = {.struct_size = sizeof e};
        OK(slm_generate_begin(s, r->generate, &g, &golden_err));
        do {
            OK(slm_generate_next(g, &e, &golden_err));
            if (e.token >= 0)
                out_token(o, e.token, e.logprob, e.top, e.n_top);
            out_text(o, SLM_BATCH_TEXT, e.text, e.text_len);
        } while (e.type != SLM_EVENT_END);
        o->reason = e.reason;
        slm_generate_end(&g);
    }
    slm_session_close(&s);
}

/* What was got is what was wanted, or, where the request was cancelled, begins it. */
static inline void same_outcome(const char *what, size_t request, const outcome *got,
                                const outcome *want, slm_request_kind kind) {
    int is_part = got->status == SLM_ERR_CANCEL;
    if (got->status != SLM_OK && !is_part)
        fail_msg("%s: request %zu: got %s", what, request, slm_status_name(got->status));
    if (got->n_last != 1)
        fail_msg("%s: request %zu: %u last events", what, request, got->n_last);
    size_t n = kind == SLM_REQUEST_TEXT ? got->n_tokens : 0;
    if (kind == SLM_REQUEST_TEXT && (n > want->n_tokens || (!is_part && n < want->n_tokens)))
        fail_msg("%s: request %zu: %zu tokens, wanted %zu", what, request, n, want->n_tokens);
    for (size_t i = 0; i < n; i++)
        if (got->tokens[i] != want->tokens[i] ||
            memcmp(&got->logprobs[i], &want->logprobs[i], sizeof(float)) != 0 ||
            memcmp(got->top[i], want->top[i], sizeof got->top[i]) != 0)
            fail_msg("%s: request %zu: token %zu is %d (%a), wanted %d (%a)", what, request, i,
                     got->tokens[i], (double)got->logprobs[i], want->tokens[i],
                     (double)want->logprobs[i]);
    if (got->text_len > want->text_len || (!is_part && got->text_len < want->text_len) ||
        memcmp(got->text, want->text, got->text_len) != 0)
        fail_msg("%s: request %zu: got \"%.*s\", wanted \"%.*s\"", what, request,
                 (int)got->text_len, got->text, (int)want->text_len, want->text);
    if (!is_part && got->reason != want->reason)
        fail_msg("%s: request %zu: ended with %d, wanted %d", what, request, got->reason,
                 want->reason);
    if (!is_part && (got->n_embedding != want->n_embedding ||
                     memcmp(got->embedding, want->embedding,
                            want->n_embedding * sizeof *want->embedding) != 0))
        fail_msg("%s: request %zu: another embedding", what, request);
}

/* Pulls all events there are; each request's outcome is its user. Returns how many ended. */
static inline size_t pull_all(slm_batch *b) {
    slm_batch_event e = {.struct_size = sizeof e};
    size_t n = 0;
    for (;;) {
        OK(slm_batch_next(b, &e, &golden_err));
        if (e.type == SLM_BATCH_NONE)
            return n;
        out_event(e.user, &e);
        n += e.type == SLM_BATCH_END || e.type == SLM_BATCH_FAILED;
    }
}

/* Steps until nothing is open. Returns the number of steps. */
static inline size_t run_all(slm_batch *b) {
    slm_batch_report report = {.struct_size = sizeof report};
    for (size_t n = 1;; n++) {
        OK(slm_batch_step(b, &report, &golden_err));
        pull_all(b);
        if (report.n_open == 0)
            return n;
        assert_true(n < 100000);
    }
}

#endif
