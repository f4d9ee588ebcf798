/* Reading the JSON of requests: every field has a type and a range, and what does not keep to them is
 * told with its path, such as "messages[2].content". */
#ifndef SLM_TOOLS_SERVE_FIELDS_H
#define SLM_TOOLS_SERVE_FIELDS_H

#include "slm.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* Why a request is refused, in the form of the OpenAI API. */
typedef struct serve_fault {
    int status;       /* of HTTP; 0: nothing is wrong */
    const char *type; /* "invalid_request_error" and the like */
    const char *code; /* may be NULL */
    char param[96];   /* the path of the field; "": none */
    char message[400];
} serve_fault;

#if defined(__GNUC__)
#define SERVE_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define SERVE_PRINTF(f, a)
#endif

/* Notes a fault and returns 0, as everything here does that fails; the first one stays. */
int serve_refuse(serve_fault *fault, int status, const char *code, const char *param,
                 const char *format, ...) SERVE_PRINTF(5, 6);
/* The same for a field of the request: status 400. */
int serve_refuse_field(serve_fault *fault, const char *param, const char *format, ...)
    SERVE_PRINTF(3, 4);
/* What the library says about a field: 400, or 500 and 503 for what is not the client's doing. */
int serve_refuse_status(serve_fault *fault, const char *param, const slm_error *error);

/* jansson does not always tell bad JSON, or an absent value, from a lack of memory. From here on its memory
 * is watched: */
void serve_json_watch(void);
/* Whether any was refused since the last call with forget. One thread has all JSON. */
int serve_json_lacked(int forget);

/* A value's place: an object and its path, which is "" for the request itself. */
typedef struct serve_object {
    const json_t *json;
    char path[72];
} serve_object;

/* Each leaves *out alone and returns 1 where the field is absent or null. */
int serve_get_flag(const serve_object *o, const char *name, int *out, serve_fault *fault);
int serve_get_integer(const serve_object *o, const char *name, int64_t min, int64_t max,
                      int64_t *out, serve_fault *fault);
int serve_get_number(const serve_object *o, const char *name, double min, double max, double *out,
                     serve_fault *fault);
/* Text without NUL, of min to max bytes; it lives as long as the request. */
int serve_get_text(const serve_object *o, const char *name, size_t min, size_t max,
                   const char **out, serve_fault *fault);
/* out->json is NULL where it is absent. */
int serve_get_object(const serve_object *o, const char *name, serve_object *out,
                     serve_fault *fault);
/* *out is NULL where it is absent. */
int serve_get_array(const serve_object *o, const char *name, size_t max, const json_t **out,
                    serve_fault *fault);
/* An element of an array, which must be an object. */
int serve_get_item(const serve_object *o, const char *name, const json_t *array, size_t index,
                   serve_object *out, serve_fault *fault);

/* "path.name", for messages. */
const char *serve_path(const serve_object *o, const char *name, char *buffer, size_t cap);
/* What a value is, for messages: "a string", "null". */
const char *serve_kind(const json_t *value);
/* Members that are none of the names, which end in a NULL. */
size_t serve_count_unknown(const json_t *object, const char *const *names);

#endif
