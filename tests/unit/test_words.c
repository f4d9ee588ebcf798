/* Words that come again in a text get the ids of a text of their own. */
#include "base/rng.h"
#include "text/unicode.h"
#include "text/vocab_impl.h"
#include "text/words.h"
#include "mini_vocab.h"
#include "vocab_files.h"

static const char *const VOCABS[] = {"llama3", "qwen2", "phi4-mini", "phi3", "llama-spm"};

/* ---- the table ---- */

static slm_host host;

static void open_words(slm_words *words, size_t text_bytes) {
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    assert_int_equal(slm_words_open(words, &host, text_bytes, NULL), SLM_OK);
}

static void close_words(slm_words *words) {
    slm_words_close(words, &host);
    assert_int_equal(host.bytes, 0);
}

/* A word differs from every word with another byte, one more or one less. */
static void keys_differ(void **state) {
    (void)state;
    slm_words words;
    slm_rng rng;
    slm_rng_seed(&rng, 1);
    open_words(&words, 100000);
    assert_non_null(words.slots);
    for (int round = 0; round < 200; round++) {
        char text[SLM_WORD_MAX + 2];
        const int32_t id = 7;
        slm_word_key key = {{0}, 0}, other = key;
        memset(text, round % 2 ? 'a' : 0, sizeof text);
        if (round > 1)
            for (size_t i = 0; i < sizeof text; i++)
                text[i] = (char)slm_rng_next(&rng);
        for (size_t n = SLM_WORD_MIN; n <= SLM_WORD_MAX; n++) {
            slm_word *word = slm_words_at(&words, text, n, &key);
            assert_non_null(word);
            slm_word_set(word, &key, &id, 1);
            assert_true(slm_words_hit(&words, word, &key));
            for (size_t i = 0; i < n; i++) {
                char save = text[i];
                text[i] = (char)(save ^ (1 << round % 8));
                assert_non_null(slm_words_at(&words, text, n, &other));
                words.credit = SLM_WORDS_CREDIT;
                assert_false(slm_words_hit(&words, word, &other));
                text[i] = save;
            }
            for (size_t len = n > SLM_WORD_MIN ? n - 1 : n + 1; len <= n + 1; len += 2) {
                if (!slm_words_at(&words, text, len, &other))
                    continue;
                assert_false(slm_words_hit(&words, word, &other));
            }
        }
    }
    close_words(&words);
}

static void limits(void **state) {
    (void)state;
    slm_words words;
    slm_word_key key = {{0}, 0};
    static const char text[SLM_WORD_MAX + 1] = "abcdefghijklmnopqrstuvwxy";
    int32_t ids[SLM_WORD_IDS + 1] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    open_words(&words, 10);
    assert_null(words.slots);
    assert_null(slm_words_at(&words, text, 5, &key));
    close_words(&words);

    open_words(&words, SIZE_MAX / 2);
    assert_true(host.bytes <= 600000);
    assert_null(slm_words_at(&words, text, SLM_WORD_MIN - 1, &key));
    assert_null(slm_words_at(&words, text, SLM_WORD_MAX + 1, &key));
    slm_word *word = slm_words_at(&words, text, SLM_WORD_MAX, &key);
    assert_non_null(word);
    slm_word_set(word, &key, ids, SLM_WORD_IDS + 1);
    assert_false(slm_words_hit(&words, word, &key));
    slm_word_set(word, &key, ids, SLM_WORD_IDS);
    assert_true(slm_words_hit(&words, word, &key));
    assert_int_equal(word->n_ids, SLM_WORD_IDS);
    assert_memory_equal(word->ids, ids, SLM_WORD_IDS * sizeof *ids);
    close_words(&words);

    slm_error error = SLM_ERROR_INIT;
    host.limit = 1;
    assert_int_equal(slm_words_open(&words, &host, 100000, &error), SLM_ERR_NOMEM);
    assert_null(words.slots);
}

/* After enough new words looking stops, and starts again after some more. */
static void rests(void **state) {
    (void)state;
    slm_words words;
    slm_word_key key = {{0}, 0};
    slm_word *word;
    open_words(&words, 100000);
    uint32_t n = 0, rested = 0;
    while ((word = slm_words_at(&words, (const char *)&n, sizeof n, &key)) != NULL) {
        assert_false(slm_words_hit(&words, word, &key));
        n++;
    }
    assert_int_equal(n, SLM_WORDS_CREDIT);
    while (slm_words_at(&words, "word", 4, &key) == NULL)
        rested++;
    assert_int_equal(rested, SLM_WORDS_REST - 1);
    close_words(&words);
}

/* ---- texts ---- */

