/* Tensor types: numbers and block sizes as the format defines them, names for messages. */
#ifndef SLM_GGUF_DTYPE_H
#define SLM_GGUF_DTYPE_H

#include "kernels.h"

#include <stdint.h>

typedef struct slm_dtype_info {
    const char *name;    /* "Q4_K"; "?" for a number the format does not know                        */
    uint32_t block;      /* elements in a block; 0: unknown or removed type                          */
    uint32_t bytes;      /* bytes in a block                                                         */
    uint8_t supported;   /* weights of this type can be run                                          */
    uint8_t removed;     /* was once in the format                                                   */
} slm_dtype_info;

/* Never NULL, for any number. SLM_DTYPE_I2_S has block 128, bytes 32, plus 32 bytes a tensor. */
const slm_dtype_info *slm_dtype_get(uint32_t type);

#endif
