/* XXH64 against numbers of its reference implementation. */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void known_numbers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t seed, hash;
    } known[] = {
        {"", 0, 0xef46db3751d8e999u},
        {"a", 0, 0xd24ec4f1a98c6e5bu},
        {"abc", 0, 0x44bc2cf5ad770999u},
        {"message digest", 0, 0x066ed728fceeb3beu},
        {"abcdefghijklmnopqrstuvwxyz", 0, 0xcfe1f278fa89835cu},
        {"Nobody inspects the spammish repetition", 0, 0xfbcea83c8a378bf1u},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567890", 0,
         0xe04a477f19ee145du},
        {"xxhash", 20141025, 0xb559b98d844e0635u},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_true(slm_hash64(known[i].text, strlen(known[i].text), known[i].seed) ==
                    known[i].hash);
}

/* Every bit of the data, of every length, and of the seed counts; where it lies does not. */
static void every_bit_counts(void **state) {
    (void)state;
    uint8_t bytes[128 + 8] = {0};
    for (size_t n = 0; n <= 100; n++) {
        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)(i * 37 + 11);
        uint64_t hash = slm_hash64(bytes, n, 5);
        memmove(bytes + 3, bytes, n);
        assert_true(slm_hash64(bytes + 3, n, 5) == hash);
        assert_true(slm_hash64(bytes + 3, n, 6) != hash);
        for (size_t bit = 0; bit < 8 * n; bit++) {
            bytes[3 + bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_true(slm_hash64(bytes + 3, n, 5) != hash);
            bytes[3 + bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_numbers),
        cmocka_unit_test(every_bit_counts),
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
