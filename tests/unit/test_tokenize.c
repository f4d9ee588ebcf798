/* Every golden line of the five vocabularies, and that what is tokenized comes back. */
#define _POSIX_C_SOURCE 200809L
#include "text/unicode.h"
#include "vocab_files.h"

/* What detokenizing must give back: the text, but NFC where the vocabulary wants that, and blanks
 * for U+2581 in SentencePiece, which cannot tell them apart. */
static char *expected_back(vocab_file *f, const char *text, size_t len, size_t *out_len) {
    slm_buffer b = {.host = &f->host};
    slm_error error = SLM_ERROR_INIT;
    if (strcmp(slm_vocab_pre_name(f->v), "qwen2") == 0) {
        assert_int_equal(slm_nfc_append(&b, text, len, &error), SLM_OK);
    } else {
        for (size_t i = 0; i < len; i++) {
            if (slm_vocab_get_kind(f->v) == SLM_VOCAB_SPM && len - i >= 3 &&
                memcmp(text + i, "\xE2\x96\x81", 3) == 0) {
                slm_buffer_append(&b, " ", 1, NULL);
                i += 2;
            } else {
                slm_buffer_append(&b, text + i, 1, NULL);
            }
        }
    }
    char *copy = malloc(b.len + 1);
    assert_non_null(copy);
    if (b.len)
        memcpy(copy, b.ptr, b.len);
    *out_len = b.len;
    slm_buffer_free(&b);
    return copy;
}

static void check_line(void *user, const char *file, size_t line, json_t *object) {
    vocab_file *f = user;
    json_t *text = json_object_get(object, "text"), *want = json_object_get(object, "ids");
    const char *s = json_string_value(text);
    size_t len = json_string_length(text), n;
    int special = json_is_true(json_object_get(object, "special"));
    int32_t *ids = tokenize_text(f->v, s, len, special, &n);
    size_t n_want = json_array_size(want), i = 0;
    while (i < n && i < n_want && ids[i] == (int32_t)json_number_value(json_array_get(want, i)))
        i++;
    if (i < n || i < n_want)
        fail_msg("%s:%zu: %zu ids, wanted %zu; id %zu is %d, wanted %d", file, line, n, n_want, i,
                 i < n ? ids[i] : -1,
                 i < n_want ? (int)json_number_value(json_array_get(want, i)) : -1);
    if (!special) {
        size_t back_len, expected_len;
        char *back = detokenize(f->v, ids, n, SLM_DETOKENIZE_DROP_SPACE, &back_len);
        char *expected = expected_back(f, s, len, &expected_len);
        if (back_len != expected_len || memcmp(back, expected, back_len) != 0)
            fail_msg("%s:%zu: comes back as \"%.*s\"", file, line, (int)back_len, back);
        free(back);
        free(expected);
    }
    free(ids);
}

static void check_vocab(const char *name, const char *const *files, size_t n_files,
                        size_t n_lines) {
    need_shared();
    vocab_file f;
    open_vocab_file(&f, name);
    size_t n = 0;
    for (size_t i = 0; i < n_files; i++)
        n += each_json_line(shared_path("vocab/%s", files[i]), check_line, &f);
    assert_int_equal(n, n_lines);
    close_vocab_file(&f);
}

static void golden_llama3(void **state) {
    (void)state;
    const char *files[] = {"llama3.jsonl", "llama3.llamacpp.jsonl"};
    check_vocab("llama3", files, COUNT(files), 586 + 47);
}
static void golden_qwen2(void **state) {
    (void)state;
    const char *files[] = {"qwen2.jsonl", "qwen2.llamacpp.jsonl"};
    check_vocab("qwen2", files, COUNT(files), 586 + 47);
}
/* The rstrip lines are those of the original model, whose flags the GGUF file cannot hold. */
static void golden_phi4_mini(void **state) {
    (void)state;
    const char *files[] = {"phi4-mini.jsonl", "phi4-mini.rstrip.jsonl"};
    check_vocab("phi4-mini", files, COUNT(files), 600 + 10);
}
static void golden_phi3(void **state) {
    (void)state;
    const char *files[] = {"phi3.jsonl", "phi3.llamacpp.jsonl"};
    check_vocab("phi3", files, COUNT(files), 597 + 47);
}
static void golden_llama_spm(void **state) {
    (void)state;
    const char *files[] = {"llama-spm.jsonl", "llama-spm.llamacpp.jsonl"};
    check_vocab("llama-spm", files, COUNT(files), 582 + 47);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_llama3), cmocka_unit_test(golden_qwen2),
        cmocka_unit_test(golden_phi4_mini), cmocka_unit_test(golden_phi3),
        cmocka_unit_test(golden_llama_spm),
    };
    return cmocka_run_group_tests_name("tokenize", tests, NULL, NULL);
}
