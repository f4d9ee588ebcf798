#include "base/json.h"
#include "base/utf8.h"

#include <string.h>

static slm_status put(slm_buffer *out, const char *text, size_t n, slm_error *error) {
    return slm_buffer_append(out, text, n, error);
}

static slm_status new_line(slm_json_writer *w, slm_error *error) {
    size_t n = 1 + (size_t)w->indent * w->depth;
    SLM_TRY(slm_buffer_reserve(w->out, n, error));
    memset(w->out->ptr + w->out->len, ' ', n);
    w->out->ptr[w->out->len] = '\n';
    w->out->len += n;
    return SLM_OK;
}

/* What stands between the value or name that comes and what came before it. */
static slm_status separate(slm_json_writer *w, slm_error *error) {
    int named = w->named, follows = w->in_value;
    w->named = 0;
    w->in_value = 1;
    if (named)
        return SLM_OK;
    if (follows)
        SLM_TRY(put(w->out, ", ", (w->flags & SLM_JSON_SPACED) && !w->indent ? 2 : 1, error));
    return w->indent && w->depth > 0 ? new_line(w, error) : SLM_OK;
}

slm_status slm_json_put_open(slm_json_writer *w, char bracket, slm_error *error) {
    SLM_TRY(separate(w, error));
    w->depth++;
    w->in_value = 0;
    return put(w->out, &bracket, 1, error);
}

slm_status slm_json_put_close(slm_json_writer *w, char bracket, slm_error *error) {
    w->depth--;
    if (w->in_value && w->indent)
        SLM_TRY(new_line(w, error));
    w->in_value = 1;
    return put(w->out, &bracket, 1, error);
}

slm_status slm_json_put_name(slm_json_writer *w, const char *name, size_t len, slm_error *error) {
    SLM_TRY(slm_json_put_string(w, name, len, error));
    return slm_json_put_colon(w, error);
}

slm_status slm_json_put_colon(slm_json_writer *w, slm_error *error) {
    w->named = 1;
    return put(w->out, ": ", w->flags & SLM_JSON_SPACED ? 2 : 1, error);
}

slm_status slm_json_put_string(slm_json_writer *w, const char *text, size_t len, slm_error *error) {
    SLM_TRY(separate(w, error));
    return slm_json_quote(w->out, text, len, w->flags, error);
}

slm_status slm_json_put_raw(slm_json_writer *w, const char *text, size_t len, slm_error *error) {
    SLM_TRY(separate(w, error));
    return put(w->out, text, len == SLM_NTS ? strlen(text) : len, error);
}

slm_status slm_json_put_value(slm_json_writer *w, const slm_json *v, slm_error *error) {
    static const char *const WORDS[] = {"null", "false", "true"};
    if (v->type == SLM_JSON_NUMBER)
        return slm_json_put_raw(w, v->text.ptr, v->text.len, error);
    if (v->type == SLM_JSON_STRING)
        return slm_json_put_string(w, v->text.ptr, v->text.len, error);
    if (v->type <= SLM_JSON_TRUE)
        return slm_json_put_raw(w, WORDS[v->type], SLM_NTS, error);
    int object = v->type == SLM_JSON_OBJECT;
    SLM_TRY(slm_json_put_open(w, object ? '{' : '[', error));
    for (uint32_t i = 0; i < v->n_items; i++) {
        const slm_json *item = &v->items[i];
        if (object)
            SLM_TRY(slm_json_put_name(w, item->name.ptr, item->name.len, error));
        SLM_TRY(slm_json_put_value(w, item, error)); /* no deeper than what was read */
    }
    return slm_json_put_close(w, object ? '}' : ']', error);
}

/* ---- strings ---- */

static size_t escape_unit(uint32_t unit, char *out) {
    static const char HEX[] = "0123456789abcdef";
    memcpy(out, (char[]){'\\', 'u', HEX[unit >> 12 & 15], HEX[unit >> 8 & 15], HEX[unit >> 4 & 15],
                         HEX[unit & 15]}, 6);
    return 6;
}

/* The escape of a code point, at most 12 bytes. */
static size_t spell_escape(uint32_t cp, char *out) {
    static const char FROM[] = "\"\\\b\f\n\r\t", TO[] = "\"\\bfnrt";
    const char *at = cp > 0 && cp < 0x80 ? strchr(FROM, (int)cp) : NULL;
    if (at) {
        out[0] = '\\';
        out[1] = TO[at - FROM];
        return 2;
    }
    if (cp < 0x10000)
        return escape_unit(cp, out);
    size_t n = escape_unit(0xD800 + ((cp - 0x10000) >> 10), out);
    return n + escape_unit(0xDC00 + ((cp - 0x10000) & 0x3FF), out + n);
}

slm_status slm_json_escape(slm_buffer *out, const char *text, size_t len, uint32_t flags,
                           slm_error *error) {
    const uint8_t *p = (const uint8_t *)text;
    uint8_t end = flags & SLM_JSON_ASCII ? 0x7F : 0xFF; /* first byte value that is escaped */
    for (size_t i = 0, plain = 0; i <= len; i++) {
        if (i < len && p[i] >= 0x20 && p[i] < end && p[i] != '"' && p[i] != '\\')
            continue;
        SLM_TRY(put(out, text + plain, i - plain, error));
        if (i == len)
            break;
        uint32_t cp = p[i];
        size_t n = slm_utf8_next(p + i, len - i, &cp);
        char escaped[12];
        SLM_TRY(put(out, escaped, spell_escape(cp, escaped), error));
        i += n > 0 ? n - 1 : 0;
        plain = i + 1;
    }
    return SLM_OK;
}

slm_status slm_json_quote(slm_buffer *out, const char *text, size_t len, uint32_t flags,
                          slm_error *error) {
    SLM_TRY(slm_buffer_reserve(out, len + 2, error));
    SLM_TRY(put(out, "\"", 1, error));
    SLM_TRY(slm_json_escape(out, text, len, flags, error));
    return put(out, "\"", 1, error);
}
