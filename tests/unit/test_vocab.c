/* Opening vocabularies: what is refused and how, and what is read. */
#include "mini_vocab.h"
#include "support/fail_alloc.h"
#include "support/message_flaw.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define KEY(name) "tokenizer.ggml." name

static mini_vocab m;

/* The file is refused with this status and a message and subject that hold these words. */
static void refused(gb *b, slm_status status, const char *subject, const char *words) {
    mini_open o;
    mini_try(&o, b, NULL);
    if (o.status != status || !strstr(o.error.message, words) ||
        strcmp(o.error.subject, subject) != 0)
        fail_msg("%s, subject %s: %s\nwanted %s, %s: ...%s...", slm_status_name(o.status),
                 o.error.subject, o.error.message, slm_status_name(status), subject, words);
    assert_int_equal(o.error.status, status);
    if (message_flaw(&o.error))
        fail_msg("%s: %s", message_flaw(&o.error), o.error.message);
    assert_null(o.v);
    mini_close(&o);
    assert_int_equal(o.host.bytes, 0);
}

static void accepted(gb *b, mini_open *o) {
    mini_try(o, b, NULL);
    if (o->status != SLM_OK)
        fail_msg("%s: %s", slm_status_name(o->status), o->error.message);
}

static void closed(mini_open *o) {
    uint64_t held = o->host.bytes, heap = slm_vocab_heap_bytes(o->v);
    slm_vocab_close(o->v);
    o->v = NULL;
    assert_int_equal(held - o->host.bytes, heap);
    mini_close(o);
    assert_int_equal(o->host.bytes, 0);
}

static void good_files(void **state) {
    (void)state;
    mini_open o;
    mini_bpe(&m, "llama-bpe");
    accepted(mini_file(&m), &o);
    assert_int_equal(slm_vocab_size(o.v), m.n);
    assert_int_equal(slm_vocab_get_kind(o.v), SLM_VOCAB_BPE);
    assert_string_equal(slm_vocab_pre_name(o.v), "llama-bpe");
    assert_int_equal(slm_vocab_bos(o.v), -1);
    assert_int_equal(slm_vocab_eos(o.v), -1);
    assert_int_equal(slm_vocab_eot(o.v), mini_find(&m, "<|im_end|>"));
    assert_int_equal(slm_vocab_unk(o.v), -1);
    assert_int_equal(slm_vocab_add_bos(o.v), 1);
    assert_int_equal(slm_vocab_add_eos(o.v), 0);
    assert_int_equal(o.warnings, 0);
    assert_true(slm_vocab_score(o.v, 3) == 0.0f);
    slm_str text = slm_vocab_text(o.v, (int32_t)mini_find(&m, "<tool>"));
    assert_int_equal(text.len, 6);
    assert_memory_equal(text.ptr, "<tool>", 6);
    closed(&o);

    mini_spm(&m);
    accepted(mini_file(&m), &o);
    assert_int_equal(slm_vocab_get_kind(o.v), SLM_VOCAB_SPM);
    assert_string_equal(slm_vocab_pre_name(o.v), "spm");
    assert_int_equal(slm_vocab_bos(o.v), 1);
    assert_int_equal(slm_vocab_eos(o.v), 2);
    assert_int_equal(slm_vocab_unk(o.v), 0);
    assert_int_equal(slm_vocab_add_bos(o.v), 1);
    assert_int_equal(slm_vocab_is_end(o.v, 2), 1);
    assert_int_equal(slm_vocab_is_end(o.v, -1), 0);
    assert_int_equal(slm_vocab_is_end(o.v, (int32_t)m.n), 0);
    assert_true(slm_vocab_score(o.v, (int32_t)mini_find(&m, "ab")) == -3.0f);
    closed(&o);
    slm_vocab_close(NULL);
}

