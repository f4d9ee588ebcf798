/* What fails on the device, or is not there: each call says so, nothing is left behind, and whoever is
 * not concerned goes on. */
#include "backend_test.h"

/* Lines that were logged. */
static char log_text[4096];
static int n_logged, n_progress;

static void log_line(void *user, slm_log_level level, const char *line) {
    (void)user;
    (void)level;
    n_logged++;
    snprintf(log_text, sizeof log_text, "%s", line);
}

static int32_t progress(void *user, uint64_t done, uint64_t total) {
    (void)done;
    (void)total;
    n_progress++;
    return *(int32_t *)user;
}

static slm_status open_status(slm_device device, uint64_t limit, const slm_allocator *allocator,
                              slm_model **out) {
    static int32_t go_on;
    slm_model_options o = {.struct_size = sizeof o, .device = device, .memory_limit = limit,
                           .allocator = allocator, .log = log_line, .progress = progress,
                           .progress_user = &go_on};
    n_logged = n_progress = 0;
    golden_err = (slm_error)SLM_ERROR_INIT;
    return slm_model_open_memory(file, file_size, &o, out, &golden_err);
}

/* A good message of this status. */
#define FAILED(call, wanted)                                                                       \
    do {                                                                                           \
        golden_err = (slm_error)SLM_ERROR_INIT;                                                    \
        assert_int_equal(call, wanted);                                                            \
        assert_int_equal(golden_err.status, wanted);                                               \
        assert_null(message_flaw(&golden_err));                                                    \
    } while (0)

static void has_words(const char *text, const char *const *words) {
    for (; *words != NULL; words++)
        if (strstr(text, *words) == NULL)
            fail_msg("\"%s\" is not in \"%s\"", *words, text);
}

/* Where CUDA is asked for it is refused in these words, where it is not the processor does the work and
 * the log says why. */
static void refused_and_replaced(uint64_t limit, slm_status status, const char *const *words) {
    slm_model *m = NULL;
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator a = fail_alloc_start(&fa);
    FAILED(open_status(SLM_DEVICE_CUDA, limit, &a, &m), status);
    has_words(golden_err.message, words);
    assert_null(m);
    assert_int_equal(fa.outstanding, 0);
    assert_int_equal(n_progress, 0); /* nothing was read */
    NOTHING_ON_DEVICE();
    OK(open_status(SLM_DEVICE_AUTO, limit, &a, &m));
    slm_model_info info = {.struct_size = sizeof info};
    OK(slm_model_get_info(m, &info, &golden_err));
    assert_int_equal(info.device, SLM_DEVICE_CPU);
    assert_int_equal(n_logged, 1);
    has_words(log_text, (const char *const[]){"runs on the processor", NULL});
    has_words(log_text, words);
    NOTHING_ON_DEVICE();
    if (limit == 0) { /* room for a cache */
        slm_model *cpu = open_on(SLM_DEVICE_CPU);
        logits_row *want = logits_alone(cpu, 8), *got = logits_alone(m, 8);
        assert_memory_equal(got, want, 8 * sizeof *want);
        free(got);
        free(want);
        slm_model_close(&cpu);
    }
    slm_model_close(&m);
    assert_int_equal(fa.outstanding, 0);
}

