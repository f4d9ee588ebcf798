// The fake runtime: the device, its attributes and limits, kernels, errors, and the controls.

#include "fake_state.h"

#include <cstdio>
#include <cstring>
#include <cuda_occupancy.h>

namespace fake {

State state;
thread_local cudaError_t last_error = cudaSuccess;
thread_local int current_device = 0;

namespace {

constexpr std::size_t GiB = std::size_t(1) << 30;

// Memory as a booted board shows it: some of it is the system's.
const Device devices[] = {
    {"Orin NX 16GB (fake)", 8, 15 * GiB + GiB / 4, 2 << 20, 128},
    {"Orin NX 16GB at 15 W (fake)", 4, 15 * GiB + GiB / 4, 2 << 20, 128},
    {"Orin Nano 8GB (fake)", 8, 7 * GiB + GiB / 2, 2 << 20, 128},
    {"AGX Orin 64GB (fake)", 16, 61 * GiB, 4 << 20, 256},
};

constexpr int shared_per_block = 48 << 10, shared_per_sm = 164 << 10;
constexpr int n_registers = 65536, threads_per_sm = 1536, blocks_per_sm = 16;

int round_up(int value, int to) {
    return (value + to - 1) / to * to;
}

} // namespace

const Device &device() {
    return devices[state.profile <= FAKE_CUDA_ORIN_AGX_64 ? state.profile : FAKE_CUDA_ORIN_NX_16];
}

cudaError_t result(cudaError_t error) {
    if (error != cudaSuccess && error != cudaErrorNotReady) {
        last_error = error;
    }
    return error;
}

cudaError_t unusable() {
    return state.profile == FAKE_CUDA_NO_DEVICE    ? cudaErrorNoDevice
           : state.profile == FAKE_CUDA_OLD_DRIVER ? cudaErrorInsufficientDriver
                                                   : state.lost;
}

bool fails_now(int *countdown) {
    return *countdown > 0 && --*countdown == 0;
}

int max_blocks(const Kernel &kernel, int n_threads, std::size_t dynamic_shared) {
    cudaOccDeviceProp properties;
    properties.computeMajor = 8;
    properties.computeMinor = 7;
    properties.maxThreadsPerBlock = 1024;
    properties.maxThreadsPerMultiprocessor = threads_per_sm;
    properties.regsPerBlock = n_registers;
    properties.regsPerMultiprocessor = n_registers;
    properties.warpSize = 32;
    properties.sharedMemPerBlock = shared_per_block;
    properties.sharedMemPerMultiprocessor = shared_per_sm;
    properties.numSms = device().n_multiprocessors;
    properties.sharedMemPerBlockOptin = state.shared;
    properties.reservedSharedMemPerBlock = 1 << 10;
    cudaOccFuncAttributes attributes;
    attributes.maxThreadsPerBlock = 1024;
    attributes.numRegs = kernel.n_registers;
    attributes.sharedSizeBytes = kernel.static_shared;
    attributes.partitionedGCConfig = PARTITIONED_GC_OFF;
    attributes.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
    attributes.maxDynamicSharedSizeBytes = kernel.max_dynamic_shared;
    attributes.numBlockBarriers = 1;
    cudaOccDeviceState device_state;
    cudaOccResult occupancy;
    if (cudaOccMaxActiveBlocksPerMultiprocessor(&occupancy, &properties, &attributes, &device_state,
                                                n_threads, dynamic_shared) != CUDA_OCC_SUCCESS) {
        return 0;
    }
    return occupancy.activeBlocksPerMultiprocessor;
}

cudaError_t check_launch(const Kernel &kernel, const Op &op) {
    if (state.profile == FAKE_CUDA_NO_IMAGE) {
        return cudaErrorNoKernelImageForDevice;
    }
    if (kernel.invoke == nullptr) {
        return cudaErrorInvalidDeviceFunction;
    }
    unsigned n_threads = op.block.x * op.block.y * op.block.z;
    if (n_threads == 0 || n_threads > 1024 || op.block.x > 1024 || op.block.y > 1024 ||
        op.block.z > 64 || op.grid.x == 0 || op.grid.y == 0 || op.grid.z == 0 ||
        op.grid.x > 0x7fffffff || op.grid.y > 65535 || op.grid.z > 65535) {
        return cudaErrorInvalidConfiguration;
    }
    if (op.shared > kernel.max_dynamic_shared) {
        return cudaErrorInvalidValue;
    }
    int warps = static_cast<int>(n_threads + 31) / 32;
    if (round_up(kernel.n_registers * 32, 256) * round_up(warps, 4) > n_registers) {
        return cudaErrorLaunchOutOfResources;
    }
    std::size_t at_once = static_cast<std::size_t>(
        max_blocks(kernel, static_cast<int>(n_threads), op.shared) * device().n_multiprocessors);
    if (op.cooperative && std::size_t(op.grid.x) * op.grid.y * op.grid.z > at_once) {
        return cudaErrorCooperativeLaunchTooLarge;
    }
    return cudaSuccess;
}

} // namespace fake

