#include "threads.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace simt {

Self *self;
Grid grid;

namespace {

fake_cuda_order order = FAKE_CUDA_FORWARD;
unsigned order_seed;
bool catch_faults;
char *fault_text; // of the run, not null while one is under way
std::size_t fault_text_bytes;
bool faulted;

Context main_context;
Context *came_from;
std::vector<unsigned> block_order;
std::size_t static_bytes;

void report(const char *text) {
    if (!catch_faults) {
        std::fprintf(stderr, "simt: %s\n", text);
        std::abort();
    }
    if (!faulted && text != fault_text) {
        std::snprintf(fault_text, fault_text_bytes, "%s", text);
    }
    faulted = true;
}

} // namespace

const char *base_name(const char *path) {
    const char *slash = std::strrchr(path, '/');
    return slash ? slash + 1 : path;
}

namespace {

// ---------------------------------------------------------------- whose turn it is

Thread *next_of_block(Block &block, unsigned after_place) {
    Warp &warp = block.warps[block.warp_at[next_bit(block.runnable, after_place)]];
    return warp.threads + warp.lane_at[lowest(warp.runnable)];
}

// Null when nothing there can run.
Thread *next_of_other_blocks(const Block &block) {
    std::size_t at = static_cast<std::size_t>(&block - grid.blocks.data());
    for (std::size_t i = 1; i < grid.blocks.size(); i++) {
        Block &other = grid.blocks[(at + i) % grid.blocks.size()];
        if (other.runnable) {
            return next_of_block(other, 31);
        }
    }
    return nullptr;
}

// Null when nothing can run.
Thread *next_thread(Thread &thread) {
    Warp &warp = *thread.warp;
    if (warp.runnable) {
        return warp.threads + warp.lane_at[next_bit(warp.runnable, thread.place)];
    }
    if (thread.block->runnable) {
        return next_of_block(*thread.block, warp.place);
    }
    return next_of_other_blocks(*thread.block);
}

// For a thread that waits without a barrier: after its turn everybody else has one before its next.
Thread *next_in_turn(Thread &thread) {
    Warp &warp = *thread.warp;
    if (std::uint32_t above = warp.runnable & ~((2u << thread.place) - 1)) {
        return warp.threads + warp.lane_at[lowest(above)];
    }
    Block &block = *thread.block;
    if (block.runnable & ~((2u << warp.place) - 1)) {
        return next_of_block(block, warp.place);
    }
    if (Thread *next = next_of_other_blocks(block)) {
        return next;
    }
    return next_of_block(block, 31);
}

void not_runnable(Thread &thread) {
    thread.warp->runnable &= ~(1u << thread.place);
    if (thread.warp->runnable == 0) {
        thread.block->runnable &= ~(1u << thread.warp->place);
    }
}

} // namespace

void all_runnable(Block &block) {
    for (Warp &warp : block.warps) {
        warp.runnable = warp.all_places;
        warp.in_barrier = 0;
        block.runnable |= 1u << warp.place;
    }
}

namespace {

[[noreturn]] void deadlock() {
    char text[600];
    int n = 0, at = 0;
    for (Block &block : grid.blocks) {
        for (Thread &thread : block.threads) {
            if (thread.what == nullptr) {
                continue;
            }
            if (n++ < 4 && at < 500) {
                at += std::snprintf(text + at, sizeof(text) - static_cast<std::size_t>(at),
                                    "%s thread (%u,%u,%u) of block %u in %s (%s:%d)",
                                    n > 1 ? ";" : "", thread.thread.x, thread.thread.y,
                                    thread.thread.z, block.index.x, thread.what,
                                    base_name(thread.site.file), thread.site.line);
            }
        }
    }
    fault({"", 0}, "%d threads wait, and none can go on:%s", n, at ? text : "");
}

void fiber_main();

} // namespace

void go_far(Thread *next) {
    Thread *from = current();
    make_current(next);
    blockIdx = next->block->index;
    if (next->context.sp) {
        context_switch(&from->context, &next->context);
    } else {
        next->stack = stack_take();
        came_from = &from->context;
        context_start(&from->context, &next->context, next->stack, fiber_main);
    }
}

void wait_a_turn() {
    Thread *next = next_in_turn(*current());
    if (next != current()) {
        go_far(next);
    }
}

void leave_warp() {
    Thread &thread = *current();
    thread.block->runnable &= ~(1u << thread.warp->place);
    Thread *next = next_thread(thread);
    if (next == nullptr) {
        deadlock();
    }
    go_far(next);
}