static void test_tokens(void **state) {
    (void)state;
    for (int spm = 0; spm < 2; spm++) {
        if (spm)
            mini_spm(&m);
        else
            mini_bpe(&m, "gpt-2");
        m.without |= MINI_NO_TOKENS;
        refused(mini_file(&m), SLM_ERR_MISSING, KEY("tokens"),
                "key 'tokenizer.ggml.tokens' is missing");
        m.without &= ~MINI_NO_TOKENS;
        m.n = 0;
        refused(mini_file(&m), SLM_ERR_MISSING, KEY("tokens"),
                "tokenizer.ggml.tokens: got 0 tokens, wanted at least 2");
        m.n = 1;
        refused(mini_file(&m), SLM_ERR_MISSING, KEY("tokens"), "got 1 tokens, wanted at least 2");
        m.n = 2;
        if (!spm) {
            refused(mini_file(&m), SLM_ERR_MISSING, KEY("tokens"),
                    "got tokens for 2 bytes, wanted all 256; the first without one is 0x02");
            continue;
        }
        mini_open o; /* everything is unknown then */
        accepted(mini_file(&m), &o);
        assert_int_equal(slm_vocab_bos(o.v), 1);
        assert_int_equal(slm_vocab_eos(o.v), -1);
        closed(&o);
    }

    mini_bpe(&m, "gpt-2");
    m.without = MINI_NO_TOKENS | MINI_NO_TYPES | MINI_NO_SCORES;
    gb *b = mini_file(&m);
    gb_kv_u32(b, KEY("tokens"), 7);
    refused(b, SLM_ERR_TYPE, KEY("tokens"), "is of type u32, wanted array of string");
    b = mini_file(&m);
    gb_kv_arr_u32(b, KEY("tokens"), (uint32_t[]){1, 2}, 2);
    refused(b, SLM_ERR_TYPE, KEY("tokens"), "is of type array of u32, wanted array of string");
}

static void test_too_many_tokens(void **state) {
    (void)state;
    size_t n = SLM_VOCAB_MAX_TOKENS + 1;
    const char **tokens = malloc(n * sizeof *tokens);
    char *texts = malloc(n * 8);
    assert_non_null(tokens);
    assert_non_null(texts);
    mini_bpe(&m, "gpt-2");
    for (size_t i = 0; i < n; i++) {
        snprintf(texts + i * 8, 8, "%zx", i);
        tokens[i] = i < m.n ? m.tokens[i] : texts + i * 8;
    }
    m.without = MINI_NO_TOKENS | MINI_NO_TYPES | MINI_NO_SCORES;
    for (int over = 0; over < 2; over++) {
        gb *b = mini_file(&m);
        gb_kv_arr_str(b, KEY("tokens"), tokens, n - 1 + (size_t)over);
        if (over) {
            refused(b, SLM_ERR_LIMIT, KEY("tokens"), "got 1048577 tokens");
        } else {
            mini_open o;
            accepted(b, &o);
            closed(&o);
        }
    }
    free(tokens);
    free(texts);
}

static void test_lengths_and_types(void **state) {
    (void)state;
    static const float zeros[MINI_MAX_TOKENS];
    static const int32_t ones[MINI_MAX_TOKENS] = {1};
    for (int d = -1; d <= 1; d += 2) {
        mini_bpe(&m, "gpt-2");
        m.without = MINI_NO_TYPES;
        gb *b = mini_file(&m);
        gb_kv_arr_i32(b, KEY("token_type"), m.types, m.n + (size_t)(ptrdiff_t)d);
        char words[80];
        snprintf(words, sizeof words, "'tokenizer.ggml.token_type' has %d elements, wanted %d",
                 (int)m.n + d, (int)m.n);
        refused(b, SLM_ERR_SHAPE, KEY("token_type"), words);
        mini_spm(&m);
        m.without |= MINI_NO_SCORES;
        b = mini_file(&m);
        gb_kv_arr_f32(b, KEY("scores"), m.scores, m.n + (size_t)(ptrdiff_t)d);
        snprintf(words, sizeof words, "'tokenizer.ggml.scores' has %d elements, wanted %d",
                 (int)m.n + d, (int)m.n);
        refused(b, SLM_ERR_SHAPE, KEY("scores"), words);
    }
    mini_bpe(&m, "gpt-2");
    m.without = MINI_NO_TYPES;
    gb *b = mini_file(&m);
    gb_kv_arr_f32(b, KEY("token_type"), zeros, m.n);
    refused(b, SLM_ERR_TYPE, KEY("token_type"), "is of type array of f32, wanted array of i32");
    b = mini_file(&m);
    gb_kv_str(b, KEY("token_type"), "1");
    refused(b, SLM_ERR_TYPE, KEY("token_type"), "is of type string, wanted array of i32");
    b = mini_file(&m);
    gb_kv_bytes(b, KEY("token_type"), SLM_GGUF_ARRAY, "\0\0\0\0\4\0\0\0\0\0\0\0\1\1\1\1", 16);
    refused(b, SLM_ERR_TYPE, KEY("token_type"), "is of type array of u8, wanted array of i32");

    mini_spm(&m);
    m.without |= MINI_NO_SCORES;
    refused(mini_file(&m), SLM_ERR_MISSING, KEY("scores"), "key 'tokenizer.ggml.scores' is missing");
    b = mini_file(&m);
    gb_kv_bytes(b, KEY("scores"), SLM_GGUF_ARRAY, "\0\0\0\0\4\0\0\0\0\0\0\0\1\1\1\1", 16);
    refused(b, SLM_ERR_TYPE, KEY("scores"), "is of type array of u8, wanted array of f32");
    b = mini_file(&m);
    gb_kv_arr_u32(b, KEY("scores"), (const uint32_t *)ones, m.n);
    refused(b, SLM_ERR_TYPE, KEY("scores"), "is of type array of u32, wanted array of f32");
    mini_open o;
    b = mini_file(&m);
    gb_kv_arr_i32(b, KEY("scores"), ones, m.n); /* some files have them as integers */
    accepted(b, &o);
    assert_true(slm_vocab_score(o.v, 0) == 1.0f);
    closed(&o);

    static const uint32_t not_finite[] = {0x7F800000, 0xFF800000, 0x7FC00000};
    for (size_t i = 0; i < COUNT(not_finite); i++) {
        mini_spm(&m);
        memcpy(&m.scores[262], &not_finite[i], 4);
        refused(mini_file(&m), SLM_ERR_RANGE, KEY("scores"),
                "tokenizer.ggml.scores: the score of token 262 is ");
    }
    mini_bpe(&m, "gpt-2"); /* where scores mean nothing */
    memcpy(&m.scores[5], &not_finite[0], 4);
    accepted(mini_file(&m), &o);
    closed(&o);
}

