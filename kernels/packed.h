/* Packed weights and tiles of activations: the order in which products read them.
 *
 * A PANEL is SLM_PANEL_ROWS rows of a weight matrix. It holds the same bits as the rows in the file,
 * in vectors of 64 bytes: lane r (4 bytes) of a vector belongs to row r of the panel and holds four
 * neighbouring weights of it, so that one broadcast of the four activations beside them serves all
 * sixteen rows and nothing is summed across lanes. The order is the same for all levels: it is a
 * vector of AVX-512, two of AVX2, four of NEON, and a row of a B tile of AMX.
 *
 * Everything lies in the order in which it is used, so that a product reads one stream from its
 * beginning to its end, which is what prefetchers follow. A panel is the bodies of its blocks:
 *
 *   Q4_K, Q5_K, Q2_K              [body of block 0] [body of block 1] ...
 *   Q6_K, Q3_K, Q4_0, Q8_0        [d of blocks 0 and 1] [body 0] [body 1] [d of 2 and 3] ...
 *
 * where d is 16 halves a block; of an odd number of blocks the last has the rest of its vector of d
 * free (zeros). A body is, in vectors (w, b: byte b of lane r is weight ... of row r; a group is 32
 * weights, p its number):
 *
 *   Q4_K  d and dmin; 3 of scale bytes 4i+b; 8 groups of 4 of nibbles
 *   Q5_K  d and dmin; 3 of scale bytes; 8 groups of 1 of single bits (the fifth), 4 of nibbles
 *   Q2_K  d and dmin; 4 of scale bytes; 8 groups of 2 of pairs
 *   Q6_K  4 of scales; 8 groups of 2 of pairs (the high bits), 4 of nibbles
 *   Q3_K  3 of scale bytes; 8 groups of 1 of single bits (hmask), 2 of pairs
 *   Q4_0  4 of nibbles
 *   Q8_0  8 of bytes 4i+b, each with its highest bit turned (value + 128)
 *
 *   nibbles      vector j of group p: low 4 bits of byte b weight 32p+4j+b, high ones 32p+16+4j+b
 *   pairs        vector h of group p: bits 2j and 2j+1 of byte b belong to weight 32p+16h+4j+b
 *   single bits  of group p: bit i of byte b belongs to weight 32p+4i+b; of Q3_K the bit of weight
 *                32p+16h+4j+b is 2h + j % 2 + 4 (j / 2), so that pairs 0 and 2, or 1 and 3, of a
 *                vector and their bits become two nibbles at once
 *
 * A TILE is up to SLM_TILE_ROWS rows of activations side by side: four neighbouring ones of each row
 * in turn. Row j of a product is in tile j / SLM_TILE_ROWS, which begins SLM_TILE_ROWS rows of
 * slm_act_row_bytes after the one before and is as wide as rows are left. AMX has an order of its own
 * for more rows than one tile (x86/packed_amx.h).
 *
 * Products of the two give the same bits as those of rows by rows, at every level: a block's sum of
 * integers is exact, and each block is added to its output in order. */
#ifndef SLM_PACKED_H
#define SLM_PACKED_H

#include "blocks.h"

#include <stddef.h>
#include <stdint.h>

#define SLM_INLINE     static inline __attribute__((always_inline))
#define SLM_PANEL_ROWS 16u
#define SLM_TILE_ROWS  12u /* rows of a tile; the last of a step has what is left                     */

/* Whether a type has a packed form. */
int slm_packs(uint32_t type);
/* Bytes of a panel with rows of k weights, a multiple of 64; 0 for a type without one. */
size_t slm_panel_bytes(uint32_t type, size_t k);

/* Packs n_w <= SLM_PANEL_ROWS rows, w_bytes apart; those that lack are zeros. */
void slm_pack_panel(uint32_t type, void *panel, const void *w, size_t w_bytes, size_t n_w, size_t k);
/* Row r of a panel, or one block of it, as the file had it. */
void slm_unpack_row(uint32_t type, void *w, const void *panel, size_t r, size_t k);
void slm_unpack_block(uint32_t type, void *block, const void *panel, size_t b, size_t r);

/* ---- where things lie; type is a constant, so that these are numbers ---- */

/* Vectors of a body. */
SLM_INLINE size_t slm_body_vectors(uint32_t type) {
    switch (type) {
    case SLM_DTYPE_Q4_K:
        return 36;
    case SLM_DTYPE_Q5_K:
        return 44;
    case SLM_DTYPE_Q2_K:
        return 21;
    case SLM_DTYPE_Q6_K:
        return 52;
    case SLM_DTYPE_Q3_K:
        return 27;
    case SLM_DTYPE_Q4_0:
        return 4;
    default: /* Q8_0 */
        return 8;
    }
}

