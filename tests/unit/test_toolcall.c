/* Parsers of tool calls: every reference text, whole, cut in two at every byte, byte by byte and
 * cut at random; what the formats leave open; texts made to take long; memory that is refused. */
#include "base/rng.h"
#include "support/fail_alloc.h"
#include "text/toolcall.h"
#include "unit/vocab_files.h"

#include <time.h>

static slm_host host;

static uint32_t below(slm_rng *rng, uint32_t n) { return (uint32_t)(slm_rng_next(rng) % n); }

/* ---- a reply, parsed ---- */

/* What a reply came to, as the program prints it. */
typedef struct reply {
    json_t *value; /* {"content", "tool_calls"} */
    size_t n_events;
} reply;

typedef struct text {
    char *ptr;
    size_t len, cap;
} text;

static void add(text *t, const char *p, size_t n) {
    if (t->cap <= t->len + n) {
        t->cap = 2 * (t->len + n + 1);
        t->ptr = realloc(t->ptr, t->cap);
        assert_non_null(t->ptr);
    }
    memcpy(t->ptr + t->len, p, n);
    t->len += n;
    t->ptr[t->len] = '\0';
}

typedef struct collector {
    text content, name, arguments;
    json_t *calls;
    uint32_t n_calls;
    int in_call, ended;
    int streams; /* calls come while they are read: one that does not end is none */
    size_t n_events;
} collector;

static void take(collector *c, const slm_tool_event *e) {
    c->n_events++;
    assert_false(c->ended);
    if (c->streams && e->type != SLM_TOOL_ARGUMENTS && e->type != SLM_TOOL_CALL_END)
        c->in_call = 0;
    switch (e->type) {
    case SLM_TOOL_TEXT:
        assert_false(c->in_call);
        assert_true(e->text_len > 0);
        add(&c->content, e->text, e->text_len);
        break;
    case SLM_TOOL_CALL_BEGIN:
        assert_false(c->in_call);
        assert_int_equal(e->call, c->n_calls);
        c->in_call = 1;
        c->name.len = c->arguments.len = 0;
        add(&c->name, e->text, e->text_len);
        break;
    case SLM_TOOL_ARGUMENTS:
        assert_true(c->in_call);
        assert_int_equal(e->call, c->n_calls);
        add(&c->arguments, e->text, e->text_len);
        break;
    case SLM_TOOL_CALL_END: {
        assert_true(c->in_call);
        assert_int_equal(e->call, c->n_calls);
        assert_null(memchr(c->arguments.ptr, '\n', c->arguments.len));
        json_error_t err;
        json_t *arguments = json_loadb(c->arguments.ptr, c->arguments.len, JSON_ALLOW_NUL, &err);
        if (!json_is_object(arguments))
            fail_msg("arguments: %s", c->arguments.ptr);
        json_t *call = json_object();
        json_object_set_new(call, "name", json_stringn(c->name.ptr, c->name.len));
        json_object_set_new(call, "arguments", arguments);
        json_array_append_new(c->calls, call);
        c->in_call = 0;
        c->n_calls++;
        break;
    }
    default:
        assert_int_equal(e->type, SLM_TOOL_END);
        c->ended = 1;
    }
}

static void pull(slm_toolcall *t, collector *c) {
    slm_tool_event e;
    for (;;) {
        assert_int_equal(slm_toolcall_next(t, &e, NULL), SLM_OK);
        if (e.type == SLM_TOOL_NONE)
            return;
        take(c, &e);
        if (e.type == SLM_TOOL_END)
            return;
    }
}

/* Parses p[0..n), cut where cuts say. */
static reply parse_by(slm_toolcall *t, int streams, const char *p, size_t n, const size_t *cuts,
                      size_t n_cuts) {
    collector c = {.calls = json_array(), .streams = streams};
    add(&c.content, "", 0);
    size_t at = 0;
    for (size_t i = 0; i <= n_cuts; i++) {
        size_t to = i < n_cuts ? cuts[i] : n;
        /* A copy of its own, so that reading beyond the piece is seen. */
        char *piece = malloc(to - at + 1);
        memcpy(piece, p + at, to - at);
        assert_int_equal(slm_toolcall_feed(t, piece, to - at, NULL), SLM_OK);
        free(piece);
        pull(t, &c);
        assert_false(c.ended);
        at = to;
    }
    assert_int_equal(slm_toolcall_finish(t, NULL), SLM_OK);
    pull(t, &c);
    assert_true(c.ended);
    reply r = {json_object(), c.n_events};
    json_t *content = json_stringn(c.content.ptr, c.content.len);
    json_object_set_new(r.value, "content",
                        content ? content : json_stringn_nocheck(c.content.ptr, c.content.len));
    json_object_set_new(r.value, "tool_calls", c.calls);
    free(c.content.ptr);
    free(c.name.ptr);
    free(c.arguments.ptr);
    return r;
}

