/* The threads of the steps. They come from OpenMP and stay in one parallel region for as long as
 * they are needed: at the end of a region an OpenMP run time has idle threads hold on to their
 * processors for milliseconds, and a library has no way to tell it otherwise. */
#ifndef SLM_BASE_LANES_H
#define SLM_BASE_LANES_H

#include "base/barrier.h"

#include <pthread.h>

/* lane: 0 is the thread that calls slm_lanes_run. */
typedef void (*slm_lanes_fn)(void *context, uint32_t lane);

typedef struct slm_lanes {
    slm_barrier gate;  /* before and after each run                  */
    slm_barrier ready; /* of the opener and lane 1: the region began */
    uint32_t n;        /* lanes there are, the caller's among them   */
    pthread_t holder;  /* the region is its; it is lane 1            */
    slm_lanes_fn body; /* of the run; NULL to end                    */
    void *context;
} slm_lanes;

/* Starts n - 1 threads, or as many as the system allows: l->n lanes are there afterwards, at least
 * 1. *l is 64-aligned and stays where it is until slm_lanes_close. */
void slm_lanes_open(slm_lanes *l, uint32_t n);

/* Has every lane call body once, and returns when all have. From any thread, one at a time. Threads
 * that wait for a run sleep. */
void slm_lanes_run(slm_lanes *l, slm_lanes_fn body, void *context);

/* Ends the threads. */
void slm_lanes_close(slm_lanes *l);

#endif
