/* Speech synthesis behind one small seam.
 *
 * One text at a time: say, then read until it returns 0, or stop. Calls of one speaker come from one
 * thread at a time; none of them waits longer than the speaker's `timeout_ms`. A failure (-1, false)
 * has written why into `why`; the text is then over, and the next say starts the engine again where it
 * died. */
#ifndef SLM_VOICE_SPEAKER_H
#define SLM_VOICE_SPEAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct speaker speaker;

struct speaker {
    const char *name; /* "espeak-ng", "piper", "wyoming", "program", "fake" */
    int rate;         /* samples a second of what read gives; known after the first read of a text */
    /* What a text is charged on the virtual clock before its first sample: fixed, and per 100 bytes. */
    int charge_ms, charge_ms_per_100;
    bool (*say)(speaker *s, const char *text, size_t n_text, char *why, size_t why_size);
    /* Up to n samples of 16 bits, one channel; 0: the text is over; -1: failed. */
    long (*read)(speaker *s, int16_t *samples, size_t n, char *why, size_t why_size);
    /* Gives up the present text, if any. */
    void (*stop)(speaker *s);
    void (*close)(speaker *s);
};

typedef struct speaker_options {
    const char *engine;    /* as in name; NULL: espeak-ng */
    const char *address;   /* wyoming: host:port */
    char *const *command;  /* piper, program: an argument vector ending in NULL, never a shell's line */
    const char *voice;     /* NULL: the engine's own ("en" for espeak-ng) */
    int words_per_minute;  /* 0: the engine's own */
    int timeout_ms;        /* 0: 5,000; also the longest wait for a first sample */
} speaker_options;

/* NULL where the engine cannot be used, with the reason in `why`. */
speaker *speaker_open(const speaker_options *options, char *why, size_t why_size);

#endif
