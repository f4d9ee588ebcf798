/* Snapshots of sessions on a device: they go on there to the bit, with other pages too; an error of
 * the device leaves the tokens. */
#include "backend_test.h"
#include "support/temp_folder.h"

static slm_session *open_paged(slm_model *m, uint32_t page_tokens) {
    slm_cache_options o = {.struct_size = sizeof o,
                           .n_ctx = TINY_CTX,
                           .page_tokens = page_tokens,
                           .max_rows = 32,
                           .max_logits = TINY_CTX,
                           .n_threads = 1,
                           .chunk_ms = SLM_CHUNK_WHOLE};
    slm_session *s = NULL;
    OK(slm_session_open(m, &o, &s, &golden_err));
    return s;
}

static void goes_on(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA), *on_cpu = open_on(SLM_DEVICE_CPU);
    logits_row *want = logits_alone(m, 60), got[60];
    const char *path = temp_path("session");
    for (uint32_t from = 16; from <= 64; from *= 2) {
        slm_session *s = open_paged(m, from);
        OK(slm_session_eval(s, ids, 37, SLM_LOGITS_NONE, &golden_err));
        OK(slm_session_save(s, path, NULL, &golden_err));
        slm_session_close(&s);
        for (uint32_t to = 16; to <= 64; to *= 2) {
            s = open_paged(m, to);
            OK(slm_session_eval(s, ids + 60, 50, SLM_LOGITS_LAST, &golden_err));
            OK(slm_session_load(s, path, NULL, NULL, &golden_err));
            assert_int_equal(held(s), 37);
            OK(slm_session_eval(s, NULL, 0, SLM_LOGITS_LAST, &golden_err));
            same_last(s, want[36]);
            feed(s, 37, 60, 5, got);
            assert_memory_equal(got[37], want[37], 23 * sizeof *want);
            slm_session_close(&s);
        }
        s = open_paged(on_cpu, 32);
        REFUSED(slm_session_load(s, path, NULL, NULL, &golden_err), SLM_ERR_CHANGED, "device",
                "got a CUDA device, wanted the processor");
        slm_session_close(&s);
    }
    free(want);
    slm_model_close(&m);
    slm_model_close(&on_cpu);
    NOTHING_ON_DEVICE();
}

/* What lies behind the tokens of a page, from those who had it before, is not saved. */
static void nothing_of_others(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    for (slm_kv_type kv = SLM_KV_F16; kv <= SLM_KV_F32; kv++) {
        size_t size[2];
        uint8_t *bytes[2];
        for (int is_used = 0; is_used < 2; is_used++) {
            slm_cache_options o = {
                .struct_size = sizeof o, .n_ctx = 64, .kv_type = kv, .max_rows = 32};
            slm_session *s = NULL;
            const char *path = temp_path("session");
            OK(slm_session_open(m, &o, &s, &golden_err));
            if (is_used) {
                OK(slm_session_eval(s, ids + 20, 50, SLM_LOGITS_NONE, &golden_err));
                OK(slm_session_truncate(s, 0, &golden_err));
            }
            OK(slm_session_eval(s, ids, 21, SLM_LOGITS_NONE, &golden_err));
            OK(slm_session_save(s, path, NULL, &golden_err));
            bytes[is_used] = temp_read(path, &size[is_used]);
            slm_session_close(&s);
        }
        assert_int_equal(size[0], size[1]);
        assert_memory_equal(bytes[0], bytes[1], size[0]);
        free(bytes[0]);
        free(bytes[1]);
    }
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* No more than one buffer on top of the plan, for as long as it takes. */
static void memory(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    slm_session *s = open_paged(m, 16);
    const char *path = temp_path("session");
    OK(slm_session_eval(s, ids, 37, SLM_LOGITS_NONE, &golden_err));
    fake_cuda_stats before = stats_now();
    OK(slm_session_save(s, path, NULL, &golden_err));
    OK(slm_session_load(s, path, NULL, NULL, &golden_err));
    fake_cuda_stats after = stats_now();
    assert_int_equal(after.pinned_bytes, before.pinned_bytes);
    assert_int_equal(after.device_bytes, before.device_bytes);
    assert_int_equal(after.n_pageable, before.n_pageable);
    slm_session_close(&s);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* A copy that fails: the session has its tokens, evaluates them again, and a later call works. */
static void failures(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    logits_row *want = logits_alone(m, 41);
    const char *path = temp_path("session");
    slm_session *s = open_paged(m, 16);
    OK(slm_session_eval(s, ids, 37, SLM_LOGITS_NONE, &golden_err));
    OK(slm_session_save(s, path, NULL, &golden_err));
    for (int turn = 0; turn < 2; turn++) {
        OK(slm_session_prompt(s, ids, 40, NULL, &golden_err));
        for (int n = 1; n <= 3; n++) {
            fake_cuda_fail_sync(n);
            golden_err = (slm_error)SLM_ERROR_INIT;
            slm_status status = turn == 0 ? slm_session_load(s, path, NULL, NULL, &golden_err)
                                          : slm_session_save(s, path, NULL, &golden_err);
            assert_int_equal(status, SLM_ERR_DEVICE);
            assert_null(message_flaw(&golden_err));
            assert_int_equal(held(s), 40);
            assert_int_equal(temp_count(), 1);
            OK(slm_session_eval(s, NULL, 0, SLM_LOGITS_LAST, &golden_err));
            same_last(s, want[39]);
            OK(slm_session_eval(s, ids + 40, 1, SLM_LOGITS_LAST, &golden_err));
            same_last(s, want[40]);
            OK(slm_session_truncate(s, 40, &golden_err));
            OK(slm_session_eval(s, NULL, 0, SLM_LOGITS_LAST, &golden_err));
        }
        fake_cuda_fail_malloc(1);
        assert_int_equal(turn == 0 ? slm_session_load(s, path, NULL, NULL, &golden_err)
                                   : slm_session_save(s, path, NULL, &golden_err),
                         SLM_ERR_NOMEM);
        same_last(s, want[39]);
    }
    OK(slm_session_load(s, path, NULL, NULL, &golden_err));
    assert_int_equal(held(s), 37);
    free(want);
    slm_session_close(&s);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_of_others, setup, teardown),
        cmocka_unit_test_setup_teardown(memory, setup, teardown),
        cmocka_unit_test_setup_teardown(failures, setup, teardown),
    };
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
