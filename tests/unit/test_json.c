/* libslm/base: JSON, reading, recognising in pieces, writing. */
#include "base/json.h"
#include "base/rng.h"
#include "support/fail_alloc.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static slm_host host;

typedef struct parsed {
    slm_arena arena;
    const slm_json *root;
    slm_status status;
    slm_error error;
} parsed;

static parsed parse(const char *text, size_t len, uint32_t flags) {
    parsed p = {.arena = {.host = &host}, .error = SLM_ERROR_INIT};
    p.status = slm_json_parse(&p.arena, text, len, flags, "text", &p.root, &p.error);
    assert_true((p.status == SLM_OK) == (p.root != NULL));
    return p;
}

/* What the scanner says about a text that comes in two pieces, and whether it takes all of it but
 * white space. */
static int scan(const char *text, size_t len, size_t cut) {
    slm_json_scan s;
    slm_json_scan_begin(&s);
    size_t n = slm_json_scan_feed(&s, text, cut);
    if (n == cut)
        n += slm_json_scan_feed(&s, text + cut, len - cut);
    assert_int_equal(n, s.n_bytes);
    if (s.progress == SLM_JSON_MORE)
        slm_json_scan_end(&s);
    while (n < len && strchr(" \t\n\r", text[n]) && text[n])
        n++;
    return s.progress == SLM_JSON_DONE && n == len;
}

static char *write_tree(const slm_json *v, uint32_t flags, uint32_t indent) {
    slm_buffer out = {.host = &host};
    slm_json_writer w = {.out = &out, .flags = flags, .indent = indent};
    assert_int_equal(slm_json_put_value(&w, v, NULL), SLM_OK);
    char *text = malloc(out.len + 1);
    assert_non_null(text);
    memcpy(text, out.ptr, out.len);
    text[out.len] = 0;
    slm_buffer_free(&out);
    return text;
}

/* ---- what is JSON and what is not ---- */

#define T(s) {s, sizeof(s) - 1}
typedef struct text {
    const char *ptr;
    size_t len;
} text;

static const text GOOD[] = {
    T("null"), T("true"), T("false"), T("0"), T("-0"), T("\"\""), T("[]"), T("{}"),
    T(" \t\n\r[ \t\n\r] \t\n\r"), T("[1]"), T("[1,2]"), T("[[]]"), T("[[],[[]]]"), T("[{}]"),
    T("{\"a\":1}"), T("{\"a\":1,\"b\":2}"), T("{ \"a\" : [ 1 , 2 ] }"), T("{\"\":0}"),
    T("{\"a\":{\"a\":{}}}"), T("[null,true,false]"), T("[\"a\",1,{}]"),
    T("123"), T("-1"), T("10"), T("1.5"), T("0.0"), T("-0.0"), T("1e5"), T("1E5"), T("1e+5"),
    T("1e-5"), T("1.25e10"), T("0e0"), T("0e+1"), T("20e1"), T("1e999999999999999999999"),
    T("-123456789012345678901234567890.123456789"), T(" 7 "),
    T("\"a\""), T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), T("\"\\u0000\""), T("\"\\u00e9\\u00E9\""),
    T("\"\\uD83D\\uDE00\""), T("\"\\ud834\\udd1e\""), T("\"\\uE000\\uFFFF\""), T("\"\\uDBFF\\uDFFF\""),
    T("\"\\\\u0061\""), T("\"\\u005C\\u0022\""), T("\"/\""), T("\"\x7f\""), T("\"\xc3\xa9\""),
    T("\"\xe2\x82\xac\""), T("\"\xf0\x9f\x98\x80\""), T("\"\xf4\x8f\xbf\xbf\""), T("\"\xee\x80\x80\""),
    T("\"\xed\x9f\xbf\""), T("\"\xe2\x80\xa8\""), T("\"\xc2\xa0\""), T("\"'\""), T("\"{}[],:\""),
    T("{\"a b\":\"c\\nd\",\"\\u0061\\u0000\":[{\"x\":[]}]}"),
};

