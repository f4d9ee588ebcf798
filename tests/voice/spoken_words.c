#define _GNU_SOURCE
#include "spoken_words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WORDS = 64, SILENCE = RECOGNIZER_RATE / 4, TAPS = 16 };

/* A windowed sinc at a place between samples: enough for speech. */
static double sample_at(const int16_t *x, size_t n, double at, double cut) {
    double sum = 0;
    long first = (long)floor(at) - TAPS + 1;
    for (long i = first; i < first + 2 * TAPS; i++) {
        if (i < 0 || (size_t)i >= n)
            continue;
        double d = at - (double)i, window = 0.5 + 0.5 * cos(3.14159265358979 * d / TAPS);
        double angle = 3.14159265358979 * d * cut;
        sum += x[i] * window * cut * (fabs(angle) < 1e-9 ? 1 : sin(angle) / angle);
    }
    return sum;
}

int16_t *speak_at_16k(speaker *s, const char *text, size_t *n) {
    size_t have = 0, cap = 1 << 20;
    int16_t *sound = malloc(cap * sizeof *sound), *out = NULL;
    char why[200];
    long got = -1;
    if (!sound || !s->say(s, text, strlen(text), why, sizeof why)) {
        free(sound);
        return NULL;
    }
    while (have < cap && (got = s->read(s, sound + have, cap - have, why, sizeof why)) > 0)
        have += (size_t)got;
    if (got == 0 && have > 0) {
        double step = (double)s->rate / RECOGNIZER_RATE;
        size_t spoken = (size_t)((double)have / step);
        *n = spoken + 2 * SILENCE;
        out = calloc(*n, sizeof *out);
        for (size_t i = 0; out && i < spoken; i++) {
            double v = sample_at(sound, have, (double)i * step, step > 1 ? 1 / step : 1);
            out[SILENCE + i] = (int16_t)fmax(-32768, fmin(32767, v));
        }
    }
    free(sound);
    return out;
}

static int split(char *text, char **words) {
    char *at;
    int n = 0;
    for (char *w = strtok_r(text, " ", &at); w && n < MOST_WORDS; w = strtok_r(NULL, " ", &at))
        words[n++] = w;
    return n;
}

int count_words(const char *text) {
    char copy[1000], *words[MOST_WORDS];
    strncpy(copy, text, sizeof copy - 1)[sizeof copy - 1] = 0;
    return split(copy, words);
}

int word_errors(const char *said, const char *heard) {
    char a[1000], b[1000], *x[MOST_WORDS], *y[MOST_WORDS];
    int row[MOST_WORDS + 1];
    strncpy(a, said, sizeof a - 1)[sizeof a - 1] = 0;
    strncpy(b, heard, sizeof b - 1)[sizeof b - 1] = 0;
    int n = split(a, x), m = split(b, y);
    for (int j = 0; j <= m; j++)
        row[j] = j;
    for (int i = 1; i <= n; i++) {
        int corner = row[0];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            int best = corner + (strcmp(x[i - 1], y[j - 1]) != 0);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            corner = row[j];
            row[j] = best;
        }
    }
    return row[m];
}
