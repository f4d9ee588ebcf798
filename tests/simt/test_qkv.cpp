// slm_cuda_finish_qkv against the portable C, bit by bit.

#include "attend_model.h"

extern "C" {
#include "kernels.h"

void slm_rms_norm_ref(float *y, const float *x, const float *w, std::size_t n, float eps);
void slm_kv_store_f16_ref(void *row, const float *x, std::size_t d);
void slm_kv_store_q8_0_ref(void *row, const float *x, std::size_t d);
void slm_kv_store_f32_ref(void *row, const float *x, std::size_t d);
}

namespace {

struct Options {
    std::uint32_t n_rot;
    bool interleaved, with_norm, with_bias;
};

std::vector<float> random(std::size_t n, float size, std::uint32_t seed) {
    Numbers numbers{seed};
    std::vector<float> x(n);
    for (float &v : x) {
        v = size * (2 * numbers.unit() - 1);
    }
    return x;
}

// What a test has on both sides.
struct Products {
    const Shape shape;
    const Options options;
    const std::vector<slm_cuda_row> rows;
    const std::size_t per_row, half;
    std::vector<float> raw, q_norm, k_norm, q_bias, k_bias, v_bias, cosine, sine;

    Products(const Shape &s, const Options &o, const std::vector<slm_cuda_row> &r)
        : shape(s), options(o), rows(r), per_row(s.n_heads + 2 * s.n_kv_heads), half(o.n_rot / 2),
          raw(random(r.size() * per_row * s.d, 3, 11)), q_norm(random(s.d, 2, 12)),
          k_norm(random(s.d, 2, 13)), q_bias(random(s.n_heads * s.d, 1, 14)),
          k_bias(random(s.n_kv_heads * s.d, 1, 15)), v_bias(random(s.n_kv_heads * s.d, 1, 16)),
          cosine(random(r.size() * half + 1, 1, 17)), sine(random(r.size() * half + 1, 1, 18)) {}

