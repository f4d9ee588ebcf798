/* Sessions and caches through the public header: what is refused and how, and that a refusal
 * changes nothing. */
#include "api/tiny_open.h"

#include <pthread.h>

static slm_model *model;
static uint32_t n_vocab;

static int open_model(void **state) {
    (void)state;
    model = golden_open("models:", "stories260K.gguf", 0);
    n_vocab = 512;
    return 0;
}

static int close_model(void **state) {
    (void)state;
    slm_model_close(&model);
    assert_null(model);
    slm_model_close(&model);
    slm_model_close(NULL);
    return 0;
}

static slm_session *open_session(const slm_cache_options *o) {
    slm_session *s = NULL;
    OK(slm_session_open(model, o, &s, &golden_err));
    return s;
}

static const int32_t some[] = {1, 403, 407, 261, 378, 432, 383, 286, 261, 376};

static void null_arguments(void **state) {
    (void)state;
    slm_model *m = (slm_model *)&golden_err;
    REFUSED(slm_model_open(NULL, NULL, &m, &golden_err), SLM_ERR_ARG, "path", "NULL");
    assert_null(m);
    REFUSED(slm_model_open("x", NULL, NULL, &golden_err), SLM_ERR_ARG, "out");
    REFUSED(slm_model_open_fd(-1, NULL, &m, &golden_err), SLM_ERR_ARG, "-1");
    REFUSED(slm_model_open_memory(NULL, 5, NULL, &m, &golden_err), SLM_ERR_ARG, "data");
    slm_session *s = (slm_session *)&golden_err;
    REFUSED(slm_session_open(NULL, NULL, &s, &golden_err), SLM_ERR_ARG, "model");
    assert_null(s);
    REFUSED(slm_session_eval(NULL, some, 1, 0, &golden_err), SLM_ERR_ARG, "session");
    REFUSED(slm_session_checkpoint(NULL, &golden_err), SLM_ERR_ARG, "session");
    s = open_session(NULL);
    REFUSED(slm_session_eval(s, NULL, 1, 0, &golden_err), SLM_ERR_ARG, "ids");
    REFUSED(slm_session_eval(s, some, 1, 3, &golden_err), SLM_ERR_ARG, "logits", "3");
    REFUSED(slm_session_prompt(s, some, 0, NULL, &golden_err), SLM_ERR_ARG, "no tokens");
    slm_session_close(&s);
    slm_session_close(&s);
    slm_session_close(NULL);
    slm_cache_close(NULL);
    slm_generate_end(NULL);
    slm_session_cancel(NULL);
}

static void ids_and_context(void **state) {
    (void)state;
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = 8};
    slm_session *s = open_session(&o);
    const float *row;
    int32_t bad[] = {1, 2, -1};
    REFUSED(slm_session_eval(s, bad, 3, 0, &golden_err), SLM_ERR_RANGE, "token 2", "-1",
            "0 to 511");
    bad[2] = 512;
    REFUSED(slm_session_eval(s, bad, 3, 0, &golden_err), SLM_ERR_RANGE, "512");
    REFUSED(slm_session_prompt(s, bad, 3, NULL, &golden_err), SLM_ERR_RANGE, "512");
    assert_int_equal(held(s), 0);
    REFUSED(slm_session_get_logits(s, 0, &row, &golden_err), SLM_ERR_RANGE, "row 0", "0 rows");
    OK(slm_session_eval(s, some, 5, SLM_LOGITS_LAST, &golden_err));
    REFUSED(slm_session_eval(s, some, 4, SLM_LOGITS_LAST, &golden_err), SLM_ERR_CTX, "8",
            "holds 5", "4");
    assert_int_equal(held(s), 5);
    OK(slm_session_get_logits(s, 0, &row, &golden_err));
    float before = row[7];
    REFUSED(slm_session_prompt(s, some, 9, NULL, &golden_err), SLM_ERR_CTX, "9", "8");
    OK(slm_session_get_logits(s, 0, &row, &golden_err));
    assert_true(row[7] == before);
    REFUSED(slm_session_get_logits(s, 1, &row, &golden_err), SLM_ERR_RANGE, "row 1", "1 rows");
    REFUSED(slm_session_truncate(s, 6, &golden_err), SLM_ERR_RANGE, "6", "5");
    REFUSED(slm_session_eval(s, some, 3, SLM_LOGITS_ALL, &golden_err), SLM_ERR_RANGE, "3 rows",
            "max_logits");
    OK(slm_session_eval(s, some, 3, SLM_LOGITS_NONE, &golden_err));
    REFUSED(slm_session_eval(s, some, 1, SLM_LOGITS_NONE, &golden_err), SLM_ERR_CTX, "8");
    OK(slm_session_truncate(s, 0, &golden_err));
    OK(slm_session_eval(s, some, 8, SLM_LOGITS_LAST, &golden_err));
    slm_session_close(&s);
}

