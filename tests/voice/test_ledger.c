/* The ledger as JSON, as a table and as a picture. */
#include "ledger.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static turn make_turn(uint32_t id, bool interrupted) {
    turn t;
    turn_init(&t, id);
    text_add(&t.transcript, "turn on <the> \"lamp\"", 20);
    text_add(&t.answer, "Okay. It is on.", 15);
    text_add(&t.calls, "light {}\n{\"ok\": true}\n", 22);
    t.speech_start = 500;
    t.speech_end = 1500.9;
    t.vad_end = 1900;
    t.asr = 1990.5;
    t.first_token = 2010;
    t.first_clause = 2050;
    t.synthesis = 2070;
    t.first_audio = 2080.1;
    t.last_audio = 3000;
    t.spoken = 15;
    if (interrupted) {
        t.interrupted = true;
        t.barge_in = 2900;
        t.silent = 3001;
        t.spoken = 5;
    }
    return t;
}

static const char *as_text(json_t *j, const char *name) {
    return json_string_value(json_object_get(j, name));
}

static json_int_t as_number(json_t *j, const char *name) {
    assert_true(json_is_integer(json_object_get(j, name)));
    return json_integer_value(json_object_get(j, name));
}

static void lines_of_json(void **state) {
    char *data = NULL;
    size_t size = 0;
    (void)state;
    turn_ledger l = {.json = open_memstream(&data, &size)};
    turn one = make_turn(1, false), two = make_turn(2, true), three;
    turn_init(&three, 3);
    text_add(&three.transcript, "\xff\xfe", 2); /* no UTF-8 */
    ledger_add(&l, &one);
    ledger_add(&l, &two);
    ledger_add(&l, &three);
    fclose(l.json);
    assert_false(l.failed);
    char *rest = NULL, *line = strtok_r(data, "\n", &rest);
    json_t *j = json_loads(line, 0, NULL);
    assert_non_null(j);
    assert_string_equal(as_text(j, "transcript"), "turn on <the> \"lamp\"");
    assert_string_equal(as_text(j, "spoken"), "Okay. It is on.");
    assert_int_equal(as_number(j, "turn"), 1);
    assert_int_equal(as_number(j, "speech_end_ms"), 1500);
    assert_int_equal(as_number(j, "total_ms"), 580);
    assert_true(json_is_false(json_object_get(j, "interrupted")));
    assert_true(json_is_null(json_object_get(j, "barge_in_ms")));
    assert_true(json_is_null(json_object_get(j, "error")));
    assert_int_equal(json_array_size(json_object_get(j, "calls")), 2);
    assert_true(json_is_real(json_object_get(json_object_get(j, "measured"), "asr")));
    json_decref(j);
    j = json_loads(strtok_r(NULL, "\n", &rest), 0, NULL);
    assert_true(json_is_true(json_object_get(j, "interrupted")));
    assert_string_equal(as_text(j, "spoken"), "Okay.");
    assert_int_equal(as_number(j, "silent_ms"), 3001);
    json_decref(j);
    j = json_loads(strtok_r(NULL, "\n", &rest), 0, NULL);
    assert_string_equal(as_text(j, "transcript"), "??");
    assert_true(json_is_null(json_object_get(j, "first_audio_ms")));
    assert_true(json_is_null(json_object_get(j, "total_ms")));
    json_decref(j);
    assert_null(strtok_r(NULL, "\n", &rest));
    ledger_close(&l);
    free(data);
}

static void a_stream_that_is_full(void **state) {
    FILE *full = fopen("/dev/full", "w");
    (void)state;
    if (!full)
        skip();
    turn_ledger l = {.json = full};
    turn t = make_turn(1, false);
    ledger_add(&l, &t);
    assert_true(l.failed);
    ledger_close(&l);
    fclose(full);
}

static void table_and_picture(void **state) {
    char *table = NULL, *picture = NULL;
    size_t n_table = 0, n_picture = 0;
    (void)state;
    turn_ledger l = {.table = open_memstream(&table, &n_table),
                     .picture = open_memstream(&picture, &n_picture)};
    FILE *streams[] = {l.table, l.picture};
    for (uint32_t i = 1; i <= 21; i++) {
        turn t = make_turn(i, i % 2 == 0);
        ledger_add(&l, &t);
    }
    ledger_close(&l);
    fclose(streams[0]);
    fclose(streams[1]);
    assert_non_null(strstr(table, "endpoint"));
    assert_non_null(strstr(strstr(table, "endpoint") + 1, "endpoint")); /* the head again */
    assert_non_null(strstr(table, "     580"));
    assert_non_null(strstr(picture, "<svg "));
    assert_string_equal(picture + n_picture - 7, "</svg>\n");
    assert_null(strstr(picture, "<the>"));
    assert_non_null(strstr(picture, "&#60;the&#62;"));
    free(table);
    free(picture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_json),
        cmocka_unit_test(a_stream_that_is_full),
        cmocka_unit_test(table_and_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
