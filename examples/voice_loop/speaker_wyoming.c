/* Synthesis by a Wyoming server, or by a program that has the same events on its standard input and
 * output: synthesize; audio-start, audio-chunk..., audio-stop. */
#define _GNU_SOURCE
#include "engines.h"
#include "pcm_reader.h"
#include "wyoming.h"

#include <stdlib.h>
#include <string.h>

typedef struct wyoming {
    speaker base;
    wyoming_link link;
    char *voice;
    wyoming_event chunk; /* the samples that are given now, from `at` on */
    size_t at;
    bool open;
} wyoming;

static void stop(speaker *s) {
    wyoming *w = (wyoming *)s;
    wyoming_free(&w->chunk);
    w->at = 0;
    w->link.owed += w->open;
    w->open = false;
    wyoming_link_rest(&w->link);
}

static bool say(speaker *s, const char *text, size_t n_text, char *why, size_t why_size) {
    wyoming *w = (wyoming *)s;
    stop(s);
    if (!wyoming_link_open(&w->link, why, why_size))
        return false;
    json_t *data = json_pack("{s:s%}", "text", text, n_text);
    if (data && w->voice)
        json_object_set_new(data, "voice", json_pack("{s:s}", "name", w->voice));
    if (!data)
        return fail(why, why_size, "%s: the text is not UTF-8", w->link.engine);
    w->open = wyoming_link_send(&w->link, "synthesize", data, NULL, 0, why, why_size);
    return w->open;
}

static bool check_format(wyoming *w, const wyoming_event *e, char *why, size_t why_size) {
    json_int_t rate = 0, width = 0, channels = 0;
    json_unpack(e->data, "{s:I, s:I, s:I}", "rate", &rate, "width", &width, "channels", &channels);
    if (width != 2 || channels != 1 || rate < 4000 || rate > 192000 || e->n_payload % 2)
        return fail(
            why, why_size,
            "%s: sound of %d Hz, %d bytes a sample, %d channels in %zu bytes; wanted 4000 to "
            "192000 Hz, 2 bytes, 1 channel, whole samples",
            w->link.engine, (int)rate, (int)width, (int)channels, e->n_payload);
    w->base.rate = (int)rate;
    return true;
}

static long failed(wyoming *w) {
    wyoming_free(&w->chunk);
    wyoming_link_close(&w->link);
    w->open = false;
    return -1;
}

static long read_samples(speaker *s, int16_t *samples, size_t n, char *why, size_t why_size) {
    wyoming *w = (wyoming *)s;
    int64_t deadline = clock_ms() + w->link.timeout_ms;
    while (w->open && w->at == w->chunk.n_payload) {
        wyoming_free(&w->chunk);
        w->at = 0;
        if (clock_ms() > deadline) { /* events come, but no sound */
            fail(why, why_size, "%s: no sound in time", w->link.engine);
            return failed(w);
        }
        if (!wyoming_link_receive(&w->link, &w->chunk, why, why_size))
            return failed(w);
        bool is_chunk = strcmp(w->chunk.type, "audio-chunk") == 0;
        if (strcmp(w->chunk.type, "audio-stop") == 0 &&
            (w->link.owed == 0 || w->link.owed-- == 0)) {
            w->open = false;
            stop(s);
        } else if (!is_chunk || w->link.owed > 0) {
            wyoming_free(&w->chunk);
        } else if (!check_format(w, &w->chunk, why, why_size)) {
            return failed(w);
        }
    }
    size_t left = (w->chunk.n_payload - w->at) / 2;
    if (n > left)
        n = left;
    if (n > 0)
        memcpy(samples, w->chunk.payload + w->at, 2 * n);
    pcm_from_bytes(samples, n);
    w->at += 2 * n;
    return (long)n;
}

static void close_engine(speaker *s) {
    wyoming *w = (wyoming *)s;
    wyoming_free(&w->chunk);
    wyoming_link_free(&w->link);
    free(w->voice);
    free(w);
}

static speaker *open_link(const char *engine, const char *address, char *const *command,
                          const speaker_options *options, char *why, size_t why_size) {
    wyoming *w = calloc(1, sizeof *w);
    if (!w) {
        fail(why, why_size, "%s: out of memory", engine);
        return NULL;
    }
    w->base = (speaker){
        .name = engine,
        .rate = 22050,
        .charge_ms = 100,
        .charge_ms_per_100 = 100,
        .say = say,
        .read = read_samples,
        .stop = stop,
        .close = close_engine,
    };
    bool good =
        wyoming_link_init(&w->link, engine, address, command, options->timeout_ms, why, why_size);
    if (good && options->voice && !(w->voice = strdup(options->voice)))
        good = fail(why, why_size, "%s: out of memory", engine);
    if (good)
        return &w->base;
    close_engine(&w->base);
    return NULL;
}

speaker *speaker_open_wyoming(const speaker_options *options, char *why, size_t why_size) {
    return open_link("wyoming", options->address, NULL, options, why, why_size);
}

speaker *speaker_open_program(const speaker_options *options, char *why, size_t why_size) {
    return open_link("program", NULL, options->command, options, why, why_size);
}
