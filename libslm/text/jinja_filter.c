/* Filters of templates. */
#include "text/jinja_impl.h"
#include "text/unicode.h"

#include <math.h>
#include <utf8proc.h>

typedef slm_status (*filter_fn)(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out);

/* ---- texts ---- */

static uint32_t to_case(uint32_t cp, slm_jcase to) {
    utf8proc_int32_t c = (utf8proc_int32_t)cp;
    return (uint32_t)(to == SLM_J_LOWER   ? utf8proc_tolower(c)
                      : to == SLM_J_UPPER ? utf8proc_toupper(c)
                                          : utf8proc_totitle(c));
}

slm_status slm_j_change_case(slm_jinja *j, slm_jvalue s, slm_jcase to, slm_jvalue *out) {
    const slm_jstr *from = s.u.s;
    slm_buffer text = {.host = j->arena.host}, marks = text;
    slm_status status = slm_j_charge_chars(j, from->len);
    int in_word = 0;
    for (size_t i = 0, len; i < from->len && status == SLM_OK; i += len) {
        uint32_t cp = slm_utf8_decode(from->s + i, from->len - i, &len);
        slm_jcase mine = to;
        if (to == SLM_J_TITLE || to == SLM_J_CAPITALIZE)
            mine = (to == SLM_J_TITLE ? in_word : i > 0) ? SLM_J_LOWER : SLM_J_TITLE;
        in_word = (slm_cp_class(cp) & SLM_CLASS_LETTER) != 0;
        char bytes[4] = {from->s[i]};
        size_t n = cp == SLM_CP_NONE ? 1 : slm_utf8_encode(to_case(cp, mine), bytes);
        if (cp == 0xDF &&
            mine != SLM_J_LOWER) { /* the sharp s: the only letter that comes to two */
            memcpy(bytes, mine == SLM_J_UPPER ? "SS" : "Ss", 2);
            n = 2;
        }
        status = slm_j_write_bytes(j, &text, &marks, bytes, n, from->marks[i]);
    }
    if (status == SLM_OK)
        return slm_j_take(j, &text, &marks, out);
    slm_buffer_free(&text);
    slm_buffer_free(&marks);
    return status;
}

/* Whether a character is among chars, or white space where chars is no STRING. */
static int is_stripped(slm_jvalue chars, uint32_t cp) {
    if (chars.type != SLM_J_STRING)
        return slm_cp_is_blank(cp);
    for (size_t i = 0, n; i < chars.u.s->len; i += n)
        if (slm_utf8_decode(chars.u.s->s + i, chars.u.s->len - i, &n) == cp)
            return 1;
    return 0;
}

slm_status slm_j_strip(slm_jinja *j, slm_jvalue s, slm_jvalue chars, int sides, slm_jvalue *out) {
    const char *p = s.u.s->s;
    size_t from = 0, to = s.u.s->len, len;
    size_t each = 1 + (chars.type == SLM_J_STRING ? chars.u.s->len / 4 : 0);
    while ((sides & SLM_J_LEFT) && from < to) {
        SLM_TRY(slm_j_charge(j, each));
        if (!is_stripped(chars, slm_utf8_decode(p + from, to - from, &len)))
            break;
        from += len;
    }
    while ((sides & SLM_J_RIGHT) && to > from) {
        size_t start = to - 1;
        while (start > from && ((uint8_t)p[start] & 0xC0) == 0x80)
            start--;
        SLM_TRY(slm_j_charge(j, each));
        if (!is_stripped(chars, slm_utf8_decode(p + start, to - start, &len)))
            break;
        to = start;
    }
    return slm_j_part(j, s, from, to, out);
}

