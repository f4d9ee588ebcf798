#include "avxvnni_evex.h"

#if defined(SLM_HAVE_AVX2)

#define SLM_DPBUSD _mm256_dpbusd_epi32

#include "x86/packed_avx2.h"

#define STATIC_MATMUL(name)                                                                        \
    static void name(float *y, size_t y_stride, const void *w, size_t w_bytes, size_t n_w,         \
                     const void *a, size_t a_bytes, size_t n_a, size_t k)
STATIC_MATMUL(matmul_q2_k);
STATIC_MATMUL(matmul_q3_k);
STATIC_MATMUL(matmul_q4_k);
STATIC_MATMUL(matmul_q5_k);
STATIC_MATMUL(matmul_q6_k);
STATIC_MATMUL(matmul_q4_0);
STATIC_MATMUL(matmul_q8_0);

SLM_PACKED_MATMUL(Q2_K, matmul_q2_k, 256, 21, SLM_PACKED_DIRECT)
SLM_PACKED_MATMUL(Q3_K, matmul_q3_k, 256, 27, SLM_PACKED_DIRECT)
SLM_PACKED_MATMUL(Q4_K, matmul_q4_k, 256, 36, SLM_PACKED_DIRECT)
SLM_PACKED_MATMUL(Q5_K, matmul_q5_k, 256, 44, SLM_PACKED_DIRECT)
SLM_PACKED_MATMUL(Q6_K, matmul_q6_k, 256, 52, SLM_PACKED_DIRECT)
SLM_PACKED_MATMUL(Q4_0, matmul_q4_0, 32, 4, SLM_PACKED_DIRECT)
SLM_PACKED_MATMUL(Q8_0, matmul_q8_0, 32, 8, SLM_PACKED_DIRECT)

int avxvnni_evex(slm_kernels *kernels) {
    if (!(slm_cpu_levels() & SLM_LEVEL_AVX512))
        return 0;
    slm_kernels_init(kernels, SLM_LEVEL_AVX2);
    kernels->matmul[SLM_DTYPE_Q2_K][SLM_ACT_Q8_K_TILE] = matmul_q2_k;
    kernels->matmul[SLM_DTYPE_Q3_K][SLM_ACT_Q8_K_TILE] = matmul_q3_k;
    kernels->matmul[SLM_DTYPE_Q4_K][SLM_ACT_Q8_K_TILE] = matmul_q4_k;
    kernels->matmul[SLM_DTYPE_Q5_K][SLM_ACT_Q8_K_TILE] = matmul_q5_k;
    kernels->matmul[SLM_DTYPE_Q6_K][SLM_ACT_Q8_K_TILE] = matmul_q6_k;
    kernels->matmul[SLM_DTYPE_Q4_0][SLM_ACT_Q8_0_TILE] = matmul_q4_0;
    kernels->matmul[SLM_DTYPE_Q8_0][SLM_ACT_Q8_0_TILE] = matmul_q8_0;
    return 1;
}

#else

int avxvnni_evex(slm_kernels *kernels) {
    (void)kernels;
    return 0;
}

#endif
