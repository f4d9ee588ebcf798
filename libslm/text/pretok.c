/* The patterns are regular expressions in which the first alternative that matches wins. Each is
 * written out here as the steps that a backtracking matcher would end up taking. Their texts:
 * tiktoken (cl100k as in Llama 3, o200k_base), Qwen2's tokenizer.json, GPT-2's encoder.py. */
#include "text/pretok.h"

#include "text/unicode.h"

typedef struct text_view {
    const char *ptr;
    size_t n;
} text_view;

typedef struct one_char {
    uint32_t cp, cls;
    size_t len; /* 0 past the end */
} one_char;

static inline one_char peek(const text_view *t, size_t pos) {
    one_char c = {0, 0, 0};
    if (pos < t->n) {
        uint8_t byte = (uint8_t)t->ptr[pos];
        if (byte < 0x80)
            return (one_char){byte, slm_ascii_class[byte], 1};
        c.cp = slm_utf8_decode(t->ptr + pos, t->n - pos, &c.len);
        c.cls = slm_cp_class(c.cp);
    }
    return c;
}

/* The end of the run of characters of any of these classes, from pos on. */
static size_t skip(const text_view *t, size_t pos, uint32_t classes) {
    for (one_char c = peek(t, pos); c.cls & classes; c = peek(t, pos))
        pos += c.len;
    return pos;
}

/* [^\s\p{L}\p{N}] */
static int is_symbol(one_char c) {
    return c.len > 0 && !(c.cls & (SLM_CLASS_SPACE | SLM_CLASS_LETTER | SLM_CLASS_NUMBER));
}

static size_t skip_symbols(const text_view *t, size_t pos) {
    for (one_char c = peek(t, pos); is_symbol(c); c = peek(t, pos))
        pos += c.len;
    return pos;
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d); 0 when there is none at pos. With fold off, lower case only. */
static size_t contraction(const text_view *t, size_t pos, int fold) {
    if (pos + 1 >= t->n || t->ptr[pos] != '\'')
        return 0;
    size_t len;
    uint32_t a = slm_utf8_decode(t->ptr + pos + 1, t->n - pos - 1, &len);
    if (fold && a == 0x17F) /* long s folds to s, the only such letter here */
        return pos + 1 + len;
    uint32_t lower = fold ? 0x20 : 0;
    a |= a < 0x80 ? lower : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return pos + 2;
    if (pos + 2 >= t->n)
        return 0;
    uint32_t b = (unsigned char)t->ptr[pos + 2];
    b |= b < 0x80 ? lower : 0;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l'))
        return pos + 3;
    return 0;
}

/* At white space: \s*[\r\n]+|\s+(?!\S)|\s+, the first alternative only when newlines is set. */
static size_t white_space(const text_view *t, size_t pos, int newlines) {
    size_t end = pos, last = pos, after_newline = 0;
    for (one_char c = peek(t, end); c.cls & SLM_CLASS_SPACE; c = peek(t, end)) {
        last = end;
        end += c.len;
        if (c.cls & SLM_CLASS_NEWLINE)
            after_newline = end;
    }
    if (newlines && after_newline)
        return after_newline;
    /* \s+(?!\S) gives the last one back when something follows. */
    return end == t->n || last == pos ? end : last;
}

static size_t numbers(const text_view *t, size_t pos, int max) {
    for (one_char c = peek(t, pos); max > 0 && (c.cls & SLM_CLASS_NUMBER); c = peek(t, pos), max--)
        pos += c.len;
    return pos;
}

