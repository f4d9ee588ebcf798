#define _GNU_SOURCE
#include "wyoming.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 1 << 16, MAX_DATA = 1 << 20, MAX_PAYLOAD = 1 << 24 };

bool wyoming_send(stream *to, const char *type, json_t *data, const void *payload, size_t n_payload,
                  int64_t deadline, char *why, size_t why_size) {
    json_t *header = json_pack("{s:s, s:o*, s:I}", "type", type, "data", data, "payload_length",
                               (json_int_t)n_payload);
    if (header && n_payload == 0)
        json_object_del(header, "payload_length");
    char *line = header ? json_dumps(header, JSON_COMPACT) : NULL;
    json_decref(header);
    if (!line)
        return fail(why, why_size, "%s: its text is not UTF-8, or memory is short", type);
    size_t n = strlen(line);
    line[n] = '\n'; /* in place of the NUL */
    bool good = stream_write(to, line, n + 1, deadline, why, why_size) &&
                stream_write(to, payload, n_payload, deadline, why, why_size);
    free(line);
    return good;
}

/* A length of the header, 0 where it is absent; -1 where it is none. */
static json_int_t length_of(const json_t *header, const char *key, json_int_t max) {
    const json_t *n = json_object_get(header, key);
    if (!n || json_is_null(n))
        return 0;
    json_int_t length = json_is_integer(n) ? json_integer_value(n) : -1;
    return length < 0 || length > max ? -1 : length;
}

static bool read_data(stream *from, wyoming_event *e, size_t n, int64_t deadline, char *why,
                      size_t why_size) {
    char *text = malloc(n + 1);
    if (!text)
        return fail(why, why_size, "out of memory");
    bool good = stream_read_all(from, text, n, deadline, why, why_size);
    json_t *data = good ? json_loadb(text, n, 0, NULL) : NULL;
    free(text);
    if (good && !json_is_object(data))
        good = fail(why, why_size, "%.40s: its data is no JSON object", e->type);
    if (good)
        json_object_update(e->data, data);
    json_decref(data);
    return good;
}

bool wyoming_receive(stream *from, wyoming_event *e, int64_t deadline, char *why, size_t why_size) {
    *e = (wyoming_event){0};
    char *line = stream_read_line(from, MAX_LINE, deadline, why, why_size);
    if (!line)
        return false;
    e->header = json_loads(line, 0, NULL);
    e->type = json_string_value(json_object_get(e->header, "type"));
    json_int_t n_data = length_of(e->header, "data_length", MAX_DATA);
    json_int_t n_payload = length_of(e->header, "payload_length", MAX_PAYLOAD);
    const json_t *data = json_object_get(e->header, "data");
    e->data = json_is_object(data) ? json_deep_copy(data) : json_object();
    bool good = (e->type && n_data >= 0 && n_payload >= 0) ||
                fail(why, why_size,
                     "an event without a type, or with data over %d or a payload over %d bytes",
                     MAX_DATA, MAX_PAYLOAD);
    good = good && (n_data == 0 || read_data(from, e, (size_t)n_data, deadline, why, why_size));
    if (good && n_payload > 0) {
        e->n_payload = (size_t)n_payload;
        e->payload = malloc(e->n_payload);
        good = e->payload ? stream_read_all(from, e->payload, e->n_payload, deadline, why, why_size)
                          : fail(why, why_size, "out of memory");
    }
    if (!good)
        wyoming_free(e);
    return good;
}

void wyoming_free(wyoming_event *e) {
    json_decref(e->header);
    json_decref(e->data);
    free(e->payload);
    *e = (wyoming_event){0};
}

char **command_copy(char *const *command) {
    size_t n = 0;
    while (command[n])
        n++;
    char **copy = calloc(n + 1, sizeof *copy);
    for (size_t i = 0; copy && i < n; i++)
        if (!(copy[i] = strdup(command[i]))) {
            command_free(copy);
            return NULL;
        }
    return copy;
}

void command_free(char **command) {
    for (char **word = command; word && *word; word++)
        free(*word);
    free(command);
}

bool wyoming_link_init(wyoming_link *l, const char *engine, const char *address,
                       char *const *command, int timeout_ms, char *why, size_t why_size) {
    *l = (wyoming_link){.engine = engine, .timeout_ms = timeout_ms};
    if (!address && !(command && command[0]))
        return fail(why, why_size, "%s: it was not said %s", engine,
                    strcmp(engine, "program") == 0 ? "which program" : "where the server is");
    l->address = address ? strdup(address) : NULL;
    l->command = address ? NULL : command_copy(command);
    if (!l->address && !l->command)
        return fail(why, why_size, "%s: out of memory", engine);
    bool good = wyoming_link_open(l, why, why_size);
    wyoming_link_rest(l);
    return good;
}

void wyoming_link_free(wyoming_link *l) {
    wyoming_link_close(l);
    free(l->address);
    command_free(l->command);
}

stream *wyoming_link_stream(wyoming_link *l) {
    return l->command ? &l->program.io : &l->io;
}

bool wyoming_link_open(wyoming_link *l, char *why, size_t why_size) {
    char reason[300];
    if (l->open && l->command && !process_runs(&l->program))
        wyoming_link_close(l);
    if (l->open)
        return true;
    l->owed = 0;
    l->open = l->command ? process_start(&l->program, l->command, ERRORS_DROPPED, reason,
                                       sizeof reason)
                         : stream_connect(&l->io, l->address, clock_ms() + l->timeout_ms, reason,
                                          sizeof reason);
    return l->open || fail(why, why_size, "%s: %s", l->engine, reason);
}

void wyoming_link_close(wyoming_link *l) {
    if (l->open && l->command)
        process_end(&l->program);
    else if (l->open)
        stream_close(&l->io);
    l->open = false;
}

void wyoming_link_rest(wyoming_link *l) {
    if (!l->command)
        wyoming_link_close(l);
}

bool wyoming_link_send(wyoming_link *l, const char *type, json_t *data, const void *payload,
                       size_t n_payload, char *why, size_t why_size) {
    char reason[300] = "it is not open";
    if (!l->open)
        json_decref(data);
    else if (wyoming_send(wyoming_link_stream(l), type, data, payload, n_payload,
                          clock_ms() + l->timeout_ms, reason, sizeof reason))
        return true;
    wyoming_link_close(l);
    return fail(why, why_size, "%s: %s", l->engine, reason);
}

bool wyoming_link_receive(wyoming_link *l, wyoming_event *event, char *why, size_t why_size) {
    char reason[300] = "it is not open";
    if (l->open && wyoming_receive(wyoming_link_stream(l), event, clock_ms() + l->timeout_ms,
                                   reason, sizeof reason)) {
        if (strcmp(event->type, "error") != 0)
            return true;
        const char *text = json_string_value(json_object_get(event->data, "text"));
        snprintf(reason, sizeof reason, "%.200s", text ? text : "it reports an error");
        wyoming_free(event);
    }
    wyoming_link_close(l);
    return fail(why, why_size, "%s: %s", l->engine, reason);
}
