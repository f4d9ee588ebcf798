/* The AVX-VNNI kernels with the encoding of AVX-512 VNNI and VL, to be tested where there is that.
 */
#ifndef SLM_TEST_AVXVNNI_EVEX_H
#define SLM_TEST_AVXVNNI_EVEX_H

#include "kernels.h"

/* Fills a table with them; 0 where the processor or the build lacks them. */
int avxvnni_evex(slm_kernels *kernels);

#endif
