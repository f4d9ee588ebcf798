/* Clauses and sentences: golden answers in many languages, cut at every byte and at random; the
 * places that pieces name; bounds. */
#include "base/rng.h"
#include "base/utf8.h"
#include "support/fail_alloc.h"
#include "text/speak.h"
#include "unit/speak_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static slm_host host;

static slm_speaker *open_with(const slm_speech_options *options) {
    slm_speech_options o;
    slm_speaker *s;
    assert_int_equal(slm_speaker_options(options, &o, NULL), SLM_OK);
    assert_int_equal(slm_speaker_open(&host, &o, &s, NULL), SLM_OK);
    return s;
}

static slm_speaker *open_speaker(uint32_t flags, uint32_t min_clause, uint32_t max_piece) {
    slm_speech_options o = {
        .struct_size = sizeof o, .flags = flags, .min_clause = min_clause, .max_piece = max_piece};
    return open_with(&o);
}

typedef struct pieces {
    char *text; /* as in speak_cases.h; with places, "begin end " before each */
    size_t len, cap;
    uint64_t end;
    size_t max;
    int places;
} pieces;

static void take(pieces *out, const slm_speech_event *e, size_t fed) {
    assert_true(e->type == SLM_SPEECH_CLAUSE || e->type == SLM_SPEECH_SENTENCE);
    assert_true(e->text_len > 0 && e->text_len <= out->max);
    assert_true(e->begin >= out->end && e->end > e->begin && e->end <= fed);
    assert_true(e->text[0] != ' ' && e->text[e->text_len - 1] != ' ');
    assert_null(memchr(e->text, '\n', e->text_len));
    out->end = e->end;
    if (out->cap < out->len + e->text_len + 64) {
        out->cap = 2 * (out->len + e->text_len + 64);
        out->text = realloc(out->text, out->cap);
        assert_non_null(out->text);
    }
    if (out->places)
        out->len += (size_t)snprintf(out->text + out->len, 48, "%llu %llu ",
                                     (unsigned long long)e->begin, (unsigned long long)e->end);
    memcpy(out->text + out->len, e->type == SLM_SPEECH_CLAUSE ? "> " : "| ", 2);
    memcpy(out->text + out->len + 2, e->text, e->text_len);
    out->len += 2 + e->text_len;
    out->text[out->len++] = '\n';
    out->text[out->len] = '\0';
}

static void pull(slm_speaker *s, pieces *out, size_t fed, int end) {
    slm_speech_event e;
    for (;;) {
        slm_speaker_next(s, &e);
        if (e.type == (end ? SLM_SPEECH_END : SLM_SPEECH_NONE))
            return;
        take(out, &e, fed);
    }
}

/* What is said of p[0..n), cut where cuts say; to be freed. */
static char *speak(slm_speaker *s, size_t max, int places, const char *p, size_t n,
                   const size_t *cuts, size_t n_cuts) {
    pieces out = {.max = max, .places = places};
    size_t at = 0;
    for (size_t i = 0; i <= n_cuts; i++) {
        size_t to = i < n_cuts ? cuts[i] : n;
        char *part = malloc(to - at + 1); /* so that reading beyond it is seen */
        memcpy(part, p + at, to - at);
        assert_int_equal(slm_speaker_feed(s, part, to - at, NULL), SLM_OK);
        free(part);
        pull(s, &out, to, 0);
        at = to;
    }
    assert_int_equal(slm_speaker_finish(s, NULL), SLM_OK);
    pull(s, &out, n, 1);
    return out.text ? out.text : calloc(1, 1);
}

static void expect(const char *name, char *got, const char *want, const char *how, size_t at) {
    if (strcmp(got, want) != 0)
        fail_msg("%s, %s %zu:\n%swanted\n%s", name, how, at, got, want);
    free(got);
}

static void golden(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(SPEAK_CASES); i++) {
        const speak_case *c = &SPEAK_CASES[i];
        size_t n = strlen(c->text);
        slm_speaker *s = open_speaker(c->flags, c->min_clause, 0);
        expect(c->name, speak(s, SLM_SPEAK_MAX_PIECE, 0, c->text, n, NULL, 0), c->pieces, "whole",
               0);
        char *want = speak(s, SLM_SPEAK_MAX_PIECE, 1, c->text, n, NULL, 0);
        size_t *cuts = malloc((n + 1) * sizeof *cuts);
        for (size_t at = 0; at <= n; at++)
            expect(c->name, speak(s, SLM_SPEAK_MAX_PIECE, 1, c->text, n, &at, 1), want, "cut at",
                   at);
        for (size_t at = 0; at < n; at++)
            cuts[at] = at;
        expect(c->name, speak(s, SLM_SPEAK_MAX_PIECE, 1, c->text, n, cuts, n), want, "bytes", 0);
        free(cuts);
        free(want);
        slm_speaker_close(s);
    }
}