using fake::result;
using fake::state;

void simt::register_kernel(const void *function, const char *name, Invoke invoke,
                           const std::size_t *arg_bytes, int n_args) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    fake::Kernel &kernel = state.kernels[function];
    kernel.name = name;
    if (kernel.invoke == nullptr) {
        kernel.invoke = invoke;
        kernel.arg_bytes.assign(arg_bytes, arg_bytes + n_args);
    }
}

// ---------------------------------------------------------------- the device

extern "C" cudaError_t cudaGetDeviceCount(int *count) {
    *count = 0;
    FAKE_ENTER();
    *count = state.n_devices;
    return cudaSuccess;
}

extern "C" cudaError_t cudaSetDevice(int index) {
    FAKE_ENTER();
    if (index < 0 || index >= state.n_devices) {
        return result(cudaErrorInvalidDevice);
    }
    fake::current_device = index;
    return cudaSuccess;
}

extern "C" cudaError_t cudaGetDevice(int *index) {
    FAKE_ENTER();
    *index = fake::current_device;
    return cudaSuccess;
}

extern "C" cudaError_t cudaSetDeviceFlags(unsigned int flags) {
    FAKE_ENTER();
    return result(flags & ~static_cast<unsigned>(cudaDeviceMask) ? cudaErrorInvalidValue
                                                                 : cudaSuccess);
}

extern "C" cudaError_t cudaDriverGetVersion(int *version) {
    *version = state.profile == FAKE_CUDA_NO_DEVICE    ? 0
               : state.profile == FAKE_CUDA_OLD_DRIVER ? 11040
                                                       : CUDART_VERSION;
    return cudaSuccess;
}

extern "C" cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

extern "C" cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
    FAKE_ENTER();
    *least = 0;
    *greatest = -5;
    return cudaSuccess;
}

extern "C" cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int index) {
    FAKE_ENTER();
    if (index < 0 || index >= state.n_devices) {
        return result(cudaErrorInvalidDevice);
    }
    switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
    case cudaDevAttrMaxBlockDimX:
    case cudaDevAttrMaxBlockDimY:
        *value = 1024;
        break;
    case cudaDevAttrMaxBlockDimZ:
        *value = 64;
        break;
    case cudaDevAttrMaxGridDimX:
        *value = 0x7fffffff;
        break;
    case cudaDevAttrMaxGridDimY:
    case cudaDevAttrMaxGridDimZ:
        *value = 65535;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
        *value = fake::shared_per_block;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = static_cast<int>(state.shared);
        break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        *value = fake::shared_per_sm;
        break;
    case cudaDevAttrReservedSharedMemoryPerBlock:
        *value = 1 << 10;
        break;
    case cudaDevAttrMaxRegistersPerBlock:
    case cudaDevAttrMaxRegistersPerMultiprocessor:
        *value = fake::n_registers;
        break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
        *value = fake::threads_per_sm;
        break;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
        *value = fake::blocks_per_sm;
        break;
    case cudaDevAttrMultiProcessorCount:
        *value = fake::device().n_multiprocessors;
        break;
    case cudaDevAttrL2CacheSize:
        *value = static_cast<int>(fake::device().l2_bytes);
        break;
    case cudaDevAttrGlobalMemoryBusWidth:
        *value = fake::device().bus_bits;
        break;
    case cudaDevAttrClockRate: // kHz
        *value = 918000;
        break;
    case cudaDevAttrMemoryClockRate:
        *value = 3199000;
        break;
    case cudaDevAttrWarpSize:
        *value = 32;
        break;
    case cudaDevAttrComputeCapabilityMajor:
        *value = 8;
        break;
    case cudaDevAttrComputeCapabilityMinor:
        *value = 7;
        break;
    case cudaDevAttrAsyncEngineCount:
        *value = 2;
        break;
    case cudaDevAttrIntegrated:
    case cudaDevAttrCanMapHostMemory:
    case cudaDevAttrUnifiedAddressing:
    case cudaDevAttrCooperativeLaunch:
    case cudaDevAttrStreamPrioritiesSupported:
    case cudaDevAttrManagedMemory:
    case cudaDevAttrHostRegisterSupported:
    case cudaDevAttrConcurrentKernels:
    case cudaDevAttrComputePreemptionSupported:
        *value = 1;
        break;
    case cudaDevAttrPageableMemoryAccess:
    case cudaDevAttrPageableMemoryAccessUsesHostPageTables:
    case cudaDevAttrConcurrentManagedAccess:
    case cudaDevAttrCanUseHostPointerForRegisteredMem:
    case cudaDevAttrDirectManagedMemAccessFromHost:
    case cudaDevAttrHostRegisterReadOnlySupported:
    case cudaDevAttrClusterLaunch:
    case cudaDevAttrComputeMode:
    case cudaDevAttrEccEnabled:
    case cudaDevAttrKernelExecTimeout:
        *value = 0;
        break;
    default:
        return result(cudaErrorInvalidValue);
    }
    return cudaSuccess;
}

