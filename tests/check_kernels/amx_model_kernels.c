#include "amx_model.h"
#include "packed_types.h"

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

#define slm_put_row_amx put_row
static SLM_AMX_PUT(slm_put_row_amx);
#include "x86/put_row_amx.c"
#undef slm_put_row_amx

#define DEFINE(TYPE, type, ACT, act, block)                                                        \
    static SLM_AMX_MATMUL(matmul_##type);                                                          \
    SLM_PACKED_AMX(TYPE, matmul_##type, block, slm_matmul_##type##_##act##_tile_avx512)
SLM_PACKED_TYPES(DEFINE)

int amx_model(slm_kernels *kernels) {
    if (!(slm_cpu_levels() & SLM_LEVEL_AVX512))
        return 0;
    amx_model_check();
    slm_kernels_init(kernels, SLM_LEVEL_AVX2 | SLM_LEVEL_AVX512);
    SLM_PACKED_TYPES(SLM_PACKED_ENTRY)
    kernels->put_row = put_row;
    return 1;
}

#else

int amx_model(slm_kernels *kernels) {
    (void)kernels;
    return 0;
}

#endif
