/* The sound card: what a step of the line takes and gives, 10 ms at LINE_RATE. A file, or a device. */
#ifndef SLM_VOICE_CARD_H
#define SLM_VOICE_CARD_H

#include "talking.h"

#include <stdio.h>

typedef struct card card;
struct card {
    /* The next 10 ms of the microphone; false: there is no more, and silence is given. A device waits
     * here, and has no end: while it is gone it gives silence at the same pace. */
    bool (*read)(card *c, int16_t mic[LINE_BLOCK]);
    /* The same 10 ms of the loudspeaker. */
    void (*write)(card *c, const int16_t out[LINE_BLOCK]);
    /* Writes what is left. False: why. */
    bool (*close)(card *c, char *why, size_t why_size);
    bool has_echo; /* the microphone hears the loudspeaker */
};

typedef void (*card_warn)(void *user, const char *text);

/* A WAV file as the microphone. The loudspeaker is one too, or nobody hears it (out_path NULL).
 * paced: at the pace of a clock. NULL: why. */
card *card_open_files(const char *in_path, const char *out_path, bool paced, char *why,
                      size_t why_size);

/* A room around another card, which it takes over: the microphone hears the loudspeaker, delay_ms
 * later and gain_db louder, by a clock that is drift_ppm fast, through the echoes of a small room. */
typedef struct room_options {
    double delay_ms, gain_db, drift_ppm;
} room_options;
card *card_open_room(card *inner, const room_options *options, char *why, size_t why_size);

/* Devices by their names, or a part of them; NULL: the system's. What goes to the loudspeaker is also
 * written to out_path, where that is not NULL. */
card *card_open_device(const char *input, const char *output, const char *out_path, card_warn warn,
                       void *warn_user, char *why, size_t why_size);
/* Prints the names of the devices there are. */
bool card_list_devices(FILE *f);

#endif
