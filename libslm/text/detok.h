/* Streaming detokenizer: turns a stream of bytes into a stream of whole characters. */
#ifndef SLM_TEXT_DETOK_H
#define SLM_TEXT_DETOK_H

#include "text/vocab.h"

/* Holds back the bytes of an unfinished character. Plain state, no allocation of its own. */
typedef struct slm_utf8_stream {
    uint8_t held[4];
    uint8_t n_held;
} slm_utf8_stream;

/* Appends what is complete to out (cap >= 3 * (n + 4) bytes) and returns its length; keeps the
 * rest. Ill-formed sequences become U+FFFD by the maximal-subpart rule (Unicode 3.9, D93b). */
size_t slm_utf8_feed(slm_utf8_stream *s, const char *bytes, size_t n, char *out);
/* The end: an unfinished character becomes U+FFFD. out has at least 12 bytes. */
size_t slm_utf8_finish(slm_utf8_stream *s, char *out);

/* Finds stop texts in a stream of bytes. Text is held back while it may still become a stop text.
 * All buffers are given at opening; feeding allocates nothing. */
typedef struct slm_stopper slm_stopper;
slm_status slm_stopper_open(slm_host *host, const slm_span *stops, size_t n_stops,
                            size_t max_feed_bytes, slm_stopper **out, slm_error *error);
void slm_stopper_close(slm_stopper *s);
/* Feeds n <= max_feed_bytes bytes. *text, *len: what may be shown now, until the next call. Returns
 * 1 when a stop text appeared: the text then ends before the earliest one; 0 otherwise. */
int slm_stopper_feed(slm_stopper *s, const char *bytes, size_t n, const char **text, size_t *len);
/* The end of the stream: what was held back. */
void slm_stopper_finish(slm_stopper *s, const char **text, size_t *len);
/* Bytes held back now: a prefix of some stop text. */
size_t slm_stopper_held(const slm_stopper *s);

/* Number of bytes of the longest valid UTF-8 prefix; n when all of it is valid. */
size_t slm_utf8_valid_prefix(const char *text, size_t n);

#endif
