/* Wrong GGUF files: what each is refused with, and where. */
#include "gguf_expect.h"

#include "base/rng.h"

#include <stdlib.h>

/* A file refused because of what the builder was told, without an offset worth asserting. */
static void bytes_refused(const void *bytes, size_t size, slm_status status, uint64_t offset,
                          const char *a, const char *b) {
    const char *const parts[] = {a, b, NULL};
    gguf_refused(bytes, size, 0, status, offset, parts);
}

/* Where the first key's value begins: header, key length, key, type. */
static uint64_t value_at(const char *key) {
    return 24 + 8 + strlen(key) + 4;
}

/* ---- header ---- */

static void test_shorter_than_the_magic(void **state) {
    (void)state;
    for (size_t size = 0; size < 4; size++) {
        char left[40];
        snprintf(left, sizeof left, "4 bytes wanted, %zu left", size);
        bytes_refused("GGU", size, SLM_ERR_TRUNC, 0, "inside the magic", left);
    }
}

static void test_only_the_magic(void **state) {
    (void)state;
    bytes_refused("GGUF", 4, SLM_ERR_TRUNC, 4, "inside the version", "4 bytes wanted, 0 left");
}

static void test_wrong_magic(void **state) {
    (void)state;
    bytes_refused("gguf\3\0\0\0", 8, SLM_ERR_FORMAT, 0, "67 67 75 66, wanted 47 47 55 46",
                  "small letters");
    bytes_refused("FUGG\3\0\0\0", 8, SLM_ERR_FORMAT, 0, "46 55 47 47", "reversed");
    bytes_refused("GGUG\3\0\0\0", 8, SLM_ERR_FORMAT, 0, "47 47 55 47", "(GGUF) (at byte 0)");
}

static void test_other_files(void **state) {
    (void)state;
    static const char lfs[] = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\n";
    static const char html[] = "<!DOCTYPE html><html><body>Not found</body></html>";
    static const char safetensors[] = "\x40\0\0\0\0\0\0\0{\"__metadata__\":{}}";
    bytes_refused(lfs, sizeof lfs - 1, SLM_ERR_FORMAT, 0, "76 65 72 73", "Git LFS pointer");
    bytes_refused(html, sizeof html - 1, SLM_ERR_FORMAT, 0, "3c 21 44 4f", "HTML page");
    bytes_refused("<html>", 6, SLM_ERR_FORMAT, 0, "wanted", "HTML page");
    bytes_refused("PK\3\4....", 8, SLM_ERR_FORMAT, 0, "50 4b 03 04", "zip archive");
    bytes_refused(safetensors, sizeof safetensors - 1, SLM_ERR_FORMAT, 0, "40 00 00 00",
                  "safetensors file");
    for (char protocol = 2; protocol <= 5; protocol++) {
        char pickle[] = {(char)0x80, protocol, '}', 'q', 0};
        bytes_refused(pickle, sizeof pickle, SLM_ERR_FORMAT, 0, "80 0", "Python pickle");
    }
    bytes_refused("tjgg\1\0\0\0", 8, SLM_ERR_FORMAT, 0, "74 6a 67 67", "before GGUF");
    bytes_refused("\x1f\x8b\x08\0", 4, SLM_ERR_FORMAT, 0, "1f 8b", "gzip");
    bytes_refused("\0\0\0\0\0\0\0\0", 8, SLM_ERR_FORMAT, 0, "00 00 00 00", "unfinished");
    bytes_refused("%PDF-1.7", 8, SLM_ERR_FORMAT, 0, "25 50 44 46", "wanted 47 47 55 46 (GGUF)");
}

static void test_version(void **state) {
    (void)state;
    static const uint32_t bad[] = {0, 1, 4, UINT32_MAX};
    for (int i = 0; i < 4; i++) {
        char text[40];
        gb *b = gb_sample();
        gb_set_version(b, bad[i]);
        snprintf(text, sizeof text, "version %u is not read", bad[i]);
        GB_REFUSED(b, SLM_ERR_UNSUP, 4, text, "wanted 2 or 3");
    }
    for (uint32_t good = 2; good <= 3; good++) {
        gb *b = gb_sample();
        gb_set_version(b, good);
        gb_accepted(b, SLM_GGUF_STRICT, 0);
    }
}

static void test_big_endian(void **state) {
    (void)state;
    gb *b = gb_sample();
    gb_set_version(b, 0x03000000);
    GB_REFUSED(b, SLM_ERR_UNSUP, 4, "big-endian", "0x03000000");
    b = gb_sample();
    gb_set_version(b, 0x02000000);
    GB_REFUSED(b, SLM_ERR_UNSUP, 4, "big-endian");
}

/* A count beyond the table of limits is LIMIT. One that is merely more than the file has room for
 * cannot be told from a file cut short, so it is TRUNC; nothing is allocated for it either. */
