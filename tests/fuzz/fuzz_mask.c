/* Masks of any grammar (first byte even) or JSON Schema (odd): each must allow just the tokens that
 * trying their bytes, one by one, does. The vocabulary has all bytes, and texts of several that
 * share beginnings, break characters off and mix what grammars tell apart. */
#include "fuzz/guide_walk.h"
#include "unit/mini_vocab.h"

enum {
    N_BYTES = 256,
    N_PIECED = 900,
    N_TOKENS = N_BYTES + N_PIECED + 3,
    MAX_TEXT = 24,
    STEPS = 10
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const PIECES[] = {
    "a",
    "b",
    "z",
    "A",
    "Q",
    "0",
    "7",
    " ",
    "\n",
    "\t",
    "\"",
    "\\",
    "'",
    "-",
    "_",
    ".",
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    "/",
    "u",
    "e",
    "true",
    "\\u00e",
    "n",
    "t",
    "\xc3\xa9",
    "\xe6\x97\xa5",
    "\xe6",
    "\x97\xa5",
    "ab",
    "\x7f",
    "1",
    "E",
    "<",
    "0",
    "a",
    "\xf0\x9f\x98\x80",
    "\xf0\x9f",
    "\xed\xa0",
    "null",
};

static void make_vocab(slm_rng *rng, mini_open *out) {
    static char texts[N_TOKENS][2 * MAX_TEXT + 8];
    static const char *tokens[N_TOKENS];
    static int32_t types[N_TOKENS];
    static const char *const merge = "a b";
    for (size_t i = 0; i < N_BYTES + N_PIECED; i++) {
        char bytes[MAX_TEXT + 1] = "";
        size_t n_bytes = 0, n = 0, n_pieces = 2 + slm_rng_next(rng) % 4;
        for (size_t k = 0; i >= N_BYTES && k < n_pieces; k++) {
            size_t most = sizeof PIECES / sizeof *PIECES >> (k == 0 ? 2 : k == 1 ? 1 : 0);
            const char *piece = PIECES[slm_rng_next(rng) % most];
            memcpy(bytes + n_bytes, piece, strlen(piece));
            n_bytes += strlen(piece);
        }
        if (i < N_BYTES) {
            bytes[0] = (char)i;
            n_bytes = 1;
        }
        for (size_t k = 0; k < n_bytes; k++)
            n += slm_utf8_encode(slm_byte_to_cp((uint8_t)bytes[k]), texts[i] + n);
        tokens[i] = texts[i];
        types[i] = SLM_TYPE_NORMAL;
    }
    size_t n = N_BYTES + N_PIECED;
    tokens[n] = "ab";
    types[n++] = SLM_TYPE_NORMAL;
    tokens[n] = "<|im_end|>";
    types[n++] = SLM_TYPE_CONTROL;
    tokens[n] = "<tool>";
    types[n] = SLM_TYPE_USER_DEFINED;
    gb *b = gb_begin();
    gb_kv_str(b, "general.architecture", "llama");
    gb_kv_str(b, "tokenizer.ggml.model", "gpt2");
    gb_kv_str(b, "tokenizer.ggml.pre", "llama-bpe");
    gb_kv_arr_str(b, "tokenizer.ggml.tokens", tokens, N_TOKENS);
    gb_kv_arr_i32(b, "tokenizer.ggml.token_type", types, N_TOKENS);
    gb_kv_arr_str(b, "tokenizer.ggml.merges", &merge, 1);
    mini_try(out, b, NULL);
    CHECK(out->status == SLM_OK);
}

/* Whether a token may follow by its bytes, with the second guide, which makes no masks; -1 for what
 * hits a limit. */
static int may_follow(slm_matcher *m, int32_t id) {
    slm_automaton *a = &m->guide->automaton;
    const slm_vocab *v = m->guide->trie->vocab;
    char buf[MAX_TEXT + 1];
    int can_end, must_end;
    if (slm_vocab_is_end(v, id))
        return slm_matcher_state(m, &can_end, &must_end, NULL) == SLM_OK ? can_end : -1;
    slm_str bytes = slm_vocab_token_bytes(v, id, 0, buf);
    uint32_t config = m->config;
    slm_automaton_begin(a, NULL);
    for (size_t i = 0; i < bytes.len && config != 0; i++)
        config = slm_automaton_step(a, config, (uint8_t)bytes.ptr[i]);
    return a->status != SLM_OK ? -1 : config != 0;
}

/* Returns a token that the mask allows, or -1 for none and for what hits a limit. */
static int32_t compare(slm_matcher *m, slm_matcher *brute, slm_rng *rng) {
    const uint64_t *bits;
    size_t n_words;
    int32_t chosen = -1, n_allowed = 0;
    slm_status status = slm_matcher_get_mask(m, &bits, &n_words, NULL);
    CHECK(status == SLM_OK || is_limit(status));
    for (int32_t id = 0; status == SLM_OK && id < N_TOKENS; id++) {
        int may = may_follow(brute, id), is_allowed = (int)(bits[id / 64] >> (id % 64) & 1);
        if (may < 0)
            return -1;
        CHECK(may == is_allowed);
        if (is_allowed && !slm_vocab_is_end(m->guide->trie->vocab, id) &&
            slm_rng_next(rng) % (uint64_t)++n_allowed == 0)
            chosen = id;
    }
    return chosen;
}

static void walk(slm_guide *g, slm_guide *brute, slm_rng *rng) {
    slm_matcher *m = NULL, *b = NULL;
    slm_status status = slm_matcher_open(g, &m, NULL);
    if (status == SLM_OK)
        status = slm_matcher_open(brute, &b, NULL);
    for (int i = 0; status == SLM_OK && i < STEPS; i++) {
        int32_t id = compare(m, b, rng);
        if (id < 0)
            break;
        status = slm_matcher_accept(m, id, NULL);
        if (status == SLM_OK)
            status = slm_matcher_accept(b, id, NULL);
    }
    CHECK(status == SLM_OK || is_limit(status));
    slm_matcher_close(&b);
    slm_matcher_close(&m);
}

static mini_open vocab;
static slm_trie *trie;

static void close_all(void) {
    slm_trie_close(trie);
    mini_close(&vocab);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    slm_rng rng;
    (void)argc;
    (void)argv;
    slm_rng_seed(&rng, 1);
    make_vocab(&rng, &vocab);
    CHECK(slm_trie_open(&vocab.host, vocab.v, &trie, NULL) == SLM_OK);
    CHECK(trie->n_branches > 20);
    return atexit(close_all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    slm_rng rng;
    slm_guide *g, *brute;
    if (size == 0)
        return 0;
    slm_guide_options o = {.struct_size = sizeof o, .memory_limit = 16u << 20};
    slm_guide_source source = {(const char *)data + 1, size - 1, data[0] & 1};
    if (slm_guide_create(&vocab.host, &source, NULL, &o, trie, NULL, NULL, &g, NULL) != SLM_OK)
        return 0;
    CHECK(slm_guide_create(&vocab.host, &source, NULL, &o, trie, NULL, NULL, &brute, NULL) ==
          SLM_OK);
    slm_rng_seed(&rng, size);
    for (int i = 0; i < 3; i++)
        walk(g, brute, &rng);
    slm_guide_release(brute);
    slm_guide_release(g);
    return 0;
}
