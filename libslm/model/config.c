#include "model/config.h"

#include "kernels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* "<arch>.<suffix>" in a buffer of the caller. */
typedef struct slm_key {
    char text[96];
} slm_key;

static const char *key_of(const slm_config *c, slm_key *key, const char *suffix) {
    snprintf(key->text, sizeof key->text, "%s.%s", c->arch->name, suffix);
    return key->text;
}

/* A count that may be stored once or as an array with one equal entry per layer. */
static slm_status get_count(const slm_gguf *g, const slm_config *c, const char *suffix,
                            int required, uint32_t lo, uint32_t hi, uint32_t *value,
                            slm_error *error) {
    slm_key key;
    const char *name = key_of(c, &key, suffix);
    const slm_gguf_kv *kv = slm_gguf_find(g, name);
    if (kv == NULL || kv->type != SLM_GGUF_ARRAY)
        return slm_gguf_get_u32(g, name, required, lo, hi, value, error);
    if (kv->item_type != SLM_GGUF_U32 && kv->item_type != SLM_GGUF_I32)
        return slm_fail(error, SLM_ERR_TYPE, name, kv->offset,
                        "%s: got an array of %s, wanted u32 or i32", name,
                        slm_gguf_type_name(kv->item_type));
    if (kv->count != c->n_layers)
        return slm_fail(error, SLM_ERR_SHAPE, name, kv->offset,
                        "%s: got an array of %llu, wanted one entry for each of %u layers", name,
                        (unsigned long long)kv->count, c->n_layers);
    uint32_t first = slm_gguf_item_u32(kv, 0);
    for (uint64_t i = 1; i < kv->count; i++)
        if (slm_gguf_item_u32(kv, i) != first)
            return slm_fail(error, SLM_ERR_UNSUP, name, kv->offset,
                            "%s: layers differ (%u in layer 0, %u in layer %llu), which is not "
                            "supported", name, first, slm_gguf_item_u32(kv, i),
                            (unsigned long long)i);
    if (first < lo || first > hi)
        return slm_fail(error, SLM_ERR_RANGE, name, kv->offset, "%s: got %u, wanted %u to %u", name,
                        first, lo, hi);
    *value = first;
    return SLM_OK;
}

static slm_status read_experts(const slm_gguf *g, const slm_config *c, slm_error *error) {
    slm_key key;
    uint32_t n_experts = 0, n_used = 0;
    SLM_TRY(slm_gguf_get_u32(g, key_of(c, &key, "expert_count"), 0, 0, 65536, &n_experts, error));
    SLM_TRY(slm_gguf_get_u32(g, key_of(c, &key, "expert_used_count"), 0, 0, 65536, &n_used, error));
    if (n_used > n_experts)
        return slm_fail(error, SLM_ERR_RANGE, "expert_used_count", SLM_NO_OFFSET,
                        "%s.expert_used_count: got %u, wanted at most expert_count = %u",
                        c->arch->name, n_used, n_experts);
    if (n_experts != 0)
        return slm_fail(error, SLM_ERR_UNSUP, "expert_count", SLM_NO_OFFSET,
                        "%s.expert_count: got %u, but mixtures of experts are not supported",
                        c->arch->name, n_experts);
    return SLM_OK;
}

static slm_status read_heads(const slm_gguf *g, slm_config *c, slm_error *error) {
    slm_key key;
    SLM_TRY(get_count(g, c, "attention.head_count", 1, 1, SLM_MAX_HEADS, &c->n_heads, error));
    c->n_kv_heads = c->n_heads;
    SLM_TRY(get_count(g, c, "attention.head_count_kv", 0, 1, c->n_heads, &c->n_kv_heads, error));
    if (c->n_heads % c->n_kv_heads != 0)
        return slm_fail(error, SLM_ERR_RANGE, "attention.head_count_kv", SLM_NO_OFFSET,
                        "%s.attention.head_count_kv: got %u, wanted a divisor of head_count = %u",
                        c->arch->name, c->n_kv_heads, c->n_heads);
    c->d_head = 0;
    SLM_TRY(slm_gguf_get_u32(g, key_of(c, &key, "attention.key_length"), 0, 1, SLM_MAX_D_HEAD,
                             &c->d_head, error));
    if (c->d_head == 0) {
        if (c->d_model % c->n_heads != 0 || c->d_model / c->n_heads > SLM_MAX_D_HEAD)
            return slm_fail(error, SLM_ERR_SHAPE, "embedding_length", SLM_NO_OFFSET,
                            "%s.embedding_length: got %u with head_count %u and no key_length, "
                            "wanted a multiple with heads of at most %u", c->arch->name, c->d_model,
                            c->n_heads, SLM_MAX_D_HEAD);
        c->d_head = c->d_model / c->n_heads;
    }
    uint32_t d_value = c->d_head;
    SLM_TRY(slm_gguf_get_u32(g, key_of(c, &key, "attention.value_length"), 0, 1, SLM_MAX_D_HEAD,
                             &d_value, error));
    if (d_value != c->d_head)
        return slm_fail(error, SLM_ERR_RANGE, "attention.value_length", SLM_NO_OFFSET,
                        "%s.attention.value_length: got %u, wanted key_length = %u", c->arch->name,
                        d_value, c->d_head);
    if ((uint64_t)c->n_heads * c->d_head > SLM_MAX_WIDTH)
        return slm_fail(error, SLM_ERR_RANGE, "attention.head_count", SLM_NO_OFFSET,
                        "%s.attention.head_count: got %u heads of %u, wanted at most %u elements",
                        c->arch->name, c->n_heads, c->d_head, SLM_MAX_WIDTH);
    return SLM_OK;
}

