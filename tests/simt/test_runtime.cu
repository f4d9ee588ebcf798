// The fake runtime itself: what it answers, when work is done, what it counts, and what fails on
// demand.

#include "kernel_test.h"

SLM_KERNEL(256, 1) fill(int *y, int value) {
    y[blockIdx.x * blockDim.x + threadIdx.x] = value;
}

SLM_KERNEL(256, 1) copy_one(const int *x, int *y) {
    if (threadIdx.x == 0) {
        *y = *x;
    }
}

SLM_KERNEL(1024, 1) meets(int *y) {
    grid_sync();
    y[blockIdx.x] = 1;
}

SLM_KERNEL(32, 1) uses_dynamic(unsigned *y, int n) {
    SLM_DYNAMIC_SHARED(unsigned, words);
    for (int i = static_cast<int>(threadIdx.x); i < n; i += 32) {
        words[i] = static_cast<unsigned>(i);
    }
    __syncwarp();
    y[threadIdx.x] = words[static_cast<unsigned>(n) - 1 - threadIdx.x];
}

struct Many {
    char a;
    double b;
    short c[3];
};

SLM_KERNEL(32, 1) takes_many(char a, Many many, double *y, float b) {
    if (threadIdx.x == 0) {
        *y = a + many.a + many.b + many.c[2] + static_cast<double>(b);
    }
}

static cudaStream_t make_stream(unsigned flags = cudaStreamNonBlocking) {
    cudaStream_t stream;
    OK(cudaStreamCreateWithFlags(&stream, flags));
    return stream;
}

static int *pinned_ints(std::size_t n) {
    void *memory;
    OK(cudaHostAlloc(&memory, n * sizeof(int), cudaHostAllocMapped));
    return static_cast<int *>(memory);
}

static int attribute(cudaDeviceAttr which) {
    int value = -1;
    OK(cudaDeviceGetAttribute(&value, which, 0));
    return value;
}

static void devices_are_as_told(void **) {
    const struct {
        fake_cuda_profile profile;
        int n_multiprocessors, l2_bytes, memory_gib;
    } rows[] = {{FAKE_CUDA_ORIN_NX_16, 8, 2 << 20, 15},
                {FAKE_CUDA_ORIN_NX_16_15W, 4, 2 << 20, 15},
                {FAKE_CUDA_ORIN_NANO_8, 8, 2 << 20, 7},
                {FAKE_CUDA_ORIN_AGX_64, 16, 4 << 20, 61}};
    for (const auto &row : rows) {
        fake_cuda_reset(row.profile);
        int n = 0, version = 0;
        OK(cudaGetDeviceCount(&n));
        assert_int_equal(n, 1);
        OK(cudaSetDevice(0));
        FAILS(cudaErrorInvalidDevice, cudaSetDevice(1));
        assert_int_equal(attribute(cudaDevAttrMultiProcessorCount), row.n_multiprocessors);
        assert_int_equal(attribute(cudaDevAttrL2CacheSize), row.l2_bytes);
        assert_int_equal(attribute(cudaDevAttrComputeCapabilityMajor), 8);
        assert_int_equal(attribute(cudaDevAttrComputeCapabilityMinor), 7);
        assert_int_equal(attribute(cudaDevAttrIntegrated), 1);
        assert_int_equal(attribute(cudaDevAttrPageableMemoryAccess), 0);
        assert_int_equal(attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin), 163 << 10);
        cudaDeviceProp properties;
        OK(cudaGetDeviceProperties(&properties, 0));
        assert_int_equal(properties.multiProcessorCount, row.n_multiprocessors);
        assert_int_equal(properties.totalGlobalMem >> 30, row.memory_gib);
        assert_true(std::strstr(properties.name, "Orin") != nullptr);
        std::size_t free_bytes, total_bytes;
        OK(cudaMemGetInfo(&free_bytes, &total_bytes));
        assert_true(free_bytes < total_bytes && total_bytes == properties.totalGlobalMem);
        OK(cudaDriverGetVersion(&version));
        assert_true(version >= 12000);
    }
}

