/* A stage of the line: recognition, the model, or the voice. It has commands coming in, events going
 * out, and does its work a unit at a time, so that a command is never far away.
 *
 * Live, a stage has a thread. On the virtual clock it has none: the line calls stage_run, and the
 * stage works as far as the clock says, each unit charged at a fixed rate. What a stage does is the
 * same code in both. */
#ifndef SLM_VOICE_STAGE_H
#define SLM_VOICE_STAGE_H

#include "queue.h"

typedef struct stage stage;

typedef struct stage_ops {
    /* Takes a command in; the message is freed afterwards. */
    void (*command)(void *self, const message *m);
    /* Does one unit of work; false: there was none. */
    bool (*work)(void *self);
} stage_ops;

struct stage {
    const char *name;
    const stage_ops *ops;
    void *self;
    queue commands, events;
    bool is_virtual, has_thread;
    int64_t clock_us; /* virtual: until when it is busy */
    pthread_t thread;
};

/* `self` is in place when the first command comes. False: no memory, or no thread. */
bool stage_open(stage *s, const char *name, const stage_ops *ops, void *self, bool is_virtual);
/* Ends the thread behind the unit it is at. */
void stage_close(stage *s);

/* By the line. now_us is the line's clock. */
bool stage_send(stage *s, message *m, int64_t now_us);
message *stage_receive(stage *s, int64_t now_us);
void stage_run(stage *s, int64_t now_us);

/* By the stage itself: what the present unit is charged, and an event at its end. An event that finds
 * no room is lost; the line waits for none for ever. */
void stage_charge(stage *s, double ms);
void stage_post(stage *s, message *m);

#endif
