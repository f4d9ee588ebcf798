/* Packed Q4_K by tiles of Q8_K. */
#include "packed_dotprod.h"

SLM_PACKED_DOTPROD_K(Q4_K, slm_matmul_q4_k_q8_k_tile_dotprod)
