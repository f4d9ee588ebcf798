/* An extension of Armv8.0 that all processors from 8.1 on have. */
#include "crc32c.h"
#include "level_arm.h"

#include <arm_acle.h>

SLM_CRC32C(slm_crc32c_dotprod, __crc32cd, __crc32cb)
