// The fake runtime: streams and events. What is put into a stream waits there until the host waits
// for it: a program that reads a result too early finds what was there before.

#include "fake_state.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace fake {

Op mark_op(Kind kind, std::shared_ptr<Mark> mark) {
    Op op{};
    op.kind = kind;
    op.mark = std::move(mark);
    return op;
}

namespace {

double now_seconds() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Streams that block on the default stream take turns with it, in the order of the calls.
bool blocks_on_legacy(const Stream &stream) {
    return (stream.flags & cudaStreamNonBlocking) == 0;
}

void wait_for_tail(Stream *waits, Stream *other) {
    if (!other->queue.empty()) {
        auto mark = std::make_shared<Mark>();
        mark->stream = other;
        other->queue.push_back(mark_op(Kind::record, mark));
        waits->queue.push_back(mark_op(Kind::wait, mark));
    }
}

cudaError_t run_kernel(Op &op) {
    if (op.fails) {
        return cudaErrorIllegalAddress;
    }
    Kernel &kernel = state.kernels[op.function];
    std::vector<void *> args;
    std::size_t at = 0;
    for (std::size_t bytes : kernel.arg_bytes) {
        args.push_back(&op.args[at]);
        at += (bytes + 15) / 16 * 16;
    }
    simt::Work work{
        kernel.name,   op.function,
        kernel.invoke, args.data(),
        op.grid,       op.block,
        op.shared,     op.shared > (48 << 10) ? std::size_t(163) << 10 : std::size_t(48) << 10,
        op.cooperative};
    bool good = simt::run(work, state.fault, sizeof(state.fault));
    kernel.static_shared = simt::static_shared_bytes();
    state.stats.n_kernels++;
    if (good && guards_broken(kernel.name)) {
        good = simt::raise(state.fault);
    }
    return good ? cudaSuccess : cudaErrorLaunchFailure;
}

cudaError_t run_op(Op &op) {
    cudaError_t error = cudaSuccess;
    open_device_memory();
    switch (op.kind) {
    case Kind::kernel:
        error = run_kernel(op);
        break;
    case Kind::copy:
        count_copy(op);
        std::memmove(op.to, op.from, op.bytes);
        break;
    case Kind::fill:
        std::memset(op.to, op.value, op.bytes);
        break;
    case Kind::record:
        op.mark->reached = true;
        op.mark->seconds = now_seconds();
        break;
    case Kind::wait:
        while (!op.mark->reached && error == cudaSuccess) {
            error = step(op.mark->stream);
        }
        break;
    case Kind::host:
        op.host_function(op.host_data);
        break;
    }
    close_device_memory();
    if (error != cudaSuccess) {
        state.lost = error;
    }
    return error;
}

} // namespace

Stream *find_stream(cudaStream_t handle) {
    if (handle == nullptr || handle == cudaStreamLegacy) {
        return &state.legacy;
    }
    Stream *stream = reinterpret_cast<Stream *>(handle);
    return state.streams.count(stream) ? stream : nullptr;
}

Stream *find_own_stream(cudaStream_t handle) {
    Stream *stream = find_stream(handle);
    return stream && (stream->device < 0 || stream->device == current_device) ? stream : nullptr;
}

cudaError_t enqueue(Stream *stream, Op &&op) {
    if (stream->capture) {
        Capture &capture = *stream->capture;
        if (capture.broken) {
            return cudaErrorStreamCaptureInvalidated;
        }
        capture.graph.nodes.push_back(std::make_unique<Op>(std::move(op)));
        if (stream != capture.origin) {
            capture.unjoined[stream] = capture.graph.nodes.size();
        }
        return cudaSuccess;
    }
    if (stream == &state.legacy) {
        for (Stream *other : state.streams) {
            if (blocks_on_legacy(*other)) {
                if (other->capture) {
                    other->capture->broken = true;
                    return cudaErrorStreamCaptureImplicit;
                }
                wait_for_tail(stream, other);
            }
        }
    } else if (blocks_on_legacy(*stream)) {
        wait_for_tail(stream, &state.legacy);
    }
    stream->queue.push_back(std::move(op));
    return cudaSuccess;
}

