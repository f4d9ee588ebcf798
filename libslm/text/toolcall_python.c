/* Calls written as a list in Python's syntax: [f(a='x', b=[1, True]), g()]. An automaton over bytes
 * with a stack of what is open; it writes the arguments as JSON while it reads.
 *
 * Values are literals: strings with Python's escapes and JSON's \/ (octal ones and \N stay as they are
 * written, like unknown ones), numbers, True, False, None and JSON's words for them, lists, dicts with
 * strings as keys. Commas may trail. */
#include "base/json.h"
#include "base/utf8.h"
#include "text/toolcall_impl.h"
#include "text/unicode.h"

#include <string.h>

enum {
    AT_LIST,      /* "[" of the calls                             */
    AT_CALL,      /* a function's name, or "]" behind a comma     */
    IN_NAME, AT_PAREN,
    AT_ARGUMENT,  /* an argument's name, or ")"                   */
    IN_ARGUMENT, AT_EQUALS,
    AT_VALUE,
    AT_ITEM,      /* a value of a list, or "]"                    */
    AT_KEY,       /* a string, or "}"                             */
    AT_COLON,
    IN_STRING, IN_ESCAPE, IN_HEX,
    AT_LOW_BACKSLASH, AT_LOW_U, /* of the second half of a surrogate pair */
    IN_WORD, IN_NUMBER,
    AT_NEXT,      /* behind a value: a comma, or what closes      */
    AT_NEXT_CALL, /* behind a call                                */
    AT_END
};

/* What reading a byte came to. */
typedef enum step_result { TAKEN, AGAIN /* in the new state */, WRONG } step_result;

/* What is written goes to a buffer that was given room before: nothing here can fail. */
static void put(slm_buffer *out, const char *text, size_t n) {
    memcpy(out->ptr + out->len, text, n);
    out->len += n;
}

/* A comma, where something stands before in the same list or object. */
static void separate(slm_buffer *out) {
    char last = out->ptr[out->len - 1];
    if (last != '{' && last != '[' && last != ':')
        put(out, ",", 1);
}

/* A character of a string, escaped as JSON wants it. */
static void put_character(slm_buffer *out, uint32_t cp) {
    static const char HEX[] = "0123456789abcdef", SHORT[] = "\b\f\n\r\t\"\\",
                      LETTERS[] = "bfnrt\"\\";
    const char *found = cp != 0 && cp < 0x80 ? strchr(SHORT, (int)cp) : NULL;
    char text[6] = "\\u00";
    size_t n = 6;
    if (found) {
        text[1] = LETTERS[found - SHORT];
        n = 2;
    } else if (cp >= 0x20) {
        n = slm_utf8_encode(cp, text);
    } else {
        text[4] = HEX[cp >> 4];
        text[5] = HEX[cp & 15];
    }
    put(out, text, n);
}

/* ---- words and numbers ---- */

static int in_word(char c) {
    return (uint8_t)c >= 0x80 || slm_toolcall_is_word(c);
}

/* A letter or underscore, then letters, digits and marks. */
static int is_identifier(const char *text, size_t n) {
    for (size_t i = 0, len; i < n; i += len) {
        uint32_t cp = slm_utf8_decode(text + i, n - i, &len), class = slm_cp_class(cp);
        uint32_t wanted = SLM_CLASS_LETTER | (i > 0 ? SLM_CLASS_NUMBER | SLM_CLASS_MARK : 0u);
        if (cp != '_' && !(class & wanted))
            return 0;
    }
    return n > 0;
}

static int put_word(slm_buffer *out, const char *text, size_t n) {
    static const char *const WORDS[][2] = {{"True", "true"},   {"False", "false"},
                                           {"None", "null"},   {"true", "true"},
                                           {"false", "false"}, {"null", "null"}};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (strlen(WORDS[i][0]) == n && memcmp(WORDS[i][0], text, n) == 0) {
            put(out, WORDS[i][1], strlen(WORDS[i][1]));
            return 1;
        }
    return 0;
}

static size_t count_digits(const char *text, size_t n) {
    size_t i = 0;
    while (i < n && text[i] >= '0' && text[i] <= '9')
        i++;
    return i;
}

/* [+-] (0 | 1-9 digits) [. digits] | . digits, [e [+-] digits]; JSON wants digits around the point.
 */
