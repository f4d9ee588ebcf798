/* Attention of a warp: sixteen queries (rows of one session, and the heads that share a head of
 * keys and values) over a SEGMENT of 64 tokens, with mma.m16n8k16 on halves and sums in floats.
 *
 * A dot product may be taken in any order, so that a lane takes what lies side by side in memory:
 * lane (g, t) = (lane / 4, lane % 4) has of a pair of steps (32 elements) elements 8t to 8t + 7 of
 * token g, of a single step at the end (d % 32 = 16) 4t to 4t + 3. Queries are permuted alike when
 * they are staged, and each is two halves, the second what the first leaves: scores are as good as
 * floats.
 *
 * Segments begin at multiples of 64 and are put together in order, each from scratch: what a row
 * gets depends on neither the other rows nor who takes which segment. */
#ifndef SLM_CUDA_ATTEND_TILE_CUH
#define SLM_CUDA_ATTEND_TILE_CUH

#include "attend.cuh"

namespace slm {

constexpr int tile_queries = 16;
constexpr int segment_tokens = 64, segment_groups = segment_tokens / group_tokens;

/* Weights are 2^6 times what they have to be, so that few are too small for a half. */
constexpr float weight_shift = 6.0f;

struct Attend {
    float *out;
    const float *q;
    float *sums;    /* [row][head][chunk][d] */
    float2 *maxima; /* [row][head][chunk]: largest score, sum of weights */
    slm_cuda_cache cache;
    const slm_cuda_row *rows;
    uint32_t n_rows, n_chunks, n_heads, n_kv_heads, d, kv_index;
    uint32_t tile_heads; /* of a tile, at most */
    uint32_t head_tiles; /* of a head of keys and values */
    uint32_t tile_rows;
    float scale; /* of a score, to the base 2 */
};

template <int D> __device__ int head_size(const Attend &a) {
    return D ? D : (int)a.d;
}

/* Queries: rows x heads, those of a row side by side. */
struct Tile {
    uint32_t row, n_rows, head, n_heads, kv_head;
    uint32_t first, last;         /* a query sees tokens of [first, last) only, */
    uint32_t all_first, all_last; /* and each all of this */

    /* Rows from `row` on, up to `row_end`, as long as they are of one session. unit: head of keys
     * and values, and which of its tiles. */
    __device__ Tile(const Attend &a, uint32_t row_begin, uint32_t row_end, uint32_t unit)
        : row(row_begin), n_rows(0), kv_head(unit / a.head_tiles), first(UINT32_MAX), last(0),
          all_first(0), all_last(UINT32_MAX) {
        const uint32_t group = a.n_heads / a.n_kv_heads, at = unit % a.head_tiles * a.tile_heads;
        head = kv_head * group + at;
        n_heads = min(a.tile_heads, group - at);
        const uint32_t slot = a.rows[row].slot;
        for (; row + n_rows < row_end && a.rows[row + n_rows].slot == slot; n_rows++) {
            const Span span(a.rows[row + n_rows], a.cache.window);
            first = min(first, span.begin);
            all_first = max(all_first, span.begin);
            last = max(last, span.end);
            all_last = min(all_last, span.end);
        }
    }
};

/* One of the two queries whose scores and sums a lane holds: g and g + 8. */
struct Query {
    bool is_real;
    size_t at; /* row * n_heads + head */
    uint32_t begin, n_seen;

