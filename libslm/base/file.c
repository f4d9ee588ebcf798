#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_CHUNK ((size_t)8 << 20) /* between two calls of progress */

static const uint8_t no_bytes[1];

slm_status slm_fail_errno(slm_error *error, int number, const char *verb, const char *name) {
    char text[128];
    return slm_fail(error, SLM_ERR_IO, name, SLM_NO_OFFSET, "cannot %s %s: %s", verb, name,
                    strerror_r(number, text, sizeof text));
}

const char *slm_path_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

int slm_path_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

ssize_t slm_pread_full(int fd, void *data, size_t size, uint64_t offset) {
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(fd, (uint8_t *)data + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static void identify(const struct stat *st, uint64_t id[4]) {
    id[0] = (uint64_t)st->st_dev;
    id[1] = (uint64_t)st->st_ino;
    id[2] = (uint64_t)st->st_size;
    id[3] = (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec;
}

static slm_status check_regular(const struct stat *st, const char *name, slm_error *error) {
    const char *kind;
    if (S_ISREG(st->st_mode))
        return SLM_OK;
    if (S_ISDIR(st->st_mode))
        kind = "a folder";
    else if (S_ISFIFO(st->st_mode))
        kind = "a pipe";
    else if (S_ISSOCK(st->st_mode))
        kind = "a socket";
    else
        kind = "a device";
    return slm_fail(error, SLM_ERR_IO, name, SLM_NO_OFFSET, "%s is %s, wanted a regular file", name,
                    kind);
}

static slm_status read_whole(slm_host *host, slm_file *f, slm_progress_fn progress,
                             void *progress_user, slm_error *error) {
    uint8_t *data = NULL; /* as in slm_alloc_touched, but reading touches it */
    if (!slm_host_is_std(host) || f->size <= slm_memory_available())
        data = slm_alloc(host, (size_t)f->size);
    if (!data)
        return slm_fail_nomem(error, f->size, f->name);
    f->data = data;
    uint64_t done = 0;
    while (done < f->size) {
        size_t want = f->size - done < READ_CHUNK ? (size_t)(f->size - done) : READ_CHUNK;
        ssize_t got = slm_pread_full(f->fd, data + done, want, done);
        if (got < 0)
            return slm_fail_errno(error, errno, "read", f->name);
        if ((size_t)got < want)
            return slm_fail(error, SLM_ERR_CHANGED, f->name, done + (size_t)got,
                            "%s became shorter while it was read: %" PRIu64
                            " bytes, wanted %" PRIu64,
                            f->name, done + (size_t)got, f->size);
        done += want;
        if (progress && progress(progress_user, done, f->size) != 0)
            return slm_fail(error, SLM_ERR_CANCEL, f->name, SLM_NO_OFFSET,
                            "loading %s was stopped at %" PRIu64 " of %" PRIu64 " bytes", f->name,
                            done, f->size);
    }
    SLM_TRY(slm_file_check(f, error));
    close(f->fd);
    f->fd = -1;
    return SLM_OK;
}

/* Maps or reads f->fd. */
static slm_status take(slm_host *host, slm_file *f, slm_load load, slm_progress_fn progress,
                       void *progress_user, slm_error *error) {
    struct stat st;
    if (fstat(f->fd, &st) != 0)
        return slm_fail_errno(error, errno, "examine", f->name);
    SLM_TRY(check_regular(&st, f->name, error));
    identify(&st, f->id);
    f->size = f->id[2];
    size_t size = (size_t)f->size;
    if (size != f->size)
        return slm_fail(error, SLM_ERR_LIMIT, f->name, SLM_NO_OFFSET,
                        "%s has %" PRIu64 " bytes, more than this machine can address", f->name,
                        f->size);
    if (size > 0 && load != SLM_LOAD_READ) {
        void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, f->fd, 0);
        if (map != MAP_FAILED) {
            f->data = map;
            f->kind = SLM_FILE_MAPPED;
            if (load != SLM_LOAD_AROUND) {
                slm_advise_huge(map, size); /* some systems have them for files too */
                return SLM_OK;
            }
            f->resident = slm_file_resident(host, f);
            slm_file_open_direct(f);
            return SLM_OK;
        }
        if (load == SLM_LOAD_MAP)
            return slm_fail_errno(error, errno, "map", f->name);
    }
    f->kind = SLM_FILE_READ;
    return read_whole(host, f, progress, progress_user, error);
}

static slm_status check_load(slm_load load, slm_error *error) {
    if ((load >= SLM_LOAD_AUTO && load <= SLM_LOAD_PACK) || load == SLM_LOAD_AROUND)
        return SLM_OK;
    return slm_fail(error, SLM_ERR_ARG, "load", SLM_NO_OFFSET,
                    "load is %" PRId32 ", wanted one of SLM_LOAD_...", load);
}

static slm_status new_file(slm_host *host, const char *name, slm_file **out, slm_error *error) {
    slm_file *f = slm_calloc(host, 1, sizeof *f);
    if (!f)
        return slm_fail_nomem(error, sizeof *f, "a file");
    f->fd = f->direct = -1;
    f->data = no_bytes;
    f->kind = SLM_FILE_BORROWED;
    slm_escape(f->name, sizeof f->name, name, strlen(name));
    *out = f;
    return SLM_OK;
}

/* Fills *out from f when status is SLM_OK, else closes f. */
static slm_status settle(slm_host *host, slm_file *f, slm_status status, slm_file **out) {
    if (status == SLM_OK)
        *out = f;
    else
        slm_file_close(host, f);
    return status;
}

slm_status slm_file_open(slm_host *host, const char *path, slm_load load, slm_progress_fn progress,
                         void *progress_user, slm_file **out, slm_error *error) {
    slm_file *f = NULL;
    *out = NULL;
    SLM_TRY(check_load(load, error));
    SLM_TRY(new_file(host, slm_path_name(path), &f, error));
    /* O_NONBLOCK: opening a pipe must not wait for its writer; regular files ignore it. */
    do
        f->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    while (f->fd < 0 && errno == EINTR);
    slm_status status = f->fd < 0 ? slm_fail_errno(error, errno, "open", f->name)
                                  : take(host, f, load, progress, progress_user, error);
    return settle(host, f, status, out);
}

slm_status slm_file_open_fd(slm_host *host, int fd, slm_load load, slm_progress_fn progress,
                            void *progress_user, slm_file **out, slm_error *error) {
    slm_file *f = NULL;
    *out = NULL;
    SLM_TRY(check_load(load, error));
    SLM_TRY(new_file(host, "descriptor", &f, error));
    f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    slm_status status = f->fd < 0 ? slm_fail_errno(error, errno, "duplicate", f->name)
                                  : take(host, f, load, progress, progress_user, error);
    return settle(host, f, status, out);
}

slm_status slm_file_open_memory(slm_host *host, const void *data, uint64_t size, slm_load load,
                                slm_file **out, slm_error *error) {
    slm_file *f = NULL;
    *out = NULL;
    SLM_TRY(check_load(load, error));
    if (!data && size > 0)
        return slm_fail(error, SLM_ERR_ARG, "data", SLM_NO_OFFSET, "data is NULL and size %" PRIu64,
                        size);
    if ((size_t)size != size)
        return slm_fail(error, SLM_ERR_ARG, "size", SLM_NO_OFFSET,
                        "size is %" PRIu64 ", more than this machine can address", size);
    SLM_TRY(new_file(host, "memory", &f, error));
    f->size = size;
    if (load == SLM_LOAD_READ) {
        uint8_t *copy = slm_alloc(host, (size_t)size);
        if (!copy)
            return settle(host, f, slm_fail_nomem(error, size, f->name), out);
        if (size > 0)
            memcpy(copy, data, (size_t)size);
        f->data = copy;
        f->kind = SLM_FILE_READ;
    } else if (data) {
        f->data = data;
    }
    return settle(host, f, SLM_OK, out);
}

void slm_file_close(slm_host *host, slm_file *file) {
    if (!file)
        return;
    if (file->kind == SLM_FILE_MAPPED || file->kind == SLM_FILE_HEAD)
        munmap((void *)(uintptr_t)file->data, (size_t)file->size);
    else if (file->kind == SLM_FILE_READ && file->data != no_bytes)
        slm_free(host, (void *)(uintptr_t)file->data);
    if (file->fd >= 0)
        close(file->fd);
    if (file->direct >= 0)
        close(file->direct);
    slm_free(host, file->resident);
    slm_free(host, file);
}

slm_status slm_file_check(const slm_file *file, slm_error *error) {
    static const char *const what[4] = {"device", "inode", "size", "time of change"};
    struct stat st;
    uint64_t now[4];
    if (file->fd < 0)
        return SLM_OK;
    if (fstat(file->fd, &st) != 0)
        return slm_fail_errno(error, errno, "examine", file->name);
    identify(&st, now);
    for (int i = 0; i < 4; i++) {
        if (now[i] != file->id[i])
            return slm_fail(error, SLM_ERR_CHANGED, file->name, SLM_NO_OFFSET,
                            "%s changed since it was opened: %s is %" PRIu64 ", was %" PRIu64,
                            file->name, what[i], now[i], file->id[i]);
    }
    return SLM_OK;
}
