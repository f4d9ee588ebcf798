/* The driver is asked for its functions when they are needed: older ones do not have them. */
#define _GNU_SOURCE

#include "partition.h"

#include <cuda.h>
#include <dlfcn.h>
#include <string.h>

#if CUDA_VERSION >= 12040

typedef struct driver {
    CUresult (*init)(unsigned int flags);
    CUresult (*get_device)(CUdevice *device, int ordinal);
    CUresult (*get_resource)(CUdevice device, CUdevResource *resource, CUdevResourceType type);
    CUresult (*split)(CUdevResource *result, unsigned int *n_groups, const CUdevResource *input,
                      CUdevResource *remaining, unsigned int flags, unsigned int least);
    CUresult (*describe)(CUdevResourceDesc *desc, CUdevResource *resources, unsigned int n);
    CUresult (*create)(CUgreenCtx *context, CUdevResourceDesc desc, CUdevice device,
                       unsigned int flags);
    CUresult (*destroy)(CUgreenCtx context);
    CUresult (*create_stream)(CUstream *stream, CUgreenCtx context, unsigned int flags, int priority);
} driver;

/* What the program itself has comes before the driver's. */
static int load(driver *d) {
    const struct {
        const char *name;
        void *to;
    } calls[] = {{"cuInit", &d->init},
                 {"cuDeviceGet", &d->get_device},
                 {"cuDeviceGetDevResource", &d->get_resource},
                 {"cuDevSmResourceSplitByCount", &d->split},
                 {"cuDevResourceGenerateDesc", &d->describe},
                 {"cuGreenCtxCreate", &d->create},
                 {"cuGreenCtxDestroy", &d->destroy},
                 {"cuGreenCtxStreamCreate", &d->create_stream}};
    void *library = dlopen(NULL, RTLD_NOW);
    if (library != NULL && dlsym(library, "cuGreenCtxCreate") == NULL)
        library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        void *call = library == NULL ? NULL : dlsym(library, calls[i].name);
        if (call == NULL)
            return 0;
        memcpy(calls[i].to, &call, sizeof call);
    }
    return 1;
}

/* Without the rule that neighbours stay together small parts can be had on newer GPUs too. */
static CUresult take(const driver *d, slm_bench_partition *p, int device, uint32_t n_sms) {
    CUdevice at;
    CUdevResource all, part, rest;
    CUdevResourceDesc desc;
    CUgreenCtx context = NULL;
    unsigned int n_groups = 1;
    CUresult error = d->init(0);
    error = error == CUDA_SUCCESS ? d->get_device(&at, device) : error;
    if (error == CUDA_SUCCESS)
        error = d->get_resource(at, &all, CU_DEV_RESOURCE_TYPE_SM);
    if (error == CUDA_SUCCESS)
        error = d->split(&part, &n_groups, &all, &rest,
                         CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING, n_sms);
    if (error == CUDA_SUCCESS && n_groups == 0)
        error = CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
    if (error == CUDA_SUCCESS)
        error = d->describe(&desc, &part, 1);
    if (error == CUDA_SUCCESS)
        error = d->create(&context, desc, at, CU_GREEN_CTX_DEFAULT_STREAM);
    if (error == CUDA_SUCCESS)
        error = d->create_stream(&p->stream.stream, context, CU_STREAM_NON_BLOCKING, 0);
    if (error != CUDA_SUCCESS && context != NULL)
        (void)d->destroy(context);
    p->context = error == CUDA_SUCCESS ? context : NULL;
    p->n_sms = error == CUDA_SUCCESS ? part.sm.smCount : 0;
    return error;
}

const char *slm_bench_partition_open(slm_bench_partition *p, int device, uint32_t n_sms) {
    driver d;
    *p = (slm_bench_partition){.stream = {NULL, device}};
    if (!load(&d))
        return "the driver has no green contexts";
    return take(&d, p, device, n_sms) == CUDA_SUCCESS ? NULL : "the GPU cannot be divided so";
}

void slm_bench_partition_close(slm_bench_partition *p) {
    driver d;
    slm_cuda_stream_close(&p->stream);
    if (p->context != NULL && load(&d))
        (void)d.destroy((CUgreenCtx)p->context);
    p->context = NULL;
}

#else

const char *slm_bench_partition_open(slm_bench_partition *p, int device, uint32_t n_sms) {
    (void)n_sms;
    *p = (slm_bench_partition){.stream = {NULL, device}};
    return "this build is of a CUDA without green contexts";
}

void slm_bench_partition_close(slm_bench_partition *p) { p->context = NULL; }

#endif