static void no_usable_device(void **state) {
    (void)state;
    static const struct {
        fake_cuda_profile profile;
        const char *words[4];
    } cases[] = {
        {FAKE_CUDA_NO_DEVICE, {"no CUDA device", "no driver", "error 100"}},
        {FAKE_CUDA_OLD_DRIVER, {"too old", "driver for CUDA 11.4", "error 35"}},
        {FAKE_CUDA_NO_IMAGE, {"Orin NX", "compute capability 8.7", "no code for this GPU"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(fake_cuda_reset(cases[i].profile), 0);
        refused_and_replaced(0, SLM_ERR_DEVICE, cases[i].words);
    }
}

static void emit_heads(gb *b) { gb_kv_u32(b, "llama.attention.head_count", 4); }
static void emit_kv_heads(gb *b) { gb_kv_u32(b, "llama.attention.head_count_kv", 2); }

static void heads_that_it_cannot(void **state) {
    (void)state;
    static const tiny_tweak tweak = {.name = "llama.attention.head_count", .emit = emit_heads,
                                     .name2 = "llama.attention.head_count_kv",
                                     .emit2 = emit_kv_heads};
    make_file(&tweak);
    refused_and_replaced(0, SLM_ERR_UNSUP, (const char *const[]){"heads of 8", "multiple of 16", NULL});
}

/* ---------------------------------------------------------------- memory ----------------------- */

static void weights_that_do_not_fit(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    slm_plan plan = {.struct_size = sizeof plan};
    OK(slm_cache_plan(m, NULL, &plan, &golden_err));
    slm_model_close(&m);
    fake_cuda_stats before = stats_now();
    uint64_t limit = plan.weights_mapped + plan.weights_allocated + plan.model_bytes;
    refused_and_replaced(limit - 1, SLM_ERR_NOMEM,
                         (const char *const[]){"the weights need", "memory_limit leaves", NULL});
    assert_int_equal(stats_now().n_mallocs, before.n_mallocs);
    for (size_t room = 0; room < plan.weights_allocated; room += 9000) {
        fake_cuda_set_free_memory(room);
        refused_and_replaced(0, SLM_ERR_NOMEM, (const char *const[]){"not enough", "bytes", NULL});
    }
}

/* A limit holds while weights are loaded too: buffers, on the device and pinned. */
static void limits_count_buffers(void **state) {
    (void)state;
    slm_plan plan = {.struct_size = sizeof plan};
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    OK(slm_cache_plan(m, NULL, &plan, &golden_err));
    slm_model_close(&m);
    uint64_t limit = plan.weights_mapped + plan.weights_allocated + plan.model_bytes;
    slm_status status = SLM_ERR_NOMEM;
    for (int n = 0; status != SLM_OK; n++, limit += 4096) {
        fail_alloc fa = FAIL_ALLOC_INIT;
        slm_allocator a = fail_alloc_start(&fa);
        assert_int_equal(fake_cuda_reset(FAKE_CUDA_ORIN_NX_16), 0);
        status = open_status(SLM_DEVICE_CUDA, limit, &a, &m);
        fake_cuda_stats s = stats_now();
        assert_true(s.device_peak_bytes + s.pinned_peak_bytes + plan.weights_mapped +
                        (uint64_t)fa.peak <= limit);
        assert_true(status == SLM_ERR_NOMEM || (n > 0 && status == SLM_OK));
        slm_model_close(&m);
        assert_int_equal(fa.outstanding, 0);
        NOTHING_ON_DEVICE();
    }
}

/* A limit holds for all that is open, on the device too. */
static void limits_count_caches(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    slm_cache_options o = {.struct_size = sizeof o, .max_sessions = 4};
    slm_plan plan = {.struct_size = sizeof plan};
    OK(slm_cache_plan(m, &o, &plan, &golden_err));
    slm_model_close(&m);

    slm_cache *first = NULL, *second = NULL;
    uint64_t of_cache = plan.kv_bytes + plan.scratch_bytes;
    OK(open_status(SLM_DEVICE_CUDA, plan.total_bytes + of_cache - 1, NULL, &m));
    OK(slm_cache_open(m, &o, &first, &golden_err));
    uint64_t n_mallocs = stats_now().n_mallocs;
    REFUSED(slm_cache_open(m, &o, &second, &golden_err), SLM_ERR_NOMEM, "memory_limit");
    assert_int_equal(stats_now().n_mallocs, n_mallocs);
    slm_cache_close(&first);
    OK(slm_cache_open(m, &o, &second, &golden_err));
    slm_cache_close(&second);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

static void a_full_device(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    logits_row *want = logits_alone(m, 4), *got;
    slm_cache *c = NULL;
    fake_cuda_set_free_memory(1000);
    REFUSED(slm_cache_open(m, NULL, &c, &golden_err), SLM_ERR_NOMEM, "not enough", "bytes");
    assert_null(c);
    fake_cuda_set_free_memory((size_t)1 << 30);
    got = logits_alone(m, 4);
    assert_memory_equal(got, want, 4 * sizeof *want);
    free(got);
    free(want);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

static void progress_may_stop(void **state) {
    (void)state;
    int32_t stop = 1;
    slm_model_options o = {.struct_size = sizeof o, .progress = progress, .progress_user = &stop,
                           .log = log_line};
    slm_model *m = NULL;
    n_logged = 0;
    for (o.device = SLM_DEVICE_AUTO; o.device <= SLM_DEVICE_CUDA; o.device += 2)
        FAILED(slm_model_open_memory(file, file_size, &o, &m, &golden_err), SLM_ERR_CANCEL);
    assert_int_equal(n_logged, 0); /* nobody wanted the processor instead */
    NOTHING_ON_DEVICE();
}

/* ---------------------------------------------------------------- each call fails -------------- */

typedef struct kind {
    void (*arm)(int n);
    slm_status status;
} kind;
static const kind kinds[] = {{fake_cuda_fail_malloc, SLM_ERR_NOMEM},
                             {fake_cuda_fail_sync, SLM_ERR_DEVICE}};

/* Calls of a kind since `before`. */
static int count_of(size_t k, fake_cuda_stats before) {
    fake_cuda_stats now = stats_now();
    return (int)(k == 0 ? now.n_mallocs - before.n_mallocs : now.n_waits - before.n_waits);
}

static void each_failure_of_a_load(void **state) {
    (void)state;
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator a = fail_alloc_start(&fa);
    slm_model *m = NULL;
    for (size_t k = 0; k < 2; k++) {
        fake_cuda_stats before = stats_now();
        OK(open_status(SLM_DEVICE_CUDA, 0, &a, &m));
        slm_model_close(&m);
        int n = count_of(k, before);
        assert_true(n >= 3);
        for (int i = 1; i <= n; i++) {
            kinds[k].arm(i);
            FAILED(open_status(SLM_DEVICE_CUDA, 0, &a, &m), kinds[k].status);
            assert_null(m);
            assert_int_equal(fa.outstanding, 0);
            NOTHING_ON_DEVICE();
            kinds[k].arm(i); /* and where nobody insists */
            OK(open_status(SLM_DEVICE_AUTO, 0, &a, &m));
            assert_int_equal(n_logged, 1);
            slm_model_close(&m);
            assert_int_equal(fa.outstanding, 0);
            NOTHING_ON_DEVICE();
        }
    }
    for (fa.fail_at = 1;; fa.fail_at++) { /* memory of the host */
        a = fail_alloc_start(&fa);
        slm_status status = open_status(SLM_DEVICE_CUDA, 0, &a, &m);
        if (fa.calls < fa.fail_at) {
            assert_int_equal(status, SLM_OK);
            break;
        }
        assert_int_equal(status, SLM_ERR_NOMEM);
        assert_int_equal(fa.outstanding, 0);
        NOTHING_ON_DEVICE();
    }
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

static void each_failure_of_a_cache(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    logits_row *want = logits_alone(m, 30), got[30];
    slm_cache *good = open_cache(m, 1, 8), *c = NULL;
    slm_session *s = open_session(good);
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = 64};
    fake_cuda_stats with_one = stats_now();
    size_t at = 0;
    for (size_t k = 0; k < 2; k++) {
        fake_cuda_stats before = stats_now();
        OK(slm_cache_open(m, &o, &c, &golden_err));
        int n = count_of(k, before);
        slm_cache_close(&c);
        assert_true(n >= 1);
        for (int i = 1; i <= n; i++) {
            kinds[k].arm(i);
            FAILED(slm_cache_open(m, &o, &c, &golden_err), kinds[k].status);
            assert_null(c);
            assert_int_equal(stats_now().n_allocations, with_one.n_allocations);
            assert_int_equal(stats_now().device_bytes, with_one.device_bytes);
            feed(s, at, at + 3, 3, got);
            assert_memory_equal(got[at], want[at], 3 * sizeof *got);
            at += 3;
        }
    }
    free(want);
    slm_session_close(&s);
    slm_cache_close(&good);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* A step whose wait fails: the session keeps the tokens that it had, and so does a fork of which a page
 * was just being copied; both are right again afterwards, and others were all the time. */
static void each_failure_of_a_step(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    logits_row *want = logits_alone(m, 60), got[60];
    slm_cache *c = open_cache(m, 3, 9), *apart = open_cache(m, 1, 9);
    slm_session *other = open_session(apart);
    size_t at = 0;
    for (int n = 1; n <= 4; n++) { /* of the four steps that 30 tokens take */
        slm_session *s = open_session(c), *fork = NULL, *neighbour = open_session(c);
        feed(neighbour, 0, 20, 20, got);
        feed(s, 0, 10, 10, got);
        OK(slm_session_fork(s, &fork, &golden_err));
        fake_cuda_fail_sync(n);
        FAILED(slm_session_eval(fork, ids + 10, 30, SLM_LOGITS_LAST, &golden_err), SLM_ERR_DEVICE);
        assert_int_equal(held(fork), 10);
        feed(other, at, at + 5, 5, got);
        assert_memory_equal(got[at], want[at], 5 * sizeof *got);
        at += 5;
        feed(fork, 10, 40, 30, got);
        assert_memory_equal(got[10], want[10], 30 * sizeof *got);
        slm_session_info info = {.struct_size = sizeof info};
        OK(slm_session_get_info(fork, &info, &golden_err));
        assert_int_equal(info.n_reevaluated, 10); /* what its pages held was not relied upon */
        feed(s, 10, 14, 4, got);
        assert_memory_equal(got[10], want[10], 4 * sizeof *got);
        feed(neighbour, 20, 24, 4, got);
        assert_memory_equal(got[20], want[20], 4 * sizeof *got);
        slm_session_close(&s);
        slm_session_close(&fork);
        slm_session_close(&neighbour);
    }
    free(want);
    slm_session_close(&other);
    slm_cache_close(&c);
    slm_cache_close(&apart);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* The device is lost by the first (0), the middle or the last launch (2) of a step of n_rows rows: all on
 * it fail cleanly, the processor goes on. What was on the device is gone with it. */
static void lose(uint32_t n_rows, int which) {
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator a = fail_alloc_start(&fa);
    slm_model *m = NULL, *cpu = open_on(SLM_DEVICE_CPU), *late = NULL;
    logits_row *want = logits_alone(cpu, 30), got[30];
    OK(open_status(SLM_DEVICE_CUDA, 0, &a, &m));
    slm_cache *c = open_cache(m, 2, 32), *apart = open_cache(m, 1, 32);
    slm_cache *on_cpu = open_cache(cpu, 1, 32), *none = NULL;
    slm_session *s = open_session(c), *neighbour = open_session(c), *other = open_session(apart);
    slm_session *safe = open_session(on_cpu);
    feed(safe, 0, 10, 10, got);
    OK(slm_session_eval(s, ids, n_rows, SLM_LOGITS_LAST, &golden_err));
    OK(slm_session_truncate(s, 0, &golden_err));
    uint64_t before = stats_now().n_launches;
    OK(slm_session_eval(s, ids, n_rows, SLM_LOGITS_LAST, &golden_err));
    int n = (int)(stats_now().n_launches - before);
    logits_row alone[1];
    OK(slm_session_eval(neighbour, ids, 3, SLM_LOGITS_LAST, &golden_err));
    take_rows(neighbour, 1, alone);

    fake_cuda_fail_launch(which == 0 ? 1 : which == 1 ? (n + 1) / 2 : n);
    REFUSED(slm_session_eval(s, ids + n_rows, n_rows, SLM_LOGITS_LAST, &golden_err),
            SLM_ERR_DEVICE, "illegal memory access", "700");
    assert_int_equal(held(s), n_rows);
    same_last(neighbour, alone[0]);
    for (int i = 0; i < 2; i++) {
        REFUSED(slm_session_eval(s, ids, 1, SLM_LOGITS_LAST, &golden_err), SLM_ERR_DEVICE, "lost");
        REFUSED(slm_session_eval(neighbour, ids, 1, SLM_LOGITS_LAST, &golden_err), SLM_ERR_DEVICE,
                "lost");
        FAILED(slm_session_eval(other, ids, 1, SLM_LOGITS_LAST, &golden_err), SLM_ERR_DEVICE);
    }
    FAILED(slm_cache_open(m, NULL, &none, &golden_err), SLM_ERR_DEVICE);
    FAILED(open_status(SLM_DEVICE_CUDA, 0, NULL, &late), SLM_ERR_DEVICE);
    OK(open_status(SLM_DEVICE_AUTO, 0, NULL, &late));
    assert_int_equal(n_logged, 1);
    feed(safe, 10, 30, 20, got);
    assert_memory_equal(got, want, 30 * sizeof *want);

    free(want);
    slm_session_close(&s);
    slm_session_close(&neighbour);
    slm_session_close(&other);
    slm_session_close(&safe);
    slm_cache_close(&c);
    slm_cache_close(&apart);
    slm_cache_close(&on_cpu);
    slm_model_close(&m);
    slm_model_close(&cpu);
    slm_model_close(&late);
    assert_int_equal(fa.outstanding, 0);
    assert_true(fake_cuda_reset(FAKE_CUDA_ORIN_NX_16) > 0);
}

static void a_lost_device(void **state) {
    (void)state;
    for (int which = 0; which < 3; which++)
        lose(17, which);
    lose(3, 0); /* a graph: one launch */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(no_usable_device),
        TEST(heads_that_it_cannot),
        TEST(weights_that_do_not_fit),
        TEST(limits_count_buffers),
        TEST(limits_count_caches),
        TEST(a_full_device),
        TEST(progress_may_stop),
        TEST(each_failure_of_a_load),
        TEST(each_failure_of_a_cache),
        TEST(each_failure_of_a_step),
        TEST(a_lost_device),
    };
    return cmocka_run_group_tests_name("backend failures", tests, NULL, NULL);
}
