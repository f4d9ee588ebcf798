#define _POSIX_C_SOURCE 200809L

#include "hearing.h"

#include "stream.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_SIZE = 1024, WHY_SIZE = 256, PIECE = 512, FAINT = 17 };

static void end(hearing *h) {
    h->open = h->asked = h->pauses = h->unsettled = false;
    free(h->whole);
    h->whole = NULL;
}

static void failed(hearing *h, const char *why) {
    end(h);
    stage_post(&h->stage, message_text(HEARD_FAILED, h->id, why, strlen(why)));
}

static void charge(hearing *h) {
    const recognizer *r = h->recognizer;
    stage_charge(&h->stage,
                 r->charge_ms + r->charge_ms_per_s * (double)h->n_samples / RECOGNIZER_RATE);
}

static bool doubts(const hearing *h) {
    return h->recognizer->doubts && h->recognizer->doubts(h->recognizer);
}

static void post_final(hearing *h, const char *text, double measured_ms, bool doubted) {
    message *m = message_text(HEARD_FINAL, h->id, text, strlen(text));
    if (m) {
        m->measured_ms = measured_ms;
        m->end = doubted;
    }
    stage_post(&h->stage, m);
    end(h);
}

static void finish(hearing *h, int64_t end_ms) {
    recognizer *r = h->recognizer;
    char text[TEXT_SIZE] = "", why[WHY_SIZE] = "";
    int64_t begun = clock_ms();
    if (h->whole && h->whole_ms > end_ms) { /* behind it there was only silence */
        r->cancel(r);
        post_final(h, h->whole, h->whole_measured_ms, h->whole_doubted);
        return;
    }
    bool done = r->finish(r, text, sizeof text, why, sizeof why);
    charge(h);
    if (done)
        post_final(h, text, (double)(clock_ms() - begun), doubts(h));
    else
        failed(h, why);
}

/* Sound of files may be silent to the bit, which no recogniser has learnt from and some stumble
 * over: the faintest noise is laid under it, the same for each utterance. */
static bool feed(hearing *h, const int16_t *x, size_t n, char *why, size_t why_size) {
    int16_t piece[PIECE];
    for (size_t done = 0; done < n;) {
        size_t m = n - done < PIECE ? n - done : PIECE;
        for (size_t i = 0; i < m; i++) {
            h->noise = h->noise * 1664525 + 1013904223;
            int y = x[done + i] + (int)(h->noise >> 24) * (2 * FAINT + 1) / 256 - FAINT;
            piece[i] = (int16_t)(y > INT16_MAX ? INT16_MAX : y < INT16_MIN ? INT16_MIN : y);
        }
        if (!h->recognizer->feed(h->recognizer, piece, m, why, why_size))
            return false;
        done += m;
    }
    h->n_samples += n;
    return true;
}

static void command(void *self, const message *m) {
    hearing *h = self;
    recognizer *r = h->recognizer;
    char why[WHY_SIZE] = "";
    if (m->type == HEAR_BEGIN) {
        h->id = m->id;
        h->n_samples = 0;
        h->noise = 1;
        end(h);
        h->open = true;
        if (!r->begin(r, why, sizeof why))
            failed(h, why);
        return;
    }
    if (!h->open || m->id != h->id) /* of an utterance that has failed */
        return;
    if (m->type == HEAR_FEED) {
        if (!feed(h, m->data.samples, m->n, why, sizeof why))
            failed(h, why);
    } else if (m->type == HEAR_PARTIAL) {
        h->asked = true;
        h->pauses = h->pauses || m->begin != 0;
        h->asked_ms = m->value;
    } else if (m->type == HEAR_FINISH) {
        finish(h, m->value);
    } else if (m->type == HEAR_CANCEL) {
        r->cancel(r);
        end(h);
    }
}

/* What was settled is the final transcript, should nothing more be said. */
static void keep(hearing *h, const char *text, double measured_ms) {
    charge(h);
    free(h->whole);
    h->whole = text[0] ? strdup(text) : NULL;
    h->whole_ms = h->asked_ms;
    h->whole_doubted = doubts(h);
    h->whole_measured_ms = measured_ms;
}

/* An engine that failed in a pause is not asked in one again in this utterance. */
static void post_nothing(hearing *h) {
    message *m = message_text(HEARD_NOTHING, h->id, NULL, 0);
    if (m)
        m->value = h->asked_ms;
    h->unsettled = true;
    stage_post(&h->stage, m);
}

static bool work(void *self) {
    hearing *h = self;
    recognizer *r = h->recognizer;
    char text[TEXT_SIZE] = "", why[WHY_SIZE] = "";
    int64_t begun = clock_ms();
    if (!h->asked)
        return false;
    bool settles = !r->streams || (h->pauses && r->settle);
    bool passes = settles && h->unsettled;
    bool (*ask)(recognizer *, char *, size_t, char *, size_t) =
        settles && r->settle ? r->settle : r->partial;
    h->asked = h->pauses = false;
    if (passes)
        return true;
    if (!ask(r, text, sizeof text, why, sizeof why)) {
        if (settles)
            post_nothing(h); /* the final transcript is asked for as if nothing had been */
        else
            failed(h, why);
        return true;
    }
    if (settles)
        keep(h, text, (double)(clock_ms() - begun));
    message *m = message_text(HEARD_PARTIAL, h->id, text, strlen(text));
    if (m) {
        m->value = h->asked_ms;
        m->end = settles && doubts(h);
    }
    stage_post(&h->stage, m);
    return true;
}

bool hearing_open(hearing *h, recognizer *r, bool is_virtual) {
    static const stage_ops ops = {command, work};
    *h = (hearing){.recognizer = r};
    return stage_open(&h->stage, "recognition", &ops, h, is_virtual);
}

void hearing_close(hearing *h) {
    stage_close(&h->stage);
    if (h->open)
        h->recognizer->cancel(h->recognizer);
    end(h);
}
