#include "guide/schema.h"

#include "guide/schema_impl.h"

#include <stdio.h>
#include <string.h>

/* ---- sets -------------------------------------------------------------------------------------
 */

static uint32_t hash_set(const slm_schema_set *set) {
    uint64_t h = 0; /* whatever the order */
    for (uint32_t i = 0; i < set->n; i++) {
        uint64_t x = (uint64_t)(uintptr_t)set->at[i].node + set->at[i].made;
        h += (x * 0x9e3779b97f4a7c15u) ^ (x >> 7);
    }
    return (uint32_t)(h >> 24);
}

/* Members occur once in a set, so sets of one size are equal when one holds the other. */
static int same_set(const slm_schema_set *a, const slm_schema_set *b) {
    if (a->n != b->n || a->never != b->never)
        return 0;
    for (uint32_t i = 0; i < a->n; i++) {
        uint32_t j = i;
        if (a->at[i].node != b->at[j].node)
            for (j = 0; j < b->n && a->at[i].node != b->at[j].node;)
                j++;
        if (j == b->n || a->at[i].made != b->at[j].made)
            return 0;
    }
    return 1;
}

static slm_status grow_rules(slm_schema *s) {
    uint32_t cap = s->cap_rules == 0 ? 64 : s->cap_rules * 2, n_slots = cap * 2;
    slm_schema_rule *rules = slm_schema_alloc(s, cap * sizeof *rules);
    uint32_t *slots = slm_schema_alloc(s, n_slots * sizeof *slots);
    if (rules == NULL || slots == NULL)
        return slm_fail_nomem(s->error, cap * sizeof *rules, "a schema");
    memset(slots, 0, n_slots * sizeof *slots);
    for (uint32_t i = 0; i < s->n_rules; i++) {
        uint32_t at = hash_set(&s->rules[i].set) & (n_slots - 1);
        rules[i] = s->rules[i];
        while (slots[at] != 0)
            at = (at + 1) & (n_slots - 1);
        slots[at] = i + 1;
    }
    s->rules = rules;
    s->cap_rules = cap;
    s->rule_slots = slots;
    s->n_rule_slots = n_slots;
    return SLM_OK;
}

slm_status slm_schema_rule_for(slm_schema *s, const slm_schema_set *set, uint32_t *rule) {
    if (set->n == 0 && !set->never) {
        *rule = s->any;
        return SLM_OK;
    }
    if (s->n_rules == s->cap_rules)
        SLM_TRY(grow_rules(s));
    uint32_t at = hash_set(set) & (s->n_rule_slots - 1);
    for (; s->rule_slots[at] != 0; at = (at + 1) & (s->n_rule_slots - 1)) {
        const slm_schema_rule *r = &s->rules[s->rule_slots[at] - 1];
        if (same_set(&r->set, set)) {
            *rule = r->rule;
            return SLM_OK;
        }
    }
    *rule = slm_grammar_rule_new(s->g);
    SLM_TRY(slm_grammar_check(s->g, s->error));
    s->rules[s->n_rules] = (slm_schema_rule){.rule = *rule};
    SLM_TRY(slm_set_copy(s, set, &s->rules[s->n_rules].set));
    s->rule_slots[at] = ++s->n_rules;
    return SLM_OK;
}

/* ---- flat sets --------------------------------------------------------------------------------
 */

static int has_any(const slm_json *node, const char *const *names) {
    for (; *names != NULL; names++)
        if (slm_json_get(node, *names) != NULL)
            return 1;
    return 0;
}

/* Where no type is declared, keywords of a type mean that type: the others are left out, which no
 * keyword would have kept them from. */
