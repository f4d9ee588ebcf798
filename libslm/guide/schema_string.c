#include "guide/schema_impl.h"

#include <string.h>

#define DAYS                                                                                       \
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|"          \
    "02-(?:0[1-9]|1\\d|2[0-8]))"
#define YEAR          "(?:000[1-9]|00[1-9]\\d|0[1-9]\\d\\d|[1-9]\\d{3})"
#define LEAP_PAIR     "(?:0[48]|[2468][048]|[13579][26])"
#define DATE          "(?:" YEAR "-" DAYS "|(?:\\d\\d" LEAP_PAIR "|" LEAP_PAIR "00)-02-29)"
#define TIME          "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)"
#define BYTE          "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define IPV4          "(?:" BYTE "\\.){3}" BYTE
#define H16           "[0-9A-Fa-f]{1,4}"
#define LS32          "(?:" H16 ":" H16 "|" IPV4 ")"
#define LABEL         "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#define ATEXT         "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
#define DURATION_TIME "T(?:\\d+H(?:\\d+M(?:\\d+S)?)?|\\d+M(?:\\d+S)?|\\d+S)"
#define DURATION_DAYS "(?:\\d+Y(?:\\d+M(?:\\d+D)?)?|\\d+M(?:\\d+D)?|\\d+D)"

/* RFC 3339 (without leap seconds and small letters), 4122, 5321 without quoted parts, 2673, 4291
 * and 1123; durations as RFC 3339 appendix A has them. */
static const struct {
    const char *name, *pattern;
} formats[] = {
    {"date", "^" DATE "$"},
    {"time", "^" TIME "$"},
    {"date-time", "^" DATE "T" TIME "$"},
    {"duration", "^P(?:" DURATION_DAYS "(?:" DURATION_TIME ")?|" DURATION_TIME "|\\d+W)$"},
    {"uuid", "^[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$"},
    {"email", "^" ATEXT "(?:\\." ATEXT ")*@" LABEL "(?:\\." LABEL ")*$"},
    {"hostname", "^" LABEL "(?:\\." LABEL ")*$"},
    {"ipv4", "^" IPV4 "$"},
    {"ipv6", "^(?:(?:" H16 ":){6}" LS32 "|::(?:" H16 ":){5}" LS32 "|(?:" H16 ")?::(?:" H16
             ":){4}" LS32 "|(?:(?:" H16 ":){0,1}" H16 ")?::(?:" H16 ":){3}" LS32 "|(?:(?:" H16
             ":){0,2}" H16 ")?::(?:" H16 ":){2}" LS32 "|(?:(?:" H16 ":){0,3}" H16 ")?::" H16
             ":" LS32 "|(?:(?:" H16 ":){0,4}" H16 ")?::" LS32 "|(?:(?:" H16 ":){0,5}" H16 ")?::" H16
             "|(?:(?:" H16 ":){0,6}" H16 ")?::)$"},
};

static int same(slm_str a, const char *b) {
    return strlen(b) == a.len && memcmp(a.ptr, b, a.len) == 0;
}

static slm_status compile(slm_schema *s, const slm_json *node, slm_str text, int is_format,
                          const slm_dfa **out) {
    slm_str pattern = text;
    slm_error why = SLM_ERROR_INIT;
    char what[200];
    if (is_format) {
        size_t i = 0, n = sizeof formats / sizeof *formats;
        while (i < n && !same(text, formats[i].name))
            i++;
        if (i == n)
            return slm_schema_fail(s, SLM_ERR_UNSUP, node, "format",
                                   "wanted date, time, date-time, duration, uuid, email, hostname, "
                                   "ipv4, ipv6, int32, int64, float or double");
        pattern = (slm_str){formats[i].pattern, strlen(formats[i].pattern)};
    }
    slm_status status = slm_regex_compile(&s->space, pattern, out, &why);
    if (status == SLM_OK)
        return SLM_OK;
    memcpy(what, why.message, sizeof what - 1);
    what[sizeof what - 1] = 0;
    return slm_schema_fail(s, status, node, is_format ? "format" : "pattern", what);
}

