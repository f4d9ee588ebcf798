/* What is played and what was heard of it; the echo canceller in a room with delay, gain and drift.
 */
#include "activity.h"
#include "card.h"
#include "echo.h"
#include "playout.h"
#include "repeats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void fill(int16_t *x, size_t n, int16_t value) {
    for (size_t i = 0; i < n; i++)
        x[i] = value;
}

static size_t count_loud(const int16_t *x) {
    size_t n = 0;
    for (int i = 0; i < LINE_BLOCK; i++)
        n += x[i] != 0;
    return n;
}

static void held_and_resumed(void **state) {
    playout p;
    int16_t x[LINE_BLOCK * 20], out[LINE_BLOCK];
    size_t n_played = 0;
    (void)state;
    fill(x, LINE_BLOCK * 20, 1000);
    playout_init(&p);
    assert_true(playout_mark(&p, 0, 10, true, 50));
    assert_true(playout_add(&p, x, LINE_BLOCK * 20));
    assert_true(playout_ms(&p) == 200);
    playout_render(&p, out);
    assert_int_equal(count_loud(out), LINE_BLOCK);
    assert_true(playout_answers(&p));
    p.held = true;
    playout_render(&p, out); /* a fade */
    assert_true(out[0] > 900 && out[LINE_BLOCK - 1] == 0);
    uint64_t at = p.played;
    for (int i = 0; i < 30; i++) {
        playout_render(&p, out);
        assert_int_equal(count_loud(out), 0);
    }
    assert_true(p.played == at);
    p.held = false;
    playout_render(&p, out);
    assert_true(out[0] < 100 && out[LINE_BLOCK - 1] == 1000);
    while (!playout_is_empty(&p)) {
        playout_render(&p, out);
        n_played += count_loud(out);
    }
    assert_int_equal(p.played, LINE_BLOCK * 20);
    assert_true(n_played < LINE_BLOCK * 20);
    playout_free(&p);
}

static void heard_up_to_a_whole_word(void **state) {
    static const char answer[] = "One two three. Four five six.";
    playout p;
    int16_t x[LINE_BLOCK * 10], out[LINE_BLOCK];
    (void)state;
    fill(x, LINE_BLOCK * 10, 1000);
    playout_init(&p);
    playout_mark(&p, 0, 0, false, 0); /* a filler */
    playout_add(&p, x, LINE_BLOCK * 2);
    playout_mark(&p, 0, 14, true, 0);
    playout_add(&p, x, LINE_BLOCK * 10);
    playout_mark(&p, 15, 29, true, 100);
    playout_add(&p, x, LINE_BLOCK * 10);
    assert_int_equal(playout_heard(&p, answer), 0);
    playout_render(&p, out);
    assert_false(playout_answers(&p));
    playout_render(&p, out);
    assert_int_equal(playout_heard(&p, answer), 0);
    for (int i = 0; i < 7; i++) /* 70 % of the first: in "three" */
        playout_render(&p, out);
    assert_true(playout_answers(&p));
    assert_int_equal(playout_heard(&p, answer), 7);
    for (int i = 0; i < 5; i++) /* its end, and into the pause */
        playout_render(&p, out);
    assert_int_equal(playout_heard(&p, answer), 14);
    while (!playout_is_empty(&p))
        playout_render(&p, out);
    assert_int_equal(playout_heard(&p, answer), 29);
    playout_spoil(&p); /* the second clause broke off */
    assert_int_equal(playout_heard(&p, answer), 14);
    playout_clear(&p);
    assert_int_equal(playout_heard(&p, answer), 0);
    playout_free(&p);
}

static void louder_than_can_be(void **state) {
    playout p;
    int16_t x[LINE_BLOCK], out[LINE_BLOCK];
    (void)state;
    fill(x, LINE_BLOCK, INT16_MIN);
    playout_init(&p);
    p.gain = 3;
    playout_add(&p, x, LINE_BLOCK);
    playout_render(&p, out);
    for (int i = 0; i < LINE_BLOCK; i++)
        assert_int_equal(out[i], INT16_MIN);
    playout_free(&p);
}

