/* Generation by pulling events: how it ends, what it reports, what it leaves in the session. */
#include "api/stories_group.h"

#include <math.h>

static slm_error err = SLM_ERROR_INIT;

static int open_and_prompt(void **state) {
    set_up(state);
    OK(slm_session_prompt(session, prompt, 5, NULL, &golden_err));
    return 0;
}

static slm_sampling greedy(void) {
    slm_sampling s = {.struct_size = sizeof s};
    OK(slm_sampling_init(&s));
    s.temperature = 0;
    return s;
}

typedef struct answer {
    char text[8192];
    size_t len, n_tokens;
    slm_end_reason reason;
    int32_t last;
} answer;

static answer generate(const slm_generate_options *o) {
    answer a = {.reason = SLM_END_NONE};
    slm_generator *g = NULL;
    slm_event ev = {.struct_size = sizeof ev};
    OK(slm_generate_begin(session, o, &g, &golden_err));
    do {
        OK(slm_generate_next(g, &ev, &golden_err));
        assert_true(a.len + ev.text_len < sizeof a.text);
        memcpy(a.text + a.len, ev.text, ev.text_len);
        a.len += ev.text_len;
        a.n_tokens += ev.type == SLM_EVENT_TEXT;
    } while (ev.type != SLM_EVENT_END);
    a.reason = ev.reason;
    a.last = ev.token;
    OK(slm_generate_next(g, &ev, &golden_err)); /* again and again the end */
    assert_int_equal(ev.type, SLM_EVENT_END);
    assert_int_equal(ev.reason, a.reason);
    assert_int_equal(ev.text_len, 0);
    slm_generate_end(&g);
    assert_null(g);
    return a;
}

static size_t held(void) {
    const int32_t *ids;
    size_t n;
    OK(slm_session_get_tokens(session, &ids, &n, &golden_err));
    return n;
}

static void length(void **state) {
    (void)state;
    slm_sampling s = greedy();
    slm_generate_options o = {.struct_size = sizeof o, .max_tokens = 8, .sampling = &s};
    answer a = generate(&o);
    assert_int_equal(a.reason, SLM_END_LENGTH);
    assert_int_equal(a.n_tokens, 8);
    assert_int_equal(held(), 13);
    answer b = generate(&o); /* the session goes on where it was, the last token is pending */
    assert_int_equal(b.n_tokens, 8);
    assert_int_equal(held(), 21);
    OK(slm_session_prompt(session, prompt, 5, NULL, &golden_err));
    o.max_tokens = 16;
    answer whole = generate(&o);
    assert_int_equal(whole.len, a.len + b.len);
    assert_memory_equal(whole.text, a.text, a.len);
    assert_memory_equal(whole.text + a.len, b.text, b.len);
}

static void stop_texts(void **state) {
    (void)state;
    slm_sampling s = greedy();
    slm_generate_options o = {.struct_size = sizeof o, .max_tokens = 60, .sampling = &s};
    answer whole = generate(&o);
    whole.text[whole.len] = 0;
    static const char *const texts[] = {"Lily", "y. She", "outside in the p", "d to play"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        OK(slm_session_prompt(session, prompt, 5, NULL, &golden_err));
        const char *at = strstr(whole.text, texts[i]);
        assert_non_null(at);
        slm_span stops[] = {{"never in a story", SLM_NTS, 0}, {texts[i], strlen(texts[i]), 0}};
        o.stop = stops;
        o.n_stop = 2;
        answer a = generate(&o);
        assert_int_equal(a.reason, SLM_END_STOP);
        assert_int_equal(a.len, at - whole.text);
        assert_memory_equal(a.text, whole.text, a.len);
    }
    /* the beginning of a stop text at the end of the answer is not lost */
    slm_span stop = {"named Lily? No", SLM_NTS, 0};
    for (o.max_tokens = 1; o.max_tokens < 30; o.max_tokens++) {
        OK(slm_session_prompt(session, prompt, 5, NULL, &golden_err));
        o.stop = NULL;
        o.n_stop = 0;
        answer free_run = generate(&o);
        OK(slm_session_prompt(session, prompt, 5, NULL, &golden_err));
        o.stop = &stop;
        o.n_stop = 1;
        answer a = generate(&o);
        assert_int_equal(a.len, free_run.len);
        assert_memory_equal(a.text, free_run.text, a.len);
    }
}