cudaError_t step(Stream *stream) {
    if (stream->queue.empty()) {
        return cudaSuccess;
    }
    Op op = std::move(stream->queue.front());
    stream->queue.pop_front();
    return run_op(op);
}

cudaError_t drain(Stream *stream) {
    cudaError_t error = cudaSuccess;
    open_device_memory(); // once for all of them
    while (!stream->queue.empty() && error == cudaSuccess) {
        error = step(stream);
    }
    close_device_memory();
    return error;
}

cudaError_t drain_all() {
    cudaError_t error = drain(&state.legacy);
    for (Stream *stream : state.streams) {
        error = error ? error : drain(stream);
    }
    return error;
}

cudaError_t break_captures() {
    cudaError_t error = cudaSuccess;
    for (Stream *stream : state.streams) {
        if (stream->capture && stream->capture->mode != cudaStreamCaptureModeRelaxed) {
            stream->capture->broken = true;
            error = cudaErrorStreamCaptureUnsupported;
        }
    }
    return error;
}

cudaError_t make_kernel_op(const void *function, dim3 grid, dim3 block, void **args,
                           std::size_t shared, bool cooperative, Op *op) {
    Kernel &kernel = state.kernels[function];
    op->kind = Kind::kernel;
    op->function = function;
    op->grid = grid;
    op->block = block;
    op->shared = shared;
    op->cooperative = cooperative;
    if (cudaError_t error = check_launch(kernel, *op)) {
        return error;
    }
    for (std::size_t i = 0; i < kernel.arg_bytes.size(); i++) {
        const unsigned char *bytes = static_cast<const unsigned char *>(args[i]);
        op->args.insert(op->args.end(), bytes, bytes + kernel.arg_bytes[i]);
        op->args.resize((op->args.size() + 15) / 16 * 16);
    }
    return op->args.size() > 4096 ? cudaErrorInvalidValue : cudaSuccess;
}

void release_streams() {
    for (Stream *stream : state.streams) {
        delete stream;
    }
    for (Event *event : state.events) {
        delete event;
    }
    for (Graph *graph : state.graphs) {
        delete graph;
    }
    for (GraphExec *exec : state.graph_execs) {
        delete exec;
    }
    state.streams.clear();
    state.events.clear();
    state.graphs.clear();
    state.graph_execs.clear();
    state.legacy.queue.clear();
}

} // namespace fake

using fake::result;
using fake::state;

// ---------------------------------------------------------------- launches

static cudaError_t launch(const void *function, dim3 grid, dim3 block, void **args, size_t shared,
                          cudaStream_t handle, bool cooperative) {
    FAKE_ENTER();
    fake::Stream *stream = fake::find_own_stream(handle);
    if (!stream) {
        return result(cudaErrorInvalidResourceHandle);
    }
    fake::Op op{};
    if (cudaError_t error =
            fake::make_kernel_op(function, grid, block, args, shared, cooperative, &op)) {
        return result(error);
    }
    state.stats.n_launches++;
    op.fails = !stream->capture && fake::fails_now(&state.fail_launch);
    return result(fake::enqueue(stream, std::move(op)));
}

extern "C" cudaError_t cudaLaunchKernel(const void *function, dim3 grid, dim3 block, void **args,
                                        size_t shared, cudaStream_t stream) {
    return launch(function, grid, block, args, shared, stream, false);
}

extern "C" cudaError_t cudaLaunchCooperativeKernel(const void *function, dim3 grid, dim3 block,
                                                   void **args, size_t shared,
                                                   cudaStream_t stream) {
    return launch(function, grid, block, args, shared, stream, true);
}

extern "C" cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void *data) {
    FAKE_ENTER();
    fake::Stream *stream = fake::find_stream(handle);
    if (!stream) {
        return result(cudaErrorInvalidResourceHandle);
    }
    fake::Op op{};
    op.kind = fake::Kind::host;
    op.host_function = function;
    op.host_data = data;
    return result(fake::enqueue(stream, std::move(op)));
}

// ---------------------------------------------------------------- streams

