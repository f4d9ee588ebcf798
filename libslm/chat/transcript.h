/* The messages of a conversation, kept as JSON objects: what the caller reads, and what a template
 * gets of it. */
#ifndef SLM_CHAT_TRANSCRIPT_H
#define SLM_CHAT_TRANSCRIPT_H

#include "base/json.h"

typedef enum slm_speaker {
    SLM_SPEAKER_SYSTEM = 0, /* or the developer */
    SLM_SPEAKER_USER = 1,
    SLM_SPEAKER_ASSISTANT = 2,
    SLM_SPEAKER_TOOL = 3 /* whatever a tool's results are called */
} slm_speaker;

/* Message and tail are two texts for the caller, and one for the template, which gets the tail at the
 * end of the content. */
typedef struct slm_entry {
    slm_buffer json;  /* without the tail                                                         */
    slm_buffer tail;  /* empty: none                                                              */
    slm_buffer shown; /* json with the tail in its content; empty: as json                        */
    slm_speaker speaker;
    int has_calls;    /* of tools                                                                 */
} slm_entry;

typedef struct slm_transcript {
    slm_host *host;
    slm_entry *entries;
    size_t n, cap;
} slm_transcript;

/* What is done with each text of a content that comes in; *out may be text or another. */
typedef slm_status (*slm_text_fn)(void *user, slm_str text, slm_str *out, slm_error *error);
typedef struct slm_text_filter {
    slm_text_fn fn; /* NULL: none */
    void *user;
} slm_text_filter;

/* Makes an entry of a message; a member "tail" of one that is JSON becomes the entry's. The filter
 * is not for what system and assistant say. The entry is empty after a failure. */
slm_status slm_entry_make(slm_entry *e, slm_host *host, const slm_message *m,
                          const slm_text_filter *filter, slm_error *error);
void slm_entry_free(slm_entry *e);
/* An empty tail is none, and cannot fail. After a failure the entry is as it was. */
slm_status slm_entry_set_tail(slm_entry *e, slm_str tail, slm_error *error);
/* The message as the template gets it. */
slm_str slm_entry_shown(const slm_entry *e);
/* Bytes of its content's texts; 0 when memory to look is refused. */
size_t slm_entry_content_len(const slm_entry *e);
/* Appends the object that the caller reads: the message with its tail. */
slm_status slm_entry_write(const slm_entry *e, slm_buffer *out, slm_error *error);
/* Another entry of the same message whose content ends behind its first n bytes or before the
 * character that they would cut. Calls of tools stay only where the content does. */
slm_status slm_entry_keep(const slm_entry *e, size_t n, slm_entry *out, slm_error *error);
/* Another entry: the message gone on with, in content, thinking and calls, by what more says. */
slm_status slm_entry_join(const slm_entry *e, const slm_entry *more, slm_entry *out,
                          slm_error *error);

/* Takes the entry over; it stays the caller's after a failure. */
slm_status slm_transcript_add(slm_transcript *t, slm_entry *e, slm_error *error);
void slm_transcript_cut(slm_transcript *t, size_t n);
void slm_transcript_free(slm_transcript *t);
/* Messages of the system at the beginning. */
size_t slm_transcript_pinned(const slm_transcript *t);
/* Where the turn behind this message begins: the next message of the user, or n. */
size_t slm_transcript_next_turn(const slm_transcript *t, size_t index);

#endif
