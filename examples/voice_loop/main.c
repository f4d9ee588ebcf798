/* voice_loop: speak to a home, be answered, interrupt it. docs/VOICE.md draws how the parts hang
 * together. */
#define _POSIX_C_SOURCE 200809L

#include "card.h"
#include "echo.h"
#include "line.h"
#include "options.h"
#include "stream.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WHY_SIZE = 400, MOST_TOOLS = 1 << 20 };

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    (void)number;
    interrupted = 1;
}

static void handle_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN; /* a reader of the ledger may go */
    sigaction(SIGPIPE, &action, NULL);
}

static void warn(void *user, const char *text) {
    (void)user;
    complain("warning: %s", text);
}

/* Everything that is open, in the order in which it is closed last. */
typedef struct loop {
    options options;
    char *tools;
    FILE *json, *picture;
    slm_model *model;
    household *home;
    recognizer *recognizer;
    speaker *speaker;
    hearing hear;
    thinking think;
    talking talk;
    bool has_hear, has_think, has_talk;
    card *card;
    echo *echo;
    turn_ledger ledger;
    line line;
} loop;

static char *read_tools(const char *folder, char *why, size_t why_size) {
    char path[1024];
    snprintf(path, sizeof path, "%s/tools.json", folder);
    FILE *f = fopen(path, "rb");
    char *text = f ? calloc(1, MOST_TOOLS) : NULL;
    size_t n = text ? fread(text, 1, MOST_TOOLS - 1, f) : 0;
    bool is_whole = n > 0 && feof(f) && !ferror(f);
    if (f)
        fclose(f);
    if (is_whole)
        return text;
    free(text);
    fail(why, why_size, "%s: cannot be read, wanted the tools of the household", path);
    return NULL;
}

static void warn_of_model(void *user, slm_log_level level, const char *text) {
    (void)user;
    if (level <= SLM_LOG_WARNING)
        complain("warning: %s", text);
}

static bool open_model(loop *l, char *why, size_t why_size) {
    options *o = &l->options;
    slm_error err = SLM_ERROR_INIT;
    slm_model_options model = {.struct_size = sizeof model, .log = warn_of_model};
    if (slm_model_open(o->model, &model, &l->model, &err) != SLM_OK)
        return fail(why, why_size, "%s: %s", o->model, err.message);
    if (!o->no_tools) {
        o->thinking.tools = l->tools = read_tools(o->data, why, why_size);
        l->home = l->tools ? household_open(&o->household, why, why_size) : NULL;
        if (!l->home)
            return false;
    }
    l->has_think = thinking_open(&l->think, l->model, l->home, &o->thinking, o->virtual_clock, why,
                                 why_size);
    return l->has_think;
}

static bool open_engines(loop *l, char *why, size_t why_size) {
    const options *o = &l->options;
    l->recognizer = recognizer_open(&o->recognizer, why, why_size);
    if (!l->recognizer)
        return false;
    l->speaker = speaker_open(&o->speaker, why, why_size);
    if (!l->speaker)
        return false;
    if (o->recognizer_ms >= 0) {
        l->recognizer->charge_ms = (int)o->recognizer_ms;
        l->recognizer->charge_ms_per_s = 0;
    }
    if (o->speaker_ms >= 0) {
        l->speaker->charge_ms = (int)o->speaker_ms;
        l->speaker->charge_ms_per_100 = 0;
    }
    l->has_hear = hearing_open(&l->hear, l->recognizer, o->virtual_clock);
    l->has_talk = l->has_hear && talking_open(&l->talk, l->speaker, o->virtual_clock);
    return l->has_talk || fail(why, why_size, "no memory or thread for the stages");
}

static bool open_card(loop *l, char *why, size_t why_size) {
    const options *o = &l->options;
    if (o->wav_in)
        l->card = card_open_files(o->wav_in, o->wav_out, !o->virtual_clock, why, why_size);
    else
        l->card = card_open_device(o->input_device, o->output_device, o->wav_out, warn, NULL, why,
                                   why_size);
    if (l->card && o->room)
        l->card = card_open_room(l->card, &o->room_options, why, why_size);
    if (!l->card)
        return false;
    if (l->card->has_echo && !o->no_echo && !(l->echo = echo_open()))
        return fail(why, why_size, "no memory for the echo canceller");
    return true;
}

