/* Tokenizing odd, hostile and long texts. */
#define _POSIX_C_SOURCE 200809L
#include "base/rng.h"
#include "text/detok.h"
#include "tokenize_ref.h"
#include "vocab_files.h"

#include <pthread.h>
#include <time.h>

static const char *const VOCABS[] = {"llama3", "qwen2", "phi4-mini", "phi3", "llama-spm"};
static const char *const PRES[] = {"llama-bpe", "gpt-4o", "gpt-2", "qwen2"};

static mini_vocab m;

static void open_mini(mini_open *o, const char *pre) {
    if (pre)
        mini_bpe(&m, pre);
    else
        mini_spm(&m);
    mini_try(o, mini_file(&m), NULL);
    if (o->status != SLM_OK)
        fail_msg("%s", o->error.message);
}

static void close_mini(mini_open *o) {
    mini_close(o);
    assert_int_equal(o->host.bytes, 0);
}

static slm_pretok pretok_of(const char *pre) {
    static const slm_pretok kinds[] = {SLM_PRETOK_LLAMA3, SLM_PRETOK_GPT4O, SLM_PRETOK_GPT2,
                                       SLM_PRETOK_QWEN2};
    size_t i = 0;
    while (strcmp(PRES[i], pre) != 0)
        i++;
    return kinds[i];
}

/* A text over a few characters that the small vocabularies merge. */
static size_t random_text(slm_rng *rng, char *text, size_t max) {
    static const char *const parts[] = {"a",  "b",  "ab", "aa",   "the",      "e",        " ",
                                        "  ", "\n", "-",  "12",   "\xC3\xA9", "\xE4\xB8\x80",
                                        "'s", "AB", "xyz", "t",   "\xFF",     "e\xCC\x81",
                                        "<tool>", "<|im_end|>", "\xE2\x96\x81", "c"};
    size_t n = 0, kinds = 1 + slm_rng_next(rng) % 5, first = slm_rng_next(rng) % COUNT(parts);
    size_t want = slm_rng_next(rng) % max;
    for (;;) {
        const char *p = parts[(first + slm_rng_next(rng) % kinds) % COUNT(parts)];
        if (n + strlen(p) > want)
            return n;
        memcpy(text + n, p, strlen(p));
        n += strlen(p);
    }
}

/* ---- merging ---- */

static void merges_as_defined_bpe(void **state) {
    (void)state;
    slm_rng rng;
    slm_rng_seed(&rng, 1);
    for (size_t k = 0; k < 3; k++) {
        mini_open o;
        open_mini(&o, PRES[k]);
        for (int round = 0; round < 4000; round++) {
            char text[REF_MAX];
            int32_t want[REF_MAX];
            size_t n_want = 0, n_ids, n = random_text(&rng, text, REF_MAX);
            /* The user-defined token matches everywhere; this is about merging. */
            for (size_t i = 0; i < n; i++)
                if (text[i] == '<')
                    text[i] = 'a';
            for (size_t pos = 0; pos < n;) {
                size_t end = slm_pretok_next(pretok_of(PRES[k]), text, n, pos);
                assert_true(end > pos && end <= n);
                n_want += ref_bpe(&m, k == 0, text + pos, end - pos, want + n_want);
                pos = end;
            }
            int32_t *ids = tokenize_text(o.v, text, n, 0, &n_ids);
            assert_int_equal(n_ids, n_want);
            assert_memory_equal(ids, want, n_ids * sizeof *ids);
            free(ids);
        }
        close_mini(&o);
    }
}

