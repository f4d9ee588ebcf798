/* Takes out of a text what nobody wants to hear: thinking, the marks of Markdown, code, addresses
 * of links, emoji. It looks at what stands at the head of the text, and waits when that could still
 * turn out to be two things; nothing is looked at further ahead than LOOK bytes.
 *
 * The forms are those of CommonMark (spec.commonmark.org) that models write: headings, lists,
 * quotes, thematic breaks, fenced code, inline code, emphasis, links, images; tables, strikethrough
 * and footnotes as GitHub has them. */
#include "text/speak_impl.h"

#include <string.h>

enum { IN_TEXT = SLM_SPEAK_IN_TEXT, IN_THINKING = SLM_SPEAK_IN_THINKING,
       IN_CODE,      /* a fenced block, at the start of a line       */
       IN_CODE_LINE, /* the rest of its line                         */
       IN_URL,
       IN_TARGET,    /* (...) behind the text of a link              */
       IN_REFERENCE  /* [...] behind it                              */
};
enum { PLAIN_LINE, BLOCK_LINE /* heading or item: what follows is apart */, TABLE_LINE };
enum { LOOK = 256 };

static const char THINK[] = "<think>", END_THINK[] = "</think>";

/* What can be seen of the text. */
typedef struct view {
    const char *p;
    size_t n;
    int final;
} view;

/* Whether word stands at v.p + at, in any case: 1, 0: up to the end of what is seen, -1: no. */
static int match(view v, size_t at, const char *word) {
    for (size_t i = 0; word[i]; i++) {
        if (at + i >= v.n)
            return v.final ? -1 : 0;
        char c = v.p[at + i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c | 0x20);
        if (c != word[i])
            return -1;
    }
    return 1;
}

/* How often c stands there; LOOK when it is more. */
static size_t run_of(view v, size_t at, char c) {
    size_t i = at;
    while (i < v.n && i - at < LOOK && v.p[i] == c)
        i++;
    return i - at;
}

static int is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static size_t give(slm_speak_item *item, slm_speak_kind kind, size_t n) {
    item->kind = kind;
    return n;
}
static size_t more(slm_speak_item *item) { return give(item, SLM_SPEAK_MORE, 0); }

static size_t say(slm_speak_filter *f, slm_speak_item *item, uint32_t cp, size_t n) {
    f->prev = cp;
    item->cp = cp;
    return give(item, SLM_SPEAK_CHAR, n);
}

/* ---- characters ---- */

static int is_emoji(uint32_t c) {
    return (c >= 0x1F000 && c <= 0x1FAFF) || (c >= 0x2600 && c <= 0x27BF) ||
           (c >= 0x231A && c <= 0x231B) || (c >= 0x23E9 && c <= 0x23FA) ||
           (c >= 0x25FB && c <= 0x25FE) || (c >= 0x2B1B && c <= 0x2B1C) || c == 0x25AA ||
           c == 0x25AB || c == 0x25B6 || c == 0x25C0 || c == 0x2328 || c == 0x23CF || c == 0x2B50 ||
           c == 0x2B55 || c == 0x2934 || c == 0x2935 || c == 0x3030 || c == 0x303D || c == 0x3297 ||
           c == 0x3299 || (c >= 0xE0020 && c <= 0xE007F);
}

/* Characters without a sound: controls, marks of direction and width, variants of emoji. The
 * joiners belong to words of some scripts. */
static int is_silent(uint32_t c, uint32_t prev) {
    if (c == 0x200C || c == 0x200D)
        return !(slm_cp_class(prev) & (SLM_CLASS_LETTER | SLM_CLASS_MARK));
    return c < 0x20 || (c >= 0x7F && c < 0xA0 && c != 0x85) || c == 0xAD || c == 0x20E3 ||
           c == 0xFEFF || c == 0x200B || c == 0x200E || c == 0x200F || c == 0x61C || c == 0xFFFD ||
           (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) ||
           (c >= 0xFE00 && c <= 0xFE0F);
}

