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
        TEST(test_cores_by_siblings),  TEST(test_quota_of_cgroup_2),
        TEST(test_quota_of_cgroup_1),  TEST(test_memory),
        TEST(test_memory_of_cgroup_1), TEST(test_long_group),
    };
    return cmocka_run_group_tests_name("system", tests, NULL, NULL);
}
