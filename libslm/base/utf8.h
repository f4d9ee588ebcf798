/* Recognising and writing UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). */
#ifndef SLM_BASE_UTF8_H
#define SLM_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the valid character at p (len > 0), 1 to 4; 0 when there is none. *cp, which may be
 * NULL, receives its code point. */
static inline size_t slm_utf8_next(const uint8_t *p, size_t len, uint32_t *cp) {
    uint32_t c = p[0];
    size_t n;
    uint32_t least;
    if (c < 0x80) {
        n = 1;
        least = 0;
    } else if (c >= 0xc2 && c <= 0xdf) {
        n = 2;
        c &= 0x1f;
        least = 0x80;
    } else if (c >= 0xe0 && c <= 0xef) {
        n = 3;
        c &= 0x0f;
        least = 0x800;
    } else if (c >= 0xf0 && c <= 0xf4) {
        n = 4;
        c &= 0x07;
        least = 0x10000;
    } else {
        return 0;
    }
    if (n > len)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = (c << 6) | (p[i] & 0x3fu);
    }
    if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    if (cp)
        *cp = c;
    return n;
}

/* Writes cp (a scalar value) to out, at most 4 bytes; returns how many. */
static inline size_t slm_utf8_encode(uint32_t cp, char *out) {
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xC0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xE0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3F));
        out[2] = (char)(0x80 | (cp & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3F));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3F));
    out[3] = (char)(0x80 | (cp & 0x3F));
    return 4;
}

#endif
