/* Expressions of templates. */
#include "text/jinja_impl.h"

/* ---- variables ---- */

static uint64_t vars_seen(const slm_jframe *f) {
    return f->n / 8;
}

const slm_jvalue *slm_j_find_var(slm_jinja *j, const slm_jframe *f, slm_str name) {
    for (; f; f = f->parent) {
        j->steps += vars_seen(f); /* checked at the next charge */
        for (size_t i = 0; i < f->n; i++) {
            if (f->vars[i].name.len != name.len)
                continue;
            j->steps += name.len / 64;
            if (memcmp(f->vars[i].name.ptr, name.ptr, name.len) == 0)
                return &f->vars[i].value;
        }
    }
    return NULL;
}

slm_status slm_j_set_var(slm_jinja *j, slm_jframe *f, slm_str name, slm_jvalue v) {
    SLM_TRY(slm_j_charge(j, vars_seen(f))); /* checked here: names may be set in a loop of ours */
    for (size_t i = 0; i < f->n; i++) {
        if (slm_str_equal(f->vars[i].name, name)) {
            f->vars[i].value = v;
            return SLM_OK;
        }
    }
    if (f->n == f->cap) {
        slm_jvar *grown;
        size_t cap = f->cap * 2 + 8;
        SLM_TRY(slm_j_alloc(j, cap * sizeof *grown, &grown));
        if (f->n > 0)
            memcpy(grown, f->vars, f->n * sizeof *grown);
        f->vars = grown;
        f->cap = cap;
    }
    f->vars[f->n++] = (slm_jvar){name, v};
    return SLM_OK;
}

/* ---- comparison ---- */

static slm_status compare(slm_jinja *j, uint16_t op, slm_jvalue a, slm_jvalue b, int *out) {
    int order;
    switch (op) {
    case SLM_OP2('=', '='):
    case SLM_OP2('!', '='):
        *out = slm_j_equal(j, a, b) == (op == SLM_OP2('=', '='));
        return SLM_OK;
    case SLM_OP1('i'):
    case SLM_OP1('n'):
        SLM_TRY(slm_j_contains(j, b, a, out));
        *out = *out == (op == SLM_OP1('i'));
        return SLM_OK;
    default:
        break;
    }
    if (a.type == SLM_J_UNDEFINED || b.type == SLM_J_UNDEFINED)
        return slm_j_fail_undefined(j, a.type == SLM_J_UNDEFINED ? a : b);
    SLM_TRY(slm_j_order(j, a, b, &order));
    *out = op == SLM_OP1('<')        ? order < 0
           : op == SLM_OP1('>')      ? order > 0
           : op == SLM_OP2('<', '=') ? order <= 0
                                     : order >= 0;
    return SLM_OK;
}

static slm_status comparison(slm_jinja *j, slm_jframe *f, const slm_jnode *n, slm_jvalue *out) {
    slm_jvalue left, right;
    int yes = 1;
    SLM_TRY(slm_j_eval(j, f, n->a, &left));
    for (const slm_jnode *to = n->b; to && yes; to = to->next) {
        SLM_TRY(slm_j_eval(j, f, to->a, &right));
        j->pos = n->pos;
        SLM_TRY(compare(j, to->op, left, right, &yes));
        left = right;
    }
    *out = slm_j_bool(yes);
    return SLM_OK;
}

/* ---- members, items, slices ---- */

static size_t char_at(slm_str s, size_t index) {
    size_t i = 0;
    for (; index > 0 && i < s.len; index--)
        for (i++; i < s.len && ((uint8_t)s.ptr[i] & 0xC0) == 0x80;)
            i++;
    return i;
}

static slm_status item_at(slm_jinja *j, slm_jvalue v, int64_t index, slm_jvalue *out) {
    int64_t n = (int64_t)slm_j_length(v);
    SLM_TRY(slm_j_charge(j, v.type == SLM_J_STRING ? v.u.s->len / 16 : 0));
    index += index < 0 ? n : 0;
    if (index < 0 || index >= n)
        return slm_j_undefined(j, (slm_str){"the item of that index", 22}, out);
    if (v.type == SLM_J_LIST) {
        *out = v.u.list->items[index];
        return SLM_OK;
    }
    size_t from = char_at(slm_j_text(v), (size_t)index);
    slm_str rest = {v.u.s->s + from, v.u.s->len - from};
    return slm_j_part(j, v, from, from + char_at(rest, 1), out);
}