static reply parse(slm_toolcall *t, const char *p, size_t n, const size_t *cuts, size_t n_cuts) {
    return parse_by(t, 0, p, n, cuts, n_cuts);
}

/* Takes members in their order and tells 1 from 1.0. */
static char *spell(const json_t *v) {
    char *s = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    assert_non_null(s);
    return s;
}

static void expect(const char *family, const char *name, reply r, const char *want, const char *how,
                   size_t at) {
    char *got = spell(r.value);
    if (strcmp(got, want) != 0)
        fail_msg("%s, %s, %s %zu:\n  got    %s\n  wanted %s", family, name, how, at, got, want);
    free(got);
    json_decref(r.value);
}

static void every_cut(slm_toolcall *t, const char *family, const char *name, const char *p,
                      size_t n, const char *want) {
    slm_rng rng;
    slm_rng_seed(&rng, n);
    size_t *cuts = malloc((n + 1) * sizeof *cuts);
    expect(family, name, parse(t, p, n, NULL, 0), want, "whole", 0);
    for (size_t i = 0; i <= n; i++)
        expect(family, name, parse(t, p, n, &i, 1), want, "cut at", i);
    for (size_t i = 0; i < n; i++)
        cuts[i] = i;
    expect(family, name, parse(t, p, n, cuts, n), want, "bytes", 0);
    for (size_t round = 0; round < 20; round++) {
        size_t n_cuts = 0;
        for (size_t i = 0; i < n; i++)
            if (below(&rng, 2 + (uint32_t)round) == 0)
                cuts[n_cuts++] = i;
        expect(family, name, parse(t, p, n, cuts, n_cuts), want, "round", round);
    }
    free(cuts);
}

/* The same when calls come while they are read, but for calls that say a thing twice. */
static void every_cut_streamed(slm_tool_format format, const char *name, const char *p, size_t n,
                               const char *want) {
    const char *family = slm_toolcall_name(format);
    size_t *cuts = malloc((n + 1) * sizeof *cuts);
    slm_toolcall *t;
    assert_int_equal(slm_toolcall_open(&host, format, 0, &t, NULL), SLM_OK);
    slm_toolcall_stream(t);
    expect(family, name, parse_by(t, 1, p, n, NULL, 0), want, "streamed", 0);
    for (size_t i = 0; i <= n; i++)
        expect(family, name, parse_by(t, 1, p, n, &i, 1), want, "streamed, cut at", i);
    for (size_t i = 0; i < n; i++)
        cuts[i] = i;
    expect(family, name, parse_by(t, 1, p, n, cuts, n), want, "streamed, bytes", 0);
    slm_toolcall_close(t);
    free(cuts);
}

static slm_toolcall *open_parser(slm_tool_format format, size_t max) {
    slm_toolcall *t;
    assert_int_equal(slm_toolcall_open(&host, format, max, &t, NULL), SLM_OK);
    return t;
}

/* ---- the reference data ---- */

static void reference(void **state) {
    (void)state;
    need_shared();
    static const struct {
        slm_tool_format format;
        size_t n_lines;
    } families[] = {{SLM_TOOLS_HERMES, 65},
                    {SLM_TOOLS_PHI4_MINI, 50},
                    {SLM_TOOLS_LLAMA3_JSON, 57},
                    {SLM_TOOLS_LLAMA32_PYTHONIC, 59}};
    for (size_t f = 0; f < COUNT(families); f++) {
        const char *family = slm_toolcall_name(families[f].format);
        slm_toolcall *t = open_parser(families[f].format, 0);
        FILE *file = fopen(shared_path("chat/toolcalls/%s.jsonl", family), "r");
        assert_non_null(file);
        char *line = NULL;
        size_t cap = 0, n_lines = 0;
        while (getline(&line, &cap, file) > 0) {
            json_error_t err;
            json_t *v = json_loads(line, 0, &err), *p = json_object_get(v, "text");
            char *want = spell(json_object_get(v, "expected"));
            every_cut(t, family, json_string_value(json_object_get(v, "name")),
                      json_string_value(p), json_string_length(p), want);
            every_cut_streamed(families[f].format, json_string_value(json_object_get(v, "name")),
                               json_string_value(p), json_string_length(p), want);
            free(want);
            json_decref(v);
            n_lines++;
        }
        assert_int_equal(n_lines, families[f].n_lines);
        free(line);
        fclose(file);
        slm_toolcall_close(t);
    }
}

