/* The pace of 10 ms a block, by the clock of the system. */
#ifndef SLM_VOICE_PACE_H
#define SLM_VOICE_PACE_H

#include <stdint.h>
#include <time.h>

typedef struct pace {
    int64_t next_ns; /* 0: not begun */
} pace;

/* Sleeps until the next block is due. Where it is much too late, as after a suspend, it begins anew. */
static inline void pace_wait(pace *p) {
    const int64_t block_ns = 10000000, late_ns = 500000000;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t now = t.tv_sec * (int64_t)1000000000 + t.tv_nsec;
    if (p->next_ns == 0 || now - p->next_ns > late_ns)
        p->next_ns = now;
    p->next_ns += block_ns;
    t.tv_sec = p->next_ns / 1000000000;
    t.tv_nsec = p->next_ns % 1000000000;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
        ;
}

#endif
