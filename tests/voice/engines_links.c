/* The engines that are other programs: each against a good one, and against ones that die, hang and
 * talk nonsense. Afterwards no process and no descriptor is left. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h" /* before cmocka, which makes a macro of fail */

#include <cmocka.h>

#include "recognizer.h"
#include "speaker.h"
#include "support/temp_folder.h"

/* Short only where it runs out: a busy machine takes its time to start an interpreter. */
enum { TIMEOUT_MS = 8000, LONG_MS = 30000 };

static char script[] = SLM_SOURCE_DIR "/tests/voice/fake_engine.py";
static char why[400], text[400];

static int count_descriptors(void) {
    int n = 0;
    DIR *folder = opendir("/proc/self/fd");
    for (struct dirent *e = readdir(folder); e; e = readdir(folder))
        n++;
    closedir(folder);
    return n;
}

/* A server in a process of its own; its address in `address`. */
static void start_server(process *p, char **command, char *address, size_t size) {
    assert_true(process_start(p, command, ERRORS_DROPPED, why, sizeof why));
    char *port = stream_read_line(&p->io, 100, clock_ms() + LONG_MS, why, sizeof why);
    assert_non_null(port);
    snprintf(address, size, "127.0.0.1:%s", port);
}

/* One utterance of 1000 samples, the last of them -2. */
static bool utter(recognizer *r) {
    int16_t sound[500] = {0};
    text[0] = why[0] = 0;
    sound[499] = -2;
    return r->begin(r, why, sizeof why) && r->feed(r, sound, 500, why, sizeof why) &&
           r->feed(r, sound, 500, why, sizeof why) &&
           r->finish(r, text, sizeof text, why, sizeof why);
}

static const char HEARD[] = "heard 1000 samples, the last -2";

static void check_recognizer(const recognizer_options *o, bool good) {
    recognizer *r = recognizer_open(o, why, sizeof why);
    if (!r)
        fail_msg("%s", why);
    int64_t begun = clock_ms();
    if (utter(r) != good)
        fail_msg("%s: [%s] %s", r->name, text, why);
    if (good)
        assert_string_equal(text, HEARD);
    else
        assert_int_equal(strncmp(why, r->name, strlen(r->name)), 0);
    assert_true(good || clock_ms() - begun < 2 * o->timeout_ms + LONG_MS);
    /* It goes on, also after an utterance that was given up. */
    int16_t sound[10] = {0};
    assert_true(r->begin(r, why, sizeof why));
    assert_true(r->feed(r, sound, 10, why, sizeof why));
    r->cancel(r);
    for (int i = 0; i < 2; i++) {
        if (!utter(r))
            fail_msg("%s, when it was to go on", why);
        assert_string_equal(text, HEARD);
    }
    assert_false(r->finish(r, text, sizeof text, why, sizeof why));
    r->close(r);
}

static const char *const BAD[] = {"die", "hang", "wrong", "half", "endless", "error"};
enum { N_BAD = sizeof BAD / sizeof BAD[0] };

static int timeout_for(int bad) {
    bool runs_out = bad >= 0 && (strcmp(BAD[bad], "hang") == 0 || strcmp(BAD[bad], "endless") == 0);
    return runs_out ? TIMEOUT_MS : LONG_MS;
}

static void recognizer_program(void **state) {
    (void)state;
    char *command[] = {"python3", "-B", script, "asr", "ok", NULL};
    recognizer_options o = {.engine = "program", .command = command, .timeout_ms = LONG_MS};
    check_recognizer(&o, true);
    for (int i = 0; i < N_BAD; i++) { /* bad once, then started again where that is needed */
        char mark[300], *bad[] = {"python3", "-B", script, "asr", (char *)BAD[i], mark, NULL};
        snprintf(mark, sizeof mark, "%s", temp_path("mark"));
        remove(mark);
        o = (recognizer_options){.engine = "program", .command = bad, .timeout_ms = timeout_for(i)};
        check_recognizer(&o, false);
    }
}

static void recognizer_wyoming(void **state) {
    (void)state;
    char address[64], *command[] = {"python3", "-B", script, "serve", "asr", "ok", NULL};
    process server;
    start_server(&server, command, address, sizeof address);
    recognizer_options o = {
        .engine = "wyoming", .address = address, .language = "en", .timeout_ms = LONG_MS};
    check_recognizer(&o, true);
    process_end(&server);
    o.timeout_ms = 0;
    assert_null(recognizer_open(&o, why, sizeof why));
    assert_non_null(strstr(why, address));
    for (int i = 0; i < N_BAD; i++) {
        char mark[300];
        char *bad[] = {"python3", "-B", script, "serve", "asr", (char *)BAD[i], mark, NULL};
        snprintf(mark, sizeof mark, "%s", temp_path("mark"));
        remove(mark);
        start_server(&server, bad, address, sizeof address);
        o.timeout_ms = timeout_for(i);
        check_recognizer(&o, false);
        process_end(&server);
    }
}

