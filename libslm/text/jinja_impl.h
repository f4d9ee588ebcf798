/* Shared by the files of the template interpreter: jinja_lex.c makes tokens of the source,
 * jinja_parse.c with jinja_expr.c a tree of them, jinja_run.c runs statements and jinja_eval.c with
 * jinja_arith.c expressions, with the values of jinja_value.c and what jinja_filter.c, jinja_test.c, jinja_method.c and jinja_function.c offer. */
#ifndef SLM_TEXT_JINJA_IMPL_H
#define SLM_TEXT_JINJA_IMPL_H

#include "text/jinja.h"

#include <string.h>

/* ---- tokens ---- */

typedef enum slm_jtoken_kind {
    SLM_T_DATA, SLM_T_PRINT, SLM_T_PRINT_END, SLM_T_TAG, SLM_T_TAG_END, SLM_T_NAME, SLM_T_STRING,
    SLM_T_INT, SLM_T_FLOAT, SLM_T_OP, SLM_T_EOF
} slm_jtoken_kind;

typedef struct slm_jtoken {
    uint8_t kind;
    uint16_t op;  /* SLM_OP1, SLM_OP2                                                                 */
    uint32_t pos; /* byte of the source                                                               */
    slm_str text; /* DATA, NAME, INT, FLOAT as written; STRING decoded                                */
} slm_jtoken;
#define SLM_OP1(a)    ((uint16_t)(uint8_t)(a))
#define SLM_OP2(a, b) ((uint16_t)((uint8_t)(a) | (uint8_t)(b) << 8))

/* Tokens of j->source to tokens, an EOF at the end. */
slm_status slm_j_lex(slm_jinja *j, slm_buffer *tokens);

/* ---- the tree ---- */

typedef enum slm_jnode_kind {
    /* expressions: operands in a, b, c; lists of them in a, linked by next */
    SLM_N_CONST,  /* value                                                                            */
    SLM_N_NAME,   /* name                                                                             */
    SLM_N_LIST,   /* items; also tuples (value.tuple)                                                 */
    SLM_N_DICT,   /* items: key, value, key, ...                                                      */
    SLM_N_AND, SLM_N_OR, SLM_N_NOT, SLM_N_NEG, SLM_N_POS,
    SLM_N_BINARY, /* a op b                                                                           */
    SLM_N_COMPARE,/* a, then a list of COMPARE_TO                                                     */
    SLM_N_COMPARE_TO, /* op a                                                                         */
    SLM_N_IF_EXPR,/* a if b else c                                                                    */
    SLM_N_ATTR,   /* a.name                                                                           */
    SLM_N_ITEM,   /* a[b]                                                                             */
    SLM_N_SLICE,  /* a[b...]: b is a list of three, NULL-like CONST none where absent                 */
    SLM_N_CALL,   /* a(b...)                                                                          */
    SLM_N_FILTER, /* a | name(b...); a is NULL in a filter block                                      */
    SLM_N_TEST,   /* a is name(b...); op: negated                                                     */
    SLM_N_ARG,    /* of calls: name (ptr NULL: by place) and a                                        */
    /* statements, linked by next */
    SLM_N_TEXT,   /* value                                                                            */
    SLM_N_PRINT,  /* a                                                                                */
    SLM_N_IF,     /* a: condition, b: body, c: else                                                   */
    SLM_N_FOR,    /* a: target, b: iterable with the condition as its next, c: body, d: else          */
    SLM_N_SET,    /* a: target, b: value                                                              */
    SLM_N_SET_BLOCK, /* a: target, b: body, c: filters                                                */
    SLM_N_MACRO,  /* name, a: parameters (ARG with the default in a), b: body                         */
    SLM_N_CALL_BLOCK, /* a: the call, b: the body as a MACRO                                          */
    SLM_N_FILTER_BLOCK, /* a: filters, b: body                                                        */
    SLM_N_WITH,   /* a: targets, each with its value in b, b: body                                    */
    SLM_N_GROUP,  /* a: body                                                                          */
    SLM_N_BREAK, SLM_N_CONTINUE
} slm_jnode_kind;