/* With words cut apart, and, once a token has a blank inside, with the whole text in one. */
static void merges_as_defined_spm(void **state) {
    (void)state;
    slm_rng rng;
    slm_rng_seed(&rng, 2);
    for (int inside = 0; inside < 2; inside++) {
        mini_open o;
        mini_spm(&m);
        if (inside)
            mini_add(&m, "a\xE2\x96\x81", SLM_TYPE_NORMAL, -3.5f);
        mini_try(&o, mini_file(&m), NULL);
        assert_int_equal(o.status, SLM_OK);
        for (int round = 0; round < 4000; round++) {
            char text[REF_MAX];
            int32_t want[3 * REF_MAX];
            size_t n_ids, n = random_text(&rng, text, REF_MAX);
            for (size_t i = 0; i < n; i++)
                if (text[i] == '<')
                    text[i] = 'b';
            size_t n_want = ref_spm(&m, text, n, want);
            int32_t *ids = tokenize_text(o.v, text, n, 0, &n_ids);
            assert_int_equal(n_ids, n_want);
            assert_memory_equal(ids, want, n_ids * sizeof *ids);
            free(ids);
        }
        close_mini(&o);
    }
}

/* Whole pieces that are tokens are taken as they are in Llama 3's vocabulary only. */
static void ignore_merges(void **state) {
    (void)state;
    for (size_t k = 0; k < COUNT(PRES); k++) {
        mini_open o;
        open_mini(&o, PRES[k]);
        size_t n;
        int32_t *ids = tokenize_text(o.v, "xyz", 3, 0, &n);
        assert_int_equal(n, k == 0 ? 1 : 3);
        assert_int_equal(ids[0] == (int32_t)mini_find(&m, "xyz"), k == 0);
        free(ids);
        close_mini(&o);
    }
}

/* ---- spans ---- */

/* However a text is cut into spans of one trust, its ids are the same. */
static void spans_join(void **state) {
    (void)state;
    slm_rng rng;
    slm_rng_seed(&rng, 3);
    for (size_t k = 0; k <= COUNT(PRES); k++) {
        mini_open o;
        open_mini(&o, k < COUNT(PRES) ? PRES[k] : NULL);
        for (int round = 0; round < 1000; round++) {
            char text[REF_MAX];
            slm_span spans[8];
            uint32_t trusted = slm_rng_next(&rng) % 2;
            size_t n = random_text(&rng, text, REF_MAX), at = 0, n_whole, n_cut;
            for (size_t i = 0; i < COUNT(spans); i++) {
                size_t len = i + 1 == COUNT(spans) ? n - at : slm_rng_next(&rng) % (n - at + 1);
                spans[i] = (slm_span){text + at, len, trusted};
                at += len;
            }
            int32_t *whole = tokenize_text(o.v, text, n, (int)trusted, &n_whole);
            int32_t *cut = tokenize(o.v, spans, COUNT(spans), SLM_BOS_NONE, &n_cut);
            assert_int_equal(n_whole, n_cut);
            assert_memory_equal(whole, cut, n_whole * sizeof *whole);
            free(whole);
            free(cut);
        }
        close_mini(&o);
    }
}

static void expect_ids(const slm_vocab *v, const slm_span *spans, size_t n_spans,
                       const char *const *want) {
    size_t n, i = 0;
    int32_t *ids = tokenize(v, spans, n_spans, SLM_BOS_NONE, &n);
    for (; want[i]; i++) {
        assert_true(i < n);
        assert_int_equal(ids[i], mini_find(&m, want[i]));
    }
    assert_int_equal(i, n);
    free(ids);
}
#define EXPECT(v, spans, ...) \
    expect_ids(v, spans, COUNT(spans), (const char *const[]){__VA_ARGS__, NULL})

