/* Memory: every allocation may fail, nothing leaks, and while tokens flow nothing is allocated. */
#include "model/golden.h"
#include "support/fail_alloc.h"

#include <stdatomic.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS_LIBC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTS_LIBC 0
#endif
#endif
#if !defined(COUNTS_LIBC) && defined(__GLIBC__)
#define COUNTS_LIBC 1
#endif

/* Calls to malloc by anybody in the process, the OpenMP runtime included. */
static _Atomic uint64_t n_libc;
#if COUNTS_LIBC
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *malloc(size_t size) {
    n_libc++;
    return __libc_malloc(size);
}
void *calloc(size_t n, size_t size) {
    n_libc++;
    return __libc_calloc(n, size);
}
void *realloc(void *p, size_t size) {
    n_libc++;
    return __libc_realloc(p, size);
}
#endif

typedef struct work {
    slm_model *model;
    slm_session *session;
    slm_generator *generator;
    int32_t tokens[8];
} work;

/* Load, tokenize, evaluate, generate. */
static slm_status start(work *w, const char *path, const slm_allocator *allocator,
                        slm_error *error) {
    slm_model_options mo = {.struct_size = sizeof mo, .allocator = allocator};
    slm_cache_options co = {.struct_size = sizeof co, .n_ctx = 128, .max_rows = 16};
    slm_span span = {"Once upon a time", SLM_NTS, 0}, stop = {"zebra", SLM_NTS, 0};
    slm_generate_options go = {.struct_size = sizeof go, .stop = &stop, .n_stop = 1, .n_top = 3};
    int32_t ids[32];
    size_t n = 0;
    slm_status status = slm_model_open(path, &mo, &w->model, error);
    if (status == SLM_OK)
        status = slm_tokenize(w->model, &span, 1, SLM_BOS_DEFAULT, ids, 32, &n, error);
    if (status == SLM_OK)
        status = slm_session_open(w->model, &co, &w->session, error);
    if (status == SLM_OK)
        status = slm_session_prompt(w->session, ids, n, NULL, error);
    if (status == SLM_OK)
        status = slm_generate_begin(w->session, &go, &w->generator, error);
    slm_event ev = {.struct_size = sizeof ev};
    for (int i = 0; i < 8 && status == SLM_OK; i++) {
        status = slm_generate_next(w->generator, &ev, error);
        w->tokens[i] = ev.token;
    }
    return status;
}

static void finish(work *w) {
    slm_generate_end(&w->generator);
    slm_session_close(&w->session);
    slm_model_close(&w->model);
}

static void fail_each(const char *dir, const char *gguf) {
    char path[1024];
    golden_path(path, sizeof path, dir, gguf);
    work good = {0};
    OK(start(&good, path, NULL, &golden_err));
    finish(&good);
    for (int for_good = 0; for_good < 2; for_good++) {
        fail_alloc fa = FAIL_ALLOC_INIT;
        fa.for_good = for_good;
        for (fa.fail_at = 1;; fa.fail_at++) {
            slm_allocator a = fail_alloc_start(&fa);
            slm_error error = SLM_ERROR_INIT;
            work w = {0};
            slm_status status = start(&w, path, &a, &error);
            uint64_t calls = fa.calls;
            if (calls >= fa.fail_at) {
                assert_int_equal(status, SLM_ERR_NOMEM);
                assert_non_null(strstr(error.message, "byte"));
            } else {
                assert_int_equal(status, SLM_OK);
                assert_memory_equal(w.tokens, good.tokens, sizeof good.tokens);
            }
            finish(&w);
            assert_int_equal(fa.outstanding, 0);
            if (calls < fa.fail_at)
                break;
        }
        print_message("%s: %llu allocations failed %s\n", gguf, (unsigned long long)fa.fail_at - 1,
                      for_good ? "for good" : "once");
        assert_true(fa.fail_at > 10);
    }
}

static void every_allocation_fails(void **state) {
    (void)state;
    fail_each("models:", "stories260K.gguf");
    fail_each("phi3-128k-like", "phi3-128k-like-f32.gguf");
    fail_each("bitnet-like-256", "bitnet-like-256-i2_s.gguf");
}

