/* The compute kernels: arrays, shapes and blocks. They never allocate, print, start threads, or
 * know what a model is. This file is the whole contract.
 *
 * Portable C (ref/) is the definition of correct. Every other level must give the same integers
 * and, in float reductions, results within the bound that tests/check_kernels derives.
 *
 * THE RULE OF ORDER. For each kernel and level the bits of one output depend only on the inputs of
 * that output: never on how many other rows are in the call, or where they lie. Prefix reuse,
 * batching and thread counts rest on it.
 *
 * Names: slm_<op>_<weights>_<activations>_<level>. One op and one level is one file. */
#ifndef SLM_KERNELS_H
#define SLM_KERNELS_H

#include "blocks.h"

#include <stddef.h>
#include <stdint.h>

/* y[j*y_stride + i] = sum over k of w[i][k] * a[j][k],  i < n_w, j < n_a.
 * For the two formats of tiles (packed.h), w are panels and w_bytes is from one panel to the next;
 * a are the tiles that put_row made of n_a rows and a_bytes is slm_act_row_bytes.
 *   w        n_w rows of k weights, w_bytes from one row to the next
 *   a        n_a rows of k activations in the format the entry is for, a_bytes apart, 64-aligned
 *   k        a multiple of the weight type's block
 * For I2_S the result lacks the tensor's scale (y = sum of (code-1) * x). */
typedef void (*slm_matmul_fn)(float *y, size_t y_stride, const void *w, size_t w_bytes, size_t n_w,
                              const void *a, size_t a_bytes, size_t n_a, size_t k);

/* k floats to one activation row, filled with zeros up to slm_act_row_bytes. Every level gives the
 * same bytes, all arithmetic in float:
 *   Q8_0, Q8_K  m = max|x| of the block; d = m / 127, q = round half even (x * (127 / m));
 *               zeros where m < 2^-100. Q8_0: sum = d * (sum of q).
 *   I8_ROW      s = 127 / max(max|x|, 1e-5f), inv = 1 / s, q = round half even (x * s); sum of q.
 * q is never -128. Where a block (I8_ROW: the row) holds NaN or infinity, d and sum (inv) are
 * the NaN 0x7fc00000 and the integers are 0, so that it shows in every product. */
typedef void (*slm_quantize_fn)(void *a, const float *x, size_t k);
/* k weights (a multiple of the block) to floats; d*scale is formed first, no fused multiply-add.
 * I2_S: without the tensor's scale. */
typedef void (*slm_dequantize_fn)(float *x, const void *w, size_t k);

/* ---- attention ----
 * Queries of one head of keys and values go over a session's tokens in blocks of SLM_KV_BLOCK, which
 * begin at multiples of it: so the bits of a query's result depend neither on pages nor on the other
 * queries. Values are rows; keys lie in groups of SLM_KV_GROUP tokens, element by element:
 *   F16, F32  [d][16]
 *   Q8_0      [d/4][16] four elements plus 128 each, then [d/32][16] halves; d rounded up to 32
 * A block: s_t = q . k_t for its tokens; with m' = max(m, s), o and l times exp(m - m') and then
 * plus p_t v_t and p_t, p_t = exp(s_t - m'), t ascending (Milakov and Gimelshein 2018; Dao 2022).
 * Q8_0 keys are multiplied with queries as SLM_ACT_Q8_0 makes them. */
#define SLM_KV_GROUP 16u
#define SLM_KV_BLOCK 64u

/* Floats in which a level may work for n queries. */
#define SLM_ATTEND_WIDE(n, d_v) (((size_t)(n) + (d_v)) * SLM_KV_BLOCK)

