/* Connections: deadlines of what comes and goes on them, and clients that go away. libmicrohttpd knows one
 * time-out, between two bytes. What bounds a whole head or body, an idle connection or a reader that
 * stands still is found here, by looking at connections a few times a second, at those that are being
 * answered each time and at the others in turns; so are clients that went away while their request was
 * being answered. */
#ifndef SLM_TOOLS_SERVE_CONNECTIONS_H
#define SLM_TOOLS_SERVE_CONNECTIONS_H

#include "server.h"

#include <microhttpd.h>

/* Connections beyond the limit that are told so; further ones wait in the system's queue. */
enum { SERVE_MAX_REFUSED = 16 };

struct serve_connection {
    serve_connection *next, *previous;
    struct MHD_Connection *connection;
    serve_exchange *exchange; /* NULL: no head of a request is there */
    int fd;
    int closing;
    int refused;              /* it is beyond the limit: its request is told so */
    double since;             /* when the wait for a head began, or its first bytes came */
    int head_begun;
    uint64_t n_bytes;         /* that had come when the last request was whole */
};

/* MHD_NotifyConnectionCallback: one begins or ends. */
void serve_connection_notice(void *server, struct MHD_Connection *connection, void **context,
                             enum MHD_ConnectionNotificationCode code);
/* The request on it is whole: what comes from now on is of the next one. */
void serve_connection_note(serve_connection *c);
/* A request on it has been answered: the next one may come. */
void serve_connection_rest(serve_connection *c);
void serve_connection_close(serve_connection *c);
/* Its client will not see the reply: what was begun for it ends. */
void serve_drop(serve_exchange *x);
void serve_connections_look(serve_server *server, double now);

#endif
