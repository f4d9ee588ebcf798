/* JSON as RFC 8259 defines it, strictly: reading whole texts to a tree, recognising a text that
 * arrives in pieces, and writing. Everything is read as hostile input: depth is bounded, nothing
 * recurses while reading, text is valid UTF-8, time and memory are linear in the text (n log n for
 * the names of an object). */
#ifndef SLM_BASE_JSON_H
#define SLM_BASE_JSON_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/str.h"

enum { SLM_JSON_MAX_DEPTH = 256 }; /* of arrays and objects in one another */

typedef enum slm_json_type {
    SLM_JSON_NULL = 0, SLM_JSON_FALSE = 1, SLM_JSON_TRUE = 2, SLM_JSON_NUMBER = 3,
    SLM_JSON_STRING = 4, SLM_JSON_ARRAY = 5, SLM_JSON_OBJECT = 6
} slm_json_type;

/* ---------------------------------------------------------------- tree */

typedef struct slm_json slm_json;
struct slm_json {
    slm_json_type type;
    uint32_t n_items;      /* of an ARRAY; members of an OBJECT                                       */
    const slm_json *items; /* in the order of the text                                                */
    slm_str text;          /* STRING: decoded, may hold NUL. NUMBER: as spelt                         */
    slm_str name;          /* of a member, decoded; ptr NULL for what is none                         */
    size_t offset;         /* of the value's first byte in the text                                   */
};

/* slm_json_parse flags */
enum {
    /* Of members of one name the last counts, at the place of the first (what Python does); without
     * it they are an error. */
    SLM_JSON_KEEP_LAST = 1u << 0
};
/* One more flag: the text is to stand in another one, within so many arrays and objects of that, and
 * is nested by so much less than SLM_JSON_MAX_DEPTH. */
#define SLM_JSON_WITHIN(levels) ((uint32_t)(levels) << 8)

/* Reads one value with nothing but white space around it. The tree lives in the arena; strings and
 * numbers that are written as they read point into text, which has to stay as long.
 *   what  says in messages what the text is, such as "tools"
 * SLM_ERR_FORMAT (also for a lone surrogate in an escape), SLM_ERR_UTF8, SLM_ERR_DUP, SLM_ERR_LIMIT
 * for depth and for texts from 4 GiB on: with line and column (in characters, from 1) in the message,
 * and the byte in error->offset. */
slm_status slm_json_parse(slm_arena *arena, const char *text, size_t len, uint32_t flags,
                          const char *what, const slm_json **out, slm_error *error);

/* Line and column of a byte of a text, from 1; columns count characters. */
void slm_json_place(const char *text, size_t offset, size_t *line, size_t *column);

/* The member of an object; NULL when there is none, or v is NULL or no object. */
const slm_json *slm_json_get(const slm_json *v, const char *name);
const slm_json *slm_json_get_str(const slm_json *v, slm_str name);

/* 1 for a STRING of exactly this text. */
int slm_json_is(const slm_json *v, const char *text);

/* A NUMBER spelt without fraction and exponent. */
int slm_json_is_integer(const slm_json *v);
/* The value of a NUMBER that is an integer however it is spelt (2.0, 1e3); 0 when v is none, or one
 * that does not fit. */
int slm_json_int64(const slm_json *v, int64_t *out);
/* The nearest double; infinite beyond its range. 0 when v is no NUMBER. */
int slm_json_double(const slm_json *v, double *out);
/* The same of a spelling that the grammar of JSON numbers allows. */
double slm_json_number(slm_str spelt);

/* ---------------------------------------------------------------- scanner */

typedef enum slm_json_progress {
    SLM_JSON_MORE = 0, /* what has come is the beginning of a value     */
    SLM_JSON_DONE = 1, /* the value is complete                         */
    SLM_JSON_BAD = 2   /* no text that begins like this is JSON         */
} slm_json_progress;

/* Recognises one value in a text that comes in pieces of any size; holds no memory. White space
 * before the value is skipped, what comes after it is not taken. Names are not compared. */