static int put_number(slm_buffer *out, const char *text, size_t n) {
    size_t i = text[0] == '+' || text[0] == '-';
    if (text[0] == '-')
        put(out, "-", 1);
    size_t whole = count_digits(text + i, n - i);
    if (whole > 1 && text[i] == '0')
        return 0;
    put(out, whole ? text + i : "0", whole ? whole : 1);
    i += whole;
    if (i < n && text[i] == '.') {
        size_t fraction = count_digits(text + i + 1, n - i - 1);
        if (whole + fraction == 0)
            return 0;
        put(out, ".", 1);
        put(out, fraction ? text + i + 1 : "0", fraction ? fraction : 1);
        i += 1 + fraction;
    } else if (whole == 0) {
        return 0;
    }
    if (i < n && (text[i] == 'e' || text[i] == 'E')) {
        size_t sign = i + 1 < n && (text[i + 1] == '+' || text[i + 1] == '-');
        size_t exponent = count_digits(text + i + 1 + sign, n - i - 1 - sign);
        if (exponent == 0)
            return 0;
        put(out, text + i, 1 + sign + exponent);
        i += 1 + sign + exponent;
    }
    return i == n;
}

/* ---- structure ---- */

static step_result go(slm_python *p, uint8_t state) {
    p->state = state;
    return TAKEN;
}

static step_result open_nested(slm_python *p, slm_buffer *out, char bracket, uint8_t state) {
    if (p->depth == SLM_PYTHON_MAX_DEPTH)
        return WRONG;
    p->closers[p->depth++] = bracket == '(' ? ')' : bracket == '[' ? ']' : '}';
    put(out, bracket == '[' ? "[" : "{", 1);
    return go(p, state);
}

static step_result close_nested(slm_python *p, slm_buffer *out) {
    char closer = (char)p->closers[--p->depth];
    put(out, closer == ']' ? "]" : "}", 1);
    if (closer != ')')
        return go(p, AT_NEXT);
    slm_toolcall_record record;
    memcpy(&record, out->ptr + p->record_at, sizeof record);
    record.arguments_len = out->len - p->record_at - sizeof record - record.name_len;
    memcpy(out->ptr + p->record_at, &record, sizeof record);
    return go(p, AT_NEXT_CALL);
}

static step_result begin_string(slm_python *p, slm_buffer *out, char quote, int is_key) {
    p->quote = (uint8_t)quote;
    p->is_key = (uint8_t)is_key;
    put(out, "\"", 1);
    return go(p, IN_STRING);
}

static step_result begin_value(slm_python *p, slm_buffer *out, char c) {
    separate(out);
    if (c == '\'' || c == '"')
        return begin_string(p, out, c, 0);
    if (c == '[')
        return open_nested(p, out, c, AT_ITEM);
    if (c == '{')
        return open_nested(p, out, c, AT_KEY);
    p->word_at = p->at;
    if (c == '+' || c == '-' || c == '.' || (c >= '0' && c <= '9'))
        return go(p, IN_NUMBER);
    return in_word(c) ? go(p, IN_WORD) : WRONG;
}

static step_result begin_word(slm_python *p, char c, uint8_t state) {
    p->word_at = p->at;
    return in_word(c) ? go(p, state) : WRONG;
}

static step_result end_word(slm_python *p, const char *text, slm_buffer *out) {
    const char *word = text + p->word_at;
    size_t n = p->at - p->word_at;
    uint8_t state = p->state;
    p->state = AT_NEXT;
    if (state == IN_NUMBER)
        return put_number(out, word, n) ? AGAIN : WRONG;
    if (state == IN_WORD)
        return put_word(out, word, n) ? AGAIN : WRONG;
    if (!is_identifier(word, n))
        return WRONG;
    if (state == IN_NAME) {
        slm_toolcall_record record = {n, 0};
        p->record_at = out->len;
        put(out, (const char *)&record, sizeof record);
        put(out, word, n);
        p->state = AT_PAREN;
    } else {
        separate(out);
        put(out, "\"", 1);
        put(out, word, n);
        put(out, "\":", 2);
        p->state = AT_EQUALS;
    }
    return AGAIN;
}

static step_result step_word(slm_python *p, const char *text, char c, slm_buffer *out) {
    char before = text[p->at - 1];
    if (in_word(c) || (p->state == IN_NUMBER &&
                       (c == '.' || ((c == '+' || c == '-') && (before == 'e' || before == 'E')))))
        return TAKEN;
    return end_word(p, text, out);
}