/* More than there is room for is left out, and nothing else is touched. */
static void recognizer_is_told_too_much(void **state) {
    (void)state;
    char *command[] = {"python3", "-B", script, "asr", "long", NULL};
    recognizer_options o = {.engine = "program", .command = command, .timeout_ms = LONG_MS};
    check_recognizer(&o, true);
}

static void recognizer_partial(void **state) {
    (void)state;
    char *command[] = {"python3", "-B", script, "asr", "ok", NULL};
    recognizer_options o = {.engine = "program", .command = command, .timeout_ms = LONG_MS};
    recognizer *r = recognizer_open(&o, why, sizeof why);
    assert_non_null(r);
    int16_t sound[16] = {0};
    assert_true(r->begin(r, why, sizeof why));
    assert_true(r->partial(r, text, sizeof text, why, sizeof why));
    assert_string_equal(text, "");
    assert_true(r->feed(r, sound, 16, why, sizeof why));
    for (int64_t end = clock_ms() + LONG_MS; !text[0] && clock_ms() < end; usleep(10000))
        assert_true(r->partial(r, text, sizeof text, why, sizeof why));
    assert_string_equal(text, "so far");
    r->close(r);
}

/* What was heard so far, then all of it, of engines that do not stream; and of one that fails first. */
static void recognizer_settles(void **state) {
    (void)state;
    int16_t sound[500] = {0};
    char address[64], mark[300];
    process server = {0};
    for (int i = 0; i < 4; i++) {
        char *how = i < 2 ? "ok" : "die";
        char *program[] = {"python3", "-B", script, "asr_whole", how, mark, NULL};
        char *serve[] = {"python3", "-B", script, "serve", "asr_whole", how, mark, NULL};
        snprintf(mark, sizeof mark, "%s", temp_path("mark"));
        remove(mark);
        recognizer_options o = {.engine = i % 2 ? "wyoming" : "program",
                                .address = address,
                                .command = program,
                                .timeout_ms = LONG_MS};
        if (i % 2)
            start_server(&server, serve, address, sizeof address);
        recognizer *r = recognizer_open(&o, why, sizeof why);
        assert_non_null(r);
        for (int round = 0; round < 2; round++) {
            assert_true(r->begin(r, why, sizeof why) && r->feed(r, sound, 500, why, sizeof why));
            assert_int_equal(r->settle(r, text, sizeof text, why, sizeof why), i < 2 || round > 0);
            if (i < 2 || round > 0)
                assert_string_equal(text, "heard 500 samples, the last 0");
            sound[399] = 7;
            assert_true(r->feed(r, sound, 400, why, sizeof why));
            assert_true(r->settle(r, text, sizeof text, why, sizeof why));
            assert_string_equal(text, "heard 900 samples, the last 7");
            assert_true(r->partial(r, text, sizeof text, why, sizeof why));
            assert_string_equal(text, "heard 900 samples, the last 7");
            assert_true(r->feed(r, sound, 100, why, sizeof why));
            assert_true(r->partial(r, text, sizeof text, why, sizeof why));
            assert_string_equal(text, ""); /* what was settled is not all any more */
            if (round == 0)
                assert_true(r->finish(r, text, sizeof text, why, sizeof why));
            else
                r->cancel(r);
            assert_string_equal(text, round == 0 ? "heard 1000 samples, the last 0" : "");
            sound[399] = 0;
        }
        r->close(r);
        process_end(&server);
    }
}

