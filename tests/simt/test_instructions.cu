// The instructions of ptx.cuh against plain loops: matrices by their layout, bytes and bits
// exactly.

#include "kernel_test.h"

// ---------------------------------------------------------------- ldmatrix

SLM_KERNEL(32, 1) load_all_matrices(const uint4 *rows, unsigned *y) {
    SLM_SHARED(uint4[32], tile);
    unsigned lane = threadIdx.x;
    tile[lane] = rows[lane];
    __syncwarp();
    unsigned four[4], two[2];
    ldmatrix_x4(four, &tile[lane]);
    for (unsigned i = 0; i < 4; i++) {
        y[32 * i + lane] = four[i];
    }
    ldmatrix_x4_trans(four, &tile[lane ^ 1]);
    for (unsigned i = 0; i < 4; i++) {
        y[128 + 32 * i + lane] = four[i];
    }
    ldmatrix_x2(two, &tile[16 + lane % 16]);
    for (unsigned i = 0; i < 2; i++) {
        y[256 + 32 * i + lane] = two[i];
    }
    ldmatrix_x2_trans(two, &tile[lane % 16]);
    for (unsigned i = 0; i < 2; i++) {
        y[320 + 32 * i + lane] = two[i];
    }
}

static void matrices_are_loaded(void **) {
    std::vector<uint4> rows(32);
    std::vector<std::uint16_t> x(256);
    for (unsigned i = 0; i < 256; i++) {
        x[i] = static_cast<std::uint16_t>(257 * i + 3);
    }
    std::memcpy(rows.data(), x.data(), 512);
    DeviceArray<uint4> in(rows);
    DeviceArray<unsigned> out(384);
    auto run = [&] {
        OK(SLM_LAUNCH(load_all_matrices, shape_of(1, 32), in.at, out.at));
        return out.get();
    };
    std::vector<unsigned> y = run();
    auto word = [&](unsigned low, unsigned high) {
        return static_cast<unsigned>(x[high]) << 16 | x[low];
    };
    for (unsigned lane = 0; lane < 32; lane++) {
        unsigned g = lane / 4, t = lane % 4;
        for (unsigned i = 0; i < 4; i++) {
            unsigned row = 8 * i + g, a = 8 * i + ((2 * t) ^ 1), b = 8 * i + ((2 * t + 1) ^ 1);
            assert_int_equal(y[32 * i + lane], word(8 * row + 2 * t, 8 * row + 2 * t + 1));
            assert_int_equal(y[128 + 32 * i + lane], word(8 * a + g, 8 * b + g));
        }
        for (unsigned i = 0; i < 2; i++) {
            unsigned row = 16 + 8 * i + g, a = 8 * i + 2 * t;
            assert_int_equal(y[256 + 32 * i + lane], word(8 * row + 2 * t, 8 * row + 2 * t + 1));
            assert_int_equal(y[320 + 32 * i + lane], word(8 * a + g, 8 * (a + 1) + g));
        }
    }
    assert_true(orders_agree(run));
}

// ---------------------------------------------------------------- mma

// a is 16 x 32 by rows, b 8 columns of 32, d 16 x 8, all in plain order.
enum Products { all_signed, half_signed, half_unsigned }; // half: the first 16 of k
template <Products of>
SLM_KERNEL(32, 1)
multiply_s8(const unsigned *a, const unsigned *b, int *d) {
    unsigned g = threadIdx.x / 4, t = threadIdx.x % 4;
    unsigned ra[4] = {a[8 * g + t], a[8 * (g + 8) + t], a[8 * g + t + 4], a[8 * (g + 8) + t + 4]};
    unsigned rb[2] = {b[8 * g + t], b[8 * g + t + 4]};
    int rd[4];
    for (unsigned i = 0; i < 4; i++) {
        rd[i] = d[8 * (g + 8 * (i / 2)) + 2 * t + i % 2];
    }
    if (of == all_signed) {
        mma_s8(rd, ra, rb);
    } else if (of == half_signed) {
        mma_s8_k16(rd, ra[0], ra[1], rb[0]);
    } else {
        mma_s8_u8_k16(rd, ra[0], ra[1], rb[0]);
    }
    for (unsigned i = 0; i < 4; i++) {
        d[8 * (g + 8 * (i / 2)) + 2 * t + i % 2] = rd[i];
    }
}

