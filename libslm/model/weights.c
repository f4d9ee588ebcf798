#include "model/model.h"

#include "base/checked.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What binding works on: a cursor into the block of copied vectors, and which tensors were used. */
typedef struct slm_binder {
    slm_model *model;
    const slm_config *c;
    float *next;    /* free place in model->vectors */
    uint8_t *used;  /* [n_tensors] */
    slm_error *error;
} slm_binder;

static const slm_gguf_tensor *find(slm_binder *b, const char *name) {
    const slm_gguf_tensor *t = slm_gguf_find_tensor(b->model->gguf, name);
    if (t != NULL)
        b->used[t - slm_gguf_tensor_at(b->model->gguf, 0)] = 1;
    return t;
}

static slm_status missing(slm_binder *b, const char *name) {
    return slm_fail(b->error, SLM_ERR_MISSING, name, SLM_NO_OFFSET,
                    "tensor %s is missing, which architecture %s requires", name,
                    b->c->arch->name);
}

static slm_status wrong_shape(slm_binder *b, const char *name, const slm_gguf_tensor *t,
                              uint64_t n_in, uint64_t n_out) {
    char got[96];
    size_t used = 0;
    for (uint32_t i = 0; i < t->n_dims; i++)
        used += (size_t)snprintf(got + used, sizeof got - used, "%s%llu", i > 0 ? ", " : "",
                                 (unsigned long long)t->ne[i]);
    if (n_out == 0)
        return slm_fail(b->error, SLM_ERR_SHAPE, name, t->offset,
                        "tensor %s: got shape [%s], wanted [%llu]", name, got,
                        (unsigned long long)n_in);
    return slm_fail(b->error, SLM_ERR_SHAPE, name, t->offset,
                    "tensor %s: got shape [%s], wanted [%llu, %llu]", name, got,
                    (unsigned long long)n_in, (unsigned long long)n_out);
}

/* A vector of n floats, copied to aligned memory. */
static slm_status bind_vector(slm_binder *b, const char *name, uint32_t n, int required,
                              const float **out) {
    const slm_gguf_tensor *t = find(b, name);
    *out = NULL;
    if (t == NULL)
        return required ? missing(b, name) : SLM_OK;
    if (t->type != SLM_DTYPE_F32 && t->type != SLM_DTYPE_F16 && t->type != SLM_DTYPE_BF16)
        return slm_fail(b->error, SLM_ERR_TYPE, name, t->offset,
                        "tensor %s: got type %s, wanted F32, F16 or BF16", name,
                        slm_dtype_get(t->type)->name);
    if (t->n_elements != n || t->ne[0] != n)
        return wrong_shape(b, name, t, n, 0);
    float *dst = b->next;
    b->next += slm_round_up(n, 16);
    b->model->kernels.dequantize[t->type](dst, t->data, n);
    for (uint32_t i = 0; i < n; i++)
        if (!isfinite(dst[i]))
            return slm_fail(b->error, SLM_ERR_NUMERIC, name, t->offset,
                            "tensor %s: element %u is not a finite number", name, i);
    *out = dst;
    return SLM_OK;
}

/* n values for each channel of a scan, [channels][n] in the file, as the kernels want them. */
static slm_status bind_channels(slm_binder *b, const char *name, uint32_t n, const float **out) {
    const slm_gguf_tensor *t = find(b, name);
    uint32_t channels = b->c->d_inner;
    if (t == NULL)
        return missing(b, name);
    if (t->type != SLM_DTYPE_F32)
        return slm_fail(b->error, SLM_ERR_TYPE, name, t->offset,
                        "tensor %s: got type %s, wanted F32", name, slm_dtype_get(t->type)->name);
    if (t->ne[0] != n || t->ne[1] != channels || t->ne[2] != 1 || t->ne[3] != 1)
        return wrong_shape(b, name, t, n, channels);
    float *dst = b->next, row[SLM_MAX_SCAN_STATE];
    b->next += (size_t)n * channels;
    for (uint32_t e = 0; e < channels; e++) {
        memcpy(row, t->data + (size_t)e * n * sizeof *row, n * sizeof *row);
        for (uint32_t i = 0; i < n; i++) {
            if (!isfinite(row[i]))
                return slm_fail(b->error, SLM_ERR_NUMERIC, name, t->offset,
                                "tensor %s: element %u of row %u is not a finite number", name, i,
                                e);
            dst[((size_t)(e / SLM_SCAN_GROUP) * n + i) * SLM_SCAN_GROUP + e % SLM_SCAN_GROUP] =
                row[i];
        }
    }
    *out = dst;
    return SLM_OK;
}

