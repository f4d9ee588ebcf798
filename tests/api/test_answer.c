/* Answers whose text a guide forces: each way of cutting it into tokens gives the same events. */
#include "api/stories_group.h"
#include "api/tiny_open.h"
#include "support/fail_alloc.h"
#include "text/toolcall.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- an answer as one text ---- */

typedef struct transcript {
    char text[1 << 14]; /* the events, pieces of one kind joined */
    size_t len;
    slm_answer_event_type last;
    slm_end_reason reason;
    uint64_t count;
    size_t shown;       /* bytes for the reader */
    size_t n_none;
    size_t n_joined;    /* pieces of arguments behind the first of a call */
} transcript;

static void put(transcript *t, const char *text, size_t len) {
    assert_true(t->len + len < sizeof t->text);
    memcpy(t->text + t->len, text, len);
    t->len += len;
    t->text[t->len] = 0;
}

/* "T:" text, "I:" thinking, "C0:" name, "A:" arguments, "E0" end of a call, "c:" clause, "s:" sentence,
 * each between bars; pieces with their places. */
static void add(transcript *t, const slm_answer_event *e) {
    static const char *const names[] = {"", "T:", "I:", "C", "A:", "E", "c", "s", "R", "END"};
    char head[64];
    if (e->type == SLM_ANSWER_NONE) {
        t->n_none++;
        return;
    }
    int is_text = e->type == SLM_ANSWER_TEXT || e->type == SLM_ANSWER_THINKING_TEXT;
    int joins = (is_text || e->type == SLM_ANSWER_ARGUMENTS) && e->type == t->last;
    t->n_joined += joins && !is_text;
    t->last = e->type;
    if (is_text)
        assert_true(e->text_len > 0);
    if (e->type == SLM_ANSWER_TEXT)
        t->shown += e->text_len;
    if (!joins) {
        put(t, "|", 1);
        put(t, names[e->type], strlen(names[e->type]));
        head[0] = 0;
        if (e->type == SLM_ANSWER_CALL_BEGIN)
            snprintf(head, sizeof head, "%u:", e->call);
        else if (e->type == SLM_ANSWER_CALL_END)
            snprintf(head, sizeof head, "%u", e->call);
        else if (e->type == SLM_ANSWER_CLAUSE || e->type == SLM_ANSWER_SENTENCE)
            snprintf(head, sizeof head, "%llu-%llu:", (unsigned long long)e->begin,
                     (unsigned long long)e->end);
        put(t, head, strlen(head));
        if (e->type == SLM_ANSWER_CLAUSE || e->type == SLM_ANSWER_SENTENCE)
            assert_true(e->begin < e->end && e->end <= t->shown);
    }
    put(t, e->text, e->text_len);
}

static slm_sampling hot(uint64_t seed) {
    slm_sampling s = {.struct_size = sizeof s};
    OK(slm_sampling_init(&s));
    s.temperature = 3; /* how a forced text is cut into tokens is left to chance */
    s.seed = seed;
    return s;
}

static void pull(slm_answer *a, transcript *t) {
    slm_answer_event e = {.struct_size = sizeof e};
    do {
        OK(slm_answer_next(a, &e, &golden_err));
        assert_true(e.count >= t->count || e.type == SLM_ANSWER_REEVALUATED);
        t->count = e.type == SLM_ANSWER_REEVALUATED ? t->count : e.count;
        add(t, &e);
    } while (e.type != SLM_ANSWER_END);
    t->reason = e.reason;
    OK(slm_answer_next(a, &e, &golden_err)); /* again and again */
    assert_int_equal(e.type, SLM_ANSWER_END);
    assert_int_equal(e.reason, t->reason);
}

/* Runs an answer with these options but a random sampling. *t is overwritten; message may be NULL. */
static void answer(slm_guide *guide, const slm_answer_options *options, uint64_t seed,
                   uint64_t max_tokens, transcript *t, char *message) {
    slm_answer_options o = *options;
    slm_sampling s = hot(seed);
    slm_generate_options g = {
        .struct_size = sizeof g, .sampling = &s, .guide = guide, .max_tokens = max_tokens};
    slm_answer *a = NULL;
    const char *text;
    size_t len;
    o.struct_size = sizeof o;
    o.generate = &g;
    *t = (transcript){.reason = SLM_END_NONE};
    OK(slm_answer_begin(session, &o, &a, &golden_err));
    pull(a, t);
    OK(slm_answer_get_text(a, &text, &len, &golden_err));
    assert_int_equal(len, t->shown);
    if (message != NULL) {
        OK(slm_answer_get_message(a, &text, &len, &golden_err));
        memcpy(message, text, len);
        message[len] = 0;
    }
    OK(slm_session_eval(session, NULL, 0, SLM_LOGITS_NONE, &golden_err)); /* it is free again */
    slm_answer_end(&a);
    assert_null(a);
}

/* A guide of exactly one text. */
static slm_guide *force(slm_model *m, const char *text) {
    char grammar[4096] = "root ::= \"";
    size_t n = strlen(grammar);
    slm_guide *guide;
    for (; *text != 0; text++) {
        if (*text == '"' || *text == '\\')
            grammar[n++] = '\\';
        if (*text == '\n')
            n += (size_t)snprintf(grammar + n, sizeof grammar - n, "\\n");
        else
            grammar[n++] = *text;
    }
    snprintf(grammar + n, sizeof grammar - n, "\"");
    OK(slm_guide_compile_gbnf(m, grammar, SLM_NTS, NULL, &guide, &golden_err));
    return guide;
}

