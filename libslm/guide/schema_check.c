#include "guide/schema_impl.h"

#include <stdio.h>
#include <string.h>

#define MAX_WORK (1u << 24)

/* ---- failing ---------------------------------------------------------------------------------- */

/* Writes the JSON pointer of a node within v behind text[0..at); 0 when it is not in there. */
static size_t find_pointer(const slm_json *v, const slm_json *node, char *text, size_t at,
                           size_t cap) {
    if (v == node)
        return at > 0 ? at : 1; /* the root is "#" */
    for (uint32_t i = 0; i < v->n_items; i++) {
        const slm_json *item = &v->items[i];
        size_t end = at;
        text[end++] = '/';
        if (item->name.ptr != NULL) {
            for (size_t c = 0; c < item->name.len && end + 8 < cap; c++) {
                char byte = item->name.ptr[c];
                if (byte == '~' || byte == '/') {
                    text[end++] = '~';
                    byte = byte == '~' ? '0' : '1';
                }
                text[end++] = byte;
            }
        } else {
            end += (size_t)snprintf(text + end, cap - end, "%u", i);
        }
        if (end + 16 < cap) {
            size_t found = find_pointer(item, node, text, end, cap);
            if (found > 0)
                return found;
        } else if (node->offset >= item->offset &&
                   (i + 1 == v->n_items || node->offset < v->items[i + 1].offset)) {
            return end; /* as far as there is room */
        }
    }
    return 0;
}

slm_status slm_schema_fail(slm_schema *s, slm_status status, const slm_json *node,
                           const char *keyword, const char *what) {
    char pointer[160] = "#";
    size_t n = find_pointer(s->root, node, pointer, 1, sizeof pointer);
    return slm_fail(s->error, status, keyword != NULL ? keyword : "schema", node->offset,
                    "schema, at %.*s: %s%s%s", (int)n, pointer, keyword != NULL ? keyword : "",
                    keyword != NULL ? ": " : "", what);
}

slm_status slm_schema_spend(slm_schema *s, uint64_t work) {
    s->work += work;
    if (s->work <= MAX_WORK)
        return SLM_OK;
    return slm_fail(s->error, SLM_ERR_LIMIT, "schema", SLM_NO_OFFSET,
                    "schema: its combinations take more than %u steps to work out", MAX_WORK);
}

void *slm_schema_alloc(slm_schema *s, size_t size) { return slm_arena_alloc(&s->arena, size); }

/* ---- keywords --------------------------------------------------------------------------------- */

typedef enum want {
    IGNORED, SCHEMA, SCHEMAS, SCHEMA_MAP, OBJECT, TYPE, NAMES, VALUES, ANY, COUNT, STRING, NUMBER,
    DIVISOR, REFUSED, REFUSED_UNLESS_0, REFUSED_UNLESS_FALSE
} want;

static const struct {
    const char *name;
    want want;
} keywords[] = {
    {"type", TYPE}, {"properties", SCHEMA_MAP}, {"required", NAMES},
    {"additionalProperties", SCHEMA}, {"patternProperties", SCHEMA_MAP}, {"enum", VALUES},
    {"const", ANY}, {"items", SCHEMA}, {"prefixItems", SCHEMAS}, {"minItems", COUNT},
    {"maxItems", COUNT}, {"minLength", COUNT}, {"maxLength", COUNT}, {"pattern", STRING},
    {"format", STRING}, {"anyOf", SCHEMAS}, {"oneOf", SCHEMAS}, {"allOf", SCHEMAS},
    {"$ref", STRING}, {"$anchor", STRING}, {"minimum", NUMBER}, {"maximum", NUMBER},
    {"exclusiveMinimum", NUMBER}, {"exclusiveMaximum", NUMBER}, {"multipleOf", DIVISOR},
    {"$defs", OBJECT}, {"definitions", OBJECT},
    {"title", IGNORED}, {"description", IGNORED}, {"default", IGNORED}, {"examples", IGNORED},
    {"example", IGNORED}, {"$schema", IGNORED}, {"$id", IGNORED}, {"id", IGNORED},
    {"$comment", IGNORED}, {"deprecated", IGNORED}, {"readOnly", IGNORED},
    {"writeOnly", IGNORED}, {"contentEncoding", IGNORED}, {"contentMediaType", IGNORED},
    {"contentSchema", IGNORED}, {"$dynamicAnchor", IGNORED}, {"$vocabulary", IGNORED},
    {"minProperties", REFUSED_UNLESS_0}, {"minContains", REFUSED},
    {"uniqueItems", REFUSED_UNLESS_FALSE},
};

