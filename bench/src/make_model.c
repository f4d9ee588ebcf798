/* Writes a full-size model file filled with random but valid weights: names, shapes, order and
 * types of the tensors are those of the real file, so that speed and memory are real; the text is
 * noise. Weights have a standard deviation near 0.02, and there is no NaN or infinity. The same
 * command gives the same bytes.
 *
 *   slm_make_model SHAPE TYPE OUT.gguf [--layers N] [--seed N] [--old-qkv]
 *   slm_make_model SHAPE TYPE --types      lists "NAME TYPE NE0xNE1" for each tensor
 *   slm_make_model --list                  lists the shapes and types
 *
 * TYPE is one that `slm quantize` knows, or I2_S for BitNet. The vocabulary is a byte-level BPE of
 * the right size that can encode any text. */
#include "../../tools/quantize_mix.h"

#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum rope_kind { ROPE_NONE, ROPE_PLAIN, ROPE_FREQS, ROPE_LONG } rope_kind;

typedef struct shape {
    const char *name, *arch, *pre;
    uint32_t d_model, n_layers, n_heads, n_kv_heads, d_head, d_ff, n_vocab;
    int tied;
    float theta, eps;
    uint32_t n_ctx, n_ctx_original, n_rot, window;
    rope_kind rope;
    float rope_factor;
} shape;

/* Of the scans of SambaY; they have twice as many channels as the residual stream. */
enum { D_STATE = 16, N_CONV = 4 };
static int is_sambay(const shape *s) { return strcmp(s->arch, "phi4flash") == 0; }

/* clang-format off */
static const shape shapes[] = {
    {"llama-3.2-1b", "llama", "llama-bpe", 2048, 16, 32, 8, 64, 8192, 128256, 1, 5e5f, 1e-5f,
     131072, 0, 64, 0, ROPE_FREQS, 32},
    {"llama-3.2-3b", "llama", "llama-bpe", 3072, 28, 24, 8, 128, 8192, 128256, 1, 5e5f, 1e-5f,
     131072, 0, 128, 0, ROPE_FREQS, 32},
    {"llama-3.1-8b", "llama", "llama-bpe", 4096, 32, 32, 8, 128, 14336, 128256, 0, 5e5f, 1e-5f,
     131072, 0, 128, 0, ROPE_FREQS, 8},
    {"phi-4-mini", "phi3", "gpt-4o", 3072, 32, 24, 8, 128, 8192, 200064, 1, 1e4f, 1e-5f,
     131072, 4096, 96, 262144, ROPE_LONG, 0},
    {"phi-3-mini", "phi3", "llama-bpe", 3072, 32, 32, 32, 96, 8192, 32064, 0, 1e4f, 1e-5f,
     4096, 4096, 96, 2047, ROPE_PLAIN, 0},
    {"qwen2.5-0.5b", "qwen2", "qwen2", 896, 24, 14, 2, 64, 4864, 151936, 1, 1e6f, 1e-6f,
     32768, 0, 64, 0, ROPE_PLAIN, 0},
    {"qwen2.5-7b", "qwen2", "qwen2", 3584, 28, 28, 4, 128, 18944, 152064, 0, 1e6f, 1e-6f,
     32768, 0, 128, 0, ROPE_PLAIN, 0},
    {"qwen3-0.6b", "qwen3", "qwen2", 1024, 28, 16, 8, 128, 3072, 151936, 1, 1e6f, 1e-6f,
     40960, 0, 128, 0, ROPE_PLAIN, 0},
    {"bitnet-2b4t", "bitnet-b1.58", "llama-bpe", 2560, 30, 20, 5, 128, 6912, 128256, 1, 5e5f,
     1e-5f, 4096, 0, 128, 0, ROPE_PLAIN, 0},
    {"phi-4-mini-flash", "phi4flash", "gpt-4o", 2560, 32, 40, 20, 64, 10240, 200064, 1, 0, 1e-5f,
     262144, 0, 0, 512, ROPE_NONE, 0},
    {"tiny-flash", "phi4flash", "gpt-4o", 256, 8, 8, 4, 32, 512, 1024, 1, 0, 1e-5f,
     4096, 0, 0, 48, ROPE_NONE, 0},
};
/* clang-format on */
#define N_SHAPES (sizeof shapes / sizeof *shapes)

