/* Gated activations. */
#include "exp.h"

void slm_silu_mul_ref(float *h, const float *gate, const float *up, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float g = gate[i];
        h[i] = g / (1.0f + slm_expf(-g)) * up[i];
    }
}

/* g/2 (1 + tanh u) = g / (1 + exp(-2u)) with u = sqrt(2/pi) (g + 0.044715 g^3)
 * (Hendrycks and Gimpel 2016); without the cancellation of 1 + tanh. */
void slm_gelu_mul_ref(float *h, const float *gate, const float *up, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float g = gate[i];
        float u2 = g * (1.5957691f + 0.071354814f * (g * g));
        h[i] = g / (1.0f + slm_expf(-u2)) * up[i];
    }
}

void slm_relu2_mul_ref(float *h, const float *gate, const float *up, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float g = gate[i] < 0.0f ? 0.0f : gate[i]; /* NaN stays */
        h[i] = g * g * up[i];
    }
}
