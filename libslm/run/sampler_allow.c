#include "run/sampler_chain.h"

#include <math.h>
#include <string.h>

void slm_sampler_allow(slm_sampler *s, const uint64_t *bits, size_t n_words) {
    size_t most = ((size_t)s->n_vocab + 63) / 64;
    s->allowed = bits;
    s->n_allowed = n_words < most ? n_words : most;
}

/* The bits of one word that stand for tokens of the row. */
static uint64_t word(const slm_sampler *s, size_t w) {
    size_t left = s->n_vocab - w * 64;
    return left < 64 ? s->allowed[w] & (((uint64_t)1 << left) - 1) : s->allowed[w];
}

static void gather(slm_sampler *s) {
    size_t n = 0;
    for (size_t w = 0; w < s->n_allowed; w++)
        for (uint64_t bits = word(s, w); bits != 0; bits &= bits - 1) {
            size_t id = w * 64 + (size_t)__builtin_ctzll(bits);
            s->logit[n] = s->x[id];
            s->id[n++] = (int32_t)id;
        }
    s->n = n;
    s->dense = 0;
}

static void mask(slm_sampler *s) {
    for (size_t at = 0; at < s->n_vocab; at += 64) {
        size_t n = s->n_vocab - at < 64 ? s->n_vocab - at : 64;
        uint64_t bits = at / 64 < s->n_allowed ? word(s, at / 64) : 0;
        if (bits == UINT64_MAX) {
            memcpy(s->logit + at, s->x + at, n * sizeof *s->logit);
            continue;
        }
        for (size_t i = 0; i < n; i++)
            s->logit[at + i] = bits >> i & 1 ? s->x[at + i] : -INFINITY;
    }
}

void slm_keep_allowed(slm_sampler *s) {
    size_t n = 0;
    for (size_t w = 0; w < s->n_allowed; w++)
        n += (size_t)__builtin_popcountll(word(s, w));
    if (n < s->n_vocab / 4)
        gather(s);
    else
        mask(s);
    s->x = s->logit;
}
