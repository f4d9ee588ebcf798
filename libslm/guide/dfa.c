#include "guide/dfa.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

/* ---- nondeterministic -------------------------------------------------------------------------
 */

void slm_nfa_init(slm_nfa *n, slm_host *host) {
    *n = (slm_nfa){.host = host, .n_edges = 1};
}

void slm_nfa_free(slm_nfa *n) {
    slm_free(n->host, n->edges);
    slm_free(n->host, n->first_edge);
    slm_nfa_init(n, n->host);
}

static int grow(slm_nfa *n, void *array, uint32_t count, uint32_t *cap, size_t size) {
    void **p = array;
    if (n->status != SLM_OK)
        return 0;
    if (count < *cap)
        return 1;
    if (count >= SLM_NFA_MAX_EDGES) {
        n->status = SLM_ERR_LIMIT;
        return 0;
    }
    uint32_t want = *cap < 64 ? 64 : *cap * 2;
    void *larger = slm_realloc(n->host, *p, want * size);
    if (larger == NULL) {
        n->status = SLM_ERR_NOMEM;
        return 0;
    }
    *p = larger;
    *cap = want;
    return 1;
}

uint32_t slm_nfa_node(slm_nfa *n) {
    if (!grow(n, &n->first_edge, n->n_nodes, &n->cap_nodes, sizeof *n->first_edge))
        return 0;
    n->first_edge[n->n_nodes] = 0;
    return n->n_nodes++;
}

void slm_nfa_edge_add(slm_nfa *n, uint32_t from, int kind, slm_cp_range range, uint32_t to) {
    if (!grow(n, &n->edges, n->n_edges, &n->cap_edges, sizeof *n->edges))
        return;
    n->edges[n->n_edges] = (slm_nfa_edge){to, n->first_edge[from], range, (uint8_t)kind};
    n->first_edge[from] = n->n_edges++;
}

/* ---- making -----------------------------------------------------------------------------------
 */

static slm_status too_large(slm_error *error) {
    return slm_fail(error, SLM_ERR_LIMIT, NULL, SLM_NO_OFFSET,
                    "a pattern, a set of names or a range needs an automaton of more than %d cells",
                    SLM_DFA_MAX_CELLS);
}

slm_status slm_dfa_spend(slm_dfa_space *space, uint64_t work, slm_error *error) {
    space->work += work;
    if (space->work <= SLM_DFA_MAX_WORK)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_LIMIT, NULL, SLM_NO_OFFSET,
                    "patterns, sets of names and ranges take more than %d steps to work out",
                    SLM_DFA_MAX_WORK);
}

slm_status slm_dfa_make(slm_dfa_space *space, uint32_t n_states, const uint32_t *first,
                        uint32_t n_classes, slm_dfa **out, slm_error *error) {
    if ((uint64_t)n_states * n_classes > SLM_DFA_MAX_CELLS)
        return too_large(error);
    size_t cells = (size_t)n_states * n_classes;
    SLM_TRY(slm_dfa_spend(space, cells, error));
    slm_dfa *d = slm_arena_alloc(space->arena, sizeof *d);
    uint32_t *next = slm_arena_alloc(space->arena, cells * sizeof *next);
    uint32_t *classes = slm_arena_alloc(space->arena, n_classes * sizeof *classes);
    uint8_t *accepts = slm_arena_alloc(space->arena, n_states);
    if (d == NULL || next == NULL || classes == NULL || accepts == NULL)
        return slm_fail_nomem(error, cells * sizeof *next, "an automaton");
    memcpy(classes, first, n_classes * sizeof *classes);
    memset(next, 0, cells * sizeof *next);
    memset(accepts, 0, n_states);
    *d = (slm_dfa){n_states, n_classes, classes, next, accepts};
    *out = d;
    return SLM_OK;
}

