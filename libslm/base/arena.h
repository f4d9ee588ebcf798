/* Memory that is taken piece by piece and given back all at once. */
#ifndef SLM_BASE_ARENA_H
#define SLM_BASE_ARENA_H

#include "base/host.h"

/* Empty when zeroed but for host. */
typedef struct slm_arena {
    slm_host *host;
    struct slm_arena_block *block; /* the newest; each knows the one before */
    char *next;                    /* free bytes of the newest block        */
    size_t left;
    size_t used;                   /* bytes handed out so far               */
} slm_arena;

/* size bytes aligned to 16, uninitialised, valid until slm_arena_free; NULL when memory is refused. */
void *slm_arena_alloc(slm_arena *a, size_t size);
void slm_arena_free(slm_arena *a); /* the arena is empty afterwards and can be used again */

#endif
