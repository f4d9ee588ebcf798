#include "gguf/gguf_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static slm_status missing(const slm_gguf *g, const char *key, slm_error *error) {
    return slm_fail(error, SLM_ERR_MISSING, key, SLM_NO_OFFSET, "%s: key '%s' is missing",
                    g->parts[0]->name, key);
}

static slm_status wrong_type(const slm_gguf *g, const slm_gguf_kv *kv, const char *key,
                             const char *wanted, slm_error *error) {
    int array = kv->type == SLM_GGUF_ARRAY;
    return slm_fail(error, SLM_ERR_TYPE, key, kv->offset, "%s: key '%s' is of type %s%s, wanted %s",
                    g->parts[0]->name, key, array ? "array of " : "",
                    slm_gguf_type_name(array ? kv->item_type : kv->type), wanted);
}

/* An integer value. *negative is 1 when it is below zero; *value is its magnitude then. */
static int integer_of(const slm_gguf_kv *kv, uint64_t *value, int *negative) {
    int64_t i;
    *negative = 0;
    /* clang-format off */
    switch (kv->type) {
    case SLM_GGUF_U8: *value = kv->data[0]; return 1;
    case SLM_GGUF_U16: *value = slm_le16(kv->data); return 1;
    case SLM_GGUF_U32: *value = slm_le32(kv->data); return 1;
    case SLM_GGUF_U64: *value = slm_le64(kv->data); return 1;
    case SLM_GGUF_I8: i = (int8_t)kv->data[0]; break;
    case SLM_GGUF_I16: i = (int16_t)slm_le16(kv->data); break;
    case SLM_GGUF_I32: i = (int32_t)slm_le32(kv->data); break;
    case SLM_GGUF_I64: i = (int64_t)slm_le64(kv->data); break;
    default: return 0;
    }
    /* clang-format on */
    *negative = i < 0;
    *value = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    return 1;
}

slm_status slm_gguf_get_u64(const slm_gguf *g, const char *key, int required, uint64_t lo,
                            uint64_t hi, uint64_t *value, slm_error *error) {
    const slm_gguf_kv *kv = slm_gguf_find(g, key);
    uint64_t v;
    int negative;
    if (!kv)
        return required ? missing(g, key, error) : SLM_OK;
    if (!integer_of(kv, &v, &negative))
        return wrong_type(g, kv, key, "an integer", error);
    if (negative || v < lo || v > hi)
        return slm_fail(error, SLM_ERR_RANGE, key, kv->offset,
                        "%s: key '%s' is %s%" PRIu64 ", wanted %" PRIu64 " to %" PRIu64,
                        g->parts[0]->name, key, negative ? "-" : "", v, lo, hi);
    *value = v;
    return SLM_OK;
}

slm_status slm_gguf_get_u32(const slm_gguf *g, const char *key, int required, uint32_t lo,
                            uint32_t hi, uint32_t *value, slm_error *error) {
    uint64_t v = *value;
    SLM_TRY(slm_gguf_get_u64(g, key, required, lo, hi, &v, error));
    *value = (uint32_t)v;
    return SLM_OK;
}

slm_status slm_gguf_get_i32(const slm_gguf *g, const char *key, int required, int32_t lo, int32_t hi,
                            int32_t *value, slm_error *error) {
    const slm_gguf_kv *kv = slm_gguf_find(g, key);
    uint64_t v;
    int negative;
    if (!kv)
        return required ? missing(g, key, error) : SLM_OK;
    if (!integer_of(kv, &v, &negative))
        return wrong_type(g, kv, key, "an integer", error);
    int64_t i = v > (uint64_t)INT32_MAX + (unsigned)negative ? INT64_MAX : (int64_t)v;
    i = negative ? -i : i;
    if (i < lo || i > hi)
        return slm_fail(error, SLM_ERR_RANGE, key, kv->offset,
                        "%s: key '%s' is %s%" PRIu64 ", wanted %" PRId32 " to %" PRId32,
                        g->parts[0]->name, key, negative ? "-" : "", v, lo, hi);
    *value = (int32_t)i;
    return SLM_OK;
}

