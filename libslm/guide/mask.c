#include "guide/mask_walk.h"

#include <string.h>

#define FEW_IDS    1024u
#define LONG_WALK  8192u /* nodes of the trie                                                   */
#define TAIL_NODES 4u    /* nodes of a walk take the time of making a tail */
#define MAX_JOINT  (1u << 17) /* operations on the grammar, of several frames together */
#define MANY_NEW   256u       /* configs: a mask with so many new ones takes long for them */
#define WARM_STEPS 12 /* tokens of a text whose masks are made in warm-up, where they take long */
#define MAX_WARM_UP                                                                                \
    800000u /* nodes of the trie, or operations on the grammar: a few milliseconds */

slm_status slm_masker_open(slm_host *host, slm_automaton *a, slm_trie *trie, uint32_t free_string,
                           slm_masker *m, slm_error *error) {
    *m = (slm_masker){.host = host,
                      .automaton = a,
                      .trie = trie,
                      .free_string = free_string,
                      .n_words = (trie->n_vocab + 63) / 64};
    m->path = slm_calloc(host, trie->max_depth + 1u, sizeof *m->path);
    m->scratch = slm_calloc(host, m->n_words + 1u, sizeof *m->scratch);
    m->given_up = slm_calloc(host, a->grammar->n_rules + 1u, 1);
    m->levels = slm_calloc(host, trie->max_depth + 1u, sizeof *m->levels);
    m->kinds = slm_calloc(host, 1, sizeof *m->kinds);
    if (m->path == NULL || m->scratch == NULL || m->levels == NULL || m->kinds == NULL ||
        m->given_up == NULL)
        return slm_fail_nomem(error, m->n_words * sizeof *m->scratch, "the masks of a grammar");
    slm_flat_open(host, a->grammar, trie, &m->flat);
    return slm_call_sites_open(host, a->grammar, &m->sites, error);
}

static void free_frame(slm_masker *m, slm_frame_mask *f) {
    if (f == NULL)
        return;
    slm_tails_free(m->host, &f->tails);
    slm_free(m->host, f->bits);
    slm_free(m->host, f->ids);
    slm_free(m->host, f);
}

void slm_masker_shrink(slm_masker *m) {
    for (uint32_t i = 0; i < m->cap_frames; i++)
        free_frame(m, m->frames[i]);
    slm_free(m->host, m->frames);
    m->frames = NULL;
    m->cap_frames = 0;
    slm_mask_free_classes(m);
    memset(m->recent_config, 0, sizeof m->recent_config);
    if (m->flat.host != NULL)
        slm_flat_drop(&m->flat);
}

void slm_masker_close(slm_masker *m) {
    slm_masker_shrink(m);
    slm_call_sites_close(m->host, &m->sites);
    slm_free(m->host, m->path);
    slm_free(m->host, m->scratch);
    slm_free(m->host, m->levels);
    slm_free(m->host, m->given_up);
    slm_free(m->host, m->kinds);
    slm_free(m->host, m->escapes);
    slm_free(m->host, m->items);
    for (size_t i = 0; i < SLM_MASK_RECENT; i++)
        slm_free(m->host, m->recent[i]);
}

/* ---- tails ------------------------------------------------------------------------------------
 */

slm_status slm_mask_apply_tails(slm_masker *m, const slm_tails *t, uint32_t config, uint32_t least,
                                uint32_t most, uint64_t *bits) {
    slm_automaton *a = m->automaton;
    uint64_t work = 1;
    m->path[0] = config;
    for (uint32_t i = 0; i < t->n_nodes && a->status == SLM_OK; work++) {
        const slm_trie_node *node = &t->nodes[i];
        uint32_t next = slm_automaton_step(a, m->path[node->depth - 1], node->byte);
        if (next == 0) {
            i = node->skip;
            continue;
        }
        m->path[node->depth] = next;
        i++;
        if (node->token < 0)
            continue;
        work += t->first[node->token + 1] - t->first[node->token];
        for (uint32_t j = t->first[node->token]; j < t->first[node->token + 1]; j++)
            if (t->before == NULL || (t->before[j] >= least && t->before[j] <= most))
                set_bit(bits, t->ids[j]);
    }
    (void)slm_automaton_spend(a, work);
    return a->status;
}

