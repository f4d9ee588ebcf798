/* Rows of a file to tiles (fragments.h). A tile is made unit by unit: the weights of its rows are taken
 * out as codes, and put where lanes want them. */
#include "cuda/fragments.h"

#include "ref/ref.h"

#define UNIT 256u

/* How a type is laid out: bytes a row has at the head of a unit, then its planes of vectors. */
typedef struct slm_frag_shape {
    uint8_t block;     /* log2 of the weights of a block in the file                                 */
    uint8_t bytes;     /* of a block                                                                 */
    uint8_t head;      /* bytes of a row                                                             */
    uint8_t low, high; /* bits of a code in the main plane, and in the one before it                 */
    uint8_t low_at, high_at; /* 1 + where a block has the very bytes of a plane; 0: nowhere          */
} slm_frag_shape;

#define AT(block, field) (1 + offsetof(block, field))

static const slm_frag_shape shapes[SLM_DTYPE_LIMIT] = {
    [SLM_DTYPE_Q4_0] = {5, 18, 16, 4, 0, 0, 0},   [SLM_DTYPE_Q4_1] = {5, 20, 32, 4, 0, 0, 0},
    [SLM_DTYPE_Q5_0] = {5, 22, 16, 4, 1, 0, 0},   [SLM_DTYPE_Q5_1] = {5, 24, 32, 4, 1, 0, 0},
    [SLM_DTYPE_Q8_0] = {5, 34, 16, 8, 0, AT(slm_block_q8_0, qs), 0},
    [SLM_DTYPE_Q2_K] = {8, 84, 20, 2, 0, AT(slm_block_q2_k, qs), 0},
    [SLM_DTYPE_Q3_K] = {8, 110, 14, 2, 1, AT(slm_block_q3_k, qs), AT(slm_block_q3_k, hmask)},
    [SLM_DTYPE_Q4_K] = {8, 144, 16, 4, 0, AT(slm_block_q4_k, qs), 0},
    [SLM_DTYPE_Q5_K] = {8, 176, 16, 4, 1, AT(slm_block_q5_k, qs), AT(slm_block_q5_k, qh)},
    [SLM_DTYPE_Q6_K] = {8, 210, 18, 4, 2, 0, AT(slm_block_q6_k, qh)},
    [SLM_DTYPE_IQ4_NL] = {5, 18, 16, 4, 0, 0, 0}, [SLM_DTYPE_IQ4_XS] = {8, 136, 8, 4, 0, 0, 0},
    [SLM_DTYPE_TQ1_0] = {8, 54, 2, 2, 0, 0, 0},   [SLM_DTYPE_I2_S] = {7, 32, 0, 2, 0, 0, 0},
    [SLM_DTYPE_TQ2_0] = {8, 66, 2, 2, 0, AT(slm_block_tq2_0, qs), 0},
};

enum { VECTOR = 512 };

static int is_float(uint32_t type) {
    return type == SLM_DTYPE_F32 || type == SLM_DTYPE_F16 || type == SLM_DTYPE_BF16;
}

slm_frag_format slm_frag_format_of(uint32_t type) {
    return is_float(type) ? SLM_FRAG_FLOATS : shapes[type].block == 5 ? SLM_FRAG_32 : SLM_FRAG_K;
}

/* Vectors of a plane of `bits` that hold some of n weights. */
static size_t vectors_of(unsigned bits, size_t n) {
    size_t per_vector = 32u * (8u / bits);
    return (n + per_vector - 1) / per_vector;
}

static size_t unit_bytes(const slm_frag_shape *s, size_t n) {
    size_t bytes = SLM_TILE_M * (size_t)s->head + VECTOR * vectors_of(s->low, n);
    return s->high ? bytes + VECTOR * vectors_of(s->high, n) : bytes;
}

size_t slm_frag_tile_bytes(uint32_t type, size_t k) {
    if (type >= SLM_DTYPE_LIMIT)
        return 0;
    if (is_float(type))
        return SLM_TILE_M * k * (type == SLM_DTYPE_F32 ? 4 : 2);
    const slm_frag_shape *s = &shapes[type];
    if (s->bytes == 0)
        return 0;
    return k / UNIT * unit_bytes(s, UNIT) + (k % UNIT ? unit_bytes(s, k % UNIT) : 0);
}

