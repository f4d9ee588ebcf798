/* BitNet b1.58 2B4T: ternary weights, activations rounded to int8 per token, squared ReLU, norms
 * inside both branches. Source: Ma et al. 2025 and Microsoft's reference implementation. The first
 * upload called itself bitnet-25. */
#include "model/config.h"

#define BITNET                                                                   \
    .activation = SLM_ACTIVATION_RELU2, .sub_norm = 1, .act_i8_row = 1, .i2_s = 1

const slm_arch slm_arch_bitnet = {.name = "bitnet-b1.58", BITNET};
const slm_arch slm_arch_bitnet_25 = {.name = "bitnet-25", BITNET};