uint32_t slm_mask_below(slm_automaton *a, uint32_t stack) {
    slm_stack s = a->stacks[stack];
    return slm_automaton_config(a, (slm_item){s.back, s.below});
}

/* ---- frames -----------------------------------------------------------------------------------
 */

static uint32_t count_scratch(const slm_masker *m) {
    uint32_t n = 0;
    for (uint32_t w = 0; w < m->n_words; w++)
        n += (uint32_t)__builtin_popcountll(m->scratch[w]);
    return n;
}

static void list_scratch(const slm_masker *m, int32_t *ids) {
    for (uint32_t w = 0; w < m->n_words; w++)
        for (uint64_t bits = m->scratch[w]; bits != 0; bits &= bits - 1)
            *ids++ = (int32_t)(w * 64 + (uint32_t)__builtin_ctzll(bits));
}

/* What the walk found, as a mask of its own. */
static slm_status keep_frame(slm_masker *m, const slm_byte_set *follow, slm_frame_mask *f,
                             slm_error *error) {
    uint32_t n = count_scratch(m);
    if (n <= FEW_IDS) {
        f->ids = slm_alloc(m->host, n * sizeof *f->ids);
        f->n_ids = n;
    } else {
        f->bits = slm_alloc(m->host, m->n_words * sizeof *f->bits);
    }
    if (f->ids == NULL && f->bits == NULL)
        return slm_fail_nomem(error, m->n_words * sizeof *f->bits, "the masks of a grammar");
    if (f->bits != NULL)
        memcpy(f->bits, m->scratch, m->n_words * sizeof *f->bits);
    else
        list_scratch(m, f->ids);
    f->is_open = (uint8_t)slm_tails_exceed(m->trie, m->escapes, m->n_escapes, follow,
                                           m->is_warm ? SLM_MANY_TAILS : SLM_MANY_BEFORE);
    if (f->is_open)
        return SLM_OK;
    slm_status status =
        slm_tails_make(m->host, m->trie, m->escapes, NULL, m->n_escapes, follow, &f->tails, error);
    if (f->tails.n_nodes > 0)
        m->n_visited += (uint64_t)f->tails.first[f->tails.n_groups] * TAIL_NODES;
    return status;
}

/* *done: as for walk_trie, and 1 if it is the only one to find out about. */
static slm_status make_frame(slm_masker *m, uint32_t frame, int is_only, slm_frame_mask *f,
                             int *done, slm_error *error) {
    slm_automaton *a = m->automaton;
    uint32_t config = slm_automaton_config(a, (slm_item){frame, SLM_STACK_FRAME});
    if (a->status != SLM_OK || !slm_automaton_expand(a, config))
        return a->status;
    f->ends = a->configs[config].escapes;
    slm_byte_set follow = slm_follow(a, &m->sites, frame);
    uint32_t rule = slm_rule_of(a, &m->sites, frame);
    slm_status status = a->status;
    if (status == SLM_OK)
        status = slm_mask_walk(m, config, &follow, rule, done, error);
    if (status == SLM_OK && !*done && is_only) {
        status = slm_mask_walk_flat(m, config, &follow, error);
        *done = 1;
    }
    if (status == SLM_OK && *done)
        status = keep_frame(m, &follow, f, error);
    memset(m->scratch, 0, m->n_words * sizeof *m->scratch);
    return status;
}

static int is_known(const slm_masker *m, uint32_t frame) {
    return frame < m->cap_frames && m->frames[frame] != NULL;
}

