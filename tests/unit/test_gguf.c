/* Reading correct GGUF files: values, getters, texts, tensors, what opening costs. */
#define _XOPEN_SOURCE 700
#include "gguf_expect.h"

#include "base/rng.h"
#include "gguf/gguf_internal.h"
#include "support/fail_alloc.h"
#include "support/temp_folder.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

static slm_host host;
static gb *builder;
static slm_gguf *sample;

static int open_sample(void **state) {
    (void)state;
    size_t size;
    builder = gb_sample();
    const uint8_t *bytes = gb_finish(builder, &size);
    gguf_result r = gguf_try(bytes, size, SLM_GGUF_STRICT, &host, &sample);
    return r.status != SLM_OK || r.warnings != 0;
}

static int close_sample(void **state) {
    (void)state;
    slm_gguf_close(sample);
    gb_free(builder);
    return host.bytes != 0;
}

static void test_counts(void **state) {
    (void)state;
    assert_true(slm_gguf_n_kv(sample) == 16);
    assert_true(slm_gguf_n_tensors(sample) == 3);
    assert_int_equal(slm_gguf_version(sample), 3);
    assert_true(slm_gguf_alignment(sample) == 32);
    assert_int_equal(slm_gguf_n_parts(sample), 1);
    size_t size;
    gb_finish(builder, &size);
    assert_true(slm_gguf_file_bytes(sample) == size);
    assert_true(slm_gguf_part(sample, 0)->size == size);
    /* All that is held but the copy of the bytes. */
    assert_true(slm_gguf_heap_bytes(sample) == host.bytes - size - SLM_ALLOC_HEADER);
}

static void test_find(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 16; i++) {
        const slm_gguf_kv *kv = slm_gguf_kv_at(sample, i);
        char key[64];
        slm_escape(key, sizeof key, kv->key.ptr, kv->key.len);
        assert_ptr_equal(slm_gguf_find(sample, key), kv);
    }
    for (uint64_t i = 0; i < 3; i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(sample, i);
        char name[64];
        slm_escape(name, sizeof name, t->name.ptr, t->name.len);
        assert_ptr_equal(slm_gguf_find_tensor(sample, name), t);
    }
    static const char *const absent[] = {"", "t.u", "t.u88", "T.u8", "x.weight"};
    for (int i = 0; i < 5; i++)
        assert_null(slm_gguf_find(sample, absent[i]));
    assert_null(slm_gguf_find_tensor(sample, "t.u8"));
    assert_null(slm_gguf_find_tensor(sample, ""));
}

static void test_get_integers(void **state) {
    (void)state;
    static const struct {
        const char *key;
        uint64_t value;
    } have[] = {
        {"t.u8", 200}, {"t.u16", 60000}, {"t.u32", 4000000000u}, {"t.u64", 10000000000000000000u}};
    slm_error e = SLM_ERROR_INIT;
    uint64_t v = 0;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(slm_gguf_get_u64(sample, have[i].key, 1, 0, UINT64_MAX, &v, &e), SLM_OK);
        assert_true(v == have[i].value);
        assert_int_equal(slm_gguf_get_u64(sample, have[i].key, 1, v, v, &v, &e), SLM_OK);
        assert_int_equal(slm_gguf_get_u64(sample, have[i].key, 1, 0, v - 1, &v, &e), SLM_ERR_RANGE);
        assert_int_equal(slm_gguf_get_u64(sample, have[i].key, 1, v + 1, UINT64_MAX, &v, &e),
                         SLM_ERR_RANGE);
        assert_true(v == have[i].value);
        assert_string_equal(e.subject, have[i].key);
    }
    static const char *const negative[] = {"t.i8", "t.i16", "t.i32", "t.i64"};
    static const char *const texts[] = {"-100", "-30000", "-2000000000", "-9000000000000000000"};
    for (int i = 0; i < 4; i++) {
        v = 77;
        assert_int_equal(slm_gguf_get_u64(sample, negative[i], 0, 0, UINT64_MAX, &v, &e),
                         SLM_ERR_RANGE);
        assert_non_null(strstr(e.message, texts[i]));
        assert_true(v == 77);
    }
    uint32_t u = 5;
    assert_int_equal(slm_gguf_get_u32(sample, "t.u32", 1, 0, UINT32_MAX, &u, &e), SLM_OK);
    assert_true(u == 4000000000u);
    assert_int_equal(slm_gguf_get_u32(sample, "t.u64", 1, 0, UINT32_MAX, &u, &e), SLM_ERR_RANGE);
    assert_string_equal(e.message, "memory: key 't.u64' is 10000000000000000000, wanted 0 to "
                                   "4294967295");
    assert_true(u == 4000000000u);
}

