/* Connections: bytes in, events to turns, replies out; and the limits of each. */
#define _GNU_SOURCE

#include "server.h"

#include "../cli.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TICK_MS = 200,
    MAX_PENDING = 1 << 20,   /* bytes of replies that a client has not fetched */
    PAUSE_PENDING = 1 << 16, /* from which on nothing more is read from it */
    REFUSED = 16             /* clients beyond the number, who are told so */
};
/* Seconds in which what a client still sends is read and dropped, since closing earlier could take
 * its last reply away from it. */
static const double LINGER = 1;

/* ---- clients --------------------------------------------------------------------------------- */

static wyoming_client *add_client(wyoming_server *server, int in, int out, int is_socket) {
    wyoming_client *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    double now = slm_cli_now();
    *c = (wyoming_client){.next = server->clients, .in = in, .out = out, .is_socket = is_socket,
                          .watched = SIZE_MAX, .moved = now, .since = now};
    server->clients = c;
    server->n_clients++;
    return c;
}

/* Nothing more is read; it goes once it has its reply. */
static void leave(wyoming_client *c) {
    c->leaving = 1;
    c->since = slm_cli_now();
}

static void refuse(wyoming_client *c, const char *code, const char *message) {
    wyoming_fault fault = {0};
    wyoming_fail(&fault, code, "%s", message);
    wyoming_refuse(c, &fault);
    leave(c);
}

/* Frees those that are gone, and ends what was begun for them. */
static void reap(wyoming_server *server) {
    for (wyoming_client **at = &server->clients; *at;) {
        wyoming_client *c = *at;
        if (!c->gone) {
            at = &c->next;
            continue;
        }
        if (c->turn)
            wyoming_turn_abandon(server, c->turn);
        if (c->is_socket)
            close(c->in);
        wyoming_reader_free(&c->reader);
        serve_out_free(&c->reply);
        *at = c->next;
        server->n_clients--;
        free(c);
    }
}

/* ---- events of clients ----------------------------------------------------------------------- */

static void handle(wyoming_server *server, wyoming_client *c, const wyoming_event *event) {
    const char *type = event->type;
    if (strcmp(type, "transcript") == 0 || strcmp(type, "recognize") == 0)
        wyoming_turn_begin(server, c, event);
    else if (strcmp(type, "describe") == 0)
        wyoming_write(&c->reply, "info", json_incref(server->info));
    else if (strcmp(type, "ping") == 0)
        wyoming_write(&c->reply, "pong",
                      json_pack("{s:O*}", "text", json_object_get(event->data, "text")));
    /* Others, such as the sound of a pipeline, are not for this service, and are dropped. */
}

static int is_reading(const wyoming_client *c) {
    return !c->turn && !c->leaving && c->reply.len < PAUSE_PENDING;
}

