/* The only face of the device that C sees: memory, streams and graphs, and the kernels of a step.
 *
 * Everything is put on a stream and done in its order; nothing here waits but slm_cuda_wait. A call
 * gives 0 or an error number of the runtime (slm_cuda_error says what it means); an error of a kernel
 * shows at the wait, and after one that is fatal (slm_cuda_is_lost) every call fails. Nothing is global
 * and nothing allocates but slm_cuda_alloc and slm_cuda_alloc_host. From any thread; a stream from one
 * at a time. All pointers are to device memory unless said otherwise, arrays 16-aligned.
 *
 * A step's kernels take what changes from step to step (tokens, positions, pages) from device memory,
 * so that a recorded graph of them stays right. */
#ifndef SLM_CUDA_H
#define SLM_CUDA_H

#include "cuda/fragments.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- device ---------------------- */

typedef struct slm_cuda_info {
    char name[64];
    uint32_t major, minor;        /* compute capability                                              */
    uint32_t n_sms;
    uint32_t is_integrated;       /* its memory is the system's                                      */
    uint64_t total_bytes, free_bytes;
    uint64_t l2_bytes;
    uint32_t driver, runtime;     /* 1000 * major + 10 * minor; driver 0: there is none              */
    uint32_t clock_khz;           /* the highest; 0: not known                                       */
} slm_cuda_info;

/* How many devices there are; 0 and an error number where there is no driver, or one too old. */
int slm_cuda_count(int *n);
/* What device `device` is, and whether this build has code for it (an error number if not). After an
 * error *info holds what is known all the same, the versions always; the rest is 0. */
int slm_cuda_open(int device, slm_cuda_info *info);

/* An error number if the device that is current has no code in this build. */
int slm_cuda_has_code(void);

const char *slm_cuda_error(int error); /* never NULL */
int slm_cuda_is_lost(int error);       /* the device's context is gone: every later call fails      */
int slm_cuda_is_nomem(int error);

/* Makes a device current for the calling thread; *before is what slm_cuda_leave takes to undo it. Kernels
 * are put on streams of the device that is current; all else here finds it by itself. */
int slm_cuda_enter(int device, int *before);
void slm_cuda_leave(int before);

int slm_cuda_alloc(int device, void **out, size_t bytes);
int slm_cuda_free(int device, void *p);
/* Pinned memory of the host: *out its address for the host, *seen that for the device. */
int slm_cuda_alloc_host(int device, void **out, void **seen, size_t bytes);
int slm_cuda_free_host(int device, void *p);

typedef struct slm_cuda_stream {
    struct CUstream_st *stream; /* NULL: not open                                                    */
    int device;
} slm_cuda_stream;
typedef struct slm_cuda_graph {
    struct CUgraphExec_st *exec; /* NULL: none                                                       */
} slm_cuda_graph;

/* low_priority: gives way to other streams of the device. */
int slm_cuda_stream_open(slm_cuda_stream *s, int device, int low_priority);
void slm_cuda_stream_close(slm_cuda_stream *s); /* nothing, if it is not open                        */
/* Until everything put on the stream is done. */
int slm_cuda_wait(slm_cuda_stream *s);
int slm_cuda_to_device(slm_cuda_stream *s, void *to, const void *host, size_t bytes);   /* host: pinned, unchanged until done */
int slm_cuda_from_device(slm_cuda_stream *s, void *host, const void *from, size_t bytes);
int slm_cuda_copy(slm_cuda_stream *s, void *to, const void *from, size_t bytes);
int slm_cuda_zero(slm_cuda_stream *s, void *to, size_t bytes);

/* On the host: makes token t of a group of sixteen keys or values (d elements, slm_kv) zero, in a copy of
 * the group as it lies on the device (kv_group.c). */
void slm_cuda_clear_token(void *group, uint32_t type, size_t d, uint32_t t, int is_v);

/* What is put on the stream between the two is recorded instead of done. After an error nothing is
 * being recorded. */
int slm_cuda_record(slm_cuda_stream *s);
int slm_cuda_record_end(slm_cuda_stream *s, slm_cuda_graph *out);
int slm_cuda_replay(slm_cuda_stream *s, const slm_cuda_graph *graph);
void slm_cuda_graph_close(slm_cuda_graph *graph);

