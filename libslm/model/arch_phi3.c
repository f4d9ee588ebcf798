/* Phi-3-mini 4k and 128k, Phi-3.5-mini, Phi-4-mini. Source: Abdin et al. 2024 (Phi-3), the models'
 * published configuration. */
#include "model/config.h"

/* The official file of Phi-3-mini-4k lacks the key of its window, without which it breaks down
 * after some 2,000 tokens. */
static uint32_t default_window(uint32_t n_layers, uint64_t n_ctx) {
    return n_layers == 32 && n_ctx == 4096 ? 2047 : 0;
}

const slm_arch slm_arch_phi3 = {
    .name = "phi3",
    .activation = SLM_ACTIVATION_SILU,
    .fused_qkv = 1,
    .fused_gate_up = 1,
    .long_rope = 1,
    .window = 1,
    .default_window = default_window,
};