/* ---- cases of our own ---- */

#define CALL "{\"name\":\"f\",\"arguments\":{}}"
#define CALLED "{\"name\":\"f\",\"arguments\":{}}"
#define NO_CALLS ",\"tool_calls\":[]}"

static void own_cases(void **state) {
    (void)state;
    static const struct {
        slm_tool_format format;
        const char *text, *want;
    } cases[] = {
        /* objects and lists as they are, without markers */
        {SLM_TOOLS_JSON, " " CALL "\n", "{\"content\":\"\",\"tool_calls\":[" CALLED "]}"},
        {SLM_TOOLS_JSON, "[" CALL "," CALL "]",
         "{\"content\":\"\",\"tool_calls\":[" CALLED "," CALLED "]}"},
        {SLM_TOOLS_JSON, CALL "\n[" CALL "] ok",
         "{\"content\":\"ok\",\"tool_calls\":[" CALLED "," CALLED "]}"},
        {SLM_TOOLS_JSON, "{\"name\":\"f\",\"parameters\":{\"a\":1.0}}",
         "{\"content\":\"\",\"tool_calls\":[{\"name\":\"f\",\"arguments\":{\"a\":1.0}}]}"},
        {SLM_TOOLS_JSON, "[" CALL ",1]",
         "{\"content\":\"[{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":{}},1]\"" NO_CALLS},
        {SLM_TOOLS_JSON, "Hi " CALL,
         "{\"content\":\"Hi {\\\"name\\\":\\\"f\\\",\\\"arguments\\\":{}}\"" NO_CALLS},
        {SLM_TOOLS_JSON, "[]", "{\"content\":\"[]\"" NO_CALLS},
        {SLM_TOOLS_JSON, "", "{\"content\":\"\"" NO_CALLS},
        /* white space */
        {SLM_TOOLS_HERMES, " a \n b <tool_call>" CALL "</tool_call> ",
         "{\"content\":\" a \\n b\",\"tool_calls\":[" CALLED "]}"},
        {SLM_TOOLS_HERMES, " \n<tool_call>" CALL "</tool_call>\n \n<tool_call>" CALL "\n",
         "{\"content\":\"\",\"tool_calls\":[" CALLED "," CALLED "]}"},
        {SLM_TOOLS_HERMES, "<tool_call>\n \n", "{\"content\":\"<tool_call>\\n \\n\"" NO_CALLS},
        /* names: the last of two counts, escapes are read, nothing else is looked at */
        {SLM_TOOLS_HERMES,
         "<tool_call>{\"name\":\"g\",\"n\\u0061me\":\"\\u00e9\",\"arguments\":{}}",
         "{\"content\":\"\",\"tool_calls\":[{\"name\":\"\xc3\xa9\",\"arguments\":{}}]}"},
        {SLM_TOOLS_HERMES, "<tool_call>{\"name\":\"f\",\"parameters\":{}}",
         "{\"content\":\"<tool_call>{\\\"name\\\":\\\"f\\\",\\\"parameters\\\":{}}\"" NO_CALLS},
        {SLM_TOOLS_HERMES, "<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\"}",
         "{\"content\":\"<tool_call>{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":"
         "\\\"{\\\\\\\"a\\\\\\\":\\\"}\"" NO_CALLS},
        /* half a surrogate pair is no character */
        {SLM_TOOLS_HERMES, "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":\"\\ud800\"}}",
         "{\"content\":\"<tool_call>{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":"
         "{\\\"a\\\":\\\"\\\\ud800\\\"}}\"" NO_CALLS},
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[f(a='\\ud83d\\ude00')]",
         "{\"content\":\"\",\"tool_calls\":[{\"name\":\"f\",\"arguments\":"
         "{\"a\":\"\xf0\x9f\x98\x80\"}}]}"},
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[f(a='x\\/y')]", /* as JSON has it */
         "{\"content\":\"\",\"tool_calls\":[{\"name\":\"f\",\"arguments\":{\"a\":\"x/y\"}}]}"},
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[f(a='\\ud83d')]",
         "{\"content\":\"[f(a='\\\\ud83d')]\"" NO_CALLS},
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[f(a='\\ude00')]",
         "{\"content\":\"[f(a='\\\\ude00')]\"" NO_CALLS},
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[f(a='\\U00110000')]",
         "{\"content\":\"[f(a='\\\\U00110000')]\"" NO_CALLS},
        /* control characters, an unknown escape before a character that is not ASCII */
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[f(a='\\x00\\x1f\\r\\a', b='\\\xc3\xa9\\0')]",
         "{\"content\":\"\",\"tool_calls\":[{\"name\":\"f\",\"arguments\":"
         "{\"a\":\"\\u0000\\u001F\\r\\u0007\",\"b\":\"\\\\\xc3\xa9\\\\0\"}}]}"},
        /* numbers */
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[f(a=5., b=-.5e1, c=+.0, d=-0, e=5.e1)]",
         "{\"content\":\"\",\"tool_calls\":[{\"name\":\"f\",\"arguments\":"
         "{\"a\":5.0,\"b\":-5.0,\"c\":0.0,\"d\":0,\"e\":50.0}}]}"},
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[f(a=1e)]", "{\"content\":\"[f(a=1e)]\"" NO_CALLS},
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[f(a=-)]", "{\"content\":\"[f(a=-)]\"" NO_CALLS},
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[f(a=.)]", "{\"content\":\"[f(a=.)]\"" NO_CALLS},
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[f(a=1_0)]", "{\"content\":\"[f(a=1_0)]\"" NO_CALLS},
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[f(a=0x1f)]", "{\"content\":\"[f(a=0x1f)]\"" NO_CALLS},
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[f(a=[,])]", "{\"content\":\"[f(a=[,])]\"" NO_CALLS},
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[f(a={1: 2})]", "{\"content\":\"[f(a={1: 2})]\"" NO_CALLS},
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[f(,)]", "{\"content\":\"[f(,)]\"" NO_CALLS},
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[f(a=])]", "{\"content\":\"[f(a=])]\"" NO_CALLS},
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[f(a=[)]", "{\"content\":\"[f(a=[)]\"" NO_CALLS},
        /* a letter with a mark, a digit of another script first */
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[\xe0\xa4\x95\xe0\xa4\xbf()]",
         "{\"content\":\"\",\"tool_calls\":[{\"name\":\"\xe0\xa4\x95\xe0\xa4\xbf\","
         "\"arguments\":{}}]}"},
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[\xd9\xa3x()]",
         "{\"content\":\"[\xd9\xa3x()]\"" NO_CALLS},
        /* a block in what was none */
        {SLM_TOOLS_LLAMA3_JSON, "{\"a\": \"<|python_tag|>" CALL,
         "{\"content\":\"{\\\"a\\\": \\\"\",\"tool_calls\":[" CALLED "]}"},
        {SLM_TOOLS_LLAMA3_JSON, "<|python_tag|><|python_tag|>" CALL,
         "{\"content\":\"<|python_tag|>\",\"tool_calls\":[" CALLED "]}"},
        {SLM_TOOLS_LLAMA3_JSON, CALL "; <|python_tag|>x",
         "{\"content\":\"; <|python_tag|>x\",\"tool_calls\":[" CALLED "]}"},
        {SLM_TOOLS_LLAMA3_JSON, "a <|python_tag|>" CALL ";; " CALL " <|pyth",
         "{\"content\":\"a  <|pyth\",\"tool_calls\":[" CALLED "," CALLED "]}"},
        {SLM_TOOLS_LLAMA3_JSON, "; " CALL,
         "{\"content\":\"; {\\\"name\\\":\\\"f\\\",\\\"arguments\\\":{}}\"" NO_CALLS},
        {SLM_TOOLS_LLAMA3_JSON, "<|python_tag|>s.call(query=\"a\\\xc3\xa9\n\")",
         "{\"content\":\"\",\"tool_calls\":[{\"name\":\"s\",\"arguments\":"
         "{\"query\":\"a\\\\\xc3\xa9\\n\"}}]}"},
        {SLM_TOOLS_PHI4_MINI, "functools[" CALL "] functools" CALL,
         "{\"content\":\"functools{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":{}}\","
         "\"tool_calls\":[" CALLED "]}"},
        {SLM_TOOLS_PHI4_MINI, "functools[<|tool_call|>" CALL,
         "{\"content\":\"functools[\",\"tool_calls\":[" CALLED "]}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        slm_toolcall *t = open_parser(cases[i].format, 0);
        every_cut(t, slm_toolcall_name(cases[i].format), cases[i].text, cases[i].text,
                  strlen(cases[i].text), cases[i].want);
        slm_toolcall_close(t);
        if (strstr(cases[i].text, "n\\u0061me") == NULL)
            every_cut_streamed(cases[i].format, cases[i].text, cases[i].text,
                               strlen(cases[i].text), cases[i].want);
    }
}

