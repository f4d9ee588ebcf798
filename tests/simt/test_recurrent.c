/* Sessions with recurrent state on a device: what they have been through leaves no trace in their
 * bits; a step is one launch; the second half of the model waits for rows that want logits; memory
 * is what was planned; snapshots; and failures. */
#include "backend_test.h"
#include "support/temp_folder.h"

#include <cuda_runtime_api.h>

#define DIR      "golden-sambay/phi4flash-like:"
#define GGUF     "phi4flash-like-f32.gguf"
#define N_TOKENS 160u /* some windows of 24, and checkpoints at multiples of 64 */

static slm_model *model;
static size_t n_vocab;
static int32_t tokens[N_TOKENS];

static slm_model *open_with(const slm_allocator *allocator) {
    char path[1024];
    slm_model_options o = {.struct_size = sizeof o,
                           .device = SLM_DEVICE_CUDA,
                           .load = SLM_LOAD_READ,
                           .allocator = allocator};
    slm_model *m = NULL;
    golden_path(path, sizeof path, DIR, GGUF);
    OK(slm_model_open(path, &o, &m, &golden_err));
    return m;
}

/* The same, but with the length of context of the published model; the bytes are not needed after. */
static slm_model *open_long(const slm_allocator *allocator) {
    static const char key[] = "phi4flash.context_length";
    const uint32_t whole = 65536;
    slm_model_options o = {.struct_size = sizeof o,
                           .device = SLM_DEVICE_CUDA,
                           .load = SLM_LOAD_READ,
                           .allocator = allocator};
    slm_model *m = NULL;
    size_t size, n = sizeof key - 1, i = 0;
    uint8_t *bytes = golden_read(DIR, GGUF, &size);
    const char *path = temp_path("long.gguf");
    while (i + n < size && memcmp(bytes + i, key, n) != 0)
        i++;
    assert_true(i + n + 8 < size);
    memcpy(bytes + i + n + 4, &whole, sizeof whole);
    temp_write(path, bytes, size);
    free(bytes);
    OK(slm_model_open(path, &o, &m, &golden_err));
    return m;
}

static int begin(void **state) {
    (void)state;
    assert_int_equal(fake_cuda_reset(FAKE_CUDA_ORIN_NX_16), 0);
    model = open_with(NULL);
    slm_model_info info = {.struct_size = sizeof info};
    OK(slm_model_get_info(model, &info, &golden_err));
    n_vocab = info.n_vocab;
    uint32_t x = 271828;
    for (size_t i = 0; i < N_TOKENS; i++) {
        x = x * 1664525u + 1013904223u;
        tokens[i] = (int32_t)((x >> 8) % n_vocab);
    }
    return 0;
}

static int end(void **state) {
    (void)state;
    slm_model_close(&model);
    temp_clear();
    return fake_cuda_reset(FAKE_CUDA_ORIN_NX_16) == 0 ? 0 : -1;
}

static slm_cache_options options(uint32_t n_sessions) {
    slm_cache_options o = {.struct_size = sizeof o,
                           .n_ctx = N_TOKENS + 32,
                           .n_threads = 1,
                           .page_tokens = 16,
                           .max_rows = 64,
                           .max_sessions = n_sessions,
                           .max_logits = 32,
                           .n_checkpoints = 3,
                           .chunk_ms = SLM_CHUNK_WHOLE};
    return o;
}

static slm_session *open_alone(const slm_cache_options *o) {
    slm_session *s = NULL;
    OK(slm_session_open(model, o, &s, &golden_err));
    return s;
}

static void eval(slm_session *s, size_t from, size_t to, int32_t logits) {
    OK(slm_session_eval(s, tokens + from, to - from, logits, &golden_err));
}

static uint64_t reevaluated(const slm_session *s) {
    slm_session_info info = {.struct_size = sizeof info};
    OK(slm_session_get_info(s, &info, &golden_err));
    return info.n_reevaluated;
}

