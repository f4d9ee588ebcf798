// Products with many rows: the bits of every one are those of the same row among few. What these
// are worth, test_products.cu shows.

#include "product_model.h"

namespace {

// Matrices of one type with rows, and what comes of them.
struct Product {
    Product(std::uint32_t type_, std::size_t n_out_, std::size_t k_, std::size_t n_rows_)
        : type(type_), n_out(n_out_), k(k_),
          n_rows(n_rows_), numbers{static_cast<std::uint32_t>(31 + type_ * 131 + n_out_ * 7 + k_ +
                                                              n_rows_)},
          first(type_, n_out_, k_, numbers), second(type_, n_out_, k_, numbers),
          a(stream.s, random_rows(n_rows_ * k_, numbers), n_rows_, k_, slm_frag_format_of(type_)),
          before(random_rows(n_rows_ * n_out_, numbers)) {
        first.on_device.scale = 0.75f;
        second.on_device.scale = 1.25f;
    }

    // at_once: rows that are multiplied by one call.
    std::vector<float> run(slm_cuda_then then, std::size_t at_once) {
        DeviceArray<float> y(before);
        const std::size_t n_units = (k + 255) / 256;
        for (std::size_t r = 0; r < n_rows; r += at_once) {
            slm_cuda_product p = {};
            p.w[0] = &first.on_device;
            p.w[1] = &second.on_device;
            p.n_matrices = then >= SLM_CUDA_SILU ? 2 : 1;
            p.then = then;
            p.y[0] = y.at + r * n_out;
            p.y_stride = static_cast<std::uint32_t>(n_out);
            p.a = a.records.at + r * n_units;
            const std::size_t n = n_rows - r < at_once ? n_rows - r : at_once;
            assert_int_equal(slm_cuda_multiply(stream.s, &p, static_cast<std::uint32_t>(n)), 0);
        }
        assert_int_equal(slm_cuda_wait(stream.s), 0);
        return y.get();
    }

    void check(slm_cuda_then then) {
        const std::vector<float> got = run(then, n_rows), wanted = run(then, 16);
        for (std::size_t i = 0; i < got.size(); i++) {
            if (std::memcmp(&got[i], &wanted[i], sizeof(float)) != 0) {
                fail_msg("type %u, %zu x %zu, then %d, %zu rows, row %zu, output %zu: got %.9g, "
                         "wanted %.9g",
                         type, n_out, k, then, n_rows, i / n_out, i % n_out, got[i], wanted[i]);
            }
        }
    }