static void recognizer_whisper(void **state) {
    (void)state;
    char address[64], url[100], mark[300];
    process server;
    for (int i = -1; i < N_BAD; i++) {
        char *how = i < 0 ? "ok" : (char *)BAD[i];
        char *command[] = {"python3", "-B", script, "whisper", how, mark, NULL};
        bool gone = i == 0,
             stuck = i == 1; /* dead and hanging servers do not come back by themselves */
        snprintf(mark, sizeof mark, "%s", temp_path("mark"));
        remove(mark);
        start_server(&server, command, address, sizeof address);
        snprintf(url, sizeof url, "http://%s", address);
        recognizer_options o = {.engine = "whisper",
                                .address = i < 0 ? address : url,
                                .language = "en",
                                .timeout_ms = timeout_for(i)};
        recognizer *r = recognizer_open(&o, why, sizeof why);
        assert_non_null(r);
        if (i >= 0) {
            assert_false(utter(r));
            assert_non_null(strstr(why, "whisper: "));
        }
        if (!gone && !stuck) {
            assert_true(utter(r));
            assert_string_equal(text, "heard 1000 samples");
        }
        if (i < 0) { /* a partial is of all so far, and ends nothing */
            int16_t sound[500] = {0};
            assert_true(r->begin(r, why, sizeof why) && r->feed(r, sound, 500, why, sizeof why));
            assert_true(r->partial(r, text, sizeof text, why, sizeof why));
            assert_string_equal(text, "heard 500 samples");
            assert_true(r->feed(r, sound, 400, why, sizeof why));
            assert_true(r->finish(r, text, sizeof text, why, sizeof why));
            assert_string_equal(text, "heard 900 samples");
            assert_true(r->begin(r, why, sizeof why)); /* 20 s, for which it is to look at more */
            for (int n = 0; n < 320000; n += 500)
                assert_true(r->feed(r, sound, 500, why, sizeof why));
            assert_true(r->finish(r, text, sizeof text, why, sizeof why));
            assert_string_equal(text, "heard 320000 samples");
            assert_false(r->partial(r, text, sizeof text, why, sizeof why));
        }
        r->close(r);
        process_end(&server);
    }
}

/* Reads a whole text; -1 on failure. */
static long spoken(speaker *s, const char *words) {
    int16_t sound[301];
    long n = 0, got = -1;
    why[0] = 0;
    if (!s->say(s, words, strlen(words), why, sizeof why))
        return -1;
    while ((got = s->read(s, sound, 301, why, sizeof why)) > 0)
        n += got;
    return got < 0 ? -1 : n;
}

static void check_speaker(const speaker_options *o, bool good) {
    speaker *s = speaker_open(o, why, sizeof why);
    if (!s)
        fail_msg("%s", why);
    int64_t begun = clock_ms();
    long n = spoken(s, "Twelve bytes");
    if (n != (good ? 1200 : -1))
        fail_msg("%s: %ld %s", s->name, n, why);
    assert_true(good || strncmp(why, s->name, strlen(s->name)) == 0);
    assert_true(good || clock_ms() - begun < 2 * o->timeout_ms + LONG_MS);
    int16_t sound[10];
    assert_true(s->say(s, "Given up", 8, why, sizeof why));
    assert_int_equal(s->read(s, sound, 10, why, sizeof why), 10);
    s->stop(s);
    assert_int_equal(s->read(s, sound, 10, why, sizeof why), 0);
    assert_true(s->say(s, "Given up", 8, why, sizeof why));
    assert_int_equal(spoken(s, "Three"), 500);
    assert_int_equal(s->rate, 16000);
    assert_int_equal(spoken(s, "à la \"x\"\n[["), 1200);
    s->close(s);
}

static void speaker_links(void **state) {
    (void)state;
    char address[64], mark[300];
    process server = {0};
    for (int kind = 0; kind < 3; kind++)
        for (int i = -1; i < N_BAD; i++) {
            char *how = i < 0 ? "ok" : (char *)BAD[i];
            char *program[] = {"python3", "-B", script, kind == 1 ? "piper" : "tts",
                               how,       mark, NULL};
            char *serve[] = {"python3", "-B", script, "serve", "tts", how, mark, NULL};
            snprintf(mark, sizeof mark, "%s", temp_path("mark"));
            remove(mark);
            speaker_options o = {.engine = kind == 0   ? "program"
                                           : kind == 1 ? "piper"
                                                       : "wyoming",
                                 .command = program,
                                 .address = address,
                                 .voice = "anna",
                                 .timeout_ms = timeout_for(i)};
            if (kind == 2)
                start_server(&server, serve, address, sizeof address);
            check_speaker(&o, i < 0);
            process_end(&server);
        }
}

/* What Piper says of why it ended is told, and nothing is left in the folder for temporary files. */
static void piper_says_why(void **state) {
    (void)state;
    char *command[] = {"python3", "-B", script, "piper", "error", NULL};
    speaker_options o = {.engine = "piper", .command = command, .timeout_ms = LONG_MS};
    speaker *s = speaker_open(&o, why, sizeof why);
    assert_non_null(s);
    assert_int_equal(spoken(s, "Hello"), -1);
    assert_non_null(strstr(why, "out of coffee"));
    assert_int_equal(spoken(s, " \n "), 0); /* it would give no file for that */
    assert_int_equal(spoken(s, "\xc2\xa0\xe3\x80\x80 \xe2\x80\x8a"), 0);
    s->close(s);
}

