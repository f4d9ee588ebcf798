/* Damage without aim: every prefix, changed bytes, failing allocations. */
#include "gguf_expect.h"

#include "base/rng.h"
#include "support/fail_alloc.h"
#include "support/temp_folder.h"

#include <stdlib.h>

/* Uses everything that an open file offers, so that a sanitizer sees whatever is wrong with it.
 * Returns a number made of all of it. */
static uint64_t walk(const slm_gguf *g) {
    uint64_t sum = slm_gguf_heap_bytes(g) + slm_gguf_file_bytes(g) + slm_gguf_alignment(g);
    for (uint64_t i = 0; i < slm_gguf_n_kv(g); i++) {
        const slm_gguf_kv *kv = slm_gguf_kv_at(g, i);
        char text[64];
        size_t len = 0;
        if (slm_gguf_kv_text(kv, text, sizeof text, &len, NULL) == SLM_OK && len > 0)
            sum += (uint8_t)text[len - 1];
        for (uint64_t k = 0; k < kv->bytes; k++)
            sum += kv->data[k];
        for (size_t k = 0; k < kv->key.len; k++)
            sum += (uint8_t)kv->key.ptr[k];
    }
    for (uint64_t i = 0; i < slm_gguf_n_tensors(g); i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(g, i);
        for (size_t k = 0; k < t->name.len; k++)
            sum += (uint8_t)t->name.ptr[k];
        for (uint64_t k = 0; t->data && k < t->bytes; k++)
            sum += t->data[k];
    }
    return sum;
}

/* Cut anywhere, a file is too short and nothing else. */
static void test_all_prefixes(void **state) {
    (void)state;
    gb *b = gb_sample();
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    for (size_t n = 0; n < size; n++) {
        slm_host host;
        slm_gguf *g;
        gguf_result r = gguf_try(bytes, n, SLM_GGUF_STRICT, &host, &g);
        if (r.status != SLM_ERR_TRUNC)
            print_message("%zu of %zu: %s %s\n", n, size, slm_status_name(r.status),
                          r.error.message);
        assert_int_equal(r.status, SLM_ERR_TRUNC);
        assert_null(g);
        assert_true(host.bytes == 0);
        assert_true(r.error.offset <= size);
        assert_true(strlen(r.error.message) > 20);
    }
    gb_free(b);
}

static int is_outcome(slm_status s) {
    return s == SLM_OK || s == SLM_ERR_FORMAT || s == SLM_ERR_TRUNC || s == SLM_ERR_LIMIT ||
           s == SLM_ERR_TYPE || s == SLM_ERR_RANGE || s == SLM_ERR_SHAPE || s == SLM_ERR_DUP ||
           s == SLM_ERR_UNSUP;
}

static uint64_t open_and_walk(const uint8_t *bytes, size_t size, uint32_t flags,
                              slm_status *status) {
    slm_host host;
    slm_gguf *g = NULL;
    gguf_result r = gguf_try(bytes, size, flags, &host, &g);
    uint64_t sum = 0;
    *status = r.status;
    if (r.status == SLM_OK)
        sum = walk(g);
    else
        assert_true(g == NULL && !message_flaw(&r.error) && r.error.status == r.status);
    slm_gguf_close(g);
    assert_true(host.bytes == 0);
    return sum;
}

/* Each byte of the file becomes each other value. */
static void test_changed_bytes(void **state) {
    (void)state;
    gb *b = gb_sample();
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    uint8_t *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    uint64_t counts[50] = {0}, sum = 0;
    for (size_t at = 0; at < size; at++) {
        for (unsigned change = 1; change < 256; change++) {
            uint32_t flags = change & 1 ? SLM_GGUF_NO_TENSORS : 0;
            slm_status status;
            copy[at] = (uint8_t)(bytes[at] ^ change);
            sum += open_and_walk(copy, size, flags, &status);
            assert_true(is_outcome(status));
            counts[status]++;
        }
        copy[at] = bytes[at];
    }
    /* Some of each, or the changes did not reach where they should. */
    assert_true(counts[SLM_OK] > 10000 && sum > 0);
    static const slm_status all[] = {SLM_ERR_FORMAT, SLM_ERR_TRUNC, SLM_ERR_LIMIT, SLM_ERR_TYPE,
                                     SLM_ERR_RANGE,  SLM_ERR_SHAPE, SLM_ERR_DUP,   SLM_ERR_UNSUP};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        assert_true(counts[all[i]] > 0);
    free(copy);
    gb_free(b);
}

