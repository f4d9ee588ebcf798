/* The filter tojson: Python's json.dumps, with the marks of the texts that are written. */
#include "text/jinja_impl.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

typedef struct dumper {
    slm_jinja *j;
    slm_json_writer w;
    slm_buffer text, marks;
    int sort_keys;
} dumper;

/* Marks what was written since the last call. */
static slm_status mark(dumper *d, slm_jmark with) {
    size_t n = d->text.len - d->marks.len / sizeof with;
    SLM_TRY(slm_j_charge(d->j, 1 + n / 16));
    if (n == 0)
        return SLM_OK;
    SLM_TRY(slm_j_write_marks(d->j, &d->marks, with, n));
    return d->text.len > SLM_JINJA_MAX_BYTES + 32 * d->j->input_bytes
               ? slm_j_fail_limit(d->j, "output")
               : SLM_OK;
}

/* What stands before a value: a comma, a new line. */
static slm_status separate(dumper *d) {
    SLM_TRY(slm_json_put_raw(&d->w, "", 0, d->j->error));
    return mark(d, SLM_MARK_TEMPLATE);
}

static slm_status quote(dumper *d) {
    SLM_TRY(slm_buffer_append(&d->text, "\"", 1, d->j->error));
    return mark(d, SLM_MARK_TEMPLATE);
}

static slm_status string(dumper *d, const slm_jstr *s) {
    SLM_TRY(separate(d));
    SLM_TRY(quote(d));
    for (size_t from = 0, to; from < s->len; from = to) {
        for (to = from + 1; to < s->len && s->marks[to] == s->marks[from];)
            to++;
        SLM_TRY(slm_json_escape(&d->text, s->s + from, to - from, d->w.flags, d->j->error));
        SLM_TRY(mark(d, s->marks[from]));
    }
    return quote(d);
}

static slm_status plain(dumper *d, const char *text, size_t len, slm_jmark with) {
    SLM_TRY(separate(d));
    SLM_TRY(slm_buffer_append(&d->text, text, len, d->j->error));
    return mark(d, with);
}

static slm_status number(dumper *d, slm_jvalue v) {
    char spelt[SLM_JSON_DOUBLE_MAX];
    if (v.type == SLM_J_BIG)
        return plain(d, v.u.s->s, v.u.s->len, v.mark);
    if (v.type == SLM_J_INT) {
        int n = snprintf(spelt, sizeof spelt, "%" PRId64, v.u.i);
        return plain(d, spelt, (size_t)n, v.mark);
    }
    if (isfinite(v.u.f))
        return plain(d, spelt, slm_json_spell(v.u.f, spelt), v.mark);
    const char *name = isnan(v.u.f) ? "NaN" : v.u.f < 0 ? "-Infinity" : "Infinity";
    return plain(d, name, strlen(name), v.mark);
}

static slm_status value(dumper *d, slm_jvalue v);

/* A member's name: what is no string becomes one. */
static slm_status name(dumper *d, slm_jvalue key) {
    static const char *const WORDS[] = {"null", "false", "true"};
    slm_jvalue s = key;
    if (key.type == SLM_J_NONE || key.type == SLM_J_BOOL)
        SLM_TRY(slm_j_own(d->j, WORDS[key.type == SLM_J_NONE ? 0 : 1 + (key.u.i != 0)], &s));
    else
        SLM_TRY(slm_j_str(d->j, key, &s));
    SLM_TRY(string(d, s.u.s));
    SLM_TRY(slm_json_put_colon(&d->w, d->j->error));
    return mark(d, SLM_MARK_TEMPLATE);
}

static slm_status members(dumper *d, const slm_jdict *dict) {
    slm_jvalue order;
    SLM_TRY(slm_j_list(d->j, dict->n, &order));
    for (size_t i = 0; i < dict->n; i++)
        SLM_TRY(slm_j_append(d->j, order, slm_j_int((int64_t)i)));
    if (d->sort_keys) {
        slm_jvalue *keys;
        SLM_TRY(slm_j_alloc(d->j, dict->n * sizeof *keys, &keys));
        for (size_t i = 0; i < dict->n; i++)
            keys[i] = dict->pairs[i].key;
        SLM_TRY(slm_j_sort(d->j, order.u.list, keys, 0));
    }
    for (size_t i = 0; i < dict->n; i++) {
        const slm_jpair *pair = &dict->pairs[order.u.list->items[i].u.i];
        SLM_TRY(name(d, pair->key));
        SLM_TRY(value(d, pair->value));
    }
    return SLM_OK;
}

