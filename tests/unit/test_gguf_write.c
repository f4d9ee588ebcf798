/* Writing GGUF files, read back by the reader. */
#include "gguf_expect.h"

#include "support/fail_alloc.h"
#include "support/temp_folder.h"

#include <stdlib.h>

static slm_host host;
static char path[700];

static int start(void **state) {
    (void)state;
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    temp_clear();
    snprintf(path, sizeof path, "%s", temp_path("written.gguf"));
    return 0;
}

static int no_leak(void **state) {
    (void)state;
    return host.bytes != 0;
}

static slm_str str(const char *text) {
    return (slm_str){text, strlen(text)};
}

static slm_status reopen(slm_gguf **g) {
    slm_error e = SLM_ERROR_INIT;
    slm_status status = slm_gguf_open(&host, path, 0, SLM_GGUF_STRICT, NULL, NULL, g, &e);
    if (status != SLM_OK)
        print_message("%s\n", e.message);
    return status;
}

/* The sample with every kind of value, copied key by key and tensor by tensor, is the same file. */
static void test_copy_is_the_same(void **state) {
    (void)state;
    size_t size, got_size;
    slm_host h;
    slm_gguf *g;
    slm_gguf_writer *w = NULL;
    slm_out *out = NULL;
    gb *b = gb_sample();
    const uint8_t *bytes = gb_finish(b, &size);
    assert_int_equal(gguf_try(bytes, size, 0, &h, &g).status, SLM_OK);
    assert_int_equal(slm_gguf_writer_open(&host, &w, NULL), SLM_OK);
    for (uint64_t i = 0; i < slm_gguf_n_kv(g); i++)
        assert_int_equal(slm_gguf_writer_copy(w, slm_gguf_kv_at(g, i), NULL), SLM_OK);
    for (uint64_t i = 0; i < slm_gguf_n_tensors(g); i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(g, i);
        assert_int_equal(slm_gguf_writer_tensor(w, t->name, t->type, t->n_dims, t->ne, NULL),
                         SLM_OK);
    }
    assert_int_equal(slm_out_open(&host, path, &out, NULL), SLM_OK);
    assert_int_equal(slm_gguf_writer_begin(w, out, NULL), SLM_OK);
    for (uint64_t i = 0; i < slm_gguf_n_tensors(g); i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(g, i);
        /* In pieces of odd sizes. */
        for (uint64_t at = 0; at < t->bytes; at += 7) {
            size_t n = t->bytes - at < 7 ? (size_t)(t->bytes - at) : 7;
            assert_int_equal(slm_gguf_writer_data(w, t->data + at, n, NULL), SLM_OK);
        }
    }
    assert_int_equal(slm_gguf_writer_finish(w, NULL), SLM_OK);
    slm_gguf_writer_close(w);
    assert_int_equal(slm_out_commit(&out, NULL), SLM_OK);
    uint8_t *got = temp_read(path, &got_size);
    assert_true(got_size == size);
    assert_memory_equal(got, bytes, size);
    free(got);
    gguf_close(&h, g);
    gb_free(b);
}