/* A point on a stream, to measure between two of them. */
typedef struct slm_cuda_event {
    struct CUevent_st *event; /* NULL: not open                                                      */
    int device;
} slm_cuda_event;
int slm_cuda_event_open(slm_cuda_event *e, int device);
void slm_cuda_event_close(slm_cuda_event *e); /* nothing, if it is not open                          */
int slm_cuda_mark(slm_cuda_stream *s, slm_cuda_event *e);
/* Milliseconds between two that the stream has come to. */
int slm_cuda_elapsed(const slm_cuda_event *from, const slm_cuda_event *to, float *ms);

/* ---------------------------------------------------------------- a step ---------------------- */

/* A row of a step. */
typedef struct slm_cuda_row {
    int32_t token;
    uint32_t slot;       /* whose page tables                                                        */
    uint32_t position;
    uint32_t logits_row; /* or UINT32_MAX                                                            */
} slm_cuda_row;

/* A weight matrix: tiles (fragments.h), or rows of F32, F16 or BF16. */
typedef struct slm_cuda_matrix {
    const void *w;
    uint32_t type;       /* slm_dtype; TQ1_0 lies as TQ2_0 and is called so                          */
    uint32_t n_out, n_in;
    float scale;         /* of the whole product: that of I2_S, else 1                               */
} slm_cuda_matrix;

/* x[r] = row rows[r].token of the matrix, [n_rows][n_in]. */
int slm_cuda_embed(slm_cuda_stream *s, float *x, const slm_cuda_matrix *embed,
                   const slm_cuda_row *rows, uint32_t n_rows);

/* Rows as products take them. */
typedef struct slm_cuda_prepare {
    const float *x;      /* [rows][stride]                                                           */
    uint32_t stride, n;  /* n values of each                                                         */
    const float *norm;   /* [n] weights of a norm, or NULL: none                                     */
    float eps;
    uint32_t by_row;     /* one d for the whole row (slm_act_i8_header)                              */
    const uint32_t *pick;/* [n_rows] the row of x to take, or NULL: r                                */
    slm_frag_act *k;     /* where the formats go, or NULL: [n_rows][(n + 255) / 256]                 */
    slm_frag_act *b32;
    float *floats;       /* [n_rows][n]; by_row: those that the integers stand for                   */
    const float *norm_bias; /* [n] of LayerNorm, or NULL: the norm is RMSNorm                        */
} slm_cuda_prepare;

int slm_cuda_prepare_rows(slm_cuda_stream *s, const slm_cuda_prepare *p, uint32_t n_rows);

typedef enum slm_cuda_then {
    SLM_CUDA_STORE = 0,  /* y = W a                                                                  */
    SLM_CUDA_ADD = 1,    /* y += W a                                                                 */
    SLM_CUDA_SILU = 2,   /* y = silu(W a) * (W2 a)                                                   */
    SLM_CUDA_GELU = 3,
    SLM_CUDA_RELU2 = 4
} slm_cuda_then;

/* Products of up to three matrices of one type with the same rows. */
typedef struct slm_cuda_product {
    const slm_cuda_matrix *w[3]; /* host pointers; for SILU and its like the gate, then the up matrix */
    uint32_t n_matrices;
    slm_cuda_then then;
    float *y[3];                 /* [n_rows][y_stride]; for SILU and its like y[0] only              */
    uint32_t y_stride;
    const void *a;               /* prepared rows in slm_frag_format_of(type)                        */
    const uint32_t *out_rows;    /* [n_rows] the row of y for row r, or NULL: r                      */
} slm_cuda_product;

int slm_cuda_multiply(slm_cuda_stream *s, const slm_cuda_product *p, uint32_t n_rows);

/* Prepared rows as halves, for products that are made elsewhere. F16: all scaled by one power of two that
 * keeps the largest finite. */