typedef struct slm_attention {
    size_t d;              /* of queries and keys                                                   */
    size_t d_v;            /* of values: a multiple of d                                            */
    size_t stride;         /* of the rows of q: d rounded up to 16                                  */
    size_t o_stride;       /* of the rows of o: d_v rounded up to 16                                */
    const float *q;        /* [n][stride] queries times 1/sqrt(d), 64-aligned                       */
    const uint8_t *q8;     /* [n][q8_bytes] the same by quantize[SLM_ACT_Q8_0]; for Q8_0 keys       */
    size_t q8_bytes;
    float *o;              /* [n][o_stride] sums of weighted values; to begin with 0                */
    float *m;              /* [n] largest score; to begin with -infinity                            */
    float *l;              /* [n][16] partial sums of weights; to begin with 0                      */
    const void *const *next_k; /* [4] keys of the next block, to ask for; NULL where there are none */
    const uint8_t (*range)[2]; /* NULL, or [n] the tokens [from, to) of the block that each query takes,
                                  all within those of the call; from >= to where it takes none      */
    float *wide;               /* NULL, or SLM_ATTEND_WIDE(n, d_v) floats to work in, 64-aligned;
                                  a->second may have the same                                     */
    const struct slm_attention *second; /* NULL, or of the same shape: over other keys and the same
                                           values, which are two heads wide; differential attention  */
} slm_attention;

/* Takes tokens [t0, t1) of a block into the queries [first, first + n), and into those of a->second;
 * where a has ranges, each query takes its own, and one of a->second that of the same number.
 * k and v: the four groups of the block, and behind those of a the keys of a->second; groups without
 * a token of the range are not read. v_bytes: of a row of values. */
typedef void (*slm_attend_fn)(const slm_attention *a, size_t first, size_t n, const void *const *k,
                              const void *const v[4], size_t v_bytes, size_t t0, size_t t1);

/* ---- selective scan (Gu and Dao 2023) ----
 * Channels go in groups of SLM_SCAN_GROUP; what a group has of its own lies together, element by
 * element: [group][...][16]. Tokens follow one another, and each is rounded alike in any number of
 * them: a state that is kept between two calls changes no bit. Every level gives the same bits. */
#define SLM_SCAN_GROUP 16u

/* A causal convolution of each channel for itself, and SiLU: y_t = silu(bias + sum over j of
 * w[j] x_(t - (n_conv - 1) + j)), j ascending, then bias.
 *   x, y   [n_tokens] rows of n_groups * 16 channels, x_stride and y_stride floats apart
 *   past   [n_groups][n_conv - 1][16] the inputs before the first token, oldest first; afterwards those
 *          before the next one
 *   w      [n_groups][n_conv][16];  bias [n_groups][16]
 * Error: (n_conv + 2) u times the sum of |terms| before SiLU, which adds 4 u of its result. */
typedef void (*slm_conv_silu_fn)(float *y, size_t y_stride, const float *x, size_t x_stride,
                                 size_t n_tokens, float *past, const float *w, const float *bias,
                                 size_t n_conv, size_t n_groups);

/* One token, for a channel and its states h[n]: dt = log(1 + exp(dt + dt_bias));
 * h[n] = exp(dt a[n]) h[n] + dt x b[n]; y = sum of h[n] c[n], n ascending, + skip x. */
typedef struct slm_scan {
    size_t n_state;
    const float *a;       /* [group][n_state][16], not above 0                                      */
    const float *skip;    /* [group][16]                                                            */
    const float *dt_bias; /* [group][16]                                                            */
    const float *x;       /* [n_tokens] rows of channels                                            */
    size_t x_stride;      /* floats from one token to the next; likewise below                      */
    const float *dt;      /* [n_tokens] rows of channels                                            */
    size_t dt_stride;
    const float *bc;      /* [n_tokens] rows: b[n_state], then c[n_state]                           */
    size_t bc_stride;
    float *y;             /* [n_tokens] rows of channels                                            */
    size_t y_stride;
} slm_scan;