static void no_device_answers_nothing(void **) {
    int n = 7;
    void *memory;
    fake_cuda_reset(FAKE_CUDA_NO_DEVICE);
    FAILS(cudaErrorNoDevice, cudaGetDeviceCount(&n));
    assert_int_equal(n, 0);
    FAILS(cudaErrorNoDevice, cudaMalloc(&memory, 1));
    FAILS(cudaErrorNoDevice, cudaGetLastError());
    FAILS(cudaSuccess, cudaGetLastError());
    fake_cuda_reset(FAKE_CUDA_OLD_DRIVER);
    FAILS(cudaErrorInsufficientDriver, cudaGetDeviceCount(&n));
    OK(cudaDriverGetVersion(&n));
    assert_true(n < 12000);
    fake_cuda_reset(FAKE_CUDA_NO_IMAGE);
    OK(cudaGetDeviceCount(&n));
    cudaFuncAttributes attributes;
    const void *kernel = reinterpret_cast<const void *>(fill);
    FAILS(cudaErrorNoKernelImageForDevice, cudaFuncGetAttributes(&attributes, kernel));
    OK(cudaMalloc(&memory, 128));
    FAILS(cudaErrorNoKernelImageForDevice,
          SLM_LAUNCH(fill, shape_of(1, 32), static_cast<int *>(memory), 1));
    OK(cudaFree(memory));
    assert_string_equal(cudaGetErrorName(cudaErrorNoKernelImageForDevice),
                        "cudaErrorNoKernelImageForDevice");
    assert_string_equal(cudaGetErrorString(cudaErrorNoDevice),
                        "no CUDA-capable device is detected");
}

// ---------------------------------------------------------------- memory

static void memory_is_counted(void **) {
    fake_cuda_stats stats;
    void *a, *b, *c;
    OK(cudaMalloc(&a, 1000));
    OK(cudaMalloc(&b, 24));
    OK(cudaMallocHost(&c, 5));
    assert_int_equal(reinterpret_cast<std::uintptr_t>(a) % 256, 0);
    OK(cudaFree(a));
    fake_cuda_get_stats(&stats);
    assert_int_equal(stats.device_bytes, 24);
    assert_int_equal(stats.device_peak_bytes, 1024);
    assert_int_equal(stats.pinned_bytes, 5);
    assert_int_equal(stats.n_allocations, 2);
    assert_int_equal(stats.n_mallocs, 3);
    FAILS(cudaErrorInvalidValue, cudaFree(a));
    FAILS(cudaErrorInvalidValue, cudaFree(c));
    FAILS(cudaErrorInvalidValue, cudaFreeHost(b));
    OK(cudaFree(nullptr));
    void *on_device;
    OK(cudaHostGetDevicePointer(&on_device, c, 0));
    FAILS(cudaErrorInvalidValue, cudaHostGetDevicePointer(&on_device, b, 0));
    cudaPointerAttributes attributes;
    OK(cudaPointerGetAttributes(&attributes, b));
    assert_int_equal(attributes.type, cudaMemoryTypeDevice);
    make_stream();
    assert_int_equal(fake_cuda_reset(FAKE_CUDA_ORIN_NX_16), 3); // b, c and the stream
}

static void memory_runs_out(void **) {
    void *a, *b;
    fake_cuda_set_free_memory(1000);
    FAILS(cudaErrorMemoryAllocation, cudaMalloc(&a, 1001));
    assert_null(a);
    OK(cudaMalloc(&a, 600));
    FAILS(cudaErrorMemoryAllocation, cudaMalloc(&b, 401));
    FAILS(cudaErrorMemoryAllocation, cudaPeekAtLastError());
    FAILS(cudaErrorMemoryAllocation, cudaGetLastError());
    FAILS(cudaSuccess, cudaGetLastError());
    OK(cudaFree(a));
    OK(cudaMalloc(&b, 1000));
    OK(cudaFree(b));
    fake_cuda_fail_malloc(2);
    OK(cudaMalloc(&a, 10));
    FAILS(cudaErrorMemoryAllocation, cudaMallocHost(&b, 10));
    OK(cudaMallocHost(&b, 10));
    OK(cudaFree(a));
    OK(cudaFreeHost(b));
}

