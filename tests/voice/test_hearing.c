/* The stage that recognises, with an engine that fails when it is asked in a pause. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hearing.h"

typedef struct engine {
    recognizer base;
    int n_asked;
} engine;

static bool begin(recognizer *r, char *why, size_t why_size) {
    (void)r;
    (void)why;
    (void)why_size;
    return true;
}

static bool feed(recognizer *r, const int16_t *samples, size_t n, char *why, size_t why_size) {
    (void)samples;
    (void)n;
    return begin(r, why, why_size);
}

static bool is_late(recognizer *r, char *text, size_t size, char *why, size_t why_size) {
    (void)text;
    (void)size;
    ((engine *)r)->n_asked++;
    snprintf(why, why_size, "late");
    return false;
}

static bool finish(recognizer *r, char *text, size_t size, char *why, size_t why_size) {
    snprintf(text, size, "stop");
    return begin(r, why, why_size);
}

static void cancel(recognizer *r) {
    (void)r;
}

/* One utterance with three pauses. What the engine fails at is told, the engine is not asked for it
 * again before the next utterance, and the final transcript comes. */
static void a_failure_in_a_pause(bool streams) {
    hearing h;
    message *m;
    engine e = {.base = {.name = "late",
                         .streams = streams,
                         .begin = begin,
                         .feed = feed,
                         .partial = is_late,
                         .settle = streams ? is_late : NULL,
                         .finish = finish,
                         .cancel = cancel}};
    assert_true(hearing_open(&h, &e.base, true));
    for (uint32_t id = 1; id <= 2; id++) {
        stage_send(&h.stage, message_text(HEAR_BEGIN, id, NULL, 0), 0);
        for (int pause = 1; pause <= 3; pause++) {
            assert_non_null(m = message_samples(HEAR_FEED, id, 160));
            memset(m->data.samples, 0, 320);
            stage_send(&h.stage, m, 0);
            assert_non_null(m = message_text(HEAR_PARTIAL, id, NULL, 0));
            m->begin = 1;
            m->value = pause;
            stage_send(&h.stage, m, 0);
            stage_run(&h.stage, 0);
            assert_int_equal(e.n_asked, id);
        }
        assert_non_null(m = stage_receive(&h.stage, 0));
        assert_int_equal(m->type, HEARD_NOTHING);
        assert_int_equal(m->id, id);
        assert_int_equal(m->value, 1);
        free(m);
        assert_null(stage_receive(&h.stage, 0));
        stage_send(&h.stage, message_text(HEAR_FINISH, id, NULL, 0), 0);
        stage_run(&h.stage, 0);
        assert_non_null(m = stage_receive(&h.stage, 0));
        assert_int_equal(m->type, HEARD_FINAL);
        assert_string_equal(m->data.text, "stop");
        free(m);
    }
    hearing_close(&h);
}

static void it_streams(void **state) {
    (void)state;
    a_failure_in_a_pause(true);
}

static void it_does_not_stream(void **state) {
    (void)state;
    a_failure_in_a_pause(false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_streams),
        cmocka_unit_test(it_does_not_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
