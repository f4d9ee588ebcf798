#include "amx_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_TILES = 8, MAX_ROWS = 16, MAX_BYTES = 64 };

/* Of a thread: the registers. Rows and bytes are 0 while nothing is configured. */
static _Thread_local struct {
    int configured;
    unsigned rows[N_TILES], bytes[N_TILES];
    uint8_t data[N_TILES][MAX_ROWS][MAX_BYTES];
} tiles;

static _Thread_local amx_model_counts counts;

amx_model_counts amx_model_counted(void) {
    return counts;
}

static void require(int holds, const char *instruction, const char *rule) {
    if (holds)
        return;
    printf("FAIL amx model: %s: %s\n", instruction, rule);
    exit(1);
}

static void require_tile(unsigned t, const char *instruction) {
    require(tiles.configured, instruction, "no configuration is loaded");
    require(t < N_TILES && tiles.rows[t] > 0, instruction, "the tile is not configured");
}

/* Rows from `rows` on and bytes from `bytes` on become zero, as every write of a tile has it. */
static void clear_rest(unsigned t, unsigned rows, unsigned bytes) {
    for (unsigned r = 0; r < MAX_ROWS; r++)
        for (unsigned b = r < rows ? bytes : 0; b < MAX_BYTES; b++)
            tiles.data[t][r][b] = 0;
}

void amx_model_config(const void *config) {
    const uint8_t *p = config;
    const char *name = "ldtilecfg";
    require(!tiles.configured, name, "the configuration before was not released");
    require(p[0] == 1, name, "not palette 1");
    require(p[1] == 0, name, "a row to start from");
    for (size_t i = 2; i < 16; i++)
        require(p[i] == 0, name, "reserved bytes 2 to 15 are not zero");
    for (size_t i = 32; i < 48; i++)
        require(p[i] == 0, name, "reserved bytes 32 to 47 are not zero");
    for (size_t i = 56; i < 64; i++)
        require(p[i] == 0, name, "reserved bytes 56 to 63 are not zero");
    memset(&tiles, 0, sizeof tiles);
    for (size_t t = 0; t < N_TILES; t++) {
        uint16_t bytes;
        memcpy(&bytes, p + 16 + 2 * t, sizeof bytes);
        require(bytes <= MAX_BYTES && p[48 + t] <= MAX_ROWS, name, "a tile of over 16 by 64");
        require((bytes == 0) == (p[48 + t] == 0), name, "a tile with rows or bytes alone");
        tiles.bytes[t] = bytes;
        tiles.rows[t] = p[48 + t];
    }
    tiles.configured = 1;
}

void amx_model_release(void) {
    require(tiles.configured, "tilerelease", "no configuration is loaded");
    memset(&tiles, 0, sizeof tiles);
}

void amx_model_zero(unsigned t) {
    require_tile(t, "tilezero");
    clear_rest(t, 0, 0);
}

void amx_model_load(unsigned t, const void *from, size_t stride) {
    require_tile(t, "tileloadd");
    counts.loads++;
    for (unsigned r = 0; r < tiles.rows[t]; r++)
        memcpy(tiles.data[t][r], (const uint8_t *)from + r * stride, tiles.bytes[t]);
    clear_rest(t, tiles.rows[t], tiles.bytes[t]);
}

void amx_model_store(unsigned t, void *to, size_t stride) {
    require_tile(t, "tilestored");
    counts.stores++;
    for (unsigned r = 0; r < tiles.rows[t]; r++)
        memcpy((uint8_t *)to + r * stride, tiles.data[t][r], tiles.bytes[t]);
}

static int32_t word(const uint8_t *p) {
    int32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

void amx_model_product(unsigned c, unsigned a, unsigned b, int b_is_signed) {
    const char *name = b_is_signed ? "tdpbssd" : "tdpbsud";
    require_tile(a, name);
    require_tile(b, name);
    require_tile(c, name);
    counts.products++;
    require(a != b && a != c && b != c, name, "a tile is named twice");
    require(tiles.rows[c] == tiles.rows[a], name, "rows of sums are not those of the first factor");
    require(tiles.bytes[c] == tiles.bytes[b], name, "columns of sums are not those of the second");
    require(tiles.bytes[a] == 4 * tiles.rows[b], name, "the factors differ in k");
    require(tiles.bytes[a] % 4 == 0 && tiles.bytes[b] % 4 == 0, name, "a part of a word");
    for (unsigned m = 0; m < tiles.rows[a]; m++)
        for (unsigned k = 0; k < tiles.rows[b]; k++)
            for (unsigned n = 0; n < tiles.bytes[b] / 4; n++) {
                uint32_t sum = (uint32_t)word(tiles.data[c][m] + 4 * n);
                for (unsigned i = 0; i < 4; i++) {
                    int x = (int8_t)tiles.data[a][m][4 * k + i], y = tiles.data[b][k][4 * n + i];
                    sum += (uint32_t)(x * (b_is_signed ? (int8_t)y : y));
                }
                memcpy(tiles.data[c][m] + 4 * n, &sum, sizeof sum);
            }
    clear_rest(c, tiles.rows[a], tiles.bytes[b]);
}

void amx_model_check(void) {
    /* Two rows of eight bytes by two of two columns. */
    static const int8_t a[2][8] = {{1, -2, 3, -4, 5, -6, 7, -128}, {0, 0, 0, 127, -1, 0, 0, 0}};
    static const uint8_t b[2][8] = {{1, 2, 3, 4, 255, 0, 0, 255}, {0, 0, 0, 200, 128, 1, 1, 1}};
    static const int32_t want[2][2][2] = {
        {{1 - 4 + 9 - 16 - 128 * 200, 255 - 4 * 255 + 5 * 128 - 6 + 7 - 128},
         {4 * 127, 255 * 127 - 128}},
        {{1 - 4 + 9 - 16 - 128 * -56, -1 + 4 + 5 * -128 - 6 + 7 - 128}, {4 * 127, -127 + 128}}};
    uint8_t config[64] = {1};
    for (size_t t = 0; t < 3; t++) {
        config[16 + 2 * t] = 8;
        config[48 + t] = 2;
    }
    int32_t got[2][2];
    for (int is_signed = 0; is_signed < 2; is_signed++) {
        amx_model_config(config);
        amx_model_zero(0);
        amx_model_load(1, a, 8);
        amx_model_load(2, b, 8);
        for (int32_t times = 1; times < 3; times++) {
            amx_model_product(0, 1, 2, is_signed);
            amx_model_store(0, got, 8);
            for (size_t m = 0; m < 2; m++)
                for (size_t n = 0; n < 2; n++)
                    require(got[m][n] == times * want[is_signed][m][n],
                            is_signed ? "tdpbssd" : "tdpbsud", "another sum than by hand");
        }
        amx_model_release();
    }
}
