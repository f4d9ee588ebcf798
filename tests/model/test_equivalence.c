/* What must not change a bit: chunking, threads, pages, neighbours, forks, and taking tokens back.
 * Every family, every kind of cache, against one plain run. */
#include "golden.h"

typedef struct subject {
    const char *dir, *gguf;
} subject;

/* One file a family, and one for each way of rounding activations. */
static const subject subjects[] = {
    {"llama-1b-like", "llama-1b-like-f32.gguf"},
    {"llama-1b-like", "llama-1b-like-q4_k_m.gguf"},
    {"llama-types", "llama-types-q5_1.gguf"},
    {"phi3-mini-4k-like", "phi3-mini-4k-like-f32.gguf"},
    {"phi3-128k-like", "phi3-128k-like-f32.gguf"},
    {"phi4-mini-like-256", "phi4-mini-like-256-q3_k_m.gguf"},
    {"qwen2-like-256", "qwen2-like-256-mix.gguf"},
    {"qwen2-untied-like", "qwen2-untied-like-f16.gguf"},
    {"qwen3-like", "qwen3-like-bf16.gguf"},
    {"bitnet-like", "bitnet-like-i2_s.gguf"},
    {"bitnet-like-256", "bitnet-like-256-tq2_0.gguf"},
    {"golden-sambay/phi4flash-like:", "phi4flash-like-f32.gguf"},
    {"golden-sambay/phi4flash-like-256:", "phi4flash-like-256-q4_k-q8_0.gguf"},
};

#define MAX_TOKENS 200
static int32_t ids[MAX_TOKENS];
static size_t n_ids, n_vocab;
static slm_model *model;

static void load(const subject *s) {
    model = golden_open(s->dir, s->gguf, 0);
    slm_model_info info = {.struct_size = sizeof info};
    OK(slm_model_get_info(model, &info, &golden_err));
    n_vocab = info.n_vocab;
    n_ids = MAX_TOKENS; /* crosses windows of 48 and original contexts of 64 */
    uint32_t x = 12345;
    for (size_t i = 0; i < n_ids; i++) {
        x = x * 1664525u + 1013904223u;
        ids[i] = (int32_t)((x >> 8) % n_vocab);
    }
}

static slm_cache_options plain(slm_kv_type kv) {
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = 256, .kv_type = kv, .n_threads = 1,
                           .max_logits = MAX_TOKENS, .max_sessions = 3,
                           .rope_factors = SLM_ROPE_LONG, .chunk_ms = SLM_CHUNK_WHOLE};
    return o;
}

/* Evaluates ids[from, to) in chunks and stores every row of logits at its place in out. */
static void feed(slm_session *s, size_t from, size_t to, size_t chunk, float *out) {
    for (size_t i = from; i < to;) {
        size_t n = to - i < chunk ? to - i : chunk;
        OK(slm_session_eval(s, ids + i, n, SLM_LOGITS_ALL, &golden_err));
        for (size_t j = 0; j < n; j++) {
            const float *row;
            OK(slm_session_get_logits(s, j, &row, &golden_err));
            memcpy(out + (i + j) * n_vocab, row, n_vocab * sizeof *row);
        }
        i += n;
    }
}

static float *run(const slm_cache_options *o, size_t chunk) {
    slm_session *s = NULL;
    float *out = calloc(n_ids * n_vocab, sizeof *out);
    assert_non_null(out);
    OK(slm_session_open(model, o, &s, &golden_err));
    feed(s, 0, n_ids, chunk, out);
    slm_session_close(&s);
    return out;
}

static void same(const char *what, const subject *s, const float *a, const float *b, size_t from) {
    for (size_t i = from * n_vocab; i < n_ids * n_vocab; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) != 0)
            fail_msg("%s: %s: row %zu, logit %zu: %a instead of %a", s->gguf, what, i / n_vocab,
                     i % n_vocab, (double)b[i], (double)a[i]);
}

static void same_free(const char *what, const subject *s, const float *a, float *b, size_t from) {
    same(what, s, a, b, from);
    free(b);
}

