/* The floating-point environment: results must not depend on what the host program set (flush to
 * zero, rounding mode), and the host's setting must survive us. */
#ifndef SLM_RUN_FPENV_H
#define SLM_RUN_FPENV_H

#include <stdint.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
typedef uint32_t slm_fpenv;
static inline slm_fpenv slm_fpenv_enter(void) {
    slm_fpenv saved = _mm_getcsr();
    _mm_setcsr(0x1f80); /* round to nearest, all exceptions masked, denormals kept */
    return saved;
}
static inline void slm_fpenv_leave(slm_fpenv saved) { _mm_setcsr(saved); }
#elif defined(__aarch64__)
typedef uint64_t slm_fpenv;
static inline slm_fpenv slm_fpenv_enter(void) {
    slm_fpenv saved;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0));
    return saved;
}
static inline void slm_fpenv_leave(slm_fpenv saved) {
    __asm__ volatile("msr fpcr, %0" : : "r"(saved));
}
#else
typedef int slm_fpenv;
static inline slm_fpenv slm_fpenv_enter(void) { return 0; }
static inline void slm_fpenv_leave(slm_fpenv saved) { (void)saved; }
#endif

#endif
