/* Products of F16 and BF16 weights with many rows by cuBLAS, of which fake_cublas.h is one: right shapes
 * and types, the right values, and the library's own kernels where it is absent or fails. */
#define _GNU_SOURCE

#include "backend_test.h"
#include "base/rng.h"
#include "fake_cublas.h"
#include "model/device.h"
#include "run/cublas.h"

#include <dlfcn.h>
#include <math.h>

static fake_cublas *cublas;
static char warnings[1000];
static int n_warnings;

static void log_line(void *user, slm_log_level level, const char *line) {
    (void)user;
    if (level > SLM_LOG_WARNING)
        return;
    n_warnings++;
    snprintf(warnings, sizeof warnings, "%s", line);
}

static int setup_cublas(void **state) {
    void *library = dlopen("libcublas.so.13", RTLD_NOW);
    fake_cublas_get_fn *get = NULL;
    if (library != NULL)
        memcpy(&get, &(void *){dlsym(library, "fake_cublas_get")}, sizeof get);
    assert_non_null(get);
    cublas = get();
    *cublas = (fake_cublas){.fail_create = 0};
    n_warnings = 0;
    return setup(state);
}

static int teardown_cublas(void **state) {
    assert_string_equal(cublas->complaint, "");
    assert_int_equal(cublas->n_handles, 0);
    return teardown(state);
}

/* ---------------------------------------------------------------- one product ------------------ */

typedef struct shape {
    uint32_t type, n_in, n_out[3], n_matrices, n_rows, y_stride;
    slm_cuda_then then;
    float largest; /* of the activations */
} shape;

static float as_float(uint32_t type, uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return type == SLM_DTYPE_F16 ? slm_f16_to_f32(half) : x;
}

static uint16_t as_half(uint32_t type, float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return type == SLM_DTYPE_F16 ? slm_f32_to_f16(x) : (uint16_t)(bits >> 16);
}

/* Memory of the device with these bytes. */
static void *put(slm_cuda_stream *s, const void *bytes, size_t n) {
    void *at, *pinned, *seen;
    assert_int_equal(slm_cuda_alloc(0, &at, n), 0);
    assert_int_equal(slm_cuda_alloc_host(0, &pinned, &seen, n), 0);
    memcpy(pinned, bytes, n);
    assert_int_equal(slm_cuda_to_device(s, at, pinned, n), 0);
    assert_int_equal(slm_cuda_wait(s), 0);
    assert_int_equal(slm_cuda_free_host(0, pinned), 0);
    return at;
}

static void take(slm_cuda_stream *s, void *to, const void *from, size_t n) {
    void *pinned, *seen;
    assert_int_equal(slm_cuda_alloc_host(0, &pinned, &seen, n), 0);
    assert_int_equal(slm_cuda_from_device(s, pinned, from, n), 0);
    assert_int_equal(slm_cuda_wait(s), 0);
    memcpy(to, pinned, n);
    assert_int_equal(slm_cuda_free_host(0, pinned), 0);
}

static double silu(double x) { return x / (1 + exp(-x)); }

/* A product as the formula says, and how far it may be off: each activation by half a unit in its last
 * place (2^-11 with F16, 2^-9 with BF16, relative to it, or of the smallest number there is), the sums by
 * what floats lose. */
