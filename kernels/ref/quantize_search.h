/* The scale searches behind the file quantisers. Each finds integer levels for n values and the
 * scale (and minimum) that belongs to them, by weighted least squares over a few trial scales.
 * They must make the very bits that ggml's quantisers make (github.com/ggml-org/ggml d99724f2,
 * src/ggml-quants.c): the order of every operation counts. docs/FORMATS.md describes them. */
#ifndef SLM_QUANTIZE_SEARCH_H
#define SLM_QUANTIZE_SEARCH_H

#include "ref.h"

/* A group whose largest magnitude is below this is all zero. */
#define SLM_GROUP_MIN 1e-15f

SLM_INLINE int slm_clamp_int(int v, int low, int high) {
    return v < low ? low : v > high ? high : v;
}

/* Nearest integer, half to even; 0 for NaN and for what is out of the trick's range, which only
 * non-finite weights or scales lead to. */
SLM_INLINE int slm_nearest(float x) {
    return x > -4194304.0f && x < 4194304.0f ? slm_round_even(x) : 0;
}

/* Towards zero; the same guard. */
SLM_INLINE int slm_truncate(float x) {
    return x > -4194304.0f && x < 4194304.0f ? (int)x : 0;
}

/* Half away from zero; the same guard. */
SLM_INLINE int slm_nearest_away(float x) {
    int t = slm_truncate(x);
    float rest = x - (float)t; /* NaN and large values stay 0 by the clamp of the callers */
    return rest >= 0.5f ? t + 1 : rest <= -0.5f ? t - 1 : t;
}

/* Signed levels -n_max..n_max-1, stored plus n_max. weights NULL: x^2. Returns the scale. */
float slm_search_signed(int n, int n_max, const float *x, const float *weights, uint8_t *levels);

/* The same, weighted by x^2, by coordinate descent from the first guess. */
float slm_search_signed_descent(int n, int n_max, const float *x, uint8_t *levels);

typedef struct slm_search_steps {
    float first, step; /* trial scales: (first + step * i + n_max) / (max - min), i = 0..n */
    int n;
    int absolute; /* error is |difference|, not its square                                      */
} slm_search_steps;

/* Levels 0..n_max with a minimum: x = scale * level - *min, *min >= 0. Returns the scale. */
float slm_search_min(int n, int n_max, const float *x, const float *weights,
                     const slm_search_steps *steps, uint8_t *levels, float *min);

/* Levels 0..n_max of values that are not negative (scales of sub-blocks). */
float slm_search_positive(int n, int n_max, const float *x, const float *weights, uint8_t *levels);

#endif
