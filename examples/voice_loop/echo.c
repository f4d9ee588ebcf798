#include "echo.h"

#include "activity.h"
#include "drift.h"

#include <math.h>
#include <speex/speex_echo.h>
#include <stdlib.h>
#include <string.h>

/* The delay is looked for at 4 kHz, in a second of the microphone, up to half a second back; the filter
 * spans what a room adds, and begins a little before the delay, for drift. */
enum { FILTER = 2048, EARLY = 160, HISTORY = 2 * LINE_RATE };
enum { SLOW = 4, SLOW_BLOCK = LINE_BLOCK / SLOW, WINDOW = LINE_RATE / SLOW, MOST_LAG = WINDOW / 2 };
enum { LOOK_EVERY = 25 /* blocks */, HANGOVER = 30 };
static const double CLEAR_CORRELATION = 0.3, LEAST_PLAYED_DB = -60;
/* How fast what was played dies away in a room, dB a block; slower while nobody knows when it comes. */
static const double DECAY_DB = 1.5, DECAY_UNPLACED_DB = 0.2;
/* Means over 300 ms. The leak is learnt slowly where it is more than was thought, since that may be
 * somebody speaking. */
static const double SMOOTH = 0.03, LEARN_LESS = 0.05, LEARN_MORE = 0.005;
/* Above what is expected of the echo. With a leak of more than that nobody is heard over it. */
static const double MARGIN_DB = 9, POOR_LEAK_DB = -8;

struct echo {
    SpeexEchoState *filter;
    drift drift;
    int16_t played[HISTORY];
    uint64_t n_played; /* samples */
    float slow_mic[WINDOW], slow_played[WINDOW + MOST_LAG];
    int until_look;
    int lag;      /* samples that the reference is delayed by, beside what drift adds; -1: not known */
    int candidate, n_candidate; /* a lag that was found, how often in a row */
    int sounding;     /* blocks for which there may still be echo */
    int n_sounding;   /* since it began */
    int n_learnt;
    double mic, left, ref; /* mean power, of what was heard, what is left, what was played */
    double played_db; /* what the room may still give back */
    double leak_db;   /* what is left of it */
};

echo *echo_open(void) {
    echo *e = calloc(1, sizeof *e);
    int rate = LINE_RATE;
    if (!e)
        return NULL;
    e->filter = speex_echo_state_init(LINE_BLOCK, FILTER);
    if (!e->filter) {
        free(e);
        return NULL;
    }
    speex_echo_ctl(e->filter, SPEEX_ECHO_SET_SAMPLING_RATE, &rate);
    e->lag = e->candidate = -1;
    drift_init(&e->drift);
    e->played_db = -96;
    e->until_look = LOOK_EVERY;
    return e;
}

void echo_close(echo *e) {
    if (!e)
        return;
    speex_echo_state_destroy(e->filter);
    free(e);
}

/* Adds a block, four samples to one. */
static void add_slow(float *window, size_t n, const int16_t *x) {
    memmove(window, window + SLOW_BLOCK, (n - SLOW_BLOCK) * sizeof *window);
    for (int i = 0; i < SLOW_BLOCK; i++)
        window[n - SLOW_BLOCK + (size_t)i] =
            (float)x[4 * i] + (float)x[4 * i + 1] + (float)x[4 * i + 2] + (float)x[4 * i + 3];
}

void echo_played(echo *e, const int16_t out[LINE_BLOCK]) {
    for (int i = 0; i < LINE_BLOCK; i++)
        e->played[e->n_played++ % HISTORY] = out[i];
    add_slow(e->slow_played, WINDOW + MOST_LAG, out);
    if (level_db(out, LINE_BLOCK) > LEAST_PLAYED_DB)
        e->sounding = HANGOVER + (e->lag >= 0 ? e->lag : MOST_LAG * SLOW) / LINE_BLOCK;
    else if (e->sounding > 0)
        e->sounding--;
}

/* The lag at which the microphone is most like what was played, in slow samples, and how much. */
static double correlate(const echo *e, int *best_lag) {
    double mic = 1, played = 1, best = 0;
    for (int i = 0; i < WINDOW; i++)
        mic += (double)e->slow_mic[i] * e->slow_mic[i];
    const float *p = e->slow_played + MOST_LAG;
    for (int i = 0; i < WINDOW; i++)
        played += (double)p[i] * p[i];
    for (int lag = 0; lag < MOST_LAG; lag++) {
        float product = 0;
        p = e->slow_played + MOST_LAG - lag;
        for (int i = 0; i < WINDOW; i++)
            product += p[i] * e->slow_mic[i];
        double c = fabs((double)product) / sqrt(mic * played);
        if (c > best) {
            best = c;
            *best_lag = lag;
        }
        if (lag + 1 < MOST_LAG) /* one sample earlier */
            played += (double)p[-1] * p[-1] - (double)p[WINDOW - 1] * p[WINDOW - 1];
    }
    return best;
}

