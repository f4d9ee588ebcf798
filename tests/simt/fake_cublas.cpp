// See fake_cublas.h. The runtime that it calls is the one of the program that loads it.

#include "fake_cublas.h"

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>
#include <library_types.h>
#include <vector>

#if __has_include(<cublas_v2.h>)
#include <cublas_v2.h> // the compiler compares
#else
typedef struct cublasContext *cublasHandle_t;
typedef enum { CUBLAS_STATUS_SUCCESS, CUBLAS_STATUS_NOT_INITIALIZED, CUBLAS_STATUS_ALLOC_FAILED = 3,
               CUBLAS_STATUS_INVALID_VALUE = 7, CUBLAS_STATUS_EXECUTION_FAILED = 13 } cublasStatus_t;
typedef enum { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1 } cublasOperation_t;
typedef enum { CUBLAS_POINTER_MODE_HOST, CUBLAS_POINTER_MODE_DEVICE } cublasPointerMode_t;
typedef enum { CUBLAS_COMPUTE_32F = 68 } cublasComputeType_t;
typedef enum { CUBLAS_GEMM_DEFAULT = -1 } cublasGemmAlgo_t;
#define CUBLASWINAPI
#endif

struct cublasContext {
    cudaStream_t stream;
    void *workspace;
    bool has_device_factors;
};

namespace {

fake_cublas state;

bool fails(int *countdown) { return *countdown > 0 && --*countdown == 0; }

cublasStatus_t complain(const char *format, ...) {
    va_list args;
    va_start(args, format);
    std::vsnprintf(state.complaint, sizeof(state.complaint), format, args);
    va_end(args);
    return CUBLAS_STATUS_INVALID_VALUE;
}

bool on_device(const void *at) {
    cudaPointerAttributes attributes;
    return cudaPointerGetAttributes(&attributes, at) == cudaSuccess &&
           attributes.type == cudaMemoryTypeDevice;
}

// One product, until its stream comes to it.
struct Product {
    int m, n, k, lda, ldb, ldc;
    const float *alpha, *beta;
    const unsigned char *a, *b;
    float *c;
    bool is_bf16;
};

float half_at(const unsigned char *from, std::size_t i, bool is_bf16) {
    if (is_bf16) {
        __nv_bfloat16 x;
        std::memcpy(&x, from + 2 * i, sizeof(x));
        return __bfloat162float(x);
    }
    __half x;
    std::memcpy(&x, from + 2 * i, sizeof(x));
    return __half2float(x);
}

// c = alpha * a^T b + beta * c, columns one behind the other. What beta = 0 overwrites is not read.
void multiply(void *data) {
    Product *p = static_cast<Product *>(data);
    for (int column = 0; column < p->n; column++) {
        for (int row = 0; row < p->m; row++) {
            double sum = 0;
            for (int i = 0; i < p->k; i++) {
                sum += double(half_at(p->a, std::size_t(row) * p->lda + i, p->is_bf16)) *
                       half_at(p->b, std::size_t(column) * p->ldb + i, p->is_bf16);
            }
            float *at = p->c + std::size_t(column) * p->ldc + row;
            sum *= *p->alpha;
            *at = static_cast<float>(*p->beta == 0 ? sum : sum + double(*p->beta) * *at);
        }
    }
    delete p;
}

} // namespace

#pragma GCC visibility push(default)

extern "C" fake_cublas *fake_cublas_get(void) { return &state; }

extern "C" cublasStatus_t CUBLASWINAPI cublasCreate_v2(cublasHandle_t *handle) {
    int device;
    if (fails(&state.fail_create) || cudaGetDevice(&device) != cudaSuccess) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
    *handle = new cublasContext{};
    state.n_handles++;
    state.n_created++;
    return CUBLAS_STATUS_SUCCESS;
}

extern "C" cublasStatus_t CUBLASWINAPI cublasDestroy_v2(cublasHandle_t handle) {
    delete handle;
    state.n_handles--;
    return CUBLAS_STATUS_SUCCESS;
}

