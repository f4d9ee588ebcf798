/* Files in place of a sound card, as fast as the line can go or at the pace of a clock. */
#define _POSIX_C_SOURCE 200809L

#include "card.h"
#include "pace.h"
#include "stream.h"
#include "wav.h"

#include <stdlib.h>
#include <string.h>

typedef struct files {
    card base;
    wav_reader *in;
    wav_writer *out;
    size_t n_in;      /* samples that the last block had of the input */
    uint64_t silence; /* at the end: written only if sound follows */
    bool paced;
    pace pace;
} files;

static bool read_block(card *c, int16_t mic[LINE_BLOCK]) {
    files *f = (files *)c;
    f->n_in = wav_read(f->in, mic, LINE_BLOCK);
    memset(mic + f->n_in, 0, (LINE_BLOCK - f->n_in) * sizeof *mic);
    if (f->paced)
        pace_wait(&f->pace);
    return f->n_in > 0;
}

/* As long as the input, or to the last sound. */
static void write_block(card *c, const int16_t out[LINE_BLOCK]) {
    static const int16_t zeros[LINE_BLOCK];
    files *f = (files *)c;
    size_t n = LINE_BLOCK;
    if (!f->out)
        return;
    while (n > f->n_in && out[n - 1] == 0)
        n--;
    for (; n > 0 && f->silence > 0;) {
        size_t m = f->silence < LINE_BLOCK ? (size_t)f->silence : LINE_BLOCK;
        wav_write(f->out, zeros, m);
        f->silence -= m;
    }
    wav_write(f->out, out, n);
    f->silence += LINE_BLOCK - n;
}

static bool close_files(card *c, char *why, size_t why_size) {
    files *f = (files *)c;
    bool good = !f->out || wav_writer_close(f->out, why, why_size);
    wav_reader_close(f->in);
    free(f);
    return good;
}

card *card_open_files(const char *in_path, const char *out_path, bool paced, char *why,
                      size_t why_size) {
    files *f = calloc(1, sizeof *f);
    if (!f) {
        fail(why, why_size, "no memory for the sound card");
        return NULL;
    }
    f->base = (card){.read = read_block, .write = write_block, .close = close_files};
    f->paced = paced;
    f->in = wav_reader_open(in_path, why, why_size);
    if (f->in && out_path)
        f->out = wav_writer_open(out_path, why, why_size);
    if (!f->in || (out_path && !f->out)) {
        wav_reader_close(f->in);
        free(f);
        return NULL;
    }
    return &f->base;
}
