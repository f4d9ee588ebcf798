/* Short texts that were spoken before, as sound: "Okay," is said many times a day, and a voice needs a
 * tenth of a second to begin with it each time. */
#ifndef SLM_VOICE_REPEATS_H
#define SLM_VOICE_REPEATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many are kept, those not said for longest going first; bytes and samples that one has at most. */
enum { REPEATS = 8, REPEATS_TEXT = 32, REPEATS_SAMPLES = 3 * 16000 };

typedef struct repeat {
    char text[REPEATS_TEXT];
    size_t n_text, n; /* bytes; samples, 0: it is not known */
    int16_t *samples;
    uint64_t said; /* when, in texts */
} repeat;

typedef struct repeats {
    repeat all[REPEATS];
    uint64_t n_said;
    repeat *gathered; /* what is being said now, if it is to be kept */
} repeats;

/* The sound of a text; NULL: it is to be spoken, and what it becomes is added. */
const repeat *repeats_find(repeats *r, const char *text, size_t n_text);
void repeats_add(repeats *r, const int16_t *x, size_t n);
/* The text was spoken to its end, or not. */
void repeats_end(repeats *r, bool whole);
void repeats_free(repeats *r);

#endif
