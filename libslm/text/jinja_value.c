/* The values of templates: making, printing and comparing them, as Python would. */
#include "text/jinja_impl.h"
#include "base/checked.h"
#include "text/unicode.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <utf8proc.h>

/* ---- memory and work ---- */

slm_status slm_j_charge(slm_jinja *j, size_t steps) {
    j->steps += steps;
    return j->steps > SLM_JINJA_MAX_STEPS ? slm_j_fail_limit(j, "steps") : SLM_OK;
}

slm_status slm_j_charge_chars(slm_jinja *j, size_t bytes) {
    return slm_j_charge(j, 1 + bytes / 4);
}

slm_status slm_j_charge_search(slm_jinja *j, size_t n, size_t m) {
    size_t steps;
    if (__builtin_mul_overflow(n / 16 + 1, 1 + m / 16, &steps))
        steps = SIZE_MAX / 2;
    return slm_j_charge(j, steps);
}

slm_status slm_j_alloc(slm_jinja *j, size_t size, void *out) {
    size_t bound, used;
    if (!slm_mul_size(j->input_bytes, 32, &bound) ||
        !slm_add_size(bound, SLM_JINJA_MAX_BYTES, &bound))
        bound = SIZE_MAX;
    int fits = slm_add_size(j->arena.used, size, &used) && used <= bound;
    void *p = fits ? slm_arena_alloc(&j->arena, size) : NULL;
    memcpy(out, &p, sizeof p);
    if (!fits)
        return slm_j_fail_limit(j, "memory");
    return p ? SLM_OK : slm_fail_nomem(j->error, size, "chat template");
}

/* ---- texts ---- */

/* Both are of one piece of memory: the marks, which are aligned, and then the bytes. */
static char *behind(slm_jmark *marks, size_t n) {
    return (char *)(marks + n);
}

slm_status slm_j_new_text(slm_jinja *j, size_t len, char **s, slm_jmark **marks, slm_jvalue *out) {
    slm_jstr *text;
    SLM_TRY(slm_j_charge(j, len / 64));
    SLM_TRY(slm_j_alloc(j, sizeof *text + len * (sizeof **marks + 1), &text));
    *marks = (slm_jmark *)(text + 1);
    *s = behind(*marks, len);
    *text = (slm_jstr){*s, *marks, len, NULL};
    *out = (slm_jvalue){.type = SLM_J_STRING, .u.s = text};
    return SLM_OK;
}

slm_status slm_j_string(slm_jinja *j, const char *text, size_t len, slm_jmark mark,
                        slm_jvalue *out) {
    char *s;
    slm_jmark *marks;
    SLM_TRY(slm_j_new_text(j, len, &s, &marks, out));
    if (len > 0)
        memcpy(s, text, len);
    for (size_t i = 0; i < len; i++)
        marks[i] = mark;
    return SLM_OK;
}

slm_status slm_j_own(slm_jinja *j, const char *text, slm_jvalue *out) {
    return slm_j_string(j, text, strlen(text), SLM_MARK_TEMPLATE, out);
}

slm_status slm_j_part(slm_jinja *j, slm_jvalue s, size_t from, size_t to, slm_jvalue *out) {
    const slm_jstr *whole = s.u.s;
    slm_jstr *part;
    if (from == 0 && to == whole->len) {
        *out = s;
        return SLM_OK;
    }
    SLM_TRY(slm_j_alloc(j, sizeof *part, &part));
    *part = (slm_jstr){whole->s + from, whole->marks + from, to - from, NULL};
    *out = (slm_jvalue){.type = SLM_J_STRING, .u.s = part};
    return SLM_OK;
}