/* BitNet's own format, which no other model has: ternary matrices, the embedding in half floats. */
static const slm_mix i2_s_mix = {"I2_S", 40, SLM_DTYPE_I2_S};

typedef struct tensor {
    char name[64];
    uint32_t type, n_dims;
    uint64_t ne[4];
} tensor;

typedef struct maker {
    shape s;
    const slm_mix *mix;
    int old_qkv;
    uint64_t seed;
    tensor *tensors;
    size_t n_tensors;
    slm_host host;
    slm_gguf_writer *writer;
    slm_error error;
} maker;

/* ---------------------------------------------------------------- tensors -------------------- */

static void add(maker *m, int layer, const char *name, uint64_t ne0, uint64_t ne1) {
    tensor *t = &m->tensors[m->n_tensors++];
    if (layer >= 0)
        snprintf(t->name, sizeof t->name, "blk.%d.%s", layer, name);
    else
        snprintf(t->name, sizeof t->name, "%s", name);
    t->n_dims = ne1 > 0 ? 2 : 1;
    t->ne[0] = ne0;
    t->ne[1] = ne1 > 0 ? ne1 : 1;
    t->ne[2] = t->ne[3] = 1;
    slm_mix_model model = {m->s.n_layers, m->s.n_heads, m->s.n_kv_heads, m->s.tied, m->old_qkv};
    slm_str str = {t->name, strlen(t->name)};
    if (m->mix != &i2_s_mix)
        t->type = slm_mix_type(m->mix, &model, str, t->n_dims, ne0);
    else
        t->type = t->n_dims < 2 ? SLM_DTYPE_LIMIT : layer < 0 ? SLM_DTYPE_F16 : SLM_DTYPE_I2_S;
    if (t->type == SLM_DTYPE_LIMIT)
        t->type = SLM_DTYPE_F32;
}

/* A layer of SambaY: even ones are scans up to the middle and then gates on the last of these, odd
 * ones attention, which behind that of the middle has queries alone. */
static void add_sambay_layer(maker *m, int i) {
    static const char *const lambdas[] = {"attn_lambda_k1.weight", "attn_lambda_k2.weight",
                                          "attn_lambda_q1.weight", "attn_lambda_q2.weight"};
    const shape *s = &m->s;
    uint64_t d = s->d_model, inner = 2 * d, dt_rank = d / 16;
    uint64_t q = (uint64_t)s->n_heads * s->d_head, kv = (uint64_t)s->n_kv_heads * s->d_head;
    int half = (int)s->n_layers / 2;
    uint64_t n_qkv = i <= half + 1 ? q + 2 * kv : q;
    if (i % 2 == 1) {
        for (int j = 0; j < 4; j++)
            add(m, i, lambdas[j], s->d_head, 0);
        add(m, i, "attn_output.bias", d, 0);
        add(m, i, "attn_output.weight", q, d);
        add(m, i, "attn_qkv.bias", n_qkv, 0);
        add(m, i, "attn_qkv.weight", d, n_qkv);
        add(m, i, "attn_subln.weight", 2 * (uint64_t)s->d_head, 0);
    } else if (i <= half) {
        add(m, i, "ssm_a", D_STATE, inner);
        add(m, i, "ssm_conv1d.bias", inner, 0);
        add(m, i, "ssm_conv1d.weight", N_CONV, inner);
        add(m, i, "ssm_d", inner, 0);
        add(m, i, "ssm_dt.bias", inner, 0);
        add(m, i, "ssm_dt.weight", dt_rank, inner);
        add(m, i, "ssm_in.weight", d, 2 * inner);
        add(m, i, "ssm_out.weight", inner, d);
        add(m, i, "ssm_x.weight", inner, dt_rank + 2 * D_STATE);
    } else {
        add(m, i, "gmu_in.weight", d, inner);
        add(m, i, "gmu_out.weight", inner, d);
    }
    add(m, i, "attn_norm.bias", d, 0);
    add(m, i, "attn_norm.weight", d, 0);
    add(m, i, "ffn_down.weight", s->d_ff, d);
    add(m, i, "ffn_norm.bias", d, 0);
    add(m, i, "ffn_norm.weight", d, 0);
    add(m, i, "ffn_up.weight", d, 2 * (uint64_t)s->d_ff);
}