static void variants(const subject *s, slm_kv_type kv) {
    slm_cache_options o = plain(kv);
    float *want = run(&o, n_ids);
    same_free("token by token", s, want, run(&o, 1), 0);
    same_free("chunks of 7", s, want, run(&o, 7), 0);
    o.max_rows = 13;
    same_free("steps of 13 rows", s, want, run(&o, n_ids), 0);
    o = plain(kv);
    o.n_threads = 2;
    same_free("2 threads", s, want, run(&o, n_ids), 0);
    o.n_threads = 5;
    same_free("5 threads", s, want, run(&o, 50), 0);
    for (uint32_t page = 16; page <= 256; page *= 2) {
        o = plain(kv);
        o.page_tokens = page;
        same_free("page size", s, want, run(&o, 33), 0);
    }
    free(want);
}

/* Three sessions at different places, stepped together, each as if alone. */
static void together(const subject *s, slm_kv_type kv) {
    slm_cache_options o = plain(kv);
    float *want = run(&o, n_ids);
    slm_cache *cache = NULL;
    o.n_threads = 2;
    o.max_rows = 32;
    OK(slm_cache_open(model, &o, &cache, &golden_err));
    slm_session *all[3] = {NULL, NULL, NULL};
    static const size_t start[3] = {0, 17, 90};
    for (int i = 0; i < 3; i++) {
        OK(slm_session_open_on(cache, NULL, &all[i], &golden_err));
        OK(slm_session_eval(all[i], ids, start[i], SLM_LOGITS_NONE, &golden_err));
    }
    for (size_t step = 0; step < 40; step++) {
        slm_eval_item items[3];
        size_t at[3];
        for (size_t i = 0; i < 3; i++) {
            const int32_t *held;
            OK(slm_session_get_tokens(all[i], &held, &at[i], &golden_err));
            size_t n = i == 0 ? 1 : i == 1 ? 1 + step % 4 : 2;
            items[i] = (slm_eval_item){sizeof items[i], SLM_LOGITS_LAST, all[i], ids + at[i], n};
            at[i] += n;
        }
        OK(slm_cache_eval(cache, items, 3, &golden_err));
        for (size_t i = 0; i < 3; i++) {
            const float *row;
            OK(slm_session_get_logits(all[i], 0, &row, &golden_err));
            if (memcmp(row, want + (at[i] - 1) * n_vocab, n_vocab * sizeof *row) != 0)
                fail_msg("%s: several sessions in one step: session %zu differs at row %zu",
                         s->gguf, i, at[i] - 1);
        }
    }
    for (int i = 0; i < 3; i++)
        slm_session_close(&all[i]);
    slm_cache_close(&cache);
    free(want);
}

/* LongRoPE by length: short factors below the original context; growing past it, the session
 * evaluates again and is then what it would have been with long factors from the start. */
static void rope_by_length(const subject *s) {
    slm_model_info info = {.struct_size = sizeof info};
    OK(slm_model_get_info(model, &info, &golden_err));
    if (info.n_ctx_original == 0)
        return;
    assert_int_equal(info.n_ctx_original, 64);
    slm_cache_options o = plain(SLM_KV_F16);
    float *want_long = run(&o, n_ids);
    o.rope_factors = SLM_ROPE_SHORT;
    float *want_short = run(&o, n_ids), *got = calloc(n_ids * n_vocab, sizeof *got);
    assert_non_null(got);
    o.rope_factors = SLM_ROPE_AUTO;
    slm_session *session = NULL;
    slm_session_info si = {.struct_size = sizeof si};
    slm_prompt_report report = {.struct_size = sizeof report};
    OK(slm_session_open(model, &o, &session, &golden_err));
    feed(session, 0, 64, 10, got);
    for (size_t i = 0; i < 64 * n_vocab; i++)
        assert_true(got[i] == want_short[i]);
    OK(slm_session_get_info(session, &si, &golden_err));
    assert_int_equal(si.rope_factors, SLM_ROPE_SHORT);
    assert_int_equal(si.n_reevaluated, 0);
    feed(session, 64, n_ids, 10, got);
    same("grown past the original context", s, want_long, got, 64);
    OK(slm_session_get_info(session, &si, &golden_err));
    assert_int_equal(si.rope_factors, SLM_ROPE_LONG);
    assert_int_equal(si.n_reevaluated, 64);
    OK(slm_session_prompt(session, ids, 30, &report, &golden_err)); /* and short again */
    const float *row;
    OK(slm_session_get_logits(session, 0, &row, &golden_err));
    assert_memory_equal(row, want_short + 29 * n_vocab, n_vocab * sizeof *row);
    assert_int_equal(report.reuse_stop, SLM_REUSE_ROPE);
    assert_int_equal(report.n_reused, 0);
    assert_int_equal(report.n_evaluated, 30);
    slm_session_close(&session);
    free(want_long);
    free(want_short);
    free(got);
}

