#include "gguf/gguf_internal.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Counts what does not fit, so that one pass without a buffer gives the length. */
typedef struct sink {
    char *text;
    size_t cap;
    size_t len;
} sink;

static void put(sink *s, const char *text, size_t len) {
    if (s->len < s->cap)
        memcpy(s->text + s->len, text, len < s->cap - s->len ? len : s->cap - s->len);
    s->len += len;
}

static void put_z(sink *s, const char *text) {
    put(s, text, strlen(text));
}

/* printf writes the decimal separator of the process's locale, which may be several bytes long:
 * whatever is no digit, sign or letter becomes a point. */
static void plain_point(char *text) {
    char *to = text;
    for (const char *from = text; *from;) {
        char c = *from;
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+') {
            *to++ = c;
            from++;
            continue;
        }
        *to++ = '.';
        while (*from && !(*from >= '0' && *from <= '9'))
            from++;
    }
    *to = 0;
}

void slm_gguf_float_text(char *text, float value) {
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, SLM_GGUF_NUMBER, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    plain_point(text);
}

static void double_text(char *text, double value) {
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, SLM_GGUF_NUMBER, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    plain_point(text);
}

static void put_number(sink *s, slm_gguf_type type, const uint8_t *p, int json) {
    char text[SLM_GGUF_NUMBER] = "null";
    /* clang-format off */
    switch (type) {
    case SLM_GGUF_U8: snprintf(text, sizeof text, "%u", p[0]); break;
    case SLM_GGUF_I8: snprintf(text, sizeof text, "%d", (int8_t)p[0]); break;
    case SLM_GGUF_U16: snprintf(text, sizeof text, "%" PRIu32, slm_le16(p)); break;
    case SLM_GGUF_I16: snprintf(text, sizeof text, "%d", (int16_t)slm_le16(p)); break;
    case SLM_GGUF_U32: snprintf(text, sizeof text, "%" PRIu32, slm_le32(p)); break;
    case SLM_GGUF_I32: snprintf(text, sizeof text, "%" PRId32, (int32_t)slm_le32(p)); break;
    case SLM_GGUF_U64: snprintf(text, sizeof text, "%" PRIu64, slm_le64(p)); break;
    case SLM_GGUF_I64: snprintf(text, sizeof text, "%" PRId64, (int64_t)slm_le64(p)); break;
    case SLM_GGUF_BOOL: snprintf(text, sizeof text, "%s", p[0] ? "true" : "false"); break;
    case SLM_GGUF_F32:
        if (!json || isfinite(slm_le_f32(p)))
            slm_gguf_float_text(text, slm_le_f32(p));
        break;
    case SLM_GGUF_F64:
        if (!json || isfinite(slm_le_f64(p)))
            double_text(text, slm_le_f64(p));
        break;
    default: break;
    }
    /* clang-format on */
    put_z(s, text);
}

static void put_str(sink *s, slm_str str, int json) {
    const uint8_t *p = (const uint8_t *)str.ptr;
    if (json)
        put_z(s, "\"");
    for (size_t i = 0; i < str.len;) {
        char text[8];
        size_t n = slm_utf8_next(p + i, str.len - i, NULL);
        if (n == 0) {
            put_z(s, "\xef\xbf\xbd");
            n = 1;
        } else if (json && (p[i] == '"' || p[i] == '\\')) {
            text[0] = '\\';
            text[1] = (char)p[i];
            put(s, text, 2);
        } else if (json && p[i] < 0x20) {
            snprintf(text, sizeof text, "\\u%04x", p[i]);
            put_z(s, text);
        } else {
            put(s, str.ptr + i, n);
        }
        i += n;
    }
    if (json)
        put_z(s, "\"");
}

static void put_value(sink *s, const slm_gguf_kv *kv) {
    int array = kv->type == SLM_GGUF_ARRAY;
    slm_gguf_type type = array ? kv->item_type : kv->type;
    uint64_t pos = 0;
    if (array)
        put_z(s, "[");
    for (uint64_t i = 0; i < kv->count; i++) {
        if (i > 0)
            put_z(s, ",");
        if (type == SLM_GGUF_STRING)
            put_str(s, slm_gguf_next_str(kv, &pos), array);
        else
            put_number(s, type, kv->data + i * slm_gguf_type_bytes(type), array);
    }
    if (array)
        put_z(s, "]");
}

slm_status slm_gguf_kv_text(const slm_gguf_kv *kv, char *text, size_t cap, size_t *len,
                            slm_error *error) {
    sink count = {NULL, 0, 0};
    put_value(&count, kv);
    *len = count.len;
    if (cap == 0)
        return SLM_OK;
    if (count.len > cap) {
        slm_gguf_label label = slm_gguf_label_of(kv->key);
        return slm_fail(error, SLM_ERR_LIMIT, label.text, kv->offset,
                        "the text of '%s' has %zu bytes, the buffer %zu", label.text, count.len,
                        cap);
    }
    sink write = {text, cap, 0};
    put_value(&write, kv);
    return SLM_OK;
}
