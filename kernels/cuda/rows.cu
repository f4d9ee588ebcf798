/* Rows of floats: out of the embedding, and into the formats of products. */
#include "slm_cuda.h"
#include "units.cuh"

namespace {

using namespace slm;

constexpr int n_threads = 256;
constexpr uint32_t nan_bits = 0x7fc00000u, inf_bits = 0x7f800000u;
constexpr uint32_t small_bits = 0x0d800000u; /* 2^-100: below it 127 / m could overflow             */

/* Of a block's threads, in all of them. `scratch`: a word for each warp. */
SLM_DEVICE float block_sum(float x, float *scratch) {
    x = warp_sum(x);
    if (threadIdx.x % 32 == 0)
        scratch[threadIdx.x / 32] = x;
    __syncthreads();
    float sum = 0.0f;
    for (unsigned i = 0; i < blockDim.x / 32; i++)
        sum += scratch[i];
    __syncthreads();
    return sum;
}

SLM_DEVICE uint32_t block_max(uint32_t x, uint32_t *scratch) {
    x = (uint32_t)warp_max_int((int)x);
    if (threadIdx.x % 32 == 0)
        scratch[threadIdx.x / 32] = x;
    __syncthreads();
    uint32_t most = 0;
    for (unsigned i = 0; i < blockDim.x / 32; i++)
        most = max(most, scratch[i]);
    __syncthreads();
    return most;
}

/* ---------------------------------------------------------------- activations ----------------- */

/* Largest |x| as bits, over the lanes of a segment of `width`. */
template <int width> SLM_DEVICE uint32_t segment_max(uint32_t x) {
    SLM_UNROLL
    for (int bits = width / 2; bits > 0; bits /= 2)
        x = max(x, __shfl_xor_sync(0xffffffffu, x, bits));
    return x;
}

struct Scaled {
    float d, inverse; /* x = d q, q = x inverse                                                     */
    bool is_odd;      /* NaN or infinity is among them                                              */
};

SLM_DEVICE Scaled scale_of(uint32_t bits) {
    if (bits >= inf_bits)
        return {__uint_as_float(nan_bits), 0.0f, true};
    if (bits < small_bits)
        return {0.0f, 0.0f, false};
    const float m = __uint_as_float(bits);
    return {m / 127.0f, 127.0f / m, false};
}

/* A warp makes a record of 256 values, eight of each lane. x: those. */
SLM_DEVICE void put_record(slm_frag_act *to, const float *x, const Scaled &s, bool is_record,
                           int lane) {
    uint32_t words[2] = {0, 0};
    int sum = 0;
    SLM_UNROLL
    for (int i = 0; i < 8; i++) {
        const int q = s.is_odd ? 0 : __float2int_rn(x[i] * s.inverse);
        words[i / 4] |= (uint32_t)(q & 255) << 8 * (i % 4);
        sum += q;
    }
    SLM_UNROLL
    for (int h = 0; h < 2; h++) { /* where four values from `at` on lie: fragments.h */
        const int at = 8 * lane + 4 * h;
        *(uint32_t *)(to->q + at / 64 * 64 + at / 4 % 4 * 16 + at / 32 % 2 * 8 + at / 16 % 2 * 4) =
            words[h];
    }
    sum += __shfl_xor_sync(0xffffffffu, sum, 1);
    if (is_record && lane % 2 == 0)
        to->u.k.sums16[lane / 2] = (int16_t)sum;
    sum += __shfl_xor_sync(0xffffffffu, sum, 2);
    if (lane % 4 == 0)
        to->sums32[lane / 4] = (int16_t)sum;
    if (!is_record && lane % 4 == 0)
        to->u.d32[lane / 4] = s.d;
    if (is_record && lane == 0)
        to->u.k.d = s.d;
}

/* A row behind its norm. */
template <bool IsLayerNorm> struct Normed {
    const float *x;
    float scale, mean;

    __device__ Normed(const slm_cuda_prepare &p, uint32_t row, float *scratch)
        : x(p.x + (size_t)row * p.stride), scale(1.0f), mean(0.0f) {
        if (!p.norm)
            return;
        float sum = 0.0f;
        if (IsLayerNorm) {
            for (uint32_t i = threadIdx.x; i < p.n; i += n_threads)
                sum += x[i];
            mean = block_sum(sum, scratch) / (float)p.n;
            sum = 0.0f;
        }
        for (uint32_t i = threadIdx.x; i < p.n; i += n_threads) {
            const float v = IsLayerNorm ? x[i] - mean : x[i];
            sum = fmaf(v, v, sum);
        }
        scale = 1.0f / sqrtf(block_sum(sum, scratch) / (float)p.n + p.eps);
    }
    __device__ float at(const slm_cuda_prepare &p, uint32_t i) const {
        if (!p.norm)
            return x[i];
        return IsLayerNorm ? (x[i] - mean) * scale * p.norm[i] + p.norm_bias[i]
                           : x[i] * scale * p.norm[i];
    }
};

/* A block is a row. */
template <bool IsLayerNorm> SLM_KERNEL(n_threads, 1) prepare_rows(slm_cuda_prepare p) {
    SLM_SHARED(float[n_threads / 32], scratch);
    const uint32_t r = blockIdx.x, n_records = (p.n + 255) / 256;
    const Normed<IsLayerNorm> x(p, p.pick ? p.pick[r] : r, scratch);
    Scaled whole = {};
    if (p.by_row) {
        uint32_t most = 0;
        for (uint32_t i = threadIdx.x; i < p.n; i += n_threads)
            most = max(most, __float_as_uint(x.at(p, i)) & 0x7fffffffu);
        most = block_max(most, (uint32_t *)scratch);
        const float m = fmaxf(__uint_as_float(min(most, inf_bits)), 1e-5f);
        whole.is_odd = most >= inf_bits;
        whole.inverse = whole.is_odd ? 0.0f : 127.0f / m;
        whole.d = whole.is_odd ? __uint_as_float(nan_bits) : 1.0f / whole.inverse;
    }
    if (p.floats)
        for (uint32_t i = threadIdx.x; i < p.n; i += n_threads) {
            const float v = x.at(p, i);
            p.floats[(size_t)r * p.n + i] =
                p.by_row ? whole.d * (float)__float2int_rn(v * whole.inverse) : v;
        }
    if (!p.k && !p.b32)
        return;
    const int lane = threadIdx.x % 32;
    for (uint32_t u = threadIdx.x / 32; u < n_records; u += n_threads / 32) {
        float v[8];
        uint32_t most = 0;
        SLM_UNROLL
        for (int i = 0; i < 8; i++) {
            const uint32_t at = 256 * u + 8 * lane + i;
            v[i] = at >= p.n ? 0.0f : x.at(p, at);
            most = max(most, __float_as_uint(v[i]) & 0x7fffffffu);
        }
        const uint32_t most32 = segment_max<4>(most);
        if (p.b32)
            put_record(p.b32 + (size_t)r * n_records + u, v, p.by_row ? whole : scale_of(most32),
                       false, lane);
        if (p.k)
            put_record(p.k + (size_t)r * n_records + u, v,
                       p.by_row ? whole : scale_of(segment_max<32>(most)), true, lane);
    }
}

/* ---------------------------------------------------------------- embedding ------------------- */

template <int Type> SLM_DEVICE float weight_at(const uint8_t *unit, int row, int i, int n) {
    typedef Traits<Type> T;
    const int code = code_at<T>(unit, row, i, n);
    int level = code - T::offset;
    if (T::low == 8)
        level = (int8_t)code;
    if (T::is_table)
        level = (int8_t)table_of_four((uint32_t)code);
    if constexpr (T::is_record) {
        Row<Type> r;
        r.load(unit, row);
        if (T::sub == 256)
            return r.d * (float)level;
        const int j = i / T::sub;
        float scale = 0.0f, min = 0.0f;
        SLM_UNROLL
        for (int e = 0; e < 256 / T::sub; e++) /* by constants, so that all stays in registers */
            if (e == j) {
                scale = r.d * (float)r.scale_of(e);
                if constexpr (T::has_min)
                    min = r.dmin * (float)(r.min[e / 4] >> 8 * (e % 4) & 255);
            }
        return scale * (float)level - min;
    } else {
        const uint8_t *head = unit + T::head * row + T::head / 8 * (i / 32);
        const float d = half_at(head) * (float)level;
        return T::has_min ? d + half_at(head + 2) : d;
    }
}

template <int Type>
SLM_KERNEL(n_threads, 1)
embed_tiles(float *x, const uint8_t *w, uint32_t n, float scale, const slm_cuda_row *rows) {
    typedef Traits<Type> T;
    const uint32_t token = (uint32_t)rows[blockIdx.x].token;
    const size_t tile_bytes =
        (size_t)(n / 256) * unit_bytes<T>(256) + (n % 256 ? unit_bytes<T>((int)(n % 256)) : 0);
    const uint8_t *tile = w + token / SLM_TILE_M * tile_bytes;
    for (uint32_t i = threadIdx.x; i < n; i += n_threads) {
        const uint32_t u = i / 256;
        x[(size_t)blockIdx.x * n + i] =
            scale * weight_at<Type>(tile + (size_t)u * unit_bytes<T>(256), (int)(token % SLM_TILE_M),
                                    (int)(i % 256), (int)min(n - 256 * u, 256u));
    }
}

template <typename W>
SLM_KERNEL(n_threads, 1)
embed_floats(float *x, const W *w, uint32_t n, const slm_cuda_row *rows) {
    const W *row = w + (size_t)rows[blockIdx.x].token * n;
    for (uint32_t i = threadIdx.x; i < n; i += n_threads)
        x[(size_t)blockIdx.x * n + i] = as_float(row[i]);
}

/* ---------------------------------------------------------------- gates ----------------------- */

SLM_KERNEL(n_threads, 1) gate_rows(float *gate, const float *up, size_t n, uint32_t then) {
    const size_t i = (size_t)blockIdx.x * n_threads + threadIdx.x;
    if (i < n)
        gate[i] = gated(then, gate[i], up[i]);
}

/* ---------------------------------------------------------------- rows as they are ------------ */

SLM_KERNEL(n_threads, 1) add_bias(float *x, const float *bias, uint32_t n, const uint32_t *pick) {
    const uint32_t i = blockIdx.x * n_threads + threadIdx.x, r = blockIdx.y;
    if (i < n)
        x[(size_t)(pick ? pick[r] : r) * n + i] += bias[i];
}

/* A column a thread: since rows only move to the front, each is read before it is written over. */
SLM_KERNEL(n_threads, 1) keep_rows(float *x, uint32_t n, const uint32_t *pick, uint32_t n_rows) {
    const uint32_t i = blockIdx.x * n_threads + threadIdx.x;
    for (uint32_t r = 0; r < n_rows && i < n; r++)
        x[(size_t)r * n + i] = x[(size_t)pick[r] * n + i];
}

template <int Type>
cudaError_t launch_embed(cudaStream_t stream, float *x, const slm_cuda_matrix *e,
                         const slm_cuda_row *rows, uint32_t n_rows) {
    const slm_launch_shape shape = {dim3(n_rows), dim3(n_threads), 0, stream};
    return SLM_LAUNCH((embed_tiles<Type>), shape, x, (const uint8_t *)e->w, e->n_in, e->scale, rows);
}

} /* namespace */