static uint32_t types_of(const slm_schema_set *set) {
    static const char *const of_numbers[] = {"minimum",          "maximum",    "exclusiveMinimum",
                                             "exclusiveMaximum", "multipleOf", NULL};
    static const char *const of_strings[] = {"minLength", "maxLength", "pattern", NULL};
    static const char *const of_arrays[] = {"items", "prefixItems", "minItems", "maxItems", NULL};
    static const char *const of_objects[] = {"properties", "required", "additionalProperties",
                                             "patternProperties", NULL};
    uint32_t types = SLM_T_ALL, meant = 0;
    int any_declared = 0;
    for (uint32_t i = 0; i < set->n; i++) {
        const slm_json *node = set->at[i].node, *format = slm_json_get(node, "format");
        int declared;
        types &= slm_schema_types(node, &declared);
        any_declared |= declared;
        if (has_any(node, of_numbers) ||
            (format != NULL && slm_schema_format_is_number(format->text)))
            meant |= SLM_T_INTEGER | SLM_T_REAL;
        if (has_any(node, of_strings) ||
            (format != NULL && !slm_schema_format_is_number(format->text)))
            meant |= SLM_T_STRING;
        if (has_any(node, of_arrays))
            meant |= SLM_T_ARRAY;
        if (has_any(node, of_objects))
            meant |= SLM_T_OBJECT;
    }
    return any_declared || meant == 0 ? types : types & meant;
}

/* Whether a flat set lists values, n of them. */
static int values_of(const slm_schema_set *set, const slm_json **list, uint32_t *n) {
    for (uint32_t i = 0; i < set->n; i++) {
        const slm_json *constant = slm_json_get(set->at[i].node, "const");
        const slm_json *values = slm_json_get(set->at[i].node, "enum");
        if (constant == NULL && values == NULL)
            continue;
        *n = constant != NULL ? 1 : values->n_items;
        *list = constant != NULL ? constant : values->items;
        return 1;
    }
    return 0;
}

static slm_status build_values(slm_schema *s, const slm_schema_set *set, uint32_t from,
                               const slm_json *list, uint32_t n, uint32_t to) {
    for (uint32_t i = 0; i < n; i++) {
        int ok;
        SLM_TRY(slm_schema_valid_flat(s, set, list, &list[i], &ok));
        if (ok)
            slm_grammar_empty(s->g, slm_text_literal(s, from, &list[i]), to);
    }
    return SLM_OK;
}

/* The set of a member's or item's value: what every node of the object's set says of it. */
static slm_status value_of_item(slm_schema *s, const slm_schema_set *set, uint32_t index,
                                slm_schema_set *out) {
    *out = (slm_schema_set){0};
    SLM_TRY(slm_schema_spend(s, set->n));
    for (uint32_t i = 0; i < set->n; i++) {
        const slm_json *prefix = slm_json_get(set->at[i].node, "prefixItems");
        const slm_json *schema = slm_json_get(set->at[i].node, "items");
        if (prefix != NULL && index < prefix->n_items)
            schema = &prefix->items[index];
        if (schema != NULL)
            SLM_TRY(slm_set_add(s, out, schema, 0));
    }
    return SLM_OK;
}

static slm_status build_flat(slm_schema *s, const slm_schema_set *set, uint32_t from, uint32_t to);

static slm_status call_value(slm_schema *s, const slm_schema_set *set, uint32_t from, uint32_t to) {
    uint32_t rule;
    if (set->never)
        return SLM_OK;
    SLM_TRY(slm_schema_rule_for(s, set, &rule));
    slm_grammar_call(s->g, from, rule, to);
    return SLM_OK;
}

/* A value: written out where it is a word, number or string, else a call. */
static slm_status build_value(slm_schema *s, const slm_schema_set *set, uint32_t from,
                              uint32_t to) {
    uint32_t n = 0, n_values;
    const slm_json *values;
    slm_schema_set *flat = NULL;
    if (set->never)
        return SLM_OK;
    if (set->n > 0 && set->n <= 2)
        SLM_TRY(slm_set_flatten(s, set, &flat, &n));
    if (n == 1 && !values_of(&flat[0], &values, &n_values) &&
        !(types_of(&flat[0]) & (SLM_T_ARRAY | SLM_T_OBJECT)))
        return build_flat(s, &flat[0], from, to);
    return call_value(s, set, from, to);
}

