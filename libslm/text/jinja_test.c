/* Tests of templates: what stands behind "is". */
#include "text/jinja_impl.h"
#include "text/unicode.h"

typedef slm_status (*test_fn)(slm_jinja *j, slm_jvalue v, slm_jvalue other, int *out);

#define TYPE_TEST(name, condition)                                                                 \
    static slm_status name(slm_jinja *j, slm_jvalue v, slm_jvalue other, int *out) {               \
        (void)j;                                                                                   \
        (void)other;                                                                               \
        *out = condition;                                                                          \
        return SLM_OK;                                                                             \
    }

static int is_text(slm_jvalue v) { return v.type == SLM_J_STRING; }
static int is_list(slm_jvalue v) { return v.type == SLM_J_LIST; }
static int is_mapping(slm_jvalue v) { return v.type == SLM_J_DICT; }

TYPE_TEST(t_defined, v.type != SLM_J_UNDEFINED)
TYPE_TEST(t_undefined, v.type == SLM_J_UNDEFINED)
TYPE_TEST(t_none, v.type == SLM_J_NONE)
TYPE_TEST(t_true, v.type == SLM_J_BOOL && v.u.i)
TYPE_TEST(t_false, v.type == SLM_J_BOOL && !v.u.i)
TYPE_TEST(t_boolean, v.type == SLM_J_BOOL)
TYPE_TEST(t_integer, v.type == SLM_J_INT || v.type == SLM_J_BIG)
TYPE_TEST(t_float, v.type == SLM_J_FLOAT)
TYPE_TEST(t_number, slm_j_is_number(v))
TYPE_TEST(t_string, is_text(v))
TYPE_TEST(t_mapping, is_mapping(v))
TYPE_TEST(t_iterable, is_text(v) || is_list(v) || is_mapping(v) || v.type == SLM_J_UNDEFINED)
TYPE_TEST(t_sequence, is_text(v) || is_list(v) || is_mapping(v) || v.type == SLM_J_UNDEFINED)
TYPE_TEST(t_callable, v.type >= SLM_J_MACRO)

static slm_status t_equal(slm_jinja *j, slm_jvalue v, slm_jvalue other, int *out) {
    *out = slm_j_equal(j, v, other);
    return SLM_OK;
}

static slm_status t_not_equal(slm_jinja *j, slm_jvalue v, slm_jvalue other, int *out) {
    *out = !slm_j_equal(j, v, other);
    return SLM_OK;
}

static slm_status t_same(slm_jinja *j, slm_jvalue v, slm_jvalue other, int *out) {
    *out = v.type == other.type && slm_j_equal(j, v, other);
    return SLM_OK;
}

static slm_status t_in(slm_jinja *j, slm_jvalue v, slm_jvalue other, int *out) {
    return slm_j_contains(j, other, v, out);
}

#define ORDER_TEST(name, condition)                                                                \
    static slm_status name(slm_jinja *j, slm_jvalue v, slm_jvalue other, int *out) {               \
        int order;                                                                                 \
        SLM_TRY(slm_j_order(j, v, other, &order));                                                 \
        *out = order condition;                                                                    \
        return SLM_OK;                                                                             \
    }
ORDER_TEST(t_less, < 0)
ORDER_TEST(t_at_most, <= 0)
ORDER_TEST(t_greater, > 0)
ORDER_TEST(t_at_least, >= 0)

static slm_status divides(slm_jinja *j, slm_jvalue v, int64_t by, int64_t rest, int *out) {
    if ((v.type != SLM_J_INT && v.type != SLM_J_BOOL) || by == 0 || by == -1)
        return slm_j_fail(j, "%s divided by %d", slm_j_type_name(v), by == 0 ? 0 : (int)by);
    *out = (v.u.i % by != 0) == (rest != 0);
    return SLM_OK;
}

static slm_status t_even(slm_jinja *j, slm_jvalue v, slm_jvalue other, int *out) {
    (void)other;
    return divides(j, v, 2, 0, out);
}

