/* One attempt to fetch the rest of a file, by libcurl. */
#ifndef SLM_TOOLS_PULL_FETCH_H
#define SLM_TOOLS_PULL_FETCH_H

#include "catalogue.h"
#include "part.h"

#include <stdint.h>

typedef struct pull_options {
    const char *ca_file;    /* certificates to trust; NULL: those of the system             */
    uint32_t stall_seconds; /* after which nothing has come, a connection is given up       */
    uint32_t n_retries;     /* attempts beyond the first that bring nothing                 */
    int insecure_http;      /* http: to other machines, too                                 */
} pull_options;

typedef enum pull_outcome {
    PULL_WHOLE,  /* all bytes are there                                                       */
    PULL_AGAIN,  /* another attempt may succeed                                               */
    PULL_FAILED, /* none will                                                                 */
    PULL_PRINTED /* none will, and a message has been printed; status is the exit status      */
} pull_outcome;

typedef struct pull_fetch {
    const pull_options *options;
    const pull_entry *entry;
    pull_part *part;
    char why[512]; /* AGAIN, FAILED: what was wrong                                       */
    uint64_t wait; /* AGAIN: seconds that the server wants to be left alone               */
    int status;    /* PRINTED                                                             */
} pull_fetch;

pull_outcome pull_fetch_rest(pull_fetch *fetch);

/* 0 when there is room for n more bytes beside the file, or the exit status after printing why. */
int pull_check_space(const char *path, uint64_t n);

#endif
