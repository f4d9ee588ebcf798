/* Products of tiles (fragments.h) with a few prepared rows, on integer tensor cores (for more:
 * gemm.cu), and of floats with any number of them.
 *
 * A block is a tile of sixteen rows of weights; its warps take units in turn, so that each reads 512
 * bytes in a row again and again, and add up what they got at the end, always in the same order: the
 * bits of a result depend on its row and its weights only. One row of activations costs what eight
 * cost, but for the products' scaling. */
#include "product.cuh"

namespace {

using namespace slm;

constexpr int n_warps = n_chains;
constexpr uint32_t max_few = 16; /* rows that share what a tile costs before it is multiplied */

/* Sums of a warp: of n8 tile j, rows g and g + 8 of the tile by columns 2t and 2t + 1. */
template <int Tiles> struct Sums {
    float of[Tiles][4];
};

/* Whose columns a lane holds: of the other operand, and of results (records from `a` on). With one
 * column all are that. */
template <int Tiles, bool One> struct Columns {
    const uint8_t *b[Tiles];
    const slm_frag_act *a;
    uint32_t c[Tiles][2];

    __device__ Columns(const slm_frag_act *acts, int n_units, int first, int n_rows, int lane)
        : a(acts) {
        const int g = lane / 4, t = lane % 4;
SLM_UNROLL
        for (int j = 0; j < Tiles; j++) {
            const int col = One ? 0 : min(first + 8 * j + g, n_rows - 1);
            b[j] = (const uint8_t *)(a + (size_t)col * n_units) + 16 * t;
SLM_UNROLL
            for (int i = 0; i < 2; i++)
                c[j][i] = (One ? 0 : min(first + 8 * j + 2 * t + i, n_rows - 1)) * n_units;
        }
    }
};

/* Which of the four results of a lane differ. */
template <bool One> __device__ constexpr bool is_used(int i) {
    return !One || i % 2 == 0;
}

/* The weights of a step as an operand, or as two whose sum they are. */
template <class T> struct Operand {
    uint32_t w[4], more[T::is_table ? 4 : 1];

    __device__ Operand(const Vectors<T> &v, int s) {
SLM_UNROLL
        for (int r = 0; r < 4; r++) {
            w[r] = v.word(s, r);
            if (T::is_table)
                table_as_sum(w[r], &w[r], &more[r % (T::is_table ? 4 : 1)]);
        }
    }
    __device__ void multiply(int (&c)[4], const unsigned (&b)[2]) const {
        mma_s8(c, w, b);
        if constexpr (T::is_table)
            mma_s8(c, more, b);
    }
};

/* A unit of types with one d for 256 activations. */
template <int Type, int Tiles, bool One>
__device__ __forceinline__ void add_unit_k(Sums<Tiles> &sums, const uint8_t *at,
                                           const Columns<Tiles, One> &columns, int u, int n,
                                           int lane) {
    typedef Traits<Type> T;
    Vectors<T> v;
    Row<Type> row[2];
    uint4 b[4];
    int total[Tiles][4];
    v.load(at, lane, n);
    row[0].load(at, lane / 4);
    row[1].load(at, lane / 4 + 8);
SLM_UNROLL
    for (int j = 0; j < Tiles; j++) {
SLM_UNROLL
        for (int i = 0; i < 4; i++)
            total[j][i] = 0;
    }
    if (Tiles == 1) {
SLM_UNROLL
        for (int p = 0; p < 4; p++)
            b[p] = __ldg((const uint4 *)(columns.b[0] + sizeof(slm_frag_act) * u + 64 * p));
    }
SLM_UNROLL
    for (int s = 0; s < 8; s++) {
        const Operand<T> weights(v, s);
SLM_UNROLL
        for (int j = 0; j < Tiles; j++) {
            const uint4 four =
                Tiles == 1 ? b[s / 2]
                           : __ldg((const uint4 *)(columns.b[j] + sizeof(slm_frag_act) * u +
                                                   64 * (s / 2)));
            const unsigned both[2] = {s % 2 ? four.z : four.x, s % 2 ? four.w : four.y};
            if (T::sub == 256) {
                weights.multiply(total[j], both);
            } else if (T::sub == 32) {
                int c[4] = {0, 0, 0, 0};
                weights.multiply(c, both);
SLM_UNROLL
                for (int i = 0; i < 4; i++)
                    if (is_used<One>(i))
                        total[j][i] += c[i] * row[i / 2].scale_of(s);
            } else {
                int c0[4] = {0, 0, 0, 0}, c1[4] = {0, 0, 0, 0};
                mma_s8_k16(c0, weights.w[0], weights.w[1], both[0]);
                mma_s8_k16(c1, weights.w[2], weights.w[3], both[1]);
SLM_UNROLL
                for (int i = 0; i < 4; i++)
                    if (is_used<One>(i))
                        total[j][i] = row[i / 2].add_scaled(total[j][i], s, c0[i], c1[i]);
            }
        }
    }
SLM_UNROLL
    for (int j = 0; j < Tiles; j++) {
SLM_UNROLL
        for (int i = 0; i < 4; i++) {
            if (!is_used<One>(i))
                continue;
            const slm_frag_act *a = columns.a + (columns.c[j][i % 2] + u);
            const Row<Type> &r = row[i / 2];
            const float da = __ldg(&a->u.k.d);
            int sum = total[j][i], low = 0;
            if (T::has_min || T::offset != 0) {
                const uint4 *from = (const uint4 *)(T::sub == 16 ? (const void *)a->u.k.sums16
                                                                 : (const void *)a->sums32);
                const uint4 s0 = __ldg(from), s1 = T::sub == 16 ? __ldg(from + 1) : s0;
                const uint32_t of[8] = {s0.x, s0.y, s0.z, s0.w, s1.x, s1.y, s1.z, s1.w};
                if (T::sub == 256) {
SLM_UNROLL
                    for (int q = 0; q < 4; q++)
                        sum -= T::offset * __dp2a_lo((int)of[q], 0x0101, 0);
                } else if (T::has_min) {
                    low = Row<Type>::dot(r.min, of);
                } else {
                    sum -= T::offset * Row<Type>::dot(r.scale, of);
                }
            }
            sums.of[j][i] = add_record<T>(sums.of[j][i], r.d, r.dmin, da, sum, low);
        }
    }
}

/* A unit of types with blocks of 32. */
template <int Type, int Tiles, bool One>
__device__ __forceinline__ void add_unit_32(Sums<Tiles> &sums, const uint8_t *at,
                                            const Columns<Tiles, One> &columns, int u, int n,
                                            int lane) {
    typedef Traits<Type> T;
    constexpr int n_head = T::head / 16;
    Vectors<T> v;
    uint32_t head[2][4 * n_head]; /* d of two blocks a word, or d and m of one                       */
    v.load(at, lane, n);
SLM_UNROLL
    for (int h = 0; h < 2; h++) {
SLM_UNROLL
        for (int q = 0; q < n_head; q++) {
            const uint4 four = __ldg((const uint4 *)(at + T::head * (lane / 4 + 8 * h)) + q);
            head[h][4 * q] = four.x;
            head[h][4 * q + 1] = four.y;
            head[h][4 * q + 2] = four.z;
            head[h][4 * q + 3] = four.w;
        }
    }
SLM_UNROLL
    for (int s = 0; s < 8; s++) {
        const Operand<T> weights(v, s);
        float d[2], m[2];
SLM_UNROLL
        for (int h = 0; h < 2; h++) {
            const __half2 both = *(const __half2 *)&head[h][T::has_min ? s % (4 * n_head) : s / 2];
            d[h] = T::has_min || s % 2 == 0 ? __low2float(both) : __high2float(both);
            m[h] = __high2float(both);
        }
SLM_UNROLL
        for (int j = 0; j < Tiles; j++) {
            const uint2 two = __ldg((const uint2 *)(columns.b[j] + sizeof(slm_frag_act) * u +
                                                    64 * (s / 2) + 8 * (s % 2)));
            const unsigned both[2] = {two.x, two.y};
            int c[4] = {0, 0, 0, 0};
            weights.multiply(c, both);
SLM_UNROLL
            for (int i = 0; i < 4; i++) {
                if (!is_used<One>(i))
                    continue;
                const slm_frag_act *a = columns.a + (columns.c[j][i % 2] + u);
                const float da = __ldg(&a->u.d32[s]);
                const int sum = T::has_min || T::offset != 0 ? __ldg(&a->sums32[s]) : 0;
                sums.of[j][i] = add_block<T>(sums.of[j][i], d[i / 2], m[i / 2], da,
                                             c[i] - T::offset * sum, (float)sum);
            }
        }
    }
}

/* What a warp has of tile `tile` of a matrix. */
template <int Type, int Tiles, bool One>
__device__ __forceinline__ void add_tile(Sums<Tiles> &sums, const Product &p, const uint8_t *w,
                                         uint32_t tile, int first) {
    typedef Traits<Type> T;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int k = (int)p.k, n_units = (k + unit - 1) / unit;
    const uint8_t *at = w + tile * tile_bytes<T>(p.k);
    const Columns<Tiles, One> columns((const slm_frag_act *)p.a, n_units, first, (int)p.n_rows, lane);
SLM_UNROLL
    for (int j = 0; j < Tiles; j++) {
SLM_UNROLL
        for (int i = 0; i < 4; i++)
            sums.of[j][i] = 0.0f;
    }
    for (int u = warp; u < n_units; u += n_warps) {
        const uint8_t *here = at + (size_t)u * unit_bytes<T>(unit);
        const int n = T::has_whole_units ? unit : min(k - u * unit, unit);
        if constexpr (T::is_record)
            add_unit_k<Type, Tiles, One>(sums, here, columns, u, n, lane);
        else
            add_unit_32<Type, Tiles, One>(sums, here, columns, u, n, lane);
    }
}

template <int Tiles, bool One>
__device__ __forceinline__ void put_sums(float (*to)[8 * Tiles][16], const Sums<Tiles> &sums) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
    if (One && t != 0)
        return;
SLM_UNROLL
    for (int j = 0; j < Tiles; j++) {
SLM_UNROLL
        for (int i = 0; i < 4; i++)
            if (is_used<One>(i))
                to[warp][8 * j + 2 * t + i % 2][g + 8 * (i / 2)] = sums.of[j][i];
    }
}

