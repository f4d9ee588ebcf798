/* Which type each tensor of a quantized file gets: the mixes that the field knows by name. The
 * rules are those of llama.cpp's quantizer without an importance matrix, so that the files are of
 * the expected size and quality. */
#ifndef SLM_TOOLS_QUANTIZE_MIX_H
#define SLM_TOOLS_QUANTIZE_MIX_H

#include "gguf/gguf.h"

typedef struct slm_mix {
    const char *name;   /* "Q4_K_M" */
    uint32_t file_type; /* general.file_type */
    uint32_t base;      /* slm_dtype of most matrices */
} slm_mix;

/* What the rules look at beside the tensor itself. */
typedef struct slm_mix_model {
    uint32_t n_layers, n_heads, n_kv_heads;
    int tied;    /* there is no output.weight: token_embd.weight is the output matrix */
    int old_qkv; /* a fused attn_qkv as quantizers up to mid 2025 chose it */
} slm_mix_model;

/* The mix of a name, in any case; the short names Q3_K, Q4_K and Q5_K stand for the M mixes. NULL
 * for a name it does not know. */
const slm_mix *slm_mix_find(const char *name);
/* The mixes in order of size, for lists; NULL behind the last. */
const slm_mix *slm_mix_at(size_t index);

/* The type of a tensor. SLM_DTYPE_LIMIT: it keeps the type it has (norms, biases, whatever has one
 * dimension or is no weight). */
uint32_t slm_mix_type(const slm_mix *mix, const slm_mix_model *model, slm_str name,
                      uint32_t n_dims, uint64_t n_columns);

#endif
