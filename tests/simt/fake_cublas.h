#ifndef TESTS_SIMT_FAKE_CUBLAS_H
#define TESTS_SIMT_FAKE_CUBLAS_H

// A libcublas.so for the fake runtime, with the calls that the library makes: it looks at each
// argument as the real one does, and more, and multiplies in its stream. A program gets at its
// controls by loading it too (fake_cublas_get).

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    // from now on: the n-th call fails; 0: none
    int fail_create, fail_workspace, fail_gemm;
    // so far
    uint64_t n_handles; // that are open
    uint64_t n_created;
    uint64_t n_gemms;         // that were put into a stream
    uint64_t n_misaligned;    // of these, with an operand that is no multiple of 16 bytes
    char complaint[200];      // about a call of which the arguments do not fit, "" for none
} fake_cublas;

typedef fake_cublas *fake_cublas_get_fn(void);
fake_cublas *fake_cublas_get(void);

#ifdef __cplusplus
}
#endif

#endif
