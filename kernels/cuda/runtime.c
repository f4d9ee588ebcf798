/* Memory, streams and graphs, thinly over the CUDA runtime. A device is made current for the calling
 * thread before each call that depends on it and the one that was is put back, since the process may
 * have others. Copies, waits and graphs go by their stream alone (CUDA Programming Guide, "Stream and
 * event behavior"). */
#include "cuda/slm_cuda.h"

#include <cuda_runtime_api.h>
#include <string.h>

/* Errors of the runtime stay until they are fetched; one that is not sticky must not show later. */
static int done(cudaError_t error, int before) {
    if (error != cudaSuccess)
        (void)cudaGetLastError();
    if (before >= 0)
        (void)cudaSetDevice(before);
    return (int)error;
}

static cudaError_t enter(int device, int *before) {
    if (cudaGetDevice(before) != cudaSuccess)
        *before = -1;
    if (*before == device) {
        *before = -1;
        return cudaSuccess;
    }
    return cudaSetDevice(device);
}

int slm_cuda_enter(int device, int *before) {
    return done(enter(device, before), -1);
}

void slm_cuda_leave(int before) {
    if (before >= 0)
        (void)cudaSetDevice(before);
}

/* ---------------------------------------------------------------- device ---------------------- */

int slm_cuda_count(int *n) {
    *n = 0;
    int error = done(cudaGetDeviceCount(n), -1);
    if (error != 0)
        *n = 0;
    return error;
}

static int attribute(int device, enum cudaDeviceAttr attr) {
    int value = 0;
    return cudaDeviceGetAttribute(&value, attr, device) == cudaSuccess ? value : 0;
}

int slm_cuda_open(int device, slm_cuda_info *info) {
    struct cudaDeviceProp properties;
    int before, driver = 0, runtime = 0;
    size_t free_bytes = 0, total_bytes = 0;
    memset(info, 0, sizeof *info);
    (void)cudaDriverGetVersion(&driver);
    (void)cudaRuntimeGetVersion(&runtime);
    info->driver = (uint32_t)driver;
    info->runtime = (uint32_t)runtime;
    cudaError_t error = enter(device, &before);
    if (error == cudaSuccess)
        error = cudaGetDeviceProperties(&properties, device);
    if (error == cudaSuccess)
        error = cudaMemGetInfo(&free_bytes, &total_bytes);
    if (error == cudaSuccess) {
        memcpy(info->name, properties.name, sizeof info->name - 1);
        info->major = (uint32_t)attribute(device, cudaDevAttrComputeCapabilityMajor);
        info->minor = (uint32_t)attribute(device, cudaDevAttrComputeCapabilityMinor);
        info->n_sms = (uint32_t)attribute(device, cudaDevAttrMultiProcessorCount);
        info->is_integrated = (uint32_t)attribute(device, cudaDevAttrIntegrated);
        info->l2_bytes = (uint64_t)attribute(device, cudaDevAttrL2CacheSize);
        info->clock_khz = (uint32_t)attribute(device, cudaDevAttrClockRate);
        info->total_bytes = total_bytes;
        info->free_bytes = free_bytes;
        error = (cudaError_t)slm_cuda_has_code();
    }
    return done(error, before);
}

const char *slm_cuda_error(int error) {
    switch ((cudaError_t)error) {
    case cudaErrorNoDevice:
        return "there is no CUDA device";
    case cudaErrorInsufficientDriver:
        return "there is no NVIDIA driver, or one that is too old for this build";
    case cudaErrorNoKernelImageForDevice:
        return "this build has no code for this GPU";
    case cudaErrorMemoryAllocation:
        return "out of device memory";
    default:
        return cudaGetErrorString((cudaError_t)error);
    }
}

int slm_cuda_is_nomem(int error) {
    return error == (int)cudaErrorMemoryAllocation;
}

/* Errors after which the context, and with it the process's use of the device, is over. */
int slm_cuda_is_lost(int error) {
    switch ((cudaError_t)error) {
    case cudaErrorIllegalAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorDevicesUnavailable:
    case cudaErrorContextIsDestroyed:
        return 1;
    default:
        return 0;
    }
}

/* ---------------------------------------------------------------- memory ---------------------- */

int slm_cuda_alloc(int device, void **out, size_t bytes) {
    int before;
    cudaError_t error = enter(device, &before);
    *out = NULL;
    return done(error == cudaSuccess ? cudaMalloc(out, bytes) : error, before);
}

int slm_cuda_free(int device, void *p) {
    int before;
    if (p == NULL)
        return 0;
    cudaError_t error = enter(device, &before);
    return done(error == cudaSuccess ? cudaFree(p) : error, before);
}

int slm_cuda_alloc_host(int device, void **out, void **seen, size_t bytes) {
    int before;
    cudaError_t error = enter(device, &before);
    *out = *seen = NULL;
    if (error == cudaSuccess)
        error = cudaHostAlloc(out, bytes, cudaHostAllocMapped);
    if (error == cudaSuccess)
        error = cudaHostGetDevicePointer(seen, *out, 0);
    if (error != cudaSuccess && *out != NULL) {
        (void)cudaFreeHost(*out);
        *out = NULL;
    }
    return done(error, before);
}