/* *out is NULL for a frame that was given up because there are others. */
static slm_status find_frame(slm_masker *m, uint32_t frame, int is_only, const slm_frame_mask **out,
                             slm_error *error) {
    if (frame >= m->cap_frames) {
        uint32_t cap = m->automaton->cap_frames;
        slm_frame_mask **frames = slm_realloc(m->host, m->frames, cap * sizeof(void *));
        if (frames == NULL)
            return slm_fail_nomem(error, cap * sizeof(void *), "the masks of a grammar");
        memset(frames + m->cap_frames, 0, (cap - m->cap_frames) * sizeof(void *));
        m->frames = frames;
        m->cap_frames = cap;
    }
    if (m->frames[frame] == NULL) {
        int done = 0;
        slm_frame_mask *f = slm_calloc(m->host, 1, sizeof *f);
        slm_status status = f == NULL ? slm_fail_nomem(error, sizeof *f, "the masks of a grammar")
                                      : make_frame(m, frame, is_only, f, &done, error);
        if (status != SLM_OK || !done) {
            free_frame(m, f);
            *out = NULL;
            return status;
        }
        m->frames[frame] = f;
    }
    *out = m->frames[frame];
    return SLM_OK;
}

static slm_status apply_frame(slm_masker *m, const slm_frame_mask *f, uint32_t stack,
                              uint64_t *bits) {
    if (!slm_automaton_spend(m->automaton, f->n_ids + (f->bits != NULL ? m->n_words / 8 : 0)))
        return m->automaton->status;
    for (uint32_t w = 0; f->bits != NULL && w < m->n_words; w++)
        bits[w] |= f->bits[w];
    for (uint32_t i = 0; i < f->n_ids; i++)
        set_bit(bits, f->ids[i]);
    if (stack == SLM_STACK_TEXT || f->tails.n_nodes == 0)
        return SLM_OK;
    return slm_mask_apply_tails(m, &f->tails, slm_mask_below(m->automaton, stack), 0, UINT32_MAX,
                                bits);
}

/* ---- strings ----------------------------------------------------------------------------------
 */

typedef struct counted_id {
    int32_t id;
    uint16_t need;
} counted_id;

/* What a walk over strings finds: the tokens that stay inside, with the characters that each has
 * begun, and the nodes at closing quotes, with those before them. */
typedef struct string_walk {
    counted_id *ids;  /* [n_vocab] */
    uint32_t *quotes; /* [n_nodes of the trie] */
    uint16_t *before; /* [n_nodes of the trie] */
    uint16_t *counts; /* [max_depth + 1] characters along the path */
    uint32_t *at;     /* [max_depth + 2] where the tokens of each need begin */
    uint32_t n_ids, n_quotes;
} string_walk;

static slm_status walk_strings(slm_masker *m, uint32_t config, string_walk *w) {
    slm_automaton *a = m->automaton;
    const slm_trie_node *nodes = m->trie->nodes;
    m->path[0] = config;
    w->counts[0] = 0;
    for (uint32_t i = 0; i < m->trie->n_nodes && a->status == SLM_OK;) {
        uint32_t depth = nodes[i].depth, from = m->path[depth - 1];
        uint32_t next = slm_automaton_step(a, from, nodes[i].byte);
        if (from == config && nodes[i].byte == '"') {
            w->quotes[w->n_quotes] = i;
            w->before[w->n_quotes++] = w->counts[depth - 1];
            next = 0;
        }
        if (next == 0) {
            i = nodes[i].skip;
            continue;
        }
        m->path[depth] = next;
        w->counts[depth] = (uint16_t)(w->counts[depth - 1] + (from == config));
        if (nodes[i].token >= 0)
            w->ids[w->n_ids++] = (counted_id){nodes[i].token, w->counts[depth]};
        i++;
    }
    return a->status;
}

static void free_strings(slm_host *host, slm_trie_extra *self) {
    slm_string_mask *s = (slm_string_mask *)self;
    slm_tails_free(host, &s->tails);
    slm_free(host, s->bits);
    slm_free(host, s->ids);
    slm_free(host, s->need);
    slm_free(host, s->closing);
    slm_free(host, s->before);
    slm_free(host, s);
}

