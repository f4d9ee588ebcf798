/* Patterns as ECMA 262 spells them with the u flag (section 22.2.1), without what is not regular. A
 * few spellings that only the flagless syntax has are taken too: a brace or bracket that opens
 * nothing, and a backslash before any ASCII punctuation. */
#include "guide/dfa.h"

#include "guide/ranges.h"
#include "text/unicode.h"

#include <string.h>

enum { MAX_DEPTH = 128, MAX_COUNT = 10000 };

typedef enum kind { SET, BEGIN, END, SEQUENCE, CHOICE, REPEAT } kind;

typedef struct node node;
struct node {
    kind kind;
    node *first, *next; /* children, and the next child of the parent */
    const slm_cp_range *ranges;
    size_t n_ranges;
    uint32_t min, max;
};

typedef struct parser {
    slm_dfa_space *space;
    slm_arena *arena;
    const char *text;
    size_t at, len;
    unsigned depth;
    slm_error *error;
} parser;

static slm_status bad(const parser *p, const char *what) {
    return slm_fail(p->error, SLM_ERR_GRAMMAR, "pattern", p->at, "at character %zu: %s", p->at + 1,
                    what);
}

static slm_status unsupported(const parser *p, const char *what) {
    return slm_fail(p->error, SLM_ERR_UNSUP, "pattern", p->at,
                    "at character %zu: %s, which is not supported", p->at + 1, what);
}

static int peek(const parser *p, char c) {
    return p->at < p->len && p->text[p->at] == c;
}

static int take(parser *p, const char *what) {
    size_t n = strlen(what);
    if (p->len - p->at < n || memcmp(p->text + p->at, what, n) != 0)
        return 0;
    p->at += n;
    return 1;
}

static slm_status new_node(parser *p, kind k, node **out) {
    node *n = slm_arena_alloc(p->arena, sizeof *n);
    if (n == NULL)
        return slm_fail_nomem(p->error, sizeof *n, "a pattern");
    *n = (node){.kind = k};
    *out = n;
    return SLM_OK;
}

static slm_status set_node(parser *p, slm_ranges *r, int negate, node **out) {
    slm_status status = slm_ranges_finish(r, negate, p->error);
    if (status == SLM_OK)
        status = new_node(p, SET, out);
    if (status == SLM_OK) {
        slm_cp_range *copy = slm_arena_alloc(p->arena, r->n * sizeof *copy);
        if (copy == NULL)
            status = slm_fail_nomem(p->error, r->n * sizeof *copy, "a pattern");
        else if (r->n > 0)
            memcpy(copy, r->at, r->n * sizeof *copy);
        (*out)->ranges = copy;
        (*out)->n_ranges = r->n;
    }
    slm_ranges_free(r);
    return status;
}

/* ---- classes ----------------------------------------------------------------------------------
 */

static const slm_cp_range digits[] = {{'0', '9'}};
static const slm_cp_range words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
static const slm_cp_range spaces[] = {
    {'\t', '\r'},     {' ', ' '},       {0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200a},
    {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}};
static const slm_cp_range line_ends[] = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

static slm_status add_class(parser *p, slm_ranges *r, const slm_cp_range *ranges, size_t n,
                            int negate) {
    uint32_t next = 0;
    SLM_TRY(slm_dfa_spend(p->space, n * 8, p->error)); /* mostly for sorting */
    for (size_t i = 0; i < n; i++) {
        if (!negate)
            SLM_TRY(slm_ranges_add(r, ranges[i].lo, ranges[i].hi, p->error));
        else if (ranges[i].lo > next)
            SLM_TRY(slm_ranges_add(r, next, ranges[i].lo - 1, p->error));
        next = ranges[i].hi + 1;
    }
    if (negate)
        SLM_TRY(slm_ranges_add(r, next, SLM_MAX_CODE_POINT, p->error));
    return SLM_OK;
}

