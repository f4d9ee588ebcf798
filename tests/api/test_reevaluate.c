/* Tokens that are evaluated again: what makes it necessary, who says so, and that the answer is the
 * one that the tokens alone call for. */
#include "api/tiny_open.h"

static slm_sampling greedy(void) {
    slm_sampling s = {.struct_size = sizeof s};
    OK(slm_sampling_init(&s));
    s.temperature = 0;
    return s;
}

/* An answer that grows past the original context of a LongRoPE model says so, once, and is then
 * what it would have been with long factors from the start. */
static void rope_event(void **state) {
    (void)state;
    slm_model *m = golden_open("phi4-mini-like", "phi4-mini-like-f32.gguf", 0);
    slm_session *s = NULL;
    slm_generator *g = NULL;
    slm_event ev = {.struct_size = sizeof ev};
    int32_t ids[60];
    for (int i = 0; i < 60; i++)
        ids[i] = 7 + i * 3;
    OK(slm_session_open(m, NULL, &s, &golden_err));
    OK(slm_session_prompt(s, ids, 60, NULL, &golden_err));
    slm_sampling greedy_sampling = greedy();
    slm_generate_options o = {.struct_size = sizeof o, .max_tokens = 20,
                              .sampling = &greedy_sampling, .flags = SLM_GENERATE_IGNORE_END};
    OK(slm_generate_begin(s, &o, &g, &golden_err));
    int n_events = 0, n_tokens = 0;
    while (ev.type != SLM_EVENT_END) {
        OK(slm_generate_next(g, &ev, &golden_err));
        n_tokens += ev.type == SLM_EVENT_TEXT;
        if (ev.type == SLM_EVENT_REEVALUATED) {
            n_events++;
            assert_int_equal(n_tokens, 5); /* 60 + 5 is the first length above 64 */
            assert_int_equal(ev.count, 64);
        }
    }
    assert_int_equal(n_events, 1);
    assert_int_equal(n_tokens, 20);
    slm_generate_end(&g);
    const int32_t *held_ids;
    size_t n;
    const float *a, *b;
    OK(slm_session_eval(s, NULL, 0, SLM_LOGITS_LAST, &golden_err));
    OK(slm_session_get_tokens(s, &held_ids, &n, &golden_err));
    OK(slm_session_get_logits(s, 0, &a, &golden_err));
    slm_cache_options co = {.struct_size = sizeof co, .rope_factors = SLM_ROPE_LONG};
    slm_session *from_start = NULL;
    OK(slm_session_open(m, &co, &from_start, &golden_err));
    OK(slm_session_prompt(from_start, held_ids, n, NULL, &golden_err));
    OK(slm_session_get_logits(from_start, 0, &b, &golden_err));
    assert_memory_equal(a, b, 320 * sizeof *a);
    slm_session_close(&s);
    slm_session_close(&from_start);
    slm_model_close(&m);
}

/* Long factors give way to the short ones when a truncation leaves little: that is an event too. */
static void rope_event_back(void **state) {
    (void)state;
    slm_model *m = golden_open("phi4-mini-like", "phi4-mini-like-f32.gguf", 0);
    slm_session *s = NULL;
    slm_generator *g = NULL;
    slm_event ev = {.struct_size = sizeof ev};
    slm_session_info info = {.struct_size = sizeof info};
    int32_t ids[80];
    for (int i = 0; i < 80; i++)
        ids[i] = 7 + i * 3;
    OK(slm_session_open(m, NULL, &s, &golden_err));
    OK(slm_session_prompt(s, ids, 80, NULL, &golden_err));
    OK(slm_session_get_info(s, &info, &golden_err));
    assert_int_equal(info.rope_factors, SLM_ROPE_LONG);
    OK(slm_session_truncate(s, 40, &golden_err));
    OK(slm_generate_begin(s, NULL, &g, &golden_err));
    OK(slm_generate_next(g, &ev, &golden_err));
    assert_int_equal(ev.type, SLM_EVENT_REEVALUATED);
    assert_int_equal(ev.count, 40);
    assert_int_equal(ev.token, -1);
    assert_int_equal(ev.text_len, 0);
    OK(slm_generate_next(g, &ev, &golden_err));
    assert_int_equal(ev.type, SLM_EVENT_TEXT);
    assert_int_equal(ev.count, 1);
    OK(slm_session_get_info(s, &info, &golden_err));
    assert_int_equal(info.rope_factors, SLM_ROPE_SHORT);
    assert_int_equal(info.n_reevaluated, 40);
    slm_generate_end(&g);
    slm_session_close(&s);
    slm_model_close(&m);
}

