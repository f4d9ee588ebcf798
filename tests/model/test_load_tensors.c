/* Tensors that make no model: each of every family missing, of another shape or type, or with
 * values that are no numbers; files that end inside them. */
#define _XOPEN_SOURCE 700
#include "model/load_expect.h"

#include "gguf/gguf.h"
#include "support/temp_folder.h"

#include <fcntl.h>
#include <unistd.h>

static const char *const families[] = {"llama", "phi3", "qwen2", "qwen3", "bitnet-b1.58"};

/* The tensors that a family's tiny model has, every one of which it needs. */
typedef struct part {
    char name[64];
    uint32_t n_dims;
    uint64_t ne[2];
} part;
static part parts[40];
static size_t n_parts;

static void list_parts(const char *family) {
    size_t size;
    gb *b = tiny_model(&(tiny_tweak){.arch = family});
    const uint8_t *bytes = gb_finish(b, &size);
    slm_host host;
    slm_file *file = NULL;
    slm_gguf *g = NULL;
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    assert_int_equal(slm_file_open_memory(&host, bytes, size, SLM_LOAD_MAP, &file, NULL), SLM_OK);
    assert_int_equal(slm_gguf_open_file(&host, file, 0, &g, NULL), SLM_OK);
    n_parts = (size_t)slm_gguf_n_tensors(g);
    assert_in_range(n_parts, 10, sizeof parts / sizeof parts[0]);
    for (size_t i = 0; i < n_parts; i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(g, i);
        snprintf(parts[i].name, sizeof parts[i].name, "%.*s", (int)t->name.len, t->name.ptr);
        parts[i].n_dims = t->n_dims;
        memcpy(parts[i].ne, t->ne, sizeof parts[i].ne);
    }
    slm_gguf_close(g);
    gb_free(b);
}

#define EACH_FAMILY(f)                                                                             \
    for (const char *const *f = families; f < families + sizeof families / sizeof *families; f++)
#define EACH_PART(family, p)                                                                       \
    list_parts(family);                                                                            \
    for (const part *p = parts; p < parts + n_parts; p++)

WRITES(nothing, (void)b)

static void each_tensor_missing(void **state) {
    (void)state;
    EACH_FAMILY (f) {
        EXPECT((&(tiny_tweak){.arch = *f}), SLM_MODEL_STRICT | SLM_MODEL_CHECK_TENSORS, SLM_OK);
        EACH_PART (*f, p) {
            tiny_tweak t = {.arch = *f, .name = p->name, .emit = nothing};
            EXPECT(&t, 0, SLM_ERR_MISSING,
                   say("tensor %s is missing, which architecture %s requires", p->name, *f));
        }
    }
}

/* What stands in the place of a tensor. */
static part other;
static uint32_t other_type;
WRITES(write_other, gb_tensor(b, other.name, other_type, other.n_dims,
                              (const uint64_t[]){other.ne[0], other.ne[1], 2}, NULL))

/* Another shape than p's; 0 where there is none of that kind. */
static int reshape(const part *p, int kind) {
    other = *p;
    other_type = SLM_DTYPE_F32;
    switch (kind) {
    case 0: other.ne[0]--; return 1;
    case 1: other.ne[0]++; return 1;
    case 2: other.ne[1]--; return p->n_dims == 2;
    case 3: other.ne[1]++; other.n_dims = 2; return 1;
    case 4: other.n_dims = 3; return 1;
    case 5: other.ne[1] = other.n_dims = 1; return p->n_dims == 2;
    default: /* transposed */
        other.ne[0] = p->ne[1];
        other.ne[1] = p->ne[0];
        other.n_dims = 2;
        return p->ne[0] != p->ne[1];
    }
}

static const char *shape_of(const part *p, const char *before) {
    const char *rest = p->n_dims > 1 ? say(", %u", (unsigned)p->ne[1]) : "";
    return say("%s [%u%s", before, (unsigned)p->ne[0], rest);
}

static void each_tensor_of_another_shape(void **state) {
    (void)state;
    EACH_FAMILY (f) {
        EACH_PART (*f, p) {
            for (int kind = 0; kind < 7; kind++) {
                tiny_tweak t = {.arch = *f, .name = p->name, .emit = write_other};
                if (reshape(p, kind))
                    EXPECT(&t, 0, SLM_ERR_SHAPE, say("tensor %s: got shape ", p->name),
                           shape_of(&other, "got shape"), shape_of(p, "], wanted"));
            }
        }
    }
}