/* What is given of a call by when: "|" for each byte that comes, behind it "B" and "E" for begin and
 * end, "." for text, and the bytes of arguments. */
static void as_they_come(void **state) {
    (void)state;
    static const struct {
        slm_tool_format format;
        const char *text, *want;
    } cases[] = {
        {SLM_TOOLS_HERMES,
         "a<tool_call>{\"name\": \"f\", \"arguments\": {\"k\": \"v {\"}}</tool_call>",
         "|.|||||||||||||||||||||||B||||||||||||||||{|\"|k|\"|:||\"|v| |{|\"|}|||||||||||||E"},
        {SLM_TOOLS_HERMES, "<tool_call>{\"arguments\": {}, \"name\": \"f\"}</tool_call>",
         "|||||||||||||||||||||||||||||||||||||||||||||||||||||B{}E"},
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[f(a=1, b='x')]",
         "|||B{||\"a\":||1|||,\"b\":|\"|x|\"|}|"},
        {SLM_TOOLS_JSON, "[{\"name\":\"f\",\"arguments\":{}},{\"name\":\"g\",\"arguments\":{}}]",
         "||||||||||||B||||||||||||||{|}||||||||||||||||||||||||||||||EB{}E"},
        /* x is no value, so all of it is text */
        {SLM_TOOLS_JSON, "{\"name\":\"f\",\"parameters\":{\"k\":x",
         "|||||||||||B|||||||||||||||{|\"|k|\"|:|."},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        slm_toolcall *t = open_parser(cases[i].format, 0);
        text seen = {0};
        slm_tool_event e;
        slm_toolcall_stream(t);
        for (const char *p = cases[i].text; *p; p++) {
            add(&seen, "|", 1);
            assert_int_equal(slm_toolcall_feed(t, p, 1, NULL), SLM_OK);
            while (slm_toolcall_next(t, &e, NULL) == SLM_OK && e.type != SLM_TOOL_NONE)
                if (e.type == SLM_TOOL_ARGUMENTS)
                    add(&seen, e.text, e.text_len);
                else
                    add(&seen, &"?.B?E"[e.type], 1);
        }
        assert_string_equal(seen.ptr, cases[i].want);
        free(seen.ptr);
        slm_toolcall_close(t);
    }
}

