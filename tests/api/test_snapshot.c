/* Sessions that go on from a file as if they had never stopped: every family, every kind of cache,
 * other pages and threads than those that the file was made with. */
#include "api/tiny_open.h"
#include "support/message_flaw.h"
#include "support/temp_folder.h"

typedef struct subject {
    const char *dir, *gguf;
} subject;

static const subject subjects[] = {
    {"llama-1b-like", "llama-1b-like-q4_k_m.gguf"},
    {"phi3-mini-4k-like", "phi3-mini-4k-like-f32.gguf"}, /* a window of 48 */
    {"phi3-128k-like", "phi3-128k-like-f32.gguf"},       /* long factors from 64 on */
    {"phi4-mini-like", "phi4-mini-like-f32.gguf"},
    {"qwen2-like-256", "qwen2-like-256-mix.gguf"},
    {"qwen3-like", "qwen3-like-bf16.gguf"},
    {"bitnet-like", "bitnet-like-i2_s.gguf"},
    {"golden-sambay/phi4flash-like:", "phi4flash-like-f32.gguf"}, /* recurrent; a window of 24 */
};
#define N_SUBJECTS (sizeof subjects / sizeof subjects[0])

#define MAX_TOKENS 480
#define MORE       8 /* tokens evaluated after loading */
static int32_t ids[MAX_TOKENS];
static slm_model *model;
static slm_model_info model_info;
static char path[700];

static void open_subject(const subject *s) {
    model = golden_open(s->dir, s->gguf, 0);
    model_info = (slm_model_info){.struct_size = sizeof model_info};
    OK(slm_model_get_info(model, &model_info, &golden_err));
    for (uint32_t i = 0, x = 77; i < MAX_TOKENS; i++) {
        x = x * 1664525u + 1013904223u;
        ids[i] = (int32_t)((x >> 8) % model_info.n_vocab);
    }
    snprintf(path, sizeof path, "%s", temp_path("session"));
}

static slm_cache_options cache_options(slm_kv_type kv, uint32_t n_ctx) {
    slm_cache_options o = {.struct_size = sizeof o,
                           .n_ctx = n_ctx,
                           .kv_type = kv,
                           .page_tokens = 16,
                           .n_threads = 1,
                           .max_logits = MORE};
    return o;
}

static slm_session *open_with(const slm_cache_options *o) {
    slm_session *s = NULL;
    OK(slm_session_open(model, o, &s, &golden_err));
    return s;
}

static slm_session_info info_of(const slm_session *s) {
    slm_session_info i = {.struct_size = sizeof i};
    OK(slm_session_get_info(s, &i, &golden_err));
    return i;
}

/* Logits of the last token, then of MORE others. */
static float *go_on(slm_session *s) {
    size_t n = model_info.n_vocab, n_held = held(s);
    float *out = calloc((1 + MORE) * n, sizeof *out);
    const float *row;
    assert_non_null(out);
    if (n_held > 0) {
        OK(slm_session_eval(s, NULL, 0, SLM_LOGITS_LAST, &golden_err));
        OK(slm_session_get_logits(s, 0, &row, &golden_err));
        memcpy(out, row, n * sizeof *row);
    }
    OK(slm_session_eval(s, ids + n_held, MORE, SLM_LOGITS_ALL, &golden_err));
    for (size_t i = 0; i < MORE; i++) {
        OK(slm_session_get_logits(s, i, &row, &golden_err));
        memcpy(out + (1 + i) * n, row, n * sizeof *row);
    }
    return out;
}

static void same(const float *want, float *got, const char *what, size_t n) {
    if (memcmp(want, got, (1 + MORE) * model_info.n_vocab * sizeof *want) != 0)
        fail_msg("%s, %zu tokens: another result than before", what, n);
    free(got);
}

