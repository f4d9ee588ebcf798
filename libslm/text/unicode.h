/* What the tokenizers need of Unicode: UTF-8, classes of code points, NFC. */
#ifndef SLM_TEXT_UNICODE_H
#define SLM_TEXT_UNICODE_H

#include "base/utf8.h"
#include "base/buffer.h"

/* Classes of a code point, as regular expressions over it spell them. Lm and Lo are LETTER alone. */
enum {
    SLM_CLASS_LETTER = 1u << 0,  /* \p{L}                                                           */
    SLM_CLASS_NUMBER = 1u << 1,  /* \p{N}                                                           */
    SLM_CLASS_MARK = 1u << 2,    /* \p{M}                                                           */
    SLM_CLASS_UPPER = 1u << 3,   /* \p{Lu} \p{Lt}, besides LETTER                                   */
    SLM_CLASS_LOWER = 1u << 4,   /* \p{Ll}, besides LETTER                                          */
    SLM_CLASS_SPACE = 1u << 5,   /* \s: White_Space=Yes, 25 code points                             */
    SLM_CLASS_NEWLINE = 1u << 6  /* CR and LF, besides SPACE                                        */
};

/* A byte that is no part of well-formed UTF-8 stands for itself, with this "code point". */
#define SLM_CP_NONE UINT32_MAX

/* Decodes the code point at text[0..n), n >= 1. *len receives its bytes, 1 for SLM_CP_NONE. */
static inline uint32_t slm_utf8_decode(const char *text, size_t n, size_t *len) {
    uint32_t cp;
    *len = slm_utf8_next((const uint8_t *)text, n, &cp);
    if (*len)
        return cp;
    *len = 1;
    return SLM_CP_NONE;
}

/* SLM_CLASS_... of a code point; 0 for SLM_CP_NONE (which all patterns treat as a symbol). */
uint32_t slm_cp_class(uint32_t cp);
extern const uint8_t slm_ascii_class[128]; /* the same, for the code points of ASCII */
/* What Python's str.strip() takes away: \s and U+001C to U+001F. */
int slm_cp_is_blank(uint32_t cp);

/* 1 when text is seen to be in NFC without looking closely. */
int slm_nfc_quick(const char *text, size_t n);
/* Appends the NFC of text to out (UAX 15). Bytes that are not UTF-8 stay and separate what is
 * around them. Linear in n. */
slm_status slm_nfc_append(slm_buffer *out, const char *text, size_t n, slm_error *error);

#endif
