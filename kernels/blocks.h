/* The blocks in which weights, activations and cache rows are stored. The only truth about
 * layouts, the same on every processor. All little-endian; weight blocks lie unaligned in files
 * and are read bytewise or by unaligned loads.
 * Source of the weight blocks: ggml's ggml-common.h as documented in docs/FORMATS.md. */
#ifndef SLM_BLOCKS_H
#define SLM_BLOCKS_H

#include <stdint.h>

/* Tensor types by their number in the file. */
typedef enum slm_dtype {
    SLM_DTYPE_F32 = 0, SLM_DTYPE_F16 = 1, SLM_DTYPE_Q4_0 = 2, SLM_DTYPE_Q4_1 = 3,
    SLM_DTYPE_Q5_0 = 6, SLM_DTYPE_Q5_1 = 7, SLM_DTYPE_Q8_0 = 8, SLM_DTYPE_Q2_K = 10,
    SLM_DTYPE_Q3_K = 11, SLM_DTYPE_Q4_K = 12, SLM_DTYPE_Q5_K = 13, SLM_DTYPE_Q6_K = 14,
    SLM_DTYPE_IQ4_NL = 20, SLM_DTYPE_IQ4_XS = 23, SLM_DTYPE_BF16 = 30, SLM_DTYPE_TQ1_0 = 34,
    SLM_DTYPE_TQ2_0 = 35, SLM_DTYPE_I2_S = 36, SLM_DTYPE_LIMIT = 48
} slm_dtype;

typedef struct { uint8_t d[2]; uint8_t qs[16]; } slm_block_q4_0;                            /* 18  */
typedef struct { uint8_t d[2], m[2]; uint8_t qs[16]; } slm_block_q4_1;                      /* 20  */
typedef struct { uint8_t d[2]; uint8_t qh[4]; uint8_t qs[16]; } slm_block_q5_0;             /* 22  */
typedef struct { uint8_t d[2], m[2]; uint8_t qh[4]; uint8_t qs[16]; } slm_block_q5_1;       /* 24  */
typedef struct { uint8_t d[2]; int8_t qs[32]; } slm_block_q8_0;                             /* 34  */
typedef struct { uint8_t scales[16], qs[64], d[2], dmin[2]; } slm_block_q2_k;               /* 84  */
typedef struct { uint8_t hmask[32], qs[64], scales[12], d[2]; } slm_block_q3_k;             /* 110 */
typedef struct { uint8_t d[2], dmin[2], scales[12], qs[128]; } slm_block_q4_k;              /* 144 */
typedef struct { uint8_t d[2], dmin[2], scales[12], qh[32], qs[128]; } slm_block_q5_k;      /* 176 */
typedef struct { uint8_t ql[128], qh[64]; int8_t scales[16]; uint8_t d[2]; } slm_block_q6_k;/* 210 */
typedef struct { uint8_t d[2]; uint8_t qs[16]; } slm_block_iq4_nl;                          /* 18  */
typedef struct { uint8_t d[2], scales_h[2], scales_l[4], qs[128]; } slm_block_iq4_xs;       /* 136 */
typedef struct { uint8_t qs[48], qh[4], d[2]; } slm_block_tq1_0;                            /* 54  */
typedef struct { uint8_t qs[64], d[2]; } slm_block_tq2_0;                                   /* 66  */
typedef struct { uint8_t qs[32]; } slm_block_i2_s; /* 128 weights; one f32 scale a tensor, after all blocks, in a 32-byte tail */

#define SLM_QK 256 /* elements of a K-quant super-block */

/* Activations, made per op by the library. 64-byte aligned rows. */

/* 32 values: x = d * q. sum = d * (sum of q), for types with a minimum. */
typedef struct { float d, sum; int8_t q[32]; } slm_act_q8_0;                                /* 40  */
/* 256 values: x = d * q; bsums[k] = sum of q[16k .. 16k+15]. */
typedef struct { int8_t q[256]; int16_t bsums[16]; float d; uint8_t pad[28]; } slm_act_q8_k;/* 320 */
/* A whole row: x = q / s with s = 127 / max(max|x|, 1e-5); inv = 1 / s. BitNet b1.58 2B4T. */
typedef struct { float inv; int32_t sum; uint8_t pad[56]; } slm_act_i8_header; /* then int8 q[k] */

typedef enum slm_act {
    SLM_ACT_F32 = 0,   /* plain floats                                                               */
    SLM_ACT_Q8_0 = 1,
    SLM_ACT_Q8_K = 2,
    SLM_ACT_I8_ROW = 3,
    SLM_ACT_Q8_0_TILE = 4, /* rows side by side, for packed weights: packed.h                        */
    SLM_ACT_Q8_K_TILE = 5,
    SLM_ACT_LIMIT = 6
} slm_act;

/* Cache rows: d_head values of one head of one token. F16 and F32 are plain; Q8_0 is
 * ceil(d_head / 32) slm_block_q8_0, the last one padded with zeros. */
typedef enum slm_kv {
    SLM_KVT_F16 = 0, SLM_KVT_Q8_0 = 1, SLM_KVT_F32 = 2, SLM_KVT_LIMIT = 3
} slm_kv;

#endif
