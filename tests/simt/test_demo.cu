// Two kernels as the library has them: a matrix-vector product on Q8_0 weights in split planes,
// with the activations staged in shared memory, and a small matrix product on the tensor cores with
// weights that come by asynchronous copies. They show how a test of a kernel is written.

#include "kernel_test.h"

#include <ctime>

// Weights: n_rows rows of n bytes, and a half for every 32 of them. Activations: n bytes for each
// of the columns, and a float for every 32.
struct Q8Matrix {
    const signed char *quants;
    const __half *scales;
    int n_rows, n;
};

// A warp for each row. n is a multiple of 32.
SLM_KERNEL(128, 8) gemv_q8_0(Q8Matrix w, const float *x, float *y) {
    SLM_DYNAMIC_SHARED(unsigned char, staged);
    float *scales = reinterpret_cast<float *>(staged);
    int *quants = reinterpret_cast<int *>(scales + (w.n / 32 + 3) / 4 * 4);
    int warp = static_cast<int>(threadIdx.x / 32), lane = static_cast<int>(threadIdx.x % 32);

    for (int block = warp; block < w.n / 32; block += 4) { // quantise: a value for each lane
        float v = x[32 * block + lane];
        float scale = warp_max(fabsf(v)) / 127.0f;
        reinterpret_cast<signed char *>(quants)[32 * block + lane] =
            static_cast<signed char>(scale > 0 ? rintf(v / scale) : 0.0f);
        if (lane == 0) {
            scales[block] = scale;
        }
    }
    __syncthreads();

    int row = static_cast<int>(blockIdx.x) * 4 + warp;
    if (row >= w.n_rows) {
        return;
    }
    float sum = 0;
    const signed char *from = w.quants + static_cast<size_t>(row) * static_cast<size_t>(w.n);
    for (int i = lane; i < w.n / 16; i += 32) {
        uint4 four = load_stream_16(from + 16 * i);
        const int *xs = quants + 4 * i;
        int dot = __dp4a(static_cast<int>(four.x), xs[0], 0);
        dot = __dp4a(static_cast<int>(four.y), xs[1], dot);
        dot = __dp4a(static_cast<int>(four.z), xs[2], dot);
        dot = __dp4a(static_cast<int>(four.w), xs[3], dot);
        float scale = __half2float(w.scales[row * (w.n / 32) + i / 2]) * scales[i / 2];
        sum = fmaf(scale, static_cast<float>(dot), sum);
    }
    sum = warp_sum(sum);
    if (lane == 0) {
        y[row] = sum;
    }
}

// A warp for 16 rows and 8 columns; rows and columns are full tiles, n is a multiple of 32.
SLM_KERNEL(32, 16) gemm_q8_0(Q8Matrix w, const signed char *x, const float *x_scales, float *y) {
    SLM_SHARED(uint4[2][16][2], tile); // two buffers of 16 rows of 32 bytes
    int lane = static_cast<int>(threadIdx.x), g = lane / 4, t = lane % 4, n_blocks = w.n / 32;
    int row = static_cast<int>(blockIdx.x) * 16, column = static_cast<int>(blockIdx.y) * 8;
    const signed char *from = w.quants + (row + lane / 2) * w.n + lane % 2 * 16;
    cp_async_16(&tile[0][lane / 2][lane % 2], from);
    cp_async_commit();
    float sums[4] = {0, 0, 0, 0};
    for (int block = 0; block < n_blocks; block++) {
        if (block + 1 < n_blocks) {
            cp_async_16(&tile[(block + 1) & 1][lane / 2][lane % 2], from + 32 * (block + 1));
        }
        cp_async_commit();
        cp_async_wait<1>();
        __syncwarp();
        unsigned a[4], b[2];
        // Matrices: rows 0-7 and 8-15 of the first 16 bytes, then of the second.
        ldmatrix_x4(a, &tile[block & 1][lane % 16][lane / 16]);
        const unsigned *xs =
            reinterpret_cast<const unsigned *>(x + (column + g) * w.n + 32 * block);
        b[0] = xs[t];
        b[1] = xs[t + 4];
        int dots[4] = {0, 0, 0, 0};
        mma_s8(dots, a, b);
        SLM_UNROLL
        for (int i = 0; i < 4; i++) {
            int r = row + g + 8 * (i / 2), c = column + 2 * t + i % 2;
            float scale =
                __half2float(w.scales[r * n_blocks + block]) * x_scales[c * n_blocks + block];
            sums[i] = fmaf(scale, static_cast<float>(dots[i]), sums[i]);
        }
        __syncwarp();
    }
    SLM_UNROLL
    for (int i = 0; i < 4; i++) {
        y[(column + 2 * t + i % 2) * w.n_rows + row + g + 8 * (i / 2)] = sums[i];
    }
}

struct Weights {
    std::vector<signed char> quants;
    std::vector<__half> scales;
    std::vector<float> scale_values;
};

static Weights make_weights(Numbers &numbers, int n_rows, int n) {
    Weights w;
    for (int i = 0; i < n_rows * n; i++) {
        w.quants.push_back(static_cast<signed char>(numbers.between(-127, 127)));
    }
    for (int i = 0; i < n_rows * n / 32; i++) {
        w.scales.push_back(__float2half(0.001f + 0.01f * numbers.unit()));
        w.scale_values.push_back(__half2float(w.scales.back()));
    }
    return w;
}

