#include "guide/gbnf.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/utf8.h"
#include "guide/ranges.h"
#include "text/unicode.h"

#include <string.h>

/* Rules of at most this size, which call none that are larger, are written out where they are used:
 * less to call, and what is alternative is merged. */
#define INLINE_SIZE 24u

/* Classes are counted where what is around them is repeated at most so many times, or where at most
 * one of the copies must come (then the others are no readings of their own). Each that is
 * counted is a call, and so a stack of its own, and a text that can be divided in many ways comes
 * to be on all of them; those that are written out are nodes of one rule, which are one frame
 * together. Characters of several bytes are nodes by the dozen, which costs more than the calls:
 * these are counted all the same, and so are more characters than can be written out. */
#define MAX_COUNTED_COPIES 64u
#define MAX_WRITTEN        (1u << 16)

enum { IS_NULLABLE = 1, IS_SOLID };

typedef enum kind { LITERAL, CLASS, SEQUENCE, CHOICE, REPEAT, REFERENCE } kind;

typedef struct node node;
struct node {
    kind kind;
    node *first, *next; /* children, and the next child of the parent                    */
    uint32_t counted;   /* of a REPEAT of a class: the rule that counts it, plus 1       */
    uint8_t nullable;   /* once it is known: IS_NULLABLE or IS_SOLID                     */
    union {
        slm_str text; /* LITERAL, as UTF-8                                             */
        struct {
            const slm_cp_range *at;
            size_t n;
        } ranges; /* CLASS                                                         */
        struct {
            uint32_t min, max;
        } count;       /* REPEAT                                                        */
        uint32_t rule; /* REFERENCE                                                     */
    } of;
};

typedef struct rule {
    slm_str name;
    size_t used;     /* where it was named first                        */
    node *body;      /* NULL: not defined                               */
    uint32_t number; /* in the grammar                                  */
    uint32_t size;   /* where it is inlined: that of its body           */
    uint8_t inlined;
} rule;

typedef struct parser {
    slm_grammar *g;
    slm_arena arena;
    const char *text;
    size_t at, len;
    unsigned depth;
    uint32_t copies; /* of what is being built: what repetitions around it make; bounded */
    uint32_t chains; /* ... of which none covers another                                 */
    rule *rules;
    uint32_t n_rules, cap_rules;
    uint32_t *slots; /* hash table of rules by name, number + 1; SLM_GRAMMAR_MAX_RULES * 2 slots */
    slm_error *error;
} parser;

/* ---- reading ----------------------------------------------------------------------------------
 */

static slm_status fail_at(const parser *p, slm_status status, size_t at, const char *what,
                          slm_str name) {
    size_t line, column;
    slm_json_place(p->text, at, &line, &column);
    return slm_fail(p->error, status, "grammar", at, "grammar, line %zu, column %zu: %s%.*s", line,
                    column, what, (int)(name.len < 80 ? name.len : 80), name.ptr);
}

static slm_status bad(const parser *p, const char *what) {
    return fail_at(p, SLM_ERR_GRAMMAR, p->at, what, (slm_str){"", 0});
}

/* What stands where it cannot. */
static slm_status unexpected(const parser *p, const char *wanted) {
    char text[96], got[8] = {0};
    if (p->at == p->len)
        return bad(p, wanted);
    size_t n = slm_utf8_next((const uint8_t *)p->text + p->at, p->len - p->at, NULL);
    memcpy(got, p->text + p->at, n > 0 ? n : 1);
    memcpy(text, "unexpected ", 12);
    strncat(text, got, 8);
    strncat(text, ", ", 3);
    strncat(text, wanted, 60);
    return bad(p, text);
}

static int peek(const parser *p, char c) {
    return p->at < p->len && p->text[p->at] == c;
}

static int take(parser *p, char c) {
    int is = peek(p, c);
    p->at += (size_t)is;
    return is;
}

static void skip_space(parser *p, int lines) {
    for (; p->at < p->len; p->at++) {
        char c = p->text[p->at];
        if (c == '#')
            while (p->at + 1 < p->len && p->text[p->at + 1] != '\n')
                p->at++;
        else if (c != ' ' && c != '\t' && !(lines && (c == '\n' || c == '\r')))
            return;
    }
}