static void test_type_values(void **state) {
    (void)state;
    static const int32_t wrong[] = {0, 7, -1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        mini_bpe(&m, "gpt-2");
        m.types[17] = wrong[i];
        char words[80];
        snprintf(words, sizeof words, "token_type: token 17 has type %d, wanted 1 to 6", wrong[i]);
        refused(mini_file(&m), SLM_ERR_RANGE, KEY("token_type"), words);
    }
    mini_bpe(&m, "gpt-2"); /* no types at all: all are normal */
    m.without = MINI_NO_TYPES;
    mini_open o;
    accepted(mini_file(&m), &o);
    assert_int_equal(slm_vocab_flags(o.v, (int32_t)mini_find(&m, "<|bos|>")), 0);
    closed(&o);
}

static void test_odd_spellings(void **state) {
    (void)state;
    char *big = malloc((1 << 20) + 1);
    assert_non_null(big);
    memset(big, 'q', 1 << 20);
    static const size_t lengths[] = {4096, 4097, 1 << 20};
    mini_open o;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        big[lengths[i]] = 0;
        mini_bpe(&m, "gpt-2");
        size_t id = mini_add(&m, big, SLM_TYPE_NORMAL, 0);
        if (lengths[i] > SLM_VOCAB_MAX_TOKEN_BYTES) {
            char words[80];
            snprintf(words, sizeof words, "token %zu has %zu bytes, wanted at most 4096", id,
                     lengths[i]);
            refused(mini_file(&m), SLM_ERR_LIMIT, KEY("tokens"), words);
        } else {
            accepted(mini_file(&m), &o);
            assert_int_equal(slm_vocab_max_token_bytes(o.v), 4096);
            assert_int_equal(slm_vocab_find(o.v, big, 4096), id);
            closed(&o);
        }
        big[lengths[i]] = 'q';
    }
    for (int over = 0; over < 2; over++) { /* control and user-defined tokens */
        big[256 + over] = 0;
        mini_bpe(&m, "gpt-2");
        mini_add(&m, big, over ? SLM_TYPE_CONTROL : SLM_TYPE_USER_DEFINED, 0);
        if (over) {
            refused(mini_file(&m), SLM_ERR_LIMIT, KEY("tokens"), "257 bytes, wanted at most 256");
        } else {
            accepted(mini_file(&m), &o);
            closed(&o);
        }
        big[256 + over] = 'q';
    }
    free(big);

    mini_bpe(&m, "gpt-2");
    size_t empty = mini_add(&m, "", SLM_TYPE_NORMAL, 0);
    mini_add(&m, "", SLM_TYPE_CONTROL, 0);
    size_t bad = mini_add(&m, "\xFF\xC3(", SLM_TYPE_NORMAL, 0);
    accepted(mini_file(&m), &o);
    assert_int_equal(o.warnings, 0);
    assert_int_equal(slm_vocab_text(o.v, (int32_t)empty).len, 0);
    assert_int_equal(slm_vocab_find(o.v, "", 0), -1);
    assert_int_equal(slm_vocab_find(o.v, "\xFF\xC3(", 3), bad);
    char buf[4096];
    slm_str s = slm_vocab_token_bytes(o.v, (int32_t)bad, 0, buf);
    assert_int_equal(s.len, 3);
    assert_memory_equal(s.ptr, "\xFF\xC3(", 3);
    closed(&o);

    /* NUL inside: an array of two strings, written by hand behind the others. */
    mini_spm(&m);
    m.without |= MINI_NO_TOKENS | MINI_NO_TYPES | MINI_NO_SCORES;
    static const uint8_t array[] = {8, 0, 0, 0, 2, 0, 0, 0, 0,   0, 0, 0, 5, 0, 0,   0,   0,
                                    0, 0, 0, '<', 'u', 'n', 'k', '>', 3, 0, 0, 0, 0, 0, 0, 0,
                                    'a', 0,   'b'};
    gb *b = mini_file(&m);
    gb_kv_bytes(b, KEY("tokens"), SLM_GGUF_ARRAY, array, sizeof array);
    gb_kv_arr_f32(b, KEY("scores"), m.scores, 2);
    accepted(b, &o);
    assert_int_equal(slm_vocab_find(o.v, "a\0b", 3), 1);
    closed(&o);
}