/* The characters of a category, found out once: there are a million to look at. */
static slm_status find_category(parser *p, uint32_t mask, const slm_category **out) {
    slm_category *k = p->space->categories;
    while (k->ranges != NULL && k->mask != mask)
        k++;
    *out = k;
    if (k->ranges != NULL)
        return SLM_OK;
    slm_ranges r = {.host = p->arena->host};
    slm_status status = slm_dfa_spend(p->space, SLM_MAX_CODE_POINT, p->error);
    for (uint32_t lo = 0, hi; status == SLM_OK && lo <= SLM_MAX_CODE_POINT; lo = hi + 1) {
        int in = (slm_cp_class(lo) & mask) != 0;
        for (hi = lo; hi < SLM_MAX_CODE_POINT;)
            if (((slm_cp_class(hi + 1) & mask) != 0) == in)
                hi++;
            else
                break;
        if (in)
            status = slm_ranges_add(&r, lo, hi, p->error);
    }
    slm_cp_range *ranges = status == SLM_OK ? slm_arena_alloc(p->arena, r.n * sizeof *ranges) : NULL;
    if (status == SLM_OK && ranges == NULL)
        status = slm_fail_nomem(p->error, r.n * sizeof *ranges, "a pattern");
    if (status == SLM_OK) {
        memcpy(ranges, r.at, r.n * sizeof *ranges);
        *k = (slm_category){ranges, r.n, mask};
    }
    slm_ranges_free(&r);
    return status;
}

/* \p{...}: the general categories that the tokenizers' tables know. */
static slm_status add_category(parser *p, slm_ranges *r, int negate) {
    static const struct {
        const char *name;
        uint32_t mask;
    } known[] = {{"{L}", SLM_CLASS_LETTER}, {"{Letter}", SLM_CLASS_LETTER},
                 {"{N}", SLM_CLASS_NUMBER}, {"{Number}", SLM_CLASS_NUMBER},
                 {"{M}", SLM_CLASS_MARK},   {"{Mark}", SLM_CLASS_MARK},
                 {"{Ll}", SLM_CLASS_LOWER}, {"{Lowercase_Letter}", SLM_CLASS_LOWER}};
    uint32_t mask = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known && mask == 0; i++)
        if (take(p, known[i].name))
            mask = known[i].mask;
    if (mask == 0)
        return unsupported(p, "a property of Unicode other than L, Ll, M and N");
    const slm_category *k;
    SLM_TRY(find_category(p, mask, &k));
    return add_class(p, r, k->ranges, k->n, negate);
}

/* A class escape after its backslash, \d and the like, into r; *is says whether it was one. */
static slm_status class_escape(parser *p, slm_ranges *r, int *is) {
    char c = p->at < p->len ? p->text[p->at] : 0;
    *is = c != 0 && strchr("dDwWsSpP", c) != NULL;
    if (!*is)
        return SLM_OK;
    p->at++;
    int negate = c >= 'A' && c <= 'Z';
    switch (c | 0x20) {
    case 'd':
        return add_class(p, r, digits, 1, negate);
    case 'w':
        return add_class(p, r, words, sizeof words / sizeof *words, negate);
    case 's':
        return add_class(p, r, spaces, sizeof spaces / sizeof *spaces, negate);
    default:
        return add_category(p, r, negate);
    }
}

