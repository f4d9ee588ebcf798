/* Qwen 3, dense. Source: Yang et al. 2025. */
#include "model/config.h"

const slm_arch slm_arch_qwen3 = {
    .name = "qwen3",
    .activation = SLM_ACTIVATION_SILU,
    .qk_norm = 1,
};
