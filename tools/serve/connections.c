#define _GNU_SOURCE

#include "connections.h"

#include "../cli.h"
#include "job.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum {
    SEND_BYTES = 128 * 1024, /* of the system's memory for what a reader has not fetched */
    /* Connections without a request are all looked at each time where they are few. Each look is a call
     * of the system, so that of many a part has its turn, and all of them within so many looks. */
    FEW_CONNECTIONS = 512,
    LOOKS = 10,
};

static uint64_t bytes_received(int fd) {
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_received : 0;
}

void serve_connection_notice(void *cls, struct MHD_Connection *connection, void **context,
                             enum MHD_ConnectionNotificationCode code) {
    serve_server *server = cls;
    serve_connection *c = *context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        c = calloc(1, sizeof *c);
        *context = c;
        int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        if (!c) {
            shutdown(fd, SHUT_RDWR);
            return;
        }
        c->connection = connection;
        c->fd = fd;
        c->since = slm_cli_now();
        c->refused = server->n_connections - server->n_refused >= server->max_connections;
        server->n_refused += (uint32_t)c->refused;
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){SEND_BYTES}, sizeof(int));
        c->next = server->connections;
        if (c->next)
            c->next->previous = c;
        server->connections = c;
        server->n_connections++;
    } else if (c) {
        if (c->previous)
            c->previous->next = c->next;
        else
            server->connections = c->next;
        if (c->next)
            c->next->previous = c->previous;
        if (server->turn == c)
            server->turn = c->next;
        server->n_connections--;
        server->n_refused -= (uint32_t)c->refused;
        free(c);
        *context = NULL;
    }
}

void serve_connection_note(serve_connection *c) { c->n_bytes = bytes_received(c->fd); }

void serve_connection_rest(serve_connection *c) {
    c->exchange = NULL;
    c->since = slm_cli_now();
    c->head_begun = 0;
}

void serve_connection_close(serve_connection *c) {
    shutdown(c->fd, SHUT_RDWR);
    c->closing = 1;
}

/* Between two requests nothing of libmicrohttpd is on its way to the client, so that this line can
 * be. */
static void say_timed_out(serve_connection *c) {
    static const char text[] = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
                               "Content-Length: 0\r\n\r\n";
    (void)!send(c->fd, text, sizeof text - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    serve_connection_close(c);
}

static void look_at_idle(const serve_options *o, serve_connection *c, double now) {
    uint64_t n = bytes_received(c->fd);
    if (!c->head_begun && n > c->n_bytes) {
        c->head_begun = 1;
        c->since = now;
    }
    if (c->head_begun && now - c->since > o->head_timeout)
        say_timed_out(c);
    else if (!c->head_begun &&
             now - c->since > (c->refused ? o->head_timeout : o->idle_timeout))
        serve_connection_close(c);
}

void serve_drop(serve_exchange *x) {
    if (x->job)
        serve_job_abandon(x->job);
    x->gone = 1;
    shutdown(x->peer->fd, SHUT_RDWR);
    serve_resume(x);
}

static void look_at_exchange(serve_exchange *x, double now) {
    const serve_options *o = x->server->options;
    int reads_body = !x->status && !x->job;
    if (reads_body && now - x->started > o->body_timeout) {
        x->gone = 1;
        say_timed_out(x->peer);
    } else if (x->streams && x->out.len > o->max_pending) {
        x->server->metrics.n_slow++;
        serve_drop(x);
    } else if (x->queued && !x->suspended && now - x->moved > o->write_timeout) {
        x->server->metrics.n_slow++;
        serve_drop(x);
    } else if (x->job && o->request_timeout && now - x->started > o->request_timeout) {
        serve_job_time_out(x->job);
    }
}

/* The client has said its last word, and there is nothing to read before it. */
static int has_hung_up(const struct pollfd *fd) {
    int n_unread = 0;
    return fd->revents && (ioctl(fd->fd, FIONREAD, &n_unread) != 0 || n_unread == 0);
}

/* Whether it can be lost on somebody that this client has gone. */
static int may_be_gone(const serve_connection *c) {
    const serve_exchange *x = c->exchange;
    return !c->closing && !(x && (x->gone || (x->status && !x->suspended)));
}

/* Connections that wait for the engine are not watched by libmicrohttpd, and it does not see the end
 * of one that came together with the bytes before it. */
static void look_for_gone(serve_connection **who, struct pollfd *fds, size_t n) {
    for (size_t i = 0; i < n; i++)
        fds[i] = (struct pollfd){.fd = who[i]->fd, .events = POLLRDHUP};
    if (n == 0 || poll(fds, n, 0) <= 0)
        return;
    for (size_t i = 0; i < n; i++) {
        if (!has_hung_up(&fds[i]))
            continue;
        if (who[i]->exchange)
            serve_drop(who[i]->exchange);
        serve_connection_close(who[i]);
    }
}

/* The next connection in turn; behind the last comes the first. */
static serve_connection *next_in_turn(serve_server *server) {
    serve_connection *c = server->turn ? server->turn : server->connections;
    server->turn = c->next;
    return c;
}

void serve_connections_look(serve_server *server, double now) {
    size_t n = 0, n_turn = server->n_connections, n_exchanges = 0;
    for (serve_exchange *x = server->exchanges, *next; x; x = next) {
        next = x->next;
        n_exchanges++;
        if (!x->gone)
            look_at_exchange(x, now);
    }
    if (n_turn > FEW_CONNECTIONS)
        n_turn = FEW_CONNECTIONS + (n_turn - FEW_CONNECTIONS + LOOKS - 1) / LOOKS;
    serve_connection **who = calloc(n_exchanges + n_turn + 1, sizeof(serve_connection *));
    struct pollfd *fds = calloc(n_exchanges + n_turn + 1, sizeof *fds);
    for (serve_exchange *x = who && fds ? server->exchanges : NULL; x; x = x->next)
        if (may_be_gone(x->peer))
            who[n++] = x->peer;
    for (size_t i = 0; i < n_turn; i++) {
        serve_connection *c = next_in_turn(server);
        if (c->exchange || c->closing)
            continue;
        look_at_idle(server->options, c, now);
        if (who && fds && may_be_gone(c))
            who[n++] = c;
    }
    look_for_gone(who, fds, n);
    free(fds);
    free(who);
}