static void context_end(void **state) {
    (void)state;
    slm_sampling s = greedy();
    slm_generate_options o = {.struct_size = sizeof o, .sampling = &s,
                              .flags = SLM_GENERATE_IGNORE_END};
    answer a = generate(&o);
    assert_int_equal(a.reason, SLM_END_CONTEXT);
    assert_int_equal(held(), 512);
    assert_int_equal(a.n_tokens, 507);
    OK(slm_session_truncate(session, 100, &golden_err)); /* usable as ever */
    o.max_tokens = 3;
    assert_int_equal(generate(&o).reason, SLM_END_LENGTH);
}

static void end_token(void **state) {
    (void)state;
    slm_logit_bias bias = {2, 1000.0f}; /* </s> */
    slm_sampling s = greedy();
    s.logit_bias = &bias;
    s.n_logit_bias = 1;
    slm_generate_options o = {.struct_size = sizeof o, .max_tokens = 5, .sampling = &s};
    answer a = generate(&o);
    assert_int_equal(a.reason, SLM_END_TOKEN);
    assert_int_equal(a.last, 2);
    assert_int_equal(a.n_tokens, 0);
    assert_int_equal(held(), 5); /* it is not added */
    o.flags = SLM_GENERATE_IGNORE_END | SLM_GENERATE_SPECIAL;
    a = generate(&o);
    assert_int_equal(a.reason, SLM_END_LENGTH);
    assert_int_equal(a.len, 5 * 4);
    assert_memory_equal(a.text, "</s></s></s></s></s>", a.len);
}

static void busy(void **state) {
    (void)state;
    slm_generator *g = NULL, *second = (slm_generator *)&err;
    slm_session *f = NULL;
    const int32_t id = 5;
    OK(slm_generate_begin(session, NULL, &g, &golden_err));
    assert_int_equal(slm_generate_begin(session, NULL, &second, &err), SLM_ERR_BUSY);
    assert_null(second);
    assert_non_null(strstr(err.message, "generator"));
    assert_int_equal(slm_session_eval(session, &id, 1, 0, &err), SLM_ERR_BUSY);
    assert_int_equal(slm_session_prompt(session, &id, 1, NULL, &err), SLM_ERR_BUSY);
    assert_int_equal(slm_session_truncate(session, 0, &err), SLM_ERR_BUSY);
    assert_int_equal(slm_session_fork(session, &f, &err), SLM_ERR_BUSY);
    slm_generate_end(&g);
    OK(slm_session_truncate(session, 0, &golden_err));
    assert_int_equal(slm_generate_begin(session, NULL, &g, &err), SLM_ERR_ARG);
    assert_non_null(strstr(err.message, "no tokens"));
    OK(slm_session_eval(session, &id, 1, 0, &golden_err));
    OK(slm_generate_begin(session, NULL, &g, &golden_err));
    slm_event ev = {.struct_size = sizeof ev};
    OK(slm_generate_next(g, &ev, &golden_err));
    slm_session_close(&session); /* under the generator */
    assert_int_equal(slm_generate_next(g, &ev, &err), SLM_ERR_ARG);
    assert_non_null(strstr(err.message, "closed"));
    slm_model_close(&model);
    slm_generate_end(&g);
}

static void cancelled(void **state) {
    (void)state;
    slm_sampling s = greedy();
    slm_generate_options o = {.struct_size = sizeof o, .max_tokens = 12, .sampling = &s};
    answer whole = generate(&o), parts = {.len = 0};
    OK(slm_session_prompt(session, prompt, 5, NULL, &golden_err));
    slm_generator *g = NULL;
    slm_event ev = {.struct_size = sizeof ev};
    OK(slm_generate_begin(session, &o, &g, &golden_err));
    for (int i = 0; ev.type != SLM_EVENT_END; i++) {
        if (i % 3 == 1) { /* an interruption costs nothing */
            slm_session_cancel(session);
            assert_int_equal(slm_generate_next(g, &ev, &err), SLM_ERR_CANCEL);
        }
        OK(slm_generate_next(g, &ev, &golden_err));
        memcpy(parts.text + parts.len, ev.text, ev.text_len);
        parts.len += ev.text_len;
    }
    slm_generate_end(&g);
    assert_int_equal(parts.len, whole.len);
    assert_memory_equal(parts.text, whole.text, whole.len);
}

