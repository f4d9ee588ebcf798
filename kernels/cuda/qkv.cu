/* What is left to do for queries, keys and values after their products: bias, RMSNorm of each head,
 * RoPE, and the cache. A warp takes one head of one row; its arithmetic is that of kernels/ref,
 * step by step, so that the pages hold the same numbers. In differential attention two heads lie as
 * one (slm_cuda_cache), part 0 and part 1 of it. */
#include "attend.cuh"

namespace {

using namespace slm;

constexpr int n_warps = 4;
constexpr int d_most = 256;

struct Finish {
    float *q;
    const float *raw;
    slm_cuda_heads heads;
    slm_cuda_cache cache;
    const slm_cuda_row *rows;
};

/* x = x / sqrt(mean(x^2) + eps) * w, by lanes of a warp. */
__device__ void norm(float *x, const float *w, int d, float eps, int lane) {
    double sum = 0;
    for (int i = lane; i < d; i += 32)
        sum += (double)x[i] * (double)x[i];
    for (int bits = 16; bits > 0; bits /= 2)
        sum += __shfl_xor_sync(0xffffffffu, sum, bits);
    const float scale = (float)(1.0 / sqrt(sum / d + (double)eps));
    for (int i = lane; i < d; i += 32)
        x[i] = __fmul_rn(__fmul_rn(x[i], scale), w[i]);
}

/* y = x rotated by the angles of a row. */
__device__ void rotate(float *y, const float *x, const slm_cuda_heads &h, uint32_t row, int lane) {
    const int half = (int)h.n_rot / 2, step = h.interleaved ? 2 : 1,
              apart = h.interleaved ? 1 : half;
    for (int i = lane; i < half; i += 32) {
        const float cosine = h.cos[(size_t)row * half + i], sine = h.sin[(size_t)row * half + i];
        const float x0 = x[step * i], x1 = x[step * i + apart];
        y[i] = __fadd_rn(__fmul_rn(x0, cosine), -__fmul_rn(x1, sine));
        y[i + half] = __fadd_rn(__fmul_rn(x1, cosine), __fmul_rn(x0, sine));
    }
    for (int i = 2 * half + lane; i < (int)h.d; i += 32)
        y[i] = x[i];
}

/* Element i of token t lies at i * along + at of its group. */
struct Place {
    int along, at;
};

template <typename T>
__device__ void store_plain(uint8_t *group, const float *x, int d, Place place, int lane) {
    for (int i = lane; i < d; i += 32)
        ((T *)group)[i * place.along + place.at] = T(x[i]);
}

/* As slm_kv_store_q8_0_ref. `blocks`: scales of the parts before. */
template <int Span>
__device__ void store_q8_0(uint8_t *group, const float *x, int d, Place place, uint32_t token,
                           int blocks, int lane) {
    uint16_t *scales =
        (uint16_t *)(group + group_tokens * bytes_of(Span * d)) + blocks * group_tokens;
    for (int block = 0; block < bytes_of(d) / 32; block++) {
        const int i = 32 * block + lane;
        const float v = i < d ? x[i] : 0.0f;
        const int largest = warp_max_int((int)(__float_as_uint(v) & 0x7fffffffu));
        const bool is_number = largest < 0x7f800000;
        int code = 0;
        uint16_t scale = is_number ? 0 : 0x7e00;
        if (is_number && largest >= 0x0d800000) {
            const float most = __int_as_float(largest);
            code = __float2int_rn(__fmul_rn(v, 127.0f / most));
            scale = __half_as_ushort(__float2half_rn(most / 127.0f));
        }
        ((int8_t *)group)[i * place.along + place.at] = (int8_t)code;
        if (lane == 0)
            scales[block * group_tokens + place_of(token)] = scale;
    }
}

/* Span: heads that lie as one. */
template <int Span> SLM_KERNEL(32 * n_warps, 1) finish_heads(Finish f) {
    SLM_SHARED(float[n_warps][2][d_most], staged);
    const slm_cuda_heads &h = f.heads;
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, d = (int)h.d;
    const uint32_t row = blockIdx.y, unit = blockIdx.x * n_warps + warp;
    const uint32_t per_row = h.n_heads + 2 * h.n_kv_heads;
    if (unit >= per_row)
        return;
    const bool is_q = unit < h.n_heads, is_v = unit >= h.n_heads + h.n_kv_heads;
    const uint32_t head = is_q ? unit : is_v ? unit - h.n_heads - h.n_kv_heads : unit - h.n_heads;
    const float *bias = is_q ? h.q_bias : is_v ? h.v_bias : h.k_bias;
    const float *weights = is_q ? h.q_norm : is_v ? nullptr : h.k_norm;
    const float *from = f.raw + ((size_t)row * per_row + unit) * d;
    float *x = staged[warp][0], *y = is_v ? x : staged[warp][1];

    for (int i = lane; i < d; i += 32)
        x[i] = bias != nullptr ? __fadd_rn(from[i], bias[(size_t)head * d + i]) : from[i];
    if (weights != nullptr)
        norm(x, weights, d, h.eps, lane);
    __syncwarp();
    if (!is_v)
        rotate(y, x, h, row, lane);
    __syncwarp();
    const int part = (int)(head % Span);
    if (is_q) {
        for (int i = lane; i < d; i += 32) {
            const size_t pair = ((size_t)row * h.n_heads + head) * (Span * d);
            f.q[pair + part * d + i] = y[i];
            if (Span > 1)
                f.q[pair + (1 - part) * d + i] = 0.0f;
        }
        return;
    }

    const slm_cuda_row &at = f.rows[row];
    const uint32_t token = at.position % group_tokens;
    uint8_t *group = Plane(f.cache, at.slot, h.kv_index, is_v, head / Span).group_of(at.position);
    const int stride = f.cache.type == SLM_KVT_Q8_0 ? bytes_of(Span * d) : Span * d;
    const Place place = is_v ? Place{group_tokens, part * d * group_tokens + (int)place_of(token)}
                             : Place{1, (int)token * stride + part * d};
    if (f.cache.type == SLM_KVT_F16)
        store_plain<__half>(group, y, d, place, lane);
    else if (f.cache.type == SLM_KVT_F32)
        store_plain<float>(group, y, d, place, lane);
    else
        store_q8_0<Span>(group, y, d, place, token, part * d / 32, lane);
}

} /* namespace */

int slm_cuda_finish_qkv(slm_cuda_stream *s, float *q, const float *raw, const slm_cuda_heads *h,
                        const slm_cuda_cache *cache, const slm_cuda_row *rows, uint32_t n_rows) {
    const uint32_t span = h->is_paired ? 2 : 1;
    if (h->d == 0 || span * h->d > d_most || h->d % (16 * span) != 0 || h->n_rot > h->d ||
        cache->type >= SLM_KVT_LIMIT || cache->page_shift < 4)
        return (int)cudaErrorInvalidValue;
    if (n_rows == 0)
        return 0;
    const uint32_t per_row = h->n_heads + 2 * h->n_kv_heads;
    const slm_launch_shape shape = {dim3((per_row + n_warps - 1) / n_warps, n_rows),
                                    dim3(32 * n_warps), 0, s->stream};
    const Finish finish = {q, raw, *h, *cache, rows};
    return (int)(h->is_paired ? SLM_LAUNCH(finish_heads<2>, shape, finish)
                              : SLM_LAUNCH(finish_heads<1>, shape, finish));
}
