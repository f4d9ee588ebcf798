#ifndef TESTS_SIMT_BUILTINS_H
#define TESTS_SIMT_BUILTINS_H

// The words of CUDA C++ that nvcc has built in, as the machine understands them. Only what a kernel
// of this project may use is here: a kernel that needs another one fails to compile, and it is
// added.

#include <cmath>
#include <cstdint>
#include <cstring>

#include <cuda_fp16.h>
#include <cuda_bf16.h>

#include "simt.h"

// ---- qualifiers; __host__, __device__, __constant__ and __forceinline__ are the toolkit's

#define __launch_bounds__(...)
#undef __shared__
#define __shared__ shared_memory_is_declared_with_SLM_SHARED_or_SLM_DYNAMIC_SHARED

constexpr int warpSize = 32;

// Every function that can be waited in takes the place it was called from.
#define SIMT_SITE const char *simt_file = __builtin_FILE(), int simt_line = __builtin_LINE()
#define SIMT_HERE                                                                                  \
    ::simt::Site {                                                                                 \
        simt_file, simt_line                                                                       \
    }

// ---- barriers and fences

inline void __syncthreads(SIMT_SITE) {
    simt::block_barrier("__syncthreads", false, SIMT_HERE);
}
inline int __syncthreads_or(int predicate, SIMT_SITE) {
    return simt::block_barrier("__syncthreads_or", predicate != 0, SIMT_HERE) != 0;
}
inline int __syncthreads_count(int predicate, SIMT_SITE) {
    return simt::block_barrier("__syncthreads_count", predicate != 0, SIMT_HERE);
}
inline void __syncwarp(unsigned mask = simt::full_mask, SIMT_SITE) {
    simt::collective("__syncwarp", mask, simt::combine_nothing, SIMT_HERE);
}
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

// ---- shuffles and votes

namespace simt {

// The lane reads from lane source; T of 4 or 8 bytes.
template <typename T>
inline T shuffle(const char *what, unsigned mask, T value, unsigned source, Site site) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a shuffle moves 4 or 8 bytes");
    std::uint32_t words[2] = {0, 0};
    std::memcpy(words, &value, sizeof(T));
    std::uint32_t *in = lane_in();
    in[0] = source;
    in[32] = words[0];
    in[64] = words[1];
    collective(what, mask, combine_shuffle, site);
    const std::uint32_t *out = lane_out();
    words[0] = out[0];
    words[1] = out[32];
    std::memcpy(&value, words, sizeof(T));
    return value;
}

// The first lane of the segment of width lanes that this one is in.
inline unsigned segment(int width, Site site) {
    if (width < 1 || width > 32 || (width & (width - 1)) != 0) {
        fault(site, "a shuffle's width is %d, wanted a power of two up to 32", width);
    }
    return self->lane & ~static_cast<unsigned>(width - 1);
}

} // namespace simt

template <typename T>
inline T __shfl_sync(unsigned mask, T value, int source, int width = 32, SIMT_SITE) {
    unsigned first = simt::segment(width, SIMT_HERE);
    return simt::shuffle("__shfl_sync", mask, value,
                         first + (static_cast<unsigned>(source) & static_cast<unsigned>(width - 1)),
                         SIMT_HERE);
}
template <typename T>
inline T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, SIMT_SITE) {
    // A source above the own segment gives the own value; one below is read.
    unsigned first = simt::segment(width, SIMT_HERE);
    unsigned source = simt::self->lane ^ static_cast<unsigned>(bits);
    bool above = source >= first + static_cast<unsigned>(width);
    return simt::shuffle("__shfl_xor_sync", mask, value, above ? simt::self->lane : source,
                         SIMT_HERE);
}
template <typename T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, SIMT_SITE) {
    unsigned first = simt::segment(width, SIMT_HERE);
    unsigned source = simt::self->lane + delta;
    bool above = source >= first + static_cast<unsigned>(width);
    return simt::shuffle("__shfl_down_sync", mask, value, above ? simt::self->lane : source,
                         SIMT_HERE);
}
template <typename T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, SIMT_SITE) {
    unsigned first = simt::segment(width, SIMT_HERE);
    bool below = simt::self->lane < first + delta;
    return simt::shuffle("__shfl_up_sync", mask, value,
                         below ? simt::self->lane : simt::self->lane - delta, SIMT_HERE);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, SIMT_SITE) {
    *simt::lane_in() = predicate != 0;
    simt::collective("__ballot_sync", mask, simt::combine_ballot, SIMT_HERE);
    return *simt::lane_out();
}
inline int __any_sync(unsigned mask, int predicate, SIMT_SITE) {
    *simt::lane_in() = predicate != 0;
    simt::collective("__any_sync", mask, simt::combine_ballot, SIMT_HERE);
    return *simt::lane_out() != 0;
}
inline int __all_sync(unsigned mask, int predicate, SIMT_SITE) {
    *simt::lane_in() = predicate != 0;
    simt::collective("__all_sync", mask, simt::combine_ballot, SIMT_HERE);
    return *simt::lane_out() == mask;
}

