/* Packed Q6_K by tiles of Q8_K. */
#include "packed_dotprod.h"

SLM_PACKED_DOTPROD_K(Q6_K, slm_matmul_q6_k_q8_k_tile_dotprod)
