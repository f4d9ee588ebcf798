/* What the files household*.c share: the state of the home, and the tools that change it. */
#ifndef SLM_VOICE_HOUSEHOLD_STATE_H
#define SLM_VOICE_HOUSEHOLD_STATE_H

#include "household.h"

#include "shopping_list.h"

#include <jansson.h>

enum { NAME_SIZE = 64, MOST_THINGS = 128, MOST_DUE = 32, MOST_JOB = 160 };

/* A lamp, a device, the blinds or the heating of a place. */
typedef enum thing_kind { LIGHT, DEVICE, BLINDS, HEATING } thing_kind;

typedef struct thing {
    thing_kind kind;
    char place[NAME_SIZE], name[NAME_SIZE]; /* "" where it was not said */
    bool on;                                /* or open */
    int level;                              /* brightness in percent, degrees */
    char colour[NAME_SIZE];
} thing;

/* A timer, an alarm or a reminder. */
typedef enum due_kind { TIMER, ALARM, REMINDER } due_kind;

typedef struct due {
    due_kind kind;
    char job[MOST_JOB]; /* the name of a timer, the task of a reminder */
    int64_t at_ms;      /* -1: a reminder without a time */
    int64_t length;     /* of a timer, in seconds */
    unsigned repeat;    /* days, as in spoken_time */
    bool in;            /* a reminder that was set for "in 20 minutes" */
} due;

struct household {
    char *weather_file, *shopping_file;
    int64_t start_time, now_ms;
    thing things[MOST_THINGS];
    int n_things;
    due dues[MOST_DUE];
    int n_dues;
    shopping_list list;
    int volume, volume_before; /* before it was muted */
    char playing[MOST_JOB];    /* "": nothing */
    bool paused;
};

/* The wall clock, in local seconds since 1970. */
int64_t household_time(const household *h);

/* A result {"ok": true}, and one that says why not; `effect` as household_call returns it. */
json_t *result_ok(bool *effect);
json_t *result_error(const char *error);
/* A text of the arguments, "" where it is absent; its letters stay as they are. */
const char *text_of(const json_t *arguments, const char *key);

/* The tools. Each gives its result and whether there was an effect. */
json_t *tool_light(household *h, const json_t *arguments, bool *effect);
json_t *tool_device(household *h, const json_t *arguments, bool *effect);
json_t *tool_blinds(household *h, const json_t *arguments, bool *effect);
json_t *tool_heating(household *h, const json_t *arguments, bool *effect);
json_t *tool_timer(household *h, const json_t *arguments, bool *effect);
json_t *tool_alarm(household *h, const json_t *arguments, bool *effect);
json_t *tool_reminder(household *h, const json_t *arguments, bool *effect);
json_t *tool_weather(household *h, const json_t *arguments, bool *effect);

#endif