/* In the order in which quantizers write them. */
static void add_layer(maker *m, int i) {
    const shape *s = &m->s;
    if (is_sambay(s)) {
        add_sambay_layer(m, i);
        return;
    }
    uint64_t d = s->d_model, ff = s->d_ff;
    uint64_t q = (uint64_t)s->n_heads * s->d_head, kv = (uint64_t)s->n_kv_heads * s->d_head;
    int qwen2 = strcmp(s->arch, "qwen2") == 0, qwen3 = strcmp(s->arch, "qwen3") == 0;
    int bitnet = strcmp(s->arch, "bitnet-b1.58") == 0;
    if (strcmp(s->arch, "phi3") == 0) {
        add(m, i, "attn_norm.weight", d, 0);
        add(m, i, "attn_output.weight", q, d);
        add(m, i, "attn_qkv.weight", d, q + 2 * kv);
        add(m, i, "ffn_down.weight", ff, d);
        add(m, i, "ffn_norm.weight", d, 0);
        add(m, i, "ffn_up.weight", d, 2 * ff);
        return;
    }
    if (qwen2)
        add(m, i, "attn_k.bias", kv, 0);
    add(m, i, "attn_k.weight", d, kv);
    if (qwen3)
        add(m, i, "attn_k_norm.weight", s->d_head, 0);
    add(m, i, "attn_norm.weight", d, 0);
    add(m, i, "attn_output.weight", q, d);
    if (qwen2)
        add(m, i, "attn_q.bias", q, 0);
    add(m, i, "attn_q.weight", d, q);
    if (qwen3)
        add(m, i, "attn_q_norm.weight", s->d_head, 0);
    if (bitnet)
        add(m, i, "attn_sub_norm.weight", q, 0);
    if (qwen2)
        add(m, i, "attn_v.bias", kv, 0);
    add(m, i, "attn_v.weight", d, kv);
    add(m, i, "ffn_down.weight", ff, d);
    add(m, i, "ffn_gate.weight", d, ff);
    add(m, i, "ffn_norm.weight", d, 0);
    if (bitnet)
        add(m, i, "ffn_sub_norm.weight", ff, 0);
    add(m, i, "ffn_up.weight", d, ff);
}

static void add_all(maker *m) {
    const shape *s = &m->s;
    if (!s->tied)
        add(m, -1, "output.weight", s->d_model, s->n_vocab);
    if (is_sambay(s))
        add(m, -1, "output_norm.bias", s->d_model, 0);
    add(m, -1, "output_norm.weight", s->d_model, 0);
    if (s->rope == ROPE_LONG) {
        add(m, -1, "rope_factors_long.weight", s->n_rot / 2, 0);
        add(m, -1, "rope_factors_short.weight", s->n_rot / 2, 0);
    }
    if (s->rope == ROPE_FREQS)
        add(m, -1, "rope_freqs.weight", s->n_rot / 2, 0);
    add(m, -1, "token_embd.weight", s->d_model, s->n_vocab);
    for (uint32_t i = 0; i < s->n_layers; i++)
        add_layer(m, (int)i);
}

/* ---------------------------------------------------------------- weights -------------------- */

#define SIGMA 0.02f

/* Where a block keeps its scale d (and its minimum), and what makes the standard deviation of
 * uniformly random quants 1. */
typedef struct scale_rule {
    uint32_t type;
    int d_at, min_at; /* min_at -1: no minimum                                                      */
    float d, min;     /* min in units of d                                                          */
} scale_rule;

static const scale_rule scale_rules[] = {
    {SLM_DTYPE_Q4_0, 0, -1, 1 / 4.6f, 0},      {SLM_DTYPE_Q4_1, 0, 2, 1 / 4.6f, -7.5f},
    {SLM_DTYPE_Q5_0, 0, -1, 1 / 9.2f, 0},      {SLM_DTYPE_Q5_1, 0, 2, 1 / 9.2f, -15.5f},
    {SLM_DTYPE_Q8_0, 0, -1, 1 / 74.0f, 0},     {SLM_DTYPE_Q2_K, 80, 82, 1 / 14.0f, 1.5f},
    {SLM_DTYPE_Q3_K, 108, -1, 1 / 42.0f, 0},   {SLM_DTYPE_Q4_K, 0, 2, 1 / 265.0f, 7.5f},
    {SLM_DTYPE_Q5_K, 0, 2, 1 / 530.0f, 15.5f}, {SLM_DTYPE_Q6_K, 208, -1, 1 / 1370.0f, 0},
    {SLM_DTYPE_IQ4_NL, 0, -1, 1 / 69.0f, 0},   {SLM_DTYPE_IQ4_XS, 0, -1, 1 / 1280.0f, 0},
    {SLM_DTYPE_TQ1_0, 52, -1, 1 / 0.82f, 0},   {SLM_DTYPE_TQ2_0, 64, -1, 1 / 0.82f, 0},
};

