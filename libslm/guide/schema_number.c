/* Numbers between bounds. Bounds are decimals of any length, compared digit by digit as a number is
 * read: no arithmetic that could round. */
#include "guide/schema_impl.h"

#include <string.h>

/* ---- decimals ---------------------------------------------------------------------------------
 */

/* Digits of the spelling in order, without sign, point and exponent; *point is where the point
 * stands among them after the exponent has moved it. */
static int split(slm_str t, char *digits, uint32_t cap, uint32_t *n, int64_t *point) {
    size_t i = t.len > 0 && t.ptr[0] == '-';
    int seen_point = 0;
    *n = 0;
    *point = 0;
    for (; i < t.len && (t.ptr[i] | 0x20) != 'e'; i++) {
        if (t.ptr[i] == '.') {
            seen_point = 1;
            continue;
        }
        if (*n == cap)
            return 0;
        digits[(*n)++] = t.ptr[i];
        *point += !seen_point;
    }
    if (i == t.len)
        return 1;
    int64_t exponent = 0;
    int negative = 0;
    for (i++; i < t.len; i++) {
        if (t.ptr[i] == '-')
            negative = 1;
        else if (t.ptr[i] != '+' && exponent < 1000000)
            exponent = exponent * 10 + (t.ptr[i] - '0');
    }
    *point += negative ? -exponent : exponent;
    return 1;
}

int slm_decimal_read(slm_str spelt, slm_decimal *d) {
    char digits[SLM_SCHEMA_MAX_DIGITS];
    uint32_t n, first = 0;
    int64_t point;
    if (!split(spelt, digits, sizeof digits, &n, &point))
        return 0;
    while (first < n && digits[first] == '0')
        first++;
    while (n > first && digits[n - 1] == '0')
        n--;
    *d = (slm_decimal){.negative = spelt.ptr[0] == '-' && first < n, .n_whole = 1};
    d->digits[0] = '0';
    if (first == n)
        return 1;
    point -= first; /* now counted from the first digit that is not 0 */
    n -= first;
    if (point > SLM_SCHEMA_MAX_DIGITS || point < -SLM_SCHEMA_MAX_DIGITS / 2)
        return 0;
    uint32_t at = 0;
    for (int64_t i = 0; i < point; i++)
        d->digits[at++] = i < (int64_t)n ? digits[first + (uint32_t)i] : '0';
    if (point <= 0)
        d->digits[at++] = '0';
    d->n_whole = at;
    for (int64_t i = point; i < (int64_t)n; i++) {
        if (at == sizeof d->digits)
            return 0;
        d->digits[at++] = i < 0 ? '0' : digits[first + (uint32_t)i];
    }
    d->n_fraction = at - d->n_whole;
    return 1;
}

static int compare_magnitudes(const slm_decimal *a, const slm_decimal *b) {
    if (a->n_whole != b->n_whole)
        return a->n_whole < b->n_whole ? -1 : 1;
    uint32_t n = a->n_fraction < b->n_fraction ? a->n_fraction : b->n_fraction;
    int order = memcmp(a->digits, b->digits, a->n_whole + n);
    if (order != 0)
        return order < 0 ? -1 : 1;
    return a->n_fraction < b->n_fraction ? -1 : a->n_fraction > b->n_fraction;
}

int slm_decimal_compare(const slm_decimal *a, const slm_decimal *b) {
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    return a->negative ? compare_magnitudes(b, a) : compare_magnitudes(a, b);
}

uint32_t slm_decimal_modulo(const slm_decimal *d, uint32_t divisor) {
    uint32_t r = 0;
    for (uint32_t i = 0; i < d->n_whole; i++)
        r = (r * 10 + (uint32_t)(d->digits[i] - '0')) % divisor;
    return r;
}

/* ---- automata ---------------------------------------------------------------------------------
 */

/* Classes of characters: what lies between those that numbers are made of, and these. */
enum { MINUS = 1, POINT = 2, DIGIT = 4, N_CLASSES = 15 };
static const uint32_t first_of_class[N_CLASSES] = {0,   '-', '.', '/', '0', '1', '2', '3',
                                                   '4', '5', '6', '7', '8', '9', ':'};