/* Bytes of the text that a reply without calls is made of. */
static void is_text(slm_tool_format format, size_t max, const char *p, size_t n, size_t step) {
    slm_toolcall *t = open_parser(format, max);
    collector c = {.calls = json_array()};
    add(&c.content, "", 0);
    for (size_t at = 0; at < n; at += step) {
        assert_int_equal(slm_toolcall_feed(t, p + at, n - at < step ? n - at : step, NULL), SLM_OK);
        pull(t, &c);
    }
    assert_int_equal(slm_toolcall_finish(t, NULL), SLM_OK);
    pull(t, &c);
    assert_int_equal(c.n_calls, 0);
    assert_int_equal(c.content.len, n);
    assert_memory_equal(c.content.ptr, p, n);
    free(c.content.ptr);
    json_decref(c.calls);
    slm_toolcall_close(t);
}

static const slm_tool_format ALL[] = {SLM_TOOLS_HERMES, SLM_TOOLS_PHI4_MINI, SLM_TOOLS_LLAMA3_JSON,
                                      SLM_TOOLS_LLAMA32_PYTHONIC, SLM_TOOLS_JSON};

static void not_utf8(void **state) {
    (void)state;
    static const char *const texts[] = {
        "<tool_call>{\"name\":\"f\xff\",\"arguments\":{}}</tool_call>",
        "<|tool_call|>{\"name\":\"f\",\"arguments\":{\"a\":\"\xc3\"}}<|/tool_call|>",
        "<|python_tag|>s.call(query=\"\xed\xa0\x80\")", "[f(a='\xc0\x80')]", "[f\xff(a=1)]",
        "\xff\xfe <|pyth\xf0\x9f", "[f(\xe4\xb8=1)]"};
    for (size_t i = 0; i < COUNT(texts); i++)
        for (size_t f = 0; f < COUNT(ALL); f++)
            for (size_t step = 1; step < 40; step += 7)
                is_text(ALL[f], 0, texts[i], strlen(texts[i]), step);
}

