/* Guides: hostile grammars and schemas, refused memory, lazy guides, forced bytes, spacing. */
#include "guide/automaton.h"
#include "guide/dfa.h"
#include "guide/guide.h"
#include "slm.h"
#include "support/fail_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define MEMORY   (16u << 20)

#ifdef SLM_SLOW
#define SECONDS 20.0
#else
#define SECONDS 1.0
#endif

static slm_status compile(const char *text, size_t len, int is_schema, uint32_t flags,
                          slm_guide **g, slm_error *error) {
    slm_guide_options o = {.struct_size = sizeof o, .memory_limit = MEMORY, .flags = flags};
    *error = (slm_error)SLM_ERROR_INIT;
    return is_schema ? slm_guide_compile_json_schema(NULL, text, len, &o, g, error)
                     : slm_guide_compile_gbnf(NULL, text, len, &o, g, error);
}

static slm_guide *must_compile(const char *text, int is_schema, uint32_t flags) {
    slm_error error;
    slm_guide *g;
    if (compile(text, SLM_NTS, is_schema, flags, &g, &error) != SLM_OK)
        fail_msg("%s: %s", text, error.message);
    return g;
}

static slm_match match(slm_guide *g, const char *text) {
    slm_error error = SLM_ERROR_INIT;
    slm_match m;
    if (slm_guide_match(g, text, SLM_NTS, &m, &error) != SLM_OK)
        fail_msg("%s: %s", text, error.message);
    return m;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- hostile ----------------------------------------------------------------------------------
 */

/* n times part between the others. */
static char *repeated(const char *before, const char *part, size_t n, const char *after) {
    size_t b = strlen(before), p = strlen(part), a = strlen(after);
    char *text = malloc(b + n * p + a + 1);
    assert_non_null(text);
    memcpy(text, before, b);
    for (size_t i = 0; i < n; i++)
        memcpy(text + b + i * p, part, p);
    memcpy(text + b + n * p, after, a + 1);
    return text;
}

/* Compiles within a second to one of two statuses; where it compiles, a text may hit a limit. */
static void hostile(const char *text, int is_schema, slm_status wanted, slm_status other) {
    slm_guide *g;
    slm_error error;
    slm_match m;
    double begun = seconds();
    slm_status status = compile(text, SLM_NTS, is_schema, 0, &g, &error);
    if (status != wanted && status != other)
        fail_msg("%.60s: got %s \"%s\", wanted %s or %s", text, slm_status_name(status),
                 error.message, slm_status_name(wanted), slm_status_name(other));
    if (status != SLM_OK) {
        assert_null(g);
        assert_int_not_equal(error.message[0], 0);
    } else {
        char *input = repeated("", "a", 2000, "");
        status = slm_guide_match(g, input, SLM_NTS, &m, &error);
        assert_true(status == SLM_OK || status == SLM_ERR_LIMIT);
        free(input);
    }
    slm_guide_close(&g);
    if (seconds() - begun > SECONDS)
        fail_msg("%.60s: took %.2f s", text, seconds() - begun);
}

static void hostile_repeated(const char *before, const char *part, size_t n, const char *after,
                             int is_schema, slm_status wanted, slm_status other) {
    char *text = repeated(before, part, n, after);
    hostile(text, is_schema, wanted, other);
    free(text);
}

static void hostile_grammars(void **state) {
    (void)state;
    hostile_repeated("root ::= ", "(", 60000, "", 0, SLM_ERR_GRAMMAR, SLM_ERR_GRAMMAR);
    hostile_repeated("root ::= ", "(", 1000000, "", 0, SLM_ERR_GRAMMAR, SLM_ERR_GRAMMAR);
    hostile_repeated("root ::= \"a\"", "*", 100000, "", 0, SLM_ERR_GRAMMAR, SLM_ERR_GRAMMAR);
    hostile_repeated("root ::= \"a\"", "{2000}", 50, "", 0, SLM_ERR_LIMIT, SLM_ERR_LIMIT);
    hostile_repeated("root ::= ", "(\"a\"?", 150, "\"b\"){2000}", 0, SLM_ERR_GRAMMAR,
                     SLM_ERR_GRAMMAR);
    hostile_repeated("root ::= \"", "a", 2000000, "\"", 0, SLM_ERR_LIMIT, SLM_ERR_LIMIT);
    hostile("root ::= (\"a\"*)*", 0, SLM_OK, SLM_OK);
    hostile("root ::= x*\nx ::= \"a\"?", 0, SLM_OK, SLM_OK);
    hostile("root ::= ((\"a\"?)*)* ((\"a\"*)?)+", 0, SLM_OK, SLM_OK);
    hostile("root ::= root", 0, SLM_ERR_GRAMMAR, SLM_ERR_GRAMMAR);
    hostile("root ::= \"a\" root", 0, SLM_ERR_GRAMMAR, SLM_ERR_GRAMMAR);
    hostile("root ::= []", 0, SLM_ERR_GRAMMAR, SLM_ERR_GRAMMAR);
    hostile("root ::= \"\\uD800\"", 0, SLM_ERR_GRAMMAR, SLM_ERR_GRAMMAR);
    hostile("root ::= \"\xff\"", 0, SLM_ERR_GRAMMAR, SLM_ERR_GRAMMAR);
    hostile("root ::= <[7]>", 0, SLM_ERR_UNSUP, SLM_ERR_UNSUP);
    hostile("root ::= \"a\"{18446744073709551615}", 0, SLM_ERR_GRAMMAR, SLM_ERR_GRAMMAR);
    hostile("root ::= \"a\"{1000000000}", 0, SLM_ERR_GRAMMAR, SLM_ERR_GRAMMAR);
    hostile("root ::= \"a\"{0,2001}", 0, SLM_ERR_GRAMMAR, SLM_ERR_GRAMMAR);
    hostile("root ::= \"a\"{5,0}", 0, SLM_ERR_GRAMMAR, SLM_ERR_GRAMMAR);
    hostile("root ::= \"a\"{0,1999}", 0, SLM_OK, SLM_OK);
    hostile("root ::= \"a\"{0,2000}", 0, SLM_OK, SLM_OK);
    /* ambiguous, where determinism explodes and where stacks do */
    hostile("root ::= [ab]* \"a\" [ab]{500}", 0, SLM_OK, SLM_OK);
    hostile("root ::= y | z\ny ::= \"a\" root \"b\" | \"a\"\nz ::= \"a\" root \"c\" | \"a\" x\n"
            "x ::= y z | \"a\" z y | \"a\"",
            0, SLM_OK, SLM_OK);
    hostile("root ::= \"a\" | \"a\" root root root", 0, SLM_OK, SLM_OK);
    /* characters of a class, counted */
    hostile("root ::= ([a-z]{1,2000} [a-z]{1,2000})*", 0, SLM_OK, SLM_OK);
    hostile("root ::= ([a-z]{1999} | [a-z]{2000} | [ab]{3,1998})*", 0, SLM_OK, SLM_OK);
    hostile("root ::= [a-z]{1,99} root? [a-z]{1,99}", 0, SLM_OK, SLM_OK);
    hostile_repeated("root ::= ", "[^x]{1,2000}", 20000, "", 0, SLM_OK, SLM_ERR_LIMIT);
    hostile_repeated("root ::= ", "[a-z]{0,2000}", 20000, "", 0, SLM_OK, SLM_ERR_LIMIT);
}

/* An alternative may be empty; behind ::= a line may end, so that an empty rule before another one
 * takes its name in. */
static void empty_sides(void **state) {
    (void)state;
    static const char *const empty[] = {
        "root ::=",     "root ::= \n\n",    "root ::= # nothing",  "root ::= | \"a\"",
        "root ::= ()?", "root ::= \"a\" |", "root ::= x\nx ::=\n", "root ::= (\"a\" | )"};
    for (size_t i = 0; i < COUNT(empty); i++) {
        slm_guide *g = must_compile(empty[i], 0, 0);
        assert_int_equal(match(g, ""), SLM_MATCH_WHOLE);
        assert_int_equal(match(g, "b"), SLM_MATCH_NONE);
        slm_guide_close(&g);
    }
    slm_guide *g;
    slm_error error;
    assert_int_equal(compile("root ::=\nx ::= \"a\"", SLM_NTS, 0, 0, &g, &error), SLM_ERR_GRAMMAR);
    assert_int_equal(error.offset, 11);
    assert_non_null(strstr(error.message, "line 2, column 3"));
}

/* Whether a grammar takes "x" and n times "a". */
static int takes(slm_host *host, slm_grammar *g, uint32_t n) {
    slm_error error = SLM_ERROR_INIT;
    slm_automaton a;
    assert_int_equal(slm_automaton_open(host, g, &a, &error), SLM_OK);
    slm_automaton_begin(&a, &error);
    uint32_t frame = slm_automaton_start_frame(&a, g->root);
    uint32_t config = slm_automaton_config(&a, (slm_item){frame, SLM_STACK_TEXT});
    config = slm_automaton_step(&a, config, 'x');
    for (uint32_t i = 0; i < n && config != 0; i++)
        config = slm_automaton_step(&a, config, 'a');
    int is = config != 0 && slm_automaton_expand(&a, config) && a.configs[config].accepts;
    assert_int_equal(a.status, SLM_OK);
    slm_automaton_close(&a);
    return is;
}

/* An automaton whose states are numbered from its end: every chain of them begins before those that
 * were found earlier. Where the search gives up depends on how many there are. */
static void chain_from_the_end(uint32_t n_states) {
    enum { N_CLASSES = 5 };
    static const uint32_t first[N_CLASSES] = {0, 'a', 'b', 'x', 'y'};
    slm_error error = SLM_ERROR_INIT;
    slm_host host;
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    slm_arena arena = {.host = &host};
    slm_dfa_space space = {.arena = &arena};
    slm_grammar g;
    slm_dfa *d;
    assert_int_equal(slm_dfa_make(&space, n_states, first, N_CLASSES, &d, &error), SLM_OK);
    d->next[N_CLASSES + 3] = n_states - 1;
    for (uint32_t s = 3; s < n_states; s++)
        d->next[s * N_CLASSES + 1] = s - 1;
    d->accepts[2] = 1;
    slm_grammar_init(&g, &host);
    g.root = slm_grammar_rule_new(&g);
    slm_grammar_rule r = g.rules[g.root];
    assert_int_equal(slm_dfa_emit(&host, &g, d, r.start, SLM_SPELL_RAW, 0, r.end, &error), SLM_OK);
    assert_int_equal(g.n_classes, 1); /* some of it is counted */
    assert_int_equal(slm_grammar_trim(&g, NULL, &error), SLM_OK);
    assert_false(takes(&host, &g, n_states - 4));
    assert_true(takes(&host, &g, n_states - 3));
    assert_false(takes(&host, &g, n_states - 2));
    slm_grammar_free(&g);
    slm_arena_free(&arena);
    assert_true(host.bytes == 0);
}

/* Of the ways to divide a text between copies, those are forgotten that others cover: however long it
 * is, few readings are left. */
static void divided_texts(void **state) {
    static const struct {
        const char *grammar, *part;
        size_t n_parts;
    } texts[] = {
        {"root ::= ([^\\n]{0,80} \"\\n\"?){0,200}", "no end of a line, ", 300},
        {"root ::= ([^\\n]{0,80} \"\\n\"?){3,200}", "no end of a line, ", 300},
        {"root ::= ([^\\n]{0,80} \"\\n\"?){200}", "no end of a line, ", 300},
        {"root ::= (w? \"\\n\"?){0,200} \"!\"\nw ::= [^\\n!]{1,80}", "no end of a line, ", 300},
        {"root ::= ([a-z ]{0,16} [,.]?){1,250}", "words, and more of them ", 100},
        {"root ::= ([a-z]{1,15} [^a-z]?){1,250}", "words and ", 100},
        {"root ::= (([a-z]{1,20} \" \"?){1,20} \".\"?){1,20} \"!\"", "words and ", 100},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        slm_guide *g = must_compile(texts[i].grammar, 0, 0);
        slm_matcher *m;
        slm_error error = SLM_ERROR_INIT;
        assert_int_equal(slm_matcher_open(g, &m, &error), SLM_OK);
        for (size_t n = 0; n < texts[i].n_parts; n++)
            for (const char *at = texts[i].part; *at != 0; at++) {
                if (slm_matcher_accept_bytes(m, at, 1, &error) != SLM_OK)
                    fail_msg("%s: part %zu: %s", texts[i].grammar, n, error.message);
                assert_in_range(g->automaton.configs[m->config].n_items, 1, 8);
            }
        slm_matcher_close(&m);
        slm_guide_close(&g);
    }
}

/* Copies that call rules, which hold such copies in their turn: a text has one reading at any depth. */
static void nested_copies(void **state) {
    static const char *const grammars[] = {
        "root ::= v\nv ::= \"[\" (v \",\"){0,20} v \"]\" | [0-9]+",
        "root ::= v\nv ::= \"[\" (v \",\"?){0,20} v \"]\" | [0-9]",
        "root ::= v\nv ::= \"[\" (v{0,3} \",\"?){0,20} v \"]\" | [0-9]",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(grammars); i++) {
        slm_guide *g = must_compile(grammars[i], 0, 0);
        char *text = repeated("", "[1,[2,3,", 100, "4");
        char *whole = repeated(text, "]]", 100, "");
        assert_int_equal(match(g, whole), SLM_MATCH_WHOLE);
        slm_guide_close(&g);
        free(text);
        free(whole);
    }
    slm_error error;
    slm_guide *g;
    assert_int_equal(
        compile("root ::= a\na ::= (a \"b\"?){0,20}", SLM_NTS, 0, 0, &g, &error),
        SLM_ERR_GRAMMAR);
    assert_non_null(strstr(error.message, "left recursion in rule a"));
    hostile_repeated("root ::= (", "([a-z]{0,20} ", 60, "", 0, SLM_ERR_GRAMMAR, SLM_ERR_GRAMMAR);
    hostile_repeated("root ::= a{0,2000}\na ::= ", "(\"b\"? c?){0,3} ", 1500, "\nc ::= [a-f]{0,30}",
                     0, SLM_OK, SLM_ERR_LIMIT);
    hostile_repeated("root ::= ([a-z]{0,16} \",\"? ", "\"x\"? ", 3000, "){0,17}", 0, SLM_OK,
                     SLM_ERR_LIMIT);
    hostile_repeated("root ::= ", "([a-z]? ", 150, "\"\"){0,2}", 0, SLM_ERR_GRAMMAR,
                     SLM_ERR_GRAMMAR);
    hostile("root ::= (((((((([ab]? \"a\"?){0,4}){0,4}){0,4}){0,4}){0,4}){0,4}){0,4}){0,4}", 0,
            SLM_OK, SLM_ERR_LIMIT);
    hostile("root ::= ((([a-z]? \"x\"?){0,50} \"y\"?){0,50} \"z\"?){0,50}", 0, SLM_OK,
            SLM_ERR_LIMIT);
}

/* Copies whose groups cannot end, beside a letter that can: of their places none covers another, and
 * a text is followed all the same. */
static void copies_without_ends(void **state) {
    (void)state;
    char *begin = repeated("root ::= ", "(", 16, "\"a\"");
    char *grammar = repeated(begin, " \"b\" | \"a\"){0,2}", 16, "");
    slm_guide_options o = {.struct_size = sizeof o, .memory_limit = (uint64_t)256 << 20};
    slm_error error = SLM_ERROR_INIT;
    slm_guide *g;
    assert_int_equal(slm_guide_compile_gbnf(NULL, grammar, SLM_NTS, &o, &g, &error), SLM_OK);
    assert_non_null(g->automaton.places);
    assert_int_equal(match(g, "aaaaaaaaaaaaaaaa"), SLM_MATCH_PREFIX);
    assert_int_equal(match(g, "aaaaaaaaaaaaaaaaaa b"), SLM_MATCH_NONE);
    slm_guide_close(&g);
    free(grammar);
    free(begin);
}

static void chains_from_the_end(void **state) {
    (void)state;
    for (uint32_t n = 30; n < 300; n += 9)
        chain_from_the_end(n);
}

static void many_rules(void **state) {
    (void)state;
    size_t cap = 4u << 20, n = 0;
    char *text = malloc(cap);
    assert_non_null(text);
    n += (size_t)snprintf(text, cap, "root ::= r0\n");
    for (int i = 0; i < 5000; i++)
        n += (size_t)snprintf(text + n, cap - n, "r%d ::= \"a\"? r%d\n", i, i + 1);
    snprintf(text + n, cap - n, "r5000 ::= \"a\"\n");
    hostile(text, 0, SLM_OK, SLM_ERR_LIMIT);
    n = (size_t)snprintf(text, cap, "root ::= \"a\"\n");
    for (int i = 0; i < 70000; i++)
        n += (size_t)snprintf(text + n, cap - n, "r%d::=\"\"\n", i);
    hostile(text, 0, SLM_ERR_LIMIT, SLM_ERR_LIMIT);
    free(text);
}

/* before, n parts that hold their number, after. */
static char *numbered(const char *before, const char *part, int n, const char *after) {
    size_t cap = strlen(before) + strlen(after) + (size_t)n * (strlen(part) + 12) + 1, at;
    char *text = malloc(cap);
    assert_non_null(text);
    at = (size_t)snprintf(text, cap, "%s", before);
    for (int i = 0; i < n; i++) {
        const char *digit = strchr(part, '#');
        at += (size_t)snprintf(text + at, cap - at, "%s%.*s%d%s", i > 0 ? "," : "",
                               (int)(digit - part), part, i, digit + 1);
    }
    snprintf(text + at, cap - at, "%s", after);
    return text;
}

static void hostile_numbered(const char *before, const char *part, int n, const char *after,
                             slm_status wanted, slm_status other) {
    char *text = numbered(before, part, n, after);
    hostile(text, 1, wanted, other);
    free(text);
}

static void many_parts(void **state) {
    (void)state;
    hostile("{\"enum\":[]}", 1, SLM_ERR_GRAMMAR, SLM_ERR_GRAMMAR);
    hostile("{\"type\":\"object\",\"properties\":{}}", 1, SLM_OK, SLM_OK);
    hostile_numbered("{\"enum\":[", "\"value #\"", 10000, "]}", SLM_OK, SLM_ERR_LIMIT);
    hostile_numbered("{\"type\":\"object\",\"properties\":{", "\"p#\":{}", 10000, "}}", SLM_OK,
                     SLM_ERR_LIMIT);
    hostile_numbered("{\"type\":\"object\",\"properties\":{", "\"p#\":{}", 10000,
                     "},\"required\":[\"p9999\"]}", SLM_OK, SLM_ERR_LIMIT);
    hostile_numbered("{\"anyOf\":[", "{\"const\":#}", 10000, "]}", SLM_OK, SLM_ERR_LIMIT);
    hostile_numbered("{\"anyOf\":[", "{\"type\":\"object\",\"properties\":{\"p#\":{}}}", 10000,
                     "]}", SLM_OK, SLM_ERR_LIMIT);
}

static void hostile_schemas(void **state) {
    (void)state;
    hostile_repeated("", "{\"items\":", 10000, "", 1, SLM_ERR_LIMIT, SLM_ERR_FORMAT);
    hostile_repeated("{\"pattern\":\"", "(", 100000, "\"}", 1, SLM_ERR_LIMIT, SLM_ERR_LIMIT);
    hostile_repeated("{\"pattern\":\"", "(a?", 100, "\"}", 1, SLM_ERR_GRAMMAR, SLM_ERR_GRAMMAR);
    hostile("{\"pattern\":\"(((a{1000}){1000}){1000}){1000}\"}", 1, SLM_ERR_LIMIT, SLM_ERR_LIMIT);
    hostile("{\"pattern\":\"(a|b)*a(a|b){30}$\"}", 1, SLM_ERR_LIMIT, SLM_ERR_LIMIT);
    hostile("{\"pattern\":\"((a*)*)*$\"}", 1, SLM_OK, SLM_OK);
    hostile("{\"type\":\"array\",\"minItems\":3,\"maxItems\":2}", 1, SLM_ERR_GRAMMAR,
            SLM_ERR_GRAMMAR);
    hostile("{\"type\":\"array\",\"maxItems\":18446744073709551615}", 1, SLM_ERR_LIMIT,
            SLM_ERR_GRAMMAR);
    hostile("{\"type\":\"array\",\"maxItems\":4294967295}", 1, SLM_ERR_LIMIT, SLM_ERR_LIMIT);
    hostile("{\"type\":\"array\",\"maxItems\":100000}", 1, SLM_OK, SLM_ERR_LIMIT);
    hostile("{\"type\":\"string\",\"maxLength\":65536}", 1, SLM_OK, SLM_OK);
    hostile("{\"type\":\"string\",\"maxLength\":65536,\"pattern\":\"^[a-z ]*$\"}", 1, SLM_OK,
            SLM_ERR_LIMIT);
    hostile("{\"type\":\"integer\",\"minimum\":1e999999}", 1, SLM_ERR_LIMIT, SLM_ERR_LIMIT);
    hostile("{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"anyOf\":[{\"$ref\":\"#\"},{}]}}}", 1,
            SLM_ERR_GRAMMAR, SLM_ERR_GRAMMAR);
    /* 2^30 combinations */
    hostile_repeated("{\"allOf\":[{}", ",{\"anyOf\":[{\"type\":\"object\"},{\"minimum\":1}]}", 30,
                     "]}", 1, SLM_ERR_LIMIT, SLM_ERR_LIMIT);
    hostile_repeated("{\"oneOf\":[{\"const\":1}", ",{\"oneOf\":[{\"const\":2},{\"const\":3}]}", 200,
                     "]}", 1, SLM_ERR_UNSUP, SLM_ERR_LIMIT);
}

/* Two long lists that are looked through for each other. */
static void hostile_pairs(void **state) {
    (void)state;
    hostile_numbered("{\"enum\":[", "#", 20000, "]}", SLM_OK, SLM_OK);
    char *half = numbered("{\"allOf\":[{\"enum\":[", "#", 20000, "]},{\"enum\":[");
    hostile_numbered(half, "#.5", 20000, "]}]}", SLM_ERR_LIMIT, SLM_ERR_LIMIT);
    free(half);
    half = numbered("{\"properties\":{", "\"p#\":{}", 5000, "},\"required\":[\"p0\"");
    hostile_repeated(half, ",\"p4999\"", 80000, "]}", 1, SLM_ERR_LIMIT, SLM_ERR_LIMIT);
    free(half);
    half = repeated("{\"anyOf\":[{}", ",{\"$ref\":\"#z\"}", 1900, "],\"$defs\":{");
    hostile_numbered(half, "\"#\":[]", 50000, ",\"q\":{\"$anchor\":\"z\"}}}", SLM_ERR_LIMIT,
                     SLM_ERR_LIMIT);
    free(half);
    hostile_numbered("{\"anyOf\":[{},{}],", "\"x-#\":1", 60000, "}", SLM_ERR_LIMIT, SLM_ERR_LIMIT);
    hostile_repeated("{\"pattern\":\"", "\\\\p{L}", 2000, "\"}", 1, SLM_ERR_LIMIT, SLM_ERR_LIMIT);
    hostile("{\"pattern\":\"^a|....c{............................c{2,}d?e*f|2,}d+$\"}", 1,
            SLM_ERR_LIMIT, SLM_ERR_LIMIT);
}

/* Rules of no size that name the one before over and over; and many calls that all go back to one
 * place, from which many empty ways lead on. */
static void hostile_rules(void **state) {
    (void)state;
    size_t cap = 1u << 20, n;
    char *text = malloc(cap);
    assert_non_null(text);
    n = (size_t)snprintf(text, cap, "root ::= r20 \"a\"*\nr0 ::= \"a\"\n");
    for (int i = 1; i <= 20; i++)
        n += (size_t)snprintf(text + n, cap - n, "r%d ::= (r%d r%d r%d){0}\n", i, i - 1, i - 1,
                              i - 1);
    hostile(text, 0, SLM_OK, SLM_OK);
    n = (size_t)snprintf(text, cap, "root ::= (r0");
    for (int i = 1; i < 20000; i++)
        n += (size_t)snprintf(text + n, cap - n, "|r%d", i);
    n += (size_t)snprintf(text + n, cap - n, ") (");
    memset(text + n, '|', 200000);
    n += 200000;
    n += (size_t)snprintf(text + n, cap - n, "\"x\")\n");
    for (int i = 0; i < 20000; i++)
        n += (size_t)snprintf(text + n, cap - n, "r%d::=\"a\"r%d|\"z\"\n", i, i);
    assert_true(n < cap);
    slm_guide *g;
    slm_match m;
    slm_error error = SLM_ERROR_INIT;
    double begun = seconds();
    assert_int_equal(slm_guide_compile_gbnf(NULL, text, n, NULL, &g, &error), SLM_OK);
    assert_int_equal(slm_guide_match(g, "az", 2, &m, &error), SLM_ERR_LIMIT);
    assert_true(seconds() - begun < SECONDS);
    slm_guide_close(&g);
    free(text);
}

/* ---- memory -----------------------------------------------------------------------------------
 */

static void use(const char *text, int is_schema, const char *input, const slm_allocator *a,
                int *was_refused) {
    slm_span trigger = {"go", 2, 0};
    slm_guide_options o = {
        .struct_size = sizeof o, .allocator = a, .triggers = &trigger, .n_triggers = 1};
    slm_guide *g;
    slm_matcher *m = NULL;
    slm_error error = SLM_ERROR_INIT;
    const char *bytes;
    size_t n;
    slm_status status = is_schema
                            ? slm_guide_compile_json_schema(NULL, text, SLM_NTS, &o, &g, &error)
                            : slm_guide_compile_gbnf(NULL, text, SLM_NTS, &o, &g, &error);
    if (status == SLM_OK)
        status = slm_matcher_open(g, &m, &error);
    if (status == SLM_OK)
        status = slm_matcher_accept_bytes(m, "go", 2, &error);
    if (status == SLM_OK)
        status = slm_matcher_get_forced(m, &bytes, &n, &error);
    if (status == SLM_OK)
        status = slm_matcher_accept_bytes(m, input, strlen(input), &error);
    *was_refused = status == SLM_ERR_NOMEM;
    if (status != SLM_OK && !*was_refused)
        fail_msg("%s: got %s \"%s\"", text, slm_status_name(status), error.message);
    slm_matcher_close(&m);
    slm_guide_close(&g);
}

static void refused_memory(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int is_schema;
        const char *input;
    } cases[] = {
        {"root ::= \"(\" root \")\" | x{2,3} [^a-z]\nx ::= \"x\" | \"y\" root", 0, "((xx1))"},
        {"root ::= ([a-c]{1,20} [b-d]{2,30} | [^a]{16})* \"!\"", 0, "abcabcddbbb!"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"pattern\":\"^x+$\","
         "\"maxLength\":4},"
         "\"b\":{\"type\":\"integer\",\"minimum\":-3,\"multipleOf\":3},\"c\":{\"enum\":[1,\"two\"]}"
         ","
         "\"d\":{\"oneOf\":[{\"type\":\"null\"},{\"type\":\"array\"}]}},"
         "\"patternProperties\":{\"^z\":{\"$ref\":\"#/properties/d\"}}}",
         1, "{\"a\": \"xx\", \"b\": 6, \"c\": \"two\", \"d\": [1, {}], \"zz\": null}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        fail_alloc fa = FAIL_ALLOC_INIT;
        int was_refused;
        do {
            fa.fail_at++;
            slm_allocator a = fail_alloc_start(&fa);
            use(cases[i].text, cases[i].is_schema, cases[i].input, &a, &was_refused);
            assert_int_equal(fa.outstanding, 0);
        } while (fa.calls >= fa.fail_at);
        assert_false(was_refused);
        assert_true(fa.fail_at > 40);
    }
}

/* A long text through a grammar whose every byte is a new config: what is held stays within the
 * limit. */
static void forget(const char *schema) {
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator a = fail_alloc_start(&fa);
    slm_guide_options o = {.struct_size = sizeof o, .memory_limit = 4u << 20, .allocator = &a};
    slm_guide *g;
    slm_matcher *m;
    slm_error error = SLM_ERROR_INIT;
    assert_int_equal(slm_guide_compile_json_schema(NULL, schema, SLM_NTS, &o, &g, &error), SLM_OK);
    assert_int_equal(slm_matcher_open(g, &m, &error), SLM_OK);
    assert_int_equal(slm_matcher_accept_bytes(m, "\"", 1, &error), SLM_OK);
    for (int i = 0; i < 3000; i++)
        if (slm_matcher_accept_bytes(m, "x", 1, &error) != SLM_OK)
            fail_msg("%s", error.message);
    assert_int_equal(slm_matcher_accept_bytes(m, "\"x", 2, &error), SLM_ERR_RANGE);
    assert_int_equal(slm_matcher_accept_bytes(m, "\"", 1, &error), SLM_OK);
    assert_true(fa.peak > 2 << 20 && fa.peak <= 4 << 20);
    slm_matcher_close(&m);
    slm_guide_close(&g);
    assert_int_equal(fa.outstanding, 0);
}

static void forgetting(void **state) {
    (void)state;
    forget("{\"type\":\"string\",\"maxLength\":60000}");
    forget("{\"type\":\"string\",\"pattern\":\"^[^y]{1,4000}$\"}");
}

/* What is forced is found after something was forgotten for it, too. */
static void forced_after_forgetting(void **state) {
    (void)state;
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator a = fail_alloc_start(&fa);
    slm_guide_options o = {.struct_size = sizeof o, .memory_limit = 4u << 20, .allocator = &a};
    slm_guide *g;
    slm_matcher *m;
    slm_error error = SLM_ERROR_INIT;
    const char *bytes;
    size_t n;
    assert_int_equal(slm_guide_compile_gbnf(NULL, "root ::= [0-9]{24} \"abc\" root \"d\" | \"e\"",
                                            SLM_NTS, &o, &g, &error),
                     SLM_OK);
    assert_int_equal(slm_matcher_open(g, &m, &error), SLM_OK);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(slm_matcher_accept_bytes(m, "777777777777777777777777", 24, &error),
                         SLM_OK);
        assert_int_equal(slm_matcher_get_forced(m, &bytes, &n, &error), SLM_OK);
        assert_int_equal(n, 3);
        assert_memory_equal(bytes, "abc", 3);
        assert_int_equal(slm_matcher_accept_bytes(m, "abc", 3, &error), SLM_OK);
    }
    assert_true(fa.peak > 2 << 20 && fa.peak <= 4 << 20);
    slm_matcher_close(&m);
    slm_guide_close(&g);
    assert_int_equal(fa.outstanding, 0);
}

