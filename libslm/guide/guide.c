#include "guide/guide.h"

#include "guide/gbnf.h"
#include "guide/schema.h"
#include "text/markers.h"

#include <inttypes.h>
#include <string.h>

enum { MAX_TRIGGERS = 64, MAX_TRIGGER_BYTES = 256, MAX_STATES = 1025, MAX_FORCED = 1024 };
#define DEFAULT_MEMORY ((uint64_t)64 << 20)
#define LEAST_MEMORY   ((uint64_t)4 << 20)

/* ---- memory -----------------------------------------------------------------------------------
 */

static void *take_memory(void *user, size_t size, size_t align) {
    (void)align; /* slm_alloc gives 64, the host asks for no more */
    slm_guide *g = user;
    return slm_alloc(g->below, size);
}

static void give_memory(void *user, void *ptr, size_t size, size_t align) {
    (void)size;
    (void)align;
    slm_guide *g = user;
    slm_free(g->below, ptr);
}

/* A guide that outgrows its own limit is too large, however much memory there is. */
static slm_status explain(const slm_guide *g, slm_status status, slm_error *error) {
    if (status != SLM_ERR_NOMEM || !atomic_load(&g->host.was_full))
        return status;
    return slm_fail(error, SLM_ERR_LIMIT, "memory_limit", SLM_NO_OFFSET,
                    "the grammar or schema needs more than the %" PRIu64 " bytes that its guide may "
                    "hold (memory_limit)", g->host.limit);
}

/* ---- lazy -------------------------------------------------------------------------------------
 */

/* An Aho-Corasick automaton over the trigger texts (Aho and Corasick 1975) as nodes of the grammar:
 * in any of its states the text may end, and where a text is complete the grammar begins. */
typedef struct states {
    uint32_t next[MAX_STATES][256]; /* [n]; 0 is the start */
    uint32_t fail[MAX_STATES];
    uint8_t done[MAX_STATES];
    uint32_t n;
} states;

static slm_status add_text(states *t, slm_str text, slm_error *error) {
    uint32_t at = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint32_t *next = &t->next[at][(uint8_t)text.ptr[i]];
        if (*next == 0 && t->n == MAX_STATES)
            return slm_fail(error, SLM_ERR_LIMIT, "triggers", SLM_NO_OFFSET,
                            "slm_guide_options.triggers: got more than %d bytes in all",
                            MAX_STATES - 1);
        if (*next == 0)
            *next = t->n++;
        at = *next;
    }
    t->done[at] = 1;
    return SLM_OK;
}

/* Fills in what follows where a text breaks off, breadth first. */
static void complete_states(states *t) {
    static const uint32_t start = 0;
    uint32_t queue[MAX_STATES], n = 0;
    for (uint32_t b = 0; b < 256; b++)
        if (t->next[start][b] != 0)
            queue[n++] = t->next[start][b];
    for (uint32_t i = 0; i < n; i++) {
        uint32_t state = queue[i], fail = t->fail[state];
        t->done[state] |= t->done[fail];
        for (uint32_t b = 0; b < 256; b++) {
            uint32_t next = t->next[state][b];
            if (next == 0) {
                t->next[state][b] = t->next[fail][b];
                continue;
            }
            t->fail[next] = t->next[fail][b];
            queue[n++] = next;
        }
    }
}

/* Wraps the grammar's root. */
static slm_status make_lazy(slm_guide *g, const states *t, slm_error *error) {
    slm_grammar *gr = &g->grammar;
    uint32_t rule = slm_grammar_rule_new(gr), begin = gr->n_nodes;
    SLM_TRY(slm_grammar_check(gr, error));
    for (uint32_t s = 0; s < t->n; s++)
        (void)slm_grammar_node(gr);
    g->lazy = (slm_guide_lazy){begin, gr->n_nodes, slm_grammar_node(gr)};
    SLM_TRY(slm_grammar_check(gr, error));
    slm_grammar_rule r = gr->rules[rule];
    slm_grammar_empty(gr, r.start, begin);
    slm_grammar_call(gr, g->lazy.woken, gr->root, r.end);
    for (uint32_t s = 0; s < t->n; s++) {
        if (t->done[s])
            continue;
        slm_grammar_empty(gr, begin + s, r.end);
        for (uint32_t lo = 0, hi; lo < 256; lo = hi + 1) {
            uint32_t next = t->next[s][lo];
            for (hi = lo; hi < 255 && t->next[s][hi + 1] == next;)
                hi++;
            slm_grammar_bytes(gr, begin + s, (uint8_t)lo, (uint8_t)hi,
                              t->done[next] ? g->lazy.woken : begin + next);
        }
    }
    gr->root = rule;
    g->is_lazy = 1;
    return slm_grammar_check(gr, error);
}

