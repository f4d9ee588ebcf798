/* Numbers, lengths and times as people say them in English, in words or in digits. */
#ifndef SLM_VOICE_SPOKEN_TIME_H
#define SLM_VOICE_SPOKEN_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DAY_S = 86400, EVERY_DAY = 127, WEEKDAYS = 62, WEEKEND = 65 };

/* "10 minutes", "an hour and a half", "90 secs": seconds, at least 1 and at most 31 days. */
bool spoken_length(const char *text, int64_t *seconds);

typedef struct spoken_time {
    int64_t at;      /* local seconds since 1970, later than now */
    unsigned repeat; /* days on which it comes again: 1 << 0 for Sunday to 1 << 6; 0: never */
} spoken_time;

/* "half past six", "at 7:30 pm tomorrow", "in 20 minutes", "every Monday", of local seconds `now`.
 * Where it does not tell morning from evening: without a day the next to come; with a day the
 * morning, or, where not `early`, the afternoon for 12 and 1 to 6. A day alone is meant at nine in
 * the morning. */
bool spoken_when(const char *text, int64_t now, bool early, spoken_time *when);

/* The first of the days in `repeat` that has `at`'s time of day and is after `now`. */
int64_t spoken_next(int64_t at, unsigned repeat, int64_t now);

/* The day that "tomorrow", "on Monday" or "this weekend" means, as days since 1970; "" is today. */
bool spoken_day(const char *text, int64_t now, int64_t *day);

/* "1 hour and 20 minutes", as short as it can be said within a minute or a second. */
void say_length(int64_t seconds, char *text, size_t size);
/* "18:42"; "Friday, 3 November 2028"; " tomorrow", " on Friday" or "" for today. */
void say_clock(int64_t at, char *text, size_t size);
void say_date(int64_t at, char *text, size_t size);
void say_day(int64_t at, int64_t now, char *text, size_t size);

#endif
