/* Generation under a guide: every answer is one of its texts, chosen as by hand. */
#include "api/stories_group.h"
#include "api/tiny_open.h"
#include "support/fail_alloc.h"

#include <math.h>

static const char schema[] =
    "{\"type\":\"object\",\"properties\":{\"who\":{\"type\":\"string\",\"maxLength\":9},"
    "\"n\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":30},\"tags\":{\"type\":\"array\","
    "\"maxItems\":2,"
    "\"items\":{\"enum\":[\"big\",\"red\",\"old\"]}}},\"required\":[\"who\",\"n\",\"tags\"],"
    "\"additionalProperties\":false}";

typedef struct answer {
    char text[4096];
    size_t len, n_tokens;
    slm_end_reason reason;
} answer;

static answer generate(slm_guide *guide, float temperature, uint64_t seed, uint64_t max_tokens) {
    answer a = {.reason = SLM_END_NONE};
    slm_sampling s = {.struct_size = sizeof s};
    slm_generator *g = NULL;
    slm_event ev = {.struct_size = sizeof ev};
    OK(slm_sampling_init(&s));
    s.temperature = temperature;
    s.seed = seed;
    slm_generate_options o = {
        .struct_size = sizeof o, .sampling = &s, .guide = guide, .max_tokens = max_tokens};
    OK(slm_session_prompt(session, prompt, 5, NULL, &golden_err));
    OK(slm_generate_begin(session, &o, &g, &golden_err));
    do {
        OK(slm_generate_next(g, &ev, &golden_err));
        assert_true(a.len + ev.text_len < sizeof a.text);
        memcpy(a.text + a.len, ev.text, ev.text_len);
        a.len += ev.text_len;
        a.n_tokens += ev.type == SLM_EVENT_TEXT;
    } while (ev.type != SLM_EVENT_END);
    a.reason = ev.reason;
    slm_generate_end(&g);
    return a;
}

static slm_match match(slm_guide *guide, const answer *a) {
    slm_match m;
    OK(slm_guide_match(guide, a->text, a->len, &m, &golden_err));
    return m;
}

static void follows_the_schema(void **state) {
    (void)state;
    slm_guide *guide;
    OK(slm_guide_compile_json_schema(model, schema, SLM_NTS, NULL, &guide, &golden_err));
    for (uint64_t seed = 1; seed <= 12; seed++) {
        answer a = generate(guide, seed % 3 == 0 ? 0.0f : (float)seed / 4, seed, 0);
        assert_int_equal(a.reason,
                         SLM_END_GUIDE); /* no end token is asked for behind the last brace */
        assert_int_equal(match(guide, &a), SLM_MATCH_WHOLE);
        answer cut = generate(guide, 1, seed, 5);
        assert_int_equal(cut.reason, SLM_END_LENGTH);
        assert_int_not_equal(match(guide, &cut), SLM_MATCH_NONE);
    }
    slm_guide_close(&guide);
}

/* Where the text may end or go on, the model decides. */
static void ends_by_the_model(void **state) {
    (void)state;
    slm_guide *guide;
    OK(slm_guide_compile_gbnf(model, "root ::= [a-z]+ (\" \" [a-z]+)*", SLM_NTS, NULL, &guide,
                              &golden_err));
    answer a = generate(guide, 0, 0, 40);
    assert_true(a.reason == SLM_END_LENGTH || a.reason == SLM_END_TOKEN);
    assert_true(a.len > 0);
    assert_int_not_equal(match(guide, &a), SLM_MATCH_NONE);
    slm_guide_close(&guide);
    OK(slm_guide_compile_gbnf(model, "root ::= \"\"", SLM_NTS, NULL, &guide, &golden_err));
    a = generate(guide, 0, 0, 40);
    assert_int_equal(a.reason, SLM_END_GUIDE);
    assert_int_equal(a.n_tokens, 0);
    slm_guide_close(&guide);
}

