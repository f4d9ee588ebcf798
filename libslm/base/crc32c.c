#include "base/crc32c.h"

#define POLYNOMIAL 0x82f63b78u /* 0x1edc6f41, its lowest power first */

void slm_crc32c_init(slm_crc32c_table *table, slm_crc32c_fn fast) {
    table->fast = fast;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t x = i;
        for (int bit = 0; bit < 8; bit++)
            x = x >> 1 ^ (x & 1 ? POLYNOMIAL : 0);
        table->of[0][i] = x;
    }
    for (uint32_t n = 1; n < 16; n++)
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t x = table->of[n - 1][i];
            table->of[n][i] = x >> 8 ^ table->of[0][x & 0xff];
        }
}

static uint32_t load32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Four bytes that `behind` others follow. */
static uint32_t four(const slm_crc32c_table *t, uint32_t x, int behind) {
    return t->of[behind + 3][x & 0xff] ^ t->of[behind + 2][x >> 8 & 0xff] ^
           t->of[behind + 1][x >> 16 & 0xff] ^ t->of[behind][x >> 24];
}

uint32_t slm_crc32c(const slm_crc32c_table *table, const void *data, size_t size, uint32_t crc) {
    const uint8_t *p = data;
    uint32_t x = ~crc;
    if (table->fast != NULL)
        return table->fast(data, size, crc);
    for (; size >= 16; size -= 16, p += 16)
        x = four(table, x ^ load32(p), 12) ^ four(table, load32(p + 4), 8) ^
            four(table, load32(p + 8), 4) ^ four(table, load32(p + 12), 0);
    for (; size > 0; size--, p++)
        x = x >> 8 ^ table->of[0][(x ^ *p) & 0xff];
    return ~x;
}