/* ---- matchers ---------------------------------------------------------------------------------
 */

static void spacing(void **state) {
    (void)state;
    static const char schema[] = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\"}},"
                                 "\"additionalProperties\":false}";
    static const char *const tight[] = {"{\"a\":[]}", "{\"a\": [1, 2]}",
                                        "{\"a\":[1,2, {\"b\": 1}]}"};
    static const char *const loose[] = {" {}",          "{} ",          "{ \"a\":[]}",
                                        "{\"a\" :[]}",  "{\"a\":  []}", "{\"a\":\n[]}",
                                        "{\"a\":[ 1]}", "{\"a\":[1 ]}", "{\"a\":[1 ,2]}"};
    slm_guide *strict = must_compile(schema, 1, 0),
              *lenient = must_compile(schema, 1, SLM_GUIDE_LENIENT);
    for (size_t i = 0; i < COUNT(tight); i++) {
        assert_int_equal(match(strict, tight[i]), SLM_MATCH_WHOLE);
        assert_int_equal(match(lenient, tight[i]), SLM_MATCH_WHOLE);
    }
    for (size_t i = 0; i < COUNT(loose); i++) {
        assert_int_not_equal(match(strict, loose[i]), SLM_MATCH_WHOLE);
        assert_int_equal(match(lenient, loose[i]), SLM_MATCH_WHOLE);
    }
    slm_guide_close(&strict);
    slm_guide_close(&lenient);
}

