/* espeak-ng, a process for each text. The next one is started when a text is over: it has loaded
 * its voice and waits for its input when the text comes, and the end of its output is the end of
 * the text. */
#include "engines.h"
#include "process.h"
#include "pcm_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct espeak {
    speaker base;
    char voice[64], speed[16];
    int timeout_ms;
    process now, next; /* what speaks, what waits for its text */
    pcm_reader sound;
} espeak;

/* "--" and a file name are not wanted: the text comes through standard input, whatever it begins
 * with. */
static bool start(espeak *e, process *p, char *why, size_t why_size) {
    char *command[16] = {"espeak-ng", "--stdin", "--stdout", "-b", "1", "-z", "-v", e->voice};
    if (e->speed[0]) {
        command[8] = "-s";
        command[9] = e->speed;
    }
    return process_start(p, command, ERRORS_DROPPED, why, why_size);
}

static void stop(speaker *s) {
    espeak *e = (espeak *)s;
    char why[100];
    process_end(&e->now);
    if (!process_runs(&e->next)) { /* where this fails, say fails too, and tells why */
        process_end(&e->next);
        start(e, &e->next, why, sizeof why);
    }
}

/* "[[" would begin phonemes in place of words. */
static bool write_plain(espeak *e, const char *text, size_t n, char *why, size_t why_size) {
    char piece[512];
    int64_t deadline = clock_ms() + e->timeout_ms;
    for (size_t i = 0; i < n;) {
        size_t m = 0;
        for (; i < n && m < sizeof piece; i++)
            piece[m++] = text[i] == '[' || text[i] == ']' || text[i] == 0 ? ' ' : text[i];
        if (!stream_write(&e->now.io, piece, m, deadline, why, why_size))
            return false;
    }
    stream_close_output(&e->now.io);
    return true;
}

static bool say(speaker *s, const char *text, size_t n_text, char *why, size_t why_size) {
    espeak *e = (espeak *)s;
    char reason[200];
    stop(s);
    e->now = e->next;
    e->next = (process){0};
    if (e->now.pid == 0 && !start(e, &e->now, why, why_size))
        return false;
    e->sound = (pcm_reader){0};
    if (write_plain(e, text, n_text, reason, sizeof reason))
        return true;
    stop(s);
    return fail(why, why_size, "espeak-ng: %s", reason);
}

static long read_samples(speaker *s, int16_t *samples, size_t n, char *why, size_t why_size) {
    espeak *e = (espeak *)s;
    char reason[200];
    if (e->now.pid == 0)
        return 0;
    long got = pcm_read(&e->sound, &e->now.io, samples, n, clock_ms() + e->timeout_ms, reason,
                        sizeof reason);
    if (got == 0 && !process_ended_well(&e->now, reason, sizeof reason))
        got = -1; /* what it said is not all */
    if (got < 0)
        fail(why, why_size, "espeak-ng: %s", reason);
    if (got <= 0)
        stop(s);
    else
        s->rate = e->sound.rate;
    return got;
}

static void close_engine(speaker *s) {
    espeak *e = (espeak *)s;
    process_end(&e->now);
    process_end(&e->next);
    free(e);
}

speaker *speaker_open_espeak(const speaker_options *options, char *why, size_t why_size) {
    espeak *e = calloc(1, sizeof *e);
    if (!e) {
        fail(why, why_size, "espeak-ng: out of memory");
        return NULL;
    }
    e->base = (speaker){
        .name = "espeak-ng",
        .rate = 22050,
        .charge_ms = 20,
        .charge_ms_per_100 = 10,
        .say = say,
        .read = read_samples,
        .stop = stop,
        .close = close_engine,
    };
    e->timeout_ms = options->timeout_ms;
    snprintf(e->voice, sizeof e->voice, "%s", options->voice ? options->voice : "en");
    if (options->words_per_minute > 0)
        snprintf(e->speed, sizeof e->speed, "%d", options->words_per_minute);
    if (!start(e, &e->next, why, why_size)) {
        free(e);
        return NULL;
    }
    return &e->base;
}
