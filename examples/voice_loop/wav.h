/* Sound files. */
#ifndef SLM_VOICE_WAV_H
#define SLM_VOICE_WAV_H

#include "talking.h"

typedef struct wav_reader wav_reader;
/* PCM or float, 8 to 48 kHz, the first channel, brought to LINE_RATE. NULL: why. */
wav_reader *wav_reader_open(const char *path, char *why, size_t why_size);
void wav_reader_close(wav_reader *r);
/* Up to n samples; fewer at the end only. */
size_t wav_read(wav_reader *r, int16_t *x, size_t n);

typedef struct wav_writer wav_writer;
wav_writer *wav_writer_open(const char *path, char *why, size_t why_size);
/* A failure is told by the close. */
void wav_write(wav_writer *w, const int16_t *x, size_t n);
bool wav_writer_close(wav_writer *w, char *why, size_t why_size);

#endif