typedef struct slm_jnode slm_jnode;
struct slm_jnode {
    uint8_t kind;
    uint16_t op;
    uint16_t height; /* of the tree below                                                             */
    uint32_t pos;
    slm_str name;
    slm_jvalue value;
    slm_jnode *a, *b, *c, *d, *next;
};

slm_status slm_j_parse(slm_jinja *j, const slm_jtoken *tokens, slm_jnode **out);

/* ---- what runs ---- */

typedef struct slm_jvar {
    slm_str name;
    slm_jvalue value;
} slm_jvar;

/* The variables of one scope. */
typedef struct slm_jframe {
    struct slm_jframe *parent;
    slm_jvar *vars;
    size_t n, cap;
} slm_jframe;

typedef struct slm_jmacro {
    const slm_jnode *node;
    slm_jframe *frame; /* where it was defined                */
    slm_jvalue caller; /* of a call block, else UNDEFINED     */
} slm_jmacro;

typedef struct slm_jloop {
    const slm_jlist *items;
    size_t index; /* from 0 */
} slm_jloop;

typedef struct slm_jmethod {
    slm_jvalue self;
    slm_str name;
} slm_jmethod;

/* Memory of which the last text can grow in place: what is added to a text over and over costs its
 * length once. */
typedef struct slm_jtail {
    char *s;
    slm_jmark *marks;
    size_t used, cap;
} slm_jtail;

typedef struct slm_jargs {
    size_t n, n_all; /* by place, and with those by name, which come behind them */
    slm_jvalue *v;
    slm_str *names; /* ptr NULL: by place */
} slm_jargs;

/* SLM_ERR_TEMPLATE at j->pos. */
slm_status slm_j_fail(slm_jinja *j, const char *format, ...) SLM_PRINTF(2, 3);
slm_status slm_j_fail_at(slm_jinja *j, uint32_t pos, const char *format, ...) SLM_PRINTF(3, 4);
slm_status slm_j_fail_depth(slm_jinja *j);
slm_status slm_j_fail_limit(slm_jinja *j, const char *what); /* SLM_ERR_LIMIT */
/* Counts work; fails when there was too much of it, or of memory. */
slm_status slm_j_charge(slm_jinja *j, size_t steps);
/* The same for work on each of so many bytes of characters, and for looking for m bytes among n. */
slm_status slm_j_charge_chars(slm_jinja *j, size_t bytes);
slm_status slm_j_charge_search(slm_jinja *j, size_t n, size_t m);
/* Bytes of the arena, within the bound. */
slm_status slm_j_alloc(slm_jinja *j, size_t size, void *out);

/* ---- jinja_value.c ---- */

/* Undefined, of no name. */
static inline slm_jvalue slm_j_nothing(void) {
    return (slm_jvalue){.type = SLM_J_UNDEFINED};
}
static inline slm_jvalue slm_j_int(int64_t v) {
    return (slm_jvalue){.type = SLM_J_INT, .u.i = v};
}
static inline slm_jvalue slm_j_float(double v) {
    return (slm_jvalue){.type = SLM_J_FLOAT, .u.f = v};
}
static inline int slm_j_is_number(slm_jvalue v) {
    return v.type >= SLM_J_BOOL && v.type <= SLM_J_FLOAT;
}
static inline slm_str slm_j_text(slm_jvalue v) { return (slm_str){v.u.s->s, v.u.s->len}; }

