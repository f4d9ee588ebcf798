// Products of tiles, prepared rows and embedding rows against the portable kernels: integers
// exactly, sums within the rounding of their order.

#include "product_model.h"

namespace {

double silu(double g) {
    return g / (1.0 + std::exp(-g));
}

// Products of n_rows rows with one matrix, or of two gated ones, all within what rounding explains.
void check_product(std::uint32_t type, std::size_t n_out, std::size_t k, std::size_t n_rows,
                   slm_cuda_then then) {
    Numbers numbers = {static_cast<std::uint32_t>(77 + type * 131 + n_out * 7 + k + n_rows)};
    Stream stream;
    Matrix first(type, n_out, k, numbers), second(type, n_out, k, numbers);
    const slm_frag_format format = slm_frag_format_of(type);
    Prepared a(stream.s, random_rows(n_rows * k, numbers), n_rows, k, format);
    const std::vector<float> before = random_rows(n_rows * n_out, numbers);
    auto run = [&] {
        DeviceArray<float> y(before);
        slm_cuda_product p = {};
        p.w[0] = &first.on_device;
        p.w[1] = &second.on_device;
        p.n_matrices = then >= SLM_CUDA_SILU ? 2 : 1;
        p.then = then;
        p.y[0] = y.at;
        p.y_stride = static_cast<std::uint32_t>(n_out);
        p.a = a.at(format);
        assert_int_equal(slm_cuda_multiply(stream.s, &p, static_cast<std::uint32_t>(n_rows)), 0);
        assert_int_equal(slm_cuda_wait(stream.s), 0);
        return y.get();
    };
    const std::vector<float> y = run();
    if (n_rows * n_out * k < 40000) {
        assert_true(orders_agree(run));
    }
    for (std::size_t r = 0; r < n_rows; r++) {
        for (std::size_t i = 0; i < n_out; i++) {
            double sums[2] = {0, 0}, sizes[2] = {0, 0};
            for (int m = 0; m < 2; m++) {
                const float *w = &(m ? second : first).floats[i * k], *x = &a.values[r * k];
                for (std::size_t j = 0; j < k; j++) {
                    sums[m] += static_cast<double>(w[j]) * x[j];
                    sizes[m] += std::fabs(static_cast<double>(w[j]) * x[j]);
                }
            }
            // A sum of n terms, each rounded a few times, is off by n 2^-24 of their sizes at most.
            const double terms = static_cast<double>(format == SLM_FRAG_FLOATS ? k : k / 16) + 16;
            double bound = terms * 0x1p-24 * (sizes[0] + 1e-30), wanted = sums[0];
            if (then == SLM_CUDA_ADD) {
                wanted += before[r * n_out + i];
                bound += 0x1p-23 * std::fabs(wanted);
            } else if (then == SLM_CUDA_SILU) {
                wanted = silu(sums[0]) * sums[1];
                bound = 2 * bound * (std::fabs(sums[1]) + 1) + 0x1p-20 * std::fabs(wanted) +
                        terms * 0x1p-24 * sizes[1] * (std::fabs(sums[0]) + 1);
            }
            const double got = y[r * n_out + i];
            if (!(std::fabs(got - wanted) <= bound)) {
                fail_msg(
                    "type %u, %zu x %zu, row %zu, output %zu: got %.9g, wanted %.9g within %.3g",
                    type, n_out, k, r, i, got, wanted, bound);
            }
        }
    }
}

void products_of_every_type(void **) {
    for (std::uint32_t type : types) {
        const std::size_t block = block_of(type), k = block < 32 ? 48 : block;
        check_product(type, 16, k, 1, SLM_CUDA_STORE);
        check_product(type, 19, 5 * 256, 1, SLM_CUDA_STORE);
        check_product(type, 33, 2 * k, 3, SLM_CUDA_ADD);
        check_product(type, 16, 512, 8, SLM_CUDA_SILU);
        check_product(type, 5, k, 13, SLM_CUDA_STORE);
        check_product(type, 17, 3 * k, 41, SLM_CUDA_STORE);
    }
}

// Rows that end within a unit.
void odd_lengths(void **) {
    for (std::uint32_t type : types) {
        const std::size_t block = block_of(type);
        if (block < 32) {
            check_product(type, 7, 131, 2, SLM_CUDA_STORE);
        } else if (block == 32) {
            for (std::size_t k : {32, 64, 96, 224, 288, 352}) {
                check_product(type, 18, k, k == 96 ? 9 : 1, SLM_CUDA_STORE);
            }
        } else if (block == 128) {
            check_product(type, 18, 128, 1, SLM_CUDA_STORE);
            check_product(type, 18, 384, 4, SLM_CUDA_STORE);
        }
    }
}

// The bits of a row's result are the same whatever rows are beside it.
void rows_do_not_see_each_other(void **) {
    for (std::uint32_t type : {SLM_DTYPE_Q4_K, SLM_DTYPE_Q6_K, SLM_DTYPE_Q8_0, SLM_DTYPE_F16}) {
        Numbers numbers = {991};
        const std::size_t k = 768, n_out = 20;
        const slm_frag_format format = slm_frag_format_of(type);
        Stream stream;
        Matrix w(type, n_out, k, numbers);
        const std::vector<float> x = random_rows(40 * k, numbers);
        std::vector<std::vector<float>> results;
        for (std::size_t n : {1, 2, 8, 11, 16, 17, 40}) {
            Prepared a(stream.s,
                       std::vector<float>(x.begin(), x.begin() + static_cast<long>(n * k)), n, k,
                       format);
            DeviceArray<float> y(n * n_out);
            slm_cuda_product p = {};
            p.w[0] = &w.on_device;
            p.n_matrices = 1;
            p.y[0] = y.at;
            p.y_stride = n_out;
            p.a = a.at(format);
            assert_int_equal(slm_cuda_multiply(stream.s, &p, static_cast<std::uint32_t>(n)), 0);
            assert_int_equal(slm_cuda_wait(stream.s), 0);
            results.push_back(y.get());
            const std::vector<float> &last = results.back(), &one = results.front();
            assert_memory_equal(last.data(), one.data(), n_out * sizeof(float));
        }
    }
}

// Three matrices of one type at once, and rows of the result that are picked.
void several_matrices_and_picked_rows(void **) {
    Numbers numbers = {4711};
    Stream stream;
    const std::size_t k = 256;
    Matrix q(SLM_DTYPE_Q4_K, 40, k, numbers), kk(SLM_DTYPE_Q4_K, 16, k, numbers),
        v(SLM_DTYPE_Q4_K, 17, k, numbers);
    Prepared a(stream.s, random_rows(2 * k, numbers), 2, k, SLM_FRAG_K);
    const std::uint32_t stride = 40 + 16 + 17;
    DeviceArray<float> together(std::vector<float>(4 * stride, 0.0f)), alone(2 * stride);
    DeviceArray<std::uint32_t> rows(std::vector<std::uint32_t>{3, 1});
    slm_cuda_product p = {};
    p.w[0] = &q.on_device;
    p.w[1] = &kk.on_device;
    p.w[2] = &v.on_device;
    p.n_matrices = 3;
    p.y[0] = together.at;
    p.y[1] = together.at + 40;
    p.y[2] = together.at + 56;
    p.y_stride = stride;
    p.a = a.records.at;
    p.out_rows = rows.at;
    assert_int_equal(slm_cuda_multiply(stream.s, &p, 2), 0);
    p.out_rows = nullptr;
    p.n_matrices = 1;
    const slm_cuda_matrix *each[] = {&q.on_device, &kk.on_device, &v.on_device};
    const std::size_t first[] = {0, 40, 56};
    for (int i = 0; i < 3; i++) {
        p.w[0] = each[i];
        p.y[0] = alone.at + first[i];
        assert_int_equal(slm_cuda_multiply(stream.s, &p, 2), 0);
    }
    assert_int_equal(slm_cuda_wait(stream.s), 0);
    std::vector<float> got = together.get(), wanted = alone.get();
    assert_memory_equal(&got[3 * stride], &wanted[0], stride * sizeof(float));
    assert_memory_equal(&got[stride], &wanted[stride], stride * sizeof(float));
    for (std::size_t i = 0; i < stride; i++) {
        assert_true(got[i] == 0.0f && got[2 * stride + i] == 0.0f);
    }
}

void prepared_rows(void **) {
    Numbers numbers = {12345};
    Stream stream;
    for (std::size_t n : {32, 256, 300, 896, 1024}) {
        std::vector<float> x = random_rows(3 * n, numbers);
        std::fill(x.begin(), x.begin() + 32, 0.0f);
        x[n] = 1e-33f;
        Prepared k(stream.s, x, 3, n, SLM_FRAG_K), b(stream.s, x, 3, n, SLM_FRAG_32);
        Prepared row(stream.s, x, 3, n, SLM_FRAG_K, true),
            row32(stream.s, x, 3, n, SLM_FRAG_32, true);
    }
    // What is no number shows in d, and nowhere else.
    std::vector<float> x = random_rows(512, numbers);
    x[300] = NAN;
    x[400] = INFINITY;
    Prepared odd(stream.s, x, 1, 512, SLM_FRAG_K), odd32(stream.s, x, 1, 512, SLM_FRAG_32);
}

void norms(void **) {
    Numbers numbers = {555};
    Stream stream;
    const std::size_t n = 700;
    std::vector<float> x = random_rows(4 * n, numbers), w = random_rows(n, numbers), wanted(n);
    DeviceArray<float> in(x), norm(w), out(2 * n);
    DeviceArray<std::uint32_t> pick(std::vector<std::uint32_t>{3, 0});
    slm_cuda_prepare p = {};
    p.x = in.at;
    p.stride = p.n = n;
    p.norm = norm.at;
    p.eps = 1e-5f;
    p.pick = pick.at;
    p.floats = out.at;
    assert_int_equal(slm_cuda_prepare_rows(stream.s, &p, 2), 0);
    assert_int_equal(slm_cuda_wait(stream.s), 0);
    std::vector<float> got = out.get();
    for (std::size_t r = 0; r < 2; r++) {
        portable().rms_norm(wanted.data(), &x[(r == 0 ? 3 : 0) * n], w.data(), n, 1e-5f);
        for (std::size_t i = 0; i < n; i++) {
            assert_true(std::fabs(got[r * n + i] - wanted[i]) <= 4e-6f * std::fabs(wanted[i]));
        }
    }
}

void embedding_rows(void **) {
    Numbers numbers = {31337};
    Stream stream;
    for (std::uint32_t type : types) {
        const std::size_t k = block_of(type) < 256 ? 384 : 512, n_out = 37;
        Matrix e(type, n_out, k, numbers);
        std::vector<slm_cuda_row> rows;
        for (std::uint32_t i = 0; i < n_out; i++) {
            rows.push_back({static_cast<std::int32_t>((i * 5) % n_out), 0, 0, 0});
        }
        DeviceArray<slm_cuda_row> on_device(rows);
        DeviceArray<float> x(n_out * k);
        assert_int_equal(slm_cuda_embed(stream.s, x.at, &e.on_device, on_device.at, n_out), 0);
        assert_int_equal(slm_cuda_wait(stream.s), 0);
        std::vector<float> got = x.get();
        for (std::size_t r = 0; r < n_out; r++) {
            const float *wanted = &e.floats[static_cast<std::size_t>(rows[r].token) * k];
            for (std::size_t i = 0; i < k; i++) { // a device may fuse the last two operations
                if (!(std::fabs(got[r * k + i] - wanted[i]) <=
                      0x1p-22f * std::fabs(wanted[i]) + 1e-6f)) {
                    fail_msg("type %u, row %zu, value %zu: got %.9g, wanted %.9g", type, r, i,
                             got[r * k + i], wanted[i]);
                }
            }
        }
    }
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        DEVICE_TEST(prepared_rows),
        DEVICE_TEST(norms),
        DEVICE_TEST(embedding_rows),
        DEVICE_TEST(products_of_every_type),
        DEVICE_TEST(odd_lengths),
        DEVICE_TEST(rows_do_not_see_each_other),
        DEVICE_TEST(several_matrices_and_picked_rows),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