static slm_status fill_strings(slm_masker *m, string_walk *w, slm_string_mask *s,
                               slm_error *error) {
    const slm_trie *t = m->trie;
    slm_host *host = t->host;
    s->bits = slm_calloc(host, m->n_words, sizeof *s->bits);
    s->ids = slm_alloc(host, w->n_ids * sizeof *s->ids);
    s->need = slm_alloc(host, w->n_ids * sizeof *s->need);
    s->closing = slm_alloc(host, w->n_quotes * sizeof *s->closing);
    s->before = slm_alloc(host, w->n_quotes * sizeof *s->before);
    if (s->bits == NULL || s->ids == NULL || s->need == NULL || s->closing == NULL ||
        s->before == NULL)
        return slm_fail_nomem(error, w->n_ids * 6u, "the masks of strings");
    for (uint32_t i = 0; i < w->n_ids; i++) /* sorting by counting */
        w->at[w->ids[i].need + 1]++;
    for (uint32_t need = 1; need <= t->max_depth; need++)
        w->at[need + 1] += w->at[need];
    for (uint32_t i = 0; i < w->n_ids; i++) {
        uint32_t at = w->at[w->ids[i].need]++;
        s->ids[at] = w->ids[i].id;
        s->need[at] = w->ids[i].need;
        set_bit(s->bits, w->ids[i].id);
    }
    s->n_ids = w->n_ids;
    for (uint32_t i = 0; i < w->n_quotes; i++)
        if (t->nodes[w->quotes[i]].token >= 0) {
            s->closing[s->n_closing] = t->nodes[w->quotes[i]].token;
            s->before[s->n_closing++] = w->before[i];
        }
    return slm_tails_make(host, t, w->quotes, w->before, w->n_quotes, &slm_all_bytes, &s->tails,
                          error);
}

static slm_status make_strings(slm_masker *m, slm_string_mask *s, slm_error *error) {
    slm_automaton *a = m->automaton;
    const slm_trie *t = m->trie;
    uint32_t start = slm_automaton_start_frame(a, m->free_string - 1), config = 0;
    if (a->status == SLM_OK)
        config = slm_automaton_config(a, (slm_item){start, SLM_STACK_FRAME});
    string_walk w = {
        .ids = slm_alloc(t->host, t->n_vocab * sizeof *w.ids),
        .quotes = slm_alloc(t->host, t->n_nodes * sizeof *w.quotes),
        .before = slm_alloc(t->host, t->n_nodes * sizeof *w.before),
        .counts = slm_alloc(t->host, (t->max_depth + 1u) * sizeof *w.counts),
        .at = slm_calloc(t->host, t->max_depth + 2u, sizeof *w.at),
    };
    slm_status status = a->status;
    if (w.ids == NULL || w.quotes == NULL || w.before == NULL || w.counts == NULL || w.at == NULL)
        status = slm_fail_nomem(error, t->n_nodes * sizeof *w.quotes, "the masks of strings");
    if (status == SLM_OK)
        status = walk_strings(m, config, &w);
    if (status == SLM_OK)
        status = fill_strings(m, &w, s, error);
    slm_free(t->host, w.ids);
    slm_free(t->host, w.quotes);
    slm_free(t->host, w.before);
    slm_free(t->host, w.counts);
    slm_free(t->host, w.at);
    return status;
}

/* One for all guides of a vocabulary: the trie keeps it, of two threads that make it that of the
 * first. */