// ---- atomics: threads take turns only where they wait, so that nothing else is needed

namespace simt {

template <typename T> struct Same { using type = T; };

} // namespace simt

template <typename T> inline T atomicAdd(T *at, typename simt::Same<T>::type value) {
    T old = *at;
    *at = old + value;
    return old;
}
template <typename T> inline T atomicMax(T *at, typename simt::Same<T>::type value) {
    T old = *at;
    *at = old < value ? value : old;
    return old;
}
template <typename T> inline T atomicMin(T *at, typename simt::Same<T>::type value) {
    T old = *at;
    *at = value < old ? value : old;
    return old;
}
template <typename T> inline T atomicExch(T *at, typename simt::Same<T>::type value) {
    T old = *at;
    *at = value;
    return old;
}
template <typename T>
inline T atomicCAS(T *at, typename simt::Same<T>::type expected,
                   typename simt::Same<T>::type value) {
    T old = *at;
    *at = old == expected ? value : old;
    return old;
}
template <typename T> inline T atomicOr(T *at, typename simt::Same<T>::type value) {
    T old = *at;
    *at = old | value;
    return old;
}
// Counts up and begins again with 0 after limit.
inline unsigned atomicInc(unsigned *at, unsigned limit) {
    unsigned old = *at;
    *at = old >= limit ? 0 : old + 1;
    return old;
}

// ---- loads and stores with a hint

template <typename T> inline T __ldg(const T *at, SIMT_SITE) {
    simt::check_aligned(at, alignof(T), SIMT_HERE);
    return *at;
}
template <typename T> inline T __ldcg(const T *at, SIMT_SITE) {
    simt::check_aligned(at, alignof(T), SIMT_HERE);
    return *at;
}
template <typename T> inline T __ldcs(const T *at, SIMT_SITE) {
    simt::check_aligned(at, alignof(T), SIMT_HERE);
    return *at;
}
template <typename T> inline void __stcs(T *at, typename simt::Same<T>::type value, SIMT_SITE) {
    simt::check_aligned(at, alignof(T), SIMT_HERE);
    *at = value;
}
template <typename T> inline void __stcg(T *at, typename simt::Same<T>::type value, SIMT_SITE) {
    simt::check_aligned(at, alignof(T), SIMT_HERE);
    *at = value;
}

// ---- bits

inline std::int32_t __float_as_int(float x) {
    std::int32_t bits;
    std::memcpy(&bits, &x, 4);
    return bits;
}
inline std::uint32_t __float_as_uint(float x) {
    std::uint32_t bits;
    std::memcpy(&bits, &x, 4);
    return bits;
}
inline float __int_as_float(std::int32_t bits) {
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
}
inline float __uint_as_float(std::uint32_t bits) {
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
}
inline int __popc(unsigned x) {
    return __builtin_popcount(x);
}
inline int __clz(int x) {
    return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x));
}
inline int __ffs(int x) {
    return __builtin_ffs(x);
}
inline unsigned __umulhi(unsigned a, unsigned b) {
    return static_cast<unsigned>((static_cast<std::uint64_t>(a) * b) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
    std::uint64_t both = static_cast<std::uint64_t>(high) << 32 | low;
    return static_cast<unsigned>(both >> (shift & 31));
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
    std::uint64_t both = static_cast<std::uint64_t>(high) << 32 | low;
    return static_cast<unsigned>(both << (shift & 31) >> 32);
}
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selectors) {
    std::uint64_t both = static_cast<std::uint64_t>(y) << 32 | x;
    unsigned result = 0;
    for (int i = 0; i < 4; i++) {
        unsigned selector = selectors >> (4 * i) & 15;
        unsigned byte = static_cast<unsigned>(both >> (8 * (selector & 7))) & 255;
        if (selector & 8) { // the sign, in all bits
            byte = byte & 128 ? 255 : 0;
        }
        result |= byte << (8 * i);
    }
    return result;
}

