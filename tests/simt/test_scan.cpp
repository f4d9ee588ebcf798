// The selective scan and its convolution against double precision, and that a session's rows give
// the same bits however they come.

#include "kernel_test.h"

#include <cmath>

#include "slm_cuda.h"

#define DONE(call) assert_int_equal((call), 0)

namespace {

struct Sizes {
    std::uint32_t d, n_state, n_conv;
    std::uint32_t dt_rank = 3;

    std::size_t group(std::uint32_t e, std::uint32_t i, std::uint32_t n) const {
        return (e / 16 * n + i) * 16 + e % 16;
    }
    std::size_t state_floats() const { return std::size_t{d} * (n_conv - 1 + n_state); }
    std::size_t bc_stride() const { return dt_rank + 2 * std::size_t{n_state}; }
};

std::vector<float> random(std::size_t n, float low, float high, std::uint32_t seed) {
    Numbers numbers{seed * 2654435761u + 1};
    std::vector<float> x(n);
    for (float &v : x) {
        v = low + (high - low) * numbers.unit();
    }
    return x;
}

// Weights of a layer, and of each token of two sessions what its products would be.
struct Layer {
    static constexpr std::uint32_t n_slots = 2, most = 80;
    const Sizes s;
    std::vector<float> conv, conv_bias, a, direct, dt_bias, in[n_slots], bc[n_slots], dt[n_slots];

    explicit Layer(const Sizes &sizes)
        : s(sizes), conv(random(s.d * s.n_conv, -1, 1, 1)), conv_bias(random(s.d, -1, 1, 2)),
          a(random(s.d * s.n_state, -8, -0.01f, 3)), direct(random(s.d, -1, 1, 4)),
          dt_bias(random(s.d, -4, 1, 5)) {
        for (std::uint32_t i = 0; i < n_slots; i++) {
            in[i] = random(std::size_t{most} * 2 * s.d, -3, 3, 6 + i);
            bc[i] = random(most * s.bc_stride(), -2, 2, 16 + i);
            dt[i] = random(std::size_t{most} * s.d, -3, 3, 26 + i);
        }
    }
};

// Results of tokens [0, n) of a session, and its state behind them.
struct Results {
    std::vector<float> channels, memory, out, state;

    bool operator==(const Results &other) const {
        return same_bits(channels, other.channels) && same_bits(memory, other.memory) &&
               same_bits(out, other.out) && same_bits(state, other.state);
    }
};

// Sessions on the device; each has the states of two layers, of which the second is used.
struct Device {
    const Layer &layer;
    const Sizes &s;
    slm_cuda_stream stream{nullptr, 0};
    DeviceArray<float> conv, conv_bias, a, direct, dt_bias, state;
    Results results[Layer::n_slots];
    std::uint32_t at[Layer::n_slots] = {};

    explicit Device(const Layer &l)
        : layer(l), s(l.s), conv(l.conv), conv_bias(l.conv_bias), a(l.a), direct(l.direct),
          dt_bias(l.dt_bias), state(std::vector<float>(Layer::n_slots * 2 * l.s.state_floats())) {}

