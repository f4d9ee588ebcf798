#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER     ((size_t)64 << 10)
#define NAME_TRIES 100

struct slm_out {
    slm_host *host;
    int fd;
    int replaces; /* whether there is a file, whose mode is kept       */
    mode_t mode;
    size_t used;  /* bytes in buffer                                   */
    char *target; /* the path as given, links followed                 */
    char *temp;   /* in the same folder, so that rename can replace    */
    char *folder;
    char name[80]; /* of the target, for messages                       */
    uint8_t buffer[BUFFER];
};

int slm_write_full(int fd, const void *data, size_t size) {
    const uint8_t *p = data;
    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

const char *slm_out_temporary(const slm_out *out) { return out->temp; }

static slm_status flush(slm_out *out, slm_error *error) {
    if (slm_write_full(out->fd, out->buffer, out->used) != 0)
        return slm_fail_errno(error, errno, "write", out->name);
    out->used = 0;
    return SLM_OK;
}

void slm_out_abandon(slm_out **out) {
    slm_out *o = *out;
    if (!o)
        return;
    *out = NULL;
    if (o->fd >= 0) {
        close(o->fd);
        unlink(o->temp);
    }
    slm_free(o->host, o->target);
    slm_free(o->host, o->temp);
    slm_free(o->host, o->folder);
    slm_free(o->host, o);
}

/* The temporary name is short, so that any target name is possible, and its number tells apart
 * writers that run at the same time. */
static slm_status open_temp(slm_out *o, size_t cap, slm_error *error) {
    uint64_t number = slm_now_ns() ^ ((uint64_t)getpid() << 40) ^ (uint64_t)(uintptr_t)o;
    for (int i = 0; i < NAME_TRIES; i++) {
        snprintf(o->temp, cap, "%s/.slm-%016" PRIx64 ".tmp", o->folder, number++);
        o->fd = open(o->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (o->fd >= 0) {
            /* Where a file system keeps no modes it cannot be helped. */
            if (o->replaces)
                (void)!fchmod(o->fd, o->mode);
            return SLM_OK;
        }
        if (errno != EEXIST && errno != EINTR)
            break;
    }
    return slm_fail_errno(error, errno, "create a file for", o->name);
}

static int is_standard_stream(const struct stat *st) {
    struct stat own;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fstat(fd, &own) == 0 && own.st_dev == st->st_dev && own.st_ino == st->st_ino)
            return 1;
    return 0;
}

/* o->target from path, which exists with links followed. */
static slm_status follow(slm_out *o, const char *path, const struct stat *st, slm_error *error) {
    if (!S_ISREG(st->st_mode) || is_standard_stream(st))
        return slm_fail(error, SLM_ERR_IO, o->name, SLM_NO_OFFSET,
                        "%s exists and is %s, so it is not replaced", o->name,
                        S_ISREG(st->st_mode) ? "in use as a standard stream"
                                             : "not a regular file");
    if (access(path, W_OK) != 0) /* renaming over it would succeed */
        return slm_fail_errno(error, errno, "write", o->name);
    if (realpath(path, o->target) == NULL)
        return slm_fail_errno(error, errno, "find", o->name);
    o->replaces = 1;
    o->mode = st->st_mode & 07777;
    return SLM_OK;
}

static slm_status prepare(slm_out *o, const char *path, slm_error *error) {
    size_t len = strlen(path);
    size_t cap = len < PATH_MAX ? PATH_MAX : len + 1, temp_cap = cap + 40;
    struct stat st;
    if (len == 0 || path[len - 1] == '/')
        return slm_fail(error, SLM_ERR_IO, o->name, SLM_NO_OFFSET,
                        "the path of the file to write names no file");
    o->target = slm_alloc(o->host, cap);
    o->temp = slm_alloc(o->host, temp_cap);
    o->folder = slm_alloc(o->host, cap);
    if (!o->target || !o->temp || !o->folder)
        return slm_fail_nomem(error, 2 * cap + temp_cap, "a file name");
    memcpy(o->target, path, len + 1);
    if (stat(path, &st) == 0)
        SLM_TRY(follow(o, path, &st, error));
    const char *slash = strrchr(o->target, '/');
    if (!slash)
        strcpy(o->folder, ".");
    else if (slash == o->target)
        strcpy(o->folder, "/");
    else
        snprintf(o->folder, cap, "%.*s", (int)(slash - o->target), o->target);
    return open_temp(o, temp_cap, error);
}

slm_status slm_out_open(slm_host *host, const char *path, slm_out **out, slm_error *error) {
    *out = NULL;
    slm_out *o = slm_calloc(host, 1, sizeof *o);
    if (!o)
        return slm_fail_nomem(error, sizeof *o, "a file to write");
    const char *name = slm_path_name(path);
    o->host = host;
    o->fd = -1;
    slm_escape(o->name, sizeof o->name, name, strlen(name));
    slm_status status = prepare(o, path, error);
    if (status == SLM_OK)
        *out = o;
    else
        slm_out_abandon(&o);
    return status;
}

slm_status slm_out_write(slm_out *out, const void *data, size_t size, slm_error *error) {
    if (size > BUFFER - out->used)
        SLM_TRY(flush(out, error));
    if (size >= BUFFER) {
        if (slm_write_full(out->fd, data, size) != 0)
            return slm_fail_errno(error, errno, "write", out->name);
        return SLM_OK;
    }
    if (size > 0)
        memcpy(out->buffer + out->used, data, size);
    out->used += size;
    return SLM_OK;
}

static slm_status sync_folder(const slm_out *o, slm_error *error) {
    int fd = open(o->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return slm_fail_errno(error, errno, "open the folder of", o->name);
    int failed = fsync(fd) != 0 ? errno : 0;
    close(fd);
    /* EINVAL: a file system whose folders need no syncing. */
    if (failed != 0 && failed != EINVAL)
        return slm_fail_errno(error, failed, "sync the folder of", o->name);
    return SLM_OK;
}

static slm_status finish(slm_out *o, slm_error *error) {
    SLM_TRY(flush(o, error));
    if (fsync(o->fd) != 0)
        return slm_fail_errno(error, errno, "sync", o->name);
    if (rename(o->temp, o->target) != 0)
        return slm_fail_errno(error, errno, "replace", o->name);
    int fd = o->fd;
    o->fd = -1; /* nothing to remove any more */
    if (close(fd) != 0)
        return slm_fail_errno(error, errno, "close", o->name);
    return sync_folder(o, error);
}

slm_status slm_out_commit(slm_out **out, slm_error *error) {
    slm_status status = finish(*out, error);
    slm_out_abandon(out);
    return status;
}
