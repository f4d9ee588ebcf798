/* What libslm/base learns of the machine, from made-up files of a system. */
#include "base/os.h"

#include "support/temp_folder.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static int start(void **state) {
    (void)state;
    temp_clear();
    return 0;
}

/* Writes a file of the made-up system, with its folders. */
static void put(const char *name, const char *text) {
    char path[700];
    snprintf(path, sizeof path, "%s/%s", temp_folder(), name);
    for (char *slash = path + strlen(temp_folder()) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
    temp_write(path, text, strlen(text));
}

/* The same siblings for every processor that this process may use. */
static int put_siblings(const char *list) {
    cpu_set_t set;
    int n = 0;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        char name[100], own[20];
        if (!CPU_ISSET(cpu, &set))
            continue;
        n++;
        snprintf(own, sizeof own, "%d\n", cpu);
        snprintf(name, sizeof name, "sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
                 cpu);
        put(name, list ? list : own);
    }
    return n;
}

#define CPUS() slm_cpu_count_in(temp_folder())

static void test_cores_by_siblings(void **state) {
    (void)state;
    /* No files: each processor is a core. */
    uint32_t n = CPUS();
    assert_int_equal(n, put_siblings(NULL));
    assert_int_equal(CPUS(), n);
    /* All are threads of one core, spelt in several ways. */
    put_siblings("0-1023\n");
    assert_int_equal(CPUS(), 1);
    char list[6000] = "0";
    for (int i = 1; i < 200; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), ",%d", i);
    put_siblings(list);
    assert_int_equal(CPUS(), 1);
    put_siblings("0-99,100-1023");
    assert_int_equal(CPUS(), 1);
    /* Nonsense counts for nothing. */
    put_siblings("\n");
    assert_int_equal(CPUS(), n);
    put_siblings("what");
    assert_int_equal(CPUS(), n);
    assert_true(slm_cpu_count() >= 1 && slm_cpu_count() <= n);
}

/* A file of one of the processors [first, last]. */
static void put_cpus(int first, int last, const char *file, const char *text) {
    for (int cpu = first; cpu <= last; cpu++) {
        char name[100];
        snprintf(name, sizeof name, "sys/devices/system/cpu/cpu%d/%s", cpu, file);
        put(name, text);
    }
}

/* Cores of the made-up system for a process that may run on processors [first, last] and `also`. */
static uint32_t cores(int first, int last, int also) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int cpu = first; cpu <= last; cpu++)
        CPU_SET(cpu, &set);
    if (also >= 0)
        CPU_SET(also, &set);
    return slm_core_count_in(temp_folder(), &set, sizeof set);
}

/* Two large cores of two threads, six small ones: an Intel hybrid. Its capacities say nothing. */
static void test_named_small_cores(void **state) {
    (void)state;
    put_cpus(0, 9, "cpu_capacity", "1024\n");
    put_cpus(0, 1, "topology/thread_siblings_list", "0-1\n");
    put_cpus(2, 3, "topology/thread_siblings_list", "2-3\n");
    assert_int_equal(cores(0, 9, -1), 8);
    put("sys/devices/cpu_core/cpus", "0-3\n");
    put("sys/devices/cpu_atom/cpus", "4-9\n");
    assert_int_equal(cores(0, 9, -1), 2);
    assert_int_equal(cores(1, 2, -1), 2);
    assert_int_equal(cores(0, 1, 6), 1);
    assert_int_equal(cores(4, 8, -1), 5); /* it may use small ones alone */
    assert_int_equal(cores(5, 4, -1), 0);
    /* A third kind, and a frequency that must not be asked: the names have told. */
    put("sys/devices/cpu_atom/cpus", "4-7\n");
    put_cpus(0, 1, "cpufreq/cpuinfo_max_freq", "5000000\n");
    put_cpus(2, 9, "cpufreq/cpuinfo_max_freq", "1000000\n");
    assert_int_equal(cores(0, 9, -1), 4);
    put("sys/devices/cpu_lowpower/cpus", "8,9\n");
    assert_int_equal(cores(0, 9, -1), 2);
    assert_int_equal(cores(2, 3, 9), 1);
}

