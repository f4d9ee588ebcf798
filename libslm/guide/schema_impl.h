/* Inside the schema compiler. Only schema*.c include this.
 *
 * A text may have to satisfy several schemas at once: by allOf, $ref with siblings, or a branch of
 * anyOf beside other keywords. So what is compiled is always a set of subschemas, to be satisfied
 * together, and rules are made for sets. A set whose choices (anyOf, oneOf) are made is flat. */
#ifndef SLM_GUIDE_SCHEMA_IMPL_H
#define SLM_GUIDE_SCHEMA_IMPL_H

#include "base/json.h"
#include "guide/dfa.h"
#include "guide/schema.h"

enum {
    SLM_SCHEMA_MAX_KEYWORDS = 128, /* of one schema: each is looked for one by one         */
    SLM_SCHEMA_MAX_SET = 500,      /* subschemas in a set                                  */
    SLM_SCHEMA_MAX_FLAT = 2000,    /* choices that a set leaves                            */
    SLM_SCHEMA_MAX_PATTERNS = 6,   /* patternProperties of one object                      */
    SLM_SCHEMA_MAX_ITEMS = 100000, /* minItems, maxItems                                   */
    SLM_SCHEMA_MAX_DIGITS = 400,   /* of a bound, written out                              */
    SLM_SCHEMA_MAX_DIVISOR = 10000
};

/* How much of a member's choices has been made. */
enum { SLM_OPEN = 0, SLM_ANY_OF_MADE = 1, SLM_CHOICES_MADE = 2 };

typedef struct slm_set_member {
    const slm_json *node;
    uint32_t parent; /* the member that brought it in, plus 1 */
    uint32_t made;
} slm_set_member;

typedef struct slm_schema_set {
    slm_set_member *at;
    uint32_t n, cap;
    uint8_t never; /* no text satisfies it: a false among its members */
} slm_schema_set;

/* Types of JSON values; a number that is no integer is REAL. */
enum {
    SLM_T_NULL = 1, SLM_T_BOOL = 2, SLM_T_INTEGER = 4, SLM_T_REAL = 8, SLM_T_STRING = 16,
    SLM_T_ARRAY = 32, SLM_T_OBJECT = 64, SLM_T_ALL = 127
};

typedef struct slm_schema_rule {
    slm_schema_set set;
    uint32_t rule;
} slm_schema_rule;

typedef struct slm_disjoint { /* a rule that must match nothing */
    const slm_json *node;     /* with the oneOf                 */
    uint32_t rule, first, second;
    const slm_json *root;     /* of the schema                  */
} slm_disjoint;

typedef struct slm_known_dfa {
    slm_str text;
    int is_format;
    const slm_dfa *dfa;
} slm_known_dfa;

typedef struct slm_schema {
    slm_grammar *g;
    slm_host *host;
    slm_arena arena;
    slm_dfa_space space; /* in the arena */
    slm_error *error;
    const slm_json *root;
    int lenient;
    int python; /* values are literals of Python */
    uint32_t free_string, number, integer, any; /* rules */
    uint32_t single; /* the rest of a string in single quotes, of python */
    slm_schema_rule *rules; /* of sets, in the order in which they are worked off */
    slm_disjoint *disjoint;
    slm_known_dfa *dfas;
    const slm_json **checked; /* hash set of nodes */
    uint32_t n_rules, n_built, n_disjoint, n_dfas, n_checked;
    uint32_t cap_rules, cap_disjoint, cap_dfas, cap_checked;
    uint32_t *rule_slots, n_rule_slots; /* hash table into rules, plus 1 */
    uint32_t depth; /* of recursion over values and references */
    uint64_t work;
} slm_schema;

/* ---- schema_check.c: keywords, references, sets ---- */

/* "schema, at #/properties/a: minItems: what". keyword may be NULL. */
slm_status slm_schema_fail(slm_schema *s, slm_status status, const slm_json *node,
                           const char *keyword, const char *what);
