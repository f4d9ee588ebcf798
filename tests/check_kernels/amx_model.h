/* The AMX kernels over a model of the tiles in plain C, to be tested where there is AVX-512. The
 * model keeps the rules of the manual (Intel SDM vol. 1, ch. 18, and vol. 2) for each thread: what
 * would be an exception or wrong there ends the program with a line that says so. */
#ifndef SLM_TEST_AMX_MODEL_H
#define SLM_TEST_AMX_MODEL_H

#include "kernels.h"

/* Fills a table with them; 0 where the processor or the build lacks AVX-512. */
int amx_model(slm_kernels *kernels);
/* Ends the program unless the model does by itself what a few products by hand say. */
void amx_model_check(void);

void amx_model_config(const void *config);
void amx_model_release(void);
void amx_model_zero(unsigned t);
void amx_model_load(unsigned t, const void *from, size_t stride);
void amx_model_store(unsigned t, void *to, size_t stride);
/* tdpbsud and tdpbssd */
void amx_model_product(unsigned c, unsigned a, unsigned b, int b_is_signed);

/* Instructions since the start of the program. */
typedef struct amx_model_counts {
    unsigned long long products, loads, stores;
} amx_model_counts;
amx_model_counts amx_model_counted(void);

#endif