static void test_duplicates(void **state) {
    (void)state;
    mini_bpe(&m, "gpt-2");
    size_t first = mini_find(&m, "the");
    size_t again = mini_add(&m, "the", SLM_TYPE_NORMAL, 0);
    mini_add(&m, "the", SLM_TYPE_NORMAL, 0);
    mini_open o;
    accepted(mini_file(&m), &o);
    assert_int_equal(o.warnings, 1);
    char words[80];
    snprintf(words, sizeof words, "2 spellings occur more than once, the first again at token %zu",
             again);
    assert_non_null(strstr(o.warning, words));
    assert_int_equal(slm_vocab_find(o.v, "the", 3), first);
    slm_span span = {"the", 3, 0};
    int32_t id;
    size_t n;
    assert_int_equal(slm_vocab_tokenize(o.v, &span, 1, SLM_BOS_NONE, &id, 1, &n, NULL), SLM_OK);
    assert_int_equal(id, first);
    closed(&o);
}

static void test_byte_tokens(void **state) {
    (void)state;
    static const char *const wrong[] = {"<0x-1>", "<0xZZ>", "<0x1>", "<0x001>", "<0x0G>", "0x01",
                                        "<0x+1>", "<0x 1>", "<1x01>", "<0x01)", ""};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        mini_spm(&m);
        m.tokens[4] = wrong[i];
        char words[80];
        snprintf(words, sizeof words, "tokens: byte token 4 is spelt \"%s\", wanted <0xHH>",
                 wrong[i]);
        refused(mini_file(&m), SLM_ERR_FORMAT, KEY("tokens"), words);
    }
    mini_spm(&m);
    m.types[3 + 0xC3] = SLM_TYPE_UNUSED;
    refused(mini_file(&m), SLM_ERR_MISSING, KEY("tokens"),
            "got tokens for 255 bytes, wanted all 256; the first without one is 0xC3");
    mini_spm(&m); /* small digits are as good */
    m.tokens[3 + 0xAB] = "<0xab>";
    mini_open o;
    accepted(mini_file(&m), &o);
    slm_span span = {"\xAB", 1, 0};
    int32_t ids[2];
    size_t n;
    assert_int_equal(slm_vocab_tokenize(o.v, &span, 1, SLM_BOS_NONE, ids, 2, &n, NULL), SLM_OK);
    assert_int_equal(ids[n - 1], 3 + 0xAB);
    closed(&o);

    mini_bpe(&m, "gpt-2"); /* a byte without a token */
    m.types[0x41] = SLM_TYPE_UNUSED;
    refused(mini_file(&m), SLM_ERR_MISSING, KEY("tokens"), "the first without one is 0x41");
    gb *b = mini_file(&m); /* but an unknown token may stand for it */
    gb_kv_u32(b, KEY("unknown_token_id"), 3);
    accepted(b, &o);
    span.text = "A";
    assert_int_equal(slm_vocab_tokenize(o.v, &span, 1, SLM_BOS_NONE, ids, 2, &n, NULL), SLM_OK);
    assert_int_equal(ids[0], 3);
    closed(&o);
}

