/* Kernels that do one thing as fast as the device can: the ceilings of the others. Put on a stream
 * and done in its order, as those of slm_cuda.h; 0 or an error number. */
#ifndef SLM_BENCH_CUDA_CEILINGS_H
#define SLM_BENCH_CUDA_CEILINGS_H

#include "cuda/slm_cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SLM_BENCH_WARPS 8u /* of a block */
#define SLM_BENCH_TILES 8u /* products that a warp has under way, none waiting for another */

/* Reads bytes, a multiple of 16, once and in order. sink: a word. */
int slm_bench_read(slm_cuda_stream *s, const void *from, size_t bytes, uint32_t n_blocks,
                   uint32_t *sink);

/* Each warp makes n_rounds * SLM_BENCH_TILES products with operands in registers: of 16 x 32 by 32
 * x 8 bytes, or of 16 x 16 by 16 x 8 halves with sums in floats. sink: a word for each warp. */
int slm_bench_mma_s8(slm_cuda_stream *s, uint32_t n_blocks, uint32_t n_rounds, uint32_t *sink);
int slm_bench_mma_f16(slm_cuda_stream *s, uint32_t n_blocks, uint32_t n_rounds, uint32_t *sink);

/* A kernel whose blocks all wait for each other n_rounds times (at most a block for each multiprocessor
 * then), or do nothing. */
int slm_bench_meet(slm_cuda_stream *s, uint32_t n_blocks, uint32_t n_rounds);

/* Lasts n_ticks of the clock of a multiprocessor; an error number where the device has no such
 * clock. */
int slm_bench_spin(slm_cuda_stream *s, uint64_t n_ticks);

#ifdef __cplusplus
}
#endif

#endif
