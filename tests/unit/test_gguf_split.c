/* Models in several files. */
#define _XOPEN_SOURCE 700
#include "gguf_expect.h"

#include "support/fail_alloc.h"
#include "support/temp_folder.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static slm_host host;

static int start(void **state) {
    (void)state;
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    temp_clear();
    return 0;
}

static int no_leak(void **state) {
    (void)state;
    return host.bytes != 0;
}

/* Part no (from 0) of count, of a model of n_tensors, without tensors yet. */
static gb *part_of(uint16_t no, uint16_t count, int32_t n_tensors) {
    gb *b = gb_begin();
    if (no == 0)
        gb_kv_str(b, "general.architecture", "llama");
    gb_kv_u16(b, "split.no", no);
    gb_kv_u16(b, "split.count", count);
    gb_kv_i32(b, "split.tensors.count", n_tensors);
    return b;
}

static void tensor(gb *b, const char *name, uint64_t seed) {
    gb_tensor_random(b, name, 1, (uint64_t[]){40}, 1, seed);
}

/* Writes a part under the name that says no (from 0) and count. */
static void store(gb *b, unsigned no, unsigned count) {
    char name[40];
    snprintf(name, sizeof name, "m-%05u-of-%05u.gguf", no + 1, count);
    assert_true(gb_write(b, temp_path(name)));
    gb_free(b);
}

/* Three parts with 0, 2 and 1 tensors, the second of another alignment. */
static void store_good(void) {
    store(part_of(0, 3, 3), 0, 3);
    gb *b = part_of(1, 3, 3);
    gb_kv_u32(b, "general.alignment", 64);
    gb_set_alignment(b, 64);
    tensor(b, "a", 1);
    tensor(b, "b", 2);
    store(b, 1, 3);
    b = part_of(2, 3, 3);
    tensor(b, "c", 3);
    store(b, 2, 3);
}

static void refused(const char *name, slm_status status, const char *const *parts) {
    slm_error e = SLM_ERROR_INIT;
    slm_gguf *g = (slm_gguf *)&e;
    slm_status got = slm_gguf_open(&host, temp_path(name), SLM_LOAD_AUTO, 0, NULL, NULL, &g, &e);
    if (got != status)
        print_message("%s: %s\n", slm_status_name(got), e.message);
    assert_int_equal(got, status);
    assert_int_equal(e.status, status);
    if (message_flaw(&e))
        fail_msg("%s: %s", message_flaw(&e), e.message);
    assert_null(g);
    assert_true(host.bytes == 0);
    for (; *parts; parts++) {
        if (!strstr(e.message, *parts))
            print_message("message: %s\nlacks: %s\n", e.message, *parts);
        assert_non_null(strstr(e.message, *parts));
    }
    assert_null(strstr(e.message, temp_folder()));
}
#define FIRST                      "m-00001-of-00003.gguf"
#define REFUSED(name, status, ...) refused(name, status, (const char *const[]){__VA_ARGS__, NULL})

static void test_opens(void **state) {
    (void)state;
    store_good();
    for (slm_load load = SLM_LOAD_AUTO; load <= SLM_LOAD_READ; load++) {
        slm_gguf *g = NULL;
        slm_error e = SLM_ERROR_INIT;
        assert_int_equal(
            slm_gguf_open(&host, temp_path(FIRST), load, SLM_GGUF_STRICT, NULL, NULL, &g, &e),
            SLM_OK);
        assert_int_equal(slm_gguf_n_parts(g), 3);
        assert_true(slm_gguf_n_tensors(g) == 3);
        assert_true(slm_gguf_n_kv(g) == 4);
        static const char *const names[] = {"a", "b", "c"};
        static const uint32_t parts[] = {1, 1, 2};
        uint64_t bytes = 0;
        for (uint32_t i = 0; i < 3; i++) {
            const slm_gguf_tensor *t = slm_gguf_find_tensor(g, names[i]);
            const slm_file *f = slm_gguf_part(g, i);
            assert_non_null(t);
            assert_int_equal(t->part, parts[i]);
            assert_ptr_equal(t->data, slm_gguf_part(g, t->part)->data + t->offset);
            assert_int_equal(t->offset % (t->part == 1 ? 64 : 32), 0);
            bytes += f->size;
            assert_int_equal(slm_file_check(f, &e), SLM_OK);
        }
        assert_true(slm_gguf_file_bytes(g) == bytes);
        /* The data are those that were written, each to its tensor. */
        size_t size;
        gb *b = gb_begin();
        tensor(b, "c", 3);
        const uint8_t *file = gb_finish(b, &size);
        assert_memory_equal(slm_gguf_find_tensor(g, "c")->data, file + size - 160, 160);
        gb_free(b);
        if (load != SLM_LOAD_READ)
            assert_true(slm_gguf_heap_bytes(g) == host.bytes);
        slm_gguf_close(g);
        assert_true(host.bytes == 0);
    }
}