static void start(void) {
    OK(slm_session_prompt(session, prompt, COUNT(prompt), NULL, &golden_err));
}

enum { CALLS = 1, SHOW = 2, SPEAK = 4 };

static const slm_speech_options speech = {.struct_size = sizeof speech};
static const slm_tools_options formats[] = {
    {.struct_size = sizeof formats[0], .format = SLM_TOOLS_HERMES},
    {.struct_size = sizeof formats[0], .format = SLM_TOOLS_LLAMA3_JSON},
    {.struct_size = sizeof formats[0], .format = SLM_TOOLS_LLAMA32_PYTHONIC},
};

static slm_answer_options options_of(int what, int format) {
    return (slm_answer_options){
        .flags = (what & CALLS ? SLM_ANSWER_CALLS : 0u) | (what & SHOW ? SLM_ANSWER_THINKING : 0u),
        .tools_options = &formats[format],
        .speech = what & SPEAK ? &speech : NULL,
    };
}

#define A      "{\"name\": \"f\", \"arguments\": {\"x\": 1, \"y\": \"z\"}}"
#define A_ARGS "{\"x\":1,\"y\":\"z\"}"
#define A_CALL "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":" A_ARGS "}}"

static const struct {
    const char *text;
    int what, format;
    const char *events, *message;
} cases[] = {
    {"Hello.", 0, 0, "|T:Hello.|END", "{\"role\":\"assistant\",\"content\":\"Hello.\"}"},
    {"a <tool_call>" A "</tool_call>", 0, 0, "|T:a <tool_call>" A "</tool_call>|END", NULL},
    {"<tool_call>\n" A "\n</tool_call>", CALLS, 0, "|C0:f|A:" A_ARGS "|E0|END",
     "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[" A_CALL "]}"},
    {"I look. <tool_call>" A "</tool_call>\n<tool_call>" A "</tool_call> Well", CALLS, 0,
     "|T:I look.|C0:f|A:" A_ARGS "|E0|C1:f|A:" A_ARGS "|E1|T: \n Well|END", NULL},
    {"a <tool_call>{\"name\": 1}</tool_call> b", CALLS, 0,
     "|T:a <tool_call>{\"name\": 1}</tool_call> b|END",
     "{\"role\":\"assistant\",\"content\":\"a <tool_call>{\\\"name\\\": 1}</tool_call> b\"}"},
    {"a <tool_call>" A, CALLS, 0, "|T:a|C0:f|A:" A_ARGS "|E0|END", NULL},
    {"a <tool_call>{\"name\":", CALLS, 0, "|T:a <tool_call>{\"name\":|END", NULL},
    {"{\"name\": \"f\", \"parameters\": {}}", CALLS, 1, "|C0:f|A:{}|E0|END", NULL},
    {"[f(x='a')]", CALLS, 2, "|C0:f|A:{\"x\":\"a\"}|E0|END", NULL},
    {"<think>\nI think.\n</think>\n\nYes.", 0, 0, "|T:Yes.|END",
     "{\"role\":\"assistant\",\"content\":\"Yes.\",\"reasoning_content\":\"I think.\"}"},
    {"\n <think>\nI think <b>.\n</think>\n\nYes.", SHOW, 0, "|I:\nI think <b>.\n|T:Yes.|END", NULL},
    {"<think></think><think>b</think> \n", SHOW, 0, "|I:b|END",
     "{\"role\":\"assistant\",\"content\":\"\",\"reasoning_content\":\"b\"}"},
    {"<think>a</thin", SHOW, 0, "|I:a</thin|END", NULL},
    {"<thi", SHOW, 0, "|T:<thi|END", NULL},
    {" <", 0, 0, "|T: <|END", NULL},
    {" \n ", 0, 0, "|T: \n |END", NULL},
    {"a <think>b</think> c", SHOW, 0, "|T:a <think>b</think> c|END", NULL},
    {"<think><tool_call></think><tool_call>" A "</tool_call>", CALLS | SHOW, 0,
     "|I:<tool_call>|C0:f|A:" A_ARGS "|E0|END",
     "{\"role\":\"assistant\",\"content\":\"\",\"reasoning_content\":\"<tool_call>\","
     "\"tool_calls\":[" A_CALL "]}"},
    {"One two three four five, six seven eight nine. Ten.", SPEAK, 0, NULL, NULL},
    {"Let me see what I know. <tool_call>" A "</tool_call>It is a very fine day.",
     CALLS | SPEAK, 0, "|T:Let me see what I know.|s0-23:Let me see what I know.|C0:f|A:" A_ARGS
     "|E0|T: It is a very fine day.|s24-46:It is a very fine day.|END", NULL},
};

static void same_events(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        slm_guide *guide = force(model, cases[i].text);
        slm_answer_options o = options_of(cases[i].what, cases[i].format);
        for (uint64_t seed = 1; seed <= 6; seed++) {
            static transcript t;
            static char message[4096];
            start();
            answer(guide, &o, seed, 0, &t, message);
            assert_int_equal(t.reason, SLM_END_GUIDE);
            if (cases[i].events != NULL && strcmp(t.text, cases[i].events) != 0)
                fail_msg("%s:\ngot    %s\nwanted %s", cases[i].text, t.text, cases[i].events);
            if (cases[i].message != NULL)
                assert_string_equal(message, cases[i].message);
        }
        slm_guide_close(&guide);
    }
}

