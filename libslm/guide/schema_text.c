#include "base/utf8.h"
#include "guide/schema_impl.h"

#include <string.h>

/* White space between two tokens; after a colon or comma, one blank may stand in any case. */
uint32_t slm_text_space(slm_schema *s, uint32_t from, int after_mark) {
    uint32_t to = slm_grammar_node(s->g);
    slm_grammar_empty(s->g, from, to);
    if (s->lenient) {
        static const char blanks[] = " \t\n\r";
        for (size_t i = 0; i < 4; i++)
            slm_grammar_bytes(s->g, to, (uint8_t)blanks[i], (uint8_t)blanks[i], to);
    } else if (after_mark) {
        slm_grammar_bytes(s->g, from, ' ', ' ', to);
    }
    return to;
}

/* A bracket, colon or comma with the space around it. */
uint32_t slm_text_mark(slm_schema *s, uint32_t from, char c) {
    uint32_t to = slm_grammar_node(s->g);
    from = c == '{' || c == '[' ? from : slm_text_space(s, from, 0);
    slm_grammar_bytes(s->g, from, (uint8_t)c, (uint8_t)c, to);
    return c == '}' || c == ']' ? to : slm_text_space(s, to, c == ':' || c == ',');
}

void slm_text_finish(slm_schema *s, uint32_t from, char c, uint32_t to) {
    slm_grammar_empty(s->g, slm_text_mark(s, from, c), to);
}

/* A character of a string in these quotes. */
static uint32_t character(slm_schema *s, uint32_t from, uint32_t c, char quote) {
    uint32_t to = slm_grammar_node(s->g);
    slm_cp_range range = {c, c};
    if (quote == '\'' && (c == '\'' || c == '\\')) {
        uint32_t backslash = slm_grammar_node(s->g);
        slm_grammar_bytes(s->g, from, '\\', '\\', backslash);
        slm_grammar_bytes(s->g, backslash, (uint8_t)c, (uint8_t)c, to);
    } else {
        slm_grammar_class(s->g, from, &range, 1,
                          quote == '\'' && c == '"' ? SLM_SPELL_RAW : SLM_SPELL_JSON, to);
    }
    return to;
}

/* Exactly this string; in Python in either kind of quotes. */
uint32_t slm_text_quoted(slm_schema *s, uint32_t from, slm_str text) {
    uint32_t to = slm_grammar_node(s->g);
    for (int single = 0; single <= s->python; single++) {
        char quote = single ? '\'' : '"';
        uint32_t at = slm_grammar_node(s->g), c = 0;
        slm_grammar_bytes(s->g, from, (uint8_t)quote, (uint8_t)quote, at);
        for (size_t i = 0; i < text.len;) {
            i += slm_utf8_next((const uint8_t *)text.ptr + i, text.len - i, &c);
            at = character(s, at, c, quote);
        }
        slm_grammar_bytes(s->g, at, (uint8_t)quote, (uint8_t)quote, to);
    }
    return to;
}

void slm_text_string(slm_schema *s, uint32_t from, uint32_t to) {
    for (int single = 0; single <= s->python; single++) {
        uint32_t quote = slm_grammar_node(s->g);
        slm_grammar_bytes(s->g, from, single ? '\'' : '"', single ? '\'' : '"', quote);
        slm_grammar_call(s->g, quote, single ? s->single : s->free_string, to);
    }
}

/* A string of Python from behind its quote on, with the escapes that JSON knows too. */
static void single_quoted(slm_schema *s) {
    static const slm_cp_range plain[] = {
        {0x20, '&'}, {'(', '['}, {']', SLM_MAX_CODE_POINT}};
    static const char escaped[] = "\\'\"nrtbf";
    s->single = slm_grammar_rule_new(s->g);
    if (s->g->status != SLM_OK)
        return;
    slm_grammar_rule r = s->g->rules[s->single];
    uint32_t backslash = slm_grammar_node(s->g), next = slm_grammar_node(s->g);
    slm_grammar_empty(s->g, r.start, next);
    slm_grammar_class(s->g, next, plain, 3, SLM_SPELL_RAW, next);
    slm_grammar_bytes(s->g, next, '\\', '\\', backslash);
    for (const char *c = escaped; *c != 0; c++)
        slm_grammar_bytes(s->g, backslash, (uint8_t)*c, (uint8_t)*c, next);
    slm_grammar_bytes(s->g, next, '\'', '\'', r.end);
}

/* As it is spelt; a whole number also without point and exponent. */
static uint32_t number(slm_schema *s, uint32_t from, slm_str spelt) {
    uint32_t to = slm_grammar_node(s->g);
    slm_decimal d;
    slm_grammar_text(s->g, from, spelt.ptr, spelt.len, to);
    if (slm_decimal_read(spelt, &d) && d.n_fraction == 0) {
        uint32_t digits = from;
        if (d.negative) {
            digits = slm_grammar_node(s->g);
            slm_grammar_bytes(s->g, from, '-', '-', digits);
        }
        slm_grammar_text(s->g, digits, d.digits, d.n_whole, to);
    }
    return to;
}

static const char *const words[2][3] = {{"null", "false", "true"}, {"None", "False", "True"}};

