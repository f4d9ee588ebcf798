/* Two clocks: the loudspeaker's and the microphone's are never quite alike, so what was played slides
 * against what is heard of it, up to some ten samples a second. How far and how fast is followed here,
 * that the echo canceller may take its reference from between the samples where the echo is.
 *
 * Every quarter of a second of sound, the two are correlated around the place where they lay at first;
 * what the best place has moved corrects slide and rate (a Kalman filter of two states). While nothing
 * is played the rate is what is known. */
#ifndef SLM_VOICE_DRIFT_H
#define SLM_VOICE_DRIFT_H

#include "talking.h"

enum { DRIFT_WINDOW = 4000, DRIFT_SPAN = 240, BETWEEN_TAPS = 16 };

typedef struct drift {
    double slide;            /* samples by which the echo comes later than at first */
    double rate;             /* samples of that for each sample */
    double var, cov, var_of_rate; /* how sure both are */
    float mic[DRIFT_WINDOW], ref[DRIFT_WINDOW + DRIFT_SPAN]; /* sharpened */
    int16_t last_mic, last_ref;
    int n;        /* samples since the last look */
    int n_lost;   /* looks in a row that found no place */
    bool placed;
    double place; /* of the best correlation, in samples behind the reference */
    int sign;
} drift;

void drift_init(drift *d);
/* The reference was put elsewhere: the rate stays. */
void drift_restart(drift *d);
/* A block of the microphone, and the reference that lies beside it, which was played for true. */
void drift_step(drift *d, const int16_t mic[LINE_BLOCK], const int16_t ref[LINE_BLOCK],
                bool was_played);

/* Weights of the samples from -BETWEEN_TAPS / 2 + 1 on that give the one `part` behind sample 0. */
void between_taps(double part, float taps[BETWEEN_TAPS]);

#endif