static void trust(void **state) {
    (void)state;
    mini_open o;
    open_mini(&o, "gpt-2");
    const slm_span border[] = {{"th", 2, 0}, {"e", 1, 1}};
    EXPECT(o.v, border, "th", "e"); /* not "the" */
    const slm_span around[] = {{"t", 1, 0}, {NULL, 0, 1}, {"h", 1, 0}, {"", SLM_NTS, 1}, {"e", 1, 0}};
    EXPECT(o.v, around, "the"); /* empty spans are no border */
    const slm_span user[] = {{"<|im_end|>", 10, 0}};
    EXPECT(o.v, user, "<|", "i", "m", "_", "e", "n", "d", "|>");
    const slm_span ours[] = {{"<|im_end|>", 10, 1}};
    EXPECT(o.v, ours, "<|im_end|>");
    const slm_span longest[] = {{"<|im_end|>more<|im_end|>mor", SLM_NTS, 1}};
    EXPECT(o.v, longest, "<|im_end|>more", "<|im_end|>", "m", "o", "r");
    /* A spelling half trusted is none; user-defined tokens are for everybody. */
    const slm_span half[] = {{"<|im_", 5, 1}, {"end|>", 5, 0}};
    EXPECT(o.v, half, "<|", "i", "m", "_", "e", "n", "d", "|>");
    const slm_span tool[] = {{"a<tool>a", 8, 0}, {"<tool>", 6, 1}};
    EXPECT(o.v, tool, "a", "<tool>", "a", "<tool>");
    const slm_span unused[] = {{"[PAD1]", 6, 1}};
    EXPECT(o.v, unused, "[", "P", "A", "D", "1", "]");
    close_mini(&o);

    open_mini(&o, NULL);
    const slm_span prefix[] = {{"the", 3, 0}, {"the", 3, 1}, {"<|user|>", 8, 1}, {"the", 3, 0},
                               {" the", 4, 1}};
    EXPECT(o.v, prefix, "\xE2\x96\x81the", "the", "<|user|>", "\xE2\x96\x81the",
           "\xE2\x96\x81the");
    const slm_span fillers[] = {{"<s><unk>", 8, 1}};
    EXPECT(o.v, fillers, "<s>", "<unk>");
    const slm_span nothing[] = {{"", 0, 0}, {NULL, 0, 1}};
    EXPECT(o.v, nothing, NULL);
    close_mini(&o);

    mini_spm(&m);
    gb *b = mini_file(&m);
    gb_kv_bool(b, "tokenizer.ggml.add_space_prefix", 0);
    mini_try(&o, b, NULL);
    EXPECT(o.v, prefix, "the", "the", "<|user|>", "the", "\xE2\x96\x81the");
    close_mini(&o);

    mini_spm(&m); /* no byte tokens: one unknown token for a character */
    for (size_t i = 3; i < 259; i++)
        m.types[i] = SLM_TYPE_UNUSED;
    mini_try(&o, mini_file(&m), NULL);
    const slm_span strange[] = {{"a\xE4\xB8\x81z", 5, 0}};
    EXPECT(o.v, strange, "\xE2\x96\x81" "a", "<unk>", "<unk>");
    close_mini(&o);
}

/* Phi-3's tokens swallow white space after them, also where the trust changes. */
static void swallowed_space(void **state) {
    (void)state;
    need_shared();
    vocab_file f;
    size_t n;
    open_vocab_file(&f, "phi3");
    const slm_span spans[] = {{"<|user|>\n", 9, 1}, {"", 0, 0}, {"\n\xC2\xA0 Hello", 9, 0},
                              {"<|end|>", 7, 1},    {"\n ", 2, 0}};
    int32_t *ids = tokenize(f.v, spans, COUNT(spans), SLM_BOS_NONE, &n);
    static const int32_t want[] = {32010, 15043, 32007};
    assert_int_equal(n, 3);
    assert_memory_equal(ids, want, sizeof want);
    free(ids);
    close_vocab_file(&f);
}

