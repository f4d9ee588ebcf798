#include "redact.h"

#include <stdlib.h>
#include <string.h>

enum { LEAST_DIGITS = 5 };

static int is_digit(char c) { return c >= '0' && c <= '9'; }

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c; }

/* Letters of other scripts are bytes from 0x80 on. */
static int is_word(char c) {
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '_' || (c & 0x80);
}

static int is_mail(char c) { return is_word(c) || c == '.' || c == '+' || c == '-' || c == '%'; }

static size_t word_at(const char *text, const char *const *words, size_t n_words) {
    for (size_t i = 0; i < n_words; i++) {
        size_t n = 0;
        while (words[i][n] && lower(text[n]) == lower(words[i][n]))
            n++;
        if (n > 0 && !words[i][n] && !is_word(text[n]))
            return n;
    }
    return 0;
}

/* name@host.domain, from its first byte. */
static size_t mail_at(const char *text) {
    size_t n = 0;
    while (is_mail(text[n]))
        n++;
    if (n == 0 || text[n] != '@')
        return 0;
    size_t host = ++n;
    while (is_mail(text[n]))
        n++;
    while (n > host && !is_word(text[n - 1])) /* the end of a sentence */
        n--;
    return memchr(text + host, '.', n - host) ? n : 0;
}

static size_t number_at(const char *text) {
    size_t n_digits = 0, end = 0;
    for (size_t n = 0; is_digit(text[n]) || (n > 0 && text[n] && strchr(" -/.()", text[n])); n++)
        if (is_digit(text[n])) {
            n_digits++;
            end = n + 1;
        }
    return n_digits >= LEAST_DIGITS ? end : 0;
}

char *deep_redact(const char *text, const char *const *words, size_t n_words, unsigned *n_redacted) {
    static const struct {
        const char *text;
        size_t len;
    } marks[] = {{"[private]", 9}, {"[mail]", 6}, {"[number]", 8}};
    char *out = malloc(9 * strlen(text) + 1), *to = out;
    *n_redacted = 0;
    for (const char *p = text; out && *p;) {
        size_t n = 0, mark = 0;
        if (p == text || !is_word(p[-1])) { /* where a word begins */
            if ((n = mail_at(p)) > 0)
                mark = 1;
            else if ((n = word_at(p, words, n_words)) == 0 && (n = number_at(p)) > 0)
                mark = 2;
        }
        if (n == 0) {
            *to++ = *p++;
            continue;
        }
        memcpy(to, marks[mark].text, marks[mark].len);
        to += marks[mark].len;
        p += n;
        ++*n_redacted;
    }
    if (out)
        *to = '\0';
    return out;
}
