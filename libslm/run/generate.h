/* Generation: evaluate what is pending, sample, detokenize, watch for stop texts, report. */
#ifndef SLM_RUN_GENERATE_H
#define SLM_RUN_GENERATE_H

#include "run/session.h"

slm_status slm_generator_create(slm_session *session, const slm_generate_options *options,
                                slm_generator **out, slm_error *error);
/* The same in two steps: a generator for a prompt of n_prompt tokens, and the session of its cache that
 * holds them. It may be taken from a session and go on in another that holds the same tokens. */
slm_status slm_generator_new(slm_cache *cache, uint32_t n_prompt,
                             const slm_generate_options *options, slm_generator **out,
                             slm_error *error);
void slm_generator_attach(slm_generator *g, slm_session *session);
/* Whether a generator can begin in the session. */
slm_status slm_generator_check(const slm_session *session, slm_error *error);
/* From now on somebody else evaluates: where logits are not there, the event is SLM_EVENT_NONE, and the
 * generator waits for slm_session_advance to have made them. */
void slm_generator_drive(slm_generator *g);
int slm_generator_waits(const slm_generator *g);
/* Fills *event (a full-sized one). */
slm_status slm_generator_next(slm_generator *g, slm_event *event, slm_error *error);
/* Control tokens that are part of the text, at most SLM_MARKERS_MAX in all. */
void slm_generator_spell(slm_generator *g, const int32_t *ids, size_t n);
/* The prompt ends in text that the guide is to begin with. SLM_ERR_RANGE where it has no place for it. */
slm_status slm_generator_lead(slm_generator *g, const char *text, size_t len, slm_error *error);
/* The next tokens, at most 64, which are not sampled; as far as the guide has a place for them. */
void slm_generator_force(slm_generator *g, const int32_t *ids, size_t n);
/* Takes the session from the generator, which may be NULL. */
void slm_generator_detach(slm_generator *g);
void slm_generator_destroy(slm_generator *g);

#endif
