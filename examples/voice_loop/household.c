#define _GNU_SOURCE
#include "household.h"

#include "household_state.h"
#include "spoken_time.h"
#include "stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { USUAL_VOLUME = 60, VOLUME_STEP = 10, LOUD = 80, HOT = 26 };

household *household_open(const household_options *options, char *why, size_t why_size) {
    household *h = calloc(1, sizeof *h);
    if (!h) {
        fail(why, why_size, "the household: out of memory");
        return NULL;
    }
    h->weather_file = options->weather_file ? strdup(options->weather_file) : NULL;
    h->shopping_file = options->shopping_file ? strdup(options->shopping_file) : NULL;
    h->start_time = options->start_time;
    h->volume = h->volume_before = USUAL_VOLUME;
    bool good = (h->weather_file || !options->weather_file) &&
                (h->shopping_file || !options->shopping_file);
    if (!good)
        fail(why, why_size, "the household: out of memory");
    if (good && shopping_read(&h->list, h->shopping_file, why, why_size))
        return h;
    household_close(h);
    return NULL;
}

void household_close(household *h) {
    if (!h)
        return;
    free(h->weather_file);
    free(h->shopping_file);
    free(h);
}

int64_t household_time(const household *h) {
    return h->start_time + h->now_ms / 1000;
}

int household_volume(const household *h) {
    return h->volume;
}

json_t *result_ok(bool *effect) {
    *effect = true;
    return json_pack("{s:b}", "ok", 1);
}

json_t *result_error(const char *error) {
    return json_pack("{s:b, s:s}", "ok", 0, "error", error);
}

const char *text_of(const json_t *arguments, const char *key) {
    const char *text = json_string_value(json_object_get(arguments, key));
    return text ? text : "";
}

/* ---------------------------------------------------------------- sound, list, clock --------- */

static json_t *tool_volume(household *h, const json_t *arguments, bool *effect) {
    const json_t *level = json_object_get(arguments, "level");
    const char *change = text_of(arguments, "change");
    json_int_t n = json_integer_value(level);
    if (level && (!json_is_integer(level) || n < 0 || n > 100))
        return result_error("unknown volume");
    if (!level && !change[0])
        return result_error("nothing to do");
    if (level) {
        h->volume = (int)n;
    } else if (strcmp(change, "mute") == 0) {
        h->volume_before = h->volume > 0 ? h->volume : h->volume_before;
        h->volume = 0;
    } else {
        bool up = strcmp(change, "up") == 0;
        int from = h->volume > 0 || !up ? h->volume : h->volume_before - VOLUME_STEP;
        h->volume = from + (up ? VOLUME_STEP : -VOLUME_STEP);
        h->volume = h->volume < 0 ? 0 : h->volume > 100 ? 100 : h->volume;
    }
    return result_ok(effect);
}

static json_t *tool_music(household *h, const json_t *arguments, bool *effect) {
    const char *action = text_of(arguments, "action"), *what = text_of(arguments, "what");
    if (strcmp(action, "play") == 0) {
        if (strlen(what) >= sizeof h->playing)
            return result_error("not found");
        snprintf(h->playing, sizeof h->playing, "%s", what[0] ? what : "music");
        h->paused = false;
        return result_ok(effect);
    }
    if (!h->playing[0])
        return result_error("nothing is playing");
    if (strcmp(action, "stop") == 0)
        h->playing[0] = 0;
    else if (strcmp(action, "pause") == 0 || strcmp(action, "resume") == 0)
        h->paused = action[0] == 'p';
    return result_ok(effect);
}

/* Changes a copy, so that what is not written is not believed. */
static json_t *change_list(household *h, const json_t *items, bool add, bool *effect) {
    shopping_list *list = malloc(sizeof *list);
    const char *error = json_array_size(items) == 0 ? "nothing to do" : NULL;
    if (!list)
        return result_error("out of memory");
    *list = h->list;
    for (size_t i = 0; i < json_array_size(items) && !error; i++) {
        const char *item = json_string_value(json_array_get(items, i));
        if (!item || !item[0])
            error = "unknown item";
        else if (add)
            error = shopping_add(list, item) ? NULL : "the list is full";
        else
            error = shopping_remove(list, item) ? NULL : "not on the list";
    }
    if (!error && !shopping_write(list, h->shopping_file))
        error = "the list cannot be written";
    if (!error)
        h->list = *list;
    free(list);
    return error ? result_error(error) : result_ok(effect);
}

static json_t *tool_shopping_list(household *h, const json_t *arguments, bool *effect) {
    const char *action = text_of(arguments, "action");
    const json_t *items = json_object_get(arguments, "items");
    bool add = strcmp(action, "add") == 0;
    if (strcmp(action, "read") == 0) {
        json_t *read = json_array();
        for (int i = 0; i < h->list.n; i++)
            json_array_append_new(read, json_string(h->list.item[i]));
        return json_pack("{s:o}", "items", read);
    }
    if (add || strcmp(action, "remove") == 0)
        return change_list(h, items, add, effect);
    if (strcmp(action, "clear") != 0)
        return result_error("nothing to do");
    if (!shopping_write(&(shopping_list){.n = 0}, h->shopping_file))
        return result_error("the list cannot be written");
    h->list.n = 0;
    return result_ok(effect);
}

static json_t *tool_clock(household *h, const json_t *arguments, bool *effect) {
    char time[16], date[64];
    (void)arguments;
    *effect = false;
    say_clock(household_time(h), time, sizeof time);
    say_date(household_time(h), date, sizeof date);
    return json_pack("{s:s, s:s}", "time", time, "date", date);
}

/* ---------------------------------------------------------------- calls ---------------------- */