static int is_alnum(uint32_t c) {
    return (slm_cp_class(c) & (SLM_CLASS_LETTER | SLM_CLASS_NUMBER | SLM_CLASS_MARK)) != 0;
}
static int is_digit(uint32_t c) { return (slm_cp_class(c) & SLM_CLASS_NUMBER) != 0; }
static int is_space(uint32_t c) { return c == 0 || (slm_cp_class(c) & SLM_CLASS_SPACE) != 0; }

/* The character at a place; 0 at the end of the text. Returns 0 when it has not come yet. */
static int char_at(view v, size_t at, uint32_t *cp, size_t *len) {
    *cp = 0;
    *len = 0;
    if (at >= v.n)
        return v.final;
    *cp = slm_utf8_decode(v.p + at, v.n - at, len);
    uint8_t lead = (uint8_t)v.p[at];
    size_t whole = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 1;
    return *cp != SLM_CP_NONE || v.final || v.n - at >= whole;
}

/* ---- the start of a line ---- */

/* A line made of one of -*_= and blanks, at least three of them: a rule, or what underlines a
 * heading. 1, 0: cannot tell, -1. *len receives its bytes without the newline. */
static int is_rule(view v, size_t at, size_t *len) {
    char c = at < v.n ? v.p[at] : 0;
    size_t n = 0, i = at;
    if (c != '-' && c != '*' && c != '_' && c != '=')
        return -1;
    for (; i < v.n && v.p[i] != '\n'; i++) {
        if ((v.p[i] != c && !is_blank(v.p[i])) || i - at > LOOK)
            return -1;
        n += v.p[i] == c;
    }
    *len = i;
    if (i == v.n && !v.final)
        return 0;
    return n >= 3 ? 1 : -1;
}

/* The line that tells a table's columns: |:---|---| */
static int is_table_rule(view v, size_t at, size_t *len) {
    size_t i = at, dashes = 0;
    for (; i < v.n && v.p[i] != '\n'; i++) {
        if (!strchr("|:- \t\r", v.p[i]) || v.p[i] == '\0' || i - at > LOOK)
            return -1;
        dashes += v.p[i] == '-';
    }
    *len = i;
    if (i == v.n && !v.final)
        return 0;
    return dashes > 0 ? 1 : -1;
}

/* ``` or ~~~ with what may stand behind it; *len receives the whole line. */
static int is_fence(view v, size_t at, size_t *run, size_t *len) {
    char c = at < v.n ? v.p[at] : 0;
    if (c != '`' && c != '~')
        return -1;
    *run = run_of(v, at, c);
    size_t i = at + *run;
    if ((i < v.n && *run < 3) || *run == LOOK)
        return -1;
    for (; i < v.n && v.p[i] != '\n'; i++)
        if ((c == '`' && v.p[i] == '`') || i - at > LOOK)
            return -1;
    *len = i;
    if (i == v.n && !v.final)
        return 0;
    return *run >= 3 ? 1 : -1;
}

/* A marker at the start of a line. Returns 1 and its bytes with the blank behind it, 0: cannot
 * tell, -1: none. *number: it is one that is spoken. */
static int is_marker(view v, size_t at, size_t *len, int *number) {
    uint32_t cp;
    size_t n, i = at;
    *number = 0;
    if (!char_at(v, at, &cp, &n))
        return 0;
    if (cp == '#') {
        i += run_of(v, at, '#');
        if (i - at > 6)
            return -1;
    } else if (cp == '-' || cp == '*' || cp == '+' || cp == 0x2022) {
        i += n;
    } else {
        while (i < v.n && i - at < 9 && v.p[i] >= '0' && v.p[i] <= '9')
            i++;
        if (i == at)
            return -1;
        if (i < v.n && v.p[i] != '.' && v.p[i] != ')')
            return -1;
        i += i < v.n;
        *number = 1;
    }
    if (i >= v.n)
        return v.final ? -1 : 0;
    *len = i + (v.p[i] != '\n') - at;
    return is_blank(v.p[i]) || v.p[i] == '\n' ? 1 : -1;
}