/* Rows [first, first + n_out) of a matrix of rows_all rows. */
static slm_status bind_rows(slm_binder *b, const char *name, uint32_t n_in, uint64_t rows_all,
                            uint64_t first, uint32_t n_out, int in_layer, slm_linear *out) {
    const slm_gguf_tensor *t = find(b, name);
    if (t == NULL)
        return missing(b, name);
    if (t->ne[0] != n_in || t->ne[1] != rows_all || t->ne[2] != 1 || t->ne[3] != 1)
        return wrong_shape(b, name, t, n_in, rows_all);
    const slm_dtype_info *info = slm_dtype_get(t->type);
    if (!info->supported || (t->type == SLM_DTYPE_I2_S && !b->c->arch->i2_s))
        return slm_fail(b->error, SLM_ERR_UNSUP, name, t->offset,
                        "tensor %s: type %s (%u) is not supported for architecture %s", name,
                        info->name, t->type, b->c->arch->name);
    out->type = t->type;
    out->n_in = n_in;
    out->n_out = n_out;
    out->row_bytes = (size_t)(n_in / info->block) * info->bytes;
    out->w = t->data + first * out->row_bytes;
    out->panel_bytes = 0;
    out->part = t->part;
    out->offset = t->offset + first * out->row_bytes;
    out->bias = NULL;
    out->tiles = NULL;
    out->act = in_layer && b->c->arch->act_i8_row ? SLM_ACT_I8_ROW : slm_act_for(t->type);
    out->scale = 1.0f;
    if (t->type == SLM_DTYPE_I2_S) {
        memcpy(&out->scale, t->data + t->n_elements / 4, sizeof out->scale);
        if (!isfinite(out->scale))
            return slm_fail(b->error, SLM_ERR_NUMERIC, name, t->offset + t->n_elements / 4,
                            "tensor %s: its scale is not a finite number", name);
    }
    return SLM_OK;
}

static slm_status bind_matrix(slm_binder *b, const char *name, uint32_t n_in, uint32_t n_out,
                              slm_linear *out) {
    return bind_rows(b, name, n_in, n_out, 0, n_out, 1, out);
}

typedef struct slm_name {
    char text[64];
} slm_name;

static const char *in_layer(slm_name *name, uint32_t layer, const char *suffix) {
    snprintf(name->text, sizeof name->text, "blk.%u.%s", layer, suffix);
    return name->text;
}

static slm_status bind_qkv(slm_binder *b, uint32_t i, slm_layer *l) {
    const slm_config *c = b->c;
    slm_name n;
    uint32_t n_q = c->n_heads * c->d_head, n_kv = c->n_kv_heads * c->d_head;
    uint32_t all = l->mixer == SLM_MIXER_CROSS ? n_q : n_q + 2 * n_kv;
    int bias = c->arch->qkv_bias;
    if (c->arch->fused_qkv &&
        slm_gguf_find_tensor(b->model->gguf, in_layer(&n, i, "attn_qkv.weight")) != NULL) {
        const float *biases = NULL;
        SLM_TRY(bind_rows(b, n.text, c->d_model, all, 0, n_q, 1, &l->q));
        if (l->mixer != SLM_MIXER_CROSS) {
            SLM_TRY(bind_rows(b, n.text, c->d_model, all, n_q, n_kv, 1, &l->k));
            SLM_TRY(bind_rows(b, n.text, c->d_model, all, n_q + n_kv, n_kv, 1, &l->v));
        }
        if (!bias)
            return SLM_OK;
        SLM_TRY(bind_vector(b, in_layer(&n, i, "attn_qkv.bias"), all, 1, &biases));
        l->q.bias = biases;
        if (l->mixer != SLM_MIXER_CROSS) {
            l->k.bias = biases + n_q;
            l->v.bias = biases + n_q + n_kv;
        }
        return SLM_OK;
    }
    if (c->arch->fused_qkv &&
        slm_gguf_find_tensor(b->model->gguf, in_layer(&n, i, "attn_q.weight")) == NULL)
        return missing(b, in_layer(&n, i, "attn_qkv.weight"));
    SLM_TRY(bind_matrix(b, in_layer(&n, i, "attn_q.weight"), c->d_model, n_q, &l->q));
    SLM_TRY(bind_matrix(b, in_layer(&n, i, "attn_k.weight"), c->d_model, n_kv, &l->k));
    SLM_TRY(bind_matrix(b, in_layer(&n, i, "attn_v.weight"), c->d_model, n_kv, &l->v));
    SLM_TRY(bind_vector(b, in_layer(&n, i, "attn_q.bias"), n_q, bias, &l->q.bias));
    SLM_TRY(bind_vector(b, in_layer(&n, i, "attn_k.bias"), n_kv, bias, &l->k.bias));
    return bind_vector(b, in_layer(&n, i, "attn_v.bias"), n_kv, bias, &l->v.bias);
}

