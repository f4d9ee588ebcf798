#include "x86/float_avx2.h"
#include "x86/level_avx2.h"

SLM_AVX2_MATMUL(slm_matmul_f16_f32_avx2) {
    const slm_float_type type = {slm_load8_f16, 2};
    slm_float_matmul(type, y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a, k, 1.0f);
}
