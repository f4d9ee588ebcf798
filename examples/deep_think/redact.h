/* What does not leave the device: words that the user names, addresses of mail, and long numbers. */
#ifndef SLM_DEEP_REDACT_H
#define SLM_DEEP_REDACT_H

#include <stddef.h>

/* The text with [private], [mail] and [number] in the places of these; malloc'ed, NULL: no memory.
 *   words       without regard to case (of ASCII), as whole words
 *   numbers     of five digits and more, with the blanks and marks that people put between digits
 * It looks at letters and digits alone: what is private by its sense is for the user to name. */
char *deep_redact(const char *text, const char *const *words, size_t n_words, unsigned *n_redacted);

#endif
