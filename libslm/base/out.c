#include "base/os.h"

#include "base/hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER     ((size_t)64 << 10)
#define NAME_TRIES 100
/* Whose temporary file it is: a hash of the target's name. */
#define TEMP_PREFIX ".slm-%08" PRIx32 "-"
#define TEMP_SUFFIX ".tmp"

struct slm_out {
    slm_host *host;
    const slm_out_calls *calls;
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

static int create_file(const char *path) {
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
}

static int open_folder(const char *path) {
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static const slm_out_calls system_calls = {create_file, open_folder, write, fsync,
                                           rename,      unlink,      close};

static int write_full(const slm_out *o, const void *data, size_t size) {
    const uint8_t *p = data;
    while (size > 0) {
        ssize_t n = o->calls->write(o->fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = ENOSPC;
        if (n <= 0)
            return -1;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

static int sync_full(const slm_out *o, int fd) {
    int failed;
    do
        failed = o->calls->sync(fd);
    while (failed != 0 && errno == EINTR);
    return failed;
}

const char *slm_out_temporary(const slm_out *out) {
    return out->temp;
}

static slm_status flush(slm_out *out, slm_error *error) {
    if (write_full(out, out->buffer, out->used) != 0)
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
        o->calls->close(o->fd);
        o->calls->remove(o->temp);
    }
    slm_free(o->host, o->target);
    slm_free(o->host, o->temp);
    slm_free(o->host, o->folder);
    slm_free(o->host, o);
}

/* Holds the file for its writer, so that nobody takes it for one that was left behind. 0: somebody
 * did, between its creation and now. */
static int hold(int fd) {
    struct stat st;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return 0;
    return fstat(fd, &st) != 0 || st.st_nlink > 0;
}

/* A writer that ended early, or the power, left its file behind: then nobody holds it. */
static void remove_if_left(const slm_out *o, const char *path) {
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        o->calls->remove(path);
    close(fd);
}

static uint32_t target_hash(const slm_out *o) {
    const char *name = slm_path_name(o->target);
    return (uint32_t)slm_hash64(name, strlen(name), 0);
}

/* Temporary files of this target, whoever made them. */
static void remove_left(slm_out *o, size_t cap) {
    char prefix[32];
    DIR *folder = opendir(o->folder);
    if (folder == NULL)
        return;
    size_t n = (size_t)snprintf(prefix, sizeof prefix, TEMP_PREFIX, target_hash(o));
    for (const struct dirent *e; (e = readdir(folder)) != NULL;) {
        size_t len = strlen(e->d_name), end = sizeof TEMP_SUFFIX - 1;
        if (len < n + end || memcmp(e->d_name, prefix, n) != 0 ||
            strcmp(e->d_name + len - end, TEMP_SUFFIX) != 0)
            continue;
        if ((size_t)snprintf(o->temp, cap, "%s/%s", o->folder, e->d_name) < cap)
            remove_if_left(o, o->temp);
    }
    closedir(folder);
}

/* The temporary name is short, so that any target name is possible, and its number tells apart
 * writers that run at the same time. */
static slm_status open_temp(slm_out *o, size_t cap, slm_error *error) {
    uint64_t number = slm_now_ns() ^ ((uint64_t)getpid() << 40) ^ (uint64_t)(uintptr_t)o;
    for (int i = 0; i < NAME_TRIES; i++) {
        snprintf(o->temp, cap, "%s/" TEMP_PREFIX "%016" PRIx64 TEMP_SUFFIX, o->folder,
                 target_hash(o), number++);
        int fd = o->calls->create(o->temp);
        if (fd >= 0 && !hold(fd)) {
            o->calls->close(fd);
            continue;
        }
        if (fd >= 0) {
            o->fd = fd;
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

int slm_path_is_link(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
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
        return slm_fail(
            error, SLM_ERR_IO, o->name, SLM_NO_OFFSET, "%s exists and is %s, so it is not replaced",
            o->name, S_ISREG(st->st_mode) ? "in use as a standard stream" : "not a regular file");
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
    size_t cap = len < PATH_MAX ? PATH_MAX : len + 1, temp_cap = cap + 64;
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
    remove_left(o, temp_cap);
    return open_temp(o, temp_cap, error);
}

slm_status slm_out_open(slm_host *host, const char *path, slm_out **out, slm_error *error) {
    return slm_out_open_by(host, path, &system_calls, out, error);
}

slm_status slm_out_open_by(slm_host *host, const char *path, const slm_out_calls *calls,
                           slm_out **out, slm_error *error) {
    *out = NULL;
    slm_out *o = slm_calloc(host, 1, sizeof *o);
    if (!o)
        return slm_fail_nomem(error, sizeof *o, "a file to write");
    const char *name = slm_path_name(path);
    o->host = host;
    o->calls = calls;
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
        if (write_full(out, data, size) != 0)
            return slm_fail_errno(error, errno, "write", out->name);
        return SLM_OK;
    }
    if (size > 0)
        memcpy(out->buffer + out->used, data, size);
    out->used += size;
    return SLM_OK;
}

static slm_status replace(slm_out *o, int folder, slm_error *error) {
    int failed;
    if (sync_full(o, o->fd) != 0)
        return slm_fail_errno(error, errno, "sync", o->name);
    do
        failed = o->calls->rename(o->temp, o->target);
    while (failed != 0 && errno == EINTR);
    if (failed != 0)
        return slm_fail_errno(error, errno, "replace", o->name);
    o->calls->close(o->fd); /* whatever it says: all is on the disk */
    o->fd = -1;             /* nothing to remove any more */
    /* EINVAL: a file system whose folders need no syncing. */
    if (sync_full(o, folder) != 0 && errno != EINVAL)
        return slm_fail_errno(error, errno, "sync the folder of", o->name);
    return SLM_OK;
}

static slm_status finish(slm_out *o, slm_error *error) {
    int folder;
    SLM_TRY(flush(o, error));
    do
        folder = o->calls->open_folder(o->folder);
    while (folder < 0 && errno == EINTR);
    if (folder < 0)
        return slm_fail_errno(error, errno, "open the folder of", o->name);
    slm_status status = replace(o, folder, error);
    o->calls->close(folder);
    return status;
}

slm_status slm_out_commit(slm_out **out, slm_error *error) {
    slm_status status = finish(*out, error);
    slm_out_abandon(out);
    return status;
}