/* Saved at n tokens, loaded in place of others, and the rest evaluated. */
static void round_trip(const subject *sub, slm_kv_type kv, size_t n, uint32_t page_tokens) {
    slm_cache_options o = cache_options(kv, (uint32_t)n + MORE);
    o.page_tokens = page_tokens;
    slm_session *s = open_with(&o);
    for (size_t at = 0, some; at < n; at += some) {
        some = n - at < 100 ? n - at : 100;
        OK(slm_session_eval(s, ids + at, some, SLM_LOGITS_NONE, &golden_err));
    }
    uint64_t n_pages = info_of(s).n_pages;
    OK(slm_session_save(s, path, NULL, &golden_err));
    float *want = go_on(s);
    slm_session_close(&s);
    for (uint32_t page = 16; page <= 256; page *= 4) {
        o = cache_options(kv, (uint32_t)n + MORE + page % 48);
        o.page_tokens = page;
        o.n_threads = page == 16 ? 1 : 2;
        o.max_rows = page == 64 ? 5 : 0;
        s = open_with(&o);
        /* the cache is full of another session's pages */
        for (size_t i = 0; i + 1 < o.n_ctx; i += o.n_ctx / 2)
            OK(slm_session_eval(s, ids + 40, o.n_ctx / 2, SLM_LOGITS_LAST, &golden_err));
        slm_snapshot_info info = {.struct_size = sizeof info};
        OK(slm_session_load(s, path, NULL, &info, &golden_err));
        assert_int_equal(info.n_tokens, n);
        assert_int_equal(info.n_evaluated, n);
        assert_int_equal(info.kv_type, kv);
        assert_int_equal(info.attachment_len, 0);
        assert_string_equal(info.architecture, model_info.architecture);
        assert_string_equal(info.quantization, model_info.quantization);
        const int32_t *now;
        size_t n_now;
        const float *row;
        OK(slm_session_get_tokens(s, &now, &n_now, &golden_err));
        assert_int_equal(n_now, n);
        assert_memory_equal(now, ids, n * sizeof *ids);
        REFUSED(slm_session_get_logits(s, 0, &row, &golden_err), SLM_ERR_RANGE, "row 0");
        uint64_t before = info_of(s).n_evaluated;
        if (page == page_tokens)
            assert_int_equal(info_of(s).n_pages, n_pages);
        same(want, go_on(s), sub->gguf, n);
        /* of the last token the logits are made once more; larger pages may lack a window's edge */
        uint64_t most = before + MORE + (n > 0), now_evaluated = info_of(s).n_evaluated;
        int crosses = model_info.n_ctx_original > 0 && n <= model_info.n_ctx_original &&
                      n + MORE > model_info.n_ctx_original;
        int goes_back = sub == &subjects[N_SUBJECTS - 1]; /* to a checkpoint, for that token */
        if (!crosses && !goes_back && (model_info.sliding_window == 0 || page <= page_tokens))
            assert_int_equal(now_evaluated, most);
        /* taken back and evaluated anew */
        if (n >= 5) {
            OK(slm_session_load(s, path, NULL, NULL, &golden_err));
            OK(slm_session_truncate(s, n - 5, &golden_err));
            OK(slm_session_eval(s, ids + n - 5, 5, SLM_LOGITS_NONE, &golden_err));
            same(want, go_on(s), "truncated after loading", n);
        }
        slm_session_close(&s);
    }
    free(want);
}

static void every_family(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 15, 16, 33, 60, 64, 65, 130};
    for (size_t i = 0; i < N_SUBJECTS; i++) {
        open_subject(&subjects[i]);
        for (slm_kv_type kv = SLM_KV_F16; kv <= SLM_KV_F32; kv++)
            for (size_t n = 0; n < sizeof sizes / sizeof sizes[0]; n++)
                if (!golden_left_out(i + n, kv))
                    round_trip(&subjects[i], kv, sizes[n], n % 2 ? 16 : 64);
        slm_model_close(&model);
    }
}

/* Long enough that pages have left the window. */
static void windows(void **state) {
    (void)state;
    static const size_t with[] = {1, N_SUBJECTS - 1};
    for (size_t i = 0; i < 2; i++) {
        open_subject(&subjects[with[i]]);
        assert_int_equal(model_info.sliding_window, i == 0 ? 48 : 24);
        for (slm_kv_type kv = SLM_KV_F16; kv <= SLM_KV_F32; kv++)
            for (uint32_t page = 16; page <= 64; page *= 2)
                if (!golden_left_out(page / 16, kv))
                    round_trip(&subjects[with[i]], kv, 430 + page / 16, page);
        slm_model_close(&model);
    }
}

/* What lies behind the tokens of a page, from those who had it before, is not saved. */
static void nothing_of_others(void **state) {
    (void)state;
    size_t size, again;
    open_subject(&subjects[0]);
    for (slm_kv_type kv = SLM_KV_F16; kv <= SLM_KV_F32; kv++) {
        slm_cache_options o = cache_options(kv, 64);
        o.page_tokens = 64;
        slm_session *s = open_with(&o);
        OK(slm_session_eval(s, ids, 5, SLM_LOGITS_NONE, &golden_err));
        OK(slm_session_save(s, path, NULL, &golden_err));
        uint8_t *clean = temp_read(path, &size);
        slm_session_close(&s);
        s = open_with(&o);
        OK(slm_session_eval(s, ids + 20, 40, SLM_LOGITS_NONE, &golden_err));
        OK(slm_session_truncate(s, 0, &golden_err));
        OK(slm_session_eval(s, ids, 5, SLM_LOGITS_NONE, &golden_err));
        OK(slm_session_save(s, path, NULL, &golden_err));
        uint8_t *dirty = temp_read(path, &again);
        assert_int_equal(size, again);
        assert_memory_equal(clean, dirty, size);
        free(clean);
        free(dirty);
        slm_session_close(&s);
    }
    slm_model_close(&model);
}

