// The driver's calls for parts of a device, as much as bench/cuda/partition.c needs, for programs that
// export them: a part has as many multiprocessors as were asked for, in pairs, and a stream like others.

#include "fake_state.h"

#include <cuda.h>

#if CUDA_VERSION >= 12040

struct CUgreenCtx_st {
    unsigned n_sms;
};

namespace {

CUresult checked(cudaError_t error) {
    return error == cudaSuccess ? CUDA_SUCCESS : CUDA_ERROR_UNKNOWN;
}

} // namespace

extern "C" CUresult CUDAAPI cuInit(unsigned int flags) {
    int n;
    return flags == 0 ? checked(cudaGetDeviceCount(&n)) : CUDA_ERROR_INVALID_VALUE;
}

extern "C" CUresult CUDAAPI cuDeviceGet(CUdevice *device, int ordinal) {
    *device = 0;
    return ordinal == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

extern "C" CUresult CUDAAPI cuDeviceGetDevResource(CUdevice, CUdevResource *resource,
                                                   CUdevResourceType type) {
    *resource = {};
    resource->type = type;
    resource->sm.smCount = static_cast<unsigned>(fake::device().n_multiprocessors);
    return type == CU_DEV_RESOURCE_TYPE_SM ? CUDA_SUCCESS : CUDA_ERROR_INVALID_RESOURCE_TYPE;
}

extern "C" CUresult CUDAAPI cuDevSmResourceSplitByCount(CUdevResource *result, unsigned int *n_groups,
                                                        const CUdevResource *input,
                                                        CUdevResource *remaining, unsigned int,
                                                        unsigned int least) {
    const unsigned n = (least + 1) / 2 * 2;
    if (*n_groups != 1 || n > input->sm.smCount) {
        return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
    }
    *result = *remaining = *input;
    result->sm.smCount = n;
    remaining->sm.smCount -= n;
    return CUDA_SUCCESS;
}

// A description is the number itself.
extern "C" CUresult CUDAAPI cuDevResourceGenerateDesc(CUdevResourceDesc *desc,
                                                      CUdevResource *resources, unsigned int n) {
    *desc = reinterpret_cast<CUdevResourceDesc>(std::uintptr_t(resources[0].sm.smCount));
    return n == 1 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

extern "C" CUresult CUDAAPI cuGreenCtxCreate(CUgreenCtx *context, CUdevResourceDesc desc, CUdevice,
                                             unsigned int flags) {
    if (flags != CU_GREEN_CTX_DEFAULT_STREAM) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    *context = new CUgreenCtx_st{static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(desc))};
    return CUDA_SUCCESS;
}

extern "C" CUresult CUDAAPI cuGreenCtxDestroy(CUgreenCtx context) {
    delete context;
    return CUDA_SUCCESS;
}

extern "C" CUresult CUDAAPI cuGreenCtxStreamCreate(CUstream *stream, CUgreenCtx context,
                                                   unsigned int flags, int priority) {
    if (context == nullptr || flags != CU_STREAM_NON_BLOCKING) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    return checked(cudaStreamCreateWithPriority(stream, cudaStreamNonBlocking, priority));
}

#endif
