/* NFC against utf8proc's own, classes of code points, and cutting text into pieces. */
#include "base/rng.h"
#include "text/pretok.h"
#include "text/unicode.h"
#include "text/vocab_impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static slm_host host;

static int start(void **state) {
    (void)state;
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    return 0;
}

static void check_nfc(const char *text, size_t n, const char *want, size_t n_want) {
    slm_buffer b = {.host = &host};
    slm_error error = SLM_ERROR_INIT;
    assert_int_equal(slm_nfc_append(&b, text, n, &error), SLM_OK);
    if (b.len != n_want || (n_want && memcmp(b.ptr, want, n_want) != 0))
        fail_msg("%.*s becomes %.*s", (int)n, text, (int)b.len, b.ptr);
    if (slm_nfc_quick(text, n)) {
        assert_int_equal(n_want, n);
        assert_memory_equal(text, want, n);
    }
    slm_buffer_free(&b);
}

static void nfc_examples(void **state) {
    (void)state;
    static const struct {
        const char *text, *nfc;
    } cases[] = {
        {"", ""},
        {"cafe\xCC\x81", "caf\xC3\xA9"},
        {"\xE2\x84\xA6\xE2\x84\xAA\xE2\x80\x80", "\xCE\xA9K\xE2\x80\x82"}, /* singletons */
        {"\xE0\xA5\x98", "\xE0\xA4\x95\xE0\xA4\xBC"},           /* U+0958 stays apart          */
        {"\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB", "\xED\x95\x9C"}, /* jamo                        */
        {"\xEA\xB0\x80\xE1\x86\xA8", "\xEA\xB0\x81"},           /* syllable and last consonant */
        {"e\xCC\xA3\xCC\x81", "\xE1\xBA\xB9\xCC\x81"},
        {"e\xCC\x81\xCC\xA3", "\xE1\xBA\xB9\xCC\x81"},
        {"\xFF\xCC\x81" "e\xCC\x81", "\xFF\xCC\x81\xC3\xA9"}, /* a byte keeps them apart */
        {"e\xCC", "e\xCC"},
        {"e\xFF\xCC\x81", "e\xFF\xCC\x81"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check_nfc(cases[i].text, strlen(cases[i].text), cases[i].nfc, strlen(cases[i].nfc));
    assert_int_equal(host.bytes, 0);
}

static uint32_t random_cp(slm_rng *rng) {
    static const uint32_t ranges[][2] = {
        {0x20, 0x7E},     {0xC0, 0x24F},    {0x300, 0x36F},   {0x370, 0x3FF},   {0x590, 0x5C7},
        {0x610, 0x65F},   {0x900, 0x9FF},   {0xB00, 0xBFF},   {0xC80, 0xD7F},   {0xDC0, 0xDFF},
        {0xE30, 0xE50},   {0xF40, 0xFBF},   {0x1000, 0x1040}, {0x1100, 0x11FF}, {0x1B00, 0x1B44},
        {0x1DC0, 0x1EFF}, {0x1F00, 0x1FFF}, {0x2000, 0x2010}, {0x20D0, 0x20F0}, {0x2120, 0x2130},
        {0x2ADC, 0x2ADC}, {0x3040, 0x30FF}, {0xAC00, 0xD7A3}, {0xF900, 0xFAFF}, {0xFB1D, 0xFB4F},
        {0x11080, 0x110BA}, {0x1D150, 0x1D1BF}, {0x2F800, 0x2FA1D}, {0x1F300, 0x1F320},
    };
    size_t r = slm_rng_next(rng) % (COUNT(ranges) * 3);
    if (r >= COUNT(ranges)) /* mostly marks and Latin letters */
        r = slm_rng_next(rng) % 4;
    return ranges[r][0] + (uint32_t)(slm_rng_next(rng) % (ranges[r][1] - ranges[r][0] + 1));
}

static void nfc_as_utf8proc(void **state) {
    (void)state;
    slm_rng rng;
    slm_rng_seed(&rng, 21);
    for (int round = 0; round < 60000; round++) {
        char text[512];
        size_t n = 0, count = slm_rng_next(&rng) % (round % 100 == 0 ? 100 : 12);
        for (size_t i = 0; i < count; i++)
            n += slm_utf8_encode(random_cp(&rng), text + n);
        utf8proc_uint8_t *want = NULL;
        utf8proc_ssize_t len =
            utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, &want,
                         UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        assert_true(len >= 0);
        check_nfc(text, n, (const char *)want, (size_t)len);
        free(want);
    }
}

/* Every code point alone and between a letter and a mark. */
static void nfc_every_code_point(void **state) {
    (void)state;
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
        if (cp >= 0xD800 && cp <= 0xDFFF)
            continue;
        char text[16] = "e";
        size_t n = 1 + slm_utf8_encode(cp, text + 1);
        n += slm_utf8_encode(0x301, text + n);
        utf8proc_uint8_t *want = NULL;
        utf8proc_ssize_t len =
            utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, &want,
                         UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        assert_true(len >= 0);
        check_nfc(text, n, (const char *)want, (size_t)len);
        free(want);
    }
}

static void classes(void **state) {
    (void)state;
    size_t spaces = 0, newlines = 0, blanks = 0, letters = 0;
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
        uint32_t c = slm_cp_class(cp);
        spaces += (c & SLM_CLASS_SPACE) != 0;
        newlines += (c & SLM_CLASS_NEWLINE) != 0;
        blanks += (size_t)slm_cp_is_blank(cp);
        letters += (c & SLM_CLASS_LETTER) != 0;
        /* Letters, numbers, marks and spaces exclude each other. */
        int kinds = ((c & SLM_CLASS_LETTER) != 0) + ((c & SLM_CLASS_NUMBER) != 0) +
                    ((c & SLM_CLASS_MARK) != 0) + ((c & SLM_CLASS_SPACE) != 0);
        assert_true(kinds <= 1);
        if (c & (SLM_CLASS_UPPER | SLM_CLASS_LOWER))
            assert_true(c & SLM_CLASS_LETTER);
    }
    assert_int_equal(spaces, 25);
    assert_int_equal(newlines, 2);
    assert_int_equal(blanks, 29);
    assert_true(letters >= 131604); /* Unicode 14 */
    static const struct {
        uint32_t cp, cls;
    } cases[] = {
        {'A', SLM_CLASS_LETTER | SLM_CLASS_UPPER},
        {0x1C5, SLM_CLASS_LETTER | SLM_CLASS_UPPER},  /* titlecase   */
        {0xDF, SLM_CLASS_LETTER | SLM_CLASS_LOWER},
        {0x2B0, SLM_CLASS_LETTER},                    /* modifier    */
        {0x5D0, SLM_CLASS_LETTER},
        {0x301, SLM_CLASS_MARK},                      /* Mn          */
        {0x903, SLM_CLASS_MARK},                      /* Mc          */
        {0x20DD, SLM_CLASS_MARK},                     /* Me          */
        {0x660, SLM_CLASS_NUMBER},                    /* Nd          */
        {0x2160, SLM_CLASS_NUMBER},                   /* Nl          */
        {0xB2, SLM_CLASS_NUMBER},                     /* No          */
        {0x85, SLM_CLASS_SPACE},
        {0x3000, SLM_CLASS_SPACE},
        {0x1C, 0},
        {0x200B, 0},
        {0xFFFD, 0},
        {SLM_CP_NONE, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(slm_cp_class(cases[i].cp), cases[i].cls);
}

static void printable_bytes(void **state) {
    (void)state;
    int seen[0x144] = {0};
    for (unsigned b = 0; b < 256; b++) {
        uint32_t cp = slm_byte_to_cp((uint8_t)b);
        assert_true(cp < COUNT(seen));
        assert_int_equal(seen[cp]++, 0);
        assert_int_equal(slm_cp_to_byte(cp), (int)b);
    }
    assert_int_equal(slm_byte_to_cp(' '), 0x120);
    assert_int_equal(slm_byte_to_cp('\n'), 0x10A);
    assert_int_equal(slm_byte_to_cp(0xAD), 0x143);
    for (uint32_t cp = 0; cp < 0x200; cp++)
        if (cp >= COUNT(seen) || !seen[cp])
            assert_int_equal(slm_cp_to_byte(cp), -1);
    assert_int_equal(slm_cp_to_byte(SLM_CP_NONE), -1);
}

/* As the regular expressions cut. */
static void pieces(void **state) {
    (void)state;
    static const struct {
        slm_pretok kind;
        const char *want; /* with "|" between pieces, which is in none of the texts */
    } cases[] = {
        {SLM_PRETOK_LLAMA3, "Hello| world|!| | x|\n\n|123|456|78"},
        {SLM_PRETOK_LLAMA3, "a|'S|'ll|'LL|'x| I|'m|'\xC5\xBF|x|'re"},
        {SLM_PRETOK_LLAMA3, "a|.\n\r|b| \n \n| | c|  "},
        {SLM_PRETOK_LLAMA3, "stra\xC3\x9F" "e\xC3\x9C" "ber|\xE2\x80\xA8|\xE2\x80\xA8x| "
                            "|\xE2\x91\xA0|'s"},
        {SLM_PRETOK_LLAMA3, "a|\xFF\xFF\xFE\xFF|x"},
        {SLM_PRETOK_QWEN2, "1|2| |3|.a|$|1"},
        {SLM_PRETOK_GPT4O, "stra\xC3\x9F" "e|\xC3\x9C" "ber| it's| HTTPServer|'x"},
        {SLM_PRETOK_GPT4O, "XMLHttp|ABC|.com|//\n/|x"},
        {SLM_PRETOK_GPT4O, "e\xCC\x81|A\xCC\x81| \xCC\x81\xCC\x81" "b| \xCC\x81"},
        {SLM_PRETOK_GPT4O, "\xD7\x90|ABC| \n| | A\xD7\x90" "Bc| \xC7\x85" "a| \xCA\xB0|B"},
        {SLM_PRETOK_GPT4O, "A'S|b|123|4|'ll"},
        {SLM_PRETOK_GPT2, "it|'s|'|S| | 12|a| \xC3\xA9|..|\n\n| x| "},
        {SLM_PRETOK_GPT2, "\t|\t|a"},
        {SLM_PRETOK_NONE, "one piece"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[128], got[256];
        size_t n = 0, len = 0;
        for (const char *p = cases[i].want; *p; p++)
            if (*p != '|')
                text[n++] = *p;
        for (size_t pos = 0; pos < n;) {
            size_t end = slm_pretok_next(cases[i].kind, text, n, pos);
            assert_true(end > pos && end <= n);
            if (pos > 0)
                got[len++] = '|';
            memcpy(got + len, text + pos, end - pos);
            len += end - pos;
            pos = end;
        }
        got[len] = 0;
        assert_string_equal(got, cases[i].want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nfc_examples), cmocka_unit_test(nfc_as_utf8proc),
        cmocka_unit_test(nfc_every_code_point), cmocka_unit_test(classes),
        cmocka_unit_test(printable_bytes), cmocka_unit_test(pieces),
    };
    return cmocka_run_group_tests_name("unicode", tests, start, NULL);
}