typedef enum order { LESS, EQUAL, GREATER } order;

/* States in which a magnitude is compared with that of d, numbered from base: after j digits of the
 * whole part in each order, with more digits than d has, and behind the point. */
static uint32_t whole(uint32_t base, uint32_t j, order o) {
    return base + j * 3 + (uint32_t)o;
}
static uint32_t longer(uint32_t base, const slm_decimal *d) {
    return base + (d->n_whole + 1) * 3;
}
static uint32_t decided(uint32_t base, const slm_decimal *d, order o) {
    return longer(base, d) + (o == LESS ? 1 : 2);
}
static uint32_t fraction(uint32_t base, const slm_decimal *d, uint32_t p) {
    return longer(base, d) + 3 + p;
}
static uint32_t n_compare_states(const slm_decimal *d) {
    return (d->n_whole + 1) * 3 + 4 + d->n_fraction;
}

static order digit_order(uint32_t digit, char other) {
    uint32_t o = (uint32_t)(other - '0');
    return digit < o ? LESS : digit > o ? GREATER : EQUAL;
}

/* The states, and which of them accept: bit o of mask for those of order o. */
static void compare_states(slm_dfa *m, uint32_t base, const slm_decimal *d, unsigned mask) {
#define NEXT(state, class) m->next[(size_t)(state)*N_CLASSES + (class)]
    uint32_t w = d->n_whole;
    for (uint32_t digit = 0; digit < 10; digit++) {
        for (uint32_t j = 0; j <= w; j++)
            for (order o = LESS; o <= GREATER; o++) {
                order then = j < w && o == EQUAL ? digit_order(digit, d->digits[j]) : o;
                NEXT(whole(base, j, o), DIGIT + digit) =
                    j < w ? whole(base, j + 1, then) : longer(base, d);
            }
        NEXT(longer(base, d), DIGIT + digit) = longer(base, d);
        NEXT(decided(base, d, LESS), DIGIT + digit) = decided(base, d, LESS);
        NEXT(decided(base, d, GREATER), DIGIT + digit) = decided(base, d, GREATER);
        for (uint32_t p = 0; p <= d->n_fraction; p++) {
            order o = digit_order(digit, p < d->n_fraction ? d->digits[w + p] : '0');
            NEXT(fraction(base, d, p), DIGIT + digit) =
                o == EQUAL ? fraction(base, d, p < d->n_fraction ? p + 1 : p) : decided(base, d, o);
        }
    }
    for (uint32_t j = 1; j <= w; j++)
        for (order o = LESS; o <= GREATER; o++) {
            order so_far = j < w ? LESS : o;
            order ended = so_far == EQUAL && d->n_fraction > 0 ? LESS : so_far;
            NEXT(whole(base, j, o), POINT) =
                so_far == EQUAL ? fraction(base, d, 0) : decided(base, d, so_far);
            m->accepts[whole(base, j, o)] = mask >> ended & 1;
        }
    NEXT(longer(base, d), POINT) = decided(base, d, GREATER);
    m->accepts[longer(base, d)] = m->accepts[decided(base, d, GREATER)] = mask >> GREATER & 1;
    m->accepts[decided(base, d, LESS)] = mask >> LESS & 1;
    for (uint32_t p = 0; p <= d->n_fraction; p++)
        m->accepts[fraction(base, d, p)] = mask >> (p < d->n_fraction ? LESS : EQUAL) & 1;
#undef NEXT
}

