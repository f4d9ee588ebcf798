#include "quantize_search.h"

#include <math.h>

/* The value of largest magnitude, the first of equals; 0 when all are nearly zero. */
static float signed_max(int n, const float *x) {
    float max = 0, magnitude = 0;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > magnitude) {
            magnitude = fabsf(x[i]);
            max = x[i];
        }
    return magnitude < SLM_GROUP_MIN ? 0.0f : max;
}

static void clear(int n, uint8_t *levels) {
    for (int i = 0; i < n; i++)
        levels[i] = 0;
}

float slm_search_signed(int n, int n_max, const float *x, const float *weights, uint8_t *levels) {
    float max = signed_max(n, x);
    clear(n, levels);
    if (max == 0.0f)
        return 0.0f;
    float scale = 0, best = 0;
    for (int trial = -10; trial <= 9; trial++) { /* the first one is the plain guess */
        float inverse =
            trial == -10 ? (float)-n_max / max : -((float)n_max + 0.1f * (float)trial) / max;
        if (trial == 0)
            continue;
        float xl = 0, ll = 0;
        for (int i = 0; i < n; i++) {
            int l = slm_clamp_int(slm_nearest(inverse * x[i]), -n_max, n_max - 1);
            float w = weights != NULL ? weights[i] : x[i] * x[i];
            xl += w * x[i] * (float)l;
            ll += w * (float)l * (float)l;
        }
        if (trial == -10) {
            scale = ll != 0.0f ? xl / ll : 0.0f;
        } else {
            if (!(ll > 0 && xl * xl > best * ll))
                continue;
            scale = xl / ll;
        }
        best = scale * xl;
        for (int i = 0; i < n; i++) {
            int l = slm_clamp_int(slm_nearest(inverse * x[i]), -n_max, n_max - 1);
            levels[i] = (uint8_t)(l + n_max);
        }
    }
    return scale;
}

float slm_search_signed_descent(int n, int n_max, const float *x, uint8_t *levels) {
    float max = signed_max(n, x);
    clear(n, levels);
    if (max == 0.0f)
        return 0.0f;
    float inverse = (float)-n_max / max, xl = 0, ll = 0;
    for (int i = 0; i < n; i++) {
        int l = slm_clamp_int(slm_nearest(inverse * x[i]), -n_max, n_max - 1);
        float w = x[i] * x[i];
        levels[i] = (uint8_t)(l + n_max);
        xl += w * x[i] * (float)l;
        ll += w * (float)l * (float)l;
    }
    for (int pass = 0, changed = 1; pass < 5 && changed; pass++) {
        changed = 0;
        for (int i = 0; i < n; i++) {
            int old = levels[i] - n_max;
            float w = x[i] * x[i];
            float new_xl = xl - w * x[i] * (float)old;
            if (!(new_xl > 0))
                continue;
            float new_ll = ll - w * (float)old * (float)old;
            int l = slm_clamp_int(slm_nearest(x[i] * new_ll / new_xl), -n_max, n_max - 1);
            if (l == old)
                continue;
            new_xl += w * x[i] * (float)l;
            new_ll += w * (float)l * (float)l;
            if (new_ll > 0 && new_xl * new_xl * ll > xl * xl * new_ll) {
                levels[i] = (uint8_t)(l + n_max);
                xl = new_xl;
                ll = new_ll;
                changed = 1;
            }
        }
    }
    return ll > 0.0f ? xl / ll : 0.0f;
}

static float weighted_error(int n, const float *x, const float *weights, const uint8_t *levels,
                            float scale, float min, int absolute) {
    float error = 0;
    for (int i = 0; i < n; i++) {
        float difference = scale * (float)levels[i] + min - x[i];
        difference = absolute ? fabsf(difference) : difference * difference;
        error += weights[i] * difference;
    }
    return error;
}

