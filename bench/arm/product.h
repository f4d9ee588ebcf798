/* What the programs that make one matrix product share, so that all of them make the same one:
 * its numbers, and what they say of the result. */
#ifndef SLM_BENCH_ARM_PRODUCT_H
#define SLM_BENCH_ARM_PRODUCT_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Rows of weights that differ; the others repeat them, as quantising takes most of the time. */
enum { PRODUCT_ROWS = 16 };

/* n numbers in [-1, 1). */
static inline void product_fill(float *x, size_t n, uint32_t seed) {
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) * 0x1p-23f - 1;
    }
}

static inline void product_weights(float *w, size_t k) {
    product_fill(w, PRODUCT_ROWS * k, 1);
}

static inline void product_activations(float *x, size_t columns, size_t k) {
    product_fill(x, columns * k, 2);
}

/* One line of CSV of the result y[column][row]: its root mean square, and the mean of y times a
 * pattern, which changes when rows or columns are out of place. */
static inline void product_print(const float *y, size_t rows, size_t columns) {
    double squares = 0, sum = 0;
    for (size_t i = 0; i < rows * columns; i++) {
        squares += (double)y[i] * y[i];
        sum += (double)y[i] * (double)(i * 7 % 11);
    }
    const double n = (double)(rows * columns);
    printf("product,%.6g,%.6g\n", sqrt(squares / n), sum / n);
}

#endif