static void test_merges(void **state) {
    (void)state;
    static const struct {
        const char *merge, *words;
    } wrong[] = {
        {"ab", "merges: merge 3 is \"ab\": no space, wanted two parts"},
        {"", "merge 3 is \"\": no space"},
        {" ", "merge 3 is \" \": no space"},
        {"a ", "merge 3 is \"a \": the second part is empty, wanted two"},
        {"a b c", "merge 3 is \"a b c\": three parts, wanted two"},
        {"qq a", "merge 3 is \"qq a\": the first part is no token"},
        {"a qq", "merge 3 is \"a qq\": the second part is no token"},
        {"q q", "merge 3 is \"q q\": its result is no token"},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        mini_bpe(&m, "gpt-2");
        m.merges[3] = wrong[i].merge;
        refused(mini_file(&m), SLM_ERR_FORMAT, KEY("merges"), wrong[i].words);
    }
    mini_bpe(&m, "gpt-2");
    m.without = MINI_NO_MERGES;
    refused(mini_file(&m), SLM_ERR_MISSING, KEY("merges"),
            "key 'tokenizer.ggml.merges' is missing");
    gb *b = mini_file(&m);
    gb_kv_arr_u32(b, KEY("merges"), (uint32_t[]){1, 2}, 2);
    refused(b, SLM_ERR_TYPE, KEY("merges"), "is of type array of u32, wanted array of string");
    b = mini_file(&m);
    gb_kv_arr_i32(b, KEY("merges"), (int32_t[]){1, 2}, 2);
    refused(b, SLM_ERR_TYPE, KEY("merges"), "is of type array of i32, wanted array of string");

    /* A merge given twice counts where it stands first; one into a control token never applies. */
    mini_bpe(&m, "gpt-2");
    m.types[mini_find(&m, "the")] = SLM_TYPE_CONTROL;
    m.merges[m.n_merges++] = "a a";
    mini_open o;
    accepted(mini_file(&m), &o);
    slm_span span = {"aathe", 5, 0};
    int32_t ids[8];
    size_t n;
    assert_int_equal(slm_vocab_tokenize(o.v, &span, 1, SLM_BOS_NONE, ids, 8, &n, NULL), SLM_OK);
    assert_int_equal(n, 3);
    assert_int_equal(ids[0], mini_find(&m, "aa"));
    assert_int_equal(ids[1], mini_find(&m, "th"));
    closed(&o);
    mini_bpe(&m, "gpt-2"); /* no merges: bytes */
    m.n_merges = 0;
    accepted(mini_file(&m), &o);
    closed(&o);
}

static void test_too_many_merges(void **state) {
    (void)state;
    size_t n = SLM_VOCAB_MAX_MERGES + 1;
    const char **merges = malloc(n * sizeof *merges);
    assert_non_null(merges);
    for (size_t i = 0; i < n; i++)
        merges[i] = "a a";
    mini_bpe(&m, "gpt-2");
    m.without = MINI_NO_MERGES;
    gb *b = mini_file(&m);
    gb_kv_arr_str(b, KEY("merges"), merges, n);
    refused(b, SLM_ERR_LIMIT, KEY("merges"), "got 4194305 merges, wanted at most 4194304");
    free(merges);
}

