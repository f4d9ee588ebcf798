/* The selective scan and its convolution (kernels.h defines both), a channel a thread. Each row of
 * a session goes on from where the one before left its state, so that the bits of a row are the
 * same whether it comes alone or with others. Channels are parallel, and convolutions of rows; the
 * scan takes a session's rows one after the other, in chunks whose b and c wait in shared memory.
 */
#include "slm_cuda.h"
#include "units.cuh"

namespace {

using namespace slm;

constexpr int group = 16; /* channels whose weights and states lie together */
constexpr int conv_threads = 128;
constexpr int scan_threads = 64; /* small blocks spread evenly over a few multiprocessors */
constexpr int slab = 16;         /* states of a channel that are kept in registers */
constexpr uint32_t chunk_rows = 32;

/* Element 0 of a channel in an array [d_inner / 16][n][16]; the next is `group` further. */
template <typename T> SLM_DEVICE T *of_channel(T *array, uint32_t e, uint32_t n) {
    return array + (size_t)(e / group) * n * group + e % group;
}

/* Inputs before the rows of a step: [d_inner / 16][n_conv - 1][16], oldest first. */
SLM_DEVICE float *past_of(const slm_cuda_scan &s, uint32_t slot) {
    return s.state + slot * s.session_floats;
}
SLM_DEVICE float *states_of(const slm_cuda_scan &s, uint32_t slot) {
    return past_of(s, slot) + (size_t)s.d_inner * (s.n_conv - 1);
}

SLM_KERNEL(conv_threads, 1) convolve(slm_cuda_scan s) {
    const uint32_t e = blockIdx.x * conv_threads + threadIdx.x, row = blockIdx.y;
    if (e >= s.d_inner)
        return;
    const uint32_t slot = s.rows[row].slot, n_past = s.n_conv - 1;
    const float *past = of_channel(past_of(s, slot), e, n_past);
    const float *w = of_channel(s.conv, e, s.n_conv),
                *newest = s.in + (size_t)row * 2 * s.d_inner + e;
    uint32_t before = 0; /* rows of the session that the step has before this one */
    while (before < n_past && before < row && s.rows[row - before - 1].slot == slot)
        before++;
    float sum = 0.0f;
    for (uint32_t j = 0; j < n_past; j++) {
        const uint32_t back = n_past - j;
        const float x =
            back <= before ? newest[-(ptrdiff_t)back * 2 * s.d_inner] : past[(j + before) * group];
        sum += w[j * group] * x;
    }
    sum = sum + w[n_past * group] * newest[0] + s.conv_bias[e];
    s.channels[(size_t)row * s.d_inner + e] = gated(SLM_CUDA_SILU, sum, 1.0f);
}

/* What convolutions of later rows need: the last inputs of all that there were. */
SLM_DEVICE void keep_inputs(const slm_cuda_scan &s, const slm_cuda_run &run, uint32_t slot,
                            uint32_t e) {
    const uint32_t n_past = s.n_conv - 1;
    float *past = of_channel(past_of(s, slot), e, n_past);
    for (uint32_t j = 0; j < n_past; j++) {
        const uint32_t at = j + run.n; /* among those before, and then those of the rows */
        past[j * group] = at < n_past ? past[at * group]
                                      : s.in[(size_t)(run.row + at - n_past) * 2 * s.d_inner + e];
    }
}

/* log(1 + exp(x)) without overflow. */
SLM_DEVICE float softplus(float x) {
    return fmaxf(x, 0.0f) + log1pf(expf(x > 0.0f ? -x : x));
}

/* b and c of a slab's states, of the rows of a chunk. */
struct Staged {
    float b[chunk_rows][slab], c[chunk_rows][slab];
};

SLM_DEVICE void stage(Staged &to, const slm_cuda_scan &s, uint32_t row, uint32_t n_rows,
                      uint32_t first) {
    for (uint32_t i = threadIdx.x; i < n_rows * slab; i += scan_threads) {
        const uint32_t r = i / slab, k = i % slab;
        const float *of = s.bc + (size_t)(row + r) * s.bc_stride + s.dt_rank + first + k;
        const bool is_state = first + k < s.d_state;
        to.b[r][k] = is_state ? of[0] : 0.0f;
        to.c[r][k] = is_state ? of[s.d_state] : 0.0f;
    }
}

/* The states [first, first + slab) of a channel, and what one of its rows does to them. */
struct Slab {
    float h[slab], a[slab]; /* a to the base 2 */

