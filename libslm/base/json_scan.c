/* The grammar of JSON (RFC 8259) as an automaton over bytes. It is the only place that knows it: the
 * reader has a text scanned before it builds a tree from it. */
#include "base/json.h"

#include <string.h>

enum {
    AT_VALUE,        /* a value must begin                       */
    AT_FIRST_ITEM,   /* after '[': a value or ']'                */
    AT_FIRST_NAME,   /* after '{': a name or '}'                 */
    AT_NAME,         /* after ',' in an object                   */
    AT_COLON,        /* after a name                             */
    AT_NEXT,         /* after a value in an array or object      */
    IN_STRING, IN_UTF8, IN_ESCAPE, IN_HEX,
    AT_LOW_BACKSLASH, AT_LOW_U, /* of the second half of a surrogate pair */
    IN_LITERAL,
    /* Numbers. In ZERO, INTEGER, FRACTION and EXPONENT the value may end. */
    IN_MINUS, IN_ZERO, IN_INTEGER, IN_POINT, IN_FRACTION, IN_E, IN_SIGN, IN_EXPONENT,
    AT_END
};

void slm_json_scan_begin(slm_json_scan *s) {
    memset(s, 0, sizeof *s);
    s->state = AT_VALUE;
    s->max_depth = SLM_JSON_MAX_DEPTH;
}

static int in_object(const slm_json_scan *s) {
    return s->is_object[(s->depth - 1) / 64] >> (s->depth - 1) % 64 & 1;
}

static void end_value(slm_json_scan *s) {
    s->state = s->depth > 0 ? AT_NEXT : AT_END;
    if (s->depth == 0)
        s->progress = SLM_JSON_DONE;
}

static void open_nested(slm_json_scan *s, int object) {
    uint64_t bit = (uint64_t)1 << s->depth % 64, *word = &s->is_object[s->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    s->depth++;
    s->state = object ? AT_FIRST_NAME : AT_FIRST_ITEM;
}

static void begin_string(slm_json_scan *s, int is_name) {
    s->is_name = (uint8_t)is_name;
    s->state = IN_STRING;
}

static int is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

/* Each step below takes one byte and returns 0 when it cannot come here. */

static int begin_value(slm_json_scan *s, uint8_t c) {
    if (c == '"') {
        begin_string(s, 0);
    } else if (c == '{' || c == '[') {
        if (s->depth == s->max_depth)
            return 0;
        open_nested(s, c == '{');
    } else if (c == '-') {
        s->state = IN_MINUS;
    } else if (is_digit(c)) {
        s->state = c == '0' ? IN_ZERO : IN_INTEGER;
    } else if (c == 't' || c == 'f' || c == 'n') {
        s->literal = c == 't' ? "rue" : c == 'f' ? "alse" : "ull";
        s->state = IN_LITERAL;
    } else {
        return 0;
    }
    return 1;
}

static int close_nested(slm_json_scan *s) {
    s->depth--;
    end_value(s);
    return 1;
}

static int step_string(slm_json_scan *s, uint8_t c) {
    if (c == '"') {
        if (s->is_name)
            s->state = AT_COLON;
        else
            end_value(s);
        return 1;
    }
    if (c == '\\') {
        s->state = IN_ESCAPE;
        return 1;
    }
    if (c < 0x80)
        return c >= 0x20;
    /* The bounds of the second byte keep overlong forms, surrogates and what is beyond out. */
    s->low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
    s->high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    s->n_more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
    s->state = IN_UTF8;
    return c >= 0xC2 && c <= 0xF4;
}

static int step_utf8(slm_json_scan *s, uint8_t c) {
    if (c < s->low || c > s->high)
        return 0;
    s->low = 0x80;
    s->high = 0xBF;
    if (--s->n_more == 0)
        s->state = IN_STRING;
    return 1;
}

static int step_hex(slm_json_scan *s, uint8_t c) {
    uint8_t lower = c | 0x20;
    if (!is_digit(c) && (lower < 'a' || lower > 'f'))
        return 0;
    s->unit = (uint16_t)(s->unit << 4 | (is_digit(c) ? c - '0' : lower - 'a' + 10));
    s->n_more--;
    /* A low surrogate comes after a high one and only there: known from its first two digits. */
    if (s->n_more == 2 && s->has_high != ((s->unit & 0xFC) == 0xDC))
        return 0;
    if (s->n_more > 0)
        return 1;
    s->has_high = !s->has_high && (s->unit & 0xFC00) == 0xD800;
    s->state = s->has_high ? AT_LOW_BACKSLASH : IN_STRING;
    return 1;
}

static int step_escape(slm_json_scan *s, uint8_t c) {
    if (c == 'u') {
        s->n_more = 4;
        s->unit = 0;
        s->state = IN_HEX;
        return 1;
    }
    s->state = IN_STRING;
    return c != 0 && strchr("\"\\/bfnrt", c) != NULL;
}

/* A byte after a number's first; 0 when it does not belong to it. */
static int step_number(slm_json_scan *s, uint8_t c) {
    switch (s->state) {
    case IN_MINUS:
        s->state = c == '0' ? IN_ZERO : IN_INTEGER;
        return is_digit(c);
    case IN_POINT:
        s->state = IN_FRACTION;
        return is_digit(c);
    case IN_E:
        s->state = c == '+' || c == '-' ? IN_SIGN : IN_EXPONENT;
        return c == '+' || c == '-' || is_digit(c);
    case IN_SIGN:
        s->state = IN_EXPONENT;
        return is_digit(c);
    default:
        break;
    }
    if (is_digit(c))
        return s->state != IN_ZERO;
    if (c == '.' && (s->state == IN_ZERO || s->state == IN_INTEGER)) {
        s->state = IN_POINT;
        return 1;
    }
    if ((c == 'e' || c == 'E') && s->state != IN_EXPONENT) {
        s->state = IN_E;
        return 1;
    }
    return 0;
}

static int may_end(const slm_json_scan *s) {
    return s->state == IN_ZERO || s->state == IN_INTEGER || s->state == IN_FRACTION ||
           s->state == IN_EXPONENT;
}

static int step_structure(slm_json_scan *s, uint8_t c) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
        return 1;
    switch (s->state) {
    case AT_VALUE:
        return begin_value(s, c);
    case AT_FIRST_ITEM:
        return c == ']' ? close_nested(s) : begin_value(s, c);
    case AT_FIRST_NAME:
        if (c == '}')
            return close_nested(s);
        /* fall through */
    case AT_NAME:
        begin_string(s, 1);
        return c == '"';
    case AT_COLON:
        s->state = AT_VALUE;
        return c == ':';
    default:
        if (c == ',') {
            s->state = in_object(s) ? AT_NAME : AT_VALUE;
            return 1;
        }
        return c == (in_object(s) ? '}' : ']') ? close_nested(s) : 0;
    }
}