static void put_u16(uint8_t *to, uint16_t v) {
    to[0] = (uint8_t)v;
    to[1] = (uint8_t)(v >> 8);
}

static void random_bytes(uint8_t *to, size_t n, slm_rng *rng) {
    uint64_t v;
    for (; n >= 8; n -= 8, to += 8) {
        v = slm_rng_next(rng);
        memcpy(to, &v, 8);
    }
    v = slm_rng_next(rng);
    memcpy(to, &v, n);
}

/* Four ternary digits in fields of two bits; a field is never 3. */
static uint8_t two_bit_trits(uint8_t random) {
    unsigned v = random % 81u;
    return (uint8_t)(v % 3 | v / 3 % 3 << 2 | v / 9 % 3 << 4 | v / 27 << 6);
}

/* TQ1_0 packs n_digits as a fraction of 3^5 in a byte, rounded up. */
static uint8_t packed_trits(uint8_t random, unsigned n_digits) {
    unsigned v = n_digits == 5 ? random % 243u : random % 81u * 3;
    return (uint8_t)((v * 256 + 242) / 243);
}

static void random_floats(uint32_t type, uint8_t *to, size_t n, slm_rng *rng) {
    for (size_t i = 0; i < n; i++) {
        float x = SIGMA * 1.7320508f * (float)(2 * slm_rng_double(rng) - 1);
        if (type == SLM_DTYPE_F32)
            memcpy(to + 4 * i, &x, 4);
        else
            put_u16(to + 2 * i, type == SLM_DTYPE_F16 ? slm_f32_to_f16(x) : slm_f32_to_bf16(x));
    }
}

static void random_blocks(uint32_t type, uint8_t *to, size_t n_blocks, slm_rng *rng) {
    const slm_dtype_info *info = slm_dtype_get(type);
    if (info->block == 1) {
        random_floats(type, to, n_blocks, rng);
        return;
    }
    random_bytes(to, n_blocks * info->bytes, rng);
    if (type == SLM_DTYPE_I2_S) {
        for (size_t i = 0; i < n_blocks * info->bytes; i++)
            to[i] = two_bit_trits(to[i]);
        return;
    }
    const scale_rule *rule = scale_rules;
    while (rule->type != type)
        rule++;
    for (size_t b = 0; b < n_blocks; b++, to += info->bytes) {
        float d = SIGMA * rule->d * (float)(0.5 + slm_rng_double(rng));
        if (rule->min_at < 0 && slm_rng_next(rng) >> 63) /* no common sign, so no common mean */
            d = -d;
        put_u16(to + rule->d_at, slm_f32_to_f16(d));
        if (rule->min_at >= 0)
            put_u16(to + rule->min_at, slm_f32_to_f16(d * rule->min));
        for (size_t i = 0; i < 64 && type == SLM_DTYPE_TQ2_0; i++)
            to[i] = two_bit_trits(to[i]);
        for (size_t i = 0; i < 52 && type == SLM_DTYPE_TQ1_0; i++)
            to[i] = packed_trits(to[i], i < 48 ? 5 : 4);
    }
}

static void named_floats(const maker *m, const tensor *t, float *x, slm_rng *rng) {
    size_t n = (size_t)t->ne[0];
    const char *end = strrchr(t->name, '.');
    for (size_t i = 0; i < n; i++)
        x[i] = 1; /* norms, short factors */
    if (strstr(t->name, "ssm_dt.bias") != NULL) { /* time steps of a hundredth to a tenth */
        for (size_t i = 0; i < n; i++)
            x[i] = (float)(-4.6 + 2.3 * slm_rng_double(rng));
    } else if (strcmp(end, ".bias") == 0 || strstr(t->name, "lambda") != NULL) {
        for (size_t i = 0; i < n; i++)
            x[i] = (float)(0.2 * slm_rng_double(rng) - 0.1);
    } else if (strcmp(t->name, "rope_factors_long.weight") == 0) {
        for (size_t i = 0; i < n; i++)
            x[i] = 1 + 31 * (float)i / (float)(n - 1);
    } else if (strcmp(t->name, "rope_freqs.weight") == 0) {
        /* Low frequencies are divided by the factor, high ones left, between them a ramp. */
        const double low = 1, high = 4, original = 8192, factor = (double)m->s.rope_factor;
        for (size_t i = 0; i < n; i++) {
            double wave = 2 * 3.14159265358979323846 *
                          pow((double)m->s.theta, 2.0 * (double)i / m->s.n_rot);
            double ramp = (original / wave - low) / (high - low);
            double keep = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
            x[i] = (float)(1 / ((1 - keep) / factor + keep));
        }
    }
}

