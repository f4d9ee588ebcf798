/* What the stream (toolcall.c) and the readers of blocks share. */
#ifndef SLM_TEXT_TOOLCALL_IMPL_H
#define SLM_TEXT_TOOLCALL_IMPL_H

#include "base/buffer.h"

/* The calls of a block, one behind the other: this, then the name, then the arguments, which are a
 * JSON object on one line. */
typedef struct slm_toolcall_record {
    size_t name_len;
    size_t arguments_len;
} slm_toolcall_record;

static inline int slm_toolcall_is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline int slm_toolcall_is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Letters of ASCII, digits, underscore. */
static inline int slm_toolcall_is_word(char c) {
    return slm_toolcall_is_letter(c) || (c >= '0' && c <= '9') || c == '_';
}

/* How far a block is. */
typedef enum slm_toolcall_verdict {
    SLM_TOOLCALL_MORE, /* it may become one */
    SLM_TOOLCALL_DONE,
    SLM_TOOLCALL_BAD   /* whatever comes, it is none */
} slm_toolcall_verdict;

/* ---- calls that are given while they come (toolcall_stream.c) ---- */

/* The first call of a block, as far as it can be told. */
typedef struct slm_call_stream {
    slm_buffer name;        /* decoded, when has_name */
    slm_buffer piece;       /* arguments, without blanks, that nobody has taken yet */
    char key[12];           /* the name of a member, as long as it may be one that counts */
    size_t n_key;
    size_t n_python;        /* bytes of arguments in Python's syntax that went to piece */
    uint32_t depth;
    uint32_t call_depth;    /* of the call's own members; 0: it has not begun */
    int in_string, escaped;
    int is_value;       /* at the call's level: behind a colon */
    int is_name;        /* of the member "name" */
    int in_arguments;
    int has_name, has_arguments;
    int says_arguments; /* there is a member for them */
    int is_over;        /* the call is complete */
    int is_left;        /* to whoever reads the whole block */
    int is_bad;         /* it may say twice what may stand once */
} slm_call_stream;

void slm_call_stream_begin(slm_call_stream *s);
/* Reads on in a block of JSON, of which these bytes were found to be right. */
slm_status slm_call_stream_json(slm_call_stream *s, const char *text, size_t len, int parameters,
                                slm_error *error);
/* Looks at what slm_python_scan has written. */
slm_status slm_call_stream_python(slm_call_stream *s, const slm_buffer *calls, slm_error *error);

/* ---- JSON (toolcall_json.c) ---- */

/* Reads a whole JSON value: a call, or a list of calls. parameters: the arguments may be called so
 * too. Appends the calls to out, all of them or none; *n receives their number. */
slm_status slm_toolcall_read_json(slm_host *host, const char *text, size_t len, int parameters,
                                  slm_buffer *out, size_t *n, slm_error *error);

/* ---- [f(a='x'), g()] (toolcall_python.c) ---- */

enum { SLM_PYTHON_MAX_DEPTH = 64 };

/* A scan of calls in Python's syntax. Zero it to begin. */
typedef struct slm_python {
    uint8_t state;
    uint8_t quote;    /* of the string being read                                                 */
    uint8_t is_key;   /* that string is the key of a dict                                         */
    uint8_t n_hex;    /* digits that an escape still wants                                        */
    uint32_t code;    /* its value so far                                                         */
    uint32_t high;    /* the high surrogate before it, or 0                                       */
    uint32_t depth;
    uint8_t closers[SLM_PYTHON_MAX_DEPTH]; /* what ends the open list, dict or arguments          */
    size_t at;        /* bytes of the block that have been read                                   */
    size_t word_at;   /* where the word or number being read began                                */
    size_t record_at; /* record of the call being read, in the output                             */
} slm_python;

/* Reads on: text is the block from its "[", of which the first p->at bytes were read before. Calls
 * are written to out as they are read; they count when the result is DONE, which white space after
 * the list does not change. */
slm_status slm_python_scan(slm_python *p, const char *text, size_t len, slm_buffer *out,
                           slm_toolcall_verdict *verdict, slm_error *error);

#endif
