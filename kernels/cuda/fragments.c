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
} slm_frag_shape;

static const slm_frag_shape shapes[SLM_DTYPE_LIMIT] = {
    [SLM_DTYPE_Q4_0] = {5, 18, 16, 4, 0},   [SLM_DTYPE_Q4_1] = {5, 20, 32, 4, 0},
    [SLM_DTYPE_Q5_0] = {5, 22, 16, 4, 1},   [SLM_DTYPE_Q5_1] = {5, 24, 32, 4, 1},
    [SLM_DTYPE_Q8_0] = {5, 34, 16, 8, 0},   [SLM_DTYPE_Q2_K] = {8, 84, 20, 2, 0},
    [SLM_DTYPE_Q3_K] = {8, 110, 14, 2, 1},  [SLM_DTYPE_Q4_K] = {8, 144, 16, 4, 0},
    [SLM_DTYPE_Q5_K] = {8, 176, 16, 4, 1},  [SLM_DTYPE_Q6_K] = {8, 210, 18, 4, 2},
    [SLM_DTYPE_IQ4_NL] = {5, 18, 16, 4, 0}, [SLM_DTYPE_IQ4_XS] = {8, 136, 8, 4, 0},
    [SLM_DTYPE_TQ1_0] = {8, 54, 2, 2, 0},   [SLM_DTYPE_TQ2_0] = {8, 66, 2, 2, 0},
    [SLM_DTYPE_I2_S] = {7, 32, 0, 2, 0},
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

/* Codes of one block of 32. */
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
    case SLM_DTYPE_Q8_0:
        memcpy(codes, ((const slm_block_q8_0 *)b)->qs, 32);
        break;
    default: /* Q4_0, IQ4_NL */
        nibbles_32(codes, ((const slm_block_q4_0 *)b)->qs);
        break;
    }
}

static void nibbles_256(uint8_t *codes, const uint8_t qs[128]) {
    for (int i = 0; i < 128; i += 8) {
        uint8_t *to = codes + i / 32 * 64 + i % 32;
        store8(to, fields(load8(qs + i), 0, 4));
        store8(to + 32, fields(load8(qs + i), 4, 4));
    }
}

static void pairs_256(uint8_t *codes, const uint8_t qs[64]) {
    for (unsigned i = 0; i < 256; i += 8)
        store8(codes + i, fields(load8(qs + i / 128 * 32 + i % 32), i / 32 % 4 * 2, 2));
}

/* Bit s of byte i becomes bit `to` of code 32 s + i. */
static void add_bits_256(uint8_t *codes, const uint8_t bits[32], unsigned to) {
    for (unsigned i = 0; i < 256; i += 8)
        store8(codes + i, load8(codes + i) | fields(load8(bits + i % 32), i / 32, 1) << to);
}

static void codes_q6_k(uint8_t *codes, const slm_block_q6_k *w) {
    for (unsigned i = 0; i < 256; i += 8) {
        unsigned half = i / 128, group = i / 32 % 4;
        uint64_t low = load8(w->ql + 64 * half + 32 * (group % 2) + i % 32);
        uint64_t high = load8(w->qh + 32 * half + i % 32);
        store8(codes + i, fields(low, 4 * (group / 2), 4) | fields(high, 2 * group, 2) << 4);
    }
}

static void ternary(uint8_t *codes, const int16_t q[256]) {
    for (int i = 0; i < 256; i++)
        codes[i] = (uint8_t)(q[i] + 1);
}

