#include "guide/grammar.h"

#include "text/unicode.h"

#include <string.h>

void slm_grammar_init(slm_grammar *g, slm_host *host) {
    *g = (slm_grammar){.host = host, .n_edges = 1};
}

void slm_grammar_free(slm_grammar *g) {
    slm_free(g->host, g->edges);
    slm_free(g->host, g->first_edge);
    slm_free(g->host, g->rules);
    for (uint32_t i = 0; i < g->n_classes; i++)
        slm_free(g->host, g->classes[i].ranges);
    slm_free(g->host, g->classes);
    slm_free(g->host, g->copies);
    slm_grammar_init(g, g->host);
}

slm_status slm_grammar_check(const slm_grammar *g, slm_error *error) {
    if (g->status == SLM_ERR_LIMIT)
        return slm_fail(error, SLM_ERR_LIMIT, NULL, SLM_NO_OFFSET,
                        "the grammar needs more than %d nodes, %d edges or %d rules",
                        SLM_GRAMMAR_MAX_NODES, SLM_GRAMMAR_MAX_EDGES, SLM_GRAMMAR_MAX_RULES);
    return g->status == SLM_OK ? SLM_OK : slm_fail_nomem(error, g->host->bytes, "the grammar");
}

/* Room for one more; 0 after a failure. */
static int grow(slm_grammar *g, void *array, uint32_t n, uint32_t *cap, size_t size, uint32_t max) {
    void **p = array;
    if (g->status != SLM_OK)
        return 0;
    if (n < *cap)
        return 1;
    if (n >= max) {
        g->status = SLM_ERR_LIMIT;
        return 0;
    }
    uint32_t want = *cap < 64 ? 64 : *cap * 2;
    void *larger = slm_realloc(g->host, *p, want * size);
    if (larger == NULL) {
        g->status = SLM_ERR_NOMEM;
        return 0;
    }
    *p = larger;
    *cap = want;
    return 1;
}

uint32_t slm_grammar_node(slm_grammar *g) {
    if (!grow(g, &g->first_edge, g->n_nodes, &g->cap_nodes, sizeof *g->first_edge,
              SLM_GRAMMAR_MAX_NODES))
        return 0;
    g->first_edge[g->n_nodes] = 0;
    return g->n_nodes++;
}

uint32_t slm_grammar_rule_new(slm_grammar *g) {
    slm_grammar_rule r = {.start = slm_grammar_node(g), .end = slm_grammar_node(g)};
    if (!grow(g, &g->rules, g->n_rules, &g->cap_rules, sizeof *g->rules, SLM_GRAMMAR_MAX_RULES))
        return 0;
    g->rules[g->n_rules] = r;
    return g->n_rules++;
}

uint32_t slm_grammar_counted(slm_grammar *g, uint32_t min, uint32_t max) {
    static const slm_cp_range all = {0, SLM_MAX_CODE_POINT};
    uint32_t rule = slm_grammar_rule_new(g);
    if (g->status != SLM_OK)
        return 0;
    slm_grammar_rule *r = &g->rules[rule];
    r->counted = SLM_COUNTED_STRING;
    r->min = min;
    r->max = max;
    slm_grammar_class(g, r->start, &all, 1, SLM_SPELL_JSON, r->end);
    return rule;
}

static void add_edge(slm_grammar *g, uint32_t from, slm_grammar_edge e) {
    if (!grow(g, &g->edges, g->n_edges, &g->cap_edges, sizeof *g->edges, SLM_GRAMMAR_MAX_EDGES))
        return;
    e.next = g->first_edge[from];
    g->edges[g->n_edges] = e;
    g->first_edge[from] = g->n_edges++;
}

void slm_grammar_bytes(slm_grammar *g, uint32_t from, uint8_t lo, uint8_t hi, uint32_t to) {
    add_edge(g, from, (slm_grammar_edge){to, SLM_EDGE_BYTES, 0, lo, hi});
}

void slm_grammar_empty(slm_grammar *g, uint32_t from, uint32_t to) {
    add_edge(g, from, (slm_grammar_edge){to, SLM_EDGE_EMPTY, 0, 0, 0});
}

void slm_grammar_call(slm_grammar *g, uint32_t from, uint32_t rule, uint32_t to) {
    add_edge(g, from, (slm_grammar_edge){to, rule, 0, 0, 0});
}

