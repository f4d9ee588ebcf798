/* What the library gets from the program it lives in: memory and a place for log lines. One
 * slm_host belongs to a model; everything opened on it borrows it. */
#ifndef SLM_BASE_HOST_H
#define SLM_BASE_HOST_H

#include "slm.h"
#include "status.h"

#include <stdatomic.h>

typedef struct slm_host {
    slm_allocator allocator; /* never NULL functions                                               */
    slm_log_fn log;
    void *log_user;
    slm_log_level log_level;
    _Atomic uint64_t bytes;  /* held now through slm_alloc, headers included                        */
    uint64_t limit;          /* 0: none. slm_alloc fails beyond it                                  */
    _Atomic int was_full;    /* it did                                                              */
} slm_host;

/* allocator and log may be NULL. An allocator that lacks a function is not used. */
void slm_host_init(slm_host *host, const slm_allocator *allocator, slm_log_fn log, void *log_user,
                   slm_log_level level);

/* size bytes aligned to 64, uninitialised; NULL when refused. size 0 gives a valid pointer.
 * The size is kept in a header of SLM_ALLOC_HEADER bytes, so slm_free needs only the pointer. */
#define SLM_ALLOC_HEADER 64u
void *slm_alloc(slm_host *host, size_t size);
/* The same, zeroed, count * size with overflow check. */
void *slm_calloc(slm_host *host, size_t count, size_t size);
/* Grows or shrinks; on failure NULL and ptr stays valid. ptr may be NULL. */
void *slm_realloc(slm_host *host, void *ptr, size_t size);
void slm_free(slm_host *host, void *ptr); /* NULL is fine */

/* SLM_ERR_NOMEM with the number of bytes. */
slm_status slm_fail_nomem(slm_error *error, uint64_t bytes, const char *what);

void slm_log(const slm_host *host, slm_log_level level, const char *format, ...) SLM_PRINTF(3, 4);

#endif