/* The least of all integers too, and the next below it not. */
static void test_get_signed(void **state) {
    (void)state;
    static const int64_t values[] = {INT32_MIN, INT32_MAX, (int64_t)INT32_MIN - 1,
                                     (int64_t)INT32_MAX + 1, INT64_MIN};
    slm_error e = SLM_ERROR_INIT;
    slm_host own;
    slm_gguf *g;
    size_t size;
    gb *b = gb_begin();
    for (int i = 0; i < 5; i++)
        gb_kv_i64(b, (const char[2]){(char)('a' + i), 0}, values[i]);
    gb_kv_i32(b, "i32", INT32_MIN);
    const uint8_t *bytes = gb_finish(b, &size);
    assert_int_equal(gguf_try(bytes, size, SLM_GGUF_STRICT, &own, &g).status, SLM_OK);
    for (int i = 0; i < 5; i++) {
        int32_t v = 7;
        slm_status status = slm_gguf_get_i32(g, (const char[2]){(char)('a' + i), 0}, 1, INT32_MIN,
                                             INT32_MAX, &v, &e);
        assert_int_equal(status, i < 2 ? SLM_OK : SLM_ERR_RANGE);
        assert_true(v == (i < 2 ? values[i] : 7));
    }
    int32_t v = 7;
    assert_int_equal(slm_gguf_get_i32(g, "i32", 1, INT32_MIN, -1, &v, &e), SLM_OK);
    assert_true(v == INT32_MIN);
    assert_int_equal(slm_gguf_get_i32(g, "i32", 1, INT32_MIN + 1, 0, &v, &e), SLM_ERR_RANGE);
    slm_gguf_close(g);
    gb_free(b);
}

static void test_get_absent(void **state) {
    (void)state;
    slm_error e = SLM_ERROR_INIT;
    uint64_t a = 1;
    uint32_t b = 2;
    float c = 3;
    int d = 4;
    slm_str s = {"five", 4};
    const slm_gguf_kv *kv = slm_gguf_kv_at(sample, 0);
    for (int required = 0; required < 2; required++) {
        slm_status want = required ? SLM_ERR_MISSING : SLM_OK;
        assert_int_equal(slm_gguf_get_u64(sample, "no.u64", required, 0, 9, &a, &e), want);
        assert_int_equal(slm_gguf_get_u32(sample, "no.u32", required, 0, 9, &b, &e), want);
        assert_int_equal(slm_gguf_get_f32(sample, "no.f32", required, 0, 9, &c, &e), want);
        assert_int_equal(slm_gguf_get_bool(sample, "no.bool", required, &d, &e), want);
        assert_int_equal(slm_gguf_get_str(sample, "no.str", required, &s, &e), want);
        assert_int_equal(slm_gguf_get_array(sample, "no.arr", required, SLM_GGUF_U32, 1, &kv, &e),
                         want);
    }
    assert_true(a == 1 && b == 2 && c == 3 && d == 4 && s.len == 4);
    assert_null(kv);
    assert_string_equal(e.message, "memory: key 'no.arr' is missing");
}

static void expect_type(slm_status status, const slm_error *e, const char *part) {
    assert_int_equal(status, SLM_ERR_TYPE);
    if (!strstr(e->message, part))
        print_message("%s lacks %s\n", e->message, part);
    assert_non_null(strstr(e->message, part));
}

