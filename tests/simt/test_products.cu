// Products of tiles, prepared rows and embedding rows against the portable kernels: integers
// exactly, sums within the rounding of their order.

#include <cmath>

#include "kernel_test.h"
#include "slm_cuda.h"

extern "C" {
#include "kernels.h"
}

namespace {

const std::uint32_t types[] = {
    SLM_DTYPE_F32,   SLM_DTYPE_F16,   SLM_DTYPE_BF16, SLM_DTYPE_Q4_0,   SLM_DTYPE_Q4_1,
    SLM_DTYPE_Q5_0,  SLM_DTYPE_Q5_1,  SLM_DTYPE_Q8_0, SLM_DTYPE_Q2_K,   SLM_DTYPE_Q3_K,
    SLM_DTYPE_Q4_K,  SLM_DTYPE_Q5_K,  SLM_DTYPE_Q6_K, SLM_DTYPE_IQ4_NL, SLM_DTYPE_IQ4_XS,
    SLM_DTYPE_TQ1_0, SLM_DTYPE_TQ2_0, SLM_DTYPE_I2_S,
};

std::size_t block_of(std::uint32_t type) {
    switch (type) {
    case SLM_DTYPE_F32:
    case SLM_DTYPE_F16:
    case SLM_DTYPE_BF16:
        return 1;
    case SLM_DTYPE_I2_S:
        return 128;
    default:
        return slm_frag_format_of(type) == SLM_FRAG_32 ? 32 : 256;
    }
}

std::size_t row_bytes_of(std::uint32_t type, std::size_t k) {
    switch (type) {
    case SLM_DTYPE_F32:
        return 4 * k;
    case SLM_DTYPE_F16:
    case SLM_DTYPE_BF16:
        return 2 * k;
    case SLM_DTYPE_Q4_0:
    case SLM_DTYPE_IQ4_NL:
        return k / 32 * 18;
    case SLM_DTYPE_Q4_1:
        return k / 32 * 20;
    case SLM_DTYPE_Q5_0:
        return k / 32 * 22;
    case SLM_DTYPE_Q5_1:
        return k / 32 * 24;
    case SLM_DTYPE_Q8_0:
        return k / 32 * 34;
    case SLM_DTYPE_Q2_K:
        return k / 256 * 84;
    case SLM_DTYPE_Q3_K:
        return k / 256 * 110;
    case SLM_DTYPE_Q4_K:
        return k / 256 * 144;
    case SLM_DTYPE_Q5_K:
        return k / 256 * 176;
    case SLM_DTYPE_Q6_K:
        return k / 256 * 210;
    case SLM_DTYPE_IQ4_XS:
        return k / 256 * 136;
    case SLM_DTYPE_TQ1_0:
        return k / 256 * 54;
    case SLM_DTYPE_TQ2_0:
        return k / 256 * 66;
    default:
        return k / 128 * 32;
    }
}

const slm_kernels &portable() {
    static slm_kernels kernels;
    static bool is_filled = false;
    if (!is_filled) {
        slm_kernels_init(&kernels, SLM_LEVEL_PORTABLE);
        is_filled = true;
    }
    return kernels;
}

// A matrix with random weights: in rows as a file has them, as floats, and on the device.
struct Matrix {
    Matrix(std::uint32_t type_, std::size_t n_out, std::size_t k, Numbers &numbers)
        : type(type_), rows(n_out * row_bytes_of(type_, k)), floats(n_out * k),
          tiles(slm_frag_bytes(type_, n_out, k)) {
        const std::size_t bytes = row_bytes_of(type, k);
        std::vector<float> x(k);
        for (std::size_t r = 0; r < n_out; r++) {
            for (float &v : x) {
                v = numbers.unit() * 2.0f - 1.0f;
            }
            if (type == SLM_DTYPE_I2_S) {
                for (std::size_t i = 0; i < bytes; i++) {
                    std::uint8_t byte = 0;
                    for (int j = 0; j < 4; j++) {
                        byte = static_cast<std::uint8_t>(byte << 2 | numbers.between(0, 2));
                    }
                    rows[r * bytes + i] = byte;
                }
            } else {
                assert_true(slm_quantize_weights(type, &rows[r * bytes], x.data(), nullptr, k));
            }
            portable().dequantize[type](&floats[r * k], &rows[r * bytes], k);
        }
        std::vector<std::uint8_t> packed(tiles.n, 0xa5);
        for (std::size_t r = 0; r < n_out; r += SLM_TILE_M) {
            slm_frag_pack_tile(type, &packed[r / SLM_TILE_M * slm_frag_tile_bytes(type, k)],
                               &rows[r * bytes], bytes, n_out - r < 16 ? n_out - r : 16, k);
        }
        OK(cudaMemcpy(tiles.at, packed.data(), tiles.n, cudaMemcpyHostToDevice));
        on_device = {tiles.at, type == SLM_DTYPE_TQ1_0 ? std::uint32_t{SLM_DTYPE_TQ2_0} : type,
                     static_cast<std::uint32_t>(n_out), static_cast<std::uint32_t>(k), 1.0f};
    }
    std::uint32_t type;
    std::vector<std::uint8_t> rows;
    std::vector<float> floats;
    DeviceArray<std::uint8_t> tiles;
    slm_cuda_matrix on_device;
};

struct Stream {
    Stream() { assert_int_equal(slm_cuda_stream_open(&stream, 0, 0), 0); }
    ~Stream() { slm_cuda_stream_close(&stream); }
    slm_cuda_stream stream = {};
    slm_cuda_stream *s = &stream;
};

std::vector<float> random_rows(std::size_t n, Numbers &numbers) {
    std::vector<float> x(n);
    for (float &v : x) {
        v = (numbers.unit() - 0.5f) * 4.0f;
    }
    return x;
}

// Prepared rows, and what they stand for as floats.
struct Prepared {
    Prepared(slm_cuda_stream *s, const std::vector<float> &x, std::size_t n_rows, std::size_t n,
             slm_frag_format format, bool by_row = false)
        : records(n_rows * ((n + 255) / 256)), floats(n_rows * n), values(n_rows * n) {
        DeviceArray<float> in(x);
        slm_cuda_prepare p = {};
        p.x = in.at;
        p.stride = p.n = static_cast<std::uint32_t>(n);
        p.by_row = by_row;
        p.k = format == SLM_FRAG_K ? records.at : nullptr;
        p.b32 = format == SLM_FRAG_32 ? records.at : nullptr;
        p.floats = format == SLM_FRAG_FLOATS ? floats.at : nullptr;
        assert_int_equal(slm_cuda_prepare_rows(s, &p, static_cast<std::uint32_t>(n_rows)), 0);
        assert_int_equal(slm_cuda_wait(s), 0);
        if (format == SLM_FRAG_FLOATS) {
            values = floats.get();
            assert_true(same_bits(values, x));
            return;
        }
        std::vector<slm_frag_act> got = records.get();
        for (std::size_t r = 0; r < n_rows; r++) {
            check_row(&got[r * ((n + 255) / 256)], &x[r * n], &values[r * n], n, format, by_row);
        }
    }