static const text BAD[] = {
    T(""), T(" "), T("\n"), T("n"), T("nul"), T("nulL"), T("True"), T("nan"), T("NaN"), T("Infinity"),
    T("-Infinity"), T("truex"), T("true false"), T("undefined"), T("'a'"), T("a"), T("\xc3\xa9"),
    T("\xef\xbb\xbf[]"), T("\xff\xfe"), T("["), T("]"), T("[1"), T("[1,"), T("[1,]"), T("[,1]"),
    T("[,]"), T("[1,,2]"), T("[1 2]"), T("[1;2]"), T("[1}"), T("[\"a\":1]"), T("[]]"), T("[1],"),
    T("[]{}"), T("{"), T("}"), T("{]"), T("{\"a\""), T("{\"a\":"), T("{\"a\":1"), T("{\"a\":1,"),
    T("{\"a\":1,}"), T("{,}"), T("{\"a\"}"), T("{\"a\" 1}"), T("{\"a\",1}"), T("{\"a\"::1}"),
    T("{a:1}"), T("{1:1}"), T("{null:1}"), T("{'a':1}"), T("{\"a\":1 \"b\":2}"), T("{\"a\":1}}"),
    T("{\"a\":1}#"), T("{\"a\":1}//"), T("/**/1"), T("1/**/"), T("{[]:1}"), T("{\"a\":1,1}"),
    T("{\"a\":1;\"b\":2}"), T("{\"a\":}"), T("{:1}"),
    T("-"), T("+1"), T("--1"), T("- 1"), T("01"), T("-01"), T("00"), T("1."), T("1.e1"), T(".5"),
    T("-.5"), T("1e"), T("1e+"), T("1E-"), T("1e+-1"), T("1ee1"), T("1e1.5"), T("1.5.5"), T("0x10"),
    T("1_000"), T("1,5"), T("1 2"), T("[1-]"), T("[-]"), T("[0.]"), T("[0e]"), T("[1e]"), T("1a"),
    T("\xef\xbc\x91"), T("1+1"), T("[012]"), T("0.1.2"), T("1e0x1"),
    T("\""), T("\"a"), T("\"\\\""), T("\"\\"), T("\"\\a\""), T("\"\\x41\""), T("\"\\0\""),
    T("\"\\'\""), T("\"\\u\""), T("\"\\u1\""), T("\"\\u12\""), T("\"\\u123\""), T("\"\\u123g\""),
    T("\"\\u+123\""), T("\"\\U0041\""), T("\"\\ u0041\""), T("\"\\\n\""), T("\"\\\xc3\xa9\""),
    T("\"\\ud800\""), T("\"\\udc00\""), T("\"\\ud800\\ud800\""), T("\"\\ud800x\""),
    T("\"\\ud800\\n\""), T("\"\\ud800\\u0041\""), T("\"\\udfff\\ud800\""), T("\"\\udbff\\"),
    T("\"\\uD83D\\uDE0\""), T("\"\\uD83D\\u\""), T("\"\t\""), T("\"\n\""), T("\"\r\""), T("\"\0\""),
    T("\"\x1f\""), T("\0"), T("1\0"), T("[1]\0"), T("[\f]"), T("[\v]"), T("[\xc2\xa0]"),
    T("\"\x80\""), T("\"\xc3\""), T("\"\xc0\x80\""), T("\"\xc1\xbf\""), T("\"\xe0\x9f\xbf\""),
    T("\"\xed\xa0\x80\""), T("\"\xed\xbf\xbf\""), T("\"\xf0\x8f\xbf\xbf\""), T("\"\xf4\x90\x80\x80\""),
    T("\"\xf5\x80\x80\x80\""), T("\"\xff\""), T("\"\xe2\x82\""), T("\"\xe2\x82\x41\""),
    T("\"\xf0\x9f\x98\""), T("\"\xc3\xc3\xa9\""), T("\"\xe2(\xa1\""), T("{\"\xff\":1}"),
};