/* [ ] or [x] behind the marker of an item. */
static int is_task(view v, size_t at) {
    if (match(v, at, "[x] ") >= 0)
        return match(v, at, "[x] ");
    return match(v, at, "[ ] ");
}

/* What the line is to those before it, said once. 1: an item was given. */
static int begin_line(slm_speak_filter *f, uint8_t kind, slm_speak_item *item) {
    int apart = kind != PLAIN_LINE || f->kind != PLAIN_LINE || f->newlines > 1;
    if (f->newlines == 0) { /* the first line, or one that has begun with a marker */
        f->kind = kind != PLAIN_LINE ? kind : f->kind;
        return 0;
    }
    f->newlines = 0;
    f->kind = kind;
    give(item, apart ? SLM_SPEAK_BLOCK : SLM_SPEAK_LINE, 0);
    return 1;
}

static size_t next_of_text(slm_speak_filter *f, view v, slm_speak_item *item);

static size_t begin_text(slm_speak_filter *f, view v, uint8_t kind, slm_speak_item *item) {
    f->line_start = 0;
    f->prev = 0;
    return begin_line(f, kind, item) ? 0 : next_of_text(f, v, item);
}

/* Markers of Markdown at the start of a line. Returns 1 when *taken and *item are set. */
static int markdown_line(slm_speak_filter *f, view v, size_t at, slm_speak_item *item,
                         size_t *taken) {
    size_t len = 0, run = 0;
    int number = 0, found = is_fence(v, at, &run, &len);
    if (found > 0) {
        *taken = 0;
        if (begin_line(f, BLOCK_LINE, item))
            return 1;
        f->mode = IN_CODE_LINE;
        f->fence = v.p[at];
        f->fence_len = run;
        *taken = give(item, SLM_SPEAK_GAP, len);
        return 1;
    }
    if (found < 0) {
        found = is_rule(v, at, &len);
        if (found < 0 && v.p[at] == '|')
            found = is_table_rule(v, at, &len);
        if (found > 0) {
            *taken = begin_line(f, BLOCK_LINE, item) ? 0 : give(item, SLM_SPEAK_NOTHING, len);
            return 1;
        }
    }
    if (found < 0)
        found = is_marker(v, at, &len, &number);
    if (found == 0) {
        *taken = more(item);
        return 1;
    }
    if (found < 0 && v.p[at] == '>') {
        *taken = give(item, SLM_SPEAK_NOTHING, at + 1);
        return 1;
    }
    if (found < 0 && v.p[at] == '|') {
        f->line_start = 0;
        f->prev = 0;
        *taken = at + 1;
        if (!begin_line(f, TABLE_LINE, item))
            give(item, SLM_SPEAK_NOTHING, 0);
        return 1;
    }
    if (found < 0)
        return 0;
    if (number) {
        *taken = begin_text(f, v, BLOCK_LINE, item);
        return 1;
    }
    int task = is_task(v, at + len);
    if (task == 0) {
        *taken = more(item);
        return 1;
    }
    *taken = at + len + (task > 0 ? 4 : 0);
    if (!begin_line(f, BLOCK_LINE, item))
        give(item, SLM_SPEAK_NOTHING, 0);
    return 1;
}

static size_t next_of_line(slm_speak_filter *f, view v, slm_speak_item *item) {
    size_t at = 0, taken;
    while (at < v.n && at < LOOK && is_blank(v.p[at]))
        at++;
    if (at == LOOK)
        return give(item, SLM_SPEAK_SPACE, at);
    if (at == v.n)
        return v.final ? give(item, SLM_SPEAK_SPACE, at) : more(item);
    if (v.p[at] == '\n') {
        f->newlines = 2;
        return give(item, SLM_SPEAK_NEWLINE, at + 1);
    }
    if (f->markdown && markdown_line(f, v, at, item, &taken))
        return taken;
    return begin_text(f, v, PLAIN_LINE, item);
}

/* ---- inside a line ---- */