/* How multimodal models share the pairs of a head out among axes. The axes of text are all alike, so
 * nothing but the sum matters. */
static slm_status check_sections(const slm_gguf *g, const slm_config *c, slm_error *error) {
    slm_key key;
    const char *name = key_of(c, &key, "rope.dimension_sections");
    const slm_gguf_kv *kv = slm_gguf_find(g, name);
    int64_t sum = 0;
    if (kv == NULL)
        return SLM_OK;
    SLM_TRY(slm_gguf_get_array(g, name, 1, SLM_GGUF_I32, UINT64_MAX, &kv, error));
    if (kv->count > 4)
        return slm_fail(error, SLM_ERR_SHAPE, name, kv->offset,
                        "%s: got %llu sections, wanted at most 4", name,
                        (unsigned long long)kv->count);
    for (uint64_t i = 0; i < kv->count; i++) {
        int32_t section = slm_gguf_item_i32(kv, i);
        sum += section;
        if (section < 0 || sum > c->n_rot / 2)
            return slm_fail(error, SLM_ERR_RANGE, name, kv->offset,
                            "%s: got %d as section %llu, wanted 0 or more and a sum up to %u", name,
                            section, (unsigned long long)i, c->n_rot / 2);
    }
    return SLM_OK;
}

static slm_status read_rope(const slm_gguf *g, slm_config *c, slm_error *error) {
    slm_key key;
    c->n_ctx_original = c->n_ctx_train;
    if (c->arch->no_rope)
        return SLM_OK;
    c->n_rot = c->d_head;
    SLM_TRY(slm_gguf_get_u32(g, key_of(c, &key, "rope.dimension_count"), 0, 2, c->d_head, &c->n_rot,
                             error));
    if (c->n_rot % 2 != 0 || c->n_rot < 2)
        return slm_fail(error, SLM_ERR_RANGE, "rope.dimension_count", SLM_NO_OFFSET,
                        "%s.rope.dimension_count: got %u, wanted an even number up to %u",
                        c->arch->name, c->n_rot, c->d_head);
    SLM_TRY(check_sections(g, c, error));
    c->rope_base = 10000.0f;
    SLM_TRY(slm_gguf_get_f32(g, key_of(c, &key, "rope.freq_base"), 0, 1e-3f, 1e12f, &c->rope_base,
                             error));
    c->rope_attn_factor = 1.0f;
    SLM_TRY(slm_gguf_get_f32(g, key_of(c, &key, "rope.scaling.attn_factor"), 0, 1e-3f, 1e3f,
                             &c->rope_attn_factor, error));
    uint64_t original = c->n_ctx_train;
    SLM_TRY(slm_gguf_get_u64(g, key_of(c, &key, "rope.scaling.original_context_length"), 0, 1,
                             UINT32_MAX, &original, error));
    c->n_ctx_original = (uint32_t)original;

    c->rope_scale = 1.0f;
    SLM_TRY(slm_gguf_get_f32(g, key_of(c, &key, "rope.scaling.factor"), 0, 1e-3f, 1e6f,
                             &c->rope_scale, error));
    slm_str type = {"linear", 6};
    SLM_TRY(slm_gguf_get_str(g, key_of(c, &key, "rope.scaling.type"), 0, &type, error));
    if (type.len == 4 && memcmp(type.ptr, "yarn", 4) == 0) {
        c->rope_yarn = 1;
        if (c->rope_scale > 1.0f) /* section 3.4: sharper scores make up for the stretch */
            c->rope_attn_factor *= 1.0f + 0.1f * logf(c->rope_scale);
    } else if ((type.len == 4 && memcmp(type.ptr, "none", 4) == 0) ||
             (type.len == 8 && memcmp(type.ptr, "longrope", 8) == 0))
        c->rope_scale = 1.0f; /* the factor tensors say all */
    else if (!(type.len == 6 && memcmp(type.ptr, "linear", 6) == 0)) {
        char name[40];
        slm_escape(name, sizeof name, type.ptr, type.len);
        return slm_fail(error, SLM_ERR_UNSUP, "rope.scaling.type", SLM_NO_OFFSET,
                        "%s.rope.scaling.type: got \"%s\", wanted none, linear, yarn or longrope",
                        c->arch->name, name);
    }
    return SLM_OK;
}