extern "C" cudaError_t cudaStreamCreateWithPriority(cudaStream_t *handle, unsigned int flags,
                                                    int priority) {
    FAKE_ENTER();
    if (flags & ~static_cast<unsigned>(cudaStreamNonBlocking)) {
        return result(cudaErrorInvalidValue);
    }
    int clamped = priority > 0 ? 0 : priority < -5 ? -5 : priority;
    fake::Stream *stream = new fake::Stream{flags, clamped, fake::current_device, {}, nullptr};
    state.streams.insert(stream);
    *handle = reinterpret_cast<cudaStream_t>(stream);
    return cudaSuccess;
}

extern "C" cudaError_t cudaStreamCreateWithFlags(cudaStream_t *handle, unsigned int flags) {
    return cudaStreamCreateWithPriority(handle, flags, 0);
}

extern "C" cudaError_t cudaStreamCreate(cudaStream_t *handle) {
    return cudaStreamCreateWithPriority(handle, cudaStreamDefault, 0);
}

extern "C" cudaError_t cudaStreamGetPriority(cudaStream_t handle, int *priority) {
    FAKE_ENTER();
    fake::Stream *stream = fake::find_stream(handle);
    if (!stream) {
        return result(cudaErrorInvalidResourceHandle);
    }
    *priority = stream->priority;
    return cudaSuccess;
}

// What is in the queue still runs, as on the device.
extern "C" cudaError_t cudaStreamDestroy(cudaStream_t handle) {
    FAKE_ENTER();
    fake::Stream *stream = fake::find_stream(handle);
    if (!stream || stream == &state.legacy) {
        return result(cudaErrorInvalidResourceHandle);
    }
    cudaError_t error = fake::drain(stream);
    state.streams.erase(stream);
    delete stream;
    return result(error);
}

static cudaError_t wait_begins(const fake::Stream *stream) {
    if (stream && stream->capture) {
        stream->capture->broken = true;
        return cudaErrorStreamCaptureUnsupported;
    }
    state.stats.n_waits++;
    return fake::fails_now(&state.fail_sync) ? cudaErrorUnknown : cudaSuccess;
}

extern "C" cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
    FAKE_ENTER();
    fake::Stream *stream = fake::find_stream(handle);
    if (!stream) {
        return result(cudaErrorInvalidResourceHandle);
    }
    cudaError_t error = wait_begins(stream);
    return result(error ? error : fake::drain(stream));
}

extern "C" cudaError_t cudaDeviceSynchronize(void) {
    FAKE_ENTER();
    if (cudaError_t error = fake::break_captures()) {
        return result(error);
    }
    cudaError_t error = wait_begins(nullptr);
    return result(error ? error : fake::drain_all());
}

// Each query lets the device go on by one operation.
extern "C" cudaError_t cudaStreamQuery(cudaStream_t handle) {
    FAKE_ENTER();
    fake::Stream *stream = fake::find_stream(handle);
    if (!stream) {
        return result(cudaErrorInvalidResourceHandle);
    }
    if (stream->capture) {
        stream->capture->broken = true;
        return result(cudaErrorStreamCaptureUnsupported);
    }
    if (stream->queue.empty()) {
        return cudaSuccess;
    }
    cudaError_t error = fake::step(stream);
    return result(error ? error : cudaErrorNotReady);
}

// ---------------------------------------------------------------- events

static fake::Event *find_event(cudaEvent_t handle) {
    fake::Event *event = reinterpret_cast<fake::Event *>(handle);
    return state.events.count(event) ? event : nullptr;
}

extern "C" cudaError_t cudaEventCreateWithFlags(cudaEvent_t *handle, unsigned int flags) {
    FAKE_ENTER();
    if (flags & ~static_cast<unsigned>(cudaEventBlockingSync | cudaEventDisableTiming)) {
        return result(cudaErrorInvalidValue);
    }
    fake::Event *event = new fake::Event{(flags & cudaEventDisableTiming) == 0, nullptr, nullptr};
    state.events.insert(event);
    *handle = reinterpret_cast<cudaEvent_t>(event);
    return cudaSuccess;
}

