/* Calls written as JSON: {"name": "f", "arguments": {...}}, alone or in a list. */
#include "base/json.h"
#include "text/toolcall_impl.h"

#include <string.h>

/* Arguments stand in a message in four arrays and objects, and the message in a file of a transcript
 * in two. */
#define READ_FLAGS (SLM_JSON_KEEP_LAST | SLM_JSON_WITHIN(6))

/* The arguments of a call; NULL when v is none. Those that were written as a string holding an
 * object are decoded once. */
static slm_status find_arguments(slm_arena *arena, const slm_json *v, int parameters,
                                 const slm_json **arguments, slm_error *error) {
    *arguments = NULL;
    const slm_json *name = slm_json_get(v, "name");
    if (!name || name->type != SLM_JSON_STRING || name->text.len == 0)
        return SLM_OK;
    const slm_json *a = parameters ? slm_json_get(v, "parameters") : NULL;
    if (!a)
        a = slm_json_get(v, "arguments");
    if (a && a->type == SLM_JSON_STRING) {
        slm_str text = a->text;
        slm_status status =
            slm_json_parse(arena, text.ptr, text.len, READ_FLAGS, "arguments", &a, NULL);
        if (status == SLM_ERR_NOMEM)
            return slm_fail_nomem(error, text.len, "a tool call");
        if (status != SLM_OK)
            return SLM_OK;
    }
    if (a && a->type == SLM_JSON_OBJECT)
        *arguments = a;
    return SLM_OK;
}

static slm_status add_call(slm_buffer *out, const slm_json *call, const slm_json *arguments,
                           slm_error *error) {
    slm_str name = slm_json_get(call, "name")->text;
    slm_toolcall_record record = {name.len, 0};
    size_t at = out->len;
    SLM_TRY(slm_buffer_append(out, &record, sizeof record, error));
    SLM_TRY(slm_buffer_append(out, name.ptr, name.len, error));
    size_t arguments_at = out->len;
    slm_json_writer w = {.out = out};
    SLM_TRY(slm_json_put_value(&w, arguments, error));
    record.arguments_len = out->len - arguments_at;
    memcpy(out->ptr + at, &record, sizeof record);
    return SLM_OK;
}

static slm_status add_calls(slm_arena *arena, const slm_json *v, int parameters, slm_buffer *out,
                            size_t *n, slm_error *error) {
    const slm_json *calls = v->type == SLM_JSON_ARRAY ? v->items : v, *arguments;
    size_t n_calls = v->type == SLM_JSON_ARRAY ? v->n_items : 1, before = out->len;
    for (size_t i = 0; i < n_calls; i++) {
        SLM_TRY(find_arguments(arena, &calls[i], parameters, &arguments, error));
        if (!arguments) {
            out->len = before;
            return SLM_OK;
        }
        SLM_TRY(add_call(out, &calls[i], arguments, error));
    }
    *n = n_calls;
    return SLM_OK;
}

slm_status slm_toolcall_read_json(slm_host *host, const char *text, size_t len, int parameters,
                                  slm_buffer *out, size_t *n, slm_error *error) {
    slm_arena arena = {.host = host};
    const slm_json *v;
    *n = 0;
    slm_status status = slm_json_parse(&arena, text, len, READ_FLAGS, "a tool call", &v, NULL);
    if (status == SLM_OK)
        status = add_calls(&arena, v, parameters, out, n, error);
    else if (status == SLM_ERR_NOMEM)
        status = slm_fail_nomem(error, len, "a tool call");
    else
        status = SLM_OK; /* it is no call */
    slm_arena_free(&arena);
    return status;
}
