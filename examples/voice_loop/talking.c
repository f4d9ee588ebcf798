#include "talking.h"

#include "stream.h"

#include <speex/speex_resampler.h>
#include <stdlib.h>
#include <string.h>

/* A chunk of the speaker's, and what it can become at the line's rate. */
enum { CHUNK = 2048, LOWEST_RATE = 4000, CONVERTED = CHUNK * (LINE_RATE / LOWEST_RATE) + 64 };
/* The slowest speech takes no longer; a voice that goes on and on is stopped. */
enum { LONGEST_MS = 10000, LONGEST_MS_PER_BYTE = 300 };
enum { RESAMPLER_QUALITY = 5, WHY_SIZE = 256 };

static void end(talking *t, int type, const char *why) {
    t->speaking = false;
    t->n_quiet = 0;
    repeats_end(&t->repeats, type == TALKED_END);
    stage_post(&t->stage, message_text(type, t->id, why, strlen(why)));
}

static void give_up(talking *t, const char *why) {
    t->speaker->stop(t->speaker);
    end(t, TALKED_FAILED, why);
}

static bool is_quiet(int16_t x) {
    return x > -QUIETEST && x < QUIETEST;
}

static bool hold_back(talking *t, const int16_t *x, size_t n) {
    if (t->n_quiet + n > t->cap_quiet) {
        size_t cap = 2 * (t->n_quiet + n);
        int16_t *grown = realloc(t->quiet, cap * sizeof *grown);
        if (!grown)
            return false;
        t->quiet = grown;
        t->cap_quiet = cap;
    }
    memcpy(t->quiet + t->n_quiet, x, n * sizeof *x);
    t->n_quiet += n;
    return true;
}

/* Sound goes out up to its last loud sample; what is behind waits for more. */
static bool deliver(talking *t, const int16_t *x, size_t n) {
    size_t first = 0, last = n;
    while (t->is_first && first < n && is_quiet(x[first]))
        first++;
    while (last > first && is_quiet(x[last - 1]))
        last--;
    if (last > first) {
        message *m = message_samples(TALKED_SOUND, t->id, t->n_quiet + last - first);
        if (!m)
            return false;
        if (t->n_quiet > 0)
            memcpy(m->data.samples, t->quiet, t->n_quiet * sizeof *x);
        memcpy(m->data.samples + t->n_quiet, x + first, (last - first) * sizeof *x);
        if (t->is_first)
            m->measured_ms = (double)(clock_ms() - t->begun_ms);
        t->is_first = false;
        t->n_quiet = 0;
        repeats_add(&t->repeats, m->data.samples, m->n);
        stage_post(&t->stage, m);
    }
    return t->is_first || last == n || hold_back(t, x + last, n - last);
}

static bool prepare_rate(talking *t) {
    int rate = t->speaker->rate, error = 0;
    if (rate == t->rate)
        return true;
    if (rate < LOWEST_RATE || rate > 192000)
        return false;
    if (t->resampler)
        speex_resampler_destroy(t->resampler);
    t->resampler = NULL;
    if (rate != LINE_RATE) {
        t->resampler = speex_resampler_init(1, (spx_uint32_t)rate, LINE_RATE, RESAMPLER_QUALITY,
                                            &error);
        if (!t->resampler)
            return false;
        speex_resampler_skip_zeros(t->resampler);
    }
    t->rate = rate;
    return true;
}

static bool convert(talking *t, const int16_t *x, size_t n) {
    int16_t out[CONVERTED];
    spx_uint32_t n_in = (spx_uint32_t)n, n_out = CONVERTED;
    if (!t->resampler)
        return deliver(t, x, n);
    speex_resampler_process_int(t->resampler, 0, x, &n_in, out, &n_out);
    return deliver(t, out, n_out);
}

/* The end of a text: what the filter still holds. The next text finds it empty. */
static bool drain(talking *t) {
    int16_t zeros[64] = {0};
    bool good = true;
    if (!t->resampler)
        return true;
    for (int left = speex_resampler_get_input_latency(t->resampler); good && left > 0; left -= 64)
        good = convert(t, zeros, left < 64 ? (size_t)left : 64);
    speex_resampler_reset_mem(t->resampler);
    speex_resampler_skip_zeros(t->resampler);
    return good;
}

static bool work(void *self) {
    talking *t = self;
    int16_t chunk[CHUNK];
    char why[WHY_SIZE] = "";
    if (!t->speaking)
        return false;
    long n = t->speaker->read(t->speaker, chunk, CHUNK, why, sizeof why);
    t->sounded_ms += n > 0 && t->speaker->rate > 0 ? 1000.0 * (double)n / t->speaker->rate : 0;
    if (n > 0 && !prepare_rate(t)) {
        give_up(t, "the voice has a rate that cannot be played");
    } else if (t->sounded_ms > t->longest_ms) {
        give_up(t, "what the voice says is too long for the text");
    } else if (n < 0) {
        end(t, TALKED_FAILED, why);
    } else if (!(n > 0 ? convert(t, chunk, (size_t)n) : drain(t))) {
        give_up(t, "no memory for the voice's sound");
    } else if (n == 0) {
        end(t, TALKED_END, "");
    }
    return true;
}

/* False: there is no memory for it. */
static bool say_again(talking *t, const repeat *known) {
    message *m = message_samples(TALKED_SOUND, t->id, known->n);
    if (!m)
        return false;
    memcpy(m->data.samples, known->samples, known->n * sizeof *known->samples);
    stage_post(&t->stage, m);
    end(t, TALKED_END, "");
    return true;
}

static void command(void *self, const message *m) {
    talking *t = self;
    speaker *s = t->speaker;
    char why[WHY_SIZE] = "";
    if (t->speaking) {
        s->stop(s);
        t->speaking = false;
        repeats_end(&t->repeats, false);
        if (t->resampler) {
            speex_resampler_reset_mem(t->resampler);
            speex_resampler_skip_zeros(t->resampler);
        }
    }
    if (m->type != TALK_SAY)
        return;
    t->id = m->id;
    const repeat *known = repeats_find(&t->repeats, m->data.text, m->n);
    if (known && say_again(t, known))
        return;
    t->is_first = t->speaking = true;
    t->n_quiet = 0;
    t->sounded_ms = 0;
    t->longest_ms = LONGEST_MS + LONGEST_MS_PER_BYTE * (double)m->n;
    t->begun_ms = clock_ms();
    bool said = s->say(s, m->data.text, m->n, why, sizeof why);
    stage_charge(&t->stage, s->charge_ms + s->charge_ms_per_100 * (double)m->n / 100.0);
    if (!said)
        end(t, TALKED_FAILED, why);
}

bool talking_open(talking *t, speaker *s, bool is_virtual) {
    static const stage_ops ops = {command, work};
    *t = (talking){.speaker = s, .rate = LINE_RATE};
    return stage_open(&t->stage, "voice", &ops, t, is_virtual);
}

void talking_close(talking *t) {
    stage_close(&t->stage);
    if (t->speaking)
        t->speaker->stop(t->speaker);
    if (t->resampler)
        speex_resampler_destroy(t->resampler);
    free(t->quiet);
    repeats_free(&t->repeats);
    *t = (talking){0};
}