/* The best of the allowed tokens, by a matcher and the session's logits. */
static void chosen_by_hand(void **state) {
    (void)state;
    slm_guide *guide;
    slm_matcher *m;
    char text[4096];
    size_t len = 0, n_words;
    OK(slm_guide_compile_json_schema(model, schema, SLM_NTS, NULL, &guide, &golden_err));
    answer a = generate(guide, 0, 0, 0);
    OK(slm_matcher_open(guide, &m, &golden_err));
    OK(slm_session_prompt(session, prompt, 5, NULL, &golden_err));
    for (;;) {
        slm_matcher_info info = {.struct_size = sizeof info};
        const uint64_t *bits;
        const float *logits;
        int32_t best = -1;
        OK(slm_matcher_get_info(m, &info, &golden_err));
        if (info.must_end)
            break;
        OK(slm_matcher_get_mask(m, &bits, &n_words, &golden_err));
        OK(slm_session_get_logits(session, 0, &logits, &golden_err));
        for (int32_t id = 0; (size_t)id < n_words * 64; id++)
            if (bits[id / 64] >> (id % 64) & 1 && (best < 0 || logits[id] > logits[best]))
                best = id;
        assert_true(best >= 0);
        OK(slm_matcher_accept(m, best, &golden_err));
        OK(slm_session_eval(session, &best, 1, SLM_LOGITS_LAST, &golden_err));
        size_t more = 0;
        OK(slm_detokenize(model, &best, 1, 0, text + len, sizeof text - len, &more, &golden_err));
        len += more;
    }
    assert_int_equal(len, a.len);
    assert_memory_equal(text, a.text, len);
    slm_matcher_close(&m);
    slm_guide_close(&guide);
}

/* A lazy guide leaves the text alone until its trigger, and holds what comes after it. */
static void wakes_up(void **state) {
    (void)state;
    slm_guide *guide;
    slm_span trigger = {"e", 1, 0};
    slm_guide_options o = {.struct_size = sizeof o, .triggers = &trigger, .n_triggers = 1};
    OK(slm_guide_compile_gbnf(model, "root ::= \"-\" [0-9]{3}", SLM_NTS, &o, &guide, &golden_err));
    for (uint64_t seed = 1; seed < 6; seed++) {
        answer a = generate(guide, 0.7f, seed, 100);
        assert_int_equal(a.reason, SLM_END_GUIDE);
        assert_int_equal(match(guide, &a), SLM_MATCH_WHOLE);
        assert_ptr_equal(memchr(a.text, 'e', a.len), a.text + a.len - 5);
    }
    slm_guide_close(&guide);
}

/* With a vocabulary of byte-level BPE, the names of members are not sampled. The session is in the
 * same state as one that was given the tokens. */
