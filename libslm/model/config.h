/* What a model is: the numbers of its file, checked, and the differences of its family. */
#ifndef SLM_MODEL_CONFIG_H
#define SLM_MODEL_CONFIG_H

#include "gguf/gguf.h"

/* Caps on what a file may ask for; larger is SLM_ERR_RANGE. */
#define SLM_MAX_LAYERS 1024u
#define SLM_MAX_WIDTH (1u << 20) /* d_model, d_ff, n_heads * d_head */
#define SLM_MAX_HEADS 4096u
#define SLM_MAX_D_HEAD 1024u

typedef enum slm_activation {
    SLM_ACTIVATION_SILU = 0, SLM_ACTIVATION_GELU = 1, SLM_ACTIVATION_RELU2 = 2
} slm_activation;

/* How a family differs from the plain transformer: RMSNorm, grouped-query attention with half-split
 * RoPE, gated feed-forward. */
typedef struct slm_arch {
    const char *name; /* general.architecture                                                        */
    slm_activation activation;
    uint8_t rope_interleaved; /* rows of Q and K are stored so that RoPE pairs are neighbours         */
    uint8_t fused_qkv;        /* attn_qkv = [Q ; K ; V]; separate ones are accepted too               */
    uint8_t fused_gate_up;    /* ffn_up = [gate ; up]                                                 */
    uint8_t qkv_bias;         /* attn_{q,k,v}.bias are required                                       */
    uint8_t qk_norm;          /* RMSNorm over d_head on Q and K before RoPE                           */
    uint8_t sub_norm;         /* RMSNorm before attn_output and ffn_down                              */
    uint8_t act_i8_row;       /* inputs of all layer matrices are rounded to int8 per token           */
    uint8_t i2_s;             /* tensor type 36 means I2_S                                            */
    uint8_t long_rope;        /* may carry rope_factors_long/short                                    */
    uint8_t window;           /* honours attention.sliding_window, in all layers                      */
    uint32_t (*default_window)(uint32_t n_layers, uint64_t n_ctx); /* where the key is absent; or NULL */
} slm_arch;

extern const slm_arch slm_arch_llama, slm_arch_phi3, slm_arch_qwen2, slm_arch_qwen3,
    slm_arch_bitnet, slm_arch_bitnet_25;

/* The family of a file; SLM_ERR_UNSUP lists those that are known. */
slm_status slm_arch_find(const slm_gguf *g, const slm_arch **arch, slm_str *name, slm_error *error);

typedef struct slm_config {
    const slm_arch *arch;
    uint32_t n_layers;
    uint32_t d_model;
    uint32_t n_heads;
    uint32_t n_kv_heads;
    uint32_t d_head;
    uint32_t d_ff;
    uint32_t n_vocab;
    uint32_t n_rot;          /* rotated elements of a head, even, <= d_head                          */
    uint32_t n_ctx_train;
    uint32_t n_ctx_original; /* context before RoPE scaling                                          */
    uint32_t window;         /* 0: none                                                              */
    float norm_eps;
    float rope_base;
    float rope_attn_factor;  /* multiplies cos and sin                                               */
    float rope_scale;        /* linear scaling: positions are divided by it                          */
    uint8_t rope_yarn;
} slm_config;

/* Reads and checks every key. n_vocab comes from the vocabulary. */
slm_status slm_config_read(const slm_gguf *g, uint32_t n_vocab, slm_config *config,
                           slm_error *error);

/* base^(-2i/n_rot), i < n_rot/2, scaled as the config says and divided by factors[i] (may be NULL). */
void slm_rope_inv_freq(const slm_config *config, const float *factors, double *inv_freq);

#endif
