/* Tool calls in the text that a model writes: an incremental parser for each family of formats.
 *
 * Bytes go in as they come, events are pulled; any cutting of the bytes gives the same calls and
 * the same text. A call is an event only when all of it is there and right. What is no call is
 * text, byte for byte, its markers included; white space beside calls belongs to neither. */
#ifndef SLM_TEXT_TOOLCALL_H
#define SLM_TEXT_TOOLCALL_H

#include "base/buffer.h"
#include "base/str.h"

typedef struct slm_toolcall slm_toolcall;

/* The format that a chat template asks for; SLM_TOOLS_JSON where it says nothing. */
slm_tool_format slm_toolcall_detect(slm_str chat_template);
const char *slm_toolcall_name(slm_tool_format format); /* "hermes"; NULL for what is none */

/* format: not AUTO. max_call_bytes: what is longer is text; 0: SLM_TOOLCALL_MAX_BYTES. */
enum { SLM_TOOLCALL_MAX_BYTES = 1 << 20 };
slm_status slm_toolcall_open(slm_host *host, slm_tool_format format, size_t max_call_bytes,
                             slm_toolcall **out, slm_error *error);
void slm_toolcall_close(slm_toolcall *t);

/* As the calls of slm.h. */
slm_status slm_toolcall_feed(slm_toolcall *t, const char *text, size_t len, slm_error *error);
slm_status slm_toolcall_finish(slm_toolcall *t, slm_error *error);
slm_status slm_toolcall_next(slm_toolcall *t, slm_tool_event *event, slm_error *error);

#endif