static void test_get_wrong_type(void **state) {
    (void)state;
    slm_error e = SLM_ERROR_INIT;
    uint64_t v = 0;
    float f = 0;
    int b = 0;
    slm_str s;
    const slm_gguf_kv *kv;
    static const char *const no_integers[] = {"t.f32", "t.f64", "t.bool", "general.architecture",
                                              "t.words"};
    static const char *const types[] = {"type f32, wanted an integer", "type f64", "type bool",
                                        "type string", "type array of string, wanted"};
    for (int i = 0; i < 5; i++)
        expect_type(slm_gguf_get_u64(sample, no_integers[i], 0, 0, 9, &v, &e), &e, types[i]);
    expect_type(slm_gguf_get_f32(sample, "t.u32", 0, 0, 9, &f, &e), &e, "u32, wanted f32 or f64");
    expect_type(slm_gguf_get_f32(sample, "t.floats", 0, 0, 9, &f, &e), &e, "array of f32");
    expect_type(slm_gguf_get_bool(sample, "t.u8", 0, &b, &e), &e, "u8, wanted bool");
    expect_type(slm_gguf_get_str(sample, "t.words", 0, &s, &e), &e, "wanted string");
    expect_type(slm_gguf_get_array(sample, "t.u32", 0, SLM_GGUF_U32, 1, &kv, &e), &e,
                "'t.u32' is of type u32, wanted array of u32");
    expect_type(slm_gguf_get_array(sample, "t.signs", 0, SLM_GGUF_U32, 3, &kv, &e), &e,
                "array of i32, wanted array of u32");
}

static void test_get_floats(void **state) {
    (void)state;
    slm_error e = SLM_ERROR_INIT;
    float f = 0;
    assert_int_equal(slm_gguf_get_f32(sample, "t.f32", 1, 0, 2, &f, &e), SLM_OK);
    assert_true(f == 1.5f);
    assert_int_equal(slm_gguf_get_f32(sample, "t.f32", 1, 1.5f, 1.5f, &f, &e), SLM_OK);
    assert_int_equal(slm_gguf_get_f32(sample, "t.f64", 1, 0, 2, &f, &e), SLM_OK);
    assert_true(f == 0.1f);
    f = 7;
    assert_int_equal(slm_gguf_get_f32(sample, "t.f32", 1, 2, 3.25f, &f, &e), SLM_ERR_RANGE);
    assert_string_equal(e.message, "memory: key 't.f32' is 1.5, wanted 2 to 3.25");
    assert_true(f == 7);

    static const double wild[] = {NAN, INFINITY, -INFINITY, 1e300};
    static const char *const texts[] = {"nan", "is inf", "is -inf", "is inf"};
    for (int i = 0; i < 4; i++) {
        for (int wide = 0; wide < 2; wide++) {
            slm_host h;
            slm_gguf *g;
            size_t size;
            gb *b = gb_begin();
            if (wide)
                gb_kv_f64(b, "f", wild[i]);
            else
                gb_kv_f32(b, "f", i == 3 ? INFINITY : (float)wild[i]);
            const uint8_t *bytes = gb_finish(b, &size);
            assert_int_equal(gguf_try(bytes, size, 0, &h, &g).status, SLM_OK);
            assert_int_equal(slm_gguf_get_f32(g, "f", 1, -INFINITY, INFINITY, &f, &e),
                             SLM_ERR_RANGE);
            assert_non_null(strstr(e.message, texts[i]));
            gguf_close(&h, g);
            gb_free(b);
        }
    }
}

static void test_get_others(void **state) {
    (void)state;
    slm_error e = SLM_ERROR_INIT;
    int b = -1;
    slm_str s;
    const slm_gguf_kv *kv;
    assert_int_equal(slm_gguf_get_bool(sample, "t.bool", 1, &b, &e), SLM_OK);
    assert_int_equal(b, 1);
    assert_int_equal(slm_gguf_get_str(sample, "general.architecture", 1, &s, &e), SLM_OK);
    assert_true(s.len == 5 && memcmp(s.ptr, "llama", 5) == 0);
    assert_int_equal(slm_gguf_get_array(sample, "t.numbers", 1, SLM_GGUF_U32, 3, &kv, &e), SLM_OK);
    assert_true(slm_gguf_item_u32(kv, 0) == 1 && slm_gguf_item_u32(kv, 2) == UINT32_MAX);
    assert_int_equal(slm_gguf_get_array(sample, "t.signs", 1, SLM_GGUF_I32, UINT64_MAX, &kv, &e),
                     SLM_OK);
    assert_true(slm_gguf_item_i32(kv, 0) == -1 && slm_gguf_item_i32(kv, 2) == INT32_MAX);
    assert_int_equal(slm_gguf_get_array(sample, "t.floats", 1, SLM_GGUF_F32, 2, &kv, &e), SLM_OK);
    assert_true(slm_gguf_item_f32(kv, 0) == 0.5f && slm_gguf_item_f32(kv, 1) == -1.25f);
    assert_int_equal(slm_gguf_get_array(sample, "t.floats", 1, SLM_GGUF_F32, 3, &kv, &e),
                     SLM_ERR_SHAPE);
    assert_string_equal(e.message, "memory: key 't.floats' has 2 elements, wanted 3");

    static const char *const words[] = {"a", "", "two words", "\xc3\xa9"};
    assert_int_equal(slm_gguf_get_array(sample, "t.words", 1, SLM_GGUF_STRING, 4, &kv, &e), SLM_OK);
    uint64_t pos = 0;
    for (int i = 0; i < 4; i++) {
        s = slm_gguf_next_str(kv, &pos);
        assert_true(s.len == strlen(words[i]) && memcmp(s.ptr, words[i], s.len) == 0);
    }
    assert_true(pos == kv->bytes);
}