static int compare_u32(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Sorts, and leaves each once. */
static uint32_t unique(uint32_t *v, uint32_t n) {
    uint32_t m = 0;
    qsort(v, n, sizeof *v, compare_u32);
    for (uint32_t i = 0; i < n; i++)
        if (m == 0 || v[m - 1] != v[i])
            v[m++] = v[i];
    return m;
}

/* The class of a code point. */
static uint32_t class_of(const slm_dfa *d, uint32_t cp) {
    uint32_t lo = 0, hi = d->n_classes;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (d->first[mid] <= cp)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

/* States that are being numbered as they turn up, each with a key of its own: a row of 32-bit
 * numbers that the pool holds behind one another. */
typedef struct numbering {
    slm_host *host;
    uint32_t *pool;  /* keys                                         */
    uint32_t *start; /* [n + 1] of each key in the pool; [0] unused  */
    uint32_t *slots; /* hash table of state numbers; 0: free         */
    uint32_t *next;  /* [n * n_classes]                              */
    uint32_t n, cap, n_slots, n_classes;
    size_t pool_len, pool_cap;
} numbering;

static void numbering_free(numbering *m) {
    slm_free(m->host, m->pool);
    slm_free(m->host, m->start);
    slm_free(m->host, m->slots);
    slm_free(m->host, m->next);
}

static uint32_t hash_key(const uint32_t *key, size_t n) {
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ key[i]) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32);
}

static slm_status numbering_grow(numbering *m, slm_error *error) {
    uint32_t cap = m->cap == 0 ? 64 : m->cap * 2, n_slots = cap * 2;
    uint32_t *start = slm_realloc(m->host, m->start, (cap + 1) * sizeof *start);
    if (start != NULL)
        m->start = start;
    uint32_t *next = slm_realloc(m->host, m->next, (size_t)cap * m->n_classes * sizeof *next);
    if (next != NULL)
        m->next = next;
    uint32_t *slots = slm_calloc(m->host, n_slots, sizeof *slots);
    if (start == NULL || next == NULL || slots == NULL) {
        slm_free(m->host, slots);
        return slm_fail_nomem(error, (uint64_t)cap * m->n_classes * sizeof *next, "an automaton");
    }
    m->cap = cap;
    for (uint32_t s = 1; s < m->n; s++) {
        uint32_t at =
            hash_key(m->pool + m->start[s], m->start[s + 1] - m->start[s]) & (n_slots - 1);
        while (slots[at] != 0)
            at = (at + 1) & (n_slots - 1);
        slots[at] = s;
    }
    slm_free(m->host, m->slots);
    m->slots = slots;
    m->n_slots = n_slots;
    return SLM_OK;
}

static slm_status numbering_begin(numbering *m, slm_host *host, uint32_t n_classes,
                                  slm_error *error) {
    *m = (numbering){.host = host, .n = 1, .n_classes = n_classes};
    SLM_TRY(numbering_grow(m, error));
    m->start[1] = 0;
    memset(m->next, 0, n_classes * sizeof *m->next);
    return SLM_OK;
}

/* The number of a key, a new one for a new key. */
static slm_status number_of(numbering *m, const uint32_t *key, size_t n, uint32_t *out,
                            slm_error *error) {
    uint32_t at = hash_key(key, n) & (m->n_slots - 1);
    for (; m->slots[at] != 0; at = (at + 1) & (m->n_slots - 1)) {
        uint32_t s = m->slots[at];
        if (m->start[s + 1] - m->start[s] == n &&
            memcmp(m->pool + m->start[s], key, n * sizeof *key) == 0) {
            *out = s;
            return SLM_OK;
        }
    }
    if (((uint64_t)m->n + 1) * m->n_classes > SLM_DFA_MAX_CELLS || m->pool_len + n > 1u << 24)
        return too_large(error);
    if (m->pool_len + n > m->pool_cap) {
        size_t cap = (m->pool_len + n) * 2;
        uint32_t *pool = slm_realloc(m->host, m->pool, cap * sizeof *pool);
        if (pool == NULL)
            return slm_fail_nomem(error, cap * sizeof *pool, "an automaton");
        m->pool = pool;
        m->pool_cap = cap;
    }
    memcpy(m->pool + m->pool_len, key, n * sizeof *key);
    m->pool_len += n;
    *out = m->n;
    m->slots[at] = m->n++;
    m->start[m->n] = (uint32_t)m->pool_len;
    memset(m->next + (size_t)*out * m->n_classes, 0, m->n_classes * sizeof *m->next);
    if (m->n >= m->cap)
        return numbering_grow(m, error);
    return SLM_OK;
}

static slm_status numbering_end(numbering *m, slm_dfa_space *space, const uint32_t *first,
                                const uint8_t *accepts, const slm_dfa **out, slm_error *error) {
    slm_dfa *d;
    SLM_TRY(slm_dfa_make(space, m->n, first, m->n_classes, &d, error));
    memcpy(d->next, m->next, (size_t)m->n * m->n_classes * sizeof *d->next);
    memcpy(d->accepts, accepts, m->n);
    *out = d;
    return slm_dfa_trim(m->host, d, error);
}

