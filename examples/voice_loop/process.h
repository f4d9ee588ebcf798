/* An engine that is a program of its own: started by an argument vector, spoken to through its
 * standard input and output, ended for certain. Its standard error is thrown away, or read as its
 * output is.
 *
 * A process gets a group of its own, so that whatever it has started ends with it, and so that a
 * Ctrl-C on the terminal reaches the loop alone. */
#ifndef SLM_VOICE_PROCESS_H
#define SLM_VOICE_PROCESS_H

#include "stream.h"

#include <sys/types.h>

typedef struct process {
    pid_t pid; /* 0: none */
    stream io;
} process;

typedef enum { ERRORS_DROPPED, ERRORS_READ } process_errors;

/* The program is looked for along PATH. */
bool process_start(process *p, char *const *command, process_errors errors, char *why,
                   size_t why_size);
bool process_runs(const process *p);
/* Of one whose output is at its end: whether it ended with status 0. Waits for that up to 200 ms; one that
 * goes on may still be right. */
bool process_ended_well(const process *p, char *why, size_t why_size);
/* Ends it: SIGTERM, after 200 ms SIGKILL, and waits for it. Harmless where none runs. */
void process_end(process *p);

#endif
