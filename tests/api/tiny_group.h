/* What groups of tests over one plain tiny model share. */
#ifndef TESTS_API_TINY_GROUP_H
#define TESTS_API_TINY_GROUP_H

#include "api/tiny_open.h"

static slm_model *model;
static const int32_t some[] = {1, 260, 261, 262, 263, 260};

static inline int open_model(void **state) {
    (void)state;
    model = tiny_open(NULL, NULL);
    return 0;
}

static inline int close_model(void **state) {
    (void)state;
    slm_model_close(&model);
    return 0;
}

/* A session that has evaluated the first n of them. */
static inline slm_session *session_with(size_t n) {
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = 128, .n_threads = 1};
    slm_session *s = NULL;
    OK(slm_session_open(model, &o, &s, &golden_err));
    OK(slm_session_eval(s, some, n, SLM_LOGITS_LAST, &golden_err));
    return s;
}

/* Room for any struct of the interface and what lies behind it. */
typedef union slot {
    uint64_t align;
    unsigned char bytes[512];
} slot;

#endif