static void conformance(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(GOOD); i++) {
        parsed p = parse(GOOD[i].ptr, GOOD[i].len, 0);
        if (p.status != SLM_OK)
            fail_msg("refused: %s: %s", GOOD[i].ptr, p.error.message);
        slm_arena_free(&p.arena);
        for (size_t cut = 0; cut <= GOOD[i].len; cut++)
            if (!scan(GOOD[i].ptr, GOOD[i].len, cut))
                fail_msg("not recognised, cut at %zu: %s", cut, GOOD[i].ptr);
    }
    for (size_t i = 0; i < COUNT(BAD); i++) {
        parsed p = parse(BAD[i].ptr, BAD[i].len, 0);
        if (p.status != SLM_ERR_FORMAT && p.status != SLM_ERR_UTF8)
            fail_msg("status %d: %s", p.status, BAD[i].ptr);
        assert_true(p.error.offset <= BAD[i].len);
        assert_non_null(strstr(p.error.message, "line "));
        slm_arena_free(&p.arena);
        for (size_t cut = 0; cut <= BAD[i].len; cut++)
            if (scan(BAD[i].ptr, BAD[i].len, cut))
                fail_msg("recognised, cut at %zu: %s", cut, BAD[i].ptr);
    }
}

/* A text that is cut short is the beginning of a value and none itself, numbers aside. */
static void prefixes(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(GOOD); i++) {
        slm_json_scan s;
        slm_json_scan_begin(&s);
        int number = 0;
        for (size_t n = 0; n < GOOD[i].len && s.progress == SLM_JSON_MORE; n++) {
            slm_json_scan copy = s;
            number |= strchr("-0123456789", GOOD[i].ptr[n]) && s.depth == 0 &&
                      !slm_json_scan_in_string(&s);
            if (slm_json_scan_end(&copy) == SLM_JSON_DONE && !number)
                fail_msg("%s: ends after %zu bytes", GOOD[i].ptr, n);
            size_t taken = slm_json_scan_feed(&s, GOOD[i].ptr + n, 1);
            assert_int_equal(taken, s.progress == SLM_JSON_DONE && number ? 0 : 1);
        }
        assert_int_equal(slm_json_scan_end(&s), SLM_JSON_DONE);
    }
}

static void messages(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
        slm_status status;
    } cases[] = {
        {"{\"a\": 1,\n \"b\" 2}",
         "text is not JSON at line 2, column 6: got '2', wanted ':'", SLM_ERR_FORMAT},
        {"[\"\xc3\xa9\", x]", "text is not JSON at line 1, column 7: got 'x', wanted a value",
         SLM_ERR_FORMAT},
        {"[1", "text is not JSON at line 1, column 3: got the end, wanted ',' or ']'",
         SLM_ERR_FORMAT},
        {"{} {}", "text is not JSON at line 1, column 4: got '{', wanted nothing more",
         SLM_ERR_FORMAT},
        {"\"\xc3(\"",
         "text is not UTF-8 at line 1, column 3: got '(', wanted the rest of a UTF-8 character",
         SLM_ERR_UTF8},
        {"\"\xff\"", "text is not UTF-8 at line 1, column 2: got 0xff, wanted a character or '\"'",
         SLM_ERR_UTF8},
        {"\"\xc3\xa9\n\"",
         "text is not JSON at line 1, column 3: got 0x0a, wanted a character or '\"'", SLM_ERR_FORMAT},
        {"{\"a\":1,\n\"b\":2,\n  \"\\u0061\":3}",
         "text has the member \"a\" twice, again at line 3, column 12", SLM_ERR_DUP},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        parsed p = parse(cases[i].text, strlen(cases[i].text), 0);
        assert_int_equal(p.status, cases[i].status);
        assert_string_equal(p.error.message, cases[i].message);
        assert_string_equal(p.error.subject, "text");
        slm_arena_free(&p.arena);
    }
}

