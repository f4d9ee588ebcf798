/* Packed Q8_0 by tiles of Q8_0. */
#include "packed_neon.h"

SLM_PACKED_NEON_0(Q8_0, slm_matmul_q8_0_q8_0_tile_neon)