static slm_str read_name(parser *p) {
    size_t begin = p->at;
    for (; p->at < p->len; p->at++) {
        char c = p->text[p->at];
        if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' ||
              c == '_'))
            break;
    }
    return (slm_str){p->text + begin, p->at - begin};
}

static slm_status alloc(parser *p, size_t size, void *out) {
    void *memory = slm_arena_alloc(&p->arena, size);
    if (memory == NULL)
        return slm_fail_nomem(p->error, size, "the grammar");
    memcpy(out, &memory, sizeof memory);
    return SLM_OK;
}

static slm_status new_node(parser *p, kind k, node **out) {
    SLM_TRY(alloc(p, sizeof **out, out));
    **out = (node){.kind = k};
    return SLM_OK;
}

/* The number of the rule of a name, defined or not yet. */
static slm_status find_rule(parser *p, slm_str name, size_t at, uint32_t *out) {
    uint32_t hash = 2166136261u, mask = SLM_GRAMMAR_MAX_RULES * 2 - 1;
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (uint8_t)name.ptr[i]) * 16777619u;
    for (hash &= mask; p->slots[hash] != 0; hash = (hash + 1) & mask) {
        const rule *r = &p->rules[p->slots[hash] - 1];
        if (r->name.len == name.len && memcmp(r->name.ptr, name.ptr, name.len) == 0) {
            *out = p->slots[hash] - 1;
            return SLM_OK;
        }
    }
    if (p->n_rules == SLM_GRAMMAR_MAX_RULES)
        return fail_at(p, SLM_ERR_LIMIT, at, "more than 65536 rules, at ", name);
    if (p->n_rules == p->cap_rules) {
        uint32_t cap = p->cap_rules == 0 ? 32 : p->cap_rules * 2;
        rule *rules = slm_realloc(p->g->host, p->rules, cap * sizeof *rules);
        if (rules == NULL)
            return slm_fail_nomem(p->error, cap * sizeof *rules, "the grammar");
        p->rules = rules;
        p->cap_rules = cap;
    }
    p->rules[p->n_rules] = (rule){.name = name, .used = at};
    *out = p->n_rules++;
    p->slots[hash] = p->n_rules;
    return SLM_OK;
}

/* One character of a literal or class. */
static slm_status read_char(parser *p, uint32_t *cp) {
    static const char named[] = "nrt\\\"[]-^", meant[] = "\n\r\t\\\"[]-^";
    size_t n = slm_utf8_next((const uint8_t *)p->text + p->at, p->len - p->at, cp);
    if (n == 0)
        return bad(p, "bytes that are not UTF-8");
    size_t begin = p->at;
    p->at += n;
    if (*cp != '\\')
        return SLM_OK;
    char c = p->at < p->len ? p->text[p->at] : 0;
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    const char *name = c != 0 ? strchr(named, c) : NULL;
    p->at++;
    if (name != NULL) {
        *cp = (uint32_t)meant[name - named];
        return SLM_OK;
    }
    *cp = 0;
    for (size_t i = 0; i < digits; i++, p->at++) {
        char d = p->at < p->len ? p->text[p->at] : 0;
        int v = d >= '0' && d <= '9'                     ? d - '0'
                : (d | 0x20) >= 'a' && (d | 0x20) <= 'f' ? (d | 0x20) - 'a' + 10
                                                         : -1;
        if (v < 0)
            digits = 0;
        *cp = *cp << 4 | (uint32_t)(v < 0 ? 0 : v);
    }
    slm_str none = {"", 0};
    if (digits == 0)
        return fail_at(p, SLM_ERR_GRAMMAR, begin,
                       "bad escape, wanted \\n \\r \\t \\\\ \\\" \\[ \\] \\- \\^ \\xHH \\uHHHH or "
                       "\\UHHHHHHHH",
                       none);
    if (*cp > SLM_MAX_CODE_POINT || (*cp >= 0xd800 && *cp < 0xe000))
        return fail_at(p, SLM_ERR_GRAMMAR, begin, "an escape's code point is out of range", none);
    return SLM_OK;
}

