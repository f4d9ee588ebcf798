/* The part of the Jinja template language (jinja.palletsprojects.com, version 3.1) that chat templates
 * use, as transformers sets it up: trim_blocks and lstrip_blocks, sandboxed and immutable, tojson,
 * raise_exception and strftime_now. A template reaches nothing but its variables, and time, memory
 * and depth are bounded whatever it says.
 *
 * Every byte of text carries a mark that tells where it comes from. Marks go with the bytes through
 * whatever a template does to a text, so that it is known of each byte of the output whether the
 * template wrote it. */
#ifndef SLM_TEXT_JINJA_H
#define SLM_TEXT_JINJA_H

#include "base/json.h"

enum {
    SLM_JINJA_MAX_TEMPLATE = 1 << 20, /* bytes                                                       */
    SLM_JINJA_MAX_NESTING = 100,      /* of statements, parentheses and operators in a template       */
    SLM_JINJA_MAX_DEPTH = 400,        /* of the same while it runs, calls of macros included          */
    SLM_JINJA_MAX_STEPS = 10000000,   /* nodes run, items and blocks of bytes handled                 */
    SLM_JINJA_MAX_BYTES = 64 << 20    /* of memory; and 32 for each byte of the variables             */
};

/* Marks of bytes. */
enum {
    SLM_MARK_TEMPLATE = 0, /* of the template, or made by the language                               */
    SLM_MARK_DATA = 1,     /* of the variables                                                       */
    SLM_MARK_CUT = 2,      /* of the variables: where the caller wants to find a place again         */
    SLM_MARK_MESSAGE = 3   /* and on: of a message, whose index is this much less                    */
};
typedef uint16_t slm_jmark;

typedef struct slm_jstr {
    const char *s;          /* UTF-8, not NUL-terminated */
    const slm_jmark *marks; /* as many                   */
    size_t len;
    struct slm_jtail *tail; /* of the memory it lies in; NULL where nothing can be appended */
} slm_jstr;

typedef enum slm_jtype {
    SLM_J_UNDEFINED = 0, SLM_J_NONE, SLM_J_BOOL, SLM_J_INT, SLM_J_BIG, SLM_J_FLOAT, SLM_J_STRING,
    SLM_J_LIST, SLM_J_DICT, SLM_J_NAMESPACE, SLM_J_LOOP, SLM_J_MACRO, SLM_J_FUNCTION, SLM_J_METHOD
} slm_jtype;

typedef struct slm_jlist slm_jlist;
typedef struct slm_jdict slm_jdict;

typedef struct slm_jvalue {
    uint8_t type;   /* slm_jtype                                                                      */
    uint8_t tuple;  /* of a LIST: Python would have a tuple                                           */
    slm_jmark mark; /* of a number or boolean: that of its spelling                                   */
    union {
        int64_t i;                        /* BOOL, INT; FUNCTION: which                               */
        double f;                         /* FLOAT                                                    */
        const slm_jstr *s;                /* STRING; BIG: digits; UNDEFINED: its name or NULL         */
        slm_jlist *list;                  /* LIST                                                     */
        slm_jdict *dict;                  /* DICT, NAMESPACE                                          */
        const struct slm_jmacro *macro;   /* MACRO                                                    */
        const struct slm_jloop *loop;     /* LOOP                                                     */
        const struct slm_jmethod *method; /* METHOD                                                   */
    } u;
} slm_jvalue;

struct slm_jlist {
    slm_jvalue *items;
    size_t n, cap;
};
typedef struct slm_jpair {
    slm_jvalue key, value;
} slm_jpair;
struct slm_jdict {
    slm_jpair *pairs;
    size_t n, cap;
};

/* The clock that a template sees: a civil date and time, as seconds from 1970-01-01T00:00:00 as if
 * every day had 86,400 of them. */
typedef struct slm_jclock {
    int is_set; /* 0: strftime_now is not defined */
    int64_t seconds;
} slm_jclock;

typedef struct slm_jinja {
    slm_arena arena;
    slm_error *error; /* of the call that runs */
    slm_jclock clock;
    slm_buffer text;            /* the output                  */
    slm_buffer marks;           /* a slm_jmark for each byte   */
    struct slm_jframe *globals; /* the variables               */
    size_t input_bytes;         /* of them                     */
    slm_jmark data_mark;        /* of values made from JSON    */
    /* while it runs */
    slm_str source;
    uint64_t steps;
    uint32_t depth, pos;        /* pos: where in the source, for messages */
    uint8_t leaving;            /* a break or continue goes to its loop    */
} slm_jinja;

void slm_jinja_begin(slm_jinja *j, slm_host *host, slm_error *error);
void slm_jinja_end(slm_jinja *j);

/* The marks of a text in a buffer. */
static inline const slm_jmark *slm_j_marks(const slm_buffer *marks) {
    return (const slm_jmark *)(const void *)marks->ptr;
}

/* Values for variables. They live as long as j. */
slm_status slm_j_string(slm_jinja *j, const char *text, size_t len, slm_jmark mark,
                        slm_jvalue *out);
slm_status slm_j_from_json(slm_jinja *j, const slm_json *v, slm_jvalue *out);
slm_status slm_j_dict(slm_jinja *j, slm_jvalue *out);
slm_status slm_j_list(slm_jinja *j, size_t cap, slm_jvalue *out);
slm_status slm_j_append(slm_jinja *j, slm_jvalue list, slm_jvalue item);
slm_status slm_j_put(slm_jinja *j, slm_jvalue dict, const char *key, slm_jvalue value);
static inline slm_jvalue slm_j_bool(int v) {
    return (slm_jvalue){.type = SLM_J_BOOL, .u.i = v != 0};
}
static inline slm_jvalue slm_j_none(void) { return (slm_jvalue){.type = SLM_J_NONE}; }

/* Defines a variable, or replaces it. */
slm_status slm_jinja_set(slm_jinja *j, const char *name, slm_jvalue value);

/* Renders to j->text and j->marks. SLM_ERR_TEMPLATE with line and column (in characters, from 1) and
 * what the template says itself through raise_exception; SLM_ERR_LIMIT when it is too large or does
 * too much. error->offset: the byte of the template. Once for each begin. */
slm_status slm_jinja_render(slm_jinja *j, slm_str source);

#endif
