/* A part of a GPU: a stream whose kernels run on some of its multiprocessors only (a green context). */
#ifndef SLM_BENCH_CUDA_PARTITION_H
#define SLM_BENCH_CUDA_PARTITION_H

#include "cuda/slm_cuda.h"

typedef struct slm_bench_partition {
    slm_cuda_stream stream;
    uint32_t n_sms;  /* that it got                                                                  */
    void *context;
} slm_bench_partition;

/* With at least n_sms multiprocessors of the device, which must be in use. NULL, or why it cannot be had:
 * a driver or a toolkit from before 12.4, or a GPU that cannot be divided so. */
const char *slm_bench_partition_open(slm_bench_partition *p, int device, uint32_t n_sms);
void slm_bench_partition_close(slm_bench_partition *p);

#endif