slm_status slm_j_undefined(slm_jinja *j, slm_str name, slm_jvalue *out);
/* A STRING of the template's own. */
slm_status slm_j_own(slm_jinja *j, const char *text, slm_jvalue *out);
/* Bytes [from, to) of a STRING. */
slm_status slm_j_part(slm_jinja *j, slm_jvalue s, size_t from, size_t to, slm_jvalue *out);
slm_status slm_j_concat(slm_jinja *j, slm_jvalue a, slm_jvalue b, slm_jvalue *out);
/* Room for a new STRING of len bytes, to be filled through *s and *marks. */
slm_status slm_j_new_text(slm_jinja *j, size_t len, char **s, slm_jmark **marks, slm_jvalue *out);
/* What str() makes of a value, as a STRING: printing and concatenating. */
slm_status slm_j_str(slm_jinja *j, slm_jvalue v, slm_jvalue *out);
/* Appends that to a pair of buffers; repr: strings in quotes, as inside of lists. */
slm_status slm_j_write(slm_jinja *j, slm_buffer *text, slm_buffer *marks, slm_jvalue v, int repr);
slm_status slm_j_write_bytes(slm_jinja *j, slm_buffer *text, slm_buffer *marks, const char *s,
                             size_t len, slm_jmark mark);
/* Appends the mark n times. */
slm_status slm_j_write_marks(slm_jinja *j, slm_buffer *marks, slm_jmark mark, size_t n);
/* A STRING of what stands in the buffers, which are freed. */
slm_status slm_j_take(slm_jinja *j, slm_buffer *text, slm_buffer *marks, slm_jvalue *out);
int slm_j_truth(slm_jvalue v);
int slm_j_equal(slm_jinja *j, slm_jvalue a, slm_jvalue b);
/* -1, 0, 1; fails for what has no order. */
slm_status slm_j_order(slm_jinja *j, slm_jvalue a, slm_jvalue b, int *out);
slm_status slm_j_contains(slm_jinja *j, slm_jvalue in, slm_jvalue v, int *out);
double slm_j_to_double(slm_jvalue v); /* of a number */
size_t slm_j_length(slm_jvalue v);    /* of a STRING in characters, of a LIST or DICT */
const char *slm_j_type_name(slm_jvalue v);
/* The items that a loop over v sees: of a LIST, the keys of a DICT, the characters of a STRING. */
slm_status slm_j_items(slm_jinja *j, slm_jvalue v, slm_jlist **out);
/* The value of a key in a DICT or NAMESPACE; NULL when there is none. */
slm_jvalue *slm_j_find(slm_jinja *j, const slm_jdict *d, slm_jvalue key);
slm_jvalue *slm_j_find_str(slm_jinja *j, const slm_jdict *d, slm_str key);
slm_status slm_j_put_value(slm_jinja *j, slm_jdict *d, slm_jvalue key, slm_jvalue value);
slm_status slm_j_sort(slm_jinja *j, slm_jlist *items, const slm_jvalue *keys, int reverse);

/* ---- jinja_eval.c ---- */

slm_status slm_j_eval(slm_jinja *j, slm_jframe *f, const slm_jnode *n, slm_jvalue *out);
slm_status slm_j_call_args(slm_jinja *j, slm_jframe *f, const slm_jnode *first, slm_jargs *args);
slm_status slm_j_apply_filters(slm_jinja *j, slm_jframe *f, const slm_jnode *n, slm_jvalue in,
                               slm_jvalue *out);
/* v.name: a method comes before an item. */
slm_status slm_j_get_attribute(slm_jinja *j, slm_jvalue v, slm_str name, slm_jvalue *out);
/* v[key], items only. */
slm_status slm_j_get_item(slm_jinja *j, slm_jvalue v, slm_jvalue key, slm_jvalue *out);
/* v.a.b of a dotted name, as filters take it. */
slm_status slm_j_get_path(slm_jinja *j, slm_jvalue v, slm_jvalue path, slm_jvalue *out);
slm_status slm_j_set_var(slm_jinja *j, slm_jframe *f, slm_str name, slm_jvalue v);
const slm_jvalue *slm_j_find_var(slm_jinja *j, const slm_jframe *f, slm_str name);

