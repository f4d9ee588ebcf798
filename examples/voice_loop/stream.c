#define _GNU_SOURCE
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int64_t clock_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool fail(char *why, size_t why_size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, why_size, format, arguments);
    va_end(arguments);
    return false;
}

bool stream_open(stream *s, int in, int out, char *why, size_t why_size) {
    *s = (stream){.in = in, .out = out};
    if (fcntl(in, F_SETFL, O_NONBLOCK) != 0 || fcntl(out, F_SETFL, O_NONBLOCK) != 0) {
        fail(why, why_size, "a stream: %s", strerror(errno));
        stream_close(s);
        return false;
    }
    return true;
}

void stream_close_output(stream *s) {
    if (s->out < 0)
        return;
    if (s->out == s->in)
        shutdown(s->out, SHUT_WR);
    else
        close(s->out);
    s->out = -1;
}

void stream_close(stream *s) {
    if (s->out >= 0 && s->out != s->in)
        close(s->out);
    if (s->in >= 0)
        close(s->in);
    free(s->bytes);
    *s = (stream){.in = -1, .out = -1};
}

/* Waits until the descriptor is ready; "too late" is a failure. */
static bool wait_for(int fd, short events, int64_t deadline, char *why, size_t why_size) {
    for (;;) {
        int64_t left = deadline - clock_ms();
        struct pollfd p = {.fd = fd, .events = events};
        int ready = poll(&p, 1, left > 0 ? (int)(left < INT32_MAX ? left : INT32_MAX) : 0);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return fail(why, why_size, "waiting: %s", strerror(errno));
        if (ready == 0 && left <= 0)
            return fail(why, why_size, "no answer in time");
    }
}