/* What a subset construction works with. */
typedef struct subsets {
    slm_dfa_space *space;
    const slm_nfa *nfa;
    uint8_t *seen; /* [n_nodes] */
    uint32_t *set; /* [n_nodes] the nodes seen, in the order in which they were */
    uint32_t n_set;
    uint32_t *first; /* [n_classes] */
    uint32_t n_classes;
    uint8_t *accepts; /* of the states so far */
    uint32_t cap_accepts;
} subsets;

/* Adds what can be reached without a character; begin and end: whether those assertions hold. */
static void close_set(subsets *s, int begin, int end) {
    for (uint32_t i = 0; i < s->n_set; i++)
        for (uint32_t e = s->nfa->first_edge[s->set[i]]; e != 0; e = s->nfa->edges[e].next) {
            const slm_nfa_edge *edge = &s->nfa->edges[e];
            s->space->work++;
            int passes = edge->kind == SLM_NFA_EMPTY || (edge->kind == SLM_NFA_BEGIN && begin) ||
                         (edge->kind == SLM_NFA_END && end);
            if (passes && !s->seen[edge->to]) {
                s->seen[edge->to] = 1;
                s->set[s->n_set++] = edge->to;
            }
        }
}

static void clear_set(subsets *s) {
    for (uint32_t i = 0; i < s->n_set; i++)
        s->seen[s->set[i]] = 0;
    s->n_set = 0;
}

static void add_to_set(subsets *s, uint32_t node) {
    if (!s->seen[node]) {
        s->seen[node] = 1;
        s->set[s->n_set++] = node;
    }
}

/* The state of the set, which is closed here and empty afterwards. */
static slm_status take_set(subsets *s, numbering *m, int begin, uint32_t end, uint32_t *state,
                           slm_error *error) {
    close_set(s, begin, 0);
    uint32_t before = m->n, n = s->n_set;
    SLM_TRY(slm_dfa_spend(s->space, (uint64_t)n * 8, error)); /* mostly for sorting */
    s->n_set = unique(s->set, n);
    *state = 0;
    if (n > 0)
        SLM_TRY(number_of(m, s->set, n, state, error));
    if (m->n > before) {
        if (m->n > s->cap_accepts) {
            uint8_t *accepts = slm_realloc(m->host, s->accepts, m->n * 2);
            if (accepts == NULL)
                return slm_fail_nomem(error, m->n * 2, "an automaton");
            s->accepts = accepts;
            s->cap_accepts = m->n * 2;
        }
        close_set(s, begin, 1);
        s->accepts[*state] = s->seen[end];
    }
    clear_set(s);
    return SLM_OK;
}

static slm_status find_classes(subsets *s, slm_host *host, slm_error *error) {
    const slm_nfa *nfa = s->nfa;
    uint32_t n = 0;
    s->first = slm_alloc(host, ((size_t)nfa->n_edges * 2 + 1) * sizeof *s->first);
    if (s->first == NULL)
        return slm_fail_nomem(error, (uint64_t)nfa->n_edges * 8, "an automaton");
    s->first[n++] = 0;
    for (uint32_t e = 1; e < nfa->n_edges; e++)
        if (nfa->edges[e].kind == SLM_NFA_RANGE) {
            s->first[n++] = nfa->edges[e].range.lo;
            if (nfa->edges[e].range.hi < SLM_MAX_CODE_POINT)
                s->first[n++] = nfa->edges[e].range.hi + 1;
        }
    s->n_classes = unique(s->first, n);
    return SLM_OK;
}

static slm_status determinize(subsets *s, numbering *m, uint32_t start, uint32_t end,
                              slm_error *error) {
    const slm_nfa *nfa = s->nfa;
    uint32_t state;
    add_to_set(s, start);
    SLM_TRY(take_set(s, m, 1, end, &state, error));
    for (uint32_t at = 1; at < m->n; at++)
        for (uint32_t c = 0; c < s->n_classes; c++) {
            for (uint32_t i = m->start[at]; i < m->start[at + 1]; i++)
                for (uint32_t e = nfa->first_edge[m->pool[i]]; e != 0; e = nfa->edges[e].next) {
                    const slm_nfa_edge *edge = &nfa->edges[e];
                    s->space->work++;
                    if (edge->kind == SLM_NFA_RANGE && edge->range.lo <= s->first[c] &&
                        s->first[c] <= edge->range.hi)
                        add_to_set(s, edge->to);
                }
            SLM_TRY(take_set(s, m, 0, end, &state, error));
            m->next[(size_t)at * s->n_classes + c] = state;
        }
    return SLM_OK;
}