static const struct {
    const char *name;
    json_t *(*run)(household *, const json_t *, bool *);
} TOOLS[] = {
    {"light", tool_light},       {"device", tool_device},
    {"blinds", tool_blinds},     {"heating", tool_heating},
    {"music", tool_music},       {"volume", tool_volume},
    {"timer", tool_timer},       {"alarm", tool_alarm},
    {"reminder", tool_reminder}, {"shopping_list", tool_shopping_list},
    {"weather", tool_weather},   {"clock", tool_clock},
};

static json_t *call(household *h, const char *name, const char *arguments, bool *effect) {
    json_t *said = json_loads(arguments, JSON_REJECT_DUPLICATES, NULL);
    json_t *result = NULL;
    for (size_t i = 0; i < sizeof TOOLS / sizeof TOOLS[0] && json_is_object(said); i++)
        if (strcmp(TOOLS[i].name, name) == 0)
            result = TOOLS[i].run(h, said, effect);
    if (!result)
        result =
            result_error(json_is_object(said) ? "no such tool" : "the arguments are no object");
    json_decref(said);
    return result;
}

bool household_call(household *h, int64_t now_ms, const char *name, const char *arguments,
                    char *result, size_t result_size) {
    bool effect = false;
    h->now_ms = now_ms;
    json_t *json = call(h, name, arguments, &effect);
    size_t n = json_dumpb(json, result, result_size, 0);
    if (n < result_size)
        result[n] = 0;
    else
        snprintf(result, result_size, "{\"ok\": false, \"error\": \"too long\"}");
    json_decref(json);
    return effect;
}

/* Fire, spoiled food, a house cut off from the network: what a misheard word must not do. */
static bool is_risky_device(const char *name, bool on) {
    static const char *const HOT_ONES[] = {"oven",      "stove",  "hob",   "grill",
                                           "iron",      "heater", "sauna", "fireplace",
                                           "hot plate", "fryer",  NULL};
    static const char *const NEEDED[] = {"fridge", "freezer",      "router",      "boiler",
                                         "pump",   "baby monitor", "smoke alarm", NULL};
    for (const char *const *risky = on ? HOT_ONES : NEEDED; *risky; risky++)
        if (strcasestr(name, *risky))
            return true;
    return false;
}

static bool is_risky(const household *h, const char *name, const json_t *said, char *question,
                     size_t size) {
    const char *state = text_of(said, "state"), *action = text_of(said, "action");
    json_int_t degrees = json_integer_value(json_object_get(said, "degrees"));
    json_int_t level = json_integer_value(json_object_get(said, "level"));
    bool on = strcmp(state, "on") == 0, off = strcmp(state, "off") == 0;
    if (strcmp(name, "device") == 0 && (on || off) && is_risky_device(text_of(said, "name"), on))
        snprintf(question, size, "Shall I turn %s the %.60s?", state, text_of(said, "name"));
    else if (strcmp(name, "heating") == 0 && degrees >= HOT && degrees <= 30)
        snprintf(question, size, "Shall I set the heating to %d degrees?", (int)degrees);
    else if (strcmp(name, "volume") == 0 && level > LOUD && level <= 100)
        snprintf(question, size, "Shall I set the volume to %d?", (int)level);
    else if (strcmp(name, "shopping_list") == 0 && strcmp(action, "clear") == 0 && h->list.n > 0)
        snprintf(question, size, "Shall I clear the shopping list? It has %d %s.", h->list.n,
                 h->list.n == 1 ? "item" : "items");
    else
        return false;
    return true;
}

bool household_is_risky(household *h, const char *name, const char *arguments, char *question,
                        size_t question_size) {
    json_t *said = json_loads(arguments, JSON_REJECT_DUPLICATES, NULL);
    bool risky = json_is_object(said) && is_risky(h, name, said, question, question_size);
    json_decref(said);
    return risky;
}

/* ---------------------------------------------------------------- what is told --------------- */

typedef struct text_buffer {
    char *text;
    size_t n, size;
} text_buffer;

static void add_text(text_buffer *b, const char *text) {
    size_t n = strlen(text);
    if (b->n + n + 1 <= b->size) {
        memcpy(b->text + b->n, text, n + 1);
        b->n += n;
    }
}

/* "kitchen, bedroom and hall": the rooms in which a light is on. */
static void add_lights(text_buffer *b, const household *h) {
    const char *rooms[4];
    int n = 0;
    for (int i = 0; i < h->n_things && n < 4; i++) {
        const thing *t = &h->things[i];
        bool told = t->kind != LIGHT || !t->on || !t->place[0];
        for (int j = 0; j < n && !told; j++)
            told = strcasecmp(rooms[j], t->place) == 0;
        if (!told)
            rooms[n++] = t->place;
    }
    if (n > 0)
        add_text(b, " Lights on: ");
    for (int i = 0; i < n; i++) {
        add_text(b, i == 0 ? "" : i == n - 1 ? " and " : ", ");
        add_text(b, rooms[i]);
    }
    if (n > 0)
        add_text(b, ".");
}

void household_tail(household *h, int64_t now_ms, char *text, size_t size) {
    char part[MOST_JOB + 40], time[16], date[64];
    text_buffer b = {.text = text, .size = size};
    if (size == 0)
        return;
    text[0] = 0;
    h->now_ms = now_ms;
    say_clock(household_time(h), time, sizeof time);
    say_date(household_time(h), date, sizeof date);
    snprintf(part, sizeof part, "It is %s. Today is %s.", time, date);
    add_text(&b, part);
    add_lights(&b, h);
    if (h->playing[0] && !h->paused) {
        snprintf(part, sizeof part, " Playing: %s.", h->playing);
        add_text(&b, part);
    }
}