float slm_search_min(int n, int n_max, const float *x, const float *weights,
                     const slm_search_steps *steps, uint8_t *levels, float *out_min) {
    float min = x[0], max = x[0], sum_w = weights[0], sum_x = sum_w * x[0];
    for (int i = 1; i < n; i++) {
        min = x[i] < min ? x[i] : min;
        max = x[i] > max ? x[i] : max;
        sum_w += weights[i];
        sum_x += weights[i] * x[i];
    }
    if (min > 0)
        min = 0;
    clear(n, levels);
    *out_min = -min;
    if (!(max > min))
        return 0.0f;
    float low = min, inverse = (float)n_max / (max - min), scale = 1 / inverse;
    for (int i = 0; i < n; i++)
        levels[i] = (uint8_t)slm_clamp_int(slm_nearest(inverse * (x[i] - min)), 0, n_max);
    float best = weighted_error(n, x, weights, levels, scale, min, steps->absolute);
    for (int step = 0; step <= steps->n; step++) {
        uint8_t trial[32];
        float sum_l = 0, sum_l2 = 0, sum_xl = 0;
        /* The bounds of the trial scales are those of the best fit so far, as in the original. */
        inverse = (steps->first + steps->step * (float)step + (float)n_max) / (max - low);
        for (int i = 0; i < n; i++) {
            int l = slm_clamp_int(slm_nearest(inverse * (x[i] - low)), 0, n_max);
            float w = weights[i];
            trial[i] = (uint8_t)l;
            sum_l += w * (float)l;
            sum_l2 += w * (float)l * (float)l;
            sum_xl += w * (float)l * x[i];
        }
        float det = sum_w * sum_l2 - sum_l * sum_l;
        if (!(det > 0))
            continue;
        float new_scale = (sum_w * sum_xl - sum_x * sum_l) / det;
        float new_min = (sum_l2 * sum_x - sum_l * sum_xl) / det;
        if (new_min > 0) {
            new_min = 0;
            new_scale = sum_xl / sum_l2;
        }
        float error = weighted_error(n, x, weights, trial, new_scale, new_min, steps->absolute);
        if (error < best) {
            for (int i = 0; i < n; i++)
                levels[i] = trial[i];
            best = error;
            scale = new_scale;
            low = new_min;
        }
    }
    *out_min = -low;
    return scale;
}

float slm_search_positive(int n, int n_max, const float *x, const float *weights, uint8_t *levels) {
    float max = 0;
    for (int i = 0; i < n; i++)
        max = max > x[i] ? max : x[i];
    clear(n, levels);
    if (max < SLM_GROUP_MIN)
        return 0.0f;
    float inverse = (float)n_max / max, best = 0;
    for (int trial = -5; trial <= 4; trial++) { /* the first one is the plain guess */
        if (trial == 0)
            continue;
        float trial_inverse = trial == -5 ? inverse : (0.1f * (float)trial + (float)n_max) / max;
        float scale = 1 / trial_inverse, error = 0;
        for (int i = 0; i < n; i++) {
            int l = slm_nearest(trial_inverse * x[i]);
            float difference = x[i] - scale * (float)(l < n_max ? l : n_max);
            error += weights[i] * difference * difference;
        }
        if (trial == -5 || error < best) {
            best = error;
            inverse = trial_inverse;
        }
    }
    float xl = 0, ll = 0;
    for (int i = 0; i < n; i++) {
        int l = slm_clamp_int(slm_nearest(inverse * x[i]), 0, n_max);
        float w = weights[i];
        levels[i] = (uint8_t)l;
        xl += w * x[i] * (float)l;
        ll += w * (float)l * (float)l;
    }
    for (int pass = 0, changed = 1; pass < 5 && changed; pass++) {
        changed = 0;
        for (int i = 0; i < n; i++) {
            int old = levels[i];
            float w = weights[i];
            float new_xl = xl - w * x[i] * (float)old, new_ll = ll - w * (float)old * (float)old;
            if (!(new_xl > 0 && new_ll > 0))
                continue;
            int l = slm_clamp_int(slm_nearest(x[i] * new_ll / new_xl), 0, n_max);
            if (l == old)
                continue;
            new_xl += w * x[i] * (float)l;
            new_ll += w * (float)l * (float)l;
            if (new_xl * new_xl * ll > xl * xl * new_ll) {
                levels[i] = (uint8_t)l;
                xl = new_xl;
                ll = new_ll;
                changed = 1;
            }
        }
    }
    return ll > 0.0f ? xl / ll : 0.0f;
}