static void test_tensors(void **state) {
    (void)state;
    const slm_gguf_tensor *x = slm_gguf_find_tensor(sample, "x.weight");
    const slm_gguf_tensor *y = slm_gguf_find_tensor(sample, "y.weight");
    const slm_gguf_tensor *z = slm_gguf_find_tensor(sample, "z.weight");
    assert_true(x->n_dims == 1 && x->ne[0] == 24 && x->ne[1] == 1 && x->ne[2] == 1 &&
                x->ne[3] == 1);
    assert_true(x->type == SLM_DTYPE_F32 && x->n_elements == 24 && x->bytes == 96);
    assert_true(y->n_dims == 2 && y->ne[0] == 64 && y->ne[1] == 3 && y->ne[2] == 1);
    assert_true(y->type == SLM_DTYPE_Q4_0 && y->n_elements == 192 && y->bytes == 6 * 18);
    assert_true(z->n_dims == 3 && z->n_elements == 16 && z->bytes == 32);
    const uint8_t *base = slm_gguf_part(sample, 0)->data;
    for (uint64_t i = 0; i < 3; i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(sample, i);
        assert_true(t->part == 0 && t->offset % 32 == 0 && t->data == base + t->offset);
    }
    assert_true(y->offset == x->offset + 96 && z->offset == y->offset + 128);
}

/* ---- texts ---- */

static void expect_text(const char *key, const char *want) {
    char text[200];
    size_t len = 0, need = strlen(want);
    const slm_gguf_kv *kv = slm_gguf_find(sample, key);
    slm_error e = SLM_ERROR_INIT;
    assert_non_null(kv);
    assert_int_equal(slm_gguf_kv_text(kv, NULL, 0, &len, &e), SLM_OK);
    assert_true(len == need);
    for (size_t cap = 1; cap < sizeof text; cap++) {
        memset(text, '#', sizeof text);
        len = 0;
        slm_status status = slm_gguf_kv_text(kv, text, cap, &len, &e);
        assert_int_equal(status, cap < need ? SLM_ERR_LIMIT : SLM_OK);
        assert_true(len == need);
        if (status == SLM_OK)
            assert_memory_equal(text, want, need);
        assert_int_equal(text[status == SLM_OK ? need : 0], '#');
    }
}

static void test_texts(void **state) {
    (void)state;
    expect_text("general.architecture", "llama");
    expect_text("t.u8", "200");
    expect_text("t.i8", "-100");
    expect_text("t.u16", "60000");
    expect_text("t.i16", "-30000");
    expect_text("t.u32", "4000000000");
    expect_text("t.i32", "-2000000000");
    expect_text("t.f32", "1.5");
    expect_text("t.bool", "true");
    expect_text("t.u64", "10000000000000000000");
    expect_text("t.i64", "-9000000000000000000");
    expect_text("t.f64", "0.1");
    expect_text("t.words", "[\"a\",\"\",\"two words\",\"\xc3\xa9\"]");
    expect_text("t.numbers", "[1,2,4294967295]");
    expect_text("t.signs", "[-1,0,2147483647]");
    expect_text("t.floats", "[0.5,-1.25]");
    char text[2];
    size_t len;
    slm_error e = SLM_ERROR_INIT;
    assert_int_equal(slm_gguf_kv_text(slm_gguf_find(sample, "t.u8"), text, 2, &len, &e),
                     SLM_ERR_LIMIT);
    assert_string_equal(e.message, "the text of 't.u8' has 3 bytes, the buffer 2");
}