slm_status slm_schema_dfa(slm_schema *s, const slm_json *node, slm_str text, int is_format,
                          const slm_dfa **out) {
    SLM_TRY(slm_schema_spend(s, 1 + s->n_dfas / 8));
    for (uint32_t i = 0; i < s->n_dfas; i++) {
        const slm_known_dfa *k = &s->dfas[i];
        if (k->is_format == is_format && k->text.len == text.len &&
            memcmp(k->text.ptr, text.ptr, text.len) == 0) {
            *out = k->dfa;
            return SLM_OK;
        }
    }
    SLM_TRY(compile(s, node, text, is_format, out));
    if (s->n_dfas == s->cap_dfas) {
        uint32_t cap = s->cap_dfas == 0 ? 16 : s->cap_dfas * 2;
        slm_known_dfa *dfas = slm_schema_alloc(s, cap * sizeof *dfas);
        if (dfas == NULL)
            return slm_fail_nomem(s->error, cap * sizeof *dfas, "a schema");
        if (s->n_dfas > 0)
            memcpy(dfas, s->dfas, s->n_dfas * sizeof *dfas);
        s->dfas = dfas;
        s->cap_dfas = cap;
    }
    s->dfas[s->n_dfas++] = (slm_known_dfa){text, is_format, *out};
    return SLM_OK;
}

/* Strings without a pattern: a quote and the counted rule of these limits, made once. */
static uint32_t counted(slm_schema *s, uint32_t min, uint32_t max) {
    for (uint32_t r = 0; r < s->g->n_rules; r++) {
        const slm_grammar_rule *rule = &s->g->rules[r];
        if (rule->counted == SLM_COUNTED_STRING && rule->min == min && rule->max == max)
            return r;
    }
    return slm_grammar_counted(s->g, min, max);
}

slm_status slm_schema_string(slm_schema *s, const slm_schema_set *set, uint32_t from, uint32_t to) {
    const slm_dfa *all = NULL, *one;
    uint32_t min = 0, max = SLM_NO_MAXIMUM;
    for (uint32_t i = 0; i < set->n; i++) {
        const slm_json *node = set->at[i].node;
        uint32_t least = slm_schema_count(node, "minLength", 0);
        uint32_t most = slm_schema_count(node, "maxLength", SLM_NO_MAXIMUM);
        min = least > min ? least : min;
        max = most < max ? most : max;
        for (int is_format = 0; is_format <= 1; is_format++) {
            const slm_json *v = slm_json_get(node, is_format ? "format" : "pattern");
            if (v == NULL || (is_format && slm_schema_format_is_number(v->text)))
                continue;
            SLM_TRY(slm_schema_dfa(s, v, v->text, is_format, &one));
            if (all == NULL)
                all = one;
            else
                SLM_TRY(slm_dfa_product(&s->space, all, one, 0, &all, s->error));
        }
    }
    if (min > max)
        return SLM_OK;
    if (all == NULL && min == 0 && max == SLM_NO_MAXIMUM) {
        slm_text_string(s, from, to);
        return SLM_OK;
    }
    uint32_t quote = slm_grammar_node(s->g);
    slm_grammar_bytes(s->g, from, '"', '"', quote);
    if (all == NULL) {
        SLM_TRY(slm_schema_spend(s, s->g->n_rules / 16));
        slm_grammar_call(s->g, quote, counted(s, min, max), to);
        return SLM_OK;
    }
    if (min > 0 || max != SLM_NO_MAXIMUM) {
        SLM_TRY(slm_dfa_length(&s->space, min, max, &one, s->error));
        SLM_TRY(slm_dfa_product(&s->space, all, one, 0, &all, s->error));
    }
    return slm_dfa_emit(s->host, s->g, all, quote, SLM_SPELL_JSON, s->free_string, to, s->error);
}