extern "C" cudaError_t cudaEventCreate(cudaEvent_t *handle) {
    return cudaEventCreateWithFlags(handle, cudaEventDefault);
}

extern "C" cudaError_t cudaEventDestroy(cudaEvent_t handle) {
    FAKE_ENTER();
    fake::Event *event = find_event(handle);
    if (!event) {
        return result(cudaErrorInvalidResourceHandle);
    }
    state.events.erase(event);
    delete event;
    return cudaSuccess;
}

extern "C" cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t stream_handle) {
    FAKE_ENTER();
    fake::Event *event = find_event(handle);
    fake::Stream *stream = fake::find_stream(stream_handle);
    if (!event || !stream) {
        return result(cudaErrorInvalidResourceHandle);
    }
    if (stream->capture) { // it only says which nodes come before a wait
        event->captured = stream->capture;
        event->captured_at = stream->capture->graph.nodes.size();
        event->mark = nullptr;
        return result(stream->capture->broken ? cudaErrorStreamCaptureInvalidated : cudaSuccess);
    }
    event->captured = nullptr;
    event->mark = std::make_shared<fake::Mark>();
    event->mark->stream = stream;
    return result(fake::enqueue(stream, fake::mark_op(fake::Kind::record, event->mark)));
}

extern "C" cudaError_t cudaStreamWaitEvent(cudaStream_t stream_handle, cudaEvent_t handle,
                                           unsigned int flags) {
    FAKE_ENTER();
    fake::Event *event = find_event(handle);
    fake::Stream *stream = fake::find_stream(stream_handle);
    if (!event || !stream) {
        return result(cudaErrorInvalidResourceHandle);
    }
    if (flags != cudaEventWaitDefault) {
        return result(cudaErrorInvalidValue);
    }
    if (event->captured) {
        fake::Capture &capture = *event->captured;
        if (!stream->capture) { // it joins the capture
            stream->capture = event->captured;
            capture.unjoined[stream] = event->captured_at + 1;
        }
        for (auto branch = capture.unjoined.begin(); branch != capture.unjoined.end();) {
            bool joined = branch->first != stream && branch->second <= event->captured_at;
            branch = joined ? capture.unjoined.erase(branch) : std::next(branch);
        }
        return result(stream->capture == event->captured ? cudaSuccess
                                                         : cudaErrorStreamCaptureUnmatched);
    }
    if (stream->capture) {
        stream->capture->broken = true;
        return result(cudaErrorStreamCaptureUnsupported);
    }
    if (!event->mark) {
        return cudaSuccess;
    }
    return result(fake::enqueue(stream, fake::mark_op(fake::Kind::wait, event->mark)));
}

extern "C" cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
    FAKE_ENTER();
    fake::Event *event = find_event(handle);
    if (!event) {
        return result(cudaErrorInvalidResourceHandle);
    }
    if (event->captured) {
        return result(cudaErrorCapturedEvent);
    }
    cudaError_t error = wait_begins(nullptr);
    while (!error && event->mark && !event->mark->reached) {
        error = fake::step(event->mark->stream);
    }
    return result(error);
}

extern "C" cudaError_t cudaEventQuery(cudaEvent_t handle) {
    FAKE_ENTER();
    fake::Event *event = find_event(handle);
    if (!event) {
        return result(cudaErrorInvalidResourceHandle);
    }
    if (event->captured) {
        return result(cudaErrorCapturedEvent);
    }
    if (!event->mark || event->mark->reached) {
        return cudaSuccess;
    }
    cudaError_t error = fake::step(event->mark->stream);
    return result(error ? error : cudaErrorNotReady);
}

extern "C" cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to) {
    FAKE_ENTER();
    fake::Event *first = find_event(from), *second = find_event(to);
    if (!first || !second || !first->timing || !second->timing || !first->mark || !second->mark) {
        return result(cudaErrorInvalidResourceHandle);
    }
    if (!first->mark->reached || !second->mark->reached) {
        return result(cudaErrorNotReady);
    }
    *ms = static_cast<float>(1e3 * (second->mark->seconds - first->mark->seconds));
    return cudaSuccess;
}