    // The integers, scales and sums are those of the portable level.
    static void check_row(const slm_frag_act *got, const float *x, float *values, std::size_t n,
                          slm_frag_format format, bool by_row) {
        const slm_act act = by_row                 ? SLM_ACT_I8_ROW
                            : format == SLM_FRAG_K ? SLM_ACT_Q8_K
                                                   : SLM_ACT_Q8_0;
        std::vector<std::uint64_t> memory(slm_act_row_bytes(act, n) / 8 + 8);
        const std::uint8_t *wanted = reinterpret_cast<std::uint8_t *>(memory.data());
        portable().quantize[act](memory.data(), x, n);
        for (std::size_t i = 0; i < n; i++) {
            const slm_frag_act &record = got[i / 256];
            const std::size_t at = i % 256;
            const std::size_t p = at / 64, t = at / 4 % 4, w = at / 32 % 2 * 2 + at / 16 % 2;
            const int q = record.q[64 * p + 16 * t + 4 * w + at % 4];
            float d = format == SLM_FRAG_K ? record.u.k.d : record.u.d32[at / 32];
            int wanted_q;
            float wanted_d;
            if (by_row) {
                wanted_q =
                    reinterpret_cast<const std::int8_t *>(wanted)[sizeof(slm_act_i8_header) + i];
                wanted_d = reinterpret_cast<const slm_act_i8_header *>(wanted)->inv;
            } else if (format == SLM_FRAG_K) {
                const slm_act_q8_k &b = reinterpret_cast<const slm_act_q8_k *>(wanted)[i / 256];
                wanted_q = b.q[at];
                wanted_d = b.d;
            } else {
                const slm_act_q8_0 &b = reinterpret_cast<const slm_act_q8_0 *>(wanted)[i / 32];
                wanted_q = b.q[i % 32];
                wanted_d = b.d;
            }
            assert_int_equal(q, wanted_q);
            assert_memory_equal(&d, &wanted_d, 4);
            values[i] = d * static_cast<float>(q);
        }
        for (std::size_t i = 0; i < n; i += 32) {
            int sum = 0;
            for (std::size_t j = i; j < i + 32 && j < n; j++) {
                const std::size_t at = j % 256;
                sum += got[j / 256].q[at / 64 * 64 + at / 4 % 4 * 16 + at / 32 % 2 * 8 +
                                      at / 16 % 2 * 4 + at % 4];
            }
            assert_int_equal(got[i / 256].sums32[i % 256 / 32], sum);
            if (format == SLM_FRAG_K) {
                const std::int16_t *of_16 = got[i / 256].u.k.sums16 + i % 256 / 16;
                assert_int_equal(of_16[0] + of_16[1], sum);
            }
        }
    }

    const void *at(slm_frag_format format) const {
        return format == SLM_FRAG_FLOATS ? static_cast<const void *>(floats.at) : records.at;
    }
    DeviceArray<slm_frag_act> records;
    DeviceArray<float> floats;
    std::vector<float> values;
};

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

void the_best_of_a_row(void **) {
    Numbers numbers = {8};
    Stream stream;
    const std::uint32_t n = 3000;
    std::vector<float> x = random_rows(4 * n, numbers);
    x[2999] = 9.0f;              // the last
    x[n + 17] = x[n + 2017] = 5; // the lowest of equals
    for (std::uint32_t i = 0; i < n; i++) {
        x[2 * n + i] = -1.0f - static_cast<float>(i); // all negative
    }
    x[3 * n + 5] = NAN;
    DeviceArray<float> in(x);
    DeviceArray<slm_cuda_best> best(4);
    assert_int_equal(slm_cuda_best_of(stream.s, best.at, in.at, n, n, 4), 0);
    assert_int_equal(slm_cuda_wait(stream.s), 0);
    std::vector<slm_cuda_best> got = best.get();
    assert_true(got[0].index == 2999 && got[0].value == 9.0f && got[0].is_finite);
    assert_true(got[1].index == 17 && got[1].value == 5.0f && got[1].is_finite);
    assert_true(got[2].index == 0 && got[2].value == -1.0f && got[2].is_finite);
    assert_false(got[3].is_finite);
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
        DEVICE_TEST(the_best_of_a_row),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
