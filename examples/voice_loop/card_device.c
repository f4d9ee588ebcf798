/* The sound card by PortAudio. Its stream blocks, so the line's thread is its thread, and what the card
 * wants is what sets the pace. A device that goes is asked for again every two seconds. */
#define _POSIX_C_SOURCE 200809L

#include "card.h"
#include "pace.h"
#include "stream.h"
#include "wav.h"

#ifdef VOICE_HAVE_PORTAUDIO
#include <portaudio.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 2000 };
/* Enough for a thread that is scheduled late, and less than anybody hears. */
static const double LATENCY_S = 0.04;

typedef struct device {
    card base;
    const char *input, *output;
    card_warn warn;
    void *warn_user;
    PaStream *stream; /* NULL: the device is gone */
    wav_writer *record;
    pace pace;
    int64_t lost_ms;
} device;

static bool is_wanted(const PaDeviceInfo *info, const char *name, bool is_input) {
    int channels = is_input ? info->maxInputChannels : info->maxOutputChannels;
    return channels > 0 && strstr(info->name, name);
}

static PaDeviceIndex find(const char *name, bool is_input) {
    if (!name)
        return is_input ? Pa_GetDefaultInputDevice() : Pa_GetDefaultOutputDevice();
    for (PaDeviceIndex i = 0; i < Pa_GetDeviceCount(); i++)
        if (is_wanted(Pa_GetDeviceInfo(i), name, is_input))
            return i;
    return paNoDevice;
}

static bool open_stream(device *d, char *why, size_t why_size) {
    PaStreamParameters in = {.channelCount = 1, .sampleFormat = paInt16};
    in.suggestedLatency = LATENCY_S;
    PaStreamParameters out = in;
    PaError error = Pa_Initialize();
    if (error != paNoError)
        return fail(why, why_size, "sound: %s", Pa_GetErrorText(error));
    in.device = find(d->input, true);
    out.device = find(d->output, false);
    if (in.device == paNoDevice || out.device == paNoDevice) {
        Pa_Terminate();
        return fail(why, why_size, "sound: got no %s device, wanted %s",
                    in.device == paNoDevice ? "input" : "output",
                    (in.device == paNoDevice ? d->input : d->output) ? "one of the name given"
                                                                     : "one");
    }
    error = Pa_OpenStream(&d->stream, &in, &out, LINE_RATE, LINE_BLOCK, paClipOff, NULL, NULL);
    if (error == paNoError && (error = Pa_StartStream(d->stream)) != paNoError)
        Pa_CloseStream(d->stream);
    if (error == paNoError)
        return true;
    d->stream = NULL;
    Pa_Terminate();
    return fail(why, why_size, "sound: %s", Pa_GetErrorText(error));
}

static void lose(device *d, PaError error) {
    char text[300];
    fail(text, sizeof text, "the sound card is gone (%s); waiting for it", Pa_GetErrorText(error));
    d->warn(d->warn_user, text);
    Pa_AbortStream(d->stream);
    Pa_CloseStream(d->stream);
    Pa_Terminate();
    d->stream = NULL;
    d->lost_ms = clock_ms();
    d->pace = (pace){0};
}

/* PortAudio knows only the devices that were there when it began: it begins anew. */
static void retry(device *d) {
    char why[300];
    if (clock_ms() - d->lost_ms < RETRY_MS)
        return;
    d->lost_ms = clock_ms();
    if (open_stream(d, why, sizeof why))
        d->warn(d->warn_user, "the sound card is there again");
}

/* Samples that were lost on the way are no failure. */
static bool is_lost(PaError error) {
    return error != paNoError && error != paInputOverflowed && error != paOutputUnderflowed;
}

static bool read_block(card *c, int16_t mic[LINE_BLOCK]) {
    device *d = (device *)c;
    if (!d->stream)
        retry(d);
    PaError error = d->stream ? Pa_ReadStream(d->stream, mic, LINE_BLOCK) : paNoError;
    if (is_lost(error))
        lose(d, error);
    if (!d->stream) {
        memset(mic, 0, LINE_BLOCK * sizeof *mic);
        pace_wait(&d->pace);
    }
    return true;
}

static void write_block(card *c, const int16_t out[LINE_BLOCK]) {
    device *d = (device *)c;
    PaError error = d->stream ? Pa_WriteStream(d->stream, out, LINE_BLOCK) : paNoError;
    if (is_lost(error))
        lose(d, error);
    if (d->record)
        wav_write(d->record, out, LINE_BLOCK);
}

static bool close_device(card *c, char *why, size_t why_size) {
    device *d = (device *)c;
    if (d->stream) {
        Pa_AbortStream(d->stream);
        Pa_CloseStream(d->stream);
        Pa_Terminate();
    }
    bool good = !d->record || wav_writer_close(d->record, why, why_size);
    free(d);
    return good;
}

card *card_open_device(const char *input, const char *output, const char *out_path, card_warn warn,
                       void *warn_user, char *why, size_t why_size) {
    device *d = calloc(1, sizeof *d);
    if (!d) {
        fail(why, why_size, "no memory for the sound card");
        return NULL;
    }
    *d = (device){.base = {.read = read_block,
                           .write = write_block,
                           .close = close_device,
                           .has_echo = true},
                  .input = input,
                  .output = output,
                  .warn = warn,
                  .warn_user = warn_user};
    bool good = open_stream(d, why, why_size);
    if (good && out_path)
        good = (d->record = wav_writer_open(out_path, why, why_size)) != NULL;
    if (good)
        return &d->base;
    char ignored[1];
    close_device(&d->base, ignored, sizeof ignored);
    return NULL;
}

bool card_list_devices(FILE *f) {
    if (Pa_Initialize() != paNoError)
        return false;
    for (PaDeviceIndex i = 0; i < Pa_GetDeviceCount(); i++) {
        const PaDeviceInfo *info = Pa_GetDeviceInfo(i);
        fprintf(f, "%s%s  %s\n", info->maxInputChannels > 0 ? "in " : "   ",
                info->maxOutputChannels > 0 ? "out" : "   ", info->name);
    }
    Pa_Terminate();
    return fflush(f) == 0;
}

#else

card *card_open_device(const char *input, const char *output, const char *out_path, card_warn warn,
                       void *warn_user, char *why, size_t why_size) {
    (void)input;
    (void)output;
    (void)out_path;
    (void)warn;
    (void)warn_user;
    fail(why, why_size, "sound: built without PortAudio, wanted --wav-in");
    return NULL;
}

bool card_list_devices(FILE *f) {
    fprintf(f, "built without PortAudio\n");
    return false;
}

#endif
