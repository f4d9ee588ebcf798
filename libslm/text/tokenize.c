/* From spans of text to ids: special tokens are cut out, what is between them is brought into the
 * form that the tokenizer merges, and merged. */
#include "text/merge.h"
#include "text/unicode.h"

#include <string.h>

#define BLANK "\xE2\x96\x81" /* U+2581, SentencePiece's blank */

/* About four bytes of ordinary text make a token, of four bytes: as much is taken for the ids at
 * once, up to this. */
#define MAX_GUESS ((size_t)1 << 20)

/* ---- text between special tokens ---- */

static slm_status plain_bpe(slm_tokenizer *t, const char *text, size_t n, slm_error *error) {
    const slm_vocab *v = t->v;
    if (v->nfc && !slm_nfc_quick(text, n)) {
        t->normal.len = 0;
        SLM_TRY(slm_nfc_append(&t->normal, text, n, error));
        text = t->normal.ptr;
        n = t->normal.len;
    }
    for (size_t pos = 0; pos < n;) {
        size_t end = slm_pretok_next(v->pretok, text, n, pos);
        SLM_TRY(slm_merge_bpe(t, text + pos, end - pos, error));
        pos = end;
    }
    return SLM_OK;
}

/* Bytes of the blank at text[pos], pos < n: a space or U+2581 itself; 0 when there is none. */
static size_t blank_at(const char *text, size_t n, size_t pos) {
    if (text[pos] == ' ')
        return 1;
    return text[pos] == BLANK[0] && n - pos >= 3 && memcmp(text + pos, BLANK, 3) == 0 ? 3 : 0;
}

/* Appends text with U+2581 for its blanks. */
static slm_status append_blanked(slm_buffer *out, const char *text, size_t n, slm_error *error) {
    for (size_t i = 0, start; i < n;) {
        for (; i < n && text[i] == ' '; i++)
            SLM_TRY(slm_buffer_append(out, BLANK, 3, error));
        for (start = i; i < n && text[i] != ' '; i++)
            ;
        SLM_TRY(slm_buffer_append(out, text + start, i - start, error));
    }
    return SLM_OK;
}

/* The end of what may be merged by itself from text[pos] on: blanks and what follows up to the next
 * blank, or a character that merges with nothing. */
static size_t word_end(const slm_vocab *v, const char *text, size_t n, size_t pos) {
    size_t end = pos, len;
    while (end < n && (len = blank_at(text, n, end)) != 0)
        end += len;
    for (; end < n; end++) {
        uint8_t byte = (uint8_t)text[end];
        if (!v->stops[byte] || (byte == (uint8_t)BLANK[0] && blank_at(text, n, end) == 0))
            continue;
        return end > pos ? end : pos + 1; /* no blank starts here: they are passed */
    }
    return end;
}

/* Blanks become U+2581. Where no token holds one after another character, text is merged word by
 * word, which gives the same ids in less time and memory. */
static slm_status plain_spm(slm_tokenizer *t, const char *text, size_t n, slm_error *error) {
    const slm_vocab *v = t->v;
    int prefix = t->prefix_due && v->add_space_prefix;
    for (size_t pos = 0, end; pos < n; pos = end, prefix = 0) {
        end = v->split_words ? word_end(v, text, n, pos) : n;
        slm_word_key key;
        slm_word *word = prefix ? NULL : slm_words_at(&t->words, text + pos, end - pos, &key);
        if (word && slm_words_hit(&t->words, word, &key)) {
            SLM_TRY(slm_push_word(t, word, error));
            continue;
        }
        uint8_t first = (uint8_t)text[pos];
        if (end - pos == 1 && !prefix && first != ' ' && first < 0x80 && v->stops[first]) {
            SLM_TRY(slm_push_id(t, v->byte_id[first], error));
            continue;
        }
        size_t ids_at = t->ids.len;
        t->normal.len = 0;
        if (prefix)
            SLM_TRY(slm_buffer_append(&t->normal, BLANK, 3, error));
        SLM_TRY(append_blanked(&t->normal, text + pos, end - pos, error));
        SLM_TRY(slm_merge_spm(t, t->normal.ptr, t->normal.len, error));
        if (word)
            slm_keep_word(t, word, &key, ids_at);
    }
    return SLM_OK;
}

