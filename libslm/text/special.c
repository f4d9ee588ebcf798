/* Finding the spellings of control and user-defined tokens in text. They are kept sorted, and at
 * every byte that starts one of them the range of those that still fit is narrowed byte by byte, so
 * a text costs its length times the longest prefix of a spelling that it holds. */
#include "text/vocab_impl.h"

#include <string.h>

static int compare(const slm_vocab *v, uint32_t a, uint32_t b) {
    uint32_t la = v->refs[a].len, lb = v->refs[b].len;
    int c = memcmp(slm_token_ptr(v, a), slm_token_ptr(v, b), la < lb ? la : lb);
    if (c == 0)
        c = (la > lb) - (la < lb);
    return c;
}

/* Heapsort: in place and without recursion. */
static void sift(const slm_vocab *v, uint32_t *ids, uint32_t root, uint32_t n) {
    for (uint32_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && compare(v, ids[child], ids[child + 1]) < 0)
            child++;
        if (compare(v, ids[root], ids[child]) >= 0)
            return;
        uint32_t t = ids[root];
        ids[root] = ids[child];
        ids[child] = t;
    }
}

static void sort(const slm_vocab *v, uint32_t *ids, uint32_t n) {
    for (uint32_t i = n / 2; i-- > 0;)
        sift(v, ids, i, n);
    for (uint32_t end = n; end-- > 1;) {
        uint32_t t = ids[0];
        ids[0] = ids[end];
        ids[end] = t;
        sift(v, ids, 0, end);
    }
}

/* "[PAD32011]": a filler row, of whatever type. */
static int is_filler(const char *text, size_t len) {
    if (len < 6 || memcmp(text, "[PAD", 4) != 0 || text[len - 1] != ']')
        return 0;
    for (size_t i = 4; i < len - 1; i++)
        if (text[i] < '0' || text[i] > '9')
            return 0;
    return 1;
}

static int belongs(const slm_vocab *v, uint32_t id, int trusted) {
    uint32_t type = slm_token_type(v, id);
    if (type != SLM_TYPE_USER_DEFINED &&
        !(trusted && (type == SLM_TYPE_CONTROL || type == SLM_TYPE_UNKNOWN)))
        return 0;
    const char *text = slm_token_ptr(v, id);
    uint32_t len = v->refs[id].len;
    return len > 0 && !is_filler(text, len) && slm_texts_find(v, text, len) == id;
}

slm_status slm_vocab_build_specials(slm_vocab *v, slm_error *error) {
    for (int trusted = 0; trusted < 2; trusted++) {
        slm_special_set *set = &v->special[trusted];
        uint32_t n = 0;
        for (uint32_t id = 0; id < v->n; id++)
            n += (uint32_t)belongs(v, id, trusted);
        set->ids = slm_alloc(v->host, n * sizeof *set->ids);
        if (!set->ids)
            return slm_fail_nomem(error, n * sizeof *set->ids, "special tokens");
        v->heap_bytes += n * sizeof *set->ids + SLM_ALLOC_HEADER;
        for (uint32_t id = 0; id < v->n; id++) {
            if (!belongs(v, id, trusted))
                continue;
            if (v->refs[id].len > SLM_VOCAB_MAX_SPECIAL_BYTES)
                return slm_fail(error, SLM_ERR_LIMIT, "tokenizer.ggml.tokens", v->tokens->offset,
                                "tokenizer.ggml.tokens: special token %u has %u bytes, wanted at "
                                "most %d", id,
                                v->refs[id].len, SLM_VOCAB_MAX_SPECIAL_BYTES);
            set->ids[set->n++] = id;
        }
        sort(v, set->ids, n);
        uint32_t at = 0;
        for (uint32_t byte = 0; byte < 256; byte++) {
            set->first[byte] = at;
            while (at < n && (uint8_t)slm_token_ptr(v, set->ids[at])[0] == byte)
                at++;
        }
        set->first[256] = n;
    }
    return SLM_OK;
}

/* The first index in [lo, hi) whose spelling, longer than depth, has a byte >= wanted there. */
static uint32_t lower_bound(const slm_vocab *v, const uint32_t *ids, uint32_t lo, uint32_t hi,
                            uint32_t depth, unsigned wanted) {
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if ((uint8_t)slm_token_ptr(v, ids[mid])[depth] < wanted)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The longest spelling that text[0..n) starts with. */
static uint32_t longest_at(const slm_vocab *v, const slm_special_set *set, const char *text,
                           size_t n) {
    uint32_t lo = set->first[(uint8_t)text[0]], hi = set->first[(uint8_t)text[0] + 1u];
    uint32_t best = SLM_NO_ID;
    for (uint32_t depth = 1; lo < hi; depth++) {
        /* Here all of [lo, hi) agree with the text for depth bytes; one that ends there is first. */
        if (v->refs[set->ids[lo]].len == depth) {
            best = set->ids[lo];
            lo++;
        }
        if (depth >= n)
            break;
        unsigned byte = (uint8_t)text[depth];
        lo = lower_bound(v, set->ids, lo, hi, depth, byte);
        hi = lower_bound(v, set->ids, lo, hi, depth, byte + 1);
    }
    return best;
}

size_t slm_special_find(const slm_vocab *v, int trusted, const char *text, size_t n, size_t pos,
                        uint32_t *id) {
    const slm_special_set *set = &v->special[trusted];
    if (set->n == 0)
        return n;
    for (; pos < n; pos++) {
        uint8_t byte = (uint8_t)text[pos];
        if (set->first[byte] == set->first[byte + 1])
            continue;
        uint32_t found = longest_at(v, set, text + pos, n - pos);
        if (found != SLM_NO_ID) {
            *id = found;
            return pos;
        }
    }
    return n;
}
