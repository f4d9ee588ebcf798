#include "run/cublas.h"

#ifdef SLM_HAVE_CUDA

#include "base/checked.h"
#include "base/library.h"
#include "model/device.h"

#include <stdio.h>

/* As cublas_api.h and library_types.h have them. */
enum {
    OP_N = 0,
    OP_T = 1,
    POINTER_MODE_DEVICE = 1,
    COMPUTE_32F = 68,
    GEMM_DEFAULT = -1,
    R_32F = 0,
    R_16F = 2,
    R_16BF = 14
};

/* Fewer rows are the business of kernels that read the weights once. */
#define LEAST_ROWS 32u
/* What NVIDIA recommends for devices before Hopper; the next step is 32 MiB. */
#define WORKSPACE_BYTES ((size_t)4 << 20)

static int is_half(uint32_t type) { return type == SLM_DTYPE_F16 || type == SLM_DTYPE_BF16; }

static int has_halves(const slm_model *m) {
    for (uint32_t i = 0; i < m->config.n_layers; i++)
        for (uint32_t j = 0; j < SLM_LAYER_LINEARS; j++)
            if (is_half(slm_layer_linear(&m->layers[i], j)->type))
                return 1;
    return 0;
}

static void *carve(uint8_t *memory, size_t *used, size_t bytes) {
    void *p = memory == NULL ? NULL : memory + *used;
    *used += slm_round_up(bytes, 256);
    return p;
}

size_t slm_cublas_place(slm_cublas *c, const slm_model *m, const slm_cuda_shape *s,
                        uint8_t *memory) {
    size_t used = 0, widest = slm_widest_row(&m->config);
    if (!(s->flags & SLM_CACHE_CUBLAS) || s->max_rows < LEAST_ROWS || !has_halves(m))
        return 0;
    c->is_planned = 1;
    c->halves = carve(memory, &used, s->max_rows * widest * 2);
    c->factors = carve(memory, &used, 3 * sizeof *c->factors);
    c->largest = carve(memory, &used, s->max_rows * sizeof *c->largest);
    c->workspace = carve(memory, &used, WORKSPACE_BYTES);
    return used;
}

void slm_cublas_close(slm_cublas *c) {
    if (c->handle != NULL)
        (void)c->calls.destroy(c->handle);
    slm_library_close(c->library);
    c->handle = NULL;
    c->library = NULL;
}

/* ---------------------------------------------------------------- loading ---------------------- */

static void give_up(slm_cublas *c, const slm_model *m, const char *what, int status) {
    if (status != 0)
        slm_log(&m->host, SLM_LOG_WARNING,
                "cuBLAS is not used: %s gave status %d; the library's own kernels multiply", what,
                status);
    else
        slm_log(&m->host, SLM_LOG_WARNING,
                "cuBLAS is not used: %s; the library's own kernels multiply", what);
    slm_cublas_close(c);
}

/* The release of the run time first: no second copy of anything is loaded then. */
static int load(slm_cublas *c, const slm_model *m) {
    const uint32_t majors[] = {m->device->info.runtime / 1000, 13, 12, 11};
    for (size_t i = 0; c->library == NULL && i < sizeof majors / sizeof *majors; i++) {
        char name[32];
        snprintf(name, sizeof name, "libcublas.so.%u", majors[i]);
        c->library = slm_library_open(name);
    }
    return c->library != NULL;
}

static int find_calls(slm_cublas *c) {
    const struct {
        const char *name;
        void *to;
    } calls[] = {{"cublasCreate_v2", &c->calls.create},
                 {"cublasDestroy_v2", &c->calls.destroy},
                 {"cublasSetStream_v2", &c->calls.set_stream},
                 {"cublasSetWorkspace_v2", &c->calls.set_workspace},
                 {"cublasSetPointerMode_v2", &c->calls.set_pointer_mode},
                 {"cublasGemmEx", &c->calls.gemm_ex}};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (!slm_library_find(c->library, calls[i].name, calls[i].to))
            return 0;
    return 1;
}

static int open_handle(slm_cublas *c, slm_cuda_stream *s) {
    int status = c->calls.create(&c->handle);
    if (status != 0)
        c->handle = NULL;
    if (status == 0)
        status = c->calls.set_stream(c->handle, s->stream);
    if (status == 0) /* after the stream, which sets it back */
        status = c->calls.set_workspace(c->handle, c->workspace, WORKSPACE_BYTES);
    if (status == 0)
        status = c->calls.set_pointer_mode(c->handle, POINTER_MODE_DEVICE);
    return status;
}

static int is_ready(slm_cublas *c, const slm_model *m, slm_cuda_stream *s) {
    if (c->is_tried)
        return c->handle != NULL;
    c->is_tried = 1;
    if (!load(c, m)) {
        give_up(c, m, "there is no libcublas.so of CUDA 11 to 13", 0);
    } else if (!find_calls(c)) {
        give_up(c, m, "libcublas.so lacks a function", 0);
    } else {
        int status = open_handle(c, s);
        if (status != 0)
            give_up(c, m, "opening it", status);
    }
    return c->handle != NULL;
}

/* ---------------------------------------------------------------- products --------------------- */

/* y = W a of rows is, with columns in memory, Y = W^T A: n_out x n_rows, W being n_in x n_out. */
static int multiply_one(slm_cublas *c, const slm_cuda_product *p, uint32_t i, uint32_t n_rows) {
    const slm_cuda_matrix *w = p->w[i];
    int type = w->type == SLM_DTYPE_F16 ? R_16F : R_16BF, n_in = (int)w->n_in;
    const float *beta = c->factors + (p->then == SLM_CUDA_ADD ? 2 : 1);
    return c->calls.gemm_ex(c->handle, OP_T, OP_N, (int)w->n_out, (int)n_rows, n_in, c->factors, w->w,
                            type, n_in, c->halves, type, n_in, beta, p->y[i], R_32F,
                            (int)p->y_stride, COMPUTE_32F, GEMM_DEFAULT);
}

int slm_cublas_multiply(slm_cublas *c, const slm_model *m, slm_cuda_stream *s,
                        const slm_cuda_product *p, uint32_t n_rows, int *done) {
    const slm_cuda_matrix *w = p->w[0];
    int is_gated = p->then >= SLM_CUDA_SILU;
    *done = 0;
    if (!c->is_planned || n_rows < LEAST_ROWS || !is_half(w->type) || p->out_rows != NULL ||
        (is_gated && p->y_stride != w->n_out) || !is_ready(c, m, s))
        return 0;
    slm_cuda_halves rows = {.x = p->a, .n = w->n_in, .type = w->type, .out = c->halves,
                            .factors = c->factors, .largest = c->largest};
    int code = slm_cuda_to_halves(s, &rows, n_rows);
    if (code != 0)
        return code;
    for (uint32_t i = 0; i < p->n_matrices; i++) {
        int status = multiply_one(c, p, i, n_rows);
        if (status != 0) { /* nothing was put on the stream, and what was is made again */
            give_up(c, m, "a product", status);
            return 0;
        }
    }
    *done = 1;
    return is_gated ? slm_cuda_gate(s, p->y[0], p->y[1], (size_t)n_rows * p->y_stride, p->then) : 0;
}

#endif
