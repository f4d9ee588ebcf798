/* Products of F16 and BF16 weights with many rows by cuBLAS, which is loaded when the first of them is
 * made. Where it is not there or fails, the kernels of this library make them, and the log says so once. */
#ifndef SLM_RUN_CUBLAS_H
#define SLM_RUN_CUBLAS_H

#include "run/backend_cuda.h"

#ifdef SLM_HAVE_CUDA

#include "cuda/slm_cuda.h"

struct cublasContext;
typedef struct slm_cublas_calls { /* of cublas_api.h; enumerations are int */
    int (*create)(struct cublasContext **handle);
    int (*destroy)(struct cublasContext *handle);
    int (*set_stream)(struct cublasContext *handle, struct CUstream_st *stream);
    int (*set_workspace)(struct cublasContext *handle, void *memory, size_t bytes);
    int (*set_pointer_mode)(struct cublasContext *handle, int mode);
    int (*gemm_ex)(struct cublasContext *handle, int transa, int transb, int m, int n, int k,
                   const void *alpha, const void *a, int a_type, int lda, const void *b, int b_type,
                   int ldb, const void *beta, void *c, int c_type, int ldc, int compute_type,
                   int algorithm);
} slm_cublas_calls;

typedef struct slm_cublas {
    slm_cublas_calls calls;
    void *library;
    struct cublasContext *handle;
    uint8_t is_planned; /* there are matrices for it, and memory                                     */
    uint8_t is_tried;   /* handle NULL: it is not to be had                                          */
    void *halves;       /* [max_rows][widest]                                                        */
    float *factors;     /* [3]                                                                       */
    uint32_t *largest;  /* [max_rows]                                                                */
    void *workspace;
} slm_cublas;

/* Places what it needs of the device's memory, and returns the bytes: 0 without such matrices or without
 * SLM_CACHE_CUBLAS. With memory NULL it only counts. */
size_t slm_cublas_place(slm_cublas *cublas, const slm_model *model, const slm_cuda_shape *shape,
                        uint8_t *memory);
void slm_cublas_close(slm_cublas *cublas);

/* Puts the products on the stream if they are for it; *done: 1 if so. y[1] of gated products, which have
 * no gaps between rows, is scratch of the size of y[0]. Returns an error number of the device. */
int slm_cublas_multiply(slm_cublas *cublas, const slm_model *model, slm_cuda_stream *stream,
                        const slm_cuda_product *product, uint32_t n_rows, int *done);

#endif
#endif