typedef struct slm_json_scan {
    slm_json_progress progress;
    uint32_t depth;         /* arrays and objects that are open                                        */
    uint32_t max_depth;     /* of them: SLM_JSON_MAX_DEPTH, unless it is set to less after the beginning */
    uint64_t n_bytes;       /* taken so far; of BAD: up to the byte that cannot be                     */
    uint8_t state;          /* the rest belongs to json_scan.c                                         */
    uint8_t is_name;        /* the string being read is a member's name                                */
    uint8_t n_more;         /* bytes or digits that are still to come                                  */
    uint8_t low, high;      /* bounds of the next byte of a UTF-8 sequence                             */
    uint8_t has_high;       /* a high surrogate waits for its low one                                  */
    uint16_t unit;          /* of the \u escape being read                                             */
    const char *literal;    /* rest of true, false or null                                             */
    uint64_t is_object[SLM_JSON_MAX_DEPTH / 64]; /* a bit for each open array or object               */
} slm_json_scan;

void slm_json_scan_begin(slm_json_scan *s);
/* Takes bytes up to the end of the value, or to the first that cannot be; returns how many. The byte
 * that ends a number by not being of it is not taken. */
size_t slm_json_scan_feed(slm_json_scan *s, const char *bytes, size_t n);
/* Says that no more will come, which completes a number: DONE or BAD afterwards. */
slm_json_progress slm_json_scan_end(slm_json_scan *s);
/* Whether the byte that comes next stands inside a string (its closing quote included). */
int slm_json_scan_in_string(const slm_json_scan *s);
/* What could come next, for messages: "a value", "a comma or ']'". */
const char *slm_json_scan_wanted(const slm_json_scan *s);

/* ---------------------------------------------------------------- writer */

enum {
    SLM_JSON_SPACED = 1u << 0, /* ", " and ": ", as Python's json.dumps; else no blanks              */
    SLM_JSON_ASCII = 1u << 1   /* what is not ASCII, and DEL, as \u escapes                           */
};

/* Writes value after value; commas, colons and indentation come by themselves. */
typedef struct slm_json_writer {
    slm_buffer *out;
    uint32_t flags;  /* SLM_JSON_SPACED, SLM_JSON_ASCII                                                */
    uint32_t indent; /* blanks a level, each value on its own line; 0: all on one line. Empty arrays and
                        objects stay on one line; no line ends in a blank                             */
    uint32_t depth;  /* open arrays and objects                                                       */
    uint8_t in_value; /* the depth already holds something                                             */
    uint8_t named;    /* a name was written                                                            */
} slm_json_writer;

slm_status slm_json_put_open(slm_json_writer *w, char bracket, slm_error *error);  /* '[' or '{' */
slm_status slm_json_put_close(slm_json_writer *w, char bracket, slm_error *error); /* ']' or '}' */
slm_status slm_json_put_name(slm_json_writer *w, const char *name, size_t len, slm_error *error);
slm_status slm_json_put_colon(slm_json_writer *w, slm_error *error); /* behind a name put as a value */
slm_status slm_json_put_string(slm_json_writer *w, const char *text, size_t len, slm_error *error);
/* A number, true, false or null as it is spelt; NUL-terminated where len is SLM_NTS. */
slm_status slm_json_put_raw(slm_json_writer *w, const char *text, size_t len, slm_error *error);
slm_status slm_json_put_value(slm_json_writer *w, const slm_json *v, slm_error *error);

/* Appends text in quotes with its escapes: those that JSON demands, the short form where it has one.
 * text is valid UTF-8; flags: SLM_JSON_ASCII. */
slm_status slm_json_quote(slm_buffer *out, const char *text, size_t len, uint32_t flags,
                          slm_error *error);
/* The same without the quotes. */
slm_status slm_json_escape(slm_buffer *out, const char *text, size_t len, uint32_t flags,
                           slm_error *error);

/* The shortest spelling that reads back as the same finite double, as Python's repr writes it: "1.0",
 * "1e-07", "1e+16". Returns its length; independent of the locale. */
enum { SLM_JSON_DOUBLE_MAX = 32 };
size_t slm_json_spell(double value, char text[SLM_JSON_DOUBLE_MAX]);

#endif
