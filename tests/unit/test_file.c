/* Files of libslm/base: opening, mapping, reading, noticing changes, writing. */
#define _XOPEN_SOURCE 700
#include "base/file.h"
#include "support/fail_alloc.h"
#include "support/message_flaw.h"
#include "support/temp_folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static slm_host host;

static int start(void **state) {
    (void)state;
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    temp_clear();
    return 0;
}

static int no_leak(void **state) {
    (void)state;
    return host.bytes != 0;
}

static void expect_refused(const char *path, slm_load load, const char *part) {
    slm_error e = SLM_ERROR_INIT;
    slm_file *f = (slm_file *)&e;
    assert_int_equal(slm_file_open(&host, path, load, NULL, NULL, &f, &e), SLM_ERR_IO);
    assert_null(f);
    assert_int_equal(e.status, SLM_ERR_IO);
    if (message_flaw(&e))
        fail_msg("%s: %s", message_flaw(&e), e.message);
    assert_non_null(strstr(e.message, part));
    assert_null(strstr(e.message, temp_folder()));
    assert_true(host.bytes == 0);
}

static void test_open_every_way(void **state) {
    (void)state;
    const char *path = temp_path("some.bin");
    temp_write(path, "hello", 5);
    static const slm_load loads[] = {SLM_LOAD_AUTO, SLM_LOAD_MAP, SLM_LOAD_READ};
    for (int i = 0; i < 3; i++) {
        slm_file *f = NULL;
        assert_int_equal(slm_file_open(&host, path, loads[i], NULL, NULL, &f, NULL), SLM_OK);
        assert_int_equal(f->kind, i < 2 ? SLM_FILE_MAPPED : SLM_FILE_READ);
        assert_true(f->size == 5 && memcmp(f->data, "hello", 5) == 0);
        assert_string_equal(f->name, "some.bin");
        assert_int_equal(slm_file_check(f, NULL), SLM_OK);
        slm_file_close(&host, f);
        assert_true(host.bytes == 0);

        int fd = open(path, O_RDONLY);
        assert_true(lseek(fd, 3, SEEK_SET) == 3);
        assert_int_equal(slm_file_open_fd(&host, fd, loads[i], NULL, NULL, &f, NULL), SLM_OK);
        assert_true(lseek(fd, 0, SEEK_CUR) == 3);
        close(fd);
        assert_true(f->size == 5 && memcmp(f->data, "hello", 5) == 0);
        slm_file_close(&host, f);

        const char text[] = "hello";
        assert_int_equal(slm_file_open_memory(&host, text, 5, loads[i], &f, NULL), SLM_OK);
        assert_int_equal(f->kind, i < 2 ? SLM_FILE_BORROWED : SLM_FILE_READ);
        assert_true((f->data == (const uint8_t *)text) == (i < 2));
        assert_true(memcmp(f->data, "hello", 5) == 0);
        assert_int_equal(slm_file_check(f, NULL), SLM_OK);
        slm_file_close(&host, f);
    }
    slm_file_close(&host, NULL);
}

static void test_open_empty(void **state) {
    (void)state;
    const char *path = temp_path("empty");
    temp_write(path, "", 0);
    for (slm_load load = SLM_LOAD_AUTO; load <= SLM_LOAD_READ; load++) {
        slm_file *f = NULL;
        assert_int_equal(slm_file_open(&host, path, load, NULL, NULL, &f, NULL), SLM_OK);
        assert_true(f->size == 0 && f->data != NULL);
        slm_file_close(&host, f);
        assert_int_equal(slm_file_open_memory(&host, NULL, 0, load, &f, NULL), SLM_OK);
        assert_true(f->size == 0 && f->data != NULL);
        slm_file_close(&host, f);
    }
}