slm_status slm_gguf_get_f32(const slm_gguf *g, const char *key, int required, float lo, float hi,
                            float *value, slm_error *error) {
    const slm_gguf_kv *kv = slm_gguf_find(g, key);
    float v;
    if (!kv)
        return required ? missing(g, key, error) : SLM_OK;
    if (kv->type == SLM_GGUF_F32)
        v = slm_le_f32(kv->data);
    else if (kv->type == SLM_GGUF_F64)
        v = (float)slm_le_f64(kv->data);
    else
        return wrong_type(g, kv, key, "f32 or f64", error);
    if (!isfinite(v) || v < lo || v > hi) {
        char text[3][SLM_GGUF_NUMBER];
        slm_gguf_float_text(text[0], v);
        slm_gguf_float_text(text[1], lo);
        slm_gguf_float_text(text[2], hi);
        return slm_fail(error, SLM_ERR_RANGE, key, kv->offset,
                        "%s: key '%s' is %s, wanted %s to %s", g->parts[0]->name, key, text[0],
                        text[1], text[2]);
    }
    *value = v;
    return SLM_OK;
}

slm_status slm_gguf_get_bool(const slm_gguf *g, const char *key, int required, int *value,
                             slm_error *error) {
    const slm_gguf_kv *kv = slm_gguf_find(g, key);
    if (!kv)
        return required ? missing(g, key, error) : SLM_OK;
    if (kv->type != SLM_GGUF_BOOL)
        return wrong_type(g, kv, key, "bool", error);
    *value = kv->data[0];
    return SLM_OK;
}

slm_status slm_gguf_get_str(const slm_gguf *g, const char *key, int required, slm_str *value,
                            slm_error *error) {
    const slm_gguf_kv *kv = slm_gguf_find(g, key);
    uint64_t pos = 0;
    if (!kv)
        return required ? missing(g, key, error) : SLM_OK;
    if (kv->type != SLM_GGUF_STRING)
        return wrong_type(g, kv, key, "string", error);
    *value = slm_gguf_next_str(kv, &pos);
    return SLM_OK;
}

slm_status slm_gguf_get_array(const slm_gguf *g, const char *key, int required,
                              slm_gguf_type item_type, uint64_t count, const slm_gguf_kv **kv,
                              slm_error *error) {
    const slm_gguf_kv *found = slm_gguf_find(g, key);
    if (!found) {
        *kv = NULL;
        return required ? missing(g, key, error) : SLM_OK;
    }
    if (found->type != SLM_GGUF_ARRAY || found->item_type != item_type) {
        char wanted[32];
        snprintf(wanted, sizeof wanted, "array of %s", slm_gguf_type_name(item_type));
        return wrong_type(g, found, key, wanted, error);
    }
    if (count != UINT64_MAX && found->count != count)
        return slm_fail(error, SLM_ERR_SHAPE, key, found->offset,
                        "%s: key '%s' has %" PRIu64 " elements, wanted %" PRIu64, g->parts[0]->name,
                        key, found->count, count);
    *kv = found;
    return SLM_OK;
}

uint32_t slm_gguf_item_u32(const slm_gguf_kv *kv, uint64_t index) {
    return slm_le32(kv->data + index * 4);
}

int32_t slm_gguf_item_i32(const slm_gguf_kv *kv, uint64_t index) {
    return (int32_t)slm_le32(kv->data + index * 4);
}

float slm_gguf_item_f32(const slm_gguf_kv *kv, uint64_t index) {
    return slm_le_f32(kv->data + index * 4);
}

slm_str slm_gguf_next_str(const slm_gguf_kv *kv, uint64_t *pos) {
    const uint8_t *p = kv->data + *pos;
    slm_str str = {(const char *)p + 8, (size_t)slm_le64(p)};
    *pos += 8 + str.len;
    return str;
}
