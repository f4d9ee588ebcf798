// What kernels call: barriers, collectives, shared memory, asynchronous copies.

#include "threads.h"

#include <cstring>

namespace simt {
namespace {

bool same_site(const Thread &a, const char *what, Site site) {
    return a.site.line == site.line &&
           (a.site.file == site.file || std::strcmp(a.site.file, site.file) == 0) &&
           (a.what == what || std::strcmp(a.what, what) == 0);
}

bool in_shared(const Block &block, const void *address, unsigned bytes) {
    const unsigned char *at = static_cast<const unsigned char *>(address);
    if (at >= block.dynamic && at + bytes <= block.dynamic + grid.work->dynamic_shared) {
        return true;
    }
    for (const SharedVariable &variable : block.variables) {
        if (at >= variable.at && at + bytes <= variable.at + variable.bytes) {
            return true;
        }
    }
    return false;
}

} // namespace

void *dynamic_shared() {
    return self->block->dynamic;
}

void *static_shared(const void *key, std::size_t bytes, std::size_t align, const char *name) {
    Block &block = *self->block;
    std::size_t total = grid.work->dynamic_shared;
    for (SharedVariable &variable : block.variables) {
        if (variable.key == key) {
            return variable.at;
        }
        total += variable.bytes;
    }
    if (total + bytes > grid.work->shared_limit || align > 256) {
        fault({"", 0}, "declares %s: %zu bytes of shared memory after %zu, the limit is %zu", name,
              bytes, total, grid.work->shared_limit);
    }
    unsigned char *at = guarded_alloc(bytes);
    std::memset(at, poison_byte(), bytes);
    block.variables.push_back({key, name, at, bytes});
    return at;
}

int block_barrier(const char *what, bool predicate, Site site) {
    Thread &thread = *current();
    Block &block = *thread.block;
    check_not_awaited("comes to a barrier of the block", site);
    if (block.n_returned) {
        fault(site, "comes to %s after %u threads of the block have returned", what,
              block.n_returned);
    }
    if (block.n_in_barrier && !same_site(*block.in_barrier, what, site)) {
        fault(site, "comes to %s while thread (%u,%u,%u) waits in %s (%s:%d)", what,
              block.in_barrier->thread.x, block.in_barrier->thread.y, block.in_barrier->thread.z,
              block.in_barrier->what, base_name(block.in_barrier->site.file),
              block.in_barrier->site.line);
    }
    block.n_true += predicate;
    if (block.n_in_barrier + 1 == block.threads.size()) {
        block.n_in_barrier = 0;
        block.barrier_result = block.n_true;
        block.n_true = 0;
        grid.n_idle_pauses = 0;
        all_runnable(block);
    } else {
        block.n_in_barrier++;
        block.in_barrier = &thread;
        thread.warp->in_barrier |= 1u << thread.lane;
        wait_in(what, site);
    }
    return block.barrier_result;
}

void grid_barrier(Site site) {
    Thread &thread = *current();
    if (!grid.work->cooperative) {
        fault(site, "comes to grid_sync, but the launch is not cooperative");
    }
    check_not_awaited("comes to a barrier of the grid", site);
    if (++grid.n_in_barrier == grid.blocks.size() * thread.block->threads.size()) {
        grid.n_in_barrier = 0;
        grid.n_idle_pauses = 0;
        for (Block &block : grid.blocks) {
            all_runnable(block);
        }
    } else {
        thread.warp->in_barrier |= 1u << thread.lane;
        wait_in("grid_sync", site);
    }
}

void pause(Site site) {
    // Everybody who can run has then had many turns.
    if (++grid.n_idle_pauses > 1000 + 100 * grid.blocks.size() * self->block->threads.size()) {
        fault(site, "waits for a store that no running thread makes");
    }
    wait_a_turn();
}

// The lanes of mask that wait in this collective already. One that waits in another is to come
// later, unless it waits for this one.
static std::uint32_t same_collective(const Warp &warp, const char *what, std::uint32_t mask,
                                     Site site) {
    std::uint32_t others = warp.in_collective & mask;
    // Lanes that wait for the whole warp have been compared with each other: one stands for all.
    bool whole = mask == warp.present && (others & warp.partial) == 0;
    for (std::uint32_t lanes = others; lanes; lanes = whole ? 0 : lanes & (lanes - 1)) {
        const Thread &other = warp.threads[lowest(lanes)];
        std::uint32_t other_mask = mask_of(other);
        if (other_mask == mask && same_site(other, what, site)) {
            continue;
        }
        if (other_mask >> self->lane & 1) {
            fault(site,
                  "comes to %s with mask %08x, but lane %u waits in %s with mask %08x (%s:%d)",
                  what, mask, other.lane, other.what, other_mask, base_name(other.site.file),
                  other.site.line);
        }
        others &= ~(1u << other.lane);
    }
    return others;
}

void collective(const char *what, std::uint32_t mask, Combine combine, Site site) {
    Thread &thread = *current();
    Warp &warp = *thread.warp;
    std::uint32_t bit = 1u << thread.lane;
    if (!(mask & bit)) {
        fault(site, "comes to %s as lane %u, which is not in its mask %08x", what, thread.lane,
              mask);
    }
    if (std::uint32_t bad = mask & (~warp.present | warp.returned | warp.in_barrier)) {
        unsigned lane = lowest(bad);
        fault(site, "comes to %s with mask %08x, but lane %u %s", what, mask, lane,
              warp.returned >> lane & 1     ? "has returned"
              : warp.in_barrier >> lane & 1 ? "waits at a barrier"
                                            : "is not in the block");
    }
    std::uint32_t others = same_collective(warp, what, mask, site);
    if ((others | bit) != mask) {
        warp.in_collective |= bit;
        if (mask != warp.present) {
            warp.partial |= bit;
            warp.mask[thread.lane] = mask;
        }
        wait_in(what, site);
        return;
    }
    // The last one: it works for all, and goes on.
    warp.in_collective &= ~mask;
    warp.partial &= ~mask;
    combine(warp.words, warp.words + n_in, mask, site);
    grid.n_idle_pauses = 0;
    if (mask == warp.present) {
        warp.runnable = warp.all_places;
    } else {
        for (std::uint32_t lanes = others; lanes; lanes &= lanes - 1) {
            warp.runnable |= 1u << warp.threads[lowest(lanes)].place;
        }
    }
}

void check_aligned(const void *address, unsigned align, Site site) {
    if (reinterpret_cast<std::uintptr_t>(address) % align != 0) {
        fault(site, "accesses %u bytes at an address that is %u beyond a multiple of it", align,
              static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(address) % align));
    }
}