static void text_of(gb *b, const char *want) {
    char text[200];
    size_t size, len = 0;
    slm_host h;
    slm_gguf *g;
    const uint8_t *bytes = gb_finish(b, &size);
    assert_int_equal(gguf_try(bytes, size, 0, &h, &g).status, SLM_OK);
    assert_int_equal(slm_gguf_kv_text(slm_gguf_kv_at(g, 0), text, sizeof text - 1, &len, NULL),
                     SLM_OK);
    text[len] = 0;
    assert_string_equal(text, want);
    gguf_close(&h, g);
    gb_free(b);
}

static void test_text_of_odd_strings(void **state) {
    (void)state;
    gb *b = gb_begin();
    gb_kv_str(b, "k", "\"\\\n\xff\xc3\xa9");
    text_of(b, "\"\\\n\xef\xbf\xbd\xc3\xa9");
    b = gb_begin();
    const char *const words[] = {"\"\\\n\x1f\xff\xc3\xa9\x7f/"};
    gb_kv_arr_str(b, "k", words, 1);
    text_of(b, "[\"\\\"\\\\\\u000a\\u001f\xef\xbf\xbd\xc3\xa9\x7f/\"]");
    b = gb_begin();
    gb_kv_arr_str(b, "k", NULL, 0);
    text_of(b, "[]");
    b = gb_begin();
    gb_kv_bytes(b, "k", SLM_GGUF_ARRAY, "\7\0\0\0\2\0\0\0\0\0\0\0\1\0", 14);
    text_of(b, "[true,false]");
}

static void test_text_of_odd_floats(void **state) {
    (void)state;
    static const struct {
        float value;
        const char *text;
    } have[] = {{0, "0"},
                {-0.0f, "-0"},
                {1e10f, "1e+10"},
                {1e-5f, "1e-05"},
                {16777216, "16777216"},
                {0.1f, "0.1"},
                {3.14159274f, "3.1415927"},
                {3.40282347e38f, "3.4028235e+38"},
                {1.40129846e-45f, "1.4013e-45"}};
    for (size_t i = 0; i < sizeof have / sizeof have[0]; i++) {
        gb *b = gb_begin();
        gb_kv_f32(b, "k", have[i].value);
        text_of(b, have[i].text);
    }
    gb *b = gb_begin();
    gb_kv_arr_f32(b, "k", (const float[]){NAN, INFINITY, 2}, 3);
    text_of(b, "[null,null,2]");
    b = gb_begin();
    gb_kv_f32(b, "k", -INFINITY);
    text_of(b, "-inf");
    b = gb_begin();
    gb_kv_f64(b, "k", 0.30000000000000004);
    text_of(b, "0.30000000000000004");
    /* Whatever the value, its text reads back as the same one. */
    slm_rng rng;
    slm_rng_seed(&rng, 1);
    for (int i = 0; i < 20000; i++) {
        char text[SLM_GGUF_NUMBER];
        uint32_t bits = (uint32_t)slm_rng_next(&rng);
        float f;
        memcpy(&f, &bits, sizeof f);
        if (!isfinite(f))
            continue;
        slm_gguf_float_text(text, f);
        assert_true(strtof(text, NULL) == f);
    }
}

/* A locale with another decimal separator changes nothing. One is made for the occasion,
 * where the system's sources of locales are installed. */
static void test_locale(void **state) {
    (void)state;
    char command[900];
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s >/dev/null 2>&1",
             temp_path("comma"));
    if (system(command) != 0 || setenv("LOCPATH", temp_folder(), 1) != 0 ||
        !setlocale(LC_NUMERIC, "comma"))
        skip();
    char text[16];
    snprintf(text, sizeof text, "%.1f", 1.5);
    assert_string_equal(text, "1,5");
    expect_text("t.f32", "1.5");
    expect_text("t.f64", "0.1");
    expect_text("t.floats", "[0.5,-1.25]");
    slm_error e = SLM_ERROR_INIT;
    float f = 0;
    assert_int_equal(slm_gguf_get_f32(sample, "t.f32", 1, 2, 3.25f, &f, &e), SLM_ERR_RANGE);
    assert_string_equal(e.message, "memory: key 't.f32' is 1.5, wanted 2 to 3.25");
    setlocale(LC_NUMERIC, "C");
}