static slm_status read_window(const slm_gguf *g, slm_config *c, slm_error *error) {
    slm_key key;
    uint32_t pattern = 1;
    SLM_TRY(slm_gguf_get_u32(g, key_of(c, &key, "attention.sliding_window_pattern"), 0, 1, 65536,
                             &pattern, error));
    if (!c->arch->window)
        return SLM_OK;
    const char *name = key_of(c, &key, "attention.sliding_window");
    if (slm_gguf_find(g, name) != NULL)
        SLM_TRY(slm_gguf_get_u32(g, name, 1, 0, UINT32_MAX, &c->window, error));
    else if (c->arch->default_window != NULL)
        c->window = c->arch->default_window(c->n_layers, c->n_ctx_train);
    if (c->window >= c->n_ctx_train)
        c->window = 0; /* no position can see that far */
    return SLM_OK;
}

#define PAIR_STEP 32u /* the values of a pair of such heads are one row of any cache */

/* Heads of differential attention go in pairs. */
static slm_status check_pairs(const slm_config *c, slm_error *error) {
    if (c->n_kv_heads % 2 != 0)
        return slm_fail(error, SLM_ERR_RANGE, "attention.head_count_kv", SLM_NO_OFFSET,
                        "%s.attention.head_count_kv: got %u, wanted an even number", c->arch->name,
                        c->n_kv_heads);
    if (c->d_head % PAIR_STEP != 0)
        return slm_fail(error, SLM_ERR_UNSUP, "embedding_length", SLM_NO_OFFSET,
                        "%s: got heads of %u elements, wanted a multiple of %u", c->arch->name,
                        c->d_head, PAIR_STEP);
    return SLM_OK;
}

static slm_status read_scan(const slm_gguf *g, slm_config *c, slm_error *error) {
    slm_key key;
    SLM_TRY(slm_gguf_get_u32(g, key_of(c, &key, "ssm.inner_size"), 1, 1, SLM_MAX_WIDTH / 2,
                             &c->d_inner, error));
    SLM_TRY(slm_gguf_get_u32(g, key_of(c, &key, "ssm.state_size"), 1, 1, SLM_MAX_SCAN_STATE,
                             &c->d_state, error));
    SLM_TRY(slm_gguf_get_u32(g, key_of(c, &key, "ssm.conv_kernel"), 1, 1, SLM_MAX_SCAN_CONV,
                             &c->n_conv, error));
    /* No wider than what it stands for, and so never the widest row. */
    SLM_TRY(slm_gguf_get_u32(g, key_of(c, &key, "ssm.time_step_rank"), 1, 1, c->d_inner,
                             &c->dt_rank, error));
    if (c->d_inner % SLM_SCAN_GROUP != 0)
        return slm_fail(error, SLM_ERR_UNSUP, "ssm.inner_size", SLM_NO_OFFSET,
                        "%s.ssm.inner_size: got %u, wanted a multiple of %u", c->arch->name,
                        c->d_inner, SLM_SCAN_GROUP);
    return SLM_OK;
}

/* Whether the file's list of layers is the family's. */
static slm_status check_mixers(const slm_gguf *g, const slm_config *c, slm_error *error) {
    slm_key key;
    const slm_arch *a = c->arch;
    if (a->mixer(0, c->n_layers) == SLM_MIXER_LIMIT)
        return slm_fail(error, SLM_ERR_UNSUP, "block_count", SLM_NO_OFFSET,
                        "%s.block_count: got %u, which the schedule of this architecture does not "
                        "divide", a->name, c->n_layers);
    const char *name = key_of(c, &key, "layer_types");
    const slm_gguf_kv *kv = NULL;
    SLM_TRY(slm_gguf_get_array(g, name, 1, SLM_GGUF_I32, c->n_layers, &kv, error));
    for (uint32_t i = 0; i < c->n_layers; i++) {
        int32_t got = slm_gguf_item_i32(kv, i), want = a->mixer_codes[a->mixer(i, c->n_layers)];
        if (got != want)
            return slm_fail(error, SLM_ERR_UNSUP, name, kv->offset,
                            "%s: got %d for layer %u of %u, wanted %d", name, got, i, c->n_layers,
                            want);
    }
    return SLM_OK;
}