void check_shared(const void *address, unsigned bytes, Site site) {
    check_aligned(address, bytes, site);
    if (!in_shared(*self->block, address, bytes)) {
        fault(site, "accesses %u bytes that are not in the block's shared memory", bytes);
    }
}

// ---------------------------------------------------------------- asynchronous copies

void copy_async(void *shared, const void *global, unsigned bytes, unsigned from_global, Site site) {
    check_shared(shared, bytes, site);
    check_aligned(global, bytes, site);
    if (from_global > bytes) {
        fault(site, "copies %u of %u bytes asynchronously", from_global, bytes);
    }
    std::memset(shared, poison_byte(), bytes);
    CopyQueue &queue = current()->queue;
    queue.copies.push_back({shared, global, bytes, from_global, queue.group});
}

void copy_async_commit() {
    current()->queue.group++;
}

void copy_async_wait(int n_pending) {
    CopyQueue &queue = current()->queue;
    std::size_t n_done = 0;
    for (const Copy &copy : queue.copies) {
        if (copy.group + static_cast<unsigned>(n_pending) >= queue.group) {
            break;
        }
        std::memcpy(copy.shared, copy.global, copy.from_global);
        std::memset(static_cast<char *>(copy.shared) + copy.from_global, 0,
                    copy.bytes - copy.from_global);
        n_done++;
    }
    queue.copies.erase(queue.copies.begin(),
                       queue.copies.begin() + static_cast<std::ptrdiff_t>(n_done));
}

} // namespace simt
