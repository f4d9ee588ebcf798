/* Recognition by a Wyoming server, or by a program that has the same events on its standard input
 * and output: transcribe, audio-start, audio-chunk..., audio-stop; transcript, and before it, where
 * the engine streams, transcript-chunk.
 *
 * Most do not stream, and tell something only when the sound is over. So in a pause the sound is ended
 * for their sake; should more be said, they get all of it again, from memory. */
#define _GNU_SOURCE
#include "engines.h"
#include "wyoming.h"

#include <stdlib.h>
#include <string.h>

/* A longer utterance than that is not asked about in pauses. */
enum { TEXT_SIZE = 4096, MOST_SAMPLES = 40 * RECOGNIZER_RATE };

typedef struct wyoming {
    recognizer base;
    wyoming_link link;
    char *language;
    char heard[TEXT_SIZE]; /* of the pieces that came so far */
    bool open;
    bool streams; /* a piece came before the end of the sound */
    bool ended;   /* for the engine; what was fed since it does not have */
    int16_t *sound; /* of the utterance */
    size_t n_sound;
} wyoming;

static json_t *audio_format(void) {
    return json_pack("{s:i, s:i, s:i}", "rate", RECOGNIZER_RATE, "width", 2, "channels", 1);
}

static bool begin_sound(wyoming *w, char *why, size_t why_size) {
    w->heard[0] = 0;
    w->ended = false;
    if (!wyoming_link_open(&w->link, why, why_size))
        return false;
    json_t *data = w->language ? json_pack("{s:s}", "language", w->language) : NULL;
    return wyoming_link_send(&w->link, "transcribe", data, NULL, 0, why, why_size) &&
           wyoming_link_send(&w->link, "audio-start", audio_format(), NULL, 0, why, why_size);
}

static bool begin(recognizer *r, char *why, size_t why_size) {
    wyoming *w = (wyoming *)r;
    w->n_sound = 0;
    w->open = begin_sound(w, why, why_size);
    return w->open;
}

static bool send_sound(wyoming *w, const int16_t *samples, size_t n, char *why, size_t why_size) {
    unsigned char bytes[2 * 1024];
    for (size_t m; n > 0; samples += m, n -= m) {
        m = n < 1024 ? n : 1024;
        for (size_t i = 0; i < m; i++) {
            bytes[2 * i] = (unsigned char)((uint16_t)samples[i] & 255);
            bytes[2 * i + 1] = (unsigned char)((uint16_t)samples[i] >> 8);
        }
        if (!wyoming_link_send(&w->link, "audio-chunk", audio_format(), bytes, 2 * m, why, why_size))
            return false;
    }
    return true;
}

static bool feed(recognizer *r, const int16_t *samples, size_t n, char *why, size_t why_size) {
    wyoming *w = (wyoming *)r;
    if (!w->open)
        return fail(why, why_size, "%s: no utterance was begun", w->link.engine);
    bool fits = n <= MOST_SAMPLES && w->n_sound <= MOST_SAMPLES - n;
    if (fits)
        memcpy(w->sound + w->n_sound, samples, n * sizeof *samples);
    w->n_sound = fits ? w->n_sound + n : SIZE_MAX;
    if (w->ended) {
        w->heard[0] = 0; /* that was not all */
        w->open = fits || fail(why, why_size, "%s: too much was said", w->link.engine);
    } else {
        w->open = send_sound(w, samples, n, why, why_size);
    }
    return w->open;
}

static void copy_text(const char *from, char *text, size_t size) {
    while (*from == ' ' || *from == '\n')
        from++;
    size_t n = 0;
    for (; from[n] && n + 1 < size; n++)
        text[n] = (unsigned char)from[n] < ' ' ? ' ' : from[n];
    while (n > 0 && text[n - 1] == ' ')
        n--;
    text[n] = 0;
}

/* Takes an event; true where it was the transcript of this utterance, which is then in `heard`. */
static bool take_event(wyoming *w, const wyoming_event *e) {
    const char *text = json_string_value(json_object_get(e->data, "text"));
    if (strcmp(e->type, "transcript-chunk") == 0 && w->link.owed == 0 && text) {
        w->streams = w->streams || !w->ended;
        size_t n = strlen(w->heard);
        if (n + 2 < sizeof w->heard) { /* else there is no room for a blank and more */
            copy_text(text, w->heard + n + (n > 0), sizeof w->heard - n - 1);
            if (n > 0)
                w->heard[n] = ' ';
        }
    }
    if (strcmp(e->type, "transcript") != 0 || (w->link.owed > 0 && w->link.owed-- > 0))
        return false;
    copy_text(text ? text : "", w->heard, sizeof w->heard);
    return true;
}

