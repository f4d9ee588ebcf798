/* The CUDA backend: the ops of a step put kernels on a stream; the host waits once, at the end. */
#ifndef SLM_RUN_BACKEND_CUDA_H
#define SLM_RUN_BACKEND_CUDA_H

#include "run/backend_cpu.h"
#include "run/sampler.h"

typedef struct slm_backend_cuda slm_backend_cuda;

/* What a cache on the device needs to know. */
typedef struct slm_cuda_shape {
    uint32_t max_rows;
    uint32_t n_ctx;
    uint32_t n_slots;
    uint32_t n_logits;                     /* rows of the logits buffer                              */
    uint32_t table_stride;                 /* entries of a page table                                */
    uint32_t flags;                        /* SLM_CACHE_...                                          */
    uint64_t recurrent_bytes;              /* of sessions and checkpoints                            */
} slm_cuda_shape;

/* Bytes that a backend of this shape takes beside pages and recurrent state: of the device, and of the system's
 * memory, most of them pinned, the logits among them. */
void slm_backend_cuda_bytes(const slm_model *model, const slm_cuda_shape *shape, uint64_t *on_device,
                            uint64_t *in_system);

/* Allocates scratch and the memory of the pools, whose `memory` becomes the device's. layout, pools and
 * seqs stay where they are until it is closed. */
slm_status slm_backend_cuda_open(slm_model *model, const slm_cuda_shape *shape,
                                 const slm_kv_layout *layout, slm_kv_pool *pools, const slm_seq *seqs,
                                 slm_backend_cuda **out, slm_error *error);
void slm_backend_cuda_close(slm_backend_cuda *cuda);

/* Runs one step and waits for it. On failure what the pages hold is not known, nor what copies of
 * pages since the last step came to; once the device is lost every later step fails. */
slm_status slm_backend_cuda_run(slm_backend_cuda *cuda, const slm_step *step, slm_error *error);

/* [n_logits][n_vocab], of the host. Those of sessions, the first n_slots, are what the last step left
 * only after a call of fetch, which may wait and fail as a step does; or of set_row, which says that
 * they were written to. */
float *slm_backend_cuda_rows(const slm_backend_cuda *cuda);
slm_status slm_backend_cuda_fetch(slm_backend_cuda *cuda, uint32_t row, slm_error *error);
void slm_backend_cuda_set_row(slm_backend_cuda *cuda, uint32_t row);
/* The best of a session's row, until the next step; 0: the row itself is there. */
int slm_backend_cuda_best(const slm_backend_cuda *cuda, uint32_t slot, slm_best *best);
const slm_op_sum *slm_backend_cuda_sums(const slm_backend_cuda *cuda);

/* Memory of the device for recurrent state, all zero, or NULL. */
float *slm_backend_cuda_recurrent(const slm_backend_cuda *cuda);
/* Makes n floats there those at from, or zeros where it is NULL, between the steps before and after. A
 * failure shows at the next step. */
void slm_backend_cuda_copy_state(slm_backend_cuda *cuda, float *to, const float *from, size_t n);
/* Copy bytes of it to pinned memory and back, and wait for it. Fail as a step does. */
slm_status slm_backend_cuda_read_state(slm_backend_cuda *cuda, const uint8_t *from, size_t n, void *to,
                                       slm_error *error);
slm_status slm_backend_cuda_write_state(slm_backend_cuda *cuda, uint8_t *to, size_t n,
                                        const void *from, slm_error *error);

/* Copy bytes of a page to pinned memory and back, and wait for it. Fail as a step does. */
slm_status slm_backend_cuda_read_page(slm_backend_cuda *cuda, const slm_kv_pool *pool,
                                      uint32_t page, size_t offset, size_t n, void *to,
                                      slm_error *error);
slm_status slm_backend_cuda_write_page(slm_backend_cuda *cuda, const slm_kv_pool *pool,
                                       uint32_t page, size_t offset, size_t n, const void *from,
                                       slm_error *error);

#endif
