/* The command line of voice_loop. */
#ifndef SLM_VOICE_OPTIONS_H
#define SLM_VOICE_OPTIONS_H

#include "card.h"
#include "household.h"
#include "line.h"
#include "recognizer.h"
#include "speaker.h"
#include "thinking.h"

enum { OWN_PATH = 1000 };
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

typedef struct options {
    const char *model, *data, *wav_in, *wav_out, *ledger, *timeline, *input_device, *output_device;
    bool virtual_clock, table, list_devices, no_tools, no_echo;
    const char *room;
    room_options room_options;
    const char *recognizer_command, *speaker_command; /* words divided by blanks */
    char *recognizer_words[32], *speaker_words[32];
    const char *start_time;
    double recognizer_ms, speaker_ms; /* charged on the virtual clock; -1: what the engine says */
    recognizer_options recognizer;
    speaker_options speaker;
    household_options household;
    thinking_options thinking;
    line_options line;
    char own_data[OWN_PATH], own_model[OWN_PATH]; /* where those that are installed lie */
} options;

/* False: the program ends with *status; a usage error has been told. */
bool options_parse(options *o, int argc, char **argv, int *status);
void options_free(options *o);

/* One line on standard error, "voice_loop: ...". */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
