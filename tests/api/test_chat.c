/* Conversations: what each call does to transcript and session, and what it reports. */
#include "api/chat_group.h"

/* ---------------------------------------------------------------- turns ---------------------- */

static void turns(void **state) {
    (void)state;
    add("system", "be brief");
    add("user", "one");
    slm_chat_report r = say("1");
    assert_int_equal(r.n_reused, 0);
    assert_int_equal(r.reuse_stop, SLM_REUSE_ALL);
    assert_int_equal(r.segment, SLM_SEGMENT_NONE);
    content_is(2, "1");
    size_t before = held(session);
    assert_int_equal(before, r.n_evaluated + 1);
    add("user", "two");
    r = prepared();
    right(SLM_CHAT_GENERATION_PROMPT, NULL, NULL);
    assert_int_equal(r.reuse_stop, SLM_REUSE_ALL);
    assert_int_equal(r.n_reused, before - 1); /* an answer's last token waits for what follows */
    r = say("2");
    assert_int_equal(r.n_evaluated, 0);
    slm_chat_info info = chat_info(chat);
    assert_int_equal(info.n_messages, 5);
    assert_int_equal(info.n_pinned, 1);
    assert_int_equal(info.n_dropped, 0);
    assert_int_equal(info.n_tokens, held(session));
    assert_int_equal(info.n_ctx, 1024);
    assert_int_equal(info.reserve, 32);
    r = prepared(); /* behind an answer: up to where the user will speak */
    right(SLM_CHAT_CONTINUE, "user", "");
    assert_int_equal(r.reuse_stop, SLM_REUSE_ALL);
}

