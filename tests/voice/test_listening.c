/* Voice activity, the end of what is said, and what words tell. */
#include "activity.h"
#include "endpoint.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* A voice: a hundred and twenty pulses a second with overtones. */
static void voice(int16_t *x, int block, double level) {
    for (int i = 0; i < LINE_BLOCK; i++) {
        double t = (double)(block * LINE_BLOCK + i) / LINE_RATE, sum = 0;
        for (int k = 1; k <= 8; k++)
            sum += sin(6.283185307 * 120 * k * t + k) / k;
        x[i] = (int16_t)(level * sum);
    }
}

static void noise(int16_t *x, double level) {
    for (int i = 0; i < LINE_BLOCK; i++)
        x[i] = (int16_t)(level * (2.0 * rand() / RAND_MAX - 1));
}

static void speech_is_loud_and_has_a_pitch(void **state) {
    activity a;
    int16_t x[LINE_BLOCK];
    int n_voiced = 0;
    (void)state;
    activity_init(&a);
    for (int i = 0; i < 100; i++) {
        noise(x, 30);
        activity_step(&a, x, -96);
        assert_false(a.is_loud);
    }
    for (int i = 0; i < 50; i++) {
        voice(x, i, 3000);
        activity_step(&a, x, -96);
        assert_true(a.is_loud);
        n_voiced += a.is_voiced;
    }
    assert_in_range(n_voiced, 40, 50);
    assert_int_equal(activity_count(&a, 8), 8);
    activity_step(&a, x, -3); /* the same below what may be an echo */
    assert_false(a.is_loud);
    assert_int_equal(activity_count(&a, 8), 7);
}

static void a_burst_of_noise_has_none(void **state) {
    activity a;
    int16_t x[LINE_BLOCK];
    (void)state;
    activity_init(&a);
    for (int i = 0; i < 100; i++) {
        noise(x, i < 50 ? 20 : 8000);
        activity_step(&a, x, -96);
        assert_false(a.is_voiced);
    }
    assert_true(a.is_loud);
}

/* A fan that is switched on is loud for two seconds at the most, and speech is heard over it. */
static void the_floor_follows_the_room(void **state) {
    activity a;
    int16_t x[LINE_BLOCK], y[LINE_BLOCK];
    (void)state;
    activity_init(&a);
    for (int i = 0; i < 300; i++) {
        noise(x, 1500);
        activity_step(&a, x, -96);
    }
    assert_int_equal(activity_count(&a, 32), 0);
    for (int i = 0; i < 20; i++) {
        noise(x, 1500);
        voice(y, i, 5000);
        for (int k = 0; k < LINE_BLOCK; k++)
            x[k] = (int16_t)(x[k] + y[k]);
        activity_step(&a, x, -96);
    }
    assert_int_equal(activity_count(&a, 20), 20);
    for (int i = 0; i < 400; i++) { /* off again */
        noise(x, 20);
        activity_step(&a, x, -96);
    }
    voice(x, 0, 300);
    activity_step(&a, x, -96);
    assert_true(a.is_loud);
}

/* Voices next door: never quiet for 200 ms, and 14 dB from lull to swell. Who speaks here is louder, and
 * stays so for as long as it is not to be learnt from. */
static void a_room_that_swells_is_no_speech(void **state) {
    activity a;
    int16_t x[LINE_BLOCK];
    int loud = 0;
    (void)state;
    activity_init(&a);
    for (int i = 0; i < 600; i++) {
        noise(x, i / 10 % 2 ? 1500 : 300);
        activity_step(&a, x, -96);
        loud += i >= 200 && a.is_loud;
    }
    assert_in_range(loud, 0, 8);
    for (int held = 1; held >= 0; held--) {
        loud = 0;
        a.holds = held;
        for (int i = 0; i < 400; i++) { /* 150 ms of voice, 50 of none */
            if (i % 20 < 15)
                voice(x, i, 4000);
            else
                noise(x, 300);
            activity_step(&a, x, -96);
            loud += i >= 200 && a.is_loud;
        }
        assert_in_range(loud, held ? 145 : 0, held ? 150 : 8);
    }
    for (int i = 0; i < 400; i++) { /* quiet again */
        noise(x, 20);
        activity_step(&a, x, -96);
    }
    voice(x, 0, 300);
    activity_step(&a, x, -96);
    assert_true(a.is_loud);
}

