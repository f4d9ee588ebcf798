/* Files that the `slm` program writes, and what they must not replace. */
#define _XOPEN_SOURCE 700

#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DESCRIPTOR 256 /* beyond it none is looked for that the program was given */

/* ---------------------------------------------------------------- inputs --------------------- */

static int same_file(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* M of "...-N-of-M.gguf", five digits each; 0 for other names. */
static unsigned n_parts(const char *path) {
    static const char tail[] = "-ddddd-of-ddddd.gguf";
    size_t len = strlen(path), n = sizeof tail - 1;
    if (len < n)
        return 0;
    const char *end = path + len - n;
    for (size_t i = 0; i < n; i++)
        if (tail[i] == 'd' ? end[i] < '0' || end[i] > '9' : end[i] != tail[i])
            return 0;
    return (unsigned)strtoul(end + 10, NULL, 10);
}

const char *slm_cli_overwrites(const char *in, const char *out, char **buffer) {
    struct stat a, b;
    int from_stdin = strcmp(in, "-") == 0;
    *buffer = NULL;
    /* Nothing is lost where what is written to is a device or a pipe. */
    if (stat(out, &b) != 0 || !S_ISREG(b.st_mode))
        return NULL;
    if ((from_stdin ? fstat(STDIN_FILENO, &a) : stat(in, &a)) == 0 && same_file(&a, &b))
        return from_stdin ? "standard input" : in;
    unsigned parts = n_parts(in);
    size_t len = strlen(in);
    if (parts < 2 || (*buffer = malloc(len + 1)) == NULL)
        return NULL;
    memcpy(*buffer, in, len + 1);
    for (unsigned i = 1; i <= parts; i++) {
        char number[16];
        snprintf(number, sizeof number, "%05u", i);
        memcpy(*buffer + len - 19, number, 5);
        if (stat(*buffer, &a) == 0 && same_file(&a, &b))
            return *buffer;
    }
    return NULL;
}

/* ---------------------------------------------------------------- outputs -------------------- */

struct slm_cli_out {
    int fd;
    char *target;    /* the name as given, links followed                                        */
    char *temporary; /* NULL when written directly                                               */
};

static int out_failed(const char *path, int error) {
    return slm_cli_fail("%s: cannot be written: %s", path, strerror(error));
}

static void out_free(slm_cli_out *out) {
    if (out->temporary)
        slm_cli_name_temporary(NULL);
    free(out->temporary);
    free(out->target);
    free(out);
}

/* dir/.slm-XXXXXX beside target; NULL without memory */
static char *temporary_name(const char *target) {
    static const char pattern[] = ".slm-XXXXXX";
    const char *slash = strrchr(target, '/');
    size_t dir = slash ? (size_t)(slash - target) + 1 : 0;
    char *name = malloc(dir + sizeof pattern);
    if (name) {
        memcpy(name, target, dir);
        memcpy(name + dir, pattern, sizeof pattern);
    }
    return name;
}

/* An own descriptor that this file is open at for writing, or -1: it was given to the program, as
 * /dev/stdout or /dev/fd/3, and has a place to write at. */
static int own_descriptor(const struct stat *s) {
    struct stat own;
    for (int fd = STDOUT_FILENO; fd < MAX_DESCRIPTOR; fd++) {
        int flags = fcntl(fd, F_GETFL);
        if (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && fstat(fd, &own) == 0 &&
            same_file(&own, s))
            return fd;
    }
    return -1;
}

int slm_cli_out_open(const char *path, slm_cli_out **out) {
    struct stat s;
    int exists = stat(path, &s) == 0;
    slm_cli_out *o = calloc(1, sizeof *o);
    if (!o)
        return out_failed(path, ENOMEM);
    o->target = exists ? realpath(path, NULL) : strdup(path);
    if (!o->target && exists) /* such as /dev/stdout leading to a pipe */
        o->target = strdup(path);
    if (!o->target) {
        out_free(o);
        return out_failed(path, ENOMEM);
    }
    int own = exists ? own_descriptor(&s) : -1;
    if (own >= 0) {
        o->fd = fcntl(own, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    } else if (exists && access(path, W_OK) != 0) {
        o->fd = -1; /* renaming over it would succeed */
    } else if (exists && !S_ISREG(s.st_mode)) {
        o->fd = open(path, O_WRONLY | O_CLOEXEC);
    } else {
        o->temporary = temporary_name(o->target);
        o->fd = o->temporary ? mkstemp(o->temporary) : -1;
        if (o->fd >= 0) {
            slm_cli_name_temporary(o->temporary);
            mode_t mask = umask(0);
            umask(mask);
            fchmod(o->fd, exists ? s.st_mode & 07777 : 0666 & ~mask);
        }
    }
    if (o->fd < 0) {
        int error = errno;
        out_free(o);
        return out_failed(path, error);
    }
    *out = o;
    return 0;
}

int slm_cli_out_write(slm_cli_out *out, const void *data, size_t size) {
    if (slm_cli_write_all(out->fd, data, size) == 0)
        return 0;
    return errno == EINTR ? SLM_EXIT_INTERRUPTED : out_failed(out->target, errno);
}

void slm_cli_out_abandon(slm_cli_out **out) {
    slm_cli_out *o = *out;
    *out = NULL;
    if (!o)
        return;
    close(o->fd);
    if (o->temporary)
        unlink(o->temporary);
    out_free(o);
}

int slm_cli_out_commit(slm_cli_out **out) {
    slm_cli_out *o = *out;
    int error = 0;
    if (o->temporary && fsync(o->fd) != 0)
        error = errno;
    if (close(o->fd) != 0 && error == 0)
        error = errno;
    if (error == 0 && o->temporary && rename(o->temporary, o->target) != 0)
        error = errno;
    int status = error ? out_failed(o->target, error) : 0;
    if (error && o->temporary)
        unlink(o->temporary);
    out_free(o);
    *out = NULL;
    return status;
}
