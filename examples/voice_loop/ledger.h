/* The ledger: what happened when, turn by turn; as lines of JSON, as a table, and as a picture. */
#ifndef SLM_VOICE_LEDGER_H
#define SLM_VOICE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A text that grows. */
typedef struct long_text {
    char *data; /* NUL-terminated, or NULL while it is empty */
    size_t n;
} long_text;
bool text_add(long_text *t, const char *data, size_t n);
const char *text_get(const long_text *t);
void text_free(long_text *t);

/* Times are milliseconds on the clock, -1 where they did not come to be. */
typedef struct turn {
    uint32_t id;
    long_text transcript, answer;
    long_text also_said; /* what was spoken and is not the model's: questions, fillers, excuses */
    long_text calls;    /* of tools, a line each */
    long_text error;
    double speech_start, speech_end, vad_end, asr, first_token, first_clause, synthesis;
    double first_audio, last_audio;
    double begun;        /* of the model: with the final transcript, or before by a guess */
    double barge_in, silent;
    bool interrupted, had_effect;
    int resumed;         /* times that it stopped for what was no interruption */
    int guesses;         /* times that the model began in a pause, for nothing or not */
    uint64_t spoken;     /* bytes of the answer */
    int64_t ahead, reused, evaluated; /* tokens */
    struct {
        double asr, first_token, first_clause, first_audio;
    } measured;
} turn;

void turn_init(turn *t, uint32_t id);
void turn_free(turn *t);

typedef struct turn_ledger {
    FILE *json;  /* NULL: none; stays the caller's */
    FILE *table; /* likewise */
    FILE *picture; /* likewise; written when the ledger is closed */
    turn *turns; /* kept for the picture */
    size_t n, cap;
    uint64_t n_written;
    bool failed; /* a line could not be written */
} turn_ledger;

/* Takes the turn over and leaves it empty. */
void ledger_add(turn_ledger *l, turn *t);
void ledger_close(turn_ledger *l);

/* ledger_picture.c */
void ledger_draw(FILE *f, const turn *turns, size_t n);

#endif
