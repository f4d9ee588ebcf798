/* The ternary blocks as integers -1, 0, 1 (TQ2_0: also 2, which the format can hold). */
#include "ref.h"

void slm_unpack_tq1_0(int16_t q[256], const slm_block_tq1_0 *b) {
    for (int n = 0; n < 5; n++) {
        for (int i = 0; i < 32; i++)
            q[32 * n + i] = (int16_t)(slm_trit(b->qs[i], n) - 1);
        for (int i = 0; i < 16; i++)
            q[160 + 16 * n + i] = (int16_t)(slm_trit(b->qs[32 + i], n) - 1);
    }
    for (int n = 0; n < 4; n++)
        for (int i = 0; i < 4; i++)
            q[240 + 4 * n + i] = (int16_t)(slm_trit(b->qh[i], n) - 1);
}

void slm_unpack_tq2_0(int16_t q[256], const slm_block_tq2_0 *b) {
    for (int g = 0; g < 8; g++)
        for (int i = 0; i < 32; i++)
            q[32 * g + i] = (int16_t)((b->qs[32 * (g / 4) + i] >> (2 * (g % 4)) & 3) - 1);
}