/* Pieces come as soon as they are certain, behind the text that they were made of. */
static void speech_events(void **state) {
    (void)state;
    slm_guide *guide = force(model, "One two three four five, six seven eight. And ten <b>");
    slm_answer_options o = options_of(SPEAK, 0);
    static transcript t;
    start();
    answer(guide, &o, 1, 0, &t, NULL);
    const char *clause = strstr(t.text, "|c0-24:One two three four five,");
    const char *sentence = strstr(t.text, "|s25-41:six seven eight.");
    if (clause == NULL || sentence == NULL)
        fail_msg("%s", t.text);
    assert_true(clause < sentence && sentence < strstr(t.text, "ten"));
    slm_guide_close(&guide);
}

/* ---- thinking ---- */

/* The prompt has opened the thinking. */
static void opened_by_prompt(void **state) {
    (void)state;
    static transcript t;
    static char message[256];
    slm_span span = {"Think! <think>\n", SLM_NTS, 1};
    int32_t ids[64];
    size_t n;
    slm_guide *guide;
    slm_answer_options o = options_of(SHOW, 0);
    OK(slm_tokenize(model, &span, 1, SLM_BOS_DEFAULT, ids, 64, &n, &golden_err));
    guide = force(model, "<think>so</think>yes");
    for (uint64_t seed = 1; seed < 4; seed++) {
        OK(slm_session_prompt(session, ids, n, NULL, &golden_err));
        answer(guide, &o, seed, 0, &t, message);
        assert_string_equal(t.text, "|I:so|T:yes|END");
        assert_string_equal(message, "{\"role\":\"assistant\",\"content\":\"yes\","
                                     "\"reasoning_content\":\"so\"}");
    }
    slm_guide_close(&guide);
    guide = force(model, "{}</think>"); /* which has no place for it */
    OK(slm_session_prompt(session, ids, n, NULL, &golden_err));
    answer(guide, &o, 1, 0, &t, NULL);
    assert_string_equal(t.text, "|T:{}</think>|END");
    slm_guide_close(&guide);
    slm_span trigger = {"</think>", SLM_NTS, 0}; /* but behind it */
    slm_guide_options g = {.struct_size = sizeof g, .triggers = &trigger, .n_triggers = 1};
    OK(slm_guide_compile_gbnf(model, "root ::= \"{}\"", SLM_NTS, &g, &guide, &golden_err));
    OK(slm_session_prompt(session, ids, n, NULL, &golden_err));
    o.thinking_budget = 5;
    answer(guide, &o, 1, 0, &t, message);
    assert_string_equal(t.text + t.len - 9, "|T:{}|END");
    slm_guide_close(&guide);
}

/* Behind so many tokens the thinking is closed. */
static void budget(void **state) {
    (void)state;
    static transcript t;
    slm_guide *guide;
    OK(slm_guide_compile_gbnf(model,
                              "root ::= \"<think>\" [a-y ]* \"\\n\"? \"</think>\" \"\\n\\n\"? \"zzz\"",
                              SLM_NTS, NULL, &guide, &golden_err));
    slm_answer_options o = options_of(SHOW, 0);
    for (uint64_t n = 1; n < 20; n += 3) {
        o.thinking_budget = n;
        start();
        answer(guide, &o, n, 0, &t, NULL);
        assert_int_equal(t.reason, SLM_END_GUIDE);
        assert_memory_equal(t.text, "|I:", 3);
        assert_string_equal(t.text + t.len - 10, "|T:zzz|END");
        /* tokens of <think> at most 7, of "\n</think>\n\n" at most 11, of zzz 3 */
        assert_true(t.count <= 7 + n + 11 + 3);
    }
    o.thinking_budget = 0; /* no bound but the caller's */
    start();
    answer(guide, &o, 3, 40, &t, NULL);
    assert_int_equal(t.count, t.reason == SLM_END_LENGTH ? 40 : t.count);
    slm_guide_close(&guide);
}

/* While the thinking is hidden the caller still gets to act after each token. */
static void hidden_steps(void **state) {
    (void)state;
    slm_guide *guide = force(model, "<think>abc</think>d");
    slm_sampling s = hot(1);
    slm_generate_options g = {.struct_size = sizeof g, .sampling = &s, .guide = guide};
    slm_answer_options o = {.struct_size = sizeof o, .generate = &g};
    slm_answer *a;
    slm_answer_event e = {.struct_size = sizeof e};
    uint64_t before = 0;
    int thought = 0;
    start();
    OK(slm_answer_begin(session, &o, &a, &golden_err));
    for (;;) {
        OK(slm_answer_next(a, &e, &golden_err));
        assert_true(e.count <= before + 1);
        before = e.count;
        thought |= e.thinking != 0;
        if (e.type != SLM_ANSWER_NONE)
            break;
    }
    assert_int_equal(e.type, SLM_ANSWER_TEXT);
    assert_true(thought && !e.thinking);
    slm_answer_end(&a);
    slm_guide_close(&guide);
}

/* ---- filter ---- */

typedef struct judge {
    int at;            /* clause to be judged otherwise */
    slm_filter_verdict verdict;
    int32_t result;
    int n;
    char seen[1024];
} judge;