/* Arguments by place or name. at: the place, from 0; name NULL: by place only. NULL when not given. */
const slm_jvalue *slm_j_arg(const slm_jargs *args, size_t at, const char *name);
/* The same of a wanted type; a default where not given. */
slm_status slm_j_arg_int(slm_jinja *j, const slm_jargs *args, size_t at, const char *name,
                         int64_t otherwise, int64_t *out);
int slm_j_arg_true(const slm_jargs *args, size_t at, const char *name, int otherwise);
/* A STRING, or UNDEFINED where not given or none. */
slm_status slm_j_arg_text(slm_jinja *j, const slm_jargs *args, size_t at, const char *name,
                          slm_jvalue *out);
/* Fails when there are more arguments than most, or names that are none of the list (NULL: any). */
slm_status slm_j_check_args(slm_jinja *j, const char *what, const slm_jargs *args, size_t most,
                            const char *names);

/* ---- jinja_arith.c ---- */

slm_status slm_j_arithmetic(slm_jinja *j, uint16_t op, slm_jvalue a, slm_jvalue b,
                            slm_jvalue *out);
slm_status slm_j_negate(slm_jinja *j, slm_jvalue v, int minus, slm_jvalue *out);
slm_status slm_j_fail_undefined(slm_jinja *j, slm_jvalue v);

/* ---- jinja_run.c ---- */

slm_status slm_j_call_macro(slm_jinja *j, const slm_jmacro *m, const slm_jargs *args,
                            slm_jvalue *out);

/* ---- jinja_filter.c, jinja_test.c, jinja_method.c, jinja_function.c, jinja_json.c ---- */

slm_status slm_j_filter(slm_jinja *j, slm_str name, slm_jvalue v, const slm_jargs *args,
                        slm_jvalue *out);
slm_status slm_j_test(slm_jinja *j, slm_str name, slm_jvalue v, const slm_jargs *args, int *out);
/* Whether values of this type have such a method. */
int slm_j_has_method(slm_jvalue v, slm_str name);
slm_status slm_j_call_method(slm_jinja *j, const slm_jmethod *m, const slm_jargs *args,
                             slm_jvalue *out);
slm_status slm_j_call_function(slm_jinja *j, int64_t which, const slm_jargs *args, slm_jvalue *out);
slm_status slm_j_tojson(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out);
slm_status slm_j_define_functions(slm_jinja *j);

/* jinja_format.c: the filters indent and format, the method format of strings. */
slm_status slm_j_indent(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out);
slm_status slm_j_percent(slm_jinja *j, slm_jvalue v, const slm_jargs *args, slm_jvalue *out);
slm_status slm_j_braces(slm_jinja *j, slm_jvalue self, const slm_jargs *args, slm_jvalue *out);
/* Where the line that begins at from ends, as Python's splitlines sees it, and where the next one
 * begins. */
size_t slm_j_line_end(slm_str s, size_t from, size_t *next);

/* Texts, as filters and methods share them. */
typedef enum slm_jcase { SLM_J_LOWER, SLM_J_UPPER, SLM_J_TITLE, SLM_J_CAPITALIZE } slm_jcase;
slm_status slm_j_change_case(slm_jinja *j, slm_jvalue s, slm_jcase to, slm_jvalue *out);
enum { SLM_J_LEFT = 1, SLM_J_RIGHT = 2 };
slm_status slm_j_strip(slm_jinja *j, slm_jvalue s, slm_jvalue chars, int sides, slm_jvalue *out);
slm_status slm_j_replace(slm_jinja *j, slm_jvalue s, slm_jvalue from, slm_jvalue to, int64_t count,
                         slm_jvalue *out);
slm_status slm_j_join(slm_jinja *j, slm_jvalue separator, const slm_jlist *items, slm_jvalue *out);

#endif
