#ifndef SLM_CUDA_DEVICE_CUH
#define SLM_CUDA_DEVICE_CUH

// The one header through which a .cu file gets what differs between its two worlds: nvcc, and the
// C++ compiler over the SIMT machine of tests/simt. A kernel is written once, with CUDA's own words
// (threadIdx, __syncthreads, __shfl_xor_sync, ...) and these:
//
//     template <int n_rows> SLM_KERNEL(128, 4) gemv(const uint4 *w, float *y, int n) {
//         SLM_SHARED(float[4], sums);
//         SLM_DYNAMIC_SHARED(int, staged);
//         ...
//     }
//     status = SLM_LAUNCH((gemv<2>), shape, w, y, n);
//
// There are no launches by <<< >>>, no __shared__ and no asm outside of ptx.cuh.

#include <stddef.h>
#include <stdint.h>

#ifdef __CUDACC__
#include <cooperative_groups.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#else
#include "builtins.h"
#endif

// A kernel for blocks of at most n_threads, of which n_blocks shall fit on a multiprocessor.
#define SLM_KERNEL(n_threads, n_blocks)                                                            \
    static __global__ void __launch_bounds__(n_threads, n_blocks)
#define SLM_DEVICE static __device__ __forceinline__

// SLM_SHARED(float[4][32], tile): a variable of the block, not initialised.
// SLM_DYNAMIC_SHARED(type, name): the launch's dynamic shared memory as type *name, aligned to 16.
// SLM_UNROLL before a loop: nvcc unrolls it whole; SLM_ROLLED: not at all.
template <typename T> struct slm_identity { using type = T; };
#ifdef __CUDACC__
#define SLM_SHARED(shape, name) __shared__ typename slm_identity<shape>::type name
extern __shared__ uint4 slm_dynamic_shared[];
#define SLM_DYNAMIC_SHARED(element, name)                                                          \
    element *const name = reinterpret_cast<element *>(slm_dynamic_shared)
#define SLM_UNROLL _Pragma("unroll")
#define SLM_ROLLED _Pragma("unroll 1")
#else
#define SLM_SHARED(shape, name)                                                                    \
    static const char simt_key_##name = 0;                                                         \
    typename slm_identity<shape>::type &name = *static_cast<typename slm_identity<shape>::type *>( \
        simt::static_shared(&simt_key_##name, sizeof(shape), alignof(shape), #name))
#define SLM_DYNAMIC_SHARED(element, name)                                                          \
    element *const name = static_cast<element *>(simt::dynamic_shared())
#define SLM_UNROLL
#define SLM_ROLLED
#endif

struct slm_launch_shape {
    dim3 grid, block;
    size_t shared; // bytes of dynamic shared memory
    cudaStream_t stream;
};

// Enqueues a kernel; arguments are converted to its parameters and copied. Good for stream capture.
#define SLM_LAUNCH(kernel, shape, ...) slm_launch(false, #kernel, kernel, shape, __VA_ARGS__)
// The same for a kernel that calls grid_sync().
#define SLM_LAUNCH_COOPERATIVE(kernel, shape, ...)                                                 \
    slm_launch(true, #kernel, kernel, shape, __VA_ARGS__)

template <typename... P>
inline cudaError_t slm_launch(bool cooperative, const char *name, void (*kernel)(P...),
                              const slm_launch_shape &shape,
                              typename slm_identity<P>::type... args) {
    void *pointers[] = {&args...};
    const void *function = reinterpret_cast<const void *>(kernel);
#ifdef __CUDACC__
    (void)name;
#else
    simt::Kernel<P...>::know(name, kernel);
#endif
    return cooperative ? cudaLaunchCooperativeKernel(function, shape.grid, shape.block, pointers,
                                                     shape.shared, shape.stream)
                       : cudaLaunchKernel(function, shape.grid, shape.block, pointers, shape.shared,
                                          shape.stream);
}

#include "ptx.cuh"

#endif
