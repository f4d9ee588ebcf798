/* Numbers of JSON and doubles. The C library's functions write and expect the locale's decimal
 * point, so they only ever see numbers without one. */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More digits than can decide to which double a decimal number is nearest. */
enum { MAX_DIGITS = 800 };
/* Exponents are held at this, which is beyond what any spelling's digits could make up for. */
static const int64_t MAX_EXPONENT = (int64_t)1 << 40;

/* 0.d1d2d3... * 10^scale. That there were digits other than 0 beyond MAX_DIGITS is told by a last 1. */
typedef struct decimal {
    int negative;
    size_t n; /* digits, the first and the last not 0; 0 for zero */
    int64_t scale;
    char digits[MAX_DIGITS + 1];
} decimal;

static int64_t read_exponent(const char *p, const char *end) {
    int negative = p < end && *p == '-';
    int64_t v = 0;
    for (p += negative || (p < end && *p == '+'); p < end; p++)
        v = v < MAX_EXPONENT ? v * 10 + (*p - '0') : v;
    return negative ? -v : v;
}

static void read_decimal(decimal *d, slm_str spelt) {
    const char *p = spelt.ptr, *end = p + spelt.len;
    int in_fraction = 0, more = 0;
    d->negative = p < end && *p == '-';
    d->n = 0;
    d->scale = 0;
    for (p += d->negative; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.') {
            in_fraction = 1;
        } else if (d->n == 0 && *p == '0') {
            d->scale -= in_fraction;
        } else {
            d->scale += !in_fraction;
            if (d->n < MAX_DIGITS)
                d->digits[d->n++] = *p;
            else
                more |= *p != '0';
        }
    }
    if (p < end)
        d->scale += read_exponent(p + 1, end);
    if (more)
        d->digits[d->n++] = '1';
    while (d->n > 0 && d->digits[d->n - 1] == '0')
        d->n--;
}

static double to_double(const decimal *d) {
    if (d->n == 0)
        return d->negative ? -0.0 : 0.0;
    /* Within these bounds all is 0 or infinite long before the exponent ends. */
    int64_t exponent = d->scale - (int64_t)d->n;
    int shown = exponent > 99999 ? 99999 : exponent < -99999 ? -99999 : (int)exponent;
    char text[MAX_DIGITS + 16];
    snprintf(text, sizeof text, "%.*se%d", (int)d->n, d->digits, shown);
    double v = strtod(text, NULL);
    return d->negative ? -v : v;
}

double slm_json_number(slm_str spelt) {
    decimal d;
    read_decimal(&d, spelt);
    return to_double(&d);
}

int slm_json_double(const slm_json *v, double *out) {
    if (!v || v->type != SLM_JSON_NUMBER)
        return 0;
    *out = slm_json_number(v->text);
    return 1;
}

int slm_json_is_integer(const slm_json *v) {
    if (!v || v->type != SLM_JSON_NUMBER)
        return 0;
    for (size_t i = 0; i < v->text.len; i++)
        if (strchr(".eE", v->text.ptr[i]))
            return 0;
    return 1;
}

int slm_json_int64(const slm_json *v, int64_t *out) {
    if (!v || v->type != SLM_JSON_NUMBER)
        return 0;
    decimal d;
    read_decimal(&d, v->text);
    if (d.n > 0 && (d.scale > 19 || d.scale < (int64_t)d.n))
        return 0;
    uint64_t u = 0;
    for (int64_t i = 0; d.n > 0 && i < d.scale; i++)
        u = u * 10 + (uint64_t)(i < (int64_t)d.n ? d.digits[i] - '0' : 0);
    if (u > (uint64_t)INT64_MAX + (uint64_t)d.negative)
        return 0;
    *out = d.negative ? (int64_t)(0 - u) : (int64_t)u;
    return 1;
}

/* The n digits nearest to a positive value; returns the scale of the first. */
static int64_t nearest_digits(double value, int n, char *digits) {
    char text[40];
    snprintf(text, sizeof text, "%.*e", n - 1, value);
    char *p = text;
    for (int i = 0; i < n; p++)
        if (*p >= '0' && *p <= '9')
            digits[i++] = *p;
    return strtol(strchr(p, 'e') + 1, NULL, 10) + 1;
}

/* The shortest digits that read back as value, which is positive and finite. */
static void shortest(double value, decimal *d) {
    *d = (decimal){.negative = 0};
    for (int n = 1; n <= 17; n++) {
        d->n = (size_t)n;
        d->scale = nearest_digits(value, n, d->digits);
        if (to_double(d) == value)
            break;
        /* Above a power of two the doubles lie twice as far apart as below it: the next digits up
         * can read back as the value where the nearest, being below it, do not. */
        if (d->digits[n - 1] != '9') {
            d->digits[n - 1]++;
            if (to_double(d) == value)
                break;
        }
    }
}

size_t slm_json_spell(double value, char text[SLM_JSON_DOUBLE_MAX]) {
    decimal d = {.n = 1, .scale = 1, .digits = "0"};
    if (value != 0)
        shortest(fabs(value), &d);
    int n = (int)d.n, scale = (int)d.scale;
    const char *sign = signbit(value) ? "-" : "";
    int len;
    if (scale > 16 || scale < -3)
        len = snprintf(text, SLM_JSON_DOUBLE_MAX, "%s%.1s%s%.*se%c%02d", sign, d.digits,
                       n > 1 ? "." : "", n - 1, d.digits + 1, scale > 0 ? '+' : '-',
                       scale > 0 ? scale - 1 : 1 - scale);
    else if (scale <= 0)
        len = snprintf(text, SLM_JSON_DOUBLE_MAX, "%s0.%.*s%.*s", sign, -scale, "000", n, d.digits);
    else if (scale < n)
        len = snprintf(text, SLM_JSON_DOUBLE_MAX, "%s%.*s.%.*s", sign, scale, d.digits, n - scale,
                       d.digits + scale);
    else
        len = snprintf(text, SLM_JSON_DOUBLE_MAX, "%s%.*s%.*s.0", sign, n, d.digits, scale - n,
                       "0000000000000000");
    return (size_t)len;
}
