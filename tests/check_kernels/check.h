/* check_kernels: every level of every kernel against the definition. What main.c, the tests and
 * the benchmark share.
 *
 * HOW MUCH FLOATS MAY DIFFER. Let u = 2^-24, and y = sum of n terms t. An evaluation in any order
 * whose longest chain of dependent additions is c, with r roundings inside each term, differs from
 * the exact sum by at most ((1+u)^(c+r) - 1) * sum|t|, which is below 1.01 (c+r) u sum|t| for the
 * sizes here (Higham 2002, section 3.1). Every level keeps at least 8 partial sums or whole blocks
 * of 32 exact integers, so c <= n/8 + 16; products, scales and conversions of a term make r <= 16.
 * sum_bound is that: (n/8 + 32) u sum|t|, plus what underflow can cost. Terms are counted as they
 * are before minima are taken off: |d sc q a| and |dmin m a| separately. */
#ifndef SLM_CHECK_H
#define SLM_CHECK_H

#include "base/rng.h"
#include "kernels.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define U 0x1p-24 /* unit roundoff of float */

typedef struct check {
    const slm_kernels *k; /* the level under test                                                */
    const slm_kernels *ref; /* portable */
    const char *level;
    const char *test;
    uint64_t seed;
    unsigned rounds;
    slm_rng rng;
    const struct type_info *type; /* of a test per_type */
    slm_act act;
    int failures, skips;
} check;

typedef void (*check_fn)(check *c);
typedef struct check_test {
    const char *name;
    check_fn run;
    int once; /* does not depend on the level                                                  */
    int per_type; /* 1: run for each weight type with each activation format its rows are multiplied
                     in; 2: for each type that packs, with tiles                                  */
} check_test;
extern const check_test tests_files[], tests_quantize[], tests_matmul[], tests_attention[],
    tests_math[], tests_scan[],
    tests_packed[]; /* each ends with a NULL name */

void fail(check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void skip(check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void bench(const slm_kernels *const *levels, const char *const *names, size_t n_levels,
           const char *filter);

/* Memory between inaccessible pages, so that the first byte read or written beyond its end faults;
 * what lies before it is a pattern that guard_release checks. freeze makes it read-only. */
void *guard_alloc(size_t size);
void guard_freeze(void *p);
void guard_thaw(void *p);
void guard_release(check *c); /* all of them */

/* Random data. */
uint64_t random_below(check *c, uint64_t n);
double random_unit(check *c);
float random_normal(check *c);
void random_floats(check *c, float *x, size_t n, float scale);
int bits_differ(const void *a, const void *b, size_t size);
uint32_t float_bits(float f);

/* Weight types. */
typedef struct type_info {
    const char *name;
    uint32_t type;
    uint32_t block, bytes;
    int d_at, m_at; /* offset of the f16 scale and minimum in a block, -1: none */
} type_info;
extern const type_info types[];
extern const size_t n_types;

enum { BLOCK_RANDOM, BLOCK_UNIT, BLOCK_LOW, BLOCK_HIGH, BLOCK_ZERO, BLOCK_TINY, BLOCK_KINDS };
/* k weights. RANDOM: scales of common size; UNIT: scales 1, so that all products are integers; LOW
 * and HIGH: the bytes of levels and sub-scales 0 or 255, signed ones -128 or 127; ZERO: scales 0;
 * TINY: subnormal scales. */
void random_weights(check *c, const type_info *t, int kind, uint8_t *w, size_t k);
/* The weights as doubles: value = part - low, both exact but for one rounding of float. */
void weight_parts(const slm_kernels *ref, const type_info *t, const uint8_t *w, size_t k,
                  double *part, double *low);
const char *act_name(slm_act act);

double sum_bound(size_t n, double sum_abs);

/* sha256.c: the first 16 hexadecimal digits. */
void sha256_prefix(char out[17], const void *data, size_t size);

/* A file of the reference data; NULL when absent. *size receives its size; caller frees. */
void *read_shared(check *c, const char *name, size_t *size);

#endif