/* A trigger that is spelt like a token also wakes as that token, whose bytes may not be text. */
static slm_status read_triggers(slm_guide *g, const slm_guide_options *o, slm_error *error) {
    if (o->n_triggers > MAX_TRIGGERS || o->n_trigger_tokens > MAX_TRIGGERS)
        return slm_fail(error, SLM_ERR_LIMIT, "triggers", SLM_NO_OFFSET,
                        "slm_guide_options: got more than %d triggers", MAX_TRIGGERS);
    states *t = slm_calloc(&g->host, 1, sizeof *t);
    g->triggers = slm_calloc(&g->host, o->n_triggers + o->n_trigger_tokens, sizeof *g->triggers);
    slm_status status = SLM_OK;
    if (t == NULL || g->triggers == NULL)
        status = slm_fail_nomem(error, sizeof *t, "the triggers of a grammar");
    for (size_t i = 0; status == SLM_OK && i < o->n_trigger_tokens; i++) {
        int32_t id = o->trigger_tokens[i];
        if (g->trie == NULL || id < 0 || (uint32_t)id >= g->trie->n_vocab)
            status =
                slm_fail(error, SLM_ERR_RANGE, "trigger_tokens", SLM_NO_OFFSET,
                         "slm_guide_options.trigger_tokens[%zu]: got %d, wanted a token of the "
                         "model",
                         i, id);
        else
            g->triggers[g->n_triggers++] = id;
    }
    if (t != NULL)
        t->n = 1;
    for (size_t i = 0; status == SLM_OK && i < o->n_triggers; i++) {
        slm_str text = {o->triggers[i].text, o->triggers[i].len};
        if (text.len == SLM_NTS && text.ptr != NULL)
            text.len = strlen(text.ptr);
        if (text.ptr == NULL || text.len == 0 || text.len > MAX_TRIGGER_BYTES) {
            status = slm_fail(error, SLM_ERR_RANGE, "triggers", SLM_NO_OFFSET,
                              "slm_guide_options.triggers[%zu]: wanted a text of 1 to %d bytes", i,
                              MAX_TRIGGER_BYTES);
            break;
        }
        status = add_text(t, text, error);
        int32_t id = g->trie != NULL ? slm_vocab_find(g->trie->vocab, text.ptr, text.len) : -1;
        if (id >= 0)
            g->triggers[g->n_triggers++] = id;
    }
    if (status == SLM_OK) {
        complete_states(t);
        status = make_lazy(g, t, error);
    }
    slm_free(&g->host, t);
    return status;
}

/* ---- guides -----------------------------------------------------------------------------------
 */

static slm_status compile(slm_guide *g, const slm_guide_source *source,
                          const slm_tool_rules *tools, const slm_guide_options *o,
                          slm_error *error) {
    uint32_t free_string = 0;
    slm_grammar *gr = &g->grammar;
    /* An object may be a call or text: that is known at its end. */
    g->has_calls = tools != NULL && !(tools->format->bare && slm_tools_hold_text(tools));
    if (tools != NULL) {
        SLM_TRY(slm_tools_compile(gr, source->text, source->len, tools,
                                  (o->flags & SLM_GUIDE_ONE_CALL) != 0, &free_string, error));
        if (g->trie != NULL)
            g->n_spelled = slm_markers_find(g->trie->vocab, tools->format, g->spelled);
    } else if (source->is_schema) {
        SLM_TRY(slm_schema_compile(gr, source->text, source->len, o->flags & SLM_GUIDE_LENIENT,
                                   &free_string, error));
    } else {
        SLM_TRY(slm_gbnf_compile(gr, source->text, source->len, error));
        uint8_t *productive = slm_calloc(&g->host, gr->n_rules, 1);
        if (productive == NULL)
            return slm_fail_nomem(error, gr->n_rules, "the grammar");
        slm_status status = slm_grammar_trim(gr, productive, error);
        if (status == SLM_OK && !productive[gr->root])
            status = slm_fail(error, SLM_ERR_GRAMMAR, "grammar", SLM_NO_OFFSET,
                              "grammar: no text that ends matches rule root");
        slm_free(&g->host, productive);
        SLM_TRY(status);
    }
    if (o->n_triggers > 0 || o->n_trigger_tokens > 0)
        SLM_TRY(read_triggers(g, o, error));
    SLM_TRY(slm_automaton_open(&g->host, gr, &g->automaton, error));
    if (g->trie == NULL)
        return SLM_OK;
    SLM_TRY(slm_masker_open(&g->host, &g->automaton, g->trie, free_string, &g->masker, error));
    slm_automaton_begin(&g->automaton, error);
    return slm_masker_warm_up(&g->masker, g->host.limit / 4, error);
}

