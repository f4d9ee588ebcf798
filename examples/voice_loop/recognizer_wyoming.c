/* Recognition by a Wyoming server, or by a program that has the same events on its standard input
 * and output: transcribe, audio-start, audio-chunk..., audio-stop; transcript, and before it, where
 * the engine streams, transcript-chunk. */
#define _GNU_SOURCE
#include "engines.h"
#include "wyoming.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_SIZE = 4096 };

typedef struct wyoming {
    recognizer base;
    wyoming_link link;
    char *language;
    char heard[TEXT_SIZE]; /* of the pieces that came so far */
    bool open;
} wyoming;

static json_t *audio_format(void) {
    return json_pack("{s:i, s:i, s:i}", "rate", RECOGNIZER_RATE, "width", 2, "channels", 1);
}

static bool begin(recognizer *r, char *why, size_t why_size) {
    wyoming *w = (wyoming *)r;
    w->heard[0] = 0;
    if (!wyoming_link_open(&w->link, why, why_size))
        return false;
    json_t *data = w->language ? json_pack("{s:s}", "language", w->language) : NULL;
    w->open = wyoming_link_send(&w->link, "transcribe", data, NULL, 0, why, why_size) &&
              wyoming_link_send(&w->link, "audio-start", audio_format(), NULL, 0, why, why_size);
    return w->open;
}

static bool feed(recognizer *r, const int16_t *samples, size_t n, char *why, size_t why_size) {
    wyoming *w = (wyoming *)r;
    unsigned char bytes[2 * 1024];
    if (!w->open)
        return fail(why, why_size, "%s: no utterance was begun", w->link.engine);
    while (n > 0 && w->open) {
        size_t m = n < 1024 ? n : 1024;
        for (size_t i = 0; i < m; i++) {
            bytes[2 * i] = (unsigned char)((uint16_t)samples[i] & 255);
            bytes[2 * i + 1] = (unsigned char)((uint16_t)samples[i] >> 8);
        }
        w->open =
            wyoming_link_send(&w->link, "audio-chunk", audio_format(), bytes, 2 * m, why, why_size);
        samples += m;
        n -= m;
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
        size_t n = strlen(w->heard);
        copy_text(text, w->heard + n + (n > 0), sizeof w->heard - n - 1);
        if (n > 0)
            w->heard[n] = ' ';
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
    while (w->open && w->link.open &&
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

static bool finish(recognizer *r, char *text, size_t size, char *why, size_t why_size) {
    wyoming *w = (wyoming *)r;
    wyoming_event e;
    bool was_open = w->open, done = false;
    int64_t deadline = clock_ms() + w->link.timeout_ms;
    w->open = false;
    if (!was_open)
        return fail(why, why_size, "%s: no utterance was begun", w->link.engine);
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

static void cancel(recognizer *r) {
    wyoming *w = (wyoming *)r;
    char why[300];
    if (w->open && w->link.command &&
        wyoming_link_send(&w->link, "audio-stop", NULL, NULL, 0, why, sizeof why))
        w->link.owed++;
    w->open = false;
    wyoming_link_rest(&w->link);
}

static void close_engine(recognizer *r) {
    wyoming *w = (wyoming *)r;
    wyoming_link_free(&w->link);
    free(w->language);
    free(w);
}

static recognizer *open_link(const char *engine, const char *address, char *const *command,
                             const recognizer_options *options, char *why, size_t why_size) {
    wyoming *w = calloc(1, sizeof *w);
    if (!w) {
        fail(why, why_size, "%s: out of memory", engine);
        return NULL;
    }
    w->base = (recognizer){
        .name = engine,
        .streams = true,
        .charge_ms = 200,
        .charge_ms_per_s = 50,
        .begin = begin,
        .feed = feed,
        .partial = partial,
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