static void norms_and_biases_in_blocks(void **state) {
    (void)state;
    EACH_FAMILY (f) {
        EACH_PART (*f, p) {
            if (p->n_dims != 1)
                continue;
            other = *p;
            other_type = SLM_DTYPE_Q8_0;
            tiny_tweak t = {.arch = *f, .name = p->name, .emit = write_other};
            if (p->ne[0] % 32 != 0) {
                EXPECT(&t, 0, SLM_ERR_SHAPE, p->name, "wanted a multiple of 32 for Q8_0");
                continue;
            }
            EXPECT(&t, 0, SLM_ERR_TYPE,
                   say("tensor %s: got type Q8_0, wanted F32, F16 or BF16", p->name));
            other_type = SLM_DTYPE_BF16;
            EXPECT(&t, 0, SLM_OK);
        }
    }
}

static void each_tensor_of_odd_values(void **state) {
    (void)state;
    EACH_FAMILY (f) {
        EACH_PART (*f, p) {
            slm_error e = SLM_ERROR_INIT;
            tiny_tweak t = {.arch = *f, .name = p->name};
            EXPECT(&t, 0, SLM_OK); /* all zero */
            t.fill = 3.4028234e38f;
            slm_status status = try_model(&t, 0, &e);
            if (status != SLM_OK)
                check(__LINE__, status, &e, SLM_ERR_NUMERIC, (const char *const[]){"finite", NULL});
            static const float bad[] = {NAN, INFINITY, -INFINITY};
            for (int i = 0; i < 3; i++) {
                t.fill = bad[i];
                if (p->n_dims == 1)
                    EXPECT(&t, 0, SLM_ERR_NUMERIC,
                           say("tensor %s: element 0 is not a finite number", p->name));
                else
                    EXPECT(&t, SLM_MODEL_CHECK_TENSORS, SLM_ERR_NUMERIC,
                           say("tensor %s: row 0 holds a value that is not a finite", p->name));
            }
        }
    }
}

/* ---- blocks ---- */

/* Where the scales of a block are, halves of 16 bits; none for types without blocks. */
static const struct scales {
    uint32_t type;
    int at[2];
} scales[] = {{SLM_DTYPE_Q4_0, {0, -1}},   {SLM_DTYPE_Q4_1, {0, 2}},    {SLM_DTYPE_Q5_0, {0, -1}},
              {SLM_DTYPE_Q5_1, {0, 2}},    {SLM_DTYPE_Q8_0, {0, -1}},   {SLM_DTYPE_Q2_K, {80, 82}},
              {SLM_DTYPE_Q3_K, {108, -1}}, {SLM_DTYPE_Q4_K, {0, 2}},    {SLM_DTYPE_Q5_K, {0, 2}},
              {SLM_DTYPE_Q6_K, {208, -1}}, {SLM_DTYPE_IQ4_NL, {0, -1}}, {SLM_DTYPE_IQ4_XS, {0, -1}},
              {SLM_DTYPE_TQ1_0, {52, -1}}, {SLM_DTYPE_TQ2_0, {64, -1}}, {SLM_DTYPE_F16, {0, -1}}};
enum { N_SCALES = sizeof scales / sizeof scales[0] };

/* ffn_down of layer 1 of a model four times as wide: 128 rows of 256. */
#define DOWN "blk.1.ffn_down.weight"
static uint8_t down_data[128 * 256 * 2];
static uint32_t down_type;
WRITES(write_down, gb_tensor(b, DOWN, down_type, 2, (const uint64_t[]){256, 128}, down_data))

/* All blocks with the same scales and the same byte of quants. Returns the bytes of a row. */
static size_t fill_down(const struct scales *s, uint8_t quants, uint16_t scale) {
    const slm_dtype_info *info = slm_dtype_get(s->type);
    size_t row = 256 / info->block * info->bytes;
    down_type = s->type;
    memset(down_data, quants, sizeof down_data);
    for (size_t at = 0; at < 128 * row; at += info->bytes)
        for (int i = 0; i < 2; i++)
            if (s->at[i] >= 0)
                memcpy(down_data + at + s->at[i], &scale, 2);
    return row;
}