static void test_relative_path(void **state) {
    (void)state;
    char before[700];
    slm_gguf *g = NULL;
    store_good();
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(temp_folder()), 0);
    assert_int_equal(slm_gguf_open(&host, FIRST, 0, 0, NULL, NULL, &g, NULL), SLM_OK);
    slm_gguf_close(g);
    assert_int_equal(chdir(before), 0);
}

/* A count of 0 or 1 is no split at all, whatever the name. */
static void test_count_of_one(void **state) {
    (void)state;
    for (uint16_t count = 0; count < 2; count++) {
        gb *b = part_of(0, count, 1);
        tensor(b, "a", 1);
        assert_true(gb_write(b, temp_path("whole.gguf")));
        gb_free(b);
        slm_gguf *g = NULL;
        assert_int_equal(slm_gguf_open(&host, temp_path("whole.gguf"), 0, 0, NULL, NULL, &g, NULL),
                         SLM_OK);
        assert_int_equal(slm_gguf_n_parts(g), 1);
        slm_gguf_close(g);
    }
}

static void test_only_by_path(void **state) {
    (void)state;
    slm_error e = SLM_ERROR_INIT;
    slm_host h;
    slm_gguf *g;
    size_t size;
    gb *b = part_of(0, 3, 3);
    const uint8_t *bytes = gb_finish(b, &size);
    gguf_result r = gguf_try(bytes, size, 0, &h, &g);
    e = r.error;
    assert_int_equal(r.status, SLM_ERR_UNSUP);
    assert_null(g);
    assert_non_null(strstr(e.message, "one of 3 parts"));
    assert_true(h.bytes == 0);
    gb_free(b);
}

static void test_part_missing(void **state) {
    (void)state;
    store_good();
    unlink(temp_path("m-00002-of-00003.gguf"));
    REFUSED(FIRST, SLM_ERR_MISSING, "part 2 of 3 is missing: m-00002-of-00003.gguf");
    store_good();
    unlink(temp_path("m-00003-of-00003.gguf"));
    REFUSED(FIRST, SLM_ERR_MISSING, "part 3 of 3 is missing: m-00003-of-00003.gguf");
    assert_int_equal(mkdir(temp_path("m-00003-of-00003.gguf"), 0700), 0);
    REFUSED(FIRST, SLM_ERR_IO, "m-00003-of-00003.gguf is a folder");
}

static void test_count_and_name_differ(void **state) {
    (void)state;
    store_good();
    store(part_of(0, 4, 3), 0, 3);
    REFUSED(FIRST, SLM_ERR_FORMAT, FIRST, "first of 4 parts", "-00001-of-00004.gguf");
    store_good();
    store(part_of(1, 4, 3), 1, 3);
    REFUSED(FIRST, SLM_ERR_FORMAT, "m-00002-of-00003.gguf: split.count is 4, wanted 3");
    assert_int_equal(rename(temp_path(FIRST), temp_path("renamed.gguf")), 0);
    REFUSED("renamed.gguf", SLM_ERR_FORMAT, "renamed.gguf says it is the first of 3 parts",
            "-00001-of-00003.gguf");
    store(part_of(0, 3, 3), 0, 3);
    assert_int_equal(rename(temp_path(FIRST), temp_path("x.gguf")), 0);
    REFUSED("x.gguf", SLM_ERR_FORMAT, "x.gguf says");
}