static void test_type_names(void **state) {
    (void)state;
    assert_string_equal(slm_gguf_type_name(SLM_GGUF_U8), "u8");
    assert_string_equal(slm_gguf_type_name(SLM_GGUF_BOOL), "bool");
    assert_string_equal(slm_gguf_type_name(SLM_GGUF_F64), "f64");
    assert_string_equal(slm_gguf_type_name((slm_gguf_type)13), "unknown");
}

/* ---- tensor types ---- */

static void test_dtypes(void **state) {
    (void)state;
    static const struct {
        uint32_t type;
        const char *name;
        uint32_t block, bytes;
    } run[] = {{SLM_DTYPE_F32, "F32", 1, 4},
               {SLM_DTYPE_F16, "F16", 1, 2},
               {SLM_DTYPE_BF16, "BF16", 1, 2},
               {SLM_DTYPE_Q4_0, "Q4_0", 32, sizeof(slm_block_q4_0)},
               {SLM_DTYPE_Q4_1, "Q4_1", 32, sizeof(slm_block_q4_1)},
               {SLM_DTYPE_Q5_0, "Q5_0", 32, sizeof(slm_block_q5_0)},
               {SLM_DTYPE_Q5_1, "Q5_1", 32, sizeof(slm_block_q5_1)},
               {SLM_DTYPE_Q8_0, "Q8_0", 32, sizeof(slm_block_q8_0)},
               {SLM_DTYPE_Q2_K, "Q2_K", 256, sizeof(slm_block_q2_k)},
               {SLM_DTYPE_Q3_K, "Q3_K", 256, sizeof(slm_block_q3_k)},
               {SLM_DTYPE_Q4_K, "Q4_K", 256, sizeof(slm_block_q4_k)},
               {SLM_DTYPE_Q5_K, "Q5_K", 256, sizeof(slm_block_q5_k)},
               {SLM_DTYPE_Q6_K, "Q6_K", 256, sizeof(slm_block_q6_k)},
               {SLM_DTYPE_IQ4_NL, "IQ4_NL", 32, sizeof(slm_block_iq4_nl)},
               {SLM_DTYPE_IQ4_XS, "IQ4_XS", 256, sizeof(slm_block_iq4_xs)},
               {SLM_DTYPE_TQ1_0, "TQ1_0", 256, sizeof(slm_block_tq1_0)},
               {SLM_DTYPE_TQ2_0, "TQ2_0", 256, sizeof(slm_block_tq2_0)},
               {SLM_DTYPE_I2_S, "I2_S", 128, sizeof(slm_block_i2_s)}};
    const size_t n_run = sizeof run / sizeof run[0];
    for (size_t i = 0; i < n_run; i++) {
        const slm_dtype_info *info = slm_dtype_get(run[i].type);
        assert_string_equal(info->name, run[i].name);
        assert_int_equal(info->block, run[i].block);
        assert_int_equal(info->bytes, run[i].bytes);
        assert_true(info->supported && !info->removed);
        gb *b = gb_begin();
        gb_tensor(b, "t", run[i].type, 2, (uint64_t[]){512, 3}, NULL);
        gb_accepted(b, SLM_GGUF_STRICT, 0);
    }
    size_t supported = 0, removed = 0, unknown = 0;
    for (uint32_t type = 0; type < 64; type++) {
        const slm_dtype_info *info = slm_dtype_get(type);
        supported += info->supported;
        removed += info->removed;
        unknown += strcmp(info->name, "?") == 0;
        assert_true((info->block == 0) == (info->bytes == 0));
        assert_true(info->block != 0 || !info->supported);
    }
    assert_true(supported == n_run && removed == 7 && unknown == 64 - 43);
    assert_string_equal(slm_dtype_get(UINT32_MAX)->name, "?");
    assert_true(slm_gguf_tensor_bytes(SLM_DTYPE_I2_S, 1024) == 1024 / 4 + 32);
}

/* ---- names ---- */

static void test_index_of_nothing(void **state) {
    (void)state;
    slm_host h;
    slm_gguf *g;
    size_t size;
    gb *b = gb_begin();
    const uint8_t *bytes = gb_finish(b, &size);
    assert_int_equal(gguf_try(bytes, size, 0, &h, &g).status, SLM_OK);
    assert_null(slm_gguf_find(g, "general.architecture"));
    assert_null(slm_gguf_find_tensor(g, ""));
    gguf_close(&h, g);
    gb_free(b);
}