static void check_shape(slm_model *m, const shape *s) {
    slm_cuda_stream stream;
    slm_cublas c = {.is_planned = 0};
    slm_cuda_shape cache = {.max_rows = s->n_rows, .flags = SLM_CACHE_CUBLAS};
    size_t n_a = (size_t)s->n_rows * s->n_in, n_y = (size_t)s->n_rows * s->y_stride;
    float *a = malloc(n_a * sizeof *a), *y = malloc(n_y * sizeof *y), *got = malloc(n_y * sizeof *y);
    uint16_t *w[3] = {NULL, NULL, NULL};
    slm_cuda_matrix matrices[3];
    slm_rng rng;
    assert_true(a && y && got);
    slm_rng_seed(&rng, s->n_in);
    for (size_t i = 0; i < n_a; i++) /* large and small ones side by side */
        a[i] = s->largest * (float)(2 * slm_rng_double(&rng) - 1) * (i % 3 ? 1e-3f : 1);
    a[n_a / 2] = s->largest;
    for (size_t i = 0; i < n_y; i++)
        y[i] = (float)(2 * slm_rng_double(&rng) - 1);
    assert_int_equal(slm_cuda_stream_open(&stream, 0, 0), 0);
    uint64_t on_device = slm_cublas_place(&c, m, &cache, NULL);
    void *memory, *device_a = put(&stream, a, n_a * sizeof *a);
    assert_int_equal(slm_cuda_alloc(0, &memory, on_device), 0);
    slm_cublas_place(&c, m, &cache, memory);
    slm_cuda_product p = {.n_matrices = s->n_matrices, .then = s->then, .y_stride = s->y_stride,
                          .a = device_a};
    float *device_y = put(&stream, y, n_y * sizeof *y), *second = put(&stream, y, n_y * sizeof *y);
    uint32_t at = 0;
    for (uint32_t i = 0; i < s->n_matrices; i++) {
        size_t n = (size_t)s->n_out[i] * s->n_in;
        w[i] = malloc(n * sizeof *w[i]);
        assert_non_null(w[i]);
        for (size_t j = 0; j < n; j++)
            w[i][j] = as_half(s->type, (float)(2 * slm_rng_double(&rng) - 1));
        matrices[i] = (slm_cuda_matrix){.w = put(&stream, w[i], n * sizeof *w[i]), .type = s->type,
                                        .n_out = s->n_out[i], .n_in = s->n_in, .scale = 1};
        p.w[i] = &matrices[i];
        p.y[i] = s->then >= SLM_CUDA_SILU && i == 1 ? second : device_y + at;
        at += s->then >= SLM_CUDA_SILU ? 0 : s->n_out[i];
    }
    int done = 0;
    assert_int_equal(slm_cublas_multiply(&c, m, &stream, &p, s->n_rows, &done), 0);
    assert_int_equal(done, 1);
    assert_string_equal(cublas->complaint, "");
    take(&stream, got, device_y, n_y * sizeof *y);

    double unit = s->type == SLM_DTYPE_F16 ? 0x1p-11 : 0x1p-9;
    double least = s->type == SLM_DTYPE_F16 ? 0x1p-25 * fmax(1, s->largest / 0x1p14) : 0;
    for (uint32_t r = 0; r < s->n_rows; r++)
        for (uint32_t col = 0, i = 0, o = 0; col < s->y_stride; col++, o++) {
            double sum[2] = {0, 0}, off[2] = {0, 0};
            if (i < s->n_matrices && o == s->n_out[i]) {
                i = s->then >= SLM_CUDA_SILU ? s->n_matrices : i + 1;
                o = 0;
            }
            float x = got[r * s->y_stride + col], before = y[r * s->y_stride + col];
            if (i >= s->n_matrices) { /* nothing is written there */
                assert_memory_equal(&x, &before, sizeof x);
                continue;
            }
            for (uint32_t q = 0; q < (s->then >= SLM_CUDA_SILU ? 2 : 1); q++)
                for (uint32_t k = 0; k < s->n_in; k++) {
                    double f = as_float(s->type, w[i + q][(size_t)o * s->n_in + k]);
                    double v = a[(size_t)r * s->n_in + k];
                    sum[q] += f * v;
                    off[q] += fabs(f) * (fmax(unit * fabs(v), least) + 0x1p-22 * fabs(v));
                }
            double want = sum[0] + (s->then == SLM_CUDA_ADD ? before : 0), bound = off[0];
            if (s->then == SLM_CUDA_SILU) {
                want = silu(sum[0]) * sum[1]; /* whose slope is below 1.1 */
                bound = 1.1 * off[0] * (fabs(sum[1]) + off[1]) + fabs(silu(sum[0])) * off[1] +
                        1e-5 * fabs(want);
            }
            bound += 1e-6 * fabs(want) + 1e-7;
            if (!(fabs(x - want) <= bound))
                fail_msg("type %u, row %u, column %u: got %g, wanted %g to within %g", s->type, r, col,
                         (double)x, want, bound);
        }
    slm_cublas_close(&c);
    for (uint32_t i = 0; i < s->n_matrices; i++) {
        slm_cuda_free(0, (void *)(uintptr_t)matrices[i].w);
        free(w[i]);
    }
    slm_cuda_free(0, device_a);
    slm_cuda_free(0, device_y);
    slm_cuda_free(0, second);
    slm_cuda_free(0, memory);
    slm_cuda_stream_close(&stream);
    free(a);
    free(y);
    free(got);
}