static void test_numbers(void **state) {
    (void)state;
    store_good();
    REFUSED("m-00002-of-00003.gguf", SLM_ERR_FORMAT, "is part 2 of 3: open the first part");
    store(part_of(1, 3, 3), 2, 3); /* repeated */
    REFUSED(FIRST, SLM_ERR_FORMAT, "m-00003-of-00003.gguf: split.no is 1, wanted 2");
    store(part_of(7, 3, 3), 1, 3); /* past the count */
    REFUSED(FIRST, SLM_ERR_FORMAT, "m-00002-of-00003.gguf: split.no is 7, wanted 1");
    store(part_of(3, 3, 3), 0, 3);
    REFUSED(FIRST, SLM_ERR_FORMAT, "is part 4 of 3");
}

static void test_split_keys(void **state) {
    (void)state;
    gb *b = gb_begin();
    gb_kv_u16(b, "split.count", 3);
    store(b, 0, 3);
    REFUSED(FIRST, SLM_ERR_MISSING, "key 'split.no' is missing");
    b = gb_begin();
    gb_kv_u16(b, "split.count", 3);
    gb_kv_u16(b, "split.no", 0);
    store(b, 0, 3);
    REFUSED(FIRST, SLM_ERR_MISSING, "key 'split.tensors.count' is missing");
    b = gb_begin();
    gb_kv_str(b, "split.count", "3");
    store(b, 0, 3);
    REFUSED(FIRST, SLM_ERR_TYPE, "key 'split.count' is of type string, wanted an integer");
    store(part_of(0, 257, 3), 0, 3);
    REFUSED(FIRST, SLM_ERR_RANGE, "key 'split.count' is 257, wanted 2 to 256");
    store(part_of(0, 3, -1), 0, 3);
    REFUSED(FIRST, SLM_ERR_RANGE, "key 'split.tensors.count' is -1");
    store(part_of(0, 3, 65537), 0, 3);
    REFUSED(FIRST, SLM_ERR_LIMIT, "split.tensors.count is 65537, at most 65536");
    store_good();
    b = gb_begin();
    tensor(b, "a", 1);
    store(b, 1, 3);
    REFUSED(FIRST, SLM_ERR_MISSING, "m-00002-of-00003.gguf: key 'split.no' is missing");
}

static void test_number_of_tensors(void **state) {
    (void)state;
    for (int32_t n = 0; n < 6; n++) {
        if (n == 3)
            continue;
        store(part_of(0, 2, n), 0, 2);
        gb *b = part_of(1, 2, n);
        tensor(b, "a", 1);
        tensor(b, "b", 2);
        tensor(b, "c", 3);
        store(b, 1, 2);
        char text[60];
        snprintf(text, sizeof text, "3 tensors, split.tensors.count is %d", n);
        REFUSED("m-00001-of-00002.gguf", SLM_ERR_SHAPE, text);
    }
    gb *b = part_of(0, 2, 1);
    tensor(b, "a", 1);
    tensor(b, "b", 2);
    store(b, 0, 2);
    REFUSED("m-00001-of-00002.gguf", SLM_ERR_SHAPE, "the first part has 2 tensors", "count is 1");
}

