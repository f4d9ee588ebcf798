/* Counted rules of one class of characters, such as [^"<>]{1,200}, differ in how many may still
 * come. What they have in common is found in one walk as if any number might: the tokens that are
 * such characters. Of these, a rule takes the ones that are short enough; how many characters a
 * token has does not depend on the class. */
#include "guide/mask_walk.h"

#include <stdlib.h>
#include <string.h>

#define NO_LIMIT ((uint64_t)1 << 60)

static slm_status out_of_memory(const slm_masker *m, slm_error *error) {
    return slm_fail_nomem(error, m->n_words * sizeof *m->scratch, "the masks of a grammar");
}

/* ---- lengths ----------------------------------------------------------------------------------
 */

/* Notes that a token has begun so many characters. */
static void put_length(const slm_masker *m, slm_token_lengths *l, int32_t id, uint32_t need) {
    if (need < SLM_LENGTHS) {
        set_bit(l->up_to + (size_t)need * m->n_words, id);
        return;
    }
    l->longer[l->n_longer] = id;
    l->need[l->n_longer++] = (uint16_t)need;
}

/* As the text itself: every byte that does not go on with UTF-8 begins a character. Tokens that
 * begin within one come after none of those places that lengths are asked for. */
static slm_status count_raw(const slm_masker *m, slm_token_lengths *l, slm_error *error) {
    const slm_trie_levels *v = &m->trie->levels;
    uint16_t *need = slm_calloc(m->host, v->n + 1u, sizeof *need);
    if (need == NULL)
        return out_of_memory(m, error);
    for (uint32_t i = 1; i < v->n; i++)
        need[i] = (uint16_t)(need[v->parent[i]] + ((v->byte[i] & 0xc0) != 0x80));
    for (uint32_t id = 0; id < m->trie->n_vocab; id++)
        if (v->of_token[id] < v->n)
            put_length(m, l, (int32_t)id, need[v->of_token[id]]);
    slm_free(m->host, need);
    return SLM_OK;
}

static slm_status count_json(slm_masker *m, slm_token_lengths *l, slm_error *error) {
    const slm_string_mask *s;
    SLM_TRY(slm_mask_find_strings(m, &s, error));
    for (uint32_t i = 0; i < s->n_ids; i++)
        put_length(m, l, s->ids[i], s->need[i]);
    return SLM_OK;
}

static void free_lengths(slm_masker *m, slm_token_lengths *l) {
    if (l == NULL)
        return;
    slm_free(m->host, l->up_to);
    slm_free(m->host, l->longer);
    slm_free(m->host, l->need);
    slm_free(m->host, l);
}

static slm_status find_lengths(slm_masker *m, slm_spelling spelling, const slm_token_lengths **out,
                               slm_error *error) {
    *out = m->lengths[spelling];
    if (*out != NULL)
        return SLM_OK;
    slm_token_lengths *l = slm_calloc(m->host, 1, sizeof *l);
    if (l == NULL)
        return out_of_memory(m, error);
    l->up_to = slm_calloc(m->host, (size_t)SLM_LENGTHS * m->n_words, sizeof *l->up_to);
    l->longer = slm_alloc(m->host, m->trie->n_ids * sizeof *l->longer);
    l->need = slm_alloc(m->host, m->trie->n_ids * sizeof *l->need);
    slm_status status = l->up_to == NULL || l->longer == NULL || l->need == NULL
                            ? out_of_memory(m, error)
                        : spelling == SLM_SPELL_RAW ? count_raw(m, l, error)
                                                    : count_json(m, l, error);
    if (status != SLM_OK) {
        free_lengths(m, l);
        return status;
    }
    for (size_t i = m->n_words; i < (size_t)SLM_LENGTHS * m->n_words; i++)
        l->up_to[i] |= l->up_to[i - m->n_words];
    void *longer = slm_realloc(m->host, l->longer, (l->n_longer + 1) * sizeof *l->longer);
    void *need = slm_realloc(m->host, l->need, (l->n_longer + 1) * sizeof *l->need);
    l->longer = longer != NULL ? longer : l->longer;
    l->need = need != NULL ? need : l->need;
    *out = m->lengths[spelling] = l;
    return SLM_OK;
}

/* ---- classes ----------------------------------------------------------------------------------
 */