slm_status slm_j_concat(slm_jinja *j, slm_jvalue a, slm_jvalue b, slm_jvalue *out) {
    const slm_jstr *x = a.u.s, *y = b.u.s;
    slm_jtail *tail = x->tail;
    if (x->len == 0 || y->len == 0) {
        *out = x->len == 0 ? b : a;
        return SLM_OK;
    }
    SLM_TRY(slm_j_charge(j, y->len / 64));
    int grows = tail && x->s + x->len == tail->s + tail->used && y->len <= tail->cap - tail->used;
    if (!grows) {
        size_t cap = x->len + y->len, bytes = cap + cap / 2 + 64;
        SLM_TRY(slm_j_charge(j, x->len / 64));
        SLM_TRY(slm_j_alloc(j, sizeof *tail + bytes * (sizeof *tail->marks + 1), &tail));
        slm_jmark *marks = (slm_jmark *)(tail + 1);
        *tail = (slm_jtail){behind(marks, bytes), marks, x->len, bytes};
        memcpy(tail->s, x->s, x->len);
        memcpy(tail->marks, x->marks, x->len * sizeof *marks);
    }
    slm_jstr *text;
    SLM_TRY(slm_j_alloc(j, sizeof *text, &text));
    *text =
        (slm_jstr){grows ? x->s : tail->s, grows ? x->marks : tail->marks, x->len + y->len, tail};
    memcpy(tail->s + tail->used, y->s, y->len);
    memcpy(tail->marks + tail->used, y->marks, y->len * sizeof *y->marks);
    tail->used += y->len;
    *out = (slm_jvalue){.type = SLM_J_STRING, .u.s = text};
    return SLM_OK;
}

slm_status slm_j_take(slm_jinja *j, slm_buffer *text, slm_buffer *marks, slm_jvalue *out) {
    char *s;
    slm_jmark *m;
    slm_status status = slm_j_new_text(j, text->len, &s, &m, out);
    if (status == SLM_OK && text->len > 0) {
        memcpy(s, text->ptr, text->len);
        memcpy(m, marks->ptr, text->len * sizeof *m);
    }
    slm_buffer_free(text);
    slm_buffer_free(marks);
    return status;
}

slm_status slm_j_undefined(slm_jinja *j, slm_str name, slm_jvalue *out) {
    slm_jstr *s;
    SLM_TRY(slm_j_alloc(j, sizeof *s, &s));
    *s = (slm_jstr){name.ptr, NULL, name.len, NULL};
    *out = (slm_jvalue){.type = SLM_J_UNDEFINED, .u.s = s};
    return SLM_OK;
}

/* ---- lists and dicts ---- */

slm_status slm_j_list(slm_jinja *j, size_t cap, slm_jvalue *out) {
    slm_jlist *list;
    SLM_TRY(slm_j_charge(j, cap / 8));
    SLM_TRY(slm_j_alloc(j, sizeof *list, &list));
    *list = (slm_jlist){NULL, 0, cap};
    SLM_TRY(slm_j_alloc(j, cap * sizeof *list->items, &list->items));
    *out = (slm_jvalue){.type = SLM_J_LIST, .u.list = list};
    return SLM_OK;
}

slm_status slm_j_append(slm_jinja *j, slm_jvalue list, slm_jvalue item) {
    slm_jlist *l = list.u.list;
    if (l->n == l->cap) {
        slm_jvalue *grown;
        size_t cap = l->cap * 2 + 8;
        SLM_TRY(slm_j_charge(j, l->n / 8));
        SLM_TRY(slm_j_alloc(j, cap * sizeof *grown, &grown));
        if (l->n > 0)
            memcpy(grown, l->items, l->n * sizeof *grown);
        l->items = grown;
        l->cap = cap;
    }
    l->items[l->n++] = item;
    return SLM_OK;
}

slm_status slm_j_dict(slm_jinja *j, slm_jvalue *out) {
    slm_jdict *d;
    SLM_TRY(slm_j_alloc(j, sizeof *d, &d));
    *d = (slm_jdict){NULL, 0, 0};
    *out = (slm_jvalue){.type = SLM_J_DICT, .u.dict = d};
    return SLM_OK;
}

static slm_status add_pair(slm_jinja *j, slm_jdict *d, slm_jvalue key, slm_jvalue value) {
    if (d->n == d->cap) {
        slm_jpair *grown;
        size_t cap = d->cap * 2 + 4;
        SLM_TRY(slm_j_alloc(j, cap * sizeof *grown, &grown));
        if (d->n > 0)
            memcpy(grown, d->pairs, d->n * sizeof *grown);
        d->pairs = grown;
        d->cap = cap;
    }
    d->pairs[d->n++] = (slm_jpair){key, value};
    return SLM_OK;
}