slm_status slm_mask_find_strings(slm_masker *m, const slm_string_mask **out, slm_error *error) {
    slm_trie *t = m->trie;
    slm_trie_extra *kept = atomic_load(&t->extra);
    if (kept == NULL) {
        slm_string_mask *s = slm_calloc(t->host, 1, sizeof *s);
        if (s == NULL)
            return slm_fail_nomem(error, sizeof *s, "the masks of strings");
        s->extra.destroy = free_strings;
        slm_status status = make_strings(m, s, error);
        if (status == SLM_OK && atomic_compare_exchange_strong(&t->extra, &kept, &s->extra))
            kept = &s->extra;
        else
            free_strings(t->host, &s->extra);
        SLM_TRY(status);
    }
    *out = (const slm_string_mask *)kept;
    return SLM_OK;
}

/* Tokens for which there is room: the few that are too long are taken out, or those that are short
 * enough put in, whichever is less. */
static void apply_room(slm_masker *m, const slm_string_mask *s, uint32_t room, uint64_t *bits) {
    uint32_t lo = 0, hi = s->n_ids;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (s->need[mid] <= room)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < s->n_ids / 2) {
        for (uint32_t i = 0; i < lo; i++)
            set_bit(bits, s->ids[i]);
        return;
    }
    memcpy(m->scratch, s->bits, m->n_words * sizeof *bits);
    for (uint32_t i = lo; i < s->n_ids; i++)
        clear_bit(m->scratch, s->ids[i]);
    for (uint32_t w = 0; w < m->n_words; w++)
        bits[w] |= m->scratch[w];
    memset(m->scratch, 0, m->n_words * sizeof *bits);
}

static slm_status apply_string(slm_masker *m, slm_item item, uint64_t *bits, slm_error *error) {
    slm_automaton *a = m->automaton;
    const slm_frame *f = &a->frames[item.frame];
    const slm_grammar_rule *r = &a->grammar->rules[f->counted - 1];
    uint32_t most = r->max == SLM_NO_MAXIMUM ? UINT32_MAX : r->max - f->count;
    uint32_t least = r->min > f->count ? r->min - f->count : 0;
    const slm_string_mask *s = NULL;
    SLM_TRY(slm_mask_find_strings(m, &s, error));
    if (!slm_automaton_spend(a, s->n_closing + m->n_words))
        return a->status;
    apply_room(m, s, most, bits);
    for (uint32_t i = 0; i < s->n_closing; i++)
        if (s->before[i] >= least && s->before[i] <= most)
            set_bit(bits, s->closing[i]);
    if (item.stack == SLM_STACK_TEXT)
        return SLM_OK;
    return slm_mask_apply_tails(m, &s->tails, slm_mask_below(a, item.stack), least, most, bits);
}

static int between_characters(const slm_automaton *a, const slm_frame *f) {
    if (f->counted == 0)
        return 0;
    uint32_t start = a->grammar->rules[f->counted - 1].start;
    for (uint32_t i = 0; i < f->n_nodes; i++)
        if (f->nodes[i] == start)
            return 1;
    return 0;
}

static int counts_class(const slm_automaton *a, const slm_frame *f) {
    return f->counted > 0 && a->grammar->rules[f->counted - 1].counted == SLM_COUNTED_CLASS;
}

/* ---- configs ----------------------------------------------------------------------------------
 */

static slm_status add_item(slm_masker *m, uint32_t *n, slm_item item, slm_error *error) {
    if (!slm_automaton_spend(m->automaton, 1 + *n / 8))
        return m->automaton->status;
    for (uint32_t i = 0; i < *n; i++)
        if (m->items[i].frame == item.frame && m->items[i].stack == item.stack)
            return SLM_OK;
    if (*n == m->cap_items) {
        uint32_t cap = m->cap_items == 0 ? 64 : m->cap_items * 2;
        slm_item *items = slm_realloc(m->host, m->items, cap * sizeof *items);
        if (items == NULL)
            return slm_fail_nomem(error, cap * sizeof *items, "the masks of a grammar");
        m->items = items;
        m->cap_items = cap;
    }
    m->items[(*n)++] = item;
    return SLM_OK;
}

/* A frame that does nothing but call has no tokens of its own: those of what it calls are known, or
 * will be of use elsewhere. Its config has been expanded, and the frame with it. */
