/* The selective scan and its convolution, of vectors of AVX-512: a group of channels each. */
#include "x86/level_avx512.h"

#define NAME(op) slm_##op##_avx512
#include "scan.h"
