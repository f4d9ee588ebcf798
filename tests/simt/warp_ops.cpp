// What a warp computes together: shuffles, votes, sums, and the matrix instructions with the
// layouts of the PTX manual. Lane l is place t = l % 4 of group g = l / 4.

#include "builtins.h"

namespace simt {

void combine_nothing(Words, Words, std::uint32_t, Site) {}

void combine_shuffle(Words in, Words out, std::uint32_t mask, Site site) {
    for (unsigned lane = 0; lane < 32; lane++) {
        if (!(mask >> lane & 1)) {
            continue;
        }
        std::uint32_t source = in[0][lane];
        if (source > 31 || !(mask >> source & 1)) {
            fault(site, "shuffles with mask %08x, but lane %u reads lane %u", mask, lane, source);
        }
        out[0][lane] = in[1][source];
        out[1][lane] = in[2][source];
    }
}

template <typename F> static void combine_all(Words in, Words out, std::uint32_t mask, F f) {
    unsigned lane = static_cast<unsigned>(__builtin_ctz(mask));
    std::uint32_t result = in[0][lane];
    while (++lane < 32) {
        if (mask >> lane & 1) {
            result = f(result, in[0][lane]);
        }
    }
    for (lane = 0; lane < 32; lane++) {
        out[0][lane] = result;
    }
}

void combine_ballot(Words in, Words out, std::uint32_t mask, Site) {
    std::uint32_t votes = 0;
    for (unsigned lane = 0; lane < 32; lane++) {
        votes |= (mask >> lane & 1 & in[0][lane]) << lane;
    }
    for (unsigned lane = 0; lane < 32; lane++) {
        out[0][lane] = votes;
    }
}

void combine_add(Words in, Words out, std::uint32_t mask, Site) {
    combine_all(in, out, mask, [](std::uint32_t a, std::uint32_t b) { return a + b; });
}

void combine_max(Words in, Words out, std::uint32_t mask, Site) {
    combine_all(in, out, mask, [](std::uint32_t a, std::uint32_t b) {
        return static_cast<std::int32_t>(a) < static_cast<std::int32_t>(b) ? b : a;
    });
}

// A butterfly gives every lane the same tree, the sums of two being the same either way round.
template <typename F> static void combine_tree(Words in, Words out, F f) {
    float x[32];
    std::memcpy(x, in[0], sizeof(x));
    for (int half = 16; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) {
            x[i] = f(x[i], x[i + half]);
        }
    }
    for (unsigned lane = 0; lane < 32; lane++) {
        out[0][lane] = __float_as_uint(x[0]);
    }
}

void combine_sum_f32(Words in, Words out, std::uint32_t, Site) {
    combine_tree(in, out, [](float a, float b) { return a + b; });
}

void combine_max_f32(Words in, Words out, std::uint32_t, Site) {
    combine_tree(in, out, [](float a, float b) { return fmaxf(a, b); });
}

// ---------------------------------------------------------------- ldmatrix

namespace {

const unsigned char *row_address(Words in, unsigned lane) {
    return reinterpret_cast<const unsigned char *>(
        static_cast<std::uintptr_t>(static_cast<std::uint64_t>(in[1][lane]) << 32 | in[0][lane]));
}

template <int n, bool transposed> void combine_matrices(Words in, Words out, std::uint32_t, Site) {
    for (unsigned i = 0; i < n; i++) {
        std::uint16_t m[8][8];
        for (unsigned row = 0; row < 8; row++) {
            std::memcpy(m[row], row_address(in, 8 * i + row), 16);
        }
        for (unsigned lane = 0; lane < 32; lane++) {
            unsigned g = lane / 4, t = lane % 4;
            std::uint32_t low = transposed ? m[2 * t][g] : m[g][2 * t];
            std::uint32_t high = transposed ? m[2 * t + 1][g] : m[g][2 * t + 1];
            out[i][lane] = high << 16 | low;
        }
    }
}

void bring(int first, const std::uint32_t *words, int n) {
    std::uint32_t *in = lane_in();
    for (int i = 0; i < n; i++) {
        in[32 * (first + i)] = words[i];
    }
}

void take(std::uint32_t *words, int n) {
    const std::uint32_t *out = lane_out();
    for (int i = 0; i < n; i++) {
        words[i] = out[32 * i];
    }
}

} // namespace

void load_matrices(std::uint32_t *out, const void *row, int n, bool transposed, Site site) {
    if (self->lane < 8 * static_cast<unsigned>(n)) {
        check_shared(row, 16, site);
    }
    std::uint64_t address = reinterpret_cast<std::uintptr_t>(row);
    std::uint32_t words[2] = {static_cast<std::uint32_t>(address),
                              static_cast<std::uint32_t>(address >> 32)};
    bring(0, words, 2);
    if (n == 4) {
        collective("ldmatrix_x4", full_mask,
                   transposed ? combine_matrices<4, true> : combine_matrices<4, false>, site);
    } else {
        collective("ldmatrix_x2", full_mask,
                   transposed ? combine_matrices<2, true> : combine_matrices<2, false>, site);
    }
    take(out, n);
}