/* However the folder for temporary files is written, the name that comes back is found. */
static void piper_in_any_folder(void **state) {
    (void)state;
    char *command[] = {"python3", "-B", script, "piper", "ok", NULL};
    char here[400], was[400];
    const char *folders[] = {"./", "", temp_path("")};
    const char *base = getenv("TMPDIR");
    snprintf(was, sizeof was, "%s", base ? base : "");
    size_t n_files = temp_count();
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(temp_folder()), 0);
    for (int i = 0; i < 3; i++) {
        setenv("TMPDIR", folders[i], 1);
        speaker_options o = {.engine = "piper", .command = command, .timeout_ms = LONG_MS};
        speaker *s = speaker_open(&o, why, sizeof why);
        if (!s)
            fail_msg("%s", why);
        assert_int_equal(spoken(s, "Three"), 500);
        s->close(s);
    }
    assert_int_equal(chdir(here), 0);
    setenv("TMPDIR", was, 1);
    assert_int_equal(temp_count(), n_files);
}

static void sound_of_another_form(void **state) {
    (void)state;
    /* A recorded line of a server, with two channels. */
    char *command[] = {"sh", "-c",
                       "read line; printf '{\"type\": \"audio-chunk\", \"data\": {\"rate\": 22050, "
                       "\"width\": 2, \"channels\": 2}, \"payload_length\": 4}\\nabcd'; read line",
                       NULL};
    speaker_options o = {.engine = "program", .command = command, .timeout_ms = LONG_MS};
    speaker *s = speaker_open(&o, why, sizeof why);
    assert_non_null(s);
    assert_int_equal(spoken(s, "x"), -1);
    assert_non_null(strstr(why, "2 channels"));
    s->close(s);
}

static void espeak(void **state) {
    (void)state;
    speaker_options o = {.timeout_ms = LONG_MS};
    speaker *s = speaker_open(&o, why, sizeof why);
    if (!s) {
        print_message("SKIPPED: %s\n", why);
        assert_null(getenv("CI"));
        skip();
    }
    long n = spoken(s, "Hello there.");
    assert_int_equal(s->rate, 22050);
    assert_in_range(n, 10000, 40000);
    int16_t sound[100];
    assert_true(s->say(s, "One text", 8, why, sizeof why));
    assert_int_equal(s->read(s, sound, 100, why, sizeof why), 100);
    assert_int_equal(spoken(s, "Hello there."), n); /* the same, whatever was given up before */
    assert_int_equal(spoken(s, ""), 0);
    assert_in_range(spoken(s, "--version"), 10000, 60000); /* words, not an option */
    assert_in_range(spoken(s, "[[a]]"), 1000, 60000);
    s->close(s);
    o = (speaker_options){.voice = "no-such-voice", .timeout_ms = LONG_MS};
    s = speaker_open(&o, why, sizeof why);
    if (s) { /* it ends at once, or speaks with another voice, but nothing hangs */
        assert_in_range(spoken(s, "Hello there.") + 1, 0, 80000);
        s->close(s);
    }
}

static void no_such_program(void **state) {
    (void)state;
    char *command[] = {"/no/such/engine", NULL};
    recognizer_options r = {.engine = "program", .command = command};
    assert_null(recognizer_open(&r, why, sizeof why));
    assert_non_null(strstr(why, "/no/such/engine"));
    speaker_options s = {.engine = "piper", .command = command};
    assert_null(speaker_open(&s, why, sizeof why));
    assert_non_null(strstr(why, "/no/such/engine"));
    s.command = NULL;
    assert_null(speaker_open(&s, why, sizeof why));
    r = (recognizer_options){.engine = "telepathy"};
    assert_null(recognizer_open(&r, why, sizeof why));
    assert_non_null(strstr(why, "telepathy"));
    r = (recognizer_options){.engine = "wyoming", .address = "nowhere"};
    assert_null(recognizer_open(&r, why, sizeof why));
    s = (speaker_options){.engine = "wyoming"};
    assert_null(speaker_open(&s, why, sizeof why));
}