static slm_status read_literal(parser *p, node **out) {
    slm_buffer text = {.host = p->g->host};
    slm_status status = new_node(p, LITERAL, out);
    while (status == SLM_OK && !take(p, '"')) {
        uint32_t cp = 0;
        char utf8[4];
        if (p->at == p->len) {
            status = bad(p, "unterminated literal, wanted '\"'");
            break;
        }
        status = read_char(p, &cp);
        if (status == SLM_OK)
            status = slm_buffer_append(&text, utf8, slm_utf8_encode(cp, utf8), p->error);
    }
    char *copy = NULL;
    if (status == SLM_OK)
        status = alloc(p, text.len, &copy);
    if (status == SLM_OK && text.len > 0)
        memcpy(copy, text.ptr, text.len);
    if (status == SLM_OK)
        (*out)->of.text = (slm_str){copy, text.len};
    slm_buffer_free(&text);
    return status;
}

static slm_status read_class_members(parser *p, slm_ranges *r) {
    while (!take(p, ']')) {
        uint32_t lo, hi;
        if (p->at == p->len)
            return bad(p, "unterminated class, wanted ']'");
        SLM_TRY(read_char(p, &lo));
        hi = lo;
        if (peek(p, '-') && p->at + 1 < p->len && p->text[p->at + 1] != ']') {
            p->at++;
            SLM_TRY(read_char(p, &hi));
            if (hi < lo)
                return bad(p, "a range ends before it starts");
        }
        SLM_TRY(slm_ranges_add(r, lo, hi, p->error));
    }
    return SLM_OK;
}

static slm_status class_node(parser *p, slm_ranges *r, int negate, node **out) {
    slm_cp_range *copy = NULL;
    slm_status status = slm_ranges_finish(r, negate, p->error);
    if (status == SLM_OK)
        status = new_node(p, CLASS, out);
    if (status == SLM_OK)
        status = alloc(p, r->n * sizeof *copy, &copy);
    if (status != SLM_OK)
        return status;
    if (r->n > 0)
        memcpy(copy, r->at, r->n * sizeof *copy);
    (*out)->of.ranges.at = copy;
    (*out)->of.ranges.n = r->n;
    return SLM_OK;
}

static slm_status read_class(parser *p, int any, node **out) {
    slm_ranges r = {.host = p->g->host};
    int negate = any || take(p, '^');
    slm_status status = any ? SLM_OK : read_class_members(p, &r);
    if (status == SLM_OK)
        status = class_node(p, &r, negate, out);
    slm_ranges_free(&r);
    return status;
}

static slm_status read_choice(parser *p, int nested, node **out);

/* *out is NULL where no atom begins. */
static slm_status read_atom(parser *p, node **out) {
    *out = NULL;
    if (take(p, '"'))
        return read_literal(p, out);
    if (take(p, '['))
        return read_class(p, 0, out);
    if (take(p, '.'))
        return read_class(p, 1, out);
    if (take(p, '(')) {
        if (++p->depth > SLM_GBNF_MAX_DEPTH)
            return bad(p, "groups are nested more than 200 deep");
        skip_space(p, 1);
        SLM_TRY(read_choice(p, 1, out));
        p->depth--;
        return take(p, ')') ? SLM_OK : unexpected(p, "expected )");
    }
    if (peek(p, '<') || (peek(p, '!') && p->at + 1 < p->len && p->text[p->at + 1] == '<'))
        return fail_at(p, SLM_ERR_UNSUP, p->at,
                       "unexpected <: terminals that are tokens are not supported",
                       (slm_str){"", 0});
    size_t at = p->at;
    slm_str name = read_name(p);
    if (name.len == 0)
        return SLM_OK;
    SLM_TRY(new_node(p, REFERENCE, out));
    return find_rule(p, name, at, &(*out)->of.rule);
}

static int read_number(parser *p, uint32_t *out) {
    size_t begin = p->at;
    *out = 0;
    for (; p->at < p->len && p->text[p->at] >= '0' && p->text[p->at] <= '9'; p->at++)
        if (*out <= SLM_GBNF_MAX_COUNT)
            *out = *out * 10 + (uint32_t)(p->text[p->at] - '0');
    return p->at > begin;
}

/* {m}, {m,} or {m,n} behind its brace. */
static slm_status read_counts(parser *p, uint32_t *min, uint32_t *max) {
    skip_space(p, 0);
    int ok = read_number(p, min);
    skip_space(p, 0);
    *max = *min;
    if (ok && take(p, ',')) {
        skip_space(p, 0);
        if (!read_number(p, max))
            *max = SLM_NO_MAXIMUM;
        skip_space(p, 0);
    }
    if (!ok || !take(p, '}'))
        return bad(p, "bad repetition, wanted {m}, {m,} or {m,n}");
    if (*max < *min)
        return bad(p, "a repetition's maximum is below its minimum");
    if (*min > SLM_GBNF_MAX_COUNT || (*max > SLM_GBNF_MAX_COUNT && *max != SLM_NO_MAXIMUM))
        return bad(p, "a repetition counts beyond 2000");
    return SLM_OK;
}