slm_status slm_j_replace(slm_jinja *j, slm_jvalue s, slm_jvalue from, slm_jvalue to, int64_t count,
                         slm_jvalue *out) {
    slm_str text = slm_j_text(s), what = slm_j_text(from);
    slm_jvalue part;
    size_t done = 0, at = 0;
    SLM_TRY(slm_j_charge_search(j, text.len, what.len));
    SLM_TRY(slm_j_own(j, "", out));
    for (int64_t i = 0; count < 0 || i < count; i++) {
        size_t step = 0;
        if (what.len > 0) { /* else: before every character and at the end */
            at = slm_str_find(text, what, done);
        } else if (i > 0) {
            if (at == text.len)
                break;
            (void)slm_utf8_decode(text.ptr + at, text.len - at, &step);
            at += step;
        }
        if (at == SIZE_MAX)
            break;
        SLM_TRY(slm_j_charge(j, 1));
        SLM_TRY(slm_j_part(j, s, done, at, &part));
        SLM_TRY(slm_j_concat(j, *out, part, out));
        SLM_TRY(slm_j_concat(j, *out, to, out));
        done = at + what.len;
    }
    SLM_TRY(slm_j_part(j, s, done, text.len, &part));
    return slm_j_concat(j, *out, part, out);
}

slm_status slm_j_join(slm_jinja *j, slm_jvalue separator, const slm_jlist *items, slm_jvalue *out) {
    SLM_TRY(slm_j_own(j, "", out));
    for (size_t i = 0; i < items->n; i++) {
        slm_jvalue s;
        SLM_TRY(slm_j_charge(j, 1));
        if (i > 0)
            SLM_TRY(slm_j_concat(j, *out, separator, out));
        SLM_TRY(slm_j_str(j, items->items[i], &s));
        SLM_TRY(slm_j_concat(j, *out, s, out));
    }
    return SLM_OK;
}

static slm_status f_trim(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    slm_jvalue chars;
    SLM_TRY(slm_j_arg_text(j, args, 0, "chars", &chars));
    SLM_TRY(slm_j_str(j, v, &v));
    return slm_j_strip(j, v, chars, SLM_J_LEFT | SLM_J_RIGHT, out);
}

