#include "guide/automaton.h"

#include <stdlib.h>
#include <string.h>

/* ---- storage ----------------------------------------------------------------------------------
 */

static void *out_of_memory(slm_automaton *a, size_t bytes) {
    if (a->status == SLM_OK)
        a->status = slm_fail_nomem(a->error, bytes, "the automaton of a grammar");
    return NULL;
}

/* Room for one more element. */
static int grow(slm_automaton *a, void *array, uint32_t n, uint32_t *cap, size_t size) {
    void **p = array;
    if (a->status != SLM_OK)
        return 0;
    if (n < *cap)
        return 1;
    uint32_t want = *cap < 64 ? 64 : *cap * 2;
    void *larger = slm_realloc(a->host, *p, want * size);
    if (larger == NULL) {
        out_of_memory(a, want * size);
        return 0;
    }
    *p = larger;
    *cap = want;
    return 1;
}

static void *keep(slm_automaton *a, const void *data, size_t size) {
    void *copy = a->status == SLM_OK ? slm_arena_alloc(&a->arena, size) : NULL;
    if (copy == NULL)
        return a->status == SLM_OK ? out_of_memory(a, size) : NULL;
    if (data != NULL && size > 0)
        memcpy(copy, data, size);
    return copy;
}

static uint32_t hash_words(uint32_t seed, const void *words, size_t n) {
    uint64_t h = 0xcbf29ce484222325u ^ seed;
    const uint32_t *w = words;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ w[i]) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return (uint32_t)(h >> 16);
}

/* Frames, stacks and configs are found by what they hold, each kind with its hash. */
static uint32_t frame_hash(const slm_frame *f) {
    return hash_words(f->counted * 31 + f->count, f->nodes, f->n_nodes);
}
static uint32_t stack_hash(const slm_stack *s) {
    return hash_words(7, s, 2);
}
static uint32_t config_hash(const slm_guide_config *c) {
    return hash_words(11, c->items, c->n_items * 2);
}

static uint32_t hash_of(const slm_automaton *a, const slm_table *t, uint32_t i) {
    return t == &a->frame_table   ? frame_hash(&a->frames[i])
           : t == &a->stack_table ? stack_hash(&a->stacks[i])
                                  : config_hash(&a->configs[i]);
}

/* Makes sure that a table of n elements, those from first on, is at most half full. */
static int table_room(slm_automaton *a, slm_table *t, uint32_t first, uint32_t n) {
    if (a->status != SLM_OK)
        return 0;
    if (t->n_slots > n * 2 + 2)
        return 1;
    uint32_t n_slots = t->n_slots < 64 ? 64 : t->n_slots * 2;
    uint32_t *slots = slm_calloc(a->host, n_slots, sizeof *slots);
    if (slots == NULL)
        return out_of_memory(a, n_slots * sizeof *slots) != NULL;
    for (uint32_t i = first; i < n; i++) {
        uint32_t at = hash_of(a, t, i) & (n_slots - 1);
        while (slots[at] != 0)
            at = (at + 1) & (n_slots - 1);
        slots[at] = i + 1;
    }
    slm_free(a->host, t->slots);
    *t = (slm_table){slots, n_slots};
    return 1;
}

/* The special stacks and the dead config. */
static slm_status make_tables(slm_automaton *a) {
    if (!grow(a, &a->stacks, 1, &a->cap_stacks, sizeof *a->stacks) ||
        !grow(a, &a->configs, 0, &a->cap_configs, sizeof *a->configs))
        return a->status;
    memset(a->stacks, 0, 2 * sizeof *a->stacks);
    a->n_stacks = 2;
    a->configs[0] = (slm_guide_config){.expanded = 1};
    a->n_configs = 1;
    return SLM_OK;
}

static void free_tables(slm_automaton *a) {
    slm_arena_free(&a->arena);
    slm_free(a->host, a->frames);
    slm_free(a->host, a->stacks);
    slm_free(a->host, a->configs);
    slm_free(a->host, a->frame_table.slots);
    slm_free(a->host, a->stack_table.slots);
    slm_free(a->host, a->config_table.slots);
}

/* What is left of a guide's memory is for masks: a grammar so large that places would take much of it
 * does without them. */
enum { SHARE_OF_PLACES = 8 };

static slm_status open_places(slm_automaton *a, slm_error *error) {
    size_t n = a->grammar->n_nodes;
    uint64_t size = sizeof *a->places + sizeof *a->last_like + sizeof *a->like_before +
                    sizeof *a->like_mark;
    uint64_t held = atomic_load(&a->host->bytes), limit = a->host->limit;
    if (limit > 0 && (held > limit || n * size > (limit - held) / SHARE_OF_PLACES))
        return SLM_OK;
    a->places = slm_calloc(a->host, n, sizeof *a->places);
    a->last_like = slm_calloc(a->host, n, sizeof *a->last_like);
    a->like_before = slm_calloc(a->host, n, sizeof *a->like_before);
    a->like_mark = slm_calloc(a->host, n, sizeof *a->like_mark);
    if (a->places == NULL || a->last_like == NULL || a->like_before == NULL ||
        a->like_mark == NULL)
        return slm_fail_nomem(error, n * sizeof *a->places, "the automaton of a grammar");
    slm_grammar_find_places(a->grammar, a->places);
    return SLM_OK;
}