template <bool is_bf16>
SLM_KERNEL(32, 1)
multiply_halves(const unsigned *a, const unsigned *b, float *d) {
    unsigned g = threadIdx.x / 4, t = threadIdx.x % 4;
    unsigned ra[4] = {a[8 * g + t], a[8 * (g + 8) + t], a[8 * g + t + 4], a[8 * (g + 8) + t + 4]};
    unsigned rb[2] = {b[8 * g + t], b[8 * g + t + 4]};
    float rd[4];
    for (unsigned i = 0; i < 4; i++) {
        rd[i] = d[8 * (g + 8 * (i / 2)) + 2 * t + i % 2];
    }
    if (is_bf16) {
        mma_bf16(rd, ra, rb);
    } else {
        mma_f16(rd, ra, rb);
    }
    for (unsigned i = 0; i < 4; i++) {
        d[8 * (g + 8 * (i / 2)) + 2 * t + i % 2] = rd[i];
    }
}

template <Products of> static void bytes_are_multiplied(void **) {
    Numbers numbers{7};
    std::vector<unsigned> a(16 * 8), b(8 * 8);
    std::vector<int> c(16 * 8);
    for (unsigned &v : a) {
        v = numbers.word();
    }
    for (unsigned &v : b) {
        v = numbers.word();
    }
    a[0] = b[0] = 0x80808080u; // -128 times -128
    for (int &v : c) {
        v = numbers.between(-1000000, 1000000);
    }
    DeviceArray<unsigned> da(a), db(b);
    auto run = [&] {
        DeviceArray<int> d(c);
        OK(SLM_LAUNCH(multiply_s8<of>, shape_of(1, 32), da.at, db.at, d.at));
        return d.get();
    };
    std::vector<int> d = run();
    const signed char *pa = reinterpret_cast<const signed char *>(a.data());
    const signed char *pb = reinterpret_cast<const signed char *>(b.data());
    for (std::size_t row = 0; row < 16; row++) {
        for (std::size_t column = 0; column < 8; column++) {
            int wanted = c[8 * row + column];
            for (std::size_t k = 0; k < (of == all_signed ? 32 : 16); k++) {
                const signed char y = pb[32 * column + k];
                wanted += pa[32 * row + k] *
                          (of == half_unsigned ? static_cast<unsigned char>(y) : int{y});
            }
            assert_int_equal(d[8 * row + column], wanted);
        }
    }
    assert_true(orders_agree(run));
}

// Small integers, whose products and sums are exact in any order.
template <bool is_bf16> static void check_halves() {
    Numbers numbers{11};
    std::vector<float> fa(256), fb(128), c(128);
    std::vector<unsigned> a(128), b(64);
    auto fill = [&](std::vector<float> &floats, std::vector<unsigned> &words) {
        for (std::size_t i = 0; i < floats.size(); i++) {
            floats[i] = static_cast<float>(numbers.between(-20, 20)) * 0.25f;
            std::uint16_t bits;
            if (is_bf16) {
                __nv_bfloat16 x = __float2bfloat16(floats[i]);
                std::memcpy(&bits, &x, 2);
            } else {
                __half x = __float2half(floats[i]);
                std::memcpy(&bits, &x, 2);
            }
            words[i / 2] |= static_cast<unsigned>(bits) << (i % 2 * 16);
        }
    };
    fill(fa, a);
    fill(fb, b);
    for (float &v : c) {
        v = static_cast<float>(numbers.between(-1000, 1000));
    }
    DeviceArray<unsigned> da(a), db(b);
    auto run = [&] {
        DeviceArray<float> d(c);
        OK(SLM_LAUNCH(multiply_halves<is_bf16>, shape_of(1, 32), da.at, db.at, d.at));
        return d.get();
    };
    std::vector<float> d = run();
    for (std::size_t row = 0; row < 16; row++) {
        for (std::size_t column = 0; column < 8; column++) {
            float wanted = c[8 * row + column];
            for (std::size_t k = 0; k < 16; k++) {
                wanted += fa[16 * row + k] * fb[16 * column + k];
            }
            assert_true(d[8 * row + column] == wanted);
        }
    }
    assert_true(orders_agree(run));
}

static void halves_are_multiplied(void **) {
    check_halves<false>();
}

static void bfloats_are_multiplied(void **) {
    check_halves<true>();
}

// ---------------------------------------------------------------- bytes and bits

