/* Packed weights (packed.h) on Arm: what the levels share. A vector of a panel is four quads: a
 * quad is 16 bytes, four weights of each of four rows. Weights come out of their planes as bytes
 * below 128, so that they are the same number signed and unsigned. */
#ifndef SLM_ARM_PACKED_ARM_H
#define SLM_ARM_PACKED_ARM_H

#include "kernels.h"
#include "level_arm.h"
#include "packed.h"

#include <arm_neon.h>
#include <string.h>

#define SLM_UNROLL _Pragma("GCC unroll 16")

/* Quad r of vector v. */
SLM_INLINE uint8x16_t slm_quad(const uint8_t *p, size_t v, size_t r) {
    return vld1q_u8(p + 64 * v + 16 * r);
}

SLM_INLINE uint8x16_t slm_right(uint8x16_t v, int n) {
    return n >= 0 ? v >> n : v << -n;
}

/* Bits of a where the mask has them, else of b. */
SLM_INLINE uint8x16_t slm_select(uint8_t mask, uint8x16_t a, uint8x16_t b) {
    return vbslq_u8(vdupq_n_u8(mask), a, b);
}

SLM_INLINE uint8x16_t slm_nibble(uint8x16_t v, int high) {
    return high ? v >> 4 : vandq_u8(v, vdupq_n_u8(15));
}

/* Bits n and n + 1. */
SLM_INLINE uint8x16_t slm_pair(uint8x16_t v, int n) {
    return n == 6 ? v >> 6 : vandq_u8(slm_right(v, n), vdupq_n_u8(3));
}

SLM_INLINE int slm_is_wide(uint32_t type) { /* sub-blocks of 32 */
    return type == SLM_DTYPE_Q4_K || type == SLM_DTYPE_Q5_K;
}

/* Whether a full tile stores weights unpacked for all of its columns: for Q4_K that costs as much
 * as to unpack them again. */
SLM_INLINE int slm_unpack_once(uint32_t type) {
    return type != SLM_DTYPE_Q4_K;
}

/* Where a block of 32 and its d are, and how far it is to the next: two share a vector of d. */
typedef struct slm_place {
    const uint8_t *body, *halves;
    size_t to_body, to_halves;
} slm_place;

SLM_INLINE slm_place slm_place_of(uint32_t type, const uint8_t *panel) {
    const size_t first = slm_body_at(type, 0);
    return (slm_place){panel + first, panel, slm_body_at(type, 1) - first, slm_halves_at(type, 1)};
}

SLM_INLINE void slm_next_place(uint32_t type, slm_place *p) {
    const size_t pair = slm_halves_at(type, 2), body = 64 * slm_body_vectors(type);
    p->body += p->to_body;
    p->halves += p->to_halves;
    p->to_body ^= body ^ (pair - body);
    p->to_halves ^= 32 ^ (pair - 32);
}

/* The scales of a K block: byte b of lane r of vector i is that of sub-block 4i+b of row r. */
typedef struct slm_scales {
    const uint8_t *scale;
    uint8_t min[4 * 64];
    uint8_t room[4 * 64];
} slm_scales;

SLM_INLINE void slm_scales_of(uint32_t type, const uint8_t *body, slm_scales *s) {
    if (type == SLM_DTYPE_Q6_K) {
        s->scale = body;
        return;
    }
    s->scale = s->room;
    SLM_UNROLL
    for (size_t r = 0; r < 4; r++) {
        uint8_t *scale = s->room + 16 * r, *min = s->min + 16 * r;
        if (type == SLM_DTYPE_Q2_K) {
            SLM_UNROLL
            for (size_t i = 0; i < 4; i++) {
                const uint8x16_t w = slm_quad(body, 1 + i, r);
                vst1q_u8(scale + 64 * i, slm_nibble(w, 0));
                vst1q_u8(min + 64 * i, slm_nibble(w, 1));
            }
        } else if (type == SLM_DTYPE_Q3_K) {
            const uint8x16_t w0 = slm_quad(body, 0, r), w1 = slm_quad(body, 1, r);
            const uint8x16_t w2 = slm_quad(body, 2, r);
            SLM_UNROLL
            for (int i = 0; i < 4; i++) {
                const uint8x16_t low = slm_nibble(i % 2 ? w1 : w0, i / 2);
                const uint8x16_t six = slm_select(0x30, slm_right(w2, 2 * i - 4), low);
                vst1q_u8(scale + 64 * i, vsubq_u8(six, vdupq_n_u8(32)));
            }
        } else {
            const uint8x16_t w0 = slm_quad(body, 1, r), w1 = slm_quad(body, 2, r);
            const uint8x16_t w2 = slm_quad(body, 3, r), low6 = vdupq_n_u8(63);
            vst1q_u8(scale, vandq_u8(w0, low6));
            vst1q_u8(min, vandq_u8(w1, low6));
            vst1q_u8(scale + 64, slm_select(0x30, w0 >> 2, slm_nibble(w2, 0)));
            vst1q_u8(min + 64, slm_select(0x30, w1 >> 2, slm_nibble(w2, 1)));
        }
    }
}