slm_status slm_j_put_value(slm_jinja *j, slm_jdict *d, slm_jvalue key, slm_jvalue value) {
    slm_jvalue *there = slm_j_find(j, d, key);
    if (!there)
        return add_pair(j, d, key, value);
    *there = value;
    return SLM_OK;
}

slm_status slm_j_put(slm_jinja *j, slm_jvalue dict, const char *key, slm_jvalue value) {
    slm_jvalue name;
    SLM_TRY(slm_j_own(j, key, &name));
    return slm_j_put_value(j, dict.u.dict, name, value);
}

slm_jvalue *slm_j_find_str(slm_jinja *j, const slm_jdict *d, slm_str key) {
    j->steps += d->n / 8; /* checked at the next charge */
    for (size_t i = 0; i < d->n; i++) {
        slm_jvalue k = d->pairs[i].key;
        if (k.type != SLM_J_STRING || k.u.s->len != key.len)
            continue;
        j->steps += key.len / 64;
        if (memcmp(k.u.s->s, key.ptr, key.len) == 0)
            return &d->pairs[i].value;
    }
    return NULL;
}

slm_jvalue *slm_j_find(slm_jinja *j, const slm_jdict *d, slm_jvalue key) {
    if (key.type == SLM_J_STRING)
        return slm_j_find_str(j, d, slm_j_text(key));
    j->steps += d->n / 8;
    for (size_t i = 0; i < d->n; i++)
        if (slm_j_equal(j, d->pairs[i].key, key))
            return &d->pairs[i].value;
    return NULL;
}

slm_status slm_j_from_json(slm_jinja *j, const slm_json *v, slm_jvalue *out) {
    int64_t i;
    double f;
    switch (v->type) {
    case SLM_JSON_NULL:
        *out = slm_j_none();
        return SLM_OK;
    case SLM_JSON_FALSE:
    case SLM_JSON_TRUE:
        *out = slm_j_bool(v->type == SLM_JSON_TRUE);
        out->mark = j->data_mark;
        return SLM_OK;
    case SLM_JSON_NUMBER:
        if (slm_json_is_integer(v) && !slm_json_int64(v, &i)) {
            SLM_TRY(slm_j_string(j, v->text.ptr, v->text.len, j->data_mark, out));
            out->type = SLM_J_BIG;
        } else if (slm_json_is_integer(v)) {
            *out = slm_j_int(i);
        } else {
            (void)slm_json_double(v, &f);
            *out = slm_j_float(f);
        }
        out->mark = j->data_mark;
        return SLM_OK;
    case SLM_JSON_STRING:
        return slm_j_string(j, v->text.ptr, v->text.len, j->data_mark, out);
    case SLM_JSON_ARRAY:
        SLM_TRY(slm_j_list(j, v->n_items, out));
        for (uint32_t k = 0; k < v->n_items; k++) {
            slm_jvalue item;
            SLM_TRY(slm_j_from_json(j, &v->items[k], &item)); /* no deeper than what was read */
            SLM_TRY(slm_j_append(j, *out, item));
        }
        return SLM_OK;
    default:
        SLM_TRY(slm_j_dict(j, out));
        for (uint32_t k = 0; k < v->n_items; k++) {
            slm_jvalue key, value;
            const slm_json *member = &v->items[k];
            SLM_TRY(slm_j_string(j, member->name.ptr, member->name.len, j->data_mark, &key));
            SLM_TRY(slm_j_from_json(j, member, &value));
            SLM_TRY(add_pair(j, out->u.dict, key, value));
        }
        return SLM_OK;
    }
}

/* ---- printing ---- */

static slm_status check_output(slm_jinja *j, const slm_buffer *text) {
    size_t bound = SLM_JINJA_MAX_BYTES + 32 * j->input_bytes;
    return text->len > bound ? slm_j_fail_limit(j, "output") : SLM_OK;
}

