/* Structs that the library fills for older and newer callers: as far as their size goes, no further,
 * and a size that cannot be one is refused before anything happens. */
#include "api/tiny_group.h"

/* Fills the struct in *s at every size: nothing beyond the size is touched, what lies within is as
 * in the whole one, and a size that cannot be one is refused. used: where its last field ends. */
static void fill_at_every_size(size_t whole, size_t used, slm_status (*fill)(void *)) {
    slot s, full;
    uint32_t size = (uint32_t)whole;
    memset(full.bytes, 0, sizeof full.bytes);
    memcpy(full.bytes, &size, sizeof size);
    OK(fill(&full));
    for (size = 0; size <= whole + 24; size++) {
        memset(s.bytes, 0xa5, sizeof s.bytes);
        memcpy(s.bytes, &size, sizeof size);
        if (size < 4) {
            REFUSED(fill(&s), SLM_ERR_ARG, "struct_size");
        } else {
            OK(fill(&s));
            size_t n = size < used ? size : used;
            assert_memory_equal(s.bytes + 4, full.bytes + 4, n - 4);
        }
        assert_memory_equal(s.bytes, &size, sizeof size);
        for (size_t i = size < 4 ? 4 : size < whole ? size : whole; i < sizeof s.bytes; i++)
            assert_int_equal(s.bytes[i], 0xa5);
    }
}

static slm_session *watched;
static slm_cache *watched_cache;

static slm_status fill_model_info(void *p) { return slm_model_get_info(model, p, &golden_err); }
static slm_status fill_token_info(void *p) {
    return slm_model_get_token(model, 263, p, &golden_err);
}
static slm_status fill_session_info(void *p) {
    return slm_session_get_info(watched, p, &golden_err);
}
static slm_status fill_plan(void *p) { return slm_cache_plan(model, NULL, p, &golden_err); }
static slm_status fill_cache_plan(void *p) {
    return slm_cache_get_plan(watched_cache, p, &golden_err);
}
static slm_status fill_sampling(void *p) {
    slm_status status = slm_sampling_init(p);
    if (status != SLM_OK) { /* it takes no error */
        golden_err = (slm_error)SLM_ERROR_INIT;
        golden_err.status = status;
        snprintf(golden_err.message, sizeof golden_err.message, "struct_size");
    }
    return status;
}
static slm_status fill_model_sampling(void *p) {
    return slm_model_get_sampling(model, p, &golden_err);
}
static slm_status fill_profile(void *p) {
    return slm_device_profile_get(0, p, &golden_err);
}
static slm_status fill_prediction(void *p) {
    slm_device_profile device = {.struct_size = sizeof device};
    OK(slm_device_profile_get(0, &device, &golden_err));
    return slm_predict(model, &device, NULL, p, &golden_err);
}
static slm_status fill_cost(void *p) { return slm_predict_weights(model, 0, p, &golden_err); }
static slm_status fill_report(void *p) {
    OK(slm_session_truncate(watched, 0, &golden_err));
    OK(slm_session_eval(watched, some, 4, SLM_LOGITS_LAST, &golden_err));
    static const int32_t other[] = {1, 260, 260, 260, 260, 260};
    slm_status status = slm_session_prompt(watched, other, 6, p, &golden_err);
    assert_int_equal(held(watched), status == SLM_OK ? 6 : 4); /* refused before any effect */
    return status;
}
static slm_status fill_event(void *p) {
    slm_sampling greedy = {.struct_size = sizeof greedy};
    OK(slm_sampling_init(&greedy));
    greedy.temperature = 0;
    slm_generate_options o = {.struct_size = sizeof o, .sampling = &greedy, .n_top = 2,
                              .flags = SLM_GENERATE_IGNORE_END};
    static slm_session *session;
    static slm_generator *g; /* kept, so that the pointers in the event stay what they are */
    if (p == NULL) {
        slm_generate_end(&g);
        slm_session_close(&session);
        return SLM_OK;
    }
    if (session == NULL)
        session = session_with(3);
    slm_generate_end(&g);
    OK(slm_session_truncate(session, 3, &golden_err));
    OK(slm_session_eval(session, NULL, 0, SLM_LOGITS_LAST, &golden_err));
    OK(slm_generate_begin(session, &o, &g, &golden_err));
    slm_status status = slm_generate_next(g, p, &golden_err);
    assert_int_equal(held(session), status == SLM_OK ? 4 : 3); /* refused before any effect */
    return status;
}

