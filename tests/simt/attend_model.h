#ifndef TESTS_SIMT_ATTEND_MODEL_H
#define TESTS_SIMT_ATTEND_MODEL_H

// Sessions with keys and values, as plain numbers and as pages of slm_cuda_cache, and attention
// over them in double precision with a bound for what the kernels may be off by.

#include "kernel_test.h"

#include <algorithm>
#include <cmath>

#include "slm_cuda.h"

extern "C" {
std::uint16_t slm_f32_to_f16(float x);
float slm_f16_to_f32(std::uint16_t half);
}

#define DONE(call) assert_int_equal((call), 0)

struct Shape {
    std::uint32_t type, d, n_heads, n_kv_heads;
    std::uint32_t page_shift = 6, window = 0, n_layers = 2, kv_index = 1;

    std::size_t row_bytes() const {
        return type == SLM_KVT_F16 ? 2 * d : type == SLM_KVT_F32 ? 4 * d : (d + 31) / 32 * 34;
    }
    std::size_t head_bytes() const { return row_bytes() << page_shift; }
    std::size_t plane_bytes() const { return head_bytes() * n_kv_heads; }
    std::size_t page_bytes() const { return plane_bytes() * 2 * n_layers; }
    std::uint32_t place(std::uint32_t t) const {
        // The inverse of the order 0 1 8 9 2 3 10 11 4 5 12 13 6 7 14 15.
        static const std::uint32_t places[16] = {0, 1, 4, 5, 8,  9,  12, 13,
                                                 2, 3, 6, 7, 10, 11, 14, 15};
        return places[t];
    }
    // Where element i of a token stands in its group, and the scale of its block of Q8_0.
    std::size_t element(std::uint32_t t, std::uint32_t i, bool is_v) const {
        const std::size_t size = type == SLM_KVT_F16 ? 2 : type == SLM_KVT_F32 ? 4 : 1;
        const std::size_t stride = type == SLM_KVT_Q8_0 ? (d + 31) / 32 * 32 : d;
        return size * (is_v ? i * 16 + place(t) : t * stride + i);
    }
    std::size_t scale(std::uint32_t t, std::uint32_t i) const {
        return 16 * ((d + 31) / 32 * 32) + 2 * (i / 32 * 16 + place(t));
    }
    // Of token `position` of a page.
    std::size_t group(std::uint32_t page, std::uint32_t position, bool is_v,
                      std::uint32_t kv_head) const {
        const std::uint32_t in_page = position % (1u << page_shift);
        return page * page_bytes() + (2 * kv_index + is_v) * plane_bytes() +
               kv_head * head_bytes() + in_page / 16 * 16 * row_bytes();
    }
};

// Pages of several sessions in the host's memory. What nobody wrote are NaNs.
struct Pages {
    Shape shape;
    std::uint32_t table_stride, n_pages = 0;
    std::vector<std::uint8_t> memory;
    std::vector<std::uint32_t> tables; // 0xffffffff: no page
    Numbers numbers{0x2545f491u};

    Pages(const Shape &s, std::uint32_t n_slots, std::uint32_t most_tokens)
        : shape(s), table_stride((most_tokens >> s.page_shift) + 2),
          tables(n_slots * table_stride, 0xffffffffu) {}

    std::uint32_t &page_of(std::uint32_t slot, std::uint32_t position) {
        return tables[slot * table_stride + (position >> shape.page_shift)];
    }
    float number() { return 2 * numbers.unit() - 1; }