static void destroy(slm_guide *g) {
    slm_host *below = g->below, last;
    if (g->masker.host != NULL)
        slm_masker_close(&g->masker);
    if (g->automaton.host != NULL)
        slm_automaton_close(&g->automaton);
    slm_grammar_free(&g->grammar);
    slm_free(&g->host, g->triggers);
    if (below == &g->plain) { /* the guide itself came from it */
        last = g->plain;
        below = &last;
    }
    slm_free(below, g);
}

/* Half of what is left. */
static void set_forget_at(slm_guide *g) {
    uint64_t held = atomic_load(&g->host.bytes);
    g->forget_at = held + (g->host.limit - held) / 2;
}

slm_status slm_guide_create(slm_host *below, const slm_guide_source *source,
                            const slm_tool_rules *tools, const slm_guide_options *options,
                            slm_trie *trie,
                            void (*release)(void *), void *owner, slm_guide **out,
                            slm_error *error) {
    uint32_t known = tools != NULL ? SLM_GUIDE_ONE_CALL : SLM_GUIDE_LENIENT;
    *out = NULL;
    if (options->flags & ~known)
        return slm_fail(error, SLM_ERR_ARG, "flags", SLM_NO_OFFSET,
                        "slm_guide_options.flags: got 0x%x, which has unknown bits",
                        options->flags);
    if ((options->n_triggers > 0 && options->triggers == NULL) ||
        (options->n_trigger_tokens > 0 && options->trigger_tokens == NULL))
        return slm_fail(error, SLM_ERR_ARG, "triggers", SLM_NO_OFFSET,
                        "slm_guide_options: got NULL for a list of triggers that is not empty");
    if (options->memory_limit > 0 && options->memory_limit < LEAST_MEMORY)
        return slm_fail(error, SLM_ERR_RANGE, "memory_limit", SLM_NO_OFFSET,
                        "slm_guide_options.memory_limit: got %llu bytes, wanted 4 MiB or more",
                        (unsigned long long)options->memory_limit);
    slm_host plain;
    slm_host_init(&plain, options->allocator, NULL, NULL, SLM_LOG_NONE);
    slm_guide *g = slm_calloc(below != NULL ? below : &plain, 1, sizeof *g);
    if (g == NULL)
        return slm_fail_nomem(error, sizeof *g, "a guide");
    if (below == NULL) {
        slm_host_init(&g->plain, options->allocator, NULL, NULL, SLM_LOG_NONE);
        atomic_store(&g->plain.bytes, atomic_load(&plain.bytes));
        below = &g->plain;
    }
    slm_allocator allocator = {take_memory, give_memory, g};
    g->below = below;
    slm_host_init(&g->host, &allocator, below->log, below->log_user, below->log_level);
    g->host.limit = options->memory_limit > 0 ? options->memory_limit : DEFAULT_MEMORY;
    g->n_refs = 1;
    g->trie = trie;
    slm_grammar_init(&g->grammar, &g->host);
    slm_status status = explain(g, compile(g, source, tools, options, error), error);
    if (status != SLM_OK) {
        destroy(g);
        return status;
    }
    set_forget_at(g);
    g->release = release;
    g->owner = owner;
    *out = g;
    return SLM_OK;
}

void slm_guide_retain(slm_guide *g) {
    g->n_refs++;
}