    std::uint32_t type;
    std::size_t n_out, k, n_rows;
    Numbers numbers;
    Stream stream;
    Matrix first, second;
    Prepared a;
    std::vector<float> before;
};

bool is_of_tiles(std::uint32_t type) {
    return slm_frag_format_of(type) != SLM_FRAG_FLOATS;
}

// The sums of a row's units are added up in four chains: fewer units than that, as many, more.
void every_type(void **) {
    for (std::uint32_t type : types) {
        if (is_of_tiles(type)) {
            Product(type, 37, 256, 17).check(SLM_CUDA_STORE);
            Product(type, 16, 5 * 256, 33).check(SLM_CUDA_ADD);
            Product(type, 97, 512, 65).check(SLM_CUDA_SILU);
            Product(type, 1, 9 * 256, 18).check(SLM_CUDA_STORE);
        }
    }
}

void counts_of_rows(void **) {
    for (std::uint32_t type : {SLM_DTYPE_Q4_K, SLM_DTYPE_Q6_K, SLM_DTYPE_Q8_0}) {
        for (std::size_t n : {17, 31, 32, 33, 63, 64, 65, 127, 129, 300}) {
            Product(type, 20, 256, n).check(SLM_CUDA_STORE);
        }
    }
}

void gates(void **) {
    for (slm_cuda_then then : {SLM_CUDA_SILU, SLM_CUDA_GELU, SLM_CUDA_RELU2}) {
        Product(SLM_DTYPE_Q4_K, 40, 512, 35).check(then);
        Product(SLM_DTYPE_Q8_0, 40, 96, 35).check(then);
    }
}

// Rows that end within a unit.
void odd_lengths(void **) {
    for (std::uint32_t type : types) {
        const std::size_t block = block_of(type);
        for (std::size_t k = 256 + block; block < 256 && is_of_tiles(type) && k < 512;
             k += 3 * block) {
            Product(type, 18, k, 19).check(SLM_CUDA_STORE);
            Product(type, 18, k - 256, 19).check(SLM_CUDA_ADD);
        }
    }
}

// Neither warps that have no tile nor columns that have no row disturb the others.
void orders(void **) {
    for (std::uint32_t type : {SLM_DTYPE_Q4_K, SLM_DTYPE_Q6_K, SLM_DTYPE_Q5_1, SLM_DTYPE_I2_S}) {
        Product p(type, 120, 768, 25);
        assert_true(orders_agree([&] { return p.run(SLM_CUDA_ADD, 25); }));
    }
}

// Activations at their limits against weights at theirs: sums of 16 bits have any bytes.
void extremes(void **) {
    for (std::uint32_t type : types) {
        if (!is_of_tiles(type)) {
            continue;
        }
        Product p(type, 32, 512, 24);
        std::vector<float> x(24 * 512);
        for (std::size_t i = 0; i < x.size(); i++) {
            const std::size_t r = i / 512;
            x[i] = r < 8    ? (r % 2 ? 127.0f : -127.0f)
                   : r < 16 ? static_cast<float>(i / (1u << (r - 8)) % 2 * 254) - 127.0f
                            : (i % 512 == 37 * r - 500 ? 1e30f : 0.0f);
        }
        DeviceArray<float> in(x);
        slm_cuda_prepare prepare = {};
        prepare.x = in.at;
        prepare.stride = prepare.n = 512;
        (slm_frag_format_of(type) == SLM_FRAG_K ? prepare.k : prepare.b32) = p.a.records.at;
        assert_int_equal(slm_cuda_prepare_rows(p.stream.s, &prepare, 24), 0);
        p.check(SLM_CUDA_STORE);
    }
}

// Three matrices of one type at once, each of its own number of groups, and rows that are picked.
void several_matrices_and_picked_rows(void **) {
    Numbers numbers = {4711};
    Stream stream;
    const std::size_t k = 512, n = 20, first[] = {0, 200, 216};
    const std::uint32_t stride = 233;
    Matrix q(SLM_DTYPE_Q4_K, 200, k, numbers), kk(SLM_DTYPE_Q4_K, 16, k, numbers),
        v(SLM_DTYPE_Q4_K, 17, k, numbers);
    const slm_cuda_matrix *each[] = {&q.on_device, &kk.on_device, &v.on_device};
    Prepared a(stream.s, random_rows(n * k, numbers), n, k, SLM_FRAG_K);
    DeviceArray<float> together(std::vector<float>(2 * n * stride, 0.0f)), alone(n * stride);
    std::vector<std::uint32_t> rows(n);
    for (std::uint32_t i = 0; i < n; i++) {
        rows[i] = (i * 7 + 3) % n * 2;
    }
    DeviceArray<std::uint32_t> picked(rows);
    slm_cuda_product p = {};
    p.y_stride = stride;
    p.a = a.records.at;
    for (int i = 0; i < 3; i++) {
        p.n_matrices = 1;
        p.w[0] = each[i];
        p.y[0] = alone.at + first[i];
        assert_int_equal(slm_cuda_multiply(stream.s, &p, n), 0);
    }
    p.n_matrices = 3;
    for (int i = 0; i < 3; i++) {
        p.w[i] = each[i];
        p.y[i] = together.at + first[i];
    }
    p.out_rows = picked.at;
    assert_int_equal(slm_cuda_multiply(stream.s, &p, n), 0);
    assert_int_equal(slm_cuda_wait(stream.s), 0);
    const std::vector<float> got = together.get(), wanted = alone.get();
    for (std::size_t i = 0; i < n; i++) {
        assert_memory_equal(&got[rows[i] * stride], &wanted[i * stride], stride * sizeof(float));
        for (std::size_t j = 0; j < stride; j++) {
            assert_true(got[(rows[i] + 1) * stride + j] == 0.0f);
        }
    }
}

// Where a block may not have as much shared memory, the kernel of few rows does it.
void little_shared_memory(void **) {
    Product p(SLM_DTYPE_Q8_0, 24, 288, 40);
    const std::vector<float> wanted = p.run(SLM_CUDA_SILU, 40);
    fake_cuda_set_shared(64 << 10);
    assert_true(same_bits(p.run(SLM_CUDA_SILU, 40), wanted));
    assert_int_equal(cudaGetLastError(), cudaSuccess);
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        DEVICE_TEST(every_type),
        DEVICE_TEST(counts_of_rows),
        DEVICE_TEST(gates),
        DEVICE_TEST(odd_lengths),
        DEVICE_TEST(orders),
        DEVICE_TEST(extremes),
        DEVICE_TEST(several_matrices_and_picked_rows),
        DEVICE_TEST(little_shared_memory),
    };
    return cmocka_run_group_tests_name("gemm", tests, nullptr, nullptr);
}
