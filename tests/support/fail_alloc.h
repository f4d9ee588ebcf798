/* An allocator for tests that counts, checks and fails on request.
 *
 *   fail_alloc fa = FAIL_ALLOC_INIT;
 *   for (fa.fail_at = 1;; fa.fail_at++) {        // the 1st, 2nd, ... allocation fails
 *       slm_allocator a = fail_alloc_start(&fa);
 *       ... open with a; on failure expect SLM_ERR_NOMEM; close ...
 *       assert_int_equal(fa.outstanding, 0);
 *       if (fa.calls < fa.fail_at) break;        // it was never reached: done
 *   }
 *
 * Threads may share it. A block freed twice, with another size or alignment than it was asked for,
 * or written beyond its end, ends the program with a message. */
#ifndef SLM_TESTS_FAIL_ALLOC_H
#define SLM_TESTS_FAIL_ALLOC_H

#include "slm.h"

#include <stdatomic.h>

typedef struct fail_alloc {
    uint64_t fail_at;            /* number of the allocation that fails, from 1; 0: none             */
    int for_good;                /* all later ones fail too                                          */
    _Atomic uint64_t calls;      /* allocations asked for since fail_alloc_start                     */
    _Atomic int64_t outstanding; /* blocks not freed                                                 */
    _Atomic int64_t bytes;       /* in them                                                          */
    _Atomic int64_t peak;        /* most bytes at a time                                             */
} fail_alloc;
#define FAIL_ALLOC_INIT {0, 0, 0, 0, 0, 0}

/* Sets calls and peak to 0 and gives the allocator. */
slm_allocator fail_alloc_start(fail_alloc *fa);

#endif