    __device__ Query(const Attend &a, const Tile &tile, int i) {
        const uint32_t of_row = (uint32_t)i / tile.n_heads;
        is_real = of_row < tile.n_rows;
        const uint32_t row = tile.row + (is_real ? of_row : 0);
        const Span span(a.rows[row], a.cache.window);
        begin = span.begin;
        n_seen = is_real ? span.end - span.begin : 0;
        at = (size_t)row * a.n_heads + tile.head + (uint32_t)i % tile.n_heads;
    }
};

/* ---------------------------------------------------------------- loads ---------------------- */

/* Keep: others read the same soon. */
template <bool Keep> __device__ uint4 load_16(const uint8_t *p) {
    return Keep ? __ldg((const uint4 *)p) : load_stream_16(p);
}
template <bool Keep> __device__ uint2 load_8(const uint8_t *p) {
    return Keep ? __ldg((const uint2 *)p) : load_stream_8(p);
}
template <bool Keep> __device__ uint32_t load_4(const uint8_t *p) {
    return Keep ? __ldg((const unsigned *)p) : load_stream_4(p);
}

SLM_DEVICE uint32_t bits_of(__half2 x) {
    return *(const uint32_t *)&x;
}
SLM_DEVICE uint32_t mul_halves(uint32_t a, uint32_t b) {
    return bits_of(__hmul2(*(const __half2 *)&a, *(const __half2 *)&b));
}

/* Four signed bytes as halves: 0x6400 + u is the half 1024 + u. */
SLM_DEVICE void bytes_to_halves(unsigned (&halves)[2], uint32_t bytes) {
    const uint32_t u = bytes ^ 0x80808080u, too_large = 0x64806480u; /* 1152, twice */
    SLM_UNROLL
    for (int i = 0; i < 2; i++) {
        const uint32_t x = __byte_perm(u, 0x64646464u, i ? 0x4342 : 0x4140);
        halves[i] = bits_of(__hsub2(*(const __half2 *)&x, *(const __half2 *)&too_large));
    }
}

/* ---------------------------------------------------------------- queries -------------------- */

/* Bytes of a tile's staged queries: of each step of 16 elements, first and second halves. The same
 * as of its sums. */
__host__ __device__ constexpr size_t staged_bytes(int d) {
    return (size_t)d / 16 * 2 * 32 * sizeof(uint4);
}

/* Stages steps first, first + every, ... */
template <int D>
__device__ void stage_queries(uint4 *staged, const Attend &a, const Tile &tile, int first,
                              int every, int lane) {
    const Query query[2] = {Query(a, tile, lane / 4), Query(a, tile, lane / 4 + 8)};
    const int d = head_size<D>(a), t = lane % 4;
    for (int step = first; step < d / 16; step += every) {
        const bool is_pair = 16 * (step & ~1) + 32 <= d;
        const int at = 16 * (step & ~1) + (is_pair ? 8 * t + step % 2 * 4 : 4 * t);
        uint32_t high[4], low[4];
        SLM_UNROLL
        for (int i = 0; i < 2; i++) {
            float4 x = make_float4(0, 0, 0, 0);
            if (query[i].is_real)
                x = *(const float4 *)(a.q + query[i].at * d + at);
            const float v[4] = {x.x * a.scale, x.y * a.scale, x.z * a.scale, x.w * a.scale};
            SLM_UNROLL
            for (int j = 0; j < 2; j++) {
                high[i + 2 * j] = bits_of(__floats2half2_rn(v[2 * j], v[2 * j + 1]));
                const float2 part = halves_to_float2(high[i + 2 * j]);
                low[i + 2 * j] =
                    bits_of(__floats2half2_rn(v[2 * j] - part.x, v[2 * j + 1] - part.y));
            }
        }
        staged[2 * step * 32 + lane] = make_uint4(high[0], high[1], high[2], high[3]);
        staged[(2 * step + 1) * 32 + lane] = make_uint4(low[0], low[1], low[2], low[3]);
    }
}

/* ---------------------------------------------------------------- scores --------------------- */

/* s[n]: sixteen queries by tokens 8n to 8n + 7 of the segment. */
typedef float Scores[2 * segment_groups][4];

/* Adds Steps steps of 16 elements from step on. */
template <int Type, int Steps, bool Keep>
__device__ __forceinline__ void add_scores(Scores &s, const uint4 *staged, int step,
                                           const uint8_t *const (&k)[segment_groups], int d,
                                           int lane) {
    const int g = lane / 4, t = lane % 4;
    const int token_bytes = Type == SLM_KVT_F16 ? 2 * d : bytes_of(d);
    const int offset =
        g * token_bytes + (Type == SLM_KVT_F16 ? 2 : 1) * (step * 16 + 4 * Steps * t);
    unsigned high[Steps][4], low[Steps][4];
    SLM_UNROLL
    for (int i = 0; i < Steps; i++) {
        const uint4 h = staged[2 * (step + i) * 32 + lane];
        const uint4 l = staged[(2 * (step + i) + 1) * 32 + lane];
        high[i][0] = h.x, high[i][1] = h.y, high[i][2] = h.z, high[i][3] = h.w;
        low[i][0] = l.x, low[i][1] = l.y, low[i][2] = l.z, low[i][3] = l.w;
    }
    SLM_UNROLL
    for (int group = 0; group < segment_groups; group++) {
        float2 scale[2];
        if (Type == SLM_KVT_Q8_0) {
            const uint2 two =
                load_8<Keep>(k[group] + group_tokens * token_bytes + step * 16 + 8 * t);
            scale[0] = halves_to_float2(two.x);
            scale[1] = halves_to_float2(two.y);
        }
        SLM_UNROLL
        for (int i = 0; i < 2; i++) {
            unsigned b[2][2];
            if (Type == SLM_KVT_F16) {
                const uint8_t *at = k[group] + offset + 8 * i * token_bytes;
                if (Steps == 2) {
                    const uint4 v = load_16<Keep>(at);
                    b[0][0] = v.x, b[0][1] = v.y, b[1][0] = v.z, b[1][1] = v.w;
                } else {
                    const uint2 v = load_8<Keep>(at);
                    b[0][0] = v.x, b[0][1] = v.y;
                }
                SLM_UNROLL
                for (int j = 0; j < Steps; j++) {
                    mma_f16(s[2 * group + i], high[j], b[j]);
                    mma_f16(s[2 * group + i], low[j], b[j]);
                }
            } else {
                const uint8_t *at = k[group] + offset + 8 * i * token_bytes;
                if (Steps == 2) {
                    const uint2 v = load_8<Keep>(at);
                    bytes_to_halves(b[0], v.x);
                    bytes_to_halves(b[1], v.y);
                } else {
                    bytes_to_halves(b[0], load_4<Keep>(at));
                }
                float c[4] = {0, 0, 0, 0};
                SLM_UNROLL
                for (int j = 0; j < Steps; j++) {
                    mma_f16(c, high[j], b[j]);
                    mma_f16(c, low[j], b[j]);
                }
                SLM_UNROLL
                for (int j = 0; j < 4; j++) {
                    float &sum = s[2 * group + i][j];
                    sum = __fmaf_rn(c[j], j % 2 ? scale[i].y : scale[i].x, sum);
                }
            }
        }
    }
}

/* ---------------------------------------------------------------- sums ----------------------- */

/* Which elements of the values a warp adds up: n from a multiple of 32 on. */
struct Columns {
    int first, n;
};

/* Of queries g and g + 8: largest score, sum of weights, and values times weights: columns 8j + 2t
 * and 8j + 2t + 1, up to Most. */
template <int Most> struct Sums {
    float largest[2], weight[2];
    float of[Most / 8][4];

    __device__ Sums() {
        SLM_UNROLL
        for (int i = 0; i < 2; i++) {
            largest[i] = -INFINITY;
            weight[i] = 0;
        }
        SLM_UNROLL
        for (int i = 0; i < Most / 8; i++) {
            SLM_UNROLL
            for (int j = 0; j < 4; j++)
                of[i][j] = 0;
        }
    }
};

/* How sums to two largest scores are added up. */
struct Join {
    float largest, of_first, of_second;