/* A tensor's bytes come in pieces, each from a generator of its own, so that threads can share the
 * work without changing a bit. */
#define PIECE_BLOCKS 16384u
#define BATCH_PIECES 16u

static slm_status write_tensor(maker *m, size_t index, uint8_t *buffer) {
    const tensor *t = &m->tensors[index];
    const slm_dtype_info *info = slm_dtype_get(t->type);
    if (strstr(t->name, "ssm_a") != NULL) { /* what trained ones begin as */
        float *x = (float *)(void *)buffer;
        size_t n = (size_t)(t->ne[0] * t->ne[1]);
        for (size_t i = 0; i < n; i++)
            x[i] = -(float)(1 + i % t->ne[0]);
        return slm_gguf_writer_data(m->writer, buffer, n * sizeof *x, &m->error);
    }
    if (t->n_dims == 1) {
        slm_rng rng;
        slm_rng_seed(&rng, m->seed * 1000003 + index);
        named_floats(m, t, (float *)(void *)buffer, &rng);
        return slm_gguf_writer_data(m->writer, buffer, (size_t)t->ne[0] * 4, &m->error);
    }
    size_t n_blocks = (size_t)(t->ne[0] * t->ne[1] / info->block), done = 0;
    size_t batch = (size_t)PIECE_BLOCKS * BATCH_PIECES;
    while (done < n_blocks) {
        size_t n = n_blocks - done < batch ? n_blocks - done : batch;
        int pieces = (int)((n + PIECE_BLOCKS - 1) / PIECE_BLOCKS);
#pragma omp parallel for schedule(dynamic)
        for (int p = 0; p < pieces; p++) {
            slm_rng rng;
            size_t first = (size_t)p * PIECE_BLOCKS;
            size_t count = n - first < PIECE_BLOCKS ? n - first : PIECE_BLOCKS;
            slm_rng_seed(&rng, (m->seed * 1000003 + index) * 1000003 + done + first);
            random_blocks(t->type, buffer + first * info->bytes, count, &rng);
        }
        SLM_TRY(slm_gguf_writer_data(m->writer, buffer, n * info->bytes, &m->error));
        done += n;
    }
    if (t->type == SLM_DTYPE_I2_S) {
        float scale = SIGMA / 0.82f;
        uint8_t tail[32] = {0};
        memcpy(tail, &scale, sizeof scale);
        return slm_gguf_writer_data(m->writer, tail, sizeof tail, &m->error);
    }
    return SLM_OK;
}

/* ---------------------------------------------------------------- vocabulary ----------------- */

/* A string array in the making, as the file has it: lengths and bytes in turn. */
typedef struct strings {
    uint8_t *data;
    size_t len;
    uint64_t count;
} strings;

static void put_string(strings *s, const char *text, size_t len) {
    uint64_t n = len;
    memcpy(s->data + s->len, &n, 8);
    memcpy(s->data + s->len + 8, text, len);
    s->len += 8 + len;
    s->count++;
}

/* The letter that stands for a byte in byte-level BPE (GPT-2): itself where it is printable, else
 * the next of those from U+0100 on. */
static size_t byte_letter(char *to, unsigned byte) {
    unsigned code = byte, hidden = 0;
    for (unsigned b = 0; b <= byte; b++) {
        int shown = (b > 32 && b < 127) || (b > 160 && b != 173);
        if (b == byte && !shown)
            code = 256 + hidden;
        hidden += !shown;
    }
    if (code < 128) {
        to[0] = (char)code;
        return 1;
    }
    to[0] = (char)(0xc0 | code >> 6);
    to[1] = (char)(0x80 | (code & 63));
    return 2;
}

#define N_CONTROL 16u

