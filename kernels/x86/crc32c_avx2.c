/* SSE4.2, which comes with AVX2. */
#include "crc32c.h"
#include "x86/level_avx2.h"

#include <immintrin.h>

#define CRC8(crc, bytes) ((uint32_t)_mm_crc32_u64(crc, bytes))

SLM_CRC32C(slm_crc32c_avx2, CRC8, _mm_crc32_u8)
