#include "run/pace.h"

#define WHOLE_TILES 32u /* of products with many rows: a part of a tile takes as long as all of it */

uint32_t slm_pace_rows(const slm_pace *p) {
    uint32_t least = p->max_rows < SLM_PACE_LEAST ? p->max_rows : SLM_PACE_LEAST;
    if (p->limit_ns <= 0)
        return p->max_rows;
    double fit = p->row_ns > 0 ? p->limit_ns / p->row_ns : 0;
    if (fit >= p->max_rows)
        return p->max_rows;
    uint32_t n = (uint32_t)fit;
    n -= n % (n >= WHOLE_TILES ? WHOLE_TILES : SLM_PACE_LEAST);
    return n > least ? n : least;
}

/* Rows cost less the more there are, so that a small step shows only the most that a row of a larger
 * one can cost. */
void slm_pace_learn(slm_pace *p, uint32_t n_rows, uint64_t ns) {
    double each = (double)(ns > 0 ? ns : 1) / n_rows;
    if (p->row_ns <= 0 || each < p->row_ns || 2 * (uint64_t)n_rows >= slm_pace_rows(p))
        p->row_ns = each;
}
