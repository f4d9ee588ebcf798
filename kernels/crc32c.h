/* CRC-32C by the processor's instruction for it.
 *
 * The instruction has a latency of three cycles and one can begin in each. So long data is three
 * parts that are taken at a time, and joined by what the bytes behind a part do to its checksum: n
 * of them multiply it by x^(8n) modulo the polynomial (as zlib's crc32_combine does). */
#ifndef SLM_KERNELS_CRC32C_H
#define SLM_KERNELS_CRC32C_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SLM_CRC32C_UNIT 256u            /* bytes that a part is a multiple of */
#define SLM_CRC32C_LONG ((size_t)2048)  /* from here on it pays */
#define SLM_CRC32C_MOST ((size_t)65535) /* units of a part */

/* Polynomials have their lowest power in the highest bit. */
static inline uint32_t slm_crc32c_multiply(uint32_t a, uint32_t b) {
    uint32_t product = 0;
    for (int bit = 31; bit >= 0; bit--) {
        product ^= b & (0u - (a >> bit & 1u));
        b = b >> 1 ^ (0x82f63b78u & (0u - (b & 1u)));
    }
    return product;
}

/* x to the power of the bits in that many units. */
static inline uint32_t slm_crc32c_power(size_t units) {
    static const uint32_t squares[16] = {/* of 2^i units */
                                         0x88e56f72, 0x74c360a4, 0xe4172b16, 0x0d65762a,
                                         0x35d73a62, 0x28461564, 0xbf455269, 0xe2ea32dc,
                                         0xfe7740e6, 0xf946610b, 0x3c204f8f, 0x538586e3,
                                         0x59726915, 0x734d5309, 0xbc1ac763, 0x7d0722cc};
    uint32_t power = 1u << 31;
    for (size_t i = 0; i < 16; i++)
        if (units >> i & 1)
            power = slm_crc32c_multiply(squares[i], power);
    return power;
}

static inline uint64_t slm_crc32c_load(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

/* crc8 and crc1: what eight bytes, in the order of memory, and one do to a checksum that is not
 * inverted. */
#define SLM_CRC32C(name, crc8, crc1)                                                               \
    uint32_t name(const void *data, size_t size, uint32_t crc) {                                   \
        const uint8_t *p = data;                                                                   \
        uint32_t x = ~crc;                                                                         \
        while (size >= SLM_CRC32C_LONG) {                                                          \
            size_t units = size / 3 / SLM_CRC32C_UNIT;                                             \
            units = units < SLM_CRC32C_MOST ? units : SLM_CRC32C_MOST;                             \
            size_t n = units * SLM_CRC32C_UNIT;                                                    \
            uint32_t y = 0, z = 0, power = slm_crc32c_power(units);                                \
            for (const uint8_t *end = p + n; p < end; p += 8) {                                    \
                x = crc8(x, slm_crc32c_load(p));                                                   \
                y = crc8(y, slm_crc32c_load(p + n));                                               \
                z = crc8(z, slm_crc32c_load(p + 2 * n));                                           \
            }                                                                                      \
            x = slm_crc32c_multiply(power, x) ^ y;                                                 \
            x = slm_crc32c_multiply(power, x) ^ z;                                                 \
            p += 2 * n;                                                                            \
            size -= 3 * n;                                                                         \
        }                                                                                          \
        for (; size >= 8; size -= 8, p += 8)                                                       \
            x = crc8(x, slm_crc32c_load(p));                                                       \
        for (; size > 0; size--, p++)                                                              \
            x = crc1(x, *p);                                                                       \
        return ~x;                                                                                 \
    }

#endif