slm_status slm_automaton_open(slm_host *host, const slm_grammar *g, slm_automaton *a,
                              slm_error *error) {
    *a = (slm_automaton){.host = host, .grammar = g, .arena = {.host = host}};
    slm_automaton_begin(a, error);
    a->start_frame = slm_calloc(host, g->n_rules, sizeof *a->start_frame);
    a->is_end = slm_calloc(host, g->n_nodes, 1);
    a->mark = slm_calloc(host, g->n_nodes, sizeof *a->mark);
    a->set = slm_calloc(host, g->n_nodes, sizeof *a->set);
    if (a->start_frame == NULL || a->is_end == NULL || a->mark == NULL || a->set == NULL)
        return slm_fail_nomem(error, g->n_nodes * 9, "the automaton of a grammar");
    for (uint32_t r = 0; r < g->n_rules; r++)
        a->is_end[g->rules[r].end] = 1;
    if (g->n_copies > 0)
        SLM_TRY(open_places(a, error));
    return make_tables(a);
}

void slm_automaton_close(slm_automaton *a) {
    free_tables(a);
    slm_free(a->host, a->start_frame);
    slm_free(a->host, a->is_end);
    slm_free(a->host, a->mark);
    slm_free(a->host, a->set);
    slm_free(a->host, a->arcs);
    slm_free(a->host, a->items);
    slm_free(a->host, a->reached);
    slm_free(a->host, a->seen);
    slm_free(a->host, a->varied);
    slm_free(a->host, a->places);
    slm_free(a->host, a->last_like);
    slm_free(a->host, a->like_before);
    slm_free(a->host, a->like_mark);
}

void slm_automaton_begin(slm_automaton *a, slm_error *error) {
    a->status = SLM_OK;
    a->work = 0;
    a->error = error;
}

int slm_automaton_spend(slm_automaton *a, uint64_t work) {
    a->work += work;
    if (a->work > SLM_AUTOMATON_MAX_WORK && a->status == SLM_OK)
        a->status = slm_fail(a->error, SLM_ERR_LIMIT, "grammar", SLM_NO_OFFSET,
                             "the grammar is too ambiguous: a step takes more than %d operations",
                             SLM_AUTOMATON_MAX_WORK);
    return a->status == SLM_OK;
}

/* What sorting n items costs. */
static uint64_t sort_work(uint32_t n) {
    return n < 2 ? 0 : (uint64_t)n * (32 - (uint32_t)__builtin_clz(n));
}

/* ---- frames -----------------------------------------------------------------------------------
 */