static void segments(void **state) {
    (void)state;
    slm_chat_report r;
    add("system", "be brief");
    add("user", "one");
    say("1");
    add("user", "two");
    say("2");
    OK(slm_chat_cut(chat, 3, &golden_err)); /* another history */
    add("user", "twenty");
    say("20");
    add("user", "go");
    OK(slm_chat_cut(chat, 5, &golden_err));
    r = prepared();
    assert_int_equal(r.reuse_stop, SLM_REUSE_ALL);

    OK(slm_chat_set_tools(chat, TOOLS, SLM_NTS, &golden_err));
    setup.tools = TOOLS;
    assert_true(held(session) < 3); /* nothing stands before the tools but the header */
    r = prepared();
    right(SLM_CHAT_CONTINUE, "user", "");
    OK(slm_session_eval(session, (int32_t[]){70}, 1, SLM_LOGITS_NONE, &golden_err)); /* elsewhere */
    OK(slm_session_truncate(session, 12, &golden_err));
    OK(slm_session_eval(session, (int32_t[]){70, 71}, 2, SLM_LOGITS_NONE, &golden_err));
    r = prepared();
    assert_int_equal(r.reuse_stop, SLM_REUSE_TOKEN);
    assert_int_equal(r.n_reused, 12);
    assert_int_equal(r.segment, SLM_SEGMENT_TOOLS);
    assert_true(r.message == UINT64_MAX);
    OK(slm_chat_set_tools(chat, NULL, 0, &golden_err));
    setup.tools = NULL;
    r = prepared();
    right(SLM_CHAT_CONTINUE, "user", "");

    static const struct {
        const char *at; /* behind which the session goes astray */
        slm_chat_segment segment;
        uint64_t message;
    } cases[] = {
        {"<s>system\nbe", SLM_SEGMENT_SYSTEM, 0},
        {"<s>system\nbe brief</s><s>user\no", SLM_SEGMENT_HISTORY, 1},
        {"<s>system\nbe brief</s><s>user\none</s><s>assistant\n1</s><s>user\ntwe",
         SLM_SEGMENT_HISTORY, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        slm_span span = {cases[i].at, SLM_NTS, 1};
        int32_t ids[200];
        size_t n;
        OK(slm_tokenize(setup.model, &span, 1, SLM_BOS_NONE, ids, 198, &n, &golden_err));
        ids[n] = ids[n + 1] = 80;
        OK(slm_session_prompt(session, ids, n + 2, NULL, &golden_err));
        r = prepared();
        assert_int_equal(r.reuse_stop, SLM_REUSE_TOKEN);
        assert_int_equal(r.n_reused, n);
        assert_int_equal(r.segment, cases[i].segment);
        assert_int_equal(r.message, cases[i].message);
        right(SLM_CHAT_CONTINUE, "user", "");
    }
}

#define SHORT(messages) \
    "{% for m in " messages " %}<s>{{ m.role }}\n{{ m.content }}</s>{% endfor %}"

/* Reuse stops at the only message that says Z. */
static void stops_among_many(const char *chat_template, size_t message) {
    slm_chat_options o = plain();
    const int32_t *ids;
    size_t n, at = 0;
    o.chat_template = chat_template;
    open_chat(4096, &o);
    for (size_t i = 0; i < 300; i++)
        add(i % 2 ? "assistant" : "user", i == message ? "Z" : "x");
    prepared();
    OK(slm_session_get_tokens(session, &ids, &n, &golden_err));
    while (ids[at] != 3 + 'Z')
        at++;
    OK(slm_session_truncate(session, at, &golden_err));
    OK(slm_session_eval(session, (int32_t[]){80}, 1, SLM_LOGITS_NONE, &golden_err));
    slm_chat_report r = prepared();
    assert_int_equal(r.n_reused, at);
    assert_int_equal(r.segment, SLM_SEGMENT_DRAFT); /* none of it was answered */
    assert_int_equal(r.message, message);
    close_all(NULL);
}

static void many_messages(void **state) {
    (void)state;
    stops_among_many(SHORT("messages"), 270);
    stops_among_many(SHORT("messages[-4:]"), 298);
    stops_among_many(SHORT("messages[:1] + messages[-4:]"), 298);
}

static void drafts(void **state) {
    (void)state;
    add("system", "be brief");
    slm_chat_report r = drafted("what is");
    right(SLM_CHAT_CONTINUE, "user", "what is");
    assert_true(chat_info(chat).has_draft);
    size_t n = held(session);
    r = drafted("what is the time");
    right(SLM_CHAT_CONTINUE, "user", "what is the time");
    assert_int_equal(r.n_reused, n);
    assert_int_equal(r.reuse_stop, SLM_REUSE_ALL);
    r = drafted("what is that");
    right(SLM_CHAT_CONTINUE, "user", "what is that");
    assert_int_equal(r.n_reused, n + strlen(" th"));
    assert_int_equal(r.reuse_stop, SLM_REUSE_TOKEN);
    assert_int_equal(r.segment, SLM_SEGMENT_DRAFT);
    assert_int_equal(r.message, 1);
    assert_int_equal(chat_info(chat).n_messages, 1);
    OK(slm_chat_rollback(chat, &golden_err));
    assert_false(chat_info(chat).has_draft);
    assert_int_equal(held(session), n - strlen("what is"));
    r = prepared();
    right(SLM_CHAT_CONTINUE, "user", "");
    drafted("what is that");
    n = held(session);
    add("user", "what is that");
    r = say("x");
    assert_int_equal(r.n_reused, n); /* only the rest of the prompt is new */
    assert_int_equal(r.n_evaluated, held(session) - n - 1);
    assert_false(chat_info(chat).has_draft);
}

/* ---------------------------------------------------------------- tails ---------------------- */

static void tail(void **state) {
    (void)state;
    add("system", "be brief");
    OK(slm_chat_set_tail(chat, " (noon)", SLM_NTS, &golden_err));
    add("user", "hello");
    slm_chat_report r = prepared(); /* the tail may still change */
    int32_t *ids;
    size_t n;
    ids = chat_ids(&setup, chat, SLM_CHAT_CONTINUE, NULL, NULL, &n);
    holds(session, ids, n);
    OK(slm_chat_set_tail(chat, " (1 pm)", SLM_NTS, &golden_err));
    r = say("hi");
    assert_int_equal(r.reuse_stop, SLM_REUSE_ALL);
    assert_int_equal(r.n_reused, n);
    content_is(1, "hello");
    member_is(1, "tail", " (1 pm)");
    OK(slm_chat_set_tail(chat, " (2 pm)", SLM_NTS, &golden_err));
    prepared();
    right(SLM_CHAT_CONTINUE, "user", "");
    member_is(1, "tail", " (1 pm)"); /* what the model saw it saw */
    OK(slm_chat_cut(chat, 1, &golden_err));
    add("user", "hello");
    say("hi");
    member_is(1, "tail", " (2 pm)");
    /* the same message with another tail: the session goes astray behind the content */
    OK(slm_chat_cut(chat, 1, &golden_err));
    add("user", "hello");
    OK(slm_chat_set_tail(chat, " (2:30)", SLM_NTS, &golden_err));
    static const char old[] = "<s>system\nbe brief</s><s>user\nhello (2 pm)</s>";
    slm_span span = {old, SLM_NTS, 1};
    int32_t old_ids[100];
    OK(slm_tokenize(setup.model, &span, 1, SLM_BOS_NONE, old_ids, 100, &n, &golden_err));
    OK(slm_session_prompt(session, old_ids, n, NULL, &golden_err));
    r = say("hi");
    assert_int_equal(r.reuse_stop, SLM_REUSE_TOKEN);
    assert_int_equal(r.segment, SLM_SEGMENT_TAIL);
    assert_int_equal(r.message, 1);
    /* none, and one that comes with its message */
    OK(slm_chat_set_tail(chat, NULL, 0, &golden_err));
    add("user", "bye");
    say("ok");
    member_is(3, "tail", NULL);
    slm_message m = {sizeof m, NULL, 0,
                     "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}],"
                     "\"tail\":\"!\"}", SLM_NTS};
    OK(slm_chat_add(chat, &m, 0, &golden_err));
    prepared();
    right(SLM_CHAT_GENERATION_PROMPT, NULL, NULL);
    member_is(5, "tail", "!");
}

/* Whatever the tail says, nothing before it is evaluated again, and nothing piles up but text. */
static void two_hundred_turns(void **state) {
    (void)state;
    slm_chat_options o = plain();
    o.when_full = SLM_CHAT_FULL_DROP;
    open_chat(512, &o);
    add("system", "be brief");
    uint64_t dropped = 0, n_drops = 0;
    int64_t blocks = 0;
    for (int i = 0; i < 200; i++) {
        char text[32];
        size_t before = held(session);
        snprintf(text, sizeof text, " (%d o'clock)", i);
        OK(slm_chat_set_tail(chat, text, SLM_NTS, &golden_err));
        add("user", i % 2 ? "ring" : "no, wait");
        slm_chat_report r = say("ok.");
        if (r.n_dropped == 0 && i > 0) {
            assert_int_equal(r.reuse_stop, SLM_REUSE_ALL);
            assert_int_equal(r.n_reused, before - 1);
        }
        dropped += r.n_dropped;
        n_drops += r.n_dropped > 0;
        assert_int_equal(chat_info(chat).n_dropped, dropped);
        if (i == 99)
            blocks = memory.outstanding;
    }
    assert_in_range(n_drops, 10, 60); /* several turns go at a time */
    /* two messages a turn, one of them with a tail: three texts and one more */
    assert_in_range(memory.outstanding, blocks + 100, blocks + 100 * 4);
    prepared();
    right(SLM_CHAT_CONTINUE, "user", "");
    close_all(state);
}

/* ---------------------------------------------------------------- interruptions -------------- */

static const char spoken[] = "ab\xc3\xa9 abab \xe2\x82\xac. b\xf0\x9f\x98\x80 ab";

static void keep_every_byte(void **state) {
    (void)state;
    add("system", "be brief");
    add("user", "speak");
    for (size_t n = 0; n <= sizeof spoken; n++) {
        char want[sizeof spoken];
        size_t len = n < sizeof spoken - 1 ? n : sizeof spoken - 1;
        say(spoken);
        content_is(2, spoken);
        while (len > 0 && len < sizeof spoken - 1 && (spoken[len] & 0xC0) == 0x80)
            len--;
        snprintf(want, sizeof want, "%.*s", (int)len, spoken);
        const char *note = n % 2 ? " [cut]" : NULL;
        OK(slm_chat_keep(chat, n, note, SLM_NTS, &golden_err));
        content_is(2, want);
        member_is(2, "tail", note);
        /* what the session holds now is the beginning of what comes */
        size_t kept = held(session);
        slm_chat_report r = prepared();
        assert_int_equal(r.reuse_stop, SLM_REUSE_ALL);
        assert_true(r.n_reused + 1 >= kept);
        right(SLM_CHAT_CONTINUE, "user", "");
        add("user", "and?");
        say("ab");
        prepared();
        right(SLM_CHAT_CONTINUE, "user", "");
        OK(slm_chat_cut(chat, 2, &golden_err));
    }
}

/* Ended after any event, the answer is in the transcript as far as it came, and goes on there. */
static void ended_early_and_continued(void **state) {
    (void)state;
    add("user", "speak");
    for (size_t steps = 0; steps < 12; steps++) {
        slm_answer *answer = NULL;
        slm_answer_event ev = {.struct_size = sizeof ev};
        forced f;
        char text[200] = "";
        force(&f, "ab ab, ab. b");
        OK(slm_chat_answer(chat, &f.options, &answer, NULL, &golden_err));
        for (size_t i = 0; i < steps; i++) {
            OK(slm_answer_next(answer, &ev, &golden_err));
            if (ev.type == SLM_ANSWER_TEXT)
                snprintf(text + strlen(text), sizeof text - strlen(text), "%.*s",
                         (int)ev.text_len, ev.text);
        }
        if (steps % 2) { /* by another thread, as it were */
            slm_session_cancel(session);
            if (ev.type != SLM_ANSWER_END)
                REFUSED(slm_answer_next(answer, &ev, &golden_err), SLM_ERR_CANCEL, "cancelled");
        }
        slm_answer_end(&answer);
        slm_guide_close(&f.guide);
        content_is(1, text);
        prepared();
        right(SLM_CHAT_CONTINUE, "user", "");
        OK(slm_chat_keep(chat, SIZE_MAX, " [cut]", SLM_NTS, &golden_err));
        force(&f, " go b");
        OK(slm_chat_continue(chat, &f.options, &answer, NULL, &golden_err));
        finish(&answer);
        member_is(1, "tail", NULL);
        slm_guide_close(&f.guide);
        strcat(text, " go b");
        content_is(1, text);
        assert_int_equal(chat_info(chat).n_messages, 2);
        prepared();
        right(SLM_CHAT_CONTINUE, "user", "");
        OK(slm_chat_cut(chat, 1, &golden_err));
    }
}

/* What is thought anew goes behind what was thought before. */
static void thinking_continued(void **state) {
    (void)state;
    static const struct {
        const char *message, *before, *behind;
    } cases[] = {
        {NULL, "so", "sothus"},
        {"{\"role\":\"assistant\",\"content\":\"one\"}", NULL, "thus"},
        {"{\"role\":\"assistant\",\"reasoning_content\":null,\"content\":\"one\"}", NULL, "thus"},
        {"{\"role\":\"assistant\",\"reasoning_content\":\"a \",\"content\":\"one\"}", "a ",
         "a thus"},
    };
    add("user", "why");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        slm_message m = {sizeof m, NULL, 0, cases[i].message, SLM_NTS};
        slm_answer *answer = NULL;
        forced f;
        if (m.content == NULL)
            say("<think>so</think>one");
        else
            OK(slm_chat_add(chat, &m, 0, &golden_err));
        if (cases[i].before != NULL)
            member_is(1, "reasoning_content", cases[i].before);
        force(&f, "<think>thus</think>two");
        OK(slm_chat_continue(chat, &f.options, &answer, NULL, &golden_err));
        finish(&answer);
        slm_guide_close(&f.guide);
        content_is(1, "onetwo");
        member_is(1, "reasoning_content", cases[i].behind);
        force(&f, "!"); /* and nothing when there is nothing more of it */
        OK(slm_chat_continue(chat, &f.options, &answer, NULL, &golden_err));
        finish(&answer);
        slm_guide_close(&f.guide);
        content_is(1, "onetwo!");
        member_is(1, "reasoning_content", cases[i].behind);
        OK(slm_chat_cut(chat, 1, &golden_err));
    }
}