slm_status slm_j_write_marks(slm_jinja *j, slm_buffer *marks, slm_jmark mark, size_t n) {
    SLM_TRY(slm_buffer_reserve(marks, n * sizeof mark, j->error));
    slm_jmark *at = (slm_jmark *)(void *)(marks->ptr + marks->len);
    for (size_t i = 0; i < n; i++)
        at[i] = mark;
    marks->len += n * sizeof mark;
    return SLM_OK;
}

slm_status slm_j_write_bytes(slm_jinja *j, slm_buffer *text, slm_buffer *marks, const char *s,
                             size_t len, slm_jmark mark) {
    if (len == 0)
        return SLM_OK;
    SLM_TRY(slm_j_charge(j, len / 64));
    SLM_TRY(slm_buffer_append(text, s, len, j->error));
    SLM_TRY(slm_j_write_marks(j, marks, mark, len));
    return check_output(j, text);
}

/* What repr() leaves as it is. */
static int is_printable(uint32_t cp) {
    switch (utf8proc_category((utf8proc_int32_t)cp)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
        return 0;
    case UTF8PROC_CATEGORY_ZS:
        return cp == ' ';
    default:
        return 1;
    }
}

static slm_status write_repr(slm_jinja *j, slm_buffer *text, slm_buffer *marks, const slm_jstr *s) {
    char quote = memchr(s->s, '\'', s->len) && !memchr(s->s, '"', s->len) ? '"' : '\'';
    SLM_TRY(slm_j_charge_chars(j, s->len));
    SLM_TRY(slm_j_write_bytes(j, text, marks, &quote, 1, SLM_MARK_TEMPLATE));
    for (size_t i = 0, len; i < s->len; i += len) {
        static const char FROM[] = "\\\n\r\t", TO[] = "\\nrt";
        uint32_t cp = slm_utf8_decode(s->s + i, s->len - i, &len);
        if (cp == SLM_CP_NONE) /* a byte that is not UTF-8 */
            cp = (uint8_t)s->s[i];
        const char *known = cp > 0 && cp < 0x80 ? strchr(FROM, (int)cp) : NULL;
        char escaped[12];
        if (known || cp == (uint8_t)quote)
            snprintf(escaped, sizeof escaped, "\\%c", known ? TO[known - FROM] : quote);
        else if (is_printable(cp) && (cp < 0x80) == (len == 1))
            snprintf(escaped, sizeof escaped, "%.*s", (int)len, s->s + i);
        else
            snprintf(escaped, sizeof escaped,
                     cp < 0x100     ? "\\x%02x"
                     : cp < 0x10000 ? "\\u%04x"
                                    : "\\U%08x",
                     (unsigned)cp);
        SLM_TRY(slm_j_write_bytes(j, text, marks, escaped, strlen(escaped), s->marks[i]));
    }
    return slm_j_write_bytes(j, text, marks, &quote, 1, SLM_MARK_TEMPLATE);
}

static slm_status write_collection(slm_jinja *j, slm_buffer *text, slm_buffer *marks,
                                   slm_jvalue v) {
#define PUT(s) SLM_TRY(slm_j_write_bytes(j, text, marks, s, strlen(s), SLM_MARK_TEMPLATE))
    int list = v.type == SLM_J_LIST;
    if (++j->depth > SLM_JINJA_MAX_DEPTH)
        return slm_j_fail_depth(j);
    PUT(!list ? "{" : v.tuple ? "(" : "[");
    size_t n = list ? v.u.list->n : v.u.dict->n;
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            PUT(", ");
        if (!list) {
            SLM_TRY(slm_j_write(j, text, marks, v.u.dict->pairs[i].key, 1));
            PUT(": ");
        }
        SLM_TRY(
            slm_j_write(j, text, marks, list ? v.u.list->items[i] : v.u.dict->pairs[i].value, 1));
    }
    if (list && v.tuple && n == 1)
        PUT(",");
    PUT(!list ? "}" : v.tuple ? ")" : "]");
    j->depth--;
    return SLM_OK;
#undef PUT
}