static slm_status array(maker *m, const char *key, slm_gguf_type type, uint64_t count,
                        const void *data, uint64_t bytes) {
    slm_gguf_kv kv = {{key, strlen(key)}, SLM_GGUF_ARRAY, type, count, data, bytes, 0};
    return slm_gguf_writer_copy(m->writer, &kv, &m->error);
}

/* All bytes, then pairs, then triples, each with its merge; letters and the blank come first. */
static slm_status write_vocab(maker *m) {
    uint32_t n = m->s.n_vocab, last = n - N_CONTROL;
    strings tokens = {malloc((size_t)n * 32), 0, 0}, merges = {malloc((size_t)n * 32), 0, 0};
    int32_t *kinds = malloc((size_t)n * sizeof *kinds);
    char letter[256][2], text[32];
    uint8_t order[256], length[256];
    size_t n_order = 0;
    if (tokens.data == NULL || merges.data == NULL || kinds == NULL) {
        free(tokens.data);
        free(merges.data);
        free(kinds);
        return slm_fail_nomem(&m->error, (uint64_t)n * 68, "the vocabulary");
    }
    for (unsigned b = 0; b < 256; b++)
        length[b] = (uint8_t)byte_letter(letter[b], b);
    for (unsigned b = 'a'; b <= 'z'; b++)
        order[n_order++] = (uint8_t)b;
    order[n_order++] = ' ';
    for (unsigned b = 0; b < 256; b++)
        if ((b < 'a' || b > 'z') && b != ' ')
            order[n_order++] = (uint8_t)b;
    for (unsigned b = 0; b < 256; b++)
        put_string(&tokens, letter[b], length[b]);
    for (size_t triple = 0; triple < 2; triple++)
        for (size_t a = 0; a < 65536 && tokens.count < last; a++) {
            /* the a-th pair, and each of the 27 usual letters behind it; or the pair itself */
            const uint8_t x = order[a / 256], y = order[a % 256];
            for (size_t c = 0; c < (triple ? 27 : 1) && tokens.count < last; c++) {
                const uint8_t z = order[c];
                size_t head = length[x], len = head + length[y];
                memcpy(text, letter[x], length[x]);
                memcpy(text + head, letter[y], length[y]);
                if (triple) {
                    head = len;
                    memcpy(text + head, letter[z], length[z]);
                    len += length[z];
                }
                put_string(&tokens, text, len);
                memmove(text + head + 1, text + head, len - head);
                text[head] = ' ';
                put_string(&merges, text, len + 1);
            }
        }
    for (uint32_t i = 0; i < n; i++)
        kinds[i] = i < last ? 1 : 3; /* normal, control */
    for (unsigned i = 0; i < N_CONTROL; i++)
        put_string(&tokens, text, (size_t)snprintf(text, sizeof text, "<|special_%u|>", i));
    slm_status s = slm_gguf_writer_str(m->writer, "tokenizer.ggml.model", (slm_str){"gpt2", 4},
                                       &m->error);
    if (s == SLM_OK)
        s = slm_gguf_writer_str(m->writer, "tokenizer.ggml.pre",
                                (slm_str){m->s.pre, strlen(m->s.pre)}, &m->error);
    if (s == SLM_OK)
        s = array(m, "tokenizer.ggml.tokens", SLM_GGUF_STRING, tokens.count, tokens.data,
                  tokens.len);
    if (s == SLM_OK)
        s = array(m, "tokenizer.ggml.token_type", SLM_GGUF_I32, n, kinds, (uint64_t)n * 4);
    if (s == SLM_OK)
        s = array(m, "tokenizer.ggml.merges", SLM_GGUF_STRING, merges.count, merges.data,
                  merges.len);
    if (s == SLM_OK)
        s = slm_gguf_writer_u32(m->writer, "tokenizer.ggml.bos_token_id", last, &m->error);
    if (s == SLM_OK)
        s = slm_gguf_writer_u32(m->writer, "tokenizer.ggml.eos_token_id", last + 1, &m->error);
    free(tokens.data);
    free(merges.data);
    free(kinds);
    return s;
}

/* ---------------------------------------------------------------- metadata ------------------- */

