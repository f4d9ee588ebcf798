/* How sixteen tokens of a head's keys or values lie on the device, as qkv.cu stores them: keys
 * token by token, values element by element; behind those of Q8_0 the scales, 32 elements each. */
#include "cuda/slm_cuda.h"

#include "kernels.h"

#include <string.h>

/* Where token t stands among its values and scales: attend.cuh's place_of. */
static size_t place_of(uint32_t t) {
    return t % 8 / 2 * 4 + t / 8 * 2 + t % 2;
}

void slm_cuda_clear_token(void *group, uint32_t type, size_t d, uint32_t t, int is_v) {
    uint8_t *bytes = group;
    size_t size = type == SLM_KVT_F32 ? 4 : type == SLM_KVT_F16 ? 2 : 1;
    size_t n = type == SLM_KVT_Q8_0 ? (d + 31) / 32 * 32 : d;
    if (is_v)
        for (size_t i = 0; i < n; i++)
            memset(bytes + (i * SLM_KV_GROUP + place_of(t)) * size, 0, size);
    else
        memset(bytes + t * n * size, 0, n * size);
    uint8_t *scales = bytes + SLM_KV_GROUP * n;
    for (size_t i = 0; type == SLM_KVT_Q8_0 && i < n / 32; i++)
        memset(scales + (i * SLM_KV_GROUP + place_of(t)) * 2, 0, 2);
}