static want wanted(slm_str name) {
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (strlen(keywords[i].name) == name.len && memcmp(keywords[i].name, name.ptr, name.len) == 0)
            return keywords[i].want;
    return name.len > 2 && memcmp(name.ptr, "x-", 2) == 0 ? IGNORED : REFUSED;
}

static int is_schema(const slm_json *v) {
    return v->type == SLM_JSON_OBJECT || v->type == SLM_JSON_TRUE || v->type == SLM_JSON_FALSE;
}

static int all_items(const slm_json *v, int (*is)(const slm_json *)) {
    for (uint32_t i = 0; i < v->n_items; i++)
        if (!is(&v->items[i]))
            return 0;
    return 1;
}

static int is_string(const slm_json *v) { return v->type == SLM_JSON_STRING; }

static uint32_t type_named(const slm_json *v) {
    static const char *const names[] = {"null", "boolean", "integer", "number", "string", "array",
                                        "object"};
    static const uint32_t types[] = {SLM_T_NULL, SLM_T_BOOL, SLM_T_INTEGER,
                                     SLM_T_INTEGER | SLM_T_REAL, SLM_T_STRING, SLM_T_ARRAY,
                                     SLM_T_OBJECT};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slm_json_is(v, names[i]))
            return types[i];
    return 0;
}

static int is_type(const slm_json *v) { return type_named(v) != 0; }

/* What is wrong with a keyword's value; NULL: nothing. */
static const char *complaint(want w, const slm_json *v) {
    int64_t n;
    switch (w) {
    case SCHEMA:
        return is_schema(v) ? NULL : "wanted a schema: an object or a boolean";
    case SCHEMAS:
        return v->type == SLM_JSON_ARRAY && v->n_items > 0 && all_items(v, is_schema)
                   ? NULL : "wanted a list of one or more schemas";
    case SCHEMA_MAP:
        return v->type == SLM_JSON_OBJECT && all_items(v, is_schema)
                   ? NULL : "wanted an object whose members are schemas";
    case OBJECT:
        return v->type == SLM_JSON_OBJECT ? NULL : "wanted an object";
    case TYPE:
        return is_type(v) || (v->type == SLM_JSON_ARRAY && v->n_items > 0 && all_items(v, is_type))
                   ? NULL
                   : "wanted null, boolean, integer, number, string, array or object, or a list";
    case NAMES:
        return v->type == SLM_JSON_ARRAY && all_items(v, is_string) ? NULL
                                                                     : "wanted a list of strings";
    case VALUES:
        return v->type == SLM_JSON_ARRAY ? NULL : "wanted a list";
    case COUNT:
        return slm_json_int64(v, &n) && n >= 0 ? NULL : "wanted a whole number, 0 or more";
    case STRING:
        return is_string(v) ? NULL : "wanted a string";
    case NUMBER:
        return v->type == SLM_JSON_NUMBER ? NULL : "wanted a number";
    case DIVISOR:
        return v->type == SLM_JSON_NUMBER && v->text.ptr[0] != '-' && slm_json_number(v->text) > 0
                   ? NULL : "wanted a number above 0";
    default:
        return NULL;
    }
}

static int refused(want w, const slm_json *v) {
    int64_t n;
    if (w == REFUSED_UNLESS_0)
        return !(slm_json_int64(v, &n) && n == 0);
    return w == REFUSED || (w == REFUSED_UNLESS_FALSE && v->type != SLM_JSON_FALSE);
}

/* Names all that is refused, since one keyword often comes with another. */
static slm_status refuse(slm_schema *s, const slm_json *node) {
    char names[120] = "";
    const slm_json *first = NULL;
    size_t n = 0, many = 0;
    for (uint32_t i = 0; i < node->n_items; i++) {
        const slm_json *v = &node->items[i];
        if (!refused(wanted(v->name), v))
            continue;
        first = first != NULL ? first : v;
        if (n + v->name.len + 3 > sizeof names)
            continue;
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%.*s", many++ > 0 ? ", " : "",
                              (int)v->name.len, v->name.ptr);
    }
    return slm_schema_fail(s, SLM_ERR_UNSUP, first, many > 0 ? names : NULL,
                           many > 1 ? "these keywords are not supported"
                                    : "this keyword is not supported");
}

static uint32_t hash_pointer(const void *p) {
    return (uint32_t)(((uint64_t)(uintptr_t)p * 0x9e3779b97f4a7c15u) >> 32);
}