static slm_status u32(maker *m, const char *name, uint32_t value) {
    char key[96];
    snprintf(key, sizeof key, "%s.%s", m->s.arch, name);
    return slm_gguf_writer_u32(m->writer, key, value, &m->error);
}
static slm_status f32(maker *m, const char *name, float value) {
    char key[96];
    snprintf(key, sizeof key, "%s.%s", m->s.arch, name);
    return slm_gguf_writer_f32(m->writer, key, value, &m->error);
}
static slm_status str(maker *m, const char *key, const char *text) {
    return slm_gguf_writer_str(m->writer, key, (slm_str){text, strlen(text)}, &m->error);
}

static slm_status write_sambay_metadata(maker *m) {
    const shape *s = &m->s;
    int32_t kinds[1024];
    char key[96];
    for (uint32_t i = 0, half = s->n_layers / 2; i < s->n_layers; i++)
        kinds[i] = i % 2 == 0 ? (i <= half ? 0 : 3) : i < half ? 1 : i == half + 1 ? 2 : 4;
    snprintf(key, sizeof key, "%s.layer_types", s->arch);
    SLM_TRY(array(m, key, SLM_GGUF_I32, s->n_layers, kinds, s->n_layers * sizeof *kinds));
    SLM_TRY(f32(m, "attention.layer_norm_epsilon", s->eps));
    SLM_TRY(u32(m, "ssm.inner_size", 2 * s->d_model));
    SLM_TRY(u32(m, "ssm.state_size", D_STATE));
    SLM_TRY(u32(m, "ssm.conv_kernel", N_CONV));
    return u32(m, "ssm.time_step_rank", s->d_model / 16);
}

static slm_status write_metadata(maker *m) {
    const shape *s = &m->s;
    char name[64];
    snprintf(name, sizeof name, "synthetic %s", s->name);
    SLM_TRY(str(m, "general.architecture", s->arch));
    SLM_TRY(str(m, "general.name", name));
    SLM_TRY(slm_gguf_writer_u32(m->writer, "general.file_type", m->mix->file_type, &m->error));
    SLM_TRY(slm_gguf_writer_u32(m->writer, "general.quantization_version", 2, &m->error));
    SLM_TRY(u32(m, "block_count", s->n_layers));
    SLM_TRY(u32(m, "context_length", s->n_ctx));
    SLM_TRY(u32(m, "embedding_length", s->d_model));
    SLM_TRY(u32(m, "feed_forward_length", s->d_ff));
    SLM_TRY(u32(m, "attention.head_count", s->n_heads));
    SLM_TRY(u32(m, "attention.head_count_kv", s->n_kv_heads));
    SLM_TRY(u32(m, "attention.key_length", s->d_head));
    SLM_TRY(u32(m, "attention.value_length", s->d_head));
    SLM_TRY(f32(m, "attention.layer_norm_rms_epsilon", s->eps));
    if (s->rope != ROPE_NONE) {
        SLM_TRY(f32(m, "rope.freq_base", s->theta));
        SLM_TRY(u32(m, "rope.dimension_count", s->n_rot));
    }
    if (is_sambay(s))
        SLM_TRY(write_sambay_metadata(m));
    SLM_TRY(u32(m, "vocab_size", s->n_vocab));
    if (s->n_ctx_original > 0)
        SLM_TRY(u32(m, "rope.scaling.original_context_length", s->n_ctx_original));
    if (s->window > 0)
        SLM_TRY(u32(m, "attention.sliding_window", s->window));
    if (s->rope == ROPE_LONG)
        SLM_TRY(f32(m, "rope.scaling.attn_factor",
                    sqrtf(1 + logf((float)s->n_ctx / (float)s->n_ctx_original) /
                                  logf((float)s->n_ctx_original))));
    return write_vocab(m);
}

static slm_status write_file(maker *m, const char *path, slm_out **out) {
    size_t largest = 64; /* bytes of a block, of what is written at a time */
    SLM_TRY(slm_gguf_writer_open(&m->host, &m->writer, &m->error));
    SLM_TRY(write_metadata(m));
    for (size_t i = 0; i < m->n_tensors; i++) {
        const tensor *t = &m->tensors[i];
        slm_str name = {t->name, strlen(t->name)};
        SLM_TRY(slm_gguf_writer_tensor(m->writer, name, t->type, t->n_dims, t->ne, &m->error));
        if (slm_dtype_get(t->type)->bytes > largest)
            largest = slm_dtype_get(t->type)->bytes;
    }
    SLM_TRY(slm_out_open(&m->host, path, out, &m->error));
    SLM_TRY(slm_gguf_writer_begin(m->writer, *out, &m->error));
    uint8_t *buffer = malloc(largest * PIECE_BLOCKS * BATCH_PIECES);
    if (buffer == NULL)
        return slm_fail_nomem(&m->error, largest * PIECE_BLOCKS * BATCH_PIECES, "weights");
    slm_status s = SLM_OK;
    for (size_t i = 0; i < m->n_tensors && s == SLM_OK; i++)
        s = write_tensor(m, i, buffer);
    free(buffer);
    SLM_TRY(s);
    SLM_TRY(slm_gguf_writer_finish(m->writer, &m->error));
    return slm_out_commit(out, &m->error);
}