static int compare_u32(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Whether a frame of a counted rule lies between two characters: the start is kept among its nodes,
 * since it takes bytes. */
static int is_between(const slm_grammar_rule *r, const uint32_t *nodes, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (nodes[i] == r->start)
            return 1;
    return 0;
}

/* Characters of a class may end when there are enough of them. */
static void end_class(slm_frame *f, const slm_grammar_rule *r) {
    f->accepts = f->count >= r->min && is_between(r, f->nodes, f->n_nodes);
    f->final = f->accepts && f->count >= r->max;
}

/* Frames that may cover one another have one shape: those of copies whose nodes are at the same places,
 * and those of a counted rule with enough characters, wherever that is. */
static void find_shape(const slm_automaton *a, slm_frame *f, uint32_t number) {
    uint32_t places = 0;
    if (f->counted > 0 && f->count >= a->grammar->rules[f->counted - 1].min) {
        f->varies = 1;
        f->sum = f->count;
        f->shape = hash_words(f->counted, f->nodes, f->n_nodes);
        return;
    }
    for (uint32_t i = 0; i < f->n_nodes && f->counted == 0 && a->places != NULL; i++) {
        const slm_grammar_place *p = &a->places[f->nodes[i]];
        f->varies |= p->guard != 0;
        f->sum += f->nodes[i] - p->first;
        places += hash_words(23, &p->first, 1); /* in any order */
    }
    f->shape = f->varies ? places : hash_words(29, &number, 1);
}

/* The frame of these nodes, which are sorted. */
static uint32_t intern_frame(slm_automaton *a, uint32_t counted, uint32_t count,
                             const uint32_t *nodes, uint32_t n) {
    slm_frame f = {.nodes = nodes, .n_nodes = n, .counted = counted, .count = count};
    if (!table_room(a, &a->frame_table, 0, a->n_frames))
        return 0;
    uint32_t mask = a->frame_table.n_slots - 1, at = frame_hash(&f) & mask;
    for (; a->frame_table.slots[at] != 0; at = (at + 1) & mask) {
        const slm_frame *o = &a->frames[a->frame_table.slots[at] - 1];
        if (o->n_nodes == n && o->counted == counted && o->count == count &&
            memcmp(o->nodes, nodes, n * sizeof *nodes) == 0)
            return a->frame_table.slots[at] - 1;
    }
    f.nodes = keep(a, nodes, n * sizeof *nodes);
    if (f.nodes == NULL || !grow(a, &a->frames, a->n_frames, &a->cap_frames, sizeof *a->frames))
        return 0;
    for (uint32_t i = 0; i < n && counted == 0; i++)
        f.accepts |= a->is_end[nodes[i]];
    f.final = f.accepts && n == 1;
    if (counted > 0 && a->grammar->rules[counted - 1].counted == SLM_COUNTED_CLASS)
        end_class(&f, &a->grammar->rules[counted - 1]);
    find_shape(a, &f, a->n_frames);
    a->frames[a->n_frames] = f;
    a->frame_table.slots[at] = ++a->n_frames;
    return a->n_frames - 1;
}

void slm_automaton_unmark(slm_automaton *a) {
    if (++a->epoch == 0) {
        memset(a->mark, 0, a->grammar->n_nodes * sizeof *a->mark);
        a->epoch = 1;
    }
}

/* Nodes that others cover, of a frame that is being made. */

/* How many are looked at, of a node's kind: where none covers another, all would be n * n. */
enum { LIKE_SCAN = 8, LAST_SCAN = 32 };

/* Nothing is like anything any more. */
static void forget_like(slm_automaton *a) {
    if (++a->like_epoch == 0) {
        memset(a->like_mark, 0, a->grammar->n_nodes * sizeof *a->like_mark);
        a->like_epoch = 1;
    }
}

/* Whether one of the last few nodes that were noted covers this one, by being the same place in an
 * earlier copy; if not, it is noted. *work counts what was looked at. */
static int is_covered(slm_automaton *a, uint32_t node, uint32_t few, uint64_t *work) {
    const slm_grammar_place *place = &a->places[node];
    uint32_t first = place->first, last = 0;
    if (place->guard == 0)
        return 0;
    if (a->like_mark[first] == a->like_epoch)
        last = a->last_like[first];
    for (uint32_t like = last; like != 0 && few > 0; like = a->like_before[like - 1], few--) {
        ++*work;
        if (slm_place_covers(&a->places[like - 1], place))
            return 1;
    }
    a->like_mark[first] = a->like_epoch;
    a->like_before[node] = last;
    a->last_like[first] = node + 1;
    return 0;
}

/* Takes out of the n nodes, which ascend, those that others are seen to cover: what covers a node is
 * before it. */
static uint32_t drop_covered_nodes(slm_automaton *a, uint32_t n, uint64_t *work) {
    uint32_t m = 0;
    forget_like(a);
    for (uint32_t i = 0; i < n; i++)
        if (!is_covered(a, a->set[i], LAST_SCAN, work))
            a->set[m++] = a->set[i];
    return m;
}

/* Adds a node to the n of a set, if it is not there and is not seen to be covered: what a covered node
 * leads to is covered by what the other one leads to. */
static uint32_t add_node(slm_automaton *a, uint32_t n, uint32_t node, uint64_t *work) {
    if (a->mark[node] == a->epoch)
        return n;
    a->mark[node] = a->epoch;
    if (a->places != NULL && is_covered(a, node, LIKE_SCAN, work))
        return n;
    a->set[n] = node;
    return n + 1;
}

/* The frame that a->set[0..n) leads to, with what is reached from there without a byte. Only nodes
 * that take bytes, call or end are kept, and that no other covers: the rest would only tell equal
 * frames apart. */
static uint32_t close_frame(slm_automaton *a, uint32_t counted, uint32_t count, uint32_t n) {
    const slm_grammar *g = a->grammar;
    uint32_t m = 0;
    uint64_t work = n;
    slm_automaton_unmark(a);
    if (a->places != NULL)
        forget_like(a);
    for (uint32_t i = 0; i < n; i++)
        m = add_node(a, m, a->set[i], &work);
    n = m;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t e = g->first_edge[a->set[i]]; e != 0; e = g->edges[e].next, work++)
            if (g->edges[e].callee == SLM_EDGE_EMPTY)
                n = add_node(a, n, g->edges[e].to, &work);
    m = 0;
    for (uint32_t i = 0; i < n; i++) {
        int matters = a->is_end[a->set[i]];
        for (uint32_t e = g->first_edge[a->set[i]]; e != 0 && !matters; e = g->edges[e].next)
            matters = g->edges[e].callee != SLM_EDGE_EMPTY;
        if (matters)
            a->set[m++] = a->set[i];
    }
    qsort(a->set, m, sizeof *a->set, compare_u32);
    if (a->places != NULL)
        m = drop_covered_nodes(a, m, &work);
    if (!slm_automaton_spend(a, work + sort_work(n)))
        return 0;
    return intern_frame(a, counted, count, a->set, m);
}

/* The frame of a counted rule between two characters. */
static uint32_t counted_frame(slm_automaton *a, uint32_t rule, uint32_t count) {
    const slm_grammar_rule *r = &a->grammar->rules[rule];
    if (r->max == SLM_NO_MAXIMUM && count > r->min)
        count = r->min; /* it makes no difference any more */
    a->set[0] = r->start;
    return close_frame(a, rule + 1, count, 1);
}

