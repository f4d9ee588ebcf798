/* Mean and variance are exact to double precision: lane l of 8 takes the terms at l, l + 8, ...
 * ascending, then lanes are added in pairs 4, 2 and 1 apart. y = ((x - mean) * scale) * w + bias in
 * float, mean and scale = 1 / sqrt(variance + eps) rounded once. */
#include "ref.h"

#include <math.h>

SLM_INLINE double add_eight(double lanes[8]) {
    for (int step = 4; step > 0; step /= 2)
        for (int l = 0; l < step; l++)
            lanes[l] += lanes[l + step];
    return lanes[0];
}

void slm_layer_norm_ref(float *y, const float *x, const float *w, const float *bias, size_t n,
                        float eps) {
    double sum[8] = {0}, squares[8] = {0};
    for (size_t i = 0; i < n; i++)
        sum[i % 8] += (double)x[i];
    double mean = add_eight(sum) / (double)n;
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - mean;
        squares[i % 8] += d * d;
    }
    float scale = (float)(1.0 / sqrt(add_eight(squares) / (double)n + (double)eps));
    float center = (float)mean;
    for (size_t i = 0; i < n; i++)
        y[i] = (x[i] - center) * scale * w[i] + bias[i];
}
