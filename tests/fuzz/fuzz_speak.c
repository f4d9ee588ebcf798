/* Speech on any bytes. The first byte holds the options, the second how the rest is cut.
 *   - however the text is cut, the pieces are the same
 *   - a piece is UTF-8 without line breaks, no longer than it may be, and stands for bytes behind
 * those of the piece before */
#include "base/buffer.h"
#include "base/utf8.h"
#include "text/speak.h"

#include <stdlib.h>
#include <string.h>

#define CHECK(x)     \
    do {             \
        if (!(x))    \
            abort(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static slm_host host;

static void check_piece(const slm_speech_event *e, uint32_t max, uint64_t after, size_t fed) {
    CHECK(e->text_len > 0 && e->text_len <= max && !memchr(e->text, '\n', e->text_len));
    CHECK(e->begin >= after && e->end > e->begin && e->end <= fed);
    for (size_t i = 0, len; i < e->text_len; i += len) {
        len = slm_utf8_next((const uint8_t *)e->text + i, e->text_len - i, NULL);
        CHECK(len > 0);
    }
}

static slm_buffer speak(const slm_speech_options *o, const char *text, size_t n, size_t step) {
    slm_buffer out = {.host = &host};
    slm_speaker *s;
    uint64_t after = 0;
    slm_speech_event e;
    CHECK(slm_speaker_open(&host, o, &s, NULL) == SLM_OK);
    for (size_t at = 0, done = 0; !done; at += step) {
        size_t left = at < n ? n - at : 0, fed = left < step ? n : at + step;
        done = left == 0;
        CHECK((done ? slm_speaker_finish(s, NULL)
                    : slm_speaker_feed(s, text + at, left < step ? left : step, NULL)) == SLM_OK);
        for (slm_speaker_next(s, &e); e.type != SLM_SPEECH_NONE && e.type != SLM_SPEECH_END;
             slm_speaker_next(s, &e)) {
            check_piece(&e, o->max_piece, after, fed);
            after = e.end;
            CHECK(slm_buffer_append(&out, &e.type, sizeof e.type, NULL) == SLM_OK);
            CHECK(slm_buffer_append(&out, &e.begin, 2 * sizeof e.begin, NULL) == SLM_OK);
            CHECK(slm_buffer_append(&out, e.text, e.text_len, NULL) == SLM_OK);
        }
        CHECK(e.type == (done ? SLM_SPEECH_END : SLM_SPEECH_NONE));
    }
    slm_speaker_close(s);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    if (host.allocator.alloc == NULL)
        slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    slm_speech_options o = {.struct_size = sizeof o,
                            .flags = data[0] & 15u,
                            .min_clause = data[0] & 16 ? 1 : 16,
                            .max_piece = data[0] & 32 ? 32 : 400,
                            .min_first = data[0] & (64 | 16) ? 1 : 16};
    size_t n = size - 2, step = 1 + (data[1] & 15);
    const char *text = (const char *)data + 2;
    slm_buffer whole = speak(&o, text, n, n + 1), cut = speak(&o, text, n, step);
    CHECK(whole.len == cut.len && (cut.len == 0 || memcmp(whole.ptr, cut.ptr, cut.len) == 0));
    slm_buffer_free(&whole);
    slm_buffer_free(&cut);
    CHECK(host.bytes == 0);
    return 0;
}