static slm_status nested(dumper *d, slm_jvalue v) {
    int list = v.type == SLM_J_LIST;
    if (++d->j->depth > SLM_JINJA_MAX_DEPTH)
        return slm_j_fail_depth(d->j);
    SLM_TRY(slm_json_put_open(&d->w, list ? '[' : '{', d->j->error));
    SLM_TRY(mark(d, SLM_MARK_TEMPLATE));
    if (!list)
        SLM_TRY(members(d, v.u.dict));
    for (size_t i = 0; list && i < v.u.list->n; i++)
        SLM_TRY(value(d, v.u.list->items[i]));
    SLM_TRY(slm_json_put_close(&d->w, list ? ']' : '}', d->j->error));
    d->j->depth--;
    return mark(d, SLM_MARK_TEMPLATE);
}

static slm_status value(dumper *d, slm_jvalue v) {
    switch (v.type) {
    case SLM_J_NONE:
        return plain(d, "null", 4, SLM_MARK_TEMPLATE);
    case SLM_J_BOOL:
        return v.u.i ? plain(d, "true", 4, v.mark) : plain(d, "false", 5, v.mark);
    case SLM_J_INT:
    case SLM_J_BIG:
    case SLM_J_FLOAT:
        return number(d, v);
    case SLM_J_STRING:
        return string(d, v.u.s);
    case SLM_J_LIST:
    case SLM_J_DICT:
        return nested(d, v);
    default:
        return slm_j_fail(d->j, "%s cannot be written as JSON", slm_j_type_name(v));
    }
}

/* separators=(item, key): Python's own with blanks, or without. */
static slm_status take_separators(dumper *d, const slm_jvalue *v) {
    if (!v || v->type == SLM_J_NONE)
        return SLM_OK;
    if (v->type == SLM_J_LIST && v->u.list->n == 2 && v->u.list->items[0].type == SLM_J_STRING &&
        v->u.list->items[1].type == SLM_J_STRING) {
        slm_str item = slm_j_text(v->u.list->items[0]), key = slm_j_text(v->u.list->items[1]);
        int spaced = slm_str_is(key, ": ");
        if ((spaced && (slm_str_is(item, ", ") || (d->w.indent && slm_str_is(item, ",")))) ||
            (slm_str_is(key, ":") && slm_str_is(item, ","))) {
            d->w.flags = (d->w.flags & SLM_JSON_ASCII) | (spaced ? SLM_JSON_SPACED : 0u);
            return SLM_OK;
        }
    }
    return slm_j_fail(d->j, "tojson wants the separators (\", \", \": \") or (\",\", \":\")");
}

slm_status slm_j_tojson(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out) {
    dumper d = {.j = j, .text = {.host = j->arena.host}, .marks = {.host = j->arena.host}};
    const slm_jvalue *indent = slm_j_arg(args, 1, "indent");
    int64_t n = 0;
    if (indent && indent->type != SLM_J_NONE)
        SLM_TRY(slm_j_arg_int(j, args, 1, "indent", 0, &n));
    if (n < 0 || n > 100)
        return slm_j_fail(j, "tojson wants an indent of 0 to 100");
    d.w = (slm_json_writer){.out = &d.text, .flags = SLM_JSON_SPACED, .indent = (uint32_t)n};
    if (slm_j_arg_true(args, 0, "ensure_ascii", 0))
        d.w.flags |= SLM_JSON_ASCII;
    d.sort_keys = slm_j_arg_true(args, 3, "sort_keys", 0);
    SLM_TRY(take_separators(&d, slm_j_arg(args, 2, "separators")));
    slm_status status = value(&d, v);
    if (status == SLM_OK)
        return slm_j_take(j, &d.text, &d.marks, out);
    slm_buffer_free(&d.text);
    slm_buffer_free(&d.marks);
    return status;
}
