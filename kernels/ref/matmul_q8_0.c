/* Weight types of 32 by Q8_0 activations. For each block, in ascending order, one float
 * accumulator takes (d_w * d_a) * (exact integer sum), then, for types with a minimum,
 * m_w * (sum of the activations). */
#include "packed.h"
#include "ref.h"

/* A weight block as integers, with what they are multiplied by. */
typedef struct unpacked {
    float d, m;
    int16_t q[32];
} unpacked;

typedef void (*unpack_fn)(unpacked *u, const void *block);

SLM_INLINE void matmul(unpack_fn unpack, size_t block_bytes, int has_min, float *y, size_t y_stride,
                       const void *w, size_t w_bytes, size_t n_w, const void *a, size_t a_bytes,
                       size_t n_a, size_t k) {
    for (size_t i = 0; i < n_w; i++) {
        const uint8_t *row = (const uint8_t *)w + i * w_bytes;
        for (size_t j0 = 0; j0 < n_a; j0 += SLM_REF_TILE) {
            size_t tile = n_a - j0 < SLM_REF_TILE ? n_a - j0 : SLM_REF_TILE;
            float sums[SLM_REF_TILE] = {0};
            for (size_t b = 0; b < k / 32; b++) {
                unpacked u;
                unpack(&u, row + b * block_bytes);
                for (size_t j = 0; j < tile; j++) {
                    const uint8_t *act = (const uint8_t *)a + (j0 + j) * a_bytes;
                    const slm_act_q8_0 *x = (const slm_act_q8_0 *)act + b;
                    int32_t dot = 0;
                    for (int l = 0; l < 32; l++)
                        dot += u.q[l] * (int16_t)x->q[l];
                    sums[j] += u.d * x->d * (float)dot;
                    if (has_min)
                        sums[j] += u.m * x->sum;
                }
            }
            for (size_t j = 0; j < tile; j++)
                y[(j0 + j) * y_stride + i] = sums[j];
        }
    }
}

/* The same for packed weights by tiles. */
SLM_INLINE void matmul_tiles(unpack_fn unpack, uint32_t type, float *y, size_t y_stride,
                             const void *w, size_t w_bytes, size_t n_w, const void *a,
                             size_t a_bytes, size_t n_a, size_t k) {
    for (size_t i = 0; i < n_w; i++) {
        const uint8_t *panel = (const uint8_t *)w + i / SLM_PANEL_ROWS * w_bytes;
        for (size_t j = 0; j < n_a; j++)
            y[j * y_stride + i] = 0;
        for (size_t b = 0; b < k / 32; b++) {
            uint8_t block[sizeof(slm_block_q8_0)];
            unpacked u;
            slm_unpack_block(type, block, panel, b, i % SLM_PANEL_ROWS);
            unpack(&u, block);
            for (size_t j = 0; j < n_a; j++) {
                size_t first = j / SLM_TILE_ROWS * SLM_TILE_ROWS;
                size_t width = n_a - first < SLM_TILE_ROWS ? n_a - first : SLM_TILE_ROWS;
                const uint32_t *x =
                    (const uint32_t *)(const void *)((const uint8_t *)a + first * a_bytes) +
                    b * SLM_TILE_0_WORDS * width + (j - first);
                int32_t dot = 0;
                for (size_t l = 0; l < 32; l++) {
                    uint32_t four = x[(SLM_TILE_0_Q + l / 4) * width];
                    dot += u.q[l] * (int8_t)(four >> (8 * (l % 4)));
                }
                y[j * y_stride + i] += u.d * slm_bits_float(x[SLM_TILE_0_D * width]) * (float)dot;
            }
        }
    }
}

SLM_INLINE void unpack_q4_0(unpacked *u, const void *block) {
    const slm_block_q4_0 *b = block;
    u->d = slm_load_half(b->d);
    for (int i = 0; i < 16; i++) {
        u->q[i] = (int16_t)((b->qs[i] & 15) - 8);
        u->q[i + 16] = (int16_t)((b->qs[i] >> 4) - 8);
    }
}

