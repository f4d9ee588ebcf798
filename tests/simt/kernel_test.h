#ifndef TESTS_SIMT_KERNEL_TEST_H
#define TESTS_SIMT_KERNEL_TEST_H

// What the tests of kernels share. A test that uses only this and CUDA itself can also be compiled
// by nvcc, and then runs on a device.

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

extern "C" {
#include <cmocka.h>
}

#include "device.cuh"

#ifndef __CUDACC__
#include "fake_cuda.h"
#endif

#define OK(call)                                                                                   \
    do {                                                                                           \
        cudaError_t ok_error = (call);                                                             \
        if (ok_error != cudaSuccess) {                                                             \
            fail_msg("%s: %s", #call, cudaGetErrorName(ok_error));                                 \
        }                                                                                          \
    } while (0)

#define FAILS(wanted, call)                                                                        \
    do {                                                                                           \
        cudaError_t got_error = (call);                                                            \
        if (got_error != (wanted)) {                                                               \
            fail_msg("%s: got %s, wanted %s", #call, cudaGetErrorName(got_error), #wanted);        \
        }                                                                                          \
    } while (0)

// n elements of device memory, while it lives.
template <typename T> class DeviceArray {
  public:
    explicit DeviceArray(std::size_t size) : n(size) {
        void *memory = nullptr;
        OK(cudaMalloc(&memory, n * sizeof(T)));
        at = static_cast<T *>(memory);
    }
    explicit DeviceArray(const std::vector<T> &values) : DeviceArray(values.size()) {
        OK(cudaMemcpy(at, values.data(), n * sizeof(T), cudaMemcpyHostToDevice));
    }
    DeviceArray(const DeviceArray &) = delete;
    DeviceArray &operator=(const DeviceArray &) = delete;
    ~DeviceArray() { cudaFree(at); }

    std::vector<T> get() const {
        std::vector<T> values(n);
        OK(cudaMemcpy(values.data(), at, n * sizeof(T), cudaMemcpyDeviceToHost));
        return values;
    }

    T *at;
    std::size_t n;
};

// Numbers that are the same in every run.
struct Numbers {
    std::uint32_t state;
    std::uint32_t word() {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        return state;
    }
    int between(int low, int high) {
        return low + static_cast<int>(word() % static_cast<std::uint32_t>(high - low + 1));
    }
    float unit() { return static_cast<float>(word() >> 8) * 0x1p-24f; }
};

template <typename T> bool same_bits(const std::vector<T> &a, const std::vector<T> &b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

// Whether run() gives the same bits in every order of the threads; on a device, in three runs.
template <typename F> bool orders_agree(F run) {
    bool agree = true;
    auto first = run();
    for (unsigned i = 0; i < 4; i++) {
#ifndef __CUDACC__
        fake_cuda_set_order(i == 0 ? FAKE_CUDA_REVERSE : FAKE_CUDA_SHUFFLED, i);
#endif
        agree = agree && same_bits(first, run());
    }
#ifndef __CUDACC__
    fake_cuda_set_order(FAKE_CUDA_FORWARD, 0);
#endif
    return agree;
}

inline slm_launch_shape shape_of(unsigned grid, unsigned block, std::size_t shared = 0) {
    return {dim3(grid), dim3(block), shared, nullptr};
}

// At the start and at the end of each test.
inline int begin_device(void **) {
#ifndef __CUDACC__
    fake_cuda_reset(FAKE_CUDA_ORIN_NX_16);
#endif
    return 0;
}
inline int end_device(void **) {
#ifndef __CUDACC__
    return fake_cuda_reset(FAKE_CUDA_ORIN_NX_16) == 0 ? 0 : -1; // nothing was left
#else
    return cudaDeviceSynchronize() == cudaSuccess ? 0 : -1;
#endif
}
#define DEVICE_TEST(function) cmocka_unit_test_setup_teardown(function, begin_device, end_device)

#endif