static slm_status bind_gate_up(slm_binder *b, uint32_t i, slm_layer *l) {
    const slm_config *c = b->c;
    slm_name n;
    if (c->arch->fused_gate_up &&
        slm_gguf_find_tensor(b->model->gguf, in_layer(&n, i, "ffn_gate.weight")) == NULL) {
        in_layer(&n, i, "ffn_up.weight");
        SLM_TRY(bind_rows(b, n.text, c->d_model, 2 * (uint64_t)c->d_ff, 0, c->d_ff, 1, &l->gate));
        return bind_rows(b, n.text, c->d_model, 2 * (uint64_t)c->d_ff, c->d_ff, c->d_ff, 1, &l->up);
    }
    SLM_TRY(bind_matrix(b, in_layer(&n, i, "ffn_gate.weight"), c->d_model, c->d_ff, &l->gate));
    return bind_matrix(b, in_layer(&n, i, "ffn_up.weight"), c->d_model, c->d_ff, &l->up);
}

/* Weights of a norm, and its bias where the family has LayerNorm. */
static slm_status bind_norm(slm_binder *b, const char *name, const float **weight,
                            const float **bias) {
    slm_name n;
    snprintf(n.text, sizeof n.text, "%s.weight", name);
    SLM_TRY(bind_vector(b, n.text, b->c->d_model, 1, weight));
    if (!b->c->arch->layer_norm)
        return SLM_OK;
    snprintf(n.text, sizeof n.text, "%s.bias", name);
    return bind_vector(b, n.text, b->c->d_model, 1, bias);
}

/* The factors of differential attention: lambda is one number for a layer, and that of the norm
 * behind the difference goes into its weights. */
static slm_status bind_differential(slm_binder *b, uint32_t i, slm_layer *l) {
    static const char *const names[] = {"attn_lambda_q1.weight", "attn_lambda_k1.weight",
                                        "attn_lambda_q2.weight", "attn_lambda_k2.weight"};
    slm_name n;
    const float *v[4];
    double dots[2] = {0, 0}, lambda_0 = 0.8 - 0.6 * exp(-0.3 * i);
    float *norm = b->next;
    SLM_TRY(bind_vector(b, in_layer(&n, i, "attn_subln.weight"), 2 * b->c->d_head, 1,
                        &l->pair_norm));
    for (uint32_t j = 0; j < 2 * b->c->d_head; j++)
        norm[j] *= (float)(1.0 - lambda_0);
    for (int j = 0; j < 4; j++)
        SLM_TRY(bind_vector(b, in_layer(&n, i, names[j]), b->c->d_head, 1, &v[j]));
    for (uint32_t j = 0; j < b->c->d_head; j++) {
        dots[0] += (double)v[0][j] * (double)v[1][j];
        dots[1] += (double)v[2][j] * (double)v[3][j];
    }
    l->lambda = (float)(exp(dots[0]) - exp(dots[1]) + lambda_0);
    if (!isfinite(l->lambda))
        return slm_fail(b->error, SLM_ERR_NUMERIC, n.text, SLM_NO_OFFSET,
                        "layer %u: lambda of its attention is not a finite number", i);
    return SLM_OK;
}