// ---------------------------------------------------------------- mma

namespace {

// Element i of n in a register.
template <typename T> T element(std::uint32_t word, unsigned i) {
    return static_cast<T>(word >> (8 * sizeof(T) * i));
}

// Registers 0..3 are a, 4 and 5 are b, 6..9 are c. A is 16 rows of k_total, b 8 columns of k_total.
template <typename T, typename U, typename F>
void gather(Words in, U (*a)[8 * 4 / sizeof(T)], U (*b)[8 * 4 / sizeof(T)], F convert) {
    constexpr unsigned n = 4 / sizeof(T); // elements of a register
    for (unsigned lane = 0; lane < 32; lane++) {
        unsigned g = lane / 4, t = lane % 4;
        for (unsigned i = 0; i < n; i++) {
            unsigned k = n * t + i;
            a[g][k] = convert(element<T>(in[0][lane], i));
            a[g + 8][k] = convert(element<T>(in[1][lane], i));
            a[g][k + 4 * n] = convert(element<T>(in[2][lane], i));
            a[g + 8][k + 4 * n] = convert(element<T>(in[3][lane], i));
            b[g][k] = convert(element<T>(in[4][lane], i));
            b[g][k + 4 * n] = convert(element<T>(in[5][lane], i));
        }
    }
}

unsigned row_of(unsigned lane, unsigned i) {
    return lane / 4 + (i & 2 ? 8 : 0);
}

unsigned column_of(unsigned lane, unsigned i) {
    return 2 * (lane % 4) + (i & 1);
}

void combine_mma_s8(Words in, Words out, std::uint32_t, Site) {
    std::int16_t a[16][32], b[8][32];
    gather<std::uint8_t>(in, a, b, [](std::uint8_t x) {
        return static_cast<std::int16_t>(static_cast<std::int8_t>(x));
    });
    for (unsigned lane = 0; lane < 32; lane++) {
        for (unsigned i = 0; i < 4; i++) {
            const std::int16_t *row = a[row_of(lane, i)], *column = b[column_of(lane, i)];
            std::int32_t sum = 0;
            for (unsigned k = 0; k < 32; k++) {
                sum += row[k] * column[k];
            }
            out[i][lane] = in[6 + i][lane] + static_cast<std::uint32_t>(sum);
        }
    }
}

// The products are exact and so, but for the last place of a double, is their sum: the hardware's
// own order of summation is not documented.
template <typename F> void combine_mma_float(Words in, Words out, F convert) {
    double a[16][16], b[8][16];
    gather<std::uint16_t>(in, a, b, convert);
    for (unsigned lane = 0; lane < 32; lane++) {
        for (unsigned i = 0; i < 4; i++) {
            const double *row = a[row_of(lane, i)], *column = b[column_of(lane, i)];
            double sum = static_cast<double>(__uint_as_float(in[6 + i][lane]));
            for (unsigned k = 0; k < 16; k++) {
                sum += row[k] * column[k];
            }
            out[i][lane] = __float_as_uint(static_cast<float>(sum));
        }
    }
}

void combine_mma_f16(Words in, Words out, std::uint32_t, Site) {
    combine_mma_float(in, out,
                      [](std::uint16_t x) { return static_cast<double>(half_to_float(x)); });
}

void combine_mma_bf16(Words in, Words out, std::uint32_t, Site) {
    combine_mma_float(in, out, [](std::uint16_t x) {
        return static_cast<double>(__uint_as_float(static_cast<std::uint32_t>(x) << 16));
    });
}

void mma(const char *what, void *d, const std::uint32_t *a, const std::uint32_t *b, const void *c,
         Combine combine, Site site) {
    std::uint32_t words[4];
    std::memcpy(words, c, sizeof(words));
    bring(0, a, 4);
    bring(4, b, 2);
    bring(6, words, 4);
    collective(what, full_mask, combine, site);
    take(words, 4);
    std::memcpy(d, words, sizeof(words));
}

} // namespace

void mma_f16(float *d, const std::uint32_t *a, const std::uint32_t *b, const float *c, Site site) {
    mma("mma_f16", d, a, b, c, combine_mma_f16, site);
}

void mma_bf16(float *d, const std::uint32_t *a, const std::uint32_t *b, const float *c, Site site) {
    mma("mma_bf16", d, a, b, c, combine_mma_bf16, site);
}

void mma_s8(std::int32_t *d, const std::uint32_t *a, const std::uint32_t *b, const std::int32_t *c,
            Site site) {
    mma("mma_s8", d, a, b, c, combine_mma_s8, site);
}

} // namespace simt
