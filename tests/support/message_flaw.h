/* What every refusal owes its caller, whatever the call. */
#ifndef SLM_TESTS_MESSAGE_FLAW_H
#define SLM_TESTS_MESSAGE_FLAW_H

#include "slm.h"

#include <string.h>

/* What is wrong with the shape of an error, NULL when nothing is: one printable line of less than
 * 304 bytes that says more than a word, without an absolute path, and a subject as printable. */
static inline const char *message_flaw(const slm_error *e) {
    const char *const texts[] = {e->message, e->subject};
    if (strlen(e->message) < 20)
        return "the message says next to nothing";
    if (!memchr(e->message, 0, sizeof e->message) || !memchr(e->subject, 0, sizeof e->subject))
        return "a text does not end";
    for (int i = 0; i < 2; i++)
        for (const char *p = texts[i]; *p; p++) {
            if ((unsigned char)*p < 0x20 || *p == 0x7f)
                return "a text holds a control character";
            /* "/a/b" at the start of a word; a name of the file's own may hold one slash. */
            if (*p == '/' && (p == texts[i] || strchr(" '\"([", p[-1])) &&
                p[1 + strcspn(p + 1, "/ ")] == '/')
                return "a text holds an absolute path";
        }
    return NULL;
}

#endif
