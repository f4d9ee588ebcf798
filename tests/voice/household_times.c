/* Lengths and times as they are said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "spoken_time.h"

static const int64_t MIDNIGHT = 1856822400; /* Friday, 3 November 2028 */

static void lengths(void **state) {
    (void)state;
    static const struct {
        const char *said;
        int64_t seconds; /* 0: not understood */
    } CASES[] = {
        {"10 minutes", 600},
        {"ten minutes", 600},
        {"twenty-five minutes", 1500},
        {"half an hour", 1800},
        {"an hour", 3600},
        {"a minute", 60},
        {"an hour and a half", 5400},
        {"one and a half hours", 5400},
        {"a quarter of an hour", 900},
        {"three quarters of an hour", 2700},
        {"half a minute", 30},
        {"a couple of minutes", 120},
        {"a few minutes", 180},
        {"two days", 172800},
        {"one week", 604800},
        {"1 hour and 20 minutes", 4800},
        {"1 hour 20 minutes 5 seconds", 4805},
        {"an hour and half a minute", 3630},
        {"90 secs", 90},
        {"in 5 min", 300},
        {"forty hours", 144000},
        {"", 0},
        {"ten", 0},
        {"minutes", 0},
        {"zero minutes", 0},
        {"ten bananas", 0},
        {"10 minutes banana", 0},
        {"9999 weeks", 0},
        {"99999 minutes", 0},
        {"and and and and and and and and and and and and and and and and and and and and and and "
         "and",
         0},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        int64_t seconds = 0;
        bool known = spoken_length(CASES[i].said, &seconds);
        if (known != (CASES[i].seconds != 0) || (known && seconds != CASES[i].seconds))
            fail_msg("%s: %d, %lld s", CASES[i].said, known, (long long)seconds);
    }
}

static void times(void **state) {
    (void)state;
    enum { NOW = (18 * 60 + 42) * 60, H = 3600, M = 60, D = DAY_S };
    static const struct {
        const char *said;
        bool early;
        int64_t after; /* midnight; 0: not understood */
        unsigned repeat;
    } CASES[] = {
        {"half past six", true, D + 6 * H + 30 * M, 0},
        {"half past seven", true, 19 * H + 30 * M, 0},
        {"at quarter to eight", false, 19 * H + 45 * M, 0},
        {"twenty-five to nine pm", false, 20 * H + 35 * M, 0},
        {"ten past 7", false, 19 * H + 10 * M, 0},
        {"7:30 am", true, D + 7 * H + 30 * M, 0},
        {"7:30 p.m.", true, 19 * H + 30 * M, 0},
        {"23:05", false, 23 * H + 5 * M, 0},
        {"seven thirty", true, 19 * H + 30 * M, 0},
        {"six oh five tomorrow", true, D + 6 * H + 5 * M, 0},
        {"seven o'clock", true, 19 * H, 0},
        {"6 in the evening", true, D + 18 * H, 0},
        {"six in the morning", true, D + 6 * H, 0},
        {"noon", false, D + 12 * H, 0},
        {"midnight", false, D, 0},
        {"tomorrow at noon", false, D + 12 * H, 0},
        {"half past six tomorrow", true, D + 6 * H + 30 * M, 0},
        {"at six tomorrow", false, D + 18 * H, 0},
        {"at nine tomorrow", false, D + 9 * H, 0},
        {"seven tomorrow evening", true, D + 19 * H, 0},
        {"tomorrow", false, D + 9 * H, 0},
        {"tonight at nine", true, 21 * H, 0},
        {"this evening", false, 19 * H, 0},
        {"on Monday", false, 3 * D + 9 * H, 0},
        {"six thirty on friday", true, 7 * D + 6 * H + 30 * M, 0},
        {"next monday at ten", false, 3 * D + 10 * H, 0},
        {"7 every day", true, D + 7 * H, EVERY_DAY},
        {"half past six on weekdays", true, 3 * D + 6 * H + 30 * M, WEEKDAYS},
        {"7 every Friday", true, 7 * D + 7 * H, 1 << 5},
        {"19:00 every friday", true, 19 * H, 1 << 5},
        {"eight every morning", true, D + 8 * H, EVERY_DAY},
        {"at the weekend", false, D + 9 * H, 0},
        {"in 20 minutes", false, NOW + 20 * M, 0},
        {"in an hour and a half", false, NOW + 90 * M, 0},
        {"at 9 today", false, 21 * H, 0},
        {"", false, 0, 0},
        {"soon", false, 0, 0},
        {"25:00", false, 0, 0},
        {"12:60", false, 0, 0},
        {"noon today", false, 0, 0},
        {"six six six", false, 0, 0},
        {"in ten", false, 0, 0},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        spoken_time when;
        bool known = spoken_when(CASES[i].said, MIDNIGHT + NOW, CASES[i].early, &when);
        if (known != (CASES[i].after != 0) ||
            (known && (when.at - MIDNIGHT != CASES[i].after || when.repeat != CASES[i].repeat)))
            fail_msg("%s: %d, day %lld, %02d:%02d, repeat %u", CASES[i].said, known,
                     (long long)((when.at - MIDNIGHT) / DAY_S),
                     (int)((when.at - MIDNIGHT) % DAY_S / 3600),
                     (int)((when.at - MIDNIGHT) % 3600 / 60), when.repeat);
    }
}

static void said_again(void **state) {
    (void)state;
    char text[80];
    static const struct {
        int64_t seconds;
        const char *text;
    } LENGTHS[] = {
        {0, "0 seconds"},
        {1, "1 second"},
        {60, "1 minute"},
        {95, "1 minute and 35 seconds"},
        {5400, "1 hour and 30 minutes"},
        {3605, "1 hour and 5 seconds"},
        {90061, "1 day and 1 hour"},
    };
    for (size_t i = 0; i < sizeof LENGTHS / sizeof LENGTHS[0]; i++) {
        say_length(LENGTHS[i].seconds, text, sizeof text);
        assert_string_equal(text, LENGTHS[i].text);
    }
    say_date(0, text, sizeof text);
    assert_string_equal(text, "Thursday, 1 January 1970");
    say_date(951782400, text, sizeof text);
    assert_string_equal(text, "Tuesday, 29 February 2000");
    say_day(MIDNIGHT + 6 * DAY_S, MIDNIGHT, text, sizeof text);
    assert_string_equal(text, " on Thursday");
    say_day(MIDNIGHT + 7 * DAY_S, MIDNIGHT, text, sizeof text);
    assert_string_equal(text, " on Friday, 10 November 2028");
    say_length(5400, text, 8); /* too small: cut, and ended */
    assert_int_equal(strlen(text), 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths),
        cmocka_unit_test(times),
        cmocka_unit_test(said_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