static slm_status build_array(slm_schema *s, const slm_schema_set *set, uint32_t from,
                              uint32_t to) {
    slm_grammar *g = s->g;
    uint32_t min = 0, max = SLM_NO_MAXIMUM, n_prefix = 0;
    for (uint32_t i = 0; i < set->n; i++) {
        const slm_json *node = set->at[i].node, *prefix = slm_json_get(node, "prefixItems");
        uint32_t least = slm_schema_count(node, "minItems", 0);
        uint32_t most = slm_schema_count(node, "maxItems", SLM_NO_MAXIMUM);
        min = least > min ? least : min;
        max = most < max ? most : max;
        if (prefix != NULL && prefix->n_items > n_prefix)
            n_prefix = prefix->n_items;
        if (least > SLM_SCHEMA_MAX_ITEMS || (most > SLM_SCHEMA_MAX_ITEMS && most != SLM_NO_MAXIMUM))
            return slm_schema_fail(s, SLM_ERR_LIMIT, node,
                                   least > SLM_SCHEMA_MAX_ITEMS ? "minItems" : "maxItems",
                                   "wanted at most 100000");
    }
    uint32_t at = slm_text_mark(s, from, '['), last = max;
    uint32_t first_alike = n_prefix > min ? n_prefix : min; /* from here on all may follow or not */
    if (max == SLM_NO_MAXIMUM)
        last = first_alike + 1;
    slm_schema_set item;
    for (uint32_t i = 0; i <= last && g->status == SLM_OK; i++) {
        if (i >= min)
            slm_text_finish(s, at, ']', to);
        if (i == last)
            break;
        uint32_t next = slm_grammar_node(g), value = i == 0 ? at : slm_text_mark(s, at, ',');
        if (i <= n_prefix)
            SLM_TRY(value_of_item(s, set, i, &item));
        if (i <= n_prefix)
            SLM_TRY(build_value(s, &item, value, next));
        else
            SLM_TRY(call_value(s, &item, value, next));
        if (max == SLM_NO_MAXIMUM && i == first_alike) {
            uint32_t again = slm_text_mark(s, next, ',');
            SLM_TRY(call_value(s, &item, again, next));
        }
        at = next;
    }
    return SLM_OK;
}

/* ---- objects ----------------------------------------------------------------------------------
 */

typedef struct object {
    const slm_schema_set *set;
    slm_str *names; /* declared, in order */
    uint8_t *required;
    uint32_t n, cap;
    const slm_json *patterns[SLM_SCHEMA_MAX_PATTERNS];
    const slm_dfa *dfas[SLM_SCHEMA_MAX_PATTERNS];
    uint32_t n_patterns;
    int open;    /* members that are not declared are wanted           */
    int is_call; /* arguments in Python's syntax: (name=value, ...)     */
} object;

static slm_status add_name(slm_schema *s, object *o, slm_str name, int required) {
    SLM_TRY(slm_schema_spend(s, o->n));
    for (uint32_t i = 0; i < o->n; i++)
        if (o->names[i].len == name.len && memcmp(o->names[i].ptr, name.ptr, name.len) == 0) {
            o->required[i] |= (uint8_t)required;
            return SLM_OK;
        }
    if (o->n == o->cap) {
        uint32_t cap = o->cap == 0 ? 16 : o->cap * 2;
        slm_str *names = slm_schema_alloc(s, cap * sizeof *names);
        uint8_t *flags = slm_schema_alloc(s, cap);
        if (names == NULL || flags == NULL)
            return slm_fail_nomem(s->error, cap * sizeof *names, "a schema");
        if (o->n > 0) {
            memcpy(names, o->names, o->n * sizeof *names);
            memcpy(flags, o->required, o->n);
        }
        o->names = names;
        o->required = flags;
        o->cap = cap;
    }
    o->names[o->n] = name;
    o->required[o->n++] = (uint8_t)required;
    return SLM_OK;
}

