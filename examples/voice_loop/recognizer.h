/* Speech recognition behind one small seam.
 *
 * Sound goes in as 16-bit samples of one channel at 16 kHz; text comes out as UTF-8 on one line.
 * An utterance is begin, feed as often as wanted (partial in between), then finish or cancel. Calls
 * of one recognizer come from one thread at a time; none of them waits longer than the recognizer's
 * `timeout_ms`. A call that returns false has written why into `why`; the utterance is then over, and
 * the next begin starts the engine again where it died. */
#ifndef SLM_VOICE_RECOGNIZER_H
#define SLM_VOICE_RECOGNIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RECOGNIZER_RATE = 16000 };

typedef struct recognizer recognizer;

struct recognizer {
    const char *name; /* "pocketsphinx", "whisper", "wyoming", "program", "fake" */
    bool streams;     /* partial costs little; else it is settle, and asked for in pauses alone */
    /* What finishing is charged on the virtual clock: fixed, and per second of the utterance. So is
     * settle. */
    int charge_ms, charge_ms_per_s;
    bool (*begin)(recognizer *r, char *why, size_t why_size);
    bool (*feed)(recognizer *r, const int16_t *samples, size_t n, char *why, size_t why_size);
    /* The best text so far, "" where there is none yet, or none of what came behind a settle. */
    bool (*partial)(recognizer *r, char *text, size_t size, char *why, size_t why_size);
    /* What finish would say if nothing more came; more may come. Where it fails the utterance is not
     * over. NULL: partial does that where it does not stream, and nothing does where it does. */
    bool (*settle)(recognizer *r, char *text, size_t size, char *why, size_t why_size);
    /* The final text, "" where nothing was understood. */
    bool (*finish)(recognizer *r, char *text, size_t size, char *why, size_t why_size);
    /* Of the text that settle or finish gave last: whether something else was said, probably. NULL: the
     * engine cannot tell. */
    bool (*doubts)(const recognizer *r);
    void (*cancel)(recognizer *r);
    void (*close)(recognizer *r);
};

typedef struct recognizer_options {
    const char *engine;      /* as in name; NULL: pocketsphinx */
    const char *address;     /* whisper, wyoming: http://host:port/path or host:port */
    char *const *command;    /* program: an argument vector ending in NULL, never a shell's line */
    const char *language;    /* "en"; NULL: the engine's own */
    const char *data_folder; /* pocketsphinx: where the household's words and language model lie */
    int timeout_ms;          /* 0: 5,000 */
} recognizer_options;

/* NULL where the engine cannot be used, with the reason in `why`. */
recognizer *recognizer_open(const recognizer_options *options, char *why, size_t why_size);

#endif
