#include "guide/dfa.h"

#include <string.h>

/* What is of use while automata become grammars. */
typedef struct emission {
    const slm_dfa *dfa;
    slm_grammar *g;
    slm_spelling spelling;
    uint32_t *nodes;      /* [n_states]                                               */
    uint32_t *head;       /* [n_states] first class that leads there, plus 1; 0: none */
    uint32_t *link;       /* [n_classes] the next one that leads to the same          */
    slm_cp_range *ranges; /* [n_classes]                                              */
    uint32_t *n_into;     /* [n_states] classes of all states that lead there         */
    uint32_t *path;       /* [n_states] the states of a chain                         */
    uint32_t *chain;      /* [n_states] the second of the chain that begins there; 0  */
    uint8_t *is_inside;   /* [n_states] it is within a chain, which stands for it     */
    uint64_t work;        /* cells that may still be looked at in search of chains    */
} emission;

static const uint32_t *row(const emission *m, uint32_t state) {
    return m->dfa->next + (size_t)state * m->dfa->n_classes;
}

/* The ranges of the classes from first on that lead from a state to the same as that one. */
static size_t gather(emission *m, const uint32_t *next, uint32_t first) {
    const slm_dfa *d = m->dfa;
    slm_cp_range *ranges = m->ranges;
    size_t n = 0;
    for (uint32_t after = first + 1; after != 0; after = m->link[after - 1]) {
        uint32_t i = after - 1;
        uint32_t last = i + 1 < d->n_classes ? d->first[i + 1] - 1 : SLM_MAX_CODE_POINT;
        if (n > 0 && ranges[n - 1].hi + 1 == d->first[i])
            ranges[n - 1].hi = last;
        else
            ranges[n++] = (slm_cp_range){d->first[i], last};
    }
    m->head[next[first]] = 0;
    return n;
}

/* Links the classes of a state that lead to the same one. */
static void link_classes(emission *m, const uint32_t *next) {
    for (uint32_t c = m->dfa->n_classes; c-- > 0;) {
        m->link[c] = m->head[next[c]];
        m->head[next[c]] = c + 1;
    }
    m->head[0] = 0;
}

/* The edges of one state: for each state that follows, all its ranges at once. */
static void emit_state(emission *m, uint32_t state) {
    const uint32_t *next = row(m, state);
    link_classes(m, next);
    for (uint32_t c = 0; c < m->dfa->n_classes; c++) {
        if (m->head[next[c]] == 0)
            continue;
        size_t n = gather(m, next, c);
        if (next[c] != m->chain[state])
            slm_grammar_class(m->g, m->nodes[state], m->ranges, n, m->spelling, m->nodes[next[c]]);
    }
}

/* ---- chains -----------------------------------------------------------------------------------
 *
 * States behind one another that the same characters lead along, nothing else leads into, and that
 * are left alike from one of them on: so many characters of a class, for which the grammar counts.
 */

/* Whether the classes that lead from one state to the next are those that lead from the first of a
 * chain to its second. */
static int steps_alike(const emission *m, uint32_t from, uint32_t to) {
    const uint32_t *a = row(m, m->path[0]), *b = row(m, from);
    for (uint32_t c = 0; c < m->dfa->n_classes; c++)
        if ((a[c] == m->path[1]) != (b[c] == to))
            return 0;
    return 1;
}

/* How many steps a chain has whose first two states are on the path; the others are put there. It
 * ends where another begins, since states within that one are not made: nothing else leads into
 * them, so there is no other way in. */
static uint32_t follow_chain(emission *m, uint32_t class_of) {
    uint32_t n = 1, n_into = m->n_into[m->path[1]];
    for (; n + 1 < m->dfa->n_states && m->work > m->dfa->n_classes; n++) {
        uint32_t from = m->path[n], to = row(m, from)[class_of];
        if (m->chain[from] != 0)
            break;
        m->work -= m->dfa->n_classes;
        if (to == 0 || to == from || to == m->path[0] || m->n_into[to] != n_into ||
            !steps_alike(m, from, to))
            break;
        m->path[n + 1] = to;
    }
    return n;
}

/* Whether two states of a chain are left alike, but for its steps. */
static int left_alike(const emission *m, uint32_t x, uint32_t y) {
    const uint32_t *first = row(m, m->path[0]), *a = row(m, x), *b = row(m, y);
    if (m->dfa->accepts[x] != m->dfa->accepts[y])
        return 0;
    for (uint32_t c = 0; c < m->dfa->n_classes; c++)
        if (first[c] != m->path[1] && a[c] != b[c])
            return 0;
    return 1;
}

static int is_left(const emission *m, uint32_t x) {
    const uint32_t *first = row(m, m->path[0]), *a = row(m, x);
    if (m->dfa->accepts[x])
        return 1;
    for (uint32_t c = 0; c < m->dfa->n_classes; c++)
        if (first[c] != m->path[1] && a[c] != 0)
            return 1;
    return 0;
}