static void depth(void **state) {
    (void)state;
    for (int object = 0; object < 2; object++) {
        const char *open = object ? "{\"a\":" : "[", *end = object ? "}" : "]";
        for (size_t n = SLM_JSON_MAX_DEPTH; n <= SLM_JSON_MAX_DEPTH + 1; n++) {
            char s[8 * (SLM_JSON_MAX_DEPTH + 2)] = "";
            size_t len = 0;
            for (size_t i = 0; i < n; i++)
                len += (size_t)sprintf(s + len, "%s", open);
            len += (size_t)sprintf(s + len, "1");
            for (size_t i = 0; i < n; i++)
                len += (size_t)sprintf(s + len, "%s", end);
            parsed p = parse(s, len, 0);
            assert_int_equal(p.status, n > SLM_JSON_MAX_DEPTH ? SLM_ERR_LIMIT : SLM_OK);
            assert_int_equal(scan(s, len, 3), n <= SLM_JSON_MAX_DEPTH);
            if (p.root) {
                char *again = write_tree(p.root, 0, 0);
                assert_string_equal(again, s);
                free(again);
            } else {
                assert_non_null(strstr(p.error.message, "wanted at most 256 levels"));
            }
            slm_arena_free(&p.arena);
            p = parse(s, len, SLM_JSON_WITHIN(1));
            assert_int_equal(p.status, SLM_ERR_LIMIT);
            assert_non_null(strstr(p.error.message, "wanted at most 255 levels"));
            slm_arena_free(&p.arena);
        }
    }
    /* A hundred thousand brackets are refused as soon as they are too many. */
    char *deep = malloc(100000);
    assert_non_null(deep);
    memset(deep, '[', 100000);
    parsed p = parse(deep, 100000, 0);
    assert_int_equal(p.status, SLM_ERR_LIMIT);
    assert_int_equal(p.error.offset, SLM_JSON_MAX_DEPTH);
    free(deep);
}

/* ---- the tree ---- */

static void tree(void **state) {
    (void)state;
    static const char s[] = "{\"z\": [1, -2.50, true, null], \"a\\u0000b\": \"x\\ny\\ud83d\\ude00\","
                            " \"\": {}, \"e\": false}";
    parsed p = parse(s, sizeof s - 1, 0);
    assert_int_equal(p.status, SLM_OK);
    assert_int_equal(p.root->type, SLM_JSON_OBJECT);
    assert_int_equal(p.root->n_items, 4);
    const slm_json *z = slm_json_get(p.root, "z");
    assert_int_equal(z->n_items, 4);
    assert_int_equal(z->offset, 6);
    assert_ptr_equal(z, &p.root->items[0]);
    assert_int_equal(z->items[1].text.len, 5);
    assert_memory_equal(z->items[1].text.ptr, "-2.50", 5);
    assert_null(z->items[0].name.ptr);
    assert_int_equal(z->items[2].type, SLM_JSON_TRUE);
    assert_int_equal(z->items[3].type, SLM_JSON_NULL);
    const slm_json *string = slm_json_get_str(p.root, (slm_str){"a\0b", 3});
    assert_non_null(string);
    assert_int_equal(string->text.len, 7);
    assert_memory_equal(string->text.ptr, "x\ny\xf0\x9f\x98\x80", 7);
    assert_int_equal(slm_json_get(p.root, "")->type, SLM_JSON_OBJECT);
    assert_int_equal(slm_json_get(p.root, "e")->type, SLM_JSON_FALSE);
    assert_null(slm_json_get(p.root, "a"));
    assert_null(slm_json_get(z, "a"));
    assert_null(slm_json_get(NULL, "a"));
    assert_true(slm_json_is(string, "x\ny\xf0\x9f\x98\x80"));
    assert_false(slm_json_is(string, "x"));
    assert_false(slm_json_is(z, "z"));
    assert_false(slm_json_is(NULL, "z"));
    slm_arena_free(&p.arena);
}

static void duplicates(void **state) {
    (void)state;
    static const char s[] = "{\"b\":1,\"a\":2,\"b\":[3],\"c\":4,\"a\":5,\"b\":{\"b\":6}}";
    parsed p = parse(s, sizeof s - 1, SLM_JSON_KEEP_LAST);
    assert_int_equal(p.status, SLM_OK);
    char *again = write_tree(p.root, 0, 0);
    assert_string_equal(again, "{\"b\":{\"b\":6},\"a\":5,\"c\":4}");
    free(again);
    slm_arena_free(&p.arena);
    p = parse(s, sizeof s - 1, 0);
    assert_int_equal(p.status, SLM_ERR_DUP);
    slm_arena_free(&p.arena);

    /* Many members: none twice, then the last as the one before the last. */
    enum { N = 100000 };
    char *big = malloc(N * 16);
    assert_non_null(big);
    for (int twice = 0; twice < 2; twice++) {
        size_t len = 0;
        for (int i = 0; i < N; i++)
            len += (size_t)sprintf(big + len, "%c\"k%d\":%d", i ? ',' : '{',
                                   (twice && i == N - 1 ? i - 1 : i) * 7 % N, i);
        big[len++] = '}';
        p = parse(big, len, 0);
        assert_int_equal(p.status, twice ? SLM_ERR_DUP : SLM_OK);
        slm_arena_free(&p.arena);
    }
    free(big);
}