/* Several bytes at a time, drawn from values that break things. */
static void test_changed_stretches(void **state) {
    (void)state;
    static const uint8_t values[] = {0, 1, 4, 8, 9, 0x7f, 0x80, 0xff};
    gb *b = gb_sample();
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    uint8_t *copy = malloc(size);
    assert_non_null(copy);
    slm_rng rng;
    slm_rng_seed(&rng, 46);
    for (int i = 0; i < 20000; i++) {
        memcpy(copy, bytes, size);
        uint64_t random = slm_rng_next(&rng);
        size_t at = (size_t)((random >> 32) % size);
        size_t n = 1 + (random & 7);
        slm_status status;
        for (size_t k = at; k < at + n && k < size; k++)
            copy[k] = values[(random >> (8 + 3 * (k - at))) & 7];
        open_and_walk(copy, size, 0, &status);
        assert_true(is_outcome(status));
    }
    free(copy);
    gb_free(b);
}

/* Each allocation of opening fails, once and for good; then a retry works. */
static void test_failing_allocations(void **state) {
    (void)state;
    gb *b = gb_sample();
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    const char *path = temp_path("sample.gguf");
    assert_true(gb_write(b, path));
    for (int way = 0; way < 4; way++) {
        fail_alloc fa = FAIL_ALLOC_INIT;
        uint64_t n = 0;
        fa.for_good = way & 1;
        for (fa.fail_at = 1;; fa.fail_at++) {
            slm_allocator a = fail_alloc_start(&fa);
            slm_error e = SLM_ERROR_INIT;
            slm_host h;
            slm_gguf *g = NULL;
            slm_status status;
            slm_host_init(&h, &a, NULL, NULL, SLM_LOG_NONE);
            if (way & 2) {
                slm_file *f = NULL;
                status = slm_file_open_memory(&h, bytes, size, SLM_LOAD_MAP, &f, &e);
                if (status == SLM_OK)
                    status = slm_gguf_open_file(&h, f, 0, &g, &e);
            } else {
                status = slm_gguf_open(&h, path, SLM_LOAD_READ, 0, NULL, NULL, &g, &e);
            }
            n = fa.calls;
            if (n < fa.fail_at) {
                assert_int_equal(status, SLM_OK);
                assert_true(walk(g) > 0);
                slm_gguf_close(g);
                assert_true(fa.outstanding == 0 && h.bytes == 0);
                break;
            }
            assert_int_equal(status, SLM_ERR_NOMEM);
            assert_null(g);
            assert_non_null(strstr(e.message, "bytes wanted"));
            assert_true(fa.outstanding == 0 && h.bytes == 0);
        }
        assert_true(n >= 7);
    }
    gb_free(b);
}

/* The same by a limit on bytes, at every amount up to what is needed. */
static void test_memory_limit(void **state) {
    (void)state;
    gb *b = gb_sample();
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    slm_status status = SLM_ERR_NOMEM;
    uint64_t limit = 0;
    while (status != SLM_OK) {
        slm_host h;
        slm_file *f = NULL;
        slm_gguf *g = NULL;
        slm_host_init(&h, NULL, NULL, NULL, SLM_LOG_NONE);
        h.limit = limit += 16;
        assert_true(limit < 100000);
        status = slm_file_open_memory(&h, bytes, size, SLM_LOAD_MAP, &f, NULL);
        if (status == SLM_OK)
            status = slm_gguf_open_file(&h, f, 0, &g, NULL);
        assert_true(status == SLM_OK || status == SLM_ERR_NOMEM);
        assert_true(h.bytes <= limit);
        slm_gguf_close(g);
        assert_true(h.bytes == 0);
    }
    assert_true(limit > 1000);
    gb_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_prefixes),  cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_changed_stretches), cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_memory_limit),
    };
    return cmocka_run_group_tests_name("gguf_fault", tests, NULL, NULL);
}
