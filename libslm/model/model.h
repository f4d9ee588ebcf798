/* A model in memory: immutable once open, shared by every cache and session. */
#ifndef SLM_MODEL_MODEL_H
#define SLM_MODEL_MODEL_H

#include "kernels.h"
#include "model/config.h"
#include "text/chat.h"
#include "text/trie.h"
#include "text/vocab.h"

/* A matrix of n_out rows of n_in weights, in the file's own type: in its place there, or packed. */
typedef struct slm_linear {
    const uint8_t *w;   /* [n_out][row_bytes], or packed: [n_out / 16 rounded up][panel_bytes]       */
    const float *bias;  /* [n_out] or NULL                                                           */
    size_t row_bytes;   /* of a row in the file                                                      */
    size_t panel_bytes; /* of a packed panel (kernels/packed.h); 0: rows as in the file              */
    uint32_t part;      /* of the file, where the rows are                                           */
    uint64_t offset;    /* of the rows in that part                                                  */
    uint32_t n_in;
    uint32_t n_out;
    uint32_t type;      /* slm_dtype                                                                 */
    const void *tiles;  /* the same on the device (model/device.h), or NULL                          */
    slm_act act;        /* format of the input it is multiplied with                                 */
    float scale;        /* of the whole product: 1, or the tensor's scale for I2_S                   */
} slm_linear;

typedef struct slm_layer {
    slm_mixer mixer;
    const float *attn_norm;     /* [d_model]                                                         */
    const float *attn_norm_bias; /* [d_model] of a LayerNorm, or NULL                                */
    slm_linear q;               /* [n_heads * d_head][d_model]                                       */
    slm_linear k;               /* [n_kv_heads * d_head][d_model]; none in SLM_MIXER_CROSS           */
    slm_linear v;               /* [n_kv_heads * d_head][d_model]; likewise                          */
    const float *q_norm;        /* [d_head] or NULL                                                  */
    const float *k_norm;        /* [d_head] or NULL                                                  */
    const float *attn_sub_norm; /* [n_heads * d_head] or NULL                                        */
    const float *pair_norm;     /* [2 * d_head] of differential attention, times 1 - lambda_0        */
    float lambda;               /* what the second softmax of a pair counts                          */
    slm_linear in;              /* [2 * d_inner][d_model] of a scan: values, then gates; [d_inner][d_model]
                                   of SLM_MIXER_MEMORY                                               */
    slm_linear scan_x;          /* [dt_rank + 2 * d_state][d_inner]: time steps, b, c                */
    slm_linear scan_dt;         /* [d_inner][dt_rank]; its bias belongs to the scan                  */
    const float *conv;          /* the kernels' [d_inner / 16][n_conv][16]                           */
    const float *conv_bias;     /* [d_inner]                                                         */
    const float *scan_a;        /* the kernels' [d_inner / 16][d_state][16]                          */
    const float *scan_skip;     /* [d_inner]                                                         */
    uint32_t scan_index;        /* its place in a session's recurrent state                          */
    slm_linear attn_output;     /* [d_model][n_heads * d_head, or d_inner]: the mixer's              */
    const float *ffn_norm;      /* [d_model]                                                         */
    const float *ffn_norm_bias; /* [d_model] or NULL                                                 */
    slm_linear gate;            /* [d_ff][d_model]                                                   */
    slm_linear up;              /* [d_ff][d_model]                                                   */
    const float *ffn_sub_norm;  /* [d_ff] or NULL                                                    */
    slm_linear down;            /* [d_model][d_ff]                                                   */
    uint32_t kv_group;          /* which page tables hold its keys and values                        */
    uint32_t kv_index;          /* its place within a page of that group                             */
} slm_layer;

static inline int slm_layer_attends(const slm_layer *l) {
    return l->mixer != SLM_MIXER_SCAN && l->mixer != SLM_MIXER_MEMORY;
}

/* The matrices of a layer; those that it lacks have n_out = 0. */
#define SLM_LAYER_LINEARS 10u
static inline slm_linear *slm_layer_linear(slm_layer *l, uint32_t i) {
    slm_linear *const all[SLM_LAYER_LINEARS] = {&l->q,  &l->k,    &l->v,  &l->attn_output, &l->gate,
                                                &l->up, &l->down, &l->in, &l->scan_x, &l->scan_dt};
    return all[i];
}

/* Layers whose pages live and die together. */
typedef struct slm_kv_group {
    uint32_t n_layers;
    uint32_t window; /* 0: all keys are kept */
} slm_kv_group;
#define SLM_MAX_KV_GROUPS 2u

typedef struct slm_device_weights slm_device_weights;

