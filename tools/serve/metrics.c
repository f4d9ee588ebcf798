#include "metrics.h"

#include <stdio.h>
#include <string.h>

static const double bounds[SERVE_N_BOUNDS] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                              0.25,  0.5,    1,     2.5,  5,     10,   60};

void serve_histogram_add(serve_histogram *h, double value) {
    size_t i = 0;
    while (i < SERVE_N_BOUNDS && value > bounds[i])
        i++;
    h->counts[i]++;
    h->n++;
    h->sum += value;
}

void serve_metrics_request(serve_metrics *m, const char *endpoint, int status, double seconds) {
    size_t i = 0;
    serve_histogram_add(&m->seconds, seconds);
    while (i < m->n_requests &&
           (m->requests[i].status != status || strcmp(m->requests[i].endpoint, endpoint) != 0))
        i++;
    if (i == SERVE_MAX_COUNTS)
        return; /* endpoints and statuses are few; a client cannot make up either */
    if (i == m->n_requests) {
        m->requests[i].endpoint = endpoint;
        m->requests[i].status = status;
        m->n_requests++;
    }
    m->requests[i].n++;
}

static void head(serve_out *out, const char *name, const char *type, const char *help) {
    serve_out_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void serve_histogram_write(serve_out *out, const char *name, const char *help,
                           const serve_histogram *h) {
    uint64_t total = 0;
    head(out, name, "histogram", help);
    for (size_t i = 0; i < SERVE_N_BOUNDS; i++) {
        total += h->counts[i];
        serve_out_format(out, "%s_bucket{le=\"", name);
        serve_out_float(out, bounds[i]);
        serve_out_format(out, "\"} %llu\n", (unsigned long long)total);
    }
    serve_out_format(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum ", name, (unsigned long long)h->n,
                     name);
    serve_out_float(out, h->sum);
    serve_out_format(out, "\n%s_count %llu\n", name, (unsigned long long)h->n);
}

void serve_metric_write(serve_out *out, const char *name, const char *type, const char *help,
                        uint64_t value) {
    head(out, name, type, help);
    serve_out_format(out, "%s %llu\n", name, (unsigned long long)value);
}

void serve_metrics_write(serve_out *out, const serve_metrics *m) {
    head(out, "slm_requests_total", "counter", "Requests by endpoint and status; 499: gone.");
    for (size_t i = 0; i < m->n_requests; i++)
        serve_out_format(out, "slm_requests_total{endpoint=\"%s\",status=\"%d\"} %llu\n",
                         m->requests[i].endpoint, m->requests[i].status,
                         (unsigned long long)m->requests[i].n);
    serve_metric_write(out, "slm_requests_rejected_total", "counter",
                       "Requests refused because the queue or the connections were full.", m->n_rejected);
    serve_metric_write(out, "slm_clients_gone_total", "counter",
                       "Clients that went away before their answer was whole.", m->n_dropped);
    serve_metric_write(out, "slm_clients_slow_total", "counter",
                       "Clients that were dropped because they did not read.", m->n_slow);
    serve_metric_write(out, "slm_fields_ignored_total", "counter",
                       "Fields of requests that have no meaning here.", m->n_ignored);
    serve_histogram_write(out, "slm_request_seconds", "From the head of a request to its last byte.",
                          &m->seconds);
    serve_histogram_write(out, "slm_first_token_seconds", "Until the first token of an answer.",
                          &m->first_token);
    serve_histogram_write(out, "slm_between_tokens_seconds", "Between two tokens of an answer.",
                          &m->between_tokens);
}
