/* What a model is: the numbers of its file, checked, and the differences of its family. */
#ifndef SLM_MODEL_CONFIG_H
#define SLM_MODEL_CONFIG_H

#include "gguf/gguf.h"

/* Caps on what a file may ask for; larger is SLM_ERR_RANGE. */
#define SLM_MAX_LAYERS 1024u
#define SLM_MAX_WIDTH (1u << 20) /* d_model, d_ff, n_heads * d_head */
#define SLM_MAX_HEADS 4096u
#define SLM_MAX_D_HEAD 1024u
#define SLM_MAX_SCAN_STATE 256u
#define SLM_MAX_SCAN_CONV 16u

typedef enum slm_activation {
    SLM_ACTIVATION_SILU = 0, SLM_ACTIVATION_GELU = 1, SLM_ACTIVATION_RELU2 = 2
} slm_activation;

/* What a layer does before its feed-forward. */
typedef enum slm_mixer {
    SLM_MIXER_ATTENTION = 0, /* within the window of the config, if it has one                       */
    SLM_MIXER_FULL,          /* attention to all keys; its keys and values serve later SLM_MIXER_CROSS */
    SLM_MIXER_CROSS,         /* attention to the keys and values of the SLM_MIXER_FULL before it      */
    SLM_MIXER_SCAN,          /* a convolution and a selective scan                                   */
    SLM_MIXER_MEMORY,        /* a gate on what the last scan gave before its own gate                */
    SLM_MIXER_LIMIT
} slm_mixer;

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
    uint8_t window;           /* honours attention.sliding_window, in layers of SLM_MIXER_ATTENTION   */
    uint8_t layer_norm;       /* LayerNorm with bias in place of RMSNorm, eps of its own              */
    uint8_t no_rope;          /* positions are not encoded                                            */
    uint8_t output_bias;      /* attn_output.bias is required                                         */
    uint8_t differential;     /* heads in pairs: the difference of two softmaxes over shared values   */
    uint8_t recurrent;        /* has SLM_MIXER_SCAN layers and their keys                             */
    /* The mixer of a layer, or SLM_MIXER_LIMIT where no file has so many layers; NULL: attention.
     * The file must agree in <name>.layer_types, in which mixer_codes[i] stands for mixer i. */
    slm_mixer (*mixer)(uint32_t layer, uint32_t n_layers);
    uint8_t mixer_codes[SLM_MIXER_LIMIT];
    const char *foreign_key;  /* of files that keep other rows under the same names: refused; or NULL */
    uint32_t (*default_window)(uint32_t n_layers, uint64_t n_ctx); /* where the key is absent; or NULL */
} slm_arch;

extern const slm_arch slm_arch_llama, slm_arch_phi3, slm_arch_qwen2, slm_arch_qwen3,
    slm_arch_bitnet, slm_arch_bitnet_25, slm_arch_phi4flash;

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
    uint32_t d_inner;        /* channels of a scan; likewise below; 0: none                          */
    uint32_t d_state;
    uint32_t n_conv;
    uint32_t dt_rank;
    float norm_eps;
    float pair_norm_eps;     /* of the norm behind the difference of two softmaxes                   */
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
