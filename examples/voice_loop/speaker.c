#include "speaker.h"

#include "engines.h"
#include "stream.h"

#include <string.h>

enum { DEFAULT_TIMEOUT_MS = 5000 };

static const struct {
    const char *name;
    speaker *(*open)(const speaker_options *, char *, size_t);
} ENGINES[] = {
    {"espeak-ng", speaker_open_espeak}, {"piper", speaker_open_piper},
    {"wyoming", speaker_open_wyoming},  {"program", speaker_open_program},
    {"fake", speaker_open_fake},
};

speaker *speaker_open(const speaker_options *options, char *why, size_t why_size) {
    speaker_options filled = *options;
    if (!filled.engine)
        filled.engine = ENGINES[0].name;
    if (filled.timeout_ms <= 0)
        filled.timeout_ms = DEFAULT_TIMEOUT_MS;
    for (size_t i = 0; i < sizeof ENGINES / sizeof ENGINES[0]; i++)
        if (strcmp(ENGINES[i].name, filled.engine) == 0)
            return ENGINES[i].open(&filled, why, why_size);
    fail(why, why_size, "%.60s: no such voice, wanted espeak-ng, piper, wyoming, program or fake",
         filled.engine);
    return NULL;
}
