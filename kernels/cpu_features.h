/* What the processor and the operating system let us use. */
#ifndef SLM_CPU_FEATURES_H
#define SLM_CPU_FEATURES_H

#include <stdint.h>

/* A mask of SLM_LEVEL_... (kernels.h); SLM_LEVEL_PORTABLE is always in it. */
uint32_t slm_cpu_detect(void);

#endif