static step_result step_structure(slm_python *p, char c, slm_buffer *out) {
    char closer = p->depth > 0 ? (char)p->closers[p->depth - 1] : 0;
    if (slm_toolcall_is_space(c))
        return TAKEN;
    switch (p->state) {
    case AT_LIST:
        return c == '[' ? go(p, AT_CALL) : WRONG;
    case AT_CALL:
        if (c == ']' && out->len > 0)
            return go(p, AT_END);
        return begin_word(p, c, IN_NAME);
    case AT_PAREN:
        return c == '(' ? open_nested(p, out, c, AT_ARGUMENT) : WRONG;
    case AT_ARGUMENT:
        return c == closer ? close_nested(p, out) : begin_word(p, c, IN_ARGUMENT);
    case AT_EQUALS:
        return c == '=' ? go(p, AT_VALUE) : WRONG;
    case AT_VALUE:
        return begin_value(p, out, c);
    case AT_ITEM:
        return c == closer ? close_nested(p, out) : begin_value(p, out, c);
    case AT_KEY:
        if (c == closer)
            return close_nested(p, out);
        separate(out);
        return c == '\'' || c == '"' ? begin_string(p, out, c, 1) : WRONG;
    case AT_COLON:
        put(out, ":", 1);
        return c == ':' ? go(p, AT_VALUE) : WRONG;
    case AT_NEXT:
        if (c == ',')
            return go(p, closer == ')' ? AT_ARGUMENT : closer == ']' ? AT_ITEM : AT_KEY);
        return c == closer ? close_nested(p, out) : WRONG;
    case AT_NEXT_CALL:
        return c == ',' ? go(p, AT_CALL) : c == ']' ? go(p, AT_END) : WRONG;
    default:
        return WRONG; /* behind the list */
    }
}

/* ---- strings ---- */

static step_result step_string(slm_python *p, char c, slm_buffer *out) {
    if (c == (char)p->quote) {
        put(out, "\"", 1);
        return go(p, p->is_key ? AT_COLON : AT_NEXT);
    }
    if (c == '\\')
        return go(p, IN_ESCAPE);
    if (c == '\n')
        return WRONG;
    if ((uint8_t)c >= 0x80)
        put(out, &c, 1);
    else
        put_character(out, (uint32_t)c);
    return TAKEN;
}

static step_result step_escape(slm_python *p, char c, slm_buffer *out) {
    static const char LETTERS[] = "abfnrtv\\'\"/", VALUES[] = "\a\b\f\n\r\t\v\\'\"/";
    const char *found = c ? strchr(LETTERS, c) : NULL;
    p->state = IN_STRING;
    if (c == 'x' || c == 'u' || c == 'U') {
        p->n_hex = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        p->code = 0;
        return go(p, IN_HEX);
    }
    put_character(out, found ? (uint32_t)VALUES[found - LETTERS] : '\\');
    return found ? TAKEN : AGAIN;
}

static step_result step_hex(slm_python *p, char c, slm_buffer *out) {
    char lower = (char)(c | 0x20);
    int digit = c >= '0' && c <= '9'           ? c - '0'
                : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10
                                               : -1;
    if (digit < 0)
        return WRONG;
    p->code = p->code << 4 | (uint32_t)digit;
    if (--p->n_hex > 0)
        return TAKEN;
    int low = p->code >= 0xDC00 && p->code <= 0xDFFF;
    if (low != (p->high != 0) || p->code > 0x10FFFF)
        return WRONG;
    if (p->code >= 0xD800 && p->code <= 0xDBFF) {
        p->high = p->code;
        return go(p, AT_LOW_BACKSLASH);
    }
    put_character(out, low ? 0x10000 + ((p->high - 0xD800) << 10) + (p->code - 0xDC00) : p->code);
    p->high = 0;
    return go(p, IN_STRING);
}

static int reads_word(const slm_python *p) {
    return p->state == IN_NAME || p->state == IN_ARGUMENT || p->state == IN_WORD ||
           p->state == IN_NUMBER;
}

static step_result step(slm_python *p, const char *text, char c, slm_buffer *out) {
    if (reads_word(p))
        return step_word(p, text, c, out);
    switch (p->state) {
    case IN_STRING:
        return step_string(p, c, out);
    case IN_ESCAPE:
        return step_escape(p, c, out);
    case IN_HEX:
        return step_hex(p, c, out);
    case AT_LOW_BACKSLASH:
        return c == '\\' ? go(p, AT_LOW_U) : WRONG;
    case AT_LOW_U:
        return c == 'u' ? step_escape(p, c, out) : WRONG;
    default:
        return step_structure(p, c, out);
    }
}

slm_status slm_python_scan(slm_python *p, const char *text, size_t len, slm_buffer *out,
                           slm_toolcall_verdict *verdict, slm_error *error) {
    *verdict = SLM_TOOLCALL_MORE;
    while (p->at < len) {
        /* The most that a byte can make: a word that ends, a record, quotes and a comma. */
        size_t most = sizeof(slm_toolcall_record) + 16 + (reads_word(p) ? p->at - p->word_at : 0);
        SLM_TRY(slm_buffer_reserve(out, most, error));
        step_result result = step(p, text, text[p->at], out);
        if (result == WRONG) {
            *verdict = SLM_TOOLCALL_BAD;
            return SLM_OK;
        }
        p->at += result == TAKEN;
    }
    if (p->state == AT_END)
        *verdict = SLM_TOOLCALL_DONE;
    return SLM_OK;
}
