/* Loops of constant length that must disappear, since what they index must lie in registers. With
 * sanitizers they stay: every turn written out has checks of its own, which take long to compile
 * and find nothing that those of one turn do not. */
#ifndef SLM_X86_UNROLL_H
#define SLM_X86_UNROLL_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLM_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SLM_SANITIZED
#endif

#if defined(SLM_SANITIZED)
#define SLM_UNROLL
#elif defined(__clang__)
/* Given a count, clang leaves loops of another length to a pass that comes too late. At low levels
 * of optimisation it cannot do what is asked, and says so. */
#pragma clang diagnostic ignored "-Wpass-failed"
#define SLM_UNROLL _Pragma("clang loop unroll(full)")
#else
#define SLM_UNROLL _Pragma("GCC unroll 16")
#endif

#endif
