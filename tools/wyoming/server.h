/* What the parts of slm-wyoming share.
 *
 * As in `slm serve` one thread has all connections (server.c), and another one steps the model
 * (../serve/engine.c).
 *
 *   client        a connection, or the program's standard streams; one turn at a time
 *   turn          a text of the user, and what is sent for it: text that is handled, or intents
 *   conversation  what was said before, by the id that clients give or are given
 */
#ifndef SLM_TOOLS_WYOMING_SERVER_H
#define SLM_TOOLS_WYOMING_SERVER_H

#include "conversations.h"
#include "wire.h"

#include "../serve/engine.h"
#include "../serve/log.h"

enum { WYOMING_MAX_LANGUAGES = 32 };

/* The command line, with all defaults filled in. Times are seconds. */
typedef struct wyoming_options {
    const char *uri;  /* NULL: tcp://host:port */
    const char *host;
    uint32_t port;
    const char *name; /* of the service */
    const char *languages[WYOMING_MAX_LANGUAGES];
    size_t n_languages; /* 0: those of the file, or any */
    slm_sampling sampling;
    uint32_t max_tokens;
    uint32_t max_clients;
    uint32_t read_timeout, write_timeout, idle_timeout, request_timeout;
    uint32_t drain;   /* for running answers, once the server is told to stop */
} wyoming_options;

/* ---------------------------------------------------------------- listen.c */

typedef struct wyoming_listener {
    int fd;         /* -1: the standard streams, or closed */
    int is_stdio;
    char path[108]; /* of a socket of the file system, to be removed; else "" */
    char uri[320];  /* that clients use */
} wyoming_listener;

/* Opens what the options name. 0, or the exit status after printing why. */
int wyoming_listen(const wyoming_options *options, wyoming_listener *listener);
void wyoming_listener_close(wyoming_listener *listener);

/* ---------------------------------------------------------------- clients and turns */

typedef struct wyoming_turn wyoming_turn;

typedef struct wyoming_client {
    struct wyoming_client *next;
    int in, out;      /* the same of a socket */
    int is_socket;
    size_t watched;   /* its place among what is waited for; SIZE_MAX: none */
    wyoming_reader reader;
    serve_out reply;  /* still to be sent */
    wyoming_turn *turn; /* under way, or NULL */
    char id[33];      /* of its conversation where requests name none; "": not needed yet */
    double begun;     /* when the event began that is being read; 0: none is */
    double moved;     /* when bytes were last sent, or there were none to send */
    double since;     /* when it was last of use; once it leaves, when all was sent */
    int ended;        /* nothing more comes from it */
    int leaving;      /* it gets its reply, and nothing more is read */
    int shut;         /* and has got it */
    int gone;         /* to be freed */
} wyoming_client;

typedef struct wyoming_server {
    const wyoming_options *options;
    slm_model *model;
    serve_engine *engine;
    serve_log *log;
    json_t *info;           /* the data of the event "info" */
    char *tools;            /* as JSON; NULL: none */
    wyoming_conversations conversations;
    wyoming_listener listener;
    wyoming_client *clients;
    uint32_t n_clients;
    wyoming_turn *turns;    /* of which the engine still speaks */
    double deaf_until;      /* when new clients are taken again */
    double drain_until;     /* 0: not told to stop */
} wyoming_server;

/* ---------------------------------------------------------------- info.c */

/* The answer to "describe"; NULL: no memory. */
json_t *wyoming_describe(const wyoming_server *server);

/* ---------------------------------------------------------------- turn.c */

struct wyoming_turn {
    wyoming_turn *next;
    wyoming_client *client;  /* NULL: gone */
    wyoming_conversation *conversation;
    serve_task *task;
    int recognizes;          /* intents alone are wanted */
    json_t *context;         /* for the client to send with what it says next */
    serve_out text;
    serve_out name, arguments; /* of the call that is being written */
    json_t *calls;
    int streams;             /* handled-start was sent */
    double started;
    wyoming_fault fault;     /* why it is being stopped */
};

/* A text of the user, which came as "transcript" or "recognize". client->turn is set, or the reply
 * is there. */
void wyoming_turn_begin(wyoming_server *server, wyoming_client *client, const wyoming_event *event);
/* The client will not hear the answer. */
void wyoming_turn_abandon(wyoming_server *server, wyoming_turn *turn);
/* Ends it with an error as its reply. */
void wyoming_turn_stop(wyoming_server *server, wyoming_turn *turn, const char *code,
                       const char *message);
/* Brings the events of the engine to their turns. */
void wyoming_turns_deliver(wyoming_server *server);
/* Has what all prompts begin with evaluated, or tells why it cannot be: 0, or the exit status. */
int wyoming_warm_up(wyoming_server *server, const char *path);

/* The event "error". */
void wyoming_refuse(wyoming_client *client, const wyoming_fault *fault);

/* ---------------------------------------------------------------- server.c */

/* Serves until a signal comes and what runs has ended, or the standard input has. Returns the exit
 * status. */
int wyoming_loop(wyoming_server *server);

#endif