/* Indices that bring byte b of lanes to the low end of 32 bits, or to the high one, whence a shift
 * spreads its sign. Order of rows: 0 1 2 3, 0 0 1 1 or 2 2 3 3. */
typedef enum slm_rows { SLM_ROWS_0123, SLM_ROWS_0011, SLM_ROWS_2233 } slm_rows;

SLM_INLINE int32x4_t slm_scale(uint32_t type, const slm_scales *s, size_t sub_block, size_t r,
                               slm_rows rows) {
#define LOW(b)  b, 255, 255, 255
#define HIGH(b) 255, 255, 255, b
#define ORDERS(end, b)                                                                             \
    {                                                                                              \
        end(b), end(b + 4), end(b + 8), end(b + 12), end(b), end(b), end(b + 4), end(b + 4),       \
            end(b + 8), end(b + 8), end(b + 12), end(b + 12)                                       \
    }
    static const uint8_t low[4][48] = {ORDERS(LOW, 0), ORDERS(LOW, 1), ORDERS(LOW, 2),
                                       ORDERS(LOW, 3)};
    static const uint8_t high[4][48] = {ORDERS(HIGH, 0), ORDERS(HIGH, 1), ORDERS(HIGH, 2),
                                        ORDERS(HIGH, 3)};
#undef LOW
#undef HIGH
#undef ORDERS
    const int is_signed = type == SLM_DTYPE_Q6_K || type == SLM_DTYPE_Q3_K;
    const uint8_t *index = (is_signed ? high : low)[sub_block % 4] + 16 * rows;
    const uint8x16_t four = slm_quad(s->scale, sub_block / 4, r);
    const int32x4_t v = vreinterpretq_s32_u8(vqtbl1q_u8(four, vld1q_u8(index)));
    return is_signed ? v >> 24 : v;
}

SLM_INLINE float32x4_t slm_half_quad(const uint8_t *halves, size_t r) {
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(halves + 8 * r)));
}

/* Four words. The empty statement keeps a compiler from loading the lanes one by one. */
SLM_INLINE int8x16_t slm_load_words(const uint32_t *x) {
    int8x16_t v = vreinterpretq_s8_u32(vld1q_u32(x));
    __asm__("" : "+w"(v));
    return v;
}

/* Has all quads before the first is used, so that neighbours are loaded by one instruction. */
SLM_INLINE void slm_together(uint8x16_t w[4], size_t quads) {
    __asm__("" : "+w"(w[0]), "+w"(w[1]));
    if (quads == 4)
        __asm__("" : "+w"(w[0]), "+w"(w[1]), "+w"(w[2]), "+w"(w[3]));
}

/* One lane in all four. */
SLM_INLINE int32x4_t slm_repeat_lane(int32x4_t v, int lane) {
    switch (lane) {
    case 0:
        return vdupq_laneq_s32(v, 0);
    case 1:
        return vdupq_laneq_s32(v, 1);
    case 2:
        return vdupq_laneq_s32(v, 2);
    default:
        return vdupq_laneq_s32(v, 3);
    }
}

/* The sums of activations of four sub-blocks in two bytes each, sum = 256 high + low: lane c of the
 * vectors holds those of column c. x: words of two sums, then two more one width further on. */
typedef struct slm_split {
    int8x16_t low, high;
} slm_split;

SLM_INLINE slm_split slm_split_sums(int32x4_t a, int32x4_t b) {
    const int16x8_t v0 = vreinterpretq_s16_s32(a), v1 = vreinterpretq_s16_s32(b);
    const int16x8_t half = vdupq_n_s16(128);
    const int8x16_t h0 = vreinterpretq_s8_s16(vaddq_s16(v0, half));
    const int8x16_t h1 = vreinterpretq_s8_s16(vaddq_s16(v1, half));
    return (slm_split){vuzp1q_s8(vreinterpretq_s8_s16(v0), vreinterpretq_s8_s16(v1)),
                       vuzp2q_s8(h0, h1)};
}