static int32_t filter(void *user, slm_filter_place place, const char *text, size_t len,
                      slm_filter_verdict *verdict) {
    judge *j = user;
    assert_int_equal(place, SLM_FILTER_OUTPUT);
    assert_int_equal(verdict->action, SLM_FILTER_PASS);
    assert_true(len > 0);
    snprintf(j->seen + strlen(j->seen), sizeof j->seen - strlen(j->seen), "[%.*s]", (int)len, text);
    if (j->n++ != j->at)
        return 0;
    *verdict = j->verdict;
    return j->result;
}

static const char *const clauses[] = {"One two three four five,", " six seven eight nine ten.",
                                      " So it is!", " <<"};

/* Each verdict at each clause, however the text is cut. */
static void verdicts(void **state) {
    (void)state;
    char whole[256] = "", seen[256] = "";
    for (size_t i = 0; i < COUNT(clauses); i++) {
        strcat(whole, clauses[i]);
        snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "[%s]", clauses[i]);
    }
    slm_guide *guide = force(model, whole);
    for (int action = SLM_FILTER_PASS; action <= SLM_FILTER_STOP; action++)
        for (int at = 0; at < (int)COUNT(clauses); at++)
            for (int with = 0; with <= 1; with++) {
                static transcript t;
                char wanted[256] = "|T:";
                judge j = {.at = at, .verdict = {sizeof j.verdict, action, with ? " (-)" : NULL,
                                                 SLM_NTS}};
                slm_answer_options o = {.filter = filter, .filter_user = &j};
                for (int i = 0; i < (int)COUNT(clauses); i++) {
                    if (i < at || action == SLM_FILTER_PASS || (i > at && action != SLM_FILTER_STOP))
                        strcat(wanted, clauses[i]);
                    else if (i == at && with)
                        strcat(wanted, " (-)");
                }
                if (wanted[3] == 0)
                    wanted[0] = 0;
                strcat(wanted, "|END");
                start();
                answer(guide, &o, (uint64_t)at + 1, 0, &t, NULL);
                assert_string_equal(t.text, wanted);
                assert_int_equal(t.reason, action == SLM_FILTER_STOP ? SLM_END_FILTER : SLM_END_GUIDE);
                if (action != SLM_FILTER_STOP)
                    assert_string_equal(j.seen, seen);
            }
    slm_guide_close(&guide);
}

/* Text before a call is judged and spoken before the call is delivered. */
static void filter_and_calls(void **state) {
    (void)state;
    static transcript t;
    judge j = {.at = 1, .verdict = {sizeof j.verdict, SLM_FILTER_REPLACE, "I see.", SLM_NTS}};
    slm_guide *guide = force(model, "Let me see. <tool_call>" A "</tool_call>It is fine.");
    slm_answer_options o = options_of(CALLS | SPEAK, 0);
    o.filter = filter;
    o.filter_user = &j;
    start();
    answer(guide, &o, 5, 0, &t, NULL);
    assert_string_equal(t.text, "|T:Let me see.|s0-11:Let me see.|C0:f|A:" A_ARGS
                                "|E0|T:I see.|s11-17:I see.|END");
    assert_string_equal(j.seen, "[Let me see.][ It is fine.]");
    j = (judge){.at = 0, .verdict = {sizeof j.verdict, SLM_FILTER_STOP, "No.", SLM_NTS}};
    start();
    answer(guide, &o, 6, 0, &t, NULL);
    assert_string_equal(t.text, "|T:No.|s0-3:No.|END");
    assert_int_equal(t.reason, SLM_END_FILTER);
    slm_guide_close(&guide);
}

/* A filter that fails is asked again; what it says is looked at. */
static void filter_failures(void **state) {
    (void)state;
    judge j = {.at = 0, .result = 1};
    slm_guide *guide = force(model, "It is fine.");
    slm_generate_options g = {.struct_size = sizeof g, .guide = guide};
    slm_answer_options o = {
        .struct_size = sizeof o, .generate = &g, .filter = filter, .filter_user = &j};
    slm_answer *a;
    slm_answer_event e = {.struct_size = sizeof e};
    slm_status status;
    start();
    OK(slm_answer_begin(session, &o, &a, &golden_err));
    do
        status = slm_answer_next(a, &e, &golden_err);
    while (status == SLM_OK && e.type == SLM_ANSWER_NONE);
    assert_int_equal(status, SLM_ERR_CANCEL);
    j.at = 1;
    j.result = 0;
    j.verdict = (slm_filter_verdict){sizeof j.verdict, SLM_FILTER_REPLACE, "\xff", 1};
    REFUSED(slm_answer_next(a, &e, &golden_err), SLM_ERR_UTF8, "verdict");
    j.at = 2;
    j.verdict.action = 3;
    REFUSED(slm_answer_next(a, &e, &golden_err), SLM_ERR_RANGE, "action", "3");
    OK(slm_answer_next(a, &e, &golden_err));
    assert_int_equal(e.type, SLM_ANSWER_TEXT);
    assert_int_equal(e.text_len, strlen("It is fine."));
    slm_answer_end(&a);
    slm_guide_close(&guide);
}

/* ---- ends ---- */