slm_status slm_j_get_item(slm_jinja *j, slm_jvalue v, slm_jvalue key, slm_jvalue *out) {
    if (v.type == SLM_J_UNDEFINED)
        return slm_j_fail_undefined(j, v);
    if (v.type == SLM_J_DICT || v.type == SLM_J_NAMESPACE) {
        const slm_jvalue *there = slm_j_find(j, v.u.dict, key);
        if (there) {
            *out = *there;
            return SLM_OK;
        }
    } else if ((v.type == SLM_J_LIST || v.type == SLM_J_STRING) &&
               (key.type == SLM_J_INT || key.type == SLM_J_BOOL)) {
        return item_at(j, v, key.u.i, out);
    }
    if (key.type != SLM_J_STRING)
        return slm_j_undefined(j, (slm_str){"the item", 8}, out);
    return slm_j_undefined(j, slm_j_text(key), out);
}

static slm_status loop_member(slm_jinja *j, const slm_jloop *l, slm_str name, slm_jvalue *out) {
    size_t n = l->items->n, i = l->index;
    if (slm_str_is(name, "index"))
        *out = slm_j_int((int64_t)i + 1);
    else if (slm_str_is(name, "index0"))
        *out = slm_j_int((int64_t)i);
    else if (slm_str_is(name, "revindex"))
        *out = slm_j_int((int64_t)(n - i));
    else if (slm_str_is(name, "revindex0"))
        *out = slm_j_int((int64_t)(n - i) - 1);
    else if (slm_str_is(name, "first"))
        *out = slm_j_bool(i == 0);
    else if (slm_str_is(name, "last"))
        *out = slm_j_bool(i + 1 == n);
    else if (slm_str_is(name, "length"))
        *out = slm_j_int((int64_t)n);
    else if (slm_str_is(name, "depth") || slm_str_is(name, "depth0")) /* of recursive loops only */
        *out = slm_j_int(slm_str_is(name, "depth"));
    else if (slm_str_is(name, "previtem") && i > 0)
        *out = l->items->items[i - 1];
    else if (slm_str_is(name, "nextitem") && i + 1 < n)
        *out = l->items->items[i + 1];
    else
        return slm_j_undefined(j, name, out);
    return SLM_OK;
}

static slm_status bind(slm_jinja *j, slm_jvalue self, slm_str name, slm_jvalue *out) {
    slm_jmethod *m;
    SLM_TRY(slm_j_alloc(j, sizeof *m, &m));
    *m = (slm_jmethod){self, name};
    *out = (slm_jvalue){.type = SLM_J_METHOD, .u.method = m};
    return SLM_OK;
}

slm_status slm_j_get_attribute(slm_jinja *j, slm_jvalue v, slm_str name, slm_jvalue *out) {
    if (v.type == SLM_J_UNDEFINED)
        return slm_j_fail_undefined(j, v);
    if (slm_j_has_method(v, name))
        return bind(j, v, name, out);
    if (v.type == SLM_J_LOOP)
        return loop_member(j, v.u.loop, name, out);
    if (v.type == SLM_J_DICT || v.type == SLM_J_NAMESPACE) {
        const slm_jvalue *there = slm_j_find_str(j, v.u.dict, name);
        if (there) {
            *out = *there;
            return SLM_OK;
        }
    }
    return slm_j_undefined(j, name, out);
}

/* a['name']: an item comes before a method. */
static slm_status item(slm_jinja *j, slm_jvalue v, slm_jvalue key, slm_jvalue *out) {
    SLM_TRY(slm_j_get_item(j, v, key, out));
    if (out->type == SLM_J_UNDEFINED && key.type == SLM_J_STRING &&
        !(v.type == SLM_J_DICT && slm_j_find(j, v.u.dict, key)))
        return slm_j_get_attribute(j, v, slm_j_text(key), out);
    return SLM_OK;
}

slm_status slm_j_get_path(slm_jinja *j, slm_jvalue v, slm_jvalue path, slm_jvalue *out) {
    if (path.type != SLM_J_STRING)
        return slm_j_get_item(j, v, path, out);
    slm_str rest = slm_j_text(path);
    for (;;) {
        const char *dot = rest.len > 0 ? memchr(rest.ptr, '.', rest.len) : NULL;
        slm_str name = {rest.ptr, dot ? (size_t)(dot - rest.ptr) : rest.len};
        slm_jvalue key;
        slm_json spelt = {.type = SLM_JSON_NUMBER, .text = name};
        int64_t index;
        int digits = name.len > 0;
        for (size_t i = 0; i < name.len; i++)
            digits &= name.ptr[i] >= '0' && name.ptr[i] <= '9';
        if (digits && slm_json_int64(&spelt, &index))
            key = slm_j_int(index);
        else
            SLM_TRY(slm_j_string(j, name.ptr, name.len, SLM_MARK_TEMPLATE, &key));
        SLM_TRY(slm_j_get_item(j, v, key, out));
        if (!dot)
            return SLM_OK;
        v = *out;
        rest = (slm_str){dot + 1, rest.len - name.len - 1};
    }
}

