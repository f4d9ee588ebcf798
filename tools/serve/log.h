/* The log: lines on standard error. It never waits: a line for which the reader has no room, or the
 * disk, is dropped and counted. */
#ifndef SLM_TOOLS_SERVE_LOG_H
#define SLM_TOOLS_SERVE_LOG_H

#include <stddef.h>
#include <stdint.h>

typedef struct serve_log {
    int quiet;
    uint64_t n_dropped;
} serve_log;

/* Writes a line, which ends in its newline. */
void serve_log_line(serve_log *log, const char *line, size_t len);
/* One line about a request: no texts, no keys, no addresses. endpoint is one of ours. */
void serve_log_request(serve_log *log, const char *method, const char *endpoint, int status,
                       double seconds);

#endif
