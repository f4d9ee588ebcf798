/* The tile instructions of AMX (Intel SDM vol. 1, ch. 18, and vol. 2), by the number of the tile.
 * Written as assembly: compilers' own headers say of them neither that they read and write memory
 * nor, in gcc 12, how much of it. A test defines them otherwise. */
#ifndef SLM_X86_TILE_AMX_H
#define SLM_X86_TILE_AMX_H

#include <stdint.h>

/* What ldtilecfg reads. */
typedef struct slm_tile_config {
    uint8_t palette, start_row, zero[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} slm_tile_config;

#ifndef SLM_TILE_CONFIG
#define SLM_TILE_CONFIG(config)                                                                    \
    __asm__ volatile("ldtilecfg %0" : : "m"(*(const slm_tile_config *)(config)) : "memory")
#define SLM_TILE_RELEASE() __asm__ volatile("tilerelease" : : : "memory")
#define SLM_TILE_ZERO(t)   __asm__ volatile("tilezero %%tmm" #t : :)
#define SLM_TILE_LOAD(t, from, stride)                                                             \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t                                               \
                     :                                                                             \
                     : "r"((const void *)(from)), "r"((intptr_t)(stride))                          \
                     : "memory")
#define SLM_TILE_STORE(t, to, stride)                                                              \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)"                                           \
                     :                                                                             \
                     : "r"((void *)(to)), "r"((intptr_t)(stride))                                  \
                     : "memory")
/* c += a * b of signed bytes a by unsigned or signed bytes b: c[m][n] over all k of
 * a[m][k] * b[k / 4][4 n + k % 4]. */
#define SLM_TILE_SU(c, a, b) __asm__ volatile("tdpbsud %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
#define SLM_TILE_SS(c, a, b) __asm__ volatile("tdpbssd %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
#endif

#endif