static void test_capacities(void **state) {
    (void)state;
    /* Four small and four large cores of a board. */
    put_cpus(0, 3, "cpu_capacity", "397\n");
    put_cpus(4, 7, "cpu_capacity", "1024\n");
    for (int cpu = 0; cpu < 8; cpu++) {
        char own[20];
        snprintf(own, sizeof own, "%d\n", cpu);
        put_cpus(cpu, cpu, "topology/thread_siblings_list", own);
    }
    assert_int_equal(cores(0, 7, -1), 4);
    assert_int_equal(cores(0, 4, -1), 1);
    assert_int_equal(cores(0, 3, -1), 4);
    /* Of three kinds the middle one counts: from half of the largest on. */
    put_cpus(4, 5, "cpu_capacity", "512\n");
    assert_int_equal(cores(0, 7, -1), 4);
    put_cpus(4, 5, "cpu_capacity", "511\n");
    assert_int_equal(cores(0, 7, -1), 2);
    assert_int_equal(cores(0, 5, -1), 6); /* beside 511 a core of 397 is not slow */
    /* Figures that differ decide; a frequency is not asked. */
    put_cpus(4, 5, "cpu_capacity", "1000\n");
    put_cpus(0, 6, "cpufreq/cpuinfo_max_freq", "1000000\n");
    put_cpus(7, 7, "cpufreq/cpuinfo_max_freq", "9000000\n");
    assert_int_equal(cores(0, 7, -1), 4);
    /* Where one has none, they say nothing. */
    put_cpus(2, 2, "cpu_capacity", "none\n");
    assert_int_equal(cores(0, 6, -1), 7);
    assert_int_equal(cores(3, 6, -1), 3);
}

/* Eight cores of two threads; half of the cores are compact and reach lower frequencies. */
static void test_frequencies(void **state) {
    (void)state;
    char pair[40];
    for (int core = 0; core < 8; core++) {
        snprintf(pair, sizeof pair, "%d,%d\n", core, core + 8);
        put_cpus(core, core, "topology/thread_siblings_list", pair);
        put_cpus(core + 8, core + 8, "topology/thread_siblings_list", pair);
    }
    put_cpus(0, 15, "cpu_capacity", "1024\n");
    put_cpus(0, 15, "cpufreq/cpuinfo_max_freq", "5100000\n");
    assert_int_equal(cores(0, 15, -1), 8);
    put_cpus(4, 7, "cpufreq/cpuinfo_max_freq", "3300000\n");
    put_cpus(12, 15, "cpufreq/cpuinfo_max_freq", "3300000\n");
    assert_int_equal(cores(0, 15, -1), 4);
    assert_int_equal(cores(4, 7, 13), 4);
    assert_int_equal(cores(2, 9, -1), 2 + 2);
    /* The best cores of one kind are a little faster than their like. */
    put_cpus(4, 7, "cpufreq/cpuinfo_max_freq", "4700000\n");
    put_cpus(12, 15, "cpufreq/cpuinfo_max_freq", "4700000\n");
    assert_int_equal(cores(0, 15, -1), 8);
    put_cpus(7, 7, "cpufreq/cpuinfo_max_freq", "");
    put_cpus(1, 1, "cpufreq/cpuinfo_max_freq", "1\n");
    assert_int_equal(cores(0, 15, -1), 8);
}

static void test_quota_of_cgroup_2(void **state) {
    (void)state;
    uint32_t n = CPUS();
    put("proc/self/cgroup", "0::/user/job\n");
    put("sys/fs/cgroup/user/job/cpu.max", "max 100000\n");
    assert_int_equal(CPUS(), n);
    put("sys/fs/cgroup/user/job/cpu.max", "150000 100000\n");
    assert_int_equal(CPUS(), 1);
    put("sys/fs/cgroup/user/job/cpu.max", "1000 100000\n");
    assert_int_equal(CPUS(), 1);
    put("sys/fs/cgroup/user/job/cpu.max", "100000000 100000\n");
    assert_int_equal(CPUS(), n);
    put("sys/fs/cgroup/user/job/cpu.max", "0 0\n");
    assert_int_equal(CPUS(), n);
    /* A group above, or the top that a container sees. */
    put("sys/fs/cgroup/user/cpu.max", "100000 100000\n");
    assert_int_equal(CPUS(), 1);
    put("sys/fs/cgroup/user/cpu.max", "");
    assert_int_equal(CPUS(), n);
    put("proc/self/cgroup", "0::/not/to/be/seen\n");
    put("sys/fs/cgroup/cpu.max", "100000 100000\n");
    assert_int_equal(CPUS(), 1);
}