extern "C" cublasStatus_t CUBLASWINAPI cublasSetStream_v2(cublasHandle_t handle,
                                                          cudaStream_t stream) {
    handle->stream = stream;
    handle->workspace = nullptr; // the default one, as the manual says
    return CUBLAS_STATUS_SUCCESS;
}

extern "C" cublasStatus_t CUBLASWINAPI cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace,
                                                             size_t bytes) {
    if (fails(&state.fail_workspace)) {
        return CUBLAS_STATUS_ALLOC_FAILED;
    }
    if (!on_device(workspace) || reinterpret_cast<std::uintptr_t>(workspace) % 256 != 0 ||
        bytes < (std::size_t(4) << 20) ||
        !on_device(static_cast<unsigned char *>(workspace) + bytes - 1)) {
        return complain("a workspace of %zu bytes at %p", bytes, workspace);
    }
    handle->workspace = workspace;
    return CUBLAS_STATUS_SUCCESS;
}

extern "C" cublasStatus_t CUBLASWINAPI cublasSetPointerMode_v2(cublasHandle_t handle,
                                                               cublasPointerMode_t mode) {
    handle->has_device_factors = mode == CUBLAS_POINTER_MODE_DEVICE;
    return CUBLAS_STATUS_SUCCESS;
}

// Only what the library needs: transposed 16-bit a, 16-bit b, float c, sums in float.
extern "C" cublasStatus_t CUBLASWINAPI
cublasGemmEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
             int k, const void *alpha, const void *a, cudaDataType a_type, int lda, const void *b,
             cudaDataType b_type, int ldb, const void *beta, void *c, cudaDataType c_type, int ldc,
             cublasComputeType_t compute_type, cublasGemmAlgo_t algorithm) {
    if (fails(&state.fail_gemm)) {
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }
    if (handle->stream == nullptr || handle->workspace == nullptr || !handle->has_device_factors) {
        return complain("no stream, no workspace, or factors of the host");
    }
    if (transa != CUBLAS_OP_T || transb != CUBLAS_OP_N || a_type != b_type ||
        (a_type != CUDA_R_16F && a_type != CUDA_R_16BF) || c_type != CUDA_R_32F ||
        compute_type != CUBLAS_COMPUTE_32F || algorithm != CUBLAS_GEMM_DEFAULT) {
        return complain("types %d %d %d %d, operations %d %d", a_type, b_type, c_type, compute_type,
                        transa, transb);
    }
    if (m <= 0 || n <= 0 || k <= 0 || lda < k || ldb < k || ldc < m) {
        return complain("%d x %d x %d, leading dimensions %d %d %d", m, n, k, lda, ldb, ldc);
    }
    const auto end = [](const void *from, std::size_t bytes) {
        return static_cast<const unsigned char *>(from) + bytes - 1;
    };
    const std::size_t a_bytes = 2 * (std::size_t(m - 1) * lda + k);
    const std::size_t b_bytes = 2 * (std::size_t(n - 1) * ldb + k);
    const std::size_t c_bytes = 4 * (std::size_t(n - 1) * ldc + m);
    for (const void *at : {alpha, beta, a, b, static_cast<const void *>(c),
                           static_cast<const void *>(end(a, a_bytes)),
                           static_cast<const void *>(end(b, b_bytes)),
                           static_cast<const void *>(end(c, c_bytes))}) {
        if (!on_device(at)) {
            return complain("%p is not memory of the device", at);
        }
    }
    for (const void *at : {a, b, static_cast<const void *>(c)}) {
        if (reinterpret_cast<std::uintptr_t>(at) % 16 != 0) {
            state.n_misaligned++;
        }
    }
    Product *p = new Product{m, n, k, lda, ldb, ldc, static_cast<const float *>(alpha),
                             static_cast<const float *>(beta),
                             static_cast<const unsigned char *>(a),
                             static_cast<const unsigned char *>(b), static_cast<float *>(c),
                             a_type == CUDA_R_16BF};
    if (cudaLaunchHostFunc(handle->stream, multiply, p) != cudaSuccess) {
        delete p;
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }
    state.n_gemms++;
    return CUBLAS_STATUS_SUCCESS;
}

#pragma GCC visibility pop
