/* Guides for calls of tools beside a schema: an answer is calls or a text of the schema. */
#include "api/tiny_open.h"
#include "support/fail_alloc.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const char tools[] =
    "[{\"name\":\"lamp\",\"parameters\":{\"type\":\"object\",\"properties\":{\"on\":{\"type\":"
    "\"boolean\"}},\"required\":[\"on\"],\"additionalProperties\":false}}]";
static const char person[] =
    "{\"type\":\"object\",\"properties\":{\"name\":{\"enum\":[\"ann\",\"lamp\"]},\"age\":{\"type\":"
    "\"integer\",\"minimum\":0}},\"required\":[\"name\",\"age\"],\"additionalProperties\":false}";

#define CALL   "{\"name\":\"lamp\",\"arguments\":{\"on\":true}}"
#define ANSWER "{\"name\":\"ann\",\"age\":3}"

static slm_status compile(slm_model *model, slm_tool_format format, slm_tool_choice choice,
                          const char *text, const char *schema, uint32_t flags, slm_guide **out) {
    slm_tools_options o = {.struct_size = sizeof o, .choice = choice, .format = format,
                           .schema = schema, .schema_len = SLM_NTS};
    slm_guide_options g = {.struct_size = sizeof g, .flags = flags};
    return slm_guide_compile_tools(model, text, SLM_NTS, &o, &g, out, &golden_err);
}

static void check(slm_tool_format format, slm_tool_choice choice, const char *list, uint32_t flags,
                  const char *text, slm_match wanted) {
    slm_guide *guide = NULL;
    slm_match got;
    OK(compile(NULL, format, choice, list, person, flags, &guide));
    OK(slm_guide_match(guide, text, strlen(text), &got, &golden_err));
    if (got != wanted)
        fail_msg("%s, choice %d: %s: got %d, wanted %d", slm_tool_format_name(format), choice, text,
                 got, wanted);
    slm_guide_close(&guide);
}

static void calls_or_an_answer(void **state) {
    (void)state;
    enum { HERMES = SLM_TOOLS_HERMES, PYTHON = SLM_TOOLS_LLAMA32_PYTHONIC, JSON = SLM_TOOLS_JSON };
    enum { AUTO = SLM_TOOL_CHOICE_AUTO, NONE = SLM_TOOL_CHOICE_NONE,
           REQUIRED = SLM_TOOL_CHOICE_REQUIRED };
    static const struct {
        slm_tool_format format;
        slm_tool_choice choice;
        const char *text;
        slm_match match;
    } texts[] = {
        {HERMES, AUTO, "", SLM_MATCH_PREFIX},
        {HERMES, AUTO, ANSWER, SLM_MATCH_WHOLE},
        {HERMES, AUTO, "<tool_call>\n" CALL "\n</tool_call>", SLM_MATCH_WHOLE},
        {HERMES, AUTO, "<tool_call>" CALL "</tool_call>\n<tool_call>" CALL "</tool_call>",
         SLM_MATCH_WHOLE},
        {HERMES, AUTO, "Here is it", SLM_MATCH_NONE},
        {HERMES, AUTO, "{\"name\":\"bob\"", SLM_MATCH_NONE},
        {HERMES, AUTO, ANSWER ANSWER, SLM_MATCH_NONE},
        {HERMES, AUTO, ANSWER "<tool_call>", SLM_MATCH_NONE},
        {HERMES, AUTO, "<tool_call>" CALL "</tool_call>{", SLM_MATCH_NONE},
        {HERMES, AUTO, "<tool_call>" CALL "</tool_call>\n{", SLM_MATCH_NONE},
        {HERMES, AUTO, "<tool_call>" ANSWER, SLM_MATCH_NONE},
        {HERMES, NONE, "Here is it", SLM_MATCH_WHOLE},
        {HERMES, REQUIRED, ANSWER, SLM_MATCH_NONE},
        {PYTHON, AUTO, "[lamp(on=True)]", SLM_MATCH_WHOLE},
        {PYTHON, AUTO, ANSWER, SLM_MATCH_WHOLE},
        {JSON, AUTO, CALL, SLM_MATCH_WHOLE},
        {JSON, AUTO, "{\"name\":\"lamp\",\"age\":3}", SLM_MATCH_WHOLE},
        {JSON, AUTO, "{\"name\":\"ann\",\"arguments\"", SLM_MATCH_NONE},
    };
    for (size_t i = 0; i < COUNT(texts); i++)
        check(texts[i].format, texts[i].choice, tools, 0, texts[i].text, texts[i].match);
    check(HERMES, AUTO, "[]", 0, ANSWER, SLM_MATCH_WHOLE);
    check(HERMES, AUTO, "[]", 0, "<tool_call>", SLM_MATCH_NONE);
    check(HERMES, AUTO, tools, SLM_GUIDE_ONE_CALL, "<tool_call>" CALL "</tool_call>\n",
          SLM_MATCH_NONE);
    check(HERMES, AUTO, tools, SLM_GUIDE_ONE_CALL, ANSWER, SLM_MATCH_WHOLE);
}