static int32_t stop_at_once(void *user, uint64_t done, uint64_t total) {
    (void)done;
    (void)total;
    int *on = user;
    return *on;
}

static void cancelled_while_evaluating(void **state) {
    (void)state;
    int stops = 0;
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = 512, .max_sessions = 2, .n_threads = 1,
                           .max_rows = 16, .yield = stop_at_once, .yield_user = &stops};
    slm_chat_options co = plain();
    slm_answer *answer = NULL;
    open_cache(&o);
    OK(slm_chat_open(session, &co, &chat, &golden_err));
    add("system", "be brief");
    OK(slm_chat_set_tail(chat, " (noon)", SLM_NTS, &golden_err));
    add("user", "tell me all about bells, and why they ring");
    for (int i = 0; i < 2; i++) {
        stops = i == 0;
        if (i == 1)
            slm_session_cancel(session);
        REFUSED(slm_chat_draft(chat, "x", 1, NULL, &golden_err), SLM_ERR_CANCEL, "evaluation");
        if (i == 1)
            slm_session_cancel(session);
        REFUSED(slm_chat_answer(chat, NULL, &answer, NULL, &golden_err), SLM_ERR_CANCEL,
                "evaluation");
        assert_null(answer);
        member_is(1, "tail", NULL); /* not answered: another tail may come */
        assert_int_equal(chat_info(chat).n_messages, 2);
    }
    OK(slm_chat_set_tail(chat, " (dusk)", SLM_NTS, &golden_err));
    say("they must");
    member_is(1, "tail", " (dusk)");
    prepared();
    right(SLM_CHAT_CONTINUE, "user", "");
    close_all(state);
}