static void fakes(void **state) {
    (void)state;
    int16_t second[RECOGNIZER_RATE] = {0}, sound[4000];
    recognizer_options o = {.engine = "fake",
                            .address = "turn on the light|!die|!hang|!late 20 stop",
                            .timeout_ms = 30};
    recognizer *r = recognizer_open(&o, why, sizeof why);
    assert_non_null(r);
    for (int round = 0; round < 2; round++) {
        assert_true(r->begin(r, why, sizeof why));
        assert_true(r->partial(r, text, sizeof text, why, sizeof why));
        assert_string_equal(text, "");
        assert_true(r->feed(r, second, RECOGNIZER_RATE * 6 / 10, why, sizeof why));
        assert_true(r->partial(r, text, sizeof text, why, sizeof why));
        assert_string_equal(text, "turn on");
        assert_true(r->finish(r, text, sizeof text, why, sizeof why));
        assert_string_equal(text, "turn on the light");
        assert_true(r->begin(r, why, sizeof why));
        assert_false(r->feed(r, second, RECOGNIZER_RATE, why, sizeof why));
        assert_true(r->begin(r, why, sizeof why));
        assert_true(r->feed(r, second, RECOGNIZER_RATE, why, sizeof why));
        assert_false(r->finish(r, text, sizeof text, why, sizeof why));
        assert_true(r->begin(r, why, sizeof why));
        assert_true(r->finish(r, text, sizeof text, why, sizeof why));
        assert_string_equal(text, "stop");
    }
    r->close(r);
    speaker_options p = {.engine = "fake", .voice = "ok|die|hang|late 20", .timeout_ms = 30};
    speaker *s = speaker_open(&p, why, sizeof why);
    assert_non_null(s);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(spoken(s, "a b"), 3 * 960);
        assert_int_equal(spoken(s, "a b"), -1);
        assert_int_equal(spoken(s, "a b"), -1);
        assert_true(s->say(s, "a b", 3, why, sizeof why));
        assert_int_equal(s->read(s, sound, 4000, why, sizeof why), 3 * 960);
        assert_int_equal(sound[960 + 5], 0);
        assert_int_not_equal(sound[5], 0);
        s->stop(s);
    }
    s->close(s);
}

static void ends(void **state) {
    (void)state;
    char *stubborn[] = {"sh", "-c", "trap '' TERM; echo ready; sleep 600 & wait; sleep 600", NULL};
    process p;
    assert_true(process_start(&p, stubborn, ERRORS_DROPPED, why, sizeof why));
    assert_non_null(stream_read_line(&p.io, 100, clock_ms() + LONG_MS, why, sizeof why));
    pid_t pid = p.pid;
    int64_t begun = clock_ms();
    process_end(&p);
    assert_in_range(clock_ms() - begun, 100, LONG_MS); /* not those ten minutes */
    assert_int_equal(kill(pid, 0), -1);
    process_end(&p); /* once more does nothing */
    char *brief[] = {"true", NULL};
    assert_true(process_start(&p, brief, ERRORS_DROPPED, why, sizeof why));
    for (int64_t end = clock_ms() + LONG_MS; process_runs(&p) && clock_ms() < end;)
        usleep(1000);
    assert_false(process_runs(&p));
    assert_false(stream_write(&p.io, "x", 1, clock_ms() + 1000, why, sizeof why)); /* no SIGPIPE */
    process_end(&p);
    char *talks[] = {"yes", NULL};
    assert_true(process_start(&p, talks, ERRORS_DROPPED, why, sizeof why));
    process_end(&p);
}

static int begun_with;

static int before(void **state) {
    (void)state;
    temp_folder();
    begun_with = count_descriptors();
    return 0;
}

static int nothing_left(void **state) {
    (void)state;
    bool child = waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD;
    int n = count_descriptors();
    if (child || n != begun_with)
        print_error("left: %d descriptors, at the beginning %d; %s\n", n, begun_with,
                    child ? "a child" : "no child");
    return child || n != begun_with;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ends, before, nothing_left),
        cmocka_unit_test_setup_teardown(fakes, before, nothing_left),
        cmocka_unit_test_setup_teardown(espeak, before, nothing_left),
        cmocka_unit_test_setup_teardown(no_such_program, before, nothing_left),
        cmocka_unit_test_setup_teardown(recognizer_program, before, nothing_left),
        cmocka_unit_test_setup_teardown(recognizer_is_told_too_much, before, nothing_left),
        cmocka_unit_test_setup_teardown(recognizer_partial, before, nothing_left),
        cmocka_unit_test_setup_teardown(recognizer_wyoming, before, nothing_left),
        cmocka_unit_test_setup_teardown(recognizer_settles, before, nothing_left),
        cmocka_unit_test_setup_teardown(recognizer_whisper, before, nothing_left),
        cmocka_unit_test_setup_teardown(speaker_links, before, nothing_left),
        cmocka_unit_test_setup_teardown(piper_says_why, before, nothing_left),
        cmocka_unit_test_setup_teardown(piper_in_any_folder, before, nothing_left),
        cmocka_unit_test_setup_teardown(sound_of_another_form, before, nothing_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
