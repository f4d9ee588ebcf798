/* The kernels of this level. */
#ifndef SLM_X86_LEVEL_AMX_H
#define SLM_X86_LEVEL_AMX_H

#include "kernels.h"

#define SLM_AMX_PUT(name)                                                                          \
    void name(slm_act act, void *tiles, size_t n_rows, size_t r, const void *row, size_t k)
#define SLM_AMX_MATMUL(name)                                                                       \
    void name(float *y, size_t y_stride, const void *w, size_t w_bytes, size_t n_w, const void *a, \
              size_t a_bytes, size_t n_a, size_t k)
SLM_AMX_MATMUL(slm_matmul_q2_k_q8_k_tile_amx);
SLM_AMX_MATMUL(slm_matmul_q3_k_q8_k_tile_amx);
SLM_AMX_MATMUL(slm_matmul_q4_k_q8_k_tile_amx);
SLM_AMX_MATMUL(slm_matmul_q5_k_q8_k_tile_amx);
SLM_AMX_MATMUL(slm_matmul_q6_k_q8_k_tile_amx);
SLM_AMX_MATMUL(slm_matmul_q4_0_q8_0_tile_amx);
SLM_AMX_MATMUL(slm_matmul_q8_0_q8_0_tile_amx);
SLM_AMX_PUT(slm_put_row_amx);

#endif