/* Takes n_tokens through groups [first, first + n_groups). state: [group][n_state][16].
 * Error of a step, state given: dt 6 u, exp(z) (|z| + 3) u, h 3 u more, y (n_state + 3) u of the sum
 * of |terms|. Factors are at most 1, so errors of the state do not grow. */
typedef void (*slm_scan_fn)(const slm_scan *scan, float *state, size_t first, size_t n_groups,
                            size_t n_tokens);

/* As slm_pack_panel of packed.h, with the same result. */
typedef void (*slm_pack_fn)(uint32_t type, void *panel, const void *w, size_t w_bytes, size_t n_w,
                            size_t k);

typedef struct slm_kernels {
    int prefers_packed; /* products of packed weights are faster than those of rows                 */
    uint32_t panels;    /* of packed weights that a call with many columns should get; 0: no wish   */
    /* Indexed by slm_dtype and slm_act. NULL: no such product. Every supported type has one with
     * slm_act_for(type), and one with SLM_ACT_I8_ROW. */
    slm_matmul_fn matmul[SLM_DTYPE_LIMIT][SLM_ACT_LIMIT];
    slm_quantize_fn quantize[SLM_ACT_LIMIT]; /* SLM_ACT_F32 copies                                   */
    slm_dequantize_fn dequantize[SLM_DTYPE_LIMIT];
    slm_pack_fn pack_panel;
    /* Puts row r of n_rows, k activations as quantize made them (Q8_0 or Q8_K), where products with
     * n_rows rows in a format of tiles look for it: in slm_act_bytes, 64-aligned. */
    void (*put_row)(slm_act tile_act, void *tiles, size_t n_rows, size_t r, const void *row, size_t k);

    /* CRC-32C of size bytes, crc that of the bytes before them (0: none), by an instruction for it.
     * NULL: the level has none, and tables do it (libslm/base/crc32c.h). */
    uint32_t (*crc32c)(const void *data, size_t size, uint32_t crc);

    /* y = x * w / sqrt(mean(x^2) + eps); w may be NULL (ones). y may be x. */
    void (*rms_norm)(float *y, const float *x, const float *w, size_t n, float eps);
    /* y = (x - mean) / sqrt(variance + eps) * w + bias. y may be x. Statistics as if in double: error
     * 5 u (|x| + |mean|) |w| / sqrt(variance + eps) + u |y|. */
    void (*layer_norm)(float *y, const float *x, const float *w, const float *bias, size_t n,
                       float eps);

    slm_conv_silu_fn conv_silu;
    slm_scan_fn scan;

    /* A value row of the cache, or a key before slm_kv_put_key; d = d_head. */
    void (*kv_store[SLM_KVT_LIMIT])(void *row, const float *x, size_t d);
    slm_attend_fn attend[SLM_KVT_LIMIT];

    /* s[t] = exp(s[t] - max) / sum, in place. n >= 1. */
    void (*softmax)(float *s, size_t n);
    /* Largest of n >= 1 values and its lowest index; *finite is 0 if any value is NaN or +inf. */
    float (*max_index)(const float *x, size_t n, size_t *index, int *finite);
    /* Sum of exp(x[i] - max) in a fixed order, as double. */
    double (*sum_exp)(const float *x, size_t n, float max);

    /* h[i] = act(gate[i]) * up[i]; h may be either of them */
    void (*silu_mul)(float *h, const float *gate, const float *up, size_t n);
    void (*gelu_mul)(float *h, const float *gate, const float *up, size_t n);  /* tanh form */
    void (*relu2_mul)(float *h, const float *gate, const float *up, size_t n); /* max(g,0)^2 */
} slm_kernels;