/* ---- echo ---- */

/* A microphone that hears a quiet room, and a voice where `speaks` says so. */
typedef struct quiet {
    card base;
    bool speaks;
    double phase;
} quiet;

static double random_part(void) {
    return 2.0 * rand() / RAND_MAX - 1;
}

static bool quiet_read(card *c, int16_t mic[LINE_BLOCK]) {
    quiet *q = (quiet *)c;
    for (int i = 0; i < LINE_BLOCK; i++) {
        double x = 20 * random_part();
        q->phase += 6.283185307 * 150 / LINE_RATE;
        for (int k = 1; q->speaks && k < 10; k++)
            x += 2500 * sin(k * q->phase) / k;
        mic[i] = (int16_t)x;
    }
    return true;
}

static void quiet_write(card *c, const int16_t out[LINE_BLOCK]) {
    (void)c;
    (void)out;
}

static bool quiet_close(card *c, char *why, size_t why_size) {
    (void)c;
    (void)why;
    (void)why_size;
    return true;
}

/* Syllables of filtered noise: as broad as speech, and as uneven. */
static void play(int16_t *out, int block, double *low) {
    double level = block % 120 > 100 ? 0 : 4000 * (0.2 + fabs(sin(block * 0.13)));
    for (int i = 0; i < LINE_BLOCK; i++) {
        *low += 0.4 * (random_part() - *low);
        out[i] = (int16_t)(level * *low);
    }
}

typedef struct outcome {
    double delay_ms, loss_db;
    int n_loud_echo;  /* blocks of echo taken for speech, in the last seconds */
    int n_loud_voice; /* blocks of speech that were heard over it, of 50 */
} outcome;

static outcome live_in(room_options room) {
    quiet q = {.base = {.read = quiet_read, .write = quiet_write, .close = quiet_close}};
    char why[200];
    int16_t mic[LINE_BLOCK], clean[LINE_BLOCK], out[LINE_BLOCK];
    double low = 0;
    outcome o = {0};
    activity a;
    srand(7);
    activity_init(&a);
    card *c = card_open_room(&q.base, &room, why, sizeof why);
    echo *e = echo_open();
    assert_non_null(c);
    assert_non_null(e);
    for (int i = 0; i < 1250; i++) {
        q.speaks = i >= 1200;
        assert_true(c->read(c, mic));
        double at_least = echo_cancel(e, mic, clean);
        activity_step(&a, clean, at_least);
        if (i == 1199) {
            o.delay_ms = echo_delay_ms(e);
            o.loss_db = echo_return_loss_db(e);
        }
        o.n_loud_echo += i >= 300 && !q.speaks && activity_count(&a, 8) >= 6;
        o.n_loud_voice += q.speaks && a.is_loud;
        play(out, i, &low);
        echo_played(e, out);
        c->write(c, out);
    }
    echo_close(e);
    assert_true(c->close(c, why, sizeof why));
    return o;
}