/* Spellings of numbers not below d, or not above it; without d itself where it is excluded. */
static slm_status bound_dfa(slm_schema *s, const slm_decimal *d, int is_minimum, int exclusive,
                            const slm_dfa **out) {
    enum { NONE = 0, ALL = 7 };
    unsigned at_least = 1u << GREATER | (exclusive ? 0 : 1u << EQUAL);
    unsigned at_most = 1u << LESS | (exclusive ? 0 : 1u << EQUAL);
    int zero = d->n_whole == 1 && d->digits[0] == '0' && d->n_fraction == 0;
    unsigned positive = is_minimum ? (d->negative ? ALL : at_least) : d->negative ? NONE : at_most;
    unsigned negative = is_minimum            ? (d->negative || zero ? at_most : NONE)
                        : d->negative || zero ? at_least
                                              : ALL;
    uint32_t n = n_compare_states(d), base[2] = {2, 2 + n};
    slm_dfa *m;
    SLM_TRY(slm_dfa_make(&s->space, 2 + 2 * n, first_of_class, N_CLASSES, &m, s->error));
    compare_states(m, base[0], d, positive);
    compare_states(m, base[1], d, negative);
    memcpy(m->next + N_CLASSES, m->next + (size_t)whole(base[0], 0, EQUAL) * N_CLASSES,
           N_CLASSES * sizeof *m->next);
    m->next[N_CLASSES + MINUS] = whole(base[1], 0, EQUAL);
    *out = m;
    return slm_dfa_trim(s->host, m, s->error);
}

static slm_status divisor_dfa(slm_schema *s, uint32_t divisor, const slm_dfa **out) {
    slm_dfa *m;
    SLM_TRY(slm_dfa_make(&s->space, divisor + 3, first_of_class, N_CLASSES, &m, s->error));
    m->next[N_CLASSES + MINUS] = 2;
    for (uint32_t digit = 0; digit < 10; digit++) {
        for (uint32_t r = 0; r < divisor; r++)
            m->next[(size_t)(r + 3) * N_CLASSES + DIGIT + digit] = 3 + (r * 10 + digit) % divisor;
        for (uint32_t start = 1; start <= 2; start++)
            m->next[start * N_CLASSES + DIGIT + digit] = 3 + digit % divisor;
    }
    m->accepts[3] = 1;
    *out = m;
    return slm_dfa_trim(s->host, m, s->error);
}

/* ---- keywords ---------------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    int is_minimum, exclusive;
} bounds[] = {
    {"minimum", 1, 0}, {"exclusiveMinimum", 1, 1}, {"maximum", 0, 0}, {"exclusiveMaximum", 0, 1}};

/* What formats of numbers say. */
static const struct {
    const char *name, *minimum, *maximum;
} formats[] = {{"int32", "-2147483648", "2147483647"},
               {"int64", "-9223372036854775808", "9223372036854775807"},
               {"float", NULL, NULL},
               {"double", NULL, NULL}};

int slm_schema_format_is_number(slm_str format) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strlen(formats[i].name) == format.len &&
            memcmp(formats[i].name, format.ptr, format.len) == 0)
            return 1;
    return 0;
}

static slm_status read_bound(slm_schema *s, const slm_json *v, const char *name, slm_decimal *d) {
    if (slm_decimal_read(v->text, d))
        return SLM_OK;
    return slm_schema_fail(s, SLM_ERR_LIMIT, v, name, "written out it has more than 400 digits");
}

static slm_status intersect(slm_schema *s, const slm_dfa **all, const slm_dfa *one) {
    if (*all == NULL)
        *all = one;
    else
        SLM_TRY(slm_dfa_product(&s->space, *all, one, 0, all, s->error));
    return SLM_OK;
}

static slm_status add_bound(slm_schema *s, const slm_decimal *d, int is_minimum, int exclusive,
                            const slm_dfa **all) {
    const slm_dfa *one;
    SLM_TRY(bound_dfa(s, d, is_minimum, exclusive, &one));
    return intersect(s, all, one);
}

