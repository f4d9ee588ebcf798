/* Reading tokenizer.ggml.* as hostile input. Keys: github.com/ggml-org/ggml docs/gguf.md. */
#include "text/unicode.h"
#include "text/vocab_impl.h"

#include <math.h>
#include <string.h>

#define KEY(name) "tokenizer.ggml." name

static int str_is(slm_str s, const char *text) {
    return s.len == strlen(text) && memcmp(s.ptr, text, s.len) == 0;
}
static int str_starts(slm_str s, const char *text) {
    return s.len >= strlen(text) && memcmp(s.ptr, text, strlen(text)) == 0;
}

/* ---- GPT-2's printable bytes ---- */

static int prints_as_itself(uint32_t byte) {
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

/* The other 68 bytes take U+0100 and up in order: 0x00-0x20, 0x7F-0xA0, 0xAD. */
uint32_t slm_byte_to_cp(uint8_t byte) {
    if (prints_as_itself(byte))
        return byte;
    if (byte <= 0x20)
        return 0x100u + byte;
    if (byte <= 0xA0)
        return 0x121u + (byte - 0x7Fu);
    return 0x143u;
}

int slm_cp_to_byte(uint32_t cp) {
    if (cp <= 0xFF)
        return prints_as_itself(cp) ? (int)cp : -1;
    if (cp <= 0x120)
        return (int)(cp - 0x100);
    if (cp <= 0x142)
        return (int)(cp - 0x121 + 0x7F);
    return cp == 0x143 ? 0xAD : -1;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

int slm_parse_byte_token(const char *text, size_t len) {
    if (len != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>')
        return -1;
    int hi = hex_digit(text[3]), lo = hex_digit(text[4]);
    return hi < 0 || lo < 0 ? -1 : hi * 16 + lo;
}

/* ---- kinds ---- */

typedef struct pre_kind {
    const char *name; /* as in the file */
    slm_pretok pretok;
    const char *canonical;
} pre_kind;

static const pre_kind PRE_KINDS[] = {
    {"llama-bpe", SLM_PRETOK_LLAMA3, "llama-bpe"},
    {"llama3", SLM_PRETOK_LLAMA3, "llama-bpe"},
    {"llama-v3", SLM_PRETOK_LLAMA3, "llama-bpe"},
    {"falcon3", SLM_PRETOK_LLAMA3, "llama-bpe"},
    {"lfm2", SLM_PRETOK_LLAMA3, "llama-bpe"},
    {"pixtral", SLM_PRETOK_LLAMA3, "llama-bpe"},
    {"qwen2", SLM_PRETOK_QWEN2, "qwen2"},
    {"deepseek-r1-qwen", SLM_PRETOK_QWEN2, "qwen2"},
    {"megrez", SLM_PRETOK_QWEN2, "qwen2"},
    {"gpt-4o", SLM_PRETOK_GPT4O, "gpt-4o"},
    {"llama4", SLM_PRETOK_GPT4O, "gpt-4o"},
    {"gpt-2", SLM_PRETOK_GPT2, "gpt-2"},
};

static slm_status set_pretok(slm_vocab *v, const slm_gguf *g, slm_str architecture,
                             slm_error *error) {
    slm_str pre = {NULL, 0};
    SLM_TRY(slm_gguf_get_str(g, KEY("pre"), 0, &pre, error));
    if (!pre.ptr) {
        /* Only the converter of BitNet leaves it out, whose vocabulary is Llama 3's. */
        if (!str_starts(architecture, "bitnet"))
            return slm_fail(error, SLM_ERR_MISSING, KEY("pre"), SLM_NO_OFFSET,
                            "key " KEY("pre") " is missing: the tokenizer \"gpt2\" needs it");
        pre = (slm_str){"llama-bpe", 9};
    }
    for (size_t i = 0; i < sizeof PRE_KINDS / sizeof *PRE_KINDS; i++) {
        if (!str_is(pre, PRE_KINDS[i].name))
            continue;
        v->pretok = PRE_KINDS[i].pretok;
        v->pre_name = PRE_KINDS[i].canonical;
        v->ignore_merges = v->add_bos = v->pretok == SLM_PRETOK_LLAMA3;
        v->nfc = v->pretok == SLM_PRETOK_QWEN2;
        return SLM_OK;
    }
    return slm_fail(error, SLM_ERR_UNSUP, KEY("pre"), SLM_NO_OFFSET,
                    KEY("pre") ": got \"%.*s\", wanted one of llama-bpe, llama3, llama-v3, "
                    "falcon3, lfm2, pixtral, qwen2, deepseek-r1-qwen, megrez, gpt-4o, llama4, gpt-2",
                    (int)(pre.len < 64 ? pre.len : 64), pre.ptr);
}

static slm_status set_kind(slm_vocab *v, const slm_gguf *g, slm_str architecture,
                           slm_error *error) {
    slm_str model = {NULL, 0};
    SLM_TRY(slm_gguf_get_str(g, KEY("model"), 1, &model, error));
    if (str_is(model, "gpt2")) {
        v->kind = SLM_VOCAB_BPE;
        SLM_TRY(set_pretok(v, g, architecture, error));
    } else if (str_is(model, "llama")) {
        v->kind = SLM_VOCAB_SPM;
        v->pre_name = "spm";
        v->add_bos = v->add_space_prefix = 1;
        const slm_gguf_kv *map = slm_gguf_find(g, KEY("precompiled_charsmap"));
        if (map && map->count > 0)
            return slm_fail(error, SLM_ERR_UNSUP, KEY("precompiled_charsmap"), map->offset,
                            KEY("precompiled_charsmap") ": got a normalizer of SentencePiece, "
                            "%llu bytes, which is not supported: wanted none",
                            (unsigned long long)map->bytes);
    } else {
        return slm_fail(error, SLM_ERR_UNSUP, KEY("model"), SLM_NO_OFFSET,
                        KEY("model") ": got \"%.*s\", wanted gpt2 or llama",
                        (int)(model.len < 64 ? model.len : 64), model.ptr);
    }
    SLM_TRY(slm_gguf_get_bool(g, KEY("add_bos_token"), 0, &v->add_bos, error));
    SLM_TRY(slm_gguf_get_bool(g, KEY("add_eos_token"), 0, &v->add_eos, error));
    if (v->kind == SLM_VOCAB_SPM)
        SLM_TRY(slm_gguf_get_bool(g, KEY("add_space_prefix"), 0, &v->add_space_prefix, error));
    return SLM_OK;
}

/* ---- tokens, types, scores ---- */

static slm_status read_tokens(slm_vocab *v, const slm_gguf *g, slm_error *error) {
    const slm_gguf_kv *kv = NULL;
    SLM_TRY(slm_gguf_get_array(g, KEY("tokens"), 1, SLM_GGUF_STRING, UINT64_MAX, &kv, error));
    if (kv->count < 2)
        return slm_fail(error, SLM_ERR_MISSING, KEY("tokens"), kv->offset,
                        KEY("tokens") ": got %llu tokens, wanted at least 2",
                        (unsigned long long)kv->count);
    if (kv->count > SLM_VOCAB_MAX_TOKENS || kv->bytes > UINT32_MAX)
        return slm_fail(error, SLM_ERR_LIMIT, KEY("tokens"), kv->offset,
                        KEY("tokens") ": got %llu tokens in %llu bytes, wanted at most %d in 4 GiB",
                        (unsigned long long)kv->count, (unsigned long long)kv->bytes,
                        SLM_VOCAB_MAX_TOKENS);
    v->tokens = kv;
    v->n = (uint32_t)kv->count;
    v->refs = slm_alloc(v->host, v->n * sizeof *v->refs);
    if (!v->refs)
        return slm_fail_nomem(error, v->n * sizeof *v->refs, "tokens");
    v->heap_bytes += v->n * sizeof *v->refs + SLM_ALLOC_HEADER;
    uint64_t pos = 0;
    for (uint32_t id = 0; id < v->n; id++) {
        slm_str text = slm_gguf_next_str(kv, &pos);
        if (text.len > SLM_VOCAB_MAX_TOKEN_BYTES)
            return slm_fail(error, SLM_ERR_LIMIT, KEY("tokens"), kv->offset,
                            KEY("tokens") ": token %u has %llu bytes, wanted at most %d", id,
                            (unsigned long long)text.len, SLM_VOCAB_MAX_TOKEN_BYTES);
        v->refs[id].offset = (uint32_t)(text.ptr - (const char *)kv->data);
        v->refs[id].len = (uint32_t)text.len;
        if (text.len > v->max_text)
            v->max_text = (uint32_t)text.len;
    }
    return SLM_OK;
}

static slm_status read_types(slm_vocab *v, const slm_gguf *g, slm_error *error) {
    const slm_gguf_kv *kv = NULL;
    SLM_TRY(slm_gguf_get_array(g, KEY("token_type"), 0, SLM_GGUF_I32, v->n, &kv, error));
    v->types = slm_alloc(v->host, v->n);
    if (!v->types)
        return slm_fail_nomem(error, v->n, "token types");
    v->heap_bytes += v->n + SLM_ALLOC_HEADER;
    for (uint32_t id = 0; id < v->n; id++) {
        int32_t type = kv ? slm_gguf_item_i32(kv, id) : SLM_TYPE_NORMAL;
        if (type < SLM_TYPE_NORMAL || type > SLM_TYPE_BYTE)
            return slm_fail(error, SLM_ERR_RANGE, KEY("token_type"), kv->offset,
                            KEY("token_type") ": token %u has type %d, wanted 1 to 6", id, type);
        v->types[id] = (uint8_t)type;
    }
    return SLM_OK;
}

static float score_at(const slm_gguf_kv *kv, uint32_t id) {
    return kv->item_type == SLM_GGUF_F32 ? slm_gguf_item_f32(kv, id)
                                         : (float)slm_gguf_item_i32(kv, id);
}

static slm_status read_scores(slm_vocab *v, const slm_gguf *g, slm_error *error) {
    const slm_gguf_kv *kv = slm_gguf_find(g, KEY("scores"));
    slm_gguf_type item = kv && kv->type == SLM_GGUF_ARRAY && kv->item_type == SLM_GGUF_I32
                             ? SLM_GGUF_I32
                             : SLM_GGUF_F32;
    SLM_TRY(slm_gguf_get_array(g, KEY("scores"), v->kind == SLM_VOCAB_SPM, item, v->n, &kv, error));
    if (v->kind != SLM_VOCAB_SPM)
        return SLM_OK; /* some converters write zeros */
    for (uint32_t id = 0; id < v->n; id++)
        if (!isfinite(score_at(kv, id)))
            return slm_fail(error, SLM_ERR_RANGE, KEY("scores"), kv->offset,
                            KEY("scores") ": the score of token %u is %g, wanted a finite number",
                            id, (double)score_at(kv, id));
    v->scores = kv;
    return SLM_OK;
}

/* ---- special ids ---- */

static slm_status read_id(const slm_vocab *v, const slm_gguf *g, const char *key, int32_t *id,
                          slm_error *error) {
    if (!slm_gguf_find(g, key))
        return SLM_OK;
    uint32_t value = 0;
    SLM_TRY(slm_gguf_get_u32(g, key, 1, 0, v->n - 1, &value, error));
    *id = (int32_t)value;
    return SLM_OK;
}

/* Spellings with which models end a turn or a text, besides the ids that the file names. */
static const char *const TURN_ENDS[] = {"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>",
                                        "<EOT>"};
static const char *const OTHER_ENDS[] = {
    "<|return|>", "<|call|>",     "<|endoftext|>", "</s>",          "<|eom_id|>",   "<|end_of_text|>",
    "<eos>",      "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"};

/* The id of a spelling that is not plain text; -1 when there is none. */
static int32_t find_special(const slm_vocab *v, const char *text) {
    uint32_t id = slm_texts_find(v, text, strlen(text));
    if (id == SLM_NO_ID)
        return -1;
    uint32_t type = slm_token_type(v, id);
    return type == SLM_TYPE_CONTROL || type == SLM_TYPE_USER_DEFINED ? (int32_t)id : -1;
}

static void mark_end(slm_vocab *v, int32_t id) {
    if (id < 0)
        return;
    /* What ends a generation must not be typed by a user ("</s>" is user-defined in some files). */
    if (slm_token_type(v, (uint32_t)id) == SLM_TYPE_USER_DEFINED)
        v->types[id] = SLM_TYPE_CONTROL;
    v->types[id] |= SLM_TYPE_END;
}

static slm_status read_special_ids(slm_vocab *v, const slm_gguf *g, slm_error *error) {
    v->bos = v->eos = v->eot = v->eom = v->unk = -1;
    if (v->kind == SLM_VOCAB_SPM) {
        v->unk = 0;
        v->bos = v->n > 1 ? 1 : -1;
        v->eos = v->n > 2 ? 2 : -1;
    }
    int32_t other[7] = {-1, -1, -1, -1, -1, -1, -1}; /* the last three end a generation */
    const struct {
        const char *key;
        int32_t *id;
    } keys[] = {
        {KEY("bos_token_id"), &v->bos},         {KEY("eos_token_id"), &v->eos},
        {KEY("eot_token_id"), &v->eot},         {KEY("eom_token_id"), &v->eom},
        {KEY("unknown_token_id"), &v->unk},     {KEY("seperator_token_id"), &other[0]},
        {KEY("padding_token_id"), &other[0]},   {KEY("mask_token_id"), &other[0]},
        {KEY("fim_pre_token_id"), &other[1]},   {KEY("fim_suf_token_id"), &other[2]},
        {KEY("fim_mid_token_id"), &other[3]},   {KEY("fim_pad_token_id"), &other[4]},
        {KEY("fim_rep_token_id"), &other[5]},   {KEY("fim_sep_token_id"), &other[6]},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        SLM_TRY(read_id(v, g, keys[i].key, keys[i].id, error));
    for (size_t i = 0; i < sizeof TURN_ENDS / sizeof *TURN_ENDS; i++) {
        int32_t id = find_special(v, TURN_ENDS[i]);
        if (v->eot < 0)
            v->eot = id;
        mark_end(v, id);
    }
    for (size_t i = 0; i < sizeof OTHER_ENDS / sizeof *OTHER_ENDS; i++)
        mark_end(v, find_special(v, OTHER_ENDS[i]));
    const int32_t named[] = {v->eos, v->eot, v->eom, other[4], other[5], other[6]};
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        mark_end(v, named[i]);
    return SLM_OK;
}

/* The special tokens of Phi-3 and Phi-4-mini swallow the white space after them, but for a few
 * ("rstrip" in their tokenizer_config.json). The file has no field for it, so the family is known by
 * its token set. */
static void mark_strip(slm_vocab *v) {
    static const char *const FAMILY[] = {"<|user|>", "<|assistant|>", "<|system|>", "<|end|>",
                                         "<|endoftext|>"};
    static const char *const KEEP[] = {"<unk>", "<s>", "<|endoftext|>", "<|endofprompt|>"};
    for (size_t i = 0; i < sizeof FAMILY / sizeof *FAMILY; i++)
        if (find_special(v, FAMILY[i]) < 0)
            return;
    for (uint32_t id = 0; id < v->n; id++) {
        uint32_t type = slm_token_type(v, id);
        int strip = type == SLM_TYPE_CONTROL || type == SLM_TYPE_USER_DEFINED;
        slm_str text = {slm_token_ptr(v, id), v->refs[id].len};
        for (size_t i = 0; i < sizeof KEEP / sizeof *KEEP; i++)
            strip = strip && !str_is(text, KEEP[i]);
        if (strip)
            v->types[id] |= SLM_TYPE_STRIP;
    }
}

/* ---- bytes ---- */

/* The token of every byte. Byte-level BPE: its printable form. SentencePiece: "<0xHH>"; all or
 * none, and with none everything unknown is the unknown token. */
static slm_status map_bytes(slm_vocab *v, slm_error *error) {
    uint32_t n_found = 0;
    for (uint32_t b = 0; b < 256; b++) {
        char form[4] = {0};
        (void)slm_utf8_encode(slm_byte_to_cp((uint8_t)b), form);
        memcpy(v->byte_form[b], form, sizeof v->byte_form[b]);
        v->byte_id[b] = SLM_NO_ID;
    }
    for (uint32_t id = 0; id < v->n; id++) {
        if (slm_token_type(v, id) != SLM_TYPE_BYTE)
            continue;
        int byte = slm_parse_byte_token(slm_token_ptr(v, id), v->refs[id].len);
        if (byte < 0)
            return slm_fail(error, SLM_ERR_FORMAT, KEY("tokens"), v->tokens->offset,
                            KEY("tokens") ": byte token %u is spelt \"%.*s\", wanted <0xHH>", id,
                            (int)(v->refs[id].len < 32 ? v->refs[id].len : 32),
                            slm_token_ptr(v, id));
        if (v->byte_id[byte] != SLM_NO_ID)
            continue;
        v->byte_id[byte] = id;
        n_found++;
    }
    if (v->kind == SLM_VOCAB_BPE) {
        for (uint32_t b = 0; b < 256; b++) {
            char form[4];
            uint32_t id = slm_texts_find(v, form, slm_utf8_encode(slm_byte_to_cp((uint8_t)b), form));
            if (id != SLM_NO_ID && slm_token_type(v, id) == SLM_TYPE_NORMAL) {
                n_found += v->byte_id[b] == SLM_NO_ID;
                v->byte_id[b] = id;
            }
        }
    }
    v->has_bytes = n_found == 256;
    if (v->has_bytes || (v->unk >= 0 && (n_found == 0 || v->kind == SLM_VOCAB_BPE))) {
        for (int b = 0; b < 256; b++)
            if (v->byte_id[b] == SLM_NO_ID)
                v->byte_id[b] = (uint32_t)v->unk;
        return SLM_OK;
    }
    int missing = 0;
    while (v->byte_id[missing] != SLM_NO_ID)
        missing++;
    return slm_fail(error, SLM_ERR_MISSING, KEY("tokens"), v->tokens->offset,
                    KEY("tokens") ": got tokens for %u bytes, wanted all 256; the first without "
                    "one is 0x%02X", n_found,
                    (unsigned)missing);
}

/* Whether U+2581, which stands for a blank, only ever starts a token or follows itself there. Text
 * may then be cut before it without changing any merge; and around a character that is in none. */
static void look_at_normal_tokens(slm_vocab *v) {
    v->split_words = 1;
    memset(v->stops, 1, 128);
    for (uint32_t b = 0; b < 128; b++)
        v->ascii_id[b] = slm_texts_find(v, (const char[]){(char)b}, 1);
    for (uint32_t id = 0; id < v->n; id++) {
        if (slm_token_type(v, id) != SLM_TYPE_NORMAL)
            continue;
        const char *text = slm_token_ptr(v, id);
        uint32_t len = v->refs[id].len;
        if (len > v->max_normal)
            v->max_normal = len;
        int inside = 0;
        for (uint32_t i = 0; i < len; i++)
            v->stops[(uint8_t)text[i]] = 0;
        for (uint32_t i = 0; i < len;) {
            if (len - i >= 3 && memcmp(text + i, "\xE2\x96\x81", 3) == 0) {
                v->split_words = v->split_words && !inside;
                i += 3;
            } else {
                inside = 1;
                i++;
            }
        }
    }
    v->stops[' '] = v->stops[0xE2] = 1;
}

/* ---- opening ---- */

static slm_status read_all(slm_vocab *v, const slm_gguf *g, slm_str architecture,
                           slm_error *error) {
    SLM_TRY(set_kind(v, g, architecture, error));
    SLM_TRY(read_tokens(v, g, error));
    SLM_TRY(read_types(v, g, error));
    SLM_TRY(read_scores(v, g, error));
    SLM_TRY(slm_vocab_build_texts(v, error));
    SLM_TRY(read_special_ids(v, g, error));
    mark_strip(v);
    SLM_TRY(map_bytes(v, error));
    look_at_normal_tokens(v);
    SLM_TRY(slm_vocab_build_specials(v, error));
    if (v->kind == SLM_VOCAB_BPE)
        SLM_TRY(slm_vocab_build_merges(v, g, error));
    return SLM_OK;
}

slm_status slm_vocab_open(slm_host *host, const slm_gguf *g, slm_str architecture, slm_vocab **out,
                          slm_error *error) {
    *out = NULL;
    slm_vocab *v = slm_calloc(host, 1, sizeof *v);
    if (!v)
        return slm_fail_nomem(error, sizeof *v, "vocabulary");
    v->host = host;
    v->heap_bytes = sizeof *v + SLM_ALLOC_HEADER;
    slm_status status = read_all(v, g, architecture, error);
    if (status != SLM_OK) {
        slm_vocab_close(v);
        return status;
    }
    *out = v;
    return SLM_OK;
}

void slm_vocab_close(slm_vocab *v) {
    if (!v)
        return;
    slm_free(v->host, v->refs);
    slm_free(v->host, v->types);
    slm_free(v->host, v->texts);
    slm_free(v->host, v->pairs);
    slm_free(v->host, v->special[0].ids);
    slm_free(v->host, v->special[1].ids);
    slm_free(v->host, v);
}

/* ---- getters ---- */

uint32_t slm_vocab_size(const slm_vocab *v) { return v->n; }
slm_vocab_kind slm_vocab_get_kind(const slm_vocab *v) { return v->kind; }
const char *slm_vocab_pre_name(const slm_vocab *v) { return v->pre_name; }
int32_t slm_vocab_bos(const slm_vocab *v) { return v->bos; }
int32_t slm_vocab_eos(const slm_vocab *v) { return v->eos; }
int32_t slm_vocab_eot(const slm_vocab *v) { return v->eot; }
int32_t slm_vocab_unk(const slm_vocab *v) { return v->unk; }
int slm_vocab_add_bos(const slm_vocab *v) { return v->add_bos; }
int slm_vocab_add_eos(const slm_vocab *v) { return v->add_eos; }
int slm_vocab_adds_space(const slm_vocab *v) {
    return v->kind == SLM_VOCAB_SPM && v->add_space_prefix;
}
uint64_t slm_vocab_heap_bytes(const slm_vocab *v) { return v->heap_bytes; }

int slm_vocab_is_end(const slm_vocab *v, int32_t id) {
    return id >= 0 && (uint32_t)id < v->n && (v->types[id] & SLM_TYPE_END) != 0;
}

uint32_t slm_vocab_flags(const slm_vocab *v, int32_t id) {
    static const uint32_t FLAGS[] = {
        [SLM_TYPE_NORMAL] = 0,
        [SLM_TYPE_UNKNOWN] = SLM_TOKEN_UNKNOWN,
        [SLM_TYPE_CONTROL] = SLM_TOKEN_CONTROL,
        [SLM_TYPE_USER_DEFINED] = SLM_TOKEN_USER_DEFINED,
        [SLM_TYPE_UNUSED] = SLM_TOKEN_UNUSED,
        [SLM_TYPE_BYTE] = SLM_TOKEN_BYTE,
    };
    return FLAGS[slm_token_type(v, (uint32_t)id)] | (slm_vocab_is_end(v, id) ? SLM_TOKEN_END : 0u);
}

slm_str slm_vocab_text(const slm_vocab *v, int32_t id) {
    return (slm_str){slm_token_ptr(v, (uint32_t)id), v->refs[id].len};
}

float slm_vocab_score(const slm_vocab *v, int32_t id) {
    return v->scores ? score_at(v->scores, (uint32_t)id) : 0.0f;
}

int32_t slm_vocab_find(const slm_vocab *v, const char *text, size_t len) {
    uint32_t id = len > 0 ? slm_texts_find(v, text, len) : SLM_NO_ID;
    return id == SLM_NO_ID ? -1 : (int32_t)id;
}