SLM_KERNEL(128, 1) bits(const unsigned *x, unsigned *y, int n) {
    int i = static_cast<int>(blockIdx.x * 128 + threadIdx.x);
    if (i >= n) {
        return;
    }
    unsigned a = x[3 * i], b = x[3 * i + 1], c = x[3 * i + 2];
    unsigned *out = y + 14 * i;
    out[0] = static_cast<unsigned>(
        __dp4a(static_cast<int>(a), static_cast<int>(b), static_cast<int>(c)));
    out[1] = __dp4a(a, b, c);
    out[2] = static_cast<unsigned>(dp4a_us(a, static_cast<int>(b), static_cast<int>(c)));
    out[3] = __byte_perm(a, b, c & 0x7777);
    out[4] = lop3<(0xf0 & 0xcc) | 0xaa>(a, b, c);
    out[5] = lop3<0xf0 ^ 0xcc ^ 0xaa>(a, b, c);
    out[6] = __funnelshift_r(a, b, c);
    out[7] = __funnelshift_l(a, b, c);
    out[8] = __vsub4(a, b);
    out[9] = __vadd4(a, b);
    out[10] = __umulhi(a, b);
    out[11] = static_cast<unsigned>(__popc(a) + 64 * __clz(static_cast<int>(b)) +
                                    4096 * __ffs(static_cast<int>(c)));
    out[12] = prmt(a, b, c);
    out[13] = upper_half(keep(a));
}

static void bytes_and_bits(void **) {
    const int n = 1000;
    Numbers numbers{3};
    std::vector<unsigned> x(3 * n);
    for (unsigned &v : x) {
        v = numbers.word();
    }
    x[0] = x[1] = 0x80808080u;
    x[2] = 0x7fffffffu; // the sum wraps round
    x[4] = x[5] = 0;
    DeviceArray<unsigned> in(x), out(14 * n);
    OK(SLM_LAUNCH(bits, shape_of(8, 128), in.at, out.at, n));
    std::vector<unsigned> y = out.get();
    for (std::size_t i = 0; i < n; i++) {
        unsigned a = x[3 * i], b = x[3 * i + 1], c = x[3 * i + 2], wanted[14] = {};
        long long ss = 0, us = 0, uu = 0;
        for (int k = 0; k < 4; k++) {
            unsigned pa = a >> (8 * k) & 255, pb = b >> (8 * k) & 255;
            ss += static_cast<signed char>(pa) * static_cast<signed char>(pb);
            us += static_cast<int>(pa) * static_cast<signed char>(pb);
            uu += static_cast<int>(pa * pb);
            unsigned selector = c >> (4 * k) & 15;
            unsigned byte = (selector & 4 ? b : a) >> (8 * (selector & 3)) & 255;
            wanted[3] |= byte << (8 * k);
            wanted[12] |= (selector & 8 ? (byte & 128 ? 255u : 0u) : byte) << (8 * k);
            wanted[8] |= ((pa - pb) & 255) << (8 * k);
            wanted[9] |= ((pa + pb) & 255) << (8 * k);
        }
        unsigned long long both = static_cast<unsigned long long>(b) << 32 | a;
        wanted[0] = c + static_cast<unsigned>(ss);
        wanted[1] = c + static_cast<unsigned>(uu);
        wanted[2] = c + static_cast<unsigned>(us);
        wanted[4] = (a & b) | c;
        wanted[5] = a ^ b ^ c;
        wanted[6] = static_cast<unsigned>(both >> (c & 31));
        wanted[7] = static_cast<unsigned>((both << (c & 31)) >> 32);
        wanted[13] = a >> 16;
        wanted[10] = static_cast<unsigned>(static_cast<unsigned long long>(a) * b >> 32);
        unsigned n_ones = 0, n_zeros = 0, first_one = 0;
        for (unsigned k = 0; k < 32; k++) {
            n_ones += a >> k & 1;
            n_zeros = b >> k & 1 ? 0 : n_zeros + 1;
            first_one = first_one == 0 && (c >> k & 1) ? k + 1 : first_one;
        }
        wanted[11] = n_ones + 64 * n_zeros + 4096 * first_one;
        for (std::size_t k = 0; k < 14; k++) {
            if (y[14 * i + k] != wanted[k]) {
                fail_msg("instruction %zu of %08x %08x %08x: got %08x, wanted %08x", k, a, b, c,
                         y[14 * i + k], wanted[k]);
            }
        }
    }
}

// ---------------------------------------------------------------- floats

