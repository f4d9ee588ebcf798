#include "text/words.h"

/* The places take two to four times as much memory as a short text, and at most half a megabyte,
 * which the nearer caches of a core hold. */
enum { MIN_TEXT = 256, MIN_BITS = 4, MAX_BITS = 13 };

slm_status slm_words_open(slm_words *words, slm_host *host, size_t text_bytes, slm_error *error) {
    unsigned bits = MIN_BITS;
    words->slots = NULL;
    if (text_bytes < MIN_TEXT)
        return SLM_OK;
    while (bits < MAX_BITS && text_bytes >> bits > 32)
        bits++;
    words->slots = slm_calloc(host, (size_t)1 << bits, sizeof *words->slots);
    if (!words->slots)
        return slm_fail_nomem(error, sizeof *words->slots << bits, "words");
    words->shift = 64 - bits;
    words->credit = SLM_WORDS_CREDIT;
    words->rest = 0;
    return SLM_OK;
}

void slm_words_close(slm_words *words, slm_host *host) {
    slm_free(host, words->slots);
    words->slots = NULL;
}