static void scales_that_are_no_numbers(void **state) {
    (void)state;
    static const uint16_t bad[] = {0x7e00, 0x7c00, 0xfc00}; /* NaN, +inf, -inf */
    tiny_tweak t = {.name = DOWN, .emit = write_down, .scale = 4};
    for (size_t k = 0; k < N_SCALES; k++) {
        size_t block = slm_dtype_get(scales[k].type)->bytes;
        size_t row = fill_down(&scales[k], 0x11, 0x2000);
        EXPECT(&t, SLM_MODEL_CHECK_TENSORS, SLM_OK);
        const size_t blocks[] = {0, 64 * row, 128 * row - block}; /* first, middle, last */
        for (size_t i = 0; i < 9; i++) {
            uint8_t held[292];
            uint8_t *at = down_data + blocks[i / 3];
            memcpy(held, at, block);
            for (int part_of_block = 0; part_of_block < 2; part_of_block++) {
                if (scales[k].at[part_of_block] < 0)
                    continue;
                memcpy(at + scales[k].at[part_of_block], &bad[i % 3], 2);
                EXPECT(&t, SLM_MODEL_CHECK_TENSORS, SLM_ERR_NUMERIC,
                       say("tensor %s: row %zu holds a value that is not a finite number", DOWN,
                           blocks[i / 3] / row));
                if (bad[i % 3] == 0x7e00) /* unchecked at opening, it is noticed when it shows */
                    EXPECT(&t, 0, SLM_ERR_NUMERIC, "not finite");
                memcpy(at, held, block);
            }
        }
    }
}

/* I2_S has one scale, behind the blocks, and it is always looked at. */
static float i2_s_scale;
static void write_i2_s(gb *b) {
    uint8_t data[128 * 32 + 32] = {0};
    memset(data, 0x55, 128 * 32);
    memcpy(data + 128 * 32, &i2_s_scale, 4);
    gb_tensor(b, "blk.0.attn_q.weight", SLM_DTYPE_I2_S, 2, (const uint64_t[]){128, 128}, data);
}

static void the_scale_of_a_ternary_tensor(void **state) {
    (void)state;
    tiny_tweak t = {
        .arch = "bitnet-b1.58", .name = "blk.0.attn_q.weight", .emit = write_i2_s, .scale = 4};
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        i2_s_scale = bad[i];
        EXPECT(&t, 0, SLM_ERR_NUMERIC,
               "tensor blk.0.attn_q.weight: its scale is not a finite number");
    }
    static const float good[] = {1, 0, 3.4028234e38f};
    for (int i = 0; i < 2; i++) {
        i2_s_scale = good[i];
        EXPECT(&t, SLM_MODEL_CHECK_TENSORS, SLM_OK);
    }
    i2_s_scale = good[2];
    slm_error e = SLM_ERROR_INIT;
    slm_status status = try_model(&t, 0, &e);
    assert_true(status == SLM_OK || status == SLM_ERR_NUMERIC);
    t.arch = "llama"; /* where the number means another type, long removed */
    EXPECT(&t, 0, SLM_ERR_UNSUP, "tensor blk.0.attn_q.weight: type I2_S (36) is not supported");
}

static void blocks_of_zeros_and_of_huge_values(void **state) {
    (void)state;
    tiny_tweak t = {.name = DOWN, .emit = write_down, .scale = 4};
    for (size_t k = 0; k < N_SCALES; k++) {
        fill_down(&scales[k], 0, 0);
        EXPECT(&t, SLM_MODEL_CHECK_TENSORS, SLM_OK);
        fill_down(&scales[k], 0x7f, 0x7bff);
        slm_error e = SLM_ERROR_INIT;
        slm_status status = try_model(&t, SLM_MODEL_CHECK_TENSORS, &e);
        if (status != SLM_OK)
            check(__LINE__, status, &e, SLM_ERR_NUMERIC, (const char *const[]){"finite", NULL});
    }
}

/* ---- tensors besides ---- */

static void extra_tensors(gb *b) {
    gb_tensor_random(b, "blk.0.surprise.weight", 1, (const uint64_t[]){5}, 0.2f, 9);
    gb_tensor_random(b, "blk.1.surprise.weight", 1, (const uint64_t[]){5}, 0.2f, 9);
}

static void an_unknown_tensor(void **state) {
    (void)state;
    tiny_tweak t = {.extra = extra_tensors};
    EXPECT(&t, 0, SLM_OK);
    assert_string_equal(warnings, "tensor blk.0.surprise.weight is not part of architecture llama: "
                                  "ignored\n");
    EXPECT(&t, SLM_MODEL_STRICT, SLM_ERR_UNSUP,
           "tensor blk.0.surprise.weight is not part of architecture llama");
}

static uint64_t rows;
WRITES(embedding_of, gb_tensor(b, "token_embd.weight", 0, 2, (const uint64_t[]){32, rows}, NULL))
WRITES(output_of, gb_tensor_random(b, "output.weight", 2, (const uint64_t[]){32, rows}, 0.2f, 5))