/* A call of exactly the limit is one, a longer one is text, wherever the pieces end. */
static void limits(void **state) {
    (void)state;
    static const struct {
        slm_tool_format format;
        const char *text;
    } calls[] = {
        {SLM_TOOLS_HERMES, "<tool_call>" CALL "</tool_call>"},
        {SLM_TOOLS_PHI4_MINI, "functools[" CALL "]"},
        {SLM_TOOLS_LLAMA3_JSON, "<|python_tag|>" CALL},
        {SLM_TOOLS_LLAMA3_JSON, "<|python_tag|>s.call(query=\"x\")"},
        {SLM_TOOLS_LLAMA32_PYTHONIC, "[f(a='x')]"},
        {SLM_TOOLS_JSON, CALL},
    };
    for (size_t i = 0; i < COUNT(calls); i++) {
        size_t n = strlen(calls[i].text);
        for (size_t max = n - 1; max <= n; max++) {
            slm_toolcall *t = open_parser(calls[i].format, max);
            for (size_t at = 0; at <= n; at++) {
                reply r = parse(t, calls[i].text, n, &at, 1);
                assert_int_equal(json_array_size(json_object_get(r.value, "tool_calls")), max == n);
                json_decref(r.value);
            }
            slm_toolcall_close(t);
        }
    }
    char blanks[100];
    memset(blanks, ' ', sizeof blanks);
    for (size_t f = 0; f < COUNT(ALL); f++)
        for (size_t step = 1; step < 100; step += 9)
            is_text(ALL[f], 16, blanks, sizeof blanks, step);
}