/* Code in backticks ends at as many of them, in the same line. */
static size_t inline_code(slm_speak_filter *f, view v, slm_speak_item *item) {
    size_t run = run_of(v, 0, '`');
    if (run == v.n && run < LOOK && !v.final)
        return more(item);
    if (!f->say_code && run < LOOK) {
        size_t i = run;
        while (i < v.n && i < LOOK && v.p[i] != '\n') {
            size_t other = run_of(v, i, '`');
            if (other > 0 && i + other == v.n && !v.final)
                return more(item); /* the run may go on */
            if (other == run) {
                f->prev = '`';
                return give(item, SLM_SPEAK_GAP, i + run);
            }
            i += other > 0 ? other : 1;
        }
        if (i == v.n && i < LOOK && !v.final)
            return more(item);
    }
    f->prev = '`';
    return give(item, SLM_SPEAK_NOTHING, run);
}

/* [1] or [^note] */
static int is_footnote(view v, size_t *len) {
    size_t i = 1;
    int named = i < v.n && v.p[i] == '^';
    i += (size_t)named;
    size_t from = i;
    while (i < v.n && i - from < 8 &&
           ((v.p[i] >= '0' && v.p[i] <= '9') ||
            (named && (v.p[i] | 0x20) >= 'a' && (v.p[i] | 0x20) <= 'z')))
        i++;
    if (i == v.n)
        return v.final ? -1 : 0;
    if (v.p[i] != ']' || i == from)
        return -1;
    if (i + 1 == v.n && !v.final)
        return 0;
    *len = i + 1;
    return i + 1 < v.n && v.p[i + 1] == '(' ? -1 : 1;
}

/* * or _ : emphasis has no blank on one of its sides; 2 * 3 and 2*3 are spoken. */
static size_t emphasis(slm_speak_filter *f, view v, slm_speak_item *item) {
    char c = v.p[0];
    size_t run = run_of(v, 0, c), len;
    uint32_t after;
    if (run == LOOK)
        return give(item, SLM_SPEAK_NOTHING, run);
    if (!char_at(v, run, &after, &len))
        return more(item);
    if (c == '*' && run == 1 &&
        ((is_space(f->prev) && f->prev != 0 && is_space(after)) ||
         (is_digit(f->prev) && is_digit(after))))
        return say(f, item, '*', 1);
    if (c == '_' && is_alnum(f->prev) && is_alnum(after)) {
        f->prev = ' ';
        return give(item, SLM_SPEAK_SPACE, run);
    }
    return give(item, SLM_SPEAK_NOTHING, run);
}

/* | in a row of a table; the last one is nothing. */
static size_t end_cell(view v, slm_speak_item *item) {
    size_t i = 1;
    while (i < v.n && i < LOOK && is_blank(v.p[i]))
        i++;
    if (i == v.n && i < LOOK && !v.final)
        return more(item);
    int last = i < LOOK && (i == v.n || v.p[i] == '\n');
    return give(item, last ? SLM_SPEAK_NOTHING : SLM_SPEAK_LINE, 1);
}