static slm_status read_object(slm_schema *s, const slm_schema_set *set, object *o) {
    int said = 0;
    *o = (object){.set = set};
    for (uint32_t i = 0; i < set->n; i++) {
        const slm_json *node = set->at[i].node;
        const slm_json *properties = slm_json_get(node, "properties");
        const slm_json *patterns = slm_json_get(node, "patternProperties");
        const slm_json *others = slm_json_get(node, "additionalProperties");
        for (uint32_t p = 0; properties != NULL && p < properties->n_items; p++)
            SLM_TRY(add_name(s, o, properties->items[p].name, 0));
        for (uint32_t p = 0; patterns != NULL && p < patterns->n_items; p++) {
            if (o->n_patterns == SLM_SCHEMA_MAX_PATTERNS)
                return slm_schema_fail(s, SLM_ERR_LIMIT, patterns, "patternProperties",
                                       "more than 6 patterns apply to one object");
            const slm_dfa **dfa = &o->dfas[o->n_patterns];
            SLM_TRY(slm_schema_dfa(s, &patterns->items[p], patterns->items[p].name, 0, dfa));
            o->patterns[o->n_patterns++] = &patterns->items[p];
        }
        said |= properties != NULL || others != NULL || patterns != NULL ||
                slm_json_get(node, "required") != NULL;
        o->open |= others != NULL && others->type != SLM_JSON_FALSE;
    }
    o->open |= !said || s->lenient;
    for (uint32_t i = 0; i < set->n; i++) {
        const slm_json *required = slm_json_get(set->at[i].node, "required");
        for (uint32_t r = 0; required != NULL && r < required->n_items; r++)
            SLM_TRY(add_name(s, o, required->items[r].text, 1));
    }
    return SLM_OK;
}

/* Whether one of a node's patterns is among those that match. */
static int node_matches(const object *o, const slm_json *node, uint32_t matching) {
    const slm_json *patterns = slm_json_get(node, "patternProperties");
    for (uint32_t p = 0; patterns != NULL && p < o->n_patterns; p++)
        if (matching >> p & 1 && o->patterns[p] >= patterns->items &&
            o->patterns[p] < patterns->items + patterns->n_items)
            return 1;
    return 0;
}

/* The set of a member's value. name: declared, or ptr NULL; matching: the patterns that match it.
 */
static slm_status value_of_member(slm_schema *s, const object *o, slm_str name, uint32_t matching,
                                  slm_schema_set *out) {
    *out = (slm_schema_set){0};
    for (uint32_t i = 0; i < o->set->n; i++) {
        const slm_json *node = o->set->at[i].node;
        const slm_json *properties = slm_json_get(node, "properties");
        const slm_json *others = slm_json_get(node, "additionalProperties");
        const slm_json *schema = name.ptr != NULL ? slm_json_get_str(properties, name) : NULL;
        SLM_TRY(slm_schema_spend(s, 1 + (properties != NULL ? properties->n_items / 8 : 0)));
        if (schema != NULL)
            SLM_TRY(slm_set_add(s, out, schema, 0));
        else if (others != NULL && !node_matches(o, node, matching))
            SLM_TRY(slm_set_add(s, out, others, 0));
    }
    for (uint32_t p = 0; p < o->n_patterns; p++)
        if (matching >> p & 1)
            SLM_TRY(slm_set_add(s, out, o->patterns[p], 0));
    return SLM_OK;
}

/* Names that are not declared, that match these patterns and none of the others. */
static slm_status other_names(slm_schema *s, const object *o, uint32_t matching,
                              const slm_dfa **out) {
    const slm_dfa *declared;
    SLM_TRY(slm_dfa_length(&s->space, 0, SLM_NO_MAXIMUM, out, s->error));
    SLM_TRY(slm_dfa_words(&s->space, o->names, o->n, &declared, s->error));
    SLM_TRY(slm_dfa_product(&s->space, *out, declared, 1, out, s->error));
    for (uint32_t p = 0; p < o->n_patterns; p++)
        SLM_TRY(slm_dfa_product(&s->space, *out, o->dfas[p], !(matching >> p & 1), out, s->error));
    return SLM_OK;
}

/* Names of arguments in Python's syntax; others could not be written. */
#define IDENTIFIER "^[A-Za-z_][A-Za-z0-9_]*$"