SLM_INLINE void unpack_q4_1(unpacked *u, const void *block) {
    const slm_block_q4_1 *b = block;
    u->d = slm_load_half(b->d);
    u->m = slm_load_half(b->m);
    for (int i = 0; i < 16; i++) {
        u->q[i] = b->qs[i] & 15;
        u->q[i + 16] = b->qs[i] >> 4;
    }
}

/* Bit i of qh becomes bit 4 of level i. Eight bits at a time: each goes to its own byte, and an
 * addition without carries between bytes turns whatever bit it is there into bit 7. */
SLM_INLINE void unpack_fifth_bits(int16_t q[32], const uint8_t qh[4], const uint8_t qs[16]) {
    uint8_t bits[32];
    for (int i = 0; i < 4; i++) {
        uint64_t v = qh[i] * UINT64_C(0x0101010101010101) & UINT64_C(0x8040201008040201);
        v = ((v + UINT64_C(0x7f7f7f7f7f7f7f7f)) & UINT64_C(0x8080808080808080)) >> 3;
        for (int j = 0; j < 8; j++)
            bits[8 * i + j] = (uint8_t)(v >> (8 * j));
    }
    for (int i = 0; i < 16; i++) {
        q[i] = (int16_t)((qs[i] & 15) | bits[i]);
        q[i + 16] = (int16_t)(qs[i] >> 4 | bits[i + 16]);
    }
}

SLM_INLINE void unpack_q5_0(unpacked *u, const void *block) {
    const slm_block_q5_0 *b = block;
    u->d = slm_load_half(b->d);
    unpack_fifth_bits(u->q, b->qh, b->qs);
    for (int i = 0; i < 32; i++)
        u->q[i] = (int16_t)(u->q[i] - 16);
}

SLM_INLINE void unpack_q5_1(unpacked *u, const void *block) {
    const slm_block_q5_1 *b = block;
    u->d = slm_load_half(b->d);
    u->m = slm_load_half(b->m);
    unpack_fifth_bits(u->q, b->qh, b->qs);
}

SLM_INLINE void unpack_q8_0(unpacked *u, const void *block) {
    const slm_block_q8_0 *b = block;
    u->d = slm_load_half(b->d);
    for (int i = 0; i < 32; i++)
        u->q[i] = b->qs[i];
}

SLM_INLINE void unpack_iq4_nl(unpacked *u, const void *block) {
    const slm_block_iq4_nl *b = block;
    u->d = slm_load_half(b->d);
    for (int i = 0; i < 16; i++) {
        u->q[i] = slm_iq4_values[b->qs[i] & 15];
        u->q[i + 16] = slm_iq4_values[b->qs[i] >> 4];
    }
}

#define DEFINE(type, has_min)                                                                      \
    SLM_REF_MATMUL(slm_matmul_##type##_q8_0_ref) {                                                 \
        matmul(unpack_##type, sizeof(slm_block_##type), has_min, y, y_stride, w, w_bytes, n_w, a,  \
               a_bytes, n_a, k);                                                                   \
    }
DEFINE(q4_0, 0)
DEFINE(q4_1, 1)
DEFINE(q5_0, 0)
DEFINE(q5_1, 1)
DEFINE(q8_0, 0)
DEFINE(iq4_nl, 0)

#define DEFINE_PACKED(TYPE, type)                                                                  \
    SLM_REF_MATMUL(slm_matmul_##type##_q8_0_tile_ref) {                                            \
        matmul_tiles(unpack_##type, SLM_DTYPE_##TYPE, y, y_stride, w, w_bytes, n_w, a, a_bytes,    \
                     n_a, k);                                                                      \
    }
DEFINE_PACKED(Q4_0, q4_0)
DEFINE_PACKED(Q8_0, q8_0)