static void bos(void **state) {
    (void)state;
    static const int32_t modes[] = {SLM_BOS_DEFAULT, SLM_BOS_ADD, SLM_BOS_NONE};
    slm_span span = {"a", 1, 0};
    for (int add = 0; add < 2; add++) {
        mini_open o;
        mini_bpe(&m, add ? "llama-bpe" : "gpt-2");
        gb *b = mini_file(&m);
        gb_kv_u32(b, "tokenizer.ggml.bos_token_id", (uint32_t)mini_find(&m, "<|bos|>"));
        mini_try(&o, b, NULL);
        for (size_t i = 0; i < COUNT(modes); i++) {
            size_t n;
            int32_t *ids = tokenize(o.v, &span, 1, modes[i], &n);
            int want = modes[i] == SLM_BOS_ADD || (modes[i] == SLM_BOS_DEFAULT && add);
            assert_int_equal(n, 1 + want);
            assert_int_equal(ids[0], mini_find(&m, want ? "<|bos|>" : "a"));
            free(ids);
        }
        close_mini(&o);
    }
    mini_open o; /* llama-bpe adds a BOS, but this file has none */
    open_mini(&o, "llama-bpe");
    size_t n;
    assert_int_equal(slm_vocab_tokenize(o.v, &span, 1, SLM_BOS_DEFAULT, NULL, 0, &n, NULL), SLM_OK);
    assert_int_equal(n, 1);
    slm_error error = SLM_ERROR_INIT;
    assert_int_equal(slm_vocab_tokenize(o.v, &span, 1, SLM_BOS_ADD, NULL, 0, &n, &error),
                     SLM_ERR_MISSING);
    assert_int_equal(slm_vocab_tokenize(o.v, &span, 1, 3, NULL, 0, &n, &error), SLM_ERR_ARG);
    close_mini(&o);
}

static void test_limits_and_arguments(void **state) {
    (void)state;
    mini_open o;
    open_mini(&o, "gpt-2");
    slm_error error = SLM_ERROR_INIT;
    int32_t ids[4] = {-7, -7, -7, -7};
    size_t n;
    slm_span big[2] = {{"x", (size_t)INT32_MAX + 1, 0}, {"y", 1, 0}};
    assert_int_equal(slm_vocab_tokenize(o.v, big, 1, 0, NULL, 0, &n, &error), SLM_ERR_LIMIT);
    assert_string_equal(error.message, "more than 2147483647 bytes of text");
    big[0].len = INT32_MAX;
    assert_int_equal(slm_vocab_tokenize(o.v, big, 2, 0, NULL, 0, &n, &error), SLM_ERR_LIMIT);
    big[0].len = (size_t)-2;
    assert_int_equal(slm_vocab_tokenize(o.v, big, 1, 0, NULL, 0, &n, &error), SLM_ERR_LIMIT);
    slm_span null = {NULL, 1, 0}, third = {"x", 1, 2}, five = {"abcde", 5, 0};
    assert_int_equal(slm_vocab_tokenize(o.v, &null, 1, 0, NULL, 0, &n, &error), SLM_ERR_ARG);
    null.len = SLM_NTS;
    assert_int_equal(slm_vocab_tokenize(o.v, &null, 1, 0, NULL, 0, &n, &error), SLM_ERR_ARG);
    assert_int_equal(slm_vocab_tokenize(o.v, &third, 1, 0, NULL, 0, &n, &error), SLM_ERR_ARG);
    assert_int_equal(slm_vocab_tokenize(o.v, NULL, 1, 0, NULL, 0, &n, &error), SLM_ERR_ARG);
    assert_int_equal(slm_vocab_tokenize(o.v, NULL, 0, 0, NULL, 0, &n, &error), SLM_OK);
    assert_int_equal(n, 0);
    n = 0;
    assert_int_equal(slm_vocab_tokenize(o.v, &five, 1, 0, ids, 3, &n, &error), SLM_ERR_LIMIT);
    assert_int_equal(n, 4);
    assert_int_equal(ids[0], -7);
    assert_int_equal(slm_vocab_tokenize(o.v, &five, 1, 0, ids, 4, &n, &error), SLM_OK);
    assert_int_equal(ids[0], mini_find(&m, "ab"));
    close_mini(&o);
}

/* ---- bytes ---- */