/* Logits behind tokens[0, n) of a session that has seen nothing else. */
static float *fresh(size_t n) {
    slm_cache_options o = options(1);
    slm_session *s = open_alone(&o);
    const float *row;
    float *out = malloc(n_vocab * sizeof *out);
    assert_non_null(out);
    eval(s, 0, n, SLM_LOGITS_LAST);
    OK(slm_session_get_logits(s, 0, &row, &golden_err));
    memcpy(out, row, n_vocab * sizeof *out);
    slm_session_close(&s);
    return out;
}

/* The session's last logits are those of tokens[0, n). */
static void is_fresh(const slm_session *s, size_t n) {
    float *want = fresh(n);
    const float *row;
    OK(slm_session_get_logits(s, 0, &row, &golden_err));
    assert_memory_equal(row, want, n_vocab * sizeof *row);
    free(want);
}

/* ---------------------------------------------------------------- state ------------------------
 */

/* Back to a turn's end for nothing, to elsewhere by way of a checkpoint, and to the beginning. */
static void going_back(void **state) {
    (void)state;
    static const struct { size_t to, again; } cuts[] = {{100, 0}, {99, 99 - 64}, {30, 30}, {0, 0}};
    slm_cache_options o = options(1);
    slm_session *s = open_alone(&o);
    eval(s, 0, 100, SLM_LOGITS_NONE);
    eval(s, 100, 130, SLM_LOGITS_NONE);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        uint64_t before = reevaluated(s);
        OK(slm_session_truncate(s, cuts[i].to, &golden_err));
        eval(s, cuts[i].to, cuts[i].to + 3, SLM_LOGITS_LAST);
        assert_int_equal(reevaluated(s) - before, cuts[i].again);
        is_fresh(s, cuts[i].to + 3);
    }
    slm_session_close(&s);
}

/* A fork goes on by itself, in steps with the session that it is of. */
static void forks(void **state) {
    (void)state;
    slm_cache_options o = options(3);
    slm_cache *c = NULL;
    slm_session *a = NULL, *b = NULL;
    OK(slm_cache_open(model, &o, &c, &golden_err));
    OK(slm_session_open_on(c, NULL, &a, &golden_err));
    eval(a, 0, 70, SLM_LOGITS_NONE);
    OK(slm_session_fork(a, &b, &golden_err));
    eval(a, 100, 120, SLM_LOGITS_NONE); /* not what b goes on with */
    eval(b, 70, 75, SLM_LOGITS_NONE);
    OK(slm_session_truncate(a, 66, &golden_err));
    slm_eval_item items[] = {{sizeof *items, SLM_LOGITS_LAST, a, tokens + 66, 11},
                             {sizeof *items, SLM_LOGITS_LAST, b, tokens + 75, 2}};
    OK(slm_cache_eval(c, items, 2, &golden_err));
    is_fresh(a, 77);
    is_fresh(b, 77);
    slm_session_close(&a); /* b keeps what they shared */
    OK(slm_session_truncate(b, 69, &golden_err));
    eval(b, 69, 71, SLM_LOGITS_LAST);
    is_fresh(b, 71);
    slm_session_close(&b);
    slm_cache_close(&c);
}

/* ---------------------------------------------------------------- steps ------------------------
 */

static void a_step_is_one_launch(void **state) {
    (void)state;
    slm_cache_options o = options(2);
    slm_session *s = open_alone(&o);
    eval(s, 0, 60, SLM_LOGITS_NONE);
    eval(s, 60, 61, SLM_LOGITS_LAST);
    for (size_t i = 61; i < 68; i++) { /* past a checkpoint, and to a new page */
        fake_cuda_stats before = stats_now(), after;
        eval(s, i, i + 1, SLM_LOGITS_LAST);
        after = stats_now();
        assert_int_equal(after.n_launches - before.n_launches, 1);
        assert_int_equal(after.n_waits - before.n_waits, 1);
        assert_int_equal(after.n_objects, before.n_objects);
        assert_int_equal(after.n_allocations, before.n_allocations);
        assert_int_equal(after.n_pageable, before.n_pageable);
    }
    is_fresh(s, 68);
    slm_session_close(&s);
}

