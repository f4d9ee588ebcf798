#include "base/buffer.h"

#include "base/checked.h"

#include <string.h>

slm_status slm_buffer_reserve(slm_buffer *b, size_t extra, slm_error *error) {
    if (extra <= b->cap - b->len)
        return SLM_OK;
    size_t want;
    if (!slm_add_size(b->len, extra, &want))
        return slm_fail_nomem(error, UINT64_MAX, "text");
    /* Half as much again, so that appending is linear altogether. */
    size_t cap = b->cap + b->cap / 2;
    if (cap < want)
        cap = want;
    if (cap < 256)
        cap = 256;
    char *p = slm_realloc(b->host, b->ptr, cap);
    if (!p)
        return slm_fail_nomem(error, cap, "text");
    b->ptr = p;
    b->cap = cap;
    return SLM_OK;
}

slm_status slm_buffer_append(slm_buffer *b, const void *data, size_t n, slm_error *error) {
    if (n == 0)
        return SLM_OK;
    SLM_TRY(slm_buffer_reserve(b, n, error));
    memcpy(b->ptr + b->len, data, n);
    b->len += n;
    return SLM_OK;
}

void slm_buffer_free(slm_buffer *b) {
    slm_free(b->host, b->ptr);
    b->ptr = NULL;
    b->len = b->cap = 0;
}
