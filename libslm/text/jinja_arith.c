/* Arithmetic of templates, with Python's rules for integers and numbers. */
#include "text/jinja_impl.h"

#include <math.h>

/* Undefined values can be looked at, but nothing can be done with them. */
slm_status slm_j_fail_undefined(slm_jinja *j, slm_jvalue v) {
    if (!v.u.s)
        return slm_j_fail(j, "the value is undefined");
    if (slm_str_is(slm_j_text(v), "strftime_now"))
        return slm_j_fail(j, "the template wants the date, but the caller told none");
    return slm_j_fail(j, "\"%.*s\" is undefined", (int)(v.u.s->len < 64 ? v.u.s->len : 64),
                      v.u.s->s);
}

static slm_status fail_operands(slm_jinja *j, uint16_t op, slm_jvalue a, slm_jvalue b) {
    if (a.type == SLM_J_UNDEFINED || b.type == SLM_J_UNDEFINED)
        return slm_j_fail_undefined(j, a.type == SLM_J_UNDEFINED ? a : b);
    char spelt[3] = {(char)(op & 0xFF), (char)(op >> 8), 0};
    return slm_j_fail(j, "\"%s\" of %s and %s", spelt, slm_j_type_name(a), slm_j_type_name(b));
}

static slm_status floor_divide(slm_jinja *j, uint16_t op, int64_t a, int64_t b, slm_jvalue *out) {
    if (b == 0)
        return slm_j_fail(j, "a division by zero");
    if (a == INT64_MIN && b == -1)
        return slm_j_fail(j, "an integer beyond 64 bits");
    int64_t q = a / b, r = a % b;
    int lower = r != 0 && (r < 0) != (b < 0); /* Python rounds down */
    *out = slm_j_int(op == SLM_OP1('%') ? r + (lower ? b : 0) : q - lower);
    return SLM_OK;
}

static slm_status power(slm_jinja *j, int64_t a, int64_t b, slm_jvalue *out) {
    int64_t v = 1;
    if (b < 0) {
        *out = slm_j_float(pow((double)a, (double)b));
        return SLM_OK;
    }
    for (int64_t i = 0; i < b; i++) {
        SLM_TRY(slm_j_charge(j, 1));
        if (__builtin_mul_overflow(v, a, &v))
            return slm_j_fail(j, "an integer beyond 64 bits");
    }
    *out = slm_j_int(v);
    return SLM_OK;
}

static slm_status integers(slm_jinja *j, uint16_t op, int64_t a, int64_t b, slm_jvalue *out) {
    int64_t v = 0;
    int over = 0;
    switch (op) {
    case SLM_OP1('+'):
        over = __builtin_add_overflow(a, b, &v);
        break;
    case SLM_OP1('-'):
        over = __builtin_sub_overflow(a, b, &v);
        break;
    case SLM_OP1('*'):
        over = __builtin_mul_overflow(a, b, &v);
        break;
    case SLM_OP2('*', '*'):
        return power(j, a, b, out);
    case SLM_OP1('/'):
        if (b == 0)
            return slm_j_fail(j, "a division by zero");
        *out = slm_j_float((double)a / (double)b);
        return SLM_OK;
    default:
        return floor_divide(j, op, a, b, out);
    }
    *out = slm_j_int(v);
    return over ? slm_j_fail(j, "an integer beyond 64 bits") : SLM_OK;
}

static slm_status floats(slm_jinja *j, uint16_t op, double a, double b, slm_jvalue *out) {
    double v;
    if (b == 0 && (op == SLM_OP1('/') || op == SLM_OP2('/', '/') || op == SLM_OP1('%')))
        return slm_j_fail(j, "a division by zero");
    switch (op) {
    case SLM_OP1('+'):
        v = a + b;
        break;
    case SLM_OP1('-'):
        v = a - b;
        break;
    case SLM_OP1('*'):
        v = a * b;
        break;
    case SLM_OP1('/'):
        v = a / b;
        break;
    case SLM_OP2('/', '/'):
        v = floor(a / b);
        break;
    case SLM_OP1('%'):
        v = fmod(a, b);
        v = v != 0 && (v < 0) != (b < 0) ? v + b : v;
        break;
    default:
        v = pow(a, b);
        break;
    }
    *out = slm_j_float(v);
    return SLM_OK;
}