/* Deep nesting is text at once, and needs no stack. */
static void depth(void **state) {
    (void)state;
    static const struct {
        slm_tool_format format;
        const char *open, *deeper;
    } cases[] = {{SLM_TOOLS_HERMES, "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":", "["},
                 {SLM_TOOLS_JSON, "", "["},
                 {SLM_TOOLS_LLAMA3_JSON, "", "{\"a\":"},
                 {SLM_TOOLS_LLAMA32_PYTHONIC, "[f(a=", "[{'k': "}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        text t = {0};
        add(&t, cases[i].open, strlen(cases[i].open));
        for (int k = 0; k < 20000; k++)
            add(&t, cases[i].deeper, strlen(cases[i].deeper));
        is_text(cases[i].format, 0, t.ptr, t.len, 4096);
        free(t.ptr);
    }
}

/* A megabyte of what may be a call for as long as possible. */
static void linear(void **state) {
    (void)state;
    static const char *const units[] = {
        "<tool_call>", "<tool_call>{\"a\":\"", "<tool_call>[\"", "<tool_call>{\"\\\"", "functools[",
        "functools[[\"", "<|tool_call|>[", "<|python_tag|>", "<|python_tag|>{\"a\":\"",
        "<|python_tag|>a", "<|python_tag|>a.call(query=\"", "<|python_tag|>[f(a='",
        "<|python_tag|>[f(a='<|python_tag|>[f(a=\"", " ", "{", "<", "f", "\xff"};
    for (size_t u = 0; u < COUNT(units); u++) {
        text t = {0};
        size_t n = strlen(units[u]);
        t.len = (1u << 20) / n * n;
        t.ptr = malloc(t.len);
        assert_non_null(t.ptr);
        for (size_t i = 0; i < t.len; i++)
            t.ptr[i] = units[u][i % n];
        for (size_t f = 0; f < COUNT(ALL); f++) {
            clock_t before = clock();
            is_text(ALL[f], 0, t.ptr, t.len, 1000);
            double seconds = (double)(clock() - before) / CLOCKS_PER_SEC;
            if (seconds > 5)
                fail_msg("%s: %.1f s for a megabyte of %s", slm_toolcall_name(ALL[f]), seconds,
                         units[u]);
        }
        free(t.ptr);
    }
}

/* Pieces of calls put together at random: whatever comes of it, it does not depend on the cuts, and
 * nothing but white space and calls is missing from the text. */
static void random_texts(void **state) {
    (void)state;
    static const char *const parts[] = {"<tool_call>",
                                        "</tool_call>",
                                        CALL,
                                        "[" CALL "]",
                                        "<|tool_call|>",
                                        "<|/tool_call|>",
                                        "functools[",
                                        "<|python_tag|>",
                                        "[f(a='x')]",
                                        "[f(a=",
                                        "s.call(query=\"",
                                        "\")",
                                        "{",
                                        "}",
                                        "[",
                                        "]",
                                        "\"",
                                        "'",
                                        "\\",
                                        " ",
                                        "\n",
                                        ";",
                                        "a",
                                        ",",
                                        ":",
                                        "\xc3\xa9",
                                        "\xff",
                                        "<",
                                        "<|",
                                        "1.5"};
    slm_rng rng;
    slm_rng_seed(&rng, 7);
    for (int round = 0; round < 4000; round++) {
        text t = {0};
        add(&t, "", 0);
        for (uint32_t n = below(&rng, 12); n > 0; n--) {
            const char *p = parts[below(&rng, COUNT(parts))];
            add(&t, p, strlen(p));
        }
        slm_toolcall *parser = open_parser(ALL[round % 5], 0);
        reply whole = parse(parser, t.ptr, t.len, NULL, 0);
        size_t *cuts = malloc((t.len + 1) * sizeof *cuts), n_cuts = 0;
        for (size_t i = 0; i < t.len; i++)
            if (below(&rng, 3) == 0)
                cuts[n_cuts++] = i;
        reply pieces = parse(parser, t.ptr, t.len, cuts, n_cuts);
        if (!json_equal(whole.value, pieces.value))
            fail_msg("%s, cut differently: %s", slm_toolcall_name(ALL[round % 5]), t.ptr);
        if (json_array_size(json_object_get(whole.value, "tool_calls")) == 0)
            is_text(ALL[round % 5], 0, t.ptr, t.len, 1 + below(&rng, 9));
        json_decref(whole.value);
        json_decref(pieces.value);
        free(cuts);
        free(t.ptr);
        slm_toolcall_close(parser);
    }
}

/* ---- the life of a parser ---- */

static void order_of_calls(void **state) {
    (void)state;
    slm_toolcall *t = open_parser(SLM_TOOLS_HERMES, 0);
    slm_tool_event e;
    assert_int_equal(slm_toolcall_next(t, &e, NULL), SLM_OK);
    assert_int_equal(e.type, SLM_TOOL_NONE);
    /* Text comes as soon as it is known to be text. */
    assert_int_equal(slm_toolcall_feed(t, "Hi <to", 6, NULL), SLM_OK);
    assert_int_equal(slm_toolcall_next(t, &e, NULL), SLM_OK);
    assert_int_equal(e.type, SLM_TOOL_TEXT);
    assert_int_equal(e.text_len, 2);
    assert_int_equal(slm_toolcall_next(t, &e, NULL), SLM_OK);
    assert_int_equal(e.type, SLM_TOOL_NONE);
    assert_int_equal(slm_toolcall_feed(t, "ol_call>[", 9, NULL), SLM_OK);
    assert_int_equal(slm_toolcall_next(t, &e, NULL), SLM_OK);
    assert_int_equal(e.type, SLM_TOOL_TEXT); /* the blank that was held */
    assert_int_equal(slm_toolcall_next(t, &e, NULL), SLM_OK);
    assert_int_equal(e.type, SLM_TOOL_TEXT);
    assert_memory_equal(e.text, "<tool_call>", 11);
    /* The end of a reply, and another one. */
    assert_int_equal(slm_toolcall_finish(t, NULL), SLM_OK);
    slm_error error = SLM_ERROR_INIT;
    assert_int_equal(slm_toolcall_feed(t, "x", 1, &error), SLM_ERR_BUSY);
    assert_int_equal(slm_toolcall_finish(t, &error), SLM_ERR_BUSY);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(slm_toolcall_next(t, &e, NULL), SLM_OK);
        if (i == 0 && e.type == SLM_TOOL_TEXT) /* "[" */
            assert_int_equal(slm_toolcall_next(t, &e, NULL), SLM_OK);
        assert_int_equal(e.type, SLM_TOOL_END);
    }
    reply r = parse(t, "<tool_call>" CALL, 11 + strlen(CALL), NULL, 0);
    assert_int_equal(r.n_events, 4);
    expect("hermes", "second reply", r, "{\"content\":\"\",\"tool_calls\":[" CALLED "]}", "whole",
           0);
    slm_toolcall_close(t);
    slm_toolcall_close(NULL);
}

static void detection(void **state) {
    (void)state;
    static const struct {
        const char *name;
        slm_tool_format format;
    } templates[] = {
        {"qwen2.5-instruct", SLM_TOOLS_HERMES}, {"qwen2.5-base", SLM_TOOLS_HERMES},
        {"qwen3", SLM_TOOLS_HERMES}, {"qwen3-first", SLM_TOOLS_HERMES},
        {"qwen3-gguf-unsloth", SLM_TOOLS_HERMES}, {"x-hermes-2-pro-tools", SLM_TOOLS_HERMES},
        {"phi-4-mini-instruct", SLM_TOOLS_PHI4_MINI}, {"phi-4-mini-vllm", SLM_TOOLS_PHI4_MINI},
        {"phi-4-mini-reasoning", SLM_TOOLS_PHI4_MINI},
        {"phi-4-mini-flash-reasoning", SLM_TOOLS_PHI4_MINI},
        {"llama-3.1-instruct", SLM_TOOLS_LLAMA3_JSON},
        {"llama-3.2-instruct", SLM_TOOLS_LLAMA3_JSON},
        {"x-llama-3.2-vllm-json", SLM_TOOLS_LLAMA3_JSON},
        {"x-llama-3.2-vllm-pythonic", SLM_TOOLS_LLAMA32_PYTHONIC},
        {"chatml", SLM_TOOLS_JSON}, {"phi-3.5-mini", SLM_TOOLS_JSON},
        {"zephyr-tinyllama", SLM_TOOLS_JSON}, {"bitnet-b1.58-2b-4t", SLM_TOOLS_JSON},
    };
    assert_int_equal(slm_toolcall_detect((slm_str){NULL, 0}), SLM_TOOLS_JSON);
    assert_int_equal(slm_toolcall_detect((slm_str){"<tool_call", 10}), SLM_TOOLS_JSON);
    assert_string_equal(slm_toolcall_name(SLM_TOOLS_JSON), "json");
    assert_null(slm_toolcall_name(SLM_TOOLS_AUTO));
    assert_null(slm_toolcall_name(-1));
    assert_null(slm_toolcall_name(6));
    need_shared();
    for (size_t i = 0; i < COUNT(templates); i++) {
        static char t[1 << 16];
        FILE *file = fopen(shared_path("chat/templates/%s.jinja", templates[i].name), "r");
        assert_non_null(file);
        size_t n = fread(t, 1, sizeof t, file);
        fclose(file);
        if (slm_toolcall_detect((slm_str){t, n}) != templates[i].format)
            fail_msg("%s: got %s", templates[i].name,
                     slm_toolcall_name(slm_toolcall_detect((slm_str){t, n})));
    }
}

/* Each allocation fails once: the call that needed it says so, and closing gives everything back.
 */
static void no_memory(void **state) {
    (void)state;
    static const char *const texts[] = {
        "  <tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":[1,2]}\"}</tool_call>\n x",
        "[f(a='x', b=[1, {'k': 2}])]", "<|python_tag|>s.call(query=\"x\")"};
    static const slm_tool_format formats[] = {SLM_TOOLS_HERMES, SLM_TOOLS_LLAMA32_PYTHONIC,
                                              SLM_TOOLS_LLAMA3_JSON};
    for (size_t i = 0; i < COUNT(texts); i++) {
        fail_alloc fa = FAIL_ALLOC_INIT;
        for (fa.fail_at = 1;; fa.fail_at++) {
            slm_allocator a = fail_alloc_start(&fa);
            slm_host h;
            slm_host_init(&h, &a, NULL, NULL, SLM_LOG_NONE);
            slm_toolcall *t = NULL;
            slm_status status = slm_toolcall_open(&h, formats[i], 0, &t, NULL);
            if (status == SLM_OK)
                status = slm_toolcall_feed(t, texts[i], strlen(texts[i]), NULL);
            if (status == SLM_OK)
                status = slm_toolcall_finish(t, NULL);
            slm_tool_event e = {.type = SLM_TOOL_NONE};
            while (status == SLM_OK && e.type != SLM_TOOL_END)
                status = slm_toolcall_next(t, &e, NULL);
            int reached = fa.calls >= fa.fail_at;
            assert_int_equal(status, reached ? SLM_ERR_NOMEM : SLM_OK);
            slm_toolcall_close(t);
            assert_int_equal(fa.outstanding, 0);
            if (!reached)
                break;
        }
        assert_true(fa.fail_at > 3);
    }
}

static int begin(void **state) {
    (void)state;
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    return 0;
}
static int end(void **state) {
    (void)state;
    assert_int_equal(host.bytes, 0);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference),      cmocka_unit_test(own_cases),
        cmocka_unit_test(as_they_come),   cmocka_unit_test(not_utf8),
        cmocka_unit_test(limits),
        cmocka_unit_test(depth),          cmocka_unit_test(linear),
        cmocka_unit_test(random_texts),   cmocka_unit_test(order_of_calls),
        cmocka_unit_test(detection),      cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests_name("toolcall", tests, begin, end);
}