static void test_special_ids(void **state) {
    (void)state;
    static const char *const keys[] = {
        KEY("bos_token_id"),     KEY("eos_token_id"),       KEY("eot_token_id"),
        KEY("eom_token_id"),     KEY("unknown_token_id"),   KEY("seperator_token_id"),
        KEY("padding_token_id"), KEY("mask_token_id"),      KEY("fim_pre_token_id"),
        KEY("fim_suf_token_id"), KEY("fim_mid_token_id"),   KEY("fim_pad_token_id"),
        KEY("fim_rep_token_id"), KEY("fim_sep_token_id")};
    for (size_t i = 0; i < COUNT(keys); i++) {
        for (int spm = 0; spm < 2; spm++) {
            if (spm)
                mini_spm(&m);
            else
                mini_bpe(&m, "gpt-2");
            gb *b = mini_file(&m);
            char words[120];
            gb_kv_u32(b, keys[i], (uint32_t)m.n);
            snprintf(words, sizeof words, "key '%s' is %zu, wanted 0 to %zu", keys[i], m.n,
                     m.n - 1);
            refused(b, SLM_ERR_RANGE, keys[i], words);
            b = mini_file(&m);
            gb_kv_u32(b, keys[i], UINT32_MAX);
            snprintf(words, sizeof words, "key '%s' is 4294967295, wanted 0 to ", keys[i]);
            refused(b, SLM_ERR_RANGE, keys[i], words);
            b = mini_file(&m);
            gb_kv_i32(b, keys[i], -1);
            snprintf(words, sizeof words, "key '%s' is -1, wanted 0 to ", keys[i]);
            refused(b, SLM_ERR_RANGE, keys[i], words);
            b = mini_file(&m);
            gb_kv_str(b, keys[i], "1");
            refused(b, SLM_ERR_TYPE, keys[i], "is of type string, wanted an integer");
            mini_open o;
            b = mini_file(&m);
            gb_kv_u32(b, keys[i], (uint32_t)m.n - 1);
            accepted(b, &o);
            closed(&o);
        }
    }
    static const char *const bools[] = {KEY("add_bos_token"), KEY("add_eos_token"),
                                        KEY("add_space_prefix")};
    for (size_t i = 0; i < COUNT(bools); i++) {
        mini_spm(&m);
        gb *b = mini_file(&m);
        gb_kv_u32(b, bools[i], 1);
        refused(b, SLM_ERR_TYPE, bools[i], "is of type u32, wanted bool");
    }
}

static void test_names(void **state) {
    (void)state;
    static const char *const models[] = {"bert", "t5", "none", "", "GPT2", "gpt2 "};
    for (size_t i = 0; i < COUNT(models); i++) {
        mini_bpe(&m, "gpt-2");
        m.model = models[i];
        char words[80];
        snprintf(words, sizeof words, "tokenizer.ggml.model: got \"%s\", wanted gpt2 or llama",
                 models[i]);
        refused(mini_file(&m), SLM_ERR_UNSUP, KEY("model"), words);
    }
    mini_bpe(&m, "gpt-2");
    m.model = NULL;
    refused(mini_file(&m), SLM_ERR_MISSING, KEY("model"), "key 'tokenizer.ggml.model' is missing");
    static const char *const pres[] = {"default", "", "qwen3", "llama-bpe2", "deepseek-llm"};
    for (size_t i = 0; i < COUNT(pres); i++) {
        mini_bpe(&m, pres[i]);
        char words[80];
        snprintf(words, sizeof words, "tokenizer.ggml.pre: got \"%s\", wanted one of llama-bpe, ",
                 pres[i]);
        refused(mini_file(&m), SLM_ERR_UNSUP, KEY("pre"), words);
    }
    mini_bpe(&m, NULL);
    refused(mini_file(&m), SLM_ERR_MISSING, KEY("pre"), "tokenizer.ggml.pre is missing: the");

    static const struct {
        const char *alias, *name;
        int add_bos;
    } known[] = {
        {"llama-bpe", "llama-bpe", 1}, {"llama3", "llama-bpe", 1},     {"llama-v3", "llama-bpe", 1},
        {"falcon3", "llama-bpe", 1},   {"lfm2", "llama-bpe", 1},       {"pixtral", "llama-bpe", 1},
        {"qwen2", "qwen2", 0},         {"deepseek-r1-qwen", "qwen2", 0}, {"megrez", "qwen2", 0},
        {"gpt-4o", "gpt-4o", 0},       {"llama4", "gpt-4o", 0},        {"gpt-2", "gpt-2", 0},
    };
    for (size_t i = 0; i < COUNT(known); i++) {
        mini_open o;
        mini_bpe(&m, known[i].alias);
        accepted(mini_file(&m), &o);
        assert_string_equal(slm_vocab_pre_name(o.v), known[i].name);
        assert_int_equal(slm_vocab_add_bos(o.v), known[i].add_bos);
        closed(&o);
        gb *b = mini_file(&m);
        gb_kv_bool(b, KEY("add_bos_token"), !known[i].add_bos);
        gb_kv_bool(b, KEY("add_eos_token"), 1);
        accepted(b, &o);
        assert_int_equal(slm_vocab_add_bos(o.v), !known[i].add_bos);
        assert_int_equal(slm_vocab_add_eos(o.v), 1);
        closed(&o);
    }
}

