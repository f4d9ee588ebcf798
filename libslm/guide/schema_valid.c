/* Whether a value satisfies a schema: for the values of enum and const beside other keywords. */
#include "guide/schema_impl.h"

#include <string.h>

enum { MAX_DEPTH = 300 };

/* What it takes to look for one of n names, or to read n bytes. */
static uint64_t look_work(uint64_t n) {
    return n / 8;
}

static int same_number(slm_str a, slm_str b) {
    slm_decimal x, y;
    if (slm_decimal_read(a, &x) && slm_decimal_read(b, &y))
        return slm_decimal_compare(&x, &y) == 0;
    return slm_str_equal(a, b);
}

static slm_status equal(slm_schema *s, const slm_json *a, const slm_json *b, int *same) {
    enum { NUMBER_WORK = 8 };
    *same = a->type == b->type && a->n_items == b->n_items;
    if (!*same)
        return SLM_OK;
    if (a->type == SLM_JSON_NUMBER) {
        *same = same_number(a->text, b->text);
        return slm_schema_spend(s, NUMBER_WORK);
    }
    if (a->type == SLM_JSON_STRING)
        *same = slm_str_equal(a->text, b->text);
    SLM_TRY(slm_schema_spend(s, 1 + (*same ? look_work(a->text.len) : 0)));
    for (uint32_t i = 0; i < a->n_items && *same; i++) {
        const slm_json *other = &b->items[i];
        if (a->type == SLM_JSON_OBJECT) {
            SLM_TRY(slm_schema_spend(s, look_work(b->n_items)));
            other = slm_json_get_str(b, a->items[i].name);
        }
        *same = other != NULL;
        if (other != NULL)
            SLM_TRY(equal(s, &a->items[i], other, same));
    }
    return SLM_OK;
}

static slm_status each_item(slm_schema *s, const slm_json *node, const slm_json *value, int *ok) {
    const slm_json *prefix = slm_json_get(node, "prefixItems");
    const slm_json *rest = slm_json_get(node, "items");
    uint32_t n_prefix = prefix != NULL ? prefix->n_items : 0;
    *ok = value->n_items >= slm_schema_count(node, "minItems", 0) &&
          value->n_items <= slm_schema_count(node, "maxItems", UINT32_MAX);
    for (uint32_t i = 0; i < value->n_items && *ok; i++) {
        const slm_json *schema = i < n_prefix ? &prefix->items[i] : rest;
        if (schema != NULL)
            SLM_TRY(slm_schema_valid(s, schema, &value->items[i], ok));
    }
    return SLM_OK;
}

static slm_status each_member(slm_schema *s, const slm_json *node, const slm_json *value, int *ok) {
    const slm_json *properties = slm_json_get(node, "properties");
    const slm_json *patterns = slm_json_get(node, "patternProperties");
    const slm_json *others = slm_json_get(node, "additionalProperties");
    const slm_json *required = slm_json_get(node, "required");
    for (uint32_t i = 0; required != NULL && i < required->n_items && *ok; i++) {
        SLM_TRY(slm_schema_spend(s, 1 + look_work(value->n_items)));
        *ok = slm_json_get_str(value, required->items[i].text) != NULL;
    }
    for (uint32_t i = 0; i < value->n_items && *ok; i++) {
        const slm_json *member = &value->items[i];
        SLM_TRY(slm_schema_spend(s, 1 + (properties != NULL ? look_work(properties->n_items) : 0)));
        const slm_json *schema = slm_json_get_str(properties, member->name);
        int named = schema != NULL;
        if (named)
            SLM_TRY(slm_schema_valid(s, schema, member, ok));
        for (uint32_t p = 0; patterns != NULL && p < patterns->n_items && *ok; p++) {
            const slm_dfa *dfa;
            SLM_TRY(slm_schema_dfa(s, &patterns->items[p], patterns->items[p].name, 0, &dfa));
            SLM_TRY(slm_schema_spend(s, member->name.len));
            if (!slm_dfa_accepts(dfa, member->name))
                continue;
            named = 1;
            SLM_TRY(slm_schema_valid(s, &patterns->items[p], member, ok));
        }
        if (!named && others != NULL && *ok)
            SLM_TRY(slm_schema_valid(s, others, member, ok));
    }
    return SLM_OK;
}

