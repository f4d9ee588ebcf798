/* What the server counts, in the text format of Prometheus. */
#ifndef SLM_TOOLS_SERVE_METRICS_H
#define SLM_TOOLS_SERVE_METRICS_H

#include "out.h"

#include <stdint.h>

enum { SERVE_MAX_COUNTS = 96, SERVE_N_BOUNDS = 14 };

typedef struct serve_histogram {
    uint64_t counts[SERVE_N_BOUNDS + 1];
    uint64_t n;
    double sum;
} serve_histogram;

typedef struct serve_metrics {
    struct {
        const char *endpoint; /* static */
        int status;
        uint64_t n;
    } requests[SERVE_MAX_COUNTS];
    size_t n_requests;
    serve_histogram seconds;       /* of requests, from the head to the last byte */
    serve_histogram first_token;   /* until the first token was chosen */
    serve_histogram between_tokens;
    uint64_t n_rejected;           /* the queue was full */
    uint64_t n_dropped;            /* clients that went away before their reply was whole */
    uint64_t n_slow;               /* clients that were dropped because they did not read */
    uint64_t n_ignored;            /* fields of requests that mean nothing here */
} serve_metrics;

void serve_metrics_request(serve_metrics *metrics, const char *endpoint, int status,
                           double seconds);
void serve_histogram_add(serve_histogram *histogram, double value);
void serve_histogram_write(serve_out *out, const char *name, const char *help,
                           const serve_histogram *histogram);
void serve_metric_write(serve_out *out, const char *name, const char *type, const char *help,
                        uint64_t value);
void serve_metrics_write(serve_out *out, const serve_metrics *metrics);

#endif