static slm_status read_repeats(parser *p, int nested, node **atom) {
    for (unsigned n = 0;; n++) {
        uint32_t min = 0, max = SLM_NO_MAXIMUM;
        size_t before = p->at;
        skip_space(p, nested);
        if (take(p, '+'))
            min = 1;
        else if (take(p, '?'))
            max = 1;
        else if (take(p, '{'))
            SLM_TRY(read_counts(p, &min, &max));
        else if (!take(p, '*')) {
            p->at = before;
            return SLM_OK;
        }
        if (n == SLM_GBNF_MAX_DEPTH)
            return bad(p, "repetitions of a repetition are nested more than 200 deep");
        node *inner = *atom;
        SLM_TRY(new_node(p, REPEAT, atom));
        (*atom)->first = inner;
        (*atom)->of.count.min = min;
        (*atom)->of.count.max = max;
    }
}

static slm_status read_choice(parser *p, int nested, node **out) {
    SLM_TRY(new_node(p, CHOICE, out));
    node **last_branch = &(*out)->first;
    for (;;) {
        node *branch = NULL;
        SLM_TRY(new_node(p, SEQUENCE, &branch));
        *last_branch = branch;
        last_branch = &branch->next;
        for (node **last = &branch->first;; last = &(*last)->next) {
            node *atom;
            skip_space(p, nested);
            SLM_TRY(read_atom(p, &atom));
            if (atom == NULL)
                break;
            SLM_TRY(read_repeats(p, nested, &atom));
            *last = atom;
        }
        if (!take(p, '|'))
            return SLM_OK;
        skip_space(p, 1);
    }
}

static slm_status read_rules(parser *p) {
    skip_space(p, 1);
    while (p->at < p->len) {
        size_t at = p->at;
        slm_str name = read_name(p);
        uint32_t number;
        node *body = NULL;
        if (name.len == 0)
            return unexpected(p, "expected a rule name");
        skip_space(p, 0);
        if (p->len - p->at < 3 || memcmp(p->text + p->at, "::=", 3) != 0)
            return unexpected(p, "expected ::=");
        p->at += 3;
        skip_space(p, 1);
        SLM_TRY(find_rule(p, name, at, &number));
        if (p->rules[number].body != NULL)
            return fail_at(p, SLM_ERR_GRAMMAR, at, "a rule is defined twice: ", name);
        SLM_TRY(read_choice(p, 0, &body));
        p->rules[number].body = body;
        if (p->at < p->len && !peek(p, '\n') && !peek(p, '\r'))
            return unexpected(p, "expected the end of the rule");
        skip_space(p, 1);
    }
    return SLM_OK;
}

/* ---- building ---------------------------------------------------------------------------------
 */

/* How often a grammar has what is repeated. */
static uint32_t copies_of(const node *repeat) {
    return repeat->of.count.max == SLM_NO_MAXIMUM ? repeat->of.count.min + 1 : repeat->of.count.max;
}

/* The size of an expression written out, INLINE_SIZE + 1 when it is larger or calls a rule that is
 * not inlined. */
static uint32_t size_of(const parser *p, const node *n) {
    uint64_t size = 0;
    switch (n->kind) {
    case LITERAL:
        return n->of.text.len < INLINE_SIZE ? (uint32_t)n->of.text.len : INLINE_SIZE + 1;
    case CLASS:
        return 1;
    case REFERENCE:
        return p->rules[n->of.rule].inlined ? p->rules[n->of.rule].size : INLINE_SIZE + 1;
    case REPEAT:
        if (n->of.count.max == 0)
            return 0;
        size = size_of(p, n->first);
        size *= copies_of(n);
        break;
    default:
        for (const node *c = n->first; c != NULL && size <= INLINE_SIZE; c = c->next)
            size += size_of(p, c) + (n->kind == CHOICE ? 0u : 1u);
    }
    return size <= INLINE_SIZE ? (uint32_t)size : INLINE_SIZE + 1;
}

/* A rule that calls itself never comes in: what it calls would have to be in before. The nesting of
 * what is inlined is bounded, since every level adds to the size. */
