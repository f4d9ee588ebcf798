// The best of rows of logits against a plain sort.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernel_test.h"
#include "slm_cuda.h"

namespace {

const float infinity = std::numeric_limits<float>::infinity();

enum Kind { bell, ties, equal, zeros, ascending, descending, extreme, masked, n_kinds };

float like_a_models(Numbers &numbers) { // a few stand out of a bell
    float sum = 0;
    for (int i = 0; i < 6; i++) {
        sum += 4 * numbers.unit() - 2;
    }
    return numbers.between(0, 199) == 0 ? sum + 2 + 7 * numbers.unit() : sum;
}

std::vector<float> row_of(std::uint32_t n, int kind, Numbers &numbers) {
    std::vector<float> x(n);
    for (std::uint32_t i = 0; i < n; i++) {
        switch (kind) {
        case ties:
            x[i] = static_cast<float>(numbers.between(-3, 3));
            break;
        case equal:
            x[i] = -1.5f;
            break;
        case zeros:
            x[i] = numbers.between(0, 1) ? 0.0f : -0.0f;
            break;
        case ascending:
            x[i] = static_cast<float>(i) * 1e-3f - 50;
            break;
        case descending:
            x[i] = -static_cast<float>(i);
            break;
        case extreme:
            x[i] = std::ldexp(2 * numbers.unit() - 1, numbers.between(-140, 120));
            break;
        case masked:
            x[i] = numbers.between(0, 9) ? -infinity : like_a_models(numbers);
            break;
        default:
            x[i] = like_a_models(numbers);
        }
    }
    if (kind == masked) {
        x[n / 2] = 1; // one at least is not
    }
    return x;
}

struct Rows {
    std::vector<float> logits;
    std::uint32_t n, n_slots;
    std::vector<std::uint32_t> rows, named;
};

// What the kernels say; what they do not write is as it was.
std::vector<slm_cuda_best> best_of(const Rows &r) {
    slm_cuda_best untouched;
    std::memset(&untouched, 0xee, sizeof(untouched));
    DeviceArray<float> logits(r.logits);
    DeviceArray<std::uint32_t> rows(r.rows), named(r.named);
    DeviceArray<slm_cuda_best> best(std::vector<slm_cuda_best>(r.n_slots, untouched));
    DeviceArray<std::uint8_t> partial(slm_cuda_best_bytes(r.n, r.n_slots));
    slm_cuda_stream stream = {};
    assert_int_equal(slm_cuda_stream_open(&stream, 0, 0), 0);
    const slm_cuda_choice choice = {logits.at, r.n,     rows.at,   r.n_slots,
                                    named.at,  best.at, partial.at};
    OK(cudaDeviceSynchronize());
    assert_int_equal(
        slm_cuda_best_of(&stream, &choice, static_cast<std::uint32_t>(r.rows.size())), 0);
    assert_int_equal(slm_cuda_wait(&stream), 0);
    slm_cuda_stream_close(&stream);
    return best.get();
}

Rows one_row(const std::vector<float> &x) {
    return {x, static_cast<std::uint32_t>(x.size()), 1, {0},
            std::vector<std::uint32_t>(SLM_CUDA_NAMED)};
}

void check(const slm_cuda_best &best, const float *x, std::uint32_t n, int kind) {
    const std::uint32_t kept = std::min(n, SLM_CUDA_BEST);
    std::vector<std::uint32_t> index(n);
    std::iota(index.begin(), index.end(), 0u);
    std::partial_sort(index.begin(), index.begin() + kept, index.end(),
                      [&](std::uint32_t i, std::uint32_t j) {
                          return x[i] != x[j] ? x[i] > x[j] : i < j;
                      });
    const double max = x[index[0]];
    std::sort(index.begin(), index.begin() + kept);
    if (best.n != kept) {
        fail_msg("%u logits, kind %d: got %u, wanted %u", n, kind, best.n, kept);
    }
    for (std::uint32_t i = 0; i < kept; i++) {
        if (best.index[i] != index[i] || std::memcmp(&best.value[i], &x[index[i]], 4) != 0) {
            fail_msg("%u logits, kind %d, place %u: got %u (%g), wanted %u (%g)", n, kind, i,
                     best.index[i], static_cast<double>(best.value[i]), index[i],
                     static_cast<double>(x[index[i]]));
        }
    }
    double sum = 0;
    bool is_finite = true;
    for (std::uint32_t i = 0; i < n; i++) {
        sum += std::exp(x[i] - max);
        is_finite = is_finite && std::isfinite(x[i]);
    }
    assert_int_equal(best.is_finite, is_finite);
    if (is_finite && !(std::fabs(best.sum - sum) <= 0x1p-17 * sum)) {
        fail_msg("%u logits, kind %d: the sum is %.9g, wanted %.9g", n, kind,
                 static_cast<double>(best.sum), sum);
    }
}

// Around every boundary of chunks, and beyond what two launches do.
void rows_of_any_size(void **) {
    Numbers numbers = {1};
    int turn = 0;
    for (std::uint32_t n : {1u,     2u,      31u,     255u,    256u,    257u,    300u,
                            4095u,  4096u,   4097u,   4353u,   9000u,   32000u,  50257u,
                            65535u, 128256u, 151936u, 200064u, 262144u, 262145u, 300001u}) {
        for (int kind = 0; kind < n_kinds; kind++) {
            if (n > 10000 && turn++ % 3 != 0) { // a third of them is enough
                continue;
            }
            const std::vector<float> x = row_of(n, kind, numbers);
            check(best_of(one_row(x))[0], x.data(), n, kind);
        }
    }
}

void rows_that_are_not_finite(void **) {
    Numbers numbers = {2};
    const std::uint32_t n = 9000;
    std::vector<float> x = row_of(n, bell, numbers);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (std::uint32_t at : {0u, 255u, 4095u, 4096u, n - 1}) {
        for (float odd : {nan, -nan, infinity, -infinity}) {
            const float was = x[at];
            x[at] = odd;
            assert_int_equal(best_of(one_row(x))[0].is_finite, 0);
            x[at] = was;
        }
    }
    assert_int_equal(best_of(one_row(x))[0].is_finite, 1);
}

// Several rows in any order, some of which are nobody's; others than these are left alone.
void rows_of_sessions(void **) {
    Numbers numbers = {3};
    Rows r = {{}, 5003, 5, {7, 4, 0, 5, 2}, {}};
    for (int i = 0; i < 8; i++) {
        const std::vector<float> x = row_of(r.n, i % 2 ? ties : bell, numbers);
        r.logits.insert(r.logits.end(), x.begin(), x.end());
    }
    for (std::uint32_t i = 0; i < r.n_slots * SLM_CUDA_NAMED; i++) {
        r.named.push_back(static_cast<std::uint32_t>(numbers.between(0, 5002)));
    }
    const std::vector<slm_cuda_best> got = best_of(r);
    std::vector<std::uint8_t> untouched(sizeof(slm_cuda_best), 0xee);
    for (std::uint32_t slot = 0; slot < r.n_slots; slot++) {
        if (slot == 1 || slot == 3) {
            assert_memory_equal(&got[slot], untouched.data(), untouched.size());
            continue;
        }
        const float *x = &r.logits[std::size_t{slot} * r.n];
        check(got[slot], x, r.n, -1);
        for (std::uint32_t i = 0; i < SLM_CUDA_NAMED; i++) {
            const std::uint32_t id = r.named[slot * SLM_CUDA_NAMED + i];
            assert_memory_equal(&got[slot].named[i], &x[id], 4);
        }
    }
}

void orders_of_threads(void **) {
    Numbers numbers = {4};
    for (std::uint32_t n : {300u, 9000u, 280000u}) {
        for (int kind : {bell, ties, equal}) {
            const Rows r = one_row(row_of(n, kind, numbers));
            assert_true(orders_agree([&] { return best_of(r); }));
        }
    }
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        DEVICE_TEST(rows_of_any_size),
        DEVICE_TEST(rows_that_are_not_finite),
        DEVICE_TEST(rows_of_sessions),
        DEVICE_TEST(orders_of_threads),
    };
    return cmocka_run_group_tests_name("best", tests, nullptr, nullptr);
}
