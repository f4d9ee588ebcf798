/* The home that the loop speaks for: its tools, their effects, and what is told of its state.
 *
 * No thread of its own and no clock of its own: the time is what the caller says it is, in
 * milliseconds since the start (`now_ms`) and, for the wall clock, in seconds since 1970 of local time
 * (`household_options.start_time` at now_ms 0). Calls come from one thread at a time. */
#ifndef SLM_VOICE_HOUSEHOLD_H
#define SLM_VOICE_HOUSEHOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct household household;

typedef struct household_options {
    const char *weather_file;  /* JSON, read at each question; NULL: no weather is known */
    const char *shopping_file; /* the list, a line an item, replaced whole at each change; NULL: in memory */
    int64_t start_time;        /* local wall clock at now_ms 0, seconds since 1970-01-01 00:00 */
} household_options;

household *household_open(const household_options *options, char *why, size_t why_size);
void household_close(household *h);

/* A call whose effect should be confirmed by the person before household_call ("Shall I ...?" is then
 * written into question). */
bool household_is_risky(household *h, const char *name, const char *arguments, char *question,
                        size_t question_size);

/* Does what was called and writes the result as one JSON object. `arguments` is JSON. A call that makes
 * no sense has a result that says so; the return value tells whether there was an effect. */
bool household_call(household *h, int64_t now_ms, const char *name, const char *arguments,
                    char *result, size_t result_size);

/* What rings by now (a timer, an alarm): true, with a sentence to speak; call again for the next.
 * household_next_ms: when the next one rings, -1 for none. */
bool household_rings(household *h, int64_t now_ms, char *sentence, size_t size);
int64_t household_next_ms(const household *h);

/* The volatile tail of a turn: the time and the state ("It is 18:42. Lights on: kitchen."). */
void household_tail(household *h, int64_t now_ms, char *text, size_t size);

/* How loud the loudspeaker is wanted, 0 to 100. */
int household_volume(const household *h);

#endif