/* The steps after which a chain of n may be left, all alike; 0: they are not. */
static uint32_t least_steps(const emission *m, uint32_t n, uint32_t class_of) {
    uint32_t least = 1;
    while (least < n && !is_left(m, m->path[least]))
        least++;
    if (least < n && row(m, m->path[n])[class_of] != 0)
        return 0;
    for (uint32_t i = least; i < n; i++)
        if (!left_alike(m, m->path[i], m->path[n]))
            return 0;
    return least;
}

/* Makes a counted rule of the chain that begins with a state and goes on by a class, if there is.
 */
static int emit_chain(emission *m, uint32_t state, uint32_t class_of, size_t n_ranges,
                      uint32_t n_classes) {
    uint32_t to = row(m, state)[class_of];
    if (to == state || m->n_into[to] != n_classes)
        return 0;
    m->path[0] = state;
    m->path[1] = to;
    uint32_t n = follow_chain(m, class_of), least = least_steps(m, n, class_of);
    if (least == 0 || !slm_grammar_repeat(m->g, m->nodes[state], m->ranges, n_ranges, m->spelling,
                                          least, n, m->nodes[m->path[n]]))
        return 0;
    m->chain[state] = to;
    for (uint32_t i = 1; i < n; i++)
        m->is_inside[m->path[i]] = 1;
    return 1;
}

static void find_chains(emission *m) {
    const slm_dfa *d = m->dfa;
    size_t cells = (size_t)d->n_states * d->n_classes;
    m->work = 8 * (uint64_t)cells;
    m->n_into[1] = 1; /* from outside */
    for (size_t i = d->n_classes; i < cells; i++)
        m->n_into[d->next[i]]++;
    for (uint32_t s = 1; s < d->n_states && m->work > d->n_classes; s++) {
        const uint32_t *next = row(m, s);
        if (m->is_inside[s])
            continue;
        link_classes(m, next);
        for (uint32_t c = 0; c < d->n_classes; c++) {
            uint32_t n = 0;
            if (m->head[next[c]] == 0)
                continue;
            for (uint32_t i = c; i < d->n_classes; i++)
                n += next[i] == next[c];
            size_t n_ranges = gather(m, next, c);
            m->work -= m->work < d->n_classes ? m->work : d->n_classes;
            if (m->chain[s] == 0)
                (void)emit_chain(m, s, c, n_ranges, n);
        }
    }
}

/* ---- all of it --------------------------------------------------------------------------------
 */

static void emit_all(emission *m, uint32_t any_tail, uint32_t to) {
    const slm_dfa *d = m->dfa;
    find_chains(m);
    for (uint32_t s = 1; m->g->status == SLM_OK && s < d->n_states; s++) {
        if (m->is_inside[s])
            continue;
        if (m->spelling == SLM_SPELL_JSON && slm_dfa_is_universal(d, s)) {
            slm_grammar_call(m->g, m->nodes[s], any_tail, to);
            continue;
        }
        emit_state(m, s);
        if (!d->accepts[s])
            continue;
        if (m->spelling == SLM_SPELL_JSON)
            slm_grammar_bytes(m->g, m->nodes[s], '"', '"', to);
        else
            slm_grammar_empty(m->g, m->nodes[s], to);
    }
}

slm_status slm_dfa_emit(slm_host *host, slm_grammar *g, const slm_dfa *d, uint32_t from,
                        slm_spelling spelling, uint32_t any_tail, uint32_t to, slm_error *error) {
    uint32_t n = d->n_states;
    emission m = {
        .dfa = d,
        .g = g,
        .spelling = spelling,
        .nodes = slm_calloc(host, n, sizeof *m.nodes),
        .head = slm_calloc(host, n, sizeof *m.head),
        .link = slm_calloc(host, d->n_classes, sizeof *m.link),
        .ranges = slm_calloc(host, d->n_classes, sizeof *m.ranges),
        .n_into = slm_calloc(host, n, sizeof *m.n_into),
        .path = slm_calloc(host, n, sizeof *m.path),
        .chain = slm_calloc(host, n, sizeof *m.chain),
        .is_inside = slm_calloc(host, n, 1),
    };
    slm_status status = SLM_OK;
    if (m.nodes == NULL || m.head == NULL || m.link == NULL || m.ranges == NULL ||
        m.n_into == NULL || m.path == NULL || m.chain == NULL || m.is_inside == NULL)
        status = slm_fail_nomem(error, n * sizeof *m.nodes * 5, "an automaton");
    for (uint32_t s = 1; status == SLM_OK && s < n; s++)
        m.nodes[s] = slm_grammar_node(g);
    if (status == SLM_OK) {
        slm_grammar_empty(g, from, m.nodes[1]);
        emit_all(&m, any_tail, to);
    }
    slm_free(host, m.nodes);
    slm_free(host, m.head);
    slm_free(host, m.link);
    slm_free(host, m.ranges);
    slm_free(host, m.n_into);
    slm_free(host, m.path);
    slm_free(host, m.chain);
    slm_free(host, m.is_inside);
    return status == SLM_OK ? slm_grammar_check(g, error) : status;
}