SLM_KERNEL(256, 1) widen(float *y) {
    unsigned low = 2 * (blockIdx.x * 256 + threadIdx.x);
    float2 both = halves_to_float2(low | (low + 1) << 16);
    y[low] = both.x;
    y[low + 1] = both.y;
}

// Every half there is, against its definition.
static void halves_are_widened(void **) {
    DeviceArray<float> out(65536);
    OK(SLM_LAUNCH(widen, shape_of(128, 256), out.at));
    std::vector<float> y = out.get();
    for (unsigned i = 0; i < 65536; i++) {
        int exponent = static_cast<int>(i >> 10 & 31), mantissa = static_cast<int>(i & 1023);
        float size = exponent == 0 ? ldexpf(static_cast<float>(mantissa), -24)
                                   : ldexpf(static_cast<float>(1024 + mantissa), exponent - 25);
        float wanted = i & 0x8000 ? -size : size;
        if (exponent == 31) {
            bool right = mantissa ? y[i] != y[i] : y[i] == (i & 0x8000 ? -INFINITY : INFINITY);
            assert_true(right);
        } else {
            assert_memory_equal(&y[i], &wanted, 4);
        }
    }
}

SLM_KERNEL(256, 1) approximate(const float *x, float *y, int n) {
    int i = static_cast<int>(blockIdx.x * 256 + threadIdx.x);
    if (i < n) {
        y[3 * i] = exp2_fast(x[i]);
        y[3 * i + 1] = rcp_fast(x[i]);
        y[3 * i + 2] = rsqrt_fast(fabsf(x[i]));
    }
}

static void approximations_are_close(void **) {
    const int n = 2000;
    Numbers numbers{5};
    std::vector<float> x(n);
    for (float &v : x) {
        v = 40.0f * numbers.unit() - 20.0f;
    }
    DeviceArray<float> in(x), out(3 * n);
    OK(SLM_LAUNCH(approximate, shape_of(8, 256), in.at, out.at, n));
    std::vector<float> y = out.get();
    for (std::size_t i = 0; i < n; i++) {
        double v = static_cast<double>(x[i]);
        double wanted[3] = {exp2(v), 1 / v, 1 / sqrt(fabs(v))};
        for (std::size_t k = 0; k < 3; k++) {
            assert_true(fabs(static_cast<double>(y[3 * i + k]) - wanted[k]) <=
                        0x1p-21 * fabs(wanted[k]));
        }
    }
}

SLM_KERNEL(32, 1) streams(const unsigned *x, unsigned *y) {
    unsigned lane = threadIdx.x;
    uint4 four = load_stream_16(x + 4 * lane);
    uint2 two = load_stream_8(x + 2 * lane);
    y[lane] = four.x + 2 * four.y + 3 * four.z + 4 * four.w;
    y[32 + lane] = two.x + 2 * two.y;
    __stcs(&y[64 + lane], load_stream_4(x + lane) + __ldg(x + 31 - lane));
}

static void loads_with_hints(void **) {
    std::vector<unsigned> x(128);
    for (unsigned i = 0; i < 128; i++) {
        x[i] = i * i;
    }
    DeviceArray<unsigned> in(x), out(96);
    OK(SLM_LAUNCH(streams, shape_of(1, 32), in.at, out.at));
    std::vector<unsigned> y = out.get();
    for (unsigned i = 0; i < 32; i++) {
        assert_int_equal(y[i], x[4 * i] + 2 * x[4 * i + 1] + 3 * x[4 * i + 2] + 4 * x[4 * i + 3]);
        assert_int_equal(y[32 + i], x[2 * i] + 2 * x[2 * i + 1]);
        assert_int_equal(y[64 + i], x[i] + x[31 - i]);
    }
}

int main() {
    const CMUnitTest tests[] = {
        DEVICE_TEST(matrices_are_loaded),      DEVICE_TEST(bytes_are_multiplied<all_signed>),
        DEVICE_TEST(bytes_are_multiplied<half_signed>),
        DEVICE_TEST(bytes_are_multiplied<half_unsigned>),
        DEVICE_TEST(halves_are_multiplied),    DEVICE_TEST(bfloats_are_multiplied),
        DEVICE_TEST(bytes_and_bits),           DEVICE_TEST(halves_are_widened),
        DEVICE_TEST(approximations_are_close), DEVICE_TEST(loads_with_hints),
    };
    return cmocka_run_group_tests_name("instructions", tests, nullptr, nullptr);
}