#ifndef SLM_EMULATED /* what concerns pages alone is the same on every processor */
/* A session that took a detour and came back, again and again, ends where it would have. */
static void truncations(const subject *s, slm_kv_type kv) {
    slm_cache_options o = plain(kv);
    float *want = run(&o, n_ids), *got = calloc(n_ids * n_vocab, sizeof *got);
    assert_non_null(got);
    slm_session *session = NULL;
    o.page_tokens = 16;
    OK(slm_session_open(model, &o, &session, &golden_err));
    static const size_t cuts[][2] = {{60, 37}, {90, 0}, {130, 100}, {180, 64}, {200, 150}};
    size_t at = 0;
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        feed(session, at, cuts[i][0], 9, got);
        OK(slm_session_truncate(session, cuts[i][1], &golden_err));
        at = cuts[i][1];
        if (i % 2 == 0) /* says that it will come back, which changes nothing in any family */
            OK(slm_session_checkpoint(session, &golden_err));
        int32_t other[5] = {1, 2, 3, 4, 5}; /* a path not taken */
        OK(slm_session_eval(session, other, 5, SLM_LOGITS_LAST, &golden_err));
        OK(slm_session_truncate(session, at, &golden_err));
    }
    feed(session, at, n_ids, 9, got);
    slm_session_close(&session);
    same_free("truncate", s, want, got, 0);
    free(want);
}

static void forks(const subject *s, slm_kv_type kv) {
    slm_cache_options o = plain(kv);
    float *want = run(&o, n_ids), *a_out = calloc(n_ids * n_vocab, sizeof *a_out),
          *b_out = calloc(n_ids * n_vocab, sizeof *b_out);
    assert_true(a_out != NULL && b_out != NULL);
    slm_cache *cache = NULL;
    slm_session *a = NULL, *b = NULL;
    OK(slm_cache_open(model, &o, &cache, &golden_err));
    OK(slm_session_open_on(cache, NULL, &a, &golden_err));
    feed(a, 0, 101, 101, a_out);
    OK(slm_session_fork(a, &b, &golden_err));
    const float *la, *lb;
    OK(slm_session_get_logits(b, 0, &lb, &golden_err));
    assert_memory_equal(lb, want + 100 * n_vocab, n_vocab * sizeof *lb);
    int32_t other[3] = {7, 8, 9}; /* what the fork does must not be seen by the first */
    OK(slm_session_eval(b, other, 3, SLM_LOGITS_LAST, &golden_err));
    feed(a, 101, n_ids, 20, a_out);
    OK(slm_session_truncate(b, 101, &golden_err));
    feed(b, 101, n_ids, 11, b_out);
    assert_int_equal(slm_session_get_logits(a, 0, &la, NULL), SLM_ERR_RANGE); /* b took the rows */
    OK(slm_session_eval(a, NULL, 0, SLM_LOGITS_LAST, &golden_err));
    OK(slm_session_get_logits(a, 0, &la, &golden_err));
    assert_memory_equal(la, want + (n_ids - 1) * n_vocab, n_vocab * sizeof *la);
    slm_session_close(&a);
    slm_session_close(&b);
    slm_cache_close(&cache);
    same_free("forked", s, want, a_out, 0);
    same_free("fork", s, want, b_out, 101);
    free(want);
}

static void last_row(slm_session *s, float *out) {
    const float *row;
    OK(slm_session_eval(s, NULL, 0, SLM_LOGITS_LAST, &golden_err));
    OK(slm_session_get_logits(s, 0, &row, &golden_err));
    memcpy(out, row, n_vocab * sizeof *row);
}

