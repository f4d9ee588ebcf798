/* One matrix product as a step makes it, some times over: nothing is timed here, it is a program
 * for tools that count what another number of times adds.
 *
 *   slm_bench_product LEVELS TYPE file|packed ROWS K COLUMNS TIMES
 *
 *   LEVELS   sum of instruction levels, as in check_kernels --level
 *   TYPE     of the weights: Q4_K, Q8_0, ...
 *   file     weights as the file has them; packed: in panels (kernels/packed.h)
 *   ROWS     of weights, a multiple of 16; K: numbers in a row, a multiple of 256
 *   COLUMNS  of activations: tokens. Each time they are quantised, and put into tiles for `packed`
 *
 * It prints one line of CSV that tells what came out: bench/arm/product.h. Status 77: no such form,
 * or a level that is not built or that this processor lacks. */
#include "../arm/product.h"

#include "gguf/dtype.h"
#include "kernels.h"
#include "packed.h"

#include <stdlib.h>
#include <string.h>

typedef struct product {
    slm_kernels kernels;
    uint32_t type;
    slm_act act, row_act; /* as the kernel takes them, and as they are quantised */
    size_t rows, k, columns;
    uint8_t *weights;
    size_t weight_bytes; /* of a row or panel */
    float *x, *y;
    uint8_t *row, *activations;
} product;

static void *get(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (p == NULL) {
        fprintf(stderr, "slm_bench_product: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    return p;
}

/* 0 where there is no type of that name. */
static int find_type(const char *name, uint32_t *type) {
    for (uint32_t t = 0; t < SLM_DTYPE_LIMIT; t++) {
        if (slm_dtype_get(t)->supported && strcmp(slm_dtype_get(t)->name, name) == 0) {
            *type = t;
            return 1;
        }
    }
    return 0;
}

static int make_weights(product *p, int packed) {
    const slm_dtype_info *info = slm_dtype_get(p->type);
    const size_t row_bytes = p->k / info->block * info->bytes;
    uint8_t *rows = get(PRODUCT_ROWS * row_bytes);
    float *w = get(PRODUCT_ROWS * p->k * sizeof *w);
    product_weights(w, p->k);
    for (size_t i = 0; i < PRODUCT_ROWS; i++) {
        if (!slm_quantize_weights(p->type, rows + i * row_bytes, w + i * p->k, NULL, p->k))
            return 0;
    }
    const size_t some_bytes = packed ? slm_panel_bytes(p->type, p->k) : PRODUCT_ROWS * row_bytes;
    const size_t n = p->rows / PRODUCT_ROWS;
    p->weight_bytes = packed ? some_bytes : row_bytes;
    p->weights = get(n * some_bytes);
    if (packed)
        slm_pack_panel(p->type, p->weights, rows, row_bytes, PRODUCT_ROWS, p->k);
    else
        memcpy(p->weights, rows, some_bytes);
    for (size_t i = 1; i < n; i++)
        memcpy(p->weights + i * some_bytes, p->weights, some_bytes);
    free(rows);
    free(w);
    return 1;
}

static void run(product *p) {
    const size_t act_bytes = slm_act_row_bytes(p->act, p->k);
    for (size_t j = 0; j < p->columns; j++) {
        const float *x = p->x + j * p->k;
        if (p->act == p->row_act) {
            p->kernels.quantize[p->act](p->activations + j * act_bytes, x, p->k);
            continue;
        }
        p->kernels.quantize[p->row_act](p->row, x, p->k);
        p->kernels.put_row(p->act, p->activations, p->columns, j, p->row, p->k);
    }
    p->kernels.matmul[p->type][p->act](p->y, p->rows, p->weights, p->weight_bytes, p->rows,
                                       p->activations, act_bytes, p->columns, p->k);
}

static int usage(void) {
    fprintf(stderr, "usage: slm_bench_product LEVELS TYPE file|packed ROWS K COLUMNS TIMES\n");
    return 2;
}

int main(int argc, char **argv) {
    product p = {0};
    if (argc != 8)
        return usage();
    const uint32_t levels = (uint32_t)strtoul(argv[1], NULL, 10);
    const int packed = strcmp(argv[3], "packed") == 0;
    p.rows = strtoul(argv[4], NULL, 10);
    p.k = strtoul(argv[5], NULL, 10);
    p.columns = strtoul(argv[6], NULL, 10);
    const unsigned long times = strtoul(argv[7], NULL, 10);
    if (!find_type(argv[2], &p.type) || (!packed && strcmp(argv[3], "file") != 0) || p.rows == 0 ||
        p.rows % PRODUCT_ROWS != 0 || p.k == 0 || p.k % 256 != 0 || p.columns == 0 || times == 0)
        return usage();
    if ((slm_cpu_levels() & levels) != levels || (packed && !slm_packs(p.type)))
        return 77;
    slm_kernels_init(&p.kernels, levels);
    p.row_act = slm_act_for(p.type);
    p.act = packed ? slm_act_packed(p.row_act) : p.row_act;
    p.x = get(p.columns * p.k * sizeof *p.x);
    p.y = get(p.columns * p.rows * sizeof *p.y);
    p.row = get(slm_act_row_bytes(p.row_act, p.k));
    p.activations = get(slm_act_bytes(p.act, p.columns, p.k));
    product_activations(p.x, p.columns, p.k);
    if (!make_weights(&p, packed))
        return 77;
    for (unsigned long i = 0; i < times; i++)
        run(&p);
    product_print(p.y, p.rows, p.columns);
    free(p.x);
    free(p.y);
    free(p.row);
    free(p.activations);
    free(p.weights);
    return 0;
}
