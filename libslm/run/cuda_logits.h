/* Logits on the device: a step brings home the best of each session's row, in its one wait, since the
 * kernels that find them are its last and the copy follows. Whole rows come when somebody asks for them,
 * which is a wait more, or with the step where they are always needed. Inside the CUDA backend. */
#ifndef SLM_RUN_CUDA_LOGITS_H
#define SLM_RUN_CUDA_LOGITS_H

#include "cuda/slm_cuda.h"
#include "run/backend_cuda.h"
#include "run/sampler.h"

typedef struct slm_cuda_logits {
    uint32_t n_vocab, n_slots;
    float *rows, *device_rows;         /* [n_logits][n_vocab]                                        */
    uint8_t *is_here;                  /* [n_logits] rows is what device_rows is                     */
    slm_cuda_best *best, *device_best; /* [n_slots] of the rows of sessions                          */
    uint32_t *named, *device_named;    /* [n_slots][SLM_CUDA_NAMED] the first being those wanted     */
    uint32_t *n_named;                 /* [n_slots]                                                  */
    void *partial;                     /* of the device                                              */
} slm_cuda_logits;

/* A piece of a block of memory, of which *used bytes are taken; with NULL only counts. */
void *slm_cuda_carve(uint8_t *memory, size_t *used, size_t bytes);
/* Take their places in blocks of the device, and of pinned memory. */
void slm_cuda_logits_place_device(slm_cuda_logits *l, uint32_t n_vocab, const slm_cuda_shape *shape,
                                  uint8_t *memory, size_t *used);
void slm_cuda_logits_place_pinned(slm_cuda_logits *l, uint32_t n_vocab, const slm_cuda_shape *shape,
                                  uint8_t *memory, size_t *used);

/* What follows puts work on the stream. Gives 0 or an error of the runtime. */
int slm_cuda_logits_clear(slm_cuda_logits *l, slm_cuda_stream *s);
/* Before a step: none of its rows are here any more; sends the names that have changed. */
int slm_cuda_logits_begin(slm_cuda_logits *l, slm_cuda_stream *s, const slm_step *step,
                          const slm_seq *seqs);
/* The end of a recorded step: the best of rows [n_rows], as far as they are of sessions. rows: on the
 * device. */
int slm_cuda_logits_choose(slm_cuda_logits *l, slm_cuda_stream *s, const uint32_t *rows,
                           uint32_t n_rows);
/* After a step: copies the best of its sessions' rows, and whole rows that are wanted with it. */
int slm_cuda_logits_end(slm_cuda_logits *l, slm_cuda_stream *s, const slm_step *step,
                        const slm_seq *seqs);
/* Copies n rows, to be here after a wait. */
int slm_cuda_logits_fetch(slm_cuda_logits *l, slm_cuda_stream *s, uint32_t row, uint32_t n);
/* After a failure: what the device knows is not known. */
void slm_cuda_logits_forget(slm_cuda_logits *l);

/* As slm_backend_cuda_best. */
int slm_cuda_logits_best(const slm_cuda_logits *l, uint32_t slot, slm_best *best);

#endif