int slm_cuda_free_host(int device, void *p) {
    int before;
    if (p == NULL)
        return 0;
    cudaError_t error = enter(device, &before);
    return done(error == cudaSuccess ? cudaFreeHost(p) : error, before);
}

/* ---------------------------------------------------------------- streams --------------------- */

int slm_cuda_stream_open(slm_cuda_stream *s, int device, int low_priority) {
    int before, least = 0, greatest = 0;
    s->stream = NULL;
    s->device = device;
    cudaError_t error = enter(device, &before);
    if (error == cudaSuccess)
        error = cudaDeviceGetStreamPriorityRange(&least, &greatest);
    if (error == cudaSuccess)
        error = cudaStreamCreateWithPriority(&s->stream, cudaStreamNonBlocking,
                                             low_priority ? least : greatest);
    if (error != cudaSuccess)
        s->stream = NULL;
    return done(error, before);
}

void slm_cuda_stream_close(slm_cuda_stream *s) {
    int before;
    if (s->stream == NULL)
        return;
    cudaError_t error = enter(s->device, &before);
    (void)done(error == cudaSuccess ? cudaStreamDestroy(s->stream) : error, before);
    s->stream = NULL;
}

int slm_cuda_wait(slm_cuda_stream *s) {
    return done(cudaStreamSynchronize(s->stream), -1);
}

static int copy(slm_cuda_stream *s, void *to, const void *from, size_t bytes,
                enum cudaMemcpyKind kind) {
    return done(cudaMemcpyAsync(to, from, bytes, kind, s->stream), -1);
}

int slm_cuda_to_device(slm_cuda_stream *s, void *to, const void *host, size_t bytes) {
    return copy(s, to, host, bytes, cudaMemcpyHostToDevice);
}

int slm_cuda_from_device(slm_cuda_stream *s, void *host, const void *from, size_t bytes) {
    return copy(s, host, from, bytes, cudaMemcpyDeviceToHost);
}

int slm_cuda_copy(slm_cuda_stream *s, void *to, const void *from, size_t bytes) {
    return copy(s, to, from, bytes, cudaMemcpyDeviceToDevice);
}

int slm_cuda_zero(slm_cuda_stream *s, void *to, size_t bytes) {
    int before; /* a memset may be a kernel, which goes to the current device alone */
    cudaError_t error = enter(s->device, &before);
    return done(error == cudaSuccess ? cudaMemsetAsync(to, 0, bytes, s->stream) : error, before);
}

/* ---------------------------------------------------------------- graphs ---------------------- */

int slm_cuda_record(slm_cuda_stream *s) {
    return done(cudaStreamBeginCapture(s->stream, cudaStreamCaptureModeThreadLocal), -1);
}

int slm_cuda_record_end(slm_cuda_stream *s, slm_cuda_graph *out) {
    cudaGraph_t graph = NULL;
    out->exec = NULL;
    cudaError_t error = cudaStreamEndCapture(s->stream, &graph);
    if (error == cudaSuccess)
        error = cudaGraphInstantiateWithFlags(&out->exec, graph, 0);
    if (error != cudaSuccess)
        out->exec = NULL;
    if (graph != NULL)
        (void)cudaGraphDestroy(graph);
    return done(error, -1);
}

int slm_cuda_replay(slm_cuda_stream *s, const slm_cuda_graph *graph) {
    return done(cudaGraphLaunch(graph->exec, s->stream), -1);
}

void slm_cuda_graph_close(slm_cuda_graph *graph) {
    if (graph->exec != NULL)
        (void)done(cudaGraphExecDestroy(graph->exec), -1);
    graph->exec = NULL;
}

/* ---------------------------------------------------------------- events ---------------------- */

int slm_cuda_event_open(slm_cuda_event *e, int device) {
    int before;
    e->event = NULL;
    e->device = device;
    cudaError_t error = enter(device, &before);
    if (error == cudaSuccess)
        error = cudaEventCreateWithFlags(&e->event, cudaEventDefault);
    if (error != cudaSuccess)
        e->event = NULL;
    return done(error, before);
}

void slm_cuda_event_close(slm_cuda_event *e) {
    int before;
    if (e->event == NULL)
        return;
    cudaError_t error = enter(e->device, &before);
    (void)done(error == cudaSuccess ? cudaEventDestroy(e->event) : error, before);
    e->event = NULL;
}

int slm_cuda_mark(slm_cuda_stream *s, slm_cuda_event *e) {
    return done(cudaEventRecord(e->event, s->stream), -1);
}

int slm_cuda_elapsed(const slm_cuda_event *from, const slm_cuda_event *to, float *ms) {
    return done(cudaEventElapsedTime(ms, from->event, to->event), -1);
}
