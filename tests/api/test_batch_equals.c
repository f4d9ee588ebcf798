/* A request in a batch gets what it gets alone, bit for bit, in every family, whatever joins, leaves,
 * waits, is cancelled or loses its place beside it. */
#include "api/batch_group.h"
#include "support/below.h"

typedef struct subject {
    const char *dir, *gguf;
} subject;

/* One file a family: full attention, windows, LongRoPE, norms of queries, ternary weights, scans. */
static const subject subjects[] = {
    {"llama-1b-like", "llama-1b-like-q4_k_m.gguf"},
    {"phi3-mini-4k-like", "phi3-mini-4k-like-f32.gguf"},
    {"phi3-128k-like", "phi3-128k-like-f32.gguf"},
    {"qwen2-untied-like", "qwen2-untied-like-f16.gguf"},
    {"qwen3-like", "qwen3-like-bf16.gguf"},
    {"bitnet-like", "bitnet-like-i2_s.gguf"},
    {"golden-sambay/phi4flash-like:", "phi4flash-like-f32.gguf"},
};

enum { N_REQUESTS = 14, MAX_IDS = 150 };

typedef struct plan {
    slm_request_options options;
    slm_sampling sampling;
    slm_generate_options generate;
    slm_answer_options answer;
    slm_span stop;
    int32_t ids[MAX_IDS];
    uint32_t arrives, cancel_at; /* steps; 0: never */
    slm_request *request;
    outcome got, want;
} plan;

static slm_cache_options cache_options(void) {
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = 192, .page_tokens = 16,
                           .max_rows = 24, .n_threads = 2};
    return o;
}

static void make_sampling(slm_sampling *s) {
    s->struct_size = sizeof *s;
    OK(slm_sampling_init(s));
    s->seed = below(1000);
    s->temperature = below(3) == 0 ? 0 : 1.5f;
    s->top_k = (int32_t)below(60);
    s->repeat_penalty = below(2) == 0 ? 1 : 1.2f;
    s->presence_penalty = below(2) == 0 ? 0 : 0.5f;
}

/* Prompts have one of three beginnings, as those of one application have. */
static void make_plan(plan *p, uint32_t n_vocab, slm_guide *guide) {
    memset(p, 0, sizeof *p);
    uint32_t n = 1 + below(MAX_IDS - 1), shared = below(2) == 0 ? n : n / 2;
    uint64_t own = rng;
    rng = below(3);
    for (uint32_t i = 0; i < n; i++) {
        if (i == shared)
            rng = own;
        p->ids[i] = (int32_t)below(n_vocab);
    }
    rng = own + 1;
    make_sampling(&p->sampling);
    p->stop = (slm_span){"ee", 2, 0};
    p->generate = (slm_generate_options){.struct_size = sizeof p->generate,
                                         .max_tokens = 1 + below(40), .sampling = &p->sampling,
                                         .n_top = below(3), .stop = &p->stop,
                                         .n_stop = below(4) == 0};
    if (below(4) == 0)
        p->generate.guide = guide;
    p->answer = (slm_answer_options){.struct_size = sizeof p->answer, .generate = &p->generate,
                                     .flags = SLM_ANSWER_THINKING,
                                     .thinking_budget = below(2) == 0 ? 0 : 5};
    p->options = (slm_request_options){.struct_size = sizeof p->options, .ids = p->ids, .n_ids = n,
                                       .priority = (int32_t)below(3) - 1, .user = &p->got};
    p->options.flags = below(5) == 0 ? SLM_REQUEST_FORGET : 0;
    switch (below(6)) {
    case 0:
        p->options.kind = SLM_REQUEST_EMBED;
        p->options.pooling = (slm_pooling)below(2);
        break;
    case 1:
    case 2:
        p->options.kind = SLM_REQUEST_ANSWER;
        p->options.answer = &p->answer;
        break;
    default:
        p->options.kind = SLM_REQUEST_TEXT;
        p->options.generate = &p->generate;
        p->options.flags |= SLM_REQUEST_TOKENS;
    }
    p->arrives = below(30);
    p->cancel_at = below(6) == 0 ? p->arrives + below(20) : UINT32_MAX;
}

