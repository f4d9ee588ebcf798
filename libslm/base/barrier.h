/* A barrier for the lanes of one parallel region that behaves on a shared machine: a lane waits in
 * a loop for a short, bounded time and then sleeps, so that a processor it waits on is free for the
 * lane that it waits for, or for another program. */
#ifndef SLM_BASE_BARRIER_H
#define SLM_BASE_BARRIER_H

#include <stdatomic.h>
#include <stdint.h>

/* Lanes that the word of a barrier can count. */
#define SLM_BARRIER_MAX 2047u

/* In memory of the caller, 64-aligned: a line of its own that every lane writes once a barrier. */
typedef struct slm_barrier {
    /* Bit 0: a lane sleeps. Bits 1 to 11: lanes that have come. The rest: barriers passed. In one
     * word a barrier of two lanes costs half of what it does with the phase in a second line. */
    _Alignas(64) _Atomic uint32_t word;
    uint32_t n_spins; /* looks at the word before a lane sleeps */
} slm_barrier;

/* Once, before any lane comes. Takes some ten microseconds: it times this processor's pause. */
void slm_barrier_init(slm_barrier *b);

/* Returns when n lanes have called it. What any of them wrote before, all see after. n may be
 * another from one barrier to the next, at most SLM_BARRIER_MAX, as long as the lanes that meet
 * agree on it. */
void slm_barrier_wait(slm_barrier *b, uint32_t n);

/* The same for a lane with nothing to do for a while: before it sleeps it stays awake for half a
 * millisecond, but lets everything else go before it. */
void slm_barrier_wait_idle(slm_barrier *b, uint32_t n);

#endif