slm_status slm_config_read(const slm_gguf *g, uint32_t n_vocab, slm_config *config,
                           slm_error *error) {
    slm_config c = {0};
    slm_key key;
    slm_str name;
    SLM_TRY(slm_arch_find(g, &c.arch, &name, error));
    c.n_vocab = n_vocab;

    SLM_TRY(slm_gguf_get_u32(g, key_of(&c, &key, "block_count"), 1, 1, SLM_MAX_LAYERS, &c.n_layers,
                             error));
    uint64_t n_ctx = 0; /* an absurdly long one is only a large default that nobody asks for */
    SLM_TRY(slm_gguf_get_u64(g, key_of(&c, &key, "context_length"), 1, 1, UINT64_MAX, &n_ctx,
                             error));
    c.n_ctx_train = n_ctx > INT32_MAX ? INT32_MAX : (uint32_t)n_ctx;
    SLM_TRY(slm_gguf_get_u32(g, key_of(&c, &key, "embedding_length"), 1, 1, SLM_MAX_WIDTH,
                             &c.d_model, error));
    SLM_TRY(get_count(g, &c, "feed_forward_length", 1, 1, SLM_MAX_WIDTH, &c.d_ff, error));
    if (c.arch->foreign_key != NULL &&
        slm_gguf_find(g, key_of(&c, &key, c.arch->foreign_key)) != NULL)
        return slm_fail(error, SLM_ERR_UNSUP, c.arch->foreign_key, SLM_NO_OFFSET,
                        "%s: a file with this key has its rows in another order, which is not "
                        "supported", key.text);
    SLM_TRY(slm_gguf_get_f32(g, key_of(&c, &key, "attention.layer_norm_rms_epsilon"), 1, 1e-12f,
                             0.1f, &c.pair_norm_eps, error));
    c.norm_eps = c.pair_norm_eps;
    if (c.arch->layer_norm)
        SLM_TRY(slm_gguf_get_f32(g, key_of(&c, &key, "attention.layer_norm_epsilon"), 1, 1e-12f,
                                 0.1f, &c.norm_eps, error));
    uint32_t declared = n_vocab;
    SLM_TRY(slm_gguf_get_u32(g, key_of(&c, &key, "vocab_size"), 0, 1, UINT32_MAX, &declared, error));
    if (declared != n_vocab)
        return slm_fail(error, SLM_ERR_SHAPE, "vocab_size", SLM_NO_OFFSET,
                        "%s.vocab_size: got %u, wanted %u, the number of tokens", c.arch->name,
                        declared, n_vocab);
    SLM_TRY(read_experts(g, &c, error));
    SLM_TRY(read_heads(g, &c, error));
    SLM_TRY(read_rope(g, &c, error));
    SLM_TRY(read_window(g, &c, error));
    if (c.arch->differential)
        SLM_TRY(check_pairs(&c, error));
    if (c.arch->recurrent)
        SLM_TRY(read_scan(g, &c, error));
    if (c.arch->mixer != NULL)
        SLM_TRY(check_mixers(g, &c, error));
    *config = c;
    return SLM_OK;
}

/* The pair index at which a frequency turns `rotations` times within the original context: the
 * correction dimension of YaRN (Peng et al. 2023, section 3.2). */
static double yarn_pair(const slm_config *c, double rotations) {
    return c->n_rot * log((double)c->n_ctx_original / (rotations * 6.283185307179586)) /
           (2.0 * log((double)c->rope_base));
}

void slm_rope_inv_freq(const slm_config *c, const float *factors, double *inv_freq) {
    uint32_t n_half = c->n_rot / 2;
    double low = 0, high = 0;
    if (c->rope_yarn) {
        low = fmax(0.0, floor(yarn_pair(c, 32.0)));
        high = fmin((double)c->n_rot - 1.0, ceil(yarn_pair(c, 1.0)));
    }
    for (uint32_t i = 0; i < n_half; i++) {
        double f = pow((double)c->rope_base, -2.0 * i / c->n_rot);
        if (factors != NULL)
            f /= (double)factors[i];
        if (c->rope_yarn) { /* interpolate the slow frequencies, keep the fast ones */
            double ramp = (i - low) / fmax(0.001, high - low);
            double keep = 1.0 - fmin(1.0, fmax(0.0, ramp));
            f = f / (double)c->rope_scale * (1.0 - keep) + f * keep;
        } else {
            f /= (double)c->rope_scale;
        }
        inv_freq[i] = f;
    }
}