template <int Tiles>
__device__ __forceinline__ float add_up(const float (*from)[8 * Tiles][16], int col, int row) {
    return ((from[0][col][row] + from[1][col][row]) + from[2][col][row]) + from[3][col][row];
}

/* Grid: tiles of all matrices (of one, where two are multiplied with each other), groups of columns. */
template <int Type, int Tiles, bool One>
SLM_KERNEL(32 * n_warps, 1) multiply_tiles(Product p) {
    SLM_SHARED(float[n_warps][8 * Tiles][16], first_sums);
    SLM_SHARED(float[n_warps][8 * Tiles][16], second_sums);
    const int first = (int)blockIdx.y * 8 * Tiles;
    const bool is_gated = p.then >= SLM_CUDA_SILU;
    uint32_t tile = blockIdx.x;
    const Part part = find_part(p, &tile);

    Sums<Tiles> sums;
    add_tile<Type, Tiles, One>(sums, p, part.w, tile, first);
    put_sums<Tiles, One>(first_sums, sums);
    if (is_gated) {
        add_tile<Type, Tiles, One>(sums, p, p.part[1].w, tile, first);
        put_sums<Tiles, One>(second_sums, sums);
    }
    __syncthreads();
    const int n_columns = min(8 * Tiles, (int)p.n_rows - first);
    for (int i = threadIdx.x; i < 16 * n_columns; i += 32 * n_warps) {
        const int row = i % 16, col = i / 16;
        const uint32_t at = 16 * tile + row;
        if (at >= part.n_out)
            continue;
        const uint32_t out = p.out_rows ? p.out_rows[first + col] : (uint32_t)(first + col);
        float *y = part.y + (size_t)out * p.y_stride + at;
        const float value = add_up<Tiles>(first_sums, col, row) * part.scale;
        if (is_gated)
            *y = gated(p.then, value, add_up<Tiles>(second_sums, col, row) * p.part[1].scale);
        else
            *y = p.then == SLM_CUDA_ADD ? *y + value : value;
    }
}