static void cancelled(void **state) {
    (void)state;
    slm_guide *guide = force(model, "<think>a b c</think>d e <tool_call>" A "</tool_call>");
    for (int at = 0; at < 60; at += 7) {
        slm_sampling s = hot((uint64_t)at + 1);
        slm_generate_options g = {.struct_size = sizeof g, .sampling = &s, .guide = guide};
        slm_answer_options o = options_of(CALLS, 0);
        slm_answer *a;
        slm_answer_event e = {.struct_size = sizeof e};
        static transcript t;
        o.struct_size = sizeof o;
        o.generate = &g;
        t = (transcript){.reason = SLM_END_NONE};
        start();
        OK(slm_answer_begin(session, &o, &a, &golden_err));
        REFUSED(slm_session_eval(session, NULL, 0, SLM_LOGITS_LAST, &golden_err), SLM_ERR_BUSY);
        for (int i = 0; i < at && e.type != SLM_ANSWER_END; i++) {
            OK(slm_answer_next(a, &e, &golden_err));
            add(&t, &e);
        }
        slm_session_cancel(session);
        slm_status status = SLM_OK;
        while (status == SLM_OK && e.type != SLM_ANSWER_END) {
            status = slm_answer_next(a, &e, &golden_err);
            if (status == SLM_OK)
                add(&t, &e);
        }
        if (e.type != SLM_ANSWER_END) {
            assert_int_equal(status, SLM_ERR_CANCEL);
            pull(a, &t); /* it goes on */
        }
        assert_string_equal(t.text, "|T:d e|C0:f|A:" A_ARGS "|E0|END");
        slm_answer_end(&a);
        OK(slm_session_truncate(session, 1, &golden_err)); /* which takes the cancelling */
        (void)slm_session_eval(session, NULL, 0, SLM_LOGITS_LAST, &golden_err);
    }
    slm_guide_close(&guide);
}

/* The answer ends within a call: what came of it is text. */
static void cut_short(void **state) {
    (void)state;
    static transcript t, whole;
    slm_guide *guide = force(model, "Hm. <tool_call>" A "</tool_call>");
    slm_answer_options plain = options_of(0, 0), o = options_of(CALLS, 0);
    for (uint64_t n = 1; n < 30; n++) {
        start();
        answer(guide, &plain, 7, n, &whole, NULL);
        start();
        answer(guide, &o, 7, n, &t, NULL);
        assert_int_equal(t.reason, whole.reason);
        assert_int_equal(t.reason, SLM_END_LENGTH);
        if (strstr(t.text, "|C0") == NULL)
            assert_string_equal(t.text, whole.text);
    }
    slm_guide_close(&guide);
}

