/* Guides for calls of tools: what they let through, and that what comes through is a call. */
#include "api/tiny_open.h"
#include "support/fail_alloc.h"

#include "base/rng.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const char lamp[] =
    "{\"type\":\"object\",\"properties\":{\"place\":{\"enum\":[\"kitchen\",\"John's room\"]},"
    "\"on\":{\"type\":\"boolean\"},\"level\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":100}},"
    "\"required\":[\"place\"],\"additionalProperties\":false}";
static const char note[] =
    "{\"$defs\":{\"tag\":{\"type\":\"string\",\"maxLength\":5}},\"type\":\"object\",\"properties\":{"
    "\"text\":{\"type\":\"string\"},\"tags\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/tag\"},"
    "\"maxItems\":2},\"more\":{\"type\":\"object\",\"properties\":{\"at\":{\"type\":\"string\","
    "\"pattern\":\"^[0-9]{2}:[0-9]{2}$\"},\"who\":{\"type\":[\"string\",\"null\"]}}}},"
    "\"required\":[\"text\"]}";
static const char any[] = "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"number\"}}";
#define TOOL(name, schema)                                                                         \
    "{\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"parameters\":" schema "}}"

typedef struct tool {
    const char *name, *schema;
} tool;
static const tool tools[] = {
    {"set_lamp", lamp}, {"note", note}, {"measure", any}, {"now", "{\"properties\":{}}"}};

/* The tools as they are given; now has no parameters, and is given bare. */
static char tools_json[4096];

static int set_up(void **state) {
    (void)state;
    size_t n = 0;
    n += (size_t)snprintf(tools_json + n, sizeof tools_json - n, "[");
    for (size_t i = 0; i < 3; i++)
        n += (size_t)snprintf(tools_json + n, sizeof tools_json - n,
                              "{\"type\":\"function\",\"function\":{\"name\":\"%s\",\"description\":"
                              "\"d\",\"parameters\":%s}}, ", tools[i].name, tools[i].schema);
    snprintf(tools_json + n, sizeof tools_json - n, "{\"name\":\"now\"}]");
    return 0;
}

static slm_guide *compile(slm_model *model, slm_tool_format format, slm_tool_choice choice,
                          uint32_t flags) {
    slm_guide *guide = NULL;
    slm_tools_options o = {.struct_size = sizeof o, .choice = choice, .format = format};
    slm_guide_options g = {.struct_size = sizeof g, .flags = flags};
    if (choice == SLM_TOOL_CHOICE_NAMED) {
        o.name = "set_lamp";
        o.name_len = SLM_NTS;
    }
    OK(slm_guide_compile_tools(model, tools_json, SLM_NTS, &o, &g, &guide, &golden_err));
    return guide;
}

/* ---- texts ---- */

enum { A = SLM_TOOL_CHOICE_AUTO, N = SLM_TOOL_CHOICE_NONE, R = SLM_TOOL_CHOICE_REQUIRED,
       ONE = SLM_TOOL_CHOICE_NAMED };
enum { HERMES = 1, PHI = 2, LLAMA = 3, PYTHON = 4, JSON = 5 };

#define LAMP   "{\"name\": \"set_lamp\", \"arguments\": {\"place\": \"kitchen\"}}"
#define NOW    "{\"name\":\"now\",\"arguments\":{}}"
#define P_LAMP "{\"name\": \"set_lamp\", \"parameters\": {\"place\": \"kitchen\", \"on\": true}}"