uint32_t slm_automaton_frame_at(slm_automaton *a, uint32_t node) {
    a->set[0] = node;
    return close_frame(a, 0, 0, 1);
}

uint32_t slm_automaton_start_frame(slm_automaton *a, uint32_t rule) {
    if (a->start_frame[rule] == 0) {
        uint32_t frame = a->grammar->rules[rule].counted
                             ? counted_frame(a, rule, 0)
                             : slm_automaton_frame_at(a, a->grammar->rules[rule].start);
        if (a->status != SLM_OK)
            return 0;
        a->start_frame[rule] = frame + 1;
    }
    return a->start_frame[rule] - 1;
}

static int add_arc(slm_automaton *a, uint32_t *n, slm_arc arc) {
    if (!grow(a, &a->arcs, *n, &a->cap_arcs, sizeof *a->arcs))
        return 0;
    a->arcs[(*n)++] = arc;
    return 1;
}

/* Calls fn for each stretch of bytes that the same arcs take. */
typedef uint32_t (*stretch_fn)(slm_automaton *a, uint32_t who, uint32_t n_arcs, uint8_t byte);

/* Bytes at which stretches begin, as bits; 256 is always one. */
static uint32_t next_start(const uint64_t *starts, uint32_t from) {
    uint64_t bits = starts[from / 64] >> (from % 64);
    if (bits != 0)
        return from + (uint32_t)__builtin_ctzll(bits);
    uint32_t word = from / 64 + 1;
    while (starts[word] == 0)
        word++;
    return word * 64 + (uint32_t)__builtin_ctzll(starts[word]);
}

/* One edge more, or the last one made longer. */
static uint32_t put_edge(slm_frame_edge *edges, uint32_t n, slm_frame_edge edge) {
    if (n > 0 && edges[n - 1].frame == edge.frame && edges[n - 1].hi + 1u == edge.lo) {
        edges[n - 1].hi = edge.hi;
        return n;
    }
    edges[n] = edge;
    return n + 1;
}

/* The edges that n arcs make together; bytes that nothing takes have none. Returns how many there
 * are, in edges[0..256). */
static uint32_t merge_arcs(slm_automaton *a, uint32_t who, uint32_t n_arcs, stretch_fn fn,
                           slm_frame_edge *edges) {
    uint64_t starts[5] = {0, 0, 0, 0, 1};
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_arcs; i++) {
        uint32_t lo = a->arcs[i].lo, behind = a->arcs[i].hi + 1u;
        starts[lo / 64] |= (uint64_t)1 << (lo % 64);
        starts[behind / 64] |= (uint64_t)1 << (behind % 64);
    }
    for (uint32_t lo = next_start(starts, 0), behind; lo < 256; lo = behind) {
        behind = next_start(starts, lo + 1);
        uint32_t target = fn(a, who, n_arcs, (uint8_t)lo);
        if (!slm_automaton_spend(a, n_arcs))
            return 0;
        if (target != UINT32_MAX)
            n = put_edge(edges, n, (slm_frame_edge){target, (uint8_t)lo, (uint8_t)(behind - 1)});
    }
    return n;
}

/* The frame that a byte leads to. In a counted rule the end is a character more. */
static uint32_t frame_after(slm_automaton *a, uint32_t who, uint32_t n_arcs, uint8_t byte) {
    uint32_t n = 0, counted = a->frames[who].counted, count = a->frames[who].count;
    for (uint32_t i = 0; i < n_arcs; i++)
        if (a->arcs[i].lo <= byte && byte <= a->arcs[i].hi)
            a->set[n++] = a->arcs[i].to;
    if (n == 0)
        return UINT32_MAX;
    if (counted == 0)
        return close_frame(a, 0, 0, n);
    uint32_t end = a->grammar->rules[counted - 1].end;
    if (byte == '"' && a->set[0] == end && a->arcs[n_arcs - 1].stack)
        return close_frame(a, 0, 0, 1);
    return a->set[0] == end ? counted_frame(a, counted - 1, count + 1)
                            : close_frame(a, counted, count, n);
}

static int same_call(const void *x, const void *y) {
    const slm_arc *a = x, *b = y;
    return a->stack < b->stack ? -1 : a->stack > b->stack;
}

/* The calls of a frame: those of one rule are one, which goes back to all that follows them. */
static int expand_calls(slm_automaton *a, uint32_t who) {
    const slm_grammar *g = a->grammar;
    uint32_t n = 0, n_calls = 0;
    for (uint32_t i = 0; i < a->frames[who].n_nodes; i++)
        for (uint32_t e = g->first_edge[a->frames[who].nodes[i]]; e != 0; e = g->edges[e].next)
            if (g->edges[e].callee < SLM_EDGE_EMPTY &&
                !add_arc(a, &n, (slm_arc){g->edges[e].to, g->edges[e].callee, 0, 0}))
                return 0;
    if (n == 0)
        return 1;
    qsort(a->arcs, n, sizeof *a->arcs, same_call);
    slm_frame_call *calls = keep(a, NULL, n * sizeof *calls);
    for (uint32_t i = 0, j; i < n && calls != NULL && a->status == SLM_OK; i = j) {
        uint32_t m = 0;
        for (j = i; j < n && a->arcs[j].stack == a->arcs[i].stack; j++)
            a->set[m++] = a->arcs[j].to;
        uint32_t back = close_frame(a, 0, 0, m);
        calls[n_calls++] = (slm_frame_call){slm_automaton_start_frame(a, a->arcs[i].stack), back};
    }
    a->frames[who].calls = calls;
    a->frames[who].n_calls = n_calls;
    return a->status == SLM_OK;
}

