#define _GNU_SOURCE
#include "engines.h"
#include "stream.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What is no louder is silence, and so much of it a pause. */
enum { WORD_MS = 300, QUIET = 300, PAUSE_MS = 150 };

static const char WHOLE[] = "!whole|", DOUBT[] = "!doubt ";

typedef struct fake {
    recognizer base;
    char *script;
    size_t at; /* in the script, where the present or next utterance begins */
    size_t heard, quiet; /* samples: of the utterance, of the present silence */
    int n_parts;         /* of what was said: as many as pauses, and one */
    int timeout_ms;
    bool open, doubted;
} fake;

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* The first `words` words of the first `parts` parts (at least one) of the present utterance, from
 * `skip` bytes on. */
static void copy_words(const fake *f, size_t skip, size_t words, int parts, char *text, size_t size) {
    const char *from = f->script + f->at + skip;
    size_t n = 0;
    for (; *from && *from != '|' && n + 1 < size; from++) {
        if (*from == '/' && --parts == 0)
            break;
        if (*from == ' ' && --words == 0)
            break;
        if (*from != '/')
            text[n++] = *from;
    }
    text[n] = 0;
}

static bool is(const fake *f, const char *word) {
    return strncmp(f->script + f->at, word, strlen(word)) == 0;
}

/* Ends the utterance: the next one is that behind the '|', or the first. */
static void step(fake *f) {
    const char *bar = strchr(f->script + f->at, '|');
    f->at = bar ? (size_t)(bar - f->script) + 1 : 0;
    f->open = false;
}

static bool begin(recognizer *r, char *why, size_t why_size) {
    fake *f = (fake *)r;
    (void)why;
    (void)why_size;
    f->open = true;
    f->heard = f->quiet = 0;
    f->n_parts = 0;
    return true;
}

static bool feed(recognizer *r, const int16_t *samples, size_t n, char *why, size_t why_size) {
    fake *f = (fake *)r;
    if (!f->open)
        return fail(why, why_size, "fake: no utterance was begun");
    f->heard += n;
    for (size_t i = 0; i < n; i++) {
        bool loud = samples[i] > QUIET || samples[i] < -QUIET;
        f->n_parts += loud && (f->n_parts == 0 || f->quiet >= RECOGNIZER_RATE * PAUSE_MS / 1000);
        f->quiet = loud ? 0 : f->quiet + 1;
    }
    if (is(f, "!die") && f->heard >= RECOGNIZER_RATE / 2) {
        step(f);
        return fail(why, why_size, "fake: it died");
    }
    return true;
}

static bool partial(recognizer *r, char *text, size_t size, char *why, size_t why_size) {
    fake *f = (fake *)r;
    (void)why;
    (void)why_size;
    size_t words = r->streams ? f->heard / (RECOGNIZER_RATE * WORD_MS / 1000) : SIZE_MAX;
    text[0] = 0;
    if (f->open && words > 0 && is(f, DOUBT))
        copy_words(f, strlen(DOUBT), words, f->n_parts, text, size);
    else if (f->open && words > 0 && !is(f, "!"))
        copy_words(f, 0, words, f->n_parts, text, size);
    return true;
}

static bool finish(recognizer *r, char *text, size_t size, char *why, size_t why_size) {
    fake *f = (fake *)r;
    bool hangs = is(f, "!hang"), dies = is(f, "!die");
    size_t skip = 0;
    if (!f->open)
        return fail(why, why_size, "fake: no utterance was begun");
    if (is(f, "!late ")) {
        char *behind;
        sleep_ms(strtol(f->script + f->at + 6, &behind, 10));
        skip = (size_t)(behind - (f->script + f->at)) + (*behind == ' ');
    }
    f->doubted = is(f, DOUBT);
    if (f->doubted)
        skip = strlen(DOUBT);
    copy_words(f, skip, SIZE_MAX, INT_MAX, text, size);
    step(f);
    if (hangs)
        sleep_ms(f->timeout_ms);
    return (!hangs && !dies) ||
           fail(why, why_size, "fake: %s", dies ? "it died" : "no answer in time");
}

static bool doubts(const recognizer *r) {
    return ((const fake *)r)->doubted;
}

static void cancel(recognizer *r) {
    fake *f = (fake *)r;
    if (f->open)
        step(f);
}

static void close_engine(recognizer *r) {
    fake *f = (fake *)r;
    free(f->script);
    free(f);
}

recognizer *recognizer_open_fake(const recognizer_options *options, char *why, size_t why_size) {
    fake *f = calloc(1, sizeof *f);
    const char *address = options->address ? options->address : "";
    bool whole = strncmp(address, WHOLE, strlen(WHOLE)) == 0;
    char *script = strdup(address + (whole ? strlen(WHOLE) : 0));
    if (!f || !script) {
        fail(why, why_size, "fake: out of memory");
        free(script);
        free(f);
        return NULL;
    }
    *f = (fake){
        .base = {.name = "fake",
                 .streams = !whole,
                 .charge_ms = 100,
                 .begin = begin,
                 .feed = feed,
                 .partial = partial,
                 .finish = finish,
                 .doubts = doubts,
                 .cancel = cancel,
                 .close = close_engine},
        .script = script,
        .timeout_ms = options->timeout_ms,
    };
    return &f->base;
}