void slm_guide_release(slm_guide *g) {
    if (g == NULL || --g->n_refs > 0)
        return;
    void (*release)(void *) = g->release;
    void *owner = g->owner;
    destroy(g);
    if (release != NULL)
        release(owner);
}

/* Before a call: when much memory is held, drops what can be found again. */
static slm_status begin(slm_guide *g, slm_error *error) {
    slm_automaton *a = &g->automaton;
    atomic_store(&g->host.was_full, 0);
    if (g->host.bytes > g->forget_at) {
        uint32_t n = 0;
        if (g->masker.host != NULL)
            slm_masker_shrink(&g->masker);
        for (const slm_matcher *m = g->matchers; m != NULL; m = m->next)
            n += 2;
        uint32_t **kept = slm_calloc(&g->host, n, sizeof *kept);
        if (kept == NULL)
            return slm_fail_nomem(error, n * sizeof *kept, "a guide");
        n = 0;
        for (slm_matcher *m = g->matchers; m != NULL; m = m->next) {
            kept[n++] = &m->config;
            kept[n++] = &m->before;
        }
        slm_status status = slm_automaton_forget(a, kept, n, error);
        slm_free(&g->host, kept);
        SLM_TRY(status);
        set_forget_at(g);
    }
    slm_automaton_begin(a, error);
    return SLM_OK;
}

/* ---- matchers ---------------------------------------------------------------------------------
 */

static slm_status restart(slm_matcher *m, slm_error *error) {
    slm_automaton *a = &m->guide->automaton;
    SLM_TRY(begin(m->guide, error));
    uint32_t frame = slm_automaton_start_frame(a, m->guide->grammar.root);
    uint32_t config =
        a->status == SLM_OK ? slm_automaton_config(a, (slm_item){frame, SLM_STACK_TEXT}) : 0;
    SLM_TRY(a->status);
    m->config = config;
    return SLM_OK;
}

static slm_status create_matcher(slm_guide *g, slm_matcher **out, slm_error *error) {
    *out = NULL;
    atomic_store(&g->host.was_full, 0);
    slm_matcher *m = slm_calloc(&g->host, 1, sizeof *m);
    if (m == NULL)
        return slm_fail_nomem(error, sizeof *m, "a matcher");
    slm_guide_retain(g);
    m->guide = g;
    m->next = g->matchers;
    m->link = &g->matchers;
    if (m->next != NULL)
        m->next->link = &m->next;
    g->matchers = m;
    slm_status status = SLM_OK;
    if (g->trie != NULL) {
        m->token_bytes = slm_alloc(&g->host, slm_vocab_max_token_bytes(g->trie->vocab));
        int own_bits = g->is_lazy || g->n_spelled > 0;
        m->bits = own_bits ? slm_alloc(&g->host, g->masker.n_words * sizeof *m->bits) : NULL;
        if (m->token_bytes == NULL || (own_bits && m->bits == NULL))
            status = slm_fail_nomem(error, g->masker.n_words * 8u, "a matcher");
    }
    if (status == SLM_OK)
        status = restart(m, error);
    if (status != SLM_OK) {
        slm_matcher_destroy(m);
        return status;
    }
    *out = m;
    return SLM_OK;
}

void slm_matcher_destroy(slm_matcher *m) {
    if (m == NULL)
        return;
    slm_guide *g = m->guide;
    *m->link = m->next;
    if (m->next != NULL)
        m->next->link = m->link;
    slm_free(&g->host, m->token_bytes);
    slm_free(&g->host, m->bits);
    slm_free(&g->host, m->forced);
    slm_free(&g->host, m);
    slm_guide_release(g);
}

/* The automaton of the triggers is in exactly one of its states. */
int slm_matcher_sleeps(const slm_matcher *m) {
    const slm_guide *g = m->guide;
    const slm_guide_config *c = &g->automaton.configs[m->config];
    if (!g->is_lazy || c->n_items == 0)
        return 0;
    const slm_frame *f = &g->automaton.frames[c->items[0].frame];
    for (uint32_t i = 0; i < f->n_nodes; i++)
        if (f->nodes[i] >= g->lazy.begin && f->nodes[i] < g->lazy.end)
            return 1;
    return 0;
}

/* Takes bytes in pieces, between which memory can be given back. *at receives how many were taken,
 * and *has_left whether the next one leaves the grammar. */