static void choose_inlined(parser *p) {
    for (int changed = 1; changed;) {
        changed = 0;
        for (uint32_t i = 0; i < p->n_rules; i++)
            if (!p->rules[i].inlined) {
                p->rules[i].size = size_of(p, p->rules[i].body);
                if (p->rules[i].size <= INLINE_SIZE)
                    changed = p->rules[i].inlined = 1;
            }
    }
}

static uint8_t find_nullable(const parser *p, node *n);

/* Whether an expression is known to match the empty text. Not if that goes by a rule that is called:
 * those may call one another. */
static int is_nullable(const parser *p, node *n) {
    if (n->nullable == 0)
        n->nullable = find_nullable(p, n);
    return n->nullable == IS_NULLABLE;
}

static uint8_t find_nullable(const parser *p, node *n) {
    int is = n->kind == SEQUENCE;
    switch (n->kind) {
    case LITERAL:
        is = n->of.text.len == 0;
        break;
    case CLASS:
        break;
    case REFERENCE:
        is = p->rules[n->of.rule].inlined && is_nullable(p, p->rules[n->of.rule].body);
        break;
    case REPEAT:
        is = n->of.count.min == 0 || is_nullable(p, n->first);
        break;
    default:
        for (node *c = n->first; c != NULL && is == (n->kind == SEQUENCE); c = c->next)
            is = is_nullable(p, c);
    }
    return is ? IS_NULLABLE : IS_SOLID;
}

/* How many may have to come. */
static uint32_t least_of(const parser *p, const node *repeat) {
    return is_nullable(p, repeat->first) ? 0 : repeat->of.count.min;
}

static void build(parser *p, node *n, uint32_t from, uint32_t to);

/* From the last copy that must come on, the grammar is told that they are copies. */
static void build_copies(parser *p, const node *n, uint32_t from, uint32_t to) {
    slm_grammar *g = p->g;
    uint32_t min = least_of(p, n), max = n->of.count.max, first = min > 0 ? min - 1 : 0;
    uint32_t n_copies = max == SLM_NO_MAXIMUM ? min : max, base = 0, size = 0;
    int are_equal = 1;
    for (uint32_t i = 0; i < n_copies && g->status == SLM_OK; i++) {
        uint32_t begin = g->n_nodes, next = slm_grammar_node(g);
        if (i >= min)
            slm_grammar_empty(g, from, to);
        build(p, n->first, from, next);
        if (i == first) {
            base = begin;
            size = g->n_nodes - begin;
        }
        are_equal = are_equal && (i < first || g->n_nodes - begin == size);
        from = next;
    }
    if (max == SLM_NO_MAXIMUM) {
        uint32_t loop = slm_grammar_node(g);
        slm_grammar_empty(g, from, loop);
        build(p, n->first, loop, loop);
        from = loop;
    } else if (are_equal && max > first) {
        slm_grammar_are_copies(g, base, size, max - first);
    }
    slm_grammar_empty(g, from, to);
}

/* Whether a class is better written out than counted in the copies that there are around it, all
 * characters together. */
static int merges(const parser *p, const node *repeat, uint64_t all) {
    const node *chars = repeat->first;
    size_t n = chars->of.ranges.n;
    return p->copies > MAX_COUNTED_COPIES && all <= MAX_WRITTEN && n > 0 &&
           chars->of.ranges.at[n - 1].hi < 0x80 &&
           (p->chains > 1 || repeat->of.count.min > MAX_COUNTED_COPIES);
}

/* Whether that was a repetition of a class that is counted. All copies of it have one rule. */
static int build_counted(parser *p, node *n, uint64_t all, uint32_t from, uint32_t to) {
    slm_grammar *g = p->g;
    if (n->first->kind != CLASS || merges(p, n, all))
        return 0;
    if (n->counted == 0)
        n->counted =
            slm_grammar_counted_class(g, n->first->of.ranges.at, n->first->of.ranges.n,
                                      SLM_SPELL_RAW, n->of.count.min, n->of.count.max);
    if (n->counted == 0)
        return 0;
    if (n->of.count.min == 0)
        slm_grammar_empty(g, from, to);
    slm_grammar_call(g, from, n->counted - 1, to);
    return 1;
}

static uint32_t at_most(uint64_t n, uint32_t most) {
    return n < most ? (uint32_t)n : most;
}