void check_not_awaited(const char *doing, Site site) {
    Thread &thread = *current();
    Warp &warp = *thread.warp;
    for (std::uint32_t lanes = warp.in_collective; lanes; lanes &= lanes - 1) {
        const Thread &other = warp.threads[lowest(lanes)];
        if (mask_of(other) >> thread.lane & 1) {
            fault(site, "%s while lane %u waits for it in %s (%s:%d)", doing, other.lane,
                  other.what, base_name(other.site.file), other.site.line);
        }
    }
}

namespace {

Thread *thread_returns() {
    Thread &thread = *current();
    Block &block = *thread.block;
    check_not_awaited("returns", {"", 0});
    if (block.n_in_barrier) {
        fault({"", 0}, "returns while %u threads of the block wait in %s (%s:%d)",
              block.n_in_barrier, block.in_barrier->what, base_name(block.in_barrier->site.file),
              block.in_barrier->site.line);
    }
    if (grid.n_in_barrier) {
        fault({"", 0}, "returns while %u threads wait for the whole grid", grid.n_in_barrier);
    }
    thread.queue.copies.clear(); // what was not waited for is of no use to anybody
    thread.queue.group = 0;
    thread.warp->returned |= 1u << thread.lane;
    not_runnable(thread);
    grid.n_idle_pauses = 0;
    if (++block.n_returned == block.threads.size()) {
        grid.n_live_blocks--;
    }
    Thread *next = next_thread(thread);
    if (next == nullptr && grid.n_live_blocks) {
        deadlock();
    }
    return next;
}

// The stack of a thread that has returned goes to the next one that has not begun: a kernel in
// which nobody waits runs on one stack without a switch.
void fiber_main() {
    context_entered(came_from);
    for (;;) {
        grid.work->invoke(grid.work->function, grid.work->args);
        Thread &thread = *current();
        Thread *next = thread_returns();
        Stack *stack = thread.stack;
        thread.stack = nullptr;
        thread.context.sp = nullptr;
        if (next == nullptr) {
            stack_give_back(stack);
            context_leave(&main_context);
        }
        make_current(next);
        blockIdx = next->block->index;
        if (next->context.sp) {
            stack_give_back(stack);
            context_leave(&next->context);
        }
        next->stack = stack;
        context_inherit(&next->context, thread.context);
    }
}

// ---------------------------------------------------------------- orders

struct Random {
    std::uint32_t state;
    unsigned below(unsigned n) {
        state = state * 1664525u + 1013904223u;
        return static_cast<unsigned>((static_cast<std::uint64_t>(state) * n) >> 32);
    }
};

// order[turn] = which of n.
template <typename T> void fill_order(T *turns, unsigned n, Random &random) {
    for (unsigned i = 0; i < n; i++) {
        turns[i] = static_cast<T>(order == FAKE_CUDA_REVERSE ? n - 1 - i : i);
    }
    if (order == FAKE_CUDA_SHUFFLED) {
        for (unsigned i = n; i > 1; i--) {
            unsigned other = random.below(i);
            T swapped = turns[i - 1];
            turns[i - 1] = turns[other];
            turns[other] = swapped;
        }
    }
}

void lay_out(Block &block) {
    unsigned n = grid.work->block.x * grid.work->block.y * grid.work->block.z;
    unsigned n_warps = (n + 31) / 32;
    block.threads = std::vector<Thread>(n);
    block.warps = std::vector<Warp>(n_warps);
    for (unsigned i = 0; i < n; i++) {
        Thread &thread = block.threads[i];
        thread.thread =
            make_uint3(i % grid.work->block.x, i / grid.work->block.x % grid.work->block.y,
                       i / grid.work->block.x / grid.work->block.y);
        thread.lane = i % 32;
        thread.warp = &block.warps[i / 32];
        thread.block = &block;
        thread.words = &thread.warp->words[0][thread.lane];
    }
    for (unsigned i = 0; i < n_warps; i++) {
        unsigned n_lanes = n - 32 * i < 32 ? n - 32 * i : 32;
        block.warps[i].threads = &block.threads[32 * i];
        block.warps[i].present = block.warps[i].all_places =
            n_lanes == 32 ? full_mask : (1u << n_lanes) - 1;
    }
    block.dynamic = guarded_alloc(grid.work->dynamic_shared);
}

void begin(Block &block, unsigned index, Random &random) {
    block.index =
        make_uint3(index % grid.work->grid.x, index / grid.work->grid.x % grid.work->grid.y,
                   index / grid.work->grid.x / grid.work->grid.y);
    unsigned n_warps = static_cast<unsigned>(block.warps.size());
    fill_order(block.warp_at, n_warps, random);
    for (unsigned turn = 0; turn < n_warps; turn++) {
        Warp &warp = block.warps[block.warp_at[turn]];
        unsigned n_lanes = static_cast<unsigned>(__builtin_popcount(warp.present));
        warp.place = turn;
        warp.in_collective = warp.partial = warp.in_barrier = warp.returned = 0;
        fill_order(warp.lane_at, n_lanes, random);
        for (unsigned i = 0; i < n_lanes; i++) {
            warp.threads[warp.lane_at[i]].place = i;
        }
    }
    block.runnable = 0;
    all_runnable(block);
    block.n_returned = block.n_in_barrier = 0;
    block.n_true = block.barrier_result = 0;
    std::memset(block.dynamic, poison_byte(), grid.work->dynamic_shared);
    grid.n_live_blocks++;
}

void end(Block &block) {
    for (Thread &thread : block.threads) { // of a run that was left half way
        if (thread.stack) {
            stack_give_back(thread.stack);
            thread.stack = nullptr;
            thread.context.sp = nullptr;
        }
        thread.what = nullptr;
    }
    std::size_t bytes = 0;
    char text[200];
    for (SharedVariable &variable : block.variables) {
        if (!guards_intact(variable.at, variable.bytes)) {
            std::snprintf(text, sizeof(text),
                          "kernel %s: stores beyond shared variable %s of %zu bytes",
                          grid.work->name, variable.name, variable.bytes);
            report(text);
        }
        guarded_free(variable.at, variable.bytes);
        bytes += variable.bytes;
    }
    block.variables.clear();
    static_bytes = bytes > static_bytes ? bytes : static_bytes;
    if (!guards_intact(block.dynamic, grid.work->dynamic_shared)) {
        std::snprintf(text, sizeof(text),
                      "kernel %s: stores beyond %zu bytes of dynamic shared memory",
                      grid.work->name, grid.work->dynamic_shared);
        report(text);
    }
}

void run_begun_blocks() {
    Thread *first = next_of_block(grid.blocks[0], 31);
    make_current(first);
    blockIdx = first->block->index;
    first->stack = stack_take();
    came_from = &main_context;
    context_start(&main_context, &first->context, first->stack, fiber_main);
    self = nullptr;
    for (Block &block : grid.blocks) {
        end(block);
    }
}

} // namespace