// The fields that both CUDA 12 and 13 have; the others are 0.
extern "C" cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int index) {
    FAKE_ENTER();
    if (index < 0 || index >= state.n_devices) {
        return result(cudaErrorInvalidDevice);
    }
    std::memset(p, 0, sizeof(*p));
    std::snprintf(p->name, sizeof(p->name), "%s", fake::device().name);
    p->totalGlobalMem = fake::device().memory_bytes;
    p->sharedMemPerBlock = fake::shared_per_block;
    p->sharedMemPerBlockOptin = state.shared;
    p->sharedMemPerMultiprocessor = fake::shared_per_sm;
    p->reservedSharedMemPerBlock = 1 << 10;
    p->regsPerBlock = p->regsPerMultiprocessor = fake::n_registers;
    p->warpSize = 32;
    p->maxThreadsPerBlock = p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
    p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 0x7fffffff;
    p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->maxThreadsPerMultiProcessor = fake::threads_per_sm;
    p->maxBlocksPerMultiProcessor = fake::blocks_per_sm;
    p->major = 8;
    p->minor = 7;
    p->multiProcessorCount = fake::device().n_multiprocessors;
    p->l2CacheSize = static_cast<int>(fake::device().l2_bytes);
    p->memoryBusWidth = fake::device().bus_bits;
    p->asyncEngineCount = 2;
    p->integrated = p->canMapHostMemory = p->unifiedAddressing = 1;
    p->cooperativeLaunch = p->streamPrioritiesSupported = p->managedMemory = 1;
    p->hostRegisterSupported = p->concurrentKernels = 1;
    return cudaSuccess;
}

// ---------------------------------------------------------------- kernels

static bool fits(const fake::Kernel &kernel, int value) {
    return value >= 0 && std::size_t(value) + kernel.static_shared <= state.shared;
}

extern "C" cudaError_t cudaFuncSetAttribute(const void *function, cudaFuncAttribute attribute,
                                            int value) {
    FAKE_ENTER();
    if (state.profile == FAKE_CUDA_NO_IMAGE) {
        return result(cudaErrorNoKernelImageForDevice);
    }
    fake::Kernel &kernel = state.kernels[function];
    if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize && fits(kernel, value)) {
        kernel.max_dynamic_shared = static_cast<std::size_t>(value);
    } else if (attribute != cudaFuncAttributePreferredSharedMemoryCarveout) {
        return result(cudaErrorInvalidValue);
    }
    return cudaSuccess;
}

extern "C" cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, const void *function) {
    FAKE_ENTER();
    if (state.profile == FAKE_CUDA_NO_IMAGE) {
        return result(cudaErrorNoKernelImageForDevice);
    }
    const fake::Kernel &kernel = state.kernels[function];
    std::memset(attributes, 0, sizeof(*attributes));
    attributes->sharedSizeBytes = kernel.static_shared;
    attributes->maxThreadsPerBlock = 1024;
    attributes->numRegs = kernel.n_registers;
    attributes->ptxVersion = attributes->binaryVersion = 87;
    attributes->maxDynamicSharedSizeBytes = static_cast<int>(kernel.max_dynamic_shared);
    return cudaSuccess;
}