/* The first piece may be shorter than those behind it, in each answer anew; one without a word is none. */
static void first_piece(void **state) {
    (void)state;
    static const char text[] = "... Okay, so, milk, eggs, bread, and that is it. Well, yes, so it is.";
    static const char *const wanted[] = {
        "> Okay, so, milk, eggs,\n| bread, and that is it.\n| Well, yes, so it is.\n",
        "> Okay,\n> so, milk, eggs, bread,\n| and that is it.\n| Well, yes, so it is.\n",
        "> Okay, so,\n> milk, eggs, bread,\n| and that is it.\n| Well, yes, so it is.\n"};
    for (uint32_t i = 0; i < 3; i++) {
        slm_speech_options o = {.struct_size = sizeof o, .min_first = (uint32_t[]){0, 1, 6}[i]};
        slm_speaker *s = open_with(&o);
        for (size_t again = 0; again < 2; again++)
            expect("first piece", speak(s, SLM_SPEAK_MAX_PIECE, 0, text, strlen(text), NULL, 0),
                   wanted[i], "answer", again);
        slm_speaker_close(s);
    }
}

/* Each piece names the bytes that it was made from. */
static void places(void **state) {
    (void)state;
    static const char text[] =
        "<think>x</think>\n**Yes.** See [us](http://a) \xF0\x9F\x8E\x89, then "
        "come here, soon.";
    slm_speaker *s = open_speaker(0, 0, 0);
    expect("places", speak(s, SLM_SPEAK_MAX_PIECE, 1, text, strlen(text), NULL, 0),
           "19 23 | Yes.\n26 66 > See us, then come here,\n67 72 | soon.\n", "whole", 0);
    assert_memory_equal(text + 19, "Yes.", 4);
    assert_memory_equal(text + 67, "soon.", 5);
    slm_speaker_close(s);
}

/* A piece that grows too long ends behind a word, or where it must. */
static void long_pieces(void **state) {
    (void)state;
    static const char words[] =
        "aaaaaaaaa bbbbbbbbb ccccccccc ddddddddd eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
        "ffffffff g \xe4\xb8\x80\xe4\xb8\x80\xe4\xb8\x80\xe4\xb8\x80\xe4\xb8\x80"
        "\xe4\xb8\x80\xe4\xb8\x80\xe4\xb8\x80\xe4\xb8\x80\xe4\xb8\x80.";
    slm_speaker *s = open_speaker(SLM_SPEECH_SENTENCES, 0, 32);
    expect("long", speak(s, 32, 1, words, strlen(words), NULL, 0),
           "0 19 > aaaaaaaaa bbbbbbbbb\n20 39 > ccccccccc ddddddddd\n"
           "40 65 > eeeeeeeeeeeeeeeeeeeeeeeee\n65 83 > eeeeeeeeffffffff g\n"
           "84 111 > \xe4\xb8\x80\xe4\xb8\x80\xe4\xb8\x80\xe4\xb8\x80\xe4\xb8\x80\xe4\xb8\x80"
           "\xe4\xb8\x80\xe4\xb8\x80\xe4\xb8\x80\n111 115 | \xe4\xb8\x80.\n",
           "whole", 0);
    slm_speaker_close(s);
}

static const char *const PARTS[] = {"<think>",
                                    "</think>",
                                    "<",
                                    "```",
                                    "``",
                                    "`",
                                    "~~~",
                                    "\n",
                                    "\n\n",
                                    " ",
                                    "  ",
                                    "\t",
                                    "# ",
                                    "#",
                                    "- ",
                                    "-",
                                    "---",
                                    "===",
                                    "* ",
                                    "*",
                                    "**",
                                    "_",
                                    "__",
                                    "1. ",
                                    "12",
                                    ")",
                                    "(",
                                    "[",
                                    "]",
                                    "](",
                                    "[1]",
                                    "[^a]",
                                    "!",
                                    "![",
                                    "\\",
                                    "|",
                                    "|-|",
                                    "|\n",
                                    "> ",
                                    "https://",
                                    "http",
                                    "www.",
                                    "x.y/z",
                                    ".",
                                    "...",
                                    "?",
                                    ",",
                                    ";",
                                    ":",
                                    "a",
                                    "Bc",
                                    "word",
                                    "Dr",
                                    "z.B",
                                    "3",
                                    "\xe3\x80\x82",
                                    "\xe3\x80\x81",
                                    "\xe4\xb8\x80",
                                    "\xe2\x80\xa6",
                                    "\xe2\x80\x94",
                                    "\xc2\xab",
                                    "\xc2\xbb",
                                    "\"",
                                    "\xf0\x9f\x8e\x89",
                                    "\xe2\x80\x8d",
                                    "\xff",
                                    "\xe4\xb8",
                                    "\xef\xb8\x8f",
                                    "[x] ",
                                    "- [ ] ",
                                    "\r\n",
                                    "\xd0\x98",
                                    "\xce\xb1",
                                    "\xe0\xa5\xa4"};