    // The head `unit` of a row, finished: q first, then k, then v.
    std::vector<float> head(std::size_t r, std::size_t unit) const {
        const std::size_t d = shape.d, n_q = shape.n_heads, n_kv = shape.n_kv_heads;
        const bool is_q = unit < n_q, is_v = unit >= n_q + n_kv;
        const float *bias = is_q   ? &q_bias[unit * d]
                            : is_v ? &v_bias[(unit - n_q - n_kv) * d]
                                   : &k_bias[(unit - n_q) * d];
        const float *from = &raw[(r * per_row + unit) * d];
        std::vector<float> x(from, from + d);
        for (std::size_t i = 0; options.with_bias && i < d; i++) {
            x[i] += bias[i];
        }
        if (is_v) {
            return x;
        }
        if (options.with_norm) {
            slm_rms_norm_ref(x.data(), x.data(), is_q ? q_norm.data() : k_norm.data(), d, 1e-6f);
        }
        std::vector<float> y = x;
        if (options.interleaved) {
            slm_rope_interleaved(y.data(), x.data(), &cosine[r * half], &sine[r * half],
                                 options.n_rot, d);
        } else {
            slm_rope_half(y.data(), &cosine[r * half], &sine[r * half], options.n_rot);
        }
        return y;
    }
};

// Puts a head into pages as slm_cuda_cache describes them.
void put(Pages &pages, const slm_cuda_row &row, std::uint32_t kv_head, bool is_v,
         const std::vector<float> &x) {
    const Shape &s = pages.shape;
    const std::uint32_t t = row.position % 16;
    std::uint8_t *group =
        &pages.memory[s.group(pages.page_of(row.slot, row.position), row.position, is_v, kv_head)];
    std::vector<std::uint8_t> stored(s.row_bytes());
    const auto store = s.type == SLM_KVT_F16    ? slm_kv_store_f16_ref
                       : s.type == SLM_KVT_Q8_0 ? slm_kv_store_q8_0_ref
                                                : slm_kv_store_f32_ref;
    store(stored.data(), x.data(), s.d);
    const std::size_t size = s.row_bytes() / s.d;
    for (std::uint32_t i = 0; i < (s.d + 31) / 32 * 32; i++) {
        if (s.type == SLM_KVT_Q8_0) {
            std::memcpy(group + s.scale(t, i), &stored[i / 32 * 34], 2);
            group[s.element(t, i, is_v)] = stored[i / 32 * 34 + 2 + i % 32];
        } else if (i < s.d) {
            std::memcpy(group + s.element(t, i, is_v), &stored[i * size], size);
        }
    }
}

void check(const Shape &shape, const Options &options, const std::vector<slm_cuda_row> &rows,
           void (*spoil)(std::vector<float> &raw) = nullptr) {
    Pages pages(shape, 2, 300);
    pages.fill(0, 0, 40); // so that what is not written has to stay
    pages.fill(1, 0, 280);
    Products products(shape, options, rows);
    if (spoil != nullptr) {
        spoil(products.raw);
    }
    Device device(pages);
    slm_cuda_heads heads = device.heads;
    DeviceArray<float> raw(products.raw), q(rows.size() * shape.n_heads * shape.d);
    DeviceArray<float> cosine(products.cosine), sine(products.sine);
    DeviceArray<float> q_norm(products.q_norm), k_norm(products.k_norm), q_bias(products.q_bias),
        k_bias(products.k_bias), v_bias(products.v_bias);
    DeviceArray<slm_cuda_row> on_device(rows);
    heads.n_rot = options.n_rot;
    heads.interleaved = options.interleaved;
    heads.eps = 1e-6f;
    heads.cos = cosine.at;
    heads.sin = sine.at;
    heads.q_norm = options.with_norm ? q_norm.at : nullptr;
    heads.k_norm = options.with_norm ? k_norm.at : nullptr;
    heads.q_bias = options.with_bias ? q_bias.at : nullptr;
    heads.k_bias = options.with_bias ? k_bias.at : nullptr;
    heads.v_bias = options.with_bias ? v_bias.at : nullptr;
    DONE(slm_cuda_finish_qkv(&device.stream, q.at, raw.at, &heads, &device.cache, on_device.at,
                             static_cast<std::uint32_t>(rows.size())));

    std::vector<float> wanted;
    for (std::size_t r = 0; r < rows.size(); r++) {
        for (std::size_t unit = 0; unit < products.per_row; unit++) {
            const std::vector<float> x = products.head(r, unit);
            if (unit < shape.n_heads) {
                wanted.insert(wanted.end(), x.begin(), x.end());
            } else {
                const std::uint32_t of_kv = static_cast<std::uint32_t>(unit) - shape.n_heads;
                put(pages, rows[r], of_kv % shape.n_kv_heads, of_kv >= shape.n_kv_heads, x);
            }
        }
    }
    if (!same_bits(q.get(), wanted)) {
        fail_msg("type %u, d %u, n_rot %u: queries differ", shape.type, shape.d, options.n_rot);
    }
    const std::vector<std::uint8_t> memory = device.memory.get();
    for (std::size_t i = 0; i < memory.size(); i++) {
        if (memory[i] != pages.memory[i]) {
            fail_msg(
                "type %u, d %u, n_rot %u: byte %zu of the pages (%zu of a head): got %02x, wanted "
                "%02x",
                shape.type, shape.d, options.n_rot, i, i % shape.head_bytes(), memory[i],
                pages.memory[i]);
        }
    }
}

// A prompt's end, and rows of another session.
const std::vector<slm_cuda_row> some_rows = {row_at(0, 31), row_at(0, 32),  row_at(0, 33),
                                             row_at(1, 0),  row_at(1, 279), row_at(0, 39)};

void all_sizes(void **) {
    for (std::uint32_t type : {SLM_KVT_F16, SLM_KVT_Q8_0, SLM_KVT_F32}) {
        for (std::uint32_t d : {16u, 48u, 64u, 80u, 96u, 128u, 256u}) {
            check({type, d, 6, 2}, {d, false, true, true}, some_rows);
            check({type, d, 3, 1}, {d / 2, true, false, false}, some_rows);
        }
    }
}

void all_options(void **) {
    for (int bits = 0; bits < 8; bits++) {
        for (std::uint32_t n_rot : {0u, 2u, 20u, 64u}) {
            check({SLM_KVT_F16, 64, 4, 2},
                  {n_rot, (bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0}, some_rows);
        }
    }
}

void page_sizes(void **) {
    for (std::uint32_t page_shift : {4u, 5u, 8u}) {
        for (std::uint32_t type : {SLM_KVT_F16, SLM_KVT_Q8_0}) {
            Shape shape{type, 80, 5, 5};
            shape.page_shift = page_shift;
            check(shape, {80, false, false, false}, some_rows);
        }
    }
}

void extreme_values(void **) {
    for (std::uint32_t type : {SLM_KVT_F16, SLM_KVT_Q8_0, SLM_KVT_F32}) {
        check({type, 64, 2, 1}, {0, false, false, false}, some_rows, [](std::vector<float> &raw) {
            const float values[] = {0.0f,  -0.0f,  65504.0f, 65519.9f, 65520.0f, -1e30f, 6e-8f,
                                    3e-8f, 1e-38f, 1e-45f,   7e-31f,   1e-30f,   3.4e38f};
            for (std::size_t i = 0; i < raw.size();
                 i++) { // blocks of one magnitude, and mixed ones
                raw[i] = values[(i / 32 % 3 == 0 ? i : i / 32) % (sizeof values / sizeof *values)];
            }
        });
    }
    check({SLM_KVT_Q8_0, 64, 2, 1}, {0, false, false, false}, some_rows,
          [](std::vector<float> &raw) {
              for (std::size_t i = 0; i < raw.size(); i += 45) {
                  raw[i] = INFINITY;
              }
          });
}

void thread_orders(void **) {
    for (std::uint32_t type : {SLM_KVT_F16, SLM_KVT_Q8_0, SLM_KVT_F32}) {
        for (unsigned seed = 0; seed < 3; seed++) {
#ifndef __CUDACC__
            fake_cuda_set_order(seed == 0 ? FAKE_CUDA_REVERSE : FAKE_CUDA_SHUFFLED, seed);
#endif
            check({type, 96, 4, 2}, {96, true, true, true}, some_rows);
        }
    }
}

void what_cannot_be_is_refused(void **) {
    slm_cuda_stream stream{nullptr, 0};
    auto refused = [&](std::uint32_t d, std::uint32_t n_rot, std::uint32_t page_shift,
                       std::uint32_t type) {
        slm_cuda_heads heads{};
        slm_cuda_cache cache{};
        heads.n_heads = heads.n_kv_heads = 1;
        heads.d = d;
        heads.n_rot = n_rot;
        cache.page_shift = page_shift;
        cache.type = type;
        return slm_cuda_finish_qkv(&stream, nullptr, nullptr, &heads, &cache, nullptr, 0) ==
               cudaErrorInvalidValue;
    };
    assert_true(refused(72, 0, 6, SLM_KVT_F16));
    assert_true(refused(0, 0, 6, SLM_KVT_F16));
    assert_true(refused(272, 0, 6, SLM_KVT_F16));
    assert_true(refused(64, 66, 6, SLM_KVT_F16));
    assert_true(refused(64, 64, 3, SLM_KVT_F16));
    assert_true(refused(64, 64, 6, SLM_KVT_LIMIT));
    assert_false(refused(64, 64, 6, SLM_KVT_F16));
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        DEVICE_TEST(all_sizes),     DEVICE_TEST(all_options),
        DEVICE_TEST(page_sizes),    DEVICE_TEST(extreme_values),
        DEVICE_TEST(thread_orders), DEVICE_TEST(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