extern "C" cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *n_blocks,
                                                                     const void *function,
                                                                     int n_threads,
                                                                     size_t dynamic_shared) {
    FAKE_ENTER();
    if (state.profile == FAKE_CUDA_NO_IMAGE) {
        return result(cudaErrorNoKernelImageForDevice);
    }
    *n_blocks = fake::max_blocks(state.kernels[function], n_threads, dynamic_shared);
    return cudaSuccess;
}

// ---------------------------------------------------------------- errors

extern "C" cudaError_t cudaGetLastError(void) {
    cudaError_t error = fake::last_error;
    fake::last_error = state.lost;
    return error;
}

extern "C" cudaError_t cudaPeekAtLastError(void) {
    return fake::last_error;
}

namespace {

const struct {
    cudaError_t error;
    const char *name, *text;
} errors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress",
     "an illegal memory access was encountered"},
    {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources",
     "too many resources requested for launch"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorCooperativeLaunchTooLarge, "cudaErrorCooperativeLaunchTooLarge",
     "too many blocks in cooperative launch"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched",
     "capture was not ended in the same stream as it began"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined",
     "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
     "operation not permitted on an event last recorded in a capturing stream"},
    {cudaErrorGraphExecUpdateFailure, "cudaErrorGraphExecUpdateFailure",
     "the graph update was not performed because it included changes which violated constraints"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

} // namespace

extern "C" const char *cudaGetErrorName(cudaError_t error) {
    for (const auto &row : errors) {
        if (row.error == error) {
            return row.name;
        }
    }
    return "unrecognized error code";
}

extern "C" const char *cudaGetErrorString(cudaError_t error) {
    for (const auto &row : errors) {
        if (row.error == error) {
            return row.text;
        }
    }
    return "unrecognized error code";
}

// ---------------------------------------------------------------- controls

void fake_cuda_get_stats(fake_cuda_stats *stats) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    *stats = state.stats;
    stats->n_allocations = state.allocations.size();
    stats->n_objects =
        state.streams.size() + state.events.size() + state.graphs.size() + state.graph_execs.size();
}

void fake_cuda_set_order(fake_cuda_order order, unsigned seed) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    simt::set_order(order, seed);
}

void fake_cuda_set_free_memory(size_t bytes) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    state.free_bytes = bytes;
}

void fake_cuda_set_registers(const void *kernel, int n) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    state.kernels[kernel].n_registers = n;
}

void fake_cuda_set_shared(size_t bytes) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    state.shared = bytes;
}

void fake_cuda_set_devices(int n) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    state.n_devices = n;
}

void fake_cuda_set_largest(size_t bytes) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    state.largest = bytes;
}

void fake_cuda_fail_malloc(int n) {
    state.fail_malloc = n;
}

void fake_cuda_fail_launch(int n) {
    state.fail_launch = n;
}

void fake_cuda_fail_sync(int n) {
    state.fail_sync = n;
}

void fake_cuda_fail_copy(int n) {
    state.fail_copy = n;
}

void fake_cuda_catch_faults(bool on) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    simt::set_catch(on);
}

const char *fake_cuda_fault(void) {
    return state.fault;
}

size_t fake_cuda_reset(fake_cuda_profile profile) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    fake_cuda_stats stats;
    fake_cuda_get_stats(&stats);
    fake::release_streams();
    fake::open_device_memory();
    for (const auto &entry : state.allocations) {
        simt::guarded_free(reinterpret_cast<unsigned char *>(entry.first), entry.second.bytes);
    }
    state.allocations.clear();
    fake::close_device_memory();
    state.profile = profile;
    state.n_devices = 1;
    fake::current_device = 0;
    state.lost = cudaSuccess;
    state.stats = {};
    state.free_bytes = fake::device().memory_bytes - fake::GiB;
    state.largest = SIZE_MAX;
    state.shared = fake::State().shared;
    state.fail_malloc = state.fail_launch = state.fail_sync = state.fail_copy = 0;
    state.fault[0] = '\0';
    for (auto &entry : state.kernels) {
        entry.second.max_dynamic_shared = fake::shared_per_block;
        entry.second.n_registers = 64;
    }
    simt::set_order(FAKE_CUDA_FORWARD, 0);
    simt::set_catch(false);
    fake::last_error = cudaSuccess;
    return stats.n_allocations + stats.n_objects;
}
