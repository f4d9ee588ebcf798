/* Loops that do nothing but multiply and accumulate, one for each instruction that kernels are made
 * of. Every instruction is written as volatile assembly, so that it stands in the loop once for
 * each accumulator whatever the compiler thinks of it; there are as many accumulators as it takes
 * that none waits for itself: latency (4 or 5 cycles) times instructions a cycle (2), at most. */
#ifndef SLM_TOOLS_PEAKS_H
#define SLM_TOOLS_PEAKS_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#define PEAK_ROUNDS 100000

#define EIGHT(STEP)  STEP(a0) STEP(a1) STEP(a2) STEP(a3) STEP(a4) STEP(a5) STEP(a6) STEP(a7)
#define TWELVE(STEP) EIGHT(STEP) STEP(a8) STEP(a9) STEP(a10) STEP(a11)

/* A function that runs CHAINS(STEP) PEAK_ROUNDS times over accumulators of type VEC, with x and y
 * (all bytes or all lanes alike) as its factors. Returns its multiply-accumulates. */
#define PEAK(NAME, TARGET, VEC, X, Y, CHAINS, N, STEP, MACS)                                       \
    TARGET static double NAME(void) {                                                              \
        VEC x = (VEC){0} + X, y = (VEC){0} + Y;                                                    \
        VEC CHAINS(PEAK_NAME) unused = {0};                                                        \
        CHAINS(PEAK_START)                                                                         \
        (void)unused;                                                                              \
        for (int r = 0; r < PEAK_ROUNDS; r++) {                                                    \
            CHAINS(STEP)                                                                           \
        }                                                                                          \
        return (double)(MACS)*N * PEAK_ROUNDS;                                                     \
    }
#define PEAK_NAME(a)  a,
#define PEAK_START(a) a = x;

typedef struct peak {
    const char *name;
    double (*run)(void);
    int here; /* this processor and system have it */
} peak;

#if defined(__x86_64__)

typedef int32_t v8i __attribute__((vector_size(32)));
typedef int32_t v16i __attribute__((vector_size(64)));
typedef float v8f __attribute__((vector_size(32)));
typedef float v16f __attribute__((vector_size(64)));

/* What AVX2 has for int8: products of pairs in 16 bits, then of pairs of these in 32. */
#define MADDUBS(a)                                                                                 \
    {                                                                                              \
        v8i t;                                                                                     \
        __asm__ volatile("vpmaddubsw %2, %1, %0" : "=x"(t) : "x"(x), "x"(y));                      \
        __asm__ volatile("vpmaddwd %1, %0, %0" : "+x"(t) : "x"(y));                                \
        __asm__ volatile("vpaddd %1, %0, %0" : "+x"(a) : "x"(t));                                  \
    }
#define DPBUSD_VEX(a)  __asm__ volatile("%{vex%} vpdpbusd %2, %1, %0" : "+x"(a) : "x"(x), "x"(y));
#define DPBUSD_EVEX(a) __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(a) : "v"(x), "v"(y));
#define FMA_VEX(a)     __asm__ volatile("vfmadd213ps %2, %1, %0" : "+x"(a) : "x"(x), "x"(y));
#define FMA_EVEX(a)    __asm__ volatile("vfmadd213ps %2, %1, %0" : "+v"(a) : "v"(x), "v"(y));
#define AVX2           __attribute__((target("avx2,fma")))
#define AVX512         __attribute__((target("avx512f,avx512vnni")))

PEAK(peak_int8_avx2, AVX2, v8i, 0x03030303, 0x02020202, EIGHT, 8, MADDUBS, 32)
PEAK(peak_int8_avxvnni, AVX2, v8i, 0x03030303, 0x02020202, TWELVE, 12, DPBUSD_VEX, 32)
PEAK(peak_int8_avx512, AVX512, v16i, 0x03030303, 0x02020202, TWELVE, 12, DPBUSD_EVEX, 64)
PEAK(peak_fp32_avx2, AVX2, v8f, 0.5f, 0.25f, TWELVE, 12, FMA_VEX, 8)
PEAK(peak_fp32_avx512, AVX512, v16f, 0.5f, 0.25f, TWELVE, 12, FMA_EVEX, 16)