static uint64_t kernels_of(slm_session *s, size_t n, int32_t logits) {
    uint64_t before = stats_now().n_kernels;
    eval(s, 0, n, logits);
    uint64_t kernels = stats_now().n_kernels - before;
    OK(slm_session_truncate(s, 0, &golden_err));
    return kernels;
}

/* Of eight layers the last three, and the rest of the one before behind its keys, serve logits
 * alone: without any they are not there, with some they have as many rows as want some. */
static void prompts_leave_out_the_second_half(void **state) {
    (void)state;
    static const struct {
        int32_t logits;
        uint64_t rows;
    } cases[] = {{SLM_LOGITS_NONE, 0}, {SLM_LOGITS_LAST, 1}, {SLM_LOGITS_ALL, 20}};
    const uint64_t n = 20, up_macs = 2 * 128 * 40, gate_macs = 128 * 256;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        slm_cache_options o = options(1);
        o.flags = SLM_CACHE_TIME_OPS;
        slm_session *s = open_alone(&o);
        slm_op_info up = {.struct_size = sizeof up}, gate = up, scan = up, head = up;
        eval(s, 0, n, cases[i].logits);
        OK(slm_session_get_op(s, SLM_OP_GATE_UP, &up, &golden_err));
        OK(slm_session_get_op(s, SLM_OP_GATE_MEMORY, &gate, &golden_err));
        OK(slm_session_get_op(s, SLM_OP_SCAN, &scan, &golden_err));
        OK(slm_session_get_op(s, SLM_OP_HEAD, &head, &golden_err));
        assert_int_equal(up.macs, up_macs * (5 * n + 3 * cases[i].rows));
        assert_int_equal(gate.macs, gate_macs * cases[i].rows);
        assert_int_equal(head.macs, 128 * n_vocab * cases[i].rows);
        assert_int_equal(scan.calls, 3);
        slm_session_close(&s);
    }
    slm_cache_options o = options(1);
    slm_session *s = open_alone(&o);
    uint64_t none = kernels_of(s, n, SLM_LOGITS_NONE), last = kernels_of(s, n, SLM_LOGITS_LAST);
    assert_true(none < last);
    assert_int_equal(kernels_of(s, n, SLM_LOGITS_ALL), last - 2); /* q and memory stay in place */
    slm_session_close(&s);
}

/* Rows that want logits are not neighbours: those of two sessions, one of which has others. */
static void some_rows_want_logits(void **state) {
    (void)state;
    slm_cache_options o = options(2);
    slm_cache *c = NULL;
    slm_session *s[2] = {NULL, NULL};
    OK(slm_cache_open(model, &o, &c, &golden_err));
    for (int i = 0; i < 2; i++)
        OK(slm_session_open_on(c, NULL, &s[i], &golden_err));
    eval(s[1], 0, 29, SLM_LOGITS_NONE);
    slm_eval_item items[] = {{sizeof *items, SLM_LOGITS_LAST, s[0], tokens, 9},
                             {sizeof *items, SLM_LOGITS_ALL, s[1], tokens + 29, 2}};
    OK(slm_cache_eval(c, items, 2, &golden_err));
    is_fresh(s[0], 9);
    const float *row;
    OK(slm_session_get_logits(s[1], 0, &row, &golden_err));
    float *want = fresh(30);
    assert_memory_equal(row, want, n_vocab * sizeof *row);
    free(want);
    slm_session_close(&s[0]);
    slm_session_close(&s[1]);
    slm_cache_close(&c);
}

/* ---------------------------------------------------------------- memory -----------------------
 */

static uint64_t bytes_on_device(void) {
    fake_cuda_stats s = stats_now();
    return s.device_bytes + s.pinned_bytes;
}

