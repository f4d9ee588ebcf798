/* When a turn is handed over, and what leaves: every combination of what the policy is told. */
#include "policy.h"
#include "redact.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the callbacks saw, and what they are to do. */
typedef struct world {
    int withholds, answers, records; /* what they do */
    int n_redact, n_taken, n_records;
    deep_record last;
    char sent[256], recorded[256];
    int sent_before_record;
} world;

static char *redact(void *user, const char *text, unsigned *n) {
    world *w = user;
    w->n_redact++;
    *n = 1;
    assert_string_equal(text, "secret");
    return w->withholds ? NULL : strdup("[private]");
}

static char *take_over(void *user, const char *text, char *error, size_t cap) {
    world *w = user;
    w->n_taken++;
    w->sent_before_record = w->n_records == 0;
    strcpy(w->sent, text);
    if (w->answers)
        return strdup("42");
    assert_true(cap > 8);
    strcpy(error, "nobody");
    return NULL;
}

static int record(void *user, const deep_record *r) {
    world *w = user;
    if (!w->records)
        return 0;
    w->n_records++;
    w->last = *r;
    if (r->text)
        strcpy(w->recorded, r->text);
    return 1;
}

static deep_policy policy_of(world *w) {
    return (deep_policy){.consent = 1, .max_prompt = 100, .min_confidence = 0.5, .redact = redact,
                         .take_over = take_over, .record = record, .user = w};
}

static deep_outcome ask(const deep_policy *p, deep_turn t, deep_reason *reason) {
    char *answer = (char *)"";
    t.text = "secret";
    deep_outcome outcome = deep_policy_ask(p, &t, &answer, reason);
    assert_int_equal(answer != NULL, outcome == DEEP_TAKEN);
    if (answer)
        assert_string_equal(answer, "42");
    free(answer);
    return outcome;
}