static int expand_frame(slm_automaton *a, uint32_t who) {
    const slm_grammar *g = a->grammar;
    slm_frame_edge edges[256];
    uint32_t n = 0;
    if (!expand_calls(a, who))
        return 0;
    const slm_frame *f = &a->frames[who];
    const slm_grammar_rule *r = f->counted ? &g->rules[f->counted - 1] : NULL;
    int between = r != NULL && is_between(r, f->nodes, f->n_nodes);
    for (uint32_t i = 0; i < f->n_nodes && !(between && f->count >= r->max); i++)
        for (uint32_t e = g->first_edge[f->nodes[i]]; e != 0; e = g->edges[e].next)
            if (g->edges[e].callee == SLM_EDGE_BYTES &&
                !add_arc(a, &n, (slm_arc){g->edges[e].to, 0, g->edges[e].lo, g->edges[e].hi}))
                return 0;
    if (between && r->counted == SLM_COUNTED_STRING && f->count >= r->min &&
        !add_arc(a, &n, (slm_arc){r->end, 1, '"', '"'}))
        return 0;
    n = merge_arcs(a, who, n, frame_after, edges);
    slm_frame_edge *kept = keep(a, edges, n * sizeof *edges);
    if (kept == NULL)
        return 0;
    a->frames[who].edges = kept;
    a->frames[who].n_edges = n;
    a->frames[who].expanded = 1;
    return 1;
}

/* ---- stacks -----------------------------------------------------------------------------------
 */

/* The shape of a stack with this frame on top of that one. Of stacks none of whose frames varies, each
 * has its own. */
static uint32_t shape_on(const slm_automaton *a, uint32_t frame, uint32_t below) {
    uint32_t both[2] = {a->frames[frame].shape, a->stacks[below].shape};
    if (both[1] == 0)
        both[1] = below;
    return hash_words(17, both, 2) | 1u;
}

uint32_t slm_automaton_push(slm_automaton *a, uint32_t back, uint32_t below) {
    slm_stack s = {.back = back, .below = below};
    const slm_frame *f = &a->frames[back];
    const slm_stack *under = &a->stacks[below];
    if (f->final) /* the caller ends with what it called: no need to come back */
        return below;
    if (f->varies || under->shape != 0) {
        s.shape = shape_on(a, back, below);
        s.sum = under->sum + f->sum;
    }
    if (!table_room(a, &a->stack_table, 2, a->n_stacks))
        return 0;
    uint32_t mask = a->stack_table.n_slots - 1, at = stack_hash(&s) & mask;
    for (; a->stack_table.slots[at] != 0; at = (at + 1) & mask) {
        const slm_stack *o = &a->stacks[a->stack_table.slots[at] - 1];
        if (o->back == back && o->below == below)
            return a->stack_table.slots[at] - 1;
    }
    if (!grow(a, &a->stacks, a->n_stacks, &a->cap_stacks, sizeof *a->stacks))
        return 0;
    a->stacks[a->n_stacks] = s;
    a->stack_table.slots[at] = ++a->n_stacks;
    return a->n_stacks - 1;
}

/* ---- configs ----------------------------------------------------------------------------------
 */

static int compare_items(const void *a, const void *b) {
    const slm_item *x = a, *y = b;
    if (x->frame != y->frame)
        return x->frame < y->frame ? -1 : 1;
    return x->stack < y->stack ? -1 : x->stack > y->stack;
}