static void test_number_of_tensors(void **state) {
    (void)state;
    static const uint64_t absurd[] = {UINT64_MAX, (uint64_t)1 << 63, 65537};
    for (int i = 0; i < 3; i++) {
        gb *b = gb_sample();
        gb_set_n_tensors(b, absurd[i]);
        GB_REFUSED(b, SLM_ERR_LIMIT, 8, "tensors are announced", "at most 65536 are allowed");
    }
    gb *b = gb_sample();
    size_t size;
    gb_finish(b, &size);
    gb_set_n_tensors(b, (size - 24) / 24 + 1);
    GB_REFUSED(b, SLM_ERR_TRUNC, 8, "tensors are announced", " left (at byte 8)");
}

static gb *many_tensors(uint64_t n) {
    gb *b = gb_begin();
    for (uint64_t i = 0; i < n; i++) {
        char name[24];
        snprintf(name, sizeof name, "t%llu", (unsigned long long)i);
        gb_tensor(b, name, SLM_DTYPE_F32, 1, (uint64_t[]){1}, NULL);
    }
    return b;
}

static void test_number_of_tensors_at_the_limit(void **state) {
    (void)state;
    gb_accepted(many_tensors(65535), SLM_GGUF_STRICT, 0);
    gb_accepted(many_tensors(65536), SLM_GGUF_STRICT, 0);
    GB_REFUSED(many_tensors(65537), SLM_ERR_LIMIT, 8, "65537 tensors are announced");
}

static void test_number_of_keys(void **state) {
    (void)state;
    gb *b = gb_sample();
    gb_set_n_kv(b, UINT64_MAX);
    GB_REFUSED(b, SLM_ERR_LIMIT, 16, "18446744073709551615 keys", "at most 65536 are allowed");
    b = gb_sample();
    gb_set_n_kv(b, 65536);
    GB_REFUSED(b, SLM_ERR_TRUNC, 16, "65536 keys are announced", "at least 852040 bytes");
}

static void test_nothing_in_it(void **state) {
    (void)state;
    gb_accepted(gb_begin(), SLM_GGUF_STRICT, 0);
}

static void test_header_cut(void **state) {
    (void)state;
    gb *b = gb_sample();
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    for (size_t n = 5; n < 24; n++) {
        uint64_t at = n < 8 ? 4 : n < 16 ? 8 : 16;
        const char *field = n < 8    ? "the version"
                            : n < 16 ? "the number of tensors"
                                     : "the number of keys";
        bytes_refused(bytes, n, SLM_ERR_TRUNC, at, "memory: header: the file ends inside", field);
    }
    gb_free(b);
}

static void test_bytes_after_the_last_tensor(void **state) {
    (void)state;
    gb *b = gb_sample();
    size_t size;
    gb_finish(b, &size);
    gb_add_tail(b, 1);
    size_t tailed;
    const uint8_t *bytes = gb_finish(b, &tailed);
    slm_host host;
    slm_gguf *g;
    gguf_result r = gguf_try(bytes, tailed, 0, &host, &g);
    char warning[80];
    snprintf(warning, sizeof warning, "memory: 1 bytes follow the last tensor at byte %zu", size);
    assert_int_equal(r.status, SLM_OK);
    assert_int_equal(r.warnings, 1);
    assert_string_equal(r.warning, warning);
    gguf_close(&host, g);
    gb_free(b);
    b = gb_sample();
    gb_add_tail(b, 1);
    gb_accepted(b, SLM_GGUF_STRICT | SLM_GGUF_NO_TENSORS, 0);
    b = gb_sample();
    gb_add_tail(b, 5);
    gb_refused_at(b, SLM_GGUF_STRICT, SLM_ERR_FORMAT, size,
                  (const char *const[]){"5 bytes follow the last tensor", "wanted none", NULL});
}

/* ---- keys and values ---- */

/* One key whose length is a lie, in a file of rest further bytes. */
static gb *key_length(uint64_t len, size_t rest) {
    gb *b = gb_begin();
    uint8_t bytes[8];
    uint8_t *zeros = calloc(1, rest + 1);
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(len >> (8 * i));
    gb_kv_raw(b, bytes, 8);
    gb_kv_raw(b, zeros, rest);
    gb_set_n_kv(b, 1);
    free(zeros);
    return b;
}

static void test_key_length(void **state) {
    (void)state;
    GB_REFUSED(key_length(UINT64_MAX, 50), SLM_ERR_LIMIT, 24, "key 0: the name has",
               "18446744073709551615 bytes", "at most 65535");
    GB_REFUSED(key_length(51, 50), SLM_ERR_TRUNC, 32, "inside the name",
               "51 bytes wanted, 50 left");
    GB_REFUSED(key_length(65536, 70000), SLM_ERR_LIMIT, 24, "65536 bytes", "at most 65535");
    gb *b = gb_begin();
    char *key = malloc(65536);
    memset(key, 'k', 65535);
    key[65535] = 0;
    gb_kv_u32(b, key, 1);
    free(key);
    gb_accepted(b, 0, 0);
}

