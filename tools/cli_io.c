/* Standard output, input and lists of ids of the `slm` program. */
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

#define MAX_INPUT (1 << 30)
#define LARGE     ((size_t)64 << 20) /* from here on it is asked whether the memory is there */

/* ---------------------------------------------------------------- standard output ------------ */

static char pending[1 << 16];
static size_t n_pending;
static int lost; /* the exit status once output could not be written, else 0 */

int slm_cli_write_all(int fd, const char *data, size_t size) {
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
    if (slm_cli_write_all(STDOUT_FILENO, pending, n) == 0)
        return 0;
    lost = errno == EINTR ? SLM_EXIT_INTERRUPTED : SLM_EXIT_FAILED;
    if (errno != EPIPE && errno != EINTR)
        slm_cli_fail("standard output: cannot be written: %s", strerror(errno));
    return lost;
}

void slm_cli_resume_output(void) {
    if (lost == SLM_EXIT_INTERRUPTED)
        lost = 0;
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
        if (n == 0)
            slm_cli_write("\xef\xbf\xbd", 3);
        else if (text[i] == '"' || text[i] == '\\')
            slm_cli_print("\\%c", text[i]);
        else
            slm_cli_print_json(text + i, n);
        i += n > 0 ? n : 1;
    }
    return slm_cli_write("\"", 1);
}

/* Outside of strings JSON has no such characters. */
int slm_cli_print_json(const char *text, size_t len) {
    for (size_t i = 0; i < len;) {
        size_t n = slm_cli_utf8(text + i, len - i);
        int32_t unsafe = n > 0 ? slm_cli_unsafe(text + i, n) : -1;
        if (unsafe >= 0)
            slm_cli_print("\\u%04x", (unsigned)unsafe);
        else
            slm_cli_write(text + i, n > 0 ? n : 1);
        i += n > 0 ? n : 1;
    }
    return lost;
}

int slm_cli_finish(int status) {
    int output = slm_cli_flush();
    return status ? status : output;
}

/* ---------------------------------------------------------------- input ---------------------- */

/* The number in the file path, or the one behind key in it; UINT64_MAX when there is none. */
static uint64_t number_in(const char *path, const char *key) {
    char line[128];
    unsigned long long number;
    uint64_t found = UINT64_MAX;
    size_t skip = strlen(key);
    FILE *f = fopen(path, "r");
    if (!f)
        return UINT64_MAX;
    while (found == UINT64_MAX && fgets(line, sizeof line, f))
        if (strncmp(line, key, skip) == 0 && sscanf(line + skip, "%llu", &number) == 1)
            found = number;
    fclose(f);
    return found;
}

/* Bytes that can be used without driving others out, by the system and by the control group. */
static uint64_t memory_available(void) {
    uint64_t kib = number_in("/proc/meminfo", "MemAvailable:");
    uint64_t most = number_in("/sys/fs/cgroup/memory.max", "");
    uint64_t used = number_in("/sys/fs/cgroup/memory.current", "");
    uint64_t left = most == UINT64_MAX || used == UINT64_MAX ? UINT64_MAX
                    : used < most                           ? most - used
                                                            : 0;
    if (kib < UINT64_MAX / 1024 && kib * 1024 < left)
        left = kib * 1024;
    return left;
}

/* Doubles *text. 0, or the exit status after printing why. */
static int grow(const char *name, char **text, size_t *cap) {
    char *larger = NULL;
    if (*cap < LARGE || *cap < memory_available())
        larger = realloc(*text, 2 * *cap);
    if (!larger)
        return slm_cli_fail("%s: got no memory, wanted %zu bytes", name, 2 * *cap);
    *text = larger;
    *cap *= 2;
    return 0;
}

static int read_to_end(const char *name, int fd, char **text, size_t *n) {
    size_t cap = 1 << 16;
    struct stat s;
    if (fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && s.st_size > MAX_INPUT)
        return slm_cli_fail("%s: got %lld bytes, wanted at most %d", name, (long long)s.st_size,
                            MAX_INPUT);
    *text = malloc(cap);
    int status = *text ? 0 : slm_cli_fail("%s: got no memory, wanted %zu bytes", name, cap);
    while (status == 0) {
        ssize_t got = read(fd, *text + *n, cap - 1 - *n);
        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            status = slm_cli_fail("%s: cannot be read: %s", name, strerror(errno));
        if (got > 0)
            *n += (size_t)got;
        if (*n >= MAX_INPUT)
            status = slm_cli_fail("%s: got no end, wanted at most %d bytes", name, MAX_INPUT);
        else if (status == 0 && *n == cap - 1)
            status = grow(name, text, &cap);
    }
    return status;
}

int slm_cli_read_all(const char *path, char **data, size_t *size) {
    int from_stdin = strcmp(path, "-") == 0;
    const char *name = from_stdin ? "standard input" : path;
    int fd = from_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return slm_cli_fail("%s: cannot be opened: %s", name, strerror(errno));
    char *text = NULL;
    size_t n = 0;
    int status = read_to_end(name, fd, &text, &n);
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
    char got[64] = "the end"; /* twelve bytes, of which a NUL takes four */
    if (at < len) {
        size_t n = 0, out = 0;
        got[out++] = '"';
        while (n == 0 ||
               (n < 12 && at + n < len && text[at + n] != ',' && !is_blank(text[at + n]))) {
            if (text[at + n] != '\0')
                got[out++] = text[at + n];
            else
                out += (size_t)snprintf(got + out, 5, "\\x00");
            n++;
        }
        got[out++] = '"';
        got[out] = '\0';
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
    size_t bytes = (len / 2 + 1) * sizeof(int32_t);
    int32_t *list = bytes < LARGE || bytes < memory_available() ? malloc(bytes) : NULL;
    if (!list)
        return slm_cli_fail("%s: got no memory, wanted %zu bytes", where, bytes);
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
