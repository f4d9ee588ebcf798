#include "wav.h"

#include "stream.h"

#include <math.h>
#include <sndfile.h>
#include <speex/speex_resampler.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES = 1024, RESAMPLER_QUALITY = 7, LOWEST_RATE = 8000, HIGHEST_RATE = 48000 };

struct wav_reader {
    SNDFILE *file;
    int channels, rate;
    SpeexResamplerState *resampler; /* NULL at LINE_RATE */
    float *frames;                  /* as the file has them */
    float in[FRAMES];               /* the first channel, */
    size_t at, n;                   /* of which these are still to be taken */
    uint64_t n_in, n_out;
    bool ended;
};

static bool is_wave(const SF_INFO *info) {
    int container = info->format & SF_FORMAT_TYPEMASK;
    return container == SF_FORMAT_WAV || container == SF_FORMAT_WAVEX;
}

static bool is_plain(const SF_INFO *info) {
    switch (info->format & SF_FORMAT_SUBMASK) {
    case SF_FORMAT_PCM_16:
    case SF_FORMAT_PCM_24:
    case SF_FORMAT_PCM_32:
    case SF_FORMAT_FLOAT:
    case SF_FORMAT_DOUBLE:
        return true;
    default:
        return false;
    }
}

/* libsndfile's texts end in a full stop or a new line at times. */
static void library_failed(const char *path, SNDFILE *file, char *why, size_t why_size) {
    const char *text = sf_strerror(file);
    fail(why, why_size, "%s: %.*s", path, (int)strcspn(text, "\n"), text);
}

static bool check(const char *path, const SF_INFO *info, char *why, size_t why_size) {
    if (!is_wave(info))
        return fail(why, why_size, "%s: got another kind of sound file, wanted WAV", path);
    if (!is_plain(info))
        return fail(why, why_size, "%s: got encoding 0x%x, wanted PCM of 16 bits or float", path,
                    (unsigned)info->format);
    if (info->samplerate < LOWEST_RATE || info->samplerate > HIGHEST_RATE)
        return fail(why, why_size, "%s: got %d samples a second, wanted %d to %d", path,
                    info->samplerate, LOWEST_RATE, HIGHEST_RATE);
    if (info->channels < 1)
        return fail(why, why_size, "%s: got %d channels, wanted 1 or more", path, info->channels);
    return true;
}

wav_reader *wav_reader_open(const char *path, char *why, size_t why_size) {
    SF_INFO info = {0};
    int error = 0;
    SNDFILE *file = sf_open(path, SFM_READ, &info);
    if (!file) {
        library_failed(path, NULL, why, why_size);
        return NULL;
    }
    if (!check(path, &info, why, why_size)) {
        sf_close(file);
        return NULL;
    }
    wav_reader *r = calloc(1, sizeof *r);
    if (r) {
        r->file = file;
        r->channels = info.channels;
        r->rate = info.samplerate;
        r->frames = malloc(sizeof(float) * FRAMES * (size_t)info.channels);
        if (info.samplerate != LINE_RATE)
            r->resampler = speex_resampler_init(1, (spx_uint32_t)info.samplerate, LINE_RATE,
                                                RESAMPLER_QUALITY, &error);
        if (r->resampler)
            speex_resampler_skip_zeros(r->resampler);
    }
    if (!r || !r->frames || error != 0) {
        fail(why, why_size, "%s: no memory to read it", path);
        if (r)
            wav_reader_close(r);
        else
            sf_close(file);
        return NULL;
    }
    return r;
}

void wav_reader_close(wav_reader *r) {
    if (!r)
        return;
    sf_close(r->file);
    if (r->resampler)
        speex_resampler_destroy(r->resampler);
    free(r->frames);
    free(r);
}

/* Behind the end come zeros, for what the resampler still holds. */
static void refill(wav_reader *r) {
    sf_count_t n = r->ended ? 0 : sf_readf_float(r->file, r->frames, FRAMES);
    r->at = 0;
    if (n <= 0) {
        r->ended = true;
        memset(r->in, 0, sizeof r->in);
        r->n = FRAMES;
        return;
    }
    for (sf_count_t i = 0; i < n; i++) {
        float x = r->frames[i * r->channels];
        r->in[i] = isfinite(x) ? fmaxf(-1, fminf(x, 1)) : 0;
    }
    r->n = (size_t)n;
    r->n_in += (uint64_t)n;
}

static size_t convert(wav_reader *r, float *x, size_t n) {
    if (r->at == r->n)
        refill(r);
    spx_uint32_t n_in = (spx_uint32_t)(r->n - r->at), n_out = (spx_uint32_t)n;
    if (r->resampler) {
        speex_resampler_process_float(r->resampler, 0, r->in + r->at, &n_in, x, &n_out);
    } else {
        n_in = n_out = n_in < n_out ? n_in : n_out;
        memcpy(x, r->in + r->at, n_in * sizeof *x);
    }
    r->at += n_in;
    return n_out;
}

size_t wav_read(wav_reader *r, int16_t *x, size_t n) {
    float piece[FRAMES];
    size_t done = 0;
    while (done < n) {
        size_t want = n - done < FRAMES ? n - done : FRAMES;
        size_t got = convert(r, piece, want);
        uint64_t all = (r->n_in * LINE_RATE + (uint64_t)r->rate - 1) / (uint64_t)r->rate;
        if (r->ended && r->n_out + got > all)
            got = all > r->n_out ? (size_t)(all - r->n_out) : 0;
        for (size_t i = 0; i < got; i++)
            x[done + i] = (int16_t)lrintf(fmaxf(-32768, fminf(piece[i] * 32768, 32767)));
        done += got;
        r->n_out += got;
        if (r->ended && r->n_out >= all)
            break;
    }
    return done;
}

struct wav_writer {
    SNDFILE *file;
    char *path;
    bool failed;
};

wav_writer *wav_writer_open(const char *path, char *why, size_t why_size) {
    SF_INFO info = {
        .samplerate = LINE_RATE, .channels = 1, .format = SF_FORMAT_WAV | SF_FORMAT_PCM_16};
    wav_writer *w = calloc(1, sizeof *w + strlen(path) + 1);
    if (!w) {
        fail(why, why_size, "%s: no memory to write it", path);
        return NULL;
    }
    w->path = (char *)(w + 1);
    memcpy(w->path, path, strlen(path) + 1);
    w->file = sf_open(path, SFM_WRITE, &info);
    if (!w->file) {
        library_failed(path, NULL, why, why_size);
        free(w);
        return NULL;
    }
    return w;
}

void wav_write(wav_writer *w, const int16_t *x, size_t n) {
    w->failed = w->failed || sf_write_short(w->file, x, (sf_count_t)n) != (sf_count_t)n;
}

bool wav_writer_close(wav_writer *w, char *why, size_t why_size) {
    if (w->failed)
        library_failed(w->path, w->file, why, why_size);
    bool good = !w->failed;
    if (sf_close(w->file) != 0 && good)
        good = fail(why, why_size, "%s: could not be written whole", w->path);
    free(w);
    return good;
}