static void key_refused(const char *key, size_t len, uint64_t offset, const char *part) {
    gb *b = gb_begin();
    uint8_t record[100] = {(uint8_t)len};
    memcpy(record + 8, key, len);
    record[8 + len] = 4;
    gb_kv_raw(b, record, 8 + len + 8);
    GB_REFUSED(b, SLM_ERR_FORMAT, offset, part);
}

static void test_key_text(void **state) {
    (void)state;
    key_refused("", 0, 24, "key 0: the name is empty");
    key_refused("a\0b", 3, 33, "key 'a\\x00b': the name holds a control character, byte 0x00");
    key_refused("ab\n", 3, 34, "key 'ab\\x0a': the name holds a control character, byte 0x0a");
    key_refused("\x7f", 1, 32, "control character, byte 0x7f");
    key_refused("\xc2\x80", 2, 32, "control character, byte 0xc2");
    key_refused("a\xff", 2, 33, "key 'a\\xff': the name holds bytes that are not UTF-8, byte 0xff");
    key_refused("\xe2\x82", 2, 32, "not UTF-8");
    gb *b = gb_begin();
    gb_kv_u32(b, "schl\xc3\xbcssel", 1);
    gb_accepted(b, 0, 0);
}

static void test_key_twice(void **state) {
    (void)state;
    gb *b = gb_begin();
    gb_kv_u32(b, "a.key", 1);
    gb_kv_u32(b, "b.key", 1);
    gb_kv_u32(b, "a.key", 1);
    GB_REFUSED(b, SLM_ERR_DUP, 24 + 2 * 21, "key 'a.key': the key is there twice",
               "as u32 at byte 24 and as u32");
    b = gb_begin();
    gb_kv_u32(b, "a.key", 1);
    gb_kv_str(b, "a.key", "x");
    GB_REFUSED(b, SLM_ERR_DUP, 24 + 21, "as u32 at byte 24 and as string");
}

static void test_value_type(void **state) {
    (void)state;
    static const uint32_t bad[] = {13, 255, UINT32_MAX};
    for (int i = 0; i < 3; i++) {
        gb *b = gb_begin();
        char text[60];
        gb_kv_bytes(b, "some.key", bad[i], "\0\0\0\0\0\0\0\0", 8);
        snprintf(text, sizeof text, "value type %u is unknown, wanted 0 to 12", bad[i]);
        GB_REFUSED(b, SLM_ERR_TYPE, value_at("some.key") - 4, "key 'some.key'", text);
    }
}

/* The value of one key in little-endian words. */
static gb *words_of(uint32_t type, uint32_t item_type, uint64_t count, size_t rest) {
    gb *b = gb_begin();
    uint8_t *bytes = calloc(1, 12 + rest);
    size_t n = 0;
    if (type == SLM_GGUF_ARRAY) {
        for (int i = 0; i < 4; i++)
            bytes[n++] = (uint8_t)(item_type >> (8 * i));
    }
    for (int i = 0; i < 8; i++)
        bytes[n++] = (uint8_t)(count >> (8 * i));
    gb_kv_bytes(b, "k", type, bytes, n + rest);
    free(bytes);
    return b;
}

static void test_string_length(void **state) {
    (void)state;
    static const uint64_t bad[] = {UINT64_MAX, (uint64_t)1 << 63, 1};
    for (int i = 0; i < 3; i++) {
        char text[60];
        snprintf(text, sizeof text, "%llu bytes wanted, 0 left", (unsigned long long)bad[i]);
        GB_REFUSED(words_of(SLM_GGUF_STRING, 0, bad[i], 0), SLM_ERR_TRUNC, value_at("k") + 8,
                   "key 'k': the file ends inside the string", text);
    }
}

static void test_array_count(void **state) {
    (void)state;
    static const uint64_t bad[] = {UINT64_MAX, ((uint64_t)1 << 62) + 1, ((uint64_t)1 << 30) + 1};
    for (int i = 0; i < 3; i++) {
        GB_REFUSED(words_of(SLM_GGUF_ARRAY, SLM_GGUF_U32, bad[i], 8), SLM_ERR_LIMIT,
                   value_at("k") + 4, "key 'k': an array has", "at most 1073741824 are allowed");
        GB_REFUSED(words_of(SLM_GGUF_ARRAY, SLM_GGUF_STRING, bad[i], 8), SLM_ERR_LIMIT,
                   value_at("k") + 4, "an array has");
    }
    /* Allowed, but more than the file has: as with tensors. */
    GB_REFUSED(words_of(SLM_GGUF_ARRAY, SLM_GGUF_U32, 3, 8), SLM_ERR_TRUNC, value_at("k") + 12,
               "inside the array: 12 bytes wanted, 8 left");
    GB_REFUSED(words_of(SLM_GGUF_ARRAY, SLM_GGUF_U8, 1 << 30, 8), SLM_ERR_TRUNC, value_at("k") + 12,
               "1073741824 bytes wanted, 8 left");
    gb_accepted(words_of(SLM_GGUF_ARRAY, SLM_GGUF_U32, 2, 8), 0, 0);
    gb_accepted(words_of(SLM_GGUF_ARRAY, SLM_GGUF_U32, 0, 0), 0, 0);
}