static int compare_varied(const void *a, const void *b) {
    const slm_varied_item *x = a, *y = b;
    if (x->shape != y->shape)
        return x->shape < y->shape ? -1 : 1;
    if (x->sum != y->sum)
        return x->sum < y->sum ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

enum { COVER_SCAN = 32, ITEM_SCAN = 128 };

/* Whether a place of x covers a node of y, the one at the same number if there are many. */
static int node_covered(const slm_automaton *a, const slm_frame *x, const slm_frame *y,
                        uint32_t i) {
    if (slm_place_covers(&a->places[x->nodes[i]], &a->places[y->nodes[i]]))
        return 1;
    for (uint32_t j = 0; j < x->n_nodes && x->n_nodes <= COVER_SCAN; j++)
        if (slm_place_covers(&a->places[x->nodes[j]], &a->places[y->nodes[i]]))
            return 1;
    return 0;
}

/* Whether all texts that complete the rule of frame y complete that of frame x: they are one, or x
 * has enough of what the rule counts and room for more, or is in earlier copies. */
static int frame_covers(const slm_automaton *a, uint32_t x, uint32_t y) {
    const slm_frame *f = &a->frames[x], *o = &a->frames[y];
    if (x == y)
        return 1;
    if (!f->varies || f->counted != o->counted || f->n_nodes != o->n_nodes)
        return 0;
    if (f->counted > 0)
        return f->count <= o->count && f->count >= a->grammar->rules[f->counted - 1].min &&
               memcmp(f->nodes, o->nodes, f->n_nodes * sizeof *f->nodes) == 0;
    for (uint32_t i = 0; i < o->n_nodes; i++)
        if (!node_covered(a, f, o, i))
            return 0;
    return 1;
}

/* Whether all that may follow y may follow x. *work counts what was looked at. */
static int covers(const slm_automaton *a, slm_item x, slm_item y, uint64_t *work) {
    for (;;) {
        *work += a->frames[x.frame].n_nodes;
        if (!frame_covers(a, x.frame, y.frame))
            return 0;
        if (x.stack == y.stack)
            return 1;
        if (x.stack <= SLM_STACK_FRAME || y.stack <= SLM_STACK_FRAME)
            return 0;
        x = (slm_item){a->stacks[x.stack].back, a->stacks[x.stack].below};
        y = (slm_item){a->stacks[y.stack].back, a->stacks[y.stack].below};
    }
}

/* Lists the items that another of the same shape might cover, or be covered by. */
static uint32_t list_varied(slm_automaton *a, const slm_item *items, uint32_t n) {
    uint32_t n_varied = 0;
    for (uint32_t i = 0; i < n; i++) {
        const slm_frame *f = &a->frames[items[i].frame];
        const slm_stack *s = &a->stacks[items[i].stack];
        if (!f->varies && s->shape == 0)
            continue;
        if (!grow(a, &a->varied, n_varied, &a->cap_varied, sizeof *a->varied))
            return 0;
        a->varied[n_varied++] = (slm_varied_item){
            s->sum + f->sum, shape_on(a, items[i].frame, items[i].stack), i, items[i]};
    }
    return n_varied;
}

/* Takes out the items that another one covers; the rest stay in order. Without this a text like
 * ([a-z]{1,99})* would have a reading for every way to divide it. What covers another has the smaller
 * sum, so it comes before it; the first ITEM_SCAN of a shape are looked at. */
static uint32_t drop_covered(slm_automaton *a, slm_item *items, uint32_t n) {
    uint32_t n_varied = list_varied(a, items, n), begin = 0, n_kept = 0, m = 0;
    if (n_varied < 2)
        return n;
    uint64_t work = sort_work(n_varied);
    qsort(a->varied, n_varied, sizeof *a->varied, compare_varied);
    for (uint32_t i = 0; i < n_varied && slm_automaton_spend(a, work); i++) {
        slm_varied_item v = a->varied[i];
        uint32_t by;
        if (i == 0 || v.shape != a->varied[i - 1].shape)
            begin = n_kept;
        work = 1;
        uint32_t end = n_kept - begin < ITEM_SCAN ? n_kept : begin + ITEM_SCAN;
        for (by = begin; by < end && !covers(a, a->varied[by].item, v.item, &work); by++)
            work++;
        if (by < end)
            items[v.at].frame = UINT32_MAX;
        else
            a->varied[n_kept++] = v;
    }
    for (uint32_t i = 0; i < n; i++)
        if (items[i].frame != UINT32_MAX)
            items[m++] = items[i];
    return m;
}

/* The config of n items in any order. A rule that can only end has ended. */
static uint32_t intern_config(slm_automaton *a, slm_item *items, uint32_t n) {
    uint32_t m = 0;
    if (!slm_automaton_spend(a, n + sort_work(n)))
        return 0;
    for (uint32_t i = 0; i < n; i++)
        while (a->frames[items[i].frame].final && items[i].stack > SLM_STACK_FRAME)
            items[i] = (slm_item){a->stacks[items[i].stack].back, a->stacks[items[i].stack].below};
    if (n > 1)
        qsort(items, n, sizeof *items, compare_items);
    for (uint32_t i = 0; i < n; i++)
        if (m == 0 || compare_items(&items[m - 1], &items[i]) != 0)
            items[m++] = items[i];
    if (m > 1 && (a->grammar->n_classes > 0 || a->places != NULL))
        m = drop_covered(a, items, m);
    if (m > SLM_CONFIG_MAX_ITEMS && a->status == SLM_OK)
        a->status = slm_fail(a->error, SLM_ERR_LIMIT, "grammar", SLM_NO_OFFSET,
                             "the grammar is too ambiguous: a text has more than %d readings",
                             SLM_CONFIG_MAX_ITEMS);
    slm_guide_config c = {.items = items, .n_items = m};
    if (!table_room(a, &a->config_table, 1, a->n_configs))
        return 0;
    uint32_t mask = a->config_table.n_slots - 1, at = config_hash(&c) & mask;
    for (; a->config_table.slots[at] != 0; at = (at + 1) & mask) {
        const slm_guide_config *o = &a->configs[a->config_table.slots[at] - 1];
        if (o->n_items == m && memcmp(o->items, items, m * sizeof *items) == 0)
            return a->config_table.slots[at] - 1;
    }
    c.items = keep(a, items, m * sizeof *items);
    if (c.items == NULL || !grow(a, &a->configs, a->n_configs, &a->cap_configs, sizeof *a->configs))
        return 0;
    a->configs[a->n_configs] = c;
    a->config_table.slots[at] = ++a->n_configs;
    return a->n_configs - 1;
}

uint32_t slm_automaton_config(slm_automaton *a, slm_item item) {
    return intern_config(a, &item, 1);
}

/* The first SEEN_BY_SCAN items reached are searched one by one, the others in a table, whose slots
 * hold for one epoch. */
enum { SEEN_BY_SCAN = 16, MAX_REACHED = SLM_CONFIG_MAX_ITEMS * 2, SEEN_SLOTS = MAX_REACHED * 4 };

/* Whether an item is among the n reached; else *slot receives its place in the table. */
static int is_reached(slm_automaton *a, uint32_t n, slm_item item, uint32_t *slot) {
    uint32_t scanned = n < SEEN_BY_SCAN ? n : SEEN_BY_SCAN;
    for (uint32_t i = 0; i < scanned; i++)
        if (a->reached[i].frame == item.frame && a->reached[i].stack == item.stack)
            return 1;
    if (n < SEEN_BY_SCAN)
        return 0;
    uint32_t at = hash_words(13, &item, 2) & (SEEN_SLOTS - 1);
    for (; a->seen[at].epoch == a->seen_epoch; at = (at + 1) & (SEEN_SLOTS - 1)) {
        const slm_item *o = &a->reached[a->seen[at].index];
        if (o->frame == item.frame && o->stack == item.stack)
            return 1;
    }
    *slot = at;
    return 0;
}

/* Forgets which items were reached. */
static int forget_reached(slm_automaton *a) {
    if (a->seen == NULL) {
        a->seen = slm_calloc(a->host, SEEN_SLOTS, sizeof *a->seen);
        if (a->seen == NULL)
            return out_of_memory(a, SEEN_SLOTS * sizeof *a->seen) != NULL;
    }
    if (++a->seen_epoch == 0) { /* slots of long ago must not seem new */
        memset(a->seen, 0, SEEN_SLOTS * sizeof *a->seen);
        a->seen_epoch = 1;
    }
    return 1;
}

/* Adds an item to those reached, if it is not there. */
static int reach(slm_automaton *a, uint32_t *n, slm_item item) {
    uint32_t slot = 0;
    if (*n == SEEN_BY_SCAN && a->status == SLM_OK && !forget_reached(a))
        return 0;
    if (!slm_automaton_spend(a, 1))
        return 0;
    if (is_reached(a, *n, item, &slot))
        return 1;
    if (*n >= MAX_REACHED)
        a->status = slm_fail(a->error, SLM_ERR_LIMIT, "grammar", SLM_NO_OFFSET,
                             "the grammar is too ambiguous: a text has more than %d readings",
                             SLM_CONFIG_MAX_ITEMS);
    if (a->status != SLM_OK || !grow(a, &a->reached, *n, &a->cap_reached, sizeof *a->reached))
        return 0;
    if (*n >= SEEN_BY_SCAN)
        a->seen[slot] = (slm_seen){a->seen_epoch, *n};
    a->reached[(*n)++] = item;
    return 1;
}

static uint32_t config_after(slm_automaton *a, uint32_t who, uint32_t n_arcs, uint8_t byte) {
    uint32_t n = 0;
    (void)who;
    for (uint32_t i = 0; i < n_arcs; i++)
        if (a->arcs[i].lo <= byte && byte <= a->arcs[i].hi) {
            if (!grow(a, &a->items, n, &a->cap_items, sizeof *a->items))
                return UINT32_MAX;
            a->items[n++] = (slm_item){a->arcs[i].to, a->arcs[i].stack};
        }
    return n == 0 ? UINT32_MAX : intern_config(a, a->items, n);
}

/* All items reached from those of a config by calling and ending rules, into a->reached. */
static int close_config(slm_automaton *a, uint32_t config, uint32_t *n) {
    uint8_t accepts = 0, escapes = 0;
    *n = 0;
    for (uint32_t i = 0; i < a->configs[config].n_items; i++)
        if (!reach(a, n, a->configs[config].items[i]))
            return 0;
    for (uint32_t i = 0; i < *n; i++) {
        slm_item item = a->reached[i];
        if (!a->frames[item.frame].expanded && !expand_frame(a, item.frame))
            return 0;
        const slm_frame *f = &a->frames[item.frame];
        for (uint32_t c = 0; c < f->n_calls; c++) {
            uint32_t stack = slm_automaton_push(a, f->calls[c].back, item.stack);
            if (!reach(a, n, (slm_item){f->calls[c].start, stack}))
                return 0;
        }
        if (!f->accepts)
            continue;
        accepts |= item.stack == SLM_STACK_TEXT;
        escapes |= item.stack == SLM_STACK_FRAME;
        if (item.stack > SLM_STACK_FRAME &&
            !reach(a, n, (slm_item){a->stacks[item.stack].back, a->stacks[item.stack].below}))
            return 0;
    }
    a->configs[config].accepts = accepts;
    a->configs[config].escapes = escapes;
    return 1;
}

/* The edges of one item alone, whose frame has been expanded. */
static uint32_t follow_edges(slm_automaton *a, slm_item item, slm_frame_edge *edges) {
    const slm_frame *f = &a->frames[item.frame];
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->n_edges && a->status == SLM_OK; i++) {
        slm_frame_edge e = f->edges[i];
        e.frame = slm_automaton_config(a, (slm_item){e.frame, item.stack});
        n = put_edge(edges, n, e);
    }
    return n;
}