/* Codes of one block of 128 or 256. */
static void codes_256(uint32_t type, uint8_t *codes, const uint8_t *b) {
    int16_t q[256];
    switch (type) {
    case SLM_DTYPE_Q2_K:
        pairs_256(codes, ((const slm_block_q2_k *)b)->qs);
        break;
    case SLM_DTYPE_Q3_K:
        pairs_256(codes, ((const slm_block_q3_k *)b)->qs);
        add_bits_256(codes, ((const slm_block_q3_k *)b)->hmask, 2);
        break;
    case SLM_DTYPE_Q4_K:
        nibbles_256(codes, ((const slm_block_q4_k *)b)->qs);
        break;
    case SLM_DTYPE_Q5_K:
        nibbles_256(codes, ((const slm_block_q5_k *)b)->qs);
        add_bits_256(codes, ((const slm_block_q5_k *)b)->qh, 4);
        break;
    case SLM_DTYPE_Q6_K:
        codes_q6_k(codes, (const slm_block_q6_k *)b);
        break;
    case SLM_DTYPE_IQ4_XS:
        for (int s = 0; s < 8; s++)
            nibbles_32(codes + 32 * s, ((const slm_block_iq4_xs *)b)->qs + 16 * s);
        break;
    case SLM_DTYPE_TQ1_0:
        slm_unpack_tq1_0(q, (const slm_block_tq1_0 *)b);
        ternary(codes, q);
        break;
    case SLM_DTYPE_TQ2_0:
        slm_unpack_tq2_0(q, (const slm_block_tq2_0 *)b);
        ternary(codes, q);
        break;
    default: /* I2_S: 128 weights */
        for (int i = 0; i < 128; i++)
            codes[i] = ((const slm_block_i2_s *)b)->qs[i % 32] >> (6 - 2 * (i / 32)) & 3;
        break;
    }
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

/* Bits [shift, shift + bits) of the codes of n weights of 16 rows into a plane of vectors. */
static void put_plane(uint8_t *plane, uint8_t codes[SLM_TILE_M][UNIT], size_t n, unsigned bits,
                      unsigned shift) {
    unsigned per_byte = 8 / bits;
    for (size_t v = 0; v < vectors_of(bits, n); v++)
        for (unsigned i = 0; i < 64; i++) { /* words `word` of lanes 4 g + t and 4 g + t + 1 */
            unsigned g = i / 8, word = i / 2 % 4, t = i % 2 * 2;
            const uint8_t *from = codes[g + 8 * (word % 2)] + 32 * per_byte * v + 16 * (word / 2) + 4 * t;
            uint8_t *to = plane + VECTOR * v + 16 * (4 * g + t) + 4 * word, both[8];
            uint64_t x = 0;
            for (unsigned j = 0; j < per_byte; j++)
                x |= fields(load8(from + 32 * j), shift, bits) << bits * j;
            store8(both, x);
            memcpy(to, both, 4);
            memcpy(to + 16, both + 4, 4);
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

static void pack_unit(uint32_t type, uint8_t *unit, const uint8_t *rows, size_t row_bytes,
                      size_t n_rows, size_t n) {
    const slm_frag_shape *s = &shapes[type];
    uint8_t codes[SLM_TILE_M][UNIT];
    size_t block = (size_t)1 << s->block, n_blocks = n / block;
    memset(codes, 0, sizeof codes);
    memset(unit, 0, SLM_TILE_M * (size_t)s->head);
    for (size_t r = 0; r < n_rows; r++) {
        const uint8_t *b = rows + r * row_bytes;
        put_head(type, unit, r, b, n_blocks);
        for (size_t i = 0; i < n_blocks; i++) {
            if (s->block == 5)
                codes_32(type, codes[r] + i * block, b + i * s->bytes);
            else
                codes_256(type, codes[r] + i * block, b + i * s->bytes);
        }
    }
    uint8_t *plane = unit + SLM_TILE_M * (size_t)s->head;
    if (s->high) {
        put_plane(plane, codes, n, s->high, s->low);
        plane += VECTOR * vectors_of(s->high, n);
    }
    if (type == SLM_DTYPE_IQ4_NL || type == SLM_DTYPE_IQ4_XS)
        put_nibbles(plane, codes, n);
    else
        put_plane(plane, codes, n, s->low, 0);
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
