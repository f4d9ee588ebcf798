#include "ceilings.h"

#include "device.cuh"

namespace {

constexpr unsigned n_threads = 32 * SLM_BENCH_WARPS;

SLM_DEVICE unsigned fold(uint4 v) {
    return v.x ^ v.y ^ v.z ^ v.w;
}

// Four loads of a thread are under way at a time.
SLM_KERNEL(n_threads, 4) read_all(const uint4 *from, size_t n, unsigned *sink) {
    const size_t stride = (size_t)gridDim.x * n_threads;
    size_t i = (size_t)blockIdx.x * n_threads + threadIdx.x;
    unsigned all = 0;
    for (; i + 3 * stride < n; i += 4 * stride) {
        uint4 v[4];
SLM_UNROLL
        for (int j = 0; j < 4; j++)
            v[j] = load_stream_16(from + i + j * stride);
SLM_UNROLL
        for (int j = 0; j < 4; j++)
            all ^= fold(v[j]);
    }
    for (; i < n; i += stride)
        all ^= fold(load_stream_16(from + i));
    if (all == 0x9e3779b9u) // so that what was read has a use
        *sink = all;
}

// Sums begin with different values: equal products would be made once.
SLM_KERNEL(n_threads, 2) multiply_bytes(unsigned n_rounds, unsigned *sink) {
    const unsigned lane = threadIdx.x % 32;
    const unsigned a[4] = {0x01ff0203u + lane, 0x02030401u, 0xff010203u, 0x03020401u};
    const unsigned b[2] = {0x0102fe03u, 0xfd020301u + lane};
    int d[SLM_BENCH_TILES][4];
SLM_UNROLL
    for (unsigned j = 0; j < SLM_BENCH_TILES; j++)
        d[j][0] = d[j][1] = d[j][2] = d[j][3] = (int)j;
    for (unsigned r = 0; r < n_rounds; r++) {
SLM_UNROLL
        for (unsigned j = 0; j < SLM_BENCH_TILES; j++)
            mma_s8(d[j], a, b);
    }
    unsigned sum = 0;
SLM_UNROLL
    for (unsigned j = 0; j < SLM_BENCH_TILES; j++)
        sum += (unsigned)d[j][0] ^ (unsigned)d[j][1] ^ (unsigned)d[j][2] ^ (unsigned)d[j][3];
    if (lane == 0)
        sink[blockIdx.x * SLM_BENCH_WARPS + threadIdx.x / 32] = sum;
}

SLM_KERNEL(n_threads, 2) multiply_halves(unsigned n_rounds, unsigned *sink) {
    const unsigned lane = threadIdx.x % 32;
    const unsigned a[4] = {0x2c00ac00u + lane, 0x2a002c00u, 0xac002a00u, 0x2c002a00u}; // near 1/16
    const unsigned b[2] = {0x2a00ac00u, 0xaa002c00u + lane};
    float d[SLM_BENCH_TILES][4];
SLM_UNROLL
    for (unsigned j = 0; j < SLM_BENCH_TILES; j++)
        d[j][0] = d[j][1] = d[j][2] = d[j][3] = (float)j;
    for (unsigned r = 0; r < n_rounds; r++) {
SLM_UNROLL
        for (unsigned j = 0; j < SLM_BENCH_TILES; j++)
            mma_f16(d[j], a, b);
    }
    float sum = 0;
SLM_UNROLL
    for (unsigned j = 0; j < SLM_BENCH_TILES; j++)
        sum += d[j][0] + d[j][1] + d[j][2] + d[j][3];
    if (lane == 0)
        sink[blockIdx.x * SLM_BENCH_WARPS + threadIdx.x / 32] = __float_as_uint(sum);
}

// Nothing but the end of a phase: of a kernel, or of one of n_rounds in a kernel.
SLM_KERNEL(n_threads, 1) meet(unsigned n_rounds) {
    for (unsigned r = 0; r < n_rounds; r++)
        grid_sync();
}

#ifdef __CUDACC__
SLM_KERNEL(32, 1) spin(long long n_ticks) {
    const long long begun = clock64();
    while (clock64() - begun < n_ticks) {
    }
}
#endif

slm_launch_shape shape_of(const slm_cuda_stream *s, uint32_t n_blocks) {
    return {dim3(n_blocks), dim3(n_threads), 0, s->stream};
}

} // namespace

extern "C" int slm_bench_read(slm_cuda_stream *s, const void *from, size_t bytes, uint32_t n_blocks,
                              uint32_t *sink) {
    return (int)SLM_LAUNCH(read_all, shape_of(s, n_blocks), (const uint4 *)from, bytes / 16, sink);
}

extern "C" int slm_bench_mma_s8(slm_cuda_stream *s, uint32_t n_blocks, uint32_t n_rounds,
                                uint32_t *sink) {
    return (int)SLM_LAUNCH(multiply_bytes, shape_of(s, n_blocks), n_rounds, sink);
}

extern "C" int slm_bench_mma_f16(slm_cuda_stream *s, uint32_t n_blocks, uint32_t n_rounds,
                                 uint32_t *sink) {
    return (int)SLM_LAUNCH(multiply_halves, shape_of(s, n_blocks), n_rounds, sink);
}

extern "C" int slm_bench_meet(slm_cuda_stream *s, uint32_t n_blocks, uint32_t n_rounds) {
    return (int)(n_rounds > 0 ? SLM_LAUNCH_COOPERATIVE(meet, shape_of(s, n_blocks), n_rounds)
                              : SLM_LAUNCH(meet, shape_of(s, n_blocks), 0));
}

extern "C" int slm_bench_spin(slm_cuda_stream *s, uint64_t n_ticks) {
#ifdef __CUDACC__
    const slm_launch_shape shape = {dim3(1), dim3(32), 0, s->stream};
    return (int)SLM_LAUNCH(spin, shape, (long long)n_ticks);
#else
    (void)s;
    (void)n_ticks;
    return (int)cudaErrorNotSupported;
#endif
}