    __device__ Slab(const float *states, const float *decay, uint32_t first, uint32_t n_state) {
        SLM_UNROLL
        for (uint32_t k = 0; k < slab; k++) {
            const bool is_state = first + k < n_state;
            h[k] = is_state ? states[(first + k) * group] : 0.0f;
            a[k] = is_state ? decay[(first + k) * group] * 1.44269504f : 0.0f;
        }
    }
    __device__ float advance(float y, float dt, float x, const float *b, const float *c) {
        const float dtx = dt * x;
        SLM_UNROLL
        for (uint32_t k = 0; k < slab; k++) {
            h[k] = fmaf(exp2_fast(dt * a[k]), h[k], dtx * b[k]);
            y = fmaf(h[k], c[k], y);
        }
        return y;
    }
    __device__ void leave(float *states, uint32_t first, uint32_t n_state) const {
        SLM_UNROLL
        for (uint32_t k = 0; k < slab; k++)
            if (first + k < n_state)
                states[(first + k) * group] = h[k];
    }
};

SLM_KERNEL(scan_threads, 10) scan_rows(slm_cuda_scan s) {
    SLM_SHARED(Staged, staged);
    const slm_cuda_run run = s.runs[blockIdx.y];
    const uint32_t e = blockIdx.x * scan_threads + threadIdx.x, d = s.d_inner;
    if (run.n == 0)
        return;
    const bool is_channel = e < d;
    const uint32_t channel = is_channel ? e : 0, slot = s.rows[run.row].slot;
    float *states = of_channel(states_of(s, slot), channel, s.d_state);
    const float *decay = of_channel(s.a, channel, s.d_state);
    const float dt_bias = s.dt_bias[channel], skip = s.skip[channel];
    for (uint32_t first = 0; first < s.d_state; first += slab) {
        const bool is_last = first + slab >= s.d_state;
        Slab of(states, decay, first, s.d_state);
        for (uint32_t row = run.row; row < run.row + run.n; row += chunk_rows) {
            const uint32_t n = min(chunk_rows, run.row + run.n - row);
            __syncthreads();
            stage(staged, s, row, n, first);
            __syncthreads();
            for (uint32_t r = 0; r < n && is_channel; r++) {
                const size_t at = (size_t)(row + r) * d + e;
                const float x = __ldg(s.channels + at);
                float y = first == 0 ? 0.0f : s.memory[at];
                const float dt = softplus(__ldg(s.dt + at) + dt_bias);
                y = of.advance(y, dt, x, staged.b[r], staged.c[r]);
                if (is_last) {
                    y = y + skip * x;
                    const float gate = __ldg(s.in + at + (size_t)(row + r + 1) * d);
                    s.out[at] = gated(SLM_CUDA_SILU, gate, y);
                }
                s.memory[at] = y;
            }
        }
        if (is_channel)
            of.leave(states, first, s.d_state);
    }
    if (is_channel)
        keep_inputs(s, run, slot, e);
}

bool is_sound(const slm_cuda_scan &s) {
    return s.d_inner > 0 && s.d_inner % group == 0 && s.d_state > 0 && s.n_conv > 0;
}

} /* namespace */

extern "C" int slm_cuda_convolve(slm_cuda_stream *s, const slm_cuda_scan *scan, uint32_t n_rows) {
    if (!is_sound(*scan))
        return (int)cudaErrorInvalidValue;
    const slm_launch_shape shape = {dim3((scan->d_inner + conv_threads - 1) / conv_threads, n_rows),
                                    dim3(conv_threads), 0, s->stream};
    return n_rows == 0 ? 0 : (int)SLM_LAUNCH(convolve, shape, *scan);
}

extern "C" int slm_cuda_scan_rows(slm_cuda_stream *s, const slm_cuda_scan *scan, uint32_t n_runs) {
    if (!is_sound(*scan))
        return (int)cudaErrorInvalidValue;
    const slm_launch_shape shape = {dim3((scan->d_inner + scan_threads - 1) / scan_threads, n_runs),
                                    dim3(scan_threads), 0, s->stream};
    return n_runs == 0 ? 0 : (int)SLM_LAUNCH(scan_rows, shape, *scan);
}
