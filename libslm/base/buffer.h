/* A growing buffer of bytes; empty when zeroed but for host. */
#ifndef SLM_BASE_BUFFER_H
#define SLM_BASE_BUFFER_H

#include "base/host.h"

typedef struct slm_buffer {
    slm_host *host;
    char *ptr;
    size_t len, cap; /* in bytes */
} slm_buffer;

/* Makes room for extra more bytes; what is announced stays valid until the next call. */
slm_status slm_buffer_reserve(slm_buffer *b, size_t extra, slm_error *error);
slm_status slm_buffer_append(slm_buffer *b, const void *data, size_t n, slm_error *error);
void slm_buffer_free(slm_buffer *b);

#endif
