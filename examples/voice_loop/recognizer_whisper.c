/* Recognition by a whisper.cpp server: the whole utterance goes to it as a WAV file when it is
 * over. */
#define _GNU_SOURCE
#include "engines.h"
#include "stream.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SAMPLES = 60 * RECOGNIZER_RATE, HEADER = 44, MOST_ANSWER = 1 << 16 };
/* Whisper looks at 30 s, 50 steps a second, however little was said; that takes most of its time. It hears
 * as well in as many steps as there is sound, with some to spare, but not in very few. */
enum { STEPS_PER_S = 50, SPARE_STEPS = 128, FEWEST_STEPS = 512, ALL_STEPS = 1500 };

typedef struct whisper {
    recognizer base;
    CURL *curl;
    char *url, *language;
    unsigned char *wav; /* the header, and room for the longest utterance */
    size_t n;           /* samples of it */
    char *answer;       /* MOST_ANSWER bytes */
    size_t n_answer;
    int timeout_ms;
    bool open;
} whisper;

static void put16(unsigned char *to, unsigned v) {
    to[0] = v & 255;
    to[1] = v >> 8 & 255;
}

static void put32(unsigned char *to, unsigned v) {
    put16(to, v & 65535);
    put16(to + 2, v >> 16);
}

static void write_header(unsigned char *wav, unsigned n_bytes) {
    memcpy(wav, "RIFF....WAVEfmt ", 16);
    put32(wav + 4, n_bytes + HEADER - 8);
    put32(wav + 16, 16);
    put16(wav + 20, 1);
    put16(wav + 22, 1);
    put32(wav + 24, RECOGNIZER_RATE);
    put32(wav + 28, 2 * RECOGNIZER_RATE);
    put16(wav + 32, 2);
    put16(wav + 34, 16);
    memcpy(wav + 36, "data", 4);
    put32(wav + 40, n_bytes);
}

static bool begin(recognizer *r, char *why, size_t why_size) {
    whisper *w = (whisper *)r;
    (void)why;
    (void)why_size;
    w->n = 0;
    return (w->open = true);
}

/* What is said after a minute is not heard. */
static bool feed(recognizer *r, const int16_t *samples, size_t n, char *why, size_t why_size) {
    whisper *w = (whisper *)r;
    if (!w->open)
        return fail(why, why_size, "whisper: no utterance was begun");
    for (size_t i = 0; i < n && w->n < MOST_SAMPLES; i++)
        put16(w->wav + HEADER + 2 * w->n++, (uint16_t)samples[i]);
    return true;
}

static size_t receive(char *bytes, size_t one, size_t n, void *context) {
    whisper *w = context;
    if (n > MOST_ANSWER - w->n_answer)
        return 0;
    memcpy(w->answer + w->n_answer, bytes, one * n);
    w->n_answer += n;
    return n;
}

static bool add_part(curl_mime *form, const char *name, const char *text) {
    curl_mimepart *part = curl_mime_addpart(form);
    return part && curl_mime_name(part, name) == CURLE_OK &&
           curl_mime_data(part, text, CURL_ZERO_TERMINATED) == CURLE_OK;
}

/* The form as whisper.cpp's server reads it. */
static curl_mime *form_of(whisper *w) {
    char steps[16];
    size_t n_steps = w->n * STEPS_PER_S / RECOGNIZER_RATE + SPARE_STEPS;
    n_steps = n_steps < FEWEST_STEPS ? FEWEST_STEPS : n_steps > ALL_STEPS ? ALL_STEPS : n_steps;
    snprintf(steps, sizeof steps, "%zu", n_steps);
    curl_mime *form = curl_mime_init(w->curl);
    curl_mimepart *file = form ? curl_mime_addpart(form) : NULL;
    write_header(w->wav, (unsigned)(2 * w->n));
    if (file && curl_mime_name(file, "file") == CURLE_OK &&
        curl_mime_filename(file, "utterance.wav") == CURLE_OK &&
        curl_mime_type(file, "audio/wav") == CURLE_OK &&
        curl_mime_data(file, (char *)w->wav, HEADER + 2 * w->n) == CURLE_OK &&
        add_part(form, "response_format", "json") && add_part(form, "temperature", "0.0") &&
        add_part(form, "audio_ctx", steps) &&
        (!w->language || add_part(form, "language", w->language)))
        return form;
    curl_mime_free(form);
    return NULL;
}

