/* Packed weights at the AVX-VNNI level: as at the AVX2 level, with four products of bytes in one
 * instruction. */
#ifndef SLM_X86_PACKED_AVXVNNI_H
#define SLM_X86_PACKED_AVXVNNI_H

#define SLM_DPBUSD _mm256_dpbusd_avx_epi32

#include "x86/packed_avx2.h"

#endif
