#define _DEFAULT_SOURCE

#include "part.h"

#include "../cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed(const char *path, const char *what, int error) {
    return slm_cli_fail("%s: cannot be %s: %s", path, what, strerror(error));
}

int pull_hash_file(int fd, const char *path, pull_sha256 *hash, uint64_t *size) {
    static char buffer[1 << 16];
    struct stat s;
    uint64_t total = fstat(fd, &s) == 0 && s.st_size > 0 ? (uint64_t)s.st_size : 0;
    int status = 0;
    pull_sha256_init(hash);
    *size = 0;
    slm_cli_bar_begin("checking");
    for (ssize_t n = 1; n != 0 && status == 0;) {
        n = slm_cli_interrupted() ? 0 : read(fd, buffer, sizeof buffer);
        if (slm_cli_interrupted())
            status = SLM_EXIT_INTERRUPTED;
        else if (n < 0 && errno != EINTR)
            status = failed(path, "read", errno);
        if (n > 0) {
            pull_sha256_add(hash, buffer, (size_t)n);
            *size += (uint64_t)n;
            slm_cli_bar(*size, total);
        }
    }
    slm_cli_bar_end();
    return status;
}

/* Locks the file; one that was renamed or removed meanwhile is not the one that is meant. */
static int open_locked(pull_part *part) {
    for (;;) {
        struct stat opened, named;
        part->fd = open(part->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (part->fd < 0)
            return failed(part->path, "written", errno);
        if (flock(part->fd, LOCK_EX | LOCK_NB) != 0) {
            int error = errno;
            close(part->fd);
            if (error == EWOULDBLOCK)
                return slm_cli_fail("%s: another program is fetching it, wanted one at a time",
                                    part->path);
            return failed(part->path, "locked", error);
        }
        if (fstat(part->fd, &opened) == 0 && stat(part->path, &named) == 0 &&
            opened.st_dev == named.st_dev && opened.st_ino == named.st_ino)
            return S_ISREG(opened.st_mode) ? 0 : failed(part->path, "written", EINVAL);
        close(part->fd);
    }
}

/* Whether what lies beside this file came from the address, by its two lines: the address and the
 * ETag. */
static int read_from(const char *from, const char *address, char etag[PULL_MAX_ETAG]) {
    char text[8192];
    struct stat s;
    int fd = open(from, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO would hold it up */
    if (fd < 0)
        return 0;
    ssize_t n = fstat(fd, &s) == 0 && S_ISREG(s.st_mode) ? read(fd, text, sizeof text - 1) : -1;
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    char *line = strchr(text, '\n');
    char *end = line ? strchr(line + 1, '\n') : NULL;
    if (!end || end - line > PULL_MAX_ETAG)
        return 0;
    *line++ = *end = '\0';
    strcpy(etag, line);
    return strcmp(text, address) == 0;
}

int pull_came_from(const char *final, const char *address) {
    char from[PULL_MAX_PATH + 8], etag[PULL_MAX_ETAG];
    snprintf(from, sizeof from, "%s.from", final);
    return read_from(from, address, etag);
}

int pull_is_gguf(int fd) {
    char magic[4];
    return pread(fd, magic, sizeof magic, 0) == sizeof magic && memcmp(magic, "GGUF", 4) == 0;
}

int pull_part_open(pull_part *part, const char *final, const char *address) {
    part->size = 0;
    part->etag[0] = '\0';
    pull_sha256_init(&part->hash);
    snprintf(part->final, sizeof part->final, "%s", final);
    snprintf(part->path, sizeof part->path, "%s.part", final);
    snprintf(part->from, sizeof part->from, "%s.from", part->path);
    int status = open_locked(part);
    if (status != 0)
        return status;
    status = read_from(part->from, address, part->etag)
                 ? pull_hash_file(part->fd, part->path, &part->hash, &part->size)
                 : pull_part_restart(part, address, "");
    if (status != 0)
        close(part->fd);
    return status;
}

int pull_part_restart(pull_part *part, const char *address, const char *etag) {
    if (ftruncate(part->fd, 0) != 0 || lseek(part->fd, 0, SEEK_SET) != 0)
        return failed(part->path, "written", errno);
    part->size = 0;
    pull_sha256_init(&part->hash);
    snprintf(part->etag, sizeof part->etag, "%s", etag);
    char lines[8192];
    int n = snprintf(lines, sizeof lines, "%s\n%s\n", address, part->etag);
    /* An address may hold a password. */
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW;
    int fd = open(part->from, flags, 0600);
    int error = fd < 0 ? errno : 0;
    if (error == 0 && (size_t)n < sizeof lines && slm_cli_write_all(fd, lines, (size_t)n) != 0)
        error = errno;
    if (fd >= 0)
        close(fd);
    return error == 0       ? 0
           : error == EINTR ? SLM_EXIT_INTERRUPTED
                            : failed(part->from, "written", error);
}

int pull_part_add(pull_part *part, const void *data, size_t size) {
    if (slm_cli_write_all(part->fd, data, size) != 0)
        return errno;
    pull_sha256_add(&part->hash, data, size);
    part->size += size;
    return 0;
}

/* The name is on the disk when the folder is. */
static int sync_folder(const char *path) {
    char folder[PULL_MAX_PATH];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int bad = fd < 0 || fsync(fd) != 0, error = errno;
    if (fd >= 0)
        close(fd);
    return bad ? failed(path, "written", error) : 0;
}

int pull_part_commit(pull_part *part, int keep_from) {
    char kept[PULL_MAX_PATH + 8];
    int status = 0;
    snprintf(kept, sizeof kept, "%s.from", part->final);
    /* Of an earlier file, it must not stand beside this one. */
    unlink(kept);
    if (fsync(part->fd) != 0)
        status = failed(part->path, "written", errno);
    else if (keep_from && rename(part->from, kept) != 0)
        status = failed(kept, "written", errno);
    else if (rename(part->path, part->final) != 0)
        status = failed(part->final, "written", errno);
    else
        status = sync_folder(part->final);
    if (status == 0)
        unlink(part->from);
    close(part->fd); /* the lock is held until all is done */
    return status;
}

void pull_part_close(pull_part *part) {
    if (part->size == 0)
        pull_part_abandon(part);
    else
        close(part->fd);
}

void pull_part_abandon(pull_part *part) {
    unlink(part->from);
    unlink(part->path);
    close(part->fd);
}
