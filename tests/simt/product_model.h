#ifndef TESTS_SIMT_PRODUCT_MODEL_H
#define TESTS_SIMT_PRODUCT_MODEL_H

// Matrices and rows for tests of products: on the device, and as the portable kernels have them.

#include <cmath>

#include "kernel_test.h"
#include "slm_cuda.h"

extern "C" {
#include "kernels.h"
}

constexpr std::uint32_t types[] = {
    SLM_DTYPE_F32,   SLM_DTYPE_F16,   SLM_DTYPE_BF16, SLM_DTYPE_Q4_0,   SLM_DTYPE_Q4_1,
    SLM_DTYPE_Q5_0,  SLM_DTYPE_Q5_1,  SLM_DTYPE_Q8_0, SLM_DTYPE_Q2_K,   SLM_DTYPE_Q3_K,
    SLM_DTYPE_Q4_K,  SLM_DTYPE_Q5_K,  SLM_DTYPE_Q6_K, SLM_DTYPE_IQ4_NL, SLM_DTYPE_IQ4_XS,
    SLM_DTYPE_TQ1_0, SLM_DTYPE_TQ2_0, SLM_DTYPE_I2_S,
};

inline std::size_t block_of(std::uint32_t type) {
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

inline std::size_t row_bytes_of(std::uint32_t type, std::size_t k) {
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

inline const slm_kernels &portable() {
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

inline std::vector<float> random_rows(std::size_t n, Numbers &numbers) {
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

#endif