static void cache_options(void **state) {
    (void)state;
    slm_session *s = NULL;
    slm_plan plan = {.struct_size = sizeof plan};
    slm_cache_options o = {.struct_size = sizeof o};
#define BAD(field, value, status, ...)                                            \
    do {                                                                          \
        o = (slm_cache_options){.struct_size = sizeof o};                         \
        o.field = value;                                                          \
        REFUSED(slm_session_open(model, &o, &s, &golden_err), status, __VA_ARGS__);      \
        assert_null(s);                                                           \
        REFUSED(slm_cache_plan(model, &o, &plan, &golden_err), status, __VA_ARGS__);     \
    } while (0)
    BAD(n_ctx, 513, SLM_ERR_LIMIT, "n_ctx", "513", "512");
    BAD(n_ctx, UINT32_MAX, SLM_ERR_LIMIT, "n_ctx", "4294967295");
    BAD(page_tokens, 24, SLM_ERR_RANGE, "page_tokens", "24", "power of two");
    BAD(page_tokens, 8, SLM_ERR_RANGE, "page_tokens", "8", "16 to 1024");
    BAD(page_tokens, 2048, SLM_ERR_RANGE, "page_tokens", "2048", "1024");
    BAD(max_sessions, 5000, SLM_ERR_RANGE, "max_sessions", "5000", "4096");
    BAD(max_rows, 100000, SLM_ERR_RANGE, "max_rows", "100000");
    BAD(max_logits, 100000, SLM_ERR_RANGE, "max_logits", "100000");
    BAD(n_threads, 100000, SLM_ERR_RANGE, "n_threads", "100000");
    BAD(kv_type, 9, SLM_ERR_RANGE, "kv_type", "9");
    BAD(rope_factors, -1, SLM_ERR_RANGE, "rope_factors", "-1");
#undef BAD
}

static void prompt_reuse(void **state) {
    (void)state;
    slm_session *s = open_session(NULL);
    slm_prompt_report r = {.struct_size = sizeof r};
    OK(slm_session_prompt(s, some, 6, &r, &golden_err));
    assert_int_equal(r.n_reused, 0);
    assert_int_equal(r.n_evaluated, 6);
    OK(slm_session_prompt(s, some, 6, &r, &golden_err)); /* nothing to do */
    assert_int_equal(r.n_reused, 6);
    assert_int_equal(r.n_evaluated, 0);
    assert_int_equal(r.reuse_stop, SLM_REUSE_ALL);
    OK(slm_session_prompt(s, some, 10, &r, &golden_err)); /* grown */
    assert_int_equal(r.n_reused, 6);
    assert_int_equal(r.n_evaluated, 4);
    assert_int_equal(r.reuse_stop, SLM_REUSE_ALL);
    OK(slm_session_prompt(s, some, 4, &r, &golden_err)); /* shorter: the last one once more */
    assert_int_equal(r.n_reused, 3);
    assert_int_equal(r.n_evaluated, 1);
    int32_t other[] = {1, 403, 5, 6};
    OK(slm_session_prompt(s, other, 4, &r, &golden_err));
    assert_int_equal(r.n_reused, 2);
    assert_int_equal(r.reuse_stop, SLM_REUSE_TOKEN);
    assert_int_equal(held(s), 4);
    slm_session_close(&s);
}