static slm_status string_ok(slm_schema *s, const slm_json *node, const slm_json *value, int *ok) {
    uint32_t n = 0;
    SLM_TRY(slm_schema_spend(s, look_work(value->text.len)));
    for (size_t i = 0; i < value->text.len; i++)
        n += ((uint8_t)value->text.ptr[i] & 0xc0) != 0x80;
    *ok = n >= slm_schema_count(node, "minLength", 0) &&
          n <= slm_schema_count(node, "maxLength", UINT32_MAX);
    for (int is_format = 0; is_format <= 1 && *ok; is_format++) {
        const slm_json *v = slm_json_get(node, is_format ? "format" : "pattern");
        const slm_dfa *dfa;
        if (v == NULL || (is_format && slm_schema_format_is_number(v->text)))
            continue;
        SLM_TRY(slm_schema_dfa(s, v, v->text, is_format, &dfa));
        SLM_TRY(slm_schema_spend(s, value->text.len));
        *ok = slm_dfa_accepts(dfa, value->text);
    }
    return SLM_OK;
}

/* What a node says itself, without allOf, $ref, anyOf and oneOf. list: the value is out of it. */
static slm_status node_ok(slm_schema *s, const slm_json *node, const slm_json *list,
                          const slm_json *value, int *ok) {
    const slm_json *constant = slm_json_get(node, "const"), *values = slm_json_get(node, "enum");
    int declared;
    SLM_TRY(slm_schema_spend(s, 1 + node->n_items)); /* keywords are looked for many times */
    *ok = (slm_schema_types(node, &declared) & slm_schema_type_of(value)) != 0;
    if (constant != NULL && constant != list && *ok)
        SLM_TRY(equal(s, constant, value, ok));
    if (values != NULL && values->items != list && *ok) {
        *ok = 0;
        for (uint32_t i = 0; i < values->n_items && !*ok; i++)
            SLM_TRY(equal(s, &values->items[i], value, ok));
    }
    if (!*ok)
        return SLM_OK;
    switch (value->type) {
    case SLM_JSON_NUMBER:
        *ok = slm_schema_number_ok(s, node, value);
        return SLM_OK;
    case SLM_JSON_STRING:
        return string_ok(s, node, value, ok);
    case SLM_JSON_ARRAY:
        return each_item(s, node, value, ok);
    case SLM_JSON_OBJECT:
        return each_member(s, node, value, ok);
    default:
        return SLM_OK;
    }
}

/* How many schemas of a list hold, up to 2. */
static slm_status count_valid(slm_schema *s, const slm_json *list, const slm_json *value,
                              uint32_t *n) {
    *n = 0;
    for (uint32_t i = 0; i < list->n_items && *n < 2; i++) {
        int ok;
        SLM_TRY(slm_schema_valid(s, &list->items[i], value, &ok));
        *n += (uint32_t)ok;
    }
    return SLM_OK;
}

static slm_status combined_ok(slm_schema *s, const slm_json *node, const slm_json *value, int *ok) {
    const slm_json *all = slm_json_get(node, "allOf"), *target;
    uint32_t n;
    for (uint32_t i = 0; all != NULL && i < all->n_items && *ok; i++)
        SLM_TRY(slm_schema_valid(s, &all->items[i], value, ok));
    if (*ok && slm_json_get(node, "$ref") != NULL) {
        SLM_TRY(slm_schema_resolve(s, node, &target));
        SLM_TRY(slm_schema_valid(s, target, value, ok));
    }
    if (*ok && slm_json_get(node, "anyOf") != NULL) {
        SLM_TRY(count_valid(s, slm_json_get(node, "anyOf"), value, &n));
        *ok = n > 0;
    }
    if (*ok && slm_json_get(node, "oneOf") != NULL) {
        SLM_TRY(count_valid(s, slm_json_get(node, "oneOf"), value, &n));
        *ok = n == 1;
    }
    return SLM_OK;
}

slm_status slm_schema_valid(slm_schema *s, const slm_json *node, const slm_json *value, int *ok) {
    SLM_TRY(slm_schema_check(s, node));
    SLM_TRY(slm_schema_spend(s, 1));
    *ok = node->type != SLM_JSON_FALSE;
    if (node->type != SLM_JSON_OBJECT)
        return SLM_OK;
    if (s->depth == MAX_DEPTH)
        return slm_schema_fail(s, SLM_ERR_LIMIT, node, NULL,
                               "references lead deeper than 300 for a value of enum or const");
    s->depth++;
    slm_status status = node_ok(s, node, NULL, value, ok);
    if (status == SLM_OK && *ok)
        status = combined_ok(s, node, value, ok);
    s->depth--;
    return status;
}

slm_status slm_schema_valid_flat(slm_schema *s, const slm_schema_set *set, const slm_json *list,
                                 const slm_json *value, int *ok) {
    *ok = 1;
    for (uint32_t i = 0; i < set->n && *ok; i++)
        SLM_TRY(node_ok(s, set->at[i].node, list, value, ok));
    return SLM_OK;
}
