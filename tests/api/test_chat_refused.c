/* Conversations: what is refused and how, and that a refusal changes nothing. */
#include "api/chat_group.h"
#include "support/temp_folder.h"

/* ---------------------------------------------------------------- refusals ------------------- */

static void null_arguments(void **state) {
    (void)state;
    slm_chat *none = (slm_chat *)&golden_err;
    slm_answer *answer = (slm_answer *)&golden_err;
    slm_chat_info info = {.struct_size = sizeof info};
    slm_chat_report report = {.struct_size = 2};
    const char *text;
    size_t len;
    REFUSED(slm_chat_open(NULL, NULL, &none, &golden_err), SLM_ERR_ARG, "session");
    assert_null(none);
    REFUSED(slm_chat_open(session, NULL, NULL, &golden_err), SLM_ERR_ARG, "out");
    REFUSED(slm_chat_add(NULL, NULL, 0, &golden_err), SLM_ERR_ARG, "chat");
    REFUSED(slm_chat_add(chat, NULL, 0, &golden_err), SLM_ERR_ARG, "message");
    REFUSED(slm_chat_get_info(NULL, &info, &golden_err), SLM_ERR_ARG, "chat");
    REFUSED(slm_chat_get_info(chat, NULL, &golden_err), SLM_ERR_ARG, "info");
    REFUSED(slm_chat_get_message(chat, 0, NULL, &len, &golden_err), SLM_ERR_ARG, "json");
    REFUSED(slm_chat_get_message(chat, 0, &text, NULL, &golden_err), SLM_ERR_ARG, "len");
    REFUSED(slm_chat_get_message(NULL, 0, &text, &len, &golden_err), SLM_ERR_ARG, "chat");
    REFUSED(slm_chat_cut(NULL, 0, &golden_err), SLM_ERR_ARG, "chat");
    REFUSED(slm_chat_set_tools(NULL, NULL, 0, &golden_err), SLM_ERR_ARG, "chat");
    REFUSED(slm_chat_set_tools(chat, NULL, 1, &golden_err), SLM_ERR_ARG, "tools");
    REFUSED(slm_chat_set_tail(NULL, NULL, 0, &golden_err), SLM_ERR_ARG, "chat");
    REFUSED(slm_chat_set_tail(chat, NULL, 1, &golden_err), SLM_ERR_ARG, "text");
    REFUSED(slm_chat_draft(NULL, NULL, 0, NULL, &golden_err), SLM_ERR_ARG, "chat");
    REFUSED(slm_chat_draft(chat, NULL, 1, NULL, &golden_err), SLM_ERR_ARG, "text");
    REFUSED(slm_chat_prepare(chat, &report, &golden_err), SLM_ERR_ARG, "slm_chat_report");
    REFUSED(slm_chat_rollback(NULL, &golden_err), SLM_ERR_ARG, "chat");
    REFUSED(slm_chat_answer(NULL, NULL, &answer, NULL, &golden_err), SLM_ERR_ARG, "chat");
    assert_null(answer);
    REFUSED(slm_chat_answer(chat, NULL, NULL, NULL, &golden_err), SLM_ERR_ARG, "out");
    REFUSED(slm_chat_keep(NULL, 0, NULL, 0, &golden_err), SLM_ERR_ARG, "chat");
    REFUSED(slm_chat_keep(chat, 0, NULL, 1, &golden_err), SLM_ERR_ARG, "note");
    answer = (slm_answer *)&golden_err;
    REFUSED(slm_chat_continue(NULL, NULL, &answer, NULL, &golden_err), SLM_ERR_ARG, "chat");
    assert_null(answer);
    REFUSED(slm_chat_continue(chat, NULL, NULL, NULL, &golden_err), SLM_ERR_ARG, "out");
    slm_chat_close(NULL);
}

static void options(void **state) {
    (void)state;
    slm_chat *other = NULL;
    slm_chat_options o = plain();
    o.when_full = 2;
    REFUSED(slm_chat_open(session, &o, &other, &golden_err), SLM_ERR_RANGE, "when_full", "2");
    o = plain();
    o.reserve = 1024;
    REFUSED(slm_chat_open(session, &o, &other, &golden_err), SLM_ERR_RANGE, "reserve", "1024");
    REFUSED(slm_chat_open(session, NULL, &other, &golden_err), SLM_ERR_MISSING, "template");
    o = plain();
    o.tools = "{}";
    o.tools_len = SLM_NTS;
    REFUSED(slm_chat_open(session, &o, &other, &golden_err), SLM_ERR_TEMPLATE, "tools", "array");
    o.struct_size = offsetof(slm_chat_options, tools); /* an older caller's */
    REFUSED(slm_chat_open(session, &o, &other, &golden_err), SLM_ERR_MISSING, "template");
    assert_null(other);
    o = plain();
    o.reserve = 0;
    OK(slm_chat_open(session, &o, &other, &golden_err));
    assert_int_equal(chat_info(other).reserve, 128);
    slm_chat_close(&other);
}