static void test_values(void **state) {
    (void)state;
    slm_gguf_writer *w = NULL;
    slm_out *out = NULL;
    slm_gguf *g = NULL;
    uint32_t u = 0;
    float f = 0;
    int flag = 0;
    slm_str s;
    assert_int_equal(slm_gguf_writer_open(&host, &w, NULL), SLM_OK);
    assert_int_equal(slm_gguf_writer_u32(w, "a.u32", 4000000000u, NULL), SLM_OK);
    assert_int_equal(slm_gguf_writer_f32(w, "a.f32", -0.1f, NULL), SLM_OK);
    assert_int_equal(slm_gguf_writer_bool(w, "a.yes", 7, NULL), SLM_OK);
    assert_int_equal(slm_gguf_writer_bool(w, "a.no", 0, NULL), SLM_OK);
    assert_int_equal(slm_gguf_writer_str(w, "a.str", str("text"), NULL), SLM_OK);
    assert_int_equal(slm_gguf_writer_str(w, "a.empty", str(""), NULL), SLM_OK);
    assert_int_equal(slm_out_open(&host, path, &out, NULL), SLM_OK);
    assert_int_equal(slm_gguf_writer_begin(w, out, NULL), SLM_OK);
    assert_int_equal(slm_gguf_writer_data(w, NULL, 0, NULL), SLM_OK);
    assert_int_equal(slm_gguf_writer_finish(w, NULL), SLM_OK);
    slm_gguf_writer_close(w);
    assert_int_equal(slm_out_commit(&out, NULL), SLM_OK);
    assert_int_equal(reopen(&g), SLM_OK);
    assert_true(slm_gguf_n_kv(g) == 6);
    assert_int_equal(slm_gguf_get_u32(g, "a.u32", 1, 0, UINT32_MAX, &u, NULL), SLM_OK);
    assert_int_equal(slm_gguf_get_f32(g, "a.f32", 1, -1, 1, &f, NULL), SLM_OK);
    assert_true(u == 4000000000u && f == -0.1f);
    assert_int_equal(slm_gguf_get_bool(g, "a.yes", 1, &flag, NULL), SLM_OK);
    assert_int_equal(flag, 1);
    assert_int_equal(slm_gguf_get_bool(g, "a.no", 1, &flag, NULL), SLM_OK);
    assert_int_equal(flag, 0);
    assert_int_equal(slm_gguf_get_str(g, "a.str", 1, &s, NULL), SLM_OK);
    assert_true(s.len == 4 && memcmp(s.ptr, "text", 4) == 0);
    assert_int_equal(slm_gguf_get_str(g, "a.empty", 1, &s, NULL), SLM_OK);
    assert_true(s.len == 0);
    slm_gguf_close(g);
}

/* What describes the old file's own layout is not taken over. */
static void test_copy_leaves_layout_out(void **state) {
    (void)state;
    slm_host h;
    slm_gguf *g;
    slm_gguf_writer *w = NULL;
    slm_out *out = NULL;
    size_t size;
    gb *b = gb_begin();
    gb_kv_u32(b, "general.alignment", 4096);
    gb_set_alignment(b, 4096);
    gb_kv_u16(b, "split.no", 0);
    gb_kv_u16(b, "split.count", 1);
    gb_kv_i32(b, "split.tensors.count", 1);
    gb_kv_u32(b, "splitter", 1);
    gb_kv_u32(b, "general.alignments", 1);
    gb_tensor_random(b, "t", 1, (uint64_t[]){5}, 1, 1);
    const uint8_t *bytes = gb_finish(b, &size);
    assert_int_equal(gguf_try(bytes, size, 0, &h, &g).status, SLM_OK);
    assert_int_equal(slm_gguf_writer_open(&host, &w, NULL), SLM_OK);
    for (uint64_t i = 0; i < slm_gguf_n_kv(g); i++)
        assert_int_equal(slm_gguf_writer_copy(w, slm_gguf_kv_at(g, i), NULL), SLM_OK);
    const slm_gguf_tensor *t = slm_gguf_tensor_at(g, 0);
    assert_int_equal(slm_gguf_writer_tensor(w, t->name, t->type, t->n_dims, t->ne, NULL), SLM_OK);
    assert_int_equal(slm_out_open(&host, path, &out, NULL), SLM_OK);
    assert_int_equal(slm_gguf_writer_begin(w, out, NULL), SLM_OK);
    assert_int_equal(slm_gguf_writer_data(w, t->data, (size_t)t->bytes, NULL), SLM_OK);
    assert_int_equal(slm_gguf_writer_finish(w, NULL), SLM_OK);
    slm_gguf_writer_close(w);
    assert_int_equal(slm_out_commit(&out, NULL), SLM_OK);
    slm_gguf *again = NULL;
    assert_int_equal(reopen(&again), SLM_OK);
    assert_true(slm_gguf_n_kv(again) == 2);
    assert_non_null(slm_gguf_find(again, "splitter"));
    assert_non_null(slm_gguf_find(again, "general.alignments"));
    assert_memory_equal(slm_gguf_tensor_at(again, 0)->data, t->data, 20);
    slm_gguf_close(again);
    gguf_close(&h, g);
    gb_free(b);
}

