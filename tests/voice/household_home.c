/* The household: what is called has its effect, and what makes no sense says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "household.h"
#include "shopping_list.h"
#include "support/temp_folder.h"

/* Friday, 3 November 2028, 18:42. */
static const int64_t START = 1856822400 + 18 * 3600 + 42 * 60;

static char result[2000], sentence[300];

static household *opened(const char *weather, const char *shopping) {
    char why[200] = "";
    household_options o = {.weather_file = weather, .shopping_file = shopping, .start_time = START};
    household *h = household_open(&o, why, sizeof why);
    assert_non_null(h);
    assert_string_equal(why, "");
    return h;
}

/* The result of a call at a time, and whether it had an effect. */
static void calls(household *h, int64_t ms, const char *name, const char *arguments, bool effect,
                  const char *wanted) {
    bool had = household_call(h, ms, name, arguments, result, sizeof result);
    assert_string_equal(result, wanted);
    assert_int_equal(had, effect);
}

static void done(household *h, int64_t ms, const char *name, const char *arguments) {
    calls(h, ms, name, arguments, true, "{\"ok\": true}");
}

static void fails(household *h, const char *name, const char *arguments, const char *error) {
    char wanted[200];
    snprintf(wanted, sizeof wanted, "{\"ok\": false, \"error\": \"%s\"}", error);
    calls(h, 0, name, arguments, false, wanted);
}

static void lights(void **state) {
    (void)state;
    char tail[400];
    household *h = opened(NULL, NULL);
    household_tail(h, 0, tail, sizeof tail);
    assert_string_equal(tail, "It is 18:42. Today is Friday, 3 November 2028.");
    done(h, 0, "light", "{\"place\": \"kitchen\", \"state\": \"on\"}");
    done(h, 0, "light", "{\"place\": \"Kitchen\", \"lamp\": \"floor lamp\", \"colour\": \"blue\"}");
    done(h, 0, "light", "{\"place\": \"bedroom\", \"brightness\": 20}");
    household_tail(h, 60000, tail, sizeof tail);
    assert_string_equal(tail, "It is 18:43. Today is Friday, 3 November 2028. "
                              "Lights on: kitchen and bedroom.");
    done(h, 0, "light", "{\"place\": \"bedroom\", \"brightness\": 0}");
    done(h, 0, "music", "{\"action\": \"play\", \"what\": \"jazz\"}");
    household_tail(h, 0, tail, sizeof tail);
    assert_string_equal(tail, "It is 18:42. Today is Friday, 3 November 2028. "
                              "Lights on: kitchen. Playing: jazz.");
    done(h, 0, "light", "{\"place\": \"all\", \"state\": \"off\"}");
    done(h, 0, "music", "{\"action\": \"pause\"}");
    household_tail(h, 0, tail, sizeof tail);
    assert_string_equal(tail, "It is 18:42. Today is Friday, 3 November 2028.");
    household_tail(h, 0, tail, 10); /* nothing that is cut */
    assert_string_equal(tail, "");
    household_close(h);
}

static void refused(void **state) {
    (void)state;
    household *h = opened(NULL, NULL);
    fails(h, "light", "{}", "nothing to do");
    fails(h, "light", "{\"brightness\": 101}", "unknown brightness");
    fails(h, "light", "{\"brightness\": \"x\"}", "unknown brightness");
    fails(h, "light", "[]", "the arguments are no object");
    fails(h, "light", "{\"state\": \"on\", \"state\": \"off\"}", "the arguments are no object");
    fails(h, "light", "", "the arguments are no object");
    fails(h, "rocket", "{}", "no such tool");
    fails(h, "device", "{\"state\": \"on\"}", "no such device");
    fails(h, "device", "{\"name\": \"fan\"}", "nothing to do");
    fails(h, "blinds", "{\"place\": \"hall\"}", "nothing to do");
    fails(h, "heating", "{\"degrees\": 31}", "unknown temperature");
    fails(h, "volume", "{\"level\": -1}", "unknown volume");
    fails(h, "music", "{\"action\": \"next\"}", "nothing is playing");
    fails(h, "timer", "{\"action\": \"cancel\"}", "no timer is running");
    fails(h, "timer", "{\"action\": \"cancel\", \"name\": \"egg\"}", "no such timer");
    fails(h, "timer", "{\"action\": \"set\"}", "unknown length");
    fails(h, "timer", "{\"action\": \"set\", \"length\": \"a while\"}", "unknown length");
    fails(h, "alarm", "{\"action\": \"set\"}", "unknown time");
    fails(h, "alarm", "{\"action\": \"change\", \"time\": \"six\"}", "no alarm is set");
    fails(h, "reminder", "{\"action\": \"set\", \"when\": \"at six\"}", "the task is missing");
    fails(h, "shopping_list", "{\"action\": \"add\", \"items\": []}", "nothing to do");
    fails(h, "shopping_list", "{\"action\": \"remove\", \"items\": [\"milk\"]}", "not on the list");
    fails(h, "weather", "{}", "no forecast");
    char long_place[200] = "{\"state\": \"on\", \"place\": \"";
    memset(long_place + strlen(long_place), 'x', 100);
    strcat(long_place, "\"}");
    fails(h, "light", long_place, "no such room");
    for (int i = 0; i < 128; i++) {
        char lamp[80];
        snprintf(lamp, sizeof lamp, "{\"state\": \"on\", \"place\": \"room %d\"}", i);
        done(h, 0, "light", lamp);
    }
    fails(h, "light", "{\"state\": \"on\", \"place\": \"hall\"}", "no such lamp");
    household_close(h);
}