static void test_open_refuses_arguments(void **state) {
    (void)state;
    slm_error e = SLM_ERROR_INIT;
    slm_file *f = NULL;
    assert_int_equal(slm_file_open(&host, "x", 4, NULL, NULL, &f, &e), SLM_ERR_ARG);
    assert_int_equal(slm_file_open_fd(&host, 0, -1, NULL, NULL, &f, &e), SLM_ERR_ARG);
    assert_int_equal(slm_file_open_memory(&host, "x", 1, 9, &f, &e), SLM_ERR_ARG);
    assert_non_null(strstr(e.message, "load is 9"));
    assert_int_equal(slm_file_open_memory(&host, NULL, 1, 0, &f, &e), SLM_ERR_ARG);
    assert_int_equal(slm_file_open_fd(&host, -1, 0, NULL, NULL, &f, &e), SLM_ERR_IO);
    assert_null(f);
}

/* Nothing but regular files, at once and without blocking. */
static void test_not_a_regular_file(void **state) {
    (void)state;
    const char *fifo = temp_path("fifo");
    const char *link_path = temp_path("link");
    const char *socket_path = temp_path("socket");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(symlink("nowhere", link_path), 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(strlen(socket_path) < sizeof address.sun_path);
    strcpy(address.sun_path, socket_path);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(s, (struct sockaddr *)&address, sizeof address), 0);
    for (slm_load load = SLM_LOAD_AUTO; load <= SLM_LOAD_READ; load++) {
        expect_refused(temp_folder(), load, "is a folder, wanted a regular file");
        expect_refused(fifo, load, "fifo is a pipe");
        expect_refused("/dev/null", load, "null is a device");
        expect_refused(socket_path, load, "cannot open socket");
        expect_refused(link_path, load, "cannot open link: No such file");
        expect_refused(temp_path("absent"), load, "cannot open absent: No such file");
        expect_refused(temp_path("absent/model"), load, "cannot open model");
        expect_refused("", load, "cannot open");
    }
    close(s);
    int pipes[2];
    slm_error e = SLM_ERROR_INIT;
    slm_file *f = NULL;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(slm_file_open_fd(&host, pipes[0], 0, NULL, NULL, &f, &e), SLM_ERR_IO);
    assert_non_null(strstr(e.message, "descriptor is a pipe"));
    close(pipes[0]);
    close(pipes[1]);
}

static void test_unreadable(void **state) {
    (void)state;
    const char *path = temp_path("secret");
    temp_write(path, "x", 1);
    assert_int_equal(chmod(path, 0), 0);
    /* Permissions do not bind root, so be somebody else for a moment. */
    uid_t self = geteuid();
    assert_true(self != 0 || seteuid(65534) == 0);
    expect_refused(path, SLM_LOAD_AUTO, "cannot open secret: Permission denied");
    assert_true(self != 0 || seteuid(0) == 0);
}

/* A descriptor that may only be written can be neither mapped nor read. */
static void test_write_only_descriptor(void **state) {
    (void)state;
    const char *path = temp_path("w");
    temp_write(path, "x", 1);
    int fd = open(path, O_WRONLY);
    slm_error e = SLM_ERROR_INIT;
    slm_file *f = NULL;
    assert_int_equal(slm_file_open_fd(&host, fd, SLM_LOAD_MAP, NULL, NULL, &f, &e), SLM_ERR_IO);
    assert_non_null(strstr(e.message, "cannot map descriptor: Permission denied"));
    assert_int_equal(slm_file_open_fd(&host, fd, SLM_LOAD_READ, NULL, NULL, &f, &e), SLM_ERR_IO);
    assert_non_null(strstr(e.message, "cannot read descriptor: Bad file descriptor"));
    assert_int_equal(slm_file_open_fd(&host, fd, SLM_LOAD_AUTO, NULL, NULL, &f, &e), SLM_ERR_IO);
    close(fd);
}

typedef struct progress_log {
    int calls, stop_at;
    uint64_t done, total;
} progress_log;

static int32_t on_progress(void *user, uint64_t done, uint64_t total) {
    progress_log *p = user;
    assert_true(done > p->done && done <= total);
    p->done = done;
    p->total = total;
    return ++p->calls == p->stop_at;
}