/* A generator, detokenizer or session that could not be made leaves its model and session as they
 * were: the same call works when memory is there again. */
static void usable_after_failure(void **state) {
    (void)state;
    char path[1024];
    golden_path(path, sizeof path, "models:", "stories260K.gguf");
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator a = fail_alloc_start(&fa);
    slm_model_options mo = {.struct_size = sizeof mo, .allocator = &a};
    slm_model *m = NULL;
    slm_session *s = NULL, *second = NULL;
    slm_generator *g = NULL;
    slm_detokenizer *d = NULL;
    OK(slm_model_open(path, &mo, &m, &golden_err));
    OK(slm_session_open(m, NULL, &s, &golden_err));
    static const int32_t ids[] = {1, 403, 407, 261, 378};
    OK(slm_session_prompt(s, ids, 5, NULL, &golden_err));
    const float *row;
    OK(slm_session_get_logits(s, 0, &row, &golden_err));
    float before = row[5];
    int64_t outstanding = fa.outstanding;
    for (uint64_t k = 1;; k++) {
        (void)fail_alloc_start(&fa);
        fa.fail_at = k;
        fa.for_good = 1;
        slm_status status[4] = {
            slm_generate_begin(s, NULL, &g, NULL), slm_session_open(m, NULL, &second, NULL),
            slm_detokenizer_open(m, 0, &d, NULL),
            slm_tokenize(m, &(slm_span){"Lily", 4, 0}, 1, 0, NULL, 0, &(size_t){0}, NULL)};
        int failed = 0;
        for (int i = 0; i < 4; i++) {
            assert_true(status[i] == SLM_OK || status[i] == SLM_ERR_NOMEM);
            failed += status[i] != SLM_OK;
        }
        slm_generate_end(&g);
        slm_session_close(&second);
        slm_detokenizer_close(&d);
        assert_int_equal(fa.outstanding, outstanding);
        if (!failed)
            break;
    }
    fa.fail_at = 0;
    OK(slm_session_get_logits(s, 0, &row, &golden_err));
    assert_true(row[5] == before);
    OK(slm_generate_begin(s, NULL, &g, &golden_err));
    slm_generate_end(&g);
    slm_session_close(&s);
    slm_model_close(&m);
    assert_int_equal(fa.outstanding, 0);
}

static void nothing_while_tokens_flow(void **state) {
    (void)state;
    static const char *const files[][2] = {{"models:", "stories260K.gguf"},
                                           {"phi3-mini-4k-like", "phi3-mini-4k-like-f32.gguf"},
                                           {"phi4-mini-like", "phi4-mini-like-f32.gguf"}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[1024];
        golden_path(path, sizeof path, files[i][0], files[i][1]);
        fail_alloc fa = FAIL_ALLOC_INIT;
        slm_allocator a = fail_alloc_start(&fa);
        work w = {0};
        OK(start(&w, path, &a, &golden_err)); /* the thread team starts with the first evaluation */
        slm_event ev = {.struct_size = sizeof ev};
        uint64_t calls = fa.calls, libc = n_libc;
        int n = 0;
        for (; n < 90; n++) { /* past windows of 48 and original contexts of 64 */
            if (slm_generate_next(w.generator, &ev, NULL) != SLM_OK || ev.type == SLM_EVENT_END)
                break;
        }
        assert_int_equal(fa.calls, calls);
        assert_int_equal(n_libc, libc);
        assert_true(n > 20);
        slm_generate_end(&w.generator);
        static const int32_t more[] = {3, 4, 5, 6, 7};
        OK(slm_session_truncate(w.session, 10, &golden_err));
        OK(slm_session_eval(w.session, more, 5, SLM_LOGITS_LAST, &golden_err));
        assert_int_equal(n_libc - libc, 0);
        finish(&w);
        assert_int_equal(fa.outstanding, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_fails),
        cmocka_unit_test(usable_after_failure),
        cmocka_unit_test(nothing_while_tokens_flow),
    };
    golden_need_data();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
