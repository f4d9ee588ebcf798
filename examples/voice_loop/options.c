#define _GNU_SOURCE /* timegm */

#include "options.h"

#include "own_files.h"

#include <slm.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* 18:42 on a Monday: what the clock of the wall says where time is the count of samples. */
static const int64_t VIRTUAL_START = 1767638520;

typedef enum { FLAG, TEXT, COUNT, NUMBER } kind;

typedef struct option {
    const char *name;
    kind kind;
    void *target; /* bool, const char *, int or uint32_t, double */
    const char *arg, *help;
    double least, most; /* of numbers */
} option;

enum { MAX_OPTIONS = 48 };

void complain(const char *format, ...) {
    char text[1000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *p = text; *p; p++) /* names of files may hold anything */
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    fprintf(stderr, "voice_loop: %s\n", text);
}

/* clang-format off */
static size_t list(options *o, option all[MAX_OPTIONS]) {
    const option table[] = {
        {"model", TEXT, &o->model, "FILE|demo", "the language model, a GGUF file (demo)", 0, 0},
        {"threads", COUNT, &o->thinking.n_threads, "N", "of the model (physical cores)", 1, 1024},
        {"ctx", COUNT, &o->thinking.n_ctx, "N", "tokens of context (at most 4096)", 16, 1 << 24},
        {"draft", COUNT, &o->thinking.n_draft, "N",
         "tokens from earlier words to try with each of an answer, 0: none (4)", 0, 32},
        {"max-tokens", COUNT, &o->thinking.max_tokens, "N", "of an answer (200)", 1, 100000},
        {"system", TEXT, &o->thinking.system, "TEXT", "the system message (You are Hearth.)", 0, 0},
        {"no-tools", FLAG, &o->no_tools, NULL, "the model only talks", 0, 0},
        {"data", TEXT, &o->data, "FOLDER", "of the household: tools, words, weather", 0, 0},
        {"weather", TEXT, &o->household.weather_file, "FILE", "the weather, JSON", 0, 0},
        {"shopping", TEXT, &o->household.shopping_file, "FILE",
         "the shopping list, kept there (in memory)", 0, 0},
        {"start-time", TEXT, &o->start_time, "TIME",
         "what the clock says at the start, 2026-01-05T18:42:00 (now)", 0, 0},
        {"wav-in", TEXT, &o->wav_in, "FILE", "the microphone is this file", 0, 0},
        {"wav-out", TEXT, &o->wav_out, "FILE", "what is played goes there", 0, 0},
        {"virtual-clock", FLAG, &o->virtual_clock, NULL,
         "nothing waits: time is the count of samples read", 0, 0},
        {"room", TEXT, &o->room, "DELAY:GAIN:DRIFT",
         "the microphone hears the loudspeaker: ms, dB, ppm", 0, 0},
        {"input-device", TEXT, &o->input_device, "NAME", "the microphone, or a part of its name", 0, 0},
        {"output-device", TEXT, &o->output_device, "NAME", "the loudspeaker", 0, 0},
        {"list-devices", FLAG, &o->list_devices, NULL, "print the names of devices and end", 0, 0},
        {"no-echo-canceller", FLAG, &o->no_echo, NULL, "the microphone never hears the loudspeaker", 0, 0},
        {"recognizer", TEXT, &o->recognizer.engine, "NAME",
         "pocketsphinx, whisper, wyoming, program, fake", 0, 0},
        {"recognizer-address", TEXT, &o->recognizer.address, "ADDRESS", "of its server", 0, 0},
        {"recognizer-command", TEXT, &o->recognizer_command, "WORDS",
         "the program and its arguments, divided by blanks", 0, 0},
        {"recognizer-timeout", COUNT, &o->recognizer.timeout_ms, "MS", "(5000)", 1, 600000},
        {"language", TEXT, &o->recognizer.language, "NAME", "of what is said, such as en", 0, 0},
        {"speaker", TEXT, &o->speaker.engine, "NAME",
         "espeak-ng, piper, wyoming, program, fake", 0, 0},
        {"speaker-address", TEXT, &o->speaker.address, "ADDRESS", "of its server", 0, 0},
        {"speaker-command", TEXT, &o->speaker_command, "WORDS",
         "the program and its arguments, divided by blanks", 0, 0},
        {"speaker-timeout", COUNT, &o->speaker.timeout_ms, "MS", "(5000)", 1, 600000},
        {"voice", TEXT, &o->speaker.voice, "NAME", "the voice that speaks", 0, 0},
        {"speed", COUNT, &o->speaker.words_per_minute, "N", "words a minute", 40, 600},
        {"wake", TEXT, &o->line.wake, "WORDS", "only what begins with them is meant", 0, 0},
        {"push-to-talk", FLAG, &o->line.push_to_talk, NULL,
         "Enter begins what is said, Enter ends it", 0, 0},
        {"filler", COUNT, &o->line.filler_ms, "MS",
         "a tool that takes longer is spoken over, 0: never (700)", 0, 600000},
        {"ledger", TEXT, &o->ledger, "FILE", "the ledger goes there, not to standard output", 0, 0},
        {"table", FLAG, &o->table, NULL, "the ledger as a table, on standard error", 0, 0},
        {"timeline", TEXT, &o->timeline, "FILE.svg", "the ledger as a picture", 0, 0},
        {"no-early-answer", FLAG, &o->line.no_early, NULL,
         "begin no answer before the final transcript", 0, 0},
        {"no-prefill-ahead", FLAG, &o->thinking.no_ahead, NULL,
         "evaluate nothing before all was said", 0, 0},
        {"no-prefix-reuse", FLAG, &o->thinking.no_reuse, NULL,
         "evaluate every prompt from its first token", 0, 0},
        {"no-clause-streaming", FLAG, &o->thinking.no_clauses, NULL,
         "speak when the whole answer is there", 0, 0},
        {"charge-prompt", NUMBER, &o->thinking.prompt_ms, "MS",
         "a token of a prompt, on the virtual clock (1)", 0, 1e6},
        {"charge-token", NUMBER, &o->thinking.token_ms, "MS", "a token of an answer (8)", 0, 1e6},
        {"charge-tool", NUMBER, &o->thinking.tool_ms, "MS", "a call of a tool (20)", 0, 1e6},
        {"charge-recognition", NUMBER, &o->recognizer_ms, "MS",
         "the final transcript (by the engine)", 0, 1e6},
        {"charge-voice", NUMBER, &o->speaker_ms, "MS",
         "the first sound of a clause (by the engine)", 0, 1e6},
    };
    size_t n = sizeof table / sizeof *table;
    memcpy(all, table, sizeof table);
    return n;
}
/* clang-format on */