static slm_status step(slm_matcher *m, const char *bytes, size_t n, size_t *at, int *has_left,
                       slm_error *error) {
    enum { PIECE = 64 };
    slm_automaton *a = &m->guide->automaton;
    slm_status status = SLM_OK;
    m->before = m->config;
    *has_left = 0;
    for (*at = 0; *at < n && status == SLM_OK && !*has_left; ++*at) {
        if (*at % PIECE == 0)
            status = begin(m->guide, error);
        uint32_t next =
            status == SLM_OK ? slm_automaton_step(a, m->config, (uint8_t)bytes[*at]) : 0;
        status = status == SLM_OK ? a->status : status;
        a->work = 0; /* it is a byte whose work is bounded */
        *has_left = next == 0;
        m->config = next;
    }
    if (status != SLM_OK || *has_left) {
        m->config = m->before;
        --*at;
    }
    m->before = 0;
    return status;
}

static slm_status take_bytes(slm_matcher *m, const char *bytes, size_t n, slm_error *error) {
    size_t at;
    int has_left;
    SLM_TRY(step(m, bytes, n, &at, &has_left, error));
    if (has_left)
        return slm_fail(error, SLM_ERR_RANGE, "guide", at,
                        "the text leaves the grammar at byte %zu", at);
    return SLM_OK;
}

/* Where the grammar begins. */
static slm_status wake(slm_matcher *m, slm_error *error) {
    slm_automaton *a = &m->guide->automaton;
    uint32_t config = 0;
    SLM_TRY(begin(m->guide, error));
    uint32_t frame = slm_automaton_frame_at(a, m->guide->lazy.woken);
    if (a->status == SLM_OK)
        config = slm_automaton_config(a, (slm_item){frame, SLM_STACK_TEXT});
    SLM_TRY(a->status);
    m->config = config;
    return SLM_OK;
}

int slm_matcher_knows(const slm_matcher *m, int32_t token) {
    const slm_trie *t = m->guide->trie;
    return !slm_vocab_is_end(t->vocab, token) && !(t->outside[token / 64] >> (token % 64) & 1);
}

int slm_guide_spells(const slm_guide *g, int32_t token) {
    for (size_t i = 0; i < g->n_spelled; i++)
        if (g->spelled[i] == token)
            return 1;
    return 0;
}

/* Whether the spelling of a control token may come after a config. */
static int fits(slm_matcher *m, uint32_t config, int32_t token) {
    slm_automaton *a = &m->guide->automaton;
    slm_str bytes = slm_vocab_text(m->guide->trie->vocab, token);
    for (size_t i = 0; i < bytes.len && config != 0; i++)
        config = slm_automaton_step(a, config, (uint8_t)bytes.ptr[i]);
    return config != 0;
}

static slm_status take(slm_matcher *m, int32_t token, slm_error *error) {
    slm_guide *g = m->guide;
    const slm_trie *t = g->trie;
    size_t at = 0;
    int has_left;
    if (token < 0 || (uint32_t)token >= t->n_vocab)
        return slm_fail(error, SLM_ERR_RANGE, "token", SLM_NO_OFFSET,
                        "got token %d, wanted one below %u", token, t->n_vocab);
    int sleeps = slm_matcher_sleeps(m);
    for (uint32_t i = 0; sleeps && i < g->n_triggers; i++)
        if (g->triggers[i] == token)
            return wake(m, error);
    if (sleeps && t->outside[token / 64] >> (token % 64) & 1)
        return SLM_OK;
    int is_spelled = slm_guide_spells(g, token);
    if (is_spelled || slm_matcher_knows(m, token)) {
        slm_str bytes = is_spelled ? slm_vocab_text(t->vocab, token)
                                   : slm_vocab_token_bytes(t->vocab, token, 0, m->token_bytes);
        SLM_TRY(step(m, bytes.ptr, bytes.len, &at, &has_left, error));
        if (!has_left)
            return SLM_OK;
    }
    return slm_fail(error, SLM_ERR_RANGE, "guide", SLM_NO_OFFSET,
                    "token %d leaves the grammar at its byte %zu", token, at);
}

