#include "text/unicode.h"

#include <string.h>
#include <utf8proc.h>

static int is_space(uint32_t cp) {
    return (cp >= 0x09 && cp <= 0x0D) || cp == 0x20 || cp == 0x85 || cp == 0xA0 || cp == 0x1680 ||
           (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 || cp == 0x202F ||
           cp == 0x205F || cp == 0x3000;
}

/* clang-format off */
enum {
    S = SLM_CLASS_SPACE, B = SLM_CLASS_SPACE | SLM_CLASS_NEWLINE, D = SLM_CLASS_NUMBER,
    U = SLM_CLASS_LETTER | SLM_CLASS_UPPER, L = SLM_CLASS_LETTER | SLM_CLASS_LOWER
};
const uint8_t slm_ascii_class[128] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, S, B, S, S, B, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    S, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    D, D, D, D, D, D, D, D, D, D, 0, 0, 0, 0, 0, 0,
    0, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U,
    U, U, U, U, U, U, U, U, U, U, U, 0, 0, 0, 0, 0,
    0, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,
    L, L, L, L, L, L, L, L, L, L, L, 0, 0, 0, 0, 0,
};
/* clang-format on */

uint32_t slm_cp_class(uint32_t cp) {
    if (cp < 0x80)
        return slm_ascii_class[cp];
    if (cp > 0x10FFFF)
        return 0;
    switch (utf8proc_category((utf8proc_int32_t)cp)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
        return SLM_CLASS_LETTER | SLM_CLASS_UPPER;
    case UTF8PROC_CATEGORY_LL:
        return SLM_CLASS_LETTER | SLM_CLASS_LOWER;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return SLM_CLASS_LETTER;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return SLM_CLASS_MARK;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return SLM_CLASS_NUMBER;
    default:
        return is_space(cp) ? SLM_CLASS_SPACE : 0;
    }
}

int slm_cp_is_blank(uint32_t cp) { return is_space(cp) || (cp >= 0x1C && cp <= 0x1F); }

/* ---- NFC ---- */

/* Code points before which normalisation can always be cut and which never change: starters with
 * NFC_Quick_Check=Yes. Not all of them; the normalization stability policy keeps these so. */
static int is_stable(uint32_t cp) {
    if (cp < 0x300)
        return 1;
    return (cp >= 0x400 && cp <= 0x482) ||   /* Cyrillic                                            */
           (cp >= 0x5D0 && cp <= 0x5EA) ||   /* Hebrew letters                                      */
           (cp >= 0x620 && cp <= 0x64A) ||   /* Arabic letters                                      */
           (cp >= 0x905 && cp <= 0x939) ||   /* Devanagari letters                                  */
           (cp >= 0xE01 && cp <= 0xE30) ||   /* Thai letters                                        */
           (cp >= 0x2010 && cp <= 0x2027) || /* general punctuation                                 */
           (cp >= 0x2500 && cp <= 0x25FF) || /* box drawing, shapes                                 */
           (cp >= 0x3001 && cp <= 0x3029) || /* CJK punctuation                                     */
           (cp >= 0x3041 && cp <= 0x3096) || /* hiragana                                            */
           (cp >= 0x30A1 && cp <= 0x30FC) || /* katakana                                            */
           (cp >= 0x3400 && cp <= 0x4DBF) || /* CJK extension A                                     */
           (cp >= 0x4E00 && cp <= 0x9FFF) || /* CJK                                                 */
           (cp >= 0xAC00 && cp <= 0xD7A3) || /* hangul syllables                                    */
           (cp >= 0xFF01 && cp <= 0xFF5E) || /* full-width ASCII                                    */
           (cp >= 0x1F300 && cp <= 0x1FAFF); /* emoji                                               */
}

int slm_nfc_quick(const char *text, size_t n) {
    for (size_t i = 0; i < n;) {
        size_t len = 1;
        uint64_t eight = 0;
        if (n - i >= sizeof eight)
            memcpy(&eight, text + i, sizeof eight);
        if (n - i >= sizeof eight && (eight & 0x8080808080808080u) == 0) {
            len = sizeof eight;
        } else if ((unsigned char)text[i] >= 0x80) {
            uint32_t cp = slm_utf8_decode(text + i, n - i, &len);
            if (cp != SLM_CP_NONE && !is_stable(cp))
                return 0;
        }
        i += len;
    }
    return 1;
}

static int combining_class(int32_t cp) {
    return (int)utf8proc_get_property(cp)->combining_class;
}

enum { MAX_DECOMPOSED = 16 }; /* code points that one code point decomposes to: at most 4 */

