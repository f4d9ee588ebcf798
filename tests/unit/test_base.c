/* libslm/base: errors, option structs, memory, files. */
#include "base/file.h"
#include "base/checked.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "support/fail_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- errors ---- */

static void test_status_names(void **state) {
    (void)state;
    assert_string_equal(slm_status_name(SLM_OK), "OK");
    assert_string_equal(slm_status_name(SLM_ERR_TRUNC), "TRUNC");
    assert_string_equal(slm_status_name(SLM_ERR_GRAMMAR), "GRAMMAR");
    assert_string_equal(slm_status_name(9), "UNKNOWN");
    assert_string_equal(slm_status_name(-1), "UNKNOWN");
    int named = 0;
    for (slm_status s = 0; s < 100; s++)
        named += strcmp(slm_status_name(s), "UNKNOWN") != 0;
    assert_int_equal(named, 22);
}

static void expect_escaped(const char *src, size_t len, size_t cap, const char *want) {
    char dst[64];
    memset(dst, '#', sizeof dst);
    assert_true(cap < sizeof dst);
    slm_escape(dst, cap, src, len);
    assert_string_equal(dst, want);
    for (size_t i = cap; i < sizeof dst; i++)
        assert_int_equal(dst[i], '#');
}

static void test_escape(void **state) {
    (void)state;
    expect_escaped("plain", 5, 40, "plain");
    expect_escaped("", 0, 1, "");
    expect_escaped("a\0b\n", 4, 40, "a\\x00b\\x0a");
    expect_escaped("\xc3\xa9", 2, 40, "\xc3\xa9");
    expect_escaped("\xc3", 1, 40, "\\xc3");
    expect_escaped("\xc0\x80", 2, 40, "\\xc0\\x80");          /* overlong  */
    expect_escaped("\xed\xa0\x80", 3, 40, "\\xed\\xa0\\x80"); /* surrogate */
    expect_escaped("\xc2\x9b", 2, 40, "\\xc2\\x9b");          /* a control */
    expect_escaped("\xe2\x80\xae", 3, 40, "\\xe2\\x80\\xae"); /* turns the line around */
    expect_escaped("\x7f", 1, 40, "\\x7f");
    /* cut to the room there is, between characters */
    expect_escaped("abcdef", 6, 7, "abcdef");
    expect_escaped("abcdefg", 7, 7, "abc...");
    expect_escaped("ab\xc3\xa9"
                   "cdef",
                   8, 7, "ab...");
    expect_escaped("\n\n\n", 3, 8, "\\x0a...");
    expect_escaped("\n\n", 2, 4, "...");
    expect_escaped("abcd", 4, 3, "ab");
    expect_escaped("abcd", 4, 1, "");
}

static void test_fail_fills_the_error(void **state) {
    (void)state;
    slm_error e = SLM_ERROR_INIT;
    assert_int_equal(slm_fail(&e, SLM_ERR_RANGE, "a\nkey", 17, "got %d, wanted %s", 3, "4\t"),
                     SLM_ERR_RANGE);
    assert_int_equal(e.status, SLM_ERR_RANGE);
    assert_true(e.offset == 17);
    assert_string_equal(e.subject, "a\\x0akey");
    assert_string_equal(e.message, "got 3, wanted 4\\x09");
    /* its own texts as arguments */
    slm_fail(&e, SLM_ERR_IO, e.subject, SLM_NO_OFFSET, "again: %s", e.message);
    assert_string_equal(e.subject, "a\\x0akey");
    assert_string_equal(e.message, "again: got 3, wanted 4\\x09");
    assert_int_equal(slm_fail(NULL, SLM_ERR_IO, NULL, 0, "nobody listens"), SLM_ERR_IO);
}

static void test_fail_cuts_long_texts(void **state) {
    (void)state;
    char longest[2000];
    slm_error e = SLM_ERROR_INIT;
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    slm_fail(&e, SLM_ERR_ARG, longest, 0, "%s", longest);
    assert_int_equal(strlen(e.message), sizeof e.message - 1);
    assert_string_equal(e.message + sizeof e.message - 5, "x...");
    assert_int_equal(strlen(e.subject), sizeof e.subject - 1);
}

