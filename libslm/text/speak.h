/* What is to be spoken of an answer, in clauses and sentences. */
#ifndef SLM_TEXT_SPEAK_H
#define SLM_TEXT_SPEAK_H

#include "base/host.h"

typedef struct slm_speaker slm_speaker;

enum {
    SLM_SPEAK_MIN_CLAUSE = 16, /* characters                         */
    SLM_SPEAK_MAX_PIECE = 400, /* bytes                              */
    SLM_SPEAK_LEAST_PIECE = 32, SLM_SPEAK_MOST_PIECE = 1 << 16 /* that can be asked for */
};

/* The options of a caller with defaults filled in; options may be NULL. */
slm_status slm_speaker_options(const slm_speech_options *options, slm_speech_options *o,
                               slm_error *error);
/* options: as from there */
slm_status slm_speaker_open(slm_host *host, const slm_speech_options *options, slm_speaker **out,
                            slm_error *error);
void slm_speaker_close(slm_speaker *s);

/* As the calls of slm.h. */
slm_status slm_speaker_feed(slm_speaker *s, const char *text, size_t len, slm_error *error);
slm_status slm_speaker_finish(slm_speaker *s, slm_error *error);
void slm_speaker_next(slm_speaker *s, slm_speech_event *event);

#endif