/* Whether a body begins with d and dmin; else two blocks share a vector of d before them. */
SLM_INLINE int slm_body_has_min(uint32_t type) {
    return type == SLM_DTYPE_Q4_K || type == SLM_DTYPE_Q5_K || type == SLM_DTYPE_Q2_K;
}

/* Bytes from the beginning of a panel to the body of block b. */
SLM_INLINE size_t slm_body_at(uint32_t type, size_t b) {
    const size_t bytes = 64 * slm_body_vectors(type);
    return slm_body_has_min(type) ? b * bytes : b / 2 * (64 + 2 * bytes) + 64 + b % 2 * bytes;
}

/* To the d of block b, 16 halves; dmin follows where there is one. */
SLM_INLINE size_t slm_halves_at(uint32_t type, size_t b) {
    const size_t bytes = 64 * slm_body_vectors(type);
    return slm_body_has_min(type) ? b * bytes : b / 2 * (64 + 2 * bytes) + b % 2 * 32;
}

/* Vectors of a body before group p: 32 weights. */
SLM_INLINE size_t slm_group_at(uint32_t type, size_t p) {
    switch (type) {
    case SLM_DTYPE_Q4_K:
        return 4 + 4 * p;
    case SLM_DTYPE_Q5_K:
        return 4 + 5 * p;
    case SLM_DTYPE_Q2_K:
        return 5 + 2 * p;
    case SLM_DTYPE_Q6_K:
        return 4 + 6 * p;
    case SLM_DTYPE_Q3_K:
        return 3 + 3 * p;
    default: /* Q4_0 and Q8_0 have one */
        return 0;
    }
}

/* The parts of a group. */
SLM_INLINE size_t slm_bits_at(uint32_t type, size_t p) {
    return slm_group_at(type, p);
}

/* The single bit of weights 4i .. 4i+3 of a group. */
SLM_INLINE int slm_bit_of(uint32_t type, int i) {
    return type == SLM_DTYPE_Q3_K ? i / 4 * 2 + i % 2 + i % 4 / 2 * 4 : i;
}

SLM_INLINE size_t slm_pairs_at(uint32_t type, size_t p, size_t h) {
    return slm_group_at(type, p) + (type == SLM_DTYPE_Q3_K) + h;
}

SLM_INLINE size_t slm_nibbles_at(uint32_t type, size_t p, size_t j) {
    return slm_group_at(type, p) +
           (type == SLM_DTYPE_Q6_K   ? 2u
            : type == SLM_DTYPE_Q5_K ? 1u
                                     : 0u) + j;
}

/* One block of a Q8_K tile, in 32-bit words, times the width; the next block follows. */
enum {
    SLM_TILE_K_Q = 0,        /* [64] four activations                                              */
    SLM_TILE_K_SUM32 = 64,   /* [4]  sums of 32 activations, two neighbours as int16               */
    SLM_TILE_K_SUM16 = 68,   /* [8]  sums of 16, likewise                                          */
    SLM_TILE_K_NEG4 = 76,    /* [16] -4 * sum of 16                                                */
    SLM_TILE_K_NEG32 = 92,   /* [16] -32 * sum of 16                                               */
    SLM_TILE_K_D = 108,      /* float                                                              */
    SLM_TILE_K_WORDS = 112
};
/* The same for a Q8_0 tile and blocks of 32. */
enum {
    SLM_TILE_0_Q = 0,        /* [8]                                                                */
    SLM_TILE_0_NEG8 = 8,     /* -8 * sum: Q4_0                                                     */
    SLM_TILE_0_NEG128 = 9,   /* -128 * sum: Q8_0                                                   */
    SLM_TILE_0_D = 10,
    SLM_TILE_0_WORDS = 11
};

/* The word of a Q8_0 tile that makes up for unsigned weights of a type. */
SLM_INLINE size_t slm_tile_0_bias(uint32_t type) {
    return type == SLM_DTYPE_Q8_0 ? SLM_TILE_0_NEG128 : SLM_TILE_0_NEG8;
}

/* Two numbers of 16 bits, the first in the lower half. */
SLM_INLINE uint32_t slm_pair16(int32_t a, int32_t b) {
    return ((uint32_t)a & 0xffffu) | (uint32_t)b << 16;
}

/* Puts a row of activations, as quantize[SLM_ACT_Q8_K] or [SLM_ACT_Q8_0] made it, into place j of a
 * tile of `width` rows; blocks [first, last) of it only. */
void slm_tile_put(slm_act tile_act, void *tile, size_t width, size_t j, const void *row,
                  size_t first, size_t last);
/* The same for row r of n_rows, whole: k activations. What put_row of kernels.h is where a level has
 * no other order. */
void slm_put_row(slm_act tile_act, void *tiles, size_t n_rows, size_t r, const void *row, size_t k);

#endif