/* ---- numbers ---- */

static slm_json number(const char *spelt) {
    return (slm_json){.type = SLM_JSON_NUMBER, .text = {spelt, strlen(spelt)}};
}

static void integers(void **state) {
    (void)state;
    static const struct {
        const char *spelt;
        int fits;
        int64_t value;
        int is_integer;
    } cases[] = {
        {"0", 1, 0, 1}, {"-0", 1, 0, 1}, {"7", 1, 7, 1}, {"-12", 1, -12, 1}, {"2.0", 1, 2, 0},
        {"1e3", 1, 1000, 0}, {"1500e-2", 1, 15, 0}, {"1.5e1", 1, 15, 0}, {"0.0e99", 1, 0, 0},
        {"1.5", 0, 0, 0}, {"1e-1", 0, 0, 0}, {"1e19", 0, 0, 0}, {"1e99999999999999999999", 0, 0, 0},
        {"1e-99999999999999999999", 0, 0, 0},
        {"9223372036854775807", 1, INT64_MAX, 1}, {"9223372036854775808", 0, 0, 1},
        {"-9223372036854775808", 1, INT64_MIN, 1}, {"-9223372036854775809", 0, 0, 1},
        {"922337203685477580.7e1", 1, INT64_MAX, 0}, {"99999999999999999999", 0, 0, 1},
        {"0.000000000000000001e18", 1, 1, 0}, {"1000000000000000000000e-3", 1, 1000000000000000000, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        slm_json v = number(cases[i].spelt);
        int64_t got = 0;
        assert_int_equal(slm_json_int64(&v, &got), cases[i].fits);
        assert_true(got == cases[i].value);
        assert_int_equal(slm_json_is_integer(&v), cases[i].is_integer);
    }
    slm_json string = {.type = SLM_JSON_STRING, .text = {"1", 1}};
    int64_t i;
    double d;
    assert_false(slm_json_int64(&string, &i) || slm_json_double(&string, &d));
    assert_false(slm_json_is_integer(&string) || slm_json_is_integer(NULL));
    assert_false(slm_json_int64(NULL, &i) || slm_json_double(NULL, &d));
    /* Zeros beyond what is held of the digits still count as places, other digits as a rest. */
    char *longest = malloc(2100);
    assert_non_null(longest);
    sprintf(longest, "1%02000de-2000", 0);
    slm_json v = number(longest);
    assert_true(slm_json_int64(&v, &i) && i == 1);
    longest[2000] = '3';
    assert_false(slm_json_int64(&v, &i));
    free(longest);
}

static void doubles(void **state) {
    (void)state;
    static const char *const spelt[] = {
        "0", "-0", "0.1", "-1.5", "3.141592653589793238462643383279502884197", "1e308", "1e309",
        "-1e400", "4.9e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "1e-400",
        "2.2250738585072014e-308", "9007199254740993", "9007199254740992.9999999999999999999999999",
        "1e23", "8.5e22", "123456789012345678901234567890", "0.00000000000000000000000001234e20",
        "1e99999999999999999999", "1e-99999999999999999999", "0e99999999999999999999",
        "17976931348623158079372897140530341507993413271003782693617377898044496829276475094664901797"
        "75872070963302864166928879109465555478519404026306574886715058206819089020007083836762738548"
        "45817711531764475730270069855571366959622842914819860834936475292719074168444365510704342711"
        "559699508093042880",
    };
    for (size_t i = 0; i < COUNT(spelt); i++) {
        slm_json v = number(spelt[i]);
        double got, want = strtod(spelt[i], NULL);
        assert_true(slm_json_double(&v, &got));
        assert_memory_equal(&got, &want, sizeof got);
    }
    /* A tie of 770 digits: one more digit, far behind what is held, decides. */
    char tie[3000];
    size_t len = (size_t)snprintf(tie, sizeof tie, "%.1080f", 0x1p-1074);
    char *half = tie + len - 1;
    while (*half == '0')
        half--;
    strcpy(half + 1, "5"); /* somewhat more than the least subnormal: still it */
    slm_json v = number(tie);
    double got;
    assert_true(slm_json_double(&v, &got) && got == 0x1p-1074);
    strcpy(tie, "9007199254740993");
    memset(tie + 16, '0', 1500);
    tie[16] = '.';
    strcpy(tie + 1516, "1"); /* 2^53 + 1 and a little: rounds up, where exactly it is to even */
    v = number(tie);
    assert_true(slm_json_double(&v, &got) && got == 9007199254740994.0);
    tie[1516] = 0;
    v = number(tie);
    assert_true(slm_json_double(&v, &got) && got == 9007199254740992.0);
}

static void spelling(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *want; /* Python's repr */
    } cases[] = {
        {0, "0.0"}, {-0.0, "-0.0"}, {1, "1.0"}, {-1.5, "-1.5"}, {100000, "100000.0"}, {0.1, "0.1"},
        {1e-7, "1e-07"}, {1e22, "1e+22"}, {1e16, "1e+16"}, {1e15, "1000000000000000.0"},
        {9999999999999998.0, "9999999999999998.0"}, {0.0001, "0.0001"}, {0.00001, "1e-05"},
        {0.00012345, "0.00012345"}, {1.2345e-5, "1.2345e-05"}, {123456.789, "123456.789"},
        {5e-324, "5e-324"}, {1.7976931348623157e308, "1.7976931348623157e+308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"}, {1.0 / 3, "0.3333333333333333"},
        {0x1p-44, "5.684341886080802e-14"}, {9007199254740993.0, "9007199254740992.0"},
        {1.5e300, "1.5e+300"}, {-2.5e-10, "-2.5e-10"}, {1e100, "1e+100"}, {12345678901234567890.0,
        "1.2345678901234567e+19"}, {9.5e-5, "9.5e-05"}, {2e23, "2e+23"}, {4.35, "4.35"},
    };
    char got[SLM_JSON_DOUBLE_MAX];
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t n = slm_json_spell(cases[i].value, got);
        assert_int_equal(n, strlen(got));
        assert_string_equal(got, cases[i].want);
    }
    slm_rng rng;
    slm_rng_seed(&rng, 5);
    for (int i = 0; i < 2000; i++) {
        uint64_t bits = slm_rng_next(&rng);
        double v;
        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        slm_json_spell(v, got);
        assert_true(strtod(got, NULL) == v);
        parsed p = parse(got, strlen(got), 0);
        assert_int_equal(p.status, SLM_OK);
        slm_arena_free(&p.arena);
        char longer[40];
        snprintf(longer, sizeof longer, "%.16e", v);
        assert_true(strlen(got) <= strlen(longer));
    }
}