/* A caller with an older, shorter struct: nothing is written behind it. */
static void test_fail_respects_struct_size(void **state) {
    (void)state;
    for (uint32_t size = 0; size <= sizeof(slm_error); size++) {
        slm_error e;
        memset(&e, 0x77, sizeof e);
        e.struct_size = size;
        slm_fail(&e, SLM_ERR_DUP, "subject", 5, "message");
        const uint8_t *bytes = (const uint8_t *)&e;
        for (size_t i = size < 4 ? 4 : size; i < sizeof e; i++)
            assert_int_equal(bytes[i], 0x77);
        assert_int_equal(e.struct_size, size);
        assert_true((e.status == SLM_ERR_DUP) == (size >= 8));
        assert_true((e.offset == 5) == (size >= 16));
        if (size > offsetof(slm_error, subject) + 7)
            assert_string_equal(e.subject, "subject");
        if (size > offsetof(slm_error, message) + 7)
            assert_string_equal(e.message, "message");
    }
}

/* ---- structs of older and newer callers ---- */

typedef struct sample_options {
    uint32_t struct_size;
    uint32_t a;
    uint64_t b;
} sample_options;

static void test_copy_options(void **state) {
    (void)state;
    const sample_options defaults = {sizeof defaults, 7, 8};
    const sample_options own = {sizeof own, 1, 2};
    sample_options o;
    slm_error e = SLM_ERROR_INIT;
    assert_int_equal(slm_copy_options(&o, sizeof o, &defaults, NULL, "options", &e), SLM_OK);
    assert_true(o.a == 7 && o.b == 8 && o.struct_size == sizeof o);
    assert_int_equal(slm_copy_options(&o, sizeof o, &defaults, &own, "options", &e), SLM_OK);
    assert_true(o.a == 1 && o.b == 2);
    assert_int_equal(slm_copy_options(&o, sizeof o, NULL, NULL, "options", &e), SLM_OK);
    assert_true(o.a == 0 && o.b == 0 && o.struct_size == sizeof o);

    sample_options older = {8, 1, 2};
    assert_int_equal(slm_copy_options(&o, sizeof o, &defaults, &older, "options", &e), SLM_OK);
    assert_true(o.a == 1 && o.b == 8 && o.struct_size == sizeof o);

    struct {
        sample_options known;
        uint64_t news;
    } newer = {{sizeof newer, 1, 2}, 0};
    assert_int_equal(slm_copy_options(&o, sizeof o, &defaults, &newer, "options", &e), SLM_OK);
    assert_true(o.a == 1 && o.b == 2 && o.struct_size == sizeof o);
    newer.news = 1;
    assert_int_equal(slm_copy_options(&o, sizeof o, &defaults, &newer, "options", &e), SLM_ERR_ARG);
    assert_non_null(strstr(e.message, "options"));
    assert_non_null(strstr(e.message, "24"));
    assert_string_equal(e.subject, "struct_size");

    sample_options broken = {3, 1, 2};
    assert_int_equal(slm_copy_options(&o, sizeof o, &defaults, &broken, "options", &e),
                     SLM_ERR_ARG);
    assert_non_null(strstr(e.message, "is 3"));
}

static void test_copy_info(void **state) {
    (void)state;
    const sample_options src = {sizeof src, 5, 6};
    slm_error e = SLM_ERROR_INIT;
    for (uint32_t size = 4; size <= sizeof src; size += 4) {
        sample_options dst;
        memset(&dst, 0x77, sizeof dst);
        dst.struct_size = size;
        assert_int_equal(slm_copy_info(&dst, &src, sizeof src, "info", &e), SLM_OK);
        assert_int_equal(dst.struct_size, size);
        assert_true((dst.a == 5) == (size >= 8));
        assert_true((dst.b == 6) == (size == 16));
    }
    sample_options dst = {0, 0, 0};
    assert_int_equal(slm_copy_info(&dst, &src, sizeof src, "info", &e), SLM_ERR_ARG);
    assert_non_null(strstr(e.message, "info"));
    struct {
        sample_options known;
        uint64_t news;
    } newer = {{sizeof newer, 0, 0}, 9};
    assert_int_equal(slm_copy_info(&newer, &src, sizeof src, "info", &e), SLM_OK);
    assert_true(newer.known.b == 6 && newer.known.struct_size == sizeof newer && newer.news == 9);
}

/* ---- arithmetic, characters, random numbers ---- */