static void infos(void **state) {
    (void)state;
    watched = session_with(5);
    OK(slm_cache_open(model, NULL, &watched_cache, &golden_err));
#define FILL(type, last, function) fill_at_every_size(sizeof(type), END(type, last), function)
    FILL(slm_model_info, cpu_levels, fill_model_info);
    FILL(slm_token_info, score, fill_token_info);
    FILL(slm_session_info, rope_factors, fill_session_info);
    FILL(slm_plan, n_threads, fill_plan);
    FILL(slm_plan, n_threads, fill_cache_plan);
    FILL(slm_device_profile, mode, fill_profile);
    FILL(slm_prediction, n_prompt, fill_prediction);
    FILL(slm_weight_cost, type, fill_cost);
    FILL(slm_sampling, order, fill_sampling);
    FILL(slm_sampling, order, fill_model_sampling);
    FILL(slm_prompt_report, n_evaluated, fill_report);
#undef FILL
    slm_cache_close(&watched_cache);
    slm_session_close(&watched);
}

/* The same for events; where a pointer leads may differ from one generator to the next. */
static void events(void **state) {
    (void)state;
    slm_event whole = {.struct_size = sizeof whole};
    OK(fill_event(&whole));
    assert_int_equal(whole.type, SLM_EVENT_TEXT);
    assert_int_equal(whole.n_top, 2);
    for (uint32_t size = 0; size <= sizeof whole + 24; size++) {
        slot s;
        slm_event ev;
        memset(s.bytes, 0xa5, sizeof s.bytes);
        memcpy(s.bytes, &size, sizeof size);
        if (size < 4) {
            REFUSED(fill_event(&s), SLM_ERR_ARG, "slm_event");
        } else {
            OK(fill_event(&s));
        }
        for (size_t i = size < 4 ? 4 : size < sizeof ev ? size : sizeof ev; i < sizeof s.bytes; i++)
            assert_int_equal(s.bytes[i], 0xa5);
        memcpy(&ev, s.bytes, sizeof ev);
#define SAME(field) assert_true(size < END(slm_event, field) || ev.field == whole.field)
        assert_int_equal(ev.struct_size, size);
        SAME(type);
        SAME(text_len);
        SAME(token);
        SAME(logprob);
        SAME(n_top);
        SAME(count);
        SAME(reason);
        SAME(forced);
        SAME(steps);
        SAME(drafted);
        if (size >= END(slm_event, top))
            assert_int_equal(ev.top[0].id, whole.token);
#undef SAME
    }
    (void)fill_event(NULL);
}

/* An error is never refused: it gets as much as it has room for, and its texts always end. */
static void errors(void **state) {
    (void)state;
    slm_error whole = SLM_ERROR_INIT;
    slm_cache_options bad = {.struct_size = sizeof bad, .page_tokens = 3};
    slm_plan plan = {.struct_size = sizeof plan};
    assert_int_equal(slm_cache_plan(model, &bad, &plan, &whole), SLM_ERR_RANGE);
    for (uint32_t size = 0; size <= sizeof whole + 24; size++) {
        slot s;
        slm_error e;
        memset(s.bytes, 0xa5, sizeof s.bytes);
        memcpy(s.bytes, &size, sizeof size);
        assert_int_equal(slm_cache_plan(model, &bad, &plan, (slm_error *)&s), SLM_ERR_RANGE);
        for (size_t i = size < 4 ? 4 : size < sizeof e ? size : sizeof e; i < sizeof s.bytes; i++)
            assert_int_equal(s.bytes[i], 0xa5);
        memcpy(&e, s.bytes, sizeof e);
        assert_int_equal(e.struct_size, size);
        if (size >= END(slm_error, status))
            assert_int_equal(e.status, SLM_ERR_RANGE);
        if (size >= END(slm_error, offset))
            assert_true(e.offset == UINT64_MAX);
        size_t subject = offsetof(slm_error, subject), message = offsetof(slm_error, message);
        if (size > subject)
            assert_non_null(memchr(e.subject, 0, size < message ? size - subject : 80));
        if (size >= message)
            assert_string_equal(e.subject, whole.subject);
        if (size > message)
            assert_non_null(memchr(e.message, 0, size < sizeof e ? size - message : 304));
        if (size > message + strlen(whole.message))
            assert_string_equal(e.message, whole.message);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(infos),
        cmocka_unit_test(events),
        cmocka_unit_test(errors),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
