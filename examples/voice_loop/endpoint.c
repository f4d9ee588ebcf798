#include "endpoint.h"

#include <math.h>

static const double SHORTEST_PAUSE = 120, LONGEST_WAIT = 1400;

void endpoint_init(endpoint *e) {
    *e = (endpoint){.pause_ms = 200};
}

void endpoint_note_pause(endpoint *e, double ms) {
    if (ms < SHORTEST_PAUSE)
        return;
    /* A longer pause counts at once in good part, shorter ones bring the patience back slowly. */
    e->pause_ms += (ms > e->pause_ms ? 0.5 : 0.1) * (ms - e->pause_ms);
}

double endpoint_wait_ms(const endpoint *e, const char *partial) {
    static const double waits[] = {
        [SOUNDS_OPEN] = 1000, [SOUNDS_NEUTRAL] = 600, [SOUNDS_FINISHED] = 420};
    completeness c = partial ? how_complete(partial) : SOUNDS_NEUTRAL;
    return fmin(fmax(waits[c], 1.5 * e->pause_ms), LONGEST_WAIT);
}
