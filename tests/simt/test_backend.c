/* What a step on the device gives: the same bits alone and with others, by graphs and without, on new
 * pages and on used ones; with one wait, in the memory that was planned. */
#include "backend_test.h"
#include "support/temp_folder.h"

#include <pthread.h>

/* Steps of up to 16 rows are replayed from graphs, larger ones are not. */
static void graphs_give_what_launches_give(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    logits_row *want = logits_alone(m, 40), got[40]; /* one step of 40 rows */
    static const uint32_t chunks[] = {1, 5, 16, 17};
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        slm_cache *c = open_cache(m, 1, chunks[i]);
        slm_session *s = open_session(c);
        fake_cuda_stats before = stats_now();
        feed(s, 0, 40, 40, got);
        fake_cuda_stats after = stats_now();
        assert_memory_equal(got, want, sizeof got);
        uint64_t n_steps = (40 + chunks[i] - 1) / chunks[i];
        assert_int_equal(after.n_waits - before.n_waits, n_steps);
        assert_int_equal(after.n_pageable, before.n_pageable);
        slm_session_close(&s);
        slm_cache_close(&c);
    }
    free(want);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* A second step of the same shape is one launch, whatever its tokens, position and pages are. */
static void a_step_is_one_launch(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    slm_cache *c = open_cache(m, 2, 32);
    slm_session *a = open_session(c), *b = open_session(c);
    logits_row *want = logits_alone(m, 40), got[1];
    OK(slm_session_eval(a, ids, 3, SLM_LOGITS_NONE, &golden_err));
    OK(slm_session_eval(b, ids, 30, SLM_LOGITS_NONE, &golden_err));
    OK(slm_session_eval(a, ids + 3, 1, SLM_LOGITS_LAST, &golden_err));
    same_last(a, want[3]);
    size_t at[2] = {4, 30};
    for (int i = 0; i < 12; i++) { /* each comes to a new page */
        slm_session *s = i % 2 ? b : a;
        size_t *n = &at[i % 2];
        fake_cuda_stats before = stats_now();
        OK(slm_session_eval(s, ids + *n, 1, SLM_LOGITS_LAST, &golden_err));
        fake_cuda_stats after = stats_now();
        assert_int_equal(after.n_launches - before.n_launches, 1);
        assert_int_equal(after.n_waits - before.n_waits, 1);
        assert_int_equal(after.n_objects, before.n_objects);
        assert_int_equal(after.n_allocations, before.n_allocations);
        take_rows(s, 1, got);
        assert_memory_equal(got[0], want[(*n)++], sizeof *got);
    }
    free(want);
    slm_session_close(&a);
    slm_session_close(&b);
    slm_cache_close(&c);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* Kernels of a token behind `depth` others are as many as the prediction counts. */
static void check_kernels_of(slm_model *m, const int32_t *tokens, size_t depth, slm_kv_type kv) {
    slm_device_profile p = {.struct_size = sizeof p};
    slm_predict_options asked = {.struct_size = sizeof asked, .depth = (uint32_t)depth, .kv_type = kv};
    slm_prediction predicted = {.struct_size = sizeof predicted};
    OK(slm_device_profile_find("orin-nx-16", &p, &golden_err));
    OK(slm_predict(m, &p, &asked, &predicted, &golden_err));
    slm_cache_options o = {.struct_size = sizeof o, .n_threads = 1, .kv_type = kv};
    slm_session *s = NULL;
    OK(slm_session_open(m, &o, &s, &golden_err));
    OK(slm_session_eval(s, tokens, depth, SLM_LOGITS_NONE, &golden_err));
    for (size_t i = 0; i < 2; i++) { /* recorded, replayed */
        fake_cuda_stats before = stats_now();
        OK(slm_session_truncate(s, depth, &golden_err));
        OK(slm_session_eval(s, tokens + depth, 1, SLM_LOGITS_LAST, &golden_err));
        assert_int_equal(stats_now().n_kernels - before.n_kernels, predicted.graph_nodes);
    }
    slm_session_close(&s);
}

static void kernels_are_those_predicted(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    check_kernels_of(m, ids, 40, SLM_KV_F16);
    check_kernels_of(m, ids, 40, SLM_KV_F32);
    slm_model_close(&m);
    golden_need_data(); /* V of another type than K in some layers; chunks that are joined */
    static int32_t tokens[261];
    char path[1024];
    for (size_t i = 0; i < 261; i++)
        tokens[i] = 3 + (int32_t)(i * 7 % 250);
    golden_path(path, sizeof path, "llama-1b-like", "llama-1b-like-q4_k_m.gguf");
    slm_model_options o = {.struct_size = sizeof o, .device = SLM_DEVICE_CUDA};
    OK(slm_model_open(path, &o, &m, &golden_err));
    check_kernels_of(m, tokens, 10, SLM_KV_F16);
#ifndef SLM_SLOW
    check_kernels_of(m, tokens, 260, SLM_KV_F16);
#endif
    slm_model_close(&m);
    golden_path(path, sizeof path, "golden-sambay/phi4flash-like:", "phi4flash-like-f32.gguf");
    OK(slm_model_open(path, &o, &m, &golden_err));
    check_kernels_of(m, tokens, 10, SLM_KV_F16);
#ifndef SLM_SLOW
    check_kernels_of(m, tokens, 260, SLM_KV_F16);
#endif
    slm_model_close(&m);
}

/* More shapes of steps than graphs are kept. */
static void old_graphs_make_room(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    logits_row *want = logits_alone(m, 16);
    slm_cache *c = open_cache(m, 1, 16);
    size_t most = 0;
    for (int turn = 0; turn < 2; turn++)
        for (size_t n = 1; n <= 12; n++)
            for (int32_t logits = SLM_LOGITS_NONE; logits <= SLM_LOGITS_ALL; logits++) {
                slm_session *s = open_session(c);
                OK(slm_session_eval(s, ids, n, logits, &golden_err));
                OK(slm_session_eval(s, NULL, 0, SLM_LOGITS_LAST, &golden_err));
                same_last(s, want[n - 1]);
                slm_session_close(&s);
                size_t now = stats_now().n_objects;
                most = now > most ? now : most;
            }
    assert_int_equal(most, 32 + 1); /* and a stream */
    free(want);
    slm_cache_close(&c);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

static void together_as_alone(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    logits_row *want = logits_alone(m, 60), got[2][8];
    slm_cache *c = open_cache(m, 2, 20);
    slm_session *s[2] = {open_session(c), open_session(c)};
    size_t at[2] = {2, 41};
    for (int i = 0; i < 2; i++)
        OK(slm_session_eval(s[i], ids, at[i], SLM_LOGITS_NONE, &golden_err));
    for (size_t turn = 0; turn < 5; turn++) {
        size_t n[2] = {1 + turn % 2 * 6, 3};
        slm_eval_item items[2];
        for (int i = 0; i < 2; i++)
            items[i] = (slm_eval_item){sizeof *items, SLM_LOGITS_ALL, s[i], ids + at[i], n[i]};
        OK(slm_cache_eval(c, items, 2, &golden_err));
        for (int i = 0; i < 2; i++) {
            take_rows(s[i], n[i], got[i]);
            assert_memory_equal(got[i], want[at[i]], n[i] * sizeof *want);
            at[i] += n[i];
        }
    }
    free(want);
    for (int i = 0; i < 2; i++)
        slm_session_close(&s[i]);
    slm_cache_close(&c);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* The most likely token again and again, with drafts; how many were made, and in how many steps. */
static size_t generate_with(slm_session *s, uint32_t n_draft, int32_t *out, size_t n,
                            uint64_t *steps) {
    slm_sampling sampling = {.struct_size = sizeof sampling};
    OK(slm_sampling_init(&sampling));
    sampling.temperature = 0;
    slm_generate_options o = {.struct_size = sizeof o, .flags = SLM_GENERATE_IGNORE_END,
                              .max_tokens = n, .sampling = &sampling, .n_draft = n_draft};
    slm_generator *g = NULL;
    slm_event ev = {.struct_size = sizeof ev};
    size_t made = 0;
    OK(slm_generate_begin(s, &o, &g, &golden_err));
    for (;;) {
        OK(slm_generate_next(g, &ev, &golden_err));
        if (ev.type == SLM_EVENT_END)
            break;
        out[made++] = ev.token;
    }
    *steps = ev.steps;
    slm_generate_end(&g);
    return made;
}

static size_t generate(slm_session *s, int32_t *out, size_t n) {
    uint64_t steps;
    return generate_with(s, 0, out, n, &steps);
}

/* Drafts, right and wrong ones, whose logits come as whole rows beside the best of others, leave no trace. */
static void generation_with_drafts(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    slm_cache *c = open_cache(m, 2, 32);
    slm_session *s = open_session(c);
    int32_t want[40], got[40];
    uint64_t steps, fewer;
    OK(slm_session_prompt(s, ids, 10, NULL, &golden_err));
    assert_int_equal(generate_with(s, 0, want, 40, &steps), 40);
    assert_int_equal(steps, 39);
    OK(slm_session_eval(s, ids, 10, SLM_LOGITS_LAST, &golden_err)); /* the same once more */
    assert_int_equal(generate_with(s, 0, want, 40, &steps), 40);
    for (uint32_t n_draft = 1; n_draft <= 8; n_draft *= 2) {
        OK(slm_session_truncate(s, 60, &golden_err));
        assert_int_equal(generate_with(s, n_draft, got, 40, &fewer), 40);
        assert_memory_equal(got, want, sizeof want);
        assert_true(fewer < steps);
    }
    slm_session_close(&s);
    slm_cache_close(&c);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* Forks write to copies of pages, and what was taken back leaves no trace. */
static void generation_with_forks(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    slm_cache *c = open_cache(m, 3, 32);
    slm_session *a = open_session(c), *fork = NULL, *other = open_session(c);
    int32_t want[40], got[40];
    OK(slm_session_prompt(a, ids, 10, NULL, &golden_err));
    assert_int_equal(generate(a, want, 40), 40);
    OK(slm_session_truncate(a, 25, &golden_err)); /* within a page */
    OK(slm_session_fork(a, &fork, &golden_err));
    OK(slm_session_eval(other, ids, 50, SLM_LOGITS_NONE, &golden_err)); /* takes freed pages */
    OK(slm_session_eval(fork, ids + 60, 20, SLM_LOGITS_LAST, &golden_err));
    assert_int_equal(generate(a, got, 25), 25);
    assert_memory_equal(got, want + 15, 25 * sizeof *got);
    OK(slm_session_truncate(fork, 25, &golden_err));
    assert_int_equal(generate(fork, got, 25), 25);
    assert_memory_equal(got, want + 15, 25 * sizeof *got);
    slm_session_close(&a);
    slm_session_close(&fork);
    slm_session_close(&other);
    slm_cache_close(&c);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* Pages go from session to session while page tables of the device still name them; the context is no
 * multiple of a page. */
static void pages_change_hands(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    logits_row *want = logits_alone(m, 100), got[100];
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = 100, .page_tokens = 16,
                           .max_sessions = 2, .n_cells = 112, .max_rows = 32, .max_logits = 100};
    slm_cache *c = NULL;
    OK(slm_cache_open(m, &o, &c, &golden_err));
    slm_session *a = open_session(c), *b = open_session(c);
    feed(a, 0, 100, 100, got);
    assert_memory_equal(got, want, sizeof got);
    REFUSED(slm_session_eval(a, ids, 1, SLM_LOGITS_LAST, &golden_err), SLM_ERR_CTX, "100");
    REFUSED(slm_session_eval(b, ids, 1, SLM_LOGITS_LAST, &golden_err), SLM_ERR_LIMIT, "pages");
    for (size_t keep = 90; keep > 10; keep -= 20) { /* each takes what the other gives back */
        OK(slm_session_truncate(a, keep, &golden_err));
        size_t room = 112 - (keep + 15) / 16 * 16;
        feed(b, 0, room, 9, got);
        assert_memory_equal(got, want, room * sizeof *got);
        OK(slm_session_truncate(b, 0, &golden_err));
        feed(a, keep, 100, 40, got);
        assert_memory_equal(got[keep], want[keep], (100 - keep) * sizeof *got);
    }
    free(want);
    slm_session_close(&a);
    slm_session_close(&b);
    slm_cache_close(&c);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

static void emit_window(gb *b) {
    gb_kv_u32(b, "phi3.attention.sliding_window", 20);
}
static void emit_context(gb *b) {
    gb_kv_u32(b, "phi3.context_length", 512);
}

/* What has left the window goes back to the pool and to others. */
static void windows_give_pages_back(void **state) {
    (void)state;
    static const tiny_tweak tweak = {.arch = "phi3", .extra = emit_window,
                                     .name = "phi3.context_length", .emit = emit_context};
    make_file(&tweak);
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = 400, .page_tokens = 16,
                           .max_sessions = 2, .max_rows = 400};
    logits_row want;
    slm_session *s = NULL;
    int32_t all[400];
    for (uint32_t i = 0; i < 400; i++)
        all[i] = ids[i % N_IDS];
    OK(slm_session_open(m, &o, &s, &golden_err)); /* in one step all keys are there */
    OK(slm_session_eval(s, all, 400, SLM_LOGITS_LAST, &golden_err));
    take_rows(s, 1, &want);
    slm_session_close(&s);
    o.max_rows = 40;
    slm_cache *c = NULL;
    OK(slm_cache_open(m, &o, &c, &golden_err));
    slm_session *both[2] = {open_session(c), open_session(c)};
    for (size_t i = 0; i < 400; i += 20)
        for (int j = 0; j < 2; j++)
            OK(slm_session_eval(both[j], all + i, 20, SLM_LOGITS_LAST, &golden_err));
    slm_session_info info = {.struct_size = sizeof info};
    for (int j = 0; j < 2; j++) {
        same_last(both[j], want);
        OK(slm_session_get_info(both[j], &info, &golden_err));
        assert_in_range(info.n_pages, 2, 20); /* of 25 */
        slm_session_close(&both[j]);
    }
    slm_cache_close(&c);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* ---------------------------------------------------------------- memory ----------------------- */

static void compare_plan(slm_model *m, const slm_cache_options *o, const fail_alloc *fa) {
    slm_plan plan = {.struct_size = sizeof plan}, done = {.struct_size = sizeof done};
    slm_cache *c = NULL;
    OK(slm_cache_plan(m, o, &plan, &golden_err));
    assert_int_equal(plan.total_bytes, plan.weights_mapped + plan.weights_allocated +
                                           plan.model_bytes + plan.kv_bytes + plan.scratch_bytes);
    fake_cuda_stats before = stats_now();
    OK(slm_cache_open(m, o, &c, &golden_err));
    OK(slm_cache_get_plan(c, &done, &golden_err));
    assert_memory_equal(&plan, &done, END(slm_plan, n_threads));
    fake_cuda_stats after = stats_now();
    assert_int_equal((uint64_t)fa->bytes + after.device_bytes + after.pinned_bytes,
                     plan.total_bytes - plan.weights_mapped);
    assert_true(after.device_bytes - before.device_bytes > plan.kv_bytes);
    slm_session *s = open_session(c);
    OK(slm_session_eval(s, ids, 20, SLM_LOGITS_LAST, &golden_err));
    fake_cuda_stats used = stats_now();
    assert_int_equal(used.device_bytes, after.device_bytes);
    assert_int_equal(used.pinned_bytes, after.pinned_bytes);
    slm_session_close(&s);
    slm_cache_close(&c);
    assert_int_equal(stats_now().device_bytes, before.device_bytes);
    assert_int_equal(stats_now().pinned_bytes, 0);
}

static void planned(const char *path, slm_load load) {
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator a = fail_alloc_start(&fa);
    slm_model_options o = {.struct_size = sizeof o, .device = SLM_DEVICE_CUDA, .allocator = &a,
                           .load = load};
    slm_model *m = NULL;
    if (path != NULL)
        OK(slm_model_open(path, &o, &m, &golden_err));
    else
        OK(slm_model_open_memory(file, file_size, &o, &m, &golden_err));
    assert_int_equal(stats_now().pinned_bytes, 0); /* no buffers are left */
    slm_cache_options co = {.struct_size = sizeof co, .n_threads = 2};
    compare_plan(m, NULL, &fa);
    for (slm_kv_type kv = SLM_KV_F16; kv <= SLM_KV_F32; kv++) {
        co = (slm_cache_options){.struct_size = sizeof co, .n_ctx = 100, .kv_type = kv,
                                 .max_sessions = 3, .n_cells = 200, .max_logits = 5,
                                 .page_tokens = 32};
        compare_plan(m, &co, &fa);
    }
    slm_model_close(&m);
    assert_int_equal(fa.outstanding, 0);
    NOTHING_ON_DEVICE();
}

static void memory_is_what_was_planned(void **state) {
    (void)state;
    const char *path = temp_path("tiny.gguf");
    gb *b = tiny_model(NULL);
    assert_true(gb_write(b, path));
    gb_free(b);
    planned(NULL, SLM_LOAD_AUTO);
    planned(NULL, SLM_LOAD_READ);
    planned(path, SLM_LOAD_MAP);
    planned(path, SLM_LOAD_READ);
    static const tiny_tweak biases = {.arch = "qwen2", .scale = 8};
    make_file(&biases);
    planned(NULL, SLM_LOAD_AUTO);
}

/* ---------------------------------------------------------------- others ----------------------- */

/* Models, caches and processors side by side: nothing is shared but the device. */
static void several_models(void **state) {
    (void)state;
    slm_model *m[3] = {open_on(SLM_DEVICE_CUDA), NULL, open_on(SLM_DEVICE_CPU)};
    logits_row *first = logits_alone(m[0], 20), got[20];
    static const tiny_tweak wide = {.scale = 2};
    uint8_t *narrow = file; /* used in place */
    file = NULL;
    make_file(&wide);
    m[1] = open_on(SLM_DEVICE_CUDA);
    logits_row *second = logits_alone(m[1], 20), *on_cpu = logits_alone(m[2], 20);
    assert_true(memcmp(first, second, 20 * sizeof *first) != 0);
    for (size_t i = 0; i < 20; i++)
        for (size_t j = 0; j < TINY_VOCAB; j++)
            assert_float_equal(first[i][j], on_cpu[i][j], 0.02);
    slm_cache *c[2] = {open_cache(m[0], 1, 8), open_cache(m[1], 1, 8)};
    slm_session *s[2] = {open_session(c[0]), open_session(c[1])};
    for (int i = 0; i < 2; i++) { /* sessions keep what they need */
        slm_model_close(&m[i]);
        slm_cache_close(&c[i]);
    }
    for (size_t at = 0; at < 20; at += 4)
        for (int i = 0; i < 2; i++) {
            feed(s[i], at, at + 4, 3, got);
            assert_memory_equal(got[at], i ? second[at] : first[at], 4 * sizeof *got);
        }
    for (int i = 0; i < 2; i++)
        slm_session_close(&s[i]);
    slm_model_close(&m[2]);
    free(first);
    free(second);
    free(on_cpu);
    free(narrow);
    NOTHING_ON_DEVICE();
}

typedef struct worker {
    slm_session *session;
    logits_row rows[16];
    slm_status status;
} worker;

static void *evaluate(void *arg) {
    worker *w = arg;
    const float *row;
    for (size_t i = 0; i < 16 && w->status == SLM_OK; i++) {
        w->status = slm_session_eval(w->session, ids + i, 1, SLM_LOGITS_LAST, NULL);
        if (w->status == SLM_OK && slm_session_get_logits(w->session, 0, &row, NULL) == SLM_OK)
            memcpy(w->rows[i], row, sizeof *w->rows);
    }
    return NULL;
}

/* Caches of one model in threads of their own. */
static void several_threads(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    logits_row *want = logits_alone(m, 16);
    static worker w[2];
    slm_cache *c[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        c[i] = open_cache(m, 1, 8);
        w[i] = (worker){.session = open_session(c[i])};
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, evaluate, &w[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(w[i].status, SLM_OK);
        assert_memory_equal(w[i].rows, want, sizeof w[i].rows);
        slm_session_close(&w[i].session);
        slm_cache_close(&c[i]);
    }
    free(want);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(graphs_give_what_launches_give),
        TEST(a_step_is_one_launch),
        TEST(kernels_are_those_predicted),
        TEST(old_graphs_make_room),
        TEST(together_as_alone),
        TEST(generation_with_drafts),
        TEST(generation_with_forks),
        TEST(pages_change_hands),
        TEST(windows_give_pages_back),
        TEST(memory_is_what_was_planned),
        TEST(several_models),
        TEST(several_threads),
    };
    return cmocka_run_group_tests_name("backend", tests, NULL, NULL);
}
