#include "cpu_features.h"

#include "kernels.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <stdatomic.h>

/* Linux keeps the data of tiles only for a process that has asked for it, once for all of its
 * threads (Documentation/arch/x86/xstate.rst). Asking again changes nothing, so threads that come
 * here together need not wait for each other. */
static int tiles_granted(void) {
#if defined(__linux__)
    enum { UNKNOWN, GRANTED, REFUSED };
    static atomic_int known = UNKNOWN;
    int state = atomic_load(&known);
    if (state == UNKNOWN) {
        const long arch_prctl = 158, request_state = 0x1023, tile_data = 18;
        long result = arch_prctl;
        __asm__ volatile("syscall"
                         : "+a"(result)
                         : "D"(request_state), "S"(tile_data)
                         : "rcx", "r11", "memory");
        state = result == 0 ? GRANTED : REFUSED;
        atomic_store(&known, state);
    }
    return state == GRANTED;
#else
    return 0;
#endif
}

/* AVX2, FMA and F16C in the processor, and XMM and YMM state kept by the system (Intel SDM vol. 1,
 * 14.3 and 14.5); AVX-512 likewise, with its masks and the rest of its registers (15.2); AMX with
 * its tiles (18.2). */
uint32_t slm_cpu_detect(void) {
    const unsigned fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
    const unsigned need = fma | osxsave | avx | f16c, avx2 = 1u << 5;
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & need) != need)
        return SLM_LEVEL_PORTABLE;
    unsigned xcr0, high;
    __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
    (void)high;
    if ((xcr0 & 6u) != 6u || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & avx2))
        return SLM_LEVEL_PORTABLE;
    const unsigned f_dq = 1u << 16 | 1u << 17, bw_vl = 1u << 30 | 1u << 31, vnni = 1u << 11;
    const unsigned amx = 1u << 24 | 1u << 25; /* tiles, and products of bytes */
    const unsigned avx_vnni = 1u << 4;        /* of leaf 7, sub-leaf 1, which a says there is */
    uint32_t levels = SLM_LEVEL_PORTABLE | SLM_LEVEL_AVX2;
    if ((xcr0 & 0xe6u) == 0xe6u && (b & (f_dq | bw_vl)) == (f_dq | bw_vl) && (c & vnni))
        levels |= SLM_LEVEL_AVX512;
    if ((levels & SLM_LEVEL_AVX512) && (xcr0 & 0x60000u) == 0x60000u && (d & amx) == amx &&
        tiles_granted())
        levels |= SLM_LEVEL_AMX;
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & avx_vnni))
        levels |= SLM_LEVEL_AVXVNNI;
    return levels;
}

#elif defined(__aarch64__) && defined(__linux__)

#include <sys/auxv.h>

/* HWCAP_ASIMDDP and HWCAP2_I8MM of Linux's arm64 asm/hwcap.h. The base vector instructions belong
 * to what a 64-bit program is compiled for. */
#define HWCAP_DOT_PRODUCT  (1ul << 20)
#define HWCAP2_INT8_MATRIX (1ul << 13)

uint32_t slm_cpu_detect(void) {
    uint32_t levels = SLM_LEVEL_PORTABLE | SLM_LEVEL_NEON;
    if (getauxval(AT_HWCAP) & HWCAP_DOT_PRODUCT) {
        levels |= SLM_LEVEL_DOTPROD;
        if (getauxval(AT_HWCAP2) & HWCAP2_INT8_MATRIX)
            levels |= SLM_LEVEL_I8MM;
    }
    return levels;
}

#else

uint32_t slm_cpu_detect(void) {
    return SLM_LEVEL_PORTABLE;
}

#endif