static void pages_and_slots_run_out(void **state) {
    (void)state;
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = 64, .max_sessions = 2,
                           .n_cells = 64, .page_tokens = 16};
    slm_cache *c = NULL;
    slm_session *a = NULL, *b = NULL, *d = NULL;
    OK(slm_cache_open(model, &o, &c, &golden_err));
    OK(slm_session_open_on(c, NULL, &a, &golden_err));
    OK(slm_session_open_on(c, NULL, &b, &golden_err));
    REFUSED(slm_session_open_on(c, NULL, &d, &golden_err), SLM_ERR_LIMIT, "2", "max_sessions");
    assert_null(d);
    for (int i = 0; i < 4; i++)
        OK(slm_session_eval(a, some, 10, SLM_LOGITS_LAST, &golden_err)); /* 40 tokens, 3 pages */
    OK(slm_session_eval(b, some, 10, SLM_LOGITS_LAST, &golden_err));
    REFUSED(slm_session_eval(b, some, 10, SLM_LOGITS_LAST, &golden_err), SLM_ERR_LIMIT,
            "4 pages", "64");
    assert_int_equal(held(b), 10);
    OK(slm_session_eval(b, some, 6, SLM_LOGITS_LAST, &golden_err)); /* what the page still takes */
    OK(slm_session_truncate(a, 20, &golden_err));
    OK(slm_session_eval(b, some, 10, SLM_LOGITS_LAST, &golden_err));
    slm_session_close(&a);
    OK(slm_session_fork(b, &d, &golden_err));
    slm_session_info info = {.struct_size = sizeof info};
    OK(slm_session_get_info(d, &info, &golden_err));
    assert_int_equal(info.n_pages, 2);
    slm_cache_close(&c); /* sessions keep it */
    assert_null(c);
    OK(slm_session_eval(d, some, 10, SLM_LOGITS_LAST, &golden_err));
    slm_session_close(&b);
    slm_session_close(&d);
}

static void several_at_once(void **state) {
    (void)state;
    slm_cache_options o = {.struct_size = sizeof o, .max_sessions = 2};
    slm_cache *c = NULL, *other = NULL;
    slm_session *a = NULL, *b = NULL;
    OK(slm_cache_open(model, &o, &c, &golden_err));
    OK(slm_cache_open(model, &o, &other, &golden_err));
    OK(slm_session_open_on(c, NULL, &a, &golden_err));
    OK(slm_session_open_on(other, NULL, &b, &golden_err));
    slm_eval_item items[2] = {{sizeof items[0], SLM_LOGITS_LAST, a, some, 3},
                              {sizeof items[0], SLM_LOGITS_LAST, b, some, 3}};
    REFUSED(slm_cache_eval(c, items, 2, &golden_err), SLM_ERR_ARG, "item 1", "another cache");
    items[1].session = a;
    REFUSED(slm_cache_eval(c, items, 2, &golden_err), SLM_ERR_ARG, "items 0 and 1", "same session");
    items[0].struct_size = 3;
    REFUSED(slm_cache_eval(c, items, 2, &golden_err), SLM_ERR_ARG, "struct_size", "3");
    assert_int_equal(held(a), 0);
    OK(slm_cache_eval(c, NULL, 0, &golden_err));
    slm_session_close(&a);
    slm_session_close(&b);
    slm_cache_close(&c);
    slm_cache_close(&other);
}

