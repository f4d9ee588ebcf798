/* The weather, from a file: an object of days, each {"weather": "light rain", "degrees": 9}. A day
 * is named by its date ("2028-11-03"), "today", "tomorrow" or its weekday ("monday"); a date comes
 * first. */
#define _GNU_SOURCE
#include "household_state.h"
#include "spoken_time.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static json_t *of_day(const json_t *days, int64_t day, int64_t today) {
    static const char *const NAMES[] = {"sunday",   "monday", "tuesday", "wednesday",
                                        "thursday", "friday", "saturday"};
    char date[40];
    time_t at = (time_t)(day * DAY_S);
    struct tm parts;
    if (!gmtime_r(&at, &parts) || strftime(date, sizeof date, "%Y-%m-%d", &parts) == 0)
        return NULL;
    json_t *found = json_object_get(days, date);
    if (!found && day == today)
        found = json_object_get(days, "today");
    if (!found && day == today + 1)
        found = json_object_get(days, "tomorrow");
    if (!found && day < today + 7)
        found = json_object_get(days, NAMES[parts.tm_wday]);
    return found;
}

json_t *tool_weather(household *h, const json_t *arguments, bool *effect) {
    int64_t now = household_time(h), day;
    const char *sky;
    json_int_t degrees;
    *effect = false;
    json_t *days = h->weather_file ? json_load_file(h->weather_file, 0, NULL) : NULL;
    json_t *result = NULL;
    if (days && spoken_day(text_of(arguments, "day"), now, &day)) {
        json_t *found = of_day(days, day, now / DAY_S);
        if (found && json_unpack(found, "{s:s, s:I}", "weather", &sky, "degrees", &degrees) == 0)
            result = json_pack("{s:s, s:I}", "weather", sky, "degrees", degrees);
    }
    json_decref(days);
    return result ? result : result_error("no forecast");
}