static void test_progress_and_cancel(void **state) {
    (void)state;
    const char *path = temp_path("big");
    const size_t size = ((size_t)20 << 20) + 3;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), (off_t)size), 0);
    fclose(file);
    progress_log p = {0, 0, 0, 0};
    slm_file *f = NULL;
    assert_int_equal(slm_file_open(&host, path, SLM_LOAD_READ, on_progress, &p, &f, NULL), SLM_OK);
    assert_true(p.calls == 3 && p.done == size && p.total == size);
    slm_file_close(&host, f);
    progress_log q = {0, 2, 0, 0};
    slm_error e = SLM_ERROR_INIT;
    assert_int_equal(slm_file_open(&host, path, SLM_LOAD_READ, on_progress, &q, &f, &e),
                     SLM_ERR_CANCEL);
    assert_null(f);
    assert_int_equal(q.calls, 2);
    assert_non_null(strstr(e.message, "big was stopped at 16777216 of 20971523 bytes"));
}

/* Replaced by rename or deleted: the old file stays; truncated or overwritten: noticed.
 */
static void test_changes(void **state) {
    (void)state;
    const char *path = temp_path("model");
    const char *other = temp_path("other");
    slm_error e = SLM_ERROR_INIT;
    slm_file *f = NULL;
    temp_write(path, "hello", 5);
    assert_int_equal(slm_file_open(&host, path, SLM_LOAD_MAP, NULL, NULL, &f, NULL), SLM_OK);
    temp_write(other, "other", 5);
    assert_int_equal(rename(other, path), 0);
    assert_int_equal(slm_file_check(f, &e), SLM_OK);
    assert_memory_equal(f->data, "hello", 5);
    slm_file_close(&host, f);

    assert_int_equal(slm_file_open(&host, path, SLM_LOAD_MAP, NULL, NULL, &f, NULL), SLM_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(slm_file_check(f, &e), SLM_OK);
    assert_memory_equal(f->data, "other", 5);
    slm_file_close(&host, f);

    temp_write(path, "hello", 5);
    assert_int_equal(slm_file_open(&host, path, SLM_LOAD_MAP, NULL, NULL, &f, NULL), SLM_OK);
    assert_int_equal(truncate(path, 2), 0);
    assert_int_equal(slm_file_check(f, &e), SLM_ERR_CHANGED);
    assert_non_null(strstr(e.message, "model changed since it was opened: size is 2, was 5"));
    slm_file_close(&host, f);

    temp_write(path, "hello", 5);
    assert_int_equal(slm_file_open(&host, path, SLM_LOAD_MAP, NULL, NULL, &f, NULL), SLM_OK);
    const struct timespec later[2] = {{2000000000, 0}, {2000000000, 0}};
    assert_int_equal(utimensat(AT_FDCWD, path, later, 0), 0);
    assert_int_equal(slm_file_check(f, &e), SLM_ERR_CHANGED);
    assert_non_null(strstr(e.message, "time of change is 2000000000000000000, was"));
    slm_file_close(&host, f);

    /* What was read into memory cannot change. */
    assert_int_equal(slm_file_open(&host, path, SLM_LOAD_READ, NULL, NULL, &f, NULL), SLM_OK);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(slm_file_check(f, &e), SLM_OK);
    slm_file_close(&host, f);
}

static int32_t cut_file(void *user, uint64_t done, uint64_t total) {
    (void)done;
    (void)total;
    return truncate(user, 9 << 20) != 0;
}

static void test_shrinks_while_read(void **state) {
    (void)state;
    char path[700];
    strcpy(path, temp_path("shrinking"));
    temp_write(path, "", 0);
    assert_int_equal(truncate(path, 20 << 20), 0);
    slm_error e = SLM_ERROR_INIT;
    slm_file *f = NULL;
    assert_int_equal(slm_file_open(&host, path, SLM_LOAD_READ, cut_file, path, &f, &e),
                     SLM_ERR_CHANGED);
    assert_non_null(strstr(e.message, "9437184 bytes, wanted 20971520"));
}

static void test_open_without_memory(void **state) {
    (void)state;
    const char *path = temp_path("file");
    temp_write(path, "hello", 5);
    fail_alloc fa = FAIL_ALLOC_INIT;
    for (fa.fail_at = 1; fa.fail_at <= 2; fa.fail_at++) {
        slm_host h;
        slm_error e = SLM_ERROR_INIT;
        slm_file *f = NULL;
        slm_allocator a = fail_alloc_start(&fa);
        slm_host_init(&h, &a, NULL, NULL, SLM_LOG_NONE);
        assert_int_equal(slm_file_open(&h, path, SLM_LOAD_READ, NULL, NULL, &f, &e), SLM_ERR_NOMEM);
        assert_null(f);
        a = fail_alloc_start(&fa);
        assert_int_equal(slm_file_open_memory(&h, "x", 1, SLM_LOAD_READ, &f, &e), SLM_ERR_NOMEM);
        assert_int_equal(fa.outstanding, 0);
    }
}

static void test_path_name(void **state) {
    (void)state;
    assert_string_equal(slm_path_name("/a/b.gguf"), "b.gguf");
    assert_string_equal(slm_path_name("b.gguf"), "b.gguf");
    assert_string_equal(slm_path_name("a/"), "a/");
    assert_string_equal(slm_path_name(""), "");
    assert_true(slm_path_exists(temp_folder()));
    assert_false(slm_path_exists(temp_path("absent")));
}

/* ---- writing ---- */

static void expect_content(const char *path, const char *want) {
    size_t size;
    char *text = temp_read(path, &size);
    assert_string_equal(text, want);
    free(text);
}

static void test_out_writes_and_replaces(void **state) {
    (void)state;
    char path[700];
    strcpy(path, temp_path("out.bin"));
    slm_out *out = NULL;
    assert_int_equal(slm_out_open(&host, path, &out, NULL), SLM_OK);
    assert_int_equal(slm_out_write(out, "one ", 4, NULL), SLM_OK);
    assert_int_equal(slm_out_write(out, "two", 3, NULL), SLM_OK);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(slm_out_commit(&out, NULL), SLM_OK);
    assert_null(out);
    expect_content(path, "one two");

    /* The old file stays until the new one is whole. */
    assert_int_equal(slm_out_open(&host, path, &out, NULL), SLM_OK);
    assert_int_equal(slm_out_write(out, "new", 3, NULL), SLM_OK);
    expect_content(path, "one two");
    slm_out_abandon(&out);
    assert_null(out);
    slm_out_abandon(&out);
    expect_content(path, "one two");
    assert_int_equal(temp_count(), 1);

    assert_int_equal(slm_out_open(&host, path, &out, NULL), SLM_OK);
    assert_int_equal(slm_out_commit(&out, NULL), SLM_OK);
    expect_content(path, "");
    assert_int_equal(temp_count(), 1);
}

static void test_out_sizes_around_the_buffer(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 65535, 65536, 65537, 3, 200000, 0, 65530, 6, 1};
    char path[700];
    strcpy(path, temp_path("sizes.bin"));
    uint8_t *data = malloc(200000);
    assert_non_null(data);
    for (size_t i = 0; i < 200000; i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
    slm_out *out = NULL;
    assert_int_equal(slm_out_open(&host, path, &out, NULL), SLM_OK);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_int_equal(slm_out_write(out, data, sizes[i], NULL), SLM_OK);
    assert_int_equal(slm_out_commit(&out, NULL), SLM_OK);
    size_t size, at = 0;
    uint8_t *got = temp_read(path, &size);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_true(at + sizes[i] <= size);
        assert_memory_equal(got + at, data, sizes[i]);
        at += sizes[i];
    }
    assert_true(at == size);
    free(got);
    free(data);
}