static slm_status plain(slm_tokenizer *t, const char *text, size_t n, slm_error *error) {
    if (t->strip_due) {
        size_t skip = 0, len;
        while (skip < n &&
               (slm_cp_class(slm_utf8_decode(text + skip, n - skip, &len)) & SLM_CLASS_SPACE))
            skip += len;
        text += skip;
        n -= skip;
    }
    if (n == 0)
        return SLM_OK;
    SLM_TRY(t->v->kind == SLM_VOCAB_BPE ? plain_bpe(t, text, n, error)
                                        : plain_spm(t, text, n, error));
    t->prefix_due = t->strip_due = 0;
    return SLM_OK;
}

/* ---- spans ---- */

/* Pushes the special tokens of text[from..to), and what stands before each of them from *plain_at on.
 * *plain_at: where the text begins that is not pushed yet. */
static slm_status specials(slm_tokenizer *t, int trusted, const char *text, size_t from, size_t to,
                           size_t *plain_at, slm_error *error) {
    for (size_t pos = from; pos < to;) {
        uint32_t id = SLM_NO_ID;
        size_t at = slm_special_find(t->v, trusted, text, to, pos, &id);
        if (at == to)
            break;
        SLM_TRY(plain(t, text + *plain_at, at - *plain_at, error));
        SLM_TRY(slm_push_id(t, id, error));
        t->prefix_due = 1;
        t->strip_due = (t->v->types[id] & SLM_TYPE_STRIP) != 0;
        *plain_at = pos = at + t->v->refs[id].len;
    }
    return SLM_OK;
}

static slm_status stretch(slm_tokenizer *t, int trusted, const char *text, size_t n,
                          slm_error *error) {
    size_t plain_at = 0;
    SLM_TRY(specials(t, trusted, text, 0, n, &plain_at, error));
    return plain(t, text + plain_at, n - plain_at, error);
}

static size_t span_len(const slm_span *s) {
    return s->len == SLM_NTS && s->text ? strlen(s->text) : s->len;
}

static slm_status check_spans(const slm_span *spans, size_t n_spans, size_t *bytes,
                              slm_error *error) {
    if (n_spans > 0 && !spans)
        return slm_fail(error, SLM_ERR_ARG, "spans", SLM_NO_OFFSET, "spans is NULL, n_spans is not 0");
    size_t total = 0;
    for (size_t i = 0; i < n_spans; i++) {
        if (!spans[i].text && spans[i].len != 0)
            return slm_fail(error, SLM_ERR_ARG, "spans", SLM_NO_OFFSET,
                            "span %zu: text is NULL, len is not 0", i);
        if (spans[i].trusted > 1)
            return slm_fail(error, SLM_ERR_ARG, "spans", SLM_NO_OFFSET,
                            "span %zu: trusted is %u, wanted 0 or 1", i, spans[i].trusted);
        size_t len = span_len(&spans[i]);
        if (len > INT32_MAX - total)
            return slm_fail(error, SLM_ERR_LIMIT, "spans", SLM_NO_OFFSET,
                            "more than %d bytes of text", INT32_MAX);
        total += len;
    }
    *bytes = total;
    return SLM_OK;
}

/* Neighbours of equal trust are one text; empty spans are not there. */
static slm_status all_spans(slm_tokenizer *t, const slm_span *spans, size_t n_spans,
                            slm_error *error) {
    for (size_t i = 0, next; i < n_spans; i = next) {
        next = i + 1;
        if (span_len(&spans[i]) == 0)
            continue;
        int more = 0;
        for (; next < n_spans; next++) {
            if (span_len(&spans[next]) == 0)
                continue;
            if (spans[next].trusted != spans[i].trusted)
                break;
            more = 1;
        }
        const char *text = spans[i].text;
        size_t n = span_len(&spans[i]);
        if (more) {
            t->joined.len = 0;
            for (size_t k = i; k < next; k++)
                SLM_TRY(slm_buffer_append(&t->joined, spans[k].text, span_len(&spans[k]), error));
            text = t->joined.ptr;
            n = t->joined.len;
        }
        SLM_TRY(stretch(t, spans[i].trusted == 1, text, n, error));
    }
    return SLM_OK;
}

