/* The stage that recognises speech: a recognizer, fed while somebody speaks. */
#ifndef SLM_VOICE_HEARING_H
#define SLM_VOICE_HEARING_H

#include "recognizer.h"
#include "stage.h"

/* Commands; id is the utterance's. */
enum {
    HEAR_BEGIN,
    HEAR_FEED, /* samples at RECOGNIZER_RATE */
    HEAR_PARTIAL, /* value: the line's clock, ms; begin: not 0 in a pause, when that may be all */
    HEAR_FINISH,  /* value: the last moment of speech on that clock */
    HEAR_CANCEL
};
/* Events. */
enum {
    HEARD_PARTIAL, /* text: the best so far; value: that of HEAR_PARTIAL; end: as below */
    HEARD_FINAL,   /* text: all of it, "" where nothing was understood; end: not 0 where the engine doubts it */
    HEARD_FAILED,  /* text: why; the utterance is over */
    HEARD_NOTHING  /* what was asked in a pause failed; value: that of HEAR_PARTIAL */
};

typedef struct hearing {
    stage stage;
    recognizer *recognizer;
    uint32_t id; /* of the utterance that is open */
    bool open;
    bool asked; /* for a partial, which comes when nothing else is to be done */
    bool pauses; /* it was asked in a pause */
    bool unsettled; /* the engine failed in a pause of this utterance */
    int64_t asked_ms;
    char *whole; /* all that there was to hear up to whole_ms */
    int64_t whole_ms;
    bool whole_doubted;
    double whole_measured_ms;
    uint64_t n_samples;
    uint32_t noise; /* state of its generator */
} hearing;

/* The recognizer stays the caller's, who closes it behind hearing_close. */
bool hearing_open(hearing *h, recognizer *r, bool is_virtual);
void hearing_close(hearing *h);

#endif
