/* Rows of floats as halves, for products that are made elsewhere. */
#include "slm_cuda.h"
#include "units.cuh"

namespace {

using namespace slm;

constexpr int n_threads = 256;
constexpr uint32_t inf_bits = 0x7f800000u;
constexpr int top = 15; /* F16 ends at almost 2^16; half of it is kept                              */

/* The largest of x over the block, in all threads. */
SLM_DEVICE uint32_t largest_of(uint32_t x, uint32_t *scratch) {
    x = (uint32_t)warp_max_int((int)x);
    if (threadIdx.x % 32 == 0)
        scratch[threadIdx.x / 32] = x;
    __syncthreads();
    uint32_t most = 0;
    for (int i = 0; i < n_threads / 32; i++)
        most = max(most, scratch[i]);
    return most;
}

/* A block is a row: the bits of its largest |x|. */
SLM_KERNEL(n_threads, 4) find_largest(const float *x, uint32_t n, uint32_t *largest) {
    SLM_SHARED(uint32_t[n_threads / 32], scratch);
    const float *row = x + (size_t)blockIdx.x * n;
    uint32_t most = 0;
    for (uint32_t i = threadIdx.x; i < n; i += n_threads)
        most = max(most, __float_as_uint(row[i]) & 0x7fffffffu);
    most = largest_of(most, scratch);
    if (threadIdx.x == 0)
        largest[blockIdx.x] = most;
}

SLM_DEVICE void store_half(__half *to, float x) { *to = __float2half_rn(x); }
SLM_DEVICE void store_half(__nv_bfloat16 *to, float x) { *to = __float2bfloat16_rn(x); }

/* A block is a row. With `largest`, all rows are scaled by one power of two so that none overflows. */
template <typename T>
SLM_KERNEL(n_threads, 4) make_halves(T *out, const float *x, uint32_t n, const uint32_t *largest,
                                     float *factors) {
    SLM_SHARED(uint32_t[n_threads / 32], scratch);
    int shift = 0;
    if (largest != nullptr) {
        uint32_t most = 0;
        for (uint32_t i = threadIdx.x; i < gridDim.x; i += n_threads)
            most = max(most, largest[i]);
        most = largest_of(most, scratch);
        const int exponent = (int)(most >> 23) - 127;
        if (most < inf_bits && exponent >= top)
            shift = exponent + 1 - top;
    }
    const float scale = __uint_as_float((uint32_t)(127 - shift) << 23);
    const size_t at = (size_t)blockIdx.x * n;
    for (uint32_t i = threadIdx.x; i < n; i += n_threads)
        store_half(out + at + i, x[at + i] * scale);
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        factors[0] = __uint_as_float((uint32_t)(127 + shift) << 23);
        factors[1] = 0.0f;
        factors[2] = 1.0f;
    }
}

} /* namespace */

extern "C" int slm_cuda_to_halves(slm_cuda_stream *s, const slm_cuda_halves *h, uint32_t n_rows) {
    const slm_launch_shape shape = {dim3(n_rows), dim3(n_threads), 0, s->stream};
    if (h->type == SLM_DTYPE_BF16)
        return (int)SLM_LAUNCH((make_halves<__nv_bfloat16>), shape, (__nv_bfloat16 *)h->out, h->x,
                               h->n, nullptr, h->factors);
    if (h->type != SLM_DTYPE_F16)
        return (int)cudaErrorInvalidValue;
    cudaError_t error = SLM_LAUNCH(find_largest, shape, h->x, h->n, h->largest);
    if (error == cudaSuccess)
        error = SLM_LAUNCH((make_halves<__half>), shape, (__half *)h->out, h->x, h->n, h->largest,
                           h->factors);
    return (int)error;
}
