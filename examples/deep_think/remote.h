/* The other model: any address that speaks the interface of the OpenAI API, by libcurl. */
#ifndef SLM_DEEP_REMOTE_H
#define SLM_DEEP_REMOTE_H

#include <stddef.h>

typedef struct deep_remote {
    const char *address; /* up to and with /v1 */
    const char *model;   /* NULL: the address has a default */
    const char *key;     /* NULL: none */
    long timeout_s;
    long max_tokens;     /* 0: as many as it likes */
} deep_remote;

/* The answer to messages, an array of JSON; malloc'ed. NULL: error says why, on one line. */
char *deep_remote_ask(const deep_remote *remote, const char *messages, char *error, size_t cap);

#endif
