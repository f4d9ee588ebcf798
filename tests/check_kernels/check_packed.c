/* Packed weights: packing loses nothing and is the same at every level, and products of panels by
 * tiles are the bits of the portable products of rows by rows, whatever the shape. */
#include "check.h"

#include "packed.h"

static slm_act rows_of(slm_act act) {
    return act == SLM_ACT_Q8_K_TILE ? SLM_ACT_Q8_K : SLM_ACT_Q8_0;
}

static void pack_and_unpack(check *c) {
    for (size_t i = 0; i < n_types; i++) {
        const type_info *t = &types[i];
        if (!slm_packs(t->type)) {
            if (slm_panel_bytes(t->type, t->block) != 0)
                fail(c, "%s has no packed form, but %zu bytes", t->name,
                     slm_panel_bytes(t->type, t->block));
            continue;
        }
        for (unsigned r = 0; r < 6 * c->rounds; r++) {
            size_t k = t->block * (1 + random_below(c, 9)), row = k / t->block * t->bytes;
            size_t n_w = r % 2 == 0 ? SLM_PANEL_ROWS : 1 + random_below(c, SLM_PANEL_ROWS);
            size_t w_bytes = row + random_below(c, 20), size = slm_panel_bytes(t->type, k);
            uint8_t *w = guard_alloc((n_w - 1) * w_bytes + row), *back = guard_alloc(row);
            uint8_t *panel = guard_alloc(size), *again = guard_alloc(size);
            for (size_t j = 0; j < (n_w - 1) * w_bytes + row; j++)
                w[j] = (uint8_t)random_below(c, 256);
            guard_freeze(w);
            memset(panel, 0xa5, size);
            memset(again, 0x5a, size);
            slm_pack_panel(t->type, panel, w, w_bytes, n_w, k);
            c->k->pack_panel(t->type, again, w, w_bytes, n_w, k);
            if (memcmp(panel, again, size) != 0)
                fail(c, "%s k %zu, %zu rows: another panel, or bytes that nothing was written to",
                     t->name, k, n_w);
            for (size_t j = 0; j < n_w; j++) {
                slm_unpack_row(t->type, back, panel, j, k);
                if (memcmp(back, w + j * w_bytes, row) != 0)
                    fail(c, "%s k %zu: row %zu of %zu came back otherwise", t->name, k, j, n_w);
            }
            if (size < SLM_PANEL_ROWS * row || size >= SLM_PANEL_ROWS * row + 64)
                fail(c, "%s k %zu: a panel of %zu bytes for rows of %zu", t->name, k, size, row);
            guard_release(c);
        }
    }
}

static void one_shape(check *c, int kind, float scale, size_t n_w, size_t n_a, size_t k) {
    const type_info *t = c->type;
    slm_act act = rows_of(c->act);
    size_t row = k / t->block * t->bytes, panel = slm_panel_bytes(t->type, k);
    size_t n_panels = (n_w + SLM_PANEL_ROWS - 1) / SLM_PANEL_ROWS;
    size_t a_bytes = slm_act_row_bytes(act, k), tile_bytes = slm_act_row_bytes(c->act, k);
    uint8_t *w = guard_alloc(n_w * row), *packed = guard_alloc(n_panels * panel);
    uint8_t *a = guard_alloc(n_a * a_bytes);
    uint8_t *tiles = guard_alloc(slm_act_bytes(c->act, n_a, k));
    float *want = guard_alloc(n_w * n_a * sizeof *want);
    size_t stride = n_w + random_below(c, 5);
    float *got = guard_alloc(((n_a - 1) * stride + n_w) * sizeof *got), *x = malloc(k * sizeof *x);
    if (x == NULL)
        exit(2);
    for (size_t i = 0; i < n_w; i++)
        random_weights(c, t, kind, w + i * row, k);
    for (size_t i = 0; i < n_w; i += SLM_PANEL_ROWS)
        slm_pack_panel(t->type, packed + i / SLM_PANEL_ROWS * panel, w + i * row, row,
                       n_w - i < SLM_PANEL_ROWS ? n_w - i : SLM_PANEL_ROWS, k);
    guard_freeze(packed);
    for (size_t j = 0; j < n_a; j++) {
        random_floats(c, x, k, scale);
        if (kind != BLOCK_RANDOM)
            for (size_t i = 0; i < k; i++)
                x[i] = (j % 3 == 0 ? x[i] < 0 : j % 3 == 1) ? -scale : scale;
        if (kind == BLOCK_RANDOM && n_a > 2 && j == 1)
            x[random_below(c, k)] = random_below(c, 2) ? NAN : -INFINITY;
        c->ref->quantize[act](a + j * a_bytes, x, k);
    }
    for (size_t i = 0, at = random_below(c, n_a); i < n_a; i++) { /* in any order */
        size_t j = (at + i) % n_a;
        c->k->put_row(c->act, tiles, n_a, j, a + j * a_bytes, k);
    }
    free(x);
    guard_freeze(tiles);
    for (size_t i = 0; i < (n_a - 1) * stride + n_w; i++)
        got[i] = 12345.0f;
    c->ref->matmul[t->type][act](want, n_w, w, row, n_w, a, a_bytes, n_a, k);
    c->k->matmul[t->type][c->act](got, stride, packed, panel, n_w, tiles, tile_bytes, n_a, k);
    for (size_t j = 0; j < n_a; j++) {
        for (size_t i = 0; i < n_w; i++) {
            float u = got[j * stride + i], v = want[j * n_w + i];
            if (float_bits(u) != float_bits(v) && !(isnan(u) && isnan(v))) {
                fail(c, "n_w %zu n_a %zu k %zu: y[%zu][%zu] = %.9g, by rows %.9g", n_w, n_a, k, j,
                     i, (double)u, (double)v);
                guard_release(c);
                return;
            }
        }
        for (size_t i = n_w; i < stride && j + 1 < n_a; i++)
            if (float_bits(got[j * stride + i]) != float_bits(12345.0f))
                fail(c, "wrote y between rows %zu and %zu", j, j + 1);
    }
    guard_release(c);
}