typedef struct slm_cuda_halves {
    const float *x;      /* [n_rows][n]                                                              */
    uint32_t n, type;    /* SLM_DTYPE_F16 or SLM_DTYPE_BF16                                          */
    void *out;           /* [n_rows][n]                                                              */
    float *factors;      /* [3] receives what products are to be multiplied with, 0 and 1            */
    uint32_t *largest;   /* [n_rows] scratch                                                         */
} slm_cuda_halves;
int slm_cuda_to_halves(slm_cuda_stream *s, const slm_cuda_halves *halves, uint32_t n_rows);

/* gate[i] = act(gate[i]) * up[i], for matrices that are not of one type. */
int slm_cuda_gate(slm_cuda_stream *s, float *gate, const float *up, size_t n, slm_cuda_then then);

/* x[pick[r]] += bias for r < n_rows, [..][n]; pick NULL: x[r]. */
int slm_cuda_add_bias(slm_cuda_stream *s, float *x, const float *bias, uint32_t n,
                      const uint32_t *pick, uint32_t n_rows);

/* x[i] = x[pick[i]] for i < n_rows, [..][n]; pick ascends. */
int slm_cuda_keep_rows(slm_cuda_stream *s, float *x, uint32_t n, const uint32_t *pick,
                       uint32_t n_rows);

/* Pages of keys and values of one group of layers. A page is [layer][K, V][kv head][page_tokens], as
 * run/kv_pages.h has it; a group of 16 tokens of one head takes 16 * slm_kv_row_bytes. In differential
 * attention two heads are a pair and lie as one of twice the size, K as well as V:
 *
 *   K F16    [16 tokens][d] halves
 *   V F16    [d][16] halves; tokens in the order 0 1 8 9 2 3 10 11 4 5 12 13 6 7 14 15
 *   K Q8_0   [16][D] bytes, then [D / 32][16] halves of scales, tokens in the order of V
 *   V Q8_0   [D][16] bytes, then [D / 32][16] halves, both in that order; D is d rounded up to 32
 *   F32      as F16 with floats */
typedef struct slm_cuda_cache {
    uint8_t *memory;
    const uint32_t *tables;  /* [slots][table_stride] pages of each session                          */
    uint32_t table_stride;
    uint32_t page_shift;     /* log2 of the tokens of a page                                         */
    size_t page_bytes, plane_bytes; /* as in slm_kv_pool and slm_kv_layout                           */
    size_t head_bytes;       /* the same, or that of a pair                                          */
    uint32_t type;           /* slm_kv                                                               */
    uint32_t window;         /* 0: none                                                              */
} slm_cuda_cache;

/* Heads of a layer. */
typedef struct slm_cuda_heads {
    uint32_t n_heads, n_kv_heads, d, n_rot;
    uint32_t interleaved;    /* RoPE pairs (2i, 2i + 1), stored half-split afterwards                */
    float eps;
    const float *q_norm, *k_norm;              /* [d] or NULL                                        */
    const float *q_bias, *k_bias, *v_bias;     /* or NULL                                            */
    const float *cos, *sin;  /* [n_rows][n_rot / 2]                                                  */
    uint32_t kv_index;       /* of the layer in its group                                            */
    uint32_t is_paired;      /* differential attention: heads 2i and 2i + 1 of all kinds are a pair, d
                                is a multiple of 32 up to 128                                        */
} slm_cuda_heads;

/* Bias, norm and RoPE of products raw [n_rows][(n_heads + 2 n_kv_heads) d] (q, k, v), into
 * q [n_rows][n_heads * d], and K and V into the pages; with n_kv_heads = 0 there is q alone. Queries of
 * pairs are [2 d] with zeros in the place of the other one, so that their product with both keys as one
 * is that with their own. */
int slm_cuda_finish_qkv(slm_cuda_stream *s, float *q, const float *raw, const slm_cuda_heads *h,
                        const slm_cuda_cache *cache, const slm_cuda_row *rows, uint32_t n_rows);

/* out[r] = attention of q[r] over the pages of its session, up to its position: tokens in chunks of
 * SLM_CUDA_CHUNK, each by itself, then put together in order. n_chunks: enough for the longest row.
 * Of pairs q and out are [n_rows][n_heads][2 d]. partial: slm_cuda_attend_bytes. */
