/* Tokens of a template, by the rules of Jinja's lexer with trim_blocks and lstrip_blocks. */
#include "text/jinja_impl.h"
#include "text/unicode.h"

enum { MAX_BRACKETS = SLM_JINJA_MAX_NESTING };

typedef struct lexer {
    slm_jinja *j;
    const char *s;
    size_t n, pos;
    slm_buffer *tokens;
    char brackets[MAX_BRACKETS]; /* open ones of the tag being read, by what closes them */
    size_t n_brackets;
    int line_starts;        /* the text that comes begins a line, as far as tags tell */
    slm_jtoken_kind opened; /* PRINT, TAG, or DATA for none */
} lexer;

static slm_status add(lexer *l, slm_jtoken_kind kind, uint16_t op, size_t pos, slm_str text) {
    slm_jtoken t = {(uint8_t)kind, op, (uint32_t)pos, text};
    return slm_buffer_append(l->tokens, &t, sizeof t, l->j->error);
}

static slm_status add_mark(lexer *l, slm_jtoken_kind kind, size_t pos) {
    return add(l, kind, 0, pos, (slm_str){NULL, 0});
}

static int at(const lexer *l, size_t pos, const char *text) {
    size_t len = strlen(text);
    return l->n - pos >= len && memcmp(l->s + pos, text, len) == 0;
}

static int is_digit(char c) {
    return c >= '0' && c <= '9';
}
static int is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Bytes of the white space character at pos; 0 when there is none. */
static size_t space_at(const lexer *l, size_t pos) {
    size_t len;
    if (pos >= l->n || !slm_cp_is_blank(slm_utf8_decode(l->s + pos, l->n - pos, &len)))
        return 0;
    return len;
}

static void skip_space(lexer *l) {
    for (size_t len; (len = space_at(l, l->pos)) != 0;)
        l->pos += len;
}

/* ---- between tags ---- */

/* The end of s[from..to) without white space there. */
static size_t strip_end(const lexer *l, size_t from, size_t to) {
    for (size_t i = from, kept = from;;) {
        if (i >= to)
            return kept;
        size_t len = space_at(l, i);
        if (len) {
            i += len;
            continue;
        }
        i++;
        kept = i;
    }
}

/* Where the text [from, tag) ends that stands before a tag: "-" takes all white space before the
 * tag, and without "+" blanks that begin the tag's line go. */
static size_t text_end(const lexer *l, size_t from, size_t tag, int is_print) {
    char sign = tag + 2 < l->n ? l->s[tag + 2] : 0;
    if (sign == '-')
        return strip_end(l, from, tag);
    if (sign == '+' || is_print)
        return tag;
    size_t line = tag;
    while (line > from && l->s[line - 1] != '\n')
        line--;
    if (line == from && !l->line_starts)
        return tag;
    return strip_end(l, line, tag) == line ? line : tag;
}

/* The end of a tag that closes with "%}" or "#}" at pos, signs before it aside; what follows on the
 * line goes. */
static size_t after_tag(const lexer *l, size_t pos, char sign) {
    if (sign == '-') {
        for (size_t len; (len = space_at(l, pos)) != 0;)
            pos += len;
        return pos;
    }
    return sign != '+' && pos < l->n && l->s[pos] == '\n' ? pos + 1 : pos;
}

static slm_status comment(lexer *l, size_t begin) {
    for (size_t p = begin + 2; p + 1 < l->n; p++) {
        if (!at(l, p, "#}"))
            continue;
        char sign = p > begin + 2 ? l->s[p - 1] : 0;
        l->pos = after_tag(l, p + 2, sign);
        l->line_starts = l->s[l->pos - 1] == '\n';
        return SLM_OK;
    }
    return slm_j_fail_at(l->j, (uint32_t)begin, "a comment without end, wanted \"#}\"");
}

/* "{% name %}" at pos, signs allowed; returns the end and the signs, or 0. */
static size_t simple_tag(const lexer *l, size_t pos, const char *name, char *before, char *after) {
    if (!at(l, pos, "{%"))
        return 0;
    size_t p = pos + 2, len;
    *before = *after = 0;
    if (p < l->n && (l->s[p] == '-' || l->s[p] == '+'))
        *before = l->s[p++];
    while ((len = space_at(l, p)) != 0)
        p += len;
    if (p > l->n || !at(l, p, name))
        return 0;
    p += strlen(name);
    while ((len = space_at(l, p)) != 0)
        p += len;
    if (p < l->n && (l->s[p] == '-' || l->s[p] == '+'))
        *after = l->s[p++];
    return p <= l->n && at(l, p, "%}") ? p + 2 : 0;
}

