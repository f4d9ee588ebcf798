/* The products of packed weights of each level, and what else a level improves. */
#ifndef SLM_ARM_LEVEL_ARM_H
#define SLM_ARM_LEVEL_ARM_H

#include "kernels.h"

#define SLM_TILE_MATMUL(name)                                                                      \
    void name(float *y, size_t y_stride, const void *w, size_t w_bytes, size_t n_w, const void *a, \
              size_t a_bytes, size_t n_a, size_t k)
SLM_TILE_MATMUL(slm_matmul_q2_k_q8_k_tile_neon);
SLM_TILE_MATMUL(slm_matmul_q3_k_q8_k_tile_neon);
SLM_TILE_MATMUL(slm_matmul_q4_k_q8_k_tile_neon);
SLM_TILE_MATMUL(slm_matmul_q5_k_q8_k_tile_neon);
SLM_TILE_MATMUL(slm_matmul_q6_k_q8_k_tile_neon);
SLM_TILE_MATMUL(slm_matmul_q4_0_q8_0_tile_neon);
SLM_TILE_MATMUL(slm_matmul_q8_0_q8_0_tile_neon);
SLM_TILE_MATMUL(slm_matmul_q2_k_q8_k_tile_dotprod);
SLM_TILE_MATMUL(slm_matmul_q3_k_q8_k_tile_dotprod);
SLM_TILE_MATMUL(slm_matmul_q4_k_q8_k_tile_dotprod);
SLM_TILE_MATMUL(slm_matmul_q5_k_q8_k_tile_dotprod);
SLM_TILE_MATMUL(slm_matmul_q6_k_q8_k_tile_dotprod);
SLM_TILE_MATMUL(slm_matmul_q4_0_q8_0_tile_dotprod);
SLM_TILE_MATMUL(slm_matmul_q8_0_q8_0_tile_dotprod);
SLM_TILE_MATMUL(slm_matmul_q2_k_q8_k_tile_i8mm);
SLM_TILE_MATMUL(slm_matmul_q3_k_q8_k_tile_i8mm);
SLM_TILE_MATMUL(slm_matmul_q4_k_q8_k_tile_i8mm);
SLM_TILE_MATMUL(slm_matmul_q5_k_q8_k_tile_i8mm);
SLM_TILE_MATMUL(slm_matmul_q6_k_q8_k_tile_i8mm);
SLM_TILE_MATMUL(slm_matmul_q4_0_q8_0_tile_i8mm);
SLM_TILE_MATMUL(slm_matmul_q8_0_q8_0_tile_i8mm);

#define SLM_ARM_ATTEND(name)                                                                       \
    void name(const slm_attention *a, size_t first, size_t n, const void *const *k,                \
              const void *const v[4], size_t v_bytes, size_t t0, size_t t1)
SLM_ARM_ATTEND(slm_attend_f16_neon);
SLM_ARM_ATTEND(slm_attend_f32_neon);
SLM_ARM_ATTEND(slm_attend_q8_0_neon);
SLM_ARM_ATTEND(slm_attend_q8_0_dotprod);
void slm_kv_store_f16_neon(void *row, const float *x, size_t d);

uint32_t slm_crc32c_dotprod(const void *data, size_t size, uint32_t crc);

#endif