#define SLM_CUDA_CHUNK 256u
int slm_cuda_attend(slm_cuda_stream *s, float *out, const float *q, const slm_cuda_heads *h,
                    const slm_cuda_cache *cache, const slm_cuda_row *rows, uint32_t n_rows,
                    uint32_t n_chunks, void *partial);
/* d: of a result, so twice that of a head where these are paired. */
size_t slm_cuda_attend_bytes(uint32_t n_rows, uint32_t n_heads, uint32_t d, uint32_t n_chunks);

/* y[r][i] = norm(x[r][2i] - lambda x[r][2i + 1]), RMSNorm over n <= 256 elements with weights norm; x is
 * [n_rows][2 n_pairs][n], y [n_rows][n_pairs][n]. */
int slm_cuda_join_pairs(slm_cuda_stream *s, float *y, const float *x, const float *norm, float lambda,
                        float eps, uint32_t n, uint32_t n_pairs, uint32_t n_rows);

/* Rows of one session that follow one another in a step. */
typedef struct slm_cuda_run {
    uint32_t row, n;         /* n = 0: none                                                          */
} slm_cuda_run;

/* A selective scan with its convolution (kernels.h): weights as there, d_inner a multiple of 16. */
typedef struct slm_cuda_scan {
    uint32_t d_inner, d_state, n_conv, dt_rank;
    const slm_cuda_row *rows;
    const slm_cuda_run *runs;  /* of the step, [n_runs]                                              */
    float *state;              /* of session 0 and this layer: [d_inner / 16][n_conv - 1][16] inputs
                                  that later convolutions need, [d_inner / 16][d_state][16]          */
    size_t session_floats;     /* from one session's to the next                                     */
    const float *conv, *conv_bias, *a, *skip, *dt_bias;
    const float *in;           /* [n_rows][2 d_inner] inputs, gates                                  */
    float *channels;           /* [n_rows][d_inner] what the convolution gives                       */
    const float *bc;           /* [n_rows][bc_stride]: dt_rank others, b, c                          */
    uint32_t bc_stride;
    const float *dt;           /* [n_rows][d_inner] before bias and softplus                         */
    float *memory;             /* [n_rows][d_inner] what the scan gives                              */
    float *out;                /* [n_rows][d_inner] silu(gate) * memory                              */
} slm_cuda_scan;

/* channels = silu(convolution of the inputs). The state stays as it was. */
int slm_cuda_convolve(slm_cuda_stream *s, const slm_cuda_scan *scan, uint32_t n_rows);
/* memory and out from channels, bc and dt; the state goes on by the rows of each run. */
int slm_cuda_scan_rows(slm_cuda_stream *s, const slm_cuda_scan *scan, uint32_t n_runs);

/* What is taken of a row of n logits instead of all: the SLM_CUDA_BEST largest, of equals (both zeros
 * are) those with the lowest indices; and those that somebody asks for by their index. */
#define SLM_CUDA_BEST 256u
#define SLM_CUDA_NAMED 64u
typedef struct slm_cuda_best {
    uint32_t index[SLM_CUDA_BEST]; /* ascending                                                      */
    float value[SLM_CUDA_BEST];
    float named[SLM_CUDA_NAMED];
    float sum;                     /* of exp(x - max) over the whole row, to 2^-17 of it             */
    uint32_t n;                    /* SLM_CUDA_BEST, or n where that is less                         */
    uint32_t is_finite;            /* 0: NaN or infinity is in the row; then sum means nothing       */
} slm_cuda_best;

typedef struct slm_cuda_choice {
    const float *logits;           /* [..][n]                                                        */
    uint32_t n;
    const uint32_t *rows;          /* [n_rows]; rows from n_slots on are passed over                 */
    uint32_t n_slots;
    const uint32_t *named;         /* [n_slots][SLM_CUDA_NAMED] indices below n, in any order        */
    slm_cuda_best *best;           /* [n_slots]                                                      */
    void *partial;                 /* slm_cuda_best_bytes(n, n_slots)                                */
} slm_cuda_choice;
int slm_cuda_best_of(slm_cuda_stream *s, const slm_cuda_choice *choice, uint32_t n_rows);
size_t slm_cuda_best_bytes(uint32_t n, uint32_t n_slots);

#ifdef __cplusplus
}
#endif

#endif
