/* What the parts of `slm serve` share.
 *
 * One thread has all sockets (http.c), reads requests, and writes replies; another one steps the
 * model (engine.c). They meet in a queue of tasks and a queue of events, so that no client can hold
 * up a step, nor a step a client.
 *
 *   exchange   a request of HTTP with its reply
 *   job        what an exchange waits for: one or more tasks, and how their events become a reply
 *   task       one prompt, and its answer or its embedding
 */
#ifndef SLM_TOOLS_SERVE_SERVER_H
#define SLM_TOOLS_SERVE_SERVER_H

#include "engine.h"
#include "fields.h"
#include "log.h"
#include "metrics.h"
#include "out.h"

#include "slm.h"

#include <stdint.h>

struct MHD_Connection;
struct MHD_Daemon;

/* The command line, with all defaults filled in. Times are seconds. */
typedef struct serve_options {
    const char *host;
    uint32_t port;
    char **keys; /* of clients; none where n_keys is 0 */
    size_t n_keys;
    const char **hosts; /* further names that a Host header may have */
    size_t n_hosts;
    const char **origins; /* pages of which other sites may use the server */
    size_t n_origins;
    int loopback;          /* the address is one that no other machine reaches */
    uint32_t max_body;     /* bytes of a request's body */
    uint32_t max_pending;  /* bytes of a reply that a slow reader has not fetched */
    uint32_t max_clients;  /* connections; 0: as many as the system gives descriptors */
    uint32_t head_timeout, body_timeout, idle_timeout, write_timeout, request_timeout;
    uint32_t drain;        /* for running answers, once the server is told to stop */
    int log_text;          /* what is asked and answered goes into the log */
} serve_options;

typedef struct serve_exchange serve_exchange;
typedef struct serve_connection serve_connection;
typedef struct serve_job serve_job;

typedef struct serve_server {
    const serve_options *options;
    slm_model *model;
    slm_model_info info;
    slm_sampling sampling; /* what requests may leave open */
    uint32_t n_ctx;
    char model_id[256];
    int64_t created;           /* seconds since 1970 when the model was opened */
    int arguments_as_text;     /* how the template wants arguments of earlier calls */
    serve_engine *engine;
    serve_metrics metrics;
    serve_log *log;
    /* http.c, connections.c */
    struct MHD_Daemon *daemon;
    int listen_fd;
    char port_text[8];         /* that clients use */
    serve_connection *connections;
    serve_connection *turn;    /* whose turn it is to be looked at; NULL: the first's */
    uint32_t max_connections;  /* that are served */
    uint32_t n_connections;
    uint32_t n_refused;        /* of them: beyond that */
    serve_exchange *exchanges;
    size_t n_jobs; /* that the engine has taken and that are not freed */
    double drain_until;        /* 0: not told to stop */
    double farewell_until;     /* connections without a request wait so long for one that is refused */
    int was_cut;               /* that time is over, and what ran was told so */
    uint64_t random[2];        /* state of the ids of replies */
} serve_server;

struct serve_exchange {
    serve_server *server;
    struct MHD_Connection *connection;
    serve_connection *peer;
    serve_exchange *next, *previous;
    const char *method;
    char *path;
    const char *origin;        /* of another site that may read the reply; NULL: none */
    const char *endpoint;      /* for metrics and the log */
    serve_out body;
    int body_too_large;
    double started, moved;     /* when the head was read, when bytes last came or went */
    /* the reply */
    int status;                /* 0: none yet */
    const char *content_type;
    const char *allow;         /* with 405 */
    uint32_t retry_after;      /* with 503 */
    serve_out out;             /* all of it, or what of a stream is still to be sent */
    int streams, ended;        /* it comes piece by piece; there will be no more pieces */
    int suspended, queued, gone;
    serve_job *job;            /* what the reply waits for, or NULL */
};

/* Opens the address that the options name (listen.c). 0, or the exit status after printing why. */
int serve_listen(serve_server *server);

/* ---------------------------------------------------------------- http.c */

/* Serves until a signal comes and what runs has ended. Returns the exit status. */
int serve_loop(serve_server *server);
/* A reply as JSON, which is in x->out. */
void serve_reply(serve_exchange *x, int status);
void serve_reply_fault(serve_exchange *x, const serve_fault *fault);
/* The body of an error: {"error": {...}}. */
void serve_write_fault(serve_out *out, const serve_fault *fault);
/* There is something new to send: x->status is set, x->out has grown, or x->ended. */
void serve_resume(serve_exchange *x);
/* 32 hexadecimal digits that no other reply of this server has, and a NUL. */
void serve_new_id(serve_server *server, char id[33]);

/* ---------------------------------------------------------------- routes.c */

/* Answers a request whose body is there; either x->status is set then, or x->job. */
void serve_route(serve_exchange *x);
/* Whether the body of this request is wanted at all; else the reply is there. */
int serve_route_head(serve_exchange *x);

/* ---------------------------------------------------------------- endpoints */

void serve_models(serve_exchange *x);
void serve_health(serve_exchange *x);
void serve_metrics_page(serve_exchange *x);
void serve_page(serve_exchange *x);
void serve_tokenize(serve_exchange *x, const json_t *request);
void serve_detokenize(serve_exchange *x, const json_t *request);
void serve_chat(serve_exchange *x, const json_t *request);
void serve_completions(serve_exchange *x, const json_t *request);
void serve_responses(serve_exchange *x, const json_t *request);
void serve_embeddings(serve_exchange *x, const json_t *request);

#endif