/* A system prompt that was evaluated once, for every session that begins with it. */
static void prefixes(void **state) {
    (void)state;
    for (size_t i = 0; i < N_SUBJECTS; i++) {
        open_subject(&subjects[i]);
        slm_cache_options o = cache_options(SLM_KV_F16, 128);
        o.max_sessions = 3;
        slm_cache *c = NULL;
        slm_session *prefix = NULL, *fresh = NULL, *s = NULL;
        slm_prompt_report report = {.struct_size = sizeof report};
        const float *want, *got;
        OK(slm_cache_open(model, &o, &c, &golden_err));
        OK(slm_session_open_on(c, NULL, &prefix, &golden_err));
        OK(slm_session_eval(prefix, ids, 40, SLM_LOGITS_NONE, &golden_err));
        OK(slm_session_save(prefix, path, NULL, &golden_err));
        slm_session_close(&prefix);
        OK(slm_session_open_on(c, NULL, &fresh, &golden_err));
        OK(slm_session_prompt(fresh, ids, 60, NULL, &golden_err));
        OK(slm_session_open_on(c, NULL, &s, &golden_err));
        OK(slm_session_load(s, path, NULL, NULL, &golden_err));
        OK(slm_session_prompt(s, ids, 60, &report, &golden_err));
        assert_int_equal(report.n_reused, 40);
        assert_int_equal(report.n_evaluated, 20);
        assert_int_equal(report.reuse_stop, SLM_REUSE_ALL);
        OK(slm_session_get_logits(fresh, 0, &want, &golden_err));
        OK(slm_session_get_logits(s, 0, &got, &golden_err));
        assert_memory_equal(want, got, model_info.n_vocab * sizeof *want);
        /* and for its forks */
        OK(slm_session_load(s, path, NULL, NULL, &golden_err));
        OK(slm_session_fork(s, &prefix, &golden_err));
        OK(slm_session_prompt(s, ids + 1, 3, NULL, &golden_err));
        OK(slm_session_prompt(prefix, ids, 60, &report, &golden_err));
        assert_int_equal(report.n_reused, 40);
        OK(slm_session_get_logits(prefix, 0, &got, &golden_err));
        assert_memory_equal(want, got, model_info.n_vocab * sizeof *want);
        slm_session_close(&s);
        slm_session_close(&prefix);
        slm_session_close(&fresh);
        slm_cache_close(&c);
        slm_model_close(&model);
    }
}

/* An answer goes on as it would have. */
static void generation(void **state) {
    (void)state;
    open_subject(&subjects[3]);
    slm_cache_options o = cache_options(SLM_KV_Q8_0, 128);
    slm_sampling sampling = {.struct_size = sizeof sampling};
    OK(slm_sampling_init(&sampling));
    sampling.seed = 11;
    slm_generate_options g = {.struct_size = sizeof g,
                              .max_tokens = 20,
                              .sampling = &sampling,
                              .flags = SLM_GENERATE_IGNORE_END};
    int32_t want[20], got[20];
    slm_session *s = open_with(&o);
    OK(slm_session_prompt(s, ids, 55, NULL, &golden_err));
    OK(slm_session_save(s, path, NULL, &golden_err));
    for (int turn = 0; turn < 2; turn++) {
        slm_generator *gen = NULL;
        slm_event ev = {.struct_size = sizeof ev};
        int32_t *out = turn == 0 ? want : got;
        size_t n = 0;
        OK(slm_generate_begin(s, &g, &gen, &golden_err));
        REFUSED(slm_session_save(s, path, NULL, &golden_err), SLM_ERR_BUSY, "generator");
        REFUSED(slm_session_load(s, path, NULL, NULL, &golden_err), SLM_ERR_BUSY, "generator");
        while (ev.type != SLM_EVENT_END) {
            OK(slm_generate_next(gen, &ev, &golden_err));
            if (ev.type == SLM_EVENT_TEXT)
                out[n++] = ev.token;
        }
        assert_int_equal(n, 20);
        slm_generate_end(&gen);
        slm_session_close(&s);
        s = open_with(&o);
        OK(slm_session_load(s, path, NULL, NULL, &golden_err));
    }
    assert_memory_equal(want, got, sizeof want);
    slm_session_close(&s);
    slm_model_close(&model);
}

int main(void) {
    golden_need_data();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family),      cmocka_unit_test(windows),
        cmocka_unit_test(nothing_of_others), cmocka_unit_test(prefixes),
        cmocka_unit_test(generation),
    };
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
