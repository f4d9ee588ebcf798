#ifndef TESTS_SIMT_FIBER_H
#define TESTS_SIMT_FIBER_H

// Stacks and the switch between them. Everything runs in the calling thread of the system; nothing
// here knows what a warp is.

#include <cstddef>
#include <cstdint>

#if defined(__SANITIZE_ADDRESS__)
#define SIMT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIMT_ASAN 1
#endif
#endif

// simt_switch(save, next): pushes what a function has to keep, stores the stack pointer in *save,
// takes next for it, and pops what the other one had pushed.
extern "C" void simt_switch(void **save, void *next);

namespace simt {

struct Stack {
    unsigned char *bottom; // lowest usable address; the page below faults
    std::size_t bytes;
    std::size_t colour; // bytes left free at the top, see stack_top
};

// A context that can be switched away from and back to.
struct Context {
    void *sp = nullptr;
#ifdef SIMT_ASAN
    void *fake_stack = nullptr;
    const void *bottom = nullptr;
    std::size_t bytes = 0;
#endif
};

// Stacks are mapped once, kept and handed out again. Ends the program when there is no memory.
Stack *stack_take();
void stack_give_back(Stack *stack);

// Saves the running context in *from and goes on in *to, which was saved before.
#ifdef SIMT_ASAN
void context_switch(Context *from, Context *to);
#else
inline void context_switch(Context *from, Context *to) {
    simt_switch(&from->sp, to->sp);
}
#endif

// The same, but *to begins with entry() on the stack, which never returns. entry's first call must
// be context_entered(from).
void context_start(Context *from, Context *to, Stack *stack, void (*entry)());
void context_entered(Context *from);

// *to begins on the stack that *from, which is over, runs on.
void context_inherit(Context *to, const Context &from);

// As context_switch, but the running context is left for good.
[[noreturn]] void context_leave(Context *to);

} // namespace simt

#endif