static void test_mixed_models(void **state) {
    (void)state;
    store_good();
    gb *b = part_of(2, 3, 4);
    tensor(b, "c", 3);
    store(b, 2, 3);
    REFUSED(FIRST, SLM_ERR_CHANGED, "m-00003-of-00003.gguf: split.tensors.count is 4",
            "the first part says 3");
    b = part_of(2, 3, 3);
    gb_kv_str(b, "general.architecture", "qwen2");
    tensor(b, "c", 3);
    store(b, 2, 3);
    REFUSED(FIRST, SLM_ERR_CHANGED, "m-00003-of-00003.gguf", "key 'general.architecture' differs");
    b = part_of(2, 3, 3);
    tensor(b, "a", 3);
    store(b, 2, 3);
    REFUSED(FIRST, SLM_ERR_CHANGED,
            "tensor 'a' is in m-00002-of-00003.gguf and in m-00003-of-00003.gguf");
    /* The same key with the same value does no harm. */
    b = part_of(2, 3, 3);
    gb_kv_str(b, "general.architecture", "llama");
    tensor(b, "c", 3);
    store(b, 2, 3);
    slm_gguf *g = NULL;
    assert_int_equal(slm_gguf_open(&host, temp_path(FIRST), 0, 0, NULL, NULL, &g, NULL), SLM_OK);
    slm_gguf_close(g);
}

static void test_part_is_broken(void **state) {
    (void)state;
    store_good();
    temp_write(temp_path("m-00003-of-00003.gguf"), "GGUF\3", 5);
    REFUSED(FIRST, SLM_ERR_TRUNC, "m-00003-of-00003.gguf: header: the file ends inside");
    temp_write(temp_path("m-00002-of-00003.gguf"), "<html>", 6);
    REFUSED(FIRST, SLM_ERR_FORMAT, "m-00002-of-00003.gguf", "HTML");
}

/* A name from inside a file is never part of a path; siblings come from the path given. */
static void test_names_stay_in_the_folder(void **state) {
    (void)state;
    store_good();
    gb *b = part_of(0, 3, 3);
    gb_kv_str(b, "split.prefix", "../../etc/passwd");
    gb_kv_str(b, "split.files", "/etc/passwd");
    store(b, 0, 3);
    slm_gguf *g = NULL;
    assert_int_equal(slm_gguf_open(&host, temp_path(FIRST), 0, 0, NULL, NULL, &g, NULL), SLM_OK);
    for (uint32_t i = 0; i < 3; i++) {
        char want[40];
        snprintf(want, sizeof want, "m-%05u-of-00003.gguf", i + 1);
        assert_string_equal(slm_gguf_part(g, i)->name, want);
    }
    slm_gguf_close(g);
}

static void test_failing_allocations(void **state) {
    (void)state;
    store_good();
    for (int for_good = 0; for_good < 2; for_good++) {
        fail_alloc fa = FAIL_ALLOC_INIT;
        fa.for_good = for_good;
        for (fa.fail_at = 1;; fa.fail_at++) {
            slm_allocator a = fail_alloc_start(&fa);
            slm_error e = SLM_ERROR_INIT;
            slm_host h;
            slm_gguf *g = NULL;
            slm_host_init(&h, &a, NULL, NULL, SLM_LOG_NONE);
            slm_status status = slm_gguf_open(&h, temp_path(FIRST), 0, 0, NULL, NULL, &g, &e);
            if (fa.calls < fa.fail_at) {
                assert_int_equal(status, SLM_OK);
                slm_gguf_close(g);
                assert_int_equal(fa.outstanding, 0);
                break;
            }
            assert_int_equal(status, SLM_ERR_NOMEM);
            assert_null(g);
            assert_int_equal(fa.outstanding, 0);
        }
        assert_true(fa.fail_at > 24);
    }
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, start, no_leak)
    const struct CMUnitTest tests[] = {
        TEST(test_opens),
        TEST(test_relative_path),
        TEST(test_count_of_one),
        TEST(test_only_by_path),
        TEST(test_part_missing),
        TEST(test_count_and_name_differ),
        TEST(test_numbers),
        TEST(test_split_keys),
        TEST(test_number_of_tensors),
        TEST(test_mixed_models),
        TEST(test_part_is_broken),
        TEST(test_names_stay_in_the_folder),
        TEST(test_failing_allocations),
    };
    return cmocka_run_group_tests_name("gguf_split", tests, NULL, NULL);
}