static slm_status only_identifiers(slm_schema *s, const slm_dfa **names) {
    static const slm_str pattern = {IDENTIFIER, sizeof IDENTIFIER - 1};
    const slm_dfa *all;
    SLM_TRY(slm_regex_compile(&s->space, pattern, &all, s->error));
    if (*names != NULL)
        return slm_dfa_product(&s->space, *names, all, 0, names, s->error);
    *names = all;
    return SLM_OK;
}

/* A declared name up to its value. */
static slm_status build_name(slm_schema *s, const object *o, slm_str name, uint32_t from,
                             uint32_t *value) {
    const slm_dfa *names = NULL;
    char what[160];
    if (!o->is_call) {
        *value = slm_text_mark(s, slm_text_quoted(s, from, name), ':');
        return SLM_OK;
    }
    SLM_TRY(only_identifiers(s, &names));
    if (!slm_dfa_accepts(names, name)) {
        snprintf(what, sizeof what,
                 "got the argument \"%.*s\", but calls in Python's syntax have names of letters, "
                 "digits and _", (int)(name.len < 60 ? name.len : 60), name.ptr);
        return slm_schema_fail(s, SLM_ERR_UNSUP, s->root, "properties", what);
    }
    uint32_t end = slm_grammar_node(s->g);
    slm_grammar_text(s->g, from, name.ptr, name.len, end);
    *value = slm_text_mark(s, end, '=');
    return SLM_OK;
}

static slm_status build_other_name(slm_schema *s, const object *o, const slm_dfa *names,
                                   uint32_t from, uint32_t *value) {
    if (!o->is_call)
        return slm_text_member(s, from, names, value);
    uint32_t end = slm_grammar_node(s->g);
    SLM_TRY(slm_dfa_emit(s->host, s->g, names, from, SLM_SPELL_RAW, 0, end, s->error));
    *value = slm_text_mark(s, end, '=');
    return SLM_OK;
}

/* Members that are not declared: from a node before a name to one behind the value. */
static slm_status build_others(slm_schema *s, const object *o, uint32_t from, uint32_t to) {
    for (uint32_t matching = 0; matching < 1u << o->n_patterns; matching++) {
        const slm_dfa *names = NULL;
        slm_schema_set set;
        uint32_t value;
        if (matching == 0 && !o->open)
            continue;
        SLM_TRY(value_of_member(s, o, (slm_str){NULL, 0}, matching, &set));
        if (set.never)
            continue;
        if (o->n > 0 || o->n_patterns > 0)
            SLM_TRY(other_names(s, o, matching, &names));
        if (o->is_call)
            SLM_TRY(only_identifiers(s, &names));
        if (names != NULL && slm_dfa_is_empty(names))
            continue;
        SLM_TRY(build_other_name(s, o, names, from, &value));
        SLM_TRY(build_value(s, &set, value, to));
    }
    return SLM_OK;
}

/* Members in the order of the schema. For each there are two places to come from: with nothing
 * before it, and behind another member. */
static slm_status build_object(slm_schema *s, const slm_schema_set *set, int is_call, uint32_t from,
                               uint32_t to) {
    slm_grammar *g = s->g;
    object o;
    char close = is_call ? ')' : '}';
    SLM_TRY(read_object(s, set, &o));
    o.is_call = is_call;
    uint32_t first = slm_text_mark(s, from, is_call ? '(' : '{'), later = slm_grammar_node(g),
             comma = slm_grammar_node(g);
    for (uint32_t i = 0; i < o.n && g->status == SLM_OK; i++) {
        uint32_t name = slm_grammar_node(g), done = slm_grammar_node(g), matching = 0;
        uint32_t next_comma = slm_grammar_node(g), at = name;
        slm_schema_set value;
        for (uint32_t p = 0; p < o.n_patterns; p++)
            matching |= (uint32_t)slm_dfa_accepts(o.dfas[p], o.names[i]) << p;
        SLM_TRY(value_of_member(s, &o, o.names[i], matching, &value));
        slm_grammar_empty(g, first, name);
        slm_grammar_empty(g, comma, name);
        SLM_TRY(build_name(s, &o, o.names[i], name, &at));
        SLM_TRY(build_value(s, &value, at, done));
        slm_grammar_empty(g, slm_text_mark(s, done, ','), next_comma);
        uint32_t next_later = slm_grammar_node(g);
        slm_grammar_empty(g, done, next_later);
        if (o.required[i]) {
            first =
                slm_grammar_node(g); /* which nothing leads to: something stands before the rest */
        } else {
            slm_grammar_empty(g, later, next_later);
            slm_grammar_empty(g, comma, next_comma);
        }
        later = next_later;
        comma = next_comma;
    }
    uint32_t name = slm_grammar_node(g), done = slm_grammar_node(g);
    slm_grammar_empty(g, first, name);
    slm_grammar_empty(g, comma, name);
    SLM_TRY(build_others(s, &o, name, done));
    slm_grammar_empty(g, slm_text_mark(s, done, ','), name);
    slm_text_finish(s, first, close, to);
    slm_text_finish(s, later, close, to);
    slm_text_finish(s, done, close, to);
    return SLM_OK;
}

