/* What tests of the host side of the CUDA backend share: tiny models on the fake device. */
#ifndef TESTS_SIMT_BACKEND_TEST_H
#define TESTS_SIMT_BACKEND_TEST_H

#include "api/tiny_open.h"
#include "fake_cuda.h"
#include "support/fail_alloc.h"
#include "support/message_flaw.h"

#define N_IDS 120u
static int32_t ids[N_IDS]; /* something to evaluate */

/* A tiny model as bytes that may be used in place. */
static uint8_t *file;
static size_t file_size;

static inline void make_file(const tiny_tweak *tweak) {
    gb *b = tiny_model(tweak);
    const uint8_t *bytes = gb_finish(b, &file_size);
    free(file);
    file = aligned_alloc(64, (file_size + 63) / 64 * 64);
    assert_non_null(file);
    memcpy(file, bytes, file_size);
    gb_free(b);
    for (uint32_t i = 0; i < N_IDS; i++)
        ids[i] = (int32_t)((i * 2654435761u >> 16) % TINY_VOCAB);
}

static inline int setup(void **state) {
    (void)state;
    assert_int_equal(fake_cuda_reset(FAKE_CUDA_ORIN_NX_16), 0);
    make_file(NULL);
    return 0;
}

/* Nothing may be left on the device. */
static inline int teardown(void **state) {
    (void)state;
    free(file);
    file = NULL;
    return fake_cuda_reset(FAKE_CUDA_ORIN_NX_16) == 0 ? 0 : -1;
}

static inline fake_cuda_stats stats_now(void) {
    fake_cuda_stats s;
    fake_cuda_get_stats(&s);
    return s;
}

#define NOTHING_ON_DEVICE()                                                                        \
    do {                                                                                           \
        fake_cuda_stats s_ = stats_now();                                                          \
        assert_int_equal(s_.n_allocations + s_.n_objects, 0);                                      \
        assert_int_equal(s_.device_bytes + s_.pinned_bytes, 0);                                    \
    } while (0)

static inline slm_model *open_on(slm_device device) {
    slm_model_options o = {.struct_size = sizeof o, .device = device};
    slm_model *m = NULL;
    OK(slm_model_open_memory(file, file_size, &o, &m, &golden_err));
    slm_model_info info = {.struct_size = sizeof info};
    OK(slm_model_get_info(m, &info, &golden_err));
    assert_int_equal(info.device, device);
    return m;
}

static inline slm_cache *open_cache(slm_model *m, uint32_t max_sessions, uint32_t max_rows) {
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = TINY_CTX, .page_tokens = 16,
                           .max_sessions = max_sessions, .max_rows = max_rows,
                           .max_logits = TINY_CTX, .n_threads = 1, .chunk_ms = SLM_CHUNK_WHOLE};
    slm_cache *c = NULL;
    OK(slm_cache_open(m, &o, &c, &golden_err));
    return c;
}

static inline slm_session *open_session(slm_cache *c) {
    slm_session *s = NULL;
    OK(slm_session_open_on(c, NULL, &s, &golden_err));
    return s;
}

/* Logits of ids[from, to), all rows. */
typedef float logits_row[TINY_VOCAB];

static inline void take_rows(const slm_session *s, size_t n, logits_row *to) {
    for (size_t i = 0; i < n; i++) {
        const float *row;
        OK(slm_session_get_logits(s, i, &row, &golden_err));
        memcpy(to[i], row, sizeof *to);
    }
}

static inline void feed(slm_session *s, size_t from, size_t to, size_t chunk, logits_row *out) {
    for (size_t i = from, n; i < to; i += n) {
        n = to - i < chunk ? to - i : chunk;
        OK(slm_session_eval(s, ids + i, n, SLM_LOGITS_ALL, &golden_err));
        take_rows(s, n, out + i);
    }
}

/* Logits of ids[0, n) of a session alone, in steps of as many rows as there are. */
static inline logits_row *logits_alone(slm_model *m, size_t n) {
    logits_row *out = calloc(n, sizeof *out);
    assert_non_null(out);
    slm_cache *c = open_cache(m, 1, N_IDS);
    slm_session *s = open_session(c);
    feed(s, 0, n, n, out);
    slm_session_close(&s);
    slm_cache_close(&c);
    return out;
}

/* The session's logits of its last token are those of row. */
static inline void same_last(const slm_session *s, const logits_row row) {
    const float *last;
    OK(slm_session_get_logits(s, 0, &last, &golden_err));
    assert_memory_equal(last, row, sizeof(logits_row));
}

#endif