#define CASE_FILTER(name, to)                                                                      \
    static slm_status name(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {   \
        (void)args;                                                                                \
        SLM_TRY(slm_j_str(j, v, &v));                                                              \
        return slm_j_change_case(j, v, to, out);                                                   \
    }
CASE_FILTER(f_lower, SLM_J_LOWER)
CASE_FILTER(f_upper, SLM_J_UPPER)
CASE_FILTER(f_title, SLM_J_TITLE)
CASE_FILTER(f_capitalize, SLM_J_CAPITALIZE)

static slm_status f_string(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    (void)args;
    return slm_j_str(j, v, out);
}

static slm_status f_replace(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    slm_jvalue from, to;
    int64_t count;
    SLM_TRY(slm_j_arg_text(j, args, 0, "old", &from));
    SLM_TRY(slm_j_arg_text(j, args, 1, "new", &to));
    SLM_TRY(slm_j_arg_int(j, args, 2, "count", -1, &count));
    if (from.type != SLM_J_STRING || to.type != SLM_J_STRING)
        return slm_j_fail(j, "replace wants two strings");
    SLM_TRY(slm_j_str(j, v, &v));
    return slm_j_replace(j, v, from, to, count, out);
}

static slm_status f_escape(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    static const char *const FROM[] = {"&", "<", ">", "'", "\""};
    static const char *const TO[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    (void)args;
    SLM_TRY(slm_j_str(j, v, out));
    for (int i = 0; i < 5; i++) {
        slm_jvalue from, to;
        SLM_TRY(slm_j_own(j, FROM[i], &from));
        SLM_TRY(slm_j_own(j, TO[i], &to));
        SLM_TRY(slm_j_replace(j, *out, from, to, -1, out));
    }
    return SLM_OK;
}

/* ---- numbers ---- */

static slm_status f_int(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    int64_t otherwise, i;
    double f;
    SLM_TRY(slm_j_arg_int(j, args, 0, "default", 0, &otherwise));
    *out = slm_j_int(otherwise);
    if (v.type == SLM_J_STRING) {
        slm_jvalue blank = slm_j_nothing();
        SLM_TRY(slm_j_strip(j, v, blank, SLM_J_LEFT | SLM_J_RIGHT, &v));
        slm_arena arena = {.host = j->arena.host};
        const slm_json *spelt;
        (void)slm_json_parse(&arena, v.u.s->s, v.u.s->len, 0, "number", &spelt, NULL);
        if (slm_json_is_integer(spelt) && slm_json_int64(spelt, &i))
            *out = slm_j_int(i);
        else if (slm_json_double(spelt, &f) && fabs(f) < 0x1p63)
            *out = slm_j_int((int64_t)f);
        slm_arena_free(&arena);
        out->mark = SLM_MARK_DATA;
    } else if (v.type == SLM_J_BOOL || v.type == SLM_J_INT || v.type == SLM_J_BIG) {
        *out = v;
        out->type = v.type == SLM_J_BIG ? SLM_J_BIG : SLM_J_INT;
    } else if (v.type == SLM_J_FLOAT && fabs(v.u.f) < 0x1p63) {
        *out = slm_j_int((int64_t)v.u.f);
        out->mark = v.mark;
    }
    return SLM_OK;
}

static slm_status f_float(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    const slm_jvalue *otherwise = slm_j_arg(args, 0, "default");
    *out = otherwise ? *otherwise : slm_j_float(0);
    if (slm_j_is_number(v)) {
        *out = slm_j_float(slm_j_to_double(v));
        out->mark = v.mark;
    } else if (v.type == SLM_J_STRING) {
        slm_arena arena = {.host = j->arena.host};
        const slm_json *spelt;
        double f;
        if (slm_json_parse(&arena, v.u.s->s, v.u.s->len, 0, "number", &spelt, NULL) == SLM_OK &&
            slm_json_double(spelt, &f))
            *out = slm_j_float(f);
        slm_arena_free(&arena);
        out->mark = SLM_MARK_DATA;
    }
    return SLM_OK;
}

static slm_status f_abs(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    (void)args;
    *out = v;
    if (v.type == SLM_J_FLOAT)
        out->u.f = fabs(v.u.f);
    else if ((v.type == SLM_J_INT || v.type == SLM_J_BOOL) && v.u.i != INT64_MIN)
        out->u.i = v.u.i < 0 ? -v.u.i : v.u.i;
    else
        return slm_j_fail(j, "abs of %s", slm_j_type_name(v));
    return SLM_OK;
}

static slm_status f_round(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    int64_t precision;
    slm_jvalue method;
    SLM_TRY(slm_j_arg_int(j, args, 0, "precision", 0, &precision));
    SLM_TRY(slm_j_arg_text(j, args, 1, "method", &method));
    if (!slm_j_is_number(v) || precision < -300 || precision > 300)
        return slm_j_fail(j, "round of %s", slm_j_type_name(v));
    double scale = pow(10, (double)precision), x = slm_j_to_double(v) * scale;
    slm_str how = method.type == SLM_J_STRING ? slm_j_text(method) : (slm_str){"common", 6};
    x = slm_str_is(how, "ceil") ? ceil(x) : slm_str_is(how, "floor") ? floor(x) : nearbyint(x);
    *out = slm_j_float(x / scale);
    out->mark = v.mark;
    return SLM_OK;
}

/* ---- lists and dicts ---- */

static slm_status f_length(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    (void)args;
    if (v.type != SLM_J_UNDEFINED && v.type != SLM_J_STRING && v.type != SLM_J_LIST &&
        v.type != SLM_J_DICT)
        return slm_j_fail(j, "the length of %s", slm_j_type_name(v));
    *out = slm_j_int((int64_t)slm_j_length(v));
    return slm_j_charge(j, v.type == SLM_J_STRING ? v.u.s->len / 64 : 0);
}

static slm_status end_item(slm_jinja *j, slm_jvalue v, int last, slm_jvalue *out) {
    slm_jlist *items;
    SLM_TRY(slm_j_items(j, v, &items));
    if (items->n == 0)
        return slm_j_undefined(j, (slm_str){"the item of an empty list", 25}, out);
    *out = items->items[last ? items->n - 1 : 0];
    return SLM_OK;
}

static slm_status f_first(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    (void)args;
    return end_item(j, v, 0, out);
}

static slm_status f_last(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    (void)args;
    return end_item(j, v, 1, out);
}

/* A list of its own, which a filter may change. */
static slm_status copy_items(slm_jinja *j, slm_jvalue v, slm_jvalue *out) {
    slm_jlist *items;
    SLM_TRY(slm_j_items(j, v, &items));
    SLM_TRY(slm_j_list(j, items->n, out));
    SLM_TRY(slm_j_charge(j, items->n / 8));
    for (size_t i = 0; i < items->n; i++)
        SLM_TRY(slm_j_append(j, *out, items->items[i]));
    return SLM_OK;
}

static slm_status f_list(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    (void)args;
    return copy_items(j, v, out);
}

static slm_status f_reverse(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    slm_jvalue list, empty;
    (void)args;
    SLM_TRY(copy_items(j, v, &list));
    slm_jlist *l = list.u.list;
    for (size_t i = 0; i < l->n / 2; i++) {
        slm_jvalue t = l->items[i];
        l->items[i] = l->items[l->n - 1 - i];
        l->items[l->n - 1 - i] = t;
    }
    *out = list;
    if (v.type != SLM_J_STRING)
        return SLM_OK;
    SLM_TRY(slm_j_own(j, "", &empty));
    return slm_j_join(j, empty, l, out);
}

static slm_status pair(slm_jinja *j, slm_jvalue key, slm_jvalue value, slm_jvalue *out) {
    SLM_TRY(slm_j_list(j, 2, out));
    out->tuple = 1;
    SLM_TRY(slm_j_append(j, *out, key));
    return slm_j_append(j, *out, value);
}

static slm_status f_items(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    (void)args;
    if (v.type != SLM_J_DICT && v.type != SLM_J_UNDEFINED)
        return slm_j_fail(j, "the items of %s, wanted a dict", slm_j_type_name(v));
    size_t n = slm_j_length(v);
    SLM_TRY(slm_j_list(j, n, out));
    for (size_t i = 0; i < n; i++) {
        slm_jvalue both;
        SLM_TRY(pair(j, v.u.dict->pairs[i].key, v.u.dict->pairs[i].value, &both));
        SLM_TRY(slm_j_append(j, *out, both));
    }
    return SLM_OK;
}

/* What items are compared by: a member of theirs, in lower case where case does not count. */
static slm_status sort_key(slm_jinja *j, slm_jvalue item, const slm_jvalue *attribute,
                           int case_sensitive, slm_jvalue *out) {
    *out = item;
    if (attribute && attribute->type != SLM_J_NONE)
        SLM_TRY(slm_j_get_path(j, item, *attribute, out));
    return !case_sensitive && out->type == SLM_J_STRING
               ? slm_j_change_case(j, *out, SLM_J_LOWER, out)
               : SLM_OK;
}

static slm_status sort_keys(slm_jinja *j, const slm_jlist *items, const slm_jvalue *attribute,
                            int case_sensitive, slm_jvalue **keys) {
    SLM_TRY(slm_j_alloc(j, items->n * sizeof **keys, keys));
    for (size_t i = 0; i < items->n; i++)
        SLM_TRY(sort_key(j, items->items[i], attribute, case_sensitive, &(*keys)[i]));
    return SLM_OK;
}

static slm_status f_sort(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    slm_jvalue *keys;
    SLM_TRY(copy_items(j, v, out));
    SLM_TRY(sort_keys(j, out->u.list, slm_j_arg(args, 2, "attribute"),
                      slm_j_arg_true(args, 1, "case_sensitive", 0), &keys));
    return slm_j_sort(j, out->u.list, keys, slm_j_arg_true(args, 0, "reverse", 0));
}

static slm_status f_dictsort(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    slm_jvalue by, index = slm_j_int(0), *keys;
    SLM_TRY(slm_j_arg_text(j, args, 1, "by", &by));
    if (by.type == SLM_J_STRING && slm_str_is(slm_j_text(by), "value"))
        index = slm_j_int(1);
    SLM_TRY(f_items(j, v, args, out));
    SLM_TRY(sort_keys(j, out->u.list, &index, slm_j_arg_true(args, 0, "case_sensitive", 0), &keys));
    return slm_j_sort(j, out->u.list, keys, slm_j_arg_true(args, 2, "reverse", 0));
}

static slm_status f_unique(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    slm_jlist *items;
    slm_jvalue *keys, seen;
    int yes;
    SLM_TRY(slm_j_items(j, v, &items));
    SLM_TRY(sort_keys(j, items, slm_j_arg(args, 1, "attribute"),
                      slm_j_arg_true(args, 0, "case_sensitive", 0), &keys));
    SLM_TRY(slm_j_list(j, 0, out));
    SLM_TRY(slm_j_list(j, 0, &seen));
    for (size_t i = 0; i < items->n; i++) {
        SLM_TRY(slm_j_contains(j, seen, keys[i], &yes));
        if (yes)
            continue;
        SLM_TRY(slm_j_append(j, seen, keys[i]));
        SLM_TRY(slm_j_append(j, *out, items->items[i]));
    }
    return SLM_OK;
}

static slm_status extreme(slm_jinja *j, slm_jvalue v, const slm_jargs *args, int sign,
                          slm_jvalue *out) {
    slm_jlist *items;
    slm_jvalue *keys;
    size_t best = 0;
    SLM_TRY(slm_j_items(j, v, &items));
    SLM_TRY(sort_keys(j, items, slm_j_arg(args, 1, "attribute"),
                      slm_j_arg_true(args, 0, "case_sensitive", 0), &keys));
    for (size_t i = 1; i < items->n; i++) {
        int order;
        SLM_TRY(slm_j_order(j, keys[i], keys[best], &order));
        best = order * sign > 0 ? i : best;
    }
    if (items->n == 0)
        return slm_j_undefined(j, (slm_str){"the item of an empty list", 25}, out);
    *out = items->items[best];
    return SLM_OK;
}

static slm_status f_min(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    return extreme(j, v, args, -1, out);
}

static slm_status f_max(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    return extreme(j, v, args, 1, out);
}

static slm_status f_sum(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    const slm_jvalue *attribute = slm_j_arg(args, 0, "attribute");
    const slm_jvalue *start = slm_j_arg(args, 1, "start");
    slm_jlist *items;
    SLM_TRY(slm_j_items(j, v, &items));
    *out = start ? *start : slm_j_int(0);
    for (size_t i = 0; i < items->n; i++) {
        slm_jvalue item = items->items[i];
        if (attribute && attribute->type != SLM_J_NONE)
            SLM_TRY(slm_j_get_path(j, item, *attribute, &item));
        SLM_TRY(slm_j_arithmetic(j, SLM_OP1('+'), *out, item, out));
    }
    return SLM_OK;
}

static slm_status f_join(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    const slm_jvalue *attribute = slm_j_arg(args, 1, "attribute");
    slm_jvalue separator, list;
    slm_jlist *items;
    SLM_TRY(slm_j_arg_text(j, args, 0, "d", &separator));
    if (separator.type != SLM_J_STRING)
        SLM_TRY(slm_j_own(j, "", &separator));
    SLM_TRY(slm_j_items(j, v, &items));
    if (attribute && attribute->type != SLM_J_NONE) {
        SLM_TRY(copy_items(j, v, &list));
        items = list.u.list;
        for (size_t i = 0; i < items->n; i++)
            SLM_TRY(slm_j_get_path(j, items->items[i], *attribute, &items->items[i]));
    }
    return slm_j_join(j, separator, items, out);
}

/* The arguments behind the first n. */
static slm_jargs args_after(const slm_jargs *args, size_t n) {
    n = n < args->n ? n : args->n;
    return (slm_jargs){args->n - n, args->n_all - n, args->n_all ? args->v + n : NULL,
                       args->n_all ? args->names + n : NULL};
}

static slm_status f_map(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    const slm_jvalue *attribute = slm_j_arg(args, SIZE_MAX, "attribute");
    const slm_jvalue *otherwise = slm_j_arg(args, SIZE_MAX, "default");
    slm_jargs rest = args_after(args, 1);
    SLM_TRY(copy_items(j, slm_j_truth(v) ? v : slm_j_nothing(), out)); /* of none: nothing */
    if (!attribute && (args->n == 0 || args->v[0].type != SLM_J_STRING))
        return slm_j_fail(j, "map wants the name of a filter or attribute=");
    for (size_t i = 0; i < out->u.list->n; i++) {
        slm_jvalue *item = &out->u.list->items[i];
        if (!attribute) {
            SLM_TRY(slm_j_filter(j, slm_j_text(args->v[0]), *item, &rest, item));
            continue;
        }
        SLM_TRY(slm_j_get_path(j, *item, *attribute, item));
        if (item->type == SLM_J_UNDEFINED && otherwise)
            *item = *otherwise;
    }
    return SLM_OK;
}

/* select, reject, selectattr, rejectattr: the items, or those with a member, that pass a test. */
static slm_status choose(slm_jinja *j, slm_jvalue v, const slm_jargs *args, int by_member,
                         int wanted, slm_jvalue *out) {
    slm_jargs rest = args_after(args, by_member ? 1 : 0), of_test = args_after(&rest, 1);
    slm_jlist *items;
    if (by_member && args->n == 0)
        return slm_j_fail(j, "got no name of a member, wanted one");
    if (rest.n > 0 && rest.v[0].type != SLM_J_STRING)
        return slm_j_fail(j, "got %s, wanted the name of a test", slm_j_type_name(rest.v[0]));
    SLM_TRY(slm_j_items(j, slm_j_truth(v) ? v : slm_j_nothing(), &items)); /* of none: nothing */
    SLM_TRY(slm_j_list(j, 0, out));
    for (size_t i = 0; i < items->n; i++) {
        slm_jvalue what = items->items[i];
        int yes;
        SLM_TRY(slm_j_charge(j, 1));
        if (by_member)
            SLM_TRY(slm_j_get_path(j, what, args->v[0], &what));
        yes = slm_j_truth(what);
        if (rest.n > 0)
            SLM_TRY(slm_j_test(j, slm_j_text(rest.v[0]), what, &of_test, &yes));
        if (yes == wanted)
            SLM_TRY(slm_j_append(j, *out, items->items[i]));
    }
    return SLM_OK;
}

static slm_status f_select(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    return choose(j, v, args, 0, 1, out);
}
static slm_status f_reject(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    return choose(j, v, args, 0, 0, out);
}
static slm_status f_selectattr(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    return choose(j, v, args, 1, 1, out);
}
static slm_status f_rejectattr(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    return choose(j, v, args, 1, 0, out);
}

static slm_status f_default(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    const slm_jvalue *otherwise = slm_j_arg(args, 0, "default_value");
    int falsy = slm_j_arg_true(args, 1, "boolean", 0) && !slm_j_truth(v);
    *out = v;
    if (v.type != SLM_J_UNDEFINED && !falsy)
        return SLM_OK;
    if (!otherwise)
        return slm_j_own(j, "", out);
    *out = *otherwise;
    return SLM_OK;
}

static slm_status f_attr(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    if (args->n == 0 || args->v[0].type != SLM_J_STRING)
        return slm_j_fail(j, "attr wants the name of a member");
    return slm_j_get_attribute(j, v, slm_j_text(args->v[0]), out);
}

/* ---- the table ---- */

static const struct {
    const char *name;
    filter_fn run;
    size_t most; /* arguments by place */
    const char *names;
} FILTERS[] = {
    {"tojson", slm_j_tojson, 4, "ensure_ascii indent separators sort_keys"},
    {"trim", f_trim, 1, "chars"},
    {"length", f_length, 0, ""},
    {"count", f_length, 0, ""},
    {"default", f_default, 2, "default_value boolean"},
    {"d", f_default, 2, "default_value boolean"},
    {"join", f_join, 2, "d attribute"},
    {"items", f_items, 0, ""},
    {"string", f_string, 0, ""},
    {"safe", f_string, 0, ""},
    {"first", f_first, 0, ""},
    {"last", f_last, 0, ""},
    {"list", f_list, 0, ""},
    {"map", f_map, SIZE_MAX, "attribute default"},
    {"select", f_select, SIZE_MAX, ""},
    {"reject", f_reject, SIZE_MAX, ""},
    {"selectattr", f_selectattr, SIZE_MAX, ""},
    {"rejectattr", f_rejectattr, SIZE_MAX, ""},
    {"replace", f_replace, 3, "old new count"},
    {"lower", f_lower, 0, ""},
    {"upper", f_upper, 0, ""},
    {"capitalize", f_capitalize, 0, ""},
    {"title", f_title, 0, ""},
    {"indent", slm_j_indent, 3, "width first blank"},
    {"format", slm_j_percent, SIZE_MAX, ""},
    {"reverse", f_reverse, 0, ""},
    {"sort", f_sort, 3, "reverse case_sensitive attribute"},
    {"dictsort", f_dictsort, 3, "case_sensitive by reverse"},
    {"unique", f_unique, 2, "case_sensitive attribute"},
    {"min", f_min, 2, "case_sensitive attribute"},
    {"max", f_max, 2, "case_sensitive attribute"},
    {"sum", f_sum, 2, "attribute start"},
    {"int", f_int, 1, "default"},
    {"float", f_float, 1, "default"},
    {"abs", f_abs, 0, ""},
    {"round", f_round, 2, "precision method"},
    {"escape", f_escape, 0, ""},
    {"e", f_escape, 0, ""},
    {"attr", f_attr, 1, ""},
};

/* Filters that map calls for an item can call filters for its items. */
static slm_status run_filter(slm_jinja *j, filter_fn fn, slm_jvalue v, const slm_jargs *args,
                             slm_jvalue *out) {
    if (++j->depth > SLM_JINJA_MAX_DEPTH)
        return slm_j_fail_depth(j);
    SLM_TRY(fn(j, v, args, out));
    j->depth--;
    return SLM_OK;
}

slm_status slm_j_filter(slm_jinja *j, slm_str name, slm_jvalue v, const slm_jargs *args,
                        slm_jvalue *out) {
    SLM_TRY(slm_j_charge(j, 1));
    for (size_t i = 0; i < sizeof FILTERS / sizeof *FILTERS; i++) {
        if (slm_str_is(name, FILTERS[i].name)) {
            SLM_TRY(slm_j_check_args(j, FILTERS[i].name, args, FILTERS[i].most, FILTERS[i].names));
            return run_filter(j, FILTERS[i].run, v, args, out);
        }
    }
    return slm_j_fail(j, "the filter \"%.*s\" is not known", (int)(name.len < 40 ? name.len : 40),
                      name.ptr);
}