static void memory_is_what_was_planned(void **state) {
    (void)state;
    uint64_t others = bytes_on_device();
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator a = fail_alloc_start(&fa);
    slm_model *m = open_long(&a);
    for (uint32_t n_checkpoints = 1; n_checkpoints <= 5; n_checkpoints += 2) {
        slm_cache_options o = options(2);
        slm_plan plan = {.struct_size = sizeof plan};
        slm_cache *c = NULL;
        o.n_checkpoints = n_checkpoints;
        o.n_ctx = n_checkpoints == 5 ? 65536 : o.n_ctx;
        OK(slm_cache_plan(m, &o, &plan, &golden_err));
        OK(slm_cache_open(m, &o, &c, &golden_err));
        assert_int_equal(fa.bytes + bytes_on_device() - others,
                         plan.total_bytes - plan.weights_mapped);
        /* three scans of 256 channels, each with 3 inputs and 16 states */
        assert_int_equal(plan.recurrent_bytes,
                         2 * (1 + n_checkpoints) * 3 * 256 * (3 + 16) * sizeof(float));
        slm_cache_close(&c);
    }
    slm_model_close(&m);
    assert_int_equal(fa.outstanding, 0);
    assert_int_equal(bytes_on_device(), others);
}

/* ---------------------------------------------------------------- snapshots --------------------
 */

/* With its checkpoints, into pages of another size, and no other file for the same session. */
static void snapshots(void **state) {
    (void)state;
    const char *path = temp_path("session"), *again = temp_path("again");
    for (uint32_t page = 16; page <= 64; page *= 4) {
        slm_cache_options o = options(1);
        slm_session *s = open_alone(&o);
        eval(s, 0, 90, SLM_LOGITS_NONE);
        eval(s, 90, 97, SLM_LOGITS_NONE);
        OK(slm_session_save(s, path, NULL, &golden_err));
        slm_session_close(&s);
        o.page_tokens = page;
        s = open_alone(&o);
        eval(s, 120, 150, SLM_LOGITS_NONE); /* something else before */
        OK(slm_session_load(s, path, NULL, NULL, &golden_err));
        uint64_t before = reevaluated(s);
        OK(slm_session_save(s, again, NULL, &golden_err));
        eval(s, 97, 99, SLM_LOGITS_LAST);
        is_fresh(s, 99);
        OK(slm_session_truncate(s, 90, &golden_err));
        eval(s, 90, 93, SLM_LOGITS_LAST);
        assert_int_equal(reevaluated(s), before); /* the checkpoint at 90 came along */
        is_fresh(s, 93);
        OK(slm_session_load(s, again, NULL, NULL, &golden_err));
        eval(s, 97, 98, SLM_LOGITS_LAST);
        is_fresh(s, 98);
        slm_session_close(&s);
    }
}

/* ---------------------------------------------------------------- failures ---------------------
 */

/* The program works with a second device: all that is put on a stream between steps, too, goes to the
 * model's, and the program's is current afterwards. */
static void the_program_has_another_device(void **state) {
    (void)state;
    int current = -1;
    slm_cache_options o = options(2);
    slm_cache *c = NULL;
    slm_session *a = NULL, *b = NULL;
    fake_cuda_set_devices(2);
    assert_int_equal(cudaSetDevice(1), cudaSuccess);
    OK(slm_cache_open(model, &o, &c, &golden_err));
    OK(slm_session_open_on(c, NULL, &a, &golden_err));
    eval(a, 0, 30, SLM_LOGITS_NONE);
    OK(slm_session_checkpoint(a, &golden_err));
    OK(slm_session_fork(a, &b, &golden_err));
    eval(a, 30, 90, SLM_LOGITS_NONE);
    OK(slm_session_truncate(a, 0, &golden_err)); /* what there was is cleared */
    eval(a, 0, 20, SLM_LOGITS_LAST);
    eval(b, 30, 33, SLM_LOGITS_LAST);
    is_fresh(a, 20);
    is_fresh(b, 33);
    slm_session_close(&b);
    eval(a, 20, 21, SLM_LOGITS_LAST);
    is_fresh(a, 21);
    slm_session_close(&a);
    slm_cache_close(&c);
    assert_int_equal(cudaGetDevice(&current), cudaSuccess);
    assert_int_equal(current, 1);
}

/* A copy of state that fails shows at the next step, whoever's that is; then nothing is taken for
 * evaluated any more. */