/* What begins with a mark of Markdown. Returns 1 when *taken and *item are set. */
static int markdown_mark(slm_speak_filter *f, view v, slm_speak_item *item, size_t *taken) {
    static const char PUNCTUATION[] = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
    size_t len = 0, run;
    uint32_t after;
    int found, seen = char_at(v, 1, &after, &len);
    switch (v.p[0]) {
    case '`':
        *taken = inline_code(f, v, item);
        return 1;
    case '*':
    case '_':
        *taken = emphasis(f, v, item);
        return 1;
    case '~':
        run = run_of(v, 0, '~');
        if (run == v.n && !v.final && run < LOOK)
            *taken = more(item);
        else if (run > 1)
            *taken = give(item, SLM_SPEAK_NOTHING, run);
        else
            return 0;
        return 1;
    case '[':
        found = is_footnote(v, &len);
        *taken = found == 0  ? more(item)
                 : found > 0 ? give(item, SLM_SPEAK_GAP, len)
                             : give(item, SLM_SPEAK_NOTHING, 1);
        return 1;
    case ']':
        if (!seen) {
            *taken = more(item);
        } else if (after == '(' || after == '[') {
            f->mode = after == '(' ? IN_TARGET : IN_REFERENCE;
            f->depth = 1;
            *taken = give(item, SLM_SPEAK_NOTHING, 2);
        } else {
            *taken = give(item, SLM_SPEAK_NOTHING, 1);
        }
        return 1;
    case '!':
        if (seen && after != '[')
            return 0;
        *taken = seen ? give(item, SLM_SPEAK_NOTHING, 1) : more(item);
        return 1;
    case '\\':
        if (!seen)
            *taken = more(item);
        else if (after != 0 && after < 0x80 && strchr(PUNCTUATION, (int)after))
            *taken = say(f, item, after, 2);
        else
            *taken = give(item, SLM_SPEAK_NOTHING, 1);
        return 1;
    case '|':
        if (f->kind != TABLE_LINE)
            return 0;
        f->prev = ' ';
        *taken = end_cell(v, item);
        return 1;
    default:
        return 0;
    }
}

/* Whether one of the words, of which the last is NULL, stands here, as match() says it; *len receives
 * its bytes. */
static int match_one(view v, const char *const *words, size_t *len) {
    int result = -1;
    for (; *words && result < 1; words++) {
        int found = match(v, 0, *words);
        if (found > result)
            result = found;
        *len = strlen(*words);
    }
    return result;
}

static int begins_url(const slm_speak_filter *f, view v) {
    static const char *const STARTS[] = {"https://", "http://", "ftp://", "www.", NULL};
    size_t len;
    return is_alnum(f->prev) ? -1 : match_one(v, STARTS, &len);
}

/* What begins with "<": a line break, an address in angle brackets. Returns 1 when *taken and *item
 * are set. */
static int markdown_tag(slm_speak_filter *f, view v, slm_speak_item *item, size_t *taken) {
    static const char *const BREAKS[] = {"<br>", "<br/>", "<br />", NULL},
                            *const LINKS[] = {"<http://", "<https://", NULL};
    size_t len = 0;
    int line = match_one(v, BREAKS, &len), link = -1;
    if (line < 0)
        link = match_one(v, LINKS, &len);
    if (line < 0 && link < 0)
        return 0;
    if (line > 0 || link > 0)
        f->prev = '<';
    *taken = line > 0   ? give(item, SLM_SPEAK_LINE, len)
             : link > 0 ? give(item, SLM_SPEAK_NOTHING, 1)
                        : more(item);
    return 1;
}

static size_t next_of_text(slm_speak_filter *f, view v, slm_speak_item *item) {
    size_t len, taken;
    uint32_t cp;
    if (!char_at(v, 0, &cp, &len))
        return more(item);
    if (cp == '\n') {
        f->line_start = 1;
        f->newlines = 1;
        return give(item, SLM_SPEAK_NEWLINE, 1);
    }
    if (cp == '<') {
        int open = match(v, 0, THINK), close = match(v, 0, END_THINK);
        if (open > 0 || close > 0) {
            f->mode = open > 0 ? IN_THINKING : IN_TEXT;
            return give(item, SLM_SPEAK_GAP, open > 0 ? strlen(THINK) : strlen(END_THINK));
        }
        if (open == 0 || close == 0)
            return more(item);
        if (f->markdown && markdown_tag(f, v, item, &taken))
            return taken;
    }
    int url = begins_url(f, v);
    if (url == 0)
        return more(item);
    if (url > 0) {
        f->mode = IN_URL;
        return give(item, SLM_SPEAK_GAP, 4);
    }
    if (f->markdown && markdown_mark(f, v, item, &taken))
        return taken;
    if (cp != SLM_CP_NONE && is_space(cp)) {
        f->prev = cp;
        return give(item, SLM_SPEAK_SPACE, len);
    }
    if (cp == SLM_CP_NONE || is_silent(cp, f->prev))
        return give(item, SLM_SPEAK_NOTHING, len);
    if (is_emoji(cp)) {
        f->prev = cp;
        return give(item, SLM_SPEAK_GAP, len);
    }
    return say(f, item, cp, len);
}

