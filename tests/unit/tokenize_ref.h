/* Both tokenizers as their definitions read: look at all pairs, merge one, start again. For the
 * small vocabularies of mini_vocab.h and short texts. */
#ifndef TESTS_UNIT_TOKENIZE_REF_H
#define TESTS_UNIT_TOKENIZE_REF_H

#include "mini_vocab.h"

enum { REF_MAX = 160 }; /* bytes of text */

typedef struct ref_symbol {
    char text[2 * REF_MAX + 1];
    size_t len;
} ref_symbol;

static inline int ref_is(const ref_symbol *s, const char *text, size_t len) {
    return s->len == len && memcmp(s->text, text, len) == 0;
}

static inline void ref_join(ref_symbol *s, size_t *n, size_t i) {
    memcpy(s[i].text + s[i].len, s[i + 1].text, s[i + 1].len);
    s[i].len += s[i + 1].len;
    memmove(s + i + 1, s + i + 2, (*n - i - 2) * sizeof *s);
    --*n;
}

static inline size_t ref_find(const mini_vocab *m, const char *text, size_t len) {
    size_t i = 0;
    while (i < m->n && (m->tokens[i][0] != text[0] || strlen(m->tokens[i]) != len ||
                        memcmp(m->tokens[i], text, len) != 0))
        i++;
    return i;
}

/* One piece of byte-level BPE, at most REF_MAX bytes. Returns the number of ids. */
static inline size_t ref_bpe(const mini_vocab *m, int ignore_merges, const char *piece, size_t n,
                             int32_t *ids) {
    static ref_symbol s[REF_MAX];
    ref_symbol whole = {.len = 0};
    for (size_t i = 0; i < n; i++) {
        s[i].len = slm_utf8_encode(slm_byte_to_cp((uint8_t)piece[i]), s[i].text);
        memcpy(whole.text + whole.len, s[i].text, s[i].len);
        whole.len += s[i].len;
    }
    size_t id = ref_find(m, whole.text, whole.len);
    if (ignore_merges && id < m->n && m->types[id] == SLM_TYPE_NORMAL) {
        ids[0] = (int32_t)id;
        return 1;
    }
    for (size_t k = 0; k < m->n_merges;) {
        const char *space = strchr(m->merges[k] + 1, ' ');
        size_t left = (size_t)(space - m->merges[k]), i = 0;
        while (i + 1 < n && !(ref_is(&s[i], m->merges[k], left) &&
                              ref_is(&s[i + 1], space + 1, strlen(space + 1))))
            i++;
        if (i + 1 < n) {
            ref_join(s, &n, i);
            k = 0;
        } else {
            k++;
        }
    }
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)ref_find(m, s[i].text, s[i].len);
    return n;
}

/* A whole text of SentencePiece, with its leading blank. ids has room for 3 * (n + 1). */
static inline size_t ref_spm(const mini_vocab *m, const char *text, size_t n, int32_t *ids) {
    static ref_symbol s[REF_MAX + 1];
    size_t count = 0, n_ids = 0;
    if (n == 0)
        return 0;
    memcpy(s[0].text, "\xE2\x96\x81", s[0].len = 3);
    count = 1;
    for (size_t i = 0; i < n; count++) {
        size_t len;
        slm_utf8_decode(text + i, n - i, &len);
        memcpy(s[count].text, text + i, s[count].len = len);
        if (text[i] == ' ')
            memcpy(s[count].text, "\xE2\x96\x81", s[count].len = 3);
        i += len;
    }
    for (;;) {
        size_t best = count;
        float best_score = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            char both[4 * REF_MAX + 2];
            memcpy(both, s[i].text, s[i].len);
            memcpy(both + s[i].len, s[i + 1].text, s[i + 1].len);
            size_t id = ref_find(m, both, s[i].len + s[i + 1].len);
            if (id < m->n && m->types[id] == SLM_TYPE_NORMAL &&
                (best == count || m->scores[id] > best_score)) {
                best = i;
                best_score = m->scores[id];
            }
        }
        if (best == count)
            break;
        ref_join(s, &count, best);
    }
    for (size_t i = 0; i < count; i++) {
        size_t id = ref_find(m, s[i].text, s[i].len);
        if (id < m->n && m->types[id] == SLM_TYPE_NORMAL) {
            ids[n_ids++] = (int32_t)id;
            continue;
        }
        for (size_t b = 0; b < s[i].len; b++) {
            const char *byte = m->byte_text[(uint8_t)s[i].text[b]];
            ids[n_ids++] = (int32_t)ref_find(m, byte, strlen(byte));
        }
    }
    return n_ids;
}

#endif