/* One bound of a slice, within [least, most]. */
static slm_status bound(slm_jinja *j, slm_jvalue v, int64_t n, int64_t least, int64_t most,
                        int64_t otherwise, int64_t *out) {
    *out = otherwise;
    if (v.type == SLM_J_NONE)
        return SLM_OK;
    if (v.type != SLM_J_INT && v.type != SLM_J_BOOL)
        return slm_j_fail(j, "%s as the bound of a slice, wanted an integer", slm_j_type_name(v));
    int64_t i = v.u.i < 0 ? (v.u.i < -n ? least : v.u.i + n) : v.u.i;
    *out = i < least ? least : i > most ? most : i;
    return SLM_OK;
}

static slm_status slice(slm_jinja *j, slm_jvalue v, const slm_jvalue part[3], slm_jvalue *out) {
    if (v.type == SLM_J_UNDEFINED)
        return slm_j_fail_undefined(j, v);
    if (v.type != SLM_J_LIST && v.type != SLM_J_STRING)
        return slm_j_fail(j, "a slice of %s", slm_j_type_name(v));
    int64_t n = (int64_t)slm_j_length(v), step = 1, from, to;
    SLM_TRY(slm_j_charge(j, v.type == SLM_J_STRING ? v.u.s->len / 16 : 0));
    if (part[2].type == SLM_J_INT)
        step = part[2].u.i;
    if (step == 0 || (part[2].type != SLM_J_INT && part[2].type != SLM_J_NONE))
        return slm_j_fail(j, "the step of a slice is zero or no integer");
    int64_t least = step < 0 ? -1 : 0, most = step < 0 ? n - 1 : n;
    SLM_TRY(bound(j, part[0], n, least, most, step < 0 ? n - 1 : 0, &from));
    SLM_TRY(bound(j, part[1], n, least, most, step < 0 ? -1 : n, &to));
    if (v.type == SLM_J_STRING && step == 1) {
        size_t begin = char_at(slm_j_text(v), (size_t)from), end = begin;
        if (to > from) {
            slm_str rest = {v.u.s->s + begin, v.u.s->len - begin};
            end += char_at(rest, (size_t)(to - from));
        }
        return slm_j_part(j, v, begin, end, out);
    }
    slm_jlist *items;
    slm_jvalue list;
    SLM_TRY(slm_j_items(j, v, &items));
    SLM_TRY(slm_j_list(j, 0, &list));
    for (int64_t i = from; step < 0 ? i > to : i < to;) {
        SLM_TRY(slm_j_charge(j, 1));
        SLM_TRY(slm_j_append(j, list, items->items[i]));
        if (__builtin_add_overflow(i, step, &i))
            break;
    }
    list.tuple = v.tuple;
    *out = list;
    if (v.type == SLM_J_LIST)
        return SLM_OK;
    slm_jvalue empty;
    SLM_TRY(slm_j_own(j, "", &empty));
    return slm_j_join(j, empty, list.u.list, out);
}

/* ---- calls ---- */

slm_status slm_j_call_args(slm_jinja *j, slm_jframe *f, const slm_jnode *first, slm_jargs *args) {
    size_t n = 0;
    *args = (slm_jargs){0};
    for (const slm_jnode *a = first; a; a = a->next)
        n++;
    if (n == 0)
        return SLM_OK;
    SLM_TRY(slm_j_alloc(j, n * sizeof *args->v, &args->v));
    SLM_TRY(slm_j_alloc(j, n * sizeof *args->names, &args->names));
    for (const slm_jnode *a = first; a; a = a->next) {
        SLM_TRY(slm_j_eval(j, f, a->a, &args->v[args->n_all]));
        args->names[args->n_all++] = a->name;
        if (!a->name.ptr && args->n + 1 != args->n_all) {
            j->pos = a->pos;
            return slm_j_fail(j, "an argument by place after one by name");
        }
        args->n += !a->name.ptr;
    }
    return SLM_OK;
}

