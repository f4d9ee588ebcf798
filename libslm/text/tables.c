/* The two hash tables of a vocabulary: spelling -> id and (left id, right id) -> merge. Linear
 * probing, no deletion; sized so that at most two thirds are used. No entry lies further than
 * SLM_VOCAB_MAX_PROBES slots from its place, so no search looks further either, whoever chose the
 * texts. */
#include "text/vocab_impl.h"

#include <string.h>

static uint32_t table_size(uint64_t entries) {
    uint32_t size = 16;
    while (size < entries + entries / 2)
        size *= 2;
    return size;
}

/* ---- spellings ---- */

static uint32_t hash_text(const char *text, size_t len) {
    return slm_hash_fold(slm_hash_bytes(SLM_HASH_START, text, len));
}

slm_status slm_vocab_build_texts(slm_vocab *v, slm_error *error) {
    uint32_t size = table_size(v->n);
    v->texts = slm_alloc(v->host, size * sizeof *v->texts);
    if (!v->texts)
        return slm_fail_nomem(error, size * sizeof *v->texts, "token table");
    memset(v->texts, 0xFF, size * sizeof *v->texts);
    v->heap_bytes += size * sizeof *v->texts + SLM_ALLOC_HEADER;
    v->text_mask = size - 1;
    uint32_t n_duplicates = 0, first_duplicate = 0;
    for (uint32_t id = 0; id < v->n; id++) {
        const char *text = slm_token_ptr(v, id);
        uint32_t len = v->refs[id].len;
        if (len == 0)
            continue;
        uint32_t hash = hash_text(text, len);
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
                                "tokenizer.ggml.tokens: token %u shares its hash value with more "
                                "than %d others", id,
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

static int is_joined(const slm_vocab *v, uint32_t id, const char *a, size_t a_len, const char *b,
                     size_t b_len) {
    const char *text = slm_token_ptr(v, id);
    return v->refs[id].len == a_len + b_len && memcmp(text, a, a_len) == 0 &&
           (b_len == 0 || memcmp(text + a_len, b, b_len) == 0);
}

static uint32_t find_hashed(const slm_vocab *v, uint32_t hash, const char *a, size_t a_len,
                            const char *b, size_t b_len) {
    uint32_t at = hash & v->text_mask;
    for (int probes = 0; probes < SLM_VOCAB_MAX_PROBES && v->texts[at].id != SLM_NO_ID;
         probes++, at = (at + 1) & v->text_mask) {
        uint32_t id = v->texts[at].id;
        if (v->texts[at].hash == hash && is_joined(v, id, a, a_len, b, b_len))
            return id;
    }
    return SLM_NO_ID;
}

uint32_t slm_texts_find(const slm_vocab *v, const char *text, size_t len) {
    return find_hashed(v, hash_text(text, len), text, len, NULL, 0);
}

uint32_t slm_texts_find_raw(const slm_vocab *v, const char *bytes, size_t len) {
    if (len > v->max_normal)
        return SLM_NO_ID;
    uint64_t h = SLM_HASH_START;
    for (size_t i = 0; i < len; i++) {
        const uint8_t *form = v->byte_form[(uint8_t)bytes[i]];
        h = slm_hash_byte(h, form[0]);
        if (form[1])
            h = slm_hash_byte(h, form[1]);
    }
    uint32_t hash = slm_hash_fold(h);
    uint32_t at = hash & v->text_mask;
    for (int probes = 0; probes < SLM_VOCAB_MAX_PROBES && v->texts[at].id != SLM_NO_ID;
         probes++, at = (at + 1) & v->text_mask) {
        uint32_t id = v->texts[at].id;
        if (v->texts[at].hash != hash || slm_token_type(v, id) != SLM_TYPE_NORMAL)
            continue;
        const uint8_t *text = (const uint8_t *)slm_token_ptr(v, id);
        size_t n = v->refs[id].len, seen = 0, i = 0;
        for (; i < len; i++) {
            const uint8_t *form = v->byte_form[(uint8_t)bytes[i]];
            size_t two = form[1] != 0;
            if (seen + two >= n || text[seen] != form[0] || (two && text[seen + 1] != form[1]))
                break;
            seen += 1 + two;
        }
        if (i == len && seen == n)
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

typedef struct merge_text {
    slm_str whole, left, right; /* whole as spelt, with the space                                   */
    uint32_t left_hash, right_hash;
} merge_text;

static slm_status bad_merge(const slm_gguf_kv *kv, uint64_t index, slm_str text, const char *what,
                            slm_error *error) {
    return slm_fail(error, SLM_ERR_FORMAT, "tokenizer.ggml.merges", kv->offset,
                    "tokenizer.ggml.merges: merge %llu is \"%.*s\": %s",
                    (unsigned long long)index,
                    (int)(text.len < 64 ? text.len : 64), text.ptr, what);
}

static slm_status split_merge(const slm_gguf_kv *kv, uint64_t index, slm_str text, merge_text *m,
                              slm_error *error) {
    const char *space = text.len > 1 ? memchr(text.ptr + 1, ' ', text.len - 1) : NULL;
    if (!space)
        return bad_merge(kv, index, text, "no space, wanted two parts with one between", error);
    size_t left_len = (size_t)(space - text.ptr);
    m->whole = text;
    m->left = (slm_str){text.ptr, left_len};
    m->right = (slm_str){space + 1, text.len - left_len - 1};
    if (m->right.len == 0)
        return bad_merge(kv, index, text, "the second part is empty, wanted two", error);
    if (memchr(m->right.ptr, ' ', m->right.len))
        return bad_merge(kv, index, text, "three parts, wanted two", error);
    m->left_hash = hash_text(m->left.ptr, m->left.len);
    m->right_hash = hash_text(m->right.ptr, m->right.len);
    return SLM_OK;
}

/* The token that a merge makes. Files list merges by their results: mostly it is that of the merge
 * before (last) or the next id. */
static uint32_t find_result(const slm_vocab *v, const merge_text *m, uint32_t last) {
    for (uint32_t id = last; !v->has_duplicates && id < v->n && id - last < 2; id++)
        if (is_joined(v, id, m->left.ptr, m->left.len, m->right.ptr, m->right.len))
            return id;
    uint64_t h = slm_hash_bytes(SLM_HASH_START, m->left.ptr, m->left.len);
    return find_hashed(v, slm_hash_fold(slm_hash_bytes(h, m->right.ptr, m->right.len)), m->left.ptr,
                       m->left.len, m->right.ptr, m->right.len);
}

/* Finds the three tokens of a merge. last: the result of the merge before. */
static slm_status resolve_merge(const slm_vocab *v, const slm_gguf_kv *kv, uint32_t rank,
                                const merge_text *m, uint32_t last, slm_pair_slot *pair,
                                slm_error *error) {
    uint32_t a = find_hashed(v, m->left_hash, m->left.ptr, m->left.len, NULL, 0);
    if (a == SLM_NO_ID)
        return bad_merge(kv, rank, m->whole, "the first part is no token", error);
    uint32_t b = find_hashed(v, m->right_hash, m->right.ptr, m->right.len, NULL, 0);
    if (b == SLM_NO_ID)
        return bad_merge(kv, rank, m->whole, "the second part is no token", error);
    uint32_t result = find_result(v, m, last);
    if (result == SLM_NO_ID)
        return bad_merge(kv, rank, m->whole, "its result is no token", error);
    *pair = (slm_pair_slot){a, b, rank, result};
    return SLM_OK;
}

/* The first of two equal merges counts. */
static slm_status add_merge(slm_vocab *v, const slm_gguf_kv *kv, const slm_pair_slot *pair,
                            slm_error *error) {
    /* What is not plain text must never come out of plain text. */
    if (slm_token_type(v, pair->merged) != SLM_TYPE_NORMAL)
        return SLM_OK;
    uint32_t at = pair_hash(pair->left, pair->right) & v->pair_mask, probes = 0;
    for (; v->pairs[at].left != SLM_NO_ID; at = (at + 1) & v->pair_mask) {
        if (v->pairs[at].left == pair->left && v->pairs[at].right == pair->right)
            return SLM_OK;
        if (++probes == SLM_VOCAB_MAX_PROBES)
            return slm_fail(error, SLM_ERR_LIMIT, "tokenizer.ggml.merges", kv->offset,
                            "tokenizer.ggml.merges: merge %u shares its hash value with more than "
                            "%d others", pair->rank,
                            SLM_VOCAB_MAX_PROBES);
    }
    v->pairs[at] = *pair;
    return SLM_OK;
}

/* Loading waits for memory more than for anything else, so a block of merges asks for its table
 * slots and spellings before it needs them. */
enum { MERGE_BLOCK = 16 };

static void prefetch_spellings(const slm_vocab *v, const merge_text *m, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        uint32_t a = v->texts[m[i].left_hash & v->text_mask].id;
        uint32_t b = v->texts[m[i].right_hash & v->text_mask].id;
        if (a != SLM_NO_ID)
            __builtin_prefetch(slm_token_ptr(v, a));
        if (b != SLM_NO_ID)
            __builtin_prefetch(slm_token_ptr(v, b));
    }
}

slm_status slm_vocab_build_merges(slm_vocab *v, const slm_gguf *g, slm_error *error) {
    const slm_gguf_kv *kv = NULL;
    SLM_TRY(slm_gguf_get_array(g, "tokenizer.ggml.merges", 1, SLM_GGUF_STRING, UINT64_MAX, &kv,
                               error));
    if (kv->count > SLM_VOCAB_MAX_MERGES)
        return slm_fail(error, SLM_ERR_LIMIT, "tokenizer.ggml.merges", kv->offset,
                        "tokenizer.ggml.merges: got %llu merges, wanted at most %d",
                        (unsigned long long)kv->count,
                        SLM_VOCAB_MAX_MERGES);
    uint32_t size = table_size(kv->count);
    v->pairs = slm_alloc(v->host, size * sizeof *v->pairs);
    if (!v->pairs)
        return slm_fail_nomem(error, size * sizeof *v->pairs, "merge table");
    memset(v->pairs, 0xFF, size * sizeof *v->pairs);
    v->heap_bytes += size * sizeof *v->pairs + SLM_ALLOC_HEADER;
    v->pair_mask = size - 1;
    uint64_t pos = 0;
    uint32_t result = SLM_NO_ID;
    merge_text block[MERGE_BLOCK];
    slm_pair_slot pairs[MERGE_BLOCK];
    for (uint32_t first = 0, n; first < kv->count; first += n) {
        for (n = 0; n < MERGE_BLOCK && first + n < kv->count; n++) {
            SLM_TRY(split_merge(kv, first + n, slm_gguf_next_str(kv, &pos), &block[n], error));
            __builtin_prefetch(&v->texts[block[n].left_hash & v->text_mask]);
            __builtin_prefetch(&v->texts[block[n].right_hash & v->text_mask]);
        }
        prefetch_spellings(v, block, n);
        for (uint32_t i = 0; i < n; i++) {
            SLM_TRY(resolve_merge(v, kv, first + i, &block[i], result, &pairs[i], error));
            result = pairs[i].merged;
            __builtin_prefetch(&v->pairs[pair_hash(pairs[i].left, pairs[i].right) & v->pair_mask]);
        }
        for (uint32_t i = 0; i < n; i++)
            SLM_TRY(add_merge(v, kv, &pairs[i], error));
    }
    return SLM_OK;
}
