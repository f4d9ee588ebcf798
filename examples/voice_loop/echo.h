/* The echo canceller: takes out of the microphone what the loudspeaker gave.
 *
 * The reference is taken where sound is written to the card. How much later the microphone hears it is
 * found by correlation, so that the adaptive filter need only be as long as a room; where clocks drift
 * the reference is taken from between its samples (drift.h). What is left of the echo is measured: only what is clearly louder is
 * taken for somebody speaking, and where the canceller gains nothing that is nobody at all. */
#ifndef SLM_VOICE_ECHO_H
#define SLM_VOICE_ECHO_H

#include "talking.h"

typedef struct echo echo;

echo *echo_open(void);
void echo_close(echo *e);
/* What goes to the loudspeaker now. */
void echo_played(echo *e, const int16_t out[LINE_BLOCK]);
/* The microphone's block without the echo, and the level below which it is still nothing but echo, dB
 * of full scale; 0 where nobody can be heard over it. */
double echo_cancel(echo *e, const int16_t mic[LINE_BLOCK], int16_t clean[LINE_BLOCK]);

/* For whoever is curious: -1 while it is not known; by how much the microphone's clock is fast, parts
 * in a million; what the filter took away, dB. */
double echo_delay_ms(const echo *e);
double echo_drift_ppm(const echo *e);
double echo_return_loss_db(const echo *e);

#endif