/* The same place twice is believed; a new one makes the filter begin anew. */
static void look_for_delay(echo *e) {
    int lag = 0;
    if (--e->until_look > 0 || e->sounding == 0)
        return;
    e->until_look = LOOK_EVERY;
    if (correlate(e, &lag) < CLEAR_CORRELATION)
        return;
    e->n_candidate = abs(lag - e->candidate) <= 8 ? e->n_candidate + 1 : 1;
    e->candidate = lag;
    if (e->n_candidate < 2)
        return;
    int found = lag * SLOW > EARLY ? lag * SLOW - EARLY : 0;
    if (e->lag >= 0 && fabs(found - e->lag - e->drift.slide) < EARLY)
        return;
    e->lag = found;
    drift_restart(&e->drift);
    e->leak_db = 0;
    e->n_learnt = 0;
    speex_echo_state_reset(e->filter);
}

static float played_at(const echo *e, int64_t i) {
    return i >= 0 && i < (int64_t)e->n_played ? e->played[i % HISTORY] : 0;
}

/* What lies beside the microphone's block; between samples where clocks have drifted. */
static void reference(const echo *e, int16_t x[LINE_BLOCK]) {
    double first = (double)e->n_played - LINE_BLOCK - (e->lag > 0 ? e->lag : 0) - e->drift.slide;
    double whole = floor(first);
    float taps[BETWEEN_TAPS];
    between_taps(first - whole, taps);
    for (int i = 0; i < LINE_BLOCK; i++) {
        int64_t at = (int64_t)whole + i - BETWEEN_TAPS / 2 + 1;
        float sum = 0;
        for (int k = 0; k < BETWEEN_TAPS; k++)
            sum += taps[k] * played_at(e, at + k);
        x[i] = (int16_t)lrintf(fmaxf(INT16_MIN, fminf(sum, INT16_MAX)));
    }
}

static double power(const int16_t *x) {
    double sum = 0;
    for (int i = 0; i < LINE_BLOCK; i++)
        sum += (double)x[i] * x[i];
    return sum;
}

static void learn(echo *e, const int16_t *mic, const int16_t *clean, const int16_t *played) {
    e->mic += SMOOTH * (power(mic) - e->mic);
    e->left += SMOOTH * (power(clean) - e->left);
    e->ref += SMOOTH * (power(played) - e->ref);
    double leak = 10 * log10((e->left + 1) / (e->ref + 1));
    if (e->n_learnt++ < 20) { /* the first 200 ms */
        e->leak_db = leak;
        return;
    }
    e->leak_db += (leak < e->leak_db ? LEARN_LESS : LEARN_MORE) * (leak - e->leak_db);
}

double echo_cancel(echo *e, const int16_t mic[LINE_BLOCK], int16_t clean[LINE_BLOCK]) {
    int16_t played[LINE_BLOCK];
    add_slow(e->slow_mic, WINDOW, mic);
    look_for_delay(e);
    reference(e, played);
    memcpy(clean, mic, LINE_BLOCK * sizeof *clean);
    if (e->lag >= 0)
        speex_echo_cancellation(e->filter, mic, played, clean);
    double played_db = level_db(played, LINE_BLOCK);
    if (e->lag >= 0)
        drift_step(&e->drift, mic, played, played_db > LEAST_PLAYED_DB);
    e->played_db = fmax(e->played_db - (e->lag >= 0 ? DECAY_DB : DECAY_UNPLACED_DB), played_db);
    e->n_sounding = e->sounding > 0 ? e->n_sounding + 1 : 0;
    if (e->sounding == 0)
        return -96;
    if (played_db > LEAST_PLAYED_DB && (e->lag >= 0 || e->n_sounding > MOST_LAG / SLOW_BLOCK))
        learn(e, mic, clean, played);
    return e->leak_db > POOR_LEAK_DB ? 0 : e->played_db + e->leak_db + MARGIN_DB;
}

double echo_delay_ms(const echo *e) {
    return e->lag < 0 ? -1 : (e->lag + e->drift.slide + EARLY + LINE_BLOCK) * 1000 / LINE_RATE;
}

double echo_return_loss_db(const echo *e) {
    return 10 * log10((e->mic + 1) / (e->left + 1));
}

double echo_drift_ppm(const echo *e) {
    return -e->drift.rate * 1e6;
}