int slm_automaton_expand(slm_automaton *a, uint32_t config) {
    slm_frame_edge edges[256];
    uint32_t n_reached, n = 0;
    if (!close_config(a, config, &n_reached))
        return 0;
    if (n_reached == 1) {
        n = follow_edges(a, a->reached[0], edges);
    } else {
        for (uint32_t i = 0; i < n_reached; i++) {
            const slm_frame *f = &a->frames[a->reached[i].frame];
            for (uint32_t e = 0; e < f->n_edges; e++)
                if (!add_arc(a, &n,
                             (slm_arc){f->edges[e].frame, a->reached[i].stack, f->edges[e].lo,
                                       f->edges[e].hi}))
                    return 0;
        }
        n = merge_arcs(a, config, n, config_after, edges);
    }
    if (a->status != SLM_OK)
        return 0;
    slm_guide_config *c = &a->configs[config];
    if (n > 6) {
        uint32_t *dense = keep(a, NULL, 256 * sizeof *dense);
        if (dense == NULL)
            return 0;
        memset(dense, 0, 256 * sizeof *dense);
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t b = edges[i].lo; b <= edges[i].hi; b++)
                dense[b] = edges[i].frame;
        c->dense = dense;
    }
    c->edges = keep(a, edges, n * sizeof *edges);
    if (c->edges == NULL)
        return 0;
    c->n_edges = n;
    c->expanded = 1;
    return 1;
}

