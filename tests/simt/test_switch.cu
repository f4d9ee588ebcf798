// The switch between stacks: what a function may keep over a call survives it, and how long it
// takes.

#include "kernel_test.h"
#include "fiber.h"

#include <ctime>

static simt::Context here, there;
static simt::Stack *stack;
static int n_entered;
static double sum_there;

static void entry() {
    simt::context_entered(&here);
    double a = 1.5, b = 2.5, c = 3.5, d = 4.5, e = 5.5, f = 6.5, g = 7.5, h = 8.5, i = 9.5;
    long p = 1, q = 2, r = 3, s = 4, t = 5, u = 6;
    for (;;) {
        n_entered++;
        simt::context_switch(&there, &here);
        // Enough of both kinds that some have to be in registers that the switch keeps.
        a += 1, b += 2, c += 3, d += 4, e += 5, f += 6, g += 7, h += 8, i += 9;
        p += 1, q += 2, r += 3, s += 4, t += 5, u += 6;
        sum_there = a + b + c + d + e + f + g + h + i + static_cast<double>(p + q + r + s + t + u);
    }
}

static void keeps_registers(void **) {
    stack = simt::stack_take();
    simt::context_start(&here, &there, stack, entry);
    assert_int_equal(n_entered, 1);
    double x = 0.25, y = 0.125, z = 7;
    long i = 0, n = 1000, odd = 0;
    for (; i < n; i++) {
        simt::context_switch(&here, &there);
        x += 0.5, y += 0.25, z += 1, odd += i & 1;
    }
    assert_int_equal(n_entered, 1001);
    assert_true(x == 500.25 && y == 250.125 && z == 1007 && odd == 500);
    assert_true(sum_there == 49.5 + 21 + 1000.0 * (45 + 21));
}

// Says how long; a machine that is busy is no reason to fail.
static void says_its_time(void **) {
    timespec from, to;
    long n = 200000;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    for (long i = 0; i < n; i++) {
        simt::context_switch(&here, &there);
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    double ns = static_cast<double>(to.tv_sec - from.tv_sec) * 1e9 +
                static_cast<double>(to.tv_nsec - from.tv_nsec);
    print_message("%.1f ns a switch\n", ns / static_cast<double>(2 * n));
    assert_int_equal(n_entered, 1001 + n);
}

// Every stack has its own memory, and gives it back for the next.
static void stacks_are_apart(void **) {
    std::vector<simt::Stack *> taken;
    for (int i = 0; i < 200; i++) {
        taken.push_back(simt::stack_take());
        std::memset(taken.back()->bottom, i, taken.back()->bytes);
    }
    for (int i = 0; i < 200; i++) {
        const unsigned char *bottom = taken[static_cast<std::size_t>(i)]->bottom;
        assert_int_equal(bottom[0], i);
        assert_int_equal(bottom[taken[static_cast<std::size_t>(i)]->bytes - 1], i);
    }
    for (simt::Stack *s : taken) {
        simt::stack_give_back(s);
    }
    assert_ptr_equal(simt::stack_take(), taken.back());
    simt::stack_give_back(taken.back());
}

int main() {
    const CMUnitTest tests[] = {cmocka_unit_test(keeps_registers), cmocka_unit_test(says_its_time),
                                cmocka_unit_test(stacks_are_apart)};
    return cmocka_run_group_tests_name("switch", tests, nullptr, nullptr);
}
