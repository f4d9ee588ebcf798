/* Products of tiles (fragments.h) with many prepared rows, on integer tensor cores.
 *
 * A warp of a block has a tile of sixteen rows of weights, or two, and all of its warps the same
 * columns, which are rows of activations. A unit of the tiles and of the columns is copied into
 * shared memory while the one before is multiplied. The fragments of weights are unpacked once for
 * all columns and stay in registers. The bits of a result are those of multiply.cu: integers are
 * exact, floats are rounded in the same order. */
#include "product.cuh"

namespace {

using namespace slm;

constexpr int n_tiles = 8, n_columns = 8 * n_tiles;

/* A unit of the columns: of each record what its type needs. Lanes that read at once find 32 banks:
 * chunk c of 16 bytes of column col is at c ^ 4 (col % 2). */
struct Stage {
    uint4 q[n_columns][16];
    uint4 tail[n_columns][3];
};

/* Where chunk c of what follows q in a record goes in a tail: of sums32 and d, sums16 and d, or
 * sums32 and d32; -1: nowhere. */
template <class T> __host__ __device__ constexpr int place_of(int c) {
    if (!T::is_record)
        return c < 3 ? c : -1;
    if (T::sub == 16)
        return c - 1;
    return c == 0 ? 0 : c == 3 ? 1 : -1;
}

/* What registers suffice for, where two blocks share a multiprocessor: warps of a block; tiles of a
 * warp, which share what is read of columns; and tiles of columns whose instructions are mixed. */
template <int Type> constexpr bool is_record = Traits<Type>::is_record;
template <int Type> constexpr bool is_table = Traits<Type>::is_table;
template <int Type>
constexpr int n_own = is_record<Type> || is_table<Type> || Traits<Type>::has_min ? 1 : 2;
template <int Type> constexpr int n_warps = n_own<Type> == 2 || Type == SLM_DTYPE_Q6_K ? 4 : 6;
template <int Type> constexpr int n_together = is_record<Type> && !is_table<Type> ? 2 : 1;

/* A thread's part of copying columns: quarters of up to two. */
template <class T, int n_threads> struct Copier {
    static constexpr int n_parts = (4 * n_columns + n_threads - 1) / n_threads;
    static constexpr uint32_t nothing = UINT32_MAX, pieces = sizeof(slm_frag_act) / 16;
    uint32_t from[n_parts]; /* in pieces of 16 bytes */

    __device__ Copier(int first, int n, int n_units) {
        SLM_UNROLL
        for (int i = 0; i < n_parts; i++) {
            const int at = threadIdx.x + n_threads * i, col = at / 4;
            from[i] = nothing;
            if (at < 4 * n_columns && col / 16 * 16 < n)
                from[i] = (first + min(col, n - 1)) * n_units * pieces + at % 4;
        }
    }

    __device__ void copy(Stage *to, const void *acts, int u) const {
        SLM_UNROLL
        for (int i = 0; i < n_parts; i++) {
            const int at = threadIdx.x + n_threads * i, col = at / 4, t = at % 4;
            if (from[i] == nothing)
                continue;
            const uint4 *here = (const uint4 *)acts + (from[i] + u * pieces);
            SLM_UNROLL
            for (int c = 0; c < 4; c++)
                cp_async_16(&to->q[col][(4 * c + t) ^ (col % 2 * 4)], here + 4 * c);
            if (place_of<T>(t) >= 0)
                cp_async_16(&to->tail[col][place_of<T>(t)], here + 16);
        }
    }
};

/* A unit of n weights a row as if it had 256. */
template <class T> SLM_DEVICE void copy_unit(uint8_t *to, const uint8_t *from, int n, int lane) {
    constexpr int high_bits = T::high ? T::high : 8;
    constexpr int n_high = T::high ? vectors_of(high_bits, unit) : 0,
                  n_low = vectors_of(T::low, unit);
    const int have_high = T::high ? vectors_of(high_bits, n) : 0, have_low = vectors_of(T::low, n);
    if (lane < T::head)
        cp_async_16(to + 16 * lane, from + 16 * lane);
    to += 16 * T::head + 16 * lane;
    from += 16 * T::head + 16 * lane;
    SLM_UNROLL
    for (int i = 0; i < n_high + n_low; i++) {
        const int at = i < n_high ? i : have_high + i - n_high;
        const bool is_there = i < n_high ? i < have_high : i - n_high < have_low;
        cp_async_16_fill(to + vector_bytes * i, from + (is_there ? vector_bytes * at : 0),
                         is_there ? 16 : 0);
    }
}

/* What a lane holds of a unit of its tile, of rows g and g + 8: fragments, and what belongs to
 * rows. Records in one part, blocks of 32 in two, so that half as much is held at a time. */
template <int Type> struct RecordUnit {
    typedef Traits<Type> T;
    typedef Row<Type> R;
    static constexpr int n_scales = T::sub == 256 || R::is_folded ? 1 : 256 / T::sub;
    static constexpr int n_min = T::has_min ? 256 / T::sub / 8 : 1; /* steps of minima */
    uint32_t w[8][4], min[n_min][2];
    int scale[2][n_scales];
    float d[2], dmin[2];

    __device__ RecordUnit(const uint8_t *at, int lane) {
        const int g = lane / 4, t = lane % 4;
        Vectors<T> v;
        R row[2];
        v.load(at, lane);
        SLM_UNROLL
        for (int h = 0; h < 2; h++) {
            row[h].template load<FromShared>(at, g + 8 * h);
            d[h] = row[h].d;
            dmin[h] = row[h].dmin;
            SLM_UNROLL
            for (int i = 0; i < n_scales; i++)
                scale[h][i] = (int)keep((uint32_t)row[h].scale_of(i));
        }
        SLM_UNROLL
        for (int s = 0; s < 8; s++) {
            SLM_UNROLL
            for (int r = 0; r < 4; r++) {
                if constexpr (R::is_folded)
                    w[s][r] = keep(row[r % 2].folded(v.codes(s, r), 2 * s + r / 2));
                else
                    w[s][r] = keep(v.levels(s, r));
            }
        }
        if constexpr (T::has_min) { /* 2t and 2t + 1 of each step, as bytes that meet lower ones */
            SLM_UNROLL
            for (int i = 0; i < n_min; i++) {
                SLM_UNROLL
                for (int h = 0; h < 2; h++)
                    min[i][h] = keep(prmt(t / 2 ? row[h].min[2 * i + 1] : row[h].min[2 * i], 0,
                                          t % 2 ? 0x4342 : 0x4140));
            }
        }
    }

    __device__ void add(float (&sums)[4], const Stage *stage, int j, int lane) const {
        const int g = lane / 4, t = lane % 4;
        const uint4 *b = stage->q[8 * j + g];
        int total[4] = {0, 0, 0, 0}, minima[4] = {0, 0, 0, 0};
        SLM_UNROLL
        for (int p = 0; p < 4; p++) {
            const uint4 four = b[(4 * p + t) ^ (g % 2 * 4)];
            const unsigned both[2][2] = {{four.x, four.y}, {four.z, four.w}};
            SLM_UNROLL
            for (int h = 0; h < 2; h++)
                add_step(total, 2 * p + h, both[h]);
        }
        if constexpr (T::has_min) {
            const uint4 *tail = stage->tail[8 * j + g];
            add_minima(minima, (const uint32_t *)tail + t);
        }
        SLM_UNROLL
        for (int i = 0; i < 4; i++) {
            const uint4 *of = stage->tail[8 * j + 2 * t + i % 2] + place_of<T>(3);
            const bool is_turned = R::is_folded && T::offset > 0;
            sums[i] = add_record<T>(sums[i], d[i / 2], dmin[i / 2], __uint_as_float(of->x),
                                    is_turned ? -total[i] : total[i], minima[i]);
        }
    }

  private:
    __device__ void add_step(int (&total)[4], int s, const unsigned (&b)[2]) const {
        int c[2][4] = {{0, 0, 0, 0}, {0, 0, 0, 0}};
        if (n_scales == 1) {
            mma_s8(total, w[s], b);
        } else if (T::sub == 32) {
            mma_s8(c[0], w[s], b);
            SLM_UNROLL
            for (int i = 0; i < 4; i++)
                total[i] += c[0][i] * scale[i / 2][s % n_scales];
        } else {
            mma_s8_k16(c[0], w[s][0], w[s][1], b[0]);
            mma_s8_k16(c[1], w[s][2], w[s][3], b[1]);
            SLM_UNROLL
            for (int i = 0; i < 4; i++)
                total[i] += c[0][i] * scale[i / 2][2 * s % n_scales];
            SLM_UNROLL
            for (int i = 0; i < 4; i++)
                total[i] += c[1][i] * scale[i / 2][(2 * s + 1) % n_scales];
        }
    }

    /* Products of minima and 16-bit sums of activations, eight in a step, by the lower and the
     * upper bytes of these; the other byte meets a zero. */
    __device__ void add_minima(int (&minima)[4], const uint32_t *sums_a) const {
        int upper[4] = {0, 0, 0, 0};
        SLM_UNROLL
        for (int i = 0; i < n_min; i++) {
            const uint32_t two = sums_a[4 * i];
            mma_s8_u8_k16(minima, min[i][0], min[i][1], two);
            mma_s8_k16(upper, min[i][0], min[i][1], two >> 8);
        }
        SLM_UNROLL
        for (int i = 0; i < 4; i++)
            minima[i] += 256 * upper[i];
    }
};

template <int Type, int Part> struct BlockUnit {
    typedef Traits<Type> T;
    static constexpr int first = 4 * Part; /* step */
    uint32_t w[4][4];
    float d[2][4], m[2][4];

    __device__ BlockUnit(const uint8_t *at, int lane) {
        Vectors<T> v;
        v.load(at, lane);
        SLM_UNROLL
        for (int s = 0; s < 4; s++) {
            SLM_UNROLL
            for (int r = 0; r < 4; r++)
                w[s][r] = keep(v.levels(first + s, r));
        }
        SLM_UNROLL
        for (int h = 0; h < 2; h++) {
            const uint8_t *head = at + T::head * (lane / 4 + 8 * h) + T::head / 2 * Part;
            if constexpr (T::has_min) {
                const uint4 four = *(const uint4 *)head;
                const uint32_t pairs[4] = {four.x, four.y, four.z, four.w};
                SLM_UNROLL
                for (int s = 0; s < 4; s++) {
                    const float2 both = halves_to_float2(pairs[s]);
                    d[h][s] = both.x;
                    m[h][s] = both.y;
                }
            } else {
                const uint2 two = *(const uint2 *)head;
                const float2 low = halves_to_float2(two.x), high = halves_to_float2(two.y);
                const float of[4] = {low.x, low.y, high.x, high.y};
                SLM_UNROLL
                for (int s = 0; s < 4; s++) {
                    d[h][s] = of[s];
                    m[h][s] = 0.0f;
                }
            }
        }
    }

    __device__ void add(float (&sums)[4], const Stage *stage, int j, int lane) const {
        const int g = lane / 4, t = lane % 4;
        const uint4 *b = stage->q[8 * j + g];
        float da[2][4], sum_a[2][4];
        SLM_UNROLL
        for (int i = 0; i < 2; i++) {
            const uint4 *tail = stage->tail[8 * j + 2 * t + i];
            const float4 four = *(const float4 *)(tail + 1 + Part);
            const int2 two = T::has_min ? ((const int2 *)tail)[Part] : make_int2(0, 0);
            const float scales[4] = {four.x, four.y, four.z, four.w};
            const int of[4] = {(int16_t)two.x, two.x >> 16, (int16_t)two.y, two.y >> 16};
            SLM_UNROLL
            for (int s = 0; s < 4; s++) {
                da[i][s] = scales[s];
                sum_a[i][s] = (float)of[s];
            }
        }
        SLM_UNROLL
        for (int s = 0; s < 4; s++) {
            const uint4 four = b[(4 * ((first + s) / 2) + t) ^ (g % 2 * 4)];
            const unsigned both[2] = {s % 2 ? four.z : four.x, s % 2 ? four.w : four.y};
            int c[4] = {0, 0, 0, 0};
            mma_s8(c, w[s], both);
            SLM_UNROLL
            for (int i = 0; i < 4; i++)
                sums[i] = add_block<T>(sums[i], d[i / 2][s], m[i / 2][s], da[i % 2][s], c[i],
                                       sum_a[i % 2][s]);
        }
    }
};

/* What holds part of a unit. */
template <int Type, int Part, bool IsRecord> struct UnitOf { typedef RecordUnit<Type> type; };
template <int Type, int Part> struct UnitOf<Type, Part, false> {
    typedef BlockUnit<Type, Part> type;
};

template <int Type> struct Sums {
    float of[n_own<Type>][n_tiles][4];

    __device__ void fill(float x) {
        SLM_UNROLL
        for (int m = 0; m < n_own<Type>; m++) {
            SLM_UNROLL
            for (int j = 0; j < n_tiles; j++) {
                SLM_UNROLL
                for (int i = 0; i < 4; i++)
                    of[m][j][i] = x;
            }
        }
    }
};

/* loaded(): once the part is in registers. */
template <int Type, int Part, typename F>
SLM_DEVICE void add_part(Sums<Type> &sums, const uint8_t *slot, const Stage *stage, int n, int lane,
                         F loaded) {
    typedef typename UnitOf<Type, Part, is_record<Type>>::type Unit;
    constexpr int bytes = unit_bytes<Traits<Type>>(unit);
    const Unit first(slot, lane);
    const Unit last = n_own<Type> == 1 ? first : Unit(slot + bytes, lane);
    loaded();
    SLM_UNROLL
    for (int j = 0; j < n_tiles; j += n_together<Type>)
        if (8 * j < n) {
            SLM_UNROLL
            for (int i = j; i < j + n_together<Type>; i++) {
                first.add(sums.of[0][i], stage, i, lane);
                if constexpr (n_own<Type> == 2)
                    last.add(sums.of[1][i], stage, i, lane);
            }
        }
}

/* Grid: groups of columns, groups of the tiles of a block's warps. A gate's product is in y before
 * that of the matrix that it gates. */
template <int Type> SLM_KERNEL(32 * n_warps<Type>, 2) multiply_columns(Product p) {
    typedef Traits<Type> T;
    constexpr int bytes = unit_bytes<T>(unit), n_rows = n_own<Type> * SLM_TILE_M;
    SLM_DYNAMIC_SHARED(uint8_t, shared);
    Stage *const stages = (Stage *)shared;
    int turn = 0;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int k = (int)p.k, n_units = (k + unit - 1) / unit;
    const int first = (int)blockIdx.x * n_columns, n = min((int)p.n_rows - first, n_columns);
    uint32_t group = blockIdx.y;
    const Part part = find_part(p, &group);
    const uint32_t first_row = (group * n_warps<Type> + warp) * n_rows;
    uint8_t *slot = shared + 2 * sizeof(Stage) + warp * n_own<Type> * bytes;
    const uint8_t *w[n_own<Type>];
    SLM_UNROLL
    for (int m = 0; m < n_own<Type>; m++) /* instead of tiles that there are not: the last */
        w[m] = part.w +
               min(first_row + m * SLM_TILE_M, part.n_out - 1) / SLM_TILE_M * tile_bytes<T>(p.k);
    const auto copy_weights = [=](int u) {
        SLM_UNROLL
        for (int m = 0; m < n_own<Type>; m++)
            copy_unit<T>(slot + m * bytes, w[m] + (size_t)u * bytes,
                         T::has_whole_units ? unit : min(k - u * unit, unit), lane);
    };

    const Copier<T, 32 * n_warps<Type>> columns(first, n, n_units);
    columns.copy(stages, p.a, 0);
    copy_weights(0);
    cp_async_commit();
    Sums<Type> sums, chain;
    sums.fill(-0.0f); /* which changes nothing that is added to it */
    SLM_ROLLED
    for (int c = 0; c < n_chains; c++) {
        chain.fill(0.0f);
        SLM_ROLLED
        for (int u = c; u < n_units; u += n_chains) {
            int next = u + n_chains;
            if (next >= n_units)
                next = c + 1 < n_chains ? c + 1 : n_units;
            cp_async_wait<0>();
            __syncthreads();
            if (next < n_units)
                columns.copy(stages + !turn, p.a, next);
            if constexpr (!is_record<Type>)
                add_part<Type, 0>(chain, slot, stages + turn, n, lane, [] {});
            add_part<Type, is_record<Type> ? 0 : 1>(chain, slot, stages + turn, n, lane, [=] {
                __syncwarp();
                if (next < n_units)
                    copy_weights(next);
            });
            cp_async_commit();
            turn = !turn;
        }
        SLM_UNROLL
        for (int m = 0; m < n_own<Type>; m++) {
            SLM_UNROLL
            for (int j = 0; j < n_tiles; j++) {
                SLM_UNROLL
                for (int i = 0; i < 4; i++)
                    sums.of[m][j][i] += chain.of[m][j][i];
            }
        }
    }
    __syncthreads();
    float(*const out)[n_rows] = (float(*)[n_rows])shared + warp * n_columns;
    SLM_UNROLL
    for (int m = 0; m < n_own<Type>; m++) {
        SLM_UNROLL
        for (int j = 0; j < n_tiles; j++) {
            SLM_UNROLL
            for (int i = 0; i < 4; i++)
                out[8 * j + 2 * (lane % 4) + i % 2][16 * m + lane / 4 + 8 * (i / 2)] =
                    sums.of[m][j][i];
        }
    }
    __syncwarp();
    const uint32_t row = first_row + lane % n_rows;
    if (row >= part.n_out)
        return;
    SLM_ROLLED
    for (int col = lane / n_rows; col < n; col += 32 / n_rows) {
        const uint32_t to = p.out_rows ? p.out_rows[first + col] : (uint32_t)(first + col);
        float *y = part.y + (size_t)to * p.y_stride + row;
        const float value = out[col][lane % n_rows] * part.scale;
        *y = p.then >= SLM_CUDA_SILU  ? gated(p.then, *y, value)
             : p.then == SLM_CUDA_ADD ? *y + value
                                      : value;
    }
}

template <int Type>
cudaError_t launch(cudaStream_t stream, const slm_cuda_product &product, uint32_t n_rows) {
    constexpr int of_block = n_warps<Type> * n_own<Type>; /* tiles */
    constexpr size_t shared = 2 * sizeof(Stage) + of_block * unit_bytes<Traits<Type>>(unit);
    uint32_t n;
    const Product p = parts_of(product, n_rows, of_block * SLM_TILE_M, &n);
    const slm_launch_shape shape = {dim3((n_rows + n_columns - 1) / n_columns, n),
                                    dim3(32 * n_warps<Type>), shared, stream};
    const cudaError_t error =
        cudaFuncSetAttribute((const void *)multiply_columns<Type>,
                             cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared);
    if (error != cudaSuccess)
        return error;
    return SLM_LAUNCH((multiply_columns<Type>), shape, p);
}

cudaError_t launch_type(cudaStream_t stream, const slm_cuda_product &product, uint32_t n_rows) {
    switch (product.w[0]->type) {
#define TILES(type)                                                                                \
    case SLM_DTYPE_##type:                                                                         \
        return launch<SLM_DTYPE_##type>(stream, product, n_rows);
        SLM_FOR_TILE_TYPES(TILES)
#undef TILES
    default:
        return cudaErrorInvalidValue;
    }
}

} /* namespace */

cudaError_t slm::multiply_many(cudaStream_t stream, const slm_cuda_product &product,
                               uint32_t n_rows) {
    slm_cuda_product one = product;
    if (product.then >= SLM_CUDA_SILU) {
        one.n_matrices = 1;
        one.then = SLM_CUDA_STORE;
        const cudaError_t error = launch_type(stream, one, n_rows);
        if (error != cudaSuccess)
            return error;
        one.w[0] = product.w[1];
        one.then = product.then;
    }
    return launch_type(stream, one, n_rows);
}