/* Intersects with what one node says of numbers; *divided when it wants whole ones. */
static slm_status add_node(slm_schema *s, const slm_json *node, int *divided, const slm_dfa **all) {
    const slm_json *format = slm_json_get(node, "format"),
                   *divisor = slm_json_get(node, "multipleOf");
    slm_decimal d;
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        const slm_json *v = slm_json_get(node, bounds[i].name);
        if (v == NULL)
            continue;
        SLM_TRY(read_bound(s, v, bounds[i].name, &d));
        SLM_TRY(add_bound(s, &d, bounds[i].is_minimum, bounds[i].exclusive, all));
    }
    for (size_t i = 0; format != NULL && i < sizeof formats / sizeof *formats; i++) {
        if (!slm_json_is(format, formats[i].name) || formats[i].minimum == NULL)
            continue;
        (void)slm_decimal_read((slm_str){formats[i].minimum, strlen(formats[i].minimum)}, &d);
        SLM_TRY(add_bound(s, &d, 1, 0, all));
        (void)slm_decimal_read((slm_str){formats[i].maximum, strlen(formats[i].maximum)}, &d);
        SLM_TRY(add_bound(s, &d, 0, 0, all));
    }
    if (divisor != NULL) {
        int64_t n;
        const slm_dfa *one;
        if (!slm_json_int64(divisor, &n))
            return slm_schema_fail(s, SLM_ERR_UNSUP, divisor, "multipleOf",
                                   "a fraction is not supported");
        if (n > SLM_SCHEMA_MAX_DIVISOR)
            return slm_schema_fail(s, SLM_ERR_LIMIT, divisor, "multipleOf", "wanted at most 10000");
        SLM_TRY(divisor_dfa(s, (uint32_t)n, &one));
        SLM_TRY(intersect(s, all, one));
        *divided = 1;
    }
    return SLM_OK;
}

slm_status slm_schema_number(slm_schema *s, const slm_schema_set *set, int integer, uint32_t from,
                             uint32_t to) {
    static const char whole_numbers[] = "^-?(?:0|[1-9][0-9]*)$";
    static const char numbers[] = "^-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?$";
    const slm_dfa *all = NULL, *base;
    for (uint32_t i = 0; i < set->n; i++)
        SLM_TRY(add_node(s, set->at[i].node, &integer, &all));
    if (all == NULL) {
        slm_grammar_call(s->g, from, integer ? s->integer : s->number, to);
        return SLM_OK;
    }
    slm_str pattern = {integer ? whole_numbers : numbers,
                       strlen(integer ? whole_numbers : numbers)};
    SLM_TRY(slm_schema_dfa(s, s->root, pattern, 0, &base));
    SLM_TRY(intersect(s, &all, base));
    return slm_dfa_emit(s->host, s->g, all, from, SLM_SPELL_RAW, 0, to, s->error);
}

int slm_schema_number_ok(slm_schema *s, const slm_json *node, const slm_json *value) {
    slm_decimal d, bound;
    int64_t n;
    (void)s;
    if (!slm_decimal_read(value->text, &d))
        return 0;
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        const slm_json *v = slm_json_get(node, bounds[i].name);
        if (v == NULL || !slm_decimal_read(v->text, &bound))
            continue;
        int sign = slm_decimal_compare(&d, &bound);
        if (sign == 0 ? bounds[i].exclusive : (sign < 0) == bounds[i].is_minimum)
            return 0;
    }
    const slm_json *format = slm_json_get(node, "format"),
                   *divisor = slm_json_get(node, "multipleOf");
    for (size_t i = 0; format != NULL && i < sizeof formats / sizeof *formats; i++) {
        slm_decimal lo, hi;
        if (!slm_json_is(format, formats[i].name) || formats[i].minimum == NULL)
            continue;
        (void)slm_decimal_read((slm_str){formats[i].minimum, strlen(formats[i].minimum)}, &lo);
        (void)slm_decimal_read((slm_str){formats[i].maximum, strlen(formats[i].maximum)}, &hi);
        if (slm_decimal_compare(&d, &lo) < 0 || slm_decimal_compare(&d, &hi) > 0)
            return 0;
    }
    if (divisor != NULL && slm_json_int64(divisor, &n) && n <= SLM_SCHEMA_MAX_DIVISOR)
        return d.n_fraction == 0 && slm_decimal_modulo(&d, (uint32_t)n) == 0;
    return 1;
}
