#include "repeats.h"

#include <stdlib.h>
#include <string.h>

const repeat *repeats_find(repeats *r, const char *text, size_t n_text) {
    repeat *oldest = r->all;
    repeats_end(r, false);
    if (n_text == 0 || n_text > REPEATS_TEXT)
        return NULL;
    r->n_said++;
    for (repeat *e = r->all; e < r->all + REPEATS; e++) {
        if (e->n > 0 && e->n_text == n_text && memcmp(e->text, text, n_text) == 0) {
            e->said = r->n_said;
            return e;
        }
        if (e->said < oldest->said)
            oldest = e;
    }
    free(oldest->samples);
    *oldest = (repeat){.n_text = n_text, .said = r->n_said};
    memcpy(oldest->text, text, n_text);
    r->gathered = oldest;
    return NULL;
}

void repeats_add(repeats *r, const int16_t *x, size_t n) {
    repeat *e = r->gathered;
    if (!e)
        return;
    int16_t *grown =
        n <= REPEATS_SAMPLES - e->n ? realloc(e->samples, (e->n + n) * sizeof *grown) : NULL;
    if (!grown) {
        repeats_end(r, false);
        return;
    }
    memcpy(grown + e->n, x, n * sizeof *x);
    e->samples = grown;
    e->n += n;
}

void repeats_end(repeats *r, bool whole) {
    repeat *e = r->gathered;
    r->gathered = NULL;
    if (!e || whole)
        return;
    free(e->samples);
    *e = (repeat){0};
}

void repeats_free(repeats *r) {
    repeats_end(r, false);
    for (repeat *e = r->all; e < r->all + REPEATS; e++)
        free(e->samples);
    *r = (repeats){0};
}
