/* What is made of an answer, through the public header: calls of tools and speech. What they find
 * is tested by tests/unit; here are arguments, structs, memory and the life of models. */
#include "api/tiny_group.h"
#include "support/fail_alloc.h"

/* ---- calls of tools ---- */

static slm_status try_tools(const void *options) {
    slm_tool_parser *p = (slm_tool_parser *)(uintptr_t)1;
    slm_status status = slm_tool_parser_open(model, options, &p, &golden_err);
    assert_true((p != NULL) == (status == SLM_OK));
    slm_tool_parser_close(&p);
    assert_null(p);
    return status;
}

/* The events of a text as a line: t(text) c(name) a(arguments) e. */
static const char *events(slm_tool_parser *p, const char *text) {
    static char line[256];
    static const char letters[] = "-tcae.";
    slm_tool_event e = {.struct_size = sizeof e};
    size_t n = 0;
    OK(slm_tool_parser_feed(p, text, SLM_NTS, &golden_err));
    OK(slm_tool_parser_finish(p, &golden_err));
    do {
        OK(slm_tool_parser_next(p, &e, &golden_err));
        n += (size_t)snprintf(line + n, sizeof line - n, e.text_len ? "%c(%.*s)" : "%c",
                              letters[e.type], (int)e.text_len, e.text);
    } while (e.type != SLM_TOOL_END);
    return line;
}

static void template_of_qwen(gb *b) {
    gb_kv_str(b, "tokenizer.chat_template", "... within <tool_call></tool_call> ...");
}
static void template_that_is_none(gb *b) { gb_kv_u32(b, "tokenizer.chat_template", 1); }

static void tool_formats(void **state) {
    (void)state;
    static const char *const names[] = {NULL, "hermes", "phi4_mini", "llama3_json",
                                        "llama32_pythonic", "json", NULL};
    assert_null(slm_tool_format_name(-1));
    assert_null(slm_tool_format_name(SLM_TOOLS_AUTO));
    for (slm_tool_format f = SLM_TOOLS_HERMES; f <= SLM_TOOLS_JSON; f++)
        assert_string_equal(slm_tool_format_name(f), names[f]);
    assert_null(slm_tool_format_name(6));

    static const struct {
        void (*extra)(gb *b);
        slm_tool_format format;
    } models[] = {{NULL, SLM_TOOLS_JSON},
                  {template_that_is_none, SLM_TOOLS_JSON},
                  {template_of_qwen, SLM_TOOLS_HERMES}};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        slm_tool_format format = -1;
        slm_model *m = tiny_open(&(tiny_tweak){.extra = models[i].extra}, NULL);
        OK(slm_model_get_tool_format(m, &format, &golden_err));
        assert_int_equal(format, models[i].format);
        slm_tool_parser *p = NULL;
        OK(slm_tool_parser_open(m, NULL, &p, &golden_err));
        slm_model_close(&m); /* the parser keeps it alive */
        assert_string_equal(events(p, "<tool_call>{\"name\":\"f\",\"arguments\":{}}"),
                            format == SLM_TOOLS_HERMES
                                ? "c(f)a({})e."
                                : "t(<tool_call>{\"name\":\"f\",\"arguments\":{}}).");
        slm_tool_parser_close(&p);
        slm_tool_parser_close(&p);
    }
    slm_tool_format format;
    REFUSED(slm_model_get_tool_format(NULL, &format, &golden_err), SLM_ERR_ARG, "model is NULL");
    REFUSED(slm_model_get_tool_format(model, NULL, &golden_err), SLM_ERR_ARG, "format is NULL");
}