static void test_array_of_arrays(void **state) {
    (void)state;
    GB_REFUSED(words_of(SLM_GGUF_ARRAY, SLM_GGUF_ARRAY, 1, 40), SLM_ERR_UNSUP, value_at("k"),
               "key 'k': arrays of arrays are not supported");
    /* Nested 100,000 times: the outermost is enough. */
    size_t depth = 100000;
    uint8_t *bytes = calloc(depth, 12);
    for (size_t i = 0; i < depth; i++) {
        bytes[12 * i] = SLM_GGUF_ARRAY;
        bytes[12 * i + 4] = 1;
    }
    gb *b = gb_begin();
    gb_kv_bytes(b, "k", SLM_GGUF_ARRAY, bytes, depth * 12);
    free(bytes);
    GB_REFUSED(b, SLM_ERR_UNSUP, value_at("k"), "arrays of arrays");
}

static void test_array_element_type(void **state) {
    (void)state;
    GB_REFUSED(words_of(SLM_GGUF_ARRAY, 13, 1, 8), SLM_ERR_TYPE, value_at("k"),
               "key 'k': element type 13 is unknown, wanted 0 to 12");
    GB_REFUSED(words_of(SLM_GGUF_ARRAY, UINT32_MAX, 1, 8), SLM_ERR_TYPE, value_at("k"),
               "element type 4294967295");
}

static void test_string_array_count(void **state) {
    (void)state;
    GB_REFUSED(words_of(SLM_GGUF_ARRAY, SLM_GGUF_STRING, 3, 16), SLM_ERR_TRUNC, value_at("k") + 12,
               "key 'k': the file ends inside the array: 24 bytes wanted, 16 left");
    gb_accepted(words_of(SLM_GGUF_ARRAY, SLM_GGUF_STRING, 2, 16), 0, 0);
    /* A string in the middle that is longer than the file. */
    gb *b = gb_begin();
    gb_kv_bytes(b, "k", SLM_GGUF_ARRAY,
                "\x08\0\0\0\x02\0\0\0\0\0\0\0"
                "\x7f\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                28);
    GB_REFUSED(b, SLM_ERR_TRUNC, value_at("k") + 20, "inside the string: 127 bytes wanted, 8 left");
}

static void test_bool(void **state) {
    (void)state;
    gb *b = gb_begin();
    gb_kv_bool(b, "flag", 2);
    GB_REFUSED(b, SLM_ERR_FORMAT, value_at("flag"), "key 'flag': a bool is 2, wanted 0 or 1");
    b = gb_begin();
    gb_kv_bytes(b, "flags", SLM_GGUF_ARRAY, "\7\0\0\0\3\0\0\0\0\0\0\0\0\1\xff", 15);
    GB_REFUSED(b, SLM_ERR_FORMAT, value_at("flags") + 14, "key 'flags': a bool is 255");
    b = gb_begin();
    gb_kv_bool(b, "yes", 1);
    gb_kv_bool(b, "no", 0);
    gb_accepted(b, 0, 0);
}

static void test_alignment_value(void **state) {
    (void)state;
    static const uint32_t bad[] = {0, 1, 2, 3, 4, 13, 24, 1u << 31, (1u << 20) + 8, 1u << 21};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        gb *b = gb_begin();
        char text[80];
        gb_kv_u32(b, "general.alignment", bad[i]);
        snprintf(text, sizeof text, "the value is %u, wanted a power of two from 8 to 1048576",
                 bad[i]);
        GB_REFUSED(b, SLM_ERR_RANGE, 24, "key 'general.alignment'", text);
    }
    for (uint32_t good = 8; good <= 1u << 20; good *= 2) {
        gb *b = gb_begin();
        gb_kv_u32(b, "general.alignment", good);
        gb_set_alignment(b, good);
        gb_tensor(b, "a", SLM_DTYPE_F32, 1, (uint64_t[]){3}, NULL);
        gb_tensor(b, "b", SLM_DTYPE_F32, 1, (uint64_t[]){3}, NULL);
        gb_accepted(b, SLM_GGUF_STRICT, 0);
    }
}

static void test_alignment_type(void **state) {
    (void)state;
    gb *b = gb_begin();
    gb_kv_i32(b, "general.alignment", 32);
    GB_REFUSED(b, SLM_ERR_TYPE, 24, "key 'general.alignment'", "of type i32, wanted u32");
    b = gb_begin();
    gb_kv_str(b, "general.alignment", "32");
    GB_REFUSED(b, SLM_ERR_TYPE, 24, "of type string, wanted u32");
    b = gb_begin();
    gb_kv_arr_u32(b, "general.alignment", (uint32_t[]){32}, 1);
    GB_REFUSED(b, SLM_ERR_TYPE, 24, "of type array, wanted u32");
    b = gb_begin();
    gb_kv_u64(b, "general.alignment", 32);
    GB_REFUSED(b, SLM_ERR_TYPE, 24, "of type u64, wanted u32");
}