static void forced_bytes(void **state) {
    (void)state;
    slm_guide *g =
        must_compile("{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}},"
                     "\"required\":[\"city\"],\"additionalProperties\":false}",
                     1, 0);
    slm_matcher *m;
    slm_matcher_info info = {.struct_size = sizeof info};
    slm_error error = SLM_ERROR_INIT;
    const char *bytes;
    size_t n;
    assert_int_equal(slm_matcher_open(g, &m, &error), SLM_OK);
    assert_int_equal(slm_matcher_get_forced(m, &bytes, &n, &error), SLM_OK);
    assert_int_equal(n, 8);
    assert_memory_equal(bytes, "{\"city\":", 8);
    assert_int_equal(slm_matcher_accept_bytes(m, bytes, n, &error), SLM_OK);
    assert_int_equal(slm_matcher_get_forced(m, &bytes, &n, &error), SLM_OK);
    assert_int_equal(n, 0);
    assert_int_equal(slm_matcher_accept_bytes(m, " \"Oslo\"", 7, &error), SLM_OK);
    assert_int_equal(slm_matcher_get_info(m, &info, &error), SLM_OK);
    assert_int_equal(info.can_end, 0);
    assert_int_equal(slm_matcher_accept_bytes(m, ",", 1, &error), SLM_ERR_RANGE);
    assert_int_equal(slm_matcher_get_forced(m, &bytes, &n, &error), SLM_OK);
    assert_int_equal(n, 1);
    assert_int_equal(slm_matcher_accept_bytes(m, "}", 1, &error), SLM_OK);
    assert_int_equal(slm_matcher_get_info(m, &info, &error), SLM_OK);
    assert_int_equal(info.can_end, 1);
    assert_int_equal(info.must_end, 1);
    slm_matcher_close(&m);
    slm_guide_close(&g);
}