/* ---------------------------------------------------------------- a full context ------------- */

static void full(void **state) {
    (void)state;
    slm_chat_options o = plain();
    slm_answer *answer = NULL;
    char text[200];
    open_chat(256, &o);
    add("system", "be brief");
    add("user", "first");
    say("1");
    memset(text, 'x', sizeof text);
    text[175] = 0;
    add("user", text);
    size_t before = held(session);
    REFUSED(slm_chat_answer(chat, NULL, &answer, NULL, &golden_err), SLM_ERR_CTX, "224", "256",
            "reserve of 32");
    REFUSED(slm_chat_prepare(chat, NULL, &golden_err), SLM_ERR_CTX, "224");
    assert_null(answer);
    assert_int_equal(held(session), before);
    assert_int_equal(chat_info(chat).n_messages, 4);
    text[199] = 0;
    memset(text, 'y', 199);
    REFUSED(slm_chat_draft(chat, text, SLM_NTS, NULL, &golden_err), SLM_ERR_CTX, "224");
    OK(slm_chat_cut(chat, 3, &golden_err)); /* as the message says */
    add("user", "again");
    say("2");
    close_all(state);

    o.when_full = SLM_CHAT_FULL_DROP;
    open_chat(256, &o);
    add("system", "be brief");
    add("assistant", "hello"); /* a turn of its own */
    add("user", "first");
    say("1");
    add("user", "second");
    say("2");
    text[124] = 0;
    add("user", text);
    slm_chat_report r = say("3"); /* three turns at once, as a quarter is to be free */
    assert_int_equal(r.n_dropped, 5);
    assert_int_equal(chat_info(chat).n_dropped, 5);
    assert_int_equal(r.reuse_stop, SLM_REUSE_TOKEN);
    assert_int_equal(r.segment, SLM_SEGMENT_DRAFT); /* what stands behind the pinned ones is new */
    assert_int_equal(r.message, 6);
    content_is(1, "hello"); /* the transcript has all of it */
    prepared();
    right(SLM_CHAT_CONTINUE, "user", "");
    text[124] = 'y';
    text[180] = 0;
    add("user", text); /* it fits alone */
    r = prepared();
    assert_int_equal(r.n_dropped, 2);
    right(SLM_CHAT_GENERATION_PROMPT, NULL, NULL);
    say("4");
    OK(slm_chat_cut(chat, 8, &golden_err));
    assert_int_equal(chat_info(chat).n_dropped, 7);
    OK(slm_chat_cut(chat, 4, &golden_err));
    assert_int_equal(chat_info(chat).n_dropped, 3);
    text[180] = 'y';
    text[199] = 0;
    add("user", text);
    REFUSED(slm_chat_answer(chat, NULL, &answer, NULL, &golden_err), SLM_ERR_CTX, "224");
    close_all(state);
}