/* Instruction levels. The values are those of SLM_CPU_... in slm.h. */
enum {
    SLM_LEVEL_PORTABLE = 1u,
    SLM_LEVEL_AVX2 = 2u,
    SLM_LEVEL_DOTPROD = 4u,
    SLM_LEVEL_AVX512 = 8u, /* AVX-512 F, BW, DQ, VL and VNNI */
    SLM_LEVEL_AVXVNNI = 16u, /* with AVX2            */
    SLM_LEVEL_I8MM = 32u,  /* with DOTPROD                   */
    SLM_LEVEL_NEON = 64u,  /* packed weights and attention   */
    SLM_LEVEL_AMX = 128u   /* tiles of int8, with AVX512; many columns of packed weights */
};

/* Levels that this build contains and this processor can run. */
uint32_t slm_cpu_levels(void);
/* Fills the table: portable first, then what the levels in mask (and the processor) improve. */
void slm_kernels_init(slm_kernels *kernels, uint32_t mask);
void slm_kernels_init_ref(slm_kernels *kernels);
void slm_kernels_init_avx2(slm_kernels *kernels);    /* only built for x86-64 */
void slm_kernels_init_avxvnni(slm_kernels *kernels);
void slm_kernels_init_avx512(slm_kernels *kernels);
void slm_kernels_init_amx(slm_kernels *kernels);
void slm_kernels_init_neon(slm_kernels *kernels);    /* only built for aarch64 */
void slm_kernels_init_dotprod(slm_kernels *kernels);
void slm_kernels_init_i8mm(slm_kernels *kernels);

/* The activation format in which a weight type is multiplied by default: F32 for F32, F16, BF16;
 * Q8_K for types of 256; Q8_0 for types of 32; I8_ROW for I2_S. */
slm_act slm_act_for(uint32_t type);
/* The format in which packed weights take activations of format act, or act itself. */
slm_act slm_act_packed(slm_act act);
/* Bytes of one activation row of k values, a multiple of 64. */
size_t slm_act_row_bytes(slm_act act, size_t k);
/* Bytes of n_rows of them, and the rows that there is to be memory for. */
size_t slm_act_rows(slm_act act, size_t n_rows);
size_t slm_act_bytes(slm_act act, size_t n_rows, size_t k);
/* Bytes of one cache row; a group of keys is SLM_KV_GROUP times that. */
size_t slm_kv_row_bytes(slm_kv kv, size_t d_head);
/* Puts a row that kv_store made into place t of a group of keys. */
void slm_kv_put_key(slm_kv kv, void *group, size_t t, const void *row, size_t d);

/* RoPE on one head. cos, sin: n_rot/2 values. Elements from n_rot on are left alone.
 * half: pairs (i, i + n_rot/2), in place.
 * interleaved: pairs (2i, 2i+1) as the rows of GGUF arch "llama" are stored; the result is written
 * in the half-split order, so that queries and keys of all families look alike afterwards. x and y
 * must differ. Both give the same bits for the same pair. */
void slm_rope_half(float *x, const float *cos, const float *sin, size_t n_rot);
void slm_rope_interleaved(float *y, const float *x, const float *cos, const float *sin,
                          size_t n_rot, size_t d);
/* cos and sin for one position: angle = position * base^(-2i/n_rot) / factors[i], times attn_factor;
 * inv_freq[i] already holds base^(-2i/n_rot) / factors[i]. */
void slm_rope_angles(float *cos, float *sin, const double *inv_freq, size_t n_half,
                     uint64_t position, float attn_factor);

/* Quantisers of files: one row of k floats to weight blocks. Types: F32 F16 BF16 and all block types
 * but I2_S. importance: k weights of the squared errors (mean squared inputs of the columns), or
 * NULL; F32, F16, BF16, Q8_0, TQ1_0 and TQ2_0 do without. The bytes are those of ggml's
 * quantize_<type>. Returns 0 for a type it does not know. */
int slm_quantize_weights(uint32_t type, void *blocks, const float *x, const float *importance,
                         size_t k);

float slm_f16_to_f32(uint16_t h);
uint16_t slm_f32_to_f16(float f); /* nearest even */
uint16_t slm_f32_to_bf16(float f);

#endif
