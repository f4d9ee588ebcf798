/* A whole model of a few thousand weights, built in memory, with one thing changed at will. */
#ifndef SLM_TESTS_TINY_MODEL_H
#define SLM_TESTS_TINY_MODEL_H

#include "support/gguf_builder.h"

/* What to change: where the key or tensor of this name would be written, emit is called instead
 * (and may write nothing); extra is called after the last key. */
typedef struct tiny_tweak {
    const char *name;
    void (*emit)(gb *b);
    const char *name2; /* a second one */
    void (*emit2)(gb *b);
    void (*extra)(gb *b);
    float fill; /* every weight of tensor "name" becomes this, when emit is NULL */
    const char *arch; /* general.architecture and the tensors of that family; NULL: "llama" */
    uint32_t scale;   /* all widths times this, for types of wide blocks; 0: 1 */
    uint32_t type;    /* of matrices: SLM_DTYPE_F16 or SLM_DTYPE_BF16; 0: F32 */
    uint32_t n_vocab; /* TINY_VOCAB to TINY_MAX_VOCAB tokens; 0: TINY_VOCAB */
} tiny_tweak;

/* The shape: 2 layers, 32 wide, 2 heads of 16 on 1 kv head, 64 in the feed-forward, 264 tokens. */
#define TINY_VOCAB 264u
#define TINY_MAX_VOCAB 20000u
#define TINY_CTX 128u

/* tweak may be NULL. */
gb *tiny_model(const tiny_tweak *tweak);

#endif
