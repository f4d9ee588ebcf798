/* Which tokens are tried: what followed the last ones before. */
#include "run/speculate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

/* The drafts for the first n of ids. */
static uint32_t look_up(const int32_t *ids, uint32_t n, uint32_t match, uint32_t most,
                        int32_t *drafts) {
    int32_t tokens[64];
    memcpy(tokens, ids, n * sizeof *ids);
    uint32_t k = slm_drafts_look_up(tokens, n, match, most);
    assert_memory_equal(tokens, ids, n * sizeof *ids);
    memcpy(drafts, tokens + n, k * sizeof *drafts);
    return k;
}

static void longest_then_last(void **state) {
    (void)state;
    int32_t got[8];
    const int32_t a[] = {7, 1, 2, 3, 9, 2, 3, 5, 8, 1, 2, 3};
    assert_int_equal(look_up(a, 12, 1, 3, got), 3);
    assert_memory_equal(got, ((int32_t[]){9, 2, 3}), 3 * sizeof *got); /* three agree */
    const int32_t b[] = {1, 2, 5, 1, 2, 6, 4, 1, 2};
    assert_int_equal(look_up(b, 9, 1, 2, got), 2);
    assert_memory_equal(got, ((int32_t[]){6, 4}), 2 * sizeof *got); /* of two with two the last */
}

static void enough_agree(void **state) {
    (void)state;
    int32_t got[8];
    const int32_t a[] = {1, 2, 5, 9, 1, 2};
    assert_int_equal(look_up(a, 6, 2, 4, got), 4);
    assert_memory_equal(got, ((int32_t[]){5, 9, 1, 2}), 4 * sizeof *got);
    assert_int_equal(look_up(a, 6, 3, 4, got), 0);
    assert_int_equal(look_up(a, 4, 1, 4, got), 0); /* 9 stands there once */
    assert_int_equal(look_up(a, 1, 1, 4, got), 0);
}

/* What repeats itself goes on, further than it was written. */
static void periods(void **state) {
    (void)state;
    int32_t got[8];
    const int32_t a[] = {4, 4}, b[] = {1, 2, 3, 1, 2, 3};
    assert_int_equal(look_up(a, 2, 1, 4, got), 4);
    assert_memory_equal(got, ((int32_t[]){4, 4, 4, 4}), 4 * sizeof *got);
    assert_int_equal(look_up(b, 6, 3, 7, got), 7);
    assert_memory_equal(got, ((int32_t[]){1, 2, 3, 1, 2, 3, 1}), 7 * sizeof *got);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(longest_then_last),
        cmocka_unit_test(enough_agree),
        cmocka_unit_test(periods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