static void forced_tokens(void **state) {
    (void)state;
    static const char long_names[] = "{\"type\":\"object\",\"properties\":{\"serial_number_of_the_"
                                     "device\":{\"enum\":[\"lamp\",\"heater\"]},"
                                     "\"temperature_in_degrees\":{\"type\":\"integer\"}},"
                                     "\"required\":[\"serial_number_of_the_device\",\"temperature_"
                                     "in_degrees\"],\"additionalProperties\":false}";
    slm_model *m = NULL;
    slm_session *s = NULL, *fresh = NULL;
    slm_guide *guide;
    slm_generator *g;
    slm_cache_options co = {.struct_size = sizeof co, .n_threads = 1};
    slm_span text = {"Hello", 5, 0};
    int32_t ids[64];
    size_t n, n_forced = 0, n_run = 0;
    OK(slm_model_open(SLM_SOURCE_DIR "/examples/models/hearth.gguf", NULL, &m, &golden_err));
    OK(slm_session_open(m, &co, &s, &golden_err));
    OK(slm_session_open(m, &co, &fresh, &golden_err));
    OK(slm_tokenize(m, &text, 1, SLM_BOS_DEFAULT, ids, 64, &n, &golden_err));
    OK(slm_guide_compile_json_schema(m, long_names, SLM_NTS, NULL, &guide, &golden_err));
    for (uint64_t seed = 1; seed <= 6; seed++) {
        slm_sampling sampling = {.struct_size = sizeof sampling};
        slm_event ev = {.struct_size = sizeof ev};
        answer a = {.reason = SLM_END_NONE};
        OK(slm_sampling_init(&sampling));
        sampling.seed = seed;
        slm_generate_options o = {
            .struct_size = sizeof o, .sampling = &sampling, .guide = guide, .max_tokens = 60};
        OK(slm_session_prompt(s, ids, n, NULL, &golden_err));
        OK(slm_generate_begin(s, &o, &g, &golden_err));
        size_t n_before = n_forced;
        do {
            OK(slm_generate_next(g, &ev, &golden_err));
            memcpy(a.text + a.len, ev.text, ev.text_len);
            a.len += ev.text_len;
            n_run = ev.type == SLM_EVENT_TEXT && ev.logprob == 0 && ev.n_top == 0 ? n_run + 1 : 0;
            n_forced += n_run > 0;
        } while (ev.type != SLM_EVENT_END);
        slm_generate_end(&g);
        assert_int_not_equal(match(guide, &a), SLM_MATCH_NONE);
        /* A token that was sampled with no other allowed has the logprob of a forced one. */
        assert_in_range(ev.forced, 3, n_forced - n_before);

        const int32_t *held_ids;
        const float *got, *wanted;
        size_t n_held;
        slm_model_info info = {.struct_size = sizeof info};
        OK(slm_model_get_info(m, &info, &golden_err));
        OK(slm_session_get_tokens(s, &held_ids, &n_held, &golden_err));
        OK(slm_session_truncate(fresh, 0, &golden_err));
        for (size_t i = 0; i < n_held; i++)
            OK(slm_session_eval(fresh, held_ids + i, 1, SLM_LOGITS_LAST, &golden_err));
        OK(slm_session_eval(s, NULL, 0, SLM_LOGITS_LAST, &golden_err));
        OK(slm_session_get_logits(s, 0, &got, &golden_err));
        OK(slm_session_get_logits(fresh, 0, &wanted, &golden_err));
        assert_memory_equal(got, wanted, info.n_vocab * sizeof *got);
    }
    assert_in_range(n_forced, 3 * 6, 60 * 6);
    slm_guide_close(&guide);
    slm_session_close(&s);
    slm_session_close(&fresh);
    slm_model_close(&m);
}

static void refused_guides(void **state) {
    (void)state;
    slm_guide *other = NULL;
    slm_generator *g = NULL;
    slm_model *tiny = tiny_open(NULL, NULL);
    slm_generate_options o = {.struct_size = sizeof o};
    OK(slm_session_prompt(session, prompt, 5, NULL, &golden_err));
    OK(slm_guide_compile_gbnf(NULL, "root ::= \"a\"", SLM_NTS, NULL, &other, &golden_err));
    o.guide = other;
    REFUSED(slm_generate_begin(session, &o, &g, &golden_err), SLM_ERR_ARG, "guide");
    slm_guide_close(&other);
    OK(slm_guide_compile_gbnf(tiny, "root ::= \"a\"", SLM_NTS, NULL, &other, &golden_err));
    slm_model_close(&tiny); /* the guide keeps it */
    o.guide = other;
    REFUSED(slm_generate_begin(session, &o, &g, &golden_err), SLM_ERR_ARG, "guide");
    slm_guide_close(&other);
}

