#ifndef TESTS_SIMT_FAKE_STATE_H
#define TESTS_SIMT_FAKE_STATE_H

// The state of the fake runtime, shared by its files. One lock guards all of it, kernels included.

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "machine.h"

namespace fake {

struct Device {
    const char *name;
    int n_multiprocessors;
    std::size_t memory_bytes, l2_bytes;
    int bus_bits;
};

struct Kernel {
    const char *name;
    simt::Invoke invoke = nullptr; // null until it has been launched by SLM_LAUNCH
    std::vector<std::size_t> arg_bytes;
    std::size_t max_dynamic_shared = 48 << 10;
    std::size_t static_shared = 0; // as seen when it ran
    int n_registers = 64;
};

struct Stream;

// A point in the queue of a stream.
struct Mark {
    Stream *stream;
    bool reached = false;
    double seconds = 0;
};

struct Capture;

struct Event {
    bool timing;
    std::shared_ptr<Mark> mark;        // of the last record, null before
    std::shared_ptr<Capture> captured; // where the last record was, when a stream was capturing
    std::size_t captured_at = 0;       // how many nodes it had
};

enum class Kind { kernel, copy, fill, record, wait, host };

struct Op {
    Kind kind;
    // kernel
    const void *function = nullptr;
    dim3 grid, block;
    std::size_t shared = 0;
    bool cooperative = false;
    std::vector<unsigned char> args; // each at a multiple of 16
    bool fails = false;              // on demand
    // copy, fill
    void *to = nullptr;
    const void *from = nullptr;
    int value = 0;
    std::size_t bytes = 0;
    // record, wait
    std::shared_ptr<Mark> mark;
    // host
    cudaHostFn_t host_function = nullptr;
    void *host_data = nullptr;
};

struct Graph {
    std::vector<std::unique_ptr<Op>> nodes; // in the order of capture, which is one they may run in
};

struct GraphExec {
    std::vector<const Op *> sources; // the nodes it was made of
    std::vector<Op> ops;
};

struct Capture {
    Stream *origin;
    cudaStreamCaptureMode mode;
    bool broken = false;
    Graph graph;
    std::map<Stream *, std::size_t> unjoined; // number of nodes after the stream's last one
};

struct Stream {
    unsigned flags;
    int priority;
    int device; // -1: of whichever is current
    std::deque<Op> queue;
    std::shared_ptr<Capture> capture;
};

struct Allocation {
    std::size_t bytes;
    bool pinned;
};

struct State {
    std::recursive_mutex lock;
    fake_cuda_profile profile = FAKE_CUDA_ORIN_NX_16;
    cudaError_t lost = cudaSuccess; // what every call answers from then on
    fake_cuda_stats stats = {};
    std::size_t free_bytes = std::size_t{15} << 30; // as fake_cuda_reset leaves it
    std::size_t largest = SIZE_MAX; // of an allocation on the device
    std::size_t shared = 163 << 10; // of a block that asks for more than it has anyway
    int fail_malloc = 0, fail_launch = 0, fail_sync = 0, fail_copy = 0;
    char fault[1000] = "";
    std::map<std::uintptr_t, Allocation> allocations;
    std::map<const void *, Kernel> kernels; // they outlive a reset: a program has them
    std::set<Stream *> streams;
    std::set<Event *> events;
    std::set<Graph *> graphs;
    std::set<GraphExec *> graph_execs;
    Stream legacy = {0, 0, -1, {}, nullptr};
    int n_devices = 1;
};

extern State state;
extern thread_local cudaError_t last_error;
extern thread_local int current_device;

const Device &device();

// Remembers an error as the last one, and returns it.
cudaError_t result(cudaError_t error);

// At the start of each call: takes the lock, and answers at once where there is no device.
#define FAKE_ENTER()                                                                               \
    std::lock_guard<std::recursive_mutex> guard(::fake::state.lock);                               \
    if (cudaError_t gone = ::fake::unusable()) {                                                   \
        return ::fake::result(gone);                                                               \
    }
cudaError_t unusable();

// Counts a call down to the one that shall fail.
bool fails_now(int *countdown);

// Null for memory that the runtime did not give.
const Allocation *find_allocation(const void *at, std::size_t bytes);

// Adds a copy that is carried out to the figures.
void count_copy(const Op &op);

// Kernels and copies may touch device memory between the two, which nest; the host may not outside.
void open_device_memory();
void close_device_memory();
// The kernel that has just run wrote beyond an allocation: says so and returns true.
bool guards_broken(const char *kernel);

Op mark_op(Kind kind, std::shared_ptr<Mark> mark); // record or wait
Stream *find_stream(cudaStream_t stream);
// The same, or null where it is another device's: what kernels and memsets are put on.
Stream *find_own_stream(cudaStream_t stream);
// Appends to the stream's queue or, when it is capturing, to its graph.
cudaError_t enqueue(Stream *stream, Op &&op);
cudaError_t check_launch(const Kernel &kernel, const Op &op);
cudaError_t make_kernel_op(const void *function, dim3 grid, dim3 block, void **args,
                           std::size_t shared, bool cooperative, Op *op);
cudaError_t drain(Stream *stream);
cudaError_t drain_all();
// One operation; success when there was none.
cudaError_t step(Stream *stream);
// Not allowed while a stream captures, of which the capture does not survive.
cudaError_t break_captures();
void release_streams();

int max_blocks(const Kernel &kernel, int n_threads, std::size_t dynamic_shared);

} // namespace fake

#endif
