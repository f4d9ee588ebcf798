/* The engines behind recognizer.h and speaker.h. Each opens itself from the options, with the
 * timeout filled in, or says why not. */
#ifndef SLM_VOICE_ENGINES_H
#define SLM_VOICE_ENGINES_H

#include "recognizer.h"
#include "speaker.h"

recognizer *recognizer_open_pocketsphinx(const recognizer_options *options, char *why,
                                         size_t why_size);
recognizer *recognizer_open_whisper(const recognizer_options *options, char *why, size_t why_size);
recognizer *recognizer_open_wyoming(const recognizer_options *options, char *why, size_t why_size);
recognizer *recognizer_open_program(const recognizer_options *options, char *why, size_t why_size);

/* For tests. `address` is its script, what it "hears" in turn, utterances divided by '|'; NULL:
 * nothing is ever understood. The words become known one by one, each after 300 ms of sound; those
 * behind a '/' not before what was said went on after a pause, or at the end. In place of words:
 *
 *   !die     the utterance fails
 *   !hang    finishing fails when the timeout is over
 *   !late N  finishing takes N ms, and then gives the words that follow N
 *   !doubt   gives the words that follow, and in the end doubts them
 *
 * After the last utterance the script starts again. One that begins with "!whole|" is of an engine that
 * does not stream: it is asked in pauses alone, and knows all the words before the next '/' then. */
recognizer *recognizer_open_fake(const recognizer_options *options, char *why, size_t why_size);

speaker *speaker_open_espeak(const speaker_options *options, char *why, size_t why_size);
speaker *speaker_open_piper(const speaker_options *options, char *why, size_t why_size);
speaker *speaker_open_wyoming(const speaker_options *options, char *why, size_t why_size);
speaker *speaker_open_program(const speaker_options *options, char *why, size_t why_size);

/* For tests. A text becomes 60 ms of a tone per byte at 16 kHz, in silence where there is a blank.
 * `voice` is its script, one word for each text in turn, divided by '|'; NULL: every text is spoken.
 *
 *   ok      spoken
 *   die     the text fails after half of it
 *   hang    the first read fails when the timeout is over
 *   late N  the first sample takes N ms
 *
 * After the last word the script starts again. */
speaker *speaker_open_fake(const speaker_options *options, char *why, size_t why_size);

#endif
