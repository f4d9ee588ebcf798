// Capture and replay.

#include "kernel_test.h"

SLM_KERNEL(32, 1) add_value(int *y, int value) {
    y[threadIdx.x] += value;
}

SLM_KERNEL(32, 1) add_at(int *y, const int *value) {
    y[threadIdx.x] += *value;
}

static cudaStream_t make_stream() {
    cudaStream_t stream;
    OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    return stream;
}

static slm_launch_shape on(cudaStream_t stream) {
    return {dim3(1), dim3(32), 0, stream};
}

// A step that shall add another number every time. The wrong one hands the number to the kernel,
// and the graph keeps what it was when it was captured.
template <bool baked> static std::vector<int> replayed() {
    cudaStream_t stream = make_stream();
    int *value;
    OK(cudaMallocHost(reinterpret_cast<void **>(&value), sizeof(int)));
    DeviceArray<int> sums(std::vector<int>(32, 0)), on_device(1);
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    *value = 1;
    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    OK(cudaMemcpyAsync(on_device.at, value, sizeof(int), cudaMemcpyHostToDevice, stream));
    if (baked) {
        OK(SLM_LAUNCH(add_value, on(stream), sums.at, *value));
    } else {
        OK(SLM_LAUNCH(add_at, on(stream), sums.at, on_device.at));
    }
    OK(cudaStreamEndCapture(stream, &graph));
    OK(cudaGraphInstantiate(&exec, graph, 0));
    for (*value = 1; *value <= 100; *value *= 10) {
        OK(cudaGraphLaunch(exec, stream));
        OK(cudaStreamSynchronize(stream));
    }
    std::vector<int> y = sums.get();
    OK(cudaGraphExecDestroy(exec));
    OK(cudaGraphDestroy(graph));
    OK(cudaFreeHost(value));
    OK(cudaStreamDestroy(stream));
    return y;
}

static void a_parameter_is_baked_in(void **) {
    assert_true(same_bits(replayed<false>(), std::vector<int>(32, 111)));
    assert_true(same_bits(replayed<true>(), std::vector<int>(32, 3)));
}

// Nothing runs while it is captured, and a replay is put into the stream like anything else.
static void capture_does_not_run(void **) {
    cudaStream_t stream = make_stream();
    DeviceArray<int> y(std::vector<int>(32, 5));
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    cudaStreamCaptureStatus status;
    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    OK(cudaStreamIsCapturing(stream, &status));
    assert_int_equal(status, cudaStreamCaptureStatusActive);
    OK(cudaMemsetAsync(y.at, 0, 32 * sizeof(int), stream));
    OK(SLM_LAUNCH(add_value, on(stream), y.at, 3));
    OK(SLM_LAUNCH(add_value, on(stream), y.at, 4));
    OK(cudaStreamEndCapture(stream, &graph));
    OK(cudaStreamIsCapturing(stream, &status));
    assert_int_equal(status, cudaStreamCaptureStatusNone);
    std::size_t n_nodes = 0;
    OK(cudaGraphGetNodes(graph, nullptr, &n_nodes));
    assert_int_equal(n_nodes, 3);
    OK(cudaGraphInstantiate(&exec, graph, 0));
    OK(cudaGraphDestroy(graph)); // what was made of it stays
    OK(cudaStreamSynchronize(stream));
    assert_int_equal(y.get()[0], 5);
    OK(cudaGraphUpload(exec, stream));
    OK(cudaGraphLaunch(exec, stream));
    assert_int_equal(y.get()[0], 5);
    OK(cudaStreamSynchronize(stream));
    assert_int_equal(y.get()[31], 7);
    OK(cudaGraphExecDestroy(exec));
    OK(cudaStreamDestroy(stream));
}

static cudaGraph_t capture_two(cudaStream_t stream, int *y, int a, int b) {
    cudaGraph_t graph;
    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    OK(SLM_LAUNCH(add_value, on(stream), y, a));
    OK(SLM_LAUNCH(add_value, on(stream), y, b));
    OK(cudaStreamEndCapture(stream, &graph));
    return graph;
}