static void schemas_that_make_no_sense(void **state) {
    (void)state;
    slm_guide *guide = NULL;
    assert_int_equal(compile(NULL, SLM_TOOLS_HERMES, SLM_TOOL_CHOICE_AUTO, tools, "{", 0, &guide),
                     SLM_ERR_FORMAT);
    assert_int_equal(compile(NULL, SLM_TOOLS_HERMES, SLM_TOOL_CHOICE_AUTO, tools, "{\"type\":7}", 0,
                             &guide), SLM_ERR_GRAMMAR);
    assert_null(guide);
}

/* Whatever is drawn is a call or of the schema, and is taken apart as what it is. */
static void answers_are_held(void **state) {
    (void)state;
    enum { SEEDS = 16 };
    slm_model *model = NULL;
    slm_session *session = NULL;
    slm_cache_options co = {.struct_size = sizeof co, .n_threads = 1, .n_ctx = 256};
    slm_sampling sampling = {.struct_size = sizeof sampling};
    slm_span prompt = {"Hello", 5, 0};
    int n_calls = 0, n_texts = 0;
    int32_t ids[16];
    size_t n;
    OK(slm_model_open(SLM_SOURCE_DIR "/examples/models/hearth.gguf", NULL, &model, &golden_err));
    OK(slm_session_open(model, &co, &session, &golden_err));
    OK(slm_tokenize(model, &prompt, 1, SLM_BOS_DEFAULT, ids, 16, &n, &golden_err));
    OK(slm_sampling_init(&sampling));
    sampling.temperature = 3;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        slm_tools_options o = {.struct_size = sizeof o, .schema = person, .schema_len = SLM_NTS,
                               .format = seed % 2 ? SLM_TOOLS_JSON : SLM_TOOLS_HERMES};
        sampling.seed = seed + 1;
        slm_generate_options g = {.struct_size = sizeof g, .sampling = &sampling};
        slm_guide_options one = {.struct_size = sizeof one, .flags = SLM_GUIDE_ONE_CALL};
        slm_answer_options a = {.struct_size = sizeof a, .generate = &g, .tools = tools,
                                .tools_len = SLM_NTS, .tools_options = &o, .guide_options = &one};
        slm_answer *answer = NULL;
        slm_answer_event ev = {.struct_size = sizeof ev};
        const char *text;
        size_t len;
        int n_begun = 0, n_ended = 0;
        OK(slm_session_prompt(session, ids, n, NULL, &golden_err));
        OK(slm_answer_begin(session, &a, &answer, &golden_err));
        do {
            OK(slm_answer_next(answer, &ev, &golden_err));
            n_begun += ev.type == SLM_ANSWER_CALL_BEGIN;
            n_ended += ev.type == SLM_ANSWER_CALL_END;
        } while (ev.type != SLM_ANSWER_END);
        OK(slm_answer_get_text(answer, &text, &len, &golden_err));
        if (ev.reason == SLM_END_GUIDE) {
            assert_int_equal(n_begun, n_ended);
            assert_int_equal(n_begun > 0, len == 0);
            if (len > 0)
                assert_memory_equal(text, "{\"name\":", 8);
            n_calls += n_begun > 0;
            n_texts += len > 0;
        }
        slm_answer_end(&answer);
    }
    slm_session_close(&session);
    slm_model_close(&model);
    assert_true(n_calls > 0);
    assert_true(n_texts > 0);
}

static void allocations_fail(void **state) {
    (void)state;
    fail_alloc fa = FAIL_ALLOC_INIT;
    for (fa.fail_at = 1;; fa.fail_at++) {
        slm_allocator allocator = fail_alloc_start(&fa);
        slm_tools_options o = {.struct_size = sizeof o, .format = SLM_TOOLS_HERMES,
                               .schema = person, .schema_len = SLM_NTS};
        slm_guide_options g = {.struct_size = sizeof g, .allocator = &allocator};
        slm_guide *guide = NULL;
        slm_status status = slm_guide_compile_tools(NULL, tools, SLM_NTS, &o, &g, &guide,
                                                    &golden_err);
        if (fa.calls >= fa.fail_at)
            assert_int_equal(status, SLM_ERR_NOMEM);
        slm_guide_close(&guide);
        assert_int_equal(fa.outstanding, 0);
        if (fa.calls < fa.fail_at)
            break;
    }
    assert_true(fa.fail_at > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_or_an_answer),
        cmocka_unit_test(schemas_that_make_no_sense),
        cmocka_unit_test(answers_are_held),
        cmocka_unit_test(allocations_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