slm_status slm_dfa_from_nfa(slm_dfa_space *space, const slm_nfa *nfa, uint32_t start, uint32_t end,
                            const slm_dfa **out, slm_error *error) {
    slm_host *host = space->arena->host;
    if (nfa->status != SLM_OK)
        return nfa->status == SLM_ERR_LIMIT ? too_large(error)
                                            : slm_fail_nomem(error, nfa->n_edges, "an automaton");
    subsets s = {.space = space, .nfa = nfa, .cap_accepts = 64};
    numbering m = {.host = host};
    s.seen = slm_calloc(host, nfa->n_nodes, 1);
    s.set = slm_calloc(host, nfa->n_nodes, sizeof *s.set);
    s.accepts = slm_calloc(host, s.cap_accepts, 1);
    slm_status status = SLM_OK;
    if (s.seen == NULL || s.set == NULL || s.accepts == NULL)
        status = slm_fail_nomem(error, (uint64_t)nfa->n_nodes * 5, "an automaton");
    if (status == SLM_OK)
        status = find_classes(&s, host, error);
    if (status == SLM_OK)
        status = numbering_begin(&m, host, s.n_classes, error);
    if (status == SLM_OK)
        status = determinize(&s, &m, start, end, error);
    if (status == SLM_OK)
        status = numbering_end(&m, space, s.first, s.accepts, out, error);
    numbering_free(&m);
    slm_free(host, s.seen);
    slm_free(host, s.set);
    slm_free(host, s.first);
    slm_free(host, s.accepts);
    return status;
}

static slm_status walk_product(slm_dfa_space *space, const slm_dfa *a, const slm_dfa *b,
                               int without, numbering *m, const uint32_t *first, slm_error *error) {
    uint32_t state;
    SLM_TRY(number_of(m, (uint32_t[]){1, 1}, 2, &state, error));
    for (uint32_t at = 1; at < m->n; at++)
        for (uint32_t c = 0; c < m->n_classes; c++) {
            const uint32_t *key = m->pool + m->start[at];
            SLM_TRY(slm_dfa_spend(space, 4, error));
            uint32_t pair[2] = {a->next[(size_t)key[0] * a->n_classes + class_of(a, first[c])],
                                b->next[(size_t)key[1] * b->n_classes + class_of(b, first[c])]};
            if (pair[0] == 0 || (pair[1] == 0 && !without))
                continue;
            SLM_TRY(number_of(m, pair, 2, &state, error));
            m->next[(size_t)at * m->n_classes + c] = state;
        }
    return SLM_OK;
}

slm_status slm_dfa_product(slm_dfa_space *space, const slm_dfa *a, const slm_dfa *b, int without,
                           const slm_dfa **out, slm_error *error) {
    slm_host *host = space->arena->host;
    numbering m = {.host = host};
    uint8_t *accepts = NULL;
    size_t n = (size_t)a->n_classes + b->n_classes;
    uint32_t *first = slm_alloc(host, n * sizeof *first);
    if (first == NULL)
        return slm_fail_nomem(error, n * sizeof *first, "an automaton");
    memcpy(first, a->first, a->n_classes * sizeof *first);
    memcpy(first + a->n_classes, b->first, b->n_classes * sizeof *first);
    slm_status status = numbering_begin(&m, host, unique(first, (uint32_t)n), error);
    if (status == SLM_OK)
        status = walk_product(space, a, b, without, &m, first, error);
    if (status == SLM_OK && (accepts = slm_calloc(host, m.n, 1)) == NULL)
        status = slm_fail_nomem(error, m.n, "an automaton");
    if (status == SLM_OK) {
        for (uint32_t s = 1; s < m.n; s++) {
            const uint32_t *key = m.pool + m.start[s];
            accepts[s] = a->accepts[key[0]] && b->accepts[key[1]] == !without;
        }
        status = numbering_end(&m, space, first, accepts, out, error);
    }
    slm_free(host, first);
    slm_free(host, accepts);
    numbering_free(&m);
    return status;
}