static void volume(void **state) {
    (void)state;
    household *h = opened(NULL, NULL);
    int before = household_volume(h);
    done(h, 0, "volume", "{\"change\": \"up\"}");
    assert_int_equal(household_volume(h), before + 10);
    done(h, 0, "volume", "{\"change\": \"mute\"}");
    assert_int_equal(household_volume(h), 0);
    done(h, 0, "volume", "{\"change\": \"up\"}");
    assert_int_equal(household_volume(h), before + 10);
    done(h, 0, "volume", "{\"level\": 95}");
    done(h, 0, "volume", "{\"change\": \"up\"}");
    assert_int_equal(household_volume(h), 100);
    household_close(h);
}

static void timers(void **state) {
    (void)state;
    household *h = opened(NULL, NULL);
    assert_int_equal(household_next_ms(h), -1);
    assert_false(household_rings(h, 0, sentence, sizeof sentence));
    done(h, 500, "timer", "{\"action\": \"set\", \"length\": \"ten minutes\"}");
    done(h, 500, "timer", "{\"action\": \"set\", \"name\": \"pasta\", \"length\": \"8 mins\"}");
    assert_int_equal(household_next_ms(h), 480500);
    calls(h, 240500, "timer", "{\"action\": \"list\"}", false,
          "{\"timers\": [\"6 minutes\", \"4 minutes for pasta\"]}");
    assert_false(household_rings(h, 480499, sentence, sizeof sentence));
    assert_true(household_rings(h, 480500, sentence, sizeof sentence));
    assert_string_equal(sentence, "Your pasta timer is done.");
    assert_false(household_rings(h, 480500, sentence, sizeof sentence));
    done(h, 500000, "timer", "{\"action\": \"change\", \"length\": \"an hour and a half\"}");
    assert_int_equal(household_next_ms(h), 500000 + 5400000);
    assert_true(household_rings(h, 5900000, sentence, sizeof sentence));
    assert_string_equal(sentence, "Your timer for 1 hour and 30 minutes is done.");
    done(h, 0, "timer", "{\"action\": \"set\", \"length\": \"half a minute\"}");
    done(h, 0, "timer", "{\"action\": \"cancel\"}");
    assert_int_equal(household_next_ms(h), -1);
    for (int i = 0; i < 32; i++)
        done(h, 0, "timer", "{\"action\": \"set\", \"length\": \"1 second\"}");
    fails(h, "timer", "{\"action\": \"set\", \"length\": \"1 second\"}", "too many timers");
    for (int i = 0; i < 32; i++)
        assert_true(household_rings(h, 1000, sentence, sizeof sentence));
    assert_false(household_rings(h, 1000, sentence, sizeof sentence));
    household_close(h);
}

