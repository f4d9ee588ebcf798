/* When somebody is done speaking: after a silence whose length depends on whether what was understood
 * sounds finished, and on the pauses that this speaker makes. */
#ifndef SLM_VOICE_ENDPOINT_H
#define SLM_VOICE_ENDPOINT_H

#include "phrases.h"

#include <stdint.h>

typedef struct endpoint {
    double pause_ms; /* typical of the speaker: of the longer ones within what was said */
} endpoint;

void endpoint_init(endpoint *e);
/* A silence after which the speaker went on. */
void endpoint_note_pause(endpoint *e, double ms);
/* The silence after which what was understood so far is all of it. NULL: nothing is understood before
 * the end. */
double endpoint_wait_ms(const endpoint *e, const char *partial);

#endif
