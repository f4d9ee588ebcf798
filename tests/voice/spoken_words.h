/* Sentences of a household, spoken by voices of espeak-ng and heard again, and how many words were
 * lost between. */
#ifndef SLM_TESTS_SPOKEN_WORDS_H
#define SLM_TESTS_SPOKEN_WORDS_H

#include "recognizer.h"
#include "speaker.h"

/* The whole text as samples at 16 kHz, with silence in front and behind; malloc'ed, NULL on
 * failure. */
int16_t *speak_at_16k(speaker *s, const char *text, size_t *n);

/* Insertions, deletions and substitutions that make `heard` of `said`; words are divided by blanks.
 */
int word_errors(const char *said, const char *heard);
int count_words(const char *text);

#endif