static slm_status add_calls(slm_masker *m, uint32_t *n, slm_item item, slm_error *error) {
    slm_automaton *a = m->automaton;
    for (uint32_t i = 0; i < a->frames[item.frame].n_calls; i++) {
        slm_frame_call call = a->frames[item.frame].calls[i];
        uint32_t stack = slm_automaton_push(a, call.back, item.stack);
        SLM_TRY(a->status);
        SLM_TRY(add_item(m, n, (slm_item){call.start, stack}, error));
    }
    return SLM_OK;
}

static int only_calls(const slm_frame *f) {
    return f->expanded && f->n_calls > 0 && f->n_edges == 0 && !f->accepts;
}

/* Whether the frames of the items from first on are known, or are found out about together with
 * others. */
static int are_known(const slm_masker *m, uint32_t first, uint32_t n) {
    for (uint32_t i = first; i < n; i++)
        if (!is_known(m, m->items[i].frame) &&
            !between_characters(m->automaton, &m->automaton->frames[m->items[i].frame]))
            return 0;
    return 1;
}

/* How the tokens of a config's items are to be found. */
enum { BY_ITEM, TOGETHER, DIRECTLY };

/* Of an item between two characters of a counted rule. */
static slm_status find_counted(slm_masker *m, uint32_t *n, slm_item item, uint64_t *bits, int *how,
                               slm_error *error) {
    const slm_automaton *a = m->automaton;
    int is_open = 0;
    if (!counts_class(a, &a->frames[item.frame]))
        return apply_string(m, item, bits, error);
    SLM_TRY(slm_mask_apply_class(m, item, bits, &is_open, error));
    if (is_open)
        *how = DIRECTLY;
    slm_stack s = a->stacks[item.stack];
    return a->frames[item.frame].accepts && item.stack != SLM_STACK_TEXT
               ? add_item(m, n, (slm_item){s.back, s.below}, error)
               : SLM_OK;
}

/* The tokens of each item, of what it calls, and of what is below it where its frame may have ended
 * already. *how says whether that is done: TOGETHER where several frames are not known that take
 * long to find out about, unless it must be by item; DIRECTLY where a frame is open. */
static slm_status find_items(slm_masker *m, uint32_t config, uint64_t *bits, int must, int *how,
                             slm_error *error) {
    slm_automaton *a = m->automaton;
    uint32_t n = 0;
    *how = BY_ITEM;
    for (uint32_t i = 0; i < a->configs[config].n_items; i++)
        SLM_TRY(add_item(m, &n, a->configs[config].items[i], error));
    for (uint32_t i = 0; i < n; i++) {
        slm_item item = m->items[i];
        const slm_frame_mask *f = NULL;
        if (between_characters(a, &a->frames[item.frame])) {
            SLM_TRY(find_counted(m, &n, item, bits, how, error));
            if (*how != BY_ITEM)
                return SLM_OK;
            continue;
        }
        if (only_calls(&a->frames[item.frame])) {
            SLM_TRY(add_calls(m, &n, item, error));
            continue;
        }
        SLM_TRY(find_frame(m, item.frame, must || are_known(m, i + 1, n), &f, error));
        if (f == NULL)
            *how = TOGETHER;
        else if (f->is_open && item.stack != SLM_STACK_TEXT)
            *how = DIRECTLY;
        if (*how != BY_ITEM)
            return SLM_OK;
        SLM_TRY(apply_frame(m, f, item.stack, bits));
        slm_stack s = a->stacks[item.stack];
        if (f->ends && item.stack != SLM_STACK_TEXT)
            SLM_TRY(add_item(m, &n, (slm_item){s.back, s.below}, error));
    }
    return SLM_OK;
}

