// slm_cuda_attend against attention in double precision.

#include "attend_model.h"

namespace {

const std::uint32_t both_types[] = {SLM_KVT_F16, SLM_KVT_Q8_0};
const std::uint32_t all_types[] = {SLM_KVT_F16, SLM_KVT_Q8_0, SLM_KVT_F32};

std::vector<slm_cuda_row> rows_from(std::uint32_t slot, std::uint32_t first, std::uint32_t n) {
    std::vector<slm_cuda_row> rows;
    for (std::uint32_t i = 0; i < n; i++) {
        rows.push_back(row_at(slot, first + i));
    }
    return rows;
}

// One session of `length` tokens; rows at these positions.
void check(const Shape &shape, const std::vector<slm_cuda_row> &rows, float size = 1) {
    std::uint32_t last = 0, first = UINT32_MAX;
    for (const slm_cuda_row &row : rows) {
        last = std::max(last, row.position);
        first = std::min(first, row.position);
    }
    Pages pages(shape, 1, std::max(last + 1, 1024u));
    // Pages that a window has passed are not there.
    const std::uint32_t page = ~((1u << shape.page_shift) - 1);
    pages.fill(0,
               shape.window != 0 && first >= shape.window ? (first + 1 - shape.window) & page : 0,
               last + 1);
    Device device(pages);
    const std::vector<float> q = random_queries(shape, rows.size(), size);
    check_rows(pages, rows, q, device.attend(rows, q));
}

void head_sizes(void **) {
    for (std::uint32_t type : all_types) {
        for (std::uint32_t d : {16u, 32u, 48u, 64u, 80u, 96u, 112u, 128u, 144u, 192u, 256u}) {
            check({type, d, 4, 2}, rows_from(0, 70, 3));
            check({type, d, 4, 2}, rows_from(0, 299, 1));
        }
    }
}

void head_sizes_of_many_rows(void **) {
    for (std::uint32_t type : both_types) {
        for (std::uint32_t d : {16u, 64u, 80u, 96u, 128u, 144u, 256u}) {
            check({type, d, 32, 2}, rows_from(0, 251, 17));
        }
    }
}

void groups(void **) {
    for (std::uint32_t type : all_types) {
        for (std::uint32_t group : {1u, 2u, 3u, 4u, 5u, 7u, 8u, 16u, 17u, 40u}) {
            check({type, 64, 2 * group, 2}, rows_from(0, 61, 5));
        }
    }
    for (std::uint32_t group : {1u, 3u, 7u, 16u, 20u}) {
        check({SLM_KVT_F16, 64, group, 1}, rows_from(0, 3, 513 / group + 1));
    }
}

// A row for each length from 1 to 600, few of them and many at a time.
void lengths(void **) {
    for (std::uint32_t type : all_types) {
        for (std::uint32_t first = 0; first < 600; first += 300) {
            check({type, 64, 1, 1}, rows_from(0, first, 300));
        }
        if (type != SLM_KVT_F32) {
            check({type, 64, 1, 1}, rows_from(0, 0, 600));
        }
    }
}

void windows(void **) {
    for (std::uint32_t type : all_types) {
        for (std::uint32_t window : {1u, 16u, 63u, 100u, 256u, 1000u}) {
            Shape shape{type, 64, 2, 1};
            shape.window = window;
            for (std::uint32_t at : {0u, 98u, 255u, 256u, 530u}) {
                check(shape, rows_from(0, at, 2));
            }
            shape.n_heads = 16;
            check(shape, rows_from(0, 250, 40));
        }
    }
}

void page_sizes(void **) {
    for (std::uint32_t type : all_types) {
        for (std::uint32_t page_shift : {4u, 5u, 6u, 8u}) {
            Shape shape{type, 80, 3, 1};
            shape.page_shift = page_shift;
            check(shape, {row_at(0, 333)});
            shape.window = 50;
            check(shape, {row_at(0, 333)});
        }
    }
}

// The end of a context of 128 K.
void a_long_context(void **) {
    const std::uint32_t last = (1u << 17) - 1;
    for (std::uint32_t type : both_types) {
        Shape shape{type, 16, 2, 1};
        check(shape, {row_at(0, last)});
        shape.window = 300;
        check(shape, rows_from(0, last - 16, 17));
    }
}

// Large scores: most weights are next to nothing.
void large_scores(void **) {
    for (std::uint32_t type : all_types) {
        check({type, 128, 4, 1}, rows_from(0, 200, 4), 40);
    }
}

// Two tokens that only what a half leaves of the queries tells apart: 32 +- 2^-7.
void both_halves_of_queries(void **) {
    const std::uint32_t d = 128;
    Pages pages({SLM_KVT_F16, d, 1, 1}, 1, 2);
    pages.fill(0, 0, 2);
    std::vector<float> q(d);
    for (std::uint32_t i = 0; i < d; i++) {
        const float sign = i % 4 < 2 ? 1.0f : -1.0f;
        q[i] = 32.0f + sign * 0x1p-7f;
        for (std::uint32_t t = 0; t < 2; t++) {
            const std::uint16_t k = slm_f32_to_f16(t == 0 ? sign : -sign);
            const std::uint16_t v = slm_f32_to_f16(t == 0 ? 1.0f : -1.0f);
            std::memcpy(
                &pages.memory[pages.shape.group(0, t, false, 0) + pages.shape.element(t, i, false)],
                &k, 2);
            std::memcpy(
                &pages.memory[pages.shape.group(0, t, true, 0) + pages.shape.element(t, i, true)],
                &v, 2);
        }
    }
    Device device(pages);
    const double score = d * 0x1p-7 / std::sqrt(d), wanted = std::tanh(score);
    for (float y : device.attend({row_at(0, 1)}, q)) {
        assert_true(std::fabs(static_cast<double>(y) - wanted) <= 0x1p-10);
    }
}

// Sessions in one launch: single rows, a prompt beside them, rows in no order, a fork.
struct Crowd {
    Pages pages;
    std::vector<slm_cuda_row> rows;

