#include "run/cuda_logits.h"

#ifdef SLM_HAVE_CUDA

#include "base/checked.h"

#include <string.h>

_Static_assert(SLM_SAMPLER_BEST == SLM_CUDA_BEST, "what a kernel gives is what a sampler takes");
_Static_assert(SLM_SAMPLER_NAMED == SLM_CUDA_NAMED, "what a sampler names is what a kernel gives");

/* ---------------------------------------------------------------- memory ----------------------- */

void *slm_cuda_carve(uint8_t *memory, size_t *used, size_t bytes) {
    void *p = memory == NULL ? NULL : memory + *used;
    *used += slm_round_up(bytes, 256);
    return p;
}

void slm_cuda_logits_place_device(slm_cuda_logits *l, uint32_t n_vocab, const slm_cuda_shape *shape,
                                  uint8_t *memory, size_t *used) {
    size_t n_slots = shape->n_slots;
    l->n_vocab = n_vocab;
    l->n_slots = shape->n_slots;
    l->device_rows = slm_cuda_carve(memory, used, (size_t)shape->n_logits * n_vocab * sizeof(float));
    l->device_best = slm_cuda_carve(memory, used, n_slots * sizeof *l->device_best);
    l->device_named =
        slm_cuda_carve(memory, used, n_slots * SLM_CUDA_NAMED * sizeof *l->device_named);
    l->partial = slm_cuda_carve(memory, used, slm_cuda_best_bytes(n_vocab, shape->n_slots));
}

void slm_cuda_logits_place_pinned(slm_cuda_logits *l, uint32_t n_vocab, const slm_cuda_shape *shape,
                                  uint8_t *memory, size_t *used) {
    size_t n_slots = shape->n_slots;
    l->rows = slm_cuda_carve(memory, used, (size_t)shape->n_logits * n_vocab * sizeof(float));
    l->is_here = slm_cuda_carve(memory, used, shape->n_logits * sizeof *l->is_here);
    l->best = slm_cuda_carve(memory, used, n_slots * sizeof *l->best);
    l->named = slm_cuda_carve(memory, used, n_slots * SLM_CUDA_NAMED * sizeof *l->named);
    l->n_named = slm_cuda_carve(memory, used, n_slots * sizeof *l->n_named);
}

int slm_cuda_logits_clear(slm_cuda_logits *l, slm_cuda_stream *s) {
    memset(l->n_named, 0, l->n_slots * sizeof *l->n_named); /* is_here is set before it is read */
    slm_cuda_logits_forget(l);
    return slm_cuda_zero(s, l->device_named,
                         l->n_slots * (size_t)SLM_CUDA_NAMED * sizeof *l->device_named);
}

void slm_cuda_logits_forget(slm_cuda_logits *l) {
    memset(l->named, 0xff, l->n_slots * (size_t)SLM_CUDA_NAMED * sizeof *l->named);
}

/* ---------------------------------------------------------------- steps ------------------------ */

int slm_cuda_logits_begin(slm_cuda_logits *l, slm_cuda_stream *s, const slm_step *step,
                          const slm_seq *seqs) {
    int code = 0;
    for (uint32_t r = 0; r < step->n_rows && code == 0; r++) {
        const slm_row *row = &step->rows[r];
        if (row->logits_row == SLM_NO_LOGITS)
            continue;
        l->is_here[row->logits_row] = 0;
        if (row->logits_row >= l->n_slots)
            continue;
        const slm_seq *seq = &seqs[row->slot];
        size_t at = (size_t)row->slot * SLM_CUDA_NAMED, bytes = seq->n_named * sizeof *l->named;
        l->n_named[row->slot] = seq->n_named;
        if (bytes == 0 || memcmp(l->named + at, seq->named, bytes) == 0)
            continue;
        memcpy(l->named + at, seq->named, bytes);
        code = slm_cuda_to_device(s, l->device_named + at, l->named + at, bytes);
    }
    return code;
}

int slm_cuda_logits_choose(slm_cuda_logits *l, slm_cuda_stream *s, const uint32_t *rows,
                           uint32_t n_rows) {
    slm_cuda_choice choice = {.logits = l->device_rows, .n = l->n_vocab, .rows = rows,
                              .n_slots = l->n_slots, .named = l->device_named,
                              .best = l->device_best, .partial = l->partial};
    return slm_cuda_best_of(s, &choice, n_rows);
}

int slm_cuda_logits_fetch(slm_cuda_logits *l, slm_cuda_stream *s, uint32_t row, uint32_t n) {
    size_t at = (size_t)row * l->n_vocab, bytes = (size_t)n * l->n_vocab * sizeof *l->rows;
    memset(l->is_here + row, 1, n);
    return slm_cuda_from_device(s, l->rows + at, l->device_rows + at, bytes);
}

/* Whether a step brings home the best of a row (1), all of it (0), or nothing (-1). */
static int is_by_best(const slm_cuda_logits *l, const slm_row *row, const slm_seq *seqs) {
    if (row->logits_row == SLM_NO_LOGITS)
        return -1;
    return row->logits_row < l->n_slots && !seqs[row->slot].wants_row;
}

int slm_cuda_logits_end(slm_cuda_logits *l, slm_cuda_stream *s, const slm_step *step,
                        const slm_seq *seqs) {
    const slm_row *rows = step->rows;
    int code = 0;
    for (uint32_t r = 0, n; r < step->n_rows && code == 0; r += n) { /* neighbours in one copy */
        int by_best = is_by_best(l, &rows[r], seqs);
        uint32_t first = rows[r].logits_row;
        for (n = 1; r + n < step->n_rows && rows[r + n].logits_row == first + n &&
                    is_by_best(l, &rows[r + n], seqs) == by_best; n++)
            ;
        if (by_best == 1)
            code = slm_cuda_from_device(s, l->best + first, l->device_best + first,
                                        n * sizeof *l->best);
        else if (by_best == 0)
            code = slm_cuda_logits_fetch(l, s, first, n);
    }
    return code;
}

int slm_cuda_logits_best(const slm_cuda_logits *l, uint32_t slot, slm_best *best) {
    const slm_cuda_best *b = &l->best[slot];
    if (l->is_here[slot])
        return 0;
    *best = (slm_best){.id = b->index, .logit = b->value, .n = b->n, .sum = b->sum,
                       .named = l->n_named[slot] > 0 ? b->named : NULL,
                       .is_finite = (int)b->is_finite};
    return 1;
}

#endif