/* The ids of each piece of a text alone. Each is too short for words of before to be kept. */
static size_t ids_of_pieces(const slm_vocab *v, const char *text, size_t n, int32_t *ids) {
    size_t n_ids = 0;
    for (size_t pos = 0, end; pos < n; pos = end) {
        size_t start = pos, got;
        if (v->kind == SLM_VOCAB_BPE) {
            end = slm_pretok_next(v->pretok, text, n, pos);
        } else {
            for (end = pos; end < n && text[end] == ' '; end++)
                ;
            while (end < n && text[end] != ' ')
                end++;
            start += pos > 0; /* the blank that a text alone gets */
        }
        int32_t *alone = tokenize_text(v, text + start, end - start, 0, &got);
        memcpy(ids + n_ids, alone, got * sizeof *ids);
        n_ids += got;
        free(alone);
    }
    return n_ids;
}

static void same_as_pieces(const slm_vocab *v, const char *text, size_t n) {
    size_t n_ids;
    int32_t *want = malloc((n + 1) * 3 * sizeof *want);
    assert_non_null(want);
    size_t n_want = ids_of_pieces(v, text, n, want);
    int32_t *ids = tokenize_text(v, text, n, 0, &n_ids);
    assert_int_equal(n_ids, n_want);
    assert_memory_equal(ids, want, n_ids * sizeof *ids);
    free(ids);
    free(want);
}

/* Words over a few letters, some from a pool: close to each other, and of all lengths. */
static size_t make_words(slm_rng *rng, char *text, size_t max) {
    static const char *const parts[] = {"a", "b", "ab", "th", "e", "t", "\xC3\xA9", "\xE4\xB8\x80",
                                        "'s", "\n", "x", "1", "-"};
    size_t n = 0;
    while (n + 200 < max) {
        slm_rng word;
        uint32_t fresh = slm_rng_next(rng) % 4 == 0;
        slm_rng_seed(&word, fresh ? slm_rng_next(rng) : slm_rng_next(rng) % 300);
        memcpy(text + n, "  ", 2);
        n += slm_rng_next(rng) % 8 == 0 ? 2 : 1;
        for (uint64_t k = 1 + slm_rng_next(&word) % 14; k > 0; k--) {
            const char *part = parts[slm_rng_next(&word) % COUNT(parts)];
            memcpy(text + n, part, strlen(part));
            n += strlen(part);
        }
    }
    return n;
}

static void words_of_small_vocabularies(void **state) {
    (void)state;
    static const char *const pres[] = {"llama-bpe", "gpt-4o", "gpt-2", "qwen2", NULL};
    static mini_vocab m;
    enum { MAX = 150000 };
    char *text = malloc(MAX);
    assert_non_null(text);
    for (size_t k = 0; k < COUNT(pres); k++) {
        mini_open o;
        slm_rng rng;
        slm_rng_seed(&rng, k);
        if (pres[k])
            mini_bpe(&m, pres[k]);
        else
            mini_spm(&m);
        mini_try(&o, mini_file(&m), NULL);
        assert_int_equal(o.status, SLM_OK);
        same_as_pieces(o.v, text, make_words(&rng, text, MAX));
        for (int round = 0; round < 100; round++)
            same_as_pieces(o.v, text, make_words(&rng, text, 300 + 20 * (size_t)round));
        mini_close(&o);
    }
    free(text);
}

static void append_text(void *user, const char *file, size_t line, json_t *object) {
    (void)file;
    (void)line;
    slm_error error = SLM_ERROR_INIT;
    json_t *text = json_object_get(object, "text");
    assert_non_null(text);
    assert_int_equal(slm_buffer_append(user, json_string_value(text), json_string_length(text),
                                       &error),
                     SLM_OK);
    assert_int_equal(slm_buffer_append(user, " .\n", 3, &error), SLM_OK);
}

/* All golden texts in one, twice. */
static void words_of_real_vocabularies(void **state) {
    (void)state;
    need_shared();
    for (size_t k = 0; k < COUNT(VOCABS); k++) {
        vocab_file f;
        slm_error error = SLM_ERROR_INIT;
        open_vocab_file(&f, VOCABS[k]);
        slm_buffer all = {.host = &f.host}, normal = {.host = &f.host};
        size_t lines = each_json_line(shared_path("vocab/%s.jsonl", VOCABS[k]), append_text, &all);
        assert_true(lines > 500);
        assert_int_equal(slm_nfc_append(&normal, all.ptr, all.len, &error), SLM_OK);
        assert_int_equal(slm_nfc_append(&normal, all.ptr, all.len, &error), SLM_OK);
        for (size_t i = 0; i < normal.len; i++) /* no special token, no U+2581 */
            if (normal.ptr[i] == '<' || normal.ptr[i] == (char)0xE2)
                normal.ptr[i] = '(';
        same_as_pieces(f.v, normal.ptr, normal.len);
        slm_buffer_free(&all);
        slm_buffer_free(&normal);
        close_vocab_file(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_differ),
        cmocka_unit_test(limits),
        cmocka_unit_test(rests),
        cmocka_unit_test(words_of_small_vocabularies),
        cmocka_unit_test(words_of_real_vocabularies),
    };
    return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