static slm_status build_flat(slm_schema *s, const slm_schema_set *set, uint32_t from, uint32_t to) {
    uint32_t n, types = types_of(set);
    const slm_json *values;
    if (values_of(set, &values, &n))
        return build_values(s, set, from, values, n, to);
    slm_text_words(s, from, types, to);
    if (types & (SLM_T_INTEGER | SLM_T_REAL))
        SLM_TRY(slm_schema_number(s, set, !(types & SLM_T_REAL), from, to));
    if (types & SLM_T_STRING)
        SLM_TRY(slm_schema_string(s, set, from, to));
    if (types & SLM_T_ARRAY)
        SLM_TRY(build_array(s, set, from, to));
    if (types & SLM_T_OBJECT)
        SLM_TRY(build_object(s, set, 0, from, to));
    return SLM_OK;
}

/* ---- all of it --------------------------------------------------------------------------------
 */

/* Rules that turn up while one is built are appended. */
static slm_status build_rules(slm_schema *s) {
    for (; s->n_built < s->n_rules; s->n_built++) {
        slm_schema_rule *rule = &s->rules[s->n_built];
        slm_schema_set *flat;
        uint32_t n;
        slm_grammar_rule r = s->g->rules[rule->rule];
        SLM_TRY(slm_set_flatten(s, &rule->set, &flat, &n));
        for (uint32_t f = 0; f < n; f++)
            SLM_TRY(build_flat(s, &flat[f], r.start, r.end));
        SLM_TRY(slm_grammar_check(s->g, s->error));
    }
    return SLM_OK;
}

/* No text may be left out by the trimming but those that cannot end, and no two branches of a oneOf
 * may have one in common. rules: of whole schemas, n of them. A failure leaves its schema in s->root. */
static slm_status check_rules(slm_schema *s, const slm_json *const *roots, const uint32_t *rules,
                              uint32_t n) {
    uint8_t *productive = slm_calloc(s->host, s->g->n_rules, 1);
    if (productive == NULL)
        return slm_fail_nomem(s->error, s->g->n_rules, "a schema");
    slm_status status = slm_grammar_trim(s->g, productive, s->error);
    for (uint32_t i = 0; status == SLM_OK && i < s->n_disjoint; i++) {
        s->root = s->disjoint[i].root;
        if (productive[s->disjoint[i].rule])
            status = slm_schema_fail(s, SLM_ERR_UNSUP, s->disjoint[i].node, "oneOf",
                                     "two of its branches have values in common, which is not "
                                     "supported: use anyOf where that is meant");
    }
    for (uint32_t i = 0; status == SLM_OK && i < n; i++) {
        s->root = roots[i];
        if (!productive[rules[i]])
            status = slm_schema_fail(s, SLM_ERR_GRAMMAR, s->root, NULL, "no value satisfies it");
    }
    slm_free(s->host, productive);
    return status;
}

static slm_status begin(slm_schema *s) {
    slm_text_shared(s);
    SLM_TRY(slm_grammar_check(s->g, s->error));
    return slm_text_any(s);
}