/* Canonical ordering (UAX 15, D109): a stable sort by class of every run of marks. Runs may be as
 * long as the text, so long ones are counted, not inserted. */
static slm_status order_marks(slm_buffer *temp, int32_t *cps, size_t n, slm_error *error) {
    for (size_t i = 0; i < n;) {
        if (combining_class(cps[i]) == 0) {
            i++;
            continue;
        }
        size_t end = i + 1;
        while (end < n && combining_class(cps[end]) != 0)
            end++;
        size_t run = end - i;
        if (run <= 16) {
            for (size_t j = i + 1; j < end; j++) {
                int32_t cp = cps[j];
                size_t k = j;
                for (; k > i && combining_class(cps[k - 1]) > combining_class(cp); k--)
                    cps[k] = cps[k - 1];
                cps[k] = cp;
            }
        } else {
            uint32_t at[256] = {0};
            temp->len = 0;
            SLM_TRY(slm_buffer_reserve(temp, run * sizeof *cps, error));
            int32_t *sorted = (int32_t *)(void *)temp->ptr;
            for (size_t j = i; j < end; j++)
                at[combining_class(cps[j])]++;
            uint32_t sum = 0;
            for (size_t c = 0; c < 256; c++) {
                uint32_t count = at[c];
                at[c] = sum;
                sum += count;
            }
            for (size_t j = i; j < end; j++)
                sorted[at[combining_class(cps[j])]++] = cps[j];
            memcpy(cps + i, sorted, run * sizeof *cps);
        }
        i = end;
    }
    return SLM_OK;
}

/* text[0..n) is valid UTF-8 that normalises by itself. */
static slm_status normalize_region(slm_buffer *out, slm_buffer *cps, slm_buffer *temp,
                                   const char *text, size_t n, slm_error *error) {
    cps->len = 0;
    for (size_t i = 0; i < n;) {
        size_t len;
        uint32_t cp = slm_utf8_decode(text + i, n - i, &len);
        i += len;
        SLM_TRY(slm_buffer_reserve(cps, MAX_DECOMPOSED * sizeof(int32_t), error));
        int last = 0; /* used for grapheme borders only */
        int32_t *at = (int32_t *)(void *)(cps->ptr + cps->len);
        utf8proc_ssize_t got = utf8proc_decompose_char((int32_t)cp, at, MAX_DECOMPOSED,
                                                       UTF8PROC_DECOMPOSE, &last);
        if (got < 1 || got > MAX_DECOMPOSED) {
            *at = (int32_t)cp;
            got = 1;
        }
        cps->len += (size_t)got * sizeof *at;
    }
    int32_t *a = (int32_t *)(void *)cps->ptr;
    size_t count = cps->len / sizeof *a;
    SLM_TRY(order_marks(temp, a, count, error));
    /* In place; STABLE honours the composition exclusions, which makes it NFC. */
    utf8proc_ssize_t m = utf8proc_normalize_utf32(a, (utf8proc_ssize_t)count,
                                                  UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    SLM_TRY(slm_buffer_reserve(out, count * 4, error));
    for (utf8proc_ssize_t i = 0; i < m; i++)
        out->len += slm_utf8_encode((uint32_t)a[i], out->ptr + out->len);
    return SLM_OK;
}

slm_status slm_nfc_append(slm_buffer *out, const char *text, size_t n, slm_error *error) {
    slm_buffer cps = {.host = out->host}, temp = {.host = out->host};
    slm_status status = SLM_OK;
    size_t copied = 0;       /* text[0..copied) is in out                                           */
    size_t region = 0;       /* where the region of the next unstable code point starts             */
    size_t i = 0;
    while (i < n && status == SLM_OK) {
        size_t len;
        uint32_t cp = slm_utf8_decode(text + i, n - i, &len);
        if (cp == SLM_CP_NONE || is_stable(cp)) {
            region = cp == SLM_CP_NONE ? i + len : i;
            i += len;
            continue;
        }
        /* From the last stable code point, with which marks may compose, to the next one. */
        size_t end = i + len;
        while (end < n) {
            cp = slm_utf8_decode(text + end, n - end, &len);
            if (cp == SLM_CP_NONE || is_stable(cp))
                break;
            end += len;
        }
        status = slm_buffer_append(out, text + copied, region - copied, error);
        if (status == SLM_OK)
            status = normalize_region(out, &cps, &temp, text + region, end - region, error);
        copied = region = i = end;
    }
    if (status == SLM_OK)
        status = slm_buffer_append(out, text + copied, n - copied, error);
    slm_buffer_free(&cps);
    slm_buffer_free(&temp);
    return status;
}
