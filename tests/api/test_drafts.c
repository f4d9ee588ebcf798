/* Answers with drafts are those without, bit for bit, in every family, whatever happens between two tokens; and
 * they take fewer steps where a text repeats itself. */
#include "api/tiny_open.h"
#include "support/below.h"

typedef struct subject {
    const char *dir, *gguf;
    int drafts; /* none where state is recurrent */
} subject;

static const subject subjects[] = {
    {"llama-1b-like", "llama-1b-like-q4_k_m.gguf", 1},
    {"phi3-mini-4k-like", "phi3-mini-4k-like-f32.gguf", 1}, /* a window */
    {"phi4-mini-like", "phi4-mini-like-f32.gguf", 1},       /* LongRoPE, from 64 tokens on */
    {"qwen2-untied-like", "qwen2-untied-like-f16.gguf", 1},
    {"qwen3-like", "qwen3-like-bf16.gguf", 1},
    {"bitnet-like", "bitnet-like-i2_s.gguf", 1},
    {"golden-sambay/phi4flash-like:", "phi4flash-like-f32.gguf", 0},
};

enum { N_ROUNDS = 60, MAX_IDS = 110, MAX_EVENTS = 200, N_VOCAB_MAX = 4096 };

typedef struct plan {
    slm_sampling sampling;
    slm_generate_options generate;
    slm_span stop;
    slm_cache_options cache;
    int32_t ids[MAX_IDS];
    uint32_t n_ids;
    uint32_t ends_at, cancel_at; /* events */
    uint32_t disturb;            /* another session's evaluation behind one of so many events; 0: none */
} plan;

static void make_plan(plan *p, uint32_t n_vocab, slm_guide *guide) {
    memset(p, 0, sizeof *p);
    p->n_ids = 2 + below(MAX_IDS - 2);
    uint32_t period = 1 + below(12), kinds = 2 + below(n_vocab - 2);
    for (uint32_t i = 0; i < p->n_ids; i++)
        p->ids[i] = i < period || below(9) == 0 ? (int32_t)below(kinds) : p->ids[i - period];
    p->sampling.struct_size = sizeof p->sampling;
    OK(slm_sampling_init(&p->sampling));
    p->sampling.seed = below(1000);
    p->sampling.temperature = below(3) > 0 ? 0 : 0.4f + (float)below(3);
    p->sampling.repeat_penalty = below(4) > 0 ? 1 : 1.2f;
    p->stop = (slm_span){"ee", 2, 0};
    p->generate = (slm_generate_options){
        .struct_size = sizeof p->generate, .max_tokens = 1 + below(80), .sampling = &p->sampling,
        .n_top = below(3), .stop = &p->stop, .n_stop = below(4) == 0,
        .flags = below(2) ? SLM_GENERATE_IGNORE_END : 0, .guide = below(4) == 0 ? guide : NULL,
        .n_draft = 1 + below(below(2) ? 4 : 32)};
    p->cache = (slm_cache_options){.struct_size = sizeof p->cache, .n_ctx = 128 + below(64),
                                   .page_tokens = 16, .max_rows = 24, .n_threads = 1,
                                   .max_sessions = 2, .max_logits = 32};
    if (below(4) == 0)
        p->cache.n_cells = 144; /* the other session has one page of it */
    if (below(3) == 0)
        p->cache.max_rows = 1 + below(8); /* a prompt's steps; drafts go into one */
    p->ends_at = below(3) == 0 ? below(40) : MAX_EVENTS;
    p->cancel_at = below(6) == 0 ? below(30) : MAX_EVENTS;
    p->disturb = below(2) ? 0 : 1 + below(6);
}

typedef struct seen {
    slm_event ev;
    slm_status status;
    char text[256];
    slm_token_prob top[3];
} seen;

typedef struct outcome {
    seen all[MAX_EVENTS];
    uint32_t n;
    int32_t tokens[512];
    size_t n_tokens;
    slm_status has_logits, after;
    float logits[3][N_VOCAB_MAX]; /* at the end, behind the answer, and behind what follows it */
    uint64_t n_reevaluated, n_pages;
    uint64_t steps, drafted, n_yields;
} outcome;

static int32_t count_yield(void *user, uint64_t done, uint64_t total) {
    (void)done;
    (void)total;
    ++*(uint64_t *)user;
    return 0;
}

