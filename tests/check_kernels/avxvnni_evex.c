#include "avxvnni_evex.h"
#include "packed_types.h"

#if defined(SLM_HAVE_AVX2)

#define SLM_DPBUSD _mm256_dpbusd_epi32

#include "x86/packed_avx2.h"

#define DEFINE(TYPE, type, ACT, act, block)                                                        \
    static void matmul_##type(float *y, size_t y_stride, const void *w, size_t w_bytes,            \
                              size_t n_w, const void *a, size_t a_bytes, size_t n_a, size_t k);    \
    SLM_PACKED_MATMUL(TYPE, matmul_##type, block, SLM_PACKED_DIRECT)
SLM_PACKED_TYPES(DEFINE)

int avxvnni_evex(slm_kernels *kernels) {
    if (!(slm_cpu_levels() & SLM_LEVEL_AVX512))
        return 0;
    slm_kernels_init(kernels, SLM_LEVEL_AVX2);
    SLM_PACKED_TYPES(SLM_PACKED_ENTRY)
    return 1;
}

#else

int avxvnni_evex(slm_kernels *kernels) {
    (void)kernels;
    return 0;
}

#endif
