#include "guide/mask_walk.h"

#include <string.h>

#define SHARE_OF_TRIE 12u /* one in so many nodes is looked at before a walk is given up   */
#define MAX_GIVEN_UP  2u
#define NO_LIMIT      ((uint64_t)1 << 60)

static slm_status add_escape(slm_masker *m, uint32_t node, slm_error *error) {
    if (m->n_escapes == m->cap_escapes) {
        uint32_t cap = m->cap_escapes == 0 ? 1024 : m->cap_escapes * 2;
        uint32_t *larger = slm_realloc(m->host, m->escapes, cap * sizeof *larger);
        if (larger == NULL)
            return slm_fail_nomem(error, cap * sizeof *larger, "the masks of a grammar");
        m->escapes = larger;
        m->cap_escapes = cap;
    }
    m->escapes[m->n_escapes++] = node;
    return SLM_OK;
}

/* Whether most tokens begin with a byte that a config, which is expanded, takes. */
static int takes_most(const slm_masker *m, const slm_guide_config *c) {
    const slm_trie *t = m->trie;
    uint32_t n = 0;
    for (uint32_t i = 0, branch = 0; i < t->n_nodes; i = t->nodes[i].skip) {
        if (!t->nodes[i].is_branch)
            continue;
        const slm_trie_branch *b = &t->branches[branch];
        n += slm_config_after(c, t->nodes[i].byte) != 0 ? b->end - b->first : 0;
        branch = b->skip;
    }
    return n > t->n_ids / 2;
}

/* The tokens of a branch. */
static void mark_branch(slm_masker *m, const slm_trie_branch *b, int taken) {
    const int32_t *ids = m->trie->ids;
    if (taken)
        for (uint32_t i = b->first; i < b->end; i++)
            set_bit(m->scratch, ids[i]);
    else
        for (uint32_t i = b->first; i < b->end; i++)
            clear_bit(m->scratch, ids[i]);
}

/* The config of a node that has others below it. Where the frame ends with more to come, the place
 * is noted. */
static slm_status enter(slm_masker *m, uint32_t node, uint32_t config, int may_escape,
                        slm_walk_level *level, slm_error *error) {
    slm_automaton *a = m->automaton;
    if (!a->configs[config].expanded && !slm_automaton_expand(a, config))
        return a->status;
    *level = (slm_walk_level){config, a->configs[config].dense};
    return may_escape && a->configs[config].escapes ? add_escape(m, node, error) : SLM_OK;
}

/* How many nodes a walk may come to: so many that giving it up is no great loss, and fewer after
 * others on frames of the same rule that were given up, which tell that it will be. */
static uint64_t last_node(const slm_masker *m, uint32_t rule) {
    return m->n_before + (m->trie->n_nodes / SHARE_OF_TRIE >> 2 * m->given_up[rule]);
}

static void learn(slm_masker *m, uint32_t rule, int done) {
    uint8_t n = m->given_up[rule];
    m->given_up[rule] = (uint8_t)(done ? 0 : n + (n < MAX_GIVEN_UP));
}

static int any_byte(const slm_byte_set *s) {
    return (s->bits[0] | s->bits[1] | s->bits[2] | s->bits[3]) != 0;
}

/* Over the trie from a config, of a frame on the stack FRAME if something may follow it: sets the
 * bits of what it takes in scratch, and notes the nodes where the frame ends with more to come that
 * may follow it. Where most is taken, all is at first, and what is not is cleared. When so many
 * nodes have been looked at in all, what has been found so far is of no use, and *done is 0. */
