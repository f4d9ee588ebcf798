/* Loops of constant length that must disappear, since what they index must lie in registers. */
#ifndef SLM_X86_UNROLL_H
#define SLM_X86_UNROLL_H

#if defined(__clang__)
/* Given a count, clang leaves loops of another length to a pass that comes too late. At low levels
 * of optimisation it cannot do what is asked, and says so. */
#pragma clang diagnostic ignored "-Wpass-failed"
#define SLM_UNROLL _Pragma("clang loop unroll(full)")
#else
#define SLM_UNROLL _Pragma("GCC unroll 16")
#endif

#endif
