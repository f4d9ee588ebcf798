/* What the files of the CUDA backend share. */
#ifndef SLM_RUN_BACKEND_CUDA_OPS_H
#define SLM_RUN_BACKEND_CUDA_OPS_H

#include "run/backend_cuda.h"

#ifdef SLM_HAVE_CUDA

#include "model/device.h"
#include "run/cublas.h"
#include "run/cuda_logits.h"
#include "run/op_times.h"

#define SLM_CUDA_GRAPHS 32u

/* A recorded step: everything that its kernels take from the host. */
typedef struct slm_recorded {
    slm_cuda_graph graph;
    uint32_t n_rows, n_logits, n_chunks;
    uint64_t last_use;
} slm_recorded;

/* What changes from step to step, in one block that is copied to the device at its beginning. */
typedef struct slm_step_block {
    slm_cuda_row *rows;   /* [n_rows]                                                                */
    slm_cuda_row *wanted; /* [n_logits] of these those that want logits                              */
    uint32_t *pick;       /* [n_logits] which they are                                               */
    uint32_t *logits;     /* [n_logits] where they go                                                */
    slm_cuda_run *runs;   /* [n_runs] of sessions, for recurrent layers                              */
    float *cos, *sin;     /* [n_rows][n_rot / 2]                                                     */
} slm_step_block;

struct slm_backend_cuda {
    slm_model *model;
    slm_host *host;
    slm_cuda_shape shape;
    const slm_kv_layout *layout;
    slm_kv_pool *pools;
    const slm_seq *seqs;
    const slm_step *step;
    slm_cuda_stream stream;
    int code;             /* of the first call of the step that failed                               */
    uint8_t is_lost;

    slm_device_memory on_device_memory, pinned_memory, recurrent, pages[SLM_MAX_KV_GROUPS];
    slm_step_block block, on_device;          /* of the step: for its rows                           */
    size_t block_bytes;
    uint32_t n_runs;                          /* places for runs in the block                        */
    const slm_cuda_row *rows;                 /* on the device, all or those that want logits        */
    uint32_t n_rows;                          /* of these                                            */
    const uint32_t *pick;                     /* which rows of x they are; NULL: all                 */
    uint32_t *tables[SLM_MAX_KV_GROUPS];      /* pinned copies of what the device has                */
    uint32_t *device_tables[SLM_MAX_KV_GROUPS];
    float *x, *raw, *q, *attended, *gate, *up;
    float *pairs;                             /* [rows][n_heads][2 d_head] both softmaxes of pairs   */
    float *memory, *bc;                       /* as in backend_cpu.h                                 */
    slm_frag_act *acts[SLM_FRAG_LIMIT];       /* [FLOATS] is floats                                  */
    void *partial;
    slm_cuda_logits logits;
    uint32_t n_chunks;                        /* of the step                                         */
    slm_recorded recorded[SLM_CUDA_GRAPHS];
    uint64_t n_steps;
    slm_op_sum sums[SLM_OP_COUNT];
    slm_op_times times;                       /* open if asked for                                   */
    slm_cublas cublas;                        /* the same                                            */
};

/* Remembers the first failure; what follows in the step is not put on the stream. */
#define TRY(b, call)                                                                               \
    do {                                                                                           \
        if ((b)->code == 0)                                                                        \
            (b)->code = (call);                                                                    \
    } while (0)

/* RMSNorm, or LayerNorm where there is a bias; no norm where weight is NULL. Of the model. */
typedef struct slm_cuda_norm {
    const float *weight, *bias;
} slm_cuda_norm;

static inline uint32_t slm_cuda_format_bit(const slm_linear *w) {
    return 1u << slm_frag_format_of(w->type);
}
/* Rows of x, n floats of each stride, as the products of `formats` take them; of b->x those that are
 * picked. */
void slm_cuda_prepare_for(slm_backend_cuda *b, const float *x, uint32_t stride, uint32_t n,
                          slm_cuda_norm norm, uint32_t formats);
/* Products of the prepared rows with n matrices of one type. */
void slm_cuda_multiply_by(slm_backend_cuda *b, const slm_linear *const *w, float *const *y, uint32_t n,
                          slm_cuda_then then, uint32_t y_stride, const uint32_t *out_rows);

/* Ops (backend_cuda_scan.c). */
void slm_cuda_op_scan(void *backend, const slm_layer *l, int lane);
void slm_cuda_op_gate_memory(void *backend, const slm_layer *l, int lane);

#endif
#endif
