/* What comes due: timers, alarms, reminders. */
#include "household_state.h"
#include "spoken_time.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const NAMES[] = {"timer", "alarm", "reminder"};

/* The latest of a kind, or the one of that name. */
static due *find(household *h, due_kind kind, const char *job) {
    for (due *d = h->dues + h->n_dues; d-- > h->dues;)
        if (d->kind == kind && (!job[0] || strcasecmp(d->job, job) == 0))
            return d;
    return NULL;
}

static json_t *none(due_kind kind, const char *job) {
    char error[60];
    snprintf(error, sizeof error,
             kind == TIMER && !job[0] ? "no timer is running"
             : kind == ALARM          ? "no alarm is set"
                                      : "no such %s",
             NAMES[kind]);
    return result_error(error);
}

static json_t *cancel(household *h, due_kind kind, const char *job, bool *effect) {
    due *d = find(h, kind, job);
    if (!d)
        return none(kind, job);
    h->n_dues--;
    memmove(d, d + 1, (size_t)(h->dues + h->n_dues - d) * sizeof *d);
    return result_ok(effect);
}

/* A line of the list: "4 minutes for pasta", "06:30 tomorrow", "call mum at 18:00". */
static void line_of(const household *h, const due *d, char *line, size_t size) {
    char clock[16] = "", day[80] = "", left[80];
    int64_t now = household_time(h), at = h->start_time + d->at_ms / 1000;
    say_length((d->at_ms - h->now_ms + 999) / 1000, left, sizeof left);
    say_clock(at, clock, sizeof clock);
    if (d->repeat == EVERY_DAY)
        snprintf(day, sizeof day, " every day");
    else if (d->repeat == WEEKDAYS)
        snprintf(day, sizeof day, " on weekdays");
    else
        say_day(at, now, day, sizeof day);
    if (d->kind == TIMER)
        snprintf(line, size, "%s%s%s", left, d->job[0] ? " for " : "", d->job);
    else if (d->kind == ALARM)
        snprintf(line, size, "%s%s", clock, day);
    else if (d->at_ms < 0)
        snprintf(line, size, "%s", d->job);
    else if (d->in)
        snprintf(line, size, "%s in %s", d->job, left);
    else
        snprintf(line, size, "%s at %s%s", d->job, clock, day);
}

static json_t *list(const household *h, due_kind kind) {
    char key[16], line[MOST_JOB + 120];
    json_t *lines = json_array();
    for (int i = 0; i < h->n_dues; i++)
        if (h->dues[i].kind == kind) {
            line_of(h, &h->dues[i], line, sizeof line);
            json_array_append_new(lines, json_string(line));
        }
    snprintf(key, sizeof key, "%ss", NAMES[kind]);
    return json_pack("{s:o}", key, lines);
}

/* Puts what is due in, in place of `old` where there is one. */
static json_t *put(household *h, due *old, const due *d, bool *effect) {
    char error[40];
    if (!old && h->n_dues == MOST_DUE) {
        snprintf(error, sizeof error, "too many %ss", NAMES[d->kind]);
        return result_error(error);
    }
    *(old ? old : &h->dues[h->n_dues++]) = *d;
    return result_ok(effect);
}

json_t *tool_timer(household *h, const json_t *arguments, bool *effect) {
    const char *action = text_of(arguments, "action"), *name = text_of(arguments, "name");
    due d = {.kind = TIMER};
    if (strcmp(action, "list") == 0)
        return list(h, TIMER);
    if (strcmp(action, "cancel") == 0)
        return cancel(h, TIMER, name, effect);
    due *old = strcmp(action, "change") == 0 ? find(h, TIMER, name) : NULL;
    if (strcmp(action, "change") == 0 && !old)
        return none(TIMER, name);
    if (!old && strcmp(action, "set") != 0)
        return result_error("nothing to do");
    if (!spoken_length(text_of(arguments, "length"), &d.length))
        return result_error("unknown length");
    snprintf(d.job, sizeof d.job, "%s", old ? old->job : name);
    d.at_ms = h->now_ms + d.length * 1000;
    return put(h, old, &d, effect);
}