/* 1 when a node was noted before; notes it otherwise. -1 without memory. */
static int note_checked(slm_schema *s, const slm_json *node) {
    if (s->n_checked * 2 >= s->cap_checked) {
        uint32_t cap = s->cap_checked == 0 ? 256 : s->cap_checked * 2;
        const slm_json **table = slm_schema_alloc(s, cap * sizeof *table);
        if (table == NULL)
            return -1;
        memset(table, 0, cap * sizeof *table);
        for (uint32_t i = 0; i < s->cap_checked; i++)
            if (s->checked[i] != NULL) {
                uint32_t at = hash_pointer(s->checked[i]) & (cap - 1);
                while (table[at] != NULL)
                    at = (at + 1) & (cap - 1);
                table[at] = s->checked[i];
            }
        s->checked = table;
        s->cap_checked = cap;
    }
    uint32_t at = hash_pointer(node) & (s->cap_checked - 1);
    for (; s->checked[at] != NULL; at = (at + 1) & (s->cap_checked - 1))
        if (s->checked[at] == node)
            return 1;
    s->checked[at] = node;
    s->n_checked++;
    return 0;
}

slm_status slm_schema_check(slm_schema *s, const slm_json *node) {
    if (!is_schema(node))
        return slm_schema_fail(s, SLM_ERR_GRAMMAR, node, NULL,
                               "this is no schema, wanted an object or a boolean");
    int known = note_checked(s, node);
    if (known != 0)
        return known > 0 ? SLM_OK : slm_fail_nomem(s->error, s->arena.used, "a schema");
    if (node->n_items > SLM_SCHEMA_MAX_KEYWORDS)
        return slm_schema_fail(s, SLM_ERR_LIMIT, node, NULL, "more than 128 keywords");
    for (uint32_t i = 0; i < node->n_items; i++) {
        const slm_json *v = &node->items[i];
        want w = wanted(v->name);
        char keyword[32];
        if (refused(w, v))
            return refuse(s, node);
        const char *what = complaint(w, v);
        snprintf(keyword, sizeof keyword, "%.*s", (int)(v->name.len < 31 ? v->name.len : 31),
                 v->name.ptr);
        if (what != NULL)
            return slm_schema_fail(s, SLM_ERR_GRAMMAR, v, keyword, what);
    }
    return SLM_OK;
}

uint32_t slm_schema_types(const slm_json *node, int *declared) {
    const slm_json *type = slm_json_get(node, "type");
    uint32_t types = 0;
    *declared = type != NULL;
    if (type == NULL)
        return SLM_T_ALL;
    if (type->type == SLM_JSON_STRING)
        return type_named(type);
    for (uint32_t i = 0; i < type->n_items; i++)
        types |= type_named(&type->items[i]);
    return types;
}

uint32_t slm_schema_type_of(const slm_json *value) {
    slm_decimal d;
    switch (value->type) {
    case SLM_JSON_NULL:
        return SLM_T_NULL;
    case SLM_JSON_FALSE:
    case SLM_JSON_TRUE:
        return SLM_T_BOOL;
    case SLM_JSON_STRING:
        return SLM_T_STRING;
    case SLM_JSON_ARRAY:
        return SLM_T_ARRAY;
    case SLM_JSON_OBJECT:
        return SLM_T_OBJECT;
    default:
        return slm_decimal_read(value->text, &d) && d.n_fraction == 0 ? SLM_T_INTEGER : SLM_T_REAL;
    }
}

uint32_t slm_schema_count(const slm_json *node, const char *keyword, uint32_t otherwise) {
    int64_t n;
    const slm_json *v = slm_json_get(node, keyword);
    if (v == NULL || !slm_json_int64(v, &n))
        return otherwise;
    return n < UINT32_MAX - 1 ? (uint32_t)n : UINT32_MAX - 1;
}

/* ---- references ------------------------------------------------------------------------------- */

/* *out stays NULL where nothing has the anchor. */
static slm_status find_anchor(slm_schema *s, const slm_json *v, slm_str name,
                              const slm_json **out) {
    const slm_json *anchor = slm_json_get(v, "$anchor");
    if (anchor == NULL)
        anchor = slm_json_get(v, "$dynamicAnchor");
    if (anchor != NULL && anchor->type == SLM_JSON_STRING && anchor->text.len == name.len &&
        memcmp(anchor->text.ptr, name.ptr, name.len) == 0)
        *out = v;
    SLM_TRY(slm_schema_spend(s, 1));
    for (uint32_t i = 0; i < v->n_items && *out == NULL; i++)
        SLM_TRY(find_anchor(s, &v->items[i], name, out));
    return SLM_OK;
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* One part of a JSON pointer in a URI fragment, decoded in place; returns its length. */
static size_t decode_part(char *text, size_t len) {
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%' && i + 2 < len && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
            c = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            i += 2;
        }
        if (n > 0 && text[n - 1] == '~' && (c == '0' || c == '1'))
            text[n - 1] = c == '0' ? '\x01' : '/'; /* ~ is put in below: it must not begin an escape */
        else
            text[n++] = c;
    }
    for (size_t i = 0; i < n; i++)
        if (text[i] == '\x01')
            text[i] = '~';
    return n;
}