size_t slm_frag_bytes(uint32_t type, size_t n_rows, size_t k) {
    return (n_rows + SLM_TILE_M - 1) / SLM_TILE_M * slm_frag_tile_bytes(type, k);
}

/* ---------------------------------------------------------------- codes of a unit -------------- */

/* Eight bytes at a time: loading a model waits for this. */
static uint64_t load8(const uint8_t *from) {
    uint64_t x;
    memcpy(&x, from, sizeof x);
    return x;
}

static void store8(uint8_t *to, uint64_t x) { memcpy(to, &x, sizeof x); }

/* In each byte the `bits` bits from `shift` on. */
static uint64_t fields(uint64_t x, unsigned shift, unsigned bits) {
    return x >> shift & 0x0101010101010101u * ((1u << bits) - 1);
}

static void nibbles_32(uint8_t *codes, const uint8_t *qs) {
    for (int i = 0; i < 16; i += 8) {
        store8(codes + i, fields(load8(qs + i), 0, 4));
        store8(codes + i + 16, fields(load8(qs + i), 4, 4));
    }
}

static void fifth_bits_32(uint8_t *codes, const uint8_t qh[4]) {
    for (int i = 0; i < 32; i++)
        codes[i] |= (uint8_t)((qh[i / 8] >> (i % 8) & 1) << 4);
}

/* Codes of one block of 32, of a type that has no bytes of planes. */
static void codes_32(uint32_t type, uint8_t *codes, const uint8_t *b) {
    switch (type) {
    case SLM_DTYPE_Q4_1:
        nibbles_32(codes, ((const slm_block_q4_1 *)b)->qs);
        break;
    case SLM_DTYPE_Q5_0:
        nibbles_32(codes, ((const slm_block_q5_0 *)b)->qs);
        fifth_bits_32(codes, ((const slm_block_q5_0 *)b)->qh);
        break;
    case SLM_DTYPE_Q5_1:
        nibbles_32(codes, ((const slm_block_q5_1 *)b)->qs);
        fifth_bits_32(codes, ((const slm_block_q5_1 *)b)->qh);
        break;
    default: /* Q4_0, IQ4_NL */
        nibbles_32(codes, ((const slm_block_q4_0 *)b)->qs);
        break;
    }
}

/* The same of one block of 256. */
static void codes_256(uint32_t type, uint8_t *codes, const uint8_t *b) {
    int16_t q[256];
    if (type == SLM_DTYPE_IQ4_XS) {
        for (int s = 0; s < 8; s++)
            nibbles_32(codes + 32 * s, ((const slm_block_iq4_xs *)b)->qs + 16 * s);
        return;
    }
    slm_unpack_tq1_0(q, (const slm_block_tq1_0 *)b);
    for (int i = 0; i < 256; i++)
        codes[i] = (uint8_t)(q[i] + 1);
}

/* What row r has at the head of a unit. */
static void put_head(uint32_t type, uint8_t *unit, size_t r, const uint8_t *b, size_t n_blocks) {
    const slm_frag_shape *s = &shapes[type];
    uint8_t *head = unit + r * s->head;
    switch (type) {
    case SLM_DTYPE_Q4_K:
    case SLM_DTYPE_Q5_K:
        memcpy(head, b, 16);
        break;
    case SLM_DTYPE_IQ4_XS:
        memcpy(head, b, 8);
        break;
    case SLM_DTYPE_Q2_K:
        memcpy(unit + r * 16, ((const slm_block_q2_k *)b)->scales, 16);
        memcpy(unit + 16 * SLM_TILE_M + r * 4, ((const slm_block_q2_k *)b)->d, 4);
        break;
    case SLM_DTYPE_Q3_K:
        memcpy(unit + r * 12, ((const slm_block_q3_k *)b)->scales, 12);
        memcpy(unit + 12 * SLM_TILE_M + r * 2, ((const slm_block_q3_k *)b)->d, 2);
        break;
    case SLM_DTYPE_Q6_K:
        memcpy(unit + r * 16, ((const slm_block_q6_k *)b)->scales, 16);
        memcpy(unit + 16 * SLM_TILE_M + r * 2, ((const slm_block_q6_k *)b)->d, 2);
        break;
    case SLM_DTYPE_TQ1_0:
        memcpy(head, ((const slm_block_tq1_0 *)b)->d, 2);
        break;
    case SLM_DTYPE_TQ2_0:
        memcpy(head, ((const slm_block_tq2_0 *)b)->d, 2);
        break;
    case SLM_DTYPE_I2_S:
        break;
    default: /* d, or d and m, of up to 8 blocks of 32 */
        for (size_t i = 0; i < n_blocks; i++)
            memcpy(head + i * s->head / 8, b + i * s->bytes, s->head / 8);
        break;
    }
}

