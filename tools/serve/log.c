#define _POSIX_C_SOURCE 200809L

#include "log.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A pipe that can be written to has room for PIPE_BUF bytes, so that a line of that length goes in
 * whole and at once. */
void serve_log_line(serve_log *log, const char *line, size_t len) {
    struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (log->quiet)
        return;
    if (len > PIPE_BUF || poll(&fd, 1, 0) != 1 || !(fd.revents & POLLOUT) ||
        write(STDERR_FILENO, line, len) != (ssize_t)len)
        log->n_dropped++;
}

void serve_log_request(serve_log *log, const char *method, const char *endpoint, int status,
                       double seconds) {
    static const char *const methods[] = {"GET", "POST", "OPTIONS", "HEAD"};
    char line[160];
    const char *known = "OTHER"; /* a client's own words do not go into the log */
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(method, methods[i]) == 0)
            known = methods[i];
    unsigned long long ms = (unsigned long long)(seconds * 1e3);
    int n = snprintf(line, sizeof line, "%s %s %d %llu.%03llu s\n", known, endpoint, status,
                     ms / 1000, ms % 1000);
    if (n > 0 && (size_t)n < sizeof line)
        serve_log_line(log, line, (size_t)n);
}