/* The link stays, and the file behind it keeps its mode. */
static void test_out_follows_links(void **state) {
    (void)state;
    char real[700], link_path[700];
    struct stat st;
    strcpy(real, temp_path("real"));
    strcpy(link_path, temp_path("link"));
    temp_write(real, "old", 3);
    assert_int_equal(chmod(real, 0640), 0);
    assert_int_equal(symlink("real", link_path), 0);
    slm_out *out = NULL;
    assert_int_equal(slm_out_open(&host, link_path, &out, NULL), SLM_OK);
    assert_int_equal(access(slm_out_temporary(out), F_OK), 0);
    assert_int_equal(slm_out_write(out, "new one", 7, NULL), SLM_OK);
    assert_int_equal(slm_out_commit(&out, NULL), SLM_OK);
    expect_content(real, "new one");
    assert_int_equal(lstat(link_path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat(real, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(temp_count(), 2);
}

static void expect_no_out(const char *path, const char *part) {
    slm_error e = SLM_ERROR_INIT;
    slm_out *out = (slm_out *)&e;
    assert_int_equal(slm_out_open(&host, path, &out, &e), SLM_ERR_IO);
    assert_null(out);
    assert_non_null(strstr(e.message, part));
    assert_null(strstr(e.message, temp_folder()));
}

static void test_targets_that_are_refused(void **state) {
    (void)state;
    char link_path[700];
    temp_write(temp_path("real"), "real", 4);
    strcpy(link_path, temp_path("link"));
    assert_int_equal(symlink("/dev/null", link_path), 0);
    expect_no_out(temp_folder(), "exists and is not a regular file");
    expect_no_out(link_path, "link exists and is not a regular file");
    expect_no_out("/dev/null", "null exists and is not a regular file");
    expect_no_out("", "names no file");
    expect_no_out(temp_path("folder/"), "names no file");
    expect_no_out(temp_path("absent/file"), "cannot create a file for file: No such file");
    expect_content(temp_path("real"), "real");
    assert_int_equal(temp_count(), 2);

    char name[301];
    memset(name, 'n', 300);
    name[300] = 0;
    slm_error e = SLM_ERROR_INIT;
    slm_out *out = NULL;
    slm_status status = slm_out_open(&host, temp_path(name), &out, &e);
    if (status == SLM_OK)
        status = slm_out_commit(&out, &e);
    assert_int_equal(status, SLM_ERR_IO);
    assert_non_null(strstr(e.message, "File name too long"));
    assert_int_equal(temp_count(), 2);
}

/* The disk gets full. The limit on file sizes stands for it. */
static void test_short_write(void **state) {
    (void)state;
    char path[700];
    strcpy(path, temp_path("target"));
    temp_write(path, "old", 3);
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 100000;
    uint8_t *data = calloc(1, 300000);
    assert_non_null(data);
    signal(SIGXFSZ, SIG_IGN);
    for (int in_pieces = 0; in_pieces < 2; in_pieces++) {
        slm_error e = SLM_ERROR_INIT;
        slm_out *out = NULL;
        slm_status status = SLM_OK;
        assert_int_equal(slm_out_open(&host, path, &out, &e), SLM_OK);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        if (in_pieces) {
            for (int i = 0; i < 101 && status == SLM_OK; i++)
                status = slm_out_write(out, data, 1000, &e);
        } else {
            status = slm_out_write(out, data, 300000, &e);
        }
        if (status == SLM_OK)
            status = slm_out_commit(&out, &e);
        else
            slm_out_abandon(&out);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(status, SLM_ERR_IO);
        assert_non_null(strstr(e.message, "cannot write target: File too large"));
        assert_null(out);
        expect_content(path, "old");
        assert_int_equal(temp_count(), 1);
    }
    free(data);
}

/* The folder vanishes while the file is written. */
static void test_out_folder_removed(void **state) {
    (void)state;
    char folder[700], path[800];
    strcpy(folder, temp_path("sub"));
    assert_int_equal(mkdir(folder, 0700), 0);
    snprintf(path, sizeof path, "%s/file", folder);
    slm_error e = SLM_ERROR_INIT;
    slm_out *out = NULL;
    assert_int_equal(slm_out_open(&host, path, &out, &e), SLM_OK);
    assert_int_equal(temp_count(), 1);
    temp_clear();
    assert_int_equal(slm_out_commit(&out, &e), SLM_ERR_IO);
    assert_non_null(strstr(e.message, "cannot open the folder of file"));
    assert_null(out);
}

/* Two writers of one name; the last whole file wins. */
static void test_two_writers(void **state) {
    (void)state;
    char path[700];
    strcpy(path, temp_path("shared"));
    slm_out *a = NULL, *b = NULL;
    assert_int_equal(slm_out_open(&host, path, &a, NULL), SLM_OK);
    assert_int_equal(slm_out_open(&host, path, &b, NULL), SLM_OK);
    assert_int_equal(slm_out_write(a, "aaaa", 4, NULL), SLM_OK);
    assert_int_equal(slm_out_write(b, "bb", 2, NULL), SLM_OK);
    assert_int_equal(slm_out_commit(&b, NULL), SLM_OK);
    expect_content(path, "bb");
    assert_int_equal(slm_out_commit(&a, NULL), SLM_OK);
    expect_content(path, "aaaa");
    assert_int_equal(temp_count(), 1);
}

static void test_out_without_memory(void **state) {
    (void)state;
    char path[700];
    strcpy(path, temp_path("nomem"));
    fail_alloc fa = FAIL_ALLOC_INIT;
    for (fa.fail_at = 1;; fa.fail_at++) {
        slm_host h;
        slm_error e = SLM_ERROR_INIT;
        slm_out *out = NULL;
        slm_allocator a = fail_alloc_start(&fa);
        slm_host_init(&h, &a, NULL, NULL, SLM_LOG_NONE);
        slm_status status = slm_out_open(&h, path, &out, &e);
        if (fa.calls < fa.fail_at) {
            assert_int_equal(status, SLM_OK);
            slm_out_abandon(&out);
            assert_int_equal(fa.outstanding, 0);
            break;
        }
        assert_int_equal(status, SLM_ERR_NOMEM);
        assert_null(out);
        assert_int_equal(fa.outstanding, 0);
    }
    assert_true(fa.fail_at > 3);
    assert_int_equal(temp_count(), 0);
}

/* A relative path has no folder part. */
static void test_out_folder_names(void **state) {
    (void)state;
    char before[700];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(temp_folder()), 0);
    slm_out *out = NULL;
    assert_int_equal(slm_out_open(&host, "relative", &out, NULL), SLM_OK);
    assert_int_equal(slm_out_write(out, "x", 1, NULL), SLM_OK);
    assert_int_equal(slm_out_commit(&out, NULL), SLM_OK);
    assert_int_equal(chdir(before), 0);
    expect_content(temp_path("relative"), "x");
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, start, no_leak)
    const struct CMUnitTest tests[] = {
        TEST(test_open_every_way),
        TEST(test_open_empty),
        TEST(test_open_refuses_arguments),
        TEST(test_not_a_regular_file),
        TEST(test_unreadable),
        TEST(test_write_only_descriptor),
        TEST(test_progress_and_cancel),
        TEST(test_changes),
        TEST(test_shrinks_while_read),
        TEST(test_open_without_memory),
        TEST(test_path_name),
        TEST(test_out_writes_and_replaces),
        TEST(test_out_sizes_around_the_buffer),
        TEST(test_out_follows_links),
        TEST(test_targets_that_are_refused),
        TEST(test_short_write),
        TEST(test_out_folder_removed),
        TEST(test_two_writers),
        TEST(test_out_without_memory),
        TEST(test_out_folder_names),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
