/* What the ops of a device take: events between them, on the stream of the steps. */
#ifndef SLM_RUN_OP_TIMES_H
#define SLM_RUN_OP_TIMES_H

#include "model/device.h"
#include "run/backend_cpu.h"

#ifdef SLM_HAVE_CUDA

typedef struct slm_op_times {
    const slm_model *model;
    const slm_ops *ops;      /* that are timed                                                       */
    void *backend;           /* theirs                                                               */
    slm_cuda_stream *stream;
    const slm_kv_layout *layout;
    const slm_step *step;    /* under way                                                            */
    uint32_t n_rows;         /* of its rows that still go on                                         */
    slm_op_sum *sums;        /* [SLM_OP_COUNT]                                                       */
    slm_cuda_event *events;  /* [most + 1] the first before the first op                             */
    slm_op *kinds;           /* [most] of the ops of the step                                        */
    uint32_t most, n;
    int code;                /* of the first mark of the step that failed                            */
} slm_op_times;

/* Bytes of the host that it takes beside the struct. */
size_t slm_op_times_bytes(const slm_model *model);
/* The other members are filled in by the caller. On failure close it all the same. */
slm_status slm_op_times_open(slm_op_times *times, slm_model *model, slm_error *error);
void slm_op_times_close(slm_op_times *times, slm_model *model);

/* Puts the ops of a step on the stream, marked. */
int slm_op_times_run(slm_op_times *times, const slm_step *step);
/* After the step has been waited for: adds what it took to the sums. */
int slm_op_times_take(slm_op_times *times);

#endif
#endif
