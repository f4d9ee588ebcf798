// Differential attention: heads in pairs that lie as one, attention over them, and the norm of what
// is between their softmaxes.

#include "attend_model.h"

namespace {

const std::uint32_t all_types[] = {SLM_KVT_F16, SLM_KVT_Q8_0, SLM_KVT_F32};

std::vector<float> random(std::size_t n, std::uint32_t seed) {
    Numbers numbers{seed};
    std::vector<float> x(n);
    for (float &v : x) {
        v = 2 * numbers.unit() - 1;
    }
    return x;
}

// Heads of d elements as they are, and as pairs.
struct Both {
    Shape heads, pairs;

    Both(std::uint32_t type, std::uint32_t d, std::uint32_t n_heads, std::uint32_t n_kv_heads)
        : heads{type, d, n_heads, n_kv_heads}, pairs{type, 2 * d, n_heads, n_kv_heads / 2} {}
};

// Queries, and what is stored, of a step over pages of one shape.
struct Finished {
    std::vector<float> q;
    Pages pages;

    Finished(const Both &both, bool is_paired, const std::vector<slm_cuda_row> &rows,
             bool with_keys)
        : pages(is_paired ? both.pairs : both.heads, 2, 64) {
        const Shape &s = both.heads;
        pages.fill(0, 0, 64);
        pages.fill(1, 0, 64);
        Device device(pages);
        const std::uint32_t n_kv = with_keys ? s.n_kv_heads : 0, n_rows = rows.size();
        DeviceArray<float> raw(random(n_rows * (s.n_heads + 2 * n_kv) * s.d, 5)),
            q_bias(random(s.n_heads * s.d, 6)), k_bias(random(s.n_kv_heads * s.d, 7)),
            v_bias(random(s.n_kv_heads * s.d, 8)), to(n_rows * s.n_heads * s.d * (1 + is_paired));
        DeviceArray<slm_cuda_row> on_device(rows);
        slm_cuda_heads heads = device.heads;
        heads.d = s.d;
        heads.n_kv_heads = n_kv;
        heads.is_paired = is_paired;
        heads.q_bias = q_bias.at;
        heads.k_bias = k_bias.at;
        heads.v_bias = v_bias.at;
        DONE(slm_cuda_finish_qkv(&device.stream, to.at, raw.at, &heads, &device.cache, on_device.at,
                                 n_rows));
        q = to.get();
        pages.memory = device.memory.get();
    }
};

// Heads lie side by side in their pair, with the same bits; queries have zeros beside them.
void pairs_hold_what_heads_hold(void **) {
    for (std::uint32_t type : all_types) {
        for (std::uint32_t d : {32u, 64u, 128u}) {
            const Both both(type, d, 8, 4);
            const std::vector<slm_cuda_row> rows = {row_at(0, 5), row_at(0, 6), row_at(1, 31)};
            Finished heads(both, false, rows, true), pairs(both, true, rows, true);
            for (std::size_t i = 0; i < heads.q.size(); i++) {
                const std::size_t head = i / d, at = head * 2 * d + i % d, part = head % 2 * d;
                assert_true(pairs.q[at + part] == heads.q[i]);
                assert_true(pairs.q[at + d - part] == 0);
            }
            for (const slm_cuda_row &row : rows) {
                for (std::uint32_t i = 0; i < 2 * 4 * d; i++) {
                    const std::uint32_t head = i / 2 / d, e = i / 2 % d;
                    const double one = heads.pages.get(row.slot, row.position, head, i % 2, e);
                    const double of_pair =
                        pairs.pages.get(row.slot, row.position, head / 2, i % 2, head % 2 * d + e);
                    assert_true(one == of_pair);
                }
            }
        }
    }
}

// A layer that reads the keys and values of another one leaves the pages alone.
void queries_alone(void **) {
    const Both both(SLM_KVT_F16, 32, 4, 2);
    Finished some(both, true, {row_at(1, 9)}, false);
    Pages untouched(both.pairs, 2, 64);
    untouched.fill(0, 0, 64);
    untouched.fill(1, 0, 64);
    assert_true(same_bits(some.pages.memory, untouched.memory));
    assert_int_equal(some.q.size(), 4 * 64);
}

// Attention over pairs is attention over heads of twice the size, scaled by their own.
void attend(const Both &both, const std::vector<slm_cuda_row> &rows, std::uint32_t window) {
    Shape shape = both.pairs;
    shape.window = window;
    Pages pages(shape, 2, 700);
    for (const slm_cuda_row &row : rows) {
        pages.fill(row.slot, 0, row.position + 1);
    }
    Device device(pages);
    device.heads.d = both.heads.d;
    device.heads.n_kv_heads = both.heads.n_kv_heads;
    device.heads.is_paired = 1;
    std::vector<float> q = random_queries(shape, rows.size());
    for (std::size_t i = 0; i < q.size(); i++) {
        if (i / shape.d % 2 != i % shape.d / both.heads.d) {
            q[i] = 0;
        }
    }
    const std::vector<float> y = device.attend(rows, q);
    for (float &x : q) { // check_rows divides by the root of both
        x *= 1.41421356f;
    }
    check_rows(pages, rows, q, y);
}

void attention(void **) {
    for (std::uint32_t type : all_types) {
        for (std::uint32_t d : {32u, 64u, 96u, 128u}) {
            attend(Both(type, d, 8, 4), {row_at(0, 70), row_at(0, 71), row_at(1, 3)}, 0);
        }
        attend(Both(type, 64, 40, 20), {row_at(0, 300)}, 0);
        attend(Both(type, 32, 8, 2), {row_at(0, 299), row_at(1, 12)}, 24);
    }
    std::vector<slm_cuda_row> many;
    for (std::uint32_t p = 100; p < 200; p++) {
        many.push_back(row_at(0, p));
    }
    attend(Both(SLM_KVT_F16, 32, 8, 4), many, 0);
    attend(Both(SLM_KVT_Q8_0, 32, 8, 4), many, 48);
}

struct Join {
    std::uint32_t n, n_pairs, n_rows;
    std::vector<float> x, norm;