static void echoes_are_cancelled(void **state) {
    static const room_options rooms[] = {{30, -6, 0}, {80, -12, 0}, {200, -20, 0}, {400, -12, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        outcome o = live_in(rooms[i]);
        assert_true(fabs(o.delay_ms - rooms[i].delay_ms) < 3);
        assert_true(o.loss_db > 18);
        assert_int_equal(o.n_loud_echo, 0);
        assert_in_range(o.n_loud_voice, 35, 50);
    }
}

static void clocks_that_drift(void **state) {
    static const double drifts[] = {50, -50, 100, -100, 200, -200};
    (void)state;
    for (size_t i = 0; i < sizeof drifts / sizeof *drifts; i++) {
        outcome o = live_in((room_options){80, -12, drifts[i]});
        assert_true(o.loss_db > 15);
        assert_int_equal(o.n_loud_echo, 0);
        assert_in_range(o.n_loud_voice, 30, 50);
    }
}

/* Two minutes in which what is played stops now and then for ten seconds, in which clocks go on: the least
 * that the canceller takes away once it has had ten seconds, a moment behind such a silence too. */
static double least_loss(double drift_ppm, double *found_ppm) {
    quiet q = {.base = {.read = quiet_read, .write = quiet_write, .close = quiet_close}};
    room_options options = {80, -12, drift_ppm};
    char why[200];
    int16_t mic[LINE_BLOCK], clean[LINE_BLOCK], out[LINE_BLOCK];
    double low = 0, least = 100;
    srand(11);
    card *c = card_open_room(&q.base, &options, why, sizeof why);
    echo *e = echo_open();
    assert_non_null(c);
    assert_non_null(e);
    for (int i = 0; i < 12000; i++) {
        bool is_played = i % 4000 < 3000;
        assert_true(c->read(c, mic));
        echo_cancel(e, mic, clean);
        if (i >= 1000 && i % 4000 >= 150 && is_played && i % 120 == 60)
            least = fmin(least, echo_return_loss_db(e));
        play(out, i, &low);
        if (!is_played)
            fill(out, LINE_BLOCK, 0);
        echo_played(e, out);
        c->write(c, out);
    }
    *found_ppm = echo_drift_ppm(e);
    echo_close(e);
    assert_true(c->close(c, why, sizeof why));
    return least;
}

static void two_minutes_of_drift(void **state) {
    static const double drifts[] = {0, 200, -200};
    (void)state;
    for (size_t i = 0; i < sizeof drifts / sizeof *drifts; i++) {
        double found, least = least_loss(drifts[i], &found);
        print_message("drift of %.0f ppm: %.1f ppm found, at least %.1f dB less echo\n", drifts[i],
                      found, least);
        assert_true(fabs(found - drifts[i]) < 5);
        assert_true(least > 15);
    }
}

/* Headphones: there is nothing to find, and everybody is heard. */
static void no_echo_at_all(void **state) {
    (void)state;
    outcome o = live_in((room_options){80, -96, 0});
    assert_true(o.delay_ms == -1);
    assert_int_equal(o.n_loud_echo, 0);
    assert_in_range(o.n_loud_voice, 45, 50);
}

static void say(repeats *r, const char *text, size_t n, bool whole) {
    int16_t x[1000];
    fill(x, 1000, 7);
    assert_null(repeats_find(r, text, strlen(text)));
    for (size_t m; n > 0; n -= m)
        repeats_add(r, x, m = n < 1000 ? n : 1000);
    repeats_end(r, whole);
}

/* What was said to its end is kept, short, not too long, and not for ever. */
static void said_again(void **state) {
    static const char longer[] = "A text of more bytes than are kept.";
    repeats r = {0};
    (void)state;
    say(&r, "Okay,", 2500, true);
    const repeat *known = repeats_find(&r, "Okay,", 5);
    assert_non_null(known);
    assert_int_equal(known->n, 2500);
    assert_int_equal(known->samples[2499], 7);
    say(&r, "Okay", 100, false); /* another one, given up */
    say(&r, "Okay", 100, false);
    say(&r, longer, 100, true);
    say(&r, longer, 100, true);
    say(&r, "Slowly.", REPEATS_SAMPLES + 1, true);
    say(&r, "Slowly.", REPEATS_SAMPLES, true);
    assert_non_null(repeats_find(&r, "Slowly.", 7));
    say(&r, "", 0, true);
    say(&r, "Nothing", 0, true);
    say(&r, "Nothing", 0, true);
    for (char i = 0; i < 2 * REPEATS; i++) {
        assert_non_null(repeats_find(&r, "Okay,", 5));
        say(&r, (char[]){'a' + i, 0}, 10, true);
    }
    assert_null(repeats_find(&r, "Slowly.", 7));
    assert_non_null(repeats_find(&r, "Okay,", 5));
    repeats_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held_and_resumed),   cmocka_unit_test(heard_up_to_a_whole_word),
        cmocka_unit_test(louder_than_can_be), cmocka_unit_test(echoes_are_cancelled),
        cmocka_unit_test(clocks_that_drift),  cmocka_unit_test(two_minutes_of_drift),
        cmocka_unit_test(no_echo_at_all),     cmocka_unit_test(said_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