/* A raw block: all up to its end is text. body: what follows its first tag. */
static slm_status raw(lexer *l, size_t begin, size_t body, char sign) {
    if (sign == '-')
        body = after_tag(l, body, '-');
    for (size_t p = body; p < l->n; p++) {
        char before, after;
        size_t end = l->s[p] == '{' ? simple_tag(l, p, "endraw", &before, &after) : 0;
        if (!end)
            continue;
        size_t text = text_end(l, body, p, 0);
        SLM_TRY(add(l, SLM_T_DATA, 0, body, (slm_str){l->s + body, text - body}));
        l->pos = after_tag(l, end, after);
        l->line_starts = l->s[l->pos - 1] == '\n';
        return SLM_OK;
    }
    return slm_j_fail_at(l->j, (uint32_t)begin, "a raw block without end, wanted \"endraw\"");
}

static slm_status text_and_opening(lexer *l) {
    size_t from = l->pos, tag = from;
    for (; tag < l->n; tag++) {
        if (l->s[tag] == '{' && (at(l, tag, "{{") || at(l, tag, "{%") || at(l, tag, "{#")))
            break;
    }
    int is_print = tag < l->n && l->s[tag + 1] == '{';
    size_t end = tag < l->n ? text_end(l, from, tag, is_print) : l->n;
    if (end > from)
        SLM_TRY(add(l, SLM_T_DATA, 0, from, (slm_str){l->s + from, end - from}));
    l->pos = tag;
    l->opened = SLM_T_DATA;
    if (tag == l->n)
        return SLM_OK;
    if (l->s[tag + 1] == '#')
        return comment(l, tag);
    char before, after;
    size_t body = simple_tag(l, tag, "raw", &before, &after);
    if (body)
        return raw(l, tag, body, after);
    l->pos += 2;
    l->n_brackets = 0;
    if (l->pos < l->n && (l->s[l->pos] == '-' || l->s[l->pos] == '+'))
        l->pos++;
    l->opened = is_print ? SLM_T_PRINT : SLM_T_TAG;
    return add_mark(l, l->opened, tag);
}

/* ---- inside of tags ---- */

static size_t read_digits(const char *p, const char *end, int base, uint32_t *out) {
    size_t n = 0;
    for (*out = 0; p + n < end; n++) {
        char c = p[n], lower = (char)(c | 0x20);
        int digit = is_digit(c) ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : 99;
        if (digit >= base)
            break;
        *out = *out * (uint32_t)base + (uint32_t)digit;
    }
    return n;
}

/* One escape as Python reads it, p behind the backslash. Returns the bytes read; those written to
 * out (at most 4, never more than read and one) in *n. An unknown escape stays as it is. */
static size_t read_escape(const char *p, const char *end, char *out, size_t *n) {
    static const char FROM[] = "abfnrtv\\'\"", TO[] = "\a\b\f\n\r\t\v\\'\"";
    const char *known = *p ? strchr(FROM, *p) : NULL;
    uint32_t cp = 0;
    size_t want = *p == 'x' ? 2 : *p == 'u' ? 4 : *p == 'U' ? 8 : 0;
    *n = 1;
    if (known) {
        *out = TO[known - FROM];
        return 1;
    }
    if (*p == '\n') {
        *n = 0;
        return 1;
    }
    if (*p >= '0' && *p <= '7') {
        size_t read = read_digits(p, end - p > 3 ? p + 3 : end, 8, &cp);
        *n = slm_utf8_encode(cp, out);
        return read;
    }
    if (want && (size_t)(end - p) > want && read_digits(p + 1, p + 1 + want, 16, &cp) == want &&
        cp <= 0x10FFFF && (cp < 0xD800 || cp > 0xDFFF)) {
        *n = slm_utf8_encode(cp, out);
        return 1 + want;
    }
    out[0] = '\\';
    return 0;
}

static slm_status string(lexer *l) {
    size_t begin = l->pos;
    char quote = l->s[begin];
    const char *p = l->s + begin + 1, *end = l->s + l->n, *q = p;
    while (q < end && *q != quote)
        q += *q == '\\' && end - q > 1 ? 2 : 1;
    if (q >= end)
        return slm_j_fail_at(l->j, (uint32_t)begin, "a string without end, wanted %c", quote);
    l->pos = (size_t)(q + 1 - l->s);
    slm_str text = {p, (size_t)(q - p)};
    if (memchr(p, '\\', text.len)) {
        char *copy;
        SLM_TRY(slm_j_alloc(l->j, text.len, &copy)); /* no escape is shorter than what it means */
        for (text.ptr = copy, text.len = 0; p < q;) {
            size_t n = 1;
            if (*p == '\\')
                p += 1 + read_escape(p + 1, q, copy + text.len, &n);
            else
                copy[text.len] = *p++;
            text.len += n;
        }
    }
    return add(l, SLM_T_STRING, 0, begin, text);
}

