/* Both tokenizers do the same: a list of symbols, each pair of neighbours with a key, and always the
 * pair with the lowest key is merged next. Short pieces look through the list; in long ones a heap
 * holds (key, position) for every pair that ever was, and an entry counts only while its pair still
 * has that key: O(n log n) for any text. */
#include "text/merge.h"

#include "text/unicode.h"

#include <string.h>

enum { SHORT_PIECE = 24 }; /* symbols; up to here looking through beats the heap */

/* A score as a key: the highest score is the lowest key. Finite scores never give SLM_NO_KEY. */
static uint32_t score_key(float score) {
    uint32_t bits;
    score += 0.0f; /* -0 is 0 */
    memcpy(&bits, &score, sizeof bits);
    return bits & 0x80000000u ? bits : ~(bits | 0x80000000u);
}

/* Sets key and merged of symbol i for its pair with the next one. */
static inline void look_up(const slm_vocab *v, slm_symbol *s, uint32_t n, uint32_t i,
                           const char *piece, size_t bytes, int spm) {
    s[i].key = SLM_NO_KEY;
    uint32_t j = s[i].next;
    if (j >= n)
        return;
    if (!spm) {
        const slm_pair_slot *pair = slm_pairs_find(v, s[i].id, s[j].id);
        if (pair) {
            s[i].key = pair->rank;
            s[i].merged = pair->merged;
        }
        return;
    }
    size_t end = s[j].next < n ? s[s[j].next].start : bytes;
    size_t len = end - s[i].start;
    if (len > v->max_normal)
        return;
    uint32_t id = slm_texts_find(v, piece + s[i].start, len);
    if (id != SLM_NO_ID && slm_token_type(v, id) == SLM_TYPE_NORMAL) {
        s[i].key = score_key(slm_vocab_score(v, (int32_t)id));
        s[i].merged = id;
    }
}

/* Merges symbol i with the next one and looks at the pairs that this makes. */
static inline void merge_at(const slm_vocab *v, slm_symbol *s, uint32_t n, uint32_t i,
                            const char *piece, size_t bytes, int spm) {
    uint32_t j = s[i].next;
    s[i].id = s[i].merged;
    s[i].next = s[j].next;
    s[j].key = SLM_NO_KEY;
    if (s[i].next < n)
        s[s[i].next].prev = i;
    look_up(v, s, n, i, piece, bytes, spm);
    if (s[i].prev < n)
        look_up(v, s, n, s[i].prev, piece, bytes, spm);
}

/* ---- the heap: four children a node, the lowest entry first ---- */

static inline uint64_t entry(uint32_t key, uint32_t i) { return (uint64_t)key << 32 | i; }

static void sift_down(uint64_t *h, size_t n, size_t at) {
    uint64_t e = h[at];
    for (size_t child; (child = 4 * at + 1) < n;) {
        size_t last = child + 4 < n ? child + 4 : n, least = child;
        for (size_t c = child + 1; c < last; c++)
            if (h[c] < h[least])
                least = c;
        if (h[least] >= e)
            break;
        h[at] = h[least];
        at = least;
    }
    h[at] = e;
}

static void sift_up(uint64_t *h, size_t at) {
    uint64_t e = h[at];
    while (at > 0 && h[(at - 1) / 4] > e) {
        h[at] = h[(at - 1) / 4];
        at = (at - 1) / 4;
    }
    h[at] = e;
}

/* A merge takes one entry out and adds at most two, so there are never more than twice n. */
static slm_status merge_with_heap(slm_tokenizer *t, uint32_t n, const char *piece, size_t bytes,
                                  int spm, slm_error *error) {
    slm_symbol *s = (slm_symbol *)(void *)t->symbols.ptr;
    t->heap.len = 0;
    SLM_TRY(slm_buffer_reserve(&t->heap, 2 * (size_t)n * sizeof(uint64_t), error));
    uint64_t *h = (uint64_t *)(void *)t->heap.ptr;
    size_t count = 0;
    for (uint32_t i = 0; i < n; i++)
        if (s[i].key != SLM_NO_KEY)
            h[count++] = entry(s[i].key, i);
    for (size_t i = count / 4 + 1; i-- > 0;)
        if (i < count)
            sift_down(h, count, i);
    while (count > 0) {
        uint64_t top = h[0];
        h[0] = h[--count];
        if (count > 0)
            sift_down(h, count, 0);
        uint32_t i = (uint32_t)top;
        if (s[i].key != (uint32_t)(top >> 32))
            continue;
        merge_at(t->v, s, n, i, piece, bytes, spm);
        uint32_t changed[2] = {i, s[i].prev};
        for (int k = 0; k < 2; k++) {
            if (changed[k] < n && s[changed[k]].key != SLM_NO_KEY) {
                h[count] = entry(s[changed[k]].key, changed[k]);
                sift_up(h, count++);
            }
        }
    }
    return SLM_OK;
}

