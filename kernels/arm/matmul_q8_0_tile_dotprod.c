/* Packed Q8_0 by tiles of Q8_0. */
#include "packed_dotprod.h"

SLM_PACKED_DOTPROD_0(Q8_0, slm_matmul_q8_0_q8_0_tile_dotprod)