void slm_grammar_text(slm_grammar *g, uint32_t from, const char *text, size_t len, uint32_t to) {
    if (len == 0)
        slm_grammar_empty(g, from, to);
    for (size_t i = 0; i < len; i++) {
        uint32_t next = i + 1 < len ? slm_grammar_node(g) : to;
        uint8_t byte = (uint8_t)text[i];
        slm_grammar_bytes(g, from, byte, byte, next);
        from = next;
    }
}

/* ---- characters -------------------------------------------------------------------------------
 */

/* Nodes from which 1, 2 and 3 continuation bytes lead on, made when wanted. */
typedef struct tails {
    uint32_t node[4];
    uint8_t has[4];
} tails;

static uint32_t tail(slm_grammar *g, tails *t, unsigned n) {
    if (n > 0 && !t->has[n]) {
        uint32_t next = tail(g, t, n - 1);
        t->node[n] = slm_grammar_node(g);
        t->has[n] = 1;
        slm_grammar_bytes(g, t->node[n], 0x80, 0xbf, next);
    }
    return t->node[n];
}

/* Sequences of n bytes between two of the same length. */
static void sequences(slm_grammar *g, uint32_t from, const uint8_t *lo, const uint8_t *hi,
                      unsigned n, tails *t) {
    static const uint8_t least[] = {0x80, 0x80, 0x80}, most[] = {0xbf, 0xbf, 0xbf};
    if (memcmp(lo + 1, least, n - 1) == 0 && memcmp(hi + 1, most, n - 1) == 0) {
        slm_grammar_bytes(g, from, lo[0], hi[0], tail(g, t, n - 1));
        return;
    }
    uint32_t next = slm_grammar_node(g);
    if (lo[0] == hi[0]) {
        slm_grammar_bytes(g, from, lo[0], lo[0], next);
        sequences(g, next, lo + 1, hi + 1, n - 1, t);
        return;
    }
    slm_grammar_bytes(g, from, lo[0], lo[0], next);
    sequences(g, next, lo + 1, most, n - 1, t);
    if (lo[0] + 1 < hi[0])
        slm_grammar_bytes(g, from, (uint8_t)(lo[0] + 1), (uint8_t)(hi[0] - 1), tail(g, t, n - 1));
    next = slm_grammar_node(g);
    slm_grammar_bytes(g, from, hi[0], hi[0], next);
    sequences(g, next, least, hi + 1, n - 1, t);
}

static void raw_range(slm_grammar *g, uint32_t from, uint32_t lo, uint32_t hi, tails *t) {
    static const slm_cp_range lengths[] = {
        {0, 0x7f}, {0x80, 0x7ff}, {0x800, 0xd7ff}, {0xe000, 0xffff}, {0x10000, SLM_MAX_CODE_POINT}};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint32_t a = lo > lengths[i].lo ? lo : lengths[i].lo;
        uint32_t b = hi < lengths[i].hi ? hi : lengths[i].hi;
        if (a > b)
            continue;
        char first[4], last[4];
        unsigned n = (unsigned)slm_utf8_encode(a, first);
        (void)slm_utf8_encode(b, last);
        sequences(g, from, (const uint8_t *)first, (const uint8_t *)last, n, t);
    }
}

/* One hexadecimal digit, in either case. */
static void hex_digit(slm_grammar *g, uint32_t from, unsigned lo, unsigned hi, uint32_t to) {
    for (unsigned digit = lo; digit <= hi; digit++) {
        uint8_t lower = (uint8_t) "0123456789abcdef"[digit],
                upper = (uint8_t) "0123456789ABCDEF"[digit];
        slm_grammar_bytes(g, from, lower, lower, to);
        if (upper != lower)
            slm_grammar_bytes(g, from, upper, upper, to);
    }
}

static uint32_t hex_node(slm_grammar *g, uint32_t from, unsigned lo, unsigned hi) {
    uint32_t node = slm_grammar_node(g);
    hex_digit(g, from, lo, hi, node);
    return node;
}