/* The tokens of a config, which is expanded, by a walk from there on its stack. */
static slm_status find_directly(slm_masker *m, uint32_t config, uint64_t *bits, slm_error *error) {
    static const slm_byte_set nothing;
    int done;
    slm_status status = slm_mask_walk(m, config, &nothing, 0, &done, error);
    if (status == SLM_OK && !done)
        status = slm_mask_walk_flat(m, config, &nothing, error);
    for (uint32_t w = 0; w < m->n_words && status == SLM_OK; w++)
        bits[w] |= m->scratch[w];
    memset(m->scratch, 0, m->n_words * sizeof *m->scratch);
    return status;
}

/* The same in one walk for several frames, which may meet more configs than each alone: then the
 * frames are found out about one by one, and from now on always. */
static slm_status find_together(slm_masker *m, uint32_t config, uint64_t *bits, int *how,
                                slm_error *error) {
    if (slm_flat_walk(&m->flat, m->automaton, config, MAX_JOINT)) {
        m->n_visited += m->trie->n_nodes / SLM_FLAT_NODES;
        slm_flat_add(&m->flat, bits);
        *how = BY_ITEM;
        return SLM_OK;
    }
    SLM_TRY(m->automaton->status);
    m->is_one_by_one = 1;
    return find_items(m, config, bits, 1, how, error);
}

/* Whether a walk from a config, which is expanded, may be long: that goes by how much of the trie
 * lies below the bytes that may come. */
static int is_wide(const slm_masker *m, const slm_guide_config *c) {
    const slm_trie_node *nodes = m->trie->nodes;
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->trie->n_nodes; i = nodes[i].skip)
        if (slm_config_after(c, nodes[i].byte) != 0)
            n += nodes[i].skip - i;
    return n > LONG_WALK;
}

/* Finds out about one frame, if masks might wait for it. */
static slm_status warm_frame(slm_masker *m, uint32_t frame, slm_error *error) {
    slm_automaton *a = m->automaton;
    const slm_frame_mask *found;
    const slm_frame *f = &a->frames[frame];
    const slm_grammar_rule *r = counts_class(a, f) ? &a->grammar->rules[f->counted - 1] : NULL;
    if (r != NULL && (f->count > 0 || a->grammar->classes[r->class_of].any == f->counted - 1))
        return SLM_OK; /* it is like the one at the beginning, or no text gets there */
    uint32_t config = slm_automaton_config(a, (slm_item){frame, SLM_STACK_FRAME});
    if (a->status == SLM_OK && !a->configs[config].expanded)
        (void)slm_automaton_expand(a, config);
    SLM_TRY(a->status);
    f = &a->frames[frame];
    if (!is_wide(m, &a->configs[config]) || only_calls(f))
        return SLM_OK;
    m->n_before = m->n_visited;
    if (between_characters(a, f))
        return r != NULL ? slm_mask_warm_class(m, r->class_of, error) : SLM_OK;
    return find_frame(m, frame, 1, &found, error);
}

static slm_status find(slm_masker *m, uint32_t config, uint64_t *bits, slm_error *error) {
    slm_automaton *a = m->automaton;
    const slm_trie *t = m->trie;
    int how;
    memset(bits, 0, m->n_words * sizeof *bits);
    m->n_before = m->n_visited;
    if (!a->configs[config].expanded && !slm_automaton_expand(a, config))
        return a->status;
    SLM_TRY(find_items(m, config, bits, m->is_one_by_one, &how, error));
    if (how == TOGETHER)
        SLM_TRY(find_together(m, config, bits, &how, error));
    if (how == DIRECTLY)
        SLM_TRY(find_directly(m, config, bits, error));
    for (uint32_t i = 0; i < t->n_twins; i++)
        if (bits[t->twins[i][1] / 64] >> (t->twins[i][1] % 64) & 1)
            set_bit(bits, t->twins[i][0]);
    for (uint32_t i = 0; a->configs[config].accepts && i < t->n_ends; i++)
        set_bit(bits, t->ends[i]);
    return SLM_OK;
}