/* ---------------------------------------------------------------- filter and tools ----------- */

static int32_t filter(void *user, slm_filter_place place, const char *text, size_t len,
                      slm_filter_verdict *verdict) {
    int *calls = user;
    assert_int_equal(place, SLM_FILTER_INPUT);
    ++*calls;
    if (len == 3 && memcmp(text, "bad", 3) == 0) {
        verdict->action = SLM_FILTER_REPLACE;
        verdict->text = "good";
        verdict->text_len = SLM_NTS;
    }
    if (len == 5 && memcmp(text, "worse", 5) == 0)
        verdict->action = SLM_FILTER_STOP;
    if (len == 4 && memcmp(text, "odd?", 4) == 0)
        verdict->action = 9;
    if (len == 5 && memcmp(text, "raw\xc3\xa9", 5) == 0) {
        verdict->action = SLM_FILTER_REPLACE;
        verdict->text = "\xc3";
        verdict->text_len = 1;
    }
    return len == 5 && memcmp(text, "never", 5) == 0;
}

static void input_filter(void **state) {
    (void)state;
    slm_chat_options o = plain();
    int calls = 0;
    o.filter = filter;
    o.filter_user = &calls;
    open_chat(512, &o);
    add("system", "bad");
    add("assistant", "bad");
    assert_int_equal(calls, 0);
    add("user", "bad");
    content_is(2, "good");
    add("tool", "bad");
    content_is(3, "good");
    slm_message m = {sizeof m, "user", SLM_NTS, "worse", SLM_NTS};
    REFUSED(slm_chat_add(chat, &m, 0, &golden_err), SLM_ERR_CANCEL, "filter", "not added");
    m.content = "never";
    REFUSED(slm_chat_add(chat, &m, 0, &golden_err), SLM_ERR_CANCEL, "filter");
    m.content = "odd?";
    REFUSED(slm_chat_add(chat, &m, 0, &golden_err), SLM_ERR_ARG, "action 9");
    m.content = "raw\xc3\xa9";
    REFUSED(slm_chat_add(chat, &m, 0, &golden_err), SLM_ERR_UTF8, "filter");
    assert_int_equal(chat_info(chat).n_messages, 4);
    m.content = "worse";
    OK(slm_chat_add(chat, &m, SLM_CHAT_UNFILTERED, &golden_err));
    content_is(4, "worse");
    m = (slm_message){sizeof m, NULL, 0,
                      "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"bad\"},"
                      "{\"type\":\"image\"}]}", SLM_NTS};
    OK(slm_chat_add(chat, &m, 0, &golden_err));
    json_t *last = chat_message(chat, 5);
    assert_string_equal(json_string_value(json_object_get(
                            json_array_get(json_object_get(last, "content"), 0), "text")), "good");
    json_decref(last);
    calls = 0;
    OK(slm_chat_draft(chat, "worse", SLM_NTS, NULL, &golden_err)); /* nothing comes of a draft */
    assert_int_equal(calls, 0);
    close_all(state);
}