/* Without an output matrix the embedding serves, in every family. */
static void embedding_and_output(void **state) {
    (void)state;
    EACH_FAMILY (f) {
        tiny_tweak embedding = {.arch = *f, .name = "token_embd.weight", .emit = embedding_of};
        tiny_tweak output = {.arch = *f, .extra = output_of};
        for (rows = 263; rows <= 265; rows += 2) {
            const char *got = say("got shape [32, %u]", (unsigned)rows);
            EXPECT(&embedding, 0, SLM_ERR_SHAPE, "tensor token_embd.weight", got,
                   "wanted [32, 264]");
            EXPECT(&output, 0, SLM_ERR_SHAPE, "tensor output.weight", got, "wanted [32, 264]");
        }
        rows = 264;
        EXPECT(&output, SLM_MODEL_STRICT, SLM_OK);
        rows = 0;
        EXPECT(&embedding, 0, SLM_ERR_RANGE,
               "tensor 'token_embd.weight': dimension 1 is 0, wanted 1 to");
    }
}

static const char *factors[2];
static float factor;
static uint64_t n_factors;
static void rope_factors(gb *b) {
    const float data[16] = {factor, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    for (int i = 0; i < 2; i++)
        if (factors[i] != NULL)
            gb_tensor(b, factors[i], 0, 1, &n_factors, data);
}

static void the_factors_of_rope(void **state) {
    (void)state;
    static const char *const names[] = {"rope_freqs.weight", "rope_factors_short.weight",
                                        "rope_factors_long.weight"};
    for (int i = 0; i < 3; i++) {
        tiny_tweak t = {.arch = i == 0 ? "llama" : "phi3", .extra = rope_factors};
        factors[0] = names[i];
        factors[1] = i == 0 ? NULL : names[3 - i];
        n_factors = 8;
        factor = 2;
        EXPECT(&t, SLM_MODEL_STRICT, SLM_OK);
        for (int sign = -1; sign < 1; sign++) {
            factor = (float)sign;
            EXPECT(&t, 0, SLM_ERR_RANGE, "tensor rope_f",
                   say(": element 0 is %d, wanted a positive divisor", sign));
        }
        factor = NAN;
        EXPECT(&t, 0, SLM_ERR_NUMERIC, ": element 0 is not a finite number");
        factor = 2;
        for (n_factors = 7; n_factors <= 9; n_factors += 2)
            EXPECT(&t, 0, SLM_ERR_SHAPE, "tensor rope_f",
                   say("got shape [%u], wanted [8]", (unsigned)n_factors));
    }
    factors[0] = names[2];
    factors[1] = NULL;
    n_factors = 8;
    EXPECT((&(tiny_tweak){.arch = "phi3", .extra = rope_factors}), 0, SLM_ERR_MISSING,
           "tensor rope_factors_short.weight is missing, which architecture phi3 requires");
}

/* ---- the end of the file ---- */

static void files_cut_at_their_end(void **state) {
    (void)state;
    static const size_t cuts[] = {1, 127, 128, 4095, 4096};
    char path[700];
    size_t size;
    gb *b = tiny_model(NULL);
    const uint8_t *bytes = gb_finish(b, &size);
    snprintf(path, sizeof path, "%s", temp_path("cut.gguf"));
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        temp_write(path, bytes, size - cuts[i]);
        const char *end = say("the file has %zu", size - cuts[i]);
        for (slm_load load = SLM_LOAD_AUTO; load <= SLM_LOAD_PACK; load++) {
            slm_model_options o = {.struct_size = sizeof o, .load = load};
            int fd = open(path, O_RDONLY);
            for (int way = 0; way < 3; way++) {
                slm_error e = SLM_ERROR_INIT;
                slm_model *m = (slm_model *)&e;
                slm_status status =
                    way == 0   ? slm_model_open(path, &o, &m, &e)
                    : way == 1 ? slm_model_open_fd(fd, &o, &m, &e)
                               : slm_model_open_memory(bytes, size - cuts[i], &o, &m, &e);
                assert_null(m);
                check(__LINE__, status, &e, SLM_ERR_TRUNC,
                      (const char *const[]){way == 0   ? "cut.gguf: tensor '"
                                            : way == 1 ? "descriptor: tensor '"
                                                       : "memory: tensor '",
                                            "the data, ", end, NULL});
            }
            close(fd);
        }
    }
    gb_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_tensor_missing),
        cmocka_unit_test(each_tensor_of_another_shape),
        cmocka_unit_test(norms_and_biases_in_blocks),
        cmocka_unit_test(each_tensor_of_odd_values),
        cmocka_unit_test(scales_that_are_no_numbers),
        cmocka_unit_test(the_scale_of_a_ternary_tensor),
        cmocka_unit_test(blocks_of_zeros_and_of_huge_values),
        cmocka_unit_test(an_unknown_tensor),
        cmocka_unit_test(embedding_and_output),
        cmocka_unit_test(the_factors_of_rope),
        cmocka_unit_test(files_cut_at_their_end),
    };
    return cmocka_run_group_tests_name("load_tensors", tests, NULL, NULL);
}
