/* Methods of strings, dicts and loops. Nothing can be changed by a method, as in a sandbox. */
#include "text/jinja_impl.h"
#include "text/unicode.h"

typedef slm_status (*method_fn)(slm_jinja *j, slm_jvalue self, const slm_jargs *args,
                                slm_jvalue *out);

static slm_status want_text(slm_jinja *j, const slm_jargs *args, size_t at, slm_jvalue *out) {
    SLM_TRY(slm_j_arg_text(j, args, at, "of the method", out));
    return out->type == SLM_J_STRING ? SLM_OK : slm_j_fail(j, "got no string, wanted one");
}

#define STRIP(name, sides)                                                                         \
    static slm_status name(slm_jinja *j, slm_jvalue self, const slm_jargs *args,                   \
                           slm_jvalue *out) {                                                      \
        slm_jvalue chars;                                                                          \
        SLM_TRY(slm_j_arg_text(j, args, 0, "chars", &chars));                                      \
        return slm_j_strip(j, self, chars, sides, out);                                            \
    }
STRIP(m_strip, SLM_J_LEFT | SLM_J_RIGHT)
STRIP(m_lstrip, SLM_J_LEFT)
STRIP(m_rstrip, SLM_J_RIGHT)

#define CASE(name, to)                                                                             \
    static slm_status name(slm_jinja *j, slm_jvalue self, const slm_jargs *args,                   \
                           slm_jvalue *out) {                                                      \
        (void)args;                                                                                \
        return slm_j_change_case(j, self, to, out);                                                \
    }
CASE(m_lower, SLM_J_LOWER)
CASE(m_upper, SLM_J_UPPER)
CASE(m_title, SLM_J_TITLE)
CASE(m_capitalize, SLM_J_CAPITALIZE)

static int matches(slm_str s, size_t at, slm_str what) {
    return s.len - at >= what.len && memcmp(s.ptr + at, what.ptr, what.len) == 0;
}

/* Whether self starts or ends with one of a text or of a tuple of texts. */
static slm_status affix(slm_jinja *j, slm_jvalue self, const slm_jargs *args, int at_end,
                        slm_jvalue *out) {
    if (args->n == 0 || (args->v[0].type != SLM_J_STRING && args->v[0].type != SLM_J_LIST))
        return slm_j_fail(j, "got no string or tuple of strings, wanted one");
    int list = args->v[0].type == SLM_J_LIST, yes = 0;
    size_t n = list ? args->v[0].u.list->n : 1;
    slm_str s = slm_j_text(self);
    for (size_t i = 0; i < n; i++) {
        slm_jvalue v = list ? args->v[0].u.list->items[i] : args->v[0];
        if (v.type != SLM_J_STRING)
            return slm_j_fail(j, "got %s, wanted a string", slm_j_type_name(v));
        slm_str what = slm_j_text(v);
        SLM_TRY(slm_j_charge(j, 1 + what.len / 64));
        yes |= what.len <= s.len && matches(s, at_end ? s.len - what.len : 0, what);
    }
    *out = slm_j_bool(yes);
    return SLM_OK;
}

static slm_status m_startswith(slm_jinja *j, slm_jvalue self, const slm_jargs *args,
                               slm_jvalue *out) {
    return affix(j, self, args, 0, out);
}

static slm_status m_endswith(slm_jinja *j, slm_jvalue self, const slm_jargs *args,
                             slm_jvalue *out) {
    return affix(j, self, args, 1, out);
}

static slm_status remove_affix(slm_jinja *j, slm_jvalue self, const slm_jargs *args, int at_end,
                               slm_jvalue *out) {
    slm_jvalue what, yes;
    SLM_TRY(want_text(j, args, 0, &what));
    SLM_TRY(affix(j, self, args, at_end, &yes));
    size_t n = yes.u.i ? what.u.s->len : 0, len = self.u.s->len;
    return slm_j_part(j, self, at_end ? 0 : n, at_end ? len - n : len, out);
}

static slm_status m_removeprefix(slm_jinja *j, slm_jvalue self, const slm_jargs *args,
                                 slm_jvalue *out) {
    return remove_affix(j, self, args, 0, out);
}

static slm_status m_removesuffix(slm_jinja *j, slm_jvalue self, const slm_jargs *args,
                                 slm_jvalue *out) {
    return remove_affix(j, self, args, 1, out);
}

static slm_status m_replace(slm_jinja *j, slm_jvalue self, const slm_jargs *args, slm_jvalue *out) {
    slm_jvalue from, to;
    int64_t count;
    SLM_TRY(want_text(j, args, 0, &from));
    SLM_TRY(want_text(j, args, 1, &to));
    SLM_TRY(slm_j_arg_int(j, args, 2, "count", -1, &count));
    return slm_j_replace(j, self, from, to, count, out);
}