static gb *many_keys(uint32_t n) {
    gb *b = gb_begin();
    for (uint32_t i = 0; i < n; i++) {
        char key[16];
        snprintf(key, sizeof key, "%x", i);
        gb_kv_u8(b, key, 0);
    }
    return b;
}

static void test_many_keys(void **state) {
    (void)state;
    uint64_t start = slm_now_ns();
    gb_accepted(many_keys(65536), SLM_GGUF_STRICT, 0);
    GB_REFUSED(many_keys(65537), SLM_ERR_LIMIT, 16, "65537 keys are announced");
    gb *b = many_keys(1000000);
    uint64_t built = slm_now_ns();
    GB_REFUSED(b, SLM_ERR_LIMIT, 16, "1000000 keys are announced");
    assert_true(slm_now_ns() - built < 1000000000u);
    assert_true(slm_now_ns() - start < 60000000000u);
}

/* ---- tensors ---- */

/* One tensor record; its parts may be anything. */
static gb *tensor_of(const char *name, size_t len, uint32_t n_dims_written, uint32_t n_dims,
                     const uint64_t *ne, uint32_t type, size_t data) {
    gb *b = gb_begin();
    gb_tensor_raw(b, name, len, type, n_dims, ne, n_dims_written, data);
    return b;
}
#define DIMS(...)                                                                                  \
    (const uint64_t[]) {                                                                           \
        __VA_ARGS__                                                                                \
    }

static void test_tensor_name(void **state) {
    (void)state;
    char name[66];
    memset(name, 'n', sizeof name);
    GB_REFUSED(tensor_of("", 0, 1, 1, DIMS(1), 0, 4), SLM_ERR_FORMAT, 24,
               "tensor 0: the name is empty");
    GB_REFUSED(tensor_of(name, 65, 1, 1, DIMS(1), 0, 4), SLM_ERR_LIMIT, 24,
               "tensor 0: the name has 65 bytes, at most 64 are allowed");
    gb_accepted(tensor_of(name, 64, 1, 1, DIMS(1), 0, 4), 0, 0);
    GB_REFUSED(tensor_of("a\xff"
                         "b",
                         3, 1, 1, DIMS(1), 0, 4),
               SLM_ERR_FORMAT, 33, "tensor 'a\\xffb': the name holds bytes that are not UTF-8");
    gb *b = gb_begin();
    gb_tensor_bytes(b, "\xff\xff\xff\xff\xff\xff\xff\xff................", 24);
    GB_REFUSED(b, SLM_ERR_LIMIT, 24, "18446744073709551615 bytes, at most 64");
    b = gb_begin();
    gb_tensor_bytes(b, "\x11\0\0\0\0\0\0\0................", 24);
    GB_REFUSED(b, SLM_ERR_TRUNC, 32, "inside the name: 17 bytes wanted, 16 left");
}

static void test_tensor_twice(void **state) {
    (void)state;
    gb *b = gb_sample();
    gb_tensor(b, "y.weight", SLM_DTYPE_F32, 1, DIMS(2), NULL);
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    slm_host host;
    slm_gguf *g;
    gguf_result r = gguf_try(bytes, size, 0, &host, &g);
    assert_int_equal(r.status, SLM_ERR_DUP);
    assert_string_equal(r.error.subject, "y.weight");
    assert_non_null(strstr(r.error.message, "twice, as number 1 and as number 3"));
    assert_true(host.bytes == 0);
    gb_free(b);
}

static void test_number_of_dimensions(void **state) {
    (void)state;
    static const uint32_t bad[] = {0, 5, UINT32_MAX};
    for (int i = 0; i < 3; i++) {
        char text[60];
        snprintf(text, sizeof text, "the tensor has %u dimensions, wanted 1 to 4", bad[i]);
        GB_REFUSED(tensor_of("t", 1, bad[i], 1, DIMS(1), 0, 4), SLM_ERR_RANGE, 33, "tensor 't'",
                   text);
    }
    gb_accepted(tensor_of("t", 1, 4, 4, DIMS(1, 2, 3, 4), 0, 96), SLM_GGUF_STRICT, 0);
}

static void test_zero_dimension(void **state) {
    (void)state;
    GB_REFUSED(tensor_of("t", 1, 1, 1, DIMS(0), 0, 4), SLM_ERR_RANGE, 37,
               "tensor 't': dimension 0 is 0");
    for (uint32_t i = 0; i < 4; i++) {
        uint64_t ne[4] = {1, 1, 1, 1};
        char text[40];
        ne[i] = 0;
        snprintf(text, sizeof text, "dimension %u is 0, wanted 1 to", i);
        GB_REFUSED(tensor_of("t", 1, 4, 4, ne, 0, 4), SLM_ERR_RANGE, 37 + 8 * i, text);
    }
}