static void copies_are_checked(void **) {
    int *pinned = pinned_ints(16);
    DeviceArray<int> a(16), b(16);
    cudaStream_t stream = make_stream();
    OK(cudaMemcpyAsync(a.at, pinned, 64, cudaMemcpyHostToDevice, stream));
    OK(cudaMemcpyAsync(b.at, a.at, 64, cudaMemcpyDefault, stream));
    FAILS(cudaErrorInvalidValue, cudaMemcpyAsync(a.at, pinned, 68, cudaMemcpyHostToDevice, stream));
    FAILS(cudaErrorInvalidValue,
          cudaMemcpyAsync(a.at + 1, b.at, 64, cudaMemcpyDeviceToDevice, stream));
    FAILS(cudaErrorInvalidValue, cudaMemcpyAsync(pinned, a.at, 64, cudaMemcpyHostToDevice, stream));
    FAILS(cudaErrorInvalidValue, cudaMemsetAsync(a.at, 0, 65, stream));
    OK(cudaStreamSynchronize(stream));
    OK(cudaStreamDestroy(stream));
    FAILS(cudaErrorInvalidResourceHandle, cudaStreamSynchronize(stream));
    OK(cudaFreeHost(pinned));
}

// ---------------------------------------------------------------- when

static void results_come_with_a_wait(void **) {
    cudaStream_t stream = make_stream();
    int *result = pinned_ints(32);
    DeviceArray<int> y(std::vector<int>(32, 0));
    slm_launch_shape shape = {dim3(1), dim3(32), 0, stream};
    result[0] = 99;
    OK(SLM_LAUNCH(fill, shape, y.at, 5));
    OK(cudaMemcpyAsync(result, y.at, 128, cudaMemcpyDeviceToHost, stream));
    assert_int_equal(result[0], 99); // too early
    OK(cudaStreamSynchronize(stream));
    assert_int_equal(result[0], 5);

    // What is read is read late too.
    result[1] = 7;
    OK(cudaMemcpyAsync(y.at, result, 128, cudaMemcpyHostToDevice, stream));
    result[1] = 8;
    OK(cudaStreamSynchronize(stream));
    assert_int_equal(y.get()[1], 8);

    // A plain copy does not wait for a stream that does not block.
    OK(SLM_LAUNCH(fill, shape, y.at, 6));
    assert_int_equal(y.get()[0], 5);
    FAILS(cudaErrorNotReady, cudaStreamQuery(stream));
    OK(cudaStreamQuery(stream));
    assert_int_equal(y.get()[0], 6);
    OK(cudaFreeHost(result));
    OK(cudaStreamDestroy(stream));
}

static void the_default_stream_waits(void **) {
    cudaStream_t stream = make_stream(cudaStreamDefault);
    DeviceArray<int> y(std::vector<int>(32, 0));
    slm_launch_shape shape = {dim3(1), dim3(32), 0, stream};
    OK(SLM_LAUNCH(fill, shape, y.at, 5));
    assert_int_equal(y.get()[0], 5);
    OK(SLM_LAUNCH(fill, shape_of(1, 32), y.at, 6));
    OK(SLM_LAUNCH(fill, shape, y.at, 7));
    OK(cudaStreamSynchronize(stream));
    assert_int_equal(y.get()[0], 7);
    OK(cudaStreamDestroy(stream));
}

static void events_order_streams(void **) {
    cudaStream_t a = make_stream(), b = make_stream();
    cudaEvent_t from, to;
    OK(cudaEventCreate(&from));
    OK(cudaEventCreate(&to));
    DeviceArray<int> x(std::vector<int>(32, 1)), y(std::vector<int>(32, 0));
    for (int waits = 0; waits < 2; waits++) {
        OK(cudaEventRecord(from, a));
        OK(SLM_LAUNCH(fill, (slm_launch_shape{dim3(1), dim3(32), 0, a}), x.at, 5));
        OK(cudaEventRecord(to, a));
        if (waits) {
            OK(cudaStreamWaitEvent(b, to, 0));
        }
        OK(SLM_LAUNCH(copy_one, (slm_launch_shape{dim3(1), dim3(32), 0, b}), x.at, y.at));
        OK(cudaStreamSynchronize(b));
        assert_int_equal(y.get()[0], waits ? 5 : 1); // without an event it is too early
        OK(cudaEventSynchronize(to));
        OK(cudaEventQuery(to));
        float ms = -1;
        OK(cudaEventElapsedTime(&ms, from, to));
        assert_true(ms >= 0);
    }
    OK(cudaEventDestroy(from));
    OK(cudaEventDestroy(to));
    OK(cudaStreamDestroy(a));
    OK(cudaStreamDestroy(b));
}