/* A value of enum or const, its members in their order. */
uint32_t slm_text_literal(slm_schema *s, uint32_t from, const slm_json *v) {
    char open = v->type == SLM_JSON_ARRAY ? '[' : '{';
    if (v->type == SLM_JSON_STRING)
        return slm_text_quoted(s, from, v->text);
    if (v->type == SLM_JSON_NUMBER)
        return number(s, from, v->text);
    if (v->type < SLM_JSON_NUMBER) {
        const char *word = words[s->python][v->type];
        uint32_t to = slm_grammar_node(s->g);
        slm_grammar_text(s->g, from, word, strlen(word), to);
        return to;
    }
    from = slm_text_mark(s, from, open);
    for (uint32_t i = 0; i < v->n_items; i++) {
        if (i > 0)
            from = slm_text_mark(s, from, ',');
        if (open == '{')
            from = slm_text_mark(s, slm_text_quoted(s, from, v->items[i].name), ':');
        from = slm_text_literal(s, from, &v->items[i]);
    }
    return slm_text_mark(s, from, open == '[' ? ']' : '}');
}

/* The rules that every schema shares. */
void slm_text_shared(slm_schema *s) {
    static const slm_cp_range digit = {'0', '9'}, first = {'1', '9'};
    slm_grammar *g = s->g;
    s->free_string = slm_grammar_counted(g, 0, SLM_NO_MAXIMUM);
    s->integer = slm_grammar_rule_new(g);
    s->number = slm_grammar_rule_new(g);
    s->any = slm_grammar_rule_new(g);
    if (s->python)
        single_quoted(s);
    if (g->status != SLM_OK)
        return;
    for (int real = 0; real <= 1; real++) {
        slm_grammar_rule r = g->rules[real ? s->number : s->integer];
        uint32_t unsigned_ = slm_grammar_node(g), whole = slm_grammar_node(g),
                 e = slm_grammar_node(g);
        slm_grammar_empty(g, r.start, unsigned_);
        slm_grammar_bytes(g, r.start, '-', '-', unsigned_);
        slm_grammar_bytes(g, unsigned_, '0', '0', e);
        slm_grammar_class(g, unsigned_, &first, 1, SLM_SPELL_RAW, whole);
        slm_grammar_class(g, whole, &digit, 1, SLM_SPELL_RAW, whole);
        slm_grammar_empty(g, whole, e);
        slm_grammar_empty(g, e, r.end);
        if (!real)
            continue;
        uint32_t point = slm_grammar_node(g), part = slm_grammar_node(g);
        uint32_t letter = slm_grammar_node(g), sign = slm_grammar_node(g);
        uint32_t power = slm_grammar_node(g);
        slm_grammar_bytes(g, e, '.', '.', point);
        slm_grammar_class(g, point, &digit, 1, SLM_SPELL_RAW, part);
        slm_grammar_class(g, part, &digit, 1, SLM_SPELL_RAW, part);
        slm_grammar_empty(g, part, r.end);
        for (int i = 0; i < 2; i++) {
            slm_grammar_bytes(g, i ? part : e, 'e', 'e', letter);
            slm_grammar_bytes(g, i ? part : e, 'E', 'E', letter);
        }
        slm_grammar_empty(g, letter, sign);
        slm_grammar_bytes(g, letter, '+', '+', sign);
        slm_grammar_bytes(g, letter, '-', '-', sign);
        slm_grammar_class(g, sign, &digit, 1, SLM_SPELL_RAW, power);
        slm_grammar_class(g, power, &digit, 1, SLM_SPELL_RAW, power);
        slm_grammar_empty(g, power, r.end);
    }
}

void slm_text_words(slm_schema *s, uint32_t from, uint32_t types, uint32_t to) {
    for (int type = SLM_JSON_NULL; type <= SLM_JSON_TRUE; type++) {
        const char *word = words[s->python][type];
        if (types & (type == SLM_JSON_NULL ? SLM_T_NULL : SLM_T_BOOL))
            slm_grammar_text(s->g, from, word, strlen(word), to);
    }
}

/* Members from node at on, each with a name out of names (NULL: any) and a value: none or more, or
 * (one) exactly one. */
slm_status slm_text_member(slm_schema *s, uint32_t from, const slm_dfa *names, uint32_t *to) {
    *to = slm_grammar_node(s->g);
    if (names == NULL) {
        slm_text_string(s, from, *to);
    } else {
        uint32_t quote = slm_grammar_node(s->g);
        slm_grammar_bytes(s->g, from, '"', '"', quote);
        SLM_TRY(slm_dfa_emit(s->host, s->g, names, quote, SLM_SPELL_JSON, s->free_string, *to,
                             s->error));
    }
    *to = slm_text_mark(s, *to, ':');
    return SLM_OK;
}

/* Any JSON value. */
slm_status slm_text_any(slm_schema *s) {
    slm_grammar *g = s->g;
    slm_grammar_rule r = g->rules[s->any];
    uint32_t value, done;
    slm_text_words(s, r.start, SLM_T_ALL, r.end);
    slm_text_string(s, r.start, r.end);
    slm_grammar_call(g, r.start, s->number, r.end);
    for (int object = 0; object <= 1; object++) {
        uint32_t first = slm_text_mark(s, r.start, object ? '{' : '[');
        uint32_t next = slm_grammar_node(g);
        slm_text_finish(s, first, object ? '}' : ']', r.end);
        slm_grammar_empty(g, first, next);
        value = next;
        if (object)
            SLM_TRY(slm_text_member(s, next, NULL, &value));
        done = slm_grammar_node(g);
        slm_grammar_call(g, value, s->any, done);
        slm_grammar_empty(g, slm_text_mark(s, done, ','), next);
        slm_text_finish(s, done, object ? '}' : ']', r.end);
    }
    return SLM_OK;
}