static void test_misuse(void **state) {
    (void)state;
    slm_error e = SLM_ERROR_INIT;
    slm_gguf_writer *w = NULL;
    slm_out *out = NULL;
    const uint64_t four[4] = {4, 0, 0, 0};
    const uint64_t zero[4] = {4, 0, 1, 1};
    const uint64_t huge[4] = {(uint64_t)1 << 40, 2, 1, 1};
    uint8_t data[20] = {0};
    char name[66];
    memset(name, 'n', 65);
    name[65] = 0;
    assert_int_equal(slm_gguf_writer_open(&host, &w, &e), SLM_OK);
    assert_int_equal(slm_gguf_writer_tensor(w, str("t"), 0, 0, four, &e), SLM_ERR_SHAPE);
    assert_int_equal(slm_gguf_writer_tensor(w, str("t"), 0, 5, four, &e), SLM_ERR_SHAPE);
    assert_int_equal(slm_gguf_writer_tensor(w, str("t"), 99, 1, four, &e), SLM_ERR_SHAPE);
    assert_int_equal(slm_gguf_writer_tensor(w, str("t"), SLM_DTYPE_Q8_0, 1, four, &e),
                     SLM_ERR_SHAPE);
    assert_non_null(strstr(e.message, "rows of 4 elements, wanted 1 to 4 and a multiple of 32"));
    assert_int_equal(slm_gguf_writer_tensor(w, str("t"), 0, 2, zero, &e), SLM_ERR_LIMIT);
    assert_int_equal(slm_gguf_writer_tensor(w, str("t"), 0, 2, huge, &e), SLM_ERR_LIMIT);
    assert_int_equal(slm_gguf_writer_tensor(w, str(""), 0, 1, four, &e), SLM_ERR_LIMIT);
    assert_int_equal(slm_gguf_writer_tensor(w, str(name), 0, 1, four, &e), SLM_ERR_LIMIT);
    assert_non_null(strstr(e.message, "has 65 bytes, wanted 1 to 64"));
    assert_int_equal(slm_gguf_writer_u32(w, "", 1, &e), SLM_ERR_LIMIT);
    assert_int_equal(slm_gguf_writer_tensor(w, str("t"), 0, 1, four, &e), SLM_OK);
    assert_int_equal(slm_gguf_writer_tensor(w, str("u"), 0, 1, four, &e), SLM_OK);
    assert_int_equal(slm_gguf_writer_data(w, data, 1, &e), SLM_ERR_ARG);
    assert_int_equal(slm_gguf_writer_finish(w, &e), SLM_ERR_ARG);
    assert_int_equal(slm_out_open(&host, path, &out, &e), SLM_OK);
    assert_int_equal(slm_gguf_writer_begin(w, out, &e), SLM_OK);
    assert_int_equal(slm_gguf_writer_begin(w, out, &e), SLM_ERR_ARG);
    assert_int_equal(slm_gguf_writer_u32(w, "late", 1, &e), SLM_ERR_ARG);
    assert_non_null(strstr(e.message, "'late' comes after the header"));
    assert_int_equal(slm_gguf_writer_tensor(w, str("late"), 0, 1, four, &e), SLM_ERR_ARG);
    assert_int_equal(slm_gguf_writer_data(w, data, 17, &e), SLM_ERR_ARG);
    assert_non_null(
        strstr(e.message, "17 bytes are given for tensor 0 of 2, which has room for 16"));
    assert_int_equal(slm_gguf_writer_data(w, data, 16, &e), SLM_OK);
    assert_int_equal(slm_gguf_writer_data(w, data, 15, &e), SLM_OK);
    assert_int_equal(slm_gguf_writer_finish(w, &e), SLM_ERR_ARG);
    assert_non_null(strstr(e.message, "the data of 1 of 2 tensors were written"));
    assert_int_equal(slm_gguf_writer_data(w, data, 1, &e), SLM_OK);
    assert_int_equal(slm_gguf_writer_data(w, data, 1, &e), SLM_ERR_ARG);
    assert_int_equal(slm_gguf_writer_data(w, data, 0, &e), SLM_OK);
    assert_int_equal(slm_gguf_writer_finish(w, &e), SLM_OK);
    slm_gguf_writer_close(w);
    slm_gguf_writer_close(NULL);
    slm_out_abandon(&out);
    assert_int_equal(temp_count(), 0);
}