/* ---------------------------------------------------------------- floats ----------------------- */

/* Eight values of a lane, side by side. */
template <typename T>
__device__ inline void load_eight(float (&x)[8], const T *from, bool is_stream) {
    constexpr int of_vector = 16 / (int)sizeof(T);
SLM_UNROLL
    for (int j = 0; j < 8 / of_vector; j++) {
        const uint4 v = is_stream ? load_stream_16(from + j * of_vector)
                                  : __ldg((const uint4 *)(from + j * of_vector));
        const T *each = (const T *)&v;
SLM_UNROLL
        for (int e = 0; e < of_vector; e++)
            x[j * of_vector + e] = as_float(each[e]);
    }
}

/* sums[c] = row . a[c] of a warp, in all its lanes. */
template <typename W, int N>
__device__ inline void dot_floats(float (&sums)[N], const W *row, const float *a, int k, int n) {
    const int lane = threadIdx.x % 32;
SLM_UNROLL
    for (int c = 0; c < N; c++)
        sums[c] = 0.0f;
    if (k % 8 == 0) {
        for (int i = 8 * lane; i < k; i += 8 * 32) {
            float w[8], x[8];
            load_eight(w, row + i, true);
SLM_UNROLL
            for (int c = 0; c < N; c++) {
                load_eight(x, a + (size_t)min(c, n - 1) * k + i, false);
SLM_UNROLL
                for (int e = 0; e < 8; e++)
                    sums[c] = fmaf(w[e], x[e], sums[c]);
            }
        }
    } else { /* rows begin anywhere */
        for (int i = lane; i < k; i += 32) {
            const float w = as_float(row[i]);
SLM_UNROLL
            for (int c = 0; c < N; c++)
                sums[c] = fmaf(w, a[(size_t)min(c, n - 1) * k + i], sums[c]);
        }
    }
SLM_UNROLL
    for (int c = 0; c < N; c++)
        sums[c] = warp_sum(sums[c]);
}