slm_status slm_dfa_words(slm_dfa_space *space, const slm_str *words, size_t n, const slm_dfa **out,
                         slm_error *error) {
    slm_nfa nfa;
    slm_nfa_init(&nfa, space->arena->host);
    uint32_t start = slm_nfa_node(&nfa), end = slm_nfa_node(&nfa);
    for (size_t w = 0; w < n; w++) {
        uint32_t from = start;
        size_t i = 0;
        while (i < words[w].len) {
            uint32_t cp = 0, to;
            size_t len = slm_utf8_next((const uint8_t *)words[w].ptr + i, words[w].len - i, &cp);
            i += len > 0 ? len : 1;
            to = slm_nfa_node(&nfa);
            slm_nfa_edge_add(&nfa, from, SLM_NFA_RANGE, (slm_cp_range){cp, cp}, to);
            from = to;
        }
        slm_nfa_edge_add(&nfa, from, SLM_NFA_EMPTY, (slm_cp_range){0, 0}, end);
    }
    slm_status status = slm_dfa_from_nfa(space, &nfa, start, end, out, error);
    slm_nfa_free(&nfa);
    return status;
}

slm_status slm_dfa_length(slm_dfa_space *space, uint32_t min, uint32_t max, const slm_dfa **out,
                          slm_error *error) {
    static const uint32_t all = 0;
    int endless = max == SLM_NO_MAXIMUM;
    uint32_t last = endless ? min : max;
    slm_dfa *d;
    if (last > SLM_DFA_MAX_CELLS - 2)
        return too_large(error);
    SLM_TRY(slm_dfa_make(space, last + 2, &all, 1, &d, error));
    for (uint32_t i = 0; i <= last; i++) {
        d->next[i + 1] = i < last ? i + 2 : endless ? i + 1 : 0;
        d->accepts[i + 1] = i >= min;
    }
    *out = d;
    return slm_dfa_trim(space->arena->host, d, error);
}

/* ---- properties -------------------------------------------------------------------------------
 */

/* Backward search from the accepting states, over predecessor lists. */
slm_status slm_dfa_trim(slm_host *host, slm_dfa *d, slm_error *error) {
    size_t cells = (size_t)d->n_states * d->n_classes;
    uint32_t *head = slm_calloc(host, d->n_states, sizeof *head);
    uint32_t *link = slm_calloc(host, cells, sizeof *link); /* cell + 1 */
    uint32_t *stack = slm_calloc(host, d->n_states, sizeof *stack);
    uint8_t *live = slm_calloc(host, d->n_states, 1);
    slm_status status = SLM_OK;
    if (head == NULL || link == NULL || stack == NULL || live == NULL) {
        status = slm_fail_nomem(error, cells * sizeof *link, "an automaton");
    } else {
        size_t n = 0;
        for (size_t cell = 0; cell < cells; cell++) {
            link[cell] = head[d->next[cell]];
            head[d->next[cell]] = (uint32_t)cell + 1;
        }
        for (uint32_t s = 1; s < d->n_states; s++)
            if (d->accepts[s]) {
                live[s] = 1;
                stack[n++] = s;
            }
        while (n > 0) {
            uint32_t to = stack[--n];
            for (uint32_t cell = head[to]; cell != 0; cell = link[cell - 1]) {
                uint32_t from = (cell - 1) / d->n_classes;
                if (!live[from]) {
                    live[from] = 1;
                    stack[n++] = from;
                }
            }
        }
    }
    for (size_t cell = 0; status == SLM_OK && cell < cells; cell++)
        if (!live[d->next[cell]])
            d->next[cell] = 0;
    if (status == SLM_OK && !live[1])
        memset(d->next + d->n_classes, 0, d->n_classes * sizeof *d->next);
    slm_free(host, head);
    slm_free(host, link);
    slm_free(host, stack);
    slm_free(host, live);
    return status;
}

int slm_dfa_is_empty(const slm_dfa *d) {
    if (d->accepts[1])
        return 0;
    for (uint32_t c = 0; c < d->n_classes; c++)
        if (d->next[d->n_classes + c] != 0)
            return 0;
    return 1;
}

int slm_dfa_accepts(const slm_dfa *d, slm_str text) {
    uint32_t state = 1;
    for (size_t i = 0; i < text.len && state != 0;) {
        uint32_t cp;
        size_t n = slm_utf8_next((const uint8_t *)text.ptr + i, text.len - i, &cp);
        if (n == 0)
            return 0;
        state = d->next[(size_t)state * d->n_classes + class_of(d, cp)];
        i += n;
    }
    return d->accepts[state];
}

int slm_dfa_is_universal(const slm_dfa *d, uint32_t state) {
    for (uint32_t c = 0; c < d->n_classes; c++)
        if (d->next[(size_t)state * d->n_classes + c] != state)
            return 0;
    return d->accepts[state];
}