// ---------------------------------------------------------------- what the runtime calls

void set_order(fake_cuda_order wanted, unsigned seed) {
    order = wanted;
    order_seed = seed;
}

void set_catch(bool on) {
    catch_faults = on;
}

bool raise(const char *text) {
    report(text);
    return false;
}

std::size_t static_shared_bytes() {
    return static_bytes;
}

unsigned char poison_byte() {
    // As floats: not a number, 3.4e38, and others.
    return order == FAKE_CUDA_FORWARD ? 0xff
           : order == FAKE_CUDA_REVERSE
               ? 0x7f
               : static_cast<unsigned char>(0x40 | (order_seed * 37 & 0xbf));
}

bool run(const Work &wanted, char *message, std::size_t message_bytes) {
    grid.work = &wanted;
    gridDim = grid.work->grid;
    blockDim = grid.work->block;
    fault_text = message;
    fault_text_bytes = message_bytes;
    faulted = false;
    static_bytes = 0;
    grid.n_idle_pauses = grid.n_in_barrier = grid.n_live_blocks = 0;
    Random random{order_seed * 2654435761u + 1};
    unsigned n_blocks = grid.work->grid.x * grid.work->grid.y * grid.work->grid.z;
    block_order.resize(n_blocks);
    fill_order(block_order.data(), n_blocks, random);
    grid.blocks = std::vector<Block>(grid.work->cooperative ? n_blocks : 1);
    for (Block &block : grid.blocks) {
        lay_out(block);
    }
    if (grid.work->cooperative) {
        for (unsigned i = 0; i < n_blocks; i++) {
            begin(grid.blocks[i], block_order[i], random);
        }
        run_begun_blocks();
    } else {
        for (unsigned i = 0; i < n_blocks && !faulted; i++) {
            begin(grid.blocks[0], block_order[i], random);
            run_begun_blocks();
        }
    }
    for (Block &block : grid.blocks) {
        guarded_free(block.dynamic, grid.work->dynamic_shared);
    }
    grid.blocks.clear();
    grid.work = nullptr;
    return !faulted;
}

void fault(Site site, const char *format, ...) {
    char text[700], what[1000];
    std::va_list args;
    va_start(args, format);
    std::vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    uint3 b = blockIdx, t = threadIdx;
    int n = std::snprintf(what, sizeof(what), "kernel %s: block (%u,%u,%u) thread (%u,%u,%u) ",
                          grid.work->name, b.x, b.y, b.z, t.x, t.y, t.z);
    n += std::snprintf(what + n, sizeof(what) - static_cast<std::size_t>(n), "%s", text);
    if (site.line) {
        std::snprintf(what + n, sizeof(what) - static_cast<std::size_t>(n), " (%s:%d)",
                      base_name(site.file), site.line);
    }
    report(what);
    context_leave(&main_context);
}

} // namespace simt