static void memory_limit(void **state) {
    (void)state;
    char path[1024];
    golden_path(path, sizeof path, "models:", "stories260K.gguf");
    slm_model_options mo = {.struct_size = sizeof mo, .memory_limit = 4u << 20};
    slm_model *m = NULL;
    slm_session *s = NULL;
    slm_plan plan = {.struct_size = sizeof plan}, done = {.struct_size = sizeof done};
    OK(slm_model_open(path, &mo, &m, &golden_err));
    slm_cache_options o = {.struct_size = sizeof o, .max_rows = 512, .max_logits = 512};
    OK(slm_cache_plan(m, &o, &plan, &golden_err));
    char needed[32];
    snprintf(needed, sizeof needed, "%llu bytes",
             (unsigned long long)(plan.kv_bytes + plan.scratch_bytes));
    golden_err = (slm_error)SLM_ERROR_INIT;
    assert_int_equal(slm_session_open(m, &o, &s, &golden_err), SLM_ERR_NOMEM);
    assert_non_null(strstr(golden_err.message, needed));
    assert_null(s);
    o = (slm_cache_options){.struct_size = sizeof o, .n_ctx = 64, .max_rows = 16};
    slm_cache *c = NULL;
    OK(slm_cache_plan(m, &o, &plan, &golden_err));
    OK(slm_cache_open(m, &o, &c, &golden_err)); /* something smaller fits */
    OK(slm_cache_get_plan(c, &done, &golden_err));
    assert_memory_equal(&plan, &done, sizeof plan);
    slm_cache_close(&c);
    slm_model_close(&m);

    mo.memory_limit = 1000;
    golden_err = (slm_error)SLM_ERROR_INIT;
    assert_int_equal(slm_model_open(path, &mo, &m, &golden_err), SLM_ERR_NOMEM);
    assert_null(m);
}

/* A caller that counts what it is asked for finds what the plan said, to the byte. */
static uint64_t counted;
static void *count_alloc(void *user, size_t size, size_t align) {
    (void)user;
    void *p = aligned_alloc(align, (size + align - 1) / align * align);
    if (p != NULL)
        counted += size;
    return p;
}
static void count_free(void *user, void *p, size_t size, size_t align) {
    (void)user;
    (void)align;
    counted -= size;
    free(p);
}

static void plan_is_exact(void **state) {
    (void)state;
    char path[1024];
    golden_path(path, sizeof path, "models:", "stories260K.gguf");
    slm_allocator allocator = {count_alloc, count_free, NULL};
    for (int load = SLM_LOAD_MAP; load <= SLM_LOAD_READ; load++)
        for (uint32_t sessions = 1; sessions <= 3; sessions++) {
            slm_model_options mo = {.struct_size = sizeof mo, .allocator = &allocator,
                                    .load = load};
            slm_cache_options o = {.struct_size = sizeof o, .max_sessions = sessions,
                                   .page_tokens = 16u << sessions, .kv_type = (int)sessions};
            slm_model *m = NULL;
            slm_cache *c = NULL;
            slm_plan plan = {.struct_size = sizeof plan};
            OK(slm_model_open(path, &mo, &m, &golden_err));
            OK(slm_cache_plan(m, &o, &plan, &golden_err));
            OK(slm_cache_open(m, &o, &c, &golden_err));
            assert_int_equal(counted, plan.total_bytes - plan.weights_mapped);
            assert_int_equal(load == SLM_LOAD_MAP ? plan.weights_mapped : plan.weights_allocated,
                             1054368);
            slm_cache_close(&c);
            slm_model_close(&m);
            assert_int_equal(counted, 0);
        }
}

static void cancelling(void **state) {
    (void)state;
    slm_cache_options o = {.struct_size = sizeof o, .max_rows = 4};
    slm_session *s = open_session(&o);
    const float *row;
    OK(slm_session_eval(s, some, 5, SLM_LOGITS_LAST, &golden_err));
    OK(slm_session_get_logits(s, 0, &row, &golden_err));
    float before = row[3];
    slm_session_cancel(s);
    REFUSED(slm_session_eval(s, some, 5, SLM_LOGITS_LAST, &golden_err), SLM_ERR_CANCEL,
            "cancelled");
    assert_int_equal(held(s), 5);
    OK(slm_session_get_logits(s, 0, &row, &golden_err));
    assert_true(row[3] == before);
    OK(slm_session_eval(s, some, 5, SLM_LOGITS_LAST, &golden_err)); /* the flag is used up */
    slm_session_close(&s);
}

