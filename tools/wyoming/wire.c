#include "wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int wyoming_fail(wyoming_fault *fault, const char *code, const char *format, ...) {
    va_list args;
    if (fault->code)
        return 0;
    fault->code = code;
    va_start(args, format);
    vsnprintf(fault->message, sizeof fault->message, format, args);
    va_end(args);
    return 0;
}

void wyoming_feed(wyoming_reader *r, const char *bytes, size_t n) {
    if (r->at > 0) {
        serve_out_drop(&r->in, r->at);
        r->searched -= r->at;
        r->at = 0;
    }
    serve_out_add(&r->in, bytes, n);
}

static void take(wyoming_reader *r, size_t n) {
    r->at += n;
    if (r->searched < r->at)
        r->searched = r->at;
}

/* A length in the header; absent and null are 0. */
static int read_length(const json_t *header, const char *name, size_t max, size_t *out,
                       wyoming_fault *fault) {
    const json_t *value = json_object_get(header, name);
    json_int_t n = json_integer_value(value);
    *out = 0;
    if (!value || json_is_null(value))
        return 1;
    if (!json_is_integer(value) || n < 0 || (uintmax_t)n > max)
        return wyoming_fail(fault, json_is_integer(value) && n > 0 ? "too-large" : "bad-event",
                            "%s: got %s, wanted a number of bytes up to %zu", name,
                            json_is_integer(value) ? "another number" : "another kind of value",
                            max);
    *out = (size_t)n;
    return 1;
}

static int read_header(wyoming_reader *r, const char *line, size_t n, wyoming_fault *fault) {
    json_error_t error;
    json_t *header = json_loadb(line, n, 0, &error);
    if (!json_is_object(header)) {
        json_decref(header);
        return wyoming_fail(fault, "bad-event", "header: got %.80s, wanted a JSON object on one "
                            "line", header ? "other JSON" : error.text);
    }
    const char *type = json_string_value(json_object_get(header, "type"));
    json_t *data = json_object_get(header, "data");
    if (!type)
        wyoming_fail(fault, "bad-event", "type: got none, wanted a string");
    else if (data && !json_is_object(data) && !json_is_null(data))
        wyoming_fail(fault, "bad-event", "data: got another kind of value, wanted an object");
    else if (read_length(header, "data_length", WYOMING_MAX_DATA, &r->n_data, fault))
        read_length(header, "payload_length", WYOMING_MAX_PAYLOAD, &r->n_payload, fault);
    data = json_is_object(data) ? json_incref(data) : json_object();
    if (!data)
        wyoming_fail(fault, "overloaded", "got no memory for an event");
    if (fault->code) {
        json_decref(data);
        json_decref(header);
        return 0;
    }
    r->event = (wyoming_event){.type = type, .header = header, .data = data};
    return 1;
}

/* What comes apart from the line is added to what stood in it. */
static int read_data(wyoming_reader *r, const char *text, size_t n, wyoming_fault *fault) {
    json_error_t error;
    json_t *data = json_loadb(text, n, 0, &error);
    int good = json_is_object(data) && json_object_update(r->event.data, data) == 0;
    if (!good)
        wyoming_fail(fault, "bad-event", "data: got %.80s, wanted a JSON object of data_length "
                     "bytes", data ? "other JSON" : error.text);
    json_decref(data);
    return good;
}

/* 1 when the line is there. */
static int next_header(wyoming_reader *r, wyoming_fault *fault) {
    const char *from = r->in.data + r->at;
    const char *end = r->in.len > r->searched
                          ? memchr(r->in.data + r->searched, '\n', r->in.len - r->searched)
                          : NULL;
    size_t n = end ? (size_t)(end - from) : r->in.len - r->at;
    r->searched = r->in.len;
    if (n > WYOMING_MAX_LINE)
        return wyoming_fail(fault, "too-large", "header: got a line of more than %d bytes",
                            WYOMING_MAX_LINE);
    if (!end || !read_header(r, from, n, fault))
        return 0;
    r->searched = r->at;
    take(r, n + 1);
    return 1;
}

int wyoming_next(wyoming_reader *r, wyoming_event *event, wyoming_fault *fault) {
    if (r->in.failed)
        wyoming_fail(fault, "overloaded", "got no memory for an event");
    else if (r->in.data && (r->event.header || next_header(r, fault))) {
        if (r->in.len - r->at < r->n_data)
            return 0;
        if (r->n_data == 0 || read_data(r, r->in.data + r->at, r->n_data, fault)) {
            take(r, r->n_data);
            size_t skip = r->in.len - r->at < r->n_payload ? r->in.len - r->at : r->n_payload;
            take(r, skip);
            r->n_data = 0;
            r->n_payload -= skip;
            if (r->n_payload > 0)
                return 0;
            *event = r->event;
            r->event = (wyoming_event){0};
            return 1;
        }
    }
    return fault->code ? -1 : 0;
}

int wyoming_has_begun(const wyoming_reader *r) { return r->event.header || r->in.len > r->at; }

void wyoming_reader_free(wyoming_reader *r) {
    wyoming_event_free(&r->event);
    serve_out_free(&r->in);
    *r = (wyoming_reader){0};
}

void wyoming_event_free(wyoming_event *event) {
    json_decref(event->header);
    json_decref(event->data);
    *event = (wyoming_event){0};
}

void wyoming_write(serve_out *out, const char *type, json_t *data) {
    char *text = data ? json_dumps(data, JSON_COMPACT) : NULL;
    size_t n = text ? strlen(text) : 0;
    if (!text)
        out->failed = 1;
    else if (json_object_size(data) == 0)
        serve_out_format(out, "{\"type\":\"%s\"}\n", type);
    else {
        serve_out_format(out, "{\"type\":\"%s\",\"data_length\":%zu}\n", type, n);
        serve_out_add(out, text, n);
    }
    free(text);
    json_decref(data);
}
