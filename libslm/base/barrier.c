#include "base/os.h"

#include "base/barrier.h"
#include "base/file.h"

#ifdef __linux__
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define SLEEPING 1u
#define LANE     2u
#define LANES    (SLM_BARRIER_MAX * LANE)
#define PHASE    (LANES + LANE)
#define PHASES   (~(LANES | SLEEPING))

/* What it costs to be put to sleep and woken is 5 to 50 us. A lane that is waited for longer has
 * most likely lost its processor, and needs this one. */
#define SPIN_NS 15000u
/* Between two steps, where a token is chosen and printed. */
#define YIELD_NS  500000u
#define N_TIMED   100u
#define N_TIMINGS 5

/* Tells the processor that this is a loop that waits. */
static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    /* "yield" does nothing on most cores; emptying the pipeline takes the time of a pause. */
    __asm__ volatile("isb" ::: "memory");
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

#ifdef __linux__

static void sleep_while(_Atomic uint32_t *word, uint32_t value) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake_all(_Atomic uint32_t *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

#else

static void sleep_while(_Atomic uint32_t *word, uint32_t value) {
    (void)word;
    (void)value;
    sched_yield();
}

static void wake_all(_Atomic uint32_t *word) {
    (void)word;
}

#endif

void slm_barrier_init(slm_barrier *b) {
    uint64_t least = UINT64_MAX;
    atomic_init(&b->word, 0);
    /* The least of several: the others may have been interrupted. */
    for (int i = 0; i < N_TIMINGS; i++) {
        uint64_t start = slm_now_ns();
        for (uint32_t j = 0; j < N_TIMED; j++) {
            (void)atomic_load_explicit(&b->word, memory_order_acquire);
            relax();
        }
        uint64_t ns = slm_now_ns() - start;
        if (ns < least)
            least = ns;
    }
    /* A look takes at least a nanosecond, whatever a coarse clock says. */
    b->n_spins = (uint32_t)(SPIN_NS * N_TIMED / (least > N_TIMED ? least : N_TIMED));
}

static int is_over(slm_barrier *b, uint32_t phase) {
    return (atomic_load_explicit(&b->word, memory_order_acquire) & PHASES) != phase;
}

/* The phase moves on when the last lane has come, and not again before all have left, so a lane
 * cannot miss the change however late it looks. */
static void meet(slm_barrier *b, uint32_t n, uint64_t yield_ns) {
    if (n <= 1)
        return;
    uint32_t now = atomic_fetch_add_explicit(&b->word, LANE, memory_order_acq_rel);
    uint32_t phase = now & PHASES;
    if ((now & LANES) == (n - 1) * LANE) {
        now = atomic_exchange_explicit(&b->word, phase + PHASE, memory_order_acq_rel);
        if (now & SLEEPING)
            wake_all(&b->word);
        return;
    }
    for (uint32_t i = 0; i < b->n_spins; i++) {
        if (is_over(b, phase))
            return;
        relax();
    }
    for (uint64_t end = yield_ns > 0 ? slm_now_ns() + yield_ns : 0; end > 0;) {
        sched_yield();
        if (is_over(b, phase))
            return;
        if (slm_now_ns() >= end)
            break;
    }
    now = atomic_load_explicit(&b->word, memory_order_acquire);
    while ((now & PHASES) == phase) {
        if ((now & SLEEPING) ||
            atomic_compare_exchange_weak_explicit(&b->word, &now, now | SLEEPING,
                                                  memory_order_acquire, memory_order_acquire)) {
            /* Returns at once when the word is no longer this: one more has come, or the last. */
            sleep_while(&b->word, now | SLEEPING);
            now = atomic_load_explicit(&b->word, memory_order_acquire);
        }
    }
}

void slm_barrier_wait(slm_barrier *b, uint32_t n) {
    meet(b, n, 0);
}

void slm_barrier_wait_idle(slm_barrier *b, uint32_t n) {
    meet(b, n, YIELD_NS);
}
