/* Weights on the device: the order in which tensor cores take them.
 *
 * A TILE is SLM_TILE_M = 16 rows of a weight matrix, a UNIT 256 weights of each of its rows: the bits
 * are those of the file, the order is that of the fragments of mma.m16n8k32 (PTX ISA, "Matrix
 * fragments"), so that one load of 16 bytes a lane is 512 bytes in a row and is multiplied without
 * any exchange between lanes. Lane (g, t) = (lane / 4, lane % 4) holds, of step s (32 weights), four
 * words of four weights each:
 *
 *   word r of step s, byte b: row g + 8 (r % 2), weight 32 s + 16 (r / 2) + 4 t + b of the unit
 *
 * Words of 8 bits are a VECTOR (512 bytes: 4 words of each lane) a step. Narrower ones share it:
 *
 *   nibbles   vector p: low 4 bits step 2p, high ones step 2p + 1             4 vectors a unit
 *   codes     vector p: lower half of a word its four codes of step 2p, upper one of 2p + 1
 *             (what looks tables up takes four codes side by side)                    4
 *   pairs     vector q: bits 2j and 2j + 1 of a byte belong to step 4q + j    2
 *   bits      one vector: bit s of a byte belongs to step s                   1
 *
 * A unit begins with what belongs to rows, row by row, and goes on with vectors:
 *
 *   Q4_K    d, dmin, 12 bytes of scales as in the file; nibbles                       2304 bytes
 *   Q5_K    the same; bits (the fifth); nibbles                                       2816
 *   Q6_K    16 scales; then d of all rows; pairs (bits 4 and 5); nibbles              3360
 *   Q3_K    12 bytes of scales; d of all rows; bits (the third); pairs                1760
 *   Q2_K    16 bytes of scales; d, dmin of all rows; pairs                            1344
 *   IQ4_XS  d, scales_h, scales_l as in the file; codes                               2176
 *   TQ2_0   d; pairs (TQ1_0 is turned into it)                                        1056
 *   I2_S    pairs                                                                     1024
 *   Q4_0    d of its 8 blocks; nibbles                                                2304
 *   IQ4_NL  d of its 8 blocks; codes                                                  2304
 *   Q4_1    d, m of 8 blocks; nibbles                                                 2560
 *   Q5_0    d of 8 blocks; bits; nibbles                                              2816
 *   Q5_1    d, m of 8 blocks; bits; nibbles                                           3072
 *   Q8_0    d of 8 blocks; bytes (signed)                                             4352
 *
 * Rows that lack in the last tile are zeros. A row may end within a unit: what lacks there is zeros,
 * and vectors that hold nothing else are left out at the unit's end. F32, F16 and BF16 stay rows as in
 * the file.
 *
 * An ACTIVATION ROW is slm_frag_act records of 256 values, in the order in which lanes take them as
 * the other operand: lane (g, t) loads the 16 bytes at 64 p + 16 t of column g for steps 2p and
 * 2p + 1. The integers and d are those of slm_act_q8_k or
 * slm_act_q8_0; of a row in the format of slm_act_i8_header, each d is its inv. */
#ifndef SLM_FRAGMENTS_H
#define SLM_FRAGMENTS_H

#include "blocks.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SLM_TILE_M 16u

/* How a product takes its activations. */
typedef enum slm_frag_format {
    SLM_FRAG_FLOATS = 0, /* plain rows, as the weights are                                           */
    SLM_FRAG_K = 1,      /* records with one d: types of 128 and 256                                 */
    SLM_FRAG_32 = 2,     /* records with a d for each 32 values                                      */
    SLM_FRAG_LIMIT = 3
} slm_frag_format;

typedef struct slm_frag_act {
    int8_t q[256];       /* byte 64 p + 16 t + 4 w + b: value 64 p + 32 (w / 2) + 16 (w % 2) + 4 t + b */
    int16_t sums32[8];   /* of 32 values                                                             */
    union {
        struct {
            int16_t sums16[16];
            float d;
        } k;
        float d32[8];
    } u;
    uint32_t unused[3];  /* records begin at multiples of 16                                         */
} slm_frag_act;

slm_frag_format slm_frag_format_of(uint32_t type);

/* Bytes of a tile with rows of k weights; for types that stay rows, of 16 rows. 0: no such type. */
size_t slm_frag_tile_bytes(uint32_t type, size_t k);
/* Bytes of a matrix. */
size_t slm_frag_bytes(uint32_t type, size_t n_rows, size_t k);

/* Packs n_rows <= 16 rows, row_bytes apart, into a tile of slm_frag_tile_bytes. */
void slm_frag_pack_tile(uint32_t type, void *tile, const void *rows, size_t row_bytes, size_t n_rows,
                        size_t k);

#ifdef __cplusplus
}
#endif

#endif