static slm_status state(slm_matcher *m, int *can_end, int *must_end, slm_error *error) {
    slm_automaton *a = &m->guide->automaton;
    SLM_TRY(begin(m->guide, error));
    if (!a->configs[m->config].expanded && !slm_automaton_expand(a, m->config))
        return a->status;
    const slm_guide_config *c = &a->configs[m->config];
    *can_end = c->accepts;
    *must_end = c->n_edges == 0;
    return SLM_OK;
}

static slm_status find(slm_matcher *m, const uint64_t **bits, size_t *n_words, slm_error *error) {
    slm_guide *g = m->guide;
    SLM_TRY(begin(g, error));
    SLM_TRY(slm_masker_find(&g->masker, m->config, bits, error));
    *n_words = g->masker.n_words;
    int sleeps = slm_matcher_sleeps(m);
    if (!sleeps && g->n_spelled == 0)
        return SLM_OK;
    for (uint32_t w = 0; w < g->masker.n_words; w++)
        m->bits[w] = (*bits)[w] | (sleeps ? g->trie->outside[w] : 0);
    for (uint32_t i = 0; sleeps && i < g->n_triggers; i++)
        m->bits[g->triggers[i] / 64] |= (uint64_t)1 << (g->triggers[i] % 64);
    for (size_t i = 0; i < g->n_spelled; i++)
        if (fits(m, m->config, g->spelled[i]))
            m->bits[g->spelled[i] / 64] |= (uint64_t)1 << (g->spelled[i] % 64);
    *bits = m->bits;
    return g->automaton.status;
}

/* Where a control token may come, the model chooses between it and its spelling. */
static int any_fits(slm_matcher *m, uint32_t config) {
    const slm_guide *g = m->guide;
    for (size_t i = 0; i < g->n_spelled; i++)
        if (fits(m, config, g->spelled[i]))
            return 1;
    return 0;
}

static slm_status find_forced(slm_matcher *m, const char **bytes, size_t *n, slm_error *error) {
    slm_automaton *a = &m->guide->automaton;
    *n = 0;
    *bytes = "";
    SLM_TRY(begin(m->guide, error)); /* which may give the config another number */
    uint32_t config = m->config;
    if (m->forced == NULL) {
        m->forced = slm_alloc(&m->guide->host, MAX_FORCED);
        if (m->forced == NULL)
            return slm_fail_nomem(error, MAX_FORCED, "a matcher");
    }
    while (*n < MAX_FORCED) {
        if (!a->configs[config].expanded && !slm_automaton_expand(a, config))
            return a->status;
        const slm_guide_config *c = &a->configs[config];
        if (c->accepts || c->n_edges != 1 || c->edges[0].lo != c->edges[0].hi ||
            any_fits(m, config))
            break;
        c = &a->configs[config]; /* which may have moved */
        m->forced[(*n)++] = (char)c->edges[0].lo;
        config = c->edges[0].frame;
    }
    *bytes = m->forced;
    return SLM_OK;
}

/* ---- calls from outside -----------------------------------------------------------------------
 *
 * Here, as in slm_guide_create, a failure gets its reason once, whatever it was that failed. */

slm_status slm_matcher_create(slm_guide *g, slm_matcher **out, slm_error *error) {
    return explain(g, create_matcher(g, out, error), error);
}

slm_status slm_matcher_restart(slm_matcher *m, slm_error *error) {
    return explain(m->guide, restart(m, error), error);
}

slm_status slm_matcher_take_bytes(slm_matcher *m, const char *bytes, size_t n, slm_error *error) {
    return explain(m->guide, take_bytes(m, bytes, n, error), error);
}

slm_status slm_matcher_take(slm_matcher *m, int32_t token, slm_error *error) {
    return explain(m->guide, take(m, token, error), error);
}

slm_status slm_matcher_state(slm_matcher *m, int *can_end, int *must_end, slm_error *error) {
    return explain(m->guide, state(m, can_end, must_end, error), error);
}

slm_status slm_matcher_find(slm_matcher *m, const uint64_t **bits, size_t *n_words,
                            slm_error *error) {
    return explain(m->guide, find(m, bits, n_words, error), error);
}

slm_status slm_matcher_find_forced(slm_matcher *m, const char **bytes, size_t *n,
                                   slm_error *error) {
    return explain(m->guide, find_forced(m, bytes, n, error), error);
}