static void comes_back(const slm_vocab *v, const char *text, size_t n) {
    size_t n_ids, len;
    int32_t *ids = tokenize_text(v, text, n, 0, &n_ids);
    char *back = detokenize(v, ids, n_ids, SLM_DETOKENIZE_DROP_SPACE, &len);
    if (len != n || memcmp(back, text, n) != 0)
        fail_msg("%zu bytes starting %02X %02X come back as %zu", n, (uint8_t)text[0],
                 n > 1 ? (uint8_t)text[1] : 0, len);
    free(ids);
    free(back);
}

/* Any bytes come back; under NFC, those that are not text. */
static void test_bytes(void **state) {
    (void)state;
    need_shared();
    for (size_t k = 0; k < COUNT(VOCABS); k++) {
        vocab_file f;
        open_vocab_file(&f, VOCABS[k]);
        int nfc = strcmp(slm_vocab_pre_name(f.v), "qwen2") == 0;
        char t[8] = "";
        for (unsigned a = 0; a < 256; a++) {
            t[0] = (char)a;
            comes_back(f.v, t, 1);
            for (unsigned b = 0; b < 256; b++) {
                t[1] = (char)b;
                /* U+0340, U+0341, U+0374, U+037E and U+0387 have other forms in NFC. */
                if (!nfc || slm_nfc_quick(t, 2))
                    comes_back(f.v, t, 2);
            }
        }
        static const unsigned char seconds[] = {0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0};
        for (unsigned a = 0xE0; a < 0x100; a++) {
            for (size_t i = 0; i < COUNT(seconds); i++) {
                for (size_t j = 0; j < COUNT(seconds); j++) {
                    t[0] = (char)a;
                    t[1] = (char)seconds[i];
                    t[2] = (char)seconds[j];
                    t[3] = (char)0x80;
                    t[4] = 'x';
                    for (size_t n = 3; n <= 5; n++)
                        if (!nfc || slm_nfc_quick(t, n))
                            comes_back(f.v, t, n);
                }
            }
        }
        static const char nul[] = "a\0b\0\0 \xEF\xBB\xBF\xE2\x80\xAE x\xE2\x80\xAC";
        comes_back(f.v, nul, sizeof nul - 1);
        close_vocab_file(&f);
    }
}

static void test_many_marks(void **state) {
    (void)state;
    need_shared();
    char *text = malloc(20002);
    assert_non_null(text);
    text[0] = 'e';
    for (size_t i = 0; i < 10000; i++) /* U+0301, U+0323: of two classes, in the wrong order */
        memcpy(text + 1 + 2 * i, i % 2 ? "\xCC\xA3" : "\xCC\x81", 2);
    for (size_t k = 0; k < COUNT(VOCABS); k++) {
        vocab_file f;
        open_vocab_file(&f, VOCABS[k]);
        if (strcmp(VOCABS[k], "qwen2") != 0) {
            comes_back(f.v, text, 20001);
        } else {
            size_t n, len;
            int32_t *ids = tokenize_text(f.v, text, 20001, 0, &n);
            char *back = detokenize(f.v, ids, n, 0, &len);
            /* The dots below come first and the first joins the letter: U+1EB9. */
            assert_int_equal(len, 3 + 4999 * 2 + 5000 * 2);
            assert_memory_equal(back, "\xE1\xBA\xB9\xCC\xA3", 5);
            assert_memory_equal(back + len - 4, "\xCC\x81\xCC\x81", 4);
            free(ids);
            free(back);
        }
        close_vocab_file(&f);
    }
    free(text);
}

