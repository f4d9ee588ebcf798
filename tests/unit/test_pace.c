/* How many rows a step takes: by a prediction, then by what the last one took. */
#include "run/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define MS 1000000u

static void no_limit(void **state) {
    (void)state;
    slm_pace p = {.max_rows = 200};
    assert_int_equal(slm_pace_rows(&p), 200);
    slm_pace_learn(&p, 200, 1000 * (uint64_t)MS);
    assert_int_equal(slm_pace_rows(&p), 200);
}

static void bounds(void **state) {
    (void)state;
    slm_pace p = {.limit_ns = 40.0 * MS, .max_rows = 256};
    assert_int_equal(slm_pace_rows(&p), SLM_PACE_LEAST); /* nothing is known */
    static const struct {
        double row_ms;
        uint32_t rows;
    } cases[] = {{0.01, 256}, {0.15625, 256}, {0.157, 224}, {1, 32},   {1.26, 24},
                 {2.5, 16},   {2.6, 8},       {5, 8},       {5.1, 8}, {1e9, 8}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        p.row_ns = cases[i].row_ms * MS;
        assert_int_equal(slm_pace_rows(&p), cases[i].rows);
    }
    p.max_rows = 5;
    assert_int_equal(slm_pace_rows(&p), 5);
    p.row_ns = 0;
    assert_int_equal(slm_pace_rows(&p), 5);
}

/* Ten milliseconds for the weights, and a tenth for each row behind the fifteenth. */
static uint64_t time_of(uint32_t n) { return 10 * MS + (n > 15 ? (n - 15) * (uint64_t)MS / 10 : 0); }

/* It comes up to the limit in a few steps from nothing, and down to it from a bad prediction. */
static void it_finds_the_limit(void **state) {
    (void)state;
    static const double first[] = {0, 0.001 * MS, 50.0 * MS};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        slm_pace p = {.limit_ns = 40.0 * MS, .row_ns = first[i], .max_rows = 4096};
        for (int step = 0; step < 6; step++)
            slm_pace_learn(&p, slm_pace_rows(&p), time_of(slm_pace_rows(&p)));
        uint32_t n = slm_pace_rows(&p);
        assert_in_range(time_of(n), 36 * MS, 40 * MS);
        slm_pace_learn(&p, 1, time_of(1)); /* a generated token says nothing of prompts */
        slm_pace_learn(&p, 3, time_of(3));
        assert_int_equal(slm_pace_rows(&p), n);
    }
}

/* Rows become dearer as the context grows, and cheap again in a new one. */
static void it_follows(void **state) {
    (void)state;
    slm_pace p = {.limit_ns = 40.0 * MS, .max_rows = 4096};
    for (int step = 0; step < 40; step++) {
        uint32_t n = slm_pace_rows(&p), dearer = step < 20 ? 1 : 4;
        slm_pace_learn(&p, n, dearer * time_of(n));
    }
    assert_in_range(4 * time_of(slm_pace_rows(&p)), 30 * MS, 41 * MS);
    for (int step = 0; step < 6; step++)
        slm_pace_learn(&p, slm_pace_rows(&p), time_of(slm_pace_rows(&p)));
    assert_in_range(time_of(slm_pace_rows(&p)), 36 * MS, 40 * MS);
    slm_pace_learn(&p, slm_pace_rows(&p), 0); /* a clock that stands still */
    assert_int_equal(slm_pace_rows(&p), 4096);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_limit),
        cmocka_unit_test(bounds),
        cmocka_unit_test(it_finds_the_limit),
        cmocka_unit_test(it_follows),
    };
    return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
