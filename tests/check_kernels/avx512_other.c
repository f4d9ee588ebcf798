#include "avx512_other.h"

#if defined(SLM_HAVE_AVX2)

#include "x86/level_avx512.h"

int avx512_other(slm_kernels *kernels) {
    if (!(slm_cpu_levels() & SLM_LEVEL_AVX512))
        return 0;
    slm_kernels_init(kernels, SLM_LEVEL_AVX2 | SLM_LEVEL_AVX512);
    kernels->matmul[SLM_DTYPE_Q4_K][SLM_ACT_Q8_K_TILE] =
        __builtin_cpu_is("intel") ? slm_matmul_q4_k_q8_k_tile_avx512
                                  : slm_matmul_q4_k_q8_k_tile_avx512_by16;
    return 1;
}

#else

int avx512_other(slm_kernels *kernels) {
    (void)kernels;
    return 0;
}

#endif
