// The fake runtime: memory of the device and pinned memory of the host, and what copies from one to
// the other.

#include "fake_state.h"
#include "fiber.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

#ifdef SIMT_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace simt {
namespace {

#ifndef SIMT_ASAN
constexpr std::size_t guard_bytes = 256;
constexpr unsigned char guard_byte = 0xa5;
#endif

} // namespace

// AddressSanitizer has guards of its own, exact to the byte.
unsigned char *guarded_alloc(std::size_t bytes) {
    void *at = nullptr;
#ifdef SIMT_ASAN
    if (posix_memalign(&at, 256, bytes ? bytes : 1) != 0) {
        std::abort();
    }
    return static_cast<unsigned char *>(at);
#else
    std::size_t all = bytes + 2 * guard_bytes, huge_page = std::size_t(2) << 20;
    bool is_large = all >= 8 * huge_page; // by huge pages: no device has its memory made when it is written
    if (posix_memalign(&at, is_large ? huge_page : 256, all) != 0) {
        std::abort();
    }
    if (is_large) {
        (void)madvise(at, all, MADV_HUGEPAGE);
    }
    unsigned char *first = static_cast<unsigned char *>(at) + guard_bytes;
    std::memset(at, guard_byte, guard_bytes);
    std::memset(first + bytes, guard_byte, guard_bytes);
    return first;
#endif
}

void guarded_free(unsigned char *at, std::size_t bytes) {
#ifdef SIMT_ASAN
    (void)bytes;
    std::free(at);
#else
    (void)bytes;
    std::free(at - guard_bytes);
#endif
}

bool guards_intact(const unsigned char *at, std::size_t bytes) {
#ifdef SIMT_ASAN
    (void)at, (void)bytes;
#else
    for (std::size_t i = 0; i < guard_bytes; i++) {
        if (at[i - guard_bytes] != guard_byte || at[bytes + i] != guard_byte) {
            return false;
        }
    }
#endif
    return true;
}

} // namespace simt