/* The converter of BitNet writes no name for Llama 3's pre-tokenizer. */
static void bitnet_without_pre(void **state) {
    (void)state;
    mini_open o;
    mini_bpe(&m, NULL);
    m.model = NULL;
    gb *b = gb_begin();
    gb_kv_str(b, "general.architecture", "bitnet-b1.58");
    gb_kv_str(b, KEY("model"), "gpt2");
    gb_kv_arr_str(b, KEY("tokens"), m.tokens, m.n);
    gb_kv_arr_i32(b, KEY("token_type"), m.types, m.n);
    gb_kv_arr_f32(b, KEY("scores"), m.scores, m.n);
    gb_kv_arr_str(b, KEY("merges"), m.merges, m.n_merges);
    accepted(b, &o);
    assert_string_equal(slm_vocab_pre_name(o.v), "llama-bpe");
    closed(&o);
}

/* No normalizer is read, so a whole one is refused like one cut short or with offsets that lead
 * nowhere. */
static void test_normalizer(void **state) {
    (void)state;
    static const uint8_t whole[] = {0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0,
                                    4, 0, 0, 0, 1,  2, 3, 4, 'a', 0, 'b', 0};
    static const uint8_t far_off[] = {0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 1};
    for (uint8_t n = 0; n <= 12; n++) {
        uint8_t blob[sizeof whole];
        memcpy(blob, whole, sizeof whole);
        blob[4] = n;
        mini_spm(&m);
        gb *b = mini_file(&m);
        gb_kv_bytes(b, KEY("precompiled_charsmap"), SLM_GGUF_ARRAY, blob, 12u + n);
        if (n == 0) { /* none at all */
            mini_open o;
            accepted(b, &o);
            closed(&o);
            continue;
        }
        char words[80];
        snprintf(words, sizeof words, "got a normalizer of SentencePiece, %u bytes, which is not", n);
        refused(b, SLM_ERR_UNSUP, KEY("precompiled_charsmap"), words);
    }
    mini_spm(&m);
    gb *b = mini_file(&m);
    gb_kv_bytes(b, KEY("precompiled_charsmap"), SLM_GGUF_ARRAY, far_off, sizeof far_off);
    refused(b, SLM_ERR_UNSUP, KEY("precompiled_charsmap"), "5 bytes, which is not supported");
}

static void end_tokens(void **state) {
    (void)state;
    static const char *const ends[] = {"<|eot_id|>",    "<|im_end|>",  "<|end|>",     "<end_of_turn>",
                                       "<EOT>",         "<|return|>",  "<|call|>",    "<|endoftext|>",
                                       "</s>",          "<|eom_id|>",  "<|end_of_text|>", "<eos>",
                                       "<|fim_pad|>",   "<|repo_name|>", "<|file_sep|>"};
    for (size_t i = 0; i < COUNT(ends); i++) {
        for (int32_t type = SLM_TYPE_NORMAL; type <= SLM_TYPE_UNUSED; type++) {
            mini_bpe(&m, "gpt-2");
            m.n -= 5; /* without its own special tokens */
            size_t id = mini_add(&m, ends[i], type, 0);
            mini_open o;
            accepted(mini_file(&m), &o);
            int special = type == SLM_TYPE_CONTROL || type == SLM_TYPE_USER_DEFINED;
            assert_int_equal(slm_vocab_is_end(o.v, (int32_t)id), special);
            /* What ends a generation is a control token, which users cannot type. */
            if (special)
                assert_int_equal(slm_vocab_flags(o.v, (int32_t)id),
                                 SLM_TOKEN_CONTROL | SLM_TOKEN_END);
            assert_int_equal(slm_vocab_eot(o.v), special && i < 5 ? (int32_t)id : -1);
            closed(&o);
        }
    }
    static const char *const keys[] = {KEY("eos_token_id"),     KEY("eot_token_id"),
                                       KEY("eom_token_id"),     KEY("fim_pad_token_id"),
                                       KEY("fim_rep_token_id"), KEY("fim_sep_token_id")};
    for (size_t i = 0; i < COUNT(keys); i++) {
        mini_open o;
        mini_bpe(&m, "gpt-2");
        gb *b = mini_file(&m);
        gb_kv_u32(b, keys[i], 65);
        accepted(b, &o);
        assert_int_equal(slm_vocab_is_end(o.v, 65), 1);
        assert_int_equal(slm_vocab_is_end(o.v, 66), 0);
        closed(&o);
    }
}

