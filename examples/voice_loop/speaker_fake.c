#define _GNU_SOURCE
#include "engines.h"
#include "stream.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RATE = 16000, BYTE_SAMPLES = RATE * 60 / 1000, PERIOD = 64, LOUD = 8000 };

typedef struct fake {
    speaker base;
    char *script;
    const char *next; /* in the script, for the next text */
    int timeout_ms;
    char *text;                 /* NULL: none */
    size_t n_text, at, dies_at; /* samples were given, where it dies */
    long late_ms;               /* -1: hangs */
} fake;

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void stop(speaker *s) {
    fake *f = (fake *)s;
    free(f->text);
    f->text = NULL;
}

static bool say(speaker *s, const char *text, size_t n_text, char *why, size_t why_size) {
    fake *f = (fake *)s;
    stop(s);
    f->text = malloc(n_text + 1);
    if (!f->text)
        return fail(why, why_size, "fake: out of memory");
    memcpy(f->text, text, n_text);
    f->n_text = n_text;
    f->at = 0;
    const char *word = f->next;
    const char *bar = strchr(word, '|');
    f->next = bar ? bar + 1 : f->script;
    f->dies_at = strncmp(word, "die", 3) == 0 ? n_text * BYTE_SAMPLES / 2 : SIZE_MAX;
    f->late_ms = strncmp(word, "hang", 4) == 0    ? -1
                 : strncmp(word, "late ", 5) == 0 ? strtol(word + 5, NULL, 10)
                                                  : 0;
    return true;
}

static long fail_text(fake *f, const char *what, char *why, size_t why_size) {
    stop(&f->base);
    fail(why, why_size, "fake: %s", what);
    return -1;
}

static long read_samples(speaker *s, int16_t *samples, size_t n, char *why, size_t why_size) {
    fake *f = (fake *)s;
    if (!f->text)
        return 0;
    if (f->at == 0 && f->late_ms != 0) {
        sleep_ms(f->late_ms < 0 ? f->timeout_ms : f->late_ms);
        if (f->late_ms < 0)
            return fail_text(f, "no answer in time", why, why_size);
    }
    if (f->at >= f->dies_at)
        return fail_text(f, "it died", why, why_size);
    size_t end = f->n_text * BYTE_SAMPLES, done = 0;
    if (end > f->dies_at)
        end = f->dies_at;
    for (; done < n && f->at < end; done++, f->at++) { /* a triangle of 250 Hz */
        int phase = (int)(f->at % PERIOD);
        int wave = (phase < PERIOD / 2 ? phase : PERIOD - phase) * 4 * LOUD / PERIOD - LOUD;
        samples[done] = (int16_t)(f->text[f->at / BYTE_SAMPLES] == ' ' ? 0 : wave);
    }
    if (done == 0)
        stop(s);
    return (long)done;
}

static void close_engine(speaker *s) {
    fake *f = (fake *)s;
    stop(s);
    free(f->script);
    free(f);
}

speaker *speaker_open_fake(const speaker_options *options, char *why, size_t why_size) {
    fake *f = calloc(1, sizeof *f);
    char *script = strdup(options->voice ? options->voice : "ok");
    if (!f || !script) {
        fail(why, why_size, "fake: out of memory");
        free(script);
        free(f);
        return NULL;
    }
    *f = (fake){
        .base = {.name = "fake",
                 .rate = RATE,
                 .charge_ms = 50,
                 .say = say,
                 .read = read_samples,
                 .stop = stop,
                 .close = close_engine},
        .script = script,
        .next = script,
        .timeout_ms = options->timeout_ms,
    };
    return &f->base;
}