/* What each text is to the guides of its format. */
static const struct {
    slm_tool_format format;
    const char *text;
    slm_match match[3]; /* AUTO, NONE, REQUIRED */
} texts[] = {
    {HERMES, "", {2, 2, 1}},
    {HERMES, "Hello <tool_cal", {2, 2, 0}},
    {HERMES, "Hello <tool_call>", {1, 0, 0}},
    {HERMES, "<tool_call>", {1, 0, 1}},
    {HERMES, "<<tool_call>" LAMP "</tool_call>", {2, 0, 0}},
    {HERMES, "<tool_call>\n" LAMP "\n</tool_call>", {2, 0, 2}},
    {HERMES, "<tool_call>" LAMP "</tool_call>", {2, 0, 2}},
    {HERMES, "<tool_call>" LAMP, {1, 0, 1}},
    {HERMES, "<tool_call>" LAMP "</tool_call>\n<tool_call>" NOW "</tool_call>", {2, 0, 2}},
    {HERMES, "a<tool_call>" LAMP "</tool_call>b<tool_call>" NOW "</tool_call>c", {2, 0, 0}},
    {HERMES, "<tool_call>{\"name\": \"off\"", {0, 0, 0}},
    {HERMES, "<tool_call>{\"name\": \"now\", \"arguments\": {\"a\"", {0, 0, 0}},
    {HERMES, "<tool_call>text", {0, 0, 0}},
    {HERMES, "{\"name\": 1}", {2, 2, 0}},
    {HERMES, "<think>a <tool_call> b</think>\n", {2, 2, 0}},
    {HERMES, "\n<think>a <tool_call> b</think>x<tool_call>" NOW "</tool_call>", {2, 0, 0}},
    {HERMES, "x<think>a <tool_call> b", {0, 0, 0}},
    {HERMES, "\xff\xfe", {2, 2, 0}},
    {PHI, "<|tool_call|>[" LAMP ", " NOW "]<|/tool_call|>", {2, 0, 2}},
    {PHI, "<|tool_call|>" LAMP "<|/tool_call|>", {2, 0, 2}},
    {PHI, "<|tool_call|>[]", {0, 0, 0}},
    {PHI, "functools[" LAMP "]", {2, 0, 2}},
    {PHI, "see functools.reduce", {2, 2, 0}},
    {PHI, "see functools[" NOW "," NOW "] and", {2, 0, 0}},
    {PHI, "see functools[0]", {0, 0, 0}},
    {PHI, "[" LAMP "]", {2, 2, 0}},
    {LLAMA, P_LAMP, {2, 0, 2}},
    {LLAMA, " \n" P_LAMP, {2, 0, 0}},
    {LLAMA, P_LAMP "; " P_LAMP, {2, 0, 2}},
    {LLAMA, P_LAMP "\n" P_LAMP, {2, 0, 2}},
    {LLAMA, P_LAMP " ; and {", {2, 0, 0}},
    {LLAMA, P_LAMP " ; {\"x", {0, 0, 0}},
    {LLAMA, "so {\"a\": 1}", {2, 2, 0}},
    {LLAMA, "{\"a\": 1}", {0, 0, 0}},
    {LLAMA, "so <|python_tag|>" P_LAMP, {2, 0, 0}},
    {LLAMA, "<|python_tag|>" P_LAMP, {2, 0, 2}},
    {LLAMA, "<|python_tag|>print(1)", {0, 0, 0}},
    {LLAMA, LAMP, {0, 0, 0}}, /* "arguments" */
    {LLAMA, "<think>{</think>" P_LAMP, {2, 0, 0}},
    {PYTHON, "[set_lamp(place='kitchen', level=7)]", {2, 0, 2}},
    {PYTHON, "[set_lamp(place=\"kitchen\"), now()]", {2, 0, 2}},
    {PYTHON, "[set_lamp(place='John\\'s room',on=False)]", {2, 0, 2}},
    {PYTHON, "[set_lamp(place=\"John's room\", on=True)]", {2, 0, 2}},
    {PYTHON, "[set_lamp(place='John's", {0, 0, 0}},
    {PYTHON, "[set_lamp(on=true", {0, 0, 0}},
    {PYTHON, "[set_lamp()", {0, 0, 0}},
    {PYTHON, "[now()] ", {0, 0, 0}},
    {PYTHON, "see [1]", {2, 2, 0}},
    {PYTHON, "[1]", {0, 0, 0}},
    {PYTHON, "so <|python_tag|>[now()]", {2, 0, 0}},
    {PYTHON, "[note(text='a \"b\" \\n', tags=[\"x\", \"y\"], more={'at': \"12:30\", \"who\": None})]",
     {2, 0, 2}},
    {PYTHON, "[measure(a=1, b_2=-2.5e3)]", {2, 0, 2}},
    {PYTHON, "[measure()]", {2, 0, 2}},
    {PYTHON, "[measure(2b=1", {0, 0, 0}},
    {JSON, LAMP, {2, 0, 2}},
    {JSON, "[" LAMP "]", {2, 0, 2}},
    {JSON, "[1]", {0, 0, 0}},
    {JSON, "1 [" LAMP "]", {2, 2, 0}},
    {JSON, LAMP " text", {2, 0, 0}},
};