const slm_jvalue *slm_j_arg(const slm_jargs *args, size_t at, const char *name) {
    if (at < args->n)
        return &args->v[at];
    for (size_t i = args->n; name && i < args->n_all; i++)
        if (slm_str_is(args->names[i], name))
            return &args->v[i];
    return NULL;
}

slm_status slm_j_arg_int(slm_jinja *j, const slm_jargs *args, size_t at, const char *name,
                         int64_t otherwise, int64_t *out) {
    const slm_jvalue *v = slm_j_arg(args, at, name);
    *out = v && v->type <= SLM_J_INT ? v->u.i : otherwise;
    if (v && v->type != SLM_J_INT && v->type != SLM_J_BOOL && v->type != SLM_J_NONE)
        return slm_j_fail(j, "the argument %s is %s, wanted an integer", name, slm_j_type_name(*v));
    if (v && v->type == SLM_J_NONE)
        *out = otherwise;
    return SLM_OK;
}

int slm_j_arg_true(const slm_jargs *args, size_t at, const char *name, int otherwise) {
    const slm_jvalue *v = slm_j_arg(args, at, name);
    return v ? slm_j_truth(*v) : otherwise;
}

slm_status slm_j_arg_text(slm_jinja *j, const slm_jargs *args, size_t at, const char *name,
                          slm_jvalue *out) {
    const slm_jvalue *v = slm_j_arg(args, at, name);
    *out = v && v->type != SLM_J_NONE ? *v : slm_j_nothing();
    if (out->type == SLM_J_STRING || out->type == SLM_J_UNDEFINED)
        return SLM_OK;
    return slm_j_fail(j, "the argument %s is %s, wanted a string", name, slm_j_type_name(*v));
}

slm_status slm_j_check_args(slm_jinja *j, const char *what, const slm_jargs *args, size_t most,
                            const char *names) {
    if (args->n > most)
        return slm_j_fail(j, "%s got %zu arguments, wanted at most %zu", what, args->n, most);
    for (size_t i = args->n; i < args->n_all && names; i++) {
        slm_str name = args->names[i];
        const char *p = names;
        while (p &&
               !(strncmp(p, name.ptr, name.len) == 0 && (p[name.len] == ' ' || p[name.len] == 0)))
            p = (p = strchr(p, ' ')) ? p + 1 : NULL;
        if (!p)
            return slm_j_fail(j, "%s has no argument \"%.*s\"", what,
                              (int)(name.len < 40 ? name.len : 40), name.ptr);
    }
    return SLM_OK;
}

static slm_status call(slm_jinja *j, slm_jframe *f, const slm_jnode *n, slm_jvalue *out) {
    slm_jvalue what;
    slm_jargs args;
    SLM_TRY(slm_j_eval(j, f, n->a, &what));
    SLM_TRY(slm_j_call_args(j, f, n->b, &args));
    j->pos = n->pos;
    switch (what.type) {
    case SLM_J_METHOD:
        return slm_j_call_method(j, what.u.method, &args, out);
    case SLM_J_MACRO:
        return slm_j_call_macro(j, what.u.macro, &args, out);
    case SLM_J_FUNCTION:
        return slm_j_call_function(j, what.u.i, &args, out);
    case SLM_J_UNDEFINED:
        return slm_j_fail_undefined(j, what);
    default:
        return slm_j_fail(j, "%s cannot be called", slm_j_type_name(what));
    }
}

static slm_status filter(slm_jinja *j, slm_jframe *f, const slm_jnode *n, slm_jvalue in,
                         slm_jvalue *out) {
    slm_jargs args;
    SLM_TRY(slm_j_call_args(j, f, n->b, &args));
    j->pos = n->pos;
    return slm_j_filter(j, n->name, in, &args, out);
}

slm_status slm_j_apply_filters(slm_jinja *j, slm_jframe *f, const slm_jnode *n, slm_jvalue in,
                               slm_jvalue *out) {
    if (n->a) /* the filters before this one; no higher than the tree may be */
        SLM_TRY(slm_j_apply_filters(j, f, n->a, in, &in));
    return filter(j, f, n, in, out);
}

static slm_status test(slm_jinja *j, slm_jframe *f, const slm_jnode *n, slm_jvalue *out) {
    slm_jvalue v;
    slm_jargs args;
    int yes;
    SLM_TRY(slm_j_eval(j, f, n->a, &v));
    SLM_TRY(slm_j_call_args(j, f, n->b, &args));
    j->pos = n->pos;
    SLM_TRY(slm_j_test(j, n->name, v, &args, &yes));
    *out = slm_j_bool(yes != n->op);
    return SLM_OK;
}

