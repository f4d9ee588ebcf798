#include "fiber.h"

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <vector>
#include <sys/mman.h>

#ifdef SIMT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// A signal mask is not touched: that system call is what makes swapcontext slow.
#if defined(__x86_64__)
asm(R"(
        .text
        .p2align 4
        .globl simt_switch
        .type simt_switch, @function
simt_switch:
        pushq %rbp
        pushq %rbx
        pushq %r12
        pushq %r13
        pushq %r14
        pushq %r15
        movq %rsp, (%rdi)
        movq %rsi, %rsp
        popq %r15
        popq %r14
        popq %r13
        popq %r12
        popq %rbx
        popq %rbp
        ret
        .size simt_switch, .-simt_switch
)");
constexpr int n_saved_words = 6; // then the return address, then one word to align the entry
constexpr int n_frame_words = n_saved_words + 2;
#elif defined(__aarch64__)
asm(R"(
        .text
        .p2align 4
        .globl simt_switch
        .type simt_switch, %function
simt_switch:
        sub sp, sp, #160
        stp x19, x20, [sp]
        stp x21, x22, [sp, #16]
        stp x23, x24, [sp, #32]
        stp x25, x26, [sp, #48]
        stp x27, x28, [sp, #64]
        stp x29, x30, [sp, #80]
        stp d8, d9, [sp, #96]
        stp d10, d11, [sp, #112]
        stp d12, d13, [sp, #128]
        stp d14, d15, [sp, #144]
        mov x9, sp
        str x9, [x0]
        mov sp, x1
        ldp x19, x20, [sp]
        ldp x21, x22, [sp, #16]
        ldp x23, x24, [sp, #32]
        ldp x25, x26, [sp, #48]
        ldp x27, x28, [sp, #64]
        ldp x29, x30, [sp, #80]
        ldp d8, d9, [sp, #96]
        ldp d10, d11, [sp, #112]
        ldp d12, d13, [sp, #128]
        ldp d14, d15, [sp, #144]
        add sp, sp, #160
        ret
        .size simt_switch, .-simt_switch
)");
constexpr int n_saved_words = 11; // x30 is the twelfth word
constexpr int n_frame_words = 20;
#else
#error "tests/simt has a switch for x86-64 and aarch64 only"
#endif

namespace simt {
namespace {

#ifdef SIMT_ASAN
constexpr std::size_t stack_bytes = 256 << 10; // its red zones make frames several times as large
#else
constexpr std::size_t stack_bytes = 64 << 10;
#endif
constexpr std::size_t guard_bytes = 4096;
constexpr std::size_t stacks_per_map = 64;

std::deque<Stack> stacks; // all of them, at addresses that stay
std::vector<Stack *> free_stacks;

void map_stacks() {
    const std::size_t stride = stack_bytes + guard_bytes;
    void *map = mmap(nullptr, stride * stacks_per_map, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) {
        std::fprintf(stderr, "simt: no memory for %zu stacks\n", stacks.size() + stacks_per_map);
        std::abort();
    }
    for (std::size_t i = stacks_per_map; i-- > 0;) {
        unsigned char *at = static_cast<unsigned char *>(map) + i * stride;
        if (mprotect(at, guard_bytes, PROT_NONE) != 0) {
            std::fprintf(stderr, "simt: no guard page for stack %zu\n", stacks.size());
            std::abort();
        }
        // The stride moves the tops of neighbours through the sets of the second-level cache, the
        // colour through those of the first: all at one offset they would throw each other out.
        stacks.push_back({at + guard_bytes, stack_bytes, (i + i / 16) % 8 * 512});
        free_stacks.push_back(&stacks.back());
    }
}

} // namespace

Stack *stack_take() {
    if (free_stacks.empty()) {
        map_stacks();
    }
    Stack *stack = free_stacks.back();
    free_stacks.pop_back();
#ifdef SIMT_ASAN
    __asan_unpoison_memory_region(stack->bottom, stack->bytes); // of one that was left half way
#endif
    return stack;
}

void stack_give_back(Stack *stack) {
    free_stacks.push_back(stack);
}

static void swap_to(Context *from, Context *to) {
#ifdef SIMT_ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, to->bottom, to->bytes);
    simt_switch(&from->sp, to->sp);
    __sanitizer_finish_switch_fiber(from->fake_stack, nullptr, nullptr);
#else
    simt_switch(&from->sp, to->sp);
#endif
}

#ifdef SIMT_ASAN
void context_switch(Context *from, Context *to) {
    swap_to(from, to);
}
#endif

void context_start(Context *from, Context *to, Stack *stack, void (*entry)()) {
    std::uintptr_t top =
        reinterpret_cast<std::uintptr_t>(stack->bottom) + stack->bytes - stack->colour;
    void **frame = reinterpret_cast<void **>(top) - n_frame_words;
    for (int i = 0; i < n_frame_words; i++) {
        frame[i] = nullptr;
    }
    frame[n_saved_words] = reinterpret_cast<void *>(entry);
    to->sp = frame;
#ifdef SIMT_ASAN
    to->bottom = stack->bottom;
    to->bytes = stack->bytes;
#endif
    swap_to(from, to);
}

void context_entered(Context *from) {
#ifdef SIMT_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &from->bottom, &from->bytes);
#else
    (void)from;
#endif
}

void context_inherit(Context *to, const Context &from) {
#ifdef SIMT_ASAN
    to->bottom = from.bottom;
    to->bytes = from.bytes;
#else
    (void)to, (void)from;
#endif
}

void context_leave(Context *to) {
    void *nowhere;
#ifdef SIMT_ASAN
    __sanitizer_start_switch_fiber(nullptr, to->bottom, to->bytes);
#endif
    simt_switch(&nowhere, to->sp);
    __builtin_unreachable();
}

} // namespace simt