/* Pages that fall out of every window are given back, and what needs them again makes them again:
 * truncation to where they were, a fork, another prompt. */
static void windows(slm_kv_type kv) {
    enum { LONG = 490 };
    slm_model_info info = {.struct_size = sizeof info};
    slm_plan plan = {.struct_size = sizeof plan};
    OK(slm_model_get_info(model, &info, &golden_err));
    OK(slm_cache_plan(model, NULL, &plan, &golden_err));
    if (info.sliding_window == 0 || info.n_ctx_train < 512 || plan.recurrent_bytes > 0)
        return; /* where state is recurrent, checkpoints have the windows: test_recurrent.c */
    static int32_t all[LONG];
    for (size_t i = 0; i < LONG; i++)
        all[i] = ids[i * 7 % n_ids];
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = 500, .kv_type = kv, .n_threads = 1,
                           .page_tokens = 16, .max_rows = 32, .max_sessions = 2};
    float *want = calloc(2 * n_vocab, sizeof *want), *got = want + n_vocab;
    assert_non_null(want);
    slm_cache *cache = NULL;
    slm_session *session = NULL, *other = NULL, *fresh = NULL;
    slm_session_info si = {.struct_size = sizeof si};
    slm_prompt_report report = {.struct_size = sizeof report};
    OK(slm_cache_open(model, &o, &cache, &golden_err));
    OK(slm_session_open_on(cache, NULL, &session, &golden_err));
    OK(slm_session_eval(session, all, LONG, SLM_LOGITS_LAST, &golden_err));
    OK(slm_session_get_info(session, &si, &golden_err));
    assert_in_range(si.n_pages, 1, (info.sliding_window + 256 + 32) / 16 + 2);
    OK(slm_session_fork(session, &other, &golden_err));
    static const size_t cuts[] = {480, 300, 100, 60, 20};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        slm_cache_options one = o;
        one.page_tokens = 64;
        one.max_sessions = 1;
        OK(slm_session_open(model, &one, &fresh, &golden_err));
        OK(slm_session_eval(fresh, all, cuts[i], SLM_LOGITS_NONE, &golden_err));
        OK(slm_session_eval(fresh, all + 1, 1, SLM_LOGITS_LAST, &golden_err));
        last_row(fresh, want);
        slm_session_close(&fresh);
        OK(slm_session_truncate(session, cuts[i], &golden_err));
        OK(slm_session_eval(session, all + 1, 1, SLM_LOGITS_LAST, &golden_err));
        last_row(session, got);
        assert_memory_equal(got, want, n_vocab * sizeof *got);
        OK(slm_session_eval(session, all, 489 - cuts[i], SLM_LOGITS_NONE, &golden_err));
    }
    OK(slm_session_get_info(session, &si, &golden_err));
    assert_true(si.n_reevaluated > 0);
    last_row(other, want); /* the fork has seen nothing of it */
    OK(slm_session_prompt(other, all, 50, &report, &golden_err));
    assert_int_equal(report.reuse_stop, SLM_REUSE_WINDOW);
    assert_int_equal(report.n_reused, 0);
    assert_int_equal(report.n_evaluated, 50);
    OK(slm_session_prompt(other, all, LONG, &report, &golden_err));
    assert_int_equal(report.n_reused, 50);
    last_row(other, got);
    assert_memory_equal(got, want, n_vocab * sizeof *got);
    slm_session_close(&session);
    slm_session_close(&other);
    slm_cache_close(&cache);
    free(want);
}
#endif

static void every_family(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
#ifdef GOLDEN_ON_DEVICE /* played by the processor: every third is minutes as it is */
        if (i % 3 != 0)
            continue;
#endif
        load(&subjects[i]);
        for (int kv = SLM_KV_F16; kv <= SLM_KV_F32; kv++) {
            if (golden_left_out(i, kv))
                continue;
            variants(&subjects[i], kv);
            together(&subjects[i], kv);
#ifndef SLM_EMULATED
            truncations(&subjects[i], kv);
            forks(&subjects[i], kv);
            windows(kv);
#endif
        }
        rope_by_length(&subjects[i]);
        slm_model_close(&model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_family)};
    golden_need_data();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