static slm_status bind_attention(slm_binder *b, uint32_t i, slm_layer *l) {
    const slm_config *c = b->c;
    slm_kv_group *groups = b->model->groups;
    slm_name n;
    uint32_t n_q = c->n_heads * c->d_head;
    SLM_TRY(bind_qkv(b, i, l));
    if (c->arch->qk_norm) {
        SLM_TRY(bind_vector(b, in_layer(&n, i, "attn_q_norm.weight"), c->d_head, 1, &l->q_norm));
        SLM_TRY(bind_vector(b, in_layer(&n, i, "attn_k_norm.weight"), c->d_head, 1, &l->k_norm));
    }
    if (c->arch->sub_norm)
        SLM_TRY(bind_vector(b, in_layer(&n, i, "attn_sub_norm.weight"), n_q, 1, &l->attn_sub_norm));
    if (c->arch->differential)
        SLM_TRY(bind_differential(b, i, l));
    SLM_TRY(bind_matrix(b, in_layer(&n, i, "attn_output.weight"), n_q, c->d_model, &l->attn_output));
    if (c->arch->output_bias)
        SLM_TRY(bind_vector(b, in_layer(&n, i, "attn_output.bias"), c->d_model, 1,
                            &l->attn_output.bias));
    l->kv_group = l->mixer != SLM_MIXER_ATTENTION;
    l->kv_index = l->mixer == SLM_MIXER_CROSS ? groups[1].n_layers - 1
                                              : groups[l->kv_group].n_layers++;
    return SLM_OK;
}

static slm_status bind_scan(slm_binder *b, uint32_t i, slm_layer *l) {
    const slm_config *c = b->c;
    slm_name n;
    uint32_t d = c->d_inner;
    SLM_TRY(bind_matrix(b, in_layer(&n, i, "ssm_in.weight"), c->d_model, 2 * d, &l->in));
    SLM_TRY(bind_channels(b, in_layer(&n, i, "ssm_conv1d.weight"), c->n_conv, &l->conv));
    SLM_TRY(bind_vector(b, in_layer(&n, i, "ssm_conv1d.bias"), d, 1, &l->conv_bias));
    SLM_TRY(bind_matrix(b, in_layer(&n, i, "ssm_x.weight"), d, c->dt_rank + 2 * c->d_state,
                        &l->scan_x));
    SLM_TRY(bind_matrix(b, in_layer(&n, i, "ssm_dt.weight"), c->dt_rank, d, &l->scan_dt));
    SLM_TRY(bind_vector(b, in_layer(&n, i, "ssm_dt.bias"), d, 1, &l->scan_dt.bias));
    SLM_TRY(bind_channels(b, in_layer(&n, i, "ssm_a"), c->d_state, &l->scan_a));
    SLM_TRY(bind_vector(b, in_layer(&n, i, "ssm_d"), d, 1, &l->scan_skip));
    l->scan_index = b->model->n_scans++;
    return bind_matrix(b, in_layer(&n, i, "ssm_out.weight"), d, c->d_model, &l->attn_output);
}

static slm_status bind_memory(slm_binder *b, uint32_t i, slm_layer *l) {
    const slm_config *c = b->c;
    slm_name n;
    SLM_TRY(bind_matrix(b, in_layer(&n, i, "gmu_in.weight"), c->d_model, c->d_inner, &l->in));
    return bind_matrix(b, in_layer(&n, i, "gmu_out.weight"), c->d_inner, c->d_model,
                       &l->attn_output);
}

static slm_status bind_layer(slm_binder *b, uint32_t i, slm_layer *l) {
    const slm_config *c = b->c;
    slm_name n;
    if (c->arch->mixer != NULL)
        l->mixer = c->arch->mixer(i, c->n_layers);
    SLM_TRY(bind_norm(b, in_layer(&n, i, "attn_norm"), &l->attn_norm, &l->attn_norm_bias));
    if (l->mixer == SLM_MIXER_SCAN)
        SLM_TRY(bind_scan(b, i, l));
    else if (l->mixer == SLM_MIXER_MEMORY)
        SLM_TRY(bind_memory(b, i, l));
    else
        SLM_TRY(bind_attention(b, i, l));
    if (l->mixer != SLM_MIXER_MEMORY && l->mixer != SLM_MIXER_CROSS)
        b->model->last_writer = i;
    if (c->arch->sub_norm)
        SLM_TRY(bind_vector(b, in_layer(&n, i, "ffn_sub_norm.weight"), c->d_ff, 1, &l->ffn_sub_norm));
    SLM_TRY(bind_norm(b, in_layer(&n, i, "ffn_norm"), &l->ffn_norm, &l->ffn_norm_bias));
    SLM_TRY(bind_gate_up(b, i, l));
    return bind_matrix(b, in_layer(&n, i, "ffn_down.weight"), c->d_ff, c->d_model, &l->down);
}

