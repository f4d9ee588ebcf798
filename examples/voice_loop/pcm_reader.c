#include "pcm_reader.h"

#include <string.h>

enum { HEADER = 44, PCM = 1 };

static unsigned u16(const unsigned char *b) {
    return b[0] | (unsigned)b[1] << 8;
}

static unsigned u32(const unsigned char *b) {
    return u16(b) | u16(b + 2) << 16;
}

/* The header that programs write in front of sound which is not yet there: 44 bytes, in one order.
 */
static bool read_header(pcm_reader *p, const unsigned char *b, char *why, size_t why_size) {
    if (memcmp(b, "RIFF", 4) != 0 || memcmp(b + 8, "WAVEfmt ", 8) != 0 || u32(b + 16) != 16 ||
        memcmp(b + 36, "data", 4) != 0)
        return fail(why, why_size, "the sound does not begin as a WAV file does");
    unsigned format = u16(b + 20), channels = u16(b + 22), rate = u32(b + 24), bits = u16(b + 34);
    if (format != PCM || channels != 1 || bits != 16 || rate < 4000 || rate > 192000)
        return fail(why, why_size,
                    "the sound has format %u, %u channels, %u bits at %u Hz; wanted format 1, 1 "
                    "channel, 16 bits at 4000 to 192000 Hz",
                    format, channels, bits, rate);
    p->rate = (int)rate;
    return true;
}

void pcm_from_bytes(int16_t *samples, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned char b[2];
        memcpy(b, samples + i, 2);
        samples[i] = (int16_t)u16(b);
    }
}

long pcm_read(pcm_reader *p, stream *from, int16_t *samples, size_t n, int64_t deadline, char *why,
              size_t why_size) {
    if (p->rate == 0) {
        unsigned char header[HEADER];
        long got = stream_read(from, header, HEADER, deadline, why, why_size);
        if (got <= 0)
            return got;
        if (!stream_read_all(from, header + got, HEADER - (size_t)got, deadline, why, why_size) ||
            !read_header(p, header, why, why_size))
            return -1;
    }
    if (n == 0)
        return 0;
    unsigned char *bytes = (unsigned char *)samples;
    size_t have = 0;
    if (p->has_half)
        bytes[have++] = p->half;
    p->has_half = false;
    while (have < 2) {
        long got = stream_read(from, bytes + have, 2 * n - have, deadline, why, why_size);
        if (got <= 0)
            return got;
        have += (size_t)got;
    }
    if (have % 2) {
        p->half = bytes[have - 1];
        p->has_half = true;
    }
    pcm_from_bytes(samples, have / 2);
    return (long)(have / 2);
}