static slm_match match_of(slm_guide *guide, const char *text) {
    slm_match m;
    OK(slm_guide_match(guide, text, strlen(text), &m, &golden_err));
    return m;
}

static void matches(void **state) {
    (void)state;
    slm_guide *guides[6][3];
    for (int f = HERMES; f <= JSON; f++)
        for (int c = A; c <= R; c++)
            guides[f][c] = compile(NULL, f, c, 0);
    for (size_t i = 0; i < COUNT(texts); i++)
        for (int c = A; c <= R; c++) {
            slm_match got = match_of(guides[texts[i].format][c], texts[i].text);
            if (got != texts[i].match[c])
                fail_msg("%s, choice %d: %s: got %d, wanted %d",
                         slm_tool_format_name(texts[i].format), c, texts[i].text, got,
                         texts[i].match[c]);
        }
    for (int f = HERMES; f <= JSON; f++)
        for (int c = A; c <= R; c++)
            slm_guide_close(&guides[f][c]);
}

/* One call at most, and one that is named. */
static void one_call(void **state) {
    (void)state;
    static const struct {
        slm_tool_format format;
        const char *first, *second; /* a call, and what only several calls may go on with */
    } cases[] = {
        {HERMES, "<tool_call>" LAMP "</tool_call>", "\n"},
        {PHI, "<|tool_call|>[" LAMP "]<|/tool_call|>", "x"},
        {PHI, "functools[" LAMP, ","},
        {LLAMA, P_LAMP, ";"},
        {PYTHON, "[set_lamp(place='kitchen')", ","},
        {JSON, "[" LAMP, ","},
        {JSON, LAMP, "\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int named = 0; named <= 1; named++) {
            slm_guide *guide = named ? compile(NULL, cases[i].format, ONE, 0)
                                     : compile(NULL, cases[i].format, A, SLM_GUIDE_ONE_CALL);
            slm_guide *more = compile(NULL, cases[i].format, A, 0);
            char text[512];
            assert_int_not_equal(match_of(guide, cases[i].first), SLM_MATCH_NONE);
            snprintf(text, sizeof text, "%s%s", cases[i].first, cases[i].second);
            assert_int_equal(match_of(guide, text), SLM_MATCH_NONE);
            assert_int_not_equal(match_of(more, text), SLM_MATCH_NONE);
            slm_guide_close(&guide);
            slm_guide_close(&more);
        }
    slm_guide *guide = compile(NULL, HERMES, ONE, 0);
    assert_int_equal(match_of(guide, "<tool_call>{\"name\": \"no"), SLM_MATCH_NONE);
    slm_guide_close(&guide);
}

/* ---- refusals ---- */

static void refusals(void **state) {
    (void)state;
    static const struct {
        const char *json;
        slm_status status;
        const char *part;
    } cases[] = {
        {"{}", SLM_ERR_GRAMMAR, "array"},
        {"[", SLM_ERR_FORMAT, "line 1, column 2"},
        {"[1]", SLM_ERR_GRAMMAR, "tools[0]"},
        {"[{\"type\":\"function\",\"function\":3}]", SLM_ERR_GRAMMAR, "tools[0]"},
        {"[{\"name\":\"a\"},{\"parameters\":{}}]", SLM_ERR_GRAMMAR, "tools[1]: name"},
        {"[{\"name\":\"\"}]", SLM_ERR_GRAMMAR, "name"},
        {"[{\"name\":\"a\"},{\"name\":\"a\"}]", SLM_ERR_DUP, "tools[1] (a)"},
        {"[{\"type\":\"retrieval\",\"function\":{\"name\":\"a\"}}]", SLM_ERR_UNSUP, "type"},
        {"[{\"name\":\"b\"}," TOOL("a", "{\"not\":{}}") "]", SLM_ERR_UNSUP,
         "tools[1] (a): schema, at #/not: not"},
        {"[" TOOL("a", "{\"properties\":{\"x\":{\"type\":\"thing\"}}}") "]", SLM_ERR_GRAMMAR,
         "tools[0] (a): schema, at #/properties/x/type: type"},
        {"[{\"name\":\"b\"}," TOOL("a", "{\"type\":\"string\"}") "]", SLM_ERR_GRAMMAR,
         "tools[1] (a): schema, at #: no value satisfies it"},
        {"[" TOOL("a", "{\"oneOf\":[{\"required\":[\"x\"]},{\"required\":[\"y\"]}]}") ","
         TOOL("b", "{}") "]", SLM_ERR_UNSUP, "tools[0] (a): schema, at #: oneOf"},
        {"[" TOOL("a", "{\"properties\":{\"x\":{\"$ref\":\"#/$defs/x\"}}}") ","
         TOOL("b", "{\"$defs\":{\"x\":{}}}") "]", SLM_ERR_GRAMMAR,
         "tools[0] (a): schema, at #/properties/x/$ref"},
    };
    slm_guide *guide;
    slm_tools_options o = {.struct_size = sizeof o, .format = SLM_TOOLS_HERMES};
    for (size_t i = 0; i < COUNT(cases); i++) {
        guide = (slm_guide *)&o;
        slm_status status = slm_guide_compile_tools(NULL, cases[i].json, SLM_NTS, &o, NULL, &guide,
                                                    &golden_err);
        if (status != cases[i].status || strstr(golden_err.message, cases[i].part) == NULL)
            fail_msg("%s: got %s (%s)", cases[i].json, slm_status_name(status), golden_err.message);
        assert_null(guide);
    }
#define COMPILE(json) slm_guide_compile_tools(NULL, json, SLM_NTS, &o, NULL, &guide, &golden_err)
    REFUSED(slm_guide_compile_tools(NULL, "[]", SLM_NTS, NULL, NULL, &guide, &golden_err),
            SLM_ERR_ARG, "format", "model");
    REFUSED(slm_guide_compile_tools(NULL, NULL, 0, &o, NULL, &guide, &golden_err), SLM_ERR_ARG,
            "tools");
    slm_guide_options lenient = {.struct_size = sizeof lenient, .flags = SLM_GUIDE_LENIENT};
    REFUSED(slm_guide_compile_tools(NULL, "[]", SLM_NTS, &o, &lenient, &guide, &golden_err),
            SLM_ERR_ARG, "flags");
    lenient.flags = SLM_GUIDE_ONE_CALL;
    REFUSED(slm_guide_compile_json_schema(NULL, "{}", SLM_NTS, &lenient, &guide, &golden_err),
            SLM_ERR_ARG, "flags");
    o.format = 6;
    REFUSED(COMPILE("[]"), SLM_ERR_RANGE, "format", "6");
    o.format = SLM_TOOLS_HERMES;
    o.choice = 4;
    REFUSED(COMPILE("[]"), SLM_ERR_RANGE, "choice", "4");
    o.choice = SLM_TOOL_CHOICE_REQUIRED;
    REFUSED(COMPILE("[]"), SLM_ERR_MISSING, "no tool");
    o.choice = SLM_TOOL_CHOICE_NAMED;
    REFUSED(COMPILE("[]"), SLM_ERR_ARG, "name");
    o.name = "now";
    o.name_len = 3;
    REFUSED(COMPILE("[{\"name\":\"no\"}]"), SLM_ERR_MISSING, "now");
    o.choice = SLM_TOOL_CHOICE_AUTO;
    REFUSED(COMPILE("[]"), SLM_ERR_ARG, "name");
    o = (slm_tools_options){.struct_size = sizeof o, .format = SLM_TOOLS_LLAMA32_PYTHONIC};
    REFUSED(COMPILE("[{\"name\":\"a-b\"}]"), SLM_ERR_UNSUP, "tools[0] (a-b)", "letters");
    REFUSED(COMPILE("[" TOOL("a", "{\"properties\":{\"x y\":{}}}") "]"), SLM_ERR_UNSUP, "\"x y\"");
    REFUSED(COMPILE("[" TOOL("a", "{\"enum\":[{}]}") "]"), SLM_ERR_UNSUP, "enum");
    o.format = SLM_TOOLS_HERMES; /* none: no call can begin */
    OK(COMPILE("[]"));
    assert_int_equal(match_of(guide, "<tool_call"), SLM_MATCH_WHOLE);
    assert_int_equal(match_of(guide, "<tool_call>"), SLM_MATCH_NONE);
    slm_guide_close(&guide);
    OK(COMPILE("[" TOOL("a", "{\"enum\":[{\"x\":1},{}]}") "]"));
    assert_int_equal(match_of(guide, "<tool_call>{\"name\": \"a\", \"arguments\": {\"x\": 1}}"),
                     SLM_MATCH_PREFIX);
    slm_guide_close(&guide);
}

/* ---- random answers of real vocabularies ---- */

typedef struct walk {
    slm_model *model;
    slm_guide *guide;
    slm_matcher *matcher;
    slm_rng rng;
    char text[1 << 16];
    size_t len;
} walk;

static void add_token(walk *w, int32_t id) {
    size_t n = 0;
    OK(slm_detokenize(w->model, &id, 1, SLM_DETOKENIZE_SPECIAL, w->text + w->len,
                      sizeof w->text - w->len, &n, &golden_err));
    w->len += n;
}

static int is_end(const walk *w, int32_t id) {
    slm_token_info info = {.struct_size = sizeof info};
    OK(slm_model_get_token(w->model, id, &info, &golden_err));
    return (info.flags & SLM_TOKEN_END) != 0;
}

/* A token of the mask that ends nothing; 0 when there is none. */
static int step(walk *w) {
    const uint64_t *bits;
    size_t n_words;
    OK(slm_matcher_get_mask(w->matcher, &bits, &n_words, &golden_err));
    size_t from = (size_t)(slm_rng_next(&w->rng) % (n_words * 64));
    for (size_t i = 0; i < n_words * 64; i++) {
        int32_t id = (int32_t)((from + i) % (n_words * 64));
        if (!(bits[id / 64] >> (id % 64) & 1) || is_end(w, id))
            continue;
        OK(slm_matcher_accept(w->matcher, id, &golden_err));
        add_token(w, id);
        return 1;
    }
    return 0;
}

static int add_bytes(walk *w, const char *bytes, size_t n) {
    slm_status status = slm_matcher_accept_bytes(w->matcher, bytes, n, &golden_err);
    if (status == SLM_ERR_RANGE)
        return 0;
    OK(status);
    memcpy(w->text + w->len, bytes, n);
    w->len += n;
    return 1;
}

/* What closes is tried first, so that the text comes to an end. */
static void finish(walk *w) {
    slm_matcher_info info = {.struct_size = sizeof info};
    for (;;) {
        OK(slm_matcher_get_info(w->matcher, &info, &golden_err));
        if (info.can_end)
            return;
        static const char closing[] = "\"'\"}])<,:=0123456789/";
        int done = 0; /* one kind of quotes is text in the other */
        for (size_t i = w->len % 2; i < sizeof closing - 1 && !done; i++)
            done = add_bytes(w, &closing[i], 1);
        for (int c = 0x80; c < 0x80 + 256 && !done; c++)
            done = add_bytes(w, (char[]){(char)c}, 1);
        assert_true(done);
        assert_true(w->len < sizeof w->text - 256);
    }
}

typedef struct calls {
    char text[1 << 16], name[64], arguments[1 << 16];
    size_t text_len, name_len, arguments_len;
    uint32_t n;
} calls;

static slm_guide *checks[COUNT(tools)]; /* the schemas, by another spelling of them */

static void check_call(const walk *w, calls *c, slm_tool_choice choice) {
    size_t i = 0;
    slm_match m;
    while (i < COUNT(tools) && strcmp(tools[i].name, c->name) != 0)
        i++;
    if (i == COUNT(tools) || (choice == ONE && i != 0))
        fail_msg("%.*s: a call of %s", (int)w->len, w->text, c->name);
    OK(slm_guide_match(checks[i], c->arguments, c->arguments_len, &m, &golden_err));
    if (m != SLM_MATCH_WHOLE)
        fail_msg("%.*s: arguments %.*s", (int)w->len, w->text, (int)c->arguments_len, c->arguments);
}

static void take(const walk *w, calls *c, slm_tool_choice choice, const slm_tool_event *e) {
    if (e->type == SLM_TOOL_TEXT) {
        memcpy(c->text + c->text_len, e->text, e->text_len);
        c->text_len += e->text_len;
    } else if (e->type == SLM_TOOL_CALL_BEGIN) {
        snprintf(c->name, sizeof c->name, "%.*s", (int)e->text_len, e->text);
        c->arguments_len = 0;
    } else if (e->type == SLM_TOOL_ARGUMENTS) {
        memcpy(c->arguments + c->arguments_len, e->text, e->text_len);
        c->arguments_len += e->text_len;
    } else if (e->type == SLM_TOOL_CALL_END) {
        c->n++;
        check_call(w, c, choice);
    }
}

static void parse(walk *w, slm_tool_format format, slm_tool_choice choice, calls *c) {
    slm_tool_parser_options o = {.struct_size = sizeof o, .format = format};
    slm_tool_parser *p;
    slm_tool_event e = {.struct_size = sizeof e};
    c->n = 0;
    c->text_len = 0;
    OK(slm_tool_parser_open(w->model, &o, &p, &golden_err));
    for (size_t at = 0; at < w->len;) {
        size_t n = 1 + (size_t)(slm_rng_next(&w->rng) % 9);
        n = n < w->len - at ? n : w->len - at;
        OK(slm_tool_parser_feed(p, w->text + at, n, &golden_err));
        at += n;
        do {
            OK(slm_tool_parser_next(p, &e, &golden_err));
            take(w, c, choice, &e);
        } while (e.type != SLM_TOOL_NONE);
    }
    OK(slm_tool_parser_finish(p, &golden_err));
    do {
        OK(slm_tool_parser_next(p, &e, &golden_err));
        take(w, c, choice, &e);
    } while (e.type != SLM_TOOL_END);
    slm_tool_parser_close(&p);
}

static const char *const markers[][2] = {[HERMES] = {"<tool_call>", ""},
                                         [PHI] = {"<|tool_call|>", "functools["},
                                         [LLAMA] = {"{", "<|python_tag|>"},
                                         [PYTHON] = {"[", "<|python_tag|>"},
                                         [JSON] = {"{", "["}};

/* An answer with a call, which begins after n random tokens of text where that is possible. */
static void random_answer(walk *w, slm_tool_format format, slm_tool_choice choice, uint32_t n,
                          calls *c) {
    const char *marker = markers[format][slm_rng_next(&w->rng) % 2];
    w->len = 0;
    OK(slm_matcher_reset(w->matcher, &golden_err));
    if (choice == A && n > 0 && strlen(marker) > 1) {
        add_bytes(w, "T", 1); /* the beginning may be a call */
        for (uint32_t i = 0; i < n; i++)
            assert_true(step(w));
    }
    if (choice == A && strlen(marker) > 0 && !add_bytes(w, marker, strlen(marker)))
        finish(w); /* the random text is within a call, or a character */
    for (int i = 0; i < 24 && step(w);)
        i++;
    finish(w);
    parse(w, format, choice, c);
    if (choice != A && (c->n == 0 || c->text_len > 0))
        fail_msg("%.*s: %u calls and %zu bytes of text", (int)w->len, w->text, c->n, c->text_len);
}

static void random_answers(void **state) {
    const char *name = *state;
    static walk w;
    static calls c;
    char path[1024];
    slm_model_options mo = {.struct_size = sizeof mo, .flags = SLM_MODEL_VOCAB_ONLY};
    uint32_t n_calls = 0;
#ifdef SLM_SLOW
    int rounds = 3;
#else
    int rounds = 12;
#endif
    golden_path(path, sizeof path, "vocab:", name);
    OK(slm_model_open(path, &mo, &w.model, &golden_err));
    slm_rng_seed(&w.rng, 11);
    slm_guide_options lenient = {.struct_size = sizeof lenient, .flags = SLM_GUIDE_LENIENT};
    for (size_t i = 0; i < COUNT(tools); i++)
        OK(slm_guide_compile_json_schema(NULL, tools[i].schema, SLM_NTS, &lenient, &checks[i],
                                         &golden_err));
    for (int format = HERMES; format <= JSON; format++)
        for (int choice = A; choice <= ONE; choice++) {
            if (choice == N)
                continue;
            w.guide = compile(w.model, format, choice, 0);
            OK(slm_matcher_open(w.guide, &w.matcher, &golden_err));
            for (int round = 0; round < rounds; round++) {
                random_answer(&w, format, choice, (uint32_t)round % 4, &c);
                n_calls += c.n;
            }
            slm_matcher_close(&w.matcher);
            slm_guide_close(&w.guide);
        }
    assert_true(n_calls >= (uint32_t)(5 * 2 * rounds));
    for (size_t i = 0; i < COUNT(tools); i++)
        slm_guide_close(&checks[i]);
    slm_model_close(&w.model);
}

/* ---- control tokens ---- */

static int allowed(slm_matcher *m, int32_t id) {
    const uint64_t *bits;
    size_t n_words;
    OK(slm_matcher_get_mask(m, &bits, &n_words, &golden_err));
    return (int)(bits[id / 64] >> (id % 64) & 1);
}

/* A control token that marks a call is its spelling; no other is let through. */
static void control_tokens(void **state) {
    (void)state;
    char path[1024];
    slm_model *model;
    slm_matcher *m;
    slm_model_options mo = {.struct_size = sizeof mo, .flags = SLM_MODEL_VOCAB_ONLY};
    slm_span tag = {"<|python_tag|>", SLM_NTS, 1}, other = {"<|start_header_id|>", SLM_NTS, 1};
    int32_t id, header;
    size_t n;
    const char *forced;
    golden_path(path, sizeof path, "vocab:", "llama3.gguf");
    OK(slm_model_open(path, &mo, &model, &golden_err));
    OK(slm_tokenize(model, &tag, 1, SLM_BOS_NONE, &id, 1, &n, &golden_err));
    OK(slm_tokenize(model, &other, 1, SLM_BOS_NONE, &header, 1, &n, &golden_err));
    for (int choice = A; choice <= R; choice++) {
        slm_guide *guide = compile(model, SLM_TOOLS_LLAMA3_JSON, choice, 0);
        OK(slm_matcher_open(guide, &m, &golden_err));
        assert_int_equal(allowed(m, id), choice != N);
        assert_false(allowed(m, header));
        assert_int_equal(slm_matcher_accept(m, header, &golden_err), SLM_ERR_RANGE);
        if (choice == N) {
            assert_int_equal(slm_matcher_accept(m, id, &golden_err), SLM_ERR_RANGE);
        } else {
            OK(slm_matcher_accept(m, id, &golden_err));
            assert_false(allowed(m, id));
            OK(slm_matcher_get_forced(m, &forced, &n, &golden_err));
            assert_int_equal(n, strlen("{\"name\":"));
            assert_memory_equal(forced, "{\"name\":", n);
        }
        slm_matcher_close(&m);
        slm_guide_close(&guide);
    }
    slm_model_close(&model);
}

/* Where a control token closes a call, its spelling is not forced. */
static void closing_token(void **state) {
    (void)state;
    char path[1024];
    slm_model *model;
    slm_matcher *m;
    slm_model_options mo = {.struct_size = sizeof mo, .flags = SLM_MODEL_VOCAB_ONLY};
    slm_span close = {"<|/tool_call|>", SLM_NTS, 1};
    int32_t ids[32];
    size_t n;
    const char *forced;
    golden_path(path, sizeof path, "vocab:", "phi4-mini.gguf");
    OK(slm_model_open(path, &mo, &model, &golden_err));
    OK(slm_tokenize(model, &close, 1, SLM_BOS_NONE, ids, 32, &n, &golden_err));
    assert_int_equal(n, 1);
    slm_guide *guide = compile(model, SLM_TOOLS_AUTO, R, 0);
    OK(slm_matcher_open(guide, &m, &golden_err));
    OK(slm_matcher_accept_bytes(m, "<|tool_call|>" NOW "\n", strlen("<|tool_call|>" NOW "\n"),
                                &golden_err));
    assert_true(allowed(m, ids[0]));
    OK(slm_matcher_get_forced(m, &forced, &n, &golden_err));
    assert_int_equal(n, 0);
    OK(slm_matcher_accept(m, ids[0], &golden_err));
    slm_matcher_info info = {.struct_size = sizeof info};
    OK(slm_matcher_get_info(m, &info, &golden_err));
    assert_true(info.can_end);
    slm_matcher_close(&m);
    slm_guide_close(&guide);
    slm_model_close(&model);
}

/* Memory is refused at each place in turn. */
static void refuse_memory(slm_tool_format format) {
    fail_alloc fa = FAIL_ALLOC_INIT;
    int reached = 1;
    for (fa.fail_at = 1; reached; fa.fail_at++) {
        slm_allocator a = fail_alloc_start(&fa);
        slm_guide_options g = {.struct_size = sizeof g, .allocator = &a};
        slm_tools_options o = {.struct_size = sizeof o, .format = format};
        slm_guide *guide = NULL;
        slm_status status = slm_guide_compile_tools(NULL, tools_json, SLM_NTS, &o, &g, &guide,
                                                    &golden_err);
        reached = fa.calls >= fa.fail_at;
        assert_int_equal(status, reached ? SLM_ERR_NOMEM : SLM_OK);
        slm_guide_close(&guide);
        assert_int_equal(fa.outstanding, 0);
    }
    assert_true(fa.fail_at > 30);
}

static void refused_memory(void **state) {
    (void)state;
    refuse_memory(SLM_TOOLS_LLAMA32_PYTHONIC);
    refuse_memory(SLM_TOOLS_HERMES);
}

int main(void) {
    golden_need_data();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches),
        cmocka_unit_test(one_call),
        cmocka_unit_test(refusals),
        {"random_answers llama3", random_answers, NULL, NULL, "llama3.gguf"},
        {"random_answers qwen2", random_answers, NULL, NULL, "qwen2.gguf"},
        {"random_answers phi4-mini", random_answers, NULL, NULL, "phi4-mini.gguf"},
        {"random_answers phi3", random_answers, NULL, NULL, "phi3.gguf"},
        {"random_answers llama-spm", random_answers, NULL, NULL, "llama-spm.gguf"},
        cmocka_unit_test(control_tokens),
        cmocka_unit_test(closing_token),
        cmocka_unit_test(refused_memory),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