static void build_repeat(parser *p, node *n, uint32_t from, uint32_t to) {
    uint32_t copies = p->copies, chains = p->chains, least = least_of(p, n);
    uint64_t all = (uint64_t)copies * copies_of(n);
    if (build_counted(p, n, all, from, to))
        return;
    p->copies = at_most(all, MAX_WRITTEN);
    p->chains = at_most((uint64_t)chains * (least > 0 ? least : 1), MAX_WRITTEN);
    build_copies(p, n, from, to);
    p->copies = copies;
    p->chains = chains;
}

static void build(parser *p, node *n, uint32_t from, uint32_t to) {
    slm_grammar *g = p->g;
    if (g->status != SLM_OK)
        return;
    switch (n->kind) {
    case LITERAL:
        slm_grammar_text(g, from, n->of.text.ptr, n->of.text.len, to);
        break;
    case CLASS:
        slm_grammar_class(g, from, n->of.ranges.at, n->of.ranges.n, SLM_SPELL_RAW, to);
        break;
    case REFERENCE:
        if (p->rules[n->of.rule].inlined)
            build(p, p->rules[n->of.rule].body, from, to);
        else
            slm_grammar_call(g, from, p->rules[n->of.rule].number, to);
        break;
    case REPEAT:
        build_repeat(p, n, from, to);
        break;
    case CHOICE:
        for (node *c = n->first; c != NULL; c = c->next)
            build(p, c, from, to);
        break;
    default:
        for (node *c = n->first; c != NULL; c = c->next) {
            uint32_t next = slm_grammar_node(g);
            build(p, c, from, next);
            from = next;
        }
        slm_grammar_empty(g, from, to);
    }
}

static slm_status build_all(parser *p) {
    slm_grammar *g = p->g;
    slm_str root = {"root", 4};
    uint32_t number;
    SLM_TRY(find_rule(p, root, 0, &number));
    if (p->rules[number].body == NULL)
        return slm_fail(p->error, SLM_ERR_GRAMMAR, "grammar", SLM_NO_OFFSET,
                        "grammar: no rule named root");
    for (uint32_t i = 0; i < p->n_rules; i++)
        if (p->rules[i].body == NULL)
            return fail_at(p, SLM_ERR_GRAMMAR, p->rules[i].used, "undefined rule ",
                           p->rules[i].name);
    choose_inlined(p);
    p->rules[number].inlined = 0;
    for (uint32_t i = 0; i < p->n_rules; i++)
        p->rules[i].number = slm_grammar_rule_new(g);
    for (uint32_t i = 0; i < p->n_rules && g->status == SLM_OK; i++) {
        slm_grammar_rule r = g->rules[p->rules[i].number];
        build(p, p->rules[i].body, r.start, r.end);
    }
    slm_grammar_write_classes(g);
    SLM_TRY(slm_grammar_check(g, p->error));
    g->root = p->rules[number].number;
    uint32_t recursive;
    SLM_TRY(slm_grammar_left_recursion(g, &recursive, p->error));
    if (recursive < g->n_rules)
        return fail_at(p, SLM_ERR_GRAMMAR, p->rules[recursive].used, "left recursion in rule ",
                       p->rules[recursive].name);
    return SLM_OK;
}

slm_status slm_gbnf_compile(slm_grammar *g, const char *text, size_t len, slm_error *error) {
    parser p = {
        .g = g, .arena = {.host = g->host}, .text = text, .len = len, .copies = 1, .chains = 1,
        .error = error};
    if (len > SLM_GBNF_MAX_BYTES)
        return slm_fail(error, SLM_ERR_LIMIT, "grammar", SLM_NO_OFFSET,
                        "grammar: got %zu bytes, wanted at most %d", len, SLM_GBNF_MAX_BYTES);
    p.slots = slm_calloc(g->host, SLM_GRAMMAR_MAX_RULES * 2, sizeof *p.slots);
    slm_status status =
        p.slots != NULL ? SLM_OK : slm_fail_nomem(error, SLM_GRAMMAR_MAX_RULES * 8, "the grammar");
    if (status == SLM_OK)
        status = read_rules(&p);
    if (status == SLM_OK)
        status = build_all(&p);
    slm_free(g->host, p.slots);
    slm_free(g->host, p.rules);
    slm_arena_free(&p.arena);
    return status;
}
