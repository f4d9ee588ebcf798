/* What the words of an utterance tell about the conversation. English; another language needs another
 * file like this one. */
#ifndef SLM_VOICE_PHRASES_H
#define SLM_VOICE_PHRASES_H

#include <stdbool.h>
#include <stddef.h>

bool is_yes(const char *text);
bool is_no(const char *text);
/* Only shows that somebody listens ("uh-huh", "okay", "right"), or says nothing at all. */
bool is_backchannel(const char *text);
/* One word that is meant: "stop", "louder". */
bool is_order(const char *text);
size_t words_in(const char *text);

/* Whether more is to be expected behind what was understood so far. */
typedef enum { SOUNDS_OPEN, SOUNDS_NEUTRAL, SOUNDS_FINISHED } completeness;
completeness how_complete(const char *text);

#endif