static slm_status walk_trie(slm_masker *m, uint32_t config, const slm_byte_set *follow,
                            uint64_t most_visited, int *done, slm_error *error) {
    slm_automaton *a = m->automaton;
    const slm_trie *t = m->trie;
    const slm_trie_node *nodes = t->nodes;
    slm_walk_level *levels = m->levels;
    uint32_t n_nodes = t->n_nodes;
    int may_escape = any_byte(follow);
    int most = takes_most(m, &a->configs[config]);
    int32_t none = (int32_t)(m->n_words * 64); /* a bit that nobody reads: cheaper than to ask */
    uint64_t before = m->n_visited;
    m->n_escapes = 0;
    memset(levels, 0, (t->max_depth + 1u) * sizeof *levels);
    levels[0] = (slm_walk_level){config, a->configs[config].dense};
    slm_kinds_begin(m->kinds, a, follow);
    if (most)
        memcpy(m->scratch, t->inside, m->n_words * sizeof *m->scratch);
    *done = 1;
    for (uint32_t i = 0, branch = 0; i < n_nodes; m->n_visited++) {
        const slm_trie_node *node = &nodes[i];
        if (m->n_visited >= most_visited) {
            *done = 0;
            break;
        }
        const slm_walk_level *from = &levels[node->depth - 1];
        const slm_trie_branch *b = node->is_branch ? &t->branches[branch++] : NULL;
        uint32_t next = from->dense != NULL
                            ? from->dense[node->byte]
                            : slm_config_after(&a->configs[from->config], node->byte);
        if (b != NULL &&
            (next == 0 || slm_kinds_take(m->kinds, b->partial ? from->config : next, b))) {
            if ((next != 0) != most)
                mark_branch(m, b, !most);
            if (next != 0 && may_escape && !b->partial && a->configs[next].escapes)
                SLM_TRY(add_escape(m, i, error));
            i = node->skip;
            branch = b->skip;
            continue;
        }
        if (next == 0) {
            for (; i < node->skip; i++)
                clear_bit(m->scratch, most && nodes[i].token >= 0 ? nodes[i].token : none);
            continue;
        }
        if (!most)
            set_bit(m->scratch, node->token >= 0 ? node->token : none);
        const slm_guide_config *c = &a->configs[next];
        levels[node->depth] = (slm_walk_level){next, c->dense};
        if ((!c->expanded || (c->escapes && may_escape)) && node->skip > i + 1)
            SLM_TRY(enter(m, i, next, may_escape, &levels[node->depth], error));
        i++;
    }
    (void)slm_automaton_spend(a, m->n_visited - before + m->n_words);
    return a->status;
}

/* The same, over all nodes. */
slm_status slm_mask_walk_flat(slm_masker *m, uint32_t config, const slm_byte_set *follow,
                              slm_error *error) {
    slm_automaton *a = m->automaton;
    int done;
    memset(m->scratch, 0, m->n_words * sizeof *m->scratch);
    m->n_escapes = 0;
    if (!slm_flat_walk(&m->flat, a, config, NO_LIMIT)) {
        SLM_TRY(a->status);
        return walk_trie(m, config, follow, NO_LIMIT, &done, error);
    }
    m->n_visited += m->trie->n_nodes / SLM_FLAT_NODES;
    m->n_flat++;
    slm_flat_add(&m->flat, m->scratch);
    uint32_t n = any_byte(follow) ? slm_flat_escapes(&m->flat, m->escapes, m->cap_escapes) : 0;
    if (n > m->cap_escapes) {
        uint32_t *larger = slm_realloc(m->host, m->escapes, n * sizeof *larger);
        if (larger == NULL)
            return slm_fail_nomem(error, n * sizeof *larger, "the masks of a grammar");
        m->escapes = larger;
        m->cap_escapes = n;
        (void)slm_flat_escapes(&m->flat, m->escapes, m->cap_escapes);
    }
    m->n_escapes = n;
    return SLM_OK;
}

slm_status slm_mask_walk(slm_masker *m, uint32_t config, const slm_byte_set *follow, uint32_t rule,
                         int *done, slm_error *error) {
    int is_first = m->n_visited == m->n_before; /* others have left less than its share */
    slm_status status = walk_trie(m, config, follow, last_node(m, rule), done, error);
    if (status == SLM_OK && is_first)
        learn(m, rule, *done);
    return status;
}
