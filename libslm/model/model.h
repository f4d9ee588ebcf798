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
    const float *attn_norm;     /* [d_model]                                                         */
    slm_linear q;               /* [n_heads * d_head][d_model]                                       */
    slm_linear k;               /* [n_kv_heads * d_head][d_model]                                    */
    slm_linear v;               /* [n_kv_heads * d_head][d_model]                                    */
    const float *q_norm;        /* [d_head] or NULL                                                  */
    const float *k_norm;        /* [d_head] or NULL                                                  */
    const float *attn_sub_norm; /* [n_heads * d_head] or NULL                                        */
    slm_linear attn_output;     /* [d_model][n_heads * d_head]                                       */
    const float *ffn_norm;      /* [d_model]                                                         */
    slm_linear gate;            /* [d_ff][d_model]                                                   */
    slm_linear up;              /* [d_ff][d_model]                                                   */
    const float *ffn_sub_norm;  /* [d_ff] or NULL                                                    */
    slm_linear down;            /* [d_model][d_ff]                                                   */
    uint32_t kv_group;          /* which page tables hold its keys and values                        */
    uint32_t kv_index;          /* its place within a page of that group                             */
} slm_layer;

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
};

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