static slm_status m_join(slm_jinja *j, slm_jvalue self, const slm_jargs *args, slm_jvalue *out) {
    slm_jlist *items;
    if (args->n == 0)
        return slm_j_fail(j, "join wants a list");
    SLM_TRY(slm_j_items(j, args->v[0], &items));
    for (size_t i = 0; i < items->n; i++)
        if (items->items[i].type != SLM_J_STRING)
            return slm_j_fail(j, "join of %s, wanted strings", slm_j_type_name(items->items[i]));
    return slm_j_join(j, self, items, out);
}

/* ---- finding and splitting ---- */

/* The first or last place of what in s[from..to); SIZE_MAX when there is none. */
static size_t find(slm_str s, slm_str what, size_t from, size_t to, int last) {
    if (what.len > to - from)
        return SIZE_MAX;
    if (!last)
        return what.len == 0 ? from : slm_str_find((slm_str){s.ptr, to}, what, from);
    for (size_t at = to - what.len;; at--) {
        if (memcmp(s.ptr + at, what.ptr, what.len) == 0)
            return at;
        if (at == from)
            return SIZE_MAX;
    }
}

static slm_status find_index(slm_jinja *j, slm_jvalue self, const slm_jargs *args, int last,
                             slm_jvalue *out) {
    slm_jvalue what;
    SLM_TRY(want_text(j, args, 0, &what));
    SLM_TRY(slm_j_charge_search(j, self.u.s->len, what.u.s->len));
    size_t at = find(slm_j_text(self), slm_j_text(what), 0, self.u.s->len, last);
    slm_jvalue before;
    *out = slm_j_int(-1);
    if (at == SIZE_MAX)
        return SLM_OK;
    SLM_TRY(slm_j_part(j, self, 0, at, &before));
    *out = slm_j_int((int64_t)slm_j_length(before));
    return SLM_OK;
}

static slm_status m_find(slm_jinja *j, slm_jvalue self, const slm_jargs *args, slm_jvalue *out) {
    return find_index(j, self, args, 0, out);
}
static slm_status m_rfind(slm_jinja *j, slm_jvalue self, const slm_jargs *args, slm_jvalue *out) {
    return find_index(j, self, args, 1, out);
}

static slm_status m_count(slm_jinja *j, slm_jvalue self, const slm_jargs *args, slm_jvalue *out) {
    slm_jvalue what;
    SLM_TRY(want_text(j, args, 0, &what));
    slm_str s = slm_j_text(self), w = slm_j_text(what);
    int64_t n = w.len == 0 ? (int64_t)slm_j_length(self) + 1 : 0;
    SLM_TRY(slm_j_charge_search(j, s.len, w.len));
    for (size_t at = 0; w.len > 0 && (at = find(s, w, at, s.len, 0)) != SIZE_MAX; at += w.len)
        n++;
    *out = slm_j_int(n);
    return SLM_OK;
}

static slm_status append_part(slm_jinja *j, slm_jvalue list, slm_jvalue s, size_t from, size_t to) {
    slm_jvalue part;
    SLM_TRY(slm_j_charge(j, 1));
    SLM_TRY(slm_j_part(j, s, from, to, &part));
    return slm_j_append(j, list, part);
}

static void reverse(slm_jlist *l) {
    for (size_t i = 0; i < l->n / 2; i++) {
        slm_jvalue t = l->items[i];
        l->items[i] = l->items[l->n - 1 - i];
        l->items[l->n - 1 - i] = t;
    }
}

/* At white space, empty parts left out. */
static slm_status split_blank(slm_jinja *j, slm_jvalue self, int64_t most, slm_jvalue *out) {
    slm_str s = slm_j_text(self);
    size_t at = 0, len;
    SLM_TRY(slm_j_charge_chars(j, s.len));
    for (int64_t i = 0; at < s.len;) {
        if (slm_cp_is_blank(slm_utf8_decode(s.ptr + at, s.len - at, &len))) {
            at += len;
            continue;
        }
        size_t end = at;
        while (end < s.len && ((most >= 0 && i == most) ||
                               !slm_cp_is_blank(slm_utf8_decode(s.ptr + end, s.len - end, &len))))
            end += most >= 0 && i == most ? s.len - end : len;
        SLM_TRY(append_part(j, *out, self, at, end));
        at = end;
        i++;
    }
    return SLM_OK;
}