    // Tokens [first, last) of a session with random keys and values. Pages are not in order.
    void fill(std::uint32_t slot, std::uint32_t first, std::uint32_t last) {
        for (std::uint32_t p = first; p < last; p++) {
            if (page_of(slot, p) == 0xffffffffu) {
                page_of(slot, p) = n_pages++;
                memory.resize(n_pages * shape.page_bytes(), 0xff);
            }
            for (std::uint32_t head = 0; head < shape.n_kv_heads; head++) {
                put(slot, p, head, false);
                put(slot, p, head, true);
            }
        }
    }
    void put(std::uint32_t slot, std::uint32_t position, std::uint32_t head, bool is_v) {
        std::uint8_t *group = &memory[shape.group(page_of(slot, position), position, is_v, head)];
        const std::uint32_t t = position % 16;
        for (std::uint32_t i = 0; i < (shape.d + 31) / 32 * 32; i++) {
            const float x = number();
            if (i % 32 == 0 && shape.type == SLM_KVT_Q8_0) {
                const std::uint16_t scale = slm_f32_to_f16(0.01f * (1.5f + x));
                std::memcpy(group + shape.scale(t, i), &scale, 2);
            }
            if (i >= shape.d) {
                break;
            }
            std::uint8_t *at = group + shape.element(t, i, is_v);
            const std::uint16_t bits = slm_f32_to_f16(x);
            const std::int8_t code = static_cast<std::int8_t>(127 * x);
            shape.type == SLM_KVT_F16   ? std::memcpy(at, &bits, 2)
            : shape.type == SLM_KVT_F32 ? std::memcpy(at, &x, 4)
                                        : std::memcpy(at, &code, 1);
        }
    }
    double get(std::uint32_t slot, std::uint32_t position, std::uint32_t head, bool is_v,
               std::uint32_t i) {
        const std::uint8_t *group =
            &memory[shape.group(page_of(slot, position), position, is_v, head)];
        const std::uint32_t t = position % 16;
        const std::uint8_t *at = group + shape.element(t, i, is_v);
        std::uint16_t bits;
        float x;
        switch (shape.type) {
        case SLM_KVT_F16:
            std::memcpy(&bits, at, 2);
            return static_cast<double>(slm_f16_to_f32(bits));
        case SLM_KVT_F32:
            std::memcpy(&x, at, 4);
            return static_cast<double>(x);
        default:
            std::memcpy(&bits, group + shape.scale(t, i), 2);
            return static_cast<double>(slm_f16_to_f32(bits)) * static_cast<std::int8_t>(*at);
        }
    }
};

inline slm_cuda_row row_at(std::uint32_t slot, std::uint32_t position) {
    return {7, slot, position, UINT32_MAX};
}

// A stream, pages and queries on the device.
struct Device {
    Pages &pages;
    slm_cuda_stream stream{nullptr, 0};
    DeviceArray<std::uint8_t> memory;
    DeviceArray<std::uint32_t> tables;
    slm_cuda_heads heads{};
    slm_cuda_cache cache{};

    explicit Device(Pages &p) : pages(p), memory(p.memory), tables(p.tables) {
        const Shape &s = p.shape;
        heads.n_heads = s.n_heads;
        heads.n_kv_heads = s.n_kv_heads;
        heads.d = s.d;
        heads.kv_index = s.kv_index;
        cache = {memory.at,       tables.at,      p.table_stride, s.page_shift, s.page_bytes(),
                 s.plane_bytes(), s.head_bytes(), s.type,         s.window};
    }

    std::vector<float> attend(const std::vector<slm_cuda_row> &rows, const std::vector<float> &q) {
        std::uint32_t longest = 0;
        for (const slm_cuda_row &row : rows) {
            longest = std::max(longest, row.position + 1);
        }
        return attend(rows, q, (longest + SLM_CUDA_CHUNK - 1) / SLM_CUDA_CHUNK);
    }
    std::vector<float> attend(const std::vector<slm_cuda_row> &rows, const std::vector<float> &q,
                              std::uint32_t n_chunks) {
        const Shape &s = pages.shape;
        const std::uint32_t n_rows = static_cast<std::uint32_t>(rows.size());
        DeviceArray<slm_cuda_row> on_device(rows);
        DeviceArray<float> queries(q), out(q.size());
        DeviceArray<std::uint8_t> partial(slm_cuda_attend_bytes(n_rows, s.n_heads, s.d, n_chunks));
        DONE(slm_cuda_attend(&stream, out.at, queries.at, &heads, &cache, on_device.at, n_rows,
                             n_chunks, partial.at));
        return out.get();
    }
};