/* Whatever is put together, the cuts change nothing, and pieces are whole characters. */
static void random_texts(void **state) {
    (void)state;
    slm_rng rng;
    slm_rng_seed(&rng, 5);
    for (int round = 0; round < 20000; round++) {
        char text[1024];
        size_t n = 0, cuts[1024], n_cuts = 0;
        for (uint64_t k = slm_rng_next(&rng) % 40; k > 0; k--) {
            const char *part = PARTS[slm_rng_next(&rng) % COUNT(PARTS)];
            memcpy(text + n, part, strlen(part));
            n += strlen(part);
            for (uint64_t i = round % 50 ? 0 : slm_rng_next(&rng) % 40; i > 0 && n < 900; i--)
                text[n++] = "`*_~ .#-"[k % 8];
        }
        for (size_t i = 0; i < n; i++)
            if (slm_rng_next(&rng) % 3 == 0)
                cuts[n_cuts++] = i;
        uint32_t max = round & 1 ? 32 : 400;
        slm_speaker *s = open_speaker((uint32_t)round % 16, round & 2 ? 1 : 0, max);
        char *whole = speak(s, max, 1, text, n, NULL, 0);
        for (size_t i = 0, len; whole[i]; i += len) {
            uint32_t cp;
            len = slm_utf8_next((const uint8_t *)whole + i, strlen(whole + i), &cp);
            assert_true(len > 0);
        }
        char *cut = speak(s, max, 1, text, n, cuts, n_cuts);
        if (strcmp(whole, cut) != 0)
            fail_msg("round %d, cut differently: %.*s", round, (int)n, text);
        free(whole);
        free(cut);
        slm_speaker_close(s);
    }
}

/* A megabyte of what has to be looked at again and again, byte by byte. */
static void bounded_time(void **state) {
    (void)state;
    for (size_t u = 0; u < COUNT(PARTS); u++) {
        slm_speaker *s = open_speaker(0, 0, 0);
        const char *part = PARTS[u];
        size_t n = strlen(part), len = 0;
        slm_speech_event e;
        clock_t before = clock();
        for (size_t i = 0; i < 1 << 18; i++) {
            assert_int_equal(slm_speaker_feed(s, part + i % n, 1, NULL), SLM_OK);
            do {
                slm_speaker_next(s, &e);
                len += e.text_len;
            } while (e.type != SLM_SPEECH_NONE);
        }
        double seconds = (double)(clock() - before) / CLOCKS_PER_SEC;
        if (seconds > 10)
            fail_msg("%.1f s for %s", seconds, part);
        assert_true(len <= 2u << 18);
        assert_true(host.bytes < 1 << 16);
        slm_speaker_close(s);
    }
}

static void answers(void **state) {
    (void)state;
    slm_speaker *s = open_speaker(0, 0, 0);
    slm_speech_event e;
    slm_error error = SLM_ERROR_INIT;
    assert_int_equal(slm_speaker_feed(s, "Hello.", 6, NULL), SLM_OK);
    slm_speaker_next(s, &e);
    assert_int_equal(e.type, SLM_SPEECH_NONE);
    assert_int_equal(slm_speaker_feed(s, "\n", 1, NULL), SLM_OK); /* the line's end is enough */
    slm_speaker_next(s, &e);
    assert_int_equal(e.type, SLM_SPEECH_SENTENCE);
    assert_int_equal(slm_speaker_feed(s, "So", 2, NULL), SLM_OK);
    assert_int_equal(slm_speaker_finish(s, NULL), SLM_OK);
    assert_int_equal(slm_speaker_feed(s, "x", 1, &error), SLM_ERR_BUSY);
    slm_speaker_next(s, &e);
    assert_int_equal(e.type, SLM_SPEECH_SENTENCE);
    assert_memory_equal(e.text, "So", 2);
    for (int i = 0; i < 2; i++) {
        slm_speaker_next(s, &e);
        assert_int_equal(e.type, SLM_SPEECH_END);
        assert_int_equal(e.text_len, 0);
    }
    expect("again", speak(s, SLM_SPEAK_MAX_PIECE, 1, "Ok", 2, NULL, 0), "0 2 | Ok\n", "whole", 0);
    slm_speaker_close(s);
    slm_speaker_close(NULL);
}

static void no_memory(void **state) {
    (void)state;
    fail_alloc fa = FAIL_ALLOC_INIT;
    for (fa.fail_at = 1;; fa.fail_at++) {
        slm_allocator a = fail_alloc_start(&fa);
        slm_host h;
        slm_host_init(&h, &a, NULL, NULL, SLM_LOG_NONE);
        slm_speech_options o = {sizeof o, 0, 1, 32, 1};
        slm_speaker *s = NULL;
        slm_status status = slm_speaker_open(&h, &o, &s, NULL);
        if (status == SLM_OK)
            status = slm_speaker_feed(s, "Some words.", 11, NULL);
        int reached = fa.calls >= fa.fail_at;
        assert_int_equal(status, reached ? SLM_ERR_NOMEM : SLM_OK);
        slm_speaker_close(s);
        assert_int_equal(fa.outstanding, 0);
        if (!reached)
            break;
    }
    assert_true(fa.fail_at > 2);
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
        cmocka_unit_test(golden),       cmocka_unit_test(first_piece),
        cmocka_unit_test(places),       cmocka_unit_test(long_pieces),
        cmocka_unit_test(random_texts), cmocka_unit_test(bounded_time),
        cmocka_unit_test(answers),      cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests_name("speak", tests, begin, end);
}
