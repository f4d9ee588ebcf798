#ifndef TESTS_SIMT_MACHINE_H
#define TESTS_SIMT_MACHINE_H

// What the runtime sees of the machine: it runs one kernel at a time, to its end.

#include "fake_cuda.h"
#include "simt.h"

namespace simt {

struct Work {
    const char *name;
    const void *function;
    Invoke invoke;
    void **args;
    dim3 grid, block;
    std::size_t dynamic_shared;
    std::size_t shared_limit; // of static and dynamic shared memory together
    bool cooperative;
};

// Returns false, with what went wrong in message, when faults are caught and there was one.
bool run(const Work &work, char *message, std::size_t message_bytes);

// A fault that was found outside of a kernel: ends the program, or returns false.
bool raise(const char *text);

void set_order(fake_cuda_order order, unsigned seed);
void set_catch(bool on);

// How much static shared memory the last run used.
std::size_t static_shared_bytes();

// The byte that memory is filled with that nobody has written: another one in every order.
unsigned char poison_byte();

// Memory with guards around it, aligned to 256: an access beyond it is reported by
// AddressSanitizer at once, or found by guards_intact.
unsigned char *guarded_alloc(std::size_t bytes);
void guarded_free(unsigned char *at, std::size_t bytes);
bool guards_intact(const unsigned char *at, std::size_t bytes);

} // namespace simt

#endif