/* ---------------------------------------------------------------- codes into planes ------------ */

/* A vector of 32 bytes of each row. */
static void put_vector(uint8_t *vector, const uint8_t *const rows[SLM_TILE_M]) {
    for (unsigned g = 0; g < 8; g++) {
        uint32_t a[8], b[8], lanes[4][4];
        memcpy(a, rows[g], sizeof a);
        memcpy(b, rows[g + 8], sizeof b);
        for (unsigned t = 0; t < 4; t++) {
            lanes[t][0] = a[t];
            lanes[t][1] = b[t];
            lanes[t][2] = a[4 + t];
            lanes[t][3] = b[4 + t];
        }
        memcpy(vector + sizeof lanes * g, lanes, sizeof lanes);
    }
}

/* A plane whose bytes the rows have, each beginning with those of a block of 2^block weights; a block has
 * `bytes` bytes. */
static void put_bytes(uint8_t *plane, const uint8_t *rows, size_t row_bytes, size_t n_rows, size_t n,
                      unsigned bits, unsigned block, size_t bytes) {
    static const uint8_t zeros[32];
    const uint8_t *from[SLM_TILE_M];
    size_t per_vector = 32u * (8u / bits);
    for (size_t w = 0; w < n; w += per_vector) {
        size_t at = (w >> block) * bytes + (w & (((size_t)1 << block) - 1)) / per_vector * 32;
        for (size_t r = 0; r < SLM_TILE_M; r++)
            from[r] = r < n_rows ? rows + r * row_bytes + at : zeros;
        put_vector(plane + VECTOR * (w / per_vector), from);
    }
}

/* The low bits of Q6_K as a plane has them: nibbles of neighbouring steps in a byte. */
static void low_of_q6_k(uint8_t low[128], const uint8_t ql[128]) {
    for (int i = 0; i < 128; i += i % 64 == 24 ? 40 : 8) { /* each half: steps 0 and 1 below 2 and 3 */
        uint64_t a = load8(ql + i), b = load8(ql + i + 32);
        store8(low + i, fields(a, 0, 4) | fields(b, 0, 4) << 4);
        store8(low + i + 32, fields(a, 4, 4) | fields(b, 4, 4) << 4);
    }
}

/* Pairs of I2_S as a plane has them: in the other order in each byte. */
static void pairs_of_i2_s(uint8_t *pairs, const uint8_t *qs, size_t n) {
    for (size_t i = 0; i < n / 4; i += 8) {
        uint64_t x = load8(qs + i);
        store8(pairs + i, fields(x, 6, 2) | fields(x, 4, 2) << 2 | fields(x, 2, 2) << 4 |
                              fields(x, 0, 2) << 6);
    }
}

/* Bits [shift, shift + bits) of the codes of n weights of 16 rows into a plane of vectors. */
static void put_plane(uint8_t *plane, uint8_t codes[SLM_TILE_M][UNIT], size_t n, unsigned bits,
                      unsigned shift) {
    unsigned per_byte = 8 / bits;
    uint8_t bytes[SLM_TILE_M][32];
    const uint8_t *rows[SLM_TILE_M];
    for (size_t v = 0; v < vectors_of(bits, n); v++) {
        for (unsigned r = 0; r < SLM_TILE_M; r++) {
            rows[r] = bytes[r];
            for (unsigned i = 0; i < 32; i += 8) {
                uint64_t x = 0;
                for (unsigned j = 0; j < per_byte; j++)
                    x |= fields(load8(codes[r] + 32 * (per_byte * v + j) + i), shift, bits) << bits * j;
                store8(bytes[r] + i, x);
            }
        }
        put_vector(plane + VECTOR * v, rows);
    }
}

