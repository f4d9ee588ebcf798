/* From ids back to bytes. */
#include "text/unicode.h"
#include "text/vocab_impl.h"

#include <string.h>

/* A normal token of byte-level BPE: code points of GPT-2's printable form are bytes. Anything else
 * can only come from an odd file and stays as it is. Never longer than the spelling. */
static slm_str decode_bpe(slm_str text, char *buf) {
    size_t n = 0;
    for (size_t i = 0; i < text.len;) {
        size_t len;
        uint32_t cp = slm_utf8_decode(text.ptr + i, text.len - i, &len);
        int byte = slm_cp_to_byte(cp);
        if (byte >= 0) {
            buf[n++] = (char)byte;
        } else {
            memcpy(buf + n, text.ptr + i, len);
            n += len;
        }
        i += len;
    }
    return (slm_str){buf, n};
}

/* A normal token of SentencePiece: U+2581 is a blank. */
static slm_str decode_spm(slm_str text, char *buf) {
    size_t n = 0;
    for (size_t i = 0; i < text.len;) {
        if (text.len - i >= 3 && memcmp(text.ptr + i, "\xE2\x96\x81", 3) == 0) {
            buf[n++] = ' ';
            i += 3;
        } else {
            buf[n++] = text.ptr[i++];
        }
    }
    return (slm_str){buf, n};
}

slm_str slm_vocab_token_bytes(const slm_vocab *v, int32_t id, uint32_t flags, char *buf) {
    slm_str text = slm_vocab_text(v, id);
    switch (slm_token_type(v, (uint32_t)id)) {
    case SLM_TYPE_NORMAL:
        return v->kind == SLM_VOCAB_BPE ? decode_bpe(text, buf) : decode_spm(text, buf);
    case SLM_TYPE_BYTE:
        buf[0] = (char)slm_parse_byte_token(text.ptr, text.len);
        return (slm_str){buf, 1};
    case SLM_TYPE_USER_DEFINED:
        return text;
    default:
        return flags & SLM_DETOKENIZE_SPECIAL ? text : (slm_str){text.ptr, 0};
    }
}

size_t slm_vocab_max_token_bytes(const slm_vocab *v) { return v->max_text > 0 ? v->max_text : 1; }

/* Whether tokenizing puts a blank before text that follows this token. */
static int prefixes_after(const slm_vocab *v, int32_t id) {
    if (!slm_vocab_adds_space(v))
        return 0;
    uint32_t type = id < 0 ? SLM_TYPE_CONTROL : slm_token_type(v, (uint32_t)id);
    return type != SLM_TYPE_NORMAL && type != SLM_TYPE_BYTE;
}

slm_str slm_vocab_drop_space(const slm_vocab *v, int32_t before, int32_t id, slm_str text) {
    if (prefixes_after(v, before) && slm_token_type(v, (uint32_t)id) == SLM_TYPE_NORMAL &&
        text.len > 0 && text.ptr[0] == ' ')
        return (slm_str){text.ptr + 1, text.len - 1};
    return text;
}

slm_status slm_vocab_detokenize(const slm_vocab *v, const int32_t *ids, size_t n_ids,
                                uint32_t flags, char *text, size_t cap, size_t *len,
                                slm_error *error) {
    if (flags & ~(uint32_t)(SLM_DETOKENIZE_SPECIAL | SLM_DETOKENIZE_DROP_SPACE))
        return slm_fail(error, SLM_ERR_ARG, "flags", SLM_NO_OFFSET, "unknown flags 0x%x", flags);
    for (size_t i = 0; i < n_ids; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= v->n)
            return slm_fail(error, SLM_ERR_RANGE, "ids", SLM_NO_OFFSET,
                            "id %zu is %d, wanted 0 to %u", i, ids[i], v->n - 1);
    char *buf = slm_alloc(v->host, slm_vocab_max_token_bytes(v));
    if (!buf)
        return slm_fail_nomem(error, slm_vocab_max_token_bytes(v), "token text");
    /* Once for the length, once to write, so that a buffer too small stays untouched. */
    slm_status status = SLM_OK;
    for (int write = 0; write < 2 && status == SLM_OK; write++) {
        size_t n = 0;
        int32_t before = -1;
        for (size_t i = 0; i < n_ids; before = ids[i], i++) {
            slm_str s = slm_vocab_token_bytes(v, ids[i], flags, buf);
            if (flags & SLM_DETOKENIZE_DROP_SPACE)
                s = slm_vocab_drop_space(v, before, ids[i], s);
            if (write && s.len > 0)
                memcpy(text + n, s.ptr, s.len);
            n += s.len;
        }
        if (write)
            break;
        *len = n;
        if (cap == 0)
            break;
        if (n > cap)
            status = slm_fail(error, SLM_ERR_LIMIT, "text", SLM_NO_OFFSET,
                              "%zu bytes, the buffer holds %zu", n, cap);
    }
    slm_free(v->host, buf);
    return status;
}