static FILE *open_output(const char *path, char *why, size_t why_size) {
    FILE *f = fopen(path, "w");
    if (!f)
        fail(why, why_size, "%s: cannot be written", path);
    return f;
}

static bool open_ledger(loop *l, char *why, size_t why_size) {
    const options *o = &l->options;
    l->json = o->ledger ? open_output(o->ledger, why, why_size) : stdout;
    l->picture = o->timeline ? open_output(o->timeline, why, why_size) : NULL;
    l->ledger = (turn_ledger){.json = l->json, .picture = l->picture, .table = o->table ? stderr : NULL};
    return l->json && (!o->timeline || l->picture);
}

/* A line of standard input: somebody presses or lets go. */
static void look_at_button(loop *l, bool *pressed) {
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    char typed[256];
    if (!l->options.line.push_to_talk || poll(&in, 1, 0) <= 0 || !(in.revents & POLLIN))
        return;
    if (read(STDIN_FILENO, typed, sizeof typed) <= 0) {
        interrupted = 1; /* nobody can press any more */
        return;
    }
    *pressed = !*pressed;
    line_press(&l->line, *pressed);
}

static void run(loop *l) {
    int16_t mic[LINE_BLOCK], clean[LINE_BLOCK], out[LINE_BLOCK];
    bool pressed = false;
    while (!interrupted && !l->ledger.failed) {
        bool more = l->card->read(l->card, mic);
        double echo_db = -96;
        if (!more && line_is_idle(&l->line))
            break;
        look_at_button(l, &pressed);
        if (l->echo)
            echo_db = echo_cancel(l->echo, mic, clean);
        line_step(&l->line, l->echo ? clean : mic, echo_db, out);
        if (l->echo)
            echo_played(l->echo, out);
        l->card->write(l->card, out);
    }
}

/* Closes a stream that was written to. */
static bool finish(FILE *f, const char *path) {
    bool good = !ferror(f) && fflush(f) == 0;
    if (f != stdout)
        good = fclose(f) == 0 && good;
    if (!good)
        complain("%s: could not be written whole", path);
    return good;
}

static int close_all(loop *l, int status) {
    const options *o = &l->options;
    char why[WHY_SIZE] = "";
    line_close(&l->line);
    if (l->has_think)
        thinking_close(&l->think);
    if (l->has_talk)
        talking_close(&l->talk);
    if (l->has_hear)
        hearing_close(&l->hear);
    if (l->speaker)
        l->speaker->close(l->speaker);
    if (l->recognizer)
        l->recognizer->close(l->recognizer);
    household_close(l->home);
    slm_model_close(&l->model);
    if (l->card && !l->card->close(l->card, why, sizeof why)) {
        complain("%s", why);
        status = EXIT_FAILED;
    }
    echo_close(l->echo);
    ledger_close(&l->ledger);
    if (l->json && !finish(l->json, o->ledger ? o->ledger : "standard output"))
        status = EXIT_FAILED;
    if (l->picture && !finish(l->picture, o->timeline))
        status = EXIT_FAILED;
    free(l->tools);
    options_free(&l->options);
    return status;
}

int main(int argc, char **argv) {
    static loop l;
    char why[WHY_SIZE] = "";
    int status;
    handle_signals();
    if (!options_parse(&l.options, argc, argv, &status)) {
        options_free(&l.options);
        return status;
    }
    if (l.options.list_devices)
        return card_list_devices(stdout) ? EXIT_DONE : EXIT_FAILED;
    l.options.line.warn = warn;
    status = EXIT_FAILED;
    if (open_ledger(&l, why, sizeof why) && open_card(&l, why, sizeof why) &&
        open_model(&l, why, sizeof why) && open_engines(&l, why, sizeof why)) {
        line_init(&l.line, &l.options.line, &l.hear, &l.think, &l.talk, &l.ledger);
        run(&l);
        status = interrupted ? EXIT_INTERRUPTED : EXIT_DONE;
    } else {
        complain("%s", why);
    }
    return close_all(&l, status);
}
