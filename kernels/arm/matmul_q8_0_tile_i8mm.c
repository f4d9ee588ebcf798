/* Packed Q8_0 by tiles of Q8_0. */
#include "packed_i8mm.h"

SLM_PACKED_I8MM_0(Q8_0, slm_matmul_q8_0_q8_0_tile_i8mm)