static void test_quota_of_cgroup_1(void **state) {
    (void)state;
    uint32_t n = CPUS();
    put("proc/self/cgroup", "broken\n7:memory:/x\n3:cpuacct,cpu:/job\n0::/\n");
    put("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
    assert_int_equal(CPUS(), n);
    put("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "100000\n");
    assert_int_equal(CPUS(), 1);
    put("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "10\n");
    assert_int_equal(CPUS(), n);
    put("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "");
    assert_int_equal(CPUS(), n);
}

static void expect_room(uint64_t want) {
    uint64_t got = slm_memory_available_in(temp_folder());
    if (got != want)
        print_message("%llu, wanted %llu\n", (unsigned long long)got, (unsigned long long)want);
    assert_true(got == want);
}

static void test_memory(void **state) {
    (void)state;
    expect_room(UINT64_MAX);
    put("proc/meminfo", "MemTotal:  100 kB\nMemFree:  10 kB\nMemAvailable:    5000 kB\nX: 1 kB\n");
    expect_room(5000 * 1024);
    put("proc/self/cgroup", "0::/job\n");
    put("sys/fs/cgroup/job/memory.max", "max\n");
    put("sys/fs/cgroup/job/memory.current", "1000\n");
    expect_room(5000 * 1024);
    put("sys/fs/cgroup/job/memory.max", "3000\n");
    expect_room(2000);
    /* File pages that were not used lately can be taken. */
    put("sys/fs/cgroup/job/memory.stat", "anon 100\nfile 900\ninactive_file 400\nx 1\n");
    expect_room(2400);
    put("sys/fs/cgroup/job/memory.stat", "anon 100\ninactive_file 9000\n");
    expect_room(3000);
    put("sys/fs/cgroup/job/memory.stat", "anon 100\n");
    put("sys/fs/cgroup/job/memory.current", "4000\n");
    expect_room(0);
    put("sys/fs/cgroup/job/memory.max", "max\n");
    put("sys/fs/cgroup/memory.max", "77\n");
    expect_room(5000 * 1024); /* its use is not known */
    put("sys/fs/cgroup/memory.current", "7\n");
    expect_room(70);
}

static void test_memory_of_cgroup_1(void **state) {
    (void)state;
    put("proc/meminfo", "MemTotal:  1 kB\nMemAvailable: 5000 kB\n");
    put("proc/self/cgroup", "7:memory:/job\n");
    put("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "9223372036854771712\n");
    put("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "1000\n");
    put("sys/fs/cgroup/memory/job/memory.stat", "cache 1\ntotal_inactive_file 300\n");
    expect_room(5000 * 1024);
    put("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "3000\n");
    expect_room(2300);
}

/* A path of a group too long to hold is passed over. */
static void test_long_group(void **state) {
    (void)state;
    char line[1000] = "0::/";
    memset(line + 4, 'g', 900);
    line[904] = 0;
    put("proc/self/cgroup", line);
    put("proc/meminfo", "MemTotal:  1 kB\nMemAvailable: 1 kB\n");
    put("sys/fs/cgroup/memory.max", "10\n");
    put("sys/fs/cgroup/memory.current", "1\n");
    expect_room(1024);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup(f, start)
    const struct CMUnitTest tests[] = {
        TEST(test_cores_by_siblings),
        TEST(test_named_small_cores),
        TEST(test_capacities),
        TEST(test_frequencies),
        TEST(test_quota_of_cgroup_2),
        TEST(test_quota_of_cgroup_1),
        TEST(test_memory),
        TEST(test_memory_of_cgroup_1),
        TEST(test_long_group),
    };
    return cmocka_run_group_tests_name("system", tests, NULL, NULL);
}
