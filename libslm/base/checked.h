/* Arithmetic on numbers that come from files. Each function returns 1 and stores the result, or
 * returns 0 when it does not fit. */
#ifndef SLM_BASE_CHECKED_H
#define SLM_BASE_CHECKED_H

#include <stddef.h>
#include <stdint.h>

static inline int slm_add_u64(uint64_t a, uint64_t b, uint64_t *r) {
    return !__builtin_add_overflow(a, b, r);
}
static inline int slm_mul_u64(uint64_t a, uint64_t b, uint64_t *r) {
    return !__builtin_mul_overflow(a, b, r);
}
static inline int slm_add_size(size_t a, size_t b, size_t *r) {
    return !__builtin_add_overflow(a, b, r);
}
static inline int slm_mul_size(size_t a, size_t b, size_t *r) {
    return !__builtin_mul_overflow(a, b, r);
}
/* Rounds up to a multiple of align, a power of two. */
static inline int slm_align_u64(uint64_t a, uint64_t align, uint64_t *r) {
    uint64_t t;
    if (__builtin_add_overflow(a, align - 1, &t))
        return 0;
    *r = t & ~(align - 1);
    return 1;
}
static inline size_t slm_round_up(size_t a, size_t align) { return (a + align - 1) / align * align; }

#endif
