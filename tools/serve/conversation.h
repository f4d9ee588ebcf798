/* Conversations as the OpenAI API writes them, made into what chat templates take. */
#ifndef SLM_TOOLS_SERVE_CONVERSATION_H
#define SLM_TOOLS_SERVE_CONVERSATION_H

#include "generation.h"

/* Reads "messages" (and checks them), tools, tool_choice, parallel_tool_calls, response_format and
 * chat_template_kwargs. Gives the ids of the prompt, malloc'ed, and what holds the answer. */
int serve_read_conversation(const serve_server *server, const serve_object *request,
                            serve_generation *g, int32_t **ids, size_t *n_ids, serve_fault *fault);
/* The ids of "messages" alone, for counting. */
int serve_read_messages(const serve_server *server, const serve_object *request, int32_t **ids,
                        size_t *n_ids, serve_fault *fault);
/* Whether the model's template wants the arguments of earlier calls as text. */
int serve_arguments_as_text(const slm_model *model);

#endif