static _Atomic int stop_cancelling;
static void *cancel_often(void *session) {
    while (!stop_cancelling)
        slm_session_cancel(session);
    return NULL;
}

/* Cancelled from another thread at any moment, a session ends where a quiet one would. */
static void cancelling_from_a_thread(void **state) {
    (void)state;
    slm_cache_options o = {.struct_size = sizeof o, .max_rows = 2};
    slm_session *s = open_session(&o), *quiet = open_session(NULL);
    pthread_t thread;
    stop_cancelling = 0;
    assert_int_equal(pthread_create(&thread, NULL, cancel_often, s), 0);
    int n_cancelled = 0;
    for (int i = 0; i < 200; i++) {
        slm_status status = slm_session_eval(s, some, 10, SLM_LOGITS_LAST, &golden_err);
        assert_true(status == SLM_OK || status == SLM_ERR_CANCEL);
        n_cancelled += status == SLM_ERR_CANCEL;
        if (status == SLM_OK)
            OK(slm_session_truncate(s, 0, &golden_err));
        assert_int_equal(held(s), 0);
    }
    stop_cancelling = 1;
    pthread_join(thread, NULL);
    assert_true(n_cancelled > 0);
    (void)slm_session_eval(s, some, 1, SLM_LOGITS_NONE, NULL); /* uses up a late flag */
    OK(slm_session_prompt(s, some, 10, NULL, &golden_err));
    OK(slm_session_prompt(quiet, some, 10, NULL, &golden_err));
    const float *a, *b;
    OK(slm_session_get_logits(s, 0, &a, &golden_err));
    OK(slm_session_get_logits(quiet, 0, &b, &golden_err));
    assert_memory_equal(a, b, n_vocab * sizeof *a);
    slm_session_close(&s);
    slm_session_close(&quiet);
}

/* One model, several caches, each with its own thread. */
static void *evaluate_alone(void *out) {
    slm_session *s = NULL;
    slm_cache_options o = {.struct_size = sizeof o, .n_threads = 2};
    slm_status status = slm_session_open(model, &o, &s, NULL);
    for (int i = 0; i < 20 && status == SLM_OK; i++) {
        status = slm_session_eval(s, some, 10, SLM_LOGITS_LAST, NULL);
        if (status == SLM_OK && i < 19)
            status = slm_session_truncate(s, 3, NULL);
    }
    const float *row;
    if (status == SLM_OK && slm_session_get_logits(s, 0, &row, NULL) == SLM_OK)
        memcpy(out, row, n_vocab * sizeof *row);
    slm_session_close(&s);
    return NULL;
}

static void caches_are_independent(void **state) {
    (void)state;
    static float rows[3][512];
    pthread_t threads[2];
    memset(rows, 0, sizeof rows);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, evaluate_alone, rows[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    evaluate_alone(rows[2]);
    assert_memory_equal(rows[0], rows[2], sizeof rows[0]);
    assert_memory_equal(rows[1], rows[2], sizeof rows[0]);
    assert_true(rows[2][0] != 0.0f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_arguments),      cmocka_unit_test(ids_and_context),
        cmocka_unit_test(cache_options),       cmocka_unit_test(prompt_reuse),
        cmocka_unit_test(pages_and_slots_run_out), cmocka_unit_test(several_at_once),
        cmocka_unit_test(memory_limit),        cmocka_unit_test(plan_is_exact),
        cmocka_unit_test(cancelling),          cmocka_unit_test(cancelling_from_a_thread),
        cmocka_unit_test(caches_are_independent),
    };
    golden_need_data();
    return cmocka_run_group_tests(tests, open_model, close_model);
}