/* The time of an alarm or a reminder; the start of the clock is time 0. */
static bool set_time(const household *h, due *d, const char *said) {
    spoken_time when;
    if (!spoken_when(said, household_time(h), d->kind == ALARM, &when))
        return false;
    d->in = strncmp(said, "in ", 3) == 0;
    d->at_ms = (when.at - h->start_time) * 1000 + (d->in ? h->now_ms % 1000 : 0);
    d->repeat = when.repeat;
    return true;
}

json_t *tool_alarm(household *h, const json_t *arguments, bool *effect) {
    const char *action = text_of(arguments, "action"), *time = text_of(arguments, "time");
    const char *day = text_of(arguments, "day");
    char said[200];
    due d = {.kind = ALARM};
    if (strcmp(action, "list") == 0)
        return list(h, ALARM);
    if (strcmp(action, "cancel") == 0)
        return cancel(h, ALARM, "", effect);
    due *old = strcmp(action, "change") == 0 ? find(h, ALARM, "") : NULL;
    if (strcmp(action, "change") == 0 && !old)
        return none(ALARM, "");
    if (!old && strcmp(action, "set") != 0)
        return result_error("nothing to do");
    int n = snprintf(said, sizeof said, "%s%s%s", time, day[0] ? " " : "", day);
    if (!time[0] || n < 0 || (size_t)n >= sizeof said || !set_time(h, &d, said))
        return result_error("unknown time");
    return put(h, old, &d, effect);
}

json_t *tool_reminder(household *h, const json_t *arguments, bool *effect) {
    const char *action = text_of(arguments, "action"), *task = text_of(arguments, "task");
    const char *when = text_of(arguments, "when");
    due d = {.kind = REMINDER, .at_ms = -1};
    if (strcmp(action, "list") == 0)
        return list(h, REMINDER);
    if (strcmp(action, "cancel") == 0)
        return cancel(h, REMINDER, task, effect);
    bool change = strcmp(action, "change") == 0;
    due *old = change ? find(h, REMINDER, task) : NULL;
    if (change && !old)
        old = find(h, REMINDER, "");
    if (change && !old)
        return none(REMINDER, task);
    if (!old && strcmp(action, "set") != 0)
        return result_error("nothing to do");
    if (!task[0] && !old)
        return result_error("the task is missing");
    if (strlen(task) >= sizeof d.job)
        return result_error("too long");
    snprintf(d.job, sizeof d.job, "%s", task[0] ? task : old->job);
    if (when[0] && !set_time(h, &d, when))
        return result_error("unknown time");
    return put(h, old, &d, effect);
}

int64_t household_next_ms(const household *h) {
    int64_t next = -1;
    for (const due *d = h->dues; d < h->dues + h->n_dues; d++)
        if (d->at_ms >= 0 && (next < 0 || d->at_ms < next))
            next = d->at_ms;
    return next;
}

static void announce(const household *h, const due *d, char *sentence, size_t size) {
    char text[80];
    if (d->kind == REMINDER) {
        snprintf(sentence, size, "Here is your reminder to %s.", d->job);
    } else if (d->kind == ALARM) {
        say_clock(h->start_time + d->at_ms / 1000, text, sizeof text);
        snprintf(sentence, size, "It is %s. This is your alarm.", text);
    } else if (d->job[0]) {
        snprintf(sentence, size, "Your %s timer is done.", d->job);
    } else {
        say_length(d->length, text, sizeof text);
        snprintf(sentence, size, "Your timer for %s is done.", text);
    }
}

bool household_rings(household *h, int64_t now_ms, char *sentence, size_t size) {
    int64_t next = household_next_ms(h);
    h->now_ms = now_ms;
    if (next < 0 || next > now_ms)
        return false;
    due *d = h->dues;
    while (d->at_ms != next)
        d++;
    announce(h, d, sentence, size);
    if (d->repeat) {
        int64_t at = h->start_time + d->at_ms / 1000;
        int64_t after = household_time(h) > at ? household_time(h) : at;
        d->at_ms = (spoken_next(at, d->repeat, after) - h->start_time) * 1000;
    } else {
        h->n_dues--;
        memmove(d, d + 1, (size_t)(h->dues + h->n_dues - d) * sizeof *d);
    }
    return true;
}
