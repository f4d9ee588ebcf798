/* The stream of whole characters and the finder of stop texts, each against a plain definition. */
#include "base/rng.h"
#include "text/detok.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- whole characters ---- */

static size_t feed_all(const char *in, size_t n, size_t chunk, char *out) {
    slm_utf8_stream s = {{0}, 0};
    size_t len = 0;
    for (size_t i = 0; i < n; i += chunk)
        len += slm_utf8_feed(&s, in + i, n - i < chunk ? n - i : chunk, out + len);
    return len + slm_utf8_finish(&s, out + len);
}

static void ill_formed(void **state) {
    (void)state;
    /* The first rows are the examples of the Unicode Standard, section 3.9, tables 3-8 to 3-11. */
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", "????????A"},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", "????????A"},
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", "?????A??B"},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", "????A"},
        {"ab\xE4\xB8", "ab?"},
        {"\xF0\x9F\x98\x80\xC3\xA9", "\xF0\x9F\x98\x80\xC3\xA9"},
        {"\xF0\x9F\x98", "?"},
        {"\xE4\xE4\xB8\x80", "?\xE4\xB8\x80"},
        {"\xC1\xBF\xF5\xF8\xFC\xFE", "??????"},
        {"", ""},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        char want[128];
        size_t n_want = 0, n = strlen(cases[c].in);
        for (const char *p = cases[c].out; *p; p++) {
            if (*p == '?') {
                memcpy(want + n_want, "\xEF\xBF\xBD", 3);
                n_want += 3;
            } else {
                want[n_want++] = *p;
            }
        }
        for (size_t chunk = 1; chunk <= n + 1; chunk++) {
            char out[128];
            size_t len = feed_all(cases[c].in, n, chunk, out);
            assert_int_equal(len, n_want);
            assert_memory_equal(out, want, len);
        }
    }
}

static void held_back(void **state) {
    (void)state;
    slm_utf8_stream s = {{0}, 0};
    char out[64];
    assert_int_equal(slm_utf8_feed(&s, "a\xF0\x9F", 3, out), 1);
    assert_int_equal(s.n_held, 2);
    assert_int_equal(slm_utf8_feed(&s, "\x98", 1, out), 0);
    assert_int_equal(slm_utf8_feed(&s, "\x80z", 2, out), 5);
    assert_memory_equal(out, "\xF0\x9F\x98\x80z", 5);
    assert_int_equal(slm_utf8_finish(&s, out), 0);
}

/* Whatever the bytes and wherever they are cut: valid output, and valid text unchanged. */
static void any_bytes(void **state) {
    (void)state;
    slm_rng rng;
    slm_rng_seed(&rng, 5);
    static const uint8_t odd[] = {0x80, 0xBF, 0xC2, 0xDF, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0x41};
    for (int round = 0; round < 20000; round++) {
        char in[24], whole[3 * 24 + 12], cut[3 * 24 + 12];
        size_t n = slm_rng_next(&rng) % sizeof in;
        for (size_t i = 0; i < n; i++)
            in[i] = (char)(slm_rng_next(&rng) % 4 ? odd[slm_rng_next(&rng) % COUNT(odd)]
                                                   : slm_rng_next(&rng) & 0xFF);
        size_t len = feed_all(in, n, n + 1, whole);
        assert_int_equal(slm_utf8_valid_prefix(whole, len), len);
        assert_int_equal(feed_all(in, n, 1 + slm_rng_next(&rng) % 4, cut), len);
        assert_memory_equal(cut, whole, len);
        if (slm_utf8_valid_prefix(in, n) == n) {
            assert_int_equal(len, n);
            assert_memory_equal(whole, in, n);
        }
    }
}

static void valid_prefix(void **state) {
    (void)state;
    assert_int_equal(slm_utf8_valid_prefix("", 0), 0);
    assert_int_equal(slm_utf8_valid_prefix("a\0b", 3), 3);
    assert_int_equal(slm_utf8_valid_prefix("\xC3\xA9\xE4\xB8", 4), 2);
    assert_int_equal(slm_utf8_valid_prefix("x\x80", 2), 1);
    assert_int_equal(slm_utf8_valid_prefix("\xED\xA0\x80", 3), 0);     /* surrogate */
    assert_int_equal(slm_utf8_valid_prefix("\xF4\x90\x80\x80", 4), 0); /* past U+10FFFF */
    assert_int_equal(slm_utf8_valid_prefix("\xE0\x9F\xBF", 3), 0);     /* overlong */
}