static int compare_u32(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* After a walk from between two characters: the places of the trie, each once, that one or more
 * whole characters lead to and that go on with one of these bytes. Returns how many there are; of
 * more than most, some are missing. */
static uint32_t find_places(const slm_masker *m, const slm_byte_set *follow, uint32_t most,
                            uint32_t *places) {
    const slm_trie_levels *v = &m->trie->levels;
    const uint16_t *at = m->flat.at;
    uint32_t n = 0, n_once = 0;
    for (uint32_t i = 1; i < v->n; i++) {
        uint32_t parent = v->parent[i];
        if (!slm_byte_set_has(follow, v->byte[i]) || at[parent] != at[0] || parent == 0)
            continue;
        if (n == most)
            return most + 1;
        places[n++] = parent;
    }
    qsort(places, n, sizeof *places, compare_u32);
    for (uint32_t i = 0; i < n; i++)
        if (n_once == 0 || places[n_once - 1] != places[i])
            places[n_once++] = places[i];
    return n_once;
}

/* Of a place: the characters that lead there. */
static uint16_t characters_before(const slm_masker *m, uint32_t place) {
    uint32_t n = 0;
    for (; place != 0; n += m->flat.at[place] == m->flat.at[0])
        place = m->trie->levels.parent[place];
    return (uint16_t)n;
}

static slm_status find_tails(slm_masker *m, const slm_byte_set *follow, slm_class_mask *c,
                             slm_error *error) {
    uint32_t most = m->is_warm ? SLM_MANY_TAILS : SLM_MANY_BEFORE;
    uint32_t *places = slm_alloc(m->host, most * sizeof *places);
    uint16_t *before = slm_alloc(m->host, most * sizeof *before);
    slm_status status = SLM_OK;
    if (places == NULL || before == NULL) {
        status = out_of_memory(m, error);
    } else {
        uint32_t n = find_places(m, follow, most, places);
        for (uint32_t i = 0; i < n && n <= most; i++) {
            before[i] = characters_before(m, places[i]);
            places[i] = m->trie->levels.node[places[i]];
        }
        c->is_open = n > most || slm_tails_exceed(m->trie, places, n, follow, most);
        if (!c->is_open)
            status = slm_tails_make(m->host, m->trie, places, before, n, follow, &c->tails, error);
    }
    slm_free(m->host, places);
    slm_free(m->host, before);
    return status;
}

static slm_status make_class(slm_masker *m, uint32_t class_of, slm_class_mask *c,
                             slm_error *error) {
    slm_automaton *a = m->automaton;
    uint32_t frame = slm_automaton_start_frame(a, a->grammar->classes[class_of].any);
    SLM_TRY(a->status);
    uint32_t config = slm_automaton_config(a, (slm_item){frame, SLM_STACK_FRAME});
    slm_byte_set follow = slm_follow_class(a, &m->sites, class_of);
    SLM_TRY(a->status);
    c->bits = slm_calloc(m->host, m->n_words, sizeof *c->bits);
    if (c->bits == NULL)
        return out_of_memory(m, error);
    if (!slm_flat_walk(&m->flat, a, config, NO_LIMIT))
        return a->status != SLM_OK ? a->status : out_of_memory(m, error);
    m->n_visited += m->trie->n_nodes / SLM_FLAT_NODES;
    slm_flat_add(&m->flat, c->bits);
    return find_tails(m, &follow, c, error);
}

static void free_class(slm_masker *m, slm_class_mask *c) {
    if (c == NULL)
        return;
    slm_tails_free(m->host, &c->tails);
    slm_free(m->host, c->bits);
    slm_free(m->host, c);
}

static slm_status find_class(slm_masker *m, uint32_t class_of, const slm_class_mask **out,
                             slm_error *error) {
    *out = m->classes[class_of];
    if (*out != NULL)
        return SLM_OK;
    slm_class_mask *c = slm_calloc(m->host, 1, sizeof *c);
    slm_status status = c == NULL ? out_of_memory(m, error) : make_class(m, class_of, c, error);
    if (status != SLM_OK) {
        free_class(m, c);
        return status;
    }
    *out = m->classes[class_of] = c;
    return SLM_OK;
}

slm_status slm_mask_warm_class(slm_masker *m, uint32_t class_of, slm_error *error) {
    const slm_class_mask *c;
    const slm_token_lengths *l;
    uint64_t work = m->automaton->work;
    SLM_TRY(find_class(m, class_of, &c, error));
    m->automaton->work = work; /* what the walk took counts as nodes visited */
    return find_lengths(m, m->automaton->grammar->classes[class_of].spelling, &l, error);
}

void slm_mask_free_classes(slm_masker *m) {
    for (uint32_t i = 0; i < SLM_MAX_CLASSES; i++) {
        free_class(m, m->classes[i]);
        m->classes[i] = NULL;
    }
    for (uint32_t i = 0; i < 2; i++) {
        free_lengths(m, m->lengths[i]);
        m->lengths[i] = NULL;
    }
}

/* The tokens of a class that have begun up to so many characters. */
static void add_up_to(const slm_masker *m, const slm_class_mask *c, const slm_token_lengths *l,
                      uint32_t most, uint64_t *bits) {
    const uint64_t *up_to =
        l->up_to + (size_t)(most < SLM_LENGTHS ? most : SLM_LENGTHS - 1) * m->n_words;
    for (uint32_t w = 0; w < m->n_words; w++)
        bits[w] |= c->bits[w] & up_to[w];
    for (uint32_t i = 0; i < l->n_longer; i++)
        if (l->need[i] <= most && c->bits[l->longer[i] / 64] >> (l->longer[i] % 64) & 1)
            set_bit(bits, l->longer[i]);
}

slm_status slm_mask_apply_class(slm_masker *m, slm_item item, uint64_t *bits, int *is_open,
                                slm_error *error) {
    slm_automaton *a = m->automaton;
    const slm_frame *f = &a->frames[item.frame];
    const slm_grammar_rule *r = &a->grammar->rules[f->counted - 1];
    uint32_t most = r->max == SLM_NO_MAXIMUM ? UINT32_MAX : r->max - f->count;
    uint32_t least = r->min > f->count ? r->min - f->count : 0;
    const slm_class_mask *c;
    const slm_token_lengths *l;
    SLM_TRY(find_class(m, r->class_of, &c, error));
    SLM_TRY(find_lengths(m, a->grammar->classes[r->class_of].spelling, &l, error));
    if (!slm_automaton_spend(a, l->n_longer + m->n_words / 8))
        return a->status;
    add_up_to(m, c, l, most, bits);
    *is_open = c->is_open && item.stack != SLM_STACK_TEXT;
    if (item.stack == SLM_STACK_TEXT || c->is_open || c->tails.n_nodes == 0)
        return SLM_OK;
    return slm_mask_apply_tails(m, &c->tails, slm_mask_below(a, item.stack), least, most, bits);
}