/* A warp is a row of weights; the grid's second dimension are groups of N columns. */
template <typename W, int N> SLM_KERNEL(32 * n_warps, 1) multiply_floats(Product p) {
    const bool is_gated = p.then >= SLM_CUDA_SILU;
    const int first = (int)blockIdx.y * N;
    const int n = min((int)p.n_rows - first, N);
    uint32_t at = blockIdx.x * n_warps + threadIdx.x / 32;
    const Part part = find_part(p, &at);
    if (at >= part.n_out)
        return;
    const float *a = (const float *)p.a + (size_t)first * p.k;
    float sums[N], second[N];
    dot_floats(sums, (const W *)part.w + (size_t)at * p.k, a, (int)p.k, n);
    if (is_gated)
        dot_floats(second, (const W *)p.part[1].w + (size_t)at * p.k, a, (int)p.k, n);
    if (threadIdx.x % 32 != 0)
        return;
SLM_UNROLL
    for (int c = 0; c < N; c++) {
        if (c >= n)
            break;
        const uint32_t out = p.out_rows ? p.out_rows[first + c] : (uint32_t)(first + c);
        float *y = part.y + (size_t)out * p.y_stride + at;
        if (is_gated)
            *y = gated(p.then, sums[c], second[c]);
        else
            *y = p.then == SLM_CUDA_ADD ? *y + sums[c] : sums[c];
    }
}

/* ---------------------------------------------------------------- launches --------------------- */

template <int Type, int Tiles, bool One>
cudaError_t launch(cudaStream_t stream, const Product &p, uint32_t n_tiles) {
    const slm_launch_shape shape = {dim3(n_tiles, (p.n_rows + 8 * Tiles - 1) / (8 * Tiles)),
                                    dim3(32 * n_warps), 0, stream};
    return SLM_LAUNCH((multiply_tiles<Type, Tiles, One>), shape, p);
}

template <int Type>
cudaError_t launch_tiles(cudaStream_t stream, const Product &p, uint32_t n_tiles) {
    return p.n_rows == 1   ? launch<Type, 1, true>(stream, p, n_tiles)
           : p.n_rows <= 8 ? launch<Type, 1, false>(stream, p, n_tiles)
                           : launch<Type, 2, false>(stream, p, n_tiles);
}

template <typename W, int N>
cudaError_t launch_columns(cudaStream_t stream, const Product &p, uint32_t n_out) {
    const slm_launch_shape shape = {dim3((n_out + n_warps - 1) / n_warps, (p.n_rows + N - 1) / N),
                                    dim3(32 * n_warps), 0, stream};
    return SLM_LAUNCH((multiply_floats<W, N>), shape, p);
}

template <typename W>
cudaError_t launch_floats(cudaStream_t stream, const Product &p, uint32_t n_out) {
    return p.n_rows == 1 ? launch_columns<W, 1>(stream, p, n_out)
                         : launch_columns<W, 8>(stream, p, n_out);
}

} /* namespace */

extern "C" int slm_cuda_multiply(slm_cuda_stream *s, const slm_cuda_product *product,
                                 uint32_t n_rows) {
    const uint32_t type = product->w[0]->type;
    const bool is_floats = slm_frag_format_of(type) == SLM_FRAG_FLOATS;
    if (!is_floats && n_rows > max_few) {
        const cudaError_t error = multiply_many(s->stream, *product, n_rows);
        if (error != cudaErrorInvalidValue)
            return (int)error;
        (void)cudaGetLastError(); /* blocks of this device may not have as much shared memory        */
    }
    uint32_t n;
    const Product p = parts_of(*product, n_rows, is_floats ? 1 : SLM_TILE_M, &n);
    switch (type) {
#define TILES(type)                                                                                \
    case SLM_DTYPE_##type:                                                                         \
        return (int)launch_tiles<SLM_DTYPE_##type>(s->stream, p, n);
        SLM_FOR_TILE_TYPES(TILES)
#undef TILES
    case SLM_DTYPE_F32:
        return (int)launch_floats<float>(s->stream, p, n);
    case SLM_DTYPE_F16:
        return (int)launch_floats<__half>(s->stream, p, n);
    case SLM_DTYPE_BF16:
        return (int)launch_floats<__nv_bfloat16>(s->stream, p, n);
    default:
        return (int)cudaErrorInvalidValue;
    }
}
