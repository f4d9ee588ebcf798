#include "fields.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int json_lacked;

static void *take_memory(size_t size) {
    void *block = malloc(size);
    json_lacked |= block == NULL;
    return block;
}

void serve_json_watch(void) { json_set_alloc_funcs(take_memory, free); }

int serve_json_lacked(int forget) {
    int lacked = json_lacked;
    if (forget)
        json_lacked = 0;
    return lacked;
}

static int refuse(serve_fault *fault, int status, const char *code, const char *param,
                  const char *format, va_list args) {
    if (fault->status != 0)
        return 0;
    fault->status = status;
    fault->type = status >= 500 ? "server_error" : "invalid_request_error";
    fault->code = code;
    snprintf(fault->param, sizeof fault->param, "%s", param ? param : "");
    vsnprintf(fault->message, sizeof fault->message, format, args);
    return 0;
}

int serve_refuse(serve_fault *fault, int status, const char *code, const char *param,
                 const char *format, ...) {
    va_list args;
    va_start(args, format);
    refuse(fault, status, code, param, format, args);
    va_end(args);
    return 0;
}

int serve_refuse_field(serve_fault *fault, const char *param, const char *format, ...) {
    va_list args;
    va_start(args, format);
    refuse(fault, 400, NULL, param, format, args);
    va_end(args);
    return 0;
}

int serve_refuse_status(serve_fault *fault, const char *param, const slm_error *error) {
    switch (error->status) {
    case SLM_ERR_NOMEM:
    case SLM_ERR_BUSY:
        return serve_refuse(fault, 503, "overloaded", param, "%s", error->message);
    case SLM_ERR_DEVICE:
    case SLM_ERR_NUMERIC:
    case SLM_ERR_IO:
    case SLM_ERR_CHANGED:
        return serve_refuse(fault, 500, NULL, param, "%s", error->message);
    case SLM_ERR_CTX:
        return serve_refuse(fault, 400, "context_length_exceeded", param, "%s", error->message);
    default:
        return serve_refuse(fault, 400, NULL, param, "%s", error->message);
    }
}

const char *serve_path(const serve_object *o, const char *name, char *buffer, size_t cap) {
    int n = snprintf(buffer, cap, "%s%s%s", o->path, *o->path ? "." : "", name);
    if (n < 0 || (size_t)n >= cap) /* names of ours are short: this one is deep */
        snprintf(buffer, cap, "%s", name);
    return buffer;
}

const char *serve_kind(const json_t *value) {
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    default:
        return "null";
    }
}

/* The member, or NULL where it is absent or null. */
static const json_t *member(const serve_object *o, const char *name) {
    const json_t *value = json_object_get(o->json, name);
    return value && !json_is_null(value) ? value : NULL;
}

static int wrong_kind(const serve_object *o, const char *name, const json_t *value,
                      const char *wanted, serve_fault *fault) {
    char path[96];
    serve_path(o, name, path, sizeof path);
    return serve_refuse_field(fault, path, "%s: got %s, wanted %s", path, serve_kind(value), wanted);
}

int serve_get_flag(const serve_object *o, const char *name, int *out, serve_fault *fault) {
    const json_t *value = member(o, name);
    if (!value)
        return 1;
    if (!json_is_boolean(value))
        return wrong_kind(o, name, value, "true or false", fault);
    *out = json_is_true(value);
    return 1;
}

int serve_get_integer(const serve_object *o, const char *name, int64_t min, int64_t max,
                      int64_t *out, serve_fault *fault) {
    const json_t *value = member(o, name);
    char path[96];
    if (!value)
        return 1;
    if (!json_is_integer(value))
        return wrong_kind(o, name, value, "an integer", fault);
    int64_t number = json_integer_value(value);
    if (number < min || number > max) {
        serve_path(o, name, path, sizeof path);
        return serve_refuse_field(fault, path, "%s: got %lld, wanted %lld to %lld", path,
                                  (long long)number, (long long)min, (long long)max);
    }
    *out = number;
    return 1;
}

int serve_get_number(const serve_object *o, const char *name, double min, double max, double *out,
                     serve_fault *fault) {
    const json_t *value = member(o, name);
    char path[96];
    if (!value)
        return 1;
    if (!json_is_number(value))
        return wrong_kind(o, name, value, "a number", fault);
    double number = json_number_value(value);
    if (!(number >= min && number <= max)) {
        serve_path(o, name, path, sizeof path);
        return serve_refuse_field(fault, path, "%s: got %g, wanted %g to %g", path, number, min,
                                  max);
    }
    *out = number;
    return 1;
}

int serve_get_text(const serve_object *o, const char *name, size_t min, size_t max,
                   const char **out, serve_fault *fault) {
    const json_t *value = member(o, name);
    char path[96];
    if (!value)
        return 1;
    if (!json_is_string(value))
        return wrong_kind(o, name, value, "a string", fault);
    size_t len = json_string_length(value);
    if (len < min || len > max) {
        serve_path(o, name, path, sizeof path);
        return serve_refuse_field(fault, path, "%s: got %zu bytes, wanted %zu to %zu", path, len,
                                  min, max);
    }
    *out = json_string_value(value);
    return 1;
}

int serve_get_object(const serve_object *o, const char *name, serve_object *out,
                     serve_fault *fault) {
    const json_t *value = member(o, name);
    serve_path(o, name, out->path, sizeof out->path);
    out->json = value;
    if (!value || json_is_object(value))
        return 1;
    return wrong_kind(o, name, value, "an object", fault);
}

int serve_get_array(const serve_object *o, const char *name, size_t max, const json_t **out,
                    serve_fault *fault) {
    const json_t *value = member(o, name);
    char path[96];
    *out = value;
    if (!value)
        return 1;
    if (!json_is_array(value))
        return wrong_kind(o, name, value, "an array", fault);
    if (json_array_size(value) > max) {
        serve_path(o, name, path, sizeof path);
        return serve_refuse_field(fault, path, "%s: got %zu elements, wanted at most %zu", path,
                                  json_array_size(value), max);
    }
    return 1;
}

int serve_get_item(const serve_object *o, const char *name, const json_t *array, size_t index,
                   serve_object *out, serve_fault *fault) {
    char path[96];
    serve_path(o, name, path, sizeof path);
    snprintf(out->path, sizeof out->path, "%.60s[%zu]", path, index);
    out->json = json_array_get(array, index);
    if (json_is_object(out->json))
        return 1;
    return serve_refuse_field(fault, out->path, "%s: got %s, wanted an object", out->path,
                              serve_kind(out->json));
}

size_t serve_count_unknown(const json_t *object, const char *const *names) {
    const char *key;
    json_t *value;
    size_t count = 0;
    json_object_foreach((json_t *)object, key, value) {
        size_t i = 0;
        while (names[i] && strcmp(names[i], key) != 0)
            i++;
        count += names[i] == NULL;
    }
    return count;
}