/* A text or list n times. */
static slm_status repeat(slm_jinja *j, slm_jvalue v, int64_t times, slm_jvalue *out) {
    size_t n = times > 0 ? (size_t)times : 0;
    size_t len = v.type == SLM_J_STRING ? v.u.s->len : v.u.list->n, total;
    if (__builtin_mul_overflow(len, n, &total))
        return slm_j_fail_limit(j, "memory");
    SLM_TRY(slm_j_charge(j, total / 64));
    if (v.type == SLM_J_STRING) {
        char *s;
        slm_jmark *marks;
        SLM_TRY(slm_j_new_text(j, total, &s, &marks, out));
        for (size_t i = 0; i < total; i += len) {
            memcpy(s + i, v.u.s->s, len);
            memcpy(marks + i, v.u.s->marks, len * sizeof *marks);
        }
        return SLM_OK;
    }
    SLM_TRY(slm_j_charge(j, total));
    SLM_TRY(slm_j_list(j, total, out));
    for (size_t i = 0; i < total; i++)
        SLM_TRY(slm_j_append(j, *out, v.u.list->items[i % len]));
    return SLM_OK;
}

static slm_status join_lists(slm_jinja *j, slm_jvalue a, slm_jvalue b, slm_jvalue *out) {
    SLM_TRY(slm_j_charge(j, (a.u.list->n + b.u.list->n) / 8));
    SLM_TRY(slm_j_list(j, a.u.list->n + b.u.list->n, out));
    out->tuple = a.tuple;
    for (size_t i = 0; i < a.u.list->n; i++)
        SLM_TRY(slm_j_append(j, *out, a.u.list->items[i]));
    for (size_t i = 0; i < b.u.list->n; i++)
        SLM_TRY(slm_j_append(j, *out, b.u.list->items[i]));
    return SLM_OK;
}

slm_status slm_j_arithmetic(slm_jinja *j, uint16_t op, slm_jvalue a, slm_jvalue b,
                            slm_jvalue *out) {
    if (op == SLM_OP1('~')) {
        SLM_TRY(slm_j_str(j, a, &a));
        SLM_TRY(slm_j_str(j, b, &b));
        return slm_j_concat(j, a, b, out);
    }
    if (slm_j_is_number(a) && slm_j_is_number(b)) {
        if (a.type == SLM_J_BIG || b.type == SLM_J_BIG)
            return slm_j_fail(j, "an integer beyond 64 bits");
        int real = a.type == SLM_J_FLOAT || b.type == SLM_J_FLOAT;
        SLM_TRY(real ? floats(j, op, slm_j_to_double(a), slm_j_to_double(b), out)
                     : integers(j, op, a.u.i, b.u.i, out));
        out->mark = a.mark > b.mark ? a.mark : b.mark;
        return SLM_OK;
    }
    if (op == SLM_OP1('+') && a.type == SLM_J_STRING && b.type == SLM_J_STRING)
        return slm_j_concat(j, a, b, out);
    if (op == SLM_OP1('+') && a.type == SLM_J_LIST && b.type == SLM_J_LIST && a.tuple == b.tuple)
        return join_lists(j, a, b, out);
    if (op == SLM_OP1('*')) {
        slm_jvalue many = a.type == SLM_J_INT ? b : a, times = a.type == SLM_J_INT ? a : b;
        if ((many.type == SLM_J_STRING || many.type == SLM_J_LIST) && times.type == SLM_J_INT)
            return repeat(j, many, times.u.i, out);
    }
    if (op == SLM_OP1('%') && a.type == SLM_J_STRING) {
        slm_jargs args = {.n = 1, .n_all = 1, .v = &b};
        if (b.type == SLM_J_LIST && b.tuple) {
            args.n = args.n_all = b.u.list->n;
            args.v = b.u.list->items;
        }
        return slm_j_filter(j, (slm_str){"format", 6}, a, &args, out);
    }
    return fail_operands(j, op, a, b);
}

slm_status slm_j_negate(slm_jinja *j, slm_jvalue v, int minus, slm_jvalue *out) {
    if (!slm_j_is_number(v) || v.type == SLM_J_BIG)
        return v.type == SLM_J_UNDEFINED
                   ? slm_j_fail_undefined(j, v)
                   : slm_j_fail(j, "\"%c\" of %s", minus ? '-' : '+', slm_j_type_name(v));
    if (!minus)
        *out = v.type == SLM_J_BOOL ? slm_j_int(v.u.i) : v;
    else if (v.type == SLM_J_FLOAT)
        *out = slm_j_float(-v.u.f);
    else
        SLM_TRY(integers(j, SLM_OP1('-'), 0, v.u.i, out));
    out->mark = v.mark;
    return SLM_OK;
}
