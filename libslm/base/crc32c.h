/* CRC-32C (Castagnoli; RFC 3720, appendix B.4), by which damage to a block of a file is noticed:
 * any change of up to 32 neighbouring bits, for one. */
#ifndef SLM_BASE_CRC32C_H
#define SLM_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* What a byte does to the checksum when 0 to 15 bytes follow it ("slicing": Kounavis and Berry
 * 2008). Made where it is used, in some microseconds: the library keeps nothing for the whole
 * process. */
typedef uint32_t (*slm_crc32c_fn)(const void *data, size_t size, uint32_t crc);
typedef struct slm_crc32c_table {
    slm_crc32c_fn fast; /* the processor's own (kernels.h), or NULL */
    uint32_t of[16][256];
} slm_crc32c_table;

void slm_crc32c_init(slm_crc32c_table *table, slm_crc32c_fn fast);
/* crc: of the bytes before these, 0 where there are none. */
uint32_t slm_crc32c(const slm_crc32c_table *table, const void *data, size_t size, uint32_t crc);

#endif
