#include "guide/ranges.h"

#include <stdlib.h>

slm_status slm_ranges_add(slm_ranges *r, uint32_t lo, uint32_t hi, slm_error *error) {
    if (r->n == r->cap) {
        size_t cap = r->cap == 0 ? 16 : r->cap * 2;
        slm_cp_range *at = slm_realloc(r->host, r->at, cap * sizeof *at);
        if (at == NULL)
            return slm_fail_nomem(error, cap * sizeof *at, "a class of characters");
        r->at = at;
        r->cap = cap;
    }
    r->at[r->n++] = (slm_cp_range){lo, hi};
    return SLM_OK;
}

static int compare(const void *a, const void *b) {
    const slm_cp_range *x = a, *y = b;
    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

slm_status slm_ranges_finish(slm_ranges *r, int negate, slm_error *error) {
    size_t m = 0;
    if (r->n > 0)
        qsort(r->at, r->n, sizeof *r->at, compare);
    for (size_t i = 0; i < r->n; i++) {
        if (m > 0 && r->at[i].lo <= r->at[m - 1].hi + 1) {
            if (r->at[i].hi > r->at[m - 1].hi)
                r->at[m - 1].hi = r->at[i].hi;
        } else {
            r->at[m++] = r->at[i];
        }
    }
    r->n = m;
    if (!negate)
        return SLM_OK;
    uint32_t next = 0;
    for (size_t i = 0; i < m; i++) {
        slm_cp_range taken = r->at[i];
        r->at[i] =
            (slm_cp_range){next, taken.lo - 1}; /* empty where taken.lo is next: dropped below */
        next = taken.hi + 1;
    }
    if (m > 0 &&
        r->at[0].hi == UINT32_MAX) { /* only the first can be empty: the rest do not touch */
        for (size_t i = 1; i < m; i++)
            r->at[i - 1] = r->at[i];
        r->n = m - 1;
    }
    return next <= SLM_MAX_CODE_POINT ? slm_ranges_add(r, next, SLM_MAX_CODE_POINT, error) : SLM_OK;
}

void slm_ranges_free(slm_ranges *r) {
    slm_free(r->host, r->at);
    *r = (slm_ranges){.host = r->host};
}