static void random_shapes(check *c) {
    static const size_t widths[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 17, 24, 31, 40};
    size_t unit = c->act == SLM_ACT_Q8_K_TILE ? 256 : 32, most = 2048 / unit;
    for (unsigned r = 0; r < c->rounds; r++)
        for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
            size_t n_w = i % 4 == 0 ? 16 : 1 + random_below(c, 50);
            one_shape(c, BLOCK_RANDOM, 1.5f, n_w, widths[i], unit * (1 + random_below(c, most)));
        }
}

/* More columns, and more panels, than any level takes at a time. */
static void wide_shapes(check *c) {
    size_t unit = c->act == SLM_ACT_Q8_K_TILE ? 256 : 32;
    for (unsigned r = 0; r < c->rounds; r++) {
        one_shape(c, BLOCK_RANDOM, 1.5f, 1 + random_below(c, 40), 41 + random_below(c, 60),
                  unit * (1 + random_below(c, 3)));
        one_shape(c, BLOCK_RANDOM, 1.5f, 1 + random_below(c, 20), 193 + random_below(c, 200),
                  unit * (1 + random_below(c, 2)));
        one_shape(c, BLOCK_RANDOM, 1.5f, 129 + random_below(c, 16), 177 + random_below(c, 16),
                  unit);
    }
}

/* Where AMX begins to pad, and more of k by more columns than it takes in one piece. */
static void deep_shapes(check *c) {
    static const size_t widths[] = {14, 15, 16, 32};
    size_t unit = c->act == SLM_ACT_Q8_K_TILE ? 256 : 32;
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++)
        one_shape(c, BLOCK_RANDOM, 1.5f, 1 + random_below(c, 50), widths[i], 2 * unit);
    one_shape(c, BLOCK_RANDOM, 1.5f, 33 + random_below(c, 16), 257, 256 * 19 + unit);
}

static void extremes(check *c) {
    static const float scales[] = {1.0f, 3e4f, 1e-20f, 0x1p-101f, 0.0f};
    size_t unit = c->act == SLM_ACT_Q8_K_TILE ? 256 : 32;
    for (int kind = BLOCK_LOW; kind < BLOCK_KINDS; kind++)
        for (size_t s = 0; s < sizeof scales / sizeof scales[0]; s++)
            one_shape(c, kind, scales[s], 5 + 12 * (s % 2), 1 + 4 * s, 2 * unit);
    for (int kind = BLOCK_LOW; kind < BLOCK_KINDS; kind++)
        one_shape(c, kind, 1.0f, 20, 30, 2 * unit);
    for (int kind = BLOCK_LOW; kind < BLOCK_KINDS; kind++)
        one_shape(c, kind, 1.0f, 40, 70, 2 * unit);
}

const check_test tests_packed[] = {
    {"pack_and_unpack", pack_and_unpack, 0, 0},
    {"packed_random", random_shapes, 0, 2},
    {"packed_wide", wide_shapes, 0, 2},
    {"packed_deep", deep_shapes, 0, 2},
    {"packed_extreme", extremes, 0, 2},
    {NULL, NULL, 0, 0},
};