/* Four tiles of sums from two by two tiles of factors, each 16 by 64 bytes. */
__attribute__((target("amx-tile,amx-int8"))) static double peak_int8_amx(void) {
    struct {
        uint8_t palette, start, zero[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    static const int8_t factors[1024] __attribute__((aligned(64))) = {3, 2, 1};
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = 64;
        config.rows[i] = 16;
    }
    /* The header of gcc 12 says that loadconfig reads 8 bytes; it reads all 64. */
    __asm__ volatile("" : : "r"(&config) : "memory");
    _tile_loadconfig(&config);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, factors, 64);
    _tile_loadd(5, factors, 64);
    _tile_loadd(6, factors, 64);
    _tile_loadd(7, factors, 64);
    for (int r = 0; r < PEAK_ROUNDS / 10; r++) {
        __asm__ volatile("tdpbusd %%tmm6, %%tmm4, %%tmm0\n\t"
                         "tdpbusd %%tmm7, %%tmm4, %%tmm1\n\t"
                         "tdpbusd %%tmm6, %%tmm5, %%tmm2\n\t"
                         "tdpbusd %%tmm7, %%tmm5, %%tmm3"
                         :
                         :
                         : "memory");
    }
    _tile_release();
    return 4.0 * 16 * 16 * 64 * (PEAK_ROUNDS / 10);
}

static int cpuid_bit(unsigned leaf, unsigned part, int reg, int bit) {
    unsigned r[4] = {0};
    return __get_cpuid_count(leaf, part, &r[0], &r[1], &r[2], &r[3]) && (r[reg] >> bit & 1);
}

/* Linux hands out the tiles on demand, to a process that asks before its threads start. */
static int amx_granted(void) {
    enum { ARCH_REQUEST_STATE = 0x1023, TILE_DATA = 18, EDX = 3 };
    return cpuid_bit(7, 0, EDX, 24) && cpuid_bit(7, 0, EDX, 25) &&
           syscall(SYS_arch_prctl, ARCH_REQUEST_STATE, TILE_DATA) == 0;
}

static size_t find_peaks(peak *peaks) {
    enum { EAX = 0 };
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    int avx512 = __builtin_cpu_supports("avx512f");
    peak all[] = {
        {"int8_avx2", peak_int8_avx2, avx2},
        {"int8_avxvnni", peak_int8_avxvnni, avx2 && cpuid_bit(7, 1, EAX, 4)},
        {"int8_avx512", peak_int8_avx512, avx512 && __builtin_cpu_supports("avx512vnni")},
        {"int8_amx", peak_int8_amx, amx_granted()},
        {"fp32_avx2", peak_fp32_avx2, avx2},
        {"fp32_avx512", peak_fp32_avx512, avx512},
    };
    memcpy(peaks, all, sizeof all);
    return sizeof all / sizeof all[0];
}

#elif defined(__aarch64__)

typedef int32_t v4i __attribute__((vector_size(16)));
typedef float v4f __attribute__((vector_size(16)));

/* What Armv8.0 has for int8: products in 16 bits, then pairs of these added in 32. */
#define SMULL(a)                                                                                   \
    {                                                                                              \
        v4i t;                                                                                     \
        __asm__ volatile("smull %0.8h, %1.8b, %2.8b" : "=w"(t) : "w"(x), "w"(y));                  \
        __asm__ volatile("smlal2 %0.8h, %1.16b, %2.16b" : "+w"(t) : "w"(x), "w"(y));               \
        __asm__ volatile("sadalp %0.4s, %1.8h" : "+w"(a) : "w"(t));                                \
    }
#define SDOT(a)  __asm__ volatile("sdot %0.4s, %1.16b, %2.16b" : "+w"(a) : "w"(x), "w"(y));
#define SMMLA(a) __asm__ volatile("smmla %0.4s, %1.16b, %2.16b" : "+w"(a) : "w"(x), "w"(y));
#define FMLA(a)  __asm__ volatile("fmla %0.4s, %1.4s, %2.4s" : "+w"(a) : "w"(x), "w"(y));

#if defined(__clang__)
#define DOTPROD __attribute__((target("dotprod")))
#define I8MM    __attribute__((target("i8mm")))
#else
#define DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))
#define I8MM    __attribute__((target("arch=armv8.2-a+i8mm")))
#endif

PEAK(peak_int8_neon, , v4i, 0x03030303, 0x02020202, TWELVE, 12, SMULL, 16)
PEAK(peak_int8_dotprod, DOTPROD, v4i, 0x03030303, 0x02020202, TWELVE, 12, SDOT, 16)
PEAK(peak_int8_i8mm, I8MM, v4i, 0x03030303, 0x02020202, TWELVE, 12, SMMLA, 32)
PEAK(peak_fp32_neon, , v4f, 0x1p-20f, 0x1p-20f, TWELVE, 12, FMLA, 4)

static size_t find_peaks(peak *peaks) {
    peak all[] = {
        {"int8_neon", peak_int8_neon, 1},
        {"int8_dotprod", peak_int8_dotprod, (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0},
        {"int8_i8mm", peak_int8_i8mm, (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0},
        {"fp32_neon", peak_fp32_neon, 1},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        peaks[i] = all[i];
    return sizeof all / sizeof all[0];
}

#else

static size_t find_peaks(peak *peaks) {
    (void)peaks;
    return 0;
}

#endif
#endif
