/* A room for tests: another card, whose microphone also hears what its loudspeaker plays. */
#include "card.h"
#include "drift.h"
#include "stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What was played in the last second; the walls give it back for 40 ms. */
enum { HISTORY = LINE_RATE, ECHOES = 24, SPREAD = LINE_RATE / 25 };

typedef struct room {
    card base;
    card *inner;
    float played[HISTORY], came[HISTORY]; /* by the loudspeaker's clock, by the microphone's */
    uint64_t n_played, n_came;
    double at, step; /* the microphone's place in what was played, and its samples for one */
    int offsets[ECHOES];
    float gains[ECHOES];
} room;

/* Between samples as the two converters have it, which take nothing of the high tones away. */
static float played_at(const room *r, double place) {
    double whole = floor(place);
    float taps[BETWEEN_TAPS], sum = 0;
    between_taps(place - whole, taps);
    for (int k = 0; k < BETWEEN_TAPS; k++) {
        int64_t i = (int64_t)whole + k - BETWEEN_TAPS / 2 + 1;
        if (i >= 0 && i < (int64_t)r->n_played && i + HISTORY > (int64_t)r->n_played)
            sum += taps[k] * r->played[i % HISTORY];
    }
    return sum;
}

static bool read_block(card *c, int16_t mic[LINE_BLOCK]) {
    room *r = (room *)c;
    bool more = r->inner->read(r->inner, mic);
    for (int i = 0; i < LINE_BLOCK; i++, r->at += r->step) {
        float sum = mic[i];
        r->came[r->n_came % HISTORY] = played_at(r, r->at);
        for (int k = 0; k < ECHOES; k++)
            sum += r->gains[k] * r->came[(r->n_came + HISTORY - (uint64_t)r->offsets[k]) % HISTORY];
        r->n_came++;
        mic[i] = (int16_t)lrintf(fmaxf(-32768, fminf(sum, 32767)));
    }
    return more;
}

static void write_block(card *c, const int16_t out[LINE_BLOCK]) {
    room *r = (room *)c;
    for (int i = 0; i < LINE_BLOCK; i++)
        r->played[r->n_played++ % HISTORY] = out[i];
    r->inner->write(r->inner, out);
}

static bool close_room(card *c, char *why, size_t why_size) {
    room *r = (room *)c;
    bool good = r->inner->close(r->inner, why, why_size);
    free(r);
    return good;
}

card *card_open_room(card *inner, const room_options *options, char *why, size_t why_size) {
    room *r = calloc(1, sizeof *r);
    uint32_t seed = 12345;
    double energy = 0;
    if (!r) {
        char ignored[1];
        inner->close(inner, ignored, sizeof ignored);
        fail(why, why_size, "no memory for the room");
        return NULL;
    }
    r->base = (card){
        .read = read_block, .write = write_block, .close = close_room, .has_echo = true};
    r->inner = inner;
    r->at = -options->delay_ms * LINE_RATE / 1000;
    r->step = 1 + options->drift_ppm * 1e-6;
    for (int k = 0; k < ECHOES; k++) { /* the direct sound, then weaker and weaker ones */
        seed = seed * 1664525 + 1013904223;
        r->offsets[k] = k == 0 ? 0 : (int)(seed >> 8) % SPREAD;
        r->gains[k] = expf(-4.0f * (float)r->offsets[k] / SPREAD) * (seed >> 31 ? 1.0f : -1.0f) *
                      (k == 0 ? 1.0f : 0.4f);
        energy += r->gains[k] * r->gains[k];
    }
    for (int k = 0; k < ECHOES; k++)
        r->gains[k] *= (float)(pow(10, options->gain_db / 20) / sqrt(energy));
    return &r->base;
}
