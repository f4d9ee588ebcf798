/* Standard output, files and lists of ids of the `slm` program. */
#define _XOPEN_SOURCE 700

#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---------------------------------------------------------------- standard output ------------ */

static char pending[1 << 16];
static size_t n_pending;
static int lost; /* the exit status once output could not be written, else 0 */

/* write(2) until all is out. 0, or -1 with errno. EINTR is reported only for an interruption. */
static int write_all(int fd, const char *data, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0) {
            if (errno == EINTR && !slm_cli_interrupted())
                continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK) {
                struct pollfd wait = {.fd = fd, .events = POLLOUT};
                if (poll(&wait, 1, -1) >= 0 || (errno == EINTR && !slm_cli_interrupted()))
                    continue;
            }
            return -1;
        }
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

int slm_cli_flush(void) {
    if (lost)
        return lost;
    size_t n = n_pending;
    n_pending = 0;
    if (write_all(STDOUT_FILENO, pending, n) == 0)
        return 0;
    lost = errno == EINTR ? SLM_EXIT_INTERRUPTED : SLM_EXIT_FAILED;
    if (errno != EPIPE && errno != EINTR)
        slm_cli_fail("standard output: cannot be written: %s", strerror(errno));
    return lost;
}

int slm_cli_write(const void *data, size_t size) {
    const char *from = data;
    while (size > 0) {
        if (n_pending == sizeof pending && slm_cli_flush())
            break;
        size_t n = sizeof pending - n_pending < size ? sizeof pending - n_pending : size;
        memcpy(pending + n_pending, from, n);
        n_pending += n;
        from += n;
        size -= n;
    }
    return lost;
}

int slm_cli_print(const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0)
        return lost;
    if ((size_t)n < sizeof text)
        return slm_cli_write(text, (size_t)n);
    char *large = malloc((size_t)n + 1);
    if (!large)
        return lost = slm_cli_fail("standard output: got no memory, wanted %d bytes", n + 1);
    va_start(args, format);
    vsnprintf(large, (size_t)n + 1, format, args);
    va_end(args);
    slm_cli_write(large, (size_t)n);
    free(large);
    return lost;
}

int slm_cli_print_json_text(const char *text, size_t len) {
    slm_cli_write("\"", 1);
    for (size_t i = 0; i < len;) {
        size_t n = slm_cli_utf8(text + i, len - i);
        unsigned char c = (unsigned char)text[i];
        if (n == 0)
            slm_cli_write("\xef\xbf\xbd", 3);
        else if (c == '"' || c == '\\')
            slm_cli_print("\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            slm_cli_print("\\u%04x", c);
        else
            slm_cli_write(text + i, n);
        i += n > 0 ? n : 1;
    }
    return slm_cli_write("\"", 1);
}

int slm_cli_finish(int status) {
    int output = slm_cli_flush();
    return status ? status : output;
}

/* ---------------------------------------------------------------- input ---------------------- */

int slm_cli_read_all(const char *path, char **data, size_t *size) {
    int from_stdin = strcmp(path, "-") == 0;
    const char *name = from_stdin ? "standard input" : path;
    int fd = from_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return slm_cli_fail("%s: cannot be opened: %s", name, strerror(errno));
    size_t cap = 1 << 16, n = 0;
    char *text = malloc(cap);
    int status = text ? 0 : slm_cli_fail("%s: got no memory, wanted %zu bytes", name, cap);
    while (status == 0) {
        if (n == cap - 1) {
            char *larger = cap < SIZE_MAX / 4 ? realloc(text, 2 * cap) : NULL;
            if (!larger) {
                status = slm_cli_fail("%s: got no memory, wanted %zu bytes", name, 2 * cap);
                break;
            }
            text = larger;
            cap *= 2;
        }
        ssize_t got = read(fd, text + n, cap - 1 - n);
        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            status = slm_cli_fail("%s: cannot be read: %s", name, strerror(errno));
        if (got > 0)
            n += (size_t)got;
    }
    if (!from_stdin)
        close(fd);
    if (status) {
        free(text);
        return status;
    }
    text[n] = '\0';
    *data = text;
    *size = n;
    return 0;
}

/* ---------------------------------------------------------------- ids ------------------------ */

static int is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static int bad_ids(const char *where, int failure, const char *text, size_t len, size_t at,
                   const char *wanted) {
    char got[24] = "the end";
    if (at < len) {
        size_t n = 0;
        while (n < 12 && at + n < len && text[at + n] != ',' && !is_blank(text[at + n]))
            n++;
        snprintf(got, sizeof got, "\"%.*s\"", (int)(n > 0 ? n : 1), text + at);
    }
    slm_cli_fail("%s: at byte %zu: got %s, wanted %s", where, at, got, wanted);
    return failure;
}

/* One id at *at, which is moved behind it. 0 when there is none that fits 32 bits. */
static int read_id(const char *text, size_t len, size_t *at, int32_t *id) {
    size_t i = *at;
    int negative = i < len && text[i] == '-';
    i += (size_t)negative;
    int64_t value = 0;
    size_t first = i;
    for (; i < len && text[i] >= '0' && text[i] <= '9'; i++) {
        value = value * 10 + (text[i] - '0');
        if (value > INT32_MAX)
            return 0;
    }
    if (i == first)
        return 0;
    if (i < len && text[i] != ',' && text[i] != ']' && !is_blank(text[i]))
        return 0;
    *id = (int32_t)(negative ? -value : value);
    *at = i;
    return 1;
}

static void skip_blanks(const char *text, size_t len, size_t *at) {
    while (*at < len && is_blank(text[*at]))
        ++*at;
}

int slm_cli_parse_ids(const char *text, size_t len, const char *where, int failure, int32_t **ids,
                      size_t *n) {
    int32_t *list = malloc((len / 2 + 1) * sizeof *list);
    if (!list)
        return slm_cli_fail("%s: got no memory, wanted %zu bytes", where, len * 2 + 4);
    size_t at = 0, count = 0;
    const char *wrong = NULL;
    skip_blanks(text, len, &at);
    int json = at < len && text[at] == '[', comma = 0, closed = 0;
    at += (size_t)json;
    for (;;) {
        skip_blanks(text, len, &at);
        closed = json && at < len && text[at] == ']';
        if (!comma && (closed || (!json && at == len)))
            break;
        if (!read_id(text, len, &at, &list[count])) {
            wrong = "an id, a whole number of 32 bits";
            break;
        }
        count++;
        skip_blanks(text, len, &at);
        comma = at < len && text[at] == ',';
        at += (size_t)comma;
        if (json && !comma && (at == len || text[at] != ']')) {
            wrong = "a comma or the end of the array";
            break;
        }
    }
    if (!wrong && closed) {
        at++;
        skip_blanks(text, len, &at);
        if (at < len)
            wrong = "nothing after the array";
    }
    if (wrong) {
        free(list);
        return bad_ids(where, failure, text, len, at, wrong);
    }
    *ids = list;
    *n = count;
    return 0;
}

/* ---------------------------------------------------------------- files ---------------------- */

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
    if (exists && access(path, W_OK) != 0) {
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
    if (write_all(out->fd, data, size) == 0)
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
