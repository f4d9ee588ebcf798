#include "activity.h"

#include <math.h>
#include <string.h>

static const double QUIET_ROOM = -50, LEAST_FLOOR = -66, MARGIN = 9, SWELL_MARGIN = 6,
                    CLEAR_PITCH = 0.55;
enum { DECIMATION = 4, SHORTEST_LAG = 10 /* 400 Hz */, LONGEST_LAG = 57 /* 70 Hz */ };

double level_db(const int16_t *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    double rms = n > 0 ? sqrt(sum / (double)n) / 32768.0 : 0;
    return rms > 1.6e-5 ? 20 * log10(rms) : -96;
}

void activity_init(activity *a) {
    *a = (activity){.smooth_db = QUIET_ROOM, .floor_db = QUIET_ROOM, .swell_db = QUIET_ROOM, .level_db = -96};
    for (int i = 0; i < ACTIVITY_WINDOWS; i++)
        a->least_db[i] = a->most_db[i] = QUIET_ROOM;
}

static void follow_floor(activity *a) {
    double *least = &a->least_db[ACTIVITY_WINDOWS - 1], *most = &a->most_db[ACTIVITY_WINDOWS - 1];
    a->smooth_db += 0.3 * (a->level_db - a->smooth_db);
    *least = a->in_window == 0 ? a->smooth_db : fmin(*least, a->smooth_db);
    *most = a->in_window == 0 ? a->smooth_db : fmax(*most, a->smooth_db);
    a->floor_db = a->least_db[0];
    for (int i = 1; i < ACTIVITY_WINDOWS; i++)
        a->floor_db = fmin(a->floor_db, a->least_db[i]);
    a->floor_db = fmax(a->floor_db, LEAST_FLOOR);
    if (++a->in_window == ACTIVITY_WINDOW) {
        if (!a->holds) {
            a->swell_db = a->most_db[0];
            for (int i = 1; i < ACTIVITY_WINDOWS; i++)
                a->swell_db = fmin(a->swell_db, a->most_db[i]);
        }
        memmove(a->least_db, a->least_db + 1, (ACTIVITY_WINDOWS - 1) * sizeof *a->least_db);
        memmove(a->most_db, a->most_db + 1, (ACTIVITY_WINDOWS - 1) * sizeof *a->most_db);
        a->in_window = 0;
    }
}

/* The largest normalised correlation of the last 40 ms with themselves one period before. */
static bool has_pitch(activity *a, const float *x) {
    memmove(a->pitch, a->pitch + LINE_BLOCK / DECIMATION,
            (PITCH_SAMPLES - LINE_BLOCK / DECIMATION) * sizeof *a->pitch);
    float *new = a->pitch + PITCH_SAMPLES - LINE_BLOCK / DECIMATION;
    for (int i = 0; i < LINE_BLOCK / DECIMATION; i++)
        new[i] = x[4 * i] + x[4 * i + 1] + x[4 * i + 2] + x[4 * i + 3];
    if (!a->is_loud)
        return false;
    double best = 0;
    for (int lag = SHORTEST_LAG; lag <= LONGEST_LAG; lag++) {
        double product = 0, here = 1e-9, before = 1e-9;
        for (int i = LONGEST_LAG; i < PITCH_SAMPLES; i++) {
            product += (double)a->pitch[i] * a->pitch[i - lag];
            here += (double)a->pitch[i] * a->pitch[i];
            before += (double)a->pitch[i - lag] * a->pitch[i - lag];
        }
        best = fmax(best, product / sqrt(here * before));
    }
    return best > CLEAR_PITCH;
}

void activity_step(activity *a, const int16_t block[LINE_BLOCK], double at_least_db) {
    float x[LINE_BLOCK];
    double sum = 0;
    for (int i = 0; i < LINE_BLOCK; i++) {
        a->dc += 0.02 * (block[i] - a->dc);
        x[i] = (float)(block[i] - a->dc);
        sum += (double)x[i] * x[i];
    }
    double rms = sqrt(sum / LINE_BLOCK) / 32768.0;
    a->level_db = rms > 1.6e-5 ? 20 * log10(rms) : -96;
    follow_floor(a);
    a->is_loud = a->level_db > a->floor_db + MARGIN && a->level_db > a->swell_db + SWELL_MARGIN &&
                 a->level_db > at_least_db;
    a->loud_bits = a->loud_bits << 1 | a->is_loud;
    a->is_voiced = has_pitch(a, x);
}

int activity_count(const activity *a, int n) {
    int count = 0;
    for (int i = 0; i < n; i++)
        count += a->loud_bits >> i & 1;
    return count;
}