static void test_checked(void **state) {
    (void)state;
    uint64_t r = 0;
    assert_true(slm_add_u64(UINT64_MAX - 1, 1, &r) && r == UINT64_MAX);
    assert_false(slm_add_u64(UINT64_MAX, 1, &r));
    assert_true(slm_mul_u64(1u << 31, 1u << 31, &r) && r == (uint64_t)1 << 62);
    assert_false(slm_mul_u64((uint64_t)1 << 32, (uint64_t)1 << 32, &r));
    assert_true(slm_align_u64(33, 32, &r) && r == 64);
    assert_true(slm_align_u64(UINT64_MAX - 31, 32, &r) && r == UINT64_MAX - 31);
    assert_false(slm_align_u64(UINT64_MAX - 30, 32, &r));
    assert_int_equal(slm_round_up(0, 64), 0);
    assert_int_equal(slm_round_up(65, 64), 128);
}

/* Every code point forwards, and every two-byte string against the definition. */
static void test_utf8(void **state) {
    (void)state;
    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        uint8_t b[4];
        size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
        for (size_t i = n; i > 1; i--)
            b[i - 1] = (uint8_t)(0x80 | ((cp >> (6 * (n - i))) & 0x3f));
        static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
        b[0] = (uint8_t)(lead[n] | (cp >> (6 * (n - 1))));
        uint32_t got = 0;
        size_t want = cp >= 0xd800 && cp < 0xe000 ? 0 : n;
        assert_int_equal(slm_utf8_next(b, n, &got), want);
        assert_true(want == 0 || got == cp);
        if (n > 1)
            assert_int_equal(slm_utf8_next(b, n - 1, NULL), 0);
    }
    for (unsigned a = 0x80; a < 0x100; a++) {
        for (unsigned b = 0; b < 0x100; b++) {
            uint8_t s[2] = {(uint8_t)a, (uint8_t)b};
            size_t want = a >= 0xc2 && a < 0xe0 && b >= 0x80 && b < 0xc0 ? 2 : 0;
            assert_int_equal(slm_utf8_next(s, 2, NULL), want);
        }
    }
    static const char *const bad[] = {"\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80", "\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(slm_utf8_next((const uint8_t *)bad[i], strlen(bad[i]), NULL), 0);
}

static void test_rng(void **state) {
    (void)state;
    /* The first number of splitmix64 from 0, as its authors publish it. */
    uint64_t s = 0;
    assert_true(slm_splitmix64(&s) == 0xe220a8397b1dcdafu);
    slm_rng a, b;
    slm_rng_seed(&a, 42);
    slm_rng_seed(&b, 42);
    double sum = 0;
    for (int i = 0; i < 10000; i++) {
        double x = slm_rng_double(&a);
        assert_true(x >= 0 && x < 1 && x == slm_rng_double(&b));
        sum += x;
    }
    assert_true(sum > 4800 && sum < 5200);
    /* xoshiro256** from the state 1, 2, 3, 4: rotl(2 * 5, 7) * 9. */
    slm_rng known = {{1, 2, 3, 4}};
    assert_true(slm_rng_next(&known) == 11520);
    assert_true(slm_rng_next(&known) == 0);
    assert_true(slm_rng_next(&known) == 1509978240);
}

/* ---- memory ---- */

static void test_alloc_counts_and_limits(void **state) {
    (void)state;
    slm_host h;
    slm_host_init(&h, NULL, NULL, NULL, SLM_LOG_NONE);
    void *none = slm_alloc(&h, 0);
    assert_non_null(none);
    uint8_t *p = slm_alloc(&h, 100);
    assert_int_equal((uintptr_t)p % 64, 0);
    memset(p, 1, 100);
    assert_true(h.bytes == 100 + 2 * SLM_ALLOC_HEADER);
    uint8_t *grown = slm_realloc(&h, p, 5000);
    assert_non_null(grown);
    for (int i = 0; i < 100; i++)
        assert_int_equal(grown[i], 1);
    uint8_t *shrunk = slm_realloc(&h, grown, 10);
    assert_true(shrunk && shrunk[9] == 1);
    h.limit = h.bytes + SLM_ALLOC_HEADER + 10;
    assert_null(slm_alloc(&h, 11));
    void *last = slm_alloc(&h, 10);
    assert_non_null(last);
    assert_null(slm_alloc(&h, 0));
    assert_null(slm_realloc(&h, last, 20));
    assert_true(h.bytes == h.limit);
    slm_free(&h, last);
    slm_free(&h, shrunk);
    slm_free(&h, none);
    slm_free(&h, NULL);
    assert_true(h.bytes == 0);
    h.limit = 0;
    assert_null(slm_alloc(&h, SIZE_MAX));
    assert_null(slm_alloc(&h, SIZE_MAX - 100));
    assert_null(slm_calloc(&h, SIZE_MAX / 2, 3));
    assert_null(slm_calloc(&h, SIZE_MAX, 1));
    assert_true(h.bytes == 0);
    uint8_t *zero = slm_calloc(&h, 10, 10);
    for (int i = 0; i < 100; i++)
        assert_int_equal(zero[i], 0);
    slm_free(&h, zero);
    void *fresh = slm_realloc(&h, NULL, 10);
    assert_non_null(fresh);
    slm_free(&h, fresh);
    assert_true(h.bytes == 0);
}

