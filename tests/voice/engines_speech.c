/* What espeak-ng says, PocketSphinx hears with the household's words: forty sentences that were
 * written apart from the templates of the language model. The bound is looser than what was
 * measured, since other versions of both programs differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "spoken_words.h"

static const char *const SENTENCES[] = {
    "turn on the kitchen light",
    "switch off all the lights",
    "please turn off the lamp in the bedroom",
    "dim the living room lights to twenty percent",
    "make the bedroom lights blue",
    "set the brightness in the office to fifty percent",
    "it is too dark in the hallway",
    "turn the garage light off",
    "set a timer for ten minutes",
    "set a pasta timer for eight minutes",
    "start a timer for half an hour",
    "cancel the timer",
    "how much time is left on the timer",
    "wake me up at half past six tomorrow",
    "set an alarm for seven thirty",
    "cancel my alarm",
    "remind me to call mum at six",
    "remind me to feed the cat in twenty minutes",
    "what reminders do i have",
    "add milk and eggs to the shopping list",
    "put bread on my list",
    "what is on my shopping list",
    "remove the milk from the list",
    "clear the shopping list",
    "what is the weather like today",
    "will it rain tomorrow",
    "do i need an umbrella",
    "what time is it",
    "what day is it today",
    "play some jazz",
    "stop the music",
    "next song please",
    "turn the volume up",
    "set the volume to thirty",
    "open the blinds in the living room",
    "close the curtains",
    "set the heating to twenty one degrees",
    "it is a bit cold in here",
    "turn on the fan",
    "thank you very much",
};
/* No business of a home. */
static const char *const STRANGE[] = {
    "my grandmother was born in a small village near the sea",
    "economists expect inflation to fall below three percent next year",
    "the quick brown fox jumps over the lazy dog",
    "astronomers discovered a planet orbiting a distant star",
    "her thesis describes medieval poetry",
    "the committee decided to postpone the vote until thursday",
};
enum {
    N_SENTENCES = sizeof SENTENCES / sizeof SENTENCES[0],
    N_STRANGE = sizeof STRANGE / sizeof STRANGE[0],
    CHUNK = 1600
};

static char why[300], text[1000];

static void utter(recognizer *r, const int16_t *sound, size_t n) {
    assert_true(r->begin(r, why, sizeof why));
    for (size_t i = 0; i < n; i += CHUNK)
        assert_true(r->feed(r, sound + i, n - i < CHUNK ? n - i : CHUNK, why, sizeof why));
    assert_true(r->partial(r, text, sizeof text, why, sizeof why));
    assert_true(r->finish(r, text, sizeof text, why, sizeof why));
}

static recognizer *open_both(const char *voice, speaker **s) {
    speaker_options so = {.voice = voice, .timeout_ms = 60000};
    recognizer_options ro = {.data_folder = SLM_SOURCE_DIR "/examples/household"};
    *s = speaker_open(&so, why, sizeof why);
    recognizer *r = *s ? recognizer_open(&ro, why, sizeof why) : NULL;
    if (!r) {
        print_message("SKIPPED: %s\n", why);
        assert_null(getenv("CI"));
        skip();
    }
    return r;
}

/* Word errors in a hundred words of one voice, which says every third sentence. */
static int error_rate(const char *voice, int first) {
    speaker *s;
    recognizer *r = open_both(voice, &s);
    int doubted = 0;
    int errors = 0, words = 0;
    for (int i = first; i < N_SENTENCES; i += 3) {
        size_t n;
        int16_t *sound = speak_at_16k(s, SENTENCES[i], &n);
        assert_non_null(sound);
        utter(r, sound, n);
        free(sound);
        int wrong = word_errors(SENTENCES[i], text);
        doubted += !wrong && r->doubts(r);
        if (wrong)
            print_message("%s: \"%s\" heard as \"%s\"\n", voice, SENTENCES[i], text);
        errors += wrong;
        words += count_words(SENTENCES[i]);
    }
    print_message("%s: %d errors in %d words\n", voice, errors, words);
    s->close(s);
    r->close(r);
    assert_in_range(doubted, 0, 1); /* of the fourteen, of what was heard right */
    return errors * 100 / words;
}

static void what_has_nothing_to_do_with_a_home_is_doubted(void **state) {
    speaker *s;
    recognizer *r = open_both("en-us", &s);
    int doubted = 0;
    (void)state;
    for (int i = 0; i < N_STRANGE; i++) {
        size_t n;
        int16_t *sound = speak_at_16k(s, STRANGE[i], &n);
        assert_non_null(sound);
        utter(r, sound, n);
        free(sound);
        print_message("\"%s\" heard as \"%s\"\n", STRANGE[i], text);
        doubted += r->doubts(r);
    }
    s->close(s);
    r->close(r);
    assert_in_range(doubted, N_STRANGE - 2, N_STRANGE);
}

static void american(void **state) {
    (void)state;
    assert_in_range(error_rate("en-us", 0), 0, 15);
}

static void british(void **state) {
    (void)state;
    assert_in_range(error_rate("en", 1), 0, 45);
}

static void female(void **state) {
    (void)state;
    assert_in_range(error_rate("en-us+f2", 2), 0, 25);
}

static void begins_and_ends(void **state) {
    (void)state;
    recognizer_options o = {.data_folder = SLM_SOURCE_DIR "/examples/household"};
    recognizer *r = recognizer_open(&o, why, sizeof why);
    if (!r) {
        print_message("SKIPPED: %s\n", why);
        assert_null(getenv("CI"));
        skip();
    }
    int16_t silence[CHUNK] = {0};
    assert_false(r->feed(r, silence, CHUNK, why, sizeof why));
    assert_false(r->finish(r, text, sizeof text, why, sizeof why));
    utter(r, silence, CHUNK);
    assert_string_equal(text, "");
    assert_true(r->begin(r, why, sizeof why));
    assert_true(r->feed(r, silence, CHUNK, why, sizeof why));
    r->cancel(r);
    r->cancel(r);
    assert_true(r->partial(r, text, sizeof text, why, sizeof why));
    assert_string_equal(text, "");
    assert_true(r->begin(r, why, sizeof why));
    assert_true(r->begin(r, why, sizeof why)); /* the one before is given up */
    r->close(r);
    o.language = "fi";
    assert_null(recognizer_open(&o, why, sizeof why));
    o = (recognizer_options){.data_folder = "/no/such/folder"};
    assert_null(recognizer_open(&o, why, sizeof why));
    assert_non_null(strstr(why, "/no/such/folder"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_and_ends),
        cmocka_unit_test(american),
        cmocka_unit_test(british),
        cmocka_unit_test(female),
        cmocka_unit_test(what_has_nothing_to_do_with_a_home_is_doubted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