static void set_tables(slm_automaton *a, const slm_automaton *from) {
    a->arena = from->arena;
    a->frames = from->frames;
    a->stacks = from->stacks;
    a->configs = from->configs;
    a->n_frames = from->n_frames;
    a->n_stacks = from->n_stacks;
    a->n_configs = from->n_configs;
    a->cap_frames = from->cap_frames;
    a->cap_stacks = from->cap_stacks;
    a->cap_configs = from->cap_configs;
    a->frame_table = from->frame_table;
    a->stack_table = from->stack_table;
    a->config_table = from->config_table;
}

static uint32_t move_frame(slm_automaton *a, const slm_frame *f) {
    return intern_frame(a, f->counted, f->count, f->nodes, f->n_nodes);
}

/* The stack is turned over into a->reached, and made anew from its bottom. */
static uint32_t move_stack(slm_automaton *a, const slm_automaton *old, uint32_t stack) {
    uint32_t n = 0;
    for (; stack > SLM_STACK_FRAME; stack = old->stacks[stack].below) {
        if (!grow(a, &a->reached, n, &a->cap_reached, sizeof *a->reached))
            return 0;
        a->reached[n++].frame = old->stacks[stack].back;
    }
    while (n > 0)
        stack = slm_automaton_push(a, move_frame(a, &old->frames[a->reached[--n].frame]), stack);
    return stack;
}

static uint32_t move_config(slm_automaton *a, const slm_automaton *old, uint32_t config) {
    const slm_guide_config *c = &old->configs[config];
    for (uint32_t i = 0; i < c->n_items; i++) {
        slm_item item = {move_frame(a, &old->frames[c->items[i].frame]),
                         move_stack(a, old, c->items[i].stack)};
        if (!grow(a, &a->items, i, &a->cap_items, sizeof *a->items))
            return 0;
        a->items[i] = item;
    }
    return intern_config(a, a->items, c->n_items);
}

slm_status slm_automaton_forget(slm_automaton *a, uint32_t **kept, size_t n, slm_error *error) {
    uint32_t *numbers = slm_calloc(a->host, n, sizeof *numbers);
    if (numbers == NULL)
        return slm_fail_nomem(error, n * sizeof *numbers, "the automaton of a grammar");
    slm_automaton_begin(a, error);
    slm_automaton old = *a; /* its tables; the rest is shared */
    set_tables(a, &(slm_automaton){.arena = {.host = a->host}});
    memset(a->start_frame, 0, a->grammar->n_rules * sizeof *a->start_frame);
    slm_status status = make_tables(a);
    for (size_t i = 0; i < n && status == SLM_OK; i++) {
        numbers[i] = *kept[i] != 0 ? move_config(a, &old, *kept[i]) : 0;
        status = a->status;
    }
    if (status == SLM_OK) {
        for (size_t i = 0; i < n; i++)
            *kept[i] = numbers[i];
        free_tables(&old);
    } else {
        free_tables(a);
        set_tables(a, &old);
    }
    slm_free(a->host, numbers);
    return status;
}