/* ---- writing ---- */

static void writing(void **state) {
    (void)state;
    static const char s[] = "{\"a\":[1,2.50,[],{}],\"b\":{\"c\":null},\"d\\u00e9\":\"\\u0001\\u007f\\"
                            "\"\\\\\\/\\ud83d\\ude00\\n\",\"e\":[true,false]}";
    static const struct {
        uint32_t flags, indent;
        const char *want;
    } cases[] = {
        {0, 0,
         "{\"a\":[1,2.50,[],{}],\"b\":{\"c\":null},\"d\xc3\xa9\":\"\\u0001\x7f\\\"\\\\/\xf0\x9f\x98\x80"
         "\\n\",\"e\":[true,false]}"},
        {SLM_JSON_SPACED, 0,
         "{\"a\": [1, 2.50, [], {}], \"b\": {\"c\": null}, \"d\xc3\xa9\": \"\\u0001\x7f\\\"\\\\/"
         "\xf0\x9f\x98\x80\\n\", \"e\": [true, false]}"},
        {SLM_JSON_ASCII, 0,
         "{\"a\":[1,2.50,[],{}],\"b\":{\"c\":null},\"d\\u00e9\":\"\\u0001\\u007f\\\"\\\\/\\ud83d\\ude00"
         "\\n\",\"e\":[true,false]}"},
        {SLM_JSON_SPACED, 2,
         "{\n  \"a\": [\n    1,\n    2.50,\n    [],\n    {}\n  ],\n  \"b\": {\n    \"c\": null\n  },\n"
         "  \"d\xc3\xa9\": \"\\u0001\x7f\\\"\\\\/\xf0\x9f\x98\x80\\n\",\n  \"e\": [\n    true,\n"
         "    false\n  ]\n}"},
    };
    parsed p = parse(s, sizeof s - 1, 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *got = write_tree(p.root, cases[i].flags, cases[i].indent);
        assert_string_equal(got, cases[i].want);
        free(got);
    }
    slm_arena_free(&p.arena);
    slm_buffer out = {.host = &host};
    slm_json_writer w = {.out = &out, .flags = SLM_JSON_SPACED};
    assert_int_equal(slm_json_put_open(&w, '[', NULL), SLM_OK);
    assert_int_equal(slm_json_put_raw(&w, "1", SLM_NTS, NULL), SLM_OK);
    assert_int_equal(slm_json_put_string(&w, "x", 1, NULL), SLM_OK);
    assert_int_equal(slm_json_put_open(&w, '{', NULL), SLM_OK);
    assert_int_equal(slm_json_put_close(&w, '}', NULL), SLM_OK);
    assert_int_equal(slm_json_put_close(&w, ']', NULL), SLM_OK);
    assert_int_equal(out.len, 12);
    assert_memory_equal(out.ptr, "[1, \"x\", {}]", 12);
    slm_buffer_free(&out);
}