static slm_status split(slm_jinja *j, slm_jvalue self, const slm_jargs *args, int from_end,
                        slm_jvalue *out) {
    slm_jvalue separator;
    int64_t most;
    slm_str s = slm_j_text(self);
    SLM_TRY(slm_j_arg_text(j, args, 0, "sep", &separator));
    SLM_TRY(slm_j_arg_int(j, args, 1, "maxsplit", -1, &most));
    SLM_TRY(slm_j_list(j, 0, out));
    if (separator.type != SLM_J_STRING) {
        if (from_end && most >= 0)
            return slm_j_fail(j, "rsplit wants a separator beside maxsplit");
        return split_blank(j, self, most, out);
    }
    slm_str what = slm_j_text(separator);
    SLM_TRY(slm_j_charge_search(j, s.len, what.len));
    if (what.len == 0)
        return slm_j_fail(j, "an empty separator");
    size_t from = 0, to = s.len, at;
    for (int64_t i = 0;
         (most < 0 || i < most) && (at = find(s, what, from, to, from_end)) != SIZE_MAX; i++) {
        SLM_TRY(append_part(j, *out, self, from_end ? at + what.len : from, from_end ? to : at));
        if (from_end)
            to = at;
        else
            from = at + what.len;
    }
    SLM_TRY(append_part(j, *out, self, from, to));
    if (from_end)
        reverse(out->u.list);
    return SLM_OK;
}

static slm_status m_split(slm_jinja *j, slm_jvalue self, const slm_jargs *args, slm_jvalue *out) {
    return split(j, self, args, 0, out);
}
static slm_status m_rsplit(slm_jinja *j, slm_jvalue self, const slm_jargs *args, slm_jvalue *out) {
    return split(j, self, args, 1, out);
}

static slm_status m_splitlines(slm_jinja *j, slm_jvalue self, const slm_jargs *args,
                               slm_jvalue *out) {
    slm_str s = slm_j_text(self);
    int whole = slm_j_arg_true(args, 0, "keepends", 0);
    SLM_TRY(slm_j_charge_chars(j, s.len));
    SLM_TRY(slm_j_list(j, 0, out));
    for (size_t from = 0, next; from < s.len; from = next) {
        size_t end = slm_j_line_end(s, from, &next);
        SLM_TRY(append_part(j, *out, self, from, whole ? next : end));
    }
    return SLM_OK;
}

/* (before, separator, after) at the first or last place of a separator. */
static slm_status partition(slm_jinja *j, slm_jvalue self, const slm_jargs *args, int last,
                            slm_jvalue *out) {
    slm_jvalue what, empty;
    size_t len = self.u.s->len;
    SLM_TRY(want_text(j, args, 0, &what));
    slm_str w = slm_j_text(what);
    if (w.len == 0)
        return slm_j_fail(j, "an empty separator");
    SLM_TRY(slm_j_charge_search(j, len, w.len));
    size_t at = find(slm_j_text(self), w, 0, len, last);
    SLM_TRY(slm_j_list(j, 3, out));
    SLM_TRY(slm_j_own(j, "", &empty));
    out->tuple = 1;
    if (at == SIZE_MAX) {
        SLM_TRY(slm_j_append(j, *out, last ? empty : self));
        SLM_TRY(slm_j_append(j, *out, empty));
        return slm_j_append(j, *out, last ? self : empty);
    }
    SLM_TRY(append_part(j, *out, self, 0, at));
    SLM_TRY(append_part(j, *out, self, at, at + w.len));
    return append_part(j, *out, self, at + w.len, len);
}

static slm_status m_partition(slm_jinja *j, slm_jvalue self, const slm_jargs *args,
                              slm_jvalue *out) {
    return partition(j, self, args, 0, out);
}
static slm_status m_rpartition(slm_jinja *j, slm_jvalue self, const slm_jargs *args,
                               slm_jvalue *out) {
    return partition(j, self, args, 1, out);
}

static slm_status is_all(slm_jvalue self, uint32_t classes, slm_jvalue *out) {
    int yes = self.u.s->len > 0;
    for (size_t i = 0, len; i < self.u.s->len; i += len)
        yes &= (slm_cp_class(slm_utf8_decode(self.u.s->s + i, self.u.s->len - i, &len)) &
                classes) != 0;
    *out = slm_j_bool(yes);
    return SLM_OK;
}

static slm_status m_isdigit(slm_jinja *j, slm_jvalue self, const slm_jargs *args, slm_jvalue *out) {
    (void)args;
    SLM_TRY(slm_j_charge_chars(j, self.u.s->len));
    return is_all(self, SLM_CLASS_NUMBER, out);
}
static slm_status m_isalpha(slm_jinja *j, slm_jvalue self, const slm_jargs *args, slm_jvalue *out) {
    (void)args;
    SLM_TRY(slm_j_charge_chars(j, self.u.s->len));
    return is_all(self, SLM_CLASS_LETTER, out);
}
static slm_status m_isspace(slm_jinja *j, slm_jvalue self, const slm_jargs *args, slm_jvalue *out) {
    (void)args;
    SLM_TRY(slm_j_charge_chars(j, self.u.s->len));
    return is_all(self, SLM_CLASS_SPACE, out);
}

/* ---- dicts and loops ---- */