static void lazy(void **state) {
    (void)state;
    slm_span triggers[] = {{"<call>", SLM_NTS, 0}, {"all: ", SLM_NTS, 0}};
    slm_guide_options o = {.struct_size = sizeof o, .triggers = triggers, .n_triggers = 2};
    slm_guide *g;
    slm_matcher *m;
    slm_matcher_info info = {.struct_size = sizeof info};
    slm_error error = SLM_ERROR_INIT;
    assert_int_equal(slm_guide_compile_gbnf(NULL, "root ::= [0-9]+ \";\"", SLM_NTS, &o, &g, &error),
                     SLM_OK);
    assert_int_equal(match(g, ""), SLM_MATCH_WHOLE);
    assert_int_equal(match(g, "free <cal\xff text"), SLM_MATCH_WHOLE);
    assert_int_equal(match(g, "<<call>12"), SLM_MATCH_PREFIX);
    assert_int_equal(match(g, "<<call>12;"), SLM_MATCH_WHOLE);
    assert_int_equal(match(g, "<call>x"), SLM_MATCH_NONE);
    assert_int_equal(match(g, "<call>1;x"), SLM_MATCH_NONE);
    assert_int_equal(match(g, "<call; all: 3;"), SLM_MATCH_WHOLE);
    assert_int_equal(slm_matcher_open(g, &m, &error), SLM_OK);
    assert_int_equal(slm_matcher_accept_bytes(m, "hm <call", 8, &error), SLM_OK);
    assert_int_equal(slm_matcher_get_info(m, &info, &error), SLM_OK);
    assert_int_equal(info.sleeps, 1);
    assert_int_equal(slm_matcher_accept_bytes(m, ">", 1, &error), SLM_OK);
    assert_int_equal(slm_matcher_get_info(m, &info, &error), SLM_OK);
    assert_int_equal(info.sleeps, 0);
    assert_int_equal(info.can_end, 0);
    assert_int_equal(slm_matcher_reset(m, &error), SLM_OK);
    assert_int_equal(slm_matcher_get_info(m, &info, &error), SLM_OK);
    assert_int_equal(info.sleeps, 1);
    slm_matcher_close(&m);
    slm_guide_close(&g);
}

