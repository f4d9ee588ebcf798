/* Events of the Wyoming protocol as bytes: a line of JSON, then data, which is JSON too, and a
 * payload, each as long as the line says. */
#ifndef SLM_TOOLS_WYOMING_WIRE_H
#define SLM_TOOLS_WYOMING_WIRE_H

#include "../serve/out.h"

#include <jansson.h>

/* Bytes of one event at most. */
enum { WYOMING_MAX_LINE = 1 << 16, WYOMING_MAX_DATA = 1 << 16, WYOMING_MAX_PAYLOAD = 1 << 24 };

typedef struct wyoming_fault {
    const char *code; /* static; NULL: none */
    char message[200];
} wyoming_fault;

/* Notes the first fault. Returns 0. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
int wyoming_fail(wyoming_fault *fault, const char *code, const char *format, ...);

typedef struct wyoming_event {
    const char *type; /* inside of header */
    json_t *header;
    json_t *data;     /* an object, empty where none came */
} wyoming_event;

/* Bytes as they come, and the event that has begun in them. */
typedef struct wyoming_reader {
    serve_out in;
    size_t at, searched;      /* bytes of it that were taken, and looked at for the end of a line */
    wyoming_event event;      /* its line is there; header NULL: it is not */
    size_t n_data, n_payload; /* bytes that are to come */
} wyoming_reader;

void wyoming_feed(wyoming_reader *reader, const char *bytes, size_t n);
/* The next event, which is then the caller's to free; payloads are skipped. 1, 0 where bytes are
 * missing, or -1 for what is no event: where the next one begins is not known then. */
int wyoming_next(wyoming_reader *reader, wyoming_event *event, wyoming_fault *fault);
/* Whether an event has begun that is not whole. */
int wyoming_has_begun(const wyoming_reader *reader);
void wyoming_reader_free(wyoming_reader *reader);
void wyoming_event_free(wyoming_event *event);

/* Appends an event, and takes data; NULL: there was no memory for it, and out has failed. */
void wyoming_write(serve_out *out, const char *type, json_t *data);

#endif