/* The options of a session and of a cache say which factors, from the size that has room for it. */
static void rope_options(void **state) {
    (void)state;
    slm_model *m = golden_open("phi4-mini-like", "phi4-mini-like-f32.gguf", 0);
    slm_session_info info = {.struct_size = sizeof info};
    for (int covered = 0; covered < 2; covered++) {
        slm_cache *c = NULL;
        slm_session *s = NULL;
        slm_cache_options co = {
            .struct_size = offsetof(slm_cache_options, rope_factors) + (covered ? 4 : 0),
            .rope_factors = SLM_ROPE_LONG};
        slm_session_options so = {.struct_size = covered ? sizeof so : 4,
                                  .rope_factors = SLM_ROPE_LONG};
        slm_rope_factors want = covered ? SLM_ROPE_LONG : SLM_ROPE_SHORT;
        OK(slm_session_open(m, &co, &s, &golden_err));
        OK(slm_session_get_info(s, &info, &golden_err));
        assert_int_equal(info.rope_factors, want);
        slm_session_close(&s);
        OK(slm_cache_open(m, NULL, &c, &golden_err));
        OK(slm_session_open_on(c, &so, &s, &golden_err));
        OK(slm_session_get_info(s, &info, &golden_err));
        assert_int_equal(info.rope_factors, want);
        slm_session_close(&s);
        slm_cache_close(&c);
    }
    slm_model_close(&m);
}

/* Keys that had left the sliding window are made again, which is said, and the answer is that of a
 * session which never held more. */
static void window_event(void **state) {
    (void)state;
    slm_model *m = golden_open("phi3-mini-4k-like", "phi3-mini-4k-like-f32.gguf", 0);
    slm_cache_options co = {.struct_size = sizeof co, .page_tokens = 16, .max_sessions = 2};
    slm_cache *c = NULL;
    slm_session *s = NULL, *fresh = NULL;
    slm_generator *g = NULL;
    slm_event ev = {.struct_size = sizeof ev};
    slm_prompt_report report = {.struct_size = sizeof report};
    int32_t ids[460];
    for (int i = 0; i < 460; i++)
        ids[i] = 3 + i * 7 % 280;
    OK(slm_cache_open(m, &co, &c, &golden_err));
    OK(slm_session_open_on(c, NULL, &s, &golden_err));
    OK(slm_session_open_on(c, NULL, &fresh, &golden_err));
    slm_sampling greedy_sampling = greedy();
    slm_generate_options o = {.struct_size = sizeof o, .sampling = &greedy_sampling,
                              .flags = SLM_GENERATE_IGNORE_END};
    OK(slm_session_prompt(fresh, ids, 100, NULL, &golden_err));
    OK(slm_generate_begin(fresh, &o, &g, &golden_err));
    OK(slm_generate_next(g, &ev, &golden_err));
    assert_int_equal(ev.type, SLM_EVENT_TEXT);
    int32_t wanted = ev.token;
    float logprob = ev.logprob;
    slm_generate_end(&g);
    for (int way = 0; way < 2; way++) {
        OK(slm_session_prompt(s, ids, 460, &report, &golden_err));
        if (way == 0) {
            OK(slm_session_truncate(s, 100, &golden_err));
        } else { /* the same by a prompt, which tells it in its report */
            OK(slm_session_prompt(s, ids, 100, &report, &golden_err));
            assert_int_equal(report.reuse_stop, SLM_REUSE_WINDOW);
            assert_int_equal(report.n_reused, 0);
            assert_int_equal(report.n_evaluated, 100);
        }
        OK(slm_generate_begin(s, &o, &g, &golden_err));
        OK(slm_generate_next(g, &ev, &golden_err));
        if (way == 0) {
            assert_int_equal(ev.type, SLM_EVENT_REEVALUATED);
            assert_int_equal(ev.count, 100);
            OK(slm_generate_next(g, &ev, &golden_err));
        }
        assert_int_equal(ev.type, SLM_EVENT_TEXT);
        assert_int_equal(ev.token, wanted);
        assert_true(ev.logprob == logprob);
        slm_generate_end(&g);
    }
    /* Nothing is said where the keys are still there. */
    OK(slm_session_truncate(s, 90, &golden_err));
    OK(slm_generate_begin(s, &o, &g, &golden_err));
    OK(slm_generate_next(g, &ev, &golden_err));
    assert_int_equal(ev.type, SLM_EVENT_TEXT);
    slm_generate_end(&g);
    slm_session_close(&s);
    slm_session_close(&fresh);
    slm_cache_close(&c);
    slm_model_close(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rope_event),
        cmocka_unit_test(rope_event_back),
        cmocka_unit_test(rope_options),
        cmocka_unit_test(window_event),
    };
    golden_need_data();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