static void memory(void **state) {
    (void)state;
    static const char s[] = "{\"a\": [1, \"\\n\", {\"b\": [[[[\"x\"]]]]}], \"c\": 2}";
    fail_alloc fa = FAIL_ALLOC_INIT;
    for (fa.fail_at = 1;; fa.fail_at++) {
        slm_allocator allocator = fail_alloc_start(&fa);
        slm_host limited;
        slm_host_init(&limited, &allocator, NULL, NULL, SLM_LOG_NONE);
        slm_arena arena = {.host = &limited};
        const slm_json *root;
        slm_status status = slm_json_parse(&arena, s, sizeof s - 1, 0, "text", &root, NULL);
        slm_arena_free(&arena);
        assert_int_equal(fa.outstanding, 0);
        if (fa.calls < fa.fail_at) {
            assert_int_equal(status, SLM_OK);
            break;
        }
        assert_int_equal(status, SLM_ERR_NOMEM);
    }
    assert_true(fa.fail_at > 2);
}

static void arena(void **state) {
    (void)state;
    slm_arena a = {.host = &host};
    for (size_t i = 0; i < 2000; i++) {
        char *p = slm_arena_alloc(&a, i * 7);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        memset(p, (int)i, i * 7);
    }
    assert_non_null(slm_arena_alloc(&a, 5000000));
    assert_null(slm_arena_alloc(&a, SIZE_MAX));
    assert_null(slm_arena_alloc(&a, SIZE_MAX - 40));
    slm_arena_free(&a);
    assert_int_equal(atomic_load(&host.bytes), 0);
    assert_int_equal(a.used, 0);
    assert_non_null(slm_arena_alloc(&a, 1));
    slm_arena_free(&a);
}

static int leaks(void **state) {
    (void)state;
    return atomic_load(&host.bytes) != 0;
}

int main(void) {
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conformance), cmocka_unit_test(prefixes), cmocka_unit_test(messages),
        cmocka_unit_test(depth),       cmocka_unit_test(tree),     cmocka_unit_test(duplicates),
        cmocka_unit_test(integers),    cmocka_unit_test(doubles),  cmocka_unit_test(spelling),
        cmocka_unit_test(writing),     cmocka_unit_test(memory),   cmocka_unit_test(arena),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, leaks);
}