namespace fake {
namespace {

// What is larger is filled with poison only at its ends: nobody wants to wait for gigabytes.
constexpr std::size_t poison_whole_bytes = 32 << 20, poison_end_bytes = 1 << 20;

void poison(unsigned char *at, std::size_t bytes) {
    if (bytes <= poison_whole_bytes) {
        std::memset(at, simt::poison_byte(), bytes);
    } else {
        std::memset(at, simt::poison_byte(), poison_end_bytes);
        std::memset(at + bytes - poison_end_bytes, simt::poison_byte(), poison_end_bytes);
    }
}

void set_device_memory(bool open) {
#ifdef SIMT_ASAN
    for (const auto &entry : state.allocations) {
        const void *at = reinterpret_cast<const void *>(entry.first);
        if (!entry.second.pinned) {
            open ? __asan_unpoison_memory_region(at, entry.second.bytes)
                 : __asan_poison_memory_region(at, entry.second.bytes);
        }
    }
#else
    (void)open;
#endif
}

cudaError_t allocate(void **at, std::size_t bytes, bool pinned) {
    state.stats.n_mallocs++;
    if (cudaError_t error = break_captures()) {
        return error;
    }
    if (at == nullptr) {
        return cudaErrorInvalidValue;
    }
    *at = nullptr;
    if (bytes == 0) {
        return pinned ? cudaErrorInvalidValue : cudaSuccess;
    }
    if (fails_now(&state.fail_malloc) || bytes > state.free_bytes ||
        (!pinned && bytes > state.largest)) {
        return cudaErrorMemoryAllocation;
    }
    open_device_memory();
    unsigned char *memory = simt::guarded_alloc(bytes);
    poison(memory, bytes);
    state.free_bytes -= bytes;
    state.allocations[reinterpret_cast<std::uintptr_t>(memory)] = {bytes, pinned};
    std::size_t *now = pinned ? &state.stats.pinned_bytes : &state.stats.device_bytes;
    std::size_t *peak = pinned ? &state.stats.pinned_peak_bytes : &state.stats.device_peak_bytes;
    *now += bytes;
    *peak = *now > *peak ? *now : *peak;
    close_device_memory();
    *at = memory;
    return cudaSuccess;
}

cudaError_t release(void *at, bool pinned) {
    if (at == nullptr) {
        return cudaSuccess;
    }
    if (cudaError_t error = break_captures()) {
        return error;
    }
    if (cudaError_t error = drain_all()) { // as the real one does
        return error;
    }
    auto found = state.allocations.find(reinterpret_cast<std::uintptr_t>(at));
    if (found == state.allocations.end() || found->second.pinned != pinned) {
        return cudaErrorInvalidValue;
    }
    std::size_t bytes = found->second.bytes;
    open_device_memory();
    simt::guarded_free(static_cast<unsigned char *>(at), bytes);
    state.allocations.erase(found);
    close_device_memory();
    state.free_bytes += bytes;
    (pinned ? state.stats.pinned_bytes : state.stats.device_bytes) -= bytes;
    return cudaSuccess;
}

bool on_device(const void *at) {
    const Allocation *allocation = find_allocation(at, 1);
    return allocation && !allocation->pinned;
}

// Both ends are where kind says, and as long as they have to be.
bool good_copy(const void *to, const void *from, std::size_t bytes, cudaMemcpyKind kind) {
    bool to_device = on_device(to), from_device = on_device(from);
    if ((kind == cudaMemcpyHostToDevice && (!to_device || from_device)) ||
        (kind == cudaMemcpyDeviceToHost && (to_device || !from_device)) ||
        (kind == cudaMemcpyDeviceToDevice && (!to_device || !from_device)) ||
        (kind == cudaMemcpyHostToHost && (to_device || from_device)) || kind > cudaMemcpyDefault) {
        return false;
    }
    return (find_allocation(to, bytes) || !find_allocation(to, 1)) &&
           (find_allocation(from, bytes) || !find_allocation(from, 1));
}

} // namespace

void count_copy(const Op &op) {
    bool to_device = on_device(op.to), from_device = on_device(op.from);
    state.stats.bytes_to_device += to_device && !from_device ? op.bytes : 0;
    state.stats.bytes_from_device += from_device && !to_device ? op.bytes : 0;
}

const Allocation *find_allocation(const void *at, std::size_t bytes) {
    std::uintptr_t address = reinterpret_cast<std::uintptr_t>(at);
    auto after = state.allocations.upper_bound(address);
    if (after == state.allocations.begin()) {
        return nullptr;
    }
    --after;
    return address - after->first + bytes <= after->second.bytes ? &after->second : nullptr;
}

static int n_open;

void open_device_memory() {
    if (n_open++ == 0) {
        set_device_memory(true);
    }
}

void close_device_memory() {
    if (--n_open == 0) {
        set_device_memory(false);
    }
}

bool guards_broken(const char *kernel) {
    for (const auto &entry : state.allocations) {
        if (!simt::guards_intact(reinterpret_cast<const unsigned char *>(entry.first),
                                 entry.second.bytes)) {
            std::snprintf(state.fault, sizeof(state.fault),
                          "kernel %s: stores beyond an allocation of %zu bytes", kernel,
                          entry.second.bytes);
            return true;
        }
    }
    return false;
}

} // namespace fake

using fake::result;
using fake::state;

extern "C" cudaError_t cudaMalloc(void **at, size_t bytes) {
    FAKE_ENTER();
    return result(fake::allocate(at, bytes, false));
}

extern "C" cudaError_t cudaMallocHost(void **at, size_t bytes) {
    FAKE_ENTER();
    return result(fake::allocate(at, bytes, true));
}

extern "C" cudaError_t cudaHostAlloc(void **at, size_t bytes, unsigned int flags) {
    FAKE_ENTER();
    if (flags & ~static_cast<unsigned>(cudaHostAllocPortable | cudaHostAllocMapped |
                                       cudaHostAllocWriteCombined)) {
        return result(cudaErrorInvalidValue);
    }
    return result(fake::allocate(at, bytes, true));
}