    Join(std::uint32_t size, std::uint32_t pairs, std::uint32_t rows)
        : n(size), n_pairs(pairs), n_rows(rows), x(random(2 * size * pairs * rows, 3)),
          norm(random(size, 4)) {}

    std::vector<float> run() const {
        slm_cuda_stream stream{nullptr, 0};
        DeviceArray<float> from(x), weights(norm), to(x.size() / 2);
        DONE(slm_cuda_join_pairs(&stream, to.at, from.at, weights.at, 0.7f, 1e-5f, n, n_pairs,
                                 n_rows));
        return to.get();
    }
};

// Of each element n + 4 roundings.
void differences_are_normed(void **) {
    for (std::uint32_t n : {64u, 96u, 128u, 256u}) {
        for (std::uint32_t n_pairs : {1u, 4u, 5u, 20u}) {
            const Join join(n, n_pairs, 3);
            const std::vector<float> y = join.run();
            for (std::size_t pair = 0; pair < 3u * n_pairs; pair++) {
                const float *x = &join.x[2 * pair * n];
                std::vector<double> d(n);
                double squares = 0;
                for (std::uint32_t i = 0; i < n; i++) {
                    d[i] = static_cast<double>(x[i]) - static_cast<double>(0.7f) * x[n + i];
                    squares += d[i] * d[i];
                }
                const double scale = 1 / std::sqrt(squares / n + 1e-5);
                for (std::uint32_t i = 0; i < n; i++) {
                    const double wanted = d[i] * scale * join.norm[i];
                    const double bound =
                        (std::fabs(wanted) * (n + 4) + 2 * scale * std::fabs(join.norm[i])) *
                        0x1p-24;
                    assert_true(std::fabs(y[pair * n + i] - wanted) <= bound);
                }
            }
        }
    }
}

void thread_orders(void **) {
    const Both both(SLM_KVT_Q8_0, 32, 8, 4);
    assert_true(orders_agree([&] {
        Finished some(both, true, {row_at(0, 5), row_at(1, 9)}, true);
        return some.pages.memory;
    }));
    assert_true(orders_agree([] { return Join(128, 5, 2).run(); }));
}

void what_cannot_be_is_refused(void **) {
    Pages pages({SLM_KVT_F16, 64, 4, 1}, 1, 64);
    pages.fill(0, 0, 1);
    Device device(pages);
    slm_cuda_heads &h = device.heads;
    const auto attends = [&] {
        return slm_cuda_attend(&device.stream, nullptr, nullptr, &h, &device.cache, nullptr, 1, 1,
                               nullptr);
    };
    h.is_paired = 1;
    h.n_kv_heads = 2;
    for (std::uint32_t d : {16u, 48u, 160u}) {
        h.d = d;
        assert_int_equal(attends(), cudaErrorInvalidValue);
        assert_int_equal(
            slm_cuda_finish_qkv(&device.stream, nullptr, nullptr, &h, &device.cache, nullptr, 0),
            cudaErrorInvalidValue);
    }
    h.d = 32;
    h.n_kv_heads = 3;
    assert_int_equal(attends(), cudaErrorInvalidValue);
    h.n_kv_heads = 1;
    assert_int_equal(attends(), cudaErrorInvalidValue);
    const auto joins = [&](std::uint32_t n, std::uint32_t n_pairs) {
        return slm_cuda_join_pairs(&device.stream, nullptr, nullptr, nullptr, 1, 1, n, n_pairs, 0);
    };
    assert_int_equal(joins(257, 1), cudaErrorInvalidValue);
    assert_int_equal(joins(0, 1), cudaErrorInvalidValue);
    assert_int_equal(joins(64, 0), cudaErrorInvalidValue);
    assert_int_equal(joins(64, 1), 0);
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        DEVICE_TEST(pairs_hold_what_heads_hold),
        DEVICE_TEST(queries_alone),
        DEVICE_TEST(attention),
        DEVICE_TEST(differences_are_normed),
        DEVICE_TEST(thread_orders),
        DEVICE_TEST(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests_name("pairs", tests, nullptr, nullptr);
}