static slm_status number(lexer *l) {
    size_t begin = l->pos, p = begin;
    slm_jtoken_kind kind = SLM_T_INT;
    while (p < l->n && is_digit(l->s[p]))
        p++;
    if (p + 1 < l->n && l->s[p] == '.' && is_digit(l->s[p + 1])) {
        kind = SLM_T_FLOAT;
        for (p++; p < l->n && is_digit(l->s[p]);)
            p++;
    }
    if (p < l->n && (l->s[p] == 'e' || l->s[p] == 'E')) {
        size_t e = p + 1;
        e += e < l->n && (l->s[e] == '+' || l->s[e] == '-');
        if (e < l->n && is_digit(l->s[e])) {
            kind = SLM_T_FLOAT;
            for (p = e; p < l->n && is_digit(l->s[p]);)
                p++;
        }
    }
    l->pos = p;
    return add(l, kind, 0, begin, (slm_str){l->s + begin, p - begin});
}

static slm_status bracket(lexer *l, char c) {
    static const char OPEN[] = "([{", CLOSE[] = ")]}";
    const char *open = strchr(OPEN, c);
    if (open) {
        if (l->n_brackets == MAX_BRACKETS)
            return slm_j_fail_at(l->j, (uint32_t)l->pos, "more than %d brackets in one another",
                                 MAX_BRACKETS);
        l->brackets[l->n_brackets++] = CLOSE[open - OPEN];
    } else if (strchr(")]}", c)) {
        if (l->n_brackets == 0 || l->brackets[l->n_brackets - 1] != c)
            return slm_j_fail_at(l->j, (uint32_t)l->pos, "got '%c', wanted %s%c", c,
                                 l->n_brackets ? "" : "no ",
                                 l->n_brackets ? l->brackets[l->n_brackets - 1] : c);
        l->n_brackets--;
    }
    return SLM_OK;
}

static slm_status operator_(lexer *l) {
    static const char *const TWO[] = {"==", "!=", "<=", ">=", "//", "**"};
    size_t begin = l->pos;
    char c = l->s[begin];
    for (size_t i = 0; i < sizeof TWO / sizeof *TWO; i++) {
        if (at(l, begin, TWO[i])) {
            l->pos += 2;
            return add(l, SLM_T_OP, SLM_OP2(TWO[i][0], TWO[i][1]), begin, (slm_str){NULL, 0});
        }
    }
    if (c == 0 || !strchr("+-*/%~<>=.,:|()[]{}", c))
        return slm_j_fail_at(l->j, (uint32_t)begin, "a character that no expression can have here");
    SLM_TRY(bracket(l, c));
    l->pos++;
    return add(l, SLM_T_OP, SLM_OP1(c), begin, (slm_str){NULL, 0});
}

/* The end of the tag at pos, with its sign; 0 when there is none. */
static size_t closing(const lexer *l, int is_print, char *sign) {
    size_t p = l->pos;
    *sign = 0;
    if (l->n_brackets > 0)
        return 0;
    if (l->s[p] == '-' || (l->s[p] == '+' && !is_print))
        *sign = l->s[p++];
    return at(l, p, is_print ? "}}" : "%}") ? p + 2 : 0;
}

/* Everything from behind the opening, which ends at begin, up to and with the end of the tag. */
static slm_status inside(lexer *l, int is_print, size_t begin) {
    for (;;) {
        skip_space(l);
        char sign;
        if (l->pos >= l->n)
            return slm_j_fail_at(l->j, (uint32_t)begin, "a tag without end, wanted \"%s\"",
                                 is_print ? "}}" : "%}");
        size_t end = closing(l, is_print, &sign);
        if (end) {
            SLM_TRY(add_mark(l, is_print ? SLM_T_PRINT_END : SLM_T_TAG_END, l->pos));
            l->pos = is_print && sign == 0 ? end : after_tag(l, end, sign);
            l->line_starts = l->s[l->pos - 1] == '\n';
            return SLM_OK;
        }
        char c = l->s[l->pos];
        if (is_name_start(c)) {
            size_t from = l->pos;
            while (l->pos < l->n && (is_name_start(l->s[l->pos]) || is_digit(l->s[l->pos])))
                l->pos++;
            SLM_TRY(add(l, SLM_T_NAME, 0, from, (slm_str){l->s + from, l->pos - from}));
        } else if (c == '"' || c == '\'') {
            SLM_TRY(string(l));
        } else if (is_digit(c)) {
            SLM_TRY(number(l));
        } else {
            SLM_TRY(operator_(l));
        }
    }
}

slm_status slm_j_lex(slm_jinja *j, slm_buffer *tokens) {
    lexer l = {.j = j, .s = j->source.ptr, .n = j->source.len, .tokens = tokens, .line_starts = 1};
    while (l.pos < l.n) {
        SLM_TRY(text_and_opening(&l));
        size_t opening = l.pos;
        if (l.opened != SLM_T_DATA)
            SLM_TRY(inside(&l, l.opened == SLM_T_PRINT, opening));
    }
    return add_mark(&l, SLM_T_EOF, l.n);
}
