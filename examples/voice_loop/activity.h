/* Voice activity: which blocks of 10 ms are loud against the noise of the room, and which of them have
 * a pitch, as speech has and most noises have not.
 *
 * A fan has one level, and what is well above it is loud. Other people's voices and music rise and fall:
 * of such a room it is also known how loud it always gets again. Who speaks is louder than that. */
#ifndef SLM_VOICE_ACTIVITY_H
#define SLM_VOICE_ACTIVITY_H

#include "talking.h"

/* The floor is the least of what the last 1.6 s held: eight windows of 200 ms. */
enum { ACTIVITY_WINDOWS = 8, ACTIVITY_WINDOW = 20 };
/* The pitch is looked for in 40 ms at 4 kHz. */
enum { PITCH_SAMPLES = 160 };

typedef struct activity {
    double dc;                       /* high-pass: the mean */
    double smooth_db, floor_db;
    double least_db[ACTIVITY_WINDOWS]; /* of each window; the last is being filled */
    double most_db[ACTIVITY_WINDOWS];
    double swell_db; /* the least of most_db: no window stayed below it */
    bool holds;      /* swell_db stays: somebody speaks, and it is not to be learnt from that */
    int in_window;
    unsigned loud_bits;              /* of the last blocks, the newest lowest */
    float pitch[PITCH_SAMPLES];
    bool is_loud, is_voiced;         /* of the last block */
    double level_db;
} activity;

void activity_init(activity *a);
/* at_least_db: what is below is not loud, whatever the floor; for the rest of an echo. */
void activity_step(activity *a, const int16_t block[LINE_BLOCK], double at_least_db);
/* How many of the last n blocks, at most 32, were loud. */
int activity_count(const activity *a, int n);

double level_db(const int16_t *x, size_t n); /* of full scale, not below -96 */

#endif
