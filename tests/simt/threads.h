#ifndef TESTS_SIMT_THREADS_H
#define TESTS_SIMT_THREADS_H

// Threads, warps and blocks, as the machine sees them: machine.cpp runs them, calls.cpp is what
// they call.

#include <vector>

#include "fiber.h"
#include "machine.h"

namespace simt {

struct Copy {
    void *shared;
    const void *global;
    unsigned bytes, from_global;
    unsigned group;
};

struct CopyQueue {
    std::vector<Copy> copies; // in the order they were started
    unsigned group = 0;       // that a copy started now belongs to
};

// What is touched at every switch is in one line of the cache.
struct alignas(64) Thread : Self {
    Context context; // its stack pointer is null before the thread begins and after its end
    // What it waits in:
    const char *what = nullptr;
    Site site = {"", 0};
    unsigned place; // its turn among the lanes of the warp
    Stack *stack = nullptr;
    CopyQueue queue;
};

struct SharedVariable {
    const void *key;
    const char *name;
    unsigned char *at;
    std::size_t bytes;
};

struct Warp {
    Thread *threads; // of lane 0
    unsigned place;  // its turn among the warps of the block
    // A bit for each place:
    std::uint32_t runnable, all_places;
    // A bit for each lane:
    std::uint32_t present, in_collective, in_barrier, returned;
    std::uint32_t partial;  // those of in_collective whose mask is not that of all lanes,
    std::uint32_t mask[32]; // and their masks
    unsigned char lane_at[32];
    alignas(64) std::uint32_t words[n_in + n_out][32];
};

struct Block {
    uint3 index;
    std::vector<Thread> threads;
    std::vector<Warp> warps;
    std::uint32_t runnable; // warps, a bit for each place
    unsigned char warp_at[32];
    unsigned n_returned, n_in_barrier;
    int n_true, barrier_result; // of the predicates of a barrier
    Thread *in_barrier;         // one of those that wait
    unsigned char *dynamic;
    std::vector<SharedVariable> variables;
};

// The launch that is running.
struct Grid {
    const Work *work;
    std::vector<Block> blocks; // all of a cooperative launch, otherwise one
    unsigned n_in_barrier;     // threads
    unsigned n_live_blocks;
    unsigned n_idle_pauses; // since anything else has happened
};

extern Grid grid;

inline Thread *current() {
    return static_cast<Thread *>(self);
}

inline unsigned lowest(std::uint32_t bits) {
    return static_cast<unsigned>(__builtin_ctz(bits));
}

const char *base_name(const char *path);

// The mask of the collective that a thread waits in.
inline std::uint32_t mask_of(const Thread &thread) {
    const Warp &warp = *thread.warp;
    return warp.partial >> thread.lane & 1 ? warp.mask[thread.lane] : warp.present;
}

inline void make_current(Thread *thread) {
    self = thread;
    threadIdx = thread->thread;
}

// The lowest bit above place, or the lowest of all.
inline unsigned next_bit(std::uint32_t bits, unsigned place) {
    std::uint32_t above = bits & ~((2u << place) - 1);
    return lowest(above ? above : bits);
}

// For a thread that has not begun, or is in another block.
void go_far(Thread *next);
// When no lane of the own warp can run.
void leave_warp();

// Lets others run until what the running thread waits in makes it runnable again.
inline void wait_in(const char *what, Site site) {
    Thread &thread = *current();
    Warp &warp = *thread.warp;
    thread.what = what;
    thread.site = site;
    warp.runnable &= ~(1u << thread.place);
    if (warp.runnable) {
        Thread *next = warp.threads + warp.lane_at[next_bit(warp.runnable, thread.place)];
        if (next->context.sp) {
            make_current(next);
            context_switch(&thread.context, &next->context);
        } else {
            go_far(next);
        }
    } else {
        leave_warp();
    }
    thread.what = nullptr;
}
// Lets others run, each once, and goes on.
void wait_a_turn();
// What a barrier does that is complete.
void all_runnable(Block &block);
// The running thread comes to a block or grid barrier, or returns: no lane may be waiting for it.
void check_not_awaited(const char *doing, Site site);

} // namespace simt

#endif