static void alarms(void **state) {
    (void)state;
    household *h = opened(NULL, NULL);
    int64_t midnight = (24 * 3600 - 18 * 3600 - 42 * 60) * 1000;
    done(h, 0, "alarm",
         "{\"action\": \"set\", \"time\": \"half past six\", \"day\": \"tomorrow\"}");
    assert_int_equal(household_next_ms(h), midnight + (6 * 60 + 30) * 60000);
    done(h, 0, "alarm", "{\"action\": \"change\", \"time\": \"7:15\", \"day\": \"every day\"}");
    calls(h, 0, "alarm", "{\"action\": \"list\"}", false, "{\"alarms\": [\"07:15 every day\"]}");
    int64_t rings = midnight + (7 * 60 + 15) * 60000;
    assert_true(household_rings(h, rings, sentence, sizeof sentence));
    assert_string_equal(sentence, "It is 07:15. This is your alarm.");
    assert_false(household_rings(h, rings, sentence, sizeof sentence));
    assert_int_equal(household_next_ms(h), rings + 86400000);
    /* After a long sleep it rings once, and then on the next day. */
    assert_true(household_rings(h, rings + 5 * 86400000LL, sentence, sizeof sentence));
    assert_false(household_rings(h, rings + 5 * 86400000LL, sentence, sizeof sentence));
    done(h, rings, "alarm", "{\"action\": \"cancel\"}");
    assert_int_equal(household_next_ms(h), -1);
    household_close(h);
}

static void reminders(void **state) {
    (void)state;
    household *h = opened(NULL, NULL);
    done(h, 0, "reminder", "{\"action\": \"set\", \"task\": \"call mum\", \"when\": \"at eight\"}");
    done(h, 0, "reminder",
         "{\"action\": \"set\", \"task\": \"feed the cat\", \"when\": \"in 20 minutes\"}");
    done(h, 0, "reminder", "{\"action\": \"set\", \"task\": \"buy bread\"}");
    calls(
        h, 300000, "reminder", "{\"action\": \"list\"}", false,
        "{\"reminders\": [\"call mum at 20:00\", \"feed the cat in 15 minutes\", \"buy bread\"]}");
    assert_true(household_rings(h, 1200000, sentence, sizeof sentence));
    assert_string_equal(sentence, "Here is your reminder to feed the cat.");
    done(h, 0, "reminder",
         "{\"action\": \"change\", \"task\": \"call mum\", \"when\": \"tomorrow at noon\"}");
    calls(h, 0, "reminder", "{\"action\": \"list\"}", false,
          "{\"reminders\": [\"call mum at 12:00 tomorrow\", \"buy bread\"]}");
    household_close(h);
}

static void shopping(void **state) {
    (void)state;
    char path[300], why[200];
    snprintf(path, sizeof path, "%s", temp_path("list.txt"));
    household *h = opened(NULL, path);
    calls(h, 0, "shopping_list", "{\"action\": \"read\"}", false, "{\"items\": []}");
    done(h, 0, "shopping_list",
         "{\"action\": \"add\", \"items\": [\"milk\", \"two bags of rice\", \"crème\\nfraîche\"]}");
    done(h, 0, "shopping_list", "{\"action\": \"add\", \"items\": [\"Milk\"]}");
    household_close(h);
    size_t size;
    char *text = temp_read(path, &size);
    assert_string_equal(text, "milk\ntwo bags of rice\ncrème fraîche\n");
    free(text);
    assert_int_equal(temp_count(), 1); /* nothing is left beside it */
    h = opened(NULL, path);
    done(h, 0, "shopping_list", "{\"action\": \"remove\", \"items\": [\"rice\"]}");
    /* All or nothing. */
    fails(h, "shopping_list", "{\"action\": \"remove\", \"items\": [\"milk\", \"tea\"]}",
          "not on the list");
    calls(h, 0, "shopping_list", "{\"action\": \"read\"}", false,
          "{\"items\": [\"milk\", \"crème fraîche\"]}");
    assert_true(household_is_risky(h, "shopping_list", "{\"action\": \"clear\"}", sentence,
                                   sizeof sentence));
    assert_string_equal(sentence, "Shall I clear the shopping list? It has 2 items.");
    done(h, 0, "shopping_list", "{\"action\": \"clear\"}");
    assert_false(household_is_risky(h, "shopping_list", "{\"action\": \"clear\"}", sentence,
                                    sizeof sentence));
    household_close(h);
    /* A list that cannot be written stays as it was. */
    h = opened(NULL, temp_path("no-such-folder/list.txt"));
    fails(h, "shopping_list", "{\"action\": \"add\", \"items\": [\"milk\"]}",
          "the list cannot be written");
    calls(h, 0, "shopping_list", "{\"action\": \"read\"}", false, "{\"items\": []}");
    household_close(h);
    household_options folder = {.shopping_file = temp_folder()};
    assert_null(household_open(&folder, why, sizeof why));
    assert_non_null(strstr(why, temp_folder()));
    temp_clear();
}