static void help(const option *all, size_t n) {
    puts("Usage: voice_loop [options]\n\n"
         "Listens, answers, and acts in a small home; a line of JSON for each turn goes to\n"
         "standard output. Without --wav-in it uses the sound card. docs/VOICE.md is the guide.\n");
    for (size_t i = 0; i < n; i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s %s", all[i].name, all[i].arg ? all[i].arg : "");
        printf("  %-32s %s\n", left, all[i].help);
    }
    puts("  --help, --version");
}

static bool take_number(const option *o, const char *value) {
    char *end;
    double x = strtod(value, &end);
    bool good = end != value && *end == '\0' && x >= o->least && x <= o->most &&
                (o->kind == NUMBER || x == floor(x));
    if (!good) {
        complain("--%s: got \"%s\", wanted a number from %.0f to %.0f", o->name, value, o->least,
                 o->most);
        return false;
    }
    if (o->kind == NUMBER)
        *(double *)o->target = x;
    else
        *(int *)o->target = (int)x;
    return true;
}

static const option *find(const option *all, size_t n, const char *name, size_t n_name) {
    for (size_t i = 0; i < n; i++)
        if (strlen(all[i].name) == n_name && memcmp(all[i].name, name, n_name) == 0)
            return &all[i];
    return NULL;
}

/* --name, --name value, --name=value */
static bool take(const option *all, size_t n, int argc, char **argv, int *i) {
    const char *arg = argv[*i], *value = NULL;
    size_t n_name = strncmp(arg, "--", 2) == 0 ? strcspn(arg + 2, "=") : 0;
    const option *o = n_name > 0 ? find(all, n, arg + 2, n_name) : NULL;
    if (!o) {
        complain("got \"%s\", wanted an option that \"voice_loop --help\" lists", arg);
        return false;
    }
    if (arg[2 + n_name] == '=')
        value = arg + 3 + n_name;
    if (o->kind == FLAG) {
        if (value)
            complain("--%s: got \"%s\", wanted no value", o->name, value);
        *(bool *)o->target = true;
        return !value;
    }
    if (!value && *i + 1 < argc)
        value = argv[++*i];
    if (!value) {
        complain("--%s: got no value, wanted %s", o->name, o->arg);
        return false;
    }
    if (o->kind != TEXT)
        return take_number(o, value);
    *(const char **)o->target = value;
    return true;
}