static slm_status m_items(slm_jinja *j, slm_jvalue self, const slm_jargs *args, slm_jvalue *out) {
    return slm_j_filter(j, (slm_str){"items", 5}, self, args, out);
}

static slm_status m_keys(slm_jinja *j, slm_jvalue self, const slm_jargs *args, slm_jvalue *out) {
    return slm_j_filter(j, (slm_str){"list", 4}, self, args, out);
}

static slm_status m_values(slm_jinja *j, slm_jvalue self, const slm_jargs *args, slm_jvalue *out) {
    const slm_jdict *d = self.u.dict;
    (void)args;
    SLM_TRY(slm_j_list(j, d->n, out));
    for (size_t i = 0; i < d->n; i++)
        SLM_TRY(slm_j_append(j, *out, d->pairs[i].value));
    return SLM_OK;
}

static slm_status m_get(slm_jinja *j, slm_jvalue self, const slm_jargs *args, slm_jvalue *out) {
    if (args->n == 0)
        return slm_j_fail(j, "get wants a key");
    const slm_jvalue *there = slm_j_find(j, self.u.dict, args->v[0]);
    *out = there ? *there : args->n > 1 ? args->v[1] : slm_j_none();
    return SLM_OK;
}

static slm_status m_cycle(slm_jinja *j, slm_jvalue self, const slm_jargs *args, slm_jvalue *out) {
    if (args->n == 0)
        return slm_j_fail(j, "cycle wants values");
    *out = args->v[self.u.loop->index % args->n];
    return SLM_OK;
}

/* ---- the table ---- */

static const struct {
    slm_jtype type;
    const char *name;
    method_fn run;
    size_t most; /* arguments */
    const char *names;
} METHODS[] = {
    {SLM_J_STRING, "strip", m_strip, 1, ""},
    {SLM_J_STRING, "lstrip", m_lstrip, 1, ""},
    {SLM_J_STRING, "rstrip", m_rstrip, 1, ""},
    {SLM_J_STRING, "split", m_split, 2, "sep maxsplit"},
    {SLM_J_STRING, "rsplit", m_rsplit, 2, "sep maxsplit"},
    {SLM_J_STRING, "splitlines", m_splitlines, 1, "keepends"},
    {SLM_J_STRING, "partition", m_partition, 1, ""},
    {SLM_J_STRING, "rpartition", m_rpartition, 1, ""},
    {SLM_J_STRING, "format", slm_j_braces, SIZE_MAX, NULL},
    {SLM_J_STRING, "startswith", m_startswith, 1, ""},
    {SLM_J_STRING, "endswith", m_endswith, 1, ""},
    {SLM_J_STRING, "removeprefix", m_removeprefix, 1, ""},
    {SLM_J_STRING, "removesuffix", m_removesuffix, 1, ""},
    {SLM_J_STRING, "replace", m_replace, 3, "count"},
    {SLM_J_STRING, "join", m_join, 1, ""},
    {SLM_J_STRING, "lower", m_lower, 0, ""},
    {SLM_J_STRING, "upper", m_upper, 0, ""},
    {SLM_J_STRING, "title", m_title, 0, ""},
    {SLM_J_STRING, "capitalize", m_capitalize, 0, ""},
    {SLM_J_STRING, "find", m_find, 1, ""},
    {SLM_J_STRING, "rfind", m_rfind, 1, ""},
    {SLM_J_STRING, "count", m_count, 1, ""},
    {SLM_J_STRING, "isdigit", m_isdigit, 0, ""},
    {SLM_J_STRING, "isalpha", m_isalpha, 0, ""},
    {SLM_J_STRING, "isspace", m_isspace, 0, ""},
    {SLM_J_DICT, "items", m_items, 0, ""},
    {SLM_J_DICT, "keys", m_keys, 0, ""},
    {SLM_J_DICT, "values", m_values, 0, ""},
    {SLM_J_DICT, "get", m_get, 2, ""},
    {SLM_J_LOOP, "cycle", m_cycle, SIZE_MAX, ""},
};

static size_t find_method(slm_jvalue v, slm_str name) {
    size_t i = 0, n = sizeof METHODS / sizeof *METHODS;
    while (i < n && (METHODS[i].type != v.type || !slm_str_is(name, METHODS[i].name)))
        i++;
    return i < n ? i : SIZE_MAX;
}

int slm_j_has_method(slm_jvalue v, slm_str name) {
    return find_method(v, name) != SIZE_MAX;
}

slm_status slm_j_call_method(slm_jinja *j, const slm_jmethod *m, const slm_jargs *args,
                             slm_jvalue *out) {
    size_t i = find_method(m->self, m->name); /* there, or it would not have been bound */
    SLM_TRY(slm_j_check_args(j, METHODS[i].name, args, METHODS[i].most, METHODS[i].names));
    return METHODS[i].run(j, m->self, args, out);
}