static void test_names_twice(void **state) {
    (void)state;
    const uint64_t ne[4] = {4, 1, 1, 1};
    for (int tensors = 0; tensors < 2; tensors++) {
        slm_error e = SLM_ERROR_INIT;
        slm_gguf_writer *w = NULL;
        slm_out *out = NULL;
        assert_int_equal(slm_gguf_writer_open(&host, &w, &e), SLM_OK);
        for (int i = 0; i < 2; i++) {
            slm_status status = tensors ? slm_gguf_writer_tensor(w, str("same"), 0, 1, ne, &e)
                                        : slm_gguf_writer_u32(w, "same", 1, &e);
            assert_int_equal(status, SLM_OK);
        }
        assert_int_equal(slm_out_open(&host, path, &out, &e), SLM_OK);
        assert_int_equal(slm_gguf_writer_begin(w, out, &e), SLM_ERR_DUP);
        assert_string_equal(e.message,
                            tensors ? "tensor 'same' is given twice" : "key 'same' is given twice");
        slm_gguf_writer_close(w);
        slm_out_abandon(&out);
    }
}

/* A writer needs several times what its first buffers hold, and each allocation may fail. */
static slm_status write_much(slm_host *h, slm_error *e) {
    slm_gguf_writer *w = NULL;
    slm_out *out = NULL;
    const uint64_t ne[4] = {4, 1, 1, 1};
    slm_status status = slm_gguf_writer_open(h, &w, e);
    for (int i = 0; i < 100 && status == SLM_OK; i++) {
        char name[40];
        snprintf(name, sizeof name, "a.key.or.tensor.%d", i);
        status = slm_gguf_writer_str(w, name, str("a value of some length"), e);
        if (status == SLM_OK)
            status = slm_gguf_writer_tensor(w, str(name), 0, 1, ne, e);
    }
    if (status == SLM_OK)
        status = slm_out_open(h, path, &out, e);
    if (status == SLM_OK)
        status = slm_gguf_writer_begin(w, out, e);
    for (int i = 0; i < 100 && status == SLM_OK; i++)
        status = slm_gguf_writer_data(w, ne, 16, e);
    if (status == SLM_OK)
        status = slm_gguf_writer_finish(w, e);
    slm_gguf_writer_close(w);
    if (status == SLM_OK)
        return slm_out_commit(&out, e);
    slm_out_abandon(&out);
    return status;
}

static void test_failing_allocations(void **state) {
    (void)state;
    fail_alloc fa = FAIL_ALLOC_INIT;
    for (fa.fail_at = 1;; fa.fail_at++) {
        slm_allocator a = fail_alloc_start(&fa);
        slm_error e = SLM_ERROR_INIT;
        slm_host h;
        slm_host_init(&h, &a, NULL, NULL, SLM_LOG_NONE);
        slm_status status = write_much(&h, &e);
        assert_int_equal(fa.outstanding, 0);
        if (fa.calls < fa.fail_at) {
            assert_int_equal(status, SLM_OK);
            break;
        }
        assert_int_equal(status, SLM_ERR_NOMEM);
        assert_int_equal(temp_count(), 0);
    }
    assert_true(fa.fail_at > 15);
    slm_gguf *g = NULL;
    assert_int_equal(reopen(&g), SLM_OK);
    assert_true(slm_gguf_n_kv(g) == 100 && slm_gguf_n_tensors(g) == 100);
    slm_gguf_close(g);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, start, no_leak)
    const struct CMUnitTest tests[] = {
        TEST(test_copy_is_the_same), TEST(test_values),      TEST(test_copy_leaves_layout_out),
        TEST(test_misuse),           TEST(test_names_twice), TEST(test_failing_allocations),
    };
    return cmocka_run_group_tests_name("gguf_write", tests, NULL, NULL);
}
