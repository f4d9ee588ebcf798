/* Reading past the page cache: the bytes of any range, and the cache as it was. */
#define _GNU_SOURCE
#include "base/file.h"
#include "support/message_flaw.h"
#include "support/temp_folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE ((size_t)300007) /* not of whole pages */

static slm_host host;
static uint8_t content[SIZE];
static const char *path;

static int start(void **state) {
    (void)state;
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    temp_clear();
    for (size_t i = 0; i < SIZE; i++)
        content[i] = (uint8_t)((i * 2654435761u) >> 13);
    path = temp_path("weights.bin");
    temp_write(path, content, SIZE);
    return 0;
}

static int no_leak(void **state) {
    (void)state;
    temp_clear();
    return host.bytes != 0;
}

/* Pages of the file that the system holds. */
static size_t n_resident(void) {
    unsigned char pages[SIZE / 1024];
    size_t found = 0, page = (size_t)sysconf(_SC_PAGESIZE), n = (SIZE + page - 1) / page;
    int fd = open(path, O_RDONLY);
    void *map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED);
    assert_int_equal(mincore(map, SIZE, pages), 0);
    for (size_t i = 0; i < n; i++)
        found += pages[i] & 1;
    munmap(map, SIZE);
    close(fd);
    return found;
}

static slm_file *open_file(int cold) {
    slm_file *f = NULL;
    int fd = open(path, O_RDONLY);
    assert_int_equal(fsync(fd), 0);
    if (cold)
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
    assert_int_equal(slm_file_open(&host, path, SLM_LOAD_AROUND, NULL, NULL, &f, NULL), SLM_OK);
    return f;
}

/* Into a buffer that ends where it has to. */
static slm_status read_range(const slm_file *f, size_t offset, size_t size, slm_error *error) {
    uint8_t *buffer = NULL;
    const uint8_t *data = NULL;
    assert_int_equal(posix_memalign((void **)&buffer, SLM_AROUND_ALIGN, size + SLM_AROUND_ROOM), 0);
    slm_status status = slm_file_read_around(f, buffer, size, offset, &data, error);
    if (status == SLM_OK) {
        assert_true(data >= buffer && data + size <= buffer + size + SLM_AROUND_ROOM);
        assert_memory_equal(data, content + offset, size);
    }
    free(buffer);
    return status;
}

static void read_ranges(const slm_file *f) {
    static const size_t ranges[][2] = {
        {0, 1},        {0, 4096},       {1, 4096},       {4095, 2},           {4096, 8192},
        {5, 100000},   {8191, 1},       {0, SIZE},       {SIZE - 1, 1},       {SIZE - 5000, 5000},
        {123, 280001}, {294912, 5095},  {294911, 5096},  {SIZE / 2, SIZE / 4}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        assert_int_equal(read_range(f, ranges[i][0], ranges[i][1], NULL), SLM_OK);
}

static void test_any_range(void **state) {
    (void)state;
    for (int cold = 0; cold < 2; cold++) {
        slm_file *f = open_file(cold);
        read_ranges(f);
        slm_file_close(&host, f);
    }
}

static void test_the_cache_stays_cold(void **state) {
    (void)state;
    slm_file *f = open_file(1);
    int has_direct = f->direct >= 0 && f->resident != NULL;
    slm_file_expect_little(f, 4096);
    read_ranges(f);
    assert_int_equal(f->data[SIZE / 2], content[SIZE / 2]);
    size_t found = n_resident();
    slm_file_close(&host, f);
    if (!has_direct)
        skip(); /* a file system in memory, or without such reads */
    assert_in_range(found, 1, 3); /* what was looked at; not what lies beside */
}

/* Where a read past the cache fails, or there is none, it is an ordinary one. */
static void test_other_ways(void **state) {
    (void)state;
    slm_file *f = open_file(1);
    int direct = f->direct;
    f->direct = open(path, O_WRONLY); /* cannot be read */
    read_ranges(f);
    close(f->direct);
    f->direct = -1;
    read_ranges(f);
    f->direct = direct;
    slm_file_close(&host, f);
    assert_int_equal(slm_file_open(&host, path, SLM_LOAD_MAP, NULL, NULL, &f, NULL), SLM_OK);
    assert_int_equal(f->direct, -1);
    read_ranges(f);
    slm_file_close(&host, f);
}

static void test_a_file_cut_short(void **state) {
    (void)state;
    for (int cold = 0; cold < 2; cold++) {
        slm_error e = SLM_ERROR_INIT;
        temp_write(path, content, SIZE);
        slm_file *f = open_file(cold);
        assert_int_equal(truncate(path, 200000), 0);
        assert_int_equal(read_range(f, 100000, 100000, &e), SLM_OK);
        assert_int_equal(read_range(f, 100000, 100001, &e), SLM_ERR_CHANGED);
        assert_null(message_flaw(&e));
        assert_non_null(strstr(e.message, "became shorter"));
        assert_int_equal(read_range(f, 250000, 10, &e), SLM_ERR_CHANGED);
        slm_file_close(&host, f);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, no_leak)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_any_range),
        TEST(test_the_cache_stays_cold),
        TEST(test_other_ways),
        TEST(test_a_file_cut_short),
    };
    return cmocka_run_group_tests_name("file_around", tests, NULL, NULL);
}
