#include "amx_model.h"

#if defined(SLM_HAVE_AVX2)

#define SLM_TILE_CONFIG(config)        amx_model_config(config)
#define SLM_TILE_RELEASE()             amx_model_release()
#define SLM_TILE_ZERO(t)               amx_model_zero(t)
#define SLM_TILE_LOAD(t, from, stride) amx_model_load(t, from, stride)
#define SLM_TILE_STORE(t, to, stride)  amx_model_store(t, to, stride)
#define SLM_TILE_SU(c, a, b)           amx_model_product(c, a, b, 0)
#define SLM_TILE_SS(c, a, b)           amx_model_product(c, a, b, 1)

#include "x86/level_amx.h"
#include "x86/level_avx512.h"
#include "x86/packed_amx.h"

static SLM_AMX_MATMUL(matmul_q2_k);
static SLM_AMX_MATMUL(matmul_q3_k);
static SLM_AMX_MATMUL(matmul_q4_k);
static SLM_AMX_MATMUL(matmul_q5_k);
static SLM_AMX_MATMUL(matmul_q6_k);
static SLM_AMX_MATMUL(matmul_q4_0);
static SLM_AMX_MATMUL(matmul_q8_0);

SLM_PACKED_AMX(Q2_K, matmul_q2_k, 256, 21, slm_matmul_q2_k_q8_k_tile_avx512)
SLM_PACKED_AMX(Q3_K, matmul_q3_k, 256, 27, slm_matmul_q3_k_q8_k_tile_avx512)
SLM_PACKED_AMX(Q4_K, matmul_q4_k, 256, 36, slm_matmul_q4_k_q8_k_tile_avx512)
SLM_PACKED_AMX(Q5_K, matmul_q5_k, 256, 44, slm_matmul_q5_k_q8_k_tile_avx512)
SLM_PACKED_AMX(Q6_K, matmul_q6_k, 256, 52, slm_matmul_q6_k_q8_k_tile_avx512)
SLM_PACKED_AMX(Q4_0, matmul_q4_0, 32, 4, slm_matmul_q4_0_q8_0_tile_avx512)
SLM_PACKED_AMX(Q8_0, matmul_q8_0, 32, 8, slm_matmul_q8_0_q8_0_tile_avx512)

int amx_model(slm_kernels *kernels) {
    if (!(slm_cpu_levels() & SLM_LEVEL_AVX512))
        return 0;
    amx_model_check();
    slm_kernels_init(kernels, SLM_LEVEL_AVX2 | SLM_LEVEL_AVX512);
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

int amx_model(slm_kernels *kernels) {
    (void)kernels;
    return 0;
}

#endif