static void tool_options(void **state) {
    (void)state;
    slm_tool_parser_options o = {.struct_size = sizeof o};
    for (o.format = SLM_TOOLS_AUTO; o.format <= SLM_TOOLS_JSON; o.format++)
        OK(try_tools(&o));
    REFUSED(try_tools(&o), SLM_ERR_RANGE, "format: got 6, wanted 0 to 5");
    o.format = -1;
    REFUSED(try_tools(&o), SLM_ERR_RANGE, "got -1");
    o.format = SLM_TOOLS_HERMES;
    o.max_call_bytes = UINT64_MAX;
    REFUSED(try_tools(&o), SLM_ERR_RANGE, "max_call_bytes");
    o.struct_size = END(slm_tool_parser_options, format); /* an older caller */
    OK(try_tools(&o));
    o.struct_size = 3;
    REFUSED(try_tools(&o), SLM_ERR_ARG, "slm_tool_parser_options");
    o = (slm_tool_parser_options){sizeof o, SLM_TOOLS_JSON, 12};
    slm_tool_parser *p = NULL;
    OK(slm_tool_parser_open(model, &o, &p, &golden_err));
    assert_string_equal(events(p, "{\"name\":\"f\"}"), "t({\"name\":\"f\"}).");
    assert_string_equal(events(p, ""), ".");
    slm_tool_parser_close(&p);
}

static void tool_arguments(void **state) {
    (void)state;
    slm_tool_parser *p = NULL;
    slm_tool_event e = {.struct_size = sizeof e};
    REFUSED(slm_tool_parser_open(NULL, NULL, &p, &golden_err), SLM_ERR_ARG, "model is NULL");
    REFUSED(slm_tool_parser_open(model, NULL, NULL, &golden_err), SLM_ERR_ARG, "out is NULL");
    OK(slm_tool_parser_open(model, NULL, &p, &golden_err));
    REFUSED(slm_tool_parser_feed(NULL, "", 0, &golden_err), SLM_ERR_ARG, "parser is NULL");
    REFUSED(slm_tool_parser_feed(p, NULL, 1, &golden_err), SLM_ERR_ARG, "text is NULL");
    OK(slm_tool_parser_feed(p, NULL, 0, &golden_err));
    REFUSED(slm_tool_parser_finish(NULL, &golden_err), SLM_ERR_ARG, "parser is NULL");
    REFUSED(slm_tool_parser_next(NULL, &e, &golden_err), SLM_ERR_ARG, "parser is NULL");
    REFUSED(slm_tool_parser_next(p, NULL, &golden_err), SLM_ERR_ARG, "event is NULL");
    OK(slm_tool_parser_feed(p, "x", 1, &golden_err));
    e.struct_size = 2;
    REFUSED(slm_tool_parser_next(p, &e, &golden_err), SLM_ERR_ARG, "slm_tool_event");
    e.struct_size = END(slm_tool_event, text_len); /* an older caller; the event is still there */
    e.call = 77;
    OK(slm_tool_parser_next(p, &e, &golden_err));
    assert_int_equal(e.type, SLM_TOOL_TEXT);
    assert_int_equal(e.call, 77);
    OK(slm_tool_parser_finish(p, &golden_err));
    REFUSED(slm_tool_parser_feed(p, "y", 1, &golden_err), SLM_ERR_BUSY, "finished");
    slm_tool_parser_close(&p);
    slm_tool_parser_close(NULL);
}

/* ---- speech ---- */

static slm_status try_speech(const void *options) {
    slm_speech *s = (slm_speech *)(uintptr_t)1;
    slm_status status = slm_speech_open(model, options, &s, &golden_err);
    assert_true((s != NULL) == (status == SLM_OK));
    slm_speech_close(&s);
    assert_null(s);
    return status;
}

static void speech_options(void **state) {
    (void)state;
    slm_speech_options o = {.struct_size = sizeof o, .flags = 15, .min_clause = UINT32_MAX};
    OK(try_speech(NULL));
    OK(try_speech(&o));
    o.flags = 16;
    REFUSED(try_speech(&o), SLM_ERR_ARG, "flags: got 0x10");
    o.flags = 0;
    for (uint32_t i = 0; i < 4; i++) {
        o.max_piece = (uint32_t[]){31, 32, 65536, 65537}[i];
        if (i == 1 || i == 2)
            OK(try_speech(&o));
        else
            REFUSED(try_speech(&o), SLM_ERR_RANGE, "max_piece", "32 to 65536");
    }
    o.struct_size = END(slm_speech_options, min_clause);
    OK(try_speech(&o));
    o.struct_size = 0;
    REFUSED(try_speech(&o), SLM_ERR_ARG, "slm_speech_options");
}