static int hex_value(char c) {
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

/* n hexadecimal digits; 0 when they are not there. */
static int hex(parser *p, size_t n, uint32_t *out) {
    *out = 0;
    if (p->len - p->at < n)
        return 0;
    for (size_t i = 0; i < n; i++) {
        int v = hex_value(p->text[p->at + i]);
        if (v < 0)
            return 0;
        *out = *out << 4 | (uint32_t)v;
    }
    p->at += n;
    return 1;
}

static slm_status unicode_escape(parser *p, uint32_t *cp) {
    if (take(p, "{")) {
        size_t n = 0;
        while (p->at + n < p->len && hex_value(p->text[p->at + n]) >= 0)
            n++;
        if (n == 0 || n > 6 || !hex(p, n, cp) || *cp > SLM_MAX_CODE_POINT || !take(p, "}"))
            return bad(p, "a \\u{...} escape wants 1 to 6 hexadecimal digits up to 10FFFF");
        return SLM_OK;
    }
    uint32_t low;
    if (!hex(p, 4, cp))
        return bad(p, "a \\u escape wants 4 hexadecimal digits");
    if (*cp >= 0xd800 && *cp < 0xdc00) {
        size_t before = p->at;
        if (take(p, "\\u") && hex(p, 4, &low) && low >= 0xdc00 && low < 0xe000)
            *cp = 0x10000 + ((*cp - 0xd800) << 10) + (low - 0xdc00);
        else
            p->at = before;
    }
    return SLM_OK;
}

/* An escape after its backslash that stands for one character. */
static slm_status character_escape(parser *p, int in_class, uint32_t *cp) {
    static const char letters[] = "tnvfr";
    if (p->at == p->len)
        return bad(p, "the pattern ends in a backslash");
    char c = p->text[p->at];
    const char *letter = strchr(letters, c);
    if (c == 'b' && in_class)
        *cp = 8;
    else if (c == 'b' || c == 'B')
        return unsupported(p, "a word boundary");
    else if ((c >= '1' && c <= '9') || c == 'k')
        return unsupported(p, "a back reference");
    else if (letter != NULL)
        *cp = (uint32_t) "\t\n\v\f\r"[letter - letters];
    else if (c == '0')
        *cp = 0;
    else if (c == 'c' && p->at + 1 < p->len && ((p->text[p->at + 1] | 0x20) >= 'a') &&
             ((p->text[p->at + 1] | 0x20) <= 'z'))
        *cp = (uint32_t)p->text[++p->at] & 31;
    else if (c == 'x') {
        p->at++;
        return hex(p, 2, cp) ? SLM_OK : bad(p, "a \\x escape wants 2 hexadecimal digits");
    } else if (c == 'u') {
        p->at++;
        return unicode_escape(p, cp);
    } else if (c > ' ' && c < 127 && !(c >= '0' && c <= '9') &&
               !((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
        *cp = (uint32_t)c;
    else
        return bad(p, "got an escape that does not exist");
    p->at++;
    return SLM_OK;
}

static slm_status character(parser *p, uint32_t *cp) {
    size_t n = slm_utf8_next((const uint8_t *)p->text + p->at, p->len - p->at, cp);
    if (n == 0)
        return bad(p, "the pattern is not UTF-8");
    p->at += n;
    return SLM_OK;
}

/* One member of a class: a character, or a set that has been added already. */
static slm_status class_atom(parser *p, slm_ranges *r, uint32_t *cp, int *is_set) {
    *is_set = 0;
    if (!take(p, "\\"))
        return character(p, cp);
    SLM_TRY(class_escape(p, r, is_set));
    return *is_set ? SLM_OK : character_escape(p, 1, cp);
}

static slm_status class_members(parser *p, slm_ranges *r) {
    while (!peek(p, ']')) {
        uint32_t lo = 0, hi = 0;
        int is_set, hi_is_set;
        if (p->at == p->len)
            return bad(p, "a class is not closed, wanted ']'");
        SLM_TRY(class_atom(p, r, &lo, &is_set));
        if (peek(p, '-') && p->at + 1 < p->len && p->text[p->at + 1] != ']') {
            p->at++;
            SLM_TRY(class_atom(p, r, &hi, &hi_is_set));
            if (is_set || hi_is_set)
                return bad(p, "a set cannot be the end of a range");
            if (hi < lo)
                return bad(p, "a range ends before it starts");
        } else {
            hi = lo;
        }
        if (!is_set)
            SLM_TRY(slm_ranges_add(r, lo, hi, p->error));
    }
    p->at++;
    return SLM_OK;
}

/* ---- terms ------------------------------------------------------------------------------------
 */

static slm_status parse_choice(parser *p, node **out);

static slm_status group(parser *p, node **out) {
    if (take(p, "?:")) {
    } else if (take(p, "?=") || take(p, "?!")) {
        return unsupported(p, "look-ahead");
    } else if (take(p, "?<=") || take(p, "?<!")) {
        return unsupported(p, "look-behind");
    } else if (take(p, "?<")) {
        while (p->at < p->len && !peek(p, '>') && !peek(p, ')'))
            p->at++;
        if (!take(p, ">"))
            return bad(p, "the name of a group is not closed, wanted '>'");
    } else if (peek(p, '?')) {
        return unsupported(p, "a group with flags");
    }
    if (++p->depth > MAX_DEPTH)
        return slm_fail(p->error, SLM_ERR_LIMIT, "pattern", p->at,
                        "groups are nested more than %d deep", MAX_DEPTH);
    SLM_TRY(parse_choice(p, out));
    p->depth--;
    return take(p, ")") ? SLM_OK : bad(p, "a group is not closed, wanted ')'");
}

static slm_status atom(parser *p, node **out) {
    slm_ranges r = {.host = p->arena->host};
    slm_status status;
    int negate = 0, is_set = 0;
    uint32_t cp = 0;
    if (take(p, "^"))
        return new_node(p, BEGIN, out);
    if (take(p, "$"))
        return new_node(p, END, out);
    if (take(p, "("))
        return group(p, out);
    if (peek(p, '*') || peek(p, '+') || peek(p, '?'))
        return bad(p, "there is nothing to repeat");
    if (take(p, ".")) {
        status = add_class(p, &r, line_ends, sizeof line_ends / sizeof *line_ends, 1);
    } else if (take(p, "[")) {
        negate = take(p, "^");
        status = class_members(p, &r);
    } else {
        if (take(p, "\\")) {
            status = class_escape(p, &r, &is_set);
            if (status == SLM_OK && !is_set)
                status = character_escape(p, 0, &cp);
        } else {
            status = character(p, &cp);
        }
        if (status == SLM_OK && !is_set)
            status = slm_ranges_add(&r, cp, cp, p->error);
    }
    if (status == SLM_OK)
        return set_node(p, &r, negate, out);
    slm_ranges_free(&r);
    return status;
}

/* A count after its brace; 0 when there are no digits. */
static int count(parser *p, uint32_t *out) {
    size_t begin = p->at;
    *out = 0;
    for (; p->at < p->len && p->text[p->at] >= '0' && p->text[p->at] <= '9'; p->at++)
        *out = *out > MAX_COUNT ? *out : *out * 10 + (uint32_t)(p->text[p->at] - '0');
    return p->at > begin;
}

/* {m}, {m,} or {m,n}; where it is none, nothing is taken and *is is 0. */
static slm_status braces(parser *p, uint32_t *min, uint32_t *max, int *is) {
    size_t begin = p->at;
    *is = take(p, "{") && count(p, min);
    *max = *min;
    if (*is && take(p, ",") && !count(p, max))
        *max = SLM_NO_MAXIMUM;
    *is = *is && take(p, "}");
    if (!*is) {
        p->at = begin;
        return SLM_OK;
    }
    if (*max < *min)
        return bad(p, "a repetition's maximum is below its minimum");
    if (*min > MAX_COUNT || (*max > MAX_COUNT && *max != SLM_NO_MAXIMUM))
        return slm_fail(p->error, SLM_ERR_LIMIT, "pattern", p->at, "a repetition counts beyond %d",
                        MAX_COUNT);
    return SLM_OK;
}

static slm_status term(parser *p, node **out) {
    uint32_t min = 0, max = 0;
    int is = 1;
    SLM_TRY(atom(p, out));
    if (take(p, "*"))
        max = SLM_NO_MAXIMUM;
    else if (take(p, "+"))
        min = 1, max = SLM_NO_MAXIMUM;
    else if (take(p, "?"))
        max = 1;
    else
        SLM_TRY(braces(p, &min, &max, &is));
    if (!is)
        return SLM_OK;
    if ((*out)->kind == BEGIN || (*out)->kind == END)
        return bad(p, "an anchor cannot be repeated");
    (void)take(p, "?"); /* a lazy one matches the same texts */
    node *inner = *out;
    SLM_TRY(new_node(p, REPEAT, out));
    (*out)->first = inner;
    (*out)->min = min;
    (*out)->max = max;
    return SLM_OK;
}

static slm_status parse_choice(parser *p, node **out) {
    SLM_TRY(new_node(p, CHOICE, out));
    node **last_branch = &(*out)->first;
    do {
        node *branch = NULL;
        SLM_TRY(new_node(p, SEQUENCE, &branch));
        *last_branch = branch;
        last_branch = &branch->next;
        node **last = &branch->first;
        while (p->at < p->len && !peek(p, '|') && !peek(p, ')')) {
            SLM_TRY(term(p, last));
            last = &(*last)->next;
        }
    } while (take(p, "|"));
    return SLM_OK;
}

/* ---- into an automaton ------------------------------------------------------------------------
 */

static const slm_cp_range nothing = {0, 0};

static void emit(slm_nfa *nfa, const node *n, uint32_t from, uint32_t to);

static void emit_repeat(slm_nfa *nfa, const node *n, uint32_t from, uint32_t to) {
    for (uint32_t i = 0; i < n->min && nfa->status == SLM_OK; i++) {
        uint32_t next = slm_nfa_node(nfa);
        emit(nfa, n->first, from, next);
        from = next;
    }
    if (n->max == SLM_NO_MAXIMUM) {
        uint32_t loop = slm_nfa_node(nfa);
        slm_nfa_edge_add(nfa, from, SLM_NFA_EMPTY, nothing, loop);
        emit(nfa, n->first, loop, loop);
        from = loop;
    }
    for (uint32_t i = n->min; n->max != SLM_NO_MAXIMUM && i < n->max && nfa->status == SLM_OK;
         i++) {
        uint32_t next = slm_nfa_node(nfa);
        slm_nfa_edge_add(nfa, from, SLM_NFA_EMPTY, nothing, to);
        emit(nfa, n->first, from, next);
        from = next;
    }
    slm_nfa_edge_add(nfa, from, SLM_NFA_EMPTY, nothing, to);
}

static void emit(slm_nfa *nfa, const node *n, uint32_t from, uint32_t to) {
    if (nfa->status != SLM_OK)
        return;
    switch (n->kind) {
    case SET:
        for (size_t i = 0; i < n->n_ranges; i++)
            slm_nfa_edge_add(nfa, from, SLM_NFA_RANGE, n->ranges[i], to);
        break;
    case BEGIN:
        slm_nfa_edge_add(nfa, from, SLM_NFA_BEGIN, nothing, to);
        break;
    case END:
        slm_nfa_edge_add(nfa, from, SLM_NFA_END, nothing, to);
        break;
    case CHOICE:
        for (const node *c = n->first; c != NULL; c = c->next)
            emit(nfa, c, from, to);
        break;
    case REPEAT:
        emit_repeat(nfa, n, from, to);
        break;
    default:
        for (const node *c = n->first; c != NULL; c = c->next) {
            uint32_t next = slm_nfa_node(nfa);
            emit(nfa, c, from, next);
            from = next;
        }
        slm_nfa_edge_add(nfa, from, SLM_NFA_EMPTY, nothing, to);
    }
}

slm_status slm_regex_compile(slm_dfa_space *space, slm_str pattern, const slm_dfa **out,
                             slm_error *error) {
    static const slm_cp_range all = {0, SLM_MAX_CODE_POINT};
    parser p = {space, space->arena, pattern.ptr, 0, pattern.len, 0, error};
    node *tree = NULL;
    SLM_TRY(parse_choice(&p, &tree));
    if (p.at < p.len)
        return bad(&p, "got ')', which closes nothing");
    slm_nfa nfa;
    slm_nfa_init(&nfa, space->arena->host);
    uint32_t start = slm_nfa_node(&nfa), begin = slm_nfa_node(&nfa);
    uint32_t end = slm_nfa_node(&nfa);
    slm_nfa_edge_add(&nfa, start, SLM_NFA_EMPTY, nothing, begin);
    slm_nfa_edge_add(&nfa, begin, SLM_NFA_RANGE, all, begin);
    slm_nfa_edge_add(&nfa, end, SLM_NFA_RANGE, all, end);
    emit(&nfa, tree, begin, end);
    slm_status status = slm_dfa_from_nfa(space, &nfa, start, end, out, error);
    slm_nfa_free(&nfa);
    return status;
}