/*  ?[^\s\p{L}\p{N}]+ followed by any of [\r\n] (and, with slash, of [\r\n/]); 0 when none. */
static size_t symbols(const text_view *t, size_t pos, int newlines, int slash) {
    size_t start = t->ptr[pos] == ' ' ? pos + 1 : pos;
    size_t end = skip_symbols(t, start);
    if (end == start)
        return 0;
    while (newlines && end < t->n &&
           (t->ptr[end] == '\r' || t->ptr[end] == '\n' || (slash && t->ptr[end] == '/')))
        end++;
    return end;
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,D}| ?[^\s\p{L}\p{N}]+[\r\n]*
 * |\s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t next_llama3(const text_view *t, size_t pos, int max_digits) {
    size_t end = contraction(t, pos, 1);
    if (end)
        return end;
    one_char first = peek(t, pos), second = first;
    size_t letters = pos;
    if (!(first.cls & (SLM_CLASS_NEWLINE | SLM_CLASS_LETTER | SLM_CLASS_NUMBER))) {
        letters = pos + first.len;
        second = peek(t, letters);
    }
    if (second.cls & SLM_CLASS_LETTER)
        return skip(t, letters, SLM_CLASS_LETTER);
    if (first.cls & SLM_CLASS_NUMBER)
        return numbers(t, pos, max_digits);
    end = symbols(t, pos, 1, 0);
    return end ? end : white_space(t, pos, 1);
}

/* The two word alternatives of o200k_base:
 *   [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|...)?
 *   [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|...)?
 * U is the first class of each, W the second; Lm, Lo and M are in both. 0 when neither matches. */
static int in_u(one_char c) {
    return (c.cls & SLM_CLASS_MARK) || ((c.cls & SLM_CLASS_LETTER) && !(c.cls & SLM_CLASS_LOWER));
}
static int in_w(one_char c) {
    return (c.cls & SLM_CLASS_MARK) || ((c.cls & SLM_CLASS_LETTER) && !(c.cls & SLM_CLASS_UPPER));
}

/* The first alternative from the letters on. *run receives the end of U*. */
static size_t match_u_w(const text_view *t, size_t pos, size_t *run) {
    size_t last_both = 0;
    one_char c = peek(t, pos);
    for (; in_u(c); c = peek(t, pos)) {
        pos += c.len;
        if (in_w(c))
            last_both = pos;
    }
    *run = pos;
    if (!in_w(c))
        return last_both; /* U* gives back until W+ has one */
    while (in_w(c)) {
        pos += c.len;
        c = peek(t, pos);
    }
    return pos;
}

static size_t word_gpt4o(const text_view *t, size_t pos) {
    one_char first = peek(t, pos);
    size_t start = pos, run;
    if (!(first.cls & (SLM_CLASS_NEWLINE | SLM_CLASS_LETTER | SLM_CLASS_NUMBER)))
        start += first.len;
    size_t end = match_u_w(t, start, &run);
    size_t upper = run > start ? run : 0; /* U+ of the second alternative; W* is empty then */
    if (!end && start > pos)
        end = match_u_w(t, pos, &run); /* a mark may be a letter's prefix or a letter */
    if (!end)
        end = upper;
    if (!end)
        return 0;
    size_t with = contraction(t, end, 1);
    return with ? with : end;
}

/* The words above|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t next_gpt4o(const text_view *t, size_t pos) {
    size_t end = word_gpt4o(t, pos);
    if (end)
        return end;
    if (peek(t, pos).cls & SLM_CLASS_NUMBER)
        return numbers(t, pos, 3);
    end = symbols(t, pos, 1, 1);
    return end ? end : white_space(t, pos, 1);
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static size_t next_gpt2(const text_view *t, size_t pos) {
    size_t end = contraction(t, pos, 0);
    if (end)
        return end;
    size_t start = t->ptr[pos] == ' ' ? pos + 1 : pos;
    one_char c = peek(t, start);
    if (c.cls & SLM_CLASS_LETTER)
        return skip(t, start, SLM_CLASS_LETTER);
    if (c.cls & SLM_CLASS_NUMBER)
        return skip(t, start, SLM_CLASS_NUMBER);
    end = symbols(t, pos, 0, 0);
    return end ? end : white_space(t, pos, 0);
}

size_t slm_pretok_next(slm_pretok kind, const char *text, size_t n, size_t pos) {
    text_view t = {text, n};
    switch (kind) {
    case SLM_PRETOK_LLAMA3:
        return next_llama3(&t, pos, 3);
    case SLM_PRETOK_QWEN2:
        return next_llama3(&t, pos, 1);
    case SLM_PRETOK_GPT4O:
        return next_gpt4o(&t, pos);
    case SLM_PRETOK_GPT2:
        return next_gpt2(&t, pos);
    default:
        return n;
    }
}