static void pageable_memory_is_told(void **) {
    cudaStream_t stream = make_stream();
    DeviceArray<int> y(4);
    int values[4] = {1, 2, 3, 4};
    OK(cudaMemcpyAsync(y.at, values, 16, cudaMemcpyHostToDevice, stream));
    values[0] = 9; // staged already
    assert_int_equal(y.get()[0], 1);
    fake_cuda_stats stats;
    fake_cuda_get_stats(&stats);
    assert_int_equal(stats.n_pageable, 1);
    OK(cudaStreamDestroy(stream));
}

static void add_one(void *number) {
    ++*static_cast<int *>(number);
}

static void streams_have_priorities(void **) {
    int least, greatest, priority, number = 0;
    cudaStream_t stream;
    OK(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    assert_true(greatest < least);
    OK(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, greatest - 3));
    OK(cudaStreamGetPriority(stream, &priority));
    assert_int_equal(priority, greatest);
    OK(cudaLaunchHostFunc(stream, add_one, &number));
    assert_int_equal(number, 0);
    OK(cudaDeviceSynchronize());
    assert_int_equal(number, 1);
    OK(cudaStreamDestroy(stream));
}

// ---------------------------------------------------------------- launches

static void arguments_are_copied(void **) {
    DeviceArray<double> y(1);
    Many many = {2, 0.5, {0, 0, 40}};
    char a = 1;
    OK(SLM_LAUNCH(takes_many, shape_of(1, 32), a, many, y.at, 100));
    a = 50;
    many.c[2] = 0;
    assert_true(y.get()[0] == 143.5);
}

static void launches_are_checked(void **) {
    DeviceArray<int> y(2048);
    FAILS(cudaErrorInvalidConfiguration, SLM_LAUNCH(fill, shape_of(0, 32), y.at, 1));
    FAILS(cudaErrorInvalidConfiguration, SLM_LAUNCH(fill, shape_of(1, 1056), y.at, 1));
    const void *function = reinterpret_cast<const void *>(fill);
    fake_cuda_set_registers(function, 128);
    FAILS(cudaErrorLaunchOutOfResources, SLM_LAUNCH(fill, shape_of(1, 1024), y.at, 1));
    OK(SLM_LAUNCH(fill, shape_of(1, 512), y.at, 1));
    void *no_args[] = {nullptr};
    FAILS(cudaErrorInvalidDeviceFunction, cudaLaunchKernel(reinterpret_cast<const void *>(add_one),
                                                           dim3(1), dim3(1), no_args, 0, nullptr));
}

static void shared_memory_has_a_limit(void **) {
    DeviceArray<unsigned> y(32);
    const void *function = reinterpret_cast<const void *>(uses_dynamic);
    std::size_t default_limit = 48 << 10, limit = 163 << 10;
    auto launch = [&](std::size_t bytes) {
        return SLM_LAUNCH(uses_dynamic, shape_of(1, 32, bytes), y.at, static_cast<int>(bytes / 4));
    };
    OK(launch(default_limit));
    FAILS(cudaErrorInvalidValue, launch(default_limit + 4));
    const cudaFuncAttribute attribute = cudaFuncAttributeMaxDynamicSharedMemorySize;
    FAILS(cudaErrorInvalidValue,
          cudaFuncSetAttribute(function, attribute, static_cast<int>(limit) + 1));
    OK(cudaFuncSetAttribute(function, attribute, static_cast<int>(limit)));
    OK(launch(limit));
    cudaFuncAttributes attributes;
    OK(cudaFuncGetAttributes(&attributes, function));
    assert_int_equal(attributes.maxDynamicSharedSizeBytes, limit);
    assert_int_equal(attributes.binaryVersion, 87);
    int n_blocks;
    OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&n_blocks, function, 128, limit));
    assert_int_equal(n_blocks, 1);
    OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&n_blocks, function, 128, 0));
    assert_int_equal(n_blocks, 8); // 64 registers
    fake_cuda_set_registers(function, 40);
    OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&n_blocks, function, 128, 0));
    assert_int_equal(n_blocks, 12);
    assert_int_equal(y.get()[0], limit / 4 - 1);
}