static void a_full_list(void **state) {
    (void)state;
    static shopping_list list;
    char item[ITEM_SIZE + 40];
    for (int i = 0; i < MOST_ITEMS; i++) {
        snprintf(item, sizeof item, "thing %d", i);
        assert_true(shopping_add(&list, item));
    }
    assert_false(shopping_add(&list, "one more"));
    assert_true(shopping_remove(&list, "Thing 0"));
    /* A name that is too long is cut between characters. */
    memset(item, 'x', sizeof item);
    memcpy(item + ITEM_SIZE - 2, "é", 2);
    item[sizeof item - 1] = 0;
    assert_true(shopping_add(&list, item));
    assert_int_equal(strlen(list.item[list.n - 1]), ITEM_SIZE - 2);
}

static void weather(void **state) {
    (void)state;
    char path[300];
    snprintf(path, sizeof path, "%s", temp_path("weather.json"));
    const char *text = "{\"2028-11-03\": {\"weather\": \"light rain\", \"degrees\": 9},"
                       "\"today\": {\"weather\": \"never seen\", \"degrees\": 1},"
                       "\"tomorrow\": {\"weather\": \"sunny\", \"degrees\": -4},"
                       "\"monday\": {\"weather\": \"fog\"}}";
    temp_write(path, text, strlen(text));
    household *h = opened(path, NULL);
    calls(h, 0, "weather", "{}", false, "{\"weather\": \"light rain\", \"degrees\": 9}");
    calls(h, 0, "weather", "{\"day\": \"tomorrow morning\"}", false,
          "{\"weather\": \"sunny\", \"degrees\": -4}");
    calls(h, 0, "weather", "{\"day\": \"Saturday\"}", false,
          "{\"weather\": \"sunny\", \"degrees\": -4}");
    fails(h, "weather", "{\"day\": \"on Monday\"}", "no forecast"); /* without its degrees */
    fails(h, "weather", "{\"day\": \"Sunday\"}", "no forecast");
    fails(h, "weather", "{\"day\": \"next month\"}", "no forecast");
    temp_write(path, "{", 1);
    fails(h, "weather", "{}", "no forecast");
    calls(h, 60000, "clock", "{}", false,
          "{\"time\": \"18:43\", \"date\": \"Friday, 3 November 2028\"}");
    household_close(h);
    temp_clear();
}

static void risks(void **state) {
    (void)state;
    static const struct {
        const char *name, *arguments, *question; /* "": none */
    } CASES[] = {
        {"device", "{\"name\": \"oven\", \"state\": \"on\"}", "Shall I turn on the oven?"},
        {"device", "{\"name\": \"oven\", \"state\": \"off\"}", ""},
        {"device", "{\"name\": \"fridge\", \"state\": \"off\"}", "Shall I turn off the fridge?"},
        {"device", "{\"name\": \"fan\", \"state\": \"on\"}", ""},
        {"device", "{\"name\": \"fridge\"}", ""},
        {"heating", "{\"degrees\": 28}", "Shall I set the heating to 28 degrees?"},
        {"heating", "{\"degrees\": 21}", ""},
        {"volume", "{\"level\": 95}", "Shall I set the volume to 95?"},
        {"volume", "{\"level\": 50}", ""},
        {"light", "{\"state\": \"on\"}", ""},
        {"device", "nonsense", ""},
    };
    household *h = opened(NULL, NULL);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        bool risky =
            household_is_risky(h, CASES[i].name, CASES[i].arguments, sentence, sizeof sentence);
        assert_int_equal(risky, CASES[i].question[0] != 0);
        if (risky)
            assert_string_equal(sentence, CASES[i].question);
    }
    household_close(h);
}

static void small_results(void **state) {
    (void)state;
    household *h = opened(NULL, NULL);
    char few[48];
    household_call(h, 0, "clock", "{}", few, sizeof few);
    assert_string_equal(few, "{\"ok\": false, \"error\": \"too long\"}");
    household_close(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lights),   cmocka_unit_test(refused),       cmocka_unit_test(volume),
        cmocka_unit_test(timers),   cmocka_unit_test(alarms),        cmocka_unit_test(reminders),
        cmocka_unit_test(shopping), cmocka_unit_test(a_full_list),   cmocka_unit_test(weather),
        cmocka_unit_test(risks),    cmocka_unit_test(small_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
