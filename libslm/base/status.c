#include "base/status.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *slm_status_name(slm_status status) {
    /* clang-format off */
    switch (status) {
    case SLM_OK: return "OK";
    case SLM_ERR_ARG: return "ARG";
    case SLM_ERR_NOMEM: return "NOMEM";
    case SLM_ERR_IO: return "IO";
    case SLM_ERR_FORMAT: return "FORMAT";
    case SLM_ERR_TRUNC: return "TRUNC";
    case SLM_ERR_LIMIT: return "LIMIT";
    case SLM_ERR_TYPE: return "TYPE";
    case SLM_ERR_RANGE: return "RANGE";
    case SLM_ERR_SHAPE: return "SHAPE";
    case SLM_ERR_MISSING: return "MISSING";
    case SLM_ERR_DUP: return "DUP";
    case SLM_ERR_UNSUP: return "UNSUP";
    case SLM_ERR_CHANGED: return "CHANGED";
    case SLM_ERR_UTF8: return "UTF8";
    case SLM_ERR_CTX: return "CTX";
    case SLM_ERR_CANCEL: return "CANCEL";
    case SLM_ERR_BUSY: return "BUSY";
    case SLM_ERR_NUMERIC: return "NUMERIC";
    case SLM_ERR_DEVICE: return "DEVICE";
    case SLM_ERR_TEMPLATE: return "TEMPLATE";
    case SLM_ERR_GRAMMAR: return "GRAMMAR";
    default: return "UNKNOWN";
    }
    /* clang-format on */
}

/* Characters that would break or reorder a line on a terminal: controls, line and paragraph
 * separators, bidirectional marks and overrides, the byte order mark. */
static int is_printable(uint32_t c) {
    return c >= 0x20 && !(c >= 0x7f && c < 0xa0) && c != 0x61c && c != 0xfeff &&
           !(c >= 0x200b && c <= 0x200f) && !(c >= 0x2028 && c <= 0x202e) &&
           !(c >= 0x2060 && c <= 0x206f);
}

void slm_escape(char *dst, size_t cap, const char *src, size_t len) {
    static const char hex[] = "0123456789abcdef";
    const uint8_t *p = (const uint8_t *)src;
    size_t out = 0;
    size_t cut = 0; /* where "..." still fits */
    size_t i = 0;
    while (i < len) {
        char unit[16];
        size_t n = 0;
        uint32_t c = 0;
        size_t used = slm_utf8_next(p + i, len - i, &c);
        if (used > 0 && is_printable(c)) {
            memcpy(unit, src + i, used);
            n = used;
        } else {
            if (used == 0)
                used = 1;
            for (size_t k = 0; k < used; k++) {
                unit[n++] = '\\';
                unit[n++] = 'x';
                unit[n++] = hex[p[i + k] >> 4];
                unit[n++] = hex[p[i + k] & 15];
            }
        }
        if (n >= cap - out) {
            if (cap > 3) {
                memcpy(dst + cut, "...", 3);
                out = cut + 3;
            }
            break;
        }
        memcpy(dst + out, unit, n);
        out += n;
        if (cap - out > 3)
            cut = out;
        i += used;
    }
    dst[out] = 0;
}

/* Copies the text to the part of a field that the caller's struct has. */
static void put_text(slm_error *error, size_t field, size_t field_size, const char *text) {
    size_t have = error->struct_size;
    if (have <= field)
        return;
    size_t cap = have - field < field_size ? have - field : field_size;
    slm_escape((char *)error + field, cap, text, strlen(text));
}

slm_status slm_fail(slm_error *error, slm_status status, const char *subject, uint64_t offset,
                    const char *format, ...) {
    if (!error)
        return status;
    /* The arguments may point into *error, so everything is formatted before it is written. */
    char name[256];
    char text[1024];
    size_t n = 0;
    while (subject && subject[n] && n + 1 < sizeof name)
        n++;
    if (n > 0)
        memcpy(name, subject, n);
    name[n] = 0;
    va_list ap;
    va_start(ap, format);
    int got = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (got < 0)
        text[0] = 0;

    size_t have = error->struct_size;
    if (have >= offsetof(slm_error, status) + sizeof error->status)
        error->status = status;
    if (have >= offsetof(slm_error, offset) + sizeof error->offset)
        error->offset = offset;
    put_text(error, offsetof(slm_error, subject), sizeof error->subject, name);
    put_text(error, offsetof(slm_error, message), sizeof error->message, text);
    return status;
}

static slm_status check_size(uint32_t size, const char *what, slm_error *error) {
    if (size >= sizeof(uint32_t))
        return SLM_OK;
    return slm_fail(error, SLM_ERR_ARG, "struct_size", SLM_NO_OFFSET,
                    "struct_size of %s is %" PRIu32 ", wanted its sizeof", what, size);
}

slm_status slm_copy_options(void *dst, size_t dst_size, const void *defaults, const void *src,
                            const char *what, slm_error *error) {
    if (defaults)
        memcpy(dst, defaults, dst_size);
    else
        memset(dst, 0, dst_size);
    uint32_t own = (uint32_t)dst_size;
    if (src) {
        uint32_t size;
        memcpy(&size, src, sizeof size);
        SLM_TRY(check_size(size, what, error));
        const uint8_t *bytes = src;
        for (size_t i = dst_size; i < size; i++) {
            if (bytes[i] != 0)
                return slm_fail(error, SLM_ERR_ARG, "struct_size", SLM_NO_OFFSET,
                                "%s has %" PRIu32 " bytes, this library knows %zu of them, and "
                                "byte %zu beyond is not zero",
                                what, size, dst_size, i);
        }
        memcpy(dst, src, size < dst_size ? size : dst_size);
    }
    memcpy(dst, &own, sizeof own);
    return SLM_OK;
}

slm_status slm_check_info(const void *info, const char *what, slm_error *error) {
    uint32_t size;
    memcpy(&size, info, sizeof size);
    return check_size(size, what, error);
}

slm_status slm_copy_info(void *dst, const void *src, size_t src_size, const char *what,
                         slm_error *error) {
    uint32_t size;
    memcpy(&size, dst, sizeof size);
    SLM_TRY(check_size(size, what, error));
    size_t n = size < src_size ? size : src_size;
    memcpy((uint8_t *)dst + sizeof size, (const uint8_t *)src + sizeof size, n - sizeof size);
    return SLM_OK;
}
