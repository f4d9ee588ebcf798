/* Softmax, the sum of exponentials, and the largest value. Exponentials are floats (slm_expf);
 * they are summed in double: lane l of 8 takes those at l, l + 8, ... ascending, then lanes are
 * added in pairs 4, 2 and 1 apart. */
#include "exp.h"

SLM_INLINE double add_lanes(double lanes[8]) {
    for (int step = 4; step > 0; step /= 2)
        for (int l = 0; l < step; l++)
            lanes[l] += lanes[l + step];
    return lanes[0];
}

void slm_softmax_ref(float *s, size_t n) {
    size_t index;
    int finite;
    float max = slm_max_index_ref(s, n, &index, &finite);
    for (size_t i = 0; i < n; i++)
        s[i] = slm_expf(s[i] - max);
    double lanes[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int l = 0; l < 8; l++)
            lanes[l] += (double)s[i + (size_t)l];
    for (int l = 0; i < n; i++, l++)
        lanes[l] += (double)s[i];
    float scale = (float)(1.0 / add_lanes(lanes));
    for (i = 0; i < n; i++)
        s[i] *= scale;
}

double slm_sum_exp_ref(const float *x, size_t n, float max) {
    double lanes[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        float e[8];
        for (int l = 0; l < 8; l++)
            e[l] = slm_expf(x[i + (size_t)l] - max);
        for (int l = 0; l < 8; l++)
            lanes[l] += (double)e[l];
    }
    for (int l = 0; i < n; i++, l++)
        lanes[l] += (double)slm_expf(x[i] - max);
    return add_lanes(lanes);
}

float slm_max_index_ref(const float *x, size_t n, size_t *index, int *finite) {
    float lanes[16];
    int32_t bad[16] = {0};
    for (int l = 0; l < 16; l++)
        lanes[l] = -__builtin_inff();
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int l = 0; l < 16; l++) {
            float v = x[i + (size_t)l];
            lanes[l] = v > lanes[l] ? v : lanes[l];
            bad[l] |= v < __builtin_inff() ? 0 : 1;
        }
    for (; i < n; i++) {
        lanes[0] = x[i] > lanes[0] ? x[i] : lanes[0];
        bad[0] |= x[i] < __builtin_inff() ? 0 : 1;
    }
    float max = lanes[0];
    for (int l = 1; l < 16; l++) {
        max = lanes[l] > max ? lanes[l] : max;
        bad[0] |= bad[l];
    }
    for (i = 0; i < n && x[i] != max; i++)
        ;
    *index = i < n ? i : 0; /* NaN only */
    *finite = !bad[0];
    return x[*index];
}