extern "C" cudaError_t cudaFree(void *at) {
    FAKE_ENTER();
    return result(fake::release(at, false));
}

extern "C" cudaError_t cudaFreeHost(void *at) {
    FAKE_ENTER();
    return result(fake::release(at, true));
}

extern "C" cudaError_t cudaHostGetDevicePointer(void **on_device, void *host, unsigned int flags) {
    FAKE_ENTER();
    const fake::Allocation *allocation = fake::find_allocation(host, 1);
    if (flags != 0 || !allocation || !allocation->pinned) {
        return result(cudaErrorInvalidValue);
    }
    *on_device = host;
    return cudaSuccess;
}

extern "C" cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes) {
    FAKE_ENTER();
    *free_bytes = state.free_bytes;
    *total_bytes = fake::device().memory_bytes;
    return cudaSuccess;
}

extern "C" cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *attributes, const void *at) {
    FAKE_ENTER();
    const fake::Allocation *allocation = fake::find_allocation(at, 1);
    std::memset(attributes, 0, sizeof(*attributes));
    attributes->type = !allocation          ? cudaMemoryTypeUnregistered
                       : allocation->pinned ? cudaMemoryTypeHost
                                            : cudaMemoryTypeDevice;
    attributes->devicePointer = allocation ? const_cast<void *>(at) : nullptr;
    attributes->hostPointer = allocation && allocation->pinned ? const_cast<void *>(at) : nullptr;
    return cudaSuccess;
}

// ---------------------------------------------------------------- copies

extern "C" cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes,
                                       cudaMemcpyKind kind, cudaStream_t handle) {
    FAKE_ENTER();
    fake::Stream *stream = fake::find_stream(handle);
    if (!stream) {
        return result(cudaErrorInvalidResourceHandle);
    }
    if (bytes == 0) {
        return cudaSuccess;
    }
    if (!fake::good_copy(to, from, bytes, kind)) {
        return result(cudaErrorInvalidValue);
    }
    if (fake::fails_now(&state.fail_copy)) {
        return result(cudaErrorUnknown);
    }
    fake::Op op{};
    op.kind = fake::Kind::copy;
    op.to = to;
    op.from = from;
    op.bytes = bytes;
    bool pageable = !fake::find_allocation(to, 1) || !fake::find_allocation(from, 1);
    cudaError_t error = fake::enqueue(stream, std::move(op));
    if (pageable) {
        state.stats.n_pageable++;
        if (error == cudaSuccess && !stream->capture) { // the real one stages it and waits for that
            error = fake::drain(stream);
        }
    }
    return result(error);
}

extern "C" cudaError_t cudaMemsetAsync(void *at, int value, size_t bytes, cudaStream_t handle) {
    FAKE_ENTER();
    fake::Stream *stream = fake::find_own_stream(handle);
    if (!stream) {
        return result(cudaErrorInvalidResourceHandle);
    }
    if (bytes == 0) {
        return cudaSuccess;
    }
    if (!fake::find_allocation(at, bytes)) {
        return result(cudaErrorInvalidValue);
    }
    fake::Op op{};
    op.kind = fake::Kind::fill;
    op.to = at;
    op.value = value;
    op.bytes = bytes;
    return result(fake::enqueue(stream, std::move(op)));
}

// These two wait for the default stream, and so for streams that block on it, but for no others.
extern "C" cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
    FAKE_ENTER();
    if (cudaError_t error = fake::break_captures()) {
        return result(error);
    }
    if (bytes && !fake::good_copy(to, from, bytes, kind)) {
        return result(cudaErrorInvalidValue);
    }
    fake::Op op{};
    op.kind = fake::Kind::copy;
    op.to = to;
    op.from = from;
    op.bytes = bytes;
    state.stats.n_waits++;
    cudaError_t error = fake::enqueue(&state.legacy, std::move(op));
    return result(error ? error : fake::drain(&state.legacy));
}

extern "C" cudaError_t cudaMemset(void *at, int value, size_t bytes) {
    return cudaMemsetAsync(at, value, bytes, nullptr);
}