/* A stop text, and the end of the context. */
static void other_ends(void **state) {
    (void)state;
    slm_guide *guide = force(model, "abc def ghi");
    slm_span stops = {"def", 3, 0};
    slm_generate_options g = {.struct_size = sizeof g, .guide = guide, .stop = &stops, .n_stop = 1};
    slm_answer_options o = {.struct_size = sizeof o, .generate = &g};
    slm_answer *a;
    static transcript t;
    start();
    OK(slm_answer_begin(session, &o, &a, &golden_err));
    pull(a, &t);
    assert_int_equal(t.reason, SLM_END_STOP);
    assert_string_equal(t.text, "|T:abc |END");
    slm_answer_end(&a);
    slm_guide_close(&guide);

    slm_session *small = NULL, *kept = session;
    slm_cache_options co = {.struct_size = sizeof co, .n_ctx = 16, .n_threads = 1};
    OK(slm_session_open(model, &co, &small, &golden_err));
    session = small;
    guide = force(model, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
    start();
    slm_answer_options none = {0};
    answer(guide, &none, 1, 0, &t, NULL);
    assert_int_equal(t.reason, SLM_END_CONTEXT);
    slm_guide_close(&guide);
    slm_session_close(&small);
    session = kept;
}

/* A vocabulary that spells blanks, a and b. */
static void few_letters(gb *b) {
    int32_t types[TINY_VOCAB];
    for (int32_t i = 0; i < (int32_t)TINY_VOCAB; i++)
        types[i] = i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 5 /* unused */ : 1;
    gb_kv_arr_i32(b, "tokenizer.ggml.token_type", types, TINY_VOCAB);
}

/* The guide wants a byte that no token begins with. */
static void stuck(void **state) {
    (void)state;
    slm_model *m = tiny_open(&(tiny_tweak){.name = "tokenizer.ggml.token_type", .emit = few_letters},
                             NULL);
    slm_session *s = NULL, *kept = session;
    slm_guide *guide;
    static transcript t;
    slm_answer_options o = {0};
    OK(slm_session_open(m, NULL, &s, &golden_err));
    OK(slm_guide_compile_gbnf(m, "root ::= \"abc\"", SLM_NTS, NULL, &guide, &golden_err));
    session = s;
    OK(slm_session_prompt(session, prompt, 1, NULL, &golden_err));
    answer(guide, &o, 1, 0, &t, NULL);
    assert_int_equal(t.reason, SLM_END_STUCK);
    assert_string_equal(t.text, "|T:ab|END");
    session = kept;
    slm_guide_close(&guide);
    slm_session_close(&s);
    slm_model_close(&m);
}

/* ---- tools ---- */

/* Calls that the guide holds, with a real vocabulary of byte-level BPE, whatever the model wants. */
static void with_tools(void **state) {
    (void)state;
    static const char tools[] =
        "[{\"name\":\"lamp\",\"parameters\":{\"type\":\"object\",\"properties\":{\"on\":{\"type\":"
        "\"boolean\"},\"place\":{\"enum\":[\"hall\",\"attic\"]}},\"required\":[\"on\",\"place\"]}}]";
    slm_model *m = NULL;
    slm_session *s = NULL, *kept = session;
    slm_cache_options co = {.struct_size = sizeof co, .n_threads = 1};
    slm_span text = {"Hello", 5, 0};
    slm_tools_options required = {.struct_size = sizeof required,
                                  .choice = SLM_TOOL_CHOICE_REQUIRED};
    slm_guide_options one = {.struct_size = sizeof one, .flags = SLM_GUIDE_ONE_CALL};
    int32_t ids[16];
    size_t n;
    OK(slm_model_open(SLM_SOURCE_DIR "/examples/models/hearth.gguf", NULL, &m, &golden_err));
    OK(slm_session_open(m, &co, &s, &golden_err));
    OK(slm_tokenize(m, &text, 1, SLM_BOS_DEFAULT, ids, 16, &n, &golden_err));
    session = s;
    for (int format = SLM_TOOLS_HERMES; format <= SLM_TOOLS_JSON; format++)
        for (uint64_t seed = 1; seed <= 4; seed++) {
            static transcript t;
            static char message[1024];
            slm_answer_options o = {.tools = tools, .tools_len = SLM_NTS,
                                    .tools_options = &required, .guide_options = &one};
            required.format = format;
            OK(slm_session_prompt(session, ids, n, NULL, &golden_err));
            answer(NULL, &o, seed, 0, &t, message);
            assert_int_equal(t.reason, SLM_END_GUIDE);
            assert_memory_equal(t.text, "|C0:lamp|A:{\"on\":", 17);
            assert_string_equal(t.text + t.len - 8, "}|E0|END");
            assert_true(t.n_joined > 0); /* arguments came while they were written */
            assert_non_null(strstr(message, "\"content\":\"\",\"tool_calls\":[{\"type\":\"function\","
                                            "\"function\":{\"name\":\"lamp\",\"arguments\":{\"on\":"));
        }
    /* cut off anywhere: a call has ended, or what was written of it is the text */
    slm_answer_options o = {.tools = tools, .tools_len = SLM_NTS, .tools_options = &required,
                            .guide_options = &one};
    size_t n_begun = 0;
    for (int format = SLM_TOOLS_HERMES; format <= SLM_TOOLS_JSON; format++)
        for (uint64_t cut = 1; cut < 40; cut++) {
            static transcript t;
            static char message[1024], wanted[1024];
            required.format = format;
            OK(slm_session_prompt(session, ids, n, NULL, &golden_err));
            answer(NULL, &o, 3, cut, &t, message);
            int ends = strstr(t.text, "|E0") != NULL;
            assert_int_equal(strstr(message, "tool_calls") != NULL, ends);
            assert_int_equal(t.shown > 0, !ends);
            n_begun += !ends && strstr(t.text, "|C0") != NULL;
            if (ends)
                break;
            const int32_t *now;
            size_t n_now, len;
            OK(slm_session_get_tokens(session, &now, &n_now, &golden_err));
            OK(slm_detokenize(m, now + n, n_now - n, SLM_DETOKENIZE_SPECIAL, wanted,
                              sizeof wanted, &len, &golden_err));
            assert_int_equal(t.shown, len);
            assert_memory_equal(strstr(t.text, "|T:") + 3, wanted, len);
        }
    assert_true(n_begun > 5);
    session = kept;
    slm_session_close(&s);
    slm_model_close(&m);
}

/* A vocabulary of bytes and of control tokens that mark thinking and calls. */
static const char *const marks[] = {"<think>", "</think>", "<tool_call>", "</tool_call>", "b"};
enum { FIRST_MARK = TINY_VOCAB - COUNT(marks), N_MARKS = COUNT(marks) - 1 };

static void marked_tokens(gb *b) {
    static char bytes[TINY_VOCAB][8];
    const char *tokens[TINY_VOCAB] = {"<unk>", "<s>", "</s>"};
    for (size_t i = 3; i < FIRST_MARK; i++) {
        snprintf(bytes[i], sizeof bytes[i], "<0x%02X>", (unsigned)(i - 3));
        tokens[i] = bytes[i];
    }
    for (size_t i = FIRST_MARK; i < TINY_VOCAB; i++)
        tokens[i] = marks[i - FIRST_MARK];
    gb_kv_arr_str(b, "tokenizer.ggml.tokens", tokens, TINY_VOCAB);
}

static void marked_types(gb *b) {
    int32_t types[TINY_VOCAB] = {2, 3, 3};
    for (size_t i = 3; i < TINY_VOCAB; i++)
        types[i] = i < FIRST_MARK ? 6 : i < FIRST_MARK + N_MARKS ? 3 : 1;
    gb_kv_arr_i32(b, "tokenizer.ggml.token_type", types, TINY_VOCAB);
}

/* Control tokens that mark thinking and calls are text to an answer, and to a generator. */
static void control_tokens(void **state) {
    (void)state;
    slm_model *m = tiny_open(&(tiny_tweak){.name = "tokenizer.ggml.tokens",
                                           .emit = marked_tokens,
                                           .name2 = "tokenizer.ggml.token_type",
                                           .emit2 = marked_types},
                             NULL);
    slm_session *s = NULL, *kept = session;
    slm_tools_options required = {.struct_size = sizeof required,
                                  .choice = SLM_TOOL_CHOICE_REQUIRED,
                                  .format = SLM_TOOLS_HERMES};
    slm_guide_options one = {.struct_size = sizeof one, .flags = SLM_GUIDE_ONE_CALL};
    slm_answer_options o = {.flags = SLM_ANSWER_THINKING,
                            .tools = "[{\"name\":\"f\"}]",
                            .tools_len = SLM_NTS,
                            .tools_options = &required,
                            .guide_options = &one,
                            .thinking_budget = 3};
    size_t seen[COUNT(marks)] = {0};
    OK(slm_session_open(m, NULL, &s, &golden_err));
    session = s;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        static transcript t;
        static const char call[] = "|C0:f|A:{}|E0|END";
        const int32_t *ids;
        size_t n;
        OK(slm_session_prompt(session, prompt, 1, NULL, &golden_err));
        answer(NULL, &o, seed, 0, &t, NULL);
        assert_true(t.len >= strlen(call));
        assert_string_equal(t.text + t.len - strlen(call), call);
        assert_true(t.len == strlen(call) || memcmp(t.text, "|I:", 3) == 0);
        OK(slm_session_get_tokens(session, &ids, &n, &golden_err));
        for (size_t i = 0; i < n; i++)
            if (ids[i] >= (int32_t)FIRST_MARK)
                seen[ids[i] - (int32_t)FIRST_MARK]++;
    }
    for (size_t i = 0; i < N_MARKS; i++)
        assert_true(seen[i] > 0);

    slm_guide *guide;
    slm_generator *g;
    slm_event ev = {.struct_size = sizeof ev};
    char text[256];
    size_t len = 0;
    OK(slm_guide_compile_tools(m, o.tools, SLM_NTS, &required, &one, &guide, &golden_err));
    slm_generate_options go = {.struct_size = sizeof go, .guide = guide};
    OK(slm_session_prompt(session, prompt, 1, NULL, &golden_err));
    slm_logit_bias bias = {FIRST_MARK + 2, 1000};
    slm_sampling sampling = {.struct_size = sizeof sampling};
    OK(slm_sampling_init(&sampling));
    sampling.logit_bias = &bias;
    sampling.n_logit_bias = 1;
    go.sampling = &sampling;
    OK(slm_generate_begin(session, &go, &g, &golden_err));
    do {
        OK(slm_generate_next(g, &ev, &golden_err));
        memcpy(text + len, ev.text, ev.text_len);
        len += ev.text_len;
    } while (ev.type != SLM_EVENT_END);
    slm_match match;
    OK(slm_guide_match(guide, text, len, &match, &golden_err));
    assert_int_equal(match, SLM_MATCH_WHOLE);
    assert_memory_equal(text, "<tool_call>", strlen("<tool_call>"));
    slm_generate_end(&g);
    slm_guide_close(&guide);
    session = kept;
    slm_session_close(&s);
    slm_model_close(&m);
}

