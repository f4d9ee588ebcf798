/* The stage that speaks: a speaker, its sound brought to the line's rate, without the silence at both
 * ends of a text. */
#ifndef SLM_VOICE_TALKING_H
#define SLM_VOICE_TALKING_H

#include "repeats.h"
#include "speaker.h"
#include "stage.h"

enum { LINE_RATE = 16000, LINE_BLOCK = LINE_RATE / 100 /* 10 ms, a step of the line */ };

/* Commands; id is the clause's. */
enum { TALK_SAY /* text */, TALK_STOP /* whatever is being said */ };
/* Events. */
enum {
    TALKED_SOUND, /* samples at LINE_RATE; of the first ones measured_ms is since the say */
    TALKED_END,   /* of the clause */
    TALKED_FAILED /* text: why; the clause is over */
};

/* What is below is silence: trimmed, and no sound of an answer. */
enum { QUIETEST = 32 };

typedef struct talking {
    stage stage;
    speaker *speaker;
    uint32_t id;
    bool speaking, is_first;
    int64_t begun_ms;
    double sounded_ms, longest_ms; /* of the text's sound: so far, and allowed */
    void *resampler; /* SpeexResamplerState, NULL where the speaker has the line's rate */
    int rate;        /* that it is made for */
    int16_t *quiet;  /* held back: silence so far, sound only if more comes */
    size_t n_quiet, cap_quiet;
    repeats repeats;
} talking;

bool talking_open(talking *t, speaker *s, bool is_virtual);
void talking_close(talking *t);

#endif
