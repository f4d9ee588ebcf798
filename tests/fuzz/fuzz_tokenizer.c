/* Tokenizers on any bytes, over small vocabularies. The first byte picks the vocabulary, the second
 * where the text is cut into spans; the rest is text.
 *   - ids of untrusted text hold no control token and come back as the bytes they came from (NFC
 *     aside; U+2581 comes back as a blank)
 *   - short texts have the ids that merging by definition gives
 *   - a text cut into two spans of one trust has the same ids
 *   - what a detokenizer shows of them is valid UTF-8 */
#include "text/detok.h"
#include "unit/tokenize_ref.h"

enum { N_VOCABS = 5 };
static const char *const PRES[N_VOCABS] = {"llama-bpe", "gpt-4o", "gpt-2", "qwen2", NULL};
static const slm_pretok PRETOKS[N_VOCABS] = {SLM_PRETOK_LLAMA3, SLM_PRETOK_GPT4O, SLM_PRETOK_GPT2,
                                             SLM_PRETOK_QWEN2, SLM_PRETOK_NONE};
static mini_vocab minis[N_VOCABS];
static mini_open vocabs[N_VOCABS];

#define CHECK(x)     \
    do {             \
        if (!(x))    \
            abort(); \
    } while (0)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void close_all(void) {
    for (int k = 0; k < N_VOCABS; k++)
        mini_close(&vocabs[k]);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    for (int k = 0; k < N_VOCABS; k++) {
        if (PRES[k])
            mini_bpe(&minis[k], PRES[k]);
        else
            mini_spm(&minis[k]);
        mini_try(&vocabs[k], mini_file(&minis[k]), NULL);
        CHECK(vocabs[k].status == SLM_OK);
    }
    CHECK(atexit(close_all) == 0);
    return 0;
}

static int32_t *ids_of(const slm_vocab *v, const slm_span *spans, size_t n_spans, size_t *n) {
    CHECK(slm_vocab_tokenize(v, spans, n_spans, SLM_BOS_NONE, NULL, 0, n, NULL) == SLM_OK);
    int32_t *ids = malloc((*n + 1) * sizeof *ids);
    CHECK(ids);
    CHECK(slm_vocab_tokenize(v, spans, n_spans, SLM_BOS_NONE, ids, *n + 1, n, NULL) == SLM_OK);
    return ids;
}

static void check_round_trip(mini_open *o, int nfc, const char *text, size_t n, const int32_t *ids,
                             size_t n_ids) {
    slm_buffer want = {.host = &o->host};
    if (nfc) {
        CHECK(slm_nfc_append(&want, text, n, NULL) == SLM_OK);
    } else {
        for (size_t i = 0; i < n; i++) {
            int blank = slm_vocab_get_kind(o->v) == SLM_VOCAB_SPM && n - i >= 3 &&
                        memcmp(text + i, "\xE2\x96\x81", 3) == 0;
            CHECK(slm_buffer_append(&want, blank ? " " : text + i, 1, NULL) == SLM_OK);
            i += blank ? 2 : 0;
        }
    }
    char *back = malloc(want.len + 1);
    size_t len;
    CHECK(back);
    CHECK(slm_vocab_detokenize(o->v, ids, n_ids, SLM_DETOKENIZE_DROP_SPACE, back, want.len + 1, &len,
                               NULL) == SLM_OK);
    CHECK(len == want.len && (len == 0 || memcmp(back, want.ptr, len) == 0));
    free(back);
    slm_buffer_free(&want);
}

static void check_definition(int k, const char *text, size_t n, const int32_t *ids, size_t n_ids) {
    static int32_t want[3 * (REF_MAX + 1)];
    size_t n_want = 0;
    for (size_t i = 0; i + 6 <= n; i++)
        if (memcmp(text + i, "<tool>", 6) == 0)
            return;
    if (!PRES[k]) {
        n_want = ref_spm(&minis[k], text, n, want);
    } else {
        for (size_t pos = 0; pos < n;) {
            size_t end = slm_pretok_next(PRETOKS[k], text, n, pos);
            CHECK(end > pos && end <= n);
            n_want += ref_bpe(&minis[k], k == 0, text + pos, end - pos, want + n_want);
            pos = end;
        }
    }
    CHECK(n_ids == n_want && memcmp(ids, want, n_ids * sizeof *ids) == 0);
}

static void check_stream(const slm_vocab *v, const int32_t *ids, size_t n_ids) {
    slm_utf8_stream s = {{0}, 0};
    char bytes[64], out[3 * (sizeof bytes + 4)];
    CHECK(slm_vocab_max_token_bytes(v) <= sizeof bytes);
    for (size_t i = 0; i < n_ids; i++) {
        slm_str t = slm_vocab_token_bytes(v, ids[i], SLM_DETOKENIZE_SPECIAL, bytes);
        size_t len = slm_utf8_feed(&s, t.ptr, t.len, out);
        CHECK(slm_utf8_valid_prefix(out, len) == len);
    }
    size_t len = slm_utf8_finish(&s, out);
    CHECK(slm_utf8_valid_prefix(out, len) == len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    int k = data[0] % N_VOCABS;
    mini_open *o = &vocabs[k];
    size_t n = size - 2, cut = n ? data[1] % (n + 1) : 0, n_ids, n_cut;
    const char *text = (const char *)data + 2;
    int nfc = k == 3 && !slm_nfc_quick(text, n);
    for (uint32_t trusted = 0; trusted < 2; trusted++) {
        slm_span whole = {text, n, trusted};
        slm_span parts[2] = {{text, cut, trusted}, {text + cut, n - cut, trusted}};
        int32_t *ids = ids_of(o->v, &whole, 1, &n_ids), *again = ids_of(o->v, parts, 2, &n_cut);
        CHECK(n_ids == n_cut && memcmp(ids, again, n_ids * sizeof *ids) == 0);
        if (!trusted) {
            for (size_t i = 0; i < n_ids; i++)
                CHECK(!(slm_vocab_flags(o->v, ids[i]) & (SLM_TOKEN_CONTROL | SLM_TOKEN_UNUSED)));
            check_round_trip(o, nfc, text, n, ids, n_ids);
            if (n < REF_MAX && !nfc)
                check_definition(k, text, n, ids, n_ids);
        }
        check_stream(o->v, ids, n_ids);
        free(ids);
        free(again);
    }
    return 0;
}
