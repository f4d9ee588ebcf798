/* The two hash tables of a vocabulary: spelling -> id and (left id, right id) -> merge. Linear
 * probing, no deletion; sized so that at most two thirds are used. No entry lies further than
 * SLM_VOCAB_MAX_PROBES slots from its place, so no search looks further either, whoever chose the
 * texts. */
#include "text/unicode.h"
#include "text/vocab_impl.h"

#include <string.h>

static uint32_t table_size(uint64_t entries) {
    uint32_t size = 16;
    while (size < entries + entries / 2)
        size *= 2;
    return size;
}

/* ---- spellings ---- */

slm_status slm_vocab_build_texts(slm_vocab *v, slm_error *error) {
    uint32_t size = table_size(v->n);
    v->texts = slm_alloc(v->host, size * sizeof *v->texts);
    if (!v->texts)
        return slm_fail_nomem(error, size * sizeof *v->texts, "token table");
    memset(v->texts, 0xFF, size * sizeof *v->texts);
    v->heap_bytes += size * sizeof *v->texts;
    v->text_mask = size - 1;
    uint32_t n_duplicates = 0, first_duplicate = 0;
    for (uint32_t id = 0; id < v->n; id++) {
        const char *text = slm_token_ptr(v, id);
        uint32_t len = v->refs[id].len;
        if (len == 0)
            continue;
        uint32_t hash = slm_hash_fold(slm_hash_bytes(SLM_HASH_START, text, len));
        uint32_t at = hash & v->text_mask, probes = 0;
        for (; v->texts[at].id != SLM_NO_ID; at = (at + 1) & v->text_mask) {
            uint32_t other = v->texts[at].id;
            if (v->texts[at].hash == hash && v->refs[other].len == len &&
                memcmp(slm_token_ptr(v, other), text, len) == 0) {
                if (n_duplicates++ == 0)
                    first_duplicate = id;
                break;
            }
            if (++probes == SLM_VOCAB_MAX_PROBES)
                return slm_fail(error, SLM_ERR_LIMIT, "tokenizer.ggml.tokens", v->tokens->offset,
                                "token %u: more than %d spellings share a hash value", id,
                                SLM_VOCAB_MAX_PROBES);
        }
        if (v->texts[at].id == SLM_NO_ID)
            v->texts[at] = (slm_text_slot){hash, id};
    }
    v->has_duplicates = n_duplicates > 0;
    if (v->has_duplicates)
        slm_log(v->host, SLM_LOG_WARNING,
                "tokenizer.ggml.tokens: %u spellings occur more than once, the first again at token "
                "%u; the first id of each counts",
                n_duplicates, first_duplicate);
    return SLM_OK;
}

uint32_t slm_texts_find(const slm_vocab *v, const char *text, size_t len) {
    return slm_texts_find_joined(v, text, len, NULL, 0);
}

static int is_joined(const slm_vocab *v, uint32_t id, const char *a, size_t a_len, const char *b,
                     size_t b_len) {
    const char *text = slm_token_ptr(v, id);
    return v->refs[id].len == a_len + b_len && memcmp(text, a, a_len) == 0 &&
           (b_len == 0 || memcmp(text + a_len, b, b_len) == 0);
}

uint32_t slm_texts_find_joined(const slm_vocab *v, const char *a, size_t a_len, const char *b,
                               size_t b_len) {
    uint32_t hash = slm_hash_fold(slm_hash_bytes(slm_hash_bytes(SLM_HASH_START, a, a_len), b, b_len));
    uint32_t at = hash & v->text_mask;
    for (int probes = 0; probes < SLM_VOCAB_MAX_PROBES && v->texts[at].id != SLM_NO_ID;
         probes++, at = (at + 1) & v->text_mask) {
        uint32_t id = v->texts[at].id;
        if (v->texts[at].hash == hash && is_joined(v, id, a, a_len, b, b_len))
            return id;
    }
    return SLM_NO_ID;
}

uint32_t slm_texts_find_raw(const slm_vocab *v, const char *bytes, size_t len) {
    if (len > v->max_normal)
        return SLM_NO_ID;
    uint64_t h = SLM_HASH_START;
    char form[4];
    for (size_t i = 0; i < len; i++)
        h = slm_hash_bytes(h, form, slm_utf8_encode(slm_byte_to_cp((uint8_t)bytes[i]), form));
    uint32_t hash = slm_hash_fold(h);
    uint32_t at = hash & v->text_mask;
    for (int probes = 0; probes < SLM_VOCAB_MAX_PROBES && v->texts[at].id != SLM_NO_ID;
         probes++, at = (at + 1) & v->text_mask) {
        uint32_t id = v->texts[at].id;
        if (v->texts[at].hash != hash || slm_token_type(v, id) != SLM_TYPE_NORMAL)
            continue;
        const char *text = slm_token_ptr(v, id);
        size_t left = v->refs[id].len, i = 0;
        for (; i < len; i++) {
            size_t n = slm_utf8_encode(slm_byte_to_cp((uint8_t)bytes[i]), form);
            if (n > left || memcmp(text, form, n) != 0)
                break;
            text += n;
            left -= n;
        }
        if (i == len && left == 0)
            return id;
    }
    return SLM_NO_ID;
}