static void a_failed_copy_of_state(void **state) {
    (void)state;
    slm_cache_options o = options(2);
    slm_cache *c = NULL;
    slm_session *a = NULL, *b = NULL;
    OK(slm_cache_open(model, &o, &c, &golden_err));
    OK(slm_session_open_on(c, NULL, &a, &golden_err));
    eval(a, 0, 70, SLM_LOGITS_NONE);
    fake_cuda_fail_copy(1);
    OK(slm_session_fork(a, &b, &golden_err));
    REFUSED(slm_session_eval(a, tokens + 70, 1, SLM_LOGITS_LAST, &golden_err), SLM_ERR_DEVICE,
            "a step on the device");
    assert_int_equal(held(a), 70);
    eval(b, 70, 72, SLM_LOGITS_LAST);
    is_fresh(b, 72);
    eval(a, 70, 71, SLM_LOGITS_LAST);
    is_fresh(a, 71);
    const char *path = temp_path("session");
    fake_cuda_fail_copy(1);
    OK(slm_session_truncate(a, 64, &golden_err)); /* to the checkpoint there */
    REFUSED(slm_session_save(b, path, NULL, &golden_err), SLM_ERR_DEVICE);
    eval(a, 64, 66, SLM_LOGITS_LAST);
    is_fresh(a, 66);
    eval(b, 72, 73, SLM_LOGITS_LAST);
    is_fresh(b, 73);
    slm_session_close(&a);
    slm_session_close(&b);
    slm_cache_close(&c);
}

/* A step that fails leaves the tokens, which are evaluated again from the beginning. */
static void a_failed_step(void **state) {
    (void)state;
    slm_cache_options o = options(1);
    slm_session *s = open_alone(&o);
    fake_cuda_fail_sync(1); /* the very first step: nothing of it is left */
    REFUSED(slm_session_eval(s, tokens + 40, 9, SLM_LOGITS_LAST, &golden_err), SLM_ERR_DEVICE,
            "a step on the device");
    assert_int_equal(held(s), 0);
    eval(s, 0, 9, SLM_LOGITS_LAST);
    is_fresh(s, 9);
    eval(s, 9, 70, SLM_LOGITS_NONE);
    fake_cuda_fail_sync(1);
    REFUSED(slm_session_eval(s, tokens + 70, 5, SLM_LOGITS_LAST, &golden_err), SLM_ERR_DEVICE,
            "a step on the device");
    assert_int_equal(held(s), 70);
    eval(s, 70, 75, SLM_LOGITS_LAST);
    is_fresh(s, 75);
    slm_session_close(&s);
}

/* Reading and writing states: the session that was to be saved or loaded keeps its tokens. */
static void failed_snapshots(void **state) {
    (void)state;
    const char *path = temp_path("session");
    slm_cache_options o = options(1);
    slm_session *s = open_alone(&o);
    eval(s, 0, 70, SLM_LOGITS_NONE);
    fake_cuda_fail_sync(1);
    REFUSED(slm_session_save(s, path, NULL, &golden_err), SLM_ERR_DEVICE,
            "recurrent state from the device");
    assert_int_equal(temp_count(), 0);
    eval(s, 70, 75, SLM_LOGITS_LAST);
    is_fresh(s, 75);
    OK(slm_session_save(s, path, NULL, &golden_err));
    uint64_t before = stats_now().n_waits;
    OK(slm_session_load(s, path, NULL, NULL, &golden_err));
    fake_cuda_fail_sync((int)(stats_now().n_waits - before)); /* the last wait is for a state */
    REFUSED(slm_session_load(s, path, NULL, NULL, &golden_err), SLM_ERR_DEVICE,
            "recurrent state to the device");
    eval(s, held(s), held(s) + 1, SLM_LOGITS_LAST);
    is_fresh(s, 76);
    slm_session_close(&s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(going_back),
        TEST(forks),
        TEST(a_step_is_one_launch),
        TEST(prompts_leave_out_the_second_half),
        TEST(some_rows_want_logits),
        TEST(memory_is_what_was_planned),
        TEST(snapshots),
        TEST(the_program_has_another_device),
        TEST(a_failed_copy_of_state),
        TEST(a_failed_step),
        TEST(failed_snapshots),
    };
    golden_need_data();
    return cmocka_run_group_tests_name("recurrent", tests, NULL, NULL);
}