static void keep_logits(slm_session *s, float *to, uint32_t n_vocab) {
    const float *logits;
    OK(slm_session_get_logits(s, 0, &logits, &golden_err));
    memcpy(to, logits, n_vocab * sizeof *to);
}

static void run(slm_model *m, const plan *p, uint32_t n_vocab, int drafts, outcome *o) {
    slm_cache *c = NULL;
    slm_session *s = NULL, *other = NULL;
    slm_generator *g = NULL;
    slm_generate_options generate = p->generate;
    slm_cache_options cache = p->cache;
    slm_session_info info = {.struct_size = sizeof info};
    const float *row;
    cache.yield = count_yield;
    cache.yield_user = &o->n_yields;
    if (!drafts)
        generate.n_draft = 0;
    memset(o, 0, sizeof *o);
    OK(slm_cache_open(m, &cache, &c, &golden_err));
    OK(slm_session_open_on(c, NULL, &s, &golden_err));
    OK(slm_session_open_on(c, NULL, &other, &golden_err));
    OK(slm_session_prompt(s, p->ids, p->n_ids, NULL, &golden_err));
    OK(slm_session_eval(other, p->ids, 2, SLM_LOGITS_ALL, &golden_err));
    OK(slm_generate_begin(s, &generate, &g, &golden_err));
    while (o->n < MAX_EVENTS && o->n < p->ends_at) {
        seen *e = &o->all[o->n];
        if (o->n == p->cancel_at)
            slm_session_cancel(s);
        if (p->disturb != 0 && o->n % p->disturb == 0) {
            OK(slm_session_truncate(other, 0, &golden_err));
            OK(slm_session_eval(other, p->ids, 2, o->n % 2 ? SLM_LOGITS_ALL : SLM_LOGITS_LAST,
                                &golden_err));
        }
        e->ev.struct_size = sizeof e->ev;
        e->status = slm_generate_next(g, &e->ev, &golden_err);
        o->n++;
        if (e->status != SLM_OK) {
            if (e->status == SLM_ERR_CANCEL)
                continue;
            break;
        }
        assert_true(e->ev.text_len < sizeof e->text);
        memcpy(e->text, e->ev.text, e->ev.text_len);
        if (e->ev.n_top > 0)
            memcpy(e->top, e->ev.top, e->ev.n_top * sizeof *e->top);
        o->steps = e->ev.steps;
        o->drafted = e->ev.drafted;
        if (e->ev.type == SLM_EVENT_END)
            break;
    }
    o->has_logits = slm_session_get_logits(s, 0, &row, &golden_err);
    slm_generate_end(&g);
    const int32_t *ids;
    assert_int_equal(slm_session_get_logits(s, 0, &row, &golden_err), o->has_logits);
    if (o->has_logits == SLM_OK)
        keep_logits(s, o->logits[2], n_vocab);
    OK(slm_session_get_info(s, &info, &golden_err));
    o->n_reevaluated = info.n_reevaluated;
    o->n_pages = info.n_pages;
    OK(slm_session_get_tokens(s, &ids, &o->n_tokens, &golden_err));
    memcpy(o->tokens, ids, o->n_tokens * sizeof *ids);
    o->after = slm_session_eval(s, NULL, 0, SLM_LOGITS_LAST, &golden_err);
    if (o->after == SLM_OK) {
        keep_logits(s, o->logits[0], n_vocab);
        OK(slm_session_truncate(s, o->n_tokens / 2, &golden_err));
        OK(slm_session_eval(s, p->ids, 2, SLM_LOGITS_LAST, &golden_err));
        keep_logits(s, o->logits[1], n_vocab);
    }
    slm_session_close(&s);
    slm_session_close(&other);
    slm_cache_close(&c);
}