/* A constant offset and full scale are no speech for ever, and nothing overflows. */
static void extremes(void **state) {
    activity a;
    int16_t x[LINE_BLOCK];
    (void)state;
    activity_init(&a);
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < LINE_BLOCK; i++)
            x[i] = k ? INT16_MIN : INT16_MAX;
        for (int i = 0; i < 500; i++)
            activity_step(&a, x, -96);
        assert_false(a.is_loud);
        assert_true(isfinite(a.floor_db) && isfinite(a.level_db));
    }
}

static void the_wait_follows_the_words(void **state) {
    endpoint e;
    (void)state;
    endpoint_init(&e);
    double finished = endpoint_wait_ms(&e, "turn on the lamp"),
           open = endpoint_wait_ms(&e, "turn on the");
    double neutral = endpoint_wait_ms(&e, "lamp"), unknown = endpoint_wait_ms(&e, NULL);
    assert_true(finished < neutral && neutral < open);
    assert_true(unknown == neutral);
    assert_true(endpoint_wait_ms(&e, "") == open);
    assert_true(open <= 1400 && finished >= 300);
}

/* Whoever makes long pauses is waited for, and forgotten slowly. */
static void the_wait_follows_the_speaker(void **state) {
    endpoint e;
    (void)state;
    endpoint_init(&e);
    double before = endpoint_wait_ms(&e, "turn on the lamp");
    endpoint_note_pause(&e, 50);
    assert_true(endpoint_wait_ms(&e, "turn on the lamp") == before);
    for (int i = 0; i < 4; i++)
        endpoint_note_pause(&e, 600);
    double patient = endpoint_wait_ms(&e, "turn on the lamp");
    assert_true(patient > 700 && patient <= 1400);
    for (int i = 0; i < 4; i++)
        endpoint_note_pause(&e, 130);
    double after = endpoint_wait_ms(&e, "turn on the lamp");
    assert_true(after < patient && after > before);
}

static void words(void **state) {
    (void)state;
    assert_true(is_backchannel("Uh-huh."));
    assert_true(is_backchannel("okay, right"));
    assert_true(is_backchannel(""));
    assert_false(is_backchannel("okay, stop"));
    assert_true(is_yes("Yes, please do it."));
    assert_true(is_yes("go ahead"));
    assert_false(is_yes("please"));
    assert_false(is_yes("yes and turn off the lamp"));
    assert_false(is_yes(""));
    assert_true(is_no("no, don't do that"));
    assert_false(is_no("yes"));
    assert_false(is_no("no, the other lamp"));
    assert_true(is_order("Stop!"));
    assert_false(is_order("stop it"));
    assert_false(is_order("lamp"));
    assert_int_equal(words_in("  turn on, the lamp! "), 4);
    assert_int_equal(words_in(" . - "), 0);
    assert_int_equal(how_complete("what is the weather"), SOUNDS_FINISHED);
    assert_int_equal(how_complete("stop."), SOUNDS_FINISHED);
    assert_int_equal(how_complete("stop"), SOUNDS_NEUTRAL);
    assert_int_equal(how_complete("add milk and"), SOUNDS_OPEN);
    /* Words longer than any, and bytes that are no letters of ASCII. */
    assert_int_equal(words_in("donaudampfschifffahrtsgesellschaftskapit\xc3\xa4n \xc3\xbc"), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speech_is_loud_and_has_a_pitch),
        cmocka_unit_test(a_burst_of_noise_has_none),
        cmocka_unit_test(the_floor_follows_the_room),
        cmocka_unit_test(a_room_that_swells_is_no_speech),
        cmocka_unit_test(extremes),
        cmocka_unit_test(the_wait_follows_the_words),
        cmocka_unit_test(the_wait_follows_the_speaker),
        cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