static void escape_control(slm_grammar *g, uint32_t backslash, uint32_t c, uint32_t to) {
    uint32_t u = slm_grammar_node(g), n1 = slm_grammar_node(g), n2 = slm_grammar_node(g);
    slm_grammar_bytes(g, backslash, 'u', 'u', u);
    slm_grammar_bytes(g, u, '0', '0', n1);
    slm_grammar_bytes(g, n1, '0', '0', n2);
    hex_digit(g, hex_node(g, n2, c >> 4, c >> 4), c & 15, c & 15, to);
}

/* \uXXXX of every character: what is no surrogate, or a high surrogate and a low one. */
static void escape_any(slm_grammar *g, uint32_t backslash, uint32_t to) {
    uint32_t u = slm_grammar_node(g), rest3 = slm_grammar_node(g), rest2 = slm_grammar_node(g);
    uint32_t rest1 = slm_grammar_node(g), d = slm_grammar_node(g);
    slm_grammar_bytes(g, backslash, '/', '/', to);
    slm_grammar_bytes(g, backslash, 'u', 'u', u);
    hex_digit(g, u, 0, 12, rest3);
    hex_digit(g, u, 14, 15, rest3);
    hex_digit(g, u, 13, 13, d);
    hex_digit(g, d, 0, 7, rest2);
    hex_digit(g, rest3, 0, 15, rest2);
    hex_digit(g, rest2, 0, 15, rest1);
    hex_digit(g, rest1, 0, 15, to);
    uint32_t low = hex_node(g, hex_node(g, hex_node(g, d, 8, 11), 0, 15), 0, 15);
    uint32_t n[3] = {slm_grammar_node(g), slm_grammar_node(g), slm_grammar_node(g)};
    slm_grammar_bytes(g, low, '\\', '\\', n[0]);
    slm_grammar_bytes(g, n[0], 'u', 'u', n[1]);
    hex_digit(g, n[1], 13, 13, n[2]);
    hex_digit(g, hex_node(g, hex_node(g, n[2], 12, 15), 0, 15), 0, 15, to);
}

static void json_escapes(slm_grammar *g, uint32_t from, const slm_cp_range *r, size_t n,
                         uint32_t to) {
    static const char letters[] = "btnvfr"; /* U+0008 to U+000D */
    uint32_t backslash = 0;
    int has = 0;
    for (size_t i = 0; i < n && r[i].lo <= '\\'; i++)
        for (uint32_t c = r[i].lo; c <= r[i].hi && c <= '\\'; c++) {
            if (c >= 0x20 && c != '"' && c != '\\')
                continue;
            if (!has) {
                backslash = slm_grammar_node(g);
                slm_grammar_bytes(g, from, '\\', '\\', backslash);
                has = 1;
            }
            uint8_t letter = (uint8_t)(c >= 0x20           ? c
                                       : c >= 8 && c <= 13 ? (uint8_t)letters[c - 8]
                                                           : 0);
            if (letter != 0 && letter != 'v')
                slm_grammar_bytes(g, backslash, letter, letter, to);
            else
                escape_control(g, backslash, c, to);
        }
    if (n == 1 && r[0].lo == 0 && r[0].hi == SLM_MAX_CODE_POINT)
        escape_any(g, backslash, to);
}

void slm_grammar_class(slm_grammar *g, uint32_t from, const slm_cp_range *ranges, size_t n,
                       slm_spelling spelling, uint32_t to) {
    static const slm_cp_range unescaped[] = {{0x20, '!'}, {'#', '['}, {']', SLM_MAX_CODE_POINT}};
    tails t = {{to, 0, 0, 0}, {1, 0, 0, 0}};
    if (spelling == SLM_SPELL_JSON)
        json_escapes(g, from, ranges, n, to);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < 3; j++) {
            slm_cp_range r = ranges[i];
            if (spelling == SLM_SPELL_JSON) {
                r.lo = r.lo > unescaped[j].lo ? r.lo : unescaped[j].lo;
                r.hi = r.hi < unescaped[j].hi ? r.hi : unescaped[j].hi;
            } else if (j > 0) {
                break;
            }
            if (r.lo <= r.hi)
                raw_range(g, from, r.lo, r.hi, &t);
        }
}

/* ---- counted classes --------------------------------------------------------------------------
 */

enum { LEAST_COUNTED = 16 }; /* characters: fewer are as good written out */

/* Without nodes: copies of an expression have equally many of their own, though only the first that
 * needs a class makes its rule. */