/* Work that a hostile schema can ask for without end is counted. */
slm_status slm_schema_spend(slm_schema *s, uint64_t work);
void *slm_schema_alloc(slm_schema *s, size_t size); /* from the arena; sets nothing on failure */
/* Refuses a node whose keywords are not well formed or not supported. */
slm_status slm_schema_check(slm_schema *s, const slm_json *node);
slm_status slm_schema_resolve(slm_schema *s, const slm_json *node, const slm_json **out);
/* Adds a schema, with what allOf and $ref add. */
slm_status slm_set_add(slm_schema *s, slm_schema_set *set, const slm_json *node, uint32_t parent);
slm_status slm_set_copy(slm_schema *s, const slm_schema_set *from, slm_schema_set *to);
/* All flat sets of a set, n of them. */
slm_status slm_set_flatten(slm_schema *s, const slm_schema_set *set, slm_schema_set **flat,
                           uint32_t *n);
/* Types that a node declares; SLM_T_ALL and *declared 0 where it does not. */
uint32_t slm_schema_types(const slm_json *node, int *declared);
uint32_t slm_schema_type_of(const slm_json *value);
/* A count that slm_schema_check has seen; otherwise where there is none. */
uint32_t slm_schema_count(const slm_json *node, const char *keyword, uint32_t otherwise);

/* ---- schema_number.c ---- */

typedef struct slm_decimal { /* written out: -12.5 */
    int negative;
    char digits[SLM_SCHEMA_MAX_DIGITS * 2]; /* whole part, then fraction             */
    uint32_t n_whole, n_fraction;           /* no zeros in front but one, none behind */
} slm_decimal;

/* 0 when it is too long. */
int slm_decimal_read(slm_str spelt, slm_decimal *d);
int slm_decimal_compare(const slm_decimal *a, const slm_decimal *b);
/* The remainder of the digits; divisor up to SLM_SCHEMA_MAX_DIVISOR. The fraction must be empty. */
uint32_t slm_decimal_modulo(const slm_decimal *d, uint32_t divisor);
/* Numbers that satisfy a flat set. */
slm_status slm_schema_number(slm_schema *s, const slm_schema_set *set, int integer, uint32_t from,
                             uint32_t to);
int slm_schema_number_ok(slm_schema *s, const slm_json *node, const slm_json *value);

/* ---- schema_string.c ---- */

/* The automaton of a pattern or format of a node. */
slm_status slm_schema_dfa(slm_schema *s, const slm_json *node, slm_str text, int is_format,
                          const slm_dfa **out);
/* Whether it is a format of numbers, which says less than the type. */
int slm_schema_format_is_number(slm_str format);
/* Strings that satisfy a flat set. */
slm_status slm_schema_string(slm_schema *s, const slm_schema_set *set, uint32_t from, uint32_t to);

/* ---- schema_text.c: what JSON is made of; those that return a node begin at from ---- */

uint32_t slm_text_space(slm_schema *s, uint32_t from, int after_mark);
uint32_t slm_text_mark(slm_schema *s, uint32_t from, char c);
void slm_text_finish(slm_schema *s, uint32_t from, char c, uint32_t to);
void slm_text_string(slm_schema *s, uint32_t from, uint32_t to); /* any */
uint32_t slm_text_quoted(slm_schema *s, uint32_t from, slm_str text);
uint32_t slm_text_literal(slm_schema *s, uint32_t from, const slm_json *v);
void slm_text_words(slm_schema *s, uint32_t from, uint32_t types, uint32_t to);
slm_status slm_text_member(slm_schema *s, uint32_t from, const slm_dfa *names, uint32_t *to);
void slm_text_shared(slm_schema *s);
slm_status slm_text_any(slm_schema *s);

/* ---- schema_valid.c ---- */

slm_status slm_schema_valid(slm_schema *s, const slm_json *node, const slm_json *value, int *ok);
/* All nodes of a flat set, whose choices are made, for a value out of the list of one of them. */
slm_status slm_schema_valid_flat(slm_schema *s, const slm_schema_set *set, const slm_json *list,
                                 const slm_json *value, int *ok);

/* ---- schema.c ---- */

/* The set's rule, to be built later where it is new. */
slm_status slm_schema_rule_for(slm_schema *s, const slm_schema_set *set, uint32_t *rule);

#endif