static void calls_and_results(void **state) {
    (void)state;
    slm_answer *answer = NULL;
    OK(slm_chat_set_tools(chat, TOOLS, SLM_NTS, &golden_err));
    setup.tools = TOOLS;
    add("user", "ring");
    slm_message m = {sizeof m, NULL, 0,
                     "{\"role\":\"assistant\",\"content\":\"so\",\"tool_calls\":[{\"type\":"
                     "\"function\",\"function\":{\"name\":\"bell\",\"arguments\":{}}}]}", SLM_NTS};
    OK(slm_chat_add(chat, &m, 0, &golden_err));
    prepared(); /* the tool speaks next */
    right(SLM_CHAT_CONTINUE, "tool", "");
    REFUSED(slm_chat_continue(chat, NULL, &answer, NULL, &golden_err), SLM_ERR_ARG, "calls tools");
    add("tool", "{\"rang\": true}");
    say("it rang");
    content_is(3, "it rang");
    OK(slm_chat_cut(chat, 2, &golden_err));
    OK(slm_chat_keep(chat, 2, NULL, 0, &golden_err)); /* all of it was said: the call stands */
    json_t *last = chat_message(chat, 1);
    assert_int_equal(json_array_size(json_object_get(last, "tool_calls")), 1);
    json_decref(last);
    OK(slm_chat_keep(chat, 1, NULL, 0, &golden_err));
    last = chat_message(chat, 1);
    assert_null(json_object_get(last, "tool_calls"));
    json_decref(last);
    content_is(1, "s");
    /* the conversation's own tools hold an answer that asks for nothing else */
    OK(slm_chat_cut(chat, 1, &golden_err));
    slm_tools_options required = {.struct_size = sizeof required,
                                  .choice = SLM_TOOL_CHOICE_REQUIRED, .format = SLM_TOOLS_JSON};
    slm_answer_options o = {.struct_size = sizeof o, .tools_options = &required};
    OK(slm_chat_answer(chat, &o, &answer, NULL, &golden_err));
    finish(&answer);
    last = chat_message(chat, 1);
    assert_true(json_array_size(json_object_get(last, "tool_calls")) > 0);
    json_decref(last);
    prepared();
    right(SLM_CHAT_CONTINUE, "tool", "");
}

int main(void) {
#define PLAIN(test) cmocka_unit_test_setup_teardown(test, open_plain, close_all)
    const struct CMUnitTest tests[] = {
        PLAIN(turns),
        PLAIN(segments),
        cmocka_unit_test(many_messages),
        PLAIN(drafts),
        PLAIN(tail),
        cmocka_unit_test(two_hundred_turns),
        PLAIN(keep_every_byte),
        PLAIN(ended_early_and_continued),
        PLAIN(thinking_continued),
        cmocka_unit_test(cancelled_while_evaluating),
        cmocka_unit_test(full),
        cmocka_unit_test(input_filter),
        PLAIN(calls_and_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