    __device__ Join(float first, float second) {
        largest = fmaxf(first, second);
        const float base = largest == -INFINITY ? 0.0f : largest;
        of_first = exp2_fast(first - base);
        of_second = exp2_fast(second - base);
    }
    __device__ float operator()(float first, float second) const {
        return __fmaf_rn(second, of_second, __fmul_rn(first, of_first));
    }
};

/* Adds the values of a segment, weighted: p[group] are the weights, as halves, of its tokens. */
template <int Type, int Most, bool Keep>
__device__ __forceinline__ void add_values(Sums<Most> &sums, const unsigned (&p)[segment_groups][4],
                                           const Join (&join)[2],
                                           const uint8_t *const (&v)[segment_groups],
                                           const uint32_t (&mask)[segment_groups][2], int d,
                                           Columns columns, int lane) {
    const int g = lane / 4, t = lane % 4;
    SLM_UNROLL
    for (int block = 0; block < (Most + 31) / 32; block++) {
        if (32 * block >= columns.n)
            break;
        float sum[4][4] = {};
        SLM_UNROLL
        for (int group = 0; group < segment_groups; group++) {
            unsigned weights[4] = {p[group][0], p[group][1], p[group][2], p[group][3]};
            if (Type == SLM_KVT_Q8_0) {
                const uint2 scale = load_8<Keep>(v[group] + group_tokens * bytes_of(d) +
                                                 columns.first + block * 32 + 8 * t);
                SLM_UNROLL
                for (int i = 0; i < 4; i++)
                    weights[i] = mul_halves(weights[i], i < 2 ? scale.x & mask[group][0]
                                                              : scale.y & mask[group][1]);
            }
            SLM_UNROLL
            for (int j = 0; j < 4 && 4 * block + j < Most / 8; j++) {
                if (32 * block + 8 * j >= columns.n)
                    break;
                const int column = columns.first + 32 * block + 8 * j + g;
                unsigned b[2];
                if (Type == SLM_KVT_F16) {
                    const uint2 x = load_8<Keep>(v[group] + column * 32 + 8 * t);
                    b[0] = x.x & mask[group][0];
                    b[1] = x.y & mask[group][1];
                } else {
                    bytes_to_halves(b, load_4<Keep>(v[group] + column * 16 + 4 * t));
                }
                mma_f16(sum[j], weights, b);
            }
        }
        SLM_UNROLL
        for (int j = 0; j < 4 && 4 * block + j < Most / 8; j++) {
            SLM_UNROLL
            for (int i = 0; i < 4; i++) {
                float &of = sums.of[4 * block + j][i];
                of = join[i / 2](of, sum[j][i]);
            }
        }
    }
}

/* Takes the segment at `start` into the sums of a tile. */
template <int Type, int D, int Most, bool Keep>
__device__ __forceinline__ void take_segment(Sums<Most> &sums, const Attend &a, const Tile &tile,
                                             const uint4 *staged, uint32_t start, Columns columns,
                                             int lane) {
    const int d = head_size<D>(a), t = lane % 4;
    const Plane keys(a.cache, a.rows[tile.row].slot, a.kv_index, 0, tile.kv_head);
    const uint8_t *at[segment_groups];
    SLM_UNROLL
    for (int i = 0; i < segment_groups; i++) /* others may not exist */
        at[i] = keys.group_of(min(max(start + i * group_tokens, tile.first), tile.last - 1));

    Scores s;
    SLM_UNROLL
    for (int n = 0; n < 2 * segment_groups; n++) {
        SLM_UNROLL
        for (int i = 0; i < 4; i++)
            s[n][i] = 0;
    }
    /* Among many the loop stays one: unrolled it takes more registers than there are. */
    const int n_steps = (Keep ? (int)a.d : d) / 16;
    for (int step = 0; step + 2 <= n_steps; step += 2)
        add_scores<Type, 2, Keep>(s, staged, step, at, d, lane);
    if (d % 32 != 0)
        add_scores<Type, 1, Keep>(s, staged, d / 16 - 1, at, d, lane);

    if (start < tile.all_first || start + segment_tokens > tile.all_last) {
        const Query query[2] = {Query(a, tile, lane / 4), Query(a, tile, lane / 4 + 8)};
        SLM_UNROLL
        for (int n = 0; n < 2 * segment_groups; n++) {
            SLM_UNROLL
            for (int i = 0; i < 4; i++) {
                const uint32_t token = start + 8 * n + 2 * t + i % 2;
                if (token - query[i / 2].begin >= query[i / 2].n_seen)
                    s[n][i] = -INFINITY;
            }
        }
    }
    float largest[2], base[2];
    SLM_UNROLL
    for (int i = 0; i < 2; i++) {
        largest[i] = -INFINITY;
        SLM_UNROLL
        for (int n = 0; n < 2 * segment_groups; n++)
            largest[i] = fmaxf(largest[i], fmaxf(s[n][2 * i], s[n][2 * i + 1]));
        largest[i] = fmaxf(largest[i], __shfl_xor_sync(0xffffffffu, largest[i], 1));
        largest[i] = fmaxf(largest[i], __shfl_xor_sync(0xffffffffu, largest[i], 2));
        base[i] = largest[i] == -INFINITY ? 0.0f : largest[i] - weight_shift;
    }

    /* What a lane holds of scores is what it has to hold of weights as the other operand. Their sum
     * is a product with ones. */
    const unsigned ones[2] = {0x3c003c00u, 0x3c003c00u};
    unsigned p[segment_groups][4];
    uint32_t mask[segment_groups][2];
    float weight[4] = {0, 0, 0, 0};
    SLM_UNROLL
    for (int group = 0; group < segment_groups; group++) {
        SLM_UNROLL
        for (int i = 0; i < 4; i++) {
            const float *of = &s[2 * group + i / 2][i % 2 * 2];
            p[group][i] = bits_of(
                __floats2half2_rn(exp2_fast(of[0] - base[i % 2]), exp2_fast(of[1] - base[i % 2])));
        }
        mma_f16(weight, p[group], ones);
        at[group] += a.cache.plane_bytes;
        SLM_UNROLL
        for (int i = 0; i < 2; i++) { /* nobody may have written the values of other tokens */
            const uint32_t token = start + group * group_tokens + 8 * i + 2 * t - tile.first;
            const uint32_t n_seen = tile.last - tile.first;
            mask[group][i] =
                (token < n_seen ? 0xffffu : 0u) | (token + 1 < n_seen ? 0xffff0000u : 0u);
        }
    }
    const Join join[2] = {Join(sums.largest[0], largest[0]), Join(sums.largest[1], largest[1])};
    add_values<Type, Most, Keep>(sums, p, join, at, mask, d, columns, lane);
    SLM_UNROLL
    for (int i = 0; i < 2; i++) {
        sums.weight[i] = join[i](sums.weight[i], weight[2 * i]);
        sums.largest[i] = join[i].largest;
    }
}

} /* namespace slm */

#endif