/* Memory is refused at each place in turn. */
static void refused_memory(void **state) {
    (void)state;
    fail_alloc fa = FAIL_ALLOC_INIT;
    int reached = 1;
    for (fa.fail_at = 1; reached; fa.fail_at++) {
        slm_allocator a = fail_alloc_start(&fa);
        slm_model_options mo = {.struct_size = sizeof mo, .allocator = &a};
        slm_model *m = NULL;
        slm_guide *guide = NULL;
        slm_matcher *matcher = NULL;
        const uint64_t *bits;
        size_t n_words;
        mo.flags = SLM_MODEL_VOCAB_ONLY;
        slm_status status = tiny_try(NULL, &mo, &m);
        if (status == SLM_OK)
            status = slm_guide_compile_json_schema(m, schema, SLM_NTS, NULL, &guide, &golden_err);
        if (status == SLM_OK)
            status = slm_matcher_open(guide, &matcher, &golden_err);
        if (status == SLM_OK)
            status = slm_matcher_accept_bytes(matcher, "{\"who\": \"", 9, &golden_err);
        if (status == SLM_OK)
            status = slm_matcher_get_mask(matcher, &bits, &n_words, &golden_err);
        reached =
            fa.calls >= fa.fail_at; /* what only saves memory may be refused without a failure */
        assert_true(status == SLM_OK || (reached && status == SLM_ERR_NOMEM));
        slm_matcher_close(&matcher);
        slm_guide_close(&guide);
        slm_model_close(&m);
        assert_int_equal(fa.outstanding, 0);
    }
    assert_true(fa.fail_at > 80);
}

/* Memory is refused at each place in turn while an answer comes: it ends with that, or goes on within the
 * guide, where only the search for what is forced went without. */
static void refused_while_generating(void **state) {
    (void)state;
    static const char names[] = "{\"type\":\"object\",\"properties\":{\"serial_number\":{\"type\":"
                                "\"string\"}},\"required\":[\"serial_number\"],"
                                "\"additionalProperties\":false}";
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator alloc = fail_alloc_start(&fa);
    slm_model_options mo = {.struct_size = sizeof mo, .allocator = &alloc};
    slm_cache_options co = {.struct_size = sizeof co, .n_threads = 1};
    slm_generate_options o = {.struct_size = sizeof o, .max_tokens = 20};
    slm_model *m = NULL;
    slm_session *s = NULL;
    slm_guide *plain;
    int32_t ids[] = {1, 2, 3};
    int n_refused = 0, n_spared = 0, reached = 1;
    OK(slm_model_open(SLM_SOURCE_DIR "/examples/models/hearth.gguf", &mo, &m, &golden_err));
    OK(slm_session_open(m, &co, &s, &golden_err));
    OK(slm_guide_compile_json_schema(NULL, names, SLM_NTS, NULL, &plain, &golden_err));
    for (uint64_t at = 1; reached; at++) {
        slm_generator *g = NULL;
        slm_event ev = {.struct_size = sizeof ev};
        answer a = {.reason = SLM_END_NONE};
        OK(slm_guide_compile_json_schema(m, names, SLM_NTS, NULL, &o.guide, &golden_err));
        OK(slm_session_prompt(s, ids, 3, NULL, &golden_err));
        fa.calls = 0;
        fa.fail_at = at;
        slm_status status = slm_generate_begin(s, &o, &g, &golden_err);
        while (status == SLM_OK && ev.type != SLM_EVENT_END) {
            status = slm_generate_next(g, &ev, &golden_err);
            if (status != SLM_OK)
                break;
            memcpy(a.text + a.len, ev.text, ev.text_len);
            a.len += ev.text_len;
        }
        reached = fa.calls >= at;
        fa.fail_at = 0;
        assert_true(status == SLM_OK || (reached && status == SLM_ERR_NOMEM));
        n_refused += status != SLM_OK;
        n_spared += reached && status == SLM_OK;
        assert_int_not_equal(match(plain, &a), SLM_MATCH_NONE);
        slm_generate_end(&g);
        slm_guide_close((slm_guide **)&o.guide);
    }
    assert_true(n_refused > 10 && n_spared > 0);
    slm_guide_close(&plain);
    slm_session_close(&s);
    slm_model_close(&m);
    assert_int_equal(fa.outstanding, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_schema), cmocka_unit_test(ends_by_the_model),
        cmocka_unit_test(chosen_by_hand),     cmocka_unit_test(wakes_up),
        cmocka_unit_test(forced_tokens),      cmocka_unit_test(refused_guides),
        cmocka_unit_test(refused_memory),     cmocka_unit_test(refused_while_generating),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
