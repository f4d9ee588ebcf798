/* Functions of templates: what can be called by its name, and the date. */
#include "text/jinja_impl.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- dates ---- */

typedef struct date {
    int64_t year;
    int month, day, hour, minute, second, weekday, yearday; /* from 1, 1, 0, 0, 0, Sunday 0, 1 */
} date;

/* Hinnant's days_from_civil turned around: exact for the proleptic Gregorian calendar. */
static date civil(int64_t seconds) {
    int64_t days = seconds / 86400, rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day = z - era * 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t in_year = day - (365 * year + year / 4 - year / 100); /* from 1 March */
    int64_t month = (5 * in_year + 2) / 153;
    date d = {.day = (int)(in_year - (153 * month + 2) / 5 + 1),
              .month = (int)(month < 10 ? month + 3 : month - 9),
              .hour = (int)(rest / 3600),
              .minute = (int)(rest / 60 % 60),
              .second = (int)(rest % 60),
              .weekday = (int)(((days % 7) + 11) % 7)};
    d.year = year + era * 400 + (d.month <= 2);
    int leap = (d.year % 4 == 0 && d.year % 100 != 0) || d.year % 400 == 0;
    static const int BEFORE[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    d.yearday = BEFORE[d.month - 1] + d.day + (leap && d.month > 2);
    return d;
}

/* What one letter of a format stands for; 0 when it is not known. */
static int spell(const date *d, char letter, int padded, char *out, size_t cap) {
    static const char *const DAYS[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday",
                                       "Friday", "Saturday"};
    static const char *const MONTHS[] = {"January", "February", "March", "April", "May", "June",
                                         "July", "August", "September", "October", "November",
                                         "December"};
    int number, width = 2, hour12 = d->hour % 12 ? d->hour % 12 : 12;
    switch (letter) {
    case 'a':
    case 'A':
        return snprintf(out, cap, "%.*s", letter == 'a' ? 3 : 9, DAYS[d->weekday]);
    case 'b':
    case 'h':
    case 'B':
        return snprintf(out, cap, "%.*s", letter == 'B' ? 9 : 3, MONTHS[d->month - 1]);
    case 'p':
        return snprintf(out, cap, "%s", d->hour < 12 ? "AM" : "PM");
    case 'Y':
        return snprintf(out, cap, "%" PRId64, d->year);
    case 'F':
        return snprintf(out, cap, "%" PRId64 "-%02d-%02d", d->year, d->month, d->day);
    case 'T':
        return snprintf(out, cap, "%02d:%02d:%02d", d->hour, d->minute, d->second);
    case 'R':
        return snprintf(out, cap, "%02d:%02d", d->hour, d->minute);
    case 'e':
        return snprintf(out, cap, "%2d", d->day);
    case '%':
        return snprintf(out, cap, "%%");
    case 'd':
        number = d->day;
        break;
    case 'm':
        number = d->month;
        break;
    case 'y':
        number = (int)((d->year % 100 + 100) % 100);
        break;
    case 'H':
        number = d->hour;
        break;
    case 'I':
        number = hour12;
        break;
    case 'M':
        number = d->minute;
        break;
    case 'S':
        number = d->second;
        break;
    case 'j':
        number = d->yearday;
        width = 3;
        break;
    case 'w':
        number = d->weekday;
        width = 1;
        break;
    case 'u':
        number = d->weekday ? d->weekday : 7;
        width = 1;
        break;
    default:
        return 0;
    }
    return snprintf(out, cap, "%0*d", padded ? width : 1, number);
}

/* strftime in English, for the letters above; "%-d" leaves zeros out. */
static slm_status format_date(slm_jinja *j, slm_jvalue format, slm_jvalue *out) {
    date d = civil(j->clock.seconds);
    slm_str f = slm_j_text(format);
    SLM_TRY(slm_j_own(j, "", out));
    for (size_t i = 0; i < f.len; i++) {
        slm_jvalue part;
        if (f.ptr[i] != '%') {
            SLM_TRY(slm_j_part(j, format, i, i + 1, &part));
        } else {
            char text[48];
            int padded = !(i + 1 < f.len && f.ptr[i + 1] == '-');
            i += padded ? 1 : 2;
            char letter = i < f.len ? f.ptr[i] : 0;
            int n = spell(&d, letter, padded, text, sizeof text);
            if (n <= 0)
                return slm_j_fail(j, "strftime_now does not know this format: \"%.*s\"",
                                  (int)(f.len < 60 ? f.len : 60), f.ptr);
            SLM_TRY(slm_j_string(j, text, (size_t)n, SLM_MARK_TEMPLATE, &part));
        }
        SLM_TRY(slm_j_concat(j, *out, part, out));
    }
    return SLM_OK;
}

/* ---- functions ---- */

static slm_status raise_exception(slm_jinja *j, const slm_jargs *args, slm_jvalue *out) {
    *out = slm_j_nothing();
    slm_jvalue s = slm_j_nothing();
    if (args->n > 0)
        SLM_TRY(slm_j_str(j, args->v[0], &s));
    return slm_j_fail(j, "%.*s", s.type == SLM_J_STRING ? (int)(s.u.s->len < 240 ? s.u.s->len : 240)
                                                        : 0,
                      s.type == SLM_J_STRING ? s.u.s->s : "");
}

static slm_status make_dict(slm_jinja *j, const slm_jargs *args, slm_jtype type, slm_jvalue *out) {
    if (args->n > 1 || (args->n == 1 && args->v[0].type != SLM_J_DICT))
        return slm_j_fail(j, "wanted members by name, or one dict");
    SLM_TRY(slm_j_dict(j, out));
    for (size_t i = 0; args->n == 1 && i < args->v[0].u.dict->n; i++)
        SLM_TRY(slm_j_put_value(j, out->u.dict, args->v[0].u.dict->pairs[i].key,
                                args->v[0].u.dict->pairs[i].value));
    for (size_t i = args->n; i < args->n_all; i++) {
        slm_jvalue key;
        SLM_TRY(slm_j_string(j, args->names[i].ptr, args->names[i].len, SLM_MARK_TEMPLATE, &key));
        SLM_TRY(slm_j_put_value(j, out->u.dict, key, args->v[i]));
    }
    out->type = (uint8_t)type;
    return SLM_OK;
}

static slm_status make_namespace(slm_jinja *j, const slm_jargs *args, slm_jvalue *out) {
    return make_dict(j, args, SLM_J_NAMESPACE, out);
}

static slm_status dict(slm_jinja *j, const slm_jargs *args, slm_jvalue *out) {
    return make_dict(j, args, SLM_J_DICT, out);
}

static slm_status range(slm_jinja *j, const slm_jargs *args, slm_jvalue *out) {
    int64_t from = 0, to, step = 1;
    if (args->n < 1 || args->n > 3 || args->n_all != args->n)
        return slm_j_fail(j, "range wants one to three integers");
    for (size_t i = 0; i < args->n; i++)
        if (args->v[i].type != SLM_J_INT && args->v[i].type != SLM_J_BOOL)
            return slm_j_fail(j, "range of %s, wanted an integer", slm_j_type_name(args->v[i]));
    to = args->v[args->n > 1].u.i;
    from = args->n > 1 ? args->v[0].u.i : 0;
    step = args->n > 2 ? args->v[2].u.i : 1;
    if (step == 0)
        return slm_j_fail(j, "range with a step of zero");
    SLM_TRY(slm_j_list(j, 0, out));
    for (int64_t i = from; step > 0 ? i < to : i > to;) {
        SLM_TRY(slm_j_charge(j, 1));
        SLM_TRY(slm_j_append(j, *out, slm_j_int(i)));
        if (__builtin_add_overflow(i, step, &i))
            break;
    }
    return SLM_OK;
}

static slm_status strftime_now(slm_jinja *j, const slm_jargs *args, slm_jvalue *out) {
    if (args->n_all != 1 || args->v[0].type != SLM_J_STRING)
        return slm_j_fail(j, "strftime_now wants a format");
    return format_date(j, args->v[0], out);
}

static const struct {
    const char *name;
    slm_status (*run)(slm_jinja *j, const slm_jargs *args, slm_jvalue *out);
} FUNCTIONS[] = {
    {"raise_exception", raise_exception}, {"namespace", make_namespace}, {"range", range},
    {"dict", dict}, {"strftime_now", strftime_now}, /* the last: see below */
};
enum { N_FUNCTIONS = sizeof FUNCTIONS / sizeof *FUNCTIONS };

slm_status slm_j_call_function(slm_jinja *j, int64_t which, const slm_jargs *args,
                               slm_jvalue *out) {
    return FUNCTIONS[which].run(j, args, out);
}

slm_status slm_j_define_functions(slm_jinja *j) {
    for (int64_t i = 0; i < N_FUNCTIONS - !j->clock.is_set; i++) /* without a clock no date */
        if (!j->globals || !slm_j_find_var(j, j->globals, (slm_str){FUNCTIONS[i].name,
                                                                    strlen(FUNCTIONS[i].name)}))
            SLM_TRY(slm_jinja_set(j, FUNCTIONS[i].name,
                                  (slm_jvalue){.type = SLM_J_FUNCTION, .u.i = i}));
    return SLM_OK;
}