/* ---- all of them ---- */

static slm_status collection(slm_jinja *j, slm_jframe *f, const slm_jnode *n, slm_jvalue *out) {
    SLM_TRY(n->kind == SLM_N_LIST ? slm_j_list(j, 0, out) : slm_j_dict(j, out));
    out->tuple = n->value.tuple;
    for (const slm_jnode *i = n->a; i; i = i->next) {
        slm_jvalue key, value;
        SLM_TRY(slm_j_eval(j, f, i, &value));
        if (n->kind == SLM_N_LIST) {
            SLM_TRY(slm_j_append(j, *out, value));
            continue;
        }
        key = value;
        j->pos = i->pos;
        if (key.type >= SLM_J_LIST || key.type == SLM_J_UNDEFINED)
            return slm_j_fail(j, "%s as a key", slm_j_type_name(key));
        i = i->next;
        SLM_TRY(slm_j_eval(j, f, i, &value));
        SLM_TRY(slm_j_put_value(j, out->u.dict, key, value));
    }
    return SLM_OK;
}

static slm_status name(slm_jinja *j, slm_jframe *f, const slm_jnode *n, slm_jvalue *out) {
    const slm_jvalue *v = slm_j_find_var(j, f, n->name);
    if (!v)
        return slm_j_undefined(j, n->name, out);
    *out = *v;
    return SLM_OK;
}

static slm_status sliced(slm_jinja *j, slm_jframe *f, const slm_jnode *n, slm_jvalue *out) {
    slm_jvalue v, part[3];
    const slm_jnode *p = n->b;
    SLM_TRY(slm_j_eval(j, f, n->a, &v));
    for (int i = 0; i < 3; i++, p = p->next)
        SLM_TRY(slm_j_eval(j, f, p, &part[i]));
    j->pos = n->pos;
    return slice(j, v, part, out);
}

static slm_status one(slm_jinja *j, slm_jframe *f, const slm_jnode *n, slm_jvalue *out) {
    slm_jvalue a, b;
    switch (n->kind) {
    case SLM_N_CONST:
        *out = n->value;
        return SLM_OK;
    case SLM_N_NAME:
        return name(j, f, n, out);
    case SLM_N_LIST:
    case SLM_N_DICT:
        return collection(j, f, n, out);
    case SLM_N_COMPARE:
        return comparison(j, f, n, out);
    case SLM_N_CALL:
        return call(j, f, n, out);
    case SLM_N_TEST:
        return test(j, f, n, out);
    case SLM_N_SLICE:
        return sliced(j, f, n, out);
    case SLM_N_IF_EXPR:
        SLM_TRY(slm_j_eval(j, f, n->b, &b));
        if (slm_j_truth(b))
            return slm_j_eval(j, f, n->a, out);
        *out = slm_j_nothing();
        return n->c ? slm_j_eval(j, f, n->c, out) : SLM_OK;
    default:
        break;
    }
    SLM_TRY(slm_j_eval(j, f, n->a, &a));
    switch (n->kind) {
    case SLM_N_AND:
    case SLM_N_OR:
        if (slm_j_truth(a) == (n->kind == SLM_N_AND))
            return slm_j_eval(j, f, n->b, out);
        *out = a;
        return SLM_OK;
    case SLM_N_NOT:
        *out = slm_j_bool(!slm_j_truth(a));
        return SLM_OK;
    case SLM_N_NEG:
    case SLM_N_POS:
        j->pos = n->pos;
        return slm_j_negate(j, a, n->kind == SLM_N_NEG, out);
    case SLM_N_ATTR:
        j->pos = n->pos;
        return slm_j_get_attribute(j, a, n->name, out);
    case SLM_N_FILTER:
        return filter(j, f, n, a, out);
    default: /* BINARY, ITEM */
        SLM_TRY(slm_j_eval(j, f, n->b, &b));
        j->pos = n->pos;
        return n->kind == SLM_N_ITEM ? item(j, a, b, out) : slm_j_arithmetic(j, n->op, a, b, out);
    }
}

slm_status slm_j_eval(slm_jinja *j, slm_jframe *f, const slm_jnode *n, slm_jvalue *out) {
    j->pos = n->pos;
    SLM_TRY(slm_j_charge(j, 1));
    if (++j->depth > SLM_JINJA_MAX_DEPTH)
        return slm_j_fail_depth(j);
    SLM_TRY(one(j, f, n, out));
    j->depth--;
    return SLM_OK;
}