/* An argument vector of what stands between blanks: no shell, no quotes. */
static bool split(const char *name, const char *words, char *vector[32], char *const **command) {
    if (!words)
        return true;
    char *copy = strdup(words), *rest = NULL;
    size_t n = 0;
    for (char *w = copy ? strtok_r(copy, " ", &rest) : NULL; w && n < 31;
         w = strtok_r(NULL, " ", &rest))
        vector[n++] = w;
    vector[n] = NULL;
    *command = vector;
    if (n == 0) {
        complain("--%s: got no program, wanted its name and arguments", name);
        free(copy);
    }
    return n > 0;
}

static bool read_times(options *o) {
    struct tm tm = {0};
    time_t now = time(NULL);
    o->household.start_time = VIRTUAL_START;
    if (!o->virtual_clock && localtime_r(&now, &tm))
        o->household.start_time = timegm(&tm);
    if (!o->start_time)
        return true;
    struct tm given = {0};
    const char *end = strptime(o->start_time, "%Y-%m-%dT%H:%M:%S", &given);
    o->household.start_time = timegm(&given);
    if (!end || *end)
        complain("--start-time: got \"%s\", wanted such as 2026-01-05T18:42:00", o->start_time);
    return end && !*end;
}

static bool read_room(options *o) {
    room_options *r = &o->room_options;
    int end = 0;
    if (!o->room)
        return true;
    if (sscanf(o->room, "%lf:%lf:%lf%n", &r->delay_ms, &r->gain_db, &r->drift_ppm, &end) == 3 &&
        o->room[end] == '\0' && r->delay_ms >= 10 && r->delay_ms <= 500 && r->gain_db <= 0 &&
        r->gain_db >= -96 && fabs(r->drift_ppm) <= 1000)
        return true;
    complain("--room: got \"%s\", wanted 10 to 500 ms, -96 to 0 dB, at most 1000 ppm: "
             "120:-20:50",
             o->room);
    return false;
}

static bool check(options *o) {
    if (o->virtual_clock && !o->wav_in)
        complain("--virtual-clock: got no --wav-in, wanted the file whose samples are counted");
    else if (o->room && !o->wav_in)
        complain("--room: got no --wav-in, wanted the file that is heard beside the echo");
    else if (o->line.push_to_talk && o->wav_in)
        complain("--push-to-talk: got --wav-in, wanted the sound card");
    else
        return true;
    return false;
}

static bool use_own_files(options *o) {
    bool is_demo = strcmp(o->model, "demo") == 0;
    if ((!o->data && !own_file("household", o->own_data, OWN_PATH)) ||
        (is_demo && !own_file("hearth.gguf", o->own_model, OWN_PATH))) {
        complain("where voice_loop lies cannot be told: wanted --data and --model");
        return false;
    }
    if (!o->data)
        o->data = o->own_data;
    if (is_demo)
        o->model = o->own_model;
    return true;
}

bool options_parse(options *o, int argc, char **argv, int *status) {
    option all[MAX_OPTIONS];
    *o = (options){
        .model = "demo", .recognizer_ms = -1, .speaker_ms = -1};
    o->thinking = (thinking_options){.system = "You are Hearth.",
                                     .max_tokens = 200,
                                     .n_draft = 4,
                                     .prompt_ms = 1,
                                     .token_ms = 8,
                                     .tool_ms = 20};
    o->line.filler_ms = 700;
    size_t n = list(o, all);
    *status = EXIT_USAGE;
    for (int i = 1; i < argc; i++) {
        bool is_help = strcmp(argv[i], "--help") == 0, is_version = strcmp(argv[i], "--version") == 0;
        if (is_help)
            help(all, n);
        if (is_version)
            printf("voice_loop %s\n", slm_version());
        if (is_help || is_version) {
            *status = fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
            return false;
        }
        if (!take(all, n, argc, argv, &i))
            return false;
    }
    if (!check(o) || !read_times(o) || !read_room(o) ||
        !split("recognizer-command", o->recognizer_command, o->recognizer_words,
               &o->recognizer.command) ||
        !split("speaker-command", o->speaker_command, o->speaker_words, &o->speaker.command))
        return false;
    if (!use_own_files(o))
        return false;
    o->recognizer.data_folder = o->data;
    o->line.no_early = o->line.no_early || o->thinking.no_ahead;
    return true;
}

void options_free(options *o) {
    free(o->recognizer_words[0]);
    free(o->speaker_words[0]);
}