static void merge_short(slm_tokenizer *t, uint32_t n, const char *piece, size_t bytes, int spm) {
    slm_symbol *s = (slm_symbol *)(void *)t->symbols.ptr;
    for (;;) {
        uint32_t best = 0;
        for (uint32_t i = s[0].next; i < n; i = s[i].next)
            if (s[i].key < s[best].key)
                best = i;
        if (s[best].key == SLM_NO_KEY)
            return;
        merge_at(t->v, s, n, best, piece, bytes, spm);
    }
}

static slm_status merge_all(slm_tokenizer *t, uint32_t n, const char *piece, size_t bytes, int spm,
                            slm_error *error) {
    slm_symbol *s = (slm_symbol *)(void *)t->symbols.ptr;
    for (uint32_t i = 0; i < n; i++) {
        s[i].next = i + 1;
        s[i].prev = i > 0 ? i - 1 : n;
    }
    for (uint32_t i = 0; i < n; i++)
        look_up(t->v, s, n, i, piece, bytes, spm);
    if (n <= SHORT_PIECE) {
        merge_short(t, n, piece, bytes, spm);
        return SLM_OK;
    }
    return merge_with_heap(t, n, piece, bytes, spm, error);
}

static slm_status reserve_symbols(slm_tokenizer *t, size_t n, slm_error *error) {
    if (n >= UINT32_MAX)
        return slm_fail(error, SLM_ERR_LIMIT, "text", SLM_NO_OFFSET,
                        "a stretch of %zu bytes without a border, at most %u are merged", n,
                        UINT32_MAX - 1u);
    t->symbols.len = 0;
    return slm_buffer_reserve(&t->symbols, n * sizeof(slm_symbol), error);
}

static slm_status merge_new_piece(slm_tokenizer *t, const char *piece, size_t n,
                                  slm_error *error) {
    const slm_vocab *v = t->v;
    if (v->ignore_merges) {
        uint32_t id = slm_texts_find_raw(v, piece, n);
        if (id != SLM_NO_ID)
            return slm_push_id(t, id, error);
    }
    SLM_TRY(reserve_symbols(t, n, error));
    slm_symbol *s = (slm_symbol *)(void *)t->symbols.ptr;
    for (size_t i = 0; i < n; i++)
        s[i].id = v->byte_id[(uint8_t)piece[i]];
    SLM_TRY(merge_all(t, (uint32_t)n, piece, n, 0, error));
    for (uint32_t i = 0; i < n; i = s[i].next)
        SLM_TRY(slm_push_id(t, s[i].id, error));
    return SLM_OK;
}

slm_status slm_merge_bpe(slm_tokenizer *t, const char *piece, size_t n, slm_error *error) {
    slm_word_key key;
    if (n == 0)
        return SLM_OK;
    if (n == 1)
        return slm_push_id(t, t->v->byte_id[(uint8_t)piece[0]], error);
    slm_word *word = slm_words_at(&t->words, piece, n, &key);
    if (word && slm_words_hit(&t->words, word, &key))
        return slm_push_word(t, word, error);
    size_t ids_at = t->ids.len;
    SLM_TRY(merge_new_piece(t, piece, n, error));
    if (word)
        slm_keep_word(t, word, &key, ids_at);
    return SLM_OK;
}

slm_status slm_merge_spm(slm_tokenizer *t, const char *piece, size_t bytes, slm_error *error) {
    const slm_vocab *v = t->v;
    if (bytes == 0)
        return SLM_OK;
    SLM_TRY(reserve_symbols(t, bytes, error));
    slm_symbol *s = (slm_symbol *)(void *)t->symbols.ptr;
    uint32_t n = 0;
    for (size_t i = 0; i < bytes; n++) {
        size_t len;
        slm_utf8_decode(piece + i, bytes - i, &len);
        uint32_t id = len == 1 && (uint8_t)piece[i] < 0x80 ? v->ascii_id[(uint8_t)piece[i]]
                                                           : slm_texts_find(v, piece + i, len);
        if (id != SLM_NO_ID && slm_token_type(v, id) != SLM_TYPE_NORMAL)
            id = SLM_NO_ID;
        s[n].id = id;
        s[n].start = (uint32_t)i;
        i += len;
    }
    SLM_TRY(merge_all(t, n, piece, bytes, 1, error));
    for (uint32_t i = 0; i < n; i = s[i].next) {
        if (s[i].id != SLM_NO_ID) {
            SLM_TRY(slm_push_id(t, s[i].id, error));
            continue;
        }
        size_t end = s[i].next < n ? s[s[i].next].start : bytes;
        if (!v->has_bytes)
            end = s[i].start + 1u; /* one unknown token a character */
        for (size_t b = s[i].start; b < end; b++)
            SLM_TRY(slm_push_id(t, v->byte_id[(uint8_t)piece[b]], error));
    }
    return SLM_OK;
}
