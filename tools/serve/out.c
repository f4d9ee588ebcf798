#include "out.h"

#include "../cli.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int reserve(serve_out *out, size_t more) {
    if (out->failed)
        return 0;
    if (more <= out->cap - out->len)
        return 1;
    size_t cap = 2 * (out->len + more) + 256;
    char *larger = realloc(out->data, cap);
    if (!larger) {
        out->failed = 1;
        return 0;
    }
    out->data = larger;
    out->cap = cap;
    return 1;
}

void serve_out_add(serve_out *out, const char *data, size_t len) {
    if (len == 0 || !reserve(out, len))
        return;
    memcpy(out->data + out->len, data, len);
    out->len += len;
}

void serve_out_text(serve_out *out, const char *text) { serve_out_add(out, text, strlen(text)); }

void serve_out_format(serve_out *out, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || !reserve(out, (size_t)n + 1))
        return;
    va_start(args, format);
    vsnprintf(out->data + out->len, (size_t)n + 1, format, args);
    va_end(args);
    out->len += (size_t)n;
}

void serve_out_string(serve_out *out, const char *text, size_t len) {
    size_t plain = 0; /* where the bytes begin that stand as they are */
    serve_out_add(out, "\"", 1);
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)text[i];
        size_t n = c < 0x80 ? 1 : slm_cli_utf8(text + i, len - i);
        if (n > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
            i += n;
            continue;
        }
        serve_out_add(out, text + plain, i - plain);
        if (n == 0)
            serve_out_text(out, "\\ufffd");
        else if (c == '"' || c == '\\')
            serve_out_format(out, "\\%c", c);
        else if (c == '\n')
            serve_out_text(out, "\\n");
        else
            serve_out_format(out, "\\u%04x", c);
        plain = ++i;
    }
    if (len > 0) /* text may be NULL else */
        serve_out_add(out, text + plain, len - plain);
    serve_out_add(out, "\"", 1);
}

void serve_out_float(serve_out *out, double value) {
    char text[32];
    int n = isfinite(value) ? snprintf(text, sizeof text, "%.9g", value)
                            : snprintf(text, sizeof text, "null");
    for (int i = 0; i < n; i++) /* a language may have a comma there */
        if (text[i] == ',')
            text[i] = '.';
    serve_out_text(out, text);
}

void serve_out_drop(serve_out *out, size_t n) {
    memmove(out->data, out->data + n, out->len - n);
    out->len -= n;
}

void serve_out_free(serve_out *out) {
    free(out->data);
    *out = (serve_out){0};
}