static bool partial(recognizer *r, char *text, size_t size, char *why, size_t why_size) {
    wyoming *w = (wyoming *)r;
    wyoming_event e;
    text[0] = 0;
    while (w->open && w->link.open && !w->ended &&
           stream_has_line(wyoming_link_stream(&w->link), why, why_size)) {
        if (!wyoming_link_receive(&w->link, &e, why, why_size)) {
            w->open = false;
            return false;
        }
        take_event(w, &e);
        wyoming_free(&e);
    }
    copy_text(w->heard, text, size);
    return true;
}

/* Ends the sound and waits for what was heard. */
static bool ask(wyoming *w, char *text, size_t size, char *why, size_t why_size) {
    wyoming_event e;
    bool done = false;
    int64_t deadline = clock_ms() + w->link.timeout_ms;
    bool has_all = !w->ended || (begin_sound(w, why, why_size) &&
                                 send_sound(w, w->sound, w->n_sound, why, why_size));
    w->ended = true;
    if (!has_all)
        return false;
    if (!wyoming_link_send(&w->link, "audio-stop", NULL, NULL, 0, why, why_size))
        return false;
    while (!done) {
        if (clock_ms() > deadline) { /* events come, but not the one that is wanted */
            wyoming_link_close(&w->link);
            return fail(why, why_size, "%s: no transcript in time", w->link.engine);
        }
        if (!wyoming_link_receive(&w->link, &e, why, why_size))
            return false;
        done = take_event(w, &e);
        wyoming_free(&e);
    }
    copy_text(w->heard, text, size);
    wyoming_link_rest(&w->link);
    return true;
}

static bool settle(recognizer *r, char *text, size_t size, char *why, size_t why_size) {
    wyoming *w = (wyoming *)r;
    if (w->streams || !w->open || w->n_sound > MOST_SAMPLES)
        return partial(r, text, size, why, why_size);
    return ask(w, text, size, why, why_size);
}

static bool finish(recognizer *r, char *text, size_t size, char *why, size_t why_size) {
    wyoming *w = (wyoming *)r;
    bool was_open = w->open;
    w->open = false;
    if (!was_open)
        return fail(why, why_size, "%s: no utterance was begun", w->link.engine);
    return ask(w, text, size, why, why_size);
}

static void cancel(recognizer *r) {
    wyoming *w = (wyoming *)r;
    char why[300];
    if (w->open && !w->ended && w->link.command &&
        wyoming_link_send(&w->link, "audio-stop", NULL, NULL, 0, why, sizeof why))
        w->link.owed++;
    w->open = false;
    wyoming_link_rest(&w->link);
}

static void close_engine(recognizer *r) {
    wyoming *w = (wyoming *)r;
    wyoming_link_free(&w->link);
    free(w->language);
    free(w->sound);
    free(w);
}

static recognizer *open_link(const char *engine, const char *address, char *const *command,
                             const recognizer_options *options, char *why, size_t why_size) {
    wyoming *w = calloc(1, sizeof *w);
    int16_t *sound = w ? malloc(MOST_SAMPLES * sizeof *sound) : NULL;
    if (!sound) {
        fail(why, why_size, "%s: out of memory", engine);
        free(w);
        return NULL;
    }
    w->sound = sound;
    w->base = (recognizer){
        .name = engine,
        .streams = true,
        .charge_ms = 200,
        .charge_ms_per_s = 50,
        .begin = begin,
        .feed = feed,
        .partial = partial,
        .settle = settle,
        .finish = finish,
        .cancel = cancel,
        .close = close_engine,
    };
    bool good =
        wyoming_link_init(&w->link, engine, address, command, options->timeout_ms, why, why_size);
    if (good && options->language && !(w->language = strdup(options->language)))
        good = fail(why, why_size, "%s: out of memory", engine);
    if (good)
        return &w->base;
    close_engine(&w->base);
    return NULL;
}

recognizer *recognizer_open_wyoming(const recognizer_options *options, char *why, size_t why_size) {
    return open_link("wyoming", options->address, NULL, options, why, why_size);
}

recognizer *recognizer_open_program(const recognizer_options *options, char *why, size_t why_size) {
    return open_link("program", NULL, options->command, options, why, why_size);
}