slm_status slm_j_write(slm_jinja *j, slm_buffer *text, slm_buffer *marks, slm_jvalue v, int repr) {
    char spelt[SLM_JSON_DOUBLE_MAX];
    SLM_TRY(slm_j_charge(j, 1));
    switch (v.type) {
    case SLM_J_UNDEFINED:
        return repr ? slm_j_write_bytes(j, text, marks, "Undefined", 9, SLM_MARK_TEMPLATE) : SLM_OK;
    case SLM_J_NONE:
        return slm_j_write_bytes(j, text, marks, "None", 4, SLM_MARK_TEMPLATE);
    case SLM_J_BOOL:
        return slm_j_write_bytes(j, text, marks, v.u.i ? "True" : "False", v.u.i ? 4 : 5, v.mark);
    case SLM_J_INT: {
        int n = snprintf(spelt, sizeof spelt, "%" PRId64, v.u.i);
        return slm_j_write_bytes(j, text, marks, spelt, (size_t)n, v.mark);
    }
    case SLM_J_FLOAT:
        if (isnan(v.u.f))
            return slm_j_write_bytes(j, text, marks, "nan", 3, v.mark);
        if (isinf(v.u.f))
            return slm_j_write_bytes(j, text, marks, v.u.f < 0 ? "-inf" : "inf", v.u.f < 0 ? 4 : 3,
                                     v.mark);
        return slm_j_write_bytes(j, text, marks, spelt, slm_json_spell(v.u.f, spelt), v.mark);
    case SLM_J_BIG:
        return slm_j_write_bytes(j, text, marks, v.u.s->s, v.u.s->len, v.mark);
    case SLM_J_STRING:
        if (repr)
            return write_repr(j, text, marks, v.u.s);
        SLM_TRY(slm_j_charge(j, v.u.s->len / 64));
        SLM_TRY(slm_buffer_append(marks, v.u.s->marks, v.u.s->len * sizeof *v.u.s->marks,
                                  j->error));
        SLM_TRY(slm_buffer_append(text, v.u.s->s, v.u.s->len, j->error));
        return check_output(j, text);
    case SLM_J_LIST:
    case SLM_J_DICT:
        return write_collection(j, text, marks, v);
    default:
        return slm_j_fail(j, "%s cannot be printed", slm_j_type_name(v));
    }
}

slm_status slm_j_str(slm_jinja *j, slm_jvalue v, slm_jvalue *out) {
    if (v.type == SLM_J_STRING) {
        *out = v;
        return SLM_OK;
    }
    slm_buffer text = {.host = j->arena.host}, marks = text;
    slm_status status = slm_j_write(j, &text, &marks, v, 0);
    if (status == SLM_OK)
        return slm_j_take(j, &text, &marks, out);
    slm_buffer_free(&text);
    slm_buffer_free(&marks);
    return status;
}

/* ---- truth, order, contents ---- */

const char *slm_j_type_name(slm_jvalue v) {
    static const char *const NAMES[] = {
        "an undefined value", "none",    "a boolean", "an integer",  "an integer", "a number",
        "a string",           "a list",  "a dict",    "a namespace", "a loop",     "a macro",
        "a function",         "a method"};
    return v.type == SLM_J_LIST && v.tuple ? "a tuple" : NAMES[v.type];
}

size_t slm_j_length(slm_jvalue v) {
    size_t n = 0;
    if (v.type == SLM_J_LIST)
        return v.u.list->n;
    if (v.type == SLM_J_DICT)
        return v.u.dict->n;
    if (v.type == SLM_J_STRING)
        for (size_t i = 0; i < v.u.s->len; i++)
            n += ((uint8_t)v.u.s->s[i] & 0xC0) != 0x80;
    return n;
}

int slm_j_truth(slm_jvalue v) {
    switch (v.type) {
    case SLM_J_UNDEFINED:
    case SLM_J_NONE:
        return 0;
    case SLM_J_BOOL:
    case SLM_J_INT:
        return v.u.i != 0;
    case SLM_J_FLOAT:
        return v.u.f != 0;
    case SLM_J_STRING:
        return v.u.s->len > 0;
    case SLM_J_LIST:
        return v.u.list->n > 0;
    case SLM_J_DICT:
        return v.u.dict->n > 0;
    default:
        return 1;
    }
}