static void speech_arguments(void **state) {
    (void)state;
    slm_speech *s = NULL;
    slm_speech_event e = {.struct_size = sizeof e};
    REFUSED(slm_speech_open(NULL, NULL, &s, &golden_err), SLM_ERR_ARG, "model is NULL");
    REFUSED(slm_speech_open(model, NULL, NULL, &golden_err), SLM_ERR_ARG, "out is NULL");
    slm_model *m = tiny_open(NULL, NULL);
    OK(slm_speech_open(m, NULL, &s, &golden_err));
    slm_model_close(&m);
    REFUSED(slm_speech_feed(NULL, "", 0, &golden_err), SLM_ERR_ARG, "speech is NULL");
    REFUSED(slm_speech_feed(s, NULL, 1, &golden_err), SLM_ERR_ARG, "text is NULL");
    REFUSED(slm_speech_finish(NULL, &golden_err), SLM_ERR_ARG, "speech is NULL");
    REFUSED(slm_speech_next(NULL, &e, &golden_err), SLM_ERR_ARG, "speech is NULL");
    REFUSED(slm_speech_next(s, NULL, &golden_err), SLM_ERR_ARG, "event is NULL");
    OK(slm_speech_feed(s, "**Yes.** No", SLM_NTS, &golden_err));
    OK(slm_speech_finish(s, &golden_err));
    REFUSED(slm_speech_feed(s, "x", 1, &golden_err), SLM_ERR_BUSY, "finished");
    e.struct_size = 1;
    REFUSED(slm_speech_next(s, &e, &golden_err), SLM_ERR_ARG, "slm_speech_event");
    e.struct_size = sizeof e;
    OK(slm_speech_next(s, &e, &golden_err));
    assert_int_equal(e.type, SLM_SPEECH_SENTENCE);
    assert_int_equal(e.text_len, 4);
    assert_memory_equal(e.text, "Yes.", 4);
    assert_int_equal(e.begin, 2);
    assert_int_equal(e.end, 6);
    e.struct_size = END(slm_speech_event, text_len); /* an older caller */
    OK(slm_speech_next(s, &e, &golden_err));
    assert_memory_equal(e.text, "No", 2);
    assert_int_equal(e.end, 6);
    OK(slm_speech_next(s, &e, &golden_err));
    assert_int_equal(e.type, SLM_SPEECH_END);
    slm_speech_close(&s);
    slm_speech_close(&s);
    slm_speech_close(NULL);
}

/* ---- memory ---- */

static void memory(void **state) {
    (void)state;
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator a = fail_alloc_start(&fa);
    slm_model_options o = {.struct_size = sizeof o, .allocator = &a};
    slm_model *m = tiny_open(NULL, &o);
    int64_t before = fa.outstanding;
    slm_tool_parser *p = NULL;
    slm_speech *s = NULL;
    for (int i = 0; i < 2; i++) { /* the object, and what is in it */
        fa.fail_at = fa.calls + 1 + (uint64_t)i;
        REFUSED(slm_tool_parser_open(m, NULL, &p, &golden_err), SLM_ERR_NOMEM, "tool calls");
        assert_null(p);
        fa.fail_at = fa.calls + 1 + (uint64_t)i;
        REFUSED(slm_speech_open(m, NULL, &s, &golden_err), SLM_ERR_NOMEM, "clauses");
        assert_null(s);
        assert_int_equal(fa.outstanding, before);
    }
    OK(slm_tool_parser_open(m, NULL, &p, &golden_err));
    OK(slm_speech_open(m, NULL, &s, &golden_err));
    slm_model_close(&m);
    assert_true(fa.outstanding > before);
    slm_tool_parser_close(&p);
    slm_speech_close(&s); /* the last that held the model */
    assert_int_equal(fa.outstanding, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tool_formats),   cmocka_unit_test(tool_options),
        cmocka_unit_test(tool_arguments), cmocka_unit_test(speech_options),
        cmocka_unit_test(speech_arguments), cmocka_unit_test(memory),
    };
    return cmocka_run_group_tests_name("reply", tests, open_model, close_model);
}
