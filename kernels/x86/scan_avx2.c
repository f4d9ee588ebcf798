/* The selective scan and its convolution, of vectors that AVX2 allows. */
#include "x86/level_avx2.h"

#define NAME(op) slm_##op##_avx2
#include "scan.h"