static void token_flags(void **state) {
    (void)state;
    static const uint32_t want[] = {0, SLM_TOKEN_UNKNOWN, SLM_TOKEN_CONTROL, SLM_TOKEN_USER_DEFINED,
                                    SLM_TOKEN_UNUSED, SLM_TOKEN_BYTE};
    mini_open o;
    mini_bpe(&m, "gpt-2");
    size_t id = mini_add(&m, "<0x07>", SLM_TYPE_NORMAL, 0);
    for (int32_t type = 1; type <= 6; type++) {
        m.types[id] = type;
        accepted(mini_file(&m), &o);
        assert_int_equal(slm_vocab_flags(o.v, (int32_t)id), want[type - 1]);
        closed(&o);
    }
}

/* Texts chosen to fall on one slot make an error, not minutes. FNV-1a of "aXb" differs for every X,
 * so collisions are searched for among short texts. */
static void colliding_spellings(void **state) {
    (void)state;
    enum { N = 1200, MASK = 4095 };
    static char texts[N][12];
    static const char *tokens[256 + N];
    mini_bpe(&m, "gpt-2");
    for (size_t i = 0; i < 256; i++)
        tokens[i] = m.tokens[i];
    size_t found = 0;
    for (uint32_t i = 0; found < N; i++) {
        int len = snprintf(texts[found], sizeof texts[found], "#%x", i);
        if ((slm_hash_fold(slm_hash_bytes(SLM_HASH_START, texts[found], (size_t)len)) & MASK) == 5) {
            tokens[256 + found] = texts[found];
            found++;
        }
    }
    m.without = MINI_NO_TOKENS | MINI_NO_TYPES | MINI_NO_SCORES | MINI_NO_MERGES;
    gb *b = mini_file(&m);
    gb_kv_arr_str(b, KEY("tokens"), tokens, 256 + N);
    refused(b, SLM_ERR_LIMIT, KEY("tokens"), "shares its hash value with more than");
}

/* Every allocation of opening and of each call fails once, and all from there on. */
static void use_vocab(mini_open *o) {
    slm_span spans[] = {{"the <|im_end|> xe\xCC\x81 ", SLM_NTS, 1},
                        {"abababababababababababababab the ", SLM_NTS, 0},
                        {"aa", SLM_NTS, 0}};
    int32_t ids[256];
    char text[512];
    size_t n = 0, len;
    if (o->status == SLM_OK)
        o->status = slm_vocab_tokenize(o->v, spans, 3, SLM_BOS_DEFAULT, ids, 256, &n, &o->error);
    if (o->status == SLM_OK)
        o->status = slm_vocab_detokenize(o->v, ids, n, 0, text, sizeof text, &len, &o->error);
}

static void failing_allocations(void **state) {
    (void)state;
    static const char *const pres[] = {"llama-bpe", "qwen2", "gpt-4o", "gpt-2", NULL};
    for (size_t k = 0; k < COUNT(pres); k++) {
        for (int for_good = 0; for_good < 2; for_good++) {
            fail_alloc fa = FAIL_ALLOC_INIT;
            fa.for_good = for_good;
            for (fa.fail_at = 1;; fa.fail_at++) {
                if (pres[k])
                    mini_bpe(&m, pres[k]);
                else
                    mini_spm(&m);
                slm_allocator a = fail_alloc_start(&fa);
                mini_open o;
                mini_try(&o, mini_file(&m), &a);
                use_vocab(&o);
                int reached = fa.calls >= fa.fail_at;
                assert_int_equal(o.status, reached ? SLM_ERR_NOMEM : SLM_OK);
                if (reached)
                    assert_int_equal(o.error.status, SLM_ERR_NOMEM);
                if (reached && o.v && !for_good) { /* a second try works */
                    o.status = SLM_OK;
                    use_vocab(&o);
                    assert_int_equal(o.status, SLM_OK);
                }
                mini_close(&o);
                assert_int_equal(fa.outstanding, 0);
                if (!reached)
                    break;
            }
            assert_true(fa.fail_at > 10);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_files),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_too_many_tokens),
        cmocka_unit_test(test_lengths_and_types),
        cmocka_unit_test(test_type_values),
        cmocka_unit_test(test_odd_spellings),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_byte_tokens),
        cmocka_unit_test(test_merges),
        cmocka_unit_test(test_too_many_merges),
        cmocka_unit_test(test_special_ids),
        cmocka_unit_test(test_names),
        cmocka_unit_test(bitnet_without_pre),
        cmocka_unit_test(test_normalizer),
        cmocka_unit_test(end_tokens),
        cmocka_unit_test(token_flags),
        cmocka_unit_test(colliding_spellings),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests_name("vocab", tests, NULL, NULL);
}