// As many blocks as fit at once, and not one more; the power mode decides.
static void cooperative_launches_have_a_limit(void **) {
    const fake_cuda_profile profiles[] = {FAKE_CUDA_ORIN_NX_16_15W, FAKE_CUDA_ORIN_NX_16,
                                          FAKE_CUDA_ORIN_AGX_64};
    unsigned n_multiprocessors = 4;
    for (fake_cuda_profile profile : profiles) {
        fake_cuda_reset(profile);
        DeviceArray<int> y(std::vector<int>(64, 0));
        OK(SLM_LAUNCH_COOPERATIVE(meets, shape_of(n_multiprocessors, 1024), y.at));
        assert_int_equal(y.get()[n_multiprocessors - 1], 1);
        FAILS(cudaErrorCooperativeLaunchTooLarge,
              SLM_LAUNCH_COOPERATIVE(meets, shape_of(n_multiprocessors + 1, 1024), y.at));
        OK(SLM_LAUNCH_COOPERATIVE(meets, shape_of(8 * n_multiprocessors / 8, 128), y.at));
        n_multiprocessors *= 2;
    }
}

// ---------------------------------------------------------------- failures

static void a_launch_loses_the_device(void **) {
    {
        DeviceArray<int> y(32);
        fake_cuda_fail_launch(2);
        OK(SLM_LAUNCH(fill, shape_of(1, 32), y.at, 1));
        OK(cudaDeviceSynchronize());
        OK(SLM_LAUNCH(fill, shape_of(1, 32), y.at, 2)); // nobody knows yet
        FAILS(cudaErrorIllegalAddress, cudaDeviceSynchronize());
        void *memory;
        FAILS(cudaErrorIllegalAddress, cudaMalloc(&memory, 10));
        FAILS(cudaErrorIllegalAddress, SLM_LAUNCH(fill, shape_of(1, 32), y.at, 3));
        FAILS(cudaErrorIllegalAddress, cudaGetLastError());
        FAILS(cudaErrorIllegalAddress, cudaGetLastError()); // it stays
    }
    assert_int_equal(fake_cuda_reset(FAKE_CUDA_ORIN_NX_16), 1); // a lost device frees nothing
    OK(cudaDeviceSynchronize());
}

static void a_wait_fails_once(void **) {
    fake_cuda_fail_sync(2);
    OK(cudaDeviceSynchronize());
    FAILS(cudaErrorUnknown, cudaDeviceSynchronize());
    OK(cudaDeviceSynchronize());
    fake_cuda_stats stats;
    fake_cuda_get_stats(&stats);
    assert_int_equal(stats.n_waits, 3);
}

int main() {
    const CMUnitTest tests[] = {
        DEVICE_TEST(devices_are_as_told),       DEVICE_TEST(no_device_answers_nothing),
        DEVICE_TEST(memory_is_counted),         DEVICE_TEST(memory_runs_out),
        DEVICE_TEST(copies_are_checked),        DEVICE_TEST(results_come_with_a_wait),
        DEVICE_TEST(the_default_stream_waits),  DEVICE_TEST(events_order_streams),
        DEVICE_TEST(pageable_memory_is_told),   DEVICE_TEST(streams_have_priorities),
        DEVICE_TEST(arguments_are_copied),      DEVICE_TEST(launches_are_checked),
        DEVICE_TEST(shared_memory_has_a_limit), DEVICE_TEST(cooperative_launches_have_a_limit),
        DEVICE_TEST(a_launch_loses_the_device), DEVICE_TEST(a_wait_fails_once),
    };
    return cmocka_run_group_tests_name("runtime", tests, nullptr, nullptr);
}
