/* The AVX-512 kernels that a processor of another maker would get, to be tested on this one. */
#ifndef SLM_TEST_AVX512_OTHER_H
#define SLM_TEST_AVX512_OTHER_H

#include "kernels.h"

/* Fills a table with them; 0 where the processor or the build lacks them. */
int avx512_other(slm_kernels *kernels);

#endif
