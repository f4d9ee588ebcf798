/* What tests of snapshots share. */
#ifndef TESTS_API_SNAPSHOT_FILE_H
#define TESTS_API_SNAPSHOT_FILE_H

#include "api/tiny_open.h"
#include "support/snapshot_bytes.h"

static inline slm_session *open_tiny(slm_model *m, slm_kv_type kv, uint32_t n_ctx) {
    slm_cache_options o = {
        .struct_size = sizeof o, .n_ctx = n_ctx, .kv_type = kv, .page_tokens = 16, .n_threads = 1};
    slm_session *s = NULL;
    OK(slm_session_open(m, &o, &s, &golden_err));
    return s;
}

#endif