static int step(slm_json_scan *s, uint8_t c) {
    switch (s->state) {
    case IN_STRING:
        return step_string(s, c);
    case IN_UTF8:
        return step_utf8(s, c);
    case IN_ESCAPE:
        return step_escape(s, c);
    case IN_HEX:
        return step_hex(s, c);
    case AT_LOW_BACKSLASH:
        s->state = AT_LOW_U;
        return c == '\\';
    case AT_LOW_U:
        return c == 'u' && step_escape(s, c);
    case IN_LITERAL:
        if (c != (uint8_t)*s->literal++)
            return 0;
        if (*s->literal == 0)
            end_value(s);
        return 1;
    default:
        return step_structure(s, c);
    }
}

size_t slm_json_scan_feed(slm_json_scan *s, const char *bytes, size_t n) {
    size_t i = 0;
    while (i < n && s->progress == SLM_JSON_MORE) {
        uint8_t c = (uint8_t)bytes[i], before = s->state;
        if (before == IN_STRING) { /* most bytes are of these */
            size_t from = i;
            while (i < n && (c = (uint8_t)bytes[i]) >= 0x20 && c < 0x80 && c != '"' && c != '\\')
                i++;
            s->n_bytes += i - from;
            if (i == n)
                break;
        }
        if (before >= IN_MINUS && before < AT_END) {
            int of_number = may_end(s);
            if (step_number(s, c)) {
                i++;
                s->n_bytes++;
            } else if (of_number) {
                end_value(s); /* the byte is what comes after it */
            } else {
                s->state = before;
                s->progress = SLM_JSON_BAD;
            }
            continue;
        }
        if (!step(s, c)) {
            s->state = before;
            s->progress = SLM_JSON_BAD;
            break;
        }
        i++;
        s->n_bytes++;
    }
    return i;
}

slm_json_progress slm_json_scan_end(slm_json_scan *s) {
    if (s->progress == SLM_JSON_MORE && s->depth == 0 && may_end(s))
        end_value(s);
    else if (s->progress == SLM_JSON_MORE)
        s->progress = SLM_JSON_BAD;
    return s->progress;
}

int slm_json_scan_in_string(const slm_json_scan *s) {
    return s->state >= IN_STRING && s->state <= AT_LOW_U;
}

const char *slm_json_scan_wanted(const slm_json_scan *s) {
    uint8_t state = s->state;
    if (may_end(s))
        state = s->depth > 0 ? AT_NEXT : AT_END;
    switch (state) {
    case AT_VALUE:
    case AT_FIRST_ITEM:
        return state == AT_VALUE ? "a value" : "a value or ']'";
    case AT_FIRST_NAME:
        return "a name in quotes or '}'";
    case AT_NAME:
        return "a name in quotes";
    case AT_COLON:
        return "':'";
    case AT_NEXT:
        return in_object(s) ? "',' or '}'" : "',' or ']'";
    case IN_STRING:
        return "a character or '\"'";
    case IN_UTF8:
        return "the rest of a UTF-8 character";
    case IN_ESCAPE:
        return "one of \"\\/bfnrtu";
    case IN_HEX:
        return s->has_high ? "the second half of a surrogate pair"
                           : "four hexadecimal digits, not of a surrogate pair's second half";
    case AT_LOW_BACKSLASH:
    case AT_LOW_U:
        return "the second half of a surrogate pair";
    case IN_LITERAL:
        return "true, false or null";
    case AT_END:
        return "nothing more";
    default:
        return "a digit";
    }
}