static const slm_json *descend(const slm_json *v, slm_str part) {
    if (v->type == SLM_JSON_OBJECT)
        return slm_json_get_str(v, part);
    uint32_t index = 0;
    for (size_t i = 0; i < part.len; i++) {
        if (part.ptr[i] < '0' || part.ptr[i] > '9' || index > v->n_items)
            return NULL;
        index = index * 10 + (uint32_t)(part.ptr[i] - '0');
    }
    return v->type == SLM_JSON_ARRAY && part.len > 0 && index < v->n_items ? &v->items[index] : NULL;
}

slm_status slm_schema_resolve(slm_schema *s, const slm_json *node, const slm_json **out) {
    const slm_json *ref = slm_json_get(node, "$ref"), *target = s->root;
    slm_str text = ref->text;
    if (text.len == 0 || text.ptr[0] != '#')
        return slm_schema_fail(s, SLM_ERR_UNSUP, ref, "$ref",
                               "wanted a reference into this schema, which begins with #");
    if (text.len > 1 && text.ptr[1] != '/') {
        target = NULL;
        SLM_TRY(find_anchor(s, s->root, (slm_str){text.ptr + 1, text.len - 1}, &target));
    } else if (text.len > 1) {
        char *copy = slm_schema_alloc(s, text.len);
        if (copy == NULL)
            return slm_fail_nomem(s->error, text.len, "a schema");
        memcpy(copy, text.ptr, text.len);
        for (size_t at = 2; at <= text.len && target != NULL;) {
            size_t end = at;
            while (end < text.len && copy[end] != '/')
                end++;
            SLM_TRY(slm_schema_spend(s, target->n_items / 8)); /* a name is looked for */
            target = descend(target, (slm_str){copy + at, decode_part(copy + at, end - at)});
            at = end + 1;
        }
    }
    if (target == NULL)
        return slm_schema_fail(s, SLM_ERR_GRAMMAR, ref, "$ref", "there is nothing where it points");
    *out = target;
    return SLM_OK;
}

/* ---- sets ------------------------------------------------------------------------------------- */

static slm_status push(slm_schema *s, slm_schema_set *set, slm_set_member member) {
    if (set->n == SLM_SCHEMA_MAX_SET)
        return slm_schema_fail(s, SLM_ERR_LIMIT, member.node, NULL,
                               "more than 500 subschemas apply at once");
    if (set->n == set->cap) {
        uint32_t cap = set->cap == 0 ? 4 : set->cap * 2;
        slm_set_member *at = slm_schema_alloc(s, cap * sizeof *at);
        if (at == NULL)
            return slm_fail_nomem(s->error, cap * sizeof *at, "a schema");
        if (set->n > 0)
            memcpy(at, set->at, set->n * sizeof *at);
        set->at = at;
        set->cap = cap;
    }
    set->at[set->n++] = member;
    return SLM_OK;
}

slm_status slm_set_copy(slm_schema *s, const slm_schema_set *from, slm_schema_set *to) {
    *to = (slm_schema_set){.never = from->never};
    for (uint32_t i = 0; i < from->n; i++)
        SLM_TRY(push(s, to, from->at[i]));
    return slm_schema_spend(s, from->n);
}

slm_status slm_set_add(slm_schema *s, slm_schema_set *set, const slm_json *node, uint32_t parent) {
    SLM_TRY(slm_schema_check(s, node));
    SLM_TRY(slm_schema_spend(s, 1 + set->n / 4));
    if (node->type == SLM_JSON_FALSE)
        set->never = 1;
    if (node->type != SLM_JSON_OBJECT || node->n_items == 0)
        return SLM_OK;
    for (uint32_t up = parent; up != 0; up = set->at[up - 1].parent)
        if (set->at[up - 1].node == node)
            return slm_schema_fail(s, SLM_ERR_GRAMMAR, node, "$ref",
                                   "it leads back to itself before anything is read");
    for (uint32_t i = 0; i < set->n; i++)
        if (set->at[i].node == node)
            return SLM_OK;
    SLM_TRY(push(s, set, (slm_set_member){node, parent, SLM_OPEN}));
    uint32_t self = set->n;
    const slm_json *all = slm_json_get(node, "allOf");
    for (uint32_t i = 0; all != NULL && i < all->n_items; i++)
        SLM_TRY(slm_set_add(s, set, &all->items[i], self));
    if (slm_json_get(node, "$ref") != NULL) {
        const slm_json *target;
        SLM_TRY(slm_schema_resolve(s, node, &target));
        SLM_TRY(slm_set_add(s, set, target, self));
    }
    return SLM_OK;
}

