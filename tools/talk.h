/* The conversation of `slm chat`: what its files share. */
#ifndef SLM_TOOLS_TALK_H
#define SLM_TOOLS_TALK_H

#include "cli.h"

typedef struct slm_talk {
    const char *path; /* of the model */
    const slm_cli_talk_options *options;
    slm_cli_sampling *sampling;
    slm_model *model;
    slm_session *session;
    slm_chat *chat;
    slm_guide *guide; /* of --grammar or --json-schema */
    slm_cli_lines *lines;
    char *tools; /* malloc'ed; NULL: none */
    size_t tools_len;
    char *system; /* malloc'ed; NULL: none */
    uint32_t n_ctx;
    slm_cli_stats stats;
    int interactive; /* a person types */
} slm_talk;

/* A new conversation with the system message and tools as they are now, in place of the one there
 * is. All of these return 0, or the exit status after printing why; nothing has changed then. */
int slm_talk_begin(slm_talk *t);
/* One message of the user and its answer, the results of calls included, which are read as lines.
 * *leave is set when the lines end there. A turn that fails is left out. */
int slm_talk_turn(slm_talk *t, const char *text, size_t len, int *leave);
/* A line that is a command. 1 when it was one; *leave is set to leave, and *status where a pipe ends with
 * a command that failed. Other words with a slash are a slip of a person, but text in a pipe. */
int slm_talk_command(slm_talk *t, const slm_cli_text *line, int *leave, int *status);
/* The saved conversation of a file, in place of the one there is. */
int slm_talk_load(slm_talk *t, const char *path);

#endif
