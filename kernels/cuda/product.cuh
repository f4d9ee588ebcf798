/* What the kernels of products share. */
#ifndef SLM_CUDA_PRODUCT_CUH
#define SLM_CUDA_PRODUCT_CUH

#include "units.cuh"

namespace slm {

constexpr int unit = 256;
/* A row's units are added up in this many sums, unit u in sum u % n_chains, and these in order. */
constexpr int n_chains = 4;

struct Part {
    const uint8_t *w;
    float *y;
    uint32_t n_out;
    float scale;
};

struct Product {
    Part part[3];
    uint32_t first[3]; /* of what a part is in the grid: tiles, groups of them, or rows */
    uint32_t n_parts;
    uint32_t k, n_rows, y_stride;
    uint32_t then;
    const void *a;
    const uint32_t *out_rows;
};

/* Which matrix number *at of the grid is of, and which of it. By comparisons: an index that is no
 * constant would put the parameters into local memory. */
SLM_DEVICE Part find_part(const Product &p, uint32_t *at) {
    if (p.then < SLM_CUDA_SILU && p.n_parts > 1 && *at >= p.first[1]) {
        if (p.n_parts > 2 && *at >= p.first[2]) {
            *at -= p.first[2];
            return p.part[2];
        }
        *at -= p.first[1];
        return p.part[1];
    }
    return p.part[0];
}

/* Bytes of a tile with rows of k weights. */
template <class T> SLM_DEVICE size_t tile_bytes(uint32_t k) {
    return (size_t)(k / unit) * unit_bytes<T>(unit) + (k % unit ? unit_bytes<T>(k % unit) : 0);
}

/* A product whose parts are numbered in the grid in pieces of `rows`. *n: how many there are. */
inline Product parts_of(const slm_cuda_product &from, uint32_t n_rows, uint32_t rows, uint32_t *n) {
    const bool is_gated = from.then >= SLM_CUDA_SILU;
    Product p = {};
    *n = 0;
    p.n_parts = from.n_matrices;
    for (uint32_t i = 0; i < p.n_parts; i++) {
        const slm_cuda_matrix *w = from.w[i];
        p.part[i] = {(const uint8_t *)w->w, from.y[is_gated ? 0 : i], w->n_out, w->scale};
        p.first[i] = *n;
        if (!is_gated || i == 0)
            *n += (w->n_out + rows - 1) / rows;
    }
    p.k = from.w[0]->n_in;
    p.n_rows = n_rows;
    p.y_stride = from.y_stride;
    p.then = from.then;
    p.a = from.a;
    p.out_rows = from.out_rows;
    return p;
}

/* For many rows, of a type of tiles (gemm.cu). */
cudaError_t multiply_many(cudaStream_t stream, const slm_cuda_product &product, uint32_t n_rows);

} /* namespace slm */

#endif
