/* Panels: file order to packed order and back. Four bytes at a time, in which four neighbouring
 * weights keep their places. */
#include "packed.h"
#include "ref.h"

#define LOW4 0x0f0f0f0fu
#define LOW2 0x03030303u
#define LOW1 0x01010101u
#define ROWS SLM_PANEL_ROWS

SLM_INLINE uint32_t load32(const void *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

SLM_INLINE void store32(void *p, uint32_t v) {
    memcpy(p, &v, 4);
}

/* Lane r of vector v. */
SLM_INLINE uint8_t *lane(uint8_t *body, size_t v, size_t r) {
    return body + 64 * v + 4 * r;
}

typedef struct form {
    uint32_t block, block_bytes;
    uint32_t d_at; /* of d in a block of the file, and of dmin behind it */
} form;

static int form_of(uint32_t type, form *f) {
    switch (type) {
    case SLM_DTYPE_Q4_K:
        *f = (form){256, 144, 0};
        return 1;
    case SLM_DTYPE_Q5_K:
        *f = (form){256, 176, 0};
        return 1;
    case SLM_DTYPE_Q2_K:
        *f = (form){256, 84, 80};
        return 1;
    case SLM_DTYPE_Q6_K:
        *f = (form){256, 210, 208};
        return 1;
    case SLM_DTYPE_Q3_K:
        *f = (form){256, 110, 108};
        return 1;
    case SLM_DTYPE_Q4_0:
        *f = (form){32, 18, 0};
        return 1;
    case SLM_DTYPE_Q8_0:
        *f = (form){32, 34, 0};
        return 1;
    default:
        return 0;
    }
}

int slm_packs(uint32_t type) {
    form f;
    return form_of(type, &f);
}

size_t slm_panel_bytes(uint32_t type, size_t k) {
    form f;
    if (!form_of(type, &f))
        return 0;
    size_t n_blocks = k / f.block;
    return n_blocks * slm_body_vectors(type) * 64 +
           (slm_body_has_min(type) ? 0 : (n_blocks + 1) / 2 * 64);
}

/* ---- the parts of a block, to lane r of vectors from v on, and back ---- */

static void put_bytes(uint8_t *body, size_t v, size_t r, const uint8_t *from, size_t n,
                      uint32_t flip) {
    for (size_t i = 0; i < n / 4; i++)
        store32(lane(body, v + i, r), load32(from + 4 * i) ^ flip);
}

static void get_bytes(uint8_t *body, size_t v, size_t r, uint8_t *to, size_t n, uint32_t flip) {
    for (size_t i = 0; i < n / 4; i++)
        store32(to + 4 * i, load32(lane(body, v + i, r)) ^ flip);
}

/* Q4_K's order: 32 bytes hold one group in their low halves, the next in the high ones. */
static void put_nibbles_4k(uint32_t type, uint8_t *body, size_t r, const uint8_t *qs) {
    for (size_t c = 0; c < 4; c++, qs += 32)
        for (size_t j = 0; j < 4; j++) {
            uint32_t a = load32(qs + 4 * j), b = load32(qs + 16 + 4 * j);
            store32(lane(body, slm_nibbles_at(type, 2 * c, j), r), (a & LOW4) | (b & LOW4) << 4);
            store32(lane(body, slm_nibbles_at(type, 2 * c + 1, j), r),
                    (a >> 4 & LOW4) | (b & ~LOW4));
        }
}

static void get_nibbles_4k(uint32_t type, uint8_t *body, size_t r, uint8_t *qs) {
    for (size_t c = 0; c < 4; c++, qs += 32)
        for (size_t j = 0; j < 4; j++) {
            uint32_t a = load32(lane(body, slm_nibbles_at(type, 2 * c, j), r));
            uint32_t b = load32(lane(body, slm_nibbles_at(type, 2 * c + 1, j), r));
            store32(qs + 4 * j, (a & LOW4) | (b & LOW4) << 4);
            store32(qs + 16 + 4 * j, (a >> 4 & LOW4) | (b & ~LOW4));
        }
}

/* Q6_K's order: of 128 weights, groups 0 and 1 in the low halves of 64 bytes, 2 and 3 in the high.
 */
static void put_nibbles_6k(uint8_t *body, size_t r, const uint8_t *ql) {
    for (size_t p = 0; p < 8; p++) {
        const uint8_t *q = ql + 64 * (p / 4) + 32 * (p % 2);
        unsigned shift = 4 * (p % 4 / 2);
        for (size_t j = 0; j < 4; j++)
            store32(lane(body, slm_nibbles_at(SLM_DTYPE_Q6_K, p, j), r),
                    (load32(q + 4 * j) >> shift & LOW4) | (load32(q + 16 + 4 * j) >> shift & LOW4)
                                                              << 4);
    }
}

static void get_nibbles_6k(uint8_t *body, size_t r, uint8_t *ql) {
    memset(ql, 0, 128);
    for (size_t p = 0; p < 8; p++) {
        uint8_t *q = ql + 64 * (p / 4) + 32 * (p % 2);
        unsigned shift = 4 * (p % 4 / 2);
        for (size_t j = 0; j < 4; j++) {
            uint32_t w = load32(lane(body, slm_nibbles_at(SLM_DTYPE_Q6_K, p, j), r));
            store32(q + 4 * j, load32(q + 4 * j) | (w & LOW4) << shift);
            store32(q + 16 + 4 * j, load32(q + 16 + 4 * j) | (w >> 4 & LOW4) << shift);
        }
    }
}

/* 32 bytes hold four groups in their pairs of bits, as in Q2_K, Q3_K and the high bits of Q6_K. */
static void put_pairs(uint32_t type, uint8_t *body, size_t r, const uint8_t *q) {
    for (size_t p = 0; p < 8; p++)
        for (size_t h = 0; h < 2; h++) {
            uint32_t w = 0;
            for (unsigned j = 0; j < 4; j++)
                w |= (load32(q + 32 * (p / 4) + 16 * h + 4 * j) >> (2 * (p % 4)) & LOW2) << 2 * j;
            store32(lane(body, slm_pairs_at(type, p, h), r), w);
        }
}

static void get_pairs(uint32_t type, uint8_t *body, size_t r, uint8_t *q) {
    memset(q, 0, 64);
    for (size_t p = 0; p < 8; p++)
        for (size_t h = 0; h < 2; h++) {
            uint32_t w = load32(lane(body, slm_pairs_at(type, p, h), r));
            for (unsigned j = 0; j < 4; j++) {
                uint8_t *to = q + 32 * (p / 4) + 16 * h + 4 * j;
                store32(to, load32(to) | (w >> 2 * j & LOW2) << (2 * (p % 4)));
            }
        }
}

/* 32 bytes hold one bit of each of eight groups. */
static void put_bits(uint32_t type, uint8_t *body, size_t r, const uint8_t *q) {
    for (size_t p = 0; p < 8; p++) {
        uint32_t w = 0;
        for (unsigned i = 0; i < 8; i++)
            w |= (load32(q + 4 * i) >> p & LOW1) << slm_bit_of(type, (int)i);
        store32(lane(body, slm_bits_at(type, p), r), w);
    }
}

static void get_bits(uint32_t type, uint8_t *body, size_t r, uint8_t *q) {
    memset(q, 0, 32);
    for (size_t p = 0; p < 8; p++) {
        uint32_t w = load32(lane(body, slm_bits_at(type, p), r));
        for (unsigned i = 0; i < 8; i++)
            store32(q + 4 * i, load32(q + 4 * i) | (w >> slm_bit_of(type, (int)i) & LOW1) << p);
    }
}

/* ---- blocks ---- */

static void put_block(uint32_t type, uint8_t *body, size_t r, const uint8_t *w) {
    switch (type) {
    case SLM_DTYPE_Q4_K:
        put_bytes(body, 1, r, w + 4, 12, 0);
        put_nibbles_4k(type, body, r, w + 16);
        break;
    case SLM_DTYPE_Q5_K:
        put_bytes(body, 1, r, w + 4, 12, 0);
        put_bits(type, body, r, w + 16);
        put_nibbles_4k(type, body, r, w + 48);
        break;
    case SLM_DTYPE_Q2_K:
        put_bytes(body, 1, r, w, 16, 0);
        put_pairs(type, body, r, w + 16);
        break;
    case SLM_DTYPE_Q6_K:
        put_bytes(body, 0, r, w + 192, 16, 0);
        put_pairs(type, body, r, w + 128);
        put_nibbles_6k(body, r, w);
        break;
    case SLM_DTYPE_Q3_K:
        put_bytes(body, 0, r, w + 96, 12, 0);
        put_bits(type, body, r, w);
        put_pairs(type, body, r, w + 32);
        break;
    case SLM_DTYPE_Q4_0:
        put_bytes(body, 0, r, w + 2, 16, 0);
        break;
    case SLM_DTYPE_Q8_0:
        put_bytes(body, 0, r, w + 2, 32, 0x80808080u);
        break;
    }
}

static void get_block(uint32_t type, uint8_t *body, size_t r, uint8_t *w) {
    switch (type) {
    case SLM_DTYPE_Q4_K:
        get_bytes(body, 1, r, w + 4, 12, 0);
        get_nibbles_4k(type, body, r, w + 16);
        break;
    case SLM_DTYPE_Q5_K:
        get_bytes(body, 1, r, w + 4, 12, 0);
        get_bits(type, body, r, w + 16);
        get_nibbles_4k(type, body, r, w + 48);
        break;
    case SLM_DTYPE_Q2_K:
        get_bytes(body, 1, r, w, 16, 0);
        get_pairs(type, body, r, w + 16);
        break;
    case SLM_DTYPE_Q6_K:
        get_bytes(body, 0, r, w + 192, 16, 0);
        get_pairs(type, body, r, w + 128);
        get_nibbles_6k(body, r, w);
        break;
    case SLM_DTYPE_Q3_K:
        get_bytes(body, 0, r, w + 96, 12, 0);
        get_bits(type, body, r, w);
        get_pairs(type, body, r, w + 32);
        break;
    case SLM_DTYPE_Q4_0:
        get_bytes(body, 0, r, w + 2, 16, 0);
        break;
    case SLM_DTYPE_Q8_0:
        get_bytes(body, 0, r, w + 2, 32, 0x80808080u);
        break;
    }
}

void slm_pack_panel(uint32_t type, void *panel, const void *w, size_t w_bytes, size_t n_w,
                    size_t k) {
    form f;
    if (!form_of(type, &f))
        return;
    size_t n_blocks = k / f.block;
    if (n_w < ROWS)
        memset(panel, 0, slm_panel_bytes(type, k));
    else if (!slm_body_has_min(type) && n_blocks % 2) /* the free half of the last vector of d */
        memset((uint8_t *)panel + slm_halves_at(type, n_blocks), 0, 2 * ROWS);
    for (size_t b = 0; b < n_blocks; b++) {
        uint8_t *body = (uint8_t *)panel + slm_body_at(type, b);
        uint8_t *halves = (uint8_t *)panel + slm_halves_at(type, b);
        for (size_t r = 0; r < n_w; r++) {
            const uint8_t *block = (const uint8_t *)w + r * w_bytes + b * f.block_bytes;
            memcpy(halves + 2 * r, block + f.d_at, 2);
            if (slm_body_has_min(type))
                memcpy(halves + 2 * ROWS + 2 * r, block + f.d_at + 2, 2);
            put_block(type, body, r, block);
        }
    }
}

static void unpack_block(uint32_t type, const form *f, uint8_t *block, const uint8_t *panel,
                         size_t b, size_t r) {
    uint8_t *body = (uint8_t *)(uintptr_t)panel + slm_body_at(type, b);
    const uint8_t *halves = panel + slm_halves_at(type, b);
    memcpy(block + f->d_at, halves + 2 * r, 2);
    if (slm_body_has_min(type))
        memcpy(block + f->d_at + 2, halves + 2 * ROWS + 2 * r, 2);
    get_block(type, body, r, block);
}

void slm_unpack_block(uint32_t type, void *block, const void *panel, size_t b, size_t r) {
    form f;
    if (form_of(type, &f))
        unpack_block(type, &f, block, panel, b, r);
}

void slm_unpack_row(uint32_t type, void *w, const void *panel, size_t r, size_t k) {
    form f;
    if (!form_of(type, &f))
        return;
    for (size_t b = 0; b < k / f.block; b++)
        unpack_block(type, &f, (uint8_t *)w + b * f.block_bytes, panel, b, r);
}

/* ---- tiles ---- */

static void put_k(uint32_t *t, size_t width, const slm_act_q8_k *x) {
    for (size_t i = 0; i < 64; i++)
        t[(SLM_TILE_K_Q + i) * width] = load32(x->q + 4 * i);
    int32_t sum32[8];
    for (size_t s = 0; s < 8; s++)
        sum32[s] = x->bsums[2 * s] + x->bsums[2 * s + 1];
    for (size_t s = 0; s < 4; s++)
        t[(SLM_TILE_K_SUM32 + s) * width] = slm_pair16(sum32[2 * s], sum32[2 * s + 1]);
    for (size_t s = 0; s < 8; s++)
        t[(SLM_TILE_K_SUM16 + s) * width] = slm_pair16(x->bsums[2 * s], x->bsums[2 * s + 1]);
    for (size_t s = 0; s < 16; s++) {
        t[(SLM_TILE_K_NEG4 + s) * width] = (uint32_t)(-4 * x->bsums[s]);
        t[(SLM_TILE_K_NEG32 + s) * width] = (uint32_t)(-32 * x->bsums[s]);
    }
    t[SLM_TILE_K_D * width] = slm_float_bits(x->d);
}

static void put_0(uint32_t *t, size_t width, const slm_act_q8_0 *x) {
    int32_t sum = 0;
    for (size_t i = 0; i < 8; i++)
        t[(SLM_TILE_0_Q + i) * width] = load32(x->q + 4 * i);
    for (size_t i = 0; i < 32; i++)
        sum += x->q[i];
    t[SLM_TILE_0_NEG8 * width] = (uint32_t)(-8 * sum);
    t[SLM_TILE_0_NEG128 * width] = (uint32_t)(-128 * sum);
    t[SLM_TILE_0_D * width] = slm_float_bits(x->d);
}

void slm_tile_put(slm_act tile_act, void *tile, size_t width, size_t j, const void *row,
                  size_t first, size_t last) {
    uint32_t *t = (uint32_t *)tile + j;
    for (size_t b = first; b < last; b++) {
        if (tile_act == SLM_ACT_Q8_K_TILE)
            put_k(t + b * SLM_TILE_K_WORDS * width, width, (const slm_act_q8_k *)row + b);
        else
            put_0(t + b * SLM_TILE_0_WORDS * width, width, (const slm_act_q8_0 *)row + b);
    }
}

void slm_put_row(slm_act tile_act, void *tiles, size_t n_rows, size_t r, const void *row, size_t k) {
    const size_t block = tile_act == SLM_ACT_Q8_K_TILE ? 256 : 32;
    const size_t first = r / SLM_TILE_ROWS * SLM_TILE_ROWS, left = n_rows - first;
    slm_tile_put(tile_act, (uint8_t *)tiles + first * slm_act_row_bytes(tile_act, k),
                 left < SLM_TILE_ROWS ? left : SLM_TILE_ROWS, r - first, row, 0,
                 (k + block - 1) / block);
}
