// Rows of floats: LayerNorm before products, biases, and rows that move to the front.

#include "kernel_test.h"

#include <cmath>

#include "slm_cuda.h"

#define DONE(call) assert_int_equal((call), 0)

namespace {

std::vector<float> random(std::size_t n, float middle, std::uint32_t seed) {
    Numbers numbers{seed};
    std::vector<float> x(n);
    for (float &v : x) {
        v = middle + 2 * numbers.unit() - 1;
    }
    return x;
}

// Rows pick[i] of x, normed.
std::vector<float> normed(const std::vector<float> &x, std::uint32_t stride, std::uint32_t n,
                          const std::vector<float> &w, const std::vector<float> &bias,
                          const std::vector<std::uint32_t> &pick) {
    slm_cuda_stream stream{nullptr, 0};
    DeviceArray<float> rows(x), weights(w), biases(bias), out(pick.size() * n);
    DeviceArray<std::uint32_t> which(pick);
    slm_cuda_prepare p{};
    p.x = rows.at;
    p.stride = stride;
    p.n = n;
    p.norm = weights.at;
    p.norm_bias = biases.at;
    p.eps = 1e-5f;
    p.pick = which.at;
    p.floats = out.at;
    DONE(slm_cuda_prepare_rows(&stream, &p, static_cast<std::uint32_t>(pick.size())));
    return out.get();
}

// A mean of n numbers up to M is off by some 2^-24 M n / 256, as a thread adds up that many; what
// lies about it is scaled by 1 / deviation.
void layer_norm(void **) {
    const std::vector<std::uint32_t> pick = {3, 0, 2};
    for (std::uint32_t n : {16u, 100u, 256u, 1000u, 2560u}) {
        for (float middle : {0.0f, 30.0f}) {
            const std::uint32_t stride = n + 5;
            const std::vector<float> x = random(4 * stride, middle, 1), w = random(n, 0, 2),
                                     bias = random(n, 0, 3);
            const std::vector<float> y = normed(x, stride, n, w, bias, pick);
            for (std::size_t r = 0; r < pick.size(); r++) {
                const float *row = &x[pick[r] * stride];
                double mean = 0, variance = 0;
                for (std::uint32_t i = 0; i < n; i++) {
                    mean += row[i];
                }
                mean /= n;
                for (std::uint32_t i = 0; i < n; i++) {
                    variance += (row[i] - mean) * (row[i] - mean);
                }
                const double scale = 1 / std::sqrt(variance / n + 1e-5);
                const double off = (1 + middle) * (8 + n / 256.0) * 0x1p-23 * scale;
                for (std::uint32_t i = 0; i < n; i++) {
                    const double wanted = (row[i] - mean) * scale * w[i] + bias[i];
                    const double bound = off * (1 + std::fabs(w[i])) + std::fabs(wanted) * 0x1p-20;
                    assert_true(std::fabs(y[r * n + i] - wanted) <= bound);
                }
            }
        }
    }
}

void biases(void **) {
    const std::uint32_t n = 300;
    const std::vector<float> x = random(4 * n, 0, 4), bias = random(n, 0, 5);
    const std::vector<std::uint32_t> pick = {1, 3};
    slm_cuda_stream stream{nullptr, 0};
    DeviceArray<float> add(bias), all(x), some(x);
    DeviceArray<std::uint32_t> which(pick);
    DONE(slm_cuda_add_bias(&stream, all.at, add.at, n, nullptr, 4));
    DONE(slm_cuda_add_bias(&stream, some.at, add.at, n, which.at, 2));
    const std::vector<float> of_all = all.get(), of_some = some.get();
    for (std::size_t i = 0; i < x.size(); i++) {
        assert_true(of_all[i] == x[i] + bias[i % n]);
        assert_true(of_some[i] == (i / n % 2 ? x[i] + bias[i % n] : x[i]));
    }
}

std::vector<float> kept(const std::vector<float> &x, std::uint32_t n,
                        const std::vector<std::uint32_t> &pick) {
    slm_cuda_stream stream{nullptr, 0};
    DeviceArray<float> rows(x);
    DeviceArray<std::uint32_t> which(pick);
    DONE(
        slm_cuda_keep_rows(&stream, rows.at, n, which.at, static_cast<std::uint32_t>(pick.size())));
    return rows.get();
}

void rows_to_the_front(void **) {
    const std::uint32_t n = 300;
    const std::vector<float> x = random(9 * n, 0, 6);
    const std::vector<std::vector<std::uint32_t>> picks = {
        {8}, {0, 1}, {1, 2, 3, 4}, {0, 5, 6, 8}, {0, 1, 2, 3, 4, 5, 6, 7, 8}};
    for (const std::vector<std::uint32_t> &pick : picks) {
        const std::vector<float> y = kept(x, n, pick);
        for (std::size_t i = 0; i < x.size(); i++) {
            const std::size_t row = i / n;
            assert_true(y[i] == (row < pick.size() ? x[pick[row] * n + i % n] : x[i]));
        }
        assert_true(orders_agree([&] { return kept(x, n, pick); }));
    }
}

void thread_orders(void **) {
    const std::vector<float> x = random(2 * 700, 3, 7), w = random(700, 0, 8),
                             bias = random(700, 0, 9);
    assert_true(orders_agree([&] { return normed(x, 700, 700, w, bias, {0, 1}); }));
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        DEVICE_TEST(layer_norm),
        DEVICE_TEST(biases),
        DEVICE_TEST(rows_to_the_front),
        DEVICE_TEST(thread_orders),
    };
    return cmocka_run_group_tests_name("rows", tests, nullptr, nullptr);
}
