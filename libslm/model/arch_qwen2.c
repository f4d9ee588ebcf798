/* Qwen 2 and 2.5. Source: Yang et al. 2024. */
#include "model/config.h"

const slm_arch slm_arch_qwen2 = {
    .name = "qwen2",
    .activation = SLM_ACTIVATION_SILU,
    .qkv_bias = 1,
};