static void run_together(const subject *s, slm_model *model, plan *plans, int n_round,
                         slm_batch_info *sum) {
    slm_cache_options co = cache_options();
    slm_batch_options bo = {.struct_size = sizeof bo, .max_running = 3, .n_prefixes = 2,
                            .step_rows = 7, .cache = &co};
    slm_batch_info info = {.struct_size = sizeof info};
    slm_batch *b = NULL;
    size_t n_ended = 0;
    if (n_round % 2 == 1)
        co.n_cells = 256; /* less than three can need */
    if (n_round % 3 == 1)
        bo.n_prefixes = SLM_BATCH_NO_PREFIXES;
    if (n_round % 3 == 2)
        bo.step_rows = 0; /* by time */
    OK(slm_batch_open(model, &bo, &b, &golden_err));
    for (uint32_t step = 0; n_ended < N_REQUESTS; step++) {
        for (size_t i = 0; i < N_REQUESTS; i++) {
            if (plans[i].arrives == step)
                OK(slm_batch_add(b, &plans[i].options, &plans[i].request, &golden_err));
            if (plans[i].cancel_at == step)
                slm_request_cancel(plans[i].request);
        }
        OK(slm_batch_step(b, NULL, &golden_err));
        n_ended += pull_all(b);
        assert_true(step < 20000);
    }
    for (size_t i = 0; i < N_REQUESTS; i++) {
        same_outcome(s->gguf, i, &plans[i].got, &plans[i].want, plans[i].options.kind);
        slm_request_end(&plans[i].request);
    }
    OK(slm_batch_get_info(b, &info, &golden_err));
    assert_int_equal(info.n_waiting + info.n_running, 0);
    assert_true(bo.n_prefixes != SLM_BATCH_NO_PREFIXES || info.n_prefixes == 0);
    sum->n_reused += info.n_reused;
    sum->n_evicted += info.n_evicted;
    sum->n_preempted += info.n_preempted;
    slm_batch_close(&b);
}

static void equals_alone(void **state) {
    const subject *s = *state;
    static plan plans[N_REQUESTS];
    static const char grammar[] = "root ::= \"{\\\"city\\\": \\\"\" [a-z]* \"\\\"}\"";
    slm_model *model = golden_open(s->dir, s->gguf, 0);
    slm_model_info info = {.struct_size = sizeof info};
    slm_guide *guide = NULL;
    slm_cache_options co = cache_options();
    slm_batch_info sum = {.struct_size = sizeof sum};
    OK(slm_model_get_info(model, &info, &golden_err));
    OK(slm_guide_compile_gbnf(model, grammar, SLM_NTS, NULL, &guide, &golden_err));
#ifdef SLM_SLOW
    enum { N_ROUNDS = 3 };
#else
    enum { N_ROUNDS = 6 };
#endif
    for (int round = 0; round < N_ROUNDS; round++) {
        rng = 1234 + (uint64_t)round * 77;
        for (size_t i = 0; i < N_REQUESTS; i++) {
            make_plan(&plans[i], info.n_vocab, guide);
            run_alone(model, &co, &plans[i].options, &plans[i].want);
        }
        run_together(s, model, plans, round, &sum);
    }
    assert_true(sum.n_reused > 0 && sum.n_evicted > 0 && sum.n_preempted > 0);
    slm_guide_close(&guide);
    slm_model_close(&model);
}

int main(void) {
    enum { N = sizeof subjects / sizeof *subjects };
    struct CMUnitTest tests[N];
    golden_need_data();
    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){subjects[i].gguf, equals_alone, NULL, NULL,
                                       (void *)(uintptr_t)&subjects[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