/* One table of frequencies, divided by the factors of a tensor if the file has it. */
static slm_status bind_rope(slm_binder *b, const char *name, int required, double **out) {
    const float *factors = NULL;
    uint32_t n_half = b->c->n_rot / 2;
    SLM_TRY(bind_vector(b, name, n_half, required, &factors));
    for (uint32_t i = 0; factors != NULL && i < n_half; i++)
        if (factors[i] <= 0.0f)
            return slm_fail(b->error, SLM_ERR_RANGE, name, SLM_NO_OFFSET,
                            "tensor %s: element %u is %g, wanted a positive divisor", name, i,
                            (double)factors[i]);
    double *table = slm_calloc(&b->model->host, n_half, sizeof *table);
    if (table == NULL)
        return slm_fail_nomem(b->error, n_half * sizeof *table, "RoPE frequencies");
    slm_rope_inv_freq(b->c, factors, table);
    *out = table;
    return SLM_OK;
}

static slm_status bind_global(slm_binder *b) {
    slm_model *m = b->model;
    const slm_config *c = b->c;
    SLM_TRY(bind_rows(b, "token_embd.weight", c->d_model, c->n_vocab, 0, c->n_vocab, 0, &m->embed));
    SLM_TRY(bind_norm(b, "output_norm", &m->output_norm, &m->output_norm_bias));
    if (slm_gguf_find_tensor(m->gguf, "output.weight") != NULL)
        SLM_TRY(bind_rows(b, "output.weight", c->d_model, c->n_vocab, 0, c->n_vocab, 0, &m->head));
    else
        m->head = m->embed; /* tied */
    if (c->arch->no_rope)
        return SLM_OK;
    if (c->arch->long_rope &&
        slm_gguf_find_tensor(m->gguf, "rope_factors_long.weight") != NULL) {
        SLM_TRY(bind_rope(b, "rope_factors_short.weight", 1, &m->inv_freq[0]));
        return bind_rope(b, "rope_factors_long.weight", 1, &m->inv_freq[1]);
    }
    return bind_rope(b, "rope_freqs.weight", 0, &m->inv_freq[0]);
}

static slm_status report_unused(slm_binder *b, uint32_t flags) {
    const slm_model *m = b->model;
    for (uint64_t i = 0, seen = 0; i < slm_gguf_n_tensors(m->gguf); i++) {
        if (b->used[i])
            continue;
        char name[72];
        const slm_gguf_tensor *t = slm_gguf_tensor_at(m->gguf, i);
        slm_escape(name, sizeof name, t->name.ptr, t->name.len);
        if (flags & SLM_MODEL_STRICT)
            return slm_fail(b->error, SLM_ERR_UNSUP, name, t->offset,
                            "tensor %s is not part of architecture %s", name, b->c->arch->name);
        if (seen++ == 0)
            slm_log(&m->host, SLM_LOG_WARNING, "tensor %s is not part of architecture %s: ignored",
                    name, b->c->arch->name);
    }
    return SLM_OK;
}

/* The biases of Q, K and V together are the longest vector. */
#define MAX_VECTOR (3 * (uint64_t)SLM_MAX_WIDTH)

/* What bind_channels copies. */
static int is_of_channels(const slm_model *m, const slm_gguf_tensor *t) {
    static const slm_str ends[] = {{".ssm_a", 6}, {".ssm_conv1d.weight", 18}};
    for (size_t i = 0; m->config.arch->recurrent && i < sizeof ends / sizeof ends[0]; i++)
        if (t->type == SLM_DTYPE_F32 && t->name.len > ends[i].len &&
            memcmp(t->name.ptr + t->name.len - ends[i].len, ends[i].ptr, ends[i].len) == 0)
            return 1;
    return 0;
}