    Crowd(std::uint32_t type, std::uint32_t n_heads) : pages({type, 64, n_heads, 2}, 6, 700) {
        const std::uint32_t lengths[] = {1, 40, 300, 513, 130};
        for (std::uint32_t slot = 0; slot < 5; slot++) {
            pages.fill(slot, 0, lengths[slot]);
            rows.push_back(row_at(slot, lengths[slot] - 1));
        }
        for (std::uint32_t page = 0; page < 2; page++) { // slot 5 forks slot 4 and goes on
            pages.tables[5 * pages.table_stride + page] =
                pages.tables[4 * pages.table_stride + page];
        }
        pages.fill(5, 128, 150);
        for (std::uint32_t i = 120; i < 150; i++) {
            rows.push_back(row_at(5, i));
        }
        rows.push_back(row_at(2, 77));
        rows.push_back(row_at(4, 129));
        rows.push_back(row_at(4, 2));
    }
};

void sessions(void **) {
    for (std::uint32_t type : all_types) {
        for (std::uint32_t n_heads : {2u, 8u, 32u}) {
            Crowd crowd(type, n_heads);
            Device device(crowd.pages);
            const std::vector<float> q = random_queries(crowd.pages.shape, crowd.rows.size());
            check_rows(crowd.pages, crowd.rows, q, device.attend(crowd.rows, q));
        }
    }
}

// The bits of a row are the same alone, among few and among many, and with more chunks than it has.
void bits_of_a_row(void **) {
    for (std::uint32_t type : all_types) {
        for (std::uint32_t n_heads : {2u, 32u}) {
            Crowd crowd(type, n_heads);
            Device device(crowd.pages);
            const std::size_t n = n_heads * crowd.pages.shape.d;
            const std::vector<float> q = random_queries(crowd.pages.shape, crowd.rows.size());
            const std::vector<float> all = device.attend(crowd.rows, q);
            for (std::size_t r = 0; r < crowd.rows.size(); r++) {
                const std::vector<float> of_row(&q[r * n], &q[r * n] + n);
                const std::uint32_t enough = crowd.rows[r].position / SLM_CUDA_CHUNK + 1;
                const std::uint32_t n_chunks = enough + static_cast<std::uint32_t>(r % 3);
                const std::vector<float> alone = device.attend({crowd.rows[r]}, of_row, n_chunks);
                if (std::memcmp(alone.data(), &all[r * n], n * sizeof(float)) != 0) {
                    fail_msg("type %u, %u heads, %u chunks: row %zu has other bits alone", type,
                             n_heads, n_chunks, r);
                }
            }
        }
    }
}

void thread_orders(void **) {
    for (std::uint32_t type : all_types) {
        for (std::uint32_t n_heads : {4u, 32u}) {
            Crowd crowd(type, n_heads);
            Device device(crowd.pages);
            const std::vector<float> q = random_queries(crowd.pages.shape, crowd.rows.size());
            assert_true(orders_agree([&] { return device.attend(crowd.rows, q); }));
        }
    }
}

// Values that are all the same come out as they are.
void weights_add_up_to_one(void **) {
    Pages pages({SLM_KVT_F16, 64, 4, 1}, 1, 300);
    pages.fill(0, 0, 300);
    const std::uint16_t value = slm_f32_to_f16(0.7f);
    for (std::uint32_t t = 0; t < 300; t++) {
        const std::size_t group = pages.shape.group(pages.page_of(0, t), t, true, 0);
        for (std::uint32_t i = 0; i < 64; i++) {
            std::memcpy(&pages.memory[group + pages.shape.element(t % 16, i, true)], &value, 2);
        }
    }
    Device device(pages);
    for (float y : device.attend({row_at(0, 299)}, random_queries(pages.shape, 1))) {
        assert_true(std::fabs(y / slm_f16_to_f32(value) - 1) <= 0x1p-20f);
    }
}

void what_cannot_be_is_refused(void **) {
    Pages pages({SLM_KVT_F16, 64, 4, 2}, 1, 64);
    pages.fill(0, 0, 16);
    Device device(pages);
    auto refused = [&](auto change) {
        slm_cuda_heads heads = device.heads;
        slm_cuda_cache cache = device.cache;
        change(heads, cache);
        assert_int_equal(slm_cuda_attend(&device.stream, nullptr, nullptr, &heads, &cache, nullptr,
                                         1, 1, nullptr),
                         cudaErrorInvalidValue);
    };
    refused([](slm_cuda_heads &h, slm_cuda_cache &) { h.d = 72; });
    refused([](slm_cuda_heads &h, slm_cuda_cache &) { h.d = 0; });
    refused([](slm_cuda_heads &h, slm_cuda_cache &) { h.d = 272; });
    refused([](slm_cuda_heads &h, slm_cuda_cache &) { h.n_heads = 5; });
    refused([](slm_cuda_heads &h, slm_cuda_cache &) { h.n_kv_heads = 0; });
    refused([](slm_cuda_heads &, slm_cuda_cache &c) { c.page_shift = 3; });
    refused([](slm_cuda_heads &, slm_cuda_cache &c) { c.type = SLM_KVT_LIMIT; });
    DONE(slm_cuda_attend(&device.stream, nullptr, nullptr, &device.heads, &device.cache, nullptr, 0,
                         1, nullptr));
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        DEVICE_TEST(head_sizes),
        DEVICE_TEST(head_sizes_of_many_rows),
        DEVICE_TEST(groups),
        DEVICE_TEST(lengths),
        DEVICE_TEST(windows),
        DEVICE_TEST(page_sizes),
        DEVICE_TEST(a_long_context),
        DEVICE_TEST(large_scores),
        DEVICE_TEST(both_halves_of_queries),
        DEVICE_TEST(sessions),
        DEVICE_TEST(bits_of_a_row),
        DEVICE_TEST(thread_orders),
        DEVICE_TEST(weights_add_up_to_one),
        DEVICE_TEST(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