/* Arguments in the message are as the template wants them: most make JSON of an object, some print
 * what they are given. */
static void arguments_for_the_template(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int wants_text;
    } templates[] = {{"llama-3.1-instruct", 0},  {"llama-3.2-instruct", 0},
                     {"phi-4-mini-vllm", 1},     {"qwen2.5-instruct", 0},
                     {"qwen3", 0},               {"x-hermes-2-pro-tools", 0},
                     {"x-granite-4", 0},         {"x-llama-3.2-vllm-pythonic", 0},
                     {"phi-4-mini-instruct", 0}, {"x-ministral-3-reasoning", 0}};
    for (size_t i = 0; i < COUNT(templates); i++) {
        char name[128];
        size_t n;
        snprintf(name, sizeof name, "templates/%s.jinja", templates[i].name);
        char *text = golden_read("chat:", name, &n);
        if (slm_toolcall_wants_text((slm_str){text, n}) != templates[i].wants_text)
            fail_msg("%s: wanted %d", name, templates[i].wants_text);
        free(text);
    }
}

static void prints_arguments(gb *b) {
    gb_kv_str(b, "tokenizer.chat_template", "<tool_call>{{ call.function.arguments }}");
}

static void arguments_as_text(void **state) {
    (void)state;
    slm_model *m = tiny_open(&(tiny_tweak){.extra = prints_arguments}, NULL);
    slm_session *s = NULL, *kept = session;
    slm_guide *guide = force(m, "<tool_call>" A "</tool_call>");
    static transcript t;
    static char message[512];
    slm_answer_options o = {.flags = SLM_ANSWER_CALLS}; /* in the format that the template tells */
    OK(slm_session_open(m, NULL, &s, &golden_err));
    session = s;
    OK(slm_session_prompt(session, prompt, 1, NULL, &golden_err));
    answer(guide, &o, 1, 0, &t, message);
    assert_string_equal(message, "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"type\":"
                                 "\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
                                 "\"{\\\"x\\\":1,\\\"y\\\":\\\"z\\\"}\"}}]}");
    session = kept;
    slm_guide_close(&guide);
    slm_session_close(&s);
    slm_model_close(&m);
}

/* ---- refusals ---- */