static void products_are_right(void **state) {
    (void)state;
    static const shape shapes[] = {
        {SLM_DTYPE_F16, 64, {48, 0, 0}, 1, 32, 48, SLM_CUDA_STORE, 1},
        {SLM_DTYPE_F16, 37, {19, 5, 1}, 3, 33, 40, SLM_CUDA_STORE, 3},
        {SLM_DTYPE_F16, 40, {30, 0, 0}, 1, 65, 31, SLM_CUDA_ADD, 1e6f},
        {SLM_DTYPE_F16, 31, {20, 20, 0}, 2, 40, 20, SLM_CUDA_SILU, 2},
        {SLM_DTYPE_F16, 33, {7, 0, 0}, 1, 32, 7, SLM_CUDA_STORE, 65520},
        {SLM_DTYPE_F16, 33, {7, 0, 0}, 1, 32, 7, SLM_CUDA_STORE, 32768},
        {SLM_DTYPE_F16, 33, {7, 0, 0}, 1, 32, 7, SLM_CUDA_STORE, 1e-6f},
        {SLM_DTYPE_F16, 16, {3, 0, 0}, 1, 300, 3, SLM_CUDA_STORE, 1e30f},
        {SLM_DTYPE_BF16, 64, {48, 0, 0}, 1, 32, 48, SLM_CUDA_STORE, 1},
        {SLM_DTYPE_BF16, 37, {19, 5, 1}, 3, 33, 25, SLM_CUDA_STORE, 1e8f},
        {SLM_DTYPE_BF16, 40, {30, 0, 0}, 1, 65, 31, SLM_CUDA_ADD, 1},
        {SLM_DTYPE_BF16, 31, {20, 20, 0}, 2, 40, 20, SLM_CUDA_SILU, 2},
    };
    static const tiny_tweak halves = {.type = SLM_DTYPE_F16, .scale = 4};
    make_file(&halves);
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check_shape(m, &shapes[i]);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* ---------------------------------------------------------------- prompts ---------------------- */

static slm_model *open_logged(void) {
    slm_model_options o = {.struct_size = sizeof o, .device = SLM_DEVICE_CUDA, .log = log_line};
    slm_model *m = NULL;
    OK(slm_model_open_memory(file, file_size, &o, &m, &golden_err));
    return m;
}

static slm_session *open_flagged(slm_model *m, uint32_t flags) {
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = TINY_CTX, .max_logits = N_IDS,
                           .chunk_ms = SLM_CHUNK_WHOLE, .flags = flags};
    slm_session *s = NULL;
    OK(slm_session_open(m, &o, &s, &golden_err));
    return s;
}

/* Of a tiny model's logits, which are about 1. */
static void nearly(const logits_row *got, const logits_row *want, size_t n, double off) {
    double most = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < TINY_VOCAB; j++)
            most = fmax(most, fabs((double)got[i][j] - (double)want[i][j]));
    if (!(most > 0 && most < off))
        fail_msg("logits are off by %g, wanted less than %g and not nothing", most, off);
}

/* Steps of 32 rows and more are its, and nothing else; it is loaded for the first of them. */
static void prompts_go_there(void **state) {
    (void)state;
    static const tiny_tweak tweaks[] = {{.type = SLM_DTYPE_F16}, {.type = SLM_DTYPE_BF16}};
    for (size_t i = 0; i < 2; i++) {
        make_file(&tweaks[i]);
        slm_model *m = open_logged();
        logits_row *want = logits_alone(m, 80), got[80];
        assert_int_equal(cublas->n_created, i);
        slm_session *s = open_flagged(m, SLM_CACHE_CUBLAS);
        uint64_t before = cublas->n_gemms;
        feed(s, 0, 31, 31, got); /* too few */
        assert_memory_equal(got, want, 31 * sizeof *got);
        assert_int_equal(cublas->n_created, i);
        assert_int_equal(cublas->n_gemms, before);
        feed(s, 31, 79, 48, got);
        assert_int_equal(cublas->n_gemms, before + 2 * 7); /* of each of two layers */
        feed(s, 79, 80, 1, got);
        assert_int_equal(cublas->n_gemms, before + 2 * 7);
        assert_int_equal(cublas->n_created, i + 1);
        assert_int_equal(cublas->n_misaligned, 0);
        nearly(got, want, 80, i == 0 ? 0.02 : 0.1);
        slm_session_close(&s);
        assert_int_equal(cublas->n_handles, 0);
        free(want);
        slm_model_close(&m);
        NOTHING_ON_DEVICE();
    }
    assert_int_equal(n_warnings, 0);
}