SLM_INLINE slm_split slm_split_columns(const uint32_t *x, size_t width) {
    const int32x4_t a = vreinterpretq_s32_u32(vld1q_u32(x));
    const int32x4_t b = vreinterpretq_s32_u32(vld1q_u32(x + width));
    return slm_split_sums(vzip1q_s32(a, b), vzip2q_s32(a, b));
}

SLM_INLINE float slm_word_float(const uint32_t *x) {
    float f;
    memcpy(&f, x, sizeof f);
    return f;
}

SLM_INLINE void slm_store_rows(float *y, const float32x4_t rows[4], size_t n_w) {
    float room[16], *to = n_w >= SLM_PANEL_ROWS ? y : room;
    SLM_UNROLL
    for (size_t r = 0; r < 4; r++)
        vst1q_f32(to + 4 * r, rows[r]);
    if (n_w < SLM_PANEL_ROWS)
        memcpy(y, room, n_w * sizeof *y);
}

/* A product of one panel by some neighbouring columns of a tile; x: the first column's place in the
 * first block. */
typedef void (*slm_columns_fn)(float *y, size_t y_stride, size_t n_w, const uint8_t *panel,
                               const uint32_t *x, size_t width, size_t n_blocks);
/* Those of one type: [n] does n columns, [0] the only column of a tile, [SLM_OF_FULL] the part that
 * the level chose of a full tile. */
enum { SLM_OF_FULL = 7, SLM_COLUMNS_FNS = 8 };
/* How many columns to do next: the place of the function, and the number itself. */
typedef struct slm_choice {
    size_t fn, n;
} slm_choice;
typedef slm_choice (*slm_choose_fn)(size_t left, size_t width);

SLM_INLINE void slm_walk_tiles(const slm_columns_fn fns[SLM_COLUMNS_FNS], slm_choose_fn choose,
                               size_t n_blocks, float *y, size_t y_stride, const void *w,
                               size_t w_bytes, size_t n_w, const void *a, size_t a_bytes,
                               size_t n_a) {
    for (size_t j0 = 0; j0 < n_a; j0 += SLM_TILE_ROWS) {
        const size_t width = n_a - j0 < SLM_TILE_ROWS ? n_a - j0 : SLM_TILE_ROWS;
        const uint32_t *x = (const uint32_t *)(const void *)((const uint8_t *)a + j0 * a_bytes);
        for (size_t i = 0; i < n_w; i += SLM_PANEL_ROWS) {
            const uint8_t *panel = (const uint8_t *)w + i / SLM_PANEL_ROWS * w_bytes;
            for (size_t c = 0; c < width;) {
                const slm_choice next = choose(width - c, width);
                fns[next.fn](y + (j0 + c) * y_stride + i, y_stride, n_w - i, panel, x + c, width,
                             n_blocks);
                c += next.n;
            }
        }
    }
}

/* GCC's scheduling before registers are given out makes more values live than there are registers,
 * once there are several columns. */
#if defined(__clang__)
#define SLM_IN_ORDER
#else
#define SLM_IN_ORDER __attribute__((optimize("no-schedule-insns")))
#endif

/* Functions of columns; body_fn is inlined with its constants: for one column, for several, and for
 * several of a full tile. */
#define SLM_COLUMNS_ANY(name, width_of, body_fn, ...)                                              \
    static void name(float *y, size_t y_stride, size_t n_w, const uint8_t *panel,                  \
                     const uint32_t *x, size_t width, size_t n_blocks) {                           \
        (void)width;                                                                               \
        body_fn(__VA_ARGS__, y, y_stride, n_w, panel, x, width_of, n_blocks);                      \
    }
#define SLM_COLUMN(name, ...)  SLM_COLUMNS_ANY(name, width, __VA_ARGS__)
#define SLM_COLUMNS(name, ...) SLM_IN_ORDER SLM_COLUMNS_ANY(name, width, __VA_ARGS__)
#define SLM_COLUMNS_OF_FULL(name, ...)                                                             \
    SLM_IN_ORDER SLM_COLUMNS_ANY(name, SLM_TILE_ROWS, __VA_ARGS__)
/* One column: it depends on the type which order takes fewer instructions. */
#define SLM_ONE_COLUMN(TYPE, ...) SLM_COLUMN_##TYPE(__VA_ARGS__)
#define SLM_COLUMN_Q2_K           SLM_COLUMN
#define SLM_COLUMN_Q3_K           SLM_COLUMN
#define SLM_COLUMN_Q4_K           SLM_COLUMN
#define SLM_COLUMN_Q5_K           SLM_COLUMN
#define SLM_COLUMN_Q6_K           SLM_COLUMNS
#define SLM_COLUMN_Q4_0           SLM_COLUMN
#define SLM_COLUMN_Q8_0           SLM_COLUMNS

#endif
