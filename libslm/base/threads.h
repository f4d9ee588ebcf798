/* Whether the system lets us have threads. */
#ifndef SLM_BASE_THREADS_H
#define SLM_BASE_THREADS_H

#include <stdint.h>

/* Starts n - 1 threads at the same time, ends them, and returns how many could be started, plus
 * one for the caller: at least 1, at most n. An OpenMP run time ends the program when it is refused
 * a thread, so this is asked before it is. */
uint32_t slm_threads_probe(uint32_t n);

#endif