/* ---- what is left out ---- */

static size_t next_of_thinking(slm_speak_filter *f, view v, slm_speak_item *item) {
    const char *tag = memchr(v.p, '<', v.n);
    if (tag != v.p)
        return give(item, SLM_SPEAK_GAP, tag ? (size_t)(tag - v.p) : v.n);
    int found = match(v, 0, END_THINK);
    if (found == 0)
        return more(item);
    if (found > 0)
        f->mode = IN_TEXT;
    return give(item, SLM_SPEAK_GAP, found > 0 ? strlen(END_THINK) : 1);
}

static size_t next_of_code(slm_speak_filter *f, view v, slm_speak_item *item) {
    if (f->mode == IN_CODE_LINE) {
        if (v.p[0] == '\n')
            f->mode = IN_CODE;
        return give(item, SLM_SPEAK_GAP, 1);
    }
    size_t at = 0, run;
    while (at < v.n && at < LOOK && is_blank(v.p[at]))
        at++;
    run = run_of(v, at, f->fence);
    size_t end = at + run;
    while (end < v.n && end < LOOK && is_blank(v.p[end]))
        end++;
    if (end == v.n && !v.final)
        return more(item);
    if (run >= f->fence_len && (end == v.n || v.p[end] == '\n')) {
        f->mode = IN_TEXT;
        f->line_start = 0; /* its newline is next */
        return give(item, SLM_SPEAK_GAP, end);
    }
    f->mode = IN_CODE_LINE;
    return give(item, SLM_SPEAK_GAP, end);
}

/* An address goes on to a blank, a quote, or a character that none has; not to the punctuation
 * behind it. */
static int is_of_url(uint32_t c) {
    return c > ' ' && c != '<' && c != '>' && c != '"' && c != '`' && c != SLM_CP_NONE &&
           (c < 0x2000 || (c >= 0x2070 && c < 0x2E80)) && !is_space(c);
}

static size_t next_of_url(slm_speak_filter *f, view v, slm_speak_item *item) {
    static const char TRAILING[] = ".,;:!?)]}'*_";
    uint32_t cp;
    size_t at = 0, len;
    while (at < v.n && at < LOOK && v.p[at] != '\0' && strchr(TRAILING, v.p[at]))
        at++;
    if (at == LOOK)
        return give(item, SLM_SPEAK_GAP, at);
    if (!char_at(v, at, &cp, &len))
        return more(item);
    if (cp != 0 && is_of_url(cp))
        return give(item, SLM_SPEAK_GAP, at + len);
    f->mode = IN_TEXT;
    f->prev = '/';
    return give(item, SLM_SPEAK_GAP, cp == '>' && at == 0 && f->markdown ? 1 : 0);
}

static size_t next_of_target(slm_speak_filter *f, view v, slm_speak_item *item) {
    char c = v.p[0], open = f->mode == IN_TARGET ? '(' : '[', close = open == '(' ? ')' : ']';
    f->depth += c == open;
    f->depth -= c == close;
    if (f->depth == 0 || c == '\n') {
        f->mode = IN_TEXT;
        f->prev = ')';
    }
    return give(item, SLM_SPEAK_GAP, c != '\n');
}

size_t slm_speak_filter_next(slm_speak_filter *f, const char *p, size_t n, int final,
                             slm_speak_item *item) {
    view v = {p, n, final};
    *item = (slm_speak_item){SLM_SPEAK_NOTHING, 0};
    switch (f->mode) {
    case IN_TEXT:
        return f->line_start ? next_of_line(f, v, item) : next_of_text(f, v, item);
    case IN_THINKING:
        return next_of_thinking(f, v, item);
    case IN_CODE:
    case IN_CODE_LINE:
        return next_of_code(f, v, item);
    case IN_URL:
        return next_of_url(f, v, item);
    default:
        return next_of_target(f, v, item);
    }
}