static void graphs_are_updated(void **) {
    cudaStream_t stream = make_stream();
    DeviceArray<int> y(std::vector<int>(32, 0));
    cudaGraph_t first = capture_two(stream, y.at, 1, 2), second = capture_two(stream, y.at, 10, 20);
    cudaGraphExec_t exec;
    cudaGraphExecUpdateResultInfo info;
    OK(cudaGraphInstantiate(&exec, first, 0));
    OK(cudaGraphLaunch(exec, stream));
    OK(cudaGraphExecUpdate(exec, second, &info));
    assert_int_equal(info.result, cudaGraphExecUpdateSuccess);
    OK(cudaGraphLaunch(exec, stream));
    OK(cudaStreamSynchronize(stream));
    assert_int_equal(y.get()[9], 33); // the first launch keeps what it had

    // One node by itself, named by the graph it was made of.
    cudaGraphNode_t nodes[2];
    std::size_t n_nodes = 2;
    OK(cudaGraphGetNodes(first, nodes, &n_nodes));
    int *at = y.at, value = 100;
    void *args[] = {&at, &value};
    cudaKernelNodeParams params = {};
    params.func = reinterpret_cast<void *>(add_value);
    params.gridDim = dim3(1);
    params.blockDim = dim3(32);
    params.kernelParams = args;
    OK(cudaGraphExecKernelNodeSetParams(exec, nodes[1], &params));
    OK(cudaGraphLaunch(exec, stream));
    OK(cudaStreamSynchronize(stream));
    assert_int_equal(y.get()[9], 143);

    cudaGraph_t third;
    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    OK(SLM_LAUNCH(add_value, on(stream), y.at, 1));
    OK(cudaStreamEndCapture(stream, &third));
    FAILS(cudaErrorGraphExecUpdateFailure, cudaGraphExecUpdate(exec, third, &info));
    assert_int_equal(info.result, cudaGraphExecUpdateErrorTopologyChanged);
    OK(cudaGraphExecDestroy(exec));
    OK(cudaGraphDestroy(first));
    OK(cudaGraphDestroy(second));
    OK(cudaGraphDestroy(third));
    OK(cudaStreamDestroy(stream));
}

// A second stream joins a capture by an event and has to be joined back.
static void streams_fork_and_join(void **) {
    cudaStream_t stream = make_stream(), other = make_stream();
    cudaEvent_t forked, joined;
    OK(cudaEventCreateWithFlags(&forked, cudaEventDisableTiming));
    OK(cudaEventCreateWithFlags(&joined, cudaEventDisableTiming));
    DeviceArray<int> y(std::vector<int>(32, 0));
    cudaGraph_t graph;
    for (int joins = 0; joins < 2; joins++) {
        OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
        OK(SLM_LAUNCH(add_value, on(stream), y.at, 1));
        OK(cudaEventRecord(forked, stream));
        OK(cudaStreamWaitEvent(other, forked, 0));
        OK(SLM_LAUNCH(add_value, on(other), y.at, 10));
        OK(cudaEventRecord(joined, other));
        FAILS(cudaErrorCapturedEvent, cudaEventSynchronize(joined));
        if (joins) {
            OK(cudaStreamWaitEvent(stream, joined, 0));
            OK(cudaStreamEndCapture(stream, &graph));
        } else {
            FAILS(cudaErrorStreamCaptureUnjoined, cudaStreamEndCapture(stream, &graph));
        }
    }
    cudaGraphExec_t exec;
    OK(cudaGraphInstantiate(&exec, graph, 0));
    OK(cudaGraphLaunch(exec, stream));
    OK(cudaStreamSynchronize(stream));
    assert_int_equal(y.get()[0], 11);
    OK(cudaGraphExecDestroy(exec));
    OK(cudaGraphDestroy(graph));
    OK(cudaEventDestroy(forked));
    OK(cudaEventDestroy(joined));
    OK(cudaStreamDestroy(other));
    OK(cudaStreamDestroy(stream));
}

static void capture_forbids(void **) {
    cudaStream_t stream = make_stream();
    cudaGraph_t graph;
    void *memory;
    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    FAILS(cudaErrorIllegalState, cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    FAILS(cudaErrorStreamCaptureUnsupported, cudaMalloc(&memory, 100));
    FAILS(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(stream, &graph));

    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    OK(cudaMalloc(&memory, 100));
    FAILS(cudaErrorStreamCaptureUnsupported, cudaStreamSynchronize(stream));
    FAILS(cudaErrorStreamCaptureInvalidated, cudaMemsetAsync(memory, 0, 100, stream));
    FAILS(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(stream, &graph));
    assert_null(graph);
    FAILS(cudaErrorStreamCaptureUnsupported,
          cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal));
    FAILS(cudaErrorIllegalState, cudaStreamEndCapture(stream, &graph));
    OK(cudaFree(memory));
    OK(cudaStreamDestroy(stream));
}

int main() {
    const CMUnitTest tests[] = {
        DEVICE_TEST(a_parameter_is_baked_in), DEVICE_TEST(capture_does_not_run),
        DEVICE_TEST(graphs_are_updated),      DEVICE_TEST(streams_fork_and_join),
        DEVICE_TEST(capture_forbids),
    };
    return cmocka_run_group_tests_name("graphs", tests, nullptr, nullptr);
}