slm_status slm_masker_find(slm_masker *m, uint32_t config, const uint64_t **bits,
                           slm_error *error) {
    for (uint32_t i = 0; i < SLM_MASK_RECENT; i++)
        if (m->recent_config[i] == config && config != 0) {
            *bits = m->recent[i];
            return SLM_OK;
        }
    uint32_t at = m->next_recent;
    if (m->recent[at] == NULL) {
        m->recent[at] = slm_alloc(m->host, m->n_words * sizeof **m->recent);
        if (m->recent[at] == NULL)
            return slm_fail_nomem(error, m->n_words * 8u, "the masks of a grammar");
    }
    m->recent_config[at] = 0;
    SLM_TRY(find(m, config, m->recent[at], error));
    m->recent_config[at] = config;
    m->next_recent = (at + 1) % SLM_MASK_RECENT;
    *bits = m->recent[at];
    return SLM_OK;
}

/* The config behind a token of a mask, any one, but no end; 0: there is none. */
static uint32_t after_some(slm_masker *m, uint32_t config, const uint64_t *bits, uint32_t any) {
    const slm_trie_levels *v = &m->trie->levels;
    uint32_t n = m->trie->n_vocab, depth = 0;
    for (uint32_t i = 0; i < n && depth == 0; i++) {
        uint32_t id = (any % n + i) % n, node = v->of_token[id];
        if ((bits[id / 64] >> (id % 64) & 1) == 0 || node >= v->n)
            continue;
        for (; node != 0; node = v->parent[node]) /* from its end */
            m->path[depth++] = v->byte[node];
    }
    if (depth == 0)
        return 0;
    while (depth > 0 && config != 0)
        config = slm_automaton_step(m->automaton, config, (uint8_t)m->path[--depth]);
    return config;
}

/* The mask of the beginning, and then, where walks are given up, those along a text of tokens
 * chosen at random, and where they come to many new states: with none of these known a mask can
 * take longer for them than for the walk. What is ambiguous ends this soon. */
static void warm_start(slm_masker *m, uint32_t root, uint64_t most_bytes, slm_error *error) {
    slm_automaton *a = m->automaton;
    const uint64_t *bits;
    uint32_t any = 1, n_before = 0;
    a->work = SLM_AUTOMATON_MAX_WORK - MAX_WARM_UP / 2;
    uint32_t config = slm_automaton_config(a, (slm_item){root, SLM_STACK_TEXT}), start = config;
    for (int n = 0;
         n < WARM_STEPS && (n < 2 || m->n_flat > 0 || a->n_configs > n_before + MANY_NEW); n++) {
        n_before = a->n_configs;
        if (a->status != SLM_OK || m->n_visited > MAX_WARM_UP ||
            atomic_load(&m->host->bytes) > most_bytes ||
            slm_masker_find(m, config, &bits, error) != SLM_OK)
            return;
        any = any * 1664525u + 1013904223u;
        config = after_some(m, config, bits, any >> 8);
        config = config == 0 ? start : config;
    }
}

slm_status slm_masker_warm_up(slm_masker *m, uint64_t most_bytes, slm_error *error) {
    slm_automaton *a = m->automaton;
    const slm_string_mask *strings;
    slm_error unheard = SLM_ERROR_INIT;
    if (m->free_string != 0)
        SLM_TRY(slm_mask_find_strings(m, &strings, error));
    slm_automaton_begin(a, &unheard);
    uint32_t root = slm_automaton_start_frame(a, a->grammar->root);
    for (uint32_t f = 0; f < a->n_frames && a->work < 2 * MAX_WARM_UP &&
                         m->n_visited < MAX_WARM_UP && atomic_load(&m->host->bytes) < most_bytes;
         f++)
        if (warm_frame(m, f, &unheard) != SLM_OK)
            break;
    if (a->status == SLM_OK && atomic_load(&m->host->bytes) < most_bytes)
        warm_start(m, root, most_bytes, &unheard);
    m->is_warm = 1;
    return SLM_OK;
}
