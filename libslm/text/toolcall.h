/* Tool calls in the text that a model writes: an incremental parser for each family of formats.
 *
 * Bytes go in as they come, events are pulled; any cutting of the bytes gives the same calls and
 * the same text. A call is an event only when all of it is there and right, or while it comes where
 * something sees to it that it will be (slm_toolcall_stream). What is no call is text, byte for byte,
 * its markers included; white space beside calls belongs to neither. */
#ifndef SLM_TEXT_TOOLCALL_H
#define SLM_TEXT_TOOLCALL_H

#include "base/buffer.h"
#include "base/str.h"

typedef struct slm_toolcall slm_toolcall;

/* ---- formats ---- */

/* What may stand in a block. */
enum {
    SLM_CALL_OBJECT = 1u << 0,  /* a call as JSON                                              */
    SLM_CALL_LIST = 1u << 1,    /* several in a list                                           */
    SLM_CALL_BUILTIN = 1u << 2, /* name.call(query="...")                                      */
    SLM_CALL_PYTHON = 1u << 3   /* [f(a='x')], which has to go on to the end of the reply      */
};

typedef struct slm_call_marker {
    const char *text;
    const char *close; /* what ends the block, or NULL; the end of the reply does too    */
    size_t n_own;      /* bytes of text that are not part of the block's value           */
    unsigned shapes;
} slm_call_marker;

enum { SLM_CALL_MARKERS = 2 };
typedef struct slm_call_format {
    const char *name;
    slm_call_marker markers[SLM_CALL_MARKERS]; /* text NULL: no more of them             */
    unsigned bare;    /* shapes that need no marker at the start of a reply and behind a call */
    int parameters;   /* "parameters" is a name for arguments too                         */
    char separator;   /* that may stand between calls, besides white space                */
    const char *arguments; /* the name under which models were taught to write them      */
} slm_call_format;

const char *slm_toolcall_name(slm_tool_format format); /* "hermes"; NULL for what is none */
/* NULL for AUTO and what is none. */
const slm_call_format *slm_call_format_of(slm_tool_format format);
/* Whether a chat template prints arguments as they are, and so wants them as text. */
int slm_toolcall_wants_text(slm_str chat_template);

/* The format that a chat template asks for; SLM_TOOLS_JSON where it says nothing. */
slm_tool_format slm_toolcall_detect(slm_str chat_template);

/* format: not AUTO. max_call_bytes: what is longer is text; 0: SLM_TOOLCALL_MAX_BYTES. */
enum { SLM_TOOLCALL_MAX_BYTES = 1 << 20 };
slm_status slm_toolcall_open(slm_host *host, slm_tool_format format, size_t max_call_bytes,
                             slm_toolcall **out, slm_error *error);
void slm_toolcall_close(slm_toolcall *t);
/* From the next block on its first call begins when its name is there, and arguments are given as they
 * come. It ends when the whole block is right; where it turns out not to be, the end does not come,
 * and all of the block is text after all. */
void slm_toolcall_stream(slm_toolcall *t);

/* As the calls of slm.h. */
slm_status slm_toolcall_feed(slm_toolcall *t, const char *text, size_t len, slm_error *error);
slm_status slm_toolcall_finish(slm_toolcall *t, slm_error *error);
slm_status slm_toolcall_next(slm_toolcall *t, slm_tool_event *event, slm_error *error);

#endif