static void compare(const outcome *a, const outcome *b) {
    assert_int_equal(a->n, b->n);
    for (uint32_t i = 0; i < a->n; i++) {
        const seen *x = &a->all[i], *y = &b->all[i];
        assert_int_equal(x->status, y->status);
        if (x->status != SLM_OK)
            continue;
        assert_int_equal(x->ev.type, y->ev.type);
        assert_int_equal(x->ev.token, y->ev.token);
        assert_memory_equal(&x->ev.logprob, &y->ev.logprob, sizeof x->ev.logprob);
        assert_int_equal(x->ev.count, y->ev.count);
        assert_int_equal(x->ev.forced, y->ev.forced);
        assert_int_equal(x->ev.reason, y->ev.reason);
        assert_int_equal(x->ev.text_len, y->ev.text_len);
        assert_memory_equal(x->text, y->text, x->ev.text_len);
        assert_int_equal(x->ev.n_top, y->ev.n_top);
        assert_memory_equal(x->top, y->top, x->ev.n_top * sizeof *x->top);
    }
    assert_int_equal(a->n_tokens, b->n_tokens);
    assert_memory_equal(a->tokens, b->tokens, a->n_tokens * sizeof *a->tokens);
    assert_int_equal(a->has_logits, b->has_logits);
    assert_int_equal(a->n_reevaluated, b->n_reevaluated);
    assert_int_equal(a->n_pages, b->n_pages);
    assert_int_equal(a->n_yields, b->n_yields);
    assert_int_equal(a->after, b->after);
    assert_memory_equal(a->logits, b->logits, sizeof a->logits);
}

static void same_answers(void **state) {
    (void)state;
    static outcome with, without;
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
        slm_model *m = golden_open(subjects[i].dir, subjects[i].gguf, 0);
        slm_model_info info = {.struct_size = sizeof info};
        slm_guide *guide = NULL;
        uint64_t steps[2] = {0}, drafted = 0;
        OK(slm_model_get_info(m, &info, &golden_err));
        assert_true(info.n_vocab <= N_VOCAB_MAX);
        OK(slm_guide_compile_gbnf(m, "root ::= (\"ab\" [a-e] | [x-z]{1,3}) root?", SLM_NTS, NULL,
                                  &guide, &golden_err));
        for (uint64_t round = 0; round < N_ROUNDS; round++) {
            plan p;
            rng = 1000 * i + round;
            below(2);
            make_plan(&p, info.n_vocab, guide);
            run(m, &p, info.n_vocab, 0, &without);
            run(m, &p, info.n_vocab, 1, &with);
            compare(&with, &without);
            assert_int_equal(without.drafted, 0);
            assert_true(with.steps <= without.steps);
            steps[0] += without.steps;
            steps[1] += with.steps;
            drafted += with.drafted;
        }
        print_message("%s: %llu steps, %llu with %llu drafts\n", subjects[i].dir,
                      (unsigned long long)steps[0], (unsigned long long)steps[1],
                      (unsigned long long)drafted);
        if (subjects[i].drafts)
            assert_true(steps[1] < steps[0] && drafted > 0);
        else
            assert_true(steps[1] == steps[0] && drafted == 0);
        slm_guide_close(&guide);
        slm_model_close(&m);
    }
}

/* An evaluation for each token but the first, whose logits are there. */
static void steps_without(void **state) {
    (void)state;
    slm_model *m = tiny_open(NULL, NULL);
    slm_session *s = NULL;
    slm_generator *g = NULL;
    slm_event ev = {.struct_size = sizeof ev};
    const int32_t ids[] = {1, 260, 261};
    slm_generate_options o = {.struct_size = sizeof o, .max_tokens = 7,
                              .flags = SLM_GENERATE_IGNORE_END};
    OK(slm_session_open(m, NULL, &s, &golden_err));
    OK(slm_session_prompt(s, ids, 3, NULL, &golden_err));
    OK(slm_generate_begin(s, &o, &g, &golden_err));
    while (ev.type != SLM_EVENT_END) {
        OK(slm_generate_next(g, &ev, &golden_err));
        assert_int_equal(ev.steps, ev.type == SLM_EVENT_END ? 6 : ev.count - 1);
        assert_int_equal(ev.drafted, 0);
    }
    slm_generate_end(&g);
    slm_session_close(&s);
    slm_model_close(&m);
}