/* ---- stop texts ---- */

typedef struct stop_case {
    slm_host host;
    slm_stopper *s;
    char shown[512];
    size_t n_shown;
    int stopped;
} stop_case;

static void open_stops(stop_case *c, const char *const *stops, size_t n, size_t max_feed) {
    slm_span spans[8];
    slm_error error = SLM_ERROR_INIT;
    memset(c, 0, sizeof *c);
    slm_host_init(&c->host, NULL, NULL, NULL, SLM_LOG_NONE);
    for (size_t i = 0; i < n; i++)
        spans[i] = (slm_span){stops[i], SLM_NTS, 0};
    assert_int_equal(slm_stopper_open(&c->host, spans, n, max_feed, &c->s, &error), SLM_OK);
}

static void take(stop_case *c, const char *text, size_t len) {
    assert_true(c->n_shown + len <= sizeof c->shown);
    memcpy(c->shown + c->n_shown, text, len);
    c->n_shown += len;
}

static void feed(stop_case *c, const char *bytes, size_t n) {
    const char *text;
    size_t len;
    c->stopped = slm_stopper_feed(c->s, bytes, n, &text, &len);
    take(c, text, len);
}

static void finish(stop_case *c) {
    const char *text;
    size_t len;
    slm_stopper_finish(c->s, &text, &len);
    take(c, text, len);
    slm_stopper_close(c->s);
    assert_int_equal(c->host.bytes, 0);
}

static void stop_texts(void **state) {
    (void)state;
    static const struct {
        const char *stops[4];
        const char *in, *shown;
        int stopped;
    } cases[] = {
        {{"END"}, "one END two", "one ", 1},
        {{"END"}, "one EN", "one EN", 0},
        {{"END"}, "EENEND", "EEN", 1},
        {{"\n\n"}, "a\nb\n\nc", "a\nb", 1},
        {{"aab"}, "aaaab", "aa", 1},
        {{"abab"}, "abaabab", "aba", 1},
        {{"bcd", "abcde"}, "xabcde", "xa", 1},      /* the first to be complete */
        {{"cd", "abcd"}, "xabcd", "x", 1},          /* of those complete at once the longest */
        {{"abcx", "bcy", "c!"}, "abc!", "ab", 1},   /* by way of two shorter suffixes */
        {{"abcx", "bcy", "c!"}, "abcy", "a", 1},
        {{"abcx", "bcy", "c!"}, "abc", "abc", 0},
        {{"she", "he", "hers"}, "ushers", "u", 1},
        {{"\xE4\xB8\x80"}, "x\xE4\xB8\x81\xE4\xB8\x80y", "x\xE4\xB8\x81", 1},
        {{"a", "a"}, "bab", "b", 1},
        {{NULL}, "anything", "anything", 0},
    };
    for (size_t k = 0; k < COUNT(cases); k++) {
        size_t n_stops = 0, n = strlen(cases[k].in);
        while (n_stops < 4 && cases[k].stops[n_stops])
            n_stops++;
        for (size_t chunk = 1; chunk <= n; chunk++) {
            stop_case c;
            open_stops(&c, cases[k].stops, n_stops, 16);
            for (size_t i = 0; i < n && !c.stopped; i += chunk)
                feed(&c, cases[k].in + i, n - i < chunk ? n - i : chunk);
            int stopped = c.stopped;
            if (stopped) { /* nothing more comes out */
                feed(&c, "END", 3);
                assert_int_equal(c.stopped, 1);
            }
            finish(&c);
            assert_int_equal(stopped, cases[k].stopped);
            assert_int_equal(c.n_shown, strlen(cases[k].shown));
            assert_memory_equal(c.shown, cases[k].shown, c.n_shown);
        }
    }
}

/* No more is held back than the longest end of the text that some stop text starts with, and the
 * first stop text to be complete ends it. */
