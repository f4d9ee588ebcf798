/* The two drivers of the quantised products. A type brings
 *   a dot    one block of a panel times one block of activations, all in registers: for one
 *            activation row, where every weight is used once;
 *   an unpack and a multiply   256 weights of a panel as bytes on the stack, then those times four,
 *            two or one rows of activations: for more, where unpacking is paid once for 64 rows.
 * Both must make the same float operations in the same order. */
#ifndef SLM_X86_PANEL_AVX2_H
#define SLM_X86_PANEL_AVX2_H

#include "x86/avx2.h"

enum {
    SLM_TILE = 64,       /* activation rows of a pass                                            */
    SLM_TILE_PANELS = 8, /* panels of a pass with many activation rows                           */
    SLM_CHUNK = 256      /* weights of a row that are unpacked at a time                         */
};

/* 256 weights, or what is left of a row, of eight rows. */
typedef struct slm_panel {
    __m256i q[64];     /* lane r of q[i]: weights 4i .. 4i+3 of row r, bytes                      */
    __m256i scale[16]; /* of each sub-block, 16 bits, twice in each lane                         */
    __m256i min[8];    /* of two sub-blocks each, 16 bits                                        */
    __m256 d[8], m[8]; /* of each block                                                          */
} slm_panel;

/* What is found once for a chunk of an activation row. */
typedef struct slm_prepared {
    int32_t v[8];
} slm_prepared;

typedef __m256 (*slm_dot_fn)(__m256 acc, const slm_rows8 *rows, size_t offset, const void *a);
typedef void (*slm_unpack_fn)(slm_panel *panel, const slm_rows8 *rows, size_t offset, size_t n);
typedef void (*slm_prepare_fn)(slm_prepared *prepared, const void *a, size_t n);
/* n blocks of n_a (constant) rows of activations; acc[j] for row j. */
typedef void (*slm_multiply_fn)(__m256 *acc, const slm_panel *panel, const slm_prepared *prepared,
                                const uint8_t *a, size_t a_bytes, size_t n_a, size_t n);

/* The accumulator of one row of activations as results. */
typedef __m256 (*slm_finish_fn)(__m256 acc, const void *a_row);

typedef struct slm_panel_type {
    size_t block, block_bytes;    /* weights and bytes of a block                                */
    size_t act_header, act_bytes; /* bytes before the activations of a row; those of a block     */
    slm_dot_fn dot;
    slm_unpack_fn unpack;
    slm_prepare_fn prepare; /* may be NULL                                                       */
    slm_multiply_fn multiply;
    slm_finish_fn finish; /* may be NULL                                                         */
} slm_panel_type;

/* sum[j] = the products of n_sub sub-blocks, each of steps vectors of weights, times their scales
 * (NULL: one). chain: of how many vectors the products fit 16 bits together. */
SLM_INLINE void slm_dot4(__m256i sum[4], const __m256i *q, const __m256i *scale, size_t n_sub,
                         int steps, int chain, int is_signed, const int8_t *x0, const int8_t *x1,
                         const int8_t *x2, const int8_t *x3) {
    __m256i sum0 = _mm256_setzero_si256(), sum1 = sum0, sum2 = sum0, sum3 = sum0;
    for (size_t s = 0; s < n_sub; s++) {
        const __m256i f = scale ? scale[s] : _mm256_set1_epi16(1);
        SLM_UNROLL
        for (int c = 0; c < steps; c += chain) {
            __m256i p0 = slm_products(q[c], x0 + 4 * c, is_signed);
            __m256i p1 = slm_products(q[c], x1 + 4 * c, is_signed);
            __m256i p2 = slm_products(q[c], x2 + 4 * c, is_signed);
            __m256i p3 = slm_products(q[c], x3 + 4 * c, is_signed);
            SLM_UNROLL
            for (int i = c + 1; i < c + chain; i++) {
                p0 = slm_add_products(p0, q[i], x0 + 4 * i);
                p1 = slm_add_products(p1, q[i], x1 + 4 * i);
                p2 = slm_add_products(p2, q[i], x2 + 4 * i);
                p3 = slm_add_products(p3, q[i], x3 + 4 * i);
            }
            sum0 = slm_add_madd(sum0, p0, f);
            sum1 = slm_add_madd(sum1, p1, f);
            sum2 = slm_add_madd(sum2, p2, f);
            sum3 = slm_add_madd(sum3, p3, f);
        }
        q += steps;
        x0 += 4 * steps, x1 += 4 * steps, x2 += 4 * steps, x3 += 4 * steps;
    }
    sum[0] = sum0, sum[1] = sum1, sum[2] = sum2, sum[3] = sum3;
}