static uint32_t class_rule(slm_grammar *g, uint32_t class_of, uint32_t min, uint32_t max) {
    if (!grow(g, &g->rules, g->n_rules, &g->cap_rules, sizeof *g->rules, SLM_GRAMMAR_MAX_RULES))
        return 0;
    g->rules[g->n_rules] = (slm_grammar_rule){
        .counted = SLM_COUNTED_CLASS, .class_of = (uint8_t)class_of, .min = min, .max = max};
    return g->n_rules++;
}

void slm_grammar_write_classes(slm_grammar *g) {
    for (; g->n_written < g->n_rules && g->status == SLM_OK; g->n_written++) {
        slm_grammar_rule *r = &g->rules[g->n_written];
        if (r->counted != SLM_COUNTED_CLASS)
            continue;
        const slm_counted_class *c = &g->classes[r->class_of];
        r->start = slm_grammar_node(g);
        r->end = slm_grammar_node(g);
        slm_grammar_class(g, r->start, c->ranges, c->n, c->spelling, r->end);
    }
}

/* The number of a class, a new one at first; SLM_MAX_CLASSES: there is none. */
static uint32_t find_class(slm_grammar *g, const slm_cp_range *ranges, size_t n,
                           slm_spelling spelling) {
    for (uint32_t i = 0; i < g->n_classes; i++) {
        const slm_counted_class *c = &g->classes[i];
        if (c->spelling == spelling && c->n == n &&
            memcmp(c->ranges, ranges, n * sizeof *ranges) == 0)
            return i;
    }
    if (g->classes == NULL)
        g->classes = slm_calloc(g->host, SLM_MAX_CLASSES, sizeof *g->classes);
    if (g->classes == NULL || g->n_classes == SLM_MAX_CLASSES)
        return SLM_MAX_CLASSES;
    slm_cp_range *copy = slm_alloc(g->host, n * sizeof *copy);
    if (copy == NULL)
        return SLM_MAX_CLASSES;
    memcpy(copy, ranges, n * sizeof *copy);
    uint32_t number = g->n_classes++;
    g->classes[number] = (slm_counted_class){copy, n, spelling, 0};
    g->classes[number].any = class_rule(g, number, 0, SLM_NO_MAXIMUM);
    return number;
}

uint32_t slm_grammar_counted_class(slm_grammar *g, const slm_cp_range *ranges, size_t n,
                                   slm_spelling spelling, uint32_t min, uint32_t max) {
    if (g->status != SLM_OK || n == 0 || (max == SLM_NO_MAXIMUM ? min : max) < LEAST_COUNTED)
        return 0;
    uint32_t class_of = find_class(g, ranges, n, spelling);
    if (class_of == SLM_MAX_CLASSES)
        return 0;
    return class_rule(g, class_of, min > 0 ? min : 1, max) + 1;
}

int slm_grammar_repeat(slm_grammar *g, uint32_t from, const slm_cp_range *ranges, size_t n,
                       slm_spelling spelling, uint32_t min, uint32_t max, uint32_t to) {
    uint32_t rule = slm_grammar_counted_class(g, ranges, n, spelling, min, max);
    if (rule == 0)
        return 0;
    if (min == 0)
        slm_grammar_empty(g, from, to);
    slm_grammar_call(g, from, rule - 1, to);
    slm_grammar_write_classes(g);
    return 1;
}

/* ---- copies -----------------------------------------------------------------------------------
 */

void slm_grammar_are_copies(slm_grammar *g, uint32_t base, uint32_t size, uint32_t n) {
    if (n < 2 || !grow(g, &g->copies, g->n_copies, &g->cap_copies, sizeof *g->copies,
                       SLM_GRAMMAR_MAX_NODES))
        return;
    g->copies[g->n_copies++] = (slm_grammar_copies){base, size, n};
}

/* Each copy has a node, and all together are no more than SLM_GRAMMAR_MAX_NODES: the fields, of a
 * bit more than their numbers have, are of 40 bits at most. */
static void place_copies(slm_grammar_place *places, const slm_grammar_copies *c) {
    uint32_t width = 33 - (uint32_t)__builtin_clz(c->n - 1);
    for (uint32_t i = 0; i < c->n; i++)
        for (uint32_t k = 0; k < c->size; k++) {
            slm_grammar_place *p = &places[c->base + i * c->size + k];
            p->first = places[c->base + k].first;
            p->rank |= (uint64_t)i << p->bits;
            p->guard |= (uint64_t)1 << (p->bits + width - 1);
            p->bits += width;
        }
}