/* The 4-bit codes of two steps, those of the first in the lower half of each word. */
static void put_nibbles(uint8_t *plane, uint8_t codes[SLM_TILE_M][UNIT], size_t n) {
    for (size_t v = 0; v < vectors_of(4, n); v++)
        for (unsigned lane = 0; lane < 32; lane++)
            for (unsigned i = 0; i < 16; i++) {
                unsigned word = i / 4, row = lane / 4 + 8 * (word % 2);
                size_t at = 64 * v + 32 * (i % 4 / 2) + 16 * (word / 2) + 4 * (lane % 4) + i % 2 * 2;
                plane[VECTOR * v + 16 * lane + i] =
                    (uint8_t)(codes[row][at] | codes[row][at + 1] << 4);
            }
}

/* By way of codes, whatever the order in which the file has them. */
static void pack_codes(uint32_t type, uint8_t *high, uint8_t *low, const uint8_t *rows,
                       size_t row_bytes, size_t n_rows, size_t n) {
    const slm_frag_shape *s = &shapes[type];
    uint8_t codes[SLM_TILE_M][UNIT];
    size_t block = (size_t)1 << s->block;
    memset(codes, 0, sizeof codes);
    for (size_t r = 0; r < n_rows; r++) {
        const uint8_t *b = rows + r * row_bytes;
        for (size_t i = 0; i < n; i += block, b += s->bytes) {
            if (s->block == 5)
                codes_32(type, codes[r] + i, b);
            else
                codes_256(type, codes[r] + i, b);
        }
    }
    if (s->high)
        put_plane(high, codes, n, s->high, s->low);
    if (type == SLM_DTYPE_IQ4_NL || type == SLM_DTYPE_IQ4_XS)
        put_nibbles(low, codes, n);
    else
        put_plane(low, codes, n, s->low, 0);
}

static void pack_unit(uint32_t type, uint8_t *unit, const uint8_t *rows, size_t row_bytes,
                      size_t n_rows, size_t n) {
    const slm_frag_shape *s = &shapes[type];
    size_t n_blocks = n >> s->block;
    uint8_t *high = unit + SLM_TILE_M * (size_t)s->head;
    uint8_t *low = s->high ? high + VECTOR * vectors_of(s->high, n) : high;
    memset(unit, 0, SLM_TILE_M * (size_t)s->head);
    for (size_t r = 0; r < n_rows; r++)
        put_head(type, unit, r, rows + r * row_bytes, n_blocks);
    if (s->high_at)
        put_bytes(high, rows + s->high_at - 1, row_bytes, n_rows, n, s->high, s->block, s->bytes);
    if (s->low_at) {
        put_bytes(low, rows + s->low_at - 1, row_bytes, n_rows, n, s->low, s->block, s->bytes);
    } else if (type == SLM_DTYPE_Q6_K) {
        uint8_t nibbles[SLM_TILE_M][128];
        for (size_t r = 0; r < n_rows; r++)
            low_of_q6_k(nibbles[r], ((const slm_block_q6_k *)(rows + r * row_bytes))->ql);
        put_bytes(low, nibbles[0], 128, n_rows, n, 4, 8, 128);
    } else if (type == SLM_DTYPE_I2_S) {
        uint8_t pairs[SLM_TILE_M][64] = {{0}};
        for (size_t r = 0; r < n_rows; r++)
            pairs_of_i2_s(pairs[r], rows + r * row_bytes, n);
        put_bytes(low, pairs[0], 64, n_rows, n, 2, 8, 64);
    } else {
        pack_codes(type, high, low, rows, row_bytes, n_rows, n);
    }
}

void slm_frag_pack_tile(uint32_t type, void *tile, const void *rows, size_t row_bytes, size_t n_rows,
                        size_t k) {
    const slm_frag_shape *s = &shapes[type];
    const uint8_t *from = rows;
    uint8_t *to = tile;
    if (is_float(type)) {
        size_t bytes = slm_frag_tile_bytes(type, k) / SLM_TILE_M;
        memset(to, 0, SLM_TILE_M * bytes);
        for (size_t r = 0; r < n_rows; r++)
            memcpy(to + r * bytes, from + r * row_bytes, bytes);
        return;
    }
    for (size_t n; k > 0; k -= n) {
        n = k < UNIT ? k : UNIT;
        pack_unit(type, to, from, row_bytes, n_rows, n);
        to += unit_bytes(s, n);
        from += n / ((size_t)1 << s->block) * s->bytes;
    }
}