/* ---- merges ---- */

static uint32_t pair_hash(uint32_t left, uint32_t right) {
    uint64_t h = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;
    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9u;
    return (uint32_t)(h >> 32);
}

const slm_pair_slot *slm_pairs_find(const slm_vocab *v, uint32_t left, uint32_t right) {
    uint32_t at = pair_hash(left, right) & v->pair_mask;
    for (int probes = 0; probes < SLM_VOCAB_MAX_PROBES && v->pairs[at].left != SLM_NO_ID;
         probes++, at = (at + 1) & v->pair_mask)
        if (v->pairs[at].left == left && v->pairs[at].right == right)
            return &v->pairs[at];
    return NULL;
}

static slm_status bad_merge(const slm_gguf_kv *kv, uint64_t index, slm_str text, const char *what,
                            slm_error *error) {
    return slm_fail(error, SLM_ERR_FORMAT, "tokenizer.ggml.merges", kv->offset,
                    "merge %llu \"%.*s\": %s", (unsigned long long)index,
                    (int)(text.len < 64 ? text.len : 64), text.ptr, what);
}

/* Adds one merge and sets *whole to its result. The first of two equal merges counts. */
static slm_status add_merge(slm_vocab *v, const slm_gguf_kv *kv, uint32_t rank, slm_str text,
                            uint32_t *whole, slm_error *error) {
    const char *space = text.len > 1 ? memchr(text.ptr + 1, ' ', text.len - 1) : NULL;
    if (!space)
        return bad_merge(kv, rank, text, "no space between its parts", error);
    const char *right = space + 1;
    size_t left_len = (size_t)(space - text.ptr);
    size_t right_len = text.len - left_len - 1;
    if (right_len == 0)
        return bad_merge(kv, rank, text, "the second part is empty", error);
    if (memchr(right, ' ', right_len))
        return bad_merge(kv, rank, text, "three parts, wanted two", error);
    uint32_t a = slm_texts_find(v, text.ptr, left_len);
    if (a == SLM_NO_ID)
        return bad_merge(kv, rank, text, "the first part is no token", error);
    uint32_t b = slm_texts_find(v, right, right_len);
    if (b == SLM_NO_ID)
        return bad_merge(kv, rank, text, "the second part is no token", error);
    /* Files list merges by their results: the next one makes the same token or the next. */
    uint32_t guess = *whole;
    if (guess < v->n && !is_joined(v, guess, text.ptr, left_len, right, right_len))
        guess++;
    if (v->has_duplicates || guess >= v->n ||
        !is_joined(v, guess, text.ptr, left_len, right, right_len))
        guess = slm_texts_find_joined(v, text.ptr, left_len, right, right_len);
    *whole = guess;
    if (*whole == SLM_NO_ID)
        return bad_merge(kv, rank, text, "its result is no token", error);
    /* What is not plain text must never come out of plain text. */
    if (slm_token_type(v, *whole) != SLM_TYPE_NORMAL)
        return SLM_OK;
    uint32_t at = pair_hash(a, b) & v->pair_mask, probes = 0;
    for (; v->pairs[at].left != SLM_NO_ID; at = (at + 1) & v->pair_mask) {
        if (v->pairs[at].left == a && v->pairs[at].right == b)
            return SLM_OK;
        if (++probes == SLM_VOCAB_MAX_PROBES)
            return slm_fail(error, SLM_ERR_LIMIT, "tokenizer.ggml.merges", kv->offset,
                            "merge %u: more than %d merges share a hash value", rank,
                            SLM_VOCAB_MAX_PROBES);
    }
    v->pairs[at] = (slm_pair_slot){a, b, rank, *whole};
    return SLM_OK;
}

slm_status slm_vocab_build_merges(slm_vocab *v, const slm_gguf *g, slm_error *error) {
    const slm_gguf_kv *kv = NULL;
    SLM_TRY(slm_gguf_get_array(g, "tokenizer.ggml.merges", 1, SLM_GGUF_STRING, UINT64_MAX, &kv,
                               error));
    if (kv->count > SLM_VOCAB_MAX_MERGES)
        return slm_fail(error, SLM_ERR_LIMIT, "tokenizer.ggml.merges", kv->offset,
                        "%llu merges, at most %d are read", (unsigned long long)kv->count,
                        SLM_VOCAB_MAX_MERGES);
    uint32_t size = table_size(kv->count);
    v->pairs = slm_alloc(v->host, size * sizeof *v->pairs);
    if (!v->pairs)
        return slm_fail_nomem(error, size * sizeof *v->pairs, "merge table");
    memset(v->pairs, 0xFF, size * sizeof *v->pairs);
    v->heap_bytes += size * sizeof *v->pairs;
    v->pair_mask = size - 1;
    uint64_t pos = 0;
    uint32_t whole = SLM_NO_ID;
    for (uint32_t rank = 0; rank < kv->count; rank++)
        SLM_TRY(add_merge(v, kv, rank, slm_gguf_next_str(kv, &pos), &whole, error));
    return SLM_OK;
}