/* Pages that drafts took are there for whoever needs them. */
static void others_get_their_pages(void **state) {
    (void)state;
    slm_model *m = golden_open("llama-1b-like", "llama-1b-like-q4_k_m.gguf", 0);
    slm_cache *c = NULL;
    slm_session *s = NULL, *other = NULL;
    slm_generator *g = NULL;
    slm_event ev = {.struct_size = sizeof ev};
    int32_t ids[33], want[40], got[40];
    size_t n_pages_most = 0;
    slm_cache_options co = {.struct_size = sizeof co, .n_ctx = 64, .page_tokens = 16, .n_cells = 64,
                            .max_sessions = 2, .max_logits = 32, .n_threads = 1};
    slm_sampling greedy = {.struct_size = sizeof greedy};
    slm_generate_options o = {.struct_size = sizeof o, .sampling = &greedy, .n_draft = 32,
                              .flags = SLM_GENERATE_IGNORE_END};
    OK(slm_sampling_init(&greedy));
    greedy.temperature = 0;
    for (int i = 0; i < 33; i++)
        ids[i] = 7 + i % 3;
    OK(slm_cache_open(m, &co, &c, &golden_err));
    OK(slm_session_open_on(c, NULL, &s, &golden_err));
    OK(slm_session_open_on(c, NULL, &other, &golden_err));
    for (int with = 0; with < 2; with++) {
        OK(slm_session_prompt(s, ids, 15, NULL, &golden_err));
        o.n_draft = with ? 32 : 0;
        OK(slm_generate_begin(s, &o, &g, &golden_err));
        for (int i = 0; i < 17; i++) { /* up to two pages of the four */
            slm_session_info info = {.struct_size = sizeof info};
            OK(slm_session_truncate(other, 0, &golden_err));
            OK(slm_generate_next(g, &ev, &golden_err));
            (with ? got : want)[i] = ev.token;
            OK(slm_session_get_info(s, &info, &golden_err));
            n_pages_most = info.n_pages > n_pages_most ? info.n_pages : n_pages_most;
            OK(slm_session_eval(other, ids, 32, SLM_LOGITS_LAST, &golden_err));
        }
        slm_generate_end(&g);
    }
    assert_true(n_pages_most > 2); /* drafts held some */
    assert_memory_equal(got, want, 17 * sizeof *want);
    slm_session_close(&s);
    slm_session_close(&other);
    slm_cache_close(&c);
    slm_model_close(&m);
}

/* In a batch they are asked for in vain. */
static void none_in_a_batch(void **state) {
    (void)state;
    slm_model *m = tiny_open(NULL, NULL);
    slm_batch *b = NULL;
    slm_request *r = NULL;
    const int32_t ids[] = {1, 260, 261, 260, 261, 260};
    slm_generate_options g = {.struct_size = sizeof g, .n_draft = 8, .max_tokens = 3};
    slm_request_options o = {.struct_size = sizeof o, .kind = SLM_REQUEST_TEXT, .ids = ids,
                             .n_ids = 6, .generate = &g};
    OK(slm_batch_open(m, NULL, &b, &golden_err));
    OK(slm_batch_add(b, &o, &r, &golden_err));
    g.n_draft = 33;
    REFUSED(slm_batch_add(b, &o, &r, &golden_err), SLM_ERR_RANGE, "n_draft: got 33");
    slm_batch_close(&b);
    slm_model_close(&m);
}

static void refuses(void **state) {
    (void)state;
    slm_model *m = tiny_open(NULL, NULL);
    slm_session *s = NULL;
    slm_generator *g = NULL;
    const int32_t ids[] = {1, 260, 261};
    slm_cache_options co = {.struct_size = sizeof co, .max_logits = 40};
    slm_generate_options o = {.struct_size = sizeof o, .n_draft = 2};
    OK(slm_session_open(m, NULL, &s, &golden_err));
    OK(slm_session_prompt(s, ids, 3, NULL, &golden_err));
    REFUSED(slm_generate_begin(s, &o, &g, &golden_err), SLM_ERR_RANGE, "n_draft: got 2",
            "max_logits = 1");
    assert_null(g);
    slm_session_close(&s);
    OK(slm_session_open(m, &co, &s, &golden_err));
    OK(slm_session_prompt(s, ids, 3, NULL, &golden_err));
    o.n_draft = 33;
    REFUSED(slm_generate_begin(s, &o, &g, &golden_err), SLM_ERR_RANGE, "n_draft: got 33", "32");
    o.n_draft = 32;
    OK(slm_generate_begin(s, &o, &g, &golden_err));
    slm_generate_end(&g);
    slm_session_close(&s);
    slm_model_close(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_answers),
        cmocka_unit_test(steps_without),
        cmocka_unit_test(others_get_their_pages),
        cmocka_unit_test(none_in_a_batch),
        cmocka_unit_test(refuses),
    };
    golden_need_data();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