double slm_j_to_double(slm_jvalue v) {
    if (v.type == SLM_J_BIG)
        return slm_json_number(slm_j_text(v));
    return v.type == SLM_J_FLOAT ? v.u.f : (double)v.u.i;
}

static int compare_text(slm_str a, slm_str b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n > 0 ? memcmp(a.ptr, b.ptr, n) : 0; /* the order of UTF-8 is that of code points */
    return c != 0 ? (c > 0) - (c < 0) : (a.len > b.len) - (a.len < b.len);
}

static int compare_numbers(slm_jvalue a, slm_jvalue b) {
    if (a.type == SLM_J_BIG && b.type == SLM_J_BIG && slm_str_equal(slm_j_text(a), slm_j_text(b)))
        return 0;
    if (a.type <= SLM_J_INT && b.type <= SLM_J_INT)
        return (a.u.i > b.u.i) - (a.u.i < b.u.i);
    double x = slm_j_to_double(a), y = slm_j_to_double(b);
    return (x > y) - (x < y);
}

static int equal_items(slm_jinja *j, slm_jvalue a, slm_jvalue b) {
    if (a.type == SLM_J_LIST) {
        for (size_t i = 0; i < a.u.list->n; i++)
            if (!slm_j_equal(j, a.u.list->items[i], b.u.list->items[i]))
                return 0;
        return 1;
    }
    for (size_t i = 0; i < a.u.dict->n; i++) {
        const slm_jvalue *other = slm_j_find(j, b.u.dict, a.u.dict->pairs[i].key);
        if (!other || !slm_j_equal(j, a.u.dict->pairs[i].value, *other))
            return 0;
    }
    return 1;
}

int slm_j_equal(slm_jinja *j, slm_jvalue a, slm_jvalue b) {
    j->steps++;
    if (slm_j_is_number(a) && slm_j_is_number(b))
        return compare_numbers(a, b) == 0;
    if (a.type != b.type)
        return 0;
    switch (a.type) {
    case SLM_J_UNDEFINED:
    case SLM_J_NONE:
        return 1;
    case SLM_J_STRING:
        j->steps += a.u.s->len / 64;
        return slm_str_equal(slm_j_text(a), slm_j_text(b));
    case SLM_J_LIST:
    case SLM_J_DICT: {
        if (slm_j_length(a) != slm_j_length(b) || j->steps > SLM_JINJA_MAX_STEPS)
            return 0;
        if (j->depth == SLM_JINJA_MAX_DEPTH) { /* told at the next charge */
            j->steps = SLM_JINJA_MAX_STEPS + 1;
            return 0;
        }
        j->depth++;
        int same = equal_items(j, a, b);
        j->depth--;
        return same;
    }
    default:
        return memcmp(&a.u, &b.u, sizeof a.u) == 0;
    }
}

slm_status slm_j_order(slm_jinja *j, slm_jvalue a, slm_jvalue b, int *out) {
    SLM_TRY(slm_j_charge(j, 1));
    if (slm_j_is_number(a) && slm_j_is_number(b)) {
        *out = compare_numbers(a, b);
        return SLM_OK;
    }
    if (a.type == SLM_J_STRING && b.type == SLM_J_STRING) {
        SLM_TRY(slm_j_charge(j, a.u.s->len / 64));
        *out = compare_text(slm_j_text(a), slm_j_text(b));
        return SLM_OK;
    }
    if (a.type == SLM_J_LIST && b.type == SLM_J_LIST && ++j->depth <= SLM_JINJA_MAX_DEPTH) {
        size_t n = a.u.list->n < b.u.list->n ? a.u.list->n : b.u.list->n;
        for (size_t i = 0; i < n; i++) {
            SLM_TRY(slm_j_order(j, a.u.list->items[i], b.u.list->items[i], out));
            if (*out != 0)
                break;
        }
        if (n == 0 || *out == 0)
            *out = (a.u.list->n > b.u.list->n) - (a.u.list->n < b.u.list->n);
        j->depth--;
        return SLM_OK;
    }
    return slm_j_fail(j, "%s and %s have no order", slm_j_type_name(a), slm_j_type_name(b));
}