// ---- four bytes at a time

namespace simt {

inline std::int32_t wrap(std::int64_t x) {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(x));
}
template <typename A, typename B> inline std::int64_t dot4(unsigned a, unsigned b) {
    std::int64_t sum = 0;
    for (int i = 0; i < 4; i++) {
        sum +=
            static_cast<std::int64_t>(static_cast<A>(a >> (8 * i))) * static_cast<B>(b >> (8 * i));
    }
    return sum;
}

} // namespace simt

inline int __dp4a(int a, int b, int c) {
    return simt::wrap(
        simt::dot4<std::int8_t, std::int8_t>(static_cast<unsigned>(a), static_cast<unsigned>(b)) +
        c);
}
inline unsigned __dp4a(unsigned a, unsigned b, unsigned c) {
    return static_cast<unsigned>(simt::dot4<std::uint8_t, std::uint8_t>(a, b)) + c;
}
// Two int16 of a times the lower, or the upper, two signed bytes of b.
inline int __dp2a_lo(int a, int b, int c) {
    return simt::wrap(static_cast<std::int64_t>(static_cast<std::int16_t>(a)) *
                          static_cast<std::int8_t>(b) +
                      static_cast<std::int64_t>(a >> 16) * static_cast<std::int8_t>(b >> 8) + c);
}
inline int __dp2a_hi(int a, int b, int c) {
    return __dp2a_lo(a, b >> 16, c);
}
inline unsigned __vadd4(unsigned a, unsigned b) {
    return ((a & 0x7f7f7f7fu) + (b & 0x7f7f7f7fu)) ^ ((a ^ b) & 0x80808080u);
}
inline unsigned __vsub4(unsigned a, unsigned b) {
    return ((a | 0x80808080u) - (b & 0x7f7f7f7fu)) ^ ((a ^ ~b) & 0x80808080u);
}

// ---- arithmetic

namespace simt {

inline float half_to_float(std::uint16_t half) {
    std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000) << 16;
    std::uint32_t rest = half & 0x7fffu;
    if (rest >= 0x7c00) { // infinite, or not a number
        return __uint_as_float(sign | 0x7f800000u | (rest & 0x3ff) << 13);
    }
    // The exponent is re-biased by a product, which makes subnormal halves normal on its way.
    return __uint_as_float(sign | __float_as_uint(__uint_as_float(rest << 13) * 0x1p112f));
}

} // namespace simt

inline float rsqrtf(float x) {
    return 1.0f / sqrtf(x);
}
inline float __fadd_rn(float a, float b) {
    return a + b;
}
inline float __fmul_rn(float a, float b) {
    return a * b;
}
inline float __fmaf_rn(float a, float b, float c) {
    return fmaf(a, b, c);
}
inline float __fdividef(float a, float b) {
    return a / b;
}
inline float __frcp_rn(float x) {
    return 1.0f / x;
}
inline float __expf(float x) {
    return expf(x);
}
inline float __logf(float x) {
    return logf(x);
}
inline float __int2float_rn(int x) {
    return static_cast<float>(x);
}
// As the hardware: what does not fit becomes the nearest that does, and no number becomes 0.
inline int __float2int_rn(float x) {
    return std::isnan(x)         ? 0
           : x >= 2147483648.0f  ? INT32_MAX
           : x <= -2147483648.0f ? INT32_MIN
                                 : static_cast<int>(nearbyintf(x));
}
inline float __saturatef(float x) {
    return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f;
}

inline int min(int a, int b) {
    return b < a ? b : a;
}
inline int max(int a, int b) {
    return a < b ? b : a;
}
inline unsigned min(unsigned a, unsigned b) {
    return b < a ? b : a;
}
inline unsigned max(unsigned a, unsigned b) {
    return a < b ? b : a;
}
inline long min(long a, long b) {
    return b < a ? b : a;
}
inline long max(long a, long b) {
    return a < b ? b : a;
}
inline unsigned long min(unsigned long a, unsigned long b) {
    return b < a ? b : a;
}
inline unsigned long max(unsigned long a, unsigned long b) {
    return a < b ? b : a;
}
inline float min(float a, float b) {
    return fminf(a, b);
}
inline float max(float a, float b) {
    return fmaxf(a, b);
}

#endif
