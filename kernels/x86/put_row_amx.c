/* Activations in the order of the tiles of AMX. */
#include "x86/level_amx.h"
#include "x86/packed_amx.h"

static void put_k(slm_amx_k *to, size_t i, const slm_act_q8_k *x) {
    int32_t total = 0;
    for (size_t s = 0; s < 4; s++)
        memcpy(to->q[s][i], x->q + 64 * s, 64);
    for (size_t s = 0; s < 16; s++)
        total += x->bsums[s];
    for (size_t s = 0; s < 4; s++)
        to->sums32[s][i] = (int32_t)slm_pair16(x->bsums[4 * s] + x->bsums[4 * s + 1],
                                               x->bsums[4 * s + 2] + x->bsums[4 * s + 3]);
    for (size_t s = 0; s < 8; s++)
        to->sums16[s][i] = (int32_t)slm_pair16(x->bsums[2 * s], x->bsums[2 * s + 1]);
    to->bias[0][i] = 32 * total;
    to->bias[1][i] = -124 * total;
    to->d[i] = x->d;
}

static void put_0(slm_amx_0 *to, size_t i, const slm_act_q8_0 *x, size_t n_blocks) {
    for (size_t s = 0; s < 8; s++) {
        if (s < n_blocks)
            memcpy(to->q[s / 2][i] + s % 2 * 32, x[s].q, 32);
        else
            memset(to->q[s / 2][i] + s % 2 * 32, 0, 32);
        to->d[s][i] = s < n_blocks ? x[s].d : 0;
    }
}

/* Columns that nobody has are multiplied, too. */
static void clear(slm_act act, void *groups, size_t at, size_t i) {
    if (act == SLM_ACT_Q8_K_TILE) {
        static const slm_act_q8_k zero;
        put_k((slm_amx_k *)groups + at, i, &zero);
    } else {
        put_0((slm_amx_0 *)groups + at, i, NULL, 0);
    }
}

SLM_AMX_PUT(slm_put_row_amx) {
    if (n_rows < SLM_AMX_LEAST) {
        slm_put_row(act, tiles, n_rows, r, row, k);
        return;
    }
    const size_t all = (n_rows + 15) / 16, n_blocks = (k + 31) / 32;
    for (size_t b = 0; b < n_blocks; b += 8) {
        const size_t at = b / 8 * all + r / 16;
        if (act == SLM_ACT_Q8_K_TILE)
            put_k((slm_amx_k *)tiles + at, r % 16, (const slm_act_q8_k *)row + b / 8);
        else
            put_0((slm_amx_0 *)tiles + at, r % 16, (const slm_act_q8_0 *)row + b, n_blocks - b);
        if (r + 1 == n_rows)
            for (size_t i = r % 16 + 1; i < 16; i++)
                clear(act, tiles, at, i);
    }
}