extern "C" int slm_cuda_has_code(void) {
    cudaFuncAttributes attributes;
    return (int)cudaFuncGetAttributes(&attributes, (const void *)gate_rows);
}

extern "C" int slm_cuda_prepare_rows(slm_cuda_stream *s, const slm_cuda_prepare *p,
                                     uint32_t n_rows) {
    const slm_launch_shape shape = {dim3(n_rows), dim3(n_threads), 0, s->stream};
    return (int)(p->norm_bias ? SLM_LAUNCH(prepare_rows<true>, shape, *p)
                              : SLM_LAUNCH(prepare_rows<false>, shape, *p));
}

extern "C" int slm_cuda_embed(slm_cuda_stream *s, float *x, const slm_cuda_matrix *e,
                              const slm_cuda_row *rows, uint32_t n_rows) {
    const slm_launch_shape shape = {dim3(n_rows), dim3(n_threads), 0, s->stream};
    switch (e->type) {
#define TILES(type)                                                                                \
    case SLM_DTYPE_##type:                                                                         \
        return (int)launch_embed<SLM_DTYPE_##type>(s->stream, x, e, rows, n_rows);
        SLM_FOR_TILE_TYPES(TILES)
#undef TILES
    case SLM_DTYPE_F32:
        return (int)SLM_LAUNCH((embed_floats<float>), shape, x, (const float *)e->w, e->n_in, rows);
    case SLM_DTYPE_F16:
        return (int)SLM_LAUNCH((embed_floats<__half>), shape, x, (const __half *)e->w, e->n_in, rows);
    case SLM_DTYPE_BF16:
        return (int)SLM_LAUNCH((embed_floats<__nv_bfloat16>), shape, x, (const __nv_bfloat16 *)e->w,
                               e->n_in, rows);
    default:
        return (int)cudaErrorInvalidValue;
    }
}

extern "C" int slm_cuda_gate(slm_cuda_stream *s, float *gate, const float *up, size_t n,
                             slm_cuda_then then) {
    const slm_launch_shape shape = {dim3((unsigned)((n + n_threads - 1) / n_threads)),
                                    dim3(n_threads), 0, s->stream};
    return (int)SLM_LAUNCH(gate_rows, shape, gate, up, n, then);
}

extern "C" int slm_cuda_add_bias(slm_cuda_stream *s, float *x, const float *bias, uint32_t n,
                                 const uint32_t *pick, uint32_t n_rows) {
    const slm_launch_shape shape = {dim3((n + n_threads - 1) / n_threads, n_rows), dim3(n_threads), 0,
                                    s->stream};
    return (int)SLM_LAUNCH(add_bias, shape, x, bias, n, pick);
}

extern "C" int slm_cuda_keep_rows(slm_cuda_stream *s, float *x, uint32_t n, const uint32_t *pick,
                                  uint32_t n_rows) {
    const slm_launch_shape shape = {dim3((n + n_threads - 1) / n_threads), dim3(n_threads), 0,
                                    s->stream};
    return (int)SLM_LAUNCH(keep_rows, shape, x, n, pick, n_rows);
}