/* Structs of older callers get as much as they have room for. */
static void smaller_structs(void **state) {
    (void)state;
    slm_chat_report r, none;
    slm_chat_info info;
    memset(&none, 0x5a, sizeof none);
    r = none;
    r.struct_size = END(slm_chat_report, n_reused);
    add("user", "x");
    OK(slm_chat_prepare(chat, &r, &golden_err));
    assert_int_equal(r.n_reused, 0);
    assert_int_equal(r.reuse_stop, SLM_REUSE_ALL);
    assert_memory_equal(&r.n_evaluated, &none.n_evaluated,
                        sizeof r - offsetof(slm_chat_report, n_evaluated));
    memset(&info, 0x5a, sizeof info);
    info.struct_size = END(slm_chat_info, n_messages);
    OK(slm_chat_get_info(chat, &info, &golden_err));
    assert_int_equal(info.n_messages, 1);
    assert_int_equal(info.n_ctx, 0x5a5a5a5a);
    info.struct_size = 3;
    REFUSED(slm_chat_get_info(chat, &info, &golden_err), SLM_ERR_ARG, "slm_chat_info");
}

static void wrong_messages(void **state) {
    (void)state;
    static const struct {
        const char *role, *content;
        slm_status status;
        const char *part;
    } cases[] = {
        {"wizard", "x", SLM_ERR_TEMPLATE, "wizard"},
        {"us\xff", "x", SLM_ERR_UTF8, "role"},
        {"user", "x\xff", SLM_ERR_UTF8, "byte 1 of 2"},
        {"user", NULL, SLM_ERR_ARG, "content"},
        {NULL, "{\"role\":", SLM_ERR_FORMAT, "message"},
        {NULL, "[]", SLM_ERR_TEMPLATE, "object"},
        {NULL, "{\"content\":\"x\"}", SLM_ERR_TEMPLATE, "role"},
        {NULL, "{\"role\":\"user\",\"content\":1}", SLM_ERR_TEMPLATE, "content"},
        {NULL, "{\"role\":\"user\",\"content\":\"x\",\"tail\":1}", SLM_ERR_TEMPLATE, "tail"},
        {NULL, "{\"role\":\"user\",\"role\":\"user\"}", SLM_ERR_DUP, "role"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        slm_message m = {sizeof m, cases[i].role, SLM_NTS, cases[i].content, SLM_NTS};
        REFUSED(slm_chat_add(chat, &m, 0, &golden_err), cases[i].status, cases[i].part);
        assert_int_equal(chat_info(chat).n_messages, 0);
    }
    slm_message m = {sizeof m, "user", SLM_NTS, "x", SLM_NTS};
    REFUSED(slm_chat_add(chat, &m, 2, &golden_err), SLM_ERR_ARG, "0x2");
    REFUSED(slm_chat_set_tail(chat, "\xff", 1, &golden_err), SLM_ERR_UTF8, "tail");
    REFUSED(slm_chat_set_tools(chat, "[", 1, &golden_err), SLM_ERR_FORMAT, "tools");
    add("user", "x");
    m.role = NULL;
    m.content = "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"parts\"}]}";
    OK(slm_chat_add(chat, &m, 0, &golden_err));
    REFUSED(slm_chat_keep(chat, 1, NULL, 0, &golden_err), SLM_ERR_ARG, "in parts");
    OK(slm_chat_cut(chat, 1, &golden_err));
    add("assistant", "yes");
    REFUSED(slm_chat_keep(chat, 1, "\xff", 1, &golden_err), SLM_ERR_UTF8, "note", "byte 0");
    content_is(1, "yes");
    prepared();
}

/* Arrays nested so deep, between two texts. */
static const char *nest(const char *before, size_t depth, const char *behind) {
    static char text[1024];
    char open[300], close[300];
    memset(open, '[', depth);
    memset(close, ']', depth);
    snprintf(text, sizeof text, "%s%.*s%.*s%s", before, (int)depth, open, (int)depth, close, behind);
    return text;
}

static slm_status add_nested(size_t depth) {
    slm_message m = {sizeof m, NULL, 0,
                     nest("{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"type\":"
                          "\"function\",\"function\":{\"name\":\"bell\",\"arguments\":{\"a\":",
                          depth - 1, "}}}]}"), SLM_NTS};
    return slm_chat_add(chat, &m, 0, &golden_err);
}

/* Whether a parser finds a call with arguments nested so deep, which are a text. */
static int finds_nested(size_t depth) {
    slm_tool_parser *parser = NULL;
    slm_tool_parser_options o = {.struct_size = sizeof o, .format = SLM_TOOLS_HERMES};
    slm_tool_event e = {.struct_size = sizeof e};
    int n_calls = 0;
    OK(slm_tool_parser_open(setup.model, &o, &parser, &golden_err));
    OK(slm_tool_parser_feed(parser,
                            nest("<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":", depth - 1,
                                 "}\"}</tool_call>"), SLM_NTS, &golden_err));
    OK(slm_tool_parser_finish(parser, &golden_err));
    for (; e.type != SLM_TOOL_END; n_calls += e.type == SLM_TOOL_CALL_END)
        OK(slm_tool_parser_next(parser, &e, &golden_err));
    slm_tool_parser_close(&parser);
    return n_calls;
}

/* What is added can be saved and loaded; what a parser of calls finds can be added. */
static void nested(void **state) {
    (void)state;
    enum { MOST = 250 };
    const char *path = temp_path("nested");
    slm_chat_options o = plain();
    assert_int_equal(finds_nested(MOST), 1);
    assert_int_equal(finds_nested(MOST + 1), 0);
    add("user", "x");
    REFUSED(add_nested(MOST + 1), SLM_ERR_LIMIT, "at most 254 levels");
    OK(add_nested(MOST));
    OK(slm_chat_save(chat, path, &golden_err));
    slm_chat_close(&chat);
    OK(slm_chat_load(session, &o, path, &chat, &golden_err));
    assert_int_equal(chat_info(chat).n_messages, 2);
}

static void wrong_order(void **state) {
    (void)state;
    slm_answer *answer = NULL;
    const char *text;
    size_t len;
    forced f;
    REFUSED(slm_chat_answer(chat, NULL, &answer, NULL, &golden_err), SLM_ERR_ARG, "no messages");
    REFUSED(slm_chat_keep(chat, 0, NULL, 0, &golden_err), SLM_ERR_ARG, "assistant's");
    REFUSED(slm_chat_continue(chat, NULL, &answer, NULL, &golden_err), SLM_ERR_ARG, "assistant's");
    REFUSED(slm_chat_cut(chat, 1, &golden_err), SLM_ERR_RANGE, "got 1", "0 messages");
    REFUSED(slm_chat_get_message(chat, 0, &text, &len, &golden_err), SLM_ERR_RANGE, "0 messages");
    add("user", "x");
    REFUSED(slm_chat_keep(chat, 0, NULL, 0, &golden_err), SLM_ERR_ARG, "assistant's");
    REFUSED(slm_chat_continue(chat, NULL, &answer, NULL, &golden_err), SLM_ERR_ARG, "assistant's");
    force(&f, "abc");
    OK(slm_chat_answer(chat, &f.options, &answer, NULL, &golden_err));
    slm_message m = {sizeof m, "user", SLM_NTS, "x", SLM_NTS};
    slm_answer *second = NULL;
    REFUSED(slm_chat_add(chat, &m, 0, &golden_err), SLM_ERR_BUSY, "generator open");
    REFUSED(slm_chat_cut(chat, 0, &golden_err), SLM_ERR_BUSY, "generator open");
    REFUSED(slm_chat_draft(chat, "x", 1, NULL, &golden_err), SLM_ERR_BUSY, "generator open");
    REFUSED(slm_chat_prepare(chat, NULL, &golden_err), SLM_ERR_BUSY, "generator open");
    REFUSED(slm_chat_rollback(chat, &golden_err), SLM_ERR_BUSY, "generator open");
    REFUSED(slm_chat_keep(chat, 0, NULL, 0, &golden_err), SLM_ERR_BUSY, "generator open");
    REFUSED(slm_chat_set_tail(chat, "", 0, &golden_err), SLM_ERR_BUSY, "generator open");
    REFUSED(slm_chat_set_tools(chat, NULL, 0, &golden_err), SLM_ERR_BUSY, "generator open");
    REFUSED(slm_chat_answer(chat, NULL, &second, NULL, &golden_err), SLM_ERR_BUSY, "generator open");
    REFUSED(slm_chat_continue(chat, NULL, &second, NULL, &golden_err), SLM_ERR_BUSY, "generator open");
    slm_chat_close(&chat); /* the answer goes on alone */
    assert_int_equal(finish(&answer), SLM_END_GUIDE);
    slm_guide_close(&f.guide);
    slm_chat_options o = plain();
    OK(slm_chat_open(session, &o, &chat, &golden_err));
    add("user", "x");
    say("abc");
    REFUSED(slm_chat_answer(chat, NULL, &answer, NULL, &golden_err), SLM_ERR_ARG, "assistant's");
    /* what an answer refuses leaves the conversation as it was */
    add("user", "y");
    slm_answer_options bad = {.struct_size = sizeof bad, .flags = 1u << 31};
    REFUSED(slm_chat_answer(chat, &bad, &answer, NULL, &golden_err), SLM_ERR_ARG, "flags");
    assert_int_equal(chat_info(chat).n_messages, 3);
    say("abc");
}

/* A template that takes turns only: what it refuses stays refused, and nothing is lost by it. */
static void strict_template(void **state) {
    (void)state;
    static const char strict[] =
        "{% for m in messages %}"
        "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('in turn!') }}"
        "{% endif %}<s>{{ m.content | trim }}</s>{% endfor %}"
        "{% if add_generation_prompt %}<s>{% endif %}";
    slm_chat_options o = plain();
    slm_answer *answer = NULL;
    o.chat_template = strict;
    open_chat(512, &o);
    setup.chat_template = strict;
    add("user", " one ");
    say("1");
    add("user", "two");
    add("user", "three");
    size_t before = held(session);
    REFUSED(slm_chat_prepare(chat, NULL, &golden_err), SLM_ERR_TEMPLATE, "in turn!");
    REFUSED(slm_chat_answer(chat, NULL, &answer, NULL, &golden_err), SLM_ERR_TEMPLATE, "in turn!");
    OK(slm_chat_rollback(chat, &golden_err));
    assert_int_equal(held(session), before);
    OK(slm_chat_cut(chat, 3, &golden_err));
    prepared();
    right(SLM_CHAT_GENERATION_PROMPT, NULL, NULL);
    say("2");
    drafted(" a draft ");
    right(SLM_CHAT_CONTINUE, "user", " a draft ");
    setup.chat_template = TEMPLATE;
    close_all(state);
}

/* ---------------------------------------------------------------- memory --------------------- */

/* Some turns with all that allocates; returns what failed first. */
static slm_status some_turns(void) {
    slm_chat_options o = plain();
    slm_answer *answer = NULL;
    slm_answer_event ev = {.struct_size = sizeof ev};
    slm_generate_options g = {.struct_size = sizeof g, .max_tokens = 3};
    slm_answer_options ao = {.struct_size = sizeof ao, .generate = &g};
    slm_message m = {sizeof m, "user", SLM_NTS, "hello", SLM_NTS};
    slm_status status = slm_chat_open(session, &o, &chat, &golden_err);
#define THEN(call)                                                                                 \
    if (status == SLM_OK)                                                                          \
    status = (call)
    THEN(slm_chat_add(chat, &m, 0, &golden_err));
    THEN(slm_chat_set_tail(chat, " (noon)", SLM_NTS, &golden_err));
    THEN(slm_chat_answer(chat, &ao, &answer, NULL, &golden_err));
    do {
        THEN(slm_answer_next(answer, &ev, &golden_err));
    } while (status == SLM_OK && ev.type != SLM_ANSWER_END);
    slm_answer_end(&answer);
    THEN(slm_chat_keep(chat, 1, "!", 1, &golden_err));
    THEN(slm_chat_draft(chat, "and", SLM_NTS, NULL, &golden_err));
    THEN(slm_chat_continue(chat, &ao, &answer, NULL, &golden_err));
    slm_answer_end(&answer);
    THEN(slm_chat_prepare(chat, NULL, &golden_err));
#undef THEN
    slm_chat_close(&chat);
    return status;
}

static void memory_refused(void **state) {
    (void)state;
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = 512, .max_sessions = 2,
                           .n_threads = 1};
    open_cache(&o);
    int64_t before = memory.outstanding;
    int n_failed = 0;
    for (uint64_t at = 1;; at++) {
        memory.calls = 0;
        memory.fail_at = at;
        slm_status status = some_turns();
        int reached = memory.calls >= at;
        memory.fail_at = 0;
        assert_int_equal(memory.outstanding, before);
        if (!reached) {
            assert_int_equal(status, SLM_OK);
            break;
        }
        assert_true(status == SLM_OK || status == SLM_ERR_NOMEM);
        n_failed += status == SLM_ERR_NOMEM;
    }
    assert_true(n_failed > 100);
    close_all(state);
}

int main(void) {
#define PLAIN(test) cmocka_unit_test_setup_teardown(test, open_plain, close_all)
    const struct CMUnitTest tests[] = {
        PLAIN(null_arguments),
        PLAIN(options),
        PLAIN(smaller_structs),
        PLAIN(wrong_messages),
        PLAIN(nested),
        PLAIN(wrong_order),
        cmocka_unit_test(strict_template),
        cmocka_unit_test(memory_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