/* write(2) without the signal: it is held back meanwhile, and taken if this write raised it. */
static ssize_t write_quietly(int fd, const void *data, size_t n) {
    sigset_t pipe_only, before, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    ssize_t done = write(fd, data, n);
    int error = errno;
    if (done < 0 && error == EPIPE && !was_pending)
        while (sigtimedwait(&pipe_only, NULL, &(struct timespec){0}) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return done;
}

bool stream_write(stream *s, const void *data, size_t n, int64_t deadline, char *why,
                  size_t why_size) {
    const char *from = data;
    if (s->out < 0)
        return fail(why, why_size, "writing: the stream is closed");
    while (n > 0) {
        ssize_t done = write_quietly(s->out, from, n);
        if (done > 0) {
            from += done;
            n -= (size_t)done;
        } else if (done < 0 && errno == EAGAIN) {
            if (!wait_for(s->out, POLLOUT, deadline, why, why_size))
                return false;
        } else if (done < 0 && errno != EINTR) {
            return fail(why, why_size, "writing: %s", strerror(errno));
        }
    }
    return true;
}

/* read(2) that waits: 0 at the end, -1 on failure. */
static long read_some(stream *s, void *data, size_t n, int64_t deadline, char *why,
                      size_t why_size) {
    for (;;) {
        ssize_t got = s->in < 0 ? 0 : read(s->in, data, n);
        if (got >= 0)
            return (long)got;
        if (errno == EAGAIN) {
            if (!wait_for(s->in, POLLIN, deadline, why, why_size))
                return -1;
        } else if (errno != EINTR) {
            fail(why, why_size, "reading: %s", strerror(errno));
            return -1;
        }
    }
}

long stream_read(stream *s, void *data, size_t n, int64_t deadline, char *why, size_t why_size) {
    size_t kept = s->end - s->begin;
    if (kept == 0)
        return read_some(s, data, n, deadline, why, why_size);
    size_t take = kept < n ? kept : n;
    memcpy(data, s->bytes + s->begin, take);
    s->begin += take;
    return (long)take;
}

bool stream_read_all(stream *s, void *data, size_t n, int64_t deadline, char *why,
                     size_t why_size) {
    char *to = data;
    for (size_t done = 0; done < n;) {
        long got = stream_read(s, to + done, n - done, deadline, why, why_size);
        if (got <= 0)
            return got < 0
                       ? false
                       : fail(why, why_size, "the stream ended after %zu of %zu bytes", done, n);
        done += (size_t)got;
    }
    return true;
}

/* Room for more bytes behind those that were read. */
static bool make_room(stream *s) {
    if (s->begin > 0) {
        memmove(s->bytes, s->bytes + s->begin, s->end - s->begin);
        s->end -= s->begin;
        s->begin = 0;
    }
    if (s->end < s->cap)
        return true;
    size_t cap = s->cap ? 2 * s->cap : 4096;
    char *bytes = realloc(s->bytes, cap);
    if (!bytes)
        return false;
    s->bytes = bytes;
    s->cap = cap;
    return true;
}

/* A line that was read, NULL where none is whole. */
static char *take_line(stream *s) {
    size_t kept = s->end - s->begin;
    char *line = kept ? s->bytes + s->begin : NULL;
    char *newline = kept ? memchr(line, '\n', kept) : NULL;
    if (!newline)
        return NULL;
    *newline = 0;
    s->begin += (size_t)(newline - line) + 1;
    return line;
}

char *stream_read_line(stream *s, size_t max, int64_t deadline, char *why, size_t why_size) {
    for (;;) {
        char *line = take_line(s);
        if (line)
            return line;
        if (s->end - s->begin > max) {
            fail(why, why_size, "a line is longer than %zu bytes", max);
            return NULL;
        }
        if (!make_room(s)) {
            fail(why, why_size, "out of memory");
            return NULL;
        }
        long got = read_some(s, s->bytes + s->end, s->cap - s->end, deadline, why, why_size);
        if (got <= 0) {
            if (got == 0)
                fail(why, why_size, "it ended%s", s->end > s->begin ? " inside a line" : "");
            return NULL;
        }
        s->end += (size_t)got;
    }
}

bool stream_has_line(stream *s, char *why, size_t why_size) {
    for (;;) {
        if (s->end > s->begin && memchr(s->bytes + s->begin, '\n', s->end - s->begin))
            return true;
        struct pollfd p = {.fd = s->in, .events = POLLIN};
        if (s->in < 0 || poll(&p, 1, 0) <= 0)
            return false;
        if (!make_room(s))
            return fail(why, why_size, "out of memory");
        ssize_t got = read(s->in, s->bytes + s->end, s->cap - s->end);
        if (got <= 0) /* the next read says what happened */
            return false;
        s->end += (size_t)got;
    }
}

static bool connect_one(int fd, const struct addrinfo *to, int64_t deadline, char *why,
                        size_t why_size) {
    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
        return true;
    if (errno != EINPROGRESS)
        return fail(why, why_size, "%s", strerror(errno));
    if (!wait_for(fd, POLLOUT, deadline, why, why_size))
        return false;
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error == 0 || fail(why, why_size, "%s", strerror(error));
}

bool stream_connect(stream *s, const char *address, int64_t deadline, char *why, size_t why_size) {
    char host[256], reason[200] = "no address";
    const char *colon = strrchr(address, ':');
    size_t n = colon ? (size_t)(colon - address) : 0;
    *s = (stream){.in = -1, .out = -1};
    if (n == 0 || n >= sizeof host || !colon[1])
        return fail(why, why_size, "%.100s: no address, wanted host:port", address);
    bool bracketed = address[0] == '[' && address[n - 1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(bracketed ? n - 2 : n), address + bracketed);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int error = getaddrinfo(host, colon + 1, &hints, &found);
    if (error != 0)
        return fail(why, why_size, "%.100s: %s", address, gai_strerror(error));
    int fd = -1;
    for (const struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
        if (fd >= 0 && !connect_one(fd, a, deadline, reason, sizeof reason)) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd < 0)
        return fail(why, why_size, "%.100s: %s", address, reason);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    *s = (stream){.in = fd, .out = fd};
    return true;
}
