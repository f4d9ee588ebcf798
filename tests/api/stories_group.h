/* A small trained model with a session of its own, for tests of what is generated. */
#ifndef TESTS_API_STORIES_GROUP_H
#define TESTS_API_STORIES_GROUP_H

#include "model/golden.h"

static slm_model *model;
static slm_session *session;
static const int32_t prompt[] = {1, 403, 407, 261, 378}; /* "Once upon a time" */

static inline int set_up(void **state) {
    (void)state;
    slm_cache_options o = {.struct_size = sizeof o, .max_sessions = 4, .n_threads = 1};
    slm_cache *cache = NULL;
    model = golden_open("models:", "stories260K.gguf", 0);
    OK(slm_cache_open(model, &o, &cache, &golden_err));
    OK(slm_session_open_on(cache, NULL, &session, &golden_err));
    slm_cache_close(&cache);
    return 0;
}

static inline int tear_down(void **state) {
    (void)state;
    slm_session_close(&session);
    slm_model_close(&model);
    return 0;
}

#endif