/* All spans as one text, in which special tokens lie within one span. */
static slm_status joined_spans(slm_tokenizer *t, const slm_span *spans, size_t n_spans,
                               slm_error *error) {
    size_t at = 0, plain_at = 0;
    for (size_t i = 0; i < n_spans; i++)
        SLM_TRY(slm_buffer_append(&t->joined, spans[i].text, span_len(&spans[i]), error));
    for (size_t i = 0; i < n_spans; i++) {
        size_t end = at + span_len(&spans[i]);
        SLM_TRY(specials(t, spans[i].trusted == 1, t->joined.ptr, at, end, &plain_at, error));
        at = end;
    }
    return at > plain_at ? plain(t, t->joined.ptr + plain_at, at - plain_at, error) : SLM_OK;
}

static slm_status first_id(slm_tokenizer *t, int32_t bos, slm_error *error) {
    const slm_vocab *v = t->v;
    if (bos < SLM_BOS_DEFAULT || bos > SLM_BOS_NONE)
        return slm_fail(error, SLM_ERR_ARG, "bos", SLM_NO_OFFSET, "bos is %d, wanted 0, 1 or 2",
                        bos);
    if (bos == SLM_BOS_NONE || (bos == SLM_BOS_DEFAULT && (!v->add_bos || v->bos < 0)))
        return SLM_OK;
    if (v->bos < 0)
        return slm_fail(error, SLM_ERR_MISSING, "bos", SLM_NO_OFFSET,
                        "a BOS is wanted, but the vocabulary has none");
    return slm_push_id(t, (uint32_t)v->bos, error);
}

slm_status slm_vocab_tokenize(const slm_vocab *v, const slm_span *spans, size_t n_spans,
                              int32_t bos, int32_t *ids, size_t cap, size_t *n_ids,
                              slm_error *error) {
    return slm_vocab_tokenize_spans(v, spans, n_spans, bos, 0, ids, cap, n_ids, error);
}

slm_status slm_vocab_tokenize_spans(const slm_vocab *v, const slm_span *spans, size_t n_spans,
                                    int32_t bos, int join, int32_t *ids, size_t cap, size_t *n_ids,
                                    slm_error *error) {
    slm_tokenizer t = {
        .v = v,
        .ids = {.host = v->host},
        .symbols = {.host = v->host},
        .heap = {.host = v->host},
        .normal = {.host = v->host},
        .joined = {.host = v->host},
        .prefix_due = 1,
    };
    size_t bytes = 0;
    slm_status status = check_spans(spans, n_spans, &bytes, error);
    if (status == SLM_OK)
        status = slm_words_open(&t.words, v->host, bytes, error);
    if (status == SLM_OK)
        status = slm_buffer_reserve(&t.ids, bytes < MAX_GUESS ? bytes : MAX_GUESS, error);
    if (status == SLM_OK)
        status = first_id(&t, bos, error);
    if (status == SLM_OK)
        status = join ? joined_spans(&t, spans, n_spans, error)
                      : all_spans(&t, spans, n_spans, error);
    if (status == SLM_OK) {
        size_t n = t.ids.len / sizeof *ids;
        *n_ids = n;
        if (cap > 0 && n > cap)
            status = slm_fail(error, SLM_ERR_LIMIT, "ids", SLM_NO_OFFSET,
                              "%zu ids, the buffer holds %zu", n, cap);
        else if (cap > 0 && n > 0)
            memcpy(ids, t.ids.ptr, t.ids.len);
    }
    slm_buffer_free(&t.ids);
    slm_buffer_free(&t.symbols);
    slm_buffer_free(&t.heap);
    slm_buffer_free(&t.normal);
    slm_buffer_free(&t.joined);
    slm_words_close(&t.words, v->host);
    return status;
}
