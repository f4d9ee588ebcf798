/* Phi-4-mini-flash: a decoder of scans and windowed attention, and a second one of gates on the last
 * scan and of attention to the keys and values of one layer (SambaY). Source: Ren et al. 2025
 * (arXiv 2507.06607); scans: Gu and Dao 2023; differential attention: Ye et al. 2024. */
#include "model/config.h"

static slm_mixer mixer(uint32_t layer, uint32_t n_layers) {
    uint32_t half = n_layers / 2;
    if (n_layers % 4 != 0)
        return SLM_MIXER_LIMIT;
    if (layer % 2 == 0)
        return layer <= half ? SLM_MIXER_SCAN : SLM_MIXER_MEMORY;
    return layer < half ? SLM_MIXER_ATTENTION
           : layer == half + 1 ? SLM_MIXER_FULL : SLM_MIXER_CROSS;
}

const slm_arch slm_arch_phi4flash = {
    .name = "phi4flash",
    .activation = SLM_ACTIVATION_SILU,
    .fused_qkv = 1,
    .fused_gate_up = 1,
    .qkv_bias = 1,
    .output_bias = 1,
    .window = 1,
    .layer_norm = 1,
    .no_rope = 1,
    .differential = 1,
    .recurrent = 1,
    .mixer = mixer,
    .mixer_codes = {[SLM_MIXER_SCAN] = 0, [SLM_MIXER_ATTENTION] = 1, [SLM_MIXER_FULL] = 2,
                    [SLM_MIXER_MEMORY] = 3, [SLM_MIXER_CROSS] = 4},
    .foreign_key = "ssm_d_conv", /* heads of Q and K: all even ones, then all odd ones */
};
