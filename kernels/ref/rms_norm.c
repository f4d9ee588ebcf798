/* The sum of squares is exact to double precision: lane l of 8 takes the squares at l, l + 8, ...
 * ascending, then lanes are added in pairs 4, 2 and 1 apart. y = (x * scale) * w in float, with
 * scale = 1 / sqrt(mean + eps) rounded once. */
#include "ref.h"

#include <math.h>

void slm_rms_norm_ref(float *y, const float *x, const float *w, size_t n, float eps) {
    double lanes[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int l = 0; l < 8; l++)
            lanes[l] += (double)x[i + (size_t)l] * (double)x[i + (size_t)l];
    for (int l = 0; i < n; i++, l++)
        lanes[l] += (double)x[i] * (double)x[i];
    for (int step = 4; step > 0; step /= 2)
        for (int l = 0; l < step; l++)
            lanes[l] += lanes[l + step];
    float scale = (float)(1.0 / sqrt(lanes[0] / (double)n + (double)eps));
    if (w != NULL)
        for (i = 0; i < n; i++)
            y[i] = x[i] * scale * w[i];
    else
        for (i = 0; i < n; i++)
            y[i] = x[i] * scale;
}
