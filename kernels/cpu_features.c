#include "cpu_features.h"

#include "kernels.h"

#if defined(__x86_64__)

#include <cpuid.h>

/* AVX2, FMA and F16C in the processor, and XMM and YMM state kept by the system (Intel SDM vol. 1,
 * 14.3 and 14.5). */
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
    return SLM_LEVEL_PORTABLE | SLM_LEVEL_AVX2;
}

#elif defined(__aarch64__) && defined(__linux__)

#include <sys/auxv.h>

#define HWCAP_DOT_PRODUCT (1ul << 20) /* HWCAP_ASIMDDP of Linux's arm64 asm/hwcap.h */

uint32_t slm_cpu_detect(void) {
    unsigned long dotprod = getauxval(AT_HWCAP) & HWCAP_DOT_PRODUCT;
    return SLM_LEVEL_PORTABLE | (dotprod ? SLM_LEVEL_DOTPROD : 0);
}

#else

uint32_t slm_cpu_detect(void) {
    return SLM_LEVEL_PORTABLE;
}

#endif
