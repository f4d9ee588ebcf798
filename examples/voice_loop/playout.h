/* What waits to be played: sound in order, with marks that tell which part of an answer it speaks. It
 * can be held and go on where it was, or be given up, and knows what was heard. */
#ifndef SLM_VOICE_PLAYOUT_H
#define SLM_VOICE_PLAYOUT_H

#include "talking.h"

typedef struct mark {
    uint64_t first, last; /* samples, counted since the last clear: from, to before */
    uint64_t begin, end;  /* bytes of the answer; the same where it speaks none of it */
    bool is_answer;       /* it answers, or stands for an answer; a filler does not */
} mark;

typedef struct playout {
    int16_t *samples;
    size_t first, n, cap; /* of what is still to be played */
    uint64_t played;      /* since the last clear */
    mark *marks;
    size_t n_marks, cap_marks;
    bool held;
    double gain, ramp;    /* ramp: from 0, silent, to 1 */
} playout;

void playout_init(playout *p);
void playout_free(playout *p);
/* Nothing waits any more, and nothing was heard. */
void playout_clear(playout *p);
/* What comes next speaks these bytes. pause_ms: of silence before it, where something is before. False
 * here and below: no memory. */
bool playout_mark(playout *p, uint64_t begin, uint64_t end, bool is_answer, int pause_ms);
/* What came last was not whole: it speaks none of the answer. */
void playout_spoil(playout *p);
bool playout_add(playout *p, const int16_t *x, size_t n);
bool playout_is_empty(const playout *p);
double playout_ms(const playout *p); /* that wait */
/* The next 10 ms; silence while held, with a short fade at both ends of it. */
void playout_render(playout *p, int16_t block[LINE_BLOCK]);
/* What was rendered last is the answer. */
bool playout_answers(const playout *p);
/* Bytes of the answer that were heard: up to the last whole word. */
uint64_t playout_heard(const playout *p, const char *answer);

#endif