struct slm_model {
    slm_host host;
    _Atomic uint32_t n_refs;
    slm_gguf *gguf;
    slm_vocab *vocab;
    slm_chat_format chat;
    slm_str arch_name;
    slm_kernels kernels;
    uint32_t cpu_levels;
    uint8_t has_weights;
    slm_config config;          /* zero without weights                                              */
    slm_layer *layers;          /* [n_layers]                                                        */
    slm_linear embed;           /* [n_vocab][d_model]                                                */
    slm_linear head;            /* [n_vocab][d_model]; the embedding's rows when tied                */
    const float *output_norm;   /* [d_model]                                                         */
    const float *output_norm_bias; /* [d_model] or NULL                                              */
    uint32_t n_scans;           /* layers with recurrent state                                       */
    uint32_t last_writer;       /* the last layer that adds to a session's state; what comes behind its
                                   keys and values serves logits alone                               */
    slm_kv_group groups[SLM_MAX_KV_GROUPS];
    uint32_t n_groups;
    double *inv_freq[2];        /* [n_rot/2]: plain or short factors; long factors or NULL           */
    float *vectors;             /* all norms and biases, aligned copies                              */
    size_t n_vectors;           /* floats there                                                      */
    struct slm_device_weights *device; /* of a model on a device (model/device.h), or NULL           */
    uint64_t weight_bytes;      /* of all tensors in the file                                        */
    uint64_t n_parameters;
    uint8_t *packed;            /* all packed weights, packed here or read; or NULL                  */
    slm_file *packed_file;      /* the same, mapped from a file that was saved; or NULL              */
    uint64_t packed_bytes;      /* allocated for them                                                */
    uint64_t mapped_bytes;      /* of files, used in place                                           */
    uint64_t read_bytes;        /* of the file, read into our memory                                 */
    uint64_t on_device_bytes;   /* of the device, for weights                                        */
    uint64_t own_bytes;         /* allocated for vocabulary, tables, norms                           */
    _Atomic(slm_trie *) trie;   /* the vocabulary's, made when first asked for                       */
    _Atomic uint64_t fingerprint; /* of its files, the same; 0: not asked for yet                    */
};

/* Floats of recurrent state that a session has for a scan: the inputs that the convolution still needs,
 * as conv_silu wants them, then the states, as scan does (kernels.h). */
static inline size_t slm_scan_floats(const slm_config *c) {
    return (size_t)c->d_inner * (c->n_conv - 1 + c->d_state);
}
/* Floats of the longest row that is multiplied with a matrix of a layer or the head. */
static inline size_t slm_widest_row(const slm_config *c) {
    size_t n_q = (size_t)c->n_heads * c->d_head, widest = n_q > c->d_model ? n_q : c->d_model;
    widest = c->d_ff > widest ? c->d_ff : widest;
    return c->d_inner > widest ? c->d_inner : widest;
}
/* Multiply-accumulates beside those with matrices: of a token's scan, and of a query of all heads with
 * one key and value. */
static inline uint64_t slm_scan_macs(const slm_config *c) {
    return (uint64_t)c->d_inner * (c->n_conv + 3 * (uint64_t)c->d_state);
}
static inline uint64_t slm_attend_macs(const slm_config *c) {
    return (uint64_t)c->n_heads * c->d_head * (c->arch->differential ? 3 : 2);
}

/* Exactly one of path, fd >= 0, data is given. */
typedef struct slm_model_source {
    const char *path;
    int fd;
    const void *data;
    size_t size;
} slm_model_source;

slm_status slm_model_open_source(const slm_model_source *source, const slm_model_options *options,
                                 slm_model **out, slm_error *error);
void slm_model_retain(slm_model *model);
void slm_model_release(slm_model *model);

/* The vocabulary by its bytes. Any thread. */
slm_status slm_model_get_trie(slm_model *model, slm_trie **out, slm_error *error);
/* What tells it from other models, and from what it was before its file was changed. Any thread. */
slm_status slm_model_get_fingerprint(slm_model *model, uint64_t *fingerprint, slm_error *error);
/* The name of the type that holds most of the weights of matrices; "" where there are none. */
const char *slm_model_main_type(const slm_model *model);

/* Finds, checks and binds every tensor (weights.c). */
slm_status slm_weights_bind(slm_model *model, uint32_t flags, slm_error *error);
/* Packs what the kernels want packed, by the rule of slm_load, or uses what was saved packed (pack.c).
 * path: of the model's file, or NULL. */
slm_status slm_weights_pack(slm_model *model, const char *path, const slm_model_options *options,
                            slm_error *error);
/* Refuses NaN and infinity in any weight, naming tensor and row. */
slm_status slm_weights_check(const slm_model *model, slm_progress_fn progress, void *progress_user,
                             slm_error *error);

#endif