static void probabilities(void **state) {
    (void)state;
    slm_sampling s = greedy();
    slm_generate_options o = {.struct_size = sizeof o, .sampling = &s, .n_top = 64};
    const float *logits;
    OK(slm_session_get_logits(session, 0, &logits, &golden_err));
    double sum = 0, max = -INFINITY;
    for (int i = 0; i < 512; i++)
        max = fmax(max, (double)logits[i]);
    for (int i = 0; i < 512; i++)
        sum += exp((double)logits[i] - max);
    slm_generator *g = NULL;
    slm_event ev = {.struct_size = sizeof ev};
    OK(slm_generate_begin(session, &o, &g, &golden_err));
    OK(slm_generate_next(g, &ev, &golden_err));
    assert_int_equal(ev.n_top, 64);
    assert_int_equal(ev.top[0].id, ev.token);
    assert_true(ev.top[0].logprob == ev.logprob);
    for (size_t i = 0; i < ev.n_top; i++) {
        double want = (double)logits[ev.top[i].id] - max - log(sum);
        assert_true(fabs(want - (double)ev.top[i].logprob) < 1e-5);
        assert_true(i == 0 || ev.top[i].logprob <= ev.top[i - 1].logprob);
    }
    slm_generate_end(&g);
}

static void seeds(void **state) {
    (void)state;
    slm_sampling s = {.struct_size = sizeof s};
    OK(slm_sampling_init(&s));
    s.temperature = 1.5f;
    slm_generate_options o = {.struct_size = sizeof o, .max_tokens = 40, .sampling = &s};
    answer runs[4];
    static const uint64_t seed[4] = {1, 2, 1, 2};
    for (int i = 0; i < 4; i++) {
        OK(slm_session_prompt(session, prompt, 5, NULL, &golden_err));
        s.seed = seed[i];
        runs[i] = generate(&o);
    }
    assert_int_equal(runs[0].len, runs[2].len);
    assert_memory_equal(runs[0].text, runs[2].text, runs[0].len);
    assert_memory_equal(runs[1].text, runs[3].text, runs[1].len);
    assert_true(runs[0].len != runs[1].len || memcmp(runs[0].text, runs[1].text, runs[0].len) != 0);
}

/* A stream of ids with control tokens in their middle reads as the whole does. */
static void stream_of_text(void **state) {
    (void)state;
    static const int32_t ids[] = {1, 403, 407, 1, 403, 407};
    for (uint32_t flags = 0; flags < 4; flags++) {
        slm_detokenizer *d = NULL;
        char whole[64], parts[64];
        size_t n_whole, n = 0;
        OK(slm_detokenize(model, ids, 6, flags, whole, sizeof whole, &n_whole, &golden_err));
        OK(slm_detokenizer_open(model, flags, &d, &golden_err));
        for (size_t i = 0; i <= 6; i++) {
            const char *text;
            size_t len;
            if (i < 6)
                OK(slm_detokenizer_feed(d, ids[i], &text, &len, &golden_err));
            else
                OK(slm_detokenizer_finish(d, &text, &len, &golden_err));
            memcpy(parts + n, text, len);
            n += len;
        }
        assert_int_equal(n, n_whole);
        assert_memory_equal(parts, whole, n);
        if (flags == SLM_DETOKENIZE_DROP_SPACE) {
            assert_int_equal(n, strlen("Once uponOnce upon"));
            assert_memory_equal(parts, "Once uponOnce upon", n);
        }
        slm_detokenizer_close(&d);
    }
}

static void bad_options(void **state) {
    (void)state;
    slm_generator *g = NULL;
    slm_sampling s = greedy();
    slm_generate_options o = {.struct_size = sizeof o, .sampling = &s, .n_top = 65};
    assert_int_equal(slm_generate_begin(session, &o, &g, &err), SLM_ERR_RANGE);
    assert_non_null(strstr(err.message, "n_top: got 65"));
    o = (slm_generate_options){.struct_size = sizeof o, .flags = 1u << 9};
    assert_int_equal(slm_generate_begin(session, &o, &g, &err), SLM_ERR_ARG);
    o = (slm_generate_options){.struct_size = sizeof o, .n_stop = 1};
    assert_int_equal(slm_generate_begin(session, &o, &g, &err), SLM_ERR_ARG);
    slm_span empty = {"", 0, 0};
    o.stop = &empty;
    assert_int_not_equal(slm_generate_begin(session, &o, &g, &err), SLM_OK);
    s.top_p = NAN;
    o = (slm_generate_options){.struct_size = sizeof o, .sampling = &s};
    assert_int_equal(slm_generate_begin(session, &o, &g, &err), SLM_ERR_RANGE);
    assert_non_null(strstr(err.message, "top_p"));
    assert_null(g);
    slm_generate_options ok = {.struct_size = sizeof ok, .max_tokens = 1};
    generate(&ok); /* none of it hurt */
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, open_and_prompt, tear_down)
    const struct CMUnitTest tests[] = {
        T(length), T(stop_texts), T(context_end), T(end_token),   T(busy),
        T(cancelled), T(probabilities), T(seeds), T(stream_of_text), T(bad_options),
    };
    golden_need_data();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