/* ---------------------------------------------------------------- command line --------------- */

static int usage(void) {
    fprintf(stderr, "usage: slm_make_model SHAPE TYPE OUT.gguf [--layers N] [--seed N] [--old-qkv]\n"
                    "       slm_make_model SHAPE TYPE --types\n"
                    "       slm_make_model --list\n");
    return 2;
}

static int list(void) {
    printf("shapes:");
    for (size_t i = 0; i < N_SHAPES; i++)
        printf(" %s", shapes[i].name);
    printf("\ntypes: I2_S");
    for (size_t i = 0; slm_mix_at(i) != NULL; i++)
        printf(" %s", slm_mix_at(i)->name);
    printf("\n");
    return 0;
}

static const shape *find_shape(const char *name) {
    for (size_t i = 0; i < N_SHAPES; i++)
        if (strcmp(shapes[i].name, name) == 0)
            return &shapes[i];
    return NULL;
}

static int parse_number(const char *text, uint64_t *out) {
    char *end;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0';
}

static int run(maker *m, const char *path) {
    m->tensors = calloc((size_t)m->s.n_layers * 16 + 8, sizeof *m->tensors);
    if (m->tensors == NULL) {
        fprintf(stderr, "slm_make_model: no memory\n");
        return 1;
    }
    add_all(m);
    if (path == NULL) {
        for (size_t i = 0; i < m->n_tensors; i++) {
            const tensor *t = &m->tensors[i];
            printf("%s %s %llu", t->name, slm_dtype_get(t->type)->name,
                   (unsigned long long)t->ne[0]);
            printf(t->n_dims > 1 ? "x%llu\n" : "\n", (unsigned long long)t->ne[1]);
        }
        free(m->tensors);
        return 0;
    }
    slm_out *out = NULL;
    slm_status s = write_file(m, path, &out);
    slm_out_abandon(&out);
    slm_gguf_writer_close(m->writer);
    free(m->tensors);
    if (s != SLM_OK)
        fprintf(stderr, "slm_make_model: %s\n", m->error.message);
    return s != SLM_OK;
}

int main(int argc, char **argv) {
    const char *names[3] = {NULL, NULL, NULL};
    int n_names = 0, types = 0;
    uint64_t number = 0, layers = 0;
    maker m = {.seed = 1, .error = SLM_ERROR_INIT};
    slm_host_init(&m.host, NULL, NULL, NULL, SLM_LOG_NONE);
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--types") == 0) {
            types = 1;
        } else if (strcmp(argv[i], "--old-qkv") == 0) {
            m.old_qkv = 1;
        } else if (strcmp(argv[i], "--layers") == 0 || strcmp(argv[i], "--seed") == 0) {
            int is_seed = argv[i][2] == 's';
            if (++i == argc || !parse_number(argv[i], &number) || (!is_seed && number > 1000))
                return usage();
            if (is_seed)
                m.seed = number;
            else
                layers = number;
        } else if (n_names < 3 && argv[i][0] != '-') {
            names[n_names++] = argv[i];
        } else {
            return usage();
        }
    }
    if (n_names != (types ? 2 : 3))
        return usage();
    const shape *s = find_shape(names[0]);
    m.mix = strcmp(names[1], "I2_S") == 0 ? &i2_s_mix : slm_mix_find(names[1]);
    if (s == NULL || m.mix == NULL || (m.mix == &i2_s_mix && strcmp(s->arch, "bitnet-b1.58") != 0)) {
        fprintf(stderr, "slm_make_model: no %s \"%s\"; --list shows what there is\n",
                s == NULL ? "shape" : "such type for this shape:",
                s == NULL ? names[0] : names[1]);
        return 2;
    }
    m.s = *s;
    if (layers > 0)
        m.s.n_layers = (uint32_t)layers;
    return run(&m, names[2]);
}