static void test_dimension_too_large(void **state) {
    (void)state;
    GB_REFUSED(tensor_of("t", 1, 1, 1, DIMS((uint64_t)1 << 63), 0, 4), SLM_ERR_RANGE, 37,
               "dimension 0 is 9223372036854775808");
    GB_REFUSED(tensor_of("t", 1, 2, 2, DIMS(1, UINT64_MAX), 0, 4), SLM_ERR_RANGE, 45,
               "dimension 1 is 18446744073709551615");
}

static void test_product_of_dimensions(void **state) {
    (void)state;
    const uint64_t two32 = (uint64_t)1 << 32;
    GB_REFUSED(tensor_of("t", 1, 2, 2, DIMS(2, INT64_MAX), 0, 4), SLM_ERR_LIMIT, 45,
               "dimension 1, 9223372036854775807, makes the tensor larger than");
    GB_REFUSED(tensor_of("t", 1, 4, 4, DIMS(INT64_MAX, 2, 1, 1), 0, 4), SLM_ERR_LIMIT, 37,
               "1099511627776 elements allowed");
    GB_REFUSED(tensor_of("t", 1, 2, 2, DIMS(two32, two32), 0, 4), SLM_ERR_LIMIT, 45, "dimension 1");
    GB_REFUSED(tensor_of("t", 1, 1, 1, DIMS(((uint64_t)1 << 42) + 1), 0, 4), SLM_ERR_LIMIT, 37,
               "dimension 0, 4398046511105");
    GB_REFUSED(tensor_of("t", 1, 4, 4, DIMS(two32, 1 << 8, 2, 1), 0, 4), SLM_ERR_LIMIT, 53,
               "dimension 2");
    /* At the limit: nothing wrong but that the file is shorter. */
    GB_REFUSED(tensor_of("t", 1, 2, 2, DIMS(two32, 1 << 8), 0, 4), SLM_ERR_TRUNC, 96,
               "the data, 4398046511104 bytes, end at byte");
}

static void test_bytes_wrap(void **state) {
    (void)state;
    const uint64_t n = (uint64_t)1 << 61;
    gb *b = tensor_of("t", 1, 1, 1, DIMS(n), 27, 4);
    GB_REFUSED(b, SLM_ERR_LIMIT, 37, "dimension 0, 2305843009213693952");
    GB_REFUSED(tensor_of("t", 1, 1, 1, DIMS(n * 2), 0, 4), SLM_ERR_LIMIT, 37, "makes the tensor");
}

static void test_sums_wrap(void **state) {
    (void)state;
    const uint64_t n = 0x7fffffffffffffc0u;
    gb *b = gb_begin();
    gb_tensor_raw(b, "a", 1, 24, 1, DIMS(n), 1, 0);
    gb_tensor_raw(b, "b", 1, 24, 1, DIMS(n), 1, 0);
    GB_REFUSED(b, SLM_ERR_LIMIT, 37, "tensor 'a': dimension 0, 9223372036854775744");
    /* As large as a tensor may be, as many as there may be: 2^58 bytes, which nothing wraps. */
    b = gb_begin();
    for (uint64_t i = 0; i < 64; i++) {
        char name[4];
        size_t len = (size_t)snprintf(name, sizeof name, "%u", (unsigned)i);
        size_t t = gb_tensor_raw(b, name, len, 0, 1, DIMS((uint64_t)1 << 40), 1, 0);
        gb_set_offset(b, t, i << 42);
    }
    size_t size;
    gb_add_tail(b, 32);
    gb_finish(b, &size);
    GB_REFUSED(b, SLM_ERR_TRUNC, size - 32,
               "tensor '0': the data, 4398046511104 bytes, end at byte");
    /* Only offsets come near 2^64: with what stands before the data, with the bytes of the tensor,
     * and with the padding up to the alignment. */
    static const uint32_t alignments[] = {8, 32, 1u << 20};
    for (int i = 0; i < 3; i++) {
        b = gb_begin();
        gb_kv_u32(b, "general.alignment", alignments[i]);
        gb_set_alignment(b, alignments[i]);
        size_t t = gb_tensor(b, "t", 0, 1, DIMS(2), NULL);
        gb_set_offset(b, t, UINT64_MAX - alignments[i] + 1);
        GB_REFUSED(b, SLM_ERR_TRUNC, i < 2 ? 96 : 1u << 20,
                   "tensor 't': the data lie beyond 2^64 bytes, the file has");
    }
}

