#ifndef TESTS_SIMT_SIMT_H
#define TESTS_SIMT_SIMT_H

// What a kernel sees of the machine. kernels/cuda/device.cuh includes this where nvcc is not the
// compiler; README.md says what the machine is.

#include <cstddef>
#include <cstdint>
#include <utility>

#include <cuda_runtime_api.h>
#include <vector_functions.h>

// Of the running thread.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

namespace simt {

// Where in a kernel something was called. Default arguments of the built-ins fill it in.
struct Site {
    const char *file;
    int line;
};

struct Warp;
struct Block;

struct Self {
    uint3 thread;
    unsigned lane;
    Warp *warp;
    Block *block;
    std::uint32_t *words; // see lane_in
};

extern Self *self; // the running thread

// Ends the kernel (see fake_cuda_catch_faults) with a sentence that names it, the thread and the
// site.
[[noreturn]] void fault(Site site, const char *format, ...) __attribute__((format(printf, 2, 3)));

// ---- blocks and grids

void *dynamic_shared();
// The block's instance of a static __shared__ variable; key is an address of its own.
void *static_shared(const void *key, std::size_t bytes, std::size_t align, const char *name);
// Waits for all threads of the block; how many of them had predicate != 0.
int block_barrier(const char *what, bool predicate, Site site);
void grid_barrier(Site site);
// Lets every other thread that can run go on. For loops that wait for another thread's store.
void pause(Site site);

// ---- warps: every lane of mask has to come to the same call

constexpr unsigned full_mask = 0xffffffffu;
constexpr int n_in = 10, n_out = 4; // words that a lane brings and takes

// The lane's words of the collective that it is about to enter, or has left: word i is at in[32 *
// i].
inline std::uint32_t *lane_in() {
    return self->words;
}
inline const std::uint32_t *lane_out() {
    return self->words + 32 * n_in;
}

// Computes the outputs of all lanes of mask from their inputs; run once, by the last lane that
// comes.
using Words = std::uint32_t (*)[32]; // a word of each lane
using Combine = void (*)(Words in, Words out, std::uint32_t mask, Site site);
void collective(const char *what, std::uint32_t mask, Combine combine, Site site);

void combine_nothing(Words, Words, std::uint32_t, Site);
void combine_shuffle(Words, Words, std::uint32_t, Site);
void combine_ballot(Words, Words, std::uint32_t, Site);
void combine_add(Words, Words, std::uint32_t, Site);
void combine_max(Words, Words, std::uint32_t, Site);
void combine_sum_f32(Words, Words, std::uint32_t, Site);
void combine_max_f32(Words, Words, std::uint32_t, Site);

// ---- copies into shared memory that end at a wait

void copy_async(void *shared, const void *global, unsigned bytes, unsigned from_global, Site site);
void copy_async_commit();
void copy_async_wait(int n_pending); // groups that may stay under way

// ---- matrices

// Row addresses of n 8x8 matrices of 16 bits in lanes 0 .. 8 n - 1.
void load_matrices(std::uint32_t *out, const void *row, int n, bool transposed, Site site);
void mma_f16(float *d, const std::uint32_t *a, const std::uint32_t *b, const float *c, Site site);
void mma_bf16(float *d, const std::uint32_t *a, const std::uint32_t *b, const float *c, Site site);
void mma_s8(std::int32_t *d, const std::uint32_t *a, const std::uint32_t *b, const std::int32_t *c,
            Site site);

// Faults unless address is a multiple of align; check_shared also wants as many bytes of the
// block's shared memory there.
void check_aligned(const void *address, unsigned align, Site site);
void check_shared(const void *address, unsigned bytes, Site site);

// ---- kernels that the runtime can launch by their address

using Invoke = void (*)(const void *function, void **args);
void register_kernel(const void *function, const char *name, Invoke invoke,
                     const std::size_t *arg_bytes, int n_args);

template <typename... P> struct Kernel {
    static void know(const char *name, void (*kernel)(P...)) {
        static const std::size_t bytes[sizeof...(P) + 1] = {sizeof(P)..., 0};
        register_kernel(reinterpret_cast<const void *>(kernel), name, invoke, bytes,
                        static_cast<int>(sizeof...(P)));
    }

  private:
    static void invoke(const void *function, void **args) {
        call(reinterpret_cast<void (*)(P...)>(const_cast<void *>(function)), args,
             std::index_sequence_for<P...>());
    }
    template <std::size_t... I>
    static void call(void (*kernel)(P...), void **args, std::index_sequence<I...>) {
        kernel(*static_cast<P *>(args[I])...);
    }
};

} // namespace simt

#endif
