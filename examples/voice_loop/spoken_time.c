#include "spoken_time.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WORDS = 24, WORD_SIZE = 16, LONGEST = 31 * DAY_S, HOUR = 3600, NINE = 9 * HOUR };

static const char *const DAYS[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};
static const char *const MONTHS[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const ONES[] = {"zero",    "one",     "two",       "three",    "four",
                                   "five",    "six",     "seven",     "eight",    "nine",
                                   "ten",     "eleven",  "twelve",    "thirteen", "fourteen",
                                   "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
static const char *const TENS[] = {"twenty", "thirty",  "forty",  "fifty",
                                   "sixty",  "seventy", "eighty", "ninety"};

/* A text as lower-case words: letters, digits and ':' apart, "a.m." as "am". */
typedef struct words {
    char word[MOST_WORDS + 1][WORD_SIZE]; /* the last one is empty */
    int n, at;
} words;

static bool split(const char *text, words *w) {
    *w = (words){0};
    while (*text) {
        int kind = isdigit((unsigned char)*text) ? 1 : isalpha((unsigned char)*text) ? 2 : 0;
        if (kind == 0 && *text != ':') {
            text++;
            continue;
        }
        if (w->n == MOST_WORDS)
            return false;
        char *word = w->word[w->n++];
        size_t m = 0;
        if (kind == 0)
            word[m++] = *text++;
        while (kind == 1   ? isdigit((unsigned char)*text)
               : kind == 2 ? isalpha((unsigned char)*text) || *text == '\'' ||
                                 (*text == '.' && isalpha((unsigned char)text[1]) && m == 1)
                           : false) {
            if (m + 1 >= WORD_SIZE)
                return false;
            if (*text != '.' && *text != '\'')
                word[m++] = (char)tolower((unsigned char)*text);
            text++;
        }
    }
    return w->n > 0;
}

static bool is(const words *w, const char *word) {
    return strcmp(w->word[w->at], word) == 0;
}

static bool take(words *w, const char *word) {
    bool found = is(w, word);
    w->at += found;
    return found;
}

static bool take_any(words *w, const char *const *list) {
    for (; *list; list++)
        if (take(w, *list))
            return true;
    return false;
}

/* 0 to 99 in words, any number of up to four digits. */
static bool take_number(words *w, int *n) {
    const char *word = w->word[w->at];
    if (isdigit((unsigned char)word[0])) {
        if (strlen(word) > 4)
            return false;
        *n = (int)strtol(word, NULL, 10);
        w->at++;
        return true;
    }
    for (int i = 0; i < 20; i++)
        if (strcmp(word, ONES[i]) == 0) {
            *n = i;
            w->at++;
            return true;
        }
    for (int i = 0; i < 8; i++)
        if (strcmp(word, TENS[i]) == 0) {
            int ones;
            *n = 20 + 10 * i;
            w->at++;
            words behind = *w;
            if (!isdigit((unsigned char)w->word[w->at][0]) && take_number(&behind, &ones) &&
                ones > 0 && ones < 10) {
                *n += ones;
                *w = behind;
            }
            return true;
        }
    return false;
}

/* ---------------------------------------------------------------- lengths -------------------- */

static int64_t take_unit(words *w) {
    static const struct {
        const char *names[6];
        int64_t seconds;
    } UNITS[] = {
        {{"second", "seconds", "sec", "secs", "s", NULL}, 1},
        {{"minute", "minutes", "min", "mins", "m", NULL}, 60},
        {{"hour", "hours", "hr", "hrs", "h", NULL}, HOUR},
        {{"day", "days", NULL}, DAY_S},
        {{"week", "weeks", NULL}, 7 * DAY_S},
    };
    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++)
        if (take_any(w, UNITS[i].names))
            return UNITS[i].seconds;
    return 0;
}

/* In quarters of the unit behind it: "half an", "three quarters of an", "one and a half", "a few".
 */
static bool take_quarters(words *w, int *quarters) {
    static const char *const A[] = {"a", "an", NULL};
    int n;
    if (take(w, "half")) {
        take_any(w, A);
        *quarters = 2;
        return true;
    }
    if (take(w, "quarter") || (is(w, "three") && strncmp(w->word[w->at + 1], "quarter", 7) == 0)) {
        *quarters = take(w, "three") ? 3 : 1;
        if (*quarters == 3)
            w->at++;
        take(w, "of");
        take_any(w, A);
        return true;
    }
    if (take_any(w, A)) {
        if (is(w, "quarter") || is(w, "half"))
            return take_quarters(w, quarters);
        *quarters = take(w, "couple") ? 8 : take(w, "few") ? 12 : 4;
        take(w, "of");
        return true;
    }
    if (!take_number(w, &n))
        return false;
    *quarters = 4 * n;
    words behind = *w;
    if (take(&behind, "and")) {
        take_any(&behind, A);
        if (take(&behind, "half")) {
            *quarters += 2;
            *w = behind;
        }
    }
    return true;
}

static bool take_length(words *w, int64_t *seconds) {
    static const char *const A[] = {"a", "an", NULL};
    *seconds = 0;
    for (int quarters; take_quarters(w, &quarters);) {
        int64_t unit = take_unit(w);
        if (unit == 0)
            return false;
        *seconds += quarters * unit / 4;
        words behind = *w;
        if (take(&behind, "and")) { /* "an hour and a half", "an hour and 20 minutes" */
            words part = behind;
            take_any(&part, A);
            if (take(&part, "half") && !is(&part, "an") && !is(&part, "a")) {
                *seconds += unit / 2;
                *w = part;
            } else {
                *w = behind;
            }
        }
        if (*seconds > LONGEST)
            return false;
    }
    return *seconds > 0;
}

bool spoken_length(const char *text, int64_t *seconds) {
    static const char *const LEADS[] = {"for", "in", "about", "another", NULL};
    words w;
    if (!split(text, &w))
        return false;
    while (take_any(&w, LEADS))
        ;
    return take_length(&w, seconds) && w.at == w.n;
}

/* ---------------------------------------------------------------- days ----------------------- */

static int weekday_of(int64_t day) {
    return (int)((day % 7 + 11) % 7); /* day 0 was a Thursday */
}

typedef struct said_day {
    bool known;
    int64_t day;
    unsigned repeat;
    int part; /* of the day: 'm'orning, 'a'fternoon, 'e'vening, 0 */
} said_day;

static int take_part(words *w) {
    static const char *const LATE[] = {"evening", "night", NULL};
    return take(w, "morning") ? 'm' : take(w, "afternoon") ? 'a' : take_any(w, LATE) ? 'e' : 0;
}

static int take_weekday(words *w) {
    for (int i = 0; i < 7; i++) {
        size_t n = strlen(DAYS[i]);
        const char *word = w->word[w->at];
        if (tolower((unsigned char)DAYS[i][0]) == word[0] &&
            strncmp(DAYS[i] + 1, word + 1, n - 1) == 0 &&
            (!word[n] || strcmp(word + n, "s") == 0)) {
            w->at++;
            return i;
        }
    }
    return -1;
}

static bool take_day(words *w, int64_t today, said_day *d) {
    words at_first = *w;
    *d = (said_day){.known = true, .day = today};
    int part;
    if (take(w, "today"))
        return true;
    if (take(w, "tonight"))
        return (d->part = 'e');
    if (take(w, "tomorrow")) {
        d->day++;
        d->part = take_part(w);
        return true;
    }
    if (take(w, "the") && take(w, "day") && take(w, "after") && take(w, "tomorrow")) {
        d->day += 2;
        return true;
    }
    *w = at_first;
    if (take(w, "this") && (part = take_part(w))) {
        d->part = part;
        return true;
    }
    *w = at_first;
    bool every = take(w, "every");
    if (!every && (take(w, "on") || take(w, "next") || take(w, "this") || take(w, "at")))
        take(w, "the");
    if (every && take(w, "day")) {
        d->repeat = EVERY_DAY;
    } else if (take(w, "weekdays") || (every && take(w, "weekday"))) {
        d->repeat = WEEKDAYS;
    } else if (take(w, "weekend") || take(w, "weekends")) {
        d->repeat = every ? WEEKEND : 0;
        d->day = weekday_of(today) == 0 ? today : today + (6 - weekday_of(today));
    } else {
        int which = take_weekday(w);
        if (which < 0) {
            part = every ? take_part(w) : 0; /* "every morning" */
            *w = part ? *w : at_first;
            d->known = part != 0;
            d->repeat = part ? EVERY_DAY : 0;
            d->part = part;
            return d->known;
        }
        int ahead = (which - weekday_of(today) + 7) % 7;
        d->day = today + (ahead ? ahead : every ? 0 : 7);
        d->repeat = every ? 1u << which : 0;
        d->part = take_part(w);
    }
    return true;
}

bool spoken_day(const char *text, int64_t now, int64_t *day) {
    words w;
    said_day d;
    *day = now / DAY_S;
    if (!split(text, &w))
        return !text[0];
    if (!take_day(&w, *day, &d) || w.at != w.n)
        return false;
    *day = d.day;
    return true;
}

/* ---------------------------------------------------------------- times of day --------------- */

typedef struct said_clock {
    bool known, sure; /* sure: of morning or evening */
    int seconds;      /* of the day */
} said_clock;

static bool take_hour(words *w, int *hour) {
    words at_first = *w;
    if (take_number(w, hour) && *hour <= 24)
        return true;
    *w = at_first;
    return false;
}

/* "half past six", "ten to 6", "18:42", "seven thirty", "nine". */
static bool take_face(words *w, int *hour, int *minute) {
    words at_first = *w;
    int n;
    take(w, "a");
    bool fraction = is(w, "half") || is(w, "quarter");
    *minute = take(w, "half") ? 30 : take(w, "quarter") ? 15 : 0;
    if (fraction || take_number(w, minute)) {
        take(w, "minutes");
        bool past = take(w, "past") || take(w, "after");
        if ((past || take(w, "to") || take(w, "before")) && take_hour(w, hour) && *minute < 60) {
            *hour = past ? *hour : (*hour + 23) % 24;
            *minute = past || *minute == 0 ? *minute : 60 - *minute;
            return true;
        }
    }
    *w = at_first;
    *minute = 0;
    if (!take_hour(w, hour))
        return false;
    if (take(w, ":"))
        return take_number(w, minute) && *minute < 60;
    take(w, "hundred");
    words behind = *w;
    if (take(&behind, "oh") && take_number(&behind, &n) && n < 10) {
        *minute = n;
        *w = behind;
        return true;
    }
    behind = *w;
    if (take_number(&behind, &n) && n >= 10 && n < 60) {
        *minute = n;
        *w = behind;
    }
    return true;
}

static bool take_clock(words *w, said_clock *c) {
    static const char *const NOON[] = {"noon", "midday", NULL};
    *c = (said_clock){0};
    int hour, minute;
    words at_first = *w;
    take(w, "at");
    if (take_any(w, NOON) || take(w, "midnight")) {
        c->seconds = strcmp(w->word[w->at - 1], "midnight") == 0 ? 0 : 12 * HOUR;
        return (c->known = c->sure = true);
    }
    if (!take_face(w, &hour, &minute)) {
        *w = at_first;
        return false;
    }
    bool late = false, early = false;
    take(w, "oclock");
    words behind = *w;
    if (take(w, "am")) {
        early = true;
    } else if (take(w, "pm")) {
        late = true;
    } else {
        bool at_night = take(w, "at");
        int part = at_night || (take(w, "in") && take(w, "the")) ? take_part(w) : 0;
        if (part == 0)
            *w = behind;
        early = part == 'm' || (part == 'e' && hour < 4);
        late = part != 0 && !early;
    }
    c->sure = early || late || hour > 12 || hour == 0;
    if (late && hour < 12)
        hour += 12;
    if (early && hour == 12)
        hour = 0;
    c->seconds = (hour % 24) * HOUR + minute * 60;
    return (c->known = true);
}

int64_t spoken_next(int64_t at, unsigned repeat, int64_t now) {
    int64_t day = now / DAY_S, time = at % DAY_S;
    for (int i = 0; i <= 7; i++, day++)
        if ((repeat >> weekday_of(day) & 1) && day * DAY_S + time > now)
            return day * DAY_S + time;
    return at;
}

/* The half of the day that is meant, where the hour alone was said. */
static int settle(const said_clock *c, const said_day *d, bool early) {
    const int half = 12 * HOUR;
    int s = c->seconds;
    if (c->sure)
        return s;
    if (d->part)
        return d->part == 'm' ? s % half : s % half + half;
    if (early)
        return s;
    return s % half < 7 * HOUR ? s % half + half : s;
}

bool spoken_when(const char *text, int64_t now, bool early, spoken_time *when) {
    int64_t today = now / DAY_S, length;
    said_clock c = {0};
    said_day d = {0};
    words w;
    *when = (spoken_time){0};
    if (!split(text, &w))
        return false;
    words in = w;
    if (take(&in, "in") && take_length(&in, &length) && in.at == in.n) {
        when->at = now + length;
        return true;
    }
    while (w.at < w.n) { /* the clock and the day come in either order */
        bool got = (!d.known && take_day(&w, today, &d)) || (!c.known && take_clock(&w, &c));
        if (!got && !take(&w, "for"))
            return false;
    }
    if (!c.known) /* "this evening" */
        c = (said_clock){.known = true,
                         .sure = true,
                         .seconds = d.part == 'e'   ? 19 * HOUR
                                    : d.part == 'a' ? 15 * HOUR
                                                    : NINE};
    when->repeat = d.repeat;
    if (!d.known) {
        int step = c.sure ? DAY_S : 12 * HOUR;
        when->at = today * DAY_S + (c.sure ? c.seconds : c.seconds % (12 * HOUR));
        while (when->at <= now)
            when->at += step;
        return true;
    }
    when->at = d.day * DAY_S + settle(&c, &d, early);
    if (when->repeat)
        when->at = spoken_next(when->at, when->repeat, now);
    else if (when->at <= now && !c.sure && when->at + 12 * HOUR > now && d.day == today)
        when->at += 12 * HOUR;
    return when->at > now;
}

/* ---------------------------------------------------------------- said again ----------------- */

void say_length(int64_t seconds, char *text, size_t size) {
    static const struct {
        const char *name;
        int64_t seconds;
    } UNITS[] = {{"day", DAY_S}, {"hour", HOUR}, {"minute", 60}, {"second", 1}};
    size_t n = 0;
    int parts = 0;
    text[0] = 0;
    for (size_t i = 0; i < 4 && parts < 2; i++) {
        int64_t count = seconds / UNITS[i].seconds;
        seconds %= UNITS[i].seconds;
        if (count == 0 && !(i == 3 && parts == 0))
            continue;
        int m = snprintf(text + n, size - n, "%s%lld %s%s", parts ? " and " : "", (long long)count,
                         UNITS[i].name, count == 1 ? "" : "s");
        n = m < 0 || (size_t)m >= size - n ? size - 1 : n + (size_t)m;
        parts++;
    }
}

void say_clock(int64_t at, char *text, size_t size) {
    int minutes = (int)(at % DAY_S / 60);
    snprintf(text, size, "%02d:%02d", minutes / 60, minutes % 60);
}

/* Day, month and year of the Gregorian calendar, in years that begin with March. */
void say_date(int64_t at, char *text, size_t size) {
    int64_t day = at / DAY_S, z = day + 719468, era = z / 146097, doe = z % 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    int month = (int)(mp < 10 ? mp + 2 : mp - 10);
    snprintf(text, size, "%s, %d %s %lld", DAYS[weekday_of(day)],
             (int)(doy - (153 * mp + 2) / 5 + 1), MONTHS[month],
             (long long)(yoe + era * 400 + (month < 2)));
}

void say_day(int64_t at, int64_t now, char *text, size_t size) {
    int64_t ahead = at / DAY_S - now / DAY_S;
    if (ahead <= 0)
        snprintf(text, size, "%s", "");
    else if (ahead == 1)
        snprintf(text, size, " tomorrow");
    else if (ahead < 7)
        snprintf(text, size, " on %s", DAYS[weekday_of(at / DAY_S)]);
    else {
        char date[64];
        say_date(at, date, sizeof date);
        snprintf(text, size, " on %s", date);
    }
}