inline std::vector<float> random_queries(const Shape &s, std::size_t n_rows, float size = 1) {
    Numbers numbers{0x9e3779b9u};
    std::vector<float> q(n_rows * s.n_heads * s.d);
    for (float &x : q) {
        x = size * (2 * numbers.unit() - 1);
    }
    return q;
}

// Fails unless y is what attention gives, for every row.
//
// With w the weights and A = sum of w |v|, an element may be off by
//   A / 2^10       weights are halves, and so is their sum (each half of 2^-10)
//   A / 2^11       Q8_0: and so are their products with the scales of values
//   4 A e          e = S (2^-21 + d / 2^22): what scores, to the base 2, may be off by, as far as
//   they
//                  are sums of d products of a key with two halves; S the largest sum of magnitudes
//   n V / 2^30     weights and scaled weights too small for a half; V the largest value, of Q8_0
//   127
//                  times as much
// and with floats by A (2^-20 + n / 2^23) + 4 A e.
inline void check_rows(Pages &pages, const std::vector<slm_cuda_row> &rows,
                       const std::vector<float> &q, const std::vector<float> &y) {
    const Shape &s = pages.shape;
    const std::uint32_t d = s.d, group = s.n_heads / s.n_kv_heads;
    const double log2_e = 1.4426950408889634;
    for (std::size_t r = 0; r < rows.size(); r++) {
        const std::uint32_t slot = rows[r].slot, end = rows[r].position + 1;
        const std::uint32_t begin = s.window != 0 && end > s.window ? end - s.window : 0;
        for (std::uint32_t head = 0; head < s.n_heads; head++) {
            const float *of = &q[(r * s.n_heads + head) * d];
            std::vector<double> w(end), sum(d), magnitude(d);
            double most = -INFINITY, largest_sum = 0, total = 0, value = 0;
            for (std::uint32_t t = begin; t < end; t++) {
                double dot = 0, magnitudes = 0;
                for (std::uint32_t i = 0; i < d; i++) {
                    const double x =
                        static_cast<double>(of[i]) * pages.get(slot, t, head / group, false, i);
                    dot += x;
                    magnitudes += std::fabs(x);
                }
                w[t] = dot * log2_e / std::sqrt(d);
                most = std::max(most, w[t]);
                largest_sum = std::max(largest_sum, magnitudes * log2_e / std::sqrt(d));
            }
            for (std::uint32_t t = begin; t < end; t++) {
                w[t] = std::exp2(w[t] - most);
                total += w[t];
                for (std::uint32_t i = 0; i < d; i++) {
                    const double v = pages.get(slot, t, head / group, true, i);
                    sum[i] += w[t] * v;
                    magnitude[i] += w[t] * std::fabs(v);
                    value = std::max(value, std::fabs(v));
                }
            }
            const double e = largest_sum * (0x1p-21 + d * 0x1p-22), n = end - begin;
            for (std::uint32_t i = 0; i < d; i++) {
                const double a = magnitude[i] / total;
                const double bound =
                    s.type == SLM_KVT_F32
                        ? a * (0x1p-20 + n * 0x1p-23 + 4 * e)
                        : a * (0x1p-10 + (s.type == SLM_KVT_Q8_0 ? 0x1p-11 : 0) + 4 * e) +
                              n * value * 0x1p-30 * (s.type == SLM_KVT_Q8_0 ? 127 : 1);
                const double got = static_cast<double>(y[(r * s.n_heads + head) * d + i]);
                if (!(std::fabs(got - sum[i] / total) <= bound)) {
                    fail_msg(
                        "type %u, d %u, %u over %u heads, pages of %u, window %u: row %zu (slot "
                        "%u, position %u), head %u, element %u: got %.9g, wanted %.9g +- %.3g",
                        s.type, d, s.n_heads, s.n_kv_heads, 1u << s.page_shift, s.window, r, slot,
                        rows[r].position, head, i, got, sum[i] / total, bound);
                }
            }
        }
    }
}

#endif
