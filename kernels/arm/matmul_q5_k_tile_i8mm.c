/* Packed Q5_K by tiles of Q8_K. */
#include "packed_i8mm.h"

SLM_PACKED_I8MM_K(Q5_K, slm_matmul_q5_k_q8_k_tile_i8mm)
