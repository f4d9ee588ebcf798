/* Reading the reference data and running models over it; for the tests of this folder. */
#ifndef TESTS_MODEL_GOLDEN_H
#define TESTS_MODEL_GOLDEN_H

#include "slm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

static inline const char *golden_dir(void) {
    const char *dir = getenv("SLM_SHARED_DIR");
    return dir != NULL ? dir : SLM_SHARED_DIR;
}

static inline void golden_path(char *path, size_t cap, const char *dir, const char *name) {
    if (strchr(dir, ':') != NULL) /* "models:" and the like: not below golden */
        snprintf(path, cap, "%s/%.*s/%s", golden_dir(), (int)strcspn(dir, ":"), dir, name);
    else
        snprintf(path, cap, "%s/golden/%s/%s", golden_dir(), dir, name);
}

/* Leaves with the code for "skipped" where the data is absent, which under CI is a failure. */
static inline void golden_need_data(void) {
    char path[1024];
    golden_path(path, sizeof path, "", "index.json");
    FILE *f = fopen(path, "rb");
    if (f != NULL) {
        fclose(f);
        return;
    }
    const char *ci = getenv("CI");
    fprintf(stderr, "SKIPPED: no reference data at %s\n", path);
    exit(ci != NULL && strcmp(ci, "true") == 0 ? 1 : 77);
}

static inline void *golden_read(const char *dir, const char *name, size_t *size) {
    char path[1024];
    golden_path(path, sizeof path, dir, name);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        fail_msg("cannot open %s", path);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    void *data = malloc(*size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *size, f), *size);
    fclose(f);
    return data;
}

static inline json_t *golden_json(const char *dir, const char *name) {
    char path[1024];
    golden_path(path, sizeof path, dir, name);
    json_error_t e;
    json_t *j = json_load_file(path, 0, &e);
    if (j == NULL)
        fail_msg("%s: %s", path, e.text);
    return j;
}

#define OK(call)                                                                        \
    do {                                                                                \
        slm_status status_ = (call);                                                    \
        if (status_ != SLM_OK)                                                          \
            fail_msg("%s: %s: %s", #call, slm_status_name(status_), golden_err.message); \
    } while (0)
static slm_error golden_err = SLM_ERROR_INIT;
static slm_load golden_load = SLM_LOAD_AUTO;
#ifdef GOLDEN_ON_DEVICE /* the same tests are built once more for the device */
#define GOLDEN_DEVICE SLM_DEVICE_CUDA
#else
#define GOLDEN_DEVICE SLM_DEVICE_CPU
#endif

static inline slm_model *golden_open(const char *dir, const char *gguf, uint32_t levels) {
    char path[1024];
    golden_path(path, sizeof path, dir, gguf);
    slm_model_options mo = {.struct_size = sizeof mo, .cpu_levels = levels, .load = golden_load,
                            .device = GOLDEN_DEVICE};
    slm_model *model = NULL;
    OK(slm_model_open(path, &mo, &model, &golden_err));
    return model;
}

/* Where a run is slow, each cache type takes its turn. */
static inline int golden_left_out(size_t turn, slm_kv_type kv) {
#ifdef SLM_SLOW
    return (size_t)(kv - SLM_KV_F16) != turn % 3;
#else
    (void)turn;
    (void)kv;
    return 0;
#endif
}

/* How many tokens golden_logits evaluates at a time; and what it does behind each evaluation, which
 * may leave another session in place of this one; NULL: nothing. */
static uint32_t golden_chunk = 16;
static void (*golden_between)(slm_model *model, const slm_cache_options *o, slm_session **session);

/* Logits of all positions of a fresh session over tokens; free them. */
static inline float *golden_logits(const char *dir, const char *gguf, const slm_cache_options *o,
                                   uint32_t levels, const int32_t *tokens, size_t n_tokens,
                                   size_t n_vocab) {
    slm_model *model = golden_open(dir, gguf, levels);
    slm_session *session = NULL;
    slm_cache_options co = *o;
    co.chunk_ms = SLM_CHUNK_WHOLE; /* the same steps each time */
    if (co.max_logits == 0)
        co.max_logits = golden_chunk;
    OK(slm_session_open(model, &co, &session, &golden_err));
    float *out = malloc(n_tokens * n_vocab * sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < n_tokens;) {
        size_t n = n_tokens - i < co.max_logits ? n_tokens - i : co.max_logits;
        OK(slm_session_eval(session, tokens + i, n, SLM_LOGITS_ALL, &golden_err));
        for (size_t j = 0; j < n; j++) {
            const float *row;
            OK(slm_session_get_logits(session, j, &row, &golden_err));
            memcpy(out + (i + j) * n_vocab, row, n_vocab * sizeof *out);
        }
        i += n;
        if (golden_between != NULL)
            golden_between(model, &co, &session);
    }
    slm_session_close(&session);
    slm_model_close(&model);
    return out;
}

#endif