SLM_INLINE void slm_matmul_one(slm_panel_type type, float *y, const uint8_t *w, size_t w_bytes,
                               size_t n_w, const uint8_t *a, size_t k) {
    const size_t ahead = slm_ahead(w_bytes), step = SLM_PANEL * type.block_bytes;
    const size_t n_blocks = k / type.block;
    for (size_t i = 0; i < n_w; i += SLM_PANEL) {
        const uint8_t *panel = w + i * w_bytes;
        const slm_rows8 rows = slm_rows8_at(panel, w_bytes, n_w - i);
        __m256 acc = _mm256_setzero_ps();
        for (size_t b = 0; b < n_blocks; b++) {
            slm_prefetch(panel, ahead + b * step, step);
            acc = type.dot(acc, &rows, b * type.block_bytes,
                           a + type.act_header + b * type.act_bytes);
        }
        if (type.finish)
            acc = type.finish(acc, a);
        slm_store_lanes(y + i, acc, n_w - i);
    }
}

SLM_INLINE void slm_matmul_tile(slm_panel_type type, float *y, size_t y_stride, const uint8_t *w,
                                size_t w_bytes, size_t n_w, const uint8_t *a, size_t a_bytes,
                                size_t n_a, size_t k) {
    const size_t blocks = SLM_CHUNK / type.block, n_blocks = k / type.block;
    const size_t n_panels = (n_w + SLM_PANEL - 1) / SLM_PANEL;
    __m256 acc[SLM_TILE_PANELS][SLM_TILE];
    slm_prepared prepared[SLM_TILE];
    slm_panel panel;
    for (size_t p = 0; p < n_panels; p++)
        for (size_t j = 0; j < n_a; j++)
            acc[p][j] = _mm256_setzero_ps();
    for (size_t b = 0; b < n_blocks; b += blocks) {
        const size_t n = n_blocks - b < blocks ? n_blocks - b : blocks;
        const uint8_t *act = a + type.act_header + b * type.act_bytes;
        if (type.prepare)
            for (size_t j = 0; j < n_a; j++)
                type.prepare(prepared + j, act + j * a_bytes, n);
        for (size_t p = 0; p < n_panels; p++) {
            const size_t i = p * SLM_PANEL;
            const slm_rows8 rows = slm_rows8_at(w + i * w_bytes, w_bytes, n_w - i);
            type.unpack(&panel, &rows, b * type.block_bytes, n);
            size_t j = 0;
            for (; j + 4 <= n_a; j += 4)
                type.multiply(acc[p] + j, &panel, prepared + j, act + j * a_bytes, a_bytes, 4, n);
            if (n_a & 2) {
                type.multiply(acc[p] + j, &panel, prepared + j, act + j * a_bytes, a_bytes, 2, n);
                j += 2;
            }
            if (n_a & 1)
                type.multiply(acc[p] + j, &panel, prepared + j, act + j * a_bytes, a_bytes, 1, n);
        }
    }
    for (size_t p = 0; p < n_panels; p++)
        for (size_t j = 0; j < n_a; j++) {
            const __m256 v = type.finish ? type.finish(acc[p][j], a + j * a_bytes) : acc[p][j];
            slm_store_lanes(y + j * y_stride + p * SLM_PANEL, v, n_w - p * SLM_PANEL);
        }
}

SLM_INLINE void slm_matmul_panels(slm_panel_type type, float *y, size_t y_stride, const void *w,
                                  size_t w_bytes, size_t n_w, const void *a, size_t a_bytes,
                                  size_t n_a, size_t k) {
    if (n_a == 1) {
        slm_matmul_one(type, y, w, w_bytes, n_w, a, k);
        return;
    }
    for (size_t j = 0; j < n_a; j += SLM_TILE) {
        const size_t tile = n_a - j < SLM_TILE ? n_a - j : SLM_TILE;
        /* Few rows of activations: memory decides again, whole rows of weights one by one. */
        const size_t pass = tile < 16 ? SLM_PANEL : SLM_PANEL * SLM_TILE_PANELS;
        for (size_t i = 0; i < n_w; i += pass)
            slm_matmul_tile(type, y + j * y_stride + i, y_stride,
                            (const uint8_t *)w + i * w_bytes, w_bytes,
                            n_w - i < pass ? n_w - i : pass, (const uint8_t *)a + j * a_bytes,
                            a_bytes, tile, k);
    }
}

#endif