/* Floats that all vectors of the file can need at most, each rounded up to 64 bytes. */
static slm_status count_vectors(const slm_model *m, size_t *total, slm_error *error) {
    size_t sum = 0;
    for (uint64_t i = 0; i < slm_gguf_n_tensors(m->gguf); i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(m->gguf, i);
        int is_vector = t->n_elements == t->ne[0] && t->ne[0] <= MAX_VECTOR;
        if (!is_vector && !is_of_channels(m, t))
            continue;
        if (!slm_add_size(sum, slm_round_up((size_t)t->n_elements, 16), &sum))
            return slm_fail_nomem(error, UINT64_MAX, "norms and biases");
    }
    *total = sum;
    return SLM_OK;
}

slm_status slm_weights_bind(slm_model *m, uint32_t flags, slm_error *error) {
    const slm_config *c = &m->config;
    size_t n_floats = 0, n_tensors = (size_t)slm_gguf_n_tensors(m->gguf);
    SLM_TRY(count_vectors(m, &n_floats, error));
    m->n_vectors = n_floats;
    m->layers = slm_calloc(&m->host, c->n_layers, sizeof *m->layers);
    m->vectors = slm_calloc(&m->host, n_floats, sizeof *m->vectors);
    uint8_t *used = slm_calloc(&m->host, n_tensors, 1);
    slm_binder b = {m, c, m->vectors, used, error};
    slm_status status = SLM_OK;
    if (m->layers == NULL || m->vectors == NULL || used == NULL)
        status = slm_fail_nomem(error, c->n_layers * sizeof *m->layers + n_floats * sizeof(float),
                                "layer tables, norms and biases");
    if (status == SLM_OK)
        status = bind_global(&b);
    for (uint32_t i = 0; status == SLM_OK && i < c->n_layers; i++)
        status = bind_layer(&b, i, &m->layers[i]);
    if (status == SLM_OK)
        status = report_unused(&b, flags);
    slm_free(&m->host, used);

    m->groups[0].window = c->window;
    m->n_groups = m->groups[1].n_layers > 0 ? 2 : 1;
    for (uint64_t i = 0; i < n_tensors; i++) {
        m->weight_bytes += slm_gguf_tensor_at(m->gguf, i)->bytes;
        m->n_parameters += slm_gguf_tensor_at(m->gguf, i)->n_elements;
    }
    return status;
}

slm_status slm_weights_check(const slm_model *m, slm_progress_fn progress, void *progress_user,
                             slm_error *error) {
    float x[SLM_QK];
    uint64_t done = 0;
    for (uint64_t i = 0; i < slm_gguf_n_tensors(m->gguf); i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(m->gguf, i);
        const slm_dtype_info *info = slm_dtype_get(t->type);
        slm_dequantize_fn dequantize = m->kernels.dequantize[t->type];
        if (!info->supported || dequantize == NULL)
            continue;
        done += t->bytes;
        size_t row_bytes = (size_t)(t->ne[0] / info->block) * info->bytes;
        uint64_t step = SLM_QK / info->block * info->block;
        for (uint64_t row = 0; row < t->n_elements / t->ne[0]; row++) {
            const uint8_t *w = t->data + row * row_bytes;
            for (uint64_t k = 0; k < t->ne[0]; k += step) {
                uint64_t n = t->ne[0] - k < step ? t->ne[0] - k : step;
                dequantize(x, w + k / info->block * info->bytes, (size_t)n);
                for (uint64_t j = 0; j < n; j++) {
                    if (isfinite(x[j]))
                        continue;
                    char name[72];
                    slm_escape(name, sizeof name, t->name.ptr, t->name.len);
                    return slm_fail(error, SLM_ERR_NUMERIC, name, t->offset + row * row_bytes,
                                    "tensor %s: row %llu holds a value that is not a finite number",
                                    name, (unsigned long long)row);
                }
            }
        }
        if (progress != NULL && progress(progress_user, done, m->weight_bytes) != 0)
            return slm_fail(error, SLM_ERR_CANCEL, NULL, SLM_NO_OFFSET,
                            "checking the weights was stopped at %llu of %llu bytes",
                            (unsigned long long)done, (unsigned long long)m->weight_bytes);
    }
    return SLM_OK;
}