/* Takes in what is there, event by event. */
static void handle_all(wyoming_server *server, wyoming_client *c, double now) {
    wyoming_event event;
    wyoming_fault fault = {0};
    int got = 0;
    while (is_reading(c) && server->drain_until == 0 &&
           (got = wyoming_next(&c->reader, &event, &fault)) > 0) {
        c->since = now;
        c->begun = 0;
        handle(server, c, &event);
        wyoming_event_free(&event);
    }
    if (got < 0) {
        wyoming_refuse(c, &fault);
        leave(c);
    }
    if (!is_reading(c))
        return;
    if (wyoming_has_begun(&c->reader) && c->begun == 0)
        c->begun = now;
    if (c->ended && wyoming_has_begun(&c->reader))
        refuse(c, "bad-event", "got the end of what is sent inside of an event");
    else if (c->ended || server->drain_until > 0)
        leave(c);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void receive(wyoming_client *c) {
    char bytes[16384];
    ssize_t n = read(c->in, bytes, sizeof bytes);
    if (n > 0 && !c->leaving)
        wyoming_feed(&c->reader, bytes, (size_t)n);
    else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        c->ended = 1;
    if (c->ended && c->shut)
        c->gone = 1;
}

/* PIPE_BUF bytes go into whatever can be written to without waiting, which the standard output,
 * unlike a socket, would do. */
static void transmit(wyoming_client *c, double now) {
    while (c->reply.len > 0) {
        ssize_t n = write(c->out, c->reply.data, c->reply.len < PIPE_BUF ? c->reply.len : PIPE_BUF);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            c->gone = 1;
        if (n <= 0)
            return;
        serve_out_drop(&c->reply, (size_t)n);
        c->moved = now;
        if (!c->is_socket)
            return;
    }
}

/* What poll found. */
static void look_at(wyoming_server *server, wyoming_client *c, int in, int out, double now) {
    /* One that has said its last word and still waits for an answer has gone, but for a program at
     * the other end of a pipe. */
    if ((out & (POLLERR | POLLNVAL)) ||
        (c->is_socket && c->turn && (in & (POLLRDHUP | POLLHUP | POLLERR)))) {
        c->gone = 1;
        return;
    }
    if (in & (POLLIN | POLLHUP | POLLRDHUP | POLLERR))
        receive(c);
    if (c->reply.len == 0)
        c->moved = now;
    handle_all(server, c, now);
    if (c->is_socket || (out & POLLOUT))
        transmit(c, now);
    if (c->reply.failed || c->reply.len > MAX_PENDING)
        c->gone = 1;
    if (c->leaving && !c->shut && c->reply.len == 0) {
        c->shut = 1;
        c->since = now;
        if (!c->is_socket || c->ended || shutdown(c->out, SHUT_WR) != 0)
            c->gone = 1;
    }
}

/* ---- time ------------------------------------------------------------------------------------ */

static void check_times(wyoming_server *server, wyoming_client *c, double now) {
    const wyoming_options *o = server->options;
    if (c->reply.len > 0 && now - c->moved > o->write_timeout)
        c->gone = 1;
    else if (c->shut && now - c->since > LINGER)
        c->gone = 1;
    else if (c->turn && o->request_timeout && now - c->turn->started > o->request_timeout)
        wyoming_turn_stop(server, c->turn, "timeout", "the answer took too long");
    else if (is_reading(c) && c->begun > 0 && now - c->begun > o->read_timeout)
        refuse(c, "timeout", "got a part of an event, and nothing more for too long");
    else if (is_reading(c) && c->is_socket && c->begun == 0 && now - c->since > o->idle_timeout)
        leave(c);
}

static void tick(wyoming_server *server, double now) {
    for (wyoming_client *c = server->clients; c; c = c->next)
        if (!c->gone)
            check_times(server, c, now);
    if (server->drain_until > 0 && now >= server->drain_until)
        for (wyoming_turn *turn = server->turns; turn; turn = turn->next)
            wyoming_turn_stop(server, turn, "stopping", "the server is being stopped");
    wyoming_conversations_age(&server->conversations, now);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void accept_all(wyoming_server *server, double now) {
    int fd = 0;
    uint32_t max = server->options->max_clients;
    while (server->n_clients < max + REFUSED &&
           (fd = accept4(server->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        int is_one_too_many = server->n_clients >= max;
        wyoming_client *c = add_client(server, fd, fd, 1);
        if (!c)
            close(fd);
        else if (is_one_too_many)
            refuse(c, "overloaded", "got more clients than this server takes at a time");
    }
    if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        server->deaf_until = now + TICK_MS * 1e-3; /* out of descriptors, which poll does not see */
}

/* Fills what to wait for; the first two are the listener and the engine. */
static nfds_t watch(wyoming_server *server, struct pollfd *fds, double now) {
    nfds_t n = 2;
    int has_room = server->n_clients < server->options->max_clients + REFUSED &&
                   now >= server->deaf_until;
    fds[0] = (struct pollfd){.fd = has_room ? server->listener.fd : -1, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = serve_engine_fd(server->engine), .events = POLLIN};
    for (wyoming_client *c = server->clients; c; c = c->next) {
        int reads = is_reading(c) || c->shut;
        c->watched = n;
        /* The end of a pipe would be told again and again. */
        int in = !c->ended && (reads || c->is_socket) ? c->in : -1;
        fds[n++] = (struct pollfd){.fd = in, .events = (short)(POLLRDHUP | (reads ? POLLIN : 0))};
        fds[n++] = (struct pollfd){.fd = c->out, .events = c->reply.len > 0 ? POLLOUT : 0};
    }
    return n;
}

/* No new clients; the others leave when their turns have ended. */
static void begin_drain(wyoming_server *server, double now) {
    wyoming_listener_close(&server->listener);
    server->drain_until = now + server->options->drain;
}

static int is_over(const wyoming_server *server, double now) {
    if (server->listener.is_stdio || server->drain_until > 0)
        return !server->clients || (server->drain_until > 0 && now > server->drain_until + LINGER);
    return 0;
}

static void run(wyoming_server *server, struct pollfd *fds) {
    double next_tick = 0;
    for (double now = slm_cli_now(); !is_over(server, now);) {
        nfds_t n = watch(server, fds, now);
        if (poll(fds, n, TICK_MS) < 0)
            for (nfds_t i = 0; i < n; i++)
                fds[i].revents = 0;
        now = slm_cli_now();
        if (fds[1].revents)
            wyoming_turns_deliver(server);
        for (wyoming_client *c = server->clients; c; c = c->next)
            look_at(server, c, fds[c->watched].revents, fds[c->watched + 1].revents, now);
        if (now >= next_tick) {
            tick(server, now);
            next_tick = now + TICK_MS * 1e-3;
        }
        reap(server);
        if (fds[0].revents)
            accept_all(server, now);
        if (slm_cli_interrupted()) {
            slm_cli_forget_interrupt();
            if (server->drain_until == 0)
                begin_drain(server, now);
            else
                server->drain_until = now;
        }
    }
}

int wyoming_loop(wyoming_server *server) {
    struct pollfd *fds = calloc(2 + 2 * (size_t)(server->options->max_clients + REFUSED),
                                sizeof *fds);
    if (!fds ||
        (server->listener.is_stdio && !add_client(server, STDIN_FILENO, STDOUT_FILENO, 0))) {
        free(fds);
        return slm_cli_fail("slm-wyoming: got no memory for clients");
    }
    run(server, fds);
    free(fds);
    for (wyoming_client *c = server->clients; c; c = c->next)
        c->gone = 1;
    reap(server);
    while (server->turns) { /* cancelled: the step that runs is their last */
        struct pollfd events = {.fd = serve_engine_fd(server->engine), .events = POLLIN};
        poll(&events, 1, TICK_MS);
        wyoming_turns_deliver(server);
    }
    return SLM_EXIT_DONE;
}
