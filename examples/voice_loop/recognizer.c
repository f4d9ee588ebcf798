#include "recognizer.h"

#include "engines.h"
#include "stream.h"

#include <string.h>

enum { DEFAULT_TIMEOUT_MS = 5000 };

static const struct {
    const char *name;
    recognizer *(*open)(const recognizer_options *, char *, size_t);
} ENGINES[] = {
    {"pocketsphinx", recognizer_open_pocketsphinx},
    {"whisper", recognizer_open_whisper},
    {"wyoming", recognizer_open_wyoming},
    {"program", recognizer_open_program},
    {"fake", recognizer_open_fake},
};

recognizer *recognizer_open(const recognizer_options *options, char *why, size_t why_size) {
    recognizer_options filled = *options;
    if (!filled.engine)
        filled.engine = ENGINES[0].name;
    if (filled.timeout_ms <= 0)
        filled.timeout_ms = DEFAULT_TIMEOUT_MS;
    for (size_t i = 0; i < sizeof ENGINES / sizeof ENGINES[0]; i++)
        if (strcmp(ENGINES[i].name, filled.engine) == 0)
            return ENGINES[i].open(&filled, why, why_size);
    fail(why, why_size,
         "%.60s: no such recognizer, wanted pocketsphinx, whisper, wyoming, program or fake",
         filled.engine);
    return NULL;
}