static void arguments(void **state) {
    (void)state;
    slm_error error = SLM_ERROR_INIT;
    slm_guide *g = (slm_guide *)&error;
    slm_guide_options o = {.struct_size = sizeof o, .flags = 1u << 9};
    const uint64_t *bits;
    size_t n;
    assert_int_equal(slm_guide_compile_gbnf(NULL, NULL, 0, NULL, &g, &error), SLM_ERR_ARG);
    assert_null(g);
    assert_int_equal(slm_guide_compile_gbnf(NULL, "", 0, NULL, NULL, &error), SLM_ERR_ARG);
    assert_int_equal(slm_guide_compile_gbnf(NULL, "root ::= \"a\"", SLM_NTS, &o, &g, &error),
                     SLM_ERR_ARG);
    o = (slm_guide_options){.struct_size = sizeof o, .memory_limit = 1000};
    assert_int_equal(slm_guide_compile_gbnf(NULL, "root ::= \"a\"", SLM_NTS, &o, &g, &error),
                     SLM_ERR_RANGE);
    o = (slm_guide_options){.struct_size = sizeof o, .n_triggers = 1};
    assert_int_equal(slm_guide_compile_gbnf(NULL, "root ::= \"a\"", SLM_NTS, &o, &g, &error),
                     SLM_ERR_ARG);
    slm_span empty = {"", 0, 0};
    o = (slm_guide_options){.struct_size = sizeof o, .triggers = &empty, .n_triggers = 1};
    assert_int_equal(slm_guide_compile_gbnf(NULL, "root ::= \"a\"", SLM_NTS, &o, &g, &error),
                     SLM_ERR_RANGE);
    int32_t token = 5;
    o = (slm_guide_options){
        .struct_size = sizeof o, .trigger_tokens = &token, .n_trigger_tokens = 1};
    assert_int_equal(slm_guide_compile_gbnf(NULL, "root ::= \"a\"", SLM_NTS, &o, &g, &error),
                     SLM_ERR_RANGE);
    g = must_compile("root ::= \"a\"", 0, 0);
    slm_matcher *m;
    assert_int_equal(slm_matcher_open(g, &m, &error), SLM_OK);
    slm_guide_close(&g); /* the matcher keeps it */
    assert_int_equal(slm_matcher_get_mask(m, &bits, &n, &error), SLM_ERR_ARG);
    assert_int_equal(slm_matcher_accept(m, 0, &error), SLM_ERR_ARG);
    assert_int_equal(slm_matcher_accept_bytes(m, "b", 1, &error), SLM_ERR_RANGE);
    assert_int_equal(slm_matcher_accept_bytes(m, "a", 1, &error), SLM_OK);
    slm_matcher_close(&m);
    slm_matcher_close(&m);
    slm_guide_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_grammars),
        cmocka_unit_test(divided_texts),
        cmocka_unit_test(nested_copies),
        cmocka_unit_test(copies_without_ends),
        cmocka_unit_test(chains_from_the_end),
        cmocka_unit_test(many_rules),
        cmocka_unit_test(empty_sides),
        cmocka_unit_test(hostile_schemas),
        cmocka_unit_test(refused_memory),
        cmocka_unit_test(many_parts),
        cmocka_unit_test(hostile_pairs),
        cmocka_unit_test(hostile_rules),
        cmocka_unit_test(forced_after_forgetting),
        cmocka_unit_test(forgetting),
        cmocka_unit_test(spacing),
        cmocka_unit_test(forced_bytes),
        cmocka_unit_test(lazy),
        cmocka_unit_test(arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