typedef struct flattening {
    slm_schema_set *out;
    uint32_t n, cap;
} flattening;

static slm_status flatten(slm_schema *s, const slm_schema_set *set, uint32_t from, flattening *f);

/* Makes one choice: the branches of a keyword of member i. */
static slm_status choose(slm_schema *s, const slm_schema_set *set, uint32_t i, const slm_json *list,
                         flattening *f) {
    for (uint32_t b = 0; b < list->n_items; b++) {
        slm_schema_set copy;
        SLM_TRY(slm_set_copy(s, set, &copy));
        SLM_TRY(slm_set_add(s, &copy, &list->items[b], i + 1));
        if (!copy.never)
            SLM_TRY(flatten(s, &copy, i, f));
    }
    return SLM_OK;
}

/* Two branches of a oneOf may not both hold. */
static slm_status exclude(slm_schema *s, const slm_schema_set *set, uint32_t i,
                          const slm_json *list) {
    for (uint32_t a = 0; a < list->n_items; a++)
        for (uint32_t b = a + 1; b < list->n_items; b++) {
            slm_schema_set both;
            uint32_t rule;
            SLM_TRY(slm_set_copy(s, set, &both));
            SLM_TRY(slm_set_add(s, &both, &list->items[a], i + 1));
            SLM_TRY(slm_set_add(s, &both, &list->items[b], i + 1));
            if (both.never)
                continue;
            SLM_TRY(slm_schema_rule_for(s, &both, &rule));
            if (s->n_disjoint == s->cap_disjoint) {
                uint32_t cap = s->cap_disjoint == 0 ? 16 : s->cap_disjoint * 2;
                slm_disjoint *larger = slm_schema_alloc(s, cap * sizeof *larger);
                if (larger == NULL)
                    return slm_fail_nomem(s->error, cap * sizeof *larger, "a schema");
                if (s->n_disjoint > 0)
                    memcpy(larger, s->disjoint, s->n_disjoint * sizeof *larger);
                s->disjoint = larger;
                s->cap_disjoint = cap;
            }
            s->disjoint[s->n_disjoint++] = (slm_disjoint){set->at[i].node, rule, a, b, s->root};
        }
    return SLM_OK;
}

static slm_status flatten(slm_schema *s, const slm_schema_set *set, uint32_t from, flattening *f) {
    slm_schema_set next;
    SLM_TRY(slm_set_copy(s, set, &next));
    for (uint32_t i = from; i < next.n; i++) {
        slm_set_member *m = &next.at[i];
        const slm_json *any = m->made < SLM_ANY_OF_MADE ? slm_json_get(m->node, "anyOf") : NULL;
        m->made = m->made < SLM_ANY_OF_MADE ? SLM_ANY_OF_MADE : m->made;
        if (any != NULL)
            return choose(s, &next, i, any, f);
        const slm_json *one = m->made < SLM_CHOICES_MADE ? slm_json_get(m->node, "oneOf") : NULL;
        m->made = SLM_CHOICES_MADE;
        if (one != NULL) {
            SLM_TRY(exclude(s, &next, i, one));
            return choose(s, &next, i, one, f);
        }
    }
    if (f->n == SLM_SCHEMA_MAX_FLAT)
        return slm_schema_fail(s, SLM_ERR_LIMIT, set->at[0].node, NULL,
                               "anyOf and oneOf leave more than 2000 combinations");
    if (f->n == f->cap) {
        uint32_t cap = f->cap == 0 ? 4 : f->cap * 2;
        slm_schema_set *out = slm_schema_alloc(s, cap * sizeof *out);
        if (out == NULL)
            return slm_fail_nomem(s->error, cap * sizeof *out, "a schema");
        if (f->n > 0)
            memcpy(out, f->out, f->n * sizeof *out);
        f->out = out;
        f->cap = cap;
    }
    f->out[f->n++] = next;
    return SLM_OK;
}

slm_status slm_set_flatten(slm_schema *s, const slm_schema_set *set, slm_schema_set **flat,
                           uint32_t *n) {
    flattening f = {NULL, 0, 0};
    if (!set->never)
        SLM_TRY(flatten(s, set, 0, &f));
    *flat = f.out;
    *n = f.n;
    return SLM_OK;
}
