#include "text/unicode.h"
#include "text/vocab_impl.h"

#include <string.h>

/* Where the last beginning of a spelling stands that text behind could complete; n when there is
 * none. */
static size_t begun_special(const slm_vocab *v, const char *text, size_t n) {
    const slm_special_set *set = &v->special[0];
    size_t at = n > SLM_VOCAB_MAX_SPECIAL_BYTES ? n - SLM_VOCAB_MAX_SPECIAL_BYTES : 0;
    for (; at < n; at++) {
        uint8_t byte = (uint8_t)text[at];
        for (uint32_t i = set->first[byte]; i < set->first[byte + 1]; i++) {
            uint32_t id = set->ids[i];
            if (v->refs[id].len > n - at && memcmp(slm_token_ptr(v, id), text + at, n - at) == 0)
                return at;
        }
    }
    return n;
}

/* The last piece may grow. The one before it is settled, as what follows it is there, but for a
 * contraction ("don" and "'" become "don't"). */
size_t slm_vocab_settled(const slm_vocab *v, const char *text, size_t n) {
    size_t before = 0, last = 0, limit;
    if (v->kind != SLM_VOCAB_BPE || (v->nfc && !slm_nfc_quick(text, n)))
        return 0;
    limit = begun_special(v, text, n);
    for (size_t pos = 0, end; pos < n; pos = end) {
        end = slm_pretok_next(v->pretok, text, n, pos);
        if (pos > limit)
            break;
        before = last;
        last = pos;
    }
    return last < n && text[last] == '\'' ? before : last;
}