static void test_alloc_uses_the_callers_allocator(void **state) {
    (void)state;
    slm_host h;
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator a = fail_alloc_start(&fa);
    slm_host_init(&h, &a, NULL, NULL, SLM_LOG_NONE);
    void *p = slm_alloc(&h, 1000);
    assert_non_null(p);
    assert_true(fa.outstanding == 1 && (uint64_t)fa.bytes == h.bytes);
    fa.fail_at = 2;
    assert_null(slm_realloc(&h, p, 2000));
    assert_true((uint64_t)fa.bytes == h.bytes);
    void *touched = slm_alloc_touched(&h, 100000);
    assert_non_null(touched);
    slm_free(&h, touched);
    slm_free(&h, p);
    assert_true(fa.outstanding == 0 && h.bytes == 0);
}

static void test_alloc_touched(void **state) {
    (void)state;
    slm_host h;
    slm_host_init(&h, NULL, NULL, NULL, SLM_LOG_NONE);
    uint64_t available = slm_memory_available();
    assert_true(available > 1 << 20);
    /* More than there is: refused at once, where plain allocation of untouched pages may not be. */
    if (available != UINT64_MAX)
        assert_null(slm_alloc_touched(&h, (size_t)(available * 2)));
    uint8_t *p = slm_alloc_touched(&h, (size_t)3 << 20);
    assert_non_null(p);
    memset(p, 5, (size_t)3 << 20);
    slm_free(&h, p);
    p = slm_alloc_touched(&h, 0);
    assert_non_null(p);
    slm_free(&h, p);
    assert_true(h.bytes == 0);
}

static void test_fail_nomem(void **state) {
    (void)state;
    slm_error e = SLM_ERROR_INIT;
    assert_int_equal(slm_fail_nomem(&e, 123456789, "the cache"), SLM_ERR_NOMEM);
    assert_non_null(strstr(e.message, "123456789"));
    assert_non_null(strstr(e.message, "the cache"));
}

static void keep_line(void *user, slm_log_level level, const char *line) {
    char *kept = user;
    snprintf(kept, 200, "%d %s", (int)level, line);
}

static void test_log(void **state) {
    (void)state;
    char kept[200] = "";
    slm_host h;
    slm_host_init(&h, NULL, keep_line, kept, SLM_LOG_WARNING);
    slm_log(&h, SLM_LOG_INFO, "not %s", "wanted");
    assert_string_equal(kept, "");
    slm_log(&h, SLM_LOG_WARNING, "one\nline %d", 5);
    assert_string_equal(kept, "2 one\\x0aline 5");
    slm_host_init(&h, NULL, NULL, NULL, SLM_LOG_DEBUG);
    slm_log(&h, SLM_LOG_ERROR, "to nobody");
}

/* ---- the machine ---- */

static void test_machine(void **state) {
    (void)state;
    uint32_t n = slm_cpu_count();
    assert_in_range(n, 1, 8192);
    uint64_t t = slm_now_ns();
    assert_true(slm_now_ns() >= t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_names),
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_fail_fills_the_error),
        cmocka_unit_test(test_fail_cuts_long_texts),
        cmocka_unit_test(test_fail_respects_struct_size),
        cmocka_unit_test(test_copy_options),
        cmocka_unit_test(test_copy_info),
        cmocka_unit_test(test_checked),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_rng),
        cmocka_unit_test(test_alloc_counts_and_limits),
        cmocka_unit_test(test_alloc_uses_the_callers_allocator),
        cmocka_unit_test(test_alloc_touched),
        cmocka_unit_test(test_fail_nomem),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_machine),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
