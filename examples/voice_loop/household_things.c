/* What is switched: lights, devices, blinds, heating. A home here has whatever rooms and lamps are
 * spoken of: each becomes known when it is first told what to do. */
#include "household_state.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    STEP_PERCENT = 20,
    LEAST_PERCENT = 10,
    USUAL_DEGREES = 20,
    LEAST_DEGREES = 5,
    MOST_DEGREES = 30
};

static thing *find(household *h, thing_kind kind, const char *place, const char *name) {
    for (thing *t = h->things; t < h->things + h->n_things; t++)
        if (t->kind == kind && strcasecmp(t->place, place) == 0 && strcasecmp(t->name, name) == 0)
            return t;
    return NULL;
}

/* NULL where the home has too many things, or a name is too long. */
static thing *find_or_add(household *h, thing_kind kind, const char *place, const char *name) {
    thing *t = find(h, kind, place, name);
    if (t || h->n_things == MOST_THINGS || strlen(place) >= NAME_SIZE || strlen(name) >= NAME_SIZE)
        return t;
    t = &h->things[h->n_things++];
    *t = (thing){.kind = kind, .level = kind == HEATING ? USUAL_DEGREES : 100};
    snprintf(t->place, sizeof t->place, "%s", place);
    snprintf(t->name, sizeof t->name, "%s", name);
    return t;
}

static json_t *unknown(const char *what, const char *place) {
    char error[NAME_SIZE + 40];
    if (strlen(place) >= NAME_SIZE)
        snprintf(error, sizeof error, "no such room");
    else
        snprintf(error, sizeof error, "no such %s", what);
    return result_error(error);
}

static void change_light(thing *t, const json_t *arguments) {
    const char *state = text_of(arguments, "state"), *colour = text_of(arguments, "colour");
    const char *change = text_of(arguments, "change");
    const json_t *brightness = json_object_get(arguments, "brightness");
    t->on = strcmp(state, "off") != 0;
    if (json_is_integer(brightness)) {
        t->level = (int)json_integer_value(brightness);
        t->on = t->on && t->level > 0;
    }
    if (change[0]) {
        t->level += strcmp(change, "brighter") == 0 ? STEP_PERCENT : -STEP_PERCENT;
        t->level = t->level > 100 ? 100 : t->level < LEAST_PERCENT ? LEAST_PERCENT : t->level;
    }
    if (colour[0])
        snprintf(t->colour, sizeof t->colour, "%s", colour);
}

json_t *tool_light(household *h, const json_t *arguments, bool *effect) {
    const char *place = text_of(arguments, "place"), *lamp = text_of(arguments, "lamp");
    const char *change = text_of(arguments, "change"), *state = text_of(arguments, "state");
    const json_t *brightness = json_object_get(arguments, "brightness");
    json_int_t percent = json_integer_value(brightness);
    if (brightness && (!json_is_integer(brightness) || percent < 0 || percent > 100))
        return result_error("unknown brightness");
    if (!state[0] && !brightness && !change[0] && !text_of(arguments, "colour")[0])
        return result_error("nothing to do");
    bool all = strcasecmp(place, "all") == 0;
    if (!all || h->n_things == 0) {
        thing *t = find_or_add(h, LIGHT, all ? "" : place, lamp);
        if (!t)
            return unknown("lamp", place);
    }
    for (thing *t = h->things; t < h->things + h->n_things; t++)
        if (t->kind == LIGHT && (all || (strcasecmp(t->place, place) == 0 &&
                                         (!lamp[0] || strcasecmp(t->name, lamp) == 0))))
            change_light(t, arguments);
    return result_ok(effect);
}

json_t *tool_device(household *h, const json_t *arguments, bool *effect) {
    const char *place = text_of(arguments, "place"), *name = text_of(arguments, "name");
    const char *state = text_of(arguments, "state");
    if (!name[0])
        return result_error("no such device");
    if (strcmp(state, "on") != 0 && strcmp(state, "off") != 0)
        return result_error("nothing to do");
    thing *t = find_or_add(h, DEVICE, place, name);
    if (!t)
        return unknown("device", place);
    t->on = strcmp(state, "on") == 0;
    return result_ok(effect);
}

json_t *tool_blinds(household *h, const json_t *arguments, bool *effect) {
    const char *place = text_of(arguments, "place"), *state = text_of(arguments, "state");
    if (strcmp(state, "open") != 0 && strcmp(state, "closed") != 0)
        return result_error("nothing to do");
    thing *t = find_or_add(h, BLINDS, place, "");
    if (!t)
        return unknown("blinds", place);
    t->on = strcmp(state, "open") == 0;
    return result_ok(effect);
}

json_t *tool_heating(household *h, const json_t *arguments, bool *effect) {
    const char *place = text_of(arguments, "place"), *change = text_of(arguments, "change");
    const json_t *degrees = json_object_get(arguments, "degrees");
    json_int_t n = json_integer_value(degrees);
    if (degrees && (!json_is_integer(degrees) || n < LEAST_DEGREES || n > MOST_DEGREES))
        return result_error("unknown temperature");
    if (!degrees && !change[0])
        return result_error("nothing to do");
    thing *t = find_or_add(h, HEATING, place, "");
    if (!t)
        return unknown("heating", place);
    int level = degrees ? (int)n : t->level + (strcmp(change, "warmer") == 0 ? 1 : -1);
    t->level = level < LEAST_DEGREES ? LEAST_DEGREES : level > MOST_DEGREES ? MOST_DEGREES : level;
    return result_ok(effect);
}