/* What users write is never a control token, and what we write is that one token. */
static void test_special_tokens(void **state) {
    (void)state;
    need_shared();
    for (size_t k = 0; k < COUNT(VOCABS); k++) {
        vocab_file f;
        size_t n_special = 0;
        open_vocab_file(&f, VOCABS[k]);
        for (int32_t id = 0; id < (int32_t)slm_vocab_size(f.v); id++) {
            uint32_t flags = slm_vocab_flags(f.v, id);
            slm_str s = slm_vocab_text(f.v, id);
            if (!(flags & (SLM_TOKEN_CONTROL | SLM_TOKEN_UNKNOWN)) || s.len == 0)
                continue;
            char text[300];
            int filler = s.len > 4 && memcmp(s.ptr, "[PAD", 4) == 0;
            int len = snprintf(text, sizeof text, "hi %.*s there", (int)s.len, s.ptr);
            size_t n;
            int32_t *ids = tokenize_text(f.v, text, (size_t)len, 0, &n);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(slm_vocab_flags(f.v, ids[i]) & ~(uint32_t)SLM_TOKEN_BYTE, 0);
            free(ids);
            ids = tokenize_text(f.v, s.ptr, s.len, 1, &n);
            assert_int_equal(n == 1 && ids[0] == id, !filler);
            free(ids);
            n_special += !filler;
        }
        static const size_t want[] = {256, 20, 12, 14, 3};
        assert_int_equal(n_special, want[k]);
        close_vocab_file(&f);
    }
}

/* ---- detokenizing ---- */

