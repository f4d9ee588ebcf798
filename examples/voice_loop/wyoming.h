/* Events of the Wyoming protocol: a line of JSON, then the bytes that it announces. They go to a
 * server over TCP or to a program over its standard input and output; a Wyoming server started with
 * "--uri stdio://" is such a program. */
#ifndef SLM_VOICE_WYOMING_H
#define SLM_VOICE_WYOMING_H

#include "process.h"

#include <jansson.h>

typedef struct wyoming_event {
    const char *type;      /* inside of header */
    json_t *header, *data; /* data: an object, empty where none came */
    char *payload;
    size_t n_payload;
} wyoming_event;

/* Takes `data` over; NULL where there is none. */
bool wyoming_send(stream *to, const char *type, json_t *data, const void *payload, size_t n_payload,
                  int64_t deadline, char *why, size_t why_size);
/* The event is to be freed after success. */
bool wyoming_receive(stream *from, wyoming_event *event, int64_t deadline, char *why,
                     size_t why_size);
void wyoming_free(wyoming_event *event);

/* An engine's side: which server or program, and the way to it while it is open. */
typedef struct wyoming_link {
    const char *engine; /* for messages: "wyoming", "program" */
    char *address;      /* of a server, or: */
    char **command;     /* a program */
    process program;
    stream io; /* used while `open` */
    bool open;
    int owed; /* answers on this connection that nobody waits for any more */
    int timeout_ms;
} wyoming_link;

/* Copies what it is given, one of address and command, and sees that the engine can be reached. A link
 * that failed is freed like any other. */
bool wyoming_link_init(wyoming_link *l, const char *engine, const char *address,
                       char *const *command, int timeout_ms, char *why, size_t why_size);
void wyoming_link_free(wyoming_link *l);
/* Connects, or starts the program where it does not run. */
bool wyoming_link_open(wyoming_link *l, char *why, size_t why_size);
void wyoming_link_close(wyoming_link *l);
/* A server is connected to anew for every utterance, a program stays. */
void wyoming_link_rest(wyoming_link *l);
/* wyoming_send and wyoming_receive on the link, which is closed where they fail; why names the
 * engine. */
bool wyoming_link_send(wyoming_link *l, const char *type, json_t *data, const void *payload,
                       size_t n_payload, char *why, size_t why_size);
bool wyoming_link_receive(wyoming_link *l, wyoming_event *event, char *why, size_t why_size);
/* The stream that is open, of the socket or of the program. */
stream *wyoming_link_stream(wyoming_link *l);

/* A copy of an argument vector, NULL where memory is short. */
char **command_copy(char *const *command);
void command_free(char **command);

#endif
