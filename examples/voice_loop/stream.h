/* Bytes to and from an engine, through pipes or a socket, with a deadline for every wait.
 *
 * A deadline is a time of clock_ms. Every call that fails says why in one line; the stream is then
 * of no more use but for stream_close. A write to an engine that is gone fails like any other and
 * raises no SIGPIPE. */
#ifndef SLM_VOICE_STREAM_H
#define SLM_VOICE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Milliseconds of a clock that only goes forward. */
int64_t clock_ms(void);

/* Writes the reason and is false, so that a function can return it. */
bool fail(char *why, size_t why_size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

typedef struct stream {
    int in, out; /* read from, written to; the same for a socket, -1 where closed */
    char *bytes; /* read, but not yet taken: those from begin to end */
    size_t begin, end, cap;
} stream;

/* Takes the descriptors over and makes them non-blocking. */
bool stream_open(stream *s, int in, int out, char *why, size_t why_size);
/* Connects to "host:port" ("[::1]:10300" for numbers of IPv6). */
bool stream_connect(stream *s, const char *address, int64_t deadline, char *why, size_t why_size);
void stream_close(stream *s);
/* Tells the other side that nothing more will be written. */
void stream_close_output(stream *s);

bool stream_write(stream *s, const void *data, size_t n, int64_t deadline, char *why,
                  size_t why_size);
/* 1 to n bytes; 0 at the end of the stream, -1 on failure. */
long stream_read(stream *s, void *data, size_t n, int64_t deadline, char *why, size_t why_size);
bool stream_read_all(stream *s, void *data, size_t n, int64_t deadline, char *why, size_t why_size);
/* One line of at most max bytes, without its newline and NUL-terminated, valid until the next call.
 * The end of the stream before a newline is a failure. */
char *stream_read_line(stream *s, size_t max, int64_t deadline, char *why, size_t why_size);
/* Whether a whole line is there by now, so that reading one would not wait. */
bool stream_has_line(stream *s, char *why, size_t why_size);

#endif