/* Without the flag, and for other types, it is not even loaded; what it needs is in the plan. */
static void only_when_asked_for(void **state) {
    (void)state;
    slm_cache_options o = {.struct_size = sizeof o};
    slm_plan plan = {.struct_size = sizeof plan}, with = {.struct_size = sizeof with};
    logits_row got[60];
    for (int is_half = 0; is_half < 2; is_half++) {
        static const tiny_tweak halves = {.type = SLM_DTYPE_F16};
        make_file(is_half ? &halves : NULL);
        slm_model *m = open_logged();
        slm_session *s = open_flagged(m, is_half ? 0 : SLM_CACHE_CUBLAS);
        feed(s, 0, 60, 60, got);
        slm_session_close(&s);
        o.flags = 0;
        OK(slm_cache_plan(m, &o, &plan, &golden_err));
        o.flags = SLM_CACHE_CUBLAS;
        OK(slm_cache_plan(m, &o, &with, &golden_err));
        assert_int_equal(with.total_bytes > plan.total_bytes + (4 << 20), is_half);
        assert_true(is_half || with.total_bytes == plan.total_bytes);
        o.max_rows = 31; /* never */
        OK(slm_cache_plan(m, &o, &with, &golden_err));
        o.flags = 0;
        OK(slm_cache_plan(m, &o, &plan, &golden_err));
        assert_int_equal(with.total_bytes, plan.total_bytes);
        o.max_rows = 0;
        slm_model_close(&m);
    }
    assert_int_equal(cublas->n_created, 0);
    NOTHING_ON_DEVICE();
}

static void fail_create(int n) { cublas->fail_create = n; }
static void fail_workspace(int n) { cublas->fail_workspace = n; }
static void fail_gemm(int n) { cublas->fail_gemm = n; }

/* Whatever fails, the step is done, a line says so once, and from then on it is left alone. */
static void failures_are_made_good(void **state) {
    (void)state;
    static const struct {
        void (*arm)(int n);
        int n;
        const char *words;
    } cases[] = {{fail_create, 1, "opening it gave status 1"}, {fail_workspace, 1, "status 3"},
                 {fail_gemm, 1, "a product gave status 13"},   {fail_gemm, 3, "a product"},
                 {fail_gemm, 6, "a product"}};
    static const tiny_tweak halves = {.type = SLM_DTYPE_F16};
    make_file(&halves);
    slm_model *m = open_logged();
    logits_row *want = logits_alone(m, 100), got[100];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        slm_session *s = open_flagged(m, SLM_CACHE_CUBLAS);
        n_warnings = 0;
        cases[i].arm(cases[i].n);
        feed(s, 0, 50, 50, got);
        assert_int_equal(n_warnings, 1);
        assert_non_null(strstr(warnings, cases[i].words));
        assert_non_null(strstr(warnings, "own kernels"));
        assert_int_equal(cublas->n_handles, 0);
        uint64_t n_gemms = cublas->n_gemms, n_created = cublas->n_created;
        feed(s, 50, 100, 50, got);
        assert_int_equal(cublas->n_gemms, n_gemms);
        assert_int_equal(cublas->n_created, n_created);
        assert_int_equal(n_warnings, 1);
        if (cases[i].n == 1 || cases[i].n == 3) /* what it had made of that op was made again */
            assert_memory_equal(got, want, sizeof got);
        else
            nearly(got, want, 100, 0.02);
        slm_session_close(&s);
    }
    /* Another cache tries again. */
    slm_session *s = open_flagged(m, SLM_CACHE_CUBLAS);
    uint64_t n_gemms = cublas->n_gemms;
    feed(s, 0, 50, 50, got);
    assert_int_equal(cublas->n_gemms, n_gemms + 14);
    slm_session_close(&s);
    free(want);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_cublas, teardown_cublas)

/* A program that finds no libcublas. */
static void there_is_none(void **state) {
    (void)state;
    static const tiny_tweak halves = {.type = SLM_DTYPE_BF16};
    make_file(&halves);
    slm_model *m = open_logged();
    logits_row *want = logits_alone(m, 100), got[100];
    slm_session *s = open_flagged(m, SLM_CACHE_CUBLAS);
    n_warnings = 0;
    feed(s, 0, 100, 50, got);
    assert_memory_equal(got, want, sizeof got);
    assert_int_equal(n_warnings, 1);
    assert_non_null(strstr(warnings, "cuBLAS is not used"));
    assert_non_null(strstr(warnings, "own kernels"));
    slm_session_close(&s);
    free(want);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        TEST(products_are_right),
        TEST(prompts_go_there),
        TEST(only_when_asked_for),
        TEST(failures_are_made_good),
    };
    const struct CMUnitTest absent[] = {
        cmocka_unit_test_setup_teardown(there_is_none, setup, teardown),
    };
    if (argc == 2 && strcmp(argv[1], "absent") == 0)
        return cmocka_run_group_tests_name("no cublas", absent, NULL, NULL);
    return cmocka_run_group_tests_name("cublas", tests, NULL, NULL);
}
