/* CRC-32C against the examples of RFC 3720 (B.4), a byte-wise computation, and itself in pieces. */
#include "base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static slm_crc32c_table table;

static int set_up(void **state) {
    (void)state;
    slm_crc32c_init(&table, NULL);
    return 0;
}

static uint32_t by_bits(const uint8_t *p, size_t n) {
    uint32_t x = UINT32_MAX;
    for (; n > 0; n--) {
        x ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            x = x & 1 ? x >> 1 ^ 0x82f63b78u : x >> 1;
    }
    return ~x;
}

static void examples(void **state) {
    (void)state;
    uint8_t bytes[32];
    assert_int_equal(slm_crc32c(&table, "", 0, 0), 0);
    assert_int_equal(slm_crc32c(&table, "123456789", 9, 0), 0xe3069283u);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(slm_crc32c(&table, bytes, 32, 0), 0x8a9136aau);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(slm_crc32c(&table, bytes, 32, 0), 0x62a8ab43u);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = i;
    assert_int_equal(slm_crc32c(&table, bytes, 32, 0), 0x46dd794eu);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(31 - i);
    assert_int_equal(slm_crc32c(&table, bytes, 32, 0), 0x113fdb5cu);
}

static void every_length_and_cut(void **state) {
    (void)state;
    uint8_t bytes[120];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 197 + i / 7);
    for (size_t from = 0; from < 8; from++)
        for (size_t n = 0; from + n <= sizeof bytes; n++) {
            uint32_t want = by_bits(bytes + from, n);
            assert_int_equal(slm_crc32c(&table, bytes + from, n, 0), want);
            for (size_t cut = 0; cut <= n; cut += 5) {
                uint32_t first = slm_crc32c(&table, bytes + from, cut, 0);
                assert_int_equal(slm_crc32c(&table, bytes + from + cut, n - cut, first), want);
            }
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(examples),
                                       cmocka_unit_test(every_length_and_cut)};
    return cmocka_run_group_tests_name("crc32c", tests, set_up, NULL);
}
