#include "kernels.h"

#include "cpu_features.h"
#include "packed.h"

uint32_t slm_cpu_levels(void) {
    uint32_t built = SLM_LEVEL_PORTABLE;
#if defined(SLM_HAVE_AVX2)
    built |= SLM_LEVEL_AVX2 | SLM_LEVEL_AVX512;
#if defined(SLM_HAVE_AVXVNNI)
    built |= SLM_LEVEL_AVXVNNI;
#endif
#if defined(SLM_HAVE_AMX)
    built |= SLM_LEVEL_AMX;
#endif
#elif defined(SLM_HAVE_DOTPROD)
    built |= SLM_LEVEL_NEON | SLM_LEVEL_DOTPROD | SLM_LEVEL_I8MM;
#endif
    return slm_cpu_detect() & built;
}

void slm_kernels_init(slm_kernels *kernels, uint32_t mask) {
    uint32_t levels = slm_cpu_levels() & mask;
    slm_kernels_init_ref(kernels);
#if defined(SLM_HAVE_AVX2)
    if (levels & SLM_LEVEL_AVX2)
        slm_kernels_init_avx2(kernels);
#if defined(SLM_HAVE_AVXVNNI)
    if ((levels & SLM_LEVEL_AVX2) && (levels & SLM_LEVEL_AVXVNNI))
        slm_kernels_init_avxvnni(kernels);
#endif
    if ((levels & SLM_LEVEL_AVX2) && (levels & SLM_LEVEL_AVX512))
        slm_kernels_init_avx512(kernels);
#if defined(SLM_HAVE_AMX)
    if ((levels & SLM_LEVEL_AVX2) && (levels & SLM_LEVEL_AVX512) && (levels & SLM_LEVEL_AMX))
        slm_kernels_init_amx(kernels);
#endif
#elif defined(SLM_HAVE_DOTPROD)
    if (levels & SLM_LEVEL_NEON)
        slm_kernels_init_neon(kernels);
    if (levels & SLM_LEVEL_DOTPROD)
        slm_kernels_init_dotprod(kernels);
    if ((levels & SLM_LEVEL_DOTPROD) && (levels & SLM_LEVEL_I8MM))
        slm_kernels_init_i8mm(kernels);
#else
    (void)levels;
#endif
}

slm_act slm_act_for(uint32_t type) {
    switch (type) {
    case SLM_DTYPE_Q4_0:
    case SLM_DTYPE_Q4_1:
    case SLM_DTYPE_Q5_0:
    case SLM_DTYPE_Q5_1:
    case SLM_DTYPE_Q8_0:
    case SLM_DTYPE_IQ4_NL:
        return SLM_ACT_Q8_0;
    case SLM_DTYPE_Q2_K:
    case SLM_DTYPE_Q3_K:
    case SLM_DTYPE_Q4_K:
    case SLM_DTYPE_Q5_K:
    case SLM_DTYPE_Q6_K:
    case SLM_DTYPE_IQ4_XS:
    case SLM_DTYPE_TQ1_0:
    case SLM_DTYPE_TQ2_0:
        return SLM_ACT_Q8_K;
    case SLM_DTYPE_I2_S:
        return SLM_ACT_I8_ROW;
    default:
        return SLM_ACT_F32;
    }
}

slm_act slm_act_packed(slm_act act) {
    return act == SLM_ACT_Q8_0 ? SLM_ACT_Q8_0_TILE : act == SLM_ACT_Q8_K ? SLM_ACT_Q8_K_TILE : act;
}

size_t slm_act_row_bytes(slm_act act, size_t k) {
    size_t bytes = 0;
    switch (act) {
    case SLM_ACT_F32:
        bytes = k * sizeof(float);
        break;
    case SLM_ACT_Q8_0:
        bytes = (k + 31) / 32 * sizeof(slm_act_q8_0);
        break;
    case SLM_ACT_Q8_K:
        bytes = (k + 255) / 256 * sizeof(slm_act_q8_k);
        break;
    case SLM_ACT_I8_ROW:
        bytes = sizeof(slm_act_i8_header) + k;
        break;
    case SLM_ACT_Q8_0_TILE:
        bytes = (k + 255) / 256 * 8 * SLM_TILE_0_WORDS * 4; /* whole blocks of 256: AMX */
        break;
    case SLM_ACT_Q8_K_TILE:
        bytes = (k + 255) / 256 * SLM_TILE_K_WORDS * 4;
        break;
    case SLM_ACT_LIMIT:
        break;
    }
    return (bytes + 63) / 64 * 64;
}

size_t slm_act_rows(slm_act act, size_t n_rows) {
    if (act == SLM_ACT_Q8_0_TILE || act == SLM_ACT_Q8_K_TILE)
        return (n_rows + 15) / 16 * 16; /* AMX */
    return n_rows;
}

size_t slm_act_bytes(slm_act act, size_t n_rows, size_t k) {
    return slm_act_rows(act, n_rows) * slm_act_row_bytes(act, k);
}

size_t slm_kv_row_bytes(slm_kv kv, size_t d_head) {
    switch (kv) {
    case SLM_KVT_F16:
        return 2 * d_head;
    case SLM_KVT_Q8_0:
        return (d_head + 31) / 32 * sizeof(slm_block_q8_0);
    case SLM_KVT_F32:
        return 4 * d_head;
    case SLM_KVT_LIMIT:
        break;
    }
    return 0;
}
