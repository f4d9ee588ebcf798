/* Cache rows and attention over them, as kernels.h says. A score is one chain of sums, element by
 * element (Q8_0: block by block); a Q8_0 value is d * q, rounded once. */
#include "exp.h"
#include "ref.h"

void slm_kv_store_f32_ref(void *row, const float *x, size_t d) {
    memcpy(row, x, d * sizeof *x);
}

void slm_kv_store_f16_ref(void *row, const float *x, size_t d) {
    uint8_t *p = row;
    for (size_t i = 0; i < d; i++) {
        uint16_t h = slm_f32_to_f16(x[i]);
        memcpy(p + 2 * i, &h, sizeof h);
    }
}

/* As SLM_ACT_Q8_0, with the scale rounded to half precision. */
void slm_kv_store_q8_0_ref(void *row, const float *x, size_t d) {
    slm_block_q8_0 *b = row;
    for (size_t i = 0; i < d; i += 32, b++) {
        size_t n = d - i < 32 ? d - i : 32;
        uint32_t bits = slm_max_abs_bits(x + i, n);
        memset(b->qs, 0, sizeof b->qs);
        slm_store_u16(b->d, bits >= 0x7f800000u ? 0x7e00u : 0u);
        if (bits >= 0x7f800000u || bits < 0x0d800000u)
            continue;
        float max = slm_bits_float(bits), scale = 127.0f / max;
        slm_store_u16(b->d, slm_f32_to_f16(max / 127.0f));
        for (size_t j = 0; j < n; j++)
            b->qs[j] = (int8_t)slm_round_even(x[i + j] * scale);
    }
}

SLM_INLINE uint16_t half_at(const void *p, size_t i) {
    uint16_t h;
    memcpy(&h, (const uint8_t *)p + 2 * i, 2);
    return h;
}

void slm_kv_put_key(slm_kv kv, void *group, size_t t, const void *row, size_t d) {
    uint8_t *g = group;
    const uint8_t *r = row;
    size_t size = kv == SLM_KVT_F16 ? 2 : 4, n = d;
    if (kv == SLM_KVT_Q8_0) {
        const slm_block_q8_0 *b = row;
        size_t n_blocks = (d + 31) / 32;
        uint8_t *scales = g + 32 * n_blocks * SLM_KV_GROUP;
        for (size_t i = 0; i < n_blocks; i++) {
            memcpy(scales + 2 * (i * SLM_KV_GROUP + t), b[i].d, 2);
            for (size_t j = 0; j < 32; j++)
                g[4 * ((8 * i + j / 4) * SLM_KV_GROUP + t) + j % 4] = (uint8_t)(b[i].qs[j] ^ 0x80);
        }
        return;
    }
    for (size_t i = 0; i < n; i++)
        memcpy(g + size * (i * SLM_KV_GROUP + t), r + size * i, size);
}

/* The score of one token of a group. */
typedef float (*score_fn)(const slm_attention *a, size_t query, const void *group, size_t t);

SLM_INLINE float score_f16(const slm_attention *a, size_t query, const void *group, size_t t) {
    const float *q = a->q + query * a->stride;
    float s = 0;
    for (size_t i = 0; i < a->d; i++)
        s += q[i] * slm_half_to_float(half_at(group, i * SLM_KV_GROUP + t));
    return s;
}

SLM_INLINE float score_f32(const slm_attention *a, size_t query, const void *group, size_t t) {
    const float *q = a->q + query * a->stride, *k = group;
    float s = 0;
    for (size_t i = 0; i < a->d; i++)
        s += q[i] * k[i * SLM_KV_GROUP + t];
    return s;
}

SLM_INLINE float score_q8_0(const slm_attention *a, size_t query, const void *group, size_t t) {
    const slm_act_q8_0 *q = (const void *)(a->q8 + query * a->q8_bytes);
    size_t n_blocks = (a->d + 31) / 32;
    const uint8_t *k = group, *scales = k + 32 * n_blocks * SLM_KV_GROUP;
    float s = 0;
    for (size_t b = 0; b < n_blocks; b++) {
        int32_t dot = 0;
        for (size_t j = 0; j < 32; j++)
            dot += q[b].q[j] * ((int)k[4 * ((8 * b + j / 4) * SLM_KV_GROUP + t) + j % 4] - 128);
        s += q[b].d * slm_half_to_float(half_at(scales, b * SLM_KV_GROUP + t)) * (float)dot;
    }
    return s;
}

typedef void (*load_fn)(float *x, const void *row, size_t first, size_t n);

SLM_INLINE void load_f16(float *x, const void *row, size_t first, size_t n) {
    slm_dequantize_f16_ref(x, (const uint8_t *)row + 2 * first, n);
}

SLM_INLINE void load_q8_0(float *x, const void *row, size_t first, size_t n) {
    const slm_block_q8_0 *b = (const slm_block_q8_0 *)row + first / 32;
    slm_dequantize_q8_0_ref(x, b, (n + 31) / 32 * 32);
}

SLM_INLINE void load_f32(float *x, const void *row, size_t first, size_t n) {
    memcpy(x, (const uint8_t *)row + 4 * first, 4 * n);
}

SLM_INLINE void add_value(load_fn load, float *restrict o, float weight, const void *row,
                          size_t d) {
    for (size_t first = 0; first < d; first += SLM_REF_PIECE) {
        size_t n = d - first < SLM_REF_PIECE ? d - first : SLM_REF_PIECE;
        float piece[SLM_REF_PIECE];
        load(piece, row, first, n);
        for (size_t i = 0; i < n; i++)
            o[first + i] += weight * piece[i];
    }
}

SLM_INLINE void attend(score_fn score, load_fn load, const slm_attention *a,
                       const uint8_t (*range)[2], size_t first, size_t n, const void *const k[4],
                       const void *const v[4], size_t v_bytes, size_t t0, size_t t1) {
    for (size_t query = first; query < first + n; query++) {
        float s[SLM_KV_BLOCK], m = a->m[query], *o = a->o + query * a->o_stride;
        float *l = a->l + query * 16;
        const size_t from = range == NULL ? t0 : range[query][0];
        const size_t to = range == NULL ? t1 : range[query][1];
        for (size_t t = from; t < to; t++) {
            s[t] = score(a, query, k[t / SLM_KV_GROUP], t % SLM_KV_GROUP);
            m = s[t] > m ? s[t] : m;
        }
        if (m != a->m[query]) {
            float scale = slm_expf(a->m[query] - m);
            a->m[query] = m;
            for (size_t i = 0; i < a->d_v; i++)
                o[i] *= scale;
            for (int i = 0; i < 16; i++)
                l[i] *= scale;
        }
        for (size_t t = from; t < to; t++) {
            float p = slm_expf(s[t] - m);
            l[t % 16] += p;
            add_value(load, o, p, (const uint8_t *)v[t / SLM_KV_GROUP] + t % SLM_KV_GROUP * v_bytes,
                      a->d_v);
        }
    }
}

#define DEFINE(type)                                                                               \
    SLM_REF_ATTEND(slm_attend_##type##_ref) {                                                      \
        const uint8_t(*range)[2] = a->range;                                                       \
        for (; a != NULL; a = a->second, k += 4)                                                   \
            attend(score_##type, load_##type, a, range, first, n, k, v, v_bytes, t0, t1);          \
    }
DEFINE(f16)
DEFINE(q8_0)
DEFINE(f32)
