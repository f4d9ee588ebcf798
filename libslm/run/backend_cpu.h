/* The CPU backend: a step is run by lanes, threads that stay for as long as the backend does. */
#ifndef SLM_RUN_BACKEND_CPU_H
#define SLM_RUN_BACKEND_CPU_H

#include "base/lanes.h"
#include "base/work.h"
#include "run/kv_pages.h"

/* What the backend needs to know of a session, by slot. */
typedef struct slm_seq {
    slm_kv_table tables[SLM_MAX_KV_GROUPS];
    float *recurrent;  /* [n_scans][slm_scan_floats], or NULL */
    uint8_t rope_long; /* which of model->inv_freq */
    uint8_t wants_row; /* the choice of a token always needs all logits */
    uint32_t n_named;  /* tokens whose logits it wants beside the best */
    const uint32_t *named;
} slm_seq;

/* Shapes that fix the scratch memory. */
typedef struct slm_cpu_shape {
    uint32_t n_threads;
    uint32_t max_rows;
    uint32_t n_ctx;
    uint32_t n_logits; /* rows of the logits buffer */
} slm_cpu_shape;

/* What the calls of an op added up to. */
typedef struct slm_op_sum {
    uint64_t ns, calls, bytes, macs; /* bytes of weights, or of keys and values, as they are in memory */
} slm_op_sum;

typedef struct slm_backend_cpu { /* 64-aligned */
    slm_lanes lanes;
    slm_barrier barrier;
    slm_work work;
    const slm_model *model;
    const slm_kv_layout *layout;
    const slm_kv_pool *pools; /* [n_groups] */
    const slm_seq *seqs;      /* [slots] */
    const slm_step *step;     /* being run, all of it or the rows that want logits */
    slm_step wanted;          /* these */
    slm_cpu_shape shape;
    uint32_t n_lanes;         /* threads that the running region really has */
    slm_op_sum sums[SLM_OP_COUNT]; /* kept by lane 0                                                 */
    uint64_t op_began;        /* slm_now_ns                                                          */

    float *x;                        /* [max_rows][d_model]    residual stream                       */
    float *raw;                      /* [max_rows][raw_stride] queries, keys, values as multiplied   */
    float *q;                        /* [max_rows][n_heads * d_head]                                 */
    float *attended;                 /* [max_rows][n_heads * d_head, or d_inner] what mixers give    */
    float *memory;                   /* [max_rows][d_inner]    of the last scan, before its gate     */
    float *channels;                 /* [max_rows][d_inner]    of its convolution                    */
    float *bc;                       /* [max_rows][bc_stride]  time steps, b, c                      */
    slm_row *wanted_rows;            /* [max_rows] */
    float *h;                        /* [max_rows][h_stride]   between gate and up, and down         */
    float *cos, *sin;                /* [max_rows][n_rot / 2]                                        */
    uint8_t *act[SLM_ACT_LIMIT];     /* [max_rows][act_bytes]  inputs of products                    */
    size_t act_bytes[SLM_ACT_LIMIT]; /* of the longest row; 0: format not used                       */
    uint8_t *own_act[SLM_ACT_LIMIT]; /* [n_threads][act_bytes] the input of a single row             */
    uint8_t *lane_act;               /* [n_threads][lane_act_bytes] a row before it joins a tile     */
    size_t lane_act_bytes;
    uint8_t *lane_attend;            /* [n_threads][lane_attend_bytes] queries and sums of a task    */
    size_t lane_attend_bytes;
    uint32_t attend_queries;         /* of a task, at most                                           */
    uint8_t *lane_key;               /* [n_threads][lane_key_bytes] a key before it joins its group  */
    size_t lane_key_bytes;
    float *lane_row;                 /* [n_threads][lane_stride]                                     */
    float *lane_out;                 /* [n_threads][2][out_floats] products before their epilogue    */
    size_t out_floats;
    float *logits;                   /* [n_logits][n_vocab]                                          */
    size_t raw_stride, h_stride, bc_stride, lane_stride;
} slm_backend_cpu;

/* Fills the strides and sizes and, when memory is not NULL, the pointers into it. Returns the bytes
 * needed; memory must be 64-aligned. */
size_t slm_backend_cpu_layout(slm_backend_cpu *cpu, const slm_model *model,
                              const slm_cpu_shape *shape, void *memory);

/* Starts the threads of the steps, n_threads with the caller's or as many as the system allows, and
 * ends them. *cpu stays where it is in between. */
void slm_backend_cpu_open(slm_backend_cpu *cpu);
void slm_backend_cpu_close(slm_backend_cpu *cpu);
/* Runs one step. Allocates nothing. From any thread, one at a time. */
void slm_backend_cpu_run(slm_backend_cpu *cpu, const slm_step *step);

#endif