static void reasons(void **state) {
    (void)state;
    static const deep_confidence sure = {.sum = -0.1, .n = 10}, unsure = {.sum = -9, .n = 10};
    static const struct {
        deep_turn turn;
        deep_reason reason;
    } cases[] = {
        {{.n_prompt = 100}, DEEP_NO_REASON},
        {{.n_prompt = 101}, DEEP_TOO_LONG},
        {{.n_prompt = 7, .confidence = &sure}, DEEP_NO_REASON},
        {{.n_prompt = 7, .confidence = &unsure}, DEEP_UNSURE},
        {{.n_prompt = 7, .user_asks = 1}, DEEP_USER},
        {{.n_prompt = 7, .tool_asks = 1, .confidence = &sure}, DEEP_TOOL},
        {{.n_prompt = 101, .user_asks = 1}, DEEP_USER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world w = {.answers = 1, .records = 1};
        deep_policy p = policy_of(&w);
        deep_reason reason;
        deep_outcome outcome = ask(&p, cases[i].turn, &reason);
        assert_int_equal(reason, cases[i].reason);
        assert_int_equal(outcome, reason == DEEP_NO_REASON ? DEEP_KEPT : DEEP_TAKEN);
        assert_int_equal(w.n_taken, reason != DEEP_NO_REASON);
        assert_int_equal(w.n_records, reason != DEEP_NO_REASON ? 2 : 0);
        p.max_prompt = 0; /* any */
        p.min_confidence = 0;
        w = (world){.answers = 1, .records = 1};
        ask(&p, cases[i].turn, &reason);
        assert_true(reason != DEEP_TOO_LONG && reason != DEEP_UNSURE);
    }
}

/* All ways to set everything: something leaves only where all of it says so, and offline always wins. */
static void nothing_leaves_without_leave(void **state) {
    (void)state;
    for (unsigned bits = 0; bits < 256; bits++) {
        world w = {.withholds = bits >> 3 & 1, .answers = bits >> 4 & 1, .records = bits >> 5 & 1};
        deep_policy p = policy_of(&w);
        p.offline = bits & 1;
        p.consent = bits >> 1 & 1;
        if (bits >> 2 & 1)
            p.redact = NULL;
        deep_turn t = {.n_prompt = 1, .user_asks = bits >> 6 & 1, .tool_asks = bits >> 7 & 1};
        int wanted = t.user_asks || t.tool_asks;
        int may_leave = wanted && !p.offline && p.consent && p.redact && !w.withholds && w.records;
        deep_outcome outcome = ask(&p, t, NULL);
        assert_int_equal(w.n_taken, may_leave);
        assert_int_equal(outcome == DEEP_TAKEN, may_leave && w.answers);
        assert_int_equal(outcome == DEEP_FAILED, may_leave && !w.answers);
        if (!wanted)
            assert_int_equal(outcome, DEEP_KEPT);
        else if (p.offline)
            assert_int_equal(outcome, DEEP_OFFLINE);
        else if (!p.consent)
            assert_int_equal(outcome, DEEP_NO_CONSENT);
        else if (!p.redact || w.withholds)
            assert_int_equal(outcome, DEEP_WITHHELD);
        else if (!w.records)
            assert_int_equal(outcome, DEEP_UNRECORDED);
        if (p.offline || !p.consent)
            assert_int_equal(w.n_redact, 0); /* not even looked at */
        if (may_leave) { /* what left is what was recorded, before it left */
            assert_string_equal(w.sent, "[private]");
            assert_string_equal(w.recorded, w.sent);
            assert_false(w.sent_before_record);
            assert_int_equal(w.n_records, 2);
        }
        if (wanted && w.records)
            assert_int_equal(w.last.outcome, outcome);
    }
}

static void records_say_why(void **state) {
    (void)state;
    static const deep_confidence unsure = {.sum = -2, .n = 2};
    world w = {.records = 1};
    deep_policy p = policy_of(&w);
    assert_int_equal(ask(&p, (deep_turn){.confidence = &unsure}, NULL), DEEP_FAILED);
    assert_int_equal(w.last.reason, DEEP_UNSURE);
    assert_true(fabs(w.last.confidence - exp(-1)) < 1e-12);
    assert_null(w.last.text);
    for (int i = DEEP_NO_REASON; i <= DEEP_UNSURE; i++)
        assert_true(*deep_reason_name((deep_reason)i) != '\0');
    assert_string_equal(deep_outcome_name(DEEP_FAILED), "failed");
    assert_string_equal(deep_outcome_name(DEEP_UNRECORDED), "unrecorded");
}

static void confidence(void **state) {
    (void)state;
    deep_confidence c = {0};
    assert_true(deep_confidence_value(&c) == 0); /* nothing was said */
    deep_confidence_add(&c, 0);
    assert_true(deep_confidence_value(&c) == 1);
    deep_confidence_add(&c, log(0.25));
    assert_true(fabs(deep_confidence_value(&c) - 0.5) < 1e-12);
    deep_confidence_add(&c, -INFINITY);
    assert_true(deep_confidence_value(&c) == 0);
}

static void redactions(void **state) {
    (void)state;
    static const char *const words[] = {"Ann", "Elm Street"};
    static const struct {
        const char *text, *wanted;
        unsigned n;
    } cases[] = {
        {"", "", 0},
        {"Call ann at 030 / 123-45 67, or mail ann.b+x@mail.example.org.",
         "Call [private] at [number], or mail [mail].", 3},
        {"Anne, Joann and ANN", "Anne, Joann and [private]", 1},
        {"12 Elm Street", "12 [private]", 1},
        {"in 10 minutes, at 7:30, 1234 of them", "in 10 minutes, at 7:30, 1234 of them", 0},
        {"12345", "[number]", 1},
        {"a@b is none", "a@b is none", 0},
        {"x12345 \xc3\xa4" "12345", "x12345 \xc3\xa4" "12345", 0},
        {"(4111 1111 1111 1111)", "([number])", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned n;
        char *out = deep_redact(cases[i].text, words, 2, &n);
        assert_string_equal(out, cases[i].wanted);
        assert_int_equal(n, cases[i].n);
        free(out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasons),         cmocka_unit_test(nothing_leaves_without_leave),
        cmocka_unit_test(records_say_why), cmocka_unit_test(confidence),
        cmocka_unit_test(redactions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
