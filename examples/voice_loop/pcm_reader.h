/* Samples of 16 bits, one channel, out of a stream that gives them as bytes of a WAV file. */
#ifndef SLM_VOICE_PCM_READER_H
#define SLM_VOICE_PCM_READER_H

#include "stream.h"

/* All zero before the first read. */
typedef struct pcm_reader {
    int rate; /* 0 before the header was read */
    bool has_half;
    unsigned char half; /* of a sample */
} pcm_reader;

/* Up to n samples; 0 at the end of the stream, also where it ends before any byte came; -1 on
 * failure. Whatever the header says of the length, the end is that of the stream. */
long pcm_read(pcm_reader *p, stream *from, int16_t *samples, size_t n, int64_t deadline, char *why,
              size_t why_size);

/* Samples as the host has them, in place, from bytes with the low one first. */
void pcm_from_bytes(int16_t *samples, size_t n);

#endif