slm_status slm_j_contains(slm_jinja *j, slm_jvalue in, slm_jvalue v, int *out) {
    *out = 0;
    switch (in.type) {
    case SLM_J_UNDEFINED:
        return SLM_OK;
    case SLM_J_STRING:
        if (v.type != SLM_J_STRING)
            return slm_j_fail(j, "%s cannot be looked for in a string", slm_j_type_name(v));
        SLM_TRY(slm_j_charge_search(j, in.u.s->len, v.u.s->len));
        *out = v.u.s->len == 0 || slm_str_find(slm_j_text(in), slm_j_text(v), 0) != SIZE_MAX;
        return SLM_OK;
    case SLM_J_DICT:
        *out = slm_j_find(j, in.u.dict, v) != NULL;
        return SLM_OK;
    case SLM_J_LIST:
        for (size_t i = 0; i < in.u.list->n && !*out; i++)
            *out = slm_j_equal(j, in.u.list->items[i], v);
        return slm_j_charge(j, 0);
    default:
        return slm_j_fail(j, "nothing can be looked for in %s", slm_j_type_name(in));
    }
}

slm_status slm_j_items(slm_jinja *j, slm_jvalue v, slm_jlist **out) {
    slm_jvalue list;
    switch (v.type) {
    case SLM_J_LIST:
        *out = v.u.list;
        return SLM_OK;
    case SLM_J_UNDEFINED:
        SLM_TRY(slm_j_list(j, 0, &list));
        break;
    case SLM_J_DICT:
        SLM_TRY(slm_j_list(j, v.u.dict->n, &list));
        for (size_t i = 0; i < v.u.dict->n; i++)
            SLM_TRY(slm_j_append(j, list, v.u.dict->pairs[i].key));
        break;
    case SLM_J_STRING:
        SLM_TRY(slm_j_list(j, slm_j_length(v), &list));
        for (size_t i = 0, len; i < v.u.s->len; i += len) {
            slm_jvalue c;
            (void)slm_utf8_decode(v.u.s->s + i, v.u.s->len - i, &len);
            SLM_TRY(slm_j_part(j, v, i, i + len, &c));
            SLM_TRY(slm_j_append(j, list, c));
        }
        break;
    default:
        return slm_j_fail(j, "%s has no items to go through", slm_j_type_name(v));
    }
    *out = list.u.list;
    return SLM_OK;
}

/* ---- sorting ---- */

/* Merge sort, which keeps the order of equals, of places by their keys. */
slm_status slm_j_sort(slm_jinja *j, slm_jlist *items, const slm_jvalue *keys, int reverse) {
    size_t n = items->n, *from, *to;
    slm_jvalue *sorted;
    SLM_TRY(slm_j_alloc(j, n * sizeof *from, &from));
    SLM_TRY(slm_j_alloc(j, n * sizeof *to, &to));
    SLM_TRY(slm_j_alloc(j, n * sizeof *sorted, &sorted));
    for (size_t i = 0; i < n; i++)
        from[i] = i;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t begin = 0; begin < n; begin += 2 * width) {
            size_t middle = begin + width < n ? begin + width : n;
            size_t end = middle + width < n ? middle + width : n;
            for (size_t a = begin, b = middle, k = begin; k < end; k++) {
                int second = a == middle;
                if (!second && b < end) {
                    int order;
                    SLM_TRY(slm_j_order(j, keys[from[b]], keys[from[a]], &order));
                    second = reverse ? order > 0 : order < 0;
                }
                to[k] = from[second ? b++ : a++];
            }
        }
        size_t *t = from;
        from = to;
        to = t;
    }
    for (size_t i = 0; i < n; i++)
        sorted[i] = items->items[from[i]];
    items->items = sorted;
    items->cap = n;
    return SLM_OK;
}