static void check_gemv(int n_rows, int n) {
    Numbers numbers{static_cast<std::uint32_t>(n_rows * 10007 + n)};
    Weights w = make_weights(numbers, n_rows, n);
    std::vector<float> x(static_cast<std::size_t>(n));
    for (float &v : x) {
        v = numbers.unit() - 0.5f;
    }
    DeviceArray<signed char> quants(w.quants);
    DeviceArray<__half> scales(w.scales);
    DeviceArray<float> dx(x), dy(static_cast<std::size_t>(n_rows));
    Q8Matrix matrix = {quants.at, scales.at, n_rows, n};
    std::size_t shared = static_cast<std::size_t>((n / 32 + 3) / 4 * 16 + n);
    auto run = [&] {
        OK(SLM_LAUNCH(gemv_q8_0, shape_of(static_cast<unsigned>(n_rows + 3) / 4, 128, shared),
                      matrix, dx.at, dy.at));
        return dy.get();
    };
    std::vector<float> y = run();
    for (int row = 0; row < n_rows; row++) {
        double wanted = 0, size = 0;
        for (int block = 0; block < n / 32; block++) {
            float largest = 0;
            for (int i = 0; i < 32; i++) {
                largest = fmaxf(largest, fabsf(x[static_cast<std::size_t>(32 * block + i)]));
            }
            float scale = largest / 127.0f;
            int dot = 0;
            for (int i = 0; i < 32; i++) {
                std::size_t at = static_cast<std::size_t>(32 * block + i);
                dot += w.quants[static_cast<std::size_t>(row * n) + at] *
                       static_cast<int>(scale > 0 ? rintf(x[at] / scale) : 0.0f);
            }
            double term = static_cast<double>(
                              w.scale_values[static_cast<std::size_t>(row * n / 32 + block)]) *
                          static_cast<double>(scale) * dot;
            wanted += term;
            size += fabs(term);
        }
        double error = fabs(static_cast<double>(y[static_cast<std::size_t>(row)]) - wanted);
        assert_true(error <= (n / 512 + 8) * 0x1p-24 * size + 1e-30); // adds of a lane and the tree
    }
    assert_true(orders_agree(run));
}

static void gemv_is_right(void **) {
    check_gemv(1, 32);
    check_gemv(5, 96);
    check_gemv(33, 544);
    check_gemv(64, 2048);
}

static void gemm_is_right(void **) {
    const int n_rows = 48, n_columns = 16, n = 160;
    Numbers numbers{99};
    Weights w = make_weights(numbers, n_rows, n), x = make_weights(numbers, n_columns, n);
    DeviceArray<signed char> quants(w.quants), xs(x.quants);
    DeviceArray<__half> scales(w.scales);
    DeviceArray<float> x_scales(x.scale_values), dy(n_rows * n_columns);
    Q8Matrix matrix = {quants.at, scales.at, n_rows, n};
    slm_launch_shape shape = {dim3(n_rows / 16, n_columns / 8), dim3(32), 0, nullptr};
    auto run = [&] {
        OK(SLM_LAUNCH(gemm_q8_0, shape, matrix, xs.at, x_scales.at, dy.at));
        return dy.get();
    };
    std::vector<float> y = run();
    for (std::size_t c = 0; c < n_columns; c++) {
        for (std::size_t r = 0; r < n_rows; r++) {
            float wanted = 0; // in the kernel's order, so that the bits are the same
            for (std::size_t block = 0; block < n / 32; block++) {
                int dot = 0;
                for (std::size_t i = 32 * block; i < 32 * block + 32; i++) {
                    dot += w.quants[r * n + i] * x.quants[c * n + i];
                }
                float scale =
                    w.scale_values[r * (n / 32) + block] * x.scale_values[c * (n / 32) + block];
                wanted = fmaf(scale, static_cast<float>(dot), wanted);
            }
            assert_true(y[c * n_rows + r] == wanted);
        }
    }
    assert_true(orders_agree(run));
}

// Says how many weights a second the machine does; that depends on the computer.
static void says_its_speed(void **) {
    const int n_rows = 512, n = 1024;
    Numbers numbers{5};
    Weights w = make_weights(numbers, n_rows, n);
    DeviceArray<signed char> quants(w.quants);
    DeviceArray<__half> scales(w.scales);
    DeviceArray<float> dx(std::vector<float>(n, 0.5f)), dy(n_rows);
    Q8Matrix matrix = {quants.at, scales.at, n_rows, n};
    timespec from, to;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    OK(SLM_LAUNCH(gemv_q8_0, shape_of(n_rows / 4, 128, n / 32 * 4 + n), matrix, dx.at, dy.at));
    OK(cudaDeviceSynchronize());
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    double s = static_cast<double>(to.tv_sec - from.tv_sec) +
               1e-9 * static_cast<double>(to.tv_nsec - from.tv_nsec);
    print_message("%.1f million weights a second\n", n_rows * n / s * 1e-6);
    float wanted = dy.get()[0];
    assert_true(wanted == wanted); // a number
}

int main() {
    const CMUnitTest tests[] = {DEVICE_TEST(gemv_is_right), DEVICE_TEST(gemm_is_right),
                                DEVICE_TEST(says_its_speed)};
    return cmocka_run_group_tests_name("demo", tests, nullptr, nullptr);
}
