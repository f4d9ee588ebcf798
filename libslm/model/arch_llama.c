/* Llama 2, 3, 3.1, 3.2, SmolLM2 and everything converted under that name. Long contexts of Llama 3
 * come as rope_freqs.weight. Source: Touvron et al. 2023; Grattafiori et al. 2024. */
#include "model/config.h"

const slm_arch slm_arch_llama = {
    .name = "llama",
    .activation = SLM_ACTIVATION_SILU,
    .rope_interleaved = 1, /* the converter permutes the rows of Q and K */
};
