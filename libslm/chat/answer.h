/* An answer of an assistant: what a generator writes, taken apart into thinking, calls of tools, text
 * for the reader and pieces to be spoken. */
#ifndef SLM_CHAT_ANSWER_H
#define SLM_CHAT_ANSWER_H

#include "base/str.h"
#include "run/generate.h"

/* options: slm_answer_options of full size; NULL members are defaults. */
slm_status slm_answer_create(slm_session *session, const slm_answer_options *options,
                             slm_answer **out, slm_error *error);
/* The same without a session, after a prompt of these tokens: its generator is to be attached to one. */
slm_status slm_answer_new(slm_cache *cache, const int32_t *ids, uint32_t n_ids,
                          const slm_answer_options *options, slm_answer **out, slm_error *error);
/* NULL once the answer has ended. */
slm_generator *slm_answer_generator(const slm_answer *a);
/* report is called for each token, with the generator's event, while it is being taken apart. */
typedef void (*slm_answer_token_fn)(void *user, const slm_event *event);
void slm_answer_report(slm_answer *a, slm_answer_token_fn report, void *user);
/* Fills *event (a full-sized one). Without one it is SLM_ANSWER_NONE, also where a driven generator
 * waits. */
slm_status slm_answer_step(slm_answer *a, slm_answer_event *event, slm_error *error);
/* Valid until the next call on the answer. */
slm_str slm_answer_text(const slm_answer *a);
slm_status slm_answer_message(slm_answer *a, slm_str *json, slm_error *error);
/* ended is called once, when the answer has ended (before END is delivered) or is destroyed before that.
 * The answer can still be read, and its generator is gone: the session may be used. */
typedef void (*slm_answer_ended_fn)(void *owner, slm_answer *a);
void slm_answer_watch(slm_answer *a, slm_answer_ended_fn ended, void *owner);
void slm_answer_destroy(slm_answer *a); /* NULL is fine */

#endif