static slm_status t_odd(slm_jinja *j, slm_jvalue v, slm_jvalue other, int *out) {
    (void)other;
    return divides(j, v, 2, 1, out);
}

static slm_status t_divisible(slm_jinja *j, slm_jvalue v, slm_jvalue other, int *out) {
    if (other.type != SLM_J_INT)
        return slm_j_fail(j, "divisibleby %s, wanted an integer", slm_j_type_name(other));
    return divides(j, v, other.u.i, 0, out);
}

/* A text with letters that are all of one case. */
static slm_status has_case(slm_jinja *j, slm_jvalue v, uint32_t not_this, int *out) {
    int letters = 0;
    SLM_TRY(slm_j_str(j, v, &v));
    SLM_TRY(slm_j_charge_chars(j, v.u.s->len));
    *out = 1;
    for (size_t i = 0, len; i < v.u.s->len; i += len) {
        uint32_t c = slm_cp_class(slm_utf8_decode(v.u.s->s + i, v.u.s->len - i, &len));
        *out &= !(c & not_this);
        letters |= (c & (SLM_CLASS_UPPER | SLM_CLASS_LOWER)) != 0;
    }
    *out &= letters;
    return SLM_OK;
}

static slm_status t_lower(slm_jinja *j, slm_jvalue v, slm_jvalue other, int *out) {
    (void)other;
    return has_case(j, v, SLM_CLASS_UPPER, out);
}

static slm_status t_upper(slm_jinja *j, slm_jvalue v, slm_jvalue other, int *out) {
    (void)other;
    return has_case(j, v, SLM_CLASS_LOWER, out);
}

static const struct {
    const char *name;
    test_fn run;
    size_t n_args;
} TESTS[] = {
    {"defined", t_defined, 0}, {"undefined", t_undefined, 0}, {"none", t_none, 0},
    {"string", t_string, 0}, {"mapping", t_mapping, 0}, {"iterable", t_iterable, 0},
    {"sequence", t_sequence, 0}, {"true", t_true, 0}, {"false", t_false, 0},
    {"boolean", t_boolean, 0}, {"integer", t_integer, 0}, {"float", t_float, 0},
    {"number", t_number, 0}, {"callable", t_callable, 0}, {"even", t_even, 0}, {"odd", t_odd, 0},
    {"divisibleby", t_divisible, 1}, {"lower", t_lower, 0}, {"upper", t_upper, 0},
    {"equalto", t_equal, 1}, {"eq", t_equal, 1}, {"==", t_equal, 1}, {"ne", t_not_equal, 1},
    {"!=", t_not_equal, 1}, {"sameas", t_same, 1}, {"in", t_in, 1}, {"lt", t_less, 1},
    {"<", t_less, 1}, {"lessthan", t_less, 1}, {"le", t_at_most, 1}, {"<=", t_at_most, 1},
    {"gt", t_greater, 1}, {">", t_greater, 1}, {"greaterthan", t_greater, 1},
    {"ge", t_at_least, 1}, {">=", t_at_least, 1},
};

slm_status slm_j_test(slm_jinja *j, slm_str name, slm_jvalue v, const slm_jargs *args, int *out) {
    SLM_TRY(slm_j_charge(j, 1));
    for (size_t i = 0; i < sizeof TESTS / sizeof *TESTS; i++) {
        if (!slm_str_is(name, TESTS[i].name))
            continue;
        if (args->n_all != TESTS[i].n_args)
            return slm_j_fail(j, "the test \"%s\" got %zu arguments, wanted %zu", TESTS[i].name,
                              args->n_all, TESTS[i].n_args);
        return TESTS[i].run(j, v, args->n_all ? args->v[0] : slm_j_nothing(), out);
    }
    return slm_j_fail(j, "the test \"%.*s\" is not known", (int)(name.len < 40 ? name.len : 40),
                      name.ptr);
}