void slm_grammar_find_places(const slm_grammar *g, slm_grammar_place *places) {
    for (uint32_t i = 0; i < g->n_nodes; i++)
        places[i] = (slm_grammar_place){.first = i};
    for (uint32_t i = 0; i < g->n_copies; i++)
        place_copies(places, &g->copies[i]);
}

/* ---- properties -------------------------------------------------------------------------------
 */

/* What the passes below keep for each node and rule. */
typedef struct passes {
    uint32_t *stack;   /* [n_nodes] nodes to look at                                        */
    uint8_t *seen;     /* [n_nodes]                                                         */
    uint32_t *back;    /* [n_edges + 1] edges by where they lead: reverse lists            */
    uint32_t *by_node; /* [n_nodes] first of those                                          */
    uint32_t *caller;  /* [n_edges + 1] edges by callee, likewise                           */
    uint32_t *by_rule; /* [n_rules]                                                         */
    uint32_t *from;    /* [n_edges] node of each edge                                       */
    uint32_t *rule_of; /* [n_nodes] the rule that a node starts, plus 1                     */
} passes;

static void passes_free(slm_host *host, passes *p) {
    slm_free(host, p->stack);
    slm_free(host, p->seen);
    slm_free(host, p->back);
    slm_free(host, p->by_node);
    slm_free(host, p->caller);
    slm_free(host, p->by_rule);
    slm_free(host, p->from);
    slm_free(host, p->rule_of);
}

static slm_status passes_make(const slm_grammar *g, passes *p, slm_error *error) {
    size_t nodes = g->n_nodes, edges = g->n_edges, rules = g->n_rules;
    *p = (passes){
        .stack = slm_calloc(g->host, nodes, sizeof *p->stack),
        .seen = slm_calloc(g->host, nodes, 1),
        .back = slm_calloc(g->host, edges, sizeof *p->back),
        .by_node = slm_calloc(g->host, nodes, sizeof *p->by_node),
        .caller = slm_calloc(g->host, edges, sizeof *p->caller),
        .by_rule = slm_calloc(g->host, rules, sizeof *p->by_rule),
        .from = slm_calloc(g->host, edges, sizeof *p->from),
        .rule_of = slm_calloc(g->host, nodes, sizeof *p->rule_of),
    };
    if (!p->stack || !p->seen || !p->back || !p->by_node || !p->caller || !p->by_rule || !p->from ||
        !p->rule_of)
        return slm_fail_nomem(error, nodes * 20 + edges * 12, "the grammar");
    for (uint32_t node = 0; node < g->n_nodes; node++)
        for (uint32_t e = g->first_edge[node]; e != 0; e = g->edges[e].next) {
            const slm_grammar_edge *edge = &g->edges[e];
            p->from[e] = node;
            p->back[e] = p->by_node[edge->to];
            p->by_node[edge->to] = e;
            if (edge->callee < SLM_EDGE_EMPTY) {
                p->caller[e] = p->by_rule[edge->callee];
                p->by_rule[edge->callee] = e;
            }
        }
    for (uint32_t r = 0; r < g->n_rules; r++)
        p->rule_of[g->rules[r].start] = r + 1;
    return SLM_OK;
}

/* Marks in seen the nodes from which the end of their rule can be reached, and in done the rules
 * whose start is among them. nullable: without taking a byte. */
static void reach_ends(const slm_grammar *g, passes *p, int nullable, uint8_t *done) {
    size_t n = 0;
    memset(p->seen, 0, g->n_nodes);
    memset(done, 0, g->n_rules);
    for (uint32_t r = 0; r < g->n_rules; r++) {
        p->seen[g->rules[r].end] = 1;
        p->stack[n++] = g->rules[r].end;
    }
    while (n > 0) {
        uint32_t node = p->stack[--n];
        for (uint32_t e = p->by_node[node]; e != 0; e = p->back[e]) {
            uint32_t callee = g->edges[e].callee;
            int open = callee == SLM_EDGE_EMPTY || (callee == SLM_EDGE_BYTES && !nullable) ||
                       (callee < SLM_EDGE_EMPTY && done[callee]);
            if (open && !p->seen[p->from[e]]) {
                p->seen[p->from[e]] = 1;
                p->stack[n++] = p->from[e];
            }
        }
        uint32_t rule = p->rule_of[node];
        if (rule == 0 || done[rule - 1])
            continue;
        done[rule - 1] = 1;
        for (uint32_t e = p->by_rule[rule - 1]; e != 0; e = p->caller[e])
            if (p->seen[g->edges[e].to] && !p->seen[p->from[e]]) {
                p->seen[p->from[e]] = 1;
                p->stack[n++] = p->from[e];
            }
    }
}

