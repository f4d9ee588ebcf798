/* The product of bench/src/bench_product.c, made by a library with the interface of ggml.
 *
 *   ggml_product TYPE file|packed ROWS K COLUMNS TIMES
 *
 * It is compiled with the headers of llama.cpp or of ik_llama.cpp and linked to their libraries, as
 * bench/README.md says. `packed` is what they do to weights when they load a model: llama.cpp
 * always, where it has kernels for it, and ik_llama.cpp with -rtr. TIMES products are nodes of one
 * graph, each with activations of its own, so that each quantises them. Status 77: no such form. */
#include "product.h"

#include "ggml.h"
#if __has_include("ggml-cpu.h")
#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "ggml-alloc.h"
#define IS_LLAMA      1
#define QUANTIZE(...) ggml_quantize_chunk(__VA_ARGS__, NULL)
#else
void iqk_repack_tensor(struct ggml_tensor *tensor);
#define IS_LLAMA      0
#define QUANTIZE(...) ggml_quantize_chunk(__VA_ARGS__, NULL, NULL)
#endif

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int find_type(const char *name, enum ggml_type *type) {
    for (int t = 0; t < GGML_TYPE_COUNT; t++) {
        const char *have = ggml_type_name((enum ggml_type)t);
        if (have != NULL && strcasecmp(have, name) == 0) {
            *type = (enum ggml_type)t;
            return 1;
        }
    }
    return 0;
}

/* Rows of weights as a file has them. */
static void *make_rows(enum ggml_type type, size_t rows, size_t k) {
    const size_t some_bytes = PRODUCT_ROWS * ggml_row_size(type, (int64_t)k);
    float *w = malloc(PRODUCT_ROWS * k * sizeof *w);
    uint8_t *q = malloc(rows / PRODUCT_ROWS * some_bytes);
    if (w == NULL || q == NULL)
        return NULL;
    product_weights(w, k);
    QUANTIZE(type, w, q, 0, PRODUCT_ROWS, (int64_t)k);
    for (size_t i = 1; i < rows / PRODUCT_ROWS; i++)
        memcpy(q + i * some_bytes, q, some_bytes);
    free(w);
    return q;
}

#if IS_LLAMA
/* The weights of the product `op` in a buffer of the type that the processor's library has for
 * packed ones; 0 where it does not take them. */
static int pack(struct ggml_context *weights, struct ggml_tensor *w, const struct ggml_tensor *op,
                const void *rows) {
    ggml_backend_reg_t reg = ggml_backend_cpu_reg();
    ggml_backend_dev_t device = ggml_backend_reg_dev_get(reg, 0);
    void *address = ggml_backend_reg_get_proc_address(reg, "ggml_backend_dev_get_extra_bufts");
    ggml_backend_dev_get_extra_bufts_t get;
    memcpy(&get, &address, sizeof get);
    for (ggml_backend_buffer_type_t *b = get(device); b != NULL && *b != NULL; b++) {
        ggml_backend_buffer_t empty = ggml_backend_buft_alloc_buffer(*b, 0);
        w->buffer = empty;
        const int takes = ggml_backend_dev_supports_op(device, op);
        w->buffer = NULL;
        ggml_backend_buffer_free(empty);
        if (!takes)
            continue;
        if (ggml_backend_alloc_ctx_tensors_from_buft(weights, *b) == NULL)
            return 0;
        ggml_backend_tensor_set(w, rows, 0, ggml_nbytes(w));
        return 1;
    }
    return 0;
}
#else
static int pack(struct ggml_context *weights, struct ggml_tensor *w, const struct ggml_tensor *op,
                void *rows) {
    const enum ggml_type type = w->type;
    (void)weights;
    (void)op;
    w->data = rows;
    iqk_repack_tensor(w);
    return w->type != type;
}
#endif

int main(int argc, char **argv) {
    enum ggml_type type;
    if (argc != 7 || !find_type(argv[1], &type)) {
        fprintf(stderr, "usage: ggml_product TYPE file|packed ROWS K COLUMNS TIMES\n");
        return 2;
    }
    const int packed = strcmp(argv[2], "packed") == 0;
    const size_t rows = strtoul(argv[3], NULL, 10), k = strtoul(argv[4], NULL, 10);
    const size_t columns = strtoul(argv[5], NULL, 10), times = strtoul(argv[6], NULL, 10);
#if IS_LLAMA
    ggml_cpu_init();
#endif
    struct ggml_init_params small = {1 << 20, NULL, true};
    struct ggml_init_params large = {(64u << 20) + times * columns * (k + rows) * sizeof(float),
                                     NULL, false};
    struct ggml_context *weights = ggml_init(small), *context = ggml_init(large);
    struct ggml_tensor *w = ggml_new_tensor_2d(weights, type, (int64_t)k, (int64_t)rows);
    struct ggml_cgraph *graph = ggml_new_graph(context);
    struct ggml_tensor *y = NULL;
    void *data = make_rows(type, rows, k);
    if (data == NULL)
        return 1;
    /* A graph takes its operation from the type, so weights are packed before it is made. */
    struct ggml_tensor *x =
        ggml_new_tensor_2d(context, GGML_TYPE_F32, (int64_t)k, (int64_t)columns);
    if (!packed)
        w->data = data;
    else if (!pack(weights, w, ggml_mul_mat(context, w, x), data))
        return 77;
    for (size_t i = 0; i < times; i++) {
        x = ggml_new_tensor_2d(context, GGML_TYPE_F32, (int64_t)k, (int64_t)columns);
        product_activations(x->data, columns, k);
        y = ggml_mul_mat(context, w, x);
        ggml_build_forward_expand(graph, y);
    }
    if (ggml_graph_compute_with_ctx(context, graph, 1) != GGML_STATUS_SUCCESS)
        return 1;
    product_print(y->data, rows, columns);
    ggml_free(context);
    ggml_free(weights);
    free(data);
    return 0;
}