static slm_status compile(slm_schema *s, const char *text, size_t len) {
    slm_schema_set set = {0};
    uint32_t rule;
    SLM_TRY(slm_json_parse(&s->arena, text, len, 0, "schema", &s->root, s->error));
    SLM_TRY(begin(s));
    SLM_TRY(slm_set_add(s, &set, s->root, 0));
    SLM_TRY(slm_schema_rule_for(s, &set, &rule));
    SLM_TRY(build_rules(s));
    uint32_t root = slm_grammar_rule_new(s->g), end = slm_grammar_node(s->g);
    SLM_TRY(slm_grammar_check(s->g, s->error));
    slm_grammar_call(s->g, slm_text_space(s, s->g->rules[root].start, 0), rule, end);
    slm_grammar_empty(s->g, slm_text_space(s, end, 0), s->g->rules[root].end);
    SLM_TRY(slm_grammar_check(s->g, s->error));
    s->g->root = root;
    return check_rules(s, &s->root, &root, 1);
}

slm_status slm_schema_compile(slm_grammar *g, const char *text, size_t len, int lenient,
                              uint32_t *free_string, slm_error *error) {
    slm_schema s = {
        .g = g, .host = g->host, .arena = {.host = g->host}, .error = error, .lenient = lenient};
    if (len > SLM_SCHEMA_MAX_BYTES)
        return slm_fail(error, SLM_ERR_LIMIT, "schema", SLM_NO_OFFSET,
                        "schema: got %zu bytes, wanted at most %d", len, SLM_SCHEMA_MAX_BYTES);
    s.space.arena = &s.arena;
    slm_status status = compile(&s, text, len);
    *free_string = s.free_string + 1;
    slm_arena_free(&s.arena);
    return status;
}

/* ---- arguments of calls ---------------------------------------------------------------------- */

static slm_status build_arguments(slm_schema *s, const slm_schema_set *set, uint32_t rule) {
    slm_schema_set *flat;
    uint32_t n, n_values;
    const slm_json *values;
    slm_grammar_rule r = s->g->rules[rule];
    SLM_TRY(slm_set_flatten(s, set, &flat, &n));
    for (uint32_t f = 0; f < n; f++) {
        if (values_of(&flat[f], &values, &n_values))
            return slm_schema_fail(s, SLM_ERR_UNSUP, s->root, NULL,
                                   "enum and const of all arguments together are not supported "
                                   "in Python's syntax");
        if (types_of(&flat[f]) & SLM_T_OBJECT)
            SLM_TRY(build_object(s, &flat[f], 1, r.start, r.end));
    }
    return SLM_OK;
}

static slm_status add_arguments(slm_schema *s, const slm_json *schema, const slm_json *kind,
                                uint32_t *rule) {
    slm_schema_set set = {0};
    s->root = schema;
    SLM_TRY(slm_set_add(s, &set, schema, 0));
    SLM_TRY(slm_set_add(s, &set, kind, 0));
    if (s->python) {
        *rule = slm_grammar_rule_new(s->g);
        SLM_TRY(slm_grammar_check(s->g, s->error));
        SLM_TRY(build_arguments(s, &set, *rule));
    } else {
        SLM_TRY(slm_schema_rule_for(s, &set, rule));
    }
    return build_rules(s);
}

slm_status slm_schema_arguments(slm_grammar *g, int python, const slm_json *const *schemas,
                                uint32_t n, uint32_t *rules, uint32_t *free_string,
                                const slm_json **failed, slm_error *error) {
    static const char any_object[] = "{\"type\":\"object\"}";
    slm_schema s = {
        .g = g, .host = g->host, .arena = {.host = g->host}, .error = error, .python = python};
    const slm_json *kind;
    s.space.arena = &s.arena;
    slm_status status = slm_json_parse(&s.arena, any_object, sizeof any_object - 1, 0, "schema",
                                       &kind, error);
    if (status == SLM_OK)
        status = begin(&s);
    for (uint32_t i = 0; status == SLM_OK && i < n; i++)
        status = add_arguments(&s, schemas[i], kind, &rules[i]);
    if (status == SLM_OK)
        status = check_rules(&s, schemas, rules, n);
    *free_string = s.free_string + 1;
    *failed = s.root;
    slm_arena_free(&s.arena);
    return status;
}
