/* Conversations in a model's own chat format: its template is rendered, and what comes out goes to
 * the tokenizer with the knowledge of which bytes the template wrote. */
#ifndef SLM_TEXT_CHAT_H
#define SLM_TEXT_CHAT_H

#include "text/jinja.h"
#include "text/vocab.h"

typedef enum slm_chat_format {
    SLM_CHAT_NONE = 0,    /* the file has no template */
    SLM_CHAT_UNKNOWN = 1, /* it has one that is none of these */
    SLM_CHAT_LLAMA3 = 2, SLM_CHAT_PHI3 = 3, SLM_CHAT_PHI4_MINI = 4, SLM_CHAT_CHATML = 5,
    SLM_CHAT_BITNET = 6
} slm_chat_format;

/* What format a model's template looks like, to tell a reader; architecture "bitnet-b1.58" is BITNET
 * whatever its template says. */
slm_chat_format slm_chat_detect(const slm_gguf *g, slm_str architecture, const slm_vocab *v);
const char *slm_chat_format_name(slm_chat_format f); /* "llama3"; "" for NONE and UNKNOWN */

/* The file's template under this key ("tokenizer.chat_template"); ptr NULL when there is none. */
slm_str slm_chat_template(const slm_gguf *g, const char *key);

/* A conversation that was rendered. */
typedef struct slm_chat_prompt {
    slm_jinja j; /* j.text with j.marks */
    int spells_bos;   /* the text begins with the BOS, which the template wrote                      */
    int parts_apart;  /* tokens do not join the template's text and the contents                     */
} slm_chat_prompt;

/* The variables that a vocabulary gives to a template; ptr NULL: not defined. */
typedef struct slm_chat_names {
    slm_str bos, eos, unk;
} slm_chat_names;

/* Renders a conversation with a template. The caller closes *p, after a failure too.
 *   with_tools  NULL, or another template to use when there are tools */
slm_status slm_chat_render_template(slm_chat_prompt *p, slm_host *host, slm_str source,
                                    const slm_str *with_tools, const slm_chat_names *names,
                                    const slm_chat_input *input, slm_error *error);
/* The same with the template of the input, or where it has none of the file, and the vocabulary. */
slm_status slm_chat_prompt_open(slm_chat_prompt *p, slm_host *host, slm_chat_format f,
                                const slm_gguf *g, const slm_vocab *v, const slm_chat_input *input,
                                slm_error *error);
void slm_chat_prompt_close(slm_chat_prompt *p);

/* As slm_chat_render and slm_chat_tokenize (slm.h). */
slm_status slm_chat_text(const slm_chat_prompt *p, char *text, size_t cap, size_t *len,
                         slm_error *error);
slm_status slm_chat_ids(const slm_chat_prompt *p, const slm_vocab *v, int32_t *ids, size_t cap,
                        size_t *n_ids, slm_error *error);

/* Whether templates know the role: others could be made control tokens of. */
int slm_chat_is_role(slm_str role);

/* Where in the conversation a byte of what was rendered belongs. */
typedef struct slm_chat_place {
    size_t message; /* SIZE_MAX: before all; as many as there are: behind the last; 65532: that or a
                     * later one                                                                   */
    size_t offset;  /* bytes of data of this message that come before                                */
    int is_other;   /* data that is of no message: tools, extra                                      */
} slm_chat_place;
slm_chat_place slm_chat_find_place(const slm_chat_prompt *p, size_t byte);
/* The byte at which the token of this index begins, as far as tokens spell what they were made of. */
slm_status slm_chat_token_byte(const slm_chat_prompt *p, const slm_vocab *v, const int32_t *ids,
                               size_t index, size_t *byte, slm_error *error);

#endif