static void test_type(void **state) {
    (void)state;
    static const struct {
        uint32_t type;
        const char *text;
    } bad[] = {{4, "Q4_2 (4) was removed"},         {5, "Q4_3 (5) was removed"},
               {31, "Q4_0_4_4 (31) was removed"},   {32, "Q4_0_4_8 (32) was removed"},
               {33, "Q4_0_8_8 (33) was removed"},   {37, "IQ4_NL_4_8 (37) was removed"},
               {38, "IQ4_NL_8_8 (38) was removed"}, {43, "type 43 is unknown"},
               {48, "type 48 is unknown"},          {UINT32_MAX, "type 4294967295 is unknown"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        GB_REFUSED(tensor_of("t", 1, 1, 1, DIMS(256), bad[i].type, 4), SLM_ERR_TYPE, 45,
                   "tensor 't': the type", bad[i].text);
}

/* Types that exist and that this library does not run: refused by name, except when only the
 * metadata are wanted. */
static void test_type_not_supported(void **state) {
    (void)state;
    static const uint32_t types[] = {9,  15, 16, 17, 18, 19, 21, 22, 24,
                                     25, 26, 27, 28, 29, 39, 40, 41, 42};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        const slm_dtype_info *info = slm_dtype_get(types[i]);
        char text[80];
        gb *b = gb_begin();
        snprintf(text, sizeof text, "the type %s (%u) is not supported by libslm", info->name,
                 types[i]);
        gb_tensor(b, "t", types[i], 1, DIMS(512), NULL);
        GB_REFUSED(b, SLM_ERR_UNSUP, 45, "tensor 't'", text);
        b = gb_begin();
        gb_tensor(b, "t", types[i], 1, DIMS(512), NULL);
        gb_accepted(b, SLM_GGUF_NO_TENSORS, 0);
    }
}

static void test_row_length(void **state) {
    (void)state;
    GB_REFUSED(tensor_of("t", 1, 1, 1, DIMS(33), SLM_DTYPE_Q8_0, 34), SLM_ERR_SHAPE, 45,
               "tensor 't': rows have 33 elements, wanted a multiple of 32 for Q8_0");
    GB_REFUSED(tensor_of("t", 1, 2, 2, DIMS(128, 2), SLM_DTYPE_Q4_K, 144), SLM_ERR_SHAPE, 53,
               "128 elements, wanted a multiple of 256 for Q4_K");
    GB_REFUSED(tensor_of("t", 1, 1, 1, DIMS(64), SLM_DTYPE_I2_S, 64), SLM_ERR_SHAPE, 45,
               "wanted a multiple of 128 for I2_S");
}

static void test_offset_alignment(void **state) {
    (void)state;
    static const uint64_t bad[] = {1, 8, 31, 33, UINT64_MAX};
    for (int i = 0; i < 5; i++) {
        gb *b = gb_begin();
        size_t t = gb_tensor(b, "t", 0, 1, DIMS(16), NULL);
        gb_set_offset(b, t, bad[i]);
        gb_add_tail(b, 64);
        GB_REFUSED(b, SLM_ERR_FORMAT, 49, "tensor 't': the offset is",
                   "wanted a multiple of the alignment, 32");
    }
}

static void test_data_beyond_the_end(void **state) {
    (void)state;
    gb *b = gb_begin();
    size_t t = gb_tensor(b, "t", 0, 1, DIMS(16), NULL);
    gb_set_offset(b, t, 64);
    GB_REFUSED(b, SLM_ERR_TRUNC, 128, "tensor 't': the data, 64 bytes, end at byte 192",
               "the file has 128");
    b = gb_begin();
    t = gb_tensor(b, "t", 0, 1, DIMS(16), NULL);
    gb_set_offset(b, t, (uint64_t)1 << 40);
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    slm_host host;
    slm_gguf *g;
    gguf_result r = gguf_try(bytes, size, 0, &host, &g);
    assert_int_equal(r.status, SLM_ERR_TRUNC);
    assert_true(r.error.offset == ((uint64_t)1 << 40) + 64);
    gb_set_offset(b, t, UINT64_MAX - 31);
    GB_REFUSED(b, SLM_ERR_TRUNC, 64, "the data lie beyond 2^64 bytes", "the file has 128");
    b = gb_begin();
    t = gb_tensor(b, "t", 0, 1, DIMS(16), NULL);
    gb_set_offset(b, t, UINT64_MAX - 31 - 64);
    GB_REFUSED(b, SLM_ERR_TRUNC, 64, "the data lie beyond 2^64 bytes");
}

static void test_overlap(void **state) {
    (void)state;
    gb *b = gb_begin();
    gb_tensor(b, "a", 0, 1, DIMS(16), NULL);
    size_t second = gb_tensor(b, "b", 0, 1, DIMS(16), NULL);
    gb_set_offset(b, second, 32);
    GB_REFUSED(b, SLM_ERR_FORMAT, 128, "tensor 'b': the data begin inside those of 'a'",
               "bytes 96 to 160");
    b = gb_begin();
    gb_tensor(b, "a", 0, 1, DIMS(16), NULL);
    second = gb_tensor(b, "b", 0, 1, DIMS(16), NULL);
    gb_set_offset(b, second, 0);
    GB_REFUSED(b, SLM_ERR_FORMAT, 96,
               "tensor 'a': the data begin inside those of 'b', bytes 96 to");
    /* A region that suits a smaller type: the next tensor begins too early. */
    b = gb_begin();
    gb_tensor_raw(b, "small", 5, SLM_DTYPE_Q8_0, 2, DIMS(256, 2), 2, 288);
    gb_tensor(b, "next", 0, 1, DIMS(256), NULL);
    GB_REFUSED(b, SLM_ERR_FORMAT, 416, "tensor 'next': the data begin inside those of 'small'");
    /* Also when the data need not be there. */
    b = gb_begin();
    gb_tensor(b, "a", 0, 1, DIMS(16), NULL);
    second = gb_tensor(b, "b", 0, 1, DIMS(16), NULL);
    gb_set_offset(b, second, 32);
    gb_refused_at(b, SLM_GGUF_NO_TENSORS, SLM_ERR_FORMAT, 128,
                  (const char *const[]){"the data begin inside", NULL});
}

static void test_any_order(void **state) {
    (void)state;
    enum { N = 500 };
    uint32_t order[N];
    slm_rng rng;
    slm_rng_seed(&rng, 59);
    for (uint32_t i = 0; i < N; i++)
        order[i] = i;
    for (uint32_t i = N - 1; i > 0; i--) {
        uint32_t k = (uint32_t)(slm_rng_next(&rng) % (i + 1));
        uint32_t held = order[i];
        order[i] = order[k];
        order[k] = held;
    }
    gb *b = gb_begin();
    for (uint32_t i = 0; i < N; i++) {
        char name[8];
        snprintf(name, sizeof name, "t%u", i);
        size_t t = gb_tensor(b, name, 0, 1, DIMS(8), NULL);
        gb_set_offset(b, t, 32 * (uint64_t)order[i]);
    }
    gb_accepted(b, SLM_GGUF_STRICT, 0);
    /* The same with one pair that meets: found wherever it stands in the order. */
    b = gb_begin();
    for (uint32_t i = 0; i < N; i++) {
        char name[8];
        snprintf(name, sizeof name, "t%u", i);
        size_t t = gb_tensor(b, name, 0, 1, DIMS(8), NULL);
        gb_set_offset(b, t, 32 * (uint64_t)(order[i] == 7 ? 400 : order[i]));
    }
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    slm_host host;
    slm_gguf *g;
    gguf_result r = gguf_try(bytes, size, 0, &host, &g);
    assert_int_equal(r.status, SLM_ERR_FORMAT);
    assert_null(g);
    gb_free(b);
}

static void test_end_cut(void **state) {
    (void)state;
    gb *b = gb_begin();
    gb_tensor(b, "a", 0, 1, DIMS(16), NULL);
    gb_tensor(b, "b", 0, 1, DIMS(2048), NULL);
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    static const size_t cuts[] = {1, 4095, 4096};
    for (int i = 0; i < 3; i++)
        bytes_refused(bytes, size - cuts[i], SLM_ERR_TRUNC, size - 8192,
                      "tensor 'b': the data, 8192 bytes, end at byte", "the file has");
    slm_host host;
    slm_gguf *g;
    gguf_result r = gguf_try(bytes, size - 4096, SLM_GGUF_NO_TENSORS, &host, &g);
    assert_int_equal(r.status, SLM_OK);
    assert_null(slm_gguf_tensor_at(g, 1)->data);
    gguf_close(&host, g);
    gb_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shorter_than_the_magic),
        cmocka_unit_test(test_only_the_magic),
        cmocka_unit_test(test_wrong_magic),
        cmocka_unit_test(test_other_files),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_big_endian),
        cmocka_unit_test(test_number_of_tensors),
        cmocka_unit_test(test_number_of_tensors_at_the_limit),
        cmocka_unit_test(test_number_of_keys),
        cmocka_unit_test(test_nothing_in_it),
        cmocka_unit_test(test_header_cut),
        cmocka_unit_test(test_bytes_after_the_last_tensor),
        cmocka_unit_test(test_key_length),
        cmocka_unit_test(test_key_text),
        cmocka_unit_test(test_key_twice),
        cmocka_unit_test(test_value_type),
        cmocka_unit_test(test_string_length),
        cmocka_unit_test(test_array_count),
        cmocka_unit_test(test_array_of_arrays),
        cmocka_unit_test(test_array_element_type),
        cmocka_unit_test(test_string_array_count),
        cmocka_unit_test(test_bool),
        cmocka_unit_test(test_alignment_value),
        cmocka_unit_test(test_alignment_type),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_tensor_name),
        cmocka_unit_test(test_tensor_twice),
        cmocka_unit_test(test_number_of_dimensions),
        cmocka_unit_test(test_zero_dimension),
        cmocka_unit_test(test_dimension_too_large),
        cmocka_unit_test(test_product_of_dimensions),
        cmocka_unit_test(test_bytes_wrap),
        cmocka_unit_test(test_sums_wrap),
        cmocka_unit_test(test_type),
        cmocka_unit_test(test_type_not_supported),
        cmocka_unit_test(test_row_length),
        cmocka_unit_test(test_offset_alignment),
        cmocka_unit_test(test_data_beyond_the_end),
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_end_cut),
    };
    return cmocka_run_group_tests_name("gguf_bad", tests, NULL, NULL);
}