static void test_detokenize(void **state) {
    (void)state;
    mini_open o;
    open_mini(&o, NULL);
    slm_error error = SLM_ERROR_INIT;
    char text[64];
    size_t len = 99;
    const int32_t wrong[] = {-1, (int32_t)m.n, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        int32_t ids[2] = {5, wrong[i]};
        assert_int_equal(slm_vocab_detokenize(o.v, ids, 2, 0, text, 64, &len, &error),
                         SLM_ERR_RANGE);
        char words[60];
        snprintf(words, sizeof words, "id 1 is %d, wanted 0 to %zu", wrong[i], m.n - 1);
        assert_string_equal(error.message, words);
    }
#define ID(text) (int32_t) mini_find(&m, text)
    const int32_t ids[] = {ID("<s>"), ID("\xE2\x96\x81the"), ID("\xE2\x96\x81the"), ID("<|user|>"),
                           ID("\xE2\x96\x81" "a"), ID("<tool>"), ID("\xE2\x96\x81t"), ID("<0xFF>")};
    static const struct {
        uint32_t flags;
        const char *text;
    } cases[] = {
        {0, " the the a<tool> t\xFF"},
        {SLM_DETOKENIZE_SPECIAL, "<s> the the<|user|> a<tool> t\xFF"},
        {SLM_DETOKENIZE_DROP_SPACE, "the thea<tool>t\xFF"},
        {SLM_DETOKENIZE_SPECIAL | SLM_DETOKENIZE_DROP_SPACE, "<s>the the<|user|>a<tool>t\xFF"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t n = strlen(cases[i].text);
        assert_int_equal(
            slm_vocab_detokenize(o.v, ids, COUNT(ids), cases[i].flags, NULL, 0, &len, NULL), SLM_OK);
        assert_int_equal(len, n);
        memset(text, '#', sizeof text);
        assert_int_equal(slm_vocab_detokenize(o.v, ids, COUNT(ids), cases[i].flags, text, n - 1,
                                              &len, &error),
                         SLM_ERR_LIMIT);
        assert_int_equal(len, n);
        assert_int_equal(text[0], '#');
        assert_int_equal(
            slm_vocab_detokenize(o.v, ids, COUNT(ids), cases[i].flags, text, n, &len, NULL), SLM_OK);
        assert_memory_equal(text, cases[i].text, n);
        assert_int_equal(text[n], '#');
    }
    assert_int_equal(slm_vocab_detokenize(o.v, ids, 1, 4, text, 64, &len, &error), SLM_ERR_ARG);
    assert_int_equal(slm_vocab_detokenize(o.v, NULL, 0, 0, text, 64, &len, &error), SLM_OK);
    assert_int_equal(len, 0);
    close_mini(&o);
}

/* ---- long texts ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SLOW = 10 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { SLOW = 10 };
#else
enum { SLOW = 1 };
#endif
#else
enum { SLOW = 1 };
#endif

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* No text of 1 MiB takes two seconds. A quadratic step would take minutes. */
static void test_long_runs(void **state) {
    (void)state;
    need_shared();
    static const struct {
        const char *unit; /* NULL: random letters */
        size_t n;
    } runs[] = {
        {"a", 1 << 20},    {"_", 1 << 20},   {" ", 1 << 20},  {"\n", 1 << 20},
        {NULL, 1 << 20},   {"\xE4\xB8\x80", 1 << 20},        {"e\xCC\x81\xCC\xA3", 1 << 20},
        {"<|", 1 << 17},   {"'s", 1 << 17},  {"1", 1 << 17},  {" \n", 1 << 17},
        {"\xFF", 1 << 17}, {"Aa", 1 << 17},  {"A", 1 << 17},  {"\xE2\x96\x81", 1 << 17},
    };
    char *text = malloc(1 << 20);
    assert_non_null(text);
    for (size_t k = 0; k < COUNT(VOCABS); k++) {
        vocab_file f;
        open_vocab_file(&f, VOCABS[k]);
        for (size_t u = 0; u < COUNT(runs); u++) {
            slm_rng rng;
            slm_rng_seed(&rng, 9);
            const char *unit = runs[u].unit;
            size_t len = unit ? strlen(unit) : 0;
            for (size_t i = 0; i < runs[u].n; i++)
                text[i] = unit ? unit[i % len] : (char)('a' + slm_rng_next(&rng) % 26);
            slm_span span = {text, runs[u].n, 1};
            size_t n;
            double start = cpu_seconds();
            assert_int_equal(slm_vocab_tokenize(f.v, &span, 1, 0, NULL, 0, &n, NULL), SLM_OK);
            double took = cpu_seconds() - start;
            if (took > 2.0 * SLOW)
                fail_msg("%s, text %zu: %.1f s", VOCABS[k], u, took);
            assert_true(n >= runs[u].n / 256);
        }
        close_vocab_file(&f);
    }
    free(text);
}

static void *tokenize_in_thread(void *arg) {
    vocab_file *f = arg;
    static const size_t lengths[] = {26000, 51295, 131072};
    static const char units[] = {'a', ' ', '\n', '1', '-', (char)0xCC};
    static char text[131072];
    for (size_t u = 0; u < sizeof units; u++) {
        memset(text, units[u], sizeof text);
        for (size_t i = 0; i < COUNT(lengths); i++) {
            slm_span span = {text, lengths[i], 1};
            size_t n;
            if (slm_vocab_tokenize(f->v, &span, 1, 0, NULL, 0, &n, NULL) != SLM_OK || n == 0)
                return f;
        }
    }
    return NULL;
}

static void test_small_stack(void **state) {
    (void)state;
    need_shared();
    for (size_t k = 0; k < COUNT(VOCABS); k++) {
        vocab_file f;
        pthread_attr_t attr;
        pthread_t thread;
        void *failed;
        open_vocab_file(&f, VOCABS[k]);
        assert_int_equal(pthread_attr_init(&attr), 0);
        assert_int_equal(pthread_attr_setstacksize(&attr, 65536), 0);
        assert_int_equal(pthread_create(&thread, &attr, tokenize_in_thread, &f), 0);
        assert_int_equal(pthread_join(thread, &failed), 0);
        assert_null(failed);
        pthread_attr_destroy(&attr);
        close_vocab_file(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_as_defined_bpe),
        cmocka_unit_test(merges_as_defined_spm),
        cmocka_unit_test(ignore_merges),
        cmocka_unit_test(spans_join),
        cmocka_unit_test(trust),
        cmocka_unit_test(swallowed_space),
        cmocka_unit_test(bos),
        cmocka_unit_test(test_limits_and_arguments),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_many_marks),
        cmocka_unit_test(test_special_tokens),
        cmocka_unit_test(test_detokenize),
        cmocka_unit_test(test_long_runs),
        cmocka_unit_test(test_small_stack),
    };
    return cmocka_run_group_tests_name("tokenize_text", tests, NULL, NULL);
}
