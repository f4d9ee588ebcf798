/* How fast this machine reads memory: the ceiling that a token's bytes are held against. */
#ifndef SLM_TOOLS_READBW_H
#define SLM_TOOLS_READBW_H

#include <stddef.h>
#include <stdint.h>

/* Reads a buffer of bytes (at least 1 MiB a thread; 2 GB and more lie beyond every cache) with
 * threads threads, or as many as the system gives, each from its own part, several times and in
 * several ways: one stream or four side by side, with and without prefetching. Huge pages where the
 * system gives them. Returns the rate of the fastest pass in 10^9 bytes a second; 0 when the memory
 * is not to be had. */
double slm_read_bandwidth(size_t bytes, uint32_t threads);

/* The same of memory that is there already: what it is made of (small or large pages, of this system or
 * of one below it) decides how fast it can be read, so weights are best held against themselves.
 * data: 64-aligned, bytes at least 1 MiB a thread. */
double slm_read_bandwidth_of(const void *data, size_t bytes, uint32_t threads);

#endif