static void refusals(void **state) {
    (void)state;
    slm_guide *guide = force(model, "x");
    slm_generate_options g = {.struct_size = sizeof g, .guide = guide};
    slm_tools_options t = {.struct_size = sizeof t, .format = 9};
    slm_speech_options s = {.struct_size = sizeof s, .max_piece = 1};
    slm_answer_options o = {.struct_size = sizeof o};
    slm_answer *a = (slm_answer *)&o, *b = NULL;
    slm_answer_event e = {.struct_size = 3};
    const char *text;
    size_t len;
#define BEGIN slm_answer_begin(session, &o, &a, &golden_err)
    start();
    REFUSED(slm_answer_begin(NULL, &o, &a, &golden_err), SLM_ERR_ARG, "session");
    assert_null(a);
    o.flags = 1u << 2;
    REFUSED(BEGIN, SLM_ERR_ARG, "flags", "0x4");
    o.flags = SLM_ANSWER_CALLS;
    o.tools_options = &t;
    REFUSED(BEGIN, SLM_ERR_RANGE, "format", "9");
    o = (slm_answer_options){.struct_size = sizeof o, .tools = "[]", .tools_len = 2, .generate = &g};
    REFUSED(BEGIN, SLM_ERR_ARG, "guide");
    o = (slm_answer_options){.struct_size = sizeof o, .tools = "[1]", .tools_len = SLM_NTS};
    REFUSED(BEGIN, SLM_ERR_GRAMMAR, "tools[0]");
    o = (slm_answer_options){.struct_size = sizeof o, .speech = &s};
    REFUSED(BEGIN, SLM_ERR_RANGE, "max_piece");
    o = (slm_answer_options){.struct_size = sizeof o};
    OK(BEGIN);
    REFUSED(slm_answer_begin(session, NULL, &b, &golden_err), SLM_ERR_BUSY);
    REFUSED(slm_answer_next(a, &e, &golden_err), SLM_ERR_ARG, "slm_answer_event");
    REFUSED(slm_answer_next(a, NULL, &golden_err), SLM_ERR_ARG, "event");
    REFUSED(slm_answer_next(NULL, &e, &golden_err), SLM_ERR_ARG, "answer");
    REFUSED(slm_answer_get_text(a, NULL, &len, &golden_err), SLM_ERR_ARG, "text");
    REFUSED(slm_answer_get_message(a, &text, NULL, &golden_err), SLM_ERR_ARG, "len");
    slm_answer_end(&a);
    slm_answer_end(&a);
    slm_answer_end(NULL);
    slm_guide_close(&guide);
}

/* Memory is refused at each place in turn. */
static void refused_memory(void **state) {
    (void)state;
    fail_alloc fa = FAIL_ALLOC_INIT;
    int reached = 1;
    for (fa.fail_at = 1; reached; fa.fail_at++) {
        slm_allocator a = fail_alloc_start(&fa);
        slm_model_options mo = {.struct_size = sizeof mo, .allocator = &a};
        slm_cache_options co = {.struct_size = sizeof co, .n_ctx = 100, .n_threads = 1};
        slm_model *m = NULL;
        slm_session *s = NULL;
        slm_guide *guide = NULL;
        slm_answer *answer_ = NULL;
        judge j = {.at = -1};
        size_t len;
        const char *json;
        slm_status status = tiny_try(NULL, &mo, &m);
        if (status == SLM_OK)
            status = slm_session_open(m, &co, &s, &golden_err);
        if (status == SLM_OK)
            status = slm_session_prompt(s, prompt, 1, NULL, &golden_err);
        if (status == SLM_OK)
            status = slm_guide_compile_gbnf(m,
                                            "root ::= \"<think>a</think>b c. <tool_call>{\\\"name\\\":"
                                            "\\\"f\\\",\\\"arguments\\\":{}}\"",
                                            SLM_NTS, NULL, &guide, &golden_err);
        slm_generate_options g = {.struct_size = sizeof g, .guide = guide};
        slm_answer_options o = options_of(CALLS | SHOW | SPEAK, 0);
        o.struct_size = sizeof o;
        o.generate = &g;
        o.filter = filter;
        o.filter_user = &j;
        if (status == SLM_OK)
            status = slm_answer_begin(s, &o, &answer_, &golden_err);
        slm_answer_event e = {.struct_size = sizeof e};
        while (status == SLM_OK && e.type != SLM_ANSWER_END)
            status = slm_answer_next(answer_, &e, &golden_err);
        if (status == SLM_OK)
            status = slm_answer_get_message(answer_, &json, &len, &golden_err);
        reached = fa.calls >= fa.fail_at;
        if (status != SLM_OK && (!reached || status != SLM_ERR_NOMEM))
            fail_msg("%s: %s", slm_status_name(status), golden_err.message);
        slm_answer_end(&answer_);
        slm_guide_close(&guide);
        slm_session_close(&s);
        slm_model_close(&m);
        assert_int_equal(fa.outstanding, 0);
    }
    assert_true(fa.fail_at > 60);
}

int main(void) {
    golden_need_data();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_events),      cmocka_unit_test(speech_events),
        cmocka_unit_test(opened_by_prompt), cmocka_unit_test(budget),
        cmocka_unit_test(hidden_steps),     cmocka_unit_test(verdicts),
        cmocka_unit_test(filter_and_calls), cmocka_unit_test(filter_failures),
        cmocka_unit_test(cancelled),        cmocka_unit_test(cut_short),
        cmocka_unit_test(other_ends),       cmocka_unit_test(stuck),
        cmocka_unit_test(with_tools),       cmocka_unit_test(control_tokens),
        cmocka_unit_test(arguments_for_the_template),
        cmocka_unit_test(arguments_as_text), cmocka_unit_test(refusals),
        cmocka_unit_test(refused_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
