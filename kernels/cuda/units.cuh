/* A unit of a tile (fragments.h) in the registers of a warp. */
#ifndef SLM_CUDA_UNITS_CUH
#define SLM_CUDA_UNITS_CUH

#include "device.cuh"

#include "slm_cuda.h"

namespace slm {

/* How the units of a type lie and what their codes mean:
 *   head         bytes of a row at the head of a unit
 *   low, high    bits of a code in the main plane of vectors, and in the one before it
 *   sub          weights that share a scale: 32, 16, or 256 (one d only)
 *   offset       what a code is too large by
 *   has_min      a minimum is taken off for each sub-block
 *   is_record    one d for 256 activations, else one for 32
 *   has_whole_units   rows do not end within a unit: blocks are of 256 weights */
template <int Head, int Low, int High, int Sub, int Offset, bool HasMin, bool IsRecord>
struct Shape {
    static constexpr int head = Head, low = Low, high = High, sub = Sub, offset = Offset;
    static constexpr bool has_min = HasMin, is_record = IsRecord, is_table = false;
    static constexpr bool has_whole_units = IsRecord;
};

template <int Type> struct Traits;
template <> struct Traits<SLM_DTYPE_Q2_K> : Shape<20, 2, 0, 16, 0, true, true> {};
template <> struct Traits<SLM_DTYPE_Q3_K> : Shape<14, 2, 1, 16, 4, false, true> {};
template <> struct Traits<SLM_DTYPE_Q4_K> : Shape<16, 4, 0, 32, 0, true, true> {};
template <> struct Traits<SLM_DTYPE_Q5_K> : Shape<16, 4, 1, 32, 0, true, true> {};
template <> struct Traits<SLM_DTYPE_Q6_K> : Shape<18, 4, 2, 16, 32, false, true> {};
template <> struct Traits<SLM_DTYPE_IQ4_XS> : Shape<8, 4, 0, 32, 0, false, true> {
    static constexpr bool is_table = true;
};
template <> struct Traits<SLM_DTYPE_TQ2_0> : Shape<2, 2, 0, 256, 1, false, true> {};
template <> struct Traits<SLM_DTYPE_I2_S> : Shape<0, 2, 0, 256, 1, false, true> {
    static constexpr bool has_whole_units = false;
};
template <> struct Traits<SLM_DTYPE_Q4_0> : Shape<16, 4, 0, 32, 8, false, false> {};
template <> struct Traits<SLM_DTYPE_Q4_1> : Shape<32, 4, 0, 32, 0, true, false> {};
template <> struct Traits<SLM_DTYPE_Q5_0> : Shape<16, 4, 1, 32, 16, false, false> {};
template <> struct Traits<SLM_DTYPE_Q5_1> : Shape<32, 4, 1, 32, 0, true, false> {};
template <> struct Traits<SLM_DTYPE_Q8_0> : Shape<16, 8, 0, 32, 0, false, false> {};
template <> struct Traits<SLM_DTYPE_IQ4_NL> : Shape<16, 4, 0, 32, 0, false, false> {
    static constexpr bool is_table = true;
};

/* do_(type) for each of them. */
#define SLM_FOR_TILE_TYPES(do_)                                                                    \
    do_(Q2_K) do_(Q3_K) do_(Q4_K) do_(Q5_K) do_(Q6_K) do_(IQ4_XS) do_(TQ2_0) do_(I2_S) do_(Q4_0)   \
        do_(Q4_1) do_(Q5_0) do_(Q5_1) do_(Q8_0) do_(IQ4_NL)

constexpr int vector_bytes = 512;

/* Vectors of a plane of `bits` that hold some of n weights of a row. */
__host__ __device__ constexpr int vectors_of(int bits, int n) {
    return (n + 32 * (8 / bits) - 1) / (32 * (8 / bits));
}

template <class T> __host__ __device__ constexpr int unit_bytes(int n) {
    return 16 * T::head + vector_bytes * vectors_of(T::low, n) +
           (T::high ? vector_bytes * vectors_of(T::high ? T::high : 8, n) : 0);
}

/* Where a unit lies. */
struct FromGlobal {
    template <typename W> static __device__ W get(const W *p) { return __ldg(p); }
};
struct FromShared {
    template <typename W> static __device__ W get(const W *p) { return *p; }
};

/* What codes 0 to 15 of IQ4 stand for, four in a word: negative ones first. */
constexpr uint32_t iq4_0 = 0xbfad9881u, iq4_4 = 0xf6eaddcfu, iq4_8 = 0x26190d01u,
                   iq4_12 = 0x71594535u;

/* Four codes in the lower nibbles of `codes` as what they stand for. */
SLM_DEVICE uint32_t table_of_four(uint32_t codes) {
    const uint32_t at = codes & 0x7777u;
    return prmt(prmt(iq4_0, iq4_4, at), prmt(iq4_8, iq4_12, at), (codes >> 1 & 0x4444u) | 0x3210u);
}

/* The same as two words whose sum it is, byte by byte, so that a product with each will do: prmt
 * gives the sign of a byte where a code has its bit 3, which is -1 of the negative ones. */
SLM_DEVICE void table_as_sum(uint32_t codes, uint32_t *negative, uint32_t *positive) {
    constexpr uint32_t one = 0x01010101u;
    *negative = prmt(iq4_0, iq4_4, codes);
    *positive = prmt(iq4_8 + one, iq4_12 + one, codes ^ 0x88888888u);
}

/* Four signed bytes: w (each below 128) less n. */
SLM_DEVICE uint32_t less(uint32_t w, uint32_t n) {
    return ((w | 0x80808080u) - n * 0x01010101u) ^ 0x80808080u;
}

/* A unit's vectors. */
template <class T> struct Vectors {
    static constexpr int n_low = vectors_of(T::low, 256);
    static constexpr int n_high = T::high ? vectors_of(T::high ? T::high : 8, 256) : 0;
    uint4 low[n_low];
    uint4 high[n_high ? n_high : 1];

    /* From global memory. n: weights of the unit. */
    __device__ void load(const uint8_t *unit, int lane, int n) {
        const uint8_t *at = unit + 16 * T::head + 16 * lane;
        const int have_high = T::high ? vectors_of(T::high ? T::high : 8, n) : 0;
        SLM_UNROLL
        for (int i = 0; i < n_high; i++)
            high[i] =
                i < have_high ? load_stream_16(at + vector_bytes * i) : make_uint4(0, 0, 0, 0);
        at += vector_bytes * have_high;
        const int have_low = vectors_of(T::low, n);
        SLM_UNROLL
        for (int i = 0; i < n_low; i++)
            low[i] = i < have_low ? load_stream_16(at + vector_bytes * i) : make_uint4(0, 0, 0, 0);
    }

    /* From shared memory, where none lacks. */
    __device__ void load(const uint8_t *unit, int lane) {
        const uint4 *at = (const uint4 *)(unit + 16 * T::head) + lane;
        SLM_UNROLL
        for (int i = 0; i < n_high; i++)
            high[i] = at[32 * i];
        SLM_UNROLL
        for (int i = 0; i < n_low; i++)
            low[i] = at[32 * (n_high + i)];
    }

    __device__ static uint32_t word_of(const uint4 &v, int r) {
        return r == 0 ? v.x : r == 1 ? v.y : r == 2 ? v.z : v.w;
    }

    /* Codes of step s are 2^this times what they are: where bits of both planes are put together
     * without a shift to the right, and stay below 128. */
    __device__ static constexpr int exponent(int s) {
        if (T::low != 2 || T::high != 1)
            return 0;
        const int low = 2 * (s % 4), high = s - 2, both = low > high ? low : high;
        return both <= 4 ? both : 0;
    }

    /* Four codes of step s, word r (constants), times 2^exponent(s); of a table in nibbles. */
    __device__ uint32_t word(int s, int r) const {
        const int e = exponent(s);
        if (e == 0)
            return codes(s, r);
        constexpr uint32_t mask = ((1u << T::low) - 1) * 0x01010101u;
        const int per_byte = 8 / T::low, place = T::low * (s % per_byte);
        return ((word_of(low[s / per_byte % n_low], r) & mask << place) << (e - place)) +
               ((word_of(high[0], r) & 0x01010101u << s) << (e + 2 - s));
    }

    __device__ uint32_t codes(int s, int r) const {
        if (T::low == 8)
            return word_of(low[s % n_low], r);
        if (T::is_table) {
            const uint32_t both = word_of(low[s / 2 % n_low], r);
            return s % 2 ? upper_half(both) : both;
        }
        constexpr int per_byte = 8 / T::low;
        constexpr uint32_t mask = ((1u << T::low) - 1) * 0x01010101u;
        uint32_t w = word_of(low[s / per_byte % n_low], r) >> T::low * (s % per_byte) & mask;
        if (T::high) {
            constexpr int high_bits = T::high ? T::high : 8, high_per_byte = 8 / high_bits;
            constexpr uint32_t high_mask = ((1u << high_bits) - 1) * 0x01010101u << T::low % 8;
            const int shift = high_bits * (s % high_per_byte) - T::low;
            const uint32_t h = word_of(high[s / high_per_byte % (n_high ? n_high : 1)], r);
            w |= (shift >= 0 ? h >> (shift & 31) : h << (-shift & 31)) & high_mask;
        }
        return w;
    }

    /* The same as the numbers they stand for, but for scales and minima. */
    __device__ uint32_t levels(int s, int r) const {
        return T::is_table     ? table_of_four(codes(s, r))
               : T::offset > 0 ? less(codes(s, r), T::offset)
                               : codes(s, r);
    }
};

/* The code of a weight of a unit of n weights a row. */
template <class T> SLM_DEVICE int code_at(const uint8_t *unit, int row, int i, int n) {
    const int lane = row % 8 * 4 + i / 4 % 4, word = i / 16 % 2 * 2 + row / 8, s = i / 32;
    const uint8_t *at = unit + 16 * T::head + 16 * lane + 4 * word;
    constexpr int high_bits = T::high ? T::high : 8, low_per_byte = 8 / T::low;
    constexpr int high_per_byte = 8 / high_bits;
    int code = 0;
    if (T::is_table)
        return at[vector_bytes * (s / 2) + s % 2 * 2 + i % 4 / 2] >> 4 * (i % 2) & 15;
    at += i % 4;
    if (T::high) {
        code = at[vector_bytes * (s / high_per_byte)] >> high_bits * (s % high_per_byte) &
               ((1 << high_bits) - 1);
        at += vector_bytes * vectors_of(high_bits, n);
    }
    const int low =
        at[vector_bytes * (s / low_per_byte)] >> T::low * (s % low_per_byte) & ((1 << T::low) - 1);
    return code << T::low | low;
}

template <class From = FromGlobal> SLM_DEVICE float half_at(const uint8_t *p) {
    return __half2float(From::get((const __half *)p));
}

SLM_DEVICE float as_float(float w) {
    return w;
}
SLM_DEVICE float as_float(__half w) {
    return __half2float(w);
}
SLM_DEVICE float as_float(__nv_bfloat16 w) {
    return __bfloat162float(w);
}

/* What a row has at the head of a unit of records: d, dmin, and the scales and minima of its
 * sub-blocks as bytes, four in a word. */
template <int Type> struct Row {
    typedef Traits<Type> T;
    static constexpr int n_words = T::sub == 256 ? 1 : 256 / T::sub / 4;
    float d, dmin;
    uint32_t scale[n_words], min[T::has_min ? n_words : 1];

    template <class From = FromGlobal> __device__ void load(const uint8_t *unit, int row) {
        const uint8_t *head = unit + T::head * row;
        dmin = 0.0f;
        if (Type == SLM_DTYPE_Q4_K || Type == SLM_DTYPE_Q5_K) {
            const uint4 v = From::get((const uint4 *)head);
            const __half2 both = *(const __half2 *)&v.x;
            d = __low2float(both);
            dmin = __high2float(both);
            scale[0] = v.y & 0x3f3f3f3fu;
            min[0] = v.z & 0x3f3f3f3fu;
            scale[n_words - 1] = (v.w & 0x0f0f0f0fu) | (v.y >> 2 & 0x30303030u);
            min[T::has_min ? n_words - 1 : 0] = (v.w >> 4 & 0x0f0f0f0fu) | (v.z >> 2 & 0x30303030u);
        } else if (Type == SLM_DTYPE_Q6_K || Type == SLM_DTYPE_Q2_K) {
            const uint4 v = From::get((const uint4 *)(unit + 16 * row));
            const uint32_t w[4] = {v.x, v.y, v.z, v.w};
            if (Type == SLM_DTYPE_Q2_K) {
                const __half2 both = From::get((const __half2 *)(unit + 256 + 4 * row));
                d = __low2float(both);
                dmin = __high2float(both);
            } else {
                d = half_at<From>(unit + 256 + 2 * row);
            }
            SLM_UNROLL
            for (int i = 0; i < n_words; i++) {
                scale[i] = Type == SLM_DTYPE_Q2_K ? w[i & 3] & 0x0f0f0f0fu : w[i & 3];
                if (T::has_min)
                    min[i % (T::has_min ? n_words : 1)] = w[i & 3] >> 4 & 0x0f0f0f0fu;
            }
        } else if (Type == SLM_DTYPE_Q3_K) {
            const uint32_t *p = (const uint32_t *)(unit + 12 * row);
            const uint32_t w0 = From::get(p), w1 = From::get(p + 1), w2 = From::get(p + 2);
            d = half_at<From>(unit + 192 + 2 * row);
            SLM_UNROLL
            for (int i = 0; i < n_words; i++) {
                const uint32_t low = (i % 2 ? w1 : w0) >> (i / 2 * 4) & 0x0f0f0f0fu;
                const uint32_t high = i < 2 ? w2 << (4 - 2 * i) : w2 >> (2 * i - 4);
                scale[i] = less_32(low | (high & 0x30303030u));
            }
        } else if (Type == SLM_DTYPE_IQ4_XS) {
            const uint2 v = From::get((const uint2 *)head);
            d = __low2float(*(const __half2 *)&v.x);
            uint32_t high = v.x >> 16; /* two bits of each sub-block: spread to four in a byte */
            high = (high | high << 8) & 0x00ff00ffu;
            high = (high | high << 4) & 0x0f0f0f0fu;
            scale[0] = less_32((v.y & 0x0f0f0f0fu) | (high << 4 & 0x30303030u));
            scale[n_words - 1] = less_32((v.y >> 4 & 0x0f0f0f0fu) | (high << 2 & 0x30303030u));
        } else {
            d = T::head > 0 ? half_at<From>(head) : 1.0f;
            scale[0] = 1;
        }
    }

    /* Four 6-bit numbers less 32, as signed bytes. */
    __device__ static uint32_t less_32(uint32_t w) {
        const uint32_t flipped = w ^ 0x20202020u, negative = flipped & 0x20202020u;
        return flipped + 6 * negative;
    }

    /* Scale of sub-block j (constant). */
    __device__ int scale_of(int j) const {
        constexpr bool is_split = Type == SLM_DTYPE_IQ4_XS; /* even ones in a word, odd ones */
        const uint32_t w = scale[(is_split ? j % 2 : j / 4) % n_words];
        const uint32_t byte = is_split ? j / 2 : j % 4;
        constexpr bool is_signed =
            Type == SLM_DTYPE_Q6_K || Type == SLM_DTYPE_Q3_K || Type == SLM_DTYPE_IQ4_XS;
        return (int)prmt(w, 0, is_signed ? 0x8880 + 0x1111 * byte : 0x4440 + byte);
    }

    /* sum + c0 and c1, times the scales of the two sub-blocks of step s (constant). */
    __device__ int add_scaled(int sum, int s, int c0, int c1) const {
        if (T::low + T::high <= 3) { /* 16 codes times 127 are no more than 16 bits */
            const int e = Vectors<T>::exponent(s), up = e ? 8 - e : 0; /* a byte off is no shift */
            const int both =
                (int)__byte_perm((uint32_t)c0 << up, (uint32_t)c1 << up, e ? 0x6521 : 0x5410);
            const int scales = (int)scale[s / 2 % n_words];
            return s % 2 ? __dp2a_hi(both, scales, sum) : __dp2a_lo(both, scales, sum);
        }
        return sum + c0 * scale_of(2 * s) + c1 * scale_of(2 * s + 1);
    }

    /* Four codes of sub-block j as numbers times its scale, in bytes. Of Q3_K they are negative:
     * -4 times -32 would be too large. */
    static constexpr bool is_folded = T::sub == 16 && T::low + T::high <= 3;
    __device__ uint32_t folded(uint32_t codes, int j) const {
        const uint32_t by = (uint32_t)scale_of(j);
        if (T::offset == 0)
            return codes * by; /* no more than 3 times 15 */
        /* Two in each product, all made positive so that nothing is borrowed. */
        const uint32_t bias = (T::offset * by + 256) * 0x00010001u;
        const uint32_t even = (codes & 0x00ff00ffu) * (0 - by) + bias;
        const uint32_t odd = prmt(codes, 0, 0x4341) * (0 - by) + bias;
        return prmt(even, odd, 0x6240);
    }

    /* Sum over sub-blocks of bytes[j] * sums[j]; sums: int16 in pairs. */
    __device__ static int dot(const uint32_t *bytes, const uint32_t *sums) {
        int total = 0;
        SLM_UNROLL
        for (int i = 0; i < n_words; i++) {
            total = __dp2a_lo((int)sums[2 * i], (int)bytes[i], total);
            total = __dp2a_hi((int)sums[2 * i + 1], (int)bytes[i], total);
        }
        return total;
    }
};

/* What a unit of records adds to a sum: its integers are exact, and the rest is rounded as here. */
template <class T>
SLM_DEVICE float add_record(float sum, float d, float dmin, float da, int products, int minima) {
    float value = d * (float)products;
    if (T::has_min)
        value = fmaf(-dmin, (float)minima, value);
    return fmaf(da, value, sum);
}

/* And a block of 32: activations are da times integers whose sum is `sum_a`. */
template <class T>
SLM_DEVICE float add_block(float sum, float d, float m, float da, int products, float sum_a) {
    sum = fmaf(d * da, (float)products, sum);
    return T::has_min ? fmaf(m, da * sum_a, sum) : sum;
}

/* The activations of kernels/ref/activation.c. */
SLM_DEVICE float gated(uint32_t then, float g, float up) {
    if (then == SLM_CUDA_SILU)
        return g / (1.0f + expf(-g)) * up;
    if (then == SLM_CUDA_GELU)
        return g / (1.0f + expf(-(g * (1.5957691f + 0.071354814f * (g * g))))) * up;
    g = g < 0.0f ? 0.0f : g;
    return g * g * up;
}

} /* namespace slm */

#endif