    // n[i] more tokens of session i in one step, in the order of the sessions.
    void step(const std::uint32_t (&n)[Layer::n_slots]) {
        std::vector<slm_cuda_row> rows;
        std::vector<slm_cuda_run> runs;
        std::vector<float> in, bc, dt;
        for (std::uint32_t i = 0; i < Layer::n_slots; i++) {
            runs.push_back({static_cast<std::uint32_t>(rows.size()), n[i]});
            for (std::uint32_t p = at[i]; p < at[i] + n[i]; p++) {
                rows.push_back({7, i, p, UINT32_MAX});
                append(in, layer.in[i], p, 2 * s.d);
                append(bc, layer.bc[i], p, s.bc_stride());
                append(dt, layer.dt[i], p, s.d);
            }
        }
        const std::size_t n_out = rows.size() * s.d;
        DeviceArray<slm_cuda_row> on_device(rows);
        DeviceArray<slm_cuda_run> runs_on_device(runs);
        DeviceArray<float> inputs(in), shared(bc), steps(dt), channels(n_out), memory(n_out),
            out(n_out);
        const slm_cuda_scan scan = {s.d,
                                    s.n_state,
                                    s.n_conv,
                                    s.dt_rank,
                                    on_device.at,
                                    runs_on_device.at,
                                    state.at + s.state_floats(),
                                    2 * s.state_floats(),
                                    conv.at,
                                    conv_bias.at,
                                    a.at,
                                    direct.at,
                                    dt_bias.at,
                                    inputs.at,
                                    channels.at,
                                    shared.at,
                                    static_cast<std::uint32_t>(s.bc_stride()),
                                    steps.at,
                                    memory.at,
                                    out.at};
        DONE(slm_cuda_convolve(&stream, &scan, static_cast<std::uint32_t>(rows.size())));
        DONE(slm_cuda_scan_rows(&stream, &scan, Layer::n_slots));
        const std::vector<float> got[] = {channels.get(), memory.get(), out.get(), state.get()};
        std::size_t row = 0;
        for (std::uint32_t i = 0; i < Layer::n_slots; i++, row += n[i - 1]) {
            Results &r = results[i];
            std::vector<float> *to[] = {&r.channels, &r.memory, &r.out};
            for (int k = 0; k < 3; k++) {
                to[k]->insert(to[k]->end(), got[k].begin() + row * s.d,
                              got[k].begin() + (row + n[i]) * s.d);
            }
            const auto first = got[3].begin() + 2 * i * s.state_floats();
            r.state.assign(first, first + 2 * s.state_floats());
            at[i] += n[i];
        }
    }
    static void append(std::vector<float> &to, const std::vector<float> &from, std::size_t token,
                       std::size_t n) {
        to.insert(to.end(), from.begin() + token * n, from.begin() + (token + 1) * n);
    }
};

// What session `slot` has after n tokens that come in steps of `chunk`.
Results alone(const Layer &layer, std::uint32_t slot, std::uint32_t n, std::uint32_t chunk) {
    Device device(layer);
    for (std::uint32_t i = 0; i < n; i += chunk) {
        std::uint32_t rows[2] = {0, 0};
        rows[slot] = std::min(chunk, n - i);
        device.step(rows);
    }
    return device.results[slot];
}

double silu(double x) {
    return x / (1 + std::exp(-x));
}

void near(const char *what, const Sizes &s, std::uint32_t t, std::uint32_t e, float got,
          double wanted, double bound) {
    if (!(std::fabs(static_cast<double>(got) - wanted) <= bound)) {
        fail_msg("%s: %u channels, %u states, %u taps: token %u, channel %u: got %.9g, wanted %.9g "
                 "+- %.2g",
                 what, s.d, s.n_state, s.n_conv, t, e, static_cast<double>(got), wanted, bound);
    }
}

// Against the definition. Of a sum the bound is a few roundings of its terms; that of a state grows
// with every token, whose factor exp(dt a) is good to 2^-21 and |dt a| 2^-23.
void check(const Sizes &s, std::uint32_t n) {
    const Layer layer(s);
    const Results got = alone(layer, 1, n, n);
    for (std::uint32_t e = 0; e < s.d; e++) {
        std::vector<double> h(s.n_state), h_bound(s.n_state);
        for (std::uint32_t t = 0; t < n; t++) {
            double sum = layer.conv_bias[e], size = std::fabs(sum);
            for (std::uint32_t j = 0; j < s.n_conv && j <= t; j++) {
                const double term =
                    static_cast<double>(layer.conv[s.group(e, s.n_conv - 1 - j, s.n_conv)]) *
                    layer.in[1][(t - j) * 2 * s.d + e];
                sum += term;
                size += std::fabs(term);
            }
            const float x = got.channels[t * s.d + e];
            near("convolution", s, t, e, x, silu(sum), (s.n_conv + 6) * size * 0x1p-23);

            const double raw = static_cast<double>(layer.dt[1][t * s.d + e]) + layer.dt_bias[e];
            const double dt = std::log1p(std::exp(raw));
            const float *b = &layer.bc[1][t * s.bc_stride() + s.dt_rank], *c = b + s.n_state;
            double y = static_cast<double>(layer.direct[e]) * x, bound = std::fabs(y) * 0x1p-22;
            for (std::uint32_t k = 0; k < s.n_state; k++) {
                const double exponent = dt * layer.a[s.group(e, k, s.n_state)];
                const double factor = std::exp(exponent), more = dt * x * b[k];
                h_bound[k] =
                    factor * (h_bound[k] + std::fabs(h[k]) * 0x1p-20 * (1 + std::fabs(exponent))) +
                    std::fabs(more) * 0x1p-20;
                h[k] = factor * h[k] + more;
                y += h[k] * c[k];
                bound += std::fabs(c[k]) * (h_bound[k] + std::fabs(h[k]) * s.n_state * 0x1p-23);
            }
            const double z = layer.in[1][(2 * t + 1) * s.d + e];
            near("scan", s, t, e, got.memory[t * s.d + e], y, bound);
            near("gate", s, t, e, got.out[t * s.d + e], silu(z) * y,
                 std::fabs(silu(z)) * (bound + std::fabs(y) * 0x1p-20));
        }
        const float *state = &got.state[s.state_floats()];
        for (std::uint32_t j = 0; j + 1 < s.n_conv; j++) { /* exactly the last inputs */
            const float *of = &layer.in[1][e];
            const float wanted = n + j >= s.n_conv - 1 ? of[(n + j - (s.n_conv - 1)) * 2 * s.d] : 0;
            assert_true(state[s.group(e, j, s.n_conv - 1)] == wanted);
        }
        for (std::uint32_t k = 0; k < s.n_state; k++) {
            near("state", s, n, e, state[s.d * (s.n_conv - 1) + s.group(e, k, s.n_state)], h[k],
                 h_bound[k]);
        }
    }
    for (std::size_t i = 0; i < s.state_floats(); i++) { /* of another layer */
        assert_true(got.state[i] == 0);
    }
}

void sizes(void **) {
    for (std::uint32_t d : {16u, 48u, 64u, 144u}) {
        check({d, 16, 4}, 9);
    }
    for (std::uint32_t n_state : {1u, 7u, 15u, 17u, 32u, 40u}) {
        check({32, n_state, 4}, 35);
    }
    for (std::uint32_t n_conv : {1u, 2u, 3u, 8u, 16u}) {
        check({16, 16, n_conv}, 5);
        check({16, 16, n_conv}, 20);
    }
    check({16, 16, 4, 8}, 70);
}

// Time steps so large that states are forgotten, and so small that nothing happens.
void extreme_steps(void **) {
    Layer layer({16, 16, 4});
    for (std::uint32_t t = 0; t < 8; t++) {
        for (std::uint32_t e = 0; e < 16; e++) {
            layer.dt[0][t * 16 + e] = t % 2 ? 300.0f : -300.0f;
        }
    }
    const Results got = alone(layer, 0, 8, 8);
    for (const std::vector<float> *of : {&got.memory, &got.out, &got.state}) {
        for (float x : *of) {
            assert_true(std::isfinite(x));
        }
    }
}

void bits_of_a_session(void **) {
    for (const Sizes &s : {Sizes{80, 16, 4}, Sizes{16, 24, 6}}) {
        const Layer layer(s);
        const std::uint32_t n = 75;
        const Results want[] = {alone(layer, 0, n, n), alone(layer, 1, n, n)};
        for (std::uint32_t chunk : {1u, 2u, 3u, 31u, 32u, 33u, 64u}) {
            assert_true(alone(layer, 1, n, chunk) == want[1]);
        }
        Device both(layer);
        while (both.at[0] < n || both.at[1] < n) {
            const std::uint32_t rows[] = {std::min(n - both.at[0], 1 + both.at[1] % 5),
                                          std::min(n - both.at[1], 40u)};
            both.step(rows);
        }
        assert_true(both.results[0] == want[0]);
        assert_true(both.results[1] == want[1]);
    }
}

void thread_orders(void **) {
    const Layer layer({80, 20, 4});
    assert_true(orders_agree([&] {
        Device device(layer);
        device.step({35, 2});
        device.step({1, 33});
        std::vector<float> all;
        for (const Results &r : device.results) {
            for (const std::vector<float> *of : {&r.channels, &r.memory, &r.out, &r.state}) {
                all.insert(all.end(), of->begin(), of->end());
            }
        }
        return all;
    }));
}

void what_cannot_be_is_refused(void **) {
    slm_cuda_stream stream{nullptr, 0};
    slm_cuda_scan good{};
    good.d_inner = 16;
    good.d_state = 16;
    good.n_conv = 4;
    slm_cuda_scan bad[] = {good, good, good, good};
    bad[0].d_inner = 24;
    bad[1].d_inner = 0;
    bad[2].d_state = 0;
    bad[3].n_conv = 0;
    for (const slm_cuda_scan &scan : bad) {
        assert_int_equal(slm_cuda_convolve(&stream, &scan, 1), cudaErrorInvalidValue);
        assert_int_equal(slm_cuda_scan_rows(&stream, &scan, 1), cudaErrorInvalidValue);
    }
    DONE(slm_cuda_convolve(&stream, &good, 0));
    DONE(slm_cuda_scan_rows(&stream, &good, 0));
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        DEVICE_TEST(sizes),
        DEVICE_TEST(extreme_steps),
        DEVICE_TEST(bits_of_a_session),
        DEVICE_TEST(thread_orders),
        DEVICE_TEST(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests_name("scan", tests, nullptr, nullptr);
}