static void stop_random(void **state) {
    (void)state;
    slm_rng rng;
    slm_rng_seed(&rng, 11);
    for (int round = 0; round < 5000; round++) {
        char stops[4][8], in[64];
        const char *ptrs[4];
        size_t n_stops = 1 + slm_rng_next(&rng) % 4, n = slm_rng_next(&rng) % sizeof in;
        for (size_t i = 0; i < n_stops; i++) {
            size_t len = 1 + slm_rng_next(&rng) % 6;
            for (size_t j = 0; j < len; j++)
                stops[i][j] = (char)('a' + slm_rng_next(&rng) % 2);
            stops[i][len] = 0;
            ptrs[i] = stops[i];
        }
        for (size_t j = 0; j < n; j++)
            in[j] = (char)('a' + (slm_rng_next(&rng) % 8 == 0 ? 2 : slm_rng_next(&rng) % 2));
        size_t end = n, want = n;
        int want_stop = 0;
        for (size_t j = 1; j <= n && !want_stop; j++) {
            for (size_t i = 0; i < n_stops; i++) {
                size_t len = strlen(stops[i]);
                if (len <= j && memcmp(in + j - len, stops[i], len) == 0) {
                    if (!want_stop || j - len < want)
                        want = j - len;
                    want_stop = 1;
                    end = j;
                }
            }
        }
        stop_case c;
        open_stops(&c, ptrs, n_stops, 64);
        for (size_t j = 0; j < end;) {
            size_t chunk = 1 + slm_rng_next(&rng) % 5;
            if (chunk > end - j)
                chunk = end - j;
            feed(&c, in + j, chunk);
            j += chunk;
            if (j == end && want_stop)
                break;
            assert_int_equal(c.stopped, 0);
            size_t held = 0;
            for (size_t i = 0; i < n_stops; i++)
                for (size_t len = 1; len < strlen(stops[i]) && len <= j; len++)
                    if (memcmp(in + j - len, stops[i], len) == 0 && len > held)
                        held = len;
            assert_int_equal(slm_stopper_held(c.s), held);
            assert_int_equal(c.n_shown, j - held);
        }
        assert_int_equal(c.stopped, want_stop);
        finish(&c);
        assert_int_equal(c.n_shown, want);
        assert_memory_equal(c.shown, in, want);
    }
}

static void stop_refused(void **state) {
    (void)state;
    slm_host host;
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    slm_error error = SLM_ERROR_INIT;
    slm_stopper *s;
    slm_span empty[2] = {{"x", 1, 0}, {"", 0, 0}};
    assert_int_equal(slm_stopper_open(&host, empty, 2, 8, &s, &error), SLM_ERR_ARG);
    assert_string_equal(error.message, "stop text 1 is empty");
    assert_null(s);
    slm_span null = {NULL, 3, 0};
    assert_int_equal(slm_stopper_open(&host, &null, 1, 8, &s, &error), SLM_ERR_ARG);

    char *big = malloc(65537);
    assert_non_null(big);
    memset(big, 'x', 65537);
    slm_span large = {big, 65536, 0};
    assert_int_equal(slm_stopper_open(&host, &large, 1, 8, &s, &error), SLM_OK);
    slm_stopper_close(s);
    large.len = 65537;
    assert_int_equal(slm_stopper_open(&host, &large, 1, 8, &s, &error), SLM_ERR_LIMIT);
    free(big);

    slm_span *many = malloc(4097 * sizeof *many);
    assert_non_null(many);
    for (size_t i = 0; i < 4097; i++)
        many[i] = (slm_span){"ab", 2, 0};
    assert_int_equal(slm_stopper_open(&host, many, 4096, 8, &s, &error), SLM_OK);
    slm_stopper_close(s);
    assert_int_equal(slm_stopper_open(&host, many, 4097, 8, &s, &error), SLM_ERR_LIMIT);
    free(many);
    slm_stopper_close(NULL);
    assert_int_equal(host.bytes, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ill_formed),  cmocka_unit_test(held_back),   cmocka_unit_test(any_bytes),
        cmocka_unit_test(valid_prefix), cmocka_unit_test(stop_texts), cmocka_unit_test(stop_random),
        cmocka_unit_test(stop_refused),
    };
    return cmocka_run_group_tests_name("detok", tests, NULL, NULL);
}