/* Rules that are called from the start of a rule before a byte: a depth first search for a cycle,
 * state 1 being a rule whose search is not finished. Rules to enter are kept on a stack. */
static uint32_t find_cycle(const slm_grammar *g, passes *p, const uint8_t *nullable, uint8_t *state,
                           uint32_t *path) {
    for (uint32_t root = 0; root < g->n_rules; root++) {
        size_t depth = 0;
        path[depth++] = root;
        while (depth > 0) {
            uint32_t rule = path[depth - 1];
            if (state[rule] != 0) {
                state[rule] = 2;
                depth--;
                continue;
            }
            state[rule] = 1;
            size_t n = 0;
            p->stack[n++] = g->rules[rule].start;
            p->seen[g->rules[rule].start] = 1;
            for (size_t at = 0; at < n; at++)
                for (uint32_t e = g->first_edge[p->stack[at]]; e != 0; e = g->edges[e].next) {
                    uint32_t callee = g->edges[e].callee, to = g->edges[e].to;
                    if (callee == SLM_EDGE_BYTES)
                        continue;
                    if (callee < SLM_EDGE_EMPTY) {
                        if (state[callee] == 1)
                            return callee;
                        if (state[callee] == 0)
                            path[depth++] = callee;
                        if (!nullable[callee])
                            continue;
                    }
                    if (!p->seen[to]) {
                        p->seen[to] = 1;
                        p->stack[n++] = to;
                    }
                }
            for (size_t at = 0; at < n; at++)
                p->seen[p->stack[at]] = 0;
        }
    }
    return g->n_rules;
}

slm_status slm_grammar_left_recursion(slm_grammar *g, uint32_t *rule, slm_error *error) {
    passes p;
    *rule = g->n_rules;
    slm_status status = passes_make(g, &p, error);
    uint8_t *nullable = slm_calloc(g->host, g->n_rules, 1);
    uint8_t *state = slm_calloc(g->host, g->n_rules, 1);
    uint32_t *path = slm_calloc(g->host, (size_t)g->n_rules + g->n_edges, sizeof *path);
    if (status == SLM_OK && (nullable == NULL || state == NULL || path == NULL))
        status = slm_fail_nomem(error, g->n_edges * sizeof *path, "the grammar");
    if (status == SLM_OK) {
        reach_ends(g, &p, 1, nullable);
        memset(p.seen, 0, g->n_nodes);
        *rule = find_cycle(g, &p, nullable, state, path);
    }
    slm_free(g->host, nullable);
    slm_free(g->host, state);
    slm_free(g->host, path);
    passes_free(g->host, &p);
    return status;
}

slm_status slm_grammar_trim(slm_grammar *g, uint8_t *productive, slm_error *error) {
    passes p;
    slm_status status = passes_make(g, &p, error);
    uint8_t *done = slm_calloc(g->host, g->n_rules, 1);
    if (status == SLM_OK && done == NULL)
        status = slm_fail_nomem(error, g->n_rules, "the grammar");
    if (status == SLM_OK) {
        reach_ends(g, &p, 0, done);
        for (uint32_t node = 0; node < g->n_nodes; node++) {
            uint32_t *link = &g->first_edge[node];
            while (*link != 0) {
                slm_grammar_edge *e = &g->edges[*link];
                if (p.seen[e->to] && (e->callee >= SLM_EDGE_EMPTY || done[e->callee]))
                    link = &e->next;
                else
                    *link = e->next;
            }
        }
        if (productive != NULL)
            memcpy(productive, done, g->n_rules);
    }
    slm_free(g->host, done);
    passes_free(g->host, &p);
    return status;
}
