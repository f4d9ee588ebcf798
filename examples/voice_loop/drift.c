#include "drift.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How far the place may move from one look to the next, and how alike both must be to be believed. */
enum { NEAR = 8, MOST_LOST = 4 };
static const double LEAST_LIKE = 0.25;
/* Devices keep their rate within 300 ppm, and change it by some ppm an hour. A look is right to a good
 * part of a sample. */
static const double RATE_AT_FIRST = 3e-4, RATE_WANDERS = 1e-9, LOOK_ERROR = 0.4;
static const double PI = 3.14159265358979;

void between_taps(double part, float taps[BETWEEN_TAPS]) {
    double sine = sin(PI * part), half = BETWEEN_TAPS / 2;
    for (int k = 0; k < BETWEEN_TAPS; k++) {
        double d = part + half - 1 - k; /* sin(pi d) is that of part, with a sign */
        double window = 0.5 + 0.5 * cos(PI * d / half);
        double sign = (k - (BETWEEN_TAPS / 2 - 1)) % 2 ? -1 : 1;
        taps[k] = (float)(fabs(d) < 1e-9 ? 1 : sign * sine / (PI * d) * window);
    }
}

void drift_init(drift *d) {
    *d = (drift){.var_of_rate = RATE_AT_FIRST * RATE_AT_FIRST};
}

void drift_restart(drift *d) {
    d->slide = d->var = d->cov = 0;
    d->placed = false;
    d->n = d->n_lost = 0;
}

static void go_on(drift *d, double samples) {
    d->slide += samples * d->rate;
    d->var += samples * (2 * d->cov + samples * d->var_of_rate);
    d->cov += samples * d->var_of_rate;
    d->var_of_rate += RATE_WANDERS * RATE_WANDERS * samples;
}

static void correct(drift *d, double error) {
    double sum = d->var + LOOK_ERROR * LOOK_ERROR;
    double gain = d->var / sum, gain_of_rate = d->cov / sum;
    d->slide += gain * error;
    d->rate += gain_of_rate * error;
    d->var_of_rate -= gain_of_rate * d->cov;
    d->cov -= gain * d->cov;
    d->var -= gain * d->var;
}

/* The microphone's likeness to the reference that is `shift` samples older. */
static double product(const drift *d, int shift) {
    const float *ref = d->ref + DRIFT_SPAN - shift;
    double sum = 0;
    for (int i = 0; i < DRIFT_WINDOW; i++)
        sum += (double)d->mic[i] * ref[i];
    return sum;
}

static double likeness(const drift *d, double best) {
    double mic = 1, ref = 1;
    for (int i = 0; i < DRIFT_WINDOW; i++) {
        mic += (double)d->mic[i] * d->mic[i];
        ref += (double)d->ref[i + DRIFT_SPAN / 2] * d->ref[i + DRIFT_SPAN / 2];
    }
    return best / sqrt(mic * ref);
}

/* The place of the best likeness of those from `from` to `to`, between samples by a parabola; false
 * where there is none. sign 0: either. */
static bool find(drift *d, int from, int to, int sign, double *place) {
    double all[DRIFT_SPAN + 1], best = 0;
    int at = -1;
    for (int i = from; i <= to; i++) {
        all[i] = product(d, i);
        double x = sign ? sign * all[i] : fabs(all[i]);
        if (x > best) {
            best = x;
            at = i;
        }
    }
    if (at <= from || at >= to || likeness(d, best) < LEAST_LIKE)
        return false;
    d->sign = all[at] < 0 ? -1 : 1;
    double left = d->sign * all[at - 1], right = d->sign * all[at + 1];
    *place = at + 0.5 * (left - right) / fmin(left + right - 2 * best, -1e-9);
    return true;
}

static void look(drift *d) {
    double place;
    if (!d->placed) {
        d->placed = find(d, 0, DRIFT_SPAN, 0, &d->place);
        return;
    }
    int middle = (int)lrint(d->place);
    int from = middle > NEAR ? middle - NEAR : 0;
    int to = middle + NEAR < DRIFT_SPAN ? middle + NEAR : DRIFT_SPAN;
    if (find(d, from, to, d->sign, &place)) {
        correct(d, place - d->place);
        d->n_lost = 0;
    } else if (++d->n_lost > MOST_LOST) {
        d->placed = false; /* something else moved */
        d->n_lost = 0;
    }
}

/* Adds a block; the difference of neighbours has a sharper peak than the sound itself. */
static void add(float *window, size_t n, const int16_t *x, int16_t *last) {
    memmove(window, window + LINE_BLOCK, (n - LINE_BLOCK) * sizeof *window);
    for (size_t i = 0; i < LINE_BLOCK; i++) {
        window[n - LINE_BLOCK + i] = (float)x[i] - 0.9f * (float)*last;
        *last = x[i];
    }
}

void drift_step(drift *d, const int16_t mic[LINE_BLOCK], const int16_t ref[LINE_BLOCK],
                bool was_played) {
    go_on(d, LINE_BLOCK);
    add(d->mic, DRIFT_WINDOW, mic, &d->last_mic);
    add(d->ref, DRIFT_WINDOW + DRIFT_SPAN, ref, &d->last_ref);
    d->n += was_played ? LINE_BLOCK : 0;
    if (d->n < DRIFT_WINDOW)
        return;
    d->n = 0;
    look(d);
}
