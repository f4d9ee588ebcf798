#ifndef TESTS_SIMT_FAKE_CUDA_H
#define TESTS_SIMT_FAKE_CUDA_H

// The controls of the fake CUDA runtime: which device it plays, in which order threads run, what
// fails and what has happened. README.md says what it does and what it cannot.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    FAKE_CUDA_ORIN_NX_16,     // 8 SM, 16 GB, 2 MB of L2
    FAKE_CUDA_ORIN_NX_16_15W, // the same, 4 SM powered
    FAKE_CUDA_ORIN_NANO_8,    // 8 SM, 8 GB
    FAKE_CUDA_ORIN_AGX_64,    // 16 SM, 64 GB, 4 MB of L2
    FAKE_CUDA_NO_DEVICE,      // every call answers cudaErrorNoDevice
    FAKE_CUDA_OLD_DRIVER,     // every call answers cudaErrorInsufficientDriver
    FAKE_CUDA_NO_IMAGE        // an Orin NX for which the program has no code
} fake_cuda_profile;

typedef enum {
    FAKE_CUDA_FORWARD, // blocks, warps and lanes from first to last
    FAKE_CUDA_REVERSE,
    FAKE_CUDA_SHUFFLED // a permutation of each, from the seed
} fake_cuda_order;

typedef struct {
    size_t device_bytes, device_peak_bytes; // of cudaMalloc, now and at most
    size_t pinned_bytes, pinned_peak_bytes;
    size_t n_allocations; // device and pinned, now
    size_t n_objects;     // streams, events, graphs and executable graphs, now
    uint64_t n_mallocs;   // calls so far: cudaMalloc, cudaMallocHost, cudaHostAlloc
    uint64_t n_launches;  // calls of a launch, or of a graph
    uint64_t n_kernels;   // kernels that have run
    uint64_t n_waits;     // calls in which the host waits for the device
    uint64_t bytes_to_device, bytes_from_device; // of copies that were carried out
    uint64_t n_pageable;  // asynchronous copies from or to memory that is not pinned
} fake_cuda_stats;

// Begins anew with a device: everything that is left is released, and orders, failures and figures
// are as at the start. Returns how many allocations and objects were left.
size_t fake_cuda_reset(fake_cuda_profile profile);

void fake_cuda_get_stats(fake_cuda_stats *stats);

// From now on.
void fake_cuda_set_order(fake_cuda_order order, unsigned seed);
void fake_cuda_set_free_memory(size_t bytes);            // what cudaMalloc still gives
void fake_cuda_set_largest(size_t bytes); // what it gives at a time: the driver of a Jetson may refuse more
void fake_cuda_set_devices(int n); // 1 at first: so many alike, with the memory of one between them
void fake_cuda_set_shared(size_t bytes);                  // what a block may have at most
void fake_cuda_set_registers(const void *kernel, int n); // 64 where nothing was said

// The n-th call from now fails, once: n = 1 is the next. 0 takes it back.
void fake_cuda_fail_malloc(int n); // of memory for the device or pinned: cudaErrorMemoryAllocation
void fake_cuda_fail_launch(
    int n);                      // cudaErrorIllegalAddress at the next wait, and the device is lost
void fake_cuda_fail_sync(int n); // cudaErrorUnknown
void fake_cuda_fail_copy(int n); // cudaErrorUnknown of a cudaMemcpyAsync, which is not put on the stream

// A kernel that does what is not allowed ends the program with a sentence on stderr. With on, it is
// the device that is lost (cudaErrorLaunchFailure), and the sentence is kept.
void fake_cuda_catch_faults(bool on);
const char *fake_cuda_fault(void); // the last one, "" for none

#ifdef __cplusplus
}
#endif

#endif
