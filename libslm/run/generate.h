/* Generation: evaluate what is pending, sample, detokenize, watch for stop texts, report. */
#ifndef SLM_RUN_GENERATE_H
#define SLM_RUN_GENERATE_H

#include "run/session.h"

slm_status slm_generator_create(slm_session *session, const slm_generate_options *options,
                                slm_generator **out, slm_error *error);
/* Fills *event (a full-sized one). */
slm_status slm_generator_next(slm_generator *g, slm_event *event, slm_error *error);
/* The session is being closed under the generator, which may be NULL. */
void slm_generator_detach(slm_generator *g);
void slm_generator_destroy(slm_generator *g);

#endif
