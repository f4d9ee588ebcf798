#include "playout.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void playout_init(playout *p) {
    *p = (playout){.gain = 1, .ramp = 1};
}

void playout_free(playout *p) {
    free(p->samples);
    free(p->marks);
    *p = (playout){0};
}

void playout_clear(playout *p) {
    p->first = p->n = p->n_marks = 0;
    p->played = 0;
    p->held = false;
    p->ramp = 1;
}

bool playout_add(playout *p, const int16_t *x, size_t n) {
    if (p->first + p->n + n > p->cap) {
        size_t cap = 2 * (p->n + n);
        int16_t *moved = malloc(cap * sizeof *moved);
        if (!moved)
            return false;
        if (p->n > 0)
            memcpy(moved, p->samples + p->first, p->n * sizeof *moved);
        free(p->samples);
        p->samples = moved;
        p->cap = cap;
        p->first = 0;
    }
    if (x)
        memcpy(p->samples + p->first + p->n, x, n * sizeof *x);
    else
        memset(p->samples + p->first + p->n, 0, n * sizeof *x);
    p->n += n;
    if (p->n_marks > 0)
        p->marks[p->n_marks - 1].last = p->played + p->n;
    return true;
}

bool playout_mark(playout *p, uint64_t begin, uint64_t end, bool is_answer, int pause_ms) {
    if (p->n_marks > 0) {
        uint64_t last = p->marks[p->n_marks - 1].last;
        if (!playout_add(p, NULL, (size_t)pause_ms * LINE_RATE / 1000))
            return false;
        p->marks[p->n_marks - 1].last = last; /* the pause is nobody's */
    }
    if (p->n_marks == p->cap_marks) {
        size_t cap = 2 * p->cap_marks + 8;
        mark *grown = realloc(p->marks, cap * sizeof *grown);
        if (!grown)
            return false;
        p->marks = grown;
        p->cap_marks = cap;
    }
    uint64_t at = p->played + p->n;
    p->marks[p->n_marks++] = (mark){at, at, begin, end, is_answer};
    return true;
}

void playout_spoil(playout *p) {
    if (p->n_marks > 0)
        p->marks[p->n_marks - 1].end = p->marks[p->n_marks - 1].begin;
}

bool playout_is_empty(const playout *p) {
    return p->n == 0;
}

double playout_ms(const playout *p) {
    return (double)p->n * 1000 / LINE_RATE;
}

void playout_render(playout *p, int16_t block[LINE_BLOCK]) {
    const double step = 1.0 / LINE_BLOCK; /* a fade takes a block */
    for (int i = 0; i < LINE_BLOCK; i++) {
        block[i] = 0;
        p->ramp = p->held ? fmax(p->ramp - step, 0) : fmin(p->ramp + step, 1);
        if (p->n == 0 || p->ramp == 0)
            continue;
        block[i] = (int16_t)lrint(fmax(fmin(p->samples[p->first] * p->gain * p->ramp, 32767), -32768));
        p->first++;
        p->n--;
        p->played++;
    }
}

bool playout_answers(const playout *p) {
    size_t i = p->n_marks;
    while (i > 0 && p->marks[i - 1].first >= p->played)
        i--;
    return i > 0 && p->marks[i - 1].is_answer;
}

uint64_t playout_heard(const playout *p, const char *answer) {
    uint64_t heard = 0;
    for (size_t i = 0; i < p->n_marks; i++) {
        const mark *m = &p->marks[i];
        if (p->played <= m->first || m->end <= m->begin || m->last == m->first)
            continue;
        if (p->played >= m->last && p->n == 0) {
            heard = m->end;
            continue;
        }
        double share = fmin((double)(p->played - m->first) / (double)(m->last - m->first), 1);
        uint64_t at = m->begin + (uint64_t)(share * (double)(m->end - m->begin));
        if (at < m->end) /* back to where a word ends */
            while (at > m->begin && !isspace((unsigned char)answer[at]))
                at--;
        heard = at;
    }
    return heard;
}