static bool post(whisper *w, char *why, size_t why_size) {
    char error[CURL_ERROR_SIZE] = "";
    long status = 0;
    curl_mime *form = form_of(w);
    if (!form)
        return fail(why, why_size, "whisper: out of memory");
    w->n_answer = 0;
    curl_easy_setopt(w->curl, CURLOPT_MIMEPOST, form);
    curl_easy_setopt(w->curl, CURLOPT_ERRORBUFFER, error);
    CURLcode code = curl_easy_perform(w->curl);
    curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_setopt(w->curl, CURLOPT_MIMEPOST, NULL);
    curl_easy_setopt(w->curl, CURLOPT_ERRORBUFFER, NULL);
    curl_mime_free(form);
    if (code != CURLE_OK)
        return fail(why, why_size, "whisper: %.100s: %.200s", w->url,
                    error[0] ? error : curl_easy_strerror(code));
    return status == 200 ||
           fail(why, why_size, "whisper: %.100s: HTTP status %ld, wanted 200", w->url, status);
}

/* One line, without what is no speech: "[BLANK_AUDIO]", "(wind blowing)". */
static void copy_speech(const char *from, char *text, size_t size) {
    size_t n = 0;
    char closing = 0;
    for (; *from && n + 1 < size; from++) {
        if (closing) {
            closing = *from == closing ? 0 : closing;
            continue;
        }
        char close = *from == '[' ? ']' : *from == '(' ? ')' : 0;
        if (close && strchr(from, close)) {
            closing = close;
            continue;
        }
        char c = (unsigned char)*from < ' ' ? ' ' : *from;
        if (c != ' ' || (n > 0 && text[n - 1] != ' '))
            text[n++] = c;
    }
    while (n > 0 && text[n - 1] == ' ')
        n--;
    text[n] = 0;
}

/* Of all that was fed. */
static bool partial(recognizer *r, char *text, size_t size, char *why, size_t why_size) {
    whisper *w = (whisper *)r;
    if (!w->open)
        return fail(why, why_size, "whisper: no utterance was begun");
    if (!post(w, why, why_size))
        return false;
    json_t *answer = json_loadb(w->answer, w->n_answer, 0, NULL);
    const char *heard = json_string_value(json_object_get(answer, "text"));
    if (heard)
        copy_speech(heard, text, size);
    bool good = heard || fail(why, why_size, "whisper: %.100s: its answer has no text", w->url);
    json_decref(answer);
    return good;
}

static bool finish(recognizer *r, char *text, size_t size, char *why, size_t why_size) {
    bool done = partial(r, text, size, why, why_size);
    ((whisper *)r)->open = false;
    return done;
}

static void cancel(recognizer *r) {
    ((whisper *)r)->open = false;
}

static void close_engine(recognizer *r) {
    whisper *w = (whisper *)r;
    if (w->curl)
        curl_easy_cleanup(w->curl);
    free(w->url);
    free(w->language);
    free(w->wav);
    free(w->answer);
    free(w);
}

/* The address, and "/inference" where it has no path. */
static char *url_of(const char *address) {
    const char *host = strstr(address, "://");
    const char *path = strchr(host ? host + 3 : address, '/');
    char *url = NULL;
    if (asprintf(&url, "%s%s%s", host ? "" : "http://", address,
                 !path     ? "/inference"
                 : path[1] ? ""
                           : "inference") < 0)
        return NULL;
    return url;
}

recognizer *recognizer_open_whisper(const recognizer_options *options, char *why, size_t why_size) {
    whisper *w = calloc(1, sizeof *w);
    if (w) {
        w->base = (recognizer){
            .name = "whisper",
            .charge_ms = 300,
            .charge_ms_per_s = 60,
            .begin = begin,
            .feed = feed,
            .partial = partial,
            .finish = finish,
            .cancel = cancel,
            .close = close_engine,
        };
        w->timeout_ms = options->timeout_ms;
        w->curl = curl_easy_init();
        w->url = url_of(options->address ? options->address : "http://127.0.0.1:8080");
        w->language = options->language ? strdup(options->language) : NULL;
        w->wav = malloc(HEADER + 2 * MOST_SAMPLES);
        w->answer = malloc(MOST_ANSWER);
    }
    if (!w || !w->curl || !w->url || (options->language && !w->language) || !w->wav || !w->answer) {
        fail(why, why_size, "whisper: out of memory");
        if (w)
            close_engine(&w->base);
        return NULL;
    }
    curl_easy_setopt(w->curl, CURLOPT_URL, w->url);
    curl_easy_setopt(w->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(w->curl, CURLOPT_NOPROXY, "127.0.0.1,localhost");
    curl_easy_setopt(w->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(w->curl, CURLOPT_TIMEOUT_MS, (long)w->timeout_ms);
    curl_easy_setopt(w->curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(w->curl, CURLOPT_WRITEDATA, w);
    return &w->base;
}
