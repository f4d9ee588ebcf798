/* The chat formats built in, chosen by what the file's template contains. */
#ifndef SLM_TEXT_CHAT_H
#define SLM_TEXT_CHAT_H

#include "text/vocab.h"

typedef enum slm_chat_format {
    SLM_CHAT_NONE = 0,    /* the file has no template */
    SLM_CHAT_UNKNOWN = 1, /* it has one that is none of these */
    SLM_CHAT_LLAMA3 = 2, SLM_CHAT_PHI3 = 3, SLM_CHAT_PHI4_MINI = 4, SLM_CHAT_CHATML = 5,
    SLM_CHAT_BITNET = 6
} slm_chat_format;

/* Which format a model has; architecture "bitnet-b1.58" is BITNET whatever its template says. */
slm_chat_format slm_chat_detect(const slm_gguf *g, slm_str architecture, const slm_vocab *v);
const char *slm_chat_format_name(slm_chat_format f); /* "llama3"; "" for NONE and UNKNOWN */

/* As slm_chat_render and slm_chat_tokenize (slm.h). g gives the template where its wording matters
 * (the default system turn of Qwen 2.5). */
slm_status slm_chat_render_text(slm_host *host, slm_chat_format f, const slm_gguf *g,
                                const slm_vocab *v, const slm_message *messages, size_t n_messages,
                                uint32_t flags, char *text, size_t cap, size_t *len,
                                slm_error *error);
slm_status slm_chat_render_ids(slm_host *host, slm_chat_format f, const slm_gguf *g,
                               const slm_vocab *v, const slm_message *messages, size_t n_messages,
                               uint32_t flags, int32_t *ids, size_t cap, size_t *n_ids,
                               slm_error *error);

#endif