/* The key of the hash is new each time, so the same names fall into other places each time, and no
 * file can be made whose names all meet. */
static void test_index_key_changes(void **state) {
    (void)state;
    slm_str names[64];
    char text[64][4];
    for (int i = 0; i < 64; i++) {
        names[i].len = (size_t)snprintf(text[i], sizeof text[i], "%d", i);
        names[i].ptr = text[i];
    }
    int differs = 0;
    uint32_t first_slots[128];
    for (int round = 0; round < 4; round++) {
        slm_gguf_index index;
        uint64_t first, twice;
        assert_int_equal(
            slm_gguf_index_build(&host, &index, names, sizeof names[0], 64, &first, &twice, NULL),
            SLM_OK);
        assert_true(twice == 64 && index.mask == 127);
        if (round == 0)
            memcpy(first_slots, index.slots, sizeof first_slots);
        differs += memcmp(first_slots, index.slots, sizeof first_slots) != 0;
        slm_free(&host, index.slots);
    }
    assert_true(differs >= 2);
}

/* SipHash-1-3 spreads names that differ in one place only: chains stay short. */
static void test_index_spreads(void **state) {
    (void)state;
    enum { N = 20000 };
    slm_str *names = calloc(N, sizeof *names);
    char(*text)[32] = calloc(N, sizeof *text);
    assert_true(names && text);
    for (int i = 0; i < N; i++) {
        names[i].len = (size_t)snprintf(text[i], sizeof text[i], "blk.%d.attn_q.weight", i);
        names[i].ptr = text[i];
    }
    slm_gguf_index index;
    uint64_t first, twice;
    assert_int_equal(
        slm_gguf_index_build(&host, &index, names, sizeof *names, N, &first, &twice, NULL), SLM_OK);
    assert_true(twice == N);
    uint64_t longest = 0, run = 0;
    for (uint64_t i = 0; i <= index.mask; i++) {
        run = index.slots[i] ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    assert_true(longest < 100);
    for (int i = 0; i < N; i++)
        assert_ptr_equal(slm_gguf_index_find(&index, names, sizeof *names, text[i], names[i].len),
                         &names[i]);
    slm_free(&host, index.slots);
    free(text);
    free(names);
}

/* ---- what opening costs ---- */

/* The header alone decides the cost. */
static void test_sparse_file(void **state) {
    (void)state;
    char path[700];
    strcpy(path, temp_path("sparse.gguf"));
    gb *b = gb_begin();
    gb_kv_str(b, "general.architecture", "llama");
    gb_tensor_raw(b, "big", 3, SLM_DTYPE_F32, 2, (uint64_t[]){(uint64_t)1 << 28, 1 << 10}, 2, 0);
    assert_true(gb_write(b, path));
    gb_free(b);
    if (truncate(path, ((off_t)1 << 40) + 4096) != 0 && (errno == EFBIG || errno == EINVAL))
        skip();
    slm_host h;
    slm_gguf *g = NULL;
    slm_error e = SLM_ERROR_INIT;
    slm_host_init(&h, NULL, NULL, NULL, SLM_LOG_NONE);
    uint64_t start = slm_now_ns();
    slm_status status = slm_gguf_open(&h, path, SLM_LOAD_MAP, 0, NULL, NULL, &g, &e);
    uint64_t ns = slm_now_ns() - start;
    if (status != SLM_OK)
        print_message("%s\n", e.message);
    assert_int_equal(status, SLM_OK);
    assert_true(ns < 1000000000u);
    assert_true(h.bytes < 4096);
    const slm_gguf_tensor *t = slm_gguf_find_tensor(g, "big");
    assert_true(t->bytes == (uint64_t)1 << 40 && t->data[t->bytes - 1] == 0);
    slm_gguf_close(g);
    assert_true(h.bytes == 0);
    unlink(path);
}

/* A string of a GiB is the longest allowed; in a sparse file it costs nothing. */
static void test_longest_string(void **state) {
    (void)state;
    for (uint64_t more = 0; more < 2; more++) {
        char path[700];
        uint64_t len = ((uint64_t)1 << 30) + more;
        uint8_t le[8];
        slm_host h;
        slm_gguf *g = NULL;
        slm_error e = SLM_ERROR_INIT;
        strcpy(path, temp_path("long.gguf"));
        for (int i = 0; i < 8; i++)
            le[i] = (uint8_t)(len >> (8 * i));
        gb *b = gb_begin();
        gb_kv_bytes(b, "k", SLM_GGUF_STRING, le, 8);
        assert_true(gb_write(b, path));
        gb_free(b);
        if (truncate(path, (off_t)(24 + 8 + 1 + 4 + 8 + len)) != 0)
            skip();
        slm_host_init(&h, NULL, NULL, NULL, SLM_LOG_NONE);
        slm_status status =
            slm_gguf_open(&h, path, SLM_LOAD_MAP, SLM_GGUF_STRICT, NULL, NULL, &g, &e);
        unlink(path);
        assert_int_equal(status, more ? SLM_ERR_LIMIT : SLM_OK);
        assert_true(!more || strstr(e.message, "key 'k': a string has 1073741825 bytes, at most "
                                               "1073741824 are allowed"));
        assert_true(h.bytes < 4096);
        slm_gguf_close(g);
    }
}

/* Peak memory while parsing stays below 4 x metadata + 1 MiB, at the densest records there are and
 * for headers that lie. */
static void expect_cheap(gb *b, slm_status want, uint64_t metadata) {
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator a = fail_alloc_start(&fa);
    slm_host h;
    slm_file *file = NULL;
    slm_gguf *g = NULL;
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    slm_host_init(&h, &a, NULL, NULL, SLM_LOG_NONE);
    assert_int_equal(slm_file_open_memory(&h, bytes, size, SLM_LOAD_MAP, &file, NULL), SLM_OK);
    slm_status status = slm_gguf_open_file(&h, file, 0, &g, NULL);
    assert_int_equal(status, want);
    if ((uint64_t)fa.peak > 4 * metadata + (1u << 20))
        print_message("peak %lld for %llu\n", (long long)fa.peak, (unsigned long long)metadata);
    assert_true((uint64_t)fa.peak <= 4 * metadata + (1u << 20));
    slm_gguf_close(g);
    assert_true(fa.outstanding == 0);
    gb_free(b);
}

static void test_memory_of_parsing(void **state) {
    (void)state;
    size_t size;
    gb *b = gb_begin();
    for (uint32_t i = 0; i < 65536; i++) {
        /* Keys of one to three bytes: the shortest that differ. */
        char key[4] = {0};
        uint32_t n = i;
        for (int k = 0; k == 0 || n > 0; k++, n /= 64)
            key[k] = (char)('0' + n % 64);
        gb_kv_u8(b, key, 0);
    }
    gb_finish(b, &size);
    expect_cheap(b, SLM_OK, size);

    b = gb_begin();
    for (uint32_t i = 0; i < 65536; i++) {
        char name[8];
        snprintf(name, sizeof name, "%x", i);
        gb_tensor_raw(b, name, strlen(name), 0, 1, (uint64_t[]){1}, 1, 4);
    }
    gb_finish(b, &size);
    expect_cheap(b, SLM_OK, size - (size_t)65536 * 32);

    b = gb_begin();
    gb_kv_u8(b, "k", 0);
    gb_set_n_kv(b, 65536);
    gb_set_n_tensors(b, 65536);
    gb_add_tail(b, 10 << 20);
    expect_cheap(b, SLM_ERR_FORMAT, 100);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_sample, close_sample)
    const struct CMUnitTest tests[] = {
        TEST(test_counts),
        TEST(test_find),
        TEST(test_get_integers),
        TEST(test_get_signed),
        TEST(test_get_absent),
        TEST(test_get_wrong_type),
        TEST(test_get_floats),
        TEST(test_get_others),
        TEST(test_tensors),
        TEST(test_texts),
        TEST(test_text_of_odd_strings),
        TEST(test_text_of_odd_floats),
        TEST(test_locale),
        TEST(test_type_names),
        TEST(test_dtypes),
        TEST(test_index_of_nothing),
        TEST(test_index_key_changes),
        TEST(test_index_spreads),
        TEST(test_sparse_file),
        TEST(test_longest_string),
        TEST(test_memory_of_parsing),
    };
    return cmocka_run_group_tests_name("gguf", tests, NULL, NULL);
}
