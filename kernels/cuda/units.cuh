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

/* Codes 0 to 15 of IQ4, in each byte of the even or odd nibbles of v, as bytes. */
__device__ inline void table_16(uint32_t v, uint32_t *even, uint32_t *odd) {
    constexpr uint32_t t0 = 0xbfad9881u, t1 = 0xf6eaddcfu, t2 = 0x26190d01u, t3 = 0x71594535u;
    uint32_t half[2];
    SLM_UNROLL
    for (int i = 0; i < 2; i++) { /* four nibbles of v at a time */
        const uint32_t nibbles = i ? v >> 16 : v, at = nibbles & 0x7777u;
        const uint32_t low = __byte_perm(t0, t1, at), high = __byte_perm(t2, t3, at);
        half[i] = __byte_perm(low, high, 0x3210u | (nibbles & 0x8888u) >> 1);
    }
    *even = __byte_perm(half[0], half[1], 0x6420);
    *odd = __byte_perm(half[0], half[1], 0x7531);
}

/* A unit's vectors. */
template <class T> struct Vectors {
    static constexpr int n_low = vectors_of(T::low, 256);
    static constexpr int n_high = T::high ? vectors_of(T::high ? T::high : 8, 256) : 0;
    uint4 low[n_low];
    uint4 high[n_high ? n_high : 1];

    /* n: weights of the unit. */
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

    /* Four codes of step s, word r (constants). */
    __device__ uint32_t word(int s, int r) const {
        if (T::low == 8)
            return word_of(low[s % n_low], r);
        if (T::is_table) {
            uint32_t even, odd;
            table_16(word_of(low[s / 2 % n_low], r), &even, &odd);
            return s % 2 ? odd : even;
        }
        constexpr int per_byte = 8 / T::low;
        constexpr uint32_t mask = ((1u << T::low) - 1) * 0x01010101u;
        const int e = exponent(s), place = T::low * (s % per_byte);
        if (e > 0)
            return ((word_of(low[s / per_byte % n_low], r) & mask << place) << (e - place)) +
                   ((word_of(high[0], r) & 0x01010101u << s) << (e + 2 - s));
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
};

__device__ inline float half_at(const uint8_t *p) {
    return __half2float(__ldg((const __half *)p));
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

    __device__ void load(const uint8_t *unit, int row) {
        const uint8_t *head = unit + T::head * row;
        dmin = 0.0f;
        if (Type == SLM_DTYPE_Q4_K || Type == SLM_DTYPE_Q5_K) {
            const uint4 v = __ldg((const uint4 *)head);
            const __half2 both = *(const __half2 *)&v.x;
            d = __low2float(both);
            dmin = __high2float(both);
            scale[0] = v.y & 0x3f3f3f3fu;
            min[0] = v.z & 0x3f3f3f3fu;
            scale[n_words - 1] = (v.w & 0x0f0f0f0fu) | (v.y >> 2 & 0x30303030u);
            min[T::has_min ? n_words - 1 : 0] = (v.w >> 4 & 0x0f0f0f0fu) | (v.z >> 2 & 0x30303030u);
        } else if (Type == SLM_DTYPE_Q6_K || Type == SLM_DTYPE_Q2_K) {
            const uint4 v = __ldg((const uint4 *)(unit + 16 * row));
            const uint32_t w[4] = {v.x, v.y, v.z, v.w};
            if (Type == SLM_DTYPE_Q2_K) {
                const __half2 both = __ldg((const __half2 *)(unit + 256 + 4 * row));
                d = __low2float(both);
                dmin = __high2float(both);
            } else {
                d = half_at(unit + 256 + 2 * row);
            }
            SLM_UNROLL
            for (int i = 0; i < n_words; i++) {
                scale[i] = Type == SLM_DTYPE_Q2_K ? w[i & 3] & 0x0f0f0f0fu : w[i & 3];
                if (T::has_min)
                    min[i % (T::has_min ? n_words : 1)] = w[i & 3] >> 4 & 0x0f0f0f0fu;
            }
        } else if (Type == SLM_DTYPE_Q3_K) {
            const uint32_t *p = (const uint32_t *)(unit + 12 * row);
            const uint32_t w0 = __ldg(p), w1 = __ldg(p + 1), w2 = __ldg(p + 2);
            d = half_at(unit + 192 + 2 * row);
            SLM_UNROLL
            for (int i = 0; i < n_words; i++) {
                const uint32_t low = (i % 2 ? w1 : w0) >> (i / 2 * 4) & 0x0f0f0f0fu;
                const uint32_t high = i < 2 ? w2 << (4 - 2 * i) : w2 >> (2 * i - 4);
                scale[i] = less_32(low | (high & 0x30303030u));
            }
        } else if (Type == SLM_DTYPE_IQ4_XS) {
            const uint2 v = __ldg((const uint2 *)head);
            d = __low2float(*(const __half2 *)&v.x);
            uint32_t high = v.x >> 16; /* two bits of each sub-block: spread to four in a byte */
            high = (high | high << 8) & 0x00ff00ffu;
            high = (high | high << 4) & 0x0f0f0f0fu;
            scale[0] = less_32((v.y & 0x0f0f0f0fu) | (high << 4 & 0x30303030u));
            scale[n_words - 1] = less_32((v.y >> 4 & 0x0f0f0f0fu) | (high << 2 & 0x30303030u));
        } else {
            d = T::head > 0 ? half_at(head) : 1.0f;
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
        const int shift = 8 * (is_split ? j / 2 : j % 4);
        if (Type == SLM_DTYPE_Q6_K || Type == SLM_DTYPE_Q3_K || Type == SLM_DTYPE_IQ4_XS)
            return (int8_t)(w >> shift);
        return (int)(w >> shift & 255);
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
